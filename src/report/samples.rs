//! Results made by hand, for the tests of the pictures.

use std::sync::Arc;

use crate::outcome::{
    Better, Decimal, Disruption, End, Entry, Header, Metric, RunResult, Steps, Unit,
};
use crate::units::{SimDuration, SimTime, Usd, UsdPerHour};
use crate::world::journal::Cause;

/// Keeps a picture below cargo's folder so that people can look at it, after a check that something is on it.
pub fn keep(file: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pictures");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(format!("{file}.png")), bytes)?;
    let mut reader = png::Decoder::new(bytes).read_info()?;
    let mut pixels = vec![0; reader.output_buffer_size()];
    let width = reader.next_frame(&mut pixels)?.width as usize;
    let inked = pixels.chunks(3).filter(|p| p.iter().any(|c| *c < 0x80)).count();
    assert!(inked > 5_000, "{file}: {inked} dark pixels");
    for line in pixels.chunks(width * 3) {
        let white = |bytes: &[u8]| bytes.iter().all(|c| *c == 0xFF);
        assert!(white(&line[..72]) && white(&line[width * 3 - 72..]), "{file}: side margins");
    }
    Ok(())
}

const M5: (&str, i64) = ("m5.large", 96_000_000);
const C5: (&str, i64) = ("c5.large", 85_000_000);

/// A result without any event.
pub fn empty(name: &str, horizon: SimDuration) -> RunResult {
    RunResult {
        header: Header {
            scenario: name.to_owned(),
            about: "Made by hand.".to_owned(),
            policy: "NodePool default: consolidate when empty or underutilized after 30s, \
                     expireAfter 72h, budget 10% of nodes"
                .to_owned(),
            start_epoch_s: 1_767_603_600,
            horizon,
            seed: 42,
            region: "us-west-2".to_owned(),
            price_basis: "on-demand list us-west-2, table of 2026-08".to_owned(),
            input_digest: "5f2c9a0b".to_owned(),
            catalogue_digest: "us-west-2/91d3e7c4".to_owned(),
            program: "karpsim 0.1.0".to_owned(),
            semantics: "karpenter 1.14.1".to_owned(),
        },
        end: SimTime::from_ms(horizon.ms()),
        ..RunResult::default()
    }
}

/// Adds a node to ledger and series; `gone_s` is none for one that lives.
fn node(result: &mut RunResult, (name, price): (&str, i64), launched_s: i64, gone_s: Option<i64>) {
    let ordinal = result.ledger.entries.len() as u64;
    let launched_at = SimTime::from_seconds(launched_s);
    let terminating_at = gone_s.map(SimTime::from_seconds);
    let price = UsdPerHour::from_nano(price);
    let billed = terminating_at.unwrap_or(result.end).since(launched_at);
    let cost = price.cost(billed);
    result.ledger.total += cost;
    result.ledger.billed += billed;
    result.ledger.entries.push(Entry {
        ordinal,
        claim: format!("default-{ordinal}").into(),
        pool: "default".into(),
        instance_type: name.into(),
        zone: "us-west-2a".into(),
        capacity_type: "on-demand",
        provider_id: format!("aws:///us-west-2a/i-{ordinal:017x}").into(),
        price,
        price_changes: Vec::new(),
        tags: Arc::from([]),
        cpu_milli: 1_930,
        memory_bytes: 7_238_320_128,
        created_at: launched_at,
        launched_at,
        running_at: Some(launched_at),
        ready_at: Some(launched_at),
        terminating_at,
        removed_at: terminating_at,
        pods: 5,
        billed,
        cost,
        idle: Usd::ZERO,
    });
}

