//! A transactional producer that speaks either protocol byte by byte: begins, writes, ends, and now and then leaves a
//! transaction behind for its next life or its timeout to end.
//!
//! - T1 A request without an answer is sent again as it was: sequence numbers and epochs make that harmless.
//! - T2 An answer that rules the producer out (fenced, expired) ends its life: what it asked for last is unknown, and
//!   it begins anew, which ends what was open.
//! - T3 In the first protocol (KIP-98) it adds partitions before it writes to them, and keeps its epoch; in the second
//!   (KIP-890) writing adds them, and each end gives it the next epoch.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use client::TopicPartition;
use history::{Ending, Event as Noted, Kind, Outcome};
use model::{ErrorCode, ProducerEpoch, ProducerId, TimestampMs, TransactionVersion};
use record::{BatchBuilder, BatchOptions, Producer};
use wire::add_partitions_to_txn::AddPartitionsToTxnTopic;
use wire::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, EndTxnRequest, EndTxnResponse,
    FindCoordinatorRequest, InitProducerIdRequest, Message, Request,
};

use crate::load::Worker;
use crate::raw::{self, Raw};

/// A transaction that nobody ends is ended after this, ms.
const TRANSACTION_TIMEOUT_MS: i32 = 8_000;

/// Longest wait for one answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

const INIT_PRODUCER_ID_VERSION: i16 = 4;
const ADD_PARTITIONS_VERSION: i16 = 3;
const FIND_COORDINATOR_VERSION: i16 = 4;

/// The requests whose version says which protocol is spoken.
pub(crate) struct Versions {
    produce: i16,
    end_txn: i16,
    pub(crate) txn_offset_commit: i16,
}

impl Versions {
    fn of(protocol: TransactionVersion) -> Versions {
        match protocol {
            TransactionVersion::Tv1 => Versions { produce: 11, end_txn: 4, txn_offset_commit: 3 },
            TransactionVersion::Tv2 => Versions { produce: 12, end_txn: 5, txn_offset_commit: 5 },
        }
    }
}

/// The kind of coordinator that is looked for.
const TRANSACTION: i8 = 1;

/// A request, written down, and what reads its answer, with the error in it.
///
/// Tasks ask, and have to be `Send` whatever the lifetimes in their types: so neither request nor answer brings any in.
pub(crate) struct Question<A> {
    frame: bytes::Bytes,
    read: ReadAnswer<A>,
}

type ReadAnswer<A> = Box<dyn Fn(&[u8]) -> (i16, A) + Send>;

/// A question whose answers have the error that `code` finds in them.
pub(crate) fn question<'a, Q: Request<'a>>(
    request: &Q,
    version: i16,
    code: impl Fn(&Q::Response<'static>) -> i16 + Send + 'static,
) -> Question<Q::Response<'static>> {
    let read = move |answer: &[u8]| {
        let decoded = wire::decode_response::<Q::Response<'_>>(answer, version);
        let answer = decoded.expect("an answer of that version").1.into_owned();
        (code(&answer), answer)
    };
    Question { frame: raw::frame(0, request, version), read: Box::new(read) }
}

/// This life is over (T2).
pub(crate) struct RuledOut;

/// A producer between two fencings.
pub(crate) struct Transactional {
    pub(crate) worker: Worker,
    pub(crate) protocol: TransactionVersion,
    pub(crate) versions: Versions,
    connection: Option<Raw>,
    pub(crate) id: ProducerId,
    pub(crate) epoch: ProducerEpoch,
    sequences: BTreeMap<TopicPartition, i32>,
    transactions: u64,
    records: u64,
}

/// Runs one until it is told to stop.
pub async fn transactional(worker: Worker, protocol: TransactionVersion, places: Vec<TopicPartition>) {
    let mut producer = Transactional::new(worker, protocol);
    while !producer.worker.is_stopped() {
        producer.begin_life().await;
        while !producer.worker.is_stopped() {
            match producer.transaction(&places).await {
                Ok(true) => producer.worker.pause(0..=60).await,
                // It leaves the transaction to its next life, sometimes after its time is over.
                Ok(false) => break,
                Err(RuledOut) => break,
            }
        }
    }
    // Ends what the last life left open, so that nobody waits for its timeout.
    producer.begin_life().await;
}

impl Transactional {
    /// One that has no id yet.
    pub(crate) fn new(worker: Worker, protocol: TransactionVersion) -> Transactional {
        Transactional {
            worker,
            protocol,
            versions: Versions::of(protocol),
            connection: None,
            id: ProducerId::NONE,
            epoch: ProducerEpoch::NONE,
            sequences: BTreeMap::new(),
            transactions: 0,
            records: 0,
        }
    }

