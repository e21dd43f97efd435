//! nodeclaim.podevents and nodeclaim.disruption: lastPodEventTime, the Drifted and the Consolidatable condition.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/nodeclaim/podevents/controller.go`,
//! `pkg/controllers/nodeclaim/disruption/{drift,consolidation}.go`.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::Karpenter;
use crate::ec2::{CapacityType, Offering};
use crate::units::SimDuration;
use crate::world::cluster::{Claim, DRIFT_PERIOD, Instance, Pool};
use crate::world::{ClaimId, ClusterView, PodId, Wake, World};

/// Pod events within this time of the last recorded one are ignored.
const DEDUPE: SimDuration = SimDuration::from_seconds(10);
/// Whether its instance type still exists is asked of NodeClaims older than this, and again when this long has passed
/// since the answer was yes.
const TYPE_CHECK_AGE: SimDuration = SimDuration::from_minutes(60);
const TYPE_CHECK_PERIOD: SimDuration = SimDuration::from_minutes(30);

impl Karpenter {
    /// A pod was bound to a node, or told to leave it.
    pub fn on_pod_event(&mut self, world: &mut World, id: PodId) {
        let Some(pod) = world.cluster.pods.get(id) else {
            return;
        };
        let Some(node) = pod.node.and_then(|node| world.cluster.nodes.get(node)) else {
            return;
        };
        let claim = node.claim;
        let last = world.cluster.claims[claim].last_pod_event_at;
        if last.is_none_or(|last| world.now().since(last) >= DEDUPE) {
            world.set_last_pod_event(claim);
        }
    }

    /// One reconcile of a NodeClaim's conditions.
    pub fn on_conditions(&mut self, world: &mut World, id: ClaimId) {
        let Some(claim) = world.cluster.claims.get(id) else {
            return;
        };
        if claim.deletion_at.is_some() {
            return;
        }
        let launched = claim.instance.is_some();
        let (drift, pool) = (drift_reason(&world.view(), claim, &mut self.fitting), claim.pool);
        if drift.type_checked {
            world.set_type_checked(id);
        }
        world.set_drifted(id, drift.reason);
        // Nothing but a withdrawn instance type is found by looking again, and those are rare.
        if launched && (world.keeps_queue_order() || !world.cluster.withdrawn.is_empty()) {
            world.wake_after(Wake::Conditions(id), DRIFT_PERIOD);
        }
        if world.cluster.pools[pool].spec.replicas.is_some() {
            return;
        }
        let claim = &world.cluster.claims[id];
        let after = world.cluster.pools[claim.pool].spec.disruption.consolidate_after;
        let (Some(after), Some(initialized_at)) = (after, claim.initialized_at) else {
            return world.set_consolidatable(id, false);
        };
        let quiet_since = claim.last_pod_event_at.unwrap_or(initialized_at);
        let quiet_at = quiet_since + after;
        if after > SimDuration::ZERO && world.now() < quiet_at {
            world.set_consolidatable(id, false);
            world.wake_at(Wake::Conditions(id), quiet_at);
        } else {
            world.set_consolidatable(id, true);
        }
    }
}

/// What a look at a NodeClaim for drift found.
#[derive(Default)]
struct DriftCheck {
    /// Why it is drifted.
    reason: Option<Arc<str>>,
    /// Its instance type was looked up and is there.
    type_checked: bool,
}

/// NodeClaims that were what their NodePool asks for when it was last written: initialized ones, whose labels stay as
/// they are. A memo and nothing else.
#[derive(Clone, Debug, Default)]
pub(super) struct Fitting {
    /// The cluster's generation that the list belongs to.
    generation: u64,
    /// By ordinal.
    claims: FxHashSet<u64>,
}

impl Fitting {
    fn is_known(&self, view: &ClusterView<'_>, claim: &Claim) -> bool {
        !view.settings.plain
            && self.generation == view.cluster.generation
            && self.claims.contains(&claim.ordinal)
    }

    fn keep(&mut self, view: &ClusterView<'_>, claim: &Claim) {
        // Claims that are gone stay in the list until there are many of them.
        let is_full = self.claims.len() > 4 * view.cluster.claims_by_name.len() + 64;
        if self.generation != view.cluster.generation || is_full {
            self.generation = view.cluster.generation;
            self.claims.clear();
        }
        if claim.is_initialized() {
            self.claims.insert(claim.ordinal);
        }
    }
}

/// The first reason for which a NodeClaim is no longer what its NodePool asks for.
///
/// DEVIATION: the provider's reasons other than a changed EC2NodeClass and what a scenario says of the AMI are not
/// modelled.
fn drift_reason(view: &ClusterView<'_>, claim: &Claim, fitting: &mut Fitting) -> DriftCheck {
    let Some(instance) = claim.instance.as_ref() else {
        return DriftCheck::default();
    };
    if !fitting.is_known(view, claim) {
        if let Some(reason) = pool_reason(view, claim) {
            return DriftCheck { reason: Some(reason.into()), type_checked: false };
        }
        fitting.keep(view, claim);
    }
    let due = view.now.since(claim.created_at) > TYPE_CHECK_AGE
        && claim.type_checked_at.is_none_or(|at| view.now.since(at) > TYPE_CHECK_PERIOD);
    if due && !is_sold(&view.cluster.pools[claim.pool], instance) {
        return DriftCheck { reason: Some("InstanceTypeNotFound".into()), type_checked: false };
    }
    DriftCheck { reason: provider_reason(view, claim), type_checked: due }
}

/// Whether the NodePool's list has the instance's type, sold in its zone and capacity type; a reserved one may also be
/// sold on demand.
fn is_sold(pool: &Pool, instance: &Instance) -> bool {
    let name = instance.instance_type.get().name;
    let reserved = instance.capacity_type == CapacityType::Reserved;
    let fits = |offering: &Offering| {
        offering.zone == instance.zone
            && (offering.capacity_type == instance.capacity_type
                || reserved && offering.capacity_type == CapacityType::OnDemand)
    };
    pool.listed.iter().any(|it| it.name == name && it.offerings.iter().any(fits))
}

fn pool_reason(view: &ClusterView<'_>, claim: &Claim) -> Option<&'static str> {
    let template = &view.cluster.pools[claim.pool].spec.template;
    if claim.template.template.drift_fields != template.drift_fields {
        return Some("NodePoolDrifted");
    }
    if !template.requirements.hold_for(&claim.labels) {
        return Some("RequirementsDrifted");
    }
    None
}

fn provider_reason(view: &ClusterView<'_>, claim: &Claim) -> Option<Arc<str>> {
    let pool = &view.cluster.pools[claim.pool];
    if claim.class_fields != pool.class_fields {
        return Some("NodeClassDrift".into());
    }
    let class = claim.template.template.node_class;
    let declared = view.cluster.class_drifts.get(&class.symbol).into_iter().chain(&pool.drift);
    let mut own = declared.filter(|drift| claim.ordinal < drift.before);
    own.next().map(|drift| drift.reason.clone())
}
