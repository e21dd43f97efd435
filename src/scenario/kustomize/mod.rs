//! Folders with a kustomization file, read as `kubectl kustomize` reads them: objects gathered, patched, renamed.
//!
//! Every value keeps the place that it came from, in whatever file that is. What could change results and is not
//! mirrored is refused by name.
//!
//! Upstream: kustomize `api/internal/target/kusttarget.go`: resources, generators, components, then the transformers
//! in a fixed order; `kubectl kustomize` of Kubernetes v1.36.

use std::path::{Component, Path, PathBuf};

use super::load::Files;
use super::reader::{Field, Object, Reader, Unknown};
use super::yaml::{self, Node, Value};
use crate::diagnostic::{self, Span};

mod inline;
mod json_patch;
mod merge;
mod patches;
mod resource;
mod transform;

use resource::{Identity, Resource};
use transform::{ImageRule, Placed, Reach};

/// Files and folders that one kustomization may read, folders that are named several times included.
const MOST_READS: usize = 10_000;
/// Values that all patches together may add.
const MOST_VALUES: usize = 2_000_000;
/// The names under which kubectl finds the file.
const FILE_NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The names of the kustomization files among those of a folder.
pub fn files_among(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).filter(|name| FILE_NAMES.contains(name)).collect()
}

/// The objects of a folder with a kustomization file. `named_at` is the place that names the folder.
pub fn build(
    files: &dyn Files,
    folder: &Path,
    named_at: Span,
    reader: &mut Reader<'_>,
) -> Vec<Node> {
    let mut builder = Builder { files, reader, open: Vec::new(), reads: 0, values: 0 };
    let mut resources = builder.build(&normal(folder), named_at, Role::Kustomization, Vec::new());
    fix_references(&mut resources);
    resources.retain(|resource| !is_local(&resource.node));
    resources.into_iter().map(|resource| resource.node).collect()
}

/// A path without `.` and, as far as possible, without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(result.components().next_back(), Some(Component::Normal(_))) =>
            {
                result.pop();
            }
            other => result.push(other),
        }
    }
    result
}

/// Where objects name others: the kind that is named, the path, `[]` for every item of a list.
const REFERENCES: [(&str, &[&str]); 7] = [
    ("PriorityClass", &["spec", "priorityClassName"]),
    ("PriorityClass", &["spec", "template", "spec", "priorityClassName"]),
    ("PersistentVolumeClaim", &["spec", "volumes", "[]", "persistentVolumeClaim", "claimName"]),
    (
        "PersistentVolumeClaim",
        &["spec", "template", "spec", "volumes", "[]", "persistentVolumeClaim", "claimName"],
    ),
    ("PersistentVolume", &["spec", "volumeName"]),
    ("StorageClass", &["spec", "storageClassName"]),
    ("StorageClass", &["spec", "volumeClaimTemplates", "[]", "spec", "storageClassName"]),
];

/// Names follow the objects that they mean when these are renamed. Karpenter's own references are none that kustomize
/// knows.
fn fix_references(resources: &mut [Resource]) {
    let mut renamed: Vec<(String, String, String)> = Vec::new();
    for resource in resources.iter() {
        let Identity { kind, name, .. } = resource.identity();
        let old = resource.earlier.iter().filter(|(_, earlier)| *earlier != name);
        renamed.extend(old.map(|(_, earlier)| (kind.clone(), earlier.clone(), name.clone())));
    }
    for resource in resources.iter_mut().filter(|_| !renamed.is_empty()) {
        for (kind, path) in REFERENCES {
            let new_name = |old: &str| {
                let new = renamed.iter().find(|(of, earlier, _)| of == kind && earlier == old);
                new.map(|(_, _, name)| name.as_str())
            };
            follow(&mut resource.node, path, &new_name);
        }
    }
}

fn follow<'a>(node: &mut Node, path: &[&str], new_name: &impl Fn(&str) -> Option<&'a str>) {
    match (path, &mut node.value) {
        ([], Value::Scalar { text, .. }) => {
            if let Some(name) = new_name(text) {
                *node = Node::of_text(name, node.span);
            }
        }
        (["[]", rest @ ..], Value::Sequence(items)) => {
            items.iter_mut().for_each(|item| follow(item, rest, new_name));
        }
        ([key, rest @ ..], Value::Mapping(_)) => {
            if let Some(inner) = node.get_mut(key) {
                follow(inner, rest, new_name);
            }
        }
        _ => {}
    }
}

