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
            "1 pod told to go (Underutilized): other/inflate-3",
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

/// A copy of the workshop scenario as `s.ron` in a folder of its own.
fn copy() -> TempDir {
    let copy = TempDir::new().expect("a temporary folder");
    let manifests = copy.path().join("eks-workshop");
    fs::create_dir(&manifests).expect("created");
    fs::copy(scenario("eks-workshop.ron"), copy.path().join("s.ron")).expect("copied");
    for entry in fs::read_dir(scenario("eks-workshop")).expect("the shipped manifests") {
        let path = entry.expect("readable").path();
        fs::copy(&path, manifests.join(path.file_name().expect("a name"))).expect("copied");
    }
    copy
}

/// Replaces a part of a file of the copy, and writes the whole under another name.
fn edit(copy: &TempDir, file: &str, from: &str, to: &str, name: &str) {
    let text = fs::read_to_string(copy.path().join(file)).expect("a text");
    assert!(text.contains(from), "{file} holds no {from}");
    fs::write(copy.path().join(name), text.replacen(from, to, 1)).expect("written");
}

#[test]
fn neither_originals_nor_their_place_are_needed() {
    let copy = copy();
    let after = "NodePool/default:spec.disruption.consolidateAfter=5m";
    let place = run(&copy.path().join("s.ron"), &["--set", after, "--seed", "7", "--until", "1h"]);
    drop(copy);
    has(&account(&place, &["default-00001"]), &["consolidateAfter is 5m"]);
}

/// Each rule that keeps a node, in the words of Karpenter's event: a setting, and what the account says of the first
/// node at 20 minutes, when it holds five pods and nothing has happened for six minutes.
#[test]
fn nodes_stay_for_the_reasons_that_karpenter_gives() {
    let disruption = |field: &str| format!("NodePool/default:spec.disruption.{field}");
    let pod = "Deployment/other/inflate:spec.template.metadata.annotations";
    for (setting, expected) in [
        (disruption("consolidateAfter=Never"), "NodePool \"default\" has consolidation disabled"),
        (
            disruption("consolidationPolicy=WhenEmpty"),
            "NodePool \"default\" has consolidation policy WhenEmpty, but node is not empty",
        ),
        (disruption("consolidateAfter=1h"), "Node is not consolidatable before +01:14:00"),
        (
            disruption("budgets=[{\"nodes\": \"0\"}]"),
            "No allowed disruptions for disruption reason Underutilized due to blocking budget (NodePool=default)",
        ),
        (
            format!("{pod}={{\"karpenter.sh/do-not-disrupt\": \"true\"}}"),
            "DisruptionBlocked [do-not-disrupt]: Pod has \"karpenter.sh/do-not-disrupt\" annotation (Pod=other/inflate-",
        ),
    ] {
        let place = run(&scenario("eks-workshop.ron"), &["--until", "21m", "--set", &setting]);
        let account = account(&place, &["--at", "20m"]);
        assert!(account.contains(expected), "{setting}: {account}");
    }
}

#[test]
fn a_pod_disruption_budget_that_blocks_is_named() {
    let copy = copy();
    let budget = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: keep, namespace: other}\nspec: \
                  {maxUnavailable: 0, selector: {matchLabels: {app: inflate}}}\n";
    let file = copy.path().join("budget.yaml");
    fs::write(&file, budget).expect("written");
    let options = ["--until", "21m", "--manifests", file.to_str().expect("a path")];
    let place = run(&copy.path().join("s.ron"), &options);
    drop(copy);
    let expected = "DisruptionBlocked [PodDisruptionBudget]: Pdb prevents pod evictions \
                    (PodDisruptionBudget=[other/keep], Pod=other/inflate-";
    has(&account(&place, &["--at", "20m"]), &[expected]);
}

/// The NodePool loses the label that the pods want: its node is drifted, but cannot be replaced.
#[test]
fn pods_that_would_not_schedule_are_named_with_karpenters_error() {
    let copy = copy();
    let pool = "eks-workshop/nodepool.yaml";
    fs::create_dir(copy.path().join("later")).expect("created");
    edit(&copy, pool, "type: karpenter", "type: other", "later/nodepool.yaml");
    let step = "At(\"11m\", ";
    edit(
        &copy,
        "s.ron",
        step,
        "At(\"10m\", Apply(\"later/nodepool.yaml\")),\n        At(\"11m\", ",
        "t.ron",
    );
    let place = run(&copy.path().join("t.ron"), &["--until", "21m"]);
    drop(copy);
    has(
        &account(&place, &["default-00001"]),
        &[
            "drifted: NodePoolDrifted",
            "Drift [scheduling]: Not all pods would schedule, other/inflate-2 => incompatible requirements, key \
             type, type In [karpenter] not in type In [other], other/inflate-1 =>",
        ],
    );
}

