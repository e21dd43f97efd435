//! What people and pipelines do to the cluster: timeline steps and the objects they put.

use std::sync::Arc;

use super::faults::Fault;
use super::{PoolConfig, Simulation, deployment_state, job_state, pool_state};
use crate::ec2::capacity::OfferingPattern;
use crate::kube::NodeOverlay;
use crate::kube::capacity_buffer::{CapacityBuffer, PodTemplate};
use crate::kube::disruption_budget::DisruptionBudget;
use crate::kube::pod::DoNotDisrupt;
use crate::kube::workload::{BarePod, DaemonSet, Deployment, Job};
use crate::units::SimDuration;
use crate::world::cluster::{ClaimDrift, DeletionCause, DeploymentState, JobState, Owner, Pool};
use crate::world::journal::Cause;
use crate::world::{ClaimId, Event, Fact, PodId, Wake, World};

/// Whose NodeClaims are drifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriftTarget {
    /// Those of a NodePool.
    NodePool(String),
    /// Those of an EC2NodeClass.
    NodeClass(String),
}

/// A step of the timeline.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Sets a Deployment's replicas.
    Scale {
        /// Namespace of the Deployment.
        namespace: String,
        /// Its name.
        name: String,
        /// The new replicas.
        replicas: u32,
    },
    /// Creates objects, or replaces those of the same kind and name.
    Apply(Objects),
    /// Replaces an object by what a merge patch made of it.
    Patch {
        /// `Kind/namespace/name` or `Kind/name`.
        object: Arc<str>,
        /// The object as it is from now on.
        objects: Objects,
        /// The patch says nothing of a Deployment's replicas: they stay as they are.
        keeps_replicas: bool,
    },
    /// Deletes an object.
    Delete(Target),
    /// From now on NodeClaims are drifted that exist now.
    Drift {
        /// Whose.
        target: DriftTarget,
        /// `AMIDrift`, or another of the provider's reasons.
        reason: Arc<str>,
    },
    /// EC2 has none of some offerings for a while.
    StockOut {
        /// Which.
        offerings: OfferingPattern,
        /// How long.
        lasts: SimDuration,
    },
    /// Instances or nodes come to harm.
    Fault {
        /// What happens to them.
        fault: Fault,
        /// Those of this NodePool.
        pool: String,
        /// How many.
        count: usize,
    },
    /// CreateFleet answers a NodePool with an error other than insufficient capacity for a while.
    FailLaunches {
        /// The NodePool.
        pool: String,
        /// How long.
        lasts: SimDuration,
    },
    /// Instances that a NodePool launches in the next while never join the cluster.
    FailJoins {
        /// The NodePool.
        pool: String,
        /// How long.
        lasts: SimDuration,
    },
    /// The provider no longer lists instance types.
    Withdraw {
        /// Those of the types that are meant; zones and capacity types do not count.
        offerings: OfferingPattern,
    },
    /// EC2 asks another price from now on. Karpenter decides by the old one until it asks again.
    PriceChange {
        /// For which offerings.
        offerings: OfferingPattern,
        /// The new price by the old one.
        factor: f64,
    },
    /// The Karpenter controller restarts.
    Restart,
    /// Deletes the NodeClaim of this number, modulo their count, among the initialized ones that are not being deleted,
    /// by name. Recorded timelines interrupt nodes so.
    InterruptNth(usize),
    /// Annotates the pod of this number, modulo their count, among a Deployment's bound pods in the order of creation.
    DoNotDisrupt {
        /// Namespace of the Deployment.
        namespace: String,
        /// Its name.
        name: String,
        /// The pod's number.
        nth: usize,
        /// The annotation's value.
        protection: DoNotDisrupt,
    },
}

/// Objects of several kinds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    /// NodePools.
    pub pools: Vec<PoolConfig>,
    /// Deployments.
    pub deployments: Vec<Deployment>,
    /// Jobs.
    pub jobs: Vec<Job>,
    /// DaemonSets.
    pub daemon_sets: Vec<DaemonSet>,
    /// NodeOverlays.
    pub node_overlays: Vec<NodeOverlay>,
    /// CapacityBuffers.
    pub capacity_buffers: Vec<CapacityBuffer>,
    /// PodTemplates.
    pub pod_templates: Vec<PodTemplate>,
    /// PodDisruptionBudgets.
    pub disruption_budgets: Vec<DisruptionBudget>,
    /// Pods without an owner.
    pub pods: Vec<BarePod>,
}

