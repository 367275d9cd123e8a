//! Records of `__consumer_offsets`: what groups have committed, and their generations.

use group::{CommittedOffset, Generation, Record, StoredMember};
use log::inspect::batches::StoredBatch;
use model::{PartitionIndex, TimestampMs, TopicName};
use record::RecordView;

use crate::cell::Cell;
use crate::dump::{deleted, marker, time};
use crate::output::{Column, column};

pub(super) const COLUMNS: [Column; 5] =
    [column("offset"), column("timestamp"), column("kind"), column("group"), column("change")];

/// The row of a record.
pub(super) fn rows(batch: &StoredBatch, view: &RecordView<'_>) -> Result<Vec<Vec<Cell>>, String> {
    let row = |kind: &str, group: Cell, change: Cell| {
        vec![vec![Cell::Int(view.offset.0), time(view.timestamp), Cell::text(kind), group, change]]
    };
    if let Some(kind) = marker(batch)? {
        return Ok(row(kind, Cell::None, Cell::None));
    }
    let key = view.key.ok_or("a record without a key")?;
    let record = Record::decode(key, view.value).map_err(|error| error.to_string())?;
    Ok(match record {
        Some(Record::Offset { group, topic, partition, value }) => {
            row("offset_commit", Cell::text(group), committed(&topic, partition, value.as_ref()))
        }
        Some(Record::Group { group, value }) => {
            row("group_metadata", Cell::text(group), value.as_ref().map_or_else(deleted, generation))
        }
        None => row("other", Cell::None, Cell::None),
    })
}

fn committed(topic: &TopicName, partition: PartitionIndex, value: Option<&CommittedOffset>) -> Cell {
    let mut fields = vec![("topic", Cell::text(topic)), ("partition", Cell::Int(partition.0.into()))];
    match value {
        None => fields.push(("deleted", Cell::Bool(true))),
        Some(value) => fields.extend([
            ("committed", Cell::Int(value.offset.0)),
            ("leader_epoch", Cell::Int(value.leader_epoch.0.into())),
            ("metadata", Cell::text(&value.metadata)),
            ("committed_at", time(TimestampMs(value.committed_at_ms))),
            ("expires_at", value.expires_at_ms.map_or(Cell::None, |at| time(TimestampMs(at)))),
            ("topic_id", Cell::maybe(value.topic_id)),
        ]),
    }
    Cell::Object(fields)
}

fn generation(generation: &Generation) -> Cell {
    Cell::Object(vec![
        ("generation", Cell::Int(generation.number.into())),
        ("protocol_type", Cell::text(&generation.protocol_type)),
        ("protocol", Cell::maybe(generation.protocol.as_ref())),
        ("leader", Cell::maybe(generation.leader.as_ref())),
        ("state_since", generation.state_since_ms.map_or(Cell::None, |since| time(TimestampMs(since)))),
        ("members", Cell::List(generation.members.iter().map(|(id, stored)| member(id, stored)).collect())),
    ])
}

fn member(id: &group::MemberId, member: &StoredMember) -> Cell {
    Cell::Object(vec![
        ("member_id", Cell::text(id)),
        ("instance_id", Cell::maybe(member.instance_id.as_ref())),
        ("client_id", Cell::text(&member.client_id)),
        ("host", Cell::text(&member.client_host)),
        ("session_timeout_ms", Cell::Int(member.session_timeout_ms.into())),
        ("rebalance_timeout_ms", Cell::Int(member.rebalance_timeout_ms.into())),
        ("assigned", assigned(&member.assignment)),
    ])
}

/// What consumers were given; whatever else it is, nobody here can read it.
fn assigned(bytes: &[u8]) -> Cell {
    let Ok(assignment) = wire::decode_assignment(bytes) else { return Cell::None };
    let topic = |topic: &wire::consumer_protocol::TopicPartition<'_>| {
        Cell::Object(vec![
            ("topic", Cell::text(&topic.topic)),
            (
                "partitions",
                Cell::List(topic.partitions.iter().map(|index| Cell::Int(i64::from(*index))).collect()),
            ),
        ])
    };
    Cell::List(assignment.assigned_partitions.iter().map(topic).collect())
}
