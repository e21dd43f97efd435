//! The panels with steps and lines: nodes, dollars per hour, dollars in all, pods.

use anyhow::Result;

use super::axis::{TimeAxis, ValueAxis, grouped};
use super::canvas::{Align, Area, Canvas};
use super::frame::{self, KeyEntry, NOTE, TICK};
use super::layout::Layout;
use super::palette::{BLACK, BLUE, Rgb, TEXT, VERMILLION, WHITE};
use super::raster::{Category, Column, Plateau, columns, plateaus, stack};
use crate::outcome::{Entry, RunResult, Steps};
use crate::units::{SimTime, Usd};

/// Dollars in a nano-dollar.
const NANO: f64 = 1e-9;
/// Strength of what lasts shorter than a column of pixels.
const BRIEF: f64 = 0.55;
/// Lowest band with a label of its own at the right end.
const BAND_LABEL: f64 = 14.0;

/// Marks of one kind up to which each has its shape; more of them become thin ticks.
pub const DENSE: usize = 120;

/// What the panels draw from.
pub struct Scene<'r> {
    /// The run.
    pub result: &'r RunResult,
    /// The end of the run, which is the end of the axis.
    pub end: SimTime,
    /// The shared axis.
    pub axis: &'r TimeAxis,
    /// Places of the time axis' ticks.
    pub ticks: &'r [f64],
    /// The key of the stacks.
    pub categories: &'r [Category],
    /// Places of everything.
    pub layout: &'r Layout,
}

impl Scene<'_> {
    /// The mean of a step function over the run.
    fn mean(&self, steps: &Steps) -> f64 {
        steps.integral(self.end) as f64 / self.end.ms().max(1) as f64
    }

    fn grid(&self, canvas: &mut Canvas, plot: &Area) -> Result<()> {
        frame::time_grid(canvas, self.axis, self.ticks, plot)
    }
}

/// The title of the first panel; its width decides where the key stands.
pub const NODES_TITLE: &str = "Nodes by instance type";

/// What stands at the right end of the first panel's title.
pub fn nodes_remark(result: &RunResult, end: SimTime) -> String {
    let nodes = &result.series.nodes;
    let mean = nodes.integral(end) as f64 / end.ms().max(1) as f64;
    format!(
        "max {} · mean {} · at the end {}",
        grouped(nodes.max() as f64, 0),
        grouped(mean, 2),
        grouped(nodes.last() as f64, 0)
    )
}

/// The key of the stacks; none when direct labels at the right end of the first panel name every
/// category.
pub fn key_entries(categories: &[Category], result: &RunResult, layout: &Layout) -> Vec<KeyEntry> {
    let plot = &layout.nodes.plot;
    let values = ValueAxis::counts(result.series.nodes.max() as f64, plot.top, plot.bottom);
    let at_end = |category: &Category| {
        let of = |name| result.series.nodes_by_type.get(name).map_or(0, Steps::last);
        category.members.iter().map(of).sum::<i64>()
    };
    let direct = |c: &Category| plot.bottom - values.y(at_end(c) as f64) >= BAND_LABEL;
    if categories.iter().all(direct) {
        return Vec::new();
    }
    let entry =
        |category: &Category| KeyEntry { name: category.name.clone(), color: category.color };
    categories.iter().map(entry).collect()
}

/// Panel 1: nodes by instance type, total line, launches and terminations.
pub fn nodes(canvas: &mut Canvas, scene: &Scene, key: &[KeyEntry]) -> Result<()> {
    let (panel, series) = (&scene.layout.nodes, &scene.result.series);
    let plot = &panel.plot;
    let remark = nodes_remark(scene.result, scene.end);
    let free = frame::titles(canvas, panel, NODES_TITLE, "nodes", &remark)?;
    let places = frame::key_places(canvas, key, free, (plot.left, plot.right));
    frame::key(canvas, key, &places, panel.title)?;
    let values = ValueAxis::counts(series.nodes.max() as f64, plot.top, plot.bottom);
    scene.grid(canvas, plot)?;
    frame::value_grid(canvas, &values, plot, "")?;
    let density = canvas.scale();
    let totals = columns(&series.nodes, scene.axis, density, 1.0);
    let by_type = &series.nodes_by_type;
    let bands = stack(scene.categories, by_type, scene.axis, density, 1.0);
    draw_stack(canvas, scene, plot, &values, &bands, &totals)?;
    draw_total(canvas, plot, &values, &totals)?;
    frame::cuts(canvas, scene.axis, plot)?;
    band_labels(canvas, scene, plot, &values, &bands)?;
    for plateau in plateaus(&series.nodes, scene.axis, scene.end.ms(), 14.0) {
        let text = grouped(plateau.value as f64, 0);
        let y = values.y(plateau.value as f64);
        plateau_label(canvas, &plateau, &text, y, &mut Vec::new())?;
    }
    lane(canvas, scene)
}

