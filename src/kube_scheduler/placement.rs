//! Filters of kube-scheduler that look at other pods and at volumes: what one class of pods may not be near, and what
//! it must be near.
//!
//! Upstream: Kubernetes v1.36 `pkg/scheduler/framework/plugins/{podtopologyspread,interpodaffinity,nodeports}`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::kube::pod::labels_satisfy;
use crate::kube::taint::Effect;
use crate::kube::topology::{InclusionPolicy, PodAffinityTerm, SpreadConstraint};
use crate::kube::volume::Storage;
use crate::kube::{Labels, PodClass, port};
use crate::units::{LabelValue, Symbol};
use crate::world::World;
use crate::world::cluster::{Node, Pod};

/// Pods by domain of a topology key.
type Counts = BTreeMap<LabelValue, i64>;

/// What the pods of one class find in the cluster (PreFilter). It is kept up to date with every pod that is bound.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    class: Arc<PodClass>,
    spread: Vec<Spread>,
    affinity: Vec<Term>,
    anti_affinity: Vec<Term>,
    /// Domains that pods there keep the class out of.
    forbidden: BTreeSet<(Symbol, LabelValue)>,
    namespaces: BTreeMap<Arc<str>, Labels>,
}

/// A hard spread constraint with its counts.
#[derive(Clone, Debug)]
struct Spread {
    constraint: SpreadConstraint,
    /// The class matches its own selector.
    own: i64,
    counts: Counts,
}

/// A required term with the domains in which pods match it (of affinity: match all terms).
#[derive(Clone, Debug)]
struct Term {
    key: Symbol,
    counts: Counts,
}

/// True iff an affinity term of a pod in namespace `own` means pods of `class`.
fn means(
    term: &PodAffinityTerm,
    own: &Arc<str>,
    class: &PodClass,
    namespaces: &BTreeMap<Arc<str>, Labels>,
) -> bool {
    term.selector.as_ref().is_some_and(|selector| selector.matches(&class.labels))
        && term.namespaces.resolve(own, namespaces).contains(&class.namespace)
}

impl Surroundings {
    /// Looks at all pods on nodes.
    pub(super) fn survey(world: &World, class: &Arc<PodClass>) -> Surroundings {
        let hard = class.spread.iter().filter(|constraint| constraint.hard);
        let terms = |terms: &[PodAffinityTerm]| {
            terms.iter().map(|t| Term { key: t.key, counts: Counts::new() }).collect()
        };
        let mut surroundings = Surroundings {
            class: class.clone(),
            spread: hard.map(|constraint| Spread::new(constraint, class)).collect(),
            affinity: terms(&class.pod_affinity.required),
            anti_affinity: terms(&class.pod_anti_affinity.required),
            forbidden: BTreeSet::new(),
            namespaces: world.cluster.namespaces.clone(),
        };
        if surroundings.looks_at_pods() {
            for node in world.cluster.nodes_by_name.values().map(|id| &world.cluster.nodes[*id]) {
                surroundings.open(node);
                let pods = node.pods.iter().map(|pod| &world.cluster.pods[*pod]);
                for pod in pods.filter(|pod| !pod.is_finished()) {
                    surroundings.meet(node, pod);
                }
            }
        } else {
            for id in world.cluster.repelling.values() {
                let pod = &world.cluster.pods[*id];
                if let Some(node) = pod.node {
                    surroundings.avoid(&world.cluster.nodes[node], pod);
                }
            }
        }
        surroundings
    }

    /// Other pods may keep the class out of some node.
    pub(super) fn are_particular(&self) -> bool {
        self.looks_at_pods() || !self.forbidden.is_empty()
    }

    fn looks_at_pods(&self) -> bool {
        !(self.spread.is_empty() && self.affinity.is_empty() && self.anti_affinity.is_empty())
    }

