//! Axes: time across, in pieces where most of the run is quiet, and values upwards from 0.
//!
//! A run often does everything in a few minutes and nothing for days. A plain axis would show such
//! a run as a spike and a flat line. [`TimeAxis`] then cuts the quiet stretches out and shows what
//! is left in pieces of linear time with scales of their own. The rule, which depends on the
//! instants of events alone:
//!
//! - A stretch without events is quiet when it lasts a twentieth of the run or more.
//! - The axis is cut when the run lasts an hour or more, one to [`MAX_BREAKS`] stretches are quiet,
//!   and what is left is less than a fifth of the run and there is room. Otherwise activity is
//!   spread over the run, and a plain axis shows that best.
//! - A busy piece gets a margin and ends on a round instant; its width grows with the square root
//!   of its length.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::outcome::summary::plural;

/// Quiet stretches that are cut out at most; with more of them, pieces would be too narrow to
/// label.
pub const MAX_BREAKS: usize = 4;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Width of a cut, wide enough for its label.
const QUIET_WIDTH: f64 = 100.0;
/// Narrowest busy piece.
const BUSY_WIDTH: f64 = 150.0;

/// Distances of ticks.
const STEPS: [i64; 21] = [
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
];

/// A stretch of time on a stretch of pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    /// First instant in milliseconds.
    pub from_ms: i64,
    /// Last instant in milliseconds.
    pub to_ms: i64,
    /// Left end.
    pub left: f64,
    /// Right end.
    pub right: f64,
    /// A cut: nothing happens here, and its width means nothing.
    pub quiet: bool,
}

/// A tick with its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where.
    pub x: f64,
    /// Upper line: time of day, or the day when ticks are days apart.
    pub time: String,
    /// Lower line: the date, where it is new.
    pub date: Option<String>,
}

/// The time axis that all panels share.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeAxis {
    pieces: Vec<Piece>,
}

impl TimeAxis {
    /// The axis from 0 to `end_ms` between `left` and `right` for ascending `instants` of events.
    pub fn new(instants: &[i64], end_ms: i64, left: f64, right: f64) -> TimeAxis {
        let end_ms = end_ms.max(1);
        let narrowest = |stretches: &[(i64, i64, bool)]| -> f64 {
            let width = |quiet| if quiet { QUIET_WIDTH } else { BUSY_WIDTH };
            stretches.iter().map(|(.., quiet)| width(*quiet)).sum()
        };
        let stretches = cut(instants, end_ms)
            .filter(|stretches| narrowest(stretches) <= right - left)
            .unwrap_or_else(|| vec![(0, end_ms, false)]);
        let spare = right - left - narrowest(&stretches);
        let weight = |from: i64, to: i64| libm::sqrt((to - from) as f64);
        let weights: f64 = stretches
            .iter()
            .filter(|(.., quiet)| !quiet)
            .map(|(from, to, _)| weight(*from, *to))
            .sum();
        let mut pieces = Vec::with_capacity(stretches.len());
        let mut at = left;
        for (from_ms, to_ms, quiet) in stretches {
            let width = if quiet {
                QUIET_WIDTH
            } else {
                BUSY_WIDTH + spare * weight(from_ms, to_ms) / weights
            };
            pieces.push(Piece {
                from_ms,
                to_ms,
                left: at,
                // Whole pixels, so that cuts are crisp.
                right: libm::round(at + width),
                quiet,
            });
            at = libm::round(at + width);
        }
        if let Some(last) = pieces.last_mut() {
            last.right = right;
        }
        TimeAxis { pieces }
    }

    /// The pieces from left to right.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// True when quiet stretches were cut out.
    pub fn is_cut(&self) -> bool {
        self.pieces.len() > 1
    }

    /// Left end.
    pub fn left(&self) -> f64 {
        self.pieces.first().map_or(0.0, |piece| piece.left)
    }

    /// Right end.
    pub fn right(&self) -> f64 {
        self.pieces.last().map_or(0.0, |piece| piece.right)
    }

