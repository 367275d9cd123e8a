//! The coordinator of a group, committed offsets and group administration: cases 59, 62 and 65 to 68.

use model::ErrorCode;
use wire::delete_groups::DeletableGroupResult;
use wire::offset_delete::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use wire::offset_fetch::OffsetFetchRequestGroup;
use wire::{
    DeleteGroupsRequest, DescribeGroupsRequest, FetchRequest, OffsetCommitRequest, OffsetDeleteRequest,
    OffsetFetchRequest,
};

use crate::connection::{Connection, error};
use crate::member::{
    Member, OFFSET_COMMIT, OFFSET_FETCH, alone, commit_request, committed, settle, subscription,
};
use crate::peer::{Peer, check};
use crate::topic::{FETCH, fetch_partition, fetch_request, fetch_topic, with_topic};

const OFFSETS: &str = "__consumer_offsets";

/// Partitions of the topic that groups are stored in.
const OFFSETS_PARTITIONS: i32 = 4;

/// The partition a group, or a transactional id, belongs to: Java's hash of its name, over UTF-16 code units.
pub fn partition_of(group: &str) -> i32 {
    let hash = group.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
    hash.checked_abs().unwrap_or(0) % OFFSETS_PARTITIONS
}

/// Everything that one partition of a coordinator's topic holds.
pub async fn stored_in(connection: &mut Connection, topic: &str, partition: i32) -> Vec<u8> {
    let mut stored = Vec::new();
    let mut offset = 0;
    loop {
        let topics = vec![fetch_topic(topic, vec![fetch_partition(partition, offset)])];
        let request = FetchRequest { topics, ..fetch_request("", 0) };
        let data = connection.ask(&request, FETCH).await.responses.remove(0).partitions.remove(0);
        assert_eq!(error(data.error_code), ErrorCode::None);
        let records = data.records.bytes().unwrap();
        let Some((_, last)) = crate::topic::batches(&data).last().copied() else { return stored };
        stored.extend_from_slice(records);
        offset = last + 1;
    }
}

pub fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// A group without members in which one offset is committed.
async fn committed_group(peer: &Peer, topic: &str) -> (Connection, String) {
    let group = peer.unique("group");
    let mut connection = peer.connect().await;
    connection.coordinator_of(&group).await;
    let answer = connection.ask(&commit_request(&group, topic, 3), OFFSET_COMMIT).await;
    assert_eq!(committed(&answer), ErrorCode::None);
    (connection, group)
}

#[test]
fn c59_a_group_is_stored_where_javas_hash_of_its_name_says() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        for name in ["group", "Gruppe-ß", "群組", "a name outside the first plane 🦀"] {
            let group = peer.unique(name);
            connection.coordinator_of(&group).await;
            let answer = connection.ask(&commit_request(&group, &topic, 3), OFFSET_COMMIT).await;
            assert_eq!(committed(&answer), ErrorCode::None);
            for partition in 0..OFFSETS_PARTITIONS {
                let stored = stored_in(&mut connection, OFFSETS, partition).await;
                assert_eq!(
                    contains(&stored, group.as_bytes()),
                    partition == partition_of(&group),
                    "{group} in partition {partition}"
                );
            }
        }
    });
}

#[test]
fn c62_an_assignment_is_stored_before_it_is_answered() {
    check(async |peer| {
        let group = peer.unique("group");
        let assignment = peer.unique("assignment");
        let mut member = Member::new(&peer, &group).await;
        member.join().await;
        let id = member.id.clone();
        let answer = member.sync(&[(&id, assignment.as_bytes())]).await;
        assert_eq!(error(answer.error_code), ErrorCode::None);
        let stored = stored_in(&mut member.connection, OFFSETS, partition_of(&group)).await;
        assert!(contains(&stored, assignment.as_bytes()));
    });
}

#[test]
fn c65_who_is_no_member_commits_only_to_a_group_without_members() {
    check(async |peer| {
        let (_, topic) = with_topic(&peer, &[]).await;
        let group = peer.unique("group");
        let mut connection = peer.connect().await;
        connection.coordinator_of(&group).await;
        let request = commit_request(&group, &topic, 3);
        assert_eq!(committed(&connection.ask(&request, OFFSET_COMMIT).await), ErrorCode::None);
        assert_eq!(connection.committed(&group, &topic).await, (ErrorCode::None, 3));
        let mut member = alone(&peer, &group).await;
        assert_eq!(committed(&connection.ask(&request, OFFSET_COMMIT).await), ErrorCode::UnknownMemberId);
        assert_eq!(member.leave().await, ErrorCode::None);
        assert_eq!(committed(&connection.ask(&request, OFFSET_COMMIT).await), ErrorCode::None);
    });
}

