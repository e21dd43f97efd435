//! DaemonSets: one pod on each node that the DaemonSet tolerates and selects, bound from the start.

use std::sync::Arc;

use crate::kube::PodClass;
use crate::kube::taint::Effect;
use crate::world::cluster::{Node, Owner};
use crate::world::{NodeId, World};

/// Gives nodes their DaemonSet pods. A node stays on the list until its taints are those that it keeps.
pub(super) fn reconcile(world: &mut World) {
    let nodes = world.cluster.nodes_without_daemons.clone();
    for id in nodes {
        if world.cluster.nodes[id].deletion_at.is_none() {
            (0..world.cluster.daemon_sets.len()).for_each(|index| create_on(world, index, id));
        }
        let node = &world.cluster.nodes[id];
        let registered = world.cluster.claims[node.claim].registered_at.is_some();
        if node.ready && node.initializable && registered {
            world.cluster.nodes_without_daemons.retain(|waiting| *waiting != id);
        }
    }
}

fn create_on(world: &mut World, index: usize, id: NodeId) {
    let node = &world.cluster.nodes[id];
    let set = &world.cluster.daemon_sets[index];
    let class = set.template.clone();
    let owner = Owner::DaemonSet(index);
    let runs = node.pods.iter().any(|pod| world.cluster.pods[*pod].owner == owner);
    if runs || !belongs_on(world, node, &class) {
        return;
    }
    let name: Arc<str> = format!("{}-{}", set.name, node.name).into();
    let ordinal = world.cluster.claims[node.claim].ordinal;
    world.create_pod(name, class, owner, (1 << 40 | index as u64, ordinal), Some(id));
}

/// Tolerates all hard taints (not-ready:NoExecute always) and selects the node.
fn belongs_on(world: &World, node: &Node, class: &PodClass) -> bool {
    let hindered = node.taints.iter().any(|taint| {
        let not_ready = world.symbols.text(taint.key.symbol) == "node.kubernetes.io/not-ready"
            && taint.effect == Effect::NoExecute;
        taint.effect != Effect::PreferNoSchedule && !not_ready && !class.tolerates(taint)
    });
    !hindered && class.node_affinity.matches(&node.labels)
}
