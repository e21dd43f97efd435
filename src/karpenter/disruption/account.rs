//! What the disruption loop tells a witness: candidates, what-ifs, and why nodes stay, in the words of Karpenter's
//! events. Nothing here decides.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/{types,consolidation,emptiness,balanced}.go`,
//! `pkg/controllers/state/statenode.go` (messages of DisruptionBlocked and Unconsolidatable).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::balanced::Scores;
use super::candidate::{self, Candidate};
use super::evaluate::{self, Others, Refusal};
use super::roster::{Counts, Roster};
use super::{Command, Found, Method, Search};
use crate::kube::node_pool::{self, ConsolidationPolicy};
use crate::scheduling::{ClaimPlan, Core, Purpose, Solution, price};
use crate::units::SimTime;
use crate::world::account::{
    Answer, Budget, Passed, Plan, Question, Stay, Validation, Weighed, WhatIf,
};
use crate::world::cluster::Claim;
use crate::world::{ClaimId, ClusterView, PodId};

/// Instance types that a plan names.
const SHOWN_TYPES: usize = 5;
/// Pods without a place that an event names.
const SHOWN_PODS: usize = 5;

/// What a what-if came to before prices were looked at.
pub(super) struct Outline {
    existing: Vec<(Arc<str>, usize)>,
    /// Pods that run and would rely on a node that is still starting.
    on_starting: Vec<(PodId, Arc<str>)>,
    plans: Vec<Plan>,
}

impl Outline {
    pub(super) fn of(view: &ClusterView<'_>, solution: &Solution) -> Outline {
        let name = |id: ClaimId| view.cluster.claims[id].name.clone();
        let existing = solution.existing.iter();
        let starting = existing.clone().filter(|placement| !placement.initialized);
        let on_starting = starting.flat_map(|placement| {
            let running = placement.pods.iter().filter(|pod| view.is_on_staying_node(**pod));
            running.map(|pod| (*pod, name(placement.claim)))
        });
        Outline {
            on_starting: on_starting.collect(),
            existing: existing.map(|node| (name(node.claim), node.pods.len())).collect(),
            plans: solution.claims.iter().map(|claim| plan(view, claim)).collect(),
        }
    }
}

/// A planned NodeClaim with its cheapest types.
pub(in crate::karpenter) fn plan(view: &ClusterView<'_>, plan: &ClaimPlan) -> Plan {
    let pool = &view.cluster.pools[plan.pool];
    let mut order = plan.types.clone();
    price::order_by_price(&mut order, &pool.types, &plan.requirements);
    let types = order.iter().take(SHOWN_TYPES).map(|i| &pool.types[*i as usize]);
    let priced = types.map(|it| {
        let name: Arc<str> = view.symbols.text(it.name.symbol).into();
        (name, price::worst_launch_price(it, &plan.requirements))
    });
    Plan {
        pool: pool.name.clone(),
        pods: plan.pods.len(),
        type_count: plan.types.len(),
        cheapest: priced.collect(),
    }
}

fn passed(rule: &'static str, message: impl Into<Arc<str>>) -> Passed {
    Passed { rule, message: message.into() }
}

/// A question before it is asked.
pub(super) fn begin(view: &ClusterView<'_>, method: Method, answer: Answer) -> Box<Question> {
    Box::new(Question {
        at: view.now,
        method: method.name(),
        reason: method.reason().name(),
        answer,
        budgets: Vec::new(),
        candidates: Vec::new(),
        stays: Vec::new(),
        what_ifs: Vec::new(),
    })
}

