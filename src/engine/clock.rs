//! The virtual clock. Nothing else advances time.

use crate::units::SimTime;

/// The present instant of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    now: SimTime,
}

impl Clock {
    /// The present instant.
    pub const fn now(self) -> SimTime {
        self.now
    }

    /// Moves to `at`. Time never runs backwards: an earlier instant is a defect of the program.
    pub fn advance_to(&mut self, at: SimTime) {
        assert!(
            at >= self.now,
            "time ran backwards from {} to {at}",
            self.now
        );
        self.now = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "time ran backwards")]
    fn time_never_runs_backwards() {
        let mut clock = Clock::default();
        clock.advance_to(SimTime::from_seconds(2));
        clock.advance_to(SimTime::from_seconds(1));
    }
}
