//! Invariants of what happens one thing after the other: what a command, a drain or an eviction must have had before
//! it. They fold the journal, and look at the world as it is after the event that wrote it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::invariant::Violation;
use super::{bindings, launches, scores};
use crate::units::{SimDuration, SimTime};
use crate::world::cluster::{Claim, Pod};
use crate::world::journal::{Cause, ClaimRef, CommandRef, PodRef, Record, ReplacementRef};
use crate::world::{ClusterView, Fact, World};

/// A drain takes at least this long.
const SHORTEST_DRAIN: SimDuration = SimDuration::from_seconds(5);
/// A pod that is still there this long after its deletionTimestamp holds nothing up.
const STUCK_AFTER: SimDuration = SimDuration::from_minutes(1);

/// What happened so far, as far as it binds what may happen next.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// NodeClaims that exist, by NodePool.
    claims: BTreeMap<Arc<str>, i64>,
    /// Pods that exist.
    pods: i64,
    /// Commands that started and did not end.
    running: BTreeMap<u64, Running>,
    /// Instance types that NodeClaims without an instance name, by ordinal.
    named: BTreeMap<u64, Arc<[Arc<str>]>>,
    /// The consolidation that waits for its validation: its number, what its candidates cost, and
    /// [`Cluster::generation`](crate::world::Cluster::generation) at the time.
    found: Option<(u64, f64, u64)>,
    /// When the drains under way began, by NodeClaim.
    drains: BTreeMap<u64, SimTime>,
    /// Pods that were protected only when they were in the eviction queue, which looks at pods no more.
    late: BTreeSet<u64>,
}

#[derive(Clone, Debug)]
struct Running {
    candidates: Vec<u64>,
    /// Replacements that were never initialized.
    awaited: Vec<u64>,
}

impl History {
    /// Folds the facts of one event. `world` is as the event left it.
    pub fn fold(&mut self, world: &World, records: &[Record]) -> Result<(), Violation> {
        let is_created = |record: &&Record| matches!(record.fact, Fact::ClaimCreated { .. });
        let created = records.iter().filter(is_created).count();
        for Record { at, fact } in records {
            let checked = match fact {
                Fact::BatchScheduled { .. } => is_synced(world, created),
                Fact::Launched { claim, .. } => {
                    let named = self.named.remove(&claim.ordinal).unwrap_or_default();
                    launches::check(world, claim, &named, records)
                }
                _ => self.fold_one(world, *at, fact),
            };
            checked.map_err(|violation| format!("{violation} (at {at}: {fact:?})"))?;
        }
        bindings::check(world, records)?;
        if records.is_empty() { Ok(()) } else { self.is_conserved(world) }
    }

