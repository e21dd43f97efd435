//! Loads a scenario: its file, its manifests, the files that its timeline applies. Files are read
//! here and nowhere else.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::change::{Changes, Choice};
use super::file;
use super::kustomize;
use super::manifest::{self, Admission, Cluster, Objects};
use super::patch::{Changed, ObjectChange};
use super::reader::Reader;
use super::ron_places::Place;
use super::schema::Scenario;
use super::settings::{self, Catalogue, Context, Settings};
use super::splice::Spliced;
use super::variant::Variant;
use super::yaml;
use crate::diagnostic::{self, Diagnostics, SourceId, Span};
use crate::ec2::capacity::OfferingPattern;
use crate::kube::label;
use crate::simulation;
use crate::simulation::{ReplicaSource, Source};
use crate::units::{SimTime, Symbols};

/// Bytes of one file that are read.
const MOST_BYTES: usize = 256 << 20;

/// A scenario with everything that it names.
#[derive(Clone, Debug)]
pub struct LoadedScenario {
    /// Settings.
    pub settings: Settings,
    /// The run's interner, which knows all names of the objects.
    pub symbols: Symbols,
    /// Objects at the start.
    pub objects: Objects,
    /// What happens later, in the order of time; what happens at one time is in the order of the
    /// file.
    pub timeline: Vec<(SimTime, TimelineAction)>,
    /// The timeline's steps that are about offerings, with their places.
    pub offering_steps: Vec<(Span, OfferingPattern)>,
    /// Sources of pods.
    pub sources: Vec<Source>,
    /// Services whose replicas follow a load.
    pub replicas: Vec<ReplicaSource>,
    /// Where each object is defined, by `Kind/namespace/name` or `Kind/name`; the last place of one that is applied
    /// again.
    pub places: BTreeMap<String, Span>,
    /// The policies, axes and replications of the scenario that this is one variant of.
    pub plan: Plan,
    /// What the policy and the settings changed, in order.
    pub changed: Vec<Changed>,
    /// FNV-1a of the texts of all files read, in the order of reading, and of what was changed.
    pub input_digest: u64,
    /// FNV-1a of each trace and series, which are part of the input too.
    pub(super) data_digests: Vec<u64>,
}

/// What is run of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Names of the policies, at least one.
    pub policies: Vec<String>,
    /// What is varied.
    pub axes: Vec<Axis>,
    /// Runs of each policy at each point, at least one.
    pub replications: u32,
}

/// An axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// What is varied.
    pub path: String,
    /// The values as they are written, at least one.
    pub values: Vec<String>,
}

/// A step of the timeline, with its files read.
#[derive(Clone, Debug, PartialEq)]
pub enum TimelineAction {
    /// A step that needs no files.
    Direct(simulation::Action),
    /// Creates objects, or replaces those of the same kind, namespace and name.
    Apply(Objects),
    /// Replaces an object by what a merge patch made of it.
    Patch {
        /// `Kind/namespace/name` or `Kind/name`.
        object: Arc<str>,
        /// The object as it is from then on.
        objects: Objects,
        /// The patch says nothing of a Deployment's replicas: they stay as they are by then.
        keeps_replicas: bool,
    },
}

/// Where files come from.
pub trait Files {
    /// The text of a file.
    fn read(&self, path: &Path) -> Result<String, String>;

    /// The names in a folder, ascending; `None` when the path is no folder.
    fn list(&self, path: &Path) -> Result<Option<Vec<String>>, String>;

    /// A file that is read piece by piece, several times; that it is there shows when it is opened.
    fn store(&self, path: &Path) -> Arc<dyn Stored>;
}

/// A file that is too large to be held.
pub trait Stored: Send + Sync + std::fmt::Debug {
    /// Its bytes from the first on.
    fn open(&self) -> Result<Box<dyn Read + Send>, String>;
}

impl Stored for PathBuf {
    fn open(&self) -> Result<Box<dyn Read + Send>, String> {
        let file = std::fs::File::open(self).map_err(|error| reason(&error))?;
        Ok(Box::new(file))
    }
}

impl Stored for Arc<[u8]> {
    fn open(&self) -> Result<Box<dyn Read + Send>, String> {
        Ok(Box::new(std::io::Cursor::new(self.clone())))
    }
}

