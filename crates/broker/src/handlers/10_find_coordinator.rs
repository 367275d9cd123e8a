//! FindCoordinator (10), versions 0-6: which broker coordinates a group or a transactional id.
//!
//! - The first look-up makes `__consumer_offsets` or `__transaction_state`; Kafka answers COORDINATOR_NOT_AVAILABLE meanwhile, here the
//!   answer waits for it.
//! - Share groups have no coordinator yet: INVALID_REQUEST, with a message that says so.

use model::{ErrorCode, TopicName};
use wire::find_coordinator::Coordinator;
use wire::{FindCoordinatorRequest, FindCoordinatorResponse};

use crate::call::Call;
use crate::endpoint::{self, BrokerAddress};

const KEY_TYPE_GROUP: i8 = 0;
const KEY_TYPE_TRANSACTION: i8 = 1;
/// First version that asks for several keys at once.
const BATCHED_SINCE: i16 = 4;

pub async fn handle(
    call: &Call<'_>,
    request: FindCoordinatorRequest<'_>,
    version: i16,
) -> FindCoordinatorResponse<'static> {
    let keys: Vec<String> = if version < BATCHED_SINCE {
        vec![request.key.to_string()]
    } else {
        request.coordinator_keys.iter().map(|key| key.to_string()).collect()
    };
    let mut coordinators = Vec::with_capacity(keys.len());
    for key in keys {
        coordinators.push(match find(call, request.key_type, &key).await {
            Ok(broker) => found(key, broker),
            Err((error, message)) => missing(key, error, message),
        });
    }
    if version < BATCHED_SINCE {
        let only = coordinators.pop().unwrap_or_default();
        return FindCoordinatorResponse {
            error_code: only.error_code,
            error_message: only.error_message,
            node_id: only.node_id,
            host: only.host,
            port: only.port,
            ..Default::default()
        };
    }
    FindCoordinatorResponse { coordinators, ..Default::default() }
}

async fn find(call: &Call<'_>, key_type: i8, key: &str) -> Result<BrokerAddress, (ErrorCode, String)> {
    let topic = match key_type {
        KEY_TYPE_GROUP => TopicName::consumer_offsets(),
        KEY_TYPE_TRANSACTION => TopicName::transaction_state(),
        _ => {
            let message = "this broker coordinates groups and transactions, no share groups yet".to_owned();
            return Err((ErrorCode::InvalidRequest, message));
        }
    };
    let unavailable = |message: String| (ErrorCode::CoordinatorNotAvailable, message);
    let partition = call.node.coordinator_partition(&topic, key).await;
    let partition = partition.map_err(|error| unavailable(error.to_string()))?;
    let image = call.node.image();
    let (leader, _) = call
        .node
        .leader_of(&topic, partition)
        .ok_or_else(|| unavailable(format!("partition {partition} of {topic} has no leader")))?;
    endpoint::find(call, &image, leader)
        .ok_or_else(|| unavailable(format!("broker {leader} is not registered")))
}

fn found(key: String, broker: BrokerAddress) -> Coordinator<'static> {
    Coordinator {
        key: key.into(),
        node_id: broker.id.0,
        host: broker.host.into(),
        port: broker.port,
        error_code: ErrorCode::None.code(),
        error_message: None,
    }
}

fn missing(key: String, error: ErrorCode, message: String) -> Coordinator<'static> {
    Coordinator {
        key: key.into(),
        node_id: -1,
        host: "".into(),
        port: -1,
        error_code: error.code(),
        error_message: Some(message.into()),
    }
}
