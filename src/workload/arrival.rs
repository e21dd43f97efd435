//! When pods arrive: rates over the day and the week by thinning, and bursts.
//!
//! Every draw is keyed by the source, the number of the candidate and what it is for. The instants therefore depend on
//! seed and rates alone: two policies see the same pods arrive.

use std::sync::Arc;

use crate::engine::{Distribution, Purpose, Streams};
use crate::units::{SimDuration, SimTime};

const MINUTES_OF_WEEK: usize = 7 * 24 * 60;
const MS_PER_MINUTE: i64 = 60_000;
const MS_PER_HOUR: f64 = 3_600_000.0;
/// 1970-01-01 was a Thursday: minutes from the Monday before to it.
const EPOCH_MINUTE_OF_WEEK: i64 = 3 * 24 * 60;
/// The least factor of a day's curve, relative to its mean before it is normalised: nights are never quite empty.
const LEAST_FACTOR: f64 = 0.05;
/// The steepest day: a half wave that is cut off below.
pub const MOST_PEAK_TO_MEAN: f64 = 3.0;
/// Bits of a candidate's number in a draw's entity; the source's number stands above.
const NUMBER_BITS: u32 = 40;

/// Arrivals an hour over the week, constant within a minute.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// For each minute of the week from Monday 00:00 UTC, or one value for all.
    per_hour: Arc<[f64]>,
    most: f64,
    /// Minute of the week at the start of the run.
    first_minute: i64,
}

impl Rate {
    /// The same at all times. `per_hour` is finite and not negative.
    pub fn constant(per_hour: f64) -> Rate {
        Rate { per_hour: [per_hour].into(), most: per_hour, first_minute: 0 }
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
        let most = per_hour.iter().copied().fold(0.0, f64::max);
        let first_minute = start_epoch_s.div_euclid(60) + EPOCH_MINUTE_OF_WEEK;
        Rate { per_hour: per_hour.into(), most, first_minute }
    }

    /// Arrivals an hour at an instant.
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

/// How pods come.
#[derive(Clone, Debug, PartialEq)]
pub enum Process {
    /// One by one, each at a rate of its own time.
    Single(Rate),
    /// Several within a short span.
    Bursts {
        /// When bursts begin.
        rate: Rate,
        /// Pods of a burst; below 1 counts as 1.
        pods: Distribution,
        /// The span over which a burst's pods are spread evenly at random.
        within: SimDuration,
    },
}

/// The instants of one source, one after another.
#[derive(Clone, Debug)]
pub struct Instants {
    source: u64,
    /// Candidates looked at so far.
    candidates: u64,
    /// The last candidate.
    last: SimTime,
    /// Pods of the present burst that are still to come, the last first.
    burst: Vec<SimTime>,
    /// Pods so far.
    pods: u64,
}

impl Instants {
    /// The instants from `from` on of the source of this number.
    pub fn new(source: u32, from: SimTime) -> Instants {
        Instants { source: source.into(), candidates: 0, last: from, burst: Vec::new(), pods: 0 }
    }

    /// The next pod's instant before `until`, ascending.
    pub fn next(
        &mut self,
        pattern: &Process,
        streams: &Streams,
        until: SimTime,
    ) -> Option<SimTime> {
        let (rate, burst) = match pattern {
            Process::Single(rate) => (rate, None),
            Process::Bursts { rate, pods, within } => (rate, Some((pods, *within))),
        };
        let Some((pods, within)) = burst else {
            return self.thinned(rate, streams, until);
        };
        // Bursts of one source do not overlap: the next one is looked at when the last pod of this one came.
        if self.burst.is_empty() {
            let begin = self.thinned(rate, streams, until)?;
            self.draw_burst(begin, pods, within, streams);
        }
        self.burst.pop().filter(|at| *at < until)
    }

