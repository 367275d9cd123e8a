//! CreateDelegationToken (38), versions 1-3: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, as on every plaintext listener of
//! Kafka: nobody is authenticated there, so everybody is `User:ANONYMOUS`.

use model::ErrorCode;
use wire::{CreateDelegationTokenRequest, CreateDelegationTokenResponse};

use crate::call::Call;

/// First version that tells the owner from the one who asks.
const REQUESTER_SINCE: i16 = 3;

pub async fn handle(
    _: &Call<'_>,
    request: CreateDelegationTokenRequest<'_>,
    version: i16,
) -> CreateDelegationTokenResponse<'static> {
    let or = |name: Option<&str>, otherwise: &str| match name {
        None | Some("") => otherwise.to_owned(),
        Some(name) => name.to_owned(),
    };
    let owner_type = or(request.owner_principal_type.as_deref(), "User");
    let owner_name = or(request.owner_principal_name.as_deref(), "ANONYMOUS");
    let (requester_type, requester_name) =
        if version < REQUESTER_SINCE { ("", "") } else { ("User", "ANONYMOUS") };
    CreateDelegationTokenResponse {
        error_code: ErrorCode::DelegationTokenRequestNotAllowed.code(),
        principal_type: owner_type.into(),
        principal_name: owner_name.into(),
        token_requester_principal_type: requester_type.into(),
        token_requester_principal_name: requester_name.into(),
        issue_timestamp_ms: -1,
        expiry_timestamp_ms: -1,
        max_timestamp_ms: -1,
        ..Default::default()
    }
}
