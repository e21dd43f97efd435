//! Disruption passes: each method's own answer on the recorded state, and what one pass of the controller would do.

use std::collections::BTreeMap;

use serde_json::Value;

use super::case::Case;
use super::outcome::{Claim, PRICE_TOLERANCE, pod_names, texts};
use super::report::{Check, Outcome, difference};
use super::snapshot::Snapshot;
use super::{NotComparable, Options, malformed};
use crate::karpenter::disruption::{self, Answer, Command, Kept, Method};
use crate::world::ClusterView;

/// What is compared, from the loosest to the strictest.
pub const LEVELS: [&str; 5] =
    ["1 candidates", "2 budgets", "3 decision", "4 commands", "5 requirements"];

/// Tolerance of costs and ratios.
const COST_TOLERANCE: f64 = 1e-9;

/// A disruption pass, ready to be decided as often as one likes.
pub struct DisruptionPass {
    snapshot: Snapshot,
}

impl DisruptionPass {
    /// Reads a case, as the recordings write it.
    pub fn read(case: &Value) -> Result<DisruptionPass, NotComparable> {
        Ok(DisruptionPass { snapshot: super::snapshot::read(Case::of(case)?)? })
    }

    /// What a controller keeps between its passes, as its first pass begins.
    pub fn keep(&self) -> Kept {
        Kept::new(&self.snapshot.world.view())
    }

    /// The number of valid commands that the method of a name finds; none for an unknown name.
    pub fn ask(&self, kept: &mut Kept, method: &str) -> usize {
        let mut ask = |method| disruption::ask(&self.snapshot.world.view(), kept, method);
        named(method).map_or(0, |method| ask(method).commands.len())
    }

    /// The number of commands that the method of a name finds before they are validated.
    pub fn search(&self, kept: &mut Kept, method: &str) -> usize {
        let mut search = |method| disruption::search(&self.snapshot.world.view(), kept, method);
        named(method).map_or(0, &mut search)
    }

    /// Writes pods as they are, so many of them in a row from `first` on: whatever is derived from them is out of date.
    pub fn touch(&mut self, first: u32, count: u32) {
        self.snapshot.world.rewrite_pods(first, count);
    }

    /// A pass of all methods after whatever was written. Returns the number of commands found.
    pub fn tick(&self, kept: &mut Kept) -> usize {
        let view = self.snapshot.world.view();
        kept.refresh(&view);
        Method::ORDER.map(|method| disruption::ask(&view, kept, method).commands.len()).iter().sum()
    }
}

fn named(method: &str) -> Option<Method> {
    Method::ORDER.into_iter().find(|known| known.name() == method)
}

/// What a method answers.
#[derive(Debug, Default)]
struct MethodOutcome {
    candidates: BTreeMap<String, Candidate>,
    /// By NodePool; `None` where no budget was asked for.
    budgets: Option<BTreeMap<String, i64>>,
    /// Ascending by their candidates.
    commands: Vec<CommandOutcome>,
}

#[derive(Debug)]
struct Candidate {
    nodepool: String,
    price: f64,
    reschedule_cost: f64,
    savings_ratio: f64,
}

#[derive(Debug)]
struct CommandOutcome {
    decision: String,
    /// Ascending.
    candidates: Vec<String>,
    replacements: Vec<Claim>,
    savings: f64,
    placement: BTreeMap<String, Vec<String>>,
}

/// Replays a case.
pub(super) fn replay(
    snapshot: Snapshot,
    recorded: Option<&Value>,
    options: &Options<'_>,
) -> Result<Outcome, NotComparable> {
    let view = snapshot.world.view();
    let mut kept = Kept::new(&view);
    let (mut found, mut times) = (BTreeMap::new(), Vec::new());
    for method in Method::ORDER {
        let start = options.time();
        let answer = disruption::ask(&view, &mut kept, method);
        times.push((method.name(), options.time() - start));
        found.insert(method.name(), answered(&view, method, &answer));
    }
    let Some(recorded) = recorded else {
        let commands = |name: &str| found[name].commands.len();
        let text = Method::ORDER.map(|m| format!("{} {}", m.name(), commands(m.name())));
        return Ok(Outcome::Unrecorded { text: format!("commands: {}", text.join(", ")), times });
    };
    let expected = read(recorded)?;
    let nothing = MethodOutcome::default();
    let pairs: Vec<Pair<'_>> = expected
        .iter()
        .map(|(name, expected)| Pair {
            name,
            expected,
            found: found.get(name.as_str()).unwrap_or(&nothing),
        })
        .collect();
    let all = |test: fn(&Pair<'_>) -> Option<String>| {
        let texts: Vec<String> = pairs.iter().filter_map(test).collect();
        (!texts.is_empty()).then(|| texts.join("\n"))
    };
    let differences = [
        all(candidates),
        all(budgets),
        decision(&pairs),
        all(|pair| pair.commands(false)),
        all(|pair| pair.commands(true)),
    ];
    let checks = LEVELS.into_iter().zip(differences);
    let checks = checks.map(|(name, difference)| Check { name, difference }).collect();
    let equal = |pair: &Pair<'_>| {
        candidates(pair).is_none() && budgets(pair).is_none() && pair.commands(true).is_none()
    };
    let parts = pairs.iter().map(|pair| (pair.name.to_owned(), equal(pair))).collect();
    Ok(Outcome::Compared { checks, parts, times })
}

