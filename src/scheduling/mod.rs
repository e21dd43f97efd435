//! The provisioner core (layer 4): packs pods into existing nodes and new NodeClaims. Pure.
//!
//! Provisioning, every consolidation what-if and drift replacement call the same [`solve`]; nothing else in the program
//! packs pods into nodes for Karpenter.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/`. Candidates are scanned in order and the
//! first that accepts wins, which equals upstream's parallel evaluation (lowest index wins).

use std::collections::VecDeque;

use crate::kube::Requirements;
use crate::kube::requirement::Requirement;
use crate::kube::{label, requirement::Operator};
use crate::units::{ResourceVec, Symbols};
use crate::world::{ClaimId, ClusterView, PodId, PoolIndex};

mod claim;
mod existing;
mod explain;
pub mod go_sort;
pub mod min_values;
pub mod price;
mod template;
mod variant;

use claim::InFlightClaim;
use existing::ExistingNode;
use explain::Rejection;
pub use template::Templates;
use variant::Variants;

/// What a Solve is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A batch of the provisioner, or the replacement of a drifted node.
    Provision,
    /// A what-if of consolidation: nodes within consolidateAfter take no pods that could stay where they are.
    Consolidation,
}

/// What a Solve decided.
#[derive(Clone, Debug, Default)]
pub struct Solution {
    /// Pods on existing nodes, in the order in which the nodes are tried.
    pub existing: Vec<ExistingPlacement>,
    /// NodeClaims to be created.
    pub claims: Vec<ClaimPlan>,
    /// Pods without a place, in queue order, with Karpenter's text.
    pub unplaced: Vec<(PodId, String)>,
    /// All pods in queue order.
    pub queue: Vec<PodId>,
}

/// Pods that an existing node takes.
#[derive(Clone, Debug)]
pub struct ExistingPlacement {
    /// The node.
    pub claim: ClaimId,
    /// Initialized at the time of the Solve.
    pub initialized: bool,
    /// The pods.
    pub pods: Vec<PodId>,
}

/// A NodeClaim as planned.
#[derive(Clone, Debug)]
pub struct ClaimPlan {
    /// The NodePool.
    pub pool: PoolIndex,
    /// Requirements, without those that only exist while solving.
    pub requirements: Requirements,
    /// Instance types, cheapest first, as positions in the pool's list.
    pub types: Vec<u32>,
    /// Requests of pods and DaemonSets.
    pub requests: ResourceVec,
    /// The pods.
    pub pods: Vec<PodId>,
}

impl ClaimPlan {
    /// Fixes the capacity types: those that the plan's types are on offer in (karpenter v1.14.1 `ToNodeClaim`). The
    /// caller cuts the types before.
    pub fn pin_capacity_types(&mut self, view: &ClusterView<'_>) {
        let types = &view.cluster.pools[self.pool].types;
        let found = price::capacity_types(&self.types, types, &self.requirements);
        let values = found.iter().filter_map(|ct| view.symbols.find(ct.name()));
        let values: Vec<_> = values.map(|symbol| view.symbols.value(symbol)).collect();
        if !values.is_empty() {
            self.requirements.add(label::CAPACITY_TYPE, Requirement::new(Operator::In, values));
        }
    }
}

/// Packs `pods` into what `view` shows.
pub fn solve(
    view: &ClusterView<'_>,
    templates: &Templates,
    pods: &[PodId],
    purpose: Purpose,
) -> Solution {
    let mut solve = Solve::new(view, templates, purpose);
    let queue = solve.sorted(pods);
    solve.run(&queue);
    solve.into_solution(queue)
}

/// The state of one Solve.
struct Solve<'a> {
    view: &'a ClusterView<'a>,
    templates: &'a Templates,
    existing: Vec<ExistingNode>,
    /// Per variant and exemption: the first existing node that may still accept it. Nodes only get fuller.
    first_open: Vec<[usize; 2]>,
    claims: Vec<InFlightClaim>,
    /// The order in which claims are tried, kept between attempts as upstream keeps its slice.
    claim_order: Vec<usize>,
    remaining: Vec<Option<ResourceVec>>,
    variants: Variants,
    errors: Vec<(PodId, String)>,
}

