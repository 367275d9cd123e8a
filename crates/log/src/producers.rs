//! What a partition remembers of its idempotent producers (KIP-98), so that each batch is in the log once (I6), and of
//! their transactions.
//!
//! - P1 Of each producer the last [`PRODUCER_BATCHES_REMEMBERED`] batches of its newest epoch are known.
//! - P2 Everything here follows from the batches in the log, in their order: recovery replays them.
//! - P3 At most [`PRODUCERS_PER_PARTITION_MAX`] producers are remembered beside those with an open transaction; those
//!   silent longest go first.
//! - P4 A producer has one open transaction at the most. It begins with a record of it that was verified with the
//!   coordinator (KIP-890), and ends with a marker, which no older coordinator or producer epoch gets to write.
//!
//! Rules: Kafka's `ProducerAppendInfo` and `ProducerStateEntry`.

use std::collections::VecDeque;
use std::fmt;

use model::limits::{PRODUCER_BATCHES_REMEMBERED, PRODUCERS_PER_PARTITION_MAX};
use model::{
    CoordinatorEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs, TransactionResult, TransactionVersion,
};
use record::{BatchHeader, EndTransaction};
use rustc_hash::FxHashMap;

use crate::producer_snapshot::SnapshotEntry;
use crate::transactions::{AbortedTransaction, Transactions};

/// The producers of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    entries: FxHashMap<ProducerId, Entry>,
    transactions: Transactions,
}

/// One producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) epoch: ProducerEpoch,
    /// Oldest first, at most [`PRODUCER_BATCHES_REMEMBERED`].
    pub(crate) batches: VecDeque<Batch>,
    /// When it was last heard of: the later of the batch's timestamp and the time of its append.
    pub(crate) last_heard: TimestampMs,
    /// The timestamp of its last batch or marker.
    pub(crate) last_timestamp: TimestampMs,
    /// The newest coordinator that ended a transaction of it.
    pub(crate) coordinator_epoch: CoordinatorEpoch,
    /// Where its open transaction begins.
    pub(crate) transaction: Option<Offset>,
    /// The last marker this process has seen; no snapshot has it.
    last_marker: Option<Offset>,
}

/// One batch of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: Offset,
    /// Records in it, less one.
    pub(crate) offset_delta: i32,
}

impl Batch {
    fn first_sequence(&self) -> i32 {
        // Sequences wrap from i32::MAX to 0.
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        let wrapped = if first < 0 { first + i64::from(i32::MAX) + 1 } else { first };
        i32::try_from(wrapped).unwrap_or(0)
    }

    fn base_offset(&self) -> Offset {
        self.last_offset.plus(-i64::from(self.offset_delta))
    }
}

/// A producer as it is shown to people (DescribeProducers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub id: ProducerId,
    /// Its newest incarnation.
    pub epoch: ProducerEpoch,
    /// The sequence number of the last record of its last batch; -1 when it has none in this epoch.
    pub last_sequence: i32,
    /// The timestamp of its last batch or marker, [`TimestampMs::NONE`] without one.
    pub last_timestamp: TimestampMs,
    /// The newest coordinator that ended a transaction of it.
    pub coordinator_epoch: CoordinatorEpoch,
    /// Where its open transaction begins.
    pub transaction_first_offset: Option<Offset>,
}

/// What is known of the transaction that a batch says it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Nothing was asked: the batch may go on with an open transaction, and begin none.
    No,
    /// The coordinator said that it is ongoing, asked when the high watermark was here. Void once a marker of the
    /// producer lies at or behind this: it may have ended just that transaction.
    Since(Offset),
    /// Nothing was asked, and nothing has to be: the batch may begin a transaction that no coordinator knows.
    Unneeded,
    /// The coordinator said so, and the producer's epoch is of this transaction alone ([`TransactionVersion::Tv2`]).
    ForEpoch,
}

/// The end of a transaction, as its coordinator decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Whose transaction.
    pub producer: ProducerId,
    /// In which epoch; with [`TransactionVersion::Tv2`] the one after that of its records.
    pub epoch: ProducerEpoch,
    /// Who decided.
    pub coordinator_epoch: CoordinatorEpoch,
    /// And what.
    pub result: TransactionResult,
    /// The protocol the producer speaks.
    pub version: TransactionVersion,
}

/// Why a marker is refused. The log is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkerError {
    /// A newer incarnation of the producer has written, or the one whose transaction is open.
    InvalidEpoch {
        /// The producer.
        producer: ProducerId,
        /// Its epoch here.
        known: ProducerEpoch,
        /// The marker's.
        asked: ProducerEpoch,
    },
    /// A newer coordinator has ended a transaction of this producer.
    CoordinatorFenced {
        /// The producer.
        producer: ProducerId,
        /// The newest coordinator's epoch.
        known: CoordinatorEpoch,
        /// The marker's.
        asked: CoordinatorEpoch,
    },
}

