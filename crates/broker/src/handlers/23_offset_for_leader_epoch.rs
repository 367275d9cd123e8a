//! OffsetForLeaderEpoch (23), versions 2-4: where an epoch ended, so that a client sees that a log was cut (KIP-320).
//!
//! - The current epoch ends at the log end; an epoch between two known ones is answered
//!   with the larger known one at or below it; one above the current is answered (−1, −1).

use model::{ErrorCode, LeaderEpoch, Offset, PartitionIndex};
use wire::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderPartition, OffsetForLeaderTopicResult,
};
use wire::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use crate::call::Call;
use crate::error::PartitionError;

pub async fn handle(
    call: &Call<'_>,
    request: OffsetForLeaderEpochRequest<'_>,
    _: i16,
) -> OffsetForLeaderEpochResponse<'static> {
    let topics = request
        .topics
        .iter()
        .map(|topic| OffsetForLeaderTopicResult {
            topic: topic.topic.to_string().into(),
            partitions: topic.partitions.iter().map(|wanted| answer(call, &topic.topic, wanted)).collect(),
        })
        .collect();
    OffsetForLeaderEpochResponse { throttle_time_ms: 0, topics }
}

fn answer(call: &Call<'_>, topic: &str, wanted: &OffsetForLeaderPartition) -> EpochEndOffset {
    let (error, (epoch, end)) = match find(call, topic, wanted) {
        Ok(found) => (ErrorCode::None, found),
        Err(error) => (error.code(), (LeaderEpoch::NONE, Offset(-1))),
    };
    EpochEndOffset {
        error_code: error.code(),
        partition: wanted.partition,
        leader_epoch: epoch.0,
        end_offset: end.0,
    }
}

fn find(
    call: &Call<'_>,
    topic: &str,
    wanted: &OffsetForLeaderPartition,
) -> Result<(LeaderEpoch, Offset), PartitionError> {
    let partition = call.node.partition_by_name(topic, PartitionIndex(wanted.partition))?;
    partition.check_epoch(LeaderEpoch(wanted.current_leader_epoch))?;
    Ok(partition.reader.end_offset_for_epoch(LeaderEpoch(wanted.leader_epoch)))
}
