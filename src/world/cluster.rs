//! The cluster's entities. Other modules read them; only the mutators of this layer write them (`pods.rs`,
//! `claims.rs`, `nodes.rs` and their like).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use smallvec::SmallVec;

use super::arena::{Arena, Id};
use super::buffers::BufferState;
use super::faults::{NodeCondition, PoolFaults};
use super::interruptions::Announcement;
use super::journal::{Cause, ClaimRef, PodRef};
use super::pool_status::RegistrationHealth;
use super::settings::Boot;
use super::work::{Returning, Work};
use crate::ec2::capacity::Capacity;
use crate::ec2::market::Market;
use crate::ec2::{CapacityType, InstanceType};
use crate::engine::Timer;
use crate::kube::disruption_budget::{DisruptionBudget, Selected};
use crate::kube::node_pool::{NodePool, Reason};
use crate::kube::pod::DoNotDisrupt;
use crate::kube::volume::Storage;
use crate::kube::workload::{DaemonSet, Deployment, Job};
use crate::kube::{Labels, NodeOverlay, PodClass, Requirements, Taint};
use crate::units::{LabelValue, ResourceVec, SimDuration, SimTime, Symbol};

/// Handle of a pod.
pub type PodId = Id<Pod>;
/// Handle of a Node.
pub type NodeId = Id<Node>;
/// Handle of a NodeClaim.
pub type ClaimId = Id<Claim>;
/// Position of a NodePool in [`Cluster::pools`].
pub type PoolIndex = usize;

/// All entities and the ordered lists over them.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Pods.
    pub pods: Arena<Pod>,
    /// Nodes.
    pub nodes: Arena<Node>,
    /// NodeClaims.
    pub claims: Arena<Claim>,
    /// NodePools, ascending by name.
    pub pools: Vec<Pool>,
    /// Deployments, in order of creation.
    pub deployments: Vec<DeploymentState>,
    /// Jobs, in order of creation.
    pub jobs: Vec<JobState>,
    /// DaemonSets, in order of creation.
    pub daemon_sets: Vec<DaemonSet>,
    /// StorageClasses, PersistentVolumeClaims, PersistentVolumes, CSINodes.
    pub storage: Storage,
    /// Namespaces with their labels.
    pub namespaces: BTreeMap<Arc<str>, Labels>,
    /// NodeOverlays, in the order in which they count.
    pub node_overlays: Vec<NodeOverlay>,
    /// CapacityBuffers, in order of creation.
    pub capacity_buffers: Vec<BufferState>,
    /// PodTemplates by namespace and name.
    pub pod_templates: BTreeMap<(Arc<str>, Arc<str>), Arc<PodClass>>,
    /// NodeClaims, by ordinal, whose nodes the last provisioning pass counted on for virtual pods.
    pub buffer_hosts: BTreeSet<u64>,
    /// PodDisruptionBudgets, in order of creation.
    pub disruption_budgets: Vec<BudgetState>,
    /// All pods by their number in order of creation.
    pub pods_by_ordinal: BTreeMap<u64, PodId>,
    /// Unbound pods without deletionTimestamp, those of DaemonSets left out: higher priority first, then order of
    /// creation.
    pub pending: BTreeMap<(i64, u64), PodId>,
    /// The same of DaemonSets' pods, which wait for room on the node that they were made for.
    pub pending_daemons: BTreeMap<(i64, u64), PodId>,
    /// Bound pods with required anti-affinity, by ordinal: they keep others away.
    pub repelling: BTreeMap<u64, PodId>,
    /// Live NodeClaims by name, the order in which lists of state nodes are taken.
    pub claims_by_name: BTreeMap<Arc<str>, ClaimId>,
    /// Nodes by name.
    pub nodes_by_name: BTreeMap<Arc<str>, NodeId>,
    /// Pods of sources that are to be made again, each with the instant before which it is not, in order of eviction.
    pub returning: Vec<(SimTime, Returning)>,
    /// Deployments whose pods or replicas changed since the last workload pass.
    pub dirty_deployments: BTreeSet<usize>,
    /// Jobs whose pods changed since the last workload pass.
    pub dirty_jobs: BTreeSet<usize>,
    /// Nodes for which DaemonSet pods may have to be made yet.
    pub nodes_without_daemons: Vec<NodeId>,
    /// NodeClaims without a provider id: while there is one, Karpenter's view of the cluster is not synced.
    pub unlaunched_count: usize,
    /// When something happened that voids Karpenter's consolidated marks (karpenter v1.14.1
    /// `pkg/controllers/state/cluster.go`, `MarkUnconsolidated`).
    pub unconsolidated_at: SimTime,
    /// Bumped whenever NodePools, what they can launch (stock, NodeOverlays, withdrawn types), or DaemonSets change:
    /// what was derived from them is void.
    pub generation: u64,
    /// Nodes with the disruption taint, by name.
    pub tainted: BTreeMap<Arc<str>, ClaimId>,
    /// NodeClaims on their way out, by name; see [`Claim::is_deleting`].
    pub leaving: BTreeMap<Arc<str>, ClaimId>,
    /// What EC2 cannot deliver.
    pub capacity: Capacity,
    /// What EC2 asks.
    pub market: Market,
    /// When Karpenter's controller last started.
    pub controller_started_at: SimTime,
    /// Names of instance types that the provider no longer lists, `*` standing for any text.
    pub withdrawn: Vec<Arc<str>>,
    /// EC2NodeClasses whose older NodeClaims are drifted, by name.
    pub class_drifts: BTreeMap<Symbol, ClaimDrift>,
    /// Pods created so far.
    pub pod_count: u64,
    /// NodeClaims created so far.
    pub claim_count: u64,
}

