//! Segments: batches, or the records in them.

use std::path::Path;

use bytes::Bytes;
use client::Record;
use log::PartitionName;
use log::inspect::batches::{Batches, StoredBatch};
use model::limits::DECOMPRESSED_BATCH_BYTES_MAX;
use model::{Offset, PartitionIndex, TopicName};
use record::{BatchHeader, Decoded, RecordView, TimestampType};

use crate::cell::Cell;
use crate::dump::beside::partition_of;
use crate::dump::{Dump, metadata, natural, offsets, time, transactions};
use crate::failure::Failure;
use crate::output::{Column, column, wide};
use crate::show::Show;

/// Batches read, and shown, at a time: as many as one table may hold.
const CHUNK_BATCHES: usize = 1000;

/// Bytes read at a time, about.
const CHUNK_BYTES: usize = 8 * 1024 * 1024;

/// Those of every table fit a terminal of 80 characters.
const BATCH_COLUMNS: [Column; 18] = [
    column("position"),
    column("base_offset"),
    column("last_offset"),
    column("records"),
    wide("size"),
    column("codec"),
    column("max_timestamp"),
    wide("timestamp_type"),
    wide("leader_epoch"),
    wide("producer_id"),
    wide("producer_epoch"),
    wide("base_sequence"),
    wide("transactional"),
    wide("control"),
    wide("base_timestamp"),
    wide("magic"),
    wide("crc"),
    wide("damage"),
];

/// What a record of a batch means, as rows; or why it means nothing.
type RowsOf = fn(&StoredBatch, &RecordView<'_>) -> Result<Vec<Vec<Cell>>, String>;

/// What the records of a segment are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Plain,
    /// Of groups: `__consumer_offsets`.
    Offsets,
    /// Of transactional ids: `__transaction_state`.
    Transactions,
    /// Of the cluster: `__cluster_metadata`.
    Metadata,
}

impl Dump {
    /// A segment that begins at `base`.
    pub(super) async fn segment(&mut self, path: &Path, base: Offset) -> Result<(), Failure> {
        let mut batches = self.blocking(path, move |fs, path| Batches::open(fs, path, base)).await?;
        let name = partition_of(path);
        let content = match &name {
            _ if self.format.is_some() => Content::Plain,
            Some(name) if name.topic.as_str() == "__consumer_offsets" => Content::Offsets,
            Some(name) if name.topic.as_str() == "__transaction_state" => Content::Transactions,
            Some(name) if name.to_folder() == quorum::METADATA_DIR => Content::Metadata,
            Some(_) | None => Content::Plain,
        };
        if self.format.is_none() {
            self.heading(path, "segment", batches.size());
        }
        loop {
            let read = self.blocking(path, move |_, _| {
                let mut chunk = Vec::new();
                let mut left = CHUNK_BYTES;
                while chunk.len() < CHUNK_BATCHES && 0 < left {
                    let Some(batch) = batches.read()? else { break };
                    left = left.saturating_sub(batch.bytes.len());
                    chunk.push(batch);
                }
                Ok((batches, chunk))
            });
            let chunk;
            (batches, chunk) = read.await?;
            if chunk.is_empty() || !self.has_reader {
                return Ok(());
            }
            match (self.records, content) {
                (false, _) => self.batches(path, &chunk),
                (true, Content::Plain) => self.plain(path, name.as_ref(), &chunk),
                (true, Content::Offsets) => self.decoded(path, &chunk, &offsets::COLUMNS, offsets::rows),
                (true, Content::Transactions) => {
                    self.decoded(path, &chunk, &transactions::COLUMNS, transactions::rows);
                }
                (true, Content::Metadata) => self.decoded(path, &chunk, &metadata::COLUMNS, metadata::rows),
            }
            self.flush().await?;
        }
    }

    fn batches(&mut self, path: &Path, chunk: &[StoredBatch]) {
        self.rows(path, &BATCH_COLUMNS, chunk.iter().map(batch_row).collect());
        for batch in chunk {
            let Some(flaw) = &batch.flaw else { continue };
            // In JSON it stands in the batch's own line.
            if self.output.is_json() {
                self.flaws += 1;
            } else {
                self.flaw(path, batch.position, flaw);
            }
        }
    }

