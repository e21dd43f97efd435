//! Studies: common random numbers, pods that arrive and finish, the same bytes on any number of threads.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use assert_cmd::Command;
use karpsim::diagnostic::Diagnostics;
use karpsim::experiment::run::{Checks, Observer, run};
use karpsim::experiment::{Ended, Estimate, Job, Watch, grid, run_all};
use karpsim::outcome::RunResult;
use karpsim::scenario::{Catalogue, Choice, DiskFiles, catalog, load_variant, resolve};
use karpsim::simulation::{Config, Load, Recording, RowSource, Term, TraceRow};
use karpsim::units::{SimDuration, SimTime};
use karpsim::world::Fact;
use karpsim::world::journal::{Cause, Record};
use tempfile::TempDir;

use crate::shipped;

/// What happened to the pods and NodeClaims of a run.
#[derive(Default)]
struct Seen {
    /// First attempts of pods, with the instant of their creation.
    created: BTreeMap<String, SimTime>,
    running: BTreeMap<String, SimTime>,
    /// Milliseconds from Running to Succeeded.
    lifetimes: BTreeMap<String, i64>,
    /// Milliseconds from Running to an eviction.
    interrupted: BTreeMap<String, i64>,
    evicted: BTreeMap<String, SimTime>,
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
            Fact::PodTerminating { pod, cause, .. } if *cause != Cause::ScaleDown => {
                let ran = self.running.get(&*pod.name).map_or(0, |from| at.since(*from).ms());
                if !pod.daemon {
                    self.interrupted.insert(pod.name.to_string(), ran);
                    self.evicted.insert(pod.name.to_string(), at);
                }
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
    let after = "NodePool/default:spec.disruption.consolidateAfter";
    shipped::config("ci-burst.ron", hours * 60, &[(after, consolidate_after)])
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
    let lost = result.summary.metric("work_lost_pod_s").and_then(|m| m.value);
    assert_eq!(lost.map(|v| v.units()), Some(lost_ms(&seen).into()), "in milliseconds");
    assert_eq!(result.counts.pods_lost, 0);
    for (name, at) in seen.created.iter().filter(|(name, _)| name.ends_with("-r1")) {
        let evicted = seen.evicted[name.strip_suffix("-r1").expect("a first attempt")];
        let pause = at.since(evicted).ms();
        assert!((10_000..=10_050).contains(&pause), "{name}: a Job waits for 10 s, not {pause} ms");
    }
    let end = result.series.pods_running.value_at(result.end);
    assert!(end < 40, "{end} pods run at the end");
}

/// A cluster whose nodes expire every half an hour, with a trace.
fn expiring(folder: &Path, on_eviction: &str, rows: &str) -> Config {
    let text = format!(
        r#"(
    horizon: "2h",
    cluster: (region: "us-east-1", zones: ["us-east-1a"], manifests: ["m.yaml"]),
    workloads: [Trace(name: "t", namespace: "batch", file: "t.csv", on_eviction: {on_eviction})],
)"#
    );
    let manifests =
        std::fs::read_to_string(shipped::path("ci-burst/nodepool.yaml")).expect("a pool");
    let manifests = manifests.replace("expireAfter: 720h", "expireAfter: 30m");
    assert!(manifests.contains("expireAfter: 30m"));
    let head = "pod_name,group,kind,arrival_s,duration_s,cpu_milli,memory_mib\n";
    for (name, text) in [("s.ron", text), ("m.yaml", manifests), ("t.csv", format!("{head}{rows}"))]
    {
        std::fs::write(folder.join(name), text).expect("written");
    }
    let catalog = catalog::embedded();
    let (names, mut diagnostics) = (Catalogue::from(catalog), Diagnostics::default());
    let (path, choice) = (folder.join("s.ron"), Choice::default());
    let loaded = load_variant(&path, &[], &choice, &DiskFiles, &names, &mut diagnostics);
    resolve::config(&loaded.expect("a scenario"), catalog)
}

