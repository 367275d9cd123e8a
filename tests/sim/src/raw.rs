//! A connection of which a test writes every byte.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use client::TopicPartition;
use model::TimestampMs;
use record::{BatchBuilder, BatchOptions};
use rt::{Rt, Stream};
use wire::fetch::{FetchPartition, FetchTopic};
use wire::produce::{PartitionProduceData, ProduceResponse, TopicProduceData};
use wire::{FetchRequest, Message, ProduceRequest, Records, Request};

/// The version produces are made in: the last that names topics.
const PRODUCE_VERSION: i16 = 12;

/// See the module.
pub struct Raw {
    stream: Stream,
    buffer: BytesMut,
}

impl Raw {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn connect(rt: &Rt, address: SocketAddr) -> std::io::Result<Raw> {
        let stream = rt.connect(&address.ip().to_string(), address.port()).await?;
        Ok(Raw::over(stream))
    }

    /// The same over a connection that is there.
    pub fn over(stream: Stream) -> Raw {
        Raw { stream, buffer: BytesMut::new() }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn send(&self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Asks in a version that the broker serves; `None` when the connection ends instead of an answer.
    ///
    /// # Panics
    /// The answer is none of that version.
    pub async fn ask<'a, Q: Request<'a>>(
        &mut self,
        request: &Q,
        version: i16,
    ) -> Option<Q::Response<'static>> {
        self.send(&frame(1, request, version)).await.ok()?;
        let answer = self.receive().await?;
        let (_, answer) =
            wire::decode_response::<Q::Response<'_>>(&answer, version).expect("an answer to it");
        Some(answer.into_owned())
    }

    /// Says that nothing more comes from here.
    pub fn shutdown(&self) {
        // The other side may have closed already.
        let _ = self.stream.shutdown();
    }

    /// Waits until something of the next answer is there, and takes no more of it.
    ///
    /// # Panics
    /// The connection ends instead.
    pub async fn begun(&mut self) {
        let read = self.stream.read_buf(&mut self.buffer).await;
        assert!(read.is_ok_and(|count| 0 < count), "the connection ended instead of an answer");
    }

    /// The next answer without its length; `None` when the connection ends before or in it.
    pub async fn receive(&mut self) -> Option<Bytes> {
        const PREFIX: usize = size_of::<i32>();
        loop {
            if let Some(prefix) = self.buffer.first_chunk() {
                let length = usize::try_from(i32::from_be_bytes(*prefix)).ok()?;
                if PREFIX + length <= self.buffer.len() {
                    let frame = self.buffer.split_to(PREFIX + length);
                    return Some(frame.freeze().slice(PREFIX..));
                }
            }
            if self.stream.read_buf(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
        }
    }
}

/// The frame of a request.
///
/// # Panics
/// The request cannot be written in that version.
pub fn frame<'a, Q: Request<'a>>(correlation_id: i32, request: &Q, version: i16) -> Bytes {
    let frame = wire::encode_request(correlation_id, Some("raw"), request, version);
    frame.and_then(wire::Frame::into_bytes).expect("a request that its version can carry")
}

/// The frame of a produce of one batch without idempotence, acks=all.
///
/// # Panics
/// There are no records.
pub fn produce(correlation_id: i32, place: &TopicPartition, records: &[(Vec<u8>, Vec<u8>)]) -> Bytes {
    let mut builder = BatchBuilder::new();
    for (key, value) in records {
        builder.push(Some(key), Some(value), &[], TimestampMs(1_700_000_000_000));
    }
    let batch = builder.build(BatchOptions::default()).expect("a batch of small records");
    produce_of(correlation_id, place, None, batch.to_vec())
}

/// The frame of a produce of this batch, acks=all.
pub fn produce_of(
    correlation_id: i32,
    place: &TopicPartition,
    transactional_id: Option<&str>,
    batch: Vec<u8>,
) -> Bytes {
    produce_in(PRODUCE_VERSION, correlation_id, place, transactional_id, batch)
}

/// The frame of a produce that a client from before Kafka 4.0 made in a transaction, which comes so late that its coordinator knows of
/// neither any more: one record without a key.
///
/// # Panics
/// Never: one record is a batch.
pub fn late_produce(correlation_id: i32, place: &TopicPartition, producer: record::Producer) -> Bytes {
    const VERSION: i16 = 11;
    let mut builder = BatchBuilder::new();
    builder.push(None, Some(b"late"), &[], TimestampMs(1_700_000_000_000));
    let options = BatchOptions { producer: Some(producer), transactional: true, ..BatchOptions::default() };
    let batch = builder.build(options).expect("a record");
    produce_in(VERSION, correlation_id, place, Some("late"), batch.to_vec())
}

/// The same in this version of Produce.
pub(crate) fn produce_in(
    version: i16,
    correlation_id: i32,
    place: &TopicPartition,
    transactional_id: Option<&str>,
    batch: Vec<u8>,
) -> Bytes {
    let data = PartitionProduceData { index: place.partition.0, records: Records::Bytes(batch.into()) };
    let topic = TopicProduceData {
        name: place.topic.as_str().into(),
        partition_data: vec![data],
        ..TopicProduceData::default()
    };
    let request = ProduceRequest {
        transactional_id: transactional_id.map(Into::into),
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic],
    };
    frame(correlation_id, &request, version)
}

/// The version fetches are made in: the last that names topics.
const FETCH_VERSION: i16 = 12;

/// The most bytes that [`fetch`] asks for.
const FETCH_BYTES_MAX: i32 = 10_000_000;

/// The frame of a fetch of one partition outside of sessions, which waits for half a second when there is nothing.
pub fn fetch(correlation_id: i32, place: &TopicPartition, offset: i64) -> Bytes {
    let partition = FetchPartition {
        partition: place.partition.0,
        fetch_offset: offset,
        partition_max_bytes: FETCH_BYTES_MAX,
        ..FetchPartition::default()
    };
    let topic = FetchTopic {
        topic: place.topic.as_str().into(),
        partitions: vec![partition],
        ..FetchTopic::default()
    };
    let request = FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: FETCH_BYTES_MAX,
        session_epoch: -1,
        topics: vec![topic],
        ..FetchRequest::default()
    };
    frame(correlation_id, &request, FETCH_VERSION)
}

/// What a produce of one batch was answered with: correlation id, error code, base offset.
pub fn produced(answer: &[u8]) -> Option<(i32, i16, i64)> {
    produced_in(PRODUCE_VERSION, answer)
}

/// The same in this version of Produce.
pub(crate) fn produced_in(version: i16, answer: &[u8]) -> Option<(i32, i16, i64)> {
    let (correlation_id, answer) = wire::decode_response::<ProduceResponse<'_>>(answer, version).ok()?;
    let partition = answer.responses.first()?.partition_responses.first()?;
    Some((correlation_id, partition.error_code, partition.base_offset))
}
