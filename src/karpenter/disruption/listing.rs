//! The candidates of a method in one pass, put in order only as far as somebody asks.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::balanced::Scores;
use super::candidate::Candidate;

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct Listing<'a> {
    places: Vec<Place<'a>>,
    /// What Balanced moves are measured against.
    pub(super) scores: Scores,
}

/// A candidate with its place in the order.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    key: Key,
    candidate: &'a Candidate,
}

/// Best saving per cost of moving first, then by a draw of the pass, then by what no two have in common.
type Key = (Reverse<i64>, u64, u64);

impl<'a> Listing<'a> {
    /// A list of candidates with their keys, in any order.
    pub(super) fn new(
        candidates: impl Iterator<Item = (Key, &'a Candidate)>,
        scores: Scores,
    ) -> Listing<'a> {
        let places = candidates.map(|(key, candidate)| Place { key, candidate });
        Listing { places: places.collect(), scores }
    }

    /// True without candidates.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Number of candidates.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Drops those for which `keeps` does not hold.
    pub(super) fn retain(&mut self, keeps: impl Fn(&Candidate) -> bool) {
        self.places.retain(|place| keeps(place.candidate));
    }

    /// The candidates, in no order that means something.
    pub(super) fn unordered(&self) -> impl Iterator<Item = &'a Candidate> {
        self.places.iter().map(|place| place.candidate)
    }

    /// The candidates in order.
    pub(super) fn ordered(&self) -> Vec<Candidate> {
        let mut places = self.places.clone();
        places.sort_unstable_by_key(|place| place.key);
        places.into_iter().map(|place| place.candidate.clone()).collect()
    }

    /// The candidates in order, for those who stop early: what is not asked for costs nothing to order.
    pub(super) fn best_first(&self) -> impl Iterator<Item = &'a Candidate> {
        let keys = self.places.iter().enumerate().map(|(i, place)| Reverse((place.key, i)));
        let mut heap: BinaryHeap<_> = keys.collect();
        let places = &self.places;
        std::iter::from_fn(move || heap.pop().map(|Reverse((_, i))| places[i].candidate))
    }
}
