//! Policies side by side as one PNG: differences to the first policy with intervals, below them a column of panels for
//! each policy, all on the same scales, and last how the bills part over time, and cost against evictions.

use anyhow::{Result, ensure};

use super::axis::{TimeAxis, ValueAxis, counted, grouped};
use super::canvas::{Align, Area, Canvas, Ink};
use super::disruption;
use super::frame::{self, NOTE, TICK, TITLE};
use super::header;
use super::layout::MARGIN;
use super::palette::{BLACK, GRID, POLICIES, Rgb, SECONDARY, TEXT, VERMILLION, WHITE};
use super::png::{self, PngOptions};
use super::raster::{Column, columns};
use super::signed_axis::SignedAxis;
use super::tradeoff;
use crate::outcome::{Header, RunResult, Steps};
use crate::units::SimTime;

/// Most policies of one picture.
pub const POLICY_LIMIT: usize = 6;
/// Most metrics of the band of differences.
const METRIC_LIMIT: usize = 4;
/// Room for axis titles and tick labels left of the columns.
const GUTTER: f64 = 110.0;
/// Free space between columns.
const BETWEEN: f64 = 22.0;
/// Height of a line of the band of differences, of its titles and of its tick labels.
const LINE: f64 = 26.0;
const BAND_TITLE: f64 = 26.0;
const BAND_AXIS: f64 = 26.0;
/// Height of the last band, its title and its axis included.
const LAST_BAND: f64 = 232.0;
/// Pictures lower than this have no last band.
const WITH_LAST_BAND: f64 = 1_100.0;

/// An estimate with its intervals; low <= value <= high, the 50 % interval inside the 95 % one. All finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The estimate.
    pub value: f64,
    /// The 50 % interval.
    pub half: (f64, f64),
    /// The 95 % interval.
    pub most: (f64, f64),
}

/// One policy.
#[derive(Clone, Debug)]
pub struct PolicyColumn<'r> {
    /// Its name.
    pub name: String,
    /// The settings that differ between policies, in words: `consolidateAfter 5m`.
    pub settings: String,
    /// The run that is drawn: that of the first seed.
    pub run: &'r RunResult,
    /// Evictions per pod and day, and the cost of a month in dollars, over all replications.
    pub tradeoff: Option<(Interval, Interval)>,
}

/// One metric compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Contrast {
    /// What, with its unit: `cost, $ per month`.
    pub name: String,
    /// For each policy after the first, its difference to the first, and the verdict: `costlier`, `fewer`, `no change`.
    pub differences: Vec<(Interval, String)>,
}

/// Everything on the picture.
#[derive(Clone, Debug)]
pub struct Comparison<'r> {
    /// Title.
    pub title: String,
    /// What all policies have in common.
    pub common: String,
    /// Paired replications behind the intervals.
    pub replications: u32,
    /// Two to six policies; the first is the one compared with.
    pub policies: Vec<PolicyColumn<'r>>,
    /// At most four: cost, nodes created, evictions, waits at p95.
    pub contrasts: Vec<Contrast>,
    /// Where it all comes from.
    pub header: Header,
}

/// Draws a comparison. Fails for fewer than two or more than six policies, and for a contrast without a difference for
/// each policy after the first.
pub fn draw(comparison: &Comparison, options: &PngOptions) -> Result<Vec<u8>> {
    let count = comparison.policies.len();
    ensure!(
        (2..=POLICY_LIMIT).contains(&count),
        "{count} policies: 2 to {POLICY_LIMIT} can be drawn"
    );
    let complete = comparison.contrasts.iter().all(|c| c.differences.len() + 1 == count);
    ensure!(complete, "a contrast needs a difference for each policy after the first");
    png::picture(&comparison.header, options, |canvas, width, height| {
        panels(canvas, comparison, width, height)
    })
}

