//! Sets of small integers (instance types of a list, in list order).

/// A set over `0..len`. Sets that are combined must have the same length.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BitSet {
    words: Vec<u64>,
    len: usize,
}

impl BitSet {
    /// The empty set over `0..len`.
    pub fn empty(len: usize) -> BitSet {
        BitSet { words: vec![0; len.div_ceil(64)], len }
    }

    /// The full set over `0..len`.
    pub fn full(len: usize) -> BitSet {
        let mut set = BitSet { words: vec![u64::MAX; len.div_ceil(64)], len };
        if !len.is_multiple_of(64)
            && let Some(last) = set.words.last_mut()
        {
            *last = (1 << (len % 64)) - 1;
        }
        set
    }

    /// Size of the universe.
    pub const fn universe(&self) -> usize {
        self.len
    }

    /// Widens the universe to `0..len`; a wider one stays.
    pub fn grow(&mut self, len: usize) {
        self.len = self.len.max(len);
        self.words.resize(self.len.div_ceil(64), 0);
    }

    /// Adds `index`, which must be below the universe's size.
    pub fn insert(&mut self, index: usize) {
        assert!(index < self.len, "bit {index} of {}", self.len);
        self.words[index / 64] |= 1 << (index % 64);
    }

    /// Removes `index`.
    pub fn remove(&mut self, index: usize) {
        assert!(index < self.len, "bit {index} of {}", self.len);
        self.words[index / 64] &= !(1 << (index % 64));
    }

    /// Membership; indices beyond the universe are not members.
    pub fn contains(&self, index: usize) -> bool {
        index < self.len && self.words[index / 64] & (1 << (index % 64)) != 0
    }

    /// The first index from `from` on that is no member; the universe's size when all are.
    pub fn next_absent(&self, from: usize) -> usize {
        let mut index = from;
        while index < self.len {
            let rest = !self.words[index / 64] >> (index % 64);
            if rest != 0 {
                return (index + rest.trailing_zeros() as usize).min(self.len);
            }
            index = (index / 64 + 1) * 64;
        }
        self.len
    }

    /// Makes room for one more at `index`, which is no member; what was there and after it moves up.
    pub fn insert_at(&mut self, index: usize) {
        assert!(index <= self.len, "bit {index} of {}", self.len);
        self.grow(self.len + 1);
        let (first, below) = (index / 64, (1_u64 << (index % 64)) - 1);
        let mut carry = 0;
        for (i, word) in self.words.iter_mut().enumerate().skip(first) {
            let kept = if i == first { *word & below } else { 0 };
            let moved = *word & !if i == first { below } else { 0 };
            let next = moved >> 63;
            *word = kept | moved << 1 | carry;
            carry = next;
        }
    }

    /// Takes `index` out of the universe; what was after it moves down.
    pub fn remove_at(&mut self, index: usize) {
        assert!(index < self.len, "bit {index} of {}", self.len);
        let (first, below) = (index / 64, (1_u64 << (index % 64)) - 1);
        for i in first..self.words.len() {
            let incoming = self.words.get(i + 1).map_or(0, |next| next << 63);
            let word = self.words[i];
            self.words[i] = match i == first {
                true => word & below | (word >> 1) & !below | incoming,
                false => word >> 1 | incoming,
            };
        }
        self.len -= 1;
        self.words.truncate(self.len.div_ceil(64));
    }

    /// Keeps what is also in `other`.
    pub fn intersect_with(&mut self, other: &BitSet) {
        assert_eq!(self.len, other.len, "sets over different universes");
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= b);
    }

    /// Drops what is in `other`.
    pub fn subtract(&mut self, other: &BitSet) {
        assert_eq!(self.len, other.len, "sets over different universes");
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= !b);
    }

    /// True iff some member is also in `other`.
    pub fn intersects(&self, other: &BitSet) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// Adds what is in `other`.
    pub fn union_with(&mut self, other: &BitSet) {
        assert_eq!(self.len, other.len, "sets over different universes");
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a |= b);
    }

    /// Number of members.
    pub fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// True without members.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|w| *w == 0)
    }

    /// Members in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(i, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    i * 64 + bit
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_behave_as_sets() {
        let mut a = BitSet::full(130);
        assert_eq!(a.count(), 130);
        let mut b = BitSet::empty(130);
        b.insert(0);
        b.insert(64);
        b.insert(129);
        a.intersect_with(&b);
        assert_eq!(a.iter().collect::<Vec<_>>(), [0, 64, 129]);
        a.remove(64);
        assert!(!a.contains(64) && a.contains(129) && !a.contains(500));
        a.union_with(&b);
        assert_eq!(a, b);
        assert!(a.intersects(&b) && !a.intersects(&BitSet::empty(130)));
        a.subtract(&b);
        assert!(a.is_empty());
        assert!(BitSet::full(0).is_empty());
    }

    proptest::proptest! {
        /// Insertion, removal and search do what they do to a list of flags.
        #[test]
        fn positions_move_as_in_a_list(
            flags in proptest::collection::vec(proptest::bool::ANY, 0..200),
            at in 0_usize..200,
        ) {
            let of = |flags: &[bool]| {
                let mut set = BitSet::empty(flags.len());
                (0..flags.len()).filter(|i| flags[*i]).for_each(|i| set.insert(i));
                set
            };
            let (mut list, mut set) = (flags.clone(), of(&flags));
            let at = at.min(list.len());
            let next = (at..list.len()).find(|i| !list[*i]).unwrap_or(list.len());
            proptest::prop_assert_eq!(set.next_absent(at), next);
            list.insert(at, false);
            set.insert_at(at);
            proptest::prop_assert_eq!(&set, &of(&list));
            let other = at / 2;
            list.remove(other);
            set.remove_at(other);
            proptest::prop_assert_eq!(&set, &of(&list));
        }
    }
}
