//! Policies, axes and `--set`: what they change, and what is said about those that cannot.

use karpsim::diagnostic::Diagnostics;
use karpsim::report::diagnostic::{Colour, render};
use karpsim::scenario::patch::Changed;
use karpsim::scenario::{Choice, LoadedScenario, Setting, Written};
use karpsim::units::SimDuration;

use super::scenario::{SCENARIO, load_choice, load_with_file};

/// The standard scenario with more fields at its end, and a choice.
fn load(fields: &str, choice: &Choice) -> (Option<LoadedScenario>, Diagnostics) {
    let text =
        SCENARIO.trim_end().strip_suffix(')').expect("a scenario").to_owned() + fields + ")\n";
    load_choice(&text, choice)
}

fn policy(name: &str) -> Choice {
    Choice { policy: Some(name.to_owned()), settings: Vec::new() }
}

fn set(path: &str, value: &str) -> Choice {
    let written = Written::Option("--set #1".to_owned());
    let setting = Setting { path: path.to_owned(), value: value.to_owned(), written };
    Choice { policy: None, settings: vec![setting] }
}

#[track_caller]
fn loaded(fields: &str, choice: &Choice) -> LoadedScenario {
    let (loaded, diagnostics) = load(fields, choice);
    loaded.unwrap_or_else(|| panic!("{}", render(&diagnostics, Colour::Off)))
}

const POLICIES: &str = r#"    policies: [
        Policy(name: "seed"),
        Policy(name: "calm", patch: {
            "NodePool/default": { "spec": { "disruption": { "consolidateAfter": "10m" }, "limits": None } },
            "NodePool/default:spec.disruption.budgets": [(nodes: "20%")],
            "cloud.latency.create": Fixed("2s"),
            "autoscaler": { "options": { "batch_idle": "5s" } },
        }),
    ],
"#;

#[test]
fn a_policy_patches_manifests_and_settings() {
    let seed = loaded(POLICIES, &Choice::default());
    let calm = loaded(POLICIES, &policy("calm"));
    assert_eq!(seed.plan.policies, ["seed", "calm"]);
    assert_eq!((&*seed.settings.policy, &*calm.settings.policy), ("seed", "calm"));
    let minutes = |n| Some(SimDuration::from_minutes(n));
    assert_eq!(seed.objects.node_pools[0].disruption.consolidate_after, minutes(1));
    assert_eq!(calm.objects.node_pools[0].disruption.consolidate_after, minutes(10));
    assert_eq!(calm.settings.karpenter.batch_idle, SimDuration::from_seconds(5));
    let lines: Vec<String> = calm.changed.iter().map(line).collect();
    let expected = [
        "scenario cloud.latency.create -> Fixed(\"2s\")",
        "scenario autoscaler.options.batch_idle -> \"5s\"",
        "NodePool/default spec.disruption.consolidateAfter 1m -> 10m",
        "NodePool/default spec.limits {cpu: 1000, memory: 1000Gi} ->",
        "NodePool/default spec.disruption.budgets -> [{nodes: 20%}]",
    ];
    assert_eq!(lines, expected);
    assert_ne!(seed.input_digest, calm.input_digest);
}

/// `object path from -> to`
fn line(changed: &Changed) -> String {
    let Changed { object, path, from, to } = changed;
    let (from, to) = (from.as_deref().unwrap_or_default(), to.as_deref().unwrap_or_default());
    let from = if from.is_empty() { String::new() } else { format!(" {from}") };
    format!("{object} {path}{from} -> {to}").trim_end().to_owned()
}

#[test]
fn the_command_line_has_the_last_word() {
    let calm = Choice {
        policy: Some("calm".to_owned()),
        ..set("NodePool/default:spec.disruption.consolidateAfter", "Never")
    };
    let calm = loaded(POLICIES, &calm);
    assert_eq!(calm.objects.node_pools[0].disruption.consolidate_after, None);
    for (path, value) in [("seed", "7"), ("horizon", "5h"), ("cluster.zones", "[\"us-west-2b\"]")] {
        let loaded = loaded("", &set(path, value));
        let settings = (loaded.settings.seed, loaded.settings.horizon, loaded.settings.zones.len());
        let expected = match path {
            "seed" => (7, SimDuration::from_minutes(120), 2),
            "horizon" => (1, SimDuration::from_minutes(300), 2),
            _ => (1, SimDuration::from_minutes(120), 1),
        };
        assert_eq!(settings, expected);
    }
    let scaled = loaded("", &set("Deployment/shop/web:spec.replicas", "9"));
    assert_eq!(scaled.objects.deployments[0].replicas, 9);
}