fn panels(canvas: &mut Canvas, comparison: &Comparison, width: f64, height: f64) -> Result<()> {
    let replications = comparison.replications;
    let runs = match replications {
        1 => "one run of each, on the same random world".to_owned(),
        n => {
            let count = grouped(f64::from(n), 0);
            format!("{count} paired replications with common random numbers · drawn: the first")
        }
    };
    let remark = format!("{runs} · {}", comparison.header.semantics);
    header::plain(canvas, (&comparison.title, &comparison.common, &remark), width)?;
    let band_top = MARGIN + 88.0;
    let lines = comparison.policies.len() - 1;
    forest(canvas, comparison, band_top, width)?;
    let band = match comparison.contrasts.is_empty() {
        true => 0.0,
        false => BAND_TITLE + LINE * lines as f64 + BAND_AXIS + 16.0,
    };
    let last_band = if height < WITH_LAST_BAND { 0.0 } else { LAST_BAND };
    let bottom = height - MARGIN - 62.0 - last_band;
    let area = Area::new(MARGIN + GUTTER, band_top + band, width - MARGIN, bottom);
    side_by_side(canvas, comparison, &area)?;
    if last_band > 0.0 {
        let top = bottom + 62.0;
        let band = Area::new(MARGIN + GUTTER, top, width - MARGIN, bottom + LAST_BAND + 26.0);
        tradeoff::draw(canvas, comparison, &band)?;
    }
    header::footer(canvas, &comparison.header, height - MARGIN, width)
}

/// The band of differences: a metric each, a line each policy.
fn forest(canvas: &mut Canvas, comparison: &Comparison, top: f64, width: f64) -> Result<()> {
    let contrasts = &comparison.contrasts[..comparison.contrasts.len().min(METRIC_LIMIT)];
    let free = width - 2.0 * MARGIN - GUTTER;
    let each = free / contrasts.len().max(1) as f64;
    for (i, contrast) in contrasts.iter().enumerate() {
        let left = MARGIN + GUTTER + each * i as f64;
        let lines_top = top + BAND_TITLE;
        let bottom = lines_top + LINE * contrast.differences.len() as f64;
        let plot = Area::new(left, lines_top, left + each - 2.0 * BETWEEN, bottom);
        differences(canvas, contrast, &plot)?;
    }
    if contrasts.is_empty() {
        return Ok(());
    }
    for (i, policy) in comparison.policies.iter().skip(1).enumerate() {
        let y = top + BAND_TITLE + LINE * (i as f64 + 0.5) + 4.0;
        let name = canvas.shorten(&policy.name, TICK, GUTTER - 26.0);
        canvas.text(&name, (MARGIN + GUTTER - 24.0, y), Align::Right, TICK)?;
        let swatch = MARGIN + GUTTER - 18.0;
        canvas.fill(Area::new(swatch, y - 10.0, swatch + 10.0, y), POLICIES[i + 1], 1.0)?;
    }
    Ok(())
}

fn differences(canvas: &mut Canvas, contrast: &Contrast, plot: &Area) -> Result<()> {
    let title = canvas.shorten(&contrast.name, TITLE, plot.width());
    canvas.text(&title, (plot.left, plot.top - 9.0), Align::Left, TITLE)?;
    let bounds = contrast.differences.iter().flat_map(|(i, _)| [i.most.0, i.most.1]);
    // Nearly half of the width is left to the verdicts.
    let axis = SignedAxis::new(bounds, (plot.left, plot.right), 0.45, 90.0);
    for value in axis.ticks() {
        let x = axis.place(value);
        let zero = value == 0.0;
        let line = Area::new(x, plot.top, x + 1.0, plot.bottom + 4.0);
        canvas.fill(line, if zero { BLACK } else { GRID }, 1.0)?;
        let text = axis.text(value);
        canvas.text(&text, (x, plot.bottom + 17.0), Align::Middle, TICK)?;
    }
    for (i, (interval, verdict)) in contrast.differences.iter().enumerate() {
        let y = plot.top + LINE * (i as f64 + 0.5);
        let color = POLICIES[(i + 1) % POLICIES.len()];
        let bar = |(low, high): (f64, f64), half: f64| {
            Area::new(axis.place(low), y - half, axis.place(high), y + half)
        };
        canvas.fill(bar(interval.most, 1.0), color, 1.0)?;
        canvas.fill(bar(interval.half, 3.0), color, 1.0)?;
        disruption::shape(canvas, None, (axis.place(interval.value), y), 4.5, BLACK)?;
        let (low, high) = interval.most;
        verdict_text(canvas, verdict, (axis.place(low), axis.place(high)), y, plot)?;
    }
    Ok(())
}

