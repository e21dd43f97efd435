//! A batch: what pods need a place, what the core decides, what is created and promised.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/provisioner.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::disruption::account as tell;
use super::{Karpenter, capacity_buffer, kept};
use crate::scheduling::{self, ClaimPlan, Purpose, Solution, validation};
use crate::units::{ResourceVec, SimDuration, SimTime};
use crate::world::account::{Account, Batch, Planned, Refused};
use crate::world::claims::NewClaim;
use crate::world::{ClaimId, ClusterView, Fact, PodId, PoolIndex, World};

/// Karpenter's FailedScheduling event of a pod is not repeated within this time.
const FAILURE_REPEAT: SimDuration = SimDuration::from_minutes(5);

/// When which error of a pod was last reported. Karpenter logs an error in every batch and publishes the event every
/// five minutes; the journal follows the event, and a changed text at once.
#[derive(Clone, Debug, Default)]
pub(super) struct FailureMemory(BTreeMap<u64, (SimTime, Arc<str>)>);

impl FailureMemory {
    fn is_news(&mut self, pod: u64, error: &Arc<str>, now: SimTime) -> bool {
        let old = self.0.get(&pod);
        let repeated =
            old.is_some_and(|(at, text)| text == error && now.since(*at) < FAILURE_REPEAT);
        if !repeated {
            self.0.insert(pod, (now, error.clone()));
        }
        !repeated
    }
}

impl Karpenter {
    /// The batching window closed.
    pub fn on_batch_ends(&mut self, world: &mut World) {
        self.batcher.close(world.now());
        if !world.view().is_synced() {
            // The batch is lost: its pods come back with their next trigger.
            world.record(Fact::BatchDropped);
            return;
        }
        let pods = pods_to_place(&world.view());
        if pods.is_empty() || world.cluster.pools.is_empty() {
            return capacity_buffer::note_hosts(world, &Solution::default());
        }
        let core = kept(&mut self.core, world);
        let mut solution = core.solve(&world.view(), &pods, (Purpose::Provision, None));
        pin_capacity_types(&world.view(), &mut solution);
        self.report(world, &solution);
        capacity_buffer::note_hosts(world, &solution);
        for placement in &solution.existing {
            // A node that is promised to virtual pods alone is promised to nobody.
            if placement.pods.iter().any(|pod| !world.cluster.pods[*pod].is_virtual()) {
                world.nominate(placement.claim);
            }
        }
        let mut told = world.is_witnessed().then(|| batch(&world.view(), &solution));
        // New NodeClaims do not count: the limits are looked at once for all of them.
        let pools: BTreeSet<PoolIndex> = solution.claims.iter().map(|plan| plan.pool).collect();
        let view = world.view();
        let full: BTreeSet<PoolIndex> =
            pools.into_iter().filter(|pool| exceeds_limits(&view, *pool)).collect();
        for (number, plan) in solution.claims.into_iter().enumerate() {
            let is_full = full.contains(&plan.pool);
            let claim = (!is_full).then(|| create_within_limits(world, plan, "provisioned"));
            if let Some(planned) = told.as_mut().and_then(|batch| batch.claims.get_mut(number)) {
                planned.claim = claim.map(|id| world.cluster.claims[id].name.clone());
            }
        }
        if let Some(batch) = told {
            world.tell(Account::Batch(batch));
        }
    }

    fn report(&mut self, world: &mut World, solution: &Solution) {
        let now = world.now();
        let reference = |id: &PodId| world.cluster.pods[*id].reference();
        let first = if solution.claims.is_empty() { 0 } else { solution.queue.len().min(5) };
        let batch = Fact::BatchScheduled {
            pods: solution.queue[..first].iter().map(reference).collect(),
            pod_count: solution.queue.len(),
            claims: solution.claims.len(),
            claim_pods: solution.claims.iter().map(|claim| claim.pods.len()).sum(),
            nodes: solution.existing.len(),
            node_pods: solution.existing.iter().map(|node| node.pods.len()).sum(),
        };
        let failures: Vec<Fact> = solution
            .unplaced
            .iter()
            .filter_map(|(id, error)| {
                let pod = world.cluster.pods[*id].reference();
                let error: Arc<str> = error.as_str().into();
                let news = self.failures.is_news(pod.ordinal, &error, now);
                news.then_some(Fact::PodFailedScheduling { pod, error })
            })
            .collect();
        world.record(batch);
        failures.into_iter().for_each(|fact| world.record(fact));
    }
}

