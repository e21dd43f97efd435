//! Reads the scenario file: RON text to [`Scenario`], all problems in one go.
//!
//! `ron` stops at the first problem. Each one is reported, the field or entry around it is blanked
//! (which keeps all places), and the text is read again: what is left gets its defaults, and
//! further problems come to light.

use std::ops::Range;

use ron::error::SpannedError;

use super::ron_places::{Part, Place, places};
use super::schema::{LATER_SCORES, Scenario};
use super::splice::ron_options;
use crate::diagnostic::{self, Diagnostic, Diagnostics, SourceId, Span};

/// Readings after which the rest of the problems must wait for the next attempt.
const MOST_READINGS: usize = 60;

/// Parts of the file format that come later, and why they cannot be used yet.
const LATER: [(&str, &str); 5] = [
    ("assertions", "comes with `karpsim check --run`"),
    ("cloud.spot", "is not modelled yet"),
    ("cloud.stock", "is not modelled yet"),
    ("cloud.prices", "is not modelled yet"),
    ("cloud.commitments", "is not modelled yet"),
];

/// The scenario of a text with the places of its values; `None` when nothing can be made of it.
pub fn read(source: SourceId, diagnostics: &mut Diagnostics) -> Option<(Scenario, Place)> {
    let text = diagnostics.sources.get(source).text.to_string();
    let map = places(&text);
    let mut reading = Reading { source, text, map: &map, diagnostics };
    reading.refuse_what_comes_later();
    free_values(&map).into_iter().for_each(|range| reading.blank(range));
    let options = ron_options();
    for _ in 0..MOST_READINGS {
        match options.from_str::<Scenario>(&reading.text) {
            Ok(scenario) => return Some((scenario, map)),
            Err(error) => {
                let byte = reading.report(&error);
                if !reading.blank_around(byte) {
                    return None;
                }
            }
        }
    }
    None
}

/// The parts whose values have no type of their own: patches of policies and of steps, and values of axes.
fn free_values(map: &Place) -> Vec<Range<usize>> {
    let free = [("policies", "patch"), ("axes", "values")];
    let parts = free.iter().flat_map(|(list, field)| {
        map.parts_of(list).iter().filter_map(|part| part.value.part(field))
    });
    let actions = map.parts_of("timeline").iter().filter_map(|step| step.value.parts.get(1));
    let patches = actions.filter(|action| action.value.name == "Patch");
    let patches = patches.filter_map(|action| action.value.parts.get(1));
    parts.chain(patches).map(|part| part.whole.clone()).collect()
}

/// Replaces bytes by spaces; line ends stay, so that lines keep their numbers.
fn blank(text: &mut String, range: Range<usize>) {
    let blank = |byte: u8| if byte == b'\n' { '\n' } else { ' ' };
    let spaces: String = text[range.clone()].bytes().map(blank).collect();
    text.replace_range(range, &spaces);
}

/// Whether a text is a scenario, as far as types go.
pub fn is_readable(text: &str) -> bool {
    let mut typed = text.to_owned();
    free_values(&places(text)).into_iter().for_each(|range| blank(&mut typed, range));
    ron_options().from_str::<Scenario>(&typed).is_ok()
}

struct Reading<'a> {
    source: SourceId,
    text: String,
    map: &'a Place,
    diagnostics: &'a mut Diagnostics,
}

