//! The ledger: one entry an instance, from EC2 state `running` to the TerminateInstances call, in integer nano-USD.
//!
//! EC2 bills Linux instances by the second with a minimum of 60 s a start. The span is taken from exact milliseconds,
//! rounded up to whole seconds, raised to the minimum and multiplied by the price; the product is rounded once. An
//! instance that never ran costs nothing. One that still runs at the end is billed to the end, with the same minimum.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::series::Steps;
use crate::units::{SimDuration, SimTime, Usd, UsdPerHour};

/// Shortest time billed for an instance that ran.
pub const MINIMUM_BILLED: SimDuration = SimDuration::from_seconds(60);

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Number of the NodeClaim in order of creation.
    pub ordinal: u64,
    /// Name of NodeClaim and node.
    pub claim: Arc<str>,
    /// Name of the NodePool.
    pub pool: Arc<str>,
    /// Instance type.
    pub instance_type: Arc<str>,
    /// Zone.
    pub zone: Arc<str>,
    /// `on-demand`, `spot` or `reserved`.
    pub capacity_type: &'static str,
    /// `aws:///zone/id`.
    pub provider_id: Arc<str>,
    /// Price an hour at launch.
    pub price: UsdPerHour,
    /// Later prices, each with the instant from which on it holds, ascending.
    pub price_changes: Vec<(SimTime, UsdPerHour)>,
    /// Tags, ascending by key.
    pub tags: Arc<[(Arc<str>, Arc<str>)]>,
    /// Allocatable milli-CPU.
    pub cpu_milli: i64,
    /// Allocatable memory in bytes.
    pub memory_bytes: i64,
    /// When the NodeClaim was created.
    pub created_at: SimTime,
    /// When the Create call succeeded.
    pub launched_at: SimTime,
    /// When EC2 state `running` was reached.
    pub running_at: Option<SimTime>,
    /// When the node became Ready.
    pub ready_at: Option<SimTime>,
    /// When TerminateInstances was called.
    pub terminating_at: Option<SimTime>,
    /// When the NodeClaim was gone.
    pub removed_at: Option<SimTime>,
    /// Pods that were ever bound to the node, daemons left out.
    pub pods: u64,
    /// The time billed, whole seconds.
    pub billed: SimDuration,
    /// What it cost.
    pub cost: Usd,
    /// The part of the cost that no pod took; see [`super::allocation`].
    pub idle: Usd,
}

impl Entry {
    /// Time from launch to the TerminateInstances call; none while the node lives.
    pub fn lifetime(&self) -> Option<SimDuration> {
        self.terminating_at.map(|at| at.since(self.launched_at))
    }

    /// Time from launch to the TerminateInstances call or the end of the run.
    pub fn node_time(&self, end: SimTime) -> SimDuration {
        self.terminating_at.unwrap_or(end).since(self.launched_at)
    }

    /// The price at the end.
    pub fn last_price(&self) -> UsdPerHour {
        self.price_changes.last().map_or(self.price, |(_, price)| *price)
    }

    /// The prices that hold between two instants, each with its part of the time.
    pub fn prices_between(
        &self,
        from: SimTime,
        to: SimTime,
    ) -> impl Iterator<Item = (UsdPerHour, SimDuration)> {
        let starts = std::iter::once((SimTime::ZERO, self.price));
        let starts = starts.chain(self.price_changes.iter().copied());
        let ends = self.price_changes.iter().map(|(at, _)| *at).chain([to]);
        starts.zip(ends).map(move |((start, price), end)| {
            let span = end.min(to).since(start.max(from));
            (price, span.max(SimDuration::ZERO))
        })
    }

    /// The value of a tag.
    pub fn tag(&self, key: &str) -> Option<&Arc<str>> {
        let found = self.tags.iter().find(|(name, _)| name.as_ref() == key);
        found.map(|(_, value)| value)
    }
}

