//! The timeline of a scenario: its steps in the order of time, each read against what exists by then.

use std::collections::BTreeMap;

use super::change::{self, Text};
use super::load::{Loading, TimelineAction};
use super::manifest::Cluster;
use super::patch::{self, ObjectChange};
use super::schema::{Action, Step};
use super::settings::{Context, Settings};
use super::step;
use super::yaml;
use crate::diagnostic::{self, Span};
use crate::units::{SimDuration, SimTime, Symbols};

/// Kinds of objects that a step can patch: those that a run looks at again when they change.
const PATCHED_KINDS: [&str; 7] = [
    "CapacityBuffer",
    "DaemonSet",
    "Deployment",
    "EC2NodeClass",
    "NodeOverlay",
    "NodePool",
    "PodDisruptionBudget",
];

/// Kinds of objects that a run does not look at again.
const START_KINDS: [&str; 5] =
    ["CSINode", "Namespace", "PersistentVolume", "PersistentVolumeClaim", "StorageClass"];

/// When objects were deleted, and where the name stands, by `Kind/namespace/name` or `Kind/name`.
pub(super) type Gone = BTreeMap<String, (SimDuration, Span)>;

/// What exists at a step.
struct Present {
    /// By name, with the places.
    known: Cluster,
    /// What a step deleted and no later one applied, with when and where that is said.
    gone: Gone,
    /// As it was written, patches included; what comes later counts.
    documents: Vec<yaml::Node>,
}

impl Present {
    /// Only what is known can go: another name is a problem of its own.
    fn delete(&mut self, id: &str, when: SimDuration, span: Span) {
        if self.known.places.contains_key(id) {
            self.gone.entry(id.to_owned()).or_insert((when, span));
        }
    }
}

