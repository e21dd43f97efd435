//! The disruption queue: taints, replacements, waiting for them, deletion or roll-back.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/queue.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Command, Method};
use crate::karpenter::{Karpenter, provisioner};
use crate::kube::node_pool::Reason;
use crate::units::{SimDuration, SimTime};
use crate::world::cluster::DeletionCause;
use crate::world::journal::ReplacementRef;
use crate::world::{ClaimId, Event, Fact, World};

/// A command is looked at again.
const POLL: SimDuration = SimDuration::from_seconds(1);
/// Time per queued candidate that a command may take, between the two limits.
const TIME_PER_CANDIDATE: SimDuration = SimDuration::from_ms(80);
const SHORTEST_LIMIT: SimDuration = SimDuration::from_minutes(10);
const LONGEST_LIMIT: SimDuration = SimDuration::from_minutes(60);

/// Commands under way.
#[derive(Clone, Debug, Default)]
pub(in crate::karpenter) struct CommandQueue {
    running: BTreeMap<u64, Running>,
}

#[derive(Clone, Debug)]
struct Running {
    command: Command,
    started_at: SimTime,
    replacements: Vec<Replacement>,
}

#[derive(Clone, Debug)]
struct Replacement {
    claim: ClaimId,
    name: Arc<str>,
    /// Seen initialized once: later trouble does not matter.
    initialized: bool,
}

impl CommandQueue {
    /// Starts a command: taints, replacements, marks, nominations. `false` when a replacement cannot be created because
    /// its NodePool is beyond its limits; the next pass takes the taints off again.
    pub(super) fn start(&mut self, world: &mut World, command: Command) -> bool {
        for candidate in &command.candidates {
            if let Some(node) = world.cluster.claims.get(candidate.claim).and_then(|c| c.node) {
                world.taint_disrupted(node);
            }
        }
        let Some(replacements) = create_replacements(world, &command) else {
            return false;
        };
        for candidate in &command.candidates {
            world.set_marked_for_deletion(candidate.claim, true);
            world.set_in_command(candidate.claim, true);
        }
        // Nodes that went away during the validation wait are passed over (`Cluster.NominateNodeForPod`).
        for (destination, _) in &command.placements {
            if world.cluster.claims.get(*destination).is_some() {
                world.nominate(*destination);
            }
        }
        let fact = started(world, &command, &replacements);
        world.record(fact);
        let id = command.id;
        let running = Running { command, started_at: world.now(), replacements };
        self.running.insert(id, running);
        world.schedule(world.now(), Event::Command(id));
        true
    }

    fn time_limit(&self) -> SimDuration {
        limit_for(self.running.values().map(|r| r.command.candidates.len()).sum())
    }
}

/// How long a command may take while so many candidates are queued in all.
fn limit_for(candidates: usize) -> SimDuration {
    let scaled = SimDuration::from_ms(TIME_PER_CANDIDATE.ms() * candidates as i64);
    scaled.clamp(SHORTEST_LIMIT, LONGEST_LIMIT)
}

/// Creates the replacement NodeClaims; `None` when a limit forbids one.
fn create_replacements(world: &mut World, command: &Command) -> Option<Vec<Replacement>> {
    let reason = match command.method.reason() {
        Reason::Empty => "empty",
        Reason::Drifted => "drifted",
        Reason::Underutilized => "underutilized",
    };
    let mut replacements = Vec::new();
    for plan in &command.replacements {
        let mut plan = plan.clone();
        if command.method != Method::StaticDrift {
            plan.pin_capacity_types(&world.view());
        }
        let claim = provisioner::create(world, plan, reason)?;
        let name = world.cluster.claims[claim].name.clone();
        replacements.push(Replacement { claim, name, initialized: false });
    }
    Some(replacements)
}

fn started(world: &World, command: &Command, replacements: &[Replacement]) -> Fact {
    let named = command.replacements.iter().zip(replacements).map(|(plan, replacement)| {
        let types = &world.cluster.pools[plan.pool].types;
        // The NodeClaim of a static NodePool names no types of its own.
        let named = if command.method == Method::StaticDrift { &[] } else { &plan.types[..] };
        let names: Arc<[Arc<str>]> = named
            .iter()
            .map(|i| world.symbols.text(types[*i as usize].name.symbol).into())
            .collect();
        let capacity =
            crate::scheduling::price::capacity_types(&plan.types, types, &plan.requirements);
        ReplacementRef {
            claim: world.cluster.claim_ref(replacement.claim),
            pods: plan.pods.len(),
            instance_types: names,
            capacity_type: capacity.first().map_or("on-demand", |capacity| capacity.name()),
        }
    });
    let replacements = named.collect();
    Fact::DisruptionStarted { command: command.reference(world), replacements }
}

/// What one look at a command found.
enum Outcome {
    Waiting,
    Ready,
    Failed(String),
}

impl Karpenter {
    /// One look at a command.
    pub fn on_command(&mut self, world: &mut World, id: u64) {
        let queue = &mut self.disruption.queue;
        let limit = queue.time_limit();
        let Some(running) = queue.running.get_mut(&id) else {
            return;
        };
        let mut outcome = running.look(world);
        if world.now().since(running.started_at) > limit {
            outcome = Outcome::Failed("command reached timeout".to_owned());
        }
        match outcome {
            Outcome::Waiting => {
                world.schedule(world.now() + POLL, Event::Command(id));
            }
            Outcome::Ready => {
                if let Some(running) = queue.running.remove(&id) {
                    running.delete_candidates(world);
                }
            }
            Outcome::Failed(message) => {
                if let Some(running) = queue.running.remove(&id) {
                    running.roll_back(world, &message);
                }
            }
        }
    }
}

impl Running {
    fn look(&mut self, world: &World) -> Outcome {
        let mut outcome = Outcome::Ready;
        for replacement in self.replacements.iter_mut().filter(|r| !r.initialized) {
            match world.cluster.claims.get(replacement.claim) {
                None => {
                    let name = &replacement.name;
                    let gone = format!("replacement was deleted, nodeclaims \"{name}\" not found");
                    return Outcome::Failed(gone);
                }
                Some(claim) if claim.is_initialized() => replacement.initialized = true,
                Some(_) => outcome = Outcome::Waiting,
            }
        }
        outcome
    }

    fn delete_candidates(self, world: &mut World) {
        let reason: Reason = self.command.method.reason();
        let reference = self.command.reference(world);
        for candidate in &self.command.candidates {
            world.delete_claim(candidate.claim, DeletionCause::Command(reason));
            world.set_in_command(candidate.claim, false);
        }
        world.record(Fact::DisruptionSucceeded(reference));
    }

    /// Gives up: the candidates stay, and so do the replacements.
    fn roll_back(self, world: &mut World, message: &str) {
        for candidate in &self.command.candidates {
            world.set_marked_for_deletion(candidate.claim, false);
            world.set_in_command(candidate.claim, false);
            let claim = world.cluster.claims.get(candidate.claim);
            let node = claim.filter(|claim| claim.deletion_at.is_none()).and_then(|c| c.node);
            if let Some(node) = node {
                world.untaint_disrupted(node);
            }
        }
        let command = self.command.reference(world);
        world.record(Fact::DisruptionFailed { command, message: message.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// disruption.md 20.
    #[test]
    fn limits_of_commands_match_the_test_vectors() {
        for (candidates, seconds) in [(1, 600), (7_499, 600), (10_000, 800), (100_000, 3_600)] {
            assert_eq!(limit_for(candidates), SimDuration::from_seconds(seconds));
        }
    }
}
