//! DescribeConfigs (32), versions 1-4: what is set, by whom, and what else could be.
//!
//! - No keys named, or an empty list, means all.
//! - A broker is named by its number, or by the empty name for what is set on all brokers; another broker's
//!   number is INVALID_REQUEST, as in Kafka.
//! - Sensitive values are null.

use config::Described;
use meta::ConfigResource;
use model::ErrorCode;
use wire::describe_configs::{
    DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use wire::{DescribeConfigsRequest, DescribeConfigsResponse};

use crate::call::Call;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

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

fn answer(
    call: &Call<'_>,
    resource: &DescribeConfigsResource<'_>,
    shown: &Shown,
) -> DescribeConfigsResult<'static> {
    let (error, message, configs) = match describe(call, resource) {
        Ok(described) => (ErrorCode::None, None, described),
        Err((error, message)) => (error, Some(message.into()), Vec::new()),
    };
    let asked = resource.configuration_keys.as_deref().unwrap_or_default();
    let wanted = |entry: &Described| asked.is_empty() || asked.iter().any(|name| *name == entry.key.name);
    DescribeConfigsResult {
        error_code: error.code(),
        error_message: message,
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.to_string().into(),
        configs: configs.into_iter().filter(wanted).map(|entry| result(entry, shown)).collect(),
    }
}

fn describe(
    call: &Call<'_>,
    resource: &DescribeConfigsResource<'_>,
) -> Result<Vec<Described>, (ErrorCode, String)> {
    let image = call.node.image();
    let layers = call.node.layers(&image);
    let name = resource.resource_name.as_ref();
    match resource.resource_type {
        TOPIC => {
            let topic = image.topic_named(name).ok_or_else(|| {
                (ErrorCode::UnknownTopicOrPartition, format!("there is no topic '{name}'"))
            })?;
            let own = image.config(&ConfigResource::topic(&topic.name));
            Ok(layers.describe_topic(own.map(AsRef::as_ref)))
        }
        BROKER if name.is_empty() => Ok(layers.describe_all_brokers()),
        BROKER if name == call.node.id().to_string() => Ok(layers.describe_broker()),
        BROKER => Err((
            ErrorCode::InvalidRequest,
            format!("unexpected broker id: expected {} or the empty name, got '{name}'", call.node.id()),
        )),
        other => Err((
            ErrorCode::InvalidRequest,
            format!("resources of type {other} have no configuration here; topics are type 2, brokers 4"),
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
