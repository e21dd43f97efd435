//! `karpsim init`: the seed scenario with its manifests, to start from.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::Exit;
use super::args::InitOptions;
use super::terminal::Terminal;

/// The shipped workshop scenario, file by file.
const FILES: [(&str, &str); 4] = [
    ("eks-workshop.ron", include_str!("../../scenarios/eks-workshop.ron")),
    ("eks-workshop/daemonsets.yaml", include_str!("../../scenarios/eks-workshop/daemonsets.yaml")),
    ("eks-workshop/inflate.yaml", include_str!("../../scenarios/eks-workshop/inflate.yaml")),
    ("eks-workshop/nodepool.yaml", include_str!("../../scenarios/eks-workshop/nodepool.yaml")),
];

/// Writes the files; none if one of them exists.
pub fn init(options: &InitOptions, terminal: &Terminal) -> Result<Exit> {
    let paths: Vec<_> = FILES.iter().map(|(name, _)| options.folder.join(name)).collect();
    if let Some(known) = paths.iter().find(|path| path.exists()) {
        bail!("{} exists already: name another folder (karpsim init DIR)", known.display());
    }
    for (path, (_, text)) in paths.iter().zip(FILES) {
        let what = || format!("{} cannot be written", path.display());
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).with_context(what)?;
        fs::write(path, text).with_context(what)?;
    }
    let scenario = paths[0].display();
    terminal.print(&format!(
        "Wrote the EKS workshop's scenario. Run it:\n\n    karpsim run {scenario}\n"
    ))?;
    Ok(Exit::Done)
}
