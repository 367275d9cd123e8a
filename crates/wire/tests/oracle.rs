//! Two oracles for the message tables and for the code generated from them.
//!
//! - Kafka's own message definitions, out of the jars that `cargo xtask test` fetches: field by field, version by version.
//! - The crate `kafka-protocol`: random values of every message and version that both know, byte for byte.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/definitions.rs"]
mod definitions;
mod support;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable};
use support::model::{Message, Role};
use support::sample::{self, Random};

/// Random values of each message and version.
const SAMPLES: usize = 60;

/// What is newer than the release that `kafka-protocol` follows (Kafka 4.1): API key and version.
const THEY_LACK: [(i16, i16); 14] = [
    (2, 11),
    (8, 10),
    (9, 10),
    (27, 2),
    (35, 5),
    (63, 2),
    (78, 2),
    (79, 2),
    (80, 1),
    (85, 1),
    (87, 1),
    (88, 0),
    (89, 0),
    (90, 1),
];

#[test]
fn tables_say_what_kafkas_own_definitions_say() {
    let Some(definitions) = definitions::Definitions::find() else { return };
    for table in &support::tables() {
        for message in &table.messages {
            definitions.check(table, message);
        }
    }
}

#[test]
fn every_message_survives_its_own_codec() {
    let mut random = Random(1);
    support::for_each_version(&support::tables(), |table, message, version| {
        for _ in 0..SAMPLES {
            let bytes = sample::message(table, message, version, &mut random);
            let name = &message.body.name;
            let (_, recoded) = support::recode_by_name(name, &bytes, version);
            let recoded = recoded.unwrap_or_else(|e| panic!("{name} {version}: {e}: {bytes:02x?}"));
            assert_eq!(recoded.left, 0, "{name} {version}: {bytes:02x?}");
            assert_eq!(recoded.bytes, bytes, "{name} {version}");
        }
    });
}

#[test]
fn defaults_are_those_of_the_tables() {
    support::for_each_version(&support::tables(), |table, message, version| {
        let name = &message.body.name;
        let expected = sample::default_message(table, message, version);
        assert_eq!(support::default_by_name(name, version), expected, "{name} {version}");
    });
}

#[test]
fn kafka_protocol_reads_and_writes_the_same_bytes() {
    let mut random = Random(2);
    let mut compared = 0;
    support::for_each_version(&support::tables(), |table, message, version| {
        for _ in 0..SAMPLES {
            let bytes = sample::message(table, message, version, &mut random);
            if let Some(rewritten) = rewrite(message, &bytes, version) {
                assert_eq!(rewritten, bytes, "{} {version}", message.body.name);
                compared += 1;
            }
        }
    });
    assert!(compared > SAMPLES * 200, "only {compared} values compared");
}

/// Decodes and encodes with `kafka-protocol`; `None` if that has no such message or version.
fn rewrite(message: &Message, bytes: &[u8], version: i16) -> Option<Vec<u8>> {
    let mut input = Bytes::copy_from_slice(bytes);
    let mut out = BytesMut::new();
    let name = message.body.name.as_str();
    let result = match message.role {
        Role::Request { key } | Role::Response { key } if THEY_LACK.contains(&(key, version)) => return None,
        Role::Request { key } => theirs::RequestKind::decode(api_key(key), &mut input, version)
            .and_then(|request| request.encode(&mut out, version)),
        Role::Response { key } => theirs::ResponseKind::decode(api_key(key), &mut input, version)
            .and_then(|response| response.encode(&mut out, version)),
        Role::RecordKey { .. } | Role::RecordValue { .. } => return None,
        Role::Plain => match name {
            "RequestHeader" => plain::<theirs::RequestHeader>(&mut input, &mut out, version),
            "ResponseHeader" => plain::<theirs::ResponseHeader>(&mut input, &mut out, version),
            "ConsumerProtocolSubscription" => {
                plain::<theirs::ConsumerProtocolSubscription>(&mut input, &mut out, version)
            }
            "ConsumerProtocolAssignment" => {
                plain::<theirs::ConsumerProtocolAssignment>(&mut input, &mut out, version)
            }
            other => panic!("{other}: say what to compare it with"),
        },
    };
    result.unwrap_or_else(|e| panic!("{name} {version}: {e}: {bytes:02x?}"));
    assert!(input.is_empty(), "{name} {version}: {} bytes left over of {bytes:02x?}", input.len());
    Some(out.to_vec())
}

fn api_key(key: i16) -> theirs::ApiKey {
    theirs::ApiKey::try_from(key).expect("they know every API")
}

fn plain<T: Decodable + Encodable>(
    input: &mut Bytes,
    out: &mut BytesMut,
    version: i16,
) -> anyhow::Result<()> {
    T::decode(input, version)?.encode(out, version)
}