/// A question with the nodes that it is about.
pub(super) fn question(
    view: &ClusterView<'_>,
    method: Method,
    candidates: &[Candidate],
    budgets: Option<(&[i64], &[Counts])>,
) -> Box<Question> {
    let mut question = begin(view, method, Answer::NoCandidates);
    if let Some((allowed, counts)) = budgets {
        let pools = view.cluster.pools.iter().zip(allowed).zip(counts);
        let left = pools.map(|((pool, left), counts)| Budget {
            pool: pool.name.clone(),
            left: (*left < node_pool::UNLIMITED - counts.disrupting).then_some(*left),
            nodes: counts.total,
            disrupting: counts.disrupting,
        });
        question.budgets = left.collect();
    }
    question.candidates = candidates.iter().map(|candidate| weigh(view, candidate)).collect();
    let wanted: BTreeSet<u64> = candidates.iter().map(|candidate| candidate.claim.raw()).collect();
    let others = view.state_nodes().filter(|(id, _)| !wanted.contains(&id.raw()));
    question.stays = others.filter_map(|(id, _)| stay(view, id, method)).collect();
    question
}

/// Why a node that is no candidate of the method is none.
fn stay(view: &ClusterView<'_>, id: ClaimId, method: Method) -> Option<Stay> {
    let claim = &view.cluster.claims[id];
    let general = blocked(view, claim, method);
    let is_general = general.is_some();
    let passed = general.or_else(|| unsuited(view, id, claim, method))?;
    Some(Stay { node: claim.name.clone(), passed, general: is_general })
}

/// What became of the nodes of a command that did not survive its validation.
pub(super) fn validation(
    view: &ClusterView<'_>,
    core: &mut Core,
    roster: &Roster,
    command: &Command,
) -> Box<Validation> {
    let method = command.method;
    let still = roster.candidates(view, method);
    let still: BTreeSet<u64> = still.unordered().map(|candidate| candidate.claim.raw()).collect();
    let live = command.candidates.iter().map(|candidate| candidate.claim);
    let live = live.filter(|id| view.cluster.claims.get(*id).is_some());
    let gone = live.filter(|id| !still.contains(&id.raw()));
    let stays: Vec<Stay> = gone.filter_map(|id| stay(view, id, method)).collect();
    let now = match stays.is_empty() && method.is_consolidation() {
        true => what_if_now(view, core, &command.candidates),
        false => None,
    };
    Box::new(Validation { at: view.now, command: command.id, stays, now })
}

fn what_if_now(
    view: &ClusterView<'_>,
    core: &mut Core,
    candidates: &[Candidate],
) -> Option<WhatIf> {
    let purpose = (Purpose::Consolidation, None);
    let found = evaluate::simulate(view, core, &Others::of(view), candidates, purpose)?;
    let outline = Outline::of(view, &found.solution);
    let refusal = found
        .strands_running_pods
        .then(|| describe(view, &Refusal::Stranded(found.solution.unplaced), Some(&outline)));
    Some(what_if(view, candidates, Some(outline), None, refusal))
}

/// What came of a method, whose first command will have this number.
pub(super) fn answer(found: &Found, id: u64) -> Answer {
    match found {
        Found::Command(_) => Answer::Commands(id, 1),
        Found::AtOnce(commands) => Answer::Commands(id, commands.len()),
        Found::Nothing => Answer::Nothing,
        Found::NothingYet => Answer::NothingYet,
    }
}

fn weigh(view: &ClusterView<'_>, candidate: &Candidate) -> Weighed {
    Weighed {
        node: view.cluster.claims[candidate.claim].name.clone(),
        pool: view.cluster.pools[candidate.pool].name.clone(),
        instance_type: candidate.type_name.clone(),
        capacity_type: candidate.capacity_type.name(),
        price: candidate.price,
        pods: candidate.pods.len(),
        reschedule_cost: candidate.reschedule_cost,
        passed: None,
    }
}

