//! What a replay found: agreement per file and profile, level and reason.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::path::Path;

use serde_json::{Value, json};

/// Differing cases that the text shows per profile.
const SHOWN: usize = 3;
/// Unreadable places that the text shows.
const SHOWN_PROBLEMS: usize = 20;
/// Lines of one difference that the text shows.
const SHOWN_LINES: usize = 12;

/// The outcome of all replays.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Per file and profile, in the order of the files.
    pub groups: Vec<Group>,
    /// Files and lines that could not be read: place and reason.
    pub problems: Vec<String>,
}

/// The cases of one file and profile.
#[derive(Clone, Debug)]
pub struct Group {
    /// The file.
    pub file: String,
    /// The profile.
    pub profile: String,
    /// The cases, in the order of the file.
    pub cases: Vec<CaseReport>,
}

/// One case.
#[derive(Clone, Debug)]
pub struct CaseReport {
    /// Its name.
    pub name: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a case.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was compared.
    Compared {
        /// From the loosest to the strictest.
        checks: Vec<Check>,
        /// Parts that are told apart in the sums, such as the disruption methods, and whether all of each is equal.
        parts: Vec<(String, bool)>,
        /// Nanoseconds that each decision took, 0 without a clock.
        times: Vec<(&'static str, u64)>,
    },
    /// It ran; there is no recorded outcome.
    Unrecorded {
        /// What was decided.
        text: String,
        /// Nanoseconds that each decision took, 0 without a clock.
        times: Vec<(&'static str, u64)>,
    },
    /// It needs something that is not modelled: what.
    NotModelled(String),
}

/// One comparison of a case.
#[derive(Clone, Debug)]
pub struct Check {
    /// What was compared.
    pub name: &'static str,
    /// How it differs, expected and found; `None` when it is equal.
    pub difference: Option<String>,
}

impl CaseReport {
    /// Checks that pass before the first that fails.
    pub fn level(&self) -> usize {
        match &self.outcome {
            Outcome::Compared { checks, .. } => {
                checks.iter().take_while(|check| check.difference.is_none()).count()
            }
            _ => 0,
        }
    }

    /// Compared, and equal in everything.
    pub fn is_equal(&self) -> bool {
        matches!(&self.outcome, Outcome::Compared { checks, .. } if self.level() == checks.len())
    }

    /// Compared, and different.
    pub fn differs(&self) -> bool {
        matches!(self.outcome, Outcome::Compared { .. }) && !self.is_equal()
    }

    fn first_difference(&self) -> Option<(&'static str, &str)> {
        let Outcome::Compared { checks, .. } = &self.outcome else {
            return None;
        };
        checks.iter().find_map(|check| Some((check.name, check.difference.as_deref()?)))
    }

    /// Nanoseconds that each decision took, empty without a clock.
    fn times(&self) -> Vec<(&'static str, u64)> {
        let times = match &self.outcome {
            Outcome::Compared { times, .. } | Outcome::Unrecorded { times, .. } => times.as_slice(),
            Outcome::NotModelled(_) => &[],
        };
        times.iter().copied().filter(|(_, nanoseconds)| *nanoseconds > 0).collect()
    }
}

impl Group {
    /// Names of the checks and how many cases reach each of them.
    pub fn reached(&self) -> Vec<(&'static str, usize)> {
        let compared = self.cases.iter().find_map(|case| match &case.outcome {
            Outcome::Compared { checks, .. } => Some(checks),
            _ => None,
        });
        let names = compared.into_iter().flatten().map(|check| check.name);
        let reached = |level: usize| self.cases.iter().filter(|c| c.level() > level).count();
        names.enumerate().map(|(level, name)| (name, reached(level))).collect()
    }

    /// Names of the parts and in how many cases each is equal.
    pub fn parts(&self) -> Vec<(&str, usize)> {
        let mut sums: Vec<(&str, usize)> = Vec::new();
        for case in &self.cases {
            let Outcome::Compared { parts, .. } = &case.outcome else { continue };
            for (name, equal) in parts {
                match sums.iter_mut().find(|(known, _)| known == name) {
                    Some((_, count)) => *count += usize::from(*equal),
                    None => sums.push((name, usize::from(*equal))),
                }
            }
        }
        sums
    }

    fn count(&self, test: impl Fn(&CaseReport) -> bool) -> usize {
        self.cases.iter().filter(|case| test(case)).count()
    }

    /// Cases by what they need that is not modelled.
    pub fn not_modelled(&self) -> BTreeMap<&str, usize> {
        let mut reasons = BTreeMap::new();
        for case in &self.cases {
            if let Outcome::NotModelled(what) = &case.outcome {
                *reasons.entry(what.as_str()).or_default() += 1;
            }
        }
        reasons
    }
}

/// Cases, equal, different, not modelled, without recorded outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// All.
    pub cases: usize,
    /// Equal to the canonical outcome in everything.
    pub equal: usize,
    /// Different from it.
    pub different: usize,
    /// Not modelled.
    pub not_modelled: usize,
    /// Without recorded outcome.
    pub unrecorded: usize,
}

impl Report {
    pub(super) fn push(&mut self, file: &Path, profile: &str, case: CaseReport) {
        let file = file.display().to_string();
        match self.groups.last_mut() {
            Some(group) if group.file == file && group.profile == profile => group.cases.push(case),
            _ => {
                let profile = profile.to_owned();
                self.groups.push(Group { file, profile, cases: vec![case] });
            }
        }
    }

