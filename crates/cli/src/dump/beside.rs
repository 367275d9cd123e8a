//! The files beside a segment, and those of lines.

use std::io;
use std::path::Path;

use log::inspect::{FileKind, Found, indexes, producer_snapshot, texts};
use rt::Fs;

use crate::cell::Cell;
use crate::dump::{Dump, natural, time};
use crate::failure::Failure;
use crate::output::{Column, column, wide};

/// Kafka's words for the numbers of an entry.
const SNAPSHOT_COLUMNS: [Column; 9] = [
    wide("at"),
    column("producer_id"),
    column("producer_epoch"),
    column("last_sequence"),
    column("last_offset"),
    column("offset_delta"),
    column("timestamp"),
    wide("coordinator_epoch"),
    wide("transaction_first_offset"),
];

const ABORTED_COLUMNS: [Column; 5] = [
    wide("at"),
    column("producer_id"),
    column("first_offset"),
    column("last_offset"),
    column("last_stable_offset"),
];

impl Dump {
    /// Any file but a segment.
    pub(super) async fn beside(&mut self, path: &Path, kind: FileKind) -> Result<(), Failure> {
        let bytes = self.blocking(path, |fs, path| fs.read(path)).await?;
        match kind {
            FileKind::Log(_) => {}
            FileKind::OffsetIndex(base) => {
                let found = indexes::offset_index(&bytes, base);
                let found = self.checked(path, found, indexes::check_offset_index).await?;
                self.found(
                    path,
                    "offset index",
                    &bytes,
                    &[wide("at"), column("offset"), column("position")],
                    &found,
                    |entry| vec![Cell::Int(entry.offset.0), natural(entry.position)],
                );
            }
            FileKind::TimeIndex(base) => {
                let found = indexes::time_index(&bytes, base);
                let found = self.checked(path, found, indexes::check_time_index).await?;
                self.found(
                    path,
                    "time index",
                    &bytes,
                    &[wide("at"), column("timestamp"), column("offset")],
                    &found,
                    |entry| vec![time(entry.timestamp), Cell::Int(entry.offset.0)],
                );
            }
            FileKind::AbortedIndex(_) => {
                let found = indexes::aborted_index(&bytes);
                self.found(path, "aborted transactions", &bytes, &ABORTED_COLUMNS, &found, |aborted| {
                    vec![
                        Cell::Int(aborted.producer.0),
                        Cell::Int(aborted.first_offset.0),
                        Cell::Int(aborted.last_offset.0),
                        Cell::Int(aborted.last_stable_offset.0),
                    ]
                });
            }
            FileKind::ProducerSnapshot(_) => {
                let found = producer_snapshot(&bytes);
                self.found(path, "snapshot of producers", &bytes, &SNAPSHOT_COLUMNS, &found, |entry| {
                    vec![
                        Cell::Int(entry.producer_id.0),
                        Cell::Int(entry.epoch.0.into()),
                        Cell::Int(entry.last_sequence.into()),
                        Cell::Int(entry.last_offset.0),
                        Cell::Int(entry.offset_delta.into()),
                        time(entry.timestamp),
                        Cell::Int(entry.coordinator_epoch.0.into()),
                        Cell::Int(entry.transaction_first_offset.0),
                    ]
                });
            }
            FileKind::LeaderEpochs => {
                let found = texts::leader_epochs(&bytes);
                let columns = [wide("at"), column("leader_epoch"), column("start_offset")];
                self.found(path, "leader epochs", &bytes, &columns, &found, |(epoch, start)| {
                    vec![Cell::Int(epoch.0.into()), Cell::Int(start.0)]
                });
            }
            FileKind::Offsets => {
                let found = texts::offsets(&bytes);
                let columns = [wide("at"), column("topic"), column("partition"), column("offset")];
                self.found(path, "offsets of partitions", &bytes, &columns, &found, |(name, offset)| {
                    vec![Cell::text(&name.topic), Cell::Int(name.partition.0.into()), Cell::Int(offset.0)]
                });
            }
            FileKind::MetaProperties => {
                let found = texts::meta_properties(&bytes);
                let columns = [wide("at"), column("cluster_id"), column("node_id"), column("directory_id")];
                self.found(path, "owner of a data folder", &bytes, &columns, &found, |meta| {
                    vec![
                        Cell::text(meta.cluster_id),
                        Cell::Int(meta.node_id.0.into()),
                        Cell::text(meta.directory_id),
                    ]
                });
            }
            FileKind::TopicId => {
                let found = texts::topic_id(&bytes);
                let columns = [wide("at"), column("topic_id")];
                self.found(path, "topic of a partition", &bytes, &columns, &found, |id| vec![Cell::text(id)]);
            }
        }
        Ok(())
    }

    /// Compared with the log beside it, if there is one.
    async fn checked<T: Send + 'static>(
        &self,
        path: &Path,
        mut found: Found<T>,
        check: fn(&Fs, &Path, &mut Found<T>) -> io::Result<()>,
    ) -> Result<Found<T>, Failure> {
        let work = move |fs: &Fs, path: &Path| {
            let log = path.with_extension("log");
            if fs.exists(&log)? {
                check(fs, &log, &mut found)?;
            }
            Ok(found)
        };
        self.blocking(path, work).await
    }

    /// Shows what was found; the first column is where each item begins.
    fn found<T>(
        &mut self,
        path: &Path,
        what: &str,
        bytes: &[u8],
        columns: &[Column],
        found: &Found<T>,
        cells: impl Fn(&T) -> Vec<Cell>,
    ) {
        self.heading(path, what, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let row = |(at, item): &(u64, T)| [natural(*at)].into_iter().chain(cells(item)).collect();
        self.rows(path, columns, found.items.iter().map(row).collect());
        self.flaws(path, &found.flaws);
        if 0 < found.unused_bytes && !self.output.is_json() {
            self.output.line(&format!("{} bytes at the end are set aside.", found.unused_bytes));
        }
    }
}

/// The topic and the partition that a file's folder names.
pub(super) fn partition_of(path: &Path) -> Option<log::PartitionName> {
    let folder = path.parent()?;
    let name = match folder.file_name() {
        Some(name) => name.to_owned(),
        // A relative path may not name the folder it lies in.
        None => std::env::current_dir().ok()?.join(folder).file_name()?.to_owned(),
    };
    log::PartitionName::from_folder(name.to_str()?)
}