    /// Lewis and Shedler 1979: candidates at the highest rate, each kept with the probability of its own rate.
    fn thinned(&mut self, rate: &Rate, streams: &Streams, until: SimTime) -> Option<SimTime> {
        if rate.most <= 0.0 {
            return None;
        }
        let gap = Distribution::Exponential { mean: MS_PER_HOUR / rate.most };
        loop {
            let entity = self.source << NUMBER_BITS | self.candidates;
            self.candidates += 1;
            self.last =
                self.last + SimDuration::from_ms(streams.sample(&gap, Purpose::Arrival, entity, 0));
            if self.last >= until {
                return None;
            }
            let kept = rate.at(self.last) / rate.most;
            if streams.unit(Purpose::Arrival, entity, 1) < kept {
                return Some(self.last);
            }
        }
    }

    fn draw_burst(
        &mut self,
        begin: SimTime,
        pods: &Distribution,
        within: SimDuration,
        streams: &Streams,
    ) {
        let entity = self.source << NUMBER_BITS | (self.candidates - 1);
        let count = streams.sample(pods, Purpose::Arrival, entity, 2).clamp(1, 100_000);
        let spread = Distribution::Uniform { low: 0, high: within.ms().max(0) };
        for _ in 0..count {
            let entity = self.source << NUMBER_BITS | self.pods;
            self.pods += 1;
            let after = streams.sample(&spread, Purpose::Arrival, entity, 3);
            self.burst.push(begin + SimDuration::from_ms(after));
        }
        self.burst.sort_unstable_by(|a, b| b.cmp(a));
        if let Some(last) = self.burst.first() {
            self.last = *last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday 2026-01-05T00:00:00Z.
    const MONDAY: i64 = 1_767_571_200;

    fn instants(pattern: &Process, source: u32, hours: i64) -> Vec<SimTime> {
        let (streams, until) = (Streams::new(42), SimTime::from_seconds(hours * 3_600));
        let mut instants = Instants::new(source, SimTime::ZERO);
        std::iter::from_fn(|| instants.next(pattern, &streams, until)).collect()
    }

    /// The largest distance between the sample's and the exact distribution function, times the root of the count.
    fn kolmogorov_smirnov(mut values: Vec<f64>, exact: impl Fn(f64) -> f64) -> f64 {
        values.sort_by(f64::total_cmp);
        let count = values.len() as f64;
        let distance = |(i, value): (usize, &f64)| {
            let (below, above) = (i as f64 / count, (i as f64 + 1.0) / count);
            (exact(*value) - below).abs().max((exact(*value) - above).abs())
        };
        values.iter().enumerate().map(distance).fold(0.0, f64::max) * count.sqrt()
    }

    /// Of a homogeneous process the gaps are exponential. 1.63 is the 1 % bound.
    #[test]
    fn gaps_of_a_constant_rate_are_exponential() {
        let instants = instants(&Process::Single(Rate::constant(600.0)), 0, 24 * 7);
        let gaps = instants.windows(2).map(|pair| pair[1].since(pair[0]).ms() as f64).collect();
        let distance = kolmogorov_smirnov(gaps, |gap| 1.0 - libm::exp(-gap / 6_000.0));
        assert!(distance < 1.63, "{distance}");
        assert!(instants.len().abs_diff(100_800) < 1_000, "{}", instants.len());
    }

    /// Of a daily curve the times of the day are distributed as the curve.
    #[test]
    fn thinned_arrivals_follow_the_curve() {
        let rate = Rate::diurnal(400.0, 1.8, 14 * 60, 1.0, MONDAY);
        let instants = instants(&Process::Single(rate), 3, 24 * 7);
        let curve = day_curve(1.8, 14 * 60);
        let mut below = vec![0.0];
        curve.iter().for_each(|factor| below.push(below[below.len() - 1] + factor / 1_440.0));
        let exact = |minute: f64| {
            let whole = minute as usize;
            below[whole] + (minute - whole as f64) * (below[whole + 1] - below[whole])
        };
        let minutes = instants.iter().map(|at| (at.ms() % 86_400_000) as f64 / 60_000.0).collect();
        let distance = kolmogorov_smirnov(minutes, exact);
        assert!(distance < 1.63, "{distance}");
    }

    /// Of a table of hours the hours of the day are distributed as the table.
    #[test]
    fn arrivals_follow_a_table_of_hours() {
        let hours: Vec<f64> = (0..24).map(|hour| f64::from(hour % 6) * 60.0).collect();
        let instants = instants(&Process::Single(Rate::hourly(&hours, MONDAY)), 5, 24 * 14);
        let sum: f64 = hours.iter().sum();
        let exact = |hour: f64| {
            let whole = hour as usize;
            let below: f64 = hours[..whole].iter().sum();
            (below + (hour - whole as f64) * hours[whole]) / sum
        };
        let hours = instants.iter().map(|at| (at.ms() % 86_400_000) as f64 / 3_600_000.0).collect();
        let distance = kolmogorov_smirnov(hours, exact);
        assert!(distance < 1.63, "{distance}");
    }

    /// Bursts begin as the arrivals of their rate do; the pods of one are spread evenly over its span, and their number
    /// over its range.
    #[test]
    fn bursts_have_the_distributions_of_their_parts() {
        let within = SimDuration::from_seconds(10);
        let pattern = Process::Bursts {
            rate: Rate::constant(6.0),
            pods: Distribution::Fixed(1),
            within: SimDuration::ZERO,
        };
        let begins = instants(&pattern, 2, 24 * 400);
        let gaps = begins.windows(2).map(|pair| pair[1].since(pair[0]).ms() as f64).collect();
        let distance = kolmogorov_smirnov(gaps, |gap| 1.0 - libm::exp(-gap / 600_000.0));
        assert!(distance < 1.63, "{distance} between bursts");
        let streams = Streams::new(7);
        let mut source = Instants::new(1, SimTime::ZERO);
        let (mut after, mut counts) = (Vec::new(), Vec::new());
        for candidate in 1..2_000 {
            source.candidates = candidate;
            let pods = Distribution::Uniform { low: 1, high: 19 };
            source.draw_burst(SimTime::ZERO, &pods, within, &streams);
            counts.push(source.burst.len() as f64);
            after.extend(source.burst.drain(..).map(|at| at.ms() as f64 + 0.5));
        }
        let distance = kolmogorov_smirnov(after, |ms| ms / 10_001.0);
        assert!(distance < 1.63, "{distance} within bursts");
        let mean = counts.iter().sum::<f64>() / counts.len() as f64;
        assert!((mean - 10.0).abs() < 0.4, "{mean} pods");
    }

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

    #[test]
    fn bursts_come_together() {
        let pattern = Process::Bursts {
            rate: Rate::constant(1.0),
            pods: Distribution::Fixed(10),
            within: SimDuration::from_seconds(20),
        };
        let instants = instants(&pattern, 1, 1_000);
        assert!(instants.is_sorted() && instants.len().is_multiple_of(10));
        for burst in instants.chunks(10) {
            assert!(burst[9].since(burst[0]) <= SimDuration::from_seconds(20));
        }
        assert!((instants.len() / 10).abs_diff(1_000) < 120, "{}", instants.len());
    }

    #[test]
    fn the_first_instants_do_not_change() {
        let rate = Rate::diurnal(60.0, 2.0, 14 * 60, 0.5, MONDAY);
        let first: Vec<i64> =
            instants(&Process::Single(rate), 0, 24).iter().take(4).map(|at| at.ms()).collect();
        assert_eq!(first, GOLDEN);
        assert_ne!(instants(&Process::Single(Rate::constant(60.0)), 1, 1), []);
    }
    const GOLDEN: [i64; 4] = [1_819_053, 1_941_659, 2_416_431, 3_077_207];

    #[test]
    fn a_rate_of_zero_never_comes() {
        assert_eq!(instants(&Process::Single(Rate::constant(0.0)), 0, 1_000), []);
    }
}