    /// Over all groups.
    pub fn total(&self) -> Total {
        let mut total = Total::default();
        for group in &self.groups {
            total.cases += group.cases.len();
            total.equal += group.count(CaseReport::is_equal);
            total.different += group.count(CaseReport::differs);
            total.not_modelled += group.count(|c| matches!(c.outcome, Outcome::NotModelled(_)));
            total.unrecorded += group.count(|c| matches!(c.outcome, Outcome::Unrecorded { .. }));
        }
        total
    }

    /// The report as text. With `detail` every difference is shown whole; with `times` each case's time.
    pub fn to_text(&self, detail: bool, times: bool) -> String {
        let mut text = String::new();
        for group in &self.groups {
            group.write(&mut text, detail, times);
        }
        for problem in self.problems.iter().take(SHOWN_PROBLEMS) {
            let _ = writeln!(text, "error: {problem}");
        }
        if self.problems.len() > SHOWN_PROBLEMS {
            let _ = writeln!(text, "and {} more errors", self.problems.len() - SHOWN_PROBLEMS);
        }
        let Total { cases, equal, different, not_modelled, unrecorded } = self.total();
        let _ = write!(text, "total: {equal} of {cases} cases equal, {different} different, ");
        let _ = write!(text, "{not_modelled} not modelled");
        if unrecorded > 0 {
            let _ = write!(text, ", {unrecorded} without recorded outcome");
        }
        if !self.problems.is_empty() {
            let _ = write!(text, ", {} unreadable", self.problems.len());
        }
        text.push('\n');
        text
    }

    /// The report as JSON.
    pub fn to_json(&self) -> Value {
        let Total { cases, equal, different, not_modelled, unrecorded } = self.total();
        json!({
            "profiles": self.groups.iter().map(Group::to_json).collect::<Vec<_>>(),
            "problems": self.problems,
            "total": {
                "cases": cases, "equal": equal, "different": different,
                "not_modelled": not_modelled, "unrecorded": unrecorded,
            },
        })
    }
}

impl Group {
    fn write(&self, text: &mut String, detail: bool, times: bool) {
        let equal = self.count(CaseReport::is_equal);
        let _ =
            write!(text, "{}  {}: {equal} of {} equal", self.file, self.profile, self.cases.len());
        for (name, count) in self.reached() {
            let _ = write!(text, "  {name} {count}");
        }
        text.push('\n');
        let parts = self.parts();
        if !parts.is_empty() {
            let parts = parts.iter().map(|(name, count)| format!("{name} {count}"));
            let _ = writeln!(text, "    {}", parts.collect::<Vec<_>>().join("  "));
        }
        for (what, count) in self.not_modelled() {
            let _ = writeln!(text, "    {count} not modelled: {what}");
        }
        let mut shown = 0;
        for case in &self.cases {
            if times && !case.times().is_empty() {
                let each = case.times().into_iter();
                let each = each.map(|(what, ns)| format!("{what} {:.3} ms", ns as f64 / 1e6));
                let each: Vec<String> = each.collect();
                let _ = writeln!(text, "    {}: {}", case.name, each.join(", "));
            }
            if let Outcome::Unrecorded { text: decided, .. } = &case.outcome {
                let _ = writeln!(text, "    {}: {decided}", case.name);
            }
            if detail {
                case.write_all(text);
            } else if let Some((check, difference)) = case.first_difference() {
                shown += 1;
                if shown <= SHOWN {
                    let _ = writeln!(text, "    {} differs at {check}:", case.name);
                    write_indented(text, difference, SHOWN_LINES);
                }
            }
        }
        if shown > SHOWN {
            let _ = writeln!(text, "    and {} more that differ", shown - SHOWN);
        }
    }

