//! Pods and pod templates to [`PodClass`], with the defaults that the API server fills in.
//!
//! Upstream: kubernetes `pkg/apis/core/v1/defaults.go`,
//! `k8s.io/component-helpers/resource/helpers.go`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::reader::{Field, Object, Reader, Unknown};
use super::requirement::{self, Owner};
use super::{job, pod_topology, volume};
use crate::diagnostic;
use crate::kube::Labels;
use crate::kube::pod::{DEFAULT_GRACE, DoNotDisrupt, NodeAffinity, PodClass};
use crate::kube::port::{HostPort, Protocol};
use crate::kube::requirement::Requirements;
use crate::kube::taint::{Effect, Toleration, TolerationOperator};
use crate::kube::topology::PodAffinity;
use crate::units::{ResourceVec, SimDuration};

/// CPU that LeastAllocated counts for a container without a request.
const NONZERO_CPU_MILLI: i64 = 100;
/// Memory that LeastAllocated counts for a container without a request.
const NONZERO_MEMORY: i64 = 200 << 20;

/// PriorityClasses by name.
#[derive(Clone, Debug)]
pub struct PriorityClasses {
    values: BTreeMap<String, i32>,
    default: i32,
}

impl Default for PriorityClasses {
    /// The two that every cluster has.
    fn default() -> PriorityClasses {
        let system = [
            ("system-cluster-critical".to_owned(), 2_000_000_000),
            ("system-node-critical".to_owned(), 2_000_001_000),
        ];
        PriorityClasses { values: BTreeMap::from(system), default: 0 }
    }
}

impl PriorityClasses {
    /// Reads a PriorityClass object.
    pub fn read(&mut self, reader: &mut Reader<'_>, object: &mut Object<'_>, name: &str) {
        let value = object.required("value", reader);
        let value = value.and_then(|field| {
            let most = if name.starts_with("system-") { i32::MAX.into() } else { 1_000_000_000 };
            reader.integer(&field, i32::MIN.into(), most)
        });
        let global = object.get("globalDefault").and_then(|field| reader.boolean(&field));
        object.without_effect(&["description", "preemptionPolicy"], reader);
        let value = value.and_then(|value| i32::try_from(value).ok()).unwrap_or(0);
        self.values.insert(name.to_owned(), value);
        if global == Some(true) {
            self.default = value;
        }
    }
}

/// Who owns the pods, for labels, tolerations and messages.
pub struct PodOwner<'a> {
    /// Namespace.
    pub namespace: &'a str,
    /// `Deployment/other/inflate`.
    pub workload: &'a str,
    /// DaemonSet pods get further tolerations.
    pub daemon: bool,
    /// The API server's defaults are to be filled in. Recordings are of a cluster without an API server.
    pub defaulted: bool,
}

/// What a pod's metadata says.
#[derive(Default)]
pub struct PodMetadata {
    /// Labels.
    pub labels: Labels,
    /// `karpenter.sh/do-not-disrupt`.
    pub do_not_disrupt: DoNotDisrupt,
    /// `controller.kubernetes.io/pod-deletion-cost`.
    pub deletion_cost: i32,
}

/// Reads a pod's or a template's metadata.
pub fn metadata(reader: &mut Reader<'_>, field: Option<&Field<'_>>) -> PodMetadata {
    let mut result = PodMetadata::default();
    let Some(mut object) = field.and_then(|field| reader.object(field)) else {
        return result;
    };
    if let Some(labels) = object.get("labels") {
        result.labels = requirement::labels(reader, &labels);
    }
    if let Some(annotations) = object.get("annotations") {
        for (key, _, value) in reader.entries(&annotations) {
            match key.as_str() {
                "karpenter.sh/do-not-disrupt" => {
                    result.do_not_disrupt = do_not_disrupt(reader, &value);
                }
                "controller.kubernetes.io/pod-deletion-cost" => {
                    let text = reader.text(&value).unwrap_or_default();
                    match text.parse::<i32>() {
                        Ok(cost) => result.deletion_cost = cost,
                        Err(_) => reader.broken(&value, "must be a 32-bit whole number in quotes"),
                    }
                }
                job::DURATION | job::RECORDED_DURATION => {}
                _ => reader.note_without_effect(&annotations),
            }
        }
    }
    object.without_effect(&METADATA_WITHOUT_EFFECT, reader);
    object.without_effect(&["name", "namespace"], reader);
    reader.finish(object, Unknown::Note);
    result
}

