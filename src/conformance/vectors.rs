//! The test vectors of `provisioning.md` 15.5 to 15.12: what a cluster of three zones decides, batch after batch.
#![cfg(test)]

use serde_json::{Value, json};

use super::lab::{Lab, instance_type, node_pool, pod};
use super::outcome::Launch;

const ZONES: [&str; 3] = ["z1", "z2", "z3"];
const ZONE: &str = "topology.kubernetes.io/zone";
const HOST: &str = "kubernetes.io/hostname";

/// Types of 2, 4 and 8 CPUs, the larger the dearer, in all zones.
fn types() -> Vec<Value> {
    [(2, 0.1), (4, 0.2), (8, 0.4)]
        .map(|(cpu, price)| instance_type(&format!("t{cpu}"), (cpu, 100), &ZONES, price))
        .into()
}

fn zones_in(zones: &[&str]) -> Value {
    json!([{ "key": ZONE, "operator": "In", "values": zones }])
}

/// One NodePool in these zones.
fn lab(zones: &[&str]) -> Lab {
    Lab::new(types(), vec![node_pool("default", zones_in(zones))])
}

fn web() -> Value {
    json!({ "app": "web" })
}

/// So many pods of 1.1 CPU, two of which fill no node but the largest.
fn pods(prefix: &str, count: usize, labels: &Value, spec: &Value) -> Vec<Value> {
    let name = |i: usize| format!("{prefix}-{i:02}");
    (0..count).map(|i| pod(&name(i), labels, "1100m", spec)).collect()
}

fn spread(key: &str, max_skew: i32) -> Value {
    json!({ "topologySpreadConstraints": [{
        "topologyKey": key, "maxSkew": max_skew, "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": { "matchLabels": web() },
    }] })
}

fn affinity(kind: &str, key: &str, app: &str) -> Value {
    let term = json!({ "topologyKey": key, "labelSelector": { "matchLabels": { "app": app } } });
    json!({ "affinity": { kind: { "requiredDuringSchedulingIgnoredDuringExecution": [term] } } })
}

/// A bound pod in a zone, on a node of its own.
fn settle(lab: &mut Lab, name: &str, zone: &str) {
    let launch = Launch {
        instance_type: "t2".into(),
        zone: zone.into(),
        capacity_type: "on-demand".into(),
        price: 0.1,
    };
    let node = lab.launch("default", &launch);
    let mut pod = pod(name, &web(), "1900m", &json!({}));
    pod["spec"]["nodeName"] = json!(node);
    lab.add_pods([pod]);
}

/// The skew of the app `web` by zone after one batch, and the pods that are left.
fn spread_by_zone(lab: &mut Lab) -> (Vec<usize>, usize) {
    let left = lab.batch().unschedulable.len();
    (lab.skew(("app", "web"), ZONE), left)
}

