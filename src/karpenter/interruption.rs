//! Interruption: what Karpenter does when it hears of an instance.
//!
//! Upstream: karpenter-provider-aws v1.14.1 `pkg/controllers/interruption/utils.go` (`handleNodeClaim`).

use crate::world::interruptions::MessageKind;
use crate::world::{ClaimId, World};

/// One message of the interruption queue, or one instance that the look at instance states finds unhealthy. Budgets and
/// `karpenter.sh/do-not-disrupt` are not asked; the drain that follows respects PodDisruptionBudgets, unless the
/// instance is unhealthy.
pub fn on_message(world: &mut World, id: ClaimId, kind: MessageKind) {
    let Some(claim) = world.cluster.claims.get(id) else {
        return;
    };
    // Amazon EC2 tells the status of running instances only.
    if kind.is_seen() && claim.is_instance_terminating() {
        return;
    }
    // Where the message came first, the recorder drops the second equal event.
    if kind != MessageKind::EventStatus || claim.deletion_at.is_none() {
        world.receive(id, kind);
    }
    if kind == MessageKind::SpotInterrupted {
        world.take_offering_for_unavailable(id);
    }
    match kind {
        MessageKind::RebalanceRecommendation => {}
        MessageKind::InstanceStatus => {
            world.limit_termination(id);
            world.interrupt(id, kind, "ForcefulTermination");
        }
        MessageKind::SpotInterrupted
        | MessageKind::ScheduledChange
        | MessageKind::InstanceTerminated
        | MessageKind::EventStatus => world.interrupt(id, kind, "CordonAndDrain"),
    }
}
