//! Drift: replaces the node that has been drifted for the longest time, whatever the replacement costs.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/drift.go`. Its commands are not validated.

use super::account::Pass;
use super::candidate::Candidate;
use super::evaluate::{self, Others, command};
use super::{Found, Method, Search};
use crate::scheduling::Purpose;

pub(super) fn compute(search: &mut Search<'_>, mut candidates: Vec<Candidate>) -> Found {
    // Candidates come by saving; upstream sorts those of a fresh list, which is that of the nodes' names.
    let view = search.view;
    candidates.sort_by_key(|c| (c.drifted_at, view.cluster.claims[c.claim].name.clone()));
    // Nodes without pods first: the pods of others cannot land on them then.
    candidates.sort_by_key(|candidate| !candidate.pods.is_empty());
    search.note_order(candidates.iter());
    for candidate in candidates {
        if !search.budgets.allows(candidate.pool) {
            search.note_passed(&candidate, Pass::Budget);
            continue;
        }
        let alone = std::slice::from_ref(&candidate);
        search.charge();
        let Search { core, others, .. } = &mut *search;
        let others = others.get_or_insert_with(|| Others::of(view));
        let what_if = evaluate::simulate(view, core, others, alone, (Purpose::Replacement, None));
        let found = what_if.as_ref();
        let found = found.map(|what_if| (&what_if.solution, what_if.strands_running_pods));
        search.note_drift(&candidate, found);
        if let Some(what_if) = what_if.filter(|what_if| !what_if.strands_running_pods) {
            return Found::AtOnce(vec![command(view, alone, Method::Drift, what_if.solution)]);
        }
    }
    Found::NothingYet
}
