//! One test for each problem that a user can meet, with code, place and rendered text.

use std::path::{Path, PathBuf};

use karpsim::diagnostic::{CODES, Diagnostics};
use karpsim::ec2::CapacityType;
use karpsim::ec2::capacity::OfferingPattern;
use karpsim::kube::capacity_buffer::PodShape;
use karpsim::kube::disruption_budget::{Amount, Bound};
use karpsim::kube::port::Protocol;
use karpsim::kube::{HostPort, Labels, Requirements, label};
use karpsim::report::diagnostic::{Colour, render};
use karpsim::scenario::catalog::embedded;
use karpsim::scenario::load::{load_objects_json, load_variant};
use karpsim::scenario::manifest::Cluster;
use karpsim::scenario::{
    Catalogue, Choice, LoadedScenario, MemoryFiles, TimelineAction, load, resolve,
};
use karpsim::simulation::{Action, DriftTarget, Fault, Target};
use karpsim::units::{Lane, SimDuration};
use karpsim::world::faults::NodeCondition;

pub const CLASS: &str = r#"apiVersion: karpenter.k8s.aws/v1
kind: EC2NodeClass
metadata:
  name: default
spec:
  amiSelectorTerms: [{alias: al2023@latest}]
  role: "${ROLE}"
  subnetSelectorTerms: [{tags: {karpenter.sh/discovery: $CLUSTER}}]
  securityGroupSelectorTerms: [{tags: {karpenter.sh/discovery: $CLUSTER}}]
"#;

pub const POOL: &str = r#"apiVersion: karpenter.sh/v1
kind: NodePool
metadata:
  name: default
spec:
  template:
    metadata:
      labels:
        type: karpenter
    spec:
      requirements:
        - key: karpenter.sh/capacity-type
          operator: In
          values: ["on-demand"]
        - key: node.kubernetes.io/instance-type
          operator: In
          values: ["c5.large", "m5.large"]
      nodeClassRef:
        group: karpenter.k8s.aws
        kind: EC2NodeClass
        name: default
      expireAfter: 72h
  disruption:
    consolidationPolicy: WhenEmptyOrUnderutilized
    consolidateAfter: 1m
  limits:
    cpu: "1000"
    memory: 1000Gi
"#;

pub const APP: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: nginx
          resources:
            requests: {cpu: 500m}
            limits: {memory: 1Gi}
"#;

pub const SCENARIO: &str = r#"Scenario(
    name: "shop",
    horizon: "2h",
    cluster: (
        region: "us-west-2",
        manifests: ["m/"],
        env: { "ROLE": "NodeRole", "CLUSTER": "shop" },
    ),
    timeline: [At("1m", Scale("Deployment/shop/web", 5))],
)
"#;

pub fn catalogue() -> Catalogue {
    let zones = ["us-west-2a", "us-west-2b"].map(str::to_owned).to_vec();
    let types = ["c5.large", "m5.large", "m5.xlarge"].map(str::to_owned);
    let regions = [("us-west-2".to_owned(), zones), ("eu-nowhere-1".to_owned(), Vec::new())];
    Catalogue {
        regions: regions.into(),
        instance_types: types.into(),
        unpriced: ["eu-nowhere-1".to_owned()].into(),
    }
}

/// Loads files given as name and text.
pub fn load_files(files: &[(&str, &str)]) -> (Option<LoadedScenario>, Diagnostics) {
    let files = files.iter().map(|(name, text)| (PathBuf::from(name), (*text).to_owned()));
    let mut diagnostics = Diagnostics::default();
    let files = MemoryFiles(files.collect());
    let loaded = load(Path::new("s.ron"), &files, &catalogue(), &mut diagnostics);
    (loaded, diagnostics)
}

/// The standard files with another scenario and one more file.
pub fn load_with_file(
    scenario: &str,
    name: &str,
    text: &str,
) -> (Option<LoadedScenario>, Diagnostics) {
    let files = [
        ("s.ron", scenario),
        ("m/class.yaml", CLASS),
        ("m/pool.yaml", POOL),
        ("m/web.yaml", APP),
        (name, text),
    ];
    load_files(&files)
}

/// The standard files with another scenario, and a choice of what is loaded.
pub fn load_choice(scenario: &str, choice: &Choice) -> (Option<LoadedScenario>, Diagnostics) {
    let files =
        [("s.ron", scenario), ("m/class.yaml", CLASS), ("m/pool.yaml", POOL), ("m/web.yaml", APP)];
    let files = files.map(|(name, text)| (PathBuf::from(name), text.to_owned()));
    let mut diagnostics = Diagnostics::default();
    let (files, path) = (MemoryFiles(files.into()), Path::new("s.ron"));
    let loaded = load_variant(path, &[], choice, &files, &catalogue(), &mut diagnostics);
    (loaded, diagnostics)
}

/// The standard files with replacements in one of them.
fn load_edited(file: &str, edits: &[(&str, &str)]) -> (Option<LoadedScenario>, Diagnostics) {
    let mut files = [
        ("s.ron", SCENARIO.to_owned()),
        ("m/class.yaml", CLASS.to_owned()),
        ("m/pool.yaml", POOL.to_owned()),
        ("m/web.yaml", APP.to_owned()),
    ];
    for (name, text) in files.iter_mut().filter(|(name, _)| *name == file) {
        for (from, to) in edits {
            assert!(text.contains(from), "{name} holds {from:?}");
            *text = text.replacen(from, to, 1);
        }
    }
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    load_files(&files)
}

/// `KS0NNN file:line:column message` of all errors and warnings.
pub fn problems(diagnostics: &Diagnostics) -> Vec<String> {
    let (shown, _) = diagnostics.shown();
    let severe = shown.iter().filter(|d| d.severity != karpsim::diagnostic::Severity::Note);
    severe
        .map(|d| {
            let place = d.span().map(|span| diagnostics.sources.place(span)).unwrap_or_default();
            format!("{} {place} {}", d.code, d.message)
        })
        .collect()
}

#[track_caller]
fn check(file: &str, edits: &[(&str, &str)], expected: &[&str]) {
    let (loaded, diagnostics) = load_edited(file, edits);
    assert_eq!(problems(&diagnostics), expected, "\n{}", render(&diagnostics, Colour::Off));
    assert_eq!(loaded.is_none(), diagnostics.has_errors());
}

#[track_caller]
fn check_text(file: &str, edits: &[(&str, &str)], expected: &str) {
    let (_, diagnostics) = load_edited(file, edits);
    let text = render(&diagnostics, Colour::Off);
    assert!(text.contains(expected), "\n{text}");
}

#[test]
fn a_sound_scenario_loads_without_problems() {
    let (loaded, diagnostics) = load_edited("s.ron", &[]);
    assert_eq!(problems(&diagnostics), [""; 0]);
    let loaded = loaded.expect("a scenario");
    assert_eq!(loaded.settings.zones, ["us-west-2a", "us-west-2b"]);
    assert_eq!(loaded.timeline.len(), 1);
    let pool = &loaded.objects.node_pools[0];
    assert_eq!(pool.template.expire_after, Some(SimDuration::from_minutes(72 * 60)));
    assert_eq!(pool.disruption.budgets.len(), 1, "the default budget");
    let web = &loaded.objects.deployments[0];
    assert_eq!((web.replicas, &*web.template.workload), (3, "Deployment/shop/web"));
    assert_eq!(web.template.requests.lane(Lane::Cpu), 500);
    assert_eq!(web.template.requests.lane(Lane::Memory), 1 << 30, "a limit is a request");
    assert_eq!(web.template.requests.lane(Lane::Pods), 1);
    assert_eq!(web.template.tolerations.len(), 2, "not-ready and unreachable");
}

/// A case: the file that is edited, the edits, the problems.
type Case = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

/// Runs cases like [`check`].
#[track_caller]
fn check_all(cases: &[Case]) {
    for (file, edits, expected) in cases {
        check(file, edits, expected);
    }
}

