//! Pods that run and stay, by class and node: what topology groups count at the start of a Solve. Kept from one Solve
//! to the next; what changed in between is counted anew.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/topology.go` (`countDomains`).

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::domain::Keys;
use super::topology::{Topology, identity_of, term_identity};
use super::topology_group::{Count, Group, GroupKind};
use crate::kube::requirement::Requirements;
use crate::kube::{Labels, PodClass, Taint, label};
use crate::units::{Symbol, Symbols};
use crate::world::cluster::{Node, NodeId, Pod};
use crate::world::{ClusterView, PodId};

/// Position of a pod class among those seen.
pub(super) type ClassIndex = usize;

/// A Node object, on its way out or not.
#[derive(Clone, Debug)]
struct CountedNode {
    name: Option<Symbol>,
    labels: Labels,
    taints: Vec<Taint>,
    /// Offers capacity: its domains exist even without pods.
    active: bool,
    /// Labels as Karpenter's state node has them: the NodeClaim's until it is registered.
    state_labels: Labels,
    requirements: Arc<Requirements>,
    /// Active pods.
    pods: SmallVec<[(ClassIndex, i32); 4]>,
    /// Pods with required anti-affinity, terminating ones included.
    repelling: SmallVec<[(ClassIndex, i32); 1]>,
}

impl CountedNode {
    /// The node's domain of a key; a host without the label is known by its name.
    fn domain(&self, key: Symbol) -> Option<Symbol> {
        let label = self.labels.get(key).map(|value| value.symbol);
        label.or(self.name.filter(|_| key == label::HOSTNAME))
    }
}

/// Running pods by domain, for one way of counting.
#[derive(Clone, Debug)]
struct Tally {
    count: Count,
    /// Position of the key.
    key: usize,
    /// Whether pods of a class count, as far as they were asked for.
    matches: Vec<Option<bool>>,
    /// Whether pods on a node count, by slot.
    counts_node: Vec<bool>,
    /// Pods by domain; `None` for a domain that no node makes known.
    pods: Vec<Option<i32>>,
    /// Nodes that make a domain known.
    present: Vec<i32>,
    /// Domains with pods.
    occupied: usize,
}

/// What a Solve leaves out: the nodes that are taken away, and pods of the batch where they run.
#[derive(Clone, Debug, Default)]
pub(super) struct Absent {
    nodes: Vec<u32>,
    pods: Vec<(u32, ClassIndex, i32)>,
    repelling: Vec<(u32, ClassIndex, i32)>,
}

/// Pods that keep others away, by what they repel.
#[derive(Clone, Debug, Default)]
struct Repulsion {
    /// Pods and their terms.
    owners: i32,
    pods: Vec<Option<i32>>,
}

/// One kind of required anti-affinity among the pods that run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeller {
    pub(super) identity: usize,
    /// Class of the first pod that has it.
    pub(super) class: ClassIndex,
}

/// All nodes with the pods that stay on them.
#[derive(Clone, Debug, Default)]
pub(super) struct Census {
    classes: Vec<Arc<PodClass>>,
    /// Terms of required anti-affinity of each class, by identity and key.
    terms: Vec<Vec<(usize, Symbol)>>,
    /// By address: the list above keeps the classes alive.
    places: FxHashMap<usize, ClassIndex>,
    nodes: Vec<Option<CountedNode>>,
    tallies: Vec<Tally>,
    known: FxHashMap<Count, usize>,
    repulsions: Vec<Repulsion>,
    /// Kinds of anti-affinity in the order of their first pods, while nothing about them changed.
    repellers: Option<Vec<Repeller>>,
    /// Pods of the same kind of anti-affinity tolerate different taints, so that it matters which comes first.
    is_mixed: bool,
    /// Nodes to look at again before anything is asked.
    uncounted: Uncounted,
}

/// Slots of Nodes, each once.
#[derive(Clone, Debug, Default)]
struct Uncounted {
    slots: Vec<u32>,
    is_in: Vec<bool>,
}

