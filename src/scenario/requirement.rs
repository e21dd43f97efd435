//! Labels, requirements, taints and tolerations of manifests, with the rules of Kubernetes and
//! Karpenter.
//!
//! Upstream: karpenter v1.14.1 `pkg/apis/v1/nodeclaim_validation.go`,
//! `pkg/apis/crds/karpenter.sh_nodepools.yaml`.

use super::reader::{Field, Reader, Unknown, is_label_value, is_qualified_name};
use crate::diagnostic;
use crate::kube::label::{self, Labels};
use crate::kube::requirement::{Operator, Requirement, Requirements};
use crate::kube::taint::{Effect, Taint, Toleration, TolerationOperator};
use crate::units::{LabelValue, Symbol};

/// Values that Karpenter knows of a key; at least one of the wanted ones must be among them.
const KNOWN_VALUES: [(&str, &[&str]); 2] = [
    ("karpenter.sh/capacity-type", &["on-demand", "spot", "reserved"]),
    ("karpenter.k8s.aws/instance-tenancy", &["default", "dedicated"]),
];

/// Who wants the requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A NodePool: all operators, `minValues`, Karpenter's restrictions.
    NodePool,
    /// A NodeOverlay: all operators, Karpenter's restrictions, but it may name a NodePool.
    NodeOverlay,
    /// A pod: Kubernetes' operators, Karpenter's restrictions.
    Pod,
    /// A PersistentVolume: Kubernetes' operators; it may name a host.
    Volume,
}

/// The entries of a label map, checked; keys normalised.
pub fn labels(reader: &mut Reader<'_>, field: &Field<'_>) -> Labels {
    let mut labels = Labels::default();
    for (key, value) in checked_labels(reader, field) {
        let key = reader.symbols.intern(label::normalize(&key));
        let value = reader.symbols.intern_value(&value);
        labels.set(key, value);
    }
    labels
}

/// The entries of a label map, keys and values checked.
pub fn checked_labels(reader: &mut Reader<'_>, field: &Field<'_>) -> Vec<(String, String)> {
    let mut list = Vec::new();
    for (key, span, value) in reader.entries(field) {
        if !is_qualified_name(&key) {
            reader.push(diagnostic::bad_label(span, &field.path, &key, "key"));
            continue;
        }
        // An explicit null is the empty text.
        let text = if value.node.is_null() { Some(String::new()) } else { reader.text(&value) };
        let Some(text) = text else { continue };
        if is_label_value(&text) {
            list.push((key, text));
        } else {
            reader.push(diagnostic::bad_label(value.span(), &value.path, &text, "value"));
        }
    }
    list
}

/// A list of requirements, intersected by key.
pub fn requirements(reader: &mut Reader<'_>, field: &Field<'_>, owner: Owner) -> Requirements {
    let mut result = Requirements::default();
    for item in reader.list(field) {
        if let Some((key, requirement)) = requirement(reader, &item, owner) {
            result.add(key, requirement);
        }
    }
    result
}

/// A node selector as `In` requirements.
pub fn selector(reader: &mut Reader<'_>, field: &Field<'_>) -> Requirements {
    let mut result = Requirements::default();
    for (key, value) in checked_labels(reader, field) {
        let key = label::normalize(&key).to_owned();
        if label::is_restricted(&key) {
            reader.broken(field, &restricted(&key));
        }
        check_known_values(reader, field, &key, Operator::In, std::slice::from_ref(&value), 0);
        let key = reader.symbols.intern(&key);
        let value = reader.symbols.intern_value(&value);
        result.add(key, Requirement::is(value));
    }
    result
}

fn restricted(key: &str) -> String {
    format!(
        "the label `{key}` is restricted: Karpenter ignores a pod and refuses a NodePool that \
         names it"
    )
}

