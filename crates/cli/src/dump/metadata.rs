//! The metadata log: its entries, the images beside them, the vote.

use std::path::Path;

use log::inspect::batches::StoredBatch;
use meta::{Broker, ConfigResource, ConfigResourceKind, MetadataRecord, Partition, ReplicationFactor};
use quorum::{Entry, Payload, Snapshot, Vote};
use record::RecordView;

use crate::cell::Cell;
use crate::dump::{Dump, natural, time};
use crate::failure::Failure;
use crate::output::{Column, column, wide};

pub(super) const COLUMNS: [Column; 6] =
    [column("index"), wide("timestamp"), wide("term"), wide("leader"), column("kind"), column("change")];

/// The rows of an entry: one for each change.
pub(super) fn rows(batch: &StoredBatch, view: &RecordView<'_>) -> Result<Vec<Vec<Cell>>, String> {
    let entry = Entry::from_batch(&batch.bytes).map_err(|error| error.to_string())?;
    let row = |kind: &str, change: Cell| {
        vec![
            natural(entry.index.0),
            time(view.timestamp),
            natural(entry.term.0),
            Cell::Int(entry.leader.0.into()),
            Cell::text(kind),
            change,
        ]
    };
    Ok(match &entry.payload {
        Payload::Blank => vec![row("Blank", Cell::None)],
        Payload::Voters(voters) => {
            let ids = voters.iter().map(|id| Cell::Int(id.0.into())).collect();
            vec![row("Voters", Cell::Object(vec![("voters", Cell::List(ids))]))]
        }
        Payload::Records(records) => {
            records.iter().map(|record| change(record)).map(|(kind, fields)| row(kind, fields)).collect()
        }
    })
}

impl Dump {
    /// An image of the cluster at one index.
    pub(super) async fn image(&mut self, path: &Path) -> Result<(), Failure> {
        let bytes = self.blocking(path, |fs, path| fs.read(path)).await?;
        self.heading(path, "image of the metadata", u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        match Snapshot::decode(&bytes) {
            Ok(snapshot) => {
                let columns = [column("next_index"), column("term"), column("hash")];
                let hash = format!("{:016x}", snapshot.image.hash().0);
                let (next, term) = (snapshot.image.next_index().0, snapshot.term.0);
                self.rows(path, &columns, vec![vec![natural(next), natural(term), Cell::Text(hash)]]);
                let records = snapshot.image.to_records();
                let row = |record| {
                    let (kind, fields) = change(record);
                    vec![Cell::text(kind), fields]
                };
                self.rows(path, &[column("kind"), column("change")], records.iter().map(row).collect());
            }
            Err(problem) => self.flaw(path, 0, &problem),
        }
        Ok(())
    }

    /// Whom the node follows.
    pub(super) async fn vote(&mut self, path: &Path) -> Result<(), Failure> {
        let bytes = self.blocking(path, |fs, path| fs.read(path)).await?;
        self.heading(path, "vote", u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        match Vote::decode(&bytes) {
            Some(vote) => {
                let columns = [column("term"), column("leader"), column("committed")];
                let row =
                    vec![natural(vote.term.0), Cell::Int(vote.leader.0.into()), Cell::Bool(vote.committed)];
                self.rows(path, &columns, vec![row]);
            }
            None => self.flaw(path, 0, &"its lines or their checksum are wrong"),
        }
        Ok(())
    }
}

/// What a record says: its name and its fields.
fn change(record: &MetadataRecord) -> (&'static str, Cell) {
    let (kind, fields) = match record {
        MetadataRecord::ClusterCreated { cluster_id } => {
            ("ClusterCreated", vec![("cluster_id", Cell::text(cluster_id))])
        }
        MetadataRecord::BrokerRegistered(broker) => ("BrokerRegistered", broker_fields(broker)),
        MetadataRecord::TopicCreated { topic_id, name, replication_factor } => (
            "TopicCreated",
            vec![
                ("topic_id", Cell::text(topic_id)),
                ("topic", Cell::text(name)),
                (
                    "replication_factor",
                    Cell::text(match replication_factor {
                        ReplicationFactor::Stated => "stated",
                        ReplicationFactor::Automatic => "automatic",
                    }),
                ),
            ],
        ),
        MetadataRecord::PartitionCreated { topic_id, partition, state } => {
            ("PartitionCreated", partition_fields(topic_id, *partition, state))
        }
        MetadataRecord::PartitionChanged { topic_id, partition, state } => {
            ("PartitionChanged", partition_fields(topic_id, *partition, state))
        }
        MetadataRecord::TopicDeleted { topic_id } => {
            ("TopicDeleted", vec![("topic_id", Cell::text(topic_id))])
        }
        MetadataRecord::ConfigSet { resource, key, value } => {
            let mut fields = resource_fields(resource);
            fields.extend([("key", Cell::text(key)), ("value", Cell::text(value))]);
            ("ConfigSet", fields)
        }
        MetadataRecord::ConfigRemoved { resource, key } => {
            let mut fields = resource_fields(resource);
            fields.push(("key", Cell::text(key)));
            ("ConfigRemoved", fields)
        }
        MetadataRecord::ProducerIdsAllocated { broker_id, broker_epoch, next } => (
            "ProducerIdsAllocated",
            vec![
                ("broker", Cell::Int(broker_id.0.into())),
                ("broker_epoch", Cell::Int(broker_epoch.0)),
                ("next", Cell::Int(next.0)),
            ],
        ),
        MetadataRecord::FeatureLevelSet { feature, level } => {
            ("FeatureLevelSet", vec![("feature", Cell::text(feature)), ("level", Cell::Int((*level).into()))])
        }
    };
    (kind, Cell::Object(fields))
}

type Fields = Vec<(&'static str, Cell)>;

fn broker_fields(broker: &Broker) -> Fields {
    let endpoints = broker.endpoints.iter().map(|endpoint| {
        Cell::text(format_args!("{}://{}:{}", endpoint.listener, endpoint.host, endpoint.port))
    });
    vec![
        ("broker", Cell::Int(broker.id.0.into())),
        ("broker_epoch", Cell::Int(broker.epoch.0)),
        ("incarnation", Cell::text(broker.incarnation)),
        ("endpoints", Cell::List(endpoints.collect())),
        ("directories", Cell::List(broker.directories.iter().map(Cell::text).collect())),
        ("rack", Cell::maybe(broker.rack.as_ref())),
    ]
}

fn partition_fields(
    topic_id: &model::TopicId,
    partition: model::PartitionIndex,
    state: &Partition,
) -> Fields {
    let brokers = |ids: &mut dyn Iterator<Item = model::BrokerId>| {
        Cell::List(ids.map(|id| Cell::Int(id.0.into())).collect())
    };
    vec![
        ("topic_id", Cell::text(topic_id)),
        ("partition", Cell::Int(partition.0.into())),
        ("leader", Cell::Int(state.leader.0.into())),
        ("leader_epoch", Cell::Int(state.leader_epoch.0.into())),
        ("partition_epoch", Cell::Int(state.partition_epoch.0.into())),
        ("replicas", brokers(&mut state.replicas.iter().map(|replica| replica.broker))),
        ("isr", brokers(&mut state.isr.iter().copied())),
    ]
}

fn resource_fields(resource: &ConfigResource) -> Fields {
    let kind = match resource.kind {
        ConfigResourceKind::Topic => "topic",
        ConfigResourceKind::Broker => "broker",
        ConfigResourceKind::ClientMetrics => "client_metrics",
        ConfigResourceKind::Group => "group",
    };
    vec![("resource", Cell::text(kind)), ("name", Cell::text(&resource.name))]
}
