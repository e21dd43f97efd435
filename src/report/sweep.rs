//! Sweeps as one PNG: each metric against one parameter with intervals, or as a heat map over two parameters.

use anyhow::{Result, ensure};

use super::axis::{ValueAxis, grouped};
use super::canvas::{Align, Area, Canvas, Ink};
use super::comparison::Interval;
use super::frame::{self, NOTE, TICK, TITLE};
use super::header;
use super::layout::MARGIN;
use super::palette::{BLACK, BLUE, GRID, Rgb, SECONDARY, VERMILLION, WHITE, cividis};
use super::png::{self, PngOptions};
use crate::outcome::Header;

/// Metrics of one picture.
const METRIC_LIMIT: usize = 4;
/// Free space between a value and its neighbour of another kind on the parameter's axis, as a share of the width.
const END_GAP: f64 = 0.12;
/// Smallest cells of a heat map whose values are printed.
const PRINTED_CELL: (f64, f64) = (40.0, 22.0);

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
    /// One estimate for each setting, in the settings' order; none where the runs failed.
    pub estimates: Vec<Option<Interval>>,
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
    /// Index of the setting in force.
    pub current: Option<usize>,
    /// Replications of each setting.
    pub replications: u32,
    /// One to four: cost, evictions, nodes created, waits at p95.
    pub metrics: Vec<SweptMetric>,
    /// Where it all comes from.
    pub header: Header,
}

/// A metric over two parameters.
#[derive(Clone, Debug)]
pub struct HeatMap {
    /// Title.
    pub title: String,
    /// What all runs have in common.
    pub common: String,
    /// The metric with its unit.
    pub metric: String,
    /// Digits after the point of printed values.
    pub decimals: usize,
    /// True when less is better.
    pub lower_is_better: bool,
    /// Path and labels of the parameter from left to right.
    pub across: (String, Vec<String>),
    /// Path and labels of the parameter from top to bottom.
    pub down: (String, Vec<String>),
    /// Rows of cells, from top to bottom.
    pub cells: Vec<Vec<Cell>>,
    /// Replications of each cell.
    pub replications: u32,
    /// Where it all comes from.
    pub header: Header,
}

/// A cell of a heat map.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cell {
    /// The mean; none where the runs failed.
    pub value: Option<f64>,
    /// An assertion of the scenario is violated.
    pub infeasible: bool,
}

/// Draws a sweep over one parameter.
pub fn draw(sweep: &Sweep, options: &PngOptions) -> Result<Vec<u8>> {
    ensure!(
        (1..=METRIC_LIMIT).contains(&sweep.metrics.len()),
        "1 to {METRIC_LIMIT} metrics can be drawn"
    );
    let complete = sweep.metrics.iter().all(|m| m.estimates.len() == sweep.settings.len());
    ensure!(complete && !sweep.settings.is_empty(), "a metric needs an estimate for each setting");
    png::picture(&sweep.header, options, |canvas, width, height| {
        let remark = format!(
            "{} replications a setting, points with 95 % intervals · {}",
            grouped(f64::from(sweep.replications), 0),
            sweep.header.semantics
        );
        header::plain(canvas, (&sweep.title, &sweep.common, &remark), width)?;
        let columns = if sweep.metrics.len() > 1 { 2.0 } else { 1.0 };
        let lines = if sweep.metrics.len() > 2 { 2.0 } else { 1.0 };
        let (each_x, each_y) =
            ((width - 2.0 * MARGIN) / columns, (height - 2.0 * MARGIN - 120.0) / lines);
        for (i, metric) in sweep.metrics.iter().enumerate() {
            let left = MARGIN + each_x * (i % 2) as f64 + 110.0;
            let top = MARGIN + 92.0 + each_y * (i / 2) as f64 + 34.0;
            let plot = Area::new(left, top, left + each_x - 150.0, top + each_y - 96.0);
            panel(canvas, sweep, metric, &plot)?;
        }
        header::footer(canvas, &sweep.header, height - MARGIN, width)
    })
}