/// A dimension to break the bill down by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// NodePool.
    Pool,
    /// Instance type.
    InstanceType,
    /// Zone.
    Zone,
    /// Capacity type.
    CapacityType,
    /// Value of a tag.
    Tag(String),
}

/// One row of a breakdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Pool, type, zone, capacity type or tag value.
    pub key: Arc<str>,
    /// Nodes launched.
    pub nodes: u64,
    /// Time from launch to the TerminateInstances call, summed.
    pub node_time: SimDuration,
    /// Cost.
    pub cost: Usd,
    /// The part of the cost that no pod took.
    pub idle: Usd,
}

/// All instances of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// In order of launch.
    pub entries: Vec<Entry>,
    /// Sum of the entries' cost.
    pub total: Usd,
    /// Sum of the entries' billed time.
    pub billed: SimDuration,
}

impl By {
    /// The dimension's name in outputs and options: `pool`, `tag:team`.
    pub fn name(&self) -> String {
        match self {
            By::Pool => "pool".to_owned(),
            By::InstanceType => "type".to_owned(),
            By::Zone => "zone".to_owned(),
            By::CapacityType => "capacity".to_owned(),
            By::Tag(key) => format!("tag:{key}"),
        }
    }

    /// Where an instance belongs; instances without the tag are `(none)`.
    pub fn key(&self, entry: &Entry) -> Arc<str> {
        match self {
            By::Pool => entry.pool.clone(),
            By::InstanceType => entry.instance_type.clone(),
            By::Zone => entry.zone.clone(),
            By::CapacityType => entry.capacity_type.into(),
            By::Tag(key) => entry.tag(key).cloned().unwrap_or_else(|| "(none)".into()),
        }
    }
}

impl Ledger {
    /// The bill over instances that were billed to the end of the run ([`bill`]).
    pub fn new(entries: Vec<Entry>) -> Ledger {
        let total = entries.iter().map(|e| e.cost).sum();
        let mut billed = SimDuration::ZERO;
        entries.iter().for_each(|e| billed += e.billed);
        Ledger { entries, total, billed }
    }

    /// Derives every cost and the sums again, by other arithmetic than [`Ledger::new`], and says where they differ.
    pub fn audit(&self, end: SimTime) -> Result<(), String> {
        let (mut total, mut billed_s) = (0_i128, 0_i128);
        for entry in &self.entries {
            let seconds = audited_seconds(entry, end);
            // Half a nano-USD away from zero; prices are not negative.
            let nano = (audited_product(entry, seconds) + 1_800_000) / 3_600_000;
            let stated = (i128::from(entry.billed.ms()), i128::from(entry.cost.nano()));
            if stated != (seconds * 1_000, nano) {
                return Err(format!(
                    "{}: {} and {} nano-USD in the ledger, {seconds}s and {nano} from its times",
                    entry.claim,
                    entry.billed,
                    entry.cost.nano()
                ));
            }
            total += nano;
            billed_s += seconds;
        }
        if (i128::from(self.total.nano()), i128::from(self.billed.ms()))
            == (total, billed_s * 1_000)
        {
            Ok(())
        } else {
            Err(format!(
                "total {} nano-USD in {}, but the entries come to {total} in {billed_s}s",
                self.total.nano(),
                self.billed
            ))
        }
    }

    /// The bill by one dimension, dearest first, then by name.
    pub fn breakdown(&self, by: &By, end: SimTime) -> Vec<Share> {
        let mut shares: BTreeMap<Arc<str>, Share> = BTreeMap::new();
        for entry in &self.entries {
            let key = by.key(entry);
            let share = shares.entry(key.clone()).or_insert_with(|| Share {
                key,
                nodes: 0,
                node_time: SimDuration::ZERO,
                cost: Usd::ZERO,
                idle: Usd::ZERO,
            });
            share.nodes += 1;
            share.node_time += entry.node_time(end);
            share.cost += entry.cost;
            share.idle += entry.idle;
        }
        let mut shares: Vec<Share> = shares.into_values().collect();
        shares.sort_by(|a, b| b.cost.cmp(&a.cost).then_with(|| a.key.cmp(&b.key)));
        shares
    }