/// One pod that never comes to its end, one that does in the first hour, one of a service.
const ROWS: &str =
    "long,g,job,0,3600,500,512\nshort,g,job,60,600,500,512\nweb,g,service,60,5400,500,512\n";

#[test]
fn pods_of_a_trace_are_lost_or_come_back() {
    let folder = TempDir::new().expect("a folder");
    for (on_eviction, lost, attempts, ended) in
        [("Lose", 1, 0, 1), ("StartOver", 0, 3, 1), ("GoOn", 0, 2, 2)]
    {
        let config = expiring(folder.path(), on_eviction, ROWS);
        let (result, seen) = done(config, 42, Checks::EveryEvent);
        let again = seen.created.keys().filter(|name| name.starts_with("long-r")).count();
        let jobs = seen.lifetimes.keys().filter(|name| !name.starts_with("web")).count();
        assert_eq!(
            (result.counts.pods_lost, again, jobs),
            (lost, attempts, ended),
            "{on_eviction}"
        );
        let services = seen.created.keys().filter(|name| name.starts_with("web-r")).count();
        assert!(services >= 2, "{on_eviction}: pods of services always come back");
        let vcpu_hours = result.summary.metric("work_lost_vcpu_h").and_then(|m| m.value);
        let ms = if on_eviction == "GoOn" { 0 } else { lost_ms(&seen) };
        let expected = ms as f64 * 0.5 / 3_600_000.0;
        assert!((vcpu_hours.expect("a figure").to_f64() - expected).abs() < 1e-6, "{on_eviction}");
        assert!(on_eviction == "GoOn" || expected > 0.2, "{on_eviction}: {expected}");
    }
}

/// What jobs had run when they were evicted, in milliseconds.
fn lost_ms(seen: &Seen) -> i64 {
    let jobs = seen.interrupted.iter().filter(|(name, _)| !name.starts_with("web"));
    jobs.map(|(_, ran)| *ran).sum()
}

/// A recording without an end that counts how far it was read.
#[derive(Debug)]
struct Endless {
    row: TraceRow,
    read: Arc<AtomicUsize>,
}

impl Recording for Endless {
    fn open(self: Arc<Self>) -> Box<dyn RowSource> {
        let (row, read) = (self.row.clone(), self.read.clone());
        Box::new(Endless { row, read })
    }
}

impl RowSource for Endless {
    fn next(&mut self) -> Result<Option<TraceRow>, String> {
        self.read.fetch_add(1, Ordering::Relaxed);
        self.row.at = self.row.at + SimDuration::from_seconds(30);
        Ok(Some(self.row.clone()))
    }
}

#[test]
fn a_recording_is_read_one_pod_ahead_of_the_clock() {
    let folder = TempDir::new().expect("a folder");
    let mut config = expiring(folder.path(), "Lose", ROWS);
    let Load::Trace(trace) = config.sources[0].load.clone() else { panic!("a trace") };
    let row = trace.open().next().expect("readable").expect("a row");
    let row = TraceRow { term: Term::RunsFor(SimDuration::from_seconds(60)), ..row };
    let read = Arc::new(AtomicUsize::new(0));
    let endless: Arc<dyn Recording> = Arc::new(Endless { row, read: read.clone() });
    config.sources[0].load = Load::Trace(endless);
    let (result, _) = done(config, 42, Checks::Off);
    // Pods at 30 s, 60 s and so on before two hours have passed, and one that was not waited for.
    assert_eq!((result.counts.pods_created, read.load(Ordering::Relaxed)), (239, 240));
}

/// A recording that can be read in some runs only.
#[derive(Debug)]
struct Fragile {
    sound: Arc<dyn Recording>,
    opened: AtomicUsize,
}

/// Rows of which the second cannot be read, in words or with an assertion.
struct Torn(bool);

impl RowSource for Torn {
    fn next(&mut self) -> Result<Option<TraceRow>, String> {
        assert!(!self.0, "an assertion of the program");
        Err("torn".to_owned())
    }
}

