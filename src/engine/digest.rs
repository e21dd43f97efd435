//! A running 64-bit fingerprint of a stream of facts, for comparing runs.
//!
//! The shape of FNV-1a, taken eight bytes at a time because the event digest sees every event of
//! a run: `state = (state ^ word) * M`, then `state ^= state >> 32`, so that high bits reach the
//! low ones too (a multiplication alone only carries upwards). Each step is a bijection of the
//! state for a given word and of the word for a given state: two streams that differ in one word
//! always differ in their digest. [`Digest::finish`] applies the finalizer of MurmurHash3. Not a
//! cryptographic hash: it detects accidents, not forgery. The algorithm is part of the output
//! format; tests pin it.

use std::fmt;

/// Offset basis of FNV-1a, 64 bits.
const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
/// The two multipliers of MurmurHash3's 64-bit finalizer.
const M1: u64 = 0xff51_afd7_ed55_8ccd;
const M2: u64 = 0xc4ce_b9fe_1a85_ec53;

/// A running fingerprint; equal streams of writes give equal digests on every machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    state: u64,
}

impl Default for Digest {
    /// The digest of nothing written yet.
    fn default() -> Digest {
        Digest { state: OFFSET_BASIS }
    }
}

impl Digest {
    /// Adds one word.
    pub fn write_u64(&mut self, word: u64) {
        self.state = (self.state ^ word).wrapping_mul(M1);
        self.state ^= self.state >> 32;
    }

    /// Adds a byte string: its length, then its bytes in little-endian words, the last one filled
    /// with zeros. With the length in front, `"ab", "c"` and `"a", "bc"` have different digests.
    pub fn write_bytes(&mut self, bytes: &[u8]) {
        self.write_u64(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    /// The fingerprint of everything written so far; more may be written afterwards.
    pub fn finish(&self) -> u64 {
        let mut mixed = self.state ^ (self.state >> 33);
        mixed = mixed.wrapping_mul(M1);
        mixed ^= mixed >> 33;
        mixed = mixed.wrapping_mul(M2);
        mixed ^ (mixed >> 33)
    }
}

impl fmt::Display for Digest {
    /// Sixteen hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_words(words: &[u64]) -> Digest {
        let mut digest = Digest::default();
        words.iter().for_each(|&word| digest.write_u64(word));
        digest
    }

    fn of_texts(texts: &[&str]) -> Digest {
        let mut digest = Digest::default();
        texts.iter().for_each(|text| digest.write_bytes(text.as_bytes()));
        digest
    }

    #[test]
    fn the_algorithm_does_not_change() {
        for (digest, text) in [
            (Digest::default(), "efd01f60ba992926"),
            (of_words(&[0]), "72c4897288712555"),
            (of_words(&[1, u64::MAX]), "52960959572fff23"),
            (of_texts(&["default-1 m5.large"]), "22d2d7ea1ab0178c"),
        ] {
            assert_eq!(digest.to_string(), text);
        }
    }

    #[test]
    fn order_and_boundaries_count() {
        let digests = [
            of_words(&[1, 2]),
            of_words(&[2, 1]),
            of_words(&[1, 2, 0]),
            of_texts(&["ab", "c"]),
            of_texts(&["a", "bc"]),
            of_texts(&["abc"]),
            of_texts(&["abc", ""]),
            of_texts(&["abc\0"]),
        ];
        for (i, left) in digests.iter().enumerate() {
            for (j, right) in digests.iter().enumerate() {
                assert_eq!(left == right, i == j, "{i} {j}");
                assert_eq!(left.finish() == right.finish(), i == j, "{i} {j}");
            }
        }
    }
}
