//! How closely produced batches are read, in every codec: `ottla.produce.validation` is `header` or `records`.

use client::TopicPartition;
use model::{ErrorCode, TimestampMs, TopicName, limits};
use record::{BatchBuilder, BatchOptions, Compression};
use rt::Rt;
use rt::sim::Sim;
use sim_tests::server::Server;
use sim_tests::topics::create_topic_with;
use wire::produce::{PartitionProduceData, TopicProduceData};
use wire::{ProduceRequest, ProduceResponse, Records};

use crate::support::{alter, ask};

/// The version produces are made in: the last that names topics.
const PRODUCE_VERSION: i16 = 12;

/// Where a batch's length ends, its checksum lies, and what that covers begins.
const CRC_AT: usize = 17;
const COVERED_AT: usize = 21;

/// Where a batch says how many records it holds, twice.
const LAST_OFFSET_DELTA_AT: usize = 23;
const COUNT_AT: usize = 57;

struct World<'a> {
    server: &'a Server<'a>,
    rt: Rt,
    topic: TopicName,
}

impl World<'_> {
    async fn produce(&self, batch: &[u8]) -> ErrorCode {
        let place = TopicPartition::new(self.topic.clone(), 0);
        let records = Records::Bytes(batch.to_vec().into());
        let data = PartitionProduceData { index: place.partition.0, records };
        let topic = TopicProduceData {
            name: place.topic.as_str().into(),
            partition_data: vec![data],
            ..TopicProduceData::default()
        };
        let request = ProduceRequest {
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![topic],
            ..ProduceRequest::default()
        };
        let answer = ask(&self.rt, self.server.address(), &request, PRODUCE_VERSION).await;
        let (_, answer) = wire::decode_response::<ProduceResponse<'_>>(&answer, PRODUCE_VERSION).unwrap();
        ErrorCode::from_code(answer.responses[0].partition_responses[0].error_code)
    }
}

/// Runs `test` under both validations.
fn under_both(configs: &[(&str, &str)], test: impl AsyncFn(&World<'_>, &str)) {
    let sim = Sim::new(5);
    sim.run(async {
        let server = Server::started(&sim, &[]).await;
        let rt = sim.node("client");
        let client = server.client(&rt).await;
        let topic = create_topic_with(&client, "checked", 1, configs).await;
        let world = World { server: &server, rt, topic };
        for validation in ["header", "records"] {
            alter(&client, &world.topic, "ottla.produce.validation", Some(validation)).await;
            test(&world, validation).await;
        }
    });
}

fn batch(compression: Compression, values: &[&[u8]]) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for value in values {
        builder.push(None, Some(value), &[], TimestampMs(1_700_000_000_000));
    }
    builder.build(BatchOptions { compression, ..BatchOptions::default() }).unwrap().to_vec()
}

/// The batch with one record more in its header than there is, and a checksum that agrees.
fn short_of_one(mut batch: Vec<u8>) -> Vec<u8> {
    for at in [LAST_OFFSET_DELTA_AT, COUNT_AT] {
        let number = i32::from_be_bytes(batch[at..at + 4].try_into().unwrap());
        batch[at..at + 4].copy_from_slice(&(number + 1).to_be_bytes());
    }
    let sum = crc32c(&batch[COVERED_AT..]);
    batch[CRC_AT..COVERED_AT].copy_from_slice(&sum.to_be_bytes());
    batch
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        let shift = |sum: u32| if sum & 1 == 1 { (sum >> 1) ^ POLYNOMIAL } else { sum >> 1 };
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| shift(sum))
    })
}

#[test]
fn a_sound_batch_is_taken_in_every_codec() {
    under_both(&[], async |world, validation| {
        for codec in Compression::ALL {
            let sound = batch(codec, &[b"one", b"two"]);
            assert_eq!(world.produce(&sound).await, ErrorCode::None, "{validation}, {codec:?}");
        }
    });
}

#[test]
fn what_is_wrong_inside_a_compressed_batch_is_found_by_reading_its_records() {
    under_both(&[], async |world, validation| {
        for codec in Compression::ALL {
            let wrong = short_of_one(batch(codec, &[b"one", b"two"]));
            let is_read = validation == "records" || codec == Compression::None;
            let expected = if is_read { ErrorCode::InvalidRecord } else { ErrorCode::None };
            assert_eq!(world.produce(&wrong).await, expected, "{validation}, {codec:?}");
            let mut broken = wrong;
            *broken.last_mut().unwrap() ^= 1;
            assert_eq!(world.produce(&broken).await, ErrorCode::CorruptMessage, "{validation}, {codec:?}");
        }
    });
}

/// Little on the way, much once it is unpacked: whoever unpacks it stops at the limit.
#[test]
fn a_batch_that_unpacks_to_too_much_is_refused_where_it_is_unpacked() {
    let chunk = vec![0; 1024 * 1024];
    let count = limits::DECOMPRESSED_BATCH_BYTES_MAX / chunk.len() + 1;
    let values = vec![chunk.as_slice(); count];
    let bombs: Vec<(Compression, Vec<u8>)> =
        Compression::ALL.into_iter().skip(1).map(|codec| (codec, batch(codec, &values))).collect();
    under_both(&[("max.message.bytes", "16000000")], async |world, validation| {
        for (codec, bomb) in &bombs {
            let expected = if validation == "records" { ErrorCode::MessageTooLarge } else { ErrorCode::None };
            assert_eq!(world.produce(bomb).await, expected, "{validation}, {codec:?}");
        }
        let sound = batch(Compression::None, &[b"next"]);
        assert_eq!(world.produce(&sound).await, ErrorCode::None, "{validation}");
    });
}
