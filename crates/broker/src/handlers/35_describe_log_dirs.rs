//! DescribeLogDirs (35), versions 1-5: the data folder, how full it is, and what every partition takes of it.
//!
//! - Null topics mean all; partitions that are not here are left out without an error, as in Kafka.
//! - Usable is what producers may still take: the reserve (`ottla.disk.reserve.bytes`) is not theirs.
//! - There is one folder, so nothing is ever moved between two ("future" replicas), and none is cordoned.

use std::collections::{BTreeMap, BTreeSet};

use model::ErrorCode;
use wire::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use wire::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use crate::call::Call;

/// Bytes of a file system that does not say.
const UNKNOWN_BYTES: i64 = -1;

pub async fn handle(
    call: &Call<'_>,
    request: DescribeLogDirsRequest<'_>,
    _: i16,
) -> DescribeLogDirsResponse<'static> {
    let (total_bytes, usable_bytes) = space(call).await;
    let result = DescribeLogDirsResult {
        error_code: ErrorCode::None.code(),
        log_dir: call.node.data_dir.display().to_string().into(),
        topics: topics(call, request.topics.as_deref()),
        total_bytes,
        usable_bytes,
        is_cordoned: false,
    };
    DescribeLogDirsResponse {
        throttle_time_ms: 0,
        error_code: ErrorCode::None.code(),
        results: vec![result],
    }
}

fn topics(
    call: &Call<'_>,
    asked: Option<&[DescribableLogDirTopic<'_>]>,
) -> Vec<DescribeLogDirsTopic<'static>> {
    let asked: Option<BTreeSet<(&str, i32)>> = asked.map(|topics| {
        let each = |topic: &'_ DescribableLogDirTopic<'_>| topic.partitions.clone();
        topics
            .iter()
            .flat_map(|topic| each(topic).into_iter().map(|index| (topic.topic.as_ref(), index)))
            .collect()
    });
    let mut topics = BTreeMap::<String, Vec<DescribeLogDirsPartition>>::new();
    for partition in call.node.partitions.all() {
        let (name, index) = (partition.topic.as_str(), partition.id.partition.0);
        if asked.as_ref().is_some_and(|asked| !asked.contains(&(name, index))) {
            continue;
        }
        let lag = partition.high_watermark().0 - partition.reader.log_end().0;
        topics.entry(name.to_owned()).or_default().push(DescribeLogDirsPartition {
            partition_index: index,
            partition_size: signed(partition.reader.size_in_bytes()),
            offset_lag: lag.max(0),
            is_future_key: false,
        });
    }
    let topics = topics.into_iter();
    topics.map(|(name, partitions)| DescribeLogDirsTopic { name: name.into(), partitions }).collect()
}

/// All bytes of the file system, and those that producers can still take; none while they are refused.
async fn space(call: &Call<'_>) -> (i64, i64) {
    let disk = &call.node.disk;
    let Ok(bytes) = disk.bytes(&call.node.current_config()).await else { return (UNKNOWN_BYTES, UNKNOWN_BYTES) };
    let usable = if disk.room().is_short() { 0 } else { bytes.free.saturating_sub(bytes.reserve) };
    (signed(bytes.total), signed(usable))
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
