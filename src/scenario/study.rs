//! What a study needs of a scenario: its plan, the changes of its manifests, the workloads that drive it.

use std::sync::Arc;

use super::change::{self, Text};
use super::load::{Axis, Loading, Plan};
use super::manifest::{self, Admission, Cluster};
use super::patch;
use super::reader::Reader;
use super::settings::{self, Context, Settings};
use super::workloads::{self, Workloads};
use super::yaml;
use crate::diagnostic::{self, Diagnostics, Span};
use crate::kube::PodClass;
use crate::units::Symbols;

impl Loading<'_> {
    /// What is run; wrong axes and replications are reported.
    pub(super) fn plan(&mut self) -> Plan {
        let text = self.diagnostics.sources.get(self.source).text.clone();
        let text = Text { source: self.source, text: &text, map: &self.places };
        let mut axes = Vec::new();
        for (i, axis) in self.scenario.axes.iter().enumerate() {
            let values = change::axis_values(text, i);
            if values.is_empty() {
                let span = self.span(&format!("axes[{i}].path"));
                self.diagnostics.push(diagnostic::empty_axis(span, &axis.path));
            }
            axes.push(Axis { path: axis.path.clone(), values });
        }
        let replications = self.scenario.replications;
        if replications == 0 {
            let span = self.span("replications");
            let rule = "a policy must run at least once";
            let problem = diagnostic::out_of_range(span, "replications", "0", rule);
            let help = "leave it out for one run of each, or write 8 for intervals";
            self.diagnostics.push(problem.help(help));
        }
        let mut policies: Vec<String> =
            self.scenario.policies.iter().map(|policy| policy.name.clone()).collect();
        if policies.is_empty() {
            policies.push(settings::ONLY_POLICY.to_owned());
        }
        Plan { policies, axes, replications }
    }

    /// Changes what was read before anybody looks at it.
    pub(super) fn apply_changes(&mut self, documents: &mut [yaml::Node]) {
        for (change, matched) in self.changes.iter().zip(&mut self.matched) {
            match patch::apply(documents, change, &mut self.changed) {
                Ok(found) => *matched |= found,
                Err(reason) => {
                    *matched = true;
                    let path = patch::path_text(&change.path);
                    let problem = diagnostic::bad_path(change.path_span, &path, &reason);
                    self.diagnostics.push(problem);
                }
            }
        }
    }

    /// Reports changes of objects that nothing defines.
    pub(super) fn report_unmatched(&mut self, known: &Cluster) {
        if known.incomplete {
            return;
        }
        for (change, _) in self.changes.iter().zip(&self.matched).filter(|(_, matched)| !**matched)
        {
            let ids = known.places.keys().map(String::as_str);
            let problem = diagnostic::unknown_patch_target(change.object_span, &change.object);
            self.diagnostics.push(problem.suggest(&change.object, ids));
        }
    }

    /// What drives the scenario by itself.
    pub(super) fn workloads(
        &mut self,
        settings: &Settings,
        known: &Cluster,
        symbols: &mut Symbols,
    ) -> Workloads {
        let (source, places) = (self.source, &self.places);
        let is_known = |target: &str| match known.places.contains_key(target) {
            true => Some(true),
            false if known.incomplete => None,
            false => Some(false),
        };
        let (variables, catalogue, zones) =
            (&self.scenario.cluster.env, self.catalogue, &self.zones);
        let mut class_of = |text: &str,
                            span: Span,
                            workload: &str,
                            diagnostics: &mut Diagnostics|
         -> Option<Arc<PodClass>> {
            let document = yaml::parse_value(text, span, diagnostics)?;
            let mut reader = Reader::new(diagnostics, variables, symbols, catalogue, zones);
            let mut cluster =
                Cluster { priorities: known.priorities.clone(), ..Cluster::default() };
            let objects = manifest::read(&mut reader, &[document], &mut cluster, Admission::Full);
            // Its notes are about what the short form writes, not about what the user wrote.
            let mut class = objects.pods.into_iter().next()?.template.as_ref().clone();
            class.workload = workload.into();
            Some(Arc::new(class))
        };
        let mut context = Context { source, places, diagnostics: self.diagnostics };
        let mut reading = workloads::Reading {
            context: &mut context,
            files: self.files,
            folder: &self.folder,
            settings,
            class_of: &mut class_of,
            is_known: &is_known,
            digests: Vec::new(),
        };
        reading.read(self.scenario)
    }
}