#[test]
fn c65_a_member_commits_only_in_its_generation() {
    check(async |peer| {
        let (_, topic) = with_topic(&peer, &[]).await;
        let group = peer.unique("group");
        let mut leader = alone(&peer, &group).await;
        assert_eq!(leader.commit(&topic, 1).await, ErrorCode::None);
        for generation in [0, 2] {
            leader.generation = generation;
            assert_eq!(leader.commit(&topic, 2).await, ErrorCode::IllegalGeneration);
        }
        leader.generation = 1;
        let mut follower = Member::new(&peer, &group).await;
        follower.start_join().await;
        while leader.heartbeat().await != ErrorCode::RebalanceInProgress {
            leader.connection.pause().await;
        }
        assert_eq!(
            leader.commit(&topic, 3).await,
            ErrorCode::None,
            "while members join the old one still counts"
        );
        assert_eq!(leader.join().await.generation_id, 2);
        follower.finish_join().await;
        assert_eq!(
            leader.commit(&topic, 4).await,
            ErrorCode::RebalanceInProgress,
            "while members sync nothing does"
        );
        assert_eq!(leader.connection.committed(&group, &topic).await, (ErrorCode::None, 3));
    });
}

#[test]
fn c65_a_generation_of_a_group_that_is_not_there_is_refused() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let group = peer.unique("group");
        connection.coordinator_of(&group).await;
        for (version, expected) in [(8, ErrorCode::IllegalGeneration), (9, ErrorCode::GroupIdNotFound)] {
            let request = OffsetCommitRequest {
                generation_id_or_member_epoch: 1,
                member_id: "somebody".into(),
                ..commit_request(&group, &topic, 3)
            };
            assert_eq!(committed(&connection.ask(&request, version).await), expected, "version {version}");
        }
    });
}

#[test]
fn c65_notes_have_a_length() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let group = peer.unique("group");
        connection.coordinator_of(&group).await;
        for (length, expected) in [(4096, ErrorCode::None), (4097, ErrorCode::OffsetMetadataTooLarge)] {
            let mut request = commit_request(&group, &topic, 3);
            request.topics[0].partitions[0].committed_metadata = Some("x".repeat(length).into());
            assert_eq!(committed(&connection.ask(&request, OFFSET_COMMIT).await), expected, "{length} bytes");
        }
    });
}

#[test]
fn c65_offsets_of_a_topic_that_is_not_there_are_refused_one_by_one() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let group = peer.unique("group");
        connection.coordinator_of(&group).await;
        let mut request = commit_request(&group, &topic, 3);
        let mut elsewhere = request.topics[0].clone();
        elsewhere.name = "nowhere".into();
        request.topics.push(elsewhere);
        let mut beyond = request.topics[0].partitions[0].clone();
        beyond.partition_index = 7;
        request.topics[0].partitions.push(beyond);
        let answer = connection.ask(&request, OFFSET_COMMIT).await;
        let mut errors: Vec<_> = answer
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(move |partition| (&topic.name, partition)))
            .map(|(name, partition)| (name == &topic, partition.partition_index, error(partition.error_code)))
            .collect();
        errors.sort();
        let unknown = ErrorCode::UnknownTopicOrPartition;
        assert_eq!(errors, [(false, 0, unknown), (true, 0, ErrorCode::None), (true, 7, unknown)]);
    });
}

#[test]
fn c66_what_is_not_committed_is_minus_one_and_no_error() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let unknown = peer.unique("group");
        connection.coordinator_of(&unknown).await;
        assert_eq!(connection.committed(&unknown, &topic).await, (ErrorCode::None, -1));
        let (mut connection, group) = committed_group(&peer, &topic).await;
        assert_eq!(connection.committed(&group, "another").await, (ErrorCode::None, -1));
        assert_eq!(connection.committed(&group, &topic).await, (ErrorCode::None, 3));
    });
}

