//! The entries of every kind of index, and whether they lead where they should.

use std::io;
use std::path::Path;

use model::{Offset, TimestampMs};
use record::{BATCH_HEADER_BYTES, BatchHeader};
use rt::{Fs, Open};

use crate::aborted_index::AbortedEntry;
use crate::batch_scan::{BatchScan, Depth, ScanError};
use crate::index_file::Entry;
use crate::inspect::{Flaw, Found};
use crate::offset_index::OffsetEntry;
use crate::time_index::TimeEntry;
use crate::transactions::AbortedTransaction;

/// An entry of an offset index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetIndexEntry {
    /// The last offset of the batch.
    pub offset: Offset,
    /// Where in the log it begins.
    pub position: u64,
}

/// An entry of a time index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeIndexEntry {
    /// The largest timestamp so far.
    pub timestamp: TimestampMs,
    /// An offset of the batch that has it.
    pub offset: Offset,
}

/// The entries of an offset index whose segment begins at `base`.
pub fn offset_index(bytes: &[u8], base: Offset) -> Found<OffsetIndexEntry> {
    entries(bytes, |entry: OffsetEntry| OffsetIndexEntry {
        offset: entry.last_offset(base),
        position: entry.position(),
    })
}

/// The entries of a time index whose segment begins at `base`.
pub fn time_index(bytes: &[u8], base: Offset) -> Found<TimeIndexEntry> {
    entries(bytes, |entry: TimeEntry| TimeIndexEntry {
        timestamp: entry.timestamp(),
        offset: entry.last_offset(base),
    })
}

/// The aborted transactions whose markers are in a segment.
pub fn aborted_index(bytes: &[u8]) -> Found<AbortedTransaction> {
    entries(bytes, |entry: AbortedEntry| entry.transaction)
}

fn entries<E: Entry, T>(bytes: &[u8], shown: impl Fn(E) -> T) -> Found<T> {
    let mut found = Found::new();
    // Kafka sets aside room for entries to come: zeros, of which no entry but the first could consist.
    let used = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count();
    let used = used.next_multiple_of(E::WIDTH).min(bytes.len());
    found.unused_bytes = crate::batch_scan::bytes(bytes.len() - used);
    let mut last: Option<E> = None;
    for (index, chunk) in bytes[..used].chunks(E::WIDTH).enumerate() {
        let at = crate::batch_scan::bytes(index * E::WIDTH);
        if chunk.len() < E::WIDTH {
            found.flaws.push((at, Flaw::PartialEntry { have: chunk.len(), need: E::WIDTH }));
            break;
        }
        let entry = E::decode(chunk);
        if !entry.is_sound() {
            found.flaws.push((at, Flaw::ImpossibleEntry));
        } else if last.is_some_and(|last| !last.precedes(entry)) {
            found.flaws.push((at, Flaw::EntryOrder));
        } else {
            last = Some(entry);
        }
        found.items.push((at, shown(entry)));
    }
    found
}

/// Adds a flaw for each entry that does not lead to its batch in the log at `log`. Blocks.
pub fn check_offset_index(fs: &Fs, log: &Path, found: &mut Found<OffsetIndexEntry>) -> io::Result<()> {
    let file = fs.open(log, Open::Read)?;
    for &(at, OffsetIndexEntry { offset, position }) in &found.items {
        let mut head = [0; BATCH_HEADER_BYTES];
        let read = file.read_at(&mut head, position)?;
        let leads = BatchHeader::parse(&head[..read]).is_ok_and(|header| header.last_offset() == offset);
        if !leads {
            found.flaws.push((at, Flaw::NoBatchThere { offset, position }));
        }
    }
    Ok(())
}

/// Adds a flaw for each entry whose timestamp is not its batch's in the log at `log`. Blocks.
///
/// What lies behind the first damage of the log is not judged.
pub fn check_time_index(fs: &Fs, log: &Path, found: &mut Found<TimeIndexEntry>) -> io::Result<()> {
    let file = fs.open(log, Open::Read)?;
    let mut scan = BatchScan::new(&file, 0, file.file_len()?, Depth::Headers);
    let mut batches: Vec<(Offset, TimestampMs)> = Vec::new();
    let whole = loop {
        match scan.next() {
            Ok(Some(batch)) => batches.push((batch.header.last_offset(), batch.header.max_timestamp)),
            Ok(None) => break true,
            Err(ScanError::Bad { .. }) => break false,
            Err(ScanError::Io { error, .. }) => return Err(error),
        }
    };
    for &(at, TimeIndexEntry { timestamp, offset }) in &found.items {
        let batch = batches.get(batches.partition_point(|&(last, _)| last < offset));
        let there = batch.map(|&(_, timestamp)| timestamp);
        if there != Some(timestamp) && (whole || there.is_some()) {
            found.flaws.push((at, Flaw::OtherTimestamp { offset, found: there }));
        }
    }
    Ok(())
}
