//! YAML and JSON text as a tree that knows the place of every value.
//!
//! Documents, anchors, merge keys (`<<`) and block scalars are resolved here; what a scalar *means*
//! (number, boolean, text) depends on the field that reads it, so scalars keep their text and
//! whether they were quoted. Duplicate keys are errors, as in kubectl's strict decoding. Aliases
//! are expanded within a budget, so that no small file becomes a large tree.

use std::collections::{BTreeMap, BTreeSet};

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span as Range};

use crate::diagnostic::{self, Diagnostics, SourceId, Span};

/// Nodes of one text, aliases expanded.
const MOST_NODES: usize = 2_000_000;
/// Bytes of scalars of one text, aliases expanded.
const MOST_BYTES: usize = 256 << 20;
/// Collections within each other, aliases expanded.
const MOST_LEVELS: usize = 100;
/// Duplicate keys of one text: after that many it is no manifest with a slip.
const MOST_DUPLICATES: usize = 50;

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Its place; of an alias, the place of the alias.
    pub span: Span,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text, escapes resolved.
    Scalar {
        /// The text.
        text: String,
        /// Quoted, a block scalar, or tagged `!!str`: never a number, boolean or null.
        quoted: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// A mapping, in the order of the text, keys distinct.
    Mapping(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its place.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

/// What a plain scalar is in YAML's core schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number with a fraction or an exponent.
    Float,
    /// Anything else.
    Text,
}

/// The kind of an unquoted scalar.
pub fn kind_of(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => return Kind::Boolean,
        ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN" => return Kind::Float,
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let all = |digits: &str, valid: fn(&char) -> bool| {
        !digits.is_empty() && digits.chars().all(|c| valid(&c))
    };
    if all(unsigned, char::is_ascii_digit)
        || text.strip_prefix("0x").is_some_and(|hex| all(hex, char::is_ascii_hexdigit))
        || text.strip_prefix("0o").is_some_and(|octal| all(octal, char::is_ascii_digit))
    {
        return Kind::Integer;
    }
    let numeric = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+'));
    if numeric && unsigned.parse::<f64>().is_ok() { Kind::Float } else { Kind::Text }
}

/// True for words that YAML 1.1 reads as booleans and YAML 1.2 as text.
pub fn is_yaml_1_1_boolean(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    matches!(lower.as_str(), "y" | "n" | "yes" | "no" | "on" | "off")
}

impl Node {
    /// True for an unquoted null or nothing.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, quoted: false } if kind_of(text) == Kind::Null)
    }

    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Mapping(entries) => {
                entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
            }
            _ => None,
        }
    }

    /// The value of a key of a mapping, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        match &mut self.value {
            Value::Mapping(entries) => {
                entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value)
            }
            _ => None,
        }
    }

    /// Sets a key of a mapping; anything else becomes a mapping first.
    pub fn set(&mut self, key: &str, key_span: Span, value: Node) {
        if !matches!(self.value, Value::Mapping(_)) {
            *self = Node { value: Value::Mapping(Vec::new()), span: key_span };
        }
        if let Value::Mapping(entries) = &mut self.value {
            match entries.iter_mut().find(|entry| entry.key == key) {
                Some(entry) => *entry = Entry { key: key.to_owned(), key_span, value },
                None => entries.push(Entry { key: key.to_owned(), key_span, value }),
            }
        }
    }

    /// Takes a key out of a mapping.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        match &mut self.value {
            Value::Mapping(entries) => {
                let position = entries.iter().position(|entry| entry.key == key)?;
                Some(entries.remove(position).value)
            }
            _ => None,
        }
    }

    /// A text at a place.
    pub fn of_text(text: &str, span: Span) -> Node {
        Node { value: Value::Scalar { text: text.to_owned(), quoted: true }, span }
    }

    /// The value on one line, for messages and tables.
    pub fn to_line(&self) -> String {
        match &self.value {
            Value::Scalar { text, .. } => text.clone(),
            Value::Sequence(items) => {
                let items: Vec<String> = items.iter().map(Node::to_line).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Mapping(entries) => {
                let entries = entries.iter().map(|e| format!("{}: {}", e.key, e.value.to_line()));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// What the value is, in words.
    pub fn describe(&self) -> &'static str {
        match &self.value {
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Scalar { quoted: true, .. } => "text",
            Value::Scalar { text, .. } => match kind_of(text) {
                Kind::Null => "nothing",
                Kind::Boolean => "a boolean",
                Kind::Integer | Kind::Float => "a number",
                Kind::Text => "text",
            },
        }
    }
}

/// All documents of a text. After a syntax error the documents before it are returned.
pub fn parse(source: SourceId, diagnostics: &mut Diagnostics) -> Vec<Node> {
    let text = diagnostics.sources.get(source).text.clone();
    parse_text(&text, source, diagnostics)
}

/// One value that is written at `span` of another text. `None` after a syntax error; an empty text is a null.
pub fn parse_value(text: &str, span: Span, diagnostics: &mut Diagnostics) -> Option<Node> {
    let errors_before = diagnostics.error_count();
    let mut documents = parse_placed(text, span.source, Some(span), diagnostics);
    if diagnostics.error_count() > errors_before {
        return None;
    }
    let nothing = Value::Scalar { text: String::new(), quoted: false };
    documents.truncate(1);
    Some(documents.pop().unwrap_or(Node { value: nothing, span }))
}

/// All documents of a text whose bytes lie at the same places in `source`.
pub fn parse_text(text: &str, source: SourceId, diagnostics: &mut Diagnostics) -> Vec<Node> {
    parse_placed(text, source, None, diagnostics)
}

fn parse_placed(
    text: &str,
    source: SourceId,
    fixed: Option<Span>,
    diagnostics: &mut Diagnostics,
) -> Vec<Node> {
    let mut tree = Tree {
        source,
        fixed,
        diagnostics,
        documents: Vec::new(),
        open: Vec::new(),
        anchors: BTreeMap::new(),
        size: Size::default(),
        duplicates: 0,
    };
    for next in Parser::new_from_str(text) {
        let more = match next {
            Ok((event, range)) => tree.on_event(event, range),
            Err(error) => {
                tree.on_syntax_error(&error);
                false
            }
        };
        if !more {
            break;
        }
    }
    tree.documents
}

/// What a tree costs.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
    /// Levels below and including the node; only kept of anchored nodes.
    levels: usize,
}

/// A collection whose end was not seen yet.
struct Open {
    start: usize,
    anchor: usize,
    size_before: Size,
    levels: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, key: Option<(String, Span)>, places: BTreeMap<String, Span> },
}