/// Panel 2: dollars per hour by the same key.
pub fn rate(canvas: &mut Canvas, scene: &Scene) -> Result<()> {
    let (panel, series) = (&scene.layout.rate, &scene.result.series);
    let plot = &panel.plot;
    let dollars = |nano: f64| format!("${}", grouped(nano * NANO, 4));
    let remark = format!(
        "max {} · mean {} · at the end {}",
        dollars(series.cost_rate.max() as f64),
        dollars(scene.mean(&series.cost_rate)),
        dollars(series.cost_rate.last() as f64)
    );
    let title = "Dollars per hour by instance type";
    frame::titles(canvas, panel, title, "$ per hour", &remark)?;
    let max = series.cost_rate.max() as f64 * NANO;
    let values = ValueAxis::dollars(max, plot.top, plot.bottom);
    scene.grid(canvas, plot)?;
    frame::value_grid(canvas, &values, plot, "$")?;
    let density = canvas.scale();
    let totals = columns(&series.cost_rate, scene.axis, density, NANO);
    let by_type = &series.cost_rate_by_type;
    let bands = stack(scene.categories, by_type, scene.axis, density, NANO);
    draw_stack(canvas, scene, plot, &values, &bands, &totals)?;
    draw_total(canvas, plot, &values, &totals)?;
    frame::cuts(canvas, scene.axis, plot)?;
    band_labels(canvas, scene, plot, &values, &bands)?;
    for plateau in plateaus(&series.cost_rate, scene.axis, scene.end.ms(), 14.0) {
        let dollars = plateau.value as f64 * NANO;
        let places = if plateau.value == 0 { 0 } else { 3 };
        let text = format!("${}", grouped(dollars, places));
        plateau_label(canvas, &plateau, &text, values.y(dollars), &mut Vec::new())?;
    }
    Ok(())
}

/// Panel 3: the bill so far, with the total at its end.
pub fn total(canvas: &mut Canvas, scene: &Scene) -> Result<()> {
    let (panel, result) = (&scene.layout.total, scene.result);
    let plot = &panel.plot;
    frame::titles(canvas, panel, "Dollars in all", "$ in all", "")?;
    let points = &result.series.cumulative_cost;
    let max = points.iter().map(|(_, usd)| usd.dollars());
    let values = ValueAxis::dollars(max.fold(0.0, f64::max), plot.top, plot.bottom);
    scene.grid(canvas, plot)?;
    frame::value_grid(canvas, &values, plot, "$")?;
    let mut from = (plot.left, values.y(bill_at(points, 0.0)));
    let step = 1.0 / f64::from(canvas.scale());
    let count = libm::round(plot.width() / step) as usize;
    for i in 1..=count {
        let x = plot.left + i as f64 * step;
        let to = (x, values.y(bill_at(points, scene.axis.instant(x))));
        // Level stretches are drawn in one go, all others column by column.
        if to.1 != from.1 || i == count {
            let level_to = (x - step, from.1);
            canvas.line(from, level_to, 2.0, BLACK)?;
            canvas.line(level_to, to, 2.0, BLACK)?;
            from = to;
        }
    }
    frame::cuts(canvas, scene.axis, plot)?;
    let last = points.last().map_or(Usd::ZERO, |(_, usd)| *usd);
    let y = values.y(last.dollars());
    canvas.text(&last.to_string(), (plot.right + 8.0, y + 4.0), Align::Left, TICK)
}

/// The bill at an instant: straight between its points.
fn bill_at(points: &[(SimTime, Usd)], ms: f64) -> f64 {
    let after = points.partition_point(|(at, _)| (at.ms() as f64) <= ms);
    let before = after.checked_sub(1).map(|i| &points[i]);
    match (before, points.get(after)) {
        (None, Some(_)) | (None, None) => 0.0,
        (Some((_, usd)), None) => usd.dollars(),
        (Some((from, a)), Some((to, b))) => {
            let span = to.since(*from).ms().max(1) as f64;
            let done = (ms - from.ms() as f64) / span;
            a.dollars() + done * (b.dollars() - a.dollars())
        }
    }
}

