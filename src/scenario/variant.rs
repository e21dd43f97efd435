//! One variant of a scenario: its policy chosen, its settings changed.

use super::change::{Changes, Choice, Text};
use super::file;
use super::patch::{self, Changed};
use super::ron_places::Place;
use super::schema::Scenario;
use super::settings;
use super::splice::Spliced;
use crate::diagnostic::{self, Diagnostics, SourceId, Span};

/// A scenario file with the settings that a policy, an axis or the command line gives it.
pub(super) struct Variant {
    pub(super) source: SourceId,
    pub(super) text: Spliced,
    pub(super) scenario: Scenario,
    pub(super) places: Place,
    pub(super) changes: Changes,
}

impl Variant {
    /// Collects the changes.
    pub(super) fn choose(&mut self, choice: &Choice, diagnostics: &mut Diagnostics) {
        let text = Text { source: self.source, text: &self.text.text, map: &self.places };
        let names: Vec<&str> = self.scenario.policies.iter().map(|p| p.name.as_str()).collect();
        let span = |i: usize| {
            let range = self.places.at(&format!("policies[{i}].name")).span.clone();
            Span { source: self.source, start: range.start, end: range.end }
        };
        for (i, name) in names.iter().enumerate() {
            if let Some(first) = names[..i].iter().position(|other| other == name) {
                let problem = diagnostic::duplicate_policy(span(i), name);
                diagnostics.push(problem.also(span(first), "the first one"));
            }
        }
        let chosen = match &choice.policy {
            None => Some(0),
            Some(name) if names.is_empty() && name == settings::ONLY_POLICY => Some(0),
            Some(name) => names.iter().position(|known| known == name),
        };
        match (chosen, &choice.policy) {
            (Some(chosen), _) => self.changes.add_policy(text, chosen, diagnostics),
            (None, name) => {
                let name = name.as_deref().unwrap_or_default();
                let source = diagnostics.sources.add("<command line>: --policy", name.to_owned());
                let span = Span { source, start: 0, end: name.len() };
                let known = if names.is_empty() { vec![settings::ONLY_POLICY] } else { names };
                let problem = diagnostic::unknown_policy(span, name)
                    .help(format!("the policies are {}", known.join(", ")));
                diagnostics.push(problem.suggest(name, known));
            }
        }
        for setting in &choice.settings {
            self.changes.add_setting(text, setting, diagnostics);
        }
    }

    /// Puts the settings' values into the text and reads it again.
    pub(super) fn change_settings(
        &mut self,
        shown: &str,
        diagnostics: &mut Diagnostics,
    ) -> Option<Vec<Changed>> {
        let mut changed = Vec::new();
        // What is wrong without the changes comes first.
        if self.changes.settings.is_empty() || diagnostics.has_errors() {
            return Some(changed);
        }
        for change in std::mem::take(&mut self.changes.settings) {
            let path = patch::path_text(&change.path);
            match self.text.put(&change) {
                Ok(from) => changed.push(Changed {
                    object: "scenario".to_owned(),
                    path,
                    from,
                    to: Some(change.value.clone()),
                }),
                Err(reason) => {
                    diagnostics.push(diagnostic::bad_path(change.path_span, &path, &reason));
                    return None;
                }
            }
        }
        let original = self.source;
        self.source = diagnostics.sources.add(shown, self.text.text.clone());
        let read = file::read(self.source, diagnostics);
        let Some((scenario, places)) = read.filter(|_| !diagnostics.has_errors()) else {
            diagnostics.relocate(self.source, |span| self.text.origin(span, original));
            return None;
        };
        (self.scenario, self.places) = (scenario, places);
        Some(changed)
    }
}
