//! Virtual time: nanoseconds since the scenario's start, Go duration syntax, and the mapping to UTC.
//!
//! Inputs and outputs are in milliseconds. The finer unit is there for Karpenter's loops that start again a nanosecond
//! later ([`SimDuration::AT_ONCE`]): what they began comes after everything of the same millisecond, and a second later
//! it still does.
//!
//! Kubernetes stores many instants with whole seconds ([`SimTime::floor_to_second`]); the floor is taken on the
//! *calendar* second, which equals the elapsed second because a scenario starts on a whole second.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// Nanoseconds of a millisecond.
const MS: i64 = 1_000_000;
/// Nanoseconds of a second.
const SECOND: i64 = 1_000 * MS;

/// An instant: nanoseconds since the scenario's start. Never negative inside a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(i64);

/// A span of virtual time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimDuration(i64);

impl SimTime {
    /// The scenario's start.
    pub const ZERO: SimTime = SimTime(0);

    /// An instant `ms` milliseconds after the start, at most some 292 years.
    pub const fn from_ms(ms: i64) -> SimTime {
        SimTime(ms.saturating_mul(MS))
    }

    /// An instant `seconds` whole seconds after the start, at most some 292 years.
    pub const fn from_seconds(seconds: i64) -> SimTime {
        SimTime(seconds.saturating_mul(SECOND))
    }

    /// Whole milliseconds since the start, rounded down.
    pub const fn ms(self) -> i64 {
        self.0.div_euclid(MS)
    }

    /// The instant as Kubernetes stores it in `metav1.Time` fields: the fraction of the second is dropped.
    pub const fn floor_to_second(self) -> SimTime {
        SimTime(self.0 - self.0.rem_euclid(SECOND))
    }

    /// The first turn, from this instant on, of what has one at each full multiple of `period`. A turn takes its whole
    /// millisecond.
    pub fn next_turn(self, period: SimDuration) -> SimTime {
        let period = period.ms();
        let turn = (self.ms() + period - 1) / period * period;
        SimTime::from_ms(turn).max(self)
    }

    /// The instant as it is told: the fraction of the millisecond is dropped.
    pub const fn floor_to_ms(self) -> SimTime {
        SimTime(self.0 - self.0.rem_euclid(MS))
    }

    /// Time since `earlier`; negative if `earlier` is later.
    pub const fn since(self, earlier: SimTime) -> SimDuration {
        SimDuration(self.0 - earlier.0)
    }
}

impl SimDuration {
    /// No time.
    pub const ZERO: SimDuration = SimDuration(0);

    /// The nanosecond after which a loop of Karpenter that asks for it starts again (operatorpkg
    /// `singleton.RequeueImmediately`).
    pub const AT_ONCE: SimDuration = SimDuration(1);

    /// A span of `ms` milliseconds, at most some 292 years.
    pub const fn from_ms(ms: i64) -> SimDuration {
        SimDuration(ms.saturating_mul(MS))
    }

    /// A span of whole seconds, at most some 292 years.
    pub const fn from_seconds(seconds: i64) -> SimDuration {
        SimDuration(seconds.saturating_mul(SECOND))
    }

    /// A span of whole minutes, at most some 292 years.
    pub const fn from_minutes(minutes: i64) -> SimDuration {
        SimDuration::from_seconds(minutes.saturating_mul(60))
    }

    /// Whole milliseconds, rounded down.
    pub const fn ms(self) -> i64 {
        self.0.div_euclid(MS)
    }

    /// Go's `time.ParseDuration` restricted to non-negative values with the units `h`, `m`, `s`, `ms`: `1h30m`, `90s`,
    /// `1.5h`.
    ///
    /// Returns `None` for anything else, an empty text and a value beyond 100 years included.
    pub fn parse(text: &str) -> Option<SimDuration> {
        if text == "0" {
            return Some(SimDuration::ZERO);
        }
        let mut rest = text;
        let mut total_ms: i128 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, next) = tail.split_at(letters);
            let unit_ms: i128 = match unit {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                _ => return None,
            };
            total_ms += scaled(number, unit_ms)?;
            if total_ms > 100 * 366 * 86_400_000 {
                return None;
            }
            rest = next;
        }
        if text.is_empty() { None } else { i64::try_from(total_ms).ok().map(SimDuration::from_ms) }
    }
}

/// `number` (digits with at most one point) times `unit`, rounded down.
fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') || whole.len() > 15 {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut value = whole.checked_mul(unit)?;
    let mut scale = 1_i128;
    let mut numerator = 0_i128;
    for digit in fraction.chars().take(12) {
        numerator = numerator * 10 + i128::from(digit.to_digit(10)?);
        scale *= 10;
    }
    value += numerator * unit / scale;
    Some(value)
}

