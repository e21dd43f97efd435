//! One thread against two on the same sweep: sixteen runs of the workshop's policies, as `karpsim sweep` does them.
//!
//! Best of five pairs, the two taking turns, so that a busy machine meets both. The efficiency is the speed-up over the
//! number of threads; 0.9 is the goal.

#![expect(clippy::disallowed_types, reason = "the wall clock is what is measured")]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use karpsim::diagnostic::Diagnostics;
use karpsim::experiment::{Ended, Job, Watch, grid, run_all};
use karpsim::scenario::{Catalogue, DiskFiles, catalog, load, resolve};
use karpsim::units::{SimDuration, SimTime};

const PAIRS: usize = 5;
const RUNS: u64 = 16;
const HOURS: i64 = 16;

struct Nobody;

impl Watch for Nobody {
    fn advance(&self, _: SimDuration) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

fn jobs() -> Vec<Job> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/ci-burst.ron");
    let catalog = catalog::embedded();
    let names = Catalogue::from(catalog);
    let scenario = load(&path, &DiskFiles, &names, &mut Diagnostics::default());
    let scenario = scenario.expect("the shipped scenario loads");
    let mut config = resolve::config(&scenario, catalog);
    config.horizon = SimTime::from_seconds(HOURS * 3_600);
    let header = resolve::header(&scenario, &config, catalog);
    let config = Arc::new(config);
    let job = |id: u64| {
        let seed = grid::seed(42, u32::try_from(id).unwrap_or(0));
        Job { id, config: config.clone(), header: header.clone(), seed, keep: false }
    };
    (0..RUNS).map(job).collect()
}

fn measure(jobs: &[Job], threads: usize) -> Duration {
    let start = Instant::now();
    let mut done = 0;
    run_all(jobs, threads, &Nobody, |_, ended| {
        done += u64::from(matches!(ended, Ended::Done { .. }))
    })
    .expect("threads start");
    assert_eq!(done, RUNS, "every run comes to its end");
    start.elapsed()
}

fn main() {
    let jobs = jobs();
    let (mut one, mut two) = (Duration::MAX, Duration::MAX);
    for pair in 1..=PAIRS {
        let (single, double) = (measure(&jobs, 1), measure(&jobs, 2));
        println!("pair {pair}: one thread {single:.2?}, two threads {double:.2?}");
        one = one.min(single);
        two = two.min(double);
    }
    let efficiency = one.as_secs_f64() / two.as_secs_f64() / 2.0;
    println!(
        "best: one thread {one:.2?}, two threads {two:.2?}, efficiency {efficiency:.2} (goal 0.9)"
    );
}
