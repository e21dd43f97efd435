//! Changes of the scenario's own settings: values put into the RON text before it is read.
//!
//! The text is changed, not the data, so that a changed scenario is read by the same rules as a written one; places in
//! the changed text are led back to where the user wrote them.

use std::ops::Range;

use ron::extensions::Extensions;

use super::file::is_readable;
use super::patch::Step;
use super::ron_places::{Place, places};
use crate::diagnostic::Span;

/// Fields whose keys are free, which RON writes in braces.
const MAPS: [&str; 3] = ["env", "feature_gates", "node_selector"];

/// A value for a setting.
#[derive(Clone, Debug)]
pub struct SettingChange {
    /// The path of the setting.
    pub path: Vec<Step>,
    /// Where the path stands.
    pub path_span: Span,
    /// The value as it was written.
    pub value: String,
    /// Where the value stands.
    pub value_span: Span,
}

/// A scenario's text with values put in.
#[derive(Clone, Debug)]
pub struct Spliced {
    /// The text.
    pub text: String,
    splices: Vec<Splice>,
}

/// Bytes that were exchanged.
#[derive(Clone, Debug)]
struct Splice {
    /// The new bytes.
    new: Range<usize>,
    /// Those of the value among them.
    value: Range<usize>,
    /// Number of bytes that were there before.
    removed: usize,
    path_span: Span,
    value_span: Span,
}

impl Spliced {
    /// The text as it was written.
    pub fn new(text: String) -> Spliced {
        Spliced { text, splices: Vec::new() }
    }

    /// Puts a value in, in quotes if the scenario is readable only with them. Returns what was there; the error says
    /// why the path leads nowhere.
    pub fn put(&mut self, change: &SettingChange) -> Result<Option<String>, String> {
        let map = places(&self.text);
        let spot = spot(&map, &change.path)?;
        let before = spot.old.clone().map(|range| self.text[range].to_owned());
        let quoted = format!("{:?}", change.value);
        let candidates = [change.value.as_str(), &quoted];
        let readable = candidates.into_iter().find(|value| is_readable(&self.with(&spot, value)));
        let value =
            readable.unwrap_or(if is_literal(&change.value) { &change.value } else { &quoted });
        self.text = self.with(&spot, value);
        let start = spot.range.start;
        let value_start = start + spot.before.len();
        self.splices.push(Splice {
            new: start..value_start + value.len() + spot.after.len(),
            value: value_start..value_start + value.len(),
            removed: spot.range.len(),
            path_span: change.path_span,
            value_span: change.value_span,
        });
        Ok(before)
    }

    fn with(&self, spot: &Spot, value: &str) -> String {
        let mut text = self.text.clone();
        text.replace_range(spot.range.clone(), &format!("{}{value}{}", spot.before, spot.after));
        text
    }

    /// Where a range of bytes of this text was written; `original` is the scenario's own text.
    pub fn origin(&self, span: Span, original: crate::diagnostic::SourceId) -> Span {
        let (mut start, mut end) = (span.start, span.end);
        for splice in self.splices.iter().rev() {
            if splice.value.contains(&start) {
                return splice.value_span;
            }
            if splice.new.contains(&start) {
                return splice.path_span;
            }
            let back = |byte: usize| match byte >= splice.new.end {
                true => byte + splice.removed - splice.new.len(),
                // The end of a range that reaches into the new bytes.
                false => byte.min(splice.new.start.max(start + 1)),
            };
            end = back(end);
            start = back(start);
        }
        Span { source: original, start, end: end.max(start) }
    }
}

/// Where a value goes, and what stands around it.
struct Spot {
    range: Range<usize>,
    before: String,
    after: String,
    old: Option<Range<usize>>,
}

fn spot(root: &Place, path: &[Step]) -> Result<Spot, String> {
    let mut place = root;
    for (i, step) in path.iter().enumerate() {
        let next = match step {
            Step::Key(key) => place.part(key),
            Step::Item(index) => place.parts.get(*index),
        };
        match (next, step) {
            (Some(part), _) => place = &part.value,
            (None, Step::Item(index)) => {
                return Err(format!("[{index}] is beyond the {} items", place.parts.len()));
            }
            (None, Step::Key(_)) => return insertion(place, &path[i..]),
        }
    }
    let range = place.span.clone();
    Ok(Spot { range: range.clone(), before: String::new(), after: String::new(), old: Some(range) })
}

