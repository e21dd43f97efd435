//! Random clusters, as `karpsim fuzz` makes them, and what they brought to light.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use karpsim::diagnostic::Diagnostics;
use karpsim::experiment::fuzz::{Trials, run_trials};
use karpsim::scenario::catalog::embedded;
use karpsim::scenario::{Catalogue, MemoryFiles, load, resolve};
use karpsim::simulation::Simulation;
use karpsim::units::SimDuration;

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

/// In this cluster a node goes on which a command puts pods, between the command's computation and its start.
#[test]
fn a_node_may_go_while_a_command_that_counts_on_it_waits() {
    let trials = Trials { seeds: 2_733..2_734, plain: false, until: None };
    let ran = run_trials(&trials, 0, &|| true, |trial| assert_eq!(trial.failure, None));
    ran.expect("a pool of threads");
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

/// A run of manifests besides an EC2NodeClass. `scenario` is what a scenario file says of the rest.
fn simulation(manifests: &str, scenario: &str) -> Simulation {
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
