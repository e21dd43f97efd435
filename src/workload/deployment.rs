//! Deployments: missing pods are created, surplus ones deleted in kube-controller-manager's order.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::units::{SimDuration, SimTime};
use crate::world::cluster::{Owner, Pod};
use crate::world::journal::Cause;
use crate::world::settings::VictimRule;
use crate::world::{NodeId, PodId, World};

/// Brings one Deployment to its replicas.
pub(super) fn reconcile(world: &mut World, index: usize) {
    let deployment = &world.cluster.deployments[index];
    let (wanted, live) = (deployment.replicas as usize, deployment.live.len());
    if live < wanted {
        (live..wanted).for_each(|_| create(world, index));
    } else if live > wanted {
        for pod in victims(world, index, live - wanted) {
            let grace = world.cluster.pods[pod].class.grace;
            world.delete_pod(pod, grace, Cause::ScaleDown);
        }
        // Deleting marks the Deployment as changed; it has what it wants.
        world.cluster.dirty_deployments.remove(&index);
    }
}

fn create(world: &mut World, index: usize) {
    let deployment = &mut world.cluster.deployments[index];
    deployment.created_count += 1;
    let counter = deployment.created_count;
    let name: Arc<str> = format!("{}-{counter}", deployment.spec.name).into();
    let class = deployment.spec.template.clone();
    world.create_pod(name, class, Owner::Deployment(index), (index as u64, counter), None);
}

/// The pods to delete, first victim first.
fn victims(world: &World, index: usize, count: usize) -> Vec<PodId> {
    let deployment = &world.cluster.deployments[index];
    let mut ranked: Vec<(VictimKey, PodId)> = deployment
        .live
        .iter()
        .map(|id| {
            let pod = &world.cluster.pods[*id];
            let on_node = pod.node.map_or(0, |node| live_on(world, &deployment.live, node));
            (victim_key(world, pod, on_node), *id)
        })
        .collect();
    if count < ranked.len() || world.settings.victims != VictimRule::ReplicaSet {
        // When all go, kube-controller-manager does not sort; the order shows in nothing but the log.
        ranked.sort_by_key(|(key, _)| *key);
    }
    ranked.into_iter().take(count).map(|(_, id)| id).collect()
}

/// Live pods of the Deployment on a node, counted once before the first deletion.
fn live_on(world: &World, live: &[PodId], node: NodeId) -> usize {
    live.iter().filter(|id| world.cluster.pods[**id].node == Some(node)).count()
}

/// Smaller goes first: unbound, not ready, cheaper to delete, more siblings on the node, then by age.
type VictimKey = (bool, bool, i32, Reverse<usize>, Age);

/// The end of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    /// Logarithmic buckets of the ready time, then UID, then buckets of the age, then UID.
    Buckets { ready: i32, ready_uid: u64, created: i32, uid: u64 },
    /// The newest first.
    Newest(Reverse<u64>),
}

/// kubernetes v1.36 `pkg/controller/controller_utils.go`, `ActivePodsWithRanks.Less`.
fn victim_key(world: &World, pod: &Pod, on_node: usize) -> VictimKey {
    let (unbound, unready) = (pod.node.is_none(), pod.running_at.is_none());
    let age = match world.settings.victims {
        VictimRule::ReplicaSet => {
            let ready = pod.running_at.map_or(-1, |at| bucket(at, world.now()));
            // Within one bucket of ready times the UID decides at once, unless the times are equal; equal times go on
            // to the creation time, whose bucket is then decided by the UID too. Both lead to the UID.
            let created = bucket(pod.created_at, world.now());
            let ready_uid = if pod.running_at.is_some() { pod.uid } else { 0 };
            Age::Buckets { ready, ready_uid, created, uid: pod.uid }
        }
        VictimRule::Newest | VictimRule::Colocated => Age::Newest(Reverse(pod.ordinal)),
    };
    let rank = if world.settings.victims == VictimRule::Newest { 0 } else { on_node };
    (!unbound, !unready, pod.class.deletion_cost, Reverse(rank), age)
}

/// Logarithmic bucket of an age: trunc(log2(nanoseconds)), -1 for no age. API times are whole seconds.
fn bucket(since: SimTime, now: SimTime) -> i32 {
    let age: SimDuration = now.since(since.floor_to_second());
    match age.ms() {
        ..=0 => -1,
        ms => (ms as u128 * 1_000_000).ilog2() as i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `workloads.md` 4: 1000 s is in bucket 39, 1500 s and 1800 s share bucket 40.
    #[test]
    fn ages_fall_into_logarithmic_buckets() {
        let now = SimTime::from_seconds(10_000);
        let of = |age: i64| bucket(now - SimDuration::from_seconds(age), now);
        assert_eq!([of(0), of(1_000), of(1_500), of(1_800)], [-1, 39, 40, 40]);
    }
}
