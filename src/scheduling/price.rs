//! Prices of instance types under requirements.
//!
//! Upstream: karpenter v1.14.1 `pkg/cloudprovider/types.go` (`OrderByPrice`, `WorstLaunchPrice`, `Offerings.Cheapest`).

use super::go_sort::sort_slice;
use crate::ec2::{CapacityType, InstanceType, Offering};
use crate::kube::Requirements;

/// Most instance types that a NodeClaim names.
pub const MAX_INSTANCE_TYPES: usize = 600;

/// Available offerings that a claim with `requirements` may launch into.
fn launchable<'a>(
    instance_type: &'a InstanceType,
    requirements: &'a Requirements,
) -> impl Iterator<Item = &'a Offering> {
    instance_type.offerings.iter().filter(|o| is_launchable(o, requirements))
}

fn is_launchable(offering: &Offering, requirements: &Requirements) -> bool {
    offering.available && offering.compatible_with(requirements)
}

/// The cheapest launchable offering's price, `f64::MAX` without one.
pub fn cheapest(instance_type: &InstanceType, requirements: &Requirements) -> f64 {
    launchable(instance_type, requirements).map(|o| o.price).fold(f64::MAX, f64::min)
}

/// Sorts options by their cheapest launchable price, with `sort.Slice`'s order among equals.
pub fn order_by_price(options: &mut [u32], types: &[InstanceType], requirements: &Requirements) {
    order_by(options, |option| cheapest(&types[option as usize], requirements));
}

/// Sorts options by price, with `sort.Slice`'s order among equals.
pub(super) fn order_by(options: &mut [u32], mut price: impl FnMut(u32) -> f64) {
    let mut priced: Vec<(f64, u32)> =
        options.iter().map(|option| (price(*option), *option)).collect();
    sort_slice(&mut priced, |a, b| a.0 < b.0);
    options.iter_mut().zip(priced).for_each(|(slot, (_, option))| *slot = option);
}

/// The dearest price among the launchable offerings of the capacity type that a launch would take: reserved before spot
/// before on-demand. `f64::MAX` without any.
pub fn worst_launch_price(instance_type: &InstanceType, requirements: &Requirements) -> f64 {
    for capacity_type in CapacityType::ALL {
        let worst = launchable(instance_type, requirements)
            .filter(|o| o.capacity_type == capacity_type)
            .map(|o| o.price)
            .fold(None, |worst: Option<f64>, price| Some(worst.map_or(price, |w| w.max(price))));
        if let Some(worst) = worst {
            return worst;
        }
    }
    f64::MAX
}

/// Capacity types among the launchable offerings of the options, in launch precedence.
pub fn capacity_types(
    options: &[u32],
    types: &[InstanceType],
    requirements: &Requirements,
) -> Vec<CapacityType> {
    let mut found: Vec<CapacityType> = Vec::new();
    for option in options {
        for offering in &types[*option as usize].offerings {
            // What is found already is not looked at again: with hundreds of options that is nearly everything.
            if !found.contains(&offering.capacity_type) && is_launchable(offering, requirements) {
                found.push(offering.capacity_type);
            }
        }
    }
    found.sort_unstable();
    found
}