/// Why no method may disrupt the node, in the order of upstream's tests.
fn blocked(view: &ClusterView<'_>, claim: &Claim, method: Method) -> Option<Passed> {
    let pool = &view.cluster.pools[claim.pool];
    let node = view.node(claim);
    Some(if claim.in_command {
        passed("in a command", "A command is taking the node away")
    } else if node.is_none() {
        passed("no node", "Nodeclaim does not have an associated node")
    } else if !claim.is_initialized() {
        passed("not initialized", "Node isn't initialized")
    } else if claim.is_deleting() {
        passed("deleting", "Node is deleting or marked for deletion")
    } else if claim.nominated_until > view.now {
        passed("nominated", "Node is nominated for a pending pod")
    } else if node.is_some_and(|node| node.do_not_disrupt) {
        let text = "Disruption is blocked through the \"karpenter.sh/do-not-disrupt\" annotation";
        passed("do-not-disrupt", text)
    } else if pool.deleted || pool.types.is_empty() {
        passed("no NodePool", format!("NodePool not found (NodePool={})", pool.name))
    } else {
        return blocked_by_pod(view, claim, method);
    })
}

fn blocked_by_pod(view: &ClusterView<'_>, claim: &Claim, method: Method) -> Option<Passed> {
    if candidate::pods_permit(view, claim, method) {
        return None;
    }
    let pods = view.pods_of(claim);
    if let Some((id, _)) = pods.iter().find(|(_, pod)| view.is_protected(pod)) {
        let name = view.cluster.pods[*id].full_name();
        let text = format!("Pod has \"karpenter.sh/do-not-disrupt\" annotation (Pod={name})");
        return Some(passed("do-not-disrupt", text));
    }
    let (id, pod) = pods.iter().find(|(_, pod)| view.blocks_eviction(pod))?;
    let budgets: Vec<String> = (pod.budgets.iter())
        .map(|index| &view.cluster.disruption_budgets[*index as usize].spec)
        .map(|spec| format!("{}/{}", spec.namespace, spec.name))
        .collect();
    let (text, key) = match budgets.len() {
        1 => ("Pdb prevents pod evictions", "PodDisruptionBudget"),
        _ => ("Eviction does not support multiple PDBs", "PodDisruptionBudget(s)"),
    };
    let (list, pod) = (budgets.join(" "), view.cluster.pods[*id].full_name());
    let text = format!("{text} ({key}=[{list}], Pod={pod})");
    Some(passed("PodDisruptionBudget", text))
}

/// Why the method itself does not want the node.
fn unsuited(view: &ClusterView<'_>, id: ClaimId, claim: &Claim, method: Method) -> Option<Passed> {
    let pool = &view.cluster.pools[claim.pool];
    let name = &pool.name;
    let is_static = pool.spec.replicas.is_some();
    match method {
        Method::StaticDrift if !is_static => return None,
        Method::StaticDrift | Method::Drift => {
            return (claim.drifted.is_none()).then(|| passed("not drifted", "Node is not drifted"));
        }
        _ if is_static => return Some(passed("static", format!("NodePool \"{name}\" is static"))),
        _ => {}
    }
    let disruption = &pool.spec.disruption;
    let weighed = candidate::new(view, id, claim)?;
    let is_empty = weighed.suits(Method::Emptiness);
    Some(if disruption.consolidate_after.is_none() {
        passed("consolidateAfter", format!("NodePool \"{name}\" has consolidation disabled"))
    } else if method == Method::Emptiness && view.cluster.buffer_hosts.contains(&claim.ordinal) {
        passed("buffer", format!("Node \"{}\" has buffer pods", claim.name))
    } else if method == Method::Emptiness && !is_empty {
        passed("not empty", format!("{} pods would have to move", weighed.pods.len()))
    } else if method != Method::Emptiness && is_empty {
        passed("empty", "Node is empty: Emptiness takes it")
    } else if method != Method::Emptiness && disruption.policy == ConsolidationPolicy::WhenEmpty {
        let text = "has consolidation policy WhenEmpty, but node is not empty";
        passed("consolidationPolicy", format!("NodePool \"{name}\" {text}"))
    } else if !claim.consolidatable {
        passed("consolidateAfter", not_quiet(view, claim))
    } else if !view.has_offering_labels(claim) {
        let text = "Node does not have label \"topology.kubernetes.io/zone\"";
        passed("labels", text)
    } else {
        passed("instance type", format!("Instance Type \"{}\" not found", weighed.type_name))
    })
}