    /// A pod was bound to a node.
    pub(super) fn meet(&mut self, node: &Node, pod: &Pod) {
        self.count_for_spread(node, pod, 1);
        let (own, class) = (self.class.namespace.clone(), &self.class);
        let required = &class.pod_affinity.required;
        let all = required.iter().all(|term| means(term, &own, &pod.class, &self.namespaces));
        let affinity = self.affinity.iter_mut().filter(|_| all);
        let anti = class.pod_anti_affinity.required.iter().zip(&mut self.anti_affinity);
        let anti = anti.filter(|(term, _)| means(term, &own, &pod.class, &self.namespaces));
        for term in affinity.chain(anti.map(|(_, term)| term)) {
            if let Some(domain) = node.labels.get(term.key) {
                *term.counts.entry(domain).or_default() += 1;
            }
        }
        self.avoid(node, pod);
    }

    /// A pod's own anti-affinity keeps the class out of its domain.
    fn avoid(&mut self, node: &Node, pod: &Pod) {
        for term in &pod.class.pod_anti_affinity.required {
            if means(term, &pod.class.namespace, &self.class, &self.namespaces)
                && let Some(domain) = node.labels.get(term.key)
            {
                self.forbidden.insert((term.key, domain));
            }
        }
    }

    /// A node's domains exist for spreading, with or without pods.
    fn open(&mut self, node: &Node) {
        for i in 0..self.spread.len() {
            if let Some(domain) = self.counted_domain(i, node) {
                self.spread[i].counts.entry(domain).or_default();
            }
        }
    }

    fn count_for_spread(&mut self, node: &Node, pod: &Pod, pods: i64) {
        for i in 0..self.spread.len() {
            let selector = self.spread[i].constraint.selector.as_ref();
            // An empty selector counts nothing.
            let selected = selector.is_some_and(|s| !s.is_empty() && s.matches(&pod.class.labels));
            if selected
                && pod.is_active()
                && pod.class.namespace == self.class.namespace
                && let Some(domain) = self.counted_domain(i, node)
            {
                *self.spread[i].counts.entry(domain).or_default() += pods;
            }
        }
    }

    /// The node's domain for a spread constraint, if the node counts for it.
    fn counted_domain(&self, constraint: usize, node: &Node) -> Option<LabelValue> {
        let Spread { constraint, .. } = &self.spread[constraint];
        let has_keys = self.spread.iter().all(|s| node.labels.get(s.constraint.key).is_some());
        let affine = constraint.node_affinity == InclusionPolicy::Ignore
            || self.class.node_affinity.matches(&node.labels);
        let tolerated = constraint.node_taints == InclusionPolicy::Ignore
            || node.taints.iter().all(|taint| {
                taint.effect == Effect::PreferNoSchedule || self.class.tolerates(taint)
            });
        (has_keys && affine && tolerated).then(|| node.labels.get(constraint.key)).flatten()
    }

    /// True iff a pod of the class may be bound to the node, as far as other pods are concerned.
    pub(super) fn admits(&self, node: &Node) -> bool {
        self.spread.iter().all(|spread| spread.admits(&node.labels))
            && self.admits_affinity(&node.labels)
            && self.anti_affinity.iter().all(|term| term.count(&node.labels) == 0)
            && self.forbidden.iter().all(|(key, domain)| node.labels.get(*key) != Some(*domain))
    }

    fn admits_affinity(&self, labels: &Labels) -> bool {
        if self.affinity.iter().any(|term| labels.get(term.key).is_none()) {
            return false;
        }
        if self.affinity.iter().all(|term| term.count(labels) > 0) {
            return true;
        }
        // The first of a series that wants to be together may go anywhere.
        let nobody = self.affinity.iter().all(|term| term.counts.is_empty());
        let (own, class) = (&self.class.namespace, &self.class);
        let terms = &class.pod_affinity.required;
        nobody && terms.iter().all(|term| means(term, own, class, &self.namespaces))
    }
}

impl Spread {
    fn new(constraint: &SpreadConstraint, class: &PodClass) -> Spread {
        let own = constraint.selector.as_ref().is_some_and(|s| s.matches(&class.labels));
        Spread { constraint: constraint.clone(), own: i64::from(own), counts: Counts::new() }
    }

