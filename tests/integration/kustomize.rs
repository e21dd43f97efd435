//! Folders with a kustomization file: what `kubectl kustomize` makes of them, and what goes wrong.

use karpsim::diagnostic::Diagnostics;
use karpsim::kube::workload::Deployment;
use karpsim::report::diagnostic::{Colour, render};
use karpsim::scenario::LoadedScenario;
use karpsim::units::{Lane, SimDuration};

use super::scenario::{APP, CLASS, POOL, load_files, problems};

const SCENARIO: &str = r#"(
    cluster: (
        region: "us-west-2",
        manifests: ["m/over"],
        env: { "ROLE": "NodeRole", "CLUSTER": "shop" },
    ),
)
"#;

const BASE: &str = "resources: [class.yaml, pool.yaml, web.yaml]\n";

/// Loads `over` on top of a base with the standard objects; further files win over the standard ones.
fn load_over(over: &str, further: &[(&str, &str)]) -> (Option<LoadedScenario>, Diagnostics) {
    let standard = [
        ("s.ron", SCENARIO),
        ("m/base/kustomization.yaml", BASE),
        ("m/base/class.yaml", CLASS),
        ("m/base/pool.yaml", POOL),
        ("m/base/web.yaml", APP),
        ("m/over/kustomization.yaml", over),
    ];
    let files: Vec<(&str, &str)> = standard.iter().chain(further).copied().collect();
    load_files(&files)
}

/// What the overlay makes; it must have no problems.
#[track_caller]
fn sound(over: &str, further: &[(&str, &str)]) -> LoadedScenario {
    let (loaded, diagnostics) = load_over(over, further);
    let text = render(&diagnostics, Colour::Off);
    assert_eq!(problems(&diagnostics), [""; 0], "\n{text}");
    loaded.expect("a scenario")
}

#[track_caller]
fn web(loaded: &LoadedScenario) -> &Deployment {
    let [web] = loaded.objects.deployments.as_slice() else {
        panic!("one Deployment, found {}", loaded.objects.deployments.len())
    };
    web
}

/// Label values of the Deployment's pods.
fn label<'a>(loaded: &'a LoadedScenario, key: &str) -> Option<&'a str> {
    let key = loaded.symbols.find(key)?;
    let value = web(loaded).template.labels.get(key)?;
    Some(loaded.symbols.text(value.symbol))
}

#[track_caller]
fn check(over: &str, further: &[(&str, &str)], expected: &[&str]) {
    let (loaded, diagnostics) = load_over(over, further);
    assert_eq!(problems(&diagnostics), expected, "\n{}", render(&diagnostics, Colour::Off));
    assert_eq!(loaded.is_none(), diagnostics.has_errors());
}

#[test]
fn a_folder_is_read_through_its_kustomization() {
    // The file that the kustomization does not name is not read.
    let loaded = sound("resources: [../base]\n", &[("m/over/unused.yaml", "no: object\n")]);
    assert_eq!((loaded.objects.node_pools.len(), loaded.objects.node_classes.len()), (1, 1));
    assert_eq!(web(&loaded).replicas, 3);
}

#[test]
fn the_kustomization_file_itself_may_be_named() {
    let scenario = SCENARIO.replace("m/over", "m/over/kustomization.yaml");
    let loaded = sound("resources: [../base]\n", &[("s.ron", &scenario)]);
    assert_eq!(web(&loaded).replicas, 3);
}

#[test]
fn names_namespaces_and_labels_change() {
    let over = "resources: [../base]
namespace: prod
nameSuffix: -v2
commonLabels: {team: blue}
labels:
  - pairs: {tier: front}
    includeTemplates: true
  - pairs: {seen: nowhere}
";
    let (loaded, diagnostics) = load_over(over, &[]);
    // NodePools name their class by a field that kustomize does not know: it does not follow.
    assert_eq!(
        problems(&diagnostics),
        [
            "KS0317 m/base/pool.yaml:21:15 NodePool/default-v2 refers to EC2NodeClass/default, which no manifest defines"
        ]
    );
    assert!(loaded.is_none());
    let loaded = sound(&over.replace("nameSuffix: -v2\n", ""), &[]);
    assert_eq!((&*web(&loaded).namespace, &*web(&loaded).name), ("prod", "web"));
    assert_eq!(label(&loaded, "team"), Some("blue"));
    assert_eq!(label(&loaded, "tier"), Some("front"));
    assert_eq!(label(&loaded, "seen"), None);
}

