//! The last band of a comparison: how the policies' bills part over time, and cost against evictions.

use anyhow::Result;

use super::axis::{TimeAxis, ValueAxis};
use super::canvas::{Align, Area, Canvas};
use super::comparison::{Comparison, Interval};
use super::frame::{self, NOTE, TICK, TITLE};
use super::header;
use super::palette::{BLACK, GRID, POLICIES, Rgb, SECONDARY, WHITE};
use super::signed_axis::SignedAxis;
use crate::outcome::RunResult;
use crate::units::SimTime;

/// Share of the width for the bills; the rest is for the scatter.
const BILLS_SHARE: f64 = 0.64;
/// Room between the two for the axis of the scatter.
const BETWEEN: f64 = 106.0;
/// Room right of the bills for their names.
const NAMES: f64 = 190.0;

/// Draws both plots.
pub fn draw(canvas: &mut Canvas, comparison: &Comparison, area: &Area) -> Result<()> {
    let middle = area.left + libm::floor(area.width() * BILLS_SHARE);
    let (top, bottom) = (area.top + 12.0, area.bottom - 44.0);
    bills(canvas, comparison, &Area::new(area.left, top, middle - NAMES, bottom))?;
    scatter(canvas, comparison, &Area::new(middle + BETWEEN, top, area.right, bottom))
}

/// The bill so far less that of the first policy, of the runs that are drawn above.
fn bills(canvas: &mut Canvas, comparison: &Comparison, plot: &Area) -> Result<()> {
    let Some((first, others)) = comparison.policies.split_first() else {
        return Ok(());
    };
    let end = comparison.policies.iter().map(|p| p.run.end.max(SimTime::from_ms(1))).max();
    let end = end.unwrap_or(SimTime::from_ms(1));
    let axis = TimeAxis::new(&[], end.ms(), plot.left, plot.right);
    let step = 1.0 / f64::from(canvas.scale());
    let count = libm::floor(plot.width() / step) as usize;
    let instants: Vec<f64> =
        (0..count).map(|i| axis.instant(plot.left + (i as f64 + 1.0) * step)).collect();
    let difference = |run: &RunResult| -> Vec<f64> {
        instants.iter().map(|ms| bill_at(run, *ms) - bill_at(first.run, *ms)).collect()
    };
    let curves: Vec<Vec<f64>> = others.iter().map(|policy| difference(policy.run)).collect();
    let bounds = curves.iter().flatten().copied();
    let values = SignedAxis::new(bounds, (plot.bottom, plot.top), 0.1, 34.0);
    titles(canvas, plot, ("Bill so far, less the first policy's", "$", "the run drawn above"))?;
    let ticks = axis.ticks(header::start(&comparison.header), 86.0);
    let places: Vec<f64> = ticks.iter().map(|tick| tick.x).collect();
    frame::time_grid(canvas, &axis, &places, plot)?;
    for value in values.ticks() {
        let y = values.place(value);
        let line = Area::new(plot.left - 4.0, y, plot.right, y + 1.0);
        canvas.fill(line, if value == 0.0 { BLACK } else { GRID }, 1.0)?;
        // The highest label must not touch the unit above.
        let baseline = (y + 4.0).max(plot.top + 9.0);
        canvas.text(&values.text(value), (plot.left - 10.0, baseline), Align::Right, TICK)?;
    }
    let base = Area::new(plot.left, plot.bottom, plot.right, plot.bottom + 1.0);
    canvas.fill(base, SECONDARY, 1.0)?;
    frame::time_tick_labels(canvas, &ticks, plot, frame::Overhang(20.0))?;
    let mut ends: Vec<(f64, usize)> = Vec::new();
    for (i, curve) in curves.iter().enumerate() {
        let color = POLICIES[(i + 1) % POLICIES.len()];
        let mut before = values.place(0.0);
        for (x, value) in curve.iter().enumerate() {
            let (y, left) = (values.place(*value), plot.left + x as f64 * step);
            let (high, low) = (before.min(y) - 1.0, before.max(y) + 1.0);
            canvas.fill(Area::new(left, high, left + step, low), color, 1.0)?;
            before = y;
        }
        ends.push((before, i + 1));
    }
    names_beside(canvas, comparison, ends, plot)
}

/// Names at the right ends of the curves, moved apart where they would touch.
fn names_beside(
    canvas: &mut Canvas,
    comparison: &Comparison,
    mut ends: Vec<(f64, usize)>,
    plot: &Area,
) -> Result<()> {
    ends.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
    let spacing = 15.0_f64.min((plot.bottom - plot.top) / ends.len().max(1) as f64);
    let mut free = plot.top + 4.0;
    let mut left = ends.len() as f64;
    for (y, policy) in ends {
        // As far down as those before it ask for, as far up as those behind it leave room.
        let baseline = (y + 4.0).max(free).min(plot.bottom - spacing * (left - 1.0));
        let color = POLICIES[policy % POLICIES.len()];
        let swatch = plot.right + 8.0;
        canvas.fill(Area::new(swatch, baseline - 9.0, swatch + 10.0, baseline), color, 1.0)?;
        let name = canvas.shorten(&comparison.policies[policy].name, TICK, NAMES - 24.0);
        canvas.text(&name, (swatch + 16.0, baseline), Align::Left, TICK)?;
        free = baseline + spacing;
        left -= 1.0;
    }
    Ok(())
}

