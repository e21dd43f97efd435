//! Invariants of a launch: the instance is one that the NodeClaim allows, and of those the one that the provider's
//! rules ask for.
//!
//! Upstream: karpenter-provider-aws v1.14.1 `pkg/providers/instance`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::history::claim_of;
use super::invariant::Violation;
use crate::ec2::{CapacityType, InstanceType, Offering};
use crate::kube::Requirements;
use crate::units::ResourceVec;
use crate::world::cluster::Claim;
use crate::world::journal::{ClaimRef, Record, ReplacementRef};
use crate::world::{Fact, World};

/// Most instance types that a launch names.
const MOST_TYPES: usize = 60;

/// Resources of machines that are launched only where no other will do.
const ACCELERATORS: [&str; 5] = [
    "aws.amazon.com/neuron",
    "aws.amazon.com/neuroncore",
    "amd.com/gpu",
    "nvidia.com/gpu",
    "habana.ai/gaudi",
];

/// Checks the launch of a NodeClaim that names the instance types `named`, all if there are none. `records` are the
/// facts of the event that launched it.
pub(super) fn check(
    world: &World,
    launched: &ClaimRef,
    named: &[Arc<str>],
    records: &[Record],
) -> Result<(), Violation> {
    let Some(claim) = claim_of(world, launched) else {
        return Err("what was launched does not exist".to_owned());
    };
    let Some(instance) = &claim.instance else {
        return Err("it has no instance".to_owned());
    };
    let mut offers = offers(world, claim, named, records);
    let is_it = |offer: &Offer<'_>| {
        let Offer { it, offering, .. } = offer;
        it.name == instance.instance_type.get().name
            && (offering.zone, offering.capacity_type) == (instance.zone, instance.capacity_type)
    };
    if !offers.iter().any(is_it) {
        let name = world.symbols.text(instance.instance_type.get().name.symbol);
        return Err(format!("{name} is none of its offerings"));
    }
    narrow(world, &claim.requirements, &mut offers);
    offers.retain(|offer| !offer.is_out);
    let Some(launched) = offers.iter().find(|offer| is_it(offer)) else {
        return Err("the provider does not ask for what was launched".to_owned());
    };
    let is_cheaper = |other: &&Offer<'_>| other.offering.price < launched.offering.price;
    match offers.iter().find(is_cheaper) {
        Some(Offer { it, offering, .. }) => {
            let name = world.symbols.text(it.name.symbol);
            let (price, kind) = (offering.price, offering.capacity_type.name());
            Err(format!("a {name} ({kind}) costs {price}, not {}", launched.offering.price))
        }
        None => Ok(()),
    }
}

/// An offering that a NodeClaim allows.
struct Offer<'a> {
    it: &'a InstanceType,
    offering: &'a Offering,
    /// EC2 said that it has none.
    is_out: bool,
}

/// All offerings that a NodeClaim allows, those included that turned out to be out of stock.
fn offers<'a>(
    world: &'a World,
    claim: &Claim,
    named: &[Arc<str>],
    records: &[Record],
) -> Vec<Offer<'a>> {
    let text = |it: &InstanceType| world.symbols.text(it.name.symbol);
    let is_out = |it: &InstanceType, o: &Offering| {
        records.iter().any(|record| match &record.fact {
            Fact::InsufficientCapacity { claim: of, instance_type, zone, capacity_type } => {
                of.ordinal == claim.ordinal
                    && **instance_type == *text(it)
                    && **zone == *world.symbols.text(o.zone.symbol)
                    && *capacity_type == o.capacity_type.name()
            }
            _ => false,
        })
    };
    let types = world.cluster.pools[claim.pool].types.iter();
    let is_named =
        |it: &&InstanceType| named.is_empty() || named.iter().any(|name| **name == *text(it));
    let fitting = types.filter(is_named).filter(|it| {
        let fits = claim.requests.iter().all(|(name, wanted)| wanted <= it.allocatable.get(name));
        fits && claim.requirements.intersects(&it.requirements)
    });
    let offers = fitting.flat_map(|it| it.offerings.iter().map(move |offering| (it, offering)));
    let offers = offers.map(|(it, offering)| Offer { it, offering, is_out: is_out(it, offering) });
    let is_open = |offer: &Offer<'_>| offer.offering.available || offer.is_out;
    let allowed = |offer: &Offer<'_>| offer.offering.compatible_with(&claim.requirements);
    offers.filter(is_open).filter(allowed).collect()
}

/// Leaves out what the provider does not ask EC2 for.
fn narrow(world: &World, requirements: &Requirements, offers: &mut Vec<Offer<'_>>) {
    let is_exotic = |offer: &Offer<'_>| offer.it.bare_metal || has_accelerator(&offer.it.capacity);
    if !requirements.has_min_values() {
        if !offers.iter().all(is_exotic) {
            offers.retain(|offer| !is_exotic(offer));
        }
        if let Some(limit) = cheapest(offers.iter().filter(|o| is(o, CapacityType::OnDemand))) {
            offers.retain(|o| !is(o, CapacityType::Spot) || o.offering.price <= limit);
        }
    }
    let mut types: BTreeMap<&str, f64> = BTreeMap::new();
    for Offer { it, offering, .. } in offers.iter() {
        let price = types.entry(world.symbols.text(it.name.symbol)).or_insert(f64::MAX);
        *price = price.min(offering.price);
    }
    let mut types: Vec<(&str, f64)> = types.into_iter().collect();
    // By name among equals, as they come.
    types.sort_by(|a, b| a.1.total_cmp(&b.1));
    types.truncate(MOST_TYPES);
    let kept: BTreeSet<&str> = types.into_iter().map(|(name, _)| name).collect();
    offers.retain(|offer| kept.contains(world.symbols.text(offer.it.name.symbol)));
    let first = CapacityType::ALL.into_iter().find(|kind| offers.iter().any(|o| is(o, *kind)));
    offers.retain(|offer| offer.it.has_ami && first.is_some_and(|kind| is(offer, kind)));
}

fn has_accelerator(capacity: &ResourceVec) -> bool {
    ACCELERATORS.iter().any(|resource| capacity.get(resource) > 0)
}

fn is(offer: &Offer<'_>, kind: CapacityType) -> bool {
    offer.offering.capacity_type == kind
}

fn cheapest<'a>(offers: impl Iterator<Item = &'a Offer<'a>>) -> Option<f64> {
    offers.map(|offer| offer.offering.price).min_by(f64::total_cmp)
}

/// Checks the instance types that a replacement may launch: the dearest launch of each is cheaper than what the nodes
/// cost that it replaces, `paid` USD per hour.
pub(super) fn check_replacement(
    world: &World,
    replacement: &ReplacementRef,
    paid: f64,
) -> Result<(), Violation> {
    let Some(claim) = claim_of(world, &replacement.claim) else {
        return Err(format!("{} does not exist", replacement.claim.name));
    };
    for name in &*replacement.instance_types {
        let offers = offers(world, claim, std::slice::from_ref(name), &[]);
        let first = CapacityType::ALL.into_iter().find(|kind| offers.iter().any(|o| is(o, *kind)));
        let launched = offers.iter().filter(|offer| first.is_some_and(|kind| is(offer, kind)));
        if let Some(dear) = launched.map(|o| o.offering.price).find(|price| *price >= paid) {
            return Err(format!("a {name} for {dear} may replace what costs {paid}"));
        }
    }
    Ok(())
}
