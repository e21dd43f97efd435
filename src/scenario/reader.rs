//! Reads fields of a manifest's tree: wrong types, unknown names and missing fields become
//! diagnostics at their place.

use std::collections::BTreeMap;

use super::settings::Catalogue;
use super::substitute::{Variables, substitute};
use super::yaml::{Entry, Kind, Node, Value, is_yaml_1_1_boolean, kind_of};
use crate::diagnostic::{self, Diagnostic, Diagnostics, SourceId, Span};
use crate::units::{SimDuration, Symbols, quantity};

/// What all reading shares.
pub struct Reader<'a> {
    /// Where problems go.
    pub diagnostics: &'a mut Diagnostics,
    /// The scenario's variables.
    pub variables: &'a Variables,
    /// The run's interner.
    pub symbols: &'a mut Symbols,
    /// What exists in EC2.
    pub catalogue: &'a Catalogue,
    /// The run's zones. Empty: zones are not checked.
    pub zones: &'a [String],
    /// Sources that changes of manifests come from: a field that does not exist is an error there whatever the kind.
    pub change_sources: Vec<SourceId>,
    /// Fields without effect, by kind and path, with the first place and the count.
    without_effect: BTreeMap<String, (Span, usize)>,
    /// Unknown fields of core kinds, likewise.
    unknown_core: BTreeMap<String, (Span, usize)>,
}

/// What an unknown field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// An error: Karpenter's kinds.
    Error,
    /// A note: the core kinds.
    Note,
}

/// A value with the path that leads to it.
#[derive(Clone, Debug)]
pub struct Field<'n> {
    /// The value.
    pub node: &'n Node,
    /// The path as the API server writes it: `spec.disruption.budgets[1].schedule`.
    pub path: String,
    /// The object's kind.
    pub kind: &'static str,
}

/// A mapping that is being read. [`Reader::finish`] reports the entries that nobody asked for.
pub struct Object<'n> {
    /// The mapping itself.
    pub field: Field<'n>,
    entries: &'n [Entry],
    asked: Vec<&'static str>,
}

impl<'n> Field<'n> {
    /// Its place.
    pub fn span(&self) -> Span {
        self.node.span
    }

    fn child(&self, step: &str, node: &'n Node) -> Field<'n> {
        let dot = if self.path.is_empty() || step.starts_with('[') { "" } else { "." };
        Field { node, path: format!("{}{dot}{step}", self.path), kind: self.kind }
    }
}

impl<'n> Object<'n> {
    /// A field; an explicit null counts as absent, as for the API server.
    pub fn get(&mut self, name: &'static str) -> Option<Field<'n>> {
        self.asked.push(name);
        let entry = self.entries.iter().find(|entry| entry.key == name)?;
        (!entry.value.is_null()).then(|| self.field.child(name, &entry.value))
    }

    /// A field that must be there.
    pub fn required(&mut self, name: &'static str, reader: &mut Reader<'_>) -> Option<Field<'n>> {
        let found = self.get(name);
        if found.is_none() {
            let path = self.path_of(name);
            reader.push(diagnostic::missing_field(self.field.span(), &path));
        }
        found
    }

    /// The path of a field of this mapping.
    pub fn path_of(&self, name: &str) -> String {
        let dot = if self.field.path.is_empty() { "" } else { "." };
        format!("{}{dot}{name}", self.field.path)
    }

