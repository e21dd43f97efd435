//! All mutable state of one run (layer 3): clock, event queue, cluster, journal.
//!
//! Reads go through [`view::ClusterView`] or the public fields; writes go through the mutators of `pods.rs`, `nodes.rs`
//! and `claims.rs`, one per fact, which record the fact in the journal and wake the actors that watch it. Wakes follow
//! client-go's work queues: one entry per object, an event makes a waiting entry due at once, a later delayed entry for
//! an object that already waits is dropped. An entry that is made due at once keeps its place among those that are.

use std::sync::Arc;

use crate::ec2::InstanceType;
use crate::engine::{Clock, EventQueue, Streams, Timer};
use crate::units::{SimDuration, SimTime, Symbols};

pub mod account;
pub mod arena;
mod blank;
mod budgets;
pub mod buffers;
mod changes;
pub mod claims;
pub mod cluster;
pub mod event;
pub mod faults;
pub mod interruptions;
pub mod journal;
pub mod lineup;
pub mod nodes;
mod offerings;
pub mod pods;
mod pool_status;
mod prices;
mod restart;
pub mod restore;
pub mod settings;
pub mod view;
mod volumes;
pub mod work;

pub use account::{Account, Witness};
pub use changes::{Changes, Seen};
pub use cluster::{ClaimId, Cluster, NodeId, PodId, PoolIndex};
pub use event::{Event, EventClass};
pub use journal::{Fact, Journal};
pub use lineup::Lineup;
pub use pool_status::RegistrationHealth;
pub use settings::Settings;
pub use view::ClusterView;

/// The state of one run.
#[derive(Clone, Debug)]
pub struct World {
    /// The virtual clock.
    pub clock: Clock,
    /// What happens next.
    pub queue: EventQueue<Event>,
    /// Interned texts.
    pub symbols: Symbols,
    /// Pods, nodes, NodeClaims, NodePools, workloads.
    pub cluster: Cluster,
    /// Facts for observers.
    pub journal: Journal,
    /// Random draws.
    pub streams: Streams,
    /// What the scenario decided.
    pub settings: Arc<Settings>,
    /// Whom the controllers tell why.
    pub witness: Option<Witness>,
    workload_pass: Option<Timer>,
    scheduler_pass: Option<Timer>,
    static_pass: Option<Timer>,
}

/// Instance types that NodePools share.
type TypeList = Arc<Vec<InstanceType>>;

/// Which work queue a wake is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// nodeclaim.lifecycle.
    Lifecycle(ClaimId),
    /// nodeclaim.disruption.
    Conditions(ClaimId),
    /// nodeclaim.expiration.
    Expiration(ClaimId),
    /// nodeclaim.consistency.
    Consistency(ClaimId),
    /// node.termination.
    Termination(NodeId),
    /// node.health.
    Health(NodeId),
    /// provisioner.trigger.pod.
    PodTrigger(PodId),
    /// provisioner.trigger.node.
    NodeTrigger(NodeId),
    /// The controller of the CapacityBuffer of this number.
    CapacityBuffer(u32),
    /// The workload controllers.
    Workloads,
    /// kube-scheduler.
    Scheduler,
    /// static.provisioning and static.deprovisioning.
    StaticPools,
}

impl World {
    /// A world without objects at time zero.
    pub fn new(settings: Arc<Settings>, symbols: Symbols, cluster: Cluster) -> World {
        World {
            clock: Clock::default(),
            queue: EventQueue::default(),
            symbols,
            cluster,
            journal: Journal::default(),
            streams: Streams::new(settings.seed),
            settings,
            witness: None,
            workload_pass: None,
            scheduler_pass: None,
            static_pass: None,
        }
    }

    /// The present instant.
    pub fn now(&self) -> SimTime {
        self.clock.now()
    }

