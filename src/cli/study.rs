//! What `compare` and `sweep` share: the variants of a scenario loaded, their runs done on all cores, their rows kept.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};

use super::Exit;
use super::args::StudyOptions;
use super::input::{Origin, Variant};
use super::output::Folder;
use super::progress::{Runs, Signals};
use super::terminal::Terminal;
use crate::diagnostic::Diagnostics;
use crate::experiment::run::{Checks, Observer, run};
use crate::experiment::{
    Cell, Ended, FailedRun, Figures, Grid, Job, Row, Study, Watch, grid, run_all,
};
use crate::outcome::summary::{counted, duration_text};
use crate::report::study::name_of;
use crate::report::study_picture::Picture;
use crate::scenario::inputs::{CellInputs, StudyInputs};
use crate::scenario::{Choice, Inputs, Setting, resolve};
use crate::units::{SimDuration, SimTime};
use crate::world::journal::Record;

/// The file of rows, one a line, to go on from.
pub const ROWS: &str = "runs.jsonl";

/// How long a first run is watched to estimate how long all take.
const LONGEST_LOOK: Duration = Duration::from_millis(300);

/// Cells of which whole results are kept for pictures.
const MOST_KEPT: usize = 64;

/// A study whose variants are loaded.
pub struct Prepared {
    grid: Grid,
    cells: Vec<Cell>,
    choices: Vec<Choice>,
    variants: Vec<Variant>,
    origin: Origin,
}

impl Prepared {
    /// Loads all variants: the settings of `of_cell` on top of each cell's policy. The inner error is how the program
    /// ends after the problems were said.
    pub fn load(
        origin: Origin,
        grid: Grid,
        of_cell: impl Fn(&Cell) -> Choice,
        terminal: &Terminal,
    ) -> Result<Prepared, Exit> {
        let cells = grid.cells();
        let mut diagnostics = Diagnostics::default();
        let choices: Vec<Choice> = cells.iter().map(of_cell).collect();
        let mut variants = Vec::with_capacity(cells.len());
        for choice in &choices {
            match origin.load(choice, &mut diagnostics) {
                Some(variant) => variants.push(variant),
                // One variant's problems are enough: others mostly have the same.
                None => break,
            }
        }
        terminal.diagnostics(&diagnostics);
        match variants.len() == cells.len() {
            true => Ok(Prepared { grid, cells, choices, variants, origin }),
            false => Err(Exit::BadInput),
        }
    }

    /// The folder of the outputs: the one that was asked for, or one of the scenario's name.
    pub fn folder(&self, options: &StudyOptions) -> Result<Folder> {
        let name = self.variants.first().map_or("", |variant| &variant.scenario.settings.name);
        Folder::of_run(options.out.as_deref(), name, options.force)
    }

    fn jobs(&self) -> Vec<(usize, u32, Job)> {
        let count = self.grid.replications;
        let mut jobs = Vec::new();
        for (cell, variant) in self.variants.iter().enumerate() {
            let Variant { scenario, config } = variant;
            let header = resolve::header(scenario, config, self.origin.catalog);
            for replication in 0..count {
                let id = cell as u64 * u64::from(count) + u64::from(replication);
                let seed = grid::seed(scenario.settings.seed, replication);
                let (config, header) = (Arc::clone(config), header.clone());
                let keep = replication == 0 && (cell == 0 || self.variants.len() <= MOST_KEPT);
                jobs.push((cell, replication, Job { id, config, header, seed, keep }));
            }
        }
        jobs
    }