    /// Marks fields as known and without effect.
    pub fn without_effect(&mut self, names: &[&'static str], reader: &mut Reader<'_>) {
        for name in names {
            if let Some(field) = self.get(name) {
                reader.note_without_effect(&field);
            }
        }
    }

    /// Refuses a field that changes results but is not modelled; empty values are harmless.
    pub fn refuse(&mut self, name: &'static str, effect: &str, reader: &mut Reader<'_>) {
        if let Some(field) = self.get(name) {
            let empty = match &field.node.value {
                Value::Sequence(items) => items.is_empty(),
                Value::Mapping(entries) => entries.is_empty(),
                Value::Scalar { text, .. } => text == "false" || text.is_empty(),
            };
            if !empty {
                reader.refuse(&field, effect);
            }
        }
    }

    fn key_span(&self, name: &str) -> Span {
        let entry = self.entries.iter().find(|entry| entry.key == name);
        entry.map_or(self.field.span(), |entry| entry.key_span)
    }
}

impl<'a> Reader<'a> {
    /// A reader.
    pub fn new(
        diagnostics: &'a mut Diagnostics,
        variables: &'a Variables,
        symbols: &'a mut Symbols,
        catalogue: &'a Catalogue,
        zones: &'a [String],
    ) -> Reader<'a> {
        let (without_effect, unknown_core) = (BTreeMap::new(), BTreeMap::new());
        let change_sources = Vec::new();
        Reader {
            diagnostics,
            variables,
            symbols,
            catalogue,
            zones,
            change_sources,
            without_effect,
            unknown_core,
        }
    }

    /// Reports a problem.
    pub fn push(&mut self, problem: Diagnostic) {
        self.diagnostics.push(problem);
    }

    /// Reports a broken rule at a field.
    pub fn broken(&mut self, field: &Field<'_>, rule: &str) {
        self.push(diagnostic::rule_broken(field.span(), &field.path, rule));
    }

    /// Reports a field that changes results but is not modelled.
    pub fn refuse(&mut self, field: &Field<'_>, effect: &str) {
        self.push(diagnostic::field_not_modelled(field.span(), &field.path, effect));
    }

    /// Remembers a field without effect for the closing note.
    pub fn note_without_effect(&mut self, field: &Field<'_>) {
        let name = format!("{} {}", field.kind, without_indices(&field.path));
        self.without_effect.entry(name).or_insert((field.span(), 0)).1 += 1;
    }

    /// The closing notes: fields without effect and unknown fields of core kinds, one note each.
    pub fn close(self) {
        if let Some((span, paths)) = listed(&self.without_effect) {
            self.diagnostics.push(diagnostic::fields_without_effect(span, &paths));
        }
        if let Some((span, paths)) = listed(&self.unknown_core) {
            self.diagnostics.push(diagnostic::unknown_core_fields(span, &paths));
        }
    }

