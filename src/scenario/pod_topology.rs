//! Topology spread constraints, pod affinity and anti-affinity of a pod's spec, with the API server's defaults.
//!
//! Upstream: kubernetes `pkg/apis/core/v1/defaults.go`, `pkg/registry/core/pod/strategy.go` (label keys of terms are
//! merged into their selectors).

use std::sync::Arc;

use super::reader::{Field, Object, Reader, Unknown, is_qualified_name};
use super::requirement;
use crate::diagnostic;
use crate::kube::Labels;
use crate::kube::selector::{LabelSelector, SelectorExpression, SelectorOperator};
use crate::kube::topology::{
    InclusionPolicy, Namespaces, PodAffinity, PodAffinityTerm, SpreadConstraint,
};
use crate::units::{LabelValue, Symbol};

/// `topologySpreadConstraints` of pods with `labels`.
pub fn spread(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    labels: &Labels,
) -> Vec<SpreadConstraint> {
    reader.list(field).iter().filter_map(|item| spread_constraint(reader, item, labels)).collect()
}

fn spread_constraint(
    reader: &mut Reader<'_>,
    item: &Field<'_>,
    labels: &Labels,
) -> Option<SpreadConstraint> {
    let mut object = reader.object(item)?;
    let max_skew = object.required("maxSkew", reader);
    let key = object.required("topologyKey", reader);
    let action = object.required("whenUnsatisfiable", reader);
    let selector = object.get("labelSelector");
    let match_keys = object.get("matchLabelKeys");
    let min_domains = object.get("minDomains");
    let affinity = object.get("nodeAffinityPolicy");
    let taints = object.get("nodeTaintsPolicy");
    reader.finish(object, Unknown::Note);
    let positive = |reader: &mut Reader<'_>, field: &Field<'_>| {
        reader.integer(field, 1, i32::MAX.into()).and_then(|n| i32::try_from(n).ok())
    };
    let max_skew = max_skew.and_then(|field| positive(reader, &field));
    let key = key.and_then(|field| topology_key(reader, &field));
    let actions = [("DoNotSchedule", true), ("ScheduleAnyway", false)];
    let hard = action.as_ref().and_then(|field| reader.choice(field, &actions));
    let mut selector = selector.and_then(|field| label_selector(reader, &field));
    if let (Some(keys), Some(selector)) = (match_keys, &mut selector) {
        add_label_keys(reader, &keys, labels, SelectorOperator::In, selector);
    }
    if hard == Some(false)
        && let Some(field) = &min_domains
    {
        reader.broken(field, "minDomains needs whenUnsatisfiable: DoNotSchedule");
    }
    let min_domains = min_domains.and_then(|field| positive(reader, &field));
    let mut policy = |field: Option<Field<'_>>, default| {
        let policies = [("Honor", InclusionPolicy::Honor), ("Ignore", InclusionPolicy::Ignore)];
        field.and_then(|field| reader.choice(&field, &policies)).unwrap_or(default)
    };
    let node_affinity = policy(affinity, InclusionPolicy::Honor);
    let node_taints = policy(taints, InclusionPolicy::Ignore);
    Some(SpreadConstraint {
        key: key?,
        max_skew: max_skew?,
        min_domains,
        hard: hard?,
        selector,
        node_affinity,
        node_taints,
    })
}

/// `podAffinity` or `podAntiAffinity` of pods with `labels`.
pub fn pod_affinity(reader: &mut Reader<'_>, field: &Field<'_>, labels: &Labels) -> PodAffinity {
    let mut result = PodAffinity::default();
    let Some(mut object) = reader.object(field) else {
        return result;
    };
    let required = object.get("requiredDuringSchedulingIgnoredDuringExecution");
    let preferred = object.get("preferredDuringSchedulingIgnoredDuringExecution");
    reader.finish(object, Unknown::Note);
    let required = required.map(|field| reader.list(&field)).unwrap_or_default();
    result.required.extend(required.iter().filter_map(|item| term(reader, item, labels)));
    for item in preferred.map(|field| reader.list(&field)).unwrap_or_default() {
        let Some(mut item) = reader.object(&item) else {
            continue;
        };
        let weight = item.required("weight", reader);
        let field = item.required("podAffinityTerm", reader);
        reader.finish(item, Unknown::Note);
        let weight = weight.and_then(|field| reader.integer(&field, 1, 100));
        let term = field.and_then(|field| term(reader, &field, labels));
        if let Some((weight, term)) = weight.zip(term) {
            result.preferred.push((i32::try_from(weight).unwrap_or(100), term));
        }
    }
    result
}

