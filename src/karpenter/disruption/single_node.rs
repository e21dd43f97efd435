//! Single-node consolidation: the first node, in order of saving per cost of moving, that can go or be replaced.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/singlenodeconsolidation.go`.

use super::account::Pass;
use super::candidate::Candidate;
use super::evaluate::{compute_consolidation, is_hopeless};
use super::listing::Listing;
use super::{Found, Method, Search};
use crate::units::SimDuration;
use crate::world::PoolIndex;

/// Computing time of one search.
const TIME_LIMIT: SimDuration = SimDuration::from_minutes(3);

pub(super) fn compute(search: &mut Search<'_>, listing: &Listing<'_>) -> Found {
    fruitless(search, listing).unwrap_or_else(|| first_command(search, &listing.ordered()))
}

/// What is found when it can be seen of each candidate by itself that nothing comes of it: their order is of no
/// account then. Most passes end so.
fn fruitless(search: &mut Search<'_>, listing: &Listing<'_>) -> Option<Found> {
    let view = search.view;
    let settings = &view.settings;
    // Whoever looks on wants the order, and where what-ifs take time it decides how far they come.
    if settings.plain || search.is_witnessed() || settings.karpenter.evaluation_time.ms() > 0 {
        return None;
    }
    let mut constrained = false;
    for candidate in listing.unordered() {
        let is_allowed = search.budgets.allows(candidate.pool);
        constrained |= !is_allowed;
        if is_allowed
            && search.scores.can_pass(view, candidate)
            && !is_hopeless(search, std::slice::from_ref(candidate))
        {
            return None;
        }
    }
    search.unseen.clear();
    Some(Found::nothing(constrained))
}

fn first_command(search: &mut Search<'_>, candidates: &[Candidate]) -> Found {
    let view = search.view;
    let pools = &view.cluster.pools;
    let started = search.spent;
    let first = std::mem::take(&mut search.unseen);
    let mut unseen: Vec<bool> = vec![false; pools.len()];
    candidates.iter().for_each(|candidate| unseen[candidate.pool] = true);
    let mut constrained = false;
    let order = interleave(candidates, |pool| first.contains(&pools[pool].name));
    search.note_order(order.iter().copied());
    for candidate in order {
        if search.spent > started + TIME_LIMIT {
            let unseen = pools.iter().zip(unseen).filter(|(_, unseen)| *unseen);
            search.unseen = unseen.map(|(pool, _)| pool.name.clone()).collect();
            return Found::NothingYet;
        }
        unseen[candidate.pool] = false;
        if !search.budgets.allows(candidate.pool) {
            constrained = true;
            search.note_passed(candidate, Pass::Budget);
            continue;
        }
        if !search.scores.can_pass(view, candidate) {
            search.note_passed(candidate, Pass::Score);
            continue;
        }
        let alone = std::slice::from_ref(candidate);
        let command = compute_consolidation(search, alone, Method::SingleNode);
        if let Some(command) = &command {
            search.note_scores(alone, command.savings);
        }
        if let Some(command) = command.filter(|c| search.scores.approve(view, alone, c.savings)) {
            // Upstream leaves the set as it was when it returns a command.
            search.unseen = first;
            return Found::Command(command);
        }
    }
    Found::nothing(constrained)
}

/// The first candidate of each NodePool, then the second of each, and so on; preferred NodePools first, then by name.
fn interleave(candidates: &[Candidate], preferred: impl Fn(PoolIndex) -> bool) -> Vec<&Candidate> {
    let mut ranked: Vec<(usize, bool, PoolIndex, &Candidate)> =
        Vec::with_capacity(candidates.len());
    let mut seen: Vec<usize> = Vec::new();
    for candidate in candidates {
        // Pools are numbered in the order of their names.
        let pool = candidate.pool;
        seen.resize(seen.len().max(pool + 1), 0);
        ranked.push((seen[pool], !preferred(pool), pool, candidate));
        seen[pool] += 1;
    }
    ranked.sort_by_key(|(rank, later, pool, _)| (*rank, *later, *pool));
    ranked.into_iter().map(|(_, _, _, candidate)| candidate).collect()
}
