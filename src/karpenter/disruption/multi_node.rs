//! Multi-node consolidation: the longest prefix of the candidates that can go for at most one cheaper node.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/multinodeconsolidation.go`.

use super::account::Pass;
use super::candidate::Candidate;
use super::evaluate::{compute_consolidation, estimated_savings, retain_below};
use super::listing::Listing;
use super::{Command, Found, Method, Search};
use crate::units::SimDuration;
use crate::world::ClusterView;

/// Computing time of one search.
const TIME_LIMIT: SimDuration = SimDuration::from_minutes(1);

/// The search never starts with more candidates than this; the longest batch holds one more.
const MAX_CANDIDATES: usize = 100;

pub(super) fn compute(search: &mut Search<'_>, listing: &Listing<'_>) -> Found {
    let covered = search.budgets.cover(listing.unordered().map(|candidate| candidate.pool));
    let within = first_within_budget(search, listing, covered.min(MAX_CANDIDATES + 1));
    match longest_prefix(search, &within) {
        Some(command) => Found::Command(command),
        None => Found::nothing(covered < listing.len()),
    }
}

/// The first so many candidates that the budgets allow: more are never looked at.
fn first_within_budget(
    search: &mut Search<'_>,
    listing: &Listing<'_>,
    count: usize,
) -> Vec<Candidate> {
    let mut within = Vec::with_capacity(count);
    for candidate in listing.best_first() {
        // Only a witness wants to know of the others.
        if within.len() == count && !search.is_witnessed() {
            break;
        }
        match search.budgets.take(candidate.pool) {
            true if within.len() == count => {}
            true => within.push(candidate.clone()),
            false => search.note_passed(candidate, Pass::Budget),
        }
    }
    within
}

/// Binary search over the length of the prefix, as upstream: a longer one is tried after each success. When time is up
/// the last success counts.
fn longest_prefix(search: &mut Search<'_>, candidates: &[Candidate]) -> Option<Command> {
    if candidates.len() < 2 {
        return None;
    }
    let started = search.spent;
    let (mut low, mut high) = (1, (candidates.len() - 1).min(MAX_CANDIDATES));
    let mut best = None;
    while low <= high {
        let middle = (low + high) / 2;
        let command = batch(search, &candidates[..=middle]);
        if search.spent >= started + TIME_LIMIT {
            return best;
        }
        match command {
            Some(command) => {
                best = Some(command);
                low = middle + 1;
            }
            None => high = middle - 1,
        }
    }
    best
}

fn batch(search: &mut Search<'_>, candidates: &[Candidate]) -> Option<Command> {
    let mut command = compute_consolidation(search, candidates, Method::MultiNode)?;
    let view = search.view;
    if let Some(plan) = command.replacements.first_mut() {
        // A replacement of a type that is among the candidates only pays when it is cheaper than keeping that node.
        let types = &view.cluster.pools[plan.pool].types;
        let dearest = plan
            .types
            .iter()
            .filter_map(|i| cheapest_candidate_of(view, candidates, types[*i as usize].name))
            .fold(f64::INFINITY, f64::min);
        if retain_below(view, plan, dearest).is_err() {
            search.note_same_type();
            return None;
        }
        command.savings = estimated_savings(view, candidates, &command.replacements);
    }
    search.note_scores(candidates, command.savings);
    search.scores.approve(view, candidates, command.savings).then_some(command)
}

/// The least price among the candidates of an instance type, availability ignored.
fn cheapest_candidate_of(
    view: &ClusterView<'_>,
    candidates: &[Candidate],
    name: crate::units::LabelValue,
) -> Option<f64> {
    let price = |candidate: &Candidate| {
        let claim = &view.cluster.claims[candidate.claim];
        let instance_type = claim.instance.as_ref()?.instance_type.get();
        instance_type.offering_price(candidate.zone, candidate.capacity_type)
    };
    candidates
        .iter()
        .filter(|candidate| candidate.type_symbol == name)
        .filter_map(price)
        .reduce(f64::min)
}
