//! Diagnostics: what is wrong or unusual about the input, with the place in the user's file and a
//! next step.
//!
//! Data only. Reading never stops at the first problem: everything is collected in [`Diagnostics`]
//! and shown in file order. Every problem has a code `KS0NNN` that is never reused, one constructor
//! here, and one test. The hundreds say where the problem lies: 01 files and YAML text, 02 the
//! scenario file, 03 manifests, 04 the command line.

use std::sync::Arc;

/// Diagnostics that are shown of one run; the rest is only counted.
pub const SHOWN: usize = 50;

/// Diagnostics that are kept at all, so that a hostile file cannot fill the memory.
const KEPT: usize = 1_000;

/// A text that diagnostics point into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The path as the user wrote it, or a name such as `<stdin>`.
    pub name: String,
    /// The whole text.
    pub text: Arc<str>,
}

/// Index of a [`Source`] in its table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceId(u32);

/// A range of bytes in a source, end exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The text.
    pub source: SourceId,
    /// First byte.
    pub start: usize,
    /// Byte after the last one.
    pub end: usize,
}

/// A place as people write it: 1-based line and column, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// The texts of one run, in the order of reading.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    list: Vec<Source>,
    /// What an id of another table stands for.
    nowhere: Source,
}

impl Sources {
    /// Adds a text.
    pub fn add(&mut self, name: &str, text: String) -> SourceId {
        self.list.push(Source { name: name.to_owned(), text: text.into() });
        SourceId(u32::try_from(self.list.len() - 1).unwrap_or(u32::MAX))
    }

    /// The id of a text that may be known already.
    fn share(&mut self, source: Source) -> SourceId {
        let known = self.list.iter().position(|known| *known == source);
        let index = known.unwrap_or_else(|| {
            self.list.push(source);
            self.list.len() - 1
        });
        SourceId(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The text of an id; an empty one for an id of another table.
    pub fn get(&self, id: SourceId) -> &Source {
        self.list.get(id.0 as usize).unwrap_or(&self.nowhere)
    }

    /// All texts in the order of reading.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.list.iter()
    }

    /// All texts but one.
    pub fn iter_without(&self, skipped: Option<SourceId>) -> impl Iterator<Item = &Source> {
        let skipped = skipped.map(|id| id.0 as usize);
        self.list
            .iter()
            .enumerate()
            .filter(move |(i, _)| Some(*i) != skipped)
            .map(|(_, source)| source)
    }

    /// Line and column of a byte.
    pub fn position(&self, source: SourceId, byte: usize) -> Position {
        let text = &self.get(source).text;
        let before = &text[..floor_char_boundary(text, byte)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// `file:line:column` of a span's start.
    pub fn place(&self, span: Span) -> String {
        let position = self.position(span.source, span.start);
        let name = &self.get(span.source).name;
        format!("{name}:{}:{}", position.line, position.column)
    }
}

/// The nearest character boundary at or before `byte`, within the text.
pub fn floor_char_boundary(text: &str, byte: usize) -> usize {
    (0..=byte.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The run cannot start.
    Error,
    /// Legal, but probably not what was meant.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// The word that starts a rendered diagnostic.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// A marked place with a remark, which may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// The remark under it.
    pub text: String,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// `KS0NNN`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence without a full stop.
    pub message: String,
    /// The places, the primary one first. Empty when there is no text to point into.
    pub labels: Vec<Label>,
    /// Why.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Option<String>,
    /// Names that may have been meant, nearest first.
    pub suggestions: Vec<String>,
}

impl Diagnostic {
    fn new(code: &'static str, severity: Severity, span: Span, message: String) -> Diagnostic {
        Diagnostic {
            code,
            severity,
            message,
            labels: vec![Label { span, text: String::new() }],
            notes: Vec::new(),
            help: None,
            suggestions: Vec::new(),
        }
    }

    /// The same with a remark under the primary place.
    pub fn label(mut self, text: impl Into<String>) -> Diagnostic {
        if let Some(label) = self.labels.first_mut() {
            label.text = text.into();
        }
        self
    }

    /// The same with a further place.
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        let text = text.into();
        self.labels.push(Label { span, text });
        self
    }

    /// The same with a reason.
    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }

    /// The same with a next step.
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help = Some(text.into());
        self
    }

    /// The same with the names among `valid` that may have been meant by `written`.
    pub fn suggest<'a>(
        mut self,
        written: &str,
        valid: impl IntoIterator<Item = &'a str>,
    ) -> Diagnostic {
        self.suggestions = nearest(written, valid);
        self
    }

