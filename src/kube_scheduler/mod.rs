//! kube-scheduler: binds pending pods to nodes (layer 5).
//!
//! Upstream: Kubernetes v1.36 `pkg/scheduler/`: the filters TaintToleration, NodeAffinity, NodeResourcesFit and the
//! score NodeResourcesFit with LeastAllocated.
//!
//! DEVIATION: NodeResourcesFit's LeastAllocated is the only score; BalancedAllocation, spreading and image locality are
//! not modelled.
//! DEVIATION: unschedulable pods are tried again whenever a pod or node changes, without kube-scheduler's back-off, and
//! nothing is preempted.

use std::sync::Arc;

use crate::engine::Purpose;
use crate::kube::PodClass;
use crate::kube::taint::Effect;
use crate::units::Lane;
use crate::world::cluster::Node;
use crate::world::settings::SchedulerTies;
use crate::world::{NodeId, PodId, World};

/// One pass over all pending pods: higher priority first, then order of creation.
pub fn on_scheduler_pass(world: &mut World) {
    let pending: Vec<PodId> = world.cluster.pending.values().copied().collect();
    // Within a pass nodes only get fuller: what one pod of a class was refused, its siblings are refused too.
    let mut refused: Vec<Arc<PodClass>> = Vec::new();
    for pod in pending {
        let class = world.cluster.pods[pod].class.clone();
        if refused.iter().any(|known| Arc::ptr_eq(known, &class)) {
            world.mark_unschedulable(pod);
            continue;
        }
        match choose_node(world, pod, &class) {
            Some(node) => world.bind_pod(pod, node),
            None => {
                refused.push(class);
                world.mark_unschedulable(pod);
            }
        }
    }
}

/// The node with the highest score; among equals the smaller name, or a keyed draw.
fn choose_node(world: &World, pod: PodId, class: &PodClass) -> Option<NodeId> {
    let mut best: Vec<NodeId> = Vec::new();
    let mut highest = -1;
    for id in world.cluster.nodes_by_name.values() {
        let node = &world.cluster.nodes[*id];
        if !is_feasible(node, class) {
            continue;
        }
        let score = least_allocated(node, class);
        if score > highest {
            highest = score;
            best.clear();
        }
        if score == highest {
            best.push(*id);
        }
    }
    let index = match world.settings.scheduler_ties {
        _ if best.is_empty() => return None,
        SchedulerTies::Name => 0,
        SchedulerTies::Seeded => {
            let ordinal = world.cluster.pods[pod].ordinal;
            world.streams.below(Purpose::SchedulerTie, ordinal, 0, best.len() as u64) as usize
        }
    };
    best.get(index).copied()
}

/// The filters: taints, node selector and affinity, resources.
fn is_feasible(node: &Node, class: &PodClass) -> bool {
    let hindered = node
        .taints
        .iter()
        .any(|taint| taint.effect != Effect::PreferNoSchedule && !class.tolerates(taint));
    !hindered
        && class.node_affinity.matches(&node.labels)
        && class.requests.iter().all(|(name, wanted)| {
            wanted == 0 || wanted <= node.allocatable.get(name) - node.used.get(name)
        })
}

/// Free share of CPU and memory after the pod, 0 to 100, in kube-scheduler's integer arithmetic.
fn least_allocated(node: &Node, class: &PodClass) -> i64 {
    let score = |allocatable: i64, used: i64| {
        if allocatable <= 0 || used > allocatable {
            0
        } else {
            (allocatable - used) * 100 / allocatable
        }
    };
    let cpu =
        score(node.allocatable.lane(Lane::Cpu), node.nonzero_cpu_milli + class.nonzero_cpu_milli);
    let memory = score(
        node.allocatable.lane(Lane::Memory),
        node.nonzero_memory_bytes + class.nonzero_memory_bytes,
    );
    (cpu + memory) / 2
}