    /// Takes its id, which fences the life before and aborts what that left open.
    pub(crate) async fn begin_life(&mut self) {
        let client = self.worker.name.clone();
        self.worker.recorder.note(Noted::Crash { client: client.clone() });
        let request = InitProducerIdRequest {
            transactional_id: Some(client.into()),
            transaction_timeout_ms: TRANSACTION_TIMEOUT_MS,
            producer_id: -1,
            producer_epoch: -1,
        };
        self.find_coordinator(TRANSACTION, &self.worker.name.clone()).await;
        let answer = self.ask(question(&request, INIT_PRODUCER_ID_VERSION, |answer| answer.error_code)).await;
        let answer = answer.unwrap_or_else(|code| panic!("{} gets no producer id: {code}", self.worker.name));
        self.id = ProducerId(answer.producer_id);
        self.epoch = ProducerEpoch(answer.producer_epoch);
        self.sequences.clear();
    }

    /// Looks for the coordinator, as clients do first: it is the one node, and makes the topic it keeps its state in.
    pub(crate) async fn find_coordinator(&mut self, kind: i8, key: &str) {
        let request = FindCoordinatorRequest {
            key_type: kind,
            coordinator_keys: vec![key.to_owned().into()],
            ..FindCoordinatorRequest::default()
        };
        let found = self
            .ask(question(&request, FIND_COORDINATOR_VERSION, |answer| answer.coordinators[0].error_code))
            .await;
        found.unwrap_or_else(|code| panic!("{} finds no coordinator: {code}", self.worker.name));
    }

    /// Begins a transaction; its name.
    pub(crate) fn begin(&mut self) -> String {
        self.transactions += 1;
        let name = format!("{}/t{}", self.worker.name, self.transactions);
        let (client, transaction) = (self.worker.name.clone(), name.clone());
        self.worker.recorder.note(Noted::Begin { client, transaction });
        name
    }

    /// Does one transaction; false when it was left behind.
    async fn transaction(&mut self, places: &[TopicPartition]) -> Result<bool, RuledOut> {
        let name = self.begin();
        let mut added = BTreeSet::new();
        for _ in 0..self.worker.draw.within(1..=4) {
            let place = self.worker.draw.pick(places).clone();
            if added.insert(place.clone()) {
                self.add_partition(&place).await?;
            }
            let records: Vec<String> =
                (0..self.worker.draw.within(1..=3)).map(|_| self.record_name()).collect();
            self.write(&place, &name, records).await?;
            self.worker.pause(0..=30).await;
        }
        if self.leaves_it().await {
            return Ok(false);
        }
        self.end(name).await.map(|_| true)
    }

    fn record_name(&mut self) -> String {
        self.records += 1;
        format!("{}/{}", self.worker.name, self.records)
    }

    /// Whether it leaves this transaction to its next life, now and then after its time is over.
    pub(crate) async fn leaves_it(&mut self) -> bool {
        let leaves = self.worker.draw.one_in(10);
        if leaves && self.worker.draw.one_in(4) {
            let beyond = u64::try_from(TRANSACTION_TIMEOUT_MS).expect("a time") + 1_000;
            self.worker.pause(beyond..=beyond).await;
        }
        leaves
    }

