//! Work that pods do: how long those that arrive by themselves run, and what is lost when one is evicted.
//!
//! A pod that runs for a span is the pod of a Job with one completion: it comes back after the Job's pause. The Job's
//! backoffLimit is taken to be out of reach, so that all policies do the same work; a Job of the manifests has its own.
//! A pod that lives until an instant, or for ever, stands for a pod of a ReplicaSet: another one takes its place at
//! once, and no work is lost.

use std::sync::Arc;

use super::cluster::{Owner, Pod, PodId};
use super::event::Event;
use super::journal::{Cause, Fact};
use super::settings::JobRetries;
use super::{Wake, World};
use crate::kube::PodClass;
use crate::units::{SimDuration, SimTime};

/// From a pod's success to the removal of its object: the Job that owned it is cleaned up.
const CLEANED_AFTER: SimDuration = SimDuration::from_seconds(1);
/// The pause after a Job's first failure, and the longest one: kubernetes v1.36 `pkg/controller/job/job_controller.go`.
const FIRST_BACK_OFF: SimDuration = SimDuration::from_seconds(10);
const LONGEST_BACK_OFF: SimDuration = SimDuration::from_minutes(10);
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
    /// Its Job makes a new one, which starts over.
    StartsOver,
    /// Its Job makes a new one, which goes on where it was.
    GoesOn,
    /// It has no owner and is lost.
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

    /// How long a pod has been Running, at most until its instance was gone.
    fn time_run(&self, pod: &Pod) -> SimDuration {
        let node = pod.node.and_then(|node| self.cluster.nodes.get(node));
        let instance = node.and_then(|node| self.cluster.claims[node.claim].instance.as_ref());
        let ended = instance.filter(|instance| instance.gone).and_then(|i| i.terminating_at);
        let until = ended.map_or(self.now(), |ended| ended.min(self.now()));
        pod.running_at.map_or(SimDuration::ZERO, |at| until.max(at).since(at))
    }

    /// A pod was evicted, or vanished with its node, before its end: says what is lost and makes its controller answer.
    /// Deployments and DaemonSets lose nothing.
    pub(super) fn interrupt_work(&mut self, id: PodId) {
        let now = self.now();
        let Some(pod) = self.cluster.pods.get(id).filter(|pod| !pod.is_finished()) else {
            return;
        };
        let (reference, owner, work) = (pod.reference(), pod.owner, pod.work);
        let ran = self.time_run(pod);
        let (ran, returns) = match owner {
            Owner::Deployment(_) | Owner::DaemonSet(_) | Owner::Buffer => return,
            Owner::Bare => (ran, false),
            Owner::Job(index) => (ran, self.count_failure(index)),
            Owner::Source(source) => match work {
                // Its end has come all the same.
                Some(Work { term: Term::EndsAt(end), .. }) if end <= now => return,
                Some(work) => self.interrupt_source_pod(id, source, work, ran),
                None => return,
            },
        };
        if ran > SimDuration::ZERO || !returns {
            self.record(Fact::WorkLost { pod: reference, ran, returns });
        }
    }

    /// How much of what a pod of a source did is lost, and whether another one takes its place.
    fn interrupt_source_pod(
        &mut self,
        id: PodId,
        source: u32,
        work: Work,
        ran: SimDuration,
    ) -> (SimDuration, bool) {
        let (lost, term) = match (work.comeback, work.term) {
            (Comeback::Lost, Term::RunsFor(_)) => return (ran, false),
            (Comeback::GoesOn, Term::RunsFor(span)) => {
                let left = SimDuration::from_ms((span.ms() - ran.ms()).max(0));
                (SimDuration::ZERO, Term::RunsFor(left))
            }
            (Comeback::StartsOver, term @ Term::RunsFor(_)) => (ran, term),
            (_, term) => (SimDuration::ZERO, term),
        };
        let failures = work.attempt + 1;
        let mut not_before = self.now();
        if let (Term::RunsFor(_), JobRetries::BackOff) = (term, self.settings.job_retries) {
            not_before = not_before + back_off(failures);
        }
        let Some(pod) = self.cluster.pods.get(id) else {
            return (lost, false);
        };
        let base = pod.name.rsplit_once("-r").map_or(pod.name.as_ref(), |(base, _)| base);
        let name = if work.attempt == 0 { pod.name.clone() } else { base.into() };
        let work = Work { attempt: failures, term, ..work };
        let pod = Returning { source, name, class: pod.class.clone(), work };
        self.cluster.returning.push((not_before, pod));
        if not_before > self.now() {
            self.wake_at(Wake::Workloads, not_before);
        } else {
            self.wake(Wake::Workloads);
        }
        (lost, true)
    }

    /// A pod of a Job was evicted; whether the Job makes another one.
    fn count_failure(&mut self, index: usize) -> bool {
        let now = self.now();
        let retries = self.settings.job_retries;
        let job = &mut self.cluster.jobs[index];
        if job.failed {
            return false;
        }
        if retries == JobRetries::AtOnce || job.spec.ignores_evictions {
            return true;
        }
        job.failures += 1;
        job.failures_in_row += 1;
        job.not_before = now + back_off(job.failures_in_row);
        job.failed = job.failures > job.spec.backoff_limit;
        if job.failed {
            let workload = job.spec.template.workload.clone();
            self.record(Fact::JobFailed { workload });
            return false;
        }
        true
    }

    /// A terminating pod of a Job is gone.
    pub(super) fn end_job_pod(&mut self, index: usize) {
        let job = &mut self.cluster.jobs[index];
        job.terminating = job.terminating.saturating_sub(1);
        if job.spec.waits_for_termination {
            self.cluster.dirty_jobs.insert(index);
            self.wake(Wake::Workloads);
        }
    }

    /// The pods of a Job that failed are deleted; what they did is lost too.
    pub fn give_up_job(&mut self, index: usize) {
        for id in self.cluster.jobs[index].live.clone() {
            let pod = &self.cluster.pods[id];
            let (reference, grace, bound) = (pod.reference(), pod.class.grace, pod.node.is_some());
            let ran = self.time_run(pod);
            if bound {
                self.record(Fact::WorkLost { pod: reference, ran, returns: false });
            }
            self.delete_pod(id, grace, Cause::ScaleDown);
        }
    }

    /// The instant at which a pod of a source ends, whether it ran or not.
    pub fn end_pod(&mut self, id: PodId) {
        if let Some(pod) = self.cluster.pods.get(id) {
            let grace = pod.class.grace;
            self.delete_pod(id, grace, Cause::ScaleDown);
        }
    }
}

/// The pause after the n-th failure in a row: kubernetes v1.36 `pkg/controller/job/backoff_utils.go`.
fn back_off(failures: u32) -> SimDuration {
    let doublings = failures.saturating_sub(1).min(16);
    SimDuration::from_ms(FIRST_BACK_OFF.ms() << doublings).min(LONGEST_BACK_OFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `workloads.md` 26.6.
    #[test]
    fn pauses_double_up_to_ten_minutes() {
        let seconds: Vec<i64> = (1..=8).map(|n| back_off(n).ms() / 1_000).collect();
        assert_eq!(seconds, [10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(back_off(u32::MAX), LONGEST_BACK_OFF);
    }
}
