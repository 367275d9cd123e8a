//! Where the worker hands its orders to the database, one at a time, and goes on meanwhile.

use client::TopicPartition;
use model::Offset;
use rt::channel::mpsc;
use rt::{Rt, Task};

use crate::schema::Schema;
use crate::target::{Batch, Claim, Granted, Target, TargetError};

enum Order {
    Claim(Vec<Claim>),
    Commit(Batch),
}

/// What became of an order.
pub(crate) enum Outcome {
    Claimed { claims: Vec<Claim>, result: Result<Vec<Granted>, TargetError> },
    Committed { rows: usize, offsets: Vec<(TopicPartition, Offset)>, result: Result<bool, TargetError> },
}

/// The worker's side of the desk.
pub(crate) struct Desk {
    orders: mpsc::Sender<Order>,
    outcomes: mpsc::Receiver<Outcome>,
    is_busy: bool,
    task: Task,
}

impl Desk {
    pub(crate) fn open<T: Target>(rt: &Rt, target: T, sink: String, schema: Schema) -> Desk {
        let (orders, received) = mpsc::channel(1);
        let (answers, outcomes) = mpsc::channel(1);
        let task = rt.spawn("sink-database", work(target, sink, schema, received, answers));
        Desk { orders, outcomes, is_busy: false, task }
    }

    /// Whether an order is under way; another one has to wait for it.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy
    }

    pub(crate) async fn claim(&mut self, claims: Vec<Claim>) {
        self.place(Order::Claim(claims)).await;
    }

    pub(crate) async fn commit(&mut self, batch: Batch) {
        self.place(Order::Commit(batch)).await;
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

async fn work<T: Target>(
    mut target: T,
    sink: String,
    schema: Schema,
    mut orders: mpsc::Receiver<Order>,
    outcomes: mpsc::Sender<Outcome>,
) {
    while let Some(order) = orders.recv().await {
        let outcome = match order {
            Order::Claim(claims) => {
                let result = target.claim(&sink, &claims).await;
                Outcome::Claimed { claims, result }
            }
            Order::Commit(batch) => {
                let result = target.commit(&sink, &schema, &batch).await;
                let offsets = batch.moves.into_iter().map(|moved| (moved.place, moved.next)).collect();
                Outcome::Committed { rows: batch.rows.len(), offsets, result }
            }
        };
        if outcomes.send(outcome).await.is_err() {
            return;
        }
    }
}
