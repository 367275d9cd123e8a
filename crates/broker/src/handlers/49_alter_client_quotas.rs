//! AlterClientQuotas (49), versions 0-1: refused, because a quota that is taken and not kept would be a lie.
//!
//! - UNSUPPORTED_VERSION with a sentence, rather than not being served: tools then print the sentence.

use model::ErrorCode;
use wire::alter_client_quotas::{EntityResult, EntryData, EntryResult};
use wire::{AlterClientQuotasRequest, AlterClientQuotasResponse};

use crate::call::Call;

pub async fn handle(
    _: &Call<'_>,
    request: AlterClientQuotasRequest<'_>,
    _: i16,
) -> AlterClientQuotasResponse<'static> {
    AlterClientQuotasResponse {
        throttle_time_ms: 0,
        entries: request.entries.iter().map(refused).collect(),
    }
}

fn refused(entry: &EntryData<'_>) -> EntryResult<'static> {
    let entity = entry.entity.iter().map(|part| EntityResult {
        entity_type: part.entity_type.to_string().into(),
        entity_name: part.entity_name.as_ref().map(|name| name.to_string().into()),
    });
    EntryResult {
        error_code: ErrorCode::UnsupportedVersion.code(),
        error_message: Some("This broker does not enforce quotas yet, so none can be set or removed.".into()),
        entity: entity.collect(),
    }
}
