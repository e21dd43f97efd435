//! The nodes as the disruption methods see them, kept from one pass to the next and brought up to date with what was
//! written in between: who is a candidate of what, and how many nodes the budgets count.
//!
//! A memo and nothing else. Upstream goes through all nodes for every method (karpenter v1.14.1
//! `pkg/controllers/disruption/helpers.go`, `GetCandidates`).

use std::cmp::Reverse;
use std::sync::Arc;

use super::Method;
use super::balanced::{Scores, is_balanced};
use super::candidate::{self, Candidate};
use super::listing::Listing;
use crate::engine::{Purpose, Streams};
use crate::units::SimTime;
use crate::world::cluster::Claim;
use crate::world::settings::TieBreaks;
use crate::world::{ClaimId, ClusterView, Lineup, PoolIndex, Seen};

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) struct Roster {
    /// The cluster's generation that eligibility and prices belong to.
    generation: u64,
    seen: Seen,
    /// State nodes by slot of the claim, in the order of their names.
    entries: Lineup<Entry>,
    /// Nodes that budgets count, by NodePool.
    counts: Vec<Counts>,
    /// Entries that a method wants, by method.
    wanted: [usize; 5],
    streams: Option<Streams>,
}

/// Nodes of one NodePool, as budgets count them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Initialized, and not yet told to terminate.
    pub(super) total: i64,
    /// Of these, on their way out or not ready.
    pub(super) disrupting: i64,
}

/// One state node.
#[derive(Clone, Debug)]
struct Entry {
    claim: ClaimId,
    name: Arc<str>,
    ordinal: u64,
    pool: PoolIndex,
    counts: Counts,
    /// Promised to a pod until then, exclusive.
    nominated_until: SimTime,
    /// Set for nodes that may be disrupted at all, as far as time does not matter.
    candidate: Option<Candidate>,
    /// Orders as the candidate's saving per cost of moving.
    ratio_rank: i64,
    /// Methods whose tests it passes.
    wanted: [bool; 5],
    /// Some pod is protected or has a PodDisruptionBudget: whether it may move has to be asked each time.
    is_guarded: bool,
}

impl Roster {
    /// The roster of a cluster.
    pub(super) fn new(view: &ClusterView<'_>) -> Roster {
        let cluster = view.cluster;
        let seeded = view.settings.tie_breaks == TieBreaks::Seeded;
        let mut roster = Roster {
            generation: cluster.generation,
            seen: cluster.seen(),
            entries: Lineup::default(),
            counts: vec![Counts::default(); cluster.pools.len()],
            wanted: [0; 5],
            streams: seeded.then(|| Streams::new(view.settings.seed)),
        };
        for id in cluster.claims_by_name.values() {
            roster.look_at(view, id.slot());
        }
        roster
    }

    /// Brings the roster up to date with the cluster.
    pub(super) fn refresh(&mut self, view: &ClusterView<'_>) {
        let cluster = view.cluster;
        let is_stale = view.settings.plain
            || self.generation != cluster.generation
            || self.counts.len() != cluster.pools.len();
        let changes = if is_stale { None } else { cluster.changes_since(self.seen) };
        let Some(changes) = changes else {
            *self = Roster::new(view);
            return;
        };
        self.seen = cluster.seen();
        changes.claims.iter().for_each(|slot| self.look_at(view, *slot));
    }

    /// Looks at a claim again.
    fn look_at(&mut self, view: &ClusterView<'_>, slot: u32) {
        let claim = view.cluster.claims.at(slot).filter(|(_, claim)| claim.is_state_node());
        let old = self.entries.place(slot);
        let known = old.and_then(|place| self.entries[place].candidate.as_ref());
        let new = claim.map(|(id, claim)| Entry::new(view, (id, claim), known));
        if let Some(place) = old {
            self.count(place, -1);
        }
        let place = match (old, new) {
            (Some(place), Some(new)) if self.entries[place].claim == new.claim => {
                self.entries[place] = new;
                Some(place)
            }
            (_, new) => {
                self.entries.remove(slot);
                new.map(|new| self.entries.insert(slot, self.position(&new.name), new))
            }
        };
        if let Some(place) = place {
            self.count(place, 1);
        }
    }

    fn count(&mut self, place: u32, sign: i64) {
        let entry = &self.entries[place];
        let counts = &mut self.counts[entry.pool];
        counts.total += sign * entry.counts.total;
        counts.disrupting += sign * entry.counts.disrupting;
        for (count, wanted) in self.wanted.iter_mut().zip(entry.wanted) {
            match sign > 0 {
                true => *count += usize::from(wanted),
                false => *count -= usize::from(wanted),
            }
        }
    }

