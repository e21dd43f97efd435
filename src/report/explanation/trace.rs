//! The decision trace of a run, as it goes: questions of the disruption loop, a block a pass. Passes that found the
//! same as the one before are one line.

use super::Row;
use super::pass::{answer, method};
use crate::outcome::story::verdict;
use crate::units::SimTime;
use crate::world::account::{Account, Answer, Question};

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// What the last pass said, without its instant.
    said: Vec<String>,
    /// When it was first and last said, and how often.
    span: Option<(SimTime, SimTime, u64)>,
    /// The pass under way.
    pass: Option<(SimTime, Vec<String>)>,
}

impl Trace {
    /// Takes in what a controller told; returns the lines that are now complete.
    pub fn hear(&mut self, account: &Account) -> Vec<String> {
        let Account::Question(question) = account else {
            return Vec::new();
        };
        let lines = match &self.pass {
            Some((at, _)) if *at != question.at => self.end_pass(),
            _ => Vec::new(),
        };
        let (_, said) = self.pass.get_or_insert_with(|| (question.at, Vec::new()));
        said.extend(describe(question));
        lines
    }

    /// The lines of what is left.
    pub fn finish(&mut self) -> Vec<String> {
        let mut lines = self.end_pass();
        lines.extend(self.repeated());
        lines
    }

    fn end_pass(&mut self) -> Vec<String> {
        let Some((at, said)) = self.pass.take() else {
            return Vec::new();
        };
        if let Some((_, last, count)) = &mut self.span
            && said == self.said
        {
            (*last, *count) = (at, *count + 1);
            return Vec::new();
        }
        let mut lines: Vec<String> = self.repeated().into_iter().collect();
        lines.extend(said.iter().map(|line| format!("{at}  {line}")));
        (self.said, self.span) = (said, Some((at, at, 1)));
        lines
    }

    fn repeated(&self) -> Option<String> {
        let (_, last, count) = self.span?;
        (count > 1).then(|| format!("{last}  the same in {count} passes"))
    }
}

fn describe(question: &Question) -> Vec<String> {
    match question.answer {
        // Nearly all passes, and nothing new.
        Answer::Marked(_) => Vec::new(),
        Answer::NoCandidates => {
            let nodes = question.stays.iter().filter_map(|stay| {
                let verdict = verdict(question, &stay.node)?;
                Some(format!("  {}: {}", stay.node, verdict.passed.message))
            });
            let nodes: Vec<String> = nodes.collect();
            match nodes.is_empty() {
                true => Vec::new(),
                false => {
                    let first = format!("{}: {}", question.method, answer(question));
                    std::iter::once(first).chain(nodes).collect()
                }
            }
        }
        _ => {
            let section = method(question, Some(question));
            let mut lines = vec![format!("{}: {}", question.method, answer(question))];
            lines.extend(section.rows.iter().flat_map(row));
            lines
        }
    }
}

fn row(row: &Row) -> Vec<String> {
    let details = row.details.iter().map(|detail| format!("    {detail}"));
    std::iter::once(format!("  {}", row.text)).chain(details).collect()
}
