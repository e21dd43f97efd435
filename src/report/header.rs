//! Title, policy and key figures above the panels, provenance below them.

use anyhow::Result;

use super::axis::{grouped, span_text, start_text};
use super::canvas::{Align, Canvas, Ink};
use super::chart::Scene;
use super::frame::FAINT;
use super::layout::MARGIN;
use super::palette::{SECONDARY, TEXT};
use crate::outcome::{Header, RunResult};

/// The scenario's start, where it has one: the epoch itself stands for none.
pub fn start(header: &Header) -> Option<i64> {
    (header.start_epoch_s != 0).then_some(header.start_epoch_s)
}

/// Draws what stands above the panels.
pub fn header(canvas: &mut Canvas, scene: &Scene) -> Result<()> {
    let area = &scene.layout.header;
    let header = &scene.result.header;
    let room = figures(canvas, scene)? - area.left - 32.0;
    let title = Ink::bold(26, TEXT);
    let text = canvas.shorten(&header.scenario, title, room);
    canvas.text(&text, (area.left, area.top + 24.0), Align::Left, title)?;
    let subtitle = Ink::regular(15, TEXT);
    for (i, line) in wrap(canvas, &header.policy, subtitle, room).iter().enumerate() {
        let y = area.top + 47.0 + 19.0 * i as f64;
        canvas.text(line, (area.left, y), Align::Left, subtitle)?;
    }
    let horizon = span_text(scene.end.ms());
    let from = start(header).and_then(start_text);
    let from = from.map_or(String::new(), |start| format!(" from {start}"));
    let line = format!("{horizon}{from} · {}", header.semantics);
    let quiet = Ink::regular(13, SECONDARY);
    let line = canvas.shorten(&line, quiet, room);
    canvas.text(&line, (area.left, area.top + 86.0), Align::Left, quiet)
}

/// Title and two lines below it, over the whole width: for pictures of several runs.
pub fn plain(
    canvas: &mut Canvas,
    (title, subtitle, remark): (&str, &str, &str),
    width: f64,
) -> Result<()> {
    let room = width - 2.0 * MARGIN;
    let lines = [
        (title, Ink::bold(26, TEXT), 24.0),
        (subtitle, Ink::regular(15, TEXT), 47.0),
        (remark, Ink::regular(13, SECONDARY), 67.0),
    ];
    for (text, ink, down) in lines {
        let text = canvas.shorten(text, ink, room);
        canvas.text(&text, (MARGIN, MARGIN + down), Align::Left, ink)?;
    }
    Ok(())
}

/// Draws the key figures from the right edge leftwards and returns where they begin.
fn figures(canvas: &mut Canvas, scene: &Scene) -> Result<f64> {
    let area = &scene.layout.header;
    let (value_ink, name_ink) = (Ink::bold(19, TEXT), FAINT);
    let mut right = area.right;
    for (name, value) in key_figures(scene.result).into_iter().rev() {
        let name_width = canvas.text_width(name, name_ink);
        let width = canvas.text_width(&value, value_ink).max(name_width);
        canvas.text(&value, (right, area.top + 24.0), Align::Right, value_ink)?;
        canvas.text(name, (right, area.top + 41.0), Align::Right, name_ink)?;
        right -= width + 24.0;
    }
    Ok(right + 24.0)
}

fn key_figures(result: &RunResult) -> [(&'static str, String); 6] {
    let none = || "–".to_owned();
    let monthly = result.summary.metric("cost_month_usd");
    let monthly = monthly.and_then(|metric| metric.value);
    let hours = result.ledger.billed.ms() as f64 / 3_600_000.0;
    let waited = result.pod_waits.percentile(95);
    [
        ("in all", result.ledger.total.to_string()),
        (
            "a month of 730 h",
            monthly.map_or_else(none, |value| format!("${}", grouped(value.to_f64(), 2))),
        ),
        ("node-hours", grouped(hours, 1)),
        ("nodes created", grouped(result.ledger.entries.len() as f64, 0)),
        ("pods evicted", grouped(result.counts.evictions() as f64, 0)),
        ("pending at p95", waited.map_or_else(none, span_text)),
    ]
}

/// `text` in at most two lines; what is left over is cut out of the second one.
fn wrap(canvas: &Canvas, text: &str, ink: Ink, room: f64) -> Vec<String> {
    if canvas.text_width(text, ink) <= room {
        return vec![text.to_owned()];
    }
    let mut first = String::new();
    let mut rest = text;
    while let Some((word, after)) = rest.split_once(' ') {
        let longer = if first.is_empty() { word.to_owned() } else { format!("{first} {word}") };
        if canvas.text_width(&longer, ink) > room {
            break;
        }
        first = longer;
        rest = after;
    }
    let lines = if first.is_empty() {
        vec![canvas.shorten(rest, ink, room)]
    } else {
        vec![first, canvas.shorten(rest, ink, room)]
    };
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}

/// Draws the line below the panels: everything that is needed to make the same picture again.
pub fn footer(canvas: &mut Canvas, header: &Header, baseline: f64, width: f64) -> Result<()> {
    let line = [
        ("", &header.program),
        ("", &header.semantics),
        ("seed ", &header.seed.to_string()),
        ("input ", &header.input_digest),
        ("catalogue ", &header.catalogue_digest),
        ("prices: ", &header.price_basis),
    ];
    let said = line.iter().filter(|(_, text)| !text.is_empty());
    let parts: Vec<String> = said.map(|(what, text)| format!("{what}{text}")).collect();
    let line = canvas.shorten(&parts.join(" · "), FAINT, width - 2.0 * MARGIN);
    canvas.text(&line, (MARGIN, baseline), Align::Left, FAINT)
}
