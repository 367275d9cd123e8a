//! The coordinator of transactions as a machine for a driver.

use std::sync::Arc;

use meta::Image;
use model::{CoordinatorEpoch, NowMs, ProducerId, TimestampMs, TransactionResult};
use record::{BatchBuilder, BatchOptions, CheckedBatch};
use rt::channel::watch;
use txn::{Action, Coordinator, Event, Markers, Reply, TransactionRecord, TxnConfig, VersionLevel};
use wire::RecordError;

use super::machine::{Deed, Machine, Write};
use crate::partition::Partition;

/// All transactional ids of one partition of `__transaction_state`.
pub struct Transactions {
    coordinator: Coordinator,
    epoch: CoordinatorEpoch,
    images: watch::Receiver<Arc<Image>>,
}

/// What the coordinators of transactions are told.
#[derive(Clone)]
pub struct TransactionSettings {
    /// Their limits and delays.
    pub config: TxnConfig,
    /// The image as it changes, which says what `transaction.version` is at.
    pub images: watch::Receiver<Arc<Image>>,
}

/// Markers that are to be written, and which incarnation of the coordinator says so.
pub struct MarkersOf {
    /// The leader epoch of the coordinator's partition.
    pub epoch: CoordinatorEpoch,
    /// What is to be written.
    pub markers: Markers,
}

impl Machine for Transactions {
    const NAME: &'static str = "transaction coordinator";
    type Config = TransactionSettings;
    type Event = Event;
    type Reply = Reply;
    type Work = MarkersOf;

    fn new(settings: &TransactionSettings, partition: &Partition) -> Transactions {
        let epoch = CoordinatorEpoch(partition.leader_epoch.0);
        let coordinator = Coordinator::new(settings.config.clone());
        Transactions { coordinator, epoch, images: settings.images.clone() }
    }

    fn replay(&mut self, key: &[u8], value: Option<&[u8]>, _: Option<ProducerId>) -> Result<(), RecordError> {
        self.coordinator.replay(key, value)
    }

    fn replay_marker(&mut self, _: ProducerId, _: TransactionResult) {
        // Its own log is no part of any transaction.
    }

    fn loaded() -> Event {
        Event::Loaded
    }

    fn tick() -> Event {
        Event::Tick
    }

    fn next_deadline(&self) -> Option<u64> {
        self.coordinator.next_deadline()
    }

    fn step(&mut self, now: NowMs, event: Event) -> Vec<Deed<Transactions>> {
        let level = controller::transaction_version(&self.images.borrow());
        self.coordinator.set_level(VersionLevel::from_number(level));
        let actions = self.coordinator.step(now, event);
        actions.into_iter().map(|action| deed(now, self.epoch, action)).collect()
    }
}

fn deed(now: NowMs, epoch: CoordinatorEpoch, action: Action) -> Deed<Transactions> {
    match action {
        Action::Append(records) => Deed::Append(Write::Own(batch(now, &records))),
        Action::Reply { ticket, reply, after } => Deed::Reply { ticket, reply, after },
        Action::WriteMarkers(markers) => Deed::Work(MarkersOf { epoch, markers }),
    }
}

fn batch(now: NowMs, records: &[TransactionRecord]) -> CheckedBatch {
    let mut batch = BatchBuilder::new();
    for record in records {
        batch.push(Some(&record.key), record.value.as_deref(), &[], TimestampMs(now.wall));
    }
    batch.build(BatchOptions::default()).expect("the coordinator bounds its batches")
}
