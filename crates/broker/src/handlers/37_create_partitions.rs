//! CreatePartitions (37), versions 0-3: topics grow, and never shrink.
//!
//! - Answered once the new partitions can be used here.

use controller::MorePartitions;
use meta::Image;
use model::{BrokerId, ErrorCode};
use quorum::UpdateError;
use wire::create_partitions::{CreatePartitionsTopic, CreatePartitionsTopicResult};
use wire::{CreatePartitionsRequest, CreatePartitionsResponse};

use crate::call::Call;
use crate::error::{controller_code, update_code};

pub async fn handle(
    call: &Call<'_>,
    request: CreatePartitionsRequest<'_>,
    _: i16,
) -> CreatePartitionsResponse<'static> {
    let wanted: Vec<MorePartitions> = request.topics.iter().map(more_partitions).collect();
    let names: Vec<String> = wanted.iter().map(|more| more.topic.clone()).collect();
    let decide = move |image: &Image| {
        let decision = controller::create_partitions(image, &wanted);
        Ok((decision.records, decision.answers))
    };
    let answers = if request.validate_only {
        decide(&call.node.image()).map(|(_, answers)| answers).map_err(UpdateError::Decision)
    } else {
        call.node.change(decide).await
    };
    let results = match answers {
        Ok(answers) => answers
            .into_iter()
            .map(|(name, answer)| match answer {
                Ok(_) => result(name, ErrorCode::None, None),
                Err(error) => result(name, controller_code(&error), Some(error.to_string())),
            })
            .collect(),
        Err(error) => names
            .into_iter()
            .map(|name| result(name, update_code(&error), Some(error.to_string())))
            .collect(),
    };
    CreatePartitionsResponse { throttle_time_ms: 0, results }
}

fn more_partitions(topic: &CreatePartitionsTopic<'_>) -> MorePartitions {
    let brokers = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect();
    MorePartitions {
        topic: topic.name.to_string(),
        count: topic.count,
        assignments: topic
            .assignments
            .as_ref()
            .map(|assignments| assignments.iter().map(|partition| brokers(&partition.broker_ids)).collect()),
    }
}

fn result(name: String, error: ErrorCode, message: Option<String>) -> CreatePartitionsTopicResult<'static> {
    CreatePartitionsTopicResult {
        name: name.into(),
        error_code: error.code(),
        error_message: message.map(Into::into),
    }
}
