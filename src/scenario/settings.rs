//! The scenario with its texts given a meaning: spans of time, dates, zones. Every wrong value is
//! reported at its place.

use std::collections::{BTreeMap, BTreeSet};

use super::ron_places::Place;
use super::schema::{
    Autoscaler, KarpenterOptions, Latency, MinValuesPolicy, NodeTies, PreferencePolicy, Scenario,
    Score, TieBreaks, Victims,
};
use crate::diagnostic::{self, Diagnostics, SourceId, Span};
use crate::ec2::catalog::{Catalog, Region};
use crate::engine::Distribution;
use crate::units::SimDuration;

/// What exists in EC2, to check names against.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Regions with their zones, ascending.
    pub regions: BTreeMap<String, Vec<String>>,
    /// Names of all instance types. Empty: names are not checked.
    pub instance_types: BTreeSet<String>,
    /// Regions of which no price is known.
    pub unpriced: BTreeSet<String>,
}

impl From<&Catalog> for Catalogue {
    fn from(catalog: &Catalog) -> Catalogue {
        let zones = |region: &Region| region.zones.iter().map(|zone| zone.name.clone()).collect();
        let regions = catalog.regions.iter().map(|region| (region.name.clone(), zones(region)));
        let unpriced = catalog.regions.iter().filter(|region| !region.is_priced());
        Catalogue {
            regions: regions.collect(),
            unpriced: unpriced.map(|region| region.name.clone()).collect(),
            instance_types: catalog.types.iter().map(|facts| facts.name.clone()).collect(),
        }
    }
}

/// A span of time to draw from.
#[derive(Clone, Debug, PartialEq)]
pub enum LatencyModel {
    /// Always the same.
    Fixed(SimDuration),
    /// Log-normal through the median and the 95th percentile, the latter not below the former; the
    /// median is positive.
    LogNormal {
        /// Median.
        p50: SimDuration,
        /// 95th percentile.
        p95: SimDuration,
    },
    /// Uniform between two ends, in order.
    Uniform(SimDuration, SimDuration),
    /// Any other, in milliseconds, without a defect.
    Other(Distribution),
    /// One of these, all equally likely; never empty.
    Empirical(Vec<SimDuration>),
}

/// Everything of a scenario but its objects and timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The scenario's name.
    pub name: String,
    /// Its sentence.
    pub about: String,
    /// The policy's name.
    pub policy: String,
    /// Virtual time zero, seconds since 1970 UTC.
    pub start_epoch_s: i64,
    /// Length of the run, positive.
    pub horizon: SimDuration,
    /// Seed of all draws.
    pub seed: u64,
    /// The region.
    pub region: String,
    /// The zones, ascending, distinct.
    pub zones: Vec<String>,
    /// How long EC2 takes.
    pub cloud: CloudLatencies,
    /// Containers started to Running.
    pub pod_start: LatencyModel,
    /// Deletion to gone.
    pub pod_stop: LatencyModel,
    /// Pull of an image that the node does not have.
    pub image_pull: LatencyModel,
    /// kube-scheduler's scores.
    pub scores: Vec<Score>,
    /// Who wins among nodes of equal score.
    pub node_ties: NodeTies,
    /// Which pods a scale-down deletes.
    pub victims: Victims,
    /// From a change to the workload controller's answer.
    pub controller_latency: SimDuration,
    /// Karpenter's options.
    pub karpenter: KarpenterSettings,
    /// Who wins where Karpenter itself chooses at random.
    pub tie_breaks: TieBreaks,
}

impl Settings {
    /// The state of a feature gate of Karpenter.
    pub fn gate(&self, name: &str) -> bool {
        self.karpenter.feature_gates.get(name).copied().unwrap_or(false)
    }
}

