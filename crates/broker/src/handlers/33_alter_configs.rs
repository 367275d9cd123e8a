//! AlterConfigs (33), versions 0-2: a resource's whole configuration; what is not given goes back to its default.
//!
//! - Deprecated by IncrementalAlterConfigs, and still what kafkajs sends.

use wire::alter_configs::{AlterConfigsResource, AlterConfigsResourceResponse};
use wire::{AlterConfigsRequest, AlterConfigsResponse};

use crate::alterations::{Answer, Wanted, alter};
use crate::call::Call;

/// Keys and the values they are to have; null is refused.
type Configs = Vec<(String, Option<String>)>;

pub async fn handle(call: &Call<'_>, request: AlterConfigsRequest<'_>, _: i16) -> AlterConfigsResponse<'static> {
    let wanted = request.resources.iter().map(wanted).collect();
    let answers =
        alter(call.node, wanted, request.validate_only, |image, layers, resource, configs: &Configs| {
            controller::replace_configs(image, layers, resource, configs)
        });
    AlterConfigsResponse { throttle_time_ms: 0, responses: answers.await.into_iter().map(response).collect() }
}

fn wanted(resource: &AlterConfigsResource<'_>) -> Wanted<Configs> {
    let configs = resource.configs.iter();
    let configs = configs.map(|config| (config.name.to_string(), config.value.as_ref().map(ToString::to_string)));
    Wanted {
        kind: resource.resource_type,
        name: resource.resource_name.to_string(),
        changes: Ok(configs.collect()),
    }
}

fn response(answer: Answer) -> AlterConfigsResourceResponse<'static> {
    AlterConfigsResourceResponse {
        error_code: answer.error.code(),
        error_message: answer.message.map(Into::into),
        resource_type: answer.kind,
        resource_name: answer.name.into(),
    }
}