/// A NodePool with the instance types that its node class offers.
#[derive(Clone, Debug)]
pub struct Pool {
    /// The NodePool.
    pub spec: Arc<NodePool>,
    /// Its instance types in the provider's order, with what is known to be out of stock.
    pub types: Arc<Vec<InstanceType>>,
    /// The same with nothing out of stock.
    pub listed: Arc<Vec<InstanceType>>,
    /// The same as the provider hands them out: without NodeOverlays, at the prices that EC2 charges.
    pub provided: Arc<Vec<InstanceType>>,
    /// A canonical text of what enters the drift hash of its EC2NodeClass.
    pub class_fields: Arc<str>,
    /// Tags of its instances, from the EC2NodeClass.
    pub tags: Arc<[(Arc<str>, Arc<str>)]>,
    /// How long its nodes take to boot.
    pub boot: Arc<Boot>,
    /// Name as text.
    pub name: Arc<str>,
    /// NodeClaims created so far, for names.
    pub created_count: u64,
    /// What its instances cost.
    pub cost: PoolCost,
    /// Its condition Ready is True. Only recorded cases have others, which launch nothing for pods.
    pub ready: bool,
    /// The object is gone: it launches nothing any more, and its NodeClaims are being deleted.
    pub deleted: bool,
    /// Its NodeClaims that a scenario declares drifted.
    pub drift: Option<ClaimDrift>,
    /// `status.resources`, as nodepool.counter last wrote it.
    pub counted: ResourceVec,
    /// NodeRegistrationHealthy, and what it follows from.
    pub health: RegistrationHealth,
    /// What goes wrong with its future instances.
    pub faults: PoolFaults,
}

/// The running sum of what a NodePool's NodeClaims cost, in USD per hour (karpenter v1.14.1 `pkg/state/cost/cost.go`):
/// prices are added and subtracted as NodeClaims come and go, in that order, and the sum starts anew when the last one
/// is gone.
///
/// DEVIATION: Karpenter also adds the sum up anew each hour, in the order of a Go map, which differs in the last bits
/// at most while prices stand still. New prices enter it as soon as Karpenter knows them, not up to an hour later.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PoolCost {
    total: f64,
    claims: usize,
}

impl PoolCost {
    /// USD per hour, 0 without NodeClaims.
    pub const fn total(&self) -> f64 {
        self.total
    }

    pub(super) fn add(&mut self, price: f64) {
        self.total += price;
        self.claims += 1;
    }

    pub(super) fn subtract(&mut self, price: f64) {
        self.total -= price;
        self.claims = self.claims.saturating_sub(1);
        if self.claims == 0 {
            self.total = 0.0;
        }
    }
}

