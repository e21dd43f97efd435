//! Sources of pods: what arrives, and when. One event waits for each source, however many pods are to come.

use std::sync::Arc;

use super::arrival::{Instants, Process};
use crate::engine::{Distribution, Purpose, Streams};
use crate::kube::PodClass;
use crate::units::{SimDuration, SimTime};
use crate::world::work::{Comeback, Returning, Term, Work};
use crate::world::{Event, World};

/// Bits of a pod's number in a draw's entity; the source's number stands above.
const NUMBER_BITS: u32 = 40;

/// A source of pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Its name, with which its pods' names begin.
    pub name: Arc<str>,
    /// What comes.
    pub load: Load,
    /// What becomes of pods that are evicted.
    pub comeback: Comeback,
}

/// What comes.
#[derive(Clone, Debug, PartialEq)]
pub enum Load {
    /// Pods drawn by lot.
    Arrivals {
        /// When.
        pattern: Process,
        /// Kinds of pods with the sum of the weights up to and including each; never empty.
        classes: Arc<[(u64, Arc<PodClass>)]>,
        /// Milliseconds from Running to the end.
        lifetime: Distribution,
        /// From when to when.
        span: (SimTime, SimTime),
    },
    /// Recorded pods, ascending by instant.
    Trace(Arc<[TraceRow]>),
}

/// A recorded pod.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceRow {
    /// When it arrives.
    pub at: SimTime,
    /// Its name.
    pub name: Arc<str>,
    /// What it is like.
    pub class: Arc<PodClass>,
    /// When it ends.
    pub term: Term,
}

/// Where a source stands.
#[derive(Clone, Debug)]
pub struct Cursor {
    instants: Instants,
    pods: u64,
}

impl Cursor {
    /// The start of the source of this number.
    pub fn new(number: u32, source: &Source) -> Cursor {
        let from = match &source.load {
            Load::Arrivals { span, .. } => span.0,
            Load::Trace(_) => SimTime::ZERO,
        };
        Cursor { instants: Instants::new(number, from), pods: 0 }
    }

    /// When the next pod comes.
    fn next_at(&mut self, source: &Source, streams: &Streams) -> Option<SimTime> {
        match &source.load {
            Load::Arrivals { pattern, span, .. } => self.instants.next(pattern, streams, span.1),
            Load::Trace(rows) => rows.get(usize::try_from(self.pods).ok()?).map(|row| row.at),
        }
    }

    fn pod(&self, number: u32, source: &Source, streams: &Streams) -> Option<Returning> {
        let entity = u64::from(number) << NUMBER_BITS | self.pods;
        let (name, class, term) = match &source.load {
            Load::Arrivals { classes, lifetime, .. } => {
                let total = classes.last()?.0;
                let drawn = streams.below(Purpose::PodSize, entity, 0, total);
                let (_, class) = classes.iter().find(|(sum, _)| drawn < *sum)?;
                let runs = streams.sample(lifetime, Purpose::PodLifetime, entity, 0).max(0);
                let name = format!("{}-{}", source.name, self.pods + 1).into();
                (name, class, Term::RunsFor(SimDuration::from_ms(runs)))
            }
            Load::Trace(rows) => {
                let row = rows.get(usize::try_from(self.pods).ok()?)?;
                (row.name.clone(), &row.class, row.term)
            }
        };
        let work = Work { number: self.pods, attempt: 0, term, comeback: source.comeback };
        Some(Returning { source: number, name, class: class.clone(), work })
    }
}

/// Schedules the first pod of a source.
pub fn start(world: &mut World, number: u32, source: &Source, cursor: &mut Cursor) {
    if let Some(at) = cursor.next_at(source, &world.streams) {
        world.schedule(at, Event::Arrival(number));
    }
}

/// A pod of a source arrives; the next one is scheduled.
pub fn on_arrival(world: &mut World, number: u32, source: &Source, cursor: &mut Cursor) {
    if let Some(pod) = cursor.pod(number, source, &world.streams) {
        world.create_working_pod(pod);
    }
    cursor.pods += 1;
    start(world, number, source, cursor);
}

/// Makes pods again that were evicted.
pub(super) fn bring_back(world: &mut World) {
    for pod in std::mem::take(&mut world.cluster.returning) {
        world.create_working_pod(pod);
    }
}