    /// Records as `consume` shows them.
    fn plain(&mut self, path: &Path, name: Option<&PartitionName>, chunk: &[StoredBatch]) {
        let show = Show::new(self.format.as_ref(), Some(self.output.format()));
        for batch in chunk {
            let Some(decoded) = self.opened(path, batch) else { continue };
            for record in decoded.records() {
                match record {
                    Ok(view) => show.write(&owned(name, decoded.header(), &view), self.output.bytes()),
                    Err(error) => self.flaw(path, batch.position, &error),
                }
            }
        }
    }

    /// Records that mean something to a broker.
    fn decoded(&mut self, path: &Path, chunk: &[StoredBatch], columns: &[Column], rows_of: RowsOf) {
        let mut rows = Vec::new();
        let mut flaws = Vec::new();
        for batch in chunk {
            let Some(decoded) = self.opened(path, batch) else { continue };
            for record in decoded.records() {
                let read = record.map_err(|error| error.to_string()).and_then(|view| rows_of(batch, &view));
                match read {
                    Ok(of_record) => rows.extend(of_record),
                    Err(error) => flaws.push(error),
                }
            }
            flaws.drain(..).for_each(|error| self.flaw(path, batch.position, &error));
        }
        self.rows(path, columns, rows);
    }

    /// The batch's records, if it is sound; what is wrong is told.
    fn opened<'a>(&mut self, path: &Path, batch: &'a StoredBatch) -> Option<Decoded<'a>> {
        if let Some(flaw) = &batch.flaw {
            self.flaw(path, batch.position, flaw);
            return None;
        }
        match batch.decode(DECOMPRESSED_BATCH_BYTES_MAX) {
            Ok(decoded) => Some(decoded),
            Err(error) => {
                self.flaw(path, batch.position, &error);
                None
            }
        }
    }
}

fn batch_row(batch: &StoredBatch) -> Vec<Cell> {
    let flaw = batch.flaw.as_ref();
    let damage = flaw.map_or(Cell::None, |flaw| Cell::Toned(crate::cell::Tone::Bad, flaw.to_string()));
    let mut row = vec![natural(batch.position)];
    match &batch.header {
        Some(header) => row.extend(header_cells(header)),
        None => row.extend(std::iter::repeat_n(Cell::None, BATCH_COLUMNS.len() - 2)),
    }
    row.push(damage);
    row
}

fn header_cells(header: &BatchHeader) -> Vec<Cell> {
    let compression = header.compression().map_or_else(Cell::text, |codec| Cell::text(codec.name()));
    let is_append_time = header.timestamp_type() == TimestampType::LogAppendTime;
    vec![
        Cell::Int(header.base_offset.0),
        Cell::Int(header.last_offset().0),
        Cell::Int(header.record_count.into()),
        Cell::count(header.size_in_bytes()),
        compression,
        time(header.max_timestamp),
        Cell::text(if is_append_time { "LogAppendTime" } else { "CreateTime" }),
        Cell::Int(header.partition_leader_epoch.0.into()),
        Cell::Int(header.producer_id.0),
        Cell::Int(header.producer_epoch.0.into()),
        Cell::Int(header.base_sequence.into()),
        Cell::Bool(header.is_transactional()),
        Cell::Bool(header.is_control()),
        time(header.base_timestamp),
        Cell::Int(header.magic.into()),
        Cell::Int(header.crc.into()),
    ]
}

/// A record as the client has it, so that one place shows records. A file outside its folder does not say its topic.
fn owned(name: Option<&PartitionName>, header: &BatchHeader, view: &RecordView<'_>) -> Record {
    let unknown = || TopicName::parse("unknown").expect("a legal name");
    Record {
        topic: name.map_or_else(unknown, |name| name.topic.clone()),
        partition: name.map_or(PartitionIndex(-1), |name| name.partition),
        offset: view.offset,
        timestamp: view.timestamp,
        timestamp_type: header.timestamp_type(),
        leader_epoch: header.partition_leader_epoch,
        key: view.key.map(Bytes::copy_from_slice),
        value: view.value.map(Bytes::copy_from_slice),
        headers: view
            .headers()
            .map(|header| (Bytes::copy_from_slice(header.key), header.value.map(Bytes::copy_from_slice)))
            .collect(),
    }
}
