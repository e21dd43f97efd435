//! The closed set of events, and the order of actors within one instant.
//!
//! The order is that of Karpenter's recorded timelines: the runnable actor that comes first takes one step, then the
//! search starts at the top again. An event that an actor schedules for the present instant is therefore handled by the
//! class order, not after everything that is already due.

use super::cluster::{ClaimId, NodeId, PodId};
use super::interruptions::MessageKind;

/// Actors, in the order in which they run within one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum EventClass {
    /// The scenario's timeline, EC2 and the kubelets.
    Outside,
    /// Deployments, then DaemonSets.
    Workloads,
    /// kube-scheduler.
    Scheduler,
    /// Karpenter's nodepool.counter.
    PoolCounter,
    /// Karpenter's nodeclaim.podevents.
    PodEvents,
    /// Karpenter's nodeclaim.lifecycle.
    Lifecycle,
    /// Karpenter's nodeclaim.disruption (conditions).
    Conditions,
    /// Karpenter's nodeclaim.expiration.
    Expiration,
    /// Karpenter's interruption and interruption.instancestatus.
    Interruption,
    /// Karpenter's node.termination.
    Termination,
    /// Karpenter's eviction queue.
    Eviction,
    /// Karpenter's disruption queue.
    DisruptionQueue,
    /// Karpenter's nodeclaim.consistency, nodeclaim.garbagecollection and node.health.
    Consistency,
    /// Karpenter's static.provisioning and static.deprovisioning.
    StaticPools,
    /// Karpenter's provisioner.trigger.pod, provisioner.trigger.node and capacitybuffer.
    Triggers,
    /// Karpenter's provisioner.
    Provisioner,
    /// Karpenter's disruption loop.
    DisruptionLoop,
}

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The timeline's step of this number is due. Before anything else of its instant.
    TimelineStep(u32),
    /// The instance of a claim enters state `running`.
    InstanceRunning(ClaimId),
    /// The kubelet of a claim's instance creates the Node object.
    NodeAppears(ClaimId),
    /// The kubelet reports Ready.
    NodeReady(NodeId),
    /// Extended resources are registered and startup taints removed.
    NodeInitializable(NodeId),
    /// A bound pod becomes Running and Ready.
    PodStarts(PodId),
    /// A pod of the source of this number arrives.
    Arrival(u32),
    /// A pod of a source comes to its end, running or not.
    PodEnds(PodId),
    /// A running pod succeeds.
    PodSucceeds(PodId),
    /// The object of a terminating or finished pod goes away.
    PodStops(PodId),
    /// EC2 reports the instance as terminated.
    InstanceGone(ClaimId),
    /// EC2 takes an instance back.
    InstanceReclaimed(ClaimId),
    /// The kubelet of an instance that is gone has been silent for too long.
    NodeLost(NodeId),
    /// Offerings that failed to launch are taken for available again.
    OfferingsReturn,
    /// Karpenter asks for prices.
    Prices,
    /// One pass over all workloads that changed.
    WorkloadPass,
    /// One pass over all pending pods.
    SchedulerPass,
    /// nodepool.counter looks at all NodePools.
    CountPools,
    /// A pod event that may move lastPodEventTime of the pod's node.
    PodEvent(PodId),
    /// One reconcile of nodeclaim.lifecycle.
    Lifecycle(ClaimId),
    /// The Create call of a claim returns.
    LaunchReturns(ClaimId),
    /// One reconcile of nodeclaim.disruption.
    Conditions(ClaimId),
    /// One reconcile of nodeclaim.expiration.
    Expiration(ClaimId),
    /// Karpenter hears of a claim's instance: a message of its queue, or a turn of its look at instance states.
    Message(ClaimId, MessageKind),
    /// One reconcile of node.termination.
    Termination(NodeId),
    /// One attempt to evict a pod.
    Eviction(PodId),
    /// One look of the disruption queue at a command.
    Command(u64),
    /// One reconcile of nodeclaim.consistency.
    Consistency(ClaimId),
    /// One reconcile of node.health.
    Health(NodeId),
    /// One turn of nodeclaim.garbagecollection.
    GarbageCollection,
    /// One look at all static NodePools.
    StaticPools,
    /// provisioner.trigger.pod.
    PodTrigger(PodId),
    /// provisioner.trigger.node.
    NodeTrigger(NodeId),
    /// One reconcile of the CapacityBuffer of this number.
    CapacityBuffer(u32),
    /// The batching window closes (idle or maximum).
    BatchEnds,
    /// A pass of the disruption loop begins, or its validation wait ends.
    DisruptionLoop,
}

impl Event {
    /// The actor that handles the event.
    pub const fn class(self) -> EventClass {
        match self {
            Event::TimelineStep(_)
            | Event::InstanceRunning(_)
            | Event::NodeAppears(_)
            | Event::NodeReady(_)
            | Event::NodeInitializable(_)
            | Event::PodStarts(_)
            | Event::Arrival(_)
            | Event::PodEnds(_)
            | Event::PodSucceeds(_)
            | Event::PodStops(_)
            | Event::InstanceGone(_)
            | Event::InstanceReclaimed(_)
            | Event::NodeLost(_)
            | Event::OfferingsReturn
            | Event::Prices => EventClass::Outside,
            Event::WorkloadPass => EventClass::Workloads,
            Event::SchedulerPass => EventClass::Scheduler,
            Event::CountPools => EventClass::PoolCounter,
            Event::PodEvent(_) => EventClass::PodEvents,
            Event::Lifecycle(_) | Event::LaunchReturns(_) => EventClass::Lifecycle,
            Event::Conditions(_) => EventClass::Conditions,
            Event::Expiration(_) => EventClass::Expiration,
            Event::Message(..) => EventClass::Interruption,
            Event::Termination(_) => EventClass::Termination,
            Event::Eviction(_) => EventClass::Eviction,
            Event::Command(_) => EventClass::DisruptionQueue,
            Event::Consistency(_) | Event::Health(_) | Event::GarbageCollection => {
                EventClass::Consistency
            }
            Event::StaticPools => EventClass::StaticPools,
            Event::PodTrigger(_) | Event::NodeTrigger(_) | Event::CapacityBuffer(_) => {
                EventClass::Triggers
            }
            Event::BatchEnds => EventClass::Provisioner,
            Event::DisruptionLoop => EventClass::DisruptionLoop,
        }
    }
}
