//! The figures of a run: scalars with unit and direction, and the sentence that answers the question.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use super::ledger::Entry;
use super::result::{Disruption, End, LeftPending, RunResult};
use super::series::Steps;
use crate::units::{SimDuration, SimTime, Usd, UsdPerHour};
use crate::world::journal::Cause;

/// Hours of a month in every monthly figure.
const HOURS_PER_MONTH: i128 = 730;
const MS_PER_HOUR: i128 = 3_600_000;
const NANO: i128 = 1_000_000_000;
/// Nodes that live shorter are called short-lived.
const SHORT_LIFE: SimDuration = SimDuration::from_minutes(10);
/// Characters of an error in the answer; files hold it whole.
const ERROR_LENGTH: usize = 160;

/// A decimal number: an integer and the digits after the point. Made from integers only, so that its text is the same
/// everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    units: i128,
    places: u32,
}

/// What a metric is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain count.
    Count,
    /// A count a day.
    PerDay,
    /// A count for each day that a pod runs.
    PerPodDay,
    /// US dollars.
    Usd,
    /// US dollars an hour.
    UsdPerHour,
    /// US dollars a month of 730 hours.
    UsdPerMonth,
    /// Hours.
    Hours,
    /// Seconds.
    Seconds,
    /// Per cent.
    Percent,
}

impl Unit {
    /// The unit in files.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Count => "count",
            Unit::PerDay => "per day",
            Unit::PerPodDay => "per pod and day",
            Unit::Usd => "USD",
            Unit::UsdPerHour => "USD per hour",
            Unit::UsdPerMonth => "USD per month of 730 h",
            Unit::Hours => "h",
            Unit::Seconds => "s",
            Unit::Percent => "%",
        }
    }
}

impl Better {
    /// The direction in files.
    pub const fn name(self) -> &'static str {
        match self {
            Better::Lower => "lower",
            Better::Higher => "higher",
            Better::Neutral => "neutral",
        }
    }
}

/// Which way a metric gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// Neither.
    Neutral,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name in files and thresholds: `cost_month_usd`.
    pub name: &'static str,
    /// What tells it apart from others of the same name: `cause=Underutilized`.
    pub labels: Vec<(&'static str, Arc<str>)>,
    /// Its unit.
    pub unit: Unit,
    /// Its direction.
    pub better: Better,
    /// Its value; none where there is nothing to measure.
    pub value: Option<Decimal>,
}

/// What stands first in a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The answer in one or two sentences; pods left pending come first.
    pub answer: String,
    /// All figures, in the order in which they are shown.
    pub metrics: Vec<Metric>,
}

impl Summary {
    /// The first metric of a name without labels.
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        let mut found = self.metrics.iter();
        found.find(|m| m.name == name && m.labels.is_empty())
    }
}

impl Decimal {
    /// `numerator / denominator` with `places` digits after the point, rounded once, half away from zero. None for a
    /// denominator of zero.
    pub fn ratio(numerator: i128, denominator: i128, places: u32) -> Option<Decimal> {
        if denominator == 0 {
            return None;
        }
        let scaled = numerator * 10_i128.pow(places);
        let magnitude = (2 * scaled.unsigned_abs() + denominator.unsigned_abs())
            / (2 * denominator.unsigned_abs());
        let negative = (scaled < 0) != (denominator < 0);
        let units = magnitude as i128 * if negative { -1 } else { 1 };
        Some(Decimal { units, places })
    }

    /// `numerator` of `denominator` in per cent with two decimals.
    pub fn percent(numerator: i128, denominator: i128) -> Option<Decimal> {
        Decimal::ratio(numerator * 100, denominator, 2)
    }

    /// Milliseconds as seconds with three decimals.
    pub fn seconds(ms: i128) -> Decimal {
        Decimal { units: ms, places: 3 }
    }

    /// An amount of money with all nine decimals of the ledger.
    pub fn money(amount: Usd) -> Decimal {
        Decimal { units: i128::from(amount.nano()), places: 9 }
    }

