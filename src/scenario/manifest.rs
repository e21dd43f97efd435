//! Kubernetes objects to the simulation's data: which kinds are read, which have no effect, which
//! are refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::patch;
use super::pod::{self, METADATA_WITHOUT_EFFECT, PodOwner, PriorityClasses};
use super::reader::{Field, Object, Reader, Unknown, is_dns_subdomain};
use super::yaml::{Node, Value};
use super::{
    capacity_buffer, disruption_budget, job, node_class, node_overlay, node_pool, old_version,
    requirement, volume,
};
use crate::diagnostic::{self, Span};
use crate::ec2::node_class::NodeClass;
use crate::kube::capacity_buffer::{CapacityBuffer, PodTemplate};
use crate::kube::disruption_budget::DisruptionBudget;
use crate::kube::volume::Storage;
use crate::kube::workload::{BarePod, DaemonSet, Deployment, Job};
use crate::kube::{Labels, NodeOverlay, NodePool};

/// The objects of some manifests, each list in the order of the text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    /// NodePools.
    pub node_pools: Vec<NodePool>,
    /// EC2NodeClasses.
    pub node_classes: Vec<NodeClass>,
    /// Deployments.
    pub deployments: Vec<Deployment>,
    /// DaemonSets.
    pub daemon_sets: Vec<DaemonSet>,
    /// Jobs.
    pub jobs: Vec<Job>,
    /// NodeOverlays.
    pub node_overlays: Vec<NodeOverlay>,
    /// CapacityBuffers.
    pub capacity_buffers: Vec<CapacityBuffer>,
    /// PodTemplates.
    pub pod_templates: Vec<PodTemplate>,
    /// PodDisruptionBudgets.
    pub disruption_budgets: Vec<DisruptionBudget>,
    /// Pods without an owner.
    pub pods: Vec<BarePod>,
    /// StorageClasses, PersistentVolumeClaims, PersistentVolumes, CSINodes.
    pub storage: Storage,
    /// Namespaces with their labels.
    pub namespaces: BTreeMap<Arc<str>, Labels>,
}

/// What one load knows across its files.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// PriorityClasses.
    pub priorities: PriorityClasses,
    /// Where each object is defined, by `Kind/namespace/name` or `Kind/name`.
    pub places: BTreeMap<String, Span>,
    /// Something could not be read, so that a name that is not defined may be defined there.
    pub incomplete: bool,
}

/// How much of an EC2NodeClass must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// All that the API server asks for.
    Full,
    /// Recorded cases name their EC2NodeClasses and leave the rest out.
    Recorded,
}

/// Kinds that cannot change what nodes are needed.
const WITHOUT_EFFECT: [&str; 27] = [
    "APIService",
    "ClusterRole",
    "ClusterRoleBinding",
    "ConfigMap",
    "ControllerRevision",
    "CustomResourceDefinition",
    "EndpointSlice",
    "Endpoints",
    "Event",
    "Gateway",
    "HTTPRoute",
    "Ingress",
    "IngressClass",
    "Lease",
    "MutatingWebhookConfiguration",
    "NetworkPolicy",
    "PodMonitor",
    "PrometheusRule",
    "Role",
    "RoleBinding",
    "Secret",
    "Service",
    "ServiceAccount",
    "ServiceMonitor",
    "TargetGroupBinding",
    "ValidatingWebhookConfiguration",
    "VolumeSnapshotClass",
];

/// Kinds that change results but are not modelled, and what they change.
pub const REFUSED: [(&str, &str); 14] = [
    ("CSIDriver", "it decides where pods with volumes may run"),
    ("CronJob", "it makes pods"),
    ("DeviceClass", "it describes devices that pods need"),
    ("HorizontalPodAutoscaler", "it changes replicas"),
    ("LimitRange", "it changes what pods request"),
    ("Node", "nodes come from Karpenter alone"),
    ("NodeClaim", "nodes come from NodePools alone"),
    ("ReplicaSet", "it makes pods"),
    ("ReplicationController", "it makes pods"),
    ("ResourceQuota", "it limits what pods may request"),
    ("RuntimeClass", "it adds overhead to pods"),
    ("ScaledObject", "it changes replicas"),
    ("StatefulSet", "it makes pods"),
    ("VerticalPodAutoscaler", "it changes what pods request"),
];

