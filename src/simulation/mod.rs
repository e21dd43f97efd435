//! One run (layer 6): a world, its controllers, and the loop that pops an event and calls one function.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ec2::InstanceType;
use crate::engine::Streams;
use crate::karpenter::Karpenter;
use crate::kube::capacity_buffer::{CapacityBuffer, PodTemplate};
use crate::kube::disruption_budget::DisruptionBudget;
use crate::kube::volume::Storage;
use crate::kube::workload::{BarePod, DaemonSet, Deployment, Job};
use crate::kube::{Labels, NodeOverlay, NodePool};
use crate::kube_scheduler::KubeScheduler;
use crate::units::{ResourceVec, SimTime, Symbols};
use crate::workload::{replicas, source};
use crate::world::cluster::{Cluster, DeploymentState, JobState, Pool, PoolCost};
use crate::world::faults::PoolFaults;
use crate::world::settings::Boot;
use crate::world::{Account, Event, RegistrationHealth, Settings, Witness, World};

mod bindings;
mod dispatch;
mod faults;
pub mod history;
pub mod invariant;
mod launches;
mod scores;
mod timeline;
mod unplaceable;

pub use crate::workload::arrival;
pub use crate::workload::replicas::Curve as ReplicaCurve;
pub use crate::workload::source::{Load, Recording, RowSource, Source, TraceRow};
pub use crate::world::work::{Comeback, Term};
pub use faults::Fault;
pub use timeline::{Action, DriftTarget, Objects, Target};
pub use unplaceable::unplaceable;

/// Everything a run starts from. Shared by all runs of a scenario.
#[derive(Clone, Debug)]
pub struct Config {
    /// Settings.
    pub settings: Arc<Settings>,
    /// The interner that all objects were made with.
    pub symbols: Symbols,
    /// NodePools with their instance types.
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
    /// StorageClasses, PersistentVolumeClaims, PersistentVolumes, CSINodes.
    pub storage: Storage,
    /// Namespaces with their labels.
    pub namespaces: BTreeMap<Arc<str>, Labels>,
    /// What people and pipelines do, ascending by instant.
    pub timeline: Vec<(SimTime, Action)>,
    /// Sources of pods.
    pub sources: Vec<Source>,
    /// Services whose replicas follow a load.
    pub replicas: Vec<ReplicaSource>,
    /// The run ends before this instant.
    pub horizon: SimTime,
}

impl Config {
    /// The same with the draws of another seed.
    pub fn with_seed(&self, seed: u64) -> Config {
        let settings = Settings { seed, ..self.settings.as_ref().clone() };
        Config { settings: Arc::new(settings), ..self.clone() }
    }
}

/// A Deployment whose replicas follow a load.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaSource {
    /// Namespace of the Deployment.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The load and the bounds.
    pub curve: ReplicaCurve,
}

/// A NodePool with what its EC2NodeClass offers.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolConfig {
    /// The NodePool.
    pub spec: Arc<NodePool>,
    /// The instance types of its node class, in the provider's order.
    pub types: Arc<Vec<InstanceType>>,
    /// Tags of its instances, ascending by key.
    pub tags: Arc<[(Arc<str>, Arc<str>)]>,
    /// How long its nodes take to boot.
    pub boot: Arc<Boot>,
    /// A canonical text of what enters the drift hash of its EC2NodeClass.
    pub class_fields: Arc<str>,
}

/// A run.
pub struct Simulation {
    world: World,
    karpenter: Karpenter,
    scheduler: KubeScheduler,
    config: Arc<Config>,
    /// Where each source stands.
    cursors: Vec<source::Cursor>,
    event_count: u64,
}

impl Simulation {
    /// A run at time zero: all objects exist, all controllers have just started.
    pub fn new(config: Arc<Config>) -> Simulation {
        let config = with_load(config);
        let mut symbols = config.symbols.clone();
        crate::scheduling::intern_fixed_values(&mut symbols);
        let world = World::new(config.settings.clone(), symbols, Cluster::default());
        let mut simulation = Simulation {
            world,
            karpenter: Karpenter::default(),
            scheduler: KubeScheduler::default(),
            config,
            cursors: Vec::new(),
            event_count: 0,
        };
        simulation.schedule_timeline();
        simulation.start_sources();
        simulation.create_objects();
        if simulation.world.keeps_queue_order() {
            simulation.world.schedule(SimTime::ZERO, Event::CountPools);
        }
        simulation.karpenter.start(&mut simulation.world);
        simulation
    }

    fn start_sources(&mut self) {
        let config = self.config.clone();
        for (number, source) in (0..).zip(&config.sources) {
            let mut cursor = source::Cursor::new(number, source);
            source::start(&mut self.world, number, source, &mut cursor);
            self.cursors.push(cursor);
        }
    }

    fn on_arrival(&mut self, number: u32) {
        let index = number as usize;
        if let Some((source, cursor)) =
            self.config.sources.get(index).zip(self.cursors.get_mut(index))
        {
            source::on_arrival(&mut self.world, number, source, cursor);
        }
    }

