//! ElectLeaders (43), versions 0-2: partitions are to be led by their preferred leader, or by anybody at all.
//!
//! - Null partitions mean all; of those, the ones that need no election are left out, as in Kafka.
//! - Version 0 knows preferred elections only.

use controller::{ControllerError, Election};
use meta::Image;
use model::{ErrorCode, PartitionIndex};
use wire::elect_leaders::{PartitionResult, ReplicaElectionResult};
use wire::{ElectLeadersRequest, ElectLeadersResponse};

use crate::call::Call;
use crate::error::controller_code;

pub async fn handle(
    call: &Call<'_>,
    request: ElectLeadersRequest<'_>,
    _: i16,
) -> ElectLeadersResponse<'static> {
    let election = Election::from_number(request.election_type);
    let image = call.node.image();
    let results = match (&request.topic_partitions, &election) {
        (None, Ok(election)) => all(&image, *election),
        (None, Err(_)) => Vec::new(),
        (Some(topics), election) => {
            let elect = |topic: &str, &index: &i32| {
                let elected = election
                    .clone()
                    .and_then(|election| controller::elect_leader(&image, topic, PartitionIndex(index), election));
                result(index, elected.err())
            };
            let one = |topic: &wire::elect_leaders::TopicPartitions<'_>| ReplicaElectionResult {
                topic: topic.topic.to_string().into(),
                partition_result: topic.partitions.iter().map(|index| elect(&topic.topic, index)).collect(),
            };
            topics.iter().map(one).collect()
        }
    };
    ElectLeadersResponse {
        throttle_time_ms: 0,
        error_code: election.err().as_ref().map_or(ErrorCode::None, controller_code).code(),
        replica_election_results: results,
    }
}

fn all(image: &Image, election: Election) -> Vec<ReplicaElectionResult<'static>> {
    let topics = image.topics();
    let elect = |topic: &meta::Topic| {
        let elected = topic
            .partitions()
            .map(|(index, _)| (index, controller::elect_leader(image, topic.name.as_str(), index, election)));
        let needed = elected.filter(|(_, elected)| *elected != Err(ControllerError::ElectionNotNeeded));
        needed.map(|(index, elected)| result(index.0, elected.err())).collect()
    };
    let results = topics.map(|topic| ReplicaElectionResult {
        topic: topic.name.to_string().into(),
        partition_result: elect(topic),
    });
    results.collect()
}

fn result(partition_id: i32, refused: Option<ControllerError>) -> PartitionResult<'static> {
    PartitionResult {
        partition_id,
        error_code: refused.as_ref().map_or(ErrorCode::None, controller_code).code(),
        error_message: refused.map(|error| error.to_string().into()),
    }
}