/// How long EC2 takes; see [`super::schema::CloudLatency`].
#[derive(Clone, Debug, PartialEq)]
pub struct CloudLatencies {
    /// NodeClaim created to Launched.
    pub create: LatencyModel,
    /// Launched to running.
    pub running: LatencyModel,
    /// Launched to Registered, of every type and AMI family; see [`super::latency::boot`] when absent.
    pub registered: Option<LatencyModel>,
    /// Registered to node Ready.
    pub ready: LatencyModel,
    /// Node Ready to Initialized.
    pub init: LatencyModel,
    /// TerminateInstances to terminated.
    pub terminate: LatencyModel,
    /// A pod's end to the detachment of its volumes.
    pub detach: LatencyModel,
    /// From what EC2 says to the message in Karpenter's interruption queue.
    pub message: LatencyModel,
}

/// Karpenter's options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KarpenterSettings {
    /// `BATCH_IDLE_DURATION`.
    pub batch_idle: SimDuration,
    /// `BATCH_MAX_DURATION`.
    pub batch_max: SimDuration,
    /// `PREFERENCE_POLICY`.
    pub preference_policy: PreferencePolicy,
    /// `MIN_VALUES_POLICY`.
    pub min_values_policy: MinValuesPolicy,
    /// `INTERRUPTION_QUEUE` is set.
    pub interruption_queue: bool,
    /// `FEATURE_GATES`: each gate of Karpenter v1.14 with its state.
    pub feature_gates: BTreeMap<&'static str, bool>,
    /// Computing time of one what-if of the disruption loop.
    pub evaluation_time: SimDuration,
}

/// The policy of a scenario that names none.
pub const ONLY_POLICY: &str = "default";

/// Gates that Karpenter v1.14 has, with their defaults.
const GATES: [(&str, bool); 6] = [
    ("CapacityBuffer", false),
    ("NodeOverlay", false),
    ("NodeRepair", false),
    ("ReservedCapacity", true),
    ("SpotToSpotConsolidation", false),
    ("StaticCapacity", false),
];

/// Gives a scenario's values their meaning. Wrong values are reported and replaced, so that reading
/// can go on.
pub fn resolve(
    scenario: &Scenario,
    fallback_name: &str,
    policy: Option<&str>,
    catalogue: &Catalogue,
    context: &mut Context<'_>,
) -> Settings {
    let Autoscaler::Karpenter { options } = &scenario.autoscaler;
    let latency = &scenario.cloud.latency;
    let first_policy = scenario.policies.first().map_or(ONLY_POLICY, |policy| &policy.name);
    let horizon = context.duration(&scenario.horizon, "horizon");
    if horizon == SimDuration::ZERO && SimDuration::parse(&scenario.horizon).is_some() {
        let rule = "a run must last longer than nothing";
        let span = context.span("horizon");
        context.push(diagnostic::out_of_range(span, "horizon", &scenario.horizon, rule));
    }
    Settings {
        name: context.name(scenario.name.as_deref().unwrap_or(fallback_name)),
        about: scenario.about.clone(),
        policy: policy.unwrap_or(first_policy).to_owned(),
        start_epoch_s: context.date(&scenario.start),
        horizon,
        seed: scenario.seed,
        region: scenario.cluster.region.clone(),
        zones: context.zones(scenario, catalogue),
        cloud: CloudLatencies {
            create: context.latency(&latency.create, "cloud.latency.create"),
            running: context.latency(&latency.running, "cloud.latency.running"),
            registered: (latency.registered.as_ref())
                .map(|registered| context.latency(registered, "cloud.latency.registered")),
            ready: context.latency(&latency.ready, "cloud.latency.ready"),
            init: context.latency(&latency.init, "cloud.latency.init"),
            terminate: context.latency(&latency.terminate, "cloud.latency.terminate"),
            detach: context.latency(&latency.detach, "cloud.latency.detach"),
            message: context.latency(&latency.message, "cloud.latency.message"),
        },
        pod_start: context.latency(&scenario.pods.start, "pods.start"),
        pod_stop: context.latency(&scenario.pods.stop, "pods.stop"),
        image_pull: context.latency(&scenario.pods.image_pull, "pods.image_pull"),
        scores: scenario.scheduler.scores.clone(),
        node_ties: scenario.scheduler.ties,
        victims: scenario.controllers.victims,
        controller_latency: context.duration(&scenario.controllers.latency, "controllers.latency"),
        karpenter: context.karpenter(options),
        tie_breaks: scenario.tie_breaks,
    }
}