impl Recording for Fragile {
    fn open(self: Arc<Self>) -> Box<dyn RowSource> {
        match self.opened.fetch_add(1, Ordering::Relaxed) {
            1 => Box::new(Torn(false)),
            2 => Box::new(Torn(true)),
            _ => self.sound.clone().open(),
        }
    }
}

struct Nobody;

impl Watch for Nobody {
    fn advance(&self, _: SimDuration) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

#[test]
fn runs_that_fail_end_no_others() {
    let folder = TempDir::new().expect("a folder");
    let mut config = expiring(folder.path(), "StartOver", ROWS);
    let Load::Trace(sound) = config.sources[0].load.clone() else { panic!("a trace") };
    let fragile: Arc<dyn Recording> = Arc::new(Fragile { sound, opened: AtomicUsize::new(0) });
    config.sources[0].load = Load::Trace(fragile);
    let config = Arc::new(config);
    let job = |id| {
        let (config, header) = (config.clone(), Default::default());
        Job { id, config, header, seed: 42, keep: false }
    };
    let jobs: Vec<Job> = (0..5).map(job).collect();
    let mut ends = Vec::new();
    run_all(&jobs, 1, &Nobody, |job, ended| {
        let word = match ended {
            Ended::Done { .. } => "done".to_owned(),
            Ended::Failed(reason) => reason,
            Ended::Stopped => "stopped".to_owned(),
        };
        ends.push((job.id, word));
    })
    .expect("threads start");
    let words = ["done", "torn", "an assertion of the program", "done", "done"];
    assert_eq!(ends, (0..).zip(words.map(str::to_owned)).collect::<Vec<_>>());
}

#[test]
fn a_trace_that_changes_under_a_run_is_said() {
    let folder = TempDir::new().expect("a folder");
    let config = expiring(folder.path(), "StartOver", ROWS);
    let head = "pod_name,group,kind,arrival_s,duration_s,cpu_milli,memory_mib\n";
    for (rows, reason) in [
        ("a,g,job,9,1,500,512\nb,g,job,8,1,500,512\n", "line 3 of the trace: it is earlier"),
        ("a,g,job,9,1,700,512\n", "a pod that was not there"),
    ] {
        std::fs::write(folder.path().join("t.csv"), format!("{head}{rows}")).expect("written");
        let config = Arc::new(config.clone());
        let failure = run(config, Default::default(), Checks::Off, &mut ()).expect_err("a failure");
        assert!(failure.0.contains(reason), "{failure:?}");
    }
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
        command.current_dir(folder).arg("sweep").arg(shipped::path("eks-workshop-policies.ron"));
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

/// A sweep of 60 short runs, started.
fn start_sweep(folder: &Path, resume: bool) -> std::process::Child {
    let axis = "NodePool/default:spec.disruption.consolidateAfter=0s,30s,5m,Never";
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("karpsim"));
    command.current_dir(folder).arg("sweep").arg(shipped::path("eks-workshop-policies.ron"));
    command.args(["--axis", axis, "--reps", "5", "--set", "horizon=12m", "-q", "-j", "2"]);
    command.args(resume.then_some("--resume")).stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null()).spawn().expect("the program is built")
}

/// The sweep is killed five times without a chance to put anything in order, and gone on with each time.
#[test]
fn a_killed_sweep_goes_on_to_the_same_bytes() {
    let (whole, killed) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    assert!(start_sweep(whole.path(), false).wait().expect("ends").success());
    let path = killed.path().join("reports/eks-workshop-policies/runs.jsonl");
    let rows =
        || std::fs::read(&path).map_or(0, |text| text.iter().filter(|b| **b == b'\n').count());
    let mut cut_short = 0;
    // As many more rows before each kill, by no rule; 48 of the 60 runs are not repeated for the pictures.
    for (kill, more) in [3, 11, 1, 13, 7].into_iter().enumerate() {
        let until = rows() + more;
        let mut child = start_sweep(killed.path(), kill > 0);
        while rows() < until && child.try_wait().expect("a child").is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        child.kill().expect("SIGKILL");
        cut_short += usize::from(!child.wait().expect("ends").success());
    }
    assert!(cut_short > 0, "no kill met a running sweep");
    assert!(start_sweep(killed.path(), true).wait().expect("ends").success());
    for file in ["sweep.csv", "sweep.json", "sweep.png", "runs.jsonl"] {
        assert!(read(whole.path(), file) == read(killed.path(), file), "{file} differs");
    }
}

