//! What EC2 does to instances and says of them: spot interruptions, rebalance recommendations, scheduled events,
//! failing status checks, instances that end; and the node that no longer answers.
//!
//! Upstream: karpenter-provider-aws v1.14.1 `pkg/controllers/interruption/controller.go`,
//! `pkg/controllers/interruption/instancestatus_controller.go`, `pkg/providers/instancestatus/instancestatus.go`;
//! Amazon EC2's two-minute notice.
//!
//! DEVIATION: pods on an instance that EC2 took back are removed together with their Node, not up to a minute later by
//! the pod garbage collector. Karpenter looks at instance states at full minutes of the simulated time, also after a
//! restart; what it sees is an `instance_status`, never a `system_status`, which it treats alike. Capacity reservations
//! are not interrupted, capacity blocks not left before their end, and instances end rather than stop.

use super::cluster::{ClaimId, DeletionCause, NodeId};
use super::event::Event;
use super::faults::NodeCondition;
use super::journal::Fact;
use super::{Wake, World};
use crate::engine::Purpose;
use crate::units::SimDuration;

/// From the warning to the end of the instance.
const NOTICE: SimDuration = SimDuration::from_seconds(120);
/// Failing status checks count after this long.
const UNHEALTHY_THRESHOLD: SimDuration = SimDuration::from_seconds(120);
/// From one look at instance states to the next.
const STATUS_PERIOD: SimDuration = SimDuration::from_minutes(1);
/// From the last sign of a kubelet to its Node's Ready condition becoming Unknown (kube-controller-manager's
/// `--node-monitor-grace-period`).
const MONITOR_GRACE: SimDuration = SimDuration::from_seconds(50);

/// What EC2 announces of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Announcement {
    /// It takes a spot instance back in two minutes.
    SpotNotice,
    /// A spot instance should be replaced.
    Rebalance,
    /// An instance will be retired.
    Retirement,
    /// Status checks fail from now on.
    Impairment,
}

/// What Karpenter hears of an instance: karpenter-provider-aws v1.14.1
/// `pkg/controllers/interruption/messages/types.go`. The numbers are those of draws: they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum MessageKind {
    /// By queue: EC2 takes a spot instance back in two minutes.
    SpotInterrupted = 0,
    /// By queue: a spot instance is at a higher risk of that.
    RebalanceRecommendation = 1,
    /// By queue: an event is scheduled that ends or restarts an instance.
    ScheduledChange = 2,
    /// By queue: an instance is shutting down or has ended.
    InstanceTerminated = 3,
    /// Seen: status checks of an instance fail.
    InstanceStatus = 4,
    /// Seen: an event is scheduled.
    EventStatus = 5,
}

impl MessageKind {
    /// Its name in Karpenter's logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            MessageKind::SpotInterrupted => "spot_interrupted",
            MessageKind::RebalanceRecommendation => "rebalance_recommendation",
            MessageKind::ScheduledChange => "scheduled_change",
            MessageKind::InstanceTerminated => "instance_terminated",
            MessageKind::InstanceStatus => "instance_status",
            MessageKind::EventStatus => "event_status",
        }
    }

    /// Karpenter sees it itself, and needs no queue for it.
    pub const fn is_seen(self) -> bool {
        matches!(self, MessageKind::InstanceStatus | MessageKind::EventStatus)
    }

    /// Reason and message of Karpenter's event: `pkg/controllers/interruption/events/events.go`.
    pub const fn event(self) -> (&'static str, &'static str) {
        match self {
            MessageKind::SpotInterrupted => {
                ("SpotInterrupted", "Spot interruption warning was triggered")
            }
            MessageKind::RebalanceRecommendation => {
                ("SpotRebalanceRecommendation", "Spot rebalance recommendation was triggered")
            }
            MessageKind::InstanceTerminated => ("InstanceTerminating", "Instance is terminating"),
            MessageKind::ScheduledChange
            | MessageKind::InstanceStatus
            | MessageKind::EventStatus => {
                ("InstanceUnhealthy", "An unhealthy warning was triggered for the instance")
            }
        }
    }
}

/// What EC2 does.
impl World {
    /// EC2 warns that it takes a spot instance back, and does so two minutes later.
    pub fn warn_of_interruption(&mut self, id: ClaimId) {
        self.announce(id, Announcement::SpotNotice);
        self.schedule(self.now() + NOTICE, Event::InstanceReclaimed(id));
        self.send(id, MessageKind::SpotInterrupted);
    }

