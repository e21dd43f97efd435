//! Random clusters, decided with all that a Solve remembers and with the plain evaluation: the decisions are the same.
#![cfg(test)]

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::case::Case;
use super::lab::{Lab, instance_type, node_pool, pod};
use super::outcome::Launch;
use super::snapshot;
use crate::karpenter::provisioner;
use crate::scheduling::{Ground, Purpose, Solution, Templates, plain, solve, solve_on};
use crate::world::{ClaimId, ClusterView, PodId};

const ZONES: [&str; 3] = ["z1", "z2", "z3"];
const TYPES: [(&str, i64, i64, f64); 6] = [
    ("t-01", 1, 4, 0.04),
    ("t-02", 2, 8, 0.08),
    ("t-04", 4, 30, 0.16),
    ("t-08", 8, 30, 0.31),
    ("t-16", 16, 60, 0.62),
    ("u-04", 4, 30, 0.16),
];

/// Splitmix64: choices that a seed determines.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.roll(list.len() as u64) as usize]
    }

    fn app(&mut self) -> String {
        format!("app-{}", self.roll(4))
    }
}

/// Types of which some are sold as spot or reserved too, and some are out of stock somewhere.
fn types(dice: &mut Dice) -> Vec<Value> {
    let one = |&(name, cpu, pods, price): &(&str, i64, i64, f64)| {
        let mut it = instance_type(name, (cpu, pods), &ZONES, price);
        for zone in ZONES {
            let available = !dice.one_in(4);
            let price = price / 3.0;
            let spot = json!({ "zone": zone, "capacityType": "spot", "price": price, "available": available });
            it["offerings"].as_array_mut().expect("a list").push(spot);
            if dice.one_in(12) {
                it["offerings"].as_array_mut().expect("a list").push(json!({
                    "zone": zone, "capacityType": "reserved", "price": 1e-8, "available": true,
                    "reservationId": format!("r-{name}"), "reservationCapacity": 1 + dice.roll(3),
                }));
            }
        }
        it["requirements"][3]["values"] = json!(["on-demand", "spot", "reserved"]);
        it["overhead"] = json!({ "kubeReserved": { "cpu": "60m", "memory": "100Mi" } });
        it
    };
    TYPES.iter().map(one).collect()
}

fn pools(dice: &mut Dice) -> Vec<Value> {
    let count = 1 + dice.roll(3);
    let one = |i: u64| {
        let mut requirements = vec![];
        if dice.one_in(2) {
            let how = dice.pick(&[
                &["on-demand"][..],
                &["spot"],
                &["spot", "on-demand"],
                &["reserved", "spot"],
            ]);
            requirements.push(
                json!({ "key": "karpenter.sh/capacity-type", "operator": "In", "values": how }),
            );
        }
        if dice.one_in(4) {
            let zones = &ZONES[..1 + dice.roll(2) as usize];
            requirements.push(
                json!({ "key": "topology.kubernetes.io/zone", "operator": "In", "values": zones }),
            );
        }
        if dice.one_in(4) {
            requirements.push(json!({
                "key": "node.kubernetes.io/instance-type", "operator": "Exists", "minValues": 1 + dice.roll(4),
            }));
        }
        if dice.one_in(2) {
            requirements.push(json!({ "key": "team", "operator": "In", "values": ["a", "b"] }));
        }
        let mut pool = node_pool(&format!("pool-{i}"), json!(requirements));
        if dice.one_in(3) {
            pool["spec"]["weight"] = json!(1 + dice.roll(3));
        }
        if dice.one_in(3) {
            let effect = dice.pick(&["NoSchedule", "PreferNoSchedule"]);
            pool["spec"]["template"]["spec"]["taints"] =
                json!([{ "key": "own", "value": "x", "effect": effect }]);
        }
        match dice.roll(5) {
            0 => pool["spec"]["limits"] = json!({ "cpu": 4 + dice.roll(30) }),
            1 => {
                pool["spec"]["limits"] =
                    json!({ "memory": format!("{}Gi", 4 + dice.roll(60)), "nodes": dice.roll(6) })
            }
            _ => {}
        }
        pool
    };
    (0..count).map(one).collect()
}

