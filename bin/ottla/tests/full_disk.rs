//! A real process on a small file system that producers fill to the brim, again and again.
//!
//! `OTTLA_FULL_DISK_MIB` is its size, `OTTLA_FULL_DISK_ROUNDS` how often it is filled: 256 and 10 in `cargo xtask soak`.
//! Where none can be mounted the tests fail: nothing else shows this.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests run processes of the real operating system, and fail where it fails"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use client::{Admin, Client, TopicPartition};
use model::{ErrorCode, Offset, TopicName};
use rt::Rt;
use servers::SmallDisk;
use sim_tests::process::Process;
use sim_tests::raw::{self, Raw};
use sim_tests::topics::create_topic_with;
use wire::FetchResponse;

/// Longest wait for anything that must happen; far more than it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of one record's value.
const VALUE_BYTES: usize = 100_000;

/// Partitions that are filled side by side.
const PARTITIONS: i32 = 4;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn start(disk: &SmallDisk, policy: &str) -> Process {
    let policy = format!("ottla.disk.full.policy={policy}");
    let mut serve = Command::new(env!("CARGO_BIN_EXE_ottla"));
    serve.args(["serve", "--listen", "127.0.0.1:0", "--set", "auto.create.topics.enable=false"]);
    serve.args(["--set", &policy, "--data-dir"]).arg(disk.path().join("data"));
    Process::start(&mut serve)
}

async fn create_topic(client: &Client, name: &str, configs: &[(&str, &str)]) -> Vec<TopicPartition> {
    let name = create_topic_with(client, name, PARTITIONS, configs).await;
    (0..PARTITIONS).map(|index| TopicPartition::new(name.clone(), index)).collect()
}

/// One partition's only producer: the record at each offset has it as its key.
struct Filler<'a> {
    rt: &'a Rt,
    address: SocketAddr,
    place: TopicPartition,
    next: i64,
}

impl Filler<'_> {
    async fn produce(&mut self, connection: &mut Raw) -> ErrorCode {
        let record = (self.next.to_string().into_bytes(), vec![7; VALUE_BYTES]);
        connection.send(&raw::produce(1, &self.place, &[record])).await.unwrap();
        let answer = self.rt.timeout(PATIENCE, connection.receive()).await.expect("an answer").unwrap();
        let (_, code, base) = raw::produced(&answer).unwrap();
        let code = ErrorCode::from_code(code);
        match code {
            ErrorCode::None => {
                assert_eq!(base, self.next, "{}", self.place);
                self.next += 1;
            }
            refused => assert_eq!(refused, ErrorCode::KafkaStorageError, "{}", self.place),
        }
        code
    }

    /// Until the disk has no more room.
    async fn until_refused(&mut self) {
        let mut connection = Raw::connect(self.rt, self.address).await.unwrap();
        while self.produce(&mut connection).await == ErrorCode::None {}
    }

    /// So many records, each until it is taken.
    async fn in_the_end(&mut self, count: u64) {
        let mut connection = Raw::connect(self.rt, self.address).await.unwrap();
        let mut taken = 0;
        let mut waiting_since = self.rt.now();
        while taken < count {
            if self.produce(&mut connection).await == ErrorCode::None {
                taken += 1;
                waiting_since = self.rt.now();
                continue;
            }
            assert!(self.rt.now().saturating_since(waiting_since) < PATIENCE, "{} is refused", self.place);
            self.rt.sleep(Duration::from_millis(20)).await;
        }
    }

    /// Reads all that is there: every record acknowledged, from `start` on, where the log has to begin.
    async fn check_from(&self, start: i64) {
        assert!(self.is_read_from(start).await, "{} begins behind {start}", self.place);
    }

    /// The same, of a log that may begin later than it did; says whether it has begun at `start` all the while.
    async fn is_read_from(&self, start: i64) -> bool {
        let mut connection = Raw::connect(self.rt, self.address).await.unwrap();
        let mut offset = start;
        while offset < self.next {
            connection.send(&raw::fetch(1, &self.place, offset)).await.unwrap();
            let answer = connection.receive().await.unwrap();
            let (_, answer) = wire::decode_response::<FetchResponse<'_>>(&answer, 12).unwrap();
            let partition = &answer.responses[0].partitions[0];
            let error = ErrorCode::from_code(partition.error_code);
            if error == ErrorCode::OffsetOutOfRange || start < partition.log_start_offset {
                return false;
            }
            assert_eq!(error, ErrorCode::None, "{} at {offset}", self.place);
            assert_eq!(partition.log_start_offset, start, "{}", self.place);
            let mut bytes = partition.records.bytes().unwrap_or_default();
            let before = offset;
            while let Ok(header) = record::check(bytes) {
                let (batch, rest) = bytes.split_at(header.size_in_bytes());
                for record in record::decode(batch, batch.len()).unwrap().records() {
                    let record = record.unwrap();
                    assert_eq!(record.offset, Offset(offset), "{}", self.place);
                    assert_eq!(record.key, Some(offset.to_string().as_bytes()), "{}", self.place);
                    assert_eq!(record.value.map(<[u8]>::len), Some(VALUE_BYTES), "{}", self.place);
                    offset += 1;
                }
                bytes = rest;
            }
            assert!(before < offset, "{} ends at {offset}, and {} were acknowledged", self.place, self.next);
        }
        true
    }
}

