//! What goes wrong with instances and nodes because a scenario says so: launches that fail, nodes that never join or
//! lose their instance, conditions that turn bad.

use super::cluster::{ClaimId, DeletionCause, NodeId, PoolIndex};
use super::event::Event;
use super::journal::Fact;
use super::{Wake, World};
use crate::units::{SimDuration, SimTime};

/// Faults of a NodePool's future instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolFaults {
    /// Until then CreateFleet answers with an error other than insufficient capacity.
    pub launches_fail_until: SimTime,
    /// Instances that are launched before then never join the cluster.
    pub joins_fail_until: SimTime,
}

/// A node condition that Karpenter's node repair watches: karpenter-provider-aws v1.14.1
/// `pkg/cloudprovider/cloudprovider.go` (`RepairPolicies`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeCondition {
    /// `Ready`: the kubelet.
    Ready,
    /// `AcceleratedHardwareReady`: GPUs and accelerators.
    AcceleratedHardwareReady,
    /// `StorageReady`.
    StorageReady,
    /// `NetworkingReady`.
    NetworkingReady,
    /// `KernelReady`.
    KernelReady,
    /// `ContainerRuntimeReady`.
    ContainerRuntimeReady,
}

impl NodeCondition {
    /// All of them.
    pub const ALL: [NodeCondition; 6] = [
        NodeCondition::Ready,
        NodeCondition::AcceleratedHardwareReady,
        NodeCondition::StorageReady,
        NodeCondition::NetworkingReady,
        NodeCondition::KernelReady,
        NodeCondition::ContainerRuntimeReady,
    ];

    /// The condition's type in Kubernetes.
    pub const fn name(self) -> &'static str {
        match self {
            NodeCondition::Ready => "Ready",
            NodeCondition::AcceleratedHardwareReady => "AcceleratedHardwareReady",
            NodeCondition::StorageReady => "StorageReady",
            NodeCondition::NetworkingReady => "NetworkingReady",
            NodeCondition::KernelReady => "KernelReady",
            NodeCondition::ContainerRuntimeReady => "ContainerRuntimeReady",
        }
    }

    /// How long Karpenter bears with it.
    pub const fn toleration(self) -> SimDuration {
        match self {
            NodeCondition::AcceleratedHardwareReady => SimDuration::from_minutes(10),
            _ => SimDuration::from_minutes(30),
        }
    }
}

impl World {
    /// CreateFleet answered with an error other than insufficient capacity: the claim stays, and is tried again.
    pub fn set_launch_error(&mut self, id: ClaimId) {
        let claim = &mut self.cluster.claims[id];
        claim.launching = false;
        claim.launch_errors += 1;
        let first = claim.launch_errors == 1;
        let claim = self.cluster.claim_ref(id);
        self.record(Fact::LaunchFailed {
            claim,
            reason: "CreateFleet answered with an error".into(),
        });
        if first {
            // The condition Launched stays Unknown, but gets a reason.
            self.notify_claim(id);
        }
    }

    /// Deletes a NodeClaim that Karpenter gives up, and says why in the words of its metric.
    pub fn give_up(&mut self, id: ClaimId, reason: &'static str) {
        if self.delete_claim(id, DeletionCause::Failed) {
            let claim = self.cluster.claim_ref(id);
            self.record(Fact::GaveUp { claim, reason });
        }
    }

    /// Launches of a NodePool fail for a while.
    pub fn fail_launches(&mut self, pool: PoolIndex, until: SimTime) {
        self.cluster.pools[pool].faults.launches_fail_until = until;
    }

    /// Instances that a NodePool launches in a while never join the cluster.
    pub fn fail_joins(&mut self, pool: PoolIndex, until: SimTime) {
        self.cluster.pools[pool].faults.joins_fail_until = until;
    }

    /// A condition of a node turns bad, and stays so.
    pub fn break_node(&mut self, id: NodeId, condition: NodeCondition) {
        let now = self.now().floor_to_second();
        let not_ready = self.not_ready_taint();
        let Some(node) = self.cluster.nodes.get_mut(id) else {
            return;
        };
        if node.conditions.iter().any(|(known, _)| *known == condition) {
            return;
        }
        node.conditions.push((condition, now));
        let claim = node.claim;
        if condition == NodeCondition::Ready {
            node.ready = false;
            node.taints.push(not_ready);
        }
        let fact =
            Fact::NodeBroken { claim: self.cluster.claim_ref(claim), condition: condition.name() };
        self.record(fact);
        self.wake(Wake::Health(id));
        self.notify_node(claim);
        self.wake(Wake::Lifecycle(claim));
        if self.cluster.nodes[id].deletion_at.is_some() {
            self.wake(Wake::Termination(id));
        }
    }

    /// Node repair writes the time at which all pods have to be gone: now, unless it has passed.
    pub fn terminate_now(&mut self, id: ClaimId) {
        let now = self.now();
        let claim = &mut self.cluster.claims[id];
        if claim.termination_at.is_none_or(|at| at >= now) {
            claim.termination_at = Some(now.floor_to_second());
            self.notify_claim(id);
        }
    }

    /// An unhealthy instance: all pods have to be gone now, unless a time is set already.
    pub fn limit_termination(&mut self, id: ClaimId) {
        let now = self.now().floor_to_second();
        let claim = &mut self.cluster.claims[id];
        if claim.termination_at.is_none() {
            claim.termination_at = Some(now);
            self.notify_claim(id);
        }
    }

    /// The garbage collection of NodeClaims looks at its next turn, which comes every two minutes.
    pub(super) fn plan_garbage_collection(&mut self) {
        const PERIOD: SimDuration = SimDuration::from_minutes(2);
        let at = self.now().next_turn(PERIOD);
        self.schedule(at, Event::GarbageCollection);
    }
}