/// `questions.md` 4.1, A7: the two nodes would make one r5.large, which saves 0.066 of 0.192 and moves all pods.
#[test]
fn balanced_moves_are_told_with_their_score() {
    let policies = scenario("eks-workshop-policies.ron");
    let place = run(&policies, &["--policy", "Balanced"]);
    let expected = [
        "MultiNodeConsolidation with 1 other node [Balanced]: score 0.344 < threshold 0.50 (k: 2, savings 34.4%, \
         disruption 100.0%)",
        "a new node of default for 12 pods: r5.large $0.1260/h",
        // 0.011 of 0.096 for all there is to move.
        "Can't replace with a cheaper node",
        "score 0.115 < threshold 0.50",
    ];
    has(&account(&place, &["default-00001"]), &expected);
    let time = account(&place, &["--at", "50m"]);
    has(&time, &["Balanced, NodePool default: score 0.115, needs 0.50", "c5.large $0.0850/h"]);
}

/// A pod came or went while the command waited for its validation.
#[test]
fn a_rejected_command_is_told_with_what_became_of_its_nodes() {
    let place = run(&scenario("merge-queue.ron"), &["--until", "41m"]);
    let expected = [
        "rejected at +00:39:56, churn: 1 candidates are no longer valid",
        "validated default-00002 [consolidateAfter]: Node is not consolidatable before +00:40:14",
        "MultiNodeConsolidation was asked: nothing to do",
        "no [several]: Can't remove without creating 2 candidates",
    ];
    has(&account(&place, &["command/0"]), &expected);
}

