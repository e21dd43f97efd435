//! The nodes as the disruption methods see them, kept from one pass to the next and brought up to date with what was
//! written in between: who is a candidate of what, and how many nodes the budgets count.
//!
//! A memo and nothing else. Upstream goes through all nodes for every method (karpenter v1.14.1
//! `pkg/controllers/disruption/helpers.go`, `GetCandidates`).

use std::sync::Arc;

use super::Method;
use super::balanced::{Scores, is_balanced};
use super::candidate::{self, Candidate};
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
        let new = claim.map(|(id, claim)| Entry::new(view, id, claim));
        let old = self.entries.place(slot);
        if let Some(place) = old {
            self.count(place, -1);
        }
        let place = match (old, new) {
            (Some(place), Some(new)) if self.entries[place].claim == new.claim => {
                self.entries[place] = new;
                Some(place)
            }
            (old, new) => {
                if let Some(place) = old {
                    let position = self.position(&self.entries[place].name);
                    self.entries.remove(slot, position);
                }
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

    /// Candidates of a method, best saving per cost of moving first, and the totals that Balanced moves are measured
    /// against.
    pub(super) fn candidates(
        &self,
        view: &ClusterView<'_>,
        method: Method,
    ) -> (Vec<Candidate>, Scores) {
        let number = method as usize;
        // Balanced pools need all their candidates for the totals.
        let weighs = |pool: PoolIndex| is_balanced(view, pool) && method.is_consolidation();
        let any_weighs = (0..self.counts.len()).any(weighs);
        if self.wanted[number] == 0 && !any_weighs {
            return (Vec::new(), Scores::default());
        }
        let mut listed: Vec<(u64, &Entry, &Candidate)> = (self.entries.iter())
            .filter(|entry| entry.wanted[number] || (any_weighs && weighs(entry.pool)))
            .filter(|entry| entry.nominated_until <= view.now)
            .filter(|entry| !entry.is_guarded || entry.pods_permit(view, method))
            .filter_map(|entry| Some((0, entry, entry.candidate.as_ref()?)))
            .collect();
        if let Some(streams) = &self.streams {
            // Karpenter lists its nodes in the order of a Go map: a different one in each pass.
            let pass = (view.now.ms() / 1_000) as u32;
            for (draw, entry, _) in &mut listed {
                *draw = streams.mix(Purpose::CandidateTie, entry.ordinal, pass);
            }
            if any_weighs {
                listed.sort_by_key(|(draw, entry, _)| (*draw, entry.ordinal));
            }
        }
        let scores = match any_weighs {
            true => Scores::build(view, listed.iter().map(|(_, _, candidate)| *candidate)),
            false => Scores::default(),
        };
        // The last provisioning pass counted on the node for virtual pods of a CapacityBuffer.
        let hosts_buffer = |entry: &Entry| {
            method == Method::Emptiness && view.cluster.buffer_hosts.contains(&entry.ordinal)
        };
        listed.retain(|(_, entry, _)| entry.wanted[number] && !hosts_buffer(entry));
        // Without draws the order of the names decides among equals.
        listed.sort_by(|(draw, a, one), (other, b, two)| {
            let ratio = two.savings_ratio().total_cmp(&one.savings_ratio());
            ratio.then(draw.cmp(other)).then_with(|| match self.streams.is_some() {
                true => a.ordinal.cmp(&b.ordinal),
                false => std::cmp::Ordering::Equal,
            })
        });
        (listed.into_iter().map(|(_, _, candidate)| candidate.clone()).collect(), scores)
    }
}

impl Entry {
    fn new(view: &ClusterView<'_>, id: ClaimId, claim: &Claim) -> Entry {
        let is_counted = claim.is_initialized() && !claim.is_instance_terminating();
        let is_ready = view.node(claim).is_some_and(|node| node.ready);
        let candidate = match candidate::is_disruptable(view, claim) {
            true => candidate::new(view, id, claim),
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
            candidate,
            wanted,
            is_guarded: pods.map(|pod| &view.cluster.pods[*pod]).any(candidate::is_guarded),
        }
    }

    fn pods_permit(&self, view: &ClusterView<'_>, method: Method) -> bool {
        candidate::pods_permit(view, &view.cluster.claims[self.claim], method)
    }
}