#[test]
fn rendered_problems_show_the_place_and_the_next_step() {
    check_text(
        "m/pool.yaml",
        &[("limits:", "limts:")],
        "\
error[KS0302]: NodePool has no field `spec.limts`
  --> m/pool.yaml:26:3
   |
26 |   limts:
   |   ^^^^^
   |
   = help: did you mean `limits`?
",
    );
    check_text(
        "m/pool.yaml",
        &[("WhenEmptyOrUnderutilized", "WhenUnderutilized")],
        "\
error[KS0307]: `spec.disruption.consolidationPolicy` does not accept `WhenUnderutilized`
  --> m/pool.yaml:24:26
   |
24 |     consolidationPolicy: WhenUnderutilized
   |                          ^^^^^^^^^^^^^^^^^
   |
   = note: WhenUnderutilized was the name in karpenter.sh/v1beta1
   = help: did you mean `WhenEmptyOrUnderutilized`?
",
    );
    check_text(
        "m/web.yaml",
        &[("replicas: 3", "replicas: 3\n  replicas: 4")],
        "\
error[KS0104]: the key `replicas` stands twice in one mapping
 --> m/web.yaml:8:3
  |
7 |   replicas: 3
  |   -------- first defined here
8 |   replicas: 4
  |   ^^^^^^^^
  |
  = help: remove one of the two
",
    );
    check_text(
        "m/pool.yaml",
        &[("m5.large", "m5.lrage")],
        "\
error[KS0318]: the EC2 catalogue has no instance type `m5.lrage`
  --> m/pool.yaml:17:32
   |
17 |           values: [\"c5.large\", \"m5.lrage\"]
   |                                ^^^^^^^^^^
   |
   = help: did you mean `m5.large`, `c5.large` or `m5.xlarge`?
",
    );
}

#[test]
fn files_that_cannot_be_read() {
    check_all(&[
        (
            "s.ron",
            &[("\"m/\"", "\"m/\", \"gone.yaml\"")],
            &["KS0101 s.ron:6:27 cannot read `gone.yaml`: there is no such file or folder"],
        ),
        (
            "s.ron",
            &[(
                "At(\"1m\", Scale(\"Deployment/shop/web\", 5))",
                "At(\"1m\", Apply(\"later.yaml\"))",
            )],
            &["KS0101 s.ron:9:31 cannot read `later.yaml`: there is no such file or folder"],
        ),
    ]);
    let (loaded, diagnostics) = load_files(&[]);
    assert!(loaded.is_none());
    assert_eq!(
        problems(&diagnostics),
        ["KS0101 s.ron:1:1 cannot read `s.ron`: there is no such file or folder"]
    );
    let scenario = "(cluster: (manifests: [\"m\"], region: \"us-west-2\"))";
    let (_, diagnostics) = load_files(&[("s.ron", scenario), ("m/README.md", "")]);
    assert_eq!(
        problems(&diagnostics),
        [
            "KS0320 s.ron:1:23 no manifest defines a NodePool, so Karpenter launches nothing",
            "KS0102 s.ron:1:24 `m` holds no .yaml, .yml or .json file",
        ]
    );
}

#[test]
fn texts_of_manifests() {
    check_all(&[
        (
            "m/web.yaml",
            &[("{app: web}}\n  template", "{app: web}\n  template")],
            &["KS0103 m/web.yaml:9:3 not valid YAML: while parsing a flow mapping, did not find \
               expected ',' or '}'"],
        ),
        (
            "m/web.yaml",
            &[("{app: web}}\n    spec", "{app: web, on: off}}\n    spec")],
            &[
                "KS0106 m/web.yaml:10:39 `off` without quotes is a boolean for kubectl, and is taken \
               as text here",
            ],
        ),
        (
            "m/web.yaml",
            &[("replicas: 3", "replicas: 03")],
            &[
                "KS0107 m/web.yaml:7:13 `03` is an octal number for kubectl, and is taken as decimal here",
            ],
        ),
        (
            "s.ron",
            &[("\"ROLE\"", "\"ROL\"")],
            &["KS0108 m/class.yaml:7:9 the variable `ROLE` is not defined"],
        ),
    ]);
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\n";
    let deep: String = (0..30).map(|i| format!("c{i}: &c{i} [*c{0}, *c{0}]\n", i - 1)).collect();
    let bomb = bomb.to_owned() + &deep.replace("*c-1", "*b");
    let files = [("s.ron", "(cluster: (manifests: [\"b.yaml\"], region: \"us-west-2\"))")];
    let (_, diagnostics) = load_files(&[files[0], ("b.yaml", &bomb)]);
    let found = problems(&diagnostics);
    assert!(
        found.iter().any(|p| p.starts_with("KS0105 b.yaml:") && p.contains("2000000")),
        "{found:?}"
    );
}

#[test]
fn values_of_the_scenario() {
    check_all(&[
        ("s.ron", &[("horizon", "horizn")], &["KS0202 s.ron:3:5 `Scenario` has no field `horizn`"]),
        ("s.ron", &[("2h", "2d")], &["KS0205 s.ron:3:14 `2d` is no duration (horizon)"]),
        ("s.ron", &[("2h", "-2h")], &["KS0205 s.ron:3:14 `-2h` is no duration (horizon)"]),
        (
            "s.ron",
            &[("2h", "0s")],
            &["KS0207 s.ron:3:14 `horizon` is 0s, but a run must last longer than nothing"],
        ),
        (
            "s.ron",
            &[("horizon: \"2h\"", "start: \"2026-02-30T00:00:00Z\"")],
            &["KS0206 s.ron:3:12 `2026-02-30T00:00:00Z` is no date"],
        ),
        (
            "s.ron",
            &[("\"shop\"", "\"../shop\"")],
            &[
                "KS0207 s.ron:2:11 `name` is `../shop`, but it names a folder: letters, digits, '-', \
               '_' and '.', at most 100, no leading '.'",
            ],
        ),
        (
            "s.ron",
            &[("us-west-2", "us-wets-2")],
            &["KS0208 s.ron:5:17 the EC2 catalogue has no region `us-wets-2`"],
        ),
        (
            "s.ron",
            &[("us-west-2", "eu-nowhere-1")],
            &[
                "KS0214 s.ron:5:17 the EC2 catalogue knows no prices in eu-nowhere-1, so nothing could be \
               launched",
            ],
        ),
        (
            "s.ron",
            &[("region:", "zones: [\"us-west-2a\", \"us-west-2x\"], region:")],
            &["KS0209 s.ron:5:31 `us-west-2x` is no zone of us-west-2"],
        ),
        (
            "s.ron",
            &[(
                "timeline:",
                "cloud: (latency: (ready: LogNormal(p50: \"9s\", p95: \"8s\"))), timeline:",
            )],
            &[
                "KS0207 s.ron:9:56 `cloud.latency.ready.p95` is 8s, but p95 must be at least p50 (9s)",
            ],
        ),
        (
            "s.ron",
            &[(
                "timeline:",
                "pods: (start: Uniform(\"2s\", \"1x\"), stop: Empirical([])), timeline:",
            )],
            &[
                "KS0205 s.ron:9:33 `1x` is no duration (pods.start[1])",
                "KS0207 s.ron:9:46 `pods.stop` is empty, but it must hold at least one duration",
            ],
        ),
        (
            "s.ron",
            &[(
                "timeline:",
                "autoscaler: Karpenter(options: (feature_gates: {\"NodeRepair\": true, \"X\": true})), timeline:",
            )],
            &["KS0202 s.ron:9:78 Karpenter v1.14 has no feature gate `X`"],
        ),
        (
            "s.ron",
            &[("name:", "policies: [Policy()], name:")],
            &["KS0203 s.ron:2:22 `Policy` lacks the field `name`"],
        ),
        (
            "s.ron",
            &[("name:", "seed: 1, seed: 2, name:")],
            &["KS0204 s.ron:2:14 the field `seed` stands twice"],
        ),
        (
            "s.ron",
            &[("name:", "seed: x, name:")],
            &["KS0201 s.ron:2:11 not a valid scenario: expected integer"],
        ),
    ]);
}

#[test]
fn steps_of_the_timeline() {
    check_all(&[
        (
            "s.ron",
            &[("Deployment/shop/web", "web")],
            &["KS0211 s.ron:9:31 `web` is nothing that this action can be done to"],
        ),
        (
            "s.ron",
            &[("Deployment/shop/web", "Deployment/shop/wbe")],
            &["KS0212 s.ron:9:31 no manifest defines `Deployment/shop/wbe`"],
        ),
        (
            "s.ron",
            &[("1m", "3h")],
            &["KS0213 s.ron:9:19 this happens at 3h, after the horizon of 2h, so never"],
        ),
    ]);
}

#[test]
fn steps_that_disturb_the_cluster() {
    let steps = r#"Drift("NodePool/default")), At("2m", ReleaseAmi("EC2NodeClass/default")),
        At("3m", StockOut(types: "m5.*", zone: "us-west-2a", capacity_type: "on-demand", lasts: "2h")),
        At("4m", Interrupt("NodePool/default", 2)), At("5m", DoNotDisrupt("Deployment/shop/web", 0)),
        At("6m", Delete("Deployment/shop/web")), At("7m", Delete("Node/default-00001")"#;
    let edit = [("Scale(\"Deployment/shop/web\", 5)", steps)];
    let (loaded, diagnostics) = load_edited("s.ron", &edit);
    assert_eq!(problems(&diagnostics), [""; 0]);
    let timeline = loaded.expect("no errors").timeline;
    let direct = |i: usize| match &timeline[i].1 {
        TimelineAction::Direct(action) => action.clone(),
        other => panic!("{other:?}"),
    };
    let (reason, target) = ("Drifted".into(), DriftTarget::NodePool("default".to_owned()));
    assert_eq!(direct(0), Action::Drift { target, reason });
    let (reason, target) = ("AMIDrift".into(), DriftTarget::NodeClass("default".to_owned()));
    assert_eq!(direct(1), Action::Drift { target, reason });
    let offerings = OfferingPattern {
        types: Some("m5.*".to_owned()),
        zone: Some("us-west-2a".to_owned()),
        capacity_type: Some(CapacityType::OnDemand),
    };
    let lasts = SimDuration::from_minutes(120);
    assert_eq!(direct(2), Action::StockOut { offerings, lasts });
    assert_eq!(
        direct(3),
        Action::Fault { fault: Fault::Interruption, pool: "default".to_owned(), count: 2 }
    );
    let deployment = Target::Deployment("shop".to_owned(), "web".to_owned());
    assert_eq!(direct(5), Action::Delete(deployment));
    assert_eq!(direct(6), Action::Delete(Target::Node("default-00001".to_owned())));
}

#[test]
fn steps_that_make_instances_fail() {
    let steps = r#"FailLaunches("NodePool/default", "6m")), At("2m", FailJoins("NodePool/default", "20m")),
        At("3m", LoseInstances("NodePool/default", 2)), At("4m", Withdraw("m5.*")),
        At("5m", BreakNodes("NodePool/default", 1, "KernelReady")),
        At("6m", RecommendRebalance("NodePool/default", 3)), At("7m", ImpairInstances("NodePool/default", 1)),
        At("8m", RetireInstances("NodePool/default", 1, "336h")"#;
    let edit = [("Scale(\"Deployment/shop/web\", 5)", steps)];
    let (loaded, diagnostics) = load_edited("s.ron", &edit);
    assert_eq!(problems(&diagnostics), [""; 0]);
    let timeline = loaded.expect("no errors").timeline;
    let found: Vec<TimelineAction> = timeline.into_iter().map(|(_, action)| action).collect();
    let (pool, minutes) = (|| "default".to_owned(), SimDuration::from_minutes);
    let fault = |fault, count| Action::Fault { fault, pool: pool(), count };
    let types = Some("m5.*".to_owned());
    let offerings = OfferingPattern { types, zone: None, capacity_type: None };
    let expected = [
        Action::FailLaunches { pool: pool(), lasts: minutes(6) },
        Action::FailJoins { pool: pool(), lasts: minutes(20) },
        fault(Fault::Loss, 2),
        Action::Withdraw { offerings },
        fault(Fault::BadCondition(NodeCondition::KernelReady), 1),
        fault(Fault::RebalanceRecommendation, 3),
        fault(Fault::Impairment, 1),
        fault(Fault::Retirement { notice: minutes(14 * 24 * 60) }, 1),
    ];
    assert_eq!(found, expected.map(TimelineAction::Direct));
}

/// The API server answers NotFound, unless the object was applied again.
#[test]
fn steps_on_what_is_deleted() {
    let steps = [
        ("Delete(\"Deployment/shop/web\")", "Scale(\"Deployment/shop/web\", 2)"),
        ("Delete(\"Deployment/shop/web\")", "DoNotDisrupt(\"Deployment/shop/web\", 2)"),
        ("Delete(\"Deployment/shop/web\")", "Patch(\"Deployment/shop/web\", {})"),
        ("Delete(\"NodePool/default\")", "Delete(\"NodePool/default\")"),
        ("Delete(\"NodePool/default\")", "Drift(\"NodePool/default\")"),
        ("Delete(\"NodePool/default\")", "Interrupt(\"NodePool/default\", 1)"),
        ("Delete(\"NodePool/default\")", "FailJoins(\"NodePool/default\", \"1h\")"),
    ];
    for (delete, step) in steps {
        // The order of instants counts, not that of the file.
        let again = "At(\"1h\", Apply(\"m/pool.yaml\")), At(\"1h\", Apply(\"m/web.yaml\"))";
        let edit = format!("{delete}),\n  At(\"90m\", {step}), {again}, At(\"10m\", {step}");
        let edits = [("Scale(\"Deployment/shop/web\", 5)", edit.as_str())];
        let (loaded, diagnostics) = load_edited("s.ron", &edits);
        let object = delete.split('"').nth(1).expect("a name");
        let found = problems(&diagnostics);
        let end = format!(" `{object}` was deleted at 1m, so nothing can be done to it");
        assert_eq!(found.len(), 1, "{step}: {found:?}");
        assert!(found[0].starts_with("KS0218 s.ron:10:") && found[0].ends_with(&end), "{found:?}");
        assert!(loaded.is_none(), "{step}");
        let edit = edit.replace(&format!(", At(\"10m\", {step}"), ", At(\"95m\", Restart");
        check("s.ron", &[("Scale(\"Deployment/shop/web\", 5)", &edit)], &[]);
    }
}

/// A namespace that is null is none.
#[test]
fn an_object_without_namespace_can_be_patched() {
    let scenario = SCENARIO
        .replace("Scale(\"Deployment/shop/web\", 5)", "Patch(\"Deployment/default/bare\", {})");
    let bare = APP.replace("name: web\n  namespace: shop", "name: bare\n  namespace:");
    assert_ne!(bare, APP);
    let (loaded, diagnostics) = load_with_file(&scenario, "m/bare.yaml", &bare);
    assert_eq!(problems(&diagnostics), [""; 0]);
    assert_eq!(loaded.expect("a scenario").timeline.len(), 1);
}

#[test]
fn steps_without_a_target() {
    let steps = [
        (
            "Drift(\"default\")",
            "KS0211 s.ron:9:31 `default` is nothing that this action can be done to",
        ),
        ("Drift(\"NodePool/x\")", "KS0212 s.ron:9:31 no manifest defines `NodePool/x`"),
        (
            "ReleaseAmi(\"NodePool/default\")",
            "KS0211 s.ron:9:36 `NodePool/default` is nothing that this action can be done to",
        ),
        (
            "Interrupt(\"web\", 1)",
            "KS0211 s.ron:9:35 `web` is nothing that this action can be done to",
        ),
        (
            "Delete(\"Pod/a/b\")",
            "KS0211 s.ron:9:32 `Pod/a/b` is nothing that this action can be done to",
        ),
        (
            "StockOut(types: \"m5x.*\", lasts: \"1h\")",
            "KS0216 s.ron:9:41 the EC2 catalogue has no instance type `m5x.*`",
        ),
        (
            "Withdraw(\"m5.huge\")",
            "KS0216 s.ron:9:34 the EC2 catalogue has no instance type `m5.huge`",
        ),
        (
            "PriceChange(types: \"m5.*\", factor: -1.0)",
            "KS0207 s.ron:9:60 `factor` is -1, but it must be from 0.001 to 1000",
        ),
        (
            "Patch(\"NodePool/defalt\", {})",
            "KS0212 s.ron:9:31 no manifest defines `NodePool/defalt`",
        ),
        (
            "Patch(\"Job/a/b\", {})",
            "KS0211 s.ron:9:31 `Job/a/b` is nothing that this action can be done to",
        ),
        (
            "Patch(\"NodePool/default\", 5)",
            "KS0201 s.ron:9:51 not a valid scenario: a patch is written { \"spec\": { ... } }",
        ),
        (
            "Patch(\"NodePool/default\", { \"spec\": { \"weight\": \"x\" } })",
            "KS0304 s.ron:9:73 `spec.weight` must be a whole number, found text",
        ),
        (
            "StockOut(zone: \"us-west-2q\", lasts: \"1h\")",
            "KS0209 s.ron:9:40 `us-west-2q` is no zone of the cluster",
        ),
        (
            "StockOut(capacity_type: \"free\", lasts: \"1h\")",
            "KS0307 s.ron:9:49 `capacity_type` does not accept `free`",
        ),
        ("StockOut(lasts: \"long\")", "KS0205 s.ron:9:41 `long` is no duration (lasts)"),
        (
            "FailLaunches(\"NodePool/default\", \"long\")",
            "KS0205 s.ron:9:58 `long` is no duration (lasts)",
        ),
        ("FailJoins(\"NodePool/x\", \"1h\")", "KS0212 s.ron:9:35 no manifest defines `NodePool/x`"),
        (
            "LoseInstances(\"EC2NodeClass/default\", 1)",
            "KS0211 s.ron:9:39 `EC2NodeClass/default` is nothing that this action can be done to",
        ),
        (
            "BreakNodes(\"NodePool/default\", 1, \"NetworkReady\")",
            "KS0307 s.ron:9:59 `condition` does not accept `NetworkReady`",
        ),
    ];
    for (step, expected) in steps {
        check("s.ron", &[("Scale(\"Deployment/shop/web\", 5)", step)], &[expected]);
    }
}

#[test]
fn objects_of_other_kinds() {
    check_all(&[
        (
            "m/web.yaml",
            &[("kind: Deployment\n", "")],
            &["KS0301 m/web.yaml:1:1 this is no Kubernetes object: it has no `kind`"],
        ),
        (
            "m/class.yaml",
            &[("apiVersion", "--- hello\n---\napiVersion")],
            &["KS0301 m/class.yaml:1:5 this is no Kubernetes object: it is text"],
        ),
        (
            "m/class.yaml",
            &[("apiVersion", "apiVersion: apps/v1\nkind: StatefulSet\n---\napiVersion")],
            &["KS0313 m/class.yaml:2:7 StatefulSet is not modelled, and it makes pods"],
        ),
        (
            "m/class.yaml",
            &[("aws/v1\n", "aws/v1beta1\n")],
            &[
                "KS0314 m/class.yaml:1:13 EC2NodeClass of karpenter.k8s.aws/v1beta1 is not read by Karpenter v1",
            ],
        ),
        (
            "m/class.yaml",
            &[("apiVersion", "apiVersion: x.io/v1\nkind: Thing\n---\napiVersion")],
            &["KS0315 m/class.yaml:2:7 Thing of x.io/v1 is not known and has no effect here"],
        ),
        (
            "m/class.yaml",
            &[("name: default", "name: other")],
            &[
                "KS0317 m/pool.yaml:21:15 NodePool/default refers to EC2NodeClass/default, which no manifest defines",
            ],
        ),
    ]);
    let list = "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"apiVersion\": \"v1\", \
                \"kind\": \"Service\"}, {\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\"}]}\n---\n";
    check_text(
        "m/class.yaml",
        &[("apiVersion", &(list.to_owned() + "apiVersion"))],
        "note[KS0312]: these objects have no effect here: ConfigMap, Service\n",
    );
}

const BUDGET: &str = "apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: shop}
spec:
  maxUnavailable: 25%
  selector: {matchLabels: {app: web}}
---
";

const JOB: &str = "apiVersion: batch/v1
kind: Job
metadata: {name: report, namespace: shop}
spec:
  completions: 6
  parallelism: 2
  ttlSecondsAfterFinished: 60
  template:
    metadata: {annotations: {karpsim/duration: 10m}}
    spec: {restartPolicy: Never, containers: [{name: a}]}
---
";

#[test]
fn disruption_budgets_and_jobs_are_read() {
    let (loaded, diagnostics) =
        load_edited("m/web.yaml", &[("apiVersion", &format!("{BUDGET}{JOB}apiVersion"))]);
    assert_eq!(problems(&diagnostics), [""; 0]);
    let objects = loaded.expect("no errors").objects;
    let [budget] = objects.disruption_budgets.as_slice() else { panic!("one budget") };
    assert_eq!(budget.bound, Bound::MaxUnavailable(Amount::Percent(25)));
    assert!(budget.selects(&objects.deployments[0].template), "the budget is about the Deployment");
    let [job] = objects.jobs.as_slice() else { panic!("one Job") };
    assert!(!budget.selects(&job.template));
    assert_eq!((job.completions, job.parallelism), (6, 2));
    assert_eq!(job.duration, SimDuration::from_minutes(10));
    assert_eq!(job.pod_ttl, Some(SimDuration::from_minutes(1)));
}

#[test]
fn disruption_budgets_and_jobs_that_cannot_be_read() {
    let edited = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        format!("{}apiVersion", text.replacen(from, to, 1))
    };
    for (text, expected) in [
        (
            edited(BUDGET, "25%", "101%"),
            "KS0309 m/web.yaml:5:19 `spec.maxUnavailable`: must be a whole number, or a percentage from \
             0% to 100%",
        ),
        (
            edited(BUDGET, "25%", "1\n  minAvailable: 1"),
            "KS0309 m/web.yaml:6:17 `spec.minAvailable`: minAvailable and maxUnavailable exclude each other",
        ),
        (
            edited(BUDGET, "maxUnavailable: 25%", "unhealthyPodEvictionPolicy: AlwaysAllow"),
            "KS0309 m/web.yaml:5:3 `spec`: needs maxUnavailable or minAvailable",
        ),
        (
            edited(JOB, "karpsim/duration: 10m", ""),
            "KS0309 m/web.yaml:9:5 `spec.template`: annotate the template with `karpsim/duration`, the \
             time that its pods run",
        ),
        (
            edited(JOB, "10m", "soon"),
            "KS0309 m/web.yaml:9:48 `spec.template.metadata.annotations.karpsim/duration`: must be a \
             duration such as 10m",
        ),
        (
            edited(JOB, "spec:\n  comp", "spec:\n  suspend: true\n  comp"),
            "KS0311 m/web.yaml:5:12 `spec.suspend` is not modelled, and it keeps the pods from being made",
        ),
    ] {
        check("m/web.yaml", &[("apiVersion", &text)], &[expected]);
    }
}

#[test]
fn feature_gates_that_are_modelled_can_be_switched_on() {
    let options = "    autoscaler: Karpenter(options: (evaluation_time: \"20ms\", feature_gates: \
                   {\"SpotToSpotConsolidation\": true, \"StaticCapacity\": true})),\n    timeline";
    let (loaded, diagnostics) = load_edited("s.ron", &[("    timeline", options)]);
    assert_eq!(problems(&diagnostics), [""; 0]);
    let karpenter = loaded.expect("no errors").settings.karpenter;
    assert!(karpenter.feature_gates["SpotToSpotConsolidation"]);
    assert!(karpenter.feature_gates["StaticCapacity"]);
    assert_eq!(karpenter.evaluation_time, SimDuration::from_ms(20));
}

const OVERLAY: &str = "apiVersion: karpenter.sh/v1alpha1
kind: NodeOverlay
metadata: {name: discount}
spec:
  weight: 10
  priceAdjustment: \"-10%\"
  capacity: {example.com/device: 2}
  requirements:
  - {key: karpenter.sh/nodepool, operator: In, values: [default]}
---
";

/// The scenario with feature gates on.
fn gates_on(names: &[&str]) -> String {
    let gates: Vec<String> = names.iter().map(|name| format!("\"{name}\": true")).collect();
    let options = format!("Karpenter(options: (feature_gates: {{{}}}))", gates.join(", "));
    SCENARIO.replace("    timeline", &format!("    autoscaler: {options},\n    timeline"))
}

#[test]
fn node_overlays_are_read_when_their_gate_is_on() {
    let (loaded, diagnostics) =
        load_with_file(&gates_on(&["NodeOverlay"]), "m/overlay.yaml", OVERLAY);
    assert_eq!(problems(&diagnostics), [""; 0]);
    let overlays = loaded.expect("no errors").objects.node_overlays;
    let [overlay] = overlays.as_slice() else { panic!("one overlay") };
    assert_eq!((&*overlay.name, overlay.weight), ("discount", 10));
    assert_eq!(overlay.price.as_deref(), Some("-10%"));
    assert_eq!(overlay.capacity.as_ref().map(|c| c.get("example.com/device")), Some(2));
    assert_eq!(overlay.requirements.len(), 1);
    let (loaded, diagnostics) = load_with_file(SCENARIO, "m/overlay.yaml", OVERLAY);
    let expected = "KS0331 m/overlay.yaml:3:18 NodeOverlay/discount has no effect, as the feature gate \
                    NodeOverlay is off";
    assert_eq!(problems(&diagnostics), [expected]);
    assert!(loaded.expect("a warning only").objects.node_overlays.is_empty());
}

#[test]
fn node_overlays_of_one_weight_conflict() {
    let other = OVERLAY.replace("discount", "bonus");
    let (loaded, mut diagnostics) =
        load_with_file(&gates_on(&["NodeOverlay"]), "m/overlay.yaml", &format!("{OVERLAY}{other}"));
    let loaded = loaded.expect("no errors");
    let config = resolve::config(&loaded, embedded());
    resolve::warn_of_conflicting_overlays(&loaded, &config, &mut diagnostics);
    let expected = "KS0332 m/overlay.yaml:13:18 NodeOverlay/bonus has no effect: another one of the same \
                    weight sets the same";
    assert_eq!(problems(&diagnostics), [expected]);
}

const BUFFER: &str = "apiVersion: autoscaling.x-k8s.io/v1beta1
kind: CapacityBuffer
metadata: {name: room, namespace: shop}
spec:
  scalableRef: {apiGroup: apps, kind: Deployment, name: web}
  replicas: 2
  percentage: 20
  limits: {cpu: 10}
---
apiVersion: v1
kind: PodTemplate
metadata: {name: shape, namespace: shop}
template:
  metadata: {labels: {app: spare}}
  spec: {containers: [{name: a, resources: {requests: {cpu: 2}}}]}
---
";

#[test]
fn capacity_buffers_are_read_when_their_gate_is_on() {
    let (loaded, diagnostics) =
        load_with_file(&gates_on(&["CapacityBuffer"]), "m/buffer.yaml", BUFFER);
    assert_eq!(problems(&diagnostics), [""; 0]);
    let objects = loaded.expect("no errors").objects;
    let [buffer] = objects.capacity_buffers.as_slice() else { panic!("one buffer") };
    assert_eq!(buffer.shape, PodShape::Deployment("web".into()));
    assert_eq!((buffer.replicas, buffer.percentage), (Some(2), Some(20)));
    let [template] = objects.pod_templates.as_slice() else { panic!("one template") };
    assert_eq!(template.template.requests.lane(Lane::Cpu), 2_000);
    assert_eq!(buffer.desired(Some(40), &template.template.requests), 5, "the limit");
    let (loaded, diagnostics) = load_with_file(SCENARIO, "m/buffer.yaml", BUFFER);
    let expected = "KS0331 m/buffer.yaml:3:18 CapacityBuffer/shop/room has no effect, as the feature \
                    gate CapacityBuffer is off";
    assert_eq!(problems(&diagnostics), [expected]);
    assert!(loaded.expect("a warning only").objects.capacity_buffers.is_empty());
}

#[test]
fn capacity_buffers_that_cannot_be_read() {
    let scalable = "scalableRef: {apiGroup: apps, kind: Deployment, name: web}";
    for (from, to, expected) in [
        (
            scalable,
            "podTemplateRef: {name: shape}",
            "KS0309 m/buffer.yaml:7:15 `spec.percentage`: percentage needs scalableRef",
        ),
        (
            "  replicas",
            "  podTemplateRef: {name: shape}\n  replicas",
            "KS0309 m/buffer.yaml:5:16 `spec.scalableRef`: podTemplateRef and scalableRef exclude each other",
        ),
        (
            "kind: Deployment",
            "kind: StatefulSet",
            "KS0307 m/buffer.yaml:5:39 `spec.scalableRef.kind` does not accept `StatefulSet`",
        ),
        (
            "replicas: 2",
            "replicas: -2",
            "KS0309 m/buffer.yaml:6:13 `spec.replicas`: must be at least 0 and at most 2147483647",
        ),
        (
            "  replicas: 2",
            "  provisioningStrategy: other",
            "KS0307 m/buffer.yaml:6:25 `spec.provisioningStrategy` does not accept `other`",
        ),
    ] {
        let text = BUFFER.replacen(from, to, 1);
        let (_, diagnostics) =
            load_with_file(&gates_on(&["CapacityBuffer"]), "m/buffer.yaml", &text);
        let found = problems(&diagnostics);
        assert!(found.contains(&expected.to_owned()), "{found:?}");
    }
}

#[test]
fn node_overlays_that_cannot_be_read() {
    for (from, to, expected) in [
        (
            "\"-10%\"",
            "\"10%\"",
            "KS0309 m/overlay.yaml:6:20 `spec.priceAdjustment`: must be an amount or a percentage with its \
             sign, such as \"+0.05\" or \"-10%\"",
        ),
        (
            "  capacity",
            "  price: \"1\"\n  capacity",
            "KS0309 m/overlay.yaml:6:20 `spec.priceAdjustment`: price and priceAdjustment exclude each other",
        ),
        (
            "weight: 10",
            "weight: 0",
            "KS0309 m/overlay.yaml:5:11 `spec.weight`: must be at least 1 and at most 10000",
        ),
        (
            "example.com/device: 2",
            "cpu: 2",
            "KS0309 m/overlay.yaml:7:19 `spec.capacity.cpu`: an overlay cannot set cpu",
        ),
        (
            "In, values: [default]",
            "NotIn",
            "KS0309 m/overlay.yaml:9:5 `spec.requirements[0]`: operator NotIn needs at least one value",
        ),
        (
            "karpenter.sh/nodepool,",
            "kubernetes.io/hostname,",
            "KS0309 m/overlay.yaml:9:11 `spec.requirements[0].key`: the label `kubernetes.io/hostname` is \
             restricted: Karpenter ignores a pod and refuses a NodePool that names it",
        ),
        (
            "values: [default]",
            "values: [default], minValues: 1",
            "KS0302 m/overlay.yaml:9:67 NodeOverlay has no field `spec.requirements[0].minValues`",
        ),
    ] {
        let text = OVERLAY.replacen(from, to, 1);
        let (_, diagnostics) = load_with_file(&gates_on(&["NodeOverlay"]), "m/overlay.yaml", &text);
        assert_eq!(problems(&diagnostics), [expected]);
    }
}

#[test]
fn two_node_pools_of_one_name() {
    let pools = format!("{POOL}---\n{POOL}");
    let (_, diagnostics) = load_files(&[
        (
            "s.ron",
            "(cluster: (manifests: [\"c.yaml\", \"p.yaml\"], region: \"us-west-2\", env: {\"ROLE\": \"r\", \"CLUSTER\": \"c\"}))",
        ),
        ("c.yaml", CLASS),
        ("p.yaml", &pools),
    ]);
    let expected = "\
error[KS0316]: NodePool/default is defined twice
  --> p.yaml:33:9
   |
 4 |   name: default
   |         ------- first defined here
...
33 |   name: default
   |         ^^^^^^^
   |
   = help: rename or remove one of the two
";
    assert_eq!(render(&diagnostics, Colour::Off), expected);
}

#[test]
fn fields_of_node_pools() {
    check_all(&[
        (
            "m/pool.yaml",
            &[("  expireAfter: 72h", "  expireAfter: 1.5h")],
            &["KS0205 m/pool.yaml:22:20 `1.5h` is no duration (spec.template.spec.expireAfter)"],
        ),
        (
            "m/pool.yaml",
            &[("    consolidateAfter: 1m\n", "")],
            &["KS0308 m/pool.yaml:24:5 the field `spec.disruption.consolidateAfter` is missing"],
        ),
        (
            "m/pool.yaml",
            &[("1000Gi", "lots")],
            &["KS0305 m/pool.yaml:28:13 `lots` is no quantity (spec.limits.memory)"],
        ),
        (
            "m/pool.yaml",
            &[("type: karpenter", "type: 5")],
            &[
                "KS0304 m/pool.yaml:9:15 `spec.template.metadata.labels.type` must be text, found a number",
            ],
        ),
        (
            "m/pool.yaml",
            &[("type: karpenter", "type: a b")],
            &[
                "KS0306 m/pool.yaml:9:15 `a b` is no valid label value (spec.template.metadata.labels.type)",
            ],
        ),
        (
            "m/pool.yaml",
            &[("operator: In", "operator: in")],
            &[
                "KS0307 m/pool.yaml:13:21 `spec.template.spec.requirements[0].operator` does not accept `in`",
            ],
        ),
        (
            "m/pool.yaml",
            &[("[\"on-demand\"]", "[\"ondemand\"]")],
            &[
                "KS0309 m/pool.yaml:12:11 `spec.template.spec.requirements[0]`: `karpenter.sh/capacity-type` \
             has the values on-demand, spot, reserved, not ondemand",
            ],
        ),
        (
            "m/pool.yaml",
            &[
                ("karpenter.sh/capacity-type", "topology.kubernetes.io/zone"),
                ("on-demand", "us-west-2x"),
            ],
            &[
                "KS0321 m/pool.yaml:14:20 `us-west-2x` is no zone of this run, so no node runs there",
            ],
        ),
        (
            "m/pool.yaml",
            &[("karpenter.sh/capacity-type", "karpenter.sh/capacity-typ")],
            &["KS0309 m/pool.yaml:12:16 `spec.template.spec.requirements[0].key`: the label \
             `karpenter.sh/capacity-typ` is restricted: Karpenter ignores a pod and refuses a NodePool \
             that names it"],
        ),
        (
            "m/pool.yaml",
            &[("  limits:\n    cpu: \"1000\"\n    memory: 1000Gi\n", "  replicas: 3\n")],
            &[
                "KS0330 m/pool.yaml:4:9 NodePool/default has `replicas`, but the feature gate StaticCapacity is \
                 off",
            ],
        ),
        (
            "m/pool.yaml",
            &[("  limits:", "  weight: 101\n  limits:")],
            &["KS0309 m/pool.yaml:26:11 `spec.weight`: must be at least 1 and at most 100"],
        ),
        (
            "m/pool.yaml",
            &[(
                "    consolidateAfter: 1m",
                "    consolidateAfter: 1m\n    budgets: [{nodes: 110%}, {schedule: \"@daily\"}]",
            )],
            &[
                "KS0309 m/pool.yaml:26:23 `spec.disruption.budgets[0].nodes`: must be a whole number, or a \
             percentage from 0% to 100%",
                "KS0309 m/pool.yaml:26:41 `spec.disruption.budgets[1].schedule`: schedule must be set \
             together with duration",
            ],
        ),
        (
            "m/pool.yaml",
            &[(
                "    consolidateAfter: 1m",
                "    consolidateAfter: 1m\n    budgets: [{reasons: [Empty, Drifted, Empty]}]",
            )],
            &[
                "KS0309 m/pool.yaml:26:42 `spec.disruption.budgets[0].reasons[2]`: Empty stands twice",
            ],
        ),
        (
            "m/pool.yaml",
            &[("type: karpenter", "mykarpenter.sh/team: a")],
            &[
                "KS0309 m/pool.yaml:9:9 `spec.template.metadata.labels`: the label `mykarpenter.sh/team` is restricted",
            ],
        ),
        (
            "m/pool.yaml",
            &[(
                "    consolidateAfter: 1m",
                "    consolidateAfter: 1m
    budgets:
      - {schedule: 0 0 * * tue-mon, duration: 1h}
      - {schedule: \"@daily\", duration: 90s}
      - {schedule: \"0 9 * * mon-fri\", duration: 8h0m0s, nodes: 0, reasons: [Underutilized]}
      - {schedule: \"0 0 * * 7\", duration: 1h30m}",
            )],
            &[
                "KS0309 m/pool.yaml:27:20 `spec.disruption.budgets[0].schedule`: the day of week \
                 `tue-mon` is a range that descends",
                "KS0309 m/pool.yaml:28:40 `spec.disruption.budgets[1].duration`: must be in hours and \
                 minutes, such as 10h5m or 30m",
                "KS0309 m/pool.yaml:30:20 `spec.disruption.budgets[3].schedule`: the day of week `7` is \
                 not within 0 to 6",
            ],
        ),
        (
            "m/pool.yaml",
            &[(
                "      expireAfter",
                "      taints: [{key: a, effect: NoSchedule}]\n      startupTaints: [{key: a, value: b, effect: NoSchedule}]\n      expireAfter",
            )],
            &[
                "KS0309 m/pool.yaml:23:23 `spec.template.spec.startupTaints[0]`: a key and effect may stand \
             only once in taints and startupTaints together",
            ],
        ),
    ]);
}

/// Rules of karpenter v1.14.1 `pkg/apis/v1/nodepool.go` on NodePools with `replicas`.
#[test]
fn fields_of_static_node_pools() {
    let scenario = gates_on(&["StaticCapacity"]);
    let load_pool = |edits: &[(&str, &str)], timeline: &str| {
        let scenario = scenario.replace("Scale(\"Deployment/shop/web\", 5)", timeline);
        let mut pool = POOL.replace("name: default\nspec", "name: fixed\nspec");
        for (from, to) in edits {
            assert!(pool.contains(from), "{from}");
            pool = pool.replacen(from, to, 1);
        }
        let (_, diagnostics) = load_with_file(&scenario, "m/fixed.yaml", &pool);
        assert!(diagnostics.iter().all(|problem| problem.help.is_some()));
        problems(&diagnostics)
    };
    let limits = ("    cpu: \"1000\"\n    memory: 1000Gi\n", "    nodes: 5\n");
    let replicas = ("  limits:", "  replicas: 3\n  limits:");
    assert_eq!(load_pool(&[limits, replicas], "Restart"), [""; 0]);
    assert_eq!(
        load_pool(&[limits, ("  limits:", "  replicas: 3\n  weight: 1\n  limits:")], "Restart"),
        ["KS0309 m/fixed.yaml:27:11 `spec.weight`: a static NodePool has no weight"]
    );
    assert_eq!(
        load_pool(&[replicas], "Restart"),
        [
            "KS0309 m/fixed.yaml:28:5 `spec.limits`: a static NodePool has the limit `nodes` only, not `cpu`",
            "KS0309 m/fixed.yaml:29:5 `spec.limits`: a static NodePool has the limit `nodes` only, not `memory`"
        ]
    );
    // What the API server asks of a change.
    let becomes = "`spec.replicas`: a NodePool cannot become static (with replicas) or dynamic (without) later on";
    let patch = |value: &str| {
        format!("Patch(\"NodePool/fixed\", {{ \"spec\": {{ \"replicas\": {value} }} }})")
    };
    assert_eq!(load_pool(&[limits, replicas], &patch("5")), [""; 0]);
    assert_eq!(
        load_pool(&[limits, replicas], &patch("null")),
        [format!("KS0309 m/fixed.yaml:4:9 {becomes}")]
    );
    assert_eq!(load_pool(&[limits], &patch("5")), [format!("KS0309 s.ron:10:73 {becomes}")]);
    let again = "Delete(\"NodePool/fixed\")), At(\"5m\", Apply(\"m/fixed.yaml\")";
    assert_eq!(load_pool(&[limits, replicas], again), [""; 0]);
}

#[test]
fn fields_of_node_classes() {
    check_all(&[
        (
            "m/class.yaml",
            &[("[{alias: al2023@latest}]", "[{id: i-12}, {id: ami-0a}]\n  amiFamily: AL2023")],
            &["KS0309 m/class.yaml:6:27 `spec.amiSelectorTerms[0].id`: `i-12` is no id"],
        ),
        (
            "m/class.yaml",
            &[
                ("[{tags: {karpenter.sh/discovery: $CLUSTER}}]", "[{id: subnet-}]"),
                (
                    "[{tags: {karpenter.sh/discovery: $CLUSTER}}]",
                    "[{id: sg-1}, {id: sg-2, name: x}]",
                ),
            ],
            &["KS0309 m/class.yaml:8:30 `spec.subnetSelectorTerms[0].id`: `subnet-` is no id"],
        ),
        (
            "m/class.yaml",
            &[("[{tags: {karpenter.sh/discovery: $CLUSTER}}]", "[{id: subnet-1, tags: {a: b}}]")],
            &[
                "KS0309 m/class.yaml:8:25 `spec.subnetSelectorTerms[0]`: `id` cannot be combined with other selectors",
            ],
        ),
        (
            "m/class.yaml",
            &[("  role:", "  kubelet: {evictionHard: {memory.available: 5.125%}}\n  role:")],
            &[
                "KS0305 m/class.yaml:7:46 `5.125%` is no quantity (spec.kubelet.evictionHard.memory.available)",
            ],
        ),
        (
            "m/class.yaml",
            &[(
                "  role:",
                "  blockDeviceMappings: [{ebs: {volumeSize: 8Gi, snapshotID: \"\", volumeInitializationRate: 100}}]\n  role:",
            )],
            &[
                "KS0309 m/class.yaml:7:91 `spec.blockDeviceMappings[0].ebs.volumeInitializationRate`: needs snapshotID",
            ],
        ),
        (
            "m/class.yaml",
            &[("al2023@latest", "al2024@latest")],
            &[
                "KS0309 m/class.yaml:6:30 `spec.amiSelectorTerms[0].alias`: an alias is FAMILY@VERSION with a \
             family of al2, al2023, bottlerocket, windows2019, windows2022, windows2025",
            ],
        ),
        (
            "m/class.yaml",
            &[
                ("{alias: al2023@latest}", "{owner: self}"),
                ("  role:", "  amiFamily: AL2023\n  role:"),
            ],
            &[
                "KS0309 m/class.yaml:6:22 `spec.amiSelectorTerms[0]`: `owner` only narrows down other selectors",
            ],
        ),
        (
            "m/class.yaml",
            &[("  role: \"${ROLE}\"\n", "")],
            &["KS0308 m/class.yaml:6:3 the field `spec.role` is missing"],
        ),
        (
            "m/class.yaml",
            &[(
                "  role:",
                "  kubelet: {maxPods: -1, evictionHard: {memory.availabl: 5%}}\n  role:",
            )],
            &[
                "KS0309 m/class.yaml:7:22 `spec.kubelet.maxPods`: must be at least 0 and at most 2147483647",
                "KS0307 m/class.yaml:7:41 `spec.kubelet.evictionHard` does not accept `memory.availabl`",
            ],
        ),
        (
            "m/class.yaml",
            &[(
                "  role:",
                "  blockDeviceMappings: [{ebs: {volumeSize: 18Ti}}, {ebs: {}}]\n  role:",
            )],
            &[
                "KS0309 m/class.yaml:7:44 `spec.blockDeviceMappings[0].ebs.volumeSize`: must be a size from \
             1Gi to 58Ti in Gi, G, Ti or T",
                "KS0309 m/class.yaml:7:58 `spec.blockDeviceMappings[1].ebs`: needs volumeSize or snapshotID",
            ],
        ),
    ]);
}

#[test]
fn fields_of_pods() {
    check_all(&[
        (
            "m/web.yaml",
            &[("      containers:", "      resourceClaims: [{name: gpu}]\n      containers:")],
            &[
                "KS0311 m/web.yaml:12:23 `spec.template.spec.resourceClaims` is not modelled, and it needs \
             devices of the node",
            ],
        ),
        (
            "m/web.yaml",
            &[(
                "      containers:",
                "      topologySpreadConstraints: [{maxSkew: 0, topologyKey: z, whenUnsatisfiable: Never}]\n      containers:",
            )],
            &[
                "KS0309 m/web.yaml:12:45 `spec.template.spec.topologySpreadConstraints[0].maxSkew`: must be at \
             least 1 and at most 2147483647",
                "KS0307 m/web.yaml:12:83 `spec.template.spec.topologySpreadConstraints[0].whenUnsatisfiable` does \
             not accept `Never`",
            ],
        ),
        (
            "m/web.yaml",
            &[(
                "          image",
                "          ports: [{containerPort: 80, hostPort: 80, hostIP: x}]\n          image",
            )],
            &[
                "KS0309 m/web.yaml:14:61 `spec.template.spec.containers[0].ports[0].hostIP`: must be an IP address",
            ],
        ),
        (
            "m/web.yaml",
            &[("      containers:", "      priorityClassName: hgih\n      containers:")],
            &["KS0319 m/web.yaml:12:26 no manifest defines PriorityClass/hgih"],
        ),
        (
            "m/web.yaml",
            &[("500m", "500x")],
            &["KS0305 m/web.yaml:16:29 `500x` is no quantity \
             (spec.template.spec.containers[0].resources.requests.cpu)"],
        ),
        (
            "m/web.yaml",
            &[(
                "      containers:",
                "      nodeSelector: {kubernetes.io/hostname: a}\n      containers:",
            )],
            &[
                "KS0309 m/web.yaml:12:21 `spec.template.spec.nodeSelector`: the label `kubernetes.io/hostname` \
             is restricted: Karpenter ignores a pod and refuses a NodePool that names it",
            ],
        ),
        (
            "m/web.yaml",
            &[("matchLabels: {app: web}", "matchLabels: {app: wbe}")],
            &[
                "KS0309 m/web.yaml:8:33 `spec.selector.matchLabels.app`: the template's labels do not have app",
            ],
        ),
    ]);
    check_text(
        "m/web.yaml",
        &[("          image", "          imag: x\n          livenessProbe: {}\n          image")],
        "note[KS0303]: unknown fields are ignored: Deployment spec.template.spec.containers[].imag\n",
    );
    check_text(
        "m/web.yaml",
        &[("          image", "          livenessProbe: {}\n          image")],
        "note[KS0310]: these fields have no effect here: Deployment \
         spec.template.spec.containers[].livenessProbe\n",
    );
}

#[test]
fn requests_of_init_containers_count_as_kubernetes_counts_them() {
    let init = "      initContainers:
        - {name: a, resources: {requests: {cpu: 4900m}}, restartPolicy: Always}
        - {name: b, resources: {requests: {cpu: \"6\"}}}
      containers:";
    let edits = [("      containers:", init), ("500m", "5")];
    let (loaded, _) = load_edited("m/web.yaml", &edits);
    let loaded = loaded.expect("a scenario");
    let class = &loaded.objects.deployments[0].template;
    assert_eq!(class.requests.lane(Lane::Cpu), 10_900);
    assert_eq!(class.nonzero_cpu_milli, 10_900);
    assert_eq!(class.nonzero_memory_bytes, (1 << 30) + (200 << 20));
}

#[test]
fn topology_ports_and_volumes_of_pods_are_read() {
    let more = "      topologySpreadConstraints:
        - {maxSkew: 2, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway, matchLabelKeys: [app],
           labelSelector: {}}
      affinity:
        podAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - {weight: 7, podAffinityTerm: {topologyKey: zone, namespaceSelector: {}, labelSelector: {}}}
      volumes:
        - {name: data, persistentVolumeClaim: {claimName: data}}
        - {name: scratch, ephemeral: {volumeClaimTemplate: {spec: {storageClassName: fast}}}}
        - {name: tmp, emptyDir: {}}
      containers:";
    let ports = "          ports: [{containerPort: 80}, {containerPort: 53, hostPort: 53, protocol: UDP}]\n          image";
    let edits = [("      containers:", more), ("          image", ports)];
    let (loaded, diagnostics) = load_edited("m/web.yaml", &edits);
    assert_eq!(problems(&diagnostics), [""; 0]);
    let loaded = loaded.expect("a scenario");
    let class = &loaded.objects.deployments[0].template;
    let spread = &class.spread[0];
    assert_eq!((spread.max_skew, spread.hard, spread.min_domains), (2, false, None));
    let selector = spread.selector.as_ref().expect("a selector");
    assert!(selector.matches(&class.labels) && !selector.matches(&Labels::default()));
    let (weight, term) = &class.pod_affinity.preferred[0];
    assert!(
        *weight == 7
            && term.namespaces.selector.is_some()
            && class.pod_affinity.required.is_empty()
    );
    let udp = HostPort { protocol: Protocol::Udp, ..HostPort::tcp(53) };
    assert_eq!(class.host_ports, [udp]);
    let names: Vec<String> =
        class.volumes.iter().map(|v| v.claim_name("web-0").to_string()).collect();
    assert_eq!(names, ["data", "web-0-scratch"]);
}

#[test]
fn storage_kinds_are_read() {
    let objects: Vec<serde_json::Value> = vec![
        serde_json::json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "gp3"},
            "provisioner": "kubernetes.io/aws-ebs", "volumeBindingMode": "WaitForFirstConsumer",
            "allowedTopologies": [{"matchLabelExpressions": [{"key": "topology.ebs.csi.aws.com/zone", "values": ["z1"]}]}]}),
        serde_json::json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
            "spec": {"storageClassName": "gp3", "volumeName": ""}}),
        serde_json::json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv"}, "spec": {
            "local": {"path": "/x"}, "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "kubernetes.io/hostname", "operator": "In", "values": ["a"]}]}, {}]}}}}),
        serde_json::json!({"apiVersion": "storage.k8s.io/v1", "kind": "CSINode", "metadata": {"name": "n"}, "spec": {
            "drivers": [{"name": "ebs.csi.aws.com", "nodeID": "n", "allocatable": {"count": 27}}, {"name": "x"}]}}),
        serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "a"}}}),
    ];
    let mut diagnostics = Diagnostics::default();
    let (mut symbols, mut cluster) = (label::vocabulary(), Cluster::default());
    let catalogue = catalogue();
    let read =
        load_objects_json("o", &objects, &mut symbols, &mut cluster, &catalogue, &mut diagnostics);
    assert_eq!(problems(&diagnostics), [""; 0]);
    let storage = &read.storage;
    let class = &storage.classes["gp3"];
    assert_eq!((&*class.driver, class.immediate), ("ebs.csi.aws.com", false));
    assert!(class.topologies[0].get(label::ZONE).is_some(), "the EBS driver's key is the zone's");
    let claim = &storage.claims[&("default".into(), "data".into())];
    assert_eq!((claim.volume.clone(), claim.bound), (None, false));
    assert_eq!(storage.driver(claim).map(|driver| &**driver), Some("ebs.csi.aws.com"));
    assert_eq!(
        storage.volumes["pv"].topologies,
        [Requirements::default()],
        "the host of a local volume"
    );
    assert_eq!(storage.attach_limits["n"], [("ebs.csi.aws.com".into(), 27)]);
    assert_eq!(read.namespaces["shop"].len(), 2);
}

