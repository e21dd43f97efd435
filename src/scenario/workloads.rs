//! `workloads` of a scenario: services whose replicas follow a load or a recorded series.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::latency::distribution;
use super::load::{Files, TimelineAction};
use super::schema::{Curve, Latency, OnEviction, PodShape, Process, Scenario, Workload};
use super::series;
use super::settings::{Context, Settings};
use super::trace::{self, Repeated, RowError, TraceFile};
use crate::diagnostic::{self, Diagnostics, Span};
use crate::engine::Distribution;
use crate::kube::PodClass;
use crate::simulation::{Action, Comeback, Load, ReplicaCurve, ReplicaSource, Source, arrival};
use crate::units::{SimDuration, SimTime};

/// Arrivals an hour, replicas and the like at most.
const MOST: f64 = 1e9;

/// Longest mean of the time that pods run.
const LONGEST_LIFETIME: SimDuration = SimDuration::from_seconds(10 * 365 * 86_400);

/// What the workloads of a scenario come to.
#[derive(Clone, Debug, Default)]
pub struct Workloads {
    /// Sources of pods.
    pub sources: Vec<Source>,
    /// Services whose replicas are computed in the run.
    pub replicas: Vec<ReplicaSource>,
    /// Changes of replicas that are known beforehand, ascending by instant.
    pub scales: Vec<(SimTime, TimelineAction)>,
    /// Digests of the traces and series that were read, in their order.
    pub digests: Vec<u64>,
}

/// Makes the class of pods from a manifest, its place and the workload's name.
type ClassOf<'a> = dyn FnMut(&str, Span, &str, &mut Diagnostics) -> Option<Arc<PodClass>> + 'a;

/// Where workloads are read from.
pub struct Reading<'a, 'c> {
    /// Places and diagnostics.
    pub context: &'a mut Context<'c>,
    /// Files.
    pub files: &'a dyn Files,
    /// The scenario's folder.
    pub folder: &'a Path,
    /// The scenario's settings.
    pub settings: &'a Settings,
    /// Makes the class of the pods of a workload from a manifest whose place is given.
    pub class_of: &'a mut ClassOf<'a>,
    /// Whether a workload of this name is defined; `None` when what is defined is not fully known.
    pub is_known: &'a dyn Fn(&str) -> Option<bool>,
    /// Digests of the traces and series read so far; empty at first.
    pub digests: Vec<u64>,
}

