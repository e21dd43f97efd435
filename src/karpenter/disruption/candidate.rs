//! Candidates: nodes that a method may disrupt, with what they cost and what moving their pods costs.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/{helpers,types,consolidation,emptiness,drift}.go`.

use std::sync::Arc;

use super::Method;
use crate::ec2::{CapacityType, InstanceType};
use crate::kube::PodClass;
use crate::kube::node_pool::ConsolidationPolicy;
use crate::kube::pod::DoNotDisrupt;
use crate::scheduling::Classes;
use crate::units::{LabelValue, SimTime};
use crate::world::cluster::{Claim, Pod};
use crate::world::{ClaimId, ClusterView, PodId, PoolIndex, World};

/// A node that may be disrupted. Cheap to copy: most passes list all nodes.
#[derive(Clone, Debug)]
pub struct Candidate(Arc<Details>);

/// What is known of a [`Candidate`].
#[derive(Clone, Debug)]
pub struct Details {
    /// The NodeClaim.
    pub claim: ClaimId,
    /// Its NodePool.
    pub pool: PoolIndex,
    pub(super) type_name: Arc<str>,
    pub(super) type_symbol: LabelValue,
    pub(super) zone: LabelValue,
    pub(super) capacity_type: CapacityType,
    /// USD per hour of its offering, 0 when unknown.
    pub price: f64,
    /// 1 for the node, and the positive eviction costs of its pods.
    pub reschedule_cost: f64,
    /// Pods that would have to move, in order of namespace and name.
    pub pods: Arc<[PodId]>,
    /// Some pod is protected or has a PodDisruptionBudget: whether it may move has to be asked each time.
    pub(super) is_guarded: bool,
    /// The classes of these pods, with their numbers.
    pub(super) classes: Classes,
    /// Since when it is drifted.
    pub(super) drifted_at: Option<SimTime>,
}

impl std::ops::Deref for Candidate {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl Candidate {
    /// The NodePool's number changed.
    pub(super) fn renumber_pool(&mut self, pool: PoolIndex) {
        if self.pool != pool {
            Arc::make_mut(&mut self.0).pool = pool;
        }
    }

    /// What its removal saves per cost of moving its pods.
    pub fn savings_ratio(&self) -> f64 {
        self.price / self.reschedule_cost
    }

    /// The method's own test, beyond [`is_eligible`].
    pub(super) fn suits(&self, method: Method) -> bool {
        match method {
            Method::StaticDrift | Method::Drift => true,
            Method::Emptiness => self.is_empty(),
            Method::MultiNode | Method::SingleNode => !self.is_empty(),
        }
    }

    /// Nothing protects any of its pods now.
    pub(super) fn all_pods_may_move(&self, view: &ClusterView<'_>) -> bool {
        let pods = || self.pods.iter().map(|pod| &view.cluster.pods[*pod]);
        !self.is_guarded || pods().all(|pod| view.may_move(pod))
    }

    /// Nothing that it says of the node has changed.
    fn is_current(&self, view: &ClusterView<'_>, id: ClaimId, claim: &Claim) -> bool {
        let offering = claim.instance.as_ref().map(|instance| {
            (instance.instance_type.get().name, instance.zone, instance.capacity_type)
        });
        let node = view.node(claim).into_iter();
        let pods = || {
            let all = node.clone().flat_map(|node| &node.pods);
            let all = all.map(|id| (id, &view.cluster.pods[*id]));
            all.filter(|(_, pod)| pod.is_reschedulable())
        };
        (self.claim, self.pool) == (id, claim.pool)
            && offering == Some((self.type_symbol, self.zone, self.capacity_type))
            && self.drifted_at == claim.drifted.as_ref().map(|drift| drift.since)
            && self.price.to_bits() == price_now(view, claim).to_bits()
            && pods().map(|(id, _)| id).eq(self.pods.iter())
            && self.is_guarded == pods().any(|(_, pod)| is_guarded(pod))
    }

    /// No pod on it costs anything to move.
    fn is_empty(&self) -> bool {
        self.reschedule_cost <= 1.0
    }

