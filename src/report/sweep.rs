//! Sweeps over one parameter as one PNG: each metric against it, a line each policy, with intervals.

use anyhow::{Result, ensure};

use super::axis::{ValueAxis, counted};
use super::canvas::{Align, Area, Canvas};
use super::comparison::Interval;
use super::frame::{self, TICK, TITLE};
use super::header;
use super::layout::MARGIN;
use super::palette::{POLICIES, Rgb, SECONDARY, VERMILLION, WHITE};
use super::png::{self, PngOptions};
use crate::outcome::Header;

/// Metrics of one picture.
const METRIC_LIMIT: usize = 4;
/// Free space between a value and its neighbour of another kind on the parameter's axis, as a share of the width.
const END_GAP: f64 = 0.12;
/// Policies of one picture.
pub const LINE_LIMIT: usize = POLICIES.len();
/// Pixels between the points of two policies at one setting, so that their intervals can be told apart.
const DODGE: f64 = 7.0;
/// Height of the key of policies.
const KEY: f64 = 26.0;

/// A value of the parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// As users write it: `5m`, `0s`, `Never`.
    pub label: String,
    /// Where it lies.
    pub place: Place,
}

/// Where a value lies on the parameter's logarithmic axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// At the left end, apart from the others: zero has no logarithm.
    Zero,
    /// A positive number in any unit, the same for all settings.
    At(f64),
    /// At the right end, apart from the others.
    Never,
}

/// A metric at each setting.
#[derive(Clone, Debug, PartialEq)]
pub struct SweptMetric {
    /// Its name: `cost`.
    pub name: String,
    /// Its unit: `$ per month`.
    pub unit: String,
    /// For each policy one estimate for each setting, in their orders; none where the runs failed.
    pub lines: Vec<Vec<Option<Interval>>>,
}

/// A sweep over one parameter.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Title.
    pub title: String,
    /// What all runs have in common.
    pub common: String,
    /// The parameter's path.
    pub parameter: String,
    /// Its values.
    pub settings: Vec<Setting>,
    /// Names of the policies; a single one is not named on the picture.
    pub policies: Vec<String>,
    /// Index of the setting in force.
    pub current: Option<usize>,
    /// Replications of each setting.
    pub replications: u32,
    /// One to four: cost, evictions, nodes created, waits at p95.
    pub metrics: Vec<SweptMetric>,
    /// Where it all comes from.
    pub header: Header,
}

/// Draws a sweep over one parameter.
pub fn draw(sweep: &Sweep, options: &PngOptions) -> Result<Vec<u8>> {
    ensure!(
        (1..=METRIC_LIMIT).contains(&sweep.metrics.len()),
        "1 to {METRIC_LIMIT} metrics can be drawn"
    );
    let count = sweep.policies.len();
    ensure!((1..=LINE_LIMIT).contains(&count), "1 to {LINE_LIMIT} policies can be drawn");
    let of_all = |line: &Vec<Option<Interval>>| line.len() == sweep.settings.len();
    let complete = |m: &SweptMetric| m.lines.len() == count && m.lines.iter().all(of_all);
    ensure!(
        sweep.metrics.iter().all(complete) && !sweep.settings.is_empty(),
        "a metric needs an estimate for each policy and setting"
    );
    png::picture(&sweep.header, options, |canvas, width, height| {
        let remark = format!(
            "{} a setting, points with 95 % intervals · {}",
            counted(sweep.replications.into(), "replication"),
            sweep.header.semantics
        );
        header::plain(canvas, (&sweep.title, &sweep.common, &remark), width)?;
        let key = if count > 1 { KEY } else { 0.0 };
        policy_key(canvas, sweep, width)?;
        let columns = if sweep.metrics.len() > 1 { 2.0 } else { 1.0 };
        let rows = if sweep.metrics.len() > 2 { 2.0 } else { 1.0 };
        let (each_x, each_y) =
            ((width - 2.0 * MARGIN) / columns, (height - 2.0 * MARGIN - 120.0 - key) / rows);
        for (i, metric) in sweep.metrics.iter().enumerate() {
            let left = MARGIN + each_x * (i % 2) as f64 + 90.0;
            let top = MARGIN + 92.0 + key + each_y * (i / 2) as f64 + 34.0;
            let plot = Area::new(left, top, left + each_x - 120.0, top + each_y - 96.0);
            panel(canvas, sweep, metric, &plot)?;
        }
        header::footer(canvas, &sweep.header, height - MARGIN, width)
    })
}

