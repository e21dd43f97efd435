//! The last row of a run's picture: how long pods waited, and how long nodes lived.

use anyhow::Result;

use super::axis::{ValueAxis, grouped, span_text};
use super::canvas::{Align, Area, Canvas};
use super::chart::Scene;
use super::frame::{self, NOTE, TICK};
use super::layout::Panel;
use super::palette::{BLUE, GRID, SECONDARY, SKY, VERMILLION};
use crate::outcome::Distribution;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Ticks of the logarithmic axis of waits, in milliseconds.
const WAITS: [(i64, &str); 12] = [
    (100, "0.1 s"),
    (SECOND, "1 s"),
    (10 * SECOND, "10 s"),
    (30 * SECOND, "30 s"),
    (MINUTE, "1 min"),
    (2 * MINUTE, "2 min"),
    (10 * MINUTE, "10 min"),
    (HOUR, "1 h"),
    (6 * HOUR, "6 h"),
    (DAY, "1 d"),
    (7 * DAY, "7 d"),
    (30 * DAY, "30 d"),
];

/// Bounds of the bins of lifetimes, in milliseconds. Each bin is about twice as long as the one before.
const LIVES: [(i64, &str); 15] = [
    (MINUTE, "1m"),
    (2 * MINUTE, "2m"),
    (5 * MINUTE, "5m"),
    (10 * MINUTE, "10m"),
    (20 * MINUTE, "20m"),
    (40 * MINUTE, "40m"),
    (HOUR + HOUR / 2, "1.5h"),
    (3 * HOUR, "3h"),
    (6 * HOUR, "6h"),
    (12 * HOUR, "12h"),
    (DAY, "1d"),
    (2 * DAY, "2d"),
    (4 * DAY, "4d"),
    (8 * DAY, "8d"),
    (16 * DAY, "16d"),
];
/// Bins that end at this bound or before are short lives.
const SHORT_LIFE: i64 = 10 * MINUTE;

/// Draws both, where the picture is high enough for them.
pub fn distributions(canvas: &mut Canvas, scene: &Scene) -> Result<()> {
    let Some((waits, lives)) = &scene.layout.distributions else {
        return Ok(());
    };
    pod_waits(canvas, waits, &scene.result.pod_waits)?;
    let created = scene.result.ledger.entries.len() as u64;
    node_lifetimes(canvas, lives, &scene.result.node_lifetimes, created)
}

/// The share of pods that waited at most so long: a step for each wait, so that no tail is smoothed away.
fn pod_waits(canvas: &mut Canvas, panel: &Panel, waits: &Distribution) -> Result<()> {
    let plot = &panel.plot;
    let remark = match waits.max() {
        Some(longest) => {
            let count = grouped(waits.count() as f64, 0);
            format!("{count} pods · longest wait {}", span_text(longest))
        }
        None => String::new(),
    };
    frame::titles(canvas, panel, "How long pods waited", "% of pods", &remark)?;
    let values = ValueAxis::percent(plot.top, plot.bottom);
    frame::value_grid(canvas, &values, plot, "")?;
    let Some((shortest, longest)) = waits.iter().next().map(|(ms, _)| ms).zip(waits.max()) else {
        return nothing(canvas, plot, "no pods");
    };
    let axis = LogAxis::new(shortest, longest, plot);
    let mut free = f64::MIN;
    for (ms, name) in WAITS {
        let x = axis.x(ms);
        if ms < axis.from || ms > axis.to {
            continue;
        }
        canvas.fill(Area::new(x, plot.top, x + 1.0, plot.bottom + 4.0), GRID, 1.0)?;
        let half = canvas.text_width(name, TICK) / 2.0;
        if x - half >= free {
            canvas.text(name, (x, plot.bottom + 17.0), Align::Middle, TICK)?;
            free = x + half + 8.0;
        }
    }
    let mut from = (plot.left, plot.bottom);
    let mut seen = 0;
    for (ms, count) in waits.iter() {
        seen += count;
        let x = axis.x(ms).max(from.0);
        let y = values.y(100.0 * seen as f64 / waits.count() as f64);
        canvas.fill(Area::new(from.0, from.1 - 1.0, x, from.1 + 1.0), BLUE, 1.0)?;
        canvas.fill(Area::new(x - 1.0, y - 1.0, x + 1.0, from.1 + 1.0), BLUE, 1.0)?;
        from = (x, y);
    }
    canvas.fill(Area::new(from.0, from.1 - 1.0, plot.right, from.1 + 1.0), BLUE, 1.0)?;
    quantiles(canvas, plot, &values, &axis, waits)
}

