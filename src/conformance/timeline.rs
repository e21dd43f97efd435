//! Recorded timelines: hours of Karpenter's own controllers in virtual time, compared second by second.
//!
//! The format and the levels are those of the recordings' README: level 5 is reached when every instant has the same
//! set of events, level 6 when they also come in the same order.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::catalogue::instance_types;
use super::report::{Check, Outcome};
use super::script::Script;
use super::timeline_events::{self, TimedEvent};
use super::timeline_levels::{self, Sums};
use super::{NotComparable, malformed, objects, snapshot};
use crate::engine::Distribution;
use crate::kube::{NodePool, label};
use crate::simulation::{Action, Config, PoolConfig, Simulation};
use crate::units::{SimDuration, SimTime};
use crate::world::Settings;
use crate::world::settings::{
    Boot, JobRetries, KarpenterOptions, Latency, PodUids, SchedulerTies, TieBreaks, VictimRule,
};

/// How a run compares with its recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The recording's name.
    pub name: String,
    /// Recorded events.
    pub recorded: usize,
    /// The first instant whose sets of events differ.
    pub first_difference: Option<Difference>,
    /// The first place where another event comes than recorded.
    pub first_disorder: Option<String>,
}

/// An instant with other events than recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The instant.
    pub at: SimTime,
    /// Recorded events that the run did not have.
    pub missing: Vec<String>,
    /// Events of the run that were not recorded.
    pub unexpected: Vec<String>,
}

/// The run of a recorded timeline, at its start.
pub fn simulation(text: &str) -> Result<Simulation, NotComparable> {
    let recording: Value = serde_json::from_str(text).map_err(|e| malformed(e.to_string()))?;
    Ok(Simulation::new(Arc::new(config(&recording["scenario"])?)))
}

/// Replays a recorded timeline and compares it at levels 5 and 6.
pub fn compare(text: &str) -> Result<Comparison, NotComparable> {
    let recording: Value = serde_json::from_str(text).map_err(|e| malformed(e.to_string()))?;
    let Replay { name, recorded, simulated, .. } = Replay::of(&recording)?;
    let first_difference = first_difference(&recorded, &simulated);
    let first_disorder = first_disorder(&recorded, &simulated);
    Ok(Comparison { name, recorded: recorded.len(), first_difference, first_disorder })
}

/// As [`compare`], at all levels, for a report.
pub(super) fn replay(recording: &Value) -> Result<Outcome, NotComparable> {
    let replay = Replay::of(recording)?;
    let (recorded, simulated) = (&replay.recorded, &replay.simulated);
    let expected = Sums::recorded(&recording["summary"]);
    let found = Sums::of(simulated, replay.end);
    let part = |of: fn(&[TimedEvent]) -> Vec<TimedEvent>| {
        first_difference(&of(recorded), &of(simulated)).map(|difference| difference.to_string())
    };
    let differences = [
        expected.difference(&found),
        expected.step_difference(&found),
        part(timeline_levels::lives),
        part(timeline_levels::disruption),
        part(<[TimedEvent]>::to_vec),
        first_disorder(recorded, simulated),
    ];
    let checks = LEVELS.into_iter().zip(differences);
    let checks = checks.map(|(name, difference)| Check { name, difference }).collect();
    Ok(Outcome::Compared { checks, parts: Vec::new(), times: Vec::new() })
}

/// The levels, from the loosest to the strictest.
const LEVELS: [&str; 6] =
    ["1 summary", "2 node steps", "3 NodeClaims", "4 disruption", "5 events", "6 order"];

/// A recording and the run of its scenario.
struct Replay {
    name: String,
    recorded: Vec<TimedEvent>,
    simulated: Vec<TimedEvent>,
    end: SimTime,
}

impl Replay {
    fn of(recording: &Value) -> Result<Replay, NotComparable> {
        let scenario = &recording["scenario"];
        let name = scenario["name"].as_str();
        let name = name.ok_or_else(|| malformed("scenario.name is missing"))?;
        let recorded = timeline_events::recorded(&recording["timeline"])
            .ok_or_else(|| malformed("timeline is not a list of events"))?;
        let config = config(scenario)?;
        let end = config.horizon;
        let simulated = timeline_events::simulate(Simulation::new(Arc::new(config)));
        Ok(Replay { name: name.to_owned(), recorded, simulated, end })
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at {}", self.at)?;
        self.missing.iter().try_for_each(|event| write!(f, "\nexpected {event}"))?;
        self.unexpected.iter().try_for_each(|event| write!(f, "\n   found {event}"))
    }
}

fn first_difference(recorded: &[TimedEvent], simulated: &[TimedEvent]) -> Option<Difference> {
    let mut instants: BTreeMap<SimTime, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for (at, event) in recorded {
        instants.entry(*at).or_default().0.push(event.clone());
    }
    for (at, event) in simulated {
        instants.entry(*at).or_default().1.push(event.clone());
    }
    instants.into_iter().find_map(|(at, (mut expected, mut found))| {
        expected.sort_unstable();
        found.sort_unstable();
        (expected != found).then(|| {
            let unexpected = without(&found, &expected);
            Difference { at, missing: without(&expected, &found), unexpected }
        })
    })
}

/// The first event that another one stands in the place of.
fn first_disorder(recorded: &[TimedEvent], simulated: &[TimedEvent]) -> Option<String> {
    let same = recorded.iter().zip(simulated).take_while(|(a, b)| a == b).count();
    if same == recorded.len() && same == simulated.len() {
        return None;
    }
    let text = |list: &[TimedEvent]| match list.get(same) {
        Some((at, event)) => format!("{event} at {at}"),
        None => "the end".to_owned(),
    };
    Some(format!("expected {}\n   found {}", text(recorded), text(simulated)))
}

