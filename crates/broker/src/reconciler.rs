//! Carrying out what the metadata log committed: opening, reconfiguring and closing this broker's partitions.
//!
//! - R1 Committed changes are carried out in order, partitions to be opened that follow each other together; `applied`
//!   says how far. A change that fails is logged and passed: the image stays what the cluster agreed on, and the
//!   partition concerned answers with its error.
//! - R2 A partition that the file system refused to open, as a full one does, is tried again until it is open.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use config::TopicConfig;
use log::LogError;
use meta::{Change, ConfigResource, ConfigResourceKind, Image, Index, Topic};
use model::{PartitionIndex, TopicId, TopicName, TopicPartition};
use quorum::Committed;
use rt::channel::{mpsc, watch};

use crate::node::{Node, topic_config};
use crate::partition::{Opener, Opening};

/// Partitions opened by one piece of blocking work: few enough to spread over threads, many enough that the hand-over
/// between them costs little beside the opening.
const OPENINGS_PER_HAND: usize = 16;

/// The task that keeps this broker's partitions as the image has them.
pub struct Reconciler {
    node: Arc<Node>,
    opener: Arc<Opener>,
    applied: watch::Sender<Index>,
    unopened: Unopened,
}

/// Partitions whose files the disk refused, to be opened when it no longer does.
type Unopened = Arc<std::sync::Mutex<BTreeSet<TopicPartition>>>;

/// How often they are tried again.
const OPEN_RETRY: Duration = Duration::from_secs(1);

impl Reconciler {
    /// Nothing is carried out yet.
    pub fn new(node: Arc<Node>, opener: Arc<Opener>, applied: watch::Sender<Index>) -> Reconciler {
        Reconciler { node, opener, applied, unopened: Unopened::default() }
    }

    /// Opens everything that this broker leads in the image it starts with.
    pub async fn open_all(&self, image: &Image) {
        let of_topic = |topic: &Arc<Topic>| {
            let topic_id = topic.id;
            let indexes: Vec<PartitionIndex> = topic.partitions().map(|(index, _)| index).collect();
            indexes.into_iter().map(move |partition| TopicPartition { topic_id, partition })
        };
        self.take_up(image, image.topics().flat_map(of_topic).collect()).await;
        self.applied.send_replace(image.next_index());
    }

    /// Carries out what is committed from now on.
    pub async fn run(self, mut committed: mpsc::Receiver<Committed>) {
        loop {
            let is_waiting = !lock(&self.unopened).is_empty();
            rt::select! {
                committed = committed.recv() => {
                    let Some(Committed { image, changes, .. }) = committed else { return };
                    self.carry_out(&image, changes).await;
                    self.applied.send_replace(image.next_index());
                }
                () = self.node.rt().sleep(OPEN_RETRY), if is_waiting => self.open_again().await,
            }
        }
    }

    /// Tries what could not be opened; what is gone from the image is forgotten.
    async fn open_again(&self) {
        let waiting = {
            let mut unopened = lock(&self.unopened);
            unopened.retain(|id| self.node.image().partition(*id).is_some());
            unopened.clone()
        };
        self.take_up(&self.node.image(), waiting).await;
    }

    async fn carry_out(&self, image: &Image, changes: Vec<Change>) {
        let mut to_take_up = BTreeSet::new();
        for change in changes {
            match change {
                Change::PartitionCreated(id) | Change::PartitionChanged(id) => {
                    to_take_up.insert(id);
                }
                Change::TopicDeleted(topic) => {
                    self.take_up(image, std::mem::take(&mut to_take_up)).await;
                    self.delete(&topic).await;
                }
                Change::ConfigChanged(resource) => {
                    self.take_up(image, std::mem::take(&mut to_take_up)).await;
                    self.configure(image, &resource).await;
                }
                // Partitions follow with changes of their own; the rest is only looked up in the image.
                Change::ClusterCreated(_)
                | Change::BrokerRegistered(_)
                | Change::TopicCreated(_)
                | Change::ProducerIdsAllocated { .. }
                | Change::FeatureLevelSet(_) => {}
            }
        }
        self.take_up(image, to_take_up).await;
    }

