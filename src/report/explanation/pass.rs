//! What the disruption loop was about at a time, and its questions in words.

use crate::outcome::summary::counted;
use std::sync::Arc;

use super::fact::{instant, outline};
use super::{Document, Row, Section, data, list, price};
use crate::outcome::story::verdict;
use crate::outcome::{Chronicle, Verdict};
use crate::units::SimTime;
use crate::world::account::{Answer, Budget, Plan, Question, WhatIf};

/// The account of an instant: `questions` are those of the passes before and after it, in order.
pub fn at(
    at: SimTime,
    questions: &[Question],
    chronicle: &Chronicle,
    start_epoch_s: i64,
) -> Document {
    let methods = latest(at, questions);
    let Some(last) = methods.iter().map(|(asked, _)| asked.at).max() else {
        let answer = format!(
            "At {} the disruption loop had made no pass that is known: it makes none while a NodeClaim is not \
             launched, nor before the controller starts.",
            instant(at, start_epoch_s)
        );
        return Document { answer, sections: Vec::new() };
    };
    let under_way = commands(at, chronicle);
    let answer = format!(
        "At {} the pass of {last} was the last one: {}.",
        instant(at, start_epoch_s),
        summary(&methods, under_way.len())
    );
    let mut sections = Vec::new();
    if !under_way.is_empty() {
        sections.push(Section { title: Some("Commands under way".to_owned()), rows: under_way });
    }
    sections.push(Section { title: Some("Why each node stays".to_owned()), rows: stays(&methods) });
    let (idle, others): (Vec<_>, Vec<_>) =
        methods.iter().partition(|(asked, _)| asked.answer == Answer::NoCandidates);
    sections.extend(others.into_iter().map(|(asked, full)| method(asked, full)));
    if !idle.is_empty() {
        let names: Vec<&str> = idle.iter().map(|(asked, _)| asked.method).collect();
        let title = Some(format!("Without candidates: {}", names.join(", ")));
        sections.push(Section { title, rows: Vec::new() });
    }
    Document { answer, sections }
}

/// Of each method the last question before `at`, and the last one that it was really asked.
fn latest(at: SimTime, questions: &[Question]) -> Vec<(&Question, Option<&Question>)> {
    let mut methods: Vec<(&Question, Option<&Question>)> = Vec::new();
    for question in questions.iter().filter(|question| question.at <= at) {
        let was_asked = !matches!(question.answer, Answer::Marked(_));
        let full = was_asked.then_some(question);
        match methods.iter_mut().find(|(known, _)| known.method == question.method) {
            Some(known) => *known = (question, full.or(known.1)),
            None => methods.push((question, full)),
        }
    }
    methods.sort_by_key(|(asked, _)| order(asked.method));
    methods
}

fn order(method: &str) -> usize {
    let all =
        ["Emptiness", "StaticDrift", "Drift", "MultiNodeConsolidation", "SingleNodeConsolidation"];
    all.iter().position(|name| *name == method).unwrap_or(all.len())
}

fn summary(methods: &[(&Question, Option<&Question>)], under_way: usize) -> String {
    let found = methods.iter().find_map(|(asked, _)| match asked.answer {
        Answer::Commands(id, _) => Some(format!("{} found command {id}", asked.method)),
        _ => None,
    });
    let found = found.unwrap_or_else(|| "no method found anything to do".to_owned());
    format!("{found}; {} under way", counted(under_way, "command"))
}

fn commands(at: SimTime, chronicle: &Chronicle) -> Vec<Row> {
    let begun = chronicle.commands.iter().filter(|(_, story)| story.computed_at <= at);
    let open = begun.filter(|(_, story)| story.ended.as_ref().is_none_or(|(end, _)| *end > at));
    let rows = open.map(|(id, story)| {
        let state = match &story.started {
            Some((start, _)) if *start <= at => format!("started {start}"),
            _ => "waits 15 s for its validation".to_owned(),
        };
        Row::at(story.computed_at, format!("command/{id} {}; {state}", outline(&story.command)))
    });
    rows.collect()
}

/// What the methods found of each node.
fn stays(methods: &[(&Question, Option<&Question>)]) -> Vec<Row> {
    let questions = || methods.iter().filter_map(|(_, full)| *full);
    let listed = |question: &Question| -> Vec<Arc<str>> {
        let stays = question.stays.iter().map(|stay| stay.node.clone());
        stays.chain(question.candidates.iter().map(|c| c.node.clone())).collect()
    };
    let mut nodes: Vec<Arc<str>> = questions().flat_map(listed).collect();
    nodes.sort();
    nodes.dedup();
    let rows = nodes.iter().map(|node| {
        let mut found: Vec<Verdict> = Vec::new();
        for question in questions() {
            if found.first().is_some_and(|verdict| verdict.method.is_none()) {
                break;
            }
            found.extend(verdict(question, node));
        }
        match found.is_empty() {
            true => Row::new(format!("{node}: nothing speaks for or against it")),
            false => {
                let details = describe_verdicts(&found);
                Row { details, data: data::verdicts(&found), ..Row::new(node.to_string()) }
            }
        }
    });
    rows.collect()
}

/// Why a node was left alone by each method, methods that say the same together.
pub(super) fn describe_verdicts(verdicts: &[Verdict]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (i, verdict) in verdicts.iter().enumerate() {
        let says_same = |other: &Verdict| {
            other.what_if.is_none() && verdict.what_if.is_none() && other.passed == verdict.passed
        };
        if i > 0 && says_same(&verdicts[i - 1]) {
            continue;
        }
        let also = verdicts.get(i + 1).filter(|next| says_same(next)).and_then(|next| next.method);
        lines.extend(describe_verdict(verdict, also));
    }
    lines
}