    /// Does the runs that `folder` does not know yet and returns the whole study; none of a dry run, which stops once
    /// the plan was said.
    pub fn run(
        &self,
        options: &StudyOptions,
        folder: &mut Folder,
        resume: bool,
        terminal: &Terminal,
    ) -> Result<Option<(Study, Option<u8>)>> {
        let jobs = self.jobs();
        let known = if resume { read_rows(folder, &jobs)? } else { BTreeMap::new() };
        // The first replication is run again for the pictures.
        let is_known = |job: &Job| !job.keep && known.contains_key(&job.id);
        let left: Vec<Job> =
            jobs.iter().map(|(_, _, job)| job).filter(|job| !is_known(job)).cloned().collect();
        let threads = if options.jobs == 0 { num_threads() } else { options.jobs };
        let signals = Signals::catch()?;
        if !terminal.quiet {
            let each = left.first().and_then(time_of_a_run);
            terminal.say(&self.plan_line(left.len(), threads, each));
        }
        if options.dry_run {
            return Ok(None);
        }
        let span = self.variants.first().map_or(SimDuration::ZERO, |v| v.scenario.settings.horizon);
        let progress = Runs::new(options.progress, left.len(), span, terminal);
        let kept = |row: &Row| jobs.get(row.id as usize).is_some_and(|(_, _, job)| job.keep);
        let mut rows: Vec<Row> = known.into_values().filter(|row| !kept(row)).collect();
        let mut study = self.empty_study();
        folder.write("inputs.json", self.inputs(&study)?.as_bytes())?;
        let mut file = folder.append(ROWS, resume)?;
        let mut error = None;
        let watch = Watcher { progress: &progress, signals: &signals };
        run_all(&left, threads, &watch, |job, ended| {
            let Some((cell, replication, _)) = jobs.get(job.id as usize) else {
                return;
            };
            match ended {
                Ended::Done { figures, result } => {
                    let (id, seed) = (job.id, job.seed);
                    let row = Row { id, cell: *cell, replication: *replication, seed, figures };
                    let line = row_json(&row, &job.header.input_digest);
                    error = error.take().or_else(|| writeln!(file, "{line}").err());
                    rows.push(row);
                    if let Some(slot) = study.results.get_mut(*cell).filter(|_| job.keep) {
                        *slot = result;
                    }
                }
                Ended::Failed(reason) => {
                    let failed = self.failed_run(&study, job, (*cell, *replication), &reason);
                    terminal.complain(&format!("run {} failed: {}", failed.id, failed.reason));
                    study.failed.push(failed);
                }
                Ended::Stopped => {
                    study.complete = false;
                    return;
                }
            }
            progress.count();
        })
        .context("the threads cannot be started")?;
        progress.clear();
        if let Some(error) = error {
            return Err(error).context(ROWS);
        }
        drop(file);
        rows.sort_by_key(|row| row.id);
        study.failed.sort_by_key(|failed| failed.id);
        study.rows = rows;
        self.write_rows(folder, &study, &jobs)?;
        Ok(Some((study, signals.caught())))
    }

    /// Everything that is needed to make the runs again.
    fn inputs(&self, study: &Study) -> Result<String> {
        let cells = self.cells.iter().zip(&self.choices);
        let cells = cells.map(|(cell, choice)| CellInputs::new(name_of(study, cell), choice));
        let runs = StudyInputs { replications: self.grid.replications, cells: cells.collect() };
        let inputs = Inputs { study: Some(runs), ..self.origin.inputs()? };
        Ok(inputs.json(&study.header.scenario)?)
    }

    fn failed_run(
        &self,
        study: &Study,
        job: &Job,
        (cell, replication): (usize, u32),
        reason: &str,
    ) -> FailedRun {
        let name = name_of(study, &self.cells[cell]);
        let reason = format!("{name}, replication {replication}, seed {}: {reason}", job.seed);
        FailedRun { id: job.id, reason }
    }

    fn empty_study(&self) -> Study {
        let header = self.variants.first().map(|variant| {
            resolve::header(&variant.scenario, &variant.config, self.origin.catalog)
        });
        Study {
            header: header.unwrap_or_default(),
            grid: self.grid.clone(),
            changed: self.variants.iter().map(|variant| variant.scenario.changed.clone()).collect(),
            rows: Vec::new(),
            failed: Vec::new(),
            results: self.cells.iter().map(|_| None).collect(),
            complete: true,
        }
    }

    /// `40 runs = 4 policies x 10 replications, about 12 s on 8 threads`
    fn plan_line(&self, left: usize, threads: usize, each: Option<Duration>) -> String {
        let Grid { policies, replications, .. } = &self.grid;
        let product = [
            (self.grid.points(), "points"),
            (policies.len() as u64, "policies"),
            (u64::from(*replications), "replications"),
        ];
        let product: Vec<String> = product
            .into_iter()
            .filter(|(count, _)| *count > 1)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let runs = self.grid.runs();
        let known = runs.saturating_sub(left as u64);
        let known = if known > 0 { format!(", {known} of them known") } else { String::new() };
        let at_once = threads.min(left).max(1);
        let estimate = each.map(|each| {
            let ms = each.as_millis() as f64 * left as f64 / at_once as f64;
            match ms < 1_000.0 {
                true => "below a second".to_owned(),
                false => {
                    let seconds = libm::round(ms / 1_000.0) as i64;
                    format!("about {}", duration_text(SimDuration::from_seconds(seconds)))
                }
            }
        });
        let estimate = estimate.map_or(String::new(), |text| format!(", {text}"));
        let (product, threads) = (product.join(" x "), counted(threads as u64, "thread"));
        format!("{runs} runs = {product}{known}{estimate} on {threads}")
    }

    /// The rows in their order, whatever the order in which they came.
    fn write_rows(
        &self,
        folder: &mut Folder,
        study: &Study,
        jobs: &[(usize, u32, Job)],
    ) -> Result<()> {
        let mut text = String::new();
        for row in &study.rows {
            let digest = jobs.get(row.id as usize);
            let digest = digest.map_or("", |(_, _, job)| &job.header.input_digest);
            text.push_str(&row_json(row, digest));
            text.push('\n');
        }
        folder.write(ROWS, text.as_bytes())
    }
}

