//! All commands of a run, a row each.

use super::fact::outline;
use super::{Document, Row, Section};
use crate::outcome::summary::counted;
use crate::outcome::{Chronicle, CommandEnd, CommandStory};

/// The index of decisions.
pub fn index(chronicle: &Chronicle) -> Document {
    let commands = &chronicle.commands;
    let started = commands.values().filter(|story| story.started.is_some()).count();
    let answer = format!(
        "{} computed, {started} started; {} and {} lived. Explain one: command/ID, node/NAME, pod/NAMESPACE/NAME, \
         or --at TIME.",
        counted(commands.len(), "command"),
        counted(chronicle.nodes.len(), "node"),
        counted(chronicle.pods.len(), "pod"),
    );
    let rows = commands.iter().map(|(id, story)| row(*id, story)).collect();
    let section = Section { title: Some("Commands".to_owned()), rows };
    Document { answer, sections: if commands.is_empty() { Vec::new() } else { vec![section] } }
}

fn row(id: u64, story: &CommandStory) -> Row {
    let command = &story.command;
    let end = match &story.ended {
        None => match story.started {
            Some(_) => "under way at the end".to_owned(),
            None => "waiting for its validation at the end".to_owned(),
        },
        Some((at, CommandEnd::Done)) => format!("done {at}"),
        Some((at, CommandEnd::Invalid(kind, message))) => {
            format!("rejected {at}, {kind}: {message}")
        }
        Some((at, CommandEnd::Failed(message))) => format!("given up {at}: {message}"),
    };
    let text = format!("command/{id:<4} {:<24} {}; {end}", command.method, outline(command));
    Row::at(story.computed_at, text)
}