#[test]
fn a_pods_account_leads_from_its_batch_to_its_eviction() {
    let place = run(&scenario("eks-workshop.ron"), &["--until", "1h"]);
    let pod = account(&place, &["pod/other/inflate-3"]);
    has(
        &pod,
        &[
            "pod other/inflate-3 waited 38.461s and ran on default-00001, until +00:26:06 (Underutilized).",
            "kube-scheduler found no node",
            "the provisioner creates default-00001: a new node of default for 5 pods: m5.large $0.0960/h",
            "told to go from default-00001: Underutilized for command 1: replace default-00001 (Underutilized)",
            "its workload makes other/inflate-13 in its place",
        ],
    );
    assert_eq!(account(&place, &["inflate-3"]), pod);
    let (code, stdout, _) = explain(&place, &["pod/other/inflate-3", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((code, json["schema"].as_str()), (Some(0), Some("karpsim.explain/1")));
    assert_eq!(json["sections"][0]["rows"][0]["time"], "2026-01-05T09:01:00.050Z");
    let (_, stdout, _) = explain(&place, &["command/1", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    let sections = json["sections"].as_array().expect("sections").iter();
    let data: Vec<&serde_json::Value> = sections
        .flat_map(|s| s["rows"].as_array().expect("rows"))
        .map(|row| &row["data"])
        .collect();
    let candidate = data.iter().find(|data| data["candidate"] == "default-00001").expect("weighed");
    assert_eq!((&candidate["price"], &candidate["reschedule_cost"]), (&0.096.into(), &2.0.into()));
    let tried = data.iter().find(|data| data["without"][0] == "default-00001").expect("tried");
    assert_eq!(tried["new_nodes"][0]["cheapest"][0]["instance_type"], "c5.large");
}

/// The first node has 639Mi left when seven more pods come: one fits, the others need a node of their own.
#[test]
fn a_new_node_is_explained_by_what_the_old_ones_lack() {
    let place = run(&scenario("eks-workshop.ron"), &["--until", "13m"]);
    let pod = account(&place, &["pod/other/inflate-12"]);
    has(&pod, &["1 existing node, not enough room (default-00001: memory 639Mi free of 1Gi)"]);
}

/// A trace is kept in the result as well.
#[test]
fn traces_are_kept() {
    let copy = TempDir::new().expect("a temporary folder");
    let folder = copy.path().join("in");
    fs::create_dir_all(folder.join("eks-workshop")).expect("created");
    for file in ["eks-workshop/nodepool.yaml", "eks-workshop/inflate.yaml"] {
        fs::copy(scenario(file), folder.join(file)).expect("copied");
    }
    fs::write(
        folder.join("t.csv"),
        "pod_name,arrival_s,duration_s,cpu_milli,memory_mib\np1,60,300,100,512\np2,90,,100,512\n",
    )
    .expect("written");
    let text = "(name: \"t\", start: \"2026-01-05T09:00:00Z\", horizon: \"1h\", seed: 1, cluster: (region: \
                \"us-west-2\", manifests: [\"eks-workshop/\"], env: {\"KARPENTER_ROLE\": \"r\", \
                \"EKS_CLUSTER_NAME\": \"c\"}), workloads: [Trace(name: \"t\", file: \"t.csv\")])";
    fs::write(folder.join("s.ron"), text).expect("written");
    let place = run(&folder.join("s.ron"), &[]);
    drop(copy);
    has(&account(&place, &[]), &["2 pods lived"]);
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
    let (code, _, stderr) = explain(&place, &["--at", "2h"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("to +01:00:00"), "{stderr}");
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

#[test]
fn codes_of_diagnostics_are_explained() {
    let output = karpsim().args(["explain", "KS0307"]).output().expect("runs");
    let stdout = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0));
    for part in ["KS0307, error:", "Example:", "Fix: "] {
        assert!(stdout.contains(part), "{stdout}");
    }
    let output = karpsim().args(["explain", "KS0399"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean KS03"));
}

/// `questions.md` 4.1, A7: what Balanced thinks of the move that the other policy makes. A run of a comparison is
/// explained as any other, and its further replications too.
#[test]
fn a_run_of_a_comparison_is_explained() {
    let place = TempDir::new().expect("a temporary folder");
    let mut command = karpsim();
    command.arg("compare").arg(scenario("eks-workshop-policies.ron")).args(["--reps", "2"]);
    let output = command.arg("--out").arg(place.path().join("r")).output().expect("runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    has(
        &account(&place, &["--run", "Balanced", "--at", "12m"]),
        &[
            "a new node of default for 12 pods: r5.large $0.1260/h, m5.xlarge $0.1920/h",
            "score 0.344 < threshold 0.50 (k: 2, savings 34.4%, disruption 100.0%)",
        ],
    );
    let replica = account(&place, &["--run", "1"]);
    has(&replica, &["MultiNodeConsolidation replace default-00002, default-00001"]);
    assert!(account(&place, &["--run", "2"]).contains("1 command computed"));
    rows_of_earlier_attempts_change_nothing(&place);
    for (options, said) in [
        (&[] as &[&str], "error: this is a study of several runs"),
        (&["--run", "6"], "error: there is no run 6"),
        (&["--run", "balanced"], "error: there is no run balanced"),
    ] {
        let (code, _, stderr) = explain(&place, options);
        assert_eq!(code, Some(2), "{stderr}");
        has(&stderr, &[said, "  2  Balanced"]);
    }
}

/// An attempt that was killed leaves rows of a run before its last one: of other inputs, or made again for the pictures.
fn rows_of_earlier_attempts_change_nothing(place: &TempDir) {
    let path = place.path().join("r/runs.jsonl");
    let rows = fs::read_to_string(&path).expect("written");
    let row = rows.lines().nth(2).expect("a row of run 2");
    let other_figures = row.replace("\"figures\":{", "\"figures\":{\"another\":\"1\",");
    let mut other_inputs: serde_json::Value = serde_json::from_str(&other_figures).expect("JSON");
    other_inputs["input"] = "0123456789abcdef".into();
    assert!(row != other_figures && rows.contains("\"run\":2"));
    let before = account(place, &["--run", "2"]);
    fs::write(&path, format!("{other_inputs}\n{other_figures}\n{rows}")).expect("written");
    assert_eq!(account(place, &["--run", "2"]), before);
    fs::write(&path, format!("{other_inputs}\n")).expect("written");
    let (code, _, stderr) = explain(place, &["--run", "2"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("run 2 of these inputs did not come to its end"), "{stderr}");
    fs::write(&path, rows).expect("written");
}

/// Ctrl-C as soon as the run says that a tenth is done.
#[test]
#[cfg(unix)]
fn an_interrupted_run_is_explained_as_far_as_it_came() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let place = TempDir::new().expect("a temporary folder");
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("karpsim"))
        .arg("run")
        .arg(scenario("web-diurnal.ron"))
        .args(["--no-plot", "--progress", "plain", "--out"])
        .arg(place.path().join("r"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program is built");
    let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut lines = stderr.lines();
    let line = lines.next().expect("a line").expect("text");
    assert!(line.contains("  10%  "), "{line}");
    let id = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &id]).status().expect("there is a kill");
    assert!(killed.success());
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{rest:?}");
    let index = account(&place, &[]);
    has(&index, &["command/0 "]);
    has(&account(&place, &["command/0"]), &["command 0 "]);
    let (code, _, stderr) = explain(&place, &["--at", "167h"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("the run lasts from +00:00:00 to +"), "{stderr}");
    // Without the number of events it is another run.
    let path = place.path().join("r/inputs.json");
    let text = fs::read_to_string(&path).expect("the inputs");
    let lines = text.lines().filter(|line| !line.contains("\"interrupted_after\""));
    fs::write(&path, lines.collect::<Vec<_>>().join("\n")).expect("they are written");
    let (code, _, stderr) = explain(&place, &[]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("comes to another result"), "{stderr}");
}
