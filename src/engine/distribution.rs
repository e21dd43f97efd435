//! Distributions with whole-number results, sampled by inversion.
//!
//! Parameters and results share one unit, milliseconds unless the caller means another. Every
//! sample comes from exactly one uniform number `u` and never falls when `u` grows: common random
//! numbers stay aligned across policies, and a slow launch stays slow when its distribution is
//! exchanged for another. Rounding, half away from zero, is part of the sampler.
//!
//! Logarithms and exponentials are those of the `libm` crate, whose bits are the same on every
//! machine; the platform's are not.

use std::sync::Arc;

/// The 95th percentile of the standard normal distribution, as rounded in the definition of
/// [`Distribution::LogNormal`].
const Z95: f64 = 1.6449;
/// Bounds of a log-normal sample, as multiples of its median and of its 95th percentile.
const LOG_NORMAL_LOW: f64 = 0.4;
const LOG_NORMAL_HIGH: f64 = 4.0;
/// Largest magnitude of parameters and results, 2^53: beyond it an `f64` skips whole numbers. In
/// milliseconds it is 285 000 years, so sums of a sample and an instant never overflow.
const LIMIT: i64 = 1 << 53;
/// Below this shape a Weibull sample is 0 or absurdly large, nothing between.
const WEIBULL_SHAPE_LOW: f64 = 0.1;

/// How a random whole number is distributed. Valid if [`defect`](Distribution::defect) finds
/// nothing; the other methods may panic or return nonsense on an invalid one.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Always this value.
    Fixed(i64),
    /// Every whole number from `low` to `high`, both included, equally likely.
    Uniform {
        /// Smallest value.
        low: i64,
        /// Largest value.
        high: i64,
    },
    /// Exponential.
    Exponential {
        /// Mean, above 0.
        mean: f64,
    },
    /// Log-normal, given by two percentiles: mu = ln `p50`, sigma = ln(`p95` / `p50`) / 1.6449. A
    /// sample is clamped to the range from 0.4 × `p50` to 4 × `p95`.
    LogNormal {
        /// Median, above 0.
        p50: f64,
        /// 95th percentile, at least the median.
        p95: f64,
    },
    /// Weibull.
    Weibull {
        /// Shape, at least 0.1; below 1 the values come in bursts.
        shape: f64,
        /// Scale, above 0: the 63rd percentile.
        scale: f64,
    },
    /// Pareto, cut off: the values between `least` and `most` of a Pareto distribution that begins at `least`.
    Pareto {
        /// Exponent, above 0; at 1 and below the mean of the uncut distribution is infinite.
        shape: f64,
        /// Smallest value, above 0.
        least: f64,
        /// Largest value, above the smallest.
        most: f64,
    },
    /// One of the recorded values, equally likely. Sorted and not empty, as
    /// [`empirical`](Distribution::empirical) makes it.
    Empirical(Arc<[i64]>),
}

impl Distribution {
    /// The distribution of recorded values, in any order.
    pub fn empirical(mut values: Vec<i64>) -> Distribution {
        values.sort_unstable();
        Distribution::Empirical(values.into())
    }

