//! nodeclaim.podevents and nodeclaim.disruption: lastPodEventTime and the Consolidatable condition.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/nodeclaim/podevents/controller.go`,
//! `pkg/controllers/nodeclaim/disruption/consolidation.go`.

use super::Karpenter;
use crate::units::SimDuration;
use crate::world::{ClaimId, PodId, Wake, World};

/// Pod events within this time of the last recorded one are ignored.
const DEDUPE: SimDuration = SimDuration::from_seconds(10);

impl Karpenter {
    /// A pod was bound to a node, or told to leave it.
    pub fn on_pod_event(&mut self, world: &mut World, id: PodId) {
        let Some(pod) = world.cluster.pods.get(id) else {
            return;
        };
        let Some(node) = pod.node.and_then(|node| world.cluster.nodes.get(node)) else {
            return;
        };
        let claim = node.claim;
        let last = world.cluster.claims[claim].last_pod_event_at;
        if last.is_none_or(|last| world.now().since(last) >= DEDUPE) {
            world.set_last_pod_event(claim);
        }
    }

    /// One reconcile of a NodeClaim's conditions.
    pub fn on_conditions(&mut self, world: &mut World, id: ClaimId) {
        let Some(claim) = world.cluster.claims.get(id) else {
            return;
        };
        if claim.deletion_at.is_some() {
            return;
        }
        let after = world.cluster.pools[claim.pool].spec.disruption.consolidate_after;
        let (Some(after), Some(initialized_at)) = (after, claim.initialized_at) else {
            return world.set_consolidatable(id, false);
        };
        let quiet_since = claim.last_pod_event_at.unwrap_or(initialized_at);
        let quiet_at = quiet_since + after;
        if after > SimDuration::ZERO && world.now() < quiet_at {
            world.set_consolidatable(id, false);
            world.wake_at(Wake::Conditions(id), quiet_at);
        } else {
            world.set_consolidatable(id, true);
        }
    }
}
