//! One Solve: the queue of pods, and where each of them is tried.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/{scheduler,queue}.go`.

use std::collections::VecDeque;
use std::sync::Arc;

use super::claim::{Duration, InFlightClaim, Memory, Refusal, Seeker};
use super::claim_order::ClaimOrder;
use super::existing::{self, ExistingNode};
use super::explain::{self, Refused};
use super::requirement_set::{RequirementSets, SetId};
use super::reservation::Reservations;
use super::template::{self, Template};
use super::topology::{Demand, Topology};
use super::type_filter::{LaunchOrders, TypeMasks};
use super::variant::{self, Variants};
use super::volume::VolumeDemand;
use super::{ClaimPlan, ExistingPlacement, Purpose, Solution, Templates, min_values, price};
use crate::units::{BitSet, ResourceVec};
use crate::world::{ClusterView, PodId};

/// Up to so many open claims are sorted by themselves; of more the whole order is walked.
const FEW: usize = 16;

/// Packs `pods` into what `view` shows.
pub fn solve(
    view: &ClusterView<'_>,
    templates: &Templates,
    pods: &[PodId],
    purpose: Purpose,
) -> Solution {
    let mut solve = Solve::new(view, templates, pods, purpose);
    let queue = solve.sorted(pods);
    let failures = solve.run(&queue);
    solve.into_solution(queue, failures)
}

/// Why a pod has no place.
#[derive(Clone, Debug)]
struct Failure {
    text: Arc<str>,
    deferred: bool,
}

/// The state of one Solve.
struct Solve<'a> {
    view: &'a ClusterView<'a>,
    templates: &'a Templates,
    memory: Memory<'a>,
    variants: Variants,
    existing: Vec<ExistingNode>,
    claims: Vec<InFlightClaim>,
    order: ClaimOrder,
    /// The set that new claims of each template start with.
    template_sets: Vec<SetId>,
    remaining: Vec<Option<ResourceVec>>,
    /// The options of each template within its remaining limits, while they are known.
    within_limits: Vec<Option<BitSet>>,
    /// Whether the last claim of each template had its minValues lowered: upstream's annotations are shared.
    relaxed_min_values: Vec<bool>,
    /// Pods placed so far.
    version: u64,
    /// Tries so far.
    attempt: u32,
}