    fn admits(&self, labels: &Labels) -> bool {
        let Some(domain) = labels.get(self.constraint.key) else {
            return false;
        };
        let wanted = i64::from(self.constraint.min_domains.unwrap_or(1));
        let least = match (self.counts.len() as i64) < wanted {
            true => 0,
            false => self.counts.values().copied().min().unwrap_or(0),
        };
        let count = self.counts.get(&domain).copied().unwrap_or(0);
        count + self.own - least <= i64::from(self.constraint.max_skew)
    }
}

impl Term {
    fn count(&self, labels: &Labels) -> i64 {
        let domain = labels.get(self.key);
        domain.and_then(|domain| self.counts.get(&domain)).copied().unwrap_or(0)
    }
}

/// True iff no pod on the node has one of the class's host ports.
pub(super) fn has_free_ports(world: &World, node: &Node, class: &PodClass) -> bool {
    class.host_ports.is_empty()
        || node.pods.iter().all(|pod| {
            let pod = &world.cluster.pods[*pod];
            pod.is_finished() || !port::conflict(&class.host_ports, &pod.class.host_ports)
        })
}

/// True iff the pod's volumes can be used on the node: their zones, and the number that the node attaches.
pub(super) fn admits_volumes(world: &World, node: &Node, pod: &Pod) -> bool {
    let storage = &world.cluster.storage;
    pod.class.volumes.iter().all(|volume| {
        let claim = storage.claim(&pod.class.namespace, volume, &pod.name);
        claim.is_some_and(|claim| {
            let class = claim.storage_class.as_ref().and_then(|name| storage.classes.get(name));
            let topologies = match &claim.volume {
                Some(volume) => storage.volumes.get(volume).map(|volume| &volume.topologies),
                None => class.filter(|class| !class.immediate).map(|class| &class.topologies),
            };
            topologies.is_some_and(|terms| {
                terms.is_empty() || terms.iter().any(|term| labels_satisfy(&node.labels, term))
            })
        })
    }) && within_attach_limits(world, storage, node, pod)
}

