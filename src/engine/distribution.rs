//! Distributions with integer results, sampled by inversion of one uniform number, so that draws stay aligned across
//! policies. Transcendental functions come from `libm`: the same bits on every machine.

use std::sync::Arc;

/// A distribution of durations in milliseconds, sizes in kB and the like; the unit is the caller's.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Always the same.
    Fixed(i64),
    /// Uniform between two bounds, both possible.
    Uniform {
        /// Least value.
        low: i64,
        /// Greatest value, at least `low`.
        high: i64,
    },
    /// Log-normal by median and 95th percentile, clamped to [0.4 p50, 4 p95].
    LogNormal {
        /// Median, positive.
        p50: i64,
        /// 95th percentile, at least the median.
        p95: i64,
    },
    /// One of recorded values, each as likely; ascending, not empty.
    Empirical(Arc<[i64]>),
}

/// The 95th percentile of the standard normal distribution, as the definition of LN(p50, p95) rounds it.
const Z95: f64 = 1.6449;

impl Distribution {
    /// The value at the quantile `u` in (0, 1), rounded half away from zero.
    pub fn sample(&self, u: f64) -> i64 {
        match self {
            Distribution::Fixed(value) => *value,
            Distribution::Uniform { low, high } => {
                let width = (high - low) as f64 + 1.0;
                (low + (u * width) as i64).min(*high)
            }
            Distribution::LogNormal { p50, p95 } => {
                let (p50, p95) = (*p50 as f64, *p95 as f64);
                let sigma = libm::log(p95 / p50) / Z95;
                let value = p50 * libm::exp(sigma * normal_quantile(u));
                libm::round(value.clamp(0.4 * p50, 4.0 * p95)) as i64
            }
            Distribution::Empirical(values) => {
                let index = (u * values.len() as f64) as usize;
                values[index.min(values.len() - 1)]
            }
        }
    }

    /// The distribution of `factor_permille / 1000` times the value.
    pub fn scaled(&self, factor_permille: i64) -> Distribution {
        let scale = |value: &i64| value * factor_permille / 1_000;
        match self {
            Distribution::Fixed(value) => Distribution::Fixed(scale(value)),
            Distribution::Uniform { low, high } => Distribution::Uniform {
                low: scale(low),
                high: scale(high),
            },
            Distribution::LogNormal { p50, p95 } => Distribution::LogNormal {
                p50: scale(p50),
                p95: scale(p95),
            },
            Distribution::Empirical(values) => {
                Distribution::Empirical(values.iter().map(scale).collect())
            }
        }
    }
}

/// The quantile function of the standard normal distribution: Wichura's algorithm AS 241 (PPND16), accurate to about
/// 1 part in 10^16.
fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * ratio(r, &CENTRAL.0, &CENTRAL.1);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    let r = libm::sqrt(-libm::log(tail));
    let value = if r <= 5.0 {
        ratio(r - 1.6, &MIDDLE.0, &MIDDLE.1)
    } else {
        ratio(r - 5.0, &FAR.0, &FAR.1)
    };
    if q < 0.0 { -value } else { value }
}

/// Quotient of two polynomials, coefficients from the constant term up.
fn ratio(r: f64, top: &[f64; 8], bottom: &[f64; 8]) -> f64 {
    let horner =
        |coefficients: &[f64; 8]| coefficients.iter().rev().fold(0.0, |sum, c| sum * r + c);
    horner(top) / horner(bottom)
}

type Rational = ([f64; 8], [f64; 8]);

