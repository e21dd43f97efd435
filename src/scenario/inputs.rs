//! What a run was made from, kept beside its result, so that the same run can be made again without the files that it
//! was read from.
//!
//! Paths are relative to the scenario's folder: neither machine nor working directory shows in them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::change::{Choice, Setting, Written};
use super::load::{Files, Stored};
use crate::engine::digest::Digest;

/// Name and major version of the form.
pub const SCHEMA: &str = "karpsim.inputs/1";

/// Bytes of a trace that are kept; of a larger one the digest is.
const MOST_TRACE_BYTES: usize = 4 << 20;

/// See the [module](self).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// [`SCHEMA`].
    pub schema: String,
    /// The name of the scenario's file without folder and ending, where it names the scenario.
    pub name: String,
    /// The text of the scenario file.
    pub scenario: String,
    /// The policy; the first one if none.
    pub policy: Option<String>,
    /// `--set`, in order: path and value.
    pub settings: Vec<(String, String)>,
    /// The seed, if it is not the scenario's.
    pub seed: Option<u64>,
    /// When the run ended, if not at the scenario's horizon, in milliseconds.
    pub until_ms: Option<i64>,
    /// After how many events the run was interrupted, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupted_after: Option<u64>,
    /// Further manifests.
    pub manifests: Vec<String>,
    /// Texts of files by path.
    pub files: BTreeMap<String, String>,
    /// Names in folders by path; none for what is no folder.
    pub folders: BTreeMap<String, Option<Vec<String>>>,
    /// Traces and series by path.
    pub traces: BTreeMap<String, Trace>,
    /// The runs of a comparison or sweep, which have policy and settings of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub study: Option<StudyInputs>,
}

/// The runs of a study, numbered as its rows are: all replications of the first cell, then those of the second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyInputs {
    /// Runs of each cell, at least one.
    pub replications: u32,
    /// What is run.
    pub cells: Vec<CellInputs>,
}

/// A variant of the scenario in a study.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellInputs {
    /// As reports call it.
    pub name: String,
    /// The policy; the first one if none.
    pub policy: Option<String>,
    /// Path and value, in order.
    pub settings: Vec<(String, String)>,
}

impl CellInputs {
    /// A variant under the name that reports give it.
    pub fn new(name: String, choice: &Choice) -> CellInputs {
        CellInputs { name, policy: choice.policy.clone(), settings: pairs(choice) }
    }
}

/// Path and value of the settings.
fn pairs(choice: &Choice) -> Vec<(String, String)> {
    let settings = choice.settings.iter();
    settings.map(|set| (set.path.clone(), set.value.clone())).collect()
}

/// A file that is read piece by piece.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// The digest of its bytes.
    pub digest: String,
    /// Its text, unless it is too large to be kept.
    pub text: Option<String>,
}

impl Inputs {
    /// The path under which the scenario is loaded again.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("{}.ron", self.name))
    }

    /// The further manifests with names.
    pub fn further(&self) -> Vec<(String, String)> {
        let named = self.manifests.iter().enumerate();
        named.map(|(i, text)| (format!("--manifests #{}", i + 1), text.clone())).collect()
    }

    /// The text of `inputs.json`, for a scenario of this name.
    pub fn json(self, scenario: &str) -> serde_json::Result<String> {
        let name = scenario.replace(['/', '\\'], "-");
        Ok(serde_json::to_string_pretty(&Inputs { name, ..self })? + "\n")
    }

    /// The same with another policy and other settings.
    pub fn with_choice(self, choice: &Choice) -> Inputs {
        Inputs { policy: choice.policy.clone(), settings: pairs(choice), ..self }
    }

    /// Policy and settings.
    pub fn choice(&self) -> Choice {
        let settings = self.settings.iter().enumerate();
        let settings = settings.map(|(i, (path, value))| Setting {
            path: path.clone(),
            value: value.clone(),
            written: Written::Option(format!("--set #{}", i + 1)),
        });
        Choice { policy: self.policy.clone(), settings: settings.collect() }
    }
}