/// A file that is not there.
impl Stored for String {
    fn open(&self) -> Result<Box<dyn Read + Send>, String> {
        Err(self.clone())
    }
}

/// Files of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskFiles;

impl Files for DiskFiles {
    fn read(&self, path: &Path) -> Result<String, String> {
        let file = std::fs::File::open(path).map_err(|error| reason(&error))?;
        read_text(file)
    }

    fn list(&self, path: &Path) -> Result<Option<Vec<String>>, String> {
        if !path.is_dir() {
            return Ok(None);
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path).map_err(|error| reason(&error))? {
            let entry = entry.map_err(|error| reason(&error))?;
            names.extend(entry.file_name().into_string().ok());
        }
        names.sort_unstable();
        Ok(Some(names))
    }

    fn store(&self, path: &Path) -> Arc<dyn Stored> {
        Arc::new(path.to_owned())
    }
}

/// The text of a file or stream, in bounded memory: what is no text ends within its first block, what is too large
/// ends at the limit.
pub fn read_text(stream: impl Read) -> Result<String, String> {
    read_within(stream, MOST_BYTES)
}

fn read_within(mut stream: impl Read, most: usize) -> Result<String, String> {
    const BLOCK: usize = 1 << 16;
    let no_text = || "it is no UTF-8 text".to_owned();
    let (mut bytes, mut block) = (Vec::new(), vec![0; BLOCK]);
    // A character may be cut at the end of a block, so its first bytes are looked at again.
    let mut checked = 0;
    loop {
        let count = match stream.read(&mut block) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(reason(&error)),
        };
        if count == 0 {
            return String::from_utf8(bytes).map_err(|_| no_text());
        }
        let is_control = |byte: &u8| byte.is_ascii_control() && !b"\t\n\r".contains(byte);
        if block[..count].iter().any(is_control) {
            return Err("it holds control characters, so it is no text".to_owned());
        }
        bytes.extend_from_slice(&block[..count]);
        checked = match std::str::from_utf8(&bytes[checked..]) {
            Ok(_) => bytes.len(),
            Err(error) if error.error_len().is_none() => checked + error.valid_up_to(),
            Err(_) => return Err(no_text()),
        };
        if bytes.len() > most {
            return Err(format!("it is larger than {} MiB", most >> 20));
        }
    }
}

/// The same words on every system for the common cases.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// Files in memory, for tests and for built-in scenarios.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles(pub BTreeMap<PathBuf, String>);

impl Files for MemoryFiles {
    fn read(&self, path: &Path) -> Result<String, String> {
        let text = self.0.get(path).cloned();
        text.ok_or_else(|| "there is no such file or folder".to_owned())
    }

    fn list(&self, path: &Path) -> Result<Option<Vec<String>>, String> {
        let mut names: Vec<String> = self
            .0
            .keys()
            .filter_map(|file| file.strip_prefix(path).ok()?.components().next())
            .map(|name| name.as_os_str().to_string_lossy().into_owned())
            .collect();
        names.dedup();
        Ok((!names.is_empty()).then_some(names))
    }

    fn store(&self, path: &Path) -> Arc<dyn Stored> {
        match self.read(path) {
            Ok(text) => Arc::new(Arc::<[u8]>::from(text.into_bytes())),
            Err(reason) => Arc::new(reason),
        }
    }
}

/// Loads the first policy of a scenario file. Every problem is reported; `None` when any is an error.
pub fn load(
    path: &Path,
    files: &dyn Files,
    catalogue: &Catalogue,
    diagnostics: &mut Diagnostics,
) -> Option<LoadedScenario> {
    load_with(path, &[], files, catalogue, diagnostics)
}

/// As [`load`], with further manifests as name and text, such as those on stdin.
pub fn load_with(
    path: &Path,
    further: &[(String, String)],
    files: &dyn Files,
    catalogue: &Catalogue,
    diagnostics: &mut Diagnostics,
) -> Option<LoadedScenario> {
    load_variant(path, further, &Choice::default(), files, catalogue, diagnostics)
}

