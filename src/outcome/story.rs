//! The story of one subject: what happened to it, and why nothing did in between. Passes of the disruption loop that
//! found the same as the one before are one entry.

use std::sync::Arc;

use super::chronicle::Subject;
use crate::units::{SimDuration, SimTime};
use crate::world::account::{
    Account, Answer, Batch, Passed, Plan, Question, Refused, Validation, WhatIf,
};
use crate::world::journal::{Cause, Fact, Record};

/// Pods that come or go within this time are told together.
const TOGETHER: SimDuration = SimDuration::from_seconds(10);
/// Entries that may lie between two that are told as one.
const REMEMBERED: usize = 4;

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Story {
    subject: Subject,
    /// In the order of their beginnings.
    pub entries: Vec<Entry>,
    /// The pass under way: when, and what it found of a node so far.
    pass: Option<(SimTime, Vec<Verdict>)>,
    /// What passes found of a node last.
    known: Vec<Verdict>,
    /// Questions of the pass under way without a command.
    asked: Vec<Question>,
    succession: Succession,
}

/// Which pod takes the place of the subject: workloads make pods in the order in which they lost some.
#[derive(Clone, Debug, Default)]
struct Succession {
    /// The subject's workload, once it is known.
    workload: Option<Arc<str>>,
    /// Pods that the workload lost and has not made anew.
    owed: u64,
    /// How many it has to make up to the subject's successor.
    place: Option<u64>,
}

impl Succession {
    /// The subject's successor, if the fact makes it.
    fn follow(&mut self, fact: &Fact, subject: &str) -> Option<Arc<str>> {
        match fact {
            Fact::PodCreated(pod) if pod.full_name() == subject => {
                self.workload = Some(pod.workload.clone());
            }
            Fact::PodTerminating { pod, cause, .. }
                if Some(&pod.workload) == self.workload.as_ref() && *cause != Cause::ScaleDown =>
            {
                self.owed += 1;
                if pod.full_name() == subject {
                    self.place = Some(self.owed);
                }
            }
            Fact::PodCreated(pod)
                if Some(&pod.workload) == self.workload.as_ref() && self.owed > 0 =>
            {
                self.owed -= 1;
                self.place = self.place.map(|place| place.saturating_sub(1));
                if self.place == Some(0) {
                    self.place = None;
                    return Some(pod.full_name().into());
                }
            }
            _ => {}
        }
        None
    }
}

/// Something that happened once, or several times in a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The first time.
    pub from: SimTime,
    /// The last time.
    pub until: SimTime,
    /// How often.
    pub count: u64,
    /// What.
    pub what: Happening,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// A fact of the journal.
    Fact(Fact),
    /// Pods bound to the node, or told to go from it, in one instant: their names.
    Pods(&'static str, Vec<Arc<str>>),
    /// A pass of the disruption loop left the node alone, each method for its reason.
    Stayed(Vec<Verdict>),
    /// A method was asked, and the command came of it or of one after it.
    Question(Box<Question>),
    /// A batch of the provisioner: the pod's place.
    Placed(Placed),
    /// The command was validated, and is not valid any more.
    Validation(Box<Validation>),
    /// The pod that its workload made in its place, `namespace/name`.
    Successor(Arc<str>),
}

/// Why a method left a node alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The method; none for what holds for all.
    pub method: Option<&'static str>,
    /// Why.
    pub passed: Passed,
    /// The what-if that showed it.
    pub what_if: Option<WhatIf>,
}

/// Where a batch put a pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Placed {
    /// On a node that exists or is on its way.
    Existing(Arc<str>),
    /// On a new NodeClaim; no name where a limit forbade to create it. Then why existing nodes did not take it.
    New(Option<Arc<str>>, Plan, Vec<Refused>),
    /// Nowhere: Karpenter's text, and why existing nodes did not take it.
    Nowhere(Arc<str>, Vec<Refused>),
    /// This node was created for these pods.
    For(Plan, Vec<Arc<str>>),
    /// This node was promised to these pods.
    Promised(Vec<Arc<str>>),
}

impl Story {
    /// The story of a subject, to be told from the start of the run.
    pub fn new(subject: Subject) -> Story {
        Story {
            subject,
            entries: Vec::new(),
            pass: None,
            known: Vec::new(),
            asked: Vec::new(),
            succession: Succession::default(),
        }
    }

