//! The cluster's birth, brokers' registrations, and what a broker asks for itself.

use config::{Layers, Settings};
use meta::{Broker, BrokerEpoch, ConfigResource, Endpoint, Image, MetadataRecord};
use model::{BrokerId, ClusterId, ProducerId, Uuid};

use crate::error::ControllerError;

/// Producer ids a broker gets at a time, as in Kafka.
pub const PRODUCER_ID_BLOCK: i64 = 1000;

/// Producer ids that are a broker's to hand out: `first`, and so on below `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first of them.
    pub first: ProducerId,
    /// The first that is not among them.
    pub end: ProducerId,
}

/// A broker as it presents itself at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The cluster it believes it belongs to.
    pub cluster_id: ClusterId,
    /// Its number.
    pub id: BrokerId,
    /// Drawn anew at every start of the process.
    pub incarnation: Uuid,
    /// Where clients reach it.
    pub endpoints: Vec<Endpoint>,
    /// The ids of its data folders.
    pub directories: Vec<Uuid>,
    /// Where it stands.
    pub rack: Option<String>,
}

/// The layers below a topic's own configuration, as one broker sees them.
pub fn layers<'a>(image: &'a Image, broker: BrokerId, fixed: &'a Settings) -> Layers<'a> {
    let set_on = |resource: &ConfigResource| image.config(resource).map(std::convert::AsRef::as_ref);
    Layers {
        broker: set_on(&ConfigResource::broker(broker)),
        all_brokers: set_on(&ConfigResource::all_brokers()),
        fixed,
    }
}

/// Gives a new cluster its id; nothing to do where it has this one already.
pub fn create_cluster(image: &Image, asked: ClusterId) -> Result<Vec<MetadataRecord>, ControllerError> {
    match image.cluster_id() {
        None => Ok(vec![MetadataRecord::ClusterCreated { cluster_id: asked }]),
        Some(ours) if ours == asked => Ok(Vec::new()),
        Some(ours) => Err(ControllerError::OtherCluster { ours, asked }),
    }
}

/// Registers a broker. The epoch is the entry's index, so it grows with every registration, as in Kafka.
pub fn register_broker(
    image: &Image,
    registration: Registration,
) -> Result<(BrokerEpoch, Vec<MetadataRecord>), ControllerError> {
    let mut records = create_cluster(image, registration.cluster_id)?;
    let epoch = BrokerEpoch(i64::try_from(image.next_index().0).unwrap_or(i64::MAX));
    let Registration { cluster_id: _, id, incarnation, endpoints, directories, rack } = registration;
    records.push(MetadataRecord::BrokerRegistered(Broker {
        id,
        epoch,
        incarnation,
        endpoints,
        directories,
        rack,
    }));
    Ok((epoch, records))
}

/// Hands the next block of producer ids to a broker.
pub fn allocate_producer_ids(
    image: &Image,
    broker_id: BrokerId,
    broker_epoch: BrokerEpoch,
) -> Result<(ProducerIdBlock, Vec<MetadataRecord>), ControllerError> {
    let broker = image.broker(broker_id).ok_or(ControllerError::BrokerNotRegistered(broker_id))?;
    if broker.epoch != broker_epoch {
        let (current, asked) = (broker.epoch.0, broker_epoch.0);
        return Err(ControllerError::StaleBrokerEpoch { broker: broker_id, current, asked });
    }
    let first = image.next_producer_id();
    let next = first.0.checked_add(PRODUCER_ID_BLOCK).map(ProducerId);
    let next = next.ok_or(ControllerError::OutOfProducerIds)?;
    let record = MetadataRecord::ProducerIdsAllocated { broker_id, broker_epoch, next };
    Ok((ProducerIdBlock { first, end: next }, vec![record]))
}
