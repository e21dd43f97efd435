//! Documented outcomes of Karpenter's blueprints and issues that are about how pods come and end: the acceptance
//! scenarios A9, A10 and B2.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use karpsim::diagnostic::Diagnostics;
use karpsim::experiment::run::{Checks, Observer, run};
use karpsim::outcome::RunResult;
use karpsim::report::diagnostic::{Colour, render};
use karpsim::scenario::{Catalogue, MemoryFiles, catalog, load, resolve};
use karpsim::units::SimTime;
use karpsim::world::Fact;
use karpsim::world::journal::Record;

/// Instance types in the order of launch, and how often a pod lost work and came back.
#[derive(Default)]
struct Seen {
    launched: Vec<String>,
    restarts: usize,
    replaced: usize,
}

impl Observer for Seen {
    fn observe(&mut self, record: &Record) {
        match &record.fact {
            Fact::Launched { launch, .. } => self.launched.push(launch.instance_type.to_string()),
            Fact::WorkLost { returns: true, .. } => self.restarts += 1,
            Fact::DisruptionStarted { command, .. } if command.decision == "replace" => {
                self.replaced += 1;
            }
            _ => {}
        }
    }

    fn go_on(&mut self, _: SimTime, _: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

fn simulate(scenario: &str, objects: &str, trace: &str) -> (RunResult, Seen) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/ci-burst");
    let daemons = std::fs::read_to_string(folder.join("daemonsets.yaml")).expect("daemons of EKS");
    let files = [
        ("s.ron", scenario),
        ("objects.yaml", objects),
        ("class.yaml", CLASS),
        ("daemons.yaml", &daemons),
        ("trace.csv", trace),
    ];
    let files: BTreeMap<PathBuf, String> =
        files.into_iter().map(|(name, text)| (PathBuf::from(name), text.to_owned())).collect();
    let (catalog, mut diagnostics) = (catalog::embedded(), Diagnostics::default());
    let names = Catalogue::from(catalog);
    let loaded = load(Path::new("s.ron"), &MemoryFiles(files), &names, &mut diagnostics);
    let loaded = loaded.unwrap_or_else(|| panic!("{}", render(&diagnostics, Colour::Off)));
    let config = Arc::new(resolve::config(&loaded, catalog));
    let mut seen = Seen::default();
    let result = run(config, Default::default(), Checks::EveryEvent, &mut seen);
    (result.expect("no invariant is broken"), seen)
}

const CLASS: &str = "
apiVersion: karpenter.k8s.aws/v1
kind: EC2NodeClass
metadata: {name: default}
spec:
  role: KarpenterNodeRole
  amiSelectorTerms: [{alias: al2023@latest}]
  subnetSelectorTerms: [{tags: {karpenter.sh/discovery: shop}}]
  securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: shop}}]
";

/// The blueprints' NodePool with a service and two Jobs; `extra` stands in the annotations of the Jobs' pods. The Jobs'
/// `ttlSecondsAfterFinished` matters: the removal of a pod's object makes Karpenter look at the node again, its end does
/// not.
fn batch_jobs(extra: &str) -> String {
    let job = |name: &str, cpu: u32, runs: &str| {
        format!(
            r#"
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}, namespace: default}}
spec:
  ttlSecondsAfterFinished: 10
  backoffLimit: 2
  template:
    metadata: {{annotations: {{karpsim/duration: {runs}{extra}}}}}
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      nodeSelector: {{karpenter.sh/capacity-type: on-demand}}
      containers:
      - {{name: main, resources: {{requests: {{cpu: {cpu}}}}}}}