/// Why a node was left alone, and the what-if that showed it.
fn describe_verdict(verdict: &Verdict, also: Option<&str>) -> Vec<String> {
    let passed = &verdict.passed;
    let alone = verdict.what_if.as_ref().is_none_or(|what_if| what_if.nodes.len() == 1);
    let event = match (verdict.method, also) {
        (None, _) => "DisruptionBlocked".to_owned(),
        (Some(method), None) => method.to_owned(),
        (Some(method), Some(also)) => format!("{method}, {also}"),
    };
    let with = match &verdict.what_if {
        Some(what_if) if !alone => {
            format!(" with {}", counted(what_if.nodes.len() - 1, "other node"))
        }
        _ => String::new(),
    };
    let mut lines = vec![format!("{event}{with} [{}]: {}", passed.rule, passed.message)];
    lines.extend(verdict.what_if.as_ref().and_then(outcome).map(|text| format!("  {text}")));
    lines
}

/// A question with all that was weighed.
pub(super) fn method(asked: &Question, full: Option<&Question>) -> Section {
    let weighed = full.unwrap_or(asked);
    let budgets: Vec<String> = weighed.budgets.iter().map(budget).collect();
    let budgets = match budgets.is_empty() {
        true => String::new(),
        false => format!("; budget left for {}: {}", asked.reason, list(&budgets)),
    };
    let last = match weighed.at == asked.at {
        true => String::new(),
        false => format!("; what it found at {}", weighed.at),
    };
    let title = format!("{} at {}: {}{last}{budgets}", asked.method, asked.at, answer(asked));
    let Some(question) = full else {
        return Section { title: Some(title), rows: Vec::new() };
    };
    let mut rows: Vec<Row> = candidates(question);
    rows.extend(question.what_ifs.iter().map(what_if));
    Section { title: Some(title), rows }
}

/// `default 1 (2 nodes, 0 disrupting)`.
fn budget(budget: &Budget) -> String {
    let left = budget.left.map_or_else(|| "without limit".to_owned(), |left| left.to_string());
    let nodes = counted(usize::try_from(budget.nodes).unwrap_or(0), "node");
    format!("{} {left} ({nodes}, {} disrupting)", budget.pool, budget.disrupting)
}

/// What came of a question.
pub(super) fn answer(question: &Question) -> String {
    match question.answer {
        Answer::Marked(since) => {
            format!("not asked, nothing has changed since {since}")
        }
        Answer::NoCandidates => "no candidates".to_owned(),
        Answer::Nothing => "nothing to do, marked as consolidated".to_owned(),
        Answer::NothingYet => "nothing to do".to_owned(),
        Answer::Commands(id, 1) => format!("command {id}"),
        Answer::Commands(id, count) => format!("commands {id} to {}", id + count as u64 - 1),
    }
}

fn candidates(question: &Question) -> Vec<Row> {
    let rows = question.candidates.iter().enumerate().map(|(i, weighed)| {
        let text = format!(
            "{:>3}. {}  {} {}  {}  {}  cost of moving {:.2}  ratio {:.4}",
            i + 1,
            weighed.node,
            weighed.capacity_type,
            weighed.instance_type,
            price(weighed.price),
            counted(weighed.pods, "pod"),
            weighed.reschedule_cost,
            weighed.price / weighed.reschedule_cost
        );
        let details = weighed.passed.iter().map(|p| format!("[{}] {}", p.rule, p.message));
        let data = data::candidate(weighed);
        Row { details: details.collect(), data, ..Row::new(text) }
    });
    rows.collect()
}

/// A what-if with what came of it.
pub(super) fn what_if(what_if: &WhatIf) -> Row {
    let text = format!("what if without {} ({})?", list(&what_if.nodes), price(what_if.paid));
    let mut details: Vec<String> = outcome(what_if).into_iter().collect();
    for score in &what_if.scores {
        details.push(format!(
            "Balanced, NodePool {}: score {:.3}, needs {:.2} (saves {:.1}% of its cost, disturbs {:.1}%)",
            score.pool,
            score.score,
            score.threshold,
            100.0 * score.saved,
            100.0 * score.disturbed
        ));
    }
    match &what_if.refusal {
        Some(passed) => details.push(format!("no [{}]: {}", passed.rule, passed.message)),
        None => details.push(match what_if.savings {
            Some(savings) => format!("yes, saves {}", price(savings)),
            None => "yes".to_owned(),
        }),
    }
    Row { details, data: data::what_if(what_if), ..Row::new(text) }
}

/// Where the pods would go.
fn outcome(what_if: &WhatIf) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    if !what_if.existing.is_empty() {
        let nodes: Vec<String> =
            what_if.existing.iter().map(|(node, pods)| format!("{pods} on {node}")).collect();
        parts.push(format!("pods fit on existing nodes: {}", list(&nodes)));
    }
    parts.extend(what_if.plans.iter().map(plan));
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// `a new node of default for 2 pods: m5.large $0.0960/h, ... (3 types)`.
pub(super) fn plan(plan: &Plan) -> String {
    let types: Vec<String> =
        plan.cheapest.iter().map(|(name, dollars)| format!("{name} {}", price(*dollars))).collect();
    format!(
        "a new node of {} for {}: {} ({})",
        plan.pool,
        counted(plan.pods, "pod"),
        types.join(", "),
        counted(plan.type_count, "type")
    )
}