fn term(dice: &mut Dice) -> Value {
    let key = dice.pick(&["topology.kubernetes.io/zone", "kubernetes.io/hostname", "team"]);
    json!({ "topologyKey": key, "labelSelector": { "matchLabels": { "app": dice.app() } } })
}

fn node_term(dice: &mut Dice) -> Value {
    let expression = match dice.roll(5) {
        0 => {
            json!({ "key": "topology.kubernetes.io/zone", "operator": "In", "values": [dice.pick(&ZONES), "z1"] })
        }
        1 => {
            json!({ "key": "topology.kubernetes.io/zone", "operator": "NotIn", "values": [dice.pick(&ZONES)] })
        }
        2 => {
            let how = dice.pick(&["spot", "on-demand"]);
            json!({ "key": "karpenter.sh/capacity-type", "operator": "In", "values": [how] })
        }
        3 => json!({ "key": "team", "operator": dice.pick(&["Exists", "DoesNotExist"]) }),
        _ => json!({ "key": "team", "operator": "In", "values": [dice.pick(&["a", "b", "c"])] }),
    };
    json!({ "matchExpressions": [expression] })
}

/// What the pods of a class want, apart from CPU.
fn wishes(dice: &mut Dice) -> Value {
    let mut spec = json!({});
    if dice.one_in(5) {
        spec["nodeSelector"] = json!({ "topology.kubernetes.io/zone": dice.pick(&ZONES) });
    }
    if dice.one_in(3) {
        let list = |dice: &mut Dice| -> Vec<Value> {
            (0..1 + dice.roll(2)).map(|_| node_term(dice)).collect()
        };
        if dice.one_in(2) {
            spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
                json!({ "nodeSelectorTerms": list(dice) });
        } else {
            let terms = list(dice)
                .into_iter()
                .map(|term| json!({ "weight": 1 + dice.roll(9), "preference": term }));
            spec["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] =
                terms.collect();
        }
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        match dice.roll(6) {
            0 => {
                spec["affinity"][kind]["requiredDuringSchedulingIgnoredDuringExecution"] =
                    json!([term(dice)])
            }
            1 => {
                spec["affinity"][kind]["preferredDuringSchedulingIgnoredDuringExecution"] =
                    json!([{ "weight": 1 + dice.roll(9), "podAffinityTerm": term(dice) }]);
            }
            _ => {}
        }
    }
    if dice.one_in(3) {
        let one = |dice: &mut Dice| {
            let mut constraint = term(dice);
            constraint["maxSkew"] = json!(1 + dice.roll(2));
            constraint["whenUnsatisfiable"] =
                json!(dice.pick(&["DoNotSchedule", "ScheduleAnyway"]));
            if constraint["whenUnsatisfiable"] == "DoNotSchedule" && dice.one_in(4) {
                constraint["minDomains"] = json!(1 + dice.roll(4));
            }
            constraint
        };
        spec["topologySpreadConstraints"] = (0..1 + dice.roll(2)).map(|_| one(dice)).collect();
    }
    if dice.one_in(2) {
        spec["tolerations"] = json!([{ "key": "own", "operator": "Exists" }]);
    }
    spec
}

fn lab(seed: u64) -> Lab {
    let dice = &mut Dice(seed);
    let mut lab = Lab::new(types(dice), pools(dice));
    if dice.one_in(4) {
        lab.options["minValuesPolicy"] = json!("BestEffort");
    }
    if dice.one_in(4) {
        lab.options["preferencePolicy"] = json!("Ignore");
    }
    if dice.one_in(3) {
        let daemon =
            json!({ "key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"] });
        lab.objects.push(json!({
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": { "name": "agent", "namespace": "default" },
            "spec": { "selector": {}, "template": { "spec": {
                "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution":
                    { "nodeSelectorTerms": [{ "matchExpressions": [daemon] }] } } },
                "containers": [{ "name": "main", "resources": { "requests": { "cpu": "200m" } } }],
            } } },
        }));
    }
    let nodes: Vec<String> = (0..dice.roll(5))
        .map(|_| {
            let launch = Launch {
                instance_type: TYPES[dice.roll(6) as usize].0.to_owned(),
                zone: (*dice.pick(&ZONES)).to_owned(),
                capacity_type: (*dice.pick(&["spot", "on-demand"])).to_owned(),
                price: 0.0,
            };
            lab.launch("pool-0", &launch)
        })
        .collect();
    let mut number = 0;
    for _ in 0..1 + dice.roll(6) {
        let (labels, spec) = (json!({ "app": dice.app() }), wishes(dice));
        let ports =
            dice.one_in(8).then(|| json!([{ "containerPort": 80, "hostPort": 80 + dice.roll(2) }]));
        let cpu = *dice.pick(&[&"100m", &"500m", &"900m", &"1900m", &"3", &"20"]);
        for _ in 0..1 + dice.roll(12) {
            number += 1;
            let cpu = if dice.one_in(6) { "300m" } else { cpu };
            let mut pod = pod(&format!("pod-{number:03}"), &labels, cpu, &spec);
            if let Some(ports) = &ports {
                pod["spec"]["containers"][0]["ports"] = ports.clone();
            }
            if !nodes.is_empty() && dice.one_in(5) {
                let node = &nodes[dice.roll(nodes.len() as u64) as usize];
                pod["spec"]["nodeName"] = json!(node);
            }
            lab.add_pods([pod]);
        }
    }
    lab
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_solve_remembers_decides_nothing(seed in any::<u64>()) {
        for (remembering, plain) in decisions(seed) {
            prop_assert_eq!(remembering, plain);
        }
    }
}

