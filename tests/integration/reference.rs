//! `docs/scenario.md` against the program: its examples load, and it leaves nothing out.

use std::path::Path;

use crate::scenario::{load_with_file, problems};

const HEAD: &str =
    "Scenario(horizon: \"24h\", cluster: (region: \"us-west-2\", manifests: [\"m/\"],
    env: { \"ROLE\": \"NodeRole\", \"CLUSTER\": \"shop\" }),";
/// What the examples apply.
const LATER: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: later, namespace: shop}
spec:
  selector: {matchLabels: {app: later}}
  template:
    metadata: {labels: {app: later}}
    spec: {containers: [{name: main, resources: {requests: {cpu: 1}}}]}
";

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(path).expect("a file of the repository")
}

/// The blocks of RON, in order.
fn blocks(text: &str) -> Vec<&str> {
    let after = |part: &'static str| move |text: &&str| text.starts_with(part);
    let parts = text.split("```").skip(1).step_by(2).filter(after("ron\n"));
    parts.map(|part| part.trim_start_matches("ron\n")).collect()
}

#[test]
fn examples_load() {
    let text = read("docs/scenario.md");
    let found = blocks(&text);
    let [whole, timeline, workloads, policies] = found[..] else {
        panic!("{} blocks of RON", found.len());
    };
    let fields = policies.trim().trim_start_matches('(').trim_end_matches(')');
    let scenarios = [
        whole.to_owned(),
        format!("{HEAD} timeline: {timeline})"),
        format!("{HEAD} workloads: {workloads})"),
        format!("{HEAD} {fields})"),
    ];
    for scenario in scenarios {
        let (loaded, diagnostics) = load_with_file(&scenario, "later.yaml", LATER);
        assert_eq!(problems(&diagnostics), [""; 0], "{scenario}");
        assert!(loaded.is_some());
    }
}

#[test]
fn no_setting_is_left_out() {
    let text = read("docs/scenario.md");
    let schema = read("src/scenario/schema.rs");
    let words: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
    let mut names: Vec<&str> = schema.lines().filter_map(name).collect();
    names.retain(|name| !["Scenario", "fn", "struct", "enum"].contains(name));
    assert!(names.len() > 100, "{} names in the schema", names.len());
    names.retain(|name| !words.contains(name));
    assert_eq!(names, [""; 0], "docs/scenario.md does not have them");
}

/// The field or variant that a line of the schema declares.
fn name(line: &str) -> Option<&str> {
    let outer = line.strip_prefix("    ")?;
    let line = outer.strip_prefix("    ").unwrap_or(outer);
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let end = line.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    let (name, rest) = line.split_at(end);
    let is_field = rest.starts_with(": ") && line.ends_with(',') && !line.contains("::");
    let is_variant = outer.starts_with(char::is_uppercase) && [",", " {"].contains(&rest)
        || rest.starts_with('(') && line.ends_with("),");
    (!name.is_empty() && (is_field || is_variant)).then_some(name)
}

/// The README's first command writes over the results that are committed; without its marker a folder is not touched.
#[test]
fn committed_results_may_be_written_over() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports");
    let folders = std::fs::read_dir(place).expect("the folder of results");
    let paths: Vec<_> = folders.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let bare: Vec<_> = paths.iter().filter(|path| !path.join(".karpsim").exists()).collect();
    assert!(paths.len() >= 10 && bare.is_empty(), "without a marker: {bare:?}");
}
