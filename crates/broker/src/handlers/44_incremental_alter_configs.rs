//! IncrementalAlterConfigs (44), versions 0-1: keys are set, deleted, appended to and subtracted from.
//!
//! - Each resource is granted or refused as a whole, and apart from the others.
//! - A broker is named by its number, or by the empty name for all brokers; another broker's number is refused,
//!   as in Kafka, where clients send such a change to that broker.

use controller::{Alteration, AlterationKind};
use wire::incremental_alter_configs::{AlterConfigsResource, AlterConfigsResourceResponse};
use wire::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use crate::alterations::{Answer, Refusal, Wanted, alter};
use crate::call::Call;

pub async fn handle(
    call: &Call<'_>,
    request: IncrementalAlterConfigsRequest<'_>,
    _: i16,
) -> IncrementalAlterConfigsResponse<'static> {
    let wanted = request.resources.iter().map(wanted).collect();
    let answers =
        alter(call.node, wanted, request.validate_only, |image, layers, resource, changes: &Vec<_>| {
            controller::alter_configs(image, layers, resource, changes)
        });
    IncrementalAlterConfigsResponse {
        throttle_time_ms: 0,
        responses: answers.await.into_iter().map(response).collect(),
    }
}

fn wanted(resource: &AlterConfigsResource<'_>) -> Wanted<Vec<Alteration>> {
    let alteration = |config: &wire::incremental_alter_configs::AlterableConfig<'_>| {
        let number = config.config_operation;
        let kind = AlterationKind::from_number(number).ok_or_else(|| {
            Refusal::invalid(format!("Unknown operation {number}: 0 sets, 1 deletes, 2 appends, 3 subtracts"))
        })?;
        let value = config.value.as_ref().map(ToString::to_string);
        Ok(Alteration { key: config.name.to_string(), kind, value })
    };
    Wanted {
        kind: resource.resource_type,
        name: resource.resource_name.to_string(),
        changes: resource.configs.iter().map(alteration).collect(),
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