fn term(reader: &mut Reader<'_>, item: &Field<'_>, labels: &Labels) -> Option<PodAffinityTerm> {
    let mut object = reader.object(item)?;
    let key = object.required("topologyKey", reader);
    let selector = object.get("labelSelector");
    let names = object.get("namespaces");
    let namespace_selector = object.get("namespaceSelector");
    let same = object.get("matchLabelKeys");
    let other = object.get("mismatchLabelKeys");
    reader.finish(object, Unknown::Note);
    let key = key.and_then(|field| topology_key(reader, &field));
    let mut selector = selector.and_then(|field| label_selector(reader, &field));
    for (keys, operator) in [(same, SelectorOperator::In), (other, SelectorOperator::NotIn)] {
        if let (Some(keys), Some(selector)) = (keys, &mut selector) {
            add_label_keys(reader, &keys, labels, operator, selector);
        }
    }
    let names = names.map(|field| reader.list(&field)).unwrap_or_default();
    let names = names.iter().filter_map(|item| reader.text(item)).map(Arc::from).collect();
    let selector_of_namespaces =
        namespace_selector.and_then(|field| label_selector(reader, &field));
    let namespaces = Namespaces { names, selector: selector_of_namespaces };
    Some(PodAffinityTerm { key: key?, selector, namespaces })
}

fn topology_key(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Symbol> {
    let key = reader.filled_text(field)?;
    if !is_qualified_name(&key) {
        reader.push(diagnostic::bad_label(field.span(), &field.path, &key, "key"));
        return None;
    }
    Some(reader.symbols.intern(&key))
}

/// A label selector.
pub fn label_selector(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<LabelSelector> {
    let mut object = reader.object(field)?;
    let labels = object.get("matchLabels");
    let expressions = object.get("matchExpressions");
    reader.finish(object, Unknown::Note);
    let mut selector = LabelSelector::default();
    if let Some(field) = labels {
        for (key, value) in requirement::labels(reader, &field).iter() {
            selector.require(key, value);
        }
    }
    for item in expressions.map(|field| reader.list(&field)).unwrap_or_default() {
        let object = reader.object(&item);
        if let Some(expression) = object.and_then(|object| expression(reader, object)) {
            selector.add(expression);
        }
    }
    Some(selector)
}

fn expression(reader: &mut Reader<'_>, mut object: Object<'_>) -> Option<SelectorExpression> {
    let key = object.required("key", reader);
    let operator = object.required("operator", reader);
    let values = object.get("values");
    let place = object.field.clone();
    reader.finish(object, Unknown::Note);
    let key = key.and_then(|field| topology_key(reader, &field));
    let operators = [
        ("In", SelectorOperator::In),
        ("NotIn", SelectorOperator::NotIn),
        ("Exists", SelectorOperator::Exists),
        ("DoesNotExist", SelectorOperator::DoesNotExist),
    ];
    let operator = operator.and_then(|field| reader.choice(&field, &operators));
    let values = values.map(|field| reader.list(&field)).unwrap_or_default();
    let texts: Vec<String> = values.iter().filter_map(|item| reader.text(item)).collect();
    let values: Vec<LabelValue> = texts.iter().map(|v| reader.symbols.intern_value(v)).collect();
    let (key, operator) = (key?, operator?);
    let needs_values = matches!(operator, SelectorOperator::In | SelectorOperator::NotIn);
    if needs_values == values.is_empty() {
        reader.broken(&place, "In and NotIn need values, Exists and DoesNotExist take none");
        return None;
    }
    Some(SelectorExpression::new(key, operator, values))
}

/// The pods' own values of some label keys, as expressions; keys that the pods do not have are left out.
fn add_label_keys(
    reader: &mut Reader<'_>,
    keys: &Field<'_>,
    labels: &Labels,
    operator: SelectorOperator,
    selector: &mut LabelSelector,
) {
    for item in reader.list(keys) {
        let Some(key) = topology_key(reader, &item) else {
            continue;
        };
        if let Some(value) = labels.get(key) {
            selector.add(SelectorExpression::new(key, operator, vec![value]));
        }
    }
}
