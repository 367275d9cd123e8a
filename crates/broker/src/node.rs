//! This broker as its handlers see it: the image, the partitions it leads, its coordinators, and the way to change things.
//!
//! - N1 Handlers read the image and never ask the controller (D5).
//! - N2 A change is answered once it is committed *and* this broker has opened or closed what it is about, so
//!   that a client finds on its next request what the answer promised.

use std::path::PathBuf;
use std::sync::Arc;

use config::{BrokerConfig, Layers, Settings, TopicConfig};
use controller::ControllerError;
use group::{CommitRequest, CommittedTopic, Event, Reply};
use meta::{BrokerEpoch, ConfigResource, Image, Index, MetadataRecord, Topic};
use model::{
    BrokerId, ClusterId, ErrorCode, LeaderEpoch, PartitionIndex, Ticket, TopicId, TopicName, limits,
};
use net::Admission;
use quorum::{Quorum, UpdateError};
use rt::Rt;
use rt::channel::watch;

use crate::checkpointer::Checkpointer;
use crate::coordinator::{CoordinatorError, Coordinators, Groups, Transactions};
use crate::damage::Damage;
use crate::disk::DiskSpace;
use crate::error::PartitionError;
use crate::fetch_sessions::FetchSessions;
use crate::host_limits::HostLimits;
use crate::listeners::Listeners;
use crate::partition::{Partition, PartitionTable};
use crate::producer_ids::ProducerIds;

/// Everything the handlers share.
pub struct Node {
    pub(crate) rt: Rt,
    pub(crate) config: BrokerConfig,
    pub(crate) settings: Settings,
    pub(crate) cluster_id: ClusterId,
    /// The number of this process's registration.
    pub(crate) broker_epoch: BrokerEpoch,
    pub(crate) quorum: Quorum,
    /// The data folder, from the root.
    pub(crate) data_dir: PathBuf,
    /// The index up to which this broker has opened and closed its partitions.
    pub(crate) applied: watch::Receiver<Index>,
    pub(crate) partitions: PartitionTable,
    /// Of groups.
    pub(crate) coordinators: Coordinators<Groups>,
    /// Of transactions.
    pub(crate) transactions: Coordinators<Transactions>,
    pub(crate) fetch_sessions: FetchSessions,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) checkpointer: Checkpointer,
    pub(crate) disk: DiskSpace,
    pub(crate) damage: Damage,
    /// Counts connections and lets no more in than configured.
    pub(crate) admission: Admission,
    pub(crate) host_limits: HostLimits,
    pub(crate) listeners: Listeners,
    /// Set once the broker stops: whoever waits for something to happen gives up.
    pub(crate) stopping: watch::Sender<bool>,
}

impl Node {
    /// The runtime.
    pub fn rt(&self) -> &Rt {
        &self.rt
    }

    /// This broker's number.
    pub fn id(&self) -> BrokerId {
        self.config.node_id
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> ClusterId {
        self.cluster_id
    }

    /// This broker's settings.
    pub fn config(&self) -> &BrokerConfig {
        &self.config
    }

    /// Whether clients are told a fixed address instead of the one they came to.
    pub fn has_advertised_listeners(&self) -> bool {
        !self.config.advertised_listeners.is_empty()
    }

    /// The image as it is now.
    pub fn image(&self) -> Arc<Image> {
        self.quorum.image()
    }

    /// The group coordinators of this broker.
    pub fn coordinators(&self) -> &Coordinators<Groups> {
        &self.coordinators
    }

    /// The fetch sessions of this broker.
    pub fn fetch_sessions(&self) -> &FetchSessions {
        &self.fetch_sessions
    }

    /// Writes down where every log starts; whoever says that records are gone does this first.
    pub async fn write_log_starts(&self) -> std::io::Result<()> {
        self.disk.make_room().await;
        self.checkpointer.write_log_starts(&self.partitions).await
    }

    /// The layers of configuration below a topic's own settings.
    pub fn layers<'a>(&'a self, image: &'a Image) -> Layers<'a> {
        controller::layers(image, self.id(), &self.settings)
    }

    /// This broker's settings with what changed since it started.
    pub fn current_config(&self) -> BrokerConfig {
        BrokerConfig::resolve(&self.layers(&self.image())).unwrap_or_else(|_| self.config.clone())
    }

    /// Puts in force what is configured by now of listeners and connections.
    pub(crate) async fn configure(&self, image: &Image) {
        let Ok(config) = BrokerConfig::resolve(&self.layers(image)) else { return };
        self.limit_connections(&config);
        self.listeners.follow(&self.rt, &config.listeners).await;
    }

    /// Puts the configured limits of connections in force for those that come from now on.
    ///
    /// Connections leave descriptors to files: a log that cannot open its next segment takes no records.
    pub(crate) fn limit_connections(&self, config: &BrokerConfig) {
        let descriptors = self.rt.descriptors_max();
        let wanted = config.connections_max.min(limits::CONNECTIONS_MAX);
        let total = wanted.min(descriptors - descriptors_for_files(&self.rt));
        if total < wanted {
            tracing::info!(
                "at most {total} connections are served at a time: this process may open {descriptors} files"
            );
        }
        self.admission.change(|limits| {
            limits.total = total;
            limits.per_address = config.connections_per_ip_max;
            limits.per_second = config.connections_per_second_max;
        });
        self.host_limits.want(&config.connections_per_ip_overrides);
    }

    /// A partition led here, by its topic's name.
    pub fn partition_by_name(
        &self,
        name: &str,
        index: PartitionIndex,
    ) -> Result<Arc<Partition>, PartitionError> {
        let image = self.image();
        let topic = image.topic_named(name).ok_or_else(|| PartitionError::UnknownTopic(name.to_owned()))?;
        self.partition_of(topic, index)
    }

    /// A partition led here, by its topic's id.
    pub fn partition_by_id(
        &self,
        id: TopicId,
        index: PartitionIndex,
    ) -> Result<Arc<Partition>, PartitionError> {
        let image = self.image();
        let topic = image.topic(id).ok_or(PartitionError::UnknownTopicId(id))?;
        self.partition_of(topic, index)
    }

    fn partition_of(&self, topic: &Topic, index: PartitionIndex) -> Result<Arc<Partition>, PartitionError> {
        if let Some(partition) = self.partitions.find(topic.id, index) {
            return Ok(partition);
        }
        let state = topic
            .partition(index)
            .ok_or_else(|| PartitionError::UnknownPartition(topic.name.clone(), index))?;
        if state.leader == self.id() {
            // Led here and not open: its log is damaged, or is being opened.
            Err(PartitionError::Storage(format!("partition {index} of '{}' is not open", topic.name)))
        } else {
            Err(PartitionError::NotLeader(topic.name.clone(), index))
        }
    }

    /// Who leads a partition, and in which epoch.
    pub fn leader_of(&self, topic: &TopicName, index: PartitionIndex) -> Option<(BrokerId, LeaderEpoch)> {
        let image = self.image();
        let partition = image.topic_named(topic.as_str())?.partition(index)?;
        (partition.leader != BrokerId::NONE).then_some((partition.leader, partition.leader_epoch))
    }

    /// Commits what `decide` makes of the image, and waits until this broker has carried it out (N2).
    ///
    /// No other change comes between the image `decide` sees and its records.
    pub async fn change<T, E>(
        &self,
        decide: impl FnOnce(&Image) -> Result<(Vec<MetadataRecord>, T), E> + Send + 'static,
    ) -> Result<T, UpdateError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.disk.make_room().await;
        let updated = self.quorum.update(decide).await?;
        if let Some(index) = updated.index {
            // The sender lives as long as the broker; without it nothing is served anyway.
            let _ = self.applied.clone().wait_for(|applied| index < *applied).await;
        }
        Ok(updated.value)
    }

