//! Keyed random draws: the only place that touches the generator.
//!
//! A draw is a pure function of (seed, purpose, entity, index). It does not depend on how many
//! draws happened before or in which order, so a new consumer of randomness changes nothing else,
//! and two policies under one seed see the same arrivals, lifetimes and latencies for the same
//! entities (common random numbers).
//!
//! The generator is ChaCha8. Its 32-byte key is the seed in little-endian bytes, followed by the
//! first three outputs of SplitMix64 started at the seed, little-endian too: nothing depends on
//! `seed_from_u64`, which is stable within one series of the crate only. The stream number is
//! `purpose << 56 | entity`; the index selects the 64-bit word at position 2 × index (in 32-bit
//! words) of that stream.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::distribution::Distribution;

/// Bits of the entity's ordinal in a stream number.
const ENTITY_BITS: u32 = 56;
/// SplitMix64's increment: 2^64 divided by the golden ratio, made odd.
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a draw is for. Discriminants are part of every stream number: they never change, and a new
/// purpose takes the next free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Purpose {
    /// Instants at which a workload's pods arrive.
    Arrival = 1,
    /// How long a pod runs before it finishes by itself.
    PodLifetime = 2,
    /// A pod's requests.
    PodSize = 3,
    /// From the created NodeClaim to the launched one: the CreateFleet call.
    LaunchLatency = 4,
    /// From the launched to the registered NodeClaim.
    RegistrationLatency = 5,
    /// From the registered NodeClaim to the ready node.
    ReadyLatency = 6,
    /// From the ready node to the initialized NodeClaim.
    InitLatency = 7,
    /// From the termination call to the terminated instance.
    TerminationLatency = 8,
    /// From the pending to the running instance, where billing starts.
    RunningLatency = 9,
    /// From the bound to the started pod, without the image pull.
    PodStart = 10,
    /// Pulling a pod's images.
    ImagePull = 11,
    /// From a pod's deletion to its end.
    PodStop = 12,
    /// Spot interruptions of an instance.
    Interruption = 13,
    /// Spot price movements.
    SpotPrice = 14,
    /// Stock-outs of an offering.
    Capacity = 15,
    /// Which of the offered instance types the fleet call returns.
    FleetChoice = 16,
    /// Ties among nodes of equal score in kube-scheduler.
    SchedulerTie = 17,
    /// Ties among domains of a topology spread.
    SpreadTie = 18,
    /// Ties among values that a NodeClaim's label may take.
    LabelChoice = 19,
    /// Resampling in statistics.
    Bootstrap = 20,
    /// Pods' UIDs.
    PodUid = 21,
    /// The order of disruption candidates that Karpenter's map iteration leaves open, by NodeClaim.
    CandidateTie = 22,
    /// From a pod's end to the detachment of its volumes.
    VolumeDetach = 23,
    /// From what EC2 says to the message in Karpenter's interruption queue.
    MessageLatency = 24,
    /// Seeds of replications.
    Replication = 30,
    /// Noise of a service's load.
    Load = 31,
    /// The random clusters of `karpsim fuzz`.
    RandomCluster = 32,
}

/// All randomness of one run. Two `Streams` of one seed give the same draws; there is no state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streams {
    key: [u8; 32],
}

impl Streams {
    /// The streams of a scenario's seed.
    pub fn new(seed: u64) -> Streams {
        let words = [
            seed,
            splitmix64(seed),
            splitmix64(seed.wrapping_add(GOLDEN_GAMMA)),
            splitmix64(seed.wrapping_add(GOLDEN_GAMMA.wrapping_mul(2))),
        ];
        let mut key = [0; 32];
        for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Streams { key }
    }

    /// Draw number `index` for `entity`: uniform over all 64-bit values.
    ///
    /// `entity` is a never-recycled ordinal within the purpose, not a slot.
    ///
    /// # Panics
    /// If `entity` is 2^56 or more; so do the other draws.
    pub fn u64(&self, purpose: Purpose, entity: u64, index: u32) -> u64 {
        self.word(stream(purpose, entity), 2 * u128::from(index))
    }