/// A Job with its pods.
#[derive(Clone, Debug)]
pub struct JobState {
    /// The Job.
    pub spec: Job,
    /// Pods that neither finished nor were told to go, in order of creation.
    pub live: Vec<PodId>,
    /// Pods that were told to go and are not gone.
    pub terminating: u32,
    /// Pods that succeeded.
    pub succeeded: u32,
    /// Pods that were evicted and count as failures.
    pub failures: u32,
    /// Those since the last success.
    pub failures_in_row: u32,
    /// No pod is made before this instant.
    pub not_before: SimTime,
    /// It failed more often than it may: no pod is made any more.
    pub failed: bool,
    /// Pods created so far, for names.
    pub created_count: u64,
    /// It was deleted: its pods go, and none is made any more.
    pub deleted: bool,
}

/// A PodDisruptionBudget with what it selects.
#[derive(Clone, Debug)]
pub struct BudgetState {
    /// The budget.
    pub spec: DisruptionBudget,
    /// Its pods, `replicas` left out: those are the Deployments' at the time of the question.
    pub selected: Selected,
    /// Deployments whose pods it selects.
    pub deployments: Vec<usize>,
    /// `status.disruptionsAllowed`, where a recorded case states it.
    pub stated: Option<i64>,
}

impl BudgetState {
    /// A budget that has not been matched with pods yet.
    pub fn new(spec: DisruptionBudget) -> BudgetState {
        BudgetState { spec, selected: Selected::default(), deployments: Vec::new(), stated: None }
    }
}

/// A Deployment with its pods.
#[derive(Clone, Debug)]
pub struct DeploymentState {
    /// The Deployment.
    pub spec: Deployment,
    /// Wanted replicas now.
    pub replicas: u32,
    /// Pods without deletionTimestamp, in order of creation.
    pub live: Vec<PodId>,
    /// Pods created so far, for names.
    pub created_count: u64,
    /// It was deleted: its pods go, and none is made any more.
    pub deleted: bool,
}

/// What a pod belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A Deployment, by position in [`Cluster::deployments`].
    Deployment(usize),
    /// A Job, by position in [`Cluster::jobs`].
    Job(usize),
    /// A DaemonSet, by position in [`Cluster::daemon_sets`].
    DaemonSet(usize),
    /// A source of pods, by its number.
    Source(u32),
    /// A CapacityBuffer: a virtual pod, which never runs.
    Buffer,
    /// Nothing.
    Bare,
}

/// A pod.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Number in order of creation, never reused.
    pub ordinal: u64,
    /// Last tie-break.
    pub uid: u64,
    /// Name.
    pub name: Arc<str>,
    /// What it shares with its siblings.
    pub class: Arc<PodClass>,
    /// What brings it back.
    pub owner: Owner,
    /// What a pod of a source is there for.
    pub work: Option<Work>,
    /// Key of what is drawn for it: the same under every policy.
    pub draws: u64,
    /// When the object was created.
    pub created_at: SimTime,
    /// kube-scheduler said once that no node takes it: Karpenter may provision for it.
    pub unschedulable: bool,
    /// The only node that a DaemonSet's pod may be bound to (required affinity on `metadata.name`).
    pub destination: Option<NodeId>,
    /// Its node.
    pub node: Option<NodeId>,
    /// When it was bound; the kubelet accepts it at once.
    pub bound_at: Option<SimTime>,
    /// When it became Running and Ready.
    pub running_at: Option<SimTime>,
    /// When it succeeded.
    pub finished_at: Option<SimTime>,
    /// deletionTimestamp, which includes the grace period.
    pub deletion_at: Option<SimTime>,
    /// `karpenter.sh/do-not-disrupt`: the template's, or what the pod was annotated with later.
    pub do_not_disrupt: DoNotDisrupt,
    /// Its PodDisruptionBudgets, as positions in [`Cluster::disruption_budgets`].
    pub budgets: SmallVec<[u32; 1]>,
    /// Attempts to evict it so far.
    pub eviction_attempts: u32,
    /// It is in the eviction queue.
    pub in_eviction_queue: bool,
    /// Its next attempt.
    pub(super) eviction_timer: Option<Timer>,
    /// Pending start, or removal.
    pub(super) kubelet_timer: Option<Timer>,
    /// Its node has not answered for too long: it is no longer Ready.
    pub lost: bool,
    /// provisioner.trigger.pod's entry.
    pub(super) trigger_timer: Option<Timer>,
}

