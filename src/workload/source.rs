//! Sources of pods: what arrives, and when. One event waits for each source, however many pods are to come.

use std::fmt::Debug;
use std::sync::Arc;

use super::arrival::{Instants, Process};
use crate::engine::{Distribution, Purpose, Streams};
use crate::kube::PodClass;
use crate::units::{SimDuration, SimTime};
use crate::world::work::{Comeback, Returning, Term, Work};
use crate::world::{Event, Wake, World};

/// Bits of a pod's number in a draw's entity; the source's number stands above.
const NUMBER_BITS: u32 = 40;

/// A source of pods.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name, with which its pods' names begin.
    pub name: Arc<str>,
    /// What comes.
    pub load: Load,
    /// What becomes of pods that are evicted.
    pub comeback: Comeback,
}

/// What comes.
#[derive(Clone, Debug)]
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
    /// Recorded pods.
    Trace(Arc<dyn Recording>),
}

/// Recorded pods that are read while the run goes on, as often as there are runs.
pub trait Recording: Send + Sync + Debug {
    /// A reader before the first pod.
    fn open(self: Arc<Self>) -> Box<dyn RowSource>;
}

/// Reads recorded pods.
pub trait RowSource: Send {
    /// The next pod, ascending by instant; none behind the last. The error says why the recording cannot be read.
    fn next(&mut self) -> Result<Option<TraceRow>, String>;
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

/// Where a source stands: never more than a pod ahead of the clock.
pub struct Cursor {
    /// Pods so far.
    pods: u64,
    place: Place,
    failure: Option<String>,
}

enum Place {
    Drawn(Instants),
    Recorded { rows: Box<dyn RowSource>, next: Option<TraceRow> },
}

impl Cursor {
    /// The start of the source of this number.
    pub fn new(number: u32, source: &Source) -> Cursor {
        let place = match &source.load {
            Load::Arrivals { span, .. } => Place::Drawn(Instants::new(number, span.0)),
            Load::Trace(recording) => {
                Place::Recorded { rows: recording.clone().open(), next: None }
            }
        };
        Cursor { pods: 0, place, failure: None }
    }

    /// Why the source came to an end before its time; a run with it means nothing.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// When the next pod comes.
    fn next_at(&mut self, source: &Source, streams: &Streams) -> Option<SimTime> {
        match (&mut self.place, &source.load) {
            (Place::Drawn(instants), Load::Arrivals { pattern, span, .. }) => {
                instants.next(pattern, streams, span.1)
            }
            (Place::Recorded { rows, next }, _) => {
                match rows.next() {
                    Ok(row) => *next = row,
                    Err(reason) => self.failure = Some(reason),
                }
                next.as_ref().map(|row| row.at)
            }
            _ => None,
        }
    }

    fn pod(&mut self, number: u32, source: &Source, streams: &Streams) -> Option<Returning> {
        let entity = u64::from(number) << NUMBER_BITS | self.pods;
        let (name, class, term) = match (&mut self.place, &source.load) {
            (Place::Recorded { next, .. }, _) => {
                let row = next.take()?;
                (row.name, row.class, row.term)
            }
            (_, Load::Arrivals { classes, lifetime, .. }) => {
                let total = classes.last()?.0;
                let drawn = streams.below(Purpose::PodSize, entity, 0, total);
                let (_, class) = classes.iter().find(|(sum, _)| drawn < *sum)?;
                let runs = streams.sample(lifetime, Purpose::PodLifetime, entity, 0).max(0);
                let name = format!("{}-{}", source.name, self.pods + 1).into();
                (name, class.clone(), Term::RunsFor(SimDuration::from_ms(runs)))
            }
            _ => return None,
        };
        let work = Work { number: self.pods, attempt: 0, term, comeback: source.comeback };
        Some(Returning { source: number, name, class, work })
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

/// Makes pods again that were evicted and whose pause is over.
pub(super) fn bring_back(world: &mut World) {
    let now = world.now();
    let (due, waiting): (Vec<_>, Vec<_>) =
        std::mem::take(&mut world.cluster.returning).into_iter().partition(|(at, _)| *at <= now);
    if let Some(next) = waiting.iter().map(|(at, _)| *at).min() {
        world.wake_at(Wake::Workloads, next);
    }
    world.cluster.returning = waiting;
    for (_, pod) in due {
        world.create_working_pod(pod);
    }
}
