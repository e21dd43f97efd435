//! Folds the journal, fact by fact, into the result of a run.
//!
//! What is kept grows with nodes, disruptions and live pods, never with the pods that are gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::allocation::{Allocations, NodeUsage};
use super::ledger::{self, By, Entry, Ledger};
use super::result::{Counts, Disruption, End, FallenShort, Header, LeftPending, RunResult};
use super::series::Series;
use super::summary::{self, Distribution};
use crate::units::{Lane, ResourceVec, SimDuration, SimTime, Usd, UsdPerHour};
use crate::world::journal::{
    Cause, ClaimRef, CommandRef, Fact, Launch, PodRef, Record, ReplacementRef,
};

/// The observer of a run.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    header: Header,
    /// By ordinal, in no order.
    pods: FxHashMap<u64, LivePod>,
    claims: FxHashMap<u64, LiveClaim>,
    /// In order of launch, not yet billed.
    entries: Vec<Entry>,
    disruptions: Vec<Disruption>,
    fallen_short: Vec<FallenShort>,
    /// For each disruption, its nodes that are not yet gone.
    nodes_left: Vec<usize>,
    series: Series,
    counts: Counts,
    pod_waits: Distribution,
    node_lifetimes: Distribution,
    allocations: Allocations,
}

#[derive(Clone, Debug)]
struct LivePod {
    workload: Arc<str>,
    created_at: SimTime,
    cpu_milli: i64,
    memory_bytes: i64,
    daemon: bool,
    /// Running and not told to go.
    running: bool,
    /// Ordinal of the NodeClaim it is bound to.
    node: Option<u64>,
    error: Option<Arc<str>>,
}

/// CPU in milli, memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Amounts {
    cpu: i64,
    memory: i64,
}

#[derive(Clone, Debug, Default)]
struct LiveClaim {
    created_at: SimTime,
    /// Index of its entry, once launched.
    entry: Option<usize>,
    /// Requests of the pods bound to it.
    requested: Amounts,
    /// The same by workload, over time, until the instance is billed.
    usage: NodeUsage,
    /// What it offers, as long as it counts in the utilisation.
    offered: Option<Amounts>,
    /// Index of the disruption that takes it away.
    disruption: Option<usize>,
}

impl Recorder {
    /// A recorder for a run that is about to start.
    pub fn new(header: Header) -> Recorder {
        Recorder { header, ..Recorder::default() }
    }

    /// Takes in one fact. Facts come in the order of their instants.
    pub fn fold(&mut self, record: &Record) {
        let at = record.at;
        match &record.fact {
            Fact::PodCreated(pod) => self.create_pod(at, pod),
            Fact::PodBound { pod, node } => self.bind_pod(at, pod, node),
            Fact::PodRunning(pod) => self.set_running(at, pod, true),
            Fact::PodTerminating { pod, node, cause } => {
                self.terminate_pod(at, pod, node, *cause);
            }
            Fact::PodRemoved { pod, .. } => self.remove_pod(at, pod),
            Fact::WorkLost { pod, ran, returns } => self.lose_work(pod, *ran, *returns),
            Fact::JobFailed { .. } => self.counts.jobs_failed += 1,
            Fact::PodFailedScheduling { pod, error } => {
                if let Some(live) = self.pods.get_mut(&pod.ordinal) {
                    live.error = Some(error.clone());
                }
            }
            Fact::PodUnschedulable(pod) if pod.daemon => {
                if let Some(live) = self.pods.get_mut(&pod.ordinal) {
                    live.error = Some("it does not fit on its node".into());
                }
            }
            Fact::InsufficientCapacity { .. } => self.counts.insufficient_capacity += 1,
            Fact::PriceChanged { claim, price } => {
                self.change_price(at, claim, UsdPerHour::from_price(*price));
            }
            Fact::LaunchFailed { .. } => self.counts.launch_failures += 1,
            Fact::DisruptionComputed(command) => {
                let found = &mut self.counts.computed;
                *found.entry((command.method, command.decision)).or_default() += 1;
            }
            Fact::ValidationFailed { command, failure, .. } => {
                let failed = &mut self.counts.validation_failures;
                *failed.entry((command.method, failure)).or_default() += 1;
            }
            Fact::DisruptionStarted { command, replacements } => {
                self.start_command(at, command, replacements)
            }
            Fact::DisruptionSucceeded(command) => self.end_command(command, End::Succeeded),
            Fact::DisruptionFailed { command, message } => {
                self.end_command(command, End::Failed(message.clone()));
            }
            Fact::StepFellShort { action, object, wanted, found } => {
                let (object, wanted, found) = (object.clone(), *wanted, *found);
                self.fallen_short.push(FallenShort { at, action, object, wanted, found });
            }
            fact => self.fold_claim(at, fact),
        }
    }