fn requirement(
    reader: &mut Reader<'_>,
    item: &Field<'_>,
    owner: Owner,
) -> Option<(Symbol, Requirement)> {
    let mut object = reader.object(item)?;
    let key_field = object.required("key", reader);
    let operator_field = object.required("operator", reader);
    let values_field = object.get("values");
    let min_values_field = if owner == Owner::NodePool { object.get("minValues") } else { None };
    let of_karpenter = matches!(owner, Owner::NodePool | Owner::NodeOverlay);
    let unknown = if of_karpenter { Unknown::Error } else { Unknown::Note };
    reader.finish(object, unknown);

    let key = key_field.as_ref().and_then(|field| requirement_key(reader, field, owner));
    let operators: Vec<(&str, Operator)> = Operator::ALL
        .into_iter()
        .filter(|operator| of_karpenter || !matches!(operator, Operator::Gte | Operator::Lte))
        .map(|operator| (operator.name(), operator))
        .collect();
    let operator = operator_field.as_ref().and_then(|field| reader.choice(field, &operators));
    let values = match &values_field {
        Some(field) => requirement_values(reader, field),
        None => Some(Vec::new()),
    };
    let min_values = match &min_values_field {
        Some(field) => reader.integer(field, 1, 50).map(Some),
        None => Some(None),
    };
    let (key, operator, values, min_values) = (key?, operator?, values?, min_values?);
    if owner == Owner::NodeOverlay && operator == Operator::NotIn && values.is_empty() {
        reader.broken(item, "operator NotIn needs at least one value");
    }
    check_values(reader, item, &key, operator, &values, min_values.unwrap_or(0));
    let symbol = reader.symbols.intern(&key);
    let values: Vec<LabelValue> = values.iter().map(|v| reader.symbols.intern_value(v)).collect();
    let min_values = min_values.and_then(|min| u32::try_from(min).ok());
    Some((symbol, Requirement::new(operator, values).with_min_values(min_values)))
}

/// The key, normalised.
fn requirement_key(reader: &mut Reader<'_>, field: &Field<'_>, owner: Owner) -> Option<String> {
    let written = reader.text(field)?;
    let key = label::normalize(&written).to_owned();
    if !is_qualified_name(&key) {
        reader.push(diagnostic::bad_label(field.span(), &field.path, &key, "key"));
        return None;
    }
    let is_refused = match owner {
        Owner::Volume => false,
        Owner::NodePool => label::is_refused_in_node_pools(&key),
        Owner::NodeOverlay | Owner::Pod => label::is_restricted(&key),
    };
    if is_refused {
        reader.broken(field, &restricted(&key));
    } else if owner == Owner::NodePool && key == "karpenter.sh/nodepool" {
        reader.broken(field, "a NodePool cannot require `karpenter.sh/nodepool`");
    }
    Some(key)
}

fn requirement_values(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<String>> {
    let mut values = Some(Vec::new());
    for item in reader.list(field) {
        let text = reader.text(&item);
        if let Some(text) = text.as_ref().filter(|text| !is_label_value(text)) {
            reader.push(diagnostic::bad_label(item.span(), &item.path, text, "value"));
        }
        values = values.zip(text).map(|(mut values, text)| {
            values.push(text);
            values
        });
    }
    values
}

/// The rules on an operator's values.
fn check_values(
    reader: &mut Reader<'_>,
    item: &Field<'_>,
    key: &str,
    operator: Operator,
    values: &[String],
    min_values: i64,
) {
    let count = i64::try_from(values.len()).unwrap_or(i64::MAX);
    match operator {
        Operator::In if values.is_empty() => {
            reader.broken(item, "operator In needs at least one value");
        }
        Operator::In if count < min_values => {
            reader.broken(item, &format!("minValues {min_values} needs at least as many values"));
        }
        Operator::Gt | Operator::Lt | Operator::Gte | Operator::Lte => {
            let number = values.first().and_then(|value| value.parse::<i64>().ok());
            if values.len() != 1 || number.is_none_or(|number| number < 0) {
                let name = operator.name();
                reader.broken(
                    item,
                    &format!("operator {name} needs exactly one whole number of at least 0"),
                );
            }
        }
        Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
            reader.broken(item, &format!("operator {} takes no values", operator.name()));
        }
        _ => {}
    }
    check_known_values(reader, item, key, operator, values, min_values);
    check_names(reader, item, key, values);
}

fn check_known_values(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    key: &str,
    operator: Operator,
    values: &[String],
    min_values: i64,
) {
    let Some((_, known)) = KNOWN_VALUES.iter().find(|(k, _)| *k == key) else {
        return;
    };
    if operator != Operator::In || values.is_empty() {
        return;
    }
    let valid = values.iter().filter(|value| known.contains(&value.as_str())).count();
    if valid == 0 || i64::try_from(valid).is_ok_and(|valid| valid < min_values) {
        let wanted = values.join(", ");
        let rule = format!("`{key}` has the values {}, not {wanted}", known.join(", "));
        reader.broken(field, &rule);
    }
}