/// Metadata that `kubectl get -o yaml` prints and nothing reads.
pub const METADATA_WITHOUT_EFFECT: [&str; 11] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

fn do_not_disrupt(reader: &mut Reader<'_>, field: &Field<'_>) -> DoNotDisrupt {
    let Some(text) = reader.text(field) else {
        return DoNotDisrupt::No;
    };
    match SimDuration::parse(&text) {
        _ if text == "true" => DoNotDisrupt::Always,
        Some(span) if span > SimDuration::ZERO => DoNotDisrupt::For(span),
        _ => DoNotDisrupt::No,
    }
}

/// Fields of a pod that change nothing here.
const WITHOUT_EFFECT: [&str; 21] = [
    "activeDeadlineSeconds",
    "automountServiceAccountToken",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "hostAliases",
    "hostIPC",
    "hostPID",
    "hostUsers",
    "hostname",
    "hostnameOverride",
    "imagePullSecrets",
    "os",
    "preemptionPolicy",
    "restartPolicy",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "subdomain",
];

/// Reads a pod's spec.
pub fn class(
    reader: &mut Reader<'_>,
    spec: &Field<'_>,
    metadata: PodMetadata,
    owner: &PodOwner<'_>,
    priorities: &PriorityClasses,
) -> Option<PodClass> {
    let mut object = reader.object(spec)?;
    let Affinity { mut node, pod: pod_affinity, pod_anti: pod_anti_affinity } =
        affinity(reader, &mut object, &metadata.labels);
    if let Some(selector) = object.get("nodeSelector") {
        node.selector = requirement::selector(reader, &selector);
    }
    let host_network =
        object.get("hostNetwork").and_then(|field| reader.boolean(&field)).unwrap_or(false);
    let mut tolerations = match object.get("tolerations") {
        Some(field) => requirement::tolerations(reader, &field),
        None => Vec::new(),
    };
    add_default_tolerations(reader, &mut tolerations, owner.daemon, host_network);
    let (priority, critical) = priority(reader, &mut object, priorities);
    let grace = object
        .get("terminationGracePeriodSeconds")
        .and_then(|field| reader.integer(&field, 0, i64::from(i32::MAX)))
        .map_or(DEFAULT_GRACE, SimDuration::from_seconds);
    let spread = object.get("topologySpreadConstraints");
    let spread = spread.map(|field| pod_topology::spread(reader, &field, &metadata.labels));
    let volumes = object.get("volumes").map(|field| volume::pod_volumes(reader, &field));
    let rules = ContainerRules {
        host_network,
        // For a DaemonSet's template Karpenter itself takes limits for requests.
        limits_are_requests: owner.defaulted || owner.daemon,
        default_protocol: if owner.defaulted { Protocol::Tcp } else { Protocol::Unset },
    };
    let sizes = sizes(reader, &mut object, rules)?;
    refuse_what_is_not_modelled(reader, &mut object);
    object.without_effect(&WITHOUT_EFFECT, reader);
    reader.finish(object, Unknown::Note);
    Some(PodClass {
        namespace: owner.namespace.into(),
        labels: metadata.labels,
        requests: sizes.requests,
        nonzero_cpu_milli: sizes.nonzero_cpu_milli,
        nonzero_memory_bytes: sizes.nonzero_memory_bytes,
        node_affinity: node,
        spread: spread.unwrap_or_default(),
        pod_affinity,
        pod_anti_affinity,
        host_ports: sizes.host_ports,
        volumes: volumes.unwrap_or_default(),
        tolerations,
        priority,
        critical,
        grace,
        do_not_disrupt: metadata.do_not_disrupt,
        deletion_cost: metadata.deletion_cost,
        ready_delay: sizes.ready_delay,
        images: sizes.images,
        workload: owner.workload.into(),
    })
}

