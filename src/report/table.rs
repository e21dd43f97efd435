//! The terminal answer of `run`: plain text without colour, so that a pipe, a file and a terminal get the same.
//!
//! Order: the answer sentence, pods left pending, key figures, the breakdowns asked for, warnings, provenance. Tables
//! drop their least important columns rather than wrap, and say which.

use std::fmt::Write as _;

use anyhow::Result;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::json::result_digest;
use crate::outcome::{
    Allocation, Breakdown, By, Decimal, End, FallenShort, Metric, RunResult, Unit, by_namespace,
    summary::duration_text,
};
use crate::units::{SimDuration, Usd};

/// Steps that found less than they were meant for.
const SHOWN_STEPS: usize = 3;
/// Rows of a breakdown before the rest is folded into one.
const BREAKDOWN_ROWS: usize = 10;
/// Rows of workloads left pending.
const PENDING_ROWS: usize = 5;
/// Characters of a name in a table.
const NAME_LENGTH: usize = 48;
/// Cells of a bar.
const BAR_LENGTH: i64 = 12;
/// Narrowest terminal that is taken seriously.
const NARROWEST: usize = 40;

/// How the answer is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableOptions {
    /// Columns of the terminal; 100 where there is none.
    pub width: usize,
    /// No characters beyond ASCII of our own; names stay as they are.
    pub ascii: bool,
    /// Breakdowns of the bill.
    pub by: Vec<Breakdown>,
    /// Warnings of the caller, shown with those of the result.
    pub warnings: Vec<String>,
}

impl Default for TableOptions {
    fn default() -> TableOptions {
        TableOptions { width: 100, ascii: false, by: Vec::new(), warnings: Vec::new() }
    }
}

/// The whole answer with a final newline. Fails only if the result's fingerprint cannot be made.
pub fn answer(result: &RunResult, options: &TableOptions) -> Result<String> {
    let width = options.width.max(NARROWEST);
    let mut parts = vec![wrap(&result.summary.answer, width, "")];
    parts.extend(left_pending(result, options, width));
    parts.push(key_figures(result, options, width));
    for by in &options.by {
        parts.push(breakdown(result, by, options, width));
    }
    let warnings = warnings(result);
    let warnings = warnings.iter().chain(&options.warnings);
    let warnings: Vec<String> =
        warnings.map(|text| wrap(&format!("warning: {text}"), width, "  ")).collect();
    if !warnings.is_empty() {
        parts.push(warnings.join("\n"));
    }
    parts.push(wrap(&provenance(result)?, width, "  "));
    Ok(parts.join("\n\n") + "\n")
}

/// One line that says what made the result.
pub fn provenance(result: &RunResult) -> Result<String> {
    let header = &result.header;
    let digest = result_digest(result)?;
    let parts = [
        ("", header.program.as_str()),
        ("", &header.semantics),
        ("seed ", &header.seed.to_string()),
        ("input ", &header.input_digest),
        ("catalogue ", &header.catalogue_digest),
        ("result ", &digest),
    ];
    let said = parts.iter().filter(|(_, text)| !text.is_empty());
    let said: Vec<String> = said.map(|(what, text)| format!("{what}{text}")).collect();
    Ok(said.join(" | "))
}

/// Where pods wait for ever: by workload, with Karpenter's reason.
fn left_pending(result: &RunResult, options: &TableOptions, width: usize) -> Option<String> {
    let rows = &result.left_pending;
    if rows.is_empty() {
        return None;
    }
    let mut grid = Grid::new(vec![
        Column::text("left pending", 0),
        Column::number("pods", 0),
        Column::number("oldest waits", 1),
        Column::text("why", 2),
    ]);
    for row in rows.iter().take(PENDING_ROWS) {
        grid.row([
            row.workload.to_string(),
            grouped(&row.pods.to_string()),
            duration_text(row.oldest_wait),
            row.error.as_deref().unwrap_or("not yet tried").to_owned(),
        ]);
    }
    if let Some(rest) = rows.get(PENDING_ROWS..).filter(|rest| !rest.is_empty()) {
        let pods: u64 = rest.iter().map(|row| row.pods).sum();
        let name = format!("{} more workloads", rest.len());
        grid.row([name, grouped(&pods.to_string()), String::new(), String::new()]);
    }
    Some(grid.render(width, options.ascii))
}

