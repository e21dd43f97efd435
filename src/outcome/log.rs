//! The log of a run: what Karpenter's controller would have logged, fact by fact, and the simulator's own lines.
//!
//! Messages and fields are those of karpenter v1.14.1 (JSON keys of its structured log), less what a simulation has no
//! value for: commit, reconcileID, wall-clock durations. Facts that Karpenter does not log have the logger `karpsim`.
//! Lines are data ([`LogLine`]); [`LogLine::text`] and [`LogLine::json`] are their forms. Nothing is kept for later, so
//! that a log can be written while the run goes on. Unlike the controller's logger, none of many equal messages is left
//! out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::log_line::{Field, Level, LogLine};
use crate::units::{SimTime, UsdPerHour};
use crate::world::interruptions::MessageKind;
use crate::world::journal::{ClaimRef, CommandRef, Fact, Launch, PodRef, Record, ReplacementRef};

const PROVISIONER: &str = "provisioner";
const DISRUPTION: &str = "disruption";
const DISRUPTION_QUEUE: &str = "disruption.queue";
pub(super) const LIFECYCLE: &str = "nodeclaim.lifecycle";
pub(super) const CONDITIONS: &str = "nodeclaim.disruption";
const GARBAGE_COLLECTION: &str = "nodeclaim.garbagecollection";
const INTERRUPTION: &str = "interruption";
const INSTANCE_STATUS: &str = "interruption.instancestatus";
const HEALTH: &str = "node.health";
pub(super) const EXPIRATION: &str = "nodeclaim.expiration";
pub(super) const TERMINATION: &str = "node.termination";
/// The logger of lines that Karpenter does not write.
pub const OWN_LOGGER: &str = "karpsim";

/// Names shown of a long list, as Karpenter shortens it.
const SHOWN: usize = 5;

/// Turns facts into lines. Knows of live NodeClaims and open commands what later lines repeat.
#[derive(Clone, Debug, Default)]
pub struct Narrator {
    provider_ids: BTreeMap<u64, Arc<str>>,
    replacements: BTreeMap<u64, Vec<ReplacementRef>>,
}

impl Narrator {
    /// A narrator for a run that is about to start.
    pub fn new() -> Narrator {
        Narrator::default()
    }

    /// Hands the lines of a fact to `sink`.
    pub fn narrate(&mut self, record: &Record, mut sink: impl FnMut(&LogLine)) {
        let mut say = Say { at: record.at, sink: &mut sink };
        match &record.fact {
            fact @ (Fact::DisruptionComputed(_)
            | Fact::ValidationFailed { .. }
            | Fact::DisruptionStarted { .. }
            | Fact::DisruptionSucceeded(_)
            | Fact::DisruptionFailed { .. }) => self.on_command(fact, &mut say),
            fact @ (Fact::Launched { .. }
            | Fact::Registered(_)
            | Fact::Initialized { .. }
            | Fact::ClaimRemoved(_)) => self.on_lifecycle(fact, &mut say),
            fact => {
                if !(on_pod(fact, &mut say) || on_claim(fact, &mut say)) {
                    on_cloud(fact, &mut say);
                }
            }
        }
    }

    fn on_lifecycle(&mut self, fact: &Fact, say: &mut Say<'_>) {
        match fact {
            Fact::Launched { claim, launch } => {
                self.provider_ids.insert(claim.ordinal, launch.provider_id.clone());
                say.info(LIFECYCLE, "launched nodeclaim", launch_fields(claim, launch));
            }
            Fact::Registered(claim) => {
                say.info(LIFECYCLE, "registered nodeclaim", self.node_fields(claim));
            }
            Fact::Initialized { claim, allocatable } => {
                let mut fields = self.node_fields(claim);
                fields.push(("allocatable", Field::Resources(allocatable.clone())));
                say.info(LIFECYCLE, "initialized nodeclaim", fields);
            }
            Fact::ClaimRemoved(claim) => {
                say.info(LIFECYCLE, "deleted nodeclaim", self.node_fields(claim));
                self.provider_ids.remove(&claim.ordinal);
            }
            _ => {}
        }
    }

