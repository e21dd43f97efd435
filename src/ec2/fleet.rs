//! Which offering a launch takes.
//!
//! Upstream: karpenter-provider-aws v1.14.1 `pkg/providers/instance/instance.go`,
//! `pkg/providers/instance/filter/filter.go`. EC2 itself chooses among equal prices by rules that it does not publish;
//! see [`choose`].

use super::instance_type::{CapacityType, InstanceType, Offering};
use crate::kube::Requirements;
use crate::units::{ResourceVec, Symbols};

/// Most instance types that one CreateFleet call names.
const MAX_LAUNCH_TYPES: usize = 60;

/// What a NodeClaim asks for.
#[derive(Clone, Copy, Debug)]
pub struct LaunchRequest<'a> {
    /// The NodePool's instance types.
    pub types: &'a [InstanceType],
    /// Those that the NodeClaim names, as positions.
    pub options: &'a [u32],
    /// The NodeClaim's requirements.
    pub requirements: &'a Requirements,
    /// The NodeClaim's requests.
    pub requests: &'a ResourceVec,
}

/// One offering of one type, which is given by its position in the NodePool's list.
pub type Candidate<'a> = (u32, &'a Offering);

/// EC2's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<'a> {
    /// The offering that is launched; `None` for insufficient capacity.
    pub launched: Option<Candidate<'a>>,
    /// The offerings that were tried before, in vain.
    pub out_of_stock: Vec<Candidate<'a>>,
}

/// The offering that is launched.
///
/// The capacity type is reserved before spot before on-demand. Within it the lowest price wins, then the type's name;
/// among the zones that are left `pick` (given their number) chooses one, in the order of their names. What is not in
/// stock is tried in vain.
///
/// DEVIATION: spot launches take the cheapest offering; EC2's price-capacity-optimized strategy weighs capacity too.
pub fn choose<'a>(
    request: &LaunchRequest<'a>,
    symbols: &Symbols,
    pick: impl Fn(usize) -> usize,
    in_stock: impl Fn(&InstanceType, &Offering) -> bool,
) -> Answer<'a> {
    let mut candidates = launchable(request);
    drop_exotic(request, &mut candidates);
    drop_dear_spot(request, &mut candidates);
    truncate(&mut candidates, request.types, symbols);
    if let Some(first) = candidates.iter().map(|(_, offering)| offering.capacity_type).min() {
        candidates.retain(|(_, offering)| offering.capacity_type == first);
    }
    candidates.retain(|(i, _)| request.types[*i as usize].has_ami);
    let mut out_of_stock = Vec::new();
    while let Some(position) = cheapest(&candidates, request.types, symbols, &pick) {
        let candidate = candidates.swap_remove(position);
        if in_stock(&request.types[candidate.0 as usize], candidate.1) {
            return Answer { launched: Some(candidate), out_of_stock };
        }
        out_of_stock.push(candidate);
    }
    Answer { launched: None, out_of_stock }
}

/// The position of the candidate that comes first.
fn cheapest(
    candidates: &[Candidate<'_>],
    types: &[InstanceType],
    symbols: &Symbols,
    pick: impl Fn(usize) -> usize,
) -> Option<usize> {
    let name = |(i, _): &Candidate<'_>| symbols.text(types[*i as usize].name.symbol);
    let zone = |i: &usize| symbols.text(candidates[*i].1.zone.symbol);
    let price = candidates.iter().map(|(_, o)| o.price).min_by(f64::total_cmp)?;
    let is_cheap = |i: &usize| candidates[*i].1.price == price;
    let mut left: Vec<usize> = (0..candidates.len()).filter(is_cheap).collect();
    let first = left.iter().map(|i| name(&candidates[*i])).min()?;
    left.retain(|i| name(&candidates[*i]) == first);
    left.sort_by_key(zone);
    let chosen = pick(left.len()).min(left.len().saturating_sub(1));
    left.get(chosen).copied()
}

/// Available offerings that go with the requirements, of types that go with them and fit the requests.
fn launchable<'a>(request: &LaunchRequest<'a>) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::new();
    for option in request.options {
        let it = &request.types[*option as usize];
        let compatible = request.requirements.intersects(&it.requirements);
        if !compatible || !request.requests.fits(&it.allocatable) {
            continue;
        }
        let offered = |o: &&Offering| o.available && o.compatible_with(request.requirements);
        candidates.extend(it.offerings.iter().filter(offered).map(|o| (*option, o)));
    }
    candidates
}

/// Bare metal and accelerators only go when nothing else is left, or when minValues asks for breadth.
fn drop_exotic(request: &LaunchRequest<'_>, candidates: &mut Vec<Candidate<'_>>) {
    if request.requirements.has_min_values() {
        return;
    }
    let resources = [
        "aws.amazon.com/neuron",
        "aws.amazon.com/neuroncore",
        "amd.com/gpu",
        "nvidia.com/gpu",
        "habana.ai/gaudi",
    ];
    let exotic = |(i, _): &Candidate<'_>| {
        let it = &request.types[*i as usize];
        resources.iter().any(|resource| it.capacity.get(resource) > 0) || it.bare_metal
    };
    if candidates.iter().any(|candidate| !exotic(candidate)) {
        candidates.retain(|candidate| !exotic(candidate));
    }
}

/// Spot offerings dearer than the cheapest on-demand offering are dropped when both kinds are possible.
fn drop_dear_spot(request: &LaunchRequest<'_>, candidates: &mut Vec<Candidate<'_>>) {
    let of = |wanted: CapacityType, candidates: &[Candidate<'_>]| {
        let prices = candidates.iter().filter(|(_, o)| o.capacity_type == wanted);
        prices.map(|(_, o)| o.price).min_by(f64::total_cmp)
    };
    let spot = of(CapacityType::Spot, candidates);
    let on_demand = of(CapacityType::OnDemand, candidates);
    if let (Some(_), Some(limit), false) = (spot, on_demand, request.requirements.has_min_values())
    {
        candidates.retain(|(_, o)| o.capacity_type != CapacityType::Spot || o.price <= limit);
    }
}

/// Keeps the 60 types with the lowest prices, by name among equals.
fn truncate(candidates: &mut Vec<Candidate<'_>>, types: &[InstanceType], symbols: &Symbols) {
    let mut cheapest: Vec<(f64, &str, u32)> = Vec::new();
    for (option, offering) in candidates.iter() {
        match cheapest.iter_mut().find(|(_, _, known)| known == option) {
            Some(entry) => entry.0 = entry.0.min(offering.price),
            None => {
                let name = symbols.text(types[*option as usize].name.symbol);
                cheapest.push((offering.price, name, *option));
            }
        }
    }
    cheapest.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
    cheapest.truncate(MAX_LAUNCH_TYPES);
    candidates.retain(|(option, _)| cheapest.iter().any(|(_, _, kept)| kept == option));
}
