//! What a driver asks of a coordinator's state machine, whatever it coordinates.

use log::{Marker, Verified};
use model::{Barrier, NowMs, ProducerId, Ticket, TransactionResult};
use record::CheckedBatch;
use rt::channel::mpsc;
use wire::RecordError;

use crate::partition::Partition;

/// A state machine whose log is a partition of an internal topic.
pub trait Machine: Sized + Send + 'static {
    /// What it is called in the log of the broker.
    const NAME: &'static str;
    /// Its limits and delays.
    type Config: Clone + Send + Sync + 'static;
    /// What it is told.
    type Event: Send + 'static;
    /// What it answers.
    type Reply: Send + 'static;
    /// What it wants done outside of its log, once the log holds what that follows from.
    type Work: Send + 'static;

    /// A machine of an empty partition.
    fn new(config: &Self::Config, partition: &Partition) -> Self;

    /// Takes over one record of the log; `transaction` names the producer of one that a marker still has to decide.
    fn replay(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        transaction: Option<ProducerId>,
    ) -> Result<(), RecordError>;

    /// Takes over the marker of a transaction.
    fn replay_marker(&mut self, producer: ProducerId, result: TransactionResult);

    /// The event that ends the replay.
    fn loaded() -> Self::Event;

    /// The event of a deadline.
    fn tick() -> Self::Event;

    /// When the next deadline is, in monotonic ms.
    fn next_deadline(&self) -> Option<u64>;

    /// Takes one event and says what is to be done, in order.
    fn step(&mut self, now: NowMs, event: Self::Event) -> Vec<Deed<Self>>;
}

/// One thing a driver does for its machine.
pub enum Deed<M: Machine> {
    /// Append a batch. If that fails, the machine is dropped and loaded anew.
    Append(Write),
    /// Answer a request.
    Reply {
        /// The request.
        ticket: Ticket,
        /// The answer.
        reply: M::Reply,
        /// When it may be sent.
        after: Barrier,
    },
    /// Have this done once everything appended so far is below the high watermark.
    Work(M::Work),
}

/// What is appended.
pub enum Write {
    /// Records of the machine's own.
    Own(CheckedBatch),
    /// Records of a producer's transaction, and what its coordinator said of it.
    Transactional(CheckedBatch, Verified),
    /// The end of a producer's transaction.
    Marker(Marker),
}

/// Work for the outside, and where to say that it is done.
pub struct Order<M: Machine> {
    /// What is to be done.
    pub work: M::Work,
    /// Tells the machine that asked; closed once it is gone, and with it the wish.
    pub done: mpsc::Sender<M::Event>,
}
