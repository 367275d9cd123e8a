//! What a log must be after a power cut, whatever that left.
//!
//! - P1 Everything below the durable end is there, at its offsets; beyond it some batches are, whole and in order, and
//!   nothing else (I1, I5).
//! - P2 Producers, epochs and aborted transactions are those of the batches that are there (I6, I7).
//! - P3 The log starts no earlier than it was said to, and no later than somebody asked for.
//! - P4 What was deleted does not come back.
//! - P5 Of what was compacted, a record is gone only where a later one has its key; below where the checkpoint says that
//!   it is done, each key is there once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::rc::Rc;

use log::{LeaderEpochs, Producers};
use model::{LeaderEpoch, Offset, TimestampMs};
use record::{BatchHeader, EndTransaction};

use crate::life::{Life, values};

/// A batch that was appended.
#[derive(Clone)]
pub struct Batch {
    /// As it is in the log.
    pub header: BatchHeader,
    /// Its records' values.
    pub values: Rc<[String]>,
    /// How it ends a transaction, when it is a marker.
    pub end: Option<EndTransaction>,
}

/// What the log must be.
#[derive(Clone)]
pub struct Promise {
    /// Everything that may be there, from offset zero on.
    pub batches: Vec<Batch>,
    /// All below is there.
    pub durable: Offset,
    /// Where the log may start.
    pub start: RangeInclusive<Offset>,
    /// Compaction may have come this far.
    pub compacted_to: Offset,
    /// Somebody asked for its deletion: the next start completes that.
    pub is_deleted: bool,
}

impl Default for Promise {
    fn default() -> Promise {
        let start = Offset::ZERO..=Offset::ZERO;
        let (durable, compacted_to) = (Offset::ZERO, Offset::ZERO);
        Promise { batches: Vec::new(), durable, start, compacted_to, is_deleted: false }
    }
}

impl Promise {
    /// Cuts what may be there.
    pub fn truncate(&mut self, end: Offset) {
        self.batches.retain(|batch| batch.header.next_offset() <= end);
        self.durable = self.durable.min(end);
    }

    fn end(&self) -> Offset {
        self.batches.last().map_or(Offset::ZERO, |batch| batch.header.next_offset())
    }

    /// Compares a log that was just opened; what is there is promised from now on.
    pub fn check(&self, life: &Life) -> Result<Promise, String> {
        let (start, end) = (life.log.log_start(), life.log.log_end());
        if !self.start.contains(&start) {
            return Err(format!("the log starts at {start}, not in {:?}", self.start));
        }
        if end < self.durable {
            return Err(format!("the log ends at {end}, but {} was promised", self.durable));
        }
        let mut now = Promise { start: start..=start, ..self.clone() };
        now.truncate(end);
        now.durable = end;
        if now.end() != end && start < end {
            return Err(format!("the log ends at {end}, inside a batch or beyond {}", self.end()));
        }
        now.check_records(life, start)?;
        if start == Offset::ZERO {
            now.check_producers_and_epochs(life, end)?;
        }
        Ok(now)
    }

    fn check_records(&self, life: &Life, start: Offset) -> Result<(), String> {
        let numbered = |batch: &Batch| (batch.header.base_offset.0..).zip(batch.values.to_vec());
        let mut expected: Vec<(i64, String)> = self.batches.iter().flat_map(numbered).collect();
        expected.retain(|(offset, _)| start.0 <= *offset);
        let newest: BTreeMap<&str, i64> =
            expected.iter().map(|(offset, value)| (key(value), *offset)).collect();
        let cleaned_to = life.cleaned_to.unwrap_or(Offset::ZERO);
        if self.compacted_to < cleaned_to {
            return Err(format!(
                "compacted to {cleaned_to}, says the checkpoint, but at most to {}",
                self.compacted_to
            ));
        }
        let mut found = values(&life.log.reader())?.into_iter().peekable();
        let mut cleaned = BTreeSet::new();
        for (offset, value) in &expected {
            if found.next_if_eq(value).is_some() {
                if *offset < cleaned_to.0 && !cleaned.insert(key(value)) {
                    return Err(format!("the key of {offset} is there twice below {cleaned_to}"));
                }
            } else if self.compacted_to.0 <= *offset || newest[key(value)] == *offset {
                return Err(format!("the record at {offset} is not there"));
            }
        }
        match found.next() {
            Some(value) => Err(format!("{value} is out of order, or was never appended")),
            None => Ok(()),
        }
    }

    fn check_producers_and_epochs(&self, life: &Life, end: Offset) -> Result<(), String> {
        let (mut producers, mut epochs) = (Producers::default(), LeaderEpochs::default());
        let mut aborted = Vec::new();
        for batch in &self.batches {
            aborted.extend(producers.on_append(&batch.header, batch.end, TimestampMs(0)));
            let epoch = batch.header.partition_leader_epoch;
            if epochs.latest().is_none_or(|(latest, _)| latest < epoch) {
                epochs.assign(epoch, batch.header.base_offset);
            }
        }
        let (found, expected) = (life.log.producers().active(), producers.active());
        if found != expected {
            return Err(format!("producers are {found:?}, not {expected:?}"));
        }
        let reader = life.log.reader();
        let found = reader.aborted_transactions(Offset::ZERO, end).map_err(|error| error.to_string())?;
        aborted.sort_by_key(|aborted: &log::AbortedTransaction| aborted.first_offset);
        if found != aborted {
            return Err(format!("aborted transactions are {found:?}, not {aborted:?}"));
        }
        for epoch in (0..=life.epoch.0).map(LeaderEpoch) {
            let (found, expected) = (reader.end_offset_for_epoch(epoch), epochs.end_offset_for(epoch, end));
            if found != expected {
                return Err(format!("epoch {epoch:?} ends at {found:?}, not {expected:?}"));
            }
        }
        Ok(())
    }
}

/// The key that a value tells; those without one are all different.
fn key(value: &str) -> &str {
    value.split_once('=').map_or(value, |(key, _)| key)
}