impl Pod {
    /// Namespace and name, as lists are ordered by them.
    pub fn rank(&self) -> (&str, &str) {
        (&self.class.namespace, &self.name)
    }

    /// Neither finished nor told to go.
    pub const fn is_active(&self) -> bool {
        self.deletion_at.is_none() && !self.is_finished()
    }

    /// Succeeded.
    pub const fn is_finished(&self) -> bool {
        self.finished_at.is_some()
    }

    /// Ready and not told to go: what PodDisruptionBudgets count.
    pub const fn is_healthy(&self) -> bool {
        self.running_at.is_some() && self.is_active() && !self.lost
    }

    /// It would have to move if its node went (karpenter v1.14.1 `pkg/utils/pod/scheduling.go`, `IsReschedulable`).
    pub const fn is_reschedulable(&self) -> bool {
        self.is_active() && !self.is_daemon()
    }

    /// Made up for a CapacityBuffer.
    pub const fn is_virtual(&self) -> bool {
        matches!(self.owner, Owner::Buffer)
    }

    /// Owned by a DaemonSet.
    pub const fn is_daemon(&self) -> bool {
        matches!(self.owner, Owner::DaemonSet(_))
    }

    /// The pod in a fact.
    pub fn reference(&self) -> PodRef {
        use crate::units::Lane;
        PodRef {
            ordinal: self.ordinal,
            namespace: self.class.namespace.clone(),
            name: self.name.clone(),
            workload: self.class.workload.clone(),
            cpu_milli: self.class.requests.lane(Lane::Cpu),
            memory_bytes: self.class.requests.lane(Lane::Memory),
            daemon: self.is_daemon(),
        }
    }

    /// `namespace/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.class.namespace, self.name)
    }
}

/// A Node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name, that of its NodeClaim.
    pub name: Arc<str>,
    /// The NodeClaim.
    pub claim: ClaimId,
    /// When the object was created.
    pub created_at: SimTime,
    /// Labels.
    pub labels: Labels,
    /// Taints.
    pub taints: Vec<Taint>,
    /// What pods may request.
    pub allocatable: ResourceVec,
    /// Ready condition.
    pub ready: bool,
    /// Conditions that turned bad, and when, in whole seconds.
    pub conditions: Vec<(NodeCondition, SimTime)>,
    /// Startup taints are gone and extended resources registered.
    pub initializable: bool,
    /// Annotated with `karpenter.sh/do-not-disrupt: "true"`.
    pub do_not_disrupt: bool,
    /// Bound pods, in order of namespace and name; terminating ones included.
    pub pods: Vec<PodId>,
    /// Sum of the pods' requests.
    pub used: ResourceVec,
    /// Sum of the DaemonSet pods' requests.
    pub daemon_used: ResourceVec,
    /// Milli-CPU that LeastAllocated counts.
    pub nonzero_cpu_milli: i64,
    /// Memory bytes that LeastAllocated counts.
    pub nonzero_memory_bytes: i64,
    /// deletionTimestamp.
    pub deletion_at: Option<SimTime>,
    /// When the claim's Drained condition became Unknown, floored to the second.
    pub drain_started_at: Option<SimTime>,
    /// Drained.
    pub drained: bool,
    /// Until then volumes of pods that are gone are attached.
    pub attached_until: SimTime,
    /// Images present.
    pub images: Vec<Arc<str>>,
    /// When the last image pull in the queue ends.
    pub pulls_end_at: SimTime,
    /// node.health's entry.
    pub(super) health_timer: Option<Timer>,
    /// node.termination's entry.
    pub(super) termination_timer: Option<Timer>,
    /// provisioner.trigger.node's entry.
    pub(super) trigger_timer: Option<Timer>,
}

/// A launched instance.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Position of the instance type in the pool's list at launch.
    pub instance_type: InstanceTypeRef,
    /// Zone.
    pub zone: LabelValue,
    /// Capacity type.
    pub capacity_type: CapacityType,
    /// USD per hour at launch, or as Karpenter last asked for it; NodeOverlays count.
    pub price: f64,
    /// USD per hour that EC2 charges.
    pub billed: f64,
    /// `aws:///zone/id`.
    pub provider_id: Arc<str>,
    /// In state `running` at some time: billed.
    pub ran: bool,
    /// When TerminateInstances took effect.
    pub terminating_at: Option<SimTime>,
    /// EC2 reports it as terminated.
    pub gone: bool,
    /// What EC2 announced of it.
    pub announced: SmallVec<[Announcement; 1]>,
}