/// An object whose kind is read.
struct Known<'n> {
    object: Object<'n>,
    kind: &'static str,
    name: String,
    namespace: String,
    /// `Kind/namespace/name`.
    id: String,
}

/// Reads all objects of some documents.
pub fn read(
    reader: &mut Reader<'_>,
    documents: &[Node],
    cluster: &mut Cluster,
    admission: Admission,
) -> Objects {
    let mut objects = Objects::default();
    let mut known = Vec::new();
    let mut ignored: BTreeMap<String, (Span, usize)> = BTreeMap::new();
    let errors_before = reader.diagnostics.error_count();
    for document in documents {
        collect(reader, document, &mut known, &mut ignored, 0);
    }
    cluster.incomplete |= reader.diagnostics.error_count() > errors_before;
    note_ignored(reader, &ignored);
    known.retain(|object| is_first(reader, object, cluster));
    // PriorityClasses first: pods name them, in whatever order the files are.
    let (classes, others): (Vec<Known<'_>>, Vec<Known<'_>>) =
        known.into_iter().partition(|object| object.kind == "PriorityClass");
    for mut class in classes {
        cluster.priorities.read(reader, &mut class.object, &class.name);
        reader.finish(class.object, Unknown::Note);
    }
    let mut class_refs = Vec::new();
    for object in others {
        read_one(reader, object, cluster, admission, &mut objects, &mut class_refs);
    }
    for (pool, class, span) in class_refs {
        let defined = cluster.places.contains_key(&format!("EC2NodeClass/{class}"));
        if !defined && !cluster.incomplete {
            let names = cluster.places.keys().filter_map(|id| id.strip_prefix("EC2NodeClass/"));
            let problem =
                diagnostic::missing_node_class(span, &pool, &class).suggest(&class, names);
            reader.push(problem);
        }
    }
    objects
}

/// Sorts a document, or the items of a list, by kind.
fn collect<'n>(
    reader: &mut Reader<'_>,
    document: &'n Node,
    known: &mut Vec<Known<'n>>,
    ignored: &mut BTreeMap<String, (Span, usize)>,
    level: usize,
) {
    if document.is_null() {
        return;
    }
    let Some(kind_node) = kind_of(reader, document) else {
        return;
    };
    let (version, kind) = kind_node;
    let (group, version_name) = version.rsplit_once('/').unwrap_or(("", &version));
    if let Some(items) = document.get("items").filter(|_| kind.ends_with("List")) {
        match &items.value {
            Value::Sequence(items) if level < 4 => {
                items.iter().for_each(|item| collect(reader, item, known, ignored, level + 1));
            }
            _ => {
                reader.push(diagnostic::no_object(items.span, "`items` must be a list of objects"))
            }
        }
        return;
    }
    let span = document.get("kind").map_or(document.span, |node| node.span);
    if let Some(read) = readable(group, version_name, &kind) {
        known.extend(open(reader, document, read));
    } else if let Some(problem) = old_version::problem(document, group, version_name, &kind) {
        reader.push(problem);
    } else if let Some((_, effect)) = REFUSED.iter().find(|(name, _)| *name == kind) {
        reader.push(diagnostic::kind_not_modelled(span, &kind, effect));
    } else if WITHOUT_EFFECT.contains(&kind.as_str()) {
        ignored.entry(kind).or_insert((span, 0)).1 += 1;
    } else {
        let names = READ.iter().map(|(_, _, kind)| *kind);
        reader.push(diagnostic::unknown_kind(span, &version, &kind).suggest(&kind, names));
    }
}