    fn to_json(&self) -> Value {
        let levels = self.reached().into_iter();
        let levels: Vec<Value> =
            levels.map(|(name, cases)| json!({ "level": name, "cases": cases })).collect();
        json!({
            "file": self.file,
            "profile": self.profile,
            "equal": self.count(CaseReport::is_equal),
            "levels": levels,
            "parts": self.parts().into_iter().collect::<BTreeMap<_, _>>(),
            "not_modelled": self.not_modelled(),
            "cases": self.cases.iter().map(CaseReport::to_json).collect::<Vec<_>>(),
        })
    }
}

impl CaseReport {
    fn write_all(&self, text: &mut String) {
        let Outcome::Compared { checks, .. } = &self.outcome else {
            return;
        };
        for check in checks {
            match &check.difference {
                None => {
                    let _ = writeln!(text, "    {}: {} equal", self.name, check.name);
                }
                Some(difference) => {
                    let _ = writeln!(text, "    {}: {} differs:", self.name, check.name);
                    write_indented(text, difference, usize::MAX);
                }
            }
        }
    }

    fn to_json(&self) -> Value {
        let mut object = json!({ "name": self.name });
        match &self.outcome {
            Outcome::Compared { .. } => {
                object["level"] = json!(self.level());
                object["equal"] = json!(self.is_equal());
                if let Some((check, difference)) = self.first_difference() {
                    object["differs_at"] = json!(check);
                    object["difference"] = json!(difference);
                }
            }
            Outcome::Unrecorded { text, .. } => object["decided"] = json!(text),
            Outcome::NotModelled(what) => object["not_modelled"] = json!(what),
        }
        for (what, nanoseconds) in self.times() {
            object["nanoseconds"][what] = json!(nanoseconds);
        }
        object
    }
}

fn write_indented(text: &mut String, difference: &str, most: usize) {
    let lines: Vec<&str> = difference.lines().collect();
    for line in lines.iter().take(most) {
        let _ = writeln!(text, "        {line}");
    }
    if lines.len() > most {
        let _ = writeln!(text, "        and {} more lines", lines.len() - most);
    }
}

/// `None` when equal, else where the two lists of lines part: what only one of them has.
pub(super) fn difference<T: Debug + PartialEq>(
    what: &str,
    expected: &T,
    found: &T,
) -> Option<String> {
    if expected == found {
        return None;
    }
    let (expected, found) = (format!("{expected:#?}"), format!("{found:#?}"));
    let only = |these: &str, those: &str| -> Vec<String> {
        let mut those: Vec<&str> = those.lines().collect();
        let mut rest = Vec::new();
        for line in these.lines() {
            match those.iter().position(|other| *other == line) {
                Some(i) => {
                    those.swap_remove(i);
                }
                None => rest.push(line.trim().to_owned()),
            }
        }
        rest
    };
    let (missing, unexpected) = (only(&expected, &found), only(&found, &expected));
    let mut text = format!("{what}: {} lines differ", missing.len().max(unexpected.len()));
    for (name, lines) in [("expected", missing), ("found", unexpected)] {
        for line in lines {
            let _ = write!(text, "\n{name:>8} {line}");
        }
    }
    Some(text)
}