/// An object that can be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A NodePool, and with it all its nodes.
    NodePool(String),
    /// A node, by the name that it shares with its NodeClaim.
    Node(String),
    /// A Deployment with its pods, by namespace and name.
    Deployment(String, String),
    /// A Job with its pods, by namespace and name.
    Job(String, String),
    /// A NodeOverlay.
    NodeOverlay(String),
    /// A CapacityBuffer, by namespace and name.
    CapacityBuffer(String, String),
    /// A PodDisruptionBudget, by namespace and name.
    DisruptionBudget(String, String),
}

impl Target {
    fn describe(&self) -> String {
        match self {
            Target::NodePool(name) => format!("NodePool/{name}"),
            Target::Node(name) => format!("Node/{name}"),
            Target::NodeOverlay(name) => format!("NodeOverlay/{name}"),
            Target::Deployment(namespace, name) => format!("Deployment/{namespace}/{name}"),
            Target::Job(namespace, name) => format!("Job/{namespace}/{name}"),
            Target::CapacityBuffer(namespace, name) => {
                format!("CapacityBuffer/{namespace}/{name}")
            }
            Target::DisruptionBudget(namespace, name) => {
                format!("PodDisruptionBudget/{namespace}/{name}")
            }
        }
    }
}

impl Action {
    /// The offerings that a step is about.
    pub const fn offerings(&self) -> Option<&OfferingPattern> {
        match self {
            Action::StockOut { offerings, .. }
            | Action::Withdraw { offerings }
            | Action::PriceChange { offerings, .. } => Some(offerings),
            _ => None,
        }
    }
}

impl Simulation {
    pub(super) fn schedule_timeline(&mut self) {
        let config = self.config.clone();
        for (step, (at, _)) in config.timeline.iter().enumerate() {
            self.world.schedule(*at, Event::TimelineStep(step as u32));
        }
    }

    pub(super) fn on_timeline_step(&mut self, step: u32) {
        let config = self.config.clone();
        match &config.timeline[step as usize].1 {
            Action::Scale { namespace, name, replicas } => self.scale(namespace, name, *replicas),
            Action::Apply(objects) => {
                for object in objects.names(&self.world.symbols) {
                    self.world.record(Fact::Applied { object });
                }
                self.put(objects);
            }
            Action::Patch { object, objects, keeps_replicas } => {
                self.note("patch", object.clone());
                match keeps_replicas {
                    true => self.put(&self.with_present_replicas(objects)),
                    false => self.put(objects),
                }
            }
            Action::Delete(target) => {
                self.note("delete", target.describe().into());
                self.delete(target);
            }
            Action::Drift { target, reason } => self.drift(target, reason),
            Action::StockOut { offerings, lasts } => {
                self.note("stock_out", "".into());
                let until = self.world.now() + *lasts;
                self.world.cluster.capacity.add_stock_out(offerings.clone(), until);
            }
            Action::Withdraw { offerings } => {
                let types = offerings.types.as_deref().unwrap_or("*");
                self.note("withdraw", types.into());
                self.world.withdraw_types(types);
            }
            Action::PriceChange { offerings, factor } => {
                self.note("price_change", offerings.types.as_deref().unwrap_or("*").into());
                self.world.change_prices(offerings, *factor);
            }
            Action::Restart => {
                self.note("restart", "".into());
                self.karpenter.restart(&mut self.world);
            }
            Action::FailLaunches { pool, lasts } => {
                self.fail_for(("fail_launches", World::fail_launches), pool, *lasts);
            }
            Action::FailJoins { pool, lasts } => {
                self.fail_for(("fail_joins", World::fail_joins), pool, *lasts);
            }
            Action::Fault { fault, pool, count } => self.strike(step, *fault, pool, *count),
            Action::InterruptNth(nth) => {
                self.note("interrupt", "".into());
                self.interrupt_nth(*nth);
            }
            Action::DoNotDisrupt { namespace, name, nth, protection } => {
                let object: Arc<str> = format!("Deployment/{namespace}/{name}").into();
                self.note("do_not_disrupt", object.clone());
                let found = self.protect(namespace, name, *nth, *protection);
                self.count_hits("do_not_disrupt", object, 1, usize::from(found));
            }
        }
    }

