//! Measuring how full the disk is, saying so, and holding space back.
//!
//! - S1 While records are refused it is measured every second, so that they are taken again soon after there is room.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::{BrokerConfig, DiskFullPolicy};
use model::limits::{DISK_HELD_BYTES, DISK_RESERVE_BYTES};
use rt::Rt;

use super::held::HeldSpace;
use super::oldest::delete_oldest;
use super::room::{DiskRoom, Measured, Turn};
use crate::node::Node;

/// How often it is measured while there is much room: what producers take is counted without (`DiskRoom`).
const AMPLE_INTERVAL: Duration = Duration::from_secs(30);

/// How often it is measured while there is some.
const INTERVAL: Duration = Duration::from_secs(5);

/// And while it is not (S1).
const SHORT_INTERVAL: Duration = Duration::from_secs(1);

/// The disk below one data folder.
pub struct DiskSpace {
    rt: Rt,
    folder: PathBuf,
    room: Arc<DiskRoom>,
    held: Arc<HeldSpace>,
}

/// A disk's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes {
    /// All.
    pub total: u64,
    /// Free.
    pub free: u64,
    /// To be left free by producers; what is to be held and is not is a part of it.
    pub reserve: u64,
    /// Held back in a file.
    pub held: u64,
    /// To be held back there.
    pub wanted: u64,
}

impl DiskSpace {
    /// Nothing is known yet, and everything granted.
    pub fn new(rt: &Rt, folder: &Path) -> DiskSpace {
        DiskSpace {
            rt: rt.clone(),
            folder: folder.to_path_buf(),
            room: Arc::new(DiskRoom::new()),
            held: Arc::new(HeldSpace::new(rt.fs(), folder)),
        }
    }

    /// What the lanes ask.
    pub fn room(&self) -> &Arc<DiskRoom> {
        &self.room
    }

    /// How full it is.
    pub async fn bytes(&self, config: &BrokerConfig) -> io::Result<Bytes> {
        let (rt, folder, held) = (self.rt.clone(), self.folder.clone(), Arc::clone(&self.held));
        let configured = config.disk_reserve_bytes;
        let ask = move || {
            let (total, free) = (rt.fs().total_bytes(&folder)?, rt.fs().free_bytes(&folder)?);
            let reserve = configured.unwrap_or_else(|| (total / 20).min(DISK_RESERVE_BYTES));
            let (held, wanted) = (held.held_bytes()?, DISK_HELD_BYTES.min(reserve / 4));
            Ok(Bytes {
                total,
                free,
                reserve: reserve.saturating_add(wanted.saturating_sub(held)),
                held,
                wanted,
            })
        };
        self.rt.blocking(ask).await
    }

    /// Gives back what is held when there is less than that: called before what may free space, or has to be written
    /// before anything can.
    pub async fn make_room(&self) {
        let (rt, folder, held) = (self.rt.clone(), self.folder.clone(), Arc::clone(&self.held));
        let make = move || {
            let free = rt.fs().free_bytes(&folder)?;
            if free < held.held_bytes()? { held.give_back() } else { Ok(0) }
        };
        match self.rt.blocking(make).await {
            Ok(0) => {}
            Ok(bytes) => tracing::warn!(
                "the disk of {} is full; {bytes} bytes were held back for changes and are given back now",
                self.folder.display()
            ),
            Err(error) => tracing::warn!("what is held back on the disk could not be given back: {error}"),
        }
    }

    /// Holds nothing more back: the folder is about to be somebody else's, or nobody's.
    pub async fn leave(&self) {
        let held = Arc::clone(&self.held);
        self.rt.blocking(move || held.leave()).await;
    }

    /// Measures, and tells everybody what follows.
    pub async fn measure(&self, config: &BrokerConfig) -> Option<Bytes> {
        let written_before = self.room.written();
        let bytes = match self.bytes(config).await {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!("how full the disk is cannot be known: {error}");
                return None;
            }
        };
        let Bytes { free, reserve, .. } = bytes;
        let folder = self.folder.display();
        match self.room.on_measured(Measured { written_before, free, reserve }) {
            Some(Turn::Short) => tracing::warn!(
                "the disk of {folder} has {free} bytes left, of which {reserve} are kept free \
                 (ottla.disk.reserve.bytes): records are refused until there is room; delete topics or records, or \
                 make the disk larger"
            ),
            Some(Turn::Enough) => {
                tracing::info!("the disk of {folder} has {free} bytes left: records are taken again");
            }
            None => {}
        }
        self.hold(bytes).await;
        Some(bytes)
    }

    /// Holds space back as soon as there is some above the reserve.
    async fn hold(&self, Bytes { free, reserve, held, wanted, .. }: Bytes) {
        if held == wanted || free < reserve {
            return;
        }
        let held = Arc::clone(&self.held);
        if let Err(error) = self.rt.blocking(move || held.hold(wanted)).await {
            tracing::warn!("no space could be held back for changes on a full disk: {error}");
        }
    }
}

impl Bytes {
    /// How much more has to be free so that producers are not refused soon. A quarter of the reserve above it is
    /// little, and half of it enough: records go seldom, and not one segment at a time.
    fn lacking(&self) -> Option<u64> {
        let is_little = self.free < self.reserve.saturating_add(self.reserve / 4);
        is_little.then(|| self.reserve.saturating_add(self.reserve / 2).saturating_sub(self.free))
    }
}

/// Measures for as long as the broker lives, and frees space where it was told to.
pub async fn run(node: Arc<Node>) {
    let room = Arc::clone(node.disk.room());
    let mut interval = INTERVAL;
    loop {
        rt::select! {
            () = node.rt().sleep(interval) => {}
            () = room.refusal() => {}
        }
        let config = node.current_config();
        let bytes = node.disk.measure(&config).await;
        let refused = || room.is_short().then(|| room.refused_bytes());
        let lacking = bytes.and_then(|bytes| bytes.lacking()).or_else(refused);
        if let Some(wanted) = lacking.filter(|_| config.disk_full_policy == DiskFullPolicy::DeleteOldest)
            && 0 < delete_oldest(&node, wanted).await
        {
            node.disk.measure(&config).await;
        }
        interval = match bytes {
            _ if lacking.is_some() => SHORT_INTERVAL,
            Some(bytes) if bytes.reserve.saturating_mul(4) < bytes.free => AMPLE_INTERVAL,
            Some(_) | None => INTERVAL,
        };
    }
}
