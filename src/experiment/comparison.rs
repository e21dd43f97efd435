//! Two policies on the same random worlds: paired differences, their intervals, and a word for each.

use super::statistics::Estimate;
use crate::outcome::{Better, Metric, Unit};

/// Differences below this share of the first policy's mean change nothing for anybody.
pub const PRACTICAL_SHARE: f64 = 0.005;

/// What the comparison of one metric comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The interval lies above zero.
    More,
    /// The interval lies below zero.
    Less,
    /// The interval holds nothing of practical size.
    Same,
    /// The interval holds zero and more than what is negligible.
    Unclear,
}

/// One metric of two policies.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The metric: name, labels, unit, direction.
    pub metric: Metric,
    /// The first policy.
    pub base: Estimate,
    /// The other one.
    pub other: Estimate,
    /// Other less first, run by run.
    pub difference: Estimate,
    /// What it comes to.
    pub verdict: Verdict,
}

impl Difference {
    /// Compares values that stand in the order of the replications; pairs of which one has no value are left out. None
    /// without a pair.
    pub fn new(metric: &Metric, base: &[Option<f64>], other: &[Option<f64>]) -> Option<Difference> {
        let pairs: Vec<(f64, f64)> =
            base.iter().zip(other).filter_map(|(a, b)| (*a).zip(*b)).collect();
        let of = |value: fn(&(f64, f64)) -> f64| {
            Estimate::of(&pairs.iter().map(value).collect::<Vec<f64>>())
        };
        let (base, other) = (of(|pair| pair.0)?, of(|pair| pair.1)?);
        let difference = of(|pair| pair.1 - pair.0)?;
        let verdict = verdict(&difference, PRACTICAL_SHARE * base.mean.abs());
        Some(Difference { metric: metric.clone(), base, other, difference, verdict })
    }

    /// The difference in per cent of the first policy's mean; none of zero.
    pub fn percent(&self) -> Option<f64> {
        (self.base.mean != 0.0).then(|| 100.0 * self.difference.mean / self.base.mean.abs())
    }

    /// The verdict in a word that fits the metric.
    pub fn word(&self) -> &'static str {
        let words = match self.metric.unit {
            _ if self.metric.name.starts_with("work_lost") => ("more", "less"),
            Unit::Usd | Unit::UsdPerHour | Unit::UsdPerMonth => ("costlier", "cheaper"),
            Unit::Seconds => ("longer", "shorter"),
            Unit::Percent => ("higher", "lower"),
            Unit::Count | Unit::PerDay | Unit::PerPodDay | Unit::Hours => ("more", "fewer"),
        };
        match self.verdict {
            Verdict::More => words.0,
            Verdict::Less => words.1,
            Verdict::Same => "no change",
            Verdict::Unclear => "no change detected",
        }
    }

    /// Whether the other policy is the better one; none where there is no difference or no direction.
    pub fn is_better(&self) -> Option<bool> {
        let more = match self.verdict {
            Verdict::More => true,
            Verdict::Less => false,
            _ => return None,
        };
        match self.metric.better {
            Better::Lower => Some(!more),
            Better::Higher => Some(more),
            Better::Neutral => None,
        }
    }
}

fn verdict(difference: &Estimate, negligible: f64) -> Verdict {
    let (low, high) = difference.interval();
    if low >= -negligible && high <= negligible {
        Verdict::Same
    } else if low > 0.0 {
        Verdict::More
    } else if high < 0.0 {
        Verdict::Less
    } else {
        Verdict::Unclear
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost() -> Metric {
        Metric {
            name: "cost_month_usd",
            labels: Vec::new(),
            unit: Unit::UsdPerMonth,
            better: Better::Lower,
            value: None,
        }
    }

    fn compared(base: &[f64], other: &[f64]) -> Difference {
        let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        Difference::new(&cost(), &some(base), &some(other)).expect("pairs")
    }

    #[test]
    fn pairs_show_what_means_hide() {
        // The worlds differ by far more than the policies.
        let difference = compared(&[100.0, 200.0, 300.0, 400.0], &[90.0, 189.0, 291.0, 390.0]);
        assert_eq!((difference.verdict, difference.word()), (Verdict::Less, "cheaper"));
        assert_eq!(difference.is_better(), Some(true));
        assert_eq!(difference.percent(), Some(-4.0));
    }

    #[test]
    fn verdicts_need_a_whole_interval() {
        for (other, verdict) in [
            ([101.0, 99.0, 103.0, 95.0], Verdict::Unclear),
            ([100.1, 100.0, 100.2, 99.9], Verdict::Same),
            ([100.0, 100.0, 100.0, 100.0], Verdict::Same),
            ([110.0, 112.0, 109.0, 111.0], Verdict::More),
        ] {
            assert_eq!(compared(&[100.0; 4], &other).verdict, verdict, "{other:?}");
        }
        assert_eq!(compared(&[1.0], &[2.0]).verdict, Verdict::More, "one run has no interval");
        assert_eq!(Difference::new(&cost(), &[None], &[Some(1.0)]), None);
    }
}