    pub(super) fn is_live(&self, world: &World) -> bool {
        world.cluster.claims.get(self.claim).is_some()
    }
}

/// The tests of the node itself that all methods share, nomination apart.
pub(super) fn is_disruptable(view: &ClusterView<'_>, claim: &Claim) -> bool {
    !claim.in_command
        && claim.node.is_some()
        && claim.is_initialized()
        && !claim.is_deleting()
        && !view.node(claim).is_some_and(|node| node.do_not_disrupt)
        && !view.cluster.pools[claim.pool].types.is_empty()
        && !view.cluster.pools[claim.pool].deleted
}

/// do-not-disrupt and PodDisruptionBudgets. A terminationGracePeriod overrides them for drift, because then they cannot
/// hold the node for ever.
pub(super) fn pods_permit(view: &ClusterView<'_>, claim: &Claim, method: Method) -> bool {
    let overridden = claim.template.template.termination_grace_period.is_some();
    if method.is_eventual() && overridden {
        return true;
    }
    let Some(node) = view.node(claim) else {
        return false;
    };
    node.pods.iter().all(|id| {
        let pod = &view.cluster.pods[*id];
        !view.is_protected(pod) && !view.blocks_eviction(pod)
    })
}

/// The candidate of a node; `old`, if that says the same of it.
pub(super) fn renew(
    view: &ClusterView<'_>,
    (id, claim): (ClaimId, &Claim),
    old: Option<&Candidate>,
) -> Option<Candidate> {
    match old.filter(|old| old.is_current(view, id, claim)) {
        Some(old) => Some(old.clone()),
        None => new(view, id, claim),
    }
}

pub(super) fn new(view: &ClusterView<'_>, id: ClaimId, claim: &Claim) -> Option<Candidate> {
    let instance = claim.instance.as_ref()?;
    let launched = instance.instance_type.get();
    let pods = view.reschedulable_pods(claim);
    let mut reschedule_cost = 1.0;
    for (_, pod) in &pods {
        reschedule_cost += pod.class.eviction_cost().max(0.0);
    }
    Some(Candidate(Arc::new(Details {
        claim: id,
        pool: claim.pool,
        type_name: view.symbols.text(launched.name.symbol).into(),
        type_symbol: launched.name,
        zone: instance.zone,
        capacity_type: instance.capacity_type,
        price: price_now(view, claim),
        reschedule_cost,
        is_guarded: pods.iter().any(|(_, pod)| is_guarded(pod)),
        classes: classes(&pods),
        pods: pods.into_iter().map(|(pod, _)| pod).collect(),
        drifted_at: claim.drifted.as_ref().map(|drift| drift.since),
    })))
}

/// do-not-disrupt or a PodDisruptionBudget may hold the pod.
pub(super) fn is_guarded(pod: &Pod) -> bool {
    pod.do_not_disrupt != DoNotDisrupt::No || !pod.budgets.is_empty()
}

fn classes(pods: &[(PodId, &Pod)]) -> Classes {
    let mut classes: Vec<(Arc<PodClass>, u32)> = Vec::new();
    for (_, pod) in pods {
        match classes.iter_mut().find(|(class, _)| Arc::ptr_eq(class, &pod.class)) {
            Some((_, count)) => *count += 1,
            None => classes.push((pod.class.clone(), 1)),
        }
    }
    classes.into()
}

/// The claim's instance type as the NodePool has it at present; none when the provider no longer lists it.
fn instance_type_now<'a>(view: &ClusterView<'a>, claim: &Claim) -> Option<&'a InstanceType> {
    let launched = claim.instance.as_ref()?;
    let types = &view.cluster.pools[claim.pool].types;
    let name = launched.instance_type.get().name;
    // Lists rarely change, and when they do the positions usually stay.
    let same = types.get(launched.instance_type.index).filter(|it| it.name == name);
    let listed = same.or_else(|| types.iter().find(|it| it.name == name));
    listed.filter(|it| !it.offerings.is_empty())
}

/// Reschedule cost of a node that is no candidate: the positive eviction costs of what is bound to it (karpenter
/// v1.14.1 `StateNode.DisruptionCost`).
pub(super) fn bound_pods_cost(view: &ClusterView<'_>, claim: &Claim) -> f64 {
    let mut cost = 1.0;
    for (_, pod) in view.pods_of(claim) {
        if !pod.is_daemon() && !pod.is_finished() {
            cost += pod.class.eviction_cost().max(0.0);
        }
    }
    cost
}

/// USD per hour of the claim's offering, 0 when unknown.
fn price_now(view: &ClusterView<'_>, claim: &Claim) -> f64 {
    let instance = claim.instance.as_ref();
    let price = instance
        .zip(instance_type_now(view, claim))
        .and_then(|(instance, it)| it.offering_price(instance.zone, instance.capacity_type));
    price.unwrap_or(0.0)
}

/// What the method asks of NodePool and NodeClaim.
pub(super) fn is_eligible(view: &ClusterView<'_>, claim: &Claim, method: Method) -> bool {
    let spec = &view.cluster.pools[claim.pool].spec;
    match method {
        Method::StaticDrift => spec.replicas.is_some() && claim.drifted.is_some(),
        Method::Drift => spec.replicas.is_none() && claim.drifted.is_some(),
        Method::Emptiness => {
            spec.replicas.is_none()
                && spec.disruption.consolidate_after.is_some()
                && claim.consolidatable
        }
        Method::MultiNode | Method::SingleNode => {
            spec.replicas.is_none()
                && spec.disruption.consolidate_after.is_some()
                && claim.consolidatable
                && spec.disruption.policy != ConsolidationPolicy::WhenEmpty
                && view.has_offering_labels(claim)
                && instance_type_now(view, claim).is_some()
        }
    }
}
