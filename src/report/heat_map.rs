//! Sweeps over two parameters as one PNG: a heat map each metric, or each policy or value of a third parameter.

use anyhow::{Result, ensure};

use super::axis::{counted, grouped};
use super::canvas::{Align, Area, Canvas, Ink};
use super::frame::{self, NOTE, TICK, TITLE};
use super::header;
use super::layout::MARGIN;
use super::palette::{BLACK, GRID, Rgb, VERMILLION, WHITE, cividis};
use super::png::{self, PngOptions};
use crate::outcome::Header;

/// Maps of one picture.
pub const MAP_LIMIT: usize = 6;
/// Smallest cells whose values are printed.
const PRINTED_CELL: (f64, f64) = (40.0, 22.0);
/// Room left of a map for the labels of its rows, and right of it for the scale.
const LEFT: f64 = 84.0;
const RIGHT: f64 = 86.0;

/// Metrics over two parameters.
#[derive(Clone, Debug)]
pub struct HeatMaps {
    /// Title.
    pub title: String,
    /// What all runs have in common.
    pub common: String,
    /// Path and labels of the parameter from left to right.
    pub across: (String, Vec<String>),
    /// Path and labels of the parameter from top to bottom.
    pub down: (String, Vec<String>),
    /// One to six maps.
    pub maps: Vec<HeatMap>,
    /// Replications of each cell.
    pub replications: u32,
    /// Where it all comes from.
    pub header: Header,
}

/// One map.
#[derive(Clone, Debug)]
pub struct HeatMap {
    /// What it shows, with its unit.
    pub name: String,
    /// Maps of one scale have the same number: their colours mean the same.
    pub scale: usize,
    /// True when less is better.
    pub lower_is_better: bool,
    /// Rows of cells, from top to bottom.
    pub cells: Vec<Vec<Cell>>,
}

/// A cell of a heat map.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cell {
    /// The mean; none where the runs failed.
    pub value: Option<f64>,
    /// An assertion of the scenario is violated.
    pub infeasible: bool,
}

/// Lowest and highest value of a scale, and the digits after the point that tell its values apart.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scale {
    low: f64,
    high: f64,
    decimals: usize,
}

impl Scale {
    /// The scale of all maps with this number; none when no cell has a value.
    fn of(maps: &HeatMaps, number: usize) -> Option<Scale> {
        let of_scale = maps.maps.iter().filter(|map| map.scale == number);
        let values = || of_scale.clone().flat_map(|map| map.cells.iter().flatten());
        let values = || values().filter_map(|cell| cell.value);
        let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
        if high < low {
            return None;
        }
        // A hundredth of the range still shows.
        let digits = libm::ceil(-libm::log10((high - low).max(1e-9) / 100.0)).clamp(0.0, 2.0);
        let whole = values().all(|value| value == libm::trunc(value));
        Some(Scale { low, high, decimals: if whole { 0 } else { digits as usize } })
    }

    fn share(&self, value: f64) -> f64 {
        if self.high > self.low { (value - self.low) / (self.high - self.low) } else { 0.5 }
    }

    fn text(&self, value: f64) -> String {
        let sign = if value < 0.0 { "−" } else { "" };
        format!("{sign}{}", grouped(value.abs(), self.decimals))
    }
}

/// Draws heat maps.
pub fn draw(maps: &HeatMaps, options: &PngOptions) -> Result<Vec<u8>> {
    let (columns, rows) = (maps.across.1.len(), maps.down.1.len());
    let square =
        |map: &HeatMap| map.cells.len() == rows && map.cells.iter().all(|row| row.len() == columns);
    ensure!(
        maps.maps.iter().all(square) && columns > 0 && rows > 0,
        "a heat map needs a cell for each pair of values"
    );
    let count = maps.maps.len();
    ensure!((1..=MAP_LIMIT).contains(&count), "1 to {MAP_LIMIT} heat maps can be drawn");
    png::picture(&maps.header, options, |canvas, width, height| {
        header::plain(canvas, (&maps.title, &maps.common, &remark(maps)), width)?;
        let (across, down) = match count {
            1 => (1, 1),
            2..=4 => (2, count.div_ceil(2)),
            _ => (3, 2),
        };
        let each_x = (width - 2.0 * MARGIN) / across as f64;
        let (top, bottom) = (MARGIN + 84.0, height - MARGIN - 24.0);
        let each_y = (bottom - top) / down as f64;
        for (i, map) in maps.maps.iter().enumerate() {
            let left = MARGIN + each_x * (i % across) as f64;
            let top = top + each_y * (i / across) as f64;
            let (right, bottom) = (left + each_x - RIGHT, top + each_y - 54.0);
            let plot = Area::new(left + LEFT, top + 44.0, right, bottom);
            draw_map(canvas, maps, map, &plot)?;
        }
        header::footer(canvas, &maps.header, height - MARGIN, width)
    })
}

