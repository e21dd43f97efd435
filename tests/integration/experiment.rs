//! Studies: common random numbers, pods that arrive and finish, the same bytes on any number of threads.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use assert_cmd::Command;
use karpsim::diagnostic::Diagnostics;
use karpsim::experiment::run::{Checks, Observer, run};
use karpsim::experiment::{Estimate, grid};
use karpsim::outcome::RunResult;
use karpsim::scenario::{
    Catalogue, Choice, DiskFiles, Setting, Written, catalog, load_variant, resolve,
};
use karpsim::simulation::Config;
use karpsim::units::SimTime;
use karpsim::world::Fact;
use karpsim::world::journal::Record;
use tempfile::TempDir;

fn scenario(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name)
}

/// What happened to the pods and NodeClaims of a run.
#[derive(Default)]
struct Seen {
    /// First attempts of pods, with the instant of their creation.
    created: BTreeMap<String, SimTime>,
    running: BTreeMap<String, SimTime>,
    /// Milliseconds from Running to Succeeded.
    lifetimes: BTreeMap<String, i64>,
    claims: BTreeMap<u64, SimTime>,
    /// Milliseconds of the Create call of the n-th NodeClaim.
    launches: BTreeMap<u64, i64>,
}

impl Observer for Seen {
    fn observe(&mut self, record: &Record) {
        let at = record.at;
        match &record.fact {
            Fact::PodCreated(pod) if !pod.daemon => {
                self.created.insert(pod.name.to_string(), at);
            }
            Fact::PodRunning(pod) => {
                self.running.insert(pod.name.to_string(), at);
            }
            Fact::PodSucceeded(pod) => {
                let ran = at.since(self.running[&*pod.name]).ms();
                self.lifetimes.insert(pod.name.to_string(), ran);
            }
            Fact::ClaimCreated { claim, .. } => {
                self.claims.insert(claim.ordinal, at);
            }
            Fact::Launched { claim, .. } => {
                let took = at.since(self.claims[&claim.ordinal]).ms();
                self.launches.insert(claim.ordinal, took);
            }
            _ => {}
        }
    }