    /// A mapping.
    pub fn object<'n>(&mut self, field: &Field<'n>) -> Option<Object<'n>> {
        match &field.node.value {
            Value::Mapping(entries) => {
                Some(Object { field: field.clone(), entries, asked: Vec::new() })
            }
            _ => self.wrong_type(field, "a mapping"),
        }
    }

    /// Ends the reading of a mapping: what nobody asked for is unknown.
    pub fn finish(&mut self, object: Object<'_>, unknown: Unknown) {
        for entry in object.entries.iter().filter(|e| !object.asked.contains(&e.key.as_str())) {
            let path = object.path_of(&entry.key);
            let kind = object.field.kind;
            let changed = self.change_sources.contains(&entry.key_span.source);
            match unknown {
                _ if changed => {
                    let problem = diagnostic::unknown_field(entry.key_span, &path, kind);
                    self.push(problem.suggest(&entry.key, object.asked.iter().copied()));
                }
                Unknown::Error => {
                    let problem = diagnostic::unknown_field(entry.key_span, &path, kind);
                    self.push(problem.suggest(&entry.key, object.asked.iter().copied()));
                }
                Unknown::Note => {
                    let name = format!("{kind} {}", without_indices(&path));
                    let place = (object.key_span(&entry.key), 0);
                    self.unknown_core.entry(name).or_insert(place).1 += 1;
                }
            }
        }
    }

    /// The items of a list.
    pub fn list<'n>(&mut self, field: &Field<'n>) -> Vec<Field<'n>> {
        match &field.node.value {
            Value::Sequence(items) => {
                let child = |(i, node)| field.child(&format!("[{i}]"), node);
                items.iter().enumerate().map(child).collect()
            }
            _ => {
                self.wrong_type::<()>(field, "a list");
                Vec::new()
            }
        }
    }

    /// The entries of a free mapping: key with variables replaced, its place, value.
    pub fn entries<'n>(&mut self, field: &Field<'n>) -> Vec<(String, Span, Field<'n>)> {
        let Value::Mapping(entries) = &field.node.value else {
            self.wrong_type::<()>(field, "a mapping");
            return Vec::new();
        };
        let mut list = Vec::with_capacity(entries.len());
        for entry in entries {
            let key = self.expand(&entry.key, entry.key_span);
            list.push((key, entry.key_span, field.child(&entry.key, &entry.value)));
        }
        list
    }

    /// A text; numbers and booleans without quotes are none.
    pub fn text(&mut self, field: &Field<'_>) -> Option<String> {
        let (text, quoted) = self.scalar(field, "text")?;
        if !quoted && !matches!(kind_of(&text), Kind::Text) {
            let found = match kind_of(&text) {
                Kind::Boolean => "a boolean",
                Kind::Null => "nothing",
                _ => "a number",
            };
            let problem = diagnostic::wrong_type(field.span(), &field.path, "text", found);
            self.push(problem.help(format!("write \"{text}\" in quotes")));
            return None;
        }
        if !quoted && is_yaml_1_1_boolean(&text) {
            self.push(diagnostic::yaml_boolean(field.span(), &text));
        }
        Some(text)
    }

    /// A text that is not empty.
    pub fn filled_text(&mut self, field: &Field<'_>) -> Option<String> {
        let text = self.text(field)?;
        if text.is_empty() {
            self.broken(field, "must not be empty");
            return None;
        }
        Some(text)
    }

    /// A whole number within a range.
    pub fn integer(&mut self, field: &Field<'_>, least: i64, most: i64) -> Option<i64> {
        let (text, quoted) = self.scalar(field, "a whole number")?;
        let number = text.parse::<i64>().ok().filter(|_| !quoted);
        let Some(number) = number else {
            return self.wrong_type(field, "a whole number");
        };
        self.warn_of_leading_zero(field, &text);
        if number < least || number > most {
            self.broken(field, &format!("must be at least {least} and at most {most}"));
            return None;
        }
        Some(number)
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, field: &Field<'_>) -> Option<bool> {
        match self.scalar(field, "true or false")? {
            (text, false) if kind_of(&text) == Kind::Boolean => {
                Some(text.eq_ignore_ascii_case("true"))
            }
            _ => self.wrong_type(field, "true or false"),
        }
    }

    /// One of some words.
    pub fn choice<T: Copy>(&mut self, field: &Field<'_>, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(field)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let problem = diagnostic::unknown_value(field.span(), &field.path, &text)
            .suggest(&text, names.iter().copied())
            .help(format!("it accepts {}", names.join(", ")));
        self.push(problem);
        None
    }

    /// The text of a quantity, a number or text.
    pub fn quantity(&mut self, field: &Field<'_>) -> Option<String> {
        let (text, quoted) = self.scalar(field, "a quantity")?;
        if !quoted {
            self.warn_of_leading_zero(field, &text);
        }
        if quantity::parse_units(&text).is_none() {
            self.push(diagnostic::bad_quantity(field.span(), &text, &field.path));
            return None;
        }
        Some(text)
    }

    /// A duration of the units that a CRD pattern admits (`smh` or `hm`); `None` inside for `Never`
    /// where that is allowed.
    pub fn duration(
        &mut self,
        field: &Field<'_>,
        units: &str,
        never: Never,
    ) -> Option<Option<SimDuration>> {
        let text = self.text_or_number(field, "a duration")?;
        if text == "Never" && never == Never::Allowed {
            return Some(None);
        }
        let in_pattern = text.chars().all(|c| c.is_ascii_digit() || units.contains(c))
            && text.starts_with(|c: char| c.is_ascii_digit())
            && text
                .chars()
                .zip(text.chars().skip(1))
                .all(|(a, b)| a.is_ascii_digit() || b.is_ascii_digit())
            && text.ends_with(|c: char| units.contains(c));
        match SimDuration::parse(&text).filter(|_| in_pattern) {
            Some(span) => Some(Some(span)),
            None => {
                let mut problem = diagnostic::bad_duration(field.span(), &text, &field.path);
                if never == Never::Allowed {
                    problem = problem.help("write 30s, 5m, 1h30m, 72h or Never");
                }
                self.push(problem);
                None
            }
        }
    }

    /// A text as it stands, whether it looks like a number or not.
    pub fn text_or_number(&mut self, field: &Field<'_>, expected: &str) -> Option<String> {
        Some(self.scalar(field, expected)?.0)
    }

    /// A scalar with its variables replaced, and whether it was quoted.
    fn scalar(&mut self, field: &Field<'_>, expected: &str) -> Option<(String, bool)> {
        match &field.node.value {
            Value::Scalar { text, quoted } => Some((self.expand(text, field.span()), *quoted)),
            _ => self.wrong_type(field, expected),
        }
    }

    fn expand(&mut self, text: &str, span: Span) -> String {
        if !text.contains('$') {
            return text.to_owned();
        }
        let (expanded, undefined) = substitute(text, self.variables);
        for name in undefined {
            self.push(diagnostic::undefined_variable(span, &name));
        }
        expanded
    }

    /// Reports a value of the wrong type.
    pub fn wrong_type<T>(&mut self, field: &Field<'_>, expected: &str) -> Option<T> {
        let found = field.node.describe();
        self.push(diagnostic::wrong_type(field.span(), &field.path, expected, found));
        None
    }

    fn warn_of_leading_zero(&mut self, field: &Field<'_>, text: &str) {
        let digits = text.len() > 1 && text.bytes().all(|b| b.is_ascii_digit());
        if digits && text.starts_with('0') {
            self.push(diagnostic::leading_zero(field.span(), text));
        }
    }
}