/// The bill up to an instant in milliseconds: straight lines between the points.
fn bill_at(run: &RunResult, ms: f64) -> f64 {
    let points = &run.series.cumulative_cost;
    let dollars = |index: usize| points[index].1.nano() as f64 * 1e-9;
    let after = points.partition_point(|(at, _)| (at.ms() as f64) <= ms);
    match (after.checked_sub(1), after < points.len()) {
        (None, _) => 0.0,
        (Some(before), false) => dollars(before),
        (Some(before), true) => {
            let (from, to) = (points[before].0.ms() as f64, points[after].0.ms() as f64);
            dollars(before) + (dollars(after) - dollars(before)) * (ms - from) / (to - from)
        }
    }
}

/// A policy with its evictions and its cost.
type Point = (usize, Interval, Interval);

/// Cost against evictions, a point each policy with its 95 % intervals. Hollow: another policy is no worse in both and
/// better in one.
fn scatter(canvas: &mut Canvas, comparison: &Comparison, plot: &Area) -> Result<()> {
    titles(canvas, plot, ("Cost against evictions", "$ per month", "hollow: dominated"))?;
    let policies = comparison.policies.iter().enumerate();
    let points: Vec<Point> =
        policies.filter_map(|(i, policy)| policy.tradeoff.map(|(x, y)| (i, x, y))).collect();
    let highest = |of: fn(&Point) -> f64| points.iter().map(of).fold(0.0_f64, f64::max);
    // An upright axis of two thirds of the width, laid down: its labels need more room than lines do.
    let length = plot.width() / 1.5;
    let upright = ValueAxis::dollars(highest(|p| p.1.most.1), 0.0, length);
    let across = |value: f64| plot.left + (length - upright.y(value)) * 1.5;
    let up = ValueAxis::dollars(highest(|p| p.2.most.1), plot.top, plot.bottom);
    frame::value_grid(canvas, &up, plot, "$")?;
    let mut free = f64::MIN;
    for value in upright.ticks() {
        let x = across(value);
        canvas.fill(Area::new(x, plot.top, x + 1.0, plot.bottom + 4.0), GRID, 1.0)?;
        let text = upright.text(value);
        let half = canvas.text_width(&text, TICK) / 2.0;
        if x - half >= free && x + half <= plot.right + 12.0 {
            canvas.text(&text, (x, plot.bottom + 18.0), Align::Middle, TICK)?;
            free = x + half + 12.0;
        }
    }
    let at = ((plot.left + plot.right) / 2.0, plot.bottom + 36.0);
    canvas.text("evictions per pod and day", at, Align::Middle, frame::AXIS_TITLE)?;
    let dominated = |x: &Interval, y: &Interval| {
        points.iter().any(|(_, a, b)| {
            let no_worse = a.value <= x.value && b.value <= y.value;
            no_worse && (a.value < x.value || b.value < y.value)
        })
    };
    for (policy, x, y) in &points {
        let color = POLICIES[policy % POLICIES.len()];
        let (at_x, at_y) = (across(x.value), up.y(y.value));
        let (left, right) = (across(x.most.0.max(0.0)), across(x.most.1));
        canvas.fill(Area::new(left, at_y - 1.0, right, at_y + 1.0), color, 1.0)?;
        let (top, bottom) = (up.y(y.most.1), up.y(y.most.0.max(0.0)));
        canvas.fill(Area::new(at_x - 1.0, top, at_x + 1.0, bottom), color, 1.0)?;
        point(canvas, (at_x, at_y), color, dominated(x, y))?;
    }
    Ok(())
}

fn point(canvas: &mut Canvas, at: (f64, f64), color: Rgb, hollow: bool) -> Result<()> {
    canvas.polygon(&frame::circle(at, 7.0), WHITE)?;
    canvas.polygon(&frame::circle(at, 5.5), color)?;
    if hollow {
        canvas.polygon(&frame::circle(at, 3.5), WHITE)?;
    }
    Ok(())
}

fn titles(
    canvas: &mut Canvas,
    plot: &Area,
    (title, unit, remark): (&str, &str, &str),
) -> Result<()> {
    let baseline = plot.top - 8.0;
    canvas.text(title, (plot.left, baseline), Align::Left, TITLE)?;
    canvas.text(unit, (plot.left - 10.0, baseline), Align::Right, frame::AXIS_TITLE)?;
    canvas.text(remark, (plot.right, baseline), Align::Right, NOTE)
}