/// Marks p50, p95 and p99; the latter two, which are always close to each other, share a label.
fn quantiles(
    canvas: &mut Canvas,
    plot: &Area,
    values: &ValueAxis,
    axis: &LogAxis,
    waits: &Distribution,
) -> Result<()> {
    let mut taken: Vec<Area> = Vec::new();
    for group in [&[50][..], &[95, 99][..]] {
        let marks: Vec<(u64, i64)> =
            group.iter().filter_map(|p| Some((*p, waits.percentile(*p)?))).collect();
        let texts: Vec<String> =
            marks.iter().map(|(percent, ms)| format!("p{percent} {}", span_text(*ms))).collect();
        let text = texts.join(" · ");
        let places = marks.iter().map(|(percent, ms)| (axis.x(*ms), values.y(*percent as f64)));
        let places: Vec<(f64, f64)> = places.collect();
        for (x, y) in &places {
            let diamond = [(*x, y - 4.5), (x + 4.5, *y), (*x, y + 4.5), (x - 4.5, *y)];
            canvas.polygon(&diamond, VERMILLION)?;
        }
        let Some(((first, y), (last, _))) = places.first().zip(places.last()) else { continue };
        let lines = [4.0, 18.0, 32.0];
        let left = lines.map(|down| ((first - 9.0, y + down), Align::Right));
        let right = lines.map(|down| ((last + 9.0, y + down), Align::Left));
        let free = |area: &Area| {
            let inside = area.left >= plot.left && area.right <= plot.right;
            inside && area.bottom <= plot.bottom && !taken.iter().any(|other| other.overlaps(area))
        };
        let found = left
            .into_iter()
            .zip(right)
            .flat_map(|(left, right)| [left, right])
            .map(|(at, align)| (at, align, frame::label_area(canvas, &text, at, align)))
            .find(|(_, _, area)| free(area));
        if let Some((at, align, area)) = found {
            frame::label(canvas, &text, at, align)?;
            taken.push(area);
        }
    }
    Ok(())
}

/// How many nodes lived how long. Bins have about the same width on a logarithmic scale.
fn node_lifetimes(
    canvas: &mut Canvas,
    panel: &Panel,
    lives: &Distribution,
    created: u64,
) -> Result<()> {
    let plot = &panel.plot;
    let short = lives.count_below(SHORT_LIFE);
    // Of all nodes, as in the figures; those that live are in no bin.
    let share = match created {
        0 => String::new(),
        _ => format!("{} % below 10 min · ", grouped(100.0 * short as f64 / created as f64, 1)),
    };
    let living = created.saturating_sub(lives.count());
    let remark = format!("{share}{} live on", grouped(living as f64, 0));
    frame::titles(canvas, panel, "How long nodes lived", "nodes", &remark)?;
    let counts = bins(lives);
    let highest = counts.iter().max().copied().unwrap_or(0);
    let values = ValueAxis::counts(highest as f64, plot.top, plot.bottom);
    frame::value_grid(canvas, &values, plot, "")?;
    if lives.count() == 0 {
        return nothing(canvas, plot, "no node was terminated");
    }
    let width = plot.width() / counts.len() as f64;
    for (i, count) in counts.iter().enumerate() {
        let left = plot.left + width * i as f64;
        let bar = Area::new(left + 1.0, values.y(*count as f64), left + width - 1.0, plot.bottom);
        let short = LIVES.get(i).is_some_and(|(bound, _)| *bound <= SHORT_LIFE);
        if *count > 0 {
            canvas.fill(bar, if short { VERMILLION } else { SKY }, 1.0)?;
            let text = grouped(*count as f64, 0);
            if canvas.text_width(&text, NOTE) <= width {
                canvas.text(&text, (left + width / 2.0, bar.top - 3.0), Align::Middle, NOTE)?;
            }
        }
    }
    let mut free = f64::MIN;
    for (i, (_, name)) in LIVES.iter().enumerate() {
        let x = plot.left + width * (i + 1) as f64;
        canvas.fill(Area::new(x, plot.bottom, x + 1.0, plot.bottom + 4.0), SECONDARY, 1.0)?;
        let half = canvas.text_width(name, TICK) / 2.0;
        if x - half >= free {
            canvas.text(name, (x, plot.bottom + 17.0), Align::Middle, TICK)?;
            free = x + half + 6.0;
        }
    }
    Ok(())
}

