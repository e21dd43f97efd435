//! An object of a kustomization: who it is, who it was, and which patches mean it.

use regex_lite::Regex;

use crate::scenario::yaml::Node;

/// Kinds that live in no namespace.
const CLUSTER_SCOPED: [&str; 14] = [
    "APIService",
    "CSINode",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "EC2NodeClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "NodeOverlay",
    "NodePool",
    "PersistentVolume",
    "PriorityClass",
    "StorageClass",
    "ValidatingWebhookConfiguration",
];

/// An object with the names it had before it was renamed.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) node: Node,
    pub(super) earlier: Vec<(String, String)>,
}

/// Kind, name and namespace that a patch names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Identity {
    /// The identity of an object; missing parts are empty.
    pub(super) fn of(node: &Node) -> Identity {
        let text = |node: Option<&Node>| node.and_then(Node::text).unwrap_or_default().to_owned();
        let metadata = node.get("metadata");
        let version = text(node.get("apiVersion"));
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        Identity {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: text(node.get("kind")),
            namespace: text(metadata.and_then(|metadata| metadata.get("namespace"))),
            name: text(metadata.and_then(|metadata| metadata.get("name"))),
        }
    }

    /// `Kind/name`, with the namespace if there is one.
    pub(super) fn describe(&self) -> String {
        match self.namespace.as_str() {
            "" => format!("{}/{}", self.kind, self.name),
            namespace => format!("{}/{namespace}/{}", self.kind, self.name),
        }
    }
}

/// No namespace and `default` are the same.
fn effective(namespace: &str) -> &str {
    if namespace.is_empty() { "default" } else { namespace }
}

impl Resource {
    /// An object as it was read.
    pub(super) fn new(node: Node) -> Resource {
        Resource { node, earlier: Vec::new() }
    }

    pub(super) fn identity(&self) -> Identity {
        Identity::of(&self.node)
    }

    /// Custom kinds that are not known count as living in a namespace, as for kustomize.
    pub(super) fn is_namespaced(&self) -> bool {
        !CLUSTER_SCOPED.contains(&self.identity().kind.as_str())
    }

    /// Remembers the present name before it changes.
    pub(super) fn remember(&mut self) {
        let identity = self.identity();
        let present = (identity.namespace, identity.name);
        if !self.earlier.contains(&present) {
            self.earlier.push(present);
        }
    }

    /// All namespaces and names it has or had.
    fn names(&self) -> impl Iterator<Item = (String, String)> {
        let identity = self.identity();
        self.earlier.clone().into_iter().chain([(identity.namespace, identity.name)])
    }

    /// True iff it is, or was, the object that a patch without a target names.
    pub(super) fn answers_to(&self, wanted: &Identity) -> bool {
        let own = self.identity();
        (&own.group, &own.version, &own.kind) == (&wanted.group, &wanted.version, &wanted.kind)
            && self.names().any(|(namespace, name)| {
                let same_namespace = effective(&namespace) == effective(&wanted.namespace);
                name == wanted.name && (same_namespace || !self.is_namespaced())
            })
    }
}

/// The `target` of a patch. Empty parts select everything.
#[derive(Debug, Default)]
pub(super) struct Selector {
    pub(super) group: Option<Regex>,
    pub(super) version: Option<Regex>,
    pub(super) kind: Option<Regex>,
    pub(super) namespace: Option<Regex>,
    pub(super) name: Option<Regex>,
    pub(super) labels: Vec<Term>,
    pub(super) annotations: Vec<Term>,
}

/// A pattern that must match the whole text.
pub(super) fn pattern(text: &str) -> Option<Regex> {
    Regex::new(&format!("^(?:{text})$")).ok()
}

impl Selector {
    /// True iff the target selects this object, by its present or an earlier name.
    pub(super) fn selects(&self, resource: &Resource) -> bool {
        let matches = |pattern: &Option<Regex>, text: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
        };
        let own = resource.identity();
        let metadata = |key| resource.node.get("metadata").and_then(|metadata| metadata.get(key));
        let has = |terms: &[Term], key| terms.iter().all(|term| term.matches(metadata(key)));
        matches(&self.group, &own.group)
            && matches(&self.version, &own.version)
            && matches(&self.kind, &own.kind)
            && resource.names().any(|(namespace, name)| {
                matches(&self.namespace, effective(&namespace)) && matches(&self.name, &name)
            })
            && has(&self.labels, "labels")
            && has(&self.annotations, "annotations")
    }
}

/// One requirement of a label selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    key: String,
    values: Vec<String>,
    /// `key`, `!key`, `=` and `in`, `!=` and `notin`.
    wanted: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Exists,
    Missing,
    In,
    NotIn,
}

impl Term {
    fn matches(&self, labels: Option<&Node>) -> bool {
        let value = labels.and_then(|labels| labels.get(&self.key)).and_then(Node::text);
        let listed = value.is_some_and(|value| self.values.iter().any(|wanted| wanted == value));
        match self.wanted {
            Wanted::Exists => value.is_some(),
            Wanted::Missing => value.is_none(),
            Wanted::In => listed,
            Wanted::NotIn => !listed,
        }
    }
}

/// The terms of a selector such as `app=web,tier in (a, b),!canary`; `None` when it is none.
pub(super) fn terms(text: &str) -> Option<Vec<Term>> {
    let mut depth = 0_i32;
    let at_comma = |c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    };
    text.split(at_comma).map(str::trim).filter(|part| !part.is_empty()).map(term).collect()
}

fn term(text: &str) -> Option<Term> {
    let make = |key: &str, wanted, values: Vec<String>| {
        let key = key.trim().to_owned();
        (!key.is_empty() && !key.contains(char::is_whitespace)).then_some(Term {
            key,
            values,
            wanted,
        })
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some(list) = text.strip_suffix(')') {
        let (head, list) = list.split_once('(')?;
        let values = list.split(',').map(|value| value.trim().to_owned()).collect();
        let (key, operator) = head.trim().rsplit_once(char::is_whitespace)?;
        return match operator {
            "in" => make(key, Wanted::In, values),
            "notin" => make(key, Wanted::NotIn, values),
            _ => None,
        };
    }
    if let Some((key, value)) = text.split_once("!=") {
        return make(key, Wanted::NotIn, one(value));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return make(key, Wanted::In, one(value));
    }
    match text.strip_prefix('!') {
        Some(key) => make(key, Wanted::Missing, Vec::new()),
        None => make(text, Wanted::Exists, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_those_of_kubernetes() {
        let term = |key: &str, wanted, values: &[&str]| Term {
            key: key.into(),
            wanted,
            values: values.iter().map(|v| (*v).to_owned()).collect(),
        };
        assert_eq!(
            terms("a=1, b!=2,c in (x, y),d notin (z),e,!f,g==3"),
            Some(vec![
                term("a", Wanted::In, &["1"]),
                term("b", Wanted::NotIn, &["2"]),
                term("c", Wanted::In, &["x", "y"]),
                term("d", Wanted::NotIn, &["z"]),
                term("e", Wanted::Exists, &[]),
                term("f", Wanted::Missing, &[]),
                term("g", Wanted::In, &["3"]),
            ])
        );
        assert_eq!(terms("a b"), None);
        assert_eq!(terms("a of (b)"), None);
        assert_eq!(terms(""), Some(Vec::new()));
    }
}
