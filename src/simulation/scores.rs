//! Invariant of the Balanced policy: what a consolidation saves of its NodePool's cost is at least half of what it
//! disturbs of the NodePool's disruption cost.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/balanced.go`.

use std::collections::BTreeMap;

use super::history::claim_of;
use super::invariant::Violation;
use crate::kube::node_pool::ConsolidationPolicy;
use crate::world::cluster::{Claim, Pod};
use crate::world::journal::CommandRef;
use crate::world::{ClusterView, PoolIndex, World};

/// The least score.
const LEAST: f64 = 0.5;
/// Sums that are taken in another order differ by less.
const ROUNDING: f64 = 1e-9;

/// Checks a command of consolidation in the instant in which it is found. Returns what its candidates cost, USD per
/// hour.
pub(super) fn check(world: &World, command: &CommandRef) -> Result<f64, Violation> {
    let view = world.view();
    let mut moved: BTreeMap<PoolIndex, (f64, f64)> = BTreeMap::new();
    for claim in command.candidates.iter().filter_map(|(claim, ..)| claim_of(world, claim)) {
        let (price, disruption) = moved.entry(claim.pool).or_default();
        *price += price_now(&view, claim);
        *disruption += 1.0 + cost_of(&view, claim, Pod::is_active);
    }
    let paid: f64 = moved.values().map(|(price, _)| price).sum();
    if command.decision == "delete" && (command.savings - paid).abs() > ROUNDING {
        return Err(format!("it saves {}, not {paid}", command.savings));
    }
    for (pool, (price, disruption)) in &moved {
        if view.cluster.pools[*pool].spec.disruption.policy != ConsolidationPolicy::Balanced {
            continue;
        }
        let share = if moved.len() > 1 && paid > 0.0 { price / paid } else { 1.0 };
        let (cost, all) = totals(&view, *pool);
        let score = (command.savings * share / cost) / (disruption / all);
        let passes = cost > 0.0 && all > 0.0 && score >= LEAST - ROUNDING;
        if !passes {
            return Err(format!("it scores {score} in {}", view.cluster.pools[*pool].name));
        }
    }
    Ok(paid)
}

/// USD per hour and disruption cost of a whole NodePool.
fn totals(view: &ClusterView<'_>, pool: PoolIndex) -> (f64, f64) {
    let claims = view.cluster.claims_by_name.values().map(|id| &view.cluster.claims[*id]);
    let (mut cost, mut listed, mut disruption) = (0.0, 0.0, 0.0);
    for claim in claims.filter(|claim| claim.managed && claim.pool == pool) {
        let Some(instance) = &claim.instance else { continue };
        cost += instance.price;
        // Pods on their way out count where the node is none that may be disrupted.
        let counts = if may_be_disrupted(view, claim) {
            Pod::is_active
        } else {
            |pod: &Pod| !pod.is_finished()
        };
        disruption += 1.0 + cost_of(view, claim, counts);
        listed += if may_be_disrupted(view, claim) { price_now(view, claim) } else { 0.0 };
    }
    // Where the nodes were launched for nothing, what the candidates cost now stands for the pool's cost.
    (if cost > 0.0 { cost } else { listed }, disruption)
}

/// The positive eviction costs of some pods of a node, those of DaemonSets left out.
fn cost_of(view: &ClusterView<'_>, claim: &Claim, counts: fn(&Pod) -> bool) -> f64 {
    let pods = view.pods_of(claim).into_iter().map(|(_, pod)| pod);
    let pods = pods.filter(|pod| !pod.is_daemon() && counts(pod));
    pods.map(|pod| pod.class.eviction_cost().max(0.0)).sum()
}

/// What Karpenter knows now of the offering that was launched.
fn price_now(view: &ClusterView<'_>, claim: &Claim) -> f64 {
    let price = claim.instance.as_ref().and_then(|instance| {
        let name = instance.instance_type.get().name;
        let it = view.cluster.pools[claim.pool].types.iter().find(|it| it.name == name)?;
        it.offering_price(instance.zone, instance.capacity_type)
    });
    price.unwrap_or(0.0)
}

fn may_be_disrupted(view: &ClusterView<'_>, claim: &Claim) -> bool {
    let pool = &view.cluster.pools[claim.pool];
    let is_free = !claim.in_command
        && claim.is_initialized()
        && !claim.is_deleting()
        && claim.nominated_until <= view.now
        && !pool.types.is_empty()
        && !pool.deleted;
    let is_held = |pod: &Pod| {
        let protected = pod.do_not_disrupt.in_force(pod.bound_at, view.now);
        (pod.is_active() && protected) || view.blocks_eviction(pod)
    };
    is_free
        && view.node(claim).is_some_and(|node| !node.do_not_disrupt)
        && !view.pods_of(claim).iter().any(|(_, pod)| is_held(pod))
}
