//! The story of a node, a pod or a command.

use super::fact::{describe, instant, outline};
use super::pass::{answer, describe_verdicts, method, plan, what_if};
use super::{Document, Row, Section, data, list, price};
use crate::outcome::summary::counted;
use crate::outcome::{
    Chronicle, CommandEnd, Happening, Placed, Story, StoryEntry as Entry, Subject,
};
use crate::world::account::{Question, Stay, Validation};
use crate::world::journal::Fact;

/// The account of a story's subject.
pub fn story(story: &Story, chronicle: &Chronicle, start_epoch_s: i64) -> Document {
    let answer = match story.subject() {
        Subject::Node(name) => node(name, story),
        Subject::Pod(name) => pod(name, story),
        Subject::Command(id) => command(*id, chronicle, start_epoch_s),
    };
    let rows = story.entries.iter().filter_map(|entry| row(entry, chronicle)).collect();
    let mut sections = vec![Section { title: None, rows }];
    for entry in &story.entries {
        if let Happening::Question(question) = &entry.what {
            // Both methods of consolidation mostly leave the same nodes aside.
            let told = decision(question);
            sections.retain(|section| !told.contains(section));
            sections.extend(told);
        }
    }
    Document { answer, sections }
}

fn row(entry: &Entry, chronicle: &Chronicle) -> Option<Row> {
    let mut row = match &entry.what {
        Happening::Fact(fact) => Row {
            details: command_behind(fact, chronicle).into_iter().collect(),
            ..Row::new(describe(fact)?)
        },
        Happening::Validation(told) => validation(told),
        Happening::Successor(pod) => Row::new(format!("its workload makes {pod} in its place")),
        Happening::Pods("bound", pods) => {
            Row::new(format!("{} bound: {}", counted(pods.len(), "pod"), list(pods)))
        }
        Happening::Pods(cause, pods) => {
            Row::new(format!("{} told to go ({cause}): {}", counted(pods.len(), "pod"), list(pods)))
        }
        Happening::Stayed(verdicts) => Row {
            details: describe_verdicts(verdicts),
            data: data::verdicts(verdicts),
            ..Row::new("stays")
        },
        Happening::Placed(placed) => Row { details: refusals(placed), ..Row::new(place(placed)) },
        Happening::Question(question) => {
            Row::new(format!("{} was asked: {}; see below", question.method, answer(question)))
        }
    };
    row.at = Some(entry.from);
    row.again = (entry.count > 1).then_some((entry.until, entry.count));
    Some(row)
}

/// Why a command is not valid any more.
fn validation(told: &Validation) -> Row {
    let stays = told.stays.iter().map(stay_line);
    let mut details: Vec<String> = stays.collect();
    if let Some(now) = &told.now {
        let now = what_if(now);
        details.push(now.text);
        details.extend(now.details.into_iter().filter(|detail| detail != "yes"));
    }
    Row { details, ..Row::new("validated") }
}

fn stay_line(stay: &Stay) -> String {
    format!("{} [{}]: {}", stay.node, stay.passed.rule, stay.passed.message)
}

/// The command for which a pod is evicted or a NodeClaim created.
fn command_behind(fact: &Fact, chronicle: &Chronicle) -> Option<String> {
    let mut commands = chronicle.commands.iter().rev();
    let (id, story) = match fact {
        Fact::PodTerminating { node, cause, .. } if cause.is_command() => {
            commands.find(|(_, story)| {
                let nodes = story.command.candidates.iter();
                let taken = nodes.clone().any(|(claim, ..)| claim.name == node.name);
                taken && matches!(story.ended, Some((_, CommandEnd::Done)))
            })?
        }
        Fact::ClaimCreated { claim, .. } => commands.find(|(_, story)| {
            let started = story.started.iter().flat_map(|(_, replacements)| replacements);
            started.map(|replacement| &replacement.claim.name).any(|name| *name == claim.name)
        })?,
        _ => return None,
    };
    Some(format!("for command {id}: {}", outline(&story.command)))
}

fn place(placed: &Placed) -> String {
    match placed {
        Placed::Existing(node) => format!("the provisioner counts on {node} for it"),
        Placed::New(Some(claim), new, _) => {
            format!("the provisioner creates {claim}: {}", plan(new))
        }
        Placed::New(None, new, _) => {
            format!("the provisioner plans {}, but a limit of the NodePool forbids it", plan(new))
        }
        Placed::Nowhere(text, _) => format!("the provisioner finds no place: {text}"),
        Placed::For(new, pods) => format!("planned for {}: {}", list(pods), plan(new)),
        Placed::Promised(pods) => {
            format!(
                "promised to {} (nominated for 20 s): {}",
                counted(pods.len(), "pod"),
                list(pods)
            )
        }
    }
}

