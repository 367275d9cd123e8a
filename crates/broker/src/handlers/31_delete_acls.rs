//! DeleteAcls (31), versions 1-3: SECURITY_DISABLED for each, as of a Kafka broker without an authorizer.

use model::ErrorCode;
use wire::delete_acls::DeleteAclsFilterResult;
use wire::{DeleteAclsRequest, DeleteAclsResponse};

use crate::call::Call;

pub async fn handle(_: &Call<'_>, request: DeleteAclsRequest<'_>, _: i16) -> DeleteAclsResponse<'static> {
    let refused = || DeleteAclsFilterResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some("No Authorizer is configured.".into()),
        matching_acls: Vec::new(),
    };
    DeleteAclsResponse {
        throttle_time_ms: 0,
        filter_results: request.filters.iter().map(|_| refused()).collect(),
    }
}
