//! The program as users run it: exit codes, streams, files, the same bytes everywhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn workshop() -> PathBuf {
    repository().join("scenarios/eks-workshop.ron")
}

fn karpsim() -> Command {
    Command::cargo_bin("karpsim").expect("the program is built")
}

/// A copy of the workshop scenario in a folder of its own.
fn copy() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let from = repository().join("scenarios");
    fs::copy(from.join("eks-workshop.ron"), folder.path().join("s.ron")).expect("copied");
    let manifests = folder.path().join("eks-workshop");
    fs::create_dir(&manifests).expect("created");
    for entry in fs::read_dir(from.join("eks-workshop")).expect("the shipped manifests") {
        let path = entry.expect("readable").path();
        fs::copy(&path, manifests.join(path.file_name().expect("a name"))).expect("copied");
    }
    folder
}

/// Replaces a part of a file of the copy.
fn edit(folder: &TempDir, file: &str, from: &str, to: &str) {
    let path = folder.path().join(file);
    let text = fs::read_to_string(&path).expect("a text");
    assert!(text.contains(from), "{file} holds no {from}");
    fs::write(&path, text.replacen(from, to, 1)).expect("written");
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder of results");
    let read = |path: PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, fs::read(path).expect("readable"))
    };
    entries.map(|entry| read(entry.expect("readable").path())).collect()
}

#[test]
fn the_main_job_answers_and_writes_its_files() {
    let place = TempDir::new().expect("a temporary folder");
    let output = karpsim().current_dir(&place).arg("run").arg(workshop()).output().expect("runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).expect("text");
    assert!(stdout.lines().count() <= 30, "{stdout}");
    let names: Vec<String> =
        files(&place.path().join("reports/eks-workshop")).into_keys().collect();
    let expected = [
        ".karpsim",
        "events.log",
        "inputs.json",
        "nodes.csv",
        "report.png",
        "series.csv",
        "summary.json",
    ];
    assert_eq!(names, expected);
}

#[test]
fn two_runs_write_the_same_bytes_wherever_they_run() {
    let (here, there, copied) = (TempDir::new(), TempDir::new(), copy());
    let (here, there) = (here.expect("a folder"), there.expect("a folder"));
    let first = karpsim()
        .current_dir(&here)
        .env("TZ", "America/New_York")
        .arg("run")
        .arg(workshop())
        .output()
        .expect("runs");
    let second = karpsim()
        .current_dir(&there)
        .env("TZ", "Asia/Tokyo")
        .env("LANG", "de_DE.UTF-8")
        .arg("run")
        .arg(copied.path().join("s.ron"))
        .args(["--out", "elsewhere"])
        .output()
        .expect("runs");
    assert_eq!((first.status.code(), second.status.code()), (Some(0), Some(0)));
    let results = files(&here.path().join("reports/eks-workshop"));
    for (name, bytes) in files(&there.path().join("elsewhere")) {
        assert!(results.get(&name) == Some(&bytes), "{name} differs");
    }
}

#[test]
fn a_step_about_offerings_that_nobody_launches_is_warned_of() {
    let folder = copy();
    let step =
        |pattern: &str| format!("timeline: [At(\"2h\", StockOut({pattern}, lasts: \"1h\")),");
    let check = |pattern: &str| {
        edit(&folder, "s.ron", "timeline: [", &step(pattern));
        let output =
            karpsim().current_dir(&folder).args(["check", "s.ron"]).output().expect("runs");
        edit(&folder, "s.ron", &step(pattern), "timeline: [");
        String::from_utf8_lossy(&output.stderr).contains("KS0217")
    };
    assert!(check("types: \"p5.*\"") && check("capacity_type: \"spot\""));
    assert!(!check("types: \"m5.*\"") && !check("capacity_type: \"on-demand\""));
}

#[test]
fn a_deployment_that_fits_no_type_is_warned_of_and_stands_first() {
    let folder = copy();
    edit(&folder, "eks-workshop/inflate.yaml", "memory: 1Gi", "memory: 64Gi");
    let run = |strict: &[&str]| {
        let mut command = karpsim();
        command.current_dir(&folder).args(["run", "s.ron", "--until", "2h"]).args(strict);
        command.output().expect("runs")
    };
    let output = run(&[]);
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("KS0215") && stderr.contains("inflate.yaml:"), "{stderr}");
    let first = stdout.lines().next().unwrap_or_default();
    assert!(first.contains("5 pods") && first.contains("Deployment/other/inflate"), "{stdout}");
    assert_eq!(run(&["--strict"]).status.code(), Some(5));
}

