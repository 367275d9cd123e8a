//! One run: a load on a broker whose power goes again and again, and what is left of it at the end.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use client::{Admin, Client, NewTopic, TopicPartition};
use history::{Anomaly, Event as Noted, Outcome, Recorder};
use model::{TopicName, TransactionVersion};
use rt::Rt;
use rt::channel::watch;
use rt::sim::Sim;

use crate::copies::{self, COPIES};
use crate::draw::Draw;
use crate::found;
use crate::load::{self, GROUP, TRIMMED, Worker};
use crate::server::{Died, NODE, Server};
use crate::transactions;

/// What is wrong with the world beyond power cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Nothing.
    None,
    /// The disk says that it synced, and did not.
    SyncIsNoop,
    /// Answers leave before the sync: `ottla.durability=memory`.
    AnswersBeforeSync,
}

/// What is done to a broker.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// How often its power goes while clients are at it; once more at the end.
    pub cuts: u32,
    /// What else is wrong.
    pub lie: Lie,
}

/// What came of it.
pub struct Report {
    /// What must not be.
    pub anomalies: Vec<Anomaly>,
    /// Records that a client with time enough gave up, and why: everything comes back, so that nobody may.
    pub given_up: Vec<String>,
    /// How often the power went, in start-ups too.
    pub cuts: u32,
    /// Records that were acknowledged.
    pub acknowledged: usize,
    /// Records the group was given.
    pub read: usize,
    /// Where copies do not agree with the offsets that were committed with them.
    pub disagreements: Vec<String>,
    /// The whole run.
    pub trace_hash: u64,
    /// The beginning of the run, line by line.
    pub trace: Vec<u8>,
}

/// The topics of the load and their partitions.
const TOPICS: [(&str, i32); 3] = [("orders", 3), ("rides", 2), (COPIES, 3)];

/// Producers, and how many of them are idempotent: the first ones.
const WRITERS: u32 = 5;
const IDEMPOTENT_WRITERS: u32 = 3;

/// Transactional producers, and the one topic they write to: the offsets of the other one are dense.
const TRANSACTIONAL_WRITERS: [(&str, TransactionVersion); 2] =
    [("transactional-0", TransactionVersion::Tv1), ("transactional-1", TransactionVersion::Tv2)];
const TRANSACTIONAL_TOPIC: &str = "rides";

/// Those who copy in transactions, the topic they copy, and which of its partitions each.
const COPIERS: [(&str, TransactionVersion, i32); 2] =
    [("copier-0", TransactionVersion::Tv1, 0), ("copier-1", TransactionVersion::Tv2, 1)];
const COPIED_TOPIC: &str = "orders";

/// The member of the group that crashes.
const FICKLE: &str = "reader-2";

/// More room than any run needs, bytes.
const AMPLE: u64 = 1 << 40;

/// Longest time, simulated, for anything that must happen sooner or later.
const PATIENCE: Duration = Duration::from_secs(300);

/// Longest time, simulated, to read one partition back.
const READ_PATIENCE: Duration = Duration::from_secs(20);

/// Runs `scenario` on the world of `seed`.
///
/// # Panics
/// A client or the broker cannot go on although everything is there that it needs.
pub fn run(seed: u64, scenario: Scenario) -> Report {
    let sim = Sim::new(seed);
    let recorder = Recorder::default();
    let (watcher, (stop_reading, _)) = (sim.node("watcher"), watch::channel(false));
    let run = Run { sim: &sim, scenario, recorder: recorder.clone(), watcher, stop_reading };
    let cuts = sim.run(run.drive(Draw::new(seed)));
    let events = recorder.events();
    let outcomes = || {
        events.iter().filter_map(|event| match event {
            Noted::Sent { record, outcome } => Some((record, outcome)),
            _ => None,
        })
    };
    let given_up = |(record, outcome): (&String, &Outcome)| match outcome {
        Outcome::Unknown(why) | Outcome::Failed(why) => Some(format!("{record}: {why}")),
        Outcome::Done(_) => None,
    };
    let rows = |event: &Noted| match event {
        Noted::Poll(poll) => poll.rows.len(),
        _ => 0,
    };
    Report {
        anomalies: history::check(&events).anomalies,
        given_up: outcomes().filter_map(given_up).collect(),
        cuts,
        acknowledged: outcomes().filter(|(_, outcome)| matches!(outcome, Outcome::Done(_))).count(),
        read: events.iter().map(rows).sum(),
        disagreements: copies::disagreements(&events, COPIED_TOPIC),
        trace_hash: sim.trace_hash(),
        trace: sim.trace(),
    }
}

