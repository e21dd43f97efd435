//! Text: an embedded subset of DejaVu Sans (regular and bold), measured and rasterised without any
//! system font.
//!
//! plotters rasterises the glyphs, but places them on whole pixels and drops their left bearing.
//! Each glyph is therefore drawn alone at [`OVERSAMPLING`] times its size and averaged down at the
//! exact pen position, with advances and bearings read from the font itself.
//!
//! The subsets were made with fontTools: `pyftsubset DejaVuSans.ttf --no-hinting
//! --layout-features='' --drop-tables+=MATH,GSUB,GPOS,GDEF,FFTM --unicodes=...`: Latin-1, Latin
//! Extended-A, Greek small letters, dashes, quotes, arrows, comparison signs and a few marks.
//! Digits are tabular in DejaVu Sans.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use anyhow::{Result, anyhow, ensure};
use plotters::style::{FontDesc, FontFamily, FontStyle, register_font};

const REGULAR: &[u8] = include_bytes!("fonts/DejaVuSans.subset.ttf");
const BOLD: &[u8] = include_bytes!("fonts/DejaVuSans-Bold.subset.ttf");
const FAMILY: &str = "karpsim-dejavu-sans";

/// Samples per pixel and direction.
const OVERSAMPLING: i32 = 4;

/// Regular or bold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Regular.
    Regular,
    /// Bold.
    Bold,
}

/// Metrics of the two faces and the glyphs rasterised so far.
pub struct Fonts {
    regular: Metrics,
    bold: Metrics,
    glyphs: BTreeMap<(Weight, i32, char), Glyph>,
}

/// A glyph in oversampled pixels.
struct Glyph {
    /// Samples: column right of the bearing, row below the baseline (negative above), coverage.
    samples: Vec<(i32, i32, f32)>,
    /// Left bearing, whole oversampled pixels.
    bearing: i32,
}

/// Horizontal metrics by character, in font units.
struct Metrics {
    units_per_em: f64,
    /// Ascent less descent, which plotters takes for the size of a font.
    line_height: f64,
    by_char: BTreeMap<char, (i32, i32)>,
    fallback: (i32, i32),
}

impl Fonts {
    /// Registers the faces with plotters, once a process, and reads their metrics.
    pub fn load() -> Result<Fonts> {
        static REGISTERED: OnceLock<bool> = OnceLock::new();
        let registered = REGISTERED.get_or_init(|| {
            register_font(FAMILY, FontStyle::Normal, REGULAR).is_ok()
                && register_font(FAMILY, FontStyle::Bold, BOLD).is_ok()
        });
        ensure!(*registered, "the embedded fonts cannot be registered");
        let read =
            |bytes| Metrics::read(bytes).ok_or_else(|| anyhow!("an embedded font is damaged"));
        Ok(Fonts { regular: read(REGULAR)?, bold: read(BOLD)?, glyphs: BTreeMap::new() })
    }

    /// Width of `text` in pixels at `size` pixels per em.
    pub fn width(&self, text: &str, size: i32, weight: Weight) -> f64 {
        let metrics = self.metrics(weight);
        let units: i64 = text.chars().map(|c| i64::from(metrics.of(c).0)).sum();
        units as f64 * metrics.oversampled_scale(size) / f64::from(OVERSAMPLING)
    }

    /// `text`, cut with an ellipsis in the middle where it is wider than `room` pixels, so that
    /// both ends stay readable.
    pub fn shorten(&self, text: &str, size: i32, weight: Weight, room: f64) -> String {
        if self.width(text, size, weight) <= room {
            return text.to_owned();
        }
        let chars: Vec<char> = text.chars().collect();
        let cut = |kept: usize| -> String {
            let head = kept.div_ceil(2);
            let tail = &chars[chars.len() - (kept - head)..];
            chars[..head].iter().chain(&['…']).chain(tail).collect()
        };
        let kept: Vec<usize> = (1..chars.len()).collect();
        let fitting = kept.partition_point(|k| self.width(&cut(*k), size, weight) <= room);
        cut(fitting)
    }

