//! Jobs: so many pods at a time until enough have succeeded.

use std::sync::Arc;

use crate::world::World;
use crate::world::cluster::Owner;

/// Creates a Job's missing pods.
pub(super) fn reconcile(world: &mut World, index: usize) {
    let job = &world.cluster.jobs[index];
    let left = job.spec.completions.saturating_sub(job.succeeded);
    let wanted = job.spec.parallelism.min(left) as usize;
    (job.live.len()..wanted).for_each(|_| create(world, index));
}

fn create(world: &mut World, index: usize) {
    let job = &mut world.cluster.jobs[index];
    job.created_count += 1;
    let counter = job.created_count;
    let name: Arc<str> = format!("{}-{counter}", job.spec.name).into();
    let class = job.spec.template.clone();
    world.create_pod(name, class, Owner::Job(index), (1 << 42 | index as u64, counter), None);
}
