//! An axis of differences: it always holds zero.

use super::axis::grouped;

/// Values on pixels, upwards or to the right as the ends say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignedAxis {
    low: f64,
    high: f64,
    step: f64,
    decimals: usize,
    /// Pixel of the lowest value.
    from: f64,
    /// Pixel of the highest value.
    to: f64,
}

impl SignedAxis {
    /// From pixel `from` to pixel `to`; holds all bounds and zero, with `spare` of their span left free on the side
    /// that is longer and ticks at least `room` pixels apart.
    pub fn new(
        bounds: impl Iterator<Item = f64>,
        (from, to): (f64, f64),
        spare: f64,
        room: f64,
    ) -> SignedAxis {
        let (low, high) =
            bounds.fold((0.0_f64, 0.0_f64), |(low, high), b| (low.min(b), high.max(b)));
        if high <= low {
            return SignedAxis { low: -1.0, high: 1.0, step: 2.0, decimals: 0, from, to };
        }
        let span = high - low;
        let (mut low, mut high) = (low - 0.06 * span, high + 0.06 * span);
        if high > -low {
            high += spare * span
        } else {
            low -= spare * span
        }
        let needed = (high - low) / ((to - from).abs() / room).max(2.0);
        let mut unit = libm::pow(10.0, libm::floor(libm::log10(needed)));
        let step = loop {
            let found = [1.0, 2.0, 5.0].into_iter().map(|n| n * unit).find(|s| *s >= needed);
            match found {
                Some(step) => break step,
                None => unit *= 10.0,
            }
        };
        let decimals = libm::ceil(-libm::log10(step) - 1e-9).clamp(0.0, 9.0) as usize;
        SignedAxis { low, high, step, decimals, from, to }
    }

    /// Where a value lies.
    pub fn place(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Round values, zero among them; of an axis without a difference zero alone.
    pub fn ticks(&self) -> Vec<f64> {
        let from = libm::ceil(self.low / self.step) as i64;
        let to = libm::floor(self.high / self.step) as i64;
        (from..=to).map(|i| i as f64 * self.step).collect()
    }

    /// A tick's label: `+10`, `0`, `−0.5`.
    pub fn text(&self, value: f64) -> String {
        if value == 0.0 {
            return "0".to_owned();
        }
        let sign = if value < 0.0 { "−" } else { "+" };
        format!("{sign}{}", grouped(value.abs(), self.decimals))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_around_zero_holds_its_bounds() {
        for bounds in [[-5.0, -1.0], [1e-6, 2e-6], [-1e9, 3e9]] {
            let axis = SignedAxis::new(bounds.into_iter(), (0.0, 300.0), 0.45, 90.0);
            assert!(axis.ticks().contains(&0.0) && axis.ticks().len() <= 8, "{bounds:?}");
            assert!(bounds.iter().all(|b| (axis.low..=axis.high).contains(b)));
        }
        let none = SignedAxis::new([0.0, 0.0].into_iter(), (100.0, 0.0), 0.45, 90.0);
        assert_eq!((none.ticks(), none.text(0.0), none.place(0.0)), (vec![0.0], "0".into(), 50.0));
    }
}