    /// The number with fewer digits after the point, half away from zero.
    pub fn rounded(self, places: u32) -> Decimal {
        if places >= self.places {
            return self;
        }
        let rounded = Decimal::ratio(self.units, 10_i128.pow(self.places), places);
        rounded.unwrap_or(self)
    }

    /// The digits without the point: the number times ten to the power of its places.
    pub const fn units(self) -> i128 {
        self.units
    }

    /// A whole number.
    pub const fn whole(value: i128) -> Decimal {
        Decimal { units: value, places: 0 }
    }

    /// The number for drawing and statistics.
    pub fn to_f64(self) -> f64 {
        self.units as f64 / 10_i128.pow(self.places) as f64
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.units < 0 { "-" } else { "" };
        let magnitude = self.units.unsigned_abs();
        if self.places == 0 {
            return write!(f, "{sign}{magnitude}");
        }
        let scale = 10_u128.pow(self.places);
        let width = self.places as usize;
        write!(f, "{sign}{}.{:0width$}", magnitude / scale, magnitude % scale)
    }
}

/// Whole numbers with how often each occurred: exact quantiles in space that depends on distinct values only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    counts: BTreeMap<i64, u64>,
    count: u64,
    sum: i128,
}

impl Distribution {
    /// Adds a value.
    pub fn add(&mut self, value: i64) {
        *self.counts.entry(value).or_default() += 1;
        self.count += 1;
        self.sum += i128::from(value);
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sum of the values.
    pub fn sum(&self) -> i128 {
        self.sum
    }

    /// The highest value.
    pub fn max(&self) -> Option<i64> {
        self.counts.last_key_value().map(|(value, _)| *value)
    }

    /// The nearest-rank quantile: the lowest value that at least `percent` of the values do not exceed. Always one of
    /// the values, never an interpolation.
    pub fn percentile(&self, percent: u64) -> Option<i64> {
        let rank = (u128::from(self.count) * u128::from(percent)).div_ceil(100);
        let mut seen = 0_u128;
        for (value, count) in &self.counts {
            seen += u128::from(*count);
            if seen >= rank.max(1) {
                return Some(*value);
            }
        }
        None
    }

    /// Number of values below a bound.
    pub fn count_below(&self, bound: i64) -> u64 {
        self.counts.range(..bound).map(|(_, count)| *count).sum()
    }

    /// Distinct values, ascending, each with how often it occurred.
    pub fn iter(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        self.counts.iter().map(|(value, count)| (*value, *count))
    }
}

/// All figures and the answer of a run whose other parts are complete.
pub(super) fn summarize(result: &RunResult) -> Summary {
    let mut figures = Figures { result, metrics: Vec::new() };
    figures.pods_left();
    figures.cost();
    figures.nodes();
    figures.disruptions();
    figures.pods();
    figures.utilization();
    Summary { answer: answer(result), metrics: figures.metrics }
}

struct Figures<'a> {
    result: &'a RunResult,
    metrics: Vec<Metric>,
}