/// Each mistake: what to edit, the code, the place, and what the message must say.
#[test]
fn bad_input_is_said_with_its_place_and_nothing_is_written() {
    let pool = "eks-workshop/nodepool.yaml";
    let inflate = "eks-workshop/inflate.yaml";
    let cases: [(&str, &str, &str, &str, &str); 14] = [
        (pool, "expireAfter: 72h", "expireAftr: 72h", "KS0302", "expireAfter"),
        ("s.ron", "horizon:", "horizn:", "KS0202", "horizon"),
        (pool, "WhenEmptyOrUnderutilized", "WhenUnderutilised", "KS0307", "WhenEmpty"),
        (pool, "1000Gi", "1000Gb", "KS0305", "1Gi"),
        (pool, "consolidateAfter: 1m", "consolidateAfter: 1 minute", "", "minute"),
        ("s.ron", "\"80h\"", "\"80 hours\"", "KS0205", "72h"),
        (pool, "c5.large", "c5.lagre", "", "c5.large"),
        (
            pool,
            "        name: default\n      expireAfter",
            "        name: other\n      expireAfter",
            "",
            "other",
        ),
        ("s.ron", "\"eks-workshop/\"", "\"eks-wrkshop/\"", "", "eks-wrkshop"),
        (inflate, "  replicas: 0", "  replicas: 0\n  replicas: 1", "", "replicas"),
        (
            inflate,
            "apiVersion: v1",
            "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]\ng: [*f, *f, *f, *f, *f, *f, *f, *f, *f]\napiVersion: v1",
            "",
            "alias",
        ),
        (pool, "${KARPENTER_ROLE}", "${KARPENTER_RLE}", "", "KARPENTER_RLE"),
        (
            pool,
            "---\n",
            "---\napiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata: {name: default}\nspec: {template: {spec: {requirements: [], nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: default}}}}\n---\n",
            "",
            "default",
        ),
        (pool, "cpu: \"1000\"", "cpu: -1", "", "cpu"),
    ];
    for (file, from, to, code, said) in cases {
        let folder = copy();
        edit(&folder, file, from, to);
        let output = karpsim().current_dir(&folder).args(["run", "s.ron"]).output().expect("runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{to}: {stderr}");
        assert!(output.stdout.is_empty(), "{to}");
        assert!(stderr.contains("error[KS") && stderr.contains(code), "{to}: {stderr}");
        assert!(stderr.contains(said), "{to}: {stderr}");
        assert!(
            stderr.contains(&format!("{file}:")) || stderr.contains("s.ron:"),
            "{to}: {stderr}"
        );
        assert!(!folder.path().join("reports").exists(), "{to}: something was written");
    }
}

#[test]
fn only_folders_of_karpsim_are_written_over() {
    let folder = copy();
    fs::create_dir(folder.path().join("mine")).expect("created");
    fs::write(folder.path().join("mine/thesis.txt"), "years of work").expect("written");
    let run = |more: &[&str]| {
        let mut command = karpsim();
        command
            .current_dir(&folder)
            .args(["run", "s.ron", "--until", "1h", "--no-plot"])
            .args(more);
        command.output().expect("runs").status.code()
    };
    assert_eq!(run(&["--out", "mine"]), Some(1));
    assert_eq!(files(&folder.path().join("mine")).len(), 1);
    assert_eq!(run(&["--out", "new"]), Some(0));
    assert_eq!(run(&["--out", "new"]), Some(0));
    assert_eq!(run(&["--out", "mine", "--force"]), Some(0));
    let kept = fs::read_to_string(folder.path().join("mine/thesis.txt")).expect("still there");
    assert_eq!(kept, "years of work");
}

#[test]
fn the_log_of_the_controller_goes_to_stdout_alone() {
    let folder = copy();
    let output = karpsim()
        .current_dir(&folder)
        .args(["run", "s.ron", "--until", "1h", "--no-plot", "--log", "json"])
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(0));
    let stdout = String::from_utf8(output.stdout).expect("text");
    let mut messages = Vec::new();
    for line in stdout.lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect("a JSON object a line");
        assert!(
            value["time"].is_string() && value["level"].is_string() && value["logger"].is_string()
        );
        messages.push(value["message"].as_str().expect("a message").to_owned());
    }
    for message in ["created nodeclaim", "launched nodeclaim", "initialized nodeclaim"] {
        assert!(messages.iter().any(|m| m == message), "no {message}");
    }
}

