//! A picture to draw on, in logical pixels that a scale turns into real ones.
//!
//! Rectangles and blending are plotters'. Polygons are filled here, with sixteen samples a pixel,
//! because plotters does not smooth strokes wider than a pixel; text comes from [`super::font`].

use anyhow::{Result, anyhow};
use plotters::backend::DrawingBackend;
use plotters::prelude::BitMapBackend;
use plotters::style::{Color, RGBAColor};

use super::font::{Fonts, Weight};
use super::palette::Rgb;

/// How text stands to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// The point is its left end.
    Left,
    /// The point is its middle.
    Middle,
    /// The point is its right end.
    Right,
}

/// Look of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ink {
    /// Size in logical pixels per em.
    pub size: i32,
    /// Regular or bold.
    pub weight: Weight,
    /// Colour.
    pub color: Rgb,
}

impl Ink {
    /// Regular text.
    pub const fn regular(size: i32, color: Rgb) -> Ink {
        Ink { size, weight: Weight::Regular, color }
    }

    /// Bold text.
    pub const fn bold(size: i32, color: Rgb) -> Ink {
        Ink { size, weight: Weight::Bold, color }
    }
}

/// A rectangle in logical pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// Left end.
    pub left: f64,
    /// Upper end.
    pub top: f64,
    /// Right end.
    pub right: f64,
    /// Lower end.
    pub bottom: f64,
}

impl Area {
    /// A rectangle by its four sides.
    pub const fn new(left: f64, top: f64, right: f64, bottom: f64) -> Area {
        Area { left, top, right, bottom }
    }

    /// Width.
    pub fn width(&self) -> f64 {
        self.right - self.left
    }

    /// True when the two share a point.
    pub fn overlaps(&self, other: &Area) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

/// A picture under way.
pub struct Canvas<'a> {
    backend: BitMapBackend<'a>,
    fonts: Fonts,
    scale: u32,
}

