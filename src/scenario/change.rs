//! What a run changes of the scenario as it is written: a policy's patches, the values of axes, `--set`.
//!
//! Paths are written `KIND/NAME:field.path` for manifests and `field.path` for the scenario itself.

use super::patch::{ObjectChange, Step, steps};
use super::ron_places::{Part, Place};
use super::splice::{SettingChange, ron_options};
use super::yaml::{self, Entry, Node, Value};
use crate::diagnostic::{self, Diagnostics, SourceId, Span};

/// Which policy is loaded, and what else is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The policy; the first one without a name.
    pub policy: Option<String>,
    /// Further values, applied one after another on top of the policy's.
    pub settings: Vec<Setting>,
}

/// A path and the value to be put there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `NodePool/default:spec.disruption.consolidateAfter` or `cloud.latency.create`.
    pub path: String,
    /// The value as it was written.
    pub value: String,
    /// Where it was written.
    pub written: Written,
}

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// On the command line, as `--set #1`.
    Option(String),
    /// In the scenario: the number of the axis and of its value.
    Axis(usize, usize),
}

/// Settings that a policy cannot change: they say what is compared, or they would make its random world another one.
const NOT_IN_POLICIES: [&str; 7] =
    ["axes", "horizon", "name", "policies", "replications", "seed", "start"];
/// Settings that nothing can change.
const FIXED: [&str; 2] = ["axes", "policies"];

const ENTRY: &str = "an entry is written \"key\": value";

/// All changes, in the order in which they apply.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Of manifests.
    pub objects: Vec<ObjectChange>,
    /// Of the scenario's settings.
    pub settings: Vec<SettingChange>,
}

/// A scenario's text with the places of its values.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    /// The source.
    pub source: SourceId,
    /// Its text.
    pub text: &'a str,
    /// The places of its values.
    pub map: &'a Place,
}

impl Text<'_> {
    fn span(&self, range: &std::ops::Range<usize>) -> Span {
        Span { source: self.source, start: range.start, end: range.end }
    }

    fn raw(&self, place: &Place) -> &str {
        &self.text[place.span.clone()]
    }
}

impl Changes {
    /// Adds a policy's patch: part `policy` of `policies`.
    pub fn add_policy(&mut self, text: Text<'_>, policy: usize, diagnostics: &mut Diagnostics) {
        let parts = text.map.parts_of("policies");
        let Some(patch) = parts.get(policy).and_then(|part| part.value.part("patch")) else {
            return;
        };
        if patch.value.bracket != '{' {
            let span = text.span(&patch.value.span);
            let reason = "a patch is written { \"KIND/NAME\": { ... } }";
            return diagnostics.push(diagnostic::ron_syntax(span, reason));
        }
        if let Some(part) = patch.value.parts.iter().find(|part| part.key.is_empty()) {
            let span = text.span(&part.value.span);
            return diagnostics.push(diagnostic::ron_syntax(span, ENTRY));
        }
        for part in &patch.value.parts {
            self.add_patch(text, part, diagnostics);
        }
    }

    fn add_patch(&mut self, text: Text<'_>, part: &Part, diagnostics: &mut Diagnostics) {
        let path_span = text.span(&part.key_span);
        let Some(target) = target(&part.key, path_span, diagnostics) else {
            return;
        };
        match target {
            Target::Object(object, path) => {
                let patch = node(text, &part.value, diagnostics);
                self.add_object(object, path, path_span, patch);
            }
            Target::Setting(path) => {
                if let Some(Step::Key(first)) = path.first()
                    && NOT_IN_POLICIES.contains(&first.as_str())
                {
                    return diagnostics.push(diagnostic::fixed_setting(path_span, first));
                }
                self.add_leaves(text, path, path_span, &part.value);
            }
        }
    }

    /// A change of an object; none when its patch could not be read. One span says what object and what path.
    fn add_object(
        &mut self,
        object: String,
        path: Vec<Step>,
        path_span: Span,
        patch: Option<Node>,
    ) {
        let object_span = path_span;
        let change = |patch| ObjectChange { object, object_span, path, path_span, patch };
        self.objects.extend(patch.map(change));
    }

    /// A mapping patches the fields that it names; everything else replaces what is there.
    fn add_leaves(&mut self, text: Text<'_>, path: Vec<Step>, path_span: Span, place: &Place) {
        if place.bracket == '{' && !place.parts.is_empty() {
            for part in &place.parts {
                let mut path = path.clone();
                path.push(Step::Key(part.key.clone()));
                self.add_leaves(text, path, text.span(&part.key_span), &part.value);
            }
            return;
        }
        let value = text.raw(place).to_owned();
        let value_span = text.span(&place.span);
        self.settings.push(SettingChange { path, path_span, value, value_span });
    }

    /// Adds a value of an axis or of the command line.
    pub fn add_setting(
        &mut self,
        text: Text<'_>,
        setting: &Setting,
        diagnostics: &mut Diagnostics,
    ) {
        let (path_span, value_span) = places_of(text, setting, diagnostics);
        let Some(target) = target(&setting.path, path_span, diagnostics) else {
            return;
        };
        let value = setting.value.clone();
        match target {
            Target::Object(object, path) => {
                let patch = yaml::parse_value(&value, value_span, diagnostics);
                self.add_object(object, path, path_span, patch);
            }
            Target::Setting(path) => match path.first() {
                Some(Step::Key(first)) if FIXED.contains(&first.as_str()) => {
                    diagnostics.push(diagnostic::fixed_setting(path_span, first));
                }
                _ => self.settings.push(SettingChange { path, path_span, value, value_span }),
            },
        }
    }
}