/// Where the scenario's values stand, and where problems go.
pub struct Context<'a> {
    /// The scenario's text.
    pub source: SourceId,
    /// The places of its values.
    pub places: &'a Place,
    /// Where problems go.
    pub diagnostics: &'a mut Diagnostics,
}

impl Context<'_> {
    /// The place of a path.
    pub fn span(&self, path: &str) -> Span {
        let range = self.places.at(path).span.clone();
        Span { source: self.source, start: range.start, end: range.end }
    }

    /// Reports a problem.
    pub fn push(&mut self, problem: diagnostic::Diagnostic) {
        self.diagnostics.push(problem);
    }

    /// A duration; zero when it is none.
    pub fn duration(&mut self, text: &str, path: &str) -> SimDuration {
        SimDuration::parse(text).unwrap_or_else(|| {
            let span = self.span(path);
            self.push(diagnostic::bad_duration(span, text, path));
            SimDuration::ZERO
        })
    }

    /// The name becomes a folder's name.
    fn name(&mut self, name: &str) -> String {
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.starts_with('.') || name.len() > 100 || !name.chars().all(valid)
        {
            let rule =
                "it names a folder: letters, digits, '-', '_' and '.', at most 100, no leading '.'";
            let span = self.span("name");
            self.push(diagnostic::out_of_range(span, "name", &format!("`{name}`"), rule));
        }
        name.to_owned()
    }

    fn date(&mut self, text: &str) -> i64 {
        let instant = text.parse::<jiff::Timestamp>().ok();
        match instant.filter(|instant| instant.subsec_nanosecond() == 0) {
            Some(instant) => instant.as_second(),
            None => {
                let span = self.span("start");
                self.push(diagnostic::bad_date(span, text));
                0
            }
        }
    }

    fn zones(&mut self, scenario: &Scenario, catalogue: &Catalogue) -> Vec<String> {
        let cluster = &scenario.cluster;
        let Some(known) = catalogue.regions.get(&cluster.region) else {
            let span = self.span("cluster.region");
            let regions = catalogue.regions.keys().map(String::as_str);
            let problem = diagnostic::unknown_region(span, &cluster.region);
            self.push(problem.suggest(&cluster.region, regions));
            return cluster.zones.clone();
        };
        if catalogue.unpriced.contains(&cluster.region) {
            let span = self.span("cluster.region");
            self.push(diagnostic::region_without_prices(span, &cluster.region));
        }
        for (i, zone) in cluster.zones.iter().enumerate().filter(|(_, zone)| !known.contains(zone))
        {
            let span = self.span(&format!("cluster.zones[{i}]"));
            let problem = diagnostic::unknown_zone(span, zone, &cluster.region)
                .help(format!("the zones are {}", known.join(", ")));
            self.push(problem.suggest(zone, known.iter().map(String::as_str)));
        }
        let mut zones =
            if cluster.zones.is_empty() { known.clone() } else { cluster.zones.clone() };
        zones.sort_unstable();
        zones.dedup();
        zones
    }

    /// A distribution without a defect; a defect is reported.
    fn sound(&mut self, distribution: Distribution, path: &str) -> LatencyModel {
        if let Some(defect) = distribution.defect() {
            let span = self.span(path);
            self.push(diagnostic::out_of_range(span, path, "no distribution", defect));
            return LatencyModel::Fixed(SimDuration::ZERO);
        }
        LatencyModel::Other(distribution)
    }

    /// A span of time by lot.
    pub fn latency(&mut self, latency: &Latency, path: &str) -> LatencyModel {
        match latency {
            Latency::Fixed(span) => LatencyModel::Fixed(self.duration(span, &format!("{path}[0]"))),
            Latency::LogNormal { p50, p95 } => {
                let (low, high) = (format!("{path}.p50"), format!("{path}.p95"));
                let model = (self.duration(p50, &low), self.duration(p95, &high));
                if model.0 == SimDuration::ZERO && SimDuration::parse(p50).is_some() {
                    let span = self.span(&low);
                    let rule = "a log-normal median must be positive; write Fixed(\"0s\")";
                    self.push(diagnostic::out_of_range(span, &low, p50, rule));
                } else if model.1 < model.0 && SimDuration::parse(p95).is_some() {
                    let span = self.span(&high);
                    let rule = format!("p95 must be at least p50 ({p50})");
                    self.push(diagnostic::out_of_range(span, &high, p95, &rule));
                }
                LatencyModel::LogNormal { p50: model.0, p95: model.1 }
            }
            Latency::Uniform(from, to) => {
                let (low, high) = (format!("{path}[0]"), format!("{path}[1]"));
                let ends = (self.duration(from, &low), self.duration(to, &high));
                if ends.1 < ends.0 && SimDuration::parse(to).is_some() {
                    let span = self.span(&high);
                    let rule = format!("the upper end must be at least the lower one ({from})");
                    self.push(diagnostic::out_of_range(span, &high, to, &rule));
                }
                LatencyModel::Uniform(ends.0, ends.1)
            }
            Latency::Exponential { mean } => {
                let mean = self.duration(mean, &format!("{path}.mean")).ms() as f64;
                self.sound(Distribution::Exponential { mean }, path)
            }
            Latency::Weibull { shape, scale } => {
                let scale = self.duration(scale, &format!("{path}.scale")).ms() as f64;
                self.sound(Distribution::Weibull { shape: *shape, scale }, path)
            }
            Latency::Pareto { shape, least, most } => {
                let least = self.duration(least, &format!("{path}.least")).ms() as f64;
                let most = self.duration(most, &format!("{path}.most")).ms() as f64;
                self.sound(Distribution::Pareto { shape: *shape, least, most }, path)
            }
            Latency::Empirical(spans) => {
                if spans.is_empty() {
                    let span = self.span(path);
                    let rule = "it must hold at least one duration";
                    self.push(diagnostic::out_of_range(span, path, "empty", rule));
                }
                let item = |i: usize| format!("{path}[0][{i}]");
                let spans = spans.iter().enumerate();
                LatencyModel::Empirical(spans.map(|(i, s)| self.duration(s, &item(i))).collect())
            }
        }
    }

    fn karpenter(&mut self, options: &KarpenterOptions) -> KarpenterSettings {
        for name in options.feature_gates.keys() {
            if !GATES.iter().any(|gate| gate.0 == name) {
                let span = self.span(&format!("autoscaler.options.feature_gates.{name}"));
                let problem = diagnostic::unknown_scenario_name(
                    span,
                    "feature gate",
                    name,
                    "Karpenter v1.14",
                );
                self.push(problem.suggest(name, GATES.iter().map(|gate| gate.0)));
            }
        }
        let state = |name, default| options.feature_gates.get(name).copied().unwrap_or(default);
        KarpenterSettings {
            batch_idle: self.duration(&options.batch_idle, "autoscaler.options.batch_idle"),
            batch_max: self.duration(&options.batch_max, "autoscaler.options.batch_max"),
            preference_policy: options.preference_policy,
            min_values_policy: options.min_values_policy,
            interruption_queue: options.interruption_queue,
            feature_gates: GATES.iter().map(|(name, on)| (*name, state(*name, *on))).collect(),
            evaluation_time: self
                .duration(&options.evaluation_time, "autoscaler.options.evaluation_time"),
        }
    }
}