/// An instance type of the list that a NodePool had at launch.
#[derive(Clone, Debug)]
pub struct InstanceTypeRef {
    /// The list.
    pub list: Arc<Vec<InstanceType>>,
    /// The position.
    pub index: usize,
}

impl InstanceTypeRef {
    /// The instance type.
    pub fn get(&self) -> &InstanceType {
        &self.list[self.index]
    }
}

/// Why a NodeClaim was deleted, as far as the pods on it are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionCause {
    /// By a command.
    Command(Reason),
    /// It reached expireAfter.
    Expired,
    /// Its instance was interrupted.
    Interrupted,
    /// It did not launch or register in time, had no capacity, or is no longer wanted.
    Failed,
}

impl DeletionCause {
    /// The cause of the evictions that follow.
    pub const fn eviction_cause(self) -> Cause {
        match self {
            DeletionCause::Command(Reason::Empty) => Cause::Empty,
            DeletionCause::Command(Reason::Drifted) => Cause::Drifted,
            DeletionCause::Command(Reason::Underutilized) => Cause::Underutilized,
            DeletionCause::Expired => Cause::Expired,
            DeletionCause::Interrupted => Cause::Interrupted,
            DeletionCause::Failed => Cause::Deleted,
        }
    }
}

/// A launched NodeClaim is looked at again for drift after this long even if nothing happens.
pub const DRIFT_PERIOD: SimDuration = SimDuration::from_minutes(5);

/// NodeClaims of a NodePool or an EC2NodeClass that are drifted, because somebody says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimDrift {
    /// Those with a smaller ordinal.
    pub before: u64,
    /// `AMIDrift`, or another of the provider's reasons.
    pub reason: Arc<str>,
}

/// The Drifted condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// `NodePoolDrifted`, `RequirementsDrifted`, `AMIDrift` ...
    pub reason: Arc<str>,
    /// Transition time, whole seconds.
    pub since: SimTime,
}

/// A NodeClaim.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Number in order of creation, never reused.
    pub ordinal: u64,
    /// Name.
    pub name: Arc<str>,
    /// The NodePool.
    pub pool: PoolIndex,
    /// False for the stand-in of a Node that Karpenter did not make: it has room for pods, and nothing else is done
    /// with it. Pool and template mean nothing then.
    pub managed: bool,
    /// creationTimestamp, whole seconds.
    pub created_at: SimTime,
    /// What entered the drift hash of its EC2NodeClass at creation.
    pub class_fields: Arc<str>,
    /// Requirements at creation.
    pub requirements: Requirements,
    /// Instance types it may launch, cheapest first, as positions in the pool's list.
    pub options: Vec<u32>,
    /// Requests of its pods and daemons.
    pub requests: ResourceVec,
    /// Labels: the template's, after launch those of the instance too.
    pub labels: Labels,
    /// The NodePool at creation: taints, startup taints, expireAfter, grace period.
    pub template: Arc<NodePool>,
    /// The instance.
    pub instance: Option<Instance>,
    /// The Node.
    pub node: Option<NodeId>,
    /// Registered's transition time, whole seconds.
    pub registered_at: Option<SimTime>,
    /// Initialized's transition time, whole seconds.
    pub initialized_at: Option<SimTime>,
    /// Consolidatable.
    pub consolidatable: bool,
    /// Drifted.
    pub drifted: Option<Drift>,
    /// lastPodEventTime, whole seconds.
    pub last_pod_event_at: Option<SimTime>,
    /// deletionTimestamp, whole seconds.
    pub deletion_at: Option<SimTime>,
    /// Why.
    pub deletion_cause: Option<DeletionCause>,
    /// `karpenter.sh/nodeclaim-termination-timestamp`.
    pub termination_at: Option<SimTime>,
    /// The disruption queue's in-memory mark.
    pub marked_for_deletion: bool,
    /// In a command of the disruption queue.
    pub in_command: bool,
    /// Promised to a pod until then, exclusive.
    pub nominated_until: SimTime,
    /// The lifecycle controller sleeps after a write.
    pub lifecycle_not_before: SimTime,
    /// The Create call is under way.
    pub launching: bool,
    /// When Karpenter last saw that the claim's instance type is listed and sold.
    pub type_checked_at: Option<SimTime>,
    /// Create calls that answered with an error other than insufficient capacity.
    pub launch_errors: u32,
    /// When nodeclaim.consistency last looked at it.
    pub consistency_scanned_at: Option<SimTime>,
    /// ConsistentStateFound.
    pub consistent: bool,
    /// nodeclaim.lifecycle's entry.
    pub(super) lifecycle_timer: Option<Timer>,
    /// nodeclaim.disruption's entry.
    pub(super) conditions_timer: Option<Timer>,
    /// nodeclaim.expiration's entry.
    pub(super) expiration_timer: Option<Timer>,
    /// nodeclaim.consistency's entry.
    pub(super) consistency_timer: Option<Timer>,
}