    fn on_command(&mut self, fact: &Fact, say: &mut Say<'_>) {
        match fact {
            Fact::DisruptionComputed(command) => {
                say.own("computed command", command_fields(command, &[]));
            }
            // karpenter v1.14.1 pkg/controllers/disruption/emptiness.go names every failure pod churn.
            Fact::ValidationFailed { command, .. } if command.method == "Emptiness" => say.line(
                Level::Debug,
                DISRUPTION,
                "abandoning empty node consolidation attempt due to pod churn, \
                 command is no longer valid",
                command_fields(command, &[]),
            ),
            Fact::ValidationFailed { command, failure, .. } => {
                let mut fields = vec![("method", text(command.method)), ("failure", text(failure))];
                fields.extend(command_fields(command, &[]));
                say.own("abandoned command that is no longer valid", fields);
            }
            Fact::DisruptionStarted { command, replacements } => {
                let string = command_text(command, replacements.len());
                let mut fields = vec![("command", text(&string))];
                fields.extend(command_fields(command, replacements));
                say.info(DISRUPTION, "disrupting node(s)", fields);
                self.replacements.insert(command.id, replacements.clone());
            }
            Fact::DisruptionSucceeded(command) => {
                let replacements = self.replacements.remove(&command.id).unwrap_or_default();
                let fields = command_fields(command, &replacements);
                say.line(Level::Debug, DISRUPTION_QUEUE, "command succeeded", fields);
            }
            Fact::DisruptionFailed { command, message } => {
                let replacements = self.replacements.remove(&command.id).unwrap_or_default();
                let mut fields = command_fields(command, &replacements);
                fields.push(("error", Field::Text(message.clone())));
                say.line(
                    Level::Error,
                    DISRUPTION_QUEUE,
                    "failed terminating nodes while executing a disruption command",
                    fields,
                );
            }
            _ => {}
        }
    }

    /// NodeClaim, Node and provider id of a claim; the latter two once it was launched.
    fn node_fields(&self, claim: &ClaimRef) -> Fields {
        let mut fields = vec![("NodeClaim", object(&claim.name))];
        if let Some(id) = self.provider_ids.get(&claim.ordinal) {
            fields.push(("provider-id", Field::Text(id.clone())));
            fields.push(("Node", object(&claim.name)));
        }
        fields
    }
}

type Fields = Vec<(&'static str, Field)>;

/// Where lines go, and the instant they carry.
struct Say<'a> {
    at: SimTime,
    sink: &'a mut dyn FnMut(&LogLine),
}

impl Say<'_> {
    fn line(&mut self, level: Level, logger: &'static str, message: &'static str, fields: Fields) {
        (self.sink)(&LogLine { at: self.at, level, logger, message, fields });
    }

    fn info(&mut self, logger: &'static str, message: &'static str, fields: Fields) {
        self.line(Level::Info, logger, message, fields);
    }

    fn own(&mut self, message: &'static str, fields: Fields) {
        self.line(Level::Debug, OWN_LOGGER, message, fields);
    }
}

/// Pods, batches and the steps of the timeline; false for other facts.
fn on_pod(fact: &Fact, say: &mut Say<'_>) -> bool {
    match fact {
        Fact::Scaled { workload, replicas } => {
            let replicas = Field::Integer(i64::from(*replicas));
            let fields = vec![("workload", Field::Text(workload.clone())), ("replicas", replicas)];
            say.info(OWN_LOGGER, "scaled workload", fields);
        }
        Fact::Applied { object } => {
            let fields = vec![("object", Field::Text(object.clone()))];
            say.info(OWN_LOGGER, "applied object", fields);
        }
        Fact::PodCreated(pod) => say.own("created pod", pod_fields(pod)),
        Fact::PodUnschedulable(pod) => {
            say.own("no node for pod", vec![("Pod", pod_object(pod))]);
        }
        Fact::PodBound { pod, node } => say.own("bound pod", pod_on(pod, node)),
        Fact::PodRunning(pod) => say.own("pod running", vec![("Pod", pod_object(pod))]),
        Fact::PodTerminating { pod, node, cause } => {
            let mut fields = pod_on(pod, node);
            fields.push(("cause", text(cause.name())));
            say.own("terminating pod", fields);
        }
        Fact::WorkLost { pod, ran, returns } => {
            let ran = ("ran", text(&ran.to_string()));
            let message = if *returns { "lost work of pod" } else { "lost pod" };
            say.own(message, vec![("Pod", pod_object(pod)), ran]);
        }
        Fact::JobFailed { workload } => {
            // kubernetes v1.36 pkg/controller/job/job_controller.go, event BackoffLimitExceeded.
            let fields = vec![("workload", Field::Text(workload.clone()))];
            say.info(OWN_LOGGER, "Job has reached the specified backoff limit", fields);
        }
        Fact::PodRemoved { pod, node } => {
            let fields = match node {
                Some(node) => pod_on(pod, node),
                None => vec![("Pod", pod_object(pod))],
            };
            say.own("removed pod", fields);
        }
        Fact::PodFailedScheduling { pod, error } => {
            let fields = vec![("Pod", pod_object(pod)), ("error", Field::Text(error.clone()))];
            say.line(Level::Error, PROVISIONER, "could not schedule pod", fields);
        }
        Fact::BatchScheduled { .. } => on_batch(fact, say),
        Fact::BatchDropped => say.own("dropped batch, a nodeclaim was not launched yet", vec![]),
        _ => return false,
    }
    true
}