    /// Keys of all tags, ascending.
    pub fn tag_keys(&self) -> Vec<Arc<str>> {
        let keys: BTreeSet<&Arc<str>> =
            self.entries.iter().flat_map(|e| e.tags.iter().map(|(key, _)| key)).collect();
        keys.into_iter().cloned().collect()
    }

    /// Nodes by one dimension, each from launch to the TerminateInstances call.
    pub fn node_steps(&self, by: &By) -> BTreeMap<Arc<str>, Steps> {
        let mut changes = Changes::new();
        for entry in &self.entries {
            let key = by.key(entry);
            if let Some(at) = entry.terminating_at {
                *changes.entry((at, key.clone())).or_default() -= 1;
            }
            *changes.entry((entry.launched_at, key)).or_default() += 1;
        }
        steps_of(changes)
    }

    /// What is billed in nano-USD an hour by one dimension, each instance from `running` to the TerminateInstances
    /// call.
    pub fn cost_rate_steps(&self, by: &By) -> BTreeMap<Arc<str>, Steps> {
        let mut changes = Changes::new();
        for entry in &self.entries {
            let key = by.key(entry);
            for (at, delta) in rate_changes(entry, entry.terminating_at) {
                *changes.entry((at, key.clone())).or_default() += delta;
            }
        }
        steps_of(changes)
    }

    /// The bill so far, as the corners of a line. Each instance's cost accrues at its price for as long as it is
    /// billed, so that the rounding up to a second and to the minimum shows where it falls due; what falls due after
    /// `end` is booked at `end`. The last point is the total.
    pub fn cumulative_cost(&self, end: SimTime) -> Vec<(SimTime, Usd)> {
        let mut rates: BTreeMap<SimTime, i128> = BTreeMap::new();
        for entry in &self.entries {
            let stops_at = entry.running_at.map(|running_at| running_at + entry.billed);
            for (at, delta) in rate_changes(entry, stops_at) {
                *rates.entry(at).or_default() += i128::from(delta);
            }
        }
        let (mut at, mut rate, mut accrued) = (SimTime::ZERO, 0_i128, 0_i128);
        let mut points = vec![(SimTime::ZERO, Usd::ZERO)];
        for (next, delta) in rates.range(..end) {
            accrued += rate * i128::from(next.since(at).ms());
            (at, rate) = (*next, rate + delta);
            let nano = (accrued / 3_600_000).min(i128::from(self.total.nano()));
            // In the range of i64, since it is at most the total.
            points.push((at, Usd::from_nano(nano as i64)));
        }
        points.push((end, self.total));
        points.dedup_by_key(|(at, _)| *at);
        points
    }
}

/// Changes of a number by instant and key.
type Changes = BTreeMap<(SimTime, Arc<str>), i64>;

fn steps_of(changes: Changes) -> BTreeMap<Arc<str>, Steps> {
    let mut steps: BTreeMap<Arc<str>, Steps> = BTreeMap::new();
    for ((at, key), delta) in changes {
        steps.entry(key).or_default().add(at, delta);
    }
    steps
}

/// How an instance changes what is billed in nano-USD an hour, from `running` to `stops_at`.
fn rate_changes(entry: &Entry, stops_at: Option<SimTime>) -> Vec<(SimTime, i64)> {
    let Some(running_at) = entry.running_at else {
        return Vec::new();
    };
    let mut rate = entry.price.nano();
    let mut changes = vec![(running_at, rate)];
    for (at, price) in &entry.price_changes {
        if stops_at.is_none_or(|stops_at| *at < stops_at) {
            changes.push((running_at.max(*at), price.nano() - rate));
            rate = price.nano();
        }
    }
    changes.extend(stops_at.map(|at| (at, -rate)));
    changes
}