/// The figures that a policy is judged by. Files hold all of them.
fn key_figures(result: &RunResult, options: &TableOptions, width: usize) -> String {
    let metrics = &result.summary;
    let money_places = money_places(result.ledger.total);
    let value = |name: &str| metrics.metric(name).map_or_else(none, |m| shown(m, money_places));
    let mut grid = Grid::new(vec![
        Column::text("", 0),
        Column::number("value", 0),
        Column::text("unit", 1),
        Column::text("", 2),
    ]);
    let mut row = |name: &str, metric: &str, unit: &str, note: String| {
        grid.row([name.to_owned(), value(metric), unit.to_owned(), note]);
    };
    let overlap = format!("{} while replaced nodes ran on", value("cost_overlap_usd"));
    let idle = format!("{} % of the bill", value("cost_idle_percent"));
    let at_once = format!("at most {} at once", value("nodes_max"));
    let short = format!("{} % lived less than 10 min", value("nodes_short_lived_percent"));
    let p50 = format!("p50 {}, longest {}", value("pod_pending_p50_s"), value("pod_pending_max_s"));
    row("cost a month", "cost_month_usd", "$ per 730 h", result.header.price_basis.clone());
    row("cost of the run", "cost_total_usd", "$", overlap);
    row("idle", "cost_idle_usd", "$", idle);
    row("node-hours", "node_hours", "h", at_once);
    row("nodes created", "nodes_created", "", short);
    row("nodes created a day", "nodes_created_per_day", "per day", String::new());
    row("pods evicted", "evictions", "", evictions(metrics.metrics.as_slice()));
    if result.counts.work_lost_ms > 0 || result.counts.pods_lost > 0 {
        let lost = format!("{} pods lost for good", value("pods_lost"));
        row("work lost", "work_lost_vcpu_h", "vCPU-h", lost);
    }
    if result.counts.jobs_failed > 0 {
        let why = "evicted more often than backoffLimit".to_owned();
        row("Jobs failed", "jobs_failed", "", why);
    }
    row("commands", "commands", "", commands(metrics.metrics.as_slice()));
    row("pods wait, p95", "pod_pending_p95_s", "s", p50);
    row("cpu requested", "utilization_cpu_percent", "%", "of what nodes offer".to_owned());
    row("memory requested", "utilization_memory_percent", "%", "of what nodes offer".to_owned());
    grid.render(width, options.ascii)
}

/// Evictions by cause, most first: `5 expired, 2 Underutilized`.
fn evictions(metrics: &[Metric]) -> String {
    labelled(metrics, "evictions", |metric| label(metric, "cause"))
}

/// Commands by decision and method: `3 delete Emptiness`.
fn commands(metrics: &[Metric]) -> String {
    let name =
        |metric: &Metric| format!("{} {}", label(metric, "decision"), label(metric, "method"));
    labelled(metrics, "commands", name)
}

fn label(metric: &Metric, key: &str) -> String {
    let found = metric.labels.iter().find(|(name, _)| *name == key);
    found.map_or_else(String::new, |(_, text)| text.to_string())
}

fn labelled(metrics: &[Metric], name: &str, text: impl Fn(&Metric) -> String) -> String {
    let of_name = metrics.iter().filter(|m| m.name == name && !m.labels.is_empty());
    let mut counts: Vec<(i128, String)> = of_name
        .filter_map(|m| Some((m.value?.rounded(0).units(), text(m))))
        .filter(|(count, _)| *count > 0)
        .collect();
    counts.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let texts: Vec<String> = counts
        .iter()
        .map(|(count, text)| format!("{} {text}", grouped(&count.to_string())))
        .collect();
    texts.join(", ")
}

fn none() -> String {
    "-".to_owned()
}

/// Digits after the point of a bill and its parts.
fn money_places(total: Usd) -> u32 {
    if total.nano() < 10_000_000_000 { 4 } else { 2 }
}

/// A figure with the digits that people read and thousands separators.
fn shown(metric: &Metric, money_places: u32) -> String {
    let Some(value) = metric.value else {
        return none();
    };
    let places = match metric.unit {
        Unit::Count => 0,
        Unit::Usd => money_places,
        Unit::UsdPerMonth => 2,
        Unit::UsdPerHour | Unit::PerPodDay => 4,
        Unit::PerDay | Unit::Hours | Unit::Seconds | Unit::Percent => 1,
    };
    grouped(&value.rounded(places).to_string())
}

