//! Resource lists: four fixed lanes (milli-CPU, memory bytes, ephemeral-storage bytes, pods) and a sorted tail of rare
//! extended resources.
//!
//! Mirrors the resource-list operations of karpenter v1.14.1 `pkg/utils/resources/resources.go`. A lane that was never
//! named and a lane that was named with zero compare differently only in [`ResourceVec::names`]: upstream's "missing =
//! 0".

use std::fmt;
use std::sync::Arc;

use super::quantity;

/// The resources every node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// `cpu`, in milli-CPU.
    Cpu = 0,
    /// `memory`, in bytes.
    Memory = 1,
    /// `ephemeral-storage`, in bytes.
    EphemeralStorage = 2,
    /// `pods`, a count.
    Pods = 3,
}

impl Lane {
    /// All lanes in the order of their slots.
    pub const ALL: [Lane; 4] = [Lane::Cpu, Lane::Memory, Lane::EphemeralStorage, Lane::Pods];

    /// The Kubernetes resource name.
    pub const fn name(self) -> &'static str {
        match self {
            Lane::Cpu => "cpu",
            Lane::Memory => "memory",
            Lane::EphemeralStorage => "ephemeral-storage",
            Lane::Pods => "pods",
        }
    }
}

/// Amounts by resource. Amounts may be negative (a deficit).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ResourceVec {
    lanes: [i64; 4],
    present: u8,
    tail: Vec<(Arc<str>, i64)>,
}

impl ResourceVec {
    /// Parses `text` for the resource `name` in the unit of its lane (milli for `cpu`, else whole units) and adds the
    /// entry. Returns `false`, changing nothing, when the text is no quantity.
    pub fn set_parsed(&mut self, name: &str, text: &str) -> bool {
        let amount =
            if name == "cpu" { quantity::parse_milli(text) } else { quantity::parse_units(text) };
        match amount {
            Some(amount) => {
                self.set(name, amount);
                true
            }
            None => false,
        }
    }

    /// Sets one resource by name; `cpu` in milli-CPU, all others in whole units.
    pub fn set(&mut self, name: &str, amount: i64) {
        if let Some(lane) = Lane::ALL.into_iter().find(|lane| lane.name() == name) {
            self.set_lane(lane, amount);
            return;
        }
        match self.tail.binary_search_by(|(n, _)| n.as_ref().cmp(name)) {
            Ok(i) => self.tail[i].1 = amount,
            Err(i) => self.tail.insert(i, (Arc::from(name), amount)),
        }
    }

    /// Sets one lane.
    pub fn set_lane(&mut self, lane: Lane, amount: i64) {
        self.lanes[lane as usize] = amount;
        self.present |= 1 << lane as u8;
    }

    /// The amount of a lane, 0 when missing.
    pub const fn lane(&self, lane: Lane) -> i64 {
        self.lanes[lane as usize]
    }

    /// The amount of a resource by name, 0 when missing.
    pub fn get(&self, name: &str) -> i64 {
        self.find(name).unwrap_or(0)
    }

    /// The amount of a resource by name, `None` when it was never named.
    pub fn find(&self, name: &str) -> Option<i64> {
        if let Some(lane) = Lane::ALL.into_iter().find(|lane| lane.name() == name) {
            return (self.present & (1 << lane as u8) != 0).then(|| self.lane(lane));
        }
        self.tail.iter().find(|(n, _)| n.as_ref() == name).map(|(_, amount)| *amount)
    }

