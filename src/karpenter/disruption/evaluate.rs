//! What-ifs: would the pods fit without these nodes, and would what they then need be cheaper?
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/helpers.go` (`SimulateScheduling`),
//! `pkg/controllers/disruption/consolidation.go` (`computeConsolidation`).

use super::candidate::Candidate;
use super::{Command, Method};
use crate::ec2::CapacityType;
use crate::kube::requirement::{Operator, Requirement};
use crate::kube::{Requirements, label};
use crate::scheduling::{self, ClaimPlan, Purpose, Solution, Templates, min_values, price};
use crate::units::Symbols;
use crate::world::{ClusterView, PodId};

/// The result of a what-if.
pub(super) struct WhatIf {
    /// A pod that runs now would be left without a place.
    pub(super) strands_running_pods: bool,
    pub(super) solution: Solution,
}

/// Packs the cluster's pods without `candidates`. `None` when one of them is on its way out already.
pub(super) fn simulate(
    view: &ClusterView<'_>,
    templates: &Templates,
    candidates: &[Candidate],
) -> Option<WhatIf> {
    let claims: Vec<_> = candidates.iter().map(|candidate| candidate.claim).collect();
    if claims.iter().any(|id| view.cluster.claims.get(*id).is_none_or(|c| c.is_deleting())) {
        return None;
    }
    let mut pods: Vec<PodId> = view.provisionable_pods().collect();
    for claim in &claims {
        pods.extend(view.currently_reschedulable_pods(&view.cluster.claims[*claim]));
    }
    for (_, claim) in view.deleting_state_nodes() {
        pods.extend(view.currently_reschedulable_pods(claim));
    }
    let without = view.without(&claims);
    let solution = scheduling::solve(&without, templates, &pods, Purpose::Consolidation);
    let relies_on_starting_node = solution
        .existing
        .iter()
        .filter(|placement| !placement.initialized)
        .flat_map(|placement| &placement.pods)
        .any(|pod| is_running_on_staying_node(view, *pod));
    let strands_running_pods = relies_on_starting_node || solution.unplaced_running(view);
    Some(WhatIf { strands_running_pods, solution })
}

/// Bound, and not to a node that is being deleted: such a pod may not rely on a node that is still starting.
fn is_running_on_staying_node(view: &ClusterView<'_>, pod: PodId) -> bool {
    let node = view.cluster.pods[pod].node;
    node.is_some_and(|node| !view.cluster.claims[view.cluster.nodes[node].claim].is_deleting())
}

/// The command that consolidates `candidates`, if there is one that saves.
pub(super) fn compute_consolidation(
    view: &ClusterView<'_>,
    templates: &Templates,
    candidates: &[Candidate],
    method: Method,
) -> Option<Command> {
    let WhatIf { strands_running_pods, solution } = simulate(view, templates, candidates)?;
    if strands_running_pods || solution.claims.len() > 1 {
        return None;
    }
    let placements = solution.existing.into_iter().map(|p| (p.claim, p.pods)).collect();
    let mut replacements = solution.claims;
    if let Some(plan) = replacements.first_mut() {
        cheaper_replacement(view, plan, candidates)?;
    }
    let paid: f64 = candidates.iter().map(|candidate| candidate.price).sum();
    let savings = paid - replacements.iter().map(|plan| first_price(view, plan)).sum::<f64>();
    Some(Command {
        id: 0,
        method,
        candidates: candidates.to_vec(),
        replacements,
        placements,
        savings,
    })
}

/// The cheapest launchable price of the plan's first instance type.
fn first_price(view: &ClusterView<'_>, plan: &ClaimPlan) -> f64 {
    let types = &view.cluster.pools[plan.pool].types;
    plan.types.first().map_or(0.0, |i| price::cheapest(&types[*i as usize], &plan.requirements))
}

/// Keeps the instance types whose worst launch price is below what the candidates cost. `None` when nothing is left.
fn cheaper_replacement(
    view: &ClusterView<'_>,
    plan: &mut ClaimPlan,
    candidates: &[Candidate],
) -> Option<()> {
    let spot = view.symbols.find(CapacityType::Spot.name());
    let spot = view.symbols.value(spot?);
    let all_spot = candidates.iter().all(|c| c.capacity_type == CapacityType::Spot);
    let admits_spot = plan.requirements.admits(label::CAPACITY_TYPE, spot);
    if all_spot && admits_spot {
        // Spot to spot needs the SpotToSpotConsolidation gate, which is off.
        return None;
    }
    let paid: f64 = candidates.iter().map(|candidate| candidate.price).sum();
    keep_below(view, plan, paid)?;
    if admits_spot && admits_on_demand(view.symbols, &plan.requirements) {
        plan.requirements.add(label::CAPACITY_TYPE, Requirement::new(Operator::In, [spot]));
    }
    Some(())
}

fn admits_on_demand(symbols: &Symbols, requirements: &Requirements) -> bool {
    let on_demand = symbols.find(CapacityType::OnDemand.name());
    on_demand.is_some_and(|od| requirements.admits(label::CAPACITY_TYPE, symbols.value(od)))
}

/// Drops instance types that may cost `limit` or more. `None` when nothing is left or minValues are lost.
pub(super) fn keep_below(view: &ClusterView<'_>, plan: &mut ClaimPlan, limit: f64) -> Option<()> {
    let types = &view.cluster.pools[plan.pool].types;
    let requirements = &plan.requirements;
    price::order_by_price(&mut plan.types, types, requirements);
    plan.types.retain(|i| price::worst_launch_price(&types[*i as usize], requirements) < limit);
    let options = plan.types.iter().map(|i| *i as usize);
    let lost = min_values::unmet(types, options, requirements).is_some();
    (!plan.types.is_empty() && !lost).then_some(())
}
