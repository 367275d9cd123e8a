//! Fetch sessions (KIP-227): case 38.

use model::ErrorCode;
use wire::fetch::{FetchTopic, ForgottenTopic};
use wire::{FetchRequest, FetchResponse};

use crate::connection::{Connection, error};
use crate::peer::{check, simulated};
use crate::topic::{
    FETCH, batch, batches, fetch_partition, fetch_partitions, fetch_request, with_partitions,
};

/// A full fetch that asks for a session.
fn opening<'a>(topic: &'a str, partitions: &[i32]) -> FetchRequest<'a> {
    FetchRequest { session_epoch: 0, ..fetch_partitions(topic, partitions) }
}

/// The next fetch of a session, which changes nothing about it.
fn going_on(session_id: i32, session_epoch: i32) -> FetchRequest<'static> {
    FetchRequest { session_id, session_epoch, topics: Vec::new(), ..fetch_request("", 0) }
}

/// The partitions told about, in the order of the answer.
fn told(answer: &FetchResponse<'_>) -> Vec<i32> {
    assert_eq!(error(answer.error_code), ErrorCode::None);
    answer.responses.iter().flat_map(|topic| &topic.partitions).map(|data| data.partition_index).collect()
}

async fn open(connection: &mut Connection, topic: &str, partitions: &[i32]) -> i32 {
    let answer = connection.ask(&opening(topic, partitions), FETCH).await;
    assert_eq!(told(&answer), partitions, "a full fetch is told everything");
    assert_ne!(answer.session_id, 0);
    answer.session_id
}

async fn next(connection: &mut Connection, session_id: i32, epoch: i32) -> FetchResponse<'static> {
    connection.ask(&going_on(session_id, epoch), FETCH).await
}

#[test]
fn c38_an_incremental_fetch_is_told_only_what_changed() {
    check(async |peer| {
        let (mut connection, topic) = with_partitions(&peer, 3).await;
        let session = open(&mut connection, &topic, &[0, 1, 2]).await;
        let answer = next(&mut connection, session, 1).await;
        assert_eq!((told(&answer), answer.session_id), (vec![], session));
        connection.write_to(&topic, 1, batch(2)).await;
        let answer = next(&mut connection, session, 2).await;
        assert_eq!(told(&answer), [1]);
        assert_eq!(batches(&answer.responses[0].partitions[0]), [(0, 1)]);
        let read_on = FetchTopic {
            topic: topic.as_str().into(),
            partitions: vec![fetch_partition(1, 2)],
            ..FetchTopic::default()
        };
        let request = FetchRequest { topics: vec![read_on], ..going_on(session, 3) };
        assert_eq!(
            told(&connection.ask(&request, FETCH).await),
            Vec::<i32>::new(),
            "the high watermark is known by now"
        );
    });
}

#[test]
fn c38_an_error_is_told_again_and_again() {
    check(async |peer| {
        let (mut connection, topic) = with_partitions(&peer, 1).await;
        let mut request = opening(&topic, &[0, 7]);
        request.topics[0].partitions[0].fetch_offset = 5;
        let answer = connection.ask(&request, FETCH).await;
        for epoch in 1..=2 {
            let answer = next(&mut connection, answer.session_id, epoch).await;
            let mut errors: Vec<_> = answer.responses[0]
                .partitions
                .iter()
                .map(|data| (data.partition_index, error(data.error_code)))
                .collect();
            errors.sort();
            assert_eq!(errors, [(0, ErrorCode::OffsetOutOfRange), (7, ErrorCode::UnknownTopicOrPartition)]);
        }
    });
}

#[test]
fn c38_a_session_that_is_not_there_and_an_epoch_that_is_not_next_are_refused() {
    check(async |peer| {
        let (mut connection, topic) = with_partitions(&peer, 1).await;
        let session = open(&mut connection, &topic, &[0]).await;
        for (id, epoch, expected) in [
            (session, 2, ErrorCode::InvalidFetchSessionEpoch),
            (session ^ 1, 1, ErrorCode::FetchSessionIdNotFound),
            (session, 1, ErrorCode::None),
            (session, 1, ErrorCode::InvalidFetchSessionEpoch),
        ] {
            let answer = next(&mut connection, id, epoch).await;
            assert_eq!(error(answer.error_code), expected, "session {id}, epoch {epoch}");
            let expected_id = if expected == ErrorCode::None { session } else { 0 };
            assert_eq!(answer.session_id, expected_id);
        }
    });
}

