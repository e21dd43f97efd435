//! One run from its start to its horizon, folded into its result as it goes.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::outcome::{Header, Recorder, RunResult};
use crate::simulation::history::History;
use crate::simulation::{Config, Simulation, invariant};
use crate::units::SimTime;
use crate::world::journal::Record;
use crate::world::{Account, Fact, Witness};

/// Events between two looks at the observer's wish to go on.
const EVENTS_PER_LOOK: u64 = 1_024;

/// What else watches a run.
pub trait Observer {
    /// Sees one fact, in the order of their instants.
    fn observe(&mut self, record: &Record);

    /// The stretch of time in which it wants to be told why as well.
    fn witness(&self) -> Option<Witness> {
        None
    }

    /// Is told why; what happens in answer to it is observed later.
    fn hear(&mut self, _: &Account) {}

    /// Asked every thousand events or so: `Break` ends the run there. `at` is the present instant.
    fn go_on(&mut self, at: SimTime, events: u64) -> ControlFlow<()>;
}

/// No further observer.
impl Observer for () {
    fn observe(&mut self, _: &Record) {}

    fn go_on(&mut self, _: SimTime, _: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Whether invariants are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    /// Only what costs nothing.
    Off,
    /// All invariants after every event.
    EveryEvent,
}

/// A run that means nothing. It broke an invariant of the model: a defect of the program, with the event that showed
/// it. Or a trace was changed after it was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

/// Runs to the horizon, or to where `observer` ends it; the result then ends there.
pub fn run(
    config: Arc<Config>,
    header: Header,
    checks: Checks,
    observer: &mut impl Observer,
) -> Result<RunResult, Failure> {
    let mut simulation = Simulation::new(config).witnessed(observer.witness());
    let mut recorder = Recorder::new(header);
    let mut end = simulation.horizon();
    let mut history = (checks == Checks::EveryEvent).then(History::default);
    fold(&mut simulation, &mut recorder, history.as_mut(), observer)?;
    while let Some((at, event)) = simulation.step() {
        fold(&mut simulation, &mut recorder, history.as_mut(), observer)?;
        if checks == Checks::EveryEvent {
            invariant::check(simulation.world(), at, &event).map_err(Failure)?;
        }
        let events = simulation.event_count();
        if events.is_multiple_of(EVENTS_PER_LOOK) && observer.go_on(at, events).is_break() {
            end = at;
            break;
        }
    }
    if let Some(reason) = simulation.failure() {
        return Err(Failure(reason.to_owned()));
    }
    let result = recorder.finish(end);
    if checks == Checks::EveryEvent {
        result.ledger.audit(result.end).map_err(Failure)?;
    }
    Ok(result)
}

/// Hands the facts of the last event to those who watch.
fn fold(
    simulation: &mut Simulation,
    recorder: &mut Recorder,
    history: Option<&mut History>,
    observer: &mut impl Observer,
) -> Result<(), Failure> {
    simulation.drain_accounts().iter().for_each(|account| observer.hear(account));
    let Some(history) = history else {
        for record in simulation.drain_journal() {
            recorder.fold(&record);
            observer.observe(&record);
        }
        return Ok(());
    };
    let records: Vec<Record> = simulation.drain_journal().collect();
    for record in &records {
        recorder.fold(record);
        observer.observe(record);
    }
    let world = simulation.world();
    for record in &records {
        if let Fact::DisruptionStarted { command, .. } = &record.fact {
            invariant::check_budgets(world, command).map_err(Failure)?;
        }
    }
    history.fold(world, &records).map_err(Failure)
}
