//! Invariants that a sound run never breaks: here the world is damaged by hand in the instant in which they are checked.

use std::sync::Arc;

use karpsim::ec2::InstanceType;
use karpsim::kube::pod::NodeAffinity;
use karpsim::kube::taint::Effect;
use karpsim::kube::topology::{InclusionPolicy, Namespaces, PodAffinityTerm, SpreadConstraint};
use karpsim::kube::{HostPort, LabelSelector, PodClass, Requirement, Requirements, Taint, label};
use karpsim::simulation::history::History;
use karpsim::world::journal::Record;
use karpsim::world::{Fact, PodId, World};

use crate::fuzz::{simulation, web};

/// For two pods on an m5.xlarge; from 300 s on there is one, which would fit on an m5.large.
const POOL: &str = "apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: pool}
spec:
  disruption: {consolidationPolicy: Balanced, consolidateAfter: 30s}
  template:
    spec:
      nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}
      requirements:
        - {key: node.kubernetes.io/instance-type, operator: In, values: [m5.large, m5.xlarge, m5.2xlarge]}
        - {key: karpenter.sh/capacity-type, operator: In, values: [on-demand]}
";

const SCENARIO: &str =
    "horizon: \"30m\", timeline: [At(\"300s\", Scale(\"Deployment/shop/web\", 1))]";

/// The violation that is told when the first event with a fact that is `wanted` leaves a damaged world. Without the
/// damage there is none.
fn broken(
    wanted: impl Fn(&Fact) -> bool,
    damage: impl FnOnce(&mut World, &mut Vec<Record>),
) -> String {
    let mut simulation = simulation(&format!("{POOL}---\n{}", web(2, "1500m")), SCENARIO);
    let mut history = History::default();
    loop {
        let mut records: Vec<Record> = simulation.drain_journal().collect();
        let mut before = history.clone();
        history.fold(simulation.world(), &records).expect("a sound run");
        if records.iter().any(|record| wanted(&record.fact)) {
            let mut world = simulation.world().clone();
            damage(&mut world, &mut records);
            return before.fold(&world, &records).expect_err("it is broken");
        }
        simulation.step().expect("the fact comes");
    }
}

/// The violation when the classes of the two pods are changed in the instant in which they are bound, one after the
/// other.
fn mismatched(change: impl Fn(&mut World, usize, &mut PodClass)) -> String {
    broken(is_binding, |world, records| {
        let pods: Vec<PodId> = records
            .iter()
            .filter_map(|record| match &record.fact {
                Fact::PodBound { pod, .. } => world.cluster.pods_by_ordinal.get(&pod.ordinal),
                _ => None,
            })
            .copied()
            .collect();
        assert_eq!(pods.len(), 2, "{records:?}");
        for (turn, pod) in pods.into_iter().enumerate() {
            let mut class = world.cluster.pods[pod].class.as_ref().clone();
            change(world, turn, &mut class);
            world.cluster.pods[pod].class = Arc::new(class);
        }
    })
}

fn is_binding(fact: &Fact) -> bool {
    matches!(fact, Fact::PodBound { .. })
}

fn is_launch(fact: &Fact) -> bool {
    matches!(fact, Fact::Launched { .. })
}

fn selector(world: &mut World, app: &str) -> Option<LabelSelector> {
    let mut selector = LabelSelector::default();
    selector.require(world.symbols.intern("app"), world.symbols.intern_value(app));
    Some(selector)
}

fn term(world: &mut World, app: &str) -> PodAffinityTerm {
    let selector = selector(world, app);
    PodAffinityTerm { key: label::ZONE, selector, namespaces: Namespaces::default() }
}

#[test]
fn bindings_to_a_node_that_does_not_suit_are_told() {
    let node = |damage: fn(&mut World, karpsim::world::NodeId)| {
        broken(is_binding, |world, _| {
            let node = *world.cluster.nodes_by_name.values().next().expect("a node");
            damage(world, node);
        })
    };
    let small = node(|world, node| world.cluster.nodes[node].allocatable.set("cpu", 2_000));
    assert!(small.contains("1500 + 1500 cpu of 2000"), "{small}");
    let tainted = node(|world, node| {
        let (key, value) =
            (world.symbols.intern_value("dedicated"), world.symbols.intern_value(""));
        world.cluster.nodes[node].taints.push(Taint { key, value, effect: Effect::NoSchedule });
    });
    assert!(tainted.contains("it does not tolerate dedicated:NoSchedule"), "{tainted}");
    let elsewhere = mismatched(|world, _, class| {
        let zone = world.symbols.intern_value("us-east-1b");
        let selector = Requirements::from_iter([(label::ZONE, Requirement::is(zone))]);
        class.node_affinity = NodeAffinity { selector, ..NodeAffinity::default() };
    });
    assert!(elsewhere.contains("its node affinity wants another node"), "{elsewhere}");
}