/// Names of the policies in their colours, below the header.
fn policy_key(canvas: &mut Canvas, sweep: &Sweep, width: f64) -> Result<()> {
    if sweep.policies.len() < 2 {
        return Ok(());
    }
    let (mut x, baseline) = (MARGIN + 90.0, MARGIN + 100.0);
    let room = (width - MARGIN - x) / sweep.policies.len() as f64 - 40.0;
    for (name, color) in sweep.policies.iter().zip(POLICIES) {
        canvas.polygon(&frame::circle((x + 5.0, baseline - 4.5), 5.5), color)?;
        let name = canvas.shorten(name, TICK, room);
        canvas.text(&name, (x + 16.0, baseline), Align::Left, TICK)?;
        x += 16.0 + canvas.text_width(&name, TICK) + 24.0;
    }
    Ok(())
}

fn panel(canvas: &mut Canvas, sweep: &Sweep, metric: &SweptMetric, plot: &Area) -> Result<()> {
    canvas.text(&metric.name, (plot.left, plot.top - 10.0), Align::Left, TITLE)?;
    let unit_at = (plot.left - 10.0, plot.top - 10.0);
    let unit = canvas.shorten(&metric.unit, frame::AXIS_TITLE, 80.0);
    canvas.text(&unit, unit_at, Align::Right, frame::AXIS_TITLE)?;
    let all = metric.lines.iter().flatten().flatten();
    let highest = all.map(|i| i.most.1).fold(0.0, f64::max);
    let values = ValueAxis::dollars(highest, plot.top, plot.bottom);
    frame::value_grid(canvas, &values, plot, "")?;
    let places = places(&sweep.settings, plot);
    parameter_labels(canvas, sweep, &places, plot)?;
    if let Some(x) = sweep.current.and_then(|i| places.get(i)) {
        let mut y = plot.top;
        while y < plot.bottom {
            canvas.fill(Area::new(*x, y, x + 1.0, (y + 5.0).min(plot.bottom)), SECONDARY, 1.0)?;
            y += 9.0;
        }
    }
    let middle = (sweep.policies.len() as f64 - 1.0) / 2.0;
    for (policy, estimates) in metric.lines.iter().enumerate() {
        let aside = (policy as f64 - middle) * DODGE;
        let places: Vec<f64> = places.iter().map(|x| x + aside).collect();
        line(canvas, sweep, estimates, (&places, &values), POLICIES[policy % POLICIES.len()])?;
    }
    // A knee of several lines would be a matter of taste.
    let estimates = metric.lines.first().filter(|_| metric.lines.len() == 1);
    if let Some(knee) = estimates.and_then(|line| knee(&sweep.settings, line)) {
        let estimate = estimates.and_then(|line| line[knee]);
        let (x, y) = (places[knee], estimate.map_or(0.0, |e| values.y(e.value)));
        let text = format!("knee {} (farthest from the chord)", sweep.settings[knee].label);
        let at = if x > (plot.left + plot.right) / 2.0 { Align::Right } else { Align::Left };
        let beside = if at == Align::Left { x + 12.0 } else { x - 12.0 };
        frame::label(canvas, &text, (beside, (y - 14.0).max(plot.top + 12.0)), at)?;
        ring(canvas, (x, y))?;
    }
    Ok(())
}

/// The points of one policy with their intervals, and thin lines between neighbours of one kind: none leads to `0s` or
/// `Never`.
fn line(
    canvas: &mut Canvas,
    sweep: &Sweep,
    estimates: &[Option<Interval>],
    (places, values): (&[f64], &ValueAxis),
    color: Rgb,
) -> Result<()> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for ((setting, estimate), x) in sweep.settings.iter().zip(estimates).zip(places) {
        if let (Place::At(_), Some(estimate)) = (setting.place, estimate) {
            points.push((*x, values.y(estimate.value)));
        }
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    for pair in points.windows(2) {
        canvas.line(pair[0], pair[1], 1.2, color)?;
    }
    for (i, (x, estimate)) in places.iter().zip(estimates).enumerate() {
        let Some(estimate) = estimate else {
            let zero = values.y(0.0);
            frame::label(canvas, "failed", (*x, zero - 6.0), Align::Middle)?;
            continue;
        };
        let (top, bottom) = (values.y(estimate.most.1), values.y(estimate.most.0.max(0.0)));
        canvas.fill(Area::new(x - 1.0, top, x + 1.0, bottom), color, 1.0)?;
        for y in [top, bottom] {
            canvas.fill(Area::new(x - 4.0, y - 1.0, x + 4.0, y + 1.0), color, 1.0)?;
        }
        let r = if sweep.current == Some(i) { 6.5 } else { 4.5 };
        let at = (*x, values.y(estimate.value));
        canvas.polygon(&frame::circle(at, r + 1.5), WHITE)?;
        canvas.polygon(&frame::circle(at, r), color)?;
    }
    Ok(())
}

