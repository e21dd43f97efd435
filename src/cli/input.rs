//! From the command line to a loaded scenario, all problems said.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};

use super::Exit;
use super::args::InputOptions;
use super::terminal::Terminal;
use crate::diagnostic::Diagnostics;
use crate::ec2::Catalog;
use crate::scenario::load::{Stored, read_text};
use crate::scenario::{
    self, Catalogue, Choice, DiskFiles, Files, Inputs, LoadedScenario, RecordingFiles, Setting,
    Written, catalog,
};
use crate::simulation::Config;

/// A scenario that can be run.
pub struct Input {
    /// As loaded.
    pub scenario: LoadedScenario,
    /// What a run starts from.
    pub config: Arc<Config>,
    /// The EC2 catalogue.
    pub catalog: &'static Catalog,
    /// What was said about it: warnings and notes.
    pub diagnostics: Diagnostics,
    origin: Origin,
    choice: Choice,
}

impl Input {
    /// All that was read, to make the same run again. Traces are gone through once more.
    pub fn inputs(&self) -> Result<Inputs> {
        Ok(self.origin.inputs()?.with_choice(&self.choice))
    }
}

/// A scenario file with everything around it that is read once, from which variants are loaded.
pub struct Origin {
    path: PathBuf,
    further: Vec<(String, String)>,
    files: RecordingFiles<StandardFiles>,
    names: Catalogue,
    seed: Option<u64>,
    /// `--set`, in order.
    pub settings: Vec<Setting>,
    /// The EC2 catalogue.
    pub catalog: &'static Catalog,
}

/// A variant of a scenario that can be run.
pub struct Variant {
    /// As loaded.
    pub scenario: LoadedScenario,
    /// What a run starts from.
    pub config: Arc<Config>,
}

impl Origin {
    /// Reads stdin and further manifests.
    pub fn new(path: &Path, options: &InputOptions) -> Result<Origin> {
        let from_stdin = options.manifests.iter().filter(|name| is_stdin(name)).count();
        if from_stdin + usize::from(is_stdin(path)) > 1 {
            bail!("stdin can be read once: one - at most");
        }
        let catalog = catalog::embedded();
        let settings = options.set.iter().enumerate();
        let settings = settings.map(|(i, (path, value))| Setting {
            path: path.clone(),
            value: value.clone(),
            written: Written::Option(format!("--set #{}", i + 1)),
        });
        Ok(Origin {
            path: path.to_owned(),
            further: further(&options.manifests)?,
            files: RecordingFiles::new(
                StandardFiles { stdin: is_stdin(path).then(stdin).transpose()? },
                path,
            ),
            names: Catalogue::from(catalog),
            seed: options.seed,
            settings: settings.collect(),
            catalog,
        })
    }

    /// All that was read for the variants that were loaded.
    pub fn inputs(&self) -> Result<Inputs> {
        let read = self.files.inputs(&self.path).map_err(|reason| anyhow::anyhow!("{reason}"))?;
        let manifests = self.further.iter().map(|(_, text)| text.clone()).collect();
        Ok(Inputs { seed: self.seed, manifests, ..read })
    }

    /// Loads, checks and resolves a variant. `None` when any of its problems is an error.
    pub fn load(&self, choice: &Choice, diagnostics: &mut Diagnostics) -> Option<Variant> {
        let Origin { path, further, files, names, catalog, .. } = self;
        let mut found = Diagnostics::default();
        let loaded = scenario::load_variant(path, further, choice, files, names, &mut found);
        let variant = loaded.map(|mut scenario| {
            scenario.settings.seed = self.seed.unwrap_or(scenario.settings.seed);
            let config = Arc::new(scenario::resolve::config(&scenario, catalog));
            scenario::resolve::warn_of_unplaceable(&scenario, &config, &mut found);
            scenario::resolve::warn_of_idle_steps(&scenario, &config, &mut found);
            scenario::resolve::warn_of_conflicting_overlays(&scenario, &config, &mut found);
            Variant { scenario, config }
        });
        diagnostics.absorb(found);
        variant
    }
}

/// Loads the policy and the settings of the command line. The inner error is how the program ends after its problems
/// were said.
pub fn load(
    path: &Path,
    options: &InputOptions,
    terminal: &Terminal,
) -> Result<Result<Input, Exit>> {
    let origin = Origin::new(path, options)?;
    let mut diagnostics = Diagnostics::default();
    let choice = Choice { policy: options.policy.clone(), settings: origin.settings.clone() };
    let loaded = origin.load(&choice, &mut diagnostics);
    terminal.diagnostics(&diagnostics);
    Ok(match loaded {
        Some(Variant { scenario, config }) => {
            Ok(Input { scenario, config, catalog: origin.catalog, diagnostics, origin, choice })
        }
        None => Err(Exit::BadInput),
    })
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Name and text of manifests given on the command line.
fn further(paths: &[PathBuf]) -> Result<Vec<(String, String)>> {
    let mut further = Vec::new();
    for path in paths {
        let name = if is_stdin(path) { "<stdin>".into() } else { path.to_string_lossy() };
        let text = match is_stdin(path) {
            true => stdin()?,
            false => DiskFiles.read(path).map_err(|reason| anyhow::anyhow!("{name}: {reason}"))?,
        };
        further.push((name.into_owned(), text));
    }
    Ok(further)
}

fn stdin() -> Result<String> {
    read_text(std::io::stdin().lock()).map_err(|reason| anyhow::anyhow!("stdin: {reason}"))
}

/// The machine's files, and stdin under the name `-`.
struct StandardFiles {
    stdin: Option<String>,
}

impl Files for StandardFiles {
    fn read(&self, path: &Path) -> Result<String, String> {
        match &self.stdin {
            Some(text) if is_stdin(path) => Ok(text.clone()),
            _ => DiskFiles.read(path),
        }
    }

    fn list(&self, path: &Path) -> Result<Option<Vec<String>>, String> {
        DiskFiles.list(path)
    }

    fn store(&self, path: &Path) -> Arc<dyn Stored> {
        DiskFiles.store(path)
    }
}
