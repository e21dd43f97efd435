//! Recorded decisions of Karpenter itself, replayed: a selection that lies in the repository, and all of them where
//! they are there.

use std::io::Write;
use std::path::{Path, PathBuf};

use karpsim::conformance::{self, Options, Report};
use serde_json::{Value, json};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn run(path: &Path) -> Report {
    conformance::run(&[path.to_owned()], &Options::default())
}

#[test]
fn selected_cases_are_decided_as_karpenter_decided_them() {
    let report = run(&root("tests/conformance"));
    let text = report.to_text(false, false);
    assert!(report.problems.is_empty(), "{text}");
    for case in report.groups.iter().flat_map(|group| &group.cases) {
        assert!(case.is_equal(), "{}\n{text}", case.name);
    }
}

/// Prints the agreement with all recordings, none of which differs; skipped where they are not there.
#[test]
fn survey_of_recorded_cases() {
    for folder in ["provision", "disrupt", "primitives"] {
        let path = root("../shared/conformance").join(folder);
        if !path.exists() {
            println!("skipped: {} is not there", path.display());
            continue;
        }
        let report = run(&path);
        println!("{}", report.to_text(false, false));
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        assert_eq!(report.total().different, 0, "{folder}");
        if folder == "provision" {
            assert_eq!(report.total().equal, report.total().cases);
        }
    }
}

/// The first selected case of a profile, with its canonical outcome as `result`.
fn selected(kind: &str, profile: &str) -> Value {
    let file = std::fs::File::open(root("tests/conformance").join(format!("{kind}.jsonl.gz")))
        .expect("the selection is in the repository");
    let text = std::io::read_to_string(flate2::read::GzDecoder::new(file)).expect("valid gzip");
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("valid JSON"))
        .find(|value| value["case"]["profile"] == profile)
        .expect("the profile is in the selection")
}

fn write(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a writable temporary folder");
    (folder, path)
}

/// The level that a case reaches after `damage` to its recorded outcome.
fn level_after(kind: &str, profile: &str, damage: impl Fn(&mut Value)) -> usize {
    let mut value = selected(kind, profile);
    assert_eq!(value["canonical"], "same");
    damage(&mut value["result"]);
    let (_folder, path) = write("case.jsonl", value.to_string().as_bytes());
    let report = run(&path);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    report.groups[0].cases[0].level()
}

/// Every level can fail, and fails for what it is about.
#[test]
fn a_recorded_outcome_that_differs_is_found_at_its_level() {
    let level = |damage: &dyn Fn(&mut Value)| level_after("provision", "seed", damage);
    assert_eq!(level(&|_| {}), 6);
    let claim = |result: &mut Value| result["newNodeClaims"][0].take();
    assert_eq!(level(&|result| drop(claim(result)["pods"].take())), 0);
    assert_eq!(level(&|result| result["summary"]["unschedulable"] = json!(["default/x"])), 1);
    assert_eq!(level(&|result| result["newNodeClaims"][0]["launch"]["price"] = json!(9.0)), 2);
    assert_eq!(level(&|result| result["newNodeClaims"][0]["launch"]["zone"] = json!("x")), 3);
    assert_eq!(level(&|result| result["newNodeClaims"][0]["options"] = json!([0, 1])), 4);
    assert_eq!(level(&|result| result["newNodeClaims"][0]["requests"]["cpu"] = json!("1m")), 5);
    let requirement = json!({ "key": "team", "operator": "In", "values": ["x"] });
    assert_eq!(
        level(&|result| result["newNodeClaims"][0]["requirements"] = json!([requirement])),
        5
    );
}

