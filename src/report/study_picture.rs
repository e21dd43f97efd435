//! The pictures of a study: policies side by side, metrics over one axis, heat maps over two.

use anyhow::Result;

use super::comparison::{self, Comparison, Contrast, Interval, PolicyColumn};
use super::heat_map::{self, HeatMap, HeatMaps};
use super::png::PngOptions;
use super::study::changed_in_words;
use super::sweep::{self, Place, Setting, Sweep, SweptMetric};
use crate::experiment::statistics::t_quantile;
use crate::experiment::{Estimate, Study};
use crate::scenario::load::Axis;
use crate::scenario::patch::Changed;
use crate::units::SimDuration;

/// A metric of pictures.
struct Shown {
    key: &'static str,
    name: &'static str,
    unit: &'static str,
    /// Name with its unit, where that is not in the name.
    whole: &'static str,
}

const METRICS: [Shown; 4] = [
    Shown { key: "cost_month_usd", name: "Cost", unit: "$ per month", whole: "cost, $ per month" },
    Shown { key: "evictions", name: "Pods evicted", unit: "pods", whole: "pods evicted" },
    Shown { key: "nodes_created", name: "Nodes created", unit: "nodes", whole: "nodes created" },
    Shown {
        key: "pod_pending_p95_s",
        name: "Pods wait, p95",
        unit: "s",
        whole: "pods wait at p95, s",
    },
];

/// A picture, or why there is none.
pub enum Picture {
    /// A PNG.
    Drawn(Vec<u8>),
    /// What stands in the way, in words.
    None(String),
}

/// The picture of a comparison.
pub fn compared(study: &Study, options: &PngOptions) -> Result<Picture> {
    let (names, most) = (&study.grid.policies, comparison::POLICY_LIMIT);
    if !(2..=most).contains(&names.len()) {
        let count = names.len();
        return Ok(Picture::None(format!("{count} policies: 2 to {most} stand side by side")));
    }
    let runs: Option<Vec<_>> = study.results.iter().map(Option::as_deref).collect();
    let Some(runs) = runs else {
        return Ok(Picture::None("the first run of a policy is missing".to_owned()));
    };
    let common = common_changes(study);
    let column = |(cell, (name, run)): (usize, (&String, _))| {
        let own = study.changed[cell].iter().filter(|change| !common.contains(change));
        let own: Vec<Changed> = own.cloned().collect();
        let settings = match own.is_empty() && !common.is_empty() {
            true => String::new(),
            false => changed_in_words(&own),
        };
        let of = |key: &str| Some(interval(&study.estimate(cell, key)?));
        let tradeoff = of("evictions_per_pod_day").zip(of("cost_month_usd"));
        PolicyColumn { name: name.clone(), settings, run, tradeoff }
    };
    let columns = names.iter().zip(runs).enumerate().map(column).collect();
    let metrics = study.metrics();
    let contrast = |shown: &Shown| {
        let metric = metrics.iter().find(|m| m.name == shown.key && m.labels.is_empty())?;
        let differences = (1..names.len()).map(|other| {
            let difference = study.difference(metric, 0, other)?;
            Some((interval(&difference.difference), difference.word().to_owned()))
        });
        let differences = differences.collect::<Option<Vec<_>>>()?;
        Some(Contrast { name: shown.whole.to_owned(), differences })
    };
    let mut subtitle = study.header.about.clone();
    if !common.is_empty() {
        let all = format!("All policies: {}.", changed_in_words(&common));
        subtitle = [subtitle, all].join(" ").trim().to_owned();
    }
    let comparison = Comparison {
        title: study.header.scenario.clone(),
        common: subtitle,
        replications: study.grid.replications,
        policies: columns,
        contrasts: METRICS.iter().filter_map(contrast).collect(),
        header: study.header.clone(),
    };
    comparison::draw(&comparison, options).map(Picture::Drawn)
}

/// What every policy changes alike.
fn common_changes(study: &Study) -> Vec<Changed> {
    let Some((first, others)) = study.changed.split_first() else {
        return Vec::new();
    };
    let everywhere = |change: &&Changed| others.iter().all(|list| list.contains(change));
    first.iter().filter(everywhere).cloned().collect()
}

/// The picture of a sweep. Of one axis: the metrics over it, a line each policy. Of two: heat maps, of four metrics, or
/// of the cost for each policy and each value of a third axis.
pub fn swept(study: &Study, options: &PngOptions) -> Result<Picture> {
    let policies = study.grid.policies.len();
    match study.grid.axes.as_slice() {
        [] => Ok(Picture::None("there is no axis; `karpsim compare` draws policies".to_owned())),
        [_] if policies > sweep::LINE_LIMIT => {
            let most = sweep::LINE_LIMIT;
            Ok(Picture::None(format!("{policies} policies: lines of {most} can be told apart")))
        }
        [axis] => over_one_axis(study, axis, options).map(Picture::Drawn),
        [down, across, further @ ..] => {
            let panels = further.iter().map(|axis| axis.values.len()).product::<usize>() * policies;
            let most = heat_map::MAP_LIMIT;
            if panels > most {
                let axes = further.len() + 2;
                return Ok(Picture::None(format!(
                    "{axes} axes and {policies} policies are {panels} heat maps, of which one picture holds {most}; \
                     the figures are in sweep.csv"
                )));
            }
            over_two_axes(study, (down, across), further, options).map(Picture::Drawn)
        }
    }
}

