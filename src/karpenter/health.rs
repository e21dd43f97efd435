//! Node repair and the garbage collection of NodeClaims without an instance.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/node/health/controller.go`,
//! `pkg/controllers/nodeclaim/garbagecollection/controller.go`.

use super::Karpenter;
use crate::units::{SimDuration, SimTime};
use crate::world::cluster::Node;
use crate::world::{ClaimId, ClusterView, NodeId, Wake, World};

/// Node repair is blocked while more than this share of a NodePool's nodes, rounded up, is unhealthy.
const ALLOWED_UNHEALTHY_PERCENT: usize = 20;
/// A blocked repair is looked at again.
const BLOCKED_PERIOD: SimDuration = SimDuration::from_minutes(5);

impl Karpenter {
    /// One reconcile of node.health.
    pub fn on_health(&mut self, world: &mut World, id: NodeId) {
        if !world.settings.karpenter.gates.node_repair {
            return;
        }
        let Some(node) = world.cluster.nodes.get(id) else {
            return;
        };
        let (claim, pool) = (node.claim, world.cluster.claims[node.claim].pool);
        let Some(due) = repair_due_at(node) else {
            return;
        };
        if world.now() < due {
            return world.wake_at(Wake::Health(id), due);
        }
        if !is_pool_healthy(&world.view(), pool) {
            return world.wake_after(Wake::Health(id), BLOCKED_PERIOD);
        }
        world.terminate_now(claim);
        world.give_up(claim, "unhealthy");
    }

    /// One turn of nodeclaim.garbagecollection: registered claims whose instance is gone and whose Node is not Ready.
    pub fn on_garbage_collection(&mut self, world: &mut World) {
        let cluster = &world.cluster;
        let is_garbage = |id: &ClaimId| {
            let claim = &cluster.claims[*id];
            let node = claim.node.and_then(|node| cluster.nodes.get(node));
            claim.registered_at.is_some()
                && claim.deletion_at.is_none()
                && claim.is_instance_terminating()
                && node.is_none_or(|node| !node.ready)
        };
        let garbage: Vec<ClaimId> =
            cluster.claims_by_name.values().copied().filter(is_garbage).collect();
        garbage.into_iter().for_each(|id| world.give_up(id, "garbage_collected"));
    }
}

/// When the first of its bad conditions is no longer borne with.
fn repair_due_at(node: &Node) -> Option<SimTime> {
    node.conditions.iter().map(|(condition, since)| *since + condition.toleration()).min()
}

fn is_pool_healthy(view: &ClusterView<'_>, pool: usize) -> bool {
    let cluster = view.cluster;
    let nodes = cluster.nodes_by_name.values().filter_map(|id| cluster.nodes.get(*id));
    let own = nodes.filter(|node| cluster.claims[node.claim].pool == pool);
    let (mut count, mut unhealthy) = (0, 0);
    for node in own {
        count += 1;
        unhealthy += usize::from(!node.conditions.is_empty());
    }
    unhealthy <= (count * ALLOWED_UNHEALTHY_PERCENT).div_ceil(100)
}