    /// Closes what is open and sums up.
    pub fn finish(mut self, end: SimTime) -> RunResult {
        let left_pending = self.close_pending(end);
        self.bill_living(end);
        let ledger = Ledger::new(self.entries);
        let mut series = self.series;
        series.nodes_by_type = ledger.node_steps(&By::InstanceType);
        series.cost_rate_by_type = ledger.cost_rate_steps(&By::InstanceType);
        series.cumulative_cost = ledger.cumulative_cost(end);
        let mut result = RunResult {
            header: self.header,
            end,
            ledger,
            series,
            disruptions: self.disruptions,
            counts: self.counts,
            pod_waits: self.pod_waits,
            node_lifetimes: self.node_lifetimes,
            left_pending,
            fallen_short: self.fallen_short,
            allocations: self.allocations.into_sorted(),
            ..RunResult::default()
        };
        result.summary = summary::summarize(&result);
        result
    }

    /// The facts about NodeClaims, nodes and instances.
    fn fold_claim(&mut self, at: SimTime, fact: &Fact) {
        match fact {
            Fact::ClaimCreated { claim, .. } => {
                self.counts.claims_created += 1;
                self.live(claim).created_at = at;
            }
            Fact::Launched { claim, launch } => self.launch(at, claim, launch),
            Fact::InstanceRunning(claim) => self.run_instance(at, claim),
            Fact::Registered(claim) => self.register(at, claim),
            Fact::NodeReady(claim) => {
                if let Some(entry) = self.entry(claim) {
                    entry.ready_at.get_or_insert(at);
                }
            }
            Fact::Initialized { claim, allocatable } => {
                self.offer(at, claim, Some(Amounts::of(allocatable)));
                if let Some(entry) = self.entry(claim) {
                    entry.cpu_milli = allocatable.lane(Lane::Cpu);
                    entry.memory_bytes = allocatable.lane(Lane::Memory);
                }
            }
            Fact::Expired(claim) => {
                self.disrupt_alone(at, claim, Cause::Expired);
            }
            // A reclaimed instance may go without a call of Karpenter's; then it goes here.
            Fact::InstanceTerminating { claim } | Fact::InstanceTerminated(claim) => {
                self.stop_instance(at, claim);
            }
            Fact::NodeRemoved(claim) => self.offer(at, claim, None),
            Fact::ClaimRemoved(claim) => self.remove_claim(at, claim),
            _ => {}
        }
    }
}

/// As [`Vec::push`], but long lists grow by a quarter: those of a long run are most of its memory.
fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(list.len() / 4 + 16);
    }
    list.push(item);
}

/// Pods.
impl Recorder {
    fn create_pod(&mut self, at: SimTime, pod: &PodRef) {
        if !pod.daemon {
            self.counts.pods_created += 1;
            self.series.pods_pending.add(at, 1);
        }
        let live = LivePod {
            workload: pod.workload.clone(),
            created_at: at,
            cpu_milli: pod.cpu_milli,
            memory_bytes: pod.memory_bytes,
            daemon: pod.daemon,
            running: false,
            node: None,
            error: None,
        };
        self.pods.insert(pod.ordinal, live);
    }

    fn bind_pod(&mut self, at: SimTime, pod: &PodRef, node: &ClaimRef) {
        let Some(live) = self.pods.get_mut(&pod.ordinal) else {
            return;
        };
        let first = live.node.replace(node.ordinal).is_none();
        if first {
            self.allocations.add_pod(&pod.workload, &pod.namespace, pod.daemon);
        }
        if first && !live.daemon {
            self.counts.pods_bound += 1;
            self.pod_waits.add(at.since(live.created_at).ms());
            self.series.pods_pending.add(at, -1);
            if let Some(entry) = self.entry(node) {
                entry.pods += 1;
            }
        }
        let requested = Amounts { cpu: pod.cpu_milli, memory: pod.memory_bytes };
        self.request(at, node.ordinal, &pod.workload, requested);
    }

