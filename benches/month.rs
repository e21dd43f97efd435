//! The scenario `month`: a thousand nodes, thirty days, three million pods. `cargo bench --bench month` runs one day;
//! `cargo bench --bench month -- 30` as many days as it is told.

#![expect(clippy::disallowed_types, reason = "the wall clock is what is measured")]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use karpsim::diagnostic::Diagnostics;
use karpsim::experiment::run::{Checks, Observer, run};
use karpsim::scenario::{Catalogue, DiskFiles, catalog, load, resolve};
use karpsim::units::SimTime;
use karpsim::world::journal::Record;

/// Counts events and facts.
#[derive(Default)]
struct Count {
    facts: u64,
    events: u64,
}

impl Observer for Count {
    fn observe(&mut self, _: &Record) {
        self.facts += 1;
    }

    fn go_on(&mut self, _: SimTime, events: u64) -> ControlFlow<()> {
        self.events = events;
        ControlFlow::Continue(())
    }
}

/// Most memory that the process has had, where the system tells.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or_else(|| "unknown".to_owned(), |peak| peak.trim().to_owned())
}

fn main() {
    let days = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(1);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/month.ron");
    let catalog = catalog::embedded();
    let names = Catalogue::from(catalog);
    let scenario = load(&path, &DiskFiles, &names, &mut Diagnostics::default());
    let scenario = scenario.expect("the shipped scenario loads");
    let mut config = resolve::config(&scenario, catalog);
    config.horizon = SimTime::from_seconds(days * 86_400);
    let header = resolve::header(&scenario, &config, catalog);
    let mut count = Count::default();
    let start = Instant::now();
    let result = run(Arc::new(config), header, Checks::Off, &mut count).expect("a sound run");
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{days} days of month: {seconds:.1} s, {} days a minute",
        (days as f64 * 60.0 / seconds).round()
    );
    println!(
        "{} events, {:.2} million a second; {} facts; peak memory {}",
        count.events,
        count.events as f64 / seconds / 1e6,
        count.facts,
        peak_memory(),
    );
    println!(
        "{} nodes launched, {} disruptions",
        result.ledger.entries.len(),
        result.disruptions.len()
    );
}
