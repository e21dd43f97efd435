//! Random small clusters as people write them: the text of a scenario and of its manifests, a function of a seed.
//!
//! Each object has draws of its own, so that a change of one leaves the others as they are. All that comes out is
//! valid input; how sensible it is for a cluster is left to chance.

use std::fmt::Write;
use std::path::PathBuf;

use crate::engine::{Purpose, Streams};
use crate::scenario::MemoryFiles;

/// The scenario's file.
pub const SCENARIO: &str = "cluster.ron";

const ZONES: [&str; 3] = ["us-east-1a", "us-east-1b", "us-east-1c"];
const FAMILIES: [&str; 7] = ["m5", "c5", "r5", "m6i", "c6i", "t3", "m7g"];
const SIZES: [&str; 3] = ["large", "xlarge", "2xlarge"];
const CONDITIONS: [&str; 3] = ["Ready", "NetworkingReady", "KernelReady"];

/// Entities of the draws; objects of which there are several follow each other.
const SCENARIO_LOT: u64 = 0;
const DAEMONS_LOT: u64 = 1;
const JOB_LOT: u64 = 2;
const POOL_LOT: u64 = 100;
const APP_LOT: u64 = 200;
const BUDGET_LOT: u64 = 300;
const STEP_LOT: u64 = 400;
const CHANGED_POOL_LOT: u64 = 500;

/// The files of the cluster of a seed.
pub fn files(seed: u64) -> MemoryFiles {
    let lot = |entity| Lot { streams: Streams::new(seed), entity, index: 0 };
    let mut scenario = lot(SCENARIO_LOT);
    let shape = Shape {
        pools: 1 + scenario.below(2),
        apps: 1 + scenario.below(4),
        zones: scenario.some(&ZONES, 70),
    };
    let hours = 2 + scenario.below(7);
    let mut objects = vec![NODE_CLASS.to_owned()];
    objects.extend((0..shape.pools).map(|i| pool(&mut lot(POOL_LOT + i), i)));
    objects.extend((0..shape.apps).map(|i| deployment(&mut lot(APP_LOT + i), i)));
    objects.extend((0..shape.apps).filter_map(|i| budget(&mut lot(BUDGET_LOT + i), i)));
    objects.push(daemon_set(&mut lot(DAEMONS_LOT)));
    objects.push(job(&mut lot(JOB_LOT)));
    let mut files = vec![("objects.yaml".to_owned(), objects.join("---\n"))];
    let mut timeline = String::new();
    for i in 0..scenario.below(10) {
        let mut lot_of_step = lot(STEP_LOT + i);
        // Half of them in the first hour, so that short runs see some too.
        let within = lot_of_step.pick(&[60, hours * 60]);
        let minute = lot_of_step.below(within);
        let action = match lot_of_step.below(10) {
            0 => {
                let target = lot_of_step.below(shape.pools);
                let name = format!("later-{i}.yaml");
                files.push((name.clone(), pool(&mut lot(CHANGED_POOL_LOT + i), target)));
                format!("Apply(\"{name}\")")
            }
            _ => step(&mut lot_of_step, &shape),
        };
        // Writing to a text cannot fail.
        let _ = writeln!(timeline, "        At(\"{minute}m\", {action}),");
    }
    let zones = list(&shape.zones);
    files.push((SCENARIO.to_owned(), scenario_text(&mut scenario, seed, hours, &zones, &timeline)));
    MemoryFiles(files.into_iter().map(|(name, text)| (PathBuf::from(name), text)).collect())
}

