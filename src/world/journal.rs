//! The journal: facts in the order in which they happened, the only thing that observers read.
//!
//! A fact holds everything an observer needs (names, prices, sizes), so that observers never look at the world. The
//! names of the variants follow the events of Karpenter's recorded timelines where there is one.

use std::sync::Arc;

use super::interruptions::{Announcement, MessageKind};
use crate::units::{ResourceVec, SimDuration, SimTime};

/// A pod in a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodRef {
    /// Number of the pod in order of creation, never reused.
    pub ordinal: u64,
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// The workload, as users write it: `Deployment/other/inflate`.
    pub workload: Arc<str>,
    /// Requested milli-CPU.
    pub cpu_milli: i64,
    /// Requested memory in bytes.
    pub memory_bytes: i64,
    /// Owned by a DaemonSet.
    pub daemon: bool,
}

impl PodRef {
    /// `namespace/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// A NodeClaim, and the node that comes from it, in a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRef {
    /// Number of the NodeClaim in order of creation, never reused.
    pub ordinal: u64,
    /// Name of the NodeClaim and of its node.
    pub name: Arc<str>,
    /// Name of the NodePool.
    pub pool: Arc<str>,
}

/// Why a bound pod was told to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Its workload wanted fewer replicas.
    ScaleDown,
    /// Evicted for a command with reason Empty.
    Empty,
    /// Evicted for a command with reason Drifted.
    Drifted,
    /// Evicted for a command with reason Underutilized.
    Underutilized,
    /// Its node expired.
    Expired,
    /// Its node was interrupted.
    Interrupted,
    /// Its node was deleted for another reason.
    Deleted,
}

impl Cause {
    /// All causes, evictions by command first.
    pub const ALL: [Cause; 7] = [
        Cause::Empty,
        Cause::Drifted,
        Cause::Underutilized,
        Cause::Expired,
        Cause::Interrupted,
        Cause::Deleted,
        Cause::ScaleDown,
    ];

    /// A command of the disruption controller.
    pub const fn is_command(self) -> bool {
        matches!(self, Cause::Empty | Cause::Drifted | Cause::Underutilized)
    }

    /// The name in outputs; evictions have Karpenter's spelling.
    pub const fn name(self) -> &'static str {
        match self {
            Cause::ScaleDown => "scale_down",
            Cause::Empty => "Empty",
            Cause::Drifted => "Drifted",
            Cause::Underutilized => "Underutilized",
            Cause::Expired => "expired",
            Cause::Interrupted => "interrupted",
            Cause::Deleted => "deleted",
        }
    }
}

/// A NodeClaim's type as launched.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// Instance type.
    pub instance_type: Arc<str>,
    /// Zone.
    pub zone: Arc<str>,
    /// `on-demand`, `spot` or `reserved`.
    pub capacity_type: &'static str,
    /// USD per hour that EC2 charges: the list price, whatever NodeOverlays say.
    pub price: f64,
    /// What pods may request on it.
    pub allocatable: ResourceVec,
    /// `aws:///zone/id`.
    pub provider_id: Arc<str>,
    /// Tags of the instance, from the EC2NodeClass, ascending by key.
    pub tags: Arc<[(Arc<str>, Arc<str>)]>,
}

/// A disruption command in a fact.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandRef {
    /// Number of the command in order of computation.
    pub id: u64,
    /// `Emptiness`, `MultiNodeConsolidation`, `SingleNodeConsolidation`, ...
    pub method: &'static str,
    /// `Empty`, `Drifted`, `Underutilized`.
    pub reason: &'static str,
    /// `delete` or `replace`.
    pub decision: &'static str,
    /// The nodes to go, in the command's order, each with instance type and capacity type.
    pub candidates: Vec<(ClaimRef, Arc<str>, &'static str)>,
    /// Reschedulable pods on the candidates.
    pub pod_count: usize,
    /// Karpenter's estimate of the saving, USD per hour.
    pub savings: f64,
}

/// A replacement of a started command.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplacementRef {
    /// The NodeClaim created for it.
    pub claim: ClaimRef,
    /// Pods planned onto it.
    pub pods: usize,
    /// All instance types it may launch, cheapest first.
    pub instance_types: Arc<[Arc<str>]>,
    /// The capacity type that Karpenter logs for it.
    pub capacity_type: &'static str,
}

