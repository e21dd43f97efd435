//! The last panel: a raster of disruptions, one row a reason.

use std::collections::BTreeMap;

use anyhow::Result;

use super::axis::grouped;
use super::canvas::{Align, Area, Canvas};
use super::chart::{DENSE, Scene};
use super::frame::{self, NOTE, TICK};
use super::palette::{BLACK, BLUE, GRID, PURPLE, Rgb, SECONDARY, SKY, VERMILLION, WHITE};
use crate::outcome::Disruption;
use crate::world::journal::Cause;

/// Rows that are always drawn, so that a reason without events is seen to have none.
pub(super) const ROWS: [Cause; 5] =
    [Cause::Empty, Cause::Underutilized, Cause::Drifted, Cause::Expired, Cause::Interrupted];

/// Panel 5: a mark at the start of each disruption, as large as the number of evicted pods, a bar
/// until its nodes were gone, and the number of events at the right end.
pub fn disruptions(canvas: &mut Canvas, scene: &Scene) -> Result<()> {
    let panel = &scene.layout.disruptions;
    let plot = &panel.plot;
    let all = &scene.result.disruptions;
    frame::titles(canvas, panel, "Disruptions by reason", "reason", "")?;
    size_key(canvas, plot.right, panel.title)?;
    frame::time_grid(canvas, scene.axis, scene.ticks, plot)?;
    let others = all.iter().any(|d| !ROWS.contains(&d.cause));
    let rows: Vec<Option<Cause>> =
        ROWS.into_iter().map(Some).chain(others.then_some(None)).collect();
    let height = (plot.bottom - plot.top) / rows.len() as f64;
    let types: BTreeMap<&str, &str> = scene
        .result
        .ledger
        .entries
        .iter()
        .map(|entry| (&*entry.claim, &*entry.instance_type))
        .collect();
    for (i, cause) in rows.iter().enumerate() {
        let top = plot.top + height * i as f64;
        let row = Area::new(plot.left, top, plot.right, top + height);
        let belongs = |d: &&Disruption| match cause {
            Some(cause) => d.cause == *cause,
            None => !ROWS.contains(&d.cause),
        };
        let events: Vec<&Disruption> = all.iter().filter(belongs).collect();
        draw_row(canvas, scene, *cause, &row, &events, &types)?;
    }
    let base = Area::new(plot.left, plot.bottom, plot.right, plot.bottom + 1.0);
    canvas.fill(base, SECONDARY, 1.0)?;
    frame::cuts(canvas, scene.axis, plot)?;
    if all.is_empty() {
        let middle = ((plot.left + plot.right) / 2.0, (plot.top + plot.bottom) / 2.0 + 4.0);
        frame::label(canvas, "no disruptions", middle, Align::Middle)?;
    }
    Ok(())
}

/// The sizes of marks.
fn size_key(canvas: &mut Canvas, right: f64, baseline: f64) -> Result<()> {
    let mut at = right;
    for evicted in [20, 5, 1] {
        let text = evicted.to_string();
        canvas.text(&text, (at, baseline), Align::Right, TICK)?;
        at -= canvas.text_width(&text, TICK) + 14.0;
        shape(canvas, Some(Cause::Empty), (at, baseline - 4.0), radius(evicted), SECONDARY)?;
        at -= 20.0;
    }
    canvas.text("pods evicted:", (at, baseline), Align::Right, TICK)
}

/// A mark on the picture: the disruptions of one row that start in one column of pixels.
struct Mark {
    x: f64,
    /// Where the longest bar ends.
    until: f64,
    /// The one with most evicted pods, and how many there are.
    largest: usize,
    count: usize,
}

fn draw_row(
    canvas: &mut Canvas,
    scene: &Scene,
    cause: Option<Cause>,
    row: &Area,
    events: &[&Disruption],
    types: &BTreeMap<&str, &str>,
) -> Result<()> {
    let middle = libm::round((row.top + row.bottom) / 2.0);
    let (name, color) = look(cause);
    let line = Area::new(row.left, middle, row.right, middle + 1.0);
    canvas.fill(line, GRID, 1.0)?;
    shape(canvas, cause, (row.left - 16.0, middle + 0.5), 4.5, color)?;
    canvas.text(name, (row.left - 26.0, middle + 4.0), Align::Right, TICK)?;
    totals(canvas, scene, row, events)?;
    let marks = marks(scene, events);
    for mark in &marks {
        let bar = Area::new(mark.x, middle - 2.0, mark.until.max(mark.x + 2.0), middle + 3.0);
        canvas.fill(bar, color, 0.7)?;
    }
    let nexts = marks.iter().skip(1).map(|mark| mark.x - 12.0).chain([row.right]);
    // Bars of earlier marks may reach over a mark: what is written after them is about them all.
    let (mut reach, mut count) = (f64::NEG_INFINITY, 0);
    for (mark, next) in marks.iter().zip(nexts) {
        count = if mark.x <= reach { count + mark.count } else { mark.count };
        let event = events[mark.largest];
        let size = radius(event.evicted).min((row.bottom - row.top) / 2.0 - 1.0);
        if marks.len() > DENSE {
            let tick = Area::new(mark.x, middle - size, mark.x + 1.0, middle + size);
            canvas.fill(tick, color, 1.0)?;
            continue;
        }
        shape(canvas, cause, (mark.x, middle + 0.5), size + 1.5, WHITE)?;
        shape(canvas, cause, (mark.x, middle + 0.5), size, color)?;
        reach = reach.max(mark.until).max(mark.x + size);
        let left = reach + 6.0;
        let wordings = if count == 1 {
            vec![story(event, types), pods(event.evicted)]
        } else {
            vec![format!("{count} events")]
        };
        let next = next.min(scene.axis.piece_right(mark.x) - 6.0);
        let fits = |text: &&String| left + canvas.text_width(text, NOTE) <= next;
        if let Some(text) = wordings.iter().find(fits) {
            canvas.text(text, (left, middle + 4.0), Align::Left, NOTE)?;
        }
    }
    Ok(())
}