struct Run<'a> {
    sim: &'a Sim,
    scenario: Scenario,
    recorder: Recorder,
    /// A node that only looks.
    watcher: Rt,
    /// Tells the group's members that everything was read.
    stop_reading: watch::Sender<bool>,
}

impl Run<'_> {
    async fn drive(self, mut draw: Draw) -> u32 {
        let server = Server::new(self.sim, &[("log.retention.check.interval.ms", "1000")]);
        server.start().await.expect("nobody cuts its power yet");
        self.create_topics(&server.client(&self.watcher).await).await;
        self.lie();
        let (stop_writing, writing) = watch::channel(false);
        let writers = self.start_writers(&server, &mut draw, &writing);
        let mut readers = self.start_readers(&server, &mut draw);
        let mut cuts = 0;
        for _ in 0..self.scenario.cuts {
            if draw.one_in(2) {
                readers.push(self.crash_member(&server, &mut draw));
            }
            self.cut(&server, &mut draw).await;
            cuts += 1 + self.start_again(&server, &mut draw).await;
        }
        self.watcher.sleep(Duration::from_millis(draw.within(500..=1_500))).await;
        stop_writing.send_replace(true);
        self.come_to_an_end("the writers end", writers).await;
        if self.scenario.lie == Lie::None {
            self.in_time("the group reads everything", self.everything_read()).await;
        }
        self.stop_reading.send_replace(true);
        self.come_to_an_end("the readers end", readers).await;
        self.sim.power_cut(NODE);
        cuts += 1 + self.start_again(&server, &mut draw).await;
        let client = server.client(&self.watcher).await;
        self.in_time("everything is read back", self.read_back(&client)).await;
        cuts
    }

    async fn create_topics(&self, client: &Client) {
        let admin = Admin::new(client);
        let mut configs = BTreeMap::from([("internal.segment.bytes".to_owned(), "20000".to_owned())]);
        if self.scenario.lie == Lie::AnswersBeforeSync {
            configs.insert("ottla.durability".to_owned(), "memory".to_owned());
        }
        let mut trimmed = configs.clone();
        trimmed.insert("retention.bytes".to_owned(), "10000".to_owned());
        trimmed.insert("internal.segment.bytes".to_owned(), "3000".to_owned());
        let mut topics = TOPICS.map(|(name, partitions)| (name, partitions, configs.clone())).to_vec();
        topics.push((TRIMMED, 1, trimmed));
        for (name, partitions, configs) in topics {
            let (partitions, replication_factor) = (Some(partitions), Some(1));
            let topic = NewTopic { name: topic(name), partitions, replication_factor, configs };
            admin.create_topic(&topic).await.expect("a new topic");
        }
    }

    fn worker(
        &self,
        name: &str,
        server: &Server<'_>,
        draw: &mut Draw,
        stop: &watch::Receiver<bool>,
    ) -> Worker {
        Worker {
            name: name.to_owned(),
            rt: self.sim.node(name),
            address: server.address(),
            recorder: self.recorder.clone(),
            draw: draw.split(),
            stop: stop.clone(),
        }
    }

    fn start_writers(
        &self,
        server: &Server<'_>,
        draw: &mut Draw,
        stop: &watch::Receiver<bool>,
    ) -> Vec<rt::Task> {
        let mut tasks = Vec::new();
        for writer in 0..WRITERS {
            let worker = self.worker(&format!("writer-{writer}"), server, draw, stop);
            let rt = worker.rt.clone();
            tasks.push(if writer < IDEMPOTENT_WRITERS {
                rt.spawn("writer", load::idempotent(worker, written()))
            } else {
                rt.spawn("writer", load::plain(worker, written()))
            });
        }
        for (name, protocol) in TRANSACTIONAL_WRITERS {
            let worker = self.worker(name, server, draw, stop);
            let places = places().into_iter().filter(|place| place.topic.as_str() == TRANSACTIONAL_TOPIC);
            let work = transactions::transactional(worker, protocol, places.collect());
            tasks.push(self.sim.node(name).spawn("writer", work));
        }
        let worker = self.worker("admin", server, draw, stop);
        tasks.push(worker.rt.clone().spawn("churn", load::churn(worker)));
        // Where the world lies, logs do move back.
        if self.scenario.lie == Lie::None {
            for (name, protocol, remainder) in COPIERS {
                let worker = self.worker(name, server, draw, stop);
                let is_own = |place: &TopicPartition| {
                    place.topic.as_str() == COPIED_TOPIC && place.partition.0 % 2 == remainder
                };
                let sources = places().into_iter().filter(is_own).collect();
                tasks.push(self.sim.node(name).spawn("copier", copies::copier(worker, protocol, sources)));
            }
            let worker = self.worker("trimmer", server, draw, stop);
            tasks.push(worker.rt.clone().spawn("trimmer", load::trim(worker)));
        }
        tasks
    }

    fn start_readers(&self, server: &Server<'_>, draw: &mut Draw) -> Vec<rt::Task> {
        ["reader-0", "reader-1"].map(|name| self.start_reader(name, server, draw)).into()
    }

    fn start_reader(&self, name: &str, server: &Server<'_>, draw: &mut Draw) -> rt::Task {
        let topics = TOPICS.iter().map(|(name, _)| topic(name)).collect();
        let worker = self.worker(name, server, draw, &self.stop_reading.subscribe());
        worker.rt.clone().spawn("member", load::member(worker, topics))
    }

    /// Ends a member of the group without a word, if there is one yet; another one begins in its place.
    fn crash_member(&self, server: &Server<'_>, draw: &mut Draw) -> rt::Task {
        drop(self.sim.node(FICKLE));
        self.sim.kill(FICKLE);
        self.recorder.note(Noted::Crash { client: FICKLE.to_owned() });
        self.start_reader(FICKLE, server, draw)
    }

    /// Ends the broker: its power goes, at a time or before a disk call, or its process is killed, perhaps after a sync
    /// failed; waits until it is over.
    async fn cut(&self, server: &Server<'_>, draw: &mut Draw) {
        // Whose numbers make a second delivery harmless may lose connections to a broker that lives on.
        for writer in 0..IDEMPOTENT_WRITERS {
            self.watcher.sleep(Duration::from_millis(draw.within(0..=100))).await;
            self.sim.network().reset(&format!("writer-{writer}"), NODE);
        }
        match draw.within(0..=8) {
            8 => {
                // It is stopped as a user does, and its next life begins with what the clean mark lets it trust.
                self.watcher.sleep(Duration::from_millis(draw.within(0..=1_000))).await;
                self.in_time("the broker stops", server.stop()).await;
                if draw.one_in(2) {
                    self.in_time("the broker starts", server.start()).await.expect("nobody cuts its power");
                    self.watcher.sleep(Duration::from_millis(draw.within(0..=1_000))).await;
                }
                self.sim.power_cut(NODE);
            }
            6 => {
                // The disk is full for a while, and has room again before its power goes, or only after.
                self.watcher.sleep(Duration::from_millis(draw.within(0..=500))).await;
                self.sim.disk(NODE).set_free_bytes(draw.within(0..=20_000));
                self.watcher.sleep(Duration::from_millis(draw.within(0..=2_000))).await;
                if draw.one_in(2) {
                    self.sim.disk(NODE).set_free_bytes(AMPLE);
                    self.watcher.sleep(Duration::from_millis(draw.within(0..=2_000))).await;
                }
                self.sim.power_cut(NODE);
                self.sim.disk(NODE).set_free_bytes(AMPLE);
            }
            7 => {
                // Some clients are cut off for longer or shorter than their sessions last, and the broker stays.
                let cut_off = ["writer-0", "writer-1", "reader-0"];
                let network = self.sim.network();
                cut_off.iter().for_each(|node| network.partition(node, NODE));
                self.watcher.sleep(Duration::from_millis(draw.within(100..=9_000))).await;
                cut_off.iter().for_each(|node| network.heal(node, NODE));
                self.watcher.sleep(Duration::from_millis(draw.within(0..=500))).await;
                self.sim.power_cut(NODE);
            }
            0 | 1 => {
                self.watcher.sleep(Duration::from_millis(draw.within(0..=1_500))).await;
                self.sim.power_cut(NODE);
            }
            2 => {
                self.watcher.sleep(Duration::from_millis(draw.within(0..=1_000))).await;
                self.sim.disk(NODE).fail_next_sync();
                self.watcher.sleep(Duration::from_millis(draw.within(0..=200))).await;
                // The page cache keeps what the disk never got, and looks clean.
                self.sim.kill(NODE);
                // A fault that nothing met in time is met here: a broker may refuse to start on a disk that fails.
                let _ = self.sim.node(NODE).fs().sync_dir(Path::new("/"));
                self.sim.kill(NODE);
            }
            _ => {
                self.sim.power_cut_after_disk_ops(NODE, draw.within(1..=400));
                self.in_time("the load makes disk calls", self.sim.death(NODE)).await;
            }
        }
    }

    /// Has the disk lie, where that is the scenario.
    fn lie(&self) {
        self.sim.disk(NODE).sync_is_noop(self.scenario.lie == Lie::SyncIsNoop);
    }

    /// Starts the broker until it serves; its power may go meanwhile. How often it did.
    async fn start_again(&self, server: &Server<'_>, draw: &mut Draw) -> u32 {
        let mut cuts = 0;
        loop {
            // Now and then for longer than the members' sessions last.
            let away = if draw.one_in(6) { draw.within(5_000..=12_000) } else { draw.within(0..=500) };
            self.watcher.sleep(Duration::from_millis(away)).await;
            drop(self.sim.node(NODE));
            // A broker that finds its own identity damaged refuses to start: it must lie about records only.
            self.sim.disk(NODE).sync_is_noop(false);
            let is_cut = cuts < 3 && draw.one_in(3);
            if is_cut {
                self.sim.power_cut_after_disk_ops(NODE, draw.within(1..=80));
            }
            match self.in_time("the broker starts", server.start()).await {
                Ok(()) => {
                    self.lie();
                    return cuts;
                }
                Err(Died) => cuts += 1,
            }
        }
    }

    /// Waits for what must happen.
    async fn in_time<T>(&self, what: &str, happens: impl Future<Output = T>) -> T {
        match self.watcher.timeout(PATIENCE, happens).await {
            Ok(happened) => happened,
            Err(_) => panic!(
                "within {} s this did not come about: {what}; records without an outcome: {:?}",
                PATIENCE.as_secs(),
                self.recorder.open()
            ),
        }
    }

    /// Waits until clients that were told to stop have stopped. Under a lie they may wait for what never comes again.
    async fn come_to_an_end(&self, what: &str, tasks: Vec<rt::Task>) {
        match self.scenario.lie {
            Lie::None => self.in_time(what, self.all_done(&tasks)).await,
            Lie::SyncIsNoop | Lie::AnswersBeforeSync => {
                let _ = self.watcher.timeout(READ_PATIENCE, self.all_done(&tasks)).await;
            }
        }
        tasks.iter().for_each(rt::Task::abort);
    }

    /// Waits until these tasks are done and every record has an outcome.
    async fn all_done(&self, tasks: &[rt::Task]) {
        while tasks.iter().any(|task| !task.is_finished()) || !self.recorder.open().is_empty() {
            self.watcher.sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until the group was given every record whose offset is known.
    async fn everything_read(&self) {
        while !self.recorder.is_all_read() {
            self.watcher.sleep(Duration::from_millis(200)).await;
        }
    }

    /// Writes down everything that is there. A partition that a lie damaged so much that the broker fenced it is lost as a whole.
    async fn read_back(&self, client: &Client) {
        for place in places() {
            let read = self.watcher.timeout(READ_PATIENCE, found::rows_of(client, &place)).await;
            let rows = match (read, self.scenario.lie) {
                (Ok(rows), _) => rows,
                (Err(_), Lie::SyncIsNoop | Lie::AnswersBeforeSync) => Vec::new(),
                (Err(_), Lie::None) => panic!("{place} cannot be read"),
            };
            found::note_log(&self.recorder, &place, rows);
        }
        found::note_topics(&self.recorder, client).await;
        let admin = Admin::new(client);
        for group in [GROUP, copies::COPIERS] {
            let committed = self.watcher.timeout(READ_PATIENCE, admin.committed(group)).await;
            let committed = match (committed, self.scenario.lie) {
                (Ok(committed), _) => committed.expect("the group's offsets"),
                (Err(_), Lie::SyncIsNoop | Lie::AnswersBeforeSync) => BTreeMap::new(),
                (Err(_), Lie::None) => panic!("the offsets of {group} cannot be read"),
            };
            found::note_offsets(&self.recorder, group, &committed);
        }
    }
}

fn topic(name: &str) -> TopicName {
    TopicName::parse(name).expect("a topic's name")
}

/// The partitions that anybody writes to.
fn written() -> Vec<TopicPartition> {
    places().into_iter().filter(|place| place.topic.as_str() != COPIES).collect()
}

/// Every partition of the load.
fn places() -> Vec<TopicPartition> {
    let of = |(name, partitions): &(&str, i32)| {
        let name = topic(name);
        (0..*partitions).map(move |index| TopicPartition::new(name.clone(), index))
    };
    TOPICS.iter().flat_map(of).collect()
}