struct Tree<'a> {
    source: SourceId,
    /// The place of everything, for a value that stands in another text.
    fixed: Option<Span>,
    diagnostics: &'a mut Diagnostics,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, (Node, Size)>,
    size: Size,
    duplicates: usize,
}

impl Tree<'_> {
    /// Takes one event; `false` ends the reading of the text.
    fn on_event(&mut self, event: Event<'_>, range: Range) -> bool {
        let span = self.span(range);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tagged = tag.is_some_and(|tag| tag.core_suffix() == Some("str"));
                let quoted = tagged || style != ScalarStyle::Plain;
                let value = Value::Scalar { text: text.into_owned(), quoted };
                self.on_scalar(Node { value, span }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.on_start(span, anchor, Content::Sequence(Vec::new()))
            }
            Event::MappingStart(_, anchor, _) => {
                let (entries, places) = (Vec::new(), BTreeMap::new());
                self.on_start(span, anchor, Content::Mapping { entries, key: None, places })
            }
            Event::SequenceEnd | Event::MappingEnd => self.on_end(span),
            Event::Alias(anchor) => self.on_alias(span, anchor),
            _ => true,
        }
    }

    fn span(&self, range: Range) -> Span {
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        let start = range.start.byte_offset().unwrap_or(0);
        let end = range.end.byte_offset().unwrap_or(start).max(start);
        Span { source: self.source, start, end }
    }

    fn on_syntax_error(&mut self, error: &ScanError) {
        let start = error.marker().byte_offset().unwrap_or(0);
        let span = Span { source: self.source, start, end: start + 1 };
        if error.info().contains("recursion limit") {
            // The parser's own limit is met first when it looks ahead.
            let what = format!("{MOST_LEVELS} levels");
            self.diagnostics.push(diagnostic::document_too_large(span, &what));
            return;
        }
        let mut problem = diagnostic::yaml_syntax(self.fixed.unwrap_or(span), &error.info());
        if self.fixed.is_some() {
            return self.diagnostics.push(problem);
        }
        let text = &self.diagnostics.sources.get(self.source).text;
        let before = text.get(..start).unwrap_or_default();
        let line = &before[before.rfind('\n').map_or(0, |newline| newline + 1)..];
        if line.contains('\t') && line.trim().is_empty() {
            problem = problem.help("indent with spaces, not tabs");
        }
        self.diagnostics.push(problem);
    }

    fn on_scalar(&mut self, node: Node, anchor: usize) -> bool {
        let bytes = node.text().map_or(0, str::len);
        let size = Size { nodes: 1, bytes, levels: 0 };
        if !self.charge(size, node.span) {
            return false;
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        self.place(node)
    }

    fn on_start(&mut self, span: Span, anchor: usize, content: Content) -> bool {
        let size_before = self.size;
        if !self.charge(Size { nodes: 1, bytes: 0, levels: 1 }, span) {
            return false;
        }
        self.open.push(Open { start: span.start, anchor, size_before, levels: 1, content });
        true
    }

    fn on_end(&mut self, span: Span) -> bool {
        let Some(open) = self.open.pop() else {
            return true;
        };
        let value = match open.content {
            Content::Sequence(items) => Value::Sequence(items),
            Content::Mapping { entries, .. } => Value::Mapping(entries),
        };
        let whole = Span { source: self.source, start: open.start, end: span.end.max(open.start) };
        let span = self.fixed.unwrap_or(whole);
        let node = Node { value: merged(value), span };
        let size = Size {
            nodes: self.size.nodes - open.size_before.nodes,
            bytes: self.size.bytes - open.size_before.bytes,
            levels: open.levels,
        };
        if open.anchor != 0 {
            // The copy that later aliases are made from counts too.
            if !self.charge(Size { levels: 0, ..size }, span) {
                return false;
            }
            self.anchors.insert(open.anchor, (node.clone(), size));
        }
        if let Some(parent) = self.open.last_mut() {
            parent.levels = parent.levels.max(open.levels + 1);
        }
        self.place(node)
    }

    fn on_alias(&mut self, span: Span, anchor: usize) -> bool {
        let Some(size) = self.anchors.get(&anchor).map(|(_, size)| *size) else {
            let problem =
                diagnostic::yaml_syntax(span, "the alias stands inside of its own anchor");
            self.diagnostics.push(problem);
            return false;
        };
        if !self.charge(size, span) {
            return false;
        }
        if let Some(parent) = self.open.last_mut() {
            parent.levels = parent.levels.max(size.levels + 1);
        }
        match self.anchors.get(&anchor) {
            Some((node, _)) => {
                let node = Node { value: node.value.clone(), span };
                self.place(node)
            }
            None => true,
        }
    }

    /// Adds to the size of the tree; `false` when it grows beyond the budget.
    fn charge(&mut self, size: Size, span: Span) -> bool {
        self.size.nodes += size.nodes;
        self.size.bytes += size.bytes;
        let what = if self.size.nodes > MOST_NODES {
            format!("{MOST_NODES} values, aliases written out")
        } else if self.size.bytes > MOST_BYTES {
            format!("{} MiB of text, aliases written out", MOST_BYTES >> 20)
        } else if self.open.len() + size.levels > MOST_LEVELS {
            format!("{MOST_LEVELS} levels")
        } else {
            return true;
        };
        self.diagnostics.push(diagnostic::document_too_large(span, &what));
        self.documents.clear();
        false
    }

    /// Puts a complete node where it belongs.
    fn place(&mut self, node: Node) -> bool {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.documents.push(node),
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping { entries, key, places }) => match key.take() {
                Some((key, key_span)) => {
                    if let Some(first) = places.get(&key) {
                        let problem = diagnostic::duplicate_key(key_span, &key)
                            .also(*first, "first defined here");
                        self.diagnostics.push(problem);
                        self.duplicates += 1;
                        return self.duplicates < MOST_DUPLICATES;
                    } else {
                        if key != "<<" {
                            places.insert(key.clone(), key_span);
                        }
                        entries.push(Entry { key, key_span, value: node });
                    }
                }
                None => match node.value {
                    Value::Scalar { text, .. } => *key = Some((text, node.span)),
                    _ => {
                        let reason = "a mapping or list stands where a key belongs";
                        self.diagnostics.push(diagnostic::yaml_syntax(node.span, reason));
                        return false;
                    }
                },
            },
        }
        true
    }
}

