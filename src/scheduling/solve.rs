//! One Solve: the queue of pods, and where each of them is tried.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/{scheduler,queue}.go`.

use std::collections::VecDeque;
use std::sync::Arc;

use super::claim::{Duration, InFlightClaim, Memory, Refusal, Seeker};
use super::claim_order::ClaimOrder;
use super::existing::Before;
use super::explain::{self, Refused};
use super::ground::Ground;
use super::reservation::Reservations;
use super::template::{self, Template};
use super::topology::Demand;
use super::variant::{self, Variants};
use super::volume::VolumeDemand;
use super::{ClaimPlan, ExistingPlacement, Purpose, Solution, Templates, min_values, plain, price};
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
    solve_on(&mut Ground::new(view, templates), view, templates, pods, (purpose, None))
}

/// As [`solve`], on a ground that is kept from one Solve to the next. It must be up to date with the cluster. With a
/// limit the Solve is given up as soon as it is known that it leads to no command of consolidation that saves: one with
/// at most one NodeClaim, which costs less than so much, and without running pods on nodes that are still starting.
pub fn solve_on(
    ground: &mut Ground,
    view: &ClusterView<'_>,
    templates: &Templates,
    pods: &[PodId],
    (purpose, limit): (Purpose, Option<f64>),
) -> Solution {
    ground.begin(view, pods, purpose);
    let mut solve = Solve::new(ground, view, templates, purpose);
    let keeps_all = |template: &Template| !template.requirements.has_min_values();
    // A NodeClaim can be lost again for its minValues.
    solve.limit = limit.filter(|_| templates.list.iter().all(keeps_all));
    // All pods are known to the topology before the first is placed.
    pods.iter().for_each(|pod| {
        solve.first_kind(*pod);
    });
    let queue = solve.sorted(pods);
    let failures = solve.run(&queue);
    let solution = solve.into_solution(queue, failures);
    ground.end();
    solution
}

/// Why a pod has no place.
#[derive(Clone, Debug)]
struct Failure {
    text: Arc<str>,
    deferred: bool,
}

/// The state of one Solve.
struct Solve<'a> {
    ground: &'a mut Ground,
    view: &'a ClusterView<'a>,
    templates: &'a Templates,
    purpose: Purpose,
    /// USD per hour that a new NodeClaim must stay below.
    limit: Option<f64>,
    /// The Solve leads to nothing.
    given_up: bool,
    claims: Vec<InFlightClaim>,
    order: ClaimOrder,
    remaining: Vec<Option<ResourceVec>>,
    /// The options of each template within its remaining limits, while they are known.
    within_limits: Vec<Option<BitSet>>,
    /// Whether the last claim of each template had its minValues lowered: upstream's annotations are shared.
    relaxed_min_values: Vec<bool>,
    /// Existing nodes that were given pods.
    changed: Vec<Changed>,
    /// Pods placed so far.
    version: u64,
    /// Tries so far.
    attempt: u32,
}

/// An existing node that was given pods.
struct Changed {
    position: usize,
    place: u32,
    before: Before,
}

