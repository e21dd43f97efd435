//! Behaviour in words, manifests and an expected timeline: one Markdown file a case under `tests/behaviour`. The README
//! there says how to read them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use karpsim::diagnostic::Diagnostics;
use karpsim::engine::Distribution;
use karpsim::report::diagnostic::{Colour, render};
use karpsim::scenario::catalog::embedded;
use karpsim::scenario::{Catalogue, LoadedScenario, MemoryFiles, load, resolve};
use karpsim::simulation::{Action, Config, Simulation, invariant};
use karpsim::units::SimDuration;
use karpsim::world::interruptions::{Announcement, MessageKind};
use karpsim::world::journal::{Cause, Fact, PodRef};
use karpsim::world::settings::{Boot, Latency, PodUids, SchedulerTies, TieBreaks, VictimRule};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/behaviour")
}

/// The content of the first fenced block of a language.
fn block(text: &str, language: &str) -> Option<String> {
    let start = format!("\n```{language}\n");
    let from = text.find(&start)? + start.len();
    let length = text[from..].find("\n```")?;
    Some(text[from..from + length].to_owned() + "\n")
}

fn scenario(case: &str, class: String) -> LoadedScenario {
    let part = |language| block(case, language).unwrap_or_else(|| panic!("a {language} block"));
    let later = block(case, "yaml later").unwrap_or_default();
    let files = [
        ("s.ron", part("ron")),
        ("objects.yaml", part("yaml")),
        ("class.yaml", class),
        ("later.yaml", later),
    ];
    let files = files.into_iter().map(|(name, text)| (PathBuf::from(name), text));
    let (files, mut diagnostics) = (MemoryFiles(files.collect()), Diagnostics::default());
    let catalogue = Catalogue::from(embedded());
    let loaded = load(Path::new("s.ron"), &files, &catalogue, &mut diagnostics);
    loaded.unwrap_or_else(|| panic!("{}", render(&diagnostics, Colour::Off)))
}

/// The scenario in the world of the README: every delay is fixed.
fn config(loaded: &LoadedScenario) -> Config {
    let fixed = |seconds: i64| Distribution::Fixed(seconds * 1_000);
    let mut config = resolve::config(loaded, embedded());
    let settings = Arc::make_mut(&mut config.settings);
    settings.tie_breaks = TieBreaks::Canonical;
    settings.latency = Latency {
        create: fixed(3),
        running: fixed(0),
        ready: fixed(10),
        initialized: fixed(0),
        terminate: fixed(40),
        detach: fixed(8),
        message: fixed(2),
        pod_start: fixed(2),
        image_pull: fixed(0),
        pod_stop: fixed(2),
    };
    settings.scheduler_ties = SchedulerTies::Name;
    settings.victims = VictimRule::Newest;
    settings.pod_uids = PodUids::CreationOrder;
    settings.controller_latency = SimDuration::ZERO;
    let boot = Arc::new(Boot::same(fixed(30)));
    let applied = config.timeline.iter_mut().filter_map(|(_, action)| match action {
        Action::Apply(objects) | Action::Patch { objects, .. } => Some(&mut objects.pools),
        _ => None,
    });
    let pools = config.pools.iter_mut().chain(applied.flatten());
    pools.for_each(|pool| pool.boot = boot.clone());
    config
}

/// Lines of a timeline; pods of one workload that do the same within one second are one line.
#[derive(Default)]
struct Timeline {
    /// Nodes by NodeClaim, numbered in order of creation.
    nodes: BTreeMap<u64, usize>,
    /// Pods that were reported as left pending.
    pending: Vec<u64>,
    lines: Vec<(i64, String)>,
    /// Pods by second, verb and rest of the line.
    pods: BTreeMap<(i64, String, String), usize>,
}

impl Timeline {
    fn node(&self, ordinal: u64) -> String {
        format!("node-{}", self.nodes.get(&ordinal).copied().unwrap_or_default())
    }

    fn pod(&mut self, at: i64, verb: &str, pod: &PodRef, rest: String) {
        let rest = format!("of {}{rest}", pod.workload);
        let counts = !pod.daemon || self.pending.contains(&pod.ordinal);
        *self.pods.entry((at, verb.to_owned(), rest)).or_default() += usize::from(counts);
    }