/// 15.5, rows 1, 2, 3, 5 and 12.
#[test]
fn pods_spread_over_zones() {
    let zonal = spread(ZONE, 1);
    let mut plain = lab(&ZONES);
    plain.add_pods(pods("p", 4, &web(), &zonal));
    assert_eq!(spread_by_zone(&mut plain), (vec![1, 1, 2], 0));

    let mut bounded = lab(&["z1", "z2"]);
    settle(&mut bounded, "old", "z3");
    bounded.add_pods(pods("p", 6, &web(), &zonal));
    assert_eq!(spread_by_zone(&mut bounded), (vec![1, 2, 2], 2));

    let mut loose = lab(&["z3"]);
    settle(&mut loose, "old-1", "z1");
    settle(&mut loose, "old-2", "z2");
    loose.add_pods(pods("p", 10, &web(), &spread(ZONE, 5)));
    assert_eq!(spread_by_zone(&mut loose), (vec![1, 1, 6], 4));

    let mut moved = lab(&["z2", "z3"]);
    settle(&mut moved, "old", "z1");
    moved.add_pods(pods("p", 10, &web(), &zonal));
    assert_eq!(spread_by_zone(&mut moved), (vec![1, 2, 2], 6));

    let mut soft = lab(&ZONES);
    let mut spec = zonal.clone();
    let term =
        json!({ "matchExpressions": [{ "key": ZONE, "operator": "In", "values": ["z1", "z2"] }] });
    spec["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] =
        json!([{ "weight": 1, "preference": term }]);
    soft.add_pods(pods("p", 6, &web(), &spec));
    assert_eq!(spread_by_zone(&mut soft), (vec![2, 2, 2], 0));
}

/// 15.5, row 4: what is gone does not count.
#[test]
fn deleted_pods_leave_a_skew_behind() {
    let mut lab = lab(&ZONES);
    lab.add_pods(pods("p", 9, &web(), &spread(ZONE, 1)));
    assert_eq!(spread_by_zone(&mut lab), (vec![3, 3, 3], 0));
    let in_z1: Vec<Value> = (lab.objects.iter())
        .filter(|object| object["kind"] == "Node" && object["metadata"]["labels"][ZONE] == "z1")
        .map(|node| node["metadata"]["name"].clone())
        .collect();
    let elsewhere =
        |object: &Value| object["kind"] == "Pod" && !in_z1.contains(&object["spec"]["nodeName"]);
    lab.objects.retain(|object| !elsewhere(object));
    lab.add_pods(pods("q", 3, &web(), &spread(ZONE, 1)));
    assert_eq!(spread_by_zone(&mut lab), (vec![1, 2, 3], 0));
}

/// 15.5, rows 6 and 7.
#[test]
fn domains_are_counted_against_their_minimum() {
    let with = |minimum: i32| {
        let mut spec = spread(ZONE, 1);
        spec["topologySpreadConstraints"][0]["minDomains"] = json!(minimum);
        spec
    };
    let mut few = lab(&["z1", "z2"]);
    few.add_pods(pods("p", 3, &web(), &with(3)));
    assert_eq!(spread_by_zone(&mut few), (vec![1, 1], 1));
    for minimum in [2, 3] {
        let mut enough = lab(&ZONES);
        enough.add_pods(pods("p", 11, &web(), &with(minimum)));
        assert_eq!(spread_by_zone(&mut enough), (vec![3, 4, 4], 0));
    }
}

/// 15.5, rows 8, 9 and 10.
#[test]
fn selectors_that_do_not_match_and_keys_that_do_not_exist() {
    let small = |labels: &Value, spec: &Value, count: usize| -> Vec<Value> {
        (0..count).map(|i| pod(&format!("p-{i}"), labels, "100m", spec)).collect()
    };
    let mut foreign = lab(&ZONES);
    foreign.add_pods(small(&json!({ "app": "other" }), &spread(HOST, 1), 5));
    assert!(foreign.batch().unschedulable.is_empty());
    assert_eq!(foreign.used_nodes(), 1);

    let mut none = lab(&ZONES);
    let mut spec = spread(ZONE, 1);
    spec["topologySpreadConstraints"][0]
        .as_object_mut()
        .expect("an object")
        .remove("labelSelector");
    none.add_pods(small(&web(), &spec, 2));
    assert_eq!(spread_by_zone(&mut none), (vec![2], 0));
    assert_eq!(none.used_nodes(), 1);

    let mut unknown = lab(&ZONES);
    unknown.add_pods(small(&web(), &spread("unknown", 1), 2));
    assert_eq!(unknown.batch().unschedulable.len(), 2);
}

/// 15.5, rows 11 and 13.
#[test]
fn node_affinity_bounds_the_domains() {
    let within = |zones: &[&str]| {
        let mut spec = spread(ZONE, 1);
        let term = json!({ "matchExpressions": zones_in(zones) });
        spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
            json!({ "nodeSelectorTerms": [term] });
        spec
    };
    let mut lab_1 = lab(&ZONES);
    lab_1.add_pods(pods("a", 6, &web(), &within(&["z1", "z2"])));
    assert_eq!(spread_by_zone(&mut lab_1), (vec![3, 3], 0));
    lab_1.add_pods(pods("b", 1, &web(), &within(&["z2", "z3"])));
    assert_eq!(spread_by_zone(&mut lab_1), (vec![1, 3, 3], 0));
    lab_1.add_pods(pods("c", 5, &web(), &spread(ZONE, 1)));
    assert_eq!(spread_by_zone(&mut lab_1), (vec![4, 4, 4], 0));

    let mut lab_2 = lab(&ZONES);
    for (prefix, count, zone) in [("a", 5, "z1"), ("b", 10, "z2")] {
        let mut spec = spread(ZONE, 1);
        spec["nodeSelector"] = json!({ ZONE: zone });
        lab_2.add_pods(pods(prefix, count, &web(), &spec));
    }
    assert_eq!(spread_by_zone(&mut lab_2), (vec![5, 10], 0));
}

/// 15.6.
#[test]
fn pods_spread_over_hosts() {
    for (max_skew, nodes) in [(1, 4), (4, 1)] {
        let mut lab = lab(&ZONES);
        lab.add_pods(pods("p", 4, &web(), &spread(HOST, max_skew)));
        assert!(lab.batch().unschedulable.is_empty());
        assert_eq!(lab.used_nodes(), nodes);
    }
    let mut two = lab(&ZONES);
    for app in ["web", "api"] {
        let labels = json!({ "app": app });
        let mut spec = spread(HOST, 1);
        spec["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"] = labels.clone();
        two.add_pods(pods(app, 2, &labels, &spec));
    }
    assert!(two.batch().unschedulable.is_empty());
    assert_eq!(two.used_nodes(), 2);
}

/// 15.7, rows 1 to 4.
#[test]
fn pods_gather_where_their_kind_is() {
    let mut one = lab(&ZONES);
    one.add_pods(pods("p", 3, &web(), &affinity("podAffinity", HOST, "web")));
    assert!(one.batch().unschedulable.is_empty());
    assert_eq!(one.used_nodes(), 1);

    let mut full = Lab::new(
        vec![instance_type("t8", (8, 5), &ZONES, 0.4)],
        vec![node_pool("default", json!([]))],
    );
    full.add_pods(pods("p", 10, &web(), &affinity("podAffinity", HOST, "web")));
    assert_eq!(full.batch().unschedulable.len(), 5);
    assert_eq!(full.batch().unschedulable.len(), 5, "in later batches too");
    assert_eq!(full.used_nodes(), 1);

    let mut zonal = lab(&ZONES);
    let mut spec = affinity("podAffinity", ZONE, "web");
    let term = json!({ "matchExpressions": zones_in(&["z3"]) });
    spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
        json!({ "nodeSelectorTerms": [term] });
    zonal.add_pods(pods("p", 3, &web(), &spec));
    let pass = zonal.batch();
    assert!(pass.claims.iter().all(|c| c.launch.as_ref().is_some_and(|l| l.zone == "z3")));
    assert_eq!(zonal.used_nodes(), 1);

    let mut lonely = lab(&ZONES);
    lonely.add_pods(pods("p", 1, &web(), &affinity("podAffinity", HOST, "nobody")));
    assert_eq!(lonely.batch().unschedulable.len(), 1);
}

/// 15.7, rows 5 to 7.
#[test]
fn pods_follow_a_target() {
    for (pinned, first) in [(false, 1), (true, 11)] {
        let mut lab = lab(&ZONES);
        let target = if pinned { json!({ "nodeSelector": { ZONE: "z1" } }) } else { json!({}) };
        lab.add_pods(pods("target", 1, &json!({ "app": "db" }), &target));
        lab.add_pods(pods("p", 10, &web(), &affinity("podAffinity", ZONE, "db")));
        assert_eq!(lab.batch().unschedulable.len(), 11 - first);
        assert_eq!(lab.batch().unschedulable.len(), 0);
        assert_eq!(lab.skew(("app", "web"), ZONE), [10]);
    }
    let chain = [("ui", Some("cache")), ("cache", Some("web")), ("web", Some("db")), ("db", None)];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        let mut lab = lab(&ZONES);
        for (place, i) in order.into_iter().enumerate() {
            let (app, near) = chain[i];
            let spec = near.map_or(json!({}), |near| affinity("podAffinity", HOST, near));
            lab.add_pods(pods(&format!("{place}"), 1, &json!({ "app": app }), &spec));
        }
        assert!(lab.batch().unschedulable.is_empty());
        assert_eq!(lab.used_nodes(), 1);
    }
}