/// The line below the title: what the marks mean that occur.
fn remark(maps: &HeatMaps) -> String {
    let cells = || maps.maps.iter().flat_map(|map| map.cells.iter().flatten());
    let mut parts =
        vec![format!("mean of {} a cell", counted(maps.replications.into(), "replication"))];
    let infeasible = cells().any(|cell| cell.infeasible);
    parts.push(match infeasible {
        true => "outlined: the best that keeps all assertions".to_owned(),
        false => "outlined: the best".to_owned(),
    });
    if infeasible {
        parts.push("hatched: an assertion is violated".to_owned());
    }
    if cells().any(|cell| cell.value.is_none()) {
        parts.push("grey: failed".to_owned());
    }
    parts.push(maps.header.semantics.clone());
    parts.join(" · ")
}

fn draw_map(canvas: &mut Canvas, maps: &HeatMaps, map: &HeatMap, plot: &Area) -> Result<()> {
    let name = canvas.shorten(&map.name, TITLE, plot.width());
    canvas.text(&name, (plot.left, plot.top - 10.0), Align::Left, TITLE)?;
    if let Some(scale) = Scale::of(maps, map.scale) {
        cells(canvas, map, &scale, plot)?;
        color_bar(canvas, &scale, plot)?;
    }
    labels(canvas, maps, map, plot)
}

fn cells(canvas: &mut Canvas, map: &HeatMap, scale: &Scale, plot: &Area) -> Result<()> {
    let columns = map.cells.first().map_or(1, Vec::len).max(1);
    let width = plot.width() / columns as f64;
    let height = (plot.bottom - plot.top) / map.cells.len().max(1) as f64;
    let printed = width >= PRINTED_CELL.0 && height >= PRINTED_CELL.1;
    let best = best(map);
    let mut outlined = None;
    for (i, row) in map.cells.iter().enumerate() {
        for (j, cell) in row.iter().enumerate() {
            let (left, top) = (plot.left + width * j as f64, plot.top + height * i as f64);
            let area = Area::new(left, top, left + width - 1.0, top + height - 1.0);
            let Some(value) = cell.value else {
                canvas.fill(area, GRID, 1.0)?;
                if printed {
                    frame::label(canvas, "failed", middle(&area), Align::Middle)?;
                }
                continue;
            };
            canvas.fill(area, cividis(scale.share(value)), 1.0)?;
            if cell.infeasible {
                canvas.hatch(area, BLACK)?;
            }
            if printed {
                print_value(canvas, scale, (value, cell.infeasible), &area)?;
            }
            if best == Some((i, j)) {
                outlined = Some(area);
            }
        }
    }
    match outlined {
        Some(area) => outline(canvas, &area),
        None => Ok(()),
    }
}

fn middle(area: &Area) -> (f64, f64) {
    ((area.left + area.right) / 2.0, (area.top + area.bottom) / 2.0 + 4.0)
}

/// Prints a value in black or white, whichever stands out.
fn print_value(
    canvas: &mut Canvas,
    scale: &Scale,
    (value, infeasible): (f64, bool),
    area: &Area,
) -> Result<()> {
    let text = scale.text(value);
    let color: Rgb = if scale.share(value) > 0.55 || infeasible { BLACK } else { WHITE };
    let ink = Ink::regular(12, color);
    if canvas.text_width(&text, ink) + 4.0 > area.width() {
        return Ok(());
    }
    if infeasible {
        frame::label(canvas, &text, middle(area), Align::Middle)?;
        return Ok(());
    }
    canvas.text(&text, middle(area), Align::Middle, ink)
}

