//! Facts in a sentence each.

use super::{list, price};
use crate::outcome::log_line::utc_text;
use crate::outcome::summary::counted;
use crate::units::SimTime;
use crate::world::interruptions::Announcement;
use crate::world::journal::{CommandRef, Fact};

/// A fact about a node, a pod or a command in words. `None` for what says nothing new.
pub(super) fn describe(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::ClaimCreated { claim, reason, instance_types, requests, .. } => format!(
            "NodeClaim created in NodePool {} ({reason}): may launch {} ({}), requests {requests}",
            claim.pool,
            counted(instance_types.len(), "instance type"),
            list(instance_types),
        ),
        Fact::Launched { launch, .. } => format!(
            "launched: {} {} in {}, {}",
            launch.capacity_type,
            launch.instance_type,
            launch.zone,
            price(launch.price)
        ),
        Fact::InsufficientCapacity { instance_type, zone, capacity_type, .. } => {
            format!("no capacity for {capacity_type} {instance_type} in {zone}")
        }
        Fact::LaunchFailed { reason, .. } => format!("launch failed: {reason}"),
        Fact::GaveUp { reason, .. } => format!("Karpenter gave the NodeClaim up: {reason}"),
        Fact::NodeBroken { condition, .. } => format!("condition {condition} turned bad"),
        Fact::InstanceRunning(_) => "instance running, billed from here on".to_owned(),
        Fact::Registered(_) => "registered".to_owned(),
        Fact::Initialized { .. } => {
            "initialized: pods and consolidation may count on it".to_owned()
        }
        Fact::Consolidatable { status: true, .. } => {
            "consolidatable: consolidateAfter is over".to_owned()
        }
        Fact::Consolidatable { status: false, .. } => {
            "not consolidatable any more: a pod event".to_owned()
        }
        Fact::Drifted { reason: Some(reason), .. } => format!("drifted: {reason}"),
        Fact::Drifted { reason: None, .. } => "not drifted any more".to_owned(),
        Fact::Tainted { status: true, .. } => "disruption taint put on".to_owned(),
        Fact::Tainted { status: false, .. } => "disruption taint taken off".to_owned(),
        Fact::Expired(_) => "expired: expireAfter is over, budgets are not asked".to_owned(),
        Fact::Announced { what, .. } => announcement(*what).to_owned(),
        Fact::MessageReceived { kind, .. } => {
            let (reason, message) = kind.event();
            format!("{reason}: {message} ({})", kind.name())
        }
        Fact::Interrupted { .. } => {
            "TerminatingOnInterruption: Interruption triggered termination for the NodeClaim"
                .to_owned()
        }
        Fact::ClaimDeleted(_) => "NodeClaim deleted".to_owned(),
        Fact::DrainStarted(_) => "drain starts".to_owned(),
        Fact::Drained(_) => "drained".to_owned(),
        Fact::InstanceTerminating { .. } => "instance terminating, no longer billed".to_owned(),
        Fact::NodeRemoved(_) => "node gone".to_owned(),
        _ => return describe_pod(fact).or_else(|| describe_command(fact)),
    })
}

fn describe_pod(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::PodCreated(pod) => format!("created by {}", pod.workload),
        Fact::PodUnschedulable(_) => {
            "kube-scheduler found no node: Karpenter may provision for it".to_owned()
        }
        Fact::PodBound { node, .. } => format!("bound to {}", node.name),
        Fact::PodRunning(_) => "running".to_owned(),
        Fact::PodSucceeded(_) => "succeeded".to_owned(),
        Fact::PodAnnotated(_) => "annotated with karpenter.sh/do-not-disrupt".to_owned(),
        Fact::PodTerminating { node, cause, .. } => {
            format!("told to go from {}: {}", node.name, cause.name())
        }
        Fact::WorkLost { ran, returns, .. } => {
            let then =
                if *returns { "another pod takes its place" } else { "nothing brings it back" };
            format!("what it did in {ran} is lost; {then}")
        }
        Fact::PodRemoved { .. } => "gone".to_owned(),
        Fact::PodFailedScheduling { error, .. } => format!("FailedScheduling: {error}"),
        _ => return None,
    })
}

fn describe_command(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::DisruptionComputed(command) => format!(
            "command {} computed ({}), validated in 15 s: {}",
            command.id,
            command.method,
            outline(command)
        ),
        Fact::ValidationFailed { command, failure, message } => {
            format!("command {} rejected at its validation, {failure}: {message}", command.id)
        }
        Fact::DisruptionStarted { command, replacements } => {
            let names: Vec<&str> = replacements.iter().map(|r| r.claim.name.as_ref()).collect();
            let launched = match names.is_empty() {
                true => String::new(),
                false => format!(", replacement {}", list(&names)),
            };
            format!("command {} started: {}{launched}", command.id, outline(command))
        }
        Fact::DisruptionSucceeded(command) => {
            format!("command {} done: its NodeClaims are deleted", command.id)
        }
        Fact::DisruptionFailed { command, message } => {
            format!("command {} given up: {message}", command.id)
        }
        _ => return None,
    })
}

/// `delete default-00001 (Underutilized), saves $0.0960/h`.
pub(super) fn outline(command: &CommandRef) -> String {
    let nodes: Vec<&str> =
        command.candidates.iter().map(|(claim, ..)| claim.name.as_ref()).collect();
    format!(
        "{} {} ({}), {}, saves {}",
        command.decision,
        list(&nodes),
        command.reason,
        counted(command.pod_count, "pod"),
        price(command.savings)
    )
}

/// `+01:02:03 (2026-01-05 10:02:03Z)`.
pub(super) fn instant(at: SimTime, start_epoch_s: i64) -> String {
    format!("{at} ({})", utc_text(start_epoch_s, at))
}

/// What EC2 announced, in words.
const fn announcement(what: Announcement) -> &'static str {
    match what {
        Announcement::SpotNotice => {
            "EC2 gives notice that it takes the instance back in two minutes"
        }
        Announcement::Rebalance => "EC2 recommends to replace the instance",
        Announcement::Retirement => "EC2 schedules the retirement of the instance",
        Announcement::Impairment => "EC2's status checks of the instance fail from now on",
    }
}
