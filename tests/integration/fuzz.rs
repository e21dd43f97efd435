//! Random clusters, as `karpsim fuzz` makes them, and what they brought to light.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use karpsim::diagnostic::Diagnostics;
use karpsim::experiment::fuzz::{Trials, run_trials};
use karpsim::scenario::catalog::embedded;
use karpsim::scenario::{Catalogue, MemoryFiles, load, resolve};
use karpsim::simulation::Simulation;
use karpsim::simulation::history::History;
use karpsim::units::{SimDuration, SimTime};
use karpsim::world::journal::{Cause, ClaimRef, Record};
use karpsim::world::{Fact, World};

#[test]
fn random_clusters_keep_all_invariants_with_and_without_memos() {
    let (mut failures, mut facts) = (Vec::new(), 0);
    let trials = Trials { seeds: 1..21, plain: true, until: Some(SimDuration::from_minutes(25)) };
    let ran = run_trials(&trials, 0, &|| true, |trial| {
        facts += trial.facts;
        failures.extend(trial.failure.map(|failure| format!("seed {}: {failure}", trial.seed)));
    });
    ran.expect("a pool of threads");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(facts > 20 * 50, "only {facts} facts");
}

const CLASS: &str = "apiVersion: karpenter.k8s.aws/v1
kind: EC2NodeClass
metadata: {name: default}
spec:
  amiSelectorTerms: [{alias: al2023@latest}]
  role: KarpenterNodeRole
  subnetSelectorTerms: [{tags: {karpenter.sh/discovery: fuzz}}]
  securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: fuzz}}]
";

/// A Deployment of that name in namespace `shop`.
pub fn web(replicas: u32, cpu: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: shop}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers: [{{name: main, resources: {{requests: {{cpu: {cpu}}}}}}}]
"
    )
}

/// A run of manifests besides an EC2NodeClass. `scenario` is what a scenario file says of the rest.
pub fn simulation(manifests: &str, scenario: &str) -> Simulation {
    let cluster = "cluster: (zones: [\"us-east-1a\"], manifests: [\"objects.yaml\"])";
    let files = [
        ("objects.yaml", format!("{CLASS}---\n{manifests}")),
        ("s.ron", format!("({cluster}, {scenario})")),
    ];
    let files = files.into_iter().map(|(name, text)| (PathBuf::from(name), text));
    let (files, mut diagnostics) = (MemoryFiles(files.collect()), Diagnostics::default());
    let names = Catalogue::from(embedded());
    let loaded = load(Path::new("s.ron"), &files, &names, &mut diagnostics);
    let loaded = loaded.unwrap_or_else(|| {
        let messages: Vec<_> = diagnostics.iter().map(|problem| &problem.message).collect();
        panic!("{messages:?}")
    });
    Simulation::new(Arc::new(resolve::config(&loaded, embedded())))
}

/// Each launch fails, and each failure makes the static NodePool ask for the next NodeClaim at once.
#[test]
fn time_passes_where_launches_fail_in_no_time() {
    let pool = "apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: fixed}
spec:
  replicas: 1
  template:
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}
      requirements:
        - {key: node.kubernetes.io/instance-type, operator: In, values: [m5.large]}
";
    let scenario = "horizon: \"1s\",
        timeline: [At(\"0s\", StockOut(types: \"*\", lasts: \"1h\"))],
        cloud: (latency: (create: Fixed(\"0s\"))),
        autoscaler: Karpenter(options: (feature_gates: {\"StaticCapacity\": true}))";
    let mut simulation = simulation(pool, scenario);
    while simulation.step().is_some() {
        assert!(simulation.event_count() < 100_000, "still at {}", simulation.world().now());
    }
}

/// A node is drained from 300 s on, with a deadline an hour later. Its pod is held by a PodDisruptionBudget, and
/// protected from 360 s on, when it is in the eviction queue.
#[test]
fn the_history_knows_when_a_protected_pod_may_be_told_to_go() {
    let manifests = "apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: pool}
spec:
  template:
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}
      terminationGracePeriod: 1h
      requirements:
        - {key: node.kubernetes.io/instance-type, operator: In, values: [m5.large]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: shop}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
";
    let scenario = "horizon: \"2h\", timeline: [
        At(\"300s\", Delete(\"Node/pool-00001\")), At(\"360s\", DoNotDisrupt(\"Deployment/shop/web\", 0)),
        At(\"420s\", DoNotDisrupt(\"Deployment/shop/web\", 0))]";
    let manifests = format!("{manifests}---\n{}", web(1, "1"));
    let mut simulation = simulation(&manifests, scenario);
    let (mut annotated, mut told, mut forced_at) = (None, Vec::new(), None);
    while let Some((at, _)) = simulation.step() {
        for Record { fact, .. } in simulation.drain_journal().collect::<Vec<_>>() {
            match fact {
                Fact::PodAnnotated(_) => annotated = annotated.or(Some(fact)),
                Fact::PodTerminating { .. } => forced_at = Some(at),
                _ => {}
            }
        }
        if let (Some(annotated), None) = (&annotated, forced_at) {
            told.push(told_of_the_end(simulation.world(), at, annotated));
        }
    }
    told.dedup();
    assert_eq!(told, [[true, false, true]]);
    // Its grace period of 30 s before the deadline, at the next look.
    assert_eq!(forced_at, Some(SimTime::from_seconds(300 + 3_600 - 30 + 1)));
}

/// Whether the history objects to the end of a protected pod: as it is, when the pod was annotated in the eviction queue,
/// and when Karpenter restarted after that.
fn told_of_the_end(world: &World, at: SimTime, annotated: &Fact) -> [bool; 3] {
    let Fact::PodAnnotated(pod) = annotated else {
        return [false; 3];
    };
    let node = ClaimRef { ordinal: 0, name: "pool-00001".into(), pool: "pool".into() };
    let end = &Fact::PodTerminating { pod: pod.clone(), node, cause: Cause::Deleted };
    let restart = &Fact::TimelineStep { action: "restart", object: "".into() };
    [&[end][..], &[annotated, end], &[annotated, restart, end]].map(|facts| {
        let records = facts.iter().map(|fact| Record { at, fact: (*fact).clone() });
        let records: Vec<Record> = records.collect();
        // Folded from the middle on, what exists does not add up either: that is seen last.
        let broken = History::default().fold(world, &records).expect_err("it began too late");
        broken.starts_with("it is protected")
    })
}

/// The load goes on to change after its Deployment is deleted at noon; nothing is there that it could scale.
#[test]
fn a_load_brings_no_deleted_deployment_back() {
    let scenario = "horizon: \"24h\",
        workloads: [Replicas(template: \"Deployment/shop/web\", curve: Daily(mean: 20, peak_to_mean: 3))],
        timeline: [At(\"12h\", Delete(\"Deployment/shop/web\"))]";
    let mut simulation = simulation(&web(1, "1"), scenario);
    let mut scaled = Vec::new();
    while simulation.step().is_some() {
        let journal = simulation.drain_journal();
        scaled.extend(journal.filter_map(|record| match record.fact {
            Fact::Scaled { replicas, .. } => Some((record.at, replicas)),
            _ => None,
        }));
    }
    let end = SimTime::from_seconds(12 * 3_600);
    assert!(scaled.iter().filter(|(at, _)| *at < end).count() > 5, "{scaled:?}");
    assert_eq!(scaled.last(), Some(&(end, 0)));
    assert!(simulation.world().cluster.pods_by_ordinal.is_empty());
}
