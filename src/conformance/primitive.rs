//! Tables of small facts: one question and Karpenter's answer a line, put to the functions that the deciders use.

use serde_json::{Value, json};

use super::report::{Check, Outcome};
use super::{NotComparable, catalogue, malformed, objects, outcome};
use crate::ec2::price_change;
use crate::kube::node_pool::{self, Reason};
use crate::kube::pod::{deletion_cost, eviction_cost};
use crate::kube::requirement::AllowUndefined;
use crate::kube::taint::{self, Effect, Taint, Toleration, TolerationOperator};
use crate::kube::{label, port};
use crate::scheduling::go_sort;
use crate::units::{Symbols, quantity};

/// Values that the table of requirements asks about.
const ASKED: [&str; 12] = ["0", "1", "2", "3", "4", "8", "16", "20", "a", "b", "c", "d"];

/// A line's answers, or what of it cannot be asked.
type Answers = Result<Vec<Answer>, NotComparable>;

/// What was asked, expected, found.
struct Answer(&'static str, Value, Value);

/// The answers to a line, `None` when it belongs to no table.
pub(super) fn replay(line: &Value) -> Option<Result<Outcome, NotComparable>> {
    let answers = answer(line)?;
    Some(answers.map(|answers| {
        let differing =
            answers.into_iter().find(|Answer(_, expected, found)| !same(expected, found));
        let difference = differing.map(|Answer(what, expected, found)| {
            format!("{what} of {line:.200}\nexpected {expected}\n   found {found}")
        });
        let checks = vec![Check { name: "1 rows", difference }];
        Outcome::Compared { checks, parts: Vec::new(), times: Vec::new() }
    }))
}

fn same(expected: &Value, found: &Value) -> bool {
    match (expected.as_f64(), found.as_f64()) {
        (Some(a), Some(b)) => a.to_bits() == b.to_bits() || expected == found || a == b,
        _ => expected == found,
    }
}

fn answer(line: &Value) -> Option<Answers> {
    let has = |key: &str| line.get(key).is_some();
    Some(if has("keys") && has("order") {
        sort(line)
    } else if has("in") {
        quantity(line)
    } else if has("cmp") {
        arithmetic(line)
    } else if has("intersection") {
        requirement(line)
    } else if has("compatible") {
        requirement_sets(line)
    } else if has("budgets") && has("nodes") {
        budgets(line)
    } else if has("spec") && has("requests") {
        pod_requests(line)
    } else if has("cost") {
        let cost = eviction_cost(
            deletion_cost(line["podDeletionCost"].as_str().unwrap_or_default()),
            line["priority"].as_i64().and_then(|priority| i32::try_from(priority).ok()),
        );
        Ok(vec![Answer("cost", line["cost"].clone(), json!(cost))])
    } else if has("tolerates") {
        tolerates(line)
    } else if has("conflict") {
        host_ports(line)
    } else if has("adjusted") {
        let change = line["change"].as_str().unwrap_or_default();
        let adjusted = price_change::adjusted(line["price"].as_f64()?, change);
        Ok(vec![Answer("adjusted", line["adjusted"].clone(), json!(adjusted))])
    } else if has("allocatable") && has("overhead") {
        allocatable(line)
    } else {
        return None;
    })
}

fn sort(line: &Value) -> Answers {
    let keys = line["keys"].as_array().ok_or_else(|| malformed("keys is not a list"))?;
    let keys: Vec<i64> = keys.iter().filter_map(Value::as_i64).collect();
    let mut order: Vec<usize> = (0..keys.len()).collect();
    go_sort::sort_slice(&mut order, |a, b| keys[*a] < keys[*b]);
    Ok(vec![Answer("order", line["order"].clone(), json!(order))])
}

/// The program keeps amounts as integers and not as they were written: of `string` the amount is compared. Amounts
/// that no 64-bit integer holds are refused where Karpenter lets them wrap around.
fn quantity(line: &Value) -> Answers {
    let text = line["in"].as_str().unwrap_or_default();
    let Some(nano) = quantity::parse_nano(text) else {
        return Ok(vec![Answer("error", line["error"].clone(), json!(true))]);
    };
    if quantity::parse_units(text).is_none() {
        return Err(NotComparable::NotModelled("quantity of 2^63 and more".to_owned()));
    }
    let mut answers = Vec::new();
    if line.get("error").is_some() {
        answers.push(Answer("error", line["error"].clone(), json!(false)));
        return Ok(answers);
    }
    let canonical = line["string"].as_str().and_then(quantity::parse_nano);
    answers.push(Answer(
        "string",
        json!(canonical.map(|n| n.to_string())),
        json!(nano.to_string()),
    ));
    answers.push(Answer("value", line["value"].clone(), json!(quantity::parse_units(text))));
    if let Some(milli) = quantity::parse_milli(text) {
        answers.push(Answer("milli", line["milli"].clone(), json!(milli)));
    }
    Ok(answers)
}

fn arithmetic(line: &Value) -> Answers {
    let nano = |key: &str| {
        let text = line[key].as_str().unwrap_or_default();
        quantity::parse_nano(text).ok_or_else(|| malformed(format!("`{text}` is no quantity")))
    };
    let (a, b) = (nano("a")?, nano("b")?);
    let text = |amount: i128| json!(amount.to_string());
    Ok(vec![
        Answer("cmp", line["cmp"].clone(), json!(a.cmp(&b) as i8)),
        Answer("sum", text(nano("sum")?), text(a + b)),
        Answer("diff", text(nano("diff")?), text(a - b)),
    ])
}

fn requirement(line: &Value) -> Answers {
    let symbols = &mut label::vocabulary();
    let (key, a) = catalogue::requirement(&line["a"], symbols)?;
    let (_, b) = catalogue::requirement(&line["b"], symbols)?;
    let mut both = a.intersection(&b);
    if line.get("c").is_some() {
        both = both.intersection(&catalogue::requirement(&line["c"], symbols)?.1);
    }
    let admitted = ASKED.into_iter().filter(|value| both.has(symbols.intern_value(value)));
    let admitted: Vec<&str> = admitted.collect();
    let written = outcome::write(&key, &both, symbols);
    let recorded = line["intersection"].as_array().into_iter().flatten();
    let recorded: Vec<String> = recorded.map(outcome::write_recorded).collect();
    let mut answers = vec![
        Answer("operator", line["operator"].clone(), json!(both.operator().name())),
        Answer("intersection", json!(recorded), json!(written)),
        Answer("has", line["has"].clone(), json!(admitted)),
    ];
    if line.get("intersects").is_some() {
        answers.push(Answer("intersects", line["intersects"].clone(), json!(a.intersects(&b))));
    }
    Ok(answers)
}

fn requirement_sets(line: &Value) -> Answers {
    let symbols = &mut label::vocabulary();
    let a = catalogue::requirements(&line["a"], symbols)?;
    let b = catalogue::requirements(&line["b"], symbols)?;
    let compatible = |allow| json!(a.compatible(&b, allow));
    Ok(vec![
        Answer("compatible", line["compatible"].clone(), compatible(AllowUndefined::Nothing)),
        Answer(
            "compatibleAllowUndefined",
            line["compatibleAllowUndefined"].clone(),
            compatible(AllowUndefined::WellKnown),
        ),
        Answer("intersects", line["intersects"].clone(), json!(a.intersects(&b))),
    ])
}

fn budgets(line: &Value) -> Answers {
    let class = json!({ "group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default" });
    let pool = json!({
        "apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": { "name": "pool" },
        "spec": {
            "disruption": { "consolidateAfter": "0s", "budgets": line["budgets"] },
            "template": { "spec": { "requirements": [], "nodeClassRef": class } },
        },
    });
    let class = json!({
        "apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": { "name": "default" },
    });
    let read = objects::read(&[pool, class], &mut label::vocabulary())?;
    let pool = read.node_pools.first().ok_or_else(|| malformed("budgets cannot be read"))?;
    let nodes = line["nodes"].as_i64().ok_or_else(|| malformed("nodes is no number"))?;
    let now: Option<jiff::Timestamp> = line["now"].as_str().and_then(|text| text.parse().ok());
    let now = now.ok_or_else(|| malformed("now is no time"))?.as_millisecond();
    let answer = |(name, reason): (&'static str, Reason)| {
        let budgets = &pool.disruption.budgets;
        let allowed = node_pool::allowed_disruptions(budgets, reason, nodes, now);
        Answer(name, line[name].clone(), json!(allowed))
    };
    Ok(Reason::ALL.map(|reason| (reason.name(), reason)).map(answer).into())
}

/// A pod of a spec, as the API server would have it.
fn pod(spec: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "pod" }, "spec": spec })
}

