//! A recorded case as it is read: as a stream, pods reduced at once to what a replay needs of them.
//!
//! Pods are by far the most of a large case, and most of them are equal but for name and time: what siblings share is
//! held once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::{Value, json};

use super::{NotComparable, malformed, not_modelled, objects};
use crate::kube::{NodePool, PodClass};
use crate::units::{SimTime, Symbols};

/// So many classes of pods are read at once: their texts are held meanwhile.
const CLASSES_AT_ONCE: usize = 256;

/// A case, not yet looked into.
#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Case {
    pub(super) name: Value,
    pub(super) profile: Value,
    pub(super) kind: Value,
    pub(super) now: Value,
    pub(super) options: Value,
    pub(super) instance_types: Value,
    pub(super) objects: Option<Objects>,
}

impl Case {
    pub(super) fn of(value: &Value) -> Result<Case, NotComparable> {
        Case::deserialize(value).map_err(|error| malformed(error.to_string()))
    }
}

/// The objects of a case by kind.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) node_pools: Vec<Value>,
    pub(super) node_claims: Vec<Value>,
    pub(super) nodes: Vec<Value>,
    pub(super) pods: Vec<RecordedPod>,
    pub(super) daemon_sets: Vec<Value>,
    /// Storage kinds, namespaces and NodeOverlays.
    pub(super) others: Vec<Value>,
    pub(super) budgets: Vec<Value>,
    templates: Templates,
    /// What is wrong with the first object that cannot be used.
    problem: Option<NotComparable>,
}

/// What a replay needs of a pod.
pub(super) struct RecordedPod {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) created_at: Option<SimTime>,
    pub(super) deletion_at: Option<SimTime>,
    pub(super) started_at: Option<SimTime>,
    pub(super) node: Option<String>,
    /// The DaemonSet that owns it.
    pub(super) daemon_set: Option<String>,
    pub(super) is_finished: bool,
    pub(super) is_unschedulable: bool,
    template: usize,
}

/// What siblings share, each once.
#[derive(Default)]
struct Templates {
    numbers: BTreeMap<String, usize>,
    list: Vec<Template>,
}

struct Template {
    /// Labels, annotations, and the spec without the node.
    object: Value,
    namespace: Value,
    name: String,
    /// A DaemonSet owns such pods: they are read by different rules.
    is_daemon: bool,
}

impl<'de> Deserialize<'de> for Objects {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Objects, D::Error> {
        deserializer.deserialize_seq(Collector)
    }
}

struct Collector;

impl<'de> Visitor<'de> for Collector {
    type Value = Objects;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Objects, A::Error> {
        let mut objects = Objects::default();
        while let Some(object) = list.next_element::<Value>()? {
            if let Err(problem) = objects.add(object) {
                objects.problem.get_or_insert(problem);
            }
        }
        Ok(objects)
    }
}

impl Objects {
    fn add(&mut self, object: Value) -> Result<(), NotComparable> {
        if object["metadata"]["name"].as_str().is_none() {
            return Err(malformed(format!("object without metadata.name: {object:.100}")));
        }
        match object["kind"].as_str() {
            Some("NodePool") => self.node_pools.push(object),
            Some("NodeClaim") => self.node_claims.push(object),
            Some("Node") => self.nodes.push(object),
            Some("Pod") => {
                let pod = RecordedPod::read(&object, &mut self.templates);
                self.pods.push(pod);
            }
            Some("DaemonSet") => self.daemon_sets.push(object),
            Some(
                "CSINode"
                | "Namespace"
                | "NodeOverlay"
                | "PersistentVolume"
                | "PersistentVolumeClaim"
                | "StorageClass",
            ) => self.others.push(object),
            Some("PodDisruptionBudget") => self.budgets.push(object),
            Some(kind) => return Err(not_modelled(kind)),
            None => return Err(malformed("object without kind")),
        }
        Ok(())
    }

    /// Each list in the order of namespace and name. The error tells what cannot be used.
    pub(super) fn sorted(mut self) -> Result<Objects, NotComparable> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let key = |object: &Value| (text(object, "namespace"), text(object, "name"));
        let Objects { node_pools, node_claims, nodes, daemon_sets, budgets, .. } = &mut self;
        for list in [node_pools, node_claims, nodes, daemon_sets, budgets] {
            list.sort_by_key(key);
        }
        self.pods.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        Ok(self)
    }

    /// The NodePools, in their order, with NodeClasses made up for those that they name.
    pub(super) fn read_node_pools(
        &self,
        symbols: &mut Symbols,
    ) -> Result<Vec<NodePool>, NotComparable> {
        let mut list = self.node_pools.clone();
        for pool in &mut list {
            // Recorded objects were not admitted by an API server, which asks for the list even when it is empty.
            let spec = pool.pointer_mut("/spec/template/spec").and_then(Value::as_object_mut);
            if let Some(spec) = spec {
                let list = spec.entry("requirements").or_insert_with(|| json!([]));
                if list.is_null() {
                    *list = json!([]);
                }
            }
        }
        let classes: BTreeMap<&str, ()> = (self.node_pools.iter())
            .filter_map(|p| p["spec"]["template"]["spec"]["nodeClassRef"]["name"].as_str())
            .map(|name| (name, ()))
            .collect();
        list.extend(classes.keys().map(|name| {
            json!({
                "apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": { "name": name },
            })
        }));
        Ok(objects::read(&list, symbols)?.node_pools)
    }

    /// The classes of the pods, in their order. Pods of equal specification have one class.
    pub(super) fn read_classes(
        &mut self,
        symbols: &mut Symbols,
    ) -> Result<Vec<Arc<PodClass>>, NotComparable> {
        let templates = std::mem::take(&mut self.templates).list;
        let mut class_of: Vec<Option<usize>> = vec![None; templates.len()];
        let mut order = Vec::new();
        for pod in &self.pods {
            class_of[pod.template].get_or_insert_with(|| {
                order.push(pod.template);
                order.len() - 1
            });
        }
        let mut classes: Vec<Arc<PodClass>> = Vec::new();
        for some in order.chunks(CLASSES_AT_ONCE) {
            let some: Vec<&Template> = some.iter().map(|number| &templates[*number]).collect();
            classes.extend(read_classes(&some, symbols)?);
        }
        let class = |pod: &RecordedPod| classes.get(class_of[pod.template]?).cloned();
        let of_pods: Option<Vec<_>> = self.pods.iter().map(class).collect();
        of_pods.ok_or_else(|| malformed("a pod that cannot be read"))
    }
}