/// The best cell that violates nothing; of equals the first by row and column. None where all cells are equal.
fn best(map: &HeatMap) -> Option<(usize, usize)> {
    let mut found: Option<(f64, (usize, usize))> = None;
    let mut differ = false;
    for (i, row) in map.cells.iter().enumerate() {
        for (j, cell) in row.iter().enumerate() {
            let Some(value) = cell.value.filter(|_| !cell.infeasible) else { continue };
            let cost = if map.lower_is_better { value } else { -value };
            differ |= found.is_some_and(|(least, _)| cost != least);
            if found.is_none_or(|(least, _)| cost < least) {
                found = Some((cost, (i, j)));
            }
        }
    }
    found.filter(|_| differ || map.cells.iter().flatten().count() == 1).map(|(_, at)| at)
}

fn outline(canvas: &mut Canvas, area: &Area) -> Result<()> {
    for (inset, color) in [(0.0, VERMILLION), (3.0, WHITE)] {
        let thick = if inset == 0.0 { 3.0 } else { 1.0 };
        let (left, top) = (area.left + inset, area.top + inset);
        let (right, bottom) = (area.right - inset, area.bottom - inset);
        canvas.fill(Area::new(left, top, right, top + thick), color, 1.0)?;
        canvas.fill(Area::new(left, bottom - thick, right, bottom), color, 1.0)?;
        canvas.fill(Area::new(left, top, left + thick, bottom), color, 1.0)?;
        canvas.fill(Area::new(right - thick, top, right, bottom), color, 1.0)?;
    }
    Ok(())
}

/// The colours and what they stand for, right of the cells.
fn color_bar(canvas: &mut Canvas, scale: &Scale, plot: &Area) -> Result<()> {
    let (left, height) = (plot.right + 14.0, plot.bottom - plot.top);
    for i in 0..100 {
        let top = plot.bottom - height * f64::from(i + 1) / 100.0;
        let bottom = plot.bottom - height * f64::from(i) / 100.0;
        let color = cividis(f64::from(i) / 99.0);
        canvas.fill(Area::new(left, top, left + 14.0, bottom), color, 1.0)?;
    }
    let parts = if scale.high > scale.low { &[0.0, 0.5, 1.0][..] } else { &[0.5] };
    for part in parts {
        let value = scale.low + part * (scale.high - scale.low);
        let text = match scale.decimals {
            0 if value != libm::trunc(value) && scale.high - scale.low < 20.0 => grouped(value, 1),
            _ => scale.text(value),
        };
        let y = plot.bottom - part * height;
        let baseline = (y + 4.0).clamp(plot.top + 10.0, plot.bottom);
        canvas.text(&text, (left + 19.0, baseline), Align::Left, TICK)?;
    }
    Ok(())
}

