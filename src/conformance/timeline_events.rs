//! Facts of the journal in the words of the recorded timelines.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::simulation::Simulation;
use crate::units::{ResourceVec, SimTime};
use crate::world::journal::{ClaimRef, CommandRef, Fact, PodRef, Record, ReplacementRef};

/// An event as one text: name, object, fields in the order of their keys.
pub(super) type TimedEvent = (SimTime, String);

/// The recorded events; `None` when the list is malformed.
pub(super) fn recorded(timeline: &Value) -> Option<Vec<TimedEvent>> {
    timeline
        .as_array()?
        .iter()
        .map(|entry| {
            let at = libm::round(entry["t_s"].as_f64()? * 1_000.0) as i64;
            let object = entry["object"].as_str().unwrap_or_default();
            let text = text(entry["event"].as_str()?, object, &entry["fields"]);
            Some((SimTime::from_ms(at), text))
        })
        .collect()
}

/// Runs to the horizon and collects the events.
pub(super) fn simulate(mut simulation: Simulation) -> Vec<TimedEvent> {
    let mut events = Vec::new();
    let mut translator = Translator::default();
    loop {
        for record in simulation.drain_journal() {
            translator.translate(&record, &mut events);
        }
        if simulation.step().is_none() {
            return events;
        }
    }
}

fn text(event: &str, object: &str, fields: &Value) -> String {
    format!("{event} {object} {}", canonical(fields))
}

/// JSON with sorted keys and numbers rounded to a millionth, so that equal values have equal texts.
fn canonical(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Number(number) => {
            let rounded = libm::round(number.as_f64().unwrap_or(f64::NAN) * 1e6) as i64;
            format!("{}.{:06}", rounded / 1_000_000, (rounded % 1_000_000).abs())
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            let entries: Vec<String> =
                sorted.iter().map(|(key, value)| format!("{key}={}", canonical(value))).collect();
            format!("{{{}}}", entries.join(" "))
        }
        other => other.to_string(),
    }
}

/// Remembers what later events repeat.
#[derive(Default)]
struct Translator {
    /// Instance types by claim.
    types: BTreeMap<u64, String>,
}

impl Translator {
    fn translate(&mut self, record: &Record, events: &mut Vec<TimedEvent>) {
        let at = record.at;
        let mut push = |event: &str, object: &str, fields: Value| {
            events.push((at, text(event, object, &fields)));
        };
        match &record.fact {
            Fact::Scaled { workload, replicas } => {
                let name = workload.rsplit('/').next().unwrap_or_default();
                push("script_scale", name, json!({ "replicas": replicas }));
            }
            Fact::TimelineStep { action, object } => {
                // The recordings name what some operations were done to, by the last part of its path.
                let name = object.rsplit('/').next().unwrap_or_default();
                let event = match *action {
                    "drift" => "script_nodeclass_drift".to_owned(),
                    "stock_out" => "script_ice".to_owned(),
                    action => format!("script_{action}"),
                };
                push(&event, name, Value::Null);
            }
            Fact::Applied { .. } => push("script_apply", "", Value::Null),
            Fact::Launched { claim, launch } => {
                self.types.insert(claim.ordinal, launch.instance_type.to_string());
                let fields = json!({
                    "capacity": launch.capacity_type, "price": launch.price,
                    "type": *launch.instance_type, "zone": *launch.zone,
                });
                push("launched", &claim.name, fields);
            }
            Fact::InstanceTerminating { claim } => {
                let fields = json!({ "type": self.types.get(&claim.ordinal) });
                let call = text("instance_terminating", &claim.name, &fields);
                // The call comes first, then one write of both conditions.
                let drained = text("drained", &claim.name, &json!({ "status": true }));
                let last = events.len().saturating_sub(1);
                let is_drained = events.last() == Some(&(at, drained));
                events.insert(if is_drained { last } else { events.len() }, (at, call));
                let condition = json!({ "status": true });
                events.push((at, text("instanceterminating", &claim.name, &condition)));
            }
            Fact::InstanceTerminated(claim) => {
                let fields = json!({ "type": self.types.get(&claim.ordinal) });
                push("instance_terminated", &claim.name, fields);
            }
            fact => {
                if let Some((event, object, fields)) =
                    pod_event(fact).or_else(|| claim_event(fact)).or_else(|| command_event(fact))
                {
                    push(event, &object, fields);
                }
            }
        }
    }
}

