//! PodDisruptionBudgets of `policy/v1`.
//!
//! Upstream: kubernetes `pkg/apis/policy/validation/validation.go`.

use super::pod_topology::label_selector;
use super::reader::{Field, Object, Reader, Unknown};
use crate::kube::disruption_budget::{Amount, Bound, DisruptionBudget};

/// Reads the spec of a PodDisruptionBudget.
pub fn read(
    reader: &mut Reader<'_>,
    object: &mut Object<'_>,
    namespace: &str,
    name: &str,
) -> Option<DisruptionBudget> {
    let spec = object.required("spec", reader)?;
    let mut spec = reader.object(&spec)?;
    let selector = spec.get("selector");
    let max = spec.get("maxUnavailable");
    let min = spec.get("minAvailable");
    let policy = spec.get("unhealthyPodEvictionPolicy");
    let place = spec.field.clone();
    reader.finish(spec, Unknown::Note);
    let selector = selector.and_then(|field| label_selector(reader, &field));
    let policies = [("IfHealthyBudget", false), ("AlwaysAllow", true)];
    let always = policy.and_then(|field| reader.choice(&field, &policies)).unwrap_or(false);
    let bound = match (max, min) {
        (Some(max), None) => amount(reader, &max).map(Bound::MaxUnavailable),
        (None, Some(min)) => amount(reader, &min).map(Bound::MinAvailable),
        (Some(_), Some(min)) => {
            reader.broken(&min, "minAvailable and maxUnavailable exclude each other");
            None
        }
        (None, None) => {
            reader.broken(&place, "needs maxUnavailable or minAvailable");
            None
        }
    };
    Some(DisruptionBudget {
        namespace: namespace.into(),
        name: name.into(),
        selector,
        bound: bound?,
        always_allow_unhealthy: always,
    })
}

/// A whole number, or a percentage up to 100 in quotes.
fn amount(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Amount> {
    let text = reader.text_or_number(field, "a number of pods or a percentage")?;
    let whole = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|_| digits)
    };
    let amount = match text.strip_suffix('%') {
        Some(percent) => whole(percent).filter(|p| *p <= 100).map(Amount::Percent),
        None => whole(&text).filter(|n| *n <= i64::from(i32::MAX)).map(Amount::Count),
    };
    if amount.is_none() {
        reader.broken(field, "must be a whole number, or a percentage from 0% to 100%");
    }
    amount
}