    fn fold_one(&mut self, world: &World, at: SimTime, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::PodCreated(_) => self.pods += 1,
            Fact::PodRemoved { pod, .. } => {
                self.pods -= 1;
                self.late.remove(&pod.ordinal);
            }
            Fact::ClaimCreated { claim, instance_types, .. } => {
                self.named.insert(claim.ordinal, instance_types.clone());
                *self.claims.entry(claim.pool.clone()).or_default() += 1;
            }
            Fact::ClaimRemoved(claim) => {
                *self.claims.entry(claim.pool.clone()).or_default() -= 1;
                self.drains.remove(&claim.ordinal);
                self.named.remove(&claim.ordinal);
            }
            Fact::Initialized { claim, .. } => {
                let awaited = self.running.values_mut().map(|running| &mut running.awaited);
                awaited.for_each(|list| list.retain(|ordinal| *ordinal != claim.ordinal));
            }
            Fact::DisruptionComputed(command) => self.find(world, command)?,
            Fact::DisruptionStarted { command, replacements } => {
                self.start(world, command, replacements)?;
            }
            Fact::DisruptionFailed { command, .. } => drop(self.running.remove(&command.id)),
            Fact::DisruptionSucceeded(command) => {
                let ended = self.running.remove(&command.id);
                if ended.is_none_or(|running| !running.awaited.is_empty()) {
                    return Err("a replacement was never initialized".to_owned());
                }
            }
            // Both queues are lost, and pods are looked at before they are evicted.
            Fact::TimelineStep { action: "restart", .. } => {
                self.running.clear();
                self.late.clear();
            }
            Fact::DrainStarted(claim) => drop(self.drains.insert(claim.ordinal, at)),
            Fact::Drained(claim) => self.end_drain(at, claim)?,
            Fact::Expired(claim) => has_reached_its_age(world, at, claim)?,
            Fact::PodAnnotated(pod) => {
                let pod = world.cluster.pods_by_ordinal.get(&pod.ordinal);
                let pod = pod.and_then(|id| world.cluster.pods.get(*id));
                self.late.extend(pod.filter(|pod| pod.in_eviction_queue).map(|pod| pod.ordinal));
            }
            Fact::PodTerminating { pod, cause, .. } if *cause != Cause::ScaleDown => {
                may_be_told_to_go(world, pod, self.late.contains(&pod.ordinal))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// What was created and not removed is what exists.
    fn is_conserved(&self, world: &World) -> Result<(), Violation> {
        let cluster = &world.cluster;
        if self.pods != cluster.pods_by_ordinal.len() as i64 {
            return Err(format!("{} pods exist, not {}", cluster.pods_by_ordinal.len(), self.pods));
        }
        let mut alive: BTreeMap<&str, i64> = BTreeMap::new();
        for id in cluster.claims_by_name.values() {
            *alive.entry(&cluster.pools[cluster.claims[*id].pool].name).or_default() += 1;
        }
        for (pool, expected) in &self.claims {
            let found = alive.get(&**pool).copied().unwrap_or(0);
            if found != *expected {
                return Err(format!("{found} NodeClaims of {pool} exist, not {expected}"));
            }
        }
        Ok(())
    }

    /// A command was found.
    fn find(&mut self, world: &World, command: &CommandRef) -> Result<(), Violation> {
        is_sound(world, command)?;
        if command.reason == "Underutilized" {
            let paid = scores::check(world, command)?;
            self.found = Some((command.id, paid, world.cluster.generation));
        }
        Ok(())
    }

    /// A command starts: no node is in two of them, and emptiness and consolidation launch no more than they may.
    fn start(
        &mut self,
        world: &World,
        command: &CommandRef,
        replacements: &[ReplacementRef],
    ) -> Result<(), Violation> {
        let ordinals = |claim: &ClaimRef| claim.ordinal;
        let candidates: Vec<u64> = command.candidates.iter().map(|(c, ..)| ordinals(c)).collect();
        let others = self.running.values().flat_map(|running| &running.candidates);
        if let Some(twice) = others.copied().find(|other| candidates.contains(other)) {
            return Err(format!("NodeClaim {twice} is in two commands"));
        }
        let most = match command.reason {
            "Empty" => 0,
            "Underutilized" => 1,
            _ => usize::MAX,
        };
        if replacements.len() > most {
            return Err(format!("{} replacements", replacements.len()));
        }
        for (claim, ..) in &command.candidates {
            if !claim_of(world, claim).is_some_and(|claim| claim.marked_for_deletion) {
                return Err(format!("{} is not marked", claim.name));
            }
        }
        // Prices are not looked at again when a command is validated.
        if let Some((id, paid, generation)) = self.found.take()
            && (id, generation) == (command.id, world.cluster.generation)
        {
            let replaced = replacements.iter();
            replaced
                .into_iter()
                .try_for_each(|new| launches::check_replacement(world, new, paid))?;
        }
        let awaited = replacements.iter().map(|replacement| ordinals(&replacement.claim)).collect();
        self.running.insert(command.id, Running { candidates, awaited });
        Ok(())
    }

    /// The minimum drain time counts from the whole second in which the drain began.
    fn end_drain(&mut self, at: SimTime, claim: &ClaimRef) -> Result<(), Violation> {
        let began = self.drains.remove(&claim.ordinal);
        match began.map(|began| at.since(began.floor_to_second())) {
            Some(span) if span >= SHORTEST_DRAIN => Ok(()),
            Some(span) => Err(format!("drained within {span}")),
            None => Err("drained without a drain".to_owned()),
        }
    }
}

/// A batch is scheduled only while every NodeClaim but those that it creates itself is launched.
fn is_synced(world: &World, created: usize) -> Result<(), Violation> {
    let unlaunched = world.cluster.unlaunched_count;
    match unlaunched == created {
        true => Ok(()),
        false => Err(format!("{unlaunched} NodeClaims are unlaunched, {created} of them new")),
    }
}

pub(super) fn claim_of<'a>(world: &'a World, claim: &ClaimRef) -> Option<&'a Claim> {
    let id = world.cluster.claims_by_name.get(&claim.name)?;
    world.cluster.claims.get(*id).filter(|found| found.ordinal == claim.ordinal)
}

