//! Replicas of a service over time: how many a load that follows the day asks for.

use super::arrival::Rate;
use crate::engine::{Purpose, Streams};
use crate::units::{SimDuration, SimTime};

/// How much of the load's noise is left after a step.
const NOISE_PERSISTENCE: f64 = 0.97;
/// Load within this share of the present replicas changes nothing, as for the HorizontalPodAutoscaler.
const TOLERANCE: f64 = 0.1;

/// A load and the bounds of the replicas that serve it.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Replicas that the load needs, before noise.
    pub load: Rate,
    /// Replicas at least.
    pub least: u32,
    /// Replicas at most.
    pub most: u32,
    /// How often the load is looked at; positive.
    pub every: SimDuration,
    /// Standard deviation of the logarithm of the noise; the noise has mean one.
    pub noise: f64,
}

/// The replicas of one service as they change.
///
/// At each look the load asks for its ceiling; nothing changes while it lies within a tenth of the present replicas;
/// fewer are wanted only when two looks in a row say so.
#[derive(Clone, Debug)]
pub struct Replicas {
    source: u64,
    look: u32,
    noise: f64,
    present: Option<u32>,
    lower_before: bool,
}

impl Replicas {
    /// The replicas of the source of this number, before its first look.
    pub fn new(source: u32) -> Replicas {
        Replicas { source: source.into(), look: 0, noise: 0.0, present: None, lower_before: false }
    }

    /// When the next look is due.
    pub fn next_at(&self, curve: &Curve) -> SimTime {
        SimTime::from_ms(curve.every.ms() * i64::from(self.look))
    }

    /// Looks at the load; the replicas if they change.
    pub fn look(&mut self, curve: &Curve, streams: &Streams) -> Option<u32> {
        let at = self.next_at(curve);
        let fresh = normal(streams.unit(Purpose::Load, self.source, self.look));
        self.noise = match self.look {
            0 => fresh,
            _ => {
                let kept = NOISE_PERSISTENCE;
                kept * self.noise + libm::sqrt(1.0 - kept * kept) * fresh
            }
        };
        self.look += 1;
        let deviation = curve.noise;
        let factor = libm::exp(deviation * self.noise - deviation * deviation / 2.0);
        let load = curve.load.at(at) * factor;
        let wanted = (libm::ceil(load) as u32).clamp(curve.least, curve.most);
        let next = self.answer(load, wanted);
        (next != self.present).then(|| self.present = next).and(next)
    }

    fn answer(&mut self, load: f64, wanted: u32) -> Option<u32> {
        let Some(present) = self.present else {
            return Some(wanted);
        };
        let near = (load - f64::from(present)).abs() <= TOLERANCE * f64::from(present);
        let lower = wanted < present && !near;
        let lower_before = std::mem::replace(&mut self.lower_before, lower);
        match wanted > present && !near || lower && lower_before {
            true => Some(wanted),
            false => Some(present),
        }
    }
}

/// The standard normal quantile.
fn normal(u: f64) -> f64 {
    crate::engine::distribution::normal_quantile(u)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(noise: f64) -> Curve {
        Curve {
            load: Rate::diurnal(20.0, 1.6, 14 * 60, 0.5, 1_767_571_200),
            least: 2,
            most: 40,
            every: SimDuration::from_minutes(5),
            noise,
        }
    }

    fn week(noise: f64, seed: u64) -> Vec<(SimTime, u32)> {
        let (curve, streams) = (curve(noise), Streams::new(seed));
        let mut replicas = Replicas::new(7);
        let mut changes = Vec::new();
        for _ in 0..7 * 288 {
            let at = replicas.next_at(&curve);
            changes.extend(replicas.look(&curve, &streams).map(|count| (at, count)));
        }
        changes
    }

    #[test]
    fn replicas_follow_the_day() {
        let changes = week(0.0, 1);
        let most = changes.iter().map(|(_, count)| *count).max().expect("a first look");
        let least = changes.iter().map(|(_, count)| *count).min().expect("a first look");
        // The load peaks at 1.6 x 20 and falls to 0.4 x 20 x 0.5; a tenth either way changes nothing.
        assert!((29..=32).contains(&most) && (4..=5).contains(&least), "{least} to {most}");
        assert!(changes.len() < 250, "{}", changes.len());
        assert_eq!(changes[0].0, SimTime::ZERO);
    }

    #[test]
    fn noise_is_the_seeds_own() {
        assert_eq!(week(0.1, 1), week(0.1, 1));
        assert_ne!(week(0.1, 1), week(0.1, 2));
    }

    #[test]
    fn one_lower_look_changes_nothing() {
        let mut replicas = Replicas { present: Some(10), ..Replicas::new(0) };
        assert_eq!(replicas.answer(5.0, 5), Some(10));
        assert_eq!(replicas.answer(10.0, 10), Some(10));
        assert_eq!(replicas.answer(5.0, 5), Some(10));
        assert_eq!(replicas.answer(5.5, 6), Some(6));
        assert_eq!(replicas.answer(10.9, 11), Some(10), "within a tenth");
        assert_eq!(replicas.answer(11.1, 12), Some(12), "more is wanted at once");
    }
}
