//! The task around one coordinator: feeds it events and the time, and carries out its actions.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use group::{Action, Coordinator, Event, GroupConfig, GroupRecord, Reply};
use model::{Barrier, NowMs, Ticket, TimestampMs};
use record::{BatchBuilder, BatchOptions};
use replica::Acks;
use rt::channel::{mpsc, oneshot};
use rt::{Instant, Rt};
use rustc_hash::FxHashMap;

use super::{Message, load};
use crate::partition::{AppendReply, Partition};

/// How long a coordinator rests after a failed write before it reads its log again.
const RELOAD_DELAY: Duration = Duration::from_millis(500);

pub(super) struct Driver {
    rt: Rt,
    started: Instant,
    config: GroupConfig,
    partition: Arc<Partition>,
    inbox: mpsc::Receiver<Message>,
    loaded: Arc<AtomicBool>,
}

/// Why a round of serving ended.
enum Ended {
    /// Nobody holds the door: the partition is led here no more.
    Stopped,
    /// A write failed.
    WriteFailed,
}

/// One loaded coordinator and what waits for its writes.
struct Serving {
    coordinator: Coordinator,
    waiting: FxHashMap<Ticket, oneshot::Sender<Reply>>,
    next_ticket: u64,
    /// Appends under way, oldest first.
    appends: VecDeque<oneshot::Receiver<AppendReply>>,
    /// Replies that may leave once so many more appends are done, counted from the start.
    held: VecDeque<(u64, Ticket, Reply)>,
    appended: u64,
    durable: u64,
}

impl Driver {
    pub fn new(
        rt: Rt,
        config: GroupConfig,
        partition: Arc<Partition>,
        inbox: mpsc::Receiver<Message>,
        loaded: Arc<AtomicBool>,
    ) -> Driver {
        let started = rt.now();
        Driver { rt, started, config, partition, inbox, loaded }
    }

    pub async fn run(mut self) {
        while !self.partition.is_closed() {
            match load::load(&self.rt, &self.partition, &self.config).await {
                Ok(coordinator) => match self.serve(coordinator).await {
                    Ended::Stopped => return,
                    Ended::WriteFailed => {
                        tracing::warn!(
                            "a write to {}-{} failed: its coordinator starts over from the log",
                            self.partition.topic,
                            self.partition.id.partition
                        );
                    }
                },
                Err(error) => tracing::error!(
                    "{}-{} could not be read, so its groups have no coordinator: {error}",
                    self.partition.topic,
                    self.partition.id.partition
                ),
            }
            self.loaded.store(false, Ordering::Release);
            self.rt.sleep(RELOAD_DELAY).await;
        }
    }

    fn now(&self) -> NowMs {
        let since_start = self.rt.now().saturating_since(self.started);
        let monotonic = u64::try_from(since_start.as_millis()).unwrap_or(u64::MAX);
        NowMs { monotonic, wall: self.rt.wall_clock_ms() }
    }

    async fn serve(&mut self, coordinator: Coordinator) -> Ended {
        let mut serving = Serving {
            coordinator,
            waiting: FxHashMap::default(),
            next_ticket: 0,
            appends: VecDeque::new(),
            held: VecDeque::new(),
            appended: 0,
            durable: 0,
        };
        self.step(&mut serving, Event::Loaded).await;
        self.loaded.store(true, Ordering::Release);
        loop {
            let deadline = serving.coordinator.next_deadline();
            let deadline = deadline.map(|ms| self.started + Duration::from_millis(ms));
            rt::select! {
                written = next_append(&mut serving.appends) => {
                    serving.appends.pop_front();
                    if !matches!(written, Ok(Ok(_))) {
                        return Ended::WriteFailed;
                    }
                    serving.durable += 1;
                    serving.release();
                }
                message = self.inbox.recv() => match message {
                    None => return Ended::Stopped,
                    Some(message) => {
                        let event = serving.admit(message);
                        self.step(&mut serving, event).await;
                    }
                },
                () = sleep_until(&self.rt, deadline) => self.step(&mut serving, Event::Tick).await,
            }
        }
    }

    async fn step(&self, serving: &mut Serving, event: Event) {
        for action in serving.coordinator.step(self.now(), event) {
            match action {
                Action::Append(records) => {
                    let done = self.append(records).await;
                    serving.appends.push_back(done);
                    serving.appended += 1;
                }
                Action::Reply { ticket, reply, after } => serving.reply(ticket, reply, after),
            }
        }
    }

    async fn append(&self, records: Vec<GroupRecord>) -> oneshot::Receiver<AppendReply> {
        let timestamp = TimestampMs(self.rt.wall_clock_ms());
        let mut batch = BatchBuilder::new();
        for record in &records {
            batch.push(Some(&record.key), record.value.as_deref(), &[], timestamp);
        }
        let batch = batch.build(BatchOptions::default()).expect("the coordinator bounds its batches");
        self.partition.append(batch, Some(Acks::All)).await
    }
}

impl Serving {
    fn admit(&mut self, message: Message) -> Event {
        match message {
            Message::TopicDeleted(name, id) => Event::TopicDeleted(name, id),
            Message::Request { event, reply } => {
                let ticket = Ticket(self.next_ticket);
                self.next_ticket += 1;
                self.waiting.insert(ticket, reply);
                event(ticket)
            }
        }
    }

    fn reply(&mut self, ticket: Ticket, reply: Reply, after: Barrier) {
        match after {
            Barrier::Durable if self.durable < self.appended => {
                self.held.push_back((self.appended, ticket, reply));
            }
            Barrier::Durable | Barrier::Now => self.send(ticket, reply),
        }
    }

    fn release(&mut self) {
        while self.held.front().is_some_and(|(needed, ..)| *needed <= self.durable) {
            if let Some((_, ticket, reply)) = self.held.pop_front() {
                self.send(ticket, reply);
            }
        }
    }

    fn send(&mut self, ticket: Ticket, reply: Reply) {
        if let Some(waiting) = self.waiting.remove(&ticket) {
            // Whoever asked may have gone; the coordinator finds out by the session timeout.
            let _ = waiting.send(reply);
        }
    }
}

async fn next_append(
    appends: &mut VecDeque<oneshot::Receiver<AppendReply>>,
) -> Result<AppendReply, oneshot::error::RecvError> {
    match appends.front_mut() {
        Some(append) => append.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(rt: &Rt, deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => rt.sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
