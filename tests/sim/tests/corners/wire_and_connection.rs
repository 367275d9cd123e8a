//! Frames, headers and connections: cases 1 to 6, 10 and 11.

use std::time::Duration;

use model::ErrorCode;
use wire::{
    ApiVersionsRequest, ApiVersionsResponse, DescribeClusterRequest, DescribeGroupsRequest, FetchRequest,
    MetadataRequest, ProduceRequest, Uuid,
};

use crate::connection::{Connection, error};
use crate::peer::check;
use crate::topic::{FETCH, PRODUCE, batch, batches, fetch_request, produce_request, with_topic};

const API_VERSIONS: i16 = 18;

/// What operations are allowed when nobody asked.
const NOT_ASKED: i32 = i32::MIN;

/// A frame: its size, then key, version, correlation id, and the rest of header and body.
fn frame(key: i16, version: i16, correlation_id: i32, rest: &[u8]) -> Vec<u8> {
    let body = [&key.to_be_bytes()[..], &version.to_be_bytes(), &correlation_id.to_be_bytes(), rest].concat();
    [&i32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat()
}

fn named(name: &str, version: &str) -> ApiVersionsRequest<'static> {
    ApiVersionsRequest {
        client_software_name: name.to_owned().into(),
        client_software_version: version.to_owned().into(),
    }
}

#[test]
fn c01_api_versions_above_ours_is_answered_in_version_0_with_our_range() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        connection.send(&frame(API_VERSIONS, 99, 7, b"\xff\xff\0whatever version 99 may have")).await;
        let answer = connection.answer().await.unwrap();
        let (id, answer) = wire::decode_response::<ApiVersionsResponse<'_>>(&answer, 0).unwrap();
        assert_eq!((id, error(answer.error_code)), (7, ErrorCode::UnsupportedVersion));
        let ranges: Vec<_> = answer.api_keys.iter().map(|api| (api.api_key, api.min_version)).collect();
        assert_eq!(ranges, [(API_VERSIONS, 0)]);
        assert!(4 <= answer.api_keys[0].max_version);
        // The connection goes on.
        let answer = connection.ask(&named("test", "1"), 4).await;
        assert_eq!(error(answer.error_code), ErrorCode::None);
    });
}

#[test]
fn c01_any_other_version_or_api_that_is_not_served_ends_the_connection() {
    check(async |peer| {
        for (key, version) in [(1, 99), (1, 3), (0, 2), (3, -1), (4_000, 0), (-1, 0), (API_VERSIONS, -1)] {
            let mut connection = peer.connect().await;
            connection.send(&frame(key, version, 7, &[0xff, 0xff, 0, 0, 0, 0])).await;
            let answer = connection.answer().await;
            if key == API_VERSIONS {
                assert!(answer.is_some(), "ApiVersions is answered in any version");
            } else {
                assert_eq!(answer, None, "key {key}, version {version}");
            }
        }
    });
}

#[test]
fn c01_produce_is_advertised_from_0_and_served_from_3() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        let answer = connection.ask(&named("test", "1"), 4).await;
        let produce = answer.api_keys.iter().find(|api| api.api_key == 0).unwrap();
        assert_eq!((produce.min_version, produce.max_version), (0, 13));
    });
}

#[test]
fn c01_a_client_says_its_name_in_letters_digits_hyphens_and_dots() {
    check(async |peer| {
        for (name, version, expected) in [
            ("apache-kafka-java", "4.3.1", ErrorCode::None),
            ("", "1", ErrorCode::InvalidRequest),
            ("a b", "1", ErrorCode::InvalidRequest),
            ("-a", "1", ErrorCode::InvalidRequest),
            ("a", "1.", ErrorCode::InvalidRequest),
        ] {
            let mut connection = peer.connect().await;
            let answer = connection.ask(&named(name, version), 3).await;
            assert_eq!(error(answer.error_code), expected, "{name:?} {version:?}");
        }
    });
}