    /// Draw number `index` for `entity`: a whole number in `0..n`, each equally likely.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&self, purpose: Purpose, entity: u64, index: u32, n: u64) -> u64 {
        let stream = stream(purpose, entity);
        // Attempts after a rejection read far behind all indices, which end at word 2^33: the draws
        // of other indices remain independent.
        below(n, |attempt| {
            let position = 2 * u128::from(index) + (u128::from(attempt) << 33);
            self.word(stream, position)
        })
    }

    /// Draw number `index` for `entity`: uniform between 0 and 1, never 0 or 1 itself.
    pub fn unit(&self, purpose: Purpose, entity: u64, index: u32) -> f64 {
        unit(self.u64(purpose, entity, index))
    }

    /// Draw number `index` for `entity` from `distribution`, in the unit of its parameters. It uses
    /// exactly one [`unit`](Streams::unit) and grows with it.
    pub fn sample(
        &self,
        distribution: &Distribution,
        purpose: Purpose,
        entity: u64,
        index: u32,
    ) -> i64 {
        distribution.sample(self.unit(purpose, entity, index))
    }

    /// A 64-bit hash of (seed, purpose, entity, index), some twenty times cheaper than a draw: for
    /// ties in hot loops and for identifiers. For one purpose and index, different entities have
    /// different values; so have different indices of one entity.
    ///
    /// Not for samples: it is two rounds of SplitMix64, not a generator of proven quality.
    pub fn mix(&self, purpose: Purpose, entity: u64, index: u32) -> u64 {
        let [.., a, b, c, d, e, f, g, h] = self.key;
        let salt = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        splitmix64(splitmix64(salt ^ stream(purpose, entity)).wrapping_add(u64::from(index)))
    }

    /// The 64 bits at `word_pos`, counted in 32-bit words, of a stream.
    fn word(&self, stream: u64, word_pos: u128) -> u64 {
        let mut generator = ChaCha8Rng::from_seed(self.key);
        generator.set_stream(stream);
        generator.set_word_pos(word_pos);
        generator.next_u64()
    }
}

fn stream(purpose: Purpose, entity: u64) -> u64 {
    assert!(entity >> ENTITY_BITS == 0, "ordinal {entity} of {purpose:?} is too large");
    (purpose as u64) << ENTITY_BITS | entity
}