    /// What makes the parameters invalid, for a message to the user; `None` if nothing does.
    pub fn defect(&self) -> Option<&'static str> {
        let positive = |x: f64| x > 0.0 && x <= LIMIT as f64;
        let whole = |x: i64| x.unsigned_abs() <= LIMIT.unsigned_abs();
        let (valid, defect) = match *self {
            Distribution::Fixed(value) => (whole(value), "the value must lie within ±2^53"),
            Distribution::Uniform { low, high } => (
                whole(low) && whole(high) && low <= high && high - low < LIMIT,
                "the bounds must be in ascending order and less than 2^53 apart",
            ),
            Distribution::Exponential { mean } => {
                (positive(mean), "the mean must be above 0 and at most 2^53")
            }
            Distribution::LogNormal { p50, p95 } => (
                positive(p50) && positive(p95) && p50 <= p95,
                "the median must be above 0, the 95th percentile not below it and at most 2^53",
            ),
            Distribution::Weibull { shape, scale } => (
                positive(scale) && positive(shape) && shape >= WEIBULL_SHAPE_LOW,
                "the scale must be above 0 and at most 2^53, the shape at least 0.1",
            ),
            Distribution::Pareto { shape, least, most } => (
                positive(shape) && positive(least) && positive(most) && least < most,
                "the shape must be above 0, the smallest value too, and the largest above it and at most 2^53",
            ),
            Distribution::Empirical(ref values) => (
                !values.is_empty() && values.is_sorted() && values.iter().all(|&x| whole(x)),
                "there must be values, in ascending order and within ±2^53",
            ),
        };
        (!valid).then_some(defect)
    }

    /// The value at the uniform number `u`, strictly between 0 and 1: the inverse of the cumulative
    /// distribution, rounded half away from zero and limited to ±2^53.
    pub fn sample(&self, u: f64) -> i64 {
        assert!(u > 0.0 && u < 1.0, "{u} is not between 0 and 1");
        match *self {
            Distribution::Fixed(value) => value,
            Distribution::Uniform { low, high } => {
                let count = high - low + 1;
                low + pick(u, count)
            }
            Distribution::Exponential { mean } => rounded(mean * exponential_quantile(u)),
            Distribution::LogNormal { p50, p95 } => {
                let sigma = log_normal_sigma(p50, p95);
                let x = p50 * libm::exp(sigma * normal_quantile(u));
                rounded(x.clamp(LOG_NORMAL_LOW * p50, LOG_NORMAL_HIGH * p95))
            }
            Distribution::Weibull { shape, scale } => {
                rounded(scale * libm::pow(exponential_quantile(u), 1.0 / shape))
            }
            Distribution::Pareto { shape, least, most } => {
                let cut = 1.0 - libm::pow(least / most, shape);
                rounded((least * libm::pow(1.0 - u * cut, -1.0 / shape)).min(most))
            }
            Distribution::Empirical(ref values) => values[pick(u, values.len() as i64) as usize],
        }
    }

    /// The sample at one half: with an even number of equally likely values, the upper of the two
    /// in the middle.
    pub fn median(&self) -> i64 {
        self.sample(0.5)
    }

    /// The expected sample before rounding, with the clamping of the log-normal; not a whole number
    /// in general.
    pub fn mean(&self) -> f64 {
        match *self {
            Distribution::Fixed(value) => value as f64,
            Distribution::Uniform { low, high } => (low + high) as f64 / 2.0,
            Distribution::Exponential { mean } => mean,
            Distribution::LogNormal { p50, p95 } => log_normal_mean(p50, p95),
            Distribution::Weibull { shape, scale } => scale * libm::tgamma(1.0 + 1.0 / shape),
            Distribution::Pareto { shape, least, most } => {
                let cut = 1.0 - libm::pow(least / most, shape);
                match shape == 1.0 {
                    true => least / cut * libm::log(most / least),
                    false => {
                        let power = |x: f64| libm::pow(x, 1.0 - shape);
                        libm::pow(least, shape) / cut * shape / (shape - 1.0)
                            * (power(least) - power(most))
                    }
                }
            }
            Distribution::Empirical(ref values) => {
                let sum: i128 = values.iter().map(|&value| i128::from(value)).sum();
                sum as f64 / values.len() as f64
            }
        }
    }

    /// This distribution stretched by `factor_permille` thousandths: 1700 makes every value 1.7
    /// times as large. Whole-number parameters are rounded half away from zero.
    pub fn scaled(&self, factor_permille: u32) -> Distribution {
        let factor = f64::from(factor_permille) / 1_000.0;
        let whole = |value| scaled_whole(value, factor_permille);
        match *self {
            Distribution::Fixed(value) => Distribution::Fixed(whole(value)),
            Distribution::Uniform { low, high } => {
                Distribution::Uniform { low: whole(low), high: whole(high) }
            }
            Distribution::Exponential { mean } => Distribution::Exponential { mean: mean * factor },
            Distribution::LogNormal { p50, p95 } => {
                Distribution::LogNormal { p50: p50 * factor, p95: p95 * factor }
            }
            Distribution::Weibull { shape, scale } => {
                Distribution::Weibull { shape, scale: scale * factor }
            }
            Distribution::Pareto { shape, least, most } => {
                Distribution::Pareto { shape, least: least * factor, most: most * factor }
            }
            Distribution::Empirical(ref values) => {
                Distribution::Empirical(values.iter().map(|&value| whole(value)).collect())
            }
        }
    }
}