    /// Where an instant lies; instants outside the run lie at the ends.
    pub fn x(&self, ms: i64) -> f64 {
        let at = self.pieces.partition_point(|piece| piece.to_ms <= ms);
        let Some(piece) = self.pieces.get(at) else {
            return self.right();
        };
        let done = (ms - piece.from_ms).max(0) as f64 / (piece.to_ms - piece.from_ms) as f64;
        piece.left + done * (piece.right - piece.left)
    }

    /// Right end of the piece at a place.
    pub fn piece_right(&self, x: f64) -> f64 {
        let at = self.pieces.partition_point(|piece| piece.right <= x);
        self.pieces.get(at).map_or(self.right(), |piece| piece.right)
    }

    /// The instant at a place.
    pub fn instant(&self, x: f64) -> f64 {
        let at = self.pieces.partition_point(|piece| piece.right < x);
        let Some(piece) = self.pieces.get(at) else {
            return self.pieces.last().map_or(0.0, |piece| piece.to_ms as f64);
        };
        let done = ((x - piece.left) / (piece.right - piece.left)).max(0.0);
        piece.from_ms as f64 + done * (piece.to_ms - piece.from_ms) as f64
    }

    /// Ticks at least `room` pixels apart. `start_epoch_s` makes them UTC; without it they count
    /// from the start.
    pub fn ticks(&self, start_epoch_s: Option<i64>, room: f64) -> Vec<Tick> {
        let mut ticks = Vec::new();
        for piece in self.pieces.iter().filter(|piece| !piece.quiet) {
            let mut date_before = None;
            let step = tick_step(piece, room);
            // UTC's days begin at multiples of a day since 1970, so that one rule aligns hours and
            // days.
            let offset = start_epoch_s.map_or(0, |s| s.saturating_mul(SECOND).rem_euclid(step));
            let first = (piece.from_ms + offset).div_euclid(step) * step - offset;
            let mut at = if first < piece.from_ms { first + step } else { first };
            while at <= piece.to_ms {
                let (time, date) = label(at, step, start_epoch_s);
                let new = date_before.as_ref() != Some(&date);
                let span = (piece.to_ms - piece.from_ms) as f64;
                let done = (at - piece.from_ms) as f64 / span;
                ticks.push(Tick {
                    x: piece.left + done * (piece.right - piece.left),
                    time,
                    date: (new && !date.is_empty()).then(|| date.clone()),
                });
                date_before = Some(date);
                at += step;
            }
        }
        ticks
    }
}

/// Busy and quiet stretches in turn, or none when a plain axis is better.
fn cut(instants: &[i64], end_ms: i64) -> Option<Vec<(i64, i64, bool)>> {
    let (first, last) = (*instants.first()?, *instants.last()?);
    if end_ms < HOUR {
        return None;
    }
    let edges = [(0, first), (last, end_ms)];
    let mut quiet: Vec<(i64, i64)> = instants
        .windows(2)
        .map(|pair| (pair[0], pair[1]))
        .chain(edges)
        .filter(|(from, to)| (to - from) * 20 >= end_ms)
        .collect();
    quiet.sort_unstable();
    let silence: i64 = quiet.iter().map(|(from, to)| to - from).sum();
    let busy = end_ms - silence;
    if quiet.is_empty() || quiet.len() > MAX_BREAKS || busy * 5 >= end_ms {
        return None;
    }
    let mut stretches = Vec::with_capacity(2 * quiet.len() + 1);
    let mut busy_from = 0;
    let mut room_before = 0;
    for (from, to) in quiet.iter().copied().chain([(end_ms, end_ms)]) {
        let room_after = (to - from) / 4;
        let starts_busy = !(busy_from == 0 && from == 0);
        let ends_quiet = from == end_ms && busy_from == end_ms;
        if starts_busy && !ends_quiet {
            let unit = round_unit(from - busy_from);
            let margin = ((from - busy_from) / 10).max(45 * SECOND);
            let left = (busy_from - margin).div_euclid(unit) * unit;
            let right = ((from + margin).div_euclid(unit) + 1) * unit;
            let left = left.max(busy_from - room_before).max(0);
            let right = right.min(from + room_after).min(end_ms);
            close_quiet(&mut stretches, left);
            stretches.push((left, right, false));
        }
        if to > from {
            let left = stretches.last().map_or(0, |(_, right, _)| *right);
            stretches.push((left, to, true));
        }
        busy_from = to;
        room_before = room_after;
    }
    Some(stretches)
}

