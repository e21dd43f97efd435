//! What-ifs: would the pods fit without these nodes, and would what they then need be cheaper?
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/helpers.go` (`SimulateScheduling`),
//! `pkg/controllers/disruption/consolidation.go` (`computeConsolidation`).

use smallvec::SmallVec;

use super::account::Outline;
use super::candidate::Candidate;
use super::{Command, Method, Search};
use crate::ec2::CapacityType;
use crate::karpenter::provisioner;
use crate::kube::requirement::{Operator, Requirement};
use crate::kube::{Requirements, label};
use crate::scheduling::{ClaimPlan, Core, Purpose, Solution, min_values, price};
use crate::units::Symbols;
use crate::world::{ClaimId, ClusterView, PodId};

/// Fewest cheaper instance types for which a single spot node is replaced by another, and most of them that are named.
const LEAST_SPOT_TYPES: usize = 15;

/// The result of a what-if.
pub(super) struct WhatIf {
    /// A pod that runs now would be left without a place.
    pub(super) strands_running_pods: bool,
    pub(super) solution: Solution,
}

/// The pods that every what-if of a pass places, beside those of its candidates.
#[derive(Clone, Debug)]
pub(super) struct Others {
    waiting: Vec<PodId>,
    /// Those of nodes on their way out.
    leaving: Vec<PodId>,
}

impl Others {
    pub(super) fn of(view: &ClusterView<'_>) -> Others {
        Others {
            waiting: provisioner::waiting_pods(view),
            leaving: provisioner::leaving_pods(view).collect(),
        }
    }
}

/// Packs the cluster's pods without `candidates`. `None` when one of them is on its way out already.
pub(super) fn simulate(
    view: &ClusterView<'_>,
    core: &mut Core,
    others: &Others,
    candidates: &[Candidate],
    (purpose, limit): (Purpose, Option<f64>),
) -> Option<WhatIf> {
    let claims: SmallVec<[ClaimId; 8]> = candidates.iter().map(|c| c.claim).collect();
    if claims.iter().any(|id| view.cluster.claims.get(*id).is_none_or(|c| c.is_deleting())) {
        return None;
    }
    let mut pods = others.waiting.clone();
    for candidate in candidates {
        let may_move =
            |pod: &&PodId| !candidate.is_guarded || view.may_move(&view.cluster.pods[**pod]);
        pods.extend(candidate.pods.iter().filter(may_move));
    }
    pods.extend(&others.leaving);
    let without = view.without(&claims);
    let solution = core.solve(&without, &pods, (purpose, limit));
    // A pod that runs and could stay may not rely on a node that is still starting.
    let relies_on_starting_node = solution
        .existing
        .iter()
        .filter(|placement| !placement.initialized)
        .flat_map(|placement| &placement.pods)
        .any(|pod| view.is_on_staying_node(*pod));
    let strands_running_pods = relies_on_starting_node || solution.unplaced_running(view);
    Some(WhatIf { strands_running_pods, solution })
}

/// Why a what-if leads to no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is known without a Solve that nothing can be saved.
    Hopeless,
    /// A node is on its way out already.
    Leaving,
    /// Pods that run now would be left without a place: those without one, with Karpenter's texts.
    Stranded(Vec<(PodId, String)>),
    /// So many new nodes would be needed.
    Several(usize),
    /// No instance type is cheaper.
    Dear,
    /// The cheaper instance types are too few for minValues.
    MinValues,
    /// Spot for spot, with the feature gate off.
    SpotToSpotOff,
    /// Spot for spot, with so few cheaper instance types.
    FewSpotTypes(usize),
}

/// The command that consolidates `candidates`, if there is one that saves.
pub(super) fn compute_consolidation(
    search: &mut Search<'_>,
    candidates: &[Candidate],
    method: Method,
) -> Option<Command> {
    let mut outline = None;
    let result = consolidation(search, candidates, method, &mut outline);
    search.note_what_if(candidates, outline, result.as_ref());
    result.ok()
}

fn consolidation(
    search: &mut Search<'_>,
    candidates: &[Candidate],
    method: Method,
    outline: &mut Option<Outline>,
) -> Result<Command, Refusal> {
    let view = search.view;
    search.charge();
    if is_hopeless(search, candidates) {
        return Err(Refusal::Hopeless);
    }
    let paid: f64 = candidates.iter().map(|candidate| candidate.price).sum();
    let Search { core, others, account, .. } = search;
    let others = others.get_or_insert_with(|| Others::of(view));
    let what_if = simulate(view, core, others, candidates, (Purpose::Consolidation, Some(paid)));
    let WhatIf { strands_running_pods, mut solution } = what_if.ok_or(Refusal::Leaving)?;
    if account.is_some() {
        *outline = Some(Outline::of(view, &solution));
    }
    if strands_running_pods {
        return Err(Refusal::Stranded(solution.unplaced));
    }
    if solution.given_up {
        return Err(Refusal::Hopeless);
    }
    if solution.claims.len() > 1 {
        return Err(Refusal::Several(solution.claims.len()));
    }
    if let Some(plan) = solution.claims.first_mut() {
        cheaper_replacement(view, plan, candidates)?;
    }
    Ok(command(view, candidates, method, solution))
}

/// True when it is known without a Solve that nothing can be saved.
pub(super) fn is_hopeless(search: &mut Search<'_>, candidates: &[Candidate]) -> bool {
    let view = search.view;
    // The bound counts all pods, a what-if those that may move.
    if !candidates.iter().all(|candidate| candidate.all_pods_may_move(view)) {
        return false;
    }
    if let [alone] = candidates
        && search.core.is_known_hopeless(view, &alone.classes, alone.claim, alone.price)
    {
        return true;
    }
    let claims: SmallVec<[ClaimId; 8]> = candidates.iter().map(|c| c.claim).collect();
    let classes = candidates.iter().map(|candidate| &candidate.classes);
    let paid: f64 = candidates.iter().map(|candidate| candidate.price).sum();
    search.core.is_hopeless(view, classes, &claims, paid)
}

/// The command that follows from a what-if.
pub(super) fn command(
    view: &ClusterView<'_>,
    candidates: &[Candidate],
    method: Method,
    solution: Solution,
) -> Command {
    let Solution { existing, claims, .. } = solution;
    let placements = existing.into_iter().map(|placement| (placement.claim, placement.pods));
    Command {
        id: 0,
        method,
        savings: estimated_savings(view, candidates, &claims),
        candidates: candidates.to_vec(),
        replacements: claims,
        placements: placements.collect(),
    }
}

/// What the candidates cost, less the cheapest launchable price of each replacement's first instance type.
pub(super) fn estimated_savings(
    view: &ClusterView<'_>,
    candidates: &[Candidate],
    replacements: &[ClaimPlan],
) -> f64 {
    let paid: f64 = candidates.iter().map(|candidate| candidate.price).sum();
    let first_price = |plan: &ClaimPlan| {
        let types = &view.cluster.pools[plan.pool].types;
        let first = plan.types.first().map(|i| &types[*i as usize]);
        let price = first.map(|it| price::cheapest(it, &plan.requirements));
        // A type without a launchable offering is taken to cost nothing, as upstream.
        price.filter(|price| *price < f64::MAX).unwrap_or(0.0)
    };
    paid - replacements.iter().map(first_price).sum::<f64>()
}

/// Keeps the instance types whose worst launch price is below what the candidates cost.
fn cheaper_replacement(
    view: &ClusterView<'_>,
    plan: &mut ClaimPlan,
    candidates: &[Candidate],
) -> Result<(), Refusal> {
    let spot = view.symbols.find(CapacityType::Spot.name());
    let spot = view.symbols.value(spot.ok_or(Refusal::Dear)?);
    let all_spot = candidates.iter().all(|c| c.capacity_type == CapacityType::Spot);
    let admits_spot = plan.requirements.admits(label::CAPACITY_TYPE, spot);
    let paid: f64 = candidates.iter().map(|candidate| candidate.price).sum();
    let only_spot = || Requirement::new(Operator::In, [spot]);
    if all_spot && admits_spot {
        // The types are in the order of their prices under the requirements of before.
        let types = &view.cluster.pools[plan.pool].types;
        price::order_by_price(&mut plan.types, types, &plan.requirements);
        plan.requirements.add(label::CAPACITY_TYPE, only_spot());
        return spot_to_spot(view, plan, candidates, paid);
    }
    keep_below(view, plan, paid)?;
    if admits_spot && admits_on_demand(view.symbols, &plan.requirements) {
        plan.requirements.add(label::CAPACITY_TYPE, only_spot());
    }
    Ok(())
}

/// Spot nodes are only replaced by spot nodes with the gate SpotToSpotConsolidation; a single one only when there are
/// many cheaper types to choose from, and then only the cheapest of them are named, so that it is not replaced again
/// and again.
fn spot_to_spot(
    view: &ClusterView<'_>,
    plan: &mut ClaimPlan,
    candidates: &[Candidate],
    paid: f64,
) -> Result<(), Refusal> {
    if !view.settings.karpenter.gates.spot_to_spot {
        return Err(Refusal::SpotToSpotOff);
    }
    retain_below(view, plan, paid)?;
    if candidates.len() > 1 {
        return Ok(());
    }
    if plan.types.len() < LEAST_SPOT_TYPES {
        return Err(Refusal::FewSpotTypes(plan.types.len()));
    }
    let types = &view.cluster.pools[plan.pool].types;
    let options = plan.types.iter().map(|i| *i as usize);
    let needed = min_values::needed(types, options, &plan.requirements);
    plan.types.truncate(needed.max(LEAST_SPOT_TYPES));
    Ok(())
}

fn admits_on_demand(symbols: &Symbols, requirements: &Requirements) -> bool {
    let on_demand = symbols.find(CapacityType::OnDemand.name());
    on_demand.is_some_and(|od| requirements.admits(label::CAPACITY_TYPE, symbols.value(od)))
}

/// Orders instance types by price and drops those that may cost `limit` or more. An error when nothing is left or
/// minValues are lost.
fn keep_below(view: &ClusterView<'_>, plan: &mut ClaimPlan, limit: f64) -> Result<(), Refusal> {
    let types = &view.cluster.pools[plan.pool].types;
    price::order_by_price(&mut plan.types, types, &plan.requirements);
    retain_below(view, plan, limit)
}

/// Drops instance types that may cost `limit` or more. An error when nothing is left or minValues are lost.
pub(super) fn retain_below(
    view: &ClusterView<'_>,
    plan: &mut ClaimPlan,
    limit: f64,
) -> Result<(), Refusal> {
    let types = &view.cluster.pools[plan.pool].types;
    let requirements = &plan.requirements;
    plan.types.retain(|i| price::worst_launch_price(&types[*i as usize], requirements) < limit);
    let options = plan.types.iter().map(|i| *i as usize);
    let lost = min_values::unmet(types, options, requirements).is_some();
    match (plan.types.is_empty(), lost) {
        (true, _) => Err(Refusal::Dear),
        (false, true) => Err(Refusal::MinValues),
        (false, false) => Ok(()),
    }
}
