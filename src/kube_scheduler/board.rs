//! What nodes score for classes of pods, kept from pass to pass: only nodes that were written in between are scored
//! anew. A memo and nothing else.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{is_feasible, least_allocated};
use crate::kube::PodClass;
use crate::world::cluster::{Cluster, Node};
use crate::world::{NodeId, World};

/// Slots of a block of scores.
const BLOCK: usize = 32;
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
    ranking: Ranking,
}

/// Scores of nodes.
#[derive(Clone, Debug, Default)]
struct Ranking {
    /// By slot; negative for a node that the class cannot go to, as far as taints, labels and resources say.
    scores: Vec<i16>,
    /// The highest score of each block of slots.
    tops: Vec<i16>,
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
        let mut highest = scores.highest_below(i16::MAX);
        while highest >= 0 {
            let nodes = scores.slots(highest).filter_map(|slot| world.cluster.nodes.at(slot));
            let best: Vec<NodeId> = nodes.map(|(id, _)| id).filter(|id| admits(*id)).collect();
            if !best.is_empty() {
                return best;
            }
            highest = scores.highest_below(highest);
        }
        Vec::new()
    }

    fn scores(&mut self, cluster: &Cluster, class: &Arc<PodClass>) -> &Ranking {
        if self.classes.len() >= MOST_CLASSES {
            self.clear();
        }
        let next = self.classes.len();
        let place = *self.places.entry(Arc::as_ptr(class) as usize).or_insert(next);
        if place == next {
            let class = class.clone();
            self.classes.push(Scores { class, seen: 0, ranking: Ranking::default() });
        }
        self.classes[place].refresh(cluster);
        &self.classes[place].ranking
    }
}

impl Scores {
    fn refresh(&mut self, cluster: &Cluster) {
        let nodes = &cluster.nodes;
        match nodes.written_since(self.seen).filter(|_| !self.ranking.tops.is_empty()) {
            Some(written) => written.iter().for_each(|slot| self.score(cluster, *slot)),
            None => {
                self.ranking = Ranking::default();
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
        self.ranking.set(slot as usize, score);
    }
}

impl Ranking {
    fn set(&mut self, slot: usize, score: i16) {
        let block = slot / BLOCK;
        if self.tops.len() <= block {
            self.tops.resize(block + 1, -1);
            self.scores.resize(self.tops.len() * BLOCK, -1);
        }
        self.scores[slot] = score;
        let scores = &self.scores[block * BLOCK..][..BLOCK];
        self.tops[block] = scores.iter().copied().fold(-1, i16::max);
    }

    /// The blocks with the highest score of each.
    fn blocks(&self) -> impl Iterator<Item = (&[i16], i16)> {
        self.scores.chunks_exact(BLOCK).zip(self.tops.iter().copied())
    }

    /// The highest score below a bound; negative if there is none.
    fn highest_below(&self, bound: i16) -> i16 {
        let highest = |(scores, top): (&[i16], i16)| match top < bound {
            true => top,
            false => scores.iter().copied().filter(|score| *score < bound).max().unwrap_or(-1),
        };
        self.blocks().map(highest).max().unwrap_or(-1)
    }

    /// The slots with a score.
    fn slots(&self, wanted: i16) -> impl Iterator<Item = u32> {
        let blocks = (0..).step_by(BLOCK).zip(self.blocks());
        blocks.filter(move |(_, (_, top))| *top >= wanted).flat_map(move |(first, (scores, _))| {
            let found = (first..).zip(scores).filter(move |(_, score)| **score == wanted);
            found.map(|(slot, _)| slot)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_know_what_the_scores_are() {
        let mut scores = Ranking::default();
        let mut known = vec![-1; 100];
        for step in 0..2_000_usize {
            // Scores rise and fall, so that the highest of a block goes as well as comes.
            let (slot, score) = (step * 37 % 100, (step * step % 13) as i16 - 2);
            scores.set(slot, score.max(-1));
            known[slot] = score.max(-1);
            for bound in [i16::MAX, 7, 1, 0] {
                let highest = known.iter().copied().filter(|score| *score < bound).max();
                assert_eq!(scores.highest_below(bound), highest.unwrap_or(-1));
            }
            let wanted = (step % 11) as i16;
            let places = (0..).zip(&known).filter(|(_, score)| **score == wanted);
            assert!(scores.slots(wanted).eq(places.map(|(slot, _): (u32, _)| slot)));
        }
    }
}
