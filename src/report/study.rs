//! Comparisons and sweeps as text and files: answer, tables, CSV, JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::number;
use crate::experiment::runner::key;
use crate::experiment::{Cell, Difference, Estimate, Study, Verdict};
use crate::outcome::{Metric, Unit};
use crate::scenario::patch::Changed;

/// Metrics of the table, in its order.
const SHOWN: [&str; 18] = [
    "cost_month_usd",
    "node_hours",
    "nodes_created",
    "nodes_without_pods",
    "node_lifetime_p50_s",
    "nodes_short_lived_percent",
    "evictions",
    "pods_lost",
    "jobs_failed",
    "work_lost_pod_s",
    "work_lost_vcpu_h",
    "commands",
    "pod_pending_p50_s",
    "pod_pending_p95_s",
    "pod_pending_p99_s",
    "utilization_cpu_percent",
    "utilization_memory_percent",
    "pods_pending_at_end",
];

/// Those of them that say nothing in most studies, where nothing is lost or idle.
const SHOWN_IF_COUNTED: [&str; 5] =
    ["nodes_without_pods", "pods_lost", "jobs_failed", "work_lost_pod_s", "work_lost_vcpu_h"];

/// The metrics of the table: labelled ones, and losses, only where some run counted something.
fn shown(study: &Study) -> Vec<Metric> {
    let metrics = study.metrics();
    let counted = |metric: &Metric| {
        let key = key(metric);
        let always = metric.labels.is_empty() && !SHOWN_IF_COUNTED.contains(&metric.name);
        always || study.rows.iter().any(|row| row.value(&key).unwrap_or(0.0) > 0.0)
    };
    let named =
        SHOWN.iter().flat_map(|name| metrics.iter().filter(move |metric| metric.name == *name));
    let list = named.filter(|metric| counted(metric));
    // Commands are counted by method and decision; their sum alone says enough here.
    list.filter(|metric| metric.name != "commands" || metric.labels.is_empty()).cloned().collect()
}

/// The answer, the differences and the tables of a comparison: each other cell against the first.
pub fn comparison(study: &Study) -> String {
    let names = &study.grid.policies;
    let mut text = pending_first(study);
    for other in 1..names.len() {
        text.push_str(&sentence(study, other));
        text.push('\n');
    }
    for other in 1..names.len() {
        let _ = writeln!(text, "\nA {}   B {}", names[0], names[other]);
        text.push_str(&changes(&study.changed[0], &study.changed[other]));
        text.push_str(&difference_table(study, other));
    }
    let _ = write!(text, "\n{}", footer(study));
    text
}

/// Cells that leave pods pending, said before anything else.
fn pending_first(study: &Study) -> String {
    let mut text = String::new();
    for (cell, name) in study.grid.policies.iter().enumerate() {
        let left = study.estimate(cell, "pods_pending_at_end").map_or(0.0, |e| e.mean);
        if left > 0.0 {
            let left = number::plain(left, 1);
            let _ = writeln!(text, "{name} leaves {left} pods pending at the end.");
        }
    }
    text
}

/// `Balanced instead of WhenEmpty: +3.4 % cost (+$14.10 a month), -58 % evictions; pods wait no longer.`
pub fn sentence(study: &Study, other: usize) -> String {
    let metrics = study.metrics();
    let find = |name: &str| {
        let metric = metrics.iter().find(|m| m.name == name && m.labels.is_empty())?;
        study.difference(metric, 0, other)
    };
    let part = |name: &str, noun: &str, difference: Option<Difference>| {
        let Some(difference) = difference else {
            return format!("no {noun} measured");
        };
        match difference.verdict {
            Verdict::Same => format!("the same {noun}"),
            Verdict::Unclear => format!("no change of {noun} detected"),
            _ => {
                let percent = difference.percent().map(|p| format!("{} % ", number::signed(p, 1)));
                let amount = match name {
                    "cost_month_usd" => {
                        format!("{} a month", number::signed_money(difference.difference.mean))
                    }
                    _ => number::signed(difference.difference.mean, 1),
                };
                format!("{}{noun} ({amount})", percent.unwrap_or_default())
            }
        }
    };
    let cost = part("cost_month_usd", "cost", find("cost_month_usd"));
    let evictions = part("evictions", "evictions", find("evictions"));
    let waits = match find("pod_pending_p95_s") {
        Some(d) if d.verdict == Verdict::More => {
            format!("pods wait longer (p95 {} s)", number::signed(d.difference.mean, 1))
        }
        Some(d) if d.verdict == Verdict::Less => {
            format!("pods wait less (p95 {} s)", number::signed(d.difference.mean, 1))
        }
        _ => "pods wait no longer".to_owned(),
    };
    let lost =
        find("work_lost_vcpu_h").filter(|d| matches!(d.verdict, Verdict::More | Verdict::Less));
    let lost = lost.map_or(String::new(), |d| {
        format!(", {} vCPU-hours of work lost", number::signed(d.difference.mean, 1))
    });
    let names = &study.grid.policies;
    format!("{} instead of {}: {cost}, {evictions}{lost}; {waits}.", names[other], names[0])
}