/// One fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A timeline step scaled a workload.
    Scaled {
        /// The workload.
        workload: Arc<str>,
        /// Its new replicas.
        replicas: u32,
    },
    /// A timeline step of another kind was carried out.
    TimelineStep {
        /// The action, in the scenario's spelling.
        action: &'static str,
        /// What it was done to.
        object: Arc<str>,
    },
    /// A timeline step was to be done to more than there was.
    StepFellShort {
        /// The action, in the scenario's spelling.
        action: &'static str,
        /// Whose nodes or pods.
        object: Arc<str>,
        /// To how many.
        wanted: usize,
        /// How many there were.
        found: usize,
    },
    /// A timeline step applied objects.
    Applied {
        /// `Kind/name` of what was applied.
        object: Arc<str>,
    },
    /// Karpenter gave a NodeClaim up.
    GaveUp {
        /// The NodeClaim.
        claim: ClaimRef,
        /// `launch_timeout`, `registration_timeout`, `garbage_collected` or `unhealthy`, as in its metric.
        reason: &'static str,
    },
    /// A condition of a node turned bad.
    NodeBroken {
        /// Its NodeClaim.
        claim: ClaimRef,
        /// The condition's type.
        condition: &'static str,
    },
    /// A NodePool's condition NodeRegistrationHealthy changed.
    RegistrationHealth {
        /// Its name.
        pool: Arc<str>,
        /// The condition.
        healthy: bool,
    },
    /// A pod object was created.
    PodCreated(PodRef),
    /// kube-scheduler found no node; said once per pod.
    PodUnschedulable(PodRef),
    /// The pod was bound.
    PodBound {
        /// The pod.
        pod: PodRef,
        /// Its node.
        node: ClaimRef,
    },
    /// The pod is Running and Ready.
    PodRunning(PodRef),
    /// The pod has run to completion.
    PodSucceeded(PodRef),
    /// EC2 charges another price, in USD per hour, for an instance from now on.
    PriceChanged {
        /// Its NodeClaim.
        claim: ClaimRef,
        /// The price.
        price: f64,
    },
    /// The pod was annotated with `karpenter.sh/do-not-disrupt`.
    PodAnnotated(PodRef),
    /// A deletionTimestamp was written to a bound pod.
    PodTerminating {
        /// The pod.
        pod: PodRef,
        /// Its node.
        node: ClaimRef,
        /// Why.
        cause: Cause,
    },
    /// What a pod did is gone: it was evicted, or vanished with its node, before its end.
    WorkLost {
        /// The pod.
        pod: PodRef,
        /// How long it had been Running; zero where its successor goes on from there.
        ran: SimDuration,
        /// Another pod takes its place; false for a pod that is lost for good.
        returns: bool,
    },
    /// A Job failed: its pods were evicted more often than its backoffLimit allows.
    JobFailed {
        /// The Job: `Job/batch/report`.
        workload: Arc<str>,
    },
    /// The pod object is gone.
    PodRemoved {
        /// The pod.
        pod: PodRef,
        /// Its node, if it was bound.
        node: Option<ClaimRef>,
    },
    /// Karpenter could not place the pod in a batch.
    PodFailedScheduling {
        /// The pod.
        pod: PodRef,
        /// Karpenter's text.
        error: Arc<str>,
    },
    /// A batch placed pods: what Karpenter logs about it.
    BatchScheduled {
        /// Pods that took part, at most the first five named, in queue order.
        pods: Vec<PodRef>,
        /// All pods that took part.
        pod_count: usize,
        /// Claims to be created.
        claims: usize,
        /// Pods on those claims.
        claim_pods: usize,
        /// Existing nodes that received pods.
        nodes: usize,
        /// Pods on those nodes.
        node_pods: usize,
    },
    /// A batch ended while a NodeClaim was unlaunched and was thrown away.
    BatchDropped,
    /// A NodeClaim was created.
    ClaimCreated {
        /// The NodeClaim.
        claim: ClaimRef,
        /// `provisioned`, `underutilized`, `drifted`.
        reason: &'static str,
        /// Instance types it may launch, cheapest first.
        instance_types: Arc<[Arc<str>]>,
        /// Requirements less the instance types: `key Operator values`, ascending.
        requirements: Vec<String>,
        /// Requests of its pods and daemons.
        requests: ResourceVec,
    },
    /// The Create call succeeded.
    Launched {
        /// The NodeClaim.
        claim: ClaimRef,
        /// What was launched.
        launch: Launch,
    },
    /// One offering had no capacity.
    InsufficientCapacity {
        /// The NodeClaim.
        claim: ClaimRef,
        /// Instance type.
        instance_type: Arc<str>,
        /// Zone.
        zone: Arc<str>,
        /// Capacity type.
        capacity_type: &'static str,
    },
    /// The whole Create call failed.
    LaunchFailed {
        /// The NodeClaim.
        claim: ClaimRef,
        /// Why.
        reason: Arc<str>,
    },
    /// EC2 state `running`: billing starts.
    InstanceRunning(ClaimRef),
    /// The kubelet created the Node object.
    NodeCreated(ClaimRef),
    /// Karpenter matched node and claim.
    Registered(ClaimRef),
    /// The Node is Ready.
    NodeReady(ClaimRef),
    /// The Node may be counted on.
    Initialized {
        /// The NodeClaim.
        claim: ClaimRef,
        /// The Node's allocatable.
        allocatable: ResourceVec,
    },
    /// The claim's Consolidatable condition changed.
    Consolidatable {
        /// The NodeClaim.
        claim: ClaimRef,
        /// True, or gone.
        status: bool,
    },
    /// The claim's Drifted condition changed.
    Drifted {
        /// The NodeClaim.
        claim: ClaimRef,
        /// Why it is drifted; `None` when it no longer is.
        reason: Option<Arc<str>>,
    },
    /// `status.lastPodEventTime` was written.
    LastPodEvent {
        /// The NodeClaim.
        claim: ClaimRef,
        /// The value.
        value: SimTime,
    },
    /// A command was found; its validation wait starts.
    DisruptionComputed(CommandRef),
    /// A command did not survive its validation wait.
    ValidationFailed {
        /// The command.
        command: CommandRef,
        /// `churn`, `budget` or `scheduling`.
        failure: &'static str,
        /// Karpenter's words.
        message: Arc<str>,
    },
    /// A command started.
    DisruptionStarted {
        /// The command.
        command: CommandRef,
        /// Its replacements.
        replacements: Vec<ReplacementRef>,
    },
    /// The queue deleted the candidates.
    DisruptionSucceeded(CommandRef),
    /// The queue gave up.
    DisruptionFailed {
        /// The command.
        command: CommandRef,
        /// Why.
        message: Arc<str>,
    },
    /// The disruption taint was put on or taken off.
    Tainted {
        /// The node.
        claim: ClaimRef,
        /// On or off.
        status: bool,
    },
    /// A NodeClaim reached expireAfter.
    Expired(ClaimRef),
    /// EC2 announces something about an instance, or its status checks begin to fail.
    Announced {
        /// The instance's claim.
        claim: ClaimRef,
        /// What.
        what: Announcement,
    },
    /// Karpenter heard of an instance and published its event.
    MessageReceived {
        /// The instance's claim.
        claim: ClaimRef,
        /// What it heard.
        kind: MessageKind,
    },
    /// A NodeClaim was deleted because of what Karpenter heard of its instance.
    Interrupted {
        /// Which.
        claim: ClaimRef,
        /// What it heard.
        kind: MessageKind,
        /// What it does: `CordonAndDrain` or `ForcefulTermination`.
        action: &'static str,
    },
    /// A NodeClaim got its deletionTimestamp.
    ClaimDeleted(ClaimRef),
    /// A Node got its deletionTimestamp: the drain starts.
    DrainStarted(ClaimRef),
    /// The claim's Drained condition became True.
    Drained(ClaimRef),
    /// The first TerminateInstances call: billing ends.
    InstanceTerminating {
        /// The NodeClaim.
        claim: ClaimRef,
    },
    /// The instance is gone.
    InstanceTerminated(ClaimRef),
    /// The Node object is gone.
    NodeRemoved(ClaimRef),
    /// The NodeClaim object is gone.
    ClaimRemoved(ClaimRef),
}

/// A fact with its instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When.
    pub at: SimTime,
    /// What.
    pub fact: Fact,
}

/// Facts that observers have not yet folded.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    records: Vec<Record>,
}

impl Journal {
    /// Appends a fact.
    pub fn record(&mut self, at: SimTime, fact: Fact) {
        self.records.push(Record { at, fact });
    }

    /// Hands over what was recorded since the last call.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Record> {
        self.records.drain(..)
    }
}