/// Writes what an instance is billed for and its cost, in a run that ended at `end`.
pub fn bill(entry: &mut Entry, end: SimTime) {
    entry.billed = billed_span(entry, end);
    let from = entry.running_at.unwrap_or(end);
    entry.cost = UsdPerHour::cost_of(entry.prices_between(from, from + entry.billed));
}

fn billed_span(entry: &Entry, end: SimTime) -> SimDuration {
    let Some(running_at) = entry.running_at else {
        return SimDuration::ZERO;
    };
    let ran = entry.terminating_at.unwrap_or(end).since(running_at);
    let seconds = (ran.ms() + 999).div_euclid(1_000);
    SimDuration::from_seconds(seconds).max(MINIMUM_BILLED)
}

/// Price times milliseconds for [`Ledger::audit`]: the first price for all of the time, then each change for its rest.
fn audited_product(entry: &Entry, seconds: i128) -> i128 {
    let Some(running_at) = entry.running_at else {
        return 0;
    };
    let end = i128::from(running_at.ms()) + seconds * 1_000;
    let (mut price, mut product) = (entry.price, i128::from(entry.price.nano()) * seconds * 1_000);
    for (at, next) in &entry.price_changes {
        let rest = (end - i128::from(at.ms()).max(i128::from(running_at.ms()))).max(0);
        product += i128::from(next.nano() - price.nano()) * rest;
        price = *next;
    }
    product
}

/// The billed seconds for [`Ledger::audit`], counted in whole seconds and a rest.
fn audited_seconds(entry: &Entry, end: SimTime) -> i128 {
    let stopped_at = match entry.terminating_at {
        Some(at) => at,
        None => end,
    };
    entry.running_at.map_or(0, |running_at| {
        let ms = i128::from(stopped_at.ms()) - i128::from(running_at.ms());
        (ms / 1_000 + i128::from(ms % 1_000 > 0)).max(60)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Header, Recorder, sample};
    use super::*;
    use crate::world::journal::{Fact, Record};

    /// Counted by hand. default-1 is billed from 70 s to 3632 s: half of the time at 0.096 USD an hour, half of it at
    /// 0.048 USD.
    #[test]
    fn a_price_holds_until_it_changes() {
        let (mut records, end) = (sample::journal(), SimTime::from_seconds(7_200));
        let claim = records.iter().find_map(|record| match &record.fact {
            Fact::InstanceRunning(claim) if claim.ordinal == 1 => Some(claim.clone()),
            _ => None,
        });
        let fact = Fact::PriceChanged { claim: claim.expect("it runs"), price: 0.048 };
        let at = SimTime::from_seconds(1_851);
        let place = records.iter().position(|record| record.at > at).expect("later ones");
        records.insert(place, Record { at, fact });
        let mut recorder = Recorder::new(Header::default());
        records.iter().for_each(|record| recorder.fold(record));
        let result = recorder.finish(end);
        let ledger = &result.ledger;
        assert_eq!(ledger.entries[0].cost.nano(), 47_493_333 + 23_746_667);
        assert_eq!(ledger.audit(end), Ok(()));
        assert_eq!(ledger.cumulative_cost(end).last(), Some(&(end, ledger.total)));
        let rates = ledger.cost_rate_steps(&By::Pool);
        let rates: Vec<i64> = rates.values().map(|steps| steps.value_at(at)).collect();
        assert_eq!(rates.iter().sum::<i64>(), 48_000_000 + rates_of_others(ledger, at));
    }

    fn rates_of_others(ledger: &Ledger, at: SimTime) -> i64 {
        let runs = |e: &&Entry| {
            e.running_at.is_some_and(|from| from <= at) && e.terminating_at.is_none_or(|to| to > at)
        };
        ledger.entries.iter().skip(1).filter(runs).map(|e| e.price.nano()).sum()
    }
}