/// What a batch's sequence number says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// It is to be appended.
    New,
    /// It was appended before.
    Duplicate {
        /// The offset its first record got then.
        base_offset: Offset,
        /// The offset its last record got.
        last_offset: Offset,
    },
}

/// Why a batch of an idempotent producer is refused. The log is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceError {
    /// A batch before it is missing, or it overlaps one that is there.
    OutOfOrder {
        /// The producer.
        producer: ProducerId,
        /// The last sequence number known; -1 when none is.
        last_sequence: i32,
        /// The batch's first.
        base_sequence: i32,
    },
    /// A newer incarnation of the producer has written.
    InvalidEpoch {
        /// The producer.
        producer: ProducerId,
        /// Its epoch here.
        known: ProducerEpoch,
        /// The batch's.
        asked: ProducerEpoch,
    },
    /// The batch says it belongs to a transaction, and none is known to be ongoing.
    NoTransaction {
        /// The producer.
        producer: ProducerId,
    },
    /// The batch belongs to no transaction while one of its producer is open.
    OutsideTransaction {
        /// The producer.
        producer: ProducerId,
        /// Where that transaction begins.
        first_offset: Offset,
    },
}

impl fmt::Display for SequenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SequenceError::OutOfOrder { producer, last_sequence, base_sequence } => write!(
                f,
                "out of order sequence number for producer {}: {base_sequence} (incoming), {last_sequence} (current end)",
                producer.0
            ),
            SequenceError::InvalidEpoch { producer, known, asked } => write!(
                f,
                "epoch of producer {} is {}, which is smaller than the last seen epoch {}",
                producer.0, asked.0, known.0
            ),
            SequenceError::NoTransaction { producer } => {
                write!(f, "producer {} has no ongoing transaction that this partition is part of", producer.0)
            }
            SequenceError::OutsideTransaction { producer, first_offset } => write!(
                f,
                "producer {} has a transaction open here since offset {first_offset}: all it writes belongs to that",
                producer.0
            ),
        }
    }
}

impl fmt::Display for MarkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MarkerError::InvalidEpoch { producer, known, asked } => write!(
                f,
                "a marker in epoch {} cannot end a transaction of producer {}, whose epoch is {}",
                asked.0, producer.0, known.0
            ),
            MarkerError::CoordinatorFenced { producer, known, asked } => write!(
                f,
                "coordinator epoch {} is over for producer {}, the newest seen is {}",
                asked.0, producer.0, known.0
            ),
        }
    }
}

impl std::error::Error for MarkerError {}

impl std::error::Error for SequenceError {}

impl Producers {
    /// Judges a batch before it is appended, in Kafka's order. Coordinators number no batches of theirs: what they
    /// write in a producer's name has no sequence.
    pub fn check(&self, header: &BatchHeader, verified: Verified) -> Result<Sequence, SequenceError> {
        if !header.is_idempotent() {
            return Ok(Sequence::New);
        }
        let producer = header.producer_id;
        let entry = self.entries.get(&producer);
        if let Some(batch) = entry.and_then(|entry| entry.find(header)) {
            return Ok(Sequence::Duplicate {
                base_offset: batch.base_offset(),
                last_offset: batch.last_offset,
            });
        }
        if header.is_transactional() && !may_be_in_transaction(entry, header, verified) {
            return Err(SequenceError::NoTransaction { producer });
        }
        let Some(entry) = entry else { return check_unknown(header, verified) };
        entry.check_follows(header)?;
        match entry.transaction {
            Some(first_offset) if !header.is_transactional() => {
                Err(SequenceError::OutsideTransaction { producer, first_offset })
            }
            Some(_) | None => Ok(Sequence::New),
        }
    }

    /// Judges a marker before it is appended. One that repeats the last finds nothing open, and changes nothing.
    pub fn check_marker(&self, marker: &Marker) -> Result<(), MarkerError> {
        let Some(entry) = self.entries.get(&marker.producer) else { return Ok(()) };
        let (producer, known, asked) = (marker.producer, entry.epoch, marker.epoch);
        // There is no epoch after the last: its transactions end in it.
        let is_last = asked.0 == i16::MAX;
        let may_be_equal = match marker.version {
            TransactionVersion::Tv1 => true,
            TransactionVersion::Tv2 => entry.transaction.is_none() || is_last,
        };
        if asked < known || asked == known && !may_be_equal {
            return Err(MarkerError::InvalidEpoch { producer, known, asked });
        }
        let (known, asked) = (entry.coordinator_epoch, marker.coordinator_epoch);
        if asked < known {
            return Err(MarkerError::CoordinatorFenced { producer, known, asked });
        }
        Ok(())
    }

