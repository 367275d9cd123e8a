//! A producer with a transactional id, a step at a time.

use model::{ErrorCode, ProducerEpoch, ProducerId};
use record::{BatchOptions, Producer};
use wire::add_partitions_to_txn::AddPartitionsToTxnTopic;
use wire::produce::PartitionProduceResponse;
use wire::write_txn_markers::WritableTxnMarker;
use wire::{
    AddPartitionsToTxnRequest, EndTxnRequest, EndTxnResponse, FindCoordinatorRequest, InitProducerIdRequest,
    InitProducerIdResponse, ProduceRequest,
};

use crate::connection::{Connection, error};
use crate::isolation::mark;
use crate::peer::Peer;
use crate::topic::{NOON, PRODUCE, batch_at, produce_request};

const TRANSACTIONS: i8 = 1;
pub const INIT: i16 = 5;
/// The last version that clients of the first protocol speak.
pub const ADD_PARTITIONS: i16 = 3;

pub const COMMIT: bool = true;
pub const ABORT: bool = false;

/// See the module.
pub struct Transactional {
    pub transactional_id: String,
    pub id: i64,
    pub epoch: i16,
    pub sequence: i32,
}

impl Transactional {
    pub async fn new(peer: &Peer, connection: &mut Connection) -> Transactional {
        Transactional::with_timeout(peer, connection, 600_000).await
    }

    pub async fn with_timeout(peer: &Peer, connection: &mut Connection, timeout_ms: i32) -> Transactional {
        let transactional_id = peer.unique("corner");
        let find = FindCoordinatorRequest {
            key_type: TRANSACTIONS,
            coordinator_keys: vec![transactional_id.clone().into()],
            ..FindCoordinatorRequest::default()
        };
        let mut producer = Transactional { transactional_id, id: -1, epoch: -1, sequence: 0 };
        for _ in Connection::looks() {
            let found = connection.ask(&find, 4).await.coordinators.remove(0);
            if error(found.error_code) == ErrorCode::None {
                let init = InitProducerIdRequest {
                    transaction_timeout_ms: timeout_ms,
                    ..producer.init_request(-1, -1)
                };
                let answer = connection.ask(&init, INIT).await;
                if error(answer.error_code) == ErrorCode::None {
                    (producer.id, producer.epoch) = (answer.producer_id, answer.producer_epoch);
                    return producer;
                }
                assert!(error(answer.error_code).is_retriable(), "{:?}", error(answer.error_code));
            }
            connection.pause().await;
        }
        panic!("no coordinator takes the transactional id");
    }

