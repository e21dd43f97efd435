//! Recorded behaviour of Karpenter v1.14.1, replayed through the program's own controllers (layer 8).
//!
//! There is no second implementation for the recordings: a recorded case becomes a [`crate::world::World`] and the
//! same deciders are asked; a recorded timeline becomes a [`crate::simulation::Config`] with the world's rules that
//! the recording states. What they answer is compared with what was recorded. What a recording needs and the
//! program does not model is counted by name, never as equal.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use serde_json::value::RawValue;

mod case;
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

use case::Case;
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

fn not_modelled(what: impl Into<String>) -> NotComparable {
    NotComparable::NotModelled(what.into())
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
    let result = input::values(file, &mut |place, text| match replay(file, place, text, options) {
        Ok(Some((profile, case))) => report.push(file, &profile, case),
        Ok(None) => {}
        Err(what) => report.problems.push(format!("{}: {place}: {what}", file.display())),
    });
    if let Err(problem) = result {
        report.problems.push(problem);
    }
}

/// The profile that a recording names, else the file's own name.
fn profile_of(file: &Path, named: &Value) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = plain.strip_suffix(".json").or_else(|| plain.strip_suffix(".jsonl"));
    named.as_str().unwrap_or(stem.unwrap_or(plain)).to_owned()
}

/// Replays one recording, whatever its kind. Returns its profile too; `None` when it is not asked for.
fn replay(
    file: &Path,
    place: &str,
    text: &str,
    options: &Options<'_>,
) -> Result<Option<(String, CaseReport)>, String> {
    let parts: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap_or_default();
    let wanted = |name: &str| options.case.is_none_or(|wanted| name == wanted);
    let text_or = |name: &Value, otherwise: &str| name.as_str().unwrap_or(otherwise).to_owned();
    // A case with its outcome, or alone.
    let alone = parts.contains_key("instanceTypes").then_some(text);
    let case = parts.get("case").map(|case| case.get()).or(alone);
    let (profile, name, outcome) = if let Some(text) = case {
        let case: Case = parse(text)?;
        let name = text_or(&case.name, "unnamed");
        if !wanted(&name) {
            return Ok(None);
        }
        let recorded = recorded_outcome(file, &parts)?;
        (case.profile.clone(), name, replay_case(case, recorded.as_ref(), options))
    } else if parts.contains_key("methods") {
        // A result that lies beside its case.
        return Ok(None);
    } else {
        let value: Value = parse(text)?;
        let scenario = value.get("scenario").map(|scenario| text_or(&scenario["name"], "unnamed"));
        let name = scenario.clone().unwrap_or_else(|| place.to_owned());
        if !wanted(&name) {
            return Ok(None);
        }
        let outcome = match scenario {
            Some(_) => Some(timeline::replay(&value)),
            None => primitive::replay(&value),
        };
        let outcome = outcome.ok_or("this is no recording of a kind that is known")?;
        (value["profile"].clone(), name, outcome)
    };
    let outcome = named(place, &name, outcome)?;
    Ok(Some((profile_of(file, &profile), CaseReport { name, outcome })))
}

/// What Karpenter answered to a case: beside it in the recording, or in a file of its own.
fn recorded_outcome(
    file: &Path,
    parts: &BTreeMap<String, &RawValue>,
) -> Result<Option<Value>, String> {
    if !parts.contains_key("case") {
        return input::result_beside(file);
    }
    let same = parts.get("canonical").is_some_and(|canonical| canonical.get() == "\"same\"");
    let recorded = parts.get(if same { "result" } else { "canonical" });
    recorded.map(|recorded| parse(recorded.get())).transpose()
}

fn parse<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// The outcome of a recording that could be read. What is not modelled is an outcome, what is malformed a problem.
fn named(
    place: &str,
    name: &str,
    outcome: Result<Outcome, NotComparable>,
) -> Result<Outcome, String> {
    match outcome {
        Ok(outcome) => Ok(outcome),
        Err(NotComparable::NotModelled(what)) => Ok(Outcome::NotModelled(what)),
        Err(NotComparable::Malformed(what)) if name == place => Err(what),
        Err(NotComparable::Malformed(what)) => Err(format!("{name}: {what}")),
    }
}

/// Replays a case and compares it with what was recorded, if it was.
fn replay_case(
    case: Case,
    recorded: Option<&Value>,
    options: &Options<'_>,
) -> Result<Outcome, NotComparable> {
    let kind = case.kind.clone();
    let snapshot = snapshot::read(case)?;
    match kind.as_str() {
        Some("provision") => provision::replay(snapshot, recorded, options),
        Some("disrupt") => disrupt::replay(snapshot, recorded, options),
        _ => Err(malformed("kind is neither provision nor disrupt")),
    }
}