/// The bill by one dimension: dearest first, the rest folded, the total last.
fn breakdown(result: &RunResult, by: &Breakdown, options: &TableOptions, width: usize) -> String {
    match by {
        Breakdown::Instances(by) => instances(result, by, options, width),
        Breakdown::Namespace => {
            let rows = by_namespace(&result.allocations);
            pods(result, "namespace", &rows, |a| &a.namespace, options, width)
        }
        Breakdown::Workload => {
            pods(result, "workload", &result.allocations, |a| &a.workload, options, width)
        }
    }
}

/// Whole instances: what of each row's cost is idle is a column.
fn instances(result: &RunResult, by: &By, options: &TableOptions, width: usize) -> String {
    let mut grid = Grid::new(vec![
        Column::text(&by.name(), 0),
        Column::number("cost $", 0),
        Column::number("share %", 1),
        Column::text("", 5),
        Column::number("$/month", 2),
        Column::number("nodes", 3),
        Column::number("node-hours", 4),
        Column::number("idle %", 4),
    ]);
    let bill = Bill::new(result, options);
    let mut line = |name: &str, nodes: u64, time: SimDuration, cost: Usd, idle: Usd| {
        let hours = Decimal::ratio(time.ms().into(), 3_600_000, 1);
        grid.row([
            name.to_owned(),
            bill.cost(cost),
            bill.share(cost),
            bill.bar(cost),
            bill.month(cost),
            grouped(&nodes.to_string()),
            hours.map_or_else(none, |h| grouped(&h.to_string())),
            percent(idle, cost),
        ]);
    };
    let rows = result.ledger.breakdown(by, result.end);
    let (named, folded) = rows.split_at(folding_point(rows.len()));
    for row in named {
        line(&row.key, row.nodes, row.node_time, row.cost, row.idle);
    }
    let sum = |rows: &[crate::outcome::Share]| {
        let mut time = SimDuration::ZERO;
        rows.iter().for_each(|row| time += row.node_time);
        let cost = rows.iter().map(|row| row.cost).sum();
        (rows.iter().map(|row| row.nodes).sum(), time, cost, rows.iter().map(|row| row.idle).sum())
    };
    if !folded.is_empty() {
        let (nodes, time, cost, idle) = sum(folded);
        line(&format!("{} more", folded.len()), nodes, time, cost, idle);
    }
    let (nodes, time, cost, idle) = sum(&rows);
    line("total", nodes, time, cost, idle);
    grid.render(width, options.ascii)
}

/// Parts of instances: what no pod took is a row.
fn pods(
    result: &RunResult,
    name: &str,
    rows: &[Allocation],
    key: impl Fn(&Allocation) -> &str,
    options: &TableOptions,
    width: usize,
) -> String {
    let mut grid = Grid::new(vec![
        Column::text(name, 0),
        Column::number("cost $", 0),
        Column::number("share %", 1),
        Column::text("", 4),
        Column::number("$/month", 2),
        Column::number("pods", 3),
    ]);
    let bill = Bill::new(result, options);
    let mut line = |name: &str, pods: Option<u64>, cost: Usd| {
        grid.row([
            name.to_owned(),
            bill.cost(cost),
            bill.share(cost),
            bill.bar(cost),
            bill.month(cost),
            pods.map_or_else(String::new, |pods| grouped(&pods.to_string())),
        ]);
    };
    let (named, folded) = rows.split_at(folding_point(rows.len()));
    for row in named {
        line(key(row), Some(row.pods), row.cost);
    }
    if !folded.is_empty() {
        let pods = folded.iter().map(|row| row.pods).sum();
        let cost = folded.iter().map(|row| row.cost).sum();
        line(&format!("{} more", folded.len()), Some(pods), cost);
    }
    line("(idle)", None, result.idle_cost());
    line("total", Some(rows.iter().map(|row| row.pods).sum()), result.ledger.total);
    grid.render(width, options.ascii)
}

/// How many of the rows are named; one more row than the limit is not worth folding.
fn folding_point(rows: usize) -> usize {
    if rows <= BREAKDOWN_ROWS + 1 { rows } else { BREAKDOWN_ROWS }
}

/// The whole that rows are parts of.
struct Bill {
    total: Usd,
    end_ms: i128,
    ascii: bool,
}

impl Bill {
    fn new(result: &RunResult, options: &TableOptions) -> Bill {
        Bill {
            total: result.ledger.total,
            end_ms: i128::from(result.end.ms()),
            ascii: options.ascii,
        }
    }

    /// Dollars; small bills with more digits, so that their parts can be told apart.
    fn cost(&self, cost: Usd) -> String {
        grouped(&cost.to_decimal(money_places(self.total)))
    }