    /// What somebody asks who takes its name over, or whom it believes itself to be.
    pub fn init_request(&self, producer_id: i64, producer_epoch: i16) -> InitProducerIdRequest<'static> {
        InitProducerIdRequest {
            transactional_id: Some(self.transactional_id.clone().into()),
            transaction_timeout_ms: 600_000,
            producer_id,
            producer_epoch,
        }
    }

    /// Asks that, again while a transaction is still to be ended.
    pub async fn init(
        &self,
        connection: &mut Connection,
        producer_id: i64,
        producer_epoch: i16,
    ) -> InitProducerIdResponse {
        for _ in Connection::looks() {
            let answer = connection.ask(&self.init_request(producer_id, producer_epoch), INIT).await;
            if error(answer.error_code) != ErrorCode::ConcurrentTransactions {
                return answer;
            }
            connection.pause().await;
        }
        panic!("its transaction does not end");
    }

    /// Adds partition 0 of these topics to its transaction, as the first protocol does; what became of each.
    pub async fn add(&self, connection: &mut Connection, topics: &[&str]) -> Vec<ErrorCode> {
        let topic =
            |name: &&str| AddPartitionsToTxnTopic { name: (*name).to_owned().into(), partitions: vec![0] };
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.transactional_id.clone().into(),
            v3_and_below_producer_id: self.id,
            v3_and_below_producer_epoch: self.epoch,
            v3_and_below_topics: topics.iter().map(topic).collect(),
            ..AddPartitionsToTxnRequest::default()
        };
        for _ in Connection::looks() {
            let answer = connection.ask(&request, ADD_PARTITIONS).await;
            let mut results = answer.results_by_topic_v3_and_below;
            results.sort_by_key(|result| topics.iter().position(|topic| *topic == result.name));
            let codes =
                results.iter().map(|result| error(result.results_by_partition[0].partition_error_code));
            let codes: Vec<_> = codes.collect();
            if !codes.contains(&ErrorCode::ConcurrentTransactions) {
                return codes;
            }
            connection.pause().await;
        }
        panic!("its transaction does not end");
    }

    /// Asks the coordinator to end its transaction, again while an earlier one is still to be ended.
    pub async fn finish(&self, connection: &mut Connection, version: i16, committed: bool) -> EndTxnResponse {
        let request = EndTxnRequest {
            transactional_id: self.transactional_id.clone().into(),
            producer_id: self.id,
            producer_epoch: self.epoch,
            committed,
        };
        for _ in Connection::looks() {
            let answer = connection.ask(&request, version).await;
            if error(answer.error_code) != ErrorCode::ConcurrentTransactions {
                return answer;
            }
            connection.pause().await;
        }
        panic!("its transaction does not end");
    }

    /// The same producer in another epoch.
    pub fn in_epoch(&self, epoch: i16) -> Transactional {
        Transactional { transactional_id: self.transactional_id.clone(), id: self.id, epoch, sequence: 0 }
    }

    /// Its next batch, in a transaction or not.
    pub fn batch(&mut self, count: usize, transactional: bool) -> Vec<u8> {
        let (id, epoch) = (ProducerId(self.id), ProducerEpoch(self.epoch));
        let producer = Some(Producer { id, epoch, base_sequence: self.sequence });
        self.sequence += i32::try_from(count).unwrap();
        batch_at(&vec![NOON; count], BatchOptions { producer, transactional, ..BatchOptions::default() })
    }

    /// Sends a batch of a transaction.
    pub async fn send(
        &self,
        connection: &mut Connection,
        topic: &str,
        batch: Vec<u8>,
        version: i16,
    ) -> PartitionProduceResponse<'static> {
        let transactional_id = Some(self.transactional_id.as_str().into());
        let request = ProduceRequest { transactional_id, ..produce_request(topic, batch, -1) };
        // While its coordinator still ends the transaction before, a producer asks again.
        for _ in Connection::looks() {
            let answer = connection.ask(&request, version).await.responses[0].partition_responses.remove(0);
            if error(answer.error_code) != ErrorCode::ConcurrentTransactions {
                return answer;
            }
            connection.pause().await;
        }
        panic!("its transaction does not end");
    }

    /// Writes records in a transaction, which is begun if need be; their first offset.
    pub async fn write(&mut self, connection: &mut Connection, topic: &str, count: usize) -> i64 {
        let batch = self.batch(count, true);
        let answer = self.send(connection, topic, batch, PRODUCE).await;
        assert_eq!(error(answer.error_code), ErrorCode::None, "{answer:?}");
        answer.base_offset
    }

    /// A marker in an epoch of it, of the first protocol.
    pub fn marker(&self, result: bool, epoch: i16, coordinator_epoch: i32) -> WritableTxnMarker<'static> {
        WritableTxnMarker {
            producer_id: self.id,
            producer_epoch: epoch,
            transaction_result: result,
            coordinator_epoch,
            transaction_version: 1,
            ..WritableTxnMarker::default()
        }
    }

    /// Ends its transaction.
    pub async fn end(&self, connection: &mut Connection, topic: &str, result: bool) {
        let marker = self.marker(result, self.epoch, 0);
        assert_eq!(mark(connection, topic, marker).await, ErrorCode::None);
    }
}