#[test]
fn axes_are_part_of_the_plan() {
    let axes = "replications: 8, axes: [Axis(path: \"NodePool/default:spec.disruption.consolidateAfter\", \
                values: [\"30s\", \"Never\"]), Axis(path: \"tie_breaks\", values: [Seeded, Canonical])]";
    let loaded = loaded(axes, &Choice::default());
    assert_eq!(loaded.plan.replications, 8);
    let values: Vec<&[String]> =
        loaded.plan.axes.iter().map(|axis| axis.values.as_slice()).collect();
    assert_eq!(values, [["30s", "Never"], ["Seeded", "Canonical"]]);
}

/// The first problem: its code, the text that it points at, its message.
fn problem(fields: &str, choice: &Choice) -> (String, String, String) {
    let (loaded, diagnostics) = load(fields, choice);
    let found: Vec<_> = diagnostics.iter().collect();
    assert!(loaded.is_none() && found.len() == 1, "{fields}: {found:?}");
    render(&diagnostics, Colour::On);
    let span = found[0].span().expect("a place");
    let text = &diagnostics.sources.get(span.source).text[span.start..span.end];
    (found[0].code.to_owned(), text.to_owned(), found[0].message.clone())
}

#[test]
fn patches_that_cannot_be_applied() {
    for (patch, code, place, message) in [
        (
            "{ \"NodePool/defualt\": { \"spec\": {} } }",
            "KS0220",
            "\"NodePool/defualt\"",
            "no manifest defines `NodePool/defualt`, so nothing of it can be changed",
        ),
        (
            "{ \"NodePool/default\": { \"spec\": { \"disrupton\": {} } } }",
            "KS0302",
            "\"disrupton\"",
            "NodePool has no field `spec.disrupton`",
        ),
        (
            "{ \"NodePool/default\": { \"spec\": { \"disruption\": { \"consolidateAfter\": \"x\" } } } }",
            "KS0205",
            "\"x\"",
            "`x` is no duration (spec.disruption.consolidateAfter)",
        ),
        (
            "{ \"Deployment/shop/web:spec.replcas\": 3 }",
            "KS0302",
            "\"Deployment/shop/web:spec.replcas\"",
            "Deployment has no field `spec.replcas`",
        ),
        (
            "{ \"Deployment/shop/web:spec.replicas.x\": 3 }",
            "KS0221",
            "\"Deployment/shop/web:spec.replicas.x\"",
            "`spec.replicas.x` leads nowhere: `x` cannot be a field of a number",
        ),
        ("{ \"horizon\": \"3h\" }", "KS0222", "\"horizon\"", "`horizon` cannot be changed here"),
        (
            "{ \"pods.start\": Fixed(\"x\") }",
            "KS0205",
            "Fixed(\"x\")",
            "`x` is no duration (pods.start[0])",
        ),
        (
            "{ \"pods.strat\": Fixed(\"1s\") }",
            "KS0202",
            "\"pods.strat\"",
            "`Pods` has no field `strat`",
        ),
        (
            "{ \"A/b\" { } }",
            "KS0201",
            "\"A/b\"",
            "not a valid scenario: an entry is written \"key\": value",
        ),
    ] {
        let found = problem(
            &format!("policies: [Policy(name: \"p\", patch: {patch})]"),
            &Choice::default(),
        );
        assert_eq!(found, (code.to_owned(), place.to_owned(), message.to_owned()));
    }
}