/// Fills the series of nodes and dollars from the ledger.
fn settle(result: &mut RunResult) {
    let mut changes: Vec<(SimTime, i64, Arc<str>, i64)> = Vec::new();
    for entry in &result.ledger.entries {
        let lifetime = entry.lifetime().map(SimDuration::ms);
        lifetime.into_iter().for_each(|ms| result.node_lifetimes.add(ms));
        let (name, price) = (&entry.instance_type, entry.price.nano());
        changes.push((entry.launched_at, 1, Arc::clone(name), price));
        let gone = entry.terminating_at;
        changes.extend(gone.map(|at| (at, -1, Arc::clone(name), -price)));
    }
    changes.sort();
    let series = &mut result.series;
    let mut bill = Usd::ZERO;
    let mut billed_to = SimTime::ZERO;
    series.cumulative_cost.push((billed_to, bill));
    for (at, delta, name, price) in changes {
        bill += UsdPerHour::from_nano(series.cost_rate.last()).cost(at.since(billed_to));
        billed_to = at;
        series.cumulative_cost.push((at, bill));
        series.nodes.add(at, delta);
        series.cost_rate.add(at, price);
        series.allocatable_cpu_milli.add(at, 1_930 * delta);
        series.allocatable_memory_bytes.add(at, 7_238_320_128 * delta);
        let by_type = &mut series.nodes_by_type;
        by_type.entry(Arc::clone(&name)).or_default().add(at, delta);
        series.cost_rate_by_type.entry(name).or_default().add(at, price);
        let instants = if delta > 0 { &mut series.launches } else { &mut series.terminations };
        instants.push(at);
    }
    bill += UsdPerHour::from_nano(series.cost_rate.last()).cost(result.end.since(billed_to));
    series.cumulative_cost.push((result.end, bill));
    let monthly = Decimal::ratio(
        i128::from(bill.nano()) * 730 * 3_600_000,
        i128::from(result.end.ms()) * 1_000_000_000,
        6,
    );
    result.summary.metrics.push(Metric {
        name: "cost_month_usd",
        labels: Vec::new(),
        unit: Unit::UsdPerMonth,
        better: Better::Lower,
        value: monthly,
    });
}

/// Lets the running pods request something, as far as the nodes go.
fn request(result: &mut RunResult, cpu_milli: i64, memory_bytes: i64) {
    let series = &mut result.series;
    let instants = [&series.pods_running, &series.allocatable_cpu_milli];
    let mut instants: Vec<SimTime> =
        instants.iter().flat_map(|s| s.points()).map(|(at, _)| *at).collect();
    instants.sort_unstable();
    instants.dedup();
    for at in instants {
        let pods = series.pods_running.value_at(at);
        let cpu = series.allocatable_cpu_milli.value_at(at).min(cpu_milli * pods);
        let memory = series.allocatable_memory_bytes.value_at(at).min(memory_bytes * pods);
        series.requested_cpu_milli.set(at, cpu);
        series.requested_memory_bytes.set(at, memory);
    }
}

fn steps(points: &[(i64, i64)]) -> Steps {
    let mut steps = Steps::default();
    for (at_s, value) in points {
        steps.set(SimTime::from_seconds(*at_s), *value);
    }
    steps
}

fn disruption(
    cause: Cause,
    (at_s, gone_s): (i64, Option<i64>),
    node: usize,
    replacement: Option<usize>,
    evicted: u64,
) -> Disruption {
    let name = |ordinal: usize| Arc::from(format!("default-{ordinal}"));
    Disruption {
        command: Some(0),
        method: "SingleNodeConsolidation",
        cause,
        decision: if replacement.is_some() { "replace" } else { "delete" },
        at: SimTime::from_seconds(at_s),
        gone_at: gone_s.map(SimTime::from_seconds),
        end: End::Succeeded,
        nodes: vec![name(node)],
        replacements: replacement.map(name).into_iter().collect(),
        evicted,
        savings: UsdPerHour::ZERO,
    }
}

