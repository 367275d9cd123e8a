//! `ottla group reset`: how far a group came, as somebody else says.
//!
//! - G1 What is committed lies within what a partition has: an offset beyond either end becomes that end.

use std::collections::{BTreeMap, BTreeSet};

use client::{Admin, Client, Start, TopicPartition};
use model::{ErrorCode, Offset, PartitionIndex, TopicName};

use crate::cell::Cell;
use crate::failure::{Failure, about_topic};
use crate::group::refuse_members;
use crate::output::{Output, column};
use crate::span::Begin;

/// Where a group shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// At a place of every partition.
    Place(Begin),
    /// Where it is; at the end, where it never was.
    Current,
    /// So many records on from where it is.
    Shift(i64),
}

/// A goal when the clock is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Place(Start),
    Current,
    Shift(i64),
}

impl Goal {
    /// What it means at `now_ms`.
    pub(super) fn at(self, now_ms: i64) -> Target {
        match self {
            Goal::Place(begin) => Target::Place(begin.at(now_ms)),
            Goal::Current => Target::Current,
            Goal::Shift(records) => Target::Shift(records),
        }
    }
}

/// A topic, or some of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    topic: TopicName,
    /// None is all.
    partitions: Vec<PartitionIndex>,
}

/// A place, or `current`.
pub(crate) fn parse_goal(text: &str) -> Result<Goal, String> {
    if text == "current" { Ok(Goal::Current) } else { crate::span::parse_begin(text).map(Goal::Place) }
}

/// `TOPIC` or `TOPIC:0,1`: no topic has a colon in its name.
pub(crate) fn parse_scope(text: &str) -> Result<Scope, String> {
    let (topic, partitions) = match text.split_once(':') {
        Some((topic, partitions)) => (topic, Some(partitions)),
        None => (text, None),
    };
    let topic = TopicName::parse(topic).map_err(|error| error.to_string())?;
    let partition = |text: &str| match text.parse() {
        Ok(index) if 0 <= index => Ok(PartitionIndex(index)),
        Ok(_) | Err(_) => Err(format!("'{text}' is no partition: TOPIC:0,1,… expected")),
    };
    let partitions = partitions.map(|list| list.split(',').map(partition).collect()).transpose()?;
    Ok(Scope { topic, partitions: partitions.unwrap_or_default() })
}

/// Runs the command.
pub(super) async fn run(
    client: &Client,
    group: &str,
    target: Target,
    scopes: &[Scope],
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
    refuse_members(group, members)?;
    let committed = admin.committed(group).await?;
    let places = if scopes.is_empty() {
        if committed.is_empty() {
            return Err(Failure::refused(format!("group '{group}' has committed nothing"))
                .next("Name the topics to begin with: --topic TOPIC."));
        }
        committed.keys().cloned().collect()
    } else {
        partitions_of(client, scopes).await?
    };
    let offsets = offsets(client, group, &places, &committed, target).await?;
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

async fn partitions_of(client: &Client, scopes: &[Scope]) -> Result<BTreeSet<TopicPartition>, Failure> {
    let mut places = BTreeSet::new();
    for Scope { topic: name, partitions } in scopes {
        let topic = match client.topic(name).await {
            Ok(topic) => topic,
            Err(error) => return Err(about_topic(client, name, error).await),
        };
        for &partition in partitions {
            client.partition(&TopicPartition { topic: name.clone(), partition }).await?;
        }
        let wanted =
            if partitions.is_empty() { topic.partitions.into_keys().collect() } else { partitions.clone() };
        places.extend(wanted.into_iter().map(|partition| TopicPartition { topic: name.clone(), partition }));
    }
    Ok(places)
}

/// Where the target is in each partition (G1).
async fn offsets(
    client: &Client,
    group: &str,
    places: &BTreeSet<TopicPartition>,
    committed: &BTreeMap<TopicPartition, Offset>,
    target: Target,
) -> Result<BTreeMap<TopicPartition, Offset>, Failure> {
    let at = |start: Start| places.iter().map(move |place| (place.clone(), start)).collect();
    let first = client.resolve(&at(Start::Earliest)).await?;
    let end = client.resolve(&at(Start::Latest)).await?;
    let asked = match target {
        Target::Place(start) => client.resolve(&at(start)).await?,
        Target::Current => {
            let of = |place: &TopicPartition| committed.get(place).copied().unwrap_or(end[place]);
            places.iter().map(|place| (place.clone(), of(place))).collect()
        }
        Target::Shift(records) => {
            let mut shifted = BTreeMap::new();
            for place in places {
                let Some(before) = committed.get(place) else {
                    return Err(Failure::refused(format!(
                        "group '{group}' has committed nothing for {place}"
                    ))
                    .next("Only what was committed can be shifted: --to says where to begin."));
                };
                shifted.insert(place.clone(), before.plus(records));
            }
            shifted
        }
    };
    Ok(asked
        .into_iter()
        .map(|(place, offset)| {
            let bounded = offset.max(first[&place]).min(end[&place]);
            (place, bounded)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_and_scopes_are_read() {
        assert_eq!(parse_goal("current"), Ok(Goal::Current));
        assert_eq!(parse_goal("end"), Ok(Goal::Place(Begin::Place(Start::Latest))));
        assert!(parse_goal("sideways").is_err());
        let scope = |partitions: &[i32]| {
            let partitions = partitions.iter().copied().map(PartitionIndex).collect();
            Ok(Scope { topic: TopicName::parse("a-b").unwrap(), partitions })
        };
        assert_eq!(parse_scope("a-b"), scope(&[]));
        assert_eq!(parse_scope("a-b:0,12"), scope(&[0, 12]));
        for wrong in ["a b", "a:", "a:x", "a:-1", "a:0,", ":0", ""] {
            assert!(parse_scope(wrong).is_err(), "{wrong}");
        }
    }
}
