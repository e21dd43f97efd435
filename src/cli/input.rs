//! From the command line to a loaded scenario, all problems said.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};

use super::Exit;
use super::args::InputOptions;
use super::terminal::Terminal;
use crate::diagnostic::Diagnostics;
use crate::ec2::Catalog;
use crate::scenario::load::read_text;
use crate::scenario::{self, Catalogue, DiskFiles, Files, LoadedScenario, catalog};
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
}

/// Loads, checks and resolves a scenario. The inner error is how the program ends after its problems were said.
pub fn load(
    path: &Path,
    options: &InputOptions,
    terminal: &Terminal,
) -> Result<Result<Input, Exit>> {
    let from_stdin = options.manifests.iter().filter(|name| is_stdin(name)).count();
    if from_stdin + usize::from(is_stdin(path)) > 1 {
        bail!("stdin can be read once: one - at most");
    }
    let catalog = catalog::embedded();
    let names = Catalogue::from(catalog);
    let mut diagnostics = Diagnostics::default();
    let further = further(&options.manifests)?;
    let files = StandardFiles { stdin: is_stdin(path).then(stdin).transpose()? };
    let loaded = scenario::load::load_with(path, &further, &files, &names, &mut diagnostics);
    let Some(mut scenario) = loaded else {
        terminal.diagnostics(&diagnostics);
        return Ok(Err(Exit::BadInput));
    };
    if let Some(policy) = options.policy.as_ref().filter(|name| **name != scenario.settings.policy)
    {
        let known = &scenario.settings.policy;
        terminal.complain(&format!("error: the scenario has no policy `{policy}`, only `{known}`"));
        return Ok(Err(Exit::BadInput));
    }
    scenario.settings.seed = options.seed.unwrap_or(scenario.settings.seed);
    let config = Arc::new(scenario::resolve::config(&scenario, catalog));
    scenario::resolve::warn_of_unplaceable(&scenario, &config, &mut diagnostics);
    terminal.diagnostics(&diagnostics);
    Ok(Ok(Input { scenario, config, catalog, diagnostics }))
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Name and text of manifests given on the command line.
fn further(paths: &[std::path::PathBuf]) -> Result<Vec<(String, String)>> {
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
}
