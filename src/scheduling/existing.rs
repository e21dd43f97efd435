//! Existing nodes: launched claims and registered nodes that may take pods.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/existingnode.go`.

use std::sync::Arc;

use super::claim::{Duration, Memory, Seeker};
use super::requirement_set::{Clash, SetId};
use super::template::{runs_on_node, with_pod_count};
use super::topology::{Host, TopologyRefusal};
use super::volume::Attachments;
use crate::kube::requirement::AllowUndefined;
use crate::kube::taint::{self, Taint};
use crate::kube::{HostPort, Labels, Requirement, Requirements, label, port};
use crate::units::{LabelValue, Lane, ResourceVec, SimTime};
use crate::world::cluster::{Claim, Pod};
use crate::world::{ClaimId, ClusterView, PodId, PoolIndex};

/// A node that may take pods. Between Solves it is as it stands in the cluster.
#[derive(Clone, Debug)]
pub(super) struct ExistingNode {
    pub(super) claim: ClaimId,
    pub(super) name: Arc<str>,
    pub(super) initialized: bool,
    /// Until then closed to pods that are neither pending nor fleeing a deleting node, in what-ifs of consolidation.
    pub(super) closed_until: SimTime,
    /// Taken away in the present Solve.
    pub(super) removed: bool,
    /// Its NodePool.
    pub(super) pool: PoolIndex,
    /// What counts in the limits of the NodePool, if that has some.
    pub(super) capacity: Option<ResourceVec>,
    taints: Vec<Taint>,
    labels: Labels,
    lasting: Lasting,
    set: SetId,
    host: Host,
    remaining: ResourceVec,
    ports: Vec<HostPort>,
    attachments: Option<Attachments>,
    /// Pods that the present Solve put there.
    pub(super) pods: Vec<PodId>,
}

/// What follows from a node's labels and taints.
#[derive(Clone, Debug)]
struct Lasting {
    set: SetId,
    host: Host,
    /// Its name is an interned text.
    is_named: bool,
    /// Requests of the DaemonSet pods that run there, and their number.
    daemons: ResourceVec,
}

impl Lasting {
    fn of(
        view: &ClusterView<'_>,
        memory: &mut Memory,
        claim: &Claim,
        taints: &[Taint],
        nameless: LabelValue,
    ) -> Lasting {
        let mut requirements = Requirements::from_labels(view.labels(claim));
        let daemons = daemons(view, taints, &requirements);
        let own = requirements.get(label::HOSTNAME).and_then(Requirement::single);
        let name = view.symbols.find(&claim.name).map(|symbol| view.symbols.value(symbol));
        let host = memory.topology.host(own.or(name), nameless);
        requirements.add(label::HOSTNAME, Requirement::is(host.value));
        let set = memory.sets.intern(requirements);
        Lasting { set, host, is_named: name.is_some(), daemons }
    }
}

/// What a Solve changes of a node, as it was before.
#[derive(Clone, Debug)]
pub(super) struct Before {
    set: SetId,
    remaining: ResourceVec,
    ports: usize,
    attachments: Option<Attachments>,
}

impl ExistingNode {
    /// An active node as it stands. `nameless` stands for the host of a node whose name no label holds; `old` is what
    /// was known of the claim before.
    pub(super) fn new(
        view: &ClusterView<'_>,
        memory: &mut Memory,
        id: ClaimId,
        nameless: LabelValue,
        old: Option<&ExistingNode>,
    ) -> ExistingNode {
        let claim = &view.cluster.claims[id];
        let (taints, labels) = (view.taints(claim), view.labels(claim));
        // A text that is interned stays so.
        let was_named = old.is_some_and(|old| old.claim == id && old.lasting.is_named);
        let is_named = was_named || view.symbols.find(&claim.name).is_some();
        let same = |old: &&ExistingNode| {
            old.claim == id
                && old.lasting.is_named == is_named
                && old.taints == taints
                && old.labels == *labels
        };
        let lasting = old.filter(same).map(|old| old.lasting.clone());
        let lasting =
            lasting.unwrap_or_else(|| Lasting::of(view, memory, claim, &taints, nameless));
        let remaining = remaining_resources(view, claim, &lasting.daemons);
        let node = view.node(claim);
        let bound = node.into_iter().flat_map(|node| &node.pods);
        let bound = bound.map(|pod| &view.cluster.pods[*pod]);
        let bound: Vec<&Pod> = bound.filter(|pod| !pod.is_finished()).collect();
        let pool = view.cluster.pools.get(claim.pool).filter(|_| claim.managed);
        let limited = pool.and_then(|pool| pool.spec.limits.as_ref());
        ExistingNode {
            claim: id,
            name: claim.name.clone(),
            initialized: claim.is_initialized(),
            closed_until: closed_until(view, claim),
            removed: false,
            pool: claim.pool,
            capacity: limited.map(|_| view.capacity(claim)),
            taints,
            labels: labels.clone(),
            set: lasting.set,
            host: lasting.host,
            lasting,
            remaining,
            ports: bound.iter().flat_map(|pod| &pod.class.host_ports).copied().collect(),
            attachments: node.and_then(|node| Attachments::of(view, &node.name, &bound)),
            pods: Vec::new(),
        }
    }

