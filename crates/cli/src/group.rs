//! `ottla group …`

use std::collections::{BTreeMap, BTreeSet};

use client::{Admin, Client, DescribedGroup, Error, ListedGroup, OffsetQuery, Start, TopicPartition};
use model::{ErrorCode, Offset, TopicName};
use rt::Rt;

use crate::args::{GroupArgs, GroupCommand};
use crate::cell::{Cell, Tone};
use crate::failure::{Failure, about_topic, listed};
use crate::output::{Column, Output, column, wide};

/// Runs one of the commands.
pub(crate) async fn run(rt: &Rt, args: GroupArgs) -> Result<(), Failure> {
    let client = crate::connect(rt, &args.connect).await?;
    let mut output = Output::new(args.output.output);
    match args.command {
        GroupCommand::List => list(&client, &mut output).await?,
        GroupCommand::Describe { groups } => {
            for group in groups {
                describe(&client, &group, &mut output).await?;
            }
        }
        GroupCommand::Reset { group, to, topic, dry_run } => {
            let to = to.at(rt.wall_clock_ms());
            reset(&client, &group, to, &topic, dry_run, &mut output).await?;
        }
        GroupCommand::Delete { groups } => {
            for group in groups {
                delete(&client, &group, &mut output).await?;
            }
        }
    }
    output.finish(rt).await
}

fn state(state: &str) -> Cell {
    let tone = match state {
        "Stable" => Tone::Good,
        "Dead" => Tone::Bad,
        _ => Tone::Warning,
    };
    Cell::Toned(tone, state.to_owned())
}

async fn list(client: &Client, output: &mut Output) -> Result<(), Failure> {
    let groups = Admin::new(client).groups().await?;
    if groups.is_empty() && !output.is_json() {
        output.line("There are no groups. `ottla consume TOPIC -g GROUP` makes one.");
        return Ok(());
    }
    let row = |group: ListedGroup| {
        vec![
            Cell::text(&group.group),
            state(&group.state),
            Cell::maybe(Some(&group.kind).filter(|kind| !kind.is_empty())),
            Cell::maybe(Some(&group.protocol_type).filter(|kind| !kind.is_empty())),
            Cell::Int(group.coordinator.0.into()),
        ]
    };
    let columns = [column("group"), column("state"), column("type"), wide("protocol"), wide("coordinator")];
    output.rows(&columns, groups.into_iter().map(row).collect());
    Ok(())
}

/// The group, if there is one: brokers answer for any name, with a group that is dead.
async fn existing(client: &Client, group: &str) -> Result<DescribedGroup, Failure> {
    let admin = Admin::new(client);
    match admin.describe_group(group).await {
        Ok(described) if described.state != "Dead" => Ok(described),
        Err(error) if error.code() != Some(ErrorCode::GroupIdNotFound) => Err(error.into()),
        Ok(_) | Err(_) => Err(unknown_group(client, group).await),
    }
}

async fn unknown_group(client: &Client, group: &str) -> Failure {
    let failure = Failure::refused(format!("the cluster has no group '{group}'"));
    // Without the list there is no suggestion, which is no second failure.
    let groups = Admin::new(client).groups().await.unwrap_or_default();
    match crate::suggest::nearest(group, groups.iter().map(|listed| listed.group.as_str())).as_slice() {
        [] => failure.next("`ottla group list` shows those there are."),
        near => failure.next(format!("Did you mean {}?", listed(near))),
    }
}

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

async fn describe(client: &Client, group: &str, output: &mut Output) -> Result<(), Failure> {
    let described = existing(client, group).await?;
    let committed = Admin::new(client).committed(group).await?;
    let assigned: BTreeMap<&TopicPartition, &client::GroupMember> = described
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
    if output.is_json() {
        let object = |row: Vec<Cell>| {
            Cell::Object(PARTITION_COLUMNS.iter().map(|column| column.name).zip(row).collect())
        };
        output.json(&Cell::Object(vec![
            ("group", Cell::text(group)),
            ("state", Cell::text(&described.state)),
            ("protocol", Cell::text(&described.protocol_type)),
            ("assignor", Cell::text(&described.assignor)),
            ("members", Cell::count(described.members.len())),
            ("lag", Cell::Int(lag_in_all)),
            ("partitions", Cell::List(rows.into_iter().map(object).collect())),
        ]));
        return Ok(());
    }
    output.heading(&format!(
        "Group {group}  ({}, {}, lag {})",
        described.state,
        counted_members(described.members.len()),
        crate::number::grouped(lag_in_all.unsigned_abs()),
    ));
    output.table(&PARTITION_COLUMNS, &rows);
    Ok(())
}

