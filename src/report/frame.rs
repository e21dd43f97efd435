//! What all panels share: grid, ticks, titles, marks of a cut axis, keys.

use anyhow::Result;

use super::axis::{TimeAxis, ValueAxis, rounded_span_texts, span_text};
use super::canvas::{Align, Area, Canvas, Ink};
use super::layout::{KEY_LINE, Panel};
use super::palette::{BLACK, GRID, Rgb, SECONDARY, TEXT};

/// Look of panel titles.
pub const TITLE: Ink = Ink::bold(15, TEXT);
/// Look of axis titles.
pub const AXIS_TITLE: Ink = Ink::regular(13, TEXT);
/// Look of tick labels and keys.
pub const TICK: Ink = Ink::regular(12, TEXT);
/// Look of annotations.
pub const NOTE: Ink = Ink::regular(11, TEXT);
/// Look of secondary annotations.
pub const FAINT: Ink = Ink::regular(11, SECONDARY);

/// Side of a key's square.
const SWATCH: f64 = 12.0;
/// Widest name in a key.
const NAME_ROOM: f64 = 150.0;

/// Title left, axis title at the axis, a remark at the right end. Returns the free stretch between
/// title and remark.
pub fn titles(
    canvas: &mut Canvas,
    panel: &Panel,
    title: &str,
    unit: &str,
    remark: &str,
) -> Result<(f64, f64)> {
    let (left, right) = (panel.plot.left, panel.plot.right);
    canvas.text(title, (left, panel.title), Align::Left, TITLE)?;
    let unit_at = (left - 10.0, panel.title);
    canvas.text(unit, unit_at, Align::Right, AXIS_TITLE)?;
    canvas.text(remark, (right, panel.title), Align::Right, TICK)?;
    let title_end = left + canvas.text_width(title, TITLE);
    let remark_start = right - canvas.text_width(remark, TICK);
    Ok((title_end + 24.0, remark_start - 24.0))
}

/// Vertical lines at the ticks of time.
pub fn time_grid(canvas: &mut Canvas, axis: &TimeAxis, ticks: &[f64], plot: &Area) -> Result<()> {
    for piece in axis.pieces().iter().filter(|piece| !piece.quiet) {
        let within = ticks.iter().filter(|x| **x >= piece.left && **x <= piece.right);
        for x in within {
            let line = Area::new(*x, plot.top, *x + 1.0, plot.bottom);
            canvas.fill(line, GRID, 1.0)?;
        }
    }
    Ok(())
}

/// Horizontal lines with labels at the ticks of values.
pub fn value_grid(canvas: &mut Canvas, values: &ValueAxis, plot: &Area, sign: &str) -> Result<()> {
    for value in values.ticks() {
        let y = values.y(value);
        let line = Area::new(plot.left - 4.0, y, plot.right, y + 1.0);
        canvas.fill(line, if value == 0.0 { SECONDARY } else { GRID }, 1.0)?;
        let text = format!("{sign}{}", values.text(value));
        // The highest label must not touch the axis title above.
        let baseline = (y + 4.0).max(plot.top + 9.0);
        canvas.text(&text, (plot.left - 10.0, baseline), Align::Right, TICK)?;
    }
    Ok(())
}

/// Hatches the cuts over a plot and tears their edges.
pub fn cuts(canvas: &mut Canvas, axis: &TimeAxis, plot: &Area) -> Result<()> {
    for piece in axis.pieces().iter().filter(|piece| piece.quiet) {
        canvas.hatch(Area::new(piece.left, plot.top, piece.right, plot.bottom + 1.0), SECONDARY)?;
        for x in [piece.left, piece.right] {
            let mut y = plot.top;
            let mut side = -3.0;
            while y < plot.bottom {
                let below = (y + 6.0).min(plot.bottom);
                canvas.line((x + side, y), (x - side, below), 1.2, SECONDARY)?;
                side = -side;
                y = below;
            }
        }
    }
    Ok(())
}

/// Names the pieces of a cut axis: what a busy one shows, how long a cut is.
pub fn strip(canvas: &mut Canvas, axis: &TimeAxis, strip: &Area) -> Result<()> {
    if !axis.is_cut() {
        return Ok(());
    }
    let baseline = strip.top + 30.0;
    for piece in axis.pieces() {
        let middle = (piece.left + piece.right) / 2.0;
        let length_ms = piece.to_ms - piece.from_ms;
        if piece.quiet {
            let bold = Ink::bold(11, TEXT);
            let room = piece.right - piece.left - 2.0;
            let texts = rounded_span_texts(length_ms);
            let fits = |text: &&String| canvas.text_width(text, bold) <= room;
            if let Some(text) = texts.iter().find(fits) {
                canvas.text(text, (middle, baseline - 14.0), Align::Middle, bold)?;
            }
            canvas.text("no events", (middle, baseline), Align::Middle, NOTE)?;
            continue;
        }
        let span = span_text(length_ms);
        let (from, to) = (span_text(piece.from_ms), span_text(piece.to_ms));
        let wordings = if piece.from_ms == 0 {
            vec![format!("the first {span}"), span]
        } else {
            vec![
                format!("{span}, from {from} to {to} after the start"),
                format!("{from} to {to}"),
                format!("{span} shown"),
            ]
        };
        let room = piece.right - piece.left - 12.0;
        let fits = |text: &&String| canvas.text_width(text, NOTE) <= room;
        if let Some(text) = wordings.iter().find(fits) {
            canvas.text(text, (middle, baseline - 4.0), Align::Middle, NOTE)?;
        }
        let y = strip.bottom - 2.0;
        let bar = Area::new(piece.left + 2.0, y, piece.right - 2.0, y + 1.0);
        canvas.fill(bar, SECONDARY, 1.0)?;
        for x in [bar.left, bar.right - 1.0] {
            canvas.fill(Area::new(x, y - 4.0, x + 1.0, y), SECONDARY, 1.0)?;
        }
    }
    Ok(())
}