fn within_attach_limits(world: &World, storage: &Storage, node: &Node, pod: &Pod) -> bool {
    let Some(limits) = storage.attach_limits.get(&node.name) else {
        return true;
    };
    let claims = |pod: &Pod, driver: &Arc<str>| -> Vec<(Arc<str>, Arc<str>)> {
        let volumes = pod.class.volumes.iter();
        let keys = volumes.map(|v| (pod.class.namespace.clone(), v.claim_name(&pod.name)));
        let of_driver = |key: &(Arc<str>, Arc<str>)| {
            storage.claims.get(key).and_then(|c| storage.driver(c)) == Some(driver)
        };
        keys.filter(of_driver).collect()
    };
    limits.iter().all(|(driver, limit)| {
        let new = claims(pod, driver);
        let there = node.pods.iter().map(|id| &world.cluster.pods[*id]);
        let there = there.filter(|pod| !pod.is_finished());
        let mut all: BTreeSet<_> = there.flat_map(|pod| claims(pod, driver)).collect();
        let before = all.len();
        all.extend(new);
        all.len() == before || all.len() <= *limit
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Distribution;
    use crate::kube::pod::{DoNotDisrupt, NodeAffinity};
    use crate::kube::topology::{Namespaces, PodAffinity};
    use crate::kube::volume::{PodVolume, VolumeClaim};
    use crate::kube::{HostPort, LabelSelector, Requirement, Requirements, label};
    use crate::units::{ResourceVec, SimDuration, SimTime};
    use crate::world::cluster::{Cluster, Owner};
    use crate::world::restore::{FoundNode, FoundPod};
    use crate::world::settings::{
        JobRetries, KarpenterOptions, Latency, PodUids, SchedulerTies, TieBreaks, VictimRule,
    };
    use crate::world::{NodeId, Settings};

    /// Nodes `a`, `b` ... in zones of the same letters, one for each letter of `zones`.
    fn world(zones: &str) -> (World, Vec<NodeId>) {
        let none = || Distribution::Fixed(0);
        let latency = Latency {
            create: none(),
            running: none(),
            ready: none(),
            initialized: none(),
            terminate: none(),
            detach: none(),
            message: none(),
            pod_start: none(),
            image_pull: none(),
            pod_stop: none(),
        };
        let settings = Settings {
            start_epoch_seconds: 0,
            seed: 1,
            tie_breaks: TieBreaks::Canonical,
            latency,
            scheduler_ties: SchedulerTies::Name,
            victims: VictimRule::Newest,
            job_retries: JobRetries::AtOnce,
            pod_uids: PodUids::CreationOrder,
            plain: false,
            controller_latency: SimDuration::ZERO,
            unavailable_for: SimDuration::ZERO,
            karpenter: KarpenterOptions::default(),
        };
        let mut world = World::new(Arc::new(settings), label::vocabulary(), Cluster::default());
        let nodes = zones.chars().enumerate().map(|(i, zone)| {
            let zone = world.symbols.intern_value(&zone.to_string());
            let name = world.symbols.intern_value(&format!("node-{i}"));
            let mut allocatable = ResourceVec::default();
            allocatable.set("pods", 100);
            let found = FoundNode {
                name: format!("node-{i}").into(),
                created_at: SimTime::ZERO,
                labels: Labels::from_iter([(label::ZONE, zone), (label::HOSTNAME, name)]),
                taints: Vec::new(),
                allocatable,
                ready: true,
                do_not_disrupt: false,
            };
            world.restore_node(None, found)
        });
        let nodes = nodes.collect();
        (world, nodes)
    }

    fn class(world: &mut World, app: &str) -> PodClass {
        let (key, value) = (world.symbols.intern("app"), world.symbols.intern_value(app));
        PodClass {
            namespace: "default".into(),
            labels: Labels::from_iter([(key, value)]),
            requests: ResourceVec::default(),
            nonzero_cpu_milli: 0,
            nonzero_memory_bytes: 0,
            node_affinity: NodeAffinity::default(),
            spread: Vec::new(),
            pod_affinity: PodAffinity::default(),
            pod_anti_affinity: PodAffinity::default(),
            host_ports: Vec::new(),
            volumes: Vec::new(),
            tolerations: Vec::new(),
            priority: 0,
            critical: false,
            grace: SimDuration::ZERO,
            do_not_disrupt: DoNotDisrupt::No,
            deletion_cost: 0,
            ready_delay: SimDuration::ZERO,
            images: Vec::new(),
            workload: app.into(),
        }
    }

    fn selector(world: &mut World, app: &str) -> Option<LabelSelector> {
        let mut selector = LabelSelector::default();
        selector.require(world.symbols.intern("app"), world.symbols.intern_value(app));
        Some(selector)
    }

    fn term(world: &mut World, key: Symbol, app: &str) -> PodAffinityTerm {
        let selector = selector(world, app);
        PodAffinityTerm { key, selector, namespaces: Namespaces::default() }
    }

    fn run(world: &mut World, class: &Arc<PodClass>, node: NodeId, pods: usize) {
        for i in 0..pods {
            let name = format!("{}-{i}", class.workload).into();
            let bound = Some((node, SimTime::ZERO));
            let class = class.clone();
            let (uid, owner, created_at) = (0, Owner::Bare, SimTime::ZERO);
            let (unschedulable, deletion_at) = (true, None);
            world.restore_pod(FoundPod {
                name,
                uid,
                class,
                owner,
                created_at,
                unschedulable,
                deletion_at,
                bound,
            });
        }
    }

    /// Whether each node admits the class.
    fn admitted(world: &World, class: &PodClass) -> Vec<bool> {
        let surroundings = Surroundings::survey(world, &Arc::new(class.clone()));
        let nodes = world.cluster.nodes_by_name.values().map(|id| &world.cluster.nodes[*id]);
        nodes.map(|node| surroundings.admits(node)).collect()
    }

    fn zonal_spread(world: &mut World, min_domains: Option<i32>) -> PodClass {
        let mut class = class(world, "web");
        class.spread.push(SpreadConstraint {
            key: label::ZONE,
            max_skew: 1,
            min_domains,
            hard: true,
            selector: selector(world, "web"),
            node_affinity: InclusionPolicy::Honor,
            node_taints: InclusionPolicy::Ignore,
        });
        class
    }

    /// `kube-scheduler.md` 20, vectors 8 and 9.
    #[test]
    fn spreading_keeps_within_the_skew() {
        let (mut world, nodes) = world("abc");
        let class = zonal_spread(&mut world, None);
        let shared = Arc::new(class.clone());
        for (node, pods) in nodes.iter().zip([3, 2, 2]) {
            run(&mut world, &shared, *node, pods);
        }
        assert_eq!(admitted(&world, &class), [false, true, true]);

        let (mut world, nodes) = self::world("abc");
        let class = zonal_spread(&mut world, Some(4));
        let shared = Arc::new(class.clone());
        nodes.iter().for_each(|node| run(&mut world, &shared, *node, 1));
        assert_eq!(admitted(&world, &class), [false; 3]);
    }

    /// `kube-scheduler.md` 7.2.
    #[test]
    fn affinity_wants_company_and_the_first_of_a_series_goes_anywhere() {
        let (mut world, nodes) = world("aab");
        let mut web = class(&mut world, "web");
        web.pod_affinity.required.push(term(&mut world, label::ZONE, "db"));
        assert_eq!(admitted(&world, &web), [false; 3]);
        let db = Arc::new(class(&mut world, "db"));
        run(&mut world, &db, nodes[0], 1);
        assert_eq!(admitted(&world, &web), [true, true, false]);

        let mut own = class(&mut world, "own");
        own.pod_affinity.required.push(term(&mut world, label::HOSTNAME, "own"));
        assert_eq!(admitted(&world, &own), [true; 3]);
        run(&mut world, &Arc::new(own.clone()), nodes[2], 1);
        assert_eq!(admitted(&world, &own), [false, false, true]);
    }

    /// `kube-scheduler.md` 7.2: anti-affinity works both ways.
    #[test]
    fn anti_affinity_keeps_away_and_is_kept_away() {
        let (mut world, nodes) = world("aab");
        let plain = class(&mut world, "db");
        let mut shy = class(&mut world, "shy");
        shy.pod_anti_affinity.required.push(term(&mut world, label::ZONE, "db"));
        run(&mut world, &Arc::new(shy.clone()), nodes[0], 1);
        assert_eq!(admitted(&world, &plain), [false, false, true]);
        run(&mut world, &Arc::new(plain), nodes[2], 1);
        assert_eq!(admitted(&world, &shy), [true, true, false]);
    }

    #[test]
    fn ports_and_volumes_tie_pods_to_nodes() {
        let (mut world, nodes) = world("ab");
        let mut class = class(&mut world, "web");
        class.host_ports.push(HostPort::tcp(80));
        class.volumes.push(PodVolume::Claim("data".into()));
        run(&mut world, &Arc::new(class.clone()), nodes[0], 1);
        let pod = world.cluster.nodes[nodes[0]].pods[0];
        let node = |i: usize| &world.cluster.nodes[nodes[i]];
        assert!(
            !has_free_ports(&world, node(0), &class) && has_free_ports(&world, node(1), &class)
        );
        let volumes = |world: &World| {
            nodes
                .iter()
                .map(|node| {
                    admits_volumes(world, &world.cluster.nodes[*node], &world.cluster.pods[pod])
                })
                .collect::<Vec<bool>>()
        };
        assert_eq!(volumes(&world), [false, false], "the claim does not exist");
        let zone = world.symbols.intern_value("b");
        let claim =
            VolumeClaim { volume: Some("pv".into()), bound: true, ..VolumeClaim::default() };
        let volume = crate::kube::volume::Volume {
            topologies: vec![Requirements::from_iter([(label::ZONE, Requirement::is(zone))])],
            ..crate::kube::volume::Volume::default()
        };
        world.cluster.storage.claims.insert(("default".into(), "data".into()), claim);
        world.cluster.storage.volumes.insert("pv".into(), volume);
        assert_eq!(volumes(&world), [false, true], "its zone");
    }
}
