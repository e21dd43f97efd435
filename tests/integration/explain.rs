//! `karpsim explain`: the account of a stored run.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name)
}

fn karpsim() -> Command {
    Command::cargo_bin("karpsim").expect("the program is built")
}

/// The folder of results of a run.
fn run(scenario: &Path, options: &[&str]) -> TempDir {
    let place = TempDir::new().expect("a temporary folder");
    let mut command = karpsim();
    command.arg("run").arg(scenario).args(["--no-plot", "--out"]).arg(place.path().join("r"));
    let output = command.args(options).output().expect("runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    place
}

/// Exit code, stdout and stderr of an explanation.
fn explain(place: &TempDir, what: &[&str]) -> (Option<i32>, String, String) {
    let mut command = karpsim();
    let output =
        command.arg("explain").arg(place.path().join("r")).args(what).output().expect("runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The account, on one line with single spaces, so that no line break matters.
fn account(place: &TempDir, what: &[&str]) -> String {
    let (code, stdout, stderr) = explain(place, what);
    assert_eq!(code, Some(0), "{what:?}: {stderr}");
    assert!(
        stdout.lines().all(|line| line.chars().count() <= 100 || !line.trim().contains(' ')),
        "{stdout}"
    );
    stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

/// `questions.md` 4.1, A1 to A4: the first node is the only one and as cheap as its pods allow, until they are four
/// fewer.
#[test]
fn the_workshops_first_node_stays_until_a_smaller_one_does() {
    let place = run(&scenario("eks-workshop.ron"), &[]);
    let node = account(&place, &["node/default-00001"]);
    has(
        &node,
        &[
            "node default-00001 (on-demand m5.large in us-west-2b, $0.0960/h, NodePool default) went with command 1",
            "planned for other/inflate-2, other/inflate-1",
            "DisruptionBlocked [nominated]: Node is nominated for a pending pod",
            "consolidateAfter is 1m",
            "SingleNodeConsolidation [price]: Can't replace with a cheaper node",
            "[budget]: No allowed disruptions for disruption reason Underutilized due to blocking budget \
             (NodePool=default)",
        ],
    );
    assert_eq!(account(&place, &["nodeclaim/default-00001"]), node);
    assert_eq!(account(&place, &["default-00001"]), node);
    let index = account(&place, &[]);
    has(
        &index,
        &["3 commands computed, 3 started", "command/0 Emptiness delete default-00002 (Empty)"],
    );
    let command = account(&place, &["command/1"]);
    has(
        &command,
        &[
            "replace default-00001 (Underutilized), 1 pod, saves $0.0110/h",
            "1. default-00001 on-demand m5.large $0.0960/h 1 pod cost of moving 2.00 ratio 0.0480",
            "c5.large $0.0850/h",
            "yes, saves $0.0110/h",
        ],
    );
    let time = account(&place, &["--at", "12m30s"]);
    has(
        &time,
        &[
            "the pass of +00:12:30 was the last one",
            "default-00001",
            "Can't replace with a cheaper node",
        ],
    );
    assert_eq!(account(&place, &["--at", "2026-01-05T09:12:30Z"]), time);
    assert_eq!(account(&place, &["--at", "+00:12:30"]), time);
}

#[test]
fn neither_originals_nor_their_place_are_needed() {
    let copy = TempDir::new().expect("a temporary folder");
    let manifests = copy.path().join("eks-workshop");
    fs::create_dir(&manifests).expect("created");
    fs::copy(scenario("eks-workshop.ron"), copy.path().join("s.ron")).expect("copied");
    for entry in fs::read_dir(scenario("eks-workshop")).expect("the shipped manifests") {
        let path = entry.expect("readable").path();
        fs::copy(&path, manifests.join(path.file_name().expect("a name"))).expect("copied");
    }
    let settings = [
        "--set",
        "NodePool/default:spec.disruption.consolidateAfter=5m",
        "--seed",
        "7",
        "--until",
        "1h",
    ];
    let place = run(&copy.path().join("s.ron"), &settings);
    drop(copy);
    has(&account(&place, &["default-00001"]), &["consolidateAfter is 5m"]);
}

#[test]
fn another_run_is_not_explained() {
    let place = run(&scenario("eks-workshop.ron"), &["--until", "1h"]);
    let path = place.path().join("r/inputs.json");
    let inputs = fs::read_to_string(&path).expect("written");
    let changed = inputs.replace("consolidateAfter: 1m", "consolidateAfter: 2m");
    assert_ne!(inputs, changed);
    fs::write(&path, changed).expect("written");
    let (code, stdout, stderr) = explain(&place, &[]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("comes to another result"), "{stderr}");
}

#[test]
fn unknown_names_and_times_are_refused() {
    let place = run(&scenario("eks-workshop.ron"), &["--until", "1h"]);
    let (code, _, stderr) = explain(&place, &["node/default-0001"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("did you mean node/default-0000"), "{stderr}");
    for what in ["command/99", "pod/other/none", "nobody"] {
        assert_eq!(explain(&place, &[what]).0, Some(2), "{what}");
    }
    let (code, _, stderr) = explain(&place, &["--at", "noon"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("2h13m"), "{stderr}");
}

/// A witness changes no decision and no byte of the results.
#[test]
fn the_trace_on_stderr_changes_no_result() {
    let name = scenario("eks-workshop.ron");
    let (quiet, traced) = (run(&name, &["--until", "2h"]), run(&name, &["--until", "2h", "-vv"]));
    for file in ["events.log", "inputs.json", "nodes.csv", "series.csv", "summary.json"] {
        let read = |place: &TempDir| fs::read(place.path().join("r").join(file)).expect("written");
        assert!(read(&quiet) == read(&traced), "{file} differs");
    }
    let output = karpsim()
        .args(["run", "--no-plot", "--until", "30m", "-vv", "--out"])
        .arg(traced.path().join("other"))
        .arg(&name)
        .output()
        .expect("runs");
    let stderr = String::from_utf8(output.stderr).expect("text");
    for part in
        ["SingleNodeConsolidation: command 1", "Can't replace with a cheaper node", "the same in "]
    {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
}