    fn set_running(&mut self, at: SimTime, pod: &PodRef, running: bool) {
        if let Some(live) = self.pods.get_mut(&pod.ordinal)
            && live.running != running
        {
            live.running = running;
            if !live.daemon {
                let delta = if running { 1 } else { -1 };
                self.series.pods_running.add(at, delta);
            }
        }
    }

    fn terminate_pod(&mut self, at: SimTime, pod: &PodRef, node: &ClaimRef, cause: Cause) {
        self.set_running(at, pod, false);
        if pod.daemon {
            return;
        }
        *self.counts.terminations.entry(cause).or_default() += 1;
        if cause != Cause::ScaleDown {
            let disruption = self.disrupt_alone(at, node, cause);
            if let Some(disruption) = disruption.and_then(|i| self.disruptions.get_mut(i)) {
                disruption.evicted += 1;
            }
        }
    }

    fn lose_work(&mut self, pod: &PodRef, ran: SimDuration, returns: bool) {
        let ms = i128::from(ran.ms());
        self.counts.pods_lost += u64::from(!returns);
        self.counts.work_lost_ms += ms;
        self.counts.work_lost_cpu_milli_ms += ms * i128::from(pod.cpu_milli);
    }

    fn remove_pod(&mut self, at: SimTime, pod: &PodRef) {
        self.set_running(at, pod, false);
        let Some(live) = self.pods.remove(&pod.ordinal) else {
            return;
        };
        match live.node {
            Some(node) => {
                let freed = Amounts { cpu: -live.cpu_milli, memory: -live.memory_bytes };
                self.request(at, node, &live.workload, freed);
            }
            None if live.daemon => {}
            None => {
                self.pod_waits.add(at.since(live.created_at).ms());
                self.series.pods_pending.add(at, -1);
            }
        }
    }

    /// Counts the waits that are still open and groups their pods by workload.
    fn close_pending(&mut self, end: SimTime) -> Vec<LeftPending> {
        let mut left: BTreeMap<Arc<str>, LeftPending> = BTreeMap::new();
        let mut pods: Vec<(u64, LivePod)> = std::mem::take(&mut self.pods).into_iter().collect();
        pods.sort_unstable_by_key(|(ordinal, _)| *ordinal);
        for (_, pod) in pods {
            if pod.node.is_some() {
                continue;
            }
            let wait = end.since(pod.created_at);
            if !pod.daemon {
                self.pod_waits.add(wait.ms());
            }
            let workload = pod.workload;
            let row = left.entry(workload.clone()).or_insert(LeftPending {
                workload,
                pods: 0,
                oldest_wait: SimDuration::ZERO,
                error: None,
            });
            row.pods += 1;
            row.oldest_wait = row.oldest_wait.max(wait);
            row.error = pod.error.or(row.error.take());
        }
        let mut left: Vec<LeftPending> = left.into_values().collect();
        left.sort_by_key(|row| std::cmp::Reverse(row.pods));
        left
    }
}

/// Nodes.
impl Recorder {
    fn live(&mut self, claim: &ClaimRef) -> &mut LiveClaim {
        self.claims.entry(claim.ordinal).or_default()
    }

    fn entry(&mut self, claim: &ClaimRef) -> Option<&mut Entry> {
        let index = self.claims.get(&claim.ordinal)?.entry?;
        self.entries.get_mut(index)
    }

    fn launch(&mut self, at: SimTime, claim: &ClaimRef, launch: &Launch) {
        let index = self.entries.len();
        let live = self.live(claim);
        live.entry = Some(index);
        let created_at = live.created_at;
        push(
            &mut self.entries,
            Entry {
                ordinal: claim.ordinal,
                claim: claim.name.clone(),
                pool: claim.pool.clone(),
                instance_type: launch.instance_type.clone(),
                zone: launch.zone.clone(),
                capacity_type: launch.capacity_type,
                provider_id: launch.provider_id.clone(),
                price: UsdPerHour::from_price(launch.price),
                price_changes: Vec::new(),
                tags: launch.tags.clone(),
                cpu_milli: launch.allocatable.lane(Lane::Cpu),
                memory_bytes: launch.allocatable.lane(Lane::Memory),
                created_at,
                launched_at: at,
                running_at: None,
                ready_at: None,
                terminating_at: None,
                removed_at: None,
                pods: 0,
                billed: SimDuration::ZERO,
                cost: Usd::ZERO,
                idle: Usd::ZERO,
            },
        );
        self.series.nodes.add(at, 1);
        self.series.launches.push(at);
    }