    /// Calls `paint(x, y, coverage)` for every pixel of `text`, whose baseline starts at `(x,
    /// baseline)`.
    pub fn rasterise(
        &mut self,
        text: &str,
        size: i32,
        weight: Weight,
        (x, baseline): (f64, i32),
        mut paint: impl FnMut(i32, i32, f64),
    ) -> Result<()> {
        let scale = self.metrics(weight).oversampled_scale(size);
        let mut pen = x * f64::from(OVERSAMPLING);
        let mut coverage: BTreeMap<(i32, i32), f32> = BTreeMap::new();
        for c in text.chars() {
            let advance = f64::from(self.metrics(weight).of(c).0) * scale;
            let origin = libm::round(pen) as i32;
            pen += advance;
            let glyph = self.glyph(c, size, weight)?;
            for (column, row, sample) in &glyph.samples {
                let left = (origin + glyph.bearing + column).div_euclid(OVERSAMPLING);
                let top = baseline + row.div_euclid(OVERSAMPLING);
                *coverage.entry((top, left)).or_default() += sample;
            }
        }
        let full = f64::from(OVERSAMPLING * OVERSAMPLING);
        for ((top, left), sum) in coverage {
            paint(left, top, (f64::from(sum) / full).min(1.0));
        }
        Ok(())
    }

    fn metrics(&self, weight: Weight) -> &Metrics {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }

    fn glyph(&mut self, c: char, size: i32, weight: Weight) -> Result<&Glyph> {
        let key = (weight, size, c);
        if !self.glyphs.contains_key(&key) {
            let glyph = self.draw_glyph(c, size, weight)?;
            self.glyphs.insert(key, glyph);
        }
        Ok(&self.glyphs[&key])
    }

    fn draw_glyph(&self, c: char, size: i32, weight: Weight) -> Result<Glyph> {
        let metrics = self.metrics(weight);
        let line = metrics.oversampled_line(size);
        let style = match weight {
            Weight::Regular => FontStyle::Normal,
            Weight::Bold => FontStyle::Bold,
        };
        let font = FontDesc::new(FontFamily::Name(FAMILY), f64::from(line), style);
        let mut samples = Vec::new();
        let mut buffer = [0; 4];
        font.draw(c.encode_utf8(&mut buffer), (0, 0), |x, y, coverage| {
            // plotters puts the baseline half a line below the given point.
            if coverage > 0.0 {
                samples.push((x, y - line / 2, coverage.min(1.0)));
            }
            Ok::<(), std::convert::Infallible>(())
        })
        .map_err(|error| anyhow!("cannot draw {c:?}: {error}"))??;
        let bearing = f64::from(metrics.of(c).1) * metrics.oversampled_scale(size);
        Ok(Glyph { samples, bearing: libm::floor(bearing) as i32 })
    }
}

impl Metrics {
    /// Reads `head`, `hhea`, `hmtx` and the format 4 table of `cmap`; `None` when the font is
    /// damaged.
    fn read(font: &[u8]) -> Option<Metrics> {
        let head = table(font, b"head")?;
        let hhea = table(font, b"hhea")?;
        let hmtx = table(font, b"hmtx")?;
        let full_count = usize::from(u16_at(hhea, 34)?);
        let metric = |glyph: usize| -> Option<(i32, i32)> {
            let advance = u16_at(hmtx, 4 * glyph.min(full_count.checked_sub(1)?))?;
            let bearing_at = if glyph < full_count {
                4 * glyph + 2
            } else {
                4 * full_count + 2 * (glyph - full_count)
            };
            let bearing = u16_at(hmtx, bearing_at)?.cast_signed();
            Some((i32::from(advance), i32::from(bearing)))
        };
        let mut by_char = BTreeMap::new();
        for (c, glyph) in characters(table(font, b"cmap")?)? {
            by_char.insert(c, metric(glyph)?);
        }
        let ascent = f64::from(u16_at(hhea, 4)?.cast_signed());
        let descent = f64::from(u16_at(hhea, 6)?.cast_signed());
        Some(Metrics {
            units_per_em: f64::from(u16_at(head, 18)?),
            line_height: ascent - descent,
            by_char,
            fallback: metric(0)?,
        })
    }

    /// Advance and left bearing, those of the missing glyph for characters outside the subset.
    fn of(&self, c: char) -> (i32, i32) {
        self.by_char.get(&c).copied().unwrap_or(self.fallback)
    }