#[test]
fn c02_a_client_may_have_no_name_and_fields_that_nobody_knows() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        // A null client id and no tagged fields; an array of no topics.
        connection.send(&frame(3, 9, 1, &[0xff, 0xff, 0, 1, 0, 0, 0, 0])).await;
        assert_eq!(connection.finish::<MetadataRequest<'_>>(9).await.0, 1);
        // Field 100 of the header and field 7 of the body, of three bytes and one byte.
        let tagged = [0xff, 0xff, 1, 100, 3, 1, 2, 3, 1, 0, 0, 0, 1, 7, 1, 42];
        connection.send(&frame(3, 9, 2, &tagged)).await;
        let (id, answer) = connection.finish::<MetadataRequest<'_>>(9).await;
        assert_eq!((id, answer.topics.len(), answer.brokers.len()), (2, 0, 1));
    });
}

#[test]
fn c03_answers_come_in_the_order_of_the_requests_even_behind_one_that_waits() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let waiting = FetchRequest { max_wait_ms: 500, ..fetch_request(&topic, 0) };
        let fetch = connection.start(&waiting, FETCH).await;
        let produce = connection.start(&produce_request(&topic, batch(1), -1), PRODUCE).await;
        let versions = connection.start(&named("test", "1"), 4).await;
        let (id, answer) = connection.finish::<FetchRequest<'_>>(FETCH).await;
        assert_eq!((id, batches(&answer.responses[0].partitions[0])), (fetch, vec![]));
        assert_eq!(connection.finish::<ProduceRequest<'_>>(PRODUCE).await.0, produce);
        assert_eq!(connection.finish::<ApiVersionsRequest<'_>>(4).await.0, versions);
    });
}

#[test]
fn c04_a_produce_that_wants_no_answer_gets_none() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        connection.start(&produce_request(&topic, batch(1), 0), PRODUCE).await;
        // The next answer is the next request's, which waits until the record can be read.
        let waiting = FetchRequest { max_wait_ms: 30_000, ..fetch_request(&topic, 0) };
        let answer = connection.ask(&waiting, FETCH).await;
        assert_eq!(batches(&answer.responses[0].partitions[0]), [(0, 0)]);
    });
}

#[test]
fn c04_a_produce_that_wants_no_answer_and_fails_ends_its_connection() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let mut broken = batch(1);
        *broken.last_mut().unwrap() ^= 1;
        connection.start(&produce_request(&topic, broken, 0), PRODUCE).await;
        assert_eq!(connection.answer().await, None);
        let mut connection = peer.connect().await;
        connection.start(&produce_request("nowhere", batch(1), 0), PRODUCE).await;
        assert_eq!(connection.answer().await, None);
    });
}

#[test]
fn c04_other_acks_are_refused_partition_by_partition() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        for acks in [2, -2] {
            let answer = connection.ask(&produce_request(&topic, batch(1), acks), PRODUCE).await;
            let partition = &answer.responses[0].partition_responses[0];
            assert_eq!(error(partition.error_code), ErrorCode::InvalidRequiredAcks);
            assert_eq!(partition.base_offset, -1);
        }
    });
}

#[test]
fn c06_a_frame_that_is_too_large_or_less_than_nothing_ends_its_connection() {
    check(async |peer| {
        for size in [100 * 1024 * 1024 + 1, i32::MAX, -1, i32::MIN] {
            let mut connection = peer.connect().await;
            connection.send(&size.to_be_bytes()).await;
            assert_eq!(connection.answer().await, None, "{size}");
        }
    });
}