#[test]
fn c66_null_asks_for_all_topics_and_each_group_is_answered_for_itself() {
    check(async |peer| {
        let (_, topic) = with_topic(&peer, &[]).await;
        let (mut connection, group) = committed_group(&peer, &topic).await;
        let asked = |group: &str| OffsetFetchRequestGroup {
            group_id: group.to_owned().into(),
            topics: None,
            ..OffsetFetchRequestGroup::default()
        };
        let (unknown, groups) = (peer.unique("group"), |groups| OffsetFetchRequest {
            groups,
            require_stable: true,
            ..OffsetFetchRequest::default()
        });
        let request = groups(vec![asked(&unknown), asked(&group)]);
        let answer = connection.ask(&request, OFFSET_FETCH).await;
        let mut found: Vec<_> = answer
            .groups
            .iter()
            .map(|group| (&*group.group_id, error(group.error_code), group.topics.len()))
            .collect();
        let mut expected = [(&*unknown, ErrorCode::None, 0), (&*group, ErrorCode::None, 1)];
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    });
}

#[test]
fn c18_committed_offsets_go_with_their_topic() {
    check(async |peer| {
        let (_, topic) = with_topic(&peer, &[]).await;
        let (mut connection, group) = committed_group(&peer, &topic).await;
        connection.delete_topic(&topic).await;
        for _ in Connection::looks() {
            if connection.committed(&group, &topic).await == (ErrorCode::None, -1) {
                return;
            }
            connection.pause().await;
        }
        panic!("the offset outlives its topic");
    });
}

/// The time is of the commit, not of the group.
#[test]
fn c67_an_offset_committed_with_a_time_of_its_own_goes_after_that_time() {
    check(async |peer| {
        let (_, topic) = with_topic(&peer, &[]).await;
        let (mut connection, group) = committed_group(&peer, &topic).await;
        let (_, kept) = with_topic(&peer, &[]).await;
        let answer = connection.ask(&commit_request(&group, &kept, 4), OFFSET_COMMIT).await;
        assert_eq!(committed(&answer), ErrorCode::None);
        let request = OffsetCommitRequest { retention_time_ms: 1, ..commit_request(&group, &topic, 5) };
        assert_eq!(committed(&connection.ask(&request, 4).await), ErrorCode::None);
        for _ in Connection::looks() {
            if connection.committed(&group, &topic).await == (ErrorCode::None, -1) {
                assert_eq!(connection.committed(&group, &kept).await, (ErrorCode::None, 4));
                return;
            }
            connection.pause().await;
        }
        panic!("the offset stays");
    });
}

#[test]
fn c68_a_group_that_is_not_there_is_dead_or_not_found() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        let group = peer.unique("group");
        connection.coordinator_of(&group).await;
        for (version, expected) in [(5, ErrorCode::None), (6, ErrorCode::GroupIdNotFound)] {
            let groups = vec![group.as_str().into()];
            let request = DescribeGroupsRequest { groups, ..DescribeGroupsRequest::default() };
            let answer = connection.ask(&request, version).await;
            let described = &answer.groups[0];
            assert_eq!((error(described.error_code), &*described.group_state), (expected, "Dead"));
            assert_eq!(described.error_message.is_some(), version == 6);
        }
    });
}

pub async fn delete_group(connection: &mut Connection, group: &str) -> DeletableGroupResult<'static> {
    let request = DeleteGroupsRequest { groups_names: vec![group.to_owned().into()] };
    connection.ask(&request, 2).await.results.remove(0)
}

#[test]
fn c68_only_groups_without_members_can_be_deleted() {
    check(async |peer| {
        let group = peer.unique("group");
        let mut member = alone(&peer, &group).await;
        let mut connection = peer.connect().await;
        for (expected, leaves) in [(ErrorCode::NonEmptyGroup, true), (ErrorCode::None, false)] {
            assert_eq!(error(delete_group(&mut connection, &group).await.error_code), expected);
            if leaves {
                assert_eq!(member.leave().await, ErrorCode::None);
            }
        }
        let gone = delete_group(&mut connection, &group).await;
        assert_eq!(error(gone.error_code), ErrorCode::GroupIdNotFound);
    });
}

