//! The instance types that the AWS provider hands to Karpenter for one EC2NodeClass.
//!
//! `instance_types(catalog, region, zones, node_class, options, symbols) -> Vec<InstanceType>`
//!
//! Upstream: karpenter-provider-aws v1.14.1 `pkg/providers/instancetype/{instancetype,types}.go`,
//! `pkg/providers/instancetype/offering/base_resolver.go`, `pkg/providers/instancetype/compatibility/compatibility.go`,
//! `pkg/providers/amifamily/`.

use std::sync::Arc;

use super::catalog::{Arch, Catalog, Region, TypeFacts, usd};
use super::instance_type::{CapacityType, InstanceType, Offering};
use super::node_class::{AmiFamily, NodeClass};
use super::overhead;
use crate::kube::label;
use crate::kube::requirement::{Operator, Requirement, Requirements};
use crate::units::{LabelValue, Symbols};

/// Options of the provider, and what the run assumes of EC2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// `VM_MEMORY_OVERHEAD_PERCENT`: a fraction, despite its name.
    pub vm_memory_overhead: f64,
    /// `RESERVED_ENIS`.
    pub reserved_enis: i64,
    /// Per cent off the on-demand price for spot capacity of types that the Spot Advisor does not know. An assumption.
    pub assumed_spot_saving_percent: i64,
}

impl Default for Options {
    fn default() -> Options {
        Options { vm_memory_overhead: 0.075, reserved_enis: 0, assumed_spot_saving_percent: 60 }
    }
}

/// The instance types of `region` for nodes of `class` with subnets in `zones`, ascending by name; empty for an unknown
/// region.
///
/// Types that the region sells in none of `zones` are listed too, without offerings, as upstream lists them: they count
/// when Karpenter explains why no type fits. Each type has its offerings by zone, in the order of `zones`, on-demand
/// before spot; those that cannot be bought (no price known, type and AMI family incompatible) are there but not
/// available. Offerings in zones outside `zones`, which upstream lists as unavailable, are left out: nothing reads
/// them.
///
/// Prices are `f64` of the list's decimal text; see [`Region::spot_price`] for spot. Zone ids are those of the
/// catalogue.
pub fn instance_types(
    catalog: &Catalog,
    region: &str,
    zones: &[String],
    class: &NodeClass,
    options: &Options,
    symbols: &mut Symbols,
) -> Vec<InstanceType> {
    let Some(region) = catalog.region(region) else { return Vec::new() };
    let zones = offered_zones(region, zones, symbols);
    let mut types = Vec::new();
    for (position, facts) in catalog.types.iter().enumerate() {
        if !facts.listed || region.sales[position].zones == 0 {
            continue;
        }
        let offerings = offerings(region, position, facts, &zones, class, options);
        let capacity = overhead::capacity(facts, class, options);
        types.push(InstanceType {
            name: symbols.intern_value(&facts.name),
            requirements: requirements(region, position, facts, &zones, class, symbols),
            allocatable: overhead::allocatable(facts, class, options, &capacity),
            capacity,
            bare_metal: facts.bare_metal,
            has_ami: has_ami(class.ami_family, facts),
            offerings,
        });
    }
    types
}

/// A zone of the node class.
struct OfferedZone {
    /// In the region's list.
    position: usize,
    name: LabelValue,
    id: LabelValue,
    /// Offerings without a price, to be copied: on-demand, spot.
    templates: [Offering; 2],
}

/// The zones by name that the region knows.
fn offered_zones(region: &Region, zones: &[String], symbols: &mut Symbols) -> Vec<OfferedZone> {
    let mut offered = Vec::new();
    for (position, zone) in region.zones.iter().enumerate() {
        if !zones.contains(&zone.name) {
            continue;
        }
        let (name, id) = (symbols.intern_value(&zone.name), symbols.intern_value(&zone.id));
        let mut template = |capacity_type| {
            let mut offering = Offering::new(capacity_type, name, 0.0, false, symbols);
            Arc::make_mut(&mut offering.requirements).add(label::ZONE_ID, Requirement::is(id));
            offering
        };
        let templates = [template(CapacityType::OnDemand), template(CapacityType::Spot)];
        offered.push(OfferedZone { position, name, id, templates });
    }
    offered
}

