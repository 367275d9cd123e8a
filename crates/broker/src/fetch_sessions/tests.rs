//! What a client is told over the life of a session: F1 to F4, one script of fetches each.

use std::time::Duration;

use model::{LeaderEpoch, Offset, PartitionIndex};
use rt::Instant;

use super::*;

const NOW: Instant = Instant::START;

fn key(partition: i32) -> FetchKey {
    (TopicRef::Name("t".to_owned()), PartitionIndex(partition))
}

fn wanted(partition: i32, offset: i64) -> Wanted {
    Wanted {
        key: key(partition),
        fetch_offset: Offset(offset),
        current_leader_epoch: LeaderEpoch::NONE,
        last_fetched_epoch: LeaderEpoch::NONE,
        max_bytes: 1000,
    }
}

fn request(session_id: i32, epoch: i32, wanted: Vec<Wanted>) -> SessionRequest {
    SessionRequest { session_id, epoch, uses_topic_ids: false, wanted, forgotten: Vec::new() }
}

fn quiet(high_watermark: i64) -> Found {
    Found {
        has_records: false,
        has_error: false,
        high_watermark: Offset(high_watermark),
        log_start: Offset(0),
    }
}

fn records(high_watermark: i64) -> Found {
    Found { has_records: true, ..quiet(high_watermark) }
}

/// One fetch: what it asked to look at, what it was told about, and the session it ended in.
#[track_caller]
fn fetch(
    sessions: &FetchSessions,
    request: SessionRequest,
    found: impl Fn(i32) -> Found,
) -> (Vec<i32>, Vec<i32>, i32) {
    let mut fetching = sessions.begin(request, NOW).expect("the session goes on");
    let keys: Vec<FetchKey> = fetching.wanted.iter().map(|wanted| wanted.key.clone()).collect();
    let looked_at = keys.iter().map(|(_, partition)| partition.0).collect();
    let told = keys.iter().filter(|key| fetching.tell(key, &found(key.1.0))).map(|(_, p)| p.0).collect();
    let session = sessions.finish(fetching, NOW, || 7 << 33);
    (looked_at, told, session)
}

fn session_with(partitions: &[i32]) -> (FetchSessions, i32) {
    let sessions = FetchSessions::new(2);
    let all = partitions.iter().map(|&partition| wanted(partition, 0)).collect();
    let (_, told, id) = fetch(&sessions, request(0, 0, all), |_| quiet(0));
    assert_eq!(told, partitions, "a full fetch tells everything");
    (sessions, id)
}

#[test]
fn an_incremental_fetch_tells_only_what_changed() {
    let (sessions, id) = session_with(&[0, 1, 2]);
    let (looked_at, told, again) = fetch(&sessions, request(id, 1, vec![]), |_| quiet(0));
    assert_eq!((looked_at, told, again), (vec![0, 1, 2], vec![], id));
    let (_, told, _) = fetch(&sessions, request(id, 2, vec![]), |p| quiet(i64::from(p == 1)));
    assert_eq!(told, [1], "its high watermark moved");
    let moved = |p| Found { log_start: Offset(i64::from(p == 2)), ..quiet(i64::from(p == 1)) };
    let (_, told, _) = fetch(&sessions, request(id, 3, vec![]), moved);
    assert_eq!(told, [2], "its log start moved");
}

#[test]
fn an_error_is_told_again_and_so_is_its_end() {
    let (sessions, id) = session_with(&[0, 1]);
    let broken = |p| Found { has_error: p == 0, ..quiet(0) };
    assert_eq!(fetch(&sessions, request(id, 1, vec![]), broken).1, [0]);
    assert_eq!(fetch(&sessions, request(id, 2, vec![]), broken).1, [0]);
    assert_eq!(fetch(&sessions, request(id, 3, vec![]), |_| quiet(0)).1, [0], "healed");
    assert_eq!(fetch(&sessions, request(id, 4, vec![]), |_| quiet(0)).1, Vec::<i32>::new());
}

#[test]
fn partitions_with_records_go_to_the_end_of_the_order() {
    let (sessions, id) = session_with(&[0, 1, 2]);
    let busy = |p| if p == 0 { records(5) } else { quiet(0) };
    assert_eq!(fetch(&sessions, request(id, 1, vec![]), busy).0, [0, 1, 2]);
    assert_eq!(fetch(&sessions, request(id, 2, vec![wanted(0, 5)]), |_| quiet(0)).0, [1, 2, 0]);
}

#[test]
fn partitions_are_added_moved_on_and_forgotten() {
    let (sessions, id) = session_with(&[0, 1]);
    let forget = SessionRequest { forgotten: vec![key(0)], ..request(id, 1, vec![wanted(5, 9)]) };
    assert_eq!(fetch(&sessions, forget, |_| quiet(0)).0, [1, 5]);
    let fetching = sessions.begin(request(id, 2, vec![wanted(5, 10)]), NOW).expect("goes on");
    assert_eq!(fetching.wanted[1].fetch_offset, Offset(10));
}

#[test]
fn a_session_ends_with_its_last_partition() {
    let (sessions, id) = session_with(&[0]);
    let forget = SessionRequest { forgotten: vec![key(0)], ..request(id, 1, vec![]) };
    assert_eq!(fetch(&sessions, forget, |_| quiet(0)), (vec![], vec![], 0));
    assert_eq!(sessions.begin(request(id, 2, vec![]), NOW).err(), Some(SessionError::NotFound));
}

#[test]
fn a_wrong_epoch_name_or_session_makes_the_client_start_over() {
    let (sessions, id) = session_with(&[0]);
    let begin = |request| sessions.begin(request, NOW).err();
    assert_eq!(begin(request(id, 2, vec![])), Some(SessionError::WrongEpoch));
    assert_eq!(begin(request(id + 1, 1, vec![])), Some(SessionError::NotFound));
    let by_id = SessionRequest { uses_topic_ids: true, ..request(id, 1, vec![]) };
    assert_eq!(begin(by_id), Some(SessionError::TopicIdMismatch));
    assert_eq!(begin(request(id, 1, vec![])), None, "what was refused did not move the epoch (F1)");
}

#[test]
fn a_full_fetch_ends_the_session_it_names_and_a_final_one_begins_none() {
    let (sessions, id) = session_with(&[0]);
    let (_, _, none) = fetch(&sessions, request(id, FINAL_EPOCH, vec![wanted(0, 0)]), |_| quiet(0));
    assert_eq!(none, 0);
    assert_eq!(sessions.begin(request(id, 1, vec![]), NOW).err(), Some(SessionError::NotFound));
}

#[test]
fn the_epoch_wraps_to_one() {
    assert_eq!(next_epoch(i32::MAX), 1);
}

#[test]
fn there_are_never_more_sessions_than_slots_and_old_ones_make_room() {
    let sessions = FetchSessions::new(1);
    let full = |size: i32, now: Instant| {
        let all = (0..size).map(|partition| wanted(partition, 0)).collect();
        let fetching = sessions.begin(request(0, 0, all), now).expect("full");
        sessions.finish(fetching, now, || 7 << 33)
    };
    let later = NOW + EVICTION_AGE + Duration::from_secs(1);
    assert_ne!(full(2, NOW + Duration::from_nanos(1)), 0);
    assert_eq!(full(9, NOW + Duration::from_nanos(2)), 0, "the slot is taken, and its session is young");
    assert_ne!(full(1, later), 0, "it was unused for long");
    assert_eq!(full(1, later), 0, "the new one is not");
}
