//! Jobs: so many pods at a time until enough have succeeded.

use std::sync::Arc;

use crate::world::cluster::Owner;
use crate::world::{Wake, World};

/// Creates a Job's missing pods once its pause is over, or deletes those of one that failed (kubernetes v1.36
/// `pkg/controller/job/job_controller.go`, `manageJob`).
pub(super) fn reconcile(world: &mut World, index: usize) {
    let job = &world.cluster.jobs[index];
    if job.deleted {
        return;
    }
    if job.failed {
        world.give_up_job(index);
        return;
    }
    let left = job.spec.completions.saturating_sub(job.succeeded);
    let wanted = job.spec.parallelism.min(left) as usize;
    let terminating = if job.spec.waits_for_termination { job.terminating as usize } else { 0 };
    let present = job.live.len() + terminating;
    let not_before = job.not_before;
    if present < wanted && not_before > world.now() {
        world.cluster.dirty_jobs.insert(index);
        world.wake_at(Wake::Workloads, not_before);
        return;
    }
    (present..wanted).for_each(|_| create(world, index));
}

fn create(world: &mut World, index: usize) {
    let job = &mut world.cluster.jobs[index];
    job.created_count += 1;
    let counter = job.created_count;
    let name: Arc<str> = format!("{}-{counter}", job.spec.name).into();
    let class = job.spec.template.clone();
    world.create_pod(name, class, Owner::Job(index), (1 << 42 | index as u64, counter), None);
}