fn fillers<'a>(rt: &'a Rt, broker: &Process, places: Vec<TopicPartition>) -> Vec<Filler<'a>> {
    let filler = |place| Filler { rt, address: broker.address(), place, next: 0 };
    places.into_iter().map(filler).collect()
}

/// What all fillers do at once.
async fn together<'a, 'b: 'a>(fillers: &'a mut [Filler<'b>], work: impl AsyncFn(&mut Filler<'b>)) {
    let mut all: Vec<_> = fillers.iter_mut().map(|filler| Box::pin(work(filler))).collect();
    let mut done = vec![false; all.len()];
    std::future::poll_fn(|context| {
        for (one, done) in all.iter_mut().zip(&mut done) {
            *done = *done || one.as_mut().poll(context).is_ready();
        }
        if done.iter().all(|done| *done) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

async fn starts(client: &Client, fillers: &[Filler<'_>]) -> Vec<i64> {
    let query = fillers.iter().map(|filler| (filler.place.clone(), client::OffsetQuery::Earliest)).collect();
    let starts = client.list_offsets(&query).await.unwrap();
    fillers.iter().map(|filler| starts[&filler.place].unwrap().0).collect()
}

#[test]
fn a_full_disk_refuses_producers_and_keeps_what_it_took() {
    let (mib, rounds) = (number("OTTLA_FULL_DISK_MIB", 48), number("OTTLA_FULL_DISK_ROUNDS", 2));
    let disk = SmallDisk::mount(env!("CARGO_TARGET_TMPDIR"), "refuse", mib);
    let mut broker = start(&disk, "refuse");
    rt::os::run(|rt| async move {
        let mut client = broker.client(&rt).await;
        let small = [("segment.bytes", "1048576")];
        let mut fillers = fillers(&rt, &broker, create_topic(&client, "kept", &small).await);
        for round in 1..=rounds {
            let name = format!("deleted-{round}");
            let mut deleted = self::fillers(&rt, &broker, create_topic(&client, &name, &small).await);
            // A part for the topic that goes, the rest until nothing fits for the one that stays.
            let part = (mib << 20) / u64::try_from(VALUE_BYTES).unwrap() / 10;
            together(&mut deleted, async |filler| filler.in_the_end(part / 4).await).await;
            together(&mut fillers, async |filler| filler.until_refused().await).await;
            let free = rt.fs().free_bytes(disk.path()).unwrap();
            println!("round {round}: {free} bytes are left, {} records taken", fillers[0].next);
            assert!((mib << 20) / 40 < free, "the reserve, a twentieth, is left: {free}");
            for filler in &deleted {
                filler.check_from(0).await;
            }
            let admin = Admin::new(&client);
            let commit = BTreeMap::from([(fillers[0].place.clone(), Offset(fillers[0].next))]);
            admin.commit("group", &commit).await.unwrap();
            admin.describe_cluster().await.unwrap();
            if round % 2 == 0 {
                drop(broker);
                broker = start(&disk, "refuse");
                client = broker.client(&rt).await;
                fillers.iter_mut().for_each(|filler| filler.address = broker.address());
            }
            let admin = Admin::new(&client);
            assert_eq!(admin.committed("group").await.unwrap(), commit);
            // Room comes from the topic that goes and from the older half of the one that stays.
            admin.delete_topic(&TopicName::parse(&name).unwrap()).await.unwrap();
            let firsts = starts(&client, &fillers).await;
            let halves = fillers.iter().zip(firsts);
            let halves = halves
                .map(|(filler, first)| (filler.place.clone(), Offset(first + (filler.next - first) / 2)));
            let halves: BTreeMap<_, _> = halves.collect();
            admin.delete_records(&halves).await.unwrap();
            together(&mut fillers, async |filler| filler.in_the_end(1).await).await;
            for filler in &fillers {
                filler.check_from(halves[&filler.place].0).await;
            }
        }
        drop(broker);
        drop(disk);
    })
    .unwrap();
}

#[test]
fn a_full_disk_lets_the_oldest_records_go_where_it_was_told_to() {
    let (mib, rounds) = (number("OTTLA_FULL_DISK_MIB", 48), number("OTTLA_FULL_DISK_ROUNDS", 2));
    let disk = SmallDisk::mount(env!("CARGO_TARGET_TMPDIR"), "oldest", mib);
    let mut broker = start(&disk, "delete-oldest");
    rt::os::run(|rt| async move {
        let mut client = broker.client(&rt).await;
        let small = ("segment.bytes", "1048576");
        let stamped = ("message.timestamp.type", "LogAppendTime");
        let table = create_topic(&client, "table", &[small, ("cleanup.policy", "compact")]).await;
        let mut table = fillers(&rt, &broker, table);
        together(&mut table, async |filler| filler.in_the_end(20).await).await;
        let mut fillers = fillers(&rt, &broker, create_topic(&client, "events", &[small, stamped]).await);
        for round in 1..=rounds {
            // As much as the disk has in all.
            let count = (mib << 20) / u64::try_from(VALUE_BYTES).unwrap() / fillers.len() as u64;
            together(&mut fillers, async |filler| filler.in_the_end(count).await).await;
            if round % 2 == 0 {
                drop(broker);
                broker = start(&disk, "delete-oldest");
                client = broker.client(&rt).await;
                fillers.iter_mut().chain(&mut table).for_each(|filler| filler.address = broker.address());
            }
            let firsts = starts(&client, &fillers).await;
            println!("round {round}: {} records taken, the first are {firsts:?}", fillers[0].next);
            for (filler, mut first) in fillers.iter().zip(firsts) {
                // The last producers are let on by the grant, and what has to go for it goes behind them.
                while !filler.is_read_from(first).await {
                    first = starts(&client, std::slice::from_ref(filler)).await[0];
                }
                assert!(round == 1 || 0 < first, "something had to go");
                // A filler has a quarter of what the disk holds, but for the table and what is kept free.
                let left = u64::try_from(filler.next - first).unwrap();
                assert!(count / 3 < left, "{}: no more goes than has to: {left} of {count}", filler.place);
            }
            for filler in &table {
                filler.check_from(0).await;
            }
        }
        drop(broker);
        drop(disk);
    })
    .unwrap();
}
