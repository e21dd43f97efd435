//! Texts of manifests as they come: streams, JSON, other line ends, old API versions, garbage.

use std::path::{Path, PathBuf};

use karpsim::diagnostic::Diagnostics;
use karpsim::report::diagnostic::{Colour, render};
use karpsim::scenario::load::load_with;
use karpsim::scenario::{LoadedScenario, MemoryFiles};
use karpsim::units::Lane;

use super::scenario::{APP, CLASS, POOL, catalogue, problems};

const SCENARIO: &str =
    r#"(cluster: (region: "us-west-2", manifests: [], env: { "ROLE": "r", "CLUSTER": "c" }))"#;

/// Loads a scenario whose manifests all come on stdin.
fn load_stdin(text: &str) -> (Option<LoadedScenario>, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let files = MemoryFiles([(PathBuf::from("s.ron"), SCENARIO.to_owned())].into());
    let further = [("<stdin>".to_owned(), text.to_owned())];
    let loaded = load_with(Path::new("s.ron"), &further, &files, &catalogue(), &mut diagnostics);
    (loaded, diagnostics)
}

#[track_caller]
fn sound(text: &str) -> LoadedScenario {
    let (loaded, diagnostics) = load_stdin(text);
    assert_eq!(problems(&diagnostics), [""; 0], "\n{}", render(&diagnostics, Colour::Off));
    loaded.expect("a scenario")
}

/// All problems but the missing NodePool of a text that is no manifest.
fn problems_of(text: &str) -> Vec<String> {
    let (_, diagnostics) = load_stdin(text);
    let mut found = problems(&diagnostics);
    found.retain(|problem| !problem.starts_with("KS0320"));
    found
}

/// Class, pool and Deployment as one stream.
fn stream() -> String {
    format!("{CLASS}---\n# nothing\n---\n{POOL}---\n{APP}...\n")
}

#[test]
fn streams_on_stdin_are_manifests() {
    let loaded = sound(&stream());
    assert_eq!((loaded.objects.node_pools.len(), loaded.objects.deployments.len()), (1, 1));
    let found = problems_of(&stream().replace("500m", "500x"));
    let expected = "KS0305 <stdin>:57:29 `500x` is no quantity";
    assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
}

#[test]
fn lists_on_stdin_are_their_items() {
    let class = CLASS.replace('\n', "\n    ").trim_end().to_owned();
    let pool = POOL.replace('\n', "\n    ").trim_end().to_owned();
    let list = format!("apiVersion: v1\nkind: List\nitems:\n  - {class}\n  - {pool}\n---\n{APP}");
    let loaded = sound(&list);
    assert_eq!((loaded.objects.node_pools.len(), loaded.objects.deployments.len()), (1, 1));
    let found = problems_of(&list.replace("72h", "1.5h"));
    assert_eq!(
        found,
        ["KS0205 <stdin>:34:24 `1.5h` is no duration (spec.template.spec.expireAfter)"]
    );
}

#[test]
fn json_and_other_line_ends_are_read() {
    let json = r#"{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
	"spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
	"spec": {"containers": [{"name": "m", "resources": {"requests": {"cpu": "1\u0030m"}}}]}}}}"#;
    let head = format!("{CLASS}---\n{POOL}---\n");
    let loaded = sound(&format!("{head}{json}\n"));
    let web = &loaded.objects.deployments[0];
    assert_eq!((web.replicas, web.template.requests.lane(Lane::Cpu)), (2, 10));
    let found =
        problems_of(&format!("{head}{}", json.replace("\"replicas\": 2", "\"replicas\": \"2\"")));
    assert_eq!(found, ["KS0304 <stdin>:41:23 `spec.replicas` must be a whole number, found text"]);

    let loaded = sound(&stream().replace('\n', "\r\n"));
    assert_eq!(loaded.objects.deployments[0].template.requests.lane(Lane::Cpu), 500);
    let found = problems_of(&stream().replace("500m", "500x").replace('\n', "\r\n"));
    assert!(found[0].starts_with("KS0305 <stdin>:57:29 "), "{found:?}");

    let marked = sound(&format!("\u{feff}{}", stream()));
    assert_eq!(marked.objects.node_pools.len(), 1);
}

