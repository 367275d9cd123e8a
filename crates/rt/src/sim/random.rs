//! The simulator's only source of randomness: xoshiro256**, seeded through splitmix64.

use std::ops::RangeInclusive;

pub(super) struct Random([u64; 4]);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        let mut mixed = seed;
        Random(std::array::from_fn(|_| {
            mixed = mixed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = mixed;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }

    pub(super) fn next(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }

    /// A number within `range`, both ends included.
    pub(super) fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (start, end) = range.into_inner();
        let span = u128::from(end - start) + 1;
        let drawn = (u128::from(self.next()) * span) >> 64;
        start + u64::try_from(drawn).expect("less than the span")
    }

    /// A number within `range`, both ends included.
    pub(super) fn size_within(&mut self, range: RangeInclusive<usize>) -> usize {
        let (start, end) = range.into_inner();
        let to_u64 = |size| u64::try_from(size).expect("a size fits 64 bits");
        usize::try_from(self.within(to_u64(start)..=to_u64(end))).expect("within a range of sizes")
    }

    /// True once in `times`.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.within(1..=times) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence_and_ranges_are_inclusive() {
        let mut one = Random::new(1);
        let mut same = Random::new(1);
        let mut other = Random::new(2);
        assert_eq!(one.next(), same.next());
        assert_ne!(one.next(), other.next());
        let mut seen = [false; 3];
        for _ in 0..100 {
            seen[one.size_within(4..=6) - 4] = true;
        }
        assert_eq!(seen, [true; 3]);
        assert_eq!(one.within(9..=9), 9);
        one.within(0..=u64::MAX);
    }
}