#[test]
fn c68_offsets_of_a_topic_that_members_want_cannot_be_deleted() {
    check(async |peer| {
        let (mut connection, wanted) = with_topic(&peer, &[]).await;
        let (_, other) = with_topic(&peer, &[]).await;
        let group = peer.unique("group");
        let mut member = Member::new(&peer, &group).await;
        member.protocols = vec![("range", subscription(&wanted, b""))];
        settle(&mut member).await;
        for topic in [&wanted, &other] {
            assert_eq!(member.commit(topic, 3).await, ErrorCode::None);
        }
        let topics = [&wanted, &other].map(|topic| OffsetDeleteRequestTopic {
            name: topic.as_str().into(),
            partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
        });
        let request = OffsetDeleteRequest { group_id: group.as_str().into(), topics: topics.into() };
        let answer = connection.ask(&request, 0).await;
        assert_eq!(error(answer.error_code), ErrorCode::None);
        let mut errors: Vec<_> = answer
            .topics
            .iter()
            .map(|topic| (*topic.name == *wanted, error(topic.partitions[0].error_code)))
            .collect();
        errors.sort();
        assert_eq!(errors, [(false, ErrorCode::None), (true, ErrorCode::GroupSubscribedToTopic)]);
        assert_eq!(connection.committed(&group, &wanted).await, (ErrorCode::None, 3));
        assert_eq!(connection.committed(&group, &other).await, (ErrorCode::None, -1));
    });
}

mod simulated {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use client::{Consumer, ConsumerConfig, Event, Start, TopicPartition};
    use model::TopicName;
    use sim_tests::server::{NODE, connect};

    use super::*;
    use crate::member::offset_fetch_request;
    use crate::peer::simulated;

    const MINUTE: Duration = Duration::from_secs(60);

    /// How long a slow disk takes for a piece of work, each way.
    const READ: Duration = Duration::from_secs(2);

    #[test]
    fn c59_a_group_is_not_forgotten_by_a_coordinator_that_starts_again() {
        simulated(&[], async |simulated| {
            let (_, topic) = with_topic(&simulated.peer, &[]).await;
            let mut member = alone(&simulated.peer, "group").await;
            assert_eq!(member.commit(&topic, 7).await, ErrorCode::None);
            drop(simulated.restart().await);
            member.connection = simulated.peer.connect().await;
            let coordinator = member.connection.coordinator_of("group").await;
            assert_eq!(coordinator.node_id, 1);
            assert_eq!(member.heartbeat().await, ErrorCode::None);
            assert_eq!(member.connection.committed("group", &topic).await, (ErrorCode::None, 7));
        });
    }

    #[test]
    fn c59_a_coordinator_that_still_reads_its_log_says_so() {
        simulated(&[], async |simulated| {
            let (_, topic) = with_topic(&simulated.peer, &[]).await;
            let mut member = alone(&simulated.peer, "group").await;
            assert_eq!(member.commit(&topic, 7).await, ErrorCode::None);
            // What it cannot write sends it back to its log, which it reads slowly.
            let disk = simulated.sim.disk(NODE);
            disk.set_latency(READ..=READ);
            let free_bytes = disk.free_bytes();
            disk.set_free_bytes(0);
            assert_eq!(member.commit(&topic, 8).await, ErrorCode::CoordinatorNotAvailable);
            disk.set_free_bytes(free_bytes);
            let fetch = offset_fetch_request("group", &topic);
            for what in ["asked first", "asked again"] {
                let fetched = member.connection.ask(&fetch, OFFSET_FETCH).await;
                let answers = [
                    error(fetched.groups[0].error_code),
                    member.heartbeat().await,
                    member.commit(&topic, 9).await,
                    error(member.join().await.error_code),
                ];
                assert_eq!(answers, [ErrorCode::CoordinatorLoadInProgress; 4], "{what}");
            }
            assert_eq!(member.connection.committed("group", &topic).await, (ErrorCode::None, 7));
            assert_eq!(member.heartbeat().await, ErrorCode::None);
        });
    }