    /// Who it is about.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Takes in what a controller told.
    pub fn hear(&mut self, account: &Account) {
        match account {
            Account::Question(question) => self.hear_question(question),
            Account::Batch(batch) => self.hear_batch(batch),
            Account::Validation(told) => {
                if self.subject == Subject::Command(told.command) {
                    self.push(told.at, Happening::Validation(told.clone()));
                }
            }
        }
    }

    fn hear_question(&mut self, question: &Question) {
        match &self.subject {
            Subject::Command(id) => {
                let id = *id;
                // The methods that were asked before it in the same pass had their say.
                self.asked.retain(|asked| asked.at == question.at);
                let Answer::Commands(first, count) = question.answer else {
                    self.asked.push(question.clone());
                    return;
                };
                if (first..first + count as u64).contains(&id) {
                    let asked = std::mem::take(&mut self.asked);
                    let weighed = asked.into_iter().filter(|asked| !asked.candidates.is_empty());
                    for question in weighed.chain([question.clone()]) {
                        self.push(question.at, Happening::Question(Box::new(question)));
                    }
                }
            }
            Subject::Node(name) => {
                let name = name.clone();
                if self.pass.as_ref().is_some_and(|(at, _)| *at != question.at) {
                    self.end_pass();
                }
                let (_, found) = self.pass.get_or_insert_with(|| (question.at, Vec::new()));
                // What holds for all methods is said once.
                if found.first().is_some_and(|verdict| verdict.method.is_none()) {
                    return;
                }
                match question.answer {
                    // It is not looked at again: what was found last still holds.
                    Answer::Marked(_) => {
                        let same = |v: &&Verdict| v.method == Some(question.method);
                        found.extend(self.known.iter().find(same).cloned());
                    }
                    _ => {
                        self.known.retain(|known| known.method != Some(question.method));
                        let verdict = verdict(question, &name);
                        self.known.extend(verdict.clone().filter(|v| v.method.is_some()));
                        found.extend(verdict);
                    }
                }
            }
            Subject::Pod(_) => {}
        }
    }

    fn hear_batch(&mut self, batch: &Batch) {
        let placed: Vec<Placed> = match &self.subject {
            Subject::Pod(name) => place_of(batch, name).into_iter().collect(),
            Subject::Node(name) => {
                let created = batch.claims.iter().filter(|new| new.claim.as_ref() == Some(name));
                let created = created.map(|new| Placed::For(new.plan.clone(), new.pods.clone()));
                let existing = batch.existing.iter().filter(|(node, _)| node == name);
                let existing = existing.map(|(_, pods)| Placed::Promised(pods.clone()));
                created.chain(existing).collect()
            }
            Subject::Command(_) => Vec::new(),
        };
        for placed in placed {
            self.end_pass();
            self.push(batch.at, Happening::Placed(placed));
        }
    }

    /// Takes in one fact.
    pub fn fold(&mut self, record: &Record) {
        let fact = &record.fact;
        if let Subject::Pod(name) = &self.subject
            && let Some(pod) = self.succession.follow(fact, name)
        {
            self.push(record.at, Happening::Successor(pod));
        }
        let concerns = match &self.subject {
            Subject::Node(name) => {
                let own = fact.claim().is_some_and(|claim| claim.name == *name);
                own || fact.command().is_some_and(|command| {
                    command.candidates.iter().any(|(claim, ..)| claim.name == *name)
                })
            }
            Subject::Pod(name) => fact.pod().is_some_and(|pod| pod.full_name() == name.as_ref()),
            Subject::Command(id) => fact.command().is_some_and(|command| command.id == *id),
        };
        if !concerns || matches!(fact, Fact::LastPodEvent { .. }) {
            return;
        }
        self.end_pass();
        let of_node = matches!(self.subject, Subject::Node(_));
        let verb = match fact {
            Fact::PodBound { pod, .. } if of_node && !pod.daemon => Some("bound"),
            Fact::PodTerminating { pod, cause, .. } if of_node && !pod.daemon => Some(cause.name()),
            Fact::PodBound { .. } | Fact::PodTerminating { .. } | Fact::PodRemoved { .. }
                if of_node =>
            {
                return;
            }
            _ => None,
        };
        match (verb, fact.pod()) {
            (Some(verb), Some(pod)) => self.push_pod(record.at, verb, pod.full_name().into()),
            _ => self.push(record.at, Happening::Fact(fact.clone())),
        }
    }