#[test]
fn embedded_json_objects_are_read_with_the_same_rules() {
    let objects: Vec<serde_json::Value> = vec![
        serde_json::json!({"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": "default"}}),
        serde_json::json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "cni", "namespace": "kube-system"},
            "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
            "spec": {"priorityClassName": "system-node-critical", "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "main", "resources": {"requests": {"cpu": "x"}}}]}}}}),
    ];
    let mut diagnostics = Diagnostics::default();
    let (mut symbols, mut cluster) = (label::vocabulary(), Cluster::default());
    let read = load_objects_json(
        "objects",
        &objects,
        &mut symbols,
        &mut cluster,
        &catalogue(),
        &mut diagnostics,
    );
    assert_eq!((read.node_classes.len(), read.daemon_sets.len()), (1, 1));
    assert_eq!(read.daemon_sets[0].template.priority, 2_000_001_000);
    assert_eq!(
        problems(&diagnostics),
        [
            "KS0305 objects[1]:32:24 `x` is no quantity (spec.template.spec.containers[0].resources.requests.cpu)"
        ]
    );
}

#[test]
fn every_code_has_a_test() {
    let tests = [
        include_str!("scenario.rs"),
        include_str!("kustomize.rs"),
        include_str!("cli.rs"),
        include_str!("catalog.rs"),
        include_str!("change.rs"),
        include_str!("../../src/scenario/yaml.rs"),
        include_str!("../../src/scenario/file.rs"),
    ]
    .concat();
    let missing: Vec<&str> =
        CODES.iter().map(|(code, _, _)| *code).filter(|code| !tests.contains(code)).collect();
    assert_eq!(missing, [""; 0]);
}

