//! The event list: pending events in one total order, with timers that can be moved or cancelled.
//!
//! The order is (time, class, sequence). The class, a small number that the caller chooses, orders
//! the subsystems within one instant; the sequence number, taken at every
//! [`schedule`](EventQueue::schedule) and [`reschedule`](EventQueue::reschedule), makes equal
//! classes first in, first out. No two pending events have the same key, so the order depends
//! neither on the heap's shape nor on a hasher.
//!
//! The heap is that of the `priority-queue` crate over slot numbers; events stay where they are, in
//! the slot table. Cancelled events leave at once: in a cluster nearly every pod event re-arms a
//! timer, and tombstones would fill the heap. Events that are far ahead, such as the ends of pods
//! and nodes, wait in no order by the period that they fall in, and enter the heap when it comes:
//! so the heap stays small.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use priority_queue::PriorityQueue;
use rustc_hash::FxBuildHasher;

use crate::units::SimTime;

/// Bits of the sequence number below the class in [`Key::rank`].
const SEQUENCE_BITS: u32 = 56;

/// A period is two to this power milliseconds long, about two minutes.
const PERIOD_BITS: u32 = 17;

/// A handle to one scheduled event. It goes stale when the event fires or is cancelled; a stale
/// handle is recognised for ever and never refers to a later event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    slot: u32,
    generation: u32,
}

/// What orders pending events: time first, then class and sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    at: SimTime,
    /// The class in the top byte, the sequence number below: one comparison orders both.
    rank: u64,
}

#[derive(Clone, Debug)]
struct Slot<E> {
    /// Equal to a timer's generation exactly as long as that timer is pending.
    generation: u32,
    /// Where a pending event waits that is not in the heap.
    later: Option<Waiting>,
    event: E,
}

/// A place among the events of a period.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    at: SimTime,
    place: usize,
}

/// Pending events of type `E`. All operations but the look-ups are O(log n).
#[derive(Clone)]
pub struct EventQueue<E> {
    /// Events of the periods before `opened`. Empty only if nothing is pending.
    heap: PriorityQueue<u32, Reverse<Key>, FxBuildHasher>,
    /// The others: slots and keys, by period, in no order.
    later: BTreeMap<i64, Vec<(u32, Key)>>,
    opened: i64,
    pending: usize,
    slots: Vec<Slot<E>>,
    free: Vec<u32>,
    next_sequence: u64,
    /// The instant of the last popped event; nothing may be scheduled before it.
    fired_at: SimTime,
}

impl<E> Default for EventQueue<E> {
    /// An empty queue at [`SimTime::ZERO`].
    fn default() -> EventQueue<E> {
        EventQueue {
            heap: PriorityQueue::with_hasher(FxBuildHasher),
            later: BTreeMap::new(),
            opened: 0,
            pending: 0,
            slots: Vec::new(),
            free: Vec::new(),
            next_sequence: 0,
            fired_at: SimTime::ZERO,
        }
    }
}

impl<E> fmt::Debug for EventQueue<E> {
    /// A summary: the heap's layout says nothing to a reader.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventQueue")
            .field("pending", &self.pending)
            .field("fired_at", &self.fired_at)
            .finish_non_exhaustive()
    }
}

impl<E: Copy> EventQueue<E> {
    /// Adds `event` at the instant `at`, behind all pending events of the same instant and class.
    ///
    /// # Panics
    /// If `at` lies before the last popped event.
    pub fn schedule(&mut self, at: SimTime, class: u8, event: E) -> Timer {
        let sequence = self.take_sequence(at);
        let timer = self.occupy(event);
        let rank = u64::from(class) << SEQUENCE_BITS | sequence;
        self.pending += 1;
        self.put(timer.slot, Key { at, rank });
        timer
    }

    /// Moves a pending event to the instant `at`, earlier or later, as if it were scheduled anew:
    /// behind all pending events of that instant and its class. False if the event has fired or was
    /// cancelled.
    ///
    /// # Panics
    /// If the event is pending and `at` lies before the last popped event.
    pub fn reschedule(&mut self, timer: Timer, at: SimTime) -> bool {
        if !self.is_pending(timer) {
            return false;
        }
        let sequence = self.take_sequence(at);
        self.change(timer.slot, |key| {
            let class = key.rank >> SEQUENCE_BITS << SEQUENCE_BITS;
            Key { at, rank: class | sequence }
        });
        true
    }

