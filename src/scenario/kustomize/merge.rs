//! Strategic merge patches: a patch is laid over an object; `null` deletes, lists of the core kinds that have a merge
//! key are merged by it, all other lists are replaced.
//!
//! Upstream: kustomize `kyaml/yaml/merge2` with lists extended at their front; merge keys of the Kubernetes v1.36
//! OpenAPI schema. Karpenter's kinds have no merge keys.

use crate::scenario::yaml::{Entry, Node, Value};

/// Whether lists of an object have merge keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schema {
    /// A core kind.
    Core,
    /// A custom resource.
    Custom,
}

impl Schema {
    /// The schema of an API group: those without a dot and those of Kubernetes itself are core.
    pub(super) fn of_group(group: &str) -> Schema {
        if !group.contains('.') || group.ends_with(".k8s.io") {
            Schema::Core
        } else {
            Schema::Custom
        }
    }

    /// Merge keys of the list in a field; the first must be there.
    fn merge_keys(self, field: &str) -> &'static [&'static str] {
        if self == Schema::Custom {
            return &[];
        }
        match field {
            "containers"
            | "initContainers"
            | "ephemeralContainers"
            | "volumes"
            | "env"
            | "imagePullSecrets"
            | "schedulingGates"
            | "resourceClaims" => &["name"],
            "volumeMounts" => &["mountPath"],
            "volumeDevices" => &["devicePath"],
            "ports" => &["containerPort", "protocol"],
            "hostAliases" => &["ip"],
            "topologySpreadConstraints" => &["topologyKey", "whenUnsatisfiable"],
            _ => &[],
        }
    }
}

/// What becomes of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merged {
    /// It stays.
    Kept,
    /// The patch deletes it.
    Deleted,
}

/// Lays `patch` over `target`.
///
/// # Errors
/// A directive that is not known, with its node.
pub(super) fn merge(target: &mut Node, patch: Node, schema: Schema) -> Result<Merged, Node> {
    let Value::Mapping(entries) = patch.value else {
        *target = patch;
        return Ok(Merged::Kept);
    };
    match take_directive(&entries)? {
        Directive::Delete => return Ok(Merged::Deleted),
        Directive::Replace => {
            *target = Node { value: Value::Mapping(Vec::new()), span: patch.span }
        }
        Directive::Merge if !matches!(target.value, Value::Mapping(_)) => {
            *target = Node { value: Value::Mapping(Vec::new()), span: patch.span };
        }
        Directive::Merge => {}
    }
    for entry in entries.into_iter().filter(|entry| !entry.key.starts_with('$')) {
        merge_entry(target, entry, schema)?;
    }
    Ok(Merged::Kept)
}

fn merge_entry(target: &mut Node, entry: Entry, schema: Schema) -> Result<(), Node> {
    let Entry { key, key_span, value } = entry;
    if value.is_null() {
        target.remove(&key);
        return Ok(());
    }
    let keys = schema.merge_keys(&key);
    match value.value {
        Value::Mapping(_) => {
            let mut old = target
                .remove(&key)
                .unwrap_or_else(|| Node { value: Value::Mapping(Vec::new()), span: value.span });
            if merge(&mut old, value, schema)? == Merged::Kept {
                target.set(&key, key_span, old);
            }
        }
        Value::Sequence(items) if !keys.is_empty() => {
            let old = match target.remove(&key).map(|node| node.value) {
                Some(Value::Sequence(old)) => old,
                _ => Vec::new(),
            };
            let merged = merge_lists(old, items, keys, schema)?;
            target.set(&key, key_span, Node { value: Value::Sequence(merged), span: value.span });
        }
        _ => target.set(&key, key_span, value),
    }
    Ok(())
}

/// The patch's items come first, each merged with the item of the same keys; then the others.
fn merge_lists(
    mut old: Vec<Node>,
    patch: Vec<Node>,
    keys: &[&str],
    schema: Schema,
) -> Result<Vec<Node>, Node> {
    let mut merged = Vec::new();
    for item in patch {
        let directive = match &item.value {
            Value::Mapping(entries) => take_directive(entries)?,
            _ => Directive::Merge,
        };
        let alone = matches!(&item.value, Value::Mapping(entries) if entries.len() == 1);
        if directive == Directive::Replace && alone {
            old.clear();
            continue;
        }
        let position = old.iter().position(|candidate| is_same(candidate, &item, keys));
        let mut base = match position {
            Some(position) => old.remove(position),
            None => Node { value: Value::Mapping(Vec::new()), span: item.span },
        };
        if merge(&mut base, item, schema)? == Merged::Kept {
            merged.push(base);
        }
    }
    merged.extend(old);
    Ok(merged)
}

/// The first key is there and equal, and so are the others as far as both items have them.
fn is_same(a: &Node, b: &Node, keys: &[&str]) -> bool {
    let text = |node: &Node, key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
    keys.iter().enumerate().all(|(i, key)| match (text(a, key), text(b, key)) {
        (Some(a), Some(b)) => a == b,
        _ => i > 0,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

/// The `$patch` directive of a mapping; any other directive is an error.
fn take_directive(entries: &[Entry]) -> Result<Directive, Node> {
    let mut directive = Directive::Merge;
    for entry in entries.iter().filter(|entry| entry.key.starts_with('$')) {
        directive = match (entry.key.as_str(), entry.value.text()) {
            ("$patch", Some("merge")) => Directive::Merge,
            ("$patch", Some("replace")) => Directive::Replace,
            ("$patch", Some("delete")) => Directive::Delete,
            // A variable, not a directive.
            (key, _) if key.starts_with("${") => directive,
            _ => return Err(Node::of_text(&entry.key, entry.key_span)),
        };
    }
    Ok(directive)
}
