//! Transactions through power cuts: who reads committed records sees all of one in every partition, or nothing of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use client::{
    Client, Consumer, ConsumerConfig, Event, Isolation, NewRecord, Producer, ProducerConfig, Start,
    TopicPartition,
};
use model::{ErrorCode, ProducerEpoch, ProducerId, TimestampMs, TopicName};
use record::{BatchBuilder, BatchOptions};
use rt::Rt;
use rt::channel::oneshot;
use rt::sim::Sim;
use sim_tests::draw::Draw;
use sim_tests::raw::{self, Raw};
use sim_tests::server::{NODE, Server};
use sim_tests::topics::create_topic;
use wire::add_partitions_to_txn::AddPartitionsToTxnTopic;
use wire::produce::{PartitionProduceData, TopicProduceData};
use wire::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, EndTxnRequest, EndTxnResponse,
    FindCoordinatorRequest, InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse,
    Records,
};

const ID: &str = "copier";
const TOPIC: &str = "copies";
const PARTITIONS: i32 = 2;
const RECORDS: usize = 3;

/// How often something is tried that another transaction's end is in the way of.
const TRIES: usize = 200;
const BACKOFF: Duration = Duration::from_millis(20);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The versions a producer speaks: librdkafka's, which adds partitions first, or Java's, whose epoch each end raises.
#[derive(Clone, Copy)]
struct Versions {
    produce: i16,
    end: i16,
    adds_first: bool,
}

const FIRST: Versions = Versions { produce: 10, end: 1, adds_first: true };
const SECOND: Versions = Versions { produce: 12, end: 5, adds_first: false };

/// What became of a transaction, as far as its producer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Committed,
    Aborted,
    /// It was to be committed, and nobody said whether it was.
    Unknown,
}

/// The connection ended, or the answer was not to go on with.
struct Lost;

struct Transactional {
    rt: Rt,
    connection: Raw,
    versions: Versions,
    id: i64,
    epoch: i16,
    sequence: i32,
}

impl Transactional {
    async fn begin(rt: &Rt, address: SocketAddr, versions: Versions) -> Result<Transactional, Lost> {
        let connection = Raw::connect(rt, address).await.map_err(|_| Lost)?;
        let mut producer =
            Transactional { rt: rt.clone(), connection, versions, id: -1, epoch: -1, sequence: 0 };
        let find =
            FindCoordinatorRequest { key: ID.into(), key_type: 1, ..FindCoordinatorRequest::default() };
        producer.ask(raw::frame(1, &find, 2)).await?;
        let init = InitProducerIdRequest {
            transactional_id: Some(ID.into()),
            transaction_timeout_ms: 60_000,
            producer_id: -1,
            producer_epoch: -1,
        };
        for _ in 0..TRIES {
            let answer = producer.ask(raw::frame(1, &init, 4)).await?;
            let (_, given) = wire::decode_response::<InitProducerIdResponse>(&answer, 4).unwrap();
            if given.error_code == 0 {
                (producer.id, producer.epoch) = (given.producer_id, given.producer_epoch);
                return Ok(producer);
            }
            rt.sleep(BACKOFF).await;
        }
        Err(Lost)
    }

    /// The answer to the frame of a request.
    async fn ask(&mut self, frame: Bytes) -> Result<Bytes, Lost> {
        self.connection.send(&frame).await.map_err(|_| Lost)?;
        // A broker without power says nothing.
        self.rt.timeout(PATIENCE, self.connection.receive()).await.ok().flatten().ok_or(Lost)
    }

    /// Writes the number of a transaction to every partition, and ends it.
    async fn transact(&mut self, number: u32, commit: bool) -> Result<(), Lost> {
        if self.versions.adds_first {
            self.add().await?;
        }
        self.produce(number).await?;
        let end = EndTxnRequest {
            transactional_id: ID.into(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            committed: commit,
        };
        let answer = self.ask(raw::frame(1, &end, self.versions.end)).await?;
        let (_, ended) = wire::decode_response::<EndTxnResponse>(&answer, self.versions.end).unwrap();
        if ended.error_code != 0 {
            return Err(Lost);
        }
        if !self.versions.adds_first {
            (self.id, self.epoch, self.sequence) = (ended.producer_id, ended.producer_epoch, 0);
        }
        Ok(())
    }

    async fn add(&mut self) -> Result<(), Lost> {
        let topic = AddPartitionsToTxnTopic { name: TOPIC.into(), partitions: (0..PARTITIONS).collect() };
        let add = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: ID.into(),
            v3_and_below_producer_id: self.id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: vec![topic],
            ..AddPartitionsToTxnRequest::default()
        };
        for _ in 0..TRIES {
            let answer = self.ask(raw::frame(1, &add, 0)).await?;
            let (_, added) = wire::decode_response::<AddPartitionsToTxnResponse<'_>>(&answer, 0).unwrap();
            let partitions =
                added.results_by_topic_v3_and_below.iter().flat_map(|topic| &topic.results_by_partition);
            if partitions.map(|partition| partition.partition_error_code).all(|code| code == 0) {
                return Ok(());
            }
            self.rt.sleep(BACKOFF).await;
        }
        Err(Lost)
    }