/// A batch: Karpenter logs it only if it leads to new NodeClaims.
fn on_batch(fact: &Fact, say: &mut Say<'_>) {
    let Fact::BatchScheduled { pods, pod_count, claims, claim_pods, nodes, node_pods } = fact
    else {
        return;
    };
    let names: Vec<String> = pods.iter().map(PodRef::full_name).collect();
    let pods = ("Pods", text(&shortened(&names, *pod_count)));
    let on_nodes = vec![("nodes", integer(*nodes)), ("pods", integer(*node_pods))];
    if *claims == 0 {
        let mut fields = if names.is_empty() { Vec::new() } else { vec![pods] };
        fields.extend(on_nodes);
        say.own("existing node(s) will fit pod(s)", fields);
        return;
    }
    say.info(PROVISIONER, "found provisionable pod(s)", vec![pods]);
    let on_claims = vec![("nodeclaims", integer(*claims)), ("pods", integer(*claim_pods))];
    let message = "computed new nodeclaim(s) to fit pod(s)";
    say.info(PROVISIONER, message, on_claims);
    if *nodes > 0 {
        let message = "computed unready node(s) will fit pod(s)";
        say.info(PROVISIONER, message, on_nodes);
    }
}

/// NodeClaims and nodes without memory; false for other facts.
fn on_claim(fact: &Fact, say: &mut Say<'_>) -> bool {
    match fact {
        Fact::ClaimCreated { claim, reason, instance_types, requests, .. } => {
            // Replacements are created by the provisioner's code on behalf of the disruption controller.
            let logger = match *reason {
                "provisioned" => PROVISIONER,
                _ => DISRUPTION,
            };
            let fields = vec![
                ("NodePool", object(&claim.pool)),
                ("NodeClaim", object(&claim.name)),
                ("requests", Field::Resources(requests.clone())),
                ("instance-types", types_field(instance_types)),
            ];
            say.info(logger, "created nodeclaim", fields);
        }
        Fact::LaunchFailed { claim, reason } => {
            let mut fields = claim_field(claim);
            fields.push(("error", Field::Text(reason.clone())));
            say.line(Level::Error, LIFECYCLE, "failed launching nodeclaim", fields);
        }
        Fact::Consolidatable { claim, status } => {
            let message = match status {
                true => "marking consolidatable",
                false => "removing consolidatable status condition",
            };
            say.line(Level::Debug, CONDITIONS, message, claim_field(claim));
        }
        Fact::GaveUp { claim, reason } => {
            let mut fields = claim_field(claim);
            fields.push(("reason", text(reason)));
            let (level, logger, message) = match *reason {
                "garbage_collected" => {
                    let message =
                        "garbage collecting nodeclaim with no cloudprovider representation";
                    (Level::Debug, GARBAGE_COLLECTION, message)
                }
                "unhealthy" => (Level::Info, HEALTH, "deleting unhealthy node"),
                _ => (Level::Debug, LIFECYCLE, "terminating due to timeout"),
            };
            say.line(level, logger, message, fields);
        }
        Fact::Expired(claim) => {
            let message = "deleting expired nodeclaim";
            say.line(Level::Debug, EXPIRATION, message, claim_field(claim));
        }
        Fact::Interrupted { claim, kind, action } => on_interruption(claim, (*kind, *action), say),
        Fact::DrainStarted(claim) => {
            // karpenter v1.14.1 pkg/controllers/node/termination/terminator/terminator.go: logged here even if the
            // taint is old, since the label that keeps load balancers away is put on in the same patch.
            let fields = vec![
                ("Node", object(&claim.name)),
                ("taint.Key", text("karpenter.sh/disrupted")),
                ("taint.Value", text("")),
                ("taint.Effect", text("NoSchedule")),
            ];
            say.info(TERMINATION, "tainted node", fields);
        }
        Fact::NodeRemoved(claim) => {
            let fields = vec![("Node", object(&claim.name))];
            say.info(TERMINATION, "deleted node", fields);
        }
        _ => return false,
    }
    true
}

