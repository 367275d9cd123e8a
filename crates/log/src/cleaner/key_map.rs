//! The newest offset of each key, in a table of bounded size that knows keys by a hash of 128 bits.
//!
//! - K1 Memory is taken once, at most what the settings say and what the offsets in question can need.
//! - K2 Two keys are taken for one when both 64-bit hashes agree; a seed that nobody knows keeps that a matter of luck
//!   far smaller than a disk's.

use std::hash::DefaultHasher;
use std::hash::Hasher;

use model::Offset;

/// Bytes a key takes in the table.
const SLOT_BYTES: u64 = 24;

#[derive(Clone, Copy)]
struct Slot {
    hash: [u64; 2],
    offset: Offset,
}

const EMPTY: Slot = Slot { hash: [0; 2], offset: Offset(-1) };

pub(crate) struct KeyMap {
    slots: Vec<Slot>,
    keys: usize,
    keys_max: usize,
    seed: u64,
}

impl KeyMap {
    /// A table of at most `bytes_max`, filled to `load` at most, for no more than `keys_needed` keys.
    pub(crate) fn new(bytes_max: u64, load: f64, keys_needed: u64, seed: u64) -> KeyMap {
        let load = load.clamp(0.01, 0.95);
        let allowed = (bytes_max / SLOT_BYTES).max(2);
        let needed = scaled(keys_needed.saturating_add(1), 1.0 / load).saturating_add(1);
        let slots = usize::try_from(allowed.min(needed)).unwrap_or(usize::MAX);
        let keys_max =
            usize::try_from(scaled(allowed.min(needed), load)).unwrap_or(slots).clamp(1, slots - 1);
        KeyMap { slots: vec![EMPTY; slots], keys: 0, keys_max, seed }
    }

    /// Notes that the key was written at `offset`, the newest so far; `false` when it is new and there is no room.
    #[must_use]
    pub(crate) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let hash = self.hash(key);
        let at = self.place(hash);
        if self.slots[at].offset == EMPTY.offset {
            if self.keys == self.keys_max {
                return false;
            }
            self.keys += 1;
        }
        self.slots[at] = Slot { hash, offset };
        true
    }

    /// The newest offset of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Offset> {
        let slot = self.slots[self.place(self.hash(key))];
        (slot.offset != EMPTY.offset).then_some(slot.offset)
    }

    /// The slot of a hash, or the empty one where it belongs: there is always one.
    fn place(&self, hash: [u64; 2]) -> usize {
        let count = u64::try_from(self.slots.len()).unwrap_or(u64::MAX);
        let mut at = usize::try_from(hash[0] % count).unwrap_or(0);
        while self.slots[at].offset != EMPTY.offset && self.slots[at].hash != hash {
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
        at
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        [0u8, 1].map(|half| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(self.seed);
            hasher.write_u8(half);
            hasher.write(key);
            hasher.finish()
        })
    }
}

/// A count times a factor, rounded down.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a size of memory need not be exact"
)]
fn scaled(count: u64, factor: f64) -> u64 {
    (count as f64 * factor) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_newest_offset_of_each_key_is_known_until_the_table_is_full() {
        let mut map = KeyMap::new(24 * 1000, 0.9, u64::MAX, 7);
        let mut truth = BTreeMap::new();
        let mut offset = 0;
        let full_at = (0..).find(|number: &u64| {
            for key in [number.to_be_bytes(), (number / 2).to_be_bytes()] {
                offset += 1;
                if !map.put(&key, Offset(offset)) {
                    return true;
                }
                truth.insert(key, Offset(offset));
            }
            false
        });
        assert_eq!(full_at, Some(900), "1000 slots, nine tenths of them");
        for (key, offset) in &truth {
            assert_eq!(map.get(key), Some(*offset));
        }
        assert_eq!(map.get(b"absent"), None);
        assert!(map.put(&0u64.to_be_bytes(), Offset(5000)), "a key that is known needs no room");
    }

    #[test]
    fn no_more_memory_is_taken_than_the_offsets_can_need() {
        let mut map = KeyMap::new(1 << 30, 0.9, 10, 7);
        assert!(map.slots.len() < 20, "{}", map.slots.len());
        for key in 0u8..10 {
            assert!(map.put(&[key], Offset(0)));
        }
    }
}
