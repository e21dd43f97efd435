//! `karpsim sweep`: axes, policies and replications in parallel.

use anyhow::Result;

use super::Exit;
use super::args::SweepOptions;
use super::input::Origin;
use super::study::{self, Prepared};
use super::terminal::Terminal;
use crate::diagnostic::Diagnostics;
use crate::experiment::grid::MOST_RUNS;
use crate::experiment::{Cell, Grid};
use crate::report::{study as report, study_picture};
use crate::scenario::load::{Axis, Plan};
use crate::scenario::{Choice, Setting, Written};

/// Runs the whole grid.
pub fn sweep(options: &SweepOptions, terminal: &Terminal) -> Result<Exit> {
    let origin = Origin::new(&options.scenario, &options.input)?;
    let mut diagnostics = Diagnostics::default();
    let base = Choice { policy: options.input.policy.clone(), settings: origin.settings.clone() };
    let Some(loaded) = origin.load(&base, &mut diagnostics) else {
        terminal.diagnostics(&diagnostics);
        return Ok(Exit::BadInput);
    };
    let plan = plan(options, loaded.scenario.plan.clone());
    let grid = Grid::new(plan);
    if grid.runs() > MOST_RUNS || grid.runs() < 2 {
        let reason = match grid.runs() {
            0 | 1 => "add axes, policies or replications, or use `karpsim run`".to_owned(),
            n => format!("{n} are more than {MOST_RUNS}: leave values out"),
        };
        terminal.complain(&format!(
            "error: a sweep needs at least two runs and at most a million\n  = help: {reason}"
        ));
        return Ok(Exit::BadInput);
    }
    let (names, settings) = (grid.policies.clone(), origin.settings.clone());
    let from_options = !options.axis.is_empty();
    let axes = grid.clone();
    let of_cell = |cell: &Cell| {
        let of_axis = |axis: usize, value: usize| Setting {
            path: axes.axes[axis].path.clone(),
            value: axes.axes[axis].values[value].clone(),
            written: match from_options {
                true => Written::Option(format!("--axis #{}", axis + 1)),
                false => Written::Axis(axis, value),
            },
        };
        let mut all = study::axis_settings(&axes, cell, of_axis);
        all.extend(settings.iter().cloned());
        Choice { policy: names.get(cell.policy).cloned(), settings: all }
    };
    let prepared = match Prepared::load(origin, grid, of_cell, terminal) {
        Ok(prepared) => prepared,
        Err(exit) => return Ok(exit),
    };
    let mut folder = prepared.folder(&options.study)?;
    let Some((study, signal)) =
        prepared.run(&options.study, &mut folder, options.resume, terminal)?
    else {
        return Ok(Exit::Done);
    };
    let json = report::json(&study);
    folder.write("sweep.json", json.as_bytes())?;
    folder.write("sweep.csv", report::long_csv(&study)?.as_bytes())?;
    let picture = study_picture::swept(&study, &options.study.picture())?;
    study::write_picture(picture, "sweep.png", &mut folder, terminal)?;
    terminal.print(&if options.study.json { json } else { report::sweep(&study) })?;
    terminal.say(&format!("wrote {}", folder.names()));
    if signal.is_some() {
        terminal.say("stopped; the same command with --resume goes on");
    }
    Ok(study::exit(&study, signal))
}

/// The scenario's plan with what the command line says instead.
fn plan(options: &SweepOptions, mut plan: Plan) -> Plan {
    if !options.axis.is_empty() {
        let axis = |(path, values): &(String, Vec<String>)| Axis {
            path: path.clone(),
            values: values.clone(),
        };
        plan.axes = options.axis.iter().map(axis).collect();
    }
    if let Some(policy) = &options.input.policy {
        plan.policies = vec![policy.clone()];
    }
    plan.replications = options.study.reps.unwrap_or(plan.replications);
    plan
}