#[rustfmt::skip]
const CENTRAL: Rational = (
    [3.387_132_872_796_366_608, 133.141_667_891_784_377_45, 1_971.590_950_306_551_442_7,
     13_731.693_765_509_461_125, 45_921.953_931_549_871_457, 67_265.770_927_008_700_853,
     33_430.575_583_588_128_105, 2_509.080_928_730_122_672_7],
    [1.0, 42.313_330_701_600_911_252, 687.187_007_492_057_908_3, 5_394.196_021_424_751_107_7,
     21_213.794_301_586_595_867, 39_307.895_800_092_710_61, 28_729.085_735_721_942_674,
     5_226.495_278_852_854_561],
);
#[rustfmt::skip]
const MIDDLE: Rational = (
    [1.423_437_110_749_683_577_34, 4.630_337_846_156_545_295_9, 5.769_497_221_460_691_405_5,
     3.647_848_324_763_204_605_04, 1.270_458_252_452_368_382_58, 0.241_780_725_177_450_611_77,
     0.022_723_844_989_269_184_583_3, 7.745_450_142_783_414_076_4e-4],
    [1.0, 2.053_191_626_637_758_821_87, 1.676_384_830_183_803_849_4, 0.689_767_334_985_100_004_55,
     0.148_103_976_427_480_074_59, 0.015_198_666_563_616_457_196_6,
     5.475_938_084_995_344_946e-4, 1.050_750_071_644_416_843_24e-9],
);
#[rustfmt::skip]
const FAR: Rational = (
    [6.657_904_643_501_103_777_2, 5.463_784_911_164_114_369_9, 1.784_826_539_917_291_335_8,
     0.296_560_571_828_504_891_23, 0.026_532_189_526_576_123_093, 1.242_660_947_388_078_438_6e-3,
     2.711_555_568_743_487_578_15e-5, 2.010_334_399_292_288_132_65e-7],
    [1.0, 0.599_832_206_555_887_937_69, 0.136_929_880_922_735_805_31,
     0.014_875_361_290_850_614_852_5, 7.868_691_311_456_132_591e-4,
     1.846_318_317_510_054_681_8e-5, 1.421_511_758_316_445_888_7e-7,
     2.044_263_103_389_939_785_64e-15],
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::random::{Purpose, Streams};

    /// Quantiles of the standard normal distribution from statistical tables.
    #[test]
    fn normal_quantiles_match_the_tables() {
        for (p, z) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.025, -1.959_963_984_540_054),
            (0.95, 1.644_853_626_951_472_2),
            (0.999_999, 4.753_424_308_822_899),
            (1e-12, -7.034_483_825_301_131),
        ] {
            assert!(
                (normal_quantile(p) - z).abs() < 1e-9,
                "{p}: {}",
                normal_quantile(p)
            );
        }
    }

    #[test]
    fn log_normal_draws_have_their_percentiles() {
        let streams = Streams::new(42);
        let boot = Distribution::LogNormal {
            p50: 35_000,
            p95: 60_000,
        };
        let mut draws: Vec<i64> = (0..20_001)
            .map(|entity| streams.sample(&boot, Purpose::RegistrationLatency, entity, 0))
            .collect();
        draws.sort_unstable();
        assert!(
            (draws[10_000] - 35_000).abs() < 500,
            "median {}",
            draws[10_000]
        );
        assert!(
            (draws[19_000] - 60_000).abs() < 1_000,
            "p95 {}",
            draws[19_000]
        );
        assert!(draws[0] >= 14_000 && draws[20_000] <= 240_000);
    }

    /// Kolmogorov-Smirnov distance of a uniform sample; the critical value at 0.1 % for 10,000 draws is 0.0195.
    #[test]
    fn uniform_draws_are_uniform() {
        let streams = Streams::new(3);
        let uniform = Distribution::Uniform {
            low: 0,
            high: 999_999,
        };
        let mut draws: Vec<i64> = (0..10_000)
            .map(|entity| streams.sample(&uniform, Purpose::PodStart, entity, 0))
            .collect();
        draws.sort_unstable();
        let distance = draws
            .iter()
            .enumerate()
            .map(|(i, draw)| (*draw as f64 / 1e6 - i as f64 / 1e4).abs())
            .fold(0.0, f64::max);
        assert!(distance < 0.0195, "{distance}");
    }

    #[test]
    fn bounds_and_records_are_kept() {
        let uniform = Distribution::Uniform { low: 3, high: 4 };
        assert_eq!((uniform.sample(1e-9), uniform.sample(1.0 - 1e-9)), (3, 4));
        let recorded = Distribution::Empirical([1, 5, 9].into());
        assert_eq!([0.1, 0.5, 0.99].map(|u| recorded.sample(u)), [1, 5, 9]);
        let scaled = Distribution::LogNormal {
            p50: 35_000,
            p95: 60_000,
        }
        .scaled(1_700);
        assert_eq!(
            scaled,
            Distribution::LogNormal {
                p50: 59_500,
                p95: 102_000
            }
        );
    }
}