#[test]
fn priority_classes_keep_their_pods_when_renamed() {
    let class = "apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: high}
value: 1000
";
    let over = "resources: [inner]\n";
    let inner = "resources: [high.yaml, web.yaml]\nnamePrefix: my-\n";
    let app = APP.replace("      containers:", "      priorityClassName: high\n      containers:");
    let files = [
        ("m/over/inner/kustomization.yml", inner),
        ("m/over/inner/high.yaml", class),
        ("m/over/inner/web.yaml", app.as_str()),
    ];
    let over = format!("{over}components: []\n");
    let over = over.replace("[inner]", "[inner, ../base/class.yaml, ../base/pool.yaml]");
    let loaded = sound(&over, &files);
    assert_eq!((&*web(&loaded).name, web(&loaded).template.priority), ("my-web", 1000));
}

#[test]
fn strategic_patches_merge_containers_by_name() {
    let over = "resources: [../base]
patches:
  - path: patch.yaml
";
    let patch = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 7
  template:
    spec:
      containers:
        - name: web
          resources:
            requests: {cpu: 250m}
            limits: null
        - name: proxy
          resources: {requests: {cpu: 100m}}
";
    let loaded = sound(over, &[("m/over/patch.yaml", patch)]);
    let template = &web(&loaded).template;
    assert_eq!(web(&loaded).replicas, 7);
    assert_eq!(template.requests.lane(Lane::Cpu), 350);
    assert_eq!(template.requests.lane(Lane::Memory), 0, "the limit that implied a request is gone");
    // The same with the old field, the patch in place.
    let inline = format!(
        "resources: [../base]\npatchesStrategicMerge:\n- |-\n  {}",
        patch.replace('\n', "\n  ")
    );
    assert_eq!(web(&sound(&inline, &[])).template.requests.lane(Lane::Cpu), 350);
}

#[test]
fn lists_of_karpenters_kinds_are_replaced() {
    let over = r#"resources: [../base]
patches:
  - target: {kind: NodePool}
    patch: |-
      apiVersion: karpenter.sh/v1
      kind: NodePool
      metadata: {name: whatever}
      spec:
        template:
          spec:
            requirements:
              - {key: node.kubernetes.io/instance-type, operator: In, values: [m5.xlarge]}
        disruption: {consolidateAfter: 5m}
"#;
    let loaded = sound(over, &[]);
    let pool = &loaded.objects.node_pools[0];
    assert_eq!(loaded.symbols.text(pool.name.symbol), "default", "a target's name stays");
    assert_eq!(pool.disruption.consolidate_after, Some(SimDuration::from_minutes(5)));
    let capacity = loaded.symbols.find("karpenter.sh/capacity-type").expect("known");
    assert!(
        pool.template.requirements.get(capacity).is_none(),
        "the requirements were replaced as a whole"
    );
}

#[test]
fn directives_delete_and_replace() {
    let over = "resources: [../base, ../base/extra.yaml]
patches:
  - patch: |-
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: extra, namespace: shop}
      $patch: delete
  - patch: |-
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: web, namespace: shop}
      spec:
        template:
          spec:
            containers:
            - $patch: replace
            - name: only
              resources: {requests: {cpu: 1}}
";
    let extra = APP.replace("name: web\n  namespace", "name: extra\n  namespace");
    let loaded = sound(over, &[("m/base/extra.yaml", &extra)]);
    assert_eq!(web(&loaded).template.requests.lane(Lane::Cpu), 1000);
    assert_eq!(web(&loaded).template.requests.lane(Lane::Memory), 0);
}

#[test]
fn json_patches_follow_rfc_6902() {
    let over = r#"resources: [../base]
patches:
  - target: {group: apps, kind: Deploy.*, name: w.b, labelSelector: "!canary"}
    patch: |-
      - {op: test, path: /spec/replicas, value: 3}
      - {op: replace, path: /spec/replicas, value: 9}
      - {op: copy, from: /spec/template/spec/containers/0, path: /spec/template/spec/containers/-}
      - {op: replace, path: /spec/template/spec/containers/1/name, value: twin}
      - {op: remove, path: /spec/template/spec/containers/1/resources/limits}
      - op: add
        path: /spec/template/metadata/labels/example.com~1team
        value: red
      - {op: move, from: /spec/template/metadata/labels/example.com~1team, path: /spec/template/metadata/labels/team}
patchesJson6902:
  - target: {group: karpenter.sh, version: v1, kind: NodePool, name: default}
    path: weight.json
"#;
    let weight = r#"[{"op": "add", "path": "/spec/weight", "value": 7}]"#;
    let loaded = sound(over, &[("m/over/weight.json", weight)]);
    assert_eq!(web(&loaded).replicas, 9);
    assert_eq!(web(&loaded).template.requests.lane(Lane::Cpu), 1000);
    assert_eq!(web(&loaded).template.requests.lane(Lane::Memory), 1 << 30);
    assert_eq!(label(&loaded, "team"), Some("red"));
    assert_eq!(label(&loaded, "example.com/team"), None);
    assert_eq!(loaded.objects.node_pools[0].weight, 7);
}

