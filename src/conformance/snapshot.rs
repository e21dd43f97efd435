//! A recorded case as a [`World`]: everything that Karpenter's deciders look at, at the instant of the case.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::case::{Case, Objects, RecordedPod, instant};
use super::{NotComparable, catalogue, malformed, not_modelled, objects};
use crate::ec2::{CapacityType, InstanceType};
use crate::engine::Distribution;
use crate::kube::label::{self, Labels};
use crate::kube::taint::{Effect, Taint};
use crate::kube::workload::DaemonSet;
use crate::kube::{NodePool, PodClass, Requirements};
use crate::scheduling;
use crate::units::{LabelValue, ResourceVec, SimDuration, SimTime, Symbols};
use crate::world::cluster::{Drift, InstanceTypeRef, Owner, Pool, PoolCost};
use crate::world::faults::PoolFaults;
use crate::world::restore::{FoundClaim, FoundInstance, FoundNode, FoundPod};
use crate::world::settings::{
    Boot, JobRetries, KarpenterOptions, Latency, PodUids, SchedulerTies, TieBreaks,
    UNAVAILABLE_FOR, VictimRule,
};
use crate::world::{ClaimId, Cluster, NodeId, RegistrationHealth, Settings, World};

/// A case, ready to be decided.
pub(super) struct Snapshot {
    /// The world at the instant of the case; time counts from 1970-01-01 UTC.
    pub(super) world: World,
}

/// Reads a case.
pub(super) fn read(case: Case) -> Result<Snapshot, NotComparable> {
    let now = instant(&case.now).ok_or_else(|| malformed("now is missing"))?;
    let settings = settings(&case.options)?;
    let objects = case.objects.ok_or_else(|| malformed("objects is missing"))?;
    let mut kinds = objects.sorted()?;
    let mut symbols = label::vocabulary();
    let pools = kinds.read_node_pools(&mut symbols)?;
    let classes = kinds.read_classes(&mut symbols)?;
    let daemon_sets = daemon_sets(&kinds, &classes, &mut symbols)?;
    refuse_further_well_known(&case.options, &symbols)?;
    let others = objects::read(&kinds.others, &mut symbols)?;
    let types = Arc::new(catalogue::instance_types(&case.instance_types, &mut symbols)?);
    scheduling::intern_fixed_values(&mut symbols);
    let boot = Arc::new(Boot::same(Distribution::Fixed(0)));
    let pool = |spec: NodePool| Pool {
        name: symbols.text(spec.name.symbol).into(),
        spec: Arc::new(spec),
        types: types.clone(),
        listed: types.clone(),
        provided: types.clone(),
        class_fields: "".into(),
        cost: PoolCost::default(),
        deleted: false,
        ready: true,
        drift: None,
        counted: ResourceVec::default(),
        health: RegistrationHealth::default(),
        faults: PoolFaults::default(),
        tags: Arc::new([]),
        boot: boot.clone(),
        created_count: 0,
    };
    let mut pools: Vec<Pool> = pools.into_iter().map(pool).collect();
    for (pool, object) in pools.iter_mut().zip(&kinds.node_pools) {
        pool.ready = condition(object, "Ready").is_some();
        pool.deleted = object["metadata"].get("deletionTimestamp").is_some();
    }
    pools.sort_by(|a, b| a.name.cmp(&b.name));
    let (storage, namespaces) = (others.storage, others.namespaces);
    let cluster = Cluster { pools, daemon_sets, storage, namespaces, ..Cluster::default() };
    let mut world = World::new(Arc::new(settings), symbols, cluster);
    world.clock.advance_to(now);
    others.node_overlays.into_iter().for_each(|overlay| world.put_overlay(overlay));
    let nodes = restore_nodes(&kinds, &types, &mut world)?;
    restore_budgets(&kinds, &mut world)?;
    restore_pods(&kinds, &classes, &nodes, &mut world)?;
    Ok(Snapshot { world })
}

fn settings(options: &Value) -> Result<Settings, NotComparable> {
    let nothing = || Distribution::Fixed(0);
    Ok(Settings {
        start_epoch_seconds: 0,
        seed: 0,
        tie_breaks: TieBreaks::Canonical,
        latency: Latency {
            create: nothing(),
            running: nothing(),
            ready: nothing(),
            initialized: nothing(),
            terminate: nothing(),
            detach: nothing(),
            message: nothing(),
            pod_start: nothing(),
            image_pull: nothing(),
            pod_stop: nothing(),
        },
        scheduler_ties: SchedulerTies::Name,
        victims: VictimRule::ReplicaSet,
        job_retries: JobRetries::AtOnce,
        pod_uids: PodUids::CreationOrder,
        plain: false,
        controller_latency: SimDuration::ZERO,
        unavailable_for: UNAVAILABLE_FOR,
        karpenter: karpenter_options(options)?,
    })
}