/// Ends the quiet stretch before a busy one where the busy one's margin begins.
fn close_quiet(stretches: &mut [(i64, i64, bool)], at: i64) {
    if let Some(last) = stretches.last_mut() {
        last.1 = at;
    }
}

/// The round unit on which a busy piece of a length begins and ends.
fn round_unit(length: i64) -> i64 {
    let below = STEPS.partition_point(|step| *step <= length / 8);
    STEPS[below.saturating_sub(1)]
}

/// The shortest distance of ticks that leaves `room` pixels; past the table, multiples of 30 days.
fn tick_step(piece: &Piece, room: f64) -> i64 {
    let per_pixel = (piece.to_ms - piece.from_ms) as f64 / (piece.right - piece.left);
    let needed = per_pixel * room;
    STEPS
        .into_iter()
        .find(|step| *step as f64 >= needed)
        .unwrap_or_else(|| 30 * DAY * libm::ceil(needed / (30 * DAY) as f64).max(1.0) as i64)
}

/// Upper and lower line of a tick's label.
fn label(at_ms: i64, step: i64, start_epoch_s: Option<i64>) -> (String, String) {
    let Some(moment) = start_epoch_s.and_then(|start| utc(start, at_ms)) else {
        let (day, rest) = (at_ms.div_euclid(DAY), at_ms.rem_euclid(DAY));
        if step >= DAY {
            return (format!("{day} d"), String::new());
        }
        let time = clock(rest / HOUR, rest / MINUTE % 60, rest / SECOND % 60, step);
        let date = if day > 0 { format!("+{day} d") } else { String::new() };
        return (time, date);
    };
    let month = MONTHS[usize::from(moment.month().unsigned_abs().clamp(1, 12)) - 1];
    if step >= DAY {
        let day = format!("{} {month}", moment.day());
        return (day, moment.year().to_string());
    }
    let (hour, minute) = (i64::from(moment.hour()), i64::from(moment.minute()));
    let time = clock(hour, minute, i64::from(moment.second()), step);
    (time, format!("{} {month} {}", moment.day(), moment.year()))
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn clock(hour: i64, minute: i64, second: i64, step: i64) -> String {
    if step < MINUTE {
        format!("{hour:02}:{minute:02}:{second:02}")
    } else {
        format!("{hour:02}:{minute:02}")
    }
}

/// UTC at `at_ms` after the start; none beyond the calendar.
fn utc(start_epoch_s: i64, at_ms: i64) -> Option<DateTime> {
    let epoch_ms = start_epoch_s.checked_mul(SECOND)?.checked_add(at_ms)?;
    let moment = Timestamp::from_millisecond(epoch_ms).ok()?;
    Some(TimeZone::UTC.to_datetime(moment))
}

/// The start as users write it: `2026-01-05 09:00 UTC`.
pub fn start_text(start_epoch_s: i64) -> Option<String> {
    let at = utc(start_epoch_s, 0)?;
    Some(format!(
        "{:04}-{:02}-{:02} {:02}:{:02} UTC",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute()
    ))
}

/// A span in words, its two or three largest units: `71 h 02 min`, `5 min 30 s`, `44.7 s`.
pub fn span_text(ms: i64) -> String {
    let (days, hours) = (ms / DAY, ms / HOUR);
    let (minutes, seconds) = (ms / MINUTE % 60, ms / SECOND % 60);
    if (1..SECOND).contains(&ms) {
        return format!("{ms} ms");
    }
    if ms < MINUTE {
        let tenths = ms % SECOND / 100;
        return if tenths > 0 { format!("{seconds}.{tenths} s") } else { format!("{seconds} s") };
    }
    let mut text = if days >= 7 {
        format!("{days} d")
    } else if hours > 0 {
        format!("{hours} h")
    } else {
        String::new()
    };
    let hours = if days >= 7 { hours % 24 } else { 0 };
    for (value, unit) in [(hours, "h"), (minutes, "min"), (seconds, "s")] {
        if value > 0 && text.is_empty() {
            text = format!("{value} {unit}");
        } else if value > 0 {
            text.push_str(&format!(" {value:02} {unit}"));
        }
    }
    text
}

/// A span rounded to whole units, finest first, for places where the exact text may not fit.
pub fn rounded_span_texts(ms: i64) -> Vec<String> {
    let mut texts = vec![span_text(ms)];
    for unit in [MINUTE, HOUR, DAY] {
        if ms >= unit {
            let text = span_text((ms + unit / 2) / unit * unit);
            if !texts.contains(&text) {
                texts.push(format!("~ {text}"));
            }
        }
    }
    texts
}

/// An axis of values from 0 upwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueAxis {
    highest: f64,
    step: f64,
    decimals: usize,
    top: f64,
    bottom: f64,
}

