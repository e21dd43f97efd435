//! The changes that a kustomization makes to all of its objects: namespace, names, labels, annotations, replicas,
//! images.
//!
//! Upstream: kustomize `api/internal/konfig/builtinpluginconsts`, for the fields that matter here.

use super::resource::Resource;
use crate::diagnostic::Span;
use crate::scenario::yaml::{Node, Value};

/// A text from the kustomization with its place there.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) text: String,
    pub(super) span: Span,
}

/// Sets the namespace of what lives in one, and the name of Namespaces themselves.
pub(super) fn set_namespace(resource: &mut Resource, namespace: &Placed) {
    let key = match resource.identity().kind.as_str() {
        "Namespace" => "name",
        _ if resource.is_namespaced() => "namespace",
        _ => return,
    };
    resource.remember();
    let value = Node::of_text(&namespace.text, namespace.span);
    if let Some(metadata) = resource.node.get_mut("metadata") {
        metadata.set(key, namespace.span, value);
    }
}

/// Puts a text before and after the name.
pub(super) fn rename(resource: &mut Resource, prefix: &str, suffix: &str) {
    let kind = resource.identity().kind;
    if ["CustomResourceDefinition", "APIService", "Namespace"].contains(&kind.as_str()) {
        return;
    }
    resource.remember();
    let name = resource.node.get_mut("metadata").and_then(|metadata| metadata.get_mut("name"));
    if let Some(name) = name
        && let Some(text) = name.text().map(|text| format!("{prefix}{text}{suffix}"))
    {
        *name = Node::of_text(&text, name.span);
    }
}

/// Where labels go besides the object's own metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Nowhere.
    Metadata,
    /// To the pod template.
    Templates,
    /// To the pod template and the selectors.
    Selectors,
}

/// Paths of pod templates' metadata by kind; all of them are created when they are missing.
fn templates(kind: &str) -> &'static [&'static [&'static str]] {
    match kind {
        "Deployment"
        | "DaemonSet"
        | "StatefulSet"
        | "ReplicaSet"
        | "ReplicationController"
        | "Job" => &[&["spec", "template", "metadata"]],
        "CronJob" => &[
            &["spec", "jobTemplate", "metadata"],
            &["spec", "jobTemplate", "spec", "template", "metadata"],
        ],
        _ => &[],
    }
}

/// Adds labels.
pub(super) fn add_labels(resource: &mut Resource, labels: &[(Placed, Placed)], reach: Reach) {
    let kind = resource.identity().kind;
    set_all(&mut resource.node, &["metadata", "labels"], labels, true);
    if reach == Reach::Metadata {
        return;
    }
    for template in templates(&kind) {
        set_all(&mut resource.node, &[template, &["labels"][..]].concat(), labels, true);
    }
    if reach == Reach::Templates {
        return;
    }
    let (selector, create): (&[&str], bool) = match kind.as_str() {
        "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet" => {
            (&["spec", "selector", "matchLabels"], true)
        }
        "ReplicationController" | "Service" => (&["spec", "selector"], true),
        "Job" | "PodDisruptionBudget" => (&["spec", "selector", "matchLabels"], false),
        _ => (&[], false),
    };
    if !selector.is_empty() {
        set_all(&mut resource.node, selector, labels, create);
    }
    if let Some(pods) = at(&mut resource.node, &["spec", "template", "spec"]) {
        label_pod_selectors(pods, labels);
    }
}

/// Selectors inside of a Deployment's and its like's pods: spread constraints and pod affinity.
fn label_pod_selectors(pods: &mut Node, labels: &[(Placed, Placed)]) {
    let each = |list: Option<&mut Node>, path: &[&str]| {
        if let Some(Value::Sequence(items)) = list.map(|list| &mut list.value) {
            items.iter_mut().for_each(|item| set_all(item, path, labels, false));
        }
    };
    each(pods.get_mut("topologySpreadConstraints"), &["labelSelector", "matchLabels"]);
    for affinity in ["podAffinity", "podAntiAffinity"] {
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
        each(at(pods, &["affinity", affinity, required]), &["labelSelector", "matchLabels"]);
        let path = ["podAffinityTerm", "labelSelector", "matchLabels"];
        each(at(pods, &["affinity", affinity, preferred]), &path);
    }
}

