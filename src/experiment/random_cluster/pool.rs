//! EC2NodeClasses and NodePools.

use super::{CAPACITY_KEY, FAMILIES, Lot, ZONE_KEY, ZONES, list};

const SIZES: [&str; 3] = ["large", "xlarge", "2xlarge"];

/// An EC2NodeClass.
pub(super) fn node_class(lot: &mut Lot, name: &str) -> String {
    let alias = match name {
        "default" => "al2023@latest",
        _ => lot.pick(&["bottlerocket@latest", "al2023@v20260101"]),
    };
    let kubelet = lot.maybe(25, |lot| {
        let pods = lot.pick(&[8, 20, 110]);
        format!("  kubelet: {{maxPods: {pods}, systemReserved: {{cpu: 100m, memory: 200Mi}}}}\n")
    });
    format!(
        "apiVersion: karpenter.k8s.aws/v1
kind: EC2NodeClass
metadata:
  name: {name}
spec:
{kubelet}  amiSelectorTerms:
    - alias: {alias}
  role: KarpenterNodeRole
  subnetSelectorTerms:
    - tags: {{karpenter.sh/discovery: fuzz}}
  securityGroupSelectorTerms:
    - tags: {{karpenter.sh/discovery: fuzz}}
"
    )
}

/// A NodePool that launches for pods.
pub(super) fn pool(lot: &mut Lot, number: u64) -> String {
    let weight = lot.maybe(50, |lot| format!("  weight: {}\n", 1 + lot.below(100)));
    let limits = lot.maybe(40, |lot| {
        let nodes = lot.maybe(25, |lot| format!(", nodes: {}", 1 + lot.below(6)));
        format!("  limits: {{cpu: \"{}\", memory: 256Gi{nodes}}}\n", lot.pick(&[4, 16, 64, 200]))
    });
    named(lot, &format!("pool-{number}"), &format!("{weight}{limits}"))
}

/// A NodePool of so many nodes.
pub(super) fn static_pool(lot: &mut Lot) -> String {
    let replicas = lot.below(4);
    let limits = lot.maybe(50, |lot| format!("  limits: {{nodes: {}}}\n", 1 + lot.below(5)));
    named(lot, "fixed", &format!("  replicas: {replicas}\n{limits}"))
}

fn named(lot: &mut Lot, name: &str, of_spec: &str) -> String {
    let requirements = requirements(lot);
    let expire = lot.pick(&["17m", "1h", "2h", "720h", "720h", "Never"]);
    let grace = lot.maybe(40, |lot| {
        format!("      terminationGracePeriod: {}\n", lot.pick(&["0s", "1m", "5m", "30m"]))
    });
    let taints = lot.maybe(30, |lot| {
        let effect = lot.pick(&["NoSchedule", "NoExecute", "PreferNoSchedule"]);
        format!("      taints: [{{key: team, value: a, effect: {effect}}}]\n")
    });
    let startup = lot.maybe(20, |lot| {
        let effect = lot.pick(&["NoSchedule", "NoExecute"]);
        format!("      startupTaints: [{{key: example.com/agent, effect: {effect}}}]\n")
    });
    let labels = lot.maybe(30, |lot| {
        format!("    metadata: {{labels: {{tier: {}}}}}\n", lot.pick(&["web", "batch"]))
    });
    let class = lot.pick(&["default", "default", "other"]);
    let policy = lot.pick(&["WhenEmpty", "WhenEmptyOrUnderutilized", "Balanced"]);
    let after = lot.pick(&["0s", "0s", "30s", "1m", "5m", "Never"]);
    let budgets = disruption_budgets(lot);
    format!(
        "apiVersion: karpenter.sh/v1
kind: NodePool
metadata:
  name: {name}
spec:
{of_spec}  template:
{labels}    spec:
{requirements}{taints}{startup}      nodeClassRef: {{group: karpenter.k8s.aws, kind: EC2NodeClass, name: {class}}}
      expireAfter: {expire}
{grace}  disruption:
    consolidationPolicy: {policy}
    consolidateAfter: {after}
{budgets}"
    )
}

fn requirements(lot: &mut Lot) -> String {
    let families = lot.some(&FAMILIES, 20);
    let least = match lot.chance(20) {
        true => format!(", minValues: {}", families.len().min(2)),
        false => String::new(),
    };
    let (families, sizes) = (list(&families), list(&lot.some(&SIZES, 50)));
    let capacity = list(&lot.some(&["spot", "on-demand"], 50));
    let mut text = format!(
        "      requirements:
        - {{key: {CAPACITY_KEY}, operator: In, values: {capacity}}}
        - {{key: karpenter.k8s.aws/instance-family, operator: In, values: {families}{least}}}
        - {{key: karpenter.k8s.aws/instance-size, operator: In, values: {sizes}}}
"
    );
    text += &lot.maybe(12, |lot| {
        let zones = list(&lot.some(&ZONES, 50));
        let operator = lot.pick(&["In", "NotIn"]);
        format!("        - {{key: {ZONE_KEY}, operator: {operator}, values: {zones}}}\n")
    });
    text += &lot.maybe(12, |lot| {
        let (operator, cores) = (lot.pick(&["Gt", "Lt"]), lot.pick(&[1, 3, 5]));
        let key = "karpenter.k8s.aws/instance-cpu";
        format!("        - {{key: {key}, operator: {operator}, values: [\"{cores}\"]}}\n")
    });
    text += &lot.maybe(15, |lot| {
        let values = list(&lot.some(&["blue", "green"], 60));
        let operator = lot.pick(&["In", "In", "NotIn", "Exists"]);
        let values =
            if operator == "Exists" { String::new() } else { format!(", values: {values}") };
        format!("        - {{key: example.com/side, operator: {operator}{values}}}\n")
    });
    text
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
