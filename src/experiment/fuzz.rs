//! Random clusters under all invariants: `karpsim fuzz`.
//!
//! A seed is a whole case: the cluster, what happens to it and all its draws. The clusters go in as texts, through the
//! loader that every scenario goes through.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, mpsc};

use super::random_cluster;
use super::run::{Checks, Observer, run};
use super::runner::words_of;
use crate::diagnostic::{Diagnostics, Severity};
use crate::ec2::catalog::Catalog;
use crate::outcome::Header;
use crate::scenario::{Catalogue, MemoryFiles, catalog, load, resolve};
use crate::simulation::Config;
use crate::units::{SimDuration, SimTime};
use crate::world::journal::Record;

/// Events after which a run is taken for one that never ends. Ordinary ones have a few thousand; a static NodePool of
/// which every launch fails at once has some hundred thousand an hour, for Karpenter tries again as fast.
const MOST_EVENTS: u64 = 4_000_000;

/// How the run of one seed ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The seed.
    pub seed: u64,
    /// Facts of its journal; 0 after a failure.
    pub facts: usize,
    /// What was wrong: input that is not valid, a broken invariant, an assertion, or a difference to the plain run.
    pub failure: Option<String>,
}

/// What is run.
#[derive(Clone, Debug)]
pub struct Trials {
    /// A run for each.
    pub seeds: Range<u64>,
    /// Each is run a second time without anything that is kept or skipped for speed, and has to tell the same.
    pub plain: bool,
    /// Where runs end that would go on for longer.
    pub until: Option<SimDuration>,
}

/// What can be bought: the families that random clusters name. Others would only be looked through.
struct Market {
    catalog: Catalog,
    names: Catalogue,
}

impl Market {
    fn new() -> Market {
        Market::of(catalog::embedded().of_families(&random_cluster::FAMILIES))
    }

    fn of(catalog: Catalog) -> Market {
        Market { names: Catalogue::from(&catalog), catalog }
    }
}

/// Runs the cluster of each seed on `threads` threads (0: as many as there are cores) and hands over how they ended in
/// the order of the seeds, each as soon as those before it are known. Seeds that are not begun when `goes_on` says no
/// are left out.
pub fn run_trials(
    trials: &Trials,
    threads: usize,
    goes_on: &(dyn Fn() -> bool + Sync),
    mut on_end: impl FnMut(Trial),
) -> Result<(), rayon::ThreadPoolBuildError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let market = &Market::new();
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        scope.spawn(move || {
            pool.in_place_scope_fifo(|tasks| {
                for seed in trials.seeds.clone() {
                    let sender = sender.clone();
                    tasks.spawn_fifo(move |_| {
                        let trial = goes_on().then(|| run_trial(seed, trials, market));
                        // A receiver that is gone wants no more results.
                        drop(sender.send((seed, trial)));
                    });
                }
            });
        });
        let (mut next, mut early) = (trials.seeds.start, BTreeMap::new());
        for (seed, trial) in receiver {
            early.insert(seed, trial);
            while let Some(trial) = early.remove(&next) {
                next += 1;
                trial.into_iter().for_each(&mut on_end);
            }
        }
    });
    Ok(())
}

fn run_trial(seed: u64, trials: &Trials, market: &Market) -> Trial {
    let outcome = catch_unwind(AssertUnwindSafe(|| check(seed, trials, market)))
        .unwrap_or_else(|panic| Err(words_of(panic.as_ref())));
    match outcome {
        Ok(facts) => Trial { seed, facts, failure: None },
        Err(failure) => Trial { seed, facts: 0, failure: Some(failure) },
    }
}