    /// The primary place.
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|label| label.span)
    }

    /// The suggestion sentence, if there is any.
    pub fn did_you_mean(&self) -> Option<String> {
        let quoted: Vec<String> = self.suggestions.iter().map(|s| format!("`{s}`")).collect();
        match quoted.as_slice() {
            [] => None,
            [one] => Some(format!("did you mean {one}?")),
            [first @ .., last] => Some(format!("did you mean {} or {last}?", first.join(", "))),
        }
    }
}

/// At most three of `valid` within max(1, length / 3) edits of `written`, by distance, then
/// alphabetically.
///
/// Edits are those of Damerau and Levenshtein in its optimal-alignment form; letter case costs
/// nothing.
pub fn nearest<'a>(written: &str, valid: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    // Names are short; a longer text is no misspelt name, and its distance would take quadratic
    // time.
    let written: String = written.to_lowercase().chars().take(64).collect();
    let most = (written.chars().count() / 3).max(1);
    let mut found: Vec<(usize, &str)> = valid
        .into_iter()
        .map(|name| (strsim::osa_distance(&written, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= most)
        .collect();
    found.sort_unstable();
    found.dedup();
    found.truncate(3);
    found.into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// Everything that was found, with the texts that it points into.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    /// The texts.
    pub sources: Sources,
    found: Vec<Diagnostic>,
    beyond: usize,
    errors: usize,
}

impl Diagnostics {
    /// Adds one. The same problem at the same place counts once, however often the place is read; beyond what is
    /// kept, every one counts.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let has_room = self.found.len() < KEPT;
        if has_room && self.found.contains(&diagnostic) {
            return;
        }
        self.errors += usize::from(diagnostic.severity == Severity::Error);
        if has_room {
            self.found.push(diagnostic);
        } else {
            self.beyond += 1;
        }
    }

    /// Moves the places of everything found in `source`.
    pub fn relocate(&mut self, source: SourceId, origin: impl Fn(Span) -> Span) {
        let labels = self.found.iter_mut().flat_map(|problem| &mut problem.labels);
        for label in labels.filter(|label| label.span.source == source) {
            label.span = origin(label.span);
        }
    }

    /// Takes over what another reading found. What both found, in the same texts, counts once.
    pub fn absorb(&mut self, other: Diagnostics) {
        let ids: Vec<SourceId> =
            other.sources.list.into_iter().map(|s| self.sources.share(s)).collect();
        for mut problem in other.found {
            for label in &mut problem.labels {
                label.span.source =
                    ids.get(label.span.source.0 as usize).copied().unwrap_or_default();
            }
            self.push(problem);
        }
        self.beyond += other.beyond;
    }

    /// True iff any is an error.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Number of errors, those that are not kept included.
    pub fn error_count(&self) -> usize {
        self.errors
    }

    /// The first [`SHOWN`] in the order of files and places, and how many more there are. When
    /// there are more than that, errors come before warnings and warnings before notes.
    pub fn shown(&self) -> (Vec<&Diagnostic>, usize) {
        let mut list: Vec<&Diagnostic> = self.found.iter().collect();
        let total = list.len() + self.beyond;
        if list.len() > SHOWN {
            list.sort_by_key(|diagnostic| (diagnostic.severity, diagnostic.span()));
            list.truncate(SHOWN);
        }
        list.sort_by_key(|diagnostic| diagnostic.span());
        let more = total - list.len();
        (list, more)
    }

    /// How many are kept so far, for [`Diagnostics::note_since`].
    pub fn kept(&self) -> usize {
        self.found.len()
    }

    /// Adds a note to all that were kept since there were `kept`.
    pub fn note_since(&mut self, kept: usize, text: &str) {
        self.found.iter_mut().skip(kept).for_each(|d| d.notes.push(text.to_owned()));
    }

    /// Those of some severities, with all texts.
    pub fn only(&self, wanted: impl Fn(Severity) -> bool) -> Diagnostics {
        let mut chosen = Diagnostics { sources: self.sources.clone(), ..Diagnostics::default() };
        self.found.iter().filter(|d| wanted(d.severity)).for_each(|d| chosen.push(d.clone()));
        // What was not kept was never told apart; errors are what must not be missed.
        chosen.beyond = if wanted(Severity::Error) { self.beyond } else { 0 };
        chosen
    }

    /// All that are kept, in the order of finding.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.found.iter()
    }
}