#[test]
fn c38_a_session_opened_with_names_cannot_go_on_with_ids() {
    check(async |peer| {
        let (mut connection, topic) = with_partitions(&peer, 1).await;
        let session = open(&mut connection, &topic, &[0]).await;
        let answer = connection.ask(&going_on(session, 1), 13).await;
        assert_eq!(error(answer.error_code), ErrorCode::FetchSessionTopicIdError);
    });
}

#[test]
fn c38_a_forgotten_partition_is_not_told_and_without_partitions_the_session_ends() {
    check(async |peer| {
        let (mut connection, topic) = with_partitions(&peer, 2).await;
        let session = open(&mut connection, &topic, &[0, 1]).await;
        connection.write_to(&topic, 0, batch(1)).await;
        connection.write_to(&topic, 1, batch(1)).await;
        let without = |partition: i32, epoch: i32| {
            let forgotten = ForgottenTopic {
                topic: topic.as_str().into(),
                partitions: vec![partition],
                ..ForgottenTopic::default()
            };
            FetchRequest { forgotten_topics_data: vec![forgotten], ..going_on(session, epoch) }
        };
        assert_eq!(told(&connection.ask(&without(0, 1), FETCH).await), [1]);
        let answer = connection.ask(&without(1, 2), FETCH).await;
        assert_eq!((told(&answer), answer.session_id), (vec![], 0));
        let answer = next(&mut connection, session, 3).await;
        assert_eq!(error(answer.error_code), ErrorCode::FetchSessionIdNotFound);
    });
}

#[test]
fn c38_a_full_fetch_ends_the_session_it_names() {
    check(async |peer| {
        let (mut connection, topic) = with_partitions(&peer, 1).await;
        let session = open(&mut connection, &topic, &[0]).await;
        let last = FetchRequest { session_id: session, ..fetch_partitions(&topic, &[0]) };
        assert_eq!(connection.ask(&last, FETCH).await.session_id, 0);
        let answer = next(&mut connection, session, 1).await;
        assert_eq!(error(answer.error_code), ErrorCode::FetchSessionIdNotFound);
    });
}

#[test]
fn c38_partitions_with_data_move_to_the_end() {
    check(async |peer| {
        let (mut connection, topic) = with_partitions(&peer, 2).await;
        for partition in [0, 1] {
            connection.write_to(&topic, partition, batch(5)).await;
        }
        // Room for one batch: whoever comes first gets it.
        let first = |request: FetchRequest<'static>| FetchRequest { max_bytes: 1, ..request };
        let answer = connection.ask(&FetchRequest { max_bytes: 1, ..opening(&topic, &[0, 1]) }, FETCH).await;
        let session = answer.session_id;
        let mut served = Vec::new();
        for epoch in 1..=4 {
            let answer = connection.ask(&first(going_on(session, epoch)), FETCH).await;
            let with_data = answer.responses.iter().flat_map(|topic| &topic.partitions);
            served
                .extend(with_data.filter(|data| !batches(data).is_empty()).map(|data| data.partition_index));
        }
        // 4.3 does not count what the opening fetch returned and begins with 0 once more.
        assert!(served == [1, 0, 1, 0] || served == [0, 1, 0, 1], "{served:?}");
    });
}

mod simulated {
    use super::*;

    #[test]
    fn c38_without_a_free_slot_there_is_no_session() {
        simulated(&[("max.incremental.fetch.session.cache.slots", "1")], async |simulated| {
            let (mut connection, topic) = with_partitions(&simulated.peer, 2).await;
            open(&mut connection, &topic, &[0]).await;
            let answer = connection.ask(&opening(&topic, &[0]), FETCH).await;
            assert_eq!((told(&answer), answer.session_id), (vec![0], 0));
            simulated.peer.rt.sleep(std::time::Duration::from_secs(121)).await;
            let answer = connection.ask(&opening(&topic, &[0]), FETCH).await;
            assert_ne!(answer.session_id, 0, "two minutes unused make room");
        });
    }
}
