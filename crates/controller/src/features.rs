//! Features of the cluster: which there are, at which level each is, and who may change that.
//!
//! - F1 A level is raised or lowered as the request says, never the other way round; the level in force may be asked for.
//! - F2 What nobody has asked for is at the highest level: so it was before levels could be set.

use meta::{Image, MetadataRecord};

use crate::error::ControllerError;

/// The feature that tells producers which protocol of transactions to speak.
pub const TRANSACTION_VERSION: &str = "transaction.version";

/// Something of a cluster that has levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// Kafka's name for it.
    pub name: &'static str,
    /// The lowest level Kafka has.
    pub lowest: i16,
    /// The highest level served.
    pub highest: i16,
}

/// Every feature served.
pub const FEATURES: &[Feature] = &[Feature { name: TRANSACTION_VERSION, lowest: 0, highest: 2 }];

impl Feature {
    /// The level in force (F2).
    pub fn level(&self, image: &Image) -> i16 {
        image.feature_level(self.name).unwrap_or(self.highest)
    }
}

/// The level in force of `transaction.version`.
pub fn transaction_version(image: &Image) -> i16 {
    FEATURES
        .iter()
        .find(|feature| feature.name == TRANSACTION_VERSION)
        .map_or(0, |feature| feature.level(image))
}

/// In which direction a level is to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureChange {
    /// Upwards.
    Upgrade,
    /// Downwards, whether anything is lost by it or not.
    Downgrade,
}

/// One feature and the level it is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// Kafka's name for it.
    pub feature: String,
    /// The level.
    pub level: i16,
    /// `None` is a direction nobody knows.
    pub change: Option<FeatureChange>,
}

/// Decides about a level. All updates of a request are granted or none, each judged by what was before the request.
pub fn update_feature(
    image: &Image,
    update: &FeatureUpdate,
) -> Result<Option<MetadataRecord>, ControllerError> {
    let refused = |reason| ControllerError::InvalidFeatureLevel {
        feature: update.feature.clone(),
        level: update.level,
        reason,
    };
    let change = update.change.ok_or_else(|| refused(FeatureRefusal::UnknownChange))?;
    if update.level < 0 {
        return Err(refused(FeatureRefusal::Negative));
    }
    let feature = FEATURES
        .iter()
        .find(|feature| feature.name == update.feature)
        .ok_or_else(|| refused(FeatureRefusal::UnknownFeature))?;
    if !(feature.lowest..=feature.highest).contains(&update.level) {
        return Err(refused(FeatureRefusal::OutOfRange(*feature)));
    }
    let current = feature.level(image);
    match change {
        FeatureChange::Upgrade if update.level < current => Err(refused(FeatureRefusal::WouldLower)),
        FeatureChange::Downgrade if current < update.level => Err(refused(FeatureRefusal::WouldRaise)),
        FeatureChange::Upgrade | FeatureChange::Downgrade if update.level == current => Ok(None),
        FeatureChange::Upgrade | FeatureChange::Downgrade => {
            Ok(Some(MetadataRecord::FeatureLevelSet { feature: update.feature.clone(), level: update.level }))
        }
    }
}

/// Why a feature keeps its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureRefusal {
    /// The request names no direction.
    UnknownChange,
    /// Levels begin with 0.
    Negative,
    /// Nobody here knows it.
    UnknownFeature,
    /// It has no such level.
    OutOfRange(Feature),
    /// The level is below the one in force.
    WouldLower,
    /// The level is above the one in force.
    WouldRaise,
}
