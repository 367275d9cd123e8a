//! DescribeDelegationToken (41), versions 1-3: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, as on every plaintext listener
//! of Kafka.

use model::ErrorCode;
use wire::{DescribeDelegationTokenRequest, DescribeDelegationTokenResponse};

use crate::call::Call;

pub async fn handle(
    _: &Call<'_>,
    _: DescribeDelegationTokenRequest<'_>,
    _: i16,
) -> DescribeDelegationTokenResponse<'static> {
    DescribeDelegationTokenResponse {
        error_code: ErrorCode::DelegationTokenRequestNotAllowed.code(),
        ..Default::default()
    }
}