fn panel(canvas: &mut Canvas, sweep: &Sweep, metric: &SweptMetric, plot: &Area) -> Result<()> {
    canvas.text(&metric.name, (plot.left, plot.top - 10.0), Align::Left, TITLE)?;
    let unit_at = (plot.left - 10.0, plot.top - 10.0);
    let unit = canvas.shorten(&metric.unit, frame::AXIS_TITLE, 100.0);
    canvas.text(&unit, unit_at, Align::Right, frame::AXIS_TITLE)?;
    let highest = metric.estimates.iter().flatten().map(|i| i.most.1).fold(0.0, f64::max);
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
    lines(canvas, sweep, metric, (&places, &values))?;
    for (i, (x, estimate)) in places.iter().zip(&metric.estimates).enumerate() {
        let Some(estimate) = estimate else {
            frame::label(canvas, "failed", (*x, plot.bottom - 6.0), Align::Middle)?;
            continue;
        };
        let (top, bottom) = (values.y(estimate.most.1), values.y(estimate.most.0));
        canvas.fill(Area::new(x - 1.0, top, x + 1.0, bottom), BLUE, 1.0)?;
        for y in [top, bottom] {
            canvas.fill(Area::new(x - 5.0, y - 1.0, x + 5.0, y + 1.0), BLUE, 1.0)?;
        }
        let y = values.y(estimate.value);
        dot(canvas, (*x, y), if sweep.current == Some(i) { 6.5 } else { 4.5 })?;
    }
    if let Some(knee) = knee(&sweep.settings, metric) {
        let (x, y) = (places[knee], metric.estimates[knee].map_or(0.0, |e| values.y(e.value)));
        let text = format!("knee {} (farthest from the chord)", sweep.settings[knee].label);
        let at = if x > (plot.left + plot.right) / 2.0 { Align::Right } else { Align::Left };
        let beside = if at == Align::Left { x + 12.0 } else { x - 12.0 };
        frame::label(canvas, &text, (beside, (y - 14.0).max(plot.top + 12.0)), at)?;
        ring(canvas, (x, y))?;
    }
    Ok(())
}

/// Thin lines between neighbours of one kind: none leads to `0s` or `Never`.
fn lines(
    canvas: &mut Canvas,
    sweep: &Sweep,
    metric: &SweptMetric,
    (places, values): (&[f64], &ValueAxis),
) -> Result<()> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for ((setting, estimate), x) in sweep.settings.iter().zip(&metric.estimates).zip(places) {
        if let (Place::At(_), Some(estimate)) = (setting.place, estimate) {
            points.push((*x, values.y(estimate.value)));
        }
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    for pair in points.windows(2) {
        canvas.line(pair[0], pair[1], 1.2, BLUE)?;
    }
    Ok(())
}

fn dot(canvas: &mut Canvas, (x, y): (f64, f64), r: f64) -> Result<()> {
    canvas.polygon(&circle(x, y, r + 1.5), WHITE)?;
    canvas.polygon(&circle(x, y, r), BLUE)
}

fn ring(canvas: &mut Canvas, (x, y): (f64, f64)) -> Result<()> {
    let corners = circle(x, y, 10.0);
    let nexts = corners.iter().skip(1).chain(corners.first());
    for (from, to) in corners.iter().zip(nexts) {
        canvas.line(*from, *to, 1.5, VERMILLION)?;
    }
    Ok(())
}