    fn position(&self, name: &str) -> usize {
        self.entries.position(|known| known.name.as_ref() < name)
    }

    /// Nodes that budgets count, by NodePool.
    pub(super) fn counts(&self) -> &[Counts] {
        &self.counts
    }

    /// The candidates of a method.
    pub(super) fn candidates(&self, view: &ClusterView<'_>, method: Method) -> Listing<'_> {
        let number = method as usize;
        // Balanced pools need all their candidates for the totals.
        let weighs = |pool: PoolIndex| is_balanced(view, pool) && method.is_consolidation();
        let any_weighs = (0..self.counts.len()).any(weighs);
        if self.wanted[number] == 0 && !any_weighs {
            return Listing::default();
        }
        let mut listed: Vec<Place<'_>> = Vec::with_capacity(self.entries.len());
        for (position, entry) in self.entries.iter().enumerate() {
            let Some(candidate) = &entry.candidate else { continue };
            if (entry.wanted[number] || (any_weighs && weighs(entry.pool)))
                && entry.nominated_until <= view.now
                && (!entry.is_guarded || entry.pods_permit(view, method))
            {
                let rank = entry.ratio_rank;
                // Without draws the order of the names decides among equals.
                let (draw, tie) = (0, position as u64);
                listed.push(Place { rank, draw, tie, entry, candidate });
            }
        }
        if let Some(streams) = &self.streams {
            // Karpenter lists its nodes in the order of a Go map: a different one in each pass.
            let pass = (view.now.ms() / 1_000) as u32;
            for place in &mut listed {
                place.draw = streams.mix(Purpose::CandidateTie, place.entry.ordinal, pass);
                place.tie = place.entry.ordinal;
            }
            if any_weighs {
                listed.sort_unstable_by_key(|place| (place.draw, place.tie));
            }
        }
        let scores = match any_weighs {
            true => Scores::build(view, listed.iter().map(|place| place.candidate)),
            false => Scores::default(),
        };
        // The last provisioning pass counted on the node for virtual pods of a CapacityBuffer.
        let hosts_buffer = |entry: &Entry| {
            method == Method::Emptiness && view.cluster.buffer_hosts.contains(&entry.ordinal)
        };
        listed.retain(|place| place.entry.wanted[number] && !hosts_buffer(place.entry));
        let keyed = listed
            .iter()
            .map(|place| ((Reverse(place.rank), place.draw, place.tie), place.candidate));
        Listing::new(keyed, scores)
    }
}

/// A candidate with what decides its place in the order.
struct Place<'a> {
    rank: i64,
    draw: u64,
    tie: u64,
    entry: &'a Entry,
    candidate: &'a Candidate,
}

/// A whole number that orders as the float does.
const fn total_order(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

impl Entry {
    fn new(
        view: &ClusterView<'_>,
        (id, claim): (ClaimId, &Claim),
        known: Option<&Candidate>,
    ) -> Entry {
        let is_counted = claim.is_initialized() && !claim.is_instance_terminating();
        let is_ready = view.node(claim).is_some_and(|node| node.ready);
        let candidate = match candidate::is_disruptable(view, claim) {
            true => candidate::renew(view, (id, claim), known),
            false => None,
        };
        let wanted = Method::ORDER.map(|method| {
            let suits = candidate.as_ref().is_some_and(|candidate| candidate.suits(method));
            suits && candidate::is_eligible(view, claim, method)
        });
        let pods = view.node(claim).into_iter().flat_map(|node| &node.pods);
        Entry {
            claim: id,
            name: claim.name.clone(),
            ordinal: claim.ordinal,
            pool: claim.pool,
            counts: Counts {
                total: i64::from(is_counted),
                disrupting: i64::from(is_counted && (!is_ready || claim.is_deleting())),
            },
            nominated_until: claim.nominated_until,
            ratio_rank: candidate.as_ref().map_or(0, |c| total_order(c.savings_ratio())),
            candidate,
            wanted,
            is_guarded: pods.map(|pod| &view.cluster.pods[*pod]).any(candidate::is_guarded),
        }
    }

    fn pods_permit(&self, view: &ClusterView<'_>, method: Method) -> bool {
        candidate::pods_permit(view, &view.cluster.claims[self.claim], method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_order_as_floats_do() {
        let mut values =
            [0.096, -0.0, f64::INFINITY, 1e-300, f64::NAN, -3.5, 0.0, f64::NEG_INFINITY, 0.0961];
        values.sort_by(f64::total_cmp);
        assert!(values.is_sorted_by_key(|value| total_order(*value)));
        assert!(total_order(0.096) < total_order(0.0961));
    }
}