    /// Notes a batch that is now in the log (P2); `end` is what a control batch says. Yields what it aborted.
    pub fn on_append(
        &mut self,
        header: &BatchHeader,
        end: Option<EndTransaction>,
        now: TimestampMs,
    ) -> Option<AbortedTransaction> {
        if !header.is_idempotent() {
            return None;
        }
        let entry = self.entry(header.producer_id, header.producer_epoch, now);
        entry.last_heard = entry.last_heard.max(now).max(header.max_timestamp);
        if header.is_control() {
            return end.and_then(|end| self.on_marker(header, end));
        }
        entry.last_timestamp = header.max_timestamp;
        entry.push(Batch {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
        });
        if header.is_transactional() && entry.transaction.is_none() {
            entry.transaction = Some(header.base_offset);
            self.transactions.begin(header.base_offset, header.producer_id);
        }
        None
    }

    /// A marker without an open transaction is remembered for its epochs only.
    fn on_marker(&mut self, header: &BatchHeader, end: EndTransaction) -> Option<AbortedTransaction> {
        let (producer, last_offset) = (header.producer_id, header.base_offset);
        let entry = self.entries.get_mut(&producer)?;
        entry.coordinator_epoch = end.coordinator_epoch;
        entry.last_timestamp = header.max_timestamp;
        entry.last_marker = Some(last_offset);
        let first_offset = entry.transaction.take()?;
        let last_stable_offset = self.transactions.end(first_offset, last_offset);
        (end.result == TransactionResult::Abort).then_some(AbortedTransaction {
            producer,
            first_offset,
            last_offset,
            last_stable_offset,
        })
    }

    /// The producer's entry in this epoch, making room for a new one (P3).
    fn entry(&mut self, id: ProducerId, epoch: ProducerEpoch, now: TimestampMs) -> &mut Entry {
        if PRODUCERS_PER_PARTITION_MAX <= self.entries.len() && !self.entries.contains_key(&id) {
            self.forget_longest_silent();
        }
        let entry = self.entries.entry(id).or_insert_with(|| Entry::new(epoch, now));
        if entry.epoch != epoch {
            entry.epoch = epoch;
            entry.batches.clear();
        }
        entry
    }

    /// Markers below it decide their transactions for good.
    pub(crate) fn on_high_watermark(&mut self, high_watermark: Offset) {
        self.transactions.on_high_watermark(high_watermark);
    }

    /// Where the earliest transaction begins that has no marker, or none below the high watermark.
    pub(crate) fn first_undecided(&self) -> Option<Offset> {
        self.transactions.first_undecided()
    }

    /// The epoch in which a producer has a transaction open.
    pub fn open_transaction(&self, producer: ProducerId) -> Option<ProducerEpoch> {
        self.entries.get(&producer).filter(|entry| entry.transaction.is_some()).map(|entry| entry.epoch)
    }

    /// Every producer with an open transaction, and its epoch.
    pub fn open_transactions(&self) -> impl Iterator<Item = (ProducerId, ProducerEpoch)> {
        let open = self.entries.iter().filter(|(_, entry)| entry.transaction.is_some());
        open.map(|(&id, entry)| (id, entry.epoch))
    }

    /// Takes over which markers were seen, where the batches were read again from a snapshot on.
    pub(crate) fn remember_markers_of(&mut self, before: &Producers) {
        for (id, entry) in &mut self.entries {
            let known = before.entries.get(id).and_then(|before| before.last_marker);
            entry.last_marker = entry.last_marker.or(known);
        }
    }

    /// Forgets producers silent for `expiration_ms`, but none with an open transaction; says how many.
    pub fn expire(&mut self, now: TimestampMs, expiration_ms: i64) -> usize {
        let before = self.entries.len();
        let is_heard = |entry: &Entry| now.0.saturating_sub(entry.last_heard.0) < expiration_ms;
        self.entries.retain(|_, entry| entry.transaction.is_some() || is_heard(entry));
        before - self.entries.len()
    }

    /// What each producer did last, by id.
    pub fn active(&self) -> Vec<ActiveProducer> {
        let active = |(id, entry): (ProducerId, &Entry)| ActiveProducer {
            id,
            epoch: entry.epoch,
            last_sequence: entry.last_sequence(),
            last_timestamp: entry.last_timestamp,
            coordinator_epoch: entry.coordinator_epoch,
            transaction_first_offset: entry.transaction,
        };
        self.sorted().into_iter().map(active).collect()
    }

    /// Producers remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All of them, by id, so that a snapshot's bytes do not depend on a hash.
    pub(crate) fn sorted(&self) -> Vec<(ProducerId, &Entry)> {
        let mut sorted: Vec<(ProducerId, &Entry)> =
            self.entries.iter().map(|(&id, entry)| (id, entry)).collect();
        sorted.sort_by_key(|&(id, _)| id);
        sorted
    }