/// Karpenter's options of a recorded case or timeline.
pub(super) fn karpenter_options(options: &Value) -> Result<KarpenterOptions, NotComparable> {
    let mut result = KarpenterOptions::default();
    for (key, value) in options.as_object().into_iter().flatten() {
        match (key.as_str(), value.as_str()) {
            // How many workers look at candidates at once: without effect on the outcome.
            ("cpuRequests" | "extraWellKnownLabels", _)
            | ("preferencePolicy", Some("Respect"))
            | ("minValuesPolicy", Some("Strict")) => {}
            ("preferencePolicy", Some("Ignore")) => result.ignore_preferences = true,
            ("minValuesPolicy", Some("BestEffort")) => result.best_effort_min_values = true,
            ("featureGates", _) => {
                for (gate, on) in value.as_object().into_iter().flatten() {
                    let on = *on == json!(true);
                    match gate.as_str() {
                        "NodeOverlay" => result.gates.node_overlay = on,
                        "NodeRepair" => result.gates.node_repair = on,
                        "ReservedCapacity" => result.reserved_capacity = on,
                        "SpotToSpotConsolidation" => result.gates.spot_to_spot = on,
                        "StaticCapacity" => result.gates.static_capacity = on,
                        _ if !on => {}
                        _ => return Err(not_modelled(format!("feature gate {gate}"))),
                    }
                }
            }
            _ => return Err(not_modelled(format!("option {key}={value}"))),
        }
    }
    Ok(result)
}

/// PodDisruptionBudgets, with the disruptions that their status allows.
fn restore_budgets(kinds: &Objects, world: &mut World) -> Result<(), NotComparable> {
    let mut list = kinds.budgets.clone();
    for (i, budget) in list.iter_mut().enumerate() {
        // Some recorded names are such as the API server would refuse.
        budget["metadata"]["name"] = json!(format!("budget-{i}"));
    }
    let specs = objects::read(&list, &mut world.symbols)?.disruption_budgets;
    for (object, spec) in kinds.budgets.iter().zip(specs) {
        let allowed = object["status"]["disruptionsAllowed"].as_i64().unwrap_or(0);
        world.restore_budget(spec, allowed);
    }
    Ok(())
}

/// Further well-known keys only matter when a NodePool or a pod names one.
fn refuse_further_well_known(options: &Value, symbols: &Symbols) -> Result<(), NotComparable> {
    let keys = options["extraWellKnownLabels"].as_array().into_iter().flatten();
    match keys.filter_map(Value::as_str).find(|key| symbols.find(key).is_some()) {
        Some(key) => Err(not_modelled(format!("well-known label {key}"))),
        None => Ok(()),
    }
}

/// When a condition became True; `None` while it is not.
fn condition(object: &Value, name: &str) -> Option<SimTime> {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let condition = conditions.find(|c| c["type"] == name && c["status"] == "True")?;
    Some(instant(&condition["lastTransitionTime"]).unwrap_or(SimTime::ZERO))
}

/// DaemonSets; where a pod of one exists, the newest pod's specification stands for its template.
fn daemon_sets(
    kinds: &Objects,
    classes: &[Arc<PodClass>],
    symbols: &mut Symbols,
) -> Result<Vec<DaemonSet>, NotComparable> {
    let mut sets = objects::read(&kinds.daemon_sets, symbols)?.daemon_sets;
    for set in &mut sets {
        let pods = kinds.pods.iter().enumerate().filter(|(_, pod)| is_daemon_of(pod, set));
        let newest = pods.max_by_key(|(i, pod)| (pod.created_at, std::cmp::Reverse(*i)));
        if let Some((i, _)) = newest {
            let mut class = classes[i].as_ref().clone();
            // The template's required affinity stands for the pod's, which names its node.
            let required = &set.template.node_affinity.required;
            if !required.is_empty() {
                class.node_affinity.required.clone_from(required);
            }
            set.template = Arc::new(class);
        }
    }
    Ok(sets)
}

fn is_daemon_of(pod: &RecordedPod, set: &DaemonSet) -> bool {
    pod.daemon_set.as_deref() == Some(&set.name) && *pod.namespace == *set.namespace
}