fn not_quiet(view: &ClusterView<'_>, claim: &Claim) -> String {
    let after = view.cluster.pools[claim.pool].spec.disruption.consolidate_after;
    let Some(after) = after else { return "Node is not consolidatable".to_owned() };
    let since: SimTime = claim.last_pod_event_at.or(claim.initialized_at).unwrap_or(view.now);
    let until = since + after;
    format!(
        "Node is not consolidatable before {until}: its last pod event was at {since}, consolidateAfter is {after}"
    )
}

impl Search<'_> {
    /// The order in which the method takes its candidates.
    pub(super) fn note_order<'a>(&mut self, order: impl Iterator<Item = &'a Candidate>) {
        let Some(account) = &mut self.account else {
            return;
        };
        let claims = &self.view.cluster.claims;
        let names: Vec<&str> = order.map(|c| claims[c.claim].name.as_ref()).collect();
        let place = |node: &str| names.iter().position(|name| *name == node);
        account.candidates.sort_by_cached_key(|weighed| place(&weighed.node));
    }

    /// Says why a candidate was passed without a what-if.
    pub(super) fn note_passed(&mut self, candidate: &Candidate, why: Pass) {
        let Some(account) = &mut self.account else {
            return;
        };
        let view = self.view;
        let node = &view.cluster.claims[candidate.claim].name;
        let pool = &view.cluster.pools[candidate.pool].name;
        let passed = match why {
            Pass::Budget => {
                let reason = account.reason;
                let text = format!(
                    "No allowed disruptions for disruption reason {reason} due to blocking budget (NodePool={pool})"
                );
                passed("budget", text)
            }
            Pass::Score => {
                let alone = std::slice::from_ref(candidate);
                let scores = self.scores.describe(view, alone, candidate.price);
                let score = scores.first().map_or(0.0, |score| score.score);
                let text = format!("Even its deletion scores {score:.3} < 0.5");
                passed("Balanced", text)
            }
        };
        if let Some(weighed) = account.candidates.iter_mut().find(|weighed| weighed.node == *node) {
            weighed.passed = Some(passed);
        }
    }

    /// Tells a what-if of consolidation.
    pub(super) fn note_what_if(
        &mut self,
        candidates: &[Candidate],
        outline: Option<Outline>,
        result: Result<&Command, &Refusal>,
    ) {
        let Some(account) = &mut self.account else {
            return;
        };
        let view = self.view;
        let refusal = result.err().map(|why| describe(view, why, outline.as_ref()));
        let savings = result.ok().map(|command| command.savings);
        account.what_ifs.push(what_if(view, candidates, outline, savings, refusal));
    }

    /// Tells a what-if of a drifted node; `None` when it was on its way out already.
    pub(super) fn note_drift(&mut self, candidate: &Candidate, found: Option<(&Solution, bool)>) {
        let Some(account) = &mut self.account else {
            return;
        };
        let view = self.view;
        let outline = found.map(|(solution, _)| Outline::of(view, solution));
        let refusal = match found {
            None => Some(Refusal::Leaving),
            Some((solution, true)) => Some(Refusal::Stranded(solution.unplaced.clone())),
            Some((_, false)) => None,
        };
        let refusal = refusal.map(|why| describe(view, &why, outline.as_ref()));
        let alone = std::slice::from_ref(candidate);
        account.what_ifs.push(what_if(view, alone, outline, None, refusal));
    }

    /// The last what-if found a command, but its replacement costs as much as a node that it could keep.
    pub(super) fn note_same_type(&mut self) {
        let text = "A node among them costs no more than its replacement would";
        if let Some(last) = self.account.as_mut().and_then(|account| account.what_ifs.last_mut()) {
            (last.refusal, last.savings) = (Some(passed("same type", text)), None);
        }
    }

    /// What the last what-if scores in Balanced NodePools.
    pub(super) fn note_scores(&mut self, candidates: &[Candidate], savings: f64) {
        let Search { account, scores, view, .. } = self;
        let Some(last) = account.as_mut().and_then(|account| account.what_ifs.last_mut()) else {
            return;
        };
        last.savings = Some(savings);
        last.scores = Scores::describe(scores, view, candidates, savings);
        if let Some(low) = last.scores.iter().find(|score| score.score < score.threshold) {
            let text = format!(
                "score {:.3} < threshold {:.2} (k: 2, savings {:.1}%, disruption {:.1}%)",
                low.score,
                low.threshold,
                100.0 * low.saved,
                100.0 * low.disturbed
            );
            last.refusal = Some(passed("Balanced", text));
        }
    }
}