    fn run_instance(&mut self, at: SimTime, claim: &ClaimRef) {
        // An instance that was told to go before it ran is not billed.
        if let Some(entry) = self.entry(claim)
            && entry.terminating_at.is_none()
            && entry.running_at.is_none()
        {
            entry.running_at = Some(at);
            let price = entry.last_price().nano();
            self.series.cost_rate.add(at, price);
        }
    }

    fn change_price(&mut self, at: SimTime, claim: &ClaimRef, price: UsdPerHour) {
        if let Some(entry) = self.entry(claim)
            && entry.terminating_at.is_none()
        {
            let delta = price.nano() - entry.last_price().nano();
            entry.price_changes.push((at, price));
            if entry.running_at.is_some() {
                self.series.cost_rate.add(at, delta);
            }
        }
    }

    fn stop_instance(&mut self, at: SimTime, claim: &ClaimRef) {
        self.offer(at, claim, None);
        let Some(live) = self.claims.get_mut(&claim.ordinal) else {
            return;
        };
        let Some(entry) = live.entry.and_then(|index| self.entries.get_mut(index)) else {
            return;
        };
        if entry.terminating_at.is_some() {
            return;
        }
        entry.terminating_at = Some(at);
        ledger::bill(entry, at);
        self.allocations.split(entry, std::mem::take(&mut live.usage), at);
        let lived = at.since(entry.launched_at);
        let rate = entry.running_at.map_or(0, |_| entry.last_price().nano());
        self.series.nodes.add(at, -1);
        self.series.terminations.push(at);
        self.series.cost_rate.add(at, -rate);
        self.node_lifetimes.add(lived.ms());
    }

    fn register(&mut self, at: SimTime, claim: &ClaimRef) {
        let offered = self
            .entry(claim)
            .map(|entry| Amounts { cpu: entry.cpu_milli, memory: entry.memory_bytes });
        self.offer(at, claim, offered);
    }

    /// Counts what a node offers from now on; none takes it out of the utilisation, with its pods.
    fn offer(&mut self, at: SimTime, claim: &ClaimRef, offered: Option<Amounts>) {
        let Some(live) = self.claims.get_mut(&claim.ordinal) else {
            return;
        };
        let before = std::mem::replace(&mut live.offered, offered);
        let requested = live.requested;
        let (was, is) = (before.unwrap_or_default(), offered.unwrap_or_default());
        let series = &mut self.series;
        series.allocatable_cpu_milli.add(at, is.cpu - was.cpu);
        series.allocatable_memory_bytes.add(at, is.memory - was.memory);
        let sign = i64::from(offered.is_some()) - i64::from(before.is_some());
        series.requested_cpu_milli.add(at, sign * requested.cpu);
        series.requested_memory_bytes.add(at, sign * requested.memory);
    }

    /// Adds to what the pods of a workload request on a node.
    fn request(&mut self, at: SimTime, node: u64, workload: &Arc<str>, delta: Amounts) {
        let Some(live) = self.claims.get_mut(&node) else {
            return;
        };
        live.requested.cpu += delta.cpu;
        live.requested.memory += delta.memory;
        if live.offered.is_some() {
            self.series.requested_cpu_milli.add(at, delta.cpu);
            self.series.requested_memory_bytes.add(at, delta.memory);
        }
        let entry = live.entry.and_then(|index| self.entries.get(index));
        // A pod that outlives its instance's bill takes nothing more of it.
        if entry.is_some_and(|entry| entry.terminating_at.is_none()) {
            live.usage.add(at, workload, delta.cpu, delta.memory);
        }
    }

