//! DeleteTopics (20), versions 1-6: by name or, from version 6 on, by id.
//!
//! - Answered once the topic is gone here, so that the same name can be made again at once.
//! - What groups committed for the topic goes with it.

use controller::{ControllerError, DeletedTopic, TopicTarget};
use meta::Image;
use model::{ErrorCode, TopicId};
use wire::delete_topics::DeletableTopicResult;
use wire::{DeleteTopicsRequest, DeleteTopicsResponse};

use crate::call::Call;
use crate::error::{controller_code, update_code};

/// First version that names topics by id.
const BY_ID_SINCE: i16 = 6;

pub async fn handle(
    call: &Call<'_>,
    request: DeleteTopicsRequest<'_>,
    version: i16,
) -> DeleteTopicsResponse<'static> {
    let targets: Vec<TopicTarget> = if version < BY_ID_SINCE {
        request.topic_names.iter().map(|name| TopicTarget::Name(name.to_string())).collect()
    } else {
        let target = |topic: &wire::delete_topics::DeleteTopicState<'_>| match &topic.name {
            Some(name) => TopicTarget::Name(name.to_string()),
            None => TopicTarget::Id(TopicId(topic.topic_id)),
        };
        request.topics.iter().map(target).collect()
    };
    if !call.node.config().delete_topics {
        let message = "topics cannot be deleted here: delete.topic.enable is false";
        let refused = targets.iter().map(|target| refused(target, ErrorCode::TopicDeletionDisabled, message));
        return DeleteTopicsResponse { throttle_time_ms: 0, responses: refused.collect() };
    }
    let wanted = targets.clone();
    let decide = move |image: &Image| {
        let decision = controller::delete_topics(image, &wanted);
        Ok((decision.records, decision.answers))
    };
    let responses = match call.node.change(decide).await {
        Ok(answers) => answers.into_iter().map(answer).collect(),
        Err(error) => {
            let (code, message) = (update_code(&error), error.to_string());
            targets.iter().map(|target| refused(target, code, &message)).collect()
        }
    };
    DeleteTopicsResponse { throttle_time_ms: 0, responses }
}

fn answer(deleted: DeletedTopic) -> DeletableTopicResult<'static> {
    match deleted.result {
        Ok((id, name)) => DeletableTopicResult {
            name: Some(name.to_string().into()),
            topic_id: id.0,
            error_message: None,
            ..Default::default()
        },
        Err(error) => refused_by(&deleted.target, &error),
    }
}

fn refused_by(target: &TopicTarget, error: &ControllerError) -> DeletableTopicResult<'static> {
    refused(target, controller_code(error), &error.to_string())
}

fn refused(target: &TopicTarget, error: ErrorCode, message: &str) -> DeletableTopicResult<'static> {
    let (name, topic_id) = match target {
        TopicTarget::Name(name) => (Some(name.clone().into()), wire::Uuid::ZERO),
        TopicTarget::Id(id) => (None, id.0),
    };
    DeletableTopicResult {
        name,
        topic_id,
        error_code: error.code(),
        error_message: Some(message.to_owned().into()),
    }
}