/// As [`load_with`], of the policy and with the settings that are chosen.
pub fn load_variant(
    path: &Path,
    further: &[(String, String)],
    choice: &Choice,
    files: &dyn Files,
    catalogue: &Catalogue,
    diagnostics: &mut Diagnostics,
) -> Option<LoadedScenario> {
    let shown = path.to_string_lossy().into_owned();
    let text = match files.read(path) {
        Ok(text) => text,
        Err(reason) => {
            let source = diagnostics.sources.add(&shown, String::new());
            let span = Span { source, start: 0, end: 0 };
            diagnostics.push(diagnostic::unreadable(span, &shown, &reason));
            return None;
        }
    };
    let source = diagnostics.sources.add(&shown, text.clone());
    let (scenario, places) = file::read(source, diagnostics)?;
    let mut variant =
        Variant { source, text: Spliced::new(text), scenario, places, changes: Changes::default() };
    variant.choose(choice, diagnostics);
    let mut changed = variant.change_settings(&shown, diagnostics)?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let stem = path.file_stem().map_or(String::new(), |stem| stem.to_string_lossy().into_owned());
    let Variant { source: changed_source, text, scenario, places, changes } = variant;
    let mut loading = Loading {
        source: changed_source,
        places,
        folder,
        files,
        catalogue,
        scenario: &scenario,
        matched: vec![false; changes.objects.len()],
        changes: changes.objects,
        changed: Vec::new(),
        offering_steps: Vec::new(),
        zones: Vec::new(),
        diagnostics,
    };
    let loaded = loading.run(&stem, further, choice);
    changed.append(&mut loading.changed);
    let skipped = (changed_source != source).then_some(changed_source);
    let input_digest = digest(diagnostics, skipped, &changed, &loaded.data_digests);
    if changed_source != source {
        diagnostics.relocate(changed_source, |span| text.origin(span, source));
    }
    (!diagnostics.has_errors()).then_some(LoadedScenario { changed, input_digest, ..loaded })
}

/// What an entry of `cluster.manifests` leads to.
enum Found {
    /// A file with objects.
    File(PathBuf),
    /// A folder that kustomize builds.
    Kustomization(PathBuf),
}

pub(super) struct Loading<'a> {
    pub(super) source: SourceId,
    pub(super) places: Place,
    pub(super) folder: PathBuf,
    pub(super) files: &'a dyn Files,
    pub(super) catalogue: &'a Catalogue,
    pub(super) scenario: &'a Scenario,
    /// The run's zones.
    pub(super) zones: Vec<String>,
    /// Changes of manifests.
    pub(super) changes: Vec<ObjectChange>,
    /// Which of them found their object.
    pub(super) matched: Vec<bool>,
    pub(super) changed: Vec<Changed>,
    /// Steps about offerings, with their places.
    pub(super) offering_steps: Vec<(Span, OfferingPattern)>,
    pub(super) diagnostics: &'a mut Diagnostics,
}

