//! Workloads and their PodDisruptionBudgets.

use super::pod::{self, Kind};
use super::{Lot, Shape};

/// The PriorityClasses that pods name.
pub(super) const PRIORITIES: &str = "apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: high}
value: 1000
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: low}
value: -10
";

/// A Deployment.
pub(super) fn deployment(lot: &mut Lot, number: u64) -> String {
    let replicas = lot.below(14);
    let pod = pod::template(lot, &format!("app-{number}"), Kind::Service);
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

/// A Job.
pub(super) fn job(lot: &mut Lot) -> String {
    let (completions, parallelism) = (lot.below(9), 1 + lot.below(4));
    let backoff = lot.pick(&[0, 2, 6]);
    let duration = lot.pick(&["3m", "20m", "90m"]);
    let ttl = lot.maybe(30, |_| "  ttlSecondsAfterFinished: 40\n".to_owned());
    let policy = lot.maybe(20, |lot| {
        let action = lot.pick(&["Ignore", "Count"]);
        format!(
            "  podFailurePolicy: {{rules: [{{action: {action}, \
             onPodConditions: [{{type: DisruptionTarget}}]}}]}}\n"
        )
    });
    let pod = pod::template(lot, "report", Kind::Batch(duration));
    format!(
        "apiVersion: batch/v1
kind: Job
metadata: {{name: report, namespace: default}}
spec:
  completions: {completions}
  parallelism: {parallelism}
  backoffLimit: {backoff}
{ttl}{policy}  template:
{pod}      restartPolicy: Never
"
    )
}

/// A pod without an owner, for some.
pub(super) fn bare_pod(lot: &mut Lot) -> Option<String> {
    let inner = pod::template(lot, "alone", Kind::Bare);
    // One level further left than in a template.
    let inner: String = inner.split_inclusive('\n').map(|line| &line[4..]).collect();
    let inner =
        inner.replacen("metadata:\n", "metadata:\n  name: alone\n  namespace: default\n", 1);
    lot.chance(25).then(|| format!("apiVersion: v1\nkind: Pod\n{inner}"))
}

/// The DaemonSet that runs everywhere.
pub(super) fn agent(lot: &mut Lot) -> String {
    let cpu = lot.pick(&["50m", "180m"]);
    let critical = lot.maybe(40, |_| "      priorityClassName: system-node-critical\n".to_owned());
    daemon_set("agent", cpu, &format!("{critical}      tolerations: [{{operator: Exists}}]\n"), "")
}

/// A DaemonSet that runs on some nodes, for some.
pub(super) fn logger(lot: &mut Lot) -> Option<String> {
    let place = match lot.below(4) {
        0 => "      nodeSelector: {karpenter.sh/capacity-type: spot}\n",
        1 => "      nodeSelector: {kubernetes.io/arch: amd64}\n",
        2 => "      tolerations: [{key: team, operator: Exists}]\n",
        _ => "",
    };
    let cpu = lot.pick(&["20m", "400m"]);
    let port =
        lot.maybe(20, |_| "          ports: [{containerPort: 9, hostPort: 81}]\n".to_owned());
    lot.chance(40).then(|| daemon_set("logger", cpu, place, &port))
}

fn daemon_set(name: &str, cpu: &str, of_spec: &str, of_container: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: {name}, namespace: kube-system}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata:
      labels: {{app: {name}}}
    spec:
{of_spec}      containers:
        - name: {name}
          image: example.com/{name}:1
{of_container}          resources: {{requests: {{cpu: {cpu}, memory: 100Mi}}}}
"
    )
}

/// A PodDisruptionBudget of a Deployment, for some.
pub(super) fn budget(lot: &mut Lot, number: u64) -> Option<String> {
    let bound = lot.pick(&[
        "maxUnavailable: 0",
        "maxUnavailable: 1",
        "maxUnavailable: 50%",
        "minAvailable: 2",
        "minAvailable: 80%",
    ]);
    let policy = lot.maybe(25, |_| "  unhealthyPodEvictionPolicy: AlwaysAllow\n".to_owned());
    let selector = match lot.below(6) {
        0 => "group: two".to_owned(),
        _ => format!("app: app-{number}"),
    };
    lot.chance(35).then(|| {
        format!(
            "apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: app-{number}, namespace: default}}
spec:
  {bound}
{policy}  selector: {{matchLabels: {{{selector}}}}}
"
        )
    })
}

/// What changes by itself.
pub(super) fn sources(lot: &mut Lot, shape: &Shape) -> String {
    let mut sources = String::new();
    if lot.chance(40) {
        sources += &arrivals(lot);
    }
    if lot.chance(25) {
        let app = lot.below(shape.apps);
        let (mean, noise) = (lot.pick(&["3.0", "8.0"]), lot.pick(&["0.0", "0.3"]));
        sources += &format!(
            "Replicas(
        template: \"Deployment/default/app-{app}\",
        curve: Daily(mean: {mean}, noise: {noise}, peak_at: \"02:00\", every: \"3m\"),
    ), "
        );
    }
    match sources.is_empty() {
        true => sources,
        false => format!("    workloads: [{}],\n", sources.trim_end_matches(", ")),
    }
}

fn arrivals(lot: &mut Lot) -> String {
    let (rate, weight) = (2 + lot.below(30), 1 + lot.below(3));
    let (cpu, memory) = (lot.pick(&["100m", "500m", "1500m"]), lot.pick(&["128Mi", "2Gi"]));
    let (eviction, protected) = (lot.pick(&["StartOver", "GoOn", "Lose"]), lot.chance(20));
    let process = match lot.chance(30) {
        true => "Bursts(at: Poisson(per_hour: 3.0), pods: (2, 9), within: \"20s\")".to_owned(),
        false => format!("Poisson(per_hour: {rate}.0)"),
    };
    let priority = lot.pick(&[0, 0, 5, -5]);
    format!(
        "Arrivals(
        name: \"work\",
        process: {process},
        pods: [
            (weight: {weight}, cpu: \"{cpu}\", memory: \"{memory}\", do_not_disrupt: {protected}),
            (cpu: \"250m\", memory: \"256Mi\", priority: {priority}),
        ],
        lifetime: Uniform(\"2m\", \"40m\"),
        on_eviction: {eviction},
    ), "
    )
}