/// Objects for tools only, which kubectl does not apply.
fn is_local(node: &Node) -> bool {
    let annotations = node.get("metadata").and_then(|metadata| metadata.get("annotations"));
    let mark = annotations.and_then(|list| list.get("config.kubernetes.io/local-config"));
    mark.is_some_and(|mark| mark.text() != Some("false"))
}

/// What a folder is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Its objects are added.
    Kustomization,
    /// Its changes apply to the objects of the kustomization that names it.
    Component,
}

impl Role {
    const fn kind(self) -> &'static str {
        match self {
            Role::Kustomization => "Kustomization",
            Role::Component => "Component",
        }
    }
}

struct Builder<'a, 'r> {
    files: &'a dyn Files,
    reader: &'a mut Reader<'r>,
    /// Folders that are being built, outermost first.
    open: Vec<PathBuf>,
    reads: usize,
    values: usize,
}

impl Builder<'_, '_> {
    /// The objects of a folder, on top of `resources` for a component.
    fn build(
        &mut self,
        folder: &Path,
        named_at: Span,
        role: Role,
        mut resources: Vec<Resource>,
    ) -> Vec<Resource> {
        let name = folder.to_string_lossy();
        if self.open.iter().any(|open| open == folder) {
            self.reader.push(diagnostic::kustomize_cycle(named_at, &name));
            return resources;
        }
        let Some(document) = self.document(folder, named_at, role) else {
            return resources;
        };
        self.open.push(folder.to_owned());
        let field = Field { node: &document, path: String::new(), kind: role.kind() };
        if let Some(mut object) = self.reader.object(&field) {
            self.gather(&mut object, folder, &mut resources);
            self.transform(&mut object, folder, &mut resources);
            self.close(object);
        }
        self.open.pop();
        resources
    }

    /// Counts a read; `false`, with a report, when there were too many.
    fn may_read(&mut self, at: Span) -> bool {
        self.reads += 1;
        if self.reads > MOST_READS {
            let what = format!("{MOST_READS} files, those that are named several times included");
            self.reader.push(diagnostic::document_too_large(at, &what));
        }
        self.reads <= MOST_READS
    }

    /// The documents of a file named at a place of a kustomization.
    fn read(&mut self, path: &Path, shown: &str, at: Span) -> Vec<Node> {
        if !self.may_read(at) {
            return Vec::new();
        }
        match self.files.read(path) {
            Ok(text) => {
                let source = self.reader.diagnostics.sources.add(&path.to_string_lossy(), text);
                yaml::parse(source, self.reader.diagnostics)
            }
            Err(reason) => {
                self.reader.push(diagnostic::unreadable(at, shown, &reason));
                Vec::new()
            }
        }
    }

    /// The kustomization of a folder.
    fn document(&mut self, folder: &Path, named_at: Span, role: Role) -> Option<Node> {
        let name = folder.to_string_lossy().into_owned();
        let names = self.files.list(folder).ok().flatten().unwrap_or_default();
        let file = match files_among(&names).as_slice() {
            [file] => folder.join(file),
            [] => {
                let reason = "it holds no kustomization.yaml";
                self.reader.push(diagnostic::no_kustomization(named_at, &name, reason));
                return None;
            }
            several => {
                let reason = format!("it holds {}", several.join(" and "));
                self.reader.push(diagnostic::no_kustomization(named_at, &name, &reason));
                return None;
            }
        };
        let shown = file.to_string_lossy().into_owned();
        let errors_before = self.reader.diagnostics.error_count();
        let mut documents = self.read(&file, &shown, named_at);
        documents.retain(|document| !document.is_null());
        if self.reader.diagnostics.error_count() > errors_before {
            return None;
        }
        if documents.len() != 1 {
            let reason = format!("its file holds {} documents, not one", documents.len());
            self.reader.push(diagnostic::no_kustomization(named_at, &name, &reason));
            return None;
        }
        let document = documents.pop()?;
        let identity = Identity::of(&document);
        let kind = if identity.kind.is_empty() { "Kustomization" } else { &identity.kind };
        let known = identity.group.is_empty() || identity.group == "kustomize.config.k8s.io";
        if kind != role.kind() || !known {
            let at = document.get("kind").map_or(document.span, |node| node.span);
            let reason = format!("its file holds a {kind}, not a {}", role.kind());
            self.reader.push(diagnostic::no_kustomization(at, &name, &reason));
            return None;
        }
        Some(document)
    }

    /// Adds the objects that the kustomization names.
    fn gather(&mut self, object: &mut Object<'_>, folder: &Path, resources: &mut Vec<Resource>) {
        for name in ["resources", "bases"] {
            let Some(field) = object.get(name) else {
                continue;
            };
            for item in self.reader.list(&field) {
                self.add_resource(&item, folder, resources);
            }
        }
        let Some(field) = object.get("components") else {
            return;
        };
        for item in self.reader.list(&field) {
            if let Some(name) = self.text(&item) {
                let inner = normal(&folder.join(&name.text));
                let own = std::mem::take(resources);
                *resources = self.build(&inner, name.span, Role::Component, own);
            }
        }
    }