#[test]
fn wrong_use_ends_with_2() {
    for arguments in
        [&["run"][..], &["rnu"], &["run", "s.ron", "--png-size", "1x1"], &["run", "nothing.ron"]]
    {
        let folder = copy();
        let output = karpsim().current_dir(&folder).args(arguments).output().expect("runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn check_says_what_would_be_run() {
    let output = karpsim().arg("check").arg(workshop()).output().expect("runs");
    let stdout = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout.starts_with("eks-workshop can be run."), "{stdout}");
}

#[test]
fn invariants_hold_after_every_event_of_the_main_job() {
    let folder = copy();
    let mut command = karpsim();
    command.current_dir(&folder).args(["run", "s.ron", "--invariants", "--no-plot"]);
    let output = command.output().expect("runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn init_writes_a_scenario_that_runs_and_never_writes_over_one() {
    let folder = TempDir::new().expect("a temporary folder");
    let run = |arguments: &[&str]| {
        let mut command = karpsim();
        command.current_dir(&folder).args(arguments).output().expect("runs").status.code()
    };
    assert_eq!(run(&["init", "mine"]), Some(0));
    assert_eq!(run(&["run", "mine/eks-workshop.ron", "--until", "1h"]), Some(0));
    assert_eq!(run(&["init", "mine"]), Some(1));
}

#[test]
fn scenarios_and_manifests_are_read_from_stdin() {
    let folder = copy();
    let scenario = fs::read_to_string(folder.path().join("s.ron")).expect("a text");
    let mut command = karpsim();
    command.current_dir(&folder).args(["check", "-"]).write_stdin(scenario);
    assert_eq!(command.output().expect("runs").status.code(), Some(0));
    // The NodePool of the folder moves to stdin; a mistake in it is said to be there.
    let pool = folder.path().join("eks-workshop/nodepool.yaml");
    let manifests = fs::read_to_string(&pool).expect("a text");
    fs::remove_file(&pool).expect("removed");
    let check = |manifests: String| {
        let mut command = karpsim();
        command.current_dir(&folder).args(["check", "s.ron", "--manifests", "-"]);
        command.write_stdin(manifests).output().expect("runs")
    };
    assert_eq!(check(manifests.clone()).status.code(), Some(0));
    let output = check(manifests.replace("expireAfter: 72h", "expireAfter: soon"));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("<stdin>:22:"));
}

#[test]
fn completions_and_man_pages_come_from_the_grammar() {
    let folder = TempDir::new().expect("a temporary folder");
    let output = karpsim().args(["completions", "bash"]).output().expect("runs");
    assert!(String::from_utf8_lossy(&output.stdout).contains("karpsim"));
    let mut command = karpsim();
    assert_eq!(
        command.current_dir(&folder).args(["man", "man1"]).output().expect("runs").status.code(),
        Some(0)
    );
    assert!(folder.path().join("man1/karpsim-run.1").exists());
}

/// The total is the last line; a case that differs is exit code 3, a file that cannot be read exit code 2.
#[test]
fn recordings_are_replayed_and_the_total_is_the_last_line() {
    let selection = repository().join("tests/conformance/provision.jsonl.gz");
    let output = karpsim().arg("conformance").arg(&selection).output().expect("runs");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(
        text.lines().last().expect("a total").starts_with("total: 44 of 44 cases equal"),
        "{text}"
    );

    let place = TempDir::new().expect("a temporary folder");
    let row = place.path().join("row.jsonl");
    fs::write(&row, "{\"keys\": [2, 1], \"order\": [0, 1]}\n").expect("written");
    let output = karpsim().arg("conformance").arg(&row).arg("--json").output().expect("runs");
    assert_eq!(output.status.code(), Some(3));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["total"]["different"], 1);

    fs::write(&row, "{\n").expect("written");
    let output = karpsim().arg("conformance").arg(&row).output().expect("runs");
    assert_eq!(output.status.code(), Some(2));
}

