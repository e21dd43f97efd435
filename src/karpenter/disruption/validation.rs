//! Validation: what was computed 15 s ago must still be true.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/validation.go`. Prices are not looked at again.

use super::budget::Budgets;
use super::candidate::Candidate;
use super::evaluate::{Others, simulate};
use super::roster::Roster;
use super::{Command, Method};
use crate::scheduling::{ClaimPlan, Core, Purpose};
use crate::world::ClusterView;

/// Why a command is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// `churn` (a node is no candidate any more), `budget` or `scheduling` (the pods would need
    /// something else now).
    pub(super) kind: &'static str,
    /// Karpenter's words.
    pub(super) message: String,
}

impl Failure {
    fn churn(gone: usize) -> Failure {
        let message = format!("{gone} candidates are no longer valid");
        Failure { kind: "churn", message }
    }

    fn budget(message: String) -> Failure {
        Failure { kind: "budget", message }
    }

    fn scheduling(message: &str) -> Failure {
        Failure { kind: "scheduling", message: message.into() }
    }
}

/// Checks a command. An emptiness command keeps the nodes that are still empty; others stand or fall as a whole.
pub(super) fn validate(
    view: &ClusterView<'_>,
    core: &mut Core,
    roster: &Roster,
    command: &mut Command,
) -> Result<(), Failure> {
    let named = |known: &Candidate| command.candidates.iter().any(|c| c.claim == known.claim);
    let mut now = roster.candidates(view, command.method);
    now.retain(named);
    let still = now.ordered();
    let mut budgets = Budgets::build(view, roster.counts(), command.method.reason());
    if command.method == Method::Emptiness {
        if still.is_empty() {
            return Err(Failure::churn(command.candidates.len()));
        }
        let count = command.candidates.len();
        command.candidates = still.into_iter().filter(|c| budgets.take(c.pool)).collect();
        command.savings = command.candidates.iter().map(|candidate| candidate.price).sum();
        return match command.candidates.is_empty() {
            // "it they" is upstream's.
            true => Err(Failure::budget(format!(
                "{count} candidates failed validation because it they were nominated for a pod or would violate \
                 disruption budgets"
            ))),
            false => Ok(()),
        };
    }
    if still.len() < command.candidates.len() {
        return Err(Failure::churn(command.candidates.len() - still.len()));
    }
    if !still.iter().all(|candidate| budgets.take(candidate.pool)) {
        let text = "a candidate can no longer be disrupted without violating budgets";
        return Err(Failure::budget(text.to_owned()));
    }
    revalidate_scheduling(view, core, &still, &command.replacements)
}

fn revalidate_scheduling(
    view: &ClusterView<'_>,
    core: &mut Core,
    candidates: &[Candidate],
    replacements: &[ClaimPlan],
) -> Result<(), Failure> {
    let what_if =
        simulate(view, core, &Others::of(view), candidates, (Purpose::Consolidation, None))
            .ok_or_else(|| Failure::churn(candidates.len()))?;
    if what_if.strands_running_pods {
        return Err(Failure::scheduling("not all pods would schedule"));
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
        Err(Failure::scheduling("scheduling simulation produced new results"))
    }
}