    /// The objects with the replicas that the Deployments among them have by now.
    fn with_present_replicas(&self, objects: &Objects) -> Objects {
        let cluster = &self.world.cluster;
        let mut objects = objects.clone();
        for spec in &mut objects.deployments {
            if let Some(index) = cluster.find_deployment(&spec.namespace, &spec.name) {
                spec.replicas = cluster.deployments[index].replicas;
            }
        }
        objects
    }

    pub(super) fn note(&mut self, action: &'static str, object: Arc<str>) {
        self.world.record(Fact::TimelineStep { action, object });
    }

    /// Creates or replaces objects.
    pub(super) fn put(&mut self, objects: &Objects) {
        objects.pools.iter().for_each(|pool| self.put_pool(pool));
        for overlay in &objects.node_overlays {
            self.world.put_overlay(overlay.clone());
        }
        objects.deployments.iter().for_each(|deployment| self.put_deployment(deployment));
        objects.jobs.iter().for_each(|job| self.put_job(job));
        objects.daemon_sets.iter().for_each(|set| self.put_daemon_set(set));
        for budget in &objects.disruption_budgets {
            self.world.put_budget(budget.clone());
        }
        objects.pods.iter().for_each(|pod| self.put_pod(pod));
        for template in &objects.pod_templates {
            self.world.put_pod_template(template.clone());
        }
        for buffer in &objects.capacity_buffers {
            self.world.put_buffer(buffer.clone());
        }
        if !objects.deployments.is_empty() {
            self.world.index_budgets();
        }
    }

    fn delete(&mut self, target: &Target) {
        match target {
            Target::NodePool(name) => self.delete_pool(name),
            Target::Node(name) => {
                let claim = self.world.cluster.claims_by_name.get(name.as_str()).copied();
                self.count_hits("delete", target.describe().into(), 1, claim.iter().count());
                if let Some(id) = claim {
                    self.world.delete_claim(id, DeletionCause::Failed);
                }
            }
            Target::NodeOverlay(name) => self.world.remove_overlay(name),
            Target::Deployment(namespace, name) => {
                let found = self.world.cluster.find_deployment(namespace, name);
                self.scale(namespace, name, 0);
                if let Some(index) = found {
                    self.world.cluster.deployments[index].deleted = true;
                }
            }
            Target::Job(namespace, name) => {
                let Some(index) = self.world.cluster.find_job(namespace, name) else {
                    return;
                };
                let job = &mut self.world.cluster.jobs[index];
                job.deleted = true;
                for pod in job.live.clone() {
                    let grace = self.world.cluster.pods[pod].class.grace;
                    self.world.delete_pod(pod, grace, Cause::ScaleDown);
                }
            }
            Target::CapacityBuffer(namespace, name) => self.world.remove_buffer(namespace, name),
            Target::DisruptionBudget(namespace, name) => {
                self.world.remove_budget(namespace, name);
            }
        }
    }

    /// The NodePool goes, and its NodeClaims with it, whatever budgets say.
    fn delete_pool(&mut self, name: &str) {
        let Some(index) = self.world.cluster.find_pool(name) else {
            return;
        };
        self.world.cluster.pools[index].deleted = true;
        self.world.evaluate_overlays();
        for id in self.claims_of(Some(index)) {
            self.world.delete_claim(id, DeletionCause::Failed);
        }
    }

    /// NodeClaims in the order of their names.
    pub(super) fn claims_of(&self, pool: Option<usize>) -> Vec<ClaimId> {
        let cluster = &self.world.cluster;
        let ids = cluster.claims_by_name.values().copied();
        ids.filter(|id| pool.is_none_or(|pool| cluster.claims[*id].pool == pool)).collect()
    }

