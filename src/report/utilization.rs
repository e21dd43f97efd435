//! The panel of what pods request of what nodes offer.

use anyhow::Result;

use super::axis::{ValueAxis, grouped};
use super::canvas::{Align, Area, Canvas};
use super::chart::Scene;
use super::frame::{self, KeyEntry, TICK};
use super::palette::{BLUE, GREEN, Rgb};
use super::raster::{Column, columns};
use crate::outcome::Steps;
use crate::units::SimTime;

/// Steps of a ratio count in these parts, so that they stay whole numbers.
const PER_PERCENT: i128 = 100;
/// Stands for "no node": there is nothing to have a share of.
const NOTHING: i64 = -1;
/// Length of a dash and of a dash with its gap, in logical pixels.
const DASH: (f64, f64) = (7.0, 11.0);
/// Distance of the labels at the right end.
const LABEL_LINE: f64 = 14.0;

/// Requested over allocatable, of all nodes together: CPU solid, memory dashed. Faint where it changed within one
/// column of pixels; no line where there is no node.
pub fn utilization(canvas: &mut Canvas, scene: &Scene) -> Result<()> {
    let (panel, series) = (&scene.layout.utilization, &scene.result.series);
    let plot = &panel.plot;
    let resources = [
        ("cpu", BLUE, &series.requested_cpu_milli, &series.allocatable_cpu_milli),
        ("memory", GREEN, &series.requested_memory_bytes, &series.allocatable_memory_bytes),
    ];
    let means = resources.iter().map(|(name, _, requested, allocatable)| {
        let offered = allocatable.integral(scene.end);
        match offered {
            0 => format!("{name} -"),
            _ => {
                let share = requested.integral(scene.end) as f64 / offered as f64;
                format!("{name} {} %", grouped(100.0 * share, 1))
            }
        }
    });
    let remark = format!("mean over node time: {}", means.collect::<Vec<_>>().join(" · "));
    let title = "Requested of allocatable";
    let free = frame::titles(canvas, panel, title, "% requested", &remark)?;
    let key = [("cpu", BLUE), ("memory (dashed)", GREEN)]
        .map(|(name, color)| KeyEntry { name: name.to_owned(), color });
    let places = frame::key_places(canvas, &key, free, (plot.left, plot.right));
    frame::key(canvas, &key, &places, panel.title)?;
    let values = ValueAxis::percent(plot.top, plot.bottom);
    frame::time_grid(canvas, scene.axis, scene.ticks, plot)?;
    frame::value_grid(canvas, &values, plot, "")?;
    let mut ends: Vec<(&str, f64)> = Vec::new();
    for (name, color, requested, allocatable) in resources {
        let shares = columns(&ratio(requested, allocatable), scene.axis, canvas.scale(), 0.01);
        draw(canvas, plot, &values, &shares, color, name == "memory")?;
        let last = shares.last().filter(|column| column.last >= 0.0);
        ends.extend(last.map(|column| (name, column.last)));
    }
    frame::cuts(canvas, scene.axis, plot)?;
    end_labels(canvas, plot, &values, ends)
}

/// One step function over another in hundredths of a per cent.
fn ratio(part: &Steps, whole: &Steps) -> Steps {
    let instants = |steps: &Steps| steps.points().iter().map(|(at, _)| *at).collect::<Vec<_>>();
    let mut all: Vec<SimTime> = instants(part);
    all.extend(instants(whole));
    all.sort_unstable();
    all.dedup();
    let mut ratio = Steps::default();
    ratio.set(SimTime::ZERO, NOTHING);
    for at in all {
        let share = (i128::from(part.value_at(at)) * 100 * PER_PERCENT)
            .checked_div(i128::from(whole.value_at(at)))
            .and_then(|share| i64::try_from(share).ok());
        ratio.set(at, share.unwrap_or(NOTHING));
    }
    ratio
}

fn draw(
    canvas: &mut Canvas,
    plot: &Area,
    values: &ValueAxis,
    shares: &[Column],
    color: Rgb,
    dashed: bool,
) -> Result<()> {
    let step = 1.0 / f64::from(canvas.scale());
    let mut before: Option<f64> = None;
    for (i, column) in shares.iter().enumerate() {
        let x = plot.left + i as f64 * step;
        // Where nodes came or went altogether there is no lowest share.
        if column.min >= 0.0 && column.max > column.min {
            let (top, bottom) = (values.y(column.max), values.y(column.min));
            canvas.fill(Area::new(x, top, x + step, bottom), color, 0.35)?;
        }
        if column.last < 0.0 {
            before = None;
            continue;
        }
        let y = values.y(column.last);
        let on = !dashed || (x - plot.left) % DASH.1 < DASH.0;
        if on {
            canvas.fill(Area::new(x, y - 1.0, x + step, y + 1.0), color, 1.0)?;
        }
        if let Some(from) = before.filter(|from| *from != y) {
            let rise = Area::new(x, from.min(y) - 1.0, x + step.max(1.0), from.max(y) + 1.0);
            canvas.fill(rise, color, 1.0)?;
        }
        before = Some(y);
    }
    Ok(())
}

/// Names the lines at their right ends, the lower one moved down where the two would touch.
fn end_labels(
    canvas: &mut Canvas,
    plot: &Area,
    values: &ValueAxis,
    mut ends: Vec<(&str, f64)>,
) -> Result<()> {
    ends.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let mut free = plot.top;
    for (i, (name, share)) in ends.iter().enumerate() {
        let below = LABEL_LINE * (ends.len() - 1 - i) as f64;
        let baseline = (values.y(*share) + 4.0).min(plot.bottom + 4.0 - below).max(free);
        let text = format!("{name} {} %", grouped(*share, 1));
        canvas.text(&text, (plot.right + 8.0, baseline), Align::Left, TICK)?;
        free = baseline + LABEL_LINE;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_what_nodes_offer_and_missing_without_nodes() {
        let mut part = Steps::default();
        let mut whole = Steps::default();
        whole.set(SimTime::from_seconds(1), 2_000);
        part.set(SimTime::from_seconds(2), 500);
        whole.set(SimTime::from_seconds(3), 0);
        part.set(SimTime::from_seconds(3), 0);
        let ratio = ratio(&part, &whole);
        let at = |s| ratio.value_at(SimTime::from_seconds(s));
        assert_eq!([at(0), at(1), at(2), at(3)], [NOTHING, 0, 2_500, NOTHING]);
    }
}