    /// Bills the instances that no TerminateInstances call ended.
    fn bill_living(&mut self, end: SimTime) {
        let mut claims: Vec<(&u64, &mut LiveClaim)> = self.claims.iter_mut().collect();
        claims.sort_unstable_by_key(|(ordinal, _)| **ordinal);
        for (_, live) in claims {
            if let Some(entry) = live.entry.and_then(|index| self.entries.get_mut(index))
                && entry.terminating_at.is_none()
            {
                ledger::bill(entry, end);
                self.allocations.split(entry, std::mem::take(&mut live.usage), end);
            }
        }
    }

    fn remove_claim(&mut self, at: SimTime, claim: &ClaimRef) {
        self.offer(at, claim, None);
        if let Some(entry) = self.entry(claim) {
            entry.removed_at = Some(at);
        }
        let removed = self.claims.remove(&claim.ordinal);
        if let Some(index) = removed.and_then(|live| live.disruption) {
            self.nodes_left[index] -= 1;
            if self.nodes_left[index] == 0 {
                let disruption = &mut self.disruptions[index];
                disruption.gone_at = Some(at);
                if disruption.command.is_none() {
                    disruption.end = End::Succeeded;
                }
            }
        }
    }
}

/// Disruptions.
impl Recorder {
    fn start_command(
        &mut self,
        at: SimTime,
        command: &CommandRef,
        replacements: &[ReplacementRef],
    ) {
        let started = &mut self.counts.started;
        *started.entry((command.method, command.decision)).or_default() += 1;
        let index = self.disruptions.len();
        let candidates = command.candidates.iter().map(|(claim, ..)| claim);
        for claim in candidates.clone() {
            self.live(claim).disruption = Some(index);
        }
        self.nodes_left.push(command.candidates.len());
        push(
            &mut self.disruptions,
            Disruption {
                command: Some(command.id),
                method: command.method,
                cause: cause_of(command.reason),
                decision: command.decision,
                at,
                gone_at: None,
                end: End::Open,
                nodes: candidates.map(|claim| claim.name.clone()).collect(),
                replacements: replacements.iter().map(|r| r.claim.name.clone()).collect(),
                evicted: 0,
                savings: UsdPerHour::from_price(command.savings),
            },
        );
    }

    fn end_command(&mut self, command: &CommandRef, end: End) {
        // Commands are few at a time and young: the search from the back is short.
        let open = |d: &Disruption| d.command == Some(command.id);
        let Some(index) = self.disruptions.iter().rposition(open) else {
            return;
        };
        if end != End::Succeeded {
            // The nodes stay and may be disrupted again; one that goes all the same is not this command's.
            for (claim, ..) in &command.candidates {
                if let Some(live) = self.claims.get_mut(&claim.ordinal)
                    && live.disruption == Some(index)
                {
                    live.disruption = None;
                }
            }
        }
        self.disruptions[index].end = end;
    }

    /// The disruption that takes a node away; a new one, of this node alone, if none is known. None for a node that is
    /// already gone.
    fn disrupt_alone(&mut self, at: SimTime, claim: &ClaimRef, cause: Cause) -> Option<usize> {
        let index = self.disruptions.len();
        let live = self.claims.get_mut(&claim.ordinal)?;
        if live.disruption.is_some() {
            return live.disruption;
        }
        live.disruption = Some(index);
        self.nodes_left.push(1);
        push(
            &mut self.disruptions,
            Disruption {
                command: None,
                method: match cause {
                    Cause::Expired => "Expiration",
                    Cause::Interrupted => "Interruption",
                    _ => "Deletion",
                },
                cause,
                decision: "delete",
                at,
                gone_at: None,
                end: End::Open,
                nodes: vec![claim.name.clone()],
                replacements: Vec::new(),
                evicted: 0,
                savings: UsdPerHour::ZERO,
            },
        );
        Some(index)
    }
}

impl Amounts {
    fn of(resources: &ResourceVec) -> Amounts {
        Amounts { cpu: resources.lane(Lane::Cpu), memory: resources.lane(Lane::Memory) }
    }
}

/// The cause of a command with this reason.
fn cause_of(reason: &str) -> Cause {
    let named = Cause::ALL.into_iter().find(|cause| cause.name() == reason);
    named.unwrap_or(Cause::Deleted)
}