impl Uncounted {
    fn add(&mut self, slot: u32) {
        let place = slot as usize;
        if self.is_in.len() <= place {
            self.is_in.resize(place + 1, false);
        }
        if !std::mem::replace(&mut self.is_in[place], true) {
            self.slots.push(slot);
        }
    }

    /// All of them, in the order in which they were added.
    fn take(&mut self) -> Vec<u32> {
        self.slots.iter().for_each(|slot| self.is_in[*slot as usize] = false);
        std::mem::take(&mut self.slots)
    }
}

impl Topology {
    /// A Node was written. It is looked at again when a group first wants to know: in most clusters none does for long.
    pub(super) fn refresh_node(&mut self, slot: u32) {
        self.census.uncounted.add(slot);
    }

    /// Brings the census up to date with the cluster, whatever a what-if takes away.
    pub(super) fn count_nodes(&mut self, view: &ClusterView<'_>) {
        if self.census.uncounted.slots.is_empty() {
            return;
        }
        let all = view.without(&[]);
        for slot in self.census.uncounted.take() {
            let node = all.cluster.nodes.at(slot);
            for id in node.iter().flat_map(|(_, node)| &node.pods) {
                self.class(&all, &all.cluster.pods[*id].class);
            }
            self.census.refresh(&all, &mut self.keys, slot);
        }
    }

    /// A class becomes known to the census.
    fn class(&mut self, view: &ClusterView<'_>, class: &Arc<PodClass>) {
        let Topology { sources, keys, census, identities, identity_ids, .. } = self;
        census.class(class, || {
            let terms = class.pod_anti_affinity.required.iter().map(|term| {
                let details = term_identity(view, GroupKind::AntiAffinity, class, term);
                keys.position(sources, term.key);
                (identity_of(identities, identity_ids, details), term.key)
            });
            terms.collect()
        });
    }
}

impl Census {
    /// The position of a class. `terms` names the identities of a new one's required anti-affinity.
    pub(super) fn class(
        &mut self,
        class: &Arc<PodClass>,
        terms: impl FnOnce() -> Vec<(usize, Symbol)>,
    ) -> ClassIndex {
        let next = self.classes.len();
        let place = *self.places.entry(Arc::as_ptr(class) as usize).or_insert(next);
        if place == next {
            self.classes.push(class.clone());
            self.terms.push(terms());
        }
        place
    }

    /// A class that was seen.
    pub(super) fn class_at(&self, class: ClassIndex) -> &Arc<PodClass> {
        &self.classes[class]
    }

    fn find_class(&self, class: &Arc<PodClass>) -> Option<ClassIndex> {
        self.places.get(&(Arc::as_ptr(class) as usize)).copied()
    }

    /// Classes seen so far.
    pub(super) fn class_count(&self) -> usize {
        self.classes.len()
    }

    /// Looks at a node again. Its pods' classes must be known.
    pub(super) fn refresh(&mut self, view: &ClusterView<'_>, keys: &mut Keys, slot: u32) {
        let node = view.cluster.nodes.at(slot);
        let slot = slot as usize;
        if self.nodes.len() <= slot {
            self.nodes.resize_with(slot + 1, || None);
        }
        let old = self.nodes[slot].take();
        let new = node.map(|(_, node)| self.counted(view, node, old.as_ref()));
        if let Some(old) = &old {
            self.count_node(view.symbols, keys, old, slot, -1);
        }
        if let Some(new) = &new {
            self.count_node(view.symbols, keys, new, slot, 1);
        }
        let matters = |node: &Option<CountedNode>| {
            node.as_ref().is_some_and(|node| !node.repelling.is_empty())
        };
        if matters(&old) || matters(&new) {
            self.repellers = None;
        }
        self.nodes[slot] = new;
    }