/// A6 and A7 of the acceptance scenarios: what is left of the nodes by the end, by instance type.
#[test]
fn held_replicas_are_consolidated_as_budget_and_policy_allow() {
    let two = vec!["m5.large".to_owned(), "m5.large".to_owned()];
    let expected = [
        ("budget-100", vec!["r5.large".to_owned()]),
        ("budget-100-balanced", two.clone()),
        ("default-budget", two),
    ];
    for (policy, types) in expected {
        let place = TempDir::new().expect("a temporary folder");
        let scenario = repository().join("scenarios/eks-workshop-hold.ron");
        let mut command = karpsim();
        command.current_dir(&place).arg("run").arg(scenario);
        command.args(["--policy", policy, "--no-plot", "--invariants", "--out", "out"]);
        let output = command.output().expect("runs");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let nodes = fs::read_to_string(place.path().join("out/nodes.csv")).expect("written");
        let mut rows = csv::Reader::from_reader(nodes.as_bytes());
        let head = rows.headers().expect("a head").clone();
        let column = |name: &str| head.iter().position(|h| h == name).expect("a column");
        let (instance_type, terminating) = (column("instance_type"), column("terminating_s"));
        let rows: Vec<_> = rows.records().map(|row| row.expect("a row")).collect();
        let left = rows.iter().filter(|row| row[terminating].is_empty());
        let left: Vec<String> = left.map(|row| row[instance_type].to_owned()).collect();
        assert_eq!(left, types, "{policy}");
    }
}

#[test]
fn a_step_that_applies_an_invalid_node_pool_is_said_with_its_time() {
    let folder = copy();
    let pool = folder.path().join("eks-workshop/nodepool.yaml");
    let pool = fs::read_to_string(pool).expect("a text");
    let later =
        pool.replace("consolidateAfter: 1m", "consolidateAfter: 1m\n    budgets: [{nodes: 110%}]");
    fs::write(folder.path().join("later.yaml"), later).expect("written");
    let last = "At(\"44m\", Scale(\"Deployment/other/inflate\", 5)),";
    edit(&folder, "s.ron", last, "At(\"30m\", Apply(\"later.yaml\")),");
    let output = karpsim().current_dir(&folder).args(["run", "s.ron"]).output().expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("later.yaml:29:"), "{stderr}");
    assert!(stderr.contains("a step of the timeline applies this at 30m"), "{stderr}");
}

/// A gate that is off holds for what comes later as well, and what is read at the start alone may not come later.
#[test]
fn what_a_step_applies_is_refused_as_at_the_start() {
    let folder = copy();
    let pool = folder.path().join("eks-workshop/nodepool.yaml");
    let pool =
        fs::read_to_string(pool).expect("a text").replace("limits:", "replicas: 2\n  limits:");
    let class = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: gp3}\n\
                 provisioner: ebs.csi.aws.com\n";
    fs::write(folder.path().join("later.yaml"), format!("{class}---\n{pool}")).expect("written");
    let last = "At(\"44m\", Scale(\"Deployment/other/inflate\", 5)),";
    edit(&folder, "s.ron", last, "At(\"30m\", Apply(\"later.yaml\")),");
    let output = karpsim().current_dir(&folder).args(["run", "s.ron"]).output().expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    for said in ["KS0330", "KS0313", "StorageClass that is applied during the run is not modelled"]
    {
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
}

#[test]
fn random_clusters_are_counted_and_a_case_can_be_written_and_run() {
    let folder = TempDir::new().expect("a temporary folder");
    let case = folder.path().join("case");
    let mut command = karpsim();
    command.args(["fuzz", "--seed", "11", "--runs", "3", "--write"]).arg(&case);
    let output = command.assert().success().get_output().clone();
    let text = String::from_utf8(output.stdout).expect("a text");
    assert!(
        text.starts_with("3 runs with ")
            && text.ends_with(" facts in their journals, 0 failures\n"),
        "{text}"
    );
    let one_by_one = karpsim().args(["fuzz", "--seed", "11", "--runs", "3", "-j", "1"]).output();
    assert_eq!(text.as_bytes(), one_by_one.expect("it runs").stdout);
    let mut command = karpsim();
    command.current_dir(folder.path()).args(["run", "--no-plot"]).arg(case.join("cluster.ron"));
    command.assert().success();
    let help = karpsim().arg("--help").output().expect("it runs");
    assert!(!String::from_utf8_lossy(&help.stdout).contains("fuzz"));
}
