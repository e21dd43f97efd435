//! What deciders see: a shared reference to the world, less the nodes that a what-if takes away.

use std::sync::Arc;

use smallvec::SmallVec;

use super::World;
use super::cluster::{Claim, ClaimId, Cluster, Node, Pod, PodId};
use super::settings::Settings;
use crate::kube::label;
use crate::kube::taint::{Effect, Taint};
use crate::kube::{Labels, PodClass};
use crate::units::{ResourceVec, SimTime, Symbols};

/// A read-only view of the cluster. With removed claims it is the overlay of a what-if: it costs as much as the list.
#[derive(Clone, Debug)]
pub struct ClusterView<'a> {
    /// The present instant.
    pub now: SimTime,
    /// The entities.
    pub cluster: &'a Cluster,
    /// Interned texts.
    pub symbols: &'a Symbols,
    /// Settings.
    pub settings: &'a Arc<Settings>,
    removed: SmallVec<[ClaimId; 4]>,
}

impl<'a> ClusterView<'a> {
    /// The world as it is.
    pub fn new(world: &'a World) -> ClusterView<'a> {
        ClusterView {
            now: world.now(),
            cluster: &world.cluster,
            symbols: &world.symbols,
            settings: &world.settings,
            removed: SmallVec::new(),
        }
    }

    /// The same world without the nodes of `claims`.
    pub fn without(&self, claims: &[ClaimId]) -> ClusterView<'a> {
        ClusterView { removed: claims.iter().copied().collect(), ..self.clone() }
    }

    /// The claims that a what-if takes away.
    pub fn removed(&self) -> &[ClaimId] {
        &self.removed
    }

    /// The present instant in milliseconds since 1970-01-01 UTC.
    pub fn now_epoch_ms(&self) -> i64 {
        self.settings.start_epoch_seconds * 1_000 + self.now.ms()
    }

