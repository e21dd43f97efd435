//! Candidates: nodes that a method may disrupt, with what they cost and what moving their pods costs.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/disruption/{helpers,types,consolidation,emptiness}.go`.

use std::sync::Arc;

use super::Method;
use crate::ec2::CapacityType;
use crate::engine::{Purpose, Streams};
use crate::kube::node_pool::ConsolidationPolicy;
use crate::units::LabelValue;
use crate::world::cluster::Claim;
use crate::world::settings::TieBreaks;
use crate::world::{ClaimId, ClusterView, PoolIndex, World};

/// A node that may be disrupted.
#[derive(Clone, Debug)]
pub struct Candidate {
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
    /// Pods that would have to move.
    pub(super) pod_count: usize,
}

impl Candidate {
    /// What its removal saves per cost of moving its pods.
    pub fn savings_ratio(&self) -> f64 {
        self.price / self.reschedule_cost
    }

    /// No pod on it costs anything to move.
    fn is_empty(&self) -> bool {
        self.reschedule_cost <= 1.0
    }

    pub(super) fn is_live(&self, world: &World) -> bool {
        world.cluster.claims.get(self.claim).is_some()
    }
}

/// Candidates of a method, best saving per cost of moving first.
pub(super) fn of_method(view: &ClusterView<'_>, method: Method) -> Vec<Candidate> {
    let mut nodes: Vec<(ClaimId, &Claim)> =
        view.state_nodes().filter(|(_, claim)| is_disruptable(view, claim)).collect();
    if nodes.is_empty() {
        return Vec::new();
    }
    if view.settings.tie_breaks == TieBreaks::Seeded {
        // Karpenter lists its nodes in the order of a Go map: a different one in each pass.
        let streams = Streams::new(view.settings.seed);
        let pass = (view.now.ms() / 1_000) as u32;
        nodes.sort_by_key(|(_, claim)| {
            (streams.mix(Purpose::CandidateTie, claim.ordinal, pass), claim.ordinal)
        });
    }
    let mut candidates: Vec<Candidate> = nodes
        .into_iter()
        .filter_map(|(id, claim)| new(view, id, claim))
        .filter(|candidate| should_disrupt(view, candidate, method))
        .collect();
    candidates.sort_by(|a, b| b.savings_ratio().total_cmp(&a.savings_ratio()));
    candidates
}

/// The tests that all methods share.
fn is_disruptable(view: &ClusterView<'_>, claim: &Claim) -> bool {
    let protected =
        |claim: &Claim| view.pods_of(claim).iter().any(|(_, pod)| view.is_protected(pod));
    !claim.in_command
        && claim.node.is_some()
        && claim.is_initialized()
        && !claim.is_deleting()
        && claim.nominated_until <= view.now
        && !protected(claim)
}

fn new(view: &ClusterView<'_>, id: ClaimId, claim: &Claim) -> Option<Candidate> {
    let instance = claim.instance.as_ref()?;
    let instance_type = instance.instance_type.get();
    let mut reschedule_cost = 1.0;
    let pods = view.reschedulable_pods(claim);
    for (_, pod) in &pods {
        reschedule_cost += pod.class.eviction_cost().max(0.0);
    }
    let price = instance_type.offering_price(instance.zone, instance.capacity_type);
    Some(Candidate {
        claim: id,
        pool: claim.pool,
        type_name: view.symbols.text(instance_type.name.symbol).into(),
        type_symbol: instance_type.name,
        zone: instance.zone,
        capacity_type: instance.capacity_type,
        price: price.unwrap_or(0.0),
        reschedule_cost,
        pod_count: pods.len(),
    })
}

/// The method's own test.
fn should_disrupt(view: &ClusterView<'_>, candidate: &Candidate, method: Method) -> bool {
    let claim = &view.cluster.claims[candidate.claim];
    let disruption = &view.cluster.pools[candidate.pool].spec.disruption;
    if disruption.consolidate_after.is_none() || !claim.consolidatable {
        return false;
    }
    match method {
        Method::Emptiness => candidate.is_empty(),
        Method::MultiNode | Method::SingleNode => {
            !candidate.is_empty()
                && disruption.policy != ConsolidationPolicy::WhenEmpty
                && view.has_offering_labels(claim)
        }
    }
}
