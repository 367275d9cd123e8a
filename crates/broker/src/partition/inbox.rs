//! What is on its way to a lane, and when the lane is woken for it (D4).
//!
//! - N1 The queue is bounded; a full one makes those who append wait (D8).
//! - N2 What is answered after a sync only may lie here while one is under way, since its own comes next. To wake the
//!   lane for it batch by batch costs the processor more than to append it.
//! - N3 Everything else wakes the lane at once, and so does as much as is worth a write beside the sync.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use model::limits::{APPEND_QUEUE_MAX, APPEND_QUEUED_BYTES};
use rt::channel::{Notify, mpsc};

use super::lane::Command;

/// Commands taken out at a time.
const COMMANDS_PER_ROUND: usize = 256;

/// What a command weighs beside its bytes: a lane that slept has no more than a round of them before it.
const COMMAND_BYTES: usize = APPEND_QUEUED_BYTES / COMMANDS_PER_ROUND;

/// The way into a lane.
#[derive(Clone)]
pub struct LaneSender {
    commands: mpsc::Sender<Command>,
    bell: Arc<Bell>,
}

/// What wakes a lane that sleeps beside a sync.
#[derive(Default)]
struct Bell {
    /// What lies in the queue, heavier where it cannot wait.
    weight: AtomicUsize,
    rung: Notify,
}

impl Bell {
    fn add(&self, weight: usize) {
        let before = self.weight.fetch_add(weight, Ordering::AcqRel);
        if before < APPEND_QUEUED_BYTES && APPEND_QUEUED_BYTES <= before.saturating_add(weight) {
            self.rung.notify_one();
        }
    }

    fn is_due(&self) -> bool {
        APPEND_QUEUED_BYTES <= self.weight.load(Ordering::Acquire)
    }
}

/// The lane's end.
pub struct Inbox {
    commands: mpsc::Receiver<Command>,
    bell: Arc<Bell>,
}

/// Both ends of a new queue.
pub fn inbox() -> (LaneSender, Inbox) {
    let (sender, commands) = mpsc::channel(APPEND_QUEUE_MAX);
    let bell = Arc::new(Bell::default());
    (LaneSender { commands: sender, bell: Arc::clone(&bell) }, Inbox { commands, bell })
}

impl LaneSender {
    /// Queues a command, waiting for room; gives it back when the lane has ended.
    pub async fn send(&self, command: Command) -> Result<(), Command> {
        self.commands.send(command).await.map_err(|refused| refused.0)?;
        self.bell.add(APPEND_QUEUED_BYTES);
        Ok(())
    }

    /// The same for a command with so many bytes that nobody is answered about before a sync (N2).
    pub async fn send_patient(&self, command: Command, bytes: usize) -> Result<(), Command> {
        self.commands.send(command).await.map_err(|refused| refused.0)?;
        self.bell.add(COMMAND_BYTES + bytes);
        Ok(())
    }
}

impl Inbox {
    /// Waits for commands and puts them behind `taken`; yields how many, none when nobody can send any more. While a sync
    /// is under way, what can wait for it does (N2). Dropping the future loses nothing.
    pub async fn receive(&mut self, taken: &mut Vec<Command>, is_syncing: bool) -> usize {
        while is_syncing && !self.bell.is_due() {
            self.bell.rung.notified().await;
        }
        let count = self.commands.recv_many(taken, COMMANDS_PER_ROUND).await;
        self.weigh();
        count
    }

    /// Puts what is there behind `taken`.
    pub fn take(&mut self, taken: &mut Vec<Command>) {
        let now = std::iter::from_fn(|| self.commands.try_recv().ok());
        taken.extend(now.take(COMMANDS_PER_ROUND));
        self.weigh();
    }

    /// After commands were taken: what is left does not wait again.
    fn weigh(&self) {
        // First nothing, then a look: what is sent in between is weighed by who sends it. What was taken before it was
        // weighed wakes the lane early once.
        self.bell.weight.store(0, Ordering::Release);
        if !self.commands.is_empty() {
            self.bell.weight.fetch_add(APPEND_QUEUED_BYTES, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::{PartitionIndex, TopicId, TopicPartition, Uuid};
    use rt::Rt;
    use rt::channel::oneshot;
    use rt::sim::Sim;

    use super::*;

    fn command() -> Command {
        let partition = TopicPartition { topic_id: TopicId(Uuid([1; 16])), partition: PartitionIndex(0) };
        Command::Release(partition, oneshot::channel().0)
    }

    /// How many commands a lane gets that asks now; none where it sleeps.
    async fn received(rt: &Rt, inbox: &mut Inbox, is_syncing: bool) -> usize {
        let mut taken = Vec::new();
        let receive = inbox.receive(&mut taken, is_syncing);
        rt.timeout(Duration::from_secs(1), receive).await.unwrap_or(0)
    }

    #[test]
    fn a_lane_sleeps_beside_a_sync_until_something_cannot_wait_or_there_is_enough() {
        let sim = Sim::new(1);
        let rt = sim.node("n1");
        sim.run(async {
            let (sender, mut inbox) = inbox();
            assert!(sender.send_patient(command(), 1).await.is_ok());
            assert_eq!(received(&rt, &mut inbox, true).await, 0, "its own sync comes next");
            assert_eq!(received(&rt, &mut inbox, false).await, 1, "no sync is under way");
            assert!(sender.send_patient(command(), 1).await.is_ok());
            assert!(sender.send(command()).await.is_ok());
            assert_eq!(received(&rt, &mut inbox, true).await, 2, "one cannot wait");
            assert!(sender.send_patient(command(), APPEND_QUEUED_BYTES / 2).await.is_ok());
            assert_eq!(received(&rt, &mut inbox, true).await, 0, "what rang before rings no more");
            assert!(sender.send_patient(command(), APPEND_QUEUED_BYTES / 2).await.is_ok());
            assert_eq!(received(&rt, &mut inbox, true).await, 2, "it is worth a write");
        });
    }

    #[test]
    fn what_one_round_leaves_does_not_wait_again() {
        let sim = Sim::new(1);
        let rt = sim.node("n1");
        sim.run(async {
            let (sender, mut inbox) = inbox();
            for _ in 0..2 * COMMANDS_PER_ROUND + 1 {
                assert!(sender.send_patient(command(), 0).await.is_ok());
            }
            let mut taken = Vec::new();
            inbox.take(&mut taken);
            assert_eq!(taken.len(), COMMANDS_PER_ROUND);
            assert_eq!(received(&rt, &mut inbox, true).await, COMMANDS_PER_ROUND);
            assert_eq!(received(&rt, &mut inbox, true).await, 1);
            assert_eq!(received(&rt, &mut inbox, true).await, 0);
        });
    }
}