    /// Claims with a provider id, in the order of their names: Karpenter's state nodes, less those that it did not
    /// make.
    pub fn state_nodes(&self) -> impl Iterator<Item = (ClaimId, &'a Claim)> + '_ {
        let cluster = self.cluster;
        cluster
            .claims_by_name
            .values()
            .map(|id| (*id, &cluster.claims[*id]))
            .filter(|(_, claim)| claim.is_state_node())
    }

    /// State nodes with the disruption taint, in the order of their names.
    pub fn tainted_state_nodes(&self) -> impl Iterator<Item = (ClaimId, &'a Claim)> + use<'a> {
        let cluster = self.cluster;
        cluster.tainted.values().map(|id| (*id, &cluster.claims[*id]))
    }

    /// Nodes that offer capacity, those that Karpenter did not make included: neither deleting nor taken away. In
    /// the order of their names.
    pub fn active_state_nodes(&self) -> impl Iterator<Item = (ClaimId, &'a Claim)> + '_ {
        let cluster = self.cluster;
        let claims = cluster.claims_by_name.values().map(|id| (*id, &cluster.claims[*id]));
        claims.filter(|(id, _)| self.is_active(*id))
    }

    /// True for a node that offers capacity; see [`ClusterView::active_state_nodes`].
    pub fn is_active(&self, id: ClaimId) -> bool {
        let claim = &self.cluster.claims[id];
        (claim.is_state_node() || !claim.managed)
            && !claim.is_deleting()
            && !self.removed.contains(&id)
    }

    /// State nodes on their way out.
    pub fn deleting_state_nodes(&self) -> impl Iterator<Item = (ClaimId, &'a Claim)> + '_ {
        let cluster = self.cluster;
        let leaving = cluster.leaving.values().map(|id| (*id, &cluster.claims[*id]));
        leaving.filter(|(_, claim)| claim.is_state_node())
    }

    /// The Node of a claim.
    pub fn node(&self, claim: &Claim) -> Option<&'a Node> {
        claim.node.map(|node| &self.cluster.nodes[node])
    }

    /// Bound pods of a claim's node, in order of namespace and name.
    pub fn pods_of(&self, claim: &Claim) -> Vec<(PodId, &'a Pod)> {
        let Some(node) = self.node(claim) else {
            return Vec::new();
        };
        node.pods.iter().map(|id| (*id, &self.cluster.pods[*id])).collect()
    }

    /// Labels of a state node: the claim's until it is registered, then the Node's.
    pub fn labels(&self, claim: &'a Claim) -> &'a Labels {
        match self.node(claim) {
            Some(node) if claim.registered_at.is_some() => &node.labels,
            _ => &claim.labels,
        }
    }

    /// Taints of a state node as the provisioner sees them: until it is initialized without known ephemeral taints
    /// and startup taints (karpenter v1.14.1 `pkg/controllers/state/statenode.go`).
    pub fn taints(&self, claim: &'a Claim) -> Vec<Taint> {
        let template = &claim.template.template;
        let node = self.node(claim).filter(|_| claim.registered_at.is_some());
        let mut taints = node.map_or_else(|| template.taints.clone(), |node| node.taints.clone());
        if !claim.is_initialized() {
            taints.retain(|taint| {
                !self.is_known_ephemeral(taint)
                    && !template.startup_taints.iter().any(|startup| startup.matches(taint))
            });
        }
        taints
    }

    fn is_known_ephemeral(&self, taint: &Taint) -> bool {
        let key = self.symbols.text(taint.key.symbol);
        match key {
            "node.kubernetes.io/not-ready" => taint.effect != Effect::PreferNoSchedule,
            "node.kubernetes.io/unreachable" | "node.cloudprovider.kubernetes.io/uninitialized" => {
                taint.effect == Effect::NoSchedule
            }
            "karpenter.sh/unregistered" => taint.effect == Effect::NoExecute,
            _ => key.starts_with("readiness.k8s.io/"),
        }
    }

    /// Allocatable less the requests of bound pods.
    pub fn available(&self, claim: &Claim) -> ResourceVec {
        match (self.node(claim), &claim.instance) {
            (Some(node), _) => node.allocatable.minus(&node.used),
            (None, Some(instance)) => instance.instance_type.get().allocatable.clone(),
            (None, None) => ResourceVec::default(),
        }
    }

    /// Capacity of a state node, `nodes: 1` included.
    pub fn capacity(&self, claim: &Claim) -> ResourceVec {
        let mut capacity = claim
            .instance
            .as_ref()
            .map_or_else(ResourceVec::default, |i| i.instance_type.get().capacity.clone());
        capacity.set("nodes", 1);
        capacity
    }

    /// True while every NodeClaim has a provider id: else neither provisioner nor disruption loop starts a pass.
    pub fn is_synced(&self) -> bool {
        self.cluster.unlaunched_count == 0
    }

    /// Pending pods that Karpenter may provision for, by priority, then order of creation.
    pub fn provisionable_pods(&self) -> impl Iterator<Item = PodId> + '_ {
        self.cluster.pending.values().copied().filter(|id| self.cluster.pods[*id].unschedulable)
    }

    /// Virtual pods of CapacityBuffers, by buffer.
    pub fn virtual_pods(&self) -> impl Iterator<Item = PodId> + '_ {
        self.cluster.capacity_buffers.iter().flat_map(|buffer| buffer.pods.iter().copied())
    }

    /// Pods of a state node that would have to move: active, not owned by a DaemonSet.
    pub fn reschedulable_pods(&self, claim: &Claim) -> Vec<(PodId, &'a Pod)> {
        let mut pods = self.pods_of(claim);
        pods.retain(|(_, pod)| pod.is_reschedulable());
        pods
    }

    /// Reschedulable pods that may move now: protected neither by do-not-disrupt nor by a PodDisruptionBudget that
    /// blocks for good.
    pub fn currently_reschedulable_pods(&self, claim: &Claim) -> Vec<PodId> {
        let mut pods = self.reschedulable_pods(claim);
        pods.retain(|(_, pod)| self.may_move(pod));
        pods.into_iter().map(|(id, _)| id).collect()
    }

    /// Nothing protects a reschedulable pod now.
    pub fn may_move(&self, pod: &Pod) -> bool {
        !self.is_protected(pod) && !self.is_fully_blocked(pod)
    }

    /// Bound, and not to a node on its way out.
    pub fn is_on_staying_node(&self, pod: PodId) -> bool {
        let cluster = self.cluster;
        let node = cluster.pods[pod].node;
        node.is_some_and(|node| !cluster.claims[cluster.nodes[node].claim].is_deleting())
    }

    /// do-not-disrupt is in force.
    pub fn is_protected(&self, pod: &Pod) -> bool {
        pod.is_active() && pod.do_not_disrupt.in_force(pod.bound_at, self.now)
    }

    /// Karpenter may ask for the pod's eviction: it is active, unprotected, and does not tolerate the disruption taint.
    pub fn is_evictable(&self, pod: &Pod) -> bool {
        pod.is_active() && !self.is_protected(pod) && !self.tolerates_disruption(&pod.class)
    }

    /// A PodDisruptionBudget keeps the pod from being evicted now, as Karpenter sees it. More than one on a pod always
    /// do.
    pub fn blocks_eviction(&self, pod: &Pod) -> bool {
        self.is_blocked(pod, |budget| self.cluster.disruptions_allowed(budget) == 0)
    }

    /// A PodDisruptionBudget will keep the pod for as long as it stays as it is: no capacity is planned for the pod.
    fn is_fully_blocked(&self, pod: &Pod) -> bool {
        let state = |budget: u32| &self.cluster.disruption_budgets[budget as usize];
        self.is_blocked(pod, |budget| state(budget).spec.is_fully_blocking())
    }

    fn is_blocked(&self, pod: &Pod, blocks: impl Fn(u32) -> bool) -> bool {
        match pod.budgets.as_slice() {
            [] => false,
            _ if !self.is_evictable(pod) => false,
            [budget] => {
                let spec = &self.cluster.disruption_budgets[*budget as usize].spec;
                let unhealthy = spec.always_allow_unhealthy && pod.running_at.is_none();
                !unhealthy && blocks(*budget)
            }
            _ => true,
        }
    }

    /// True iff the pod tolerates Karpenter's disruption taint.
    pub fn tolerates_disruption(&self, class: &PodClass) -> bool {
        let Some(key) = self.symbols.find(super::nodes::DISRUPTED_TAINT) else {
            return class.tolerates_everything(Effect::NoSchedule);
        };
        let (key, value) = (self.symbols.value(key), self.symbols.find(""));
        let Some(value) = value.map(|value| self.symbols.value(value)) else {
            return false;
        };
        class.tolerates(&Taint { key, value, effect: Effect::NoSchedule })
    }

    /// Zone and capacity type labels of a state node.
    pub fn has_offering_labels(&self, claim: &'a Claim) -> bool {
        let labels = self.labels(claim);
        labels.get(label::ZONE).is_some() && labels.get(label::CAPACITY_TYPE).is_some()
    }
}
