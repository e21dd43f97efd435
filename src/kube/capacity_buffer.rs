//! CapacityBuffers: room for pods that do not exist yet.
//!
//! Upstream: karpenter v1.14.1 `pkg/apis/autoscaling/v1beta1/capacitybuffer.go`,
//! `pkg/controllers/capacitybuffer/controller.go`.

use std::sync::Arc;

use super::pod::{DoNotDisrupt, PodClass};
use crate::units::{Lane, ResourceVec};

/// A CapacityBuffer of `autoscaling.x-k8s.io/v1beta1`.
#[derive(Clone, Debug, PartialEq)]
pub struct CapacityBuffer {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// Whose pods there is to be room for.
    pub shape: PodShape,
    /// `spec.replicas`.
    pub replicas: Option<u32>,
    /// `spec.percentage` of the workload's replicas.
    pub percentage: Option<u32>,
    /// `spec.limits`: the pods together request no more.
    pub limits: Option<ResourceVec>,
}

/// What the pods of a buffer look like, by the name of an object in the buffer's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodShape {
    /// `spec.podTemplateRef`.
    PodTemplate(Arc<str>),
    /// `spec.scalableRef` to a Deployment.
    Deployment(Arc<str>),
}

/// A PodTemplate of `v1`.
#[derive(Clone, Debug, PartialEq)]
pub struct PodTemplate {
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// The pods.
    pub template: Arc<PodClass>,
}

impl CapacityBuffer {
    /// How many pods there is to be room for: the larger of `replicas` and the percentage of the workload's replicas
    /// `scaled`, as far as the limits admit; without either as many as the limits admit.
    pub fn desired(&self, scaled: Option<u32>, requests: &ResourceVec) -> u32 {
        let percentage = self.percentage.zip(scaled.filter(|scaled| *scaled > 0));
        let share = percentage.map(|(percentage, scaled)| {
            let pods = (u64::from(scaled) * u64::from(percentage)).div_ceil(100);
            u32::try_from(pods).unwrap_or(u32::MAX)
        });
        let wanted = self.replicas.max(share);
        match (wanted, self.most_within_limits(requests)) {
            (Some(wanted), Some(most)) => wanted.min(most),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => 0,
        }
    }

    fn most_within_limits(&self, requests: &ResourceVec) -> Option<u32> {
        let limits = self.limits.as_ref()?.iter();
        let requested = |name: &str| requests.get(name);
        let bounding = limits.filter(|(name, _)| *name != Lane::Pods.name() && requested(name) > 0);
        let counts = bounding.map(|(name, limit)| (limit / requested(name)).max(0));
        counts.min().map(|most| u32::try_from(most).unwrap_or(u32::MAX))
    }

    /// `CapacityBuffer/namespace/name`.
    pub fn id(&self) -> String {
        format!("CapacityBuffer/{}/{}", self.namespace, self.name)
    }

    /// The buffer's own pods: those of the template, without volumes.
    pub fn virtual_class(&self, template: &PodClass) -> PodClass {
        PodClass {
            volumes: Vec::new(),
            priority: i32::MIN,
            critical: false,
            do_not_disrupt: DoNotDisrupt::No,
            workload: self.id().into(),
            ..template.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `provisioning.md` 2.6.
    #[test]
    fn replicas_percentage_and_limits_combine() {
        let requests: ResourceVec =
            [("cpu", 500), ("memory", 1 << 30), ("pods", 1)].into_iter().collect();
        let limits: ResourceVec =
            [("cpu", 2_400), ("memory", 10 << 30), ("pods", 1)].into_iter().collect();
        let idle: ResourceVec = [("nvidia.com/gpu", 1)].into_iter().collect();
        for (replicas, percentage, scaled, limits, expected) in [
            (Some(3), None, None, None, 3),
            (Some(3), Some(10), Some(50), None, 5),
            (Some(7), Some(10), Some(50), None, 7),
            (None, Some(10), Some(1), None, 1),
            (None, Some(10), Some(11), None, 2),
            (None, Some(0), Some(11), None, 0),
            (None, Some(10), Some(0), None, 0),
            (Some(9), None, None, Some(&limits), 4),
            (Some(2), None, None, Some(&limits), 2),
            (None, None, None, Some(&limits), 4),
            (None, Some(10), Some(0), Some(&limits), 4),
            (None, None, None, Some(&idle), 0),
            (Some(2), None, None, Some(&idle), 2),
        ] {
            let buffer = CapacityBuffer {
                namespace: "shop".into(),
                name: "room".into(),
                shape: PodShape::Deployment("web".into()),
                replicas,
                percentage,
                limits: limits.cloned(),
            };
            let found = buffer.desired(scaled, &requests);
            assert_eq!(found, expected, "{replicas:?} {percentage:?} {scaled:?} {limits:?}");
        }
    }
}
