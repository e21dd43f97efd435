//! `karpsim check`: everything that can be known of a scenario without running it.

use anyhow::Result;

use super::Exit;
use super::args::CheckOptions;
use super::input;
use super::terminal::Terminal;
use crate::diagnostic::Severity;

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
        count(config.pools.len(), "NodePool"),
        count(config.deployments.len(), "Deployment"),
        count(config.daemon_sets.len(), "DaemonSet"),
        count(config.pods.len(), "bare Pod"),
        count(config.timeline.len(), "timeline step"),
    ];
    let verdict = match warnings {
        0 => format!("{} can be run.", settings.name),
        n => format!("{} can be run, with {}.", settings.name, count(n, "warning")),
    };
    let zones = settings.zones.join(", ");
    terminal.print(&format!(
        "{verdict}\n{}\n{} in {zones}; horizon {}, seed {}\n",
        counts.join(", "),
        count(types, "instance type"),
        settings.horizon,
        settings.seed,
    ))?;
    Ok(if options.strict && warnings > 0 { Exit::Unusable } else { Exit::Done })
}

fn count(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