/// Files that remember what was read of them.
pub struct RecordingFiles<F> {
    inner: F,
    /// The scenario's folder.
    folder: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    files: BTreeMap<String, String>,
    folders: BTreeMap<String, Option<Vec<String>>>,
    traces: BTreeMap<String, Arc<dyn Stored>>,
}

impl<F: Files> RecordingFiles<F> {
    /// Records what is read for the scenario file at `scenario`.
    pub fn new(inner: F, scenario: &Path) -> RecordingFiles<F> {
        let folder = scenario.parent().unwrap_or(Path::new("")).to_owned();
        RecordingFiles { inner, folder, seen: Mutex::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was read for the scenario file at `path`; choice and seed are to be filled in. Fails when a trace cannot
    /// be read any more.
    pub fn inputs(&self, path: &Path) -> Result<Inputs, String> {
        let read = self.seen();
        let mut files = read.files.clone();
        let scenario = files.remove(&relative(path, &self.folder)).unwrap_or_default();
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let mut traces = BTreeMap::new();
        for (path, stored) in &read.traces {
            traces.insert(path.clone(), keep(stored.as_ref())?);
        }
        Ok(Inputs {
            schema: SCHEMA.to_owned(),
            name: stem.unwrap_or_default(),
            scenario,
            files,
            folders: read.folders.clone(),
            traces,
            ..Inputs::default()
        })
    }
}

impl<F: Files> Files for RecordingFiles<F> {
    fn read(&self, path: &Path) -> Result<String, String> {
        let text = self.inner.read(path)?;
        let path = relative(path, &self.folder);
        self.seen().files.insert(path, text.clone());
        Ok(text)
    }

    fn list(&self, path: &Path) -> Result<Option<Vec<String>>, String> {
        let names = self.inner.list(path)?;
        let path = relative(path, &self.folder);
        self.seen().folders.insert(path, names.clone());
        Ok(names)
    }

    fn store(&self, path: &Path) -> Arc<dyn Stored> {
        let stored = self.inner.store(path);
        let path = relative(path, &self.folder);
        self.seen().traces.insert(path, stored.clone());
        stored
    }
}

/// The files of [`Inputs`]. Traces that were too large to be kept are looked for in a folder of the machine.
pub struct KeptFiles<'a, F> {
    /// What was kept.
    pub inputs: &'a Inputs,
    /// Where the rest is.
    pub rest: F,
    /// The folder that the scenario file was in.
    pub folder: PathBuf,
}

impl<F: Files> Files for KeptFiles<'_, F> {
    fn read(&self, path: &Path) -> Result<String, String> {
        if path == self.inputs.path() {
            return Ok(self.inputs.scenario.clone());
        }
        let text = self.inputs.files.get(&relative(path, Path::new("")));
        text.cloned().ok_or_else(|| "it is not among the files of the result".to_owned())
    }

    fn list(&self, path: &Path) -> Result<Option<Vec<String>>, String> {
        Ok(self.inputs.folders.get(&relative(path, Path::new(""))).cloned().flatten())
    }

    fn store(&self, path: &Path) -> Arc<dyn Stored> {
        let path = relative(path, Path::new(""));
        let Some(trace) = self.inputs.traces.get(&path) else {
            return Arc::new("it is not among the files of the result".to_owned());
        };
        if let Some(text) = &trace.text {
            return Arc::new(Arc::<[u8]>::from(text.as_bytes()));
        }
        let stored = self.rest.store(&self.folder.join(&path));
        match keep(stored.as_ref()) {
            Ok(found) if found.digest == trace.digest => stored,
            Ok(_) => Arc::new("it was changed since the run".to_owned()),
            Err(reason) => {
                let help = "it is too large to be kept in the result: name the scenario's folder with --files";
                Arc::new(format!("{reason}; {help}"))
            }
        }
    }
}