impl Loading<'_> {
    fn run(&mut self, stem: &str, further: &[(String, String)], choice: &Choice) -> LoadedScenario {
        let mut context =
            Context { source: self.source, places: &self.places, diagnostics: self.diagnostics };
        let settings = settings::resolve(
            self.scenario,
            stem,
            choice.policy.as_deref(),
            self.catalogue,
            &mut context,
        );
        self.zones.clone_from(&settings.zones);
        let plan = self.plan();
        let mut symbols = label::vocabulary();
        let mut cluster = Cluster::default();
        let errors_before = self.diagnostics.error_count();
        let mut documents = Vec::new();
        for (i, entry) in self.scenario.cluster.manifests.iter().enumerate() {
            let path = format!("cluster.manifests[{i}]");
            documents.extend(self.documents(entry, &path));
        }
        for (name, text) in further {
            let source = self.diagnostics.sources.add(name, text.clone());
            let mut parsed = yaml::parse(source, self.diagnostics);
            self.apply_changes(&mut parsed);
            documents.extend(parsed);
        }
        cluster.incomplete = self.diagnostics.error_count() > errors_before;
        let mut objects = self.objects(&documents, &mut symbols, &mut cluster);
        if objects.node_pools.is_empty()
            && !cluster.places.keys().any(|id| id.starts_with("NodePool/"))
        {
            let span = self.span("cluster.manifests");
            self.diagnostics.push(diagnostic::no_node_pool(span));
        }
        self.gate(&mut objects, &settings, &symbols, &cluster);
        let (mut timeline, known) = self.timeline(&settings, &mut symbols, &cluster, documents);
        self.report_unmatched(&known);
        let mut workloads = self.workloads(&settings, &known, &mut symbols);
        timeline.append(&mut workloads.scales);
        timeline.sort_by_key(|(at, _)| *at);
        LoadedScenario {
            settings,
            symbols,
            objects,
            timeline,
            offering_steps: std::mem::take(&mut self.offering_steps),
            sources: workloads.sources,
            replicas: workloads.replicas,
            places: known.places,
            plan,
            changed: Vec::new(),
            input_digest: 0,
            data_digests: workloads.digests,
        }
    }

    fn refuse_static_pools(&mut self, objects: &Objects, symbols: &Symbols, cluster: &Cluster) {
        for pool in objects.node_pools.iter().filter(|pool| pool.replicas.is_some()) {
            let name = symbols.text(pool.name.symbol);
            if let Some(span) = cluster.places.get(&format!("NodePool/{name}")) {
                self.diagnostics.push(diagnostic::static_capacity_off(*span, name));
            }
        }
    }

    /// Karpenter does not look at the objects of feature gates that are off. Static NodePools are refused then.
    pub(super) fn gate(
        &mut self,
        objects: &mut Objects,
        settings: &Settings,
        symbols: &Symbols,
        cluster: &Cluster,
    ) {
        if !settings.gate("StaticCapacity") {
            self.refuse_static_pools(objects, symbols, cluster);
        }
        let mut ignored: Vec<(String, &str)> = Vec::new();
        if !settings.gate("NodeOverlay") {
            let overlays = objects.node_overlays.drain(..);
            ignored.extend(overlays.map(|o| (format!("NodeOverlay/{}", o.name), "NodeOverlay")));
        }
        if !settings.gate("CapacityBuffer") {
            let buffers = objects.capacity_buffers.drain(..);
            ignored.extend(buffers.map(|buffer| (buffer.id(), "CapacityBuffer")));
        }
        for (id, gate) in ignored {
            if let Some(span) = cluster.places.get(&id) {
                self.diagnostics.push(diagnostic::feature_gate_off(*span, &id, gate));
            }
        }
    }

    pub(super) fn span(&self, path: &str) -> Span {
        let range = self.places.at(path).span.clone();
        Span { source: self.source, start: range.start, end: range.end }
    }

    /// The documents of a file, or of all manifests in a folder and the folders in it.
    pub(super) fn documents(&mut self, entry: &str, path: &str) -> Vec<yaml::Node> {
        let mut files = Vec::new();
        if let Err(reason) = self.manifest_files(Path::new(entry), &mut files, 0) {
            let span = self.span(path);
            self.diagnostics.push(diagnostic::unreadable(span, entry, &reason));
            return Vec::new();
        }
        if files.is_empty() {
            let span = self.span(path);
            self.diagnostics.push(diagnostic::empty_folder(span, entry));
        }
        let mut documents = Vec::new();
        for file in files {
            match file {
                Found::File(file) => documents.extend(self.file_documents(&file, path)),
                Found::Kustomization(folder) => documents.extend(self.kustomization(&folder, path)),
            }
        }
        self.apply_changes(&mut documents);
        documents
    }

    fn file_documents(&mut self, file: &Path, path: &str) -> Vec<yaml::Node> {
        let full = self.folder.join(file);
        match self.files.read(&full) {
            Ok(text) => {
                let source = self.diagnostics.sources.add(&full.to_string_lossy(), text);
                yaml::parse(source, self.diagnostics)
            }
            Err(reason) => {
                let span = self.span(path);
                let name = file.to_string_lossy();
                self.diagnostics.push(diagnostic::unreadable(span, &name, &reason));
                Vec::new()
            }
        }
    }

    /// The objects of a folder with a kustomization file, as `kubectl apply -k` makes them.
    fn kustomization(&mut self, folder: &Path, path: &str) -> Vec<yaml::Node> {
        let named_at = self.span(path);
        // Kustomize knows no variables and interns nothing: what it makes is read like any other manifest.
        let (variables, mut symbols) = (BTreeMap::new(), Symbols::default());
        let mut reader =
            Reader::new(self.diagnostics, &variables, &mut symbols, self.catalogue, &[]);
        let full = self.folder.join(folder);
        let documents = kustomize::build(self.files, &full, named_at, &mut reader);
        reader.close();
        documents
    }

    /// A file itself, whatever its ending; a folder with a kustomization file as a whole; of any other folder all files
    /// that end like manifests, in ascending order.
    fn manifest_files(
        &self,
        path: &Path,
        found: &mut Vec<Found>,
        level: usize,
    ) -> Result<(), String> {
        let Some(names) = self.files.list(&self.folder.join(path))? else {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_kustomization = !kustomize::files_among(&[name]).is_empty();
            found.push(match path.parent().filter(|_| is_kustomization) {
                Some(folder) => Found::Kustomization(folder.to_owned()),
                None => Found::File(path.to_owned()),
            });
            return Ok(());
        };
        if !kustomize::files_among(&names).is_empty() {
            found.push(Found::Kustomization(path.to_owned()));
            return Ok(());
        }
        if level > 16 {
            return Err("its folders are nested too deeply".to_owned());
        }
        for name in names.iter().filter(|name| !name.starts_with('.')) {
            let inner = path.join(name);
            let is_folder = self.files.list(&self.folder.join(&inner))?.is_some();
            let ending =
                inner.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
            if is_folder || ending {
                self.manifest_files(&inner, found, level + 1)?;
            }
        }
        Ok(())
    }

    pub(super) fn objects(
        &mut self,
        documents: &[yaml::Node],
        symbols: &mut Symbols,
        cluster: &mut Cluster,
    ) -> Objects {
        let variables = &self.scenario.cluster.env;
        let mut reader =
            Reader::new(self.diagnostics, variables, symbols, self.catalogue, &self.zones);
        reader.change_sources = self.changes.iter().map(|change| change.path_span.source).collect();
        let objects = manifest::read(&mut reader, documents, cluster, Admission::Full);
        reader.close();
        objects
    }
}

