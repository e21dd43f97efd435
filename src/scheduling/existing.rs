//! Existing nodes during one Solve: launched claims and registered nodes that may take pods.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/existingnode.go`.

use super::template::{runs_on_node, with_pod_count};
use super::variant::Variant;
use crate::kube::requirement::AllowUndefined;
use crate::kube::taint::{self, Taint};
use crate::kube::{Requirement, Requirements, label};
use crate::units::ResourceVec;
use crate::world::cluster::Claim;
use crate::world::{ClaimId, ClusterView, PodId};

/// A node that may take pods.
#[derive(Clone, Debug)]
pub(super) struct ExistingNode {
    pub(super) claim: ClaimId,
    pub(super) initialized: bool,
    /// Closed to pods that are neither pending nor fleeing a deleting node.
    pub(super) under_consolidate_after: bool,
    taints: Vec<Taint>,
    requirements: Requirements,
    remaining: ResourceVec,
    pub(super) pods: Vec<PodId>,
}

/// All active nodes in the order of first fit: initialized ones first, then by name.
pub(super) fn existing_nodes(view: &ClusterView<'_>, enforce: bool) -> Vec<ExistingNode> {
    let mut nodes: Vec<ExistingNode> = view
        .active_state_nodes()
        .map(|(id, claim)| ExistingNode::new(view, id, claim, enforce))
        .collect();
    // State nodes come by name; the stable sort keeps that within both halves.
    nodes.sort_by_key(|node| !node.initialized);
    nodes
}

impl ExistingNode {
    fn new(view: &ClusterView<'_>, id: ClaimId, claim: &Claim, enforce: bool) -> ExistingNode {
        let taints = view.taints(claim);
        let mut requirements = Requirements::from_labels(view.labels(claim));
        if requirements.get(label::HOSTNAME).is_none()
            && let Some(name) = view.symbols.find(&claim.name)
        {
            requirements.add(label::HOSTNAME, Requirement::is(view.symbols.value(name)));
        }
        let remaining = remaining_resources(view, claim, &taints, &requirements);
        ExistingNode {
            claim: id,
            initialized: claim.is_initialized(),
            under_consolidate_after: enforce && is_under_consolidate_after(view, claim),
            taints,
            requirements,
            remaining,
            pods: Vec::new(),
        }
    }

    /// Takes the pod if taints, resources and requirements allow it.
    pub(super) fn try_add(&mut self, pod: PodId, variant: &Variant) -> bool {
        let accepted = taint::first_untolerated(&self.taints, &variant.tolerations).is_none()
            && variant.class.requests.fits(&self.remaining)
            && self.requirements.compatible(&variant.requirements, AllowUndefined::Nothing);
        if accepted {
            self.pods.push(pod);
            self.remaining.subtract(&variant.class.requests);
            self.requirements.add_all(&variant.requirements);
        }
        accepted
    }
}

/// What is left for pods, the share of DaemonSet pods that have not come yet set aside.
fn remaining_resources(
    view: &ClusterView<'_>,
    claim: &Claim,
    taints: &[Taint],
    requirements: &Requirements,
) -> ResourceVec {
    let mut expected = ResourceVec::default();
    let mut count = 0;
    for daemon in &view.cluster.daemon_sets {
        if runs_on_node(&daemon.template, taints, requirements) {
            expected.add(&daemon.template.requests);
            count += 1;
        }
    }
    let mut missing = with_pod_count(expected, count);
    if let Some(node) = view.node(claim) {
        missing.subtract(&node.daemon_used);
    }
    let mut remaining = view.available(claim);
    remaining.subtract(&missing.floored_at_zero());
    remaining
}

/// Initialized and within consolidateAfter of its last pod event (karpenter v1.14.1
/// `pkg/utils/disruption/disruption.go`).
fn is_under_consolidate_after(view: &ClusterView<'_>, claim: &Claim) -> bool {
    let after = view.cluster.pools[claim.pool].spec.disruption.consolidate_after;
    let since = claim.last_pod_event_at.or(claim.initialized_at);
    match (after, since, claim.initialized_at) {
        (Some(after), Some(since), Some(_)) => view.now.since(since) < after,
        _ => false,
    }
}