type Named = (&'static str, String, Value);

/// Events of pods; DaemonSet pods are left out of the recordings.
fn pod_event(fact: &Fact) -> Option<Named> {
    let (event, pod, fields): (_, &PodRef, _) = match fact {
        Fact::PodCreated(pod) => ("pod_created", pod, Value::Null),
        Fact::PodBound { pod, node } => ("pod_bound", pod, json!({ "node": *node.name })),
        Fact::PodSucceeded(pod) => ("pod_succeeded", pod, Value::Null),
        Fact::PodAnnotated(pod) => ("annotated", pod, Value::Null),
        Fact::PodRunning(pod) => ("pod_running", pod, Value::Null),
        Fact::PodTerminating { pod, node, cause } => {
            ("pod_terminating", pod, json!({ "node": *node.name, "cause": cause.name() }))
        }
        Fact::PodRemoved { pod, node: Some(node) } => {
            ("pod_removed", pod, json!({ "node": *node.name }))
        }
        Fact::PodRemoved { pod, node: None } => ("pod_removed", pod, Value::Null),
        _ => return None,
    };
    (!pod.daemon).then(|| (event, pod.name.to_string(), fields))
}

fn claim_event(fact: &Fact) -> Option<Named> {
    let (event, claim, fields): (_, &ClaimRef, _) = match fact {
        Fact::ClaimCreated { claim, instance_types, requirements, requests, .. } => {
            let fields = json!({
                "nodepool": *claim.pool, "options": instance_types.len(),
                "requests": request_fields(requests), "requirements": requirements,
            });
            ("nodeclaim_created", claim, fields)
        }
        Fact::NodeCreated(claim) => ("node_created", claim, Value::Null),
        Fact::Registered(claim) => ("registered", claim, Value::Null),
        Fact::NodeReady(claim) => ("node_ready", claim, Value::Null),
        Fact::Initialized { claim, .. } => ("initialized", claim, Value::Null),
        Fact::Consolidatable { claim, status } => {
            ("consolidatable", claim, json!({ "status": status }))
        }
        Fact::Drifted { claim, reason: Some(reason) } => {
            ("drifted", claim, json!({ "status": true, "reason": **reason }))
        }
        Fact::Drifted { claim, reason: None } => ("drifted", claim, json!({ "status": false })),
        Fact::InsufficientCapacity { claim, instance_type, zone, capacity_type } => {
            let fields = json!({
                "type": **instance_type, "zone": **zone, "capacity": capacity_type,
            });
            ("insufficient_capacity", claim, fields)
        }
        Fact::LaunchFailed { claim, .. } => {
            ("launch_failed", claim, json!({ "reason": "insufficient_capacity" }))
        }
        Fact::Interrupted { claim, .. } => ("interrupted", claim, Value::Null),
        Fact::LastPodEvent { claim, value } => {
            ("last_pod_event", claim, json!({ "value_s": value.ms() / 1_000 }))
        }
        Fact::Tainted { claim, status: true } => ("tainted", claim, Value::Null),
        Fact::Tainted { claim, status: false } => ("untainted", claim, Value::Null),
        Fact::Expired(claim) => ("expired", claim, Value::Null),
        Fact::ClaimDeleted(claim) => ("nodeclaim_deleted", claim, Value::Null),
        Fact::DrainStarted(claim) => ("drain_start", claim, Value::Null),
        Fact::Drained(claim) => ("drained", claim, json!({ "status": true })),
        Fact::NodeRemoved(claim) => ("node_removed", claim, Value::Null),
        Fact::ClaimRemoved(claim) => ("nodeclaim_removed", claim, Value::Null),
        _ => return None,
    };
    Some((event, claim.name.to_string(), fields))
}

fn request_fields(requests: &ResourceVec) -> Value {
    let entries = requests.iter().filter(|(_, amount)| *amount != 0);
    let entries = entries.map(|(name, amount)| {
        (name.to_owned(), Value::String(ResourceVec::format_amount(name, amount)))
    });
    Value::Object(entries.collect::<Map<String, Value>>())
}

fn command_event(fact: &Fact) -> Option<Named> {
    let (event, command, more): (_, &CommandRef, Value) = match fact {
        Fact::DisruptionComputed(command) => {
            ("disruption_computed", command, json!({ "decision": command.decision }))
        }
        Fact::ValidationFailed { command, failure, message } => {
            ("validation_failed", command, json!({ "failure": failure, "message": **message }))
        }
        Fact::DisruptionStarted { command, replacements } => {
            let mut fields = json!({
                "decision": command.decision, "reason": command.reason,
                "replacements": replacements.iter().map(replacement).collect::<Vec<_>>(),
            });
            // A static NodePool's replacement has no types, and so no price.
            if command.method != "StaticDrift" {
                fields["savings"] = json!(command.savings);
            }
            ("disruption_started", command, fields)
        }
        Fact::DisruptionSucceeded(command) => ("disruption_succeeded", command, json!({})),
        Fact::DisruptionFailed { command, message } => {
            ("disruption_failed", command, json!({ "message": **message }))
        }
        _ => return None,
    };
    let candidates: Vec<&str> = command.candidates.iter().map(|(c, _, _)| &*c.name).collect();
    let object = candidates.first().copied().unwrap_or_default().to_owned();
    let mut fields = json!({ "method": command.method, "candidates": candidates });
    if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
        fields.extend(more);
    }
    Some((event, object, fields))
}

fn replacement(replacement: &ReplacementRef) -> Value {
    let first: Vec<&str> = replacement.instance_types.iter().take(5).map(|name| &**name).collect();
    let mut fields = json!({
        "name": *replacement.claim.name, "pods": replacement.pods,
        "nodepool": *replacement.claim.pool, "options": replacement.instance_types.len(),
    });
    if !first.is_empty() {
        fields["first_types"] = json!(first);
    }
    fields
}
