//! Workloads as data: what keeps pods alive.

use std::sync::Arc;

use super::pod::PodClass;

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