/// Why a candidate is passed without a what-if.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// The NodePool's budget is used up.
    Budget,
    /// Not even its deletion would be approved.
    Score,
}

fn what_if(
    view: &ClusterView<'_>,
    candidates: &[Candidate],
    outline: Option<Outline>,
    savings: Option<f64>,
    refusal: Option<Passed>,
) -> WhatIf {
    let nodes = candidates.iter().map(|c| view.cluster.claims[c.claim].name.clone());
    let (existing, plans) = outline.map(|o| (o.existing, o.plans)).unwrap_or_default();
    WhatIf {
        nodes: nodes.collect(),
        paid: candidates.iter().map(|candidate| candidate.price).sum(),
        existing,
        plans,
        savings,
        scores: Vec::new(),
        refusal,
    }
}

/// Karpenter's words for a refusal.
fn describe(view: &ClusterView<'_>, why: &Refusal, outline: Option<&Outline>) -> Passed {
    match why {
        Refusal::Hopeless => passed("price", "Nothing can be saved"),
        Refusal::Leaving => passed("deleting", "Candidate is deleting"),
        Refusal::Stranded(unplaced) => passed("scheduling", stranded(view, unplaced, outline)),
        Refusal::Several(count) => {
            passed("several", format!("Can't remove without creating {count} candidates"))
        }
        Refusal::Dear => passed("price", "Can't replace with a cheaper node"),
        Refusal::MinValues => {
            let text = "Filtering by price: minValues requirement is not met";
            passed("minValues", text)
        }
        Refusal::SpotToSpotOff => {
            let text =
                "SpotToSpotConsolidation is disabled, can't replace a spot node with a spot node";
            passed("spot to spot", text)
        }
        Refusal::FewSpotTypes(count) => {
            let text = format!(
                "SpotToSpotConsolidation requires 15 cheaper instance type options than the current \
                 candidate to consolidate, got {count}"
            );
            passed("spot to spot", text)
        }
    }
}

fn stranded(
    view: &ClusterView<'_>,
    unplaced: &[(PodId, String)],
    outline: Option<&Outline>,
) -> String {
    let running = unplaced.iter().filter(|(pod, _)| view.cluster.pods[*pod].node.is_some());
    let without = running.map(|(pod, why)| (*pod, why.clone()));
    let starting = outline.into_iter().flat_map(|outline| &outline.on_starting);
    let starting = starting.map(|(pod, node)| {
        let text = format!("would schedule against uninitialized nodeclaim/{node}, node/{node}");
        (*pod, text)
    });
    let all: Vec<(PodId, String)> = without.chain(starting).collect();
    let shown = all.iter().take(SHOWN_PODS);
    let shown: Vec<String> = shown
        .map(|(pod, why)| format!("{} => {why}", view.cluster.pods[*pod].full_name()))
        .collect();
    let more = match all.len().saturating_sub(SHOWN_PODS) {
        0 => String::new(),
        count => format!(" and {count} other(s)"),
    };
    format!("Not all pods would schedule, {}{more}", shown.join(", "))
}
