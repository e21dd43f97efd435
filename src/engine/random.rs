//! Keyed random draws: a draw depends on (seed, purpose, entity, index) alone, never on how many draws came before.
//!
//! Two policies therefore see the same launch latencies and start times for the same ordinals (common random numbers), and a
//! new consumer of randomness changes nothing else.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::distribution::Distribution;

/// What a draw is for. Discriminants are part of the stream scheme: they are appended, never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// NodeClaim created to Launched, by NodeClaim.
    LaunchLatency = 4,
    /// Launched to Node object, by NodeClaim.
    RegistrationLatency = 5,
    /// Node object to Ready, by NodeClaim.
    ReadyLatency = 6,
    /// Ready to initialized, by NodeClaim.
    InitLatency = 7,
    /// TerminateInstances to terminated, by NodeClaim.
    TerminationLatency = 8,
    /// Launched to `running`, by NodeClaim.
    RunningLatency = 9,
    /// Pod start, by pod.
    PodStart = 10,
    /// Image pull rate, by NodeClaim.
    ImagePull = 11,
    /// Time from SIGTERM to the end, by pod.
    PodStop = 12,
    /// EC2's choice among equal offerings, by NodeClaim.
    FleetChoice = 16,
    /// kube-scheduler's choice among equal scores, by pod.
    SchedulerTie = 17,
    /// A pod's UID, by workload and counter.
    PodUid = 21,
    /// The order of disruption candidates that Karpenter's map iteration leaves open, by NodeClaim.
    CandidateTie = 22,
}

/// The keyed streams of one run.
#[derive(Clone, Debug)]
pub struct Streams {
    seed: u64,
    base: ChaCha8Rng,
}

impl Streams {
    /// The streams of a seed. The 32-byte key is four SplitMix64 outputs from the seed, little end first.
    pub fn new(seed: u64) -> Streams {
        let mut key = [0; 32];
        let mut state = seed;
        for chunk in key.chunks_exact_mut(8) {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&finalize(state).to_le_bytes());
        }
        Streams {
            seed,
            base: ChaCha8Rng::from_seed(key),
        }
    }

    /// The generator of one entity, at word `2 * index` of its stream.
    fn generator(&self, purpose: Purpose, entity: u64, index: u32) -> ChaCha8Rng {
        assert!(entity < 1 << 56, "entity {entity} beyond the stream scheme");
        let mut generator = self.base.clone();
        generator.set_stream((purpose as u64) << 56 | entity);
        generator.set_word_pos(u128::from(index) * 2);
        generator
    }

    /// 64 uniform bits.
    pub fn u64(&self, purpose: Purpose, entity: u64, index: u32) -> u64 {
        self.generator(purpose, entity, index).next_u64()
    }

    /// A uniform number in (0, 1), never 0 or 1.
    pub fn unit(&self, purpose: Purpose, entity: u64, index: u32) -> f64 {
        let bits = self.u64(purpose, entity, index);
        ((bits >> 12) as f64 + 0.5) / 4_503_599_627_370_496.0
    }

    /// A uniform number below `n` (Lemire's method without bias); 0 for `n` of 0 and 1.
    pub fn below(&self, purpose: Purpose, entity: u64, index: u32, n: u64) -> u64 {
        if n < 2 {
            return 0;
        }
        let mut generator = self.generator(purpose, entity, index);
        let threshold = n.wrapping_neg() % n;
        loop {
            let product = u128::from(generator.next_u64()) * u128::from(n);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// A draw from `distribution`.
    pub fn sample(
        &self,
        distribution: &Distribution,
        purpose: Purpose,
        entity: u64,
        index: u32,
    ) -> i64 {
        match distribution {
            // A constant needs no draw; skipping it changes no other draw.
            Distribution::Fixed(value) => *value,
            other => other.sample(self.unit(purpose, entity, index)),
        }
    }

    /// A fast hash of the same key, for tie-breaks in hot loops.
    pub fn mix(&self, purpose: Purpose, entity: u64, index: u32) -> u64 {
        let key = finalize(self.seed ^ (purpose as u64) << 56);
        finalize(finalize(key ^ entity) ^ u64::from(index))
    }
}

/// The output function of SplitMix64.
fn finalize(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ChaCha8 of rand_chacha 0.10 with `seed_from_u64(42)`, streams 0 and 1.
    #[test]
    fn the_generator_is_the_pinned_one() {
        let mut generator = ChaCha8Rng::seed_from_u64(42);
        assert_eq!(generator.next_u64(), 12_578_764_544_318_200_737);
        assert_eq!(generator.next_u64(), 17_529_487_244_874_322_312);
        assert_eq!(generator.next_u64(), 7_886_285_670_807_131_020);
        let mut generator = ChaCha8Rng::seed_from_u64(42);
        generator.set_stream(1);
        assert_eq!(generator.next_u64(), 15_610_855_884_041_310_734);
    }

    #[test]
    fn draws_depend_on_their_key_alone() {
        let (a, b) = (Streams::new(7), Streams::new(7));
        let draw = |s: &Streams, entity, index| s.u64(Purpose::PodStart, entity, index);
        let first = draw(&a, 3, 1);
        (0..10).for_each(|i| {
            draw(&a, i, 0);
        });
        assert_eq!(draw(&a, 3, 1), first);
        assert_eq!(draw(&b, 3, 1), first);
        assert_ne!(draw(&a, 3, 0), first);
        assert_ne!(a.u64(Purpose::PodStop, 3, 1), first);
        assert_ne!(draw(&Streams::new(8), 3, 1), first);
    }

    #[test]
    fn small_ranges_are_uniform() {
        let streams = Streams::new(1);
        let mut counts = [0_u32; 3];
        for entity in 0..30_000 {
            counts[streams.below(Purpose::FleetChoice, entity, 0, 3) as usize] += 1;
        }
        // Five standard deviations of a binomial(30000, 1/3) are 408.
        assert!(
            counts.iter().all(|count| count.abs_diff(10_000) < 408),
            "{counts:?}"
        );
    }
}
