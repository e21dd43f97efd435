//! Changes of manifests before they are read: RFC 7386 merge patches and single values.
//!
//! The values of a change carry the place where the user wrote them, so whatever is wrong with a changed object is
//! reported at the change.

use super::yaml::{Entry, Node, Value};
use crate::diagnostic::Span;

/// A change of one object.
#[derive(Clone, Debug)]
pub struct ObjectChange {
    /// The object: `NodePool/default`, `Deployment/other/inflate`.
    pub object: String,
    /// Where its name stands.
    pub object_span: Span,
    /// The path from the object to what changes, where [`path_span`](ObjectChange::path_span) stands; empty for a patch
    /// of the whole object.
    pub path: Vec<Step>,
    /// Where the path stands.
    pub path_span: Span,
    /// The patch.
    pub patch: Node,
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the value of a key.
    Key(String),
    /// To an item of a list.
    Item(usize),
}

/// A value that a change exchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The object; `scenario` for a setting.
    pub object: String,
    /// The path of the value.
    pub path: String,
    /// As it was; none where there was nothing.
    pub from: Option<String>,
    /// As it is; none where it was removed.
    pub to: Option<String>,
}

/// The steps of a path such as `spec.disruption.budgets[0].nodes`; a key with dots is written `["a.b/c"]`. The error
/// says what is wrong.
pub fn steps(path: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix("[\"") {
            let (key, after) = inner.split_once("\"]").ok_or("a quoted key ends with \"]")?;
            steps.push(Step::Key(key.to_owned()));
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']').ok_or("an index ends with ]")?;
            let index = index.parse().map_err(|_| format!("`{index}` is no index"))?;
            steps.push(Step::Item(index));
            rest = after;
        } else {
            let length = rest.find(['.', '[']).unwrap_or(rest.len());
            if length == 0 {
                return Err("a name is missing".to_owned());
            }
            steps.push(Step::Key(rest[..length].to_owned()));
            rest = &rest[length..];
        }
        match rest.strip_prefix('.') {
            Some("") => return Err("it ends with a dot".to_owned()),
            Some(after) => rest = after,
            None if rest.is_empty() || rest.starts_with('[') => {}
            None => return Err("a dot is missing".to_owned()),
        }
    }
    Ok(steps)
}

/// `Kind/namespace/name` or `Kind/name` of a document that is an object.
pub fn id_of(document: &Node) -> Option<String> {
    let kind = document.get("kind")?.text()?;
    let metadata = document.get("metadata")?;
    let name = metadata.get("name")?.text()?;
    let namespace = metadata.get("namespace").filter(|namespace| !namespace.is_null());
    Some(id(kind, namespace.and_then(Node::text).unwrap_or(DEFAULT_NAMESPACE), name))
}

/// The namespace of an object that names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// What an object goes by: kinds without a namespace leave it out.
pub fn id(kind: &str, namespace: &str, name: &str) -> String {
    let is_cluster_scoped = matches!(
        kind,
        "CSINode"
            | "EC2NodeClass"
            | "Namespace"
            | "NodeOverlay"
            | "NodePool"
            | "PersistentVolume"
            | "PriorityClass"
            | "StorageClass"
    );
    match is_cluster_scoped {
        true => format!("{kind}/{name}"),
        false => format!("{kind}/{namespace}/{name}"),
    }
}

/// The last document that is an object, lists of objects included.
pub fn find<'n>(documents: &'n [Node], object: &str) -> Option<&'n Node> {
    documents.iter().rev().find_map(|document| {
        let is_list =
            document.get("kind").and_then(Node::text).is_some_and(|k| k.ends_with("List"));
        match document.get("items").map(|items| &items.value) {
            Some(Value::Sequence(items)) if is_list => find(items, object),
            _ => (id_of(document).as_deref() == Some(object)).then_some(document),
        }
    })
}

