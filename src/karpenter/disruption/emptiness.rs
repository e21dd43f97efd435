//! Emptiness: deletes empty nodes, all that the budgets allow, in one command.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/emptiness.go`.

use super::account::Pass;
use super::candidate::Candidate;
use super::{Command, Found, Method, Search};

pub(super) fn compute(search: &mut Search<'_>, candidates: Vec<Candidate>) -> Found {
    let mut empty: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        match search.budgets.take(candidate.pool) {
            true => empty.push(candidate),
            false => search.note_passed(&candidate, Pass::Budget),
        }
    }
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