/// The number of facts of a seed's run.
fn check(seed: u64, trials: &Trials, market: &Market) -> Result<usize, String> {
    let mut config = config(&random_cluster::files(seed), market)?;
    if let Some(until) = trials.until {
        config.horizon = config.horizon.min(SimTime::ZERO + until);
    }
    let quick = journal(config.clone(), Checks::EveryEvent, trials.plain)?;
    if trials.plain {
        Arc::make_mut(&mut config.settings).plain = true;
        let plain = journal(config, Checks::Off, true)?;
        let mut pairs = quick.lines.iter().zip(&plain.lines);
        if let Some((quick, plain)) = pairs.find(|(quick, plain)| quick != plain) {
            return Err(format!("differs from the plain run\n  {quick}\n  {plain}"));
        }
        if quick.count != plain.count {
            return Err(format!("{} facts, {} in the plain run", quick.count, plain.count));
        }
    }
    Ok(quick.count)
}

/// What a run starts from; the first error of the input otherwise.
fn config(files: &MemoryFiles, market: &Market) -> Result<Config, String> {
    let mut diagnostics = Diagnostics::default();
    match load(Path::new(random_cluster::SCENARIO), files, &market.names, &mut diagnostics) {
        Some(loaded) => Ok(resolve::config(&loaded, &market.catalog)),
        None => {
            let error = diagnostics.iter().find(|problem| problem.severity == Severity::Error);
            let place = error.and_then(|error| error.span());
            let place = place.map_or(String::new(), |span| diagnostics.sources.place(span));
            let message = error.map_or("no error is named", |error| &error.message);
            Err(format!("the input is not valid: {place}: {message}"))
        }
    }
}

fn journal(config: Config, checks: Checks, keep: bool) -> Result<Journal, String> {
    let mut journal = Journal { keep, ..Journal::default() };
    run(Arc::new(config), Header::default(), checks, &mut journal).map_err(|failure| failure.0)?;
    match journal.endless {
        true => Err(format!("more than {MOST_EVENTS} events")),
        false => Ok(journal),
    }
}

/// All that happened, one line a fact if they are kept.
#[derive(Default)]
struct Journal {
    keep: bool,
    count: usize,
    lines: Vec<String>,
    endless: bool,
}

impl Observer for Journal {
    fn observe(&mut self, record: &Record) {
        self.count += 1;
        if self.keep {
            self.lines.push(format!("{} {:?}", record.at, record.fact));
        }
    }

