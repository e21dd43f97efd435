//! Changes of EC2's prices, and which of them Karpenter knows.
//!
//! Upstream: karpenter-provider-aws v1.14.1 `pkg/controllers/providers/pricing/controller.go`: prices are asked for at
//! the controller's start and every twelve hours.

use super::capacity::OfferingPattern;
use super::instance_type::{CapacityType, InstanceType};
use crate::units::{LabelValue, SimDuration, SimTime, Symbols};

/// Time between two of Karpenter's questions for prices.
pub const PRICE_PERIOD: SimDuration = SimDuration::from_minutes(12 * 60);

/// Offerings, and the factor by which their prices change.
type Change = (OfferingPattern, f64);

/// What EC2 asks, by the prices of the start.
#[derive(Clone, Debug, Default)]
pub struct Market {
    /// In order.
    changes: Vec<Change>,
    /// How many of them Karpenter knows.
    known: usize,
}

impl Market {
    /// Some prices change by a factor.
    pub fn change(&mut self, offerings: OfferingPattern, factor: f64) {
        self.changes.push((offerings, factor));
    }

    /// Karpenter does not know all changes.
    pub fn has_news(&self) -> bool {
        self.known < self.changes.len()
    }

    /// Karpenter asks for prices.
    pub fn learn(&mut self) {
        self.known = self.changes.len();
    }

    /// The price that EC2 asks, by the one that Karpenter knows.
    pub fn news(
        &self,
        symbols: &Symbols,
        name: LabelValue,
        zone: LabelValue,
        capacity_type: CapacityType,
    ) -> f64 {
        let covers = |pattern: &OfferingPattern| pattern.covers(symbols, name, zone, capacity_type);
        factor(&self.changes[self.known..], covers)
    }

    /// Prices of the start become those that EC2 asked when Karpenter last looked. True when some did.
    pub fn bring_up(&self, symbols: &Symbols, types: &mut [InstanceType]) -> bool {
        apply(&self.changes[..self.known], symbols, types)
    }

    /// Prices that Karpenter knows become those that EC2 asks.
    pub fn renew(&self, symbols: &Symbols, types: &mut [InstanceType]) -> bool {
        apply(&self.changes[self.known..], symbols, types)
    }
}

/// The instant of Karpenter's next question for prices, now included.
pub fn next_question(started_at: SimTime, now: SimTime) -> SimTime {
    let periods = now.since(started_at).ms().div_euclid(PRICE_PERIOD.ms());
    let last = started_at + SimDuration::from_ms(periods * PRICE_PERIOD.ms());
    if last == now { now } else { last + PRICE_PERIOD }
}

fn factor(changes: &[Change], covers: impl Fn(&OfferingPattern) -> bool) -> f64 {
    changes.iter().filter(|(pattern, _)| covers(pattern)).map(|(_, factor)| factor).product()
}

fn apply(changes: &[Change], symbols: &Symbols, types: &mut [InstanceType]) -> bool {
    let mut changed = false;
    for it in types.iter_mut().filter(|_| !changes.is_empty()) {
        let name = it.name;
        for offering in &mut it.offerings {
            let (zone, capacity_type) = (offering.zone, offering.capacity_type);
            let factor =
                factor(changes, |pattern| pattern.covers(symbols, name, zone, capacity_type));
            offering.price *= factor;
            changed |= factor != 1.0;
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_asked_for_every_twelve_hours_from_the_start_on() {
        let hours = |hours: i64| SimTime::ZERO + SimDuration::from_minutes(hours * 60);
        for (start, now, next) in
            [(0, 0, 0), (0, 1, 12), (0, 12, 12), (0, 13, 24), (5, 6, 17), (5, 17, 17)]
        {
            assert_eq!(next_question(hours(start), hours(now)), hours(next), "{start} {now}");
        }
    }
}