fn offerings(
    region: &Region,
    position: usize,
    facts: &TypeFacts,
    zones: &[OfferedZone],
    class: &NodeClass,
    options: &Options,
) -> Vec<Offering> {
    let sale = &region.sales[position];
    let compatible = is_compatible(class, facts);
    let mut offerings = Vec::new();
    for zone in zones.iter().filter(|zone| sale.zones & (1 << zone.position) != 0) {
        let [on_demand, spot] = &zone.templates;
        let mut offer = |template: &Offering, price: Option<i64>| {
            let available = compatible && price.is_some();
            let price = price.map_or(0.0, usd);
            offerings.push(Offering { price, available, ..template.clone() });
        };
        if facts.on_demand {
            offer(on_demand, sale.on_demand.map(|price| price.micro_usd));
        }
        if facts.spot {
            let saving = options.assumed_spot_saving_percent;
            let price = region.spot_price(position, zone.position, saving);
            offer(spot, price.map(|price| price.micro_usd));
        }
    }
    offerings
}

/// True iff nodes of the class can be of this type, wherever it is sold.
pub fn can_launch(class: &NodeClass, facts: &TypeFacts) -> bool {
    is_compatible(class, facts) && has_ami(class.ami_family, facts)
}

/// False for types whose offerings the provider never lets this node class have.
fn is_compatible(class: &NodeClass, facts: &TypeFacts) -> bool {
    let too_old = class.ami_family == Some(AmiFamily::Al2023) && facts.name.starts_with("a1.");
    !too_old && (!class.nested_virtualization || facts.nested_virtualization)
}

/// True iff one of the family's AMIs boots the type: Amazon Linux 2 has no GPU image for Arm, Windows none for Arm at
/// all.
fn has_ami(family: Option<AmiFamily>, facts: &TypeFacts) -> bool {
    let arm = facts.arch == Some(Arch::Arm64);
    let accelerated = facts.gpu.is_some() || facts.accelerator.is_some();
    match family {
        Some(AmiFamily::Al2) => !(arm && accelerated),
        family => !(arm && overhead::is_windows(family)),
    }
}

const RESERVATION_LABELS: [&str; 3] = [
    "karpenter.k8s.aws/capacity-reservation-id",
    "karpenter.k8s.aws/capacity-reservation-type",
    "karpenter.k8s.aws/capacity-reservation-interruptible",
];
const GPU_LABELS: [&str; 4] = [
    "karpenter.k8s.aws/instance-gpu-name",
    "karpenter.k8s.aws/instance-gpu-manufacturer",
    "karpenter.k8s.aws/instance-gpu-count",
    "karpenter.k8s.aws/instance-gpu-memory",
];
const ACCELERATOR_LABELS: [&str; 3] = [
    "karpenter.k8s.aws/instance-accelerator-name",
    "karpenter.k8s.aws/instance-accelerator-manufacturer",
    "karpenter.k8s.aws/instance-accelerator-count",
];

/// One entry for each well-known label; labels that nodes of the type do not carry are DoesNotExist.
fn requirements(
    region: &Region,
    position: usize,
    facts: &TypeFacts,
    zones: &[OfferedZone],
    class: &NodeClass,
    symbols: &mut Symbols,
) -> Requirements {
    let sale = &region.sales[position];
    let here = || zones.iter().filter(|zone| sale.zones & (1 << zone.position) != 0);
    let any_of = |values: &[LabelValue]| Requirement::new(Operator::In, values.iter().copied());
    let names: Vec<LabelValue> = here().map(|zone| zone.name).collect();
    let ids: Vec<LabelValue> = here().map(|zone| zone.id).collect();
    let mut entries = vec![(label::ZONE, any_of(&names))];
    if !ids.is_empty() {
        entries.push((label::ZONE_ID, any_of(&ids)));
    }
    let sold = [(CapacityType::OnDemand, facts.on_demand), (CapacityType::Spot, facts.spot)];
    let sold = sold.iter().filter(|(_, sold)| *sold);
    let sold: Vec<_> = sold.map(|(how, _)| symbols.intern_value(how.name())).collect();
    entries.push((label::CAPACITY_TYPE, any_of(&sold)));
    let tenancies = ["default", "dedicated"].map(|value| symbols.intern_value(value));
    let tenancy = symbols.intern("karpenter.k8s.aws/instance-tenancy");
    entries.push((tenancy, any_of(&tenancies)));
    let mut set = |key: &str, value: Option<&str>| {
        let requirement = match value {
            Some(value) => Requirement::is(symbols.intern_value(value)),
            None => Requirement::does_not_exist(),
        };
        entries.push((symbols.intern(key), requirement));
    };
    set("topology.kubernetes.io/region", Some(&region.name));
    set("node.kubernetes.io/instance-type", Some(&facts.name));
    set("kubernetes.io/arch", facts.arch.map(Arch::name));
    RESERVATION_LABELS.iter().for_each(|key| set(key, None));
    platform_labels(class.ami_family, facts, &mut set);
    instance_labels(facts, &mut set);
    // In the order in which they are kept, each is added at the end.
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries.into_iter().collect()
}

