//! Shipped scenarios as configurations of runs.

use std::path::{Path, PathBuf};

use karpsim::diagnostic::Diagnostics;
use karpsim::scenario::{
    Catalogue, Choice, DiskFiles, Setting, Written, catalog, load_variant, resolve,
};
use karpsim::simulation::Config;
use karpsim::units::SimTime;

/// The file of a shipped scenario.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name)
}

/// A shipped scenario, for so many minutes, with other values for some fields (path and value, as `--set` takes them).
pub fn config(name: &str, minutes: i64, settings: &[(&str, &str)]) -> Config {
    let setting = |(path, value): &(&str, &str)| Setting {
        path: (*path).to_owned(),
        value: (*value).to_owned(),
        written: Written::Option("--set #1".to_owned()),
    };
    chosen(name, minutes, Choice { policy: None, settings: settings.iter().map(setting).collect() })
}

/// A policy of a shipped scenario, for so many minutes.
pub fn policy(name: &str, minutes: i64, policy: &str) -> Config {
    chosen(name, minutes, Choice { policy: Some(policy.to_owned()), settings: Vec::new() })
}

fn chosen(name: &str, minutes: i64, choice: Choice) -> Config {
    let catalog = catalog::embedded();
    let (names, mut diagnostics) = (Catalogue::from(catalog), Diagnostics::default());
    let loaded = load_variant(&path(name), &[], &choice, &DiskFiles, &names, &mut diagnostics);
    let mut config = resolve::config(&loaded.expect("a shipped scenario"), catalog);
    config.horizon = SimTime::from_seconds(minutes * 60);
    config
}