/// Why existing nodes did not take the pod.
fn refusals(placed: &Placed) -> Vec<String> {
    let (Placed::New(_, _, refused) | Placed::Nowhere(_, refused)) = placed else {
        return Vec::new();
    };
    let lines = refused.iter().map(|refused| {
        let detail = match refused.detail.is_empty() {
            true => String::new(),
            false => format!(": {}", refused.detail),
        };
        let number = counted(refused.count, "existing node");
        format!("{number}, {} ({}{detail})", refused.reason, refused.node)
    });
    lines.collect()
}

/// What was weighed when a command was found.
fn decision(question: &Question) -> Vec<Section> {
    let mut sections = vec![method(question, Some(question))];
    let rows: Vec<Row> = question.stays.iter().map(stay_line).map(Row::new).collect();
    if !rows.is_empty() {
        sections.push(Section { title: Some("No candidates".to_owned()), rows });
    }
    sections
}

fn facts(story: &Story) -> impl DoubleEndedIterator<Item = (&Entry, &Fact)> {
    story.entries.iter().filter_map(|entry| match &entry.what {
        Happening::Fact(fact) => Some((entry, fact)),
        _ => None,
    })
}

fn node(name: &str, story: &Story) -> String {
    let launched = facts(story).find_map(|(_, fact)| match fact {
        Fact::Launched { claim, launch } => Some(format!(
            "{} {} in {}, {}, NodePool {}",
            launch.capacity_type,
            launch.instance_type,
            launch.zone,
            price(launch.price),
            claim.pool
        )),
        _ => None,
    });
    let launched = launched.unwrap_or_else(|| "never launched".to_owned());
    let ended = facts(story).find_map(|(entry, fact)| match fact {
        Fact::DisruptionSucceeded(command) => {
            Some(format!("went with command {} ({}) at {}", command.id, command.reason, entry.from))
        }
        Fact::Expired(_) => Some(format!("expired at {}", entry.from)),
        Fact::Interrupted { kind, .. } => {
            Some(format!("was interrupted at {} ({})", entry.from, kind.name()))
        }
        Fact::GaveUp { reason, .. } => Some(format!("was given up at {} ({reason})", entry.from)),
        _ => None,
    });
    let ended = ended.unwrap_or_else(|| match stay(story) {
        Some(text) => format!("stays to the end: {text}"),
        None => "stays to the end".to_owned(),
    });
    format!("node {name} ({launched}) {ended}.")
}

/// The last reason for which the node stayed.
fn stay(story: &Story) -> Option<String> {
    story.entries.iter().rev().find_map(|entry| match &entry.what {
        Happening::Stayed(verdicts) => verdicts.last().map(|v| v.passed.message.to_string()),
        _ => None,
    })
}

fn pod(name: &str, story: &Story) -> String {
    let created = story.entries.first().map(|entry| entry.from);
    let bound = facts(story).find_map(|(entry, fact)| match fact {
        Fact::PodBound { node, .. } => Some((entry.from, node.name.clone())),
        _ => None,
    });
    let waited = match (created, bound) {
        (Some(created), Some((at, node))) => {
            format!("waited {} and ran on {node}", at.since(created))
        }
        _ => "never found a node".to_owned(),
    };
    let ended = facts(story).find_map(|(entry, fact)| match fact {
        Fact::PodTerminating { cause, .. } => {
            Some(format!(", until {} ({})", entry.from, cause.name()))
        }
        Fact::PodSucceeded(_) => Some(format!(", and succeeded at {}", entry.from)),
        _ => None,
    });
    format!("pod {name} {waited}{}.", ended.unwrap_or_default())
}

fn command(id: u64, chronicle: &Chronicle, start_epoch_s: i64) -> String {
    let Some(story) = chronicle.commands.get(&id) else {
        return format!("command {id} is not known.");
    };
    let end = match &story.ended {
        None => "was under way when the run ended".to_owned(),
        Some((at, CommandEnd::Done)) => format!("deleted its NodeClaims at {at}"),
        Some((at, CommandEnd::Invalid(kind, message))) => {
            format!("was rejected at {at}, {kind}: {message}")
        }
        Some((at, CommandEnd::Failed(message))) => format!("was given up at {at}: {message}"),
    };
    let command = &story.command;
    let at = instant(story.computed_at, start_epoch_s);
    format!("command {id} ({}, {at}): {}; it {end}.", command.method, outline(command))
}
