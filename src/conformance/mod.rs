//! Recorded behaviour of Karpenter v1.14.1, replayed through the program's own controllers (layer 8).
//!
//! There is no second implementation for the recordings: a recorded case becomes a [`crate::world::World`] and the
//! same deciders are asked; a recorded timeline becomes a [`crate::simulation::Config`] with the world's rules that
//! the recording states. What they answer is compared with what was recorded. What a recording needs and the
//! program does not model is counted by name, never as equal.

use std::path::{Path, PathBuf};

use serde_json::Value;

mod catalogue;
mod disrupt;
mod input;
mod lab;
mod objects;
mod outcome;
mod plain_evaluation;
mod primitive;
mod provision;
pub mod report;
mod script;
mod snapshot;
pub mod timeline;
mod timeline_events;
mod timeline_levels;
mod vectors;

pub use disrupt::DisruptionPass;
pub use provision::ProvisioningPass;
pub use report::{CaseReport, Check, Outcome, Report};
pub use timeline::{Comparison, Difference, compare};

/// Why a recording cannot be compared.
#[derive(Clone, Debug, PartialEq)]
pub enum NotComparable {
    /// The text is no recording: what is wrong with it.
    Malformed(String),
    /// It needs something that is not modelled yet, by name.
    NotModelled(String),
}

fn malformed(what: impl Into<String>) -> NotComparable {
    NotComparable::Malformed(what.into())
}

/// What to replay and what to measure.
#[derive(Clone, Copy, Default)]
pub struct Options<'a> {
    /// Only the cases of this name.
    pub case: Option<&'a str>,
    /// A monotonic clock in nanoseconds, to measure the time that the decisions of a case take. The library has
    /// none of its own.
    pub clock: Option<&'a dyn Fn() -> u64>,
}

impl Options<'_> {
    fn time(&self) -> u64 {
        self.clock.map_or(0, |clock| clock())
    }
}

/// Replays all recordings in files and folders, in the order of their names.
pub fn run(paths: &[PathBuf], options: &Options<'_>) -> Report {
    let mut report = Report::default();
    let mut files = Vec::new();
    for path in paths {
        if let Err(problem) = input::files(path, &mut files) {
            report.problems.push(problem);
        }
    }
    for file in files {
        run_file(&file, options, &mut report);
    }
    report
}

fn run_file(file: &Path, options: &Options<'_>, report: &mut Report) {
    let result = input::values(file, &mut |place, value| {
        let profile = profile_of(file, &value);
        match replay(file, place, &value, options) {
            Ok(Some(case)) => report.push(file, &profile, case),
            Ok(None) => {}
            Err(what) => report.problems.push(format!("{}: {place}: {what}", file.display())),
        }
    });
    if let Err(problem) = result {
        report.problems.push(problem);
    }
}

/// The profile that the recording names, else the file's own name.
fn profile_of(file: &Path, value: &Value) -> String {
    let named = [&value["case"]["profile"], &value["profile"]].into_iter().find_map(Value::as_str);
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = plain.strip_suffix(".json").or_else(|| plain.strip_suffix(".jsonl"));
    named.unwrap_or(stem.unwrap_or(plain)).to_owned()
}

/// Replays one recording, whatever its kind. `None` when it is not asked for.
fn replay(
    file: &Path,
    place: &str,
    value: &Value,
    options: &Options<'_>,
) -> Result<Option<CaseReport>, String> {
    let wanted = |name: &Value| {
        let wanted = options.case.is_none_or(|wanted| name.as_str() == Some(wanted));
        wanted.then(|| name.as_str().unwrap_or("unnamed").to_owned())
    };
    let (name, outcome) = if value.get("case").is_some() {
        let Some(name) = wanted(&value["case"]["name"]) else { return Ok(None) };
        let recorded = if value["canonical"] == "same" { "result" } else { "canonical" };
        (name, case(&value["case"], value.get(recorded), options))
    } else if value.get("instanceTypes").is_some() {
        let Some(name) = wanted(&value["name"]) else { return Ok(None) };
        let recorded = input::result_beside(file)?;
        (name, case(value, recorded.as_ref(), options))
    } else if value.get("methods").is_some() {
        // A result that lies beside its case.
        return Ok(None);
    } else if value.get("scenario").is_some() {
        let Some(name) = wanted(&value["scenario"]["name"]) else { return Ok(None) };
        (name, timeline::replay(value))
    } else if options.case.is_some_and(|wanted| wanted != place) {
        return Ok(None);
    } else if let Some(outcome) = primitive::replay(value) {
        (place.to_owned(), outcome)
    } else {
        return Err("this is no recording of a kind that is known".to_owned());
    };
    match outcome {
        Ok(outcome) => Ok(Some(CaseReport { name, outcome })),
        Err(NotComparable::NotModelled(what)) => {
            Ok(Some(CaseReport { name, outcome: Outcome::NotModelled(what) }))
        }
        Err(NotComparable::Malformed(what)) if name == place => Err(what),
        Err(NotComparable::Malformed(what)) => Err(format!("{name}: {what}")),
    }
}

/// Replays a case and compares it with what was recorded, if it was.
fn case(
    case: &Value,
    recorded: Option<&Value>,
    options: &Options<'_>,
) -> Result<Outcome, NotComparable> {
    let snapshot = snapshot::read(case)?;
    match case["kind"].as_str() {
        Some("provision") => provision::replay(snapshot, recorded, options),
        Some("disrupt") => disrupt::replay(snapshot, recorded, options),
        _ => Err(malformed("kind is neither provision nor disrupt")),
    }
}