    fn go_on(&mut self, _: SimTime, events: u64) -> ControlFlow<()> {
        self.endless = events > MOST_EVENTS;
        if self.endless { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::Simulation;
    use crate::simulation::history::History;
    use crate::world::Fact;
    use crate::world::journal::{ClaimRef, CommandRef};

    #[test]
    fn the_clusters_are_varied() {
        let market = Market::new();
        let mut missing = vec![
            " Drifted {",
            " Expired(",
            "kind: SpotInterrupted, action: \"CordonAndDrain\"",
            "kind: ScheduledChange, action",
            "kind: EventStatus, action",
            "kind: InstanceTerminated, action",
            "action: \"ForcefulTermination\"",
            "kind: RebalanceRecommendation }",
            " StepFellShort {",
            " DisruptionStarted { command: CommandRef { id: 0, method: \"Emptiness\"",
            "method: \"MultiNodeConsolidation\"",
            "method: \"SingleNodeConsolidation\"",
            "method: \"Drift\"",
            "method: \"StaticDrift\"",
            "decision: \"replace\"",
            " DisruptionFailed {",
            "failure: \"churn\"",
            "failure: \"scheduling\"",
            " WorkLost {",
            " JobFailed {",
            " InsufficientCapacity {",
            " LaunchFailed {",
            " BatchDropped",
            "reason: \"launch_timeout\"",
            "reason: \"registration_timeout\"",
            "reason: \"garbage_collected\"",
            "reason: \"unhealthy\"",
            " RegistrationHealth {",
            " NodeBroken {",
            " PriceChanged {",
            " Applied {",
            "action: \"delete\"",
            "action: \"patch\"",
            "action: \"restart\"",
            "action: \"withdraw\"",
            "Job/default/report",
            "Pod/default/alone",
            "workload: \"DaemonSet/kube-system/logger\"",
            "pool: \"fixed\"",
            "capacity-buffer-buffer-0-1",
            "capacity_type: \"spot\"",
            "example.com/device",
            "example.com/side",
            "unsatisfiable topology constraint for topology spread",
            "unsatisfiable topology constraint for pod affinity",
            "unsatisfiable topology constraint for pod anti-affinity",
            "exceed limits for nodepool",
        ];
        for seed in 0..200 {
            let mut config = config(&random_cluster::files(seed), &market).expect("valid input");
            config.horizon = config.horizon.min(SimTime::from_seconds(9_000));
            let journal = journal(config, Checks::Off, true).expect("a sound run");
            missing.retain(|text| !journal.lines.iter().any(|line| line.contains(text)));
            if missing.is_empty() {
                return;
            }
        }
        panic!("never in 200 seeds: {missing:?}");
    }

    /// What `karpsim run` makes of the written files.
    #[test]
    fn the_other_families_change_nothing() {
        let (some, all) = (Market::new(), Market::of(catalog::embedded().clone()));
        for seed in 1..7 {
            let journal = |market| {
                let mut config = config(&random_cluster::files(seed), market).expect("valid input");
                config.horizon = config.horizon.min(SimTime::from_seconds(2_000));
                journal(config, Checks::Off, true).expect("a sound run").lines
            };
            assert_eq!(journal(&some), journal(&all), "seed {seed}");
        }
    }

    #[test]
    fn broken_histories_are_told() {
        let config = config(&random_cluster::files(1), &Market::new()).expect("valid input");
        let simulation = Simulation::new(Arc::new(config));
        let told = |facts: &[Fact]| {
            let at = SimTime::from_seconds(10);
            let records: Vec<Record> =
                facts.iter().map(|fact| Record { at, fact: fact.clone() }).collect();
            History::default().fold(simulation.world(), &records).expect_err("it is broken")
        };
        let claim = ClaimRef { ordinal: 0, name: "pool-0-00001".into(), pool: "pool-0".into() };
        let command = CommandRef {
            id: 0,
            method: "SingleNodeConsolidation",
            reason: "Underutilized",
            decision: "delete",
            candidates: vec![(claim.clone(), "m5.large".into(), "spot")],
            pod_count: 0,
            savings: 1.0,
        };
        let created = Fact::ClaimCreated {
            claim: claim.clone(),
            reason: "provisioned",
            instance_types: [].into(),
            requirements: Vec::new(),
            requests: Default::default(),
        };
        let drain = [Fact::DrainStarted(claim.clone()), Fact::Drained(claim.clone())];
        for (facts, words) in [
            (&drain[1..], "drained without a drain"),
            (&drain, "drained within 0s"),
            (&[Fact::Expired(claim)], "what expires does not exist"),
            (&[Fact::DisruptionComputed(command.clone())], "pool-0-00001 does not exist"),
            (&[Fact::DisruptionSucceeded(command)], "a replacement was never initialized"),
            (&[created], "0 NodeClaims of pool-0 exist, not 1"),
        ] {
            let violation = told(facts);
            assert!(violation.starts_with(words), "{violation}");
        }
    }

    #[test]
    fn a_seed_has_one_cluster() {
        assert_eq!(random_cluster::files(7).0, random_cluster::files(7).0);
        assert_ne!(random_cluster::files(7).0, random_cluster::files(8).0);
    }

    #[test]
    fn threads_show_in_nothing() {
        let trials =
            Trials { seeds: 0..4, plain: false, until: Some(SimDuration::from_minutes(20)) };
        let ended = |threads| {
            let mut ended = Vec::new();
            run_trials(&trials, threads, &|| true, |trial| ended.push(trial)).expect("a pool");
            ended
        };
        assert_eq!(ended(1), ended(3));
        let seeds: Vec<u64> = ended(2).iter().map(|trial| trial.seed).collect();
        assert_eq!(seeds, [0, 1, 2, 3]);
    }
}
