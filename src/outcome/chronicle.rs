//! Who and what a run was about: the names of its nodes and pods with the time of their lives, and its disruption
//! commands. What can be explained is looked up here.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::units::{SimDuration, SimTime};
use crate::world::journal::{ClaimRef, CommandRef, Fact, PodRef, Record, ReplacementRef};

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct Chronicle {
    /// Nodes by name, which are those of their NodeClaims.
    pub nodes: BTreeMap<Arc<str>, Life>,
    /// Pods by `namespace/name`.
    pub pods: BTreeMap<Arc<str>, Life>,
    /// Commands by number.
    pub commands: BTreeMap<u64, CommandStory>,
}

/// From the first to the last fact about something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// The first fact.
    pub from: SimTime,
    /// The last one.
    pub until: SimTime,
    /// It was gone with the last one.
    pub gone: bool,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandStory {
    /// The command, as it started, or else as it was computed.
    pub command: CommandRef,
    /// When it was computed.
    pub computed_at: SimTime,
    /// When it started, with its replacements.
    pub started: Option<(SimTime, Vec<ReplacementRef>)>,
    /// How it ended.
    pub ended: Option<(SimTime, CommandEnd)>,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandEnd {
    /// The queue deleted its nodes.
    Done,
    /// It was not valid any more: the kind of failure and Karpenter's words.
    Invalid(&'static str, Arc<str>),
    /// The queue gave up.
    Failed(Arc<str>),
}

/// What somebody wants to know about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A node, by name.
    Node(Arc<str>),
    /// A pod, `namespace/name`.
    Pod(Arc<str>),
    /// A command, by number.
    Command(u64),
}

impl Chronicle {
    /// Takes in one fact.
    pub fn fold(&mut self, record: &Record) {
        let at = record.at;
        if let Some(claim) = record.fact.claim() {
            let gone = matches!(record.fact, Fact::ClaimRemoved(_) | Fact::NodeRemoved(_));
            live(&mut self.nodes, &claim.name, at, gone);
        }
        if let Some(pod) = record.fact.pod() {
            let gone = matches!(record.fact, Fact::PodRemoved { .. } | Fact::PodSucceeded(_));
            live(&mut self.pods, &pod.full_name().into(), at, gone);
        }
        self.fold_command(at, &record.fact);
    }

    fn fold_command(&mut self, at: SimTime, fact: &Fact) {
        let story = |command: &CommandRef| CommandStory {
            command: command.clone(),
            computed_at: at,
            started: None,
            ended: None,
        };
        match fact {
            Fact::DisruptionComputed(command) => {
                self.commands.insert(command.id, story(command));
            }
            Fact::DisruptionStarted { command, replacements } => {
                let known = self.commands.entry(command.id).or_insert_with(|| story(command));
                known.command = command.clone();
                known.started = Some((at, replacements.clone()));
            }
            Fact::ValidationFailed { command, failure, message } => {
                self.end(at, command.id, CommandEnd::Invalid(failure, message.clone()));
            }
            Fact::DisruptionSucceeded(command) => self.end(at, command.id, CommandEnd::Done),
            Fact::DisruptionFailed { command, message } => {
                self.end(at, command.id, CommandEnd::Failed(message.clone()));
            }
            _ => {}
        }
    }

    fn end(&mut self, at: SimTime, id: u64, end: CommandEnd) {
        if let Some(story) = self.commands.get_mut(&id) {
            story.ended = Some((at, end));
        }
    }

    /// What a name means: `node/NAME`, `nodeclaim/NAME`, `pod/NAMESPACE/NAME`, `command/ID`, or one of these without
    /// its kind.
    pub fn find(&self, what: &str) -> Option<Subject> {
        let node = |name: &str| self.nodes.get_key_value(name).map(|(name, _)| name.clone());
        let pod = |name: &str| self.pods.get_key_value(name).map(|(name, _)| name.clone());
        let command = |id: &str| id.parse().ok().filter(|id| self.commands.contains_key(id));
        match what.split_once('/') {
            Some(("node" | "nodeclaim", name)) => node(name).map(Subject::Node),
            Some(("pod", name)) if name.contains('/') => pod(name).map(Subject::Pod),
            Some(("pod", name)) => self.pod_of_name(name),
            Some(("command", id)) => command(id).map(Subject::Command),
            Some(_) => pod(what).map(Subject::Pod),
            None => {
                let named = node(what).map(Subject::Node);
                let numbered = || command(what).map(Subject::Command);
                named.or_else(numbered).or_else(|| self.pod_of_name(what))
            }
        }
    }

    /// The pod of that name, if there is one in one namespace only.
    fn pod_of_name(&self, name: &str) -> Option<Subject> {
        let has_name = |path: &&Arc<str>| path.rsplit('/').next() == Some(name);
        let mut found = self.pods.keys().filter(has_name);
        found.next().filter(|_| found.next().is_none()).map(|path| Subject::Pod(path.clone()))
    }

    /// All names that [`Chronicle::find`] knows.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let nodes = self.nodes.keys().map(|name| format!("node/{name}"));
        let pods = self.pods.keys().map(|name| format!("pod/{name}"));
        let commands = self.commands.keys().map(|id| format!("command/{id}"));
        nodes.chain(pods).chain(commands)
    }

    /// From when until when the controllers have to be listened to, the end exclusive.
    pub fn span(&self, subject: &Subject) -> (SimTime, SimTime) {
        let just_after = |at: SimTime| at + SimDuration::from_ms(1);
        let while_alive = |life: Option<&Life>| match life {
            None => (SimTime::ZERO, SimTime::ZERO),
            Some(life) if life.gone => (life.from, just_after(life.until)),
            Some(life) => (life.from, SimTime::from_ms(i64::MAX)),
        };
        match subject {
            Subject::Node(name) => while_alive(self.nodes.get(name)),
            Subject::Pod(name) => while_alive(self.pods.get(name)),
            Subject::Command(id) => {
                let Some(story) = self.commands.get(id) else {
                    return (SimTime::ZERO, SimTime::ZERO);
                };
                // To its validation, if it did not survive that.
                let last = match &story.ended {
                    Some((at, CommandEnd::Invalid(..))) => *at,
                    _ => story.computed_at,
                };
                (story.computed_at, just_after(last))
            }
        }
    }
}