---"#
        )
    };
    format!(
        r#"
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {{name: default}}
spec:
  disruption: {{consolidationPolicy: WhenEmptyOrUnderutilized, consolidateAfter: 1m}}
  template:
    spec:
      nodeClassRef: {{group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}}
      requirements:
      - {{key: kubernetes.io/arch, operator: In, values: [amd64, arm64]}}
      - {{key: karpenter.k8s.aws/instance-cpu, operator: In, values: ["4", "8", "16", "32", "48", "64"]}}
      - {{key: karpenter.sh/capacity-type, operator: In, values: [spot, on-demand]}}
      - {{key: karpenter.k8s.aws/instance-category, operator: In, values: [c, m, r, i, d]}}
---{}{}
apiVersion: apps/v1
kind: Deployment
metadata: {{name: nginx, namespace: default}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: nginx}}}}
  template:
    metadata: {{labels: {{app: nginx}}}}
    spec:
      nodeSelector: {{karpenter.sh/capacity-type: on-demand}}
      containers:
      - {{name: main, resources: {{requests: {{cpu: 2}}}}}}
"#,
        job("two-minutes", 7, "2m"),
        job("five-minutes", 2, "5m"),
    )
}

const BATCH_JOBS: &str = r#"Scenario(
    horizon: "40m",
    cluster: (
        region: "us-east-1",
        zones: ["us-east-1a", "us-east-1b", "us-east-1c"],
        manifests: ["class.yaml", "daemons.yaml", "objects.yaml"],
    ),
)"#;

/// A9: one c6g.4xlarge; the shorter Job ends and the rest moves to a c6g.2xlarge, where the longer Job starts over; it
/// ends, and the service moves to a c6g.xlarge.
#[test]
fn jobs_without_protection_are_moved_and_start_over() {
    let (result, seen) = simulate(BATCH_JOBS, &batch_jobs(""), "");
    assert_eq!(seen.launched, ["c6g.4xlarge", "c6g.2xlarge", "c6g.xlarge"]);
    assert_eq!((seen.replaced, seen.restarts, result.counts.jobs_failed), (2, 1, 0));
}

/// A10: with do-not-disrupt on the Jobs the node stays until the last one ends, and no work is lost.
#[test]
fn protected_jobs_keep_their_node() {
    let protected = r#", karpenter.sh/do-not-disrupt: "true""#;
    let (result, seen) = simulate(BATCH_JOBS, &batch_jobs(protected), "");
    assert_eq!(seen.launched, ["c6g.4xlarge", "c6g.xlarge"]);
    assert_eq!((seen.replaced, seen.restarts, result.counts.work_lost_ms), (1, 0, 0));
}

const LITTLE_NODES: &str = "
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: default}
spec:
  disruption: {consolidationPolicy: WhenEmpty, consolidateAfter: Never}
  template:
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}
      requirements:
      - {key: kubernetes.io/arch, operator: In, values: [arm64]}
      - {key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}
      - {key: node.kubernetes.io/instance-type, operator: In, values: [c6g.medium, c6g.large]}
";

const ONE_BY_ONE: &str = r#"Scenario(
    horizon: "1h",
    cluster: (region: "us-east-1", zones: ["us-east-1a"], manifests: ["class.yaml", "daemons.yaml", "objects.yaml"]),
    workloads: [Trace(name: "t", file: "trace.csv")],
)"#;

/// B2: the same eight pods cost twice as much when they come one at a time: each gets a node of its own.
#[test]
fn pods_that_come_one_at_a_time_cost_twice_as_much() {
    let trace = |apart: u32| {
        let head = "pod_name,kind,arrival_s,cpu_milli,memory_mib\n".to_owned();
        let row = |n: u32| format!("p{n},service,{},400,256\n", n * apart);
        head + &(0..8).map(row).collect::<String>()
    };
    let rate = |result: &RunResult| result.series.cost_rate.last();
    let (apart, seen) = simulate(ONE_BY_ONE, LITTLE_NODES, &trace(180));
    assert_eq!(seen.launched, ["c6g.medium"; 8]);
    let (together, seen) = simulate(ONE_BY_ONE, LITTLE_NODES, &trace(0));
    assert_eq!(seen.launched, ["c6g.large"; 2]);
    assert_eq!((rate(&apart), rate(&together)), (272_000_000, 136_000_000), "nano-dollars an hour");
}