/// Panel 4: pods that run and, on top of them, pods that wait for a node.
pub fn pods(canvas: &mut Canvas, scene: &Scene) -> Result<()> {
    let (panel, series) = (&scene.layout.pods, &scene.result.series);
    let plot = &panel.plot;
    let (running, pending) = (&series.pods_running, &series.pods_pending);
    let remark = format!(
        "max running {} · max pending {} · pending at the end {}",
        grouped(running.max() as f64, 0),
        grouped(pending.max() as f64, 0),
        grouped(pending.last() as f64, 0)
    );
    let free = frame::titles(canvas, panel, "Pods running and pending", "pods", &remark)?;
    let key = [("running", BLUE), ("pending", VERMILLION)]
        .map(|(name, color)| KeyEntry { name: name.to_owned(), color });
    let places = frame::key_places(canvas, &key, free, (plot.left, plot.right));
    frame::key(canvas, &key, &places, panel.title)?;
    let density = canvas.scale();
    let below = columns(running, scene.axis, density, 1.0);
    let above = columns(pending, scene.axis, density, 1.0);
    let sum = sum(running, pending);
    let both = columns(&sum, scene.axis, density, 1.0);
    let values = ValueAxis::counts(sum.max() as f64, plot.top, plot.bottom);
    scene.grid(canvas, plot)?;
    frame::value_grid(canvas, &values, plot, "")?;
    let mut at = 0;
    while at < below.len() {
        let (r, p, top) = (below[at], above[at], both[at].max);
        let same = |i: usize| below[i] == r && above[i] == p && both[i].max == top;
        let run = run_length(at, below.len(), same);
        let across = span(plot, density, at, run);
        bar(canvas, &values, across, (0.0, r.max), BLUE, BRIEF)?;
        bar(canvas, &values, across, (0.0, r.last), BLUE, 1.0)?;
        // A wait shorter than a column is drawn at full strength: waiting is what readers look for.
        bar(canvas, &values, across, ((top - p.max).max(0.0), top), VERMILLION, 1.0)?;
        at += run;
    }
    frame::cuts(canvas, scene.axis, plot)?;
    let mut taken = Vec::new();
    for wait in plateaus(pending, scene.axis, scene.end.ms(), 1.0) {
        if wait.value > 0 {
            let text = format!("{} pending", grouped(wait.value as f64, 0));
            let at = SimTime::from_ms(scene.axis.instant((wait.left + wait.right) / 2.0) as i64);
            let top = values.y(sum.value_at(at) as f64);
            plateau_label(canvas, &wait, &text, top, &mut taken)?;
            taken.push(Area::new(wait.left, top, wait.right, plot.bottom));
        }
    }
    for plateau in plateaus(running, scene.axis, scene.end.ms(), 14.0) {
        let text = grouped(plateau.value as f64, 0);
        let y = values.y(plateau.value as f64);
        plateau_label(canvas, &plateau, &text, y, &mut taken)?;
    }
    mark_most_pending(canvas, scene, &values, &taken)
}

/// The sum of two step functions.
fn sum(a: &Steps, b: &Steps) -> Steps {
    let instants = |steps: &Steps| steps.points().iter().map(|(at, _)| *at).collect::<Vec<_>>();
    let mut all = instants(a);
    all.extend(instants(b));
    all.sort_unstable();
    all.dedup();
    let mut sum = Steps::default();
    for at in all {
        sum.set(at, a.value_at(at) + b.value_at(at));
    }
    sum
}

/// Marks the first instant at which most pods waited, with a label where nothing stands yet.
fn mark_most_pending(
    canvas: &mut Canvas,
    scene: &Scene,
    values: &ValueAxis,
    taken: &[Area],
) -> Result<()> {
    let series = &scene.result.series;
    let most = series.pods_pending.max();
    let mut points = series.pods_pending.points().iter();
    let Some((at, _)) = points.find(|(_, value)| *value == most && most > 0) else {
        return Ok(());
    };
    let plot = &scene.layout.pods.plot;
    let x = scene.axis.x(at.ms());
    let y = values.y((series.pods_running.value_at(*at) + most) as f64);
    let diamond = |r: f64| [(x, y - r), (x + r, y), (x, y + r), (x - r, y)];
    canvas.polygon(&diamond(6.5), WHITE)?;
    canvas.polygon(&diamond(5.0), VERMILLION)?;
    let text = format!("most pending: {}", grouped(most as f64, 0));
    let baseline = (y - 4.0).max(plot.top + 11.0);
    let places = [
        ((x + 10.0, baseline), Align::Left),
        ((x - 10.0, baseline), Align::Right),
        ((x + 10.0, baseline + 16.0), Align::Left),
        ((x - 10.0, baseline + 16.0), Align::Right),
    ];
    let free = |(at, align): &&((f64, f64), Align)| {
        let area = frame::label_area(canvas, &text, *at, *align);
        let inside = area.left >= plot.left && area.right <= plot.right;
        inside && !taken.iter().any(|other| other.overlaps(&area))
    };
    // The panel's title names the maximum too, so that a label without a place may be left out.
    if let Some((at, align)) = places.iter().find(free).copied() {
        frame::label(canvas, &text, at, align)?;
    }
    Ok(())
}