/// `apiVersion` and `kind`.
fn kind_of(reader: &mut Reader<'_>, document: &Node) -> Option<(String, String)> {
    if !matches!(document.value, Value::Mapping(_)) {
        let reason = format!("it is {}", document.describe());
        reader.push(diagnostic::no_object(document.span, &reason));
        return None;
    }
    let text = |key| document.get(key).and_then(Node::text).filter(|text| !text.is_empty());
    match (text("apiVersion"), text("kind")) {
        (Some(version), Some(kind)) => Some((version.to_owned(), kind.to_owned())),
        (None, _) => {
            reader.push(diagnostic::no_object(document.span, "it has no `apiVersion`"));
            None
        }
        (_, None) => {
            reader.push(diagnostic::no_object(document.span, "it has no `kind`"));
            None
        }
    }
}

/// Group, version and kind of everything that is read.
const READ: [(&str, &str, &str); 16] = [
    ("autoscaling.x-k8s.io", "v1beta1", "CapacityBuffer"),
    ("", "v1", "PodTemplate"),
    ("karpenter.sh", "v1", "NodePool"),
    ("karpenter.sh", "v1alpha1", "NodeOverlay"),
    ("karpenter.k8s.aws", "v1", "EC2NodeClass"),
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "DaemonSet"),
    ("batch", "v1", "Job"),
    ("policy", "v1", "PodDisruptionBudget"),
    ("", "v1", "Pod"),
    ("", "v1", "Namespace"),
    ("", "v1", "PersistentVolume"),
    ("", "v1", "PersistentVolumeClaim"),
    ("scheduling.k8s.io", "v1", "PriorityClass"),
    ("storage.k8s.io", "v1", "CSINode"),
    ("storage.k8s.io", "v1", "StorageClass"),
];

fn readable(group: &str, version: &str, kind: &str) -> Option<&'static str> {
    READ.iter().find(|read| **read == (group, version, kind)).map(|(_, _, kind)| *kind)
}

/// Opens an object and reads its metadata.
fn open<'n>(reader: &mut Reader<'_>, document: &'n Node, kind: &'static str) -> Option<Known<'n>> {
    let field = Field { node: document, path: String::new(), kind };
    let mut object = reader.object(&field)?;
    object.get("apiVersion");
    object.get("kind");
    object.get("status");
    let metadata = object.required("metadata", reader)?;
    let mut metadata = reader.object(&metadata)?;
    let name_field = metadata.required("name", reader);
    let namespace = metadata.get("namespace").and_then(|field| reader.text(&field));
    if matches!(kind, "Namespace" | "PersistentVolumeClaim" | "Pod" | "StorageClass") {
        // Read again with the object itself.
        metadata.get("labels");
        metadata.get("annotations");
    } else {
        metadata.without_effect(&["labels", "annotations"], reader);
    }
    metadata.without_effect(&METADATA_WITHOUT_EFFECT, reader);
    reader.finish(metadata, Unknown::Note);
    let name_field = name_field?;
    let name = reader.text(&name_field)?;
    if !is_dns_subdomain(&name) {
        reader.broken(&name_field, "must be lower-case letters, digits, '-' and '.'");
        return None;
    }
    let namespace = namespace.unwrap_or_else(|| patch::DEFAULT_NAMESPACE.to_owned());
    let id = patch::id(kind, &namespace, &name);
    Some(Known { object, kind, name, namespace, id })
}

/// Remembers where an object is defined; `false`, with a report, when it was defined before.
fn is_first(reader: &mut Reader<'_>, known: &Known<'_>, cluster: &mut Cluster) -> bool {
    let name = known.object.field.node.get("metadata").and_then(|metadata| metadata.get("name"));
    let span = name.map_or(known.object.field.span(), |name| name.span);
    if let Some(first) = cluster.places.get(&known.id) {
        let problem = diagnostic::duplicate_object(span, &known.id)
            .also(*first, "first defined here")
            .help("rename or remove one of the two");
        reader.push(problem);
        return false;
    }
    cluster.places.insert(known.id.clone(), span);
    true
}