    fn add(&mut self, at: i64, fact: &Fact) {
        let line = match fact {
            Fact::Scaled { workload, replicas } => format!("scaled {workload} to {replicas}"),
            Fact::ClaimCreated { claim, .. } => {
                let number = self.nodes.len() + 1;
                self.nodes.insert(claim.ordinal, number);
                format!("created node-{number} of NodePool/{}", claim.pool)
            }
            Fact::Launched { claim, launch } => {
                let node = self.node(claim.ordinal);
                format!("launched {node} as {} {}", launch.capacity_type, launch.instance_type)
            }
            Fact::Initialized { claim, .. } => format!("initialized {}", self.node(claim.ordinal)),
            Fact::DisruptionStarted { command, .. } => {
                let nodes = command.candidates.iter().map(|(claim, _, _)| self.node(claim.ordinal));
                let nodes: Vec<String> = nodes.collect();
                format!("started to {} {}: {}", command.decision, nodes.join(", "), command.reason)
            }
            Fact::DisruptionFailed { command, .. } => {
                let nodes = command.candidates.iter().map(|(claim, _, _)| self.node(claim.ordinal));
                let nodes: Vec<String> = nodes.collect();
                format!("failed to {} {}", command.decision, nodes.join(", "))
            }
            Fact::ValidationFailed { command, failure, .. } => {
                let nodes = command.candidates.iter().map(|(claim, _, _)| self.node(claim.ordinal));
                let nodes: Vec<String> = nodes.collect();
                format!("dropped the plan to {} {}: {failure}", command.decision, nodes.join(", "))
            }
            Fact::LaunchFailed { claim, .. } => {
                format!("launch of {} failed", self.node(claim.ordinal))
            }
            Fact::GaveUp { claim, reason } => {
                format!("gave up {}: {reason}", self.node(claim.ordinal))
            }
            Fact::Drifted { claim, reason: Some(reason) } => {
                format!("drifted {}: {reason}", self.node(claim.ordinal))
            }
            Fact::Interrupted { claim, kind, .. } => {
                format!("interrupted {}: {}", self.node(claim.ordinal), kind.name())
            }
            Fact::MessageReceived { claim, kind: MessageKind::RebalanceRecommendation } => {
                format!("heard of a rebalance recommendation for {}", self.node(claim.ordinal))
            }
            Fact::StepFellShort { action, object, wanted, found } => {
                format!("{action} found {found} of {wanted} of {object}")
            }
            Fact::Announced { claim, what: Announcement::SpotNotice } => {
                format!("spot notice to {}", self.node(claim.ordinal))
            }
            Fact::Announced { claim, what: Announcement::Retirement } => {
                format!("retirement of {} scheduled", self.node(claim.ordinal))
            }
            Fact::Announced { claim, what: Announcement::Impairment } => {
                format!("status checks of {} fail", self.node(claim.ordinal))
            }
            Fact::NodeBroken { claim, condition } => {
                format!("{condition} of {} turned bad", self.node(claim.ordinal))
            }
            Fact::RegistrationHealth { pool, healthy: false } => {
                format!("NodePool/{pool} fails to register its nodes")
            }
            Fact::Expired(claim) => format!("expired {}", self.node(claim.ordinal)),
            Fact::InstanceTerminating { claim } => {
                format!("terminated {}", self.node(claim.ordinal))
            }
            Fact::PodBound { pod, node } => {
                let rest = format!(" to {}", self.node(node.ordinal));
                return self.pod(at, "bound", pod, rest);
            }
            Fact::PodTerminating { pod, node, cause } if *cause != Cause::ScaleDown => {
                let rest = format!(" from {}", self.node(node.ordinal));
                return self.pod(at, "evicted", pod, rest);
            }
            Fact::WorkLost { pod, ran, returns } => {
                let verb = format!("lost {}s of", ran.ms() / 1_000);
                let rest = if *returns { "" } else { ", for good" };
                return self.pod(at, &verb, pod, rest.to_owned());
            }
            Fact::JobFailed { workload } => format!("{workload} failed"),
            Fact::PodUnschedulable(pod) if pod.daemon => {
                self.pending.push(pod.ordinal);
                return self.pod(at, "left pending", pod, String::new());
            }
            Fact::PodFailedScheduling { pod, .. } if !self.pending.contains(&pod.ordinal) => {
                self.pending.push(pod.ordinal);
                return self.pod(at, "left pending", pod, String::new());
            }
            _ => return,
        };
        self.lines.push((at, line));
    }

    /// All lines by second; within a second their order means nothing, so they are sorted.
    fn finish(mut self) -> Vec<(i64, String)> {
        for ((at, verb, rest), count) in self.pods.into_iter().filter(|(_, count)| *count > 0) {
            let pods = if count == 1 { "pod" } else { "pods" };
            self.lines.push((at, format!("{verb} {count} {pods} {rest}")));
        }
        self.lines.sort();
        self.lines
    }
}

fn simulate(config: Config) -> Vec<(i64, String)> {
    let mut simulation = Simulation::new(Arc::new(config));
    let mut timeline = Timeline::default();
    loop {
        for record in simulation.drain_journal() {
            timeline.add(record.at.ms().div_euclid(1_000), &record.fact);
        }
        let Some((at, event)) = simulation.step() else {
            return timeline.finish();
        };
        let checked = invariant::check(simulation.world(), at, &event);
        checked.unwrap_or_else(|violation| panic!("{violation}"));
    }
}

/// `+61s text` of each line.
fn expected(case: &str) -> Vec<(i64, String)> {
    let text = block(case, "timeline").expect("a timeline block");
    let line = |line: &str| {
        let (at, text) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        let seconds = at.strip_prefix('+').and_then(|at| at.strip_suffix('s')?.parse().ok());
        (seconds.unwrap_or_else(|| panic!("{line:?}")), text.trim().to_owned())
    };
    let mut lines: Vec<(i64, String)> =
        text.lines().filter(|text| !text.is_empty()).map(line).collect();
    lines.sort();
    lines
}

fn show(lines: &[(i64, String)]) -> String {
    lines.iter().map(|(at, text)| format!("+{at}s {text}\n")).collect()
}

#[test]
fn every_case_has_its_timeline() {
    let read = |path: &Path| std::fs::read_to_string(path).expect("a text");
    let class = block(&read(&folder().join("README.md")), "yaml").expect("the EC2NodeClass");
    let entries = std::fs::read_dir(folder()).expect("the folder");
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths
        .retain(|path| path.extension().is_some_and(|e| e == "md") && !path.ends_with("README.md"));
    paths.sort();
    assert!(paths.len() >= 12, "{} cases", paths.len());
    let mut wrong = Vec::new();
    for path in paths {
        let case = read(&path);
        let config = config(&scenario(&case, class.clone()));
        let mut plain = config.clone();
        Arc::make_mut(&mut plain.settings).plain = true;
        let (found, wanted) = (simulate(config), expected(&case));
        assert_eq!(found, simulate(plain), "{}: what is kept changes decisions", path.display());
        if found != wanted {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            wrong.push(format!("{name} expected\n{}found\n{}", show(&wanted), show(&found)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