fn text(object: &Value, field: &str) -> String {
    object["metadata"][field].as_str().unwrap_or("").to_owned()
}

impl RecordedPod {
    fn read(pod: &Value, templates: &mut Templates) -> RecordedPod {
        let (metadata, status) = (&pod["metadata"], &pod["status"]);
        let daemon_set = owner(pod, "DaemonSet").map(str::to_owned);
        let node = pod["spec"]["nodeName"].as_str().filter(|name| !name.is_empty());
        RecordedPod {
            namespace: text(pod, "namespace"),
            name: text(pod, "name"),
            uid: text(pod, "uid"),
            created_at: instant(&metadata["creationTimestamp"]),
            deletion_at: instant(&metadata["deletionTimestamp"]),
            started_at: instant(&status["startTime"]),
            node: node.map(str::to_owned),
            is_finished: matches!(status["phase"].as_str(), Some("Succeeded" | "Failed")),
            is_unschedulable: daemon_set.is_none() && is_unschedulable(status),
            template: templates.number_of(pod, daemon_set.is_some()),
            daemon_set,
        }
    }
}

/// kube-scheduler found no node and nominated none either. A recording without conditions means pending pods so.
fn is_unschedulable(status: &Value) -> bool {
    let nominated = status["nominatedNodeName"].as_str().is_some_and(|name| !name.is_empty());
    let conditions = status["conditions"].as_array();
    let said = conditions.is_none_or(|conditions| {
        conditions.iter().any(|c| c["type"] == "PodScheduled" && c["reason"] == "Unschedulable")
    });
    said && !nominated
}

/// The name of the pod's owner of a kind.
fn owner<'a>(pod: &'a Value, kind: &str) -> Option<&'a str> {
    let mut owners = pod["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    owners.find(|owner| owner["kind"] == kind)?["name"].as_str()
}

/// An RFC 3339 time, as time since 1970.
pub(super) fn instant(value: &Value) -> Option<SimTime> {
    let timestamp: jiff::Timestamp = value.as_str()?.parse().ok()?;
    Some(SimTime::from_ms(timestamp.as_millisecond()))
}

impl Templates {
    fn number_of(&mut self, pod: &Value, is_daemon: bool) -> usize {
        let object = template(pod);
        let namespace = pod["metadata"]["namespace"].clone();
        let key = format!("{is_daemon}{}{}{namespace}", object["metadata"], object["spec"]);
        let Templates { numbers, list } = self;
        *numbers.entry(key).or_insert_with(|| {
            list.push(Template { object, namespace, name: text(pod, "name"), is_daemon });
            list.len() - 1
        })
    }
}

/// The part of a pod that siblings share: labels, annotations, spec without the node.
fn template(pod: &Value) -> Value {
    let mut spec = pod["spec"].clone();
    if let Some(spec) = spec.as_object_mut() {
        spec.shift_remove("nodeName");
    }
    let mut metadata = json!({});
    for key in ["labels", "annotations"] {
        if let Some(value) = pod["metadata"].get(key) {
            metadata[key] = value.clone();
        }
    }
    json!({ "metadata": metadata, "spec": spec })
}

/// The classes of some templates, in their order.
fn read_classes(
    templates: &[&Template],
    symbols: &mut Symbols,
) -> Result<Vec<Arc<PodClass>>, NotComparable> {
    let as_objects = |wanted: bool| -> Vec<Value> {
        let templates = templates.iter().filter(|template| template.is_daemon == wanted);
        templates
            .map(|template| if wanted { as_daemon_set(template) } else { as_pod(template) })
            .collect()
    };
    let plain = objects::read(&as_objects(false), symbols)?.pods;
    let daemons = objects::read(&as_objects(true), symbols)?.daemon_sets;
    let (mut plain, mut daemons) = (plain.into_iter(), daemons.into_iter());
    let classes = templates.iter().map(|template| match template.is_daemon {
        true => daemons.next().map(|set| set.template),
        false => plain.next().map(|pod| pod.template),
    });
    let classes: Option<Vec<_>> = classes.collect();
    classes.ok_or_else(|| malformed("a pod that cannot be read"))
}

fn as_pod(template: &Template) -> Value {
    let mut metadata = template.object["metadata"].clone();
    metadata["name"] = json!(template.name);
    metadata["namespace"] = template.namespace.clone();
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template.object["spec"] })
}

fn as_daemon_set(template: &Template) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": { "name": template.name, "namespace": template.namespace },
        "spec": { "selector": {}, "template": template.object },
    })
}
