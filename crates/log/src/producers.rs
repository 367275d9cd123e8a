//! What a partition remembers of its idempotent producers (KIP-98), so that each batch is in the log once (I6).
//!
//! - P1 Of each producer the last [`PRODUCER_BATCHES_REMEMBERED`] batches of its newest epoch are known.
//! - P2 Everything here follows from the batches in the log, in their order: recovery replays them.
//! - P3 At most [`PRODUCERS_PER_PARTITION_MAX`] producers are remembered; those silent longest go first.
//!
//! Rules: Kafka's `ProducerAppendInfo` and `ProducerStateEntry`.

use std::collections::VecDeque;
use std::fmt;

use model::limits::{PRODUCER_BATCHES_REMEMBERED, PRODUCERS_PER_PARTITION_MAX};
use model::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use record::BatchHeader;
use rustc_hash::FxHashMap;

/// The producers of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    entries: FxHashMap<ProducerId, Entry>,
}

/// One producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) epoch: ProducerEpoch,
    /// Oldest first, at most [`PRODUCER_BATCHES_REMEMBERED`].
    pub(crate) batches: VecDeque<Batch>,
    /// When it was last heard of: the later of the batch's timestamp and the time of its append.
    pub(crate) last_heard: TimestampMs,
}

/// One batch of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: Offset,
    /// Records in it, less one.
    pub(crate) offset_delta: i32,
    pub(crate) timestamp: TimestampMs,
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
    /// The largest timestamp of that batch, [`TimestampMs::NONE`] without one.
    pub last_timestamp: TimestampMs,
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
        /// Its largest timestamp, or its append time.
        timestamp: TimestampMs,
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
        }
    }
}

impl std::error::Error for SequenceError {}

impl Producers {
    /// Judges a batch before it is appended.
    pub fn check(&self, header: &BatchHeader) -> Result<Sequence, SequenceError> {
        if !header.is_idempotent() {
            return Ok(Sequence::New);
        }
        // Without any state of the producer, wherever it begins is right (its state may have expired).
        let Some(entry) = self.entries.get(&header.producer_id) else { return Ok(Sequence::New) };
        if header.producer_epoch < entry.epoch {
            return Err(SequenceError::InvalidEpoch {
                producer: header.producer_id,
                known: entry.epoch,
                asked: header.producer_epoch,
            });
        }
        let same_epoch = header.producer_epoch == entry.epoch;
        if same_epoch && let Some(batch) = entry.find(header) {
            return Ok(Sequence::Duplicate {
                base_offset: batch.base_offset(),
                last_offset: batch.last_offset,
                timestamp: batch.timestamp,
            });
        }
        let last_sequence = if same_epoch { entry.last_sequence() } else { -1 };
        if follows(last_sequence, header.base_sequence) {
            return Ok(Sequence::New);
        }
        Err(SequenceError::OutOfOrder {
            producer: header.producer_id,
            last_sequence,
            base_sequence: header.base_sequence,
        })
    }

    /// Notes a batch that is now in the log (P2).
    pub fn on_append(&mut self, header: &BatchHeader, now: TimestampMs) {
        if !header.is_idempotent() {
            return;
        }
        if PRODUCERS_PER_PARTITION_MAX <= self.entries.len()
            && !self.entries.contains_key(&header.producer_id)
        {
            self.forget_longest_silent();
        }
        let entry = self.entries.entry(header.producer_id).or_insert_with(|| Entry {
            epoch: header.producer_epoch,
            batches: VecDeque::new(),
            last_heard: now,
        });
        if header.producer_epoch != entry.epoch {
            entry.epoch = header.producer_epoch;
            entry.batches.clear();
        }
        entry.last_heard = entry.last_heard.max(now).max(header.max_timestamp);
        // A marker of a transaction's end carries the producer's epoch, but no sequence number.
        if !header.is_control() {
            entry.push(Batch {
                last_sequence: header.last_sequence(),
                last_offset: header.last_offset(),
                offset_delta: header.last_offset_delta,
                timestamp: header.max_timestamp,
            });
        }
    }

    /// Forgets producers silent for `expiration_ms`; says how many.
    pub fn expire(&mut self, now: TimestampMs, expiration_ms: i64) -> usize {
        let before = self.entries.len();
        self.entries.retain(|_, entry| now.0.saturating_sub(entry.last_heard.0) < expiration_ms);
        before - self.entries.len()
    }

