//! A bound for what-ifs of consolidation: what cannot come out well is not tried.
//!
//! Pods that the other nodes do not take as they stand need a new NodeClaim, all of them the same one, for a command
//! has at most one. When no instance type that holds as much as they need at least costs less than the candidates,
//! there is no command. Everything that the bound leaves out (topology, other pods, zones) could only make the what-if
//! harder.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::Templates;
use super::claim::{Duration, Memory, Seeker};
use super::existing::ExistingNode;
use super::ground::Ground;
use super::topology::Demand;
use super::variant::Variants;
use super::volume::VolumeDemand;
use crate::kube::PodClass;
use crate::units::{Lane, ResourceVec, SimTime};
use crate::world::{ClaimId, ClusterView, Lineup};

/// Answers that are remembered at most.
const MOST_ANSWERS: usize = 4_096;
/// Amounts that are looked at at most.
const MOST_LEVELS: usize = 64;
/// The resources whose amounts are looked at.
const LANES: [Lane; 2] = [Lane::Cpu, Lane::Memory];

/// An amount of a resource that some pod asks for.
#[derive(Clone, Copy, Debug)]
struct Level {
    lane: Lane,
    amount: i64,
    /// How many times the amount is free on open nodes, and all that is free on those where it is free at all.
    slots: i64,
    free: i64,
}

/// What the bound knows of all nodes together.
#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    levels: Vec<Level>,
    by_amount: FxHashMap<(usize, i64), usize>,
    /// Initialized nodes within consolidateAfter, with its end: they take no pod of a what-if.
    closed: BTreeSet<(SimTime, u32)>,
    /// Nodes that are open, by place.
    open: Vec<bool>,
    /// Whether no NodeClaim below a price holds so much.
    answers: FxHashMap<(ResourceVec, u64), bool>,
}

impl Level {
    /// Counts a node, or with a negative sign no longer.
    fn count(&mut self, node: &ExistingNode, sign: i64) {
        let free = node.free(self.lane);
        if free >= self.amount {
            self.slots += sign * (free / self.amount);
            self.free += sign * free;
        }
    }
}

impl Room {
    /// A node came to a place.
    pub(super) fn add(&mut self, place: u32, node: &ExistingNode) {
        // A running pod may not rely on a node that is still starting.
        if node.initialized {
            // That it is open is found out when time is known.
            self.closed.insert((node.closed_until, place));
        }
    }

    /// The node at a place goes, or changes.
    pub(super) fn remove(&mut self, place: u32, node: &ExistingNode) {
        self.closed.remove(&(node.closed_until, place));
        if let Some(open) = self.open.get_mut(place as usize).filter(|open| **open) {
            *open = false;
            self.levels.iter_mut().for_each(|level| level.count(node, -1));
        }
    }

    /// Nodes whose consolidateAfter is over are open.
    fn open_up(&mut self, now: SimTime, nodes: &Lineup<ExistingNode>) {
        while let Some((until, place)) = self.closed.first().copied().filter(|(at, _)| *at <= now) {
            self.closed.remove(&(until, place));
            let index = place as usize;
            self.open.resize(self.open.len().max(index + 1), false);
            self.open[index] = true;
            self.levels.iter_mut().for_each(|level| level.count(&nodes[place], 1));
        }
    }

    /// The level of an amount, new or known; `None` for nothing and when there are too many.
    fn level(&mut self, lane: Lane, amount: i64, nodes: &Lineup<ExistingNode>) -> Option<usize> {
        let next = self.levels.len();
        if let Some(known) = self.by_amount.get(&(lane as usize, amount)) {
            return Some(*known);
        }
        if amount <= 0 || next == MOST_LEVELS {
            return None;
        }
        let mut level = Level { lane, amount, slots: 0, free: 0 };
        let open = nodes.by_place().iter().zip(&self.open).filter(|(_, open)| **open);
        open.for_each(|(node, _)| level.count(node, 1));
        self.by_amount.insert((lane as usize, amount), next);
        self.levels.push(level);
        Some(next)
    }
}