/// Numbers of events and of evicted pods at the right end of a row.
fn totals(canvas: &mut Canvas, scene: &Scene, row: &Area, events: &[&Disruption]) -> Result<()> {
    let evicted: u64 = events.iter().map(|d| d.evicted).sum();
    let mut count = format!("{} event", grouped(events.len() as f64, 0));
    if events.len() != 1 {
        count.push('s');
    }
    let mut wordings = vec![count];
    if evicted > 0 {
        wordings.insert(0, format!("{} · {}", wordings[0], pods(evicted)));
    }
    // Marks at the very end reach over the plot's edge.
    let left = row.right + 16.0;
    let fits = |text: &&String| left + canvas.text_width(text, TICK) <= scene.layout.labels_right;
    if let Some(text) = wordings.iter().find(fits) {
        let middle = libm::round((row.top + row.bottom) / 2.0);
        canvas.text(text, (left, middle + 4.0), Align::Left, TICK)?;
    }
    Ok(())
}

/// Takes disruptions together that start within two pixels.
fn marks(scene: &Scene, events: &[&Disruption]) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    for (i, event) in events.iter().enumerate() {
        let x = scene.axis.x(event.at.ms());
        let until = scene.axis.x(event.gone_at.unwrap_or(scene.end).ms());
        match marks.last_mut() {
            Some(mark) if x - mark.x < 2.0 => {
                mark.until = mark.until.max(until);
                mark.count += 1;
                if event.evicted > events[mark.largest].evicted {
                    mark.largest = i;
                }
            }
            _ => marks.push(Mark { x, until, largest: i, count: 1 }),
        }
    }
    marks
}

/// What a disruption did: `m5.large → c5.large · 5 pods`.
fn story(event: &Disruption, types: &BTreeMap<&str, &str>) -> String {
    let names = |claims: &[std::sync::Arc<str>]| match claims {
        [claim] => types.get(&**claim).map_or("1 node".to_owned(), |name| (*name).to_owned()),
        _ => format!("{} nodes", claims.len()),
    };
    let gone = names(&event.nodes);
    let instead = if event.replacements.is_empty() {
        String::new()
    } else {
        format!(" → {}", names(&event.replacements))
    };
    format!("{gone}{instead} · {}", pods(event.evicted))
}

fn pods(evicted: u64) -> String {
    match evicted {
        1 => "1 pod".to_owned(),
        _ => format!("{} pods", grouped(evicted as f64, 0)),
    }
}

/// Name and colour of a row.
pub(super) const fn look(cause: Option<Cause>) -> (&'static str, Rgb) {
    match cause {
        Some(Cause::Empty) => ("Empty", SKY),
        Some(Cause::Underutilized) => ("Underutilized", BLUE),
        Some(Cause::Drifted) => ("Drifted", PURPLE),
        Some(Cause::Expired) => ("Expired", BLACK),
        Some(Cause::Interrupted) => ("Interrupted", VERMILLION),
        Some(Cause::Deleted | Cause::ScaleDown) | None => ("other", SECONDARY),
    }
}

/// Radius of a mark: its area grows with the number of evicted pods, between limits.
fn radius(evicted: u64) -> f64 {
    3.5 + libm::sqrt(evicted.min(40) as f64)
}

/// Circle, square, diamond, triangle, cross, bar.
pub(super) fn shape(
    canvas: &mut Canvas,
    cause: Option<Cause>,
    (x, y): (f64, f64),
    r: f64,
    color: Rgb,
) -> Result<()> {
    let polygon: Vec<(f64, f64)> = match cause {
        Some(Cause::Empty) => (0..24)
            .map(|i| {
                let angle = f64::from(i) * std::f64::consts::TAU / 24.0;
                (x + r * libm::cos(angle), y + r * libm::sin(angle))
            })
            .collect(),
        Some(Cause::Drifted) => vec![(x, y - r), (x + r, y), (x, y + r), (x - r, y)],
        Some(Cause::Expired) => vec![(x - r, y + r), (x + r, y + r), (x, y - r)],
        Some(Cause::Interrupted) => {
            let width = r / 1.6;
            canvas.line((x - r, y - r), (x + r, y + r), width, color)?;
            return canvas.line((x - r, y + r), (x + r, y - r), width, color);
        }
        Some(Cause::Underutilized) => square(x, y, 0.85 * r, 0.85 * r),
        Some(Cause::Deleted | Cause::ScaleDown) | None => square(x, y, 0.4 * r, r),
    };
    canvas.polygon(&polygon, color)
}

fn square(x: f64, y: f64, half_width: f64, half_height: f64) -> Vec<(f64, f64)> {
    vec![
        (x - half_width, y - half_height),
        (x + half_width, y - half_height),
        (x + half_width, y + half_height),
        (x - half_width, y + half_height),
    ]
}
