//! The event queue: one total order (time, class, sequence), with timers that can be moved and cancelled.
//!
//! `class` fixes the order of actors within one instant; the sequence number, given at each schedule and reschedule, makes
//! the order within a class first come, first served. The order does not depend on hashing: the key is unique.

use std::cmp::Reverse;
use std::fmt;

use priority_queue::PriorityQueue;
use rustc_hash::FxBuildHasher;

use crate::units::SimTime;

type Key = Reverse<(SimTime, u8, u64)>;

/// A handle to a scheduled event. Stale handles (fired or cancelled) are detected, never silently used for another event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    slot: u32,
    generation: u32,
}

/// Pending events.
#[derive(Clone)]
pub struct EventQueue<E> {
    heap: PriorityQueue<u32, Key, FxBuildHasher>,
    slots: Vec<Slot<E>>,
    free: Vec<u32>,
    sequence: u64,
    last: SimTime,
}

#[derive(Clone, Copy, Debug)]
struct Slot<E> {
    generation: u32,
    event: Option<E>,
}

impl<E> fmt::Debug for EventQueue<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventQueue")
            .field("pending", &self.heap.len())
            .finish_non_exhaustive()
    }
}

impl<E> Default for EventQueue<E> {
    fn default() -> EventQueue<E> {
        EventQueue {
            heap: PriorityQueue::with_hasher(FxBuildHasher),
            slots: Vec::new(),
            free: Vec::new(),
            sequence: 0,
            last: SimTime::ZERO,
        }
    }
}

