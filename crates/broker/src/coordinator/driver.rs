//! The task around one coordinator: feeds it events and the time, and carries out what it wants done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::{Barrier, NowMs, Ticket, TimestampMs, limits};
use replica::Acks;
use rt::channel::{mpsc, oneshot};
use rt::{Instant, Rt};
use rustc_hash::FxHashMap;

use super::machine::{Deed, Machine, Order, Write};
use super::{Message, load};
use crate::partition::{AppendReply, Partition};

/// How long a coordinator rests after a failed write before it reads its log again.
const RELOAD_DELAY: Duration = Duration::from_millis(500);

pub(super) struct Driver<M: Machine> {
    pub rt: Rt,
    pub started: Instant,
    pub config: M::Config,
    pub partition: Arc<Partition>,
    pub inbox: mpsc::Receiver<Message<M>>,
    pub loaded: Arc<AtomicBool>,
    pub orders: mpsc::Sender<Order<M>>,
}

/// Why a round of serving ended.
enum Ended {
    /// Nobody holds the door: the partition is led here no more.
    Stopped,
    /// A write failed.
    WriteFailed,
}

/// One loaded coordinator and what waits for its writes.
struct Serving<M: Machine> {
    machine: M,
    waiting: FxHashMap<Ticket, oneshot::Sender<M::Reply>>,
    next_ticket: u64,
    /// Appends under way, oldest first.
    appends: VecDeque<oneshot::Receiver<AppendReply>>,
    /// What may happen once so many more appends are done, counted from the start.
    held: VecDeque<(u64, Held<M>)>,
    appended: u64,
    durable: u64,
    /// Where work that is done says so; it ends with this coordinator, and takes no word from work of another.
    done: mpsc::Sender<M::Event>,
    was_done: mpsc::Receiver<M::Event>,
}

/// What waits for the log.
enum Held<M: Machine> {
    Reply(Ticket, M::Reply),
    Work(M::Work),
}

impl<M: Machine> Driver<M> {
    pub async fn run(mut self) {
        while !self.partition.is_closed() {
            match load::load(&self.rt, &self.partition, &self.config).await {
                Ok(machine) => match self.serve(machine).await {
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
                    "{}-{} could not be read, so what it keeps has no {}: {error}",
                    self.partition.topic,
                    self.partition.id.partition,
                    M::NAME
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

    async fn serve(&mut self, machine: M) -> Ended {
        let mut serving = Serving::new(machine);
        self.step(&mut serving, M::loaded()).await;
        self.loaded.store(true, Ordering::Release);
        loop {
            let deadline = serving.machine.next_deadline();
            let deadline = deadline.map(|ms| self.started + Duration::from_millis(ms));
            rt::select! {
                written = next_append(&mut serving.appends) => {
                    serving.appends.pop_front();
                    if !matches!(written, Ok(Ok(_))) {
                        return Ended::WriteFailed;
                    }
                    serving.durable += 1;
                    self.release(&mut serving).await;
                }
                message = self.inbox.recv() => match message {
                    None => return Ended::Stopped,
                    Some(message) => {
                        let event = serving.admit(message);
                        self.step(&mut serving, event).await;
                    }
                },
                Some(event) = serving.was_done.recv() => self.step(&mut serving, event).await,
                () = sleep_until(&self.rt, deadline) => self.step(&mut serving, M::tick()).await,
            }
        }
    }

    async fn step(&self, serving: &mut Serving<M>, event: M::Event) {
        for deed in serving.machine.step(self.now(), event) {
            match deed {
                Deed::Append(write) => {
                    let done = self.append(write).await;
                    serving.appends.push_back(done);
                    serving.appended += 1;
                }
                Deed::Reply { ticket, reply, after: Barrier::Now } => serving.send(ticket, reply),
                Deed::Reply { ticket, reply, after: Barrier::Durable } => {
                    serving.held.push_back((serving.appended, Held::Reply(ticket, reply)));
                }
                Deed::Work(work) => serving.held.push_back((serving.appended, Held::Work(work))),
            }
        }
        self.release(serving).await;
    }

    async fn append(&self, write: Write) -> oneshot::Receiver<AppendReply> {
        match write {
            Write::Own(batch) => self.partition.append(batch, Some(Acks::All)).await,
            Write::Transactional(batch, verified) => {
                self.partition.append_verified(batch, Some(Acks::All), verified).await
            }
            Write::Marker(marker) => {
                self.partition.append_marker(marker, TimestampMs(self.rt.wall_clock_ms())).await
            }
        }
    }

    async fn release(&self, serving: &mut Serving<M>) {
        while let Some((_, held)) = serving.held.pop_front_if(|(needed, _)| *needed <= serving.durable) {
            match held {
                Held::Reply(ticket, reply) => serving.send(ticket, reply),
                Held::Work(work) => {
                    // Without the broker that works nothing is served any more.
                    let _ = self.orders.send(Order { work, done: serving.done.clone() }).await;
                }
            }
        }
    }
}

impl<M: Machine> Serving<M> {
    fn new(machine: M) -> Serving<M> {
        let (done, was_done) = mpsc::channel(limits::COORDINATOR_QUEUE_MAX);
        Serving {
            machine,
            waiting: FxHashMap::default(),
            next_ticket: 0,
            appends: VecDeque::new(),
            held: VecDeque::new(),
            appended: 0,
            durable: 0,
            done,
            was_done,
        }
    }

    fn admit(&mut self, message: Message<M>) -> M::Event {
        match message {
            Message::Word(event) => event,
            Message::Request { event, reply } => {
                let ticket = Ticket(self.next_ticket);
                self.next_ticket += 1;
                self.waiting.insert(ticket, reply);
                event(ticket)
            }
        }
    }

    fn send(&mut self, ticket: Ticket, reply: M::Reply) {
        if let Some(waiting) = self.waiting.remove(&ticket) {
            // Whoever asked may have gone; the coordinator finds out by a timeout.
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