/// `axes`, `policies` and `workloads` that cannot be run: the entry, then code, the text under the carets, the message
/// and the help of the one problem.
const BAD_ENTRIES: [[&str; 5]; 13] = [
    [
        r#"axes: [Axis(path: "NodePool/default:spec.disruption.consolidateAftr", values: ["1m"])]"#,
        "KS0302",
        r#""NodePool/default:spec.disruption.consolidateAftr""#,
        "NodePool has no field `spec.disruption.consolidateAftr`",
        "did you mean `consolidateAfter`?",
    ],
    [
        r#"axes: [Axis(path: "NodePool/defualt:spec.weight", values: ["1"])]"#,
        "KS0220",
        r#""NodePool/defualt:spec.weight""#,
        "no manifest defines `NodePool/defualt`, so nothing of it can be changed",
        "did you mean `NodePool/default`?",
    ],
    [
        r#"axes: [Axis(path: "sed", values: ["1"])]"#,
        "KS0202",
        r#""sed""#,
        "`Scenario` has no field `sed`",
        "did you mean `seed`?",
    ],
    [
        r#"axes: [Axis(path: "seed", values: [])]"#,
        "KS0225",
        r#""seed""#,
        "the axis over `seed` has no value",
        "write values: [\"30s\", \"5m\"], or --axis PATH=V1,V2",
    ],
    [
        r#"workloads: [Arrivals(name: "a", process: Poisson(per_hour: -3), pods: [(cpu: "1")], lifetime: Fixed("5m"))]"#,
        "KS0207",
        "-3",
        "`workloads[0].process.per_hour` is -3, but it must lie between 0 and 1000000000",
        "write a number from 0 to 1000000000",
    ],
    [
        r#"workloads: [Arrivals(name: "a", process: Poisson(per_hour: 3), pods: [(cpu: "1")], lifetime: Fixed("1000000000s"))]"#,
        "KS0207",
        r#"Fixed("1000000000s")"#,
        "`workloads[0].lifetime` is 277777h46m40s, but pods run for ten years at most, on average",
        "for pods without an end use a Deployment",
    ],
    [
        r#"workloads: [Trace(name: "t", file: "bad.csv")]"#,
        "KS0230",
        r#""bad.csv""#,
        "line 3 of `bad.csv` cannot be used: `x` is no number of seconds",
        "instants and durations are decimal seconds, requests and priorities whole numbers",
    ],
    [
        r#"workloads: [Trace(name: "t", file: "unsorted.csv")]"#,
        "KS0230",
        r#""unsorted.csv""#,
        "line 3 of `unsorted.csv` cannot be used: it is earlier than the row before it",
        "sort the rows by arrival_s",
    ],
    [
        r#"workloads: [Trace(name: "t", file: "billion.csv")]"#,
        "KS0230",
        r#""billion.csv""#,
        "line 2 of `billion.csv` cannot be used: `1000000000` seconds are not within ten years",
        "leave duration_s empty for a pod that outlives the trace",
    ],
    [
        "replications: 0",
        "KS0207",
        "0",
        "`replications` is 0, but a policy must run at least once",
        "leave it out for one run of each, or write 8 for intervals",
    ],
    [
        r#"policies: [Policy(name: "a"), Policy(name: "a")]"#,
        "KS0223",
        r#""a""#,
        "two policies are called `a`",
        "give each its own name: reports and files go by it",
    ],
    [
        r#"policies: [Policy(name: "a", patch: { "NodePool/default:spec.disruptin.consolidateAfter": "1m" })]"#,
        "KS0302",
        r#""NodePool/default:spec.disruptin.consolidateAfter""#,
        "NodePool has no field `spec.disruptin`",
        "did you mean `disruption`?",
    ],
    [
        r#"policies: [Policy(name: "a", patch: { "NodePool/defaul:spec.weight": 1 })]"#,
        "KS0220",
        r#""NodePool/defaul:spec.weight""#,
        "no manifest defines `NodePool/defaul`, so nothing of it can be changed",
        "did you mean `NodePool/default`?",
    ],
];

