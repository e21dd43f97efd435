//! The pictures of a study: policies side by side, metrics over one axis, a heat map over two.

use anyhow::Result;

use super::comparison::{self, Comparison, Contrast, Interval, PolicyColumn};
use super::png::PngOptions;
use super::study::{changed_in_words, name_of};
use super::sweep::{self, HeatMap, Place, Setting, Sweep, SweptMetric};
use crate::experiment::statistics::t_quantile;
use crate::experiment::{Estimate, Study};
use crate::units::SimDuration;

/// The metrics of pictures: key, name, unit.
const METRICS: [(&str, &str, &str); 4] = [
    ("cost_month_usd", "cost", "$ per month"),
    ("evictions", "evictions", "pods"),
    ("nodes_created", "nodes created", "nodes"),
    ("pod_pending_p95_s", "pods wait, p95", "s"),
];

/// The picture of a comparison; none for more policies than one picture holds, and where the first run of a policy is
/// missing.
pub fn compared(study: &Study, options: &PngOptions) -> Result<Option<Vec<u8>>> {
    let names = &study.grid.policies;
    let runs: Option<Vec<_>> = study.results.iter().map(Option::as_deref).collect();
    let Some(runs) = runs.filter(|_| (2..=comparison::POLICY_LIMIT).contains(&names.len())) else {
        return Ok(None);
    };
    let columns = names.iter().zip(runs).enumerate().map(|(cell, (name, run))| PolicyColumn {
        name: name.clone(),
        settings: changed_in_words(&study.changed[cell]),
        run,
    });
    let metrics = study.metrics();
    let contrast = |(key, name, unit): &(&str, &str, &str)| {
        let metric = metrics.iter().find(|m| m.name == *key && m.labels.is_empty())?;
        let differences = (1..names.len()).map(|other| {
            let difference = study.difference(metric, 0, other)?;
            Some((interval(&difference.difference), difference.word().to_owned()))
        });
        let differences = differences.collect::<Option<Vec<_>>>()?;
        Some(Contrast { name: format!("{name}, {unit}"), differences })
    };
    let comparison = Comparison {
        title: study.header.scenario.clone(),
        common: study.header.about.clone(),
        replications: study.grid.replications,
        policies: columns.collect(),
        contrasts: METRICS.iter().filter_map(contrast).collect(),
        header: study.header.clone(),
    };
    comparison::draw(&comparison, options).map(Some)
}

/// The picture of a sweep: of one axis, or of two a heat map of the cost; none of other grids, and of several policies.
pub fn swept(study: &Study, options: &PngOptions) -> Result<Option<Vec<u8>>> {
    match study.grid.axes.len() {
        _ if study.grid.policies.len() > 1 => Ok(None),
        1 => over_one_axis(study, options).map(Some),
        2 => over_two_axes(study, options).map(Some),
        _ => Ok(None),
    }
}

fn over_one_axis(study: &Study, options: &PngOptions) -> Result<Vec<u8>> {
    let cells = study.grid.cells();
    let setting = |(index, cell): (usize, &crate::experiment::Cell)| {
        let label = name_of(study, cell);
        Setting { place: place_of(&label, index), label }
    };
    let swept = |(key, name, unit): &(&str, &str, &str)| SweptMetric {
        name: (*name).to_owned(),
        unit: (*unit).to_owned(),
        estimates: (0..cells.len()).map(|i| Some(interval(&study.estimate(i, key)?))).collect(),
    };
    let picture = Sweep {
        title: study.header.scenario.clone(),
        common: study.header.about.clone(),
        parameter: study.grid.axes.first().map_or(String::new(), |axis| axis.path.clone()),
        settings: cells.iter().enumerate().map(setting).collect(),
        current: study.changed.iter().position(Vec::is_empty),
        replications: study.grid.replications,
        metrics: METRICS.iter().map(swept).collect(),
        header: study.header.clone(),
    };
    sweep::draw(&picture, options)
}

fn over_two_axes(study: &Study, options: &PngOptions) -> Result<Vec<u8>> {
    let [down, across] = [0, 1].map(|i| {
        let axis = &study.grid.axes[i];
        (axis.path.clone(), axis.values.clone())
    });
    let width = across.1.len();
    let cell = |row: usize, column: usize| {
        let value = study.estimate(row * width + column, "cost_month_usd").map(|e| e.mean);
        sweep::Cell { value, infeasible: false }
    };
    let rows = 0..down.1.len();
    let map = HeatMap {
        title: study.header.scenario.clone(),
        common: study.header.about.clone(),
        metric: "cost, $ per month".to_owned(),
        decimals: 0,
        lower_is_better: true,
        cells: rows.map(|row| (0..width).map(|column| cell(row, column)).collect()).collect(),
        across,
        down,
        replications: study.grid.replications,
        header: study.header.clone(),
    };
    sweep::draw_heat_map(&map, options)
}

/// Durations and numbers lie where they are; what is neither lies in the order of the axis.
fn place_of(label: &str, index: usize) -> Place {
    let number = label.parse::<f64>().ok();
    let value = SimDuration::parse(label).map(|span| span.ms() as f64 / 1_000.0).or(number);
    match value {
        _ if label == "Never" => Place::Never,
        Some(value) if value > 0.0 => Place::At(value),
        Some(_) => Place::Zero,
        None => Place::At((index + 1) as f64),
    }
}

fn interval(estimate: &Estimate) -> Interval {
    let outer = estimate.half_width.unwrap_or(0.0);
    let degrees = estimate.count.saturating_sub(1).max(1);
    let inner = outer * t_quantile(0.75, degrees) / t_quantile(0.975, degrees);
    let around = |half: f64| (estimate.mean - half, estimate.mean + half);
    Interval { value: estimate.mean, half: around(inner), most: around(outer) }
}
