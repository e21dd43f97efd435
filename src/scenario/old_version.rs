//! Objects of API versions that Karpenter v1 does not read: what became of each field that they use.
//!
//! Upstream: karpenter v1.0 and v0.32 migration guides, and the conversions of `pkg/apis/v1/*_conversion.go` in v1.0.

use super::yaml::{Node, Value};
use crate::diagnostic::{self, Diagnostic};

/// Where a field went: its path, and the remark.
type Change = (&'static [&'static str], &'static str);

const NODE_POOL_V1BETA1: &[Change] = &[
    (
        &["spec", "template", "spec", "nodeClassRef", "apiVersion"],
        "becomes `group: karpenter.k8s.aws`; `kind` and `name` stay",
    ),
    (&["spec", "template", "spec", "kubelet"], "moves to the EC2NodeClass, as spec.kubelet"),
    (&["spec", "disruption", "expireAfter"], "moves to spec.template.spec.expireAfter"),
];

const NODE_CLASS_V1BETA1: &[Change] = &[(
    &["spec", "amiFamily"],
    "spec.amiSelectorTerms becomes required and names the family: `- alias: al2023@latest`",
)];

const PROVISIONER: &[Change] = &[
    (&["spec", "annotations"], "moves to spec.template.metadata.annotations"),
    (
        &["spec", "consolidation", "enabled"],
        "becomes spec.disruption: `consolidationPolicy: WhenEmptyOrUnderutilized`, `consolidateAfter: 0s`",
    ),
    (&["spec", "kubeletConfiguration"], "moves to the EC2NodeClass, as spec.kubelet"),
    (&["spec", "labels"], "moves to spec.template.metadata.labels"),
    (&["spec", "limits", "resources"], "moves to spec.limits"),
    (&["spec", "provider"], "becomes an EC2NodeClass, named by spec.template.spec.nodeClassRef"),
    (
        &["spec", "providerRef"],
        "becomes spec.template.spec.nodeClassRef: `{group: karpenter.k8s.aws, kind: EC2NodeClass, name: ...}`",
    ),
    (&["spec", "requirements"], "moves to spec.template.spec.requirements"),
    (&["spec", "startupTaints"], "moves to spec.template.spec.startupTaints"),
    (&["spec", "taints"], "moves to spec.template.spec.taints"),
    (
        &["spec", "ttlSecondsAfterEmpty"],
        "becomes spec.disruption: `consolidationPolicy: WhenEmpty`, `consolidateAfter: ...s`",
    ),
    (&["spec", "ttlSecondsUntilExpired"], "becomes spec.template.spec.expireAfter: ...s"),
];

const NODE_TEMPLATE: &[Change] = &[
    (&["spec", "amiFamily"], "becomes spec.amiSelectorTerms: `- alias: al2023@latest`"),
    (&["spec", "amiSelector"], "becomes spec.amiSelectorTerms: `- tags: {...}` or `- id: ...`"),
    (&["spec", "instanceProfile"], "stays; spec.role is the alternative"),
    (&["spec", "launchTemplate"], "is gone: write its settings into the EC2NodeClass"),
    (
        &["spec", "securityGroupSelector"],
        "becomes spec.securityGroupSelectorTerms: `- tags: {...}`",
    ),
    (&["spec", "subnetSelector"], "becomes spec.subnetSelectorTerms: `- tags: {...}`"),
];

/// The problem of an object of an old version, with a remark at every field that changed; `None` when it is none.
pub fn problem(document: &Node, group: &str, version: &str, kind: &str) -> Option<Diagnostic> {
    let (changes, help): (&[Change], &str) = match (group, kind) {
        ("karpenter.sh", "Provisioner") => (PROVISIONER, "write a NodePool of karpenter.sh/v1"),
        ("karpenter.k8s.aws", "AWSNodeTemplate") => {
            (NODE_TEMPLATE, "write an EC2NodeClass of karpenter.k8s.aws/v1")
        }
        ("karpenter.sh", "NodePool") if version == "v1beta1" => {
            (NODE_POOL_V1BETA1, "write apiVersion: karpenter.sh/v1 with the changes above")
        }
        ("karpenter.k8s.aws", "EC2NodeClass") if version == "v1beta1" => (
            NODE_CLASS_V1BETA1,
            "write apiVersion: karpenter.k8s.aws/v1 with spec.amiSelectorTerms, for example `- alias: al2023@latest`",
        ),
        ("extensions" | "apps", "Deployment" | "DaemonSet") => (&[], "write apiVersion: apps/v1"),
        _ => return None,
    };
    let place = document.get("apiVersion").map_or(document.span, |node| node.span);
    let full = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let mut problem = diagnostic::old_api_version(place, &full, kind).help(help);
    for (path, remark) in changes {
        if let Some(span) = key_span(document, path) {
            problem = problem.also(span, *remark);
        }
    }
    if (kind, version) == ("NodePool", "v1beta1") {
        problem = policy(document, problem);
    }
    Some(problem)
}

/// v1beta1 knew `WhenUnderutilized`, without `consolidateAfter`.
fn policy(document: &Node, problem: Diagnostic) -> Diagnostic {
    let disruption = document.get("spec").and_then(|spec| spec.get("disruption"));
    let policy = disruption.and_then(|disruption| disruption.get("consolidationPolicy"));
    match policy.filter(|policy| policy.text() == Some("WhenUnderutilized")) {
        Some(policy) => problem.also(
            policy.span,
            "becomes WhenEmptyOrUnderutilized, with `consolidateAfter: 0s` beside it",
        ),
        None => problem,
    }
}

/// The place of the last key of a path.
fn key_span(document: &Node, path: &[&str]) -> Option<crate::diagnostic::Span> {
    let (last, above) = path.split_last()?;
    let holder = above.iter().try_fold(document, |node, key| node.get(key))?;
    match &holder.value {
        Value::Mapping(entries) => {
            entries.iter().find(|entry| entry.key == *last).map(|entry| entry.key_span)
        }
        _ => None,
    }
}