/// How many there are of what the timeline may name.
struct Shape {
    pools: u64,
    apps: u64,
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

fn scenario_text(lot: &mut Lot, seed: u64, hours: u64, zones: &str, timeline: &str) -> String {
    let gates = format!(
        "{{\"NodeRepair\": {}, \"SpotToSpotConsolidation\": {}}}",
        lot.chance(50),
        lot.chance(50)
    );
    let preferences = lot.pick(&["Respect", "Respect", "Respect", "Ignore"]);
    let victims = lot.pick(&["ReplicaSet", "ReplicaSet", "Newest", "Colocated"]);
    let workloads = lot.maybe(40, |lot| {
        let (rate, weight) = (2 + lot.below(30), 1 + lot.below(3));
        let (cpu, memory) = (lot.pick(&["100m", "500m", "1500m"]), lot.pick(&["128Mi", "2Gi"]));
        let (eviction, protected) = (lot.pick(&["StartOver", "GoOn", "Lose"]), lot.chance(20));
        format!(
            "    workloads: [Arrivals(
        name: \"work\",
        process: Poisson(per_hour: {rate}.0),
        pods: [
            (weight: {weight}, cpu: \"{cpu}\", memory: \"{memory}\", do_not_disrupt: {protected}),
            (cpu: \"250m\", memory: \"256Mi\"),
        ],
        lifetime: Uniform(\"2m\", \"40m\"),
        on_eviction: {eviction},
    )],\n"
        )
    });
    format!(
        "// A random cluster.
(
    name: \"fuzz-{seed}\",
    start: \"2026-01-05T00:00:00Z\",
    horizon: \"{hours}h\",
    seed: {seed},
    cluster: (region: \"us-east-1\", zones: {zones}, manifests: [\"objects.yaml\"]),
    timeline: [
{timeline}    ],
{workloads}    controllers: (victims: {victims}),
    scheduler: (ties: Seeded),
    tie_breaks: Seeded,
    autoscaler: Karpenter(options: (preference_policy: {preferences}, feature_gates: {gates})),
)
"
    )
}

/// A step that needs no file.
fn step(lot: &mut Lot, shape: &Shape) -> String {
    let pool = format!("\"NodePool/pool-{}\"", lot.below(shape.pools));
    let app = format!("\"Deployment/default/app-{}\"", lot.below(shape.apps));
    let count = 1 + lot.below(3);
    let lasts = lot.pick(&["2m", "10m", "40m"]);
    match lot.below(16) {
        0..=3 => format!("Scale({app}, {})", lot.below(25)),
        4 => format!("Drift({pool})"),
        5 => {
            let types = lot.pick(&["*", "m5.*", "c*", "*.large"]);
            let zone = lot.maybe(50, |lot| format!("zone: \"{}\", ", lot.pick(&shape.zones)));
            let kind = lot.pick(&["spot", "on-demand"]);
            let what = format!("types: \"{types}\", {zone}capacity_type: \"{kind}\"");
            format!("StockOut({what}, lasts: \"{lasts}\")")
        }
        6 => format!("Interrupt({pool}, {count})"),
        7 => format!("FailLaunches({pool}, \"{lasts}\")"),
        8 => format!("FailJoins({pool}, \"{lasts}\")"),
        9 => format!("LoseInstances({pool}, {count})"),
        10 => format!("BreakNodes({pool}, {count}, \"{}\")", lot.pick(&CONDITIONS)),
        11 => format!("DoNotDisrupt({app}, {})", lot.below(20)),
        12 => "Restart".to_owned(),
        13 => {
            let (types, factor) = (lot.pick(&["*", "m5.*", "*.large"]), lot.pick(&["0.5", "1.7"]));
            let kind = lot.maybe(50, |_| "capacity_type: \"spot\", ".to_owned());
            format!("PriceChange(types: \"{types}\", {kind}factor: {factor})")
        }
        14 => patch_of_pool(lot, &pool),
        _ => {
            let cpu = lot.pick(&["200m", "1", "2500m"]);
            let containers = format!(
                "[{{\"name\": \"main\", \"resources\": {{\"requests\": {{\"cpu\": \"{cpu}\"}}}}}}]"
            );
            let spec = format!("{{\"template\": {{\"spec\": {{\"containers\": {containers}}}}}}}");
            format!("Patch({app}, {{\"spec\": {spec}}})")
        }
    }
}

/// What people change of a NodePool: its disruption, or what makes its nodes drift.
fn patch_of_pool(lot: &mut Lot, pool: &str) -> String {
    let field = match lot.below(4) {
        0 => {
            let after = lot.pick(&["0s", "1m", "Never"]);
            format!("\"disruption\": {{\"consolidateAfter\": \"{after}\"}}")
        }
        1 => {
            let nodes = lot.pick(&["0", "2", "50%"]);
            format!("\"disruption\": {{\"budgets\": [{{\"nodes\": \"{nodes}\"}}]}}")
        }
        2 => "\"template\": {\"metadata\": {\"labels\": {\"wave\": \"two\"}}}".to_owned(),
        _ => format!("\"weight\": {}", 1 + lot.below(100)),
    };
    format!("Patch({pool}, {{\"spec\": {{{field}}}}})")
}

const NODE_CLASS: &str = "apiVersion: karpenter.k8s.aws/v1
kind: EC2NodeClass
metadata:
  name: default
spec:
  amiSelectorTerms:
    - alias: al2023@latest
  role: KarpenterNodeRole
  subnetSelectorTerms:
    - tags: {karpenter.sh/discovery: fuzz}
  securityGroupSelectorTerms:
    - tags: {karpenter.sh/discovery: fuzz}
";

fn pool(lot: &mut Lot, number: u64) -> String {
    let (families, sizes) = (list(&lot.some(&FAMILIES, 20)), list(&lot.some(&SIZES, 50)));
    let capacity = list(&lot.some(&["spot", "on-demand"], 50));
    let expire = lot.pick(&["1h", "2h", "5h", "720h", "Never"]);
    let grace = lot.maybe(40, |lot| {
        format!("      terminationGracePeriod: {}\n", lot.pick(&["1m", "5m", "30m"]))
    });
    let taints = lot.maybe(30, |lot| {
        let effect = lot.pick(&["NoSchedule", "NoExecute", "PreferNoSchedule"]);
        format!("      taints: [{{key: team, value: a, effect: {effect}}}]\n")
    });
    let weight = lot.maybe(50, |lot| format!("  weight: {}\n", 1 + lot.below(100)));
    let limits = lot.maybe(40, |lot| {
        format!("  limits: {{cpu: \"{}\", memory: 256Gi}}\n", lot.pick(&[4, 16, 64, 200]))
    });
    let policy = lot.pick(&["WhenEmpty", "WhenEmptyOrUnderutilized", "Balanced"]);
    let after = lot.pick(&["0s", "30s", "1m", "5m", "Never"]);
    let budgets = disruption_budgets(lot);
    format!(
        "apiVersion: karpenter.sh/v1
kind: NodePool
metadata:
  name: pool-{number}
spec:
{weight}  template:
    spec:
      requirements:
        - {{key: karpenter.sh/capacity-type, operator: In, values: {capacity}}}
        - {{key: karpenter.k8s.aws/instance-family, operator: In, values: {families}}}
        - {{key: karpenter.k8s.aws/instance-size, operator: In, values: {sizes}}}
{taints}      nodeClassRef: {{group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}}
      expireAfter: {expire}
{grace}{limits}  disruption:
    consolidationPolicy: {policy}
    consolidateAfter: {after}
{budgets}"
    )
}

fn disruption_budgets(lot: &mut Lot) -> String {
    let mut text = String::new();
    for _ in 0..lot.below(3) {
        let nodes = lot.pick(&["0", "1", "3", "10%", "50%", "100%"]);
        let reasons = lot.maybe(40, |lot| {
            format!(", reasons: {}", list(&lot.some(&["Empty", "Drifted", "Underutilized"], 30)))
        });
        // Most of those without a window would allow nothing for hours.
        let window = lot.maybe(if nodes == "0" { 80 } else { 30 }, |lot| {
            let schedule =
                lot.pick(&["0 1 * * *", "*/30 * * * *", "@hourly", "15 2-4 * * mon-fri"]);
            format!(", schedule: \"{schedule}\", duration: {}", lot.pick(&["10m", "1h", "2h30m"]))
        });
        text += &format!("      - {{nodes: \"{nodes}\"{reasons}{window}}}\n");
    }
    if text.is_empty() { text } else { format!("    budgets:\n{text}") }
}

fn deployment(lot: &mut Lot, number: u64) -> String {
    let replicas = lot.below(16);
    let pod = pod(lot, &format!("app-{number}"), "");
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: app-{number}, namespace: default}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: app-{number}}}}}
  template:
{pod}"
    )
}