    #[test]
    fn c67_offsets_expire_only_so_long_after_the_last_member_left() {
        simulated(&[("offsets.retention.minutes", "10")], async |simulated| {
            let (_, topic) = with_topic(&simulated.peer, &[]).await;
            let mut member = Member::new(&simulated.peer, "group").await;
            member.session_timeout_ms = 1_800_000;
            member.protocols = vec![("range", subscription(&topic, b""))];
            settle(&mut member).await;
            assert_eq!(member.commit(&topic, 7).await, ErrorCode::None);
            let sleep = |minutes| simulated.peer.rt.sleep(minutes * MINUTE);
            sleep(15).await;
            let mut connection = simulated.peer.connect().await;
            assert_eq!(connection.committed("group", &topic).await, (ErrorCode::None, 7), "it is a member's");
            member.connection = simulated.peer.connect().await;
            assert_eq!(member.leave().await, ErrorCode::None);
            for (minutes, expected) in [(9, 7), (2, -1)] {
                sleep(minutes).await;
                let mut connection = simulated.peer.connect().await;
                assert_eq!(connection.committed("group", &topic).await, (ErrorCode::None, expected));
            }
            let mut connection = simulated.peer.connect().await;
            let gone = delete_group(&mut connection, "group").await;
            assert_eq!(error(gone.error_code), ErrorCode::GroupIdNotFound, "nothing is left of it");
        });
    }

    #[test]
    fn c67_offsets_of_a_topic_that_members_no_longer_want_expire_by_themselves() {
        simulated(&[("offsets.retention.minutes", "10")], async |simulated| {
            let (_, wanted) = with_topic(&simulated.peer, &[]).await;
            let (_, other) = with_topic(&simulated.peer, &[]).await;
            let mut member = Member::new(&simulated.peer, "group").await;
            member.session_timeout_ms = 1_800_000;
            member.protocols = vec![("range", subscription(&wanted, b""))];
            settle(&mut member).await;
            for topic in [&wanted, &other] {
                assert_eq!(member.commit(topic, 7).await, ErrorCode::None);
            }
            simulated.peer.rt.sleep(11 * MINUTE).await;
            let mut connection = simulated.peer.connect().await;
            assert_eq!(connection.committed("group", &wanted).await, (ErrorCode::None, 7));
            assert_eq!(connection.committed("group", &other).await, (ErrorCode::None, -1));
        });
    }

    /// Keys without values in the partition a group is stored in.
    async fn tombstones(peer: &Peer, group: &str) -> usize {
        let client = connect(&peer.rt, peer.address).await;
        let place = TopicPartition::new(TopicName::consumer_offsets(), partition_of(group));
        let starts = BTreeMap::from([(place, Start::Earliest)]);
        let mut consumer = Consumer::assigned(&client, ConsumerConfig::default(), &starts).await.unwrap();
        let mut found = 0;
        while let Event::Records(records) = consumer.poll(Duration::from_secs(2)).await.unwrap() {
            found += records.iter().filter(|record| record.value.is_none()).count();
        }
        found
    }

    #[test]
    fn c67_offsets_of_a_group_without_members_expire_so_long_after_their_commit_and_stay_gone() {
        simulated(&[("offsets.retention.minutes", "10")], async |simulated| {
            let peer = &simulated.peer;
            let ((_, early), (_, late)) = (with_topic(peer, &[]).await, with_topic(peer, &[]).await);
            let (_, group) = committed_group(peer, &early).await;
            peer.rt.sleep(5 * MINUTE).await;
            let mut connection = peer.connect().await;
            connection.ask(&commit_request(&group, &late, 3), OFFSET_COMMIT).await;
            // The time before a restart counts.
            drop(simulated.restart().await);
            assert_eq!(tombstones(peer, &group).await, 0);
            for (minutes, expected) in [(4, (3, 3)), (12, (-1, 3)), (16, (-1, -1))] {
                let since_start = peer.rt.now().saturating_since(rt::Instant::START);
                peer.rt.sleep((minutes * MINUTE).saturating_sub(since_start)).await;
                for _ in 0..2 {
                    let mut connection = simulated.restart().await;
                    let (_, found_early) = connection.committed(&group, &early).await;
                    let (_, found_late) = connection.committed(&group, &late).await;
                    assert_eq!((found_early, found_late), expected, "after {minutes} minutes");
                }
            }
            assert_eq!(tombstones(peer, &group).await, 3, "two offsets and the group");
            let mut connection = peer.connect().await;
            let gone = delete_group(&mut connection, &group).await;
            assert_eq!(error(gone.error_code), ErrorCode::GroupIdNotFound, "nothing is left of it");
        });
    }
}