/// Applies a change to all documents that are its object, lists of objects included. True iff there was one; the error
/// says why the path leads nowhere.
pub fn apply(
    documents: &mut [Node],
    change: &ObjectChange,
    changed: &mut Vec<Changed>,
) -> Result<bool, String> {
    let mut found = false;
    for document in documents {
        let is_list =
            document.get("kind").and_then(Node::text).is_some_and(|k| k.ends_with("List"));
        if let Some(Value::Sequence(items)) = document.get_mut("items").map(|n| &mut n.value)
            && is_list
        {
            found |= apply(items, change, changed)?;
        } else if id_of(document).as_deref() == Some(&change.object) {
            found = true;
            let target = descend(document, &change.path, change.path_span)?;
            let mut notes = Notes { object: &change.object, changed };
            merge(target, &change.patch, &mut path_text(&change.path), &mut notes);
        }
    }
    Ok(found)
}

/// The value at a path; mappings on the way that are not there come into being.
fn descend<'n>(node: &'n mut Node, path: &[Step], span: Span) -> Result<&'n mut Node, String> {
    let Some((step, rest)) = path.split_first() else {
        return Ok(node);
    };
    match step {
        Step::Key(key) => {
            if node.is_null() {
                node.value = Value::Mapping(Vec::new());
            }
            let description = node.describe();
            let Value::Mapping(entries) = &mut node.value else {
                return Err(format!("`{key}` cannot be a field of {description}"));
            };
            let index = match entries.iter().position(|entry| entry.key == *key) {
                Some(index) => index,
                None => {
                    let value = Value::Scalar { text: String::new(), quoted: false };
                    let value = Node { value, span };
                    entries.push(Entry { key: key.clone(), key_span: span, value });
                    entries.len() - 1
                }
            };
            descend(&mut entries[index].value, rest, span)
        }
        Step::Item(index) => {
            let description = node.describe();
            let Value::Sequence(items) = &mut node.value else {
                return Err(format!("[{index}] cannot be an item of {description}"));
            };
            let count = items.len();
            let item = items.get_mut(*index);
            descend(item.ok_or(format!("[{index}] is beyond the {count} items"))?, rest, span)
        }
    }
}

struct Notes<'a> {
    object: &'a str,
    changed: &'a mut Vec<Changed>,
}

impl Notes<'_> {
    fn note(&mut self, path: &str, from: Option<&Node>, to: Option<&Node>) {
        let (from, to) = (from.map(Node::to_line), to.map(Node::to_line));
        if from != to {
            let (object, path) = (self.object.to_owned(), path.to_owned());
            self.changed.push(Changed { object, path, from, to });
        }
    }
}

/// RFC 7386, section 2.
fn merge(target: &mut Node, patch: &Node, path: &mut String, notes: &mut Notes<'_>) {
    let Value::Mapping(wanted) = &patch.value else {
        notes.note(path, (!target.is_null()).then_some(&*target), Some(patch));
        *target = patch.clone();
        return;
    };
    if !matches!(target.value, Value::Mapping(_)) {
        *target = Node { value: Value::Mapping(Vec::new()), span: patch.span };
    }
    let Value::Mapping(entries) = &mut target.value else {
        return;
    };
    for wish in wanted {
        let length = path.len();
        push_key(path, &wish.key);
        let known = entries.iter().position(|entry| entry.key == wish.key);
        match (known, wish.value.is_null()) {
            (Some(index), true) => {
                notes.note(path, Some(&entries[index].value), None);
                entries.remove(index);
            }
            (None, true) => {}
            (Some(index), false) => merge(&mut entries[index].value, &wish.value, path, notes),
            (None, false) => {
                let value = Value::Scalar { text: String::new(), quoted: false };
                let mut value = Node { value, span: wish.value.span };
                merge(&mut value, &wish.value, path, notes);
                entries.push(Entry { key: wish.key.clone(), key_span: wish.key_span, value });
            }
        }
        path.truncate(length);
    }
}

