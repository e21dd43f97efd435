//! Recorded timelines of Karpenter's own controllers, reproduced at level 5: every event at its second.

use std::io::Read;
use std::path::{Path, PathBuf};

use karpsim::conformance::{self, Comparison, NotComparable};

fn read(path: &Path) -> String {
    let file = std::fs::File::open(path).expect("the recording is in the repository");
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("valid gzip");
    text
}

fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/timelines").join(format!("{name}.json.gz"))
}

fn assert_level_5(name: &str) {
    match conformance::compare(&read(&repository(name))) {
        Ok(Comparison { first_difference: None, recorded, .. }) => assert!(recorded > 0),
        Ok(Comparison { first_difference: Some(difference), .. }) => {
            panic!("{name} departs from Karpenter: {difference:#?}")
        }
        Err(reason) => panic!("{name}: {reason:?}"),
    }
}

#[test]
fn seed_a_is_reproduced_to_the_second() {
    assert_level_5("seed-a");
}

#[test]
fn seed_b_is_reproduced_to_the_second() {
    assert_level_5("seed-b");
}

/// Prints how far all recordings are reproduced; skipped where they are not there.
#[test]
fn survey_of_all_recordings() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/timeline");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: {} is not there", folder.display());
        return;
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "gz"));
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match conformance::compare(&read(&path)) {
            Ok(Comparison { first_difference: None, .. }) => println!("{name}: level 5"),
            Ok(Comparison { first_difference: Some(d), .. }) => {
                println!(
                    "{name}: departs at {} missing {:?} unexpected {:?}",
                    d.at, d.missing, d.unexpected
                );
            }
            Err(NotComparable::NotModelled(what)) => println!("{name}: not modelled: {what}"),
            Err(NotComparable::Malformed(what)) => panic!("{name}: {what}"),
        }
    }
}