/// `~ NodePool/default  spec.disruption.consolidateAfter   1m -> 5m`
fn changes(base: &[Changed], other: &[Changed]) -> String {
    let mut text = String::new();
    let mut paths: Vec<(&str, &str)> = Vec::new();
    for change in base.iter().chain(other) {
        let place = (change.object.as_str(), change.path.as_str());
        if !paths.contains(&place) {
            paths.push(place);
        }
    }
    for (object, path) in paths {
        let find = |list: &'_ [Changed]| {
            list.iter().rev().find(|c| c.object == object && c.path == path).cloned()
        };
        let (a, b) = (find(base), find(other));
        let original = a.as_ref().or(b.as_ref()).and_then(|change| change.from.clone());
        let value = |change: Option<Changed>| {
            let value = change.map_or(original.clone(), |change| change.to);
            value.unwrap_or_else(|| "(not set)".to_owned())
        };
        let (a, b) = (value(a), value(b));
        if a != b {
            let _ = writeln!(text, "~ {object}  {path}   {a} -> {b}");
        }
    }
    text
}

/// The last field of a path: `consolidateAfter` of `spec.disruption.consolidateAfter`, `a.b/c` of
/// `metadata.labels["a.b/c"]`.
fn last_field(path: &str) -> &str {
    match path.strip_suffix("\"]").and_then(|path| path.rsplit_once("[\"")) {
        Some((_, key)) => key,
        None => path.rsplit('.').next().unwrap_or(path),
    }
}

