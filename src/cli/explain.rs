//! `karpsim explain`: the run of a stored result is made again, and its controllers say why.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};

use super::Exit;
use super::args::ExplainOptions;
use super::study;
use super::terminal::Terminal;
use crate::diagnostic::{Diagnostics, nearest};
use crate::experiment::run::{Checks, Observer, run};
use crate::experiment::{self, Figures, grid};
use crate::outcome::{Chronicle, Header, RunResult, Story};
use crate::report::{code, explanation, json};
use crate::scenario::inputs::{CellInputs, StudyInputs};
use crate::scenario::{self, Catalogue, DiskFiles, Inputs, KeptFiles, catalog, inputs, resolve};
use crate::simulation::Config;
use crate::units::{SimDuration, SimTime};
use crate::world::account::Question;
use crate::world::journal::Record;
use crate::world::{Account, Witness};

/// How long before an instant the last pass that is not a repetition may lie: Karpenter's marks last five minutes.
const BEFORE: SimDuration = SimDuration::from_minutes(6);

/// Runs of a study that are listed at most.
const MOST_NAMES: usize = 20;

/// How long after the end of a pod its successor may be made.
const AFTER: SimDuration = SimDuration::from_minutes(10);

/// Explains a result.
pub fn explain(options: &ExplainOptions, terminal: &Terminal) -> Result<Exit> {
    if let Some(text) = options.result.to_str().filter(|text| code::is_code(text)) {
        return explain_code(text, terminal);
    }
    let again = match Again::load(options, terminal)? {
        Some(again) => again,
        None => return Ok(Exit::BadInput),
    };
    let mut lookup = Lookup::default();
    let end = again.run(&mut lookup)?;
    let chronicle = lookup.0;
    let start = again.header.start_epoch_s;
    let document = match (&options.what, options.at.as_deref()) {
        (None, None) => explanation::index(&chronicle),
        (None, Some(at)) => {
            let at = match parse_instant(at, start) {
                Ok(at) => at,
                Err(help) => {
                    terminal.complain(&format!("error: --at {at}: {help}"));
                    return Ok(Exit::BadInput);
                }
            };
            if at >= again.config.horizon || at > end || at < SimTime::ZERO {
                terminal
                    .complain(&format!("error: --at {at}: the run lasts from +00:00:00 to {end}"));
                return Ok(Exit::BadInput);
            }
            let mut listener = Listener::new(at);
            again.replay(&mut listener)?;
            explanation::at(at, &listener.questions, &chronicle, start)
        }
        (Some(what), _) => {
            let Some(subject) = chronicle.find(what) else {
                return Ok(unknown(what, &chronicle, terminal));
            };
            let (from, until) = chronicle.span(&subject);
            let mut teller = Teller { story: Story::new(subject), from, until };
            again.replay(&mut teller)?;
            teller.story.end_pass();
            explanation::story(&teller.story, &chronicle, start)
        }
    };
    terminal.print(&match options.json {
        true => document.json(start)?,
        false => document.text(start),
    })?;
    Ok(Exit::Done)
}

fn explain_code(text: &str, terminal: &Terminal) -> Result<Exit> {
    match code::explain(text) {
        Ok(text) => {
            terminal.print(&text)?;
            Ok(Exit::Done)
        }
        Err(near) => {
            let near = near.map_or(String::new(), |near| format!(": did you mean {near}?"));
            terminal.complain(&format!("error: there is no code {text}{near}"));
            Ok(Exit::BadInput)
        }
    }
}

fn unknown(what: &str, chronicle: &Chronicle, terminal: &Terminal) -> Exit {
    let names: Vec<String> = chronicle.names().collect();
    let near = nearest(what, names.iter().map(String::as_str)).into_iter().next();
    let help = match near {
        Some(name) => format!("did you mean {name}?"),
        None => "karpsim explain RESULT without more lists the commands".to_owned(),
    };
    terminal.complain(&format!("error: nothing in this run is called {what}: {help}"));
    Exit::BadInput
}

/// Elapsed time as `2h13m` or `+02:13:00`, or an instant in UTC.
fn parse_instant(text: &str, start_epoch_s: i64) -> Result<SimTime, &'static str> {
    const HELP: &str =
        "write the time since the start, such as 2h13m, or an instant such as 2026-01-05T11:13:00Z";
    if let Some(span) = SimDuration::parse(text) {
        return Ok(SimTime::ZERO + span);
    }
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(SimTime::from_ms(instant.as_millisecond() - start_epoch_s * 1_000));
    }
    elapsed(text).ok_or(HELP)
}

