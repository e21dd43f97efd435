//! `karpsim run`: one policy, its answer and its files.

use std::ops::ControlFlow;

use anyhow::{Result, anyhow};

use super::Exit;
use super::args::{LogForm, RunOptions};
use super::input::{self, Input};
use super::output::{Folder, Stream};
use super::progress::{Progress, Signals};
use super::terminal::Terminal;
use crate::experiment::run::{Checks, Observer, run as simulate};
use crate::outcome::{Narrator, RunResult};
use crate::report::explanation::Trace;
use crate::report::png::{self, PngOptions};
use crate::report::table::TableOptions;
use crate::report::{csv, json, table};
use crate::scenario::{Inputs, resolve};
use crate::units::SimTime;
use crate::world::journal::Record;
use crate::world::{Account, Witness};

/// Runs a scenario.
pub fn run(options: &RunOptions, terminal: &Terminal) -> Result<Exit> {
    let mut input = match input::load(&options.scenario, &options.input, terminal)? {
        Ok(input) => input,
        Err(exit) => return Ok(exit),
    };
    if let Some(until) = options.until {
        let config = std::sync::Arc::make_mut(&mut input.config);
        config.horizon = config.horizon.min(SimTime::ZERO + until);
    }
    let header = resolve::header(&input.scenario, &input.config, input.catalog);
    let name = &input.scenario.settings.name;
    let mut folder = Folder::of_run(options.out.as_deref(), name, options.force)?;
    let signals = Signals::catch()?;
    let mut watch = Watch::new(options, terminal, &mut folder, &input, signals.clone())?;
    let checks = if options.invariants { Checks::EveryEvent } else { Checks::Off };
    let result = simulate(input.config.clone(), header, checks, &mut watch);
    let interrupted_after = watch.interrupted_after;
    watch.finish()?;
    let result = result.map_err(|failure| {
        anyhow!("an invariant of the model is broken, please report it: {}", failure.0)
    })?;
    write(options, &mut folder, &result)?;
    folder.write("inputs.json", inputs(options, &input, interrupted_after)?.as_bytes())?;
    answer(options, terminal, &result)?;
    let written: Vec<String> = folder.written().iter().map(|p| p.display().to_string()).collect();
    terminal.say(&format!("wrote {}", written.join(" ")));
    Ok(exit(options, &result, signals.caught()))
}

fn exit(options: &RunOptions, result: &RunResult, signal: Option<u8>) -> Exit {
    match signal {
        Some(signal) => Exit::Interrupted(signal),
        None if options.strict && !result.left_pending.is_empty() => Exit::Unusable,
        None => Exit::Done,
    }
}

fn write(options: &RunOptions, folder: &mut Folder, result: &RunResult) -> Result<()> {
    folder.write("summary.json", json::summary(result)?.as_bytes())?;
    folder.write("nodes.csv", csv::nodes(result)?.as_bytes())?;
    folder.write("series.csv", csv::series(result)?.as_bytes())?;
    if !options.no_plot {
        let (width, height) = options.png_size;
        let picture = png::draw(result, &PngOptions { width, height, scale: options.scale })?;
        folder.write("report.png", &picture)?;
    }
    Ok(())
}

/// Everything that is needed to make the run again.
fn inputs(options: &RunOptions, input: &Input, interrupted_after: Option<u64>) -> Result<String> {
    let until_ms = options.until.map(|until| until.ms());
    Ok(Inputs { until_ms, interrupted_after, ..input.inputs()? }
        .json(&input.scenario.settings.name)?)
}

/// The answer goes to stdout, unless the log has it.
fn answer(options: &RunOptions, terminal: &Terminal, result: &RunResult) -> Result<()> {
    if options.json {
        return terminal.print(&json::summary(result)?);
    }
    let options_of_table = TableOptions {
        width: terminal.width.into(),
        ascii: terminal.ascii,
        by: options.by.clone(),
        warnings: Vec::new(),
    };
    let text = table::answer(result, &options_of_table)?;
    match options.log {
        Some(_) => {
            terminal.say(text.trim_end());
            Ok(())
        }
        None => terminal.print(&text),
    }
}

/// Lines on stderr; a stderr that is closed is no problem.
fn complain(lines: Vec<String>) {
    use std::io::Write as _;
    let mut stderr = std::io::stderr().lock();
    for line in lines {
        let _ = writeln!(stderr, "{line}");
    }
}

/// Writes the log as it comes and shows progress.
struct Watch {
    narrator: Narrator,
    start_epoch_s: i64,
    file: Stream,
    stdout: Option<(LogForm, std::io::BufWriter<std::io::Stdout>)>,
    progress: Progress,
    trace: Option<Trace>,
    /// Events until a signal came.
    interrupted_after: Option<u64>,
    error: Option<anyhow::Error>,
}

impl Watch {
    fn new(
        options: &RunOptions,
        terminal: &Terminal,
        folder: &mut Folder,
        input: &Input,
        signals: Signals,
    ) -> Result<Watch> {
        let stdout = options.log.map(|form| (form, std::io::BufWriter::new(std::io::stdout())));
        Ok(Watch {
            narrator: Narrator::new(),
            start_epoch_s: input.scenario.settings.start_epoch_s,
            file: folder.stream("events.log")?,
            stdout,
            progress: Progress::new(options.progress, input.config.horizon, terminal, signals),
            trace: terminal.traces.then(Trace::default),
            interrupted_after: None,
            error: None,
        })
    }

    /// Puts the log in its place. The first error of writing comes to light here.
    fn finish(self) -> Result<()> {
        self.progress.clear();
        let mut trace = self.trace;
        complain(trace.as_mut().map(Trace::finish).unwrap_or_default());
        if let Some(error) = self.error {
            return Err(error);
        }
        if let Some((_, mut stdout)) = self.stdout {
            std::io::Write::flush(&mut stdout)?;
        }
        self.file.finish()
    }

    fn write(&mut self, record: &Record) -> Result<()> {
        let Watch { narrator, file, stdout, start_epoch_s, .. } = self;
        let mut outcome = Ok(());
        narrator.narrate(record, |line| {
            let mut text = line.text(*start_epoch_s);
            text.push('\n');
            let written = file.write(text.as_bytes()).and_then(|()| {
                let Some((form, stdout)) = stdout else {
                    return Ok(());
                };
                if *form == LogForm::Json {
                    text = line.json(*start_epoch_s);
                    text.push('\n');
                }
                Ok(std::io::Write::write_all(stdout, text.as_bytes())?)
            });
            if outcome.is_ok() {
                outcome = written;
            }
        });
        outcome
    }
}

impl Observer for Watch {
    fn observe(&mut self, record: &Record) {
        complain(self.trace.as_mut().map(|trace| trace.fold(record)).unwrap_or_default());
        if self.error.is_none() {
            self.error = self.write(record).err();
        }
    }

    fn witness(&self) -> Option<Witness> {
        self.trace.as_ref().map(|_| Witness::always())
    }

    fn hear(&mut self, account: &Account) {
        complain(self.trace.as_mut().map(|trace| trace.hear(account)).unwrap_or_default());
    }

    fn go_on(&mut self, at: SimTime, events: u64) -> ControlFlow<()> {
        match self.error {
            Some(_) => ControlFlow::Break(()),
            None => {
                let flow = self.progress.advance(at, events);
                self.interrupted_after = flow.is_break().then_some(events);
                flow
            }
        }
    }
}
