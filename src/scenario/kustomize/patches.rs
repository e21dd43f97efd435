//! The patches of a kustomization: where they stand, which objects they mean, what they do.

use std::path::Path;

use super::merge::{self, Merged, Schema};
use super::resource::{self, Identity, Resource, Selector};
use super::{Builder, MOST_VALUES, inline, json_patch, normal};
use crate::diagnostic::{self, Span};
use crate::scenario::reader::{Field, Object, Unknown};
use crate::scenario::yaml::{Node, Value};

/// What a patch may change besides the content.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    name_may_change: bool,
}

impl Builder<'_, '_> {
    /// `patchesStrategicMerge`: files, or texts with a patch.
    pub(super) fn strategic_patches(
        &mut self,
        field: &Field<'_>,
        folder: &Path,
        resources: &mut Vec<Resource>,
    ) {
        for item in self.reader.list(field) {
            let Some(text) = self.text(&item) else {
                continue;
            };
            let documents = if text.text.contains('\n') {
                inline::documents(item.node, self.reader.diagnostics)
            } else {
                self.read(&normal(&folder.join(&text.text)), &text.text, text.span)
            };
            for document in documents.iter().filter(|document| !document.is_null()) {
                self.merge_by_name(document, Options::default(), resources);
            }
        }
    }

    /// `patches`: either kind, with or without a target.
    pub(super) fn patches(
        &mut self,
        field: &Field<'_>,
        folder: &Path,
        resources: &mut Vec<Resource>,
    ) {
        for item in self.reader.list(field) {
            let Some(mut object) = self.reader.object(&item) else {
                continue;
            };
            let documents = self.documents(&mut object, folder);
            let target = object.get("target");
            let selector = target.as_ref().and_then(|target| self.selector(target));
            let options = self.options(&mut object);
            self.reader.finish(object, Unknown::Error);
            if target.is_some() && selector.is_none() {
                continue;
            }
            for document in documents.iter().filter(|document| !document.is_null()) {
                match (&document.value, &selector, &target) {
                    (Value::Sequence(_), None, _) => {
                        self.reader.push(diagnostic::bad_patch(
                            item.span(),
                            "a JSON patch needs a `target`",
                        ));
                    }
                    (Value::Sequence(_), Some(selector), _) => {
                        let found = self.selected(selector, resources, target.as_ref());
                        self.apply_json(document, &found, resources);
                    }
                    (_, Some(selector), _) => {
                        let found = self.selected(selector, resources, target.as_ref());
                        self.merge_into(document, options, &found, resources);
                    }
                    (_, None, _) => self.merge_by_name(document, options, resources),
                }
            }
        }
    }

    /// `patchesJson6902`: each for one object, which must be there.
    pub(super) fn json_patches(
        &mut self,
        field: &Field<'_>,
        folder: &Path,
        resources: &mut [Resource],
    ) {
        for item in self.reader.list(field) {
            let Some(mut object) = self.reader.object(&item) else {
                continue;
            };
            let documents = self.documents(&mut object, folder);
            let target = object.required("target", self.reader);
            self.reader.finish(object, Unknown::Error);
            let Some(target) = target else {
                continue;
            };
            let Some(selector) = self.selector(&target) else {
                continue;
            };
            let found: Vec<usize> = positions(resources, |resource| selector.selects(resource));
            if found.len() != 1 {
                let text =
                    |key: &str| target.node.get(key).and_then(Node::text).unwrap_or("?").to_owned();
                let wanted =
                    format!("the one {}/{} that the patch is for", text("kind"), text("name"));
                self.no_object(target.span(), &wanted, &text("name"), resources);
                continue;
            }
            for document in documents.iter().filter(|document| !document.is_null()) {
                self.apply_json(document, &found, resources);
            }
        }
    }

    /// The text of a patch, in a file or in place.
    fn documents(&mut self, object: &mut Object<'_>, folder: &Path) -> Vec<Node> {
        let span = object.field.span();
        match (object.get("path"), object.get("patch")) {
            (Some(path), None) => {
                let Some(name) = self.text(&path) else {
                    return Vec::new();
                };
                self.read(&normal(&folder.join(&name.text)), &name.text, name.span)
            }
            (None, Some(patch)) => match self.text(&patch) {
                Some(_) => inline::documents(patch.node, self.reader.diagnostics),
                None => Vec::new(),
            },
            _ => {
                self.reader.push(diagnostic::bad_patch(span, "it needs either `path` or `patch`"));
                Vec::new()
            }
        }
    }

    fn options(&mut self, object: &mut Object<'_>) -> Options {
        let options = object.get("options").and_then(|field| self.reader.object(&field));
        let Some(mut options) = options else {
            return Options::default();
        };
        let name = options.get("allowNameChange").and_then(|field| self.reader.boolean(&field));
        options.get("allowNoTargetMatch");
        options.refuse("allowKindChange", "it makes objects of another kind", self.reader);
        self.reader.finish(options, Unknown::Error);
        Options { name_may_change: name == Some(true) }
    }

