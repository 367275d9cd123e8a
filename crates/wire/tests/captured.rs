//! Bytes that other implementations wrote: what they mean to us, and that we would write the same.
//!
//! `captured/*.txt` were recorded between Kafka 4.3.1 and its own client, librdkafka and kafkajs; those three speak new,
//! middle and old versions of most APIs.

use wire::{ApiKey, GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue};
use wire::{Message, Reader, RecordKey, Request, RequestHeader};

/// Lines that are not comments, split into words.
fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let data = text.lines().filter(|line| !line.starts_with('#'));
    data.map(|line| line.split(' ').collect())
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |c: char| u8::try_from(c.to_digit(16).expect("hexadecimal")).expect("a digit is small");
    let digits: Vec<u8> = text.chars().map(digit).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Decodes a request or response of the API of `Q` and encodes it again, size prefix left out.
fn rewrite<'a, Q: Request<'a>>(frame: &'a [u8], direction: &str, version: i16) -> Vec<u8> {
    let again = if direction == "request" {
        let mut reader = Reader::new(frame);
        let header = RequestHeader::read(&mut reader).expect("a request header");
        assert_eq!((header.api(), header.request_api_version), (Some(Q::KEY), version));
        let request = Q::decode(&mut reader, version).expect("a request");
        assert_eq!(reader.left(), 0, "{request:?}");
        wire::encode_request(header.correlation_id, header.client_id.as_deref(), &request, version)
    } else {
        let (correlation_id, response) =
            wire::decode_response::<Q::Response<'a>>(frame, version).expect("a response");
        wire::encode_response(correlation_id, &response, version)
    };
    let frame = again.and_then(wire::Frame::into_bytes).expect("what was read can be written");
    frame[4..].to_vec()
}

fn rewrite_by_key(key: ApiKey, frame: &[u8], direction: &str, version: i16) -> Vec<u8> {
    macro_rules! by_key {
        ($($api:ident $request:ident)*) => {
            match key { $(ApiKey::$api => rewrite::<wire::$request>(frame, direction, version),)* }
        };
    }
    wire::for_each_api!(by_key)
}

#[test]
fn frames_of_other_clients_are_rewritten_byte_for_byte() {
    let clients = [
        include_str!("captured/java.txt"),
        include_str!("captured/librdkafka.txt"),
        include_str!("captured/kafkajs.txt"),
    ];
    for line in clients.into_iter().flat_map(lines) {
        let [api, version, direction, frame] = line[..] else { panic!("four words a line: {line:?}") };
        let key = ApiKey::ALL.iter().find(|key| key.name() == api).expect("a known API");
        let frame = hex(frame);
        let rewritten = rewrite_by_key(*key, &frame, direction, version.parse().expect("a version"));
        assert_eq!(rewritten, frame, "{api} {version} {direction}");
    }
}

#[test]
fn a_request_of_kafkajs_means_what_it_meant() {
    let produce = lines(include_str!("captured/kafkajs.txt"));
    let produce = produce.filter(|line| line[..3] == ["Produce", "7", "request"]).map(|line| hex(line[3]));
    let frame = produce.last().expect("a Produce request");
    let mut reader = Reader::new(&frame);
    let header = RequestHeader::read(&mut reader).expect("a header");
    assert_eq!(header.client_id.as_deref(), Some("rider"));
    let request = wire::ProduceRequest::decode(&mut reader, 7).expect("a request");
    assert_eq!((request.acks, request.timeout_ms), (-1, 30_000));
    let [topic] = &request.topic_data[..] else { panic!("one topic: {request:?}") };
    assert_eq!((&*topic.name, topic.partition_data.len()), ("jsrides", 1));
    let records = topic.partition_data[0].records.bytes().expect("decoded records are bytes");
    assert_eq!(records[16], 2, "the magic byte of a record batch");
}

#[test]
fn records_of_kafkas_group_coordinator_are_rewritten_byte_for_byte() {
    let mut seen = Vec::new();
    for line in lines(include_str!("captured/group_records.txt")) {
        let (key, value) = (hex(line[0]), hex(line[1]));
        let version = i16::from_be_bytes([value[0], value[1]]);
        match wire::record_kind(&key).expect("a kind") {
            OffsetCommitKey::KIND => {
                let commit_key: OffsetCommitKey<'_> = wire::decode_key(&key).expect("a key");
                assert_eq!((&*commit_key.topic, commit_key.partition), ("rides", 0));
                assert_eq!(wire::encode_key(&commit_key).expect("a key"), key);
                let commit: OffsetCommitValue<'_> = wire::decode_versioned(&value).expect("a value");
                assert_eq!((commit.offset, commit.leader_epoch), (2, 0));
                assert_eq!(commit.topic_id.to_string(), "teJ9Msu5Rba1Ibzj8DzhLA");
                assert_eq!(wire::encode_versioned(&commit, version).expect("a value"), value);
                seen.push(format!("commit {}", commit.offset));
            }
            GroupMetadataKey::KIND => {
                let group_key: GroupMetadataKey<'_> = wire::decode_key(&key).expect("a key");
                assert_eq!(wire::encode_key(&group_key).expect("a key"), key);
                let group: GroupMetadataValue<'_> = wire::decode_versioned(&value).expect("a value");
                assert_eq!(wire::encode_versioned(&group, version).expect("a value"), value);
                seen.push(format!("{} generation {}", group_key.group, group.generation));
                group.members.iter().for_each(check_member);
            }
            kind => panic!("kind {kind}"),
        }
    }
    assert_eq!(seen, ["g1 generation 0", "g1 generation 1", "commit 2", "g1 generation 2"]);
}

/// What consumers tell each other inside of the group's record.
fn check_member(member: &wire::group_metadata_record::MemberMetadata<'_>) {
    let subscription = wire::decode_subscription(&member.subscription).expect("a subscription");
    assert_eq!(subscription.topics, ["rides"]);
    assert_eq!(wire::encode_versioned(&subscription, 3).expect("a subscription"), *member.subscription);
    let assignment = wire::decode_assignment(&member.assignment).expect("an assignment");
    assert_eq!(assignment.assigned_partitions[0].partitions, [0]);
    assert_eq!(wire::encode_versioned(&assignment, 3).expect("an assignment"), *member.assignment);
}