fn job(lot: &mut Lot) -> String {
    let (completions, parallelism) = (lot.below(9), 1 + lot.below(4));
    let backoff = lot.pick(&[0, 2, 6]);
    let duration = lot.pick(&["3m", "20m", "90m"]);
    let annotation = format!("karpsim/duration: {duration}");
    let pod = pod(lot, "report", &annotation);
    format!(
        "apiVersion: batch/v1
kind: Job
metadata: {{name: report, namespace: default}}
spec:
  completions: {completions}
  parallelism: {parallelism}
  backoffLimit: {backoff}
  template:
{pod}      restartPolicy: Never
"
    )
}

/// A pod template below `template:`, ending inside of its spec.
fn pod(lot: &mut Lot, app: &str, annotation: &str) -> String {
    let protection = lot.maybe(12, |_| "karpenter.sh/do-not-disrupt: \"true\"".to_owned());
    let annotations = [annotation, &protection];
    let annotations: Vec<&str> = annotations.into_iter().filter(|text| !text.is_empty()).collect();
    let annotations = annotations.join(", ");
    let grace = lot.pick(&[0, 5, 30, 120]);
    let tolerations = lot.maybe(60, |lot| {
        let what = lot.pick(&[
            "key: team, operator: Equal, value: a",
            "key: team, operator: Exists",
            "operator: Exists",
        ]);
        format!("      tolerations: [{{{what}}}]\n")
    });
    let selector = lot.maybe(15, |lot| {
        let label = lot.pick(&[
            "karpenter.sh/capacity-type: on-demand",
            "karpenter.sh/capacity-type: spot",
            "kubernetes.io/arch: amd64",
            "topology.kubernetes.io/zone: us-east-1a",
        ]);
        format!("      nodeSelector: {{{label}}}\n")
    });
    let spread = lot.maybe(35, |lot| spread(lot, app));
    let affinity = lot.maybe(25, |lot| anti_affinity(lot, app));
    let cpu = lot.pick(&["100m", "250m", "900m", "1", "1800m", "3"]);
    let memory = lot.pick(&["64Mi", "512Mi", "2Gi", "6Gi"]);
    format!(
        "    metadata:
      labels: {{app: {app}}}
      annotations: {{{annotations}}}
    spec:
      terminationGracePeriodSeconds: {grace}
{tolerations}{selector}{spread}{affinity}      containers:
        - name: main
          image: example.com/{app}:1
          resources: {{requests: {{cpu: {cpu}, memory: {memory}}}}}
"
    )
}