fn live(lives: &mut BTreeMap<Arc<str>, Life>, name: &Arc<str>, at: SimTime, gone: bool) {
    match lives.get_mut(name) {
        Some(life) => (life.until, life.gone) = (at, gone),
        None => {
            lives.insert(name.clone(), Life { from: at, until: at, gone });
        }
    }
}

impl Fact {
    /// The NodeClaim or node that it is about.
    pub fn claim(&self) -> Option<&ClaimRef> {
        Some(match self {
            Fact::GaveUp { claim, .. }
            | Fact::NodeBroken { claim, .. }
            | Fact::Announced { claim, .. }
            | Fact::MessageReceived { claim, .. }
            | Fact::Interrupted { claim, .. }
            | Fact::ClaimCreated { claim, .. }
            | Fact::Launched { claim, .. }
            | Fact::InsufficientCapacity { claim, .. }
            | Fact::LaunchFailed { claim, .. }
            | Fact::Initialized { claim, .. }
            | Fact::Consolidatable { claim, .. }
            | Fact::Drifted { claim, .. }
            | Fact::LastPodEvent { claim, .. }
            | Fact::Tainted { claim, .. }
            | Fact::InstanceTerminating { claim } => claim,
            Fact::InstanceRunning(claim)
            | Fact::NodeCreated(claim)
            | Fact::Registered(claim)
            | Fact::NodeReady(claim)
            | Fact::Expired(claim)
            | Fact::ClaimDeleted(claim)
            | Fact::DrainStarted(claim)
            | Fact::Drained(claim)
            | Fact::InstanceTerminated(claim)
            | Fact::NodeRemoved(claim)
            | Fact::ClaimRemoved(claim) => claim,
            Fact::PodBound { node, .. } | Fact::PodTerminating { node, .. } => node,
            Fact::PodRemoved { node, .. } => node.as_ref()?,
            _ => return None,
        })
    }

    /// The pod that it is about.
    pub fn pod(&self) -> Option<&PodRef> {
        Some(match self {
            Fact::PodCreated(pod)
            | Fact::PodUnschedulable(pod)
            | Fact::PodRunning(pod)
            | Fact::PodSucceeded(pod)
            | Fact::PodAnnotated(pod)
            | Fact::PodBound { pod, .. }
            | Fact::PodTerminating { pod, .. }
            | Fact::WorkLost { pod, .. }
            | Fact::PodRemoved { pod, .. }
            | Fact::PodFailedScheduling { pod, .. } => pod,
            _ => return None,
        })
    }

    /// The command that it is about.
    pub fn command(&self) -> Option<&CommandRef> {
        Some(match self {
            Fact::DisruptionComputed(command) | Fact::DisruptionSucceeded(command) => command,
            Fact::ValidationFailed { command, .. }
            | Fact::DisruptionStarted { command, .. }
            | Fact::DisruptionFailed { command, .. } => command,
            _ => return None,
        })
    }
}
