//! Moving replicas to other brokers, and choosing which of them leads.
//!
//! - R1 Replicas do not move yet: a reassignment is granted where it changes nothing and refused elsewhere, so that
//!   none is ever under way.
//! - R2 A partition is led by its first replica or by nobody: an election is never needed, or has nobody to elect.

use meta::{Image, Partition};
use model::{BrokerId, PartitionIndex};

use crate::error::ControllerError;
use crate::placement::Brokers;

/// Decides about the brokers a partition is to lie on; none means that a move under way shall not happen.
pub fn reassign(
    image: &Image,
    topic: &str,
    index: PartitionIndex,
    wanted: Option<&[BrokerId]>,
) -> Result<(), ControllerError> {
    let found =
        image.topic_named(topic).ok_or_else(|| ControllerError::UnknownTopicToMove(topic.to_owned()))?;
    let partition = found
        .partition(index)
        .ok_or_else(|| ControllerError::UnknownPartitionToMove(found.name.clone(), index))?;
    let wanted = wanted.ok_or(ControllerError::NoReassignmentInProgress)?;
    Brokers::of(image).assign(wanted, 0)?;
    if wanted.iter().copied().eq(replicas(partition)) {
        Ok(())
    } else {
        Err(ControllerError::ReplicasDoNotMove)
    }
}

/// Whom an election may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Election {
    /// The first replica, if it is in sync.
    Preferred,
    /// Any replica, in sync or not, if nobody leads.
    Unclean,
}

impl Election {
    /// The kind of a number on the wire.
    pub fn from_number(number: i8) -> Result<Election, ControllerError> {
        match number {
            0 => Ok(Election::Preferred),
            1 => Ok(Election::Unclean),
            _ => Err(ControllerError::UnknownElection(number)),
        }
    }
}

/// Decides who leads a partition; it stays as it is (R2).
pub fn elect_leader(
    image: &Image,
    topic: &str,
    index: PartitionIndex,
    election: Election,
) -> Result<(), ControllerError> {
    let found =
        image.topic_named(topic).ok_or_else(|| ControllerError::UnknownTopicToLead(topic.to_owned()))?;
    let partition = found
        .partition(index)
        .ok_or_else(|| ControllerError::UnknownPartitionToLead(found.name.clone(), index))?;
    let has_leader = partition.leader != BrokerId::NONE;
    let is_led_as_preferred = replicas(partition).next() == Some(partition.leader);
    Err(match election {
        Election::Preferred if is_led_as_preferred => ControllerError::ElectionNotNeeded,
        Election::Preferred => ControllerError::PreferredLeaderNotAvailable,
        Election::Unclean if has_leader => ControllerError::ElectionNotNeeded,
        Election::Unclean => ControllerError::EligibleLeadersNotAvailable,
    })
}

fn replicas(partition: &Partition) -> impl Iterator<Item = BrokerId> {
    partition.replicas.iter().map(|replica| replica.broker)
}
