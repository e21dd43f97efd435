//! What the scenario decides about the world around Karpenter, and Karpenter's own options. Constant during a run.

use std::sync::Arc;

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
    /// What a pod's UID is, Karpenter's and the ReplicaSet controller's last tie-break.
    pub pod_uids: PodUids,
    /// Karpenter's options.
    pub karpenter: KarpenterOptions,
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
    /// Launched to the Node object.
    pub registered: Distribution,
    /// As `registered`, for types with GPUs or accelerators.
    pub registered_gpu: Distribution,
    /// As `registered`, for types with an instance store.
    pub registered_instance_store: Distribution,
    /// As `registered`, for bare metal.
    pub registered_metal: Distribution,
    /// Node object to Node Ready.
    pub ready: Distribution,
    /// Node Ready to startup taints gone and extended resources registered.
    pub initialized: Distribution,
    /// TerminateInstances to state `terminated`.
    pub terminate: Distribution,
    /// Pod bound, node Ready and images present to Running and Ready.
    pub pod_start: Distribution,
    /// Image pulls; `None` takes no time.
    pub image_pull: Option<ImagePull>,
    /// SIGTERM to the end of the pod's processes; its grace period is the limit.
    pub pod_stop: Distribution,
    /// End of the pod's processes to the removal of its object.
    pub pod_cleanup: SimDuration,
}

/// How long absent images take; one pull at a time on a node.
#[derive(Clone, Debug, PartialEq)]
pub struct ImagePull {
    /// Before the first byte.
    pub base: SimDuration,
    /// Compressed size in kB of an image without a size of its own.
    pub default_size_kb: i64,
    /// Sizes in kB by the image's name without registry and tag.
    pub sizes_kb: Vec<(Arc<str>, i64)>,
    /// kB per second, drawn once a node.
    pub rate_kb_per_s: Distribution,
}

impl ImagePull {
    /// Compressed size of an image in kB.
    pub fn size_kb(&self, image: &str) -> i64 {
        let name = image.rsplit('/').next().unwrap_or(image);
        let name = name.split([':', '@']).next().unwrap_or(name);
        let known = self
            .sizes_kb
            .iter()
            .find(|(known, _)| known.as_ref() == name);
        known.map_or(self.default_size_kb, |(_, size)| *size)
    }
}

/// Karpenter's options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KarpenterOptions {
    /// `BATCH_IDLE_DURATION`.
    pub batch_idle: SimDuration,
    /// `BATCH_MAX_DURATION`.
    pub batch_max: SimDuration,
}

impl KarpenterOptions {
    /// How long a node that was promised to a pod stays out of voluntary disruption: karpenter v1.14.1
    /// `pkg/controllers/state/statenode.go`.
    pub fn nomination_window(&self) -> SimDuration {
        let twice = SimDuration::from_ms(2 * self.batch_max.ms());
        twice.max(SimDuration::from_seconds(10))
    }
}