fn on_interruption(claim: &ClaimRef, (kind, action): (MessageKind, &str), say: &mut Say<'_>) {
    let logger = if kind.is_seen() { INSTANCE_STATUS } else { INTERRUPTION };
    let mut fields = claim_field(claim);
    fields.push(("messageKind", text(kind.name())));
    fields.push(("action", text(action)));
    say.info(logger, "initiating delete from interruption message", fields);
}

/// What happens to NodeClaims and instances without a line of Karpenter's.
fn on_cloud(fact: &Fact, say: &mut Say<'_>) {
    match fact {
        Fact::InsufficientCapacity { claim, instance_type, zone, capacity_type } => {
            let mut fields = claim_field(claim);
            fields.push(("instance-type", Field::Text(instance_type.clone())));
            fields.push(("zone", Field::Text(zone.clone())));
            fields.push(("capacity-type", text(capacity_type)));
            say.own("insufficient capacity", fields);
        }
        Fact::NodeBroken { claim, condition } => {
            let fields = vec![("Node", object(&claim.name)), ("condition", text(condition))];
            say.own("node condition turned bad", fields);
        }
        Fact::RegistrationHealth { pool, healthy } => {
            let message = match healthy {
                true => "nodepool registers its nodes",
                false => "nodepool fails to register its nodes",
            };
            say.own(message, vec![("NodePool", object(pool))]);
        }
        Fact::LastPodEvent { claim, value } => {
            let mut fields = claim_field(claim);
            fields.push(("lastPodEventTime", text(&value.to_string())));
            say.own("wrote last pod event", fields);
        }
        Fact::Tainted { claim, status } => {
            let message = match status {
                true => "put disruption taint on node",
                false => "took disruption taint off node",
            };
            say.own(message, vec![("Node", object(&claim.name))]);
        }
        Fact::InstanceRunning(claim) => say.own("instance running, billed", claim_field(claim)),
        Fact::PriceChanged { claim, price } => {
            let mut fields = claim_field(claim);
            fields.push(("usd_per_hour", text(&UsdPerHour::from_price(*price).to_decimal(9))));
            say.own("price changed", fields);
        }
        Fact::NodeCreated(claim) => say.own("created node", claim_field(claim)),
        Fact::NodeReady(claim) => say.own("node ready", claim_field(claim)),
        Fact::ClaimDeleted(claim) => say.own("deleting nodeclaim", claim_field(claim)),
        Fact::Drained(claim) => say.own("drained node", claim_field(claim)),
        Fact::InstanceTerminating { claim } => {
            say.own("terminating instance, no longer billed", claim_field(claim));
        }
        Fact::InstanceTerminated(claim) => say.own("instance terminated", claim_field(claim)),
        _ => {}
    }
}

fn text(text: &str) -> Field {
    Field::Text(text.into())
}

