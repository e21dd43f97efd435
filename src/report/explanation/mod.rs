//! Why a run went as it did, as text and as JSON: the account of a node, a pod, a command, or of a time.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use crate::outcome::log_line::utc_text;
use crate::units::SimTime;

mod data;
mod fact;
mod index;
mod pass;
mod story;
mod trace;

pub use index::index;
pub use pass::at;
pub use story::story;
pub use trace::Trace;

/// Name and major version of the JSON form.
const SCHEMA: &str = "karpsim.explain/1";
/// Columns of text.
const WIDTH: usize = 100;
/// Columns of the instants before a row.
const MARGIN: usize = 15;

/// An account, ready to be printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// The answer in a sentence.
    pub answer: String,
    /// What it rests on.
    pub sections: Vec<Section>,
}

/// A part of an account.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// Its title; none for a story.
    pub title: Option<String>,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// One row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// When, if it is something that happened.
    pub at: Option<SimTime>,
    /// The last time and how often, for what happened several times.
    pub again: Option<(SimTime, u64)>,
    /// What.
    pub text: String,
    /// More about it, a line each.
    pub details: Vec<String>,
    /// Its figures, for programs.
    pub data: Value,
}

impl Row {
    fn new(text: impl Into<String>) -> Row {
        Row { text: text.into(), ..Row::default() }
    }

    fn at(at: SimTime, text: impl Into<String>) -> Row {
        Row { at: Some(at), ..Row::new(text) }
    }
}

impl Document {
    /// The account as text of at most a hundred columns, where words allow it.
    pub fn text(&self, start_epoch_s: i64) -> String {
        let mut text = String::new();
        wrap(&mut text, "", "", &self.answer);
        for section in &self.sections {
            text.push('\n');
            if let Some(title) = &section.title {
                wrap(&mut text, "", "", title);
            }
            let timed = section.rows.iter().any(|row| row.at.is_some());
            for row in &section.rows {
                let (first, margin) = match (row.at, timed) {
                    (Some(at), _) => (format!("{:<MARGIN$}", at.to_string()), MARGIN),
                    (None, true) => (" ".repeat(MARGIN), MARGIN),
                    (None, false) => ("  ".to_owned(), 2),
                };
                let mut body = row.text.clone();
                if let Some((until, count)) = row.again {
                    let _ = write!(body, " (until {until}, {count} times)");
                }
                wrap(&mut text, &first, &" ".repeat(margin), &body);
                let inner = " ".repeat(margin + 2);
                for detail in &row.details {
                    wrap(&mut text, &inner, &format!("{inner}  "), detail);
                }
            }
        }
        if self.sections.iter().flat_map(|section| &section.rows).any(|row| row.at.is_some()) {
            let start = utc_text(start_epoch_s, SimTime::ZERO);
            let _ = write!(text, "\nTimes are since the start, {start}.\n");
        }
        text
    }

    /// The account as JSON with a final newline.
    pub fn json(&self, start_epoch_s: i64) -> Result<String> {
        let sections = self.sections.iter().map(|section| SectionJson {
            title: section.title.as_deref(),
            rows: section.rows.iter().map(|row| RowJson::new(row, start_epoch_s)).collect(),
        });
        let sections = sections.collect();
        let document = DocumentJson { schema: SCHEMA, answer: &self.answer, sections };
        Ok(serde_json::to_string_pretty(&document).context("the account")? + "\n")
    }
}

#[derive(Serialize)]
struct DocumentJson<'a> {
    schema: &'static str,
    answer: &'a str,
    sections: Vec<SectionJson<'a>>,
}

#[derive(Serialize)]
struct SectionJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    rows: Vec<RowJson<'a>>,
}

#[derive(Serialize)]
struct RowJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<u64>,
    text: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    details: &'a [String],
    #[serde(skip_serializing_if = "Value::is_null")]
    data: &'a Value,
}

impl<'a> RowJson<'a> {
    fn new(row: &'a Row, start_epoch_s: i64) -> RowJson<'a> {
        RowJson {
            at_ms: row.at.map(SimTime::ms),
            time: row.at.map(|at| utc_text(start_epoch_s, at)),
            until_ms: row.again.map(|(until, _)| until.ms()),
            times: row.again.map(|(_, count)| count),
            text: &row.text,
            details: &row.details,
            data: &row.data,
        }
    }
}

/// Writes `body` in lines of [`WIDTH`] columns, the first after `first`, the others after `margin`.
pub(super) fn wrap(text: &mut String, first: &str, margin: &str, body: &str) {
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in body.split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(line.trim_end());
            text.push('\n');
            line = margin.to_owned();
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

/// `$0.0960/h`.
fn price(dollars: f64) -> String {
    if dollars >= 1e9 { "no offering".to_owned() } else { format!("${dollars:.4}/h") }
}

/// The first few names, and how many there are besides.
fn list(names: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_no_longer_than_the_width_and_the_answer_comes_first() {
        let long = "word ".repeat(60);
        let row =
            Row { details: vec![long.clone()], ..Row::at(SimTime::from_seconds(61), long.trim()) };
        let document = Document {
            answer: "It stays.".to_owned(),
            sections: vec![Section { title: Some("Why".to_owned()), rows: vec![row] }],
        };
        let text = document.text(0);
        assert!(text.starts_with("It stays.\n\nWhy\n+00:01:01      word word"), "{text}");
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        let json: serde_json::Value =
            serde_json::from_str(&document.json(0).expect("JSON")).expect("valid");
        assert_eq!(json["sections"][0]["rows"][0]["time"], "1970-01-01T00:01:01.000Z");
    }
}
