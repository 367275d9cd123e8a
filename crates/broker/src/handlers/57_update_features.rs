//! UpdateFeatures (57), versions 0-2: features of the cluster are brought to other levels.
//!
//! - All or nothing: the first refusal is the answer, in Kafka's words.
//! - Clients that are connected go on as they are; they hear of the new level when they ask for ApiVersions again.
//! - Before version 2 what was granted is answered feature by feature.

use std::convert::Infallible;

use controller::{ControllerError, FeatureChange, FeatureUpdate};
use meta::{Image, MetadataRecord};
use model::ErrorCode;
use quorum::UpdateError;
use wire::update_features::{FeatureUpdateKey, UpdatableFeatureResult};
use wire::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use crate::call::Call;
use crate::error::{controller_code, update_code};

const UPGRADE_TYPE_SINCE: i16 = 1;
const ONE_ANSWER_SINCE: i16 = 2;

type Decided = (Vec<MetadataRecord>, Result<(), ControllerError>);

pub async fn handle(
    call: &Call<'_>,
    request: UpdateFeaturesRequest<'_>,
    version: i16,
) -> UpdateFeaturesResponse<'static> {
    let updates: Vec<FeatureUpdate> =
        request.feature_updates.iter().map(|update| wanted(update, version)).collect();
    let features: Vec<String> = updates.iter().map(|update| update.feature.clone()).collect();
    let decide = move |image: &Image| Ok::<_, Infallible>(decide(image, &updates));
    let decided = if request.validate_only {
        decide(&call.node.image()).map(|(_, answer)| answer).map_err(UpdateError::Decision)
    } else {
        call.node.change(decide).await
    };
    match decided {
        Ok(Ok(())) => granted(features, version),
        Ok(Err(error)) => refused(controller_code(&error), error.to_string()),
        Err(error) => refused(update_code(&error), error.to_string()),
    }
}

fn wanted(update: &FeatureUpdateKey<'_>, version: i16) -> FeatureUpdate {
    let change = match update.upgrade_type {
        _ if version < UPGRADE_TYPE_SINCE && update.allow_downgrade => Some(FeatureChange::Downgrade),
        1 => Some(FeatureChange::Upgrade),
        // Where nothing is lost, and whatever is lost: no level here loses anything.
        2 | 3 => Some(FeatureChange::Downgrade),
        _ => None,
    };
    FeatureUpdate { feature: update.feature.to_string(), level: update.max_version_level, change }
}

fn decide(image: &Image, updates: &[FeatureUpdate]) -> Decided {
    let records: Result<Vec<_>, _> =
        updates.iter().map(|update| controller::update_feature(image, update)).collect();
    match records {
        Ok(records) => (records.into_iter().flatten().collect(), Ok(())),
        Err(error) => (Vec::new(), Err(error)),
    }
}

fn granted(features: Vec<String>, version: i16) -> UpdateFeaturesResponse<'static> {
    let each = |feature: String| UpdatableFeatureResult { feature: feature.into(), ..Default::default() };
    let results =
        if version < ONE_ANSWER_SINCE { features.into_iter().map(each).collect() } else { Vec::new() };
    UpdateFeaturesResponse { results, ..Default::default() }
}

fn refused(error: ErrorCode, message: String) -> UpdateFeaturesResponse<'static> {
    UpdateFeaturesResponse {
        error_code: error.code(),
        error_message: Some(message.into()),
        ..Default::default()
    }
}