/// Decisions on a cluster: with all that is remembered, on a ground that is kept from one to the next, and with the
/// plain evaluation. The batch comes first, and again last; between them are what-ifs that take nodes away.
fn decisions(seed: u64) -> Vec<(Solution, Solution)> {
    let mut snapshot =
        snapshot::read(Case::of(&lab(seed).case()).expect("a case")).expect("a sound case");
    // What-ifs go on to their end, whatever they find.
    Arc::make_mut(&mut snapshot.world.settings).plain = true;
    let view = snapshot.world.view();
    let templates = Templates::build(&view);
    let ground = &mut Ground::new(&view, &templates);
    let pods = provisioner::pods_to_place(&view);
    let mut decisions = Vec::new();
    let mut compare = |view: &ClusterView<'_>, pods: &[PodId], purpose: Purpose| {
        let kept = solve_on(ground, view, &templates, pods, (purpose, None));
        let plain = plain::evaluated(|| solve(view, &Templates::build(view), pods, purpose));
        decisions.push((kept, plain));
    };
    compare(&view, &pods, Purpose::Provision);
    let nodes: Vec<ClaimId> = view.active_state_nodes().map(|(id, _)| id).collect();
    for (taken, purpose) in
        [(1, Purpose::Consolidation), (2, Purpose::Consolidation), (1, Purpose::Replacement)]
    {
        for removed in nodes.windows(taken) {
            let mut pods = pods.clone();
            for id in removed {
                pods.extend(view.currently_reschedulable_pods(&view.cluster.claims[*id]));
            }
            compare(&view.without(removed), &pods, purpose);
        }
    }
    compare(&view, &pods, Purpose::Provision);
    decisions
}

/// The claims stood in another order here when the last pods had failed without a look at any of them.
#[test]
fn claims_are_in_the_order_of_the_last_sort() {
    for (remembering, plain) in decisions(6_127_513_108_917_512_451) {
        assert_eq!(remembering, plain);
    }
}

/// The random clusters exercise what they are meant to.
#[test]
fn random_clusters_are_varied() {
    let solutions: Vec<Solution> =
        (0..80).flat_map(decisions).map(|(solution, _)| solution).collect();
    let count = |holds: fn(&Solution) -> bool| solutions.iter().filter(|s| holds(s)).count();
    for (what, found) in [
        ("existing nodes take pods", count(|s| !s.existing.is_empty())),
        ("claims are made", count(|s| s.claims.len() > 3)),
        ("claims take several pods", count(|s| s.claims.iter().any(|claim| claim.pods.len() > 3))),
        ("pods are left", count(|s| !s.unplaced.is_empty())),
        ("pods wait for reserved capacity", count(|s| !s.deferred.is_empty())),
    ] {
        assert!(found >= 4, "{what}: {found} times");
    }
}
