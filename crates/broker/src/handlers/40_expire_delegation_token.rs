//! ExpireDelegationToken (40), versions 1-2: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, as on every plaintext listener of
//! Kafka.

use model::ErrorCode;
use wire::{ExpireDelegationTokenRequest, ExpireDelegationTokenResponse};

use crate::call::Call;

pub async fn handle(
    _: &Call<'_>,
    _: ExpireDelegationTokenRequest<'_>,
    _: i16,
) -> ExpireDelegationTokenResponse {
    ExpireDelegationTokenResponse {
        error_code: ErrorCode::DelegationTokenRequestNotAllowed.code(),
        expiry_timestamp_ms: -1,
        throttle_time_ms: 0,
    }
}
