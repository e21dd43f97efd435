//! Pod templates.

use super::gated::DEVICE;
use super::{CAPACITY_KEY, HOST_KEY, Lot, ZONE_KEY, ZONES, list, storage};

/// Whose pods they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A Deployment's, of which there may be many.
    Service,
    /// A Job's, with the time that they run.
    Batch(&'static str),
    /// A CapacityBuffer's, which never run.
    Virtual,
    /// No one's.
    Bare,
}

/// A pod template below `template:`, ending inside of its spec.
pub(super) fn template(lot: &mut Lot, app: &str, kind: Kind) -> String {
    let metadata = metadata(lot, app, kind);
    let spec = spec(lot, app, kind);
    format!("    metadata:\n{metadata}    spec:\n{spec}")
}

/// What stands in the metadata of a pod, from the seventh column on.
pub(super) fn metadata(lot: &mut Lot, app: &str, kind: Kind) -> String {
    let mut annotations = Vec::new();
    if let Kind::Batch(duration) = kind {
        annotations.push(format!("karpsim/duration: {duration}"));
    }
    if lot.chance(12) {
        let value = lot.pick(&["true", "true", "9m", "false"]);
        annotations.push(format!("karpenter.sh/do-not-disrupt: \"{value}\""));
    }
    if lot.chance(10) {
        let cost = lot.pick(&["-50", "7", "2000000000"]);
        annotations.push(format!("controller.kubernetes.io/pod-deletion-cost: \"{cost}\""));
    }
    let group = lot.pick(&["one", "two"]);
    let annotations = annotations.join(", ");
    format!(
        "      labels: {{app: {app}, group: {group}}}
      annotations: {{{annotations}}}
"
    )
}

/// What stands in the spec of a pod, from the seventh column on.
pub(super) fn spec(lot: &mut Lot, app: &str, kind: Kind) -> String {
    let grace = lot.pick(&[0, 5, 30, 120]);
    let priority = lot.maybe(25, |lot| {
        let class = lot.pick(&["high", "low", "system-cluster-critical"]);
        format!("      priorityClassName: {class}\n")
    });
    let tolerations = lot.maybe(60, tolerations);
    let selector = lot.maybe(15, |lot| {
        let label = lot.pick(&[
            "karpenter.sh/capacity-type: on-demand",
            "karpenter.sh/capacity-type: spot",
            "kubernetes.io/arch: amd64",
            "topology.kubernetes.io/zone: us-east-1a",
            "example.com/side: blue",
            "tier: web",
        ]);
        format!("      nodeSelector: {{{label}}}\n")
    });
    let spread = lot.maybe(40, |lot| spread(lot, app));
    let affinity = affinity(lot, app);
    let affinity = match affinity.is_empty() {
        true => affinity,
        false => format!("      affinity:\n{affinity}"),
    };
    let volumes = match kind {
        Kind::Virtual => String::new(),
        _ => lot.maybe(15, storage::volumes),
    };
    let containers = containers(lot, app);
    format!(
        "      terminationGracePeriodSeconds: {grace}
{priority}{tolerations}{selector}{spread}{affinity}{volumes}{containers}"
    )
}

fn tolerations(lot: &mut Lot) -> String {
    let what = lot.pick(&[
        "key: team, operator: Equal, value: a",
        "key: team, operator: Exists",
        "key: team, operator: Exists, effect: NoSchedule",
        "operator: Exists",
        "key: karpenter.sh/disrupted, operator: Exists",
    ]);
    format!("      tolerations: [{{{what}}}]\n")
}

fn containers(lot: &mut Lot, app: &str) -> String {
    let cpu = lot.pick(&["0", "100m", "250m", "900m", "1", "1800m", "3"]);
    let memory = lot.pick(&["64Mi", "512Mi", "2Gi", "6Gi"]);
    let further = match lot.below(16) {
        0 => format!(", {DEVICE}: 1"),
        1 => ", ephemeral-storage: 6Gi".to_owned(),
        _ => String::new(),
    };
    let port = lot.maybe(10, |lot| {
        let address = lot.maybe(30, |_| "hostIP: 10.1.2.3, ".to_owned());
        format!(
            "          ports: [{{{address}containerPort: 80, hostPort: {}}}]\n",
            lot.pick(&[80, 81])
        )
    });
    let probe = lot.maybe(12, |lot| {
        format!("          readinessProbe: {{initialDelaySeconds: {}}}\n", lot.pick(&[3, 90]))
    });
    let first = lot.maybe(10, |lot| {
        let restart = lot.maybe(50, |_| ", restartPolicy: Always".to_owned());
        let requests = "resources: {requests: {cpu: 1200m, memory: 100Mi}}";
        format!("      initContainers: [{{name: first{restart}, {requests}}}]\n")
    });
    format!(
        "{first}      containers:
        - name: main
          image: example.com/{app}:1
{port}{probe}          resources: {{requests: {{cpu: {cpu}, memory: {memory}{further}}}}}
"
    )
}

