//! The figures of a run: scalars with unit and direction, and the sentence that answers the question.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A decimal number: an integer and the digits after the point. Made from integers only, so that its text is the same
/// everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    units: i128,
    places: u32,
}

/// What a metric is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain count.
    Count,
    /// A count a day.
    PerDay,
    /// US dollars.
    Usd,
    /// US dollars an hour.
    UsdPerHour,
    /// US dollars a month of 730 hours.
    UsdPerMonth,
    /// Hours.
    Hours,
    /// Seconds.
    Seconds,
    /// Per cent.
    Percent,
}

/// Which way a metric gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// Neither.
    Neutral,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name in files and thresholds: `cost_month_usd`.
    pub name: &'static str,
    /// What tells it apart from others of the same name: `cause=Underutilized`.
    pub labels: Vec<(&'static str, Arc<str>)>,
    /// Its unit.
    pub unit: Unit,
    /// Its direction.
    pub better: Better,
    /// Its value; none where there is nothing to measure.
    pub value: Option<Decimal>,
}

/// What stands first in a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The answer in one or two sentences; pods left pending come first.
    pub answer: String,
    /// All figures, in the order in which they are shown.
    pub metrics: Vec<Metric>,
}

impl Summary {
    /// The first metric of a name without labels.
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        let mut found = self.metrics.iter();
        found.find(|m| m.name == name && m.labels.is_empty())
    }
}

impl Decimal {
    /// `numerator / denominator` with `places` digits after the point, rounded once, half away from zero. None for a
    /// denominator of zero.
    pub fn ratio(numerator: i128, denominator: i128, places: u32) -> Option<Decimal> {
        if denominator == 0 {
            return None;
        }
        let scaled = numerator * 10_i128.pow(places);
        let magnitude = (2 * scaled.unsigned_abs() + denominator.unsigned_abs())
            / (2 * denominator.unsigned_abs());
        let negative = (scaled < 0) != (denominator < 0);
        let units = magnitude as i128 * if negative { -1 } else { 1 };
        Some(Decimal { units, places })
    }

    /// A whole number.
    pub const fn whole(value: i128) -> Decimal {
        Decimal {
            units: value,
            places: 0,
        }
    }

    /// The number for drawing and statistics.
    pub fn to_f64(self) -> f64 {
        self.units as f64 / 10_i128.pow(self.places) as f64
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.units < 0 { "-" } else { "" };
        let magnitude = self.units.unsigned_abs();
        if self.places == 0 {
            return write!(f, "{sign}{magnitude}");
        }
        let scale = 10_u128.pow(self.places);
        let width = self.places as usize;
        write!(
            f,
            "{sign}{}.{:0width$}",
            magnitude / scale,
            magnitude % scale
        )
    }
}

/// Whole numbers with how often each occurred: exact quantiles in space that depends on distinct values only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    counts: BTreeMap<i64, u64>,
    count: u64,
    sum: i128,
}

impl Distribution {
    /// Adds a value.
    pub fn add(&mut self, value: i64) {
        *self.counts.entry(value).or_default() += 1;
        self.count += 1;
        self.sum += i128::from(value);
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sum of the values.
    pub fn sum(&self) -> i128 {
        self.sum
    }

    /// The highest value.
    pub fn max(&self) -> Option<i64> {
        self.counts.last_key_value().map(|(value, _)| *value)
    }

    /// The nearest-rank quantile: the lowest value that at least `percent` of the values do not exceed. Always one of the
    /// values, never an interpolation.
    pub fn percentile(&self, percent: u64) -> Option<i64> {
        let rank = (u128::from(self.count) * u128::from(percent)).div_ceil(100);
        let mut seen = 0_u128;
        for (value, count) in &self.counts {
            seen += u128::from(*count);
            if seen >= rank.max(1) {
                return Some(*value);
            }
        }
        None
    }

    /// Number of values below a bound.
    pub fn count_below(&self, bound: i64) -> u64 {
        self.counts.range(..bound).map(|(_, count)| *count).sum()
    }

    /// Distinct values, ascending, each with how often it occurred.
    pub fn iter(&self) -> impl Iterator<Item = (i64, u64)> + '_ {
        self.counts.iter().map(|(value, count)| (*value, *count))
    }
}
