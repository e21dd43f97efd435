//! `nodes.csv` and `series.csv`. Columns keep their order, new ones come last but for the tags; units are in the
//! names. Instants are decimal seconds since the scenario's start, money is decimal USD from integers. Cells without
//! a value are empty.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::outcome::{Decimal, Disruption, End, Entry, RunResult, Steps};
use crate::units::{SimTime, Usd};

/// Columns of `nodes.csv`; a column `tag:KEY` follows for each tag key.
const NODE_COLUMNS: [&str; 20] = [
    "nodeclaim",
    "nodepool",
    "instance_type",
    "zone",
    "capacity_type",
    "provider_id",
    "price_usd_per_hour",
    "created_s",
    "launched_s",
    "running_s",
    "ready_s",
    "terminating_s",
    "removed_s",
    "billed_s",
    "cost_usd",
    "idle_usd",
    "pods",
    "removal_method",
    "removal_cause",
    "removal_decision",
];

/// One row for each instance that was launched, in order of launch. `terminating_s` is the TerminateInstances call,
/// where billing ends; `idle_usd` is the part of the cost that no pod took. Nodes that live have no removal.
pub fn nodes(result: &RunResult) -> Result<String> {
    let removals = removals(&result.disruptions);
    let tag_keys = result.ledger.tag_keys();
    let mut table = Table::new();
    let tags = tag_keys.iter().map(|key| format!("tag:{key}"));
    table.row(NODE_COLUMNS.into_iter().map(str::to_owned).chain(tags))?;
    for entry in &result.ledger.entries {
        let removal = removals.get(&entry.claim).copied();
        let tags = tag_keys.iter().map(|key| entry.tag(key).map_or("", |t| t).to_owned());
        table.row(node_cells(entry, removal).into_iter().chain(tags))?;
    }
    table.finish()
}

fn node_cells(entry: &Entry, removal: Option<&Disruption>) -> [String; 20] {
    let instant = |at: Option<SimTime>| at.map_or(String::new(), seconds);
    let removal = removal.filter(|_| entry.terminating_at.is_some());
    let said = |what: fn(&Disruption) -> &'static str| removal.map_or("", what).to_owned();
    [
        entry.claim.to_string(),
        entry.pool.to_string(),
        entry.instance_type.to_string(),
        entry.zone.to_string(),
        entry.capacity_type.to_owned(),
        entry.provider_id.to_string(),
        entry.price.to_decimal(9),
        seconds(entry.created_at),
        seconds(entry.launched_at),
        instant(entry.running_at),
        instant(entry.ready_at),
        instant(entry.terminating_at),
        instant(entry.removed_at),
        Decimal::seconds(entry.billed.ms().into()).to_string(),
        money(entry.cost),
        money(entry.idle),
        entry.pods.to_string(),
        said(|disruption| disruption.method),
        said(|disruption| disruption.cause.name()),
        said(|disruption| disruption.decision),
    ]
}

/// The last disruption of each node that did not fail.
fn removals(disruptions: &[Disruption]) -> BTreeMap<&Arc<str>, &Disruption> {
    let carried_out = disruptions.iter().filter(|d| !matches!(d.end, End::Failed(_)));
    carried_out.flat_map(|d| d.nodes.iter().map(move |node| (node, d))).collect()
}

/// Every step of every series in long form: `t_s,metric,labels,value`, by metric, then labels, then time. A value
/// holds until the next row of the same metric and labels; only `cost_total_usd` is joined by straight lines. A
/// series of more than 65,536 steps is thinned to the lowest, the highest and the last of each time bucket.
pub fn series(result: &RunResult) -> Result<String> {
    let series = &result.series;
    let mut table = Table::new();
    table.row(["t_s", "metric", "labels", "value"])?;
    let whole = |value: i64| value.to_string();
    let usd = |nano: i64| money(Usd::from_nano(nano));
    let cores = |milli: i64| Decimal::ratio(milli.into(), 1_000, 3).map_or(whole(milli), text);
    table.steps("nodes", "", &series.nodes, whole)?;
    table.steps_by_type("nodes", &series.nodes_by_type, whole)?;
    table.steps("cost_usd_per_hour", "", &series.cost_rate, usd)?;
    table.steps_by_type("cost_usd_per_hour", &series.cost_rate_by_type, usd)?;
    for (at, amount) in &series.cumulative_cost {
        table.row([&seconds(*at), "cost_total_usd", "", &money(*amount)])?;
    }
    table.steps("pods_running", "", &series.pods_running, whole)?;
    table.steps("pods_pending", "", &series.pods_pending, whole)?;
    table.steps("cpu_requested_cores", "", &series.requested_cpu_milli, cores)?;
    table.steps("cpu_allocatable_cores", "", &series.allocatable_cpu_milli, cores)?;
    table.steps("memory_requested_bytes", "", &series.requested_memory_bytes, whole)?;
    table.steps("memory_allocatable_bytes", "", &series.allocatable_memory_bytes, whole)?;
    table.finish()
}

