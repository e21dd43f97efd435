//! The flexibility minimum of requirements.
//!
//! Upstream: karpenter v1.14.1 `pkg/cloudprovider/types.go`, `SatisfiesMinValues`. All values that an instance type
//! states count, also those that the requirements do not admit (a quirk that is reproduced).

use std::collections::BTreeSet;

use crate::ec2::InstanceType;
use crate::kube::Requirements;
use crate::units::Symbol;

/// How many of `options`, from the first on, it takes to meet all minimums; 0 without minimums.
pub fn needed(
    types: &[InstanceType],
    options: impl IntoIterator<Item = usize> + Clone,
    requirements: &Requirements,
) -> usize {
    if !requirements.has_min_values() {
        return 0;
    }
    let all = options.clone().into_iter().count();
    let suffices = |count: &usize| {
        unmet(types, options.clone().into_iter().take(*count), requirements).is_none()
    };
    (1..=all).find(suffices).unwrap_or(all)
}

/// The keys with too few distinct values over `options` and how many there are, `None` when all minimums are met. An
/// empty list meets all.
pub fn unmet(
    types: &[InstanceType],
    options: impl IntoIterator<Item = usize>,
    requirements: &Requirements,
) -> Option<Vec<(Symbol, u32)>> {
    let wanted: Vec<(Symbol, usize)> = requirements
        .iter()
        .filter_map(|(key, r)| r.min_values().map(|minimum| (key, minimum as usize)))
        .collect();
    if wanted.is_empty() {
        return None;
    }
    let mut seen = vec![BTreeSet::new(); wanted.len()];
    let mut any = false;
    for option in options {
        any = true;
        for ((key, _), values) in wanted.iter().zip(&mut seen) {
            if let Some(requirement) = types[option].requirements.get(*key) {
                values.extend(requirement.values().iter().map(|value| value.symbol));
            }
        }
        if wanted.iter().zip(&seen).all(|((_, minimum), values)| values.len() >= *minimum) {
            return None;
        }
    }
    any.then(|| {
        let few = |((_, minimum), values): &(&(Symbol, usize), &BTreeSet<Symbol>)| {
            values.len() < *minimum
        };
        let found = wanted.iter().zip(&seen).filter(few);
        found.map(|((key, _), values)| (*key, values.len() as u32)).collect()
    })
}