/// Defines the table of codes and one constructor for each.
macro_rules! problems {
    ($($(#[doc = $doc:literal])+ $code:literal $severity:ident
       $name:ident($($arg:ident: $type:ty),*) $message:expr $(, help $help:expr)?;)*) => {
        /// All codes with their severity and one line each.
        pub const CODES: &[(&str, Severity, &str)] =
            &[$(($code, Severity::$severity, concat!($($doc),+))),*];

        $($(#[doc = $doc])+ #[doc = concat!("\n\nCode ", $code, ".")]
        pub fn $name(span: Span, $($arg: $type),*) -> Diagnostic {
            let diagnostic = Diagnostic::new($code, Severity::$severity, span, $message);
            $(let diagnostic = diagnostic.help($help);)?
            diagnostic
        })*
    };
}

problems! {
    /// A file or folder cannot be read.
    "KS0101" Error unreadable(path: &str, reason: &str)
        format!("cannot read `{path}`: {reason}");
    /// A folder of manifests holds no YAML or JSON file.
    "KS0102" Error empty_folder(path: &str)
        format!("`{path}` holds no .yaml, .yml or .json file");
    /// The text is no YAML or JSON.
    "KS0103" Error yaml_syntax(reason: &str)
        format!("not valid YAML: {reason}");
    /// A mapping has the same key twice.
    "KS0104" Error duplicate_key(key: &str)
        format!("the key `{key}` stands twice in one mapping"),
        help "remove one of the two";
    /// A document is too deep or grows too large through its aliases.
    "KS0105" Error document_too_large(what: &str)
        format!("the document has more than {what}"),
        help "write the values out, or split the file";
    /// A word that YAML 1.1 tools read as true or false stands where a text belongs.
    "KS0106" Warning yaml_boolean(word: &str)
        format!("`{word}` without quotes is a boolean for kubectl, and is taken as text here"),
        help format!("write \"{word}\" in quotes");
    /// A number with a leading zero, which YAML 1.1 tools read as octal.
    "KS0107" Warning leading_zero(number: &str)
        format!("`{number}` is an octal number for kubectl, and is taken as decimal here"),
        help "drop the leading zero, or write the value in quotes";
    /// A `${VAR}` that the scenario's env does not define.
    "KS0108" Error undefined_variable(name: &str)
        format!("the variable `{name}` is not defined"),
        help format!("add \"{name}\" to `cluster.env` of the scenario; the process environment is never read");
    /// A kustomization that builds on itself.
    "KS0109" Error kustomize_cycle(folder: &str)
        format!("the kustomization in `{folder}` includes itself");
    /// A resource of a kustomization that is not a file.
    "KS0110" Error remote_resource(name: &str)
        format!("`{name}` lies on the network, which is never used"),
        help "write it to a file first, with `kubectl kustomize URL > FILE`, and name the file here";
    /// A folder or file that is no kustomization.
    "KS0111" Error no_kustomization(folder: &str, reason: &str)
        format!("`{folder}` is no kustomization: {reason}");
    /// A patch for one object that is not there.
    "KS0112" Error patch_without_object(target: &str)
        format!("no object of this kustomization is {target}");
    /// A patch whose target selects nothing.
    "KS0113" Warning patch_selects_nothing()
        "this target selects no object, so the patch changes nothing".to_owned();
    /// A patch that cannot be applied.
    "KS0114" Error bad_patch(reason: &str)
        format!("the patch cannot be applied: {reason}");

    /// The scenario file is no RON.
    "KS0201" Error ron_syntax(reason: &str)
        format!("not a valid scenario: {reason}");
    /// A field or variant that the scenario file does not have.
    "KS0202" Error unknown_scenario_name(what: &str, name: &str, place: &str)
        format!("{place} has no {what} `{name}`");
    /// A field that the scenario file must have.
    "KS0203" Error missing_scenario_field(field: &str, place: &str)
        format!("{place} lacks the field `{field}`");
    /// A scenario field stands twice.
    "KS0204" Error duplicate_scenario_field(field: &str)
        format!("the field `{field}` stands twice"),
        help "remove one of the two";
    /// A text that is no duration.
    "KS0205" Error bad_duration(text: &str, path: &str)
        format!("`{text}` is no duration ({path})"),
        help "write a number with a unit: 30s, 5m, 1h30m, 72h";
    /// A text that is no date.
    "KS0206" Error bad_date(text: &str)
        format!("`{text}` is no date"),
        help "write UTC as in \"2026-01-05T09:00:00Z\", to the whole second";
    /// A number or duration outside of its range.
    "KS0207" Error out_of_range(path: &str, text: &str, rule: &str)
        format!("`{path}` is {text}, but {rule}");
    /// A region that the catalogue does not know.
    "KS0208" Error unknown_region(region: &str)
        format!("the EC2 catalogue has no region `{region}`");
    /// A zone that does not belong to the region.
    "KS0209" Error unknown_zone(zone: &str, region: &str)
        format!("`{zone}` is no zone of {region}");
    /// Something that scenarios can name but that is not modelled yet.
    "KS0210" Error not_modelled_yet(name: &str, why: &str)
        format!("{name} {why}"),
        help "remove it to run the rest";
    /// A timeline target that the action does not accept.
    "KS0211" Error bad_target(text: &str)
        format!("`{text}` is nothing that this action can be done to");
    /// A timeline action on a workload that no manifest defines.
    "KS0212" Error unknown_target(text: &str)
        format!("no manifest defines `{text}`");
    /// A timeline entry after the end of the run.
    "KS0213" Warning after_horizon(at: &str, horizon: &str)
        format!("this happens at {at}, after the horizon of {horizon}, so never");
    /// A region of which no price is known.
    "KS0214" Error region_without_prices(region: &str)
        format!("the EC2 catalogue knows no prices in {region}, so nothing could be launched"),
        help "choose another region";
    /// A workload whose pods no NodePool can take.
    "KS0215" Warning unplaceable_workload(workload: &str, error: &str)
        format!("no new node can ever take a pod of {workload}: {error}"),
        help "its pods will stay pending; change their requests or selectors, or a NodePool's requirements or limits";
    /// A name of instance types that no instance type of the catalogue has.
    "KS0216" Error no_such_types(pattern: &str)
        format!("the EC2 catalogue has no instance type `{pattern}`");
    /// A step about offerings that no NodePool can launch.
    "KS0217" Warning step_without_effect()
        "no NodePool can launch any of these offerings, so this changes nothing".to_owned();
    /// A timeline action on an object that an earlier step deleted.
    "KS0218" Error deleted_target(text: &str, when: &str)
        format!("`{text}` was deleted at {when}, so nothing can be done to it"),
        help "remove this step, or bring the object back with an Apply before it";
    /// A change of an object that no manifest defines.
    "KS0220" Error unknown_patch_target(object: &str)
        format!("no manifest defines `{object}`, so nothing of it can be changed"),
        help "write KIND/NAME or KIND/NAMESPACE/NAME, then a colon and the field: NodePool/default:spec.limits.cpu";
    /// The path of a change that leads nowhere.
    "KS0221" Error bad_path(path: &str, reason: &str)
        format!("`{path}` leads nowhere: {reason}");
    /// A setting that a policy cannot change.
    "KS0222" Error fixed_setting(name: &str)
        format!("`{name}` cannot be changed here"),
        help "policies are compared on one world: name, start, horizon, seed, policies, axes and replications are the \
              scenario's own";
    /// Two policies of one name.
    "KS0223" Error duplicate_policy(name: &str)
        format!("two policies are called `{name}`"),
        help "give each its own name: reports and files go by it";
    /// A policy that the scenario does not have.
    "KS0224" Error unknown_policy(name: &str)
        format!("the scenario has no policy `{name}`");
    /// An axis without a value.
    "KS0225" Error empty_axis(path: &str)
        format!("the axis over `{path}` has no value"),
        help "write values: [\"30s\", \"5m\"], or --axis PATH=V1,V2";
    /// A row of a file that cannot be read.
    "KS0230" Error bad_row(file: &str, line: u64, reason: &str)
        format!("line {line} of `{file}` cannot be used: {reason}");
    /// A series that does not have the deployment.
    "KS0231" Error no_such_series(file: &str, name: &str)
        format!("`{file}` has no row of `{name}`"),
        help "name the file's deployment with `column`";
    /// A trace says of its pods what is not modelled.
    "KS0232" Warning columns_not_modelled(file: &str, columns: &str)
        format!("what `{file}` says in these columns is not modelled: {columns}");
    /// Two pods of a trace have one name.
    "KS0233" Error repeated_pod(file: &str, name: &str, first: u64, line: u64)
        format!("line {line} of `{file}` names its pod `{name}`, as line {first} does"),
        help "give each pod a name of its own: logs and `karpsim explain` go by it";

    /// A document that is no Kubernetes object.
    "KS0301" Error no_object(reason: &str)
        format!("this is no Kubernetes object: {reason}");
    /// A field that Karpenter's kind does not have.
    "KS0302" Error unknown_field(path: &str, kind: &str)
        format!("{kind} has no field `{path}`");
    /// Fields that a core kind does not have.
    "KS0303" Note unknown_core_fields(paths: &str)
        format!("unknown fields are ignored: {paths}");
    /// A value of another type than the field has.
    "KS0304" Error wrong_type(path: &str, expected: &str, found: &str)
        format!("`{path}` must be {expected}, found {found}");
    /// A text that is no quantity.
    "KS0305" Error bad_quantity(text: &str, path: &str)
        format!("`{text}` is no quantity ({path})"),
        help "write a number with an optional suffix: 500m, 2, 1.5, 512Mi, 1Gi";
    /// A label key or value that Kubernetes refuses.
    "KS0306" Error bad_label(path: &str, text: &str, rule: &str)
        format!("`{text}` is no valid label {rule} ({path})");
    /// A word that the field does not accept.
    "KS0307" Error unknown_value(path: &str, text: &str)
        format!("`{path}` does not accept `{text}`");
    /// A field that the object must have.
    "KS0308" Error missing_field(path: &str)
        format!("the field `{path}` is missing");
    /// A value or combination that the API server or Karpenter refuses.
    "KS0309" Error rule_broken(path: &str, rule: &str)
        format!("`{path}`: {rule}");
    /// Fields that change nothing in the simulation.
    "KS0310" Note fields_without_effect(paths: &str)
        format!("these fields have no effect here: {paths}");
    /// A field that changes results but is not modelled.
    "KS0311" Error field_not_modelled(path: &str, effect: &str)
        format!("`{path}` is not modelled, and {effect}"),
        help "remove the field to run without it";
    /// Kinds that cannot change what nodes are needed.
    "KS0312" Note kinds_without_effect(kinds: &str)
        format!("these objects have no effect here: {kinds}");
    /// A kind that changes results but is not modelled.
    "KS0313" Error kind_not_modelled(kind: &str, effect: &str)
        format!("{kind} is not modelled, and {effect}"),
        help "remove the object to run without it";
    /// An API version that Karpenter v1.14 does not read.
    "KS0314" Error old_api_version(version: &str, kind: &str)
        format!("{kind} of {version} is not read by Karpenter v1");
    /// A kind that nobody here knows.
    "KS0315" Warning unknown_kind(version: &str, kind: &str)
        format!("{kind} of {version} is not known and has no effect here");
    /// Two objects of one kind and name.
    "KS0316" Error duplicate_object(object: &str)
        format!("{object} is defined twice");
    /// A NodePool whose EC2NodeClass does not exist.
    "KS0317" Error missing_node_class(pool: &str, class: &str)
        format!("NodePool/{pool} refers to EC2NodeClass/{class}, which no manifest defines"),
        help "add the EC2NodeClass to `cluster.manifests`";
    /// An instance type that the catalogue does not have: misspelt, or retired, which Karpenter tolerates.
    "KS0318" Error unknown_instance_type(name: &str)
        format!("the EC2 catalogue has no instance type `{name}`");
    /// A pod whose PriorityClass does not exist.
    "KS0319" Error missing_priority_class(name: &str)
        format!("no manifest defines PriorityClass/{name}"),
        help "add the PriorityClass, or remove `priorityClassName`";
    /// A scenario without any NodePool.
    "KS0320" Warning no_node_pool()
        "no manifest defines a NodePool, so Karpenter launches nothing".to_owned();
    /// A requirement that names a zone without subnets in the run.
    "KS0321" Warning foreign_zone(zone: &str)
        format!("`{zone}` is no zone of this run, so no node runs there");
    /// A static NodePool while the gate for them is off.
    "KS0330" Error static_capacity_off(pool: &str)
        format!("NodePool/{pool} has `replicas`, but the feature gate StaticCapacity is off"),
        help "set `autoscaler: Karpenter(options: (feature_gates: {\"StaticCapacity\": true}))`, or remove `replicas`";

    /// An object of a feature gate that is off.
    "KS0331" Warning feature_gate_off(object: &str, gate: &str)
        format!("{object} has no effect, as the feature gate {gate} is off"),
        help "switch it on with `autoscaler: Karpenter(options: (feature_gates: {\"NAME\": true}))`, or remove it";
    /// A NodeOverlay that Karpenter skips.
    "KS0332" Warning overlay_conflicts(overlay: &str)
        format!("NodeOverlay/{overlay} has no effect: another one of the same weight sets the same"),
        help "give the two different weights, or requirements that no offering satisfies both";

    /// A quality of instance types that the catalogue does not have.
    "KS0401" Error unknown_catalog_key(key: &str)
        format!("the catalogue has no key `{key}`");
    /// A term of a filter that says nothing.
    "KS0402" Error bad_filter(term: &str, rule: &str)
        format!("`{term}` is no filter: {rule}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_ascend() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(CODES.iter().all(|(code, _, _)| code.len() == 6 && code.starts_with("KS0")));
    }

    #[test]
    fn suggestions_are_near_and_ordered() {
        let valid = ["consolidateAfter", "consolidationPolicy", "budgets"];
        assert_eq!(nearest("consolidateAftr", valid), ["consolidateAfter"]);
        assert_eq!(nearest("budegts", valid), ["budgets"]);
        assert_eq!(nearest("m5.larg", ["m5.xlarge", "m5.large"]), ["m5.large", "m5.xlarge"]);
        assert!(nearest("x", valid).is_empty());
    }

    #[test]
    fn positions_count_characters() {
        let mut sources = Sources::default();
        let id = sources.add("a.yaml", "a: é\nbß: x".to_owned());
        let x = "a: é\nbß: ".len();
        assert_eq!(sources.position(id, x), Position { line: 2, column: 5 });
        assert_eq!(sources.position(id, 9_999).line, 2);
    }

    #[test]
    fn at_most_fifty_are_shown_and_errors_go_first() {
        let mut diagnostics = Diagnostics::default();
        let at = |start| Span { source: SourceId::default(), start, end: start };
        for i in 0..60 {
            diagnostics.push(leading_zero(at(i), "01"));
        }
        diagnostics.push(no_object(at(99), "x"));
        let (shown, more) = diagnostics.shown();
        assert_eq!((shown.len(), more), (50, 11));
        assert_eq!(shown[49].code, "KS0301");
    }
}
