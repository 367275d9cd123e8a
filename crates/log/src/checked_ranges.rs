//! Which bytes of a segment this process wrote or has checked (D3).
//!
//! - C1 Ranges are disjoint and sorted; touching ones are one.
//! - C2 At most [`RANGES_MAX`] are remembered; forgetting one only means checking it again.

use std::ops::Range;

/// Readers go forward, so a few ranges are the rule; this many random ones may lie about.
const RANGES_MAX: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct CheckedRanges(Vec<Range<u64>>);

impl CheckedRanges {
    /// Notes that a range is sound.
    pub(crate) fn add(&mut self, added: Range<u64>) {
        if added.is_empty() {
            return;
        }
        let first = self.0.partition_point(|range| range.end < added.start);
        let last = self.0.partition_point(|range| range.start <= added.end);
        let mut merged = added;
        for range in self.0.drain(first..last) {
            merged = merged.start.min(range.start)..merged.end.max(range.end);
        }
        self.0.insert(first, merged);
        if RANGES_MAX < self.0.len() {
            let smallest = self.0.iter().enumerate().min_by_key(|(_, range)| range.end - range.start);
            if let Some((index, _)) = smallest {
                self.0.remove(index);
            }
        }
    }

    /// From where on `wanted` is not known to be sound; `None` when all of it is.
    pub(crate) fn first_unchecked(&self, wanted: &Range<u64>) -> Option<u64> {
        let after = self.0.partition_point(|range| range.start <= wanted.start);
        let checked_to = self.0[..after].last().map_or(wanted.start, |range| range.end.max(wanted.start));
        (checked_to < wanted.end).then_some(checked_to)
    }

    /// Notes that a range is not sound any more.
    pub(crate) fn remove(&mut self, removed: &Range<u64>) {
        let parts = self.0.iter().flat_map(|range| {
            [range.start..range.end.min(removed.start), range.start.max(removed.end)..range.end]
        });
        self.0 = parts.filter(|part| part.start < part.end).take(RANGES_MAX).collect();
    }

    /// Whether nothing is known to be sound.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets what lies beyond the new end of a file that was cut.
    pub(crate) fn cut(&mut self, end: u64) {
        self.0.retain_mut(|range| {
            range.end = range.end.min(end);
            !range.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn touching_ranges_become_one() {
        let mut ranges = CheckedRanges::default();
        for range in [10..20, 30..40, 20..30, 0..5] {
            ranges.add(range);
        }
        assert_eq!(ranges.0, [0..5, 10..40]);
        assert_eq!(ranges.first_unchecked(&(12..40)), None);
        assert_eq!(ranges.first_unchecked(&(12..41)), Some(40));
        assert_eq!(ranges.first_unchecked(&(5..12)), Some(5));
        ranges.remove(&(15..20));
        assert_eq!(ranges.0, [0..5, 10..15, 20..40]);
        ranges.remove(&(12..50));
        assert_eq!(ranges.0, [0..5, 10..12]);
        ranges.cut(11);
        assert_eq!(ranges.0, [0..5, 10..11]);
    }

    proptest! {
        #[test]
        fn nothing_is_called_checked_that_was_not(
            added in proptest::collection::vec((0u64..200, 0u64..20), 0..60),
            wanted in (0u64..200, 1u64..30),
        ) {
            let mut ranges = CheckedRanges::default();
            let mut truth = [false; 256];
            for (start, len) in added {
                ranges.add(start..start + len);
                for at in start..start + len {
                    truth[usize::try_from(at).expect("small")] = true;
                }
                prop_assert!(ranges.0.len() <= RANGES_MAX);
                prop_assert!(ranges.0.windows(2).all(|pair| pair[0].end < pair[1].start));
            }
            let wanted = wanted.0..wanted.0 + wanted.1;
            let checked_to = ranges.first_unchecked(&wanted).unwrap_or(wanted.end);
            for at in wanted.start..checked_to {
                prop_assert!(truth[usize::try_from(at).expect("small")]);
            }
        }
    }
}
