//! AlterUserScramCredentials (51), version 0: refused, because nobody logs in yet and a password that protects
//! nothing would be a lie.
//!
//! - What is to be deleted is RESOURCE_NOT_FOUND; what is to be set is UNSUPPORTED_VERSION, with a sentence.

use std::collections::BTreeMap;

use model::ErrorCode;
use wire::alter_user_scram_credentials::AlterUserScramCredentialsResult;
use wire::{AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse};

use crate::call::Call;

type Refusal = (ErrorCode, &'static str);

const NO_CREDENTIAL: Refusal =
    (ErrorCode::ResourceNotFound, "Attempt to delete a user credential that does not exist");
const NO_LOGIN: Refusal = (
    ErrorCode::UnsupportedVersion,
    "This broker does not authenticate its clients yet, so no credential can be set.",
);
/// SCRAM-SHA-256 and SCRAM-SHA-512.
const SCRAM_MECHANISMS: [i8; 2] = [1, 2];

pub async fn handle(
    _: &Call<'_>,
    request: AlterUserScramCredentialsRequest<'_>,
    _: i16,
) -> AlterUserScramCredentialsResponse<'static> {
    let deletions = request.deletions.iter().map(|one| (&one.name, one.mechanism, NO_CREDENTIAL));
    let upsertions = request.upsertions.iter().map(|one| (&one.name, one.mechanism, NO_LOGIN));
    let mut users = BTreeMap::new();
    for (user, mechanism, otherwise) in deletions.chain(upsertions) {
        // A user is answered once, whatever else is asked for it.
        users.entry(user.to_string()).or_insert_with(|| refusal(user, mechanism, otherwise));
    }
    let results = users.into_iter().map(|(user, (error, message))| AlterUserScramCredentialsResult {
        user: user.into(),
        error_code: error.code(),
        error_message: Some(message.into()),
    });
    AlterUserScramCredentialsResponse { throttle_time_ms: 0, results: results.collect() }
}

fn refusal(user: &str, mechanism: i8, otherwise: Refusal) -> Refusal {
    if user.is_empty() {
        (ErrorCode::UnacceptableCredential, "Username must not be empty")
    } else if !SCRAM_MECHANISMS.contains(&mechanism) {
        (ErrorCode::UnsupportedSaslMechanism, "Unknown SCRAM mechanism")
    } else {
        otherwise
    }
}