impl Loading<'_> {
    /// The steps of the timeline, and what is known at its end. `documents` are the manifests of the start.
    pub(super) fn timeline(
        &mut self,
        settings: &Settings,
        symbols: &mut Symbols,
        cluster: &Cluster,
        documents: Vec<yaml::Node>,
    ) -> (Vec<(SimTime, TimelineAction)>, Cluster) {
        let mut steps: Vec<(SimTime, usize)> = Vec::new();
        for (i, Step::At(at, _)) in self.scenario.timeline.iter().enumerate() {
            let path = format!("timeline[{i}][0]");
            let (source, places) = (self.source, &self.places);
            let mut context = Context { source, places, diagnostics: self.diagnostics };
            let after = context.duration(at, &path);
            if after > settings.horizon && settings.horizon > SimDuration::ZERO {
                let horizon = settings.horizon.to_string();
                context.push(diagnostic::after_horizon(context.span(&path), at, &horizon));
            }
            steps.push((SimTime::ZERO + after, i));
        }
        steps.sort_unstable();
        // What was applied exists from then on, each file on top of those before it.
        let mut present = Present { known: cluster.clone(), gone: Gone::new(), documents };
        let mut timeline = Vec::new();
        for (at, i) in steps {
            let Step::At(_, action) = &self.scenario.timeline[i];
            let path = format!("timeline[{i}][1]");
            let kept = self.diagnostics.kept();
            let when = at.since(SimTime::ZERO);
            let (action, note) = match action {
                Action::Apply(entry) => {
                    let place = format!("{path}[0]");
                    let errors_before = self.diagnostics.error_count();
                    let documents = self.documents(entry, &place);
                    present.known.incomplete |= self.diagnostics.error_count() > errors_before;
                    let objects = self.replace(documents, symbols, settings, &mut present);
                    (Some(TimelineAction::Apply(objects)), "applies")
                }
                Action::Patch(target) => {
                    let action = self.patch(target, &path, symbols, settings, &mut present);
                    (action, "patches")
                }
                step => {
                    timeline.extend(self.direct(step, settings, &path, &present).map(|a| (at, a)));
                    if let Action::Delete(target) = step {
                        let span = self.span(&format!("{path}[0]"));
                        present.delete(target, when, span);
                    }
                    continue;
                }
            };
            self.diagnostics
                .note_since(kept, &format!("a step of the timeline {note} this at {when}"));
            timeline.extend(action.map(|action| (at, action)));
        }
        (timeline, present.known)
    }

    /// A step that needs no files.
    fn direct(
        &mut self,
        step: &Action,
        settings: &Settings,
        path: &str,
        present: &Present,
    ) -> Option<TimelineAction> {
        let read = step::read(step, &self.reading(path, settings, present));
        let action = self.told(read)??;
        if let Some(offerings) = action.offerings() {
            self.offering_steps.push((self.span(path), offerings.clone()));
        }
        Some(TimelineAction::Direct(action))
    }

    fn reading<'r>(
        &'r self,
        path: &'r str,
        settings: &'r Settings,
        present: &'r Present,
    ) -> step::Reading<'r> {
        let (source, places) = (self.source, &self.places);
        let (zones, types) = (&settings.zones, &self.catalogue.instance_types);
        let Present { known, gone, .. } = present;
        step::Reading { known, gone, zones, types, source, places, path }
    }

    /// What was read, or nothing once the problem is reported.
    fn told<T>(&mut self, read: Result<T, Box<diagnostic::Diagnostic>>) -> Option<T> {
        read.map_err(|problem| self.diagnostics.push(*problem)).ok()
    }

    /// Reads documents that replace what is there.
    fn replace(
        &mut self,
        documents: Vec<yaml::Node>,
        symbols: &mut Symbols,
        settings: &Settings,
        present: &mut Present,
    ) -> super::Objects {
        let known = &present.known;
        // Objects may be replaced, but not defined twice in one file; classes of before stay valid.
        let classes = known.places.iter().filter(|(id, _)| id.starts_with("EC2NodeClass/"));
        let applied_classes: Vec<String> = documents.iter().filter_map(class_id).collect();
        let places = classes
            .filter(|(id, _)| !applied_classes.contains(id))
            .map(|(id, span)| (id.clone(), *span))
            .collect();
        let (priorities, incomplete) = (known.priorities.clone(), known.incomplete);
        let mut cluster = Cluster { priorities, places, incomplete };
        let mut objects = self.objects(&documents, symbols, &mut cluster);
        self.refuse_what_only_stands_at_the_start(&cluster);
        self.refuse_transitions(&documents, &cluster, present);
        self.gate(&mut objects, settings, symbols, &cluster);
        let known = &mut present.known;
        known.incomplete = cluster.incomplete;
        known.priorities = cluster.priorities;
        present.gone.retain(|id, _| !cluster.places.contains_key(id));
        known.places.extend(cluster.places);
        present.documents.extend(documents);
        objects
    }

    /// A NodePool that exists stays static, with `replicas`, or dynamic, without.
    fn refuse_transitions(
        &mut self,
        documents: &[yaml::Node],
        applied: &Cluster,
        present: &Present,
    ) {
        let pools = applied.places.iter().filter(|(id, _)| id.starts_with("NodePool/"));
        for (id, name) in pools.filter(|(id, _)| !present.gone.contains_key(*id)) {
            let after = patch::find(documents, id).map(replicas);
            let before = patch::find(&present.documents, id).map(replicas);
            let (Some(before), Some(after)) = (before, after) else { continue };
            if before.is_some() == after.is_some() {
                continue;
            }
            let rule =
                "a NodePool cannot become static (with replicas) or dynamic (without) later on";
            let span = after.map_or(*name, |replicas| replicas.span);
            let problem = diagnostic::rule_broken(span, "spec.replicas", rule);
            let help = "apply a NodePool of another name, or delete this one before";
            self.diagnostics.push(problem.help(help));
        }
    }

    /// Storage and Namespaces are read once.
    fn refuse_what_only_stands_at_the_start(&mut self, applied: &Cluster) {
        for (id, span) in &applied.places {
            let kind = id.split('/').next().unwrap_or_default();
            if START_KINDS.contains(&kind) {
                let what = format!("{kind} that is applied during the run");
                let effect = "the run would go on as if it were not there";
                self.diagnostics.push(diagnostic::kind_not_modelled(*span, &what, effect));
            }
        }
    }

    /// An object of before with a merge patch (RFC 7386).
    fn patch(
        &mut self,
        target: &str,
        path: &str,
        symbols: &mut Symbols,
        settings: &Settings,
        present: &mut Present,
    ) -> Option<TimelineAction> {
        let found = self.reading(path, settings, present).patched(target, &PATCHED_KINDS);
        if !self.told(found)? {
            return None;
        }
        let span = self.span(&format!("{path}[0]"));
        let place = self.places.at(&format!("{path}[1]"));
        let text = self.diagnostics.sources.get(self.source).text.clone();
        let text = Text { source: self.source, text: &text, map: &self.places };
        let patch = change::object_patch(text, place, self.diagnostics)?;
        let keeps_replicas = patch.get("spec").and_then(|spec| spec.get("replicas")).is_none();
        let (object, object_span, path_span) = (target.to_owned(), span, span);
        let change = ObjectChange { object, object_span, path: Vec::new(), path_span, patch };
        let Some(document) = patch::find(&present.documents, target).cloned() else {
            self.diagnostics.push(diagnostic::unknown_target(span, target));
            return None;
        };
        let mut patched = vec![document];
        // Without a path a patch leads somewhere.
        let _ = patch::apply(&mut patched, &change, &mut Vec::new());
        let objects = self.replace(patched, symbols, settings, present);
        Some(TimelineAction::Patch { object: target.into(), objects, keeps_replicas })
    }
}

/// `spec.replicas` of an object that has it.
fn replicas(document: &yaml::Node) -> Option<&yaml::Node> {
    document.get("spec")?.get("replicas").filter(|replicas| !replicas.is_null())
}

/// `EC2NodeClass/name` of a document that is one.
fn class_id(document: &yaml::Node) -> Option<String> {
    document.get("kind").and_then(yaml::Node::text).filter(|kind| *kind == "EC2NodeClass")?;
    let name = document.get("metadata")?.get("name")?.text()?;
    Some(format!("EC2NodeClass/{name}"))
}
