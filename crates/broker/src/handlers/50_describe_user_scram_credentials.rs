//! DescribeUserScramCredentials (50), version 0: there are none, because nobody logs in yet.
//!
//! - No users, or null, mean all. A user that is asked for is RESOURCE_NOT_FOUND; one that is asked for twice,
//!   DUPLICATE_RESOURCE, once.

use std::collections::BTreeMap;

use model::ErrorCode;
use wire::describe_user_scram_credentials::DescribeUserScramCredentialsResult;
use wire::{DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse};

use crate::call::Call;

pub async fn handle(
    _: &Call<'_>,
    request: DescribeUserScramCredentialsRequest<'_>,
    _: i16,
) -> DescribeUserScramCredentialsResponse<'static> {
    let mut times = BTreeMap::<&str, usize>::new();
    for user in request.users.iter().flatten() {
        *times.entry(user.name.as_ref()).or_default() += 1;
    }
    let results = times.into_iter().map(|(user, times)| {
        let (error, message) = if 1 < times {
            (
                ErrorCode::DuplicateResource,
                format!("Cannot describe SCRAM credentials for the same user twice in a single request: {user}"),
            )
        } else {
            (
                ErrorCode::ResourceNotFound,
                format!("Attempt to describe a user credential that does not exist: {user}"),
            )
        };
        DescribeUserScramCredentialsResult {
            user: user.to_owned().into(),
            error_code: error.code(),
            error_message: Some(message.into()),
            credential_infos: Vec::new(),
        }
    });
    DescribeUserScramCredentialsResponse { results: results.collect(), ..Default::default() }
}
