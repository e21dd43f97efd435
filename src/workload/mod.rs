//! Workload controllers: Deployments, Jobs and DaemonSets (layer 5).
//!
//! Upstream: Kubernetes v1.36 `pkg/controller/replicaset/replica_set.go`, `pkg/controller/controller_utils.go`,
//! `pkg/controller/daemon/`.
//!
//! DEVIATION: a Deployment owns its pods directly and creates them at once: no ReplicaSet objects, no rolling update,
//! no client rate limit of kube-controller-manager.

use crate::world::World;

pub mod arrival;
mod daemon_set;
mod deployment;
mod job;
pub mod replicas;
pub mod source;

/// One pass over the workloads that changed: Deployments by name, Jobs by name, then DaemonSets.
pub fn on_workload_pass(world: &mut World) {
    let mut dirty: Vec<usize> =
        std::mem::take(&mut world.cluster.dirty_deployments).into_iter().collect();
    dirty.sort_by_key(|index| {
        let spec = &world.cluster.deployments[*index].spec;
        (spec.name.clone(), spec.namespace.clone())
    });
    dirty.into_iter().for_each(|index| deployment::reconcile(world, index));
    let mut dirty: Vec<usize> = std::mem::take(&mut world.cluster.dirty_jobs).into_iter().collect();
    dirty.sort_by_key(|index| {
        let spec = &world.cluster.jobs[*index].spec;
        (spec.name.clone(), spec.namespace.clone())
    });
    dirty.into_iter().for_each(|index| job::reconcile(world, index));
    source::bring_back(world);
    daemon_set::reconcile(world);
}
