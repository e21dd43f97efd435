//! Many runs on all cores. Which thread runs what, and when, shows in nothing but the wall clock.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};

use super::Figures;
use super::run::{Checks, Observer, run};
use crate::outcome::{Header, Metric, RunResult};
use crate::simulation::Config;
use crate::units::{SimDuration, SimTime};
use crate::world::journal::Record;

/// A run to be done.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its number in the study.
    pub id: u64,
    /// What it starts from, but for the seed.
    pub config: Arc<Config>,
    /// What identifies it, but for the seed.
    pub header: Header,
    /// Seed of its draws.
    pub seed: u64,
    /// Whether its whole result is wanted, for pictures.
    pub keep: bool,
}

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    /// At its horizon.
    Done {
        /// Its figures: name with labels, and value; none where there is nothing to measure.
        figures: Figures,
        /// The whole result, if it is kept.
        result: Option<Box<RunResult>>,
    },
    /// It broke an invariant, or the program's own assertions.
    Failed(String),
    /// The user stopped it.
    Stopped,
}

/// What watches all runs, from all threads.
pub trait Watch: Sync {
    /// A run came this much further. `Break` stops all.
    fn advance(&self, by: SimDuration) -> ControlFlow<()>;
}

/// Runs all jobs on `threads` threads and hands over each one's end as it comes, on the calling thread.
pub fn run_all(
    jobs: &[Job],
    threads: usize,
    watch: &dyn Watch,
    mut on_end: impl FnMut(&Job, Ended),
) -> Result<(), rayon::ThreadPoolBuildError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        scope.spawn(move || {
            pool.in_place_scope_fifo(|tasks| {
                for job in jobs {
                    let sender = sender.clone();
                    // A receiver that is gone wants no more results.
                    tasks.spawn_fifo(move |_| drop(sender.send((job, run_one(job, watch)))));
                }
            });
        });
        receiver.into_iter().for_each(|(job, ended)| on_end(job, ended));
    });
    Ok(())
}

fn run_one(job: &Job, watch: &dyn Watch) -> Ended {
    let config = job.config.with_seed(job.seed);
    let header = Header { seed: job.seed, ..job.header.clone() };
    let mut observer = Progress { watch, at: SimTime::ZERO, stopped: false };
    if watch.advance(SimDuration::ZERO).is_break() {
        return Ended::Stopped;
    }
    let horizon = config.horizon;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        run(Arc::new(config), header, Checks::Off, &mut observer)
    }));
    match outcome {
        _ if observer.stopped => Ended::Stopped,
        Ok(Ok(result)) => {
            // The rest of the span, whatever the last look was.
            let _ = watch.advance(horizon.since(observer.at));
            Ended::Done { figures: figures(&result), result: job.keep.then(|| Box::new(result)) }
        }
        Ok(Err(failure)) => Ended::Failed(failure.0),
        Err(panic) => Ended::Failed(words_of(panic.as_ref())),
    }
}

pub(super) fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "an assertion failed".to_owned())
}

/// The figures of a run.
pub fn figures(result: &RunResult) -> Figures {
    result.summary.metrics.iter().map(figure).collect()
}

/// `evictions{cause=Underutilized}` and the value.
fn figure(metric: &Metric) -> (String, Option<String>) {
    (key(metric), metric.value.map(|value| value.to_string()))
}

/// A metric's name with its labels.
pub fn key(metric: &Metric) -> String {
    if metric.labels.is_empty() {
        return metric.name.to_owned();
    }
    let labels = metric.labels.iter().map(|(key, value)| format!("{key}={value}"));
    format!("{}{{{}}}", metric.name, labels.collect::<Vec<_>>().join(","))
}

struct Progress<'a> {
    watch: &'a dyn Watch,
    at: SimTime,
    stopped: bool,
}

impl Observer for Progress<'_> {
    fn observe(&mut self, _: &Record) {}

    fn go_on(&mut self, at: SimTime, _: u64) -> ControlFlow<()> {
        let by = at.since(self.at);
        self.at = at;
        let flow = self.watch.advance(by);
        self.stopped |= flow.is_break();
        flow
    }
}