/// A text with a part replaced by a piece that is likely to upset a reader.
fn damaged(text: &str, from: usize, length: usize, piece: usize) -> String {
    const PIECES: [&str; 16] = [
        "", "\"", "'", "[", "{", "(", ")", ": ", "\t", "\n- ", "&a *a", "<<: ", "${", "\u{e9}",
        "-1", "|",
    ];
    let boundary = |byte: usize| karpsim::diagnostic::floor_char_boundary(text, byte % text.len());
    let start = boundary(from);
    let end = boundary((start + length).min(text.len() - 1)).max(start);
    [&text[..start], PIECES[piece % PIECES.len()], &text[end..]].concat()
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    /// Whatever the input, loading ends, and every problem can be shown.
    #[test]
    fn damaged_files_do_not_panic(
        from in 0..2_000_usize,
        length in 0..12_usize,
        piece in 0..16_usize,
        which in 0..4_usize,
        again in 0..2_000_usize,
    ) {
        let mut texts = [SCENARIO, CLASS, POOL, APP].map(str::to_owned);
        texts[which] = damaged(&texts[which], from, length, piece);
        texts[which] = damaged(&texts[which], again, length / 3, piece / 2);
        let names = ["s.ron", "m/class.yaml", "m/pool.yaml", "m/web.yaml"];
        let files: Vec<(&str, &str)> = names.into_iter().zip(texts.iter().map(String::as_str)).collect();
        let (loaded, diagnostics) = load_files(&files);
        proptest::prop_assert_eq!(loaded.is_none(), diagnostics.has_errors());
        render(&diagnostics, Colour::On);
    }
}
