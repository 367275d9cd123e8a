//! `ottla group describe`: how far a group came, how far behind it is, and who is in it.

use std::collections::{BTreeMap, BTreeSet};

use client::{Admin, Client, GroupMember, OffsetQuery, TopicPartition};
use model::{Offset, TopicName};

use crate::cell::Cell;
use crate::failure::Failure;
use crate::group::{counted_members, existing};
use crate::output::{Column, Output, column, object, wide};

const PARTITION_COLUMNS: [Column; 9] = [
    column("topic"),
    column("partition"),
    column("committed"),
    column("end"),
    column("lag"),
    column("member"),
    wide("client_id"),
    wide("host"),
    wide("instance_id"),
];

const MEMBER_COLUMNS: [Column; 6] = [
    column("member"),
    column("client_id"),
    column("host"),
    column("partitions"),
    wide("instance_id"),
    wide("assigned"),
];

/// Runs the command for one group.
pub(super) async fn run(client: &Client, group: &str, output: &mut Output) -> Result<(), Failure> {
    let described = existing(client, group).await?;
    let committed = Admin::new(client).committed(group).await?;
    let assigned: BTreeMap<&TopicPartition, &GroupMember> = described
        .members
        .iter()
        .flat_map(|member| member.assigned.iter().map(move |place| (place, member)))
        .collect();
    let places: BTreeSet<TopicPartition> =
        committed.keys().chain(assigned.keys().copied()).cloned().collect();
    let ends = ends(client, &places).await?;
    let mut lag_in_all = 0;
    let rows: Vec<Vec<Cell>> = (places.iter())
        .map(|place| {
            let (offset, end) = (committed.get(place), ends.get(place));
            let lag = offset.zip(end).map(|(offset, end)| (end.0 - offset.0).max(0));
            lag_in_all += lag.unwrap_or(0);
            let member = assigned.get(place);
            vec![
                Cell::text(&place.topic),
                Cell::Int(place.partition.0.into()),
                offset.map_or(Cell::None, |offset| Cell::Int(offset.0)),
                end.map_or(Cell::None, |end| Cell::Int(end.0)),
                lag.map_or(Cell::None, Cell::Int),
                Cell::maybe(member.map(|member| &member.member_id)),
                Cell::maybe(member.map(|member| &member.client_id)),
                Cell::maybe(member.map(|member| &member.host)),
                Cell::maybe(member.and_then(|member| member.instance_id.as_ref())),
            ]
        })
        .collect();
    let members: Vec<Vec<Cell>> = described.members.iter().map(member_row).collect();
    if output.is_json() {
        let list = |columns: &[Column], rows: Vec<Vec<Cell>>| {
            Cell::List(rows.into_iter().map(|row| object(columns, row)).collect())
        };
        output.json(&Cell::Object(vec![
            ("group", Cell::text(group)),
            ("state", Cell::text(&described.state)),
            ("protocol", Cell::text(&described.protocol_type)),
            ("assignor", Cell::text(&described.assignor)),
            ("lag", Cell::Int(lag_in_all)),
            ("members", list(&MEMBER_COLUMNS, members)),
            ("partitions", list(&PARTITION_COLUMNS, rows)),
        ]));
        return Ok(());
    }
    let assignor = if described.assignor.is_empty() { "no assignor" } else { &described.assignor };
    output.heading(&format!(
        "Group {group}  ({}, {}, {assignor}, lag {})",
        described.state,
        counted_members(described.members.len()),
        crate::number::grouped(lag_in_all.unsigned_abs()),
    ));
    if rows.is_empty() {
        output.line("It has committed nothing, and nobody was given anything.");
    } else {
        output.table(&PARTITION_COLUMNS, &rows);
    }
    if !members.is_empty() {
        output.heading("Members");
        output.table(&MEMBER_COLUMNS, &members);
    }
    Ok(())
}

fn member_row(member: &GroupMember) -> Vec<Cell> {
    vec![
        Cell::text(&member.member_id),
        Cell::text(&member.client_id),
        Cell::text(&member.host),
        Cell::count(member.assigned.len()),
        Cell::maybe(member.instance_id.as_ref()),
        Cell::List(member.assigned.iter().map(Cell::text).collect()),
    ]
}

/// The ends of partitions; those that are gone with their topic have none.
async fn ends(
    client: &Client,
    places: &BTreeSet<TopicPartition>,
) -> Result<BTreeMap<TopicPartition, Offset>, Failure> {
    let topics: BTreeSet<TopicName> = places.iter().map(|place| place.topic.clone()).collect();
    let topics: Vec<TopicName> = topics.into_iter().collect();
    let snapshot = client.refresh(Some(&topics)).await?;
    let there = places.iter().filter(|place| snapshot.leader(place).is_some());
    let queries = there.map(|place| (place.clone(), OffsetQuery::Latest)).collect();
    let offsets = client.list_offsets(&queries).await?;
    Ok(offsets.into_iter().filter_map(|(place, offset)| Some((place, offset?))).collect())
}
