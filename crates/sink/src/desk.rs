//! Where the worker hands its orders to the database, one at a time, and goes on meanwhile.

use client::TopicPartition;
use model::Offset;
use rt::channel::mpsc;
use rt::{Rt, Task};

use crate::dead_letter::{DeadLetter, DeadLetters};
use crate::rows::Rows;
use crate::schema::Schema;
use crate::target::{Batch, Claim, Granted, Target, TargetError};

enum Order {
    Prepare(Schema),
    Claim(Vec<Claim>),
    Commit { letters: Vec<DeadLetter>, batch: Batch },
}

/// What became of an order.
pub(crate) enum Outcome {
    Prepared(Result<Schema, TargetError>),
    Claimed { claims: Vec<Claim>, result: Result<Vec<Granted>, TargetError> },
    Committed(Committed),
}

/// What became of a batch.
pub(crate) struct Committed {
    /// What was to be written.
    pub(crate) rows: Rows,
    pub(crate) letters: usize,
    /// Where it brings the partitions.
    pub(crate) offsets: Vec<(TopicPartition, Offset)>,
    pub(crate) result: Result<bool, TargetError>,
}

/// The worker's side of the desk.
pub(crate) struct Desk {
    orders: mpsc::Sender<Order>,
    outcomes: mpsc::Receiver<Outcome>,
    is_busy: bool,
    task: Task,
}

impl Desk {
    pub(crate) fn open<T: Target>(
        rt: &Rt,
        target: T,
        dead_letters: Option<DeadLetters>,
        sink: String,
        schema: Schema,
    ) -> Desk {
        let (orders, received) = mpsc::channel(1);
        let (answers, outcomes) = mpsc::channel(1);
        let task = rt.spawn("sink-database", {
            let mut clerk = Clerk { target, dead_letters, sink, schema };
            async move { clerk.work(received, answers).await }
        });
        Desk { orders, outcomes, is_busy: false, task }
    }

    /// Whether an order is under way; another one has to wait for it.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy
    }

    pub(crate) async fn claim(&mut self, claims: Vec<Claim>) {
        self.place(Order::Claim(claims)).await;
    }

    /// Writes letters, and then the batch that passes their records.
    pub(crate) async fn commit(&mut self, letters: Vec<DeadLetter>, batch: Batch) {
        self.place(Order::Commit { letters, batch }).await;
    }

    /// Makes the table fit a schema, for which batches are from then on.
    pub(crate) async fn prepare(&mut self, schema: Schema) {
        self.place(Order::Prepare(schema)).await;
    }

    async fn place(&mut self, order: Order) {
        assert!(!self.is_busy, "one order at a time");
        self.is_busy = self.orders.send(order).await.is_ok();
        assert!(self.is_busy, "the task lives as long as the desk");
    }

    /// The outcome of the order under way; comes never without one. Dropping the future loses nothing.
    pub(crate) async fn outcome(&mut self) -> Outcome {
        if self.is_busy
            && let Some(outcome) = self.outcomes.recv().await
        {
            self.is_busy = false;
            return outcome;
        }
        std::future::pending().await
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The database's side of the desk.
struct Clerk<T> {
    target: T,
    dead_letters: Option<DeadLetters>,
    sink: String,
    schema: Schema,
}

impl<T: Target> Clerk<T> {
    async fn work(&mut self, mut orders: mpsc::Receiver<Order>, outcomes: mpsc::Sender<Outcome>) {
        while let Some(order) = orders.recv().await {
            let outcome = match order {
                Order::Prepare(schema) => Outcome::Prepared(self.prepare(&schema).await),
                Order::Claim(claims) => {
                    let result = self.target.claim(&self.sink, &claims).await;
                    Outcome::Claimed { claims, result }
                }
                Order::Commit { letters, batch } => {
                    let result = self.commit(&letters, &batch).await;
                    let offsets = batch.moves.into_iter().map(|moved| (moved.place, moved.next)).collect();
                    let (rows, letters) = (batch.rows, letters.len());
                    Outcome::Committed(Committed { rows, letters, offsets, result })
                }
            };
            if outcomes.send(outcome).await.is_err() {
                return;
            }
        }
    }

    async fn prepare(&mut self, schema: &Schema) -> Result<Schema, TargetError> {
        self.schema = self.target.prepare(schema).await?;
        Ok(self.schema.clone())
    }

    async fn commit(&mut self, letters: &[DeadLetter], batch: &Batch) -> Result<bool, TargetError> {
        if let Some(dead_letters) = self.dead_letters.as_ref().filter(|_| !letters.is_empty()) {
            dead_letters.send(letters).await.map_err(|error| {
                TargetError::passing(format!("writing {} dead letters: {error}", letters.len()))
            })?;
        }
        self.target.commit(&self.sink, &self.schema, batch).await
    }
}
