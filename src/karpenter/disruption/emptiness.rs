//! Emptiness: deletes empty nodes, all that the budgets allow, in one command.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/emptiness.go`.

use super::budget::Budgets;
use super::candidate::Candidate;
use super::{Command, Found, Method};
use crate::kube::node_pool::Reason;
use crate::world::ClusterView;

pub(super) fn compute(view: &ClusterView<'_>, candidates: Vec<Candidate>) -> Found {
    let mut budgets = Budgets::build(view, Reason::Empty);
    let (empty, held_back): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|candidate| budgets.take(candidate.pool));
    if empty.is_empty() {
        return Found::Nothing { constrained: !held_back.is_empty() };
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