/// Instance types that the catalogue does not have and zones outside the run are probably misspelt.
fn check_names(reader: &mut Reader<'_>, item: &Field<'_>, key: &str, values: &[String]) {
    let (types, zones) = (&reader.catalogue.instance_types, reader.zones);
    for (i, value) in values.iter().enumerate() {
        let place = || {
            let list = item.node.get("values").map(|list| &list.value);
            let node = match list {
                Some(super::yaml::Value::Sequence(items)) => items.get(i),
                _ => None,
            };
            node.map_or(item.span(), |node| node.span)
        };
        let problem = match key {
            "node.kubernetes.io/instance-type" if !types.is_empty() && !types.contains(value) => {
                let problem = diagnostic::unknown_instance_type(place(), value);
                problem.suggest(value, types.iter().map(String::as_str))
            }
            "topology.kubernetes.io/zone" if !zones.is_empty() && !zones.contains(value) => {
                let problem = diagnostic::foreign_zone(place(), value);
                let problem = problem.help(format!("the run's zones are {}", zones.join(", ")));
                problem.suggest(value, zones.iter().map(String::as_str))
            }
            _ => continue,
        };
        reader.push(problem);
    }
}

/// The taints of a NodePool. A key and effect may stand only once in both of its lists together.
pub fn taints(reader: &mut Reader<'_>, field: &Field<'_>, seen: &mut Vec<Taint>) -> Vec<Taint> {
    let mut list = Vec::new();
    for item in reader.list(field) {
        let Some(taint) = taint(reader, &item) else {
            continue;
        };
        if seen.iter().any(|other| other.matches(&taint)) {
            reader.broken(
                &item,
                "a key and effect may stand only once in taints and startupTaints together",
            );
        }
        seen.push(taint.clone());
        list.push(taint);
    }
    list
}

const EFFECTS: [(&str, Effect); 3] = [
    ("NoSchedule", Effect::NoSchedule),
    ("PreferNoSchedule", Effect::PreferNoSchedule),
    ("NoExecute", Effect::NoExecute),
];

fn taint(reader: &mut Reader<'_>, item: &Field<'_>) -> Option<Taint> {
    let mut object = reader.object(item)?;
    let key_field = object.required("key", reader);
    let value_field = object.get("value");
    let effect_field = object.required("effect", reader);
    object.without_effect(&["timeAdded"], reader);
    reader.finish(object, Unknown::Error);
    let key = key_field.as_ref().and_then(|field| {
        let key = reader.text(field)?;
        if !is_qualified_name(&key) {
            reader.push(diagnostic::bad_label(field.span(), &field.path, &key, "key"));
        }
        Some(key)
    });
    let value = value_field.as_ref().and_then(|field| {
        let value = reader.text(field)?;
        if !is_label_value(&value) {
            reader.push(diagnostic::bad_label(field.span(), &field.path, &value, "value"));
        }
        Some(value)
    });
    let effect = effect_field.as_ref().and_then(|field| reader.choice(field, &EFFECTS));
    Some(Taint {
        key: reader.symbols.intern_value(&key?),
        value: reader.symbols.intern_value(&value.unwrap_or_default()),
        effect: effect?,
    })
}

/// The tolerations of a pod.
pub fn tolerations(reader: &mut Reader<'_>, field: &Field<'_>) -> Vec<Toleration> {
    reader.list(field).iter().filter_map(|item| toleration(reader, item)).collect()
}

fn toleration(reader: &mut Reader<'_>, item: &Field<'_>) -> Option<Toleration> {
    let mut object = reader.object(item)?;
    let key_field = object.get("key");
    let operator_field = object.get("operator");
    let value_field = object.get("value");
    let effect_field = object.get("effect");
    let seconds_field = object.get("tolerationSeconds");
    reader.finish(object, Unknown::Note);
    let operators = [
        ("Equal", TolerationOperator::Equal),
        ("Exists", TolerationOperator::Exists),
        ("Lt", TolerationOperator::Lt),
        ("Gt", TolerationOperator::Gt),
    ];
    let operator = match &operator_field {
        Some(field) => reader.choice(field, &operators)?,
        None => TolerationOperator::Equal,
    };
    let key = key_field.as_ref().and_then(|field| reader.text(field)).filter(|key| !key.is_empty());
    if key.is_none() && operator != TolerationOperator::Exists {
        reader.broken(item, "without a key the operator must be Exists");
    }
    let value = value_field.as_ref().and_then(|field| reader.text(field)).unwrap_or_default();
    if operator == TolerationOperator::Exists && !value.is_empty() {
        reader.broken(item, "operator Exists takes no value");
    }
    let effect = match &effect_field {
        Some(field) if field.node.text() == Some("") => None,
        Some(field) => Some(reader.choice(field, &EFFECTS)?),
        None => None,
    };
    if let Some(field) = &seconds_field {
        if effect == Some(Effect::NoExecute) {
            // Nothing here taints a running node with NoExecute, so the time never runs.
            reader.note_without_effect(field);
        } else {
            reader.broken(field, "tolerationSeconds needs effect NoExecute");
        }
    }
    Some(Toleration {
        key: key.map(|key| reader.symbols.intern_value(&key)),
        operator,
        value: reader.symbols.intern_value(&value),
        effect,
    })
}