fn note_ignored(reader: &mut Reader<'_>, ignored: &BTreeMap<String, (Span, usize)>) {
    let Some(first) = ignored.values().map(|(span, _)| *span).min() else {
        return;
    };
    let names = ignored.iter().map(|(kind, (_, count))| match count {
        1 => kind.clone(),
        count => format!("{kind} ({count} times)"),
    });
    let names = names.collect::<Vec<_>>().join(", ");
    reader.push(diagnostic::kinds_without_effect(first, &names));
}

fn read_one(
    reader: &mut Reader<'_>,
    known: Known<'_>,
    cluster: &Cluster,
    admission: Admission,
    objects: &mut Objects,
    class_refs: &mut Vec<(String, String, Span)>,
) {
    let Known { mut object, kind, name, namespace, id } = known;
    let document = object.field.node;
    let defaulted = admission == Admission::Full;
    let unknown = match kind {
        "NodePool" => {
            if let Some(pool) = node_pool::read(reader, &mut object, &name) {
                let class = reader.symbols.text(pool.template.node_class.symbol).to_owned();
                class_refs.push((name, class, class_ref_span(document)));
                objects.node_pools.push(pool);
            }
            Unknown::Error
        }
        "EC2NodeClass" => {
            objects.node_classes.extend(node_class::read(reader, &mut object, &name, admission));
            Unknown::Error
        }
        "Pod" => {
            let names = (namespace.as_str(), name.as_str(), id.as_str());
            objects.pods.extend(read_pod(reader, &mut object, names, (cluster, defaulted)));
            Unknown::Note
        }
        "Job" => {
            let place = (namespace.as_str(), name.as_str(), id.as_str());
            let priorities = &cluster.priorities;
            objects.jobs.extend(job::read(reader, &mut object, place, priorities, defaulted));
            Unknown::Note
        }
        "CapacityBuffer" | "NodeOverlay" | "PodTemplate" => {
            let names = (namespace.as_str(), name.as_str(), id.as_str());
            read_gated(reader, &mut object, kind, names, (cluster, defaulted), objects)
        }
        "PodDisruptionBudget" => {
            let budget = disruption_budget::read(reader, &mut object, &namespace, &name);
            objects.disruption_budgets.extend(budget);
            Unknown::Note
        }
        "CSINode" | "PersistentVolume" | "PersistentVolumeClaim" | "StorageClass" => {
            let place = (namespace.as_str(), name.as_str());
            volume::read(reader, &mut object, kind, place, &mut objects.storage);
            Unknown::Note
        }
        "Namespace" => {
            object.get("spec");
            let metadata = object.get("metadata").and_then(|field| reader.object(&field));
            let labels = metadata.and_then(|mut metadata| metadata.get("labels"));
            let mut labels =
                labels.map_or_else(Labels::default, |f| requirement::labels(reader, &f));
            let key = reader.symbols.intern("kubernetes.io/metadata.name");
            labels.set(key, reader.symbols.intern_value(&name));
            objects.namespaces.insert(name.as_str().into(), labels);
            Unknown::Note
        }
        _ => {
            let names = (namespace.as_str(), name.as_str(), id.as_str());
            read_workload(reader, &mut object, kind, names, (cluster, defaulted), objects);
            Unknown::Note
        }
    };
    reader.finish(object, unknown);
}

/// An object of Karpenter's feature gates.
fn read_gated(
    reader: &mut Reader<'_>,
    object: &mut Object<'_>,
    kind: &'static str,
    (namespace, name, id): (&str, &str, &str),
    (cluster, defaulted): (&Cluster, bool),
    objects: &mut Objects,
) -> Unknown {
    match kind {
        "NodeOverlay" => objects.node_overlays.extend(node_overlay::read(reader, object, name)),
        "CapacityBuffer" => {
            let buffer = capacity_buffer::read(reader, object, (namespace, name));
            objects.capacity_buffers.extend(buffer);
        }
        _ => {
            let (names, known) = ((namespace, name, id), (&cluster.priorities, defaulted));
            let template = capacity_buffer::pod_template(reader, object, names, known);
            objects.pod_templates.extend(template);
            return Unknown::Note;
        }
    }
    Unknown::Error
}

