//! UpdateFeatures (57), versions 0-2: features of the cluster are to be switched on or off. It has none (ApiVersions
//! lists none), so that nothing but an empty request is granted.
//!
//! - All or nothing: the first refusal is the answer, in Kafka's words.

use model::ErrorCode;
use wire::update_features::FeatureUpdateKey;
use wire::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use crate::call::Call;

/// Raise, lower where nothing is lost, lower whatever is lost.
const UPGRADE_TYPES: [i8; 3] = [1, 2, 3];

pub async fn handle(
    _: &Call<'_>,
    request: UpdateFeaturesRequest<'_>,
    _: i16,
) -> UpdateFeaturesResponse<'static> {
    let refused = request.feature_updates.first().map(refusal);
    let error = if refused.is_some() { ErrorCode::InvalidUpdateVersion } else { ErrorCode::None };
    UpdateFeaturesResponse {
        error_code: error.code(),
        error_message: refused.map(Into::into),
        ..Default::default()
    }
}

fn refusal(update: &FeatureUpdateKey<'_>) -> String {
    let (feature, level) = (&update.feature, update.max_version_level);
    let reason = if !UPGRADE_TYPES.contains(&update.upgrade_type) {
        "The controller does not support the given upgrade type.".to_owned()
    } else if level < 0 {
        "A feature version cannot be less than 0.".to_owned()
    } else if level == 0 {
        format!("Feature {feature} not found.")
    } else {
        "This broker does not support this feature.".to_owned()
    };
    format!(
        "The update failed for all features since the following feature had an error: Invalid update version \
         {level} for feature {feature}. {reason}"
    )
}
