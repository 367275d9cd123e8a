//! ApiVersions (18), versions 0-4: what this broker serves, derived from what is registered.
//!
//! - A version above ours is answered in version 0 with UNSUPPORTED_VERSION and this API's own range, so that
//!   the client can ask again (KIP-511); the service does that before it decodes.
//! - Produce is advertised from 0: librdkafka before 2.11.1 stops compressing otherwise (KAFKA-18659).
//! - `transaction.version` at 2 is what makes Java's producer speak KIP-890; at level 0 a feature is not listed as
//!   finalized. Before version 4 no feature may be listed as supported whose lowest level is 0 (KAFKA-17011).

use controller::{FEATURES, Feature};
use meta::Image;
use model::ErrorCode;
use wire::api_versions::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use wire::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};

use crate::call::Call;
use crate::registry;

pub async fn handle(
    call: &Call<'_>,
    request: ApiVersionsRequest<'_>,
    version: i16,
) -> ApiVersionsResponse<'static> {
    let named = [&request.client_software_name, &request.client_software_version];
    if 3 <= version && !named.into_iter().all(|text| is_software_name(text)) {
        return ApiVersionsResponse { error_code: ErrorCode::InvalidRequest.code(), ..Default::default() };
    }
    let image = call.node.image();
    ApiVersionsResponse {
        api_keys: registry::SERVED.iter().map(advertised).collect(),
        supported_features: FEATURES
            .iter()
            .filter(|feature| 4 <= version || 0 < feature.lowest)
            .map(supported)
            .collect(),
        finalized_features_epoch: image.next_index().0.cast_signed(),
        finalized_features: FEATURES.iter().filter_map(|feature| finalized(feature, &image)).collect(),
        ..Default::default()
    }
}

fn supported(feature: &Feature) -> SupportedFeatureKey<'static> {
    SupportedFeatureKey {
        name: feature.name.into(),
        min_version: feature.lowest,
        max_version: feature.highest,
    }
}

fn finalized(feature: &Feature, image: &Image) -> Option<FinalizedFeatureKey<'static>> {
    let level = feature.level(image);
    let key =
        FinalizedFeatureKey { name: feature.name.into(), min_version_level: level, max_version_level: level };
    (0 < level).then_some(key)
}

/// The answer to a version that is not served.
pub fn unsupported_version() -> ApiVersionsResponse<'static> {
    ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: vec![advertised(&ApiKey::ApiVersions)],
        ..Default::default()
    }
}

/// An API in the versions that are served.
pub fn advertised(key: &ApiKey) -> ApiVersion {
    let versions = key.versions();
    let min_version = if *key == ApiKey::Produce { 0 } else { versions.first };
    ApiVersion { api_key: key.as_i16(), min_version, max_version: versions.last }
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`, the only texts Kafka takes for a client's name and version.
fn is_software_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let outer = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.bytes().all(inner) && outer(text.bytes().next()) && outer(text.bytes().last())
}

#[cfg(test)]
mod tests {
    use super::is_software_name;

    #[test]
    fn software_names_are_kafkas() {
        for (text, legal) in [
            ("apache-kafka-java", true),
            ("4.3.1", true),
            ("x", true),
            ("", false),
            ("-x", false),
            ("x.", false),
            ("a b", false),
        ] {
            assert_eq!(is_software_name(text), legal, "{text}");
        }
    }
}