/// NodeClaims and Nodes. Returns the Nodes by name.
fn restore_nodes(
    kinds: &Objects,
    types: &Arc<Vec<InstanceType>>,
    world: &mut World,
) -> Result<BTreeMap<String, NodeId>, NotComparable> {
    // The first Node of an instance stands for it.
    let mut by_instance: BTreeMap<&str, &Value> = BTreeMap::new();
    for node in &kinds.nodes {
        if let Some(provider_id) = node["spec"]["providerID"].as_str() {
            by_instance.entry(provider_id).or_insert(node);
        }
    }
    let node_of = |claim: &Value| by_instance.get(claim["status"]["providerID"].as_str()?).copied();
    let mut claims: BTreeMap<String, ClaimId> = BTreeMap::new();
    for claim in &kinds.node_claims {
        let node = node_of(claim);
        let found = claim_of(claim, node, types, world)?;
        let id = world.restore_claim(found);
        if let Some(name) = node.and_then(|node| node["metadata"]["name"].as_str()) {
            claims.insert(name.to_owned(), id);
        }
    }
    let mut nodes = BTreeMap::new();
    for node in &kinds.nodes {
        let name = node["metadata"]["name"].as_str().unwrap_or_default();
        let claim = claims.get(name).copied();
        let found = found_node(node, claim, world)?;
        nodes.insert(name.to_owned(), world.restore_node(claim, found));
    }
    Ok(nodes)
}

fn claim_of(
    claim: &Value,
    node: Option<&Value>,
    types: &Arc<Vec<InstanceType>>,
    world: &mut World,
) -> Result<FoundClaim, NotComparable> {
    let metadata = &claim["metadata"];
    let own_name = metadata["name"].as_str().unwrap_or_default();
    let node_name = node.and_then(|node| node["metadata"]["name"].as_str());
    let labels = labels(&metadata["labels"], &mut world.symbols);
    let pool = labels.get(label::NODEPOOL).map(|pool| world.symbols.text(pool.symbol).to_owned());
    let pool = pool.and_then(|pool| world.cluster.find_pool(&pool));
    let pool = pool.ok_or_else(|| malformed(format!("NodeClaim {own_name} without NodePool")))?;
    let mut template = world.cluster.pools[pool].spec.as_ref().clone();
    template.template.taints = taints(&claim["spec"]["taints"], &mut world.symbols)?;
    template.template.startup_taints = taints(&claim["spec"]["startupTaints"], &mut world.symbols)?;
    template.template.expire_after = duration(&claim["spec"]["expireAfter"]);
    template.template.termination_grace_period = duration(&claim["spec"]["terminationGracePeriod"]);
    let initialized_label =
        node.map(|node| &node["metadata"]["labels"]["karpenter.sh/initialized"]);
    let is_initialized = initialized_label.is_some_and(|label| label == "true");
    let registered = node.map(|_| condition(claim, "Registered").unwrap_or(SimTime::ZERO));
    let initialized =
        is_initialized.then(|| condition(claim, "Initialized").unwrap_or(SimTime::ZERO));
    Ok(FoundClaim {
        name: node_name.unwrap_or(own_name).into(),
        pool,
        template: Arc::new(template),
        created_at: instant(&metadata["creationTimestamp"]).unwrap_or(SimTime::ZERO),
        requirements: catalogue::requirements(&claim["spec"]["requirements"], &mut world.symbols)?,
        instance: instance(claim, &labels, types, world)?,
        labels,
        registered_at: registered,
        initialized_at: initialized,
        consolidatable: condition(claim, "Consolidatable").is_some(),
        drifted: condition(claim, "Drifted").map(|since| Drift { reason: "Drifted".into(), since }),
        last_pod_event_at: instant(&claim["status"]["lastPodEventTime"]),
        deletion_at: instant(&metadata["deletionTimestamp"]),
    })
}

fn instance(
    claim: &Value,
    labels: &Labels,
    types: &Arc<Vec<InstanceType>>,
    world: &World,
) -> Result<FoundInstance, NotComparable> {
    let text = |key| labels.get(key).map(|value| world.symbols.text(value.symbol));
    let named = labels.get(label::INSTANCE_TYPE);
    let listed = types.iter().position(|it| Some(it.name) == named);
    let instance_type = match listed {
        Some(index) => InstanceTypeRef { list: types.clone(), index },
        None => InstanceTypeRef { list: Arc::new(vec![unlisted_type(claim, named)?]), index: 0 },
    };
    let zone = labels.get(label::ZONE).ok_or_else(|| malformed("NodeClaim without zone"))?;
    let capacity_type = text(label::CAPACITY_TYPE).and_then(CapacityType::parse);
    let capacity_type =
        capacity_type.ok_or_else(|| malformed("NodeClaim without capacity type"))?;
    let provider_id = claim["status"]["providerID"].as_str().unwrap_or_default();
    Ok(FoundInstance {
        price: instance_type.get().offering_price(zone, capacity_type).unwrap_or(0.0),
        instance_type,
        zone,
        capacity_type,
        provider_id: provider_id.into(),
    })
}