/// The nearest whole number, half away from zero, within [`LIMIT`].
fn rounded(x: f64) -> i64 {
    (libm::round(x) as i64).clamp(-LIMIT, LIMIT)
}

/// `value` × `permille` / 1000, half away from zero, within [`LIMIT`].
fn scaled_whole(value: i64, permille: u32) -> i64 {
    let product = i128::from(value) * i128::from(permille);
    let nearest = (product + 500 * product.signum()) / 1_000;
    nearest.clamp(i128::from(-LIMIT), i128::from(LIMIT)) as i64
}

/// The number in `0..count` at `u`.
fn pick(u: f64, count: i64) -> i64 {
    // Rounding could lift a product of the largest u to `count` itself.
    ((u * count as f64) as i64).min(count - 1)
}

/// Quantile of the exponential distribution with mean 1. The common -ln u falls in u; this rises.
fn exponential_quantile(u: f64) -> f64 {
    -libm::log1p(-u)
}

fn log_normal_sigma(p50: f64, p95: f64) -> f64 {
    libm::log(p95 / p50) / Z95
}

/// Mean of the clamped log-normal: the two masses on the bounds and the part between them, which is
/// exp(mu + sigma^2 / 2) times the same normal interval shifted by sigma.
fn log_normal_mean(p50: f64, p95: f64) -> f64 {
    let sigma = log_normal_sigma(p50, p95);
    if sigma == 0.0 {
        return p50;
    }
    let (low, high) = (LOG_NORMAL_LOW * p50, LOG_NORMAL_HIGH * p95);
    let z_low = libm::log(low / p50) / sigma;
    let z_high = libm::log(high / p50) / sigma;
    let between = normal_cdf(z_high - sigma) - normal_cdf(z_low - sigma);
    low * normal_cdf(z_low)
        + high * normal_cdf(-z_high)
        + p50 * libm::exp(sigma * sigma / 2.0) * between
}

fn normal_cdf(z: f64) -> f64 {
    libm::erfc(-z / std::f64::consts::SQRT_2) / 2.0
}

/// Quantile of the standard normal distribution, to about 1e-16.
///
/// Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", Applied
/// Statistics 37 (1988), routine PPND16: a rational function in the centre and two in the tails.
pub(crate) fn normal_quantile(u: f64) -> f64 {
    let q = u - 0.5;
    if q.abs() <= 0.425 {
        return q * ratio(&CENTRE_ABOVE, &CENTRE_BELOW, 0.180_625 - q * q);
    }
    let tail = if q < 0.0 { u } else { 1.0 - u };
    let r = libm::sqrt(-libm::log(tail));
    let z = if r <= 5.0 {
        ratio(&TAIL_ABOVE, &TAIL_BELOW, r - 1.6)
    } else {
        ratio(&FAR_ABOVE, &FAR_BELOW, r - 5.0)
    };
    if q < 0.0 { -z } else { z }
}

/// The quotient of two polynomials, coefficients in ascending order.
fn ratio(above: &[f64; 8], below: &[f64; 8], x: f64) -> f64 {
    let polynomial = |coefficients: &[f64; 8]| {
        let horner = |sum, coefficient: &f64| sum * x + coefficient;
        coefficients.iter().rev().fold(0.0, horner)
    };
    polynomial(above) / polynomial(below)
}