/// The verdict beside the interval, on the side with more room.
fn verdict_text(
    canvas: &mut Canvas,
    verdict: &str,
    (low, high): (f64, f64),
    y: f64,
    plot: &Area,
) -> Result<()> {
    let (room_left, room_right) = (low - plot.left, plot.right - high);
    let right = room_right >= room_left;
    let room = room_left.max(room_right) - 10.0;
    let short = if verdict == "no change detected" { "unclear" } else { verdict };
    let fits = canvas.text_width(verdict, NOTE) <= room;
    let text = canvas.shorten(if fits { verdict } else { short }, NOTE, room.max(0.0));
    let width = canvas.text_width(&text, NOTE);
    let left = if right { high + 8.0 } else { low - 8.0 - width };
    // Grid lines would run through the word.
    canvas.fill(Area::new(left - 2.0, y - 8.0, left + width + 2.0, y + 8.0), WHITE, 0.85)?;
    let (x, align) = if right { (high + 8.0, Align::Left) } else { (low - 8.0, Align::Right) };
    canvas.text(&text, (x, y + 4.0), align, NOTE)
}

/// What one row of the columns shows.
struct Row {
    unit: &'static str,
    title: &'static str,
    share: f64,
    steps: fn(&RunResult) -> &Steps,
    factor: f64,
    sign: &'static str,
    color: Option<Rgb>,
}

const ROWS: [Row; 3] = [
    Row {
        unit: "nodes",
        title: "Nodes",
        share: 0.27,
        steps: |r| &r.series.nodes,
        factor: 1.0,
        sign: "",
        color: None,
    },
    Row {
        unit: "$ per hour",
        title: "Dollars per hour",
        share: 0.27,
        steps: |r| &r.series.cost_rate,
        factor: 1e-9,
        sign: "$",
        color: None,
    },
    Row {
        unit: "pods",
        title: "Pods pending",
        share: 0.2,
        steps: |r| &r.series.pods_pending,
        factor: 1.0,
        sign: "",
        color: Some(VERMILLION),
    },
];
const DISRUPTIONS_SHARE: f64 = 0.26;
const PANEL_TITLE: f64 = 34.0;
const COLUMN_TITLE: f64 = 40.0;

fn side_by_side(canvas: &mut Canvas, comparison: &Comparison, area: &Area) -> Result<()> {
    let policies = &comparison.policies;
    let end = policies.iter().map(|p| p.run.end.max(SimTime::from_ms(1))).max();
    let end = end.unwrap_or(SimTime::from_ms(1));
    let count = policies.len() as f64;
    let each = libm::floor((area.width() - BETWEEN * (count - 1.0)) / count);
    let free = area.bottom - area.top - COLUMN_TITLE - 4.0 * PANEL_TITLE;
    for (i, policy) in policies.iter().enumerate() {
        let left = area.left + (each + BETWEEN) * i as f64;
        let axis = TimeAxis::new(&[], end.ms(), left, left + each);
        let start = header::start(&comparison.header);
        let ticks = axis.ticks(start, 86.0);
        let places: Vec<f64> = ticks.iter().map(|tick| tick.x).collect();
        column_title(canvas, policy, POLICIES[i], (left, area.top), each)?;
        let mut top = area.top + COLUMN_TITLE;
        for row in &ROWS {
            let bottom = top + PANEL_TITLE + libm::floor(free * row.share);
            let plot = Area::new(left, top + PANEL_TITLE, left + each, bottom);
            let color = row.color.unwrap_or(POLICIES[i]);
            step_panel(
                canvas,
                comparison,
                row,
                policy.run,
                (&axis, &places),
                &plot,
                color,
                i == 0,
            )?;
            top = bottom;
        }
        let bottom = top + PANEL_TITLE + libm::floor(free * DISRUPTIONS_SHARE);
        let plot = Area::new(left, top + PANEL_TITLE, left + each, bottom);
        raster(canvas, policy.run, (&axis, &places), &plot, i == 0)?;
        frame::time_tick_labels(canvas, &ticks, &plot, frame::Overhang(4.0))?;
        if i == 0 {
            let title = if start.is_some() { "time, UTC" } else { "elapsed" };
            let at = (left - 36.0, plot.bottom + 18.0);
            canvas.text(title, at, Align::Right, frame::AXIS_TITLE)?;
        }
    }
    Ok(())
}