/// The type of a node that the provider does not list any longer, as the NodeClaim's status tells of it.
fn unlisted_type(claim: &Value, name: Option<LabelValue>) -> Result<InstanceType, NotComparable> {
    let name = name.ok_or_else(|| malformed("NodeClaim without instance type"))?;
    Ok(InstanceType {
        name,
        requirements: Requirements::default(),
        capacity: catalogue::resources(&claim["status"]["capacity"])?,
        allocatable: catalogue::resources(&claim["status"]["allocatable"])?,
        bare_metal: false,
        has_ami: true,
        offerings: Vec::new(),
    })
}

fn found_node(
    node: &Value,
    claim: Option<ClaimId>,
    world: &mut World,
) -> Result<FoundNode, NotComparable> {
    let mut allocatable = catalogue::resources(&node["status"]["allocatable"])?;
    let claim = claim.map(|id| &world.cluster.claims[id]).filter(|c| !c.is_initialized());
    if let Some(instance) = claim.and_then(|claim| claim.instance.as_ref()) {
        // Until a node is initialized its claim's promise stands for what the kubelet has not reported yet.
        for (name, promised) in instance.instance_type.get().allocatable.iter() {
            if allocatable.get(name) == 0 {
                allocatable.set(name, promised);
            }
        }
    }
    Ok(FoundNode {
        name: node["metadata"]["name"].as_str().unwrap_or_default().into(),
        created_at: instant(&node["metadata"]["creationTimestamp"]).unwrap_or(SimTime::ZERO),
        labels: labels(&node["metadata"]["labels"], &mut world.symbols),
        taints: taints(&node["spec"]["taints"], &mut world.symbols)?,
        allocatable,
        ready: condition(node, "Ready").is_some(),
        do_not_disrupt: node["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "true",
    })
}

fn labels(map: &Value, symbols: &mut Symbols) -> Labels {
    let entries = map.as_object().into_iter().flatten();
    let entry = |(key, value): (&String, &Value)| {
        let value = symbols.intern_value(value.as_str().unwrap_or_default());
        (symbols.intern(label::normalize(key)), value)
    };
    entries.map(entry).collect()
}

fn taints(list: &Value, symbols: &mut Symbols) -> Result<Vec<Taint>, NotComparable> {
    let entries = list.as_array().into_iter().flatten();
    entries
        .map(|entry| {
            let effect = entry["effect"].as_str().and_then(Effect::parse);
            let (Some(key), Some(effect)) = (entry["key"].as_str(), effect) else {
                return Err(malformed(format!("taint without key or effect: {entry}")));
            };
            let value = entry["value"].as_str().unwrap_or_default();
            let (key, value) = (symbols.intern_value(key), symbols.intern_value(value));
            Ok(Taint { key, value, effect })
        })
        .collect()
}

/// A duration; `None` for `Never` and when absent.
fn duration(value: &Value) -> Option<SimDuration> {
    SimDuration::parse(value.as_str()?)
}

fn restore_pods(
    kinds: &Objects,
    classes: &[Arc<PodClass>],
    nodes: &BTreeMap<String, NodeId>,
    world: &mut World,
) -> Result<(), NotComparable> {
    let mut uids: Vec<&str> = kinds.pods.iter().map(|pod| pod.uid.as_str()).collect();
    uids.sort_unstable();
    for (pod, class) in kinds.pods.iter().zip(classes) {
        // A finished one neither takes room nor counts anywhere.
        if pod.is_finished {
            continue;
        }
        let name = &pod.name;
        let bound = match &pod.node {
            Some(node) => {
                let id = nodes.get(node);
                let id =
                    id.ok_or_else(|| malformed(format!("pod {name} on unknown node {node}")))?;
                Some((*id, pod.started_at.unwrap_or(SimTime::ZERO)))
            }
            None => None,
        };
        let daemon = world.cluster.daemon_sets.iter().position(|set| is_daemon_of(pod, set));
        let owner = match (&pod.daemon_set, daemon) {
            (Some(_), Some(index)) => Owner::DaemonSet(index),
            (Some(_), None) => {
                return Err(malformed(format!("pod {name} of an unknown DaemonSet")));
            }
            (None, _) => Owner::Bare,
        };
        world.restore_pod(FoundPod {
            name: name.as_str().into(),
            uid: uids.binary_search(&pod.uid.as_str()).unwrap_or_default() as u64,
            class: class.clone(),
            owner,
            created_at: pod.created_at.unwrap_or(SimTime::ZERO),
            unschedulable: pod.is_unschedulable,
            deletion_at: pod.deletion_at,
            bound,
        });
    }
    Ok(())
}