#[test]
fn anchors_and_merge_keys_are_resolved_at_their_place() {
    let app = APP
        .replace("requests: {cpu: 500m}", "requests: &small {cpu: 500m, memory: 1Gi}")
        .replace("limits: {memory: 1Gi}", "limits: {<<: *small, cpu: \"1\"}");
    let loaded = sound(&format!("{CLASS}---\n{POOL}---\n{app}"));
    assert_eq!(loaded.objects.deployments[0].template.requests.lane(Lane::Cpu), 500);
    // What an alias brings in stands where it was written.
    let found = problems_of(&format!(
        "{CLASS}---\n{POOL}---\n{}",
        app.replace("memory: 1Gi}", "memory: 1Gx}")
    ));
    assert!(
        found.iter().all(|problem| problem.starts_with("KS0305 <stdin>:55:50 `1Gx`")),
        "{found:?}"
    );
    assert!(!found.is_empty());
}

#[test]
fn tabs_and_duplicate_keys_have_a_place() {
    let found = problems_of(&APP.replace("  replicas: 3", "\treplicas: 3"));
    assert!(found.len() == 1 && found[0].starts_with("KS0103 <stdin>:7:"), "{found:?}");
    let found = problems_of(&stream().replace("replicas: 3", "replicas: 3\n  replicas: 4"));
    assert_eq!(found, ["KS0104 <stdin>:49:3 the key `replicas` stands twice in one mapping"]);
}

#[test]
fn garbage_ends_with_one_clear_problem() {
    let large = 100 << 20;
    for (text, expected) in [
        ("x".repeat(large), "KS0301 <stdin>:1:1 this is no Kubernetes object: it is text"),
        (
            "key: value\n".repeat(large / 11),
            "KS0104 <stdin>:2:1 the key `key` stands twice in one mapping",
        ),
        (
            "---\n".repeat(large / 4),
            "KS0105 <stdin>:2000001:4 the document has more than 2000000 values",
        ),
        ("[".repeat(large), "KS0105 <stdin>:1:256 the document has more than 100 levels"),
        ("\u{1}".repeat(large), "KS0103 <stdin>:1:1 not valid YAML: "),
        ("\"\u{fffd}%@`\n".repeat(large / 8), "KS0103 <stdin>:2:2 not valid YAML: "),
    ] {
        let found = problems_of(&text);
        let start = &text[..20.min(text.len() - 2)];
        assert!(
            found.first().is_some_and(|first| first.starts_with(expected)),
            "{start:?}: {found:?}"
        );
        assert!(found.len() <= 50, "{start:?}: {}", found.len());
    }
}

#[test]
fn old_api_versions_name_what_became_of_each_field() {
    let pool = "apiVersion: karpenter.sh/v1beta1
kind: NodePool
metadata: {name: default}
spec:
  template:
    spec:
      nodeClassRef: {apiVersion: karpenter.k8s.aws/v1beta1, kind: EC2NodeClass, name: default}
  disruption:
    consolidationPolicy: WhenUnderutilized
    expireAfter: 720h
";
    let (_, diagnostics) = load_stdin(pool);
    let text = render(&diagnostics, Colour::Off);
    for expected in [
        "error[KS0314]: NodePool of karpenter.sh/v1beta1 is not read by Karpenter v1",
        "becomes `group: karpenter.k8s.aws`",
        "becomes WhenEmptyOrUnderutilized, with `consolidateAfter: 0s` beside it",
        "moves to spec.template.spec.expireAfter",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    assert!(!text.contains("spec.kubelet"), "only what is used is named\n{text}");

    let provisioner = "apiVersion: karpenter.sh/v1alpha5
kind: Provisioner
metadata: {name: default}
spec:
  requirements: []
  limits: {resources: {cpu: 1000}}
  ttlSecondsAfterEmpty: 30
  providerRef: {name: default}
---
apiVersion: karpenter.k8s.aws/v1alpha1
kind: AWSNodeTemplate
metadata: {name: default}
spec:
  subnetSelector: {karpenter.sh/discovery: shop}
";
    let (_, diagnostics) = load_stdin(provisioner);
    let text = render(&diagnostics, Colour::Off);
    for expected in [
        "error[KS0314]: Provisioner of karpenter.sh/v1alpha5 is not read by Karpenter v1",
        "moves to spec.template.spec.requirements",
        "moves to spec.limits",
        "`consolidationPolicy: WhenEmpty`, `consolidateAfter: ...s`",
        "becomes spec.template.spec.nodeClassRef",
        "= help: write a NodePool of karpenter.sh/v1",
        "error[KS0314]: AWSNodeTemplate of karpenter.k8s.aws/v1alpha1",
        "becomes spec.subnetSelectorTerms: `- tags: {...}`",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}
