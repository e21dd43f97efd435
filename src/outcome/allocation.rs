//! Whose cost it is: each node's cost split over the workloads whose pods stood on it, the rest named idle.
//!
//! Over the node's billed time a workload takes the larger of its CPU and its memory share: what its pods there
//! requested, times how long they were bound, over what the node offers times how long it was billed. Where the
//! shares of a node come to more than the whole (one workload takes the CPU, another the memory), all are reduced in
//! proportion and nothing is idle. What no workload takes is idle: boot, drain, free space. DaemonSets are workloads.
//! Shares are whole numbers of 10⁻¹² and amounts whole nano-USD, both rounded down; idle takes the rest, so that the
//! parts come to the bill exactly.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ledger::{By, Entry};
use crate::units::{SimTime, Usd};

/// A node's whole, in shares.
const WHOLE: i128 = 1_000_000_000_000;

/// What one workload cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// The workload: `Deployment/other/inflate`.
    pub workload: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// A DaemonSet.
    pub daemon: bool,
    /// Pods that were bound to a node.
    pub pods: u64,
    /// Its part of the bill.
    pub cost: Usd,
}

/// What a bill is broken down by: a dimension of instances, or of the pods on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breakdown {
    /// Whole instances.
    Instances(By),
    /// Parts of instances, by the pods' namespace.
    Namespace,
    /// Parts of instances, by the pods' workload.
    Workload,
}

impl Breakdown {
    /// What `--by` takes.
    pub const NAMES: [&'static str; 7] =
        ["pool", "type", "zone", "capacity", "namespace", "workload", "tag:KEY"];

    /// The breakdown of a name: `pool`, `tag:team`. None for an unknown one and for a tag without key.
    pub fn parse(name: &str) -> Option<Breakdown> {
        let by = match name {
            "pool" => By::Pool,
            "type" => By::InstanceType,
            "zone" => By::Zone,
            "capacity" => By::CapacityType,
            "namespace" => return Some(Breakdown::Namespace),
            "workload" => return Some(Breakdown::Workload),
            _ => By::Tag(name.strip_prefix("tag:").filter(|key| !key.is_empty())?.to_owned()),
        };
        Some(Breakdown::Instances(by))
    }

    /// The name in options and outputs.
    pub fn name(&self) -> String {
        match self {
            Breakdown::Instances(by) => by.name(),
            Breakdown::Namespace => "namespace".to_owned(),
            Breakdown::Workload => "workload".to_owned(),
        }
    }
}

/// The allocations summed by namespace: dearest first, then by name. `workload` is empty and `daemon` true where all
/// workloads are DaemonSets.
pub fn by_namespace(allocations: &[Allocation]) -> Vec<Allocation> {
    let mut sums: BTreeMap<&Arc<str>, Allocation> = BTreeMap::new();
    for allocation in allocations {
        let namespace = &allocation.namespace;
        let sum = sums.entry(namespace).or_insert_with(|| Allocation {
            workload: "".into(),
            namespace: namespace.clone(),
            daemon: true,
            pods: 0,
            cost: Usd::ZERO,
        });
        sum.daemon &= allocation.daemon;
        sum.pods += allocation.pods;
        sum.cost += allocation.cost;
    }
    let mut sums: Vec<Allocation> = sums.into_values().collect();
    sums.sort_by(|a, b| b.cost.cmp(&a.cost).then_with(|| a.namespace.cmp(&b.namespace)));
    sums
}

/// What the pods of one workload request on one node, and its integral over time.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    since: SimTime,
    cpu_milli: i64,
    memory_bytes: i64,
    cpu_milli_ms: i128,
    memory_byte_ms: i128,
}

impl Usage {
    fn settle(&mut self, at: SimTime) {
        let ms = i128::from(at.since(self.since).ms());
        self.cpu_milli_ms += i128::from(self.cpu_milli) * ms;
        self.memory_byte_ms += i128::from(self.memory_bytes) * ms;
        self.since = at;
    }

    /// The larger share of a node over its billed time.
    fn share(&self, entry: &Entry) -> i128 {
        let part = |integral: i128, offered: i64| {
            (integral * WHOLE)
                .checked_div(i128::from(offered) * i128::from(entry.billed.ms()))
                .unwrap_or(0)
        };
        let cpu = part(self.cpu_milli_ms, entry.cpu_milli);
        cpu.max(part(self.memory_byte_ms, entry.memory_bytes)).max(0)
    }
}

/// Who uses one node. Every change costs one look-up, however many pods there are.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeUsage {
    by_workload: BTreeMap<Arc<str>, Usage>,
}