    /// What each producer did last, by id.
    pub fn active(&self) -> Vec<ActiveProducer> {
        let active = |(id, entry): (ProducerId, &Entry)| ActiveProducer {
            id,
            epoch: entry.epoch,
            last_sequence: entry.last_sequence(),
            last_timestamp: entry.batches.back().map_or(TimestampMs::NONE, |batch| batch.timestamp),
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

    /// Takes up a batch from a snapshot, oldest first.
    pub(crate) fn restore(
        &mut self,
        id: ProducerId,
        epoch: ProducerEpoch,
        batch: Option<Batch>,
        heard: TimestampMs,
    ) {
        let entry = self.entries.entry(id).or_insert_with(|| Entry {
            epoch,
            batches: VecDeque::new(),
            last_heard: heard,
        });
        if entry.epoch != epoch {
            entry.epoch = epoch;
            entry.batches.clear();
        }
        entry.last_heard = entry.last_heard.max(heard);
        if let Some(batch) = batch {
            entry.push(batch);
        }
    }

    /// Forgets a tenth at a time, so that a flood of new producers costs each of them little (P3).
    fn forget_longest_silent(&mut self) {
        let mut heard: Vec<(TimestampMs, ProducerId)> =
            self.entries.iter().map(|(&id, entry)| (entry.last_heard, id)).collect();
        let going = (PRODUCERS_PER_PARTITION_MAX / 10).max(1).min(heard.len());
        heard.sort_unstable();
        for (_, id) in &heard[..going] {
            self.entries.remove(id);
        }
    }
}

impl Entry {
    fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }

    fn find(&self, header: &BatchHeader) -> Option<&Batch> {
        let same = |batch: &&Batch| {
            batch.first_sequence() == header.base_sequence && batch.last_sequence == header.last_sequence()
        };
        self.batches.iter().find(same)
    }

    fn push(&mut self, batch: Batch) {
        if self.batches.len() == PRODUCER_BATCHES_REMEMBERED {
            self.batches.pop_front();
        }
        self.batches.push_back(batch);
    }
}

fn follows(last_sequence: i32, next: i32) -> bool {
    if last_sequence == i32::MAX { next == 0 } else { next == last_sequence + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::{BatchBuilder, BatchOptions, Producer};

    fn header(epoch: i16, base_sequence: i32, records: usize, base_offset: i64) -> BatchHeader {
        header_of(1, epoch, base_sequence, records, base_offset)
    }

    fn header_of(id: i64, epoch: i16, base_sequence: i32, records: usize, base_offset: i64) -> BatchHeader {
        let mut builder = BatchBuilder::new();
        for _ in 0..records {
            builder.push(None, Some(b"x"), &[], TimestampMs(1000));
        }
        let producer = Producer { id: ProducerId(id), epoch: ProducerEpoch(epoch), base_sequence };
        let options = BatchOptions { producer: Some(producer), ..BatchOptions::default() };
        let mut batch = builder.build(options).expect("records");
        batch.set_base_offset(Offset(base_offset));
        *batch.header()
    }

    /// Runs batches `epoch:sequence+records` against one partition and says what became of each.
    #[track_caller]
    fn check(script: &str) {
        let mut producers = Producers::default();
        let mut next_offset = 100;
        for step in script.split_whitespace() {
            let (batch, expected) = step.split_once('=').expect("a batch and an outcome");
            let (epoch, rest) = batch.split_once(':').expect("an epoch");
            let (sequence, records) = rest.split_once('+').expect("a sequence");
            let records: usize = records.parse().expect("a count");
            let header = header(
                epoch.parse().expect("an epoch"),
                sequence.parse().expect("a number"),
                records,
                next_offset,
            );
            let outcome = match producers.check(&header) {
                Ok(Sequence::New) => {
                    producers.on_append(&header, TimestampMs(0));
                    next_offset = header.next_offset().0;
                    "new".to_owned()
                }
                Ok(Sequence::Duplicate { base_offset, .. }) => format!("dup@{base_offset}"),
                Err(SequenceError::OutOfOrder { last_sequence, .. }) => format!("order({last_sequence})"),
                Err(SequenceError::InvalidEpoch { known, .. }) => format!("epoch({})", known.0),
            };
            assert_eq!(outcome, expected, "{step} in {script}");
        }
    }

    #[test]
    fn sequences_follow_each_other_and_the_last_five_batches_are_known() {
        check("0:0+2=new 0:2+1=new 0:2+1=dup@102 0:0+2=dup@100 0:4+1=order(2) 0:3+1=new");
        check(
            "0:0+1=new 0:1+1=new 0:2+1=new 0:3+1=new 0:4+1=new 0:0+1=dup@100 0:5+1=new 0:1+1=dup@101 0:0+1=order(5)",
        );
        check("0:0+3=new 0:1+2=order(2) 0:0+2=order(2) 0:2+2=order(2)");
    }

    #[test]
    fn epochs_fence_and_begin_at_zero() {
        check("3:7+1=new 2:8+1=epoch(3) 4:8+1=order(-1) 4:0+1=new 3:8+1=epoch(4) 4:0+1=dup@101");
    }

    #[test]
    fn sequences_wrap_after_the_largest() {
        check("0:2147483646+2=new 0:0+1=new 0:2147483646+2=dup@100 0:1+1=new");
        check("0:2147483646+4=new 0:2147483646+4=dup@100 0:2+1=new 0:3+1=new");
        check("0:2147483647+1=new 0:1+1=order(2147483647)");
    }

    #[test]
    fn an_unknown_producer_may_begin_anywhere() {
        check("5:123+1=new 5:124+1=new");
    }

    #[test]
    fn the_silent_are_forgotten() {
        let mut producers = Producers::default();
        producers.on_append(&header_of(1, 0, 0, 1, 0), TimestampMs(10_000));
        producers.on_append(&header_of(2, 0, 0, 1, 1), TimestampMs(20_000));
        assert_eq!(producers.expire(TimestampMs(15_000), 6_000), 0);
        assert_eq!(producers.expire(TimestampMs(16_000), 6_000), 1);
        assert_eq!(producers.sorted()[0].0, ProducerId(2));
    }

    #[test]
    fn there_are_never_too_many() {
        let mut producers = Producers::default();
        let template = header_of(0, 0, 0, 1, 0);
        let all = i64::try_from(PRODUCERS_PER_PARTITION_MAX).expect("small");
        for id in 0..all + 5 {
            producers.on_append(
                &BatchHeader { producer_id: ProducerId(id), ..template },
                TimestampMs(10_000 + id),
            );
            assert!(producers.len() <= PRODUCERS_PER_PARTITION_MAX);
        }
        let sorted = producers.sorted();
        assert_eq!(sorted.last().map(|&(id, _)| id), Some(ProducerId(all + 4)));
        assert_eq!(sorted.first().map(|&(id, _)| id), Some(ProducerId(all / 10)), "the oldest tenth is gone");
    }
}