fn labels(canvas: &mut Canvas, maps: &HeatMaps, map: &HeatMap, plot: &Area) -> Result<()> {
    let width = plot.width() / maps.across.1.len() as f64;
    let height = (plot.bottom - plot.top) / maps.down.1.len() as f64;
    let (mut free_x, mut free_y) = (f64::MIN, f64::MIN);
    for (j, label) in maps.across.1.iter().enumerate() {
        let x = plot.left + width * (j as f64 + 0.5);
        let label = canvas.shorten(label, TICK, width.max(60.0) - 6.0);
        let half = canvas.text_width(&label, TICK) / 2.0;
        if x - half >= free_x {
            canvas.text(&label, (x, plot.bottom + 18.0), Align::Middle, TICK)?;
            free_x = x + half + 6.0;
        }
    }
    for (i, label) in maps.down.1.iter().enumerate() {
        let y = plot.top + height * (i as f64 + 0.5);
        if y - 6.0 >= free_y {
            let label = canvas.shorten(label, TICK, LEFT - 16.0);
            canvas.text(&label, (plot.left - 10.0, y + 4.0), Align::Right, TICK)?;
            free_y = y + 8.0;
        }
    }
    let across = canvas.shorten(&maps.across.0, frame::AXIS_TITLE, plot.width());
    let at = ((plot.left + plot.right) / 2.0, plot.bottom + 40.0);
    canvas.text(&across, at, Align::Middle, frame::AXIS_TITLE)?;
    let last = maps.down.0.rsplit('.').next().unwrap_or(&maps.down.0);
    let room = plot.width() - canvas.text_width(&map.name, TITLE) - 24.0;
    let wordings = [format!("downwards: {}", maps.down.0), format!("downwards: {last}")];
    if let Some(text) = wordings.iter().find(|text| canvas.text_width(text, NOTE) <= room) {
        canvas.text(text, (plot.right, plot.top - 10.0), Align::Right, NOTE)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn maps(columns: usize, rows: usize, count: usize) -> HeatMaps {
        let value = |i: usize, j: usize| 400.0 + ((i * 7 + j * 13) % 29) as f64 * 20.5;
        let cell = |i: usize, j: usize| Cell {
            value: ((i + j) % 23 != 22).then(|| value(i, j)),
            infeasible: j + i > columns.max(rows) + 2,
        };
        let names = |count: usize| (0..count).map(|i| format!("{}m", i * i + 1)).collect();
        let map = |number: usize| HeatMap {
            name: format!("cost under policy {number}, $ per month"),
            scale: number / 2,
            lower_is_better: true,
            cells: (0..rows).map(|i| (0..columns).map(|j| cell(i + number, j)).collect()).collect(),
        };
        HeatMaps {
            title: "eks-workshop".to_owned(),
            common: "NodePool default: WhenEmptyOrUnderutilized".to_owned(),
            across: (
                "NodePool/default:spec.disruption.consolidateAfter".to_owned(),
                names(columns),
            ),
            down: ("NodePool/default:spec.template.spec.expireAfter".to_owned(), names(rows)),
            maps: (0..count).map(map).collect(),
            replications: 16,
            header: samples::workshop().header,
        }
    }

    #[test]
    fn heat_maps_of_any_size_are_drawn() -> Result<()> {
        let options = PngOptions::default();
        samples::keep("heat", &draw(&maps(8, 6, 1), &options)?)?;
        samples::keep("heat-4", &draw(&maps(8, 6, 4), &options)?)?;
        samples::keep("heat-6", &draw(&maps(4, 3, 6), &options)?)?;
        samples::keep("heat-large", &draw(&maps(60, 90, 1), &options)?)?;
        draw(&maps(1, 1, 1), &options)?;
        assert!(draw(&maps(0, 0, 1), &options).is_err());
        assert!(draw(&maps(2, 2, 7), &options).is_err());
        let mut ragged = maps(2, 2, 1);
        ragged.maps[0].cells[0].pop();
        assert!(draw(&ragged, &options).is_err());
        Ok(())
    }

    #[test]
    fn the_best_cell_keeps_all_assertions() {
        let cell = |value: f64, infeasible: bool| Cell { value: Some(value), infeasible };
        let mut map = maps(2, 2, 1).maps.remove(0);
        map.cells =
            vec![vec![cell(1.0, true), cell(3.0, false)], vec![cell(2.0, false), Cell::default()]];
        assert_eq!(best(&map), Some((1, 0)));
        map.lower_is_better = false;
        assert_eq!(best(&map), Some((0, 1)));
        map.cells = vec![vec![cell(2.0, false), cell(2.0, false)]];
        assert_eq!(best(&map), None, "no cell is better than another");
    }

    #[test]
    fn printed_digits_tell_values_apart() {
        let mut maps = maps(2, 1, 1);
        let mut decimals = |a: f64, b: f64| {
            let cell = |value: f64| Cell { value: Some(value), infeasible: false };
            maps.maps[0].cells = vec![vec![cell(a), cell(b)]];
            Scale::of(&maps, 0).map(|scale| scale.decimals)
        };
        assert_eq!(decimals(69.96, 139.98), Some(1));
        assert_eq!(decimals(69.96, 70.33), Some(2));
        assert_eq!(decimals(1_000.5, 9_000.5), Some(0));
        assert_eq!(decimals(1.0, 18.0), Some(0));
    }
}