#[test]
fn a_recorded_disruption_that_differs_is_found_at_its_level() {
    // Single-node consolidation finds a command in both; in the second one a method before it does so too.
    let single = |profile: &str, change: &dyn Fn(&mut Value)| {
        level_after("disrupt", profile, |result| change(&mut result["methods"][4]))
    };
    assert_eq!(single("replace", &|_| {}), 5);
    assert_eq!(single("replace", &|m| m["candidates"][0]["savingsRatio"] = json!(1e3)), 0);
    assert_eq!(single("replace", &|m| m["budgets"]["default"] = json!(77)), 1);
    assert_eq!(single("replace", &|m| m["commands"] = json!([])), 2);
    let replacement = |change: &dyn Fn(&mut Value)| {
        single("replace", &|m| change(&mut m["commands"][0]["replacements"][0]))
    };
    assert_eq!(replacement(&|claim| claim["options"] = json!([0])), 2);
    assert_eq!(replacement(&|claim| claim["requests"]["cpu"] = json!("1m")), 4);
    assert_eq!(single("multi-node", &|m| m["commands"][0]["savings"] = json!(0.5)), 3);
    assert_eq!(single("multi-node", &|m| m["commands"][0]["placement"] = json!({})), 3);
}

/// Each table's rows can fail.
#[test]
fn a_row_with_another_answer_is_found() {
    let folder = root("tests/conformance/primitives");
    for entry in std::fs::read_dir(folder).expect("the selection is in the repository") {
        let path = entry.expect("a readable folder").path();
        let file = std::fs::File::open(&path).expect("a readable file");
        let text = std::io::read_to_string(flate2::read::GzDecoder::new(file)).expect("valid gzip");
        let mut row: Value =
            serde_json::from_str(text.lines().last().expect("rows")).expect("JSON");
        let answers = [
            "order",
            "sum",
            "operator",
            "intersects",
            "Empty",
            "requests",
            "cost",
            "tolerates",
            "conflict",
            "adjusted",
            "allocatable",
        ];
        let answer = answers.into_iter().find(|key| row.get(key).is_some()).expect("an answer");
        row[answer] = json!({ "cpu": "77" });
        if answer == "sum" {
            row[answer] = json!("77n");
        }
        let (_folder, path) = write("row.jsonl", row.to_string().as_bytes());
        let report = run(&path);
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        let total = report.total();
        let is_refused = total.not_modelled == 1;
        assert!(total.different == 1 || is_refused, "{}: {answer}", path.display());
    }
}

#[test]
fn files_that_cannot_be_read_are_named_with_line_and_reason() {
    let problem = |name: &str, bytes: &[u8]| {
        let (_folder, path) = write(name, bytes);
        let report = run(&path);
        assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
        report.problems[0].clone()
    };
    let whole = std::fs::read(root("tests/conformance/provision.jsonl.gz")).expect("readable");
    let cut = problem("cut.jsonl.gz", &whole[..whole.len() / 2]);
    assert!(
        cut.contains("cut.jsonl.gz: line ") && cut.ends_with("the gzip stream is cut off"),
        "{cut}"
    );
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0xff;
    let damaged = problem("damaged.jsonl.gz", &damaged);
    assert!(damaged.contains("damaged.jsonl.gz: line "), "{damaged}");
    let line = selected("provision", "basic").to_string();
    let mut text = Vec::new();
    writeln!(text, "{line}\n{{\"case\": }}").expect("memory");
    let malformed = problem("malformed.jsonl", &text);
    assert!(
        malformed.contains("malformed.jsonl: line 2: column 10: expected value"),
        "{malformed}"
    );
    let mut odd = selected("provision", "basic");
    let objects = odd["case"]["objects"].as_array_mut().expect("objects");
    let pool = objects.iter_mut().find(|o| o["kind"] == "NodePool").expect("a NodePool");
    pool["spec"] = json!(7);
    let odd = problem("odd.jsonl", odd.to_string().as_bytes());
    assert!(odd.contains("odd.jsonl: line 1: basic-"), "{odd}");
    let unknown = problem("unknown.jsonl", b"{\"x\": 1}\n");
    assert!(unknown.ends_with("line 1: this is no recording of a kind that is known"), "{unknown}");
    assert!(run(Path::new("nowhere.jsonl")).problems[0].contains("no such file"));
}