fn counted_members(count: usize) -> String {
    if count == 1 { "1 member".to_owned() } else { format!("{count} members") }
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

async fn reset(
    client: &Client,
    group: &str,
    to: Start,
    topics: &[TopicName],
    dry_run: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    let admin = Admin::new(client);
    let described = admin.describe_group(group).await;
    let members = match &described {
        Ok(described) => described.members.len(),
        Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => 0,
        Err(error) => return Err(error.clone().into()),
    };
    if 0 < members {
        return Err(Failure::refused(format!(
            "group '{group}' has {}, so only they may say how far it came",
            counted_members(members)
        ))
        .next(format!("Stop them first: `ottla group describe {group}` shows them.")));
    }
    let committed = admin.committed(group).await?;
    let places = if topics.is_empty() {
        if committed.is_empty() {
            return Err(Failure::refused(format!("group '{group}' has committed nothing"))
                .next("Name the topics to begin with: --topic TOPIC."));
        }
        committed.keys().cloned().collect()
    } else {
        partitions_of(client, topics).await?
    };
    let offsets = bounded(client, &places, to).await?;
    if !dry_run {
        admin.commit(group, &offsets).await?;
    }
    let row = |(place, offset): (&TopicPartition, &Offset)| {
        vec![
            Cell::text(&place.topic),
            Cell::Int(place.partition.0.into()),
            committed.get(place).map_or(Cell::None, |before| Cell::Int(before.0)),
            Cell::Int(offset.0),
            Cell::Bool(!dry_run),
        ]
    };
    let columns = [column("topic"), column("partition"), column("before"), column("after"), column("done")];
    output.rows(&columns, offsets.iter().map(row).collect());
    Ok(())
}

async fn partitions_of(client: &Client, topics: &[TopicName]) -> Result<BTreeSet<TopicPartition>, Failure> {
    let mut places = BTreeSet::new();
    for name in topics {
        match client.topic(name).await {
            Ok(topic) => places.extend(
                topic
                    .partitions
                    .keys()
                    .map(|index| TopicPartition { topic: name.clone(), partition: *index }),
            ),
            Err(error) => return Err(about_topic(client, name, error).await),
        }
    }
    Ok(places)
}

/// Where `to` is in each partition; an offset beyond either end becomes that end.
async fn bounded(
    client: &Client,
    places: &BTreeSet<TopicPartition>,
    to: Start,
) -> Result<BTreeMap<TopicPartition, Offset>, Failure> {
    let at = |start: Start| places.iter().map(move |place| (place.clone(), start)).collect();
    let mut offsets = client.resolve(&at(to)).await?;
    if let Start::At(_) = to {
        let first = client.resolve(&at(Start::Earliest)).await?;
        let end = client.resolve(&at(Start::Latest)).await?;
        for (place, offset) in &mut offsets {
            let of = |known: &BTreeMap<TopicPartition, Offset>| known.get(place).copied().unwrap_or(*offset);
            *offset = (*offset).max(of(&first)).min(of(&end));
        }
    }
    Ok(offsets)
}

async fn delete(client: &Client, group: &str, output: &mut Output) -> Result<(), Failure> {
    match Admin::new(client).delete_group(group).await {
        Ok(()) if output.is_json() => {
            output.json(&Cell::Object(vec![("group", Cell::text(group)), ("result", Cell::text("deleted"))]));
            Ok(())
        }
        Ok(()) => {
            output.line(&format!("Deleted group '{group}'."));
            Ok(())
        }
        Err(Error::Refused { code: ErrorCode::GroupIdNotFound, .. }) => {
            Err(unknown_group(client, group).await)
        }
        Err(error) => Err(error.into()),
    }
}