fn integer(value: usize) -> Field {
    Field::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

fn object(name: &Arc<str>) -> Field {
    Field::Object { namespace: None, name: name.clone() }
}

fn claim_field(claim: &ClaimRef) -> Fields {
    vec![("NodeClaim", object(&claim.name))]
}

fn pod_object(pod: &PodRef) -> Field {
    Field::Object { namespace: Some(pod.namespace.clone()), name: pod.name.clone() }
}

fn pod_on(pod: &PodRef, node: &ClaimRef) -> Fields {
    vec![("Pod", pod_object(pod)), ("Node", object(&node.name))]
}

fn pod_fields(pod: &PodRef) -> Fields {
    let amounts = [("cpu", pod.cpu_milli), ("memory", pod.memory_bytes)];
    vec![
        ("Pod", pod_object(pod)),
        ("workload", Field::Text(pod.workload.clone())),
        ("requests", Field::Resources(amounts.into_iter().collect())),
    ]
}

fn launch_fields(claim: &ClaimRef, launch: &Launch) -> Fields {
    vec![
        ("NodeClaim", object(&claim.name)),
        ("provider-id", Field::Text(launch.provider_id.clone())),
        ("instance-type", Field::Text(launch.instance_type.clone())),
        ("zone", Field::Text(launch.zone.clone())),
        ("capacity-type", text(launch.capacity_type)),
        ("allocatable", Field::Resources(launch.allocatable.clone())),
    ]
}

/// The first five names and how many there are besides, as Karpenter shortens lists.
fn shortened(names: &[impl AsRef<str>], total: usize) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    let mut list = shown.join(", ");
    if total > shown.len() {
        let _ = write!(list, " and {} other(s)", total - shown.len());
    }
    list
}

fn types_field(instance_types: &[Arc<str>]) -> Field {
    text(&shortened(instance_types, instance_types.len()))
}

/// karpenter v1.14.1 pkg/controllers/disruption/types.go, `LogValues`.
fn command_fields(command: &CommandRef, replacements: &[ReplacementRef]) -> Fields {
    let disrupted = command.candidates.iter();
    let disrupted = disrupted.map(|(claim, instance_type, capacity_type)| {
        vec![
            ("Node", object(&claim.name)),
            ("NodeClaim", object(&claim.name)),
            ("instance-type", Field::Text(instance_type.clone())),
            ("capacity-type", text(capacity_type)),
        ]
    });
    let replaced = replacements.iter().map(|replacement| {
        let mut row = vec![("capacity-type", text(replacement.capacity_type))];
        // Upstream names the types of a single replacement only.
        if replacements.len() == 1 {
            row.push(("instance-types", types_field(&replacement.instance_types)));
        }
        row
    });
    vec![
        ("decision", text(command.decision)),
        ("disrupted-node-count", integer(command.candidates.len())),
        ("replacement-node-count", integer(replacements.len())),
        ("pod-count", integer(command.pod_count)),
        ("disrupted-nodes", Field::List(disrupted.collect())),
        ("replacement-nodes", Field::List(replaced.collect())),
    ]
}

