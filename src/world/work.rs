//! Pods that arrive by themselves: how long they run, and what becomes of one that is evicted.

use std::sync::Arc;

use super::cluster::{Owner, PodId};
use super::event::Event;
use super::{Wake, World};
use crate::kube::PodClass;
use crate::units::{SimDuration, SimTime};

/// From a pod's success to the removal of its object: the Job that owned it is cleaned up.
const CLEANED_AFTER: SimDuration = SimDuration::from_seconds(1);
/// Bits of a pod's number in what its draws are keyed by; the source stands above, the attempt below.
const ATTEMPT_BITS: u32 = 8;

/// What a pod of a source is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Its number among the pods of its source, the same under every policy.
    pub number: u64,
    /// How often it was begun before.
    pub attempt: u32,
    /// When it ends.
    pub term: Term,
    /// What an eviction means for it.
    pub comeback: Comeback,
}

/// When a pod ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// This long after it became Running.
    RunsFor(SimDuration),
    /// At this instant, whether it ran or not.
    EndsAt(SimTime),
    /// Never.
    Endless,
}

/// What becomes of a pod that is evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comeback {
    /// Its controller makes a new one, which starts over.
    StartsOver,
    /// Its controller makes a new one, which goes on where it was.
    GoesOn,
    /// It is lost.
    Lost,
}

/// A pod that is to be made again.
#[derive(Clone, Debug, PartialEq)]
pub struct Returning {
    /// The source.
    pub source: u32,
    /// Its name without the attempt.
    pub name: Arc<str>,
    /// What it shares with its siblings.
    pub class: Arc<PodClass>,
    /// What it is there for.
    pub work: Work,
}

impl World {
    /// Creates a pod of a source.
    pub fn create_working_pod(&mut self, pod: Returning) -> PodId {
        let Returning { source, name, class, work } = pod;
        let name = match work.attempt {
            0 => name,
            n => format!("{name}-r{n}").into(),
        };
        // Two policies draw the same for the same pod.
        let counter = work.number << ATTEMPT_BITS | u64::from(work.attempt).min(255);
        let parts = (1 << 43 | u64::from(source), counter);
        let id = self.create_pod(name, class, Owner::Source(source), parts, None);
        self.cluster.pods[id].work = Some(work);
        if let Term::EndsAt(at) = work.term {
            self.schedule(at.max(self.now()), Event::PodEnds(id));
        }
        id
    }

    /// A pod of a source became Running: its time runs.
    pub(super) fn begin_work(&mut self, id: PodId) {
        if let Some(Work { term: Term::RunsFor(span), .. }) = self.cluster.pods[id].work {
            let timer = self.schedule(self.now() + span, Event::PodSucceeds(id));
            self.cluster.pods[id].kubelet_timer = Some(timer);
        }
    }

    /// A pod of a source succeeded: its object goes.
    pub(super) fn clean_up(&mut self, id: PodId) {
        let timer = self.schedule(self.now() + CLEANED_AFTER, Event::PodStops(id));
        self.cluster.pods[id].kubelet_timer = Some(timer);
    }

    /// A pod of a source was told to go before its end: its controller makes another one, if it has one.
    pub(super) fn lose_work(&mut self, id: PodId, source: u32) {
        let now = self.now();
        let Some(pod) = self.cluster.pods.get(id).filter(|pod| !pod.is_finished()) else {
            return;
        };
        let Some(work) = pod.work else {
            return;
        };
        let term = match (work.comeback, work.term) {
            (Comeback::Lost, _) => return,
            (_, Term::EndsAt(end)) if end <= now => return,
            (Comeback::GoesOn, Term::RunsFor(span)) => {
                let ran = pod.running_at.map_or(SimDuration::ZERO, |at| now.since(at));
                Term::RunsFor(SimDuration::from_ms((span.ms() - ran.ms()).max(0)))
            }
            (_, term) => term,
        };
        let base = pod.name.rsplit_once("-r").map_or(pod.name.as_ref(), |(base, _)| base);
        let name = if work.attempt == 0 { pod.name.clone() } else { base.into() };
        let work = Work { attempt: work.attempt + 1, term, ..work };
        let class = pod.class.clone();
        self.cluster.returning.push(Returning { source, name, class, work });
        self.wake(Wake::Workloads);
    }

    /// The instant at which a pod of a source ends, whether it ran or not.
    pub fn end_pod(&mut self, id: PodId) {
        if let Some(pod) = self.cluster.pods.get(id) {
            let grace = pod.class.grace;
            self.delete_pod(id, grace, super::journal::Cause::ScaleDown);
        }
    }
}