    /// Size of an oversampled line as plotters counts it; even, because plotters halves it to find
    /// the baseline.
    fn oversampled_line(&self, size: i32) -> i32 {
        let exact = f64::from(size * OVERSAMPLING) * self.line_height / self.units_per_em;
        2 * libm::round(exact / 2.0) as i32
    }

    /// Oversampled pixels per font unit.
    fn oversampled_scale(&self, size: i32) -> f64 {
        f64::from(self.oversampled_line(size)) / self.line_height
    }
}

/// The characters of a `cmap` table with the numbers of their glyphs.
fn characters(cmap: &[u8]) -> Option<Vec<(char, usize)>> {
    let count = usize::from(u16_at(cmap, 2)?);
    let subtable = (0..count).find_map(|i| {
        let offset = usize::try_from(u32_at(cmap, 4 + 8 * i + 4)?).ok()?;
        let subtable = cmap.get(offset..)?;
        (u16_at(subtable, 0)? == 4).then_some(subtable)
    })?;
    let segments = usize::from(u16_at(subtable, 6)?) / 2;
    let mut found = Vec::new();
    for segment in 0..segments {
        let last = u16_at(subtable, 14 + 2 * segment)?;
        let first = u16_at(subtable, 16 + 2 * (segments + segment))?;
        let delta = u16_at(subtable, 16 + 2 * (2 * segments + segment))?;
        let range_at = 16 + 2 * (3 * segments + segment);
        let range = usize::from(u16_at(subtable, range_at)?);
        for code in first..=last {
            let glyph = if range == 0 {
                code.wrapping_add(delta)
            } else {
                let at = range_at + range + 2 * usize::from(code - first);
                match u16_at(subtable, at) {
                    Some(glyph) if glyph != 0 => glyph.wrapping_add(delta),
                    _ => 0,
                }
            };
            if let Some(c) = char::from_u32(u32::from(code))
                && glyph != 0
            {
                found.push((c, usize::from(glyph)));
            }
        }
    }
    Some(found)
}

fn table<'a>(font: &'a [u8], tag: &[u8; 4]) -> Option<&'a [u8]> {
    let count = usize::from(u16_at(font, 4)?);
    let record = (0..count).find_map(|i| {
        let record = font.get(12 + 16 * i..28 + 16 * i)?;
        record.starts_with(tag).then_some(record)
    })?;
    let offset = usize::try_from(u32_at(record, 8)?).ok()?;
    let length = usize::try_from(u32_at(record, 12)?).ok()?;
    font.get(offset..offset.checked_add(length)?)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_have_one_width_and_signs_exist() -> Result<()> {
        let fonts = Fonts::load()?;
        for weight in [Weight::Regular, Weight::Bold] {
            let digit = fonts.width("0", 13, weight);
            for c in "123456789".chars() {
                assert_eq!(fonts.width(&c.to_string(), 13, weight), digit);
            }
            for c in "Aäé ÷×·…°±–—→≤≥≠µ−".chars() {
                assert!(fonts.metrics(weight).by_char.contains_key(&c), "{c}");
            }
        }
        Ok(())
    }

    #[test]
    fn long_names_are_cut_in_the_middle() -> Result<()> {
        let fonts = Fonts::load()?;
        let name = format!("first{}last", "x".repeat(244));
        let short = fonts.shorten(&name, 12, Weight::Regular, 120.0);
        assert!(fonts.width(&short, 12, Weight::Regular) <= 120.0);
        assert!(short.starts_with("first") && short.ends_with("last") && short.contains('…'));
        assert_eq!(fonts.shorten("short", 12, Weight::Regular, 120.0), "short");
        Ok(())
    }

    #[test]
    fn text_covers_the_pixels_of_its_width() -> Result<()> {
        let mut fonts = Fonts::load()?;
        let (mut left, mut right, mut bottom) = (i32::MAX, i32::MIN, i32::MIN);
        fonts.rasterise("H", 20, Weight::Regular, (10.0, 50), |x, y, coverage| {
            if coverage > 0.1 {
                left = left.min(x);
                right = right.max(x);
                bottom = bottom.max(y);
            }
        })?;
        assert_eq!((left, bottom), (12, 49));
        assert!(f64::from(right) < 10.0 + fonts.width("H", 20, Weight::Regular));
        Ok(())
    }
}
