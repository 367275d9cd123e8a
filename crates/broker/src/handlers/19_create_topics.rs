//! CreateTopics (19), versions 2-7: names, partitions, replicas, settings; each topic answered for itself.
//!
//! - −1 partitions or replicas take the broker's defaults (KIP-464).
//! - Answered once the topic can be used here; Kafka lets the client find that out.
//! - From version 5 on the answer carries the settings in force, from 7 on the topic's id.

use std::convert::Infallible;

use controller::{ControllerError, CreatedTopic, NewTopic, TopicDefaults};
use meta::Image;
use model::BrokerId;
use quorum::UpdateError;
use wire::create_topics::{CreatableTopic, CreatableTopicConfigs, CreatableTopicResult};
use wire::{CreateTopicsRequest, CreateTopicsResponse};

use crate::admin::draw_topic_id;
use crate::call::Call;
use crate::error::{controller_code, update_code};

type Answer = (String, Result<CreatedTopic, ControllerError>);

pub async fn handle(
    call: &Call<'_>,
    request: CreateTopicsRequest<'_>,
    _: i16,
) -> CreateTopicsResponse<'static> {
    let wanted: Vec<NewTopic> = request.topics.iter().map(new_topic).collect();
    let defaults = TopicDefaults::from(call.node.config());
    let names: Vec<String> = wanted.iter().map(|topic| topic.name.clone()).collect();
    let rt = call.node.rt().clone();
    let decide = move |image: &Image| {
        let decision = controller::create_topics(image, defaults, &wanted, || draw_topic_id(&rt));
        Ok((decision.records, decision.answers))
    };
    let answers = if request.validate_only {
        decide(&call.node.image()).map(|(_, answers)| answers).map_err(UpdateError::Decision)
    } else {
        call.node.change(decide).await
    };
    let topics = match answers {
        Ok(answers) => answers.into_iter().map(|answer| result(call, answer)).collect(),
        Err(error) => names.into_iter().map(|name| failed(name, &error)).collect(),
    };
    CreateTopicsResponse { throttle_time_ms: 0, topics }
}

fn new_topic(topic: &CreatableTopic<'_>) -> NewTopic {
    let brokers = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect();
    NewTopic {
        name: topic.name.to_string(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .iter()
            .map(|assignment| (assignment.partition_index, brokers(&assignment.broker_ids)))
            .collect(),
        configs: topic
            .configs
            .iter()
            .map(|config| (config.name.to_string(), config.value.as_ref().map(|value| value.to_string())))
            .collect(),
    }
}

fn result(call: &Call<'_>, (name, answer): Answer) -> CreatableTopicResult<'static> {
    let created = match answer {
        Ok(created) => created,
        Err(error) => {
            return CreatableTopicResult {
                name: name.into(),
                error_code: controller_code(&error).code(),
                error_message: Some(error.to_string().into()),
                configs: None,
                ..Default::default()
            };
        }
    };
    let image = call.node.image();
    let described = call.node.layers(&image).describe_topic(Some(&created.configs));
    let configs = described.into_iter().map(|entry| CreatableTopicConfigs {
        name: entry.key.name.into(),
        value: entry.value.map(Into::into),
        read_only: entry.read_only,
        config_source: entry.source.number(),
        is_sensitive: entry.key.is_sensitive(),
    });
    CreatableTopicResult {
        name: name.into(),
        topic_id: created.id.0,
        error_message: None,
        num_partitions: created.partitions,
        replication_factor: created.replication_factor,
        configs: Some(configs.collect()),
        ..Default::default()
    }
}

fn failed(name: String, error: &UpdateError<Infallible>) -> CreatableTopicResult<'static> {
    CreatableTopicResult {
        name: name.into(),
        error_code: update_code(error).code(),
        error_message: Some(error.to_string().into()),
        configs: None,
        ..Default::default()
    }
}