/// Candidates of a command that was just found: initialized, not promised to pods, not on their way out. A replacement
/// saves money.
fn is_sound(world: &World, command: &CommandRef) -> Result<(), Violation> {
    for (candidate, ..) in &command.candidates {
        let Some(claim) = claim_of(world, candidate) else {
            return Err(format!("{} does not exist", candidate.name));
        };
        if !claim.is_initialized() || claim.is_deleting() || claim.nominated_until > world.now() {
            return Err(format!("{} is no candidate", candidate.name));
        }
    }
    let saves = command.savings > 0.0 || command.decision == "delete";
    match command.reason == "Underutilized" && !saves {
        true => Err(format!("it saves {}", command.savings)),
        false => Ok(()),
    }
}

fn has_reached_its_age(world: &World, at: SimTime, claim: &ClaimRef) -> Result<(), Violation> {
    let Some(claim) = claim_of(world, claim) else {
        return Err("what expires does not exist".to_owned());
    };
    let due = claim.template.template.expire_after.map(|span| claim.created_at + span);
    match due {
        Some(due) if due <= at => Ok(()),
        _ => Err("before its time".to_owned()),
    }
}

/// A pod that a drain tells to go: neither protected nor ahead of a group that goes first, unless less than its own
/// grace period is left until the NodeClaim's deadline, which forces it. Karpenter asks for an eviction again and again
/// without another look at the pod: a protection that came `late` does not help.
fn may_be_told_to_go(world: &World, pod: &PodRef, late: bool) -> Result<(), Violation> {
    // The journal's instants are rounded to what outputs show.
    let now = world.now();
    let view = world.view();
    let id = world.cluster.pods_by_ordinal.get(&pod.ordinal);
    let Some(pod) = id.and_then(|id| world.cluster.pods.get(*id)) else {
        return Ok(());
    };
    let Some(node) = pod.node.and_then(|node| world.cluster.nodes.get(node)) else {
        return Ok(());
    };
    let claim = &world.cluster.claims[node.claim];
    if claim.termination_at.is_some_and(|deadline| now > deadline - pod.class.grace) {
        return Ok(());
    }
    if !late && pod.do_not_disrupt.in_force(pod.bound_at, now) {
        return Err("it is protected".to_owned());
    }
    let group = |pod: &Pod| (pod.class.critical, pod.is_daemon());
    let earlier = |(_, other): &(_, &Pod)| group(other) < group(pod) && is_waited_for(&view, other);
    match view.pods_of(claim).iter().find(|other| earlier(other)) {
        Some((_, other)) => Err(format!("{} goes first", other.full_name())),
        None => Ok(()),
    }
}

/// A drain waits for the pod.
fn is_waited_for(view: &ClusterView<'_>, pod: &Pod) -> bool {
    let is_stuck = pod.deletion_at.is_some_and(|at| view.now.since(at) > STUCK_AFTER);
    !pod.is_finished() && !is_stuck && !view.tolerates_disruption(&pod.class)
}
