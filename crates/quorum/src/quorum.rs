//! The door: what the rest of the process sees of the metadata log.
//!
//! Handles are cheap to clone; one task behind them (`leader`) decides, writes and publishes.

use std::collections::BTreeSet;
use std::sync::Arc;

use log::LogReader;
use meta::{Change, Image, Index, MetadataRecord};
use model::{BrokerId, TopicId, limits};
use rt::Rt;
use rt::channel::{mpsc, oneshot, watch};

use crate::error::{OpenError, QuorumError, UpdateError};
use crate::leader::{Health, Leader, Message, Request};
use crate::open::{QuorumOptions, deleted_topics, open};
use crate::vote::Term;

/// The metadata log.
#[derive(Clone)]
pub struct Quorum {
    messages: mpsc::Sender<Message>,
    images: watch::Receiver<Arc<Image>>,
    health: watch::Receiver<Health>,
    leader: BrokerId,
    term: Term,
    rt: Rt,
    entries: LogReader,
}

/// A metadata log that was just opened.
pub struct Opened {
    /// The door.
    pub quorum: Quorum,
    /// What all entries before this start made.
    pub image: Arc<Image>,
    /// Every entry from here on, in order. Whoever takes them must not await an update of his own in between:
    /// with this queue full, none is answered.
    pub committed: mpsc::Receiver<Committed>,
}

/// An entry that is durable, and what it changed.
#[derive(Debug, Clone)]
pub struct Committed {
    /// Its place.
    pub index: Index,
    /// What it changed.
    pub changes: Vec<Change>,
    /// The image with it.
    pub image: Arc<Image>,
}

/// An update that is durable, as is everything it was decided on.
#[derive(Debug, Clone)]
pub struct Updated<T> {
    /// Its entry; `None` where there was nothing to write.
    pub index: Option<Index>,
    /// What the decision said beside its records.
    pub value: T,
    /// An image that has it.
    pub image: Arc<Image>,
}

impl Quorum {
    /// Opens the metadata log in a data folder, or begins one, and leads it in a term of its own (Q3).
    pub async fn open(rt: &Rt, options: QuorumOptions) -> Result<Opened, OpenError> {
        let (fs, now_ms, lane, leader) = (rt.fs().clone(), rt.wall_clock_ms(), options.lane, options.node);
        let opening = options.clone();
        let found = rt.blocking(move || open(&fs, &opening, now_ms)).await?;
        let image = Arc::new(found.image.clone());
        let (messages, requests) = mpsc::channel(limits::METADATA_UPDATES_MAX);
        let (committed_to, committed) = mpsc::channel(limits::METADATA_COMMITTED_MAX);
        let (images_to, images) = watch::channel(Arc::clone(&image));
        let (health_to, health) = watch::channel(Health::Serving);
        let (term, entries) = (found.term, found.log.reader());
        let leading = Leader::new(rt.clone(), found, options, requests);
        let leading = leading.publish_to(images_to, committed_to, health_to);
        rt.spawn_on_lane(lane, "metadata", leading.run());
        let quorum = Quorum { messages, images, health, leader, term, rt: rt.clone(), entries };
        Ok(Opened { quorum, image, committed })
    }

    /// Decides on the newest image and writes what was decided, with nothing in between (Q2).
    ///
    /// `decide` says yes with records (none is fine) and a value, or no. Either way the answer comes once all it
    /// was decided on is durable. It runs on the log's own task: it must not block.
    pub async fn update<T, E>(
        &self,
        decide: impl FnOnce(&Image) -> Result<(Vec<MetadataRecord>, T), E> + Send + 'static,
    ) -> Result<Updated<T>, UpdateError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let (decision_to, decision) = oneshot::channel();
        let decide = Box::new(move |image: &Image| {
            let (records, decided) = match decide(image) {
                Ok((records, value)) => (records, Ok(value)),
                Err(error) => (Vec::new(), Err(error)),
            };
            // Nobody hears it when the caller gave up; the change is made all the same.
            drop(decision_to.send(decided));
            records
        });
        let (done, answer) = oneshot::channel();
        let message = Message::Update(Request { decide, done });
        self.messages.send(message).await.map_err(|_| QuorumError::Closed)?;
        let written = answer.await.map_err(|_| QuorumError::Closed)??;
        let value = decision.await.map_err(|_| QuorumError::Closed)?.map_err(UpdateError::Decision)?;
        Ok(Updated { index: written.index, value, image: written.image })
    }

    /// Writes records as one entry.
    pub async fn propose(&self, records: Vec<MetadataRecord>) -> Result<Updated<()>, QuorumError> {
        let updated = self.update(move |_| Ok::<_, std::convert::Infallible>((records, ()))).await;
        updated.map_err(|error| match error {
            UpdateError::Decision(never) => match never {},
            UpdateError::Quorum(error) => error,
        })
    }

    /// The newest durable image.
    pub fn image(&self) -> Arc<Image> {
        Arc::clone(&self.images.borrow())
    }

    /// Tells of every newer durable image; one that was not looked at in time is skipped.
    pub fn images(&self) -> watch::Receiver<Arc<Image>> {
        self.images.clone()
    }

    /// Who leads the metadata log: the controller.
    pub fn leader(&self) -> BrokerId {
        self.leader
    }

    /// The term it leads in.
    pub fn term(&self) -> Term {
        self.term
    }

    /// The topics that were deleted, as far back as there are entries: longer than anything of them takes to be put
    /// away. What cannot be read is left out.
    pub async fn deleted_topics(&self) -> BTreeSet<TopicId> {
        let entries = self.entries.clone();
        self.rt.blocking(move || deleted_topics(&entries)).await
    }

    /// Waits until the log takes no changes any more, and says why (Q4). Never returns once it was closed.
    pub async fn failed(&self) -> Arc<str> {
        let mut health = self.health.clone();
        let ended = health.wait_for(|health| !matches!(health, Health::Serving)).await;
        let reason = match ended.as_deref() {
            Ok(Health::Failed(reason)) => Some(Arc::clone(reason)),
            Ok(Health::Closed | Health::Serving) => None,
            Err(_) => Some(Arc::from("the task of the metadata log ended")),
        };
        drop(ended);
        match reason {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }

    /// Finishes what is under way, makes everything durable and ends the log for all handles.
    pub async fn close(&self) -> Result<(), QuorumError> {
        let (done, closed) = oneshot::channel();
        self.messages.send(Message::Close(done)).await.map_err(|_| QuorumError::Closed)?;
        closed.await.map_err(|_| QuorumError::Closed)?
    }
}