fn refuse_what_is_not_modelled(reader: &mut Reader<'_>, object: &mut Object<'_>) {
    object.refuse("nodeName", "it binds the pod without the scheduler", reader);
    object.refuse("resourceClaims", "it needs devices of the node", reader);
    object.refuse("schedulingGates", "it keeps the pod from being scheduled", reader);
    object.refuse("ephemeralContainers", "it changes what the pod requests", reader);
    object.refuse("workloadRef", "it schedules pods in gangs", reader);
    object.refuse("runtimeClassName", "its overhead and node selector are unknown", reader);
    let scheduler = object.get("schedulerName");
    if let Some(field) = scheduler.filter(|f| f.node.text() != Some("default-scheduler")) {
        reader.refuse(&field, "another scheduler decides where the pods run");
    }
    if let Some(field) = object.get("readinessGates") {
        reader.note_without_effect(&field);
    }
}

/// What a pod's `affinity` says.
#[derive(Default)]
struct Affinity {
    node: NodeAffinity,
    pod: PodAffinity,
    pod_anti: PodAffinity,
}

fn affinity(reader: &mut Reader<'_>, object: &mut Object<'_>, labels: &Labels) -> Affinity {
    let mut result = Affinity::default();
    let Some(mut affinity) = object.get("affinity").and_then(|field| reader.object(&field)) else {
        return result;
    };
    if let Some(field) = affinity.get("podAffinity") {
        result.pod = pod_topology::pod_affinity(reader, &field, labels);
    }
    if let Some(field) = affinity.get("podAntiAffinity") {
        result.pod_anti = pod_topology::pod_affinity(reader, &field, labels);
    }
    if let Some(field) = affinity.get("nodeAffinity") {
        result.node = node_affinity(reader, &field);
    }
    reader.finish(affinity, Unknown::Note);
    result
}

fn node_affinity(reader: &mut Reader<'_>, field: &Field<'_>) -> NodeAffinity {
    let mut result = NodeAffinity::default();
    let Some(mut node) = reader.object(field) else {
        return result;
    };
    let required = node.get("requiredDuringSchedulingIgnoredDuringExecution");
    let preferred = node.get("preferredDuringSchedulingIgnoredDuringExecution");
    reader.finish(node, Unknown::Note);
    if let Some(mut required) = required.and_then(|field| reader.object(&field)) {
        if let Some(terms) = required.required("nodeSelectorTerms", reader) {
            for field in reader.list(&terms) {
                let Some(term) = node_selector_term(reader, &field) else {
                    continue;
                };
                if term.is_empty() {
                    reader.broken(&field, "a term without expressions matches no node");
                }
                result.required.push(term);
            }
        }
        reader.finish(required, Unknown::Note);
    }
    for item in preferred.map(|field| reader.list(&field)).unwrap_or_default() {
        let Some(mut item) = reader.object(&item) else {
            continue;
        };
        let weight = item.required("weight", reader);
        let term = item.required("preference", reader);
        reader.finish(item, Unknown::Note);
        let weight = weight.and_then(|field| reader.integer(&field, 1, 100));
        let term = term.and_then(|field| node_selector_term(reader, &field));
        if let Some((weight, term)) = weight.zip(term) {
            result.preferred.push((i32::try_from(weight).unwrap_or(100), term));
        }
    }
    result
}

