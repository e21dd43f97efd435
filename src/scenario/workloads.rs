//! `workloads` of a scenario: services whose replicas follow a load or a recorded series.

use std::collections::BTreeMap;
use std::path::Path;

use super::load::{Files, TimelineAction};
use super::schema::{Curve, Scenario, Workload};
use super::settings::Context;
use crate::diagnostic;
use crate::simulation::{Action, ReplicaCurve, ReplicaSource, arrival};
use crate::units::{SimDuration, SimTime};

/// Arrivals an hour, replicas and the like at most.
const MOST: f64 = 1e9;

/// What the workloads of a scenario come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workloads {
    /// Services whose replicas are computed in the run.
    pub replicas: Vec<ReplicaSource>,
    /// Changes of replicas that are known beforehand, ascending by instant.
    pub scales: Vec<(SimTime, TimelineAction)>,
}

/// Where workloads are read from.
pub struct Reading<'a, 'c> {
    /// Places and diagnostics.
    pub context: &'a mut Context<'c>,
    /// Files.
    pub files: &'a dyn Files,
    /// The scenario's folder.
    pub folder: &'a Path,
    /// Seconds since 1970 UTC at the start.
    pub start_epoch_s: i64,
    /// Whether a workload of this name is defined; `None` when what is defined is not fully known.
    pub is_known: &'a dyn Fn(&str) -> Option<bool>,
}

impl Reading<'_, '_> {
    /// All workloads.
    pub fn read(&mut self, scenario: &Scenario) -> Workloads {
        let mut workloads = Workloads::default();
        for (i, workload) in scenario.workloads.iter().enumerate() {
            let path = format!("workloads[{i}]");
            let Workload::Replicas { template, series, column, curve } = workload;
            let Some((namespace, name)) = self.target(template, &path) else {
                continue;
            };
            match (series, curve) {
                (Some(file), None) => {
                    let column = column.as_deref().unwrap_or(&name);
                    let steps = self.series(file, column, &path);
                    let scale = |(at, replicas)| {
                        let (namespace, name) = (namespace.clone(), name.clone());
                        (at, TimelineAction::Direct(Action::Scale { namespace, name, replicas }))
                    };
                    workloads.scales.extend(steps.into_iter().map(scale));
                }
                (None, Some(curve)) => {
                    let curve = self.curve(curve, &path);
                    workloads.replicas.push(ReplicaSource { namespace, name, curve });
                }
                _ => {
                    let span = self.context.span(&path);
                    let rule = "one of `series` and `curve` says how many replicas there are";
                    let found = if curve.is_some() { "both" } else { "neither" };
                    self.context.push(diagnostic::out_of_range(span, &path, found, rule));
                }
            }
        }
        workloads.scales.sort_by_key(|(at, _)| *at);
        workloads
    }

    /// Namespace and name of a Deployment.
    fn target(&mut self, target: &str, path: &str) -> Option<(String, String)> {
        let span = self.context.span(&format!("{path}.template"));
        let parts: Vec<&str> = target.split('/').collect();
        let ["Deployment", namespace, name] = parts.as_slice() else {
            self.context.push(diagnostic::bad_target(span, target));
            return None;
        };
        if (self.is_known)(target) == Some(false) {
            self.context.push(diagnostic::unknown_target(span, target));
            return None;
        }
        Some(((*namespace).to_owned(), (*name).to_owned()))
    }

    fn curve(&mut self, curve: &Curve, path: &str) -> ReplicaCurve {
        let Curve::Daily { mean, peak_to_mean, peak_at, weekend, noise, every, least, most } =
            curve;
        let at = |field: &str| format!("{path}.curve.{field}");
        let mean = self.number(*mean, 0.0, MOST, &at("mean"));
        let steepest = arrival::MOST_PEAK_TO_MEAN;
        let peak_to_mean = self.number(*peak_to_mean, 1.0, steepest, &at("peak_to_mean"));
        let weekend = self.number(*weekend, 0.0, 1_000.0, &at("weekend"));
        let noise = self.number(*noise, 0.0, 2.0, &at("noise"));
        let minute = self.minute_of_day(peak_at, &at("peak_at"));
        let mut every_span = self.context.duration(every, &at("every"));
        if every_span < SimDuration::from_seconds(1) {
            let span = self.context.span(&at("every"));
            let rule = "the load is looked at every second at most";
            self.context.push(diagnostic::out_of_range(span, &at("every"), every, rule));
            every_span = SimDuration::from_minutes(5);
        }
        if most < least {
            let span = self.context.span(&at("most"));
            let rule = format!("it must be at least `least` ({least})");
            self.context.push(diagnostic::out_of_range(
                span,
                &at("most"),
                &most.to_string(),
                &rule,
            ));
        }
        let load = arrival::Rate::diurnal(mean, peak_to_mean, minute, weekend, self.start_epoch_s);
        let most = (*most).max(*least);
        ReplicaCurve { load, least: *least, most, every: every_span, noise }
    }