impl<'a> Canvas<'a> {
    /// A white canvas over `pixels`, which holds three bytes for each of `width` times `height`
    /// real pixels.
    pub fn new(pixels: &'a mut [u8], size: (u32, u32), scale: u32) -> Result<Canvas<'a>> {
        pixels.fill(0xFF);
        let backend = BitMapBackend::with_buffer_and_format(pixels, size)
            .map_err(|error| anyhow!("cannot draw: {error}"))?;
        Ok(Canvas { backend, fonts: Fonts::load()?, scale: scale.max(1) })
    }

    /// Real pixels per logical pixel.
    pub fn scale(&self) -> u32 {
        self.scale
    }

    /// Width of a text in logical pixels.
    pub fn text_width(&self, text: &str, ink: Ink) -> f64 {
        let size = ink.size * self.scale as i32;
        self.fonts.width(text, size, ink.weight) / f64::from(self.scale)
    }

    /// `text`, cut in the middle where it is wider than `room`.
    pub fn shorten(&self, text: &str, ink: Ink, room: f64) -> String {
        let size = ink.size * self.scale as i32;
        let room = room * f64::from(self.scale);
        self.fonts.shorten(text, size, ink.weight, room)
    }

    /// Writes a line of text with its baseline at `y`.
    pub fn text(&mut self, text: &str, (x, y): (f64, f64), align: Align, ink: Ink) -> Result<()> {
        let width = self.text_width(text, ink);
        let left = match align {
            Align::Left => x,
            Align::Middle => x - width / 2.0,
            Align::Right => x - width,
        };
        let scale = f64::from(self.scale);
        // Whole pixels at the start keep stems alike from label to label.
        let from = (libm::round(left * scale), self.real(y));
        let size = ink.size * self.scale as i32;
        let (backend, fonts) = (&mut self.backend, &mut self.fonts);
        let mut outcome = Ok(());
        fonts.rasterise(text, size, ink.weight, from, |x, y, coverage| {
            if let Err(error) = paint(backend, (x, y), ink.color, coverage) {
                outcome = Err(error);
            }
        })?;
        outcome
    }

    /// Fills a rectangle whose edges are rounded to real pixels; one that would vanish keeps a
    /// pixel.
    pub fn fill(&mut self, area: Area, rgb: Rgb, alpha: f64) -> Result<()> {
        let (left, top) = (self.real(area.left), self.real(area.top));
        let right = self.real(area.right).max(left + 1);
        let bottom = self.real(area.bottom).max(top + 1);
        let style = color(rgb, alpha);
        self.backend
            .draw_rect((left, top), (right, bottom), &style, true)
            .map_err(|error| anyhow!("cannot draw a rectangle: {error}"))
    }

    /// Fills a polygon, smoothly.
    pub fn polygon(&mut self, points: &[(f64, f64)], rgb: Rgb) -> Result<()> {
        let scale = f64::from(self.scale);
        let points: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x * scale, y * scale)).collect();
        let low = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).fold(f64::MAX, f64::min);
        let high = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).fold(f64::MIN, f64::max);
        let (left, right) = (low(|p| p.0) as i32 - 1, high(|p| p.0) as i32 + 1);
        let (top, bottom) = (low(|p| p.1) as i32 - 1, high(|p| p.1) as i32 + 1);
        for y in top..=bottom {
            for x in left..=right {
                let coverage = coverage(&points, x, y);
                if coverage > 0.0 {
                    paint(&mut self.backend, (x, y), rgb, coverage)?;
                }
            }
        }
        Ok(())
    }

    /// Draws a straight line of a width, smoothly.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), width: f64, rgb: Rgb) -> Result<()> {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = libm::sqrt(dx * dx + dy * dy);
        if length == 0.0 {
            return Ok(());
        }
        let (nx, ny) = (-dy / length * width / 2.0, dx / length * width / 2.0);
        let corners = [
            (from.0 + nx, from.1 + ny),
            (to.0 + nx, to.1 + ny),
            (to.0 - nx, to.1 - ny),
            (from.0 - nx, from.1 - ny),
        ];
        self.polygon(&corners, rgb)
    }

    /// Fades a rectangle and hatches it: what stands there is not to scale.
    pub fn hatch(&mut self, area: Area, rgb: Rgb) -> Result<()> {
        self.fill(area, super::palette::WHITE, 0.55)?;
        let scale = self.scale as i32;
        let (left, right) = (self.real(area.left), self.real(area.right));
        for y in self.real(area.top)..self.real(area.bottom) {
            for x in left..right {
                if (x + y).rem_euclid(8 * scale) < scale {
                    paint(&mut self.backend, (x, y), rgb, 0.45)?;
                }
            }
        }
        Ok(())
    }

    fn real(&self, logical: f64) -> i32 {
        libm::round(logical * f64::from(self.scale)) as i32
    }
}

/// Blends one real pixel.
fn paint(backend: &mut BitMapBackend, at: (i32, i32), rgb: Rgb, alpha: f64) -> Result<()> {
    backend
        .draw_pixel(at, color(rgb, alpha).to_backend_color())
        .map_err(|error| anyhow!("cannot draw a pixel: {error}"))
}

fn color(Rgb(red, green, blue): Rgb, alpha: f64) -> RGBAColor {
    RGBAColor(red, green, blue, alpha)
}

/// The share of a pixel that a polygon covers, from sixteen samples.
fn coverage(points: &[(f64, f64)], x: i32, y: i32) -> f64 {
    let mut inside = 0;
    for sample in 0..16 {
        let at_x = f64::from(x) + (f64::from(sample % 4) + 0.5) / 4.0;
        let at_y = f64::from(y) + (f64::from(sample / 4) + 0.5) / 4.0;
        let mut crossings = 0;
        for (i, (ax, ay)) in points.iter().enumerate() {
            let (bx, by) = points[(i + 1) % points.len()];
            if (*ay > at_y) != (by > at_y) && at_x < (bx - ax) * (at_y - ay) / (by - ay) + ax {
                crossings += 1;
            }
        }
        inside += crossings % 2;
    }
    f64::from(inside) / 16.0
}
