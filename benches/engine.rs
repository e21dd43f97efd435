//! The event list and the random draws.
//!
//! `hold` is the classic hold model: pop the first of n pending events and schedule it again later.
//! `hold_and_rearm` adds two reschedules of random pending timers, the load of a cluster whose pod
//! events re-arm node timers. Items are holds, so "Mitem/s" reads as million holds a second.

use divan::Bencher;
use divan::counter::ItemsCount;
use karpsim::engine::{Distribution, EventQueue, Purpose, Streams, Timer};
use karpsim::units::SimTime;

/// Holds in one measured iteration.
const HOLDS: usize = 1_000;
const PENDING: [usize; 3] = [1_000, 10_000, 100_000];

/// As large as the simulation's events.
#[derive(Clone, Copy)]
struct Event {
    timer_index: u32,
    _payload: [u32; 3],
}

/// Precomputed delays and picks, so that only the queue is measured.
struct Load {
    delays_ms: Vec<i64>,
    picks: Vec<u32>,
    turn: usize,
}

impl Load {
    fn new(pending: usize) -> Load {
        let streams = Streams::new(1);
        let delay = Distribution::Exponential { mean: 60_000.0 };
        let draws = 0..1 << 16;
        Load {
            delays_ms: draws
                .clone()
                .map(|n| streams.sample(&delay, Purpose::Arrival, n, 0))
                .collect(),
            picks: draws
                .map(|n| streams.below(Purpose::SchedulerTie, n, 0, pending as u64) as u32)
                .collect(),
            turn: 0,
        }
    }

    /// The next delay in milliseconds and the next timer to re-arm.
    fn next(&mut self) -> (i64, usize) {
        self.turn = (self.turn + 1) % self.delays_ms.len();
        (self.delays_ms[self.turn], self.picks[self.turn] as usize)
    }
}

/// A queue with `pending` timers, each known by its index.
struct Model {
    queue: EventQueue<Event>,
    timers: Vec<Timer>,
    load: Load,
    now_ms: i64,
}

impl Model {
    fn new(pending: usize) -> Model {
        let (mut queue, mut load) = (EventQueue::default(), Load::new(pending));
        let timers = (0..pending as u32)
            .map(|timer_index| {
                let event = Event { timer_index, _payload: [0; 3] };
                queue.schedule(SimTime::from_ms(load.next().0), 0, event)
            })
            .collect();
        let mut model = Model { queue, timers, load, now_ms: 0 };
        // The heap of a young model is nearly sorted: let every timer fire a few times first.
        for _ in 0..3 * pending {
            model.hold();
        }
        model
    }

    fn hold(&mut self) {
        let (at, event) = self.queue.pop().expect("timers are always re-armed");
        self.now_ms = at.ms();
        let due = SimTime::from_ms(self.now_ms + self.load.next().0);
        self.timers[event.timer_index as usize] = self.queue.schedule(due, 0, event);
    }

    fn rearm(&mut self) {
        let (delay_ms, index) = self.load.next();
        let due = SimTime::from_ms(self.now_ms + delay_ms);
        assert!(self.queue.reschedule(self.timers[index], due));
    }
}

#[divan::bench(args = PENDING)]
fn hold(bencher: Bencher<'_, '_>, pending: usize) {
    let mut model = Model::new(pending);
    bencher.counter(ItemsCount::new(HOLDS)).bench_local(|| {
        for _ in 0..HOLDS {
            model.hold();
        }
    });
}

#[divan::bench(args = PENDING)]
fn hold_and_rearm(bencher: Bencher<'_, '_>, pending: usize) {
    let mut model = Model::new(pending);
    bencher.counter(ItemsCount::new(HOLDS)).bench_local(|| {
        for _ in 0..HOLDS {
            model.hold();
            model.rearm();
            model.rearm();
        }
    });
}

#[divan::bench]
fn keyed_draw(bencher: Bencher<'_, '_>) {
    let (streams, mut entity) = (Streams::new(1), 0);
    bencher.bench_local(|| {
        entity += 1;
        streams.u64(Purpose::Arrival, entity, 0)
    });
}

#[divan::bench]
fn log_normal_sample(bencher: Bencher<'_, '_>) {
    let (streams, mut entity) = (Streams::new(1), 0);
    let latency = Distribution::LogNormal { p50: 30_000.0, p95: 45_000.0 };
    bencher.bench_local(|| {
        entity += 1;
        streams.sample(&latency, Purpose::LaunchLatency, entity, 0)
    });
}

#[divan::bench]
fn tie_break_hash(bencher: Bencher<'_, '_>) {
    let (streams, mut entity) = (Streams::new(1), 0);
    bencher.bench_local(|| {
        entity += 1;
        streams.mix(Purpose::SchedulerTie, entity, 0)
    });
}

fn main() {
    divan::main();
}
