//! `karpsim compare`: policies side by side on the same random worlds.

use anyhow::Result;

use super::Exit;
use super::args::CompareOptions;
use super::input::Origin;
use super::study::{self, Prepared};
use super::terminal::Terminal;
use crate::diagnostic::Diagnostics;
use crate::experiment::{Cell, Grid};
use crate::report::{study as report, study_picture};
use crate::scenario::Choice;

/// Compares the scenario's policies, or the scenario with the one that `--set` makes of it.
pub fn compare(options: &CompareOptions, terminal: &Terminal) -> Result<Exit> {
    let origin = Origin::new(&options.scenario, &options.input)?;
    let mut diagnostics = Diagnostics::default();
    let base = Choice { policy: options.input.policy.clone(), settings: Vec::new() };
    let Some(loaded) = origin.load(&base, &mut diagnostics) else {
        terminal.diagnostics(&diagnostics);
        return Ok(Exit::BadInput);
    };
    let mut plan = loaded.scenario.plan.clone();
    plan.axes.clear();
    plan.replications = options.study.reps.unwrap_or(plan.replications);
    let settings = origin.settings.clone();
    if !settings.is_empty() {
        let words: Vec<String> =
            settings.iter().map(|s| format!("{}={}", s.path, s.value)).collect();
        plan.policies = vec![loaded.scenario.settings.policy.clone(), words.join(" ")];
    } else if plan.policies.len() < 2 {
        terminal.complain(
            "error: there is nothing to compare: the scenario has one policy\n  = help: add policies to it, or \
             --set PATH=VALUE for the same policy with another value",
        );
        return Ok(Exit::BadInput);
    }
    let grid = Grid::new(plan);
    let names = grid.policies.clone();
    let of_cell = |cell: &Cell| match (settings.is_empty(), cell.policy) {
        (true, policy) => Choice { policy: names.get(policy).cloned(), settings: Vec::new() },
        (false, 0) => base.clone(),
        (false, _) => Choice { settings: settings.clone(), ..base.clone() },
    };
    let prepared = match Prepared::load(origin, grid, of_cell, terminal) {
        Ok(prepared) => prepared,
        Err(exit) => return Ok(exit),
    };
    let mut folder = prepared.folder(&options.study)?;
    let Some((study, signal)) = prepared.run(&options.study, &mut folder, false, terminal)? else {
        return Ok(Exit::Done);
    };
    let json = report::json(&study);
    folder.write("comparison.json", json.as_bytes())?;
    folder.write("comparison.csv", report::comparison_csv(&study)?.as_bytes())?;
    folder.write("runs.csv", report::long_csv(&study)?.as_bytes())?;
    let picture = study_picture::compared(&study, &options.study.picture())?;
    study::write_picture(picture, "comparison.png", &mut folder, terminal)?;
    terminal.print(&if options.study.json { json } else { report::comparison(&study) })?;
    terminal.say(&format!("wrote {}", folder.names()));
    Ok(study::exit(&study, signal))
}
