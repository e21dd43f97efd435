//! Money of the ledger: integer nano-USD. Prices inside decisions are `f64` as upstream; see `ec2::offering`.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use super::time::SimDuration;

const NANO: i64 = 1_000_000_000;
const MS_PER_HOUR: i128 = 3_600_000;

/// An amount in nano-USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i64);

/// A rate in nano-USD per hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsdPerHour(i64);

impl Usd {
    /// Nothing.
    pub const ZERO: Usd = Usd(0);

    /// An amount of nano-USD.
    pub const fn from_nano(nano: i64) -> Usd {
        Usd(nano)
    }

    /// Nano-USD.
    pub const fn nano(self) -> i64 {
        self.0
    }

    /// Dollars, for drawing only.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / NANO as f64
    }

    /// Decimal text with `places` digits after the point, half away from zero: `7.04`.
    pub fn to_decimal(self, places: u32) -> String {
        decimal(self.0, places)
    }
}

impl UsdPerHour {
    /// Free.
    pub const ZERO: UsdPerHour = UsdPerHour(0);

    /// A rate of `nano` nano-USD an hour.
    pub const fn from_nano(nano: i64) -> UsdPerHour {
        UsdPerHour(nano)
    }

    /// The ledger's rate of a decision price (USD per hour): the nearest nano-USD, half away from zero.
    ///
    /// Prices have at most ten decimals and are far below the range of `i64`, so that the product is exact enough to
    /// round.
    pub fn from_price(price: f64) -> UsdPerHour {
        let scaled = price * NANO as f64;
        UsdPerHour((if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i64)
    }

    /// Nano-USD per hour.
    pub const fn nano(self) -> i64 {
        self.0
    }

    /// Dollars per hour, for drawing only.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / NANO as f64
    }

    /// Cost of `span` at this rate: exact in `i128`, rounded once, half away from zero.
    pub fn cost(self, span: SimDuration) -> Usd {
        UsdPerHour::cost_of([(self, span)])
    }

    /// Cost of spans at a rate each, rounded once like [`UsdPerHour::cost`].
    pub fn cost_of(spans: impl IntoIterator<Item = (UsdPerHour, SimDuration)>) -> Usd {
        let parts =
            spans.into_iter().map(|(rate, span)| i128::from(rate.0) * i128::from(span.ms()));
        let product: i128 = parts.sum();
        let half = if product < 0 { -MS_PER_HOUR / 2 } else { MS_PER_HOUR / 2 };
        let nano = (product + half) / MS_PER_HOUR;
        Usd(i64::try_from(nano).unwrap_or(if nano < 0 { i64::MIN } else { i64::MAX }))
    }

    /// Decimal text with `places` digits after the point.
    pub fn to_decimal(self, places: u32) -> String {
        decimal(self.0, places)
    }
}

fn decimal(nano: i64, places: u32) -> String {
    let places = places.min(9);
    let unit = 10_i128.pow(9 - places);
    let value = i128::from(nano);
    let rounded = (value.abs() + unit / 2) / unit;
    let scale = 10_i128.pow(places);
    let sign = if value < 0 && rounded != 0 { "-" } else { "" };
    if places == 0 {
        format!("{sign}{rounded}")
    } else {
        format!("{sign}{}.{:0width$}", rounded / scale, rounded % scale, width = places as usize)
    }
}

impl Add for Usd {
    type Output = Usd;
    fn add(self, other: Usd) -> Usd {
        Usd(self.0 + other.0)
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Usd) {
        self.0 += other.0;
    }
}

impl Sub for Usd {
    type Output = Usd;
    fn sub(self, other: Usd) -> Usd {
        Usd(self.0 - other.0)
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Usd>>(iter: I) -> Usd {
        iter.fold(Usd::ZERO, Add::add)
    }
}

impl Add for UsdPerHour {
    type Output = UsdPerHour;
    fn add(self, other: UsdPerHour) -> UsdPerHour {
        UsdPerHour(self.0 + other.0)
    }
}

impl Sub for UsdPerHour {
    type Output = UsdPerHour;
    fn sub(self, other: UsdPerHour) -> UsdPerHour {
        UsdPerHour(self.0 - other.0)
    }
}

impl fmt::Display for Usd {
    /// `$1,234.56`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_decimal(2);
        let (sign, text) = text.strip_prefix('-').map_or(("", text.as_str()), |t| ("-", t));
        let (whole, cents) = text.split_once('.').unwrap_or((text, "00"));
        let mut grouped = String::new();
        for (i, digit) in whole.chars().enumerate() {
            if i > 0 && (whole.len() - i) % 3 == 0 {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        write!(f, "{sign}${grouped}.{cents}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_cost_is_rounded_once_half_away_from_zero() {
        let rate = UsdPerHour::from_price(0.096);
        assert_eq!(rate.nano(), 96_000_000);
        assert_eq!(rate.cost(SimDuration::from_minutes(60)), Usd::from_nano(96_000_000));
        // 1 ms at 1.8 nano-USD/ms-hour: 1_800_000 / 3_600_000 = 0.5, away from zero.
        assert_eq!(
            UsdPerHour::from_nano(1_800_000).cost(SimDuration::from_ms(1)),
            Usd::from_nano(1)
        );
        assert_eq!(UsdPerHour::from_nano(1_799_999).cost(SimDuration::from_ms(1)), Usd::ZERO);
    }

    #[test]
    fn money_prints_with_thousands_separators() {
        assert_eq!(Usd::from_nano(1_234_567_890_000).to_string(), "$1,234.57");
        assert_eq!(Usd::from_nano(-5_000_000).to_string(), "-$0.01");
        assert_eq!(Usd::from_nano(7_041_953_000).to_decimal(6), "7.041953");
        assert_eq!(Usd::from_nano(-1).to_decimal(2), "0.00");
    }
}