fn platform_labels(
    family: Option<AmiFamily>,
    facts: &TypeFacts,
    set: &mut impl FnMut(&str, Option<&str>),
) {
    let build = match family {
        Some(AmiFamily::Windows2019) => Some("10.0.17763"),
        Some(AmiFamily::Windows2022) => Some("10.0.20348"),
        Some(AmiFamily::Windows2025) => Some("10.0.26100"),
        _ => None,
    };
    let os = match build {
        None => Some("linux"),
        Some(_) => (facts.arch == Some(Arch::Amd64)).then_some("windows"),
    };
    set("kubernetes.io/os", os);
    set("node.kubernetes.io/windows-build", build);
}

/// The labels under `karpenter.k8s.aws/instance-`, tenancy excepted.
fn instance_labels(facts: &TypeFacts, set: &mut impl FnMut(&str, Option<&str>)) {
    let (category, generation) = facts.category_and_generation().unzip();
    set("karpenter.k8s.aws/instance-category", category);
    set("karpenter.k8s.aws/instance-generation", generation);
    set("karpenter.k8s.aws/instance-family", Some(facts.family()));
    set("karpenter.k8s.aws/instance-size", Some(facts.size()));
    let on_off = |on: bool| Some(if on { "true" } else { "false" });
    set("karpenter.k8s.aws/instance-capability-flex", on_off(facts.is_flex()));
    set(
        "karpenter.k8s.aws/instance-encryption-in-transit-supported",
        on_off(facts.encryption_in_transit),
    );
    set("karpenter.k8s.aws/instance-hypervisor", Some(&facts.hypervisor));
    set("karpenter.k8s.aws/instance-cpu-manufacturer", Some(&facts.cpu_manufacturer));
    let mut number = |key: &str, value: Option<i64>| {
        let text = value.map(|value| value.to_string());
        set(key, text.as_deref());
    };
    number("karpenter.k8s.aws/instance-cpu", Some(facts.vcpus));
    number("karpenter.k8s.aws/instance-cpu-sustained-clock-speed-mhz", Some(facts.cpu_mhz));
    number("karpenter.k8s.aws/instance-memory", Some(facts.memory_mib));
    number("karpenter.k8s.aws/instance-ebs-bandwidth", facts.ebs_mbps);
    number("karpenter.k8s.aws/instance-network-bandwidth", facts.network_mbps);
    number(
        "karpenter.k8s.aws/instance-local-nvme",
        facts.local_nvme.then_some(facts.local_storage_gb),
    );
    let gpu = facts.gpu.as_ref().map(|gpu| {
        let (count, memory) = (gpu.count.to_string(), gpu.memory_mib.to_string());
        [gpu.name.clone(), gpu.manufacturer.clone(), count, memory]
    });
    for (i, key) in GPU_LABELS.iter().enumerate() {
        set(key, gpu.as_ref().map(|values| values[i].as_str()));
    }
    let accelerator = facts
        .accelerator
        .as_ref()
        .map(|device| [device.name.clone(), device.manufacturer.clone(), device.count.to_string()]);
    for (i, key) in ACCELERATOR_LABELS.iter().enumerate() {
        set(key, accelerator.as_ref().map(|values| values[i].as_str()));
    }
}