    /// The target of a patch; `None` after a report.
    fn selector(&mut self, field: &Field<'_>) -> Option<Selector> {
        let mut object = self.reader.object(field)?;
        let mut sound = true;
        let mut pattern = |name: &'static str| {
            let field = object.get(name)?;
            let text = self.text(&field)?.text;
            let pattern = resource::pattern(&text);
            if pattern.is_none() {
                self.reader.broken(&field, "must be a regular expression");
                sound = false;
            }
            pattern.filter(|_| !text.is_empty())
        };
        let (group, version, kind) = (pattern("group"), pattern("version"), pattern("kind"));
        let (namespace, name) = (pattern("namespace"), pattern("name"));
        let mut terms = |name: &'static str| {
            let Some(field) = object.get(name) else {
                return Vec::new();
            };
            let terms = self.text(&field).and_then(|text| resource::terms(&text.text));
            if terms.is_none() {
                self.reader.broken(&field, "must be a selector such as `app=web,tier in (a, b)`");
                sound = false;
            }
            terms.unwrap_or_default()
        };
        let (labels, annotations) = (terms("labelSelector"), terms("annotationSelector"));
        self.reader.finish(object, Unknown::Error);
        let selector = Selector { group, version, kind, namespace, name, labels, annotations };
        sound.then_some(selector)
    }

    /// The objects that a target selects; a warning when there is none.
    fn selected(
        &mut self,
        selector: &Selector,
        resources: &[Resource],
        target: Option<&Field<'_>>,
    ) -> Vec<usize> {
        let found = positions(resources, |resource| selector.selects(resource));
        if let Some(target) = target.filter(|_| found.is_empty()) {
            self.reader.push(diagnostic::patch_selects_nothing(target.span()));
        }
        found
    }

    /// A strategic merge patch for the object that it names itself.
    fn merge_by_name(&mut self, patch: &Node, options: Options, resources: &mut Vec<Resource>) {
        let wanted = Identity::of(patch);
        if wanted.kind.is_empty() || wanted.name.is_empty() {
            let reason = "without a target it must say `apiVersion`, `kind` and `metadata.name`";
            self.reader.push(diagnostic::bad_patch(patch.span, reason));
            return;
        }
        let found = positions(resources, |resource| resource.answers_to(&wanted));
        if found.len() == 1 {
            return self.merge_into(patch, options, &found, resources);
        }
        let name = patch.get("metadata").and_then(|metadata| metadata.get("name"));
        let span = name.map_or(patch.span, |name| name.span);
        let count = if found.is_empty() { "" } else { "unambiguously " };
        let group =
            if wanted.group.is_empty() { String::new() } else { format!("{}/", wanted.group) };
        let what = format!("{count}{} of {group}{}", wanted.describe(), wanted.version);
        self.no_object(span, &what, &wanted.name, resources);
    }

    fn no_object(&mut self, span: Span, wanted: &str, name: &str, resources: &[Resource]) {
        let names: Vec<String> =
            resources.iter().map(|resource| resource.identity().name).collect();
        let problem = diagnostic::patch_without_object(span, wanted);
        self.reader.push(problem.suggest(name, names.iter().map(String::as_str)));
    }

    fn merge_into(
        &mut self,
        patch: &Node,
        options: Options,
        found: &[usize],
        resources: &mut Vec<Resource>,
    ) {
        let mut deleted = Vec::new();
        for position in found.iter().copied() {
            if !self.may_add(count(patch), patch.span) {
                return;
            }
            let resource = &mut resources[position];
            let mut patch = patch.clone();
            patch.remove("apiVersion");
            patch.remove("kind");
            if let Some(metadata) = patch.get_mut("metadata") {
                metadata.remove("namespace");
                if options.name_may_change {
                    resource.remember();
                } else {
                    metadata.remove("name");
                }
            }
            let schema = Schema::of_group(&resource.identity().group);
            match merge::merge(&mut resource.node, patch, schema) {
                Ok(Merged::Kept) => {}
                Ok(Merged::Deleted) => deleted.push(position),
                Err(directive) => {
                    let name = directive.text().unwrap_or_default();
                    let reason = format!("the directive `{name}` is not mirrored");
                    self.reader.push(diagnostic::bad_patch(directive.span, &reason));
                }
            }
        }
        deleted.into_iter().rev().for_each(|position| {
            resources.remove(position);
        });
    }

    fn apply_json(&mut self, patch: &Node, found: &[usize], resources: &mut [Resource]) {
        for position in found.iter().copied() {
            let resource = &mut resources[position];
            resource.remember();
            let mut room = MOST_VALUES.saturating_sub(self.values);
            let result = json_patch::apply(&mut resource.node, patch, &mut room);
            self.values = MOST_VALUES - room;
            if let Err(failure) = result {
                let problem = diagnostic::bad_patch(failure.span, &failure.reason);
                self.reader.push(
                    problem.note(format!("the patch is for {}", resource.identity().describe())),
                );
            }
        }
    }

    /// Counts values that a patch adds; `false`, with a report, when there are too many.
    fn may_add(&mut self, values: usize, at: Span) -> bool {
        self.values = self.values.saturating_add(values);
        if self.values > MOST_VALUES {
            let what = format!("{MOST_VALUES} values added by patches");
            self.reader.push(diagnostic::document_too_large(at, &what));
        }
        self.values <= MOST_VALUES
    }
}

fn positions(resources: &[Resource], wanted: impl Fn(&Resource) -> bool) -> Vec<usize> {
    let matching = resources.iter().enumerate().filter(|(_, resource)| wanted(resource));
    matching.map(|(position, _)| position).collect()
}

/// Values in a tree.
fn count(node: &Node) -> usize {
    match &node.value {
        Value::Scalar { .. } => 1,
        Value::Sequence(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Mapping(entries) => {
            1 + entries.iter().map(|entry| count(&entry.value)).sum::<usize>()
        }
    }
}
