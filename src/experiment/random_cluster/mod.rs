//! Random small clusters as people write them: the text of a scenario and of its manifests, a function of a seed.
//!
//! Each object has draws of its own, so that a change of one leaves the others as they are. All that comes out is
//! valid input; how sensible it is for a cluster is left to chance.

use std::path::PathBuf;

use crate::engine::{Purpose, Streams};
use crate::scenario::MemoryFiles;

mod gated;
mod pod;
mod pool;
mod step;
mod storage;
mod workload;

/// The scenario's file.
pub const SCENARIO: &str = "cluster.ron";

/// The families that NodePools name, one of them at least.
pub const FAMILIES: [&str; 7] = ["m5", "c5", "r5", "m6i", "c6i", "t3", "m7g"];

const ZONES: [&str; 3] = ["us-east-1a", "us-east-1b", "us-east-1c"];
const ZONE_KEY: &str = "topology.kubernetes.io/zone";
const HOST_KEY: &str = "kubernetes.io/hostname";
const CAPACITY_KEY: &str = "karpenter.sh/capacity-type";

/// Entities of the draws; objects of which there are several follow each other.
const SCENARIO_LOT: u64 = 0;
const DAEMONS_LOT: u64 = 1;
const JOB_LOT: u64 = 2;
const CLASS_LOT: u64 = 3;
const STATIC_LOT: u64 = 4;
const STORAGE_LOT: u64 = 5;
const BARE_LOT: u64 = 6;
const WORKLOADS_LOT: u64 = 7;
const CLOUD_LOT: u64 = 8;
const LOGGER_LOT: u64 = 9;
const POOL_LOT: u64 = 100;
const APP_LOT: u64 = 200;
const BUDGET_LOT: u64 = 300;
const STEP_LOT: u64 = 400;
const APPLIED_LOT: u64 = 500;
const OVERLAY_LOT: u64 = 600;
const BUFFER_LOT: u64 = 700;

/// The files of the cluster of a seed.
pub fn files(seed: u64) -> MemoryFiles {
    let lot = |entity| Lot { streams: Streams::new(seed), entity, index: 0 };
    let mut scenario = lot(SCENARIO_LOT);
    let shape = Shape {
        pools: 1 + scenario.below(2),
        apps: 1 + scenario.below(4),
        overlays: [0, 0, 1, 2][scenario.below(4) as usize],
        buffers: [0, 0, 0, 1][scenario.below(4) as usize],
        is_static: scenario.chance(20),
        zones: scenario.some(&ZONES, 70),
    };
    let minutes = 40 + scenario.below(200);
    let mut objects = vec![workload::PRIORITIES.to_owned()];
    objects.push(pool::node_class(&mut lot(CLASS_LOT), "default"));
    objects.push(pool::node_class(&mut lot(CLASS_LOT), "other"));
    objects.push(storage::objects(&mut lot(STORAGE_LOT), &shape.zones));
    objects.extend((0..shape.pools).map(|i| pool::pool(&mut lot(POOL_LOT + i), i)));
    objects.extend(shape.is_static.then(|| pool::static_pool(&mut lot(STATIC_LOT))));
    objects.extend((0..shape.overlays).map(|i| gated::overlay(&mut lot(OVERLAY_LOT + i), i)));
    objects.extend((0..shape.buffers).map(|i| gated::buffer(&mut lot(BUFFER_LOT + i), i)));
    objects.extend((0..shape.apps).map(|i| workload::deployment(&mut lot(APP_LOT + i), i)));
    objects.extend((0..shape.apps).filter_map(|i| workload::budget(&mut lot(BUDGET_LOT + i), i)));
    objects.push(workload::agent(&mut lot(DAEMONS_LOT)));
    objects.extend(workload::logger(&mut lot(LOGGER_LOT)));
    objects.push(workload::job(&mut lot(JOB_LOT)));
    objects.extend(workload::bare_pod(&mut lot(BARE_LOT)));
    let mut files = vec![("objects.yaml".to_owned(), objects.join("---\n"))];
    let mut steps = Vec::new();
    for i in 0..scenario.below(12) {
        let mut of_step = lot(STEP_LOT + i);
        // Half of them in the first half hour, so that short runs see some too.
        let within = of_step.pick(&[30, minutes]);
        // Full minutes are when Karpenter looks at instance states.
        let second = of_step.below(within) * 60 + of_step.pick(&[0, 0, 7, 31]);
        let (action, object) = match of_step.chance(15) {
            true => {
                let name = format!("later-{i}.yaml");
                let (object, text) = step::applied(&mut of_step, &mut lot(APPLIED_LOT + i), &shape);
                files.push((name.clone(), text));
                (format!("Apply(\"{name}\")"), Some(object))
            }
            false => (step::step(&mut of_step, &shape), None),
        };
        steps.push(step::Step { second, action, object });
    }
    step::leave_out_what_is_gone(&mut steps);
    let parts = [
        steps.iter().map(step::Step::line).collect(),
        workload::sources(&mut lot(WORKLOADS_LOT), &shape),
        cloud(&mut lot(CLOUD_LOT)),
        options(&mut scenario, &shape),
    ];
    files.push((SCENARIO.to_owned(), scenario_text(&mut scenario, seed, minutes, &shape, &parts)));
    MemoryFiles(files.into_iter().map(|(name, text)| (PathBuf::from(name), text)).collect())
}

