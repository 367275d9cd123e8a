//! DescribeQuorum (55), versions 0-2: who keeps the metadata log, and how far everybody is.
//!
//! - The quorum is this node: it leads, it is the only voter, and it has what is committed.
//! - No listener of its own is told, because there is none; the folder's id is zero, as for Kafka's fixed quorums.
//! - Every other topic or partition is UNKNOWN_TOPIC_OR_PARTITION.

use model::ErrorCode;
use wire::describe_quorum::{Node, PartitionResult, ReplicaState, TopicResult};
use wire::{DescribeQuorumRequest, DescribeQuorumResponse};

use crate::call::Call;

/// The topic that Kafka's clients know the metadata log by; it has one partition.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// First version that says where the voters are.
const NODES_SINCE: i16 = 2;

pub async fn handle(
    call: &Call<'_>,
    request: DescribeQuorumRequest<'_>,
    version: i16,
) -> DescribeQuorumResponse<'static> {
    let partition = |topic: &str, index: i32| {
        if topic == METADATA_TOPIC && index == 0 { quorum(call) } else { unknown(index) }
    };
    let topics = request.topics.iter().map(|topic| TopicResult {
        topic_name: topic.topic_name.to_string().into(),
        partitions: topic
            .partitions
            .iter()
            .map(|asked| partition(&topic.topic_name, asked.partition_index))
            .collect(),
    });
    let topics: Vec<_> = topics.collect();
    let mut partitions = topics.iter().flat_map(|topic| &topic.partitions);
    let is_shown = partitions.any(|partition| partition.error_code == ErrorCode::None.code());
    let mut nodes = Vec::new();
    if NODES_SINCE <= version && is_shown {
        nodes.push(Node { node_id: call.node.quorum.leader().0, listeners: Vec::new() });
    }
    DescribeQuorumResponse { topics, nodes, ..Default::default() }
}

fn quorum(call: &Call<'_>) -> PartitionResult<'static> {
    let end = i64::try_from(call.node.image().next_index().0).unwrap_or(i64::MAX);
    let now = call.node.rt().wall_clock_ms();
    let voter = ReplicaState {
        replica_id: call.node.quorum.leader().0,
        log_end_offset: end,
        last_fetch_timestamp: now,
        last_caught_up_timestamp: now,
        ..Default::default()
    };
    PartitionResult {
        leader_id: voter.replica_id,
        leader_epoch: i32::try_from(call.node.quorum.term().0).unwrap_or(i32::MAX),
        high_watermark: end,
        current_voters: vec![voter],
        ..Default::default()
    }
}

fn unknown(partition_index: i32) -> PartitionResult<'static> {
    PartitionResult {
        partition_index,
        error_code: ErrorCode::UnknownTopicOrPartition.code(),
        error_message: Some("This server does not host this topic-partition.".into()),
        ..Default::default()
    }
}