/// The workshop: five replicas, twelve, five, one, none, five again, and the node's expiry after 72
/// h.
pub fn workshop() -> RunResult {
    let mut result = empty("eks-workshop", SimDuration::from_minutes(80 * 60));
    node(&mut result, M5, 64, Some(2_222));
    node(&mut result, M5, 664, Some(1_330));
    node(&mut result, C5, 2_140, Some(3_040));
    node(&mut result, M5, 3_604, Some(262_818));
    node(&mut result, M5, 262_812, None);
    settle(&mut result);
    result.series.pods_pending = steps(&[
        (60, 5),
        (103, 0),
        (660, 7),
        (661, 2),
        (704, 0),
        (1_300, 2),
        (1_302, 0),
        (2_185, 1),
        (2_187, 0),
        (3_600, 5),
        (3_644, 0),
        (262_804, 5),
        (262_858, 0),
    ]);
    result.series.pods_running = steps(&[
        (105, 5),
        (662, 10),
        (706, 12),
        (1_260, 5),
        (1_300, 3),
        (1_304, 5),
        (1_860, 1),
        (2_185, 0),
        (2_189, 1),
        (2_980, 0),
        (3_646, 5),
        (262_804, 0),
        (262_860, 5),
    ]);
    result.disruptions = vec![
        disruption(Cause::Underutilized, (1_290, Some(1_400)), 1, None, 2),
        disruption(Cause::Underutilized, (2_135, Some(2_290)), 0, Some(2), 1),
        disruption(Cause::Empty, (3_030, Some(3_100)), 2, None, 0),
        disruption(Cause::Expired, (262_801, Some(262_890)), 3, None, 5),
    ];
    result.counts.terminations.insert(Cause::Underutilized, 3);
    result.counts.terminations.insert(Cause::Expired, 5);
    for wait in [43, 43, 43, 43, 43, 44, 44, 2, 2, 2, 44, 44, 44, 44, 44, 54, 54, 54, 54, 54] {
        result.pod_waits.add(wait * 1_000);
    }
    request(&mut result, 150, 1 << 30);
    result
}

/// One launch and nothing else.
pub fn one_event() -> RunResult {
    let mut result = empty("one event", SimDuration::from_minutes(24 * 60));
    node(&mut result, M5, 7_200, None);
    settle(&mut result);
    result
}

/// Pods that nothing can hold.
pub fn unschedulable() -> RunResult {
    let mut result = empty("unschedulable", SimDuration::from_minutes(60));
    result.series.pods_pending = steps(&[(60, 1_200)]);
    (0..1_200).for_each(|_| result.pod_waits.add(59 * 60_000));
    result
}

/// A run of a few milliseconds.
pub fn tiny() -> RunResult {
    let mut result = empty("tiny", SimDuration::from_ms(3));
    result.series.pods_pending.set(SimTime::from_ms(1), 2);
    result.series.pods_pending.set(SimTime::from_ms(3), 0);
    result
}

/// Names as long as Kubernetes allows, in a long policy.
pub fn long_names() -> RunResult {
    let long = |start: &str| format!("{start}-{}", "x".repeat(252 - start.len()));
    let mut result = workshop();
    result.header.scenario = long("scenario");
    result.header.policy = format!("{} {} {}", long("pool"), long("and"), "budgets ".repeat(60));
    result.header.input_digest = long("digest");
    result.header.start_epoch_s = 0;
    let mut result = RunResult { series: Default::default(), ..result };
    for entry in &mut result.ledger.entries {
        entry.instance_type = long(&entry.instance_type).into();
    }
    settle(&mut result);
    result
}

/// Thirty days of `events` launches and as many terminations of `types` instance types, disruptions
/// and pods with them.
pub fn busy(name: &str, types: usize, events: usize) -> RunResult {
    let day = 86_400;
    let mut result = empty(name, SimDuration::from_seconds(30 * day));
    let mut state = 12_345_u64;
    let mut draw = |below: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((state >> 33) as i64).rem_euclid(below)
    };
    let mut pods: Vec<(i64, i64)> = Vec::new();
    for i in 0..events {
        let at = 30 * day * i as i64 / events as i64;
        let kind = draw(types as i64).min(draw(types as i64));
        let lives = 3_600 + draw(20_000);
        let gone = (at + lives < 30 * day).then_some(at + lives);
        let price = 50_000_000 + 7_000_000 * kind;
        node(&mut result, (&format!("m{kind}i.{}xlarge", kind % 7 + 2), price), at, gone);
        let cause = Cause::ALL[draw(6) as usize];
        let evicted = draw(30) as u64;
        let event = disruption(cause, (at, Some(at + 60 + draw(600))), i, None, evicted);
        result.disruptions.push(event);
        pods.push((at, 400 + draw(200)));
        result.pod_waits.add(draw(90_000));
    }
    settle(&mut result);
    for (i, (at, value)) in pods.into_iter().enumerate() {
        let at = SimTime::from_seconds(at);
        result.series.pods_running.set(at, value);
        let waiting = if i % 997 == 500 { 300 } else { value % 20 };
        result.series.pods_pending.set(at, waiting);
    }
    request(&mut result, 140, 180 << 20);
    result
}