/// A term: its expressions, all of which must hold.
fn node_selector_term(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Requirements> {
    let mut object = reader.object(field)?;
    let expressions = object.get("matchExpressions");
    object.refuse("matchFields", "Karpenter refuses pods that use it", reader);
    reader.finish(object, Unknown::Note);
    let term = match expressions {
        Some(field) => requirement::requirements(reader, &field, Owner::Pod),
        None => Requirements::default(),
    };
    Some(term)
}

/// The tolerations that the API server and the DaemonSet controller add.
fn add_default_tolerations(
    reader: &mut Reader<'_>,
    tolerations: &mut Vec<Toleration>,
    daemon: bool,
    host_network: bool,
) {
    let mut add = |key: &str, effect: Effect| {
        let key = reader.symbols.intern_value(&format!("node.kubernetes.io/{key}"));
        let covered = tolerations.iter().any(|toleration| {
            toleration.key.is_none_or(|own| own == key)
                && toleration.effect.is_none_or(|own| own == effect)
        });
        if !covered {
            let value = reader.symbols.intern_value("");
            let operator = TolerationOperator::Exists;
            tolerations.push(Toleration { key: Some(key), operator, value, effect: Some(effect) });
        }
    };
    add("not-ready", Effect::NoExecute);
    add("unreachable", Effect::NoExecute);
    if daemon {
        for key in ["disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"] {
            add(key, Effect::NoSchedule);
        }
        if host_network {
            add("network-unavailable", Effect::NoSchedule);
        }
    }
}

fn priority(
    reader: &mut Reader<'_>,
    object: &mut Object<'_>,
    priorities: &PriorityClasses,
) -> (i32, bool) {
    let name = object.get("priorityClassName");
    let number = object
        .get("priority")
        .and_then(|field| reader.integer(&field, i32::MIN.into(), i32::MAX.into()))
        .and_then(|number| i32::try_from(number).ok());
    let Some(field) = name else {
        return (number.unwrap_or(priorities.default), false);
    };
    let name = reader.text(&field).unwrap_or_default();
    let critical = name == "system-node-critical" || name == "system-cluster-critical";
    let value = priorities.values.get(&name).copied().or(number);
    if value.is_none() && !name.is_empty() {
        let names = priorities.values.keys().map(String::as_str);
        let problem = diagnostic::missing_priority_class(field.span(), &name);
        reader.push(problem.suggest(&name, names));
    }
    (value.unwrap_or(priorities.default), critical)
}

/// What follows from a pod's containers.
struct Sizes {
    requests: ResourceVec,
    nonzero_cpu_milli: i64,
    nonzero_memory_bytes: i64,
    ready_delay: SimDuration,
    images: Vec<Arc<str>>,
    host_ports: Vec<HostPort>,
}

/// One container.
#[derive(Clone, Default)]
struct Container {
    requests: ResourceVec,
    sidecar: bool,
    ready_delay: SimDuration,
    image: Option<String>,
    host_ports: Vec<HostPort>,
}

/// How containers are read.
#[derive(Clone, Copy)]
struct ContainerRules {
    host_network: bool,
    limits_are_requests: bool,
    default_protocol: Protocol,
}

fn sizes(reader: &mut Reader<'_>, object: &mut Object<'_>, rules: ContainerRules) -> Option<Sizes> {
    let read = |field: Option<Field<'_>>, reader: &mut Reader<'_>| -> Vec<Container> {
        let items = field.map(|field| reader.list(&field)).unwrap_or_default();
        items.iter().filter_map(|item| container(reader, item, rules)).collect()
    };
    let init = read(object.get("initContainers"), reader);
    let main = read(object.required("containers", reader), reader);
    if main.is_empty() {
        if let Some(field) = object.get("containers") {
            reader.broken(&field, "needs at least one container");
        }
        return None;
    }
    let mut requests = total(&main, &init, |container| container.requests.clone());
    let mut nonzero = total(&main, &init, |container| {
        let mut filled = container.requests.clone();
        for (name, amount) in [("cpu", NONZERO_CPU_MILLI), ("memory", NONZERO_MEMORY)] {
            if filled.find(name).is_none_or(|own| own == 0) {
                filled.set(name, amount);
            }
        }
        filled
    });
    for (name, amount) in pod_level(reader, object, &requests).iter() {
        requests.set(name, amount);
        nonzero.set(name, amount);
    }
    if let Some(overhead) = object.get("overhead") {
        let overhead = resource_list(reader, &overhead);
        requests.add(&overhead);
        nonzero.add(&overhead);
    }
    requests.set("pods", 1);
    let mut images: Vec<Arc<str>> = Vec::new();
    for image in init.iter().chain(&main).filter_map(|container| container.image.as_deref()) {
        if images.iter().all(|known| **known != *image) {
            images.push(image.into());
        }
    }
    Some(Sizes {
        requests,
        nonzero_cpu_milli: nonzero.get("cpu"),
        nonzero_memory_bytes: nonzero.get("memory"),
        ready_delay: main.iter().map(|container| container.ready_delay).max().unwrap_or_default(),
        images,
        // Karpenter looks at the containers alone, not at init containers.
        host_ports: main.into_iter().flat_map(|container| container.host_ports).collect(),
    })
}

/// The larger of what runs at the end and what the init containers need on the way.
fn total(
    main: &[Container],
    init: &[Container],
    requests: impl Fn(&Container) -> ResourceVec,
) -> ResourceVec {
    let mut sum = ResourceVec::default();
    main.iter().for_each(|container| sum.add(&requests(container)));
    let (mut side, mut peak) = (ResourceVec::default(), ResourceVec::default());
    for container in init {
        let own = requests(container);
        if container.sidecar {
            sum.add(&own);
            side.add(&own);
            peak.maximize(&side);
        } else {
            peak.maximize(&own.plus(&side));
        }
    }
    sum.maximize(&peak);
    sum
}

/// `spec.resources`: pod-level requests of cpu, memory and huge pages replace the containers' sum.
fn pod_level(
    reader: &mut Reader<'_>,
    object: &mut Object<'_>,
    containers: &ResourceVec,
) -> ResourceVec {
    let mut result = ResourceVec::default();
    let Some(mut resources) = object.get("resources").and_then(|field| reader.object(&field))
    else {
        return result;
    };
    let mut list = |name, resources: &mut Object<'_>| match resources.get(name) {
        Some(field) => resource_list(reader, &field),
        None => ResourceVec::default(),
    };
    let requests = list("requests", &mut resources);
    let limits = list("limits", &mut resources);
    resources.refuse("claims", "it needs devices of the node", reader);
    reader.finish(resources, Unknown::Note);
    let counts = |name: &str| name == "cpu" || name == "memory" || name.starts_with("hugepages-");
    for (name, limit) in limits.iter().filter(|(name, _)| counts(name)) {
        if containers.find(name).is_none() {
            result.set(name, limit);
        }
    }
    for (name, request) in requests.iter().filter(|(name, _)| counts(name)) {
        result.set(name, request);
    }
    result
}