    /// A number within a range; the lower end when it is not.
    fn number(&mut self, value: f64, low: f64, high: f64, path: &str) -> f64 {
        if value >= low && value <= high {
            return value;
        }
        let span = self.context.span(path);
        let rule = format!("it must lie between {low} and {high}");
        self.context.push(diagnostic::out_of_range(span, path, &value.to_string(), &rule));
        low
    }

    /// `14:00` as a minute of the day.
    fn minute_of_day(&mut self, text: &str, path: &str) -> usize {
        let parts = text.split_once(':').and_then(|(hour, minute)| {
            let hour = hour.parse::<usize>().ok().filter(|hour| *hour < 24)?;
            let minute = minute.parse::<usize>().ok().filter(|minute| *minute < 60)?;
            Some(hour * 60 + minute)
        });
        parts.unwrap_or_else(|| {
            let span = self.context.span(path);
            let rule = "a time of the day is written \"14:00\", in UTC";
            self.context.push(diagnostic::out_of_range(span, path, &format!("`{text}`"), rule));
            0
        })
    }

    /// The rows of one deployment in a series of `time_s,deployment,replicas`.
    fn series(&mut self, file: &str, column: &str, path: &str) -> Vec<(SimTime, u32)> {
        let place = format!("{path}.series");
        let text = match self.files.read(&self.folder.join(file)) {
            Ok(text) => text,
            Err(reason) => {
                let span = self.context.span(&place);
                self.context.push(diagnostic::unreadable(span, file, &reason));
                return Vec::new();
            }
        };
        let rows = rows_of(&text);
        let mut steps: Vec<(SimTime, u32)> = Vec::new();
        let mut names: BTreeMap<String, ()> = BTreeMap::new();
        let mut last = 0;
        for row in rows {
            let found = row.and_then(|(line, record)| series_row(line, &record));
            let (line, ms, name, replicas) = match found {
                Ok(row) => row,
                Err((line, reason)) => return self.bad_row(&place, file, line, &reason),
            };
            if ms < last {
                return self.bad_row(&place, file, line, "it is earlier than the row before it");
            }
            last = ms;
            if name == column {
                steps.push((SimTime::from_ms(ms), replicas));
            } else {
                names.insert(name, ());
            }
        }
        if steps.is_empty() {
            let span = self.context.span(&place);
            let names = names.keys().map(String::as_str);
            let problem = diagnostic::no_such_series(span, file, column).suggest(column, names);
            self.context.push(problem);
        }
        steps
    }

    fn bad_row<T>(&mut self, place: &str, file: &str, line: u64, reason: &str) -> Vec<T> {
        let span = self.context.span(place);
        self.context.push(diagnostic::bad_row(span, file, line, reason));
        Vec::new()
    }
}

/// A line number with what is wrong with the line.
type RowError = (u64, String);

/// The records of a CSV text behind its header, each with its line.
fn rows_of(text: &str) -> Vec<Result<(u64, csv::StringRecord), RowError>> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let line = |position: Option<&csv::Position>| position.map_or(1, csv::Position::line);
    reader
        .records()
        .map(|record| match record {
            Ok(record) => Ok((line(record.position()), record)),
            Err(error) => Err((line(error.position()), error.to_string())),
        })
        .collect()
}

/// Line, milliseconds, deployment, replicas.
fn series_row(line: u64, record: &csv::StringRecord) -> Result<(u64, i64, String, u32), RowError> {
    let field = |index: usize, name: &str| {
        record.get(index).map(str::trim).ok_or((line, format!("it has no {name}")))
    };
    let ms = milliseconds(field(0, "time_s")?).map_err(|reason| (line, reason))?;
    let name = field(1, "deployment")?.to_owned();
    let text = field(2, "replicas")?;
    let replicas = text.parse().ok().filter(|count| *count <= 1_000_000);
    let replicas = replicas.ok_or((line, format!("`{text}` is no number of replicas")))?;
    Ok((line, ms, name, replicas))
}

/// Longest time in a file: ten years.
const MOST_SECONDS: f64 = 10.0 * 365.0 * 86_400.0;

/// Decimal seconds as milliseconds.
fn milliseconds(text: &str) -> Result<i64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    match seconds {
        Some(s) if (0.0..=MOST_SECONDS).contains(&s) => Ok(libm::round(s * 1_000.0) as i64),
        Some(_) => Err(format!("`{text}` seconds are not within ten years")),
        None => Err(format!("`{text}` is no number of seconds")),
    }
}