impl<'a> Solve<'a> {
    fn new(view: &'a ClusterView<'a>, templates: &'a Templates, purpose: Purpose) -> Solve<'a> {
        let empty = view.symbols.find("").map(|symbol| view.symbols.value(symbol));
        let prefer = empty.filter(|_| templates.tolerate_prefer_no_schedule);
        Solve {
            view,
            templates,
            existing: existing::existing_nodes(view, purpose == Purpose::Consolidation),
            first_open: Vec::new(),
            claims: Vec::new(),
            claim_order: Vec::new(),
            remaining: (templates.list.iter())
                .map(|t| template::remaining_limits(view, t.pool))
                .collect(),
            variants: Variants::new(prefer, view.settings.karpenter.ignore_preferences),
            errors: Vec::new(),
        }
    }

    fn sorted(&self, pods: &[PodId]) -> Vec<PodId> {
        let mut queue = pods.to_vec();
        queue.sort_by_key(|id| {
            let pod = &self.view.cluster.pods[*id];
            variant::queue_key(&pod.class, pod.created_at, pod.uid)
        });
        queue
    }

    /// Takes pods from the front; one that fails goes to the back, until all that are left have failed since the last
    /// success.
    fn run(&mut self, pods: &[PodId]) {
        let mut queue: VecDeque<(PodId, usize)> =
            pods.iter().map(|pod| (*pod, usize::MAX)).collect();
        while let Some((pod, length_at_failure)) = queue.pop_front() {
            if length_at_failure == queue.len() + 1 {
                return;
            }
            self.errors.retain(|(failed, _)| *failed != pod);
            if let Err(error) = self.place(pod) {
                self.errors.push((pod, error));
                queue.push_back((pod, queue.len() + 1));
            }
        }
    }

    /// Tries to place a pod, relaxing it as far as needed.
    fn place(&mut self, pod: PodId) -> Result<(), String> {
        let class = self.view.cluster.pods[pod].class.clone();
        let mut variant = self.variants.first(&class);
        loop {
            match self.add(pod, variant) {
                Ok(()) => return Ok(()),
                Err(error) => match self.variants.relax(variant) {
                    Some(relaxed) => variant = relaxed,
                    None => return Err(error),
                },
            }
        }
    }

    fn add(&mut self, pod: PodId, variant: usize) -> Result<(), String> {
        if self.add_to_existing(pod, variant) || self.add_to_claim(pod, variant) {
            return Ok(());
        }
        self.add_to_new_claim(pod, variant)
    }

    fn add_to_existing(&mut self, pod: PodId, variant: usize) -> bool {
        let exempt = usize::from(self.is_exempt(pod));
        self.first_open.resize(self.first_open.len().max(self.variants.len()), [0; 2]);
        let start = self.first_open[variant][exempt];
        let found = (start..self.existing.len()).find(|i| {
            let node = &mut self.existing[*i];
            (exempt == 1 || !node.under_consolidate_after)
                && node.try_add(pod, self.variants.get(variant))
        });
        self.first_open[variant][exempt] = found.unwrap_or(self.existing.len());
        found.is_some()
    }

    /// Pending pods and pods of deleting nodes may go to nodes within consolidateAfter.
    fn is_exempt(&self, pod: PodId) -> bool {
        let cluster = self.view.cluster;
        let node = cluster.pods[pod].node;
        node.is_none_or(|node| cluster.claims[cluster.nodes[node].claim].is_deleting())
    }

    fn add_to_claim(&mut self, pod: PodId, variant: usize) -> bool {
        let claims = &mut self.claims;
        go_sort::sort_slice(&mut self.claim_order, |a, b| {
            claims[*a].pods.len() < claims[*b].pods.len()
        });
        self.claim_order.iter().any(|i| {
            let claim = &mut claims[*i];
            let template = &self.templates.list[claim.template];
            claim.try_add(pod, variant, self.variants.get(variant), template).is_ok()
        })
    }

    fn add_to_new_claim(&mut self, pod: PodId, variant: usize) -> Result<(), String> {
        if self.templates.list.is_empty() {
            return Err("nodepool requirements filtered out all available instance types".into());
        }
        let mut errors = Vec::new();
        for index in 0..self.templates.list.len() {
            match self.new_claim(pod, variant, index) {
                Ok(claim) => {
                    self.charge_limits(&claim);
                    self.claim_order.push(self.claims.len());
                    self.claims.push(claim);
                    return Ok(());
                }
                Err(rejection) => {
                    let pool = &self.view.cluster.pools[self.templates.list[index].pool];
                    errors.push(rejection.describe(&pool.name, self.view.symbols));
                }
            }
        }
        Err(errors.join("; "))
    }

    fn new_claim(
        &self,
        pod: PodId,
        variant: usize,
        index: usize,
    ) -> Result<InFlightClaim, Rejection> {
        let template = &self.templates.list[index];
        let mut options = template.options.clone();
        if let Some(remaining) = &self.remaining[index] {
            if template::nodes_exhausted(remaining) {
                return Err(Rejection::NodeLimit);
            }
            for i in template.options.iter() {
                if !template::within_limits(&template.types[i], remaining) {
                    options.remove(i);
                }
            }
            if options.is_empty() {
                return Err(Rejection::Limits);
            }
        }
        let mut claim = InFlightClaim::new(index, template, options);
        claim.try_add(pod, variant, self.variants.get(variant), template)?;
        Ok(claim)
    }

    /// Charges the largest capacity among the claim's options, per resource that the limits name.
    fn charge_limits(&mut self, claim: &InFlightClaim) {
        let template = &self.templates.list[claim.template];
        let Some(remaining) = &mut self.remaining[claim.template] else {
            return;
        };
        let mut largest = ResourceVec::default();
        claim.options().iter().for_each(|i| largest.maximize(&template.types[i].capacity));
        *remaining = remaining.minus(&largest);
    }

    fn into_solution(self, queue: Vec<PodId>) -> Solution {
        let Solve { templates, existing, claims, errors, .. } = self;
        let existing = existing
            .into_iter()
            .filter(|node| !node.pods.is_empty())
            .map(|n| ExistingPlacement { claim: n.claim, initialized: n.initialized, pods: n.pods })
            .collect();
        let mut solution = Solution { existing, unplaced: errors, queue, ..Solution::default() };
        for claim in claims {
            let template = &templates.list[claim.template];
            solution.truncate(claim.finalize(template), template);
        }
        let position = |pod: &PodId| solution.queue.iter().position(|q| q == pod);
        solution.unplaced.sort_by_key(|(pod, _)| position(pod));
        solution
    }
}

impl Solution {
    /// Keeps the cheapest 600 instance types of a claim; if its minValues are lost with the rest, so is the claim.
    fn truncate(&mut self, mut plan: ClaimPlan, template: &template::Template) {
        plan.types.truncate(price::MAX_INSTANCE_TYPES);
        let options = plan.types.iter().map(|i| *i as usize);
        if min_values::unmet(&template.types, options, &plan.requirements).is_none() {
            self.claims.push(plan);
            return;
        }
        let error = "pod didn’t schedule because NodePool couldn’t meet minValues requirements";
        self.unplaced.extend(plan.pods.into_iter().map(|pod| (pod, error.to_owned())));
    }

    /// Pods that are placed nowhere although they ran before.
    pub fn unplaced_running(&self, view: &ClusterView<'_>) -> bool {
        self.unplaced.iter().any(|(pod, _)| view.cluster.pods[*pod].node.is_some())
    }
}

/// The interned values that a Solve looks up by text; interned up front because a Solve cannot write.
pub fn intern_fixed_values(symbols: &mut Symbols) {
    for text in ["", "true", "reserved", "spot", "on-demand"] {
        symbols.intern(text);
    }
}