/// 15.7, row 8: where the zone is open, all zones are blocked for the rest of the batch.
#[test]
fn zonal_anti_affinity_takes_one_batch_a_pod() {
    let mut lab = lab(&ZONES);
    lab.add_pods(pods("p", 5, &web(), &affinity("podAntiAffinity", ZONE, "web")));
    for left in [4, 3, 2, 2, 2] {
        assert_eq!(lab.batch().unschedulable.len(), left);
    }
    assert_eq!(lab.skew(("app", "web"), ZONE), [1, 1, 1]);
}

/// 15.7, rows 9 to 12.
#[test]
fn anti_affinity_works_both_ways() {
    let pinned = |spec: &Value| -> Vec<Value> {
        let one = |zone: &&str| {
            let mut spec = spec.clone();
            spec["nodeSelector"] = json!({ ZONE: zone });
            pod(&format!("large-{zone}"), &web(), "1900m", &spec)
        };
        ZONES.iter().map(one).collect()
    };
    let small = |spec: &Value| pod("small", &json!({ "app": "small" }), "100m", spec);
    let away = affinity("podAntiAffinity", ZONE, "small");
    let mut preferred = json!({});
    let term =
        &away["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0];
    preferred["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] =
        json!([{ "weight": 1, "podAffinityTerm": term }]);
    for (large, spec, left) in [
        (json!({}), affinity("podAntiAffinity", ZONE, "web"), 1),
        (away.clone(), json!({}), 1),
        (preferred, json!({}), 0),
    ] {
        let mut lab = lab(&ZONES);
        lab.add_pods(pinned(&large));
        lab.add_pods([small(&spec)]);
        assert_eq!(lab.batch().unschedulable.len(), left);
    }
    let mut open = lab(&ZONES);
    open.add_pods([pod("large", &web(), "1900m", &away), small(&json!({}))]);
    assert_eq!(open.batch().unschedulable.len(), 1);
    assert_eq!(open.batch().unschedulable.len(), 0);
    let zone = |app: &str| open.domains(("app", app), ZONE).into_keys().collect::<Vec<_>>();
    assert_ne!(zone("small"), zone("web"));
}

/// 15.8: a pod that needs another one of the same batch is tried again.
#[test]
fn a_pod_waits_for_the_one_it_needs() {
    let mut lab = lab(&ZONES);
    let needs = affinity("podAffinity", HOST, "b");
    lab.add_pods([
        pod("a", &json!({ "app": "a" }), "500m", &needs),
        pod("b", &json!({ "app": "b" }), "500m", &json!({})),
    ]);
    let pass = lab.batch();
    assert!(pass.unschedulable.is_empty());
    assert_eq!(pass.claims.len(), 1);
    assert_eq!(pass.claims[0].pods, ["default/a", "default/b"]);
}

/// Pods of 1.5 CPU that keep apart.
fn apart(count: usize) -> Vec<Value> {
    let spec = affinity("podAntiAffinity", HOST, "web");
    (0..count).map(|i| pod(&format!("p-{i:02}"), &web(), "1500m", &spec)).collect()
}

/// 15.9, rows 1 and 2: a claim is charged with its largest option.
#[test]
fn limits_are_charged_with_the_largest_option() {
    let mut tight = lab(&ZONES);
    tight.types.truncate(2);
    tight.objects[0]["spec"]["limits"] = json!({ "cpu": 3 });
    tight.add_pods(apart(2));
    assert_eq!((tight.decide().claims.len(), tight.decide().unschedulable.len()), (1, 1));
    let mut wide = lab(&ZONES);
    wide.objects[0]["spec"]["limits"] = json!({ "cpu": 10 });
    wide.add_pods(apart(10));
    let pass = wide.decide();
    let mut options: Vec<&[u64]> = pass.claims.iter().map(|claim| &claim.options[..]).collect();
    options.sort_unstable();
    assert_eq!(options, [&[0][..], &[0, 1, 2]]);
    assert_eq!(pass.unschedulable.len(), 8);
}

/// 15.9, rows 3 and 4 (Q1): within one batch the limit on nodes holds nothing back.
#[test]
fn the_limit_on_nodes_counts_between_batches() {
    let mut burst = lab(&ZONES);
    burst.objects[0]["spec"]["limits"] = json!({ "nodes": 2 });
    burst.add_pods(apart(3));
    assert_eq!(burst.decide().claims.len(), 3);
    let mut slow = lab(&ZONES);
    slow.objects[0]["spec"]["limits"] = json!({ "nodes": 2 });
    for (pod, left) in apart(3).into_iter().zip([0, 0, 1]) {
        slow.add_pods([pod]);
        assert_eq!(slow.batch().unschedulable.len(), left);
    }
}

/// 15.10.
#[test]
fn large_pods_go_first_and_small_ones_fill_the_gaps() {
    let of_memory = |name: String, memory: &str| {
        let mut pod = pod(&name, &json!({}), "1m", &json!({}));
        pod["spec"]["containers"][0]["resources"]["requests"] = json!({ "memory": memory });
        pod
    };
    let mut packed = Lab::new(
        vec![instance_type("t2", (2, 100), &ZONES, 0.1)],
        vec![node_pool("default", json!([]))],
    );
    packed.add_pods((0..40).map(|i| of_memory(format!("large-{i:02}"), "1800M")));
    packed.add_pods((0..20).map(|i| of_memory(format!("small-{i:02}"), "400M")));
    let pass = packed.decide();
    assert_eq!(pass.claims.len(), 20);
    for claim in &pass.claims {
        let large = claim.pods.iter().filter(|pod| pod.contains("large")).count();
        assert_eq!((large, claim.pods.len()), (2, 3));
    }
    let few = [("a", 1, 0.1), ("b", 2, 0.2)];
    let few = few.map(|(name, cpu, price)| instance_type(name, (cpu, 5), &ZONES, price));
    let mut tiny = Lab::new(few.into(), vec![node_pool("default", json!([]))]);
    tiny.add_pods((0..25).map(|i| pod(&format!("p-{i:02}"), &json!({}), "1m", &json!({}))));
    let pass = tiny.decide();
    assert_eq!(pass.claims.len(), 5);
    let cheapest = |claim: &super::outcome::Claim| {
        claim.launch.as_ref().is_some_and(|launch| launch.instance_type == "a")
    };
    assert!(pass.claims.iter().all(cheapest));
}

/// 15.11.
#[test]
fn min_values_that_cannot_be_kept() {
    let key = "node.kubernetes.io/instance-type";
    let wanted =
        json!([{ "key": key, "operator": "In", "values": ["t2", "t4", "t8"], "minValues": 3 }]);
    let mut strict = Lab::new(types()[..2].to_vec(), vec![node_pool("default", wanted)]);
    strict.add_pods(pods("p", 1, &web(), &json!({})));
    let pass = strict.decide();
    assert_eq!((pass.claims.len(), pass.unschedulable.len()), (0, 1));
    let mut lighter = node_pool("a-lighter", json!([]));
    strict.objects[0]["spec"]["weight"] = json!(10);
    lighter["spec"]["weight"] = json!(1);
    strict.objects.push(lighter);
    assert_eq!(strict.decide().claims[0].nodepool, "a-lighter");
    strict.options["minValuesPolicy"] = json!("BestEffort");
    let pass = strict.decide();
    let [claim] = pass.claims.as_slice() else { panic!("one claim") };
    assert_eq!(claim.nodepool, "default");
    assert_eq!(claim.options, [0, 1]);
    let names = claim.requirements.iter().find(|text| text.starts_with(key));
    assert!(names.is_some_and(|text| text.contains('2')), "minValues is lowered: {names:?}");
}

/// The two smaller types, each with a reservation for one instance.
fn reserved_types() -> Vec<Value> {
    let mut reserved = types();
    reserved.truncate(2);
    for (it, id) in reserved.iter_mut().zip(["r-small", "r-medium"]) {
        it["requirements"][3]["values"] = json!(["on-demand", "reserved"]);
        let offer = json!({
            "zone": "z1", "capacityType": "reserved", "price": 1e-8, "available": true,
            "reservationId": id, "reservationCapacity": 1,
        });
        it["offerings"].as_array_mut().expect("a list").push(offer);
    }
    reserved
}

/// What a batch launches that makes one claim and leaves so many pods. The launch uses its reservation up, as the
/// provider says from then on.
fn reserved_batch(lab: &mut Lab, left: usize) -> Launch {
    let pass = lab.batch();
    assert_eq!(pass.unschedulable.len(), left);
    let [claim] = pass.claims.as_slice() else { panic!("one claim a batch") };
    let launch = claim.launch.clone().expect("a launch");
    let named = |it: &&mut Value| it["name"] == launch.instance_type;
    for it in lab.types.iter_mut().filter(named) {
        let offerings = it["offerings"].as_array_mut().expect("a list");
        for offering in offerings.iter_mut().filter(|o| o["capacityType"] == launch.capacity_type) {
            if offering.get("reservationId").is_some() {
                offering["available"] = json!(false);
                offering["reservationCapacity"] = json!(0);
            }
        }
    }
    launch
}

/// 15.12.
#[test]
fn reserved_capacity_is_used_batch_by_batch() {
    let mut lab = Lab::new(reserved_types(), vec![node_pool("default", json!([]))]);
    lab.add_pods(apart(3));
    for (left, kind) in [(2, "reserved"), (1, "reserved"), (0, "on-demand")] {
        assert_eq!(reserved_batch(&mut lab, left).capacity_type, kind);
    }
}

/// 15.12: reserved capacity that is taken for now does not send a pod to a lighter NodePool.
#[test]
fn a_lighter_node_pool_gets_no_pod_that_waits_for_reserved_capacity() {
    let only = |name: &str| json!([{ "key": "node.kubernetes.io/instance-type", "operator": "In", "values": [name] }]);
    let (mut heavy, mut light) = (node_pool("heavy", only("t2")), node_pool("light", only("t4")));
    heavy["spec"]["weight"] = json!(100);
    light["spec"]["weight"] = json!(50);
    let mut lab = Lab::new(reserved_types(), vec![heavy, light]);
    lab.add_pods(apart(2));
    for (left, kind) in [(1, "reserved"), (0, "on-demand")] {
        let launch = reserved_batch(&mut lab, left);
        assert_eq!((launch.instance_type.as_str(), launch.capacity_type.as_str()), ("t2", kind));
    }
}