impl Ground {
    /// True when the pods of `classes`, all of which run on `removed` and may move, cannot do without a new NodeClaim
    /// that costs `limit` USD per hour or more, or without two.
    pub(super) fn is_hopeless<'a>(
        &mut self,
        view: &ClusterView<'_>,
        templates: &Templates,
        classes: impl Iterator<Item = &'a (Arc<PodClass>, u32)> + Clone,
        removed: &[ClaimId],
        limit: f64,
    ) -> bool {
        self.room.open_up(view.now, &self.nodes);
        let mut need = ResourceVec::default();
        self.add_crowded(classes.clone(), removed, &mut need);
        if !need.is_empty() && self.is_beyond(templates, need.clone(), limit) {
            return true;
        }
        let mut homeless = ResourceVec::default();
        for (class, pods) in classes {
            if !self.has_home(view, class, removed) {
                (0..*pods).for_each(|_| homeless.add(&class.requests));
            }
        }
        !homeless.is_empty() && self.is_beyond(templates, homeless, limit)
    }

    /// True when no NodeClaim below `limit` holds `need`.
    fn is_beyond(&mut self, templates: &Templates, need: ResourceVec, limit: f64) -> bool {
        let question = (need, limit.to_bits());
        if let Some(known) = self.room.answers.get(&question) {
            return *known;
        }
        let answer =
            !templates.list.iter().any(|template| template.holds_below(&question.0, limit));
        if self.room.answers.len() >= MOST_ANSWERS {
            self.room.answers.clear();
        }
        self.room.answers.insert(question, answer);
        answer
    }

    /// Raises `need` to what is left over when all nodes are filled with pods of at least a certain size, for each size
    /// and resource: more pods than a node has slots of that size do not fit there, nor more than is free.
    fn add_crowded<'a>(
        &mut self,
        classes: impl Iterator<Item = &'a (Arc<PodClass>, u32)> + Clone,
        removed: &[ClaimId],
        need: &mut ResourceVec,
    ) {
        let own: SmallVec<[u32; 4]> = removed
            .iter()
            .filter_map(|claim| self.nodes.place(claim.slot()))
            .filter(|place| self.room.open.get(*place as usize) == Some(&true))
            .collect();
        for lane in LANES {
            let mut sizes: SmallVec<[(i64, i64); 8]> = SmallVec::new();
            for (class, pods) in classes.clone() {
                let amount = class.requests.lane(lane);
                match sizes.iter_mut().find(|(known, _)| *known == amount) {
                    Some((_, count)) => *count += i64::from(*pods),
                    None => sizes.push((amount, i64::from(*pods))),
                }
            }
            sizes.sort_unstable();
            let (mut pods, mut volume) = (0, 0);
            for (amount, count) in sizes.into_iter().rev() {
                pods += count;
                volume += count * amount;
                let Some(level) = self.room.level(lane, amount, &self.nodes) else { continue };
                let mut level = self.room.levels[level];
                own.iter().for_each(|place| level.count(&self.nodes[*place], -1));
                let left = ((pods - level.slots) * amount).max(volume - level.free);
                if left > need.lane(lane) {
                    need.set(lane.name(), left);
                }
            }
        }
    }

    /// False when no open node but those of `removed` takes such a pod as it stands, whatever the pod gives up.
    fn has_home(
        &mut self,
        view: &ClusterView<'_>,
        class: &Arc<PodClass>,
        removed: &[ClaimId],
    ) -> bool {
        let Ground { memory, variants, nodes, room, .. } = self;
        let Memory { sets, topology, .. } = &mut *memory;
        let kind = variants.find(view, class, sets, topology);
        let Variants { list, kinds, .. } = variants;
        let kind = &mut kinds[kind];
        let variant = &list[kind.variant];
        if !variant.is_last {
            return true;
        }
        let (demand, volumes) = (Demand::default(), VolumeDemand::default());
        let seeker =
            Seeker { variant, requests: &kind.requests, demand: &demand, volumes: &volumes };
        kind.first = kind.shut.next_absent(kind.first);
        let mut position = kind.first;
        while let Some(place) = nodes.at(position) {
            let node = &nodes[place];
            let is_open = room.open.get(place as usize) == Some(&true);
            if is_open && !removed.contains(&node.claim) {
                if kind.home == Some(position) {
                    return true;
                }
                match node.can_add(memory, &seeker) {
                    Err(Duration::Kind | Duration::Variant) => kind.shut.insert(position),
                    Ok(_) | Err(Duration::Now | Duration::Solve) => {
                        kind.home = Some(position);
                        return true;
                    }
                }
            }
            position = kind.shut.next_absent(position + 1);
        }
        false
    }
}