    /// Opens those of the partitions that this broker leads and has not opened: a bounded number at a time, because each
    /// may read its log; several in a hand, because most read nothing.
    async fn take_up(&self, image: &Image, partitions: BTreeSet<TopicPartition>) {
        let openings = self.openings(image, partitions);
        let hands = openings.len().min(self.node.rt().lanes() * 4);
        let queue = Arc::new(std::sync::Mutex::new(openings.into_iter()));
        let (done, mut all_done) = mpsc::channel::<()>(1);
        for _ in 0..hands {
            let (queue, done) = (Arc::clone(&queue), done.clone());
            let (node, opener) = (Arc::clone(&self.node), Arc::clone(&self.opener));
            let unopened = Arc::clone(&self.unopened);
            self.node.rt().spawn("partition opener", async move {
                loop {
                    let hand: Vec<Opening> = {
                        let mut queue = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        // Fewer towards the end, so that no hand is left alone with many logs to read.
                        let count = (queue.len() / (4 * hands)).clamp(1, OPENINGS_PER_HAND);
                        queue.by_ref().take(count).collect()
                    };
                    if hand.is_empty() {
                        break;
                    }
                    open(&node, &opener, &unopened, hand).await;
                }
                drop(done);
            });
        }
        drop(done);
        let _ = all_done.recv().await;
    }

    fn openings(&self, image: &Image, partitions: BTreeSet<TopicPartition>) -> Vec<Opening> {
        // In the order of their topics, whose settings are put together once for all partitions.
        let mut last: Option<(TopicId, Arc<TopicConfig>)> = None;
        let opening = |id: TopicPartition| {
            let topic = image.topic(id.topic_id)?;
            let state = topic.partition(id.partition)?;
            if state.leader != self.node.id()
                || self.node.partitions.find(id.topic_id, id.partition).is_some()
            {
                return None;
            }
            if last.as_ref().is_none_or(|(topic_id, _)| *topic_id != id.topic_id) {
                last = Some((id.topic_id, self.config(image, topic)));
            }
            let (_, config) = last.as_ref()?;
            Some(Opening {
                id,
                topic: topic.name.clone(),
                leader_epoch: state.leader_epoch,
                replicas: state.replicas.len(),
                config: Arc::clone(config),
            })
        };
        partitions.into_iter().filter_map(opening).collect()
    }

    async fn configure(&self, image: &Image, resource: &ConfigResource) {
        match resource.kind {
            ConfigResourceKind::Topic => self.reconfigure(image, Some(&resource.name)).await,
            ConfigResourceKind::Broker => {
                self.node.configure(image).await;
                self.reconfigure(image, None).await;
            }
            ConfigResourceKind::ClientMetrics | ConfigResourceKind::Group => {}
        }
    }

    fn config(&self, image: &Image, topic: &Topic) -> Arc<TopicConfig> {
        Arc::new(topic_config(&self.node.settings, image, self.node.id(), &topic.name))
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
            } else if topic.name == TopicName::transaction_state() {
                self.node.transactions.stop(index);
            }
            delay = delay.max(Duration::from_millis(partition.config().file_delete_delay_ms));
            self.opener.delete(&partition).await;
        }
        drop(no_checkpoint);
        self.opener.remove_put_away_after(delay);
        let deleted = || group::Event::TopicDeleted(topic.name.clone(), topic.id);
        self.node.coordinators.tell_all(deleted).await;
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

async fn open(node: &Arc<Node>, opener: &Opener, unopened: &Unopened, hand: Vec<Opening>) {
    for (topic, id, opened) in opener.open(hand).await {
        match opened {
            Ok(partition) => {
                lock(unopened).remove(&id);
                node.partitions.insert(Arc::clone(&partition));
                if topic == TopicName::consumer_offsets() {
                    node.coordinators.start(partition);
                } else if topic == TopicName::transaction_state() {
                    node.transactions.start(partition);
                }
            }
            Err(error) => {
                let is_tried_again = matches!(error, LogError::Io(_));
                if !is_tried_again || lock(unopened).insert(id) {
                    tracing::error!("partition {topic}-{} cannot be served: {error}", id.partition);
                }
            }
        }
    }
}

fn lock(unopened: &Unopened) -> std::sync::MutexGuard<'_, BTreeSet<TopicPartition>> {
    unopened.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
