//! DescribeAcls (29), versions 1-3: SECURITY_DISABLED, as of a Kafka broker without an authorizer.

use model::ErrorCode;
use wire::{DescribeAclsRequest, DescribeAclsResponse};

use crate::call::Call;

pub async fn handle(_: &Call<'_>, _: DescribeAclsRequest<'_>, _: i16) -> DescribeAclsResponse<'static> {
    DescribeAclsResponse {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some("No Authorizer is configured on the broker".into()),
        ..Default::default()
    }
}