// Coefficients of AS 241, in the shortest decimals that give the same f64: above and below the
// fraction bar for the centre (|u - 0.5| <= 0.425), the tails, and the far tails (beyond e^-25).
const CENTRE_ABOVE: [f64; 8] = [
    3.387_132_872_796_366_5,
    133.141_667_891_784_38,
    1_971.590_950_306_551_3,
    13_731.693_765_509_46,
    45_921.953_931_549_87,
    67_265.770_927_008_7,
    33_430.575_583_588_13,
    2_509.080_928_730_122_7,
];
const CENTRE_BELOW: [f64; 8] = [
    1.0,
    42.313_330_701_600_91,
    687.187_007_492_057_9,
    5_394.196_021_424_751,
    21_213.794_301_586_597,
    39_307.895_800_092_71,
    28_729.085_735_721_943,
    5_226.495_278_852_854,
];
const TAIL_ABOVE: [f64; 8] = [
    1.423_437_110_749_683_5,
    4.630_337_846_156_546,
    5.769_497_221_460_691,
    3.647_848_324_763_204_5,
    1.270_458_252_452_368_4,
    0.241_780_725_177_450_6,
    0.022_723_844_989_269_184,
    0.000_774_545_014_278_341_4,
];
const TAIL_BELOW: [f64; 8] = [
    1.0,
    2.053_191_626_637_759,
    1.676_384_830_183_803_8,
    0.689_767_334_985_1,
    0.148_103_976_427_480_08,
    0.015_198_666_563_616_457,
    0.000_547_593_808_499_534_5,
    1.050_750_071_644_416_9e-9,
];
const FAR_ABOVE: [f64; 8] = [
    6.657_904_643_501_103,
    5.463_784_911_164_114,
    1.784_826_539_917_291_3,
    0.296_560_571_828_504_87,
    0.026_532_189_526_576_124,
    0.001_242_660_947_388_078_4,
    2.711_555_568_743_487_6e-5,
    2.010_334_399_292_288_1e-7,
];
const FAR_BELOW: [f64; 8] = [
    1.0,
    0.599_832_206_555_888,
    0.136_929_880_922_735_8,
    0.014_875_361_290_850_615,
    0.000_786_869_131_145_613_3,
    1.846_318_317_510_054_8e-5,
    1.421_511_758_316_446e-7,
    2.044_263_103_389_939_7e-15,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Purpose, Streams};

    const ALWAYS_10: Distribution = Distribution::Fixed(10);

    fn log_normal(p50: f64, p95: f64) -> Distribution {
        Distribution::LogNormal { p50, p95 }
    }

    #[test]
    fn normal_quantiles_have_their_known_values() {
        for (u, z) in [
            (0.5, 0.0),
            (0.25, -0.674_489_750_196_081_7), // the test values of AS 241
            (0.001, -3.090_232_306_167_813_5),
            (1e-20, -9.262_340_089_798_408),
            (0.95, 1.644_853_626_951_472_2),
            (0.975, 1.959_963_984_540_054),
        ] {
            let error = (normal_quantile(u) - z).abs();
            assert!(error <= 4e-15 * z.abs(), "{u}: {error:e}");
        }
    }

    #[test]
    fn samples_at_known_quantiles() {
        let exponential = Distribution::Exponential { mean: 1e6 };
        let weibull = Distribution::Weibull { shape: 0.5, scale: 1e6 };
        let uniform = Distribution::Uniform { low: -1, high: 2 };
        let recorded = Distribution::empirical(vec![30, 10, 20, 10]);
        for (distribution, u, value) in [
            (&ALWAYS_10, 0.01, 10),
            (&uniform, 1e-9, -1),
            (&uniform, 0.249, -1),
            (&uniform, 0.251, 0),
            (&uniform, 1.0 - f64::EPSILON / 2.0, 2),
            (&exponential, 0.5, 693_147),
            (&exponential, 0.9, 2_302_585),
            (&weibull, 0.5, 480_453),
            (&weibull, 0.9, 5_301_898),
            (&recorded, 0.49, 10),
            (&recorded, 0.51, 20),
            (&recorded, 0.99, 30),
            (&log_normal(1_200.0, 3_100.0), 0.5, 1_200),
            (&log_normal(1_200.0, 3_100.0), 0.95, 3_100),
            (&log_normal(1_200.0, 3_100.0), 0.001, 480),
            (&log_normal(1_200.0, 3_100.0), 1.0 - 1e-9, 12_400),
            (&log_normal(700.0, 700.0), 0.99, 700),
        ] {
            assert_eq!(distribution.sample(u), value, "{distribution:?} at {u}");
        }
    }

    #[test]
    fn rounding_is_half_away_from_zero_and_limited() {
        for (x, value) in
            [(0.5, 1), (-0.5, -1), (2.5, 3), (2.499_999, 2), (1e30, LIMIT), (-1e30, -LIMIT)]
        {
            assert_eq!(rounded(x), value);
        }
        for (value, permille, scaled) in
            [(3, 500, 2), (-3, 500, -2), (1_000, 1_150, 1_150), (7, 0, 0), (LIMIT, u32::MAX, LIMIT)]
        {
            assert_eq!(scaled_whole(value, permille), scaled);
        }
    }

    #[test]
    fn scaling_stretches_every_quantile() {
        for distribution in [
            ALWAYS_10,
            Distribution::Uniform { low: 100, high: 900 },
            Distribution::Exponential { mean: 5_000.0 },
            log_normal(30_000.0, 45_000.0),
            Distribution::Weibull { shape: 2.0, scale: 5_000.0 },
            Distribution::empirical(vec![100, 200, 400]),
        ] {
            let scaled = distribution.scaled(1_700);
            for u in [0.01, 0.5, 0.99] {
                let expected = distribution.sample(u) * 17;
                assert!((scaled.sample(u) * 10 - expected).abs() <= 15, "{scaled:?}");
            }
        }
    }

    #[test]
    fn impossible_parameters_are_named() {
        let uniform = |low, high| Distribution::Uniform { low, high };
        let weibull = |shape, scale| Distribution::Weibull { shape, scale };
        for valid in [
            ALWAYS_10,
            uniform(0, 0),
            Distribution::Exponential { mean: 0.2 },
            log_normal(1.0, 1.0),
            weibull(0.1, 1.0),
            Distribution::empirical(vec![2, 1]),
        ] {
            assert_eq!(valid.defect(), None, "{valid:?}");
        }
        for invalid in [
            Distribution::Fixed(i64::MAX),
            uniform(1, 0),
            uniform(-LIMIT, LIMIT),
            Distribution::Exponential { mean: 0.0 },
            Distribution::Exponential { mean: f64::NAN },
            Distribution::Exponential { mean: f64::INFINITY },
            log_normal(0.0, 1.0),
            log_normal(2.0, 1.0),
            weibull(0.05, 1.0),
            weibull(1.0, -1.0),
            Distribution::empirical(Vec::new()),
            Distribution::Empirical(Arc::new([2, 1])),
        ] {
            assert!(invalid.defect().is_some(), "{invalid:?}");
        }
    }

    type Cdf = fn(f64) -> f64;

    /// `workloads.md` 26.15: bounded Pareto(10, 86400, 1.1) has the mean 65.6.
    #[test]
    fn a_cut_pareto_has_its_mean_and_its_ends() {
        let pareto = Distribution::Pareto { shape: 1.1, least: 10.0, most: 86_400.0 };
        assert!((pareto.mean() - 65.6).abs() < 0.05, "{}", pareto.mean());
        assert_eq!((pareto.sample(1e-12), pareto.sample(1.0 - 1e-12)), (10, 86_400));
        let median = 10.0 * libm::pow(0.5, -1.0 / 1.1);
        assert!((pareto.sample(0.5) as f64 - median).abs() < 1.0);
    }

    /// Cases with a unit so fine that rounding does not show, and their cumulative distributions.
    fn continuous_cases() -> [(Distribution, Cdf); 7] {
        let (low, high, mean) = (0, 999_999, 1e6);
        let (shape, scale) = (1.5, 1e6);
        let cut = |shape| Distribution::Pareto { shape, least: 1e6, most: 1e8 };
        [
            (cut(1.1), |x| (1.0 - libm::pow(x / 1e6, -1.1)) / (1.0 - libm::pow(100.0, -1.1))),
            (cut(1.0), |x| (1.0 - 1e6 / x) / (1.0 - 0.01)),
            (Distribution::Uniform { low, high }, |x| x / 1e6),
            (Distribution::Exponential { mean }, |x| 1.0 - libm::exp(-x / 1e6)),
            (log_normal(1e6, 1.6e6), |x| normal_cdf(libm::log(x / 1e6) * Z95 / libm::log(1.6))),
            (Distribution::Weibull { shape, scale }, |x| 1.0 - libm::exp(-libm::pow(x / 1e6, 1.5))),
            (Distribution::empirical((0..1_000_000).collect()), |x| x / 1e6),
        ]
    }

    fn samples(distribution: &Distribution) -> Vec<i64> {
        let streams = Streams::new(20_260_105);
        (0..20_000)
            .map(|entity| streams.sample(distribution, Purpose::PodLifetime, entity, 0))
            .collect()
    }

    #[test]
    fn samples_follow_their_distribution() {
        for (distribution, cdf) in continuous_cases() {
            let mut values = samples(&distribution);
            values.sort_unstable();
            let n = values.len() as f64;
            let distance = values.iter().enumerate().fold(0.0_f64, |worst, (i, &value)| {
                let expected = cdf(value as f64);
                worst
                    .max((expected - i as f64 / n).abs())
                    .max((expected - (i + 1) as f64 / n).abs())
            });
            // Kolmogorov and Smirnov's bound at 1 %; the seed is fixed.
            let bound = 1.63 / libm::sqrt(n);
            assert!(distance < bound, "{distribution:?}: {distance} >= {bound}");
        }
    }

    #[test]
    fn a_fixed_value_is_all_there_is() {
        assert!(samples(&ALWAYS_10).iter().all(|value| *value == 10));
    }

    /// The first samples of each kind: a changed one would change every result.
    #[test]
    fn the_first_samples_do_not_change() {
        let first = |distribution: &Distribution| {
            let streams = Streams::new(42);
            [0, 1, 2].map(|n| streams.sample(distribution, Purpose::PodLifetime, n, 0))
        };
        for (distribution, golden) in [
            (ALWAYS_10, [10, 10, 10]),
            (Distribution::Uniform { low: 0, high: 999_999 }, GOLDEN[0]),
            (Distribution::Exponential { mean: 1e6 }, GOLDEN[1]),
            (log_normal(1e6, 1.6e6), GOLDEN[2]),
            (Distribution::Weibull { shape: 1.5, scale: 1e6 }, GOLDEN[3]),
            (Distribution::Pareto { shape: 1.1, least: 1e6, most: 1e8 }, GOLDEN[4]),
            (Distribution::empirical(vec![10, 20, 30, 40]), GOLDEN[5]),
        ] {
            assert_eq!(first(&distribution), golden, "{distribution:?}");
        }
    }
    const GOLDEN: [[i64; 3]; 6] = [
        [523114, 109123, 167565],
        [740480, 115549, 183401],
        [1016703, 703423, 759269],
        [818481, 237235, 322800],
        [1948175, 1109981, 1180070],
        [30, 10, 10],
    ];

    #[test]
    fn the_mean_is_the_integral_of_the_quantiles() {
        const CELLS: i32 = 100_000;
        // Wide enough for both bounds of the log-normal to count.
        let clamped = log_normal(1e6, 20e6);
        let cases = continuous_cases().into_iter().map(|(case, _)| case);
        for distribution in cases.chain([ALWAYS_10, log_normal(9.0, 9.0), clamped]) {
            let middle = |cell| (f64::from(cell) + 0.5) / f64::from(CELLS);
            let sum: i64 = (0..CELLS).map(|cell| distribution.sample(middle(cell))).sum();
            let error = (sum as f64 / f64::from(CELLS) / distribution.mean() - 1.0).abs();
            assert!(error < 1e-4, "{distribution:?}: {error}");
        }
    }

    #[test]
    fn log_normal_percentiles_come_back() {
        for (p50, p95) in [(1_200, 3_100), (30_000, 45_000), (200, 260)] {
            let distribution = log_normal(f64::from(p50), f64::from(p95));
            assert_eq!(distribution.median(), i64::from(p50));
            assert!((distribution.sample(0.95) - i64::from(p95)).abs() <= 1);
            let mut values = samples(&distribution);
            values.sort_unstable();
            for (rank, expected) in [(values.len() / 2, p50), (values.len() * 95 / 100, p95)] {
                let error = (values[rank] as f64 / f64::from(expected) - 1.0).abs();
                assert!(error < 0.02, "{p50}, {p95}: {error}");
            }
        }
    }

    #[test]
    fn boot_times_have_the_moments_of_their_source() {
        // LN(28 s, 50 s), registration of an AL2 node: mean 29.8 s, 99th percentile 63.6 s.
        let boot_ms = log_normal(28_000.0, 50_000.0);
        assert!((boot_ms.mean() - 29_800.0).abs() < 50.0);
        assert!((boot_ms.sample(0.99) - 63_600).abs() < 100);
    }

    #[test]
    fn samples_never_fall_when_u_grows() {
        let cases = continuous_cases().into_iter().map(|(case, _)| case);
        for distribution in cases.chain([log_normal(1e6, 20e6)]) {
            let values: Vec<i64> =
                (1..1_000).map(|i| distribution.sample(f64::from(i) / 1_000.0)).collect();
            assert!(values.is_sorted(), "{distribution:?}");
        }
    }
}