#[test]
fn bindings_next_to_pods_that_do_not_suit_are_told() {
    let ports = mismatched(|_, _, class| class.host_ports.push(HostPort::tcp(80)));
    assert!(ports.contains("has its host port"), "{ports}");
    let shy = |turn| {
        mismatched(move |world, which, class| {
            let term = term(world, "web");
            class.pod_anti_affinity.required.extend((which == turn).then_some(term));
        })
    };
    assert!(shy(1).contains("its anti-affinity avoids shop/web-"), "{}", shy(1));
    assert!(shy(0).contains("the anti-affinity of shop/web-"), "{}", shy(0));
    let lonely = mismatched(|world, _, class| {
        class.pod_affinity.required.push(term(world, "db"));
    });
    assert!(lonely.contains("nothing that its affinity wants is near"), "{lonely}");
    let uneven = mismatched(|world, _, class| {
        class.spread.push(SpreadConstraint {
            key: label::ZONE,
            max_skew: 1,
            min_domains: Some(2),
            hard: true,
            selector: selector(world, "web"),
            node_affinity: InclusionPolicy::Honor,
            node_taints: InclusionPolicy::Ignore,
        });
    });
    assert!(uneven.contains("2 in its domain, 0 in the emptiest"), "{uneven}");
}

/// Changes the instance type of a name in the first NodePool's list.
fn change_type(world: &mut World, name: &str, change: impl Fn(&mut InstanceType)) {
    let mut types = world.cluster.pools[0].types.to_vec();
    let named = |it: &&mut InstanceType| world.symbols.text(it.name.symbol) == name;
    change(types.iter_mut().find(named).expect("it is listed"));
    world.cluster.pools[0].types = Arc::new(types);
}

#[test]
fn launches_that_the_provider_would_not_make_are_told() {
    let told = |name, change: fn(&mut InstanceType)| {
        broken(is_launch, |world, _| change_type(world, name, change))
    };
    let sold_out = told("m5.xlarge", |it| {
        it.offerings.iter_mut().for_each(|offering| offering.available = false);
    });
    assert!(sold_out.starts_with("m5.xlarge is none of its offerings"), "{sold_out}");
    let small = told("m5.xlarge", |it| it.allocatable.set("cpu", 2_000));
    assert!(small.starts_with("m5.xlarge is none of its offerings"), "{small}");
    let dear = told("m5.2xlarge", |it| {
        it.offerings.iter_mut().for_each(|offering| offering.price = 0.01);
    });
    assert!(dear.starts_with("a m5.2xlarge (on-demand) costs 0.01, not 0.192"), "{dear}");
    let exotic = told("m5.xlarge", |it| it.bare_metal = true);
    assert!(exotic.starts_with("the provider does not ask for what was launched"), "{exotic}");
}

#[test]
fn consolidations_that_save_too_little_are_told() {
    let found = |fact: &Fact| matches!(fact, Fact::DisruptionComputed(_));
    let told = |savings: f64, decision: &'static str| {
        broken(found, |_, records| {
            for record in records {
                if let Fact::DisruptionComputed(command) = &mut record.fact {
                    (command.savings, command.decision) = (savings, decision);
                }
            }
        })
    };
    // Half of what the NodePool costs, for all of its disruption cost, is just enough.
    let little = told(0.09, "replace");
    assert!(little.starts_with("it scores 0.46875 in pool"), "{little}");
    let wrong = told(0.096, "delete");
    assert!(wrong.starts_with("it saves 0.096, not 0.192"), "{wrong}");
    // A NodeClaim that costs more makes the NodePool dearer, and the same saving a smaller part of it.
    let small = broken(found, |world, _| {
        let claim = *world.cluster.claims_by_name.values().next().expect("a NodeClaim");
        let instance = world.cluster.claims[claim].instance.as_mut().expect("it is launched");
        instance.price = 0.4;
    });
    assert!(small.starts_with("it scores 0.24"), "{small}");
}

#[test]
fn replacements_that_may_cost_as_much_are_told() {
    let started = |fact: &Fact| matches!(fact, Fact::DisruptionStarted { .. });
    let told = broken(started, |world, _| {
        change_type(world, "m5.large", |it| {
            it.offerings.iter_mut().for_each(|offering| offering.price = 0.192);
        });
    });
    assert!(told.starts_with("a m5.large for 0.192 may replace what costs 0.192"), "{told}");
}