    fn drift(&mut self, target: &DriftTarget, reason: &Arc<str>) {
        let drift = ClaimDrift { before: self.world.cluster.claim_count, reason: reason.clone() };
        let cluster = &mut self.world.cluster;
        let (object, touched) = match target {
            DriftTarget::NodePool(name) => {
                let pool = cluster.find_pool(name);
                if let Some(index) = pool {
                    cluster.pools[index].drift = Some(drift);
                }
                (format!("NodePool/{name}"), pool.map(|pool| self.claims_of(Some(pool))))
            }
            DriftTarget::NodeClass(name) => {
                let class = self.world.symbols.intern_value(name);
                cluster.class_drifts.insert(class.symbol, drift);
                let mut ids = self.claims_of(None);
                let claims = &self.world.cluster.claims;
                ids.retain(|id| claims[*id].template.template.node_class == class);
                (format!("EC2NodeClass/{name}"), Some(ids))
            }
        };
        self.note("drift", object.into());
        // The object's event makes Karpenter look at all its NodeClaims.
        for id in touched.into_iter().flatten() {
            self.world.wake(Wake::Conditions(id));
        }
    }

    /// False when no pod is there.
    fn protect(
        &mut self,
        namespace: &str,
        name: &str,
        nth: usize,
        protection: DoNotDisrupt,
    ) -> bool {
        let cluster = &self.world.cluster;
        let Some(index) = cluster.find_deployment(namespace, name) else {
            return false;
        };
        let live = cluster.deployments[index].live.iter().copied();
        let bound: Vec<PodId> = live.filter(|pod| cluster.pods[*pod].node.is_some()).collect();
        if !bound.is_empty() {
            self.world.annotate_pod(bound[nth % bound.len()], protection);
        }
        !bound.is_empty()
    }

    fn scale(&mut self, namespace: &str, name: &str, replicas: u32) {
        let cluster = &mut self.world.cluster;
        let Some(index) = cluster.find_deployment(namespace, name) else {
            return;
        };
        cluster.deployments[index].replicas = replicas;
        cluster.dirty_deployments.insert(index);
        let workload = cluster.deployments[index].spec.template.workload.clone();
        self.world.record(Fact::Scaled { workload, replicas });
        self.world.wake(Wake::Workloads);
    }

    /// Creates or replaces a NodePool. Its nodes look at their conditions again.
    pub(super) fn put_pool(&mut self, config: &PoolConfig) {
        let name = self.world.symbols.text(config.spec.name.symbol).to_owned();
        let cluster = &mut self.world.cluster;
        match cluster.pools.binary_search_by(|pool| pool.name.as_ref().cmp(&name)) {
            Ok(index) => {
                let old = cluster.pools[index].clone();
                let new = pool_state(config, &self.world.symbols, old.created_count);
                // The health of registrations is forgotten with the spec that it was seen under.
                let same = old.spec == new.spec && old.class_fields == new.class_fields;
                let health = if same { old.health } else { new.health };
                let (cost, drift, counted) = (old.cost, old.drift, old.counted);
                let faults = old.faults;
                cluster.pools[index] = Pool { cost, drift, counted, health, faults, ..new };
            }
            Err(index) => {
                // Pools are numbered by name: the numbers of those after the new one move up.
                cluster.pools.insert(index, pool_state(config, &self.world.symbols, 0));
                let ids: Vec<_> = cluster.claims_by_name.values().copied().collect();
                for id in ids {
                    let claim = &mut cluster.claims[id];
                    claim.pool += usize::from(claim.pool >= index);
                }
            }
        }
        self.world.price_pool(&name);
        self.world.apply_withdrawals();
        self.world.evaluate_overlays();
        self.world.mark_unconsolidated();
        if let Some(index) = self.world.cluster.find_pool(&name) {
            self.world.notify_pool(index);
        }
        if config.spec.replicas.is_some() {
            self.world.wake(Wake::StaticPools);
        }
    }