    /// Takes up an entry of a snapshot, a producer's oldest first.
    pub(crate) fn restore(&mut self, saved: &SnapshotEntry) {
        let SnapshotEntry { producer_id, last_sequence, timestamp, transaction_first_offset: first, .. } =
            *saved;
        let entry = self.entry(producer_id, saved.epoch, timestamp);
        entry.last_heard = entry.last_heard.max(timestamp);
        entry.last_timestamp = timestamp;
        entry.coordinator_epoch = saved.coordinator_epoch;
        // What a coordinator wrote in its name has a place, and no sequence.
        if 0 <= saved.last_offset.0 {
            let SnapshotEntry { last_offset, offset_delta, .. } = *saved;
            entry.push(Batch { last_sequence, last_offset, offset_delta });
        }
        entry.transaction = Some(first).filter(|first| 0 <= first.0);
        if 0 <= first.0 {
            self.transactions.begin(first, producer_id);
        }
    }

    /// Forgets a tenth at a time, so that a flood of new producers costs each of them little (P3).
    fn forget_longest_silent(&mut self) {
        let silent = self.entries.iter().filter(|(_, entry)| entry.transaction.is_none());
        let mut heard: Vec<(TimestampMs, ProducerId)> =
            silent.map(|(&id, entry)| (entry.last_heard, id)).collect();
        let going = (PRODUCERS_PER_PARTITION_MAX / 10).max(1).min(heard.len());
        heard.sort_unstable();
        for (_, id) in &heard[..going] {
            self.entries.remove(id);
        }
    }
}

impl Entry {
    fn new(epoch: ProducerEpoch, now: TimestampMs) -> Entry {
        Entry {
            epoch,
            batches: VecDeque::new(),
            last_heard: now,
            last_timestamp: TimestampMs::NONE,
            coordinator_epoch: CoordinatorEpoch::NONE,
            transaction: None,
            last_marker: None,
        }
    }

    fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }

    /// The same batch, appended before.
    fn find(&self, header: &BatchHeader) -> Option<&Batch> {
        let same = |batch: &&Batch| {
            batch.first_sequence() == header.base_sequence && batch.last_sequence == header.last_sequence()
        };
        let is_numbered = header.producer_epoch == self.epoch && 0 <= header.base_sequence;
        self.batches.iter().find(same).filter(|_| is_numbered)
    }

    /// Whether a batch of this producer may stand behind what is there.
    fn check_follows(&self, header: &BatchHeader) -> Result<(), SequenceError> {
        let (producer, base_sequence) = (header.producer_id, header.base_sequence);
        if header.producer_epoch < self.epoch {
            let (known, asked) = (self.epoch, header.producer_epoch);
            return Err(SequenceError::InvalidEpoch { producer, known, asked });
        }
        let last_sequence = if header.producer_epoch == self.epoch { self.last_sequence() } else { -1 };
        if base_sequence < 0 || follows(last_sequence, base_sequence) {
            return Ok(());
        }
        Err(SequenceError::OutOfOrder { producer, last_sequence, base_sequence })
    }

    fn push(&mut self, batch: Batch) {
        if self.batches.len() == PRODUCER_BATCHES_REMEMBERED {
            self.batches.pop_front();
        }
        self.batches.push_back(batch);
    }
}

/// Whether the transaction that a batch says it belongs to is known to be ongoing (P4).
fn may_be_in_transaction(entry: Option<&Entry>, header: &BatchHeader, verified: Verified) -> bool {
    let is_open = |entry: &Entry| entry.transaction.is_some() && entry.epoch == header.producer_epoch;
    match verified {
        _ if entry.is_some_and(is_open) => true,
        Verified::No => false,
        Verified::Since(asked_at) => entry.and_then(|entry| entry.last_marker).is_none_or(|at| at < asked_at),
        Verified::Unneeded | Verified::ForEpoch => true,
    }
}

/// Without any state of the producer, wherever it begins is right, for its state may have expired; but an epoch that is
/// of one transaction alone has none that could.
fn check_unknown(header: &BatchHeader, verified: Verified) -> Result<Sequence, SequenceError> {
    if verified == Verified::ForEpoch && 0 < header.base_sequence {
        let (producer, base_sequence) = (header.producer_id, header.base_sequence);
        return Err(SequenceError::OutOfOrder { producer, last_sequence: -1, base_sequence });
    }
    Ok(Sequence::New)
}

fn follows(last_sequence: i32, next: i32) -> bool {
    if last_sequence == i32::MAX { next == 0 } else { next == last_sequence + 1 }
}

#[cfg(test)]
mod tests;