/// One method's answers.
struct Pair<'a> {
    name: &'a str,
    expected: &'a MethodOutcome,
    found: &'a MethodOutcome,
}

fn answered(view: &ClusterView<'_>, method: Method, answer: &Answer) -> MethodOutcome {
    let node = |claim| view.cluster.claims[claim].name.to_string();
    let pool = |index: usize| view.cluster.pools[index].name.to_string();
    let candidates = answer.candidates.iter().map(|candidate| {
        let outcome = Candidate {
            nodepool: pool(candidate.pool),
            price: candidate.price,
            reschedule_cost: candidate.reschedule_cost,
            savings_ratio: candidate.savings_ratio(),
        };
        (node(candidate.claim), outcome)
    });
    let budgets = answer.budgets.iter().enumerate().map(|(i, left)| (pool(i), *left));
    let mut commands: Vec<CommandOutcome> =
        answer.commands.iter().map(|command| commanded(view, method, command)).collect();
    commands.sort_by(|a, b| a.candidates.cmp(&b.candidates));
    MethodOutcome { candidates: candidates.collect(), budgets: Some(budgets.collect()), commands }
}

fn commanded(view: &ClusterView<'_>, method: Method, command: &Command) -> CommandOutcome {
    let node = |claim| view.cluster.claims[claim].name.to_string();
    let replacements = command.replacements.iter().map(|plan| {
        let mut plan = plan.clone();
        plan.pin_capacity_types(view);
        let mut claim = Claim::planned(view, &plan);
        if method.name() == "StaticDrift" {
            // The recordings show the bare template of the NodePool.
            claim.options.clear();
            claim.launch = None;
        }
        claim
    });
    let placement = command.placements.iter().filter(|(_, pods)| !pods.is_empty());
    let mut candidates: Vec<String> = command.candidates.iter().map(|c| node(c.claim)).collect();
    candidates.sort_unstable();
    CommandOutcome {
        decision: if command.replacements.is_empty() { "delete" } else { "replace" }.to_owned(),
        candidates,
        replacements: replacements.collect(),
        // The recordings leave it out where the replacement has no types.
        savings: if method == Method::StaticDrift { 0.0 } else { command.savings },
        placement: placement.map(|(claim, pods)| (node(*claim), pod_names(view, pods))).collect(),
    }
}

/// The recorded answers by method, in the order of the recording.
fn read(recorded: &Value) -> Result<Vec<(String, MethodOutcome)>, NotComparable> {
    let methods =
        recorded["methods"].as_array().ok_or_else(|| malformed("result without methods"))?;
    methods
        .iter()
        .map(|method| {
            let name = method["method"].as_str().ok_or_else(|| malformed("method without name"))?;
            let candidates = method["candidates"].as_array().into_iter().flatten();
            let budgets = method["budgets"].as_object().map(|budgets| {
                let entries = budgets.iter();
                entries.filter_map(|(pool, left)| Some((pool.clone(), left.as_i64()?))).collect()
            });
            let commands = method["commands"].as_array().into_iter().flatten();
            let mut commands: Vec<CommandOutcome> =
                commands.map(recorded_command).collect::<Result<_, _>>()?;
            commands.sort_by(|a, b| a.candidates.cmp(&b.candidates));
            let candidates = candidates.map(recorded_candidate).collect::<Result<_, _>>()?;
            Ok((name.to_owned(), MethodOutcome { candidates, budgets, commands }))
        })
        .collect()
}

fn recorded_candidate(value: &Value) -> Result<(String, Candidate), NotComparable> {
    let number = |key: &str| {
        let number = value[key].as_f64();
        number.ok_or_else(|| malformed(format!("candidate without {key}")))
    };
    let node = value["node"].as_str().ok_or_else(|| malformed("candidate without node"))?;
    let candidate = Candidate {
        nodepool: value["nodepool"].as_str().unwrap_or_default().to_owned(),
        price: number("price")?,
        reschedule_cost: number("rescheduleCost")?,
        savings_ratio: number("savingsRatio")?,
    };
    Ok((node.to_owned(), candidate))
}