/// A pod without an owner.
fn read_pod(
    reader: &mut Reader<'_>,
    object: &mut Object<'_>,
    (namespace, name, id): (&str, &str, &str),
    (cluster, defaulted): (&Cluster, bool),
) -> Option<BarePod> {
    let owner = PodOwner { namespace, workload: id, daemon: false, defaulted };
    let metadata = object.get("metadata");
    let metadata = pod::metadata(reader, metadata.as_ref());
    let spec = object.required("spec", reader)?;
    let class = pod::class(reader, &spec, metadata, &owner, &cluster.priorities)?;
    Some(BarePod { namespace: namespace.into(), name: name.into(), template: Arc::new(class) })
}

/// Where a NodePool names its class.
fn class_ref_span(document: &Node) -> Span {
    let mut node = document;
    for key in ["spec", "template", "spec", "nodeClassRef", "name"] {
        match node.get(key) {
            Some(next) => node = next,
            None => break,
        }
    }
    node.span
}

/// A Deployment or DaemonSet.
fn read_workload(
    reader: &mut Reader<'_>,
    object: &mut Object<'_>,
    kind: &'static str,
    (namespace, name, id): (&str, &str, &str),
    (cluster, defaulted): (&Cluster, bool),
    objects: &mut Objects,
) {
    let daemon = kind == "DaemonSet";
    let spec = object.required("spec", reader);
    let Some(mut spec) = spec.and_then(|spec| reader.object(&spec)) else {
        return;
    };
    let replicas = if daemon { None } else { spec.get("replicas") };
    let selector = spec.required("selector", reader);
    let template = spec.required("template", reader);
    spec.without_effect(&["minReadySeconds", "revisionHistoryLimit", "updateStrategy"], reader);
    if !daemon {
        spec.without_effect(&["progressDeadlineSeconds", "strategy"], reader);
        spec.refuse("paused", "it keeps the controller from acting", reader);
    }
    reader.finish(spec, Unknown::Note);
    let replicas = replicas.map_or(Some(1), |field| {
        reader.integer(&field, 0, 1_000_000).and_then(|replicas| u32::try_from(replicas).ok())
    });
    let Some(mut template) = template.and_then(|field| reader.object(&field)) else {
        return;
    };
    let metadata_field = template.get("metadata");
    let pod_spec = template.required("spec", reader);
    reader.finish(template, Unknown::Note);
    let metadata = pod::metadata(reader, metadata_field.as_ref());
    if let Some(selector) = &selector {
        check_selector(reader, selector, metadata_field.as_ref());
    }
    let owner = PodOwner { namespace, workload: id, daemon, defaulted };
    let class =
        pod_spec.and_then(|spec| pod::class(reader, &spec, metadata, &owner, &cluster.priorities));
    let Some(template) = class.map(Arc::new) else {
        return;
    };
    let (namespace, name) = (Arc::from(namespace), Arc::from(name));
    if daemon {
        objects.daemon_sets.push(DaemonSet { namespace, name, template });
    } else if let Some(replicas) = replicas {
        objects.deployments.push(Deployment { namespace, name, replicas, template });
    }
}

/// The API server refuses a workload whose selector does not match its own pods.
fn check_selector(reader: &mut Reader<'_>, selector: &Field<'_>, metadata: Option<&Field<'_>>) {
    let labels = metadata.and_then(|metadata| metadata.node.get("labels"));
    let Some(mut object) = reader.object(selector) else {
        return;
    };
    if let Some(wanted) = object.get("matchLabels") {
        for (key, _, value) in reader.entries(&wanted) {
            let has = labels.and_then(|labels| labels.get(&key)).and_then(Node::text);
            if has != value.node.text() {
                let rule = format!("the template's labels do not have {key}");
                reader.broken(&value, &rule);
            }
        }
    }
    object.get("matchExpressions");
    reader.finish(object, Unknown::Note);
}