#[test]
fn plans_and_options_that_cannot_be_followed() {
    let two = "policies: [Policy(name: \"p\"), Policy(name: \"p\")]";
    let empty = "axes: [Axis(path: \"seed\", values: [])]";
    let pool = "NodePool/default:spec";
    for (fields, choice, code, place, message) in [
        (two, Choice::default(), "KS0223", "\"p\"", "two policies are called `p`"),
        ("", policy("q"), "KS0224", "q", "the scenario has no policy `q`"),
        (empty, Choice::default(), "KS0225", "\"seed\"", "the axis over `seed` has no value"),
        (
            "replications: 0",
            Choice::default(),
            "KS0207",
            "0",
            "`replications` is 0, but a policy must run at least once",
        ),
        (
            "",
            set("NodePool/defaul:spec", "5"),
            "KS0220",
            "NodePool/defaul:spec",
            "no manifest defines `NodePool/defaul`, so nothing of it can be changed",
        ),
        ("", set("horizn", "5h"), "KS0202", "horizn", "`Scenario` has no field `horizn`"),
        ("", set("horizon", "5x"), "KS0205", "5x", "`5x` is no duration (horizon)"),
        ("", set("axes", "[]"), "KS0222", "axes", "`axes` cannot be changed here"),
        (
            "",
            set(&format!("{pool}..x"), "5"),
            "KS0221",
            "NodePool/default:spec..x",
            "`NodePool/default:spec..x` leads nowhere: a name is missing",
        ),
    ] {
        let found = problem(fields, &choice);
        assert_eq!(found, (code.to_owned(), place.to_owned(), message.to_owned()));
    }
    let broken = problem("", &set(&format!("{pool}.weight"), "[1"));
    assert_eq!((&*broken.0, &*broken.1), ("KS0103", "[1"));
}

#[test]
fn a_misspelt_target_gets_a_suggestion() {
    let patch =
        "policies: [Policy(name: \"p\", patch: { \"NodePool/defualt\": { \"spec\": {} } })]";
    let (_, diagnostics) = load(patch, &Choice::default());
    let text = render(&diagnostics, Colour::Off);
    assert!(text.contains("did you mean `NodePool/default`?"), "{text}");
}

const CURVE: &str = "Daily(mean: 10, peak_to_mean: 1.5, noise: 0.1, most: 40)";

fn web(curve: &str) -> String {
    format!("workloads: [Replicas(template: \"Deployment/shop/web\", curve: {curve})]")
}

#[test]
fn replicas_follow_a_load() {
    let loaded = loaded(&web(CURVE), &Choice::default());
    let source = &loaded.replicas[0];
    assert_eq!((&*source.namespace, &*source.name), ("shop", "web"));
    assert_eq!((source.curve.least, source.curve.most), (1, 40));
}

#[test]
fn loads_that_cannot_be() {
    for (workload, code, place, message) in [
        (
            web("Daily(mean: -5)"),
            "KS0207",
            "-5",
            "`workloads[0].curve.mean` is -5, but it must lie between 0 and 1000000000",
        ),
        (
            web("Daily(mean: 5, peak_to_mean: 9)"),
            "KS0207",
            "9",
            "`workloads[0].curve.peak_to_mean` is 9, but it must lie between 1 and 3",
        ),
        (
            web("Daily(mean: 5, peak_at: \"25:00\")"),
            "KS0207",
            "\"25:00\"",
            "`workloads[0].curve.peak_at` is `25:00`, but a time of the day is written \"14:00\", in UTC",
        ),
        (
            web("Daily(mean: 5)").replace("shop/web", "shop/wbe"),
            "KS0212",
            "\"Deployment/shop/wbe\"",
            "no manifest defines `Deployment/shop/wbe`",
        ),
        (
            "workloads: [Replicas(template: \"Deployment/shop/web\")]".to_owned(),
            "KS0207",
            "Replicas(template: \"Deployment/shop/web\")",
            "`workloads[0]` is neither, but one of `series` and `curve` says how many replicas there are",
        ),
    ] {
        let found = problem(&workload, &Choice::default());
        assert_eq!(found, (code.to_owned(), place.to_owned(), message.to_owned()));
    }
}