    fn share(&self, cost: Usd) -> String {
        percent(cost, self.total)
    }

    fn month(&self, cost: Usd) -> String {
        let numerator = i128::from(cost.nano()) * 730 * 3_600_000;
        let month = Decimal::ratio(numerator, self.end_ms * 1_000_000_000, 2);
        month.map_or_else(none, |month| grouped(&month.to_string()))
    }

    /// A bar as long as the share of the total, rounded to whole cells.
    fn bar(&self, cost: Usd) -> String {
        let cells = Decimal::ratio(
            i128::from(cost.nano()) * i128::from(BAR_LENGTH),
            self.total.nano().into(),
            0,
        );
        let cells = cells.map_or(0, |cells| cells.units().clamp(0, BAR_LENGTH.into()));
        let cell = if self.ascii { "#" } else { "█" };
        cell.repeat(usize::try_from(cells).unwrap_or(0))
    }
}

fn percent(part: Usd, whole: Usd) -> String {
    let percent = Decimal::ratio(i128::from(part.nano()) * 100, whole.nano().into(), 1);
    percent.map_or_else(none, |percent| percent.to_string())
}

/// What a reader must know before they trust the figures.
fn warnings(result: &RunResult) -> Vec<String> {
    let mut found = Vec::new();
    if !result.is_complete() {
        let (end, horizon) = (SimDuration::from_ms(result.end.ms()), result.header.horizon);
        let (end, horizon) = (duration_text(end), duration_text(horizon));
        found.push(format!("interrupted after {end} of {horizon}; figures cover that time only"));
    }
    found.extend(result.fallen_short.iter().take(SHOWN_STEPS).map(|step| {
        let at = duration_text(SimDuration::from_ms(step.at.ms()));
        let FallenShort { action, object, wanted, found, .. } = step;
        format!("{action} at {at} was meant for {wanted} of {object} and found {found}")
    }));
    if result.fallen_short.len() > SHOWN_STEPS {
        let more = result.fallen_short.len() - SHOWN_STEPS;
        found.push(format!("{more} more step(s) found less than they were meant for"));
    }
    let failed = result.disruptions.iter().filter(|d| matches!(d.end, End::Failed(_))).count();
    let counts = &result.counts;
    for (count, text) in [
        (failed as u64, "disruption command(s) gave up before their nodes were gone"),
        (counts.launch_failures, "launch(es) failed as a whole"),
        (counts.insufficient_capacity, "time(s) an offering had no capacity"),
    ] {
        if count > 0 {
            found.push(format!("{} {text}", grouped(&count.to_string())));
        }
    }
    found
}

/// Thousands separators for a decimal number: `-1234.5` to `-1,234.5`.
fn grouped(number: &str) -> String {
    let (sign, number) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let whole = number.find('.').unwrap_or(number.len());
    let mut text = sign.to_owned();
    for (i, c) in number.char_indices() {
        if i > 0 && i < whole && (whole - i) % 3 == 0 {
            text.push(',');
        }
        text.push(c);
    }
    text
}

/// Breaks a text at spaces; further lines start with `indent`. A word longer than a line stays whole.
fn wrap(text: &str, width: usize, indent: &str) -> String {
    let (mut wrapped, mut length) = (String::new(), 0);
    for word in text.split_whitespace() {
        let letters = word.chars().count();
        if length == 0 {
            length = letters;
        } else if length + 1 + letters <= width {
            wrapped.push(' ');
            length += 1 + letters;
        } else {
            let _ = write!(wrapped, "\n{indent}");
            length = indent.len() + letters;
        }
        wrapped.push_str(word);
    }
    wrapped
}

/// A column and how dispensable it is: 0 never goes, the highest goes first, of equals the last.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    number: bool,
    priority: u8,
}

impl Column {
    fn text(name: &str, priority: u8) -> Column {
        Column { name: name.to_owned(), number: false, priority }
    }

    fn number(name: &str, priority: u8) -> Column {
        Column { name: name.to_owned(), number: true, priority }
    }
}

