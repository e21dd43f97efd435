//! DaemonSets: one pod for each node that the DaemonSet tolerates and selects. kube-scheduler binds it when it fits.

use std::sync::Arc;

use crate::kube::PodClass;
use crate::kube::taint::Effect;
use crate::kube::workload::DaemonSet;
use crate::world::cluster::{Node, Owner};
use crate::world::{NodeId, World};

/// Makes the DaemonSet pods of nodes. A node stays on the list until its taints are those that it keeps.
pub(super) fn reconcile(world: &mut World) {
    let nodes = world.cluster.nodes_without_daemons.clone();
    for id in nodes {
        if world.cluster.nodes[id].deletion_at.is_none() {
            (0..world.cluster.daemon_sets.len()).for_each(|index| create_for(world, index, id));
        }
        let node = &world.cluster.nodes[id];
        let registered = world.cluster.claims[node.claim].registered_at.is_some();
        if node.ready && node.initializable && registered {
            world.cluster.nodes_without_daemons.retain(|waiting| *waiting != id);
        }
    }
}

fn create_for(world: &mut World, index: usize, id: NodeId) {
    let cluster = &world.cluster;
    let (node, set) = (&cluster.nodes[id], &cluster.daemon_sets[index]);
    let class = set.template.clone();
    let owner = Owner::DaemonSet(index);
    let owns = |pod| cluster.pods[pod].owner == owner;
    let waits = |pod| cluster.pods[pod].destination == Some(id) && owns(pod);
    let has_pod = node.pods.iter().any(|pod| owns(*pod))
        || cluster.pending_daemons.values().any(|pod| waits(*pod));
    if has_pod || !belongs_on(world, node, &class) {
        return;
    }
    let name: Arc<str> = format!("{}-{}", set.name, node.name).into();
    let ordinal = cluster.claims[node.claim].ordinal;
    world.create_pod(name, class, owner, (1 << 40 | index as u64, ordinal), Some(id));
}

/// Tolerates all hard taints, with the tolerations that its controller adds, and selects the node.
fn belongs_on(world: &World, node: &Node, class: &PodClass) -> bool {
    let hindered = node.taints.iter().any(|taint| {
        taint.effect != Effect::PreferNoSchedule
            && !DaemonSet::always_tolerates(world.symbols.text(taint.key.symbol), taint.effect)
            && !class.tolerates(taint)
    });
    !hindered && class.node_affinity.matches(&node.labels)
}