/// The number of values below the first bound, between the bounds, and from the last one on.
fn bins(lives: &Distribution) -> Vec<u64> {
    let mut below = 0;
    let mut counts = Vec::with_capacity(LIVES.len() + 1);
    for (bound, _) in LIVES {
        let upto = lives.count_below(bound);
        counts.push(upto - below);
        below = upto;
    }
    counts.push(lives.count() - below);
    counts
}

fn nothing(canvas: &mut Canvas, plot: &Area, text: &str) -> Result<()> {
    let middle = ((plot.left + plot.right) / 2.0, (plot.top + plot.bottom) / 2.0 + 4.0);
    frame::label(canvas, text, middle, Align::Middle)?;
    Ok(())
}

/// A logarithmic axis of milliseconds; what is shorter than its start lies at its left end.
struct LogAxis {
    from: i64,
    to: i64,
    left: f64,
    right: f64,
}

impl LogAxis {
    /// From the last tick below the shortest to the first tick above the longest.
    fn new(shortest: i64, longest: i64, plot: &Area) -> LogAxis {
        let ticks = WAITS.iter().map(|(ms, _)| *ms);
        let from = ticks.clone().rfind(|ms| *ms <= shortest).unwrap_or(WAITS[0].0);
        let to = ticks.clone().find(|ms| *ms > longest.max(from)).unwrap_or(longest);
        LogAxis { from, to, left: plot.left, right: plot.right }
    }

    fn x(&self, ms: i64) -> f64 {
        let place = |ms: i64| libm::log10(ms.clamp(self.from, self.to) as f64);
        let (from, to) = (place(self.from), place(self.to));
        self.left + (place(ms) - from) / (to - from) * (self.right - self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_life_is_in_one_bin() {
        let mut lives = Distribution::default();
        for ms in [0, MINUTE - 1, MINUTE, 9 * MINUTE, 10 * MINUTE, 16 * DAY, 400 * DAY] {
            lives.add(ms);
        }
        let counts = bins(&lives);
        assert_eq!(counts.len(), 16);
        assert_eq!((counts[0], counts[1], counts[3], counts[4], counts[15]), (2, 1, 1, 1, 2));
        assert_eq!(counts.iter().sum::<u64>(), lives.count());
    }

    #[test]
    fn waits_of_any_length_lie_on_the_axis() {
        let plot = Area::new(100.0, 0.0, 500.0, 80.0);
        for (shortest, longest) in [(0, 0), (0, 400 * DAY), (40 * DAY, 50 * DAY), (5, 5)] {
            let axis = LogAxis::new(shortest, longest, &plot);
            for ms in [shortest, longest] {
                assert!((100.0..=500.0).contains(&axis.x(ms)), "{shortest} {longest} {ms}");
            }
        }
    }
}