impl NodeUsage {
    /// Adds to what a workload requests on the node from `at` on.
    pub(super) fn add(
        &mut self,
        at: SimTime,
        workload: &Arc<str>,
        cpu_milli: i64,
        memory_bytes: i64,
    ) {
        let usage = self.by_workload.entry(workload.clone()).or_default();
        usage.settle(at);
        usage.cpu_milli += cpu_milli;
        usage.memory_bytes += memory_bytes;
    }
}

/// The workloads of a run and what they cost so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Allocations {
    by_workload: BTreeMap<Arc<str>, Allocation>,
}

impl Allocations {
    /// Counts a pod that was bound.
    pub(super) fn add_pod(&mut self, workload: &Arc<str>, namespace: &Arc<str>, daemon: bool) {
        let new = || Allocation {
            workload: workload.clone(),
            namespace: namespace.clone(),
            daemon,
            pods: 0,
            cost: Usd::ZERO,
        };
        self.by_workload.entry(workload.clone()).or_insert_with(new).pods += 1;
    }

    /// Splits the cost of a billed instance and writes what is left as its idle cost. `until` is the end of its bill.
    pub(super) fn split(&mut self, entry: &mut Entry, usage: NodeUsage, until: SimTime) {
        let mut shares: Vec<(Arc<str>, i128)> = Vec::with_capacity(usage.by_workload.len());
        for (workload, mut usage) in usage.by_workload {
            usage.settle(until);
            shares.push((workload, usage.share(entry)));
        }
        let whole = shares.iter().map(|(_, share)| share).sum::<i128>().max(WHOLE);
        entry.idle = entry.cost;
        for (workload, share) in shares {
            let nano = i128::from(entry.cost.nano()) * share / whole;
            // At most the node's cost, which fits.
            let part = Usd::from_nano(i64::try_from(nano).unwrap_or(0));
            if let Some(allocation) = self.by_workload.get_mut(&workload) {
                allocation.cost += part;
                entry.idle = entry.idle - part;
            }
        }
    }

    /// Dearest first, then by name.
    pub(super) fn into_sorted(self) -> Vec<Allocation> {
        let mut list: Vec<Allocation> = self.by_workload.into_values().collect();
        list.sort_by(|a, b| b.cost.cmp(&a.cost).then_with(|| a.workload.cmp(&b.workload)));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    /// Counted by hand. default-1 is billed from 70 s to 3632 s, 3562 s at 0.096 USD an hour: 94 986 667 nano-USD. The
    /// two pods of `front` take half of its CPU each from 95 s to 3630 s, the daemon pod a twentieth of its memory to
    /// the end: 3535/3562 and 0.05 * 3537/3562, together more than the whole.
    #[test]
    fn the_bill_is_split_by_the_larger_share_and_idle_takes_the_rest() {
        let result = sample::recorded();
        let costs: Vec<(&str, u64, bool, i64)> = result
            .allocations
            .iter()
            .map(|a| (a.workload.as_ref(), a.pods, a.daemon, a.cost.nano()))
            .collect();
        let (first, second, third) = (94_986_667_f64, 11_100_000_f64, 95_706_667_f64);
        let (front, agent) = (3_535.0 / 3_562.0, 0.05 * 3_537.0 / 3_562.0);
        let whole = front + agent;
        // default-3 is billed from 3611 s to 7200 s and full from 3640 s on.
        let expected = [
            first * front / whole + third * 3_560.0 / 3_589.0,
            first * agent / whole,
            // default-2 is billed for 1110 s; a quarter of its memory is taken for 960 s.
            second * 0.25 * 960.0 / 1_110.0,
        ];
        for (found, expected) in [costs[0].3, costs[1].3, costs[2].3].into_iter().zip([
            expected[0],
            expected[1],
            expected[2],
        ]) {
            assert!((found as f64 - expected).abs() < 3.0, "{found} instead of {expected}");
        }
        assert_eq!((costs[0].0, costs[0].1), ("Deployment/web/front", 4));
        assert_eq!((costs[1].0, costs[1].2), ("DaemonSet/kube-system/agent", true));
        assert_eq!(costs[2].0, "Job/batch/report");
        assert_eq!(result.ledger.entries[0].idle.nano(), 1, "over-full: what rounding leaves");
        let parts: Usd = result.allocations.iter().map(|a| a.cost).sum();
        let mut sum = parts;
        sum += result.idle_cost();
        assert_eq!(sum, result.ledger.total);
        assert_eq!(result.ledger.audit(result.end), Ok(()));
    }

    #[test]
    fn breakdowns_have_the_names_of_the_option() {
        for name in ["pool", "type", "zone", "capacity", "namespace", "workload", "tag:team"] {
            assert_eq!(Breakdown::parse(name).map(|b| b.name()).as_deref(), Some(name));
        }
        for name in ["", "tag", "tag:", "Pool", "node"] {
            assert_eq!(Breakdown::parse(name), None, "{name:?}");
        }
    }
}
