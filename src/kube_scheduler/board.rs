//! What nodes score for classes of pods, kept from pass to pass: only nodes that were written in between are scored
//! anew. A memo and nothing else.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{is_feasible, least_allocated};
use crate::kube::PodClass;
use crate::world::cluster::{Cluster, Node};
use crate::world::{NodeId, World};

/// Classes that are remembered at most.
const MOST_CLASSES: usize = 256;

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct Board {
    classes: Vec<Scores>,
    /// By address: the list above keeps the classes alive.
    places: FxHashMap<usize, usize>,
}

/// The nodes' scores for one class.
#[derive(Clone, Debug)]
struct Scores {
    class: Arc<PodClass>,
    /// Writes to nodes that were looked at.
    seen: u64,
    /// By slot; negative for a node that the class cannot go to, as far as taints, labels and resources say.
    scores: Vec<i16>,
}

impl Board {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Board::default();
    }

    /// The nodes with the highest score among those that `admits` them, in no order.
    pub(super) fn best(
        &mut self,
        world: &World,
        class: &Arc<PodClass>,
        mut admits: impl FnMut(NodeId) -> bool,
    ) -> Vec<NodeId> {
        let scores = self.scores(&world.cluster, class);
        let mut best: Vec<NodeId> = Vec::new();
        let mut highest = 0;
        for (slot, score) in (0..).zip(scores) {
            if *score < highest {
                continue;
            }
            let Some((id, _)) = world.cluster.nodes.at(slot).filter(|(id, _)| admits(*id)) else {
                continue;
            };
            if *score > highest {
                highest = *score;
                best.clear();
            }
            best.push(id);
        }
        best
    }

    fn scores(&mut self, cluster: &Cluster, class: &Arc<PodClass>) -> &[i16] {
        if self.classes.len() >= MOST_CLASSES {
            self.clear();
        }
        let next = self.classes.len();
        let place = *self.places.entry(Arc::as_ptr(class) as usize).or_insert(next);
        if place == next {
            self.classes.push(Scores { class: class.clone(), seen: 0, scores: Vec::new() });
        }
        self.classes[place].refresh(cluster);
        &self.classes[place].scores
    }
}

impl Scores {
    fn refresh(&mut self, cluster: &Cluster) {
        let nodes = &cluster.nodes;
        match nodes.written_since(self.seen).filter(|_| !self.scores.is_empty()) {
            Some(written) => written.iter().for_each(|slot| self.score(cluster, *slot)),
            None => {
                self.scores.clear();
                cluster.nodes_by_name.values().for_each(|id| self.score(cluster, id.slot()));
            }
        }
        self.seen = nodes.written();
    }

    fn takes(&self, node: &Node) -> bool {
        is_feasible(node, &self.class, |taint| self.class.tolerates(taint))
    }

    fn score(&mut self, cluster: &Cluster, slot: u32) {
        let node = cluster.nodes.at(slot).map(|(_, node)| node);
        let score = match node.filter(|node| self.takes(node)) {
            // At most 100.
            Some(node) => i16::try_from(least_allocated(node, &self.class)).unwrap_or(i16::MAX),
            None => -1,
        };
        let slot = slot as usize;
        if self.scores.len() <= slot {
            self.scores.resize(slot + 1, -1);
        }
        self.scores[slot] = score;
    }
}