/// One or two topology spread constraints.
fn spread(lot: &mut Lot, app: &str) -> String {
    let mut text = "      topologySpreadConstraints:\n".to_owned();
    let first = lot.below(3);
    for nth in 0..1 + u64::from(lot.chance(25)) {
        let keys = [ZONE_KEY, HOST_KEY, CAPACITY_KEY];
        let key = keys[((first + nth) % 3) as usize];
        let (skew, otherwise) = (1 + lot.below(2), lot.pick(&["DoNotSchedule", "ScheduleAnyway"]));
        let least = lot.maybe(if otherwise == "DoNotSchedule" { 20 } else { 0 }, |lot| {
            format!("          minDomains: {}\n", 1 + lot.below(4))
        });
        let taints = lot.maybe(15, |_| "          nodeTaintsPolicy: Honor\n".to_owned());
        let affinity = lot.maybe(10, |_| "          nodeAffinityPolicy: Ignore\n".to_owned());
        let selector = selector(lot, app);
        text += &format!(
            "        - maxSkew: {skew}
          topologyKey: {key}
          whenUnsatisfiable: {otherwise}
          labelSelector: {selector}
{least}{taints}{affinity}"
        );
    }
    text
}

/// The pods' own app, or a group of pods of several workloads.
fn selector(lot: &mut Lot, app: &str) -> String {
    match lot.below(8) {
        0 => "{matchLabels: {group: one}}".to_owned(),
        1 => "{matchExpressions: [{key: app, operator: In, values: [app-0, app-1]}]}".to_owned(),
        _ => format!("{{matchLabels: {{app: {app}}}}}"),
    }
}

/// All kinds of affinity, below `affinity:`.
fn affinity(lot: &mut Lot, app: &str) -> String {
    let node = node_affinity(lot);
    let mut text = match node.is_empty() {
        true => node,
        false => format!("        nodeAffinity:\n{node}"),
    };
    for (percent, kind) in [(12, "podAffinity"), (25, "podAntiAffinity")] {
        text += &lot.maybe(percent, |lot| {
            let key = lot.pick(&[HOST_KEY, ZONE_KEY]);
            let selector = selector(lot, app);
            let term = format!("{{topologyKey: {key}, labelSelector: {selector}}}");
            let rule = match lot.chance(60) {
                true => format!("requiredDuringSchedulingIgnoredDuringExecution: [{term}]"),
                false => format!(
                    "preferredDuringSchedulingIgnoredDuringExecution: \
                     [{{weight: 10, podAffinityTerm: {term}}}]"
                ),
            };
            format!("        {kind}:\n          {rule}\n")
        });
    }
    text
}

fn node_affinity(lot: &mut Lot) -> String {
    let required = lot.maybe(10, |lot| {
        let terms: Vec<String> = (0..1 + lot.below(2)).map(|_| node_term(lot)).collect();
        let terms = terms.join(", ");
        format!(
            "          requiredDuringSchedulingIgnoredDuringExecution: \
             {{nodeSelectorTerms: [{terms}]}}\n"
        )
    });
    let preferred = lot.maybe(15, |lot| {
        let term = |lot: &mut Lot| {
            format!("{{weight: {}, preference: {}}}", 1 + lot.below(100), node_term(lot))
        };
        let terms: Vec<String> = (0..1 + lot.below(2)).map(|_| term(lot)).collect();
        let terms = terms.join(", ");
        format!("          preferredDuringSchedulingIgnoredDuringExecution: [{terms}]\n")
    });
    required + &preferred
}

fn node_term(lot: &mut Lot) -> String {
    let expression = match lot.below(5) {
        0 => format!("key: {ZONE_KEY}, operator: In, values: {}", list(&lot.some(&ZONES, 40))),
        1 => format!("key: {CAPACITY_KEY}, operator: NotIn, values: [spot]"),
        2 => "key: karpenter.k8s.aws/instance-cpu, operator: Gt, values: [\"2\"]".to_owned(),
        3 => "key: example.com/side, operator: DoesNotExist".to_owned(),
        _ => "key: kubernetes.io/arch, operator: In, values: [arm64, amd64]".to_owned(),
    };
    format!("{{matchExpressions: [{{{expression}}}]}}")
}