impl Add<SimDuration> for SimTime {
    type Output = SimTime;
    fn add(self, span: SimDuration) -> SimTime {
        SimTime(self.0.saturating_add(span.0))
    }
}

impl Sub<SimDuration> for SimTime {
    type Output = SimTime;
    fn sub(self, span: SimDuration) -> SimTime {
        SimTime(self.0 - span.0)
    }
}

impl Add for SimDuration {
    type Output = SimDuration;
    fn add(self, other: SimDuration) -> SimDuration {
        SimDuration(self.0 + other.0)
    }
}

impl AddAssign for SimDuration {
    fn add_assign(&mut self, other: SimDuration) {
        self.0 += other.0;
    }
}

impl fmt::Display for SimDuration {
    /// Go style, as users write it: `1h30m`, `72h`, `45s`, `1.5s`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.ms();
        if ms == 0 {
            return f.write_str("0s");
        }
        if ms < 0 {
            f.write_str("-")?;
        }
        let ms = ms.unsigned_abs();
        let (hours, minutes, rest) = (ms / 3_600_000, ms / 60_000 % 60, ms % 60_000);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        if rest > 0 {
            if rest % 1_000 == 0 {
                write!(f, "{}s", rest / 1_000)?;
            } else {
                let text = format!("{}.{:03}", rest / 1_000, rest % 1_000);
                write!(f, "{}s", text.trim_end_matches('0'))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for SimTime {
    /// Elapsed time in the form of the behaviour tests: `+2d 03:04:05`, with a fraction only when there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ms, s) = (self.ms().rem_euclid(1_000), self.0.div_euclid(SECOND));
        if s >= 86_400 {
            write!(f, "+{}d ", s / 86_400)?;
        } else {
            f.write_str("+")?;
        }
        write!(f, "{:02}:{:02}:{:02}", s / 3_600 % 24, s / 60 % 60, s % 60)?;
        if ms > 0 {
            write!(f, ".{ms:03}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_parse_as_go_does() {
        for (text, ms) in [
            ("72h", Some(259_200_000)),
            ("1h30m", Some(5_400_000)),
            ("90s", Some(90_000)),
            ("1.5h", Some(5_400_000)),
            ("0s", Some(0)),
            ("0", Some(0)),
            (".5s", Some(500)),
            ("250ms", Some(250)),
            ("", None),
            ("1", None),
            ("1d", None),
            ("h", None),
            ("1.2.3s", None),
            ("-1s", None),
            ("1 h", None),
            ("99999999999999999h", None),
        ] {
            assert_eq!(SimDuration::parse(text).map(SimDuration::ms), ms, "{text:?}");
        }
    }

    #[test]
    fn durations_print_as_users_write_them() {
        for text in ["72h", "1h30m", "45s", "1.5s", "0s", "10m"] {
            assert_eq!(SimDuration::parse(text).map(|d| d.to_string()).as_deref(), Some(text));
        }
    }

    #[test]
    fn instants_floor_to_the_second_below() {
        assert_eq!(SimTime::from_ms(1_999).floor_to_second(), SimTime::from_seconds(1));
        assert_eq!(SimTime::from_ms(2_000).floor_to_second(), SimTime::from_seconds(2));
    }

    #[test]
    fn turns_come_at_multiples_of_their_period_and_never_in_the_past() {
        let minute = SimDuration::from_minutes(1);
        for (at, turn) in
            [(0, 0), (1, 60_000), (59_999, 60_000), (60_000, 60_000), (60_001, 120_000)]
        {
            assert_eq!(SimTime::from_ms(at).next_turn(minute), SimTime::from_ms(turn));
        }
        let within = SimTime::from_ms(60_000) + SimDuration::AT_ONCE;
        assert_eq!(within.next_turn(minute), within);
    }

    #[test]
    fn a_loop_that_starts_again_at_once_comes_after_its_millisecond_and_is_told_as_of_it() {
        let (at, again) = (SimTime::from_ms(1_999), SimTime::from_ms(1_999) + SimDuration::AT_ONCE);
        assert!(again > at && again < SimTime::from_ms(2_000));
        assert_eq!((again.ms(), again.floor_to_ms()), (1_999, at));
        assert_eq!(again.to_string(), at.to_string());
        assert_eq!(SimTime::from_ms(i64::MAX) + SimDuration::AT_ONCE, SimTime::from_ms(i64::MAX));
    }
}
