//! `karpsim check`: everything that can be known of a scenario without running it.

use anyhow::Result;

use super::Exit;
use super::args::CheckOptions;
use super::input;
use super::terminal::Terminal;
use crate::diagnostic::Severity;
use crate::outcome::summary::counted;

/// Checks a scenario.
pub fn check(options: &CheckOptions, terminal: &Terminal) -> Result<Exit> {
    let input = match input::load(&options.scenario, &options.input, terminal)? {
        Ok(input) => input,
        Err(exit) => return Ok(exit),
    };
    let (config, settings) = (&input.config, &input.scenario.settings);
    let warnings = input.diagnostics.iter().filter(|d| d.severity == Severity::Warning).count();
    let types: usize = config.pools.iter().map(|pool| pool.types.len()).max().unwrap_or(0);
    let counts = [
        counted(config.pools.len(), "NodePool"),
        counted(config.deployments.len(), "Deployment"),
        counted(config.daemon_sets.len(), "DaemonSet"),
        counted(config.pods.len(), "bare Pod"),
        counted(config.timeline.len(), "timeline step"),
    ];
    let verdict = match warnings {
        0 => format!("{} can be run.", settings.name),
        n => format!("{} can be run, with {}.", settings.name, counted(n, "warning")),
    };
    let zones = settings.zones.join(", ");
    terminal.print(&format!(
        "{verdict}\n{}\n{} in {zones}; horizon {}, seed {}\n",
        counts.join(", "),
        counted(types, "instance type"),
        settings.horizon,
        settings.seed,
    ))?;
    Ok(if options.strict && warnings > 0 { Exit::Unusable } else { Exit::Done })
}
