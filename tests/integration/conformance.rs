//! Recorded decisions of Karpenter itself, replayed: a selection that lies in the repository, and all of them where
//! they are there.

use std::io::Write;
use std::path::{Path, PathBuf};

use karpsim::conformance::{
    self, DisruptionPass, NotComparable, Options, ProvisioningPass, Report,
};
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
    let mut all = all_selected(kind).into_iter();
    all.find(|value| value["case"]["profile"] == profile).expect("the profile is in the selection")
}

fn all_selected(kind: &str) -> Vec<Value> {
    let file = std::fs::File::open(root("tests/conformance").join(format!("{kind}.jsonl.gz")))
        .expect("the selection is in the repository");
    let text = std::io::read_to_string(flate2::read::GzDecoder::new(file)).expect("valid gzip");
    text.lines().map(|line| serde_json::from_str::<Value>(line).expect("valid JSON")).collect()
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

/// A case of one NodePool, with these requirements, and pods, by spec; types have 2 and 4 CPUs in two zones.
fn case(requirements: &Value, specs: &[Value]) -> Value {
    let instance_type = |cpu: i64| {
        let name = format!("t{cpu}");
        let offer = |zone| json!({ "zone": zone, "capacityType": "on-demand", "price": cpu, "available": true });
        json!({
            "name": name, "capacity": { "cpu": cpu.to_string(), "memory": "8Gi", "pods": "20" },
            "offerings": [offer("z1"), offer("z2")],
            "requirements": [
                { "key": "node.kubernetes.io/instance-type", "operator": "In", "values": [name] },
                { "key": "topology.kubernetes.io/zone", "operator": "In", "values": ["z1", "z2"] },
                { "key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"] },
            ],
        })
    };
    let class = json!({ "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" });
    let mut objects = vec![json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": { "name": "default" },
        "spec": { "template": { "spec": { "requirements": requirements, "nodeClassRef": class } } },
        "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
    })];
    objects.extend(specs.iter().enumerate().map(|(i, spec)| {
        let name = format!("pod-{i:05}");
        json!({
            "apiVersion": "v1", "kind": "Pod", "spec": spec,
            "metadata": { "name": name, "namespace": "default", "uid": name },
        })
    }));
    json!({
        "now": "2026-01-01T00:00:00Z", "options": {}, "kind": "provision", "name": "made",
        "instanceTypes": [instance_type(2), instance_type(4)], "objects": objects,
    })
}

/// A pod's spec with so much CPU and terms that a node must satisfy.
fn wanting(cpu: &str, expressions: &Value) -> Value {
    json!({
        "containers": [{ "name": "main", "resources": { "requests": { "cpu": cpu } } }],
        "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution":
            { "nodeSelectorTerms": [{ "matchExpressions": expressions }] } } },
    })
}

/// A pod's spec with two containers of so much memory.
fn two_of(memory: &str) -> Value {
    let container =
        |name| json!({ "name": name, "resources": { "requests": { "memory": memory } } });
    json!({ "containers": [container("a"), container("b")] })
}

#[test]
fn what_cannot_be_placed_is_a_pod_error() {
    let zone = "topology.kubernetes.io/zone";
    let is_in =
        |key: &str, values: Value| json!({ "key": key, "operator": "In", "values": values });
    let contradiction = json!([is_in(zone, json!(["z1"])), is_in(zone, json!(["z2"]))]);
    let exists = json!([{ "key": zone, "operator": "Exists" }]);
    let (anything, small) = (json!([]), wanting("1", &exists));
    for (requirements, spec, words) in [
        (
            json!([is_in("node.kubernetes.io/instance-type", json!(["x9"]))]),
            small.clone(),
            "filtered out all",
        ),
        (contradiction.clone(), small, "filtered out all"),
        (anything.clone(), wanting("1", &contradiction), "met the scheduling requirements"),
        (anything.clone(), wanting("100", &exists), "no instance type has enough resources"),
        (anything.clone(), wanting("9000000000000", &exists), "enough resources"),
        (anything, two_of("7Ei"), "enough resources"),
    ] {
        let pass = ProvisioningPass::read(&case(&requirements, &[spec])).expect("a sound case");
        let solution = pass.solve();
        assert!(solution.claims.is_empty() && solution.unplaced.len() == 1, "{words}");
        assert!(solution.unplaced[0].1.contains(words), "{}", solution.unplaced[0].1);
    }
}