/// A table that knows which of its columns may go.
struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    fn new(columns: Vec<Column>) -> Grid {
        Grid { columns, rows: Vec::new() }
    }

    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table within a width. Columns without any content are left out, too.
    fn render(&self, width: usize, ascii: bool) -> String {
        let filled = |i: &usize| {
            self.rows.iter().any(|row| row.get(*i).is_some_and(|cell| !cell.is_empty()))
        };
        let mut kept: Vec<usize> = (0..self.columns.len()).filter(filled).collect();
        let mut dropped: Vec<usize> = Vec::new();
        loop {
            let room = width.saturating_sub(self.fixed_width(&kept));
            let lines = self.lines(&kept, room, ascii);
            let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
            let dispensable = kept.iter().copied().filter(|i| self.columns[*i].priority > 0);
            let next = dispensable.max_by_key(|i| (self.columns[*i].priority, *i));
            match next {
                Some(next) if longest > width => {
                    kept.retain(|i| *i != next);
                    dropped.push(next);
                }
                _ => return lines.join("\n") + &self.dropped_text(dropped),
            }
        }
    }

    /// Width of all columns but the texts that can be cut.
    fn fixed_width(&self, kept: &[usize]) -> usize {
        let cell_width = |i: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(i));
            let cells = cells.map(|cell| cell.chars().count().min(NAME_LENGTH));
            cells.chain([self.columns[i].name.chars().count()]).max().unwrap_or(0) + 2
        };
        let cut = |i: &&usize| self.is_remark(**i);
        kept.iter().filter(|i| !cut(i)).map(|i| cell_width(*i)).sum()
    }

    /// True for the last column if it holds text: it takes the room that is left.
    fn is_remark(&self, i: usize) -> bool {
        i > 0 && i + 1 == self.columns.len() && !self.columns[i].number
    }

    fn lines(&self, kept: &[usize], room: usize, ascii: bool) -> Vec<String> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        let names = kept.iter().map(|i| self.columns[*i].name.as_str());
        if names.clone().any(|name| !name.is_empty()) {
            table.set_header(names);
        }
        for row in &self.rows {
            table.add_row(kept.iter().map(|i| {
                let longest = if self.is_remark(*i) { room.max(12) } else { NAME_LENGTH };
                shortened(row.get(*i).map_or("", String::as_str), longest, ascii)
            }));
        }
        for (at, i) in kept.iter().enumerate() {
            if let Some(column) = table.column_mut(at) {
                let number = self.columns[*i].number;
                column.set_cell_alignment(match number {
                    true => CellAlignment::Right,
                    false => CellAlignment::Left,
                });
                column.set_padding((0, 2));
            }
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    fn dropped_text(&self, mut dropped: Vec<usize>) -> String {
        dropped.sort_unstable();
        let names = dropped.iter().map(|i| self.columns[*i].name.as_str());
        let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
        if names.is_empty() {
            String::new()
        } else {
            format!("\n(no room for: {})", names.join(", "))
        }
    }
}

