//! Single-node consolidation: the first node, in order of saving per cost of moving, that can go or be replaced.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/singlenodeconsolidation.go`.

use super::budget::Budgets;
use super::candidate::Candidate;
use super::evaluate::compute_consolidation;
use super::{Found, Method};
use crate::kube::node_pool::Reason;
use crate::scheduling::Templates;
use crate::world::{ClusterView, PoolIndex};

pub(super) fn compute(
    view: &ClusterView<'_>,
    templates: &Templates,
    candidates: Vec<Candidate>,
) -> Found {
    let budgets = Budgets::build(view, Reason::Underutilized);
    let mut constrained = false;
    for candidate in interleave(candidates) {
        if !budgets.allows(candidate.pool) {
            constrained = true;
            continue;
        }
        let alone = std::slice::from_ref(&candidate);
        if let Some(command) = compute_consolidation(view, templates, alone, Method::SingleNode) {
            return Found::Command(command);
        }
    }
    Found::Nothing { constrained }
}

/// The first candidate of each NodePool, then the second of each, and so on; NodePools by name.
fn interleave(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut ranked: Vec<(usize, PoolIndex, Candidate)> = Vec::with_capacity(candidates.len());
    let mut seen: Vec<usize> = Vec::new();
    for candidate in candidates {
        // Pools are numbered in the order of their names.
        seen.resize(seen.len().max(candidate.pool + 1), 0);
        ranked.push((seen[candidate.pool], candidate.pool, candidate));
        let pool = ranked[ranked.len() - 1].1;
        seen[pool] += 1;
    }
    ranked.sort_by_key(|(rank, pool, _)| (*rank, *pool));
    ranked.into_iter().map(|(_, _, candidate)| candidate).collect()
}
