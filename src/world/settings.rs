//! What the scenario decides about the world around Karpenter, and Karpenter's own options. Constant during a run.

use crate::engine::Distribution;
use crate::units::SimDuration;

/// All settings of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Seconds since 1970-01-01 UTC at the scenario's start.
    pub start_epoch_seconds: i64,
    /// Seed of every random draw.
    pub seed: u64,
    /// How choices are made that Karpenter leaves to Go's map order.
    pub tie_breaks: TieBreaks,
    /// How long EC2 and the kubelets take.
    pub latency: Latency,
    /// How kube-scheduler breaks ties of equal scores.
    pub scheduler_ties: SchedulerTies,
    /// Which pods a Deployment deletes first.
    pub victims: VictimRule,
    /// How Jobs answer an eviction.
    pub job_retries: JobRetries,
    /// What a pod's UID is, Karpenter's and the ReplicaSet controller's last tie-break.
    pub pod_uids: PodUids,
    /// From a change to the workload controllers' answer.
    pub controller_latency: SimDuration,
    /// How long an offering that failed to launch is taken for unavailable.
    pub unavailable_for: SimDuration,
    /// Karpenter's options.
    pub karpenter: KarpenterOptions,
    /// Every decision is derived from the cluster anew, without what is kept or skipped for speed: the yardstick that
    /// tests compare with.
    pub plain: bool,
}

/// How choices are made that Karpenter leaves to Go's map order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TieBreaks {
    /// The smallest name, as in Karpenter's recorded canonical outcomes.
    Canonical,
    /// A keyed draw among the equals.
    Seeded,
}

/// How kube-scheduler breaks ties of equal scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchedulerTies {
    /// The smaller node name.
    Name,
    /// A keyed draw among the equals, as kube-scheduler does with its own generator.
    Seeded,
}

/// Which pods a Deployment deletes first, after those that are not bound, not ready or cheaper to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VictimRule {
    /// kube-controller-manager's: doubled-up nodes first, then age in logarithmic buckets, then UID.
    ReplicaSet,
    /// The newest first.
    Newest,
    /// Pods on the node with most pods of the Deployment first, then the newest.
    Colocated,
}

/// How a Job answers the eviction of one of its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobRetries {
    /// kube-controller-manager's: after a pause that doubles with each failure in a row, and not at all once
    /// `backoffLimit` is exceeded.
    BackOff,
    /// At once and without limit, as in Karpenter's recorded timelines.
    AtOnce,
}

/// What a pod's UID is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodUids {
    /// A hash of owner and counter: equal across policies, without preference for the oldest.
    Hash,
    /// The order of creation, as in Karpenter's recorded timelines.
    CreationOrder,
}

/// How long EC2 and the kubelets take. All draws are in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    /// NodeClaim created to Launched: the CreateFleet call.
    pub create: Distribution,
    /// Launched to EC2 state `running`, when billing starts; capped at 60 % of the boot.
    pub running: Distribution,
    /// Node object to Node Ready.
    pub ready: Distribution,
    /// Node Ready to startup taints gone and extended resources registered.
    pub initialized: Distribution,
    /// TerminateInstances to state `terminated`.
    pub terminate: Distribution,
    /// A pod's end to the detachment of its persistent volumes from the node.
    pub detach: Distribution,
    /// From what EC2 says to the message in Karpenter's interruption queue.
    pub message: Distribution,
    /// Pod bound, node Ready and images present to Running and Ready.
    pub pod_start: Distribution,
    /// Pull of an image that the node does not have; one at a time on a node.
    pub image_pull: Distribution,
    /// deletionTimestamp to the removal of the pod's object; its grace period is the limit.
    pub pod_stop: Distribution,
}

/// How long a node takes from Launched to its Node object, in milliseconds. It belongs to the AMI family.
#[derive(Clone, Debug, PartialEq)]
pub struct Boot {
    /// Ordinary instance types.
    pub ordinary: Distribution,
    /// Types with GPUs or accelerators.
    pub accelerated: Distribution,
    /// Types with an instance store.
    pub instance_store: Distribution,
    /// Bare metal.
    pub metal: Distribution,
}

impl Boot {
    /// The same for every type.
    pub fn same(distribution: Distribution) -> Boot {
        Boot {
            accelerated: distribution.clone(),
            instance_store: distribution.clone(),
            metal: distribution.clone(),
            ordinary: distribution,
        }
    }
}

/// How long the AWS provider takes an offering that failed to launch for unavailable (`pkg/cache/cache.go`).
pub const UNAVAILABLE_FOR: SimDuration = SimDuration::from_minutes(3);

/// Karpenter's options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KarpenterOptions {
    /// `BATCH_IDLE_DURATION`.
    pub batch_idle: SimDuration,
    /// `BATCH_MAX_DURATION`.
    pub batch_max: SimDuration,
    /// `PREFERENCE_POLICY` is `Ignore`: preferences are left to kube-scheduler.
    pub ignore_preferences: bool,
    /// `MIN_VALUES_POLICY` is `BestEffort`: minValues that cannot be kept are lowered.
    pub best_effort_min_values: bool,
    /// `INTERRUPTION_QUEUE` is set: EC2's messages reach Karpenter.
    pub interruption_queue: bool,
    /// The feature gate ReservedCapacity, on by default.
    pub reserved_capacity: bool,
    /// `FEATURE_GATES`.
    pub gates: Gates,
    /// Computing time of one what-if of the disruption loop, whose searches are limited in time. Zero: they never end
    /// early.
    pub evaluation_time: SimDuration,
}

/// Karpenter's feature gates, as far as they are modelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gates {
    /// `SpotToSpotConsolidation`: spot nodes may be replaced by cheaper spot nodes.
    pub spot_to_spot: bool,
    /// `NodeRepair`: nodes whose conditions stay bad are replaced.
    pub node_repair: bool,
    /// `StaticCapacity`: NodePools may have `replicas`.
    pub static_capacity: bool,
    /// `CapacityBuffer`: CapacityBuffers ask for spare capacity.
    pub capacity_buffer: bool,
    /// `NodeOverlay`: NodeOverlays change prices and capacities.
    pub node_overlay: bool,
}

impl Default for KarpenterOptions {
    /// Karpenter's own defaults (karpenter v1.14.1 `pkg/operator/options/options.go`).
    fn default() -> KarpenterOptions {
        KarpenterOptions {
            batch_idle: SimDuration::from_seconds(1),
            batch_max: SimDuration::from_seconds(10),
            ignore_preferences: false,
            best_effort_min_values: false,
            interruption_queue: false,
            reserved_capacity: true,
            gates: Gates::default(),
            evaluation_time: SimDuration::ZERO,
        }
    }
}

impl KarpenterOptions {
    /// How long a node that was promised to a pod stays out of voluntary disruption: karpenter v1.14.1
    /// `pkg/controllers/state/statenode.go`.
    pub fn nomination_window(&self) -> SimDuration {
        let twice = SimDuration::from_ms(2 * self.batch_max.ms());
        twice.max(SimDuration::from_seconds(10))
    }
}
