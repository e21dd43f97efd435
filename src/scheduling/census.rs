//! Pods that run and stay, by class and node: what topology groups count at the start of a Solve.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/topology.go` (`countDomains`).

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::topology_group::Group;
use crate::kube::requirement::Requirements;
use crate::kube::{Labels, PodClass, Taint, label};
use crate::units::Symbol;
use crate::world::{ClusterView, PodId};

/// Running pods of one class.
#[derive(Clone, Debug)]
struct ClassCount<'a> {
    class: &'a Arc<PodClass>,
    /// Node by position, and the number of the class's pods there.
    nodes: Vec<(usize, i32)>,
}

/// A Node object, on its way out or not.
#[derive(Clone, Debug)]
pub(super) struct CountedNode<'a> {
    name: Option<Symbol>,
    pub(super) labels: &'a Labels,
    pub(super) taints: &'a [Taint],
    /// Offers capacity in this Solve: its domains exist even without pods.
    pub(super) active: bool,
    /// Labels as Karpenter's state node has them: the NodeClaim's until it is registered.
    pub(super) state_labels: &'a Labels,
    requirements: Requirements,
}

impl CountedNode<'_> {
    /// True iff a group counts pods on this node.
    pub(super) fn counts_for(&self, group: &Group) -> bool {
        group.counts_node(self.taints, &self.requirements)
    }

    /// The node's domain of a key; a host without the label is known by its name.
    pub(super) fn domain(&self, key: Symbol) -> Option<Symbol> {
        let label = self.labels.get(key).map(|value| value.symbol);
        label.or(self.name.filter(|_| key == label::HOSTNAME))
    }
}

/// All nodes with the pods that stay on them.
#[derive(Clone, Debug, Default)]
pub(super) struct Census<'a> {
    pub(super) nodes: Vec<CountedNode<'a>>,
    classes: Vec<ClassCount<'a>>,
    /// Pods with required anti-affinity, terminating ones included, and their nodes.
    pub(super) anti_affine: Vec<(&'a Arc<PodClass>, usize)>,
}

impl<'a> Census<'a> {
    /// Counts all bound pods but those of the batch.
    pub(super) fn take(view: &ClusterView<'a>, batch: &FxHashSet<PodId>) -> Census<'a> {
        let cluster = view.cluster;
        let mut census = Census::default();
        let mut places: FxHashMap<*const PodClass, usize> = FxHashMap::default();
        for id in cluster.nodes_by_name.values() {
            let node = &cluster.nodes[*id];
            let position = census.nodes.len();
            let claim = &cluster.claims[node.claim];
            census.nodes.push(CountedNode {
                name: view.symbols.find(&node.name),
                labels: &node.labels,
                taints: &node.taints,
                active: view.is_active(node.claim),
                state_labels: view.labels(claim),
                requirements: Requirements::from_labels(&node.labels),
            });
            for pod_id in node.pods.iter().filter(|id| !batch.contains(*id)) {
                let pod = &cluster.pods[*pod_id];
                if !pod.class.pod_anti_affinity.required.is_empty() {
                    census.anti_affine.push((&pod.class, position));
                }
                if !pod.is_active() {
                    continue;
                }
                let next = census.classes.len();
                let place = *places.entry(Arc::as_ptr(&pod.class)).or_insert(next);
                if place == next {
                    census.classes.push(ClassCount { class: &pod.class, nodes: Vec::new() });
                }
                match census.classes[place].nodes.last_mut() {
                    Some((last, count)) if *last == position => *count += 1,
                    _ => census.classes[place].nodes.push((position, 1)),
                }
            }
        }
        census
    }

    /// Pods that a new group counts: node and number. Without a selector all pods of the namespaces count.
    pub(super) fn counted<'b>(
        &'b self,
        group: &'b Group,
    ) -> impl Iterator<Item = (&'b CountedNode<'a>, i32)> + 'b {
        let matching = self.classes.iter().filter(|entry| {
            let class = entry.class;
            group.namespaces.contains(&class.namespace)
                && group.selector.as_ref().is_none_or(|s| s.matches(&class.labels))
        });
        let pairs = matching.flat_map(|entry| &entry.nodes);
        let counted = pairs.map(|(node, count)| (&self.nodes[*node], *count));
        counted.filter(|(node, _)| node.counts_for(group))
    }
}