impl ValueAxis {
    /// An axis for whole numbers up to `max` between the pixels `top` and `bottom`.
    pub fn counts(max: f64, top: f64, bottom: f64) -> ValueAxis {
        ValueAxis::new(max.max(1.0), 1.0, top, bottom)
    }

    /// An axis for dollars up to `max`.
    pub fn dollars(max: f64, top: f64, bottom: f64) -> ValueAxis {
        let max = if max > 0.0 { max } else { 1.0 };
        ValueAxis::new(max, 0.000_001, top, bottom)
    }

    /// An axis from 0 to 100 per cent, with a little room above.
    pub fn percent(top: f64, bottom: f64) -> ValueAxis {
        let step = if bottom - top >= 120.0 { 25.0 } else { 50.0 };
        ValueAxis { highest: 106.0, step, decimals: 0, top, bottom }
    }

    /// About one tick every 30 pixels, with a seventh of the height left free for labels above the
    /// highest value.
    fn new(max: f64, finest: f64, top: f64, bottom: f64) -> ValueAxis {
        let ticks = ((bottom - top) / 30.0).max(2.0);
        let needed = max * 1.17 / ticks;
        let (mut unit, mut decimals) = (finest, if finest < 1.0 { 6 } else { 0 });
        let step = loop {
            let found = [1.0, 2.0, 5.0].into_iter().map(|n| n * unit);
            match found.into_iter().find(|step| *step >= needed) {
                Some(step) => break step,
                None => {
                    unit *= 10.0;
                    decimals = usize::saturating_sub(decimals, 1);
                }
            }
        };
        ValueAxis { highest: max * 1.17, step, decimals, top, bottom }
    }

    /// Where a value lies.
    pub fn y(&self, value: f64) -> f64 {
        self.bottom - (value / self.highest).clamp(0.0, 1.0) * (self.bottom - self.top)
    }

    /// Values of the ticks, ascending from 0.
    pub fn ticks(&self) -> Vec<f64> {
        let count = libm::floor(self.highest / self.step) as i64;
        (0..=count).map(|i| i as f64 * self.step).collect()
    }

    /// A number with the axis' decimals and thousands separators.
    pub fn text(&self, value: f64) -> String {
        grouped(value, self.decimals)
    }
}

/// `1 pod`, `1,200 pods`.
pub fn counted(count: u64, noun: &str) -> String {
    format!("{} {}", grouped(count as f64, 0), plural(noun, count == 1))
}