/// Reads Kubernetes objects that another input embeds as JSON, such as the objects of a recorded
/// case. `name` stands for the place in messages. The spec of an EC2NodeClass may be missing.
pub fn load_objects_json(
    name: &str,
    objects: &[serde_json::Value],
    symbols: &mut Symbols,
    cluster: &mut Cluster,
    catalogue: &Catalogue,
    diagnostics: &mut Diagnostics,
) -> Objects {
    let mut documents = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        let source = diagnostics.sources.add(&format!("{name}[{i}]"), format!("{object:#}"));
        documents.extend(yaml::parse(source, diagnostics));
    }
    let variables = BTreeMap::new();
    let mut reader = Reader::new(diagnostics, &variables, symbols, catalogue, &[]);
    let objects = manifest::read(&mut reader, &documents, cluster, Admission::Recorded);
    reader.close();
    objects
}

/// FNV-1a, 64 bits, of all texts but that of `skipped`, of the changes, and of traces and series by their digests.
fn digest(
    diagnostics: &Diagnostics,
    skipped: Option<SourceId>,
    changed: &[Changed],
    data: &[u64],
) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |bytes: &[u8]| {
        for byte in bytes.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for source in diagnostics.sources.iter_without(skipped) {
        // Neither folder nor name must matter, only what stands in the files.
        mix(source.text.as_bytes());
    }
    for change in changed {
        mix(change.object.as_bytes());
        mix(change.path.as_bytes());
        mix(change.to.as_deref().unwrap_or("null").as_bytes());
    }
    for digest in data {
        mix(&digest.to_le_bytes());
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_to_the_limit_and_garbage_ends_at_once() {
        let long = "é".repeat(100_000);
        assert_eq!(read_text(long.as_bytes()), Ok(long));
        let endless = [
            (0xff, "it is no UTF-8 text"),
            (0, "it holds control characters, so it is no text"),
            (b'x', "it is larger than 1 MiB"),
        ];
        for (byte, reason) in endless {
            assert_eq!(read_within(std::io::repeat(byte), 1 << 20), Err(reason.to_owned()));
        }
        assert_eq!(read_text(&b"cut \xc3"[..]), Err("it is no UTF-8 text".to_owned()));
    }
}
