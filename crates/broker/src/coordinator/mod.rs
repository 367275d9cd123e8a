//! Coordinators: pure state machines, one for each partition of an internal topic led here, and the tasks around them.
//!
//! - C1 A reply marked durable leaves only when every record its coordinator appended before it is below the
//!   high watermark; nothing that a failed write would take back is ever shown (D6).
//! - C2 When a write fails the state is dropped and loaded again from the log; whoever waited hears that the
//!   coordinator is not available and asks again.
//! - C3 Requests are answered only by a coordinator that has read its whole log.

mod driver;
mod groups;
mod load;
mod machine;
mod transactions;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use model::{ErrorCode, PartitionIndex, Ticket, limits};
use rt::Rt;
use rt::channel::{mpsc, oneshot};

pub use groups::Groups;
pub use machine::{Machine, Order};
pub use transactions::{MarkersOf, TransactionSettings, Transactions};

use crate::partition::Partition;

/// Why a coordinator does not answer; clients ask again, here or elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoordinatorError {
    /// The partition is not led here.
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
enum Message<M: Machine> {
    /// A request, and who waits for its reply.
    Request { event: Box<dyn FnOnce(Ticket) -> M::Event + Send>, reply: oneshot::Sender<M::Reply> },
    /// Something it should know.
    Word(M::Event),
}

struct Door<M: Machine> {
    messages: mpsc::Sender<Message<M>>,
    loaded: Arc<AtomicBool>,
}

impl<M: Machine> Clone for Door<M> {
    fn clone(&self) -> Door<M> {
        Door { messages: self.messages.clone(), loaded: Arc::clone(&self.loaded) }
    }
}

/// All coordinators of a kind that this broker has.
pub struct Coordinators<M: Machine> {
    rt: Rt,
    config: M::Config,
    doors: Mutex<BTreeMap<PartitionIndex, Door<M>>>,
    orders: mpsc::Sender<Order<M>>,
}

impl<M: Machine> Coordinators<M> {
    /// None yet; they come with the partitions of their topic. What they want done is to be taken from the receiver.
    pub fn new(rt: Rt, config: M::Config) -> (Coordinators<M>, mpsc::Receiver<Order<M>>) {
        let (orders, ordered) = mpsc::channel(limits::COORDINATOR_QUEUE_MAX);
        (Coordinators { rt, config, doors: Mutex::default(), orders }, ordered)
    }

    /// Starts the coordinator of a partition that is now led here; it loads in the background.
    pub fn start(&self, partition: Arc<Partition>) {
        let (messages, inbox) = mpsc::channel(limits::COORDINATOR_QUEUE_MAX);
        let loaded = Arc::new(AtomicBool::new(false));
        let index = partition.id.partition;
        let driver = driver::Driver {
            rt: self.rt.clone(),
            started: self.rt.now(),
            config: self.config.clone(),
            partition,
            inbox,
            loaded: Arc::clone(&loaded),
            orders: self.orders.clone(),
        };
        self.doors().insert(index, Door { messages, loaded });
        self.rt.spawn(M::NAME, driver.run());
    }

    /// Ends the coordinator of a partition that is led here no more.
    pub fn stop(&self, partition: PartitionIndex) {
        self.doors().remove(&partition);
    }

    /// Puts a request to the coordinator of `partition` and waits for its reply.
    pub async fn ask(
        &self,
        partition: PartitionIndex,
        event: impl FnOnce(Ticket) -> M::Event + Send + 'static,
    ) -> Result<M::Reply, CoordinatorError> {
        self.queue(partition, event).await?.await.map_err(|_| CoordinatorError::Unavailable)
    }

    /// Puts a request to the coordinator of `partition`; the reply comes through the receiver, which is closed without one
    /// when a write fails.
    pub async fn queue(
        &self,
        partition: PartitionIndex,
        event: impl FnOnce(Ticket) -> M::Event + Send + 'static,
    ) -> Result<oneshot::Receiver<M::Reply>, CoordinatorError> {
        let door = self.doors().get(&partition).cloned().ok_or(CoordinatorError::NotCoordinator)?;
        if !door.loaded.load(Ordering::Acquire) {
            return Err(CoordinatorError::Loading);
        }
        let (reply, answer) = oneshot::channel();
        let message = Message::Request { event: Box::new(event), reply };
        door.messages.send(message).await.map_err(|_| CoordinatorError::NotCoordinator)?;
        Ok(answer)
    }

    /// The partitions coordinated here, loaded or not.
    pub fn partitions(&self) -> Vec<PartitionIndex> {
        self.doors().keys().copied().collect()
    }

    /// Tells every coordinator the same.
    pub async fn tell_all(&self, event: impl Fn() -> M::Event) {
        let doors: Vec<Door<M>> = self.doors().values().cloned().collect();
        for door in doors {
            // A coordinator that is gone needs to know nothing.
            let _ = door.messages.send(Message::Word(event())).await;
        }
    }

    fn doors(&self) -> std::sync::MutexGuard<'_, BTreeMap<PartitionIndex, Door<M>>> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
