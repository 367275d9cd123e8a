//! AlterReplicaLogDirs (34), versions 1-2: a partition is to lie in another data folder of its broker.
//!
//! - There is one folder: what lies in it is granted and stays; every other folder is LOG_DIR_NOT_FOUND.

use std::collections::BTreeMap;

use model::{ErrorCode, PartitionIndex};
use wire::alter_replica_log_dirs::{AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult};
use wire::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse};

use crate::call::Call;

pub async fn handle(
    call: &Call<'_>,
    request: AlterReplicaLogDirsRequest<'_>,
    _: i16,
) -> AlterReplicaLogDirsResponse<'static> {
    let here = call.node.data_dir.display().to_string();
    let mut topics = BTreeMap::<String, Vec<AlterReplicaLogDirPartitionResult>>::new();
    for dir in &request.dirs {
        for topic in &dir.topics {
            let results = topic.partitions.iter().map(|&partition_index| {
                let error = if dir.path == here {
                    stay(call, &topic.name, PartitionIndex(partition_index))
                } else {
                    ErrorCode::LogDirNotFound
                };
                AlterReplicaLogDirPartitionResult { partition_index, error_code: error.code() }
            });
            topics.entry(topic.name.to_string()).or_default().extend(results);
        }
    }
    let topics = topics.into_iter();
    let results = topics.map(|(topic_name, partitions)| AlterReplicaLogDirTopicResult {
        topic_name: topic_name.into(),
        partitions,
    });
    AlterReplicaLogDirsResponse { throttle_time_ms: 0, results: results.collect() }
}

fn stay(call: &Call<'_>, topic: &str, index: PartitionIndex) -> ErrorCode {
    match call.node.partition_by_name(topic, index) {
        Ok(_) => ErrorCode::None,
        Err(error) => error.code(),
    }
}
