//! Carrying out what the metadata log committed: opening, reconfiguring and closing this broker's partitions.
//!
//! - R1 Committed changes are carried out in order; `applied` says how far. A change that fails is logged and
//!   passed: the image stays what the cluster agreed on, and the partition concerned answers with its error.

use std::sync::Arc;
use std::time::Duration;

use meta::{Change, ConfigResourceKind, Image, Index, Partition as State, Topic};
use model::{PartitionIndex, TopicName, TopicPartition};
use quorum::Committed;
use rt::channel::{mpsc, watch};

use crate::node::{Node, topic_config};
use crate::partition::{Opener, Opening};

/// The task that keeps this broker's partitions as the image has them.
pub struct Reconciler {
    node: Arc<Node>,
    opener: Arc<Opener>,
    applied: watch::Sender<Index>,
}

impl Reconciler {
    /// Nothing is carried out yet.
    pub fn new(node: Arc<Node>, opener: Arc<Opener>, applied: watch::Sender<Index>) -> Reconciler {
        Reconciler { node, opener, applied }
    }

    /// Opens everything that this broker leads in the image it starts with.
    pub async fn open_all(&self, image: &Image) {
        let mut openings = Vec::new();
        for topic in image.topics() {
            for (index, state) in topic.partitions() {
                openings.extend(self.opening(image, topic, index, state));
            }
        }
        // A bounded number at a time: each may read its log.
        let (queue, next) =
            (Arc::new(std::sync::Mutex::new(openings.into_iter())), self.node.rt().lanes() * 4);
        let (done, mut all_done) = mpsc::channel::<()>(1);
        for _ in 0..next {
            let (queue, done) = (Arc::clone(&queue), done.clone());
            let (node, opener) = (Arc::clone(&self.node), Arc::clone(&self.opener));
            self.node.rt().spawn("partition opener", async move {
                let take = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
                while let Some(opening) = take() {
                    open(&node, &opener, opening).await;
                }
                drop(done);
            });
        }
        drop(done);
        let _ = all_done.recv().await;
        self.applied.send_replace(image.next_index());
    }

    /// Carries out what is committed from now on.
    pub async fn run(self, mut committed: mpsc::Receiver<Committed>) {
        while let Some(Committed { image, changes, .. }) = committed.recv().await {
            for change in changes {
                self.carry_out(&image, change).await;
            }
            self.applied.send_replace(image.next_index());
        }
    }

    async fn carry_out(&self, image: &Image, change: Change) {
        match change {
            Change::PartitionCreated(id) | Change::PartitionChanged(id) => self.take_up(image, id).await,
            Change::TopicDeleted(topic) => self.delete(&topic).await,
            Change::ConfigChanged(resource) => match resource.kind {
                ConfigResourceKind::Topic => self.reconfigure(image, Some(&resource.name)).await,
                ConfigResourceKind::Broker => {
                    self.node.limit_connections(image);
                    self.reconfigure(image, None).await;
                }
                ConfigResourceKind::ClientMetrics | ConfigResourceKind::Group => {}
            },
            // Partitions follow with changes of their own; the rest is only looked up in the image.
            Change::ClusterCreated(_)
            | Change::BrokerRegistered(_)
            | Change::TopicCreated(_)
            | Change::ProducerIdsAllocated { .. } => {}
        }
    }

    async fn take_up(&self, image: &Image, id: TopicPartition) {
        let Some(topic) = image.topic(id.topic_id) else { return };
        let Some(state) = topic.partition(id.partition) else { return };
        if let Some(opening) = self.opening(image, topic, id.partition, state)
            && self.node.partitions.find(id.topic_id, id.partition).is_none()
        {
            open(&self.node, &self.opener, opening).await;
        }
    }

    fn opening(&self, image: &Image, topic: &Topic, index: PartitionIndex, state: &State) -> Option<Opening> {
        let node = &self.node;
        (state.leader == node.id()).then(|| Opening {
            id: TopicPartition { topic_id: topic.id, partition: index },
            topic: topic.name.clone(),
            leader_epoch: state.leader_epoch,
            replicas: state.replicas.len(),
            config: Arc::new(topic_config(&node.settings, image, node.id(), &topic.name)),
        })
    }

    async fn delete(&self, topic: &Topic) {
        // A checkpoint gathered before would bring back the lines that go with the folders.
        let no_checkpoint = self.node.checkpointer.pause().await;
        let mut delay = Duration::ZERO;
        for (index, _) in topic.partitions() {
            let id = TopicPartition { topic_id: topic.id, partition: index };
            let Some(partition) = self.node.partitions.remove(id) else { continue };
            if topic.name == TopicName::consumer_offsets() {
                self.node.coordinators.stop(index);
            }
            delay = delay.max(Duration::from_millis(partition.config().file_delete_delay_ms));
            self.opener.delete(&partition).await;
        }
        drop(no_checkpoint);
        self.opener.remove_put_away_after(delay);
        self.node.coordinators.topic_deleted(&topic.name, topic.id).await;
    }

    /// One topic's settings changed, or a broker's, which are every topic's defaults.
    async fn reconfigure(&self, image: &Image, topic: Option<&str>) {
        for partition in self.node.partitions.all() {
            if topic.is_none_or(|name| partition.topic.as_str() == name) {
                let config = topic_config(&self.node.settings, image, self.node.id(), &partition.topic);
                self.opener.reconfigure(&partition, Arc::new(config)).await;
            }
        }
    }
}

async fn open(node: &Arc<Node>, opener: &Opener, opening: Opening) {
    let (topic, index) = (opening.topic.clone(), opening.id.partition);
    match opener.open(opening).await {
        Ok(partition) => {
            node.partitions.insert(Arc::clone(&partition));
            if topic == TopicName::consumer_offsets() {
                node.coordinators.start(partition);
            }
        }
        Err(error) => tracing::error!("partition {topic}-{index} cannot be served: {error}"),
    }
}