    async fn produce(&mut self, number: u32) -> Result<(), Lost> {
        let mut builder = BatchBuilder::new();
        for _ in 0..RECORDS {
            builder.push(None, Some(number.to_string().as_bytes()), &[], TimestampMs(1_700_000_000_000));
        }
        let producer = record::Producer {
            id: ProducerId(self.id),
            epoch: ProducerEpoch(self.epoch),
            base_sequence: self.sequence,
        };
        let options =
            BatchOptions { producer: Some(producer), transactional: true, ..BatchOptions::default() };
        let batch = builder.build(options).unwrap().to_vec();
        let data = |index| PartitionProduceData { index, records: Records::Bytes(batch.clone().into()) };
        let topic = TopicProduceData {
            name: TOPIC.into(),
            partition_data: (0..PARTITIONS).map(data).collect(),
            ..TopicProduceData::default()
        };
        let request = ProduceRequest {
            transactional_id: Some(ID.into()),
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![topic],
        };
        for _ in 0..TRIES {
            let answer = self.ask(raw::frame(1, &request, self.versions.produce)).await?;
            let (_, written) =
                wire::decode_response::<ProduceResponse<'_>>(&answer, self.versions.produce).unwrap();
            let partitions = written.responses.iter().flat_map(|topic| &topic.partition_responses);
            let codes: Vec<i16> = partitions.map(|partition| partition.error_code).collect();
            let is_in_the_way = |code: &i16| *code == ErrorCode::ConcurrentTransactions.code();
            if codes.iter().all(|&code| code == 0) {
                self.sequence += i32::try_from(RECORDS).unwrap();
                return Ok(());
            }
            if !codes.iter().all(|code| *code == 0 || is_in_the_way(code)) {
                return Err(Lost);
            }
            self.rt.sleep(BACKOFF).await;
        }
        Err(Lost)
    }
}

/// Transaction after transaction until told to stop; every third is aborted.
async fn run(
    rt: Rt,
    address: SocketAddr,
    versions: Versions,
    stop: Arc<AtomicBool>,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut producer) = Transactional::begin(&rt, address, versions).await else {
            rt.sleep(BACKOFF).await;
            continue;
        };
        while !stop.load(Ordering::Relaxed) {
            let number = outcomes.lock().unwrap().len();
            let commit = number % 3 != 2;
            let ended = producer.transact(u32::try_from(number).unwrap(), commit).await;
            outcomes.lock().unwrap().push(match (&ended, commit) {
                (Ok(()), true) => Outcome::Committed,
                (Err(Lost), true) => Outcome::Unknown,
                (_, false) => Outcome::Aborted,
            });
            if ended.is_err() {
                break;
            }
        }
    }
}

/// How often each number is among the committed records of a partition, up to the one that says `end`.
async fn committed(client: &Client, place: &TopicPartition) -> BTreeMap<usize, usize> {
    let config = ConsumerConfig { isolation: Isolation::ReadCommitted, ..ConsumerConfig::default() };
    let starts = BTreeMap::from([(place.clone(), Start::Earliest)]);
    let mut consumer = Consumer::assigned(client, config, &starts).await.unwrap();
    let mut counted = BTreeMap::new();
    loop {
        let Event::Records(records) = consumer.poll(Duration::from_secs(1)).await.unwrap() else { continue };
        for record in records {
            match std::str::from_utf8(&record.value.unwrap()).unwrap() {
                "end" => return counted,
                number => *counted.entry(number.parse().unwrap()).or_default() += 1,
            }
        }
    }
}

async fn check(sim: &Sim, seed: u64, versions: Versions) -> usize {
    let mut draw = Draw::new(seed);
    let server = Server::started(sim, &[("transaction.state.log.num.partitions", "4")]).await;
    let rt = sim.node("client");
    let client = server.client(&rt).await;
    let topic: TopicName = create_topic(&client, TOPIC, PARTITIONS).await;
    let (stop, outcomes) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let (ended, has_ended) = oneshot::channel();
    let producer = run(rt.clone(), server.address(), versions, Arc::clone(&stop), Arc::clone(&outcomes));
    rt.spawn("producer", async move {
        producer.await;
        ended.send(()).unwrap();
    });
    for _ in 0..4 {
        rt.sleep(Duration::from_millis(draw.within(100..=900))).await;
        sim.power_cut(NODE);
        server.start().await.unwrap();
    }
    rt.sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    has_ended.await.unwrap();
    // Whatever is still open is aborted by the next producer.
    assert!(Transactional::begin(&rt, server.address(), versions).await.is_ok(), "seed {seed}");
    let ends = Producer::new(&client, ProducerConfig::default());
    let mut counted = Vec::new();
    for index in 0..PARTITIONS {
        let record = NewRecord {
            value: Some(b"end"),
            partition: Some(model::PartitionIndex(index)),
            ..NewRecord::default()
        };
        ends.send(&topic, record).await.unwrap().await.unwrap();
        counted.push(committed(&client, &TopicPartition::new(topic.clone(), index)).await);
    }
    let outcomes = outcomes.lock().unwrap();
    for (number, outcome) in outcomes.iter().enumerate() {
        let seen: Vec<usize> = counted.iter().map(|read| read.get(&number).copied().unwrap_or(0)).collect();
        let (all, nothing) =
            (seen.iter().all(|&count| count == RECORDS), seen.iter().all(|&count| count == 0));
        let is_right = match outcome {
            Outcome::Committed => all,
            Outcome::Aborted => nothing,
            Outcome::Unknown => all || nothing,
        };
        assert!(is_right, "seed {seed}: transaction {number} is {outcome:?} and read {seen:?} times");
    }
    outcomes.iter().filter(|outcome| **outcome == Outcome::Committed).count()
}

#[test]
fn a_transaction_survives_power_cuts_as_a_whole_or_not_at_all() {
    let mut committed = 0;
    for seed in 0..6 {
        for versions in [FIRST, SECOND] {
            let sim = Sim::new(seed);
            committed += sim.run(async { check(&sim, seed, versions).await });
        }
    }
    assert!(100 < committed, "only {committed} transactions were committed");
}