/// What a witness is told of a batch; the names of new NodeClaims are not known yet.
fn batch(view: &ClusterView<'_>, solution: &Solution) -> Box<Batch> {
    let names = |pods: &[PodId]| {
        pods.iter().map(|pod| view.cluster.pods[*pod].full_name().into()).collect()
    };
    let existing = solution.existing.iter();
    let claims = solution.claims.iter();
    let without = solution.unplaced.iter().chain(&solution.deferred);
    let ignored = ignored_pods(view);
    Box::new(Batch {
        at: view.now,
        existing: existing
            .map(|node| (view.cluster.claims[node.claim].name.clone(), names(&node.pods)))
            .collect(),
        claims: claims
            .map(|plan| Planned {
                claim: None,
                plan: tell::plan(view, plan),
                pods: names(&plan.pods),
            })
            .collect(),
        unplaced: without
            .chain(&ignored)
            .map(|(pod, text)| (view.cluster.pods[*pod].full_name().into(), text.as_str().into()))
            .collect(),
        refused: refused(view, solution),
    })
}

/// Why existing nodes did not take the pods that are on none, for the first pod of each kind.
fn refused(view: &ClusterView<'_>, solution: &Solution) -> Vec<(Vec<Arc<str>>, Vec<Refused>)> {
    let mut kinds: Vec<(PodId, Vec<Arc<str>>)> = Vec::new();
    let class = |pod: &PodId| &view.cluster.pods[*pod].class;
    let claimed = solution.claims.iter().flat_map(|plan| &plan.pods);
    let unplaced = solution.unplaced.iter().chain(&solution.deferred).map(|(pod, _)| pod);
    for pod in claimed.chain(unplaced) {
        let name = view.cluster.pods[*pod].full_name().into();
        match kinds.iter_mut().find(|(first, _)| Arc::ptr_eq(class(first), class(pod))) {
            Some((_, names)) => names.push(name),
            None => kinds.push((*pod, vec![name])),
        }
    }
    let told = kinds.into_iter().map(|(pod, names)| {
        let refusals = scheduling::refusals(view, solution, pod).into_iter();
        let refused = refusals.map(|refusals| Refused {
            reason: refusals.reason,
            count: refusals.count,
            node: view.cluster.claims[refusals.example].name.clone(),
            detail: refusals.detail.into(),
        });
        (names, refused.collect())
    });
    told.collect()
}

/// Pods that wait for capacity: provisionable ones that pass validation, and the virtual ones of CapacityBuffers.
pub(super) fn waiting_pods(view: &ClusterView<'_>) -> Vec<PodId> {
    let is_valid = |id: &PodId| validation::ignored(view, &view.cluster.pods[*id]).is_none();
    view.provisionable_pods().filter(is_valid).chain(view.virtual_pods()).collect()
}

/// Pods of nodes on their way out that may move now.
pub(super) fn leaving_pods(view: &ClusterView<'_>) -> impl Iterator<Item = PodId> {
    view.deleting_state_nodes().flat_map(|(_, claim)| view.currently_reschedulable_pods(claim))
}

/// The waiting pods, then the leaving ones.
pub(crate) fn pods_to_place(view: &ClusterView<'_>) -> Vec<PodId> {
    let mut pods = waiting_pods(view);
    pods.extend(leaving_pods(view));
    pods
}

/// Provisionable pods that validation keeps out of the batch, each with Karpenter's reason.
pub(crate) fn ignored_pods(view: &ClusterView<'_>) -> Vec<(PodId, String)> {
    let reason = |id| Some((id, validation::ignored(view, &view.cluster.pods[id])?));
    view.provisionable_pods().filter_map(reason).collect()
}

/// What becomes of a plan's requirements when its NodeClaim is made.
pub(crate) fn pin_capacity_types(view: &ClusterView<'_>, solution: &mut Solution) {
    solution.claims.iter_mut().for_each(|plan| plan.pin_capacity_types(view));
}

/// Creates the NodeClaim of a plan, unless its NodePool already uses more than a limit allows.
pub(super) fn create(world: &mut World, plan: ClaimPlan, reason: &'static str) -> Option<ClaimId> {
    if exceeds_limits(&world.view(), plan.pool) {
        return None;
    }
    Some(create_within_limits(world, plan, reason))
}

fn create_within_limits(world: &mut World, plan: ClaimPlan, reason: &'static str) -> ClaimId {
    let ClaimPlan { pool, requirements, types: options, requests, .. } = plan;
    world.create_claim(NewClaim { pool, reason, requirements, options, requests })
}

/// True iff some resource that the limits name is in use beyond its limit. NodeClaims without provider id do not count.
fn exceeds_limits(view: &ClusterView<'_>, pool: PoolIndex) -> bool {
    let Some(limits) = &view.cluster.pools[pool].spec.limits else {
        return false;
    };
    let mut usage = ResourceVec::default();
    for (_, claim) in view.state_nodes() {
        if claim.pool == pool && !claim.is_deleting() {
            usage.add(&view.capacity(claim));
        }
    }
    limits.iter().any(|(name, limit)| usage.get(name) > limit)
}
