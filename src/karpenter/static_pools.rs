//! Static NodePools (gate StaticCapacity): so many nodes, whatever the pods need.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/static/{provisioning,deprovisioning}/controller.go`,
//! `pkg/controllers/state/statenodepool.go`.

use super::{Karpenter, provisioner};
use crate::scheduling;
use crate::units::SimDuration;
use crate::world::cluster::{Claim, DeletionCause};
use crate::world::{ClaimId, ClusterView, PoolIndex, Wake, World};

/// The pools are looked at again.
const POLL: SimDuration = SimDuration::from_minutes(1);
/// As above, for a pool at its limit of nodes.
const LIMIT_POLL: SimDuration = SimDuration::from_seconds(30);

/// A pool's NodeClaims by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Neither deleting nor about to be deleted by a command.
    pub(super) active: i64,
    /// The others.
    pub(super) deleting: i64,
}

impl Counts {
    pub(super) fn of(view: &ClusterView<'_>, pool: PoolIndex) -> Counts {
        let mut counts = Counts::default();
        for claim in claims_of(view, pool).map(|(_, claim)| claim) {
            if claim.is_deleting() {
                counts.deleting += 1;
            } else {
                counts.active += 1;
            }
        }
        counts
    }

    /// How many of `wanted` further NodeClaims the limit on nodes grants.
    pub(super) fn grant(self, view: &ClusterView<'_>, pool: PoolIndex, wanted: i64) -> i64 {
        let limits = view.cluster.pools[pool].spec.limits.as_ref();
        let limit = limits.and_then(|limits| limits.find("nodes")).unwrap_or(i64::MAX);
        wanted.min(limit.saturating_sub(self.active + self.deleting)).max(0)
    }
}

fn claims_of<'a>(
    view: &ClusterView<'a>,
    pool: PoolIndex,
) -> impl Iterator<Item = (ClaimId, &'a Claim)> + use<'a> {
    let cluster = view.cluster;
    let claims = cluster.claims_by_name.values().map(|id| (*id, &cluster.claims[*id]));
    claims.filter(move |(_, claim)| claim.pool == pool)
}

impl Karpenter {
    /// One look of both controllers at all static NodePools.
    pub fn on_static_pools(&mut self, world: &mut World) {
        if !world.settings.karpenter.gates.static_capacity {
            return;
        }
        let mut next = None;
        for pool in 0..world.cluster.pools.len() {
            let state = &world.cluster.pools[pool];
            let Some(replicas) = state.spec.replicas.filter(|_| !state.deleted) else {
                continue;
            };
            let at_limit = provision(world, pool, replicas);
            deprovision(world, pool, replicas);
            let pause = if at_limit { LIMIT_POLL } else { POLL };
            next = Some(next.map_or(pause, |next: SimDuration| next.min(pause)));
        }
        if let Some(pause) = next {
            world.wake_after(Wake::StaticPools, pause);
        }
    }
}

/// Creates missing NodeClaims. True when the limit on nodes allows none.
fn provision(world: &mut World, pool: PoolIndex, replicas: i64) -> bool {
    let view = world.view();
    let counts = Counts::of(&view, pool);
    if counts.active >= replicas {
        return false;
    }
    let granted = counts.grant(&view, pool, replicas - counts.active);
    for _ in 0..granted {
        let plan = scheduling::bare_claim(&world.view(), pool);
        provisioner::create(world, plan, "provisioned");
    }
    granted == 0
}

/// Deletes surplus NodeClaims: unlaunched ones, empty nodes, then those whose pods cost least to move. Budgets do not
/// matter.
fn deprovision(world: &mut World, pool: PoolIndex, replicas: i64) {
    let view = world.view();
    let surplus = Counts::of(&view, pool).active - replicas;
    let surplus = usize::try_from(surplus).unwrap_or(0);
    let mut ranked: Vec<(Rank, ClaimId)> = claims_of(&view, pool)
        .filter(|(_, claim)| !claim.is_deleting())
        .map(|(id, claim)| (rank(&view, claim), id))
        .collect();
    ranked.sort_by(|(a, _), (b, _)| {
        (a.step, a.protected).cmp(&(b.step, b.protected)).then(a.cost.total_cmp(&b.cost))
    });
    for (_, id) in ranked.into_iter().take(surplus) {
        world.delete_claim(id, DeletionCause::Failed);
    }
}

/// The order of deletion; smaller goes first.
struct Rank {
    step: u8,
    protected: bool,
    cost: f64,
}

fn rank(view: &ClusterView<'_>, claim: &Claim) -> Rank {
    if claim.instance.is_none() {
        return Rank { step: 0, protected: false, cost: 0.0 };
    }
    let pods = view.pods_of(claim);
    let protected = pods.iter().any(|(_, pod)| view.is_protected(pod));
    if !protected && pods.iter().all(|(_, pod)| pod.is_daemon()) {
        return Rank { step: 1, protected, cost: 0.0 };
    }
    let cost: f64 = pods.iter().map(|(_, pod)| pod.class.eviction_cost()).sum();
    Rank { step: 2, protected, cost: cost * lifetime_remaining(view, claim) }
}

/// The share of expireAfter that a NodeClaim has left, 1 without.
fn lifetime_remaining(view: &ClusterView<'_>, claim: &Claim) -> f64 {
    let Some(expire_after) = view.cluster.pools[claim.pool].spec.template.expire_after else {
        return 1.0;
    };
    let age = view.now.since(claim.created_at).ms() as f64 / 1_000.0;
    let total = expire_after.ms() as f64 / 1_000.0;
    ((total - age) / total).clamp(0.0, 1.0)
}
