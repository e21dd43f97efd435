//! nodeclaim.consistency: the condition ConsistentStateFound.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/nodeclaim/consistency/controller.go`. Nothing is decided by the
//! condition, and nodes here always have the resources that were asked for. But the first write of it, ten minutes or
//! more after the launch, is a change of the NodeClaim, and moves its place in the queues of the other controllers.

use super::Karpenter;
use crate::units::SimDuration;
use crate::world::{ClaimId, Wake, World};

/// A NodeClaim is looked at no more often than this.
const SCAN_PERIOD: SimDuration = SimDuration::from_minutes(10);

impl Karpenter {
    /// One reconcile of nodeclaim.consistency.
    pub fn on_consistency(&mut self, world: &mut World, id: ClaimId) {
        let Some(claim) = world.cluster.claims.get(id) else {
            return;
        };
        if claim.instance.is_none() {
            return;
        }
        let (now, has_node) = (world.now(), claim.node.is_some());
        match claim.consistency_scanned_at.map(|at| at + SCAN_PERIOD) {
            // At the end of the period itself the scan is remembered, but no further look is planned.
            Some(end) if now == end => {}
            Some(end) if now < end => world.wake_at(Wake::Consistency(id), end),
            _ => world.set_scanned(id, has_node),
        }
    }
}