/// The value with its merge keys resolved: `<<: *base` adds the entries of `base` that are not
/// defined here.
fn merged(value: Value) -> Value {
    match value {
        Value::Mapping(entries) if entries.iter().any(|entry| entry.key == "<<") => {
            let (merges, mut own): (Vec<Entry>, Vec<Entry>) =
                entries.into_iter().partition(|entry| entry.key == "<<");
            let mut known: BTreeSet<String> = own.iter().map(|entry| entry.key.clone()).collect();
            let bases = merges.into_iter().flat_map(|entry| match entry.value.value {
                Value::Sequence(items) => items,
                _ => vec![entry.value],
            });
            for base in bases {
                let Value::Mapping(inherited) = base.value else {
                    continue;
                };
                own.extend(inherited.into_iter().filter(|entry| known.insert(entry.key.clone())));
            }
            Value::Mapping(own)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Node>, Diagnostics) {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.sources.add("a.yaml", text.to_owned());
        let documents = parse(source, &mut diagnostics);
        (documents, diagnostics)
    }

    fn codes(diagnostics: &Diagnostics) -> Vec<String> {
        let place = |d: &diagnostic::Diagnostic| d.span().map(|s| diagnostics.sources.place(s));
        diagnostics.iter().map(|d| format!("{} {}", d.code, place(d).unwrap_or_default())).collect()
    }

    #[test]
    fn documents_values_and_places_survive() {
        let (documents, diagnostics) =
            read("# c\n---\na: é\nb: [1, '2']\n---\n# only a comment\n---\n{\"c\": true}\n");
        assert_eq!(codes(&diagnostics), [""; 0]);
        assert_eq!(documents.len(), 3);
        assert!(documents[1].is_null());
        let b = documents[0].get("b").expect("b");
        assert_eq!(diagnostics.sources.place(b.span), "a.yaml:4:4");
        assert_eq!(b.describe(), "a list");
        let Value::Sequence(items) = &b.value else { panic!("a list") };
        assert_eq!((items[0].describe(), items[1].describe()), ("a number", "text"));
        assert_eq!(documents[2].get("c").map(Node::describe), Some("a boolean"));
    }

    #[test]
    fn duplicate_keys_name_both_places() {
        let (_, diagnostics) = read("a: 1\nb: 2\na: 3\nc: {d: 1, d: 2}\n");
        assert_eq!(codes(&diagnostics), ["KS0104 a.yaml:3:1", "KS0104 a.yaml:4:11"]);
    }

    #[test]
    fn syntax_errors_have_a_place_and_a_reason() {
        let (documents, diagnostics) = read("ok: 1\n---\na: [1, 2\nb: 3\n");
        assert_eq!(documents.len(), 1);
        assert_eq!(codes(&diagnostics).len(), 1);
        let problem = diagnostics.iter().next().expect("one");
        assert_eq!(problem.code, "KS0103");
        assert!(problem.message.len() > "not valid YAML: ".len(), "{problem:?}");
        let (_, diagnostics) = read("a:\n\tb: 1\n");
        assert_eq!(codes(&diagnostics), ["KS0103 a.yaml:2:2"]);
    }

    #[test]
    fn alias_bombs_are_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..12 {
            let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
            text += &format!("a{i}: &a{i} [{aliases}]\n");
        }
        let (documents, diagnostics) = read(&text);
        assert!(documents.is_empty());
        assert_eq!(diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), ["KS0105"]);
        let (_, diagnostics) = read(&format!("{}1{}", "[".repeat(150), "]".repeat(150)));
        assert_eq!(codes(&diagnostics), ["KS0105 a.yaml:1:101"]);
        let (_, diagnostics) = read("a: &a [*a]\n");
        assert_eq!(codes(&diagnostics), ["KS0103 a.yaml:1:8"]);
        let nested: String = (1..80).map(|i| format!("- &b{i} [*b{}]\n", i - 1)).collect();
        let deeper: String = (80..160).map(|i| format!("- &b{i} [*b{}]\n", i - 1)).collect();
        assert!(codes(&read(&format!("- &b0 x\n{nested}")).1).is_empty());
        assert_eq!(codes(&read(&format!("- &b0 x\n{nested}{deeper}")).1).len(), 1);
    }

    #[test]
    fn merge_keys_add_what_is_not_defined() {
        let (documents, _) = read("base: &b {x: 1, y: 2}\nown: {<<: *b, y: 3}\n");
        let own = documents[0].get("own").expect("own");
        assert_eq!(own.get("x").and_then(Node::text), Some("1"));
        assert_eq!(own.get("y").and_then(Node::text), Some("3"));
    }

    #[test]
    fn plain_scalars_have_the_kinds_of_the_core_schema() {
        for (text, kind) in [
            ("", Kind::Null),
            ("~", Kind::Null),
            ("true", Kind::Boolean),
            ("yes", Kind::Text),
            ("010", Kind::Integer),
            ("-5", Kind::Integer),
            ("0x1F", Kind::Integer),
            ("1e3", Kind::Float),
            ("0.5", Kind::Float),
            (".", Kind::Text),
            ("1Gi", Kind::Text),
            ("1.2.3", Kind::Text),
            ("-", Kind::Text),
        ] {
            assert_eq!(kind_of(text), kind, "{text:?}");
        }
    }
}
