//! Recorded timelines of Karpenter's own controllers, reproduced at level 6: every event at its second and in its place.

use std::io::Read;
use std::path::{Path, PathBuf};

use karpsim::conformance::{self, Comparison};
use karpsim::simulation::invariant;
use karpsim::world::Fact;
use karpsim::world::journal::CommandRef;

fn read(path: &Path) -> String {
    let file = std::fs::File::open(path).expect("the recording is in the repository");
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("valid gzip");
    text
}

fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/timelines").join(format!("{name}.json.gz"))
}

/// The recordings in this repository, all of them reproduced.
fn repository_names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/timelines");
    let entries = std::fs::read_dir(&folder).expect("the folder is in the repository");
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".json.gz").map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn departure(name: &str) -> Option<String> {
    match conformance::compare(&read(&repository(name))) {
        Ok(Comparison { first_disorder: None, recorded, .. }) if recorded > 0 => None,
        Ok(Comparison { first_difference, first_disorder, .. }) => {
            Some(format!("{name} departs: {first_difference:#?}, {first_disorder:?}"))
        }
        Err(reason) => Some(format!("{name}: {reason:?}")),
    }
}

#[test]
fn recordings_in_the_repository_are_reproduced_in_order_and_to_the_second() {
    let names = repository_names();
    assert!(names.iter().any(|name| name == "seed-a"), "{names:?}");
    let departures: Vec<String> = names.iter().filter_map(|name| departure(name)).collect();
    assert!(departures.is_empty(), "{}", departures.join("\n"));
}

#[test]
fn invariants_hold_after_every_event_of_the_recordings() {
    for name in repository_names() {
        let text = read(&repository(&name));
        let mut simulation = conformance::timeline::simulation(&text).expect("comparable");
        while let Some((at, event)) = simulation.step() {
            let started: Vec<CommandRef> = simulation
                .drain_journal()
                .filter_map(|record| match record.fact {
                    Fact::DisruptionStarted { command, .. } => Some(command),
                    _ => None,
                })
                .collect();
            let world = simulation.world();
            let checked = started.iter().try_for_each(|c| invariant::check_budgets(world, c));
            let checked = checked.and_then(|()| invariant::check(world, at, &event));
            checked.unwrap_or_else(|violation| panic!("{name}: {violation}"));
        }
    }
}

/// Recordings that are not in the repository; skipped where they are not there.
#[test]
fn all_recordings_are_reproduced() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/timeline");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: {} is not there", folder.display());
        return;
    };
    let known = repository_names();
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "gz"));
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if known.iter().any(|known| name == format!("{known}.json.gz")) {
            continue;
        }
        match conformance::compare(&read(&path)) {
            Ok(Comparison { first_disorder, .. }) => {
                assert_eq!(first_disorder, None, "{name} departs from Karpenter");
            }
            Err(reason) => panic!("{name}: {reason:?}"),
        }
    }
}
