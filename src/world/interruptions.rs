//! Spot interruptions: the warning, the end of the instance, the node that no longer answers.
//!
//! Upstream: karpenter-provider-aws v1.14.1 `pkg/controllers/interruption/controller.go`; Amazon EC2's two-minute
//! notice.
//!
//! DEVIATION: the warning reaches Karpenter at once, without the queue's delay. Pods on an instance that EC2 took back
//! are removed together with their Node, not up to a minute later by the pod garbage collector.

use super::cluster::{ClaimId, DeletionCause, NodeId};
use super::event::Event;
use super::faults::NodeCondition;
use super::journal::Fact;
use super::{Wake, World};
use crate::units::SimDuration;

/// From the warning to the end of the instance.
const NOTICE: SimDuration = SimDuration::from_seconds(120);
/// From the last sign of a kubelet to its Node's Ready condition becoming Unknown (kube-controller-manager's
/// `--node-monitor-grace-period`).
const MONITOR_GRACE: SimDuration = SimDuration::from_seconds(50);

impl World {
    /// Deletes a NodeClaim because its instance is interrupted.
    pub fn interrupt(&mut self, id: ClaimId) {
        if self.cluster.claims[id].deletion_at.is_none() {
            let fact = Fact::Interrupted(self.cluster.claim_ref(id));
            self.record(fact);
            self.delete_claim(id, DeletionCause::Interrupted);
        }
    }

    /// EC2 warns that it takes a spot instance back: Karpenter deletes the NodeClaim and takes the offering for
    /// unavailable.
    pub fn warn_of_interruption(&mut self, id: ClaimId) {
        let Some(instance) = &self.cluster.claims[id].instance else {
            return;
        };
        let name = instance.instance_type.get().name.symbol;
        let key = (name, instance.zone.symbol, instance.capacity_type);
        self.take_for_unavailable([key]);
        self.schedule(self.now() + NOTICE, Event::InstanceReclaimed(id));
        self.interrupt(id);
    }

    /// The instance ends without Karpenter's doing, whether its node is drained or not: the notice has run out, or it
    /// failed.
    pub fn reclaim_instance(&mut self, id: ClaimId) {
        let now = self.now();
        let Some(claim) = self.cluster.claims.get_mut(id) else {
            return;
        };
        let node = claim.node;
        let Some(instance) = claim.instance.as_mut().filter(|i| i.terminating_at.is_none()) else {
            return;
        };
        instance.terminating_at = Some(now);
        instance.gone = true;
        let claim = self.cluster.claim_ref(id);
        self.record(Fact::InstanceTerminating { claim: claim.clone() });
        self.record(Fact::InstanceTerminated(claim));
        match node {
            Some(node) => {
                self.schedule(now + MONITOR_GRACE, Event::NodeLost(node));
            }
            None => self.wake(Wake::Lifecycle(id)),
        }
    }

    /// The kubelet has been silent for too long: the Node is no longer Ready.
    pub fn set_node_lost(&mut self, id: NodeId) {
        let (now, unreachable) = (self.now().floor_to_second(), self.unreachable_taint());
        let Some(node) = self.cluster.nodes.get_mut(id) else {
            return;
        };
        node.ready = false;
        node.taints.push(unreachable);
        if !node.conditions.iter().any(|(known, _)| *known == NodeCondition::Ready) {
            node.conditions.push((NodeCondition::Ready, now));
        }
        let claim = node.claim;
        self.wake(Wake::Termination(id));
        self.wake(Wake::Health(id));
        self.wake(Wake::Lifecycle(claim));
        self.notify_node(claim);
        self.plan_garbage_collection();
    }
}
