//! The order in which claims under construction are tried: by number of pods, as upstream's `sort.Slice` leaves it.
//!
//! Upstream: karpenter v1.14.1 `pkg/controllers/provisioning/scheduling/scheduler.go` (`add`) sorts the list before
//! every attempt. Between two sorts at most one claim changed: it gained a pod, or it is new and stands at the end.
//! For such a list Go's algorithm has a closed form, unless the changed place is among those that it samples for its
//! pivot: from 50 elements on it finds the list nearly sorted and moves the one element by adjacent swaps. A claim
//! that gained a pod goes to the front of the claims with as many pods as it has now, a new one behind those with as
//! many as it has. In the remaining cases the ported algorithm runs.

use super::go_sort::sort_slice;
use super::plain;

/// Below this length upstream's algorithm does not move single elements.
const SHORTEST_SHIFTING: usize = 50;
/// Up to this length it is a plain insertion sort.
const LONGEST_INSERTION: usize = 12;

/// The list of claims, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct ClaimOrder {
    /// Claims in the order of the last sort, with the one change since.
    order: Vec<u32>,
    /// Pods by claim.
    pods: Vec<u32>,
    /// Position of the claim that changed since the last sort.
    changed: Option<usize>,
    /// A key by claim that ascends along `order` among claims of equal count.
    keys: Vec<i64>,
    front: i64,
    back: i64,
}

impl ClaimOrder {
    /// A new claim with one pod, at the end of the list. Claims are numbered from 0.
    pub(super) fn push(&mut self) {
        self.settle();
        self.changed = Some(self.order.len());
        self.order.push(self.pods.len() as u32);
        self.pods.push(1);
        self.back += 1;
        self.keys.push(self.back);
    }

    /// A claim gained a pod.
    pub(super) fn gain(&mut self, claim: usize) {
        self.settle();
        let position = self.position(claim);
        self.pods[claim] += 1;
        self.front -= 1;
        self.keys[claim] = self.front;
        self.changed = Some(position);
    }

    /// Position of a claim in the settled order.
    fn position(&self, claim: usize) -> usize {
        let key = self.key(claim as u32);
        self.order.partition_point(|other| self.key(*other) < key)
    }

    /// Ascends along the settled order.
    pub(super) fn key(&self, claim: u32) -> (u32, i64) {
        (self.pods[claim as usize], self.keys[claim as usize])
    }

    /// The order of the last sort, with the one change since.
    pub(super) fn current(&self) -> &[u32] {
        &self.order
    }

    /// Sorts.
    pub(super) fn settle(&mut self) {
        let Some(at) = self.changed.take() else {
            return;
        };
        let length = self.order.len();
        let count = |claim: u32| self.pods[claim as usize];
        let in_place = (at == 0 || count(self.order[at - 1]) <= count(self.order[at]))
            && (at + 1 == length || count(self.order[at]) <= count(self.order[at + 1]));
        // A list that is still sorted stays as it is; only the key of the changed claim may be out of line.
        let closed_form =
            length <= LONGEST_INSERTION || (length >= SHORTEST_SHIFTING && !is_sampled(at, length));
        if plain::is_on() {
            let pods = &self.pods;
            sort_slice(&mut self.order, |a, b| pods[*a as usize] < pods[*b as usize]);
            self.renumber();
        } else if in_place {
            self.renumber_if_needed(at);
        } else if closed_form {
            self.shift(at);
        } else {
            let pods = &self.pods;
            sort_slice(&mut self.order, |a, b| pods[*a as usize] < pods[*b as usize]);
            self.renumber();
        }
    }

    /// Moves the changed claim by adjacent swaps, as insertion does.
    fn shift(&mut self, at: usize) {
        let pods = &self.pods;
        let moved = self.order[at];
        let own = pods[moved as usize];
        let count = |claim: &u32| pods[*claim as usize];
        if at > 0 && count(&self.order[at - 1]) > own {
            let to = self.order[..at].partition_point(|claim| count(claim) <= own);
            self.order[to..=at].rotate_right(1);
        } else {
            let to = at + 1 + self.order[at + 1..].partition_point(|claim| count(claim) < own);
            self.order[at..to].rotate_left(1);
        }
    }

    /// A claim that did not move must still have a key between its neighbours'.
    fn renumber_if_needed(&mut self, at: usize) {
        let key = self.key(self.order[at]);
        let before = at > 0 && self.key(self.order[at - 1]) > key;
        let after = self.order.get(at + 1).is_some_and(|next| self.key(*next) < key);
        if before || after {
            self.renumber();
        }
    }

    fn renumber(&mut self) {
        for (position, claim) in self.order.iter().enumerate() {
            self.keys[*claim as usize] = position as i64;
        }
        self.front = -1;
        self.back = self.order.len() as i64;
    }
}

/// Whether Go's choice of a pivot compares the element at `at` with a neighbour or with another sample.
fn is_sampled(at: usize, length: usize) -> bool {
    let quarter = length / 4;
    [quarter, quarter * 2, quarter * 3].iter().any(|sample| at + 1 >= *sample && at <= sample + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Any history of gains and new claims: the order is that of the sort itself.
        #[test]
        fn order_is_that_of_sorting_before_every_step(
            steps in proptest::collection::vec((0_u32..10, 0_usize..1_000), 1..400),
        ) {
            let mut order = ClaimOrder::default();
            let mut plain: Vec<(u32, u32)> = Vec::new();
            for (action, place) in steps {
                sort_slice(&mut plain, |a, b| a.1 < b.1);
                order.settle();
                let expected: Vec<u32> = plain.iter().map(|(claim, _)| *claim).collect();
                proptest::prop_assert_eq!(order.current(), &expected[..]);
                let keys: Vec<(u32, i64)> = expected.iter().map(|c| order.key(*c)).collect();
                proptest::prop_assert!(keys.is_sorted(), "{:?}", keys);
                if action < 4 || plain.is_empty() {
                    plain.push((plain.len() as u32, 1));
                    order.push();
                } else {
                    // Mostly the emptiest, sometimes any.
                    let place = if action < 8 { place % 5 } else { place } % plain.len();
                    plain[place].1 += 1;
                    order.gain(plain[place].0 as usize);
                }
            }
        }
    }
}
