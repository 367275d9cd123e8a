//! Which neighbouring segments become one.
//!
//! - G1 A group fits one segment: its bytes, the bytes of either index, and its offsets counted from its base.

use std::sync::Arc;

use model::Offset;

use crate::index_file::Entry;
use crate::offset_index::OffsetEntry;
use crate::segment::Segment;
use crate::time_index::TimeEntry;

/// Sealed segments, each with the base offset of the one behind it.
pub(crate) type Sealed = (Arc<Segment>, Offset);

/// Splits segments into groups, as long as fit into one segment (G1); one that alone is too large stays alone.
pub(crate) fn group(segments: &[Sealed], bytes_max: u64, index_bytes_max: u64) -> Vec<Vec<Sealed>> {
    let mut groups: Vec<Vec<Sealed>> = Vec::new();
    let mut room = Room::default();
    for (segment, end) in segments {
        let added = Room::of(segment);
        let joined = groups.last_mut().filter(|group| {
            let together = room.plus(added);
            let spans = i32::try_from(end.since(group[0].0.base())).is_ok();
            together.batches <= bytes_max
                && together.index <= index_bytes_max
                && together.times <= index_bytes_max
                && spans
        });
        if let Some(group) = joined {
            group.push((Arc::clone(segment), *end));
            room = room.plus(added);
        } else {
            groups.push(vec![(Arc::clone(segment), *end)]);
            room = added;
        }
    }
    groups
}

#[derive(Clone, Copy, Default)]
struct Room {
    batches: u64,
    index: u64,
    times: u64,
}

impl Room {
    fn of(segment: &Segment) -> Room {
        let width = |width: usize| u64::try_from(width).unwrap_or(u64::MAX);
        Room {
            batches: segment.size(),
            index: segment.offsets.len() * width(OffsetEntry::WIDTH),
            times: segment.times.len() * width(TimeEntry::WIDTH),
        }
    }

    fn plus(self, other: Room) -> Room {
        Room {
            batches: self.batches + other.batches,
            index: self.index + other.index,
            times: self.times + other.times,
        }
    }
}