    /// Moves a pending event to an earlier instant. It keeps its place among the events of that instant and its class.
    /// False if the event has fired or was cancelled.
    ///
    /// # Panics
    /// If the event is pending and `at` lies before the last popped event.
    pub fn advance(&mut self, timer: Timer, at: SimTime) -> bool {
        if !self.is_pending(timer) {
            return false;
        }
        assert!(at >= self.fired_at, "an event at {at} would lie in the past of {}", self.fired_at);
        self.change(timer.slot, |key| Key { at, ..key });
        true
    }

    /// Removes a pending event. False if it has fired or was cancelled before.
    pub fn cancel(&mut self, timer: Timer) -> bool {
        if !self.is_pending(timer) {
            return false;
        }
        match self.slots[timer.slot as usize].later {
            Some(waiting) => {
                self.stop_waiting(timer.slot, waiting);
            }
            None => {
                self.heap.remove(&timer.slot);
                self.open();
            }
        }
        self.pending -= 1;
        self.release(timer.slot);
        true
    }

    /// Removes and returns the first event with its instant.
    pub fn pop(&mut self) -> Option<(SimTime, E)> {
        let (slot, Reverse(key)) = self.heap.pop()?;
        self.fired_at = key.at;
        self.open();
        self.pending -= 1;
        Some((key.at, self.release(slot)))
    }

    /// The instant of the first event.
    pub fn next_at(&self) -> Option<SimTime> {
        self.heap.peek().map(|(_, Reverse(key))| key.at)
    }

    /// When the event of `timer` is due; `None` if it has fired or was cancelled.
    pub fn due_at(&self, timer: Timer) -> Option<SimTime> {
        if !self.is_pending(timer) {
            return None;
        }
        match self.slots[timer.slot as usize].later {
            Some(waiting) => Some(waiting.at),
            None => self.heap.get_priority(&timer.slot).map(|Reverse(key)| key.at),
        }
    }

    /// Number of pending events.
    pub fn len(&self) -> usize {
        self.pending
    }

    /// Whether no event is pending.
    pub fn is_empty(&self) -> bool {
        self.pending == 0
    }

    /// Gives a pending event another key.
    fn change(&mut self, slot: u32, key: impl FnOnce(Key) -> Key) {
        match self.slots[slot as usize].later {
            Some(waiting) => {
                let old = self.stop_waiting(slot, waiting);
                self.put(slot, key(old));
            }
            None => {
                let old = self.heap.get_priority(&slot).map(|Reverse(key)| *key);
                let Some(new) = old.map(key) else { return };
                if period(new.at) < self.opened {
                    self.heap.change_priority(&slot, Reverse(new));
                } else {
                    self.heap.remove(&slot);
                    self.put(slot, new);
                }
            }
        }
    }

    /// Puts an event into the heap or among those of its period.
    fn put(&mut self, slot: u32, key: Key) {
        let period = period(key.at);
        if period < self.opened {
            self.heap.push(slot, Reverse(key));
            return;
        }
        let waiting = self.later.entry(period).or_default();
        self.slots[slot as usize].later = Some(Waiting { at: key.at, place: waiting.len() });
        waiting.push((slot, key));
        self.open();
    }

    /// Takes an event from among those of its period, where the last one fills its place.
    fn stop_waiting(&mut self, slot: u32, Waiting { at, place }: Waiting) -> Key {
        let period = period(at);
        let waiting = self.later.entry(period).or_default();
        let (_, key) = waiting.swap_remove(place);
        let moved = waiting.get(place).copied();
        if waiting.is_empty() {
            self.later.remove(&period);
        }
        if let Some((moved, key)) = moved {
            self.slots[moved as usize].later = Some(Waiting { at: key.at, place });
        }
        self.slots[slot as usize].later = None;
        key
    }

    /// The first period that has events enters an empty heap.
    fn open(&mut self) {
        if !self.heap.is_empty() {
            return;
        }
        let Some((period, events)) = self.later.pop_first() else { return };
        self.opened = period + 1;
        for (slot, key) in events {
            self.slots[slot as usize].later = None;
            self.heap.push(slot, Reverse(key));
        }
    }

    fn is_pending(&self, timer: Timer) -> bool {
        self.slots[timer.slot as usize].generation == timer.generation
    }

    /// The next sequence number, for an event at `at`.
    fn take_sequence(&mut self, at: SimTime) -> u64 {
        assert!(at >= self.fired_at, "an event at {at} would lie in the past of {}", self.fired_at);
        let sequence = self.next_sequence;
        assert!(sequence >> SEQUENCE_BITS == 0, "sequence numbers ran out");
        self.next_sequence += 1;
        sequence
    }

