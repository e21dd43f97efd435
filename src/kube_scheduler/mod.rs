//! kube-scheduler: binds pending pods to nodes (layer 5).
//!
//! Upstream: Kubernetes v1.36 `pkg/scheduler/`: the filters TaintToleration, NodeAffinity, NodePorts, NodeResourcesFit,
//! NodeVolumeLimits, VolumeBinding, PodTopologySpread and InterPodAffinity, and the score NodeResourcesFit with
//! LeastAllocated.
//!
//! DEVIATION: NodeResourcesFit's LeastAllocated is the only score; BalancedAllocation, spreading and image locality are
//! not modelled.
//! DEVIATION: unschedulable pods are tried again whenever a pod or node changes, without kube-scheduler's back-off, and
//! nothing is preempted.

use std::sync::Arc;

use crate::engine::Purpose;
use crate::kube::PodClass;
use crate::kube::taint::{Effect, Taint};
use crate::kube::workload::DaemonSet;
use crate::units::Lane;
use crate::world::cluster::Node;
use crate::world::settings::SchedulerTies;
use crate::world::{NodeId, PodId, Wake, World};

mod board;
mod placement;

use board::Board;
use placement::Surroundings;

/// kube-scheduler between its passes.
#[derive(Clone, Debug, Default)]
pub struct KubeScheduler {
    board: Board,
}

/// One pass over all pending pods: new DaemonSet pods, then higher priority first, then order of creation.
pub fn on_scheduler_pass(scheduler: &mut KubeScheduler, world: &mut World) {
    if world.settings.plain {
        scheduler.board.clear();
    }
    let mut pass = Pass::default();
    for pod in pending_pods(world) {
        let class = world.cluster.pods[pod].class.clone();
        let destination = world.cluster.pods[pod].destination;
        let kind = pass.kind(world, &class);
        if destination.is_none() && pass.is_refused(kind) {
            world.mark_unschedulable(pod);
            continue;
        }
        let found = match destination {
            Some(node) => fits_on(world, pod, node, &pass.kinds[kind]).then_some(node),
            None => choose_node(&mut scheduler.board, world, pod, &pass.kinds[kind]),
        };
        match found {
            Some(node) => {
                world.bind_pod(pod, node);
                pass.on_bound(world, pod, node);
            }
            None => {
                if destination.is_none() {
                    pass.kinds[kind].refused_at = Some(pass.bound);
                }
                world.mark_unschedulable(pod);
            }
        }
    }
    if pass.is_overtaken() {
        // A pod that was bound later may be what an earlier one waits for.
        world.wake(Wake::Scheduler);
    }
}

/// In the order of their turns.
fn pending_pods(world: &World) -> Vec<PodId> {
    let cluster = &world.cluster;
    if cluster.pending_daemons.is_empty() {
        return cluster.pending.values().copied().collect();
    }
    let tried = |id: &PodId| cluster.pods[*id].unschedulable;
    let daemons = &cluster.pending_daemons;
    let mut pods: Vec<PodId> = daemons.values().copied().filter(|id| !tried(id)).collect();
    let waiting = daemons.iter().filter(|(_, id)| tried(id));
    let mut others: Vec<(&(i64, u64), &PodId)> = cluster.pending.iter().chain(waiting).collect();
    others.sort_unstable_by_key(|(turn, _)| **turn);
    pods.extend(others.into_iter().map(|(_, id)| *id));
    pods
}

/// What one pass knows of the classes that it has seen.
#[derive(Default)]
struct Pass {
    kinds: Vec<Kind>,
    /// Pods bound so far.
    bound: usize,
}

struct Kind {
    class: Arc<PodClass>,
    surroundings: Surroundings,
    /// Pods bound when a pod of the class found no node.
    refused_at: Option<usize>,
}