fn keep(stored: &dyn Stored) -> Result<Trace, String> {
    let mut stream = stored.open()?;
    let (mut digest, mut bytes, mut block) = (Digest::default(), Vec::new(), vec![0; 1 << 16]);
    loop {
        // Blocks are filled, since the digest depends on where they end.
        let mut filled = 0;
        while filled < block.len() {
            match stream.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        digest.write_bytes(&block[..filled]);
        if bytes.len() <= MOST_TRACE_BYTES {
            bytes.extend_from_slice(&block[..filled]);
        }
        if filled < block.len() {
            break;
        }
    }
    let kept = (bytes.len() <= MOST_TRACE_BYTES).then_some(bytes);
    let text = kept.and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(Trace { digest: digest.to_string(), text })
}

/// `path` as seen from `folder`, with `/` between its parts on every system.
fn relative(path: &Path, folder: &Path) -> String {
    let (path, folder) = (normal(path), normal(folder));
    let common = path.iter().zip(&folder).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", folder.len() - common).map(str::to_owned);
    let parts: Vec<String> = up.chain(path[common..].iter().cloned()).collect();
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

/// The parts of a path without `.` and, as far as possible, without `..`.
fn normal(path: &Path) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if parts.last().is_some_and(|part| part != "..") => {
                parts.pop();
            }
            other => parts.push(other.as_os_str().to_string_lossy().into_owned()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::super::load::MemoryFiles;
    use super::*;

    #[test]
    fn paths_are_those_seen_from_the_scenario() {
        for (path, folder, expected) in [
            ("/a/b/s.ron", "/a/b", "s.ron"),
            ("/a/b/../x/y.yaml", "/a/b", "../x/y.yaml"),
            ("scenarios/./m/", "scenarios", "m"),
            ("m", "", "m"),
            ("../x", "", "../x"),
            ("scenarios", "scenarios", "."),
        ] {
            assert_eq!(relative(Path::new(path), Path::new(folder)), expected, "{path}");
        }
    }

    #[test]
    fn what_was_read_is_there_again() {
        let memory = [("in/s.ron", "Scenario()"), ("in/m/a.yaml", "kind: X"), ("in/t.csv", "a,b")];
        let memory = memory.map(|(path, text)| (PathBuf::from(path), text.to_owned()));
        let files =
            RecordingFiles::new(MemoryFiles(memory.into_iter().collect()), Path::new("in/s.ron"));
        files.read(Path::new("in/s.ron")).expect("the scenario");
        assert_eq!(files.list(Path::new("in/m")), Ok(Some(vec!["a.yaml".to_owned()])));
        files.read(Path::new("in/m/a.yaml")).expect("a manifest");
        assert!(files.read(Path::new("in/none")).is_err());
        files.store(Path::new("in/t.csv"));
        let inputs = files.inputs(Path::new("in/s.ron")).expect("all is there");
        assert_eq!((inputs.name.as_str(), inputs.scenario.as_str()), ("s", "Scenario()"));
        let rest = MemoryFiles::default();
        let kept = KeptFiles { inputs: &inputs, rest, folder: PathBuf::new() };
        assert_eq!(kept.read(&inputs.path()), Ok("Scenario()".to_owned()));
        assert_eq!(kept.read(Path::new("m/a.yaml")), Ok("kind: X".to_owned()));
        assert_eq!(kept.list(Path::new("m/")), Ok(Some(vec!["a.yaml".to_owned()])));
        assert!(kept.read(Path::new("none")).is_err());
        let mut text = String::new();
        let mut stream = kept.store(Path::new("t.csv")).open().expect("the trace");
        stream.read_to_string(&mut text).expect("text");
        assert_eq!(text, "a,b");
    }

    #[test]
    fn a_trace_that_was_not_kept_has_to_be_the_same() {
        let trace = |text: &str| keep(&Arc::<[u8]>::from(text.as_bytes())).expect("a trace");
        let large = Trace { text: None, ..trace("a,b") };
        let inputs = Inputs { traces: [("t.csv".to_owned(), large)].into(), ..Inputs::default() };
        for (text, ok) in [(Some("a,b"), true), (Some("a,c"), false), (None, false)] {
            let files = text.map(|text| (PathBuf::from("in/t.csv"), text.to_owned()));
            let rest = MemoryFiles(files.into_iter().collect());
            let kept = KeptFiles { inputs: &inputs, rest, folder: PathBuf::from("in") };
            assert_eq!(kept.store(Path::new("t.csv")).open().is_ok(), ok, "{text:?}");
        }
    }
}
