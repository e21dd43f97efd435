//! Why existing nodes did not take a pod, for who asks why. Karpenter says nothing about it: its error names NodePools
//! alone.
//!
//! Nodes are looked at as the Solve left them. What a Solve adds only takes room away, so that whoever was refused for
//! want of it or for a taint is refused still.

use std::sync::Arc;

use super::Solution;
use super::existing::free_of;
use crate::kube::pod::NodeAffinity;
use crate::kube::{PodClass, taint};
use crate::units::ResourceVec;
use crate::world::{ClaimId, ClusterView, PodId};

/// Nodes that refused a pod for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// The reason.
    pub reason: &'static str,
    /// One of the nodes.
    pub example: ClaimId,
    /// More about it: what is free, or the taint. Empty where there is nothing to say.
    pub detail: String,
    /// How many nodes.
    pub count: usize,
}

/// What all active nodes but the one that took it say against a pod, most nodes first.
pub fn refusals(view: &ClusterView<'_>, solution: &Solution, pod: PodId) -> Vec<Refusals> {
    let class = &view.cluster.pods[pod].class;
    let mut found: Vec<Refusals> = Vec::new();
    for (id, _) in view.active_state_nodes() {
        let placed = solution.existing.iter().find(|placement| placement.claim == id);
        let placed = placed.map(|placement| placement.pods.as_slice()).unwrap_or_default();
        if placed.contains(&pod) {
            continue;
        }
        let (reason, detail) = refusal(view, id, placed, class);
        match found.iter_mut().find(|known| known.reason == reason) {
            Some(known) => known.count += 1,
            None => found.push(Refusals { reason, example: id, detail, count: 1 }),
        }
    }
    found.sort_by_key(|refusals| (std::cmp::Reverse(refusals.count), refusals.reason));
    found
}

fn refusal(
    view: &ClusterView<'_>,
    id: ClaimId,
    placed: &[PodId],
    class: &Arc<PodClass>,
) -> (&'static str, String) {
    let claim = &view.cluster.claims[id];
    let taints = view.taints(claim);
    if let Some(taint) = taint::first_untolerated(&taints, &class.tolerations) {
        return ("a taint that it does not tolerate", taint.describe(view.symbols));
    }
    let mut free = free_of(view, claim);
    placed.iter().for_each(|pod| free.subtract(&view.cluster.pods[*pod].class.requests));
    if !class.requests.fits(&free) {
        return ("not enough room", lacking(&class.requests, &free));
    }
    if !NodeAffinity::matches(&class.node_affinity, view.labels(claim)) {
        return ("labels that it does not select", String::new());
    }
    ("topology, volumes or host ports", String::new())
}

/// `memory 612Mi free of 1Gi`.
fn lacking(requests: &ResourceVec, free: &ResourceVec) -> String {
    let amount = ResourceVec::format_amount;
    let short = requests.iter().filter(|(name, wanted)| *wanted > free.get(name));
    let texts = short.map(|(name, wanted)| {
        format!("{name} {} free of {}", amount(name, free.get(name).max(0)), amount(name, wanted))
    });
    texts.collect::<Vec<_>>().join(", ")
}