/// Whether a duration field accepts `Never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {
    /// It does.
    Allowed,
    /// It does not.
    Refused,
}

/// A path with `[]` for every index, so that equal fields of many containers count as one.
fn without_indices(path: &str) -> String {
    let mut result = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => {
                inside = true;
                result.push_str("[]");
            }
            ']' => inside = false,
            c if inside && c.is_ascii_digit() => {}
            c => result.push(c),
        }
    }
    result
}

/// The first place, and all names with their counts.
fn listed(names: &BTreeMap<String, (Span, usize)>) -> Option<(Span, String)> {
    let first = names.values().map(|(span, _)| *span).min()?;
    let text = |(name, (_, count)): (&String, &(Span, usize))| match count {
        1 => name.clone(),
        count => format!("{name} ({count} times)"),
    };
    Some((first, names.iter().map(text).collect::<Vec<_>>().join(", ")))
}

/// Kubernetes' rule for a label value: at most 63 characters, letters, digits, `-_.`, alphanumeric
/// at both ends, or empty.
pub fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_name_part(text)
}

/// Kubernetes' rule for a qualified name: an optional DNS prefix of at most 253 characters, a
/// slash, a name.
pub fn is_qualified_name(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_name_part(name),
        None => is_name_part(text),
    }
}

fn is_name_part(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    (1..=63).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && text.starts_with(ends)
        && text.ends_with(ends)
}

/// Kubernetes' rule for object names: lower-case DNS labels joined by dots, at most 253 characters.
pub fn is_dns_subdomain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_kubernetes_rules() {
        assert!(is_label_value("") && is_label_value("a.B_c-1") && !is_label_value("-a"));
        assert!(is_qualified_name("karpenter.sh/nodepool") && is_qualified_name("type"));
        for wrong in ["", "/a", "a/", "A.b/c", "a/b/c", "a b"] {
            assert!(!is_qualified_name(wrong), "{wrong}");
        }
        assert!(!is_label_value(&"a".repeat(64)));
    }

    #[test]
    fn indices_are_left_out_of_notes() {
        assert_eq!(without_indices("spec.containers[12].env[0]"), "spec.containers[].env[]");
    }
}