    /// What is left of a resource.
    pub(super) fn free(&self, lane: Lane) -> i64 {
        self.remaining.lane(lane)
    }

    /// Position in the order of first fit: initialized ones first, then by name.
    pub(super) fn rank(&self) -> (bool, &str) {
        (!self.initialized, &self.name)
    }

    /// It is the same node, at the same place in that order.
    pub(super) fn ranks_with(&self, other: &ExistingNode) -> bool {
        self.claim == other.claim && self.initialized == other.initialized
    }

    /// What [`ExistingNode::add`] will change.
    pub(super) fn before(&self) -> Before {
        Before {
            set: self.set,
            remaining: self.remaining.clone(),
            ports: self.ports.len(),
            attachments: self.attachments.clone(),
        }
    }

    /// The node as it was before; returns the pods that it had been given.
    pub(super) fn restore(&mut self, before: Before) -> Vec<PodId> {
        self.set = before.set;
        self.remaining = before.remaining;
        self.ports.truncate(before.ports);
        self.attachments = before.attachments;
        std::mem::take(&mut self.pods)
    }

    /// The node's requirements with the pod, if taints, volumes, ports, resources, requirements and other pods allow
    /// it.
    pub(super) fn can_add(&self, memory: &mut Memory, pod: &Seeker<'_>) -> Result<SetId, Duration> {
        let variant = pod.variant;
        if taint::first_untolerated(&self.taints, &variant.wishes.tolerations).is_some() {
            return Err(Duration::Variant);
        }
        if self.attachments.as_ref().is_some_and(|attachments| attachments.exceeds(pod.volumes)) {
            return Err(Duration::Now);
        }
        if port::conflict(&variant.class.host_ports, &self.ports) {
            return Err(Duration::Variant);
        }
        if !pod.requests.fits(&self.remaining) {
            return Err(Duration::Kind);
        }
        let allow = AllowUndefined::Nothing;
        let base = memory.sets.join(self.set, variant.requirements, allow);
        let base = base.map_err(|clash| match clash {
            Clash::Disjoint => Duration::Variant,
            Clash::Undefined => Duration::Now,
        })?;
        let Memory { sets, topology, .. } = memory;
        if pod.volumes.alternatives.is_empty() {
            let constrained = topology.constrain(sets, pod.demand, self.host, base, allow);
            return constrained.map_err(|refusal| match refusal {
                TopologyRefusal::HostForever => Duration::Solve,
                TopologyRefusal::ForNow => Duration::Now,
            });
        }
        for alternative in &pod.volumes.alternatives {
            if let Ok(set) = sets.join(base, *alternative, allow)
                && let Ok(set) = topology.constrain(sets, pod.demand, self.host, set, allow)
            {
                return Ok(set);
            }
        }
        Err(Duration::Now)
    }

    /// Takes the pod.
    pub(super) fn add(&mut self, memory: &mut Memory, pod: PodId, seeker: &Seeker<'_>, set: SetId) {
        self.pods.push(pod);
        self.remaining.subtract(seeker.requests);
        self.set = set;
        self.ports.extend(&seeker.variant.class.host_ports);
        if let Some(attachments) = &mut self.attachments {
            attachments.add(seeker.volumes);
        }
        let Memory { sets, topology, .. } = memory;
        topology.record(sets, &seeker.variant.rules, &self.taints, set, self.host);
    }
}

/// Requests and number of the DaemonSet pods that run on a node.
fn daemons(view: &ClusterView<'_>, taints: &[Taint], requirements: &Requirements) -> ResourceVec {
    let mut expected = ResourceVec::default();
    let mut count = 0;
    for daemon in &view.cluster.daemon_sets {
        if runs_on_node(&daemon.template, taints, requirements) {
            expected.add(&daemon.template.requests);
            count += 1;
        }
    }
    with_pod_count(expected, count)
}

/// What is left for pods on an active node.
pub(super) fn free_of(view: &ClusterView<'_>, claim: &Claim) -> ResourceVec {
    let requirements = Requirements::from_labels(view.labels(claim));
    remaining_resources(view, claim, &daemons(view, &view.taints(claim), &requirements))
}

/// What is left for pods, the share of DaemonSet pods that have not come yet set aside.
fn remaining_resources(
    view: &ClusterView<'_>,
    claim: &Claim,
    daemons: &ResourceVec,
) -> ResourceVec {
    let mut missing = daemons.clone();
    if let Some(node) = view.node(claim) {
        missing.subtract(&node.daemon_used);
    }
    let mut remaining = view.available(claim);
    remaining.subtract(&missing.floored_at_zero());
    remaining
}

/// The end of consolidateAfter since an initialized node's last pod event (karpenter v1.14.1
/// `pkg/utils/disruption/disruption.go`); the past for others.
fn closed_until(view: &ClusterView<'_>, claim: &Claim) -> SimTime {
    let pool = view.cluster.pools.get(claim.pool);
    let after = pool.and_then(|pool| pool.spec.disruption.consolidate_after);
    let since = claim.last_pod_event_at.or(claim.initialized_at);
    match (after, since, claim.initialized_at) {
        (Some(after), Some(since), Some(_)) => since + after,
        _ => SimTime::ZERO,
    }
}