fn ring(canvas: &mut Canvas, (x, y): (f64, f64)) -> Result<()> {
    let corners = frame::circle((x, y), 10.0);
    let nexts = corners.iter().skip(1).chain(corners.first());
    for (from, to) in corners.iter().zip(nexts) {
        canvas.line(*from, *to, 1.5, VERMILLION)?;
    }
    Ok(())
}

/// Where the settings lie: logarithmic between the ends, `0s` and `Never` apart at the ends.
fn places(settings: &[Setting], plot: &Area) -> Vec<f64> {
    let logs: Vec<f64> = settings
        .iter()
        .filter_map(|s| match s.place {
            Place::At(value) => Some(libm::log10(value.max(f64::MIN_POSITIVE))),
            _ => None,
        })
        .collect();
    let (low, high) =
        logs.iter().fold((f64::MAX, f64::MIN), |(low, high), log| (low.min(*log), high.max(*log)));
    let inner = |place: Place| settings.iter().any(|s| s.place == place);
    let gap = |there: bool| if there { END_GAP } else { 0.0 };
    let (left, right) = (plot.left + 24.0, plot.right - 24.0);
    let width = right - left;
    let from = left + width * gap(inner(Place::Zero));
    let to = right - width * gap(inner(Place::Never));
    let place = |setting: &Setting| match setting.place {
        Place::Zero => left,
        Place::Never => right,
        Place::At(_) if high <= low => (from + to) / 2.0,
        Place::At(value) => {
            let log = libm::log10(value.max(f64::MIN_POSITIVE));
            from + (log - low) / (high - low) * (to - from)
        }
    };
    settings.iter().map(place).collect()
}

fn parameter_labels(canvas: &mut Canvas, sweep: &Sweep, places: &[f64], plot: &Area) -> Result<()> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|a, b| places[*a].total_cmp(&places[*b]).then_with(|| a.cmp(b)));
    let mut free = f64::MIN;
    for i in order {
        let x = places[i];
        canvas.fill(Area::new(x, plot.bottom, x + 1.0, plot.bottom + 5.0), SECONDARY, 1.0)?;
        let label = canvas.shorten(&sweep.settings[i].label, TICK, 90.0);
        let half = canvas.text_width(&label, TICK) / 2.0;
        if x - half >= free {
            canvas.text(&label, (x, plot.bottom + 18.0), Align::Middle, TICK)?;
            free = x + half + 8.0;
        }
    }
    let middle = (plot.left + plot.right) / 2.0;
    let mut title = sweep.parameter.clone();
    if let Some(setting) = sweep.current.and_then(|i| sweep.settings.get(i)) {
        title.push_str(&format!(" (dashed: {}, in force)", setting.label));
    }
    let title = canvas.shorten(&title, frame::AXIS_TITLE, plot.width());
    canvas.text(&title, (middle, plot.bottom + 38.0), Align::Middle, frame::AXIS_TITLE)
}

