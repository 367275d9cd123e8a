//! ListConfigResources (74), versions 0-1: what has configuration.
//!
//! - Version 0 lists client metrics subscriptions only; from 1 on the types asked for, all of them if none is named.
//! - Another type is UNSUPPORTED_VERSION. Broker loggers are a type, and there are none here.

use meta::{ConfigResourceKind, Image};
use model::ErrorCode;
use wire::list_config_resources::ConfigResource;
use wire::{ListConfigResourcesRequest, ListConfigResourcesResponse};

use crate::call::Call;

/// First version that lists more than client metrics.
const TYPES_SINCE: i16 = 1;
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const BROKER_LOGGER: i8 = 8;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;

pub async fn handle(
    call: &Call<'_>,
    request: ListConfigResourcesRequest,
    version: i16,
) -> ListConfigResourcesResponse<'static> {
    let known: &[i8] = if version < TYPES_SINCE {
        &[CLIENT_METRICS]
    } else {
        &[GROUP, CLIENT_METRICS, BROKER_LOGGER, BROKER, TOPIC]
    };
    let asked = &request.resource_types;
    if asked.iter().any(|number| !known.contains(number)) {
        return ListConfigResourcesResponse {
            error_code: ErrorCode::UnsupportedVersion.code(),
            ..Default::default()
        };
    }
    let image = call.node.image();
    let wanted = known.iter().filter(|number| asked.is_empty() || asked.contains(number));
    let config_resources = wanted.flat_map(|&number| {
        names(&image, number).into_iter().map(move |name| resource(name, number))
    });
    ListConfigResourcesResponse {
        throttle_time_ms: 0,
        error_code: ErrorCode::None.code(),
        config_resources: config_resources.collect(),
    }
}

fn resource(name: String, resource_type: i8) -> ConfigResource<'static> {
    ConfigResource { resource_name: name.into(), resource_type }
}

fn names(image: &Image, number: i8) -> Vec<String> {
    match number {
        TOPIC => image.topics().map(|topic| topic.name.to_string()).collect(),
        BROKER => image.brokers().map(|broker| broker.id.to_string()).collect(),
        CLIENT_METRICS => configured(image, ConfigResourceKind::ClientMetrics),
        GROUP => configured(image, ConfigResourceKind::Group),
        _ => Vec::new(),
    }
}

/// Groups and subscriptions are listed by what is set on them.
fn configured(image: &Image, kind: ConfigResourceKind) -> Vec<String> {
    let resources = image.configs().map(|(resource, _)| resource);
    resources.filter(|resource| resource.kind == kind).map(|resource| resource.name.clone()).collect()
}
