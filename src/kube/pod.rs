//! Pods as the simulation sees them: one shared [`PodClass`] per template, and the rules that depend on it alone.
//!
//! Upstream: karpenter v1.14.1 `pkg/utils/pod/scheduling.go`, `pkg/utils/disruption/disruption.go`.

use std::sync::Arc;

use super::label::Labels;
use super::port::HostPort;
use super::requirement::{Requirement, Requirements};
use super::taint::{Effect, Taint, Toleration, TolerationOperator};
use super::topology::{PodAffinity, SpreadConstraint};
use super::volume::PodVolume;
use crate::units::{ResourceVec, SimDuration, SimTime, Symbol};

/// Grace period of a pod that does not name one (API default).
pub const DEFAULT_GRACE: SimDuration = SimDuration::from_seconds(30);

/// What all pods of one template share.
#[derive(Clone, Debug, PartialEq)]
pub struct PodClass {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Labels of the pods.
    pub labels: Labels,
    /// Effective requests (init containers, sidecars, overhead, pod-level resources included), with `pods: 1`.
    pub requests: ResourceVec,
    /// Milli-CPU that kube-scheduler's LeastAllocated counts: the request, 100m when there is none.
    pub nonzero_cpu_milli: i64,
    /// Memory bytes that LeastAllocated counts: the request, 200 MiB when there is none.
    pub nonzero_memory_bytes: i64,
    /// Node selector and node affinity.
    pub node_affinity: NodeAffinity,
    /// Topology spread constraints.
    pub spread: Vec<SpreadConstraint>,
    /// Pod affinity.
    pub pod_affinity: PodAffinity,
    /// Pod anti-affinity.
    pub pod_anti_affinity: PodAffinity,
    /// Ports of the node that the containers take.
    pub host_ports: Vec<HostPort>,
    /// Volumes that need a PersistentVolumeClaim.
    pub volumes: Vec<PodVolume>,
    /// Tolerations, those that the API server adds included.
    pub tolerations: Vec<Toleration>,
    /// Resolved priority.
    pub priority: i32,
    /// `system-node-critical` or `system-cluster-critical`: drained last.
    pub critical: bool,
    /// `terminationGracePeriodSeconds`.
    pub grace: SimDuration,
    /// `karpenter.sh/do-not-disrupt`.
    pub do_not_disrupt: DoNotDisrupt,
    /// `controller.kubernetes.io/pod-deletion-cost` as kube-controller-manager reads it (int32).
    pub deletion_cost: i32,
    /// Time from start to Ready that the pod itself needs (readiness probe's initial delay).
    pub ready_delay: SimDuration,
    /// Container images, for pull times; distinct, in the order of the containers.
    pub images: Vec<Arc<str>>,
    /// The workload the pods belong to, as users write it: `Deployment/other/inflate`.
    pub workload: Arc<str>,
}

/// Node selector and node affinity terms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeAffinity {
    /// `nodeSelector`, as In requirements.
    pub selector: Requirements,
    /// Required terms, ORed; empty means unconstrained.
    pub required: Vec<Requirements>,
    /// Preferred terms with their weights, in the order of the manifest.
    pub preferred: Vec<(i32, Requirements)>,
}

impl NodeAffinity {
    /// True iff `labels` satisfy the selector and one required term, as kube-scheduler reads them.
    pub fn matches(&self, labels: &Labels) -> bool {
        labels_satisfy(labels, &self.selector)
            && (self.required.is_empty()
                || self.required.iter().any(|term| labels_satisfy(labels, term)))
    }
}

/// True iff a node's labels satisfy all requirements, as kube-scheduler reads them.
pub fn labels_satisfy(labels: &Labels, requirements: &Requirements) -> bool {
    requirements.iter().all(|(key, requirement)| label_satisfies(labels, key, requirement))
}

/// Whether the label of `key` satisfies one requirement: an absent label satisfies only negative operators.
fn label_satisfies(labels: &Labels, key: Symbol, requirement: &Requirement) -> bool {
    use super::requirement::Operator::{DoesNotExist, NotIn};
    match labels.get(key) {
        Some(value) => requirement.has(value),
        None => matches!(requirement.operator(), NotIn | DoesNotExist),
    }
}

/// Protection of a pod against voluntary disruption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DoNotDisrupt {
    /// Not annotated, or with a value that Karpenter ignores.
    #[default]
    No,
    /// `"true"`.
    Always,
    /// A positive duration, counted from the pod's start time.
    For(SimDuration),
}

impl DoNotDisrupt {
    /// True iff the protection is in force at `now` for a pod that started at `started_at`.
    pub fn in_force(self, started_at: Option<SimTime>, now: SimTime) -> bool {
        match self {
            DoNotDisrupt::No => false,
            DoNotDisrupt::Always => true,
            DoNotDisrupt::For(span) => started_at.is_none_or(|start| now.since(start) < span),
        }
    }
}

/// `controller.kubernetes.io/pod-deletion-cost` as Karpenter reads it: any number, 0 for other text. Manifests are read
/// more strictly, as kube-controller-manager takes whole numbers alone.
pub fn deletion_cost(text: &str) -> f64 {
    text.parse().ok().filter(|cost: &f64| cost.is_finite()).unwrap_or(0.0)
}

/// Cost of moving one pod, in [-10, 10]: karpenter v1.14.1 `EvictionCost`, in upstream's order of operations.
pub fn eviction_cost(deletion_cost: f64, priority: Option<i32>) -> f64 {
    let mut cost = 1.0;
    cost += deletion_cost / 134_217_728.0;
    if let Some(priority) = priority {
        cost += f64::from(priority) / 33_554_432.0;
    }
    cost.clamp(-10.0, 10.0)
}

impl PodClass {
    /// [`eviction_cost`] of the class's pods.
    pub fn eviction_cost(&self) -> f64 {
        eviction_cost(f64::from(self.deletion_cost), Some(self.priority))
    }

    /// True iff the pods tolerate `taint`.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        super::taint::tolerated(taint, &self.tolerations)
    }

    /// True iff some toleration has `operator: Exists`, no key and covers `effect`.
    pub fn tolerates_everything(&self, effect: Effect) -> bool {
        self.tolerations.iter().any(|t| {
            t.key.is_none()
                && t.operator == TolerationOperator::Exists
                && t.effect.is_none_or(|e| e == effect)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `disruption.md` 20.
    #[test]
    fn eviction_costs_match_the_test_vectors() {
        assert_eq!(eviction_cost(0.0, Some(0)), 1.0);
        assert_eq!(eviction_cost(100.0, None), 1.0 + 100.0 / 134_217_728.0);
        assert_eq!(eviction_cost(2_147_483_647.0, None), 10.0);
        assert_eq!(eviction_cost(-2_147_483_647.0, None), -10.0);
        assert_eq!(eviction_cost(0.0, Some(1_000_000_000)), 10.0);
        assert_eq!(eviction_cost(0.0, Some(-1_000_000_000)), -10.0);
    }

    /// `disruption.md` 20: "30m" from 0 is in force at 1799.999 s and lapsed at 1800 s.
    #[test]
    fn a_duration_protects_until_it_has_passed() {
        let half_hour = DoNotDisrupt::For(SimDuration::from_minutes(30));
        assert!(half_hour.in_force(Some(SimTime::ZERO), SimTime::from_ms(1_799_999)));
        assert!(!half_hour.in_force(Some(SimTime::ZERO), SimTime::from_seconds(1_800)));
        assert!(half_hour.in_force(None, SimTime::from_seconds(9_999)));
    }
}