fn column_title(
    canvas: &mut Canvas,
    policy: &PolicyColumn,
    color: Rgb,
    (left, top): (f64, f64),
    room: f64,
) -> Result<()> {
    canvas.fill(Area::new(left, top, left + room, top + 3.0), color, 1.0)?;
    let ink = Ink::bold(15, TEXT);
    let name = canvas.shorten(&policy.name, ink, room);
    canvas.text(&name, (left, top + 20.0), Align::Left, ink)?;
    let settings = canvas.shorten(&policy.settings, TICK, room);
    canvas.text(&settings, (left, top + 36.0), Align::Left, TICK)
}

/// One step function on the scale that all policies share.
#[expect(clippy::too_many_arguments, reason = "one caller; a struct would only rename them")]
fn step_panel(
    canvas: &mut Canvas,
    comparison: &Comparison,
    row: &Row,
    run: &RunResult,
    (axis, ticks): (&TimeAxis, &[f64]),
    plot: &Area,
    color: Rgb,
    first: bool,
) -> Result<()> {
    let highest = comparison.policies.iter().map(|p| (row.steps)(p.run).max()).max().unwrap_or(0);
    let highest = highest as f64 * row.factor;
    let values = match row.sign {
        "$" => ValueAxis::dollars(highest, plot.top, plot.bottom),
        _ => ValueAxis::counts(highest, plot.top, plot.bottom),
    };
    frame::time_grid(canvas, axis, ticks, plot)?;
    if first {
        frame::value_grid(canvas, &values, plot, row.sign)?;
        let at = (plot.left - 10.0, plot.top - 7.0);
        canvas.text(row.unit, at, Align::Right, frame::AXIS_TITLE)?;
    } else {
        for value in values.ticks() {
            let y = values.y(value);
            let line = Area::new(plot.left, y, plot.right, y + 1.0);
            canvas.fill(line, if value == 0.0 { SECONDARY } else { GRID }, 1.0)?;
        }
    }
    let steps = (row.steps)(run);
    let mean = steps.integral(run.end) as f64 * row.factor / run.end.ms().max(1) as f64;
    let most = steps.max() as f64 * row.factor;
    let (places, sign) = (if row.sign.is_empty() { 1 } else { 4 }, row.sign);
    let whole = if row.sign.is_empty() { 0 } else { 4 };
    let said = format!("max {sign}{} · mean {sign}{}", grouped(most, whole), grouped(mean, places));
    let title_end = plot.left + canvas.text_width(row.title, TITLE) + 12.0;
    canvas.text(row.title, (plot.left, plot.top - 7.0), Align::Left, TITLE)?;
    if title_end + canvas.text_width(&said, NOTE) <= plot.right {
        canvas.text(&said, (plot.right, plot.top - 7.0), Align::Right, NOTE)?;
    }
    let step = 1.0 / f64::from(canvas.scale());
    for (i, Column { max, last, .. }) in
        columns(steps, axis, canvas.scale(), row.factor).into_iter().enumerate()
    {
        let x = plot.left + i as f64 * step;
        let bar = |to: f64| Area::new(x, values.y(to), x + step, plot.bottom);
        if max > last {
            canvas.fill(bar(max), color, 0.45)?;
        }
        if last > 0.0 {
            canvas.fill(bar(last), color, 1.0)?;
        }
    }
    Ok(())
}

