//! The decision trace of a run, as it goes: what the disruption loop asked, a block a pass, and where the provisioner
//! put pods. Passes that found the same as the one before are one line.

use super::pass::{answer, method, plan};
use super::{Row, fact, list};
use crate::outcome::story::verdict;
use crate::outcome::summary::counted;
use crate::units::SimTime;
use crate::world::account::{Account, Answer, Batch, Question};
use crate::world::journal::{Fact, Record};

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// What the last pass said, without its instant.
    said: Vec<String>,
    /// When it was last said, and how often.
    span: Option<(SimTime, u64)>,
    /// The pass under way.
    pass: Option<Pass>,
}

/// The pass under way.
#[derive(Clone, Debug)]
struct Pass {
    at: SimTime,
    said: Vec<String>,
    /// What the question before said of its nodes.
    nodes: Vec<String>,
}

impl Trace {
    /// Takes in what a controller told; returns the lines that are now complete.
    pub fn hear(&mut self, account: &Account) -> Vec<String> {
        match account {
            Account::Question(question) => self.hear_question(question),
            Account::Validation(told) => {
                let mut lines = self.break_off();
                let stays = told.stays.iter();
                lines
                    .extend(stays.map(|stay| {
                        format!("{}  {}: {}", told.at, stay.node, stay.passed.message)
                    }));
                lines
            }
            Account::Batch(batch) => {
                let mut lines = self.break_off();
                lines.extend(describe_batch(batch));
                lines
            }
        }
    }

    fn hear_question(&mut self, question: &Question) -> Vec<String> {
        let lines = match &self.pass {
            Some(pass) if pass.at != question.at => self.end_pass(),
            _ => Vec::new(),
        };
        let pass = self.pass.get_or_insert_with(|| Pass {
            at: question.at,
            said: Vec::new(),
            nodes: Vec::new(),
        });
        pass.hear(question);
        lines
    }

    /// Takes in a fact: those about commands are part of the trace.
    pub fn fold(&mut self, record: &Record) -> Vec<String> {
        let is_news = record.fact.command().is_some()
            || matches!(record.fact, Fact::Expired(_) | Fact::Interrupted { .. });
        if !is_news {
            return Vec::new();
        }
        let mut lines = self.break_off();
        let name = record.fact.claim().map(|claim| format!("{}: ", claim.name));
        let text = fact::describe(&record.fact);
        let line = |text| format!("{}  {}{text}", record.at, name.unwrap_or_default());
        lines.extend(text.map(line));
        lines
    }

    /// The lines of what is left.
    pub fn finish(&mut self) -> Vec<String> {
        self.break_off()
    }

    /// What was found until now is not told as the same as what comes.
    fn break_off(&mut self) -> Vec<String> {
        let mut lines = self.end_pass();
        lines.extend(self.repeated());
        self.span = None;
        lines
    }

    fn end_pass(&mut self) -> Vec<String> {
        let Some(Pass { at, said, .. }) = self.pass.take() else {
            return Vec::new();
        };
        if let Some((last, count)) = &mut self.span
            && said == self.said
        {
            (*last, *count) = (at, *count + 1);
            return Vec::new();
        }
        let mut lines: Vec<String> = self.repeated().into_iter().collect();
        lines.extend(said.iter().map(|line| format!("{at}  {line}")));
        (self.said, self.span) = (said, Some((at, 1)));
        lines
    }

    fn repeated(&self) -> Option<String> {
        let (last, count) = self.span?;
        (count > 1 && !self.said.is_empty()).then(|| format!("{last}  the same in {count} passes"))
    }
}

impl Pass {
    fn hear(&mut self, question: &Question) {
        // Nearly all passes, and nothing new.
        if matches!(question.answer, Answer::Marked(_)) {
            return;
        }
        let section = method(question, Some(question));
        let is_first = self.said.is_empty();
        let stays = question.stays.iter().filter(|stay| is_first || !stay.general);
        let stays = stays.filter_map(|stay| {
            let verdict = verdict(question, &stay.node)?;
            Some(format!("  {}: {}", stay.node, verdict.passed.message))
        });
        let weighed = question.candidates.len().min(section.rows.len());
        let (candidates, what_ifs) = section.rows.split_at(weighed);
        let nodes: Vec<String> = stays.chain(candidates.iter().flat_map(row)).collect();
        let what_ifs: Vec<String> = what_ifs.iter().flat_map(row).collect();
        if nodes.is_empty() && what_ifs.is_empty() {
            return;
        }
        self.said.push(format!("{}: {}", question.method, answer(question)));
        if nodes == self.nodes {
            self.said.push("  the same nodes".to_owned());
        } else {
            self.said.extend(nodes.iter().cloned());
            self.nodes = nodes;
        }
        self.said.extend(what_ifs);
    }
}

fn describe_batch(batch: &Batch) -> Vec<String> {
    let at = batch.at;
    let created = batch.claims.iter().map(|new| {
        let name = new.claim.as_deref().unwrap_or("nothing, for a limit of its NodePool");
        format!("{at}  provisioner creates {name}: {}: {}", plan(&new.plan), list(&new.pods))
    });
    let promised = batch.existing.iter().map(|(node, pods)| {
        let number = counted(pods.len(), "pod");
        format!("{at}  provisioner counts on {node} for {number}: {}", list(pods))
    });
    let unplaced = batch
        .unplaced
        .iter()
        .map(|(pod, why)| format!("{at}  provisioner finds no place for {pod}: {why}"));
    created.chain(promised).chain(unplaced).collect()
}

fn row(row: &Row) -> Vec<String> {
    let details = row.details.iter().map(|detail| format!("    {detail}"));
    std::iter::once(format!("  {}", row.text)).chain(details).collect()
}