impl Figures<'_> {
    fn push(&mut self, name: &'static str, unit: Unit, better: Better, value: Option<Decimal>) {
        self.metrics.push(Metric { name, labels: Vec::new(), unit, better, value });
    }

    fn count(&mut self, name: &'static str, better: Better, value: u64) {
        let value = Decimal::whole(i128::from(value));
        self.push(name, Unit::Count, better, Some(value));
    }

    fn labelled(
        &mut self,
        name: &'static str,
        better: Better,
        labels: &[(&'static str, &str)],
        value: u64,
    ) {
        self.count(name, better, value);
        if let Some(metric) = self.metrics.last_mut() {
            let owned = labels.iter().map(|(key, text)| (*key, Arc::from(*text)));
            metric.labels = owned.collect();
        }
    }

    fn end_ms(&self) -> i128 {
        i128::from(self.result.end.ms())
    }

    fn pods_left(&mut self) {
        let left = self.result.left_pending.iter().map(|row| row.pods).sum();
        self.count("pods_pending_at_end", Better::Lower, left);
    }

    fn cost(&mut self) {
        let (ledger, end) = (&self.result.ledger, self.end_ms());
        let nano = i128::from(ledger.total.nano());
        let monthly = Decimal::ratio(nano * HOURS_PER_MONTH * MS_PER_HOUR, end * NANO, 6);
        let hourly = Decimal::ratio(nano * MS_PER_HOUR, end * NANO, 9);
        let total = Some(Decimal::money(ledger.total));
        let overlap = Some(Decimal::money(overlap_cost(self.result)));
        let idle = self.result.idle_cost();
        let daemons = self.result.allocations.iter().filter(|a| a.daemon);
        let daemons = Decimal::money(daemons.map(|a| a.cost).sum());
        self.push("cost_month_usd", Unit::UsdPerMonth, Better::Lower, monthly);
        self.push("cost_total_usd", Unit::Usd, Better::Lower, total);
        self.push("cost_per_hour_usd", Unit::UsdPerHour, Better::Lower, hourly);
        self.push("cost_overlap_usd", Unit::Usd, Better::Lower, overlap);
        let idle_share = Decimal::percent(idle.nano().into(), nano);
        self.push("cost_idle_usd", Unit::Usd, Better::Lower, Some(Decimal::money(idle)));
        self.push("cost_idle_percent", Unit::Percent, Better::Lower, idle_share);
        self.push("cost_daemons_usd", Unit::Usd, Better::Lower, Some(daemons));
    }

    fn nodes(&mut self) {
        let result = self.result;
        let (entries, nodes) = (&result.ledger.entries, &result.series.nodes);
        let created = entries.len() as u64;
        let node_hours = Decimal::ratio(nodes.integral(result.end), MS_PER_HOUR, 6);
        let billed = Decimal::ratio(i128::from(result.ledger.billed.ms()), MS_PER_HOUR, 6);
        let per_day = Decimal::ratio(i128::from(created) * 24 * MS_PER_HOUR, self.end_ms(), 6);
        let most = u64::try_from(nodes.max()).unwrap_or(0);
        let left = u64::try_from(nodes.last()).unwrap_or(0);
        let unused = entries.iter().filter(|e| e.pods == 0).count() as u64;
        self.push("node_hours", Unit::Hours, Better::Lower, node_hours);
        self.push("billed_hours", Unit::Hours, Better::Lower, billed);
        self.count("nodes_created", Better::Lower, created);
        self.push("nodes_created_per_day", Unit::PerDay, Better::Lower, per_day);
        self.count("nodes_max", Better::Neutral, most);
        self.count("nodes_at_end", Better::Neutral, left);
        self.count("nodes_without_pods", Better::Lower, unused);
        self.count("nodeclaims_created", Better::Lower, result.counts.claims_created);
        self.count("launch_failures", Better::Lower, result.counts.launch_failures);
        let lives = &result.node_lifetimes;
        for (name, percent) in
            [("node_lifetime_p10_s", 10), ("node_lifetime_p50_s", 50), ("node_lifetime_p90_s", 90)]
        {
            let life = lives.percentile(percent).map(|ms| Decimal::seconds(ms.into()));
            self.push(name, Unit::Seconds, Better::Higher, life);
        }
        let short = lives.count_below(SHORT_LIFE.ms());
        let share = Decimal::percent(short.into(), created.into());
        self.push("nodes_short_lived_percent", Unit::Percent, Better::Lower, share);
    }

    fn disruptions(&mut self) {
        let counts = &self.result.counts;
        let evictions = counts.evictions();
        let pod_ms = self.result.series.pods_running.integral(self.result.end);
        let per_pod_day = Decimal::ratio(i128::from(evictions) * 24 * MS_PER_HOUR, pod_ms, 6);
        self.count("evictions", Better::Lower, evictions);
        self.push("evictions_per_pod_day", Unit::PerPodDay, Better::Lower, per_pod_day);
        for cause in Cause::ALL {
            if cause != Cause::ScaleDown {
                let evicted = counts.terminations.get(&cause).copied().unwrap_or(0);
                self.labelled("evictions", Better::Lower, &[("cause", cause.name())], evicted);
            }
        }
        self.count("pods_lost", Better::Lower, counts.pods_lost);
        self.count("jobs_failed", Better::Lower, counts.jobs_failed);
        // Milli-CPU milliseconds of an hour of one vCPU.
        let vcpu_hours = Decimal::ratio(counts.work_lost_cpu_milli_ms, 1_000 * MS_PER_HOUR, 6);
        let pod_seconds = Some(Decimal::seconds(counts.work_lost_ms));
        self.push("work_lost_pod_s", Unit::Seconds, Better::Lower, pod_seconds);
        self.push("work_lost_vcpu_h", Unit::Hours, Better::Lower, vcpu_hours);
        self.count("commands", Better::Neutral, counts.started.values().sum());
        for ((method, decision), count) in &counts.started {
            let labels = [("method", *method), ("decision", *decision)];
            self.labelled("commands", Better::Neutral, &labels, *count);
        }
        let failures = &counts.validation_failures;
        self.count("validation_failures", Better::Neutral, failures.values().sum());
        for ((method, failure), count) in failures {
            let labels = [("method", *method), ("failure", *failure)];
            self.labelled("validation_failures", Better::Neutral, &labels, *count);
        }
    }

    fn pods(&mut self) {
        let result = self.result;
        let waits = &result.pod_waits;
        self.count("pods_created", Better::Neutral, result.counts.pods_created);
        for (name, percent) in [
            ("pod_pending_p50_s", 50),
            ("pod_pending_p90_s", 90),
            ("pod_pending_p95_s", 95),
            ("pod_pending_p99_s", 99),
            ("pod_pending_max_s", 100),
        ] {
            let wait = waits.percentile(percent).map(|ms| Decimal::seconds(ms.into()));
            self.push(name, Unit::Seconds, Better::Lower, wait);
        }
        let total = Some(Decimal::seconds(waits.sum()));
        self.push("pod_pending_total_s", Unit::Seconds, Better::Lower, total);
        let most = u64::try_from(result.series.pods_pending.max()).unwrap_or(0);
        self.count("pods_pending_max", Better::Lower, most);
    }

    fn utilization(&mut self) {
        let (series, end) = (&self.result.series, self.result.end);
        let share = |requested: &Steps, allocatable: &Steps| {
            Decimal::percent(requested.integral(end), allocatable.integral(end))
        };
        let cpu = share(&series.requested_cpu_milli, &series.allocatable_cpu_milli);
        let memory = share(&series.requested_memory_bytes, &series.allocatable_memory_bytes);
        self.push("utilization_cpu_percent", Unit::Percent, Better::Higher, cpu);
        self.push("utilization_memory_percent", Unit::Percent, Better::Higher, memory);
    }
}

/// What nodes cost while their replacement was already billed: from the moment at which the first replacement ran.
fn overlap_cost(result: &RunResult) -> Usd {
    let entries = result.ledger.entries.iter();
    let by_name: BTreeMap<&Arc<str>, &Entry> = entries.map(|e| (&e.claim, e)).collect();
    let overlap = |disruption: &Disruption| {
        let running = |name| by_name.get(name).and_then(|e| e.running_at);
        let Some(from) = disruption.replacements.iter().filter_map(running).min() else {
            return Usd::ZERO;
        };
        let nodes = disruption.nodes.iter().filter_map(|name| by_name.get(name));
        let costs = nodes.map(|node| {
            let to = node.terminating_at.unwrap_or(result.end);
            let both_from = from.max(node.running_at.unwrap_or(to));
            UsdPerHour::cost_of(node.prices_between(both_from, to))
        });
        costs.sum()
    };
    let replaced = result
        .disruptions
        .iter()
        // After a failure the nodes stay by decision, not by overlap.
        .filter(|d| !matches!(d.end, End::Failed(_)));
    replaced.map(overlap).sum()
}

fn answer(result: &RunResult) -> String {
    let mut text = String::new();
    if let Some(sentence) = left_pending_sentence(&result.left_pending) {
        text.push_str(&sentence);
        text.push(' ');
    }
    let nodes = result.ledger.entries.len();
    let elapsed = duration_text(result.end.since(SimTime::ZERO));
    let _ =
        write!(text, "{} for {elapsed} on {}", result.ledger.total, counted(nodes as u64, "node"));
    let most = result.series.nodes.max();
    if nodes as i64 > most {
        let _ = write!(text, " (at most {most} at once)");
    }
    let nano = i128::from(result.ledger.total.nano());
    let month =
        Decimal::ratio(nano * HOURS_PER_MONTH * MS_PER_HOUR, i128::from(result.end.ms()), 0);
    if let Some(nano) = month.and_then(|m| i64::try_from(m.units).ok()) {
        let _ = write!(text, ": {} a month", Usd::from_nano(nano));
    }
    let evicted = counted(result.counts.evictions(), "pod");
    let _ = write!(text, "; {evicted} evicted");
    if result.counts.pods_lost > 0 {
        let _ = write!(text, ", {} lost for good", result.counts.pods_lost);
    }
    match result.pod_waits.percentile(95) {
        Some(ms) => {
            let wait = duration_text(SimDuration::from_ms(ms));
            let _ = write!(text, ", pods waited {wait} at p95.");
        }
        None => text.push_str(", no pods were created."),
    }
    text
}

/// `3 pods of Deployment/other/huge are still pending after 79h (no instance type ...).`
fn left_pending_sentence(left: &[LeftPending]) -> Option<String> {
    let named = left.iter().take(2).map(|row| {
        let mut text = counted(row.pods, "pod");
        let wait = duration_text(row.oldest_wait);
        let verb = if row.pods == 1 { "is" } else { "are" };
        let _ = write!(text, " of {} {verb} still pending after {wait}", row.workload);
        if let Some(error) = &row.error {
            let _ = write!(text, " ({})", shortened(error));
        }
        text
    });
    let mut parts: Vec<String> = named.collect();
    if let Some(rest) = left.get(2..).filter(|rest| !rest.is_empty()) {
        let pods = counted(rest.iter().map(|row| row.pods).sum::<u64>(), "pod");
        let workloads = counted(rest.len() as u64, "further workload");
        parts.push(format!("so are {pods} of {workloads}"));
    }
    (!parts.is_empty()).then(|| parts.join(", ") + ".")
}

/// `1 pod`, `3 pods`.
pub fn counted<N: fmt::Display + Eq + From<u8>>(count: N, noun: &str) -> String {
    let noun = plural(noun, count == N::from(1));
    format!("{count} {noun}")
}

/// `pod` of one, `pods` of more or none.
pub fn plural(noun: &str, is_one: bool) -> String {
    if is_one { noun.to_owned() } else { format!("{noun}s") }
}

/// An error that fits into a sentence.
fn shortened(error: &str) -> String {
    match error.char_indices().nth(ERROR_LENGTH) {
        Some((cut, _)) => format!("{}...", error[..cut].trim_end()),
        None => error.trim_end_matches('.').to_owned(),
    }
}

/// A span as people read it, rounded to what they care for: `44.7 s`, `12m 05s`, `1h 03m`, `80h`.
pub fn duration_text(span: SimDuration) -> String {
    let ms = span.ms().max(0);
    let tenths = (ms + 50) / 100;
    let (seconds, minutes) = ((ms + 500) / 1_000, (ms + 30_000) / 60_000);
    if tenths < 600 {
        return match tenths % 10 {
            0 => format!("{} s", tenths / 10),
            tenth => format!("{}.{tenth} s", tenths / 10),
        };
    }
    if seconds < 3_600 {
        return match seconds % 60 {
            0 => format!("{}m", seconds / 60),
            rest => format!("{}m {rest:02}s", seconds / 60),
        };
    }
    match minutes % 60 {
        0 => format!("{}h", minutes / 60),
        rest => format!("{}h {rest:02}m", minutes / 60),
    }
}
