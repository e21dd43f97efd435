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

/// The classes of a node's pods, with their numbers.
pub type Classes = Arc<[(Arc<PodClass>, u32)]>;

/// Pods of at least a certain size in a resource, and what the nodes that are taken away count in its level.
#[derive(Clone, Copy, Debug)]
struct Crowd {
    level: usize,
    pods: i64,
    /// What these pods ask for.
    volume: i64,
    own: Level,
}

/// Why a node alone was hopeless: true again as long as it and its pods are the same and no more room is left than
/// this.
#[derive(Clone, Debug)]
struct Witness {
    classes: Classes,
    limit: f64,
    level: usize,
    most_slots: i64,
    most_free: i64,
    /// What the node itself counted in the level.
    own: (i64, i64),
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
    /// The largest amount of a resource that a NodeClaim below a price holds.
    largest: FxHashMap<(usize, u64), i64>,
    /// By slot of the claim.
    witnesses: Vec<Option<Witness>>,
}

impl Crowd {
    /// What is left over when all nodes that stay are filled with pods of this size.
    fn left(&self, levels: &[Level]) -> i64 {
        let Level { amount, slots, free, .. } = levels[self.level];
        let (slots, free) = (slots - self.own.slots, free - self.own.free);
        ((self.pods - slots) * amount).max(self.volume - free)
    }

    /// The most slots, and the most that may be free, with which no less than `least` is left over.
    fn most(&self, least: i64) -> (i64, i64) {
        let amount = self.own.amount;
        // The quotient, rounded up: amounts of levels are positive.
        let pods = least.saturating_add(amount - 1).div_euclid(amount);
        (self.pods - pods + self.own.slots, self.volume - least + self.own.free)
    }
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

    /// A node alone was hopeless before, and still is for the same reason.
    fn is_known(
        &self,
        nodes: &Lineup<ExistingNode>,
        slot: u32,
        list: &Classes,
        limit: f64,
    ) -> bool {
        let witness = self.witnesses.get(slot as usize).and_then(Option::as_ref);
        witness.is_some_and(|witness| {
            let level = &self.levels[witness.level];
            Arc::ptr_eq(&witness.classes, list)
                && witness.limit.to_bits() == limit.to_bits()
                && (level.slots <= witness.most_slots || level.free <= witness.most_free)
                && self.own(nodes, slot, *level) == witness.own
        })
    }

    /// What the node in a slot counts in a level.
    fn own(&self, nodes: &Lineup<ExistingNode>, slot: u32, level: Level) -> (i64, i64) {
        let place = nodes.place(slot);
        let open = place.filter(|place| self.open.get(*place as usize) == Some(&true));
        let mut own = Level { slots: 0, free: 0, ..level };
        open.into_iter().for_each(|place| own.count(&nodes[place], 1));
        (own.slots, own.free)
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
    /// True when the pods of `lists`, all of which run on `removed` and may move, cannot do without a new NodeClaim
    /// that costs `limit` USD per hour or more, or without two.
    pub(super) fn is_hopeless<'a>(
        &mut self,
        view: &ClusterView<'_>,
        templates: &Templates,
        lists: impl Iterator<Item = &'a Classes> + Clone,
        removed: &[ClaimId],
        limit: f64,
    ) -> bool {
        self.room.open_up(view.now, &self.nodes);
        let alone = lists.clone().next().zip(removed.first()).filter(|_| removed.len() == 1);
        let classes = lists.flat_map(|list| list.iter());
        let crowds = self.crowds(classes.clone(), removed);
        let mut need = ResourceVec::default();
        for crowd in &crowds {
            let (lane, left) = (crowd.own.lane, crowd.left(&self.room.levels));
            if left > need.lane(lane) {
                need.set_lane(lane, left);
            }
        }
        if !need.is_empty() && self.is_beyond(templates, need.clone(), limit) {
            if let Some((list, claim)) = alone {
                self.keep_witness(templates, (claim.slot(), list), &crowds, limit);
            }
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

    /// True when a node alone was hopeless before and still is for the same reason.
    pub(super) fn is_known(
        &mut self,
        view: &ClusterView<'_>,
        claim: ClaimId,
        list: &Classes,
        limit: f64,
    ) -> bool {
        self.room.open_up(view.now, &self.nodes);
        self.room.is_known(&self.nodes, claim.slot(), list, limit)
    }

    /// Remembers the reason that lasts longest, if one resource is reason enough.
    fn keep_witness(
        &mut self,
        templates: &Templates,
        (slot, list): (u32, &Classes),
        crowds: &[Crowd],
        limit: f64,
    ) {
        let mut best: Option<(i64, Witness)> = None;
        for crowd in crowds {
            let least = self.largest_below(templates, crowd.own.lane, limit).saturating_add(1);
            if least == i64::MAX {
                continue;
            }
            let Level { amount, slots, free, .. } = self.room.levels[crowd.level];
            let (most_slots, most_free) = crowd.most(least);
            let slack = (most_slots - slots).max((most_free - free).div_euclid(amount));
            if slack >= 0 && best.as_ref().is_none_or(|(known, _)| *known < slack) {
                let (classes, level) = (list.clone(), crowd.level);
                let own = (crowd.own.slots, crowd.own.free);
                let witness = Witness { classes, limit, level, most_slots, most_free, own };
                best = Some((slack, witness));
            }
        }
        let (index, witnesses) = (slot as usize, &mut self.room.witnesses);
        if best.is_some() && witnesses.len() <= index {
            witnesses.resize(index + 1, None);
        }
        if let Some((place, (_, witness))) = witnesses.get_mut(index).zip(best) {
            *place = Some(witness);
        }
    }

    /// The largest amount of a resource that a NodeClaim below `limit` holds; `i64::MAX` when that cannot be told.
    fn largest_below(&mut self, templates: &Templates, lane: Lane, limit: f64) -> i64 {
        let largest = self.room.largest.entry((lane as usize, limit.to_bits()));
        *largest.or_insert_with(|| {
            let amounts = templates.list.iter().map(|template| template.largest_below(lane, limit));
            amounts.max().unwrap_or(0)
        })
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

    /// Pods of at least a certain size, for each size and resource. Of these, no more fit on a node than it has slots
    /// of that size, nor more than is free.
    fn crowds<'a>(
        &mut self,
        classes: impl Iterator<Item = &'a (Arc<PodClass>, u32)> + Clone,
        removed: &[ClaimId],
    ) -> SmallVec<[Crowd; 8]> {
        let own: SmallVec<[u32; 4]> = removed
            .iter()
            .filter_map(|claim| self.nodes.place(claim.slot()))
            .filter(|place| self.room.open.get(*place as usize) == Some(&true))
            .collect();
        let mut crowds = SmallVec::new();
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
                let mut counted = Level { lane, amount, slots: 0, free: 0 };
                own.iter().for_each(|place| counted.count(&self.nodes[*place], 1));
                crowds.push(Crowd { level, pods, volume, own: counted });
            }
        }
        crowds
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
