//! DeleteRecords (21), versions 0-2: a partition lets go of its oldest records.
//!
//! - Offset −1 is the high watermark; nothing above it can be deleted (OFFSET_OUT_OF_RANGE), and what lies below the
//!   log's start is gone already, which is no error.
//! - Topics that are only compacted refuse (POLICY_VIOLATION): there the last record of a key stays. So do internal
//!   topics (INVALID_TOPIC_EXCEPTION).
//! - The new start is in the checkpoint before it shows anywhere, one write for the whole request; the answer comes
//!   when it shows. One node need not wait for followers, so the request's timeout means nothing.

use std::sync::Arc;

use model::{ErrorCode, Offset, PartitionIndex};
use wire::delete_records::{DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use wire::{DeleteRecordsRequest, DeleteRecordsResponse};

use crate::call::Call;
use crate::error::PartitionError;
use crate::partition::Partition;

const HIGH_WATERMARK: i64 = -1;
/// The low watermark of a partition that refused.
const NO_LOW_WATERMARK: Offset = Offset(-1);

/// A partition that has promised to start at `to`.
struct Promised {
    partition: Arc<Partition>,
    to: Offset,
}

pub async fn handle(call: &Call<'_>, request: DeleteRecordsRequest<'_>, _: i16) -> DeleteRecordsResponse<'static> {
    let mut promised = Vec::new();
    for topic in &request.topics {
        for wanted in &topic.partitions {
            promised.push(promise(call, &topic.name, wanted).await);
        }
    }
    let is_written = if promised.iter().any(Result::is_ok) { write_down(call).await } else { Ok(()) };
    let mut results = promised.into_iter();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for (wanted, promised) in topic.partitions.iter().zip(results.by_ref()) {
            let advanced = match (promised, is_written) {
                (Ok(promised), Ok(())) => advance(promised).await,
                (Ok(_), Err(error)) | (Err(error), _) => Err(error),
            };
            partitions.push(answer(wanted.partition_index, advanced));
        }
        topics.push(DeleteRecordsTopicResult { name: topic.name.to_string().into(), partitions });
    }
    DeleteRecordsResponse { throttle_time_ms: 0, topics }
}

async fn promise(
    call: &Call<'_>,
    topic: &str,
    wanted: &DeleteRecordsPartition,
) -> Result<Promised, ErrorCode> {
    let index = PartitionIndex(wanted.partition_index);
    let partition = call.node.partition_by_name(topic, index).map_err(|error| error.code())?;
    if partition.topic.is_internal() {
        return Err(ErrorCode::InvalidTopicException);
    }
    let policy = partition.config().cleanup_policy;
    if policy.compact && !policy.delete {
        return Err(ErrorCode::PolicyViolation);
    }
    let high_watermark = partition.high_watermark();
    let to = match wanted.offset {
        HIGH_WATERMARK => high_watermark,
        offset if 0 <= offset && offset <= high_watermark.0 => Offset(offset),
        _ => return Err(ErrorCode::OffsetOutOfRange),
    };
    partition.promise_start(to).await.map_err(|error| error.code())?;
    Ok(Promised { partition, to })
}

async fn write_down(call: &Call<'_>) -> Result<(), ErrorCode> {
    call.node.write_log_starts().await.map_err(|error| {
        tracing::error!("no records were deleted, for the log starts could not be written down: {error}");
        PartitionError::Storage(error.to_string()).code()
    })
}

async fn advance(Promised { partition, to }: Promised) -> Result<Offset, ErrorCode> {
    partition.advance_start(to).await.map_err(|error| error.code())
}

fn answer(partition_index: i32, advanced: Result<Offset, ErrorCode>) -> DeleteRecordsPartitionResult {
    let (low_watermark, error) = match advanced {
        Ok(start) => (start, ErrorCode::None),
        Err(error) => (NO_LOW_WATERMARK, error),
    };
    DeleteRecordsPartitionResult { partition_index, low_watermark: low_watermark.0, error_code: error.code() }
}