/// `consolidateAfter 5m, budgets [{nodes: 100%}]`
pub fn changed_in_words(changed: &[Changed]) -> String {
    let words = changed.iter().map(|change| {
        let name = last_field(&change.path);
        format!("{name} {}", change.to.as_deref().unwrap_or("(not set)"))
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { "as it is written".to_owned() } else { words.join(", ") }
}

fn label(metric: &Metric) -> String {
    let name = match metric.name {
        "cost_month_usd" => "cost $/month",
        "node_hours" => "node-hours",
        "nodes_created" => "nodes created",
        "nodes_without_pods" => "  that ran no pod",
        "node_lifetime_p50_s" => "node lifetime p50 s",
        "nodes_short_lived_percent" => "nodes living < 10 min %",
        "pods_lost" => "pods lost",
        "jobs_failed" => "Jobs failed",
        "work_lost_pod_s" => "work lost pod-s",
        "work_lost_vcpu_h" => "work lost vCPU-h",
        "pod_pending_p50_s" => "pending p50 s",
        "pod_pending_p95_s" => "pending p95 s",
        "pod_pending_p99_s" => "pending p99 s",
        "utilization_cpu_percent" => "CPU requested %",
        "utilization_memory_percent" => "memory requested %",
        "pods_pending_at_end" => "pods pending at the end",
        other => other,
    };
    match metric.labels.first() {
        Some((_, value)) => format!("  {value}"),
        None => name.to_owned(),
    }
}

/// Digits after the point of a metric's means.
fn places(metric: &Metric) -> usize {
    match metric.unit {
        Unit::Usd | Unit::UsdPerMonth => 2,
        Unit::UsdPerHour => 4,
        _ => 1,
    }
}

fn difference_table(study: &Study, other: usize) -> String {
    let mut rows = vec![["", "A", "B", "B - A", "95 % interval", "verdict"].map(str::to_owned)];
    for metric in shown(study) {
        let Some(difference) = study.difference(&metric, 0, other) else {
            continue;
        };
        let places = places(&metric);
        let percent = difference.percent().map(|p| format!(" ({} %)", number::signed(p, 1)));
        let mean = number::signed(difference.difference.mean, places);
        let interval = match difference.difference.half_width {
            Some(_) => {
                let (low, high) = difference.difference.interval();
                format!("{}..{}", number::signed(low, places), number::signed(high, places))
            }
            None => "one run".to_owned(),
        };
        rows.push([
            label(&metric),
            number::plain(difference.base.mean, places),
            number::plain(difference.other.mean, places),
            format!("{mean}{}", percent.unwrap_or_default()),
            interval,
            difference.word().to_owned(),
        ]);
    }
    aligned(&rows)
}

/// Columns side by side: the first and the last to the left, the others to the right.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match column {
                0 => line.push_str(&format!("{cell:<width$}")),
                _ if column + 1 == N => line.push_str(&format!("   {cell}")),
                _ => line.push_str(&format!("   {cell:>width$}")),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn footer(study: &Study) -> String {
    let header = &study.header;
    let count = study.grid.replications;
    let runs = match count {
        1 => "One run of each, on the same random world: no intervals.".to_owned(),
        n => format!("{n} paired replications on common random numbers."),
    };
    let mut text = format!("{runs} Prices: {}.\n", header.price_basis);
    for failed in &study.failed {
        let _ = writeln!(text, "run {} failed: {}", failed.id, failed.reason);
    }
    if !study.complete {
        text.push_str("Stopped before the end: the runs that are missing are left out.\n");
    }
    let _ = writeln!(
        text,
        "{} | {} | seed {} | input {}",
        header.program, header.semantics, header.seed, header.input_digest
    );
    text
}

/// One line of a sweep's table: the values of the axes, then means with half widths.
pub fn sweep(study: &Study) -> String {
    let metrics = ["cost_month_usd", "evictions", "nodes_created", "pod_pending_p95_s"];
    let cells = study.grid.cells();
    let mut text = best(study, &cells);
    let mut rows = vec![
        ["", "cost $/month", "evictions", "nodes created", "pending p95 s", ""].map(str::to_owned),
    ];
    for (index, cell) in cells.iter().enumerate() {
        let mean = |key: &str| {
            let places = if key == "cost_month_usd" { 2 } else { 1 };
            study.estimate(index, key).map_or("-".to_owned(), |e| estimate(&e, places))
        };
        let [cost, evictions, nodes, pending] = metrics.map(mean);
        rows.push([name_of(study, cell), cost, evictions, nodes, pending, String::new()]);
    }
    text.push_str(&aligned(&rows));
    let _ = write!(text, "\n{}", footer(study));
    text
}

/// What a cell is called: its values, and its policy where there are several.
pub fn name_of(study: &Study, cell: &Cell) -> String {
    let mut parts: Vec<String> =
        study.grid.values_of(cell).into_iter().map(str::to_owned).collect();
    if study.grid.policies.len() > 1 || parts.is_empty() {
        parts.extend(study.grid.policies.get(cell.policy).cloned());
    }
    parts.join(" | ")
}

fn best(study: &Study, cells: &[Cell]) -> String {
    let of = |key: &str| {
        let means = cells.iter().enumerate();
        let means = means.filter_map(|(i, cell)| Some((study.estimate(i, key)?.mean, cell)));
        means.min_by(|a, b| a.0.total_cmp(&b.0))
    };
    let Some((cost, cheapest)) = of("cost_month_usd") else {
        return "No run came to its end.\n".to_owned();
    };
    let mut text =
        format!("Cheapest: {} at ${} a month.", name_of(study, cheapest), number::plain(cost, 2));
    if let Some((evictions, calmest)) = of("evictions") {
        let name = name_of(study, calmest);
        let _ = write!(text, " Fewest evictions: {name} with {}.", number::plain(evictions, 1));
    }
    text.push_str("\n\n");
    text
}

fn estimate(estimate: &Estimate, places: usize) -> String {
    let mean = number::plain(estimate.mean, places);
    match estimate.half_width {
        Some(half) => format!("{mean} \u{b1}{}", number::plain(half, places)),
        None => mean,
    }
}

/// All figures of all runs in long form.
pub fn long_csv(study: &Study) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut head = vec!["run".to_owned(), "policy".to_owned()];
    head.extend(study.grid.axes.iter().map(|axis| axis.path.clone()));
    head.extend(["replication", "seed", "metric", "value"].map(str::to_owned));
    writer.write_record(&head)?;
    let cells = study.grid.cells();
    for row in &study.rows {
        let cell = &cells[row.cell];
        let mut start = vec![row.id.to_string(), study.grid.policies[cell.policy].clone()];
        start.extend(study.grid.values_of(cell).into_iter().map(str::to_owned));
        start.extend([row.replication.to_string(), row.seed.to_string()]);
        for (name, value) in &row.figures {
            let mut record = start.clone();
            record.extend([name.clone(), value.clone().unwrap_or_default()]);
            writer.write_record(&record)?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The study as JSON: means with intervals of every cell, and of a comparison the differences.
pub fn json(study: &Study) -> String {
    let header = &study.header;
    let cells = study.grid.cells();
    let list: Vec<Value> =
        cells.iter().enumerate().map(|(i, cell)| cell_json(study, i, cell)).collect();
    let axes: Vec<Value> = study
        .grid
        .axes
        .iter()
        .map(|axis| json!({ "path": axis.path, "values": axis.values }))
        .collect();
    let failed: Vec<Value> =
        study.failed.iter().map(|f| json!({ "run": f.id, "reason": f.reason })).collect();
    let mut root = json!({
        "schema": "karpsim.study/1",
        "scenario": header.scenario,
        "complete": study.complete,
        "replications": study.grid.replications,
        "policies": study.grid.policies,
        "axes": axes,
        "cells": list,
        "failed": failed,
        "provenance": {
            "program": header.program,
            "semantics": header.semantics,
            "seed": header.seed,
            "input": header.input_digest,
            "catalogue": header.catalogue_digest,
            "prices": header.price_basis,
        },
    });
    if study.grid.axes.is_empty() && study.grid.policies.len() > 1 {
        let others = 1..study.grid.policies.len();
        root["answers"] = others.clone().map(|other| Value::from(sentence(study, other))).collect();
        root["differences"] = others.map(|other| differences_json(study, other)).collect();
    }
    let mut text = format!("{root:#}");
    text.push('\n');
    text
}

fn cell_json(study: &Study, index: usize, cell: &Cell) -> Value {
    let mut metrics = Map::new();
    let keys = study.rows.iter().find(|row| row.cell == index).map(|row| &row.figures);
    for (name, _) in keys.into_iter().flatten() {
        if let Some(estimate) = study.estimate(index, name) {
            metrics.insert(name.clone(), estimate_json(&estimate));
        }
    }
    let changed: Vec<Value> = study.changed[index]
        .iter()
        .map(|c| json!({ "object": c.object, "path": c.path, "from": c.from, "to": c.to }))
        .collect();
    json!({
        "policy": study.grid.policies[cell.policy],
        "values": study.grid.values_of(cell),
        "changed": changed,
        "metrics": metrics,
    })
}

fn estimate_json(estimate: &Estimate) -> Value {
    let (low, high) = estimate.interval();
    let mut value = json!({ "mean": number::rounded(estimate.mean), "count": estimate.count });
    if estimate.half_width.is_some() {
        value["low"] = number::rounded(low).into();
        value["high"] = number::rounded(high).into();
    }
    value
}

fn differences_json(study: &Study, other: usize) -> Value {
    let mut metrics = Map::new();
    for metric in study.metrics() {
        if let Some(difference) = study.difference(&metric, 0, other) {
            let mut value = estimate_json(&difference.difference);
            value["percent"] = difference.percent().map(number::rounded).into();
            value["unit"] = metric.unit.name().into();
            value["verdict"] = difference.word().into();
            metrics.insert(key(&metric), value);
        }
    }
    let names = &study.grid.policies;
    json!({ "base": names[0], "other": names[other], "metrics": metrics })
}

/// The differences of a comparison as CSV.
pub fn comparison_csv(study: &Study) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "base",
        "other",
        "metric",
        "unit",
        "base_mean",
        "other_mean",
        "difference",
        "low",
        "high",
        "count",
        "verdict",
    ])?;
    let names = &study.grid.policies;
    for other in 1..names.len() {
        for metric in study.metrics() {
            let Some(d) = study.difference(&metric, 0, other) else {
                continue;
            };
            let (low, high) = d.difference.interval();
            let has_interval = d.difference.half_width.is_some();
            let end = |value: f64| if has_interval { number::six(value) } else { String::new() };
            writer.write_record([
                names[0].clone(),
                names[other].clone(),
                key(&metric),
                metric.unit.name().to_owned(),
                number::six(d.base.mean),
                number::six(d.other.mean),
                number::six(d.difference.mean),
                end(low),
                end(high),
                d.difference.count.to_string(),
                d.word().to_owned(),
            ])?;
        }
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