impl<'a> Solve<'a> {
    fn new(
        view: &'a ClusterView<'a>,
        templates: &'a Templates,
        pods: &[PodId],
        purpose: Purpose,
    ) -> Solve<'a> {
        let empty = view.symbols.find("").map(|symbol| view.symbols.value(symbol));
        let prefer = empty.filter(|_| templates.tolerate_prefer_no_schedule);
        let options = &view.settings.karpenter;
        let mut memory = Memory {
            sets: RequirementSets::default(),
            topology: Topology::new(view, &templates.sources, pods),
            masks: TypeMasks::default(),
            launch_orders: LaunchOrders::default(),
            reservations: match options.reserved_capacity {
                true => Reservations::new(&templates.list),
                false => Reservations::default(),
            },
            strict_reservations: purpose == Purpose::Provision,
        };
        let mut variants = Variants::new(prefer, options.ignore_preferences);
        // All pods are known to the topology before the first is placed.
        for pod in pods {
            let class = &view.cluster.pods[*pod].class;
            variants.first(class, &mut memory.sets, &mut memory.topology);
        }
        let placeholder = templates.placeholder.or(empty);
        let enforce = purpose == Purpose::Consolidation;
        let existing = placeholder
            .map(|placeholder| existing::existing_nodes(view, &mut memory, enforce, placeholder));
        let list = &templates.list;
        Solve {
            existing: existing.unwrap_or_default(),
            template_sets: (list.iter())
                .map(|template| memory.sets.intern(template.requirements.clone()))
                .collect(),
            remaining: (list.iter())
                .map(|template| template::remaining_limits(view, template.pool))
                .collect(),
            within_limits: vec![None; list.len()],
            relaxed_min_values: vec![false; list.len()],
            view,
            templates,
            memory,
            variants,
            claims: Vec::new(),
            order: ClaimOrder::default(),
            version: 0,
            attempt: 0,
        }
    }

    fn sorted(&self, pods: &[PodId]) -> Vec<PodId> {
        let mut queue = pods.to_vec();
        queue.sort_by_cached_key(|id| {
            let pod = &self.view.cluster.pods[*id];
            variant::queue_key(&pod.class, pod.created_at, pod.uid)
        });
        queue
    }

    /// Takes pods from the front; one that fails goes to the back, until all that are left have failed since the last
    /// success. Returns the failures by position in the queue.
    fn run(&mut self, pods: &[PodId]) -> Vec<Option<Failure>> {
        let mut failures: Vec<Option<Failure>> = vec![None; pods.len()];
        let mut queue: VecDeque<(usize, usize)> =
            (0..pods.len()).map(|i| (i, usize::MAX)).collect();
        while let Some((position, length_at_failure)) = queue.pop_front() {
            if length_at_failure == queue.len() + 1 {
                break;
            }
            match self.place(pods[position]) {
                Ok(()) => {
                    failures[position] = None;
                    self.version += 1;
                }
                Err(failure) => {
                    failures[position] = Some(failure);
                    queue.push_back((position, queue.len() + 1));
                }
            }
        }
        failures
    }

    /// Tries to place a pod, relaxing it as far as needed.
    fn place(&mut self, id: PodId) -> Result<(), Failure> {
        let pod = &self.view.cluster.pods[id];
        let Memory { sets, topology, .. } = &mut self.memory;
        let volumes = match pod.class.volumes.is_empty() {
            true => VolumeDemand::default(),
            false => VolumeDemand::of(self.view, pod, sets),
        };
        let first = self.variants.first(&pod.class, sets, topology);
        let exempt = usize::from(self.is_exempt(id));
        if let Some((version, failure)) = &self.variants.kinds[first].failed[exempt]
            && *version == self.version
        {
            // Nothing has changed since a pod of this kind failed, and nothing of this pod alone decides.
            return Err(Failure { text: failure.clone(), deferred: false });
        }
        let mut kind = first;
        let mut by_chance = false;
        loop {
            self.attempt += 1;
            let demand = self.demand(kind, pod.ordinal);
            by_chance |= demand.is_by_chance();
            match self.add(id, kind, &demand, &volumes, exempt == 1) {
                Ok(()) => return Ok(()),
                Err(failure) if failure.deferred => return Err(failure),
                Err(failure) => {
                    let Memory { sets, topology, .. } = &mut self.memory;
                    let Some(relaxed) = self.variants.relax(kind, sets, topology) else {
                        if pod.class.volumes.is_empty() && !by_chance {
                            let failed = (self.version, failure.text.clone());
                            self.variants.kinds[first].failed[exempt] = Some(failed);
                        }
                        return Err(failure);
                    };
                    kind = relaxed;
                }
            }
        }
    }

    fn demand(&mut self, kind: usize, ordinal: u64) -> Demand {
        let variant = &self.variants.list[self.variants.kinds[kind].variant];
        let strict = self.memory.sets.get(variant.strict);
        self.memory.topology.demand(&variant.rules, strict, ordinal, self.attempt)
    }

    /// Pending pods and pods of deleting nodes may go to nodes within consolidateAfter.
    fn is_exempt(&self, pod: PodId) -> bool {
        let cluster = self.view.cluster;
        let node = cluster.pods[pod].node;
        node.is_none_or(|node| cluster.claims[cluster.nodes[node].claim].is_deleting())
    }

    fn add(
        &mut self,
        pod: PodId,
        kind: usize,
        demand: &Demand,
        volumes: &VolumeDemand,
        exempt: bool,
    ) -> Result<(), Failure> {
        if !volumes.unresolved && self.add_to_existing(pod, kind, demand, volumes, exempt) {
            return Ok(());
        }
        if self.add_to_claim(pod, kind, demand, volumes) {
            return Ok(());
        }
        self.add_to_new_claim(pod, kind, demand, volumes)
    }

    fn add_to_existing(
        &mut self,
        pod: PodId,
        kind: usize,
        demand: &Demand,
        volumes: &VolumeDemand,
        exempt: bool,
    ) -> bool {
        let count = self.existing.len();
        let kind = &mut self.variants.kinds[kind];
        if kind.refused_nodes.universe() != count {
            kind.refused_nodes = BitSet::empty(count);
        }
        let variant = &self.variants.list[kind.variant];
        let seeker = Seeker { variant, requests: &kind.requests, demand, volumes };
        for i in kind.first_node..count {
            let node = &mut self.existing[i];
            if kind.refused_nodes.contains(i) || (node.under_consolidate_after && !exempt) {
                continue;
            }
            match node.can_add(&mut self.memory, &seeker) {
                Ok(set) => {
                    node.add(&mut self.memory, pod, &seeker, set);
                    return true;
                }
                Err(Duration::Now) => {}
                Err(_) => kind.refused_nodes.insert(i),
            }
        }
        while kind.refused_nodes.contains(kind.first_node) {
            kind.first_node += 1;
        }
        false
    }

    fn add_to_claim(
        &mut self,
        pod: PodId,
        kind: usize,
        demand: &Demand,
        volumes: &VolumeDemand,
    ) -> bool {
        let Variants { list: variants, kinds, .. } = &mut self.variants;
        let kind = &mut kinds[kind];
        kind.open_to(self.claims.len());
        if kind.open_count == 0 {
            return false;
        }
        self.order.settle();
        let order = &self.order;
        let few: Vec<u32> = match kind.open_count <= FEW {
            true => {
                let mut few: Vec<u32> = kind.open.iter().map(|claim| claim as u32).collect();
                few.sort_unstable_by_key(|claim| order.key(*claim));
                few
            }
            false => Vec::new(),
        };
        let tried = if few.is_empty() { order.current() } else { &few };
        let mut found = None;
        for claim in tried.iter().map(|claim| *claim as usize) {
            if !kind.open.contains(claim) {
                continue;
            }
            let variant = &variants[kind.variant];
            if variant.refused.contains(claim) {
                kind.close(claim);
                continue;
            }
            let template = &self.templates.list[self.claims[claim].template];
            let seeker = Seeker { variant, requests: &kind.requests, demand, volumes };
            match self.claims[claim].can_add(&mut self.memory, template, &seeker, false) {
                Ok(accepted) => {
                    let memory = &mut self.memory;
                    self.claims[claim].add(memory, template, pod, &seeker, accepted);
                    found = Some(claim);
                    break;
                }
                Err(refusal) => match refusal.duration() {
                    Duration::Now => {}
                    Duration::Kind => kind.close(claim),
                    Duration::Variant => {
                        kind.close(claim);
                        variants[kind.variant].refuse(claim);
                    }
                },
            }
        }
        if let Some(claim) = found {
            self.order.gain(claim);
        }
        found.is_some()
    }

    fn add_to_new_claim(
        &mut self,
        pod: PodId,
        kind: usize,
        demand: &Demand,
        volumes: &VolumeDemand,
    ) -> Result<(), Failure> {
        if self.templates.list.is_empty() {
            let text = "nodepool requirements filtered out all available instance types";
            return Err(Failure { text: text.into(), deferred: false });
        }
        let mut refusals: Vec<(usize, Refusal)> = Vec::new();
        for index in 0..self.templates.list.len() {
            match self.try_new_claim(pod, kind, demand, volumes, index) {
                Ok(()) => return Ok(()),
                Err(refusal) => {
                    let deferred = matches!(refusal, Refusal::Reserved(_));
                    refusals.push((index, refusal));
                    // Lower NodePools are not tried: reserved capacity comes back in a later batch.
                    if deferred {
                        break;
                    }
                }
            }
        }
        let deferred = matches!(refusals.last(), Some((_, Refusal::Reserved(_))));
        let texts: Vec<String> = refusals
            .iter()
            .map(|(index, refusal)| self.describe(kind, demand, *index, refusal))
            .collect();
        Err(Failure { text: texts.join("; ").into(), deferred })
    }

    fn try_new_claim(
        &mut self,
        pod: PodId,
        kind: usize,
        demand: &Demand,
        volumes: &VolumeDemand,
        index: usize,
    ) -> Result<(), Refusal> {
        let template = &self.templates.list[index];
        let options = self.options_within_limits(index)?.clone();
        let nameless = self.templates.placeholder.ok_or(Refusal::Limits)?;
        let host = self.memory.topology.next_host(nameless);
        let mut claim = InFlightClaim::new(index, self.template_sets[index], options, host);
        let kind = &self.variants.kinds[kind];
        let variant = &self.variants.list[kind.variant];
        let seeker = Seeker { variant, requests: &kind.requests, demand, volumes };
        let relax = self.view.settings.karpenter.best_effort_min_values;
        let accepted = claim.can_add(&mut self.memory, template, &seeker, relax)?;
        self.relaxed_min_values[index] = accepted.min_values_relaxed;
        claim.host = self.memory.topology.host(None, nameless);
        claim.add(&mut self.memory, template, pod, &seeker, accepted);
        self.charge_limits(&claim);
        self.order.push();
        self.claims.push(claim);
        Ok(())
    }

    fn options_within_limits(&mut self, index: usize) -> Result<&BitSet, Refusal> {
        let template = &self.templates.list[index];
        let Some(remaining) = &self.remaining[index] else {
            return Ok(&template.options);
        };
        if template::nodes_exhausted(remaining) {
            return Err(Refusal::NodeLimit);
        }
        let within =
            self.within_limits[index].get_or_insert_with(|| template.options_within(remaining));
        if within.is_empty() { Err(Refusal::Limits) } else { Ok(within) }
    }

    /// Charges the largest capacity among the claim's options, per resource that the limits name.
    fn charge_limits(&mut self, claim: &InFlightClaim) {
        let template = &self.templates.list[claim.template];
        if let Some(remaining) = &mut self.remaining[claim.template] {
            template.charge(remaining, &claim.options);
            self.within_limits[claim.template] = None;
        }
    }

    /// Upstream's text for a template's refusal.
    fn describe(
        &mut self,
        kind: usize,
        demand: &Demand,
        index: usize,
        refusal: &Refusal,
    ) -> String {
        let template = &self.templates.list[index];
        let kind = &self.variants.kinds[kind];
        let variant = &self.variants.list[kind.variant];
        let set = self.template_sets[index];
        let options = self.within_limits[index].as_ref().unwrap_or(&template.options);
        let requests = &kind.requests;
        let refused = Refused { template, options, set, variant, requests, demand };
        explain::describe(&mut self.memory, self.view, &refused, refusal)
    }

    fn into_solution(self, queue: Vec<PodId>, failures: Vec<Option<Failure>>) -> Solution {
        let Solve { view, templates, mut memory, existing, claims, order, .. } = self;
        let existing = existing
            .into_iter()
            .filter(|node| !node.pods.is_empty())
            .map(|n| ExistingPlacement { claim: n.claim, initialized: n.initialized, pods: n.pods })
            .collect();
        let mut solution = Solution { existing, queue, ..Solution::default() };
        for (pod, failure) in solution.queue.iter().zip(failures) {
            let Some(Failure { text, deferred }) = failure else { continue };
            let list = if deferred { &mut solution.deferred } else { &mut solution.unplaced };
            list.push((*pod, text.to_string()));
        }
        let strict = !view.settings.karpenter.best_effort_min_values;
        // Upstream's list is in the order of its last sort.
        let mut slots: Vec<Option<InFlightClaim>> = claims.into_iter().map(Some).collect();
        let sequence = order.current();
        let ordered = sequence.iter().filter_map(|claim| slots[*claim as usize].take());
        for claim in ordered {
            let template = &templates.list[claim.template];
            let relaxed = self.relaxed_min_values[claim.template];
            let plan =
                ClaimPlan { min_values_relaxed: relaxed, ..claim.finalize(&mut memory, template) };
            solution.truncate(plan, template, strict);
        }
        let place = |pod: &PodId| solution.queue.iter().position(|queued| queued == pod);
        if strict && solution.claims.len() < sequence.len() {
            let mut unplaced = std::mem::take(&mut solution.unplaced);
            unplaced.sort_by_cached_key(|(pod, _)| place(pod));
            solution.unplaced = unplaced;
        }
        solution
    }
}

impl Solution {
    /// Keeps the cheapest 600 instance types of a claim; if its minValues are lost with the rest, so is the claim, when
    /// they are `strict`.
    fn truncate(&mut self, mut plan: ClaimPlan, template: &Template, strict: bool) {
        plan.types.truncate(price::MAX_INSTANCE_TYPES);
        let options = plan.types.iter().map(|i| *i as usize);
        if !strict || min_values::unmet(&template.types, options, &plan.requirements).is_none() {
            self.claims.push(plan);
            return;
        }
        let error = "pod didn’t schedule because NodePool couldn’t meet minValues requirements";
        self.unplaced.extend(plan.pods.into_iter().map(|pod| (pod, error.to_owned())));
    }
}