/// The share of a run that says how long all of it takes: the first seconds of a cluster may be its busiest.
const LEAST_LOOK: f64 = 0.01;

/// How long a run takes, from the first moments of one; none of a run that fails or of which too little was seen.
fn time_of_a_run(job: &Job) -> Option<Duration> {
    let mut first = FirstMoments { clock: ProgressBar::hidden() };
    let config = job.config.with_seed(job.seed);
    let horizon = config.horizon.ms().max(1) as f64;
    let ended = catch_unwind(AssertUnwindSafe(|| {
        run(Arc::new(config), job.header.clone(), Checks::Off, &mut first)
    }));
    let result = ended.ok()?.ok()?;
    let share = (result.end.ms() as f64 / horizon).min(1.0);
    (share >= LEAST_LOOK).then(|| first.clock.elapsed().div_f64(share))
}

/// Ends a run when enough of it was seen.
struct FirstMoments {
    clock: ProgressBar,
}

impl Observer for FirstMoments {
    fn observe(&mut self, _: &Record) {}

    fn go_on(&mut self, _: SimTime, _: u64) -> ControlFlow<()> {
        match self.clock.elapsed() < LONGEST_LOOK {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }
}

fn num_threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

struct Watcher<'a> {
    progress: &'a Runs,
    signals: &'a Signals,
}

impl Watch for Watcher<'_> {
    fn advance(&self, by: SimDuration) -> ControlFlow<()> {
        self.progress.advance(by);
        match self.signals.caught() {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }
}

fn row_json(row: &Row, input: &str) -> String {
    let figures: Map<String, Value> =
        row.figures.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let seed = row.seed.to_string();
    json!({ "run": row.id, "seed": seed, "input": input, "figures": figures }).to_string()
}

/// Rows of an earlier attempt at the same runs, the last of each. Lines of other runs and torn lines are left out.
fn read_rows(folder: &Folder, jobs: &[(usize, u32, Job)]) -> Result<BTreeMap<u64, Row>> {
    let mut rows = BTreeMap::new();
    for line in folder.read(ROWS)?.unwrap_or_default().lines() {
        let Some((id, seed, input, figures)) = row_of(line) else {
            continue;
        };
        let job = usize::try_from(id).ok().and_then(|id| jobs.get(id));
        let same = |job: &Job| job.seed == seed && job.header.input_digest == input;
        if let Some((cell, replication, _)) = job.filter(|(_, _, job)| same(job)) {
            let row = Row { id, cell: *cell, replication: *replication, seed, figures };
            rows.insert(id, row);
        }
    }
    Ok(rows)
}

fn row_of(line: &str) -> Option<(u64, u64, String, Figures)> {
    let value: Value = serde_json::from_str(line).ok()?;
    let figures = value.get("figures")?.as_object()?.iter();
    let figures = figures.map(|(name, v)| (name.clone(), v.as_str().map(str::to_owned))).collect();
    let seed = value.get("seed")?.as_str()?.parse().ok()?;
    Some((value.get("run")?.as_u64()?, seed, value.get("input")?.as_str()?.to_owned(), figures))
}

/// The figures of the run of a number, seed and digest of inputs, from the rows of a study: the row that its tables
/// count. When an attempt was killed, rows of other inputs and of an attempt before it may stand there too.
pub fn figures_of(rows: &str, wanted: (u64, u64, &str)) -> Option<Figures> {
    let of_run = |line| {
        let (id, seed, input, figures) = row_of(line)?;
        ((id, seed, input.as_str()) == wanted).then_some(figures)
    };
    rows.lines().rev().find_map(of_run)
}

/// Writes the picture of a study, or says why there is none.
pub fn write_picture(
    picture: Picture,
    name: &str,
    folder: &mut Folder,
    terminal: &Terminal,
) -> Result<()> {
    match picture {
        Picture::Drawn(bytes) => folder.write(name, &bytes),
        Picture::None(reason) => {
            terminal.say(&format!("no picture was drawn: {reason}"));
            Ok(())
        }
    }
}

/// How a study ends the program.
pub fn exit(study: &Study, signal: Option<u8>) -> Exit {
    match signal {
        Some(signal) => Exit::Interrupted(signal),
        None if !study.failed.is_empty() => Exit::Failed,
        None => Exit::Done,
    }
}

/// The settings of a cell's axes.
pub fn axis_settings(
    grid: &Grid,
    cell: &Cell,
    of: impl Fn(usize, usize) -> Setting,
) -> Vec<Setting> {
    let values = cell.values.iter().enumerate();
    values.take(grid.axes.len()).map(|(axis, value)| of(axis, *value)).collect()
}