impl Reading<'_> {
    fn span(&self, range: &Range<usize>) -> Span {
        Span { source: self.source, start: range.start, end: range.end }
    }

    /// Reports and blanks everything that the format names but that is not modelled.
    fn refuse_what_comes_later(&mut self) {
        for (path, why) in LATER {
            let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
            if let Some(part) = self.map.find(parent).and_then(|place| place.part(key)) {
                let harmless = part.value.bracket == '[' && part.value.parts.is_empty();
                self.refuse(part, &format!("`{path}`"), why, !harmless);
            }
        }
        for part in self.map.parts_of("scheduler.scores") {
            if LATER_SCORES.contains(&part.value.name.as_str()) {
                let what = format!("the score `{}`", part.value.name);
                self.refuse(part, &what, "is not modelled yet", true);
            }
        }
        let others = ["ClusterAutoscaler", "Nothing"];
        let autoscaler = self.map.part("autoscaler");
        if let Some(part) = autoscaler.filter(|p| others.contains(&p.value.name.as_str())) {
            let what = format!("the autoscaler `{}`", part.value.name);
            self.refuse(part, &what, "is not modelled yet", true);
        }
    }

    fn refuse(&mut self, part: &Part, what: &str, why: &str, report: bool) {
        if report {
            let range = if part.key.is_empty() { &part.value.span } else { &part.key_span };
            let problem = diagnostic::not_modelled_yet(self.span(range), what, why);
            self.diagnostics.push(problem);
        }
        self.blank(part.whole.clone());
    }

    fn blank(&mut self, range: Range<usize>) {
        blank(&mut self.text, range);
    }

    /// Blanks the innermost part around a byte that is not blank yet; `false` when there is none.
    fn blank_around(&mut self, byte: usize) -> bool {
        let parts = self.map.removable_around(byte);
        let left = |part: &&&Part| !self.text[part.whole.clone()].trim().is_empty();
        let Some(range) = parts.iter().rev().find(left).map(|part| part.whole.clone()) else {
            return false;
        };
        self.blank(range);
        true
    }

    /// Reports what `ron` found; returns a byte inside of the offending part.
    fn report(&mut self, error: &SpannedError) -> usize {
        use ron::Error as E;
        let start = self.byte(error.span.start.line, error.span.start.col);
        let end = self.byte(error.span.end.line, error.span.end.col).max(start);
        // `ron` points behind the word that it refuses.
        let inside = self.last_word_before(end, start);
        let span = Span { source: self.source, start: inside.start, end: inside.end };
        let outer = |outer: &Option<String>| match outer {
            Some(name) => format!("`{name}`"),
            None => "the scenario".to_owned(),
        };
        let problem: Diagnostic = match &error.code {
            E::NoSuchStructField { expected, found, outer: place } => {
                diagnostic::unknown_scenario_name(span, "field", found, &outer(place))
                    .suggest(found, expected.iter().copied())
                    .help(format!("the fields are {}", expected.join(", ")))
            }
            E::NoSuchEnumVariant { expected, found, outer: place } => {
                diagnostic::unknown_scenario_name(span, "variant", found, &outer(place))
                    .suggest(found, expected.iter().copied())
                    .help(format!("the variants are {}", expected.join(", ")))
            }
            E::MissingStructField { field, outer: place } => {
                diagnostic::missing_scenario_field(span, field, &outer(place))
            }
            E::DuplicateStructField { field, .. } => {
                diagnostic::duplicate_scenario_field(span, field)
            }
            other if is_type_error(other) => {
                let blank = self.text[start..].len() - self.text[start..].trim_start().len();
                let value = self.map.deepest_value(start + blank).span.clone();
                let span = self.span(&value);
                diagnostic::ron_syntax(span, &lower_first(&other.to_string()))
            }
            other => diagnostic::ron_syntax(span, &lower_first(&other.to_string())),
        };
        let inside = problem.span().map_or(inside.start, |span| span.start);
        self.diagnostics.push(problem);
        inside
    }

    /// The byte of a line and column, both from 1, the column in characters.
    fn byte(&self, line: usize, column: usize) -> usize {
        let start: usize =
            self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let rest = &self.text[start.min(self.text.len())..];
        let offset =
            rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(i, _)| i);
        start + offset
    }

    /// The last word, string or character that ends at or before `end`, not before `start` if there
    /// is something between.
    fn last_word_before(&self, end: usize, start: usize) -> Range<usize> {
        let head = self.text[..end].trim_end();
        let wordy = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+');
        if start < head.len() && self.text[start..head.len()].trim_start().starts_with('"') {
            let skipped = self.text[start..].len() - self.text[start..].trim_start().len();
            return start + skipped..head.len();
        }
        let word = head.len() - head.trim_end_matches(wordy).len();
        let length =
            if word > 0 { word } else { head.chars().next_back().map_or(0, char::len_utf8) };
        head.len() - length..head.len()
    }
}

