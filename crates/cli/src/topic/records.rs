//! `ottla topic delete-records`: the oldest records of partitions go.

use std::collections::{BTreeMap, BTreeSet};

use client::{Admin, Client, Start, TopicPartition};
use model::{Offset, PartitionIndex, TopicName};

use crate::cell::Cell;
use crate::failure::Failure;
use crate::output::{Output, column};
use crate::topic::done;

/// Runs the command.
pub(super) async fn delete(
    client: &Client,
    name: &TopicName,
    before: Start,
    partitions: &[i32],
    dry_run: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    let topic = done(client, name, client.topic(name).await).await?;
    let wanted: BTreeSet<PartitionIndex> = if partitions.is_empty() {
        topic.partitions.keys().copied().collect()
    } else {
        partitions.iter().copied().map(PartitionIndex).collect()
    };
    let places: Vec<TopicPartition> =
        wanted.iter().map(|index| TopicPartition::new(name.clone(), index.0)).collect();
    let all = |start: Start| places.iter().map(|place| (place.clone(), start)).collect();
    let starts = done(client, name, client.resolve(&all(Start::Earliest)).await).await?;
    let ends = done(client, name, client.resolve(&all(Start::Latest)).await).await?;
    let asked = done(client, name, client.resolve(&all(before)).await).await?;
    check(&asked, &ends)?;
    // What is gone already cannot be deleted again.
    let goals: BTreeMap<TopicPartition, Offset> =
        asked.into_iter().map(|(place, goal)| (place.clone(), goal.max(starts[&place]))).collect();
    let after = if dry_run {
        goals
    } else {
        done(client, name, Admin::new(client).delete_records(&goals).await).await?
    };
    let row = |(place, after): (&TopicPartition, &Offset)| {
        let start = starts[place];
        vec![
            Cell::text(&place.topic),
            Cell::Int(place.partition.0.into()),
            Cell::Int(start.0),
            Cell::Int(after.0),
            Cell::Int(i64::try_from(after.since(start)).unwrap_or(i64::MAX)),
            Cell::Int(ends[place].0),
            Cell::Bool(!dry_run),
        ]
    };
    let columns = [
        column("topic"),
        column("partition"),
        column("start_before"),
        column("start_after"),
        column("deleted"),
        column("end"),
        column("done"),
    ];
    output.rows(&columns, after.iter().map(row).collect());
    Ok(())
}

/// Nothing beyond an end can be deleted: somebody who asks for it has another partition in mind.
fn check(
    goals: &BTreeMap<TopicPartition, Offset>,
    ends: &BTreeMap<TopicPartition, Offset>,
) -> Result<(), Failure> {
    match goals.iter().find(|(place, goal)| ends[*place] < **goal) {
        None => Ok(()),
        Some((place, goal)) => Err(Failure::refused(format!(
            "partition {} of topic '{}' ends at {}, before offset {goal}",
            place.partition, place.topic, ends[place]
        ))
        .next("--before end deletes all there is; --partition names one.")),
    }
}
