//! The result of a run as plain data: what reports, tables and files are made from.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::allocation::Allocation;
use super::ledger::Ledger;
use super::series::Series;
use super::summary::{Distribution, Summary};
use crate::units::{SimDuration, SimTime, Usd, UsdPerHour};
use crate::world::journal::Cause;

/// What identifies a run: everything that is needed to make the same result again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Name of the scenario.
    pub scenario: String,
    /// What the scenario is about, one sentence.
    pub about: String,
    /// The policy in words: pool, consolidation, expireAfter, budgets.
    pub policy: String,
    /// The scenario's start in seconds since 1970-01-01T00:00:00Z.
    pub start_epoch_s: i64,
    /// How long the run was to last.
    pub horizon: SimDuration,
    /// Seed of all random draws.
    pub seed: u64,
    /// Region of the prices.
    pub region: String,
    /// What the prices are: `on-demand list us-west-2, table of 2026-08`.
    pub price_basis: String,
    /// Digest of scenario and manifests.
    pub input_digest: String,
    /// Name and digest of the catalogue of instance types.
    pub catalogue_digest: String,
    /// The program: `karpsim 0.1.0`.
    pub program: String,
    /// Whose behaviour is followed: `karpenter 1.14.1`.
    pub semantics: String,
}

/// Everything that a run came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunResult {
    /// What was run.
    pub header: Header,
    /// When the run ended.
    pub end: SimTime,
    /// What stands in the first lines of every report.
    pub summary: Summary,
    /// Instances and what they cost.
    pub ledger: Ledger,
    /// How nodes, cost, pods and utilisation changed.
    pub series: Series,
    /// Disruptions that started, in order of their start.
    pub disruptions: Vec<Disruption>,
    /// Plain counts.
    pub counts: Counts,
    /// How long pods waited for a node, in milliseconds; daemon pods left out. A wait that ended otherwise, by the
    /// pod's removal or the end of the run, counts with its length: leaving it out would flatter a policy that never
    /// places a pod.
    pub pod_waits: Distribution,
    /// How long nodes lived from launch to the TerminateInstances call, in milliseconds; living nodes left out.
    pub node_lifetimes: Distribution,
    /// Workloads with pods pending at the end: most pods first, then by name.
    pub left_pending: Vec<LeftPending>,
    /// Steps of the timeline that were to be done to more nodes or pods than there were.
    pub fallen_short: Vec<FallenShort>,
    /// The bill by workload, less what is idle: dearest first, then by name.
    pub allocations: Vec<Allocation>,
}

impl RunResult {
    /// False for a run that was interrupted before its horizon.
    pub fn is_complete(&self) -> bool {
        self.end.ms() >= self.header.horizon.ms()
    }

    /// The part of the bill that no pod took.
    pub fn idle_cost(&self) -> Usd {
        self.ledger.entries.iter().map(|entry| entry.idle).sum()
    }
}

/// Plain counts of a run. Daemon pods are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pods created.
    pub pods_created: u64,
    /// Pods created that were bound at some time.
    pub pods_bound: u64,
    /// Bound pods told to go, by cause. `ScaleDown` is no eviction.
    pub terminations: BTreeMap<Cause, u64>,
    /// Pods that were evicted or vanished before their end and that nothing brings back.
    pub pods_lost: u64,
    /// Jobs that failed because their pods were evicted too often.
    pub jobs_failed: u64,
    /// Milliseconds of Running that are to be done again, or are lost with their pods.
    pub work_lost_ms: i128,
    /// The same times the milli-CPU that the pods request.
    pub work_lost_cpu_milli_ms: i128,
    /// Commands found, by method and decision.
    pub computed: BTreeMap<(&'static str, &'static str), u64>,
    /// Commands started, by method and decision.
    pub started: BTreeMap<(&'static str, &'static str), u64>,
    /// Commands that did not survive validation, by method and failure.
    pub validation_failures: BTreeMap<(&'static str, &'static str), u64>,
    /// NodeClaims created, launched or not.
    pub claims_created: u64,
    /// Create calls that failed as a whole.
    pub launch_failures: u64,
    /// Offerings found without capacity.
    pub insufficient_capacity: u64,
}

impl Counts {
    /// Pods evicted: every termination but a scale-down.
    pub fn evictions(&self) -> u64 {
        let evicted = |(cause, count): (&Cause, &u64)| match cause {
            Cause::ScaleDown => 0,
            _ => *count,
        };
        self.terminations.iter().map(evicted).sum()
    }
}

/// Nodes taken away together: by a command of the disruption controller, by expiration, by an interruption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disruption {
    /// The command's number; none for what is no command.
    pub command: Option<u64>,
    /// `Emptiness`, `Drift`, `MultiNodeConsolidation`, ...; `Expiration`, `Interruption` or `Deletion` without a
    /// command.
    pub method: &'static str,
    /// Why.
    pub cause: Cause,
    /// `delete` or `replace`.
    pub decision: &'static str,
    /// When it started.
    pub at: SimTime,
    /// When the last of its nodes was gone; none if one was left at the end.
    pub gone_at: Option<SimTime>,
    /// How the command ended.
    pub end: End,
    /// The nodes to go.
    pub nodes: Vec<Arc<str>>,
    /// The NodeClaims created for it.
    pub replacements: Vec<Arc<str>>,
    /// Pods evicted from the nodes.
    pub evicted: u64,
    /// Karpenter's estimate of the saving; zero without a command.
    pub savings: UsdPerHour,
}

/// How a disruption ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was still under way at the end of the run.
    Open,
    /// The nodes were deleted.
    Succeeded,
    /// The queue gave up.
    Failed(Arc<str>),
}

/// A workload whose pods were still waiting for a node at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftPending {
    /// The workload: `Deployment/other/huge`.
    pub workload: Arc<str>,
    /// Its pods without a node.
    pub pods: u64,
    /// How long the oldest of them waited.
    pub oldest_wait: SimDuration,
    /// Karpenter's last error for one of its pods.
    pub error: Option<Arc<str>>,
}

/// A step of the timeline that was to be done to more nodes or pods than there were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FallenShort {
    /// When.
    pub at: SimTime,
    /// The action, in the scenario's spelling.
    pub action: &'static str,
    /// Whose nodes or pods: `NodePool/default`.
    pub object: Arc<str>,
    /// To how many.
    pub wanted: usize,
    /// How many there were.
    pub found: usize,
}