/// Adds annotations to the object and to its pod template.
pub(super) fn add_annotations(resource: &mut Resource, annotations: &[(Placed, Placed)]) {
    let kind = resource.identity().kind;
    set_all(&mut resource.node, &["metadata", "annotations"], annotations, true);
    for template in templates(&kind) {
        set_all(&mut resource.node, &[template, &["annotations"][..]].concat(), annotations, true);
    }
}

fn at<'n>(node: &'n mut Node, path: &[&str]) -> Option<&'n mut Node> {
    path.iter().try_fold(node, |node, key| node.get_mut(key))
}

/// Sets entries of the mapping at a path. Without `create` nothing happens when the mapping is not there.
fn set_all(node: &mut Node, path: &[&str], entries: &[(Placed, Placed)], create: bool) {
    let Some((_, place)) = entries.first() else {
        return;
    };
    let mut holder = node;
    for key in path {
        if !matches!(&holder.value, Value::Mapping(_)) {
            return;
        }
        if holder.get(key).is_none_or(Node::is_null) {
            if !create {
                return;
            }
            let empty = Node { value: Value::Mapping(Vec::new()), span: place.span };
            holder.set(key, place.span, empty);
        }
        holder = match holder.get_mut(key) {
            Some(next) => next,
            None => return,
        };
    }
    for (key, value) in entries {
        holder.set(&key.text, key.span, Node::of_text(&value.text, value.span));
    }
}

/// Sets the replicas of a workload of this name; `false` when it is another.
pub(super) fn set_replicas(resource: &mut Resource, name: &str, count: &Node, span: Span) -> bool {
    let identity = resource.identity();
    let scalable = ["Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"];
    let named =
        identity.name == name || resource.earlier.iter().any(|(_, earlier)| earlier == name);
    if !named || !scalable.contains(&identity.kind.as_str()) {
        return false;
    }
    if let Some(spec) = resource.node.get_mut("spec") {
        spec.set("replicas", span, count.clone());
    }
    true
}

/// A rule for images.
#[derive(Clone, Debug)]
pub(super) struct ImageRule {
    pub(super) name: String,
    pub(super) new_name: Option<String>,
    /// `:tag`, `@digest` or both.
    pub(super) new_end: Option<String>,
    pub(super) span: Span,
}

/// Changes images of all containers, wherever they stand.
pub(super) fn set_images(node: &mut Node, rule: &ImageRule) {
    match &mut node.value {
        Value::Mapping(entries) => {
            for entry in entries {
                let containers = ["containers", "initContainers"].contains(&entry.key.as_str());
                match &mut entry.value.value {
                    Value::Sequence(items) if containers => {
                        let images = items.iter_mut().filter_map(|item| item.get_mut("image"));
                        images.for_each(|image| set_image(image, rule));
                    }
                    _ => set_images(&mut entry.value, rule),
                }
            }
        }
        Value::Sequence(items) => items.iter_mut().for_each(|item| set_images(item, rule)),
        Value::Scalar { .. } => {}
    }
}

fn set_image(image: &mut Node, rule: &ImageRule) {
    let Some(text) = image.text() else {
        return;
    };
    // A colon before the last slash belongs to the registry's port.
    let path = text.rfind('/').map_or(0, |slash| slash + 1);
    let end = text[path..].find(['@', ':']).map_or(text.len(), |end| path + end);
    let (name, old_end) = text.split_at(end);
    if name == rule.name {
        let name = rule.new_name.as_deref().unwrap_or(name);
        let end = rule.new_end.as_deref().unwrap_or(old_end);
        *image = Node::of_text(&format!("{name}{end}"), rule.span);
    }
}