/// Ten thousand values of one label, in one list and as many pods: time and memory grow with the input alone.
#[test]
fn ten_thousand_label_values_are_no_matter() {
    let values: Vec<String> = (0..10_000).map(|i| format!("v{i}")).collect();
    let all = json!([{ "key": "team", "operator": "In", "values": values }]);
    let one = |value: &String| {
        let mut spec = wanting("100m", &all);
        spec["nodeSelector"] = json!({ "team": value });
        spec["affinity"] = json!({});
        spec
    };
    let specs: Vec<Value> =
        values.iter().take(300).map(one).chain([wanting("100m", &all)]).collect();
    let solution = ProvisioningPass::read(&case(&all, &specs)).expect("a sound case").solve();
    assert!(solution.unplaced.is_empty());
    assert_eq!(solution.claims.len(), 300);
    let spread = json!({
        "containers": [{ "name": "main" }],
        "topologySpreadConstraints": [{
            "topologyKey": "team", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {},
        }],
    });
    let solution = ProvisioningPass::read(&case(&all, &vec![spread; 50])).expect("sound").solve();
    assert_eq!(solution.claims.len(), 50);
}

/// Replaces the value of one place after another. Nothing of it may make the program panic.
fn damaged(value: &Value, path: &str, each: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let key = key.replace('~', "~0").replace('/', "~1");
                damaged(inner, &format!("{path}/{key}"), each);
            }
        }
        // The items of a list are much alike.
        Value::Array(list) => {
            let few = list.iter().enumerate().take(2);
            few.for_each(|(i, inner)| damaged(inner, &format!("{path}/{i}"), each));
        }
        _ => {}
    }
    if !path.is_empty() {
        each(path);
    }
}

#[test]
fn damaged_cases_are_refused_or_decided() {
    for (profile, junk) in
        [("existing-nodes", json!("junk")), ("volumes", Value::Null), ("reserved", json!(-1))]
    {
        let mut sound = selected("provision", profile)["case"].clone();
        // One object of each kind says as much as all.
        let mut kinds = Vec::new();
        let objects = sound["objects"].as_array_mut().expect("a list");
        objects.retain(|object| {
            let new = !kinds.contains(&object["kind"]);
            kinds.push(object["kind"].clone());
            new
        });
        objects.rotate_left(1);
        sound["instanceTypes"].as_array_mut().expect("a list").truncate(3);
        let (mut refused, mut decided) = (0, 0);
        let mut paths = Vec::new();
        damaged(&sound, "", &mut |path| paths.push(path.to_owned()));
        for i in 0..sound["objects"].as_array().expect("a list").len() {
            damaged(&sound["objects"][i], &format!("/objects/{i}"), &mut |path| {
                paths.push(path.to_owned())
            });
        }
        paths.sort_unstable();
        paths.dedup();
        for path in paths {
            let mut case = sound.clone();
            *case.pointer_mut(&path).expect("a place") = junk.clone();
            match ProvisioningPass::read(&case) {
                Ok(pass) => {
                    pass.solve();
                    decided += 1;
                }
                Err(NotComparable::Malformed(what) | NotComparable::NotModelled(what)) => {
                    assert!(!what.is_empty(), "{path}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 10 && decided > 10, "{profile}: {refused} refused, {decided} decided");
    }
}

/// A node whose instance type the provider no longer lists goes when it is empty, and is nothing for consolidation:
/// its price is unknown (spec/disruption.md, candidates of consolidation: `Instance Type "x" not found`).
#[test]
fn nodes_of_types_that_are_not_listed_are_empty_but_not_underutilized() {
    let commands = |case: &Value, method: &str| {
        let pass = DisruptionPass::read(case).expect("a sound case");
        pass.ask(&mut pass.keep(), method)
    };
    for (method, left) in [("Emptiness", true), ("SingleNodeConsolidation", false)] {
        let cases = all_selected("disrupt").into_iter().map(|value| value["case"].clone());
        let mut found = cases.map(|case| (commands(&case, method), case));
        let (before, mut case) = found.find(|(count, _)| *count > 0).expect("a command");
        for object in case["objects"].as_array_mut().expect("a list") {
            if ["Node", "NodeClaim"].contains(&object["kind"].as_str().expect("a kind")) {
                object["metadata"]["labels"]["node.kubernetes.io/instance-type"] = json!("x1.old");
            }
        }
        assert_eq!(commands(&case, method), if left { before } else { 0 }, "{method}");
    }
}
