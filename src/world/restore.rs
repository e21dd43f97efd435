//! Objects of a cluster as they were found at some instant: what a recorded case starts from.
//!
//! Nothing is written into the journal, nobody is woken and no event is scheduled: a restored world is for deciders
//! that look at one instant. Create all NodePools, DaemonSets and PodDisruptionBudgets first, then claims and nodes,
//! then pods.

use std::sync::Arc;

use smallvec::SmallVec;

use super::World;
use super::cluster::{
    BudgetState, Claim, ClaimId, DeletionCause, Drift, Instance, InstanceTypeRef, Node, NodeId,
    Owner, Pod, PodId, PoolIndex,
};
use crate::ec2::CapacityType;
use crate::kube::disruption_budget::DisruptionBudget;
use crate::kube::label::Labels;
use crate::kube::node_pool::NodePool;
use crate::kube::{PodClass, Requirements, Taint};
use crate::units::{LabelValue, ResourceVec, SimTime};

/// A NodeClaim that was launched.
#[derive(Clone, Debug)]
pub struct FoundClaim {
    /// Name of its Node, or its own while there is none: the order of Karpenter's state nodes goes by it.
    pub name: Arc<str>,
    /// The NodePool.
    pub pool: PoolIndex,
    /// The NodePool as it was when the claim was made: taints, startup taints, expireAfter, grace period.
    pub template: Arc<NodePool>,
    /// creationTimestamp.
    pub created_at: SimTime,
    /// `spec.requirements`.
    pub requirements: Requirements,
    /// `metadata.labels`.
    pub labels: Labels,
    /// The instance.
    pub instance: FoundInstance,
    /// Registered's transition time.
    pub registered_at: Option<SimTime>,
    /// Initialized's transition time, once the Node bears the label.
    pub initialized_at: Option<SimTime>,
    /// Consolidatable.
    pub consolidatable: bool,
    /// Drifted.
    pub drifted: Option<Drift>,
    /// `status.lastPodEventTime`.
    pub last_pod_event_at: Option<SimTime>,
    /// deletionTimestamp.
    pub deletion_at: Option<SimTime>,
}

/// The instance of a [`FoundClaim`].
#[derive(Clone, Debug)]
pub struct FoundInstance {
    /// Instance type.
    pub instance_type: InstanceTypeRef,
    /// Zone.
    pub zone: LabelValue,
    /// Capacity type.
    pub capacity_type: CapacityType,
    /// USD per hour.
    pub price: f64,
    /// `aws:///zone/id`.
    pub provider_id: Arc<str>,
}

/// A Node.
#[derive(Clone, Debug)]
pub struct FoundNode {
    /// Name.
    pub name: Arc<str>,
    /// creationTimestamp.
    pub created_at: SimTime,
    /// Labels.
    pub labels: Labels,
    /// Taints.
    pub taints: Vec<Taint>,
    /// `status.allocatable`.
    pub allocatable: ResourceVec,
    /// Ready condition.
    pub ready: bool,
    /// Annotated with `karpenter.sh/do-not-disrupt: "true"`.
    pub do_not_disrupt: bool,
}

/// A pod.
#[derive(Clone, Debug)]
pub struct FoundPod {
    /// Name.
    pub name: Arc<str>,
    /// Rank of its UID among all pods' as texts.
    pub uid: u64,
    /// What it shares with its siblings.
    pub class: Arc<PodClass>,
    /// What brings it back.
    pub owner: Owner,
    /// creationTimestamp.
    pub created_at: SimTime,
    /// kube-scheduler found no node for it; without meaning for a bound pod.
    pub unschedulable: bool,
    /// deletionTimestamp.
    pub deletion_at: Option<SimTime>,
    /// Its node and when the kubelet took it over; `None` while it is pending.
    pub bound: Option<(NodeId, SimTime)>,
}

