//! AlterPartitionReassignments (45), versions 0-1: partitions are to move to other brokers.
//!
//! - Replicas do not move yet: granted is what is so already. Null replicas cancel a move, of which there is none.

use controller::ControllerError;
use model::{BrokerId, ErrorCode, PartitionIndex};
use wire::alter_partition_reassignments::{
    ReassignablePartition, ReassignablePartitionResponse, ReassignableTopic, ReassignableTopicResponse,
};
use wire::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};

use crate::call::Call;
use crate::error::controller_code;

pub async fn handle(
    call: &Call<'_>,
    request: AlterPartitionReassignmentsRequest<'_>,
    _: i16,
) -> AlterPartitionReassignmentsResponse<'static> {
    let image = call.node.image();
    let reassign = |topic: &str, partition: &ReassignablePartition| {
        let replicas = partition.replicas.as_ref();
        let replicas: Option<Vec<BrokerId>> =
            replicas.map(|replicas| replicas.iter().copied().map(BrokerId).collect());
        let index = PartitionIndex(partition.partition_index);
        let decided = controller::reassign(&image, topic, index, replicas.as_deref());
        response(partition.partition_index, decided.err())
    };
    let topic = |topic: &ReassignableTopic<'_>| ReassignableTopicResponse {
        name: topic.name.to_string().into(),
        partitions: topic.partitions.iter().map(|partition| reassign(&topic.name, partition)).collect(),
    };
    AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        error_code: ErrorCode::None.code(),
        error_message: None,
        responses: request.topics.iter().map(topic).collect(),
        throttle_time_ms: 0,
    }
}

fn response(partition_index: i32, refused: Option<ControllerError>) -> ReassignablePartitionResponse<'static> {
    ReassignablePartitionResponse {
        partition_index,
        error_code: refused.as_ref().map_or(ErrorCode::None, controller_code).code(),
        error_message: refused.map(|error| error.to_string().into()),
    }
}