fn circle(x: f64, y: f64, r: f64) -> Vec<(f64, f64)> {
    let at = |i: u32| f64::from(i) * std::f64::consts::TAU / 24.0;
    (0..24).map(|i| (x + r * libm::cos(at(i)), y + r * libm::sin(at(i)))).collect()
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
/// there are fewer than four numbers or the curve departs from its chord by less than a tenth.
fn knee(settings: &[Setting], metric: &SweptMetric) -> Option<usize> {
    let mut points: Vec<(f64, f64, usize)> = Vec::new();
    for (i, (setting, estimate)) in settings.iter().zip(&metric.estimates).enumerate() {
        if let (Place::At(value), Some(estimate)) = (setting.place, estimate) {
            points.push((libm::log10(value.max(f64::MIN_POSITIVE)), estimate.value, i));
        }
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.2.cmp(&b.2)));
    let (first, last) = (points.first()?, points.last()?);
    let low = points.iter().map(|p| p.1).fold(f64::MAX, f64::min);
    let high = points.iter().map(|p| p.1).fold(f64::MIN, f64::max);
    if points.len() < 4 || high <= low || last.0 <= first.0 {
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

/// Draws a heat map.
pub fn draw_heat_map(map: &HeatMap, options: &PngOptions) -> Result<Vec<u8>> {
    let (columns, rows) = (map.across.1.len(), map.down.1.len());
    let square = map.cells.len() == rows && map.cells.iter().all(|row| row.len() == columns);
    ensure!(square && columns > 0 && rows > 0, "a heat map needs a cell for each pair of values");
    png::picture(&map.header, options, |canvas, width, height| {
        let remark = format!(
            "mean of {} replications a cell · outlined: the best that keeps all assertions · hatched: an \
             assertion is violated · grey: failed · {}",
            grouped(f64::from(map.replications), 0),
            map.header.semantics
        );
        header::plain(canvas, (&map.title, &map.common, &remark), width)?;
        let plot = Area::new(
            MARGIN + 170.0,
            MARGIN + 128.0,
            width - MARGIN - 150.0,
            height - MARGIN - 76.0,
        );
        canvas.text(&map.metric, (plot.left, plot.top - 12.0), Align::Left, TITLE)?;
        cells(canvas, map, &plot)?;
        labels(canvas, map, &plot)?;
        header::footer(canvas, &map.header, height - MARGIN, width)
    })
}

fn cells(canvas: &mut Canvas, map: &HeatMap, plot: &Area) -> Result<()> {
    let all = || map.cells.iter().flatten().filter_map(|cell| cell.value);
    let (low, high) = (all().fold(f64::MAX, f64::min), all().fold(f64::MIN, f64::max));
    let share = |value: f64| if high > low { (value - low) / (high - low) } else { 0.5 };
    let best = best(map);
    let width = plot.width() / map.across.1.len() as f64;
    let height = (plot.bottom - plot.top) / map.down.1.len() as f64;
    let printed = width >= PRINTED_CELL.0 && height >= PRINTED_CELL.1;
    let mut outlined = None;
    for (i, row) in map.cells.iter().enumerate() {
        for (j, cell) in row.iter().enumerate() {
            let (left, top) = (plot.left + width * j as f64, plot.top + height * i as f64);
            let area = Area::new(left, top, left + width - 1.0, top + height - 1.0);
            let Some(value) = cell.value else {
                canvas.fill(area, GRID, 1.0)?;
                if printed {
                    frame::label(canvas, "failed", middle(&area), Align::Middle)?;
                }
                continue;
            };
            canvas.fill(area, cividis(share(value)), 1.0)?;
            if cell.infeasible {
                canvas.hatch(area, BLACK)?;
            }
            if printed {
                print_value(canvas, map, *cell, share(value), &area)?;
            }
            if best == Some((i, j)) {
                outlined = Some(area);
            }
        }
    }
    if let Some(area) = outlined {
        outline(canvas, &area)?;
    }
    if high >= low {
        scale(canvas, map, plot, (low, high))?;
    }
    Ok(())
}

fn middle(area: &Area) -> (f64, f64) {
    ((area.left + area.right) / 2.0, (area.top + area.bottom) / 2.0 + 4.0)
}

/// Prints a value in black or white, whichever stands out.
fn print_value(
    canvas: &mut Canvas,
    map: &HeatMap,
    cell: Cell,
    share: f64,
    area: &Area,
) -> Result<()> {
    let text = signed(cell.value.unwrap_or(0.0), map.decimals);
    let color: Rgb = if share > 0.55 || cell.infeasible { BLACK } else { WHITE };
    let ink = Ink::regular(12, color);
    if canvas.text_width(&text, ink) + 4.0 > area.width() {
        return Ok(());
    }
    if cell.infeasible {
        frame::label(canvas, &text, middle(area), Align::Middle)?;
        return Ok(());
    }
    canvas.text(&text, middle(area), Align::Middle, ink)
}

fn signed(value: f64, decimals: usize) -> String {
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{}", grouped(value.abs(), decimals))
}

/// The best cell that violates nothing; of equals the first by row and column.
fn best(map: &HeatMap) -> Option<(usize, usize)> {
    let mut found: Option<(f64, (usize, usize))> = None;
    for (i, row) in map.cells.iter().enumerate() {
        for (j, cell) in row.iter().enumerate() {
            let Some(value) = cell.value.filter(|_| !cell.infeasible) else { continue };
            let cost = if map.lower_is_better { value } else { -value };
            if found.is_none_or(|(least, _)| cost < least) {
                found = Some((cost, (i, j)));
            }
        }
    }
    found.map(|(_, at)| at)
}

fn outline(canvas: &mut Canvas, area: &Area) -> Result<()> {
    for (inset, color) in [(0.0, VERMILLION), (3.0, WHITE)] {
        let thick = if inset == 0.0 { 3.0 } else { 1.0 };
        let (left, top) = (area.left + inset, area.top + inset);
        let (right, bottom) = (area.right - inset, area.bottom - inset);
        canvas.fill(Area::new(left, top, right, top + thick), color, 1.0)?;
        canvas.fill(Area::new(left, bottom - thick, right, bottom), color, 1.0)?;
        canvas.fill(Area::new(left, top, left + thick, bottom), color, 1.0)?;
        canvas.fill(Area::new(right - thick, top, right, bottom), color, 1.0)?;
    }
    Ok(())
}

/// The colours and what they stand for, right of the cells.
fn scale(canvas: &mut Canvas, map: &HeatMap, plot: &Area, (low, high): (f64, f64)) -> Result<()> {
    let (left, height) = (plot.right + 24.0, plot.bottom - plot.top);
    for i in 0..100 {
        let top = plot.bottom - height * f64::from(i + 1) / 100.0;
        let bottom = plot.bottom - height * f64::from(i) / 100.0;
        canvas.fill(
            Area::new(left, top, left + 18.0, bottom),
            cividis(f64::from(i) / 99.0),
            1.0,
        )?;
    }
    for part in [0.0, 0.5, 1.0] {
        let text = signed(low + part * (high - low), map.decimals);
        let y = plot.bottom - part * height;
        let baseline = (y + 4.0).clamp(plot.top + 10.0, plot.bottom);
        canvas.text(&text, (left + 24.0, baseline), Align::Left, TICK)?;
    }
    Ok(())
}

fn labels(canvas: &mut Canvas, map: &HeatMap, plot: &Area) -> Result<()> {
    let width = plot.width() / map.across.1.len() as f64;
    let height = (plot.bottom - plot.top) / map.down.1.len() as f64;
    let (mut free_x, mut free_y) = (f64::MIN, f64::MIN);
    for (j, label) in map.across.1.iter().enumerate() {
        let x = plot.left + width * (j as f64 + 0.5);
        let label = canvas.shorten(label, TICK, width.max(60.0) - 6.0);
        let half = canvas.text_width(&label, TICK) / 2.0;
        if x - half >= free_x {
            canvas.text(&label, (x, plot.bottom + 18.0), Align::Middle, TICK)?;
            free_x = x + half + 6.0;
        }
    }
    for (i, label) in map.down.1.iter().enumerate() {
        let y = plot.top + height * (i as f64 + 0.5);
        if y - 6.0 >= free_y {
            let label = canvas.shorten(label, TICK, 150.0);
            canvas.text(&label, (plot.left - 10.0, y + 4.0), Align::Right, TICK)?;
            free_y = y + 8.0;
        }
    }
    let across = canvas.shorten(&map.across.0, frame::AXIS_TITLE, plot.width());
    let at = ((plot.left + plot.right) / 2.0, plot.bottom + 40.0);
    canvas.text(&across, at, Align::Middle, frame::AXIS_TITLE)?;
    let down = format!("from top to bottom: {}", map.down.0);
    let room = plot.width() - canvas.text_width(&map.metric, TITLE) - 24.0;
    let down = canvas.shorten(&down, NOTE, room.max(0.0));
    canvas.text(&down, (plot.right, plot.top - 12.0), Align::Right, NOTE)
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
            estimates: values
                .map(|v| {
                    let around = |part: f64| (v - part * v, v + part * v);
                    Some(Interval { value: v, half: around(0.02), most: around(0.06) })
                })
                .to_vec(),
        };
        Sweep {
            title: "eks-workshop".to_owned(),
            common: "NodePool default: WhenEmptyOrUnderutilized, expireAfter 72h, budget 10%"
                .to_owned(),
            parameter: "NodePool/default:spec.disruption.consolidateAfter".to_owned(),
            settings: settings.map(|(label, s)| setting(label, s)).to_vec(),
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

    fn heat_map(columns: usize, rows: usize) -> HeatMap {
        let value = |i: usize, j: usize| 400.0 + ((i * 7 + j * 13) % 29) as f64 * 20.0;
        let cell = |i: usize, j: usize| Cell {
            value: ((i + j) % 23 != 22).then(|| value(i, j)),
            infeasible: j + i > columns.max(rows) + 2,
        };
        let names = |count: usize| (0..count).map(|i| format!("{}m", i * i + 1)).collect();
        HeatMap {
            title: "eks-workshop".to_owned(),
            common: "NodePool default: WhenEmptyOrUnderutilized".to_owned(),
            metric: "Cost, $ per month".to_owned(),
            decimals: 0,
            lower_is_better: true,
            across: (
                "NodePool/default:spec.disruption.consolidateAfter".to_owned(),
                names(columns),
            ),
            down: ("NodePool/default:spec.template.spec.expireAfter".to_owned(), names(rows)),
            cells: (0..rows).map(|i| (0..columns).map(|j| cell(i, j)).collect()).collect(),
            replications: 16,
            header: samples::workshop().header,
        }
    }

    #[test]
    fn sweeps_of_any_size_are_drawn() -> Result<()> {
        let options = PngOptions::default();
        let mut sweep = sweep();
        samples::keep("sweep", &draw(&sweep, &options)?)?;
        sweep.metrics.truncate(1);
        sweep.metrics[0].estimates[3] = None;
        samples::keep("sweep-1", &draw(&sweep, &options)?)?;
        sweep.settings.truncate(1);
        sweep.metrics[0].estimates = vec![None];
        draw(&sweep, &options)?;
        sweep.settings.clear();
        assert!(draw(&sweep, &options).is_err());
        Ok(())
    }

    #[test]
    fn heat_maps_of_any_size_are_drawn() -> Result<()> {
        let options = PngOptions::default();
        samples::keep("heat", &draw_heat_map(&heat_map(8, 6), &options)?)?;
        samples::keep("heat-large", &draw_heat_map(&heat_map(60, 90), &options)?)?;
        draw_heat_map(&heat_map(1, 1), &options)?;
        assert!(draw_heat_map(&heat_map(0, 0), &options).is_err());
        let mut ragged = heat_map(2, 2);
        ragged.cells[0].pop();
        assert!(draw_heat_map(&ragged, &options).is_err());
        Ok(())
    }

    #[test]
    fn the_knee_is_farthest_from_the_chord_and_needs_a_bend() {
        let sweep = sweep();
        // Cost bends upwards between 30s and 1h; `0s` and `Never` take no part.
        assert_eq!(knee(&sweep.settings, &sweep.metrics[0]), Some(4));
        let mut straight = sweep.metrics[0].clone();
        straight.estimates = sweep
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

    #[test]
    fn the_best_cell_keeps_all_assertions() {
        let mut map = heat_map(2, 2);
        let cell = |value: f64, infeasible: bool| Cell { value: Some(value), infeasible };
        map.cells =
            vec![vec![cell(1.0, true), cell(3.0, false)], vec![cell(2.0, false), Cell::default()]];
        assert_eq!(best(&map), Some((1, 0)));
        map.lower_is_better = false;
        assert_eq!(best(&map), Some((0, 1)));
    }
}