/// The setting farthest from the chord between the first and the last number, both axes scaled to one; none where
/// there are fewer than four numbers, the curve departs from its chord by less than a tenth, or all of it lies within a
/// fiftieth of its height or within an interval.
fn knee(settings: &[Setting], estimates: &[Option<Interval>]) -> Option<usize> {
    let mut points: Vec<(f64, f64, usize)> = Vec::new();
    for (i, (setting, estimate)) in settings.iter().zip(estimates).enumerate() {
        if let (Place::At(value), Some(estimate)) = (setting.place, estimate) {
            points.push((libm::log10(value.max(f64::MIN_POSITIVE)), estimate.value, i));
        }
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.2.cmp(&b.2)));
    let (first, last) = (points.first()?, points.last()?);
    let low = points.iter().map(|p| p.1).fold(f64::MAX, f64::min);
    let high = points.iter().map(|p| p.1).fold(f64::MIN, f64::max);
    let widest = estimates.iter().flatten().map(|e| e.most.1 - e.most.0).fold(0.0, f64::max);
    let flat = high - low <= widest.max(high.abs() / 50.0);
    if points.len() < 4 || flat || last.0 <= first.0 {
        return None;
    }
    let distance = |point: &(f64, f64, usize)| {
        let across = (point.0 - first.0) / (last.0 - first.0);
        let chord = first.1 + across * (last.1 - first.1);
        ((point.1 - chord) / (high - low)).abs()
    };
    let farthest = points
        .iter()
        .max_by(|a, b| distance(a).total_cmp(&distance(b)).then_with(|| b.2.cmp(&a.2)))?;
    (distance(farthest) >= 0.1).then_some(farthest.2)
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn setting(label: &str, seconds: f64) -> Setting {
        let place = match label {
            "0s" => Place::Zero,
            "Never" => Place::Never,
            _ => Place::At(seconds),
        };
        Setting { label: label.to_owned(), place }
    }

    fn sweep() -> Sweep {
        let settings = [
            ("0s", 0.0),
            ("30s", 30.0),
            ("1m", 60.0),
            ("5m", 300.0),
            ("15m", 900.0),
            ("1h", 3_600.0),
            ("Never", 0.0),
        ];
        let metric = |name: &str, unit: &str, values: [f64; 7]| SweptMetric {
            name: name.to_owned(),
            unit: unit.to_owned(),
            lines: vec![
                values
                    .map(|v| {
                        let around = |part: f64| (v - part * v, v + part * v);
                        Some(Interval { value: v, half: around(0.02), most: around(0.06) })
                    })
                    .to_vec(),
            ],
        };
        Sweep {
            title: "eks-workshop".to_owned(),
            common: "NodePool default: WhenEmptyOrUnderutilized, expireAfter 72h, budget 10%"
                .to_owned(),
            parameter: "NodePool/default:spec.disruption.consolidateAfter".to_owned(),
            settings: settings.map(|(label, s)| setting(label, s)).to_vec(),
            policies: vec!["workshop".to_owned()],
            current: Some(2),
            replications: 16,
            metrics: vec![
                metric("Cost", "$ per month", [400.0, 405.0, 412.0, 426.0, 470.0, 610.0, 900.0]),
                metric("Pods evicted", "per day", [240.0, 200.0, 188.0, 79.0, 40.0, 12.0, 0.0]),
                metric("Nodes created", "per day", [60.0, 50.0, 41.0, 19.0, 12.0, 6.0, 4.0]),
                metric("Pods wait, p95", "s", [52.0, 52.1, 52.1, 51.8, 51.0, 48.0, 46.0]),
            ],
            header: samples::workshop().header,
        }
    }

    #[test]
    fn sweeps_of_any_size_are_drawn() -> Result<()> {
        let options = PngOptions::default();
        let mut sweep = sweep();
        samples::keep("sweep", &draw(&sweep, &options)?)?;
        let mut three = sweep.clone();
        three.policies = ["calm", "eager", "a policy with a long name"].map(str::to_owned).to_vec();
        for metric in &mut three.metrics {
            let line = metric.lines[0].clone();
            let scaled = |by: f64| {
                let times = |(low, high): (f64, f64)| (low * by, high * by);
                let one = |i: &Interval| Interval {
                    value: i.value * by,
                    half: times(i.half),
                    most: times(i.most),
                };
                line.iter().map(|estimate| estimate.as_ref().map(one)).collect()
            };
            metric.lines = vec![line.clone(), scaled(1.1), scaled(0.7)];
        }
        samples::keep("sweep-3", &draw(&three, &options)?)?;
        sweep.metrics.truncate(1);
        sweep.metrics[0].lines[0][3] = None;
        samples::keep("sweep-1", &draw(&sweep, &options)?)?;
        sweep.settings.truncate(1);
        sweep.metrics[0].lines = vec![vec![None]];
        draw(&sweep, &options)?;
        sweep.settings.clear();
        assert!(draw(&sweep, &options).is_err());
        Ok(())
    }

    #[test]
    fn the_knee_is_farthest_from_the_chord_and_needs_a_bend() {
        let sweep = sweep();
        // Cost bends upwards between 30s and 1h; `0s` and `Never` take no part.
        assert_eq!(knee(&sweep.settings, &sweep.metrics[0].lines[0]), Some(4));
        let straight: Vec<Option<Interval>> = sweep
            .settings
            .iter()
            .map(|s| match s.place {
                Place::At(v) => {
                    let value = libm::log10(v);
                    Some(Interval { value, half: (value, value), most: (value, value) })
                }
                _ => None,
            })
            .collect();
        assert_eq!(knee(&sweep.settings, &straight), None);
    }
}
