//! Emptiness: deletes empty nodes, all that the budgets allow, in one command.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/emptiness.go`.

use super::candidate::Candidate;
use super::{Command, Found, Method, Search};

pub(super) fn compute(search: &mut Search<'_>, candidates: &[Candidate]) -> Found {
    let within = candidates.iter().filter(|candidate| search.budgets.take(candidate.pool));
    let empty: Vec<Candidate> = within.cloned().collect();
    if empty.is_empty() {
        return Found::NothingYet;
    }
    let savings = empty.iter().map(|candidate| candidate.price).sum();
    Found::Command(Command {
        id: 0,
        method: Method::Emptiness,
        candidates: empty,
        replacements: Vec::new(),
        placements: Vec::new(),
        savings,
    })
}