impl Claim {
    /// Its own deletion, or a command that is about to delete it (karpenter v1.14.1 `StateNode.MarkedForDeletion`).
    pub const fn is_deleting(&self) -> bool {
        self.marked_for_deletion || self.deletion_at.is_some()
    }

    /// Made by Karpenter and launched, so that Karpenter's cluster state has a node for it.
    pub const fn is_state_node(&self) -> bool {
        self.managed && self.instance.is_some()
    }

    /// True once initialized.
    pub const fn is_initialized(&self) -> bool {
        self.initialized_at.is_some()
    }

    /// A spot instance that runs and has not been told to terminate: EC2 may take it back.
    pub fn is_interruptible(&self) -> bool {
        self.instance.as_ref().is_some_and(|instance| {
            instance.capacity_type == CapacityType::Spot && instance.terminating_at.is_none()
        })
    }

    /// EC2 reports the instance as terminated.
    pub fn is_instance_gone(&self) -> bool {
        self.instance.as_ref().is_some_and(|instance| instance.gone)
    }

    /// The instance was told to terminate: it no longer counts in budgets.
    pub fn is_instance_terminating(&self) -> bool {
        self.instance.as_ref().is_some_and(|instance| instance.terminating_at.is_some())
    }
}

impl Cluster {
    /// The claim in a fact.
    pub fn claim_ref(&self, id: ClaimId) -> ClaimRef {
        let claim = &self.claims[id];
        ClaimRef {
            ordinal: claim.ordinal,
            name: claim.name.clone(),
            pool: self.pools.get(claim.pool).map_or_else(|| "".into(), |pool| pool.name.clone()),
        }
    }

    /// Files a claim among those on their way out, or takes it out.
    pub(super) fn index_leaving(&mut self, id: ClaimId) {
        let claim = &self.claims[id];
        match claim.is_deleting() {
            true => {
                self.leaving.insert(claim.name.clone(), id);
            }
            false => {
                self.leaving.remove(&claim.name);
            }
        }
    }

    /// The pool of a name.
    pub fn find_pool(&self, name: &str) -> Option<PoolIndex> {
        self.pools.binary_search_by(|pool| pool.name.as_ref().cmp(name)).ok()
    }

    /// How many pods of a PodDisruptionBudget may be evicted now.
    pub fn disruptions_allowed(&self, budget: u32) -> i64 {
        let state = &self.disruption_budgets[budget as usize];
        state.stated.unwrap_or_else(|| state.spec.disruptions_allowed(&self.selected(state)))
    }

    /// A budget's pods with the present replicas of their Deployments.
    pub fn selected(&self, state: &BudgetState) -> Selected {
        let replicas = state.deployments.iter().map(|i| i64::from(self.deployments[*i].replicas));
        Selected { replicas: replicas.sum(), ..state.selected }
    }

    /// The Deployment of a namespace and name.
    pub fn find_deployment(&self, namespace: &str, name: &str) -> Option<usize> {
        self.deployments
            .iter()
            .position(|d| !d.deleted && (&*d.spec.namespace, &*d.spec.name) == (namespace, name))
    }

    /// The position of a Job that is not deleted.
    pub fn find_job(&self, namespace: &str, name: &str) -> Option<usize> {
        self.jobs
            .iter()
            .position(|j| !j.deleted && (&*j.spec.namespace, &*j.spec.name) == (namespace, name))
    }
}
