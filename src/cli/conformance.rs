//! `karpsim conformance`: recorded decisions of Karpenter, replayed.

// Only the time that decisions take is measured, and only on request.
#![allow(clippy::disallowed_types)]

use std::time::Instant;

use anyhow::Result;

use super::Exit;
use super::args::ConformanceOptions;
use super::terminal::Terminal;
use crate::conformance::{self, Options};

/// Replays the recordings and prints the agreement.
pub fn conformance(options: &ConformanceOptions, terminal: &Terminal) -> Result<Exit> {
    let start = Instant::now();
    let clock = move || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let clock: Option<&dyn Fn() -> u64> = if options.time { Some(&clock) } else { None };
    let case = options.case.as_deref();
    let report = conformance::run(&options.paths, &Options { case, clock });
    if options.json {
        terminal.print(&format!("{:#}\n", report.to_json()))?;
    } else {
        terminal.print(&report.to_text(case.is_some(), options.time))?;
    }
    let total = report.total();
    if total.different > 0 {
        return Ok(Exit::Differs);
    }
    if !report.problems.is_empty() {
        return Ok(Exit::BadInput);
    }
    if let Some(name) = case.filter(|_| total.cases == 0) {
        terminal.error(&anyhow::anyhow!("no recording has a case `{name}`"));
        return Ok(Exit::BadInput);
    }
    Ok(Exit::Done)
}