impl Kind {
    /// Nothing but the room on nodes decides, which only shrinks within a pass.
    fn is_steady(&self) -> bool {
        let class = &self.class;
        class.pod_affinity.required.is_empty()
            && class.spread.iter().all(|constraint| !constraint.hard)
            && class.volumes.is_empty()
    }
}

impl Pass {
    fn kind(&mut self, world: &World, class: &Arc<PodClass>) -> usize {
        let known = self.kinds.iter().position(|kind| Arc::ptr_eq(&kind.class, class));
        known.unwrap_or_else(|| {
            let surroundings = Surroundings::survey(world, class);
            self.kinds.push(Kind { class: class.clone(), surroundings, refused_at: None });
            self.kinds.len() - 1
        })
    }

    /// What one pod of a class was refused, its siblings are refused too, until something changes that may matter.
    fn is_refused(&self, kind: usize) -> bool {
        let kind = &self.kinds[kind];
        // Each pod has its own volumes.
        kind.class.volumes.is_empty()
            && kind.refused_at.is_some_and(|bound| kind.is_steady() || bound == self.bound)
    }

    fn on_bound(&mut self, world: &World, pod: PodId, node: NodeId) {
        self.bound += 1;
        let (pod, node) = (&world.cluster.pods[pod], &world.cluster.nodes[node]);
        self.kinds.iter_mut().for_each(|kind| kind.surroundings.meet(node, pod));
    }

    /// Some pod was refused before the last one was bound, and that may have changed something for it.
    fn is_overtaken(&self) -> bool {
        let overtaken = |kind: &Kind| {
            !kind.is_steady() && kind.refused_at.is_some_and(|bound| bound < self.bound)
        };
        self.kinds.iter().any(overtaken)
    }
}

/// The node with the highest score; among equals the smaller name, or a keyed draw.
fn choose_node(board: &mut Board, world: &World, pod: PodId, kind: &Kind) -> Option<NodeId> {
    let Kind { class, surroundings, .. } = kind;
    let nodes = &world.cluster.nodes;
    let is_particular =
        !class.host_ports.is_empty() || !class.volumes.is_empty() || surroundings.are_particular();
    let mut best = board.best(world, class, |id| {
        let node = &nodes[id];
        !is_particular
            || (placement::has_free_ports(world, node, class)
                && (class.volumes.is_empty()
                    || placement::admits_volumes(world, node, &world.cluster.pods[pod]))
                && surroundings.admits(node))
    });
    match world.settings.scheduler_ties {
        SchedulerTies::Name => best.into_iter().min_by_key(|id| &nodes[*id].name),
        SchedulerTies::Seeded if best.len() < 2 => best.pop(),
        SchedulerTies::Seeded => {
            best.sort_by_key(|id| &nodes[*id].name);
            let ordinal = world.cluster.pods[pod].ordinal;
            let index = world.streams.below(Purpose::SchedulerTie, ordinal, 0, best.len() as u64);
            best.get(index as usize).copied()
        }
    }
}

/// A DaemonSet's pod fits the node that it was made for.
fn fits_on(world: &World, pod: PodId, node: NodeId, kind: &Kind) -> bool {
    let Kind { class, surroundings, .. } = kind;
    let tolerates = |taint: &Taint| {
        DaemonSet::always_tolerates(world.symbols.text(taint.key.symbol), taint.effect)
            || class.tolerates(taint)
    };
    world.cluster.nodes.get(node).is_some_and(|node| {
        is_feasible(node, class, tolerates)
            && placement::has_free_ports(world, node, class)
            && (class.volumes.is_empty()
                || placement::admits_volumes(world, node, &world.cluster.pods[pod]))
            && surroundings.admits(node)
    })
}

/// The filters: taints, node selector and affinity, resources.
fn is_feasible(node: &Node, class: &PodClass, tolerates: impl Fn(&Taint) -> bool) -> bool {
    let hindered = node
        .taints
        .iter()
        .any(|taint| taint.effect != Effect::PreferNoSchedule && !tolerates(taint));
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
