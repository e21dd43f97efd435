//! Cases made by tests: objects and instance types in the form of the recordings, decided batch after batch.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Options;
use super::case::Case;
use super::outcome::Launch;
use super::provision::{Pass, decide};
use super::snapshot;

/// The instant of all cases.
const NOW: &str = "2026-01-01T00:00:00Z";

/// An instance type `NAME` with these CPUs, twice as many GiB and so many pods, at so many USD an hour in the zones on
/// demand.
pub(super) fn instance_type(
    name: &str,
    (cpu, pods): (i64, i64),
    zones: &[&str],
    price: f64,
) -> Value {
    let offer = |zone: &&str| json!({ "zone": zone, "capacityType": "on-demand", "price": price, "available": true });
    json!({
        "name": name,
        "capacity": { "cpu": cpu.to_string(), "memory": format!("{}Gi", 2 * cpu), "pods": pods.to_string() },
        "overhead": {},
        "requirements": [
            { "key": "node.kubernetes.io/instance-type", "operator": "In", "values": [name] },
            { "key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"] },
            { "key": "topology.kubernetes.io/zone", "operator": "In", "values": zones },
            { "key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"] },
        ],
        "offerings": zones.iter().map(offer).collect::<Vec<_>>(),
    })
}

/// A NodePool with requirements, ready.
pub(super) fn node_pool(name: &str, requirements: Value) -> Value {
    json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": { "name": name },
        "spec": { "template": { "spec": { "requirements": requirements, "nodeClassRef":
            { "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" } } } },
        "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
    })
}

/// A pending pod with labels, CPU and further fields of its spec.
pub(super) fn pod(name: &str, labels: &Value, cpu: &str, spec: &Value) -> Value {
    let mut spec = spec.clone();
    spec["containers"] = json!([{ "name": "main", "resources": { "requests": { "cpu": cpu } } }]);
    json!({
        "apiVersion": "v1", "kind": "Pod", "spec": spec,
        "metadata": { "name": name, "namespace": "default", "uid": name, "labels": labels, "creationTimestamp": NOW },
    })
}

/// A cluster that answers batch after batch: what a batch decides is launched and bound before the next.
pub(super) struct Lab {
    pub(super) types: Vec<Value>,
    pub(super) options: Value,
    /// NodePools, pods, Nodes and NodeClaims.
    pub(super) objects: Vec<Value>,
    nodes: usize,
}

impl Lab {
    pub(super) fn new(types: Vec<Value>, objects: Vec<Value>) -> Lab {
        Lab { types, options: json!({}), objects, nodes: 0 }
    }

    pub(super) fn case(&self) -> Value {
        json!({
            "now": NOW, "options": self.options, "kind": "provision",
            "instanceTypes": self.types, "objects": self.objects,
        })
    }

    /// Decides a batch and changes nothing.
    pub(super) fn decide(&self) -> Pass {
        let snapshot =
            snapshot::read(Case::of(&self.case()).expect("a case")).expect("a sound case");
        decide(&snapshot, &Options::default()).0
    }

    /// Decides a batch, launches its claims and binds its pods.
    pub(super) fn batch(&mut self) -> Pass {
        let pass = self.decide();
        let mut places: BTreeMap<String, String> = BTreeMap::new();
        for claim in &pass.claims {
            let launch = claim.launch.as_ref().expect("something to launch");
            let name = self.launch(&claim.nodepool, launch);
            places.extend(claim.pods.iter().map(|pod| (pod.clone(), name.clone())));
        }
        for (node, pods) in &pass.existing {
            places.extend(pods.iter().map(|pod| (pod.clone(), node.clone())));
        }
        for object in self.objects.iter_mut().filter(|object| object["kind"] == "Pod") {
            let name =
                format!("default/{}", object["metadata"]["name"].as_str().unwrap_or_default());
            if let Some(node) = places.get(&name) {
                object["spec"]["nodeName"] = json!(node);
            }
        }
        pass
    }

    /// An initialized node of a NodePool.
    pub(super) fn launch(&mut self, pool: &str, launch: &Launch) -> String {
        self.nodes += 1;
        let name = format!("node-{:02}", self.nodes);
        let id = format!("aws:///{}/{name}", launch.zone);
        let it = self.types.iter().find(|it| it["name"] == launch.instance_type);
        let amounts = it.expect("a known type")["capacity"].clone();
        let labels = json!({
            "karpenter.sh/nodepool": pool, "kubernetes.io/hostname": name, "kubernetes.io/arch": "amd64",
            "node.kubernetes.io/instance-type": launch.instance_type,
            "topology.kubernetes.io/zone": launch.zone, "karpenter.sh/capacity-type": launch.capacity_type,
            "karpenter.sh/registered": "true", "karpenter.sh/initialized": "true",
        });
        let metadata = json!({ "name": name, "labels": labels, "creationTimestamp": NOW });
        self.objects.push(json!({
            "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "metadata": metadata, "spec": {},
            "status": { "providerID": id, "capacity": amounts, "allocatable": amounts },
        }));
        self.objects.push(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": { "providerID": id },
            "status": { "allocatable": amounts, "conditions": [{ "type": "Ready", "status": "True" }] },
        }));
        name
    }

    pub(super) fn add_pods(&mut self, pods: impl IntoIterator<Item = Value>) {
        self.objects.extend(pods);
    }

    /// Numbers of pods with a label by domain, ascending: what tests of spread call the skew.
    pub(super) fn skew(&self, label: (&str, &str), domain: &str) -> Vec<usize> {
        let mut counts: Vec<usize> = self.domains(label, domain).into_values().collect();
        counts.sort_unstable();
        counts
    }

    /// Pods with a label by the value of a label of their nodes.
    pub(super) fn domains(
        &self,
        (key, value): (&str, &str),
        domain: &str,
    ) -> BTreeMap<String, usize> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for pod in self.bound().filter(|pod| pod["metadata"]["labels"][key] == value) {
            let node = self.objects.iter().find(|object| {
                object["kind"] == "Node" && object["metadata"]["name"] == pod["spec"]["nodeName"]
            });
            let label = node.and_then(|node| node["metadata"]["labels"][domain].as_str());
            *counts.entry(label.unwrap_or_default().to_owned()).or_default() += 1;
        }
        counts
    }

    fn bound(&self) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(|o| o["kind"] == "Pod" && o["spec"].get("nodeName").is_some())
    }

    /// Nodes that pods run on.
    pub(super) fn used_nodes(&self) -> usize {
        let nodes = self.bound().filter_map(|pod| pod["spec"]["nodeName"].as_str());
        nodes.collect::<BTreeSet<_>>().len()
    }
}
