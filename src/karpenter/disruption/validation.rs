//! Validation: what was computed 15 s ago must still be true.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/validation.go`. Prices are not looked at again.

use super::budget::Budgets;
use super::candidate::{self, Candidate};
use super::evaluate::simulate;
use super::{Command, Method};
use crate::scheduling::{ClaimPlan, Templates};
use crate::world::ClusterView;

/// Why a command is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A node is no candidate any more.
    Churn,
    /// A budget no longer allows it.
    Budget,
    /// The pods would need something else now.
    Scheduling,
}

impl Failure {
    /// The name in outputs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Failure::Churn => "churn",
            Failure::Budget => "budget",
            Failure::Scheduling => "scheduling",
        }
    }
}

/// Checks a command. An emptiness command keeps the nodes that are still empty; others stand or fall as a whole.
pub(super) fn validate(
    view: &ClusterView<'_>,
    templates: &Templates,
    command: &mut Command,
) -> Result<(), Failure> {
    let now = candidate::of_method(view, command.method);
    let named = |known: &Candidate| command.candidates.iter().any(|c| c.claim == known.claim);
    let still: Vec<Candidate> = now.into_iter().filter(named).collect();
    let mut budgets = Budgets::build(view, command.method.reason());
    if command.method == Method::Emptiness {
        if still.is_empty() {
            return Err(Failure::Churn);
        }
        command.candidates = still.into_iter().filter(|c| budgets.take(c.pool)).collect();
        command.savings = command
            .candidates
            .iter()
            .map(|candidate| candidate.price)
            .sum();
        return if command.candidates.is_empty() {
            Err(Failure::Budget)
        } else {
            Ok(())
        };
    }
    if still.len() < command.candidates.len() {
        return Err(Failure::Churn);
    }
    if !still.iter().all(|candidate| budgets.take(candidate.pool)) {
        return Err(Failure::Budget);
    }
    revalidate_scheduling(view, templates, &still, &command.replacements)
}

fn revalidate_scheduling(
    view: &ClusterView<'_>,
    templates: &Templates,
    candidates: &[Candidate],
    replacements: &[ClaimPlan],
) -> Result<(), Failure> {
    let what_if = simulate(view, templates, candidates).ok_or(Failure::Churn)?;
    if what_if.strands_running_pods {
        return Err(Failure::Scheduling);
    }
    let valid = match (what_if.solution.claims.as_slice(), replacements) {
        ([], []) => true,
        // Every type of the replacement must still be possible; the what-if's types are not filtered by price.
        ([now], [planned]) => planned.types.iter().all(|i| now.types.contains(i)),
        _ => false,
    };
    if valid {
        Ok(())
    } else {
        Err(Failure::Scheduling)
    }
}