    fn create_objects(&mut self) {
        let config = self.config.clone();
        self.world.cluster.storage = config.storage.clone();
        self.world.cluster.namespaces = config.namespaces.clone();
        for pool in &config.pools {
            self.put_pool(pool);
        }
        for overlay in &config.node_overlays {
            self.world.put_overlay(overlay.clone());
        }
        for deployment in &config.deployments {
            self.put_deployment(deployment);
        }
        for job in &config.jobs {
            self.put_job(job);
        }
        for daemon_set in &config.daemon_sets {
            self.put_daemon_set(daemon_set);
        }
        for budget in &config.disruption_budgets {
            self.world.put_budget(budget.clone());
        }
        for pod in &config.pods {
            self.put_pod(pod);
        }
        for template in &config.pod_templates {
            self.world.put_pod_template(template.clone());
        }
        for buffer in &config.capacity_buffers {
            self.world.put_buffer(buffer.clone());
        }
    }

    /// Handles the next event before the horizon. `None` at the end.
    pub fn step(&mut self) -> Option<(SimTime, Event)> {
        let next = self.world.queue.next_at()?;
        if next >= self.config.horizon {
            return None;
        }
        let (at, event) = self.world.queue.pop()?;
        self.world.clock.advance_to(at);
        self.event_count += 1;
        dispatch::dispatch(self, event);
        Some((at, event))
    }

    /// The same run with every decision derived from the cluster anew; see [`Settings::plain`].
    pub fn without_memos(mut self) -> Simulation {
        Arc::make_mut(&mut self.world.settings).plain = true;
        self
    }

    /// The same run told to a witness; see [`crate::world::account`].
    pub fn witnessed(mut self, witness: Option<Witness>) -> Simulation {
        self.world.witness = witness;
        self
    }

    /// Takes what the witness was told since the last call.
    pub fn drain_accounts(&mut self) -> Vec<Account> {
        self.world.witness.as_mut().map(Witness::drain).unwrap_or_default()
    }

    /// The world, for observers and checks.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Takes what was recorded since the last call.
    pub fn drain_journal(&mut self) -> std::vec::Drain<'_, crate::world::journal::Record> {
        self.world.journal.drain()
    }

    /// Why the run means nothing: a recording of pods could not be read to the horizon.
    pub fn failure(&self) -> Option<&str> {
        self.cursors.iter().find_map(source::Cursor::failure)
    }

    /// Events handled so far.
    pub fn event_count(&self) -> u64 {
        self.event_count
    }

    /// When the run ends.
    pub fn horizon(&self) -> SimTime {
        self.config.horizon
    }
}

/// A pool as the cluster keeps it.
fn pool_state(config: &PoolConfig, symbols: &Symbols, created_count: u64) -> Pool {
    Pool {
        spec: config.spec.clone(),
        types: config.types.clone(),
        listed: config.types.clone(),
        provided: config.types.clone(),
        class_fields: config.class_fields.clone(),
        tags: config.tags.clone(),
        boot: config.boot.clone(),
        name: symbols.text(config.spec.name.symbol).into(),
        created_count,
        cost: PoolCost::default(),
        ready: true,
        deleted: false,
        drift: None,
        counted: ResourceVec::default(),
        health: RegistrationHealth::default(),
        faults: PoolFaults::default(),
    }
}

/// A Job as the cluster keeps it.
fn job_state(spec: &Job) -> JobState {
    JobState {
        spec: spec.clone(),
        live: Vec::new(),
        terminating: 0,
        succeeded: 0,
        failures: 0,
        failures_in_row: 0,
        not_before: SimTime::ZERO,
        failed: false,
        created_count: 0,
        deleted: false,
    }
}

/// A Deployment as the cluster keeps it.
fn deployment_state(spec: &Deployment) -> DeploymentState {
    DeploymentState {
        spec: spec.clone(),
        replicas: spec.replicas,
        live: Vec::new(),
        created_count: 0,
        deleted: false,
    }
}

/// The config with the replicas that its loads ask for as steps of the timeline. They depend on seed and load alone, so
/// that every policy sees the same.
fn with_load(config: Arc<Config>) -> Arc<Config> {
    if config.replicas.is_empty() {
        return config;
    }
    let streams = Streams::new(config.settings.seed);
    let mut timeline = config.timeline.clone();
    for (number, source) in config.replicas.iter().enumerate() {
        let mut replicas = replicas::Replicas::new(number as u32);
        while replicas.next_at(&source.curve) < config.horizon {
            let at = replicas.next_at(&source.curve);
            if let Some(count) = replicas.look(&source.curve, &streams) {
                let (namespace, name) = (source.namespace.clone(), source.name.clone());
                timeline.push((at, Action::Scale { namespace, name, replicas: count }));
            }
        }
    }
    timeline.sort_by_key(|(at, _)| *at);
    let mut config = Arc::unwrap_or_clone(config);
    config.timeline = timeline;
    Arc::new(config)
}
