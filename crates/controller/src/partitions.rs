//! Adding partitions to a topic.

use std::collections::BTreeSet;

use meta::{Image, MetadataRecord};
use model::{BrokerId, PartitionIndex, limits};

use crate::Decision;
use crate::error::ControllerError;
use crate::placement::{Brokers, first_turn};
use crate::topics::{check_even, copies, count};

/// A topic somebody wants larger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MorePartitions {
    /// Its name.
    pub topic: String,
    /// How many partitions it shall have in all.
    pub count: i32,
    /// Brokers of each new partition; `None` lets the controller place.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

/// Decides about more partitions; each topic is answered once, with its new count.
pub fn create_partitions(
    image: &Image,
    topics: &[MorePartitions],
) -> Decision<(String, Result<i32, ControllerError>)> {
    let mut decision = Decision { records: Vec::new(), answers: Vec::new() };
    let given = count(topics.iter().map(|topic| topic.topic.as_str()));
    let mut answered = BTreeSet::new();
    let mut partitions_left = i64::from(limits::TOPIC_PARTITIONS_MAX);
    for more in topics.iter().filter(|more| answered.insert(more.topic.as_str())) {
        let is_duplicate = given.get(more.topic.as_str()).is_some_and(|&times| 1 < times);
        let answer = if is_duplicate {
            Err(ControllerError::DuplicateTopicName)
        } else {
            grow(image, more, partitions_left)
        };
        let answer = answer.map(|records| {
            partitions_left -= i64::try_from(records.len()).unwrap_or(i64::MAX);
            decision.records.extend(records);
            more.count
        });
        decision.answers.push((more.topic.clone(), answer));
    }
    decision
}

fn grow(
    image: &Image,
    more: &MorePartitions,
    partitions_max: i64,
) -> Result<Vec<MetadataRecord>, ControllerError> {
    let topic = image.topic_named(&more.topic).ok_or(ControllerError::UnknownTopic)?;
    let (current, asked) = (topic.partition_count(), more.count);
    if asked == current {
        return Err(ControllerError::PartitionsUnchanged(current));
    }
    if asked < current {
        return Err(ControllerError::NotAnIncrease { topic: topic.name.clone(), current, asked });
    }
    let added = i64::from(asked) - i64::from(current);
    if partitions_max < added {
        return Err(ControllerError::TooManyPartitions);
    }
    if let Some(assignments) = &more.assignments
        && i64::try_from(assignments.len()) != Ok(added)
    {
        return Err(ControllerError::AssignmentCount { added, assigned: assignments.len() });
    }
    let first = topic.partition(PartitionIndex(0)).ok_or(ControllerError::UnknownTopic)?;
    let brokers = Brokers::of(image);
    let mut records = Vec::new();
    for (place, partition) in (current..asked).enumerate() {
        let turn = first_turn(topic.id) + usize::try_from(partition).unwrap_or(0);
        let state = match more.assignments.as_ref().and_then(|assignments| assignments.get(place)) {
            Some(assigned) => brokers.assign(assigned, turn)?,
            None => brokers.place(copies(first), turn)?,
        };
        check_even(first, &state)?;
        let partition = PartitionIndex(partition);
        records.push(MetadataRecord::PartitionCreated { topic_id: topic.id, partition, state });
    }
    Ok(records)
}
