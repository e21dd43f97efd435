//! Levels of agreement of a timeline below the full one: sums, numbers of nodes, lives of NodeClaims, disruption.

use std::collections::BTreeMap;

use serde_json::Value;

use super::timeline_events::TimedEvent;
use crate::units::SimTime;

/// Node hours and cost may differ by this share.
const SUM_TOLERANCE: f64 = 0.01;

/// Events that make up a NodeClaim's life.
const LIFE: [&str; 10] = [
    "nodeclaim_created",
    "launched",
    "node_created",
    "registered",
    "initialized",
    "nodeclaim_deleted",
    "instance_terminating",
    "instance_terminated",
    "node_removed",
    "nodeclaim_removed",
];

/// Sums over a timeline, as the recordings' `summary` states them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sums {
    commands: BTreeMap<String, u64>,
    evictions: BTreeMap<String, u64>,
    nodeclaims: u64,
    max_nodes: i64,
    node_hours: f64,
    cost: f64,
    /// Number of running instances after each change, by second.
    node_steps: Vec<(f64, i64)>,
}

impl Sums {
    /// Of events until `end`.
    pub(super) fn of(events: &[TimedEvent], end: SimTime) -> Sums {
        let mut sums = Sums::default();
        let mut running: BTreeMap<&str, (SimTime, f64)> = BTreeMap::new();
        let step = |at: SimTime, count: usize, sums: &mut Sums| {
            let (second, count) = (at.ms() as f64 / 1e3, count as i64);
            match sums.node_steps.last_mut() {
                Some((last, known)) if *last == second => *known = count,
                _ => sums.node_steps.push((second, count)),
            }
        };
        for (at, text) in events {
            let (event, object) = name_and_object(text);
            match event {
                "nodeclaim_created" => sums.nodeclaims += 1,
                "launched" => {
                    let price = field(text, "price").and_then(|price| price.parse().ok());
                    running.insert(object, (*at, price.unwrap_or(0.0)));
                    step(*at, running.len(), &mut sums);
                }
                "instance_terminating" => {
                    if let Some((since, price)) = running.remove(object) {
                        sums.bill(since, *at, price);
                        step(*at, running.len(), &mut sums);
                    }
                }
                "disruption_started" => {
                    let part = |key| field(text, key).unwrap_or_default();
                    let command = format!("{}/{}", part("method"), part("decision"));
                    *sums.commands.entry(command).or_default() += 1;
                }
                "pod_terminating" => match field(text, "cause") {
                    Some("scale_down") | None => {}
                    Some(cause) => *sums.evictions.entry(cause.to_owned()).or_default() += 1,
                },
                _ => {}
            }
        }
        running.values().for_each(|(since, price)| sums.bill(*since, end, *price));
        sums.node_steps.dedup_by_key(|(_, count)| *count);
        sums.max_nodes = sums.node_steps.iter().map(|(_, count)| *count).max().unwrap_or(0);
        sums
    }

    fn bill(&mut self, since: SimTime, until: SimTime, price: f64) {
        let hours = until.since(since).ms() as f64 / 3.6e6;
        self.node_hours += hours;
        self.cost += hours * price;
    }

    /// As recorded.
    pub(super) fn recorded(summary: &Value) -> Sums {
        let counts = |key: &str| {
            let entries = summary[key].as_object().into_iter().flatten();
            entries.filter_map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect()
        };
        let steps = summary["node_steps"].as_array().into_iter().flatten();
        let steps = steps.filter_map(|s| Some((s[0].as_f64()?, s[1].as_i64()?)));
        let mut node_steps: Vec<(f64, i64)> = steps.collect();
        // An instant in which one instance comes and one goes is recorded, though nothing changes.
        node_steps.dedup_by_key(|(_, count)| *count);
        Sums {
            commands: counts("commands"),
            evictions: counts("evictions"),
            nodeclaims: summary["nodeclaims"].as_u64().unwrap_or(0),
            max_nodes: summary["max_nodes"].as_i64().unwrap_or(0),
            node_hours: summary["node_hours"].as_f64().unwrap_or(0.0),
            cost: summary["cost"].as_f64().unwrap_or(0.0),
            node_steps,
        }
    }

    /// How the sums differ by more than they may.
    pub(super) fn difference(&self, found: &Sums) -> Option<String> {
        let near = |a: f64, b: f64| (a - b).abs() <= SUM_TOLERANCE * a.abs().max(1e-9);
        let equal = self.commands == found.commands
            && self.evictions == found.evictions
            && (self.nodeclaims, self.max_nodes) == (found.nodeclaims, found.max_nodes)
            && near(self.node_hours, found.node_hours)
            && near(self.cost, found.cost);
        let text = |sums: &Sums| {
            let Sums { commands, evictions, nodeclaims, max_nodes, node_hours, cost, .. } = sums;
            format!(
                "{nodeclaims} NodeClaims, at most {max_nodes} nodes, {node_hours:.3} h, {cost:.3} USD, \
                 commands {commands:?}, evictions {evictions:?}"
            )
        };
        (!equal).then(|| format!("expected {}\n   found {}", text(self), text(found)))
    }

    /// The first change of the number of nodes that differs.
    pub(super) fn step_difference(&self, found: &Sums) -> Option<String> {
        let (expected, found) = (&self.node_steps, &found.node_steps);
        let longest = expected.len().max(found.len());
        let i = (0..longest).find(|i| expected.get(*i) != found.get(*i))?;
        let text = |list: &[(f64, i64)]| {
            let step = list.get(i);
            step.map_or("nothing".to_owned(), |(at, count)| format!("{count} nodes at {at} s"))
        };
        Some(format!("expected {}\n   found {}", text(expected), text(found)))
    }
}

/// The life of each NodeClaim: instants, and what was launched.
pub(super) fn lives(events: &[TimedEvent]) -> Vec<TimedEvent> {
    let lives = events.iter().filter_map(|(at, text)| {
        let (event, object) = name_and_object(text);
        let text = match event {
            "launched" => text.clone(),
            _ if LIFE.contains(&event) => format!("{event} {object}"),
            _ => return None,
        };
        Some((*at, text))
    });
    lives.collect()
}

/// Commands, from being computed to their end.
pub(super) fn disruption(events: &[TimedEvent]) -> Vec<TimedEvent> {
    let is_disruption =
        |text: &str| text.starts_with("disruption_") || text.starts_with("validation_failed");
    events.iter().filter(|(_, text)| is_disruption(text)).cloned().collect()
}

fn name_and_object(text: &str) -> (&str, &str) {
    let mut words = text.split(' ');
    (words.next().unwrap_or_default(), words.next().unwrap_or_default())
}

/// The value of a field in an event's text, without quotes.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut words = text.split([' ', '{', '}', ',']);
    let value = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches('"'))
}