    /// EC2 recommends to replace a spot instance.
    pub fn recommend_rebalance(&mut self, id: ClaimId) {
        self.announce(id, Announcement::Rebalance);
        self.send(id, MessageKind::RebalanceRecommendation);
    }

    /// EC2 schedules the retirement of an instance: Karpenter hears of it by message, or sees it when it next looks at
    /// instance states.
    pub fn schedule_retirement(&mut self, id: ClaimId, notice: SimDuration) {
        self.announce(id, Announcement::Retirement);
        let now = self.now();
        self.schedule(now + notice, Event::InstanceReclaimed(id));
        self.send(id, MessageKind::ScheduledChange);
        let look = now.next_turn(STATUS_PERIOD);
        self.schedule(look, Event::Message(id, MessageKind::EventStatus));
    }

    /// The status checks of an instance fail from now on. Its kubelet goes on.
    pub fn impair_instance(&mut self, id: ClaimId) {
        self.announce(id, Announcement::Impairment);
        let at = (self.now() + UNHEALTHY_THRESHOLD).next_turn(STATUS_PERIOD);
        self.schedule(at, Event::Message(id, MessageKind::InstanceStatus));
    }

    fn announce(&mut self, id: ClaimId, what: Announcement) {
        if let Some(instance) = self.cluster.claims[id].instance.as_mut() {
            instance.announced.push(what);
        }
        let fact = Fact::Announced { claim: self.cluster.claim_ref(id), what };
        self.record(fact);
    }

    /// Puts a message into Karpenter's queue, if it has one.
    fn send(&mut self, id: ClaimId, kind: MessageKind) {
        if self.settings.karpenter.interruption_queue {
            let ordinal = self.cluster.claims[id].ordinal;
            let latency = &self.settings.latency.message;
            let delay = self.streams.sample(latency, Purpose::MessageLatency, ordinal, kind as u32);
            let at = self.now() + SimDuration::from_ms(delay.max(0));
            self.schedule(at, Event::Message(id, kind));
        }
    }

    /// The instance ends without Karpenter's doing, whether its node is drained or not: the notice has run out, or it
    /// failed. Its kubelet does nothing any more.
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
        self.send(id, MessageKind::InstanceTerminated);
        match node {
            Some(node) => {
                self.stop_kubelet(node);
                self.schedule(now + MONITOR_GRACE, Event::NodeLost(node));
            }
            None => self.wake(Wake::Lifecycle(id)),
        }
    }

    /// The kubelet has been silent for too long: the Node is no longer Ready, nor are its pods (Kubernetes v1.36
    /// `pkg/controller/nodelifecycle/node_lifecycle_controller.go`).
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
        let (claim, pods) = (node.claim, node.pods.clone());
        for pod in pods {
            if self.cluster.pods[pod].is_healthy() {
                self.cluster.count_health(pod, -1);
            }
            self.cluster.pods[pod].lost = true;
        }
        self.wake(Wake::Termination(id));
        self.wake(Wake::Health(id));
        self.wake(Wake::Lifecycle(claim));
        self.notify_node(claim);
        self.plan_garbage_collection();
    }
}

/// What Karpenter does.
impl World {
    /// Notes that Karpenter heard of an instance.
    pub fn receive(&mut self, id: ClaimId, kind: MessageKind) {
        let fact = Fact::MessageReceived { claim: self.cluster.claim_ref(id), kind };
        self.record(fact);
    }

    /// Deletes a NodeClaim because of what Karpenter heard of its instance. `action` is Karpenter's name for what it
    /// does.
    pub fn interrupt(&mut self, id: ClaimId, kind: MessageKind, action: &'static str) {
        if self.cluster.claims[id].deletion_at.is_none() {
            let fact = Fact::Interrupted { claim: self.cluster.claim_ref(id), kind, action };
            self.record(fact);
            self.delete_claim(id, DeletionCause::Interrupted);
        }
    }

    /// The offering of a NodeClaim's instance counts as unavailable for a while.
    pub fn take_offering_for_unavailable(&mut self, id: ClaimId) {
        if let Some(instance) = &self.cluster.claims[id].instance {
            let name = instance.instance_type.get().name.symbol;
            let key = (name, instance.zone.symbol, instance.capacity_type);
            self.take_for_unavailable([key]);
        }
    }
}