/// A number with thousands separators.
pub fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, whole) = match whole.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", whole),
    };
    let mut grouped = sign.to_owned();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if !fraction.is_empty() {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(instants: &[i64], end_ms: i64) -> TimeAxis {
        TimeAxis::new(instants, end_ms, 100.0, 1400.0)
    }

    #[test]
    fn days_without_events_are_cut_out() {
        let instants = [MINUTE, 11 * MINUTE, HOUR, 72 * HOUR, 72 * HOUR + 2 * MINUTE];
        let axis = axis(&instants, 80 * HOUR);
        let quiet: Vec<bool> = axis.pieces().iter().map(|p| p.quiet).collect();
        assert_eq!(quiet, [false, true, false, true]);
        assert_eq!(axis.pieces()[0].from_ms, 0);
        assert_eq!(axis.pieces()[3].to_ms, 80 * HOUR);
        for pair in axis.pieces().windows(2) {
            assert_eq!((pair[0].to_ms, pair[0].right), (pair[1].from_ms, pair[1].left));
        }
        for at in instants {
            let piece = axis.pieces().iter().find(|p| p.from_ms <= at && at < p.to_ms);
            assert!(piece.is_some_and(|p| !p.quiet), "{at}");
        }
    }

    #[test]
    fn quiet_stretches_at_both_ends_are_cut_too() {
        let axis = axis(&[50 * HOUR], 100 * HOUR);
        let quiet: Vec<bool> = axis.pieces().iter().map(|p| p.quiet).collect();
        assert_eq!(quiet, [true, false, true]);
    }

    #[test]
    fn spread_activity_keeps_the_plain_axis() {
        let hourly: Vec<i64> = (0..80).map(|h| h * HOUR).collect();
        assert!(!axis(&hourly, 80 * HOUR).is_cut());
        let eight: Vec<i64> = (0..8).map(|i| i * 10 * HOUR).collect();
        assert!(!axis(&eight, 80 * HOUR).is_cut());
        assert!(!axis(&[], 80 * HOUR).is_cut());
        assert!(!axis(&[5], 10).is_cut());
    }

    #[test]
    fn pieces_have_room_or_do_not_exist() {
        let instants: Vec<i64> = (1..4).map(|i| i * 20 * HOUR).collect();
        let wide = TimeAxis::new(&instants, 80 * HOUR, 0.0, 1200.0);
        assert!(wide.is_cut());
        assert!(wide.pieces().iter().all(|p| p.right - p.left >= 99.0));
        assert!(!TimeAxis::new(&instants, 80 * HOUR, 0.0, 800.0).is_cut());
    }

    #[test]
    fn places_and_instants_are_inverse() {
        let axis = axis(&[0, HOUR, 72 * HOUR], 80 * HOUR);
        for x in [100.0, 333.0, 900.0, 1399.0] {
            assert!((axis.x(axis.instant(x) as i64) - x).abs() < 0.5, "{x}");
        }
        assert_eq!(axis.x(100 * HOUR), 1400.0);
    }

    #[test]
    fn ticks_are_round_in_utc_and_never_close() {
        let start = 1_767_603_600; // 2026-01-05T09:00:00Z
        let plain = axis(&[], 90 * MINUTE).ticks(Some(start), 70.0);
        assert_eq!(plain[0].time, "09:00");
        assert_eq!(plain[0].date.as_deref(), Some("5 Jan 2026"));
        assert_eq!(plain[1].time, "09:05");
        for end in [1, SECOND, HOUR, 30 * DAY, 3_000 * DAY] {
            let ticks = axis(&[], end).ticks(Some(start), 70.0);
            assert!(ticks.windows(2).all(|t| t[1].x - t[0].x >= 69.9), "{end}");
            assert!(ticks.len() <= 20, "{end}");
        }
        let elapsed = axis(&[], 80 * HOUR).ticks(None, 70.0);
        assert_eq!((elapsed[0].time.as_str(), &elapsed[0].date), ("00:00", &None));
        assert!(elapsed.iter().any(|t| t.date.as_deref() == Some("+3 d")));
    }

    #[test]
    fn spans_read_as_words() {
        for (ms, text) in [
            (44_700, "44.7 s"),
            (63_000, "1 min 03 s"),
            (71 * HOUR + 2 * MINUTE, "71 h 02 min"),
            (80 * HOUR, "80 h"),
            (30 * DAY + HOUR, "30 d 01 h"),
            (3, "3 ms"),
            (0, "0 s"),
        ] {
            assert_eq!(span_text(ms), text);
        }
    }

    #[test]
    fn values_have_round_ticks_from_zero() {
        let nodes = ValueAxis::counts(2.0, 0.0, 200.0);
        assert_eq!(nodes.ticks(), [0.0, 1.0, 2.0]);
        let rate = ValueAxis::dollars(0.192, 0.0, 150.0);
        let texts: Vec<String> = rate.ticks().iter().map(|v| rate.text(*v)).collect();
        assert_eq!(texts, ["0.00", "0.05", "0.10", "0.15", "0.20"]);
        assert_eq!(grouped(1_234_567.5, 2), "1,234,567.50");
        assert_eq!(grouped(-465.0, 0), "-465");
        assert!(ValueAxis::dollars(0.0, 0.0, 150.0).ticks().len() > 1);
    }
}