    fn counted(
        &self,
        view: &ClusterView<'_>,
        node: &Node,
        old: Option<&CountedNode>,
    ) -> CountedNode {
        let claim = &view.cluster.claims[node.claim];
        let old = old.filter(|old| old.labels == node.labels);
        let requirements = old.map(|old| old.requirements.clone());
        let mut counted = CountedNode {
            name: view.symbols.find(&node.name),
            labels: node.labels.clone(),
            taints: node.taints.clone(),
            active: view.is_active(node.claim),
            state_labels: view.labels(claim).clone(),
            requirements: requirements
                .unwrap_or_else(|| Arc::new(Requirements::from_labels(&node.labels))),
            pods: SmallVec::new(),
            repelling: SmallVec::new(),
        };
        for id in &node.pods {
            let pod = &view.cluster.pods[*id];
            let Some(class) = self.find_class(&pod.class) else { continue };
            if repels(pod) {
                add_one(&mut counted.repelling, class);
            }
            if pod.is_active() {
                add_one(&mut counted.pods, class);
            }
        }
        counted
    }

    /// Counts a node and its pods, with a negative sign no longer.
    fn count_node(
        &mut self,
        symbols: &Symbols,
        keys: &mut Keys,
        node: &CountedNode,
        slot: usize,
        sign: i32,
    ) {
        for tally in &mut self.tallies {
            tally.count_node(symbols, keys, &self.classes, node, slot, sign);
        }
        for (class, number) in &node.repelling {
            for (identity, key) in &self.terms[*class] {
                self.repulsions
                    .resize_with(self.repulsions.len().max(identity + 1), Repulsion::default);
                let repulsion = &mut self.repulsions[*identity];
                repulsion.owners += sign * number;
                if let Some(value) = node.labels.get(*key) {
                    let domain = keys.table_of(*key).number(value);
                    *slot_of(&mut repulsion.pods, domain, None).get_or_insert(0) += sign * number;
                }
            }
        }
    }

    /// The tally of a way of counting, new or known.
    pub(super) fn tally(
        &mut self,
        symbols: &Symbols,
        keys: &mut Keys,
        count: Count,
        key: usize,
    ) -> usize {
        if let Some(known) = self.known.get(&count) {
            return *known;
        }
        let mut tally = Tally {
            count: count.clone(),
            key,
            matches: Vec::new(),
            counts_node: Vec::new(),
            pods: Vec::new(),
            present: Vec::new(),
            occupied: 0,
        };
        for (slot, node) in self.nodes.iter().enumerate() {
            if let Some(node) = node {
                tally.count_node(symbols, keys, &self.classes, node, slot, 1);
            }
        }
        self.known.insert(count, self.tallies.len());
        self.tallies.push(tally);
        self.tallies.len() - 1
    }

    /// The way of counting of a tally.
    pub(super) fn count(&self, tally: usize) -> &Count {
        &self.tallies[tally].count
    }

    /// What a Solve without `removed` leaves out, and where the pods of its `batch` run.
    pub(super) fn absent(
        &self,
        view: &ClusterView<'_>,
        removed: impl Iterator<Item = NodeId>,
        batch: &[PodId],
    ) -> Absent {
        let mut absent =
            Absent { nodes: removed.map(|node| node.slot()).collect(), ..Absent::default() };
        for id in batch {
            let pod = &view.cluster.pods[*id];
            let Some(node) = pod.node else { continue };
            let Some(class) = self.find_class(&pod.class) else { continue };
            if repels(pod) {
                absent.repelling.push((node.slot(), class, 1));
            }
            if !pod.is_active() {
                continue;
            }
            match absent.pods.last_mut() {
                Some((slot, last, count)) if (*slot, *last) == (node.slot(), class) => *count += 1,
                _ => absent.pods.push((node.slot(), class, 1)),
            }
        }
        absent
    }