    /// A file's objects, or those of a folder's kustomization.
    fn add_resource(&mut self, item: &Field<'_>, folder: &Path, resources: &mut Vec<Resource>) {
        let Some(name) = self.text(item) else {
            return;
        };
        let path = normal(&folder.join(&name.text));
        if self.files.list(&path).ok().flatten().is_some() {
            if self.may_read(name.span) {
                resources.extend(self.build(&path, name.span, Role::Kustomization, Vec::new()));
            }
            return;
        }
        if is_remote(&name.text) && self.files.read(&path).is_err() {
            self.reader.push(diagnostic::remote_resource(name.span, &name.text));
            return;
        }
        for document in self.read(&path, &name.text, name.span) {
            collect(document, resources, 0);
        }
    }

    /// All changes, in kustomize's order.
    fn transform(&mut self, object: &mut Object<'_>, folder: &Path, resources: &mut Vec<Resource>) {
        if let Some(field) = object.get("patchesStrategicMerge") {
            self.strategic_patches(&field, folder, resources);
        }
        if let Some(field) = object.get("patches") {
            self.patches(&field, folder, resources);
        }
        if let Some(namespace) = self.optional_text(object, "namespace") {
            resources
                .iter_mut()
                .for_each(|resource| transform::set_namespace(resource, &namespace));
        }
        let prefix = self.optional_text(object, "namePrefix").map(|prefix| prefix.text);
        let suffix = self.optional_text(object, "nameSuffix").map(|suffix| suffix.text);
        if prefix.is_some() || suffix.is_some() {
            let (prefix, suffix) = (prefix.unwrap_or_default(), suffix.unwrap_or_default());
            resources.iter_mut().for_each(|resource| transform::rename(resource, &prefix, &suffix));
        }
        self.labels(object, resources);
        if let Some(field) = object.get("commonAnnotations") {
            let pairs = self.pairs(&field);
            resources.iter_mut().for_each(|resource| transform::add_annotations(resource, &pairs));
        }
        if let Some(field) = object.get("patchesJson6902") {
            self.json_patches(&field, folder, resources);
        }
        self.replicas(object, resources);
        self.images(object, resources);
    }

    fn labels(&mut self, object: &mut Object<'_>, resources: &mut [Resource]) {
        if let Some(field) = object.get("labels") {
            for item in self.reader.list(&field) {
                let Some(mut entry) = self.reader.object(&item) else {
                    continue;
                };
                let pairs = entry.get("pairs").map(|pairs| self.pairs(&pairs)).unwrap_or_default();
                let mut flag = |name| {
                    entry.get(name).and_then(|field| self.reader.boolean(&field)) == Some(true)
                };
                let reach = match (flag("includeSelectors"), flag("includeTemplates")) {
                    (true, _) => Reach::Selectors,
                    (false, true) => Reach::Templates,
                    (false, false) => Reach::Metadata,
                };
                entry.refuse("fields", "it puts labels into further fields", self.reader);
                self.reader.finish(entry, Unknown::Error);
                resources
                    .iter_mut()
                    .for_each(|resource| transform::add_labels(resource, &pairs, reach));
            }
        }
        if let Some(field) = object.get("commonLabels") {
            let pairs = self.pairs(&field);
            let add = |resource| transform::add_labels(resource, &pairs, Reach::Selectors);
            resources.iter_mut().for_each(add);
        }
    }

    fn replicas(&mut self, object: &mut Object<'_>, resources: &mut [Resource]) {
        let Some(field) = object.get("replicas") else {
            return;
        };
        for item in self.reader.list(&field) {
            let Some(mut entry) = self.reader.object(&item) else {
                continue;
            };
            let name = entry.required("name", self.reader).and_then(|field| self.text(&field));
            let count = entry.required("count", self.reader);
            self.reader.finish(entry, Unknown::Error);
            let (Some(name), Some(count)) = (name, count) else {
                continue;
            };
            let mut found = false;
            for resource in resources.iter_mut() {
                found |= transform::set_replicas(resource, &name.text, count.node, count.span());
            }
            if !found {
                let wanted = format!("a workload with replicas named `{}`", name.text);
                let names: Vec<String> =
                    resources.iter().map(|resource| resource.identity().name).collect();
                let problem = diagnostic::patch_without_object(name.span, &wanted);
                self.reader.push(problem.suggest(&name.text, names.iter().map(String::as_str)));
            }
        }
    }

