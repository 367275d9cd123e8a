//! The coordinator of groups as a machine for a driver.

use std::convert::Infallible;

use group::{Action, Coordinator, Event, GroupConfig, GroupRecord, Reply};
use log::{Marker, Verified};
use model::{NowMs, ProducerId, TimestampMs, TransactionResult};
use record::{BatchBuilder, BatchOptions, CheckedBatch, Producer};
use wire::RecordError;

use super::machine::{Deed, Machine, Write};
use crate::partition::Partition;

/// All groups of one partition of `__consumer_offsets`.
pub struct Groups(Coordinator);

impl Machine for Groups {
    const NAME: &'static str = "group coordinator";
    type Config = GroupConfig;
    type Event = Event;
    type Reply = Reply;
    type Work = Infallible;

    fn new(config: &GroupConfig, _: &Partition) -> Groups {
        Groups(Coordinator::new(config.clone()))
    }

    fn replay(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        transaction: Option<ProducerId>,
    ) -> Result<(), RecordError> {
        self.0.replay(key, value, transaction)
    }

    fn replay_marker(&mut self, producer: ProducerId, result: TransactionResult) {
        self.0.replay_marker(producer, result);
    }

    fn loaded() -> Event {
        Event::Loaded
    }

    fn tick() -> Event {
        Event::Tick
    }

    fn next_deadline(&self) -> Option<u64> {
        self.0.next_deadline()
    }

    fn step(&mut self, now: NowMs, event: Event) -> Vec<Deed<Groups>> {
        self.0.step(now, event).into_iter().map(|action| deed(now, action)).collect()
    }
}

fn deed(now: NowMs, action: Action) -> Deed<Groups> {
    match action {
        Action::Append(records) => Deed::Append(Write::Own(batch(now, &records, BatchOptions::default()))),
        Action::AppendTransactional(transaction, records) => {
            let producer = Producer { id: transaction.producer, epoch: transaction.epoch, base_sequence: -1 };
            let options =
                BatchOptions { producer: Some(producer), transactional: true, ..BatchOptions::default() };
            // Where it did not have to be asked, no marker makes the answer void either; these batches bear no sequence.
            let verified = transaction.asked_at.map_or(Verified::ForEpoch, Verified::Since);
            Deed::Append(Write::Transactional(batch(now, &records, options), verified))
        }
        Action::AppendMarker(end) => Deed::Append(Write::Marker(Marker {
            producer: end.producer,
            epoch: end.epoch,
            coordinator_epoch: end.coordinator_epoch,
            result: end.result,
            version: end.version,
        })),
        Action::Reply { ticket, reply, after } => Deed::Reply { ticket, reply, after },
    }
}

fn batch(now: NowMs, records: &[GroupRecord], options: BatchOptions) -> CheckedBatch {
    let mut batch = BatchBuilder::new();
    for record in records {
        batch.push(Some(&record.key), record.value.as_deref(), &[], TimestampMs(now.wall));
    }
    batch.build(options).expect("the coordinator bounds its batches")
}
