//! Records of `__transaction_state`: what the log says of each transactional id.

use log::inspect::batches::StoredBatch;
use model::{PartitionIndex, TimestampMs, TopicName, TransactionVersion};
use record::RecordView;
use txn::{Record, Stored};

use crate::cell::Cell;
use crate::dump::{deleted, time};
use crate::output::{Column, column};

pub(super) const COLUMNS: [Column; 5] =
    [column("offset"), column("timestamp"), column("kind"), column("transactional_id"), column("change")];

/// The row of a record.
pub(super) fn rows(_: &StoredBatch, view: &RecordView<'_>) -> Result<Vec<Vec<Cell>>, String> {
    let key = view.key.ok_or("a record without a key")?;
    let record = Record::decode(key, view.value).map_err(|error| error.to_string())?;
    let (kind, id, change) = match record {
        Some(Record { transactional_id, value }) => {
            let change = value.as_ref().map_or_else(deleted, transaction);
            ("transaction_metadata", Cell::text(transactional_id), change)
        }
        None => ("other", Cell::None, Cell::None),
    };
    Ok(vec![vec![Cell::Int(view.offset.0), time(view.timestamp), Cell::text(kind), id, change]])
}

fn transaction(stored: &Stored) -> Cell {
    let version = match stored.version {
        TransactionVersion::Tv1 => 1,
        TransactionVersion::Tv2 => 2,
    };
    let partitions = stored
        .partitions
        .iter()
        .flat_map(|(topic, partitions)| partitions.iter().map(move |partition| touched(topic, *partition)));
    Cell::Object(vec![
        ("producer_id", Cell::Int(stored.producer_id.0)),
        ("producer_epoch", Cell::Int(stored.producer_epoch.0.into())),
        ("state", Cell::text(stored.state.name())),
        ("partitions", Cell::List(partitions.collect())),
        ("timeout_ms", Cell::Int(stored.timeout_ms.into())),
        ("started_at", stored.started_at_ms.map_or(Cell::None, |at| time(TimestampMs(at)))),
        ("updated_at", time(TimestampMs(stored.updated_at_ms))),
        ("previous_producer_id", Cell::Int(stored.previous_producer_id.0)),
        ("next_producer_id", Cell::Int(stored.next_producer_id.0)),
        ("transaction_version", Cell::Int(version)),
    ])
}

fn touched(topic: &TopicName, partition: PartitionIndex) -> Cell {
    Cell::Object(vec![("topic", Cell::text(topic)), ("partition", Cell::Int(partition.0.into()))])
}