    /// All named resources with their amounts, lanes first, then the tail by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        let lanes = Lane::ALL.into_iter().filter(|lane| self.present & (1 << *lane as u8) != 0);
        lanes
            .map(|lane| (lane.name(), self.lane(lane)))
            .chain(self.tail.iter().map(|(n, a)| (n.as_ref(), *a)))
    }

    /// The rare resources, by name.
    pub fn tail(&self) -> impl Iterator<Item = (&str, i64)> {
        self.tail.iter().map(|(name, amount)| (name.as_ref(), *amount))
    }

    /// True when nothing is named.
    pub fn is_empty(&self) -> bool {
        self.present == 0 && self.tail.is_empty()
    }

    /// True when any amount is negative.
    pub fn has_negative(&self) -> bool {
        self.lanes.iter().any(|a| *a < 0) || self.tail.iter().any(|(_, a)| *a < 0)
    }

    /// Element-wise sum in place; union of the names. Amounts that no 64-bit integer holds stay at its limit.
    pub fn add(&mut self, other: &ResourceVec) {
        self.combine(other, i64::saturating_add);
    }

    /// Element-wise difference in place; union of the names, may go negative (upstream `SubtractFrom`).
    pub fn subtract(&mut self, other: &ResourceVec) {
        self.combine(other, i64::saturating_sub);
    }

    /// Element-wise maximum in place; union of the names, a missing side counts as 0.
    pub fn maximize(&mut self, other: &ResourceVec) {
        self.combine(other, i64::max);
    }

    fn combine(&mut self, other: &ResourceVec, op: impl Fn(i64, i64) -> i64) {
        for i in 0..4 {
            self.lanes[i] = op(self.lanes[i], other.lanes[i]);
        }
        self.present |= other.present;
        for (name, amount) in &other.tail {
            match self.tail.binary_search_by(|(n, _)| n.cmp(name)) {
                Ok(i) => self.tail[i].1 = op(self.tail[i].1, *amount),
                Err(i) => self.tail.insert(i, (name.clone(), op(0, *amount))),
            }
        }
    }

    /// The sum as a new list.
    pub fn plus(&self, other: &ResourceVec) -> ResourceVec {
        let mut sum = self.clone();
        sum.add(other);
        sum
    }

    /// `self - other` over the names of `self` only (upstream `Subtract`).
    pub fn minus(&self, other: &ResourceVec) -> ResourceVec {
        let mut difference = self.clone();
        for i in 0..4 {
            if difference.present & (1 << i) != 0 {
                difference.lanes[i] = difference.lanes[i].saturating_sub(other.lanes[i]);
            }
        }
        for (name, amount) in &mut difference.tail {
            *amount = amount.saturating_sub(other.get(name));
        }
        difference
    }

    /// Every amount floored at zero.
    pub fn floored_at_zero(&self) -> ResourceVec {
        let mut floored = self.clone();
        floored.lanes.iter_mut().for_each(|a| *a = (*a).max(0));
        floored.tail.iter_mut().for_each(|(_, a)| *a = (*a).max(0));
        floored
    }

    /// Element-wise minimum over the names that both sides have (upstream `MinResources`).
    pub fn intersected_minimum(&self, other: &ResourceVec) -> ResourceVec {
        let mut minimum = ResourceVec::default();
        for (name, amount) in self.iter() {
            if let Some(theirs) = other.find(name) {
                minimum.set(name, amount.min(theirs));
            }
        }
        minimum
    }

    /// True iff `self` fits into `have`: no amount of `have` is negative, not even an unneeded one, and each needed
    /// amount is at most what `have` holds (upstream `Fits`).
    pub fn fits(&self, have: &ResourceVec) -> bool {
        (0..4).all(|i| have.lanes[i] >= 0 && self.lanes[i] <= have.lanes[i])
            && have.tail.iter().all(|(_, a)| *a >= 0)
            && self.tail.iter().all(|(name, amount)| *amount <= have.get(name))
    }

    /// Canonical quantity text of one entry.
    pub fn format_amount(name: &str, amount: i64) -> String {
        match name {
            "cpu" => quantity::format_milli(amount),
            "memory" | "ephemeral-storage" => quantity::format_bytes(amount),
            name if name.starts_with("hugepages-") => quantity::format_bytes(amount),
            _ => amount.to_string(),
        }
    }
}

impl fmt::Display for ResourceVec {
    /// JSON as Karpenter logs resource lists: `{"cpu":"150m","memory":"5Gi","pods":"7"}`, names ascending.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut entries: Vec<(&str, i64)> = self.iter().collect();
        entries.sort_unstable();
        f.write_str("{")?;
        for (i, (name, amount)) in entries.into_iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}\"{name}\":\"{}\"", ResourceVec::format_amount(name, amount))?;
        }
        f.write_str("}")
    }
}

impl<'a> FromIterator<(&'a str, i64)> for ResourceVec {
    fn from_iter<I: IntoIterator<Item = (&'a str, i64)>>(iter: I) -> ResourceVec {
        let mut list = ResourceVec::default();
        iter.into_iter().for_each(|(name, amount)| list.set(name, amount));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(&str, i64)]) -> ResourceVec {
        entries.iter().copied().collect()
    }

    #[test]
    fn fits_refuses_any_negative_amount() {
        let need = list(&[("cpu", 100)]);
        assert!(need.fits(&list(&[("cpu", 100)])));
        assert!(!need.fits(&list(&[("cpu", 99)])));
        assert!(
            !need.fits(&list(&[("cpu", 100), ("memory", -1)])),
            "an unneeded deficit refuses too"
        );
        assert!(
            !list(&[("nvidia.com/gpu", 1)]).fits(&list(&[("cpu", 100)])),
            "missing counts as 0"
        );
    }

    #[test]
    fn minus_keeps_the_names_of_the_left_side() {
        let left = list(&[("cpu", 5), ("nvidia.com/gpu", 1)]);
        let right = list(&[("cpu", 7), ("memory", 1), ("nvidia.com/gpu", 1)]);
        assert_eq!(left.minus(&right), list(&[("cpu", -2), ("nvidia.com/gpu", 0)]));
    }

    #[test]
    fn minimum_drops_names_missing_on_one_side() {
        let a = list(&[("cpu", 5), ("memory", 3)]);
        assert_eq!(a.intersected_minimum(&list(&[("cpu", 2)])), list(&[("cpu", 2)]));
    }

    #[test]
    fn lists_print_as_karpenter_logs_them() {
        let requests = list(&[("pods", 7), ("memory", 5 << 30), ("cpu", 150)]);
        assert_eq!(requests.to_string(), r#"{"cpu":"150m","memory":"5Gi","pods":"7"}"#);
    }
}