/// Labels below the last panel: time over date, dates only where they are new and do not touch.
pub fn time_labels(
    canvas: &mut Canvas,
    ticks: &[super::axis::Tick],
    plot: &Area,
    utc: bool,
) -> Result<()> {
    time_tick_labels(canvas, ticks, plot, Overhang(f64::MAX))?;
    let title = if utc { "time, UTC" } else { "elapsed" };
    let at = (plot.left - 36.0, plot.bottom + 18.0);
    canvas.text(title, at, Align::Right, AXIS_TITLE)
}

/// How far tick labels may reach beyond the plot on either side, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overhang(pub f64);

/// The labels without the axis' title. One that would reach too far is pushed inwards.
pub fn time_tick_labels(
    canvas: &mut Canvas,
    ticks: &[super::axis::Tick],
    plot: &Area,
    overhang: Overhang,
) -> Result<()> {
    let (mut time_free, mut date_free) = (f64::MIN, f64::MIN);
    let write = |canvas: &mut Canvas, text: &str, (x, y): (f64, f64), free: &mut f64| {
        let half = canvas.text_width(text, TICK) / 2.0;
        let (low, high) = (plot.left - overhang.0 + half, plot.right + overhang.0 - half);
        let x = if high > low { x.clamp(low, high) } else { x };
        if x - half >= *free {
            canvas.text(text, (x, y), Align::Middle, TICK)?;
            *free = x + half + 8.0;
        }
        Ok::<(), anyhow::Error>(())
    };
    for tick in ticks {
        let mark = Area::new(tick.x, plot.bottom, tick.x + 1.0, plot.bottom + 5.0);
        canvas.fill(mark, SECONDARY, 1.0)?;
        write(canvas, &tick.time, (tick.x, plot.bottom + 18.0), &mut time_free)?;
        if let Some(date) = &tick.date {
            write(canvas, date, (tick.x, plot.bottom + 34.0), &mut date_free)?;
        }
    }
    Ok(())
}

/// An entry of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyEntry {
    /// What.
    pub name: String,
    /// Its colour.
    pub color: Rgb,
}

/// Places the entries of a key in lines: the first between `first_left` and `first_right`, further
/// ones from `left` to `right`. Returns line and left end of each entry.
pub fn key_places(
    canvas: &Canvas,
    entries: &[KeyEntry],
    (first_left, first_right): (f64, f64),
    (left, right): (f64, f64),
) -> Vec<(usize, f64)> {
    let (mut line, mut at, mut end) = (0, first_left, first_right);
    let mut places = Vec::with_capacity(entries.len());
    for entry in entries {
        let width = SWATCH + 6.0 + canvas.text_width(&entry.name, TICK).min(NAME_ROOM);
        let started = at > if line == 0 { first_left } else { left };
        if at + width > end && (started || line == 0) {
            line += 1;
            (at, end) = (left, right);
        }
        places.push((line, at));
        at += width + 18.0;
    }
    places
}

/// Draws a key at its places.
pub fn key(
    canvas: &mut Canvas,
    entries: &[KeyEntry],
    places: &[(usize, f64)],
    baseline: f64,
) -> Result<()> {
    for (entry, (line, x)) in entries.iter().zip(places) {
        let y = baseline + KEY_LINE * *line as f64;
        let swatch = Area::new(*x, y - SWATCH + 1.0, *x + SWATCH, y + 1.0);
        canvas.fill(swatch, entry.color, 1.0)?;
        let name = canvas.shorten(&entry.name, TICK, NAME_ROOM);
        canvas.text(&name, (*x + SWATCH + 6.0, y), Align::Left, TICK)?;
    }
    Ok(())
}

/// Text on a white ground, so that it stays readable on data. Returns what it covers.
pub fn label(canvas: &mut Canvas, text: &str, at: (f64, f64), align: Align) -> Result<Area> {
    let ink = Ink::bold(11, BLACK);
    let covered = label_area(canvas, text, at, align);
    canvas.fill(covered, super::palette::WHITE, 0.8)?;
    canvas.text(text, at, align, ink)?;
    Ok(covered)
}

/// The corners of a polygon that looks like a circle.
pub fn circle((x, y): (f64, f64), r: f64) -> Vec<(f64, f64)> {
    let at = |i: u32| f64::from(i) * std::f64::consts::TAU / 24.0;
    (0..24).map(|i| (x + r * libm::cos(at(i)), y + r * libm::sin(at(i)))).collect()
}

/// What [`label`] would cover.
pub fn label_area(canvas: &Canvas, text: &str, (x, y): (f64, f64), align: Align) -> Area {
    let width = canvas.text_width(text, Ink::bold(11, BLACK));
    let left = match align {
        Align::Left => x,
        Align::Middle => x - width / 2.0,
        Align::Right => x - width,
    };
    Area::new(left - 3.0, y - 10.0, left + width + 3.0, y + 3.0)
}