/// `+2d 03:04:05`, as reports write it.
fn elapsed(text: &str) -> Option<SimTime> {
    let text = text.strip_prefix('+')?;
    let (days, clock) = text.split_once("d ").unwrap_or(("0", text));
    let mut seconds = days.parse::<i64>().ok()?.checked_mul(24)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let parts: Vec<&str> = clock.split(':').collect();
    let [hours, minutes, rest] = parts.as_slice() else { return None };
    for (part, factor) in [(hours, 1), (minutes, 60), (rest, 60)] {
        let part: i64 = part.parse().ok().filter(|part| *part >= 0)?;
        seconds = seconds.checked_mul(factor)?.checked_add(part)?;
    }
    let ms: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    Some(SimTime::from_ms(seconds.checked_mul(1_000)?.checked_add(ms)?))
}

/// The run of a result, to be made again.
struct Again {
    config: Arc<Config>,
    header: Header,
    expected: Expected,
    /// After how many events it was interrupted.
    interrupted_after: Option<u64>,
}

/// What a run that is made again has to come to.
enum Expected {
    /// The digest of its result.
    Digest(String),
    /// Its figures, of a run of a study.
    Figures(Figures),
}

impl Again {
    /// Reads a folder of results. `None` when its inputs are no longer valid or it has no such run, which is then said.
    fn load(options: &ExplainOptions, terminal: &Terminal) -> Result<Option<Again>> {
        let folder = &options.result;
        let mut inputs: Inputs = serde_json::from_str(&read(folder, "inputs.json")?)
            .with_context(|| format!("{}/inputs.json", folder.display()))?;
        if inputs.schema != inputs::SCHEMA {
            bail!("{}/inputs.json: it was written by another version of karpsim", folder.display());
        }
        let (study_run, replication) = match (inputs.study.take(), &options.run) {
            (Some(study), run) => {
                let (id, cell) = match chosen(&study, run.as_deref()) {
                    Ok(found) => found,
                    Err(reason) => {
                        terminal.complain(&format!("error: {reason}"));
                        return Ok(None);
                    }
                };
                (inputs.policy, inputs.settings) = (cell.policy.clone(), cell.settings.clone());
                (Some(id), (id % u64::from(study.replications).max(1)) as u32)
            }
            (None, Some(_)) => bail!("{} holds one run: leave --run out", folder.display()),
            (None, None) => (None, 0),
        };
        let catalog = catalog::embedded();
        let files_folder = options.files.clone().unwrap_or_default();
        let files = KeptFiles { inputs: &inputs, rest: DiskFiles, folder: files_folder };
        let (path, further, choice) = (inputs.path(), inputs.further(), inputs.choice());
        let mut diagnostics = Diagnostics::default();
        let names = Catalogue::from(catalog);
        let loaded =
            scenario::load_variant(&path, &further, &choice, &files, &names, &mut diagnostics);
        let Some(mut scenario) = loaded else {
            terminal.diagnostics(&diagnostics);
            return Ok(None);
        };
        scenario.settings.seed = inputs.seed.unwrap_or(scenario.settings.seed);
        let mut config = Arc::new(resolve::config(&scenario, catalog));
        if replication > 0 {
            let seed = grid::seed(scenario.settings.seed, replication);
            config = Arc::new(config.with_seed(seed));
        }
        if let Some(ms) = inputs.until_ms {
            let config = Arc::make_mut(&mut config);
            config.horizon = config.horizon.min(SimTime::from_ms(ms));
        }
        let header = resolve::header(&scenario, &config, catalog);
        let expected = match study_run {
            None => Expected::Digest(stored_digest(folder)?),
            Some(id) => {
                let rows = read(folder, study::ROWS)?;
                let (seed, input) = (config.settings.seed, &header.input_digest);
                let figures = study::figures_of(&rows, (id, seed, input));
                Expected::Figures(figures.with_context(|| {
                    format!("run {id} of these inputs did not come to its end: go on with --resume")
                })?)
            }
        };
        let interrupted_after = inputs.interrupted_after;
        Ok(Some(Again { config, header, expected, interrupted_after }))
    }

    /// Makes the run again as far as `observer` wants, which was shown to come to the same before.
    fn replay(&self, observer: &mut impl Observer) -> Result<RunResult> {
        let mut observer = Interrupted { observer, after: self.interrupted_after };
        let result = run(self.config.clone(), self.header.clone(), Checks::Off, &mut observer);
        result.map_err(|failure| anyhow!("{}", failure.0))
    }

    /// Makes the run again, and returns its end. Fails when it comes to something else: then there is nothing to
    /// explain.
    fn run(&self, observer: &mut impl Observer) -> Result<SimTime> {
        let result = self.replay(observer)?;
        let difference = match &self.expected {
            Expected::Digest(expected) => {
                let digest = json::result_digest(&result)?;
                (digest != *expected).then(|| format!("digest {digest} instead of {expected}"))
            }
            Expected::Figures(expected) => {
                let found = experiment::figures(&result);
                let differing = found.iter().zip(expected).find(|(found, known)| found != known);
                let of_other_runs = (found.len() != expected.len()).then(|| "other figures".into());
                differing.map(|((name, _), _)| format!("another {name}")).or(of_other_runs)
            }
        };
        match difference {
            None => Ok(result.end),
            Some(difference) => bail!(
                "the run made again comes to another result ({difference}): the stored one was made by another \
                 version of karpsim; run the scenario again"
            ),
        }
    }
}