/// True when a well-formed value is of the wrong type, so that the whole value is to blame.
fn is_type_error(error: &ron::Error) -> bool {
    use ron::Error as E;
    matches!(
        error,
        E::ExpectedArray
            | E::ExpectedBoolean
            | E::ExpectedDifferentLength { .. }
            | E::ExpectedFloat
            | E::ExpectedInteger
            | E::ExpectedMap
            | E::ExpectedNamedStructLike(_)
            | E::ExpectedOption
            | E::ExpectedString
            | E::ExpectedStructLike
            | E::IntegerOutOfBounds
            | E::InvalidValueForType { .. }
    )
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.sources.add("s.ron", text.to_owned());
        read(source, &mut diagnostics);
        let (shown, _) = diagnostics.shown();
        let line = |d: &&Diagnostic| {
            let place = d.span().map(|span| diagnostics.sources.place(span)).unwrap_or_default();
            let question = d.did_you_mean().map_or(String::new(), |text| format!(" - {text}"));
            format!("{} {place} {}{question}", d.code, d.message)
        };
        shown.iter().map(line).collect()
    }

    #[test]
    fn every_structural_problem_is_found_in_one_go() {
        let text = r#"Scenario(
    name: "x",
    horizn: "2h",
    seed: "many",
    cluster: (region: "us-west-2", zone: ["a"]),
    timeline: [
        At("1m", Scale("Deployment/a/b", -5)),
        At("2m", Scael("Deployment/a/b", 5)),
        At("3m", Restart),
        At("4m", Scale("Deployment/a/b")),
    ],
    tie_breaks: Canonicl,
    cloud: (latency: (create: Fixed(2))),
    seed: 4,
    workloads: [ Arivals(name: "ci", pod: (a: [1, 2])) ],
    autoscaler: Nothing,
    replications: 16,
    policies: [ Policy(), Policy(name: "b", patch: {"a": 1}) ],
)
"#;
        let expected = [
            "KS0202 s.ron:3:5 `Scenario` has no field `horizn` - did you mean `horizon`?",
            "KS0201 s.ron:4:11 not a valid scenario: expected integer",
            "KS0202 s.ron:5:36 `Cluster` has no field `zone` - did you mean `zones`?",
            "KS0201 s.ron:7:42 not a valid scenario: integer is out of bounds",
            "KS0202 s.ron:8:18 `Action` has no variant `Scael` - did you mean `Scale`?",
            "KS0201 s.ron:10:18 not a valid scenario: expected tuple variant Action::Scale with 2 \
             elements but found one element instead",
            "KS0202 s.ron:12:17 `TieBreaks` has no variant `Canonicl` - did you mean `Canonical`?",
            "KS0201 s.ron:13:37 not a valid scenario: expected string",
            "KS0202 s.ron:15:18 `Workload` has no variant `Arivals` - did you mean `Arrivals`?",
            "KS0210 s.ron:16:5 the autoscaler `Nothing` is not modelled yet",
            "KS0203 s.ron:18:23 `Policy` lacks the field `name`",
        ];
        assert_eq!(problems(text), expected);
    }

    #[test]
    fn a_field_that_stands_twice_is_a_problem() {
        let found = problems("(\n  seed: 1,\n  seed: 2,\n)");
        assert_eq!(found, ["KS0204 s.ron:3:3 the field `seed` stands twice"]);
    }

    #[test]
    fn hopeless_texts_are_one_problem() {
        for text in
            ["", "(", "Scenario(", "x", "Scenario(name: \"", "[1]", "Scenario(\u{e9}: 1)", "/*"]
        {
            assert!(!problems(text).is_empty(), "{text}");
        }
        assert!(problems(&format!("Scenario(name: {}", "[".repeat(1_000))).len() < 5);
    }
}
