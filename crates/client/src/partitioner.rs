//! Which partition a record goes to: by its key as Java's clients do, else wherever a batch is being filled.
//!
//! - P1 Equal keys go to the same partition while the number of partitions stays, whichever client wrote them.
//! - P2 Records without a key stay on one partition until a batch's worth went there (KIP-480, KIP-794).

use model::PartitionIndex;

/// MurmurHash2 with the seed of Java's clients (`Utils.murmur2`).
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    // The length only seeds the hash; Java truncates it to 32 bits as well.
    let length = u32::try_from(data.len() & 0xffff_ffff).unwrap_or(u32::MAX);
    let mut hash = SEED ^ length;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        k = k.wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    if !tail.is_empty() {
        for (index, &byte) in tail.iter().enumerate() {
            hash ^= u32::from(byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of a key in a topic of `count` partitions; `None` when there are none.
pub fn partition_of_key(key: &[u8], count: usize) -> Option<PartitionIndex> {
    let count = u32::try_from(count).ok()?;
    let index = (murmur2(key) & 0x7fff_ffff).checked_rem(count)?;
    i32::try_from(index).ok().map(PartitionIndex)
}

/// Where records without a key go at the moment.
#[derive(Debug, Default)]
pub struct Sticky {
    current: Option<usize>,
    bytes: usize,
}

impl Sticky {
    /// The place among `count` for a record of `bytes`; `draw` is asked for randomness when it is time to move on, after
    /// `bytes_max`. `None` when there is no place.
    pub fn next(
        &mut self,
        count: usize,
        bytes: usize,
        bytes_max: usize,
        draw: impl FnOnce() -> u64,
    ) -> Option<usize> {
        let stays = self.current.filter(|&place| place < count && self.bytes < bytes_max);
        let place = match stays {
            Some(place) => place,
            None => {
                self.bytes = 0;
                usize::try_from(draw().checked_rem(u64::try_from(count).ok()?)?).ok()?
            }
        };
        self.current = Some(place);
        self.bytes = self.bytes.saturating_add(bytes);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn hashes_are_those_of_javas_clients() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn a_key_has_no_partition_where_there_are_none() {
        assert_eq!(partition_of_key(b"k", 0), None);
        assert_eq!(partition_of_key(b"k", 1), Some(PartitionIndex(0)));
    }

    #[test]
    fn records_without_a_key_move_on_after_a_batch() {
        let mut sticky = Sticky::default();
        // 40 + 40 + 40 reaches 100, so every fourth record draws anew.
        let places: Vec<_> = (0..7).filter_map(|record| sticky.next(3, 40, 100, || record / 3)).collect();
        assert_eq!(places, [0, 0, 0, 1, 1, 1, 2]);
        assert_eq!(sticky.next(0, 1, 100, || 9), None, "nowhere to go");
    }
}