    fn go_on(&mut self, _: SimTime, _: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// ci-burst for some hours with another consolidateAfter.
fn config(hours: i64, consolidate_after: &str) -> Config {
    let setting = Setting {
        path: "NodePool/default:spec.disruption.consolidateAfter".to_owned(),
        value: consolidate_after.to_owned(),
        written: Written::Option("--set #1".to_owned()),
    };
    let choice = Choice { policy: None, settings: vec![setting] };
    let catalog = catalog::embedded();
    let (names, mut diagnostics) = (Catalogue::from(catalog), Diagnostics::default());
    let path = scenario("ci-burst.ron");
    let loaded = load_variant(&path, &[], &choice, &DiskFiles, &names, &mut diagnostics);
    let mut config = resolve::config(&loaded.expect("a shipped scenario"), catalog);
    config.horizon = SimTime::from_seconds(hours * 3_600);
    config
}

fn done(mut config: Config, seed: u64, checks: Checks) -> (RunResult, Seen) {
    Arc::make_mut(&mut config.settings).seed = seed;
    let mut seen = Seen::default();
    let result = run(Arc::new(config), Default::default(), checks, &mut seen);
    (result.expect("no invariant is broken"), seen)
}

#[test]
fn two_policies_see_the_same_random_world() {
    let (_, eager) = done(config(14, "0s"), 42, Checks::EveryEvent);
    let (_, lazy) = done(config(14, "30m"), 42, Checks::Off);
    let first = |seen: &Seen| -> Vec<(String, SimTime)> {
        let attempts = seen.created.iter().filter(|(name, _)| !name.contains("-r"));
        attempts.map(|(name, at)| (name.clone(), *at)).collect()
    };
    assert!(first(&eager).len() > 100, "{}", first(&eager).len());
    assert_eq!(first(&eager), first(&lazy), "arrivals");
    let evicted = eager.created.keys().filter(|name| name.contains("-r")).count();
    assert!(evicted > 0, "a policy that moves builds");
    let both: Vec<&String> =
        eager.lifetimes.keys().filter(|n| lazy.lifetimes.contains_key(*n)).collect();
    assert!(both.len() > 100, "{}", both.len());
    for name in both {
        assert_eq!(eager.lifetimes[name], lazy.lifetimes[name], "lifetime of {name}");
    }
    let launches = lazy.launches.iter().filter(|(n, _)| eager.launches.contains_key(n));
    for (n, took) in launches {
        assert_eq!(eager.launches[n], *took, "launch {n}");
    }
}

#[test]
fn finished_pods_leave_and_evicted_ones_run_their_whole_time_again() {
    let (result, seen) = done(config(14, "0s"), 7, Checks::Off);
    let again = seen.lifetimes.keys().filter_map(|name| name.split_once("-r"));
    let again = again.filter(|(base, _)| seen.created.contains_key(*base)).count();
    assert!(again > 0, "builds that were moved and came to their end");
    let end = result.series.pods_running.value_at(result.end);
    assert!(end < 40, "{end} pods run at the end");
}

/// The variance of paired differences against that of differences between runs of different worlds.
#[test]
fn pairs_vary_less_than_strangers() {
    let cost = |hours, after: &str, seed| {
        let (result, _) = done(config(hours, after), seed, Checks::Off);
        result.summary.metric("cost_total_usd").and_then(|m| m.value).expect("a cost").to_f64()
    };
    let seeds: Vec<u64> = (0..6).map(|n| grid::seed(42, n)).collect();
    let base: Vec<f64> = seeds.iter().map(|seed| cost(12, "30s", *seed)).collect();
    let other: Vec<f64> = seeds.iter().map(|seed| cost(12, "5m", *seed)).collect();
    let width = |shift: usize| {
        let pairs = base.iter().zip(other.iter().cycle().skip(shift));
        let differences: Vec<f64> = pairs.map(|(a, b)| b - a).collect();
        Estimate::of(&differences).and_then(|e| e.half_width).expect("an interval")
    };
    let (paired, strangers) = (width(0), width(1));
    assert!(paired * 2.0 < strangers, "{paired} against {strangers}");
}

fn sweep(folder: &Path, options: &[&str]) -> i32 {
    let mut command = Command::cargo_bin("karpsim").expect("the program is built");
    let axis = "NodePool/default:spec.disruption.consolidateAfter=30s,Never";
    let command =
        command.current_dir(folder).arg("sweep").arg(scenario("eks-workshop-policies.ron"));
    let output = command
        .args(["--axis", axis, "--reps", "2", "--set", "horizon=30m", "-q"])
        .args(options)
        .output()
        .expect("runs");
    output.status.code().expect("an exit code")
}

fn read(folder: &Path, file: &str) -> Vec<u8> {
    std::fs::read(folder.join("reports/eks-workshop-policies").join(file)).expect("written")
}

const FILES: [&str; 3] = ["sweep.csv", "sweep.json", "runs.jsonl"];

#[test]
fn threads_and_resuming_change_no_byte() {
    let (one, two) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    assert_eq!(sweep(one.path(), &["-j", "1"]), 0);
    assert_eq!(sweep(two.path(), &["-j", "2"]), 0);
    for file in FILES {
        assert_eq!(read(one.path(), file), read(two.path(), file), "{file}");
    }
    // What a killed sweep leaves: some rows, in any order, the last one torn.
    let rows = String::from_utf8(read(one.path(), "runs.jsonl")).expect("text");
    let mut some: Vec<&str> = rows.lines().skip(3).step_by(2).collect();
    some.reverse();
    let torn = format!("{}\n{}", some.join("\n"), &rows[..100]);
    let path = two.path().join("reports/eks-workshop-policies/runs.jsonl");
    std::fs::write(path, torn).expect("written");
    assert_eq!(sweep(two.path(), &["--resume"]), 0);
    for file in FILES {
        assert_eq!(read(one.path(), file), read(two.path(), file), "{file}");
    }
}

#[test]
fn nothing_is_written_for_a_study_that_cannot_start() {
    let folder = TempDir::new().expect("a folder");
    for axis in ["NodePool/defualt:spec.weight=1,2", "seed="] {
        let mut command = Command::cargo_bin("karpsim").expect("the program is built");
        let command = command.current_dir(&folder).arg("sweep").arg(scenario("eks-workshop.ron"));
        let output = command.args(["--axis", axis]).output().expect("runs");
        assert_eq!(output.status.code(), Some(2), "{axis}");
    }
    for options in [vec!["--reps", "0"], vec![]] {
        let mut command = Command::cargo_bin("karpsim").expect("the program is built");
        let command = command.current_dir(&folder).arg("compare").arg(scenario("eks-workshop.ron"));
        assert_eq!(command.args(&options).output().expect("runs").status.code(), Some(2));
    }
    assert!(!folder.path().join("reports").exists());
}
