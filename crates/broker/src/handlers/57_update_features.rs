//! UpdateFeatures (57), versions 0-2: features of the cluster are to be switched on or off. Those that ApiVersions lists
//! are at their one level, so that nothing is granted that would change it.
//!
//! - All or nothing: the first refusal is the answer, in Kafka's words.

use model::ErrorCode;
use wire::update_features::FeatureUpdateKey;
use wire::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use crate::call::Call;
use crate::registry::api_versions::FEATURES;

/// Raise, lower where nothing is lost, lower whatever is lost.
const UPGRADE_TYPES: [i8; 3] = [1, 2, 3];

pub async fn handle(
    _: &Call<'_>,
    request: UpdateFeaturesRequest<'_>,
    _: i16,
) -> UpdateFeaturesResponse<'static> {
    let refused = request.feature_updates.iter().find_map(refusal);
    let error = if refused.is_some() { ErrorCode::InvalidUpdateVersion } else { ErrorCode::None };
    UpdateFeaturesResponse {
        error_code: error.code(),
        error_message: refused.map(Into::into),
        ..Default::default()
    }
}

fn refusal(update: &FeatureUpdateKey<'_>) -> Option<String> {
    let (feature, level) = (&update.feature, update.max_version_level);
    let served = FEATURES.iter().find(|served| served.name == feature.as_ref());
    let reason = if !UPGRADE_TYPES.contains(&update.upgrade_type) {
        "The controller does not support the given upgrade type.".to_owned()
    } else if served.is_some_and(|served| served.level == level) {
        return None;
    } else if level < 0 {
        "A feature version cannot be less than 0.".to_owned()
    } else if let Some(served) = served {
        format!("This broker serves it at {} only.", served.level)
    } else if level == 0 {
        format!("Feature {feature} not found.")
    } else {
        "This broker does not support this feature.".to_owned()
    };
    Some(format!(
        "The update failed for all features since the following feature had an error: Invalid update version \
         {level} for feature {feature}. {reason}"
    ))
}
