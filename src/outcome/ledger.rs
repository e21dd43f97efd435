//! The ledger: one entry an instance, from EC2 state `running` to the TerminateInstances call, in integer nano-USD.
//!
//! EC2 bills Linux instances by the second with a minimum of 60 s a start. The span is taken from exact milliseconds,
//! rounded up to whole seconds, raised to the minimum and multiplied by the price; the product is rounded once. An instance
//! that never ran costs nothing. One that still runs at the end is billed to the end, with the same minimum.

use std::sync::Arc;

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
    /// Price an hour.
    pub price: UsdPerHour,
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
}

impl Entry {
    /// Time from launch to the TerminateInstances call; none while the node lives.
    pub fn lifetime(&self) -> Option<SimDuration> {
        self.terminating_at.map(|at| at.since(self.launched_at))
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
    /// Time billed.
    pub billed: SimDuration,
    /// Cost.
    pub cost: Usd,
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