/// Position of a cell among all cells: the first axis varies slowest, the policy fastest.
fn cell_index(study: &Study, values: &[usize], policy: usize) -> usize {
    let point = study
        .grid
        .axes
        .iter()
        .zip(values)
        .fold(0, |index, (axis, value)| index * axis.values.len() + value);
    point * study.grid.policies.len() + policy
}

fn over_one_axis(study: &Study, axis: &Axis, options: &PngOptions) -> Result<Vec<u8>> {
    let policies = 0..study.grid.policies.len();
    let values = 0..axis.values.len();
    let setting =
        |(i, label): (usize, &String)| Setting { place: place_of(label, i), label: label.clone() };
    let swept = |shown: &Shown| SweptMetric {
        name: shown.name.to_owned(),
        unit: shown.unit.to_owned(),
        lines: policies
            .clone()
            .map(|policy| {
                let cell = |value: usize| cell_index(study, &[value], policy);
                let estimate = |value| Some(interval(&study.estimate(cell(value), shown.key)?));
                values.clone().map(estimate).collect()
            })
            .collect(),
    };
    let picture = Sweep {
        title: study.header.scenario.clone(),
        common: study.header.about.clone(),
        parameter: axis.path.clone(),
        settings: axis.values.iter().enumerate().map(setting).collect(),
        policies: study.grid.policies.clone(),
        current: in_force(study, axis),
        replications: study.grid.replications,
        metrics: METRICS.iter().map(swept).collect(),
        header: study.header.clone(),
    };
    sweep::draw(&picture, options)
}

/// The value of an axis that changes nothing of the manifests: the one in force.
fn in_force(study: &Study, axis: &Axis) -> Option<usize> {
    let path = axis.path.rsplit_once(':').map_or(axis.path.as_str(), |(_, path)| path);
    let changes = |cell: usize| {
        let changed = study.changed.get(cell)?;
        Some(changed.iter().any(|change| change.path == path && change.from != change.to))
    };
    (0..axis.values.len()).find(|value| changes(cell_index(study, &[*value], 0)) == Some(false))
}

fn over_two_axes(
    study: &Study,
    (down, across): (&Axis, &Axis),
    further: &[Axis],
    options: &PngOptions,
) -> Result<Vec<u8>> {
    let policies = &study.grid.policies;
    let map = |name: String, scale: usize, shown: &Shown, beyond: &[usize], policy: usize| {
        let cell = |row: usize, column: usize| {
            let values: Vec<usize> =
                [row, column].into_iter().chain(beyond.iter().copied()).collect();
            let index = cell_index(study, &values, policy);
            let value = study.estimate(index, shown.key).map(|e| e.mean);
            heat_map::Cell { value, infeasible: false }
        };
        let row = |row: usize| (0..across.values.len()).map(|column| cell(row, column)).collect();
        let cells = (0..down.values.len()).map(row).collect();
        HeatMap { name, scale, lower_is_better: true, cells }
    };
    let points = points_of(further);
    let [cost, ..] = &METRICS;
    let maps = if points.len() * policies.len() == 1 {
        let one =
            |(i, shown): (usize, &Shown)| map(shown.whole.to_owned(), i, shown, &points[0], 0);
        METRICS.iter().enumerate().map(one).collect()
    } else {
        let mut maps = Vec::new();
        for beyond in &points {
            for (policy, policy_name) in policies.iter().enumerate() {
                let mut parts: Vec<&str> = further
                    .iter()
                    .zip(beyond)
                    .filter_map(|(axis, value)| axis.values.get(*value).map(String::as_str))
                    .collect();
                if policies.len() > 1 {
                    parts.push(policy_name);
                }
                let name = format!("{}: {}", parts.join(", "), cost.whole);
                maps.push(map(name, 0, cost, beyond, policy));
            }
        }
        maps
    };
    let picture = HeatMaps {
        title: study.header.scenario.clone(),
        common: subtitle(study, further),
        across: (across.path.clone(), across.values.clone()),
        down: (down.path.clone(), down.values.clone()),
        maps,
        replications: study.grid.replications,
        header: study.header.clone(),
    };
    heat_map::draw(&picture, options)
}

/// What the scenario is about, and what the maps differ in.
fn subtitle(study: &Study, further: &[Axis]) -> String {
    let mut text = study.header.about.clone();
    for axis in further {
        text = format!("{text} A map for each {}.", axis.path);
    }
    text.trim().to_owned()
}

/// All combinations of values, the first axis slowest; one empty combination of no axes.
fn points_of(axes: &[Axis]) -> Vec<Vec<usize>> {
    axes.iter().fold(vec![Vec::new()], |points, axis| {
        let longer = |point: &Vec<usize>| {
            let point = point.clone();
            (0..axis.values.len()).map(move |value| {
                let mut point = point.clone();
                point.push(value);
                point
            })
        };
        points.iter().flat_map(longer).collect()
    })
}

/// Durations and numbers lie where they are; what is neither lies in the order of the axis.
fn place_of(label: &str, index: usize) -> Place {
    let number = label.trim_end_matches('%').parse::<f64>().ok();
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