/// Fields of a container that change nothing here.
const CONTAINER_WITHOUT_EFFECT: [&str; 19] = [
    "args",
    "command",
    "env",
    "envFrom",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "resizePolicy",
    "restartPolicyRules",
    "securityContext",
    "startupProbe",
    "stdin",
    "stdinOnce",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
];

fn container(
    reader: &mut Reader<'_>,
    item: &Field<'_>,
    rules: ContainerRules,
) -> Option<Container> {
    let mut object = reader.object(item)?;
    let mut container = Container::default();
    object.get("name");
    // An image is only a name to tell pulls apart: a wrong one is no problem, and variables in it
    // need no value.
    container.image = object.get("image").and_then(|field| field.node.text().map(str::to_owned));
    if let Some(field) = object.get("restartPolicy") {
        container.sidecar = field.node.text() == Some("Always");
    }
    if let Some(field) = object.get("resources") {
        container.requests = container_requests(reader, &field, rules.limits_are_requests);
    }
    if let Some(mut probe) = object.get("readinessProbe").and_then(|field| reader.object(&field)) {
        let delay = probe.get("initialDelaySeconds");
        let delay = delay.and_then(|field| reader.integer(&field, 0, i64::from(i32::MAX)));
        container.ready_delay = delay.map_or(SimDuration::ZERO, SimDuration::from_seconds);
    }
    for port in object.get("ports").map(|field| reader.list(&field)).unwrap_or_default() {
        container.host_ports.extend(host_port(reader, &port, rules));
    }
    object.without_effect(&CONTAINER_WITHOUT_EFFECT, reader);
    reader.finish(object, Unknown::Note);
    Some(container)
}