    /// Fills a new group with the pods that run and stay.
    pub(super) fn fill(
        &mut self,
        symbols: &Symbols,
        keys: &mut Keys,
        absent: &Absent,
        tally: usize,
        group: &mut Group,
    ) {
        let Census { classes, nodes, tallies, .. } = self;
        let tally = &mut tallies[tally];
        group.start(&tally.pods, tally.occupied);
        if absent.nodes.is_empty() && absent.pods.is_empty() {
            return;
        }
        let symbol = keys.symbol(tally.key);
        // Domains that lose a node: known only while another node or a pod is left.
        let mut lost: SmallVec<[(usize, i32); 4]> = SmallVec::new();
        let counted =
            |slot: u32, tally: &Tally| tally.counts_node.get(slot as usize) == Some(&true);
        for slot in &absent.nodes {
            let node = nodes.get(*slot as usize).and_then(Option::as_ref);
            let Some(node) = node.filter(|node| node.active && counted(*slot, tally)) else {
                continue;
            };
            if let Some(value) = node.state_labels.get(symbol) {
                add_to(&mut lost, keys.table(tally.key).number(value), 1);
            }
        }
        for (slot, class, number) in &absent.pods {
            if !counted(*slot, tally) || !tally.counts_class(classes, *class) {
                continue;
            }
            let node = nodes.get(*slot as usize).and_then(Option::as_ref);
            if let Some(domain) = node.and_then(|node| node.domain(symbol)) {
                let domain = keys.table(tally.key).number(symbols.value(domain));
                group.take(domain, *number);
                add_to(&mut lost, domain, 0);
            }
        }
        for (domain, nodes) in lost {
            let present = tally.present.get(domain).copied().unwrap_or(0);
            if present <= nodes && group.count(domain) == 0 {
                group.forget(domain);
            }
        }
    }

    /// Fills a new inverse group with the pods that run, stay and repel; false when there are none.
    pub(super) fn fill_inverse(
        &self,
        keys: &mut Keys,
        absent: &Absent,
        identity: usize,
        group: &mut Group,
    ) -> bool {
        let Some(repulsion) = self.repulsions.get(identity) else {
            return false;
        };
        let mut owners = repulsion.owners;
        group.start(&repulsion.pods, repulsion.pods.iter().flatten().filter(|n| **n > 0).count());
        for (slot, class, number) in &absent.repelling {
            let node = self.nodes.get(*slot as usize).and_then(Option::as_ref);
            for (_, key) in self.terms[*class].iter().filter(|(term, _)| *term == identity) {
                owners -= number;
                if let Some(value) = node.and_then(|node| node.labels.get(*key)) {
                    group.take(keys.table_of(*key).number(value), *number);
                }
            }
        }
        group.forget_empty();
        owners > 0
    }

    /// Kinds of required anti-affinity among the pods that stay, in the order of their first pods by node and place
    /// there. `exactly` looks at every pod; else the order may be that with the pods of the batch, which no decision
    /// depends on.
    pub(super) fn repellers(
        &mut self,
        view: &ClusterView<'_>,
        absent: &Absent,
        batch: &FxHashSet<PodId>,
        exactly: bool,
    ) -> Vec<Repeller> {
        if view.cluster.repelling.is_empty() {
            return Vec::new();
        }
        if !absent.repelling.is_empty() && (exactly || self.is_mixed) {
            return self.list_repellers(view, batch).0;
        }
        if self.repellers.is_none() {
            let (repellers, is_mixed) = self.list_repellers(view, &FxHashSet::default());
            (self.repellers, self.is_mixed) = (Some(repellers), is_mixed);
            if is_mixed {
                return self.repellers(view, absent, batch, exactly);
            }
        }
        self.repellers.clone().unwrap_or_default()
    }

