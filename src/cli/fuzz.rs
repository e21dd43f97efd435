//! `karpsim fuzz`: random clusters under all invariants.

use anyhow::{Context, Result};

use super::Exit;
use super::args::FuzzOptions;
use super::output::Folder;
use super::progress::{Runs, Signals};
use super::terminal::Terminal;
use crate::experiment::{fuzz, random_cluster};
use crate::outcome::summary::counted;
use crate::units::SimDuration;

/// What a run counts for in the progress.
const SPAN: SimDuration = SimDuration::from_ms(1);

/// Runs the clusters and prints what broke.
pub fn fuzz(options: &FuzzOptions, terminal: &Terminal) -> Result<Exit> {
    if let Some(path) = &options.write {
        let mut folder = Folder::new(path, false)?;
        for (name, text) in &random_cluster::files(options.seed).0 {
            folder.write(&name.to_string_lossy(), text.as_bytes())?;
        }
        terminal.say(&format!("wrote {}", folder.names()));
    }
    let signals = Signals::catch()?;
    let goes_on = || signals.caught().is_none();
    let seeds = options.seed..options.seed.saturating_add(options.runs);
    let trials = fuzz::Trials { seeds, plain: options.plain, until: options.until };
    let total = usize::try_from(options.runs).unwrap_or(usize::MAX);
    let progress = Runs::new(options.progress, total, SPAN, terminal);
    let (mut runs, mut facts, mut failures, mut printed) = (0_u64, 0, 0_u64, Ok(()));
    // The line of the seed says it all. A case that is replayed alone tells where as well.
    let hook = (options.runs > 1).then(std::panic::take_hook);
    if hook.is_some() {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let ended = fuzz::run_trials(&trials, options.jobs, &goes_on, |trial| {
        runs += 1;
        facts += trial.facts;
        progress.advance(SPAN);
        progress.count();
        if let Some(failure) = &trial.failure {
            failures += 1;
            let line = format!("seed {}: {failure}\n", trial.seed);
            let line = progress.aside(|| terminal.print(&line));
            printed = std::mem::replace(&mut printed, Ok(())).and(line);
        }
    });
    if let Some(hook) = hook {
        std::panic::set_hook(hook);
    }
    progress.clear();
    ended.context("the threads cannot be started")?;
    printed?;
    let (ran, failed) = (counted(runs, "run"), counted(failures, "failure"));
    let facts = counted(facts as u64, "fact");
    terminal.print(&format!("{ran} with {facts} in their journals, {failed}\n"))?;
    if failures > 0 && options.runs > 1 {
        let plain = if options.plain { " --plain" } else { "" };
        terminal.say(&format!(
            "one alone, its files kept: karpsim fuzz --seed N --runs 1{plain} --write DIR"
        ));
    }
    Ok(match (signals.caught(), failures) {
        (Some(signal), _) => Exit::Interrupted(signal),
        (None, 0) => Exit::Done,
        _ => Exit::Failed,
    })
}