/// The port of the node that a container port takes: its `hostPort`, on the host's network the port itself.
fn host_port(reader: &mut Reader<'_>, item: &Field<'_>, rules: ContainerRules) -> Option<HostPort> {
    let mut object = reader.object(item)?;
    object.get("name");
    let container_port = object.required("containerPort", reader);
    let host_port = object.get("hostPort");
    let address = object.get("hostIP");
    let protocol = object.get("protocol");
    reader.finish(object, Unknown::Note);
    let protocols = [("TCP", Protocol::Tcp), ("UDP", Protocol::Udp), ("SCTP", Protocol::Sctp)];
    let protocol = match protocol {
        Some(field) => reader.choice(&field, &protocols)?,
        None => rules.default_protocol,
    };
    let port = host_port.or(container_port.filter(|_| rules.host_network))?;
    let port = reader.integer(&port, 0, 65_535).and_then(|port| u16::try_from(port).ok())?;
    let mut specified = None;
    if let Some(field) = address {
        let text = reader.text(&field)?;
        match text.parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() => {}
            Ok(address) => specified = Some(reader.symbols.intern(&address.to_string())),
            Err(_) if text.is_empty() => {}
            Err(_) => reader.broken(&field, "must be an IP address"),
        }
    }
    (port != 0).then_some(HostPort { address: specified, port, protocol })
}

/// A container's requests; a limit without a request is a request where `limits_count`.
fn container_requests(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    limits_count: bool,
) -> ResourceVec {
    let Some(mut object) = reader.object(field) else {
        return ResourceVec::default();
    };
    let mut list = |name, object: &mut Object<'_>| match object.get(name) {
        Some(field) => resource_list(reader, &field),
        None => ResourceVec::default(),
    };
    let mut requests = list("requests", &mut object);
    let limits = list("limits", &mut object);
    object.refuse("claims", "it needs devices of the node", reader);
    for (name, limit) in limits.iter() {
        match requests.find(name) {
            None if limits_count => requests.set(name, limit),
            Some(request) if request > limit => {
                let rule = format!("requests more {name} than its limit");
                reader.broken(&object.field, &rule);
            }
            _ => {}
        }
    }
    reader.finish(object, Unknown::Note);
    requests
}

/// A map of resource names to quantities, none negative.
pub fn resource_list(reader: &mut Reader<'_>, field: &Field<'_>) -> ResourceVec {
    let mut list = ResourceVec::default();
    for (name, span, value) in reader.entries(field) {
        if !super::reader::is_qualified_name(&name) {
            reader.push(diagnostic::bad_label(span, &field.path, &name, "key"));
            continue;
        }
        let Some(text) = reader.quantity(&value) else {
            continue;
        };
        if text.starts_with('-') {
            reader.broken(&value, "must not be negative");
        } else if !list.set_parsed(&name, &text) {
            reader.push(diagnostic::bad_quantity(value.span(), &text, &value.path));
        }
    }
    list
}