    /// Creates a Deployment, or sets an existing one's replicas and the template of pods to come. One that was deleted
    /// does not come back: its pods go, and another one of its name makes new ones.
    pub(super) fn put_deployment(&mut self, spec: &Deployment) {
        let cluster = &mut self.world.cluster;
        let index = cluster.find_deployment(&spec.namespace, &spec.name).unwrap_or_else(|| {
            let same = |d: &&DeploymentState| {
                (&d.spec.namespace, &d.spec.name) == (&spec.namespace, &spec.name)
            };
            // No name of a pod comes twice.
            let created_count =
                cluster.deployments.iter().rfind(same).map_or(0, |d| d.created_count);
            cluster.deployments.push(DeploymentState { created_count, ..deployment_state(spec) });
            cluster.deployments.len() - 1
        });
        cluster.deployments[index].spec = spec.clone();
        cluster.deployments[index].replicas = spec.replicas;
        cluster.dirty_deployments.insert(index);
        self.world.wake(Wake::Workloads);
    }

    /// Creates a Job. One that exists is left alone: a Job's template and completions cannot be changed. After one that
    /// was deleted it begins anew.
    pub(super) fn put_job(&mut self, spec: &Job) {
        let cluster = &mut self.world.cluster;
        if cluster.find_job(&spec.namespace, &spec.name).is_some() {
            return;
        }
        let same = |job: &&JobState| {
            (&job.spec.namespace, &job.spec.name) == (&spec.namespace, &spec.name)
        };
        // No name of a pod comes twice.
        let created_count = cluster.jobs.iter().rfind(same).map_or(0, |job| job.created_count);
        cluster.dirty_jobs.insert(cluster.jobs.len());
        cluster.jobs.push(JobState { created_count, ..job_state(spec) });
        self.world.wake(Wake::Workloads);
    }

    /// Creates or replaces a DaemonSet; existing nodes get its pods too.
    pub(super) fn put_daemon_set(&mut self, spec: &DaemonSet) {
        let cluster = &mut self.world.cluster;
        let same = |set: &DaemonSet| set.namespace == spec.namespace && set.name == spec.name;
        match cluster.daemon_sets.iter().position(same) {
            Some(index) => cluster.daemon_sets[index] = spec.clone(),
            None => cluster.daemon_sets.push(spec.clone()),
        }
        cluster.generation += 1;
        cluster.nodes_without_daemons = cluster.nodes_by_name.values().copied().collect();
        self.world.wake(Wake::Workloads);
    }

    /// Creates a pod without an owner.
    pub(super) fn put_pod(&mut self, pod: &BarePod) {
        let counter = self.world.cluster.pod_count;
        let class = pod.template.clone();
        self.world.create_pod(pod.name.clone(), class, Owner::Bare, (1 << 41, counter), None);
    }
}

impl Objects {
    /// `Kind/namespace/name` of each.
    fn names(&self, symbols: &crate::units::Symbols) -> Vec<Arc<str>> {
        let pool = |pool: &PoolConfig| format!("NodePool/{}", symbols.text(pool.spec.name.symbol));
        let mut names: Vec<String> = self.pools.iter().map(pool).collect();
        names.extend(self.node_overlays.iter().map(|o| format!("NodeOverlay/{}", o.name)));
        let mut add = |kind: &str, namespace: &str, name: &str| {
            names.push(format!("{kind}/{namespace}/{name}"));
        };
        self.deployments.iter().for_each(|o| add("Deployment", &o.namespace, &o.name));
        self.jobs.iter().for_each(|o| add("Job", &o.namespace, &o.name));
        self.daemon_sets.iter().for_each(|o| add("DaemonSet", &o.namespace, &o.name));
        for budget in &self.disruption_budgets {
            add("PodDisruptionBudget", &budget.namespace, &budget.name);
        }
        self.pods.iter().for_each(|o| add("Pod", &o.namespace, &o.name));
        self.pod_templates.iter().for_each(|o| add("PodTemplate", &o.namespace, &o.name));
        self.capacity_buffers.iter().for_each(|o| add("CapacityBuffer", &o.namespace, &o.name));
        names.into_iter().map(Arc::from).collect()
    }
}
