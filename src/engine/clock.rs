//! The virtual clock: the only place that advances time.

use crate::units::SimTime;

/// The instant that a run has reached. It starts at [`SimTime::ZERO`] and never goes back.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    now: SimTime,
}

impl Clock {
    /// The present instant.
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// Moves the present to `at`; staying at the same instant is allowed.
    ///
    /// # Panics
    /// If `at` lies before the present: an event was handled out of order.
    pub fn advance_to(&mut self, at: SimTime) {
        assert!(at >= self.now, "time cannot go back from {} to {at}", self.now);
        self.now = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_forward_or_stands_still() {
        let mut clock = Clock::default();
        assert_eq!(clock.now(), SimTime::ZERO);
        for ms in [0, 5, 5, 70] {
            clock.advance_to(SimTime::from_ms(ms));
            assert_eq!(clock.now(), SimTime::from_ms(ms));
        }
    }

    #[test]
    #[should_panic(expected = "time cannot go back from +00:00:02 to +00:00:01.999")]
    fn time_never_goes_back() {
        let mut clock = Clock::default();
        clock.advance_to(SimTime::from_ms(2_000));
        clock.advance_to(SimTime::from_ms(1_999));
    }
}