fn recorded_command(value: &Value) -> Result<CommandOutcome, NotComparable> {
    let replacements = value["replacements"].as_array().into_iter().flatten();
    let placement = value["placement"].as_object().into_iter().flatten();
    let mut candidates = texts(&value["candidates"]);
    candidates.sort_unstable();
    Ok(CommandOutcome {
        decision: value["decision"].as_str().unwrap_or_default().to_owned(),
        candidates,
        replacements: replacements.map(Claim::recorded).collect::<Result<_, _>>()?,
        savings: value["savings"].as_f64().unwrap_or(f64::NAN),
        placement: placement.map(|(node, pods)| (node.clone(), texts(pods))).collect(),
    })
}

fn candidates(pair: &Pair<'_>) -> Option<String> {
    let (expected, found) = (&pair.expected.candidates, &pair.found.candidates);
    let names = |map: &BTreeMap<String, Candidate>| map.keys().cloned().collect::<Vec<_>>();
    let what = format!("{} candidates", pair.name);
    if let Some(text) = difference(&what, &names(expected), &names(found)) {
        return Some(text);
    }
    let near = |a: f64, b: f64| (a - b).abs() <= COST_TOLERANCE;
    let (node, expected, found) = expected
        .iter()
        .filter_map(|(node, candidate)| Some((node, candidate, found.get(node)?)))
        .find(|(_, a, b)| {
            a.nodepool != b.nodepool
                || !near(a.price, b.price)
                || !near(a.reschedule_cost, b.reschedule_cost)
                || !near(a.savings_ratio, b.savings_ratio)
        })?;
    Some(format!("{what}: {node}\nexpected {expected:?}\n   found {found:?}"))
}

fn budgets(pair: &Pair<'_>) -> Option<String> {
    let expected = pair.expected.budgets.as_ref()?;
    let found = pair.found.budgets.clone().unwrap_or_default();
    difference(&format!("{} budgets", pair.name), expected, &found)
}

impl Pair<'_> {
    fn commands(&self, with_requirements: bool) -> Option<String> {
        let what = format!("{} commands", self.name);
        compare(&what, &self.expected.commands, &self.found.commands, with_requirements)
    }
}

fn compare(
    what: &str,
    expected: &[CommandOutcome],
    found: &[CommandOutcome],
    with_requirements: bool,
) -> Option<String> {
    let near =
        |a: &CommandOutcome, b: &CommandOutcome| (a.savings - b.savings).abs() <= PRICE_TOLERANCE;
    let text = |command: &CommandOutcome| command.describe(with_requirements);
    let equal = expected.len() == found.len()
        && expected.iter().zip(found).all(|(a, b)| near(a, b) && text(a) == text(b));
    if equal {
        return None;
    }
    let savings = |list: &[CommandOutcome]| {
        let lines = list.iter().map(|c| format!("saves {:.6}\n{}", c.savings, text(c)));
        lines.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    };
    let (expected, found): (Vec<String>, Vec<String>) = (savings(expected), savings(found));
    difference(what, &expected, &found)
        .or_else(|| Some(format!("{what}: savings differ by more than {PRICE_TOLERANCE}")))
}

impl CommandOutcome {
    /// Everything but the savings, which have a tolerance.
    fn describe(&self, with_requirements: bool) -> String {
        let mut lines = vec![format!("{} {}", self.decision, self.candidates.join(" "))];
        for claim in &self.replacements {
            let launch = claim.launch.as_ref().map_or(String::new(), ToString::to_string);
            let options = format!("{:?}", claim.options);
            lines.push(format!("by {} {launch} options {options}", claim.nodepool));
            lines.push(format!("for {}", claim.pods.join(" ")));
            if with_requirements {
                lines.push(format!("requests {:?}", claim.requests));
                lines.push(format!("requirements {}", claim.requirements.join("; ")));
            }
        }
        let placement = self.placement.iter();
        lines.extend(placement.map(|(node, pods)| format!("{node} takes {}", pods.join(" "))));
        lines.join("\n")
    }
}

/// The commands of the first method that has any.
fn decision(pairs: &[Pair<'_>]) -> Option<String> {
    let expected = pairs.iter().find(|pair| !pair.expected.commands.is_empty());
    let found = pairs.iter().find(|pair| !pair.found.commands.is_empty());
    match (expected, found) {
        (None, None) => None,
        (Some(expected), Some(found)) if expected.name == found.name => {
            let what = format!("decision of {}", expected.name);
            compare(&what, &expected.expected.commands, &found.found.commands, false)
        }
        (expected, found) => {
            let name =
                |pair: Option<&Pair<'_>>| pair.map_or("nothing", |pair| pair.name).to_owned();
            Some(format!("decision\nexpected {}\n   found {}", name(expected), name(found)))
        }
    }
}
