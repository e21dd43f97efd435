//! Instance types and their offerings, as the provider hands them to Karpenter.
//!
//! Upstream: karpenter v1.14.1 `pkg/cloudprovider/types.go`.

use std::sync::Arc;

use crate::kube::label;
use crate::kube::requirement::{AllowUndefined, Requirement, Requirements};
use crate::units::{LabelValue, ResourceVec, Symbols};

/// How capacity is bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CapacityType {
    /// From a capacity reservation.
    Reserved,
    /// Spare capacity that EC2 may reclaim.
    Spot,
    /// At the list price.
    OnDemand,
}

impl CapacityType {
    /// In the order of launch precedence.
    pub const ALL: [CapacityType; 3] =
        [CapacityType::Reserved, CapacityType::Spot, CapacityType::OnDemand];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            CapacityType::Reserved => "reserved",
            CapacityType::Spot => "spot",
            CapacityType::OnDemand => "on-demand",
        }
    }

    /// The capacity type of a label value.
    pub fn parse(name: &str) -> Option<CapacityType> {
        CapacityType::ALL.into_iter().find(|capacity_type| capacity_type.name() == name)
    }
}

/// An instance type of a NodePool's list. Its position in the list is its identity there.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceType {
    /// The name, e.g. `m5.large`.
    pub name: LabelValue,
    /// One entry per well-known label: what nodes of the type carry.
    pub requirements: Requirements,
    /// What the machine has.
    pub capacity: ResourceVec,
    /// What pods may request: capacity less kube-reserved, system-reserved and eviction threshold. May be negative.
    pub allocatable: ResourceVec,
    /// A whole machine: slow to boot, and launched only when nothing else will do.
    pub bare_metal: bool,
    /// An AMI of the node class boots it; launches leave out types without one.
    pub has_ami: bool,
    /// Where and how it is sold. The order is part of the input.
    pub offerings: Vec<Offering>,
}

/// One way to buy an instance type.
#[derive(Clone, Debug, PartialEq)]
pub struct Offering {
    /// How.
    pub capacity_type: CapacityType,
    /// Where.
    pub zone: LabelValue,
    /// Capacity type, zone and what else identifies it, as requirements: the same for all types of a zone, so shared.
    pub requirements: Arc<Requirements>,
    /// USD per hour, as decisions compare it.
    pub price: f64,
    /// Sold at all: compatible with the node class, priced, in one of its zones. Whether it is out of stock at the
    /// moment is a matter of the cloud's state.
    pub available: bool,
    /// The capacity reservation behind a reserved offering.
    pub reservation: Option<Reservation>,
}

/// A capacity reservation as an offering states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// `karpenter.k8s.aws/capacity-reservation-id`.
    pub id: LabelValue,
    /// Instances that may still be launched into it.
    pub capacity: i64,
}

impl Offering {
    /// An offering with the requirements that Karpenter's offerings have: capacity type, zone, and no reservation.
    pub fn new(
        capacity_type: CapacityType,
        zone: LabelValue,
        price: f64,
        available: bool,
        symbols: &mut Symbols,
    ) -> Offering {
        let mut requirements = Requirements::default();
        let capacity = symbols.intern_value(capacity_type.name());
        requirements.add(label::CAPACITY_TYPE, Requirement::is(capacity));
        requirements.add(label::ZONE, Requirement::is(zone));
        for suffix in ["id", "type", "interruptible"] {
            let key = symbols.intern(&format!("karpenter.k8s.aws/capacity-reservation-{suffix}"));
            requirements.add(key, Requirement::does_not_exist());
        }
        let requirements = Arc::new(requirements);
        Offering { capacity_type, zone, requirements, price, available, reservation: None }
    }

    /// The offering of a capacity reservation of the kind `default`.
    pub fn reserved(
        zone: LabelValue,
        price: f64,
        available: bool,
        reservation: Reservation,
        symbols: &mut Symbols,
    ) -> Offering {
        let capacity_type = CapacityType::Reserved;
        let mut offering = Offering::new(capacity_type, zone, price, available, symbols);
        let requirements = Arc::make_mut(&mut offering.requirements);
        for (suffix, value) in [("type", "default"), ("interruptible", "false")] {
            let key = symbols.intern(&format!("karpenter.k8s.aws/capacity-reservation-{suffix}"));
            requirements.replace(key, Requirement::is(symbols.intern_value(value)));
        }
        requirements.replace(label::RESERVATION_ID, Requirement::is(reservation.id));
        offering.reservation = Some(reservation);
        offering
    }

    /// True iff a claim with requirements `wanted` may launch into this offering.
    pub fn compatible_with(&self, wanted: &Requirements) -> bool {
        wanted.compatible(&self.requirements, AllowUndefined::WellKnown)
    }
}

impl InstanceType {
    /// Price of the first offering with exactly this zone and capacity type, available or not (karpenter v1.14.1
    /// `OfferingPrice`).
    pub fn offering_price(&self, zone: LabelValue, capacity_type: CapacityType) -> Option<f64> {
        self.offerings
            .iter()
            .find(|o| o.zone == zone && o.capacity_type == capacity_type)
            .map(|o| o.price)
    }
}