impl<E: Copy> EventQueue<E> {
    /// Schedules `event`. An instant before the last popped one is a defect of the program. O(log n).
    pub fn schedule(&mut self, at: SimTime, class: u8, event: E) -> Timer {
        let key = self.key(at, class);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                event: None,
            });
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 pending events")
        });
        let entry = &mut self.slots[slot as usize];
        entry.event = Some(event);
        self.heap.push(slot, key);
        Timer {
            slot,
            generation: entry.generation,
        }
    }

    fn key(&mut self, at: SimTime, class: u8) -> Key {
        assert!(at >= self.last, "an event at {at} after {}", self.last);
        self.sequence += 1;
        Reverse((at, class, self.sequence))
    }

    /// Moves a pending event; it takes a new sequence number. `false` if it has fired or was cancelled. O(log n).
    pub fn reschedule(&mut self, timer: Timer, at: SimTime) -> bool {
        let Some(Reverse((_, class, _))) = self.pending(timer) else {
            return false;
        };
        let key = self.key(at, class);
        self.heap.change_priority(&timer.slot, key);
        true
    }

    /// Cancels a pending event. `false` if it has fired or was cancelled before. O(log n).
    pub fn cancel(&mut self, timer: Timer) -> bool {
        if self.pending(timer).is_none() {
            return false;
        }
        self.heap.remove(&timer.slot);
        self.release(timer.slot);
        true
    }

    /// The next event with its instant. O(log n).
    pub fn pop(&mut self) -> Option<(SimTime, E)> {
        let (slot, Reverse((at, _, _))) = self.heap.pop()?;
        self.last = at;
        self.release(slot).map(|event| (at, event))
    }

    fn release(&mut self, slot: u32) -> Option<E> {
        let entry = &mut self.slots[slot as usize];
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(slot);
        entry.event.take()
    }

    fn pending(&self, timer: Timer) -> Option<Key> {
        let entry = self.slots.get(timer.slot as usize)?;
        if entry.generation != timer.generation || entry.event.is_none() {
            return None;
        }
        self.heap.get_priority(&timer.slot).copied()
    }

    /// When a pending event is due; `None` if it has fired or was cancelled.
    pub fn due_at(&self, timer: Timer) -> Option<SimTime> {
        self.pending(timer).map(|Reverse((at, _, _))| at)
    }

    /// The instant of the next event.
    pub fn next_at(&self) -> Option<SimTime> {
        self.heap.peek().map(|(_, Reverse((at, _, _)))| *at)
    }

    /// Number of pending events.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// True when nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn at(seconds: i64) -> SimTime {
        SimTime::from_seconds(seconds)
    }

    #[test]
    fn order_is_time_then_class_then_sequence() {
        let mut queue = EventQueue::default();
        queue.schedule(at(2), 0, "late");
        queue.schedule(at(1), 5, "second class");
        queue.schedule(at(1), 3, "first of its class");
        let moved = queue.schedule(at(9), 3, "moved, so last of its class");
        queue.schedule(at(1), 3, "second of its class");
        assert!(queue.reschedule(moved, at(1)));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop())
            .map(|(_, event)| event)
            .collect();
        let expected = [
            "first of its class",
            "second of its class",
            "moved, so last of its class",
            "second class",
            "late",
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn stale_timers_are_detected() {
        let mut queue = EventQueue::default();
        let fired = queue.schedule(at(1), 0, 'a');
        queue.pop();
        let reused = queue.schedule(at(1), 0, 'b');
        assert!(!queue.cancel(fired) && !queue.reschedule(fired, at(3)));
        assert_eq!(
            (queue.due_at(fired), queue.due_at(reused)),
            (None, Some(at(1)))
        );
        assert!(queue.cancel(reused) && !queue.cancel(reused));
        assert!(queue.is_empty());
    }

    #[test]
    #[should_panic(expected = "an event at")]
    fn nothing_is_scheduled_in_the_past() {
        let mut queue = EventQueue::default();
        queue.schedule(at(5), 0, ());
        queue.pop();
        queue.schedule(at(4), 0, ());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Schedule(i64, u8),
        Reschedule(usize, i64),
        Cancel(usize),
        Pop,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..50_i64, 0..4_u8).prop_map(|(after, class)| Step::Schedule(after, class)),
            (any::<usize>(), 0..50_i64).prop_map(|(which, after)| Step::Reschedule(which, after)),
            any::<usize>().prop_map(Step::Cancel),
            Just(Step::Pop),
        ]
    }

    proptest! {
        /// The queue against an ordered map with the same keys.
        #[test]
        fn the_queue_equals_an_ordered_map(steps in proptest::collection::vec(step(), 1..200)) {
            let mut queue = EventQueue::default();
            let mut oracle: BTreeMap<(SimTime, u8, u64), usize> = BTreeMap::new();
            let mut timers: Vec<(Timer, u8)> = Vec::new();
            let (mut now, mut sequence) = (SimTime::ZERO, 0_u64);
            let key_of = |oracle: &BTreeMap<(SimTime, u8, u64), usize>, event: usize| {
                oracle.iter().find(|(_, e)| **e == event).map(|(key, _)| *key)
            };
            for step in steps {
                match step {
                    Step::Schedule(after, class) => {
                        let due = now + crate::units::SimDuration::from_seconds(after);
                        timers.push((queue.schedule(due, class, timers.len()), class));
                        sequence += 1;
                        oracle.insert((due, class, sequence), timers.len() - 1);
                    }
                    Step::Reschedule(which, after) if !timers.is_empty() => {
                        let which = which % timers.len();
                        let due = now + crate::units::SimDuration::from_seconds(after);
                        let known = key_of(&oracle, which);
                        prop_assert_eq!(queue.reschedule(timers[which].0, due), known.is_some());
                        if let Some(key) = known {
                            oracle.remove(&key);
                            sequence += 1;
                            oracle.insert((due, timers[which].1, sequence), which);
                        }
                    }
                    Step::Cancel(which) if !timers.is_empty() => {
                        let which = which % timers.len();
                        let known = key_of(&oracle, which);
                        prop_assert_eq!(queue.cancel(timers[which].0), known.is_some());
                        known.map(|key| oracle.remove(&key));
                    }
                    Step::Pop => {
                        let expected = oracle.pop_first().map(|((due, _, _), event)| (due, event));
                        prop_assert_eq!(queue.pop(), expected);
                        now = expected.map_or(now, |(due, _)| due);
                    }
                    _ => {}
                }
                prop_assert_eq!(queue.len(), oracle.len());
            }
        }
    }
}
