//! Workloads as data: what keeps pods alive.

use std::sync::Arc;

use super::pod::PodClass;
use super::taint::Effect;
use crate::units::SimDuration;

/// A Deployment. It owns its pods directly: ReplicaSets only matter during a rolling update, which is not modelled.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// Wanted replicas at the start.
    pub replicas: u32,
    /// The pods' template.
    pub template: Arc<PodClass>,
}

/// A DaemonSet: one pod on each node that it tolerates and selects.
#[derive(Clone, Debug, PartialEq)]
pub struct DaemonSet {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// The pods' template.
    pub template: Arc<PodClass>,
}

/// How often a Job's pods may fail when its manifest does not say.
pub const BACKOFF_LIMIT: u32 = 6;

/// A Job: pods that run to completion. One that is evicted starts over in a new pod.
///
/// DEVIATION: pods never fail by themselves; an eviction is the only failure.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// Pods that must succeed.
    pub completions: u32,
    /// Pods that run at the same time, at most.
    pub parallelism: u32,
    /// From Running to Succeeded.
    pub duration: SimDuration,
    /// From Succeeded to the removal of the pod's object; `None` keeps it for ever.
    pub pod_ttl: Option<SimDuration>,
    /// Failures after which the Job fails.
    pub backoff_limit: u32,
    /// Its `podFailurePolicy` ignores pods with the condition DisruptionTarget: an eviction is no failure.
    pub ignores_evictions: bool,
    /// `podReplacementPolicy` Failed, which any `podFailurePolicy` implies: a terminating pod is replaced when it is
    /// gone, not before.
    pub waits_for_termination: bool,
    /// The pods' template.
    pub template: Arc<PodClass>,
}

impl DaemonSet {
    /// Taints that its pods tolerate, whatever the template says (Kubernetes v1.36
    /// `pkg/controller/daemon/util/daemonset_util.go`, `AddOrUpdateDaemonPodTolerations`). The one for pods in the
    /// host's network is left out: no node has that taint here.
    pub fn always_tolerates(key: &str, effect: Effect) -> bool {
        match effect {
            Effect::NoExecute => {
                ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].contains(&key)
            }
            Effect::NoSchedule => [
                "node.kubernetes.io/disk-pressure",
                "node.kubernetes.io/memory-pressure",
                "node.kubernetes.io/pid-pressure",
                "node.kubernetes.io/unschedulable",
            ]
            .contains(&key),
            Effect::PreferNoSchedule => false,
        }
    }
}

/// A pod without an owner: nothing brings it back once it is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct BarePod {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// The pod.
    pub template: Arc<PodClass>,
}
