//! Changes this broker asks for itself: topics made on first use, internal ones among them, producer ids.

use controller::{ControllerError, NewTopic, TopicDefaults};
use meta::Image;
use model::{ProducerId, TopicId, TopicName, Uuid};
use quorum::UpdateError;
use rt::Rt;

use crate::node::Node;

/// A fresh id.
pub fn draw_uuid(rt: &Rt) -> Uuid {
    loop {
        if let Some(id) = Uuid::from_random(rt.random_bytes()) {
            return id;
        }
    }
}

/// A fresh topic id.
pub fn draw_topic_id(rt: &Rt) -> TopicId {
    TopicId(draw_uuid(rt))
}

impl Node {
    /// Makes a topic that somebody asked for, with the defaults, or an internal one as it has to be; nothing to do where it exists meanwhile.
    pub async fn create_topic_automatically(
        &self,
        name: &TopicName,
    ) -> Result<(), UpdateError<ControllerError>> {
        if *name == TopicName::consumer_offsets() {
            return self.create_if_missing(controller::offsets_topic(self.config())).await;
        }
        if *name == TopicName::transaction_state() {
            return self.create_if_missing(controller::transactions_topic(self.config())).await;
        }
        self.create_if_missing(NewTopic {
            name: name.to_string(),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        })
        .await
    }

    async fn create_if_missing(&self, topic: NewTopic) -> Result<(), UpdateError<ControllerError>> {
        let defaults = TopicDefaults::from(self.config());
        let rt = self.rt.clone();
        let decide = move |image: &Image| {
            let draw_id = || draw_topic_id(&rt);
            let mut decision =
                controller::create_topics(image, defaults, std::slice::from_ref(&topic), draw_id);
            match decision.answers.pop() {
                Some((_, Err(ControllerError::TopicExists(_)))) => Ok((Vec::new(), ())),
                Some((_, Err(error))) => Err(error),
                Some((_, Ok(_))) | None => Ok((decision.records, ())),
            }
        };
        self.change(decide).await
    }

    /// An id for an idempotent producer, never given before (KIP-730).
    pub async fn next_producer_id(&self) -> Result<ProducerId, UpdateError<ControllerError>> {
        let allocate = || async {
            let (id, epoch) = (self.id(), self.broker_epoch);
            let decide = move |image: &Image| {
                let (block, records) = controller::allocate_producer_ids(image, id, epoch)?;
                Ok((records, block))
            };
            let block = self.change(decide).await?;
            Ok(block.first.0..block.end.0)
        };
        self.producer_ids.next(allocate).await
    }
}