impl<'a> Solve<'a> {
    fn new(
        ground: &'a mut Ground,
        view: &'a ClusterView<'a>,
        templates: &'a Templates,
        purpose: Purpose,
    ) -> Solve<'a> {
        let options = &view.settings.karpenter;
        let list = &templates.list;
        ground.memory.strict_reservations = purpose == Purpose::Provision;
        ground.memory.reservations = match options.reserved_capacity {
            true => Reservations::new(list),
            false => Reservations::default(),
        };
        Solve {
            remaining: ground.remaining_limits(view, templates),
            within_limits: vec![None; list.len()],
            relaxed_min_values: vec![false; list.len()],
            ground,
            view,
            templates,
            purpose,
            limit: None,
            given_up: false,
            claims: Vec::new(),
            order: ClaimOrder::default(),
            changed: Vec::new(),
            version: 0,
            attempt: 0,
        }
    }

    /// The unrelaxed kind of a pod.
    fn first_kind(&mut self, pod: PodId) -> usize {
        let Ground { memory: Memory { sets, topology, .. }, variants, .. } = &mut *self.ground;
        variants.first(self.view, &self.view.cluster.pods[pod].class, sets, topology)
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
                    if self.given_up {
                        break;
                    }
                }
                Err(failure) => {
                    failures[position] = Some(failure);
                    queue.push_back((position, queue.len() + 1));
                }
            }
        }
        failures
    }

    /// A claim whose options all cost too much makes the Solve worthless.
    fn check_limit(&mut self, claim: usize) {
        let InFlightClaim { template, options, .. } = &self.claims[claim];
        let template = &self.templates.list[*template];
        self.given_up |= self.limit.is_some_and(|limit| !template.costs_below(options, limit));
    }

    /// Tries to place a pod, relaxing it as far as needed.
    fn place(&mut self, id: PodId) -> Result<(), Failure> {
        let pod = &self.view.cluster.pods[id];
        let volumes = match pod.class.volumes.is_empty() {
            true => VolumeDemand::default(),
            false => VolumeDemand::of(self.view, pod, &mut self.ground.memory.sets),
        };
        let first = self.first_kind(id);
        // Pending pods and pods of deleting nodes may go to nodes within consolidateAfter.
        let exempt = usize::from(!self.view.is_on_staying_node(id));
        if let Some((version, failure)) = &self.ground.variants.kinds[first].failed[exempt]
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
                    let Ground { memory: Memory { sets, topology, .. }, variants, .. } =
                        &mut *self.ground;
                    let Some(relaxed) = variants.relax(self.view, kind, sets, topology) else {
                        if pod.class.volumes.is_empty() && !by_chance {
                            let failed = (self.version, failure.text.clone());
                            variants.kinds[first].failed[exempt] = Some(failed);
                        }
                        return Err(failure);
                    };
                    kind = relaxed;
                }
            }
        }
    }

    fn demand(&mut self, kind: usize, ordinal: u64) -> Demand {
        let Ground { memory: Memory { sets, topology, .. }, variants, .. } = &mut *self.ground;
        let variant = &variants.list[variants.kinds[kind].variant];
        let strict = sets.get(variant.strict);
        topology.demand(self.view, &variant.rules, strict, ordinal, self.attempt)
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
        let Ground { memory, variants: Variants { list, kinds, .. }, nodes, .. } =
            &mut *self.ground;
        let kind = &mut kinds[kind];
        let variant = &list[kind.variant];
        let seeker = Seeker { variant, requests: &kind.requests, demand, volumes };
        let heeds_closing = self.purpose == Purpose::Consolidation && !exempt;
        let mut position = kind.refused_nodes.next_absent(0);
        while let Some(place) = nodes.at(position) {
            let node = &mut nodes[place];
            let closed = heeds_closing && self.view.now < node.closed_until;
            if !closed && !node.removed {
                match node.can_add(memory, &seeker) {
                    Ok(set) => {
                        if node.pods.is_empty() {
                            self.changed.push(Changed { position, place, before: node.before() });
                        }
                        node.add(memory, pod, &seeker, set);
                        let starting = heeds_closing && !node.initialized;
                        self.given_up |= starting && self.limit.is_some();
                        return true;
                    }
                    Err(Duration::Now) => {}
                    Err(duration) => {
                        kind.refused_nodes.insert(position);
                        if node.pods.is_empty() && duration != Duration::Solve {
                            kind.shut.insert(position);
                        }
                    }
                }
            }
            position = kind.refused_nodes.next_absent(position + 1);
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
        let Ground { memory, variants: Variants { list: variants, kinds, .. }, .. } =
            &mut *self.ground;
        let kind = &mut kinds[kind];
        kind.open_to(self.claims.len());
        // The list is sorted even when no claim of it is looked at: its order is that of the solution.
        self.order.settle();
        if kind.open_count == 0 {
            return false;
        }
        let order = &self.order;
        let few: Vec<u32> = match kind.open_count <= FEW && !plain::is_on() {
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
            match self.claims[claim].can_add(memory, template, &seeker, false) {
                Ok(accepted) => {
                    self.claims[claim].add(memory, template, pod, &seeker, accepted);
                    found = Some(claim);
                    break;
                }
                Err(refusal) => match refusal.duration() {
                    Duration::Now => {}
                    Duration::Kind => kind.close(claim),
                    Duration::Variant | Duration::Solve => {
                        kind.close(claim);
                        variants[kind.variant].refuse(claim);
                    }
                },
            }
        }
        if let Some(claim) = found {
            self.order.gain(claim);
            self.check_limit(claim);
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
        if self.purpose != Purpose::Provision
            && let Some(text) = &self.ground.no_text
        {
            return Err(Failure { text: text.clone(), deferred });
        }
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
        let Ground { memory, variants, template_sets, .. } = &mut *self.ground;
        let host = memory.topology.next_host(nameless);
        let mut claim = InFlightClaim::new(index, template_sets[index], options, host);
        let kind = &variants.kinds[kind];
        let variant = &variants.list[kind.variant];
        let seeker = Seeker { variant, requests: &kind.requests, demand, volumes };
        let relax = self.view.settings.karpenter.best_effort_min_values;
        let accepted = claim.can_add(memory, template, &seeker, relax)?;
        self.relaxed_min_values[index] = accepted.min_values_relaxed;
        claim.host = memory.topology.host(None, nameless);
        claim.add(memory, template, pod, &seeker, accepted);
        self.charge_limits(&claim);
        self.order.push();
        self.claims.push(claim);
        self.given_up |= self.limit.is_some() && self.claims.len() > 1;
        self.check_limit(self.claims.len() - 1);
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
        if plain::is_on() {
            self.within_limits[index] = None;
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
        let Ground { memory, variants, template_sets, .. } = &mut *self.ground;
        let kind = &variants.kinds[kind];
        let variant = &variants.list[kind.variant];
        let set = template_sets[index];
        let options = self.within_limits[index].as_ref().unwrap_or(&template.options);
        let requests = &kind.requests;
        let refused = Refused { template, options, set, variant, requests, demand };
        explain::describe(memory, self.view, &refused, refusal)
    }

    fn into_solution(self, queue: Vec<PodId>, failures: Vec<Option<Failure>>) -> Solution {
        let given_up = self.given_up;
        let Solve { ground, view, templates, claims, order, mut changed, .. } = self;
        changed.sort_unstable_by_key(|changed| changed.position);
        let placed = |Changed { place, before, .. }: Changed| {
            let node = &mut ground.nodes[place];
            let pods = node.restore(before);
            ExistingPlacement { claim: node.claim, initialized: node.initialized, pods }
        };
        let existing = changed.into_iter().map(placed).collect();
        let mut solution = Solution { existing, queue, given_up, ..Solution::default() };
        if given_up {
            return solution;
        }
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
            let plan = ClaimPlan {
                min_values_relaxed: relaxed,
                ..claim.finalize(&mut ground.memory, template)
            };
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