    /// Puts `event` into a free slot or a new one.
    fn occupy(&mut self, event: E) -> Timer {
        if let Some(slot) = self.free.pop() {
            let entry = &mut self.slots[slot as usize];
            entry.event = event;
            return Timer { slot, generation: entry.generation };
        }
        let slot = self.slots.len();
        assert!(slot < u32::MAX as usize, "too many pending events");
        self.slots.push(Slot { generation: 0, later: None, event });
        Timer { slot: slot as u32, generation: 0 }
    }

    /// Makes the handles of `slot` stale and returns its event.
    fn release(&mut self, slot: u32) -> E {
        let entry = &mut self.slots[slot as usize];
        entry.generation += 1;
        // A slot whose generations are used up is retired: a wrapped generation could make a stale
        // handle valid again.
        if entry.generation < u32::MAX {
            self.free.push(slot);
        }
        entry.event
    }
}

const fn period(at: SimTime) -> i64 {
    at.ms() >> PERIOD_BITS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn ms(ms: i64) -> SimTime {
        SimTime::from_ms(ms)
    }

    fn drain(queue: &mut EventQueue<char>) -> String {
        std::iter::from_fn(|| queue.pop()).map(|(_, c)| c).collect()
    }

    #[test]
    fn time_then_class_then_sequence_orders_events() {
        for (scheduled, order) in [
            (&[(1, 0, 'a'), (0, 9, 'b')][..], "ba"),
            (&[(5, 2, 'a'), (5, 1, 'b'), (5, 255, 'c')], "bac"),
            (&[(5, 1, 'a'), (5, 1, 'b'), (5, 1, 'c')], "abc"),
            (&[(7, 3, 'a'), (7, 3, 'b'), (6, 3, 'c'), (7, 0, 'd')], "cdab"),
        ] {
            let mut queue = EventQueue::default();
            for &(at, class, event) in scheduled {
                queue.schedule(ms(at), class, event);
            }
            assert_eq!(drain(&mut queue), order);
        }
    }

    #[test]
    fn rescheduling_moves_an_event_to_the_end_of_its_instant_and_class() {
        let mut queue = EventQueue::default();
        let first = queue.schedule(ms(5), 1, 'a');
        queue.schedule(ms(5), 1, 'b');
        queue.schedule(ms(5), 2, 'c');
        assert!(queue.reschedule(first, ms(5)));
        assert_eq!(queue.due_at(first), Some(ms(5)));
        assert_eq!(drain(&mut queue), "bac");
    }

    #[test]
    fn advancing_an_event_keeps_its_place_among_those_of_the_new_instant() {
        let mut queue = EventQueue::default();
        let timers = ['a', 'b', 'c'].map(|event| queue.schedule(ms(9), 1, event));
        queue.schedule(ms(5), 1, 'd');
        for timer in [timers[2], timers[0]] {
            assert!(queue.advance(timer, ms(5)));
        }
        assert_eq!(drain(&mut queue), "acdb");
        assert!(!queue.advance(timers[0], ms(9)));
    }

    #[test]
    fn stale_handles_are_refused_even_after_their_slot_is_used_again() {
        let mut queue = EventQueue::default();
        let fired = queue.schedule(ms(1), 0, 'a');
        assert_eq!(queue.pop(), Some((ms(1), 'a')));
        let cancelled = queue.schedule(ms(2), 0, 'b');
        assert!(queue.cancel(cancelled));
        let live = queue.schedule(ms(3), 0, 'c');
        assert_eq!([fired.slot, cancelled.slot], [live.slot; 2]);
        for stale in [fired, cancelled] {
            assert!(!queue.cancel(stale));
            assert!(!queue.reschedule(stale, ms(9)));
            assert_eq!(queue.due_at(stale), None);
        }
        assert_eq!(queue.due_at(live), Some(ms(3)));
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn a_slot_without_generations_left_is_retired() {
        let mut queue = EventQueue::default();
        queue.schedule(ms(0), 0, 'a');
        queue.pop();
        queue.slots[0].generation = u32::MAX - 1;
        let last = queue.schedule(ms(0), 0, 'b');
        assert!(queue.cancel(last));
        let next = queue.schedule(ms(0), 0, 'c');
        assert_eq!((last.slot, next.slot), (0, 1));
    }

    #[test]
    fn a_clone_lives_on_its_own() {
        let mut queue = EventQueue::default();
        let timer = queue.schedule(ms(1), 0, 'a');
        queue.schedule(ms(2), 0, 'b');
        let mut copy = queue.clone();
        assert!(copy.cancel(timer));
        assert_eq!(drain(&mut copy), "b");
        assert_eq!(drain(&mut queue), "ab");
    }

    #[test]
    #[should_panic(expected = "an event at +00:00:00.999 would lie in the past of +00:00:01")]
    fn scheduling_in_the_past_panics() {
        let mut queue = EventQueue::default();
        queue.schedule(ms(1_000), 0, ());
        queue.pop();
        queue.schedule(ms(999), 0, ());
    }

    #[test]
    #[should_panic(expected = "would lie in the past")]
    fn rescheduling_into_the_past_panics() {
        let mut queue = EventQueue::default();
        queue.schedule(ms(1_000), 0, ());
        let later = queue.schedule(ms(2_000), 0, ());
        queue.pop();
        queue.reschedule(later, ms(999));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Schedule { delay_ms: i64, class: u8 },
        Reschedule { which: usize, delay_ms: i64 },
        Cancel { which: usize },
        Pop,
    }

    /// Most are near; some lie periods ahead.
    fn delay() -> impl Strategy<Value = i64> {
        prop_oneof![3 => 0..20_i64, 1 => 130_000..133_000_i64, 1 => 0..3_000_000_i64]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (delay(), 0..4_u8)
                .prop_map(|(delay_ms, class)| Step::Schedule { delay_ms, class }),
            3 => (0..500_usize, delay())
                .prop_map(|(which, delay_ms)| Step::Reschedule { which, delay_ms }),
            1 => (0..500_usize).prop_map(|which| Step::Cancel { which }),
            2 => Just(Step::Pop),
        ]
    }

    /// The obvious event list: an ordered map, searched from end to end.
    #[derive(Default)]
    struct Oracle {
        pending: BTreeMap<(SimTime, u8, u64), usize>,
        sequence: u64,
        now: SimTime,
    }

    impl Oracle {
        fn add(&mut self, at: SimTime, class: u8, event: usize) {
            self.pending.insert((at, class, self.sequence), event);
            self.sequence += 1;
        }

        fn remove(&mut self, event: usize) -> Option<(SimTime, u8, u64)> {
            let key = self.key(event)?;
            self.pending.remove(&key);
            Some(key)
        }

        fn key(&self, event: usize) -> Option<(SimTime, u8, u64)> {
            let found = self.pending.iter().find(|&(_, &other)| other == event);
            found.map(|(&key, _)| key)
        }

        fn pop(&mut self) -> Option<(SimTime, usize)> {
            let ((at, ..), event) = self.pending.pop_first()?;
            self.now = at;
            Some((at, event))
        }
    }

    fn after(now: SimTime, delay_ms: i64) -> SimTime {
        ms(now.ms() + delay_ms)
    }

    proptest! {
        #[test]
        fn the_queue_agrees_with_an_ordered_map(steps in prop::collection::vec(step(), 0..400)) {
            let (mut queue, mut oracle) = (EventQueue::default(), Oracle::default());
            let mut timers: Vec<Timer> = Vec::new();
            for step in steps {
                match step {
                    Step::Schedule { delay_ms, class } => {
                        let (at, event) = (after(oracle.now, delay_ms), timers.len());
                        oracle.add(at, class, event);
                        timers.push(queue.schedule(at, class, event));
                    }
                    Step::Reschedule { which, delay_ms } if !timers.is_empty() => {
                        let (at, event) = (after(oracle.now, delay_ms), which % timers.len());
                        let before = oracle.remove(event);
                        if let Some((_, class, _)) = before {
                            oracle.add(at, class, event);
                        }
                        prop_assert_eq!(queue.reschedule(timers[event], at), before.is_some());
                    }
                    Step::Cancel { which } if !timers.is_empty() => {
                        let event = which % timers.len();
                        let before = oracle.remove(event);
                        prop_assert_eq!(queue.cancel(timers[event]), before.is_some());
                    }
                    Step::Reschedule { .. } | Step::Cancel { .. } => {}
                    Step::Pop => prop_assert_eq!(queue.pop(), oracle.pop()),
                }
                prop_assert_eq!(queue.len(), oracle.pending.len());
                prop_assert_eq!(queue.is_empty(), oracle.pending.is_empty());
                let first = oracle.pending.first_key_value().map(|(key, _)| key.0);
                prop_assert_eq!(queue.next_at(), first);
            }
            for (event, &timer) in timers.iter().enumerate() {
                prop_assert_eq!(queue.due_at(timer), oracle.key(event).map(|key| key.0));
            }
            while let Some(expected) = oracle.pop() {
                prop_assert_eq!(queue.pop(), Some(expected));
            }
            prop_assert_eq!(queue.pop(), None);
        }
    }
}
