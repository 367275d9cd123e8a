//! What the controller decides: an image and a request in, metadata records or a refusal out.
//!
//! - C1 Pure: no clock, no randomness, no I/O; ids come in as arguments.
//! - C2 The records of a decision apply, as one entry, to the image they were decided on.
//! - C3 A decision that is not proposed never happened: that is all "validate only" means.
//!
//! Knows nothing of the wire's versions, of permissions, or of how records get committed.

mod broker;
mod configs;
mod error;
mod features;
mod partitions;
mod placement;
mod replicas;
mod topics;

pub use broker::{
    PRODUCER_ID_BLOCK, ProducerIdBlock, Registration, allocate_producer_ids, create_cluster, layers,
    register_broker,
};
pub use configs::{Alteration, AlterationKind, alter_configs, replace_configs};
pub use error::ControllerError;
pub use features::{
    FEATURES, Feature, FeatureChange, FeatureRefusal, FeatureUpdate, transaction_version, update_feature,
};
pub use partitions::{MorePartitions, create_partitions};
pub use replicas::{Election, elect_leader, reassign};
pub use topics::{
    CreatedTopic, DeletedTopic, NewTopic, TopicDefaults, TopicTarget, create_topics, delete_topics,
    offsets_topic, transactions_topic,
};

use meta::{Image, MetadataRecord};

/// A decision about several things at once, each answered for itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<T> {
    /// What to propose, as one entry; empty when nothing was granted.
    pub records: Vec<MetadataRecord>,
    /// The answers, in the order of the request, without repetitions.
    pub answers: Vec<T>,
}

/// The image as it will be, so that later parts of a request are decided knowing the earlier ones.
fn decided(image: &mut Image, records: &[MetadataRecord]) {
    image
        .apply_entry(image.next_index(), records)
        .expect("C2: decisions apply to the image they were made on");
}

#[cfg(test)]
mod tests;