fn spread(lot: &mut Lot, app: &str) -> String {
    let key = lot.pick(&["topology.kubernetes.io/zone", "kubernetes.io/hostname"]);
    let (skew, otherwise) = (1 + lot.below(2), lot.pick(&["DoNotSchedule", "ScheduleAnyway"]));
    format!(
        "      topologySpreadConstraints:
        - maxSkew: {skew}
          topologyKey: {key}
          whenUnsatisfiable: {otherwise}
          labelSelector: {{matchLabels: {{app: {app}}}}}
"
    )
}

fn anti_affinity(lot: &mut Lot, app: &str) -> String {
    let key = lot.pick(&["kubernetes.io/hostname", "topology.kubernetes.io/zone"]);
    let term = format!("{{topologyKey: {key}, labelSelector: {{matchLabels: {{app: {app}}}}}}}");
    let rule = match lot.chance(60) {
        true => format!("requiredDuringSchedulingIgnoredDuringExecution: [{term}]"),
        false => format!(
            "preferredDuringSchedulingIgnoredDuringExecution: \
             [{{weight: 10, podAffinityTerm: {term}}}]"
        ),
    };
    format!("      affinity:\n        podAntiAffinity:\n          {rule}\n")
}

fn daemon_set(lot: &mut Lot) -> String {
    let cpu = lot.pick(&["50m", "180m"]);
    format!(
        "apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: agent, namespace: kube-system}}
spec:
  selector: {{matchLabels: {{app: agent}}}}
  template:
    metadata:
      labels: {{app: agent}}
    spec:
      tolerations: [{{operator: Exists}}]
      containers:
        - name: agent
          image: example.com/agent:1
          resources: {{requests: {{cpu: {cpu}, memory: 100Mi}}}}
"
    )
}

/// A PodDisruptionBudget of a Deployment, for some.
fn budget(lot: &mut Lot, number: u64) -> Option<String> {
    let bound = lot.pick(&[
        "maxUnavailable: 0",
        "maxUnavailable: 1",
        "maxUnavailable: 50%",
        "minAvailable: 2",
        "minAvailable: 80%",
    ]);
    lot.chance(35).then(|| {
        format!(
            "apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: app-{number}, namespace: default}}
spec:
  {bound}
  selector: {{matchLabels: {{app: app-{number}}}}}
"
        )
    })
}
