//! The order that Go's `sort.Slice` leaves equals in.
//!
//! `sort.Slice` is not stable, but it is a fixed algorithm: pattern-defeating quicksort with insertion sort up to 12
//! elements and a generator seeded by the length (Go 1.19 and later, package `sort`, `zsortfunc.go`). Karpenter sorts
//! in-flight claims by pod count and instance types by price with it, and which claim a pod joins depends on its order
//! among equals, so the algorithm is reproduced.

/// Sorts `items` as `sort.Slice(items, less)` does.
pub fn sort_slice<T>(items: &mut [T], less: impl Fn(&T, &T) -> bool) {
    let len = items.len();
    let limit = usize::BITS - len.leading_zeros();
    Sorter { items, less }.pdq(0, len, limit);
}

#[derive(Clone, Copy, PartialEq)]
enum Hint {
    Unknown,
    Increasing,
    Decreasing,
}

struct Sorter<'a, T, F> {
    items: &'a mut [T],
    less: F,
}

impl<T, F: Fn(&T, &T) -> bool> Sorter<'_, T, F> {
    fn less(&self, i: usize, j: usize) -> bool {
        (self.less)(&self.items[i], &self.items[j])
    }

    fn swap(&mut self, i: usize, j: usize) {
        self.items.swap(i, j);
    }

    fn pdq(&mut self, mut a: usize, mut b: usize, mut limit: u32) {
        let (mut balanced, mut partitioned) = (true, true);
        loop {
            let len = b - a;
            if len <= 12 {
                return self.insertion(a, b);
            }
            if limit == 0 {
                return self.heap(a, b);
            }
            if !balanced {
                self.scatter(a, b);
                limit -= 1;
            }
            let (mut pivot, mut hint) = self.pivot(a, b);
            if hint == Hint::Decreasing {
                self.items[a..b].reverse();
                pivot = (b - 1) - (pivot - a);
                hint = Hint::Increasing;
            }
            if balanced && partitioned && hint == Hint::Increasing && self.nearly_sorted(a, b) {
                return;
            }
            if a > 0 && !self.less(a - 1, pivot) {
                a = self.split_equal(a, b, pivot);
                continue;
            }
            let (middle, already) = self.split(a, b, pivot);
            partitioned = already;
            let (left, right) = (middle - a, b - middle);
            if left < right {
                balanced = left >= len / 8;
                self.pdq(a, middle, limit);
                a = middle + 1;
            } else {
                balanced = right >= len / 8;
                self.pdq(middle + 1, b, limit);
                b = middle;
            }
        }
    }

    fn insertion(&mut self, a: usize, b: usize) {
        for i in a + 1..b {
            let mut j = i;
            while j > a && self.less(j, j - 1) {
                self.swap(j, j - 1);
                j -= 1;
            }
        }
    }

    fn sift_down(&mut self, mut root: usize, end: usize, first: usize) {
        loop {
            let mut child = 2 * root + 1;
            if child >= end {
                return;
            }
            if child + 1 < end && self.less(first + child, first + child + 1) {
                child += 1;
            }
            if !self.less(first + root, first + child) {
                return;
            }
            self.swap(first + root, first + child);
            root = child;
        }
    }

    fn heap(&mut self, a: usize, b: usize) {
        let len = b - a;
        for i in (0..=(len - 1) / 2).rev() {
            self.sift_down(i, len, a);
        }
        for i in (0..len).rev() {
            self.swap(a, a + i);
            self.sift_down(0, i, a);
        }
    }

    fn scatter(&mut self, a: usize, b: usize) {
        let len = b - a;
        if len < 8 {
            return;
        }
        let mut random = len as u64;
        let modulus = 1_u64 << (usize::BITS - len.leading_zeros());
        let first = a + (len / 4) * 2 - 1;
        for index in first..first + 3 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let mut other = (random & (modulus - 1)) as usize;
            if other >= len {
                other -= len;
            }
            self.swap(index, a + other);
        }
    }

    fn pivot(&self, a: usize, b: usize) -> (usize, Hint) {
        let len = b - a;
        let mut swaps = 0;
        let (mut i, mut j, mut k) = (a + len / 4, a + len / 4 * 2, a + len / 4 * 3);
        if len >= 8 {
            if len >= 50 {
                i = self.median(i - 1, i, i + 1, &mut swaps);
                j = self.median(j - 1, j, j + 1, &mut swaps);
                k = self.median(k - 1, k, k + 1, &mut swaps);
            }
            j = self.median(i, j, k, &mut swaps);
        }
        let hint = match swaps {
            0 => Hint::Increasing,
            12 => Hint::Decreasing,
            _ => Hint::Unknown,
        };
        (j, hint)
    }

    fn median(&self, a: usize, b: usize, c: usize, swaps: &mut u32) -> usize {
        let mut ordered = |x: usize, y: usize| {
            if self.less(y, x) {
                *swaps += 1;
                (y, x)
            } else {
                (x, y)
            }
        };
        let (a, b) = ordered(a, b);
        let (b, _) = ordered(b, c);
        let (_, b) = ordered(a, b);
        b
    }

    fn split(&mut self, a: usize, b: usize, pivot: usize) -> (usize, bool) {
        self.swap(a, pivot);
        let (mut i, mut j) = (a + 1, b - 1);
        self.close_in(&mut i, &mut j, a);
        if i > j {
            self.swap(j, a);
            return (j, true);
        }
        self.swap(i, j);
        i += 1;
        j -= 1;
        loop {
            self.close_in(&mut i, &mut j, a);
            if i > j {
                break;
            }
            self.swap(i, j);
            i += 1;
            j -= 1;
        }
        self.swap(j, a);
        (j, false)
    }

    /// Moves both ends over what is already on its side of the pivot at `a`.
    fn close_in(&self, i: &mut usize, j: &mut usize, a: usize) {
        while *i <= *j && self.less(*i, a) {
            *i += 1;
        }
        while *i <= *j && !self.less(*j, a) {
            *j -= 1;
        }
    }

    fn split_equal(&mut self, a: usize, b: usize, pivot: usize) -> usize {
        self.swap(a, pivot);
        let (mut i, mut j) = (a + 1, b - 1);
        loop {
            while i <= j && !self.less(a, i) {
                i += 1;
            }
            while i <= j && self.less(a, j) {
                j -= 1;
            }
            if i > j {
                return i;
            }
            self.swap(i, j);
            i += 1;
            j -= 1;
        }
    }

    fn nearly_sorted(&mut self, a: usize, b: usize) -> bool {
        let mut i = a + 1;
        for _ in 0..5 {
            while i < b && !self.less(i, i - 1) {
                i += 1;
            }
            if i == b {
                return true;
            }
            if b - a < 50 {
                return false;
            }
            self.swap(i, i - 1);
            if i - a >= 2 {
                let mut j = i - 1;
                while j >= 1 && self.less(j, j - 1) {
                    self.swap(j, j - 1);
                    j -= 1;
                }
            }
            if b - i >= 2 {
                let mut j = i + 1;
                while j < b && self.less(j, j - 1) {
                    self.swap(j, j - 1);
                    j += 1;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Two vectors of Karpenter's recorded primitives (`go-sort-slice`); the whole table runs in the integration tests.
    #[test]
    fn up_to_twelve_elements_keep_their_order_among_equals() {
        let keys = [3, 1, 2, 1, 3, 1];
        let mut order: Vec<usize> = (0..keys.len()).collect();
        sort_slice(&mut order, |a, b| keys[*a] < keys[*b]);
        assert_eq!(order, [1, 3, 5, 2, 0, 4]);
    }

    proptest! {
        #[test]
        fn sorts_whatever_it_gets(keys in proptest::collection::vec(0_u8..20, 0..300)) {
            let mut sorted = keys.clone();
            sort_slice(&mut sorted, |a, b| a < b);
            let mut expected = keys;
            expected.sort_unstable();
            prop_assert_eq!(sorted, expected);
        }
    }
}