/// Where path and value of a setting stand. What comes from the command line becomes a source of its own.
fn places_of(text: Text<'_>, setting: &Setting, diagnostics: &mut Diagnostics) -> (Span, Span) {
    match &setting.written {
        Written::Option(option) => {
            let line = format!("{}={}", setting.path, setting.value);
            let (middle, end) = (setting.path.len(), line.len());
            let source = diagnostics.sources.add(&format!("<command line>: {option}"), line);
            (Span { source, start: 0, end: middle }, Span { source, start: middle + 1, end })
        }
        Written::Axis(axis, value) => {
            let path = text.map.at(&format!("axes[{axis}].path"));
            let value = text.map.at(&format!("axes[{axis}].values[{value}]"));
            (text.span(&path.span), text.span(&value.span))
        }
    }
}

enum Target {
    Object(String, Vec<Step>),
    Setting(Vec<Step>),
}

/// What a path names.
fn target(path: &str, span: Span, diagnostics: &mut Diagnostics) -> Option<Target> {
    let (object, field) = match path.split_once(':') {
        Some((object, field)) => (Some(object), field),
        None if path.contains('/') => (Some(path), ""),
        None => (None, path),
    };
    let steps = match steps(field) {
        Ok(steps) => steps,
        Err(reason) => {
            diagnostics.push(diagnostic::bad_path(span, path, &reason));
            return None;
        }
    };
    match object {
        Some(object) => Some(Target::Object(object.to_owned(), steps)),
        None if steps.is_empty() => {
            diagnostics.push(diagnostic::bad_path(span, path, "it is empty"));
            None
        }
        None => Some(Target::Setting(steps)),
    }
}

/// The values of an axis as texts: what stands in quotes, or the value as it is written.
pub fn axis_values(text: Text<'_>, axis: usize) -> Vec<String> {
    let items = text.map.parts_of(&format!("axes[{axis}].values"));
    let value = |part: &Part| {
        let raw = text.raw(&part.value);
        let unquoted = raw.starts_with(['"', 'r']).then(|| ron_options().from_str(raw).ok());
        unquoted.flatten().unwrap_or_else(|| raw.to_owned())
    };
    items.iter().map(value).collect()
}

/// A merge patch of a whole object; none, and the reason reported, when it is no map.
pub(super) fn object_patch(
    text: Text<'_>,
    place: &Place,
    diagnostics: &mut Diagnostics,
) -> Option<Node> {
    if place.bracket != '{' {
        let reason = "a patch is written { \"spec\": { ... } }";
        diagnostics.push(diagnostic::ron_syntax(text.span(&place.span), reason));
        return None;
    }
    node(text, place, diagnostics)
}

/// A RON value as the tree that manifests are made of.
fn node(text: Text<'_>, place: &Place, diagnostics: &mut Diagnostics) -> Option<Node> {
    let span = text.span(&place.span);
    let value = match place.bracket {
        '(' if place.name == "Some" && place.parts.len() == 1 => {
            return node(text, &place.parts[0].value, diagnostics);
        }
        '[' => Value::Sequence(
            place
                .parts
                .iter()
                .map(|part| node(text, &part.value, diagnostics))
                .collect::<Option<_>>()?,
        ),
        '(' if place.parts.is_empty() => null(),
        '(' | '{' => Value::Mapping(entries(text, place, diagnostics)?),
        _ => scalar(text, place, diagnostics)?,
    };
    Some(Node { value, span })
}

fn null() -> Value {
    Value::Scalar { text: String::new(), quoted: false }
}

fn entries(text: Text<'_>, place: &Place, diagnostics: &mut Diagnostics) -> Option<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    for part in &place.parts {
        let key_span = text.span(&part.key_span);
        if part.key.is_empty() {
            diagnostics.push(diagnostic::ron_syntax(text.span(&part.value.span), ENTRY));
            return None;
        }
        if entries.iter().any(|entry| entry.key == part.key) {
            diagnostics.push(diagnostic::duplicate_key(key_span, &part.key));
            return None;
        }
        let value = node(text, &part.value, diagnostics)?;
        entries.push(Entry { key: part.key.clone(), key_span, value });
    }
    Some(entries)
}

fn scalar(text: Text<'_>, place: &Place, diagnostics: &mut Diagnostics) -> Option<Value> {
    let raw = text.raw(place);
    if place.name == "None" {
        return Some(null());
    }
    let is_text = raw.starts_with(['"', '\'']) || raw.starts_with('r') && raw.ends_with(['"', '#']);
    if !is_text {
        return Some(Value::Scalar { text: raw.to_owned(), quoted: false });
    }
    match ron_options().from_str::<String>(raw) {
        Ok(text) => Some(Value::Scalar { text, quoted: true }),
        Err(error) => {
            let reason = error.code.to_string();
            diagnostics.push(diagnostic::ron_syntax(text.span(&place.span), &reason));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::ron_places::places;

    #[test]
    fn ron_values_become_manifest_values() {
        let ron = r#"(policies: [(patch: {
            "A/b": { "s": "1m", "n": 5, "t": true, "l": ["x", (y: 2)], "gone": None, "e": {}, "o": Some("q") },
        })])"#;
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.sources.add("s.ron", ron.to_owned());
        let map = places(ron);
        let mut changes = Changes::default();
        changes.add_policy(Text { source, text: ron, map: &map }, 0, &mut diagnostics);
        assert!(!diagnostics.has_errors());
        let expected = "{s: 1m, n: 5, t: true, l: [x, {y: 2}], gone: , e: {}, o: q}";
        assert_eq!(changes.objects[0].patch.to_line(), expected);
        let n = changes.objects[0].patch.get("n").expect("n");
        assert_eq!(n.describe(), "a number");
        assert_eq!(&ron[n.span.start..n.span.end], "5");
    }
}