/// The digest of the result in a folder.
fn stored_digest(folder: &Path) -> Result<String> {
    let summary: serde_json::Value = serde_json::from_str(&read(folder, "summary.json")?)
        .with_context(|| format!("{}/summary.json", folder.display()))?;
    Ok(summary["provenance"]["result_digest"].as_str().unwrap_or_default().to_owned())
}

/// The number of the run of a study that was asked for, and its cell; or what to ask for instead.
fn chosen<'a>(study: &'a StudyInputs, run: Option<&str>) -> Result<(u64, &'a CellInputs), String> {
    let replications = u64::from(study.replications);
    let number = |cell: usize| cell as u64 * replications;
    let named = |run: &str| study.cells.iter().position(|cell| cell.name == run).map(number);
    let id = run.and_then(|run| named(run).or_else(|| run.parse().ok()));
    let cell = id.and_then(|id| study.cells.get(usize::try_from(id / replications.max(1)).ok()?));
    if let Some(found) = id.zip(cell) {
        return Ok(found);
    }
    let names = study.cells.iter().take(MOST_NAMES).enumerate();
    let mut list: Vec<String> =
        names.map(|(cell, known)| format!("  {:>4}  {}", number(cell), known.name)).collect();
    if study.cells.len() > MOST_NAMES {
        list.push("   ...".to_owned());
    }
    let asked = match run {
        Some(run) => format!("there is no run {run}"),
        None => "this is a study of several runs".to_owned(),
    };
    let several = match replications {
        0 | 1 => String::new(),
        n => format!("; each has {n} replications, numbered on from its own"),
    };
    Err(format!("{asked}: name one with --run, by number or name{several}\n{}", list.join("\n")))
}

fn read(folder: &Path, name: &str) -> Result<String> {
    let path = folder.join(name);
    std::fs::read_to_string(&path).with_context(|| {
        format!(
            "{} cannot be read: name a folder that karpsim run, compare or sweep wrote",
            path.display()
        )
    })
}

/// Ends a run where it was interrupted, after so many events.
struct Interrupted<'a, O> {
    observer: &'a mut O,
    after: Option<u64>,
}

impl<O: Observer> Observer for Interrupted<'_, O> {
    fn observe(&mut self, record: &Record) {
        self.observer.observe(record);
    }

    fn witness(&self) -> Option<Witness> {
        self.observer.witness()
    }

    fn hear(&mut self, account: &Account) {
        self.observer.hear(account);
    }

    fn go_on(&mut self, at: SimTime, events: u64) -> ControlFlow<()> {
        match self.after {
            Some(after) if events >= after => ControlFlow::Break(()),
            _ => self.observer.go_on(at, events),
        }
    }
}

/// Learns who is who.
#[derive(Default)]
struct Lookup(Chronicle);

impl Observer for Lookup {
    fn observe(&mut self, record: &Record) {
        self.0.fold(record);
    }

    fn go_on(&mut self, _: SimTime, _: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Listens to the passes about an instant.
struct Listener {
    at: SimTime,
    questions: Vec<Question>,
}

impl Listener {
    fn new(at: SimTime) -> Listener {
        Listener { at, questions: Vec::new() }
    }
}

impl Observer for Listener {
    fn observe(&mut self, _: &Record) {}

    fn witness(&self) -> Option<Witness> {
        Some(Witness::new(self.at - BEFORE, self.at + SimDuration::from_ms(1)))
    }

    fn hear(&mut self, account: &Account) {
        if let Account::Question(question) = account {
            self.questions.push((**question).clone());
        }
    }

    fn go_on(&mut self, now: SimTime, _: u64) -> ControlFlow<()> {
        go_on_until(self.at, now)
    }
}

/// Folds the story of one subject.
struct Teller {
    story: Story,
    from: SimTime,
    until: SimTime,
}

impl Observer for Teller {
    fn observe(&mut self, record: &Record) {
        self.story.fold(record);
    }

    fn witness(&self) -> Option<Witness> {
        Some(Witness::new(self.from, self.until))
    }

    fn hear(&mut self, account: &Account) {
        self.story.hear(account);
    }

    fn go_on(&mut self, now: SimTime, _: u64) -> ControlFlow<()> {
        go_on_until(self.until + AFTER, now)
    }
}

/// Nothing that comes later is listened to.
fn go_on_until(end: SimTime, now: SimTime) -> ControlFlow<()> {
    if now > end { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
