//! Objects of Karpenter's feature gates: NodeOverlays and CapacityBuffers.

use super::pod::{self, Kind};
use super::{CAPACITY_KEY, FAMILIES, Lot, list};

/// A resource that only NodeOverlays give to nodes.
pub(super) const DEVICE: &str = "example.com/device";

/// A NodeOverlay.
pub(super) fn overlay(lot: &mut Lot, number: u64) -> String {
    let requirement = match lot.below(4) {
        0 => format!("{{key: {CAPACITY_KEY}, operator: In, values: [spot]}}"),
        1 => "{key: karpenter.sh/nodepool, operator: In, values: [pool-0]}".to_owned(),
        2 => "{key: karpenter.k8s.aws/instance-cpu, operator: Gt, values: [\"2\"]}".to_owned(),
        _ => {
            let families = list(&lot.some(&FAMILIES, 40));
            format!("{{key: karpenter.k8s.aws/instance-family, operator: In, values: {families}}}")
        }
    };
    let weight = lot.maybe(50, |lot| format!("  weight: {}\n", 1 + lot.below(100)));
    let price = match lot.below(4) {
        0 => "  price: \"0.11\"\n".to_owned(),
        1 => format!("  priceAdjustment: \"{}\"\n", lot.pick(&["-40%", "+75%", "-100%"])),
        2 => format!("  priceAdjustment: \"{}\"\n", lot.pick(&["+0.05", "-0.02"])),
        _ => String::new(),
    };
    let capacity = lot.maybe(if price.is_empty() { 100 } else { 30 }, |lot| {
        format!("  capacity: {{{DEVICE}: {}}}\n", 1 + lot.below(4))
    });
    format!(
        "apiVersion: karpenter.sh/v1alpha1
kind: NodeOverlay
metadata: {{name: overlay-{number}}}
spec:
  requirements: [{requirement}]
{weight}{price}{capacity}"
    )
}

/// A CapacityBuffer, with its PodTemplate if it has one.
pub(super) fn buffer(lot: &mut Lot, number: u64) -> String {
    let limits = lot.maybe(40, |lot| format!("  limits: {{cpu: {}}}\n", lot.pick(&[1, 3, 8])));
    let replicas = format!("  replicas: {}\n", lot.below(6));
    let by_template = lot.chance(50);
    let shape = match by_template {
        true => format!("  podTemplateRef: {{name: spare-{number}}}\n{replicas}"),
        false => {
            let percentage = format!("  percentage: {}\n", lot.pick(&[10, 50, 120]));
            let count = lot.pick(&[&replicas, &percentage]);
            format!("  scalableRef: {{apiGroup: apps, kind: Deployment, name: app-0}}\n{count}")
        }
    };
    let template = match by_template {
        true => {
            let pod = pod::template(lot, "spare", Kind::Virtual);
            format!(
                "---
apiVersion: v1
kind: PodTemplate
metadata: {{name: spare-{number}, namespace: default}}
template:
{pod}"
            )
        }
        false => String::new(),
    };
    format!(
        "apiVersion: autoscaling.x-k8s.io/v1beta1
kind: CapacityBuffer
metadata: {{name: buffer-{number}, namespace: default}}
spec:
{shape}{limits}{template}"
    )
}
