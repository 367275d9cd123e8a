//! Group coordinators: the pure state machine of `group`, one for each partition of `__consumer_offsets` led here.
//!
//! - C1 A reply marked durable leaves only when every record its coordinator appended before it is below the
//!   high watermark; nothing that a failed write would take back is ever shown (D6).
//! - C2 When a write fails the state is dropped and loaded again from the log; whoever waited hears that the
//!   coordinator is not available and asks again.
//! - C3 Requests are answered only by a coordinator that has read its whole log.

mod driver;
mod load;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use group::{Event, GroupConfig, Reply};
use model::{ErrorCode, PartitionIndex, Ticket, TopicId, TopicName, limits};
use rt::Rt;
use rt::channel::{mpsc, oneshot};

use crate::partition::Partition;

/// Why a coordinator does not answer; clients ask again, here or elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinatorError {
    /// The group's partition is not led here.
    NotCoordinator,
    /// It is still reading its log.
    Loading,
    /// A write failed: what was asked may or may not have happened.
    Unavailable,
}

impl CoordinatorError {
    /// The code a client gets.
    pub fn code(self) -> ErrorCode {
        match self {
            CoordinatorError::NotCoordinator => ErrorCode::NotCoordinator,
            CoordinatorError::Loading => ErrorCode::CoordinatorLoadInProgress,
            CoordinatorError::Unavailable => ErrorCode::CoordinatorNotAvailable,
        }
    }
}

/// What reaches a coordinator's task.
enum Message {
    /// A request, and who waits for its reply.
    Request { event: Box<dyn FnOnce(Ticket) -> Event + Send>, reply: oneshot::Sender<Reply> },
    /// A topic is gone.
    TopicDeleted(TopicName, TopicId),
}

#[derive(Clone)]
struct Door {
    messages: mpsc::Sender<Message>,
    loaded: Arc<AtomicBool>,
}

/// All coordinators of this broker.
pub struct Coordinators {
    rt: Rt,
    config: GroupConfig,
    doors: Mutex<BTreeMap<PartitionIndex, Door>>,
}

impl Coordinators {
    /// None yet; they come with the partitions of `__consumer_offsets`.
    pub fn new(rt: Rt, config: GroupConfig) -> Coordinators {
        Coordinators { rt, config, doors: Mutex::default() }
    }

    /// Starts the coordinator of a partition that is now led here; it loads in the background.
    pub fn start(&self, partition: Arc<Partition>) {
        let (messages, inbox) = mpsc::channel(limits::COORDINATOR_QUEUE_MAX);
        let loaded = Arc::new(AtomicBool::new(false));
        let index = partition.id.partition;
        let driver =
            driver::Driver::new(self.rt.clone(), self.config.clone(), partition, inbox, Arc::clone(&loaded));
        self.doors().insert(index, Door { messages, loaded });
        self.rt.spawn("group coordinator", driver.run());
    }

    /// Ends the coordinator of a partition that is led here no more.
    pub fn stop(&self, partition: PartitionIndex) {
        self.doors().remove(&partition);
    }

    /// Puts a request to the coordinator of `partition` and waits for its reply.
    pub async fn ask(
        &self,
        partition: PartitionIndex,
        event: impl FnOnce(Ticket) -> Event + Send + 'static,
    ) -> Result<Reply, CoordinatorError> {
        let door = self.doors().get(&partition).cloned().ok_or(CoordinatorError::NotCoordinator)?;
        if !door.loaded.load(Ordering::Acquire) {
            return Err(CoordinatorError::Loading);
        }
        let (reply, answer) = oneshot::channel();
        let message = Message::Request { event: Box::new(event), reply };
        door.messages.send(message).await.map_err(|_| CoordinatorError::NotCoordinator)?;
        answer.await.map_err(|_| CoordinatorError::Unavailable)
    }

    /// The partitions coordinated here, loaded or not.
    pub fn partitions(&self) -> Vec<PartitionIndex> {
        self.doors().keys().copied().collect()
    }

    /// Tells every coordinator that a topic is gone, so that offsets committed for it go too.
    pub async fn topic_deleted(&self, name: &TopicName, id: TopicId) {
        let doors: Vec<Door> = self.doors().values().cloned().collect();
        for door in doors {
            // A coordinator that is gone has nothing to forget.
            let _ = door.messages.send(Message::TopicDeleted(name.clone(), id)).await;
        }
    }

    fn doors(&self) -> std::sync::MutexGuard<'_, BTreeMap<PartitionIndex, Door>> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
