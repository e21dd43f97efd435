//! `summary.json`: a run's answer, figures and bill for programs. Field `schema` is `karpsim.report/1`; within a
//! major number fields are only added. Spans and instants are decimal seconds since the scenario's start (`_s`),
//! money decimal USD with all nine digits of the ledger (`_usd`): numbers are written from integers, not from floats,
//! so that sums of parts equal the whole to the last digit.

use anyhow::{Context, Result};
use serde::ser::{Error, Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::csv;
use crate::engine::digest::Digest;
use crate::outcome::{
    Allocation, By, Decimal, Disruption, End, FallenShort, Header, LeftPending, Metric, RunResult,
    Share, by_namespace,
};
use crate::units::{SimDuration, SimTime, Usd, UsdPerHour};

/// Name and major version of the form.
pub const SCHEMA: &str = "karpsim.report/1";

/// `summary.json` with a final newline. Fails only if a number cannot be written.
pub fn summary(result: &RunResult) -> Result<String> {
    let digest = result_digest(result)?;
    document(result, Some(&digest))
}

/// The fingerprint of what a run came to, sixteen hexadecimal digits: of `summary.json` without this very field and of
/// `nodes.csv`. Equal results have equal fingerprints on every machine.
pub fn result_digest(result: &RunResult) -> Result<String> {
    let mut digest = Digest::default();
    digest.write_bytes(document(result, None)?.as_bytes());
    digest.write_bytes(csv::nodes(result)?.as_bytes());
    Ok(digest.to_string())
}

fn document(result: &RunResult, digest: Option<&str>) -> Result<String> {
    let document = Document {
        schema: SCHEMA,
        kind: "run",
        complete: result.is_complete(),
        answer: &result.summary.answer,
        provenance: Provenance::new(result, digest),
        end_s: instant(result.end),
        metrics: result.summary.metrics.iter().map(MetricRow::new).collect(),
        cost: Cost::new(result),
        left_pending: result.left_pending.iter().map(LeftPendingRow::new).collect(),
        steps_fallen_short: result.fallen_short.iter().map(FallenShortRow::new).collect(),
        disruptions: result.disruptions.iter().map(DisruptionRow::new).collect(),
    };
    let text = serde_json::to_string_pretty(&document).context("summary.json")?;
    Ok(text + "\n")
}

/// A decimal number as it is.
struct Exact(Decimal);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

fn instant(at: SimTime) -> Exact {
    Exact(Decimal::seconds(at.ms().into()))
}

fn span(span: SimDuration) -> Exact {
    Exact(Decimal::seconds(span.ms().into()))
}

fn money(amount: Usd) -> Exact {
    Exact(Decimal::money(amount))
}

fn rate(price: UsdPerHour) -> Exact {
    Exact(Decimal::money(Usd::from_nano(price.nano())))
}

#[derive(serde::Serialize)]
struct Document<'a> {
    schema: &'static str,
    kind: &'static str,
    complete: bool,
    answer: &'a str,
    provenance: Provenance<'a>,
    end_s: Exact,
    metrics: Vec<MetricRow<'a>>,
    cost: Cost<'a>,
    left_pending: Vec<LeftPendingRow<'a>>,
    steps_fallen_short: Vec<FallenShortRow<'a>>,
    disruptions: Vec<DisruptionRow<'a>>,
}

/// What is needed to make the result again.
#[derive(serde::Serialize)]
struct Provenance<'a> {
    program: &'a str,
    semantics: &'a str,
    scenario: &'a str,
    about: &'a str,
    policy: &'a str,
    start: Option<String>,
    horizon_s: Exact,
    seed: u64,
    replications: u32,
    region: &'a str,
    price_basis: &'a str,
    input_digest: &'a str,
    catalogue_digest: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_digest: Option<&'a str>,
}

impl<'a> Provenance<'a> {
    fn new(result: &'a RunResult, result_digest: Option<&'a str>) -> Provenance<'a> {
        let header: &Header = &result.header;
        Provenance {
            program: &header.program,
            semantics: &header.semantics,
            scenario: &header.scenario,
            about: &header.about,
            policy: &header.policy,
            start: jiff::Timestamp::from_second(header.start_epoch_s).ok().map(|t| t.to_string()),
            horizon_s: span(header.horizon),
            seed: header.seed,
            replications: 1,
            region: &header.region,
            price_basis: &header.price_basis,
            input_digest: &header.input_digest,
            catalogue_digest: &header.catalogue_digest,
            result_digest,
        }
    }
}

/// A figure; `value` is null where there is nothing to measure.
#[derive(serde::Serialize)]
struct MetricRow<'a> {
    name: &'static str,
    labels: Labels<'a>,
    unit: &'static str,
    better: &'static str,
    value: Option<Exact>,
}

struct Labels<'a>(&'a Metric);

impl Serialize for Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.labels.iter().map(|(key, text)| (key, text.as_ref())))
    }
}