/// Limits decide nothing, so that the program has no sum of them: requests are compared.
fn pod_requests(line: &Value) -> Answers {
    let mut spec = line["spec"].clone();
    drop_void_limits(&mut spec);
    for list in ["containers", "initContainers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        containers.into_iter().flatten().for_each(drop_void_limits);
    }
    let read = objects::read(&[pod(&spec)], &mut label::vocabulary())?;
    let pod = read.pods.first().ok_or_else(|| malformed("the pod cannot be read"))?;
    let expected = catalogue::resources(&line["requests"])?;
    let text = |list: &crate::units::ResourceVec| json!(list.to_string());
    Ok(vec![Answer("requests", text(&expected), text(&pod.template.requests))])
}

/// A limit beside a request has no effect, and the table has some below their request, which the API server refuses.
fn drop_void_limits(object: &mut Value) {
    let requests = object["resources"]["requests"].clone();
    let limits = object.pointer_mut("/resources/limits").and_then(Value::as_object_mut);
    if let Some(limits) = limits {
        limits.retain(|name, _| requests.get(name).is_none());
    }
}

fn tolerates(line: &Value) -> Answers {
    let symbols = &mut Symbols::default();
    let list = |key: &str| line[key].as_array().cloned().unwrap_or_default();
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let mut taints = Vec::new();
    for entry in list("taints") {
        let effect = Effect::parse(&text(&entry, "effect"));
        taints.push(Taint {
            key: symbols.intern_value(&text(&entry, "key")),
            value: symbols.intern_value(&text(&entry, "value")),
            effect: effect.ok_or_else(|| malformed("taint without effect"))?,
        });
    }
    let mut tolerations = Vec::new();
    for entry in list("tolerations") {
        let key = text(&entry, "key");
        let operator = match text(&entry, "operator").as_str() {
            "" | "Equal" => TolerationOperator::Equal,
            "Exists" => TolerationOperator::Exists,
            "Lt" => TolerationOperator::Lt,
            "Gt" => TolerationOperator::Gt,
            other => return Err(malformed(format!("toleration with operator {other}"))),
        };
        tolerations.push(Toleration {
            key: (!key.is_empty()).then(|| symbols.intern_value(&key)),
            operator,
            value: symbols.intern_value(&text(&entry, "value")),
            effect: Effect::parse(&text(&entry, "effect")),
        });
    }
    let tolerated = taint::first_untolerated(&taints, &tolerations).is_none();
    Ok(vec![Answer("tolerates", line["tolerates"].clone(), json!(tolerated))])
}

fn host_ports(line: &Value) -> Answers {
    let symbols = &mut label::vocabulary();
    let mut ports = |key: &str| {
        let container = json!({ "name": "c", "ports": [line[key]] });
        let read = objects::read(&[pod(&json!({ "containers": [container] }))], symbols)?;
        let pod = read.pods.first().ok_or_else(|| malformed("the pod cannot be read"))?;
        Ok(pod.template.host_ports.clone())
    };
    let (wanted, used) = (ports("wanted")?, ports("used")?);
    let conflict = port::conflict(&wanted, &used);
    Ok(vec![Answer("conflict", line["conflict"].clone(), json!(conflict))])
}

fn allocatable(line: &Value) -> Answers {
    let capacity = catalogue::resources(&line["capacity"])?;
    let found = catalogue::allocatable(&capacity, &line["overhead"])?;
    let expected = catalogue::resources(&line["allocatable"])?;
    let answer = Answer("allocatable", json!(expected.to_string()), json!(found.to_string()));
    Ok(vec![answer])
}