    /// The partition of an internal topic that keeps `id`, once the topic exists.
    pub async fn coordinator_partition(
        &self,
        topic: &TopicName,
        id: &str,
    ) -> Result<PartitionIndex, UpdateError<ControllerError>> {
        if self.image().topic_named(topic.as_str()).is_none() {
            self.create_topic_automatically(topic).await?;
        }
        Ok(self.partition_keeping(topic, id).unwrap_or(PartitionIndex(0)))
    }

    /// The partition of `__consumer_offsets` that keeps a group, if the topic exists.
    pub fn group_partition(&self, group_id: &str) -> Option<PartitionIndex> {
        self.partition_keeping(&TopicName::consumer_offsets(), group_id)
    }

    /// The partition of `__transaction_state` that keeps a transactional id, if the topic exists.
    pub fn transaction_partition(&self, transactional_id: &str) -> Option<PartitionIndex> {
        self.partition_keeping(&TopicName::transaction_state(), transactional_id)
    }

    fn partition_keeping(&self, topic: &TopicName, id: &str) -> Option<PartitionIndex> {
        let image = self.image();
        let topic = image.topic_named(topic.as_str())?;
        Some(PartitionIndex(model::coordinator_partition(id, topic.partition_count())))
    }

    /// Puts a request to a group's coordinator.
    pub async fn ask_group(
        &self,
        group_id: &str,
        event: impl FnOnce(Ticket) -> Event + Send + 'static,
    ) -> Result<Reply, ErrorCode> {
        let partition = self.group_partition(group_id).ok_or(ErrorCode::NotCoordinator)?;
        self.coordinators.ask(partition, event).await.map_err(CoordinatorError::code)
    }

    /// Asks a group's coordinator to keep offsets; answered once they are on the disk.
    pub async fn commit_offsets(&self, request: CommitRequest) -> Result<Vec<CommittedTopic>, ErrorCode> {
        let group_id = request.group_id.clone();
        match self.ask_group(group_id.as_str(), move |ticket| Event::CommitOffsets(ticket, request)).await? {
            Reply::CommitOffsets(committed) => Ok(committed),
            other => unreachable!("a commit was answered with {other:?}"),
        }
    }
}

/// A topic's settings as they are in this image.
pub(crate) fn topic_config(
    settings: &Settings,
    image: &Image,
    broker: BrokerId,
    topic: &TopicName,
) -> TopicConfig {
    let own = image.config(&ConfigResource::topic(topic)).map(Arc::as_ref);
    TopicConfig::resolve(&controller::layers(image, broker, settings), own)
}

/// How many descriptors of the process connections leave to files.
pub(crate) fn descriptors_for_files(rt: &Rt) -> u32 {
    limits::FILE_DESCRIPTORS_RESERVED.min(rt.descriptors_max() / 2)
}