impl<'a> MetricRow<'a> {
    fn new(metric: &'a Metric) -> MetricRow<'a> {
        MetricRow {
            name: metric.name,
            labels: Labels(metric),
            unit: metric.unit.name(),
            better: metric.better.name(),
            value: metric.value.map(Exact),
        }
    }
}

/// The bill: the same total in every breakdown, in those by pods' namespace and workload together with `idle_usd`.
#[derive(serde::Serialize)]
struct Cost<'a> {
    total_usd: Exact,
    idle_usd: Exact,
    billed_s: Exact,
    by_pool: Vec<ShareRow>,
    by_type: Vec<ShareRow>,
    by_zone: Vec<ShareRow>,
    by_capacity: Vec<ShareRow>,
    by_tag: Tags<'a>,
    by_namespace: Vec<AllocationRow>,
    by_workload: Vec<AllocationRow>,
}

impl<'a> Cost<'a> {
    fn new(result: &'a RunResult) -> Cost<'a> {
        let by_namespace = by_namespace(&result.allocations);
        let namespace = |a: &Allocation| AllocationRow::new(a, &a.namespace);
        let workload = |a: &Allocation| AllocationRow::new(a, &a.workload);
        Cost {
            total_usd: money(result.ledger.total),
            idle_usd: money(result.idle_cost()),
            billed_s: span(result.ledger.billed),
            by_pool: shares(result, &By::Pool),
            by_type: shares(result, &By::InstanceType),
            by_zone: shares(result, &By::Zone),
            by_capacity: shares(result, &By::CapacityType),
            by_tag: Tags(result),
            by_namespace: by_namespace.iter().map(namespace).collect(),
            by_workload: result.allocations.iter().map(workload).collect(),
        }
    }
}

#[derive(serde::Serialize)]
struct ShareRow {
    key: String,
    nodes: u64,
    node_s: Exact,
    cost_usd: Exact,
    idle_usd: Exact,
}

fn shares(result: &RunResult, by: &By) -> Vec<ShareRow> {
    let row = |share: Share| ShareRow {
        key: share.key.to_string(),
        nodes: share.nodes,
        node_s: span(share.node_time),
        cost_usd: money(share.cost),
        idle_usd: money(share.idle),
    };
    result.ledger.breakdown(by, result.end).into_iter().map(row).collect()
}

/// A breakdown for each key that any instance is tagged with.
struct Tags<'a>(&'a RunResult);

impl Serialize for Tags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for key in self.0.ledger.tag_keys() {
            map.serialize_entry(key.as_ref(), &shares(self.0, &By::Tag(key.to_string())))?;
        }
        map.end()
    }
}

#[derive(serde::Serialize)]
struct AllocationRow {
    key: String,
    daemon: bool,
    pods: u64,
    cost_usd: Exact,
}

impl AllocationRow {
    fn new(allocation: &Allocation, key: &str) -> AllocationRow {
        AllocationRow {
            key: key.to_owned(),
            daemon: allocation.daemon,
            pods: allocation.pods,
            cost_usd: money(allocation.cost),
        }
    }
}

#[derive(serde::Serialize)]
struct LeftPendingRow<'a> {
    workload: &'a str,
    pods: u64,
    oldest_wait_s: Exact,
    error: Option<&'a str>,
}

impl<'a> LeftPendingRow<'a> {
    fn new(row: &'a LeftPending) -> LeftPendingRow<'a> {
        LeftPendingRow {
            workload: &row.workload,
            pods: row.pods,
            oldest_wait_s: span(row.oldest_wait),
            error: row.error.as_deref(),
        }
    }
}

#[derive(serde::Serialize)]
struct FallenShortRow<'a> {
    at_s: Exact,
    action: &'static str,
    object: &'a str,
    wanted: usize,
    found: usize,
}

impl<'a> FallenShortRow<'a> {
    fn new(step: &'a FallenShort) -> FallenShortRow<'a> {
        let FallenShort { action, object, wanted, found, .. } = step;
        let (wanted, found) = (*wanted, *found);
        FallenShortRow { at_s: instant(step.at), action, object, wanted, found }
    }
}

#[derive(serde::Serialize)]
struct DisruptionRow<'a> {
    command: Option<u64>,
    method: &'static str,
    cause: &'static str,
    decision: &'static str,
    at_s: Exact,
    gone_s: Option<Exact>,
    outcome: &'static str,
    error: Option<&'a str>,
    nodes: Vec<&'a str>,
    replacements: Vec<&'a str>,
    evicted: u64,
    savings_usd_per_hour: Exact,
}