#[test]
fn c06_a_request_that_is_half_sent_holds_up_nobody() {
    check(async |peer| {
        let mut halves = Vec::new();
        for _ in 0..20 {
            let mut connection = peer.connect().await;
            connection.send(&frame(API_VERSIONS, 0, 1, &[0xff, 0xff])[..7]).await;
            halves.push(connection);
        }
        let mut prefix = peer.connect().await;
        prefix.send(&[0, 0]).await;
        let mut connection = peer.connect().await;
        assert_eq!(error(connection.ask(&named("test", "1"), 4).await.error_code), ErrorCode::None);
        for connection in &mut halves {
            connection.send(&frame(API_VERSIONS, 0, 1, &[0xff, 0xff])[7..]).await;
            assert_eq!(connection.finish::<ApiVersionsRequest<'_>>(0).await.0, 1);
        }
    });
}

/// Every answer about a topic id that nobody has, by the API that was asked.
async fn about_nobody(connection: &mut Connection) -> [ErrorCode; 3] {
    let topic_id = Uuid([7; 16]);
    let mut fetch = fetch_request("", 0);
    fetch.topics[0].topic_id = topic_id;
    let fetched = connection.ask(&fetch, 13).await;
    let mut produce = produce_request("", batch(1), -1);
    produce.topic_data[0].topic_id = topic_id;
    let produced = connection.ask(&produce, 13).await;
    let topic = wire::metadata::MetadataRequestTopic { topic_id, name: None };
    let metadata = MetadataRequest { topics: Some(vec![topic]), ..MetadataRequest::default() };
    let described = connection.ask(&metadata, 12).await;
    assert_eq!((described.topics[0].name.as_deref(), described.topics[0].topic_id), (None, topic_id));
    [
        fetched.responses[0].partitions[0].error_code,
        produced.responses[0].partition_responses[0].error_code,
        described.topics[0].error_code,
    ]
    .map(error)
}

#[test]
fn c10_a_topic_id_that_nobody_has_is_unknown() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        assert_eq!(about_nobody(&mut connection).await, [ErrorCode::UnknownTopicId; 3]);
    });
}

#[test]
fn c11_allowed_operations_are_told_only_to_who_asks() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let group = peer.unique("group");
        connection.coordinator_of(&group).await;
        for asked in [false, true] {
            let topics = vec![wire::metadata::MetadataRequestTopic {
                name: Some(topic.clone().into()),
                ..Default::default()
            }];
            let request = MetadataRequest {
                topics: Some(topics),
                include_cluster_authorized_operations: asked,
                include_topic_authorized_operations: asked,
                ..MetadataRequest::default()
            };
            let metadata = connection.ask(&request, 8).await;
            let request = DescribeGroupsRequest {
                groups: vec![group.clone().into()],
                include_authorized_operations: asked,
            };
            let described = connection.ask(&request, 5).await;
            let request = DescribeClusterRequest {
                include_cluster_authorized_operations: asked,
                ..DescribeClusterRequest::default()
            };
            let cluster = connection.ask(&request, 1).await;
            for (what, operations, allowed) in [
                ("cluster", metadata.cluster_authorized_operations, 8096),
                ("topic", metadata.topics[0].topic_authorized_operations, 3576),
                ("described cluster", cluster.cluster_authorized_operations, 8096),
                ("a group that is not there", described.groups[0].authorized_operations, 3400),
            ] {
                assert_eq!(operations, if asked { allowed } else { NOT_ASKED }, "{what}");
            }
        }
    });
}

mod simulated {
    use super::*;
    use crate::peer::simulated;

    #[test]
    fn c06_a_silent_connection_is_closed_and_a_waiting_one_is_not() {
        simulated(&[("connections.max.idle.ms", "60000")], async |simulated| {
            let peer = &simulated.peer;
            let (mut connection, topic) = with_topic(peer, &[]).await;
            let mut waiting = peer.connect().await;
            let request = FetchRequest { max_wait_ms: 200_000, ..fetch_request(&topic, 0) };
            waiting.start(&request, FETCH).await;
            peer.rt.sleep(Duration::from_secs(90)).await;
            assert_eq!(connection.answer().await, None);
            peer.connect().await.write(&topic, batch(1)).await;
            assert!(waiting.answer().await.is_some());
        });
    }
}
