//! Rates over the day and the week, in UTC.

use std::sync::Arc;

use crate::units::SimTime;

const MINUTES_OF_WEEK: usize = 7 * 24 * 60;
const MS_PER_MINUTE: i64 = 60_000;
/// 1970-01-01 was a Thursday: minutes from the Monday before to it.
const EPOCH_MINUTE_OF_WEEK: i64 = 3 * 24 * 60;
/// The least factor of a day's curve, relative to its mean before it is normalised: nights are never quite empty.
const LEAST_FACTOR: f64 = 0.05;
/// The steepest day: a half wave that is cut off below.
pub const MOST_PEAK_TO_MEAN: f64 = 3.0;

/// A rate over the week, arrivals an hour or a load in replicas, constant within a minute.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// For each minute of the week from Monday 00:00 UTC, or one value for all.
    per_hour: Arc<[f64]>,
    /// Minute of the week at the start of the run.
    first_minute: i64,
}

impl Rate {
    /// The same at all times. `per_hour` is finite and not negative.
    pub fn constant(per_hour: f64) -> Rate {
        Rate { per_hour: [per_hour].into(), first_minute: 0 }
    }

    /// A rate for each hour of the day (24 values from 00:00 UTC) or of the week (168 from Monday).
    pub fn hourly(per_hour: &[f64], start_epoch_s: i64) -> Rate {
        let minutes = (0..MINUTES_OF_WEEK).map(|minute| per_hour[minute / 60 % per_hour.len()]);
        Rate::of_minutes(minutes.collect(), start_epoch_s)
    }

    /// A day's curve with its peak at a minute of the day, UTC. `mean_per_hour` is that of a working day; Saturdays and
    /// Sundays are multiplied by `weekend`. `peak_to_mean` lies in 1 ..= [`MOST_PEAK_TO_MEAN`].
    pub fn diurnal(
        mean_per_hour: f64,
        peak_to_mean: f64,
        peak_minute: usize,
        weekend: f64,
        start_epoch_s: i64,
    ) -> Rate {
        let curve = day_curve(peak_to_mean, peak_minute);
        let minutes = (0..MINUTES_OF_WEEK).map(|minute| {
            let day = minute / 1_440;
            mean_per_hour * curve[minute % 1_440] * if day >= 5 { weekend } else { 1.0 }
        });
        Rate::of_minutes(minutes.collect(), start_epoch_s)
    }

    fn of_minutes(per_hour: Vec<f64>, start_epoch_s: i64) -> Rate {
        let first_minute = start_epoch_s.div_euclid(60) + EPOCH_MINUTE_OF_WEEK;
        Rate { per_hour: per_hour.into(), first_minute }
    }

    /// The rate at an instant.
    pub fn at(&self, at: SimTime) -> f64 {
        if let [only] = *self.per_hour {
            return only;
        }
        let minute = self.first_minute + at.ms().div_euclid(MS_PER_MINUTE);
        self.per_hour[minute.rem_euclid(MINUTES_OF_WEEK as i64) as usize]
    }
}

/// The factor of each minute of a day, mean 1: a sinusoid, cut off below where it would reach zero.
pub fn day_curve(peak_to_mean: f64, peak_minute: usize) -> Vec<f64> {
    let curve = |swing: f64| {
        let factor = |minute: usize| {
            let turn = (minute as f64 - peak_minute as f64) / 1_440.0;
            (1.0 + swing * libm::cos(turn * std::f64::consts::TAU)).max(LEAST_FACTOR)
        };
        let factors: Vec<f64> = (0..1_440).map(factor).collect();
        let mean = factors.iter().sum::<f64>() / 1_440.0;
        factors.into_iter().map(|factor| factor / mean).collect::<Vec<f64>>()
    };
    // The peak over the mean rises with the swing: halve the interval until it is narrow.
    let (mut low, mut high) = (0.0, 1_000.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if curve(middle)[peak_minute % 1_440] < peak_to_mean {
            low = middle;
        } else {
            high = middle;
        }
    }
    curve(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday 2026-01-05T00:00:00Z.
    const MONDAY: i64 = 1_767_571_200;

    #[test]
    fn a_days_curve_has_its_peak_and_its_mean() {
        for peak in [1.0, 1.5, 2.0, 2.5] {
            let curve = day_curve(peak, 600);
            let mean = curve.iter().sum::<f64>() / 1_440.0;
            let most = curve.iter().copied().fold(0.0, f64::max);
            assert!(
                (mean - 1.0).abs() < 1e-9 && (most - peak).abs() < 1e-6,
                "{peak}: {mean} {most}"
            );
            assert!((most - curve[600]).abs() < 1e-12);
        }
    }

    #[test]
    fn weekends_and_hours_are_those_of_the_calendar() {
        let rate = Rate::diurnal(100.0, 1.0, 0, 0.5, MONDAY - 86_400);
        let days: Vec<f64> =
            (0..8).map(|day| rate.at(SimTime::from_seconds(day * 86_400))).collect();
        let rounded: Vec<i64> = days.iter().map(|rate| libm::round(*rate) as i64).collect();
        assert_eq!(rounded, [50, 100, 100, 100, 100, 100, 50, 50], "Sunday to Sunday");
        let hours: Vec<f64> = (0..24).map(f64::from).collect();
        let rate = Rate::hourly(&hours, MONDAY + 5 * 3_600);
        assert_eq!(rate.at(SimTime::from_seconds(1_800)), 5.0);
    }
}