#[test]
fn a_series_sets_replicas_at_its_times() {
    let series =
        "workloads: [Replicas(template: \"Deployment/shop/web\", series: \"m/series.txt\")]";
    let with = |rows: &str| {
        let text =
            SCENARIO.trim_end().strip_suffix(')').expect("a scenario").to_owned() + series + ")\n";
        load_with_file(&text, "m/series.txt", &format!("time_s,deployment,replicas\n{rows}"))
    };
    let (loaded, _) = with("0,web,2\n0,other,5\n60.5,web,3\n");
    assert_eq!(
        loaded.expect("a scenario").timeline.len(),
        3,
        "two rows and the scenario's own step"
    );
    for (rows, code, message) in [
        (
            "0,web,2\n5,web,x\n",
            "KS0230",
            "line 3 of `m/series.txt` cannot be used: `x` is no number of replicas",
        ),
        (
            "9,web,2\n5,web,3\n",
            "KS0230",
            "line 3 of `m/series.txt` cannot be used: it is earlier than the row before it",
        ),
        (
            "1000000000,web,2\n",
            "KS0230",
            "line 2 of `m/series.txt` cannot be used: `1000000000` seconds are not within ten years",
        ),
        ("0,wbe,2\n", "KS0231", "`m/series.txt` has no row of `web`"),
    ] {
        let (loaded, diagnostics) = with(rows);
        let found: Vec<_> = diagnostics.iter().map(|d| (d.code, d.message.as_str())).collect();
        assert!(loaded.is_none());
        assert_eq!(found, [(code, message)]);
    }
}

const ARRIVALS: &str = r#"workloads: [Arrivals(
    name: "ci",
    process: Poisson(per_hour: 60),
    pods: [(weight: 2, cpu: "1", memory: "1Gi"), (cpu: "500m")],
    lifetime: Pareto(shape: 1.1, least: "10s", most: "1h"),
    on_eviction: Lose,
)]"#;

#[test]
fn arrivals_become_a_source() {
    let loaded = loaded(ARRIVALS, &Choice::default());
    assert_eq!((loaded.sources.len(), &*loaded.sources[0].name), (1, "ci"));
    let zero = ARRIVALS.replace("weight: 2, ", "weight: 0, ").replace("(cpu", "(weight: 0, cpu");
    for (workload, code, place) in [
        (ARRIVALS.replace("60", "-60"), "KS0207", "-60"),
        (
            ARRIVALS.replace("\"1Gi\"", "\"1Gx\""),
            "KS0305",
            "(weight: 2, cpu: \"1\", memory: \"1Gx\")",
        ),
        (
            ARRIVALS.replace("\"1h\"", "\"1s\""),
            "KS0207",
            "Pareto(shape: 1.1, least: \"10s\", most: \"1s\")",
        ),
        (zero.clone(), "KS0207", &zero["workloads: [".len()..zero.len() - 1]),
    ] {
        let found = problem(&workload, &Choice::default());
        assert_eq!((&*found.0, &*found.1), (code, place), "{}", found.2);
    }
}

#[test]
fn traces_are_checked_row_by_row() {
    let trace = "workloads: [Trace(name: \"t\", file: \"m/t.txt\")]";
    let with = |rows: &str| {
        let text =
            SCENARIO.trim_end().strip_suffix(')').expect("a scenario").to_owned() + trace + ")\n";
        let head = "pod_name,arrival_s,duration_s,cpu_milli,memory_mib,max_per_node\n";
        load_with_file(&text, "m/t.txt", &format!("{head}{rows}"))
    };
    let (loaded, diagnostics) = with("a,0,5,100,64,\nb,1.5,,100,64,1\n");
    assert_eq!(loaded.expect("a scenario").sources.len(), 1);
    let codes: Vec<_> = diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(codes, ["KS0232"], "max_per_node is not modelled, and said once");
    let (loaded, diagnostics) = with("a,0,5,100,64,\nb,1,1000000000,100,64,\n");
    let found: Vec<_> = diagnostics.iter().map(|d| (d.code, d.message.as_str())).collect();
    assert!(loaded.is_none());
    let message =
        "line 3 of `m/t.txt` cannot be used: `1000000000` seconds are not within ten years";
    assert_eq!(found, [("KS0230", message)]);
    let (loaded, diagnostics) = with("a,0,5,100,64,\nb,1,5,100,64,\na,2,5,100,64,\n");
    let found: Vec<_> = diagnostics.iter().map(|d| (d.code, d.message.as_str())).collect();
    assert!(loaded.is_none());
    let message = "line 4 of `m/t.txt` names its pod `a`, as line 2 does";
    assert_eq!(found, [("KS0233", message)]);
}