    fn list_repellers(
        &self,
        view: &ClusterView<'_>,
        batch: &FxHashSet<PodId>,
    ) -> (Vec<Repeller>, bool) {
        let (mut repellers, mut is_mixed): (Vec<Repeller>, bool) = (Vec::new(), false);
        let mut places: Vec<Option<usize>> = vec![None; self.repulsions.len()];
        for id in view.cluster.nodes_by_name.values() {
            let counted = self.nodes.get(id.slot() as usize).and_then(Option::as_ref);
            if counted.is_none_or(|node| node.repelling.is_empty()) {
                continue;
            }
            for pod in view.cluster.nodes[*id].pods.iter().filter(|pod| !batch.contains(*pod)) {
                let pod = &view.cluster.pods[*pod];
                let Some(class) = self.find_class(&pod.class).filter(|_| repels(pod)) else {
                    continue;
                };
                for (identity, _) in &self.terms[class] {
                    let Some(place) = places.get_mut(*identity) else { continue };
                    match place {
                        Some(place) => {
                            let first: &Repeller = &repellers[*place];
                            let first = &self.classes[first.class].tolerations;
                            is_mixed |= *first != self.classes[class].tolerations;
                        }
                        None => {
                            *place = Some(repellers.len());
                            repellers.push(Repeller { identity: *identity, class });
                        }
                    }
                }
            }
        }
        (repellers, is_mixed)
    }
}

impl Tally {
    fn counts_class(&mut self, classes: &[Arc<PodClass>], class: ClassIndex) -> bool {
        if self.matches.len() <= class {
            self.matches.resize(class + 1, None);
        }
        let Count { namespaces, selector, .. } = &self.count;
        *self.matches[class].get_or_insert_with(|| {
            let class = &classes[class];
            namespaces.contains(&class.namespace)
                && selector.as_ref().is_none_or(|selector| selector.matches(&class.labels))
        })
    }

    fn count_node(
        &mut self,
        symbols: &Symbols,
        keys: &mut Keys,
        classes: &[Arc<PodClass>],
        node: &CountedNode,
        slot: usize,
        sign: i32,
    ) {
        let counts = self.count.counts_node(&node.taints, &node.requirements);
        *slot_of(&mut self.counts_node, slot, false) = counts && sign > 0;
        if !counts {
            return;
        }
        let symbol = keys.symbol(self.key);
        if let Some(value) = node.state_labels.get(symbol).filter(|_| node.active) {
            let domain = keys.table(self.key).number(value);
            *slot_of(&mut self.present, domain, 0) += sign;
            self.settle(domain, 0);
        }
        let Some(domain) = node.domain(symbol) else {
            return;
        };
        let mut number = 0;
        for (class, pods) in &node.pods {
            if self.counts_class(classes, *class) {
                number += pods;
            }
        }
        if number > 0 {
            let domain = keys.table(self.key).number(symbols.value(domain));
            self.settle(domain, sign * number);
        }
    }

    /// Changes the number of pods in a domain, which is known while it has pods or a node makes it known.
    fn settle(&mut self, domain: usize, change: i32) {
        let present = self.present.get(domain).is_some_and(|nodes| *nodes > 0);
        let slot = slot_of(&mut self.pods, domain, None);
        let before = slot.unwrap_or(0);
        let now = before + change;
        *slot = (present || now > 0).then_some(now);
        self.occupied = self.occupied + usize::from(now > 0) - usize::from(before > 0);
    }
}

/// Required anti-affinity of a pod that has not finished.
fn repels(pod: &Pod) -> bool {
    !pod.class.pod_anti_affinity.required.is_empty() && !pod.is_finished()
}

fn slot_of<T: Clone>(list: &mut Vec<T>, index: usize, empty: T) -> &mut T {
    if list.len() <= index {
        list.resize(index + 1, empty);
    }
    &mut list[index]
}

fn add_one<const N: usize>(list: &mut SmallVec<[(ClassIndex, i32); N]>, class: ClassIndex)
where
    [(ClassIndex, i32); N]: smallvec::Array<Item = (ClassIndex, i32)>,
{
    match list.iter_mut().find(|(known, _)| *known == class) {
        Some((_, count)) => *count += 1,
        None => list.push((class, 1)),
    }
}

fn add_to(list: &mut SmallVec<[(usize, i32); 4]>, domain: usize, number: i32) {
    match list.iter_mut().find(|(known, _)| *known == domain) {
        Some((_, count)) => *count += number,
        None => list.push((domain, number)),
    }
}