/// At most `longest` characters of a text on one line.
fn shortened(text: &str, longest: usize, ascii: bool) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() <= longest {
        return text;
    }
    let mark = if ascii { "..." } else { "…" };
    let kept: String = text.chars().take(longest - mark.chars().count()).collect();
    kept + mark
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::sample;
    use crate::units::SimTime;

    fn options(width: usize, by: &[&str]) -> TableOptions {
        let by = by.iter().filter_map(|name| Breakdown::parse(name)).collect();
        TableOptions { width, by, ..TableOptions::default() }
    }

    #[test]
    fn the_answer_comes_first_and_pods_left_pending_before_the_figures() -> Result<()> {
        let result = sample::recorded();
        let expected = "\
3 pods of Deployment/other/huge are still pending after 1h 59m (no instance type has enough
resources, requirements=karpenter.sh/nodepool In [default], resources={\"cpu\":\"64\",\"pods\":\"2\"}).
$0.20 for 2h on 3 nodes (at most 2 at once): $73.65 a month; 2 pods evicted, pods waited 1h 59m at
p95.

left pending           pods  oldest waits  why
Deployment/other/huge     3        1h 59m  no instance type has enough resources, requirements=karp…

                       value  unit
cost a month           73.65  $ per 730 h  on-demand list us-west-2, table of 2026-08
cost of the run       0.2018  $            0.0000 while replaced nodes ran on
idle                  0.0095  $            4.7 % of the bill
node-hours               2.3  h            at most 2 at once
nodes created              3               0.0 % lived less than 10 min
nodes created a day     36.0  per day
pods evicted               2               2 expired
commands                   1               1 delete Emptiness
pods wait, p95       7,140.0  s            p50 39.0, longest 7,140.0
cpu requested           87.7  %            of what nodes offer
memory requested        26.6  %            of what nodes offer

workload                     cost $  share %                $/month  pods
Deployment/web/front         0.1854     91.9  ███████████     67.67     4
DaemonSet/kube-system/agent  0.0045      2.2                   1.65     1
Job/batch/report             0.0024      1.2                   0.88     1
(idle)                       0.0095      4.7  █                3.46
total                        0.2018    100.0  ████████████    73.65     6

";
        let text = answer(&result, &options(100, &["workload"]))?;
        let last = format!("result\n  {}\n", result_digest(&result)?);
        let last = format!(
            "karpsim 0.1.0 | karpenter 1.14.1 | seed 42 | input 5f2c9a0b | catalogue us-west-2/91d3e7c4 | {last}"
        );
        assert_eq!(text, format!("{expected}{last}"));
        assert!(answer(&result, &options(100, &[]))?.lines().count() <= 30);
        Ok(())
    }

    #[test]
    fn breakdowns_by_instance_have_an_idle_column() {
        let result = sample::recorded();
        let by = Breakdown::Instances(By::Tag("team".to_owned()));
        let expected = "\
tag:team  cost $  share %                $/month  nodes  node-hours  idle %
(none)    0.1907     94.5  ###########     69.60      2         2.0     0.4
search    0.0111      5.5  #                4.05      1         0.3    78.4
total     0.2018    100.0  ############    73.65      3         2.3     4.7";
        let ascii = TableOptions { ascii: true, ..TableOptions::default() };
        assert_eq!(breakdown(&result, &by, &ascii, 100), expected);
    }

    #[test]
    fn narrow_terminals_lose_columns_and_hear_which() {
        let result = sample::recorded();
        let by = Breakdown::Instances(By::InstanceType);
        let expected = "\
type      cost $  share %  $/month
m5.large  0.1907     94.5    69.60
c5.large  0.0111      5.5     4.05
total     0.2018    100.0    73.65
(no room for: nodes, node-hours, idle %)";
        assert_eq!(breakdown(&result, &by, &TableOptions::default(), 40), expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() -> Result<()> {
        let all: Vec<&str> =
            "pool type zone capacity namespace workload tag:team".split(' ').collect();
        for width in [40, 60, 80, 100, 160] {
            let text = answer(&sample::recorded(), &options(width, &all))?;
            for line in text.lines() {
                // The longest word of Karpenter's error cannot be broken.
                assert!(line.chars().count() <= width.max(42), "{width}: {line}");
            }
        }
        Ok(())
    }

    #[test]
    fn ascii_holds_for_everything_but_names() -> Result<()> {
        let options = TableOptions { ascii: true, ..options(60, &["pool", "workload"]) };
        assert!(answer(&sample::recorded(), &options)?.is_ascii());
        Ok(())
    }

    #[test]
    fn many_rows_are_folded_and_still_sum_up() {
        let mut result = sample::recorded();
        let entry = result.ledger.entries[0].clone();
        for i in 0..300 {
            let instance_type = format!("x{i}.large").into();
            result.ledger.entries.push(crate::outcome::Entry { instance_type, ..entry.clone() });
        }
        result.ledger = crate::outcome::Ledger::new(result.ledger.entries);
        let by = Breakdown::Instances(By::InstanceType);
        let text = breakdown(&result, &by, &TableOptions::default(), 100);
        assert_eq!(text.lines().count(), 13);
        let folded = text.lines().find(|line| line.starts_with("292 more")).unwrap_or_default();
        // (291 * 94 986 667 + 11 100 000) / (300 * 94 986 667 + 201 793 334) nano-USD.
        assert!(folded.contains(" 292 ") && folded.contains(" 96.4 "), "{text}");
    }

    #[test]
    fn interrupted_and_empty_runs_say_so() -> Result<()> {
        let mut result = sample::recorded();
        result.header.horizon = SimDuration::from_minutes(240);
        result.counts.launch_failures = 2;
        let (at, object) = (SimTime::from_seconds(2_400), "NodePool/default".into());
        result.fallen_short =
            vec![FallenShort { at, action: "interrupt", object, wanted: 3, found: 1 }];
        let text = answer(&result, &options(100, &[]))?;
        assert!(text.contains("\nwarning: interrupted after 2h of 4h;"), "{text}");
        let step = "\nwarning: interrupt at 40m was meant for 3 of NodePool/default and found 1\n";
        assert!(text.contains(step), "{text}");
        assert!(text.contains("\nwarning: 2 launch(es) failed"), "{text}");
        let empty = answer(&RunResult::default(), &options(100, &["pool", "workload"]))?;
        assert!(!empty.contains("NaN") && empty.contains("total"), "{empty}");
        Ok(())
    }
}