    /// Adds a partition to the transaction, where that is not for the write to do (T3).
    pub(crate) async fn add_partition(&mut self, place: &TopicPartition) -> Result<(), RuledOut> {
        if self.protocol == TransactionVersion::Tv2 {
            return Ok(());
        }
        let name = place.topic.as_str().to_owned();
        let topic = AddPartitionsToTxnTopic { name: name.into(), partitions: vec![place.partition.0] };
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.worker.name.clone().into(),
            v3_and_below_producer_id: self.id.0,
            v3_and_below_producer_epoch: self.epoch.0,
            v3_and_below_topics: vec![topic],
            ..AddPartitionsToTxnRequest::default()
        };
        let code = |answer: &AddPartitionsToTxnResponse<'_>| {
            answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
        };
        self.ask(question(&request, ADD_PARTITIONS_VERSION, code)).await.map(drop).map_err(|_| RuledOut)
    }

    /// Writes one batch of the transaction, again until it is acknowledged.
    pub(crate) async fn write(
        &mut self,
        place: &TopicPartition,
        transaction: &str,
        names: Vec<String>,
    ) -> Result<(), RuledOut> {
        let mut records = Vec::new();
        for name in names {
            let value = self.worker.begin(&name, place, Kind::InTransaction(transaction.to_owned()));
            records.push((name, value));
        }
        let next = self.sequences.entry(place.clone()).or_default();
        let base_sequence = *next;
        *next += i32::try_from(records.len()).expect("few records");
        let mut builder = BatchBuilder::new();
        for (name, value) in &records {
            builder.push(Some(name.as_bytes()), Some(value), &[], TimestampMs(1_700_000_000_000));
        }
        let producer = Some(Producer { id: self.id, epoch: self.epoch, base_sequence });
        let options = BatchOptions { producer, transactional: true, ..BatchOptions::default() };
        let batch = builder.build(options).expect("a batch of small records");
        let version = self.versions.produce;
        let request = raw::produce_in(version, 0, place, Some(&self.worker.name), batch.to_vec());
        let outcome = loop {
            let answer = self.exchange(&request).await;
            let (_, code, base) = raw::produced_in(version, &answer).expect("an answer of that version");
            match ErrorCode::from_code(code) {
                ErrorCode::None => break Ok(base),
                code if is_passing(code) => self.worker.pause(20..=100).await,
                code => break Err(code),
            }
        };
        for (index, (record, _)) in (0..).zip(records) {
            let outcome = match outcome {
                Ok(base) => Outcome::Done(Some(base + index)),
                Err(code) => Outcome::Unknown(code.to_string()),
            };
            self.worker.recorder.note(Noted::Sent { record, outcome });
        }
        outcome.map(drop).map_err(|_| RuledOut)
    }

    /// Ends the transaction one way or the other; how.
    pub(crate) async fn end(&mut self, transaction: String) -> Result<Ending, RuledOut> {
        let ending = if self.worker.draw.one_in(4) { Ending::Abort } else { Ending::Commit };
        self.worker.recorder.note(Noted::End { transaction: transaction.clone(), ending });
        let request = EndTxnRequest {
            transactional_id: self.worker.name.clone().into(),
            producer_id: self.id.0,
            producer_epoch: self.epoch.0,
            committed: ending == Ending::Commit,
        };
        let outcome = self.ask(question(&request, self.versions.end_txn, |answer| answer.error_code)).await;
        let heard = match &outcome {
            Ok(answer) => {
                self.go_on_as(answer);
                Outcome::Done(None)
            }
            Err(code) => Outcome::Unknown(code.to_string()),
        };
        self.worker.recorder.note(Noted::Ended { transaction, outcome: heard });
        outcome.map(|_| ending).map_err(|_| RuledOut)
    }

    /// Takes the epoch that an end gave it (T3), in which sequences begin anew.
    fn go_on_as(&mut self, answer: &EndTxnResponse) {
        if self.protocol == TransactionVersion::Tv2 {
            self.id = ProducerId(answer.producer_id);
            self.epoch = ProducerEpoch(answer.producer_epoch);
            self.sequences.clear();
        }
    }

    /// Asks, again while the error in the answer passes; the answer, or an error that stays.
    pub(crate) async fn ask<A>(&mut self, question: Question<A>) -> Result<A, ErrorCode> {
        loop {
            let answer = self.exchange(&question.frame).await;
            let (code, answer) = (question.read)(&answer);
            match ErrorCode::from_code(code) {
                ErrorCode::None => return Ok(answer),
                code if is_passing(code) => drop(answer),
                code => return Err(code),
            }
            self.worker.pause(20..=100).await;
        }
    }

    /// Sends a request until an answer comes (T1).
    async fn exchange(&mut self, request: &[u8]) -> bytes::Bytes {
        loop {
            let mut open = match self.connection.take() {
                Some(open) => open,
                None => match Raw::connect(&self.worker.rt, self.worker.address).await {
                    Ok(open) => open,
                    Err(_) => {
                        self.worker.pause(50..=200).await;
                        continue;
                    }
                },
            };
            let attempt = async {
                open.send(request).await.ok()?;
                open.receive().await
            };
            // Without an answer the connection is given up: a late one must not be taken for the next.
            if let Ok(Some(answer)) = self.worker.rt.timeout(ANSWER_PATIENCE, attempt).await {
                self.connection = Some(open);
                return answer;
            }
        }
    }
}

/// Whether the same request may be answered otherwise in a moment.
fn is_passing(code: ErrorCode) -> bool {
    code.is_retriable() || code == ErrorCode::ConcurrentTransactions
}