#[test]
fn replicas_and_images_are_set() {
    let over = "resources: [../base]
replicas: [{name: web, count: 11}]
images:
  - {name: nginx, newName: registry:5000/nginx, newTag: \"1.27\"}
";
    let loaded = sound(over, &[]);
    assert_eq!(web(&loaded).replicas, 11);
    assert_eq!(web(&loaded).template.images, ["registry:5000/nginx:1.27".into()]);
}

#[test]
fn components_change_what_names_them() {
    let over = "resources: [../base]\ncomponents: [../more]\n";
    let more = "apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
replicas: [{name: web, count: 5}]
";
    let loaded = sound(over, &[("m/more/kustomization.yaml", more)]);
    assert_eq!(web(&loaded).replicas, 5);
    check(
        "resources: [../base, ../more]\n",
        &[("m/more/kustomization.yaml", more)],
        &[
            "KS0111 m/more/kustomization.yaml:2:7 `m/more` is no kustomization: its file holds a Component, not a \
             Kustomization",
        ],
    );
}

#[test]
fn what_has_no_effect_is_noted_once() {
    let over = "resources: [../base]
configMapGenerator: [{name: settings, literals: [a=b]}]
secretGenerator: [{name: keys, files: [key.pem]}]
generatorOptions: {disableNameSuffixHash: true}
";
    let (loaded, diagnostics) = load_over(over, &[]);
    assert!(loaded.is_some());
    let text = render(&diagnostics, Colour::Off);
    let expected = "note[KS0310]: these fields have no effect here: Kustomization configMapGenerator, \
                    Kustomization generatorOptions, Kustomization secretGenerator\n";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn what_is_not_mirrored_is_refused_by_name() {
    check(
        "resources: [../base]\nhelmCharts: [{name: x}]\nreplacements: [{path: r.yaml}]\n",
        &[],
        &[
            "KS0311 m/over/kustomization.yaml:2:13 `helmCharts` is not modelled, and it makes objects with a program",
            "KS0311 m/over/kustomization.yaml:3:15 `replacements` is not modelled, and it changes objects in ways \
             that are not mirrored",
        ],
    );
    check(
        "resource: [../base]\n",
        &[],
        &[
            "KS0320 s.ron:4:20 no manifest defines a NodePool, so Karpenter launches nothing",
            "KS0302 m/over/kustomization.yaml:1:1 Kustomization has no field `resource`",
        ],
    );
}

#[test]
fn resources_that_cannot_be_read() {
    check(
        "resources:\n  - ../base\n  - gone.yaml\n  - https://example.com/x.yaml\n",
        &[],
        &[
            "KS0101 m/over/kustomization.yaml:3:5 cannot read `gone.yaml`: there is no such file or folder",
            "KS0110 m/over/kustomization.yaml:4:5 `https://example.com/x.yaml` lies on the network, which is never used",
        ],
    );
    check(
        "resources: [../base, ../plain]\n",
        &[("m/plain/a.yaml", "")],
        &[
            "KS0111 m/over/kustomization.yaml:1:22 `m/plain` is no kustomization: it holds no kustomization.yaml",
        ],
    );
    check(
        "resources: [../base]\n",
        &[("m/over/kustomization.yml", "")],
        &[
            "KS0320 s.ron:4:20 no manifest defines a NodePool, so Karpenter launches nothing",
            "KS0111 s.ron:4:21 `m/over` is no kustomization: it holds kustomization.yaml and kustomization.yml",
        ],
    );
}

#[test]
fn cycles_end() {
    check(
        "resources: [../base, ../other]\n",
        &[("m/other/kustomization.yaml", "resources: [../over]\n")],
        &["KS0109 m/other/kustomization.yaml:1:13 the kustomization in `m/over` includes itself"],
    );
}

#[test]
fn patches_that_cannot_be_applied() {
    let patch = |body: &str| format!("resources: [../base]\npatches:\n{body}");
    check(
        &patch(
            "- patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: wbe, namespace: shop}\n",
        ),
        &[],
        &[
            "KS0112 m/over/kustomization.yaml:6:22 no object of this kustomization is Deployment/shop/wbe of apps/v1",
        ],
    );
    check(
        &patch(
            "- target: {kind: Deployment, name: we}\n  patch: |-\n    - {op: remove, path: /spec}\n",
        ),
        &[],
        &[
            "KS0113 m/over/kustomization.yaml:3:11 this target selects no object, so the patch changes nothing",
        ],
    );
    check(
        &patch(
            "- target: {kind: Deployment}\n  patch: |-\n    - {op: replace, path: /spec/replica, value: 1}\n",
        ),
        &[],
        &[
            "KS0114 m/over/kustomization.yaml:5:27 the patch cannot be applied: the object has nothing at \
             `/spec/replica`",
        ],
    );
    check(
        &patch(
            "- {path: a.yaml, patch: b}\n- target: {kind: \"(\"}\n  patch: \"[]\"\n- patch: \"[]\"\n",
        ),
        &[],
        &[
            "KS0114 m/over/kustomization.yaml:3:3 the patch cannot be applied: it needs either `path` or `patch`",
            "KS0309 m/over/kustomization.yaml:4:18 `patches[1].target.kind`: must be a regular expression",
            "KS0114 m/over/kustomization.yaml:6:3 the patch cannot be applied: a JSON patch needs a `target`",
        ],
    );
    check(
        "resources: [../base]\nreplicas: [{name: wbe, count: 1}]\n",
        &[],
        &[
            "KS0112 m/over/kustomization.yaml:2:19 no object of this kustomization is a workload with replicas named \
             `wbe`",
        ],
    );
}

#[test]
fn problems_of_patched_values_point_at_the_patch() {
    let over = "resources: [../base]
patches:
  - target: {kind: NodePool}
    patch: |-
      - op: add
        path: /spec/weight
        value: heavy
  - path: cpu.yaml
";
    let cpu = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {template: {spec: {containers: [{name: web, resources: {requests: {cpu: lots}}}]}}}
";
    check(
        over,
        &[("m/over/cpu.yaml", cpu)],
        &[
            "KS0304 m/over/kustomization.yaml:7:16 `spec.weight` must be a whole number, found text",
            "KS0305 m/over/cpu.yaml:4:79 `lots` is no quantity \
             (spec.template.spec.containers[0].resources.requests.cpu)",
        ],
    );
    // A folded or quoted patch has a text of its own.
    let quoted = "resources: [../base]
patches:
  - target: {kind: NodePool}
    patch: '[{op: add, path: /spec/weight, value: heavy}]'
";
    check(
        quoted,
        &[],
        &[
            "KS0304 m/over/kustomization.yaml (patch in line 4):1:39 `spec.weight` must be a whole number, found text",
        ],
    );
}

#[test]
fn hostile_kustomizations_end() {
    // Each level names the next one twice: 2^20 folders.
    let mut files: Vec<(String, String)> = Vec::new();
    for level in 0..20 {
        let text = format!("resources: [../l{0}, ../l{0}]\n", level + 1);
        files.push((format!("m/l{level}/kustomization.yaml"), text));
    }
    files.push(("m/l20/kustomization.yaml".to_owned(), "resources: []\n".to_owned()));
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let (loaded, diagnostics) = load_over("resources: [../base, ../l0]\n", &files);
    assert!(loaded.is_none());
    assert!(problems(&diagnostics)[0].starts_with("KS0105"), "{:?}", problems(&diagnostics));

    // Every copy doubles the object.
    let copies: String = (0..40)
        .map(|i| format!("      - {{op: copy, from: /metadata, path: /metadata/x{i}}}\n"))
        .collect();
    let over = format!(
        "resources: [../base]\npatches:\n  - target: {{kind: NodePool}}\n    patch: |-\n{copies}"
    );
    let (_, diagnostics) = load_over(&over, &[]);
    let found = problems(&diagnostics);
    assert!(
        found.iter().any(|problem| problem.starts_with("KS0114") && problem.contains("too large")),
        "{found:?}"
    );
}
