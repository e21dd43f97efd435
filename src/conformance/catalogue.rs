//! Instance types, requirements and resource lists as the recordings write them.

use serde_json::Value;

use super::{NotComparable, malformed};
use crate::ec2::instance_type::Reservation;
use crate::ec2::{CapacityType, InstanceType, Offering};
use crate::kube::requirement::{Operator, Requirement};
use crate::kube::{Requirements, label};
use crate::units::{ResourceVec, Symbols};

/// The instance types of a recording, in its order.
pub(super) fn instance_types(
    list: &Value,
    symbols: &mut Symbols,
) -> Result<Vec<InstanceType>, NotComparable> {
    let list = list.as_array().ok_or_else(|| malformed("instanceTypes is not a list"))?;
    list.iter().map(|entry| instance_type(entry, symbols)).collect()
}

fn instance_type(entry: &Value, symbols: &mut Symbols) -> Result<InstanceType, NotComparable> {
    let name = entry["name"].as_str().ok_or_else(|| malformed("instance type without name"))?;
    let capacity = resources(&entry["capacity"])?;
    let offerings = entry["offerings"].as_array().into_iter().flatten();
    let offerings = offerings.map(|o| offering(o, symbols)).collect::<Result<_, _>>()?;
    Ok(InstanceType {
        name: symbols.intern_value(name),
        requirements: requirements(&entry["requirements"], symbols)
            .map_err(|_| malformed(format!("{name}: requirement without key or operator")))?,
        allocatable: allocatable(&capacity, &entry["overhead"])?,
        capacity,
        bare_metal: false,
        has_ami: true,
        offerings,
    })
}

/// Capacity less kubeReserved, systemReserved and evictionThreshold, and the memory less huge pages.
pub(super) fn allocatable(
    capacity: &ResourceVec,
    overhead: &Value,
) -> Result<ResourceVec, NotComparable> {
    let mut allocatable = capacity.clone();
    for part in ["kubeReserved", "systemReserved", "evictionThreshold"] {
        allocatable = allocatable.minus(&resources(&overhead[part])?);
    }
    let pages = capacity.iter().filter(|(name, _)| name.starts_with("hugepages-"));
    let pages = pages.fold(0_i64, |sum, (_, amount)| sum.saturating_add(amount));
    if pages > 0 {
        // Huge pages are taken from the memory.
        let memory = allocatable.get("memory").saturating_sub(pages);
        allocatable.set("memory", memory.max(0));
    }
    Ok(allocatable)
}

/// A list of requirements, intersected by key; an absent list is empty.
pub(super) fn requirements(
    list: &Value,
    symbols: &mut Symbols,
) -> Result<Requirements, NotComparable> {
    let mut requirements = Requirements::default();
    for entry in list.as_array().into_iter().flatten() {
        let (key, requirement) = requirement(entry, symbols)?;
        requirements.add(symbols.intern(label::normalize(&key)), requirement);
    }
    Ok(requirements)
}

/// One requirement with its key.
pub(super) fn requirement(
    entry: &Value,
    symbols: &mut Symbols,
) -> Result<(String, Requirement), NotComparable> {
    let operator = entry["operator"].as_str().and_then(Operator::parse);
    let (Some(key), Some(operator)) = (entry["key"].as_str(), operator) else {
        return Err(malformed(format!("requirement without key or operator: {entry}")));
    };
    let values = entry["values"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let values: Vec<_> = values.map(|value| symbols.intern_value(value)).collect();
    let minimum = entry["minValues"].as_u64().and_then(|minimum| u32::try_from(minimum).ok());
    Ok((key.to_owned(), Requirement::new(operator, values).with_min_values(minimum)))
}

fn offering(entry: &Value, symbols: &mut Symbols) -> Result<Offering, NotComparable> {
    let capacity_type = entry["capacityType"].as_str().and_then(CapacityType::parse);
    let (Some(capacity_type), Some(zone), Some(price)) =
        (capacity_type, entry["zone"].as_str(), entry["price"].as_f64())
    else {
        return Err(malformed("offering without capacityType, zone or price"));
    };
    let available = entry["available"].as_bool().unwrap_or(false);
    let zone = symbols.intern_value(zone);
    if capacity_type == CapacityType::Reserved {
        let id = entry["reservationId"].as_str();
        let id = id.ok_or_else(|| malformed("reserved offering without reservationId"))?;
        let capacity = entry["reservationCapacity"].as_i64().unwrap_or(0);
        let reservation = Reservation { id: symbols.intern_value(id), capacity };
        return Ok(Offering::reserved(zone, price, available, reservation, symbols));
    }
    Ok(Offering::new(capacity_type, zone, price, available, symbols))
}

/// A resource list; absent is empty.
pub(super) fn resources(map: &Value) -> Result<ResourceVec, NotComparable> {
    let mut list = ResourceVec::default();
    for (name, quantity) in map.as_object().into_iter().flatten() {
        let text = quantity.as_str().unwrap_or_default();
        if !list.set_parsed(name, text) {
            return Err(malformed(format!("`{text}` is no quantity of {name}")));
        }
    }
    Ok(list)
}