    fn push_pod(&mut self, at: SimTime, verb: &'static str, pod: Arc<str>) {
        if let Some(Entry { until, what: Happening::Pods(known, pods), .. }) =
            self.entries.last_mut()
            && *known == verb
            && at.since(*until) < TOGETHER
        {
            pods.push(pod);
            *until = at;
            return;
        }
        self.push(at, Happening::Pods(verb, vec![pod]));
    }

    fn push(&mut self, at: SimTime, what: Happening) {
        // Passes and batches take turns; neither makes the other new.
        let recent =
            self.entries.iter_mut().rev().take_while(|entry| {
                matches!(entry.what, Happening::Stayed(_) | Happening::Placed(_))
            });
        if let Some(same) = recent.take(REMEMBERED).find(|entry| entry.what == what) {
            same.until = at;
            same.count += 1;
            return;
        }
        self.entries.push(Entry { from: at, until: at, count: 1, what });
    }

    /// The last pass is over.
    pub fn end_pass(&mut self) {
        let Some((at, found)) = self.pass.take() else {
            return;
        };
        if found.is_empty() {
            return;
        }
        self.push(at, Happening::Stayed(found));
    }
}

fn place_of(batch: &Batch, pod: &Arc<str>) -> Option<Placed> {
    let refused = batch.refused.iter().find(|(pods, _)| pods.contains(pod));
    let refused = refused.map(|(_, refused)| refused.clone()).unwrap_or_default();
    let existing = batch.existing.iter().find(|(_, pods)| pods.contains(pod));
    let existing = existing.map(|(node, _)| Placed::Existing(node.clone()));
    let created = || {
        let new = batch.claims.iter().find(|new| new.pods.contains(pod))?;
        Some(Placed::New(new.claim.clone(), new.plan.clone(), refused.clone()))
    };
    let nowhere = || {
        let (_, text) = batch.unplaced.iter().find(|(name, _)| name == pod)?;
        Some(Placed::Nowhere(text.clone(), refused.clone()))
    };
    existing.or_else(created).or_else(nowhere)
}

/// Why the method left the node alone; `None` when it says nothing of it, or takes it.
pub fn verdict(question: &Question, node: &str) -> Option<Verdict> {
    let method = Some(question.method);
    if let Some(stay) = question.stays.iter().find(|stay| stay.node.as_ref() == node) {
        // That it is not drifted is true of nearly all nodes nearly always.
        let trivial = matches!(stay.passed.rule, "not drifted" | "empty" | "not empty");
        let method = if stay.general { None } else { method };
        let verdict = Verdict { method, passed: stay.passed.clone(), what_if: None };
        return (!trivial).then_some(verdict);
    }
    let weighed = question.candidates.iter().find(|weighed| weighed.node.as_ref() == node)?;
    if let Some(passed) = &weighed.passed {
        return Some(Verdict { method, passed: passed.clone(), what_if: None });
    }
    let includes = |what_if: &&WhatIf| what_if.nodes.iter().any(|name| name.as_ref() == node);
    // The smallest set of nodes says most about this one.
    let tried = question.what_ifs.iter().filter(includes).min_by_key(|w| w.nodes.len());
    match tried {
        Some(what_if) => {
            let passed = what_if.refusal.clone()?;
            Some(Verdict { method, passed, what_if: Some(what_if.clone()) })
        }
        None => not_reached(question).map(|passed| Verdict { method, passed, what_if: None }),
    }
}

fn not_reached(question: &Question) -> Option<Passed> {
    let (rule, message): (_, Arc<str>) = match question.answer {
        Answer::Commands(id, _) if question.method != "Emptiness" => {
            ("not reached", format!("Command {id} was found before the node was looked at").into())
        }
        Answer::Nothing | Answer::NothingYet if question.candidates.len() < 2 => {
            ("alone", "There is no other candidate to go with".into())
        }
        Answer::Nothing | Answer::NothingYet => {
            ("not reached", "No batch that was tried reached the node".into())
        }
        _ => return None,
    };
    Some(Passed { rule, message })
}
