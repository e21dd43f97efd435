//! Static drift: drifted nodes of static NodePools, each replaced by a bare NodeClaim of the template.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/staticdrift.go`. Its commands are not validated.

use std::collections::BTreeMap;

use super::candidate::Candidate;
use super::{Command, Found, Method, Search};
use crate::karpenter::static_pools;
use crate::scheduling;
use crate::world::PoolIndex;

pub(super) fn compute(search: &mut Search<'_>, candidates: Vec<Candidate>) -> Found {
    let mut pools: BTreeMap<PoolIndex, Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates {
        pools.entry(candidate.pool).or_default().push(candidate);
    }
    let mut commands = Vec::new();
    for (pool, mut list) in pools {
        let view = search.view;
        list.sort_by_key(|candidate| view.cluster.claims[candidate.claim].name.clone());
        let count = static_pools::Counts::of(view, pool);
        let replicas = view.cluster.pools[pool].spec.replicas.unwrap_or(0);
        // A scale-down comes first.
        if !search.budgets.allows(pool) || count.active > replicas {
            continue;
        }
        let wanted = search.budgets.allowed()[pool].min(list.len() as i64);
        let granted = count.grant(view, pool, wanted);
        list.truncate(usize::try_from(granted).unwrap_or(0));
        commands.extend(list.into_iter().map(|candidate| Command {
            id: 0,
            method: Method::StaticDrift,
            savings: candidate.price,
            candidates: vec![candidate],
            replacements: vec![scheduling::bare_claim(view, pool)],
            placements: Vec::new(),
        }));
    }
    if commands.is_empty() { Found::NothingYet } else { Found::AtOnce(commands) }
}
