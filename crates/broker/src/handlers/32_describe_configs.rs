//! DescribeConfigs (32), versions 1-4: what is set, by whom, and what else could be.
//!
//! - No keys named, or an empty list, means all.
//! - A broker is named by its number, or by the empty name for what is set on all brokers; another broker's
//!   number is INVALID_REQUEST, as in Kafka.
//! - A broker has one logger, whose level is set when it starts. Client metrics have no keys yet.
//! - Sensitive values are null.

use config::Described;
use meta::{ConfigResource, ConfigResourceKind};
use model::ErrorCode;
use tracing::level_filters::LevelFilter;
use wire::describe_configs::{
    DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use wire::{DescribeConfigsRequest, DescribeConfigsResponse};

use crate::call::Call;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

/// `ConfigSource.DYNAMIC_BROKER_LOGGER_CONFIG`, the source of every level in Kafka.
const LOGGER_SOURCE: i8 = 6;

pub async fn handle(
    call: &Call<'_>,
    request: DescribeConfigsRequest<'_>,
    _: i16,
) -> DescribeConfigsResponse<'static> {
    let shown = Shown { synonyms: request.include_synonyms, documentation: request.include_documentation };
    let results = request.resources.iter().map(|resource| answer(call, resource, &shown)).collect();
    DescribeConfigsResponse { throttle_time_ms: 0, results }
}

/// What the client wants to see of each key.
struct Shown {
    synonyms: bool,
    documentation: bool,
}

type Results = Vec<DescribeConfigsResourceResult<'static>>;

fn answer(
    call: &Call<'_>,
    resource: &DescribeConfigsResource<'_>,
    shown: &Shown,
) -> DescribeConfigsResult<'static> {
    let (error, message, mut configs) = match describe(call, resource, shown) {
        Ok(configs) => (ErrorCode::None, None, configs),
        Err((error, message)) => (error, Some(message.into()), Vec::new()),
    };
    let asked = resource.configuration_keys.as_deref().unwrap_or_default();
    configs.retain(|config| asked.is_empty() || asked.contains(&config.name));
    DescribeConfigsResult {
        error_code: error.code(),
        error_message: message,
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.to_string().into(),
        configs,
    }
}

fn describe(
    call: &Call<'_>,
    resource: &DescribeConfigsResource<'_>,
    shown: &Shown,
) -> Result<Results, (ErrorCode, String)> {
    let image = call.node.image();
    let layers = call.node.layers(&image);
    let results = |described: Vec<Described>| described.into_iter().map(|entry| result(entry, shown)).collect();
    let invalid = |message: String| Err((ErrorCode::InvalidRequest, message));
    let here = call.node.id().to_string();
    let name = resource.resource_name.as_ref();
    match resource.resource_type {
        TOPIC => {
            let topic = image.topic_named(name).ok_or_else(|| {
                (ErrorCode::UnknownTopicOrPartition, format!("there is no topic '{name}'"))
            })?;
            let own = image.config(&ConfigResource::topic(&topic.name));
            Ok(results(layers.describe_topic(own.map(AsRef::as_ref))))
        }
        BROKER if name.is_empty() => Ok(results(layers.describe_all_brokers())),
        BROKER if name == here => Ok(results(layers.describe_broker())),
        BROKER => invalid(format!("unexpected broker id: expected {here} or the empty name, got '{name}'")),
        BROKER_LOGGER if name.is_empty() => invalid("Broker id must not be empty".to_owned()),
        BROKER_LOGGER if name == here => Ok(vec![root_logger()]),
        BROKER_LOGGER => invalid(format!("Unexpected broker id, expected {here} but received {name}")),
        CLIENT_METRICS if name.is_empty() => {
            invalid("Client metrics subscription name must not be empty".to_owned())
        }
        GROUP if name.is_empty() => invalid("Group name must not be empty".to_owned()),
        GROUP => {
            let resource = ConfigResource { kind: ConfigResourceKind::Group, name: name.to_owned() };
            Ok(results(layers.describe_group(image.config(&resource).map(AsRef::as_ref))))
        }
        CLIENT_METRICS => Ok(Vec::new()),
        other => invalid(format!(
            "resources of type {other} have no configuration; topics are type {TOPIC}, brokers {BROKER}"
        )),
    }
}

fn result(entry: Described, shown: &Shown) -> DescribeConfigsResourceResult<'static> {
    let synonyms = entry.synonyms.into_iter().filter(|_| shown.synonyms).map(|word| DescribeConfigsSynonym {
        name: word.name.into(),
        value: (!entry.key.is_sensitive()).then(|| word.value.into()),
        source: word.source.number(),
    });
    DescribeConfigsResourceResult {
        name: entry.key.name.into(),
        value: entry.value.map(Into::into),
        read_only: entry.read_only,
        config_source: entry.source.number(),
        is_sensitive: entry.key.is_sensitive(),
        synonyms: synonyms.collect(),
        config_type: entry.key.kind.number(),
        documentation: shown.documentation.then(|| entry.key.documentation.into()),
    }
}

/// What is written to the broker's log, in Kafka's names of levels.
fn root_logger() -> DescribeConfigsResourceResult<'static> {
    DescribeConfigsResourceResult {
        name: "root".into(),
        value: Some(LevelFilter::current().to_string().to_uppercase().into()),
        read_only: true,
        config_source: LOGGER_SOURCE,
        ..Default::default()
    }
}