/// Disruptions of one run, one line a reason, with their number at the right end of the title.
fn raster(
    canvas: &mut Canvas,
    run: &RunResult,
    (axis, ticks): (&TimeAxis, &[f64]),
    plot: &Area,
    first: bool,
) -> Result<()> {
    frame::time_grid(canvas, axis, ticks, plot)?;
    canvas.text("Disruptions", (plot.left, plot.top - 7.0), Align::Left, TITLE)?;
    let events = counted(run.disruptions.len() as u64, "event");
    let evicted = counted(run.counts.evictions(), "pod") + " evicted";
    let room = plot.width() - canvas.text_width("Disruptions", TITLE) - 12.0;
    let wordings = [format!("{events} · {evicted}"), evicted];
    if let Some(said) = wordings.iter().find(|said| canvas.text_width(said, NOTE) <= room) {
        canvas.text(said, (plot.right, plot.top - 7.0), Align::Right, NOTE)?;
    }
    let height = (plot.bottom - plot.top) / disruption::ROWS.len() as f64;
    for (i, cause) in disruption::ROWS.into_iter().enumerate() {
        let y = libm::round(plot.top + height * (i as f64 + 0.5));
        let (name, color) = disruption::look(Some(cause));
        canvas.fill(Area::new(plot.left, y, plot.right, y + 1.0), GRID, 1.0)?;
        if first {
            canvas.text(name, (plot.left - 26.0, y + 4.0), Align::Right, TICK)?;
            disruption::shape(canvas, Some(cause), (plot.left - 16.0, y + 0.5), 4.5, color)?;
        }
        let mut before = f64::MIN;
        for event in run.disruptions.iter().filter(|d| d.cause == cause) {
            let x = axis.x(event.at.ms());
            if x - before >= 3.0 {
                disruption::shape(canvas, Some(cause), (x, y + 0.5), 4.5, color)?;
                before = x;
            }
        }
    }
    let base = Area::new(plot.left, plot.bottom, plot.right, plot.bottom + 1.0);
    canvas.fill(base, SECONDARY, 1.0)
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn interval(value: f64, half: f64) -> Interval {
        let around = |width: f64| (value - width, value + width);
        Interval { value, half: around(half / 3.0), most: around(half) }
    }

    fn comparison<'r>(runs: &[(&str, &'r RunResult)]) -> Comparison<'r> {
        let policies: Vec<PolicyColumn<'r>> = runs
            .iter()
            .map(|(name, run)| PolicyColumn {
                name: (*name).to_owned(),
                settings: format!("consolidateAfter {name}"),
                run,
                tradeoff: (*name != "2h").then(|| {
                    let evictions = name.len() as f64;
                    (interval(evictions, 0.3), interval(400.0 - evictions, 9.0))
                }),
            })
            .collect();
        let contrast = |name: &str, value: f64, width: f64| Contrast {
            name: name.to_owned(),
            differences: (1..runs.len())
                .map(|i| (interval(value * i as f64, width), "costlier".to_owned()))
                .collect(),
        };
        Comparison {
            title: "eks-workshop".to_owned(),
            common: "NodePool default: WhenEmptyOrUnderutilized, expireAfter 72h, budget 10%"
                .to_owned(),
            replications: 20,
            policies,
            contrasts: vec![
                contrast("cost, $ per month", 14.1, 4.8),
                contrast("nodes created", -21.5, 1.5),
                contrast("pods evicted", -109.0, 9.0),
                contrast("pods wait at p95, s", 0.0, 0.0),
            ],
            header: runs[0].1.header.clone(),
        }
    }

    #[test]
    fn two_and_six_policies_are_drawn() -> Result<()> {
        let (calm, busy) = (samples::workshop(), samples::busy("30 days", 6, 400));
        let empty = samples::empty("empty", crate::units::SimDuration::from_minutes(60));
        let two = comparison(&[("1m", &calm), ("5m", &calm)]);
        samples::keep("compare-2", &draw(&two, &PngOptions::default())?)?;
        let long = "x".repeat(253);
        let runs: Vec<(&str, &RunResult)> = vec![
            ("1m", &busy),
            ("5m", &busy),
            (&long, &busy),
            ("1h", &empty),
            ("2h", &busy),
            ("Never", &busy),
        ];
        samples::keep("compare-6", &draw(&comparison(&runs), &PngOptions::default())?)
    }

    #[test]
    fn what_is_no_comparison_is_refused() {
        let run = samples::workshop();
        assert!(draw(&comparison(&[("1m", &run)]), &PngOptions::default()).is_err());
        let mut short = comparison(&[("1m", &run), ("5m", &run)]);
        short.contrasts[0].differences.clear();
        assert!(draw(&short, &PngOptions::default()).is_err());
    }
}
