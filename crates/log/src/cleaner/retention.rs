//! What stays of one batch.
//!
//! - J1 A record stays when no newer one of its key is known, and it has a value or its tombstone's time is not over.
//! - J2 A tombstone's time begins when compaction first keeps it: the batch then gets a delete horizon (KIP-534). So does
//!   a marker of which nothing is left but itself.
//! - J3 Records without a key go: they are older than the topic's policy.
//! - J4 A batch that does not decode stays as it is: what cannot be read cannot be judged.

use model::limits::DECOMPRESSED_BATCH_BYTES_MAX;
use model::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use record::{BatchError, BatchHeader, Decoded, EndTransaction, RecordView};
use rustc_hash::FxHashMap;

use super::batch_reader::Batch;
use super::key_map::KeyMap;
use super::transactions::Transactions;
use crate::producers::{Entry, Producers};

/// What a producer wrote last, by which its state is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastBatch {
    /// A batch that ends here.
    Data(Offset),
    /// Only a marker, of this epoch.
    Marker(ProducerEpoch),
}

impl Producers {
    /// What each of them wrote last.
    pub fn last_batches(&self) -> Vec<(ProducerId, LastBatch)> {
        let last = |(id, entry): (ProducerId, &Entry)| match entry.batches.back() {
            Some(batch) => (id, LastBatch::Data(batch.last_offset)),
            None => (id, LastBatch::Marker(entry.epoch)),
        };
        self.sorted().into_iter().map(last).collect()
    }
}

/// What becomes of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It stays as it is.
    Keep,
    /// These bytes take its place.
    Replace(Vec<u8>),
    /// It goes.
    Drop,
}

/// What a verdict goes by.
pub(crate) struct Judge {
    pub(crate) now: TimestampMs,
    pub(crate) delete_retention_ms: i64,
    pub(crate) last_batches: FxHashMap<ProducerId, LastBatch>,
}

impl Judge {
    /// Decides on the next batch of a walk; `ends_group` says that nothing comes behind it in its new segment.
    pub(crate) fn judge(
        &self,
        batch: &Batch<'_>,
        keys: &KeyMap,
        transactions: &mut Transactions,
        ends_group: bool,
    ) -> Result<Verdict, BatchError> {
        let header = &batch.header;
        let decoded = record::decode(batch.bytes, DECOMPRESSED_BATCH_BYTES_MAX);
        let (mut is_over, mut ends_nothing) = (false, false);
        if header.is_control() {
            // A marker that cannot be read stays, as other batches do.
            let end = EndTransaction::read(batch.bytes).unwrap_or_default();
            ends_nothing = transactions.is_empty_at(header, end);
            is_over = ends_nothing && header.delete_horizon().is_some_and(|horizon| horizon <= self.now);
        } else if transactions.is_aborted(header) {
            is_over = true;
        }
        let Some(found) = decoded.ok().and_then(|decoded| self.sort(decoded, keys, is_over)) else {
            return Ok(Verdict::Keep);
        };
        let Sorted { decoded, is_kept, has_tombstone } = found;
        if !is_kept.contains(&true) {
            return match ends_group || self.is_last_of_producer(header) {
                true if header.record_count == 0 => Ok(Verdict::Keep),
                true => Ok(Verdict::Replace(record::emptied(header)?)),
                false => Ok(Verdict::Drop),
            };
        }
        let begins_to_wait = header.delete_horizon().is_none() && (has_tombstone || ends_nothing);
        if !begins_to_wait && !is_kept.contains(&false) {
            return Ok(Verdict::Keep);
        }
        let horizon = if begins_to_wait {
            Some(TimestampMs(self.now.0.saturating_add(self.delete_retention_ms)))
        } else {
            header.delete_horizon()
        };
        Ok(Verdict::Replace(decoded.rewrite(&is_kept, horizon)?))
    }

    /// Decides record by record; `None` where one cannot be read (J4).
    fn sort<'a>(&self, decoded: Decoded<'a>, keys: &KeyMap, is_over: bool) -> Option<Sorted<'a>> {
        let (mut is_kept, mut has_tombstone) = (Vec::new(), false);
        let header = decoded.header();
        for record in decoded.records() {
            let record = record.ok()?;
            let keep = !is_over && (header.is_control() || self.is_wanted(&record, header, keys));
            has_tombstone |= keep && !header.is_control() && record.value.is_none();
            is_kept.push(keep);
        }
        Some(Sorted { decoded, is_kept, has_tombstone })
    }

    fn is_wanted(&self, record: &RecordView<'_>, header: &BatchHeader, keys: &KeyMap) -> bool {
        let Some(key) = record.key else { return false };
        let is_newest = keys.get(key).is_none_or(|newest| newest <= record.offset);
        let waits = header.delete_horizon().is_none_or(|horizon| self.now < horizon);
        is_newest && (record.value.is_some() || waits)
    }

    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        match self.last_batches.get(&header.producer_id) {
            Some(LastBatch::Data(offset)) => header.last_offset() == *offset,
            Some(LastBatch::Marker(epoch)) => header.is_control() && header.producer_epoch == *epoch,
            None => false,
        }
    }
}

struct Sorted<'a> {
    decoded: Decoded<'a>,
    is_kept: Vec<bool>,
    has_tombstone: bool,
}