/// Draws the bands of a stack, largest category at the bottom: what is brief faintly, what stays in
/// full.
fn draw_stack(
    canvas: &mut Canvas,
    scene: &Scene,
    plot: &Area,
    values: &ValueAxis,
    bands: &[Vec<Column>],
    totals: &[Column],
) -> Result<()> {
    let density = canvas.scale();
    let mut at = 0;
    while at < totals.len() {
        let same = |i: usize| totals[i] == totals[at] && bands.iter().all(|b| b[i] == b[at]);
        let run = run_length(at, totals.len(), same);
        let across = span(plot, density, at, run);
        let (mut brief, mut stays) = (0.0, 0.0);
        for (category, band) in scene.categories.iter().zip(bands) {
            let top = (brief + band[at].max).min(totals[at].max);
            bar(canvas, values, across, (brief, top), category.color, BRIEF)?;
            brief = top;
        }
        for (category, band) in scene.categories.iter().zip(bands) {
            let top = stays + band[at].last;
            bar(canvas, values, across, (stays, top), category.color, 1.0)?;
            let edge = values.y(stays);
            if stays > 0.0 && edge - values.y(top) >= 4.0 {
                let line = Area::new(across.0, edge - 1.0, across.1, edge);
                canvas.fill(line, WHITE, 1.0)?;
            }
            stays = top;
        }
        at += run;
    }
    Ok(())
}

/// Draws a total as a black step line that spans, within a column, from the lowest to the highest
/// value.
fn draw_total(
    canvas: &mut Canvas,
    plot: &Area,
    values: &ValueAxis,
    totals: &[Column],
) -> Result<()> {
    let density = canvas.scale();
    let mut at = 0;
    while at < totals.len() {
        let total = totals[at];
        let run = run_length(at, totals.len(), |i| totals[i] == total);
        let (left, right) = span(plot, density, at, run);
        let line =
            |from: f64, to: f64| Area::new(left, values.y(to) - 1.0, right, values.y(from) + 1.0);
        canvas.fill(line(total.min, total.max), BLACK, 1.0)?;
        at += run;
    }
    Ok(())
}

/// Fills the columns between two values; nothing when they are equal.
fn bar(
    canvas: &mut Canvas,
    values: &ValueAxis,
    (left, right): (f64, f64),
    (from, to): (f64, f64),
    color: Rgb,
    alpha: f64,
) -> Result<()> {
    if to <= from {
        return Ok(());
    }
    let area = Area::new(left, values.y(to), right, values.y(from));
    canvas.fill(area, color, alpha)
}

/// How many columns from `at` on are alike.
fn run_length(at: usize, count: usize, same: impl Fn(usize) -> bool) -> usize {
    (at + 1..count).find(|i| !same(*i)).unwrap_or(count) - at
}

fn span(plot: &Area, density: u32, at: usize, run: usize) -> (f64, f64) {
    let x = |column: usize| plot.left + column as f64 / f64::from(density);
    (x(at), x(at + run))
}

/// Names the bands that reach the right end and are high enough.
fn band_labels(
    canvas: &mut Canvas,
    scene: &Scene,
    plot: &Area,
    values: &ValueAxis,
    bands: &[Vec<Column>],
) -> Result<()> {
    let mut below = 0.0;
    for (category, band) in scene.categories.iter().zip(bands) {
        let above = below + band.last().map_or(0.0, |column| column.last);
        let (top, bottom) = (values.y(above), values.y(below));
        if bottom - top >= BAND_LABEL {
            let y = (top + bottom) / 2.0;
            let tab = Area::new(plot.right + 6.0, top + 1.0, plot.right + 10.0, bottom - 1.0);
            canvas.fill(tab, category.color, 1.0)?;
            let room = scene.layout.labels_right - plot.right - 14.0;
            let name = canvas.shorten(&category.name, TICK, room);
            canvas.text(&name, (plot.right + 14.0, y + 4.0), Align::Left, TICK)?;
        }
        below = above;
    }
    Ok(())
}

