//! nodeclaim.podevents and nodeclaim.disruption: lastPodEventTime, the Drifted and the Consolidatable condition.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/nodeclaim/podevents/controller.go`,
//! `pkg/controllers/nodeclaim/disruption/{drift,consolidation}.go`.

use std::sync::Arc;

use super::Karpenter;
use crate::kube::Requirements;
use crate::kube::requirement::AllowUndefined;
use crate::units::SimDuration;
use crate::world::cluster::Claim;
use crate::world::{ClaimId, ClusterView, PodId, Wake, World};

/// Pod events within this time of the last recorded one are ignored.
const DEDUPE: SimDuration = SimDuration::from_seconds(10);
/// A launched NodeClaim is looked at again after this long even if nothing happens.
const DRIFT_PERIOD: SimDuration = SimDuration::from_minutes(5);

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
        let (drift, pool) = (drift_reason(&world.view(), claim), claim.pool);
        world.set_drifted(id, drift);
        if launched && world.keeps_queue_order() {
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

/// The first reason for which a NodeClaim is no longer what its NodePool asks for.
///
/// DEVIATION: `InstanceTypeNotFound`, for types that the provider no longer lists, is not modelled; nor are the
/// provider's reasons other than a changed EC2NodeClass and what a scenario says of the AMI.
fn drift_reason(view: &ClusterView<'_>, claim: &Claim) -> Option<Arc<str>> {
    claim.instance.as_ref()?;
    let pool = &view.cluster.pools[claim.pool];
    let template = &pool.spec.template;
    if claim.template.template.drift_fields != template.drift_fields {
        return Some("NodePoolDrifted".into());
    }
    let labels = Requirements::from_labels(&claim.labels);
    if !labels.compatible(&template.requirements, AllowUndefined::Nothing) {
        return Some("RequirementsDrifted".into());
    }
    if claim.class_fields != pool.class_fields {
        return Some("NodeClassDrift".into());
    }
    let class = claim.template.template.node_class;
    let declared = view.cluster.class_drifts.get(&class.symbol).into_iter().chain(&pool.drift);
    let mut own = declared.filter(|drift| claim.ordinal < drift.before);
    own.next().map(|drift| drift.reason.clone())
}