/// A new field at the start of the parts of `parent`.
fn insertion(parent: &Place, path: &[Step]) -> Result<Spot, String> {
    if !matches!(parent.bracket, '(' | '{') {
        let Some(Step::Key(key)) = path.first() else {
            return Err("it leads nowhere".to_owned());
        };
        return Err(format!("`{key}` cannot be a field of a value without fields"));
    }
    let (mut before, mut after) = (String::new(), String::new());
    let mut braces = parent.bracket == '{';
    for (i, step) in path.iter().enumerate() {
        let Step::Key(key) = step else {
            return Err("an item of a list that is not there".to_owned());
        };
        let name = if braces { format!("{key:?}: ") } else { format!("{key}: ") };
        before.push_str(&name);
        if i + 1 < path.len() {
            braces = MAPS.contains(&key.as_str());
            let variant = if key == "autoscaler" { "Karpenter" } else { "" };
            before.push_str(variant);
            before.push(if braces { '{' } else { '(' });
            after.insert(0, if braces { '}' } else { ')' });
        }
    }
    after.push(',');
    let inside = parent.span.start + parent.name.len() + 1;
    // A name may be set apart from its parenthesis.
    let first = parent.parts.first().map_or(parent.span.end - 1, |part| part.whole.start);
    let at = if parent.name.is_empty() { inside } else { first };
    Ok(Spot { range: at..at, before, after, old: None })
}

/// RON as the scenario file is read.
pub fn ron_options() -> ron::Options {
    ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME)
}

/// Looks like a value that RON writes without quotes.
fn is_literal(text: &str) -> bool {
    text.starts_with(['(', '[', '{', '"']) || text.parse::<f64>().is_ok() || text.ends_with(')')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SourceId;
    use crate::scenario::patch::steps;

    const TEXT: &str =
        "Scenario(\n  horizon: \"2h\", // two\n  cluster: (zones: [\"a\", \"b\"]),\n)";

    fn put(path: &str, value: &str) -> Result<String, String> {
        let mut spliced = Spliced::new(TEXT.to_owned());
        let span = Span { source: SourceId::default(), start: 0, end: 0 };
        let change = SettingChange {
            path: steps(path)?,
            path_span: span,
            value: value.to_owned(),
            value_span: span,
        };
        spliced.put(&change)?;
        Ok(spliced.text)
    }

    #[test]
    fn values_go_where_their_paths_lead() {
        for (path, value, expected) in [
            ("horizon", "5h", "horizon: \"5h\", // two"),
            ("seed", "7", "Scenario(\n  seed: 7,horizon"),
            ("name", "7", "name: \"7\","),
            ("cluster.zones[1]", "c", "[\"a\", \"c\"]"),
            ("cluster.zones", "[\"c\"]", "zones: [\"c\"])"),
            ("cluster.env.A", "x", "cluster: (env: {\"A\": \"x\"},zones"),
            ("tie_breaks", "Canonical", "tie_breaks: Canonical,"),
            (
                "autoscaler.options.batch_idle",
                "5s",
                "autoscaler: Karpenter(options: (batch_idle: \"5s\")),",
            ),
        ] {
            let text = put(path, value).expect("a change");
            assert!(text.contains(expected), "{path}: {text}");
            assert!(is_readable(&text), "{text}");
        }
        assert!(put("cluster.zones[2]", "c").is_err());
        assert!(put("horizon.x", "c").is_err());
    }

    #[test]
    fn places_are_led_back() {
        let mut spliced = Spliced::new(TEXT.to_owned());
        let source = SourceId::default();
        let at = |start: usize| Span { source, start, end: start + 1 };
        for (number, (path, value)) in [("seed", "7"), ("horizon", "1000h")].into_iter().enumerate()
        {
            let change = SettingChange {
                path: steps(path).expect("a path"),
                path_span: at(1_000 + number),
                value: value.to_owned(),
                value_span: at(2_000 + number),
            };
            spliced.put(&change).expect("a change");
        }
        let origin = |needle: &str| {
            let start = spliced.text.find(needle).expect("there");
            spliced.origin(Span { source, start, end: start + needle.len() }, source)
        };
        assert_eq!(origin("seed"), at(1_000));
        assert_eq!(origin("7,"), at(2_000));
        assert_eq!(origin("\"1000h\""), at(2_001));
        for unchanged in ["Scenario", "horizon", "two", "zones", "\"b\""] {
            let found = origin(unchanged);
            assert_eq!(&TEXT[found.start..found.end], unchanged);
        }
    }
}