/// How many there are of what the timeline may name.
struct Shape {
    pools: u64,
    apps: u64,
    overlays: u64,
    buffers: u64,
    is_static: bool,
    zones: Vec<&'static str>,
}

/// The draws of one object, one after the other.
struct Lot {
    streams: Streams,
    entity: u64,
    index: u32,
}

impl Lot {
    fn below(&mut self, n: u64) -> u64 {
        self.index += 1;
        self.streams.below(Purpose::RandomCluster, self.entity, self.index, n)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        let last = list.len() - 1;
        list[usize::try_from(self.below(list.len() as u64)).unwrap_or(last)]
    }

    /// A part of a list, in its order, that is not empty.
    fn some(&mut self, list: &[&'static str], percent: u64) -> Vec<&'static str> {
        let sure = self.pick(list);
        list.iter().copied().filter(|item| *item == sure || self.chance(percent)).collect()
    }

    /// The text, as often as `percent` says.
    fn maybe(&mut self, percent: u64, text: impl FnOnce(&mut Lot) -> String) -> String {
        if self.chance(percent) { text(self) } else { String::new() }
    }
}

/// A list as RON and YAML both take it.
fn list(items: &[&str]) -> String {
    format!("{items:?}")
}

fn scenario_text(
    lot: &mut Lot,
    seed: u64,
    minutes: u64,
    shape: &Shape,
    [timeline, sources, cloud, options]: &[String; 4],
) -> String {
    let start = lot.pick(&["2026-01-05T00:00:00Z", "2026-03-01T22:17:31Z", "2026-06-12T08:00:00Z"]);
    let victims = lot.pick(&["ReplicaSet", "ReplicaSet", "Newest", "Colocated"]);
    let latency = lot.pick(&["50ms", "50ms", "0s", "1s"]);
    let ties = lot.pick(&["Seeded", "Seeded", "Name"]);
    let breaks = lot.pick(&["Seeded", "Seeded", "Canonical"]);
    let zones = list(&shape.zones);
    format!(
        "// A random cluster.
(
    name: \"fuzz-{seed}\",
    start: \"{start}\",
    horizon: \"{minutes}m\",
    seed: {seed},
    cluster: (region: \"us-east-1\", zones: {zones}, manifests: [\"objects.yaml\"]),
    timeline: [
{timeline}    ],
{sources}{cloud}    controllers: (victims: {victims}, latency: \"{latency}\"),
    scheduler: (ties: {ties}),
    tie_breaks: {breaks},
    autoscaler: Karpenter(options: ({options})),
)
"
    )
}

/// Karpenter's options.
fn options(lot: &mut Lot, shape: &Shape) -> String {
    let mut gates: Vec<String> = ["NodeRepair", "SpotToSpotConsolidation"]
        .map(|gate| (gate, lot.chance(50)))
        .map(gate)
        .into();
    gates.push(gate(("StaticCapacity", shape.is_static || lot.chance(10))));
    // Objects whose gate is off are a warning, and Karpenter does not see them.
    gates.push(gate(("NodeOverlay", shape.overlays > 0 && lot.chance(90))));
    gates.push(gate(("CapacityBuffer", shape.buffers > 0 && lot.chance(90))));
    let gates = gates.join(", ");
    let preferences = lot.pick(&["Respect", "Respect", "Respect", "Ignore"]);
    let min_values = lot.pick(&["Strict", "Strict", "BestEffort"]);
    let batch = lot.maybe(25, |lot| {
        let (idle, max) = (lot.pick(&["200ms", "3s"]), lot.pick(&["5s", "30s"]));
        format!("batch_idle: \"{idle}\", batch_max: \"{max}\", ")
    });
    let time = lot
        .maybe(20, |lot| format!("evaluation_time: \"{}\", ", lot.pick(&["5ms", "700ms", "25s"])));
    let queue = lot.maybe(30, |_| "interruption_queue: false, ".to_owned());
    format!(
        "{batch}{time}{queue}preference_policy: {preferences}, min_values_policy: {min_values}, \
         feature_gates: {{{gates}}}"
    )
}

fn gate((name, is_on): (&str, bool)) -> String {
    format!("\"{name}\": {is_on}")
}

/// How long machines and pods take, where it is not the defaults.
fn cloud(lot: &mut Lot) -> String {
    let latency = lot.maybe(30, |lot| {
        let registered = lot.pick(&["Fixed(\"31s\")", "Uniform(\"5s\", \"90s\")"]);
        let create = lot.pick(&["Fixed(\"500ms\")", "Uniform(\"900ms\", \"20s\")"]);
        let detach = lot.pick(&["Fixed(\"0s\")", "Uniform(\"1s\", \"3m\")"]);
        format!(
            "    cloud: (latency: (registered: {registered}, create: {create}, detach: {detach})),\n"
        )
    });
    let pods = lot.maybe(40, |lot| {
        let stop = lot.pick(&["Fixed(\"0s\")", "Uniform(\"0s\", \"2m\")", "Fixed(\"10m\")"]);
        let start = lot.pick(&["Fixed(\"0s\")", "Uniform(\"1s\", \"3m\")"]);
        format!("    pods: (start: {start}, stop: {stop}),\n")
    });
    latency + &pods
}
