//! NodeClaim lifecycle: launch, registration, initialization, liveness, and the finalizer.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/nodeclaim/lifecycle/`. The controller sleeps for a second after it
//! wrote a claim, so that a claim advances at most about once a second.

use super::Karpenter;
use crate::ec2::fleet::{self, LaunchRequest};
use crate::ec2::{InstanceType, Offering};
use crate::engine::Purpose;
use crate::units::SimDuration;
use crate::world::claims::Chosen;
use crate::world::cluster::DeletionCause;
use crate::world::settings::TieBreaks;
use crate::world::{ClaimId, Wake, World};

/// A claim that is not registered this long after its creation is deleted.
const REGISTRATION_TIMEOUT: SimDuration = SimDuration::from_minutes(15);
/// A claim that is not launched this long after its creation is deleted, when its launch has failed once more.
const LAUNCH_TIMEOUT: SimDuration = SimDuration::from_minutes(5);
/// A launch that failed is tried again after this long, then after twice as long each time, up to a limit.
const FIRST_LAUNCH_PAUSE: SimDuration = SimDuration::from_seconds(1);
const LONGEST_LAUNCH_PAUSE: SimDuration = SimDuration::from_minutes(1);
/// The provider is asked again whether an instance is gone.
const INSTANCE_POLL: SimDuration = SimDuration::from_seconds(5);

impl Karpenter {
    /// One reconcile of a NodeClaim.
    pub fn on_lifecycle(&mut self, world: &mut World, id: ClaimId) {
        let Some(claim) = world.cluster.claims.get(id) else {
            return;
        };
        if claim.launching {
            // Passes of one claim are serialized: this one is still inside Create.
            return;
        }
        if claim.deletion_at.is_some() {
            return finalize(world, id);
        }
        if claim.instance.is_none() {
            return world.begin_launch(id);
        }
        let mut changed = false;
        if claim.registered_at.is_none() && claim.node.is_some() {
            world.set_registered(id);
            changed = true;
        }
        if can_initialize(world, id) {
            world.set_initialized(id);
            changed = true;
        }
        if changed {
            world.pause_lifecycle(id);
        }
        check_liveness(world, id);
    }

    /// The Create call returned.
    pub fn on_launch_returns(&mut self, world: &mut World, id: ClaimId) {
        let pool = &world.cluster.pools[world.cluster.claims[id].pool];
        if world.now() < pool.faults.launches_fail_until {
            return launch_failed(world, id);
        }
        let (chosen, failed) = choose(world, id);
        world.mark_unavailable(id, &failed);
        match chosen {
            Some(chosen) => world.set_launched(id, chosen),
            None => {
                let reason = "all requested instance types were unavailable during launch";
                world.set_launch_failed(id, reason.into());
                world.pause_lifecycle(id);
                world.delete_claim(id, DeletionCause::Failed);
            }
        }
        world.pause_lifecycle(id);
        world.wake(Wake::Lifecycle(id));
    }
}

/// The Create call answered with an error other than insufficient capacity: it is tried again after a pause that
/// doubles, until the claim is given up.
///
/// DEVIATION: the reconcile that the first error's own write causes, within a second of it, is left out.
fn launch_failed(world: &mut World, id: ClaimId) {
    let shift = world.cluster.claims[id].launch_errors.min(16);
    world.set_launch_error(id);
    if world.cluster.claims[id].deletion_at.is_some() {
        return world.wake(Wake::Lifecycle(id));
    }
    let pause = SimDuration::from_ms(FIRST_LAUNCH_PAUSE.ms() << shift).min(LONGEST_LAUNCH_PAUSE);
    world.wake_after(Wake::Lifecycle(id), pause);
    check_liveness(world, id);
}

/// What the Create call launches, and the offerings that it found out of stock before.
fn choose(world: &World, id: ClaimId) -> (Option<Chosen>, Vec<(u32, Offering)>) {
    let claim = &world.cluster.claims[id];
    let request = LaunchRequest {
        types: &world.cluster.pools[claim.pool].types,
        options: &claim.options,
        requirements: &claim.requirements,
        requests: &claim.requests,
    };
    // Which zone EC2 takes among equals is unknown; a fixed choice would fill one zone only.
    let pick = |zones: usize| match world.settings.tie_breaks {
        TieBreaks::Canonical => 0,
        TieBreaks::Seeded => {
            world.streams.below(Purpose::FleetChoice, claim.ordinal, 0, zones as u64) as usize
        }
    };
    let in_stock = |it: &InstanceType, offering: &Offering| {
        world.cluster.capacity.is_in_stock(world.now(), &world.symbols, it.name, offering)
    };
    let answer = fleet::choose(&request, &world.symbols, pick, in_stock);
    let chosen = answer.launched.map(|(instance_type, offering)| {
        let (zone, capacity_type, price) = (offering.zone, offering.capacity_type, offering.price);
        Chosen { instance_type, zone, capacity_type, price }
    });
    (chosen, answer.out_of_stock.into_iter().map(|(i, offering)| (i, offering.clone())).collect())
}

/// Registered, Node Ready, startup and ephemeral taints gone, requested resources there.
fn can_initialize(world: &World, id: ClaimId) -> bool {
    let claim = &world.cluster.claims[id];
    let node = claim.node.map(|node| &world.cluster.nodes[node]);
    claim.registered_at.is_some()
        && !claim.is_initialized()
        && node.is_some_and(|node| node.ready && node.initializable)
}

/// Gives a claim up that does not launch or register in time. Both times count from its creation.
fn check_liveness(world: &mut World, id: ClaimId) {
    let claim = &world.cluster.claims[id];
    if claim.registered_at.is_some() {
        return;
    }
    let pool = claim.pool;
    if claim.instance.is_none() {
        if world.now() >= claim.created_at + LAUNCH_TIMEOUT {
            world.record_registration(pool, false);
            world.give_up(id, "launch_timeout");
        }
        return;
    }
    let deadline = claim.created_at + REGISTRATION_TIMEOUT;
    if world.now() < deadline {
        return world.wake_at(Wake::Lifecycle(id), deadline);
    }
    world.record_registration(pool, false);
    world.give_up(id, "registration_timeout");
}

/// One pass over a claim with deletionTimestamp: Node first, then the instance, then the finalizer.
fn finalize(world: &mut World, id: ClaimId) {
    let claim = &world.cluster.claims[id];
    if claim.registered_at.is_some()
        && let Some(node) = claim.node
    {
        // The Node's removal wakes the claim again.
        return world.delete_node(node);
    }
    if claim.instance.is_some() && !world.terminate_instance(id) {
        return world.wake_after(Wake::Lifecycle(id), INSTANCE_POLL);
    }
    if let Some(node) = world.cluster.claims[id].node {
        // A Node that appeared but never registered is removed by the cloud's node controller.
        world.remove_node(node);
    }
    world.remove_claim(id);
}