#[test]
fn bad_input_has_a_code_a_place_and_a_help_and_leaves_nothing_behind() {
    let folder = TempDir::new().expect("a folder");
    let head = "pod_name,arrival_s,duration_s,cpu_milli,memory_mib\n";
    for (name, rows) in [
        ("bad.csv", "a,0,5,100,64\nb,x,5,100,64\n"),
        ("unsorted.csv", "a,9,5,100,64\nb,8,5,100,64\n"),
        ("billion.csv", "a,9,1000000000,100,64\n"),
    ] {
        std::fs::write(folder.path().join(name), format!("{head}{rows}")).expect("written");
    }
    std::fs::copy(shipped::path("ci-burst/nodepool.yaml"), folder.path().join("m.yaml"))
        .expect("a copy");
    let cluster =
        r#"cluster: (region: "us-east-1", zones: ["us-east-1a"], manifests: ["m.yaml"]),"#;
    for [entry, code, marked, message, help] in BAD_ENTRIES {
        let text = format!("(\n    horizon: \"1h\",\n    {cluster}\n    {entry},\n)\n");
        std::fs::write(folder.path().join("s.ron"), text).expect("written");
        let mut command = Command::cargo_bin("karpsim").expect("the program is built");
        let output = command
            .current_dir(&folder)
            .args(["sweep", "s.ron", "--reps", "2"])
            .output()
            .expect("runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{entry}\n{stderr}");
        assert!(output.stdout.is_empty(), "{entry}");
        assert!(stderr.starts_with(&format!("error[{code}]: {message}\n")), "{entry}\n{stderr}");
        assert!(stderr.contains("--> s.ron:4:"), "{entry}\n{stderr}");
        assert!(stderr.contains(&format!("= help: {help}\n")), "{entry}\n{stderr}");
        let carets = stderr
            .lines()
            .filter(|line| line.contains('^'))
            .map(|line| line.chars().filter(|c| *c == '^').count());
        assert_eq!(carets.collect::<Vec<_>>(), [marked.len()], "{entry}\n{stderr}");
        assert!(!folder.path().join("reports").exists(), "{entry}");
    }
}

#[test]
fn nothing_is_written_for_a_study_that_cannot_start() {
    let folder = TempDir::new().expect("a folder");
    for axis in ["NodePool/defualt:spec.weight=1,2", "seed="] {
        let mut command = Command::cargo_bin("karpsim").expect("the program is built");
        let command =
            command.current_dir(&folder).arg("sweep").arg(shipped::path("eks-workshop.ron"));
        let output = command.args(["--axis", axis]).output().expect("runs");
        assert_eq!(output.status.code(), Some(2), "{axis}");
    }
    let mut command = Command::cargo_bin("karpsim").expect("the program is built");
    let command = command.current_dir(&folder).arg("sweep").arg(shipped::path("eks-workshop.ron"));
    let output = command.args(["--axis", "seed=1,2", "--dry-run"]).output().expect("runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("2 runs = 2 points, "), "{said}");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    for options in [vec!["--reps", "0"], vec![]] {
        let mut command = Command::cargo_bin("karpsim").expect("the program is built");
        let command =
            command.current_dir(&folder).arg("compare").arg(shipped::path("eks-workshop.ron"));
        assert_eq!(command.args(&options).output().expect("runs").status.code(), Some(2));
    }
    assert!(!folder.path().join("reports").exists());
}