/// Writes a text above a plateau if it is wide enough and the place is free, and takes the place.
fn plateau_label(
    canvas: &mut Canvas,
    plateau: &Plateau,
    text: &str,
    y: f64,
    taken: &mut Vec<Area>,
) -> Result<()> {
    let at = ((plateau.left + plateau.right) / 2.0, y - 5.0);
    let covered = frame::label_area(canvas, text, at, Align::Middle);
    let fits = covered.left >= plateau.left && covered.right <= plateau.right;
    if fits && !taken.iter().any(|area| area.overlaps(&covered)) {
        taken.push(frame::label(canvas, text, at, Align::Middle)?);
    }
    Ok(())
}

/// Launches and terminations below the nodes: up and down from a line, with instance types where
/// there is room.
fn lane(canvas: &mut Canvas, scene: &Scene) -> Result<()> {
    let lane = &scene.layout.lane;
    let middle = (lane.top + lane.bottom) / 2.0;
    let line = Area::new(lane.left, middle, lane.right, middle + 1.0);
    canvas.fill(line, TEXT, 1.0)?;
    let entries = &scene.result.ledger.entries;
    let launched = |e: &Entry| Some(e.launched_at);
    let terminated = |e: &Entry| e.terminating_at;
    for (name, up, marks) in [
        ("launched", true, marks(scene, entries, launched)),
        ("terminated", false, marks(scene, entries, terminated)),
    ] {
        let baseline = if up { middle - 4.0 } else { middle + 13.0 };
        canvas.text(name, (lane.left - 10.0, baseline), Align::Right, NOTE)?;
        let nexts = marks.iter().skip(1).map(|mark| mark.x).chain([lane.right + 8.0]);
        let mut group: Option<Mark> = None;
        for (mark, next) in marks.iter().zip(nexts) {
            let touching = group.take().filter(|group| mark.x - group.x < 2.0 * HALF_WIDTH);
            let group = group.insert(touching.map_or(mark.clone(), |group| group.joined(mark)));
            let (base, tip) =
                if up { (middle, middle - 11.0) } else { (middle + 1.0, middle + 12.0) };
            if marks.len() <= DENSE {
                let corners =
                    [(mark.x - HALF_WIDTH, base), (mark.x + HALF_WIDTH, base), (mark.x, tip)];
                canvas.polygon(&corners, BLACK)?;
            } else {
                let tick = Area::new(mark.x, base.min(tip), mark.x + 1.0, base.max(tip));
                canvas.fill(tick, BLACK, 1.0)?;
            }
            let text = canvas.shorten(&group.text(), NOTE, 160.0);
            let room_ends = (next - 8.0).min(scene.axis.piece_right(mark.x) - 6.0);
            if mark.x + 8.0 + canvas.text_width(&text, NOTE) <= room_ends {
                canvas.text(&text, (mark.x + 8.0, baseline), Align::Left, NOTE)?;
            }
        }
    }
    frame::cuts(canvas, scene.axis, &Area::new(lane.left, lane.top, lane.right, lane.bottom))
}

/// Half the width of the mark of a launch or termination.
const HALF_WIDTH: f64 = 4.5;

/// Launches or terminations that fall together on the picture.
#[derive(Clone)]
struct Mark {
    x: f64,
    count: usize,
    /// The instance type; none when there are several.
    instance_type: Option<String>,
}

impl Mark {
    /// Both together, at the place of the later one.
    fn joined(self, later: &Mark) -> Mark {
        let same = self.instance_type == later.instance_type;
        Mark {
            x: later.x,
            count: self.count + later.count,
            instance_type: self.instance_type.filter(|_| same),
        }
    }

    fn text(&self) -> String {
        match (&self.instance_type, self.count) {
            (Some(name), 1) => name.clone(),
            (Some(name), count) => format!("{count} × {name}"),
            (None, count) => format!("{count} nodes"),
        }
    }
}

/// The instants of `entries`, those within two pixels of the first taken together.
fn marks(
    scene: &Scene,
    entries: &[Entry],
    instant: impl Fn(&Entry) -> Option<SimTime>,
) -> Vec<Mark> {
    let with_instant = |entry| instant(entry).map(|at| (at, &*entry.instance_type));
    let mut instants: Vec<(SimTime, &str)> = entries.iter().filter_map(with_instant).collect();
    instants.sort_unstable();
    let mut marks: Vec<Mark> = Vec::new();
    for (at, name) in instants {
        let x = scene.axis.x(at.ms());
        match marks.last_mut() {
            Some(mark) if x - mark.x < 2.0 => {
                mark.count += 1;
                if mark.instance_type.as_deref() != Some(name) {
                    mark.instance_type = None;
                }
            }
            _ => marks.push(Mark { x, count: 1, instance_type: Some(name.to_owned()) }),
        }
    }
    marks
}