    /// What deciders see.
    pub fn view(&self) -> ClusterView<'_> {
        ClusterView::new(self)
    }

    /// Appends a fact of this instant, told in whole milliseconds.
    pub fn record(&mut self, fact: Fact) {
        self.journal.record(self.clock.now().floor_to_ms(), fact);
    }

    /// Somebody wants to know why.
    pub fn is_witnessed(&self) -> bool {
        self.witness.as_ref().is_some_and(|witness| witness.sees(self.now()))
    }

    /// Tells the witness, if there is one.
    pub fn tell(&mut self, account: Account) {
        if let Some(witness) = &mut self.witness {
            witness.tell(account);
        }
    }

    /// Schedules `event` in its class.
    pub fn schedule(&mut self, at: SimTime, event: Event) -> Timer {
        self.queue.schedule(at, event.class() as u8, event)
    }

    /// Makes an object's entry in a work queue due at once. Nothing happens for an object that is gone.
    pub fn wake(&mut self, wake: Wake) {
        let delay = match wake {
            Wake::Workloads => self.settings.controller_latency,
            _ => SimDuration::ZERO,
        };
        self.wake_after(wake, delay);
    }

    /// Adds a delayed entry to a work queue; an entry that is due earlier stays.
    pub fn wake_after(&mut self, wake: Wake, delay: SimDuration) {
        self.wake_at(wake, self.now() + delay);
    }

    /// As [`World::wake_after`] with an instant.
    pub fn wake_at(&mut self, wake: Wake, at: SimTime) {
        let Some((slot, event, not_before)) = self.entry(wake) else {
            return;
        };
        let at = at.max(not_before);
        let waiting = *slot;
        match waiting.and_then(|timer| self.queue.due_at(timer).map(|due| (timer, due))) {
            Some((_, due)) if due <= at => {}
            Some((timer, _)) => {
                self.queue.advance(timer, at);
            }
            None => {
                let timer = self.schedule(at, event);
                if let Some((slot, _, _)) = self.entry(wake) {
                    *slot = Some(timer);
                }
            }
        }
    }

    /// Whether work queues keep the places that Karpenter's have.
    ///
    /// DEVIATION: reconciles that change nothing but an object's place in a queue, and by it who of several NodeClaims
    /// of one age expires first, are made with canonical ties only.
    pub fn keeps_queue_order(&self) -> bool {
        self.settings.tie_breaks == settings::TieBreaks::Canonical
    }

    /// The timer slot of an object's entry, the event it fires, and the instant before which it may not fire.
    fn entry(&mut self, wake: Wake) -> Option<(&mut Option<Timer>, Event, SimTime)> {
        let cluster = &mut self.cluster;
        Some(match wake {
            Wake::Lifecycle(id) => {
                let claim = cluster.claims.get_mut(id)?;
                (&mut claim.lifecycle_timer, Event::Lifecycle(id), claim.lifecycle_not_before)
            }
            Wake::Conditions(id) => {
                let claim = cluster.claims.get_mut(id)?;
                (&mut claim.conditions_timer, Event::Conditions(id), SimTime::ZERO)
            }
            Wake::Expiration(id) => {
                let claim = cluster.claims.get_mut(id)?;
                (&mut claim.expiration_timer, Event::Expiration(id), SimTime::ZERO)
            }
            Wake::Consistency(id) => {
                let claim = cluster.claims.get_mut(id).filter(|claim| !claim.consistent)?;
                (&mut claim.consistency_timer, Event::Consistency(id), SimTime::ZERO)
            }
            Wake::Termination(id) => {
                let node = cluster.nodes.get_mut(id)?;
                (&mut node.termination_timer, Event::Termination(id), SimTime::ZERO)
            }
            Wake::Health(id) => {
                let node = cluster.nodes.get_mut(id)?;
                (&mut node.health_timer, Event::Health(id), SimTime::ZERO)
            }
            Wake::PodTrigger(id) => {
                let pod = cluster.pods.get_mut(id)?;
                (&mut pod.trigger_timer, Event::PodTrigger(id), SimTime::ZERO)
            }
            Wake::NodeTrigger(id) => {
                let node = cluster.nodes.get_mut(id)?;
                (&mut node.trigger_timer, Event::NodeTrigger(id), SimTime::ZERO)
            }
            Wake::CapacityBuffer(index) => {
                let buffer = cluster.capacity_buffers.get_mut(index as usize)?;
                (&mut buffer.timer, Event::CapacityBuffer(index), SimTime::ZERO)
            }
            Wake::Workloads => (&mut self.workload_pass, Event::WorkloadPass, SimTime::ZERO),
            Wake::Scheduler => (&mut self.scheduler_pass, Event::SchedulerPass, SimTime::ZERO),
            Wake::StaticPools => (&mut self.static_pass, Event::StaticPools, SimTime::ZERO),
        })
    }

    /// Voids Karpenter's consolidated marks.
    pub fn mark_unconsolidated(&mut self) {
        self.cluster.unconsolidated_at = self.now();
    }
}
