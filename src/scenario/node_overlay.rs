//! NodeOverlays of `karpenter.sh/v1alpha1`: the rules of the CRD and of Karpenter's own validation.
//!
//! Upstream: karpenter v1.14.1 `pkg/apis/v1alpha1/{nodeoverlay,nodeoverlay_validation}.go`.

use super::pod::resource_list;
use super::reader::{Field, Object, Reader, Unknown};
use super::requirement::{self, Owner};
use crate::kube::NodeOverlay;

/// Resources that an overlay cannot set.
const FIXED_RESOURCES: [&str; 4] = ["cpu", "memory", "ephemeral-storage", "pods"];

/// Reads the spec of a NodeOverlay; `None` when a part without a default is missing or wrong.
pub fn read(reader: &mut Reader<'_>, object: &mut Object<'_>, name: &str) -> Option<NodeOverlay> {
    let spec = object.required("spec", reader)?;
    let mut spec = reader.object(&spec)?;
    let requirements = spec.required("requirements", reader);
    let price = spec.get("price");
    let adjustment = spec.get("priceAdjustment");
    let capacity = spec.get("capacity");
    let weight = spec.get("weight");
    reader.finish(spec, Unknown::Error);
    if let (Some(_), Some(second)) = (&price, &adjustment) {
        reader.broken(second, "price and priceAdjustment exclude each other");
    }
    let rule = "must be a price per hour without sign, such as \"0.35\"";
    let price = price.map(|field| change(reader, &field, is_price, rule));
    let rule = "must be an amount or a percentage with its sign, such as \"+0.05\" or \"-10%\"";
    let adjustment = adjustment.map(|field| change(reader, &field, is_adjustment, rule));
    let weight = weight.and_then(|field| reader.integer(&field, 1, 10_000)).unwrap_or(0);
    let capacity = capacity.map(|field| {
        for (name, _, value) in reader.entries(&field) {
            if FIXED_RESOURCES.contains(&name.as_str()) {
                reader.broken(&value, &format!("an overlay cannot set {name}"));
            }
        }
        resource_list(reader, &field)
    });
    let requirements = requirements.map(|field| {
        if reader.list(&field).len() > 100 {
            reader.broken(&field, "at most 100 requirements are allowed");
        }
        requirement::requirements(reader, &field, Owner::NodeOverlay)
    });
    Some(NodeOverlay {
        name: name.into(),
        weight: i32::try_from(weight).unwrap_or(0),
        requirements: requirements?,
        price: price.or(adjustment).flatten().map(|text| text.as_str().into()),
        capacity,
    })
}

fn change(
    reader: &mut Reader<'_>,
    field: &Field<'_>,
    is_valid: impl Fn(&str) -> bool,
    rule: &str,
) -> Option<String> {
    let text = reader.text(field)?;
    if !is_valid(&text) {
        reader.broken(field, rule);
        return None;
    }
    Some(text)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `^\d+(\.\d+)?$`
fn is_price(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    !whole.is_empty() && is_digits(whole) && !fraction.is_empty() && is_digits(fraction)
}

/// `[+-]\d*\.?\d+`, `\+\d*\.?\d+%`, `-\d{1,2}(\.\d+)?%` or `-100%`.
fn is_adjustment(text: &str) -> bool {
    let Some(number) = text.strip_prefix(['+', '-']) else {
        return false;
    };
    let loose = |number: &str| {
        let (whole, fraction) = number.split_once('.').unwrap_or(("", number));
        is_digits(whole) && !fraction.is_empty() && is_digits(fraction)
    };
    match number.strip_suffix('%') {
        None => loose(number),
        Some(percent) if text.starts_with('+') => loose(percent),
        Some(percent) => {
            let whole = percent.split_once('.').map_or(percent, |(whole, _)| whole);
            percent == "100" || (is_price(percent) && whole.len() <= 2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `provisioning.md` 2.5.
    #[test]
    fn prices_and_adjustments_are_those_of_the_crd() {
        for text in ["0.35", "3", "0", "10.0001"] {
            assert!(is_price(text) && !is_adjustment(text), "{text}");
        }
        for text in ["+0.1", "-5", "+.5", "+10%", "+150.5%", "-10%", "-99.9%", "-100%"] {
            assert!(is_adjustment(text) && !is_price(text), "{text}");
        }
        for text in [
            "", "+", "-", "%", "-.5%", "-150%", "-100.0%", "1.", "+1.", "1e3", "+1e3", "+ 1", "++1",
        ] {
            assert!(!is_adjustment(text) && !is_price(text), "{text}");
        }
    }
}
