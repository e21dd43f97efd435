//! What EC2 cannot deliver at the moment, and what Karpenter knows of it.
//!
//! Upstream: karpenter-provider-aws v1.14.1 `pkg/cache/unavailableofferings.go`: an offering that failed to launch is
//! taken for unavailable for three minutes.

use std::collections::BTreeMap;

use super::instance_type::{CapacityType, InstanceType, Offering};
use crate::units::{LabelValue, SimTime, Symbol, Symbols};

/// An offering by instance type, zone and capacity type.
pub type OfferingKey = (Symbol, Symbol, CapacityType);

/// Which offerings are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferingPattern {
    /// Instance types: a name in which `*` stands for any text; `None` is all.
    pub types: Option<String>,
    /// Zone; `None` is all.
    pub zone: Option<String>,
    /// Capacity type; `None` is all.
    pub capacity_type: Option<CapacityType>,
}

impl OfferingPattern {
    /// True iff the offering of the instance type `name` in a zone is meant.
    pub fn covers(
        &self,
        symbols: &Symbols,
        name: LabelValue,
        zone: LabelValue,
        capacity_type: CapacityType,
    ) -> bool {
        let is_zone = |own: &String| own == symbols.text(zone.symbol);
        self.capacity_type.is_none_or(|own| own == capacity_type)
            && self.zone.as_ref().is_none_or(is_zone)
            && self.types.as_ref().is_none_or(|pattern| matches(pattern, symbols.text(name.symbol)))
    }
}

/// True iff `text` is `pattern`, where `*` stands for any text.
pub fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|i| rest.is_char_boundary(*i))
                .any(|i| matches(tail, &rest[i..]))
        }),
    }
}

/// The state of EC2's capacity and of Karpenter's memory of failed launches.
#[derive(Clone, Debug, Default)]
pub struct Capacity {
    /// Stock-outs with the instant in which they end.
    stock_outs: Vec<(SimTime, OfferingPattern)>,
    /// Offerings that failed to launch, and until when they are taken for unavailable.
    unavailable: BTreeMap<OfferingKey, SimTime>,
}

impl Capacity {
    /// EC2 has none of some offerings until `until`, exclusive.
    pub fn add_stock_out(&mut self, offerings: OfferingPattern, until: SimTime) {
        self.stock_outs.push((until, offerings));
    }

    /// Whether a launch into an offering would succeed now.
    pub fn is_in_stock(
        &self,
        now: SimTime,
        symbols: &Symbols,
        name: LabelValue,
        offering: &Offering,
    ) -> bool {
        let out = |(until, offerings): &(SimTime, OfferingPattern)| {
            now < *until && offerings.covers(symbols, name, offering.zone, offering.capacity_type)
        };
        !self.stock_outs.iter().any(out)
    }

    /// A launch failed: the offering is taken for unavailable until `until`.
    pub fn mark_unavailable(&mut self, key: OfferingKey, until: SimTime) {
        self.unavailable.insert(key, until);
    }

    /// Forgets failures whose time has passed. True when there were any.
    pub fn forget(&mut self, now: SimTime) -> bool {
        let before = self.unavailable.len();
        self.unavailable.retain(|_, until| now < *until);
        self.unavailable.len() != before
    }

    /// Karpenter's memory of failures is lost.
    pub fn forget_all(&mut self) {
        self.unavailable.clear();
    }

    /// `types` less what is taken for unavailable; `None` when that changes nothing.
    pub fn apply(&self, types: &[InstanceType]) -> Option<Vec<InstanceType>> {
        if self.unavailable.is_empty() {
            return None;
        }
        let mut types = types.to_vec();
        for it in &mut types {
            let name = it.name.symbol;
            for offering in &mut it.offerings {
                let key = (name, offering.zone.symbol, offering.capacity_type);
                offering.available &= !self.unavailable.contains_key(&key);
            }
        }
        Some(types)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches("m5.*", "m5.large") && matches("*", "") && matches("*.large", "m5.large"));
        assert!(matches("m*.2xlarge", "m6i.2xlarge") && matches("m5.large", "m5.large"));
        assert!(!matches("m5.*", "m5a.large") && !matches("m5", "m5.large") && !matches("", "m5"));
    }
}
