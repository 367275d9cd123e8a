//! CreateAcls (30), versions 1-3: SECURITY_DISABLED for each, as of a Kafka broker without an authorizer.

use model::ErrorCode;
use wire::create_acls::AclCreationResult;
use wire::{CreateAclsRequest, CreateAclsResponse};

use crate::call::Call;

pub async fn handle(_: &Call<'_>, request: CreateAclsRequest<'_>, _: i16) -> CreateAclsResponse<'static> {
    let refused = || AclCreationResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some("No Authorizer is configured.".into()),
    };
    CreateAclsResponse { throttle_time_ms: 0, results: request.creations.iter().map(|_| refused()).collect() }
}