fn text(value: Decimal) -> String {
    value.to_string()
}

fn seconds(at: SimTime) -> String {
    Decimal::seconds(at.ms().into()).to_string()
}

fn money(amount: Usd) -> String {
    Decimal::money(amount).to_string()
}

/// Rows on their way to text.
struct Table(::csv::Writer<Vec<u8>>);

impl Table {
    fn new() -> Table {
        Table(::csv::Writer::from_writer(Vec::new()))
    }

    fn row<T: AsRef<[u8]>>(&mut self, cells: impl IntoIterator<Item = T>) -> Result<()> {
        self.0.write_record(cells).context("a row of a CSV file")
    }

    fn steps(
        &mut self,
        metric: &str,
        labels: &str,
        steps: &Steps,
        show: impl Fn(i64) -> String,
    ) -> Result<()> {
        for (at, value) in steps.points() {
            self.row([&seconds(*at), metric, labels, &show(*value)])?;
        }
        Ok(())
    }

    fn steps_by_type(
        &mut self,
        metric: &str,
        by_type: &BTreeMap<Arc<str>, Steps>,
        show: impl Fn(i64) -> String,
    ) -> Result<()> {
        for (name, steps) in by_type {
            self.steps(metric, &format!("instance_type={name}"), steps, &show)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<String> {
        let bytes = self.0.into_inner().context("the end of a CSV file")?;
        String::from_utf8(bytes).context("a CSV file's text")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::sample;

    #[test]
    fn nodes_have_one_row_each() -> Result<()> {
        let expected = "\
nodeclaim,nodepool,instance_type,zone,capacity_type,provider_id,price_usd_per_hour,created_s,launched_s,running_s,\
ready_s,terminating_s,removed_s,billed_s,cost_usd,idle_usd,pods,removal_method,removal_cause,removal_decision,tag:team
default-1,default,m5.large,us-west-2a,on-demand,aws:///us-west-2a/i-m5large,0.096000000,61.000,63.250,70.000,94.000,\
3632.000,3672.000,3562.000,0.094986667,0.000000001,2,Expiration,expired,delete,
default-2,default,c5.large,us-west-2b,spot,aws:///us-west-2b/i-c5large,0.036000000,601.000,603.250,610.000,634.000,\
1720.000,1760.000,1110.000,0.011100000,0.008700001,1,Emptiness,Empty,delete,search
default-3,default,m5.large,us-west-2a,on-demand,aws:///us-west-2a/i-m5large,0.096000000,3602.000,3604.250,3611.000,\
3635.000,,,3589.000,0.095706667,0.000773334,2,,,,
";
        assert_eq!(nodes(&sample::recorded())?, expected);
        Ok(())
    }

    #[test]
    fn series_are_long_and_say_their_units() -> Result<()> {
        let text = series(&sample::recorded())?;
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("t_s,metric,labels,value"));
        for line in [
            "63.250,nodes,,1",
            "603.250,nodes,,2",
            "603.250,nodes,instance_type=c5.large,1",
            "70.000,cost_usd_per_hour,,0.096000000",
            "7200.000,cost_total_usd,,0.201793334",
            "60.000,pods_pending,,5",
            "95.000,pods_pending,,3",
            "80.000,cpu_allocatable_cores,,2.000",
            "640.000,cpu_requested_cores,,2.250",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        assert!(text.lines().all(|line| line.split(',').count() == 4));
        Ok(())
    }

    #[test]
    fn names_with_commas_are_quoted() -> Result<()> {
        let mut result = sample::recorded();
        result.ledger.entries[0].claim = "a,\"b\"".into();
        assert!(nodes(&result)?.contains("\n\"a,\"\"b\"\"\",default,"));
        assert_eq!(nodes(&RunResult::default())?.lines().count(), 1);
        assert_eq!(series(&RunResult::default())?.lines().count(), 1);
        Ok(())
    }
}