    fn images(&mut self, object: &mut Object<'_>, resources: &mut [Resource]) {
        let Some(field) = object.get("images") else {
            return;
        };
        for item in self.reader.list(&field) {
            let Some(mut entry) = self.reader.object(&item) else {
                continue;
            };
            let name = entry.required("name", self.reader).and_then(|field| self.text(&field));
            let mut part = |name| {
                entry.get(name).and_then(|field| self.text(&field)).map(|placed| placed.text)
            };
            let (new_name, tag, digest) = (part("newName"), part("newTag"), part("digest"));
            entry.refuse("tagSuffix", "it changes tags in place", self.reader);
            self.reader.finish(entry, Unknown::Error);
            let digest = digest.map(|digest| format!("@{digest}"));
            let new_end = digest.or(tag.map(|tag| format!(":{tag}")));
            if let Some(name) = name {
                let rule = ImageRule { name: name.text, new_name, new_end, span: item.span() };
                resources
                    .iter_mut()
                    .for_each(|resource| transform::set_images(&mut resource.node, &rule));
            }
        }
    }

    /// Refuses what is not mirrored, and reports what is not known.
    fn close(&mut self, mut object: Object<'_>) {
        let objects = "it makes objects with a program";
        let changes = "it changes objects in ways that are not mirrored";
        object.refuse("generators", objects, self.reader);
        object.refuse("helmCharts", objects, self.reader);
        object.refuse("helmChartInflationGenerator", objects, self.reader);
        object.refuse("helmGlobals", objects, self.reader);
        object.refuse("transformers", changes, self.reader);
        object.refuse("replacements", changes, self.reader);
        object.refuse("vars", changes, self.reader);
        object.refuse("crds", "it changes which names follow a renamed object", self.reader);
        object.refuse("configurations", "it changes which fields are touched", self.reader);
        object.refuse("openapi", "it changes how lists are merged", self.reader);
        if let Some(sorting) = object.get("sortOptions")
            && sorting.node.get("order").and_then(Node::text) != Some("fifo")
        {
            self.reader.refuse(&sorting, "it changes the order in which objects are created");
        }
        let harmless = [
            "buildMetadata",
            "configMapGenerator",
            "generatorOptions",
            "secretGenerator",
            "validators",
        ];
        object.without_effect(&harmless, self.reader);
        for name in ["apiVersion", "kind", "metadata"] {
            object.get(name);
        }
        self.reader.finish(object, Unknown::Error);
    }

    /// A text with its place. Variables stay: kustomize knows none, they are replaced in the finished objects.
    fn text(&mut self, field: &Field<'_>) -> Option<Placed> {
        match field.node.text() {
            Some(text) => Some(Placed { text: text.to_owned(), span: field.span() }),
            None => self.reader.wrong_type(field, "text"),
        }
    }

    fn optional_text(&mut self, object: &mut Object<'_>, name: &'static str) -> Option<Placed> {
        let field = object.get(name)?;
        self.text(&field).filter(|placed| !placed.text.is_empty())
    }

    /// The entries of a mapping from text to text.
    fn pairs(&mut self, field: &Field<'_>) -> Vec<(Placed, Placed)> {
        let Value::Mapping(entries) = &field.node.value else {
            self.reader.wrong_type::<()>(field, "a mapping");
            return Vec::new();
        };
        let mut pairs = Vec::new();
        for entry in entries {
            let path = format!("{}.{}", field.path, entry.key);
            let value = self.text(&Field { node: &entry.value, path, kind: field.kind });
            let key = Placed { text: entry.key.clone(), span: entry.key_span };
            pairs.extend(value.map(|value| (key, value)));
        }
        pairs
    }
}

/// Adds an object, or the items of a list.
fn collect(document: Node, resources: &mut Vec<Resource>, level: usize) {
    if document.is_null() {
        return;
    }
    let is_list =
        document.get("kind").and_then(Node::text).is_some_and(|kind| kind.ends_with("List"));
    match document.get("items").map(|items| items.value.clone()) {
        Some(Value::Sequence(items)) if is_list && level < 4 => {
            items.into_iter().for_each(|item| collect(item, resources, level + 1));
        }
        _ => resources.push(Resource::new(document)),
    }
}

/// A name that kustomize would fetch.
fn is_remote(name: &str) -> bool {
    let schemes = ["http://", "https://", "ssh://", "git@", "git::", "file://", "github.com/"];
    schemes.iter().any(|scheme| name.starts_with(scheme)) || name.contains("?ref=")
}