/// The text of a path.
pub fn path_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) => push_key(&mut text, key),
            Step::Item(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

fn push_key(path: &mut String, key: &str) {
    if key.contains(['.', '[']) {
        path.push_str(&format!("[\"{key}\"]"));
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Diagnostics, SourceId};
    use crate::scenario::yaml;

    fn node(text: &str) -> Node {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.sources.add("a.yaml", text.to_owned());
        yaml::parse(source, &mut diagnostics).remove(0)
    }

    /// The test cases of RFC 7386, appendix A, whose documents are objects.
    #[test]
    fn patches_merge_as_the_rfc_says() {
        for (original, patch, result) in [
            (r#"{"a": b}"#, r#"{"a": c}"#, "{a: c}"),
            (r#"{"a": b}"#, r#"{"b": c}"#, "{a: b, b: c}"),
            (r#"{"a": b}"#, r#"{"a": null}"#, "{}"),
            (r#"{"a": b, "b": c}"#, r#"{"a": null}"#, "{b: c}"),
            (r#"{"a": [b]}"#, r#"{"a": c}"#, "{a: c}"),
            (r#"{"a": c}"#, r#"{"a": [b]}"#, "{a: [b]}"),
            (r#"{"a": {"b": c}}"#, r#"{"a": {"b": d, "c": null}}"#, "{a: {b: d}}"),
            (r#"{"a": [{"b": c}]}"#, r#"{"a": [1]}"#, "{a: [1]}"),
            ("[a, b]", "[c, d]", "[c, d]"),
            (r#"{"a": b}"#, "[c]", "[c]"),
            (r#"{"e": null}"#, r#"{"a": 1}"#, "{e: null, a: 1}"),
            ("[1, 2]", r#"{"a": b, "c": null}"#, "{a: b}"),
            ("{}", r#"{"a": {"bb": {"ccc": null}}}"#, "{a: {bb: {}}}"),
        ] {
            let mut target = node(original);
            let mut notes = Notes { object: "x", changed: &mut Vec::new() };
            merge(&mut target, &node(patch), &mut String::new(), &mut notes);
            assert_eq!(target.to_line(), result, "{original} {patch}");
        }
    }

    #[test]
    fn paths_have_keys_and_indices() {
        let key = |text: &str| Step::Key(text.to_owned());
        assert_eq!(
            steps("spec.budgets[1].nodes"),
            Ok(vec![key("spec"), key("budgets"), Step::Item(1), key("nodes")])
        );
        let dotted = steps("labels[\"a.b/c\"]");
        assert_eq!(dotted, Ok(vec![key("labels"), key("a.b/c")]));
        for wrong in ["a..b", ".a", "a.", "a[x]", "a[1", "a[\"b", "a[0]b"] {
            assert!(steps(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn changes_are_noted_with_what_was_there() {
        let text = "{kind: NodePool, metadata: {name: default}, spec: {a: 1m, l: [x, {n: 5}]}}";
        let list = format!("{{kind: List, items: [{text}]}}");
        for (text, path, patch, expected) in [
            (text, "spec", "{a: 5m, b: {c: 1}}", ("spec.b.c", None, Some("1"))),
            (&list, "spec.l[1].n", "10%", ("spec.l[1].n", Some("5"), Some("10%"))),
            (text, "spec.q.r", "s", ("spec.q.r", None, Some("s"))),
        ] {
            let span = Span { source: SourceId::default(), start: 0, end: 0 };
            let change = ObjectChange {
                object: "NodePool/default".to_owned(),
                object_span: span,
                path: steps(path).expect("a path"),
                path_span: span,
                patch: node(patch),
            };
            let (mut documents, mut changed) = ([node(text)], Vec::new());
            assert_eq!(apply(&mut documents, &change, &mut changed), Ok(true));
            let last = changed.last().expect("a change");
            let found = (last.path.as_str(), last.from.as_deref(), last.to.as_deref());
            assert_eq!(found, expected);
            let other = ObjectChange { object: "NodePool/other".to_owned(), ..change };
            assert_eq!(apply(&mut documents, &other, &mut changed), Ok(false));
        }
    }

    #[test]
    fn paths_that_lead_nowhere_say_why() {
        let span = Span { source: SourceId::default(), start: 0, end: 0 };
        let mut document = node("{a: {b: x}, l: [1]}");
        for (path, why) in [
            ("a.b.c", "`c` cannot be a field of text"),
            ("l[1]", "[1] is beyond the 1 items"),
            ("a[0]", "[0] cannot be an item of a mapping"),
        ] {
            let found = descend(&mut document, &steps(path).expect("a path"), span);
            assert_eq!(found.map(|_| ()), Err(why.to_owned()));
        }
    }
}