impl<'a> DisruptionRow<'a> {
    fn new(disruption: &'a Disruption) -> DisruptionRow<'a> {
        let (outcome, error) = match &disruption.end {
            End::Open => ("open", None),
            End::Succeeded => ("succeeded", None),
            End::Failed(message) => ("failed", Some(message.as_ref())),
        };
        DisruptionRow {
            command: disruption.command,
            method: disruption.method,
            cause: disruption.cause.name(),
            decision: disruption.decision,
            at_s: instant(disruption.at),
            gone_s: disruption.gone_at.map(instant),
            outcome,
            error,
            nodes: disruption.nodes.iter().map(AsRef::as_ref).collect(),
            replacements: disruption.replacements.iter().map(AsRef::as_ref).collect(),
            evicted: disruption.evicted,
            savings_usd_per_hour: rate(disruption.savings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::sample;
    use serde_json::Value;

    /// A decimal number of the file in units of its ninth digit; its text is taken from the file, not from a float.
    fn nano(text: &str) -> i128 {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        format!("{whole}{fraction:0<9}").parse().expect("a number")
    }

    /// The texts of all numbers with this name below a section of the file.
    fn numbers(section: &str, name: &str) -> Vec<i128> {
        let marked = format!("\"{name}\": ");
        let lines = section.lines().filter_map(|line| line.trim().strip_prefix(&marked));
        lines.map(|text| nano(text.trim_end_matches(','))).collect()
    }

    fn section<'a>(text: &'a str, name: &str) -> &'a str {
        let from = text.find(&format!("\"{name}\": [")).expect("a section");
        let length = text[from..].find("\n    ]").expect("its end");
        &text[from..from + length]
    }

    #[test]
    fn every_breakdown_sums_to_the_ledger() -> Result<()> {
        let result = sample::recorded();
        let text = summary(&result)?;
        let total = i128::from(result.ledger.total.nano());
        assert_eq!(numbers(&text, "total_usd"), [total]);
        for name in ["by_pool", "by_type", "by_zone", "by_capacity"] {
            let rows = section(&text, name);
            assert_eq!(numbers(rows, "cost_usd").iter().sum::<i128>(), total, "{name}");
            let idle = i128::from(result.idle_cost().nano());
            assert_eq!(numbers(rows, "idle_usd").iter().sum::<i128>(), idle, "{name}");
        }
        for name in ["by_namespace", "by_workload"] {
            let parts: i128 = numbers(section(&text, name), "cost_usd").iter().sum();
            assert_eq!(parts + i128::from(result.idle_cost().nano()), total, "{name}");
        }
        Ok(())
    }

    #[test]
    fn the_file_holds_answer_figures_and_provenance() -> Result<()> {
        let result = sample::recorded();
        let text = summary(&result)?;
        let file: Value = serde_json::from_str(&text)?;
        assert_eq!(file["schema"], "karpsim.report/1");
        assert_eq!(file["complete"], true);
        assert_eq!(file["answer"], result.summary.answer);
        assert_eq!(file["provenance"]["start"], "2026-01-05T09:00:00Z");
        assert_eq!(file["provenance"]["result_digest"], result_digest(&result)?);
        let find = |name: &str| {
            let metrics = file["metrics"].as_array().into_iter().flatten();
            metrics.filter(|m| m["name"] == name).cloned().collect::<Vec<_>>()
        };
        assert_eq!(find("nodes_created")[0]["value"], 3);
        assert_eq!(find("evictions")[0]["value"], 2);
        assert_eq!(find("evictions")[1]["labels"]["cause"], "Empty");
        assert_eq!(find("pod_pending_max_s")[0]["value"], 7_140.0);
        assert_eq!(find("pod_pending_max_s")[0]["unit"], "s");
        assert_eq!(file["cost"]["by_tag"]["team"][0]["key"], "(none)");
        assert_eq!(file["cost"]["by_tag"]["team"][1]["key"], "search");
        assert_eq!(file["left_pending"][0]["workload"], "Deployment/other/huge");
        assert_eq!(file["left_pending"][0]["pods"], 3);
        assert_eq!(file["disruptions"][0]["method"], "Emptiness");
        assert_eq!(file["disruptions"][1]["cause"], "expired");
        assert_eq!(file["disruptions"][1]["evicted"], 2);
        Ok(())
    }

    #[test]
    fn an_interrupted_and_an_empty_run_are_said_to_be() -> Result<()> {
        let mut result = sample::recorded();
        result.header.horizon = SimDuration::from_minutes(121);
        let file: Value = serde_json::from_str(&summary(&result)?)?;
        assert_eq!(file["complete"], false);
        let file: Value = serde_json::from_str(&summary(&RunResult::default())?)?;
        assert_eq!(file["cost"]["by_type"], Value::Array(Vec::new()));
        Ok(())
    }

    #[test]
    fn the_fingerprint_follows_the_result() -> Result<()> {
        let result = sample::recorded();
        let mut other = result.clone();
        assert_eq!(result_digest(&result)?, result_digest(&other)?);
        other.ledger.entries[0].pods += 1;
        assert_ne!(result_digest(&result)?, result_digest(&other)?);
        Ok(())
    }
}