/// What `list` has more often than `other`.
fn without(list: &[String], other: &[String]) -> Vec<String> {
    let mut rest = other.to_vec();
    let mut left = Vec::new();
    for item in list {
        match rest.iter().position(|known| known == item) {
            Some(i) => {
                rest.swap_remove(i);
            }
            None => left.push(item.clone()),
        }
    }
    left
}

/// The run of a recorded scenario, with the rules of the world that the recording states.
fn config(scenario: &Value) -> Result<Config, NotComparable> {
    let mut symbols = label::vocabulary();
    let types = Arc::new(instance_types(&scenario["instanceTypes"], &mut symbols)?);
    let list = scenario["objects"].as_array();
    let list = list.ok_or_else(|| malformed("objects is not a list"))?;
    let mut objects = objects::read(list, &mut symbols)?;
    let ttl = scenario["constants"]["job_ttl_s"].as_i64().map(SimDuration::from_seconds);
    objects.jobs.iter_mut().for_each(|job| job.pod_ttl = ttl);
    let boot = Arc::new(Boot::same(fixed(&scenario["constants"], "register_s")?));
    let configure = |spec: NodePool| PoolConfig {
        spec: Arc::new(spec),
        types: types.clone(),
        tags: Arc::new([]),
        boot: boot.clone(),
        class_fields: "".into(),
    };
    let mut script = Script::new(&scenario["objects"], &mut symbols, &configure);
    let mut timeline = script.read(&scenario["script"])?;
    for action in timeline.iter_mut().map(|(_, action)| action) {
        if let Action::Apply(objects) = action {
            objects.jobs.iter_mut().for_each(|job| job.pod_ttl = ttl);
        }
    }
    let start: jiff::Timestamp = (scenario["start"].as_str())
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| malformed("start is no time"))?;
    let mut settings = settings(&scenario["constants"])?;
    settings.start_epoch_seconds = start.as_second();
    settings.karpenter = snapshot::karpenter_options(&scenario["options"])?;
    let end_s = scenario["end_s"].as_i64().ok_or_else(|| malformed("end_s is missing"))?;
    Ok(Config {
        sources: Vec::new(),
        replicas: Vec::new(),
        settings: Arc::new(settings),
        symbols,
        pools: objects.node_pools.into_iter().map(configure).collect(),
        deployments: objects.deployments,
        jobs: objects.jobs,
        node_overlays: objects.node_overlays,
        capacity_buffers: objects.capacity_buffers,
        pod_templates: objects.pod_templates,
        daemon_sets: objects.daemon_sets,
        disruption_budgets: objects.disruption_budgets,
        pods: objects.pods,
        storage: objects.storage,
        namespaces: objects.namespaces,
        timeline,
        horizon: SimTime::from_seconds(end_s),
    })
}

/// A constant of the recording, in seconds.
fn fixed(constants: &Value, name: &str) -> Result<Distribution, NotComparable> {
    let seconds = constants[name].as_f64();
    let seconds = seconds.ok_or_else(|| malformed(format!("constants.{name} is missing")))?;
    Ok(Distribution::Fixed(libm::round(seconds * 1_000.0) as i64))
}

fn settings(constants: &Value) -> Result<Settings, NotComparable> {
    let fixed = |name: &str| fixed(constants, name);
    let victims = match constants["victims"].as_str() {
        Some("newest") => VictimRule::Newest,
        Some("colocated") => VictimRule::Colocated,
        other => return Err(malformed(format!("constants.victims is {other:?}"))),
    };
    Ok(Settings {
        start_epoch_seconds: 0,
        seed: 0,
        tie_breaks: TieBreaks::Canonical,
        latency: Latency {
            create: fixed("create_s")?,
            running: Distribution::Fixed(0),
            ready: fixed("ready_s")?,
            initialized: Distribution::Fixed(0),
            terminate: fixed("terminate_s")?,
            detach: Distribution::Fixed(0),
            message: Distribution::Fixed(0),
            pod_start: fixed("pod_start_s")?,
            image_pull: Distribution::Fixed(0),
            pod_stop: fixed("pod_stop_s")?,
        },
        scheduler_ties: SchedulerTies::Name,
        victims,
        job_retries: JobRetries::AtOnce,
        pod_uids: PodUids::CreationOrder,
        plain: false,
        controller_latency: SimDuration::ZERO,
        unavailable_for: SimDuration::from_seconds(
            constants["ice_cache_s"].as_i64().ok_or_else(|| malformed("no ice_cache_s"))?,
        ),
        karpenter: KarpenterOptions::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sums of recorded events are those that the recording states.
    #[test]
    fn sums_of_recorded_events_are_the_recorded_sums() {
        let file = include_bytes!("../../tests/timelines/seed-a.json.gz");
        let text = std::io::read_to_string(flate2::read::GzDecoder::new(&file[..])).expect("gzip");
        let recording: Value = serde_json::from_str(&text).expect("JSON");
        let events = timeline_events::recorded(&recording["timeline"]).expect("events");
        let end = recording["scenario"]["end_s"].as_i64().map(SimTime::from_seconds);
        let (recorded, sums) =
            (Sums::recorded(&recording["summary"]), Sums::of(&events, end.expect("an end")));
        assert_eq!(recorded.difference(&sums), None);
        assert_eq!(recorded.step_difference(&sums), None);
        let other = Sums::of(&events[..events.len() / 2], end.expect("an end"));
        assert!(
            recorded.difference(&other).is_some() && recorded.step_difference(&other).is_some()
        );
    }
}
