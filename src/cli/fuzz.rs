//! `karpsim fuzz`: random clusters under all invariants.

use anyhow::Result;

use super::Exit;
use super::args::FuzzOptions;
use super::output::Folder;
use super::terminal::Terminal;
use crate::experiment::{fuzz, random_cluster};

/// Runs the clusters and prints what broke.
pub fn fuzz(options: &FuzzOptions, terminal: &Terminal) -> Result<Exit> {
    if let Some(path) = &options.write {
        let mut folder = Folder::new(path, false)?;
        for (name, text) in &random_cluster::files(options.seed).0 {
            folder.write(&name.to_string_lossy(), text.as_bytes())?;
        }
        terminal.say(&format!("wrote {}", folder.names()));
    }
    let (mut facts, mut failed, mut printed) = (0, 0_u64, Ok(()));
    let seeds = options.seed..options.seed.saturating_add(options.runs);
    let trials = fuzz::Trials { seeds, plain: options.plain, until: options.until };
    fuzz::run_trials(&trials, 0, |trial| {
        facts += trial.facts;
        if let Some(failure) = &trial.failure {
            failed += 1;
            let line = terminal.print(&format!("seed {}: {failure}\n", trial.seed));
            printed = std::mem::replace(&mut printed, Ok(())).and(line);
        }
    })?;
    printed?;
    let runs = options.runs;
    let end = match failed {
        0 => "all invariants held".to_owned(),
        _ => format!("{failed} failed"),
    };
    terminal.print(&format!("{runs} runs, {facts} facts, {end}\n"))?;
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}