impl World {
    /// Writes the pods of so many slots as they are: whatever is derived from them is out of date.
    pub fn rewrite_pods(&mut self, first: u32, count: u32) {
        let pods = &mut self.cluster.pods;
        for slot in first..first + count {
            let id = pods.at(slot).map(|(id, _)| id);
            id.and_then(|id| pods.get_mut(id));
        }
    }

    /// A launched NodeClaim.
    pub fn restore_claim(&mut self, found: FoundClaim) -> ClaimId {
        let FoundInstance { instance_type, zone, capacity_type, price, provider_id } =
            found.instance;
        let instance = Instance {
            instance_type,
            zone,
            capacity_type,
            price,
            billed: price,
            provider_id,
            ran: true,
            terminating_at: None,
            gone: false,
            announced: SmallVec::new(),
        };
        let ordinal = self.cluster.claim_count;
        let claim = Claim {
            requirements: found.requirements,
            labels: found.labels,
            instance: Some(instance),
            registered_at: found.registered_at,
            initialized_at: found.initialized_at,
            consolidatable: found.consolidatable,
            drifted: found.drifted,
            last_pod_event_at: found.last_pod_event_at,
            deletion_at: found.deletion_at,
            deletion_cause: found.deletion_at.map(|_| DeletionCause::Failed),
            ..Claim::new(ordinal, found.name, found.pool, found.template, found.created_at)
        };
        self.insert_claim(claim)
    }

    /// A Node. `claim` is its NodeClaim; a Node that Karpenter did not make gets a stand-in for one.
    pub fn restore_node(&mut self, claim: Option<ClaimId>, found: FoundNode) -> NodeId {
        let claim = claim.unwrap_or_else(|| {
            let template = Arc::new(NodePool::bare(self.symbols.intern_value("")));
            let ordinal = self.cluster.claim_count;
            let at = found.created_at;
            self.insert_claim(Claim {
                managed: false,
                registered_at: Some(at),
                initialized_at: Some(at),
                ..Claim::new(ordinal, found.name.clone(), PoolIndex::MAX, template, at)
            })
        });
        let id = self.cluster.nodes.insert(Node {
            labels: found.labels,
            taints: found.taints,
            allocatable: found.allocatable,
            ready: found.ready,
            initializable: self.cluster.claims[claim].is_initialized(),
            do_not_disrupt: found.do_not_disrupt,
            ..Node::new(found.name.clone(), claim, found.created_at)
        });
        self.cluster.nodes_by_name.insert(found.name, id);
        self.cluster.claims[claim].node = Some(id);
        id
    }

    /// A pod, bound or pending and unschedulable.
    pub fn restore_pod(&mut self, found: FoundPod) -> PodId {
        let ordinal = self.cluster.pod_count;
        self.cluster.pod_count += 1;
        let priority_key = (-i64::from(found.class.priority), ordinal);
        let id = self.cluster.pods.insert(Pod {
            uid: found.uid,
            unschedulable: found.bound.is_none() && found.unschedulable,
            deletion_at: found.deletion_at,
            ..Pod::new(ordinal, found.name, found.class, found.owner, found.created_at)
        });
        self.cluster.pods_by_ordinal.insert(ordinal, id);
        match found.bound {
            Some((node, at)) => {
                self.occupy(id, node);
                let pod = &mut self.cluster.pods[id];
                (pod.bound_at, pod.running_at) = (Some(at), Some(at));
            }
            None => {
                self.cluster.pending.insert(priority_key, id);
            }
        }
        self.cluster.count_pod(id);
        id
    }

    /// A PodDisruptionBudget with the `status.disruptionsAllowed` that it was found with.
    pub fn restore_budget(&mut self, spec: DisruptionBudget, allowed: i64) {
        let state = BudgetState { stated: Some(allowed), ..BudgetState::new(spec) };
        self.cluster.disruption_budgets.push(state);
    }

    fn insert_claim(&mut self, claim: Claim) -> ClaimId {
        self.cluster.claim_count += 1;
        let name = claim.name.clone();
        let id = self.cluster.claims.insert(claim);
        self.cluster.claims_by_name.insert(name, id);
        self.cluster.index_leaving(id);
        id
    }
}