impl Reading<'_, '_> {
    /// All workloads.
    pub fn read(&mut self, scenario: &Scenario) -> Workloads {
        let mut workloads = Workloads::default();
        for (i, workload) in scenario.workloads.iter().enumerate() {
            let path = format!("workloads[{i}]");
            let Workload::Replicas { template, series, column, curve } = workload else {
                workloads.sources.extend(self.source(workload, &path));
                continue;
            };
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
        workloads.digests = std::mem::take(&mut self.digests);
        workloads
    }

    /// A source of pods.
    fn source(&mut self, workload: &Workload, path: &str) -> Option<Source> {
        match workload {
            Workload::Arrivals {
                name,
                namespace,
                process,
                pods,
                lifetime,
                on_eviction,
                from,
                until,
            } => {
                let pattern = self.process(process, &format!("{path}.process"));
                let lifetime = self.lifetime(lifetime, &format!("{path}.lifetime"));
                let mut instant = |text: &Option<String>, field: &str, default: SimTime| match text
                {
                    Some(text) => {
                        SimTime::ZERO + self.context.duration(text, &format!("{path}.{field}"))
                    }
                    None => default,
                };
                let horizon = SimTime::ZERO + self.settings.horizon;
                let span = (instant(from, "from", SimTime::ZERO), instant(until, "until", horizon));
                let classes = self.classes(name, namespace, pods, path)?;
                let load = Load::Arrivals { pattern, classes: classes.into(), lifetime, span };
                let (name, comeback) = (name.as_str().into(), comeback(*on_eviction));
                Some(Source { name, load, comeback })
            }
            Workload::Trace { name, namespace, file, on_eviction } => {
                let (trace, digest) = self.trace(name, namespace, file, path)?;
                self.digests.push(digest);
                let (name, comeback) = (name.as_str().into(), comeback(*on_eviction));
                Some(Source { name, load: Load::Trace(Arc::new(trace)), comeback })
            }
            Workload::Replicas { .. } => None,
        }
    }

    /// How long pods run, in milliseconds.
    fn lifetime(&mut self, lifetime: &Latency, path: &str) -> Distribution {
        let lifetime = distribution(&self.context.latency(lifetime, path));
        let mean = SimDuration::from_ms(lifetime.mean().min(1e18) as i64);
        if mean > LONGEST_LIFETIME {
            let span = self.context.span(path);
            let (found, rule) = (mean.to_string(), "pods run for ten years at most, on average");
            let problem = diagnostic::out_of_range(span, path, &found, rule);
            self.context.push(problem.help("for pods without an end use a Deployment"));
        }
        lifetime
    }

    fn process(&mut self, process: &Process, path: &str) -> arrival::Process {
        match process {
            Process::Bursts { at, pods, within } => {
                let rate = self.rate(at, &format!("{path}.at"));
                let within = self.context.duration(within, &format!("{path}.within"));
                if pods.0 == 0 || pods.1 < pods.0 {
                    let (span, place) = (self.context.span(path), format!("{path}.pods"));
                    let (found, rule) =
                        (format!("{pods:?}"), "a burst has at least one pod, from least to most");
                    self.context.push(diagnostic::out_of_range(span, &place, &found, rule));
                }
                let (low, high) = (i64::from(pods.0), i64::from(pods.1.max(pods.0)));
                let pods = Distribution::Uniform { low, high };
                arrival::Process::Bursts { rate, pods, within }
            }
            single => arrival::Process::Single(self.rate(single, path)),
        }
    }

    fn rate(&mut self, process: &Process, path: &str) -> arrival::Rate {
        let start = self.settings.start_epoch_s;
        let at = |field: &str| format!("{path}.{field}");
        match process {
            Process::Poisson { per_hour } => {
                arrival::Rate::constant(self.number(*per_hour, 0.0, MOST, &at("per_hour")))
            }
            Process::Diurnal { mean_per_hour, peak_to_mean, peak_at, weekend } => {
                let mean = self.number(*mean_per_hour, 0.0, MOST, &at("mean_per_hour"));
                let steepest = arrival::MOST_PEAK_TO_MEAN;
                let peak = self.number(*peak_to_mean, 1.0, steepest, &at("peak_to_mean"));
                let weekend = self.number(*weekend, 0.0, 1_000.0, &at("weekend"));
                let minute = self.minute_of_day(peak_at, &at("peak_at"));
                arrival::Rate::diurnal(mean, peak, minute, weekend, start)
            }
            Process::Weekly { per_hour } => {
                let number = |(i, value): (usize, &f64)| {
                    self.number(*value, 0.0, MOST, &format!("{path}.per_hour[{i}]"))
                };
                let hours: Vec<f64> = per_hour.iter().enumerate().map(number).collect();
                if !matches!(hours.len(), 24 | 168) {
                    let (span, found) =
                        (self.context.span(path), format!("{} values", hours.len()));
                    let rule = "there are 24 for the day or 168 for the week";
                    self.context.push(diagnostic::out_of_range(
                        span,
                        &at("per_hour"),
                        &found,
                        rule,
                    ));
                    return arrival::Rate::constant(0.0);
                }
                arrival::Rate::hourly(&hours, start)
            }
            Process::Bursts { .. } => {
                let span = self.context.span(path);
                let rule = "bursts begin one by one";
                self.context.push(diagnostic::out_of_range(span, path, "Bursts", rule));
                arrival::Rate::constant(0.0)
            }
        }
    }

    /// The classes of some shapes with their summed weights; `None` when there is none.
    fn classes(
        &mut self,
        name: &str,
        namespace: &str,
        pods: &[PodShape],
        path: &str,
    ) -> Option<Vec<(u64, Arc<PodClass>)>> {
        let (mut classes, mut total) = (Vec::new(), 0);
        for (i, shape) in pods.iter().enumerate() {
            let span = self.context.span(&format!("{path}.pods[{i}]"));
            let text = manifest(name, namespace, shape);
            let workload = format!("Arrivals/{namespace}/{name}");
            let class = (self.class_of)(&text, span, &workload, self.context.diagnostics);
            total += u64::from(shape.weight);
            classes.extend(class.map(|class| (total, class)));
        }
        if total == 0 {
            let (span, place) = (self.context.span(path), format!("{path}.pods"));
            let rule = "it needs at least one kind of pod with a weight above 0";
            self.context.push(diagnostic::out_of_range(span, &place, "empty", rule));
        }
        (total > 0 && !classes.is_empty()).then_some(classes)
    }

    fn trace(
        &mut self,
        name: &str,
        namespace: &str,
        file: &str,
        path: &str,
    ) -> Option<(TraceFile, u64)> {
        let place = format!("{path}.file");
        let span = self.context.span(&place);
        let stored = self.files.store(&self.folder.join(file));
        let stream = match stored.open() {
            Ok(stream) => stream,
            Err(reason) => {
                self.context.push(diagnostic::unreadable(span, file, &reason));
                return None;
            }
        };
        let checked = match trace::check(stream) {
            Ok(checked) => checked,
            Err(error) => {
                self.bad_row(&place, file, &error);
                return None;
            }
        };
        if let Some(Repeated { name, first, line }) = &checked.repeated {
            self.context.push(diagnostic::repeated_pod(span, file, name, *first, *line));
            return None;
        }
        if !checked.not_modelled.is_empty() {
            let columns = checked.not_modelled.join(", ");
            self.context.push(diagnostic::columns_not_modelled(span, file, &columns));
        }
        let mut classes = BTreeMap::new();
        for shape in checked.shapes {
            let group = if shape.group.is_empty() { name } else { &shape.group };
            let workload = format!("Trace/{namespace}/{group}");
            let text = manifest(name, namespace, &shape_of(&shape));
            let class = (self.class_of)(&text, span, &workload, self.context.diagnostics)?;
            classes.insert(shape, class);
        }
        Some((TraceFile { file: stored, classes }, checked.digest))
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
        let load = arrival::Rate::diurnal(
            mean,
            peak_to_mean,
            minute,
            weekend,
            self.settings.start_epoch_s,
        );
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
        let problem = diagnostic::out_of_range(span, path, &value.to_string(), &rule);
        self.context.push(problem.help(format!("write a number from {low} to {high}")));
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
        let span = self.context.span(&place);
        let stream = match self.files.store(&self.folder.join(file)).open() {
            Ok(stream) => stream,
            Err(reason) => {
                self.context.push(diagnostic::unreadable(span, file, &reason));
                return Vec::new();
            }
        };
        match series::read(stream, column) {
            Ok(series) if series.steps.is_empty() => {
                let names = series.others.iter().map(String::as_str);
                let problem = diagnostic::no_such_series(span, file, column).suggest(column, names);
                self.context.push(problem);
                Vec::new()
            }
            Ok(series) => {
                self.digests.push(series.digest);
                series.steps
            }
            Err(error) => {
                self.bad_row(&place, file, &error);
                Vec::new()
            }
        }
    }

    fn bad_row(&mut self, place: &str, file: &str, error: &RowError) {
        let span = self.context.span(place);
        let problem = diagnostic::bad_row(span, file, error.line, &error.reason);
        self.context.push(problem.help(error.help));
    }
}

fn comeback(on_eviction: OnEviction) -> Comeback {
    match on_eviction {
        OnEviction::StartOver => Comeback::StartsOver,
        OnEviction::GoOn => Comeback::GoesOn,
        OnEviction::Lose => Comeback::Lost,
    }
}

/// A row's shape in the scenario's short form.
fn shape_of(shape: &trace::Shape) -> PodShape {
    let pairs = shape.selector.split(';').filter_map(|pair| pair.split_once('='));
    PodShape {
        cpu: if shape.cpu_milli == 0 { String::new() } else { format!("{}m", shape.cpu_milli) },
        memory: if shape.memory_mib == 0 {
            String::new()
        } else {
            format!("{}Mi", shape.memory_mib)
        },
        ephemeral_storage: match shape.ephemeral_mib {
            0 => String::new(),
            mib => format!("{mib}Mi"),
        },
        gpu: u32::try_from(shape.gpus).unwrap_or(u32::MAX),
        node_selector: pairs
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
            .collect(),
        priority: shape.priority,
        ..PodShape::default()
    }
}

/// The short form written out as the manifest of a Pod, which is then read as any other.
fn manifest(name: &str, namespace: &str, shape: &PodShape) -> String {
    let mut requests = serde_json::Map::new();
    for (resource, amount) in [
        ("cpu", &shape.cpu),
        ("memory", &shape.memory),
        ("ephemeral-storage", &shape.ephemeral_storage),
    ] {
        if !amount.is_empty() {
            requests.insert(resource.to_owned(), amount.as_str().into());
        }
    }
    let limits = if shape.gpu > 0 {
        serde_json::json!({ "nvidia.com/gpu": shape.gpu })
    } else {
        serde_json::json!({})
    };
    let mut annotations = serde_json::Map::new();
    if shape.do_not_disrupt {
        annotations.insert("karpenter.sh/do-not-disrupt".to_owned(), "true".into());
    }
    let grace = SimDuration::parse(&shape.grace)
        .map_or(serde_json::Value::from(shape.grace.as_str()), |span| (span.ms() / 1_000).into());
    serde_json::json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "namespace": namespace, "annotations": annotations },
        "spec": {
            "terminationGracePeriodSeconds": grace,
            "priority": shape.priority,
            "nodeSelector": shape.node_selector,
            "containers": [{
                "name": "main",
                "resources": { "requests": requests, "limits": limits },
            }],
        },
    })
    .to_string()
}
