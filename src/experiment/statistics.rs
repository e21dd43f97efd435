//! Means with their intervals: Student's t, exact through `libm`.

/// A mean with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Mean.
    pub mean: f64,
    /// Half of the interval's width; none of a single value.
    pub half_width: Option<f64>,
    /// Number of values.
    pub count: usize,
}

impl Estimate {
    /// The mean of some values; none without a value.
    pub fn of(values: &[f64]) -> Option<Estimate> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count as f64;
        let half_width = (count > 1).then(|| {
            let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
            let degrees = (count - 1) as f64;
            t_quantile(0.975, count - 1) * (squares / degrees / count as f64).sqrt()
        });
        Some(Estimate { mean, half_width, count })
    }

    /// The ends of the interval; the mean itself of a single value.
    pub fn interval(&self) -> (f64, f64) {
        let half = self.half_width.unwrap_or(0.0);
        (self.mean - half, self.mean + half)
    }
}

/// A quantile of Student's t distribution, from the median to the 97.5th percentile, by bisection of its distribution
/// function.
pub fn t_quantile(share: f64, degrees: usize) -> f64 {
    let (mut low, mut high) = (0.0, 13.0);
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if t_cdf(middle, degrees as f64) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// Distribution function of Student's t at `t` of 0 or more.
fn t_cdf(t: f64, degrees: f64) -> f64 {
    let x = degrees / (degrees + t * t);
    1.0 - incomplete_beta(x, degrees / 2.0, 0.5) / 2.0
}

/// The regularised incomplete beta function, by its continued fraction (Lentz's method).
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    let logarithm = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b)
        + a * libm::log(x)
        + b * libm::log1p(-x);
    let front = libm::exp(logarithm);
    // The fraction converges fast on this side of the mean only.
    match x < (a + 1.0) / (a + b + 2.0) {
        true => front * fraction(x, a, b) / a,
        false => 1.0 - front * fraction(1.0 - x, b, a) / b,
    }
}

fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let guarded = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / guarded(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    for step in 1..300 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guarded(1.0 + even * d);
        c = guarded(1.0 + even / c);
        result *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guarded(1.0 + odd * d);
        c = guarded(1.0 + odd / c);
        let change = d * c;
        result *= change;
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables of Student's t.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (degrees, expected) in
            [(1, 12.706_205), (2, 4.302_653), (7, 2.364_624), (19, 2.093_024), (1_000, 1.962_339)]
        {
            let found = t_quantile(0.975, degrees);
            assert!((found - expected).abs() < 1e-6, "{degrees}: {found}");
        }
        assert!((t_quantile(0.75, 7) - 0.711_142).abs() < 1e-6);
    }

    #[test]
    fn an_interval_needs_two_values() {
        assert_eq!(Estimate::of(&[]), None);
        assert_eq!(Estimate::of(&[3.0]).and_then(|e| e.half_width), None);
        // Mean 3, standard deviation sqrt(2.5): 2.776445 * sqrt(2.5 / 5).
        let five = Estimate::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).expect("values");
        let half = five.half_width.expect("an interval");
        assert!((half - 1.963_243).abs() < 1e-6, "{half}");
        assert_eq!(Estimate::of(&[2.0, 2.0]).map(|e| e.interval()), Some((2.0, 2.0)));
    }
}
