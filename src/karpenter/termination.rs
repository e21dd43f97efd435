//! Termination: taint, drain by groups, volumes, instance, finalizer; and the eviction queue.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/node/termination/controller.go`,
//! `pkg/controllers/node/termination/terminator/{terminator,eviction}.go`.

use super::Karpenter;
use crate::units::{SimDuration, SimTime};
use crate::world::cluster::Pod;
use crate::world::journal::Cause;
use crate::world::{ClusterView, NodeId, PodId, Wake, World};

/// The drain is looked at again.
const DRAIN_POLL: SimDuration = SimDuration::from_seconds(1);
/// Attached volumes are looked at again.
const VOLUME_POLL: SimDuration = SimDuration::from_seconds(1);
/// A drain takes at least this long, even of an empty node.
const MIN_DRAIN_TIME: SimDuration = SimDuration::from_seconds(5);
/// EC2 is asked again whether the instance is gone.
const INSTANCE_POLL: SimDuration = SimDuration::from_seconds(5);
/// A refused eviction is tried again after this long, then after twice as long each time, up to a limit.
const FIRST_EVICTION_PAUSE: SimDuration = SimDuration::from_ms(100);
const LONGEST_EVICTION_PAUSE: SimDuration = SimDuration::from_seconds(10);
/// A pod that is still there this long after its deletionTimestamp no longer holds up the drain.
const STUCK_AFTER: SimDuration = SimDuration::from_minutes(1);

impl Karpenter {
    /// One reconcile of a Node with deletionTimestamp.
    ///
    /// DEVIATION: that an instance is gone is seen at once, not up to a minute later as through the provider's cache.
    pub fn on_termination(&mut self, world: &mut World, id: NodeId) {
        let Some(node) = world.cluster.nodes.get(id) else {
            return;
        };
        if node.deletion_at.is_none() {
            return;
        }
        let claim = node.claim;
        if !node.ready && world.cluster.claims[claim].is_instance_gone() {
            // The instance vanished under the node: there is nothing left to drain.
            return world.remove_node(id);
        }
        world.taint_disrupted(id);
        world.begin_drain(id);
        if !world.cluster.nodes[id].drained && !drain(world, id) {
            return world.wake_after(Wake::Termination(id), DRAIN_POLL);
        }
        world.set_drained(id);
        if world.awaits_detachment(id) {
            return world.wake_after(Wake::Termination(id), VOLUME_POLL);
        }
        if world.terminate_instance(claim) {
            world.remove_node(id);
        } else {
            world.wake_after(Wake::Termination(id), INSTANCE_POLL);
        }
    }

    /// One attempt to evict a pod. The API server refuses while a PodDisruptionBudget forbids it; the pod is then tried
    /// again by itself, whatever happens to the budget meanwhile.
    pub fn on_eviction(&mut self, world: &mut World, id: PodId) {
        let Some(pod) = world.cluster.pods.get(id).filter(|pod| pod.is_active()) else {
            return;
        };
        if !may_evict(&world.view(), pod) {
            let shift = pod.eviction_attempts.min(16);
            let pause = SimDuration::from_ms(FIRST_EVICTION_PAUSE.ms() << shift);
            return world.retry_eviction(id, pause.min(LONGEST_EVICTION_PAUSE));
        }
        let (grace, node) = (pod.class.grace, pod.node);
        let cause = node
            .map(|node| &world.cluster.claims[world.cluster.nodes[node].claim])
            .and_then(|claim| claim.deletion_cause)
            .map_or(Cause::Deleted, |cause| cause.eviction_cause());
        world.delete_pod(id, grace, cause);
    }
}

/// The API server's answer to an eviction (Kubernetes v1.36 `pkg/registry/core/pod/storage/eviction.go`): pods that do
/// not run yet may always go, several budgets are an error.
fn may_evict(view: &ClusterView<'_>, pod: &Pod) -> bool {
    match pod.budgets.as_slice() {
        _ if pod.running_at.is_none() => true,
        [] => true,
        [budget] => view.cluster.disruptions_allowed(*budget) > 0,
        _ => false,
    }
}

/// One look at the drain. True when it is over.
fn drain(world: &mut World, id: NodeId) -> bool {
    delete_expiring(world, id);
    let now = world.now();
    let waiting = waiting_eviction(&world.view(), id);
    if !waiting.is_empty() {
        for pod in evictable_of_first_group(&world.view(), &waiting) {
            world.enqueue_eviction(pod);
        }
        return false;
    }
    let started = world.cluster.nodes[id].drain_started_at;
    started.is_some_and(|started| now.since(started) >= MIN_DRAIN_TIME)
}

/// Pods that the drain waits for.
fn waiting_eviction(view: &ClusterView<'_>, id: NodeId) -> Vec<PodId> {
    let claim = &view.cluster.claims[view.cluster.nodes[id].claim];
    let is_stuck = |at: SimTime| view.now.since(at) > STUCK_AFTER;
    view.pods_of(claim)
        .into_iter()
        .filter(|(_, pod)| {
            !pod.is_finished()
                && !view.tolerates_disruption(&pod.class)
                && !pod.deletion_at.is_some_and(is_stuck)
        })
        .map(|(pod, _)| pod)
        .collect()
}

/// The first group that still has pods (critical ones last, DaemonSets after others), those of it that may be evicted.
fn evictable_of_first_group(view: &ClusterView<'_>, waiting: &[PodId]) -> Vec<PodId> {
    let group = |id: &PodId| {
        let pod = &view.cluster.pods[*id];
        (pod.class.critical, pod.is_daemon())
    };
    let first = waiting.iter().map(group).min();
    let evictable = |id: &&PodId| {
        let pod = &view.cluster.pods[**id];
        Some(group(id)) == first && pod.is_active() && !view.is_protected(pod)
    };
    waiting.iter().filter(evictable).copied().collect()
}

/// Deletes pods whose grace period would outlast the NodeClaim's terminationGracePeriod, whatever protects them.
fn delete_expiring(world: &mut World, id: NodeId) {
    let now = world.now();
    let claim = &world.cluster.claims[world.cluster.nodes[id].claim];
    let cause = claim.deletion_cause.map_or(Cause::Deleted, |cause| cause.eviction_cause());
    let Some(deadline) = claim.termination_at else {
        return;
    };
    for pod in waiting_eviction(&world.view(), id) {
        let left = SimDuration::from_seconds((deadline.since(now).ms() / 1_000).max(1));
        let class = &world.cluster.pods[pod].class;
        match world.cluster.pods[pod].deletion_at {
            None if now > deadline - class.grace => world.delete_pod(pod, left, cause),
            Some(at) if at > deadline => world.shorten_grace(pod, left),
            _ => {}
        }
    }
}
