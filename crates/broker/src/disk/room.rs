//! How much of the disk producers may take, as every lane asks with each batch.
//!
//! - R1 Between two measurements producers are granted no more than the first of them found above the reserve.
//! - R2 Once one is refused all are, until a measurement finds room for what was refused and an eighth of the reserve:
//!   a disk that stays at its limit is not announced with every batch.

use std::sync::atomic::{AtomicU64, Ordering};

use rt::channel::{Notify, watch};

/// Left to batches when space is set aside for those that may come.
const PLENTY_BYTES: u64 = 1024 * 1024 * 1024;

/// The room; shared by all lanes.
pub struct DiskRoom {
    /// Bytes producers were granted since the start.
    granted: AtomicU64,
    /// Those of them that the kernel has: a measurement sees them as taken.
    written: AtomicU64,
    /// `granted` may grow up to here.
    granted_max: AtomicU64,
    /// The largest batch refused since there was room; 0 when none was.
    refused: AtomicU64,
    is_short: watch::Sender<bool>,
    /// Wakes who measures.
    look: Notify,
}

/// What a measurement found, bytes.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// [`DiskRoom::written`] before it.
    pub written_before: u64,
    /// Free on the disk.
    pub free: u64,
    /// To be left free by producers.
    pub reserve: u64,
}

/// What a measurement changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Records are refused from now on.
    Short,
    /// Records are taken again.
    Enough,
}

impl DiskRoom {
    /// Grants everything until the first measurement.
    pub fn new() -> DiskRoom {
        DiskRoom {
            granted: AtomicU64::new(0),
            written: AtomicU64::new(0),
            granted_max: AtomicU64::new(u64::MAX),
            refused: AtomicU64::new(0),
            is_short: watch::channel(false).0,
            look: Notify::new(),
        }
    }

    /// Asks for room for a batch; who is granted it says so when it is written.
    pub fn grant(&self, bytes: u64) -> bool {
        let is_granted = self.grant_leaving(bytes, 0);
        if !is_granted && self.refused.fetch_max(bytes, Ordering::AcqRel) == 0 {
            self.look.notify_one();
        }
        is_granted
    }

    /// Asks for space to be set aside for batches that may come; granted where plenty is left for those that do.
    pub fn grant_ahead(&self, bytes: u64) -> bool {
        self.grant_leaving(bytes, PLENTY_BYTES)
    }

    /// Grants what leaves so much room at least.
    fn grant_leaving(&self, bytes: u64, left: u64) -> bool {
        let granted = self.granted.fetch_add(bytes, Ordering::AcqRel) + bytes;
        let is_granted = granted.saturating_add(left) <= self.granted_max.load(Ordering::Acquire);
        if !is_granted {
            self.give_back(bytes);
        }
        is_granted
    }

    /// What was granted is not needed: its room was granted before, as space set aside.
    pub fn give_back(&self, bytes: u64) {
        if bytes != 0 {
            self.granted.fetch_sub(bytes, Ordering::AcqRel);
        }
    }

    /// The kernel has bytes that were granted, or they will not be written.
    pub fn on_written(&self, bytes: u64) {
        if bytes != 0 {
            self.written.fetch_add(bytes, Ordering::AcqRel);
        }
    }

    /// A write found no room: others fill the disk too.
    pub fn look_again(&self) {
        self.look.notify_one();
    }

    /// Bytes that were granted and that the kernel has.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Whether records are refused.
    pub fn is_short(&self) -> bool {
        *self.is_short.borrow()
    }

    /// The largest batch that was refused since there was room.
    pub fn refused_bytes(&self) -> u64 {
        self.refused.load(Ordering::Acquire)
    }

    /// Resolves while records are refused.
    pub async fn short(&self) {
        // The sender is here, so this does not fail.
        let _ = self.is_short.subscribe().wait_for(|is_short| *is_short).await;
    }

    /// Resolves when somebody was refused.
    pub async fn refusal(&self) {
        self.look.notified().await;
    }

    /// Takes a measurement in (R1, R2).
    pub fn on_measured(&self, measured: Measured) -> Option<Turn> {
        let room = measured.free.saturating_sub(measured.reserve);
        let refused = self.refused.load(Ordering::Acquire);
        let was_short = self.is_short();
        let is_short = if was_short {
            room < refused.max(measured.reserve / 8)
        } else {
            measured.free < measured.reserve || 0 < refused && room < refused
        };
        if !is_short {
            self.refused.store(0, Ordering::Release);
        }
        let granted_max = if is_short { 0 } else { measured.written_before.saturating_add(room) };
        self.granted_max.store(granted_max, Ordering::Release);
        if was_short == is_short {
            return None;
        }
        self.is_short.send_replace(is_short);
        Some(if is_short { Turn::Short } else { Turn::Enough })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(room: &DiskRoom, free: u64) -> Option<Turn> {
        room.on_measured(Measured { written_before: room.written(), free, reserve: 800 })
    }

    #[test]
    fn no_more_is_granted_than_was_free_above_the_reserve() {
        let room = DiskRoom::new();
        assert!(room.grant(5_000), "nothing is known yet");
        room.on_written(4_000);
        // 1,000 bytes are not with the kernel yet: of 3,000 above the reserve they leave 2,000.
        assert_eq!(measure(&room, 3_800), None);
        assert!(room.grant(1_500));
        assert!(!room.grant(501));
        assert!(room.grant(500), "a smaller one fits");
        assert!(!room.grant(1));
    }

    #[test]
    fn space_is_set_aside_where_plenty_is_left_and_granted_once() {
        let room = DiskRoom::new();
        let free = 800 + PLENTY_BYTES + 5_000;
        assert_eq!(measure(&room, free), None);
        assert!(!room.grant_ahead(5_001));
        assert!(room.grant_ahead(5_000));
        room.on_written(5_000);
        assert!(!room.grant_ahead(1), "only plenty is left");
        // A batch that goes where space was set aside.
        assert!(room.grant(3_000));
        room.give_back(3_000);
        assert!(room.grant(PLENTY_BYTES), "it took no room of its own");
        assert!(!room.grant(1));
        assert_eq!(room.written(), 5_000, "refusing wrote nothing");
    }

    #[test]
    fn who_was_refused_is_served_again_only_when_it_fits() {
        let room = DiskRoom::new();
        assert_eq!(measure(&room, 850), None);
        assert!(!room.grant(300));
        assert_eq!(measure(&room, 850), Some(Turn::Short));
        assert!(!room.grant(10), "nothing is taken now");
        assert_eq!(measure(&room, 1_099), None);
        assert_eq!(measure(&room, 1_100), Some(Turn::Enough));
        assert!(room.grant(300));
    }

    #[test]
    fn a_refusal_that_space_has_overtaken_is_none() {
        let room = DiskRoom::new();
        measure(&room, 900);
        assert!(!room.grant(300));
        assert_eq!(measure(&room, 2_000), None);
        assert!(room.grant(300));
    }
}