/// `Underutilized/<uuid>: replace: nodepools=[a,b]: [node1, node2] -> [1 replacement] (savings: $0.10)`. The uuid holds
/// the command's number, so that equal runs have equal logs.
fn command_text(command: &CommandRef, replacement_count: usize) -> String {
    let candidates = command.candidates.iter();
    let pools: BTreeSet<&str> = candidates.clone().map(|(c, ..)| c.pool.as_ref()).collect();
    let pools: Vec<&str> = pools.into_iter().collect();
    let nodes: Vec<&str> = candidates.map(|(c, ..)| c.name.as_ref()).collect();
    let arrow = match (command.decision, replacement_count) {
        ("replace", 1) => " -> [1 replacement]".to_owned(),
        ("replace", count) => format!(" -> [{count} replacements]"),
        _ => String::new(),
    };
    format!(
        "{}/00000000-0000-4000-8000-{:012}: {}: nodepools=[{}]: [{}]{arrow} (savings: ${})",
        command.reason,
        command.id,
        command.decision,
        pools.join(","),
        nodes.join(", "),
        UsdPerHour::from_price(command.savings).to_decimal(2)
    )
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn lines() -> Vec<LogLine> {
        let mut narrator = Narrator::new();
        let mut lines = Vec::new();
        for record in sample::journal() {
            narrator.narrate(&record, |line| lines.push(line.clone()));
        }
        lines
    }

    fn find(message: &str) -> LogLine {
        lines().into_iter().find(|line| line.message == message).expect("a line")
    }

    /// Keys, loggers and objects as karpenter v1.14.1 prints them.
    #[test]
    fn json_lines_are_those_of_the_controller() {
        let start = sample::header().start_epoch_s;
        for (message, expected) in [
            (
                "created nodeclaim",
                concat!(
                    r#"{"level":"INFO","time":"2026-01-05T09:01:01.000Z","logger":"controller","#,
                    r#""message":"created nodeclaim","controller":"provisioner","namespace":"","name":"","#,
                    r#""NodePool":{"name":"default"},"NodeClaim":{"name":"default-1"},"#,
                    r#""requests":{"cpu":"2","memory":"1953125Ki"},"instance-types":"m5.large, m5.xlarge"}"#
                ),
            ),
            (
                "registered nodeclaim",
                concat!(
                    r#"{"level":"INFO","time":"2026-01-05T09:01:20.000Z","logger":"controller","#,
                    r#""message":"registered nodeclaim","controller":"nodeclaim.lifecycle","#,
                    r#""controllerGroup":"karpenter.sh","controllerKind":"NodeClaim","namespace":"","#,
                    r#""name":"default-1","NodeClaim":{"name":"default-1"},"#,
                    r#""provider-id":"aws:///us-west-2a/i-m5large","Node":{"name":"default-1"}}"#
                ),
            ),
            (
                "disrupting node(s)",
                concat!(
                    r#"{"level":"INFO","time":"2026-01-05T09:28:35.000Z","logger":"controller","#,
                    r#""message":"disrupting node(s)","controller":"disruption","namespace":"","name":"","#,
                    r#""command":"Empty/00000000-0000-4000-8000-000000000001: delete: nodepools=[default]: "#,
                    r#"[default-2] (savings: $0.04)","decision":"delete","disrupted-node-count":1,"#,
                    r#""replacement-node-count":0,"pod-count":0,"disrupted-nodes":[{"Node":{"name":"default-2"},"#,
                    r#""NodeClaim":{"name":"default-2"},"instance-type":"c5.large","capacity-type":"spot"}],"#,
                    r#""replacement-nodes":[]}"#
                ),
            ),
            (
                "tainted node",
                concat!(
                    r#"{"level":"INFO","time":"2026-01-05T09:28:36.000Z","logger":"controller","#,
                    r#""message":"tainted node","controller":"node.termination","controllerGroup":"","#,
                    r#""controllerKind":"Node","namespace":"","name":"default-2","Node":{"name":"default-2"},"#,
                    r#""taint.Key":"karpenter.sh/disrupted","taint.Value":"","taint.Effect":"NoSchedule"}"#
                ),
            ),
            (
                "bound pod",
                concat!(
                    r#"{"level":"DEBUG","time":"2026-01-05T09:01:35.000Z","logger":"karpsim","#,
                    r#""message":"bound pod","Pod":{"name":"agent-30","namespace":"kube-system"},"#,
                    r#""Node":{"name":"default-1"}}"#
                ),
            ),
        ] {
            assert_eq!(find(message).json(start), expected);
        }
    }

    #[test]
    fn every_json_line_is_one_object_and_every_text_line_one_line() {
        for line in lines() {
            let json: serde_json::Value = serde_json::from_str(&line.json(0)).expect("valid JSON");
            assert_eq!(json["message"], line.message);
            assert!(!line.json(0).contains('\n') && !line.text(0).contains('\n'));
        }
    }

    #[test]
    fn text_lines_name_what_happened() {
        let start = sample::header().start_epoch_s;
        assert_eq!(
            find("launched nodeclaim").text(start),
            "2026-01-05T09:01:03.250Z INFO  nodeclaim.lifecycle  launched nodeclaim NodeClaim=default-1 \
             provider-id=aws:///us-west-2a/i-m5large instance-type=m5.large zone=us-west-2a capacity-type=on-demand \
             allocatable={\"cpu\":\"2\",\"memory\":\"7812500Ki\",\"pods\":\"29\"}"
        );
        let failed = find("could not schedule pod").text(start);
        let start = "2026-01-05T09:01:01.000Z ERROR provisioner  could not schedule pod Pod=other/huge-20 error=\"no";
        assert!(failed.starts_with(start), "{failed}");
    }

    #[test]
    fn the_narrator_forgets_what_is_gone() {
        let mut narrator = Narrator::new();
        sample::journal().iter().for_each(|record| narrator.narrate(record, |_| {}));
        assert_eq!(narrator.provider_ids.len(), 1, "default-3 lives");
        assert!(narrator.replacements.is_empty());
    }
}