/// The output of SplitMix64 in state `state` (Steele, Lea, Flood 2014): a bijection.
fn splitmix64(state: u64) -> u64 {
    let mut z = state.wrapping_add(GOLDEN_GAMMA);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A value strictly between 0 and 1 from 52 bits and a half: safe for logarithms at both ends.
/// (With 53 bits and a half the largest value would round to 1.)
fn unit(x: u64) -> f64 {
    const SCALE: f64 = 1.0 / (1_u64 << 52) as f64;
    ((x >> 12) as f64 + 0.5) * SCALE
}

/// An unbiased number in `0..n` (Lemire, "Fast random integer generation in an interval", 2019)
/// from the 64-bit values that `draw` gives for the attempts 0, 1, 2, ...
fn below(n: u64, draw: impl Fn(u32) -> u64) -> u64 {
    assert!(n > 0, "a number below 0 was drawn");
    let product = |attempt| u128::from(draw(attempt)) * u128::from(n);
    let mut scaled = product(0);
    if (scaled as u64) < n {
        let rejected_below = n.wrapping_neg() % n;
        let mut attempt = 0;
        while (scaled as u64) < rejected_below {
            attempt += 1;
            scaled = product(attempt);
        }
    }
    (scaled >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_chacha8_as_pinned() {
        let mut generator = ChaCha8Rng::seed_from_u64(42);
        for expected in
            [12_578_764_544_318_200_737, 17_529_487_244_874_322_312, 7_886_285_670_807_131_020]
        {
            assert_eq!(generator.next_u64(), expected);
        }
        // A change of stream keeps the position: this is the fourth value of stream 1.
        generator.set_stream(1);
        assert_eq!(generator.next_u64(), 15_610_855_884_041_310_734);
        generator.set_word_pos(0);
        assert_eq!(generator.next_u64(), 13_222_472_167_927_179_408);
    }

    #[test]
    fn the_key_is_the_seed_and_splitmix64() {
        // The first outputs of SplitMix64 from 1234567, as in its reference implementation's tests.
        let words: Vec<u64> = Streams::new(1_234_567)
            .key
            .chunks_exact(8)
            .map(|bytes| bytes.iter().rev().fold(0, |word, &b| word << 8 | u64::from(b)))
            .collect();
        assert_eq!(
            words,
            [
                1_234_567,
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn draws_do_not_change() {
        // Computed by a second implementation of ChaCha8 and of this module's documentation.
        use Purpose::*;
        let streams = Streams::new(42);
        for (purpose, entity, index, expected) in [
            (Arrival, 0, 0, 11_004_150_430_413_038_149),
            (Arrival, 0, 1, 11_427_502_924_453_488_528),
            (Arrival, 1, 0, 9_567_535_800_895_242_649),
            (PodUid, (1 << 56) - 1, u32::MAX, 16_937_126_112_898_998_889),
        ] {
            assert_eq!(streams.u64(purpose, entity, index), expected);
        }
        let odd_half = (1 << 63) + 1;
        for (index, n, expected) in [
            (0, 10, 0),
            (1, odd_half, 2_873_592_398_841_550_765),
            (3, odd_half, 6_184_213_680_316_988_104), // at the second attempt
        ] {
            assert_eq!(streams.below(FleetChoice, 7, index, n), expected);
        }
        assert_eq!(streams.unit(LaunchLatency, 7, 0), 0.060_814_071_937_317_69);
        assert_eq!(streams.mix(PodUid, 7, 0), 4_075_973_740_049_832_623);
        assert_eq!(streams.mix(PodUid, 7, 1), 3_571_271_036_686_409_482);
    }

    #[test]
    fn samples_do_not_change() {
        let (low, high, mean) = (0, 999, 60_000.0);
        let (p50, p95) = (30_000.0, 45_000.0);
        let (shape, scale) = (0.687, 275_700.0);
        let streams = Streams::new(42);
        for (distribution, expected) in [
            (Distribution::Fixed(5), [5, 5, 5]),
            (Distribution::Uniform { low, high }, [779, 305, 490]),
            (Distribution::Exponential { mean }, [90_587, 21_831, 40_430]),
            (Distribution::LogNormal { p50, p95 }, [36_261, 26_456, 29_820]),
            (Distribution::Weibull { shape, scale }, [502_186, 63_288, 155_195]),
            (Distribution::empirical(vec![10, 20, 30, 40]), [40, 20, 20]),
        ] {
            let values = [0, 1, 2].map(|n| streams.sample(&distribution, Purpose::PodSize, n, 0));
            assert_eq!(values, expected, "{distribution:?}");
        }
    }

    #[test]
    fn a_draw_is_the_word_of_its_stream() {
        let streams = Streams::new(7);
        let mut sequential = ChaCha8Rng::from_seed(streams.key);
        sequential.set_stream(13 << 56 | 99);
        for index in 0..40 {
            assert_eq!(streams.u64(Purpose::Interruption, 99, index), sequential.next_u64());
        }
    }

    #[test]
    fn the_unit_interval_is_open() {
        for (x, expected) in [
            (0, f64::EPSILON / 2.0),
            (1 << 63, 0.5 + f64::EPSILON / 2.0),
            (u64::MAX, 1.0 - f64::EPSILON / 2.0),
        ] {
            assert_eq!(unit(x), expected);
        }
    }

    #[test]
    fn biased_values_are_drawn_again() {
        // For n = 3 x 2^62, 2^64 mod n = 2^62 of the low products are rejected; 0 is one of them.
        let n = 3 << 62;
        let draws = [0, 0, (1 << 63) + 1];
        assert_eq!(below(n, |attempt| draws[attempt as usize]), n / 2);
        // 2^64 mod 3 = 1 low product is rejected, 0.
        assert_eq!(below(3, |attempt| [0, u64::MAX][attempt as usize]), 2);
        assert_eq!(below(1, |_| u64::MAX), 0);
    }

    #[test]
    fn small_ranges_are_hit_evenly() {
        let streams = Streams::new(1);
        let mut counts = [0_u32; 6];
        for entity in 0..60_000 {
            counts[streams.below(Purpose::SpreadTie, entity, 0, 6) as usize] += 1;
        }
        // Standard deviation 91; the seed is fixed.
        assert!(counts.iter().all(|&n| n.abs_diff(10_000) < 300), "{counts:?}");
    }

    #[test]
    fn hashes_of_neighbours_differ_in_half_of_their_bits() {
        let streams = Streams::new(1);
        let mut bits = 0;
        for entity in 0..1_000 {
            let hash = streams.mix(Purpose::PodUid, entity, 0);
            bits += (hash ^ streams.mix(Purpose::PodUid, entity + 1, 0)).count_ones();
            bits += (hash ^ streams.mix(Purpose::PodUid, entity, 1)).count_ones();
            bits += (hash ^ streams.mix(Purpose::SchedulerTie, entity, 0)).count_ones();
        }
        assert!(bits.abs_diff(3_000 * 32) < 1_000, "{bits}");
    }

    #[test]
    #[should_panic(expected = "ordinal 72057594037927936 of Capacity is too large")]
    fn ordinals_end_at_56_bits() {
        Streams::new(0).u64(Purpose::Capacity, 1 << 56, 0);
    }
}
