//! Who is in a classic group, and its rebalances: cases 60 to 64 and 69.

use std::time::Duration;

use model::ErrorCode;
use wire::{JoinGroupRequest, SyncGroupRequest};

use crate::connection::error;
use crate::member::{JOIN, Member, SYNC, alone, let_in, pair, settle, subscription, sync_both};
use crate::peer::check;

/// How long a test looks at a member that must not be answered.
const WHILE: Duration = Duration::from_millis(300);

#[test]
fn c60_a_member_without_a_name_is_given_one_to_come_back_with() {
    check(async |peer| {
        let group = peer.unique("group");
        let mut member = Member::new(&peer, &group).await;
        let answer = member.connection.ask(&member.join_request(), JOIN).await;
        assert_eq!(error(answer.error_code), ErrorCode::MemberIdRequired);
        // The client id, a hyphen and a UUID.
        let uuid = answer.member_id.strip_prefix("raw-").unwrap();
        assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!((answer.generation_id, &*answer.leader), (-1, ""));
        member.id = answer.member_id.into_owned();
        assert_eq!(error(member.join().await.error_code), ErrorCode::None);
    });
}

#[test]
fn c60_before_version_4_a_member_is_let_in_without_a_name() {
    check(async |peer| {
        let group = peer.unique("group");
        let mut member = Member::new(&peer, &group).await;
        let answer = member.connection.ask(&member.join_request(), 3).await;
        assert_eq!((error(answer.error_code), answer.generation_id), (ErrorCode::None, 1));
        assert_eq!(answer.leader, answer.member_id);
    });
}

#[test]
fn c60_a_static_member_needs_no_name_first() {
    check(async |peer| {
        let group = peer.unique("group");
        let mut member = Member::fixed(&peer, &group, "one").await;
        let answer = member.join().await;
        assert_eq!((error(answer.error_code), answer.generation_id), (ErrorCode::None, 1));
        assert!(answer.member_id.starts_with("one-"), "{}", answer.member_id);
    });
}

#[test]
fn c60_a_name_that_nobody_gave_is_unknown() {
    check(async |peer| {
        let group = peer.unique("group");
        let mut member = alone(&peer, &group).await;
        let mut stranger = Member::new(&peer, &group).await;
        stranger.id = "mine".to_owned();
        assert_eq!(error(stranger.join().await.error_code), ErrorCode::UnknownMemberId);
        assert_eq!(member.heartbeat().await, ErrorCode::None);
    });
}

#[test]
fn c60_only_the_leader_is_told_of_all_members() {
    check(async |peer| {
        let group = peer.unique("group");
        let mut leader = alone(&peer, &group).await;
        let mut follower = Member::new(&peer, &group).await;
        follower.start_join().await;
        while leader.heartbeat().await != ErrorCode::RebalanceInProgress {
            leader.connection.pause().await;
        }
        let (leading, following) = (leader.join().await, follower.finish_join().await);
        let mut members: Vec<_> = leading.members.iter().map(|member| &*member.member_id).collect();
        let mut expected = [leader.id.as_str(), follower.id.as_str()];
        members.sort_unstable();
        expected.sort_unstable();
        assert_eq!(members, expected);
        assert_eq!((following.members.len(), &*following.leader), (0, leader.id.as_str()));
        assert_eq!((leading.generation_id, following.generation_id), (2, 2));
    });
}

#[test]
fn c60_a_member_that_does_not_rejoin_in_time_is_removed() {
    check(async |peer| {
        let group = peer.unique("group");
        let mut late = Member::new(&peer, &group).await;
        late.rebalance_timeout_ms = 1_000;
        settle(&mut late).await;
        let mut joiner = Member::new(&peer, &group).await;
        joiner.rebalance_timeout_ms = 1_000;
        let answer = joiner.join().await;
        assert_eq!((error(answer.error_code), answer.generation_id), (ErrorCode::None, 2));
        assert_eq!((answer.members.len(), answer.leader), (1, joiner.id.clone().into()));
        assert_eq!(late.heartbeat().await, ErrorCode::UnknownMemberId);
    });
}

#[test]
fn c60_the_protocol_is_the_one_that_most_members_prefer_of_those_all_support() {
    check(async |peer| {
        let group = peer.unique("group");
        let supports =
            |names: &[&'static str]| names.iter().map(|name| (*name, subscription("t", b""))).collect();
        let mut first = Member::new(&peer, &group).await;
        first.protocols = supports(&["only mine", "b", "a"]);
        settle(&mut first).await;
        let mut second = Member::new(&peer, &group).await;
        second.protocols = supports(&["a", "b"]);
        let_in(&mut [&mut first], &mut second).await;
        let mut third = Member::new(&peer, &group).await;
        third.protocols = supports(&["a", "b"]);
        third.start_join().await;
        for member in [&mut first, &mut second] {
            while member.heartbeat().await != ErrorCode::RebalanceInProgress {
                member.connection.pause().await;
            }
            member.start_join().await;
        }
        let answer = third.finish_join().await;
        assert_eq!(answer.protocol_name.as_deref(), Some("a"));
    });
}

#[test]
fn c60_a_member_that_shares_no_protocol_is_refused() {
    check(async |peer| {
        let group = peer.unique("group");
        let mut member = alone(&peer, &group).await;
        for (protocols, protocol_type) in [
            (vec![("other", subscription("t", b""))], "consumer"),
            (vec![("range", subscription("t", b""))], "connect"),
            (vec![], "consumer"),
            (vec![("range", subscription("t", b""))], ""),
        ] {
            let mut stranger = Member::new(&peer, &group).await;
            stranger.protocols = protocols.clone();
            let request = JoinGroupRequest { protocol_type: protocol_type.into(), ..stranger.join_request() };
            let answer = stranger.connection.ask(&request, JOIN).await;
            let expected = ErrorCode::InconsistentGroupProtocol;
            assert_eq!(error(answer.error_code), expected, "{protocol_type} {protocols:?}");
        }
        assert_eq!(member.heartbeat().await, ErrorCode::None);
    });
}

#[test]
fn c60_session_timeouts_have_bounds() {
    check(async |peer| {
        let group = peer.unique("group");
        let mut member = Member::new(&peer, &group).await;
        for (session_timeout_ms, expected) in [
            (5_999, ErrorCode::InvalidSessionTimeout),
            (6_000, ErrorCode::MemberIdRequired),
            (1_800_000, ErrorCode::MemberIdRequired),
            (1_800_001, ErrorCode::InvalidSessionTimeout),
        ] {
            let request = JoinGroupRequest { session_timeout_ms, ..member.join_request() };
            let answer = member.connection.ask(&request, JOIN).await;
            assert_eq!(error(answer.error_code), expected, "{session_timeout_ms} ms");
        }
        let request = JoinGroupRequest { group_id: "".into(), ..member.join_request() };
        let answer = member.connection.ask(&request, JOIN).await;
        assert_eq!(error(answer.error_code), ErrorCode::InvalidGroupId);
    });
}

/// `group.max.size` is 3.
#[test]
fn c60_a_full_group_takes_no_more_members() {
    check(async |peer| {
        let group = peer.unique("group");
        let (mut first, mut second) = pair(&peer, &group).await;
        let mut third = Member::new(&peer, &group).await;
        let_in(&mut [&mut first, &mut second], &mut third).await;
        let mut fourth = Member::new(&peer, &group).await;
        let answer = fourth.connection.ask(&fourth.join_request(), JOIN).await;
        assert_eq!((error(answer.error_code), &*answer.member_id), (ErrorCode::GroupMaxSizeReached, ""));
    });
}

#[test]
fn c61_a_follower_that_rejoins_unchanged_is_told_the_generation_and_a_leader_starts_another() {
    check(async |peer| {
        let group = peer.unique("group");
        let (mut leader, mut follower) = pair(&peer, &group).await;
        let answer = follower.join().await;
        assert_eq!((error(answer.error_code), answer.generation_id), (ErrorCode::None, 2));
        assert_eq!(leader.heartbeat().await, ErrorCode::None);
        leader.start_join().await;
        while follower.heartbeat().await != ErrorCode::RebalanceInProgress {
            follower.connection.pause().await;
        }
        assert_eq!(follower.join().await.generation_id, 3);
        assert_eq!(leader.finish_join().await.generation_id, 3);
    });
}

#[test]
fn c61_a_follower_that_rejoins_changed_starts_a_rebalance() {
    check(async |peer| {
        let group = peer.unique("group");
        let (mut leader, mut follower) = pair(&peer, &group).await;
        follower.protocols[0].1 = subscription("elsewhere", b"");
        follower.start_join().await;
        while leader.heartbeat().await != ErrorCode::RebalanceInProgress {
            leader.connection.pause().await;
        }
        assert_eq!(leader.join().await.generation_id, 3);
        assert_eq!(follower.finish_join().await.generation_id, 3);
    });
}

#[test]
fn c62_a_member_waits_for_the_assignment_of_the_leader_and_gets_it_again() {
    check(async |peer| {
        let group = peer.unique("group");
        let mut leader = alone(&peer, &group).await;
        let mut follower = Member::new(&peer, &group).await;
        let_in(&mut [&mut leader], &mut follower).await;
        follower.start_sync().await;
        assert_eq!(follower.connection.answer_within(WHILE).await, None);
        let (first, second) = (leader.id.clone(), follower.id.clone());
        let answer = leader.sync(&[(&first, b"half"), (&second, b"other half")]).await;
        assert_eq!((error(answer.error_code), &*answer.assignment), (ErrorCode::None, &b"half"[..]));
        assert_eq!(answer.protocol_name.as_deref(), Some("range"));
        assert_eq!(&*follower.finish_sync().await.assignment, b"other half");
        // The group is stable: what was stored is answered, whatever is sent.
        let answer = leader.sync(&[(&first, b"all")]).await;
        assert_eq!(&*answer.assignment, b"half");
    });
}

#[test]
fn c62_a_member_that_waits_is_sent_back_when_the_group_rebalances_again() {
    check(async |peer| {
        let group = peer.unique("group");
        let mut leader = alone(&peer, &group).await;
        let mut follower = Member::new(&peer, &group).await;
        let_in(&mut [&mut leader], &mut follower).await;
        follower.start_sync().await;
        assert_eq!(follower.connection.answer_within(WHILE).await, None);
        let mut third = Member::new(&peer, &group).await;
        third.start_join().await;
        assert_eq!(error(follower.finish_sync().await.error_code), ErrorCode::RebalanceInProgress);
        assert_eq!(error(leader.sync(&[]).await.error_code), ErrorCode::RebalanceInProgress);
    });
}

#[test]
fn c62_a_sync_of_another_protocol_or_generation_is_refused() {
    check(async |peer| {
        let group = peer.unique("group");
        let mut member = alone(&peer, &group).await;
        let right = member.sync_request(&[]);
        for (request, expected) in [
            (
                SyncGroupRequest { protocol_type: Some("connect".into()), ..right.clone() },
                ErrorCode::InconsistentGroupProtocol,
            ),
            (
                SyncGroupRequest { protocol_name: Some("other".into()), ..right.clone() },
                ErrorCode::InconsistentGroupProtocol,
            ),
            (SyncGroupRequest { generation_id: 2, ..right.clone() }, ErrorCode::IllegalGeneration),
            (SyncGroupRequest { generation_id: 0, ..right.clone() }, ErrorCode::IllegalGeneration),
            (SyncGroupRequest { member_id: "nobody".into(), ..right.clone() }, ErrorCode::UnknownMemberId),
            (right.clone(), ErrorCode::None),
        ] {
            assert_eq!(error(member.connection.ask(&request, SYNC).await.error_code), expected);
        }
    });
}

#[test]
fn c63_a_heartbeat_tells_of_a_rebalance_only_while_members_join() {
    check(async |peer| {
        let group = peer.unique("group");
        let mut leader = alone(&peer, &group).await;
        assert_eq!(leader.heartbeat().await, ErrorCode::None, "stable");
        let mut follower = Member::new(&peer, &group).await;
        follower.start_join().await;
        while leader.heartbeat().await != ErrorCode::RebalanceInProgress {
            leader.connection.pause().await;
        }
        assert_eq!(leader.join().await.generation_id, 2);
        follower.finish_join().await;
        for member in [&mut leader, &mut follower] {
            assert_eq!(member.heartbeat().await, ErrorCode::None, "members sync");
        }
        sync_both(&mut leader, &mut follower).await;
        follower.generation = 1;
        assert_eq!(follower.heartbeat().await, ErrorCode::IllegalGeneration);
        follower.id = "nobody".to_owned();
        assert_eq!(follower.heartbeat().await, ErrorCode::UnknownMemberId);
    });
}

#[test]
fn c64_a_static_member_comes_back_under_a_new_name_without_a_rebalance() {
    check(async |peer| {
        let group = peer.unique("group");
        let mut leader = Member::fixed(&peer, &group, "one").await;
        settle(&mut leader).await;
        let mut follower = Member::fixed(&peer, &group, "two").await;
        let_in(&mut [&mut leader], &mut follower).await;
        sync_both(&mut leader, &mut follower).await;
        let mut again = Member::fixed(&peer, &group, "two").await;
        let answer = again.join().await;
        assert_eq!((error(answer.error_code), answer.generation_id), (ErrorCode::None, 2));
        assert_ne!(again.id, follower.id);
        assert_eq!(&*again.sync(&[]).await.assignment, b"other half");
        assert_eq!(leader.heartbeat().await, ErrorCode::None);
        assert_eq!(follower.heartbeat().await, ErrorCode::FencedInstanceId);
        assert_eq!(error(follower.sync(&[]).await.error_code), ErrorCode::FencedInstanceId);
        assert_eq!(error(follower.join().await.error_code), ErrorCode::FencedInstanceId);
    });
}

#[test]
fn c64_a_static_leader_that_comes_back_need_not_assign() {
    check(async |peer| {
        let group = peer.unique("group");
        let mut leader = Member::fixed(&peer, &group, "one").await;
        settle(&mut leader).await;
        let mut again = Member::fixed(&peer, &group, "one").await;
        let answer = again.join().await;
        assert_eq!((error(answer.error_code), answer.generation_id), (ErrorCode::None, 1));
        assert!(answer.skip_assignment);
        assert_eq!((&*answer.leader, answer.members.len()), (again.id.as_str(), 1));
        // Before version 9 there was no such word: the old name leads, and nobody is there to assign to.
        let mut older = Member::fixed(&peer, &group, "one").await;
        let answer = older.connection.ask(&older.join_request(), 8).await;
        assert_eq!((error(answer.error_code), answer.generation_id), (ErrorCode::None, 1));
        assert_eq!((&*answer.leader, answer.members.len()), (again.id.as_str(), 0));
    });
}

#[test]
fn c64_a_static_member_that_changes_the_protocol_starts_a_rebalance() {
    check(async |peer| {
        let group = peer.unique("group");
        let mut member = Member::fixed(&peer, &group, "one").await;
        settle(&mut member).await;
        let mut again = Member::fixed(&peer, &group, "one").await;
        again.protocols = vec![("other", subscription("t", b""))];
        let answer = again.join().await;
        // A protocol that the group does not share is no reason to refuse the only one who would have to share it.
        assert_eq!(error(answer.error_code), ErrorCode::InconsistentGroupProtocol);
        again.protocols = vec![("other", subscription("t", b"")), ("range", subscription("t", b""))];
        assert_eq!(again.join().await.generation_id, 2);
    });
}

#[test]
fn c64_only_leave_group_by_its_instance_removes_a_static_member() {
    check(async |peer| {
        let group = peer.unique("group");
        let mut member = Member::fixed(&peer, &group, "one").await;
        settle(&mut member).await;
        let mut stranger = Member::fixed(&peer, &group, "two").await;
        assert_eq!(stranger.leave().await, ErrorCode::UnknownMemberId);
        assert_eq!(member.heartbeat().await, ErrorCode::None);
        assert_eq!(member.leave().await, ErrorCode::None);
        assert_eq!(member.heartbeat().await, ErrorCode::UnknownMemberId);
    });
}

#[test]
fn c69_what_members_say_is_handed_on_byte_for_byte() {
    check(async |peer| {
        let group = peer.unique("group");
        let noise: Vec<u8> = (0..=255).rev().collect();
        let mut member = Member::new(&peer, &group).await;
        let metadata = subscription("t", &noise);
        member.protocols = vec![("cooperative-sticky", metadata.clone())];
        let answer = member.join().await;
        assert_eq!(&*answer.members[0].metadata, metadata);
        let id = member.id.clone();
        let answer = member.sync(&[(&id, &noise)]).await;
        assert_eq!(&*answer.assignment, noise);
    });
}

mod simulated {
    use super::*;
    use crate::peer::simulated;
    use crate::topic::with_topic;

    /// The delay of 500 ms starts anew with each join, up to the rebalance timeout of the members.
    #[test]
    fn c60_the_first_rebalance_waits_for_more_members() {
        simulated(&[], async |simulated| {
            let (rt, group) = (&simulated.peer.rt, "group");
            let mut members = Vec::new();
            for _ in 0..3 {
                let mut member = Member::new(&simulated.peer, group).await;
                member.ask_for_name().await;
                members.push(member);
            }
            let began = rt.now();
            for member in &mut members {
                member.start_join().await;
                rt.sleep(Duration::from_millis(400)).await;
            }
            for member in &mut members {
                assert_eq!(member.finish_join().await.generation_id, 1);
            }
            let took = rt.now().saturating_since(began);
            assert!((Duration::from_millis(1_300)..Duration::from_millis(1_600)).contains(&took), "{took:?}");
        });
    }

    #[test]
    fn c60_a_name_that_is_not_used_expires_with_the_session_timeout() {
        simulated(&[], async |simulated| {
            let mut member = Member::new(&simulated.peer, "group").await;
            member.session_timeout_ms = 6_000;
            member.ask_for_name().await;
            simulated.peer.rt.sleep(Duration::from_millis(6_100)).await;
            assert_eq!(error(member.join().await.error_code), ErrorCode::UnknownMemberId);
        });
    }

    /// Who is a member is written down with the assignment of a generation, so that a coordinator which is killed before the
    /// next one waits for who left, until its session is over. So does Kafka 4.3: of two consumers of librdkafka with a
    /// session timeout of 45 s one left, and the next rebalance took 44.8 s where the broker was killed at once, 1.3 s
    /// where the other one had everything by then.
    #[test]
    fn c60_who_left_is_waited_for_by_a_coordinator_that_was_killed_before_the_next_generation() {
        const SESSION: Duration = Duration::from_secs(30);
        for is_over in [false, true] {
            simulated(&[], async |simulated| {
                let (mut stays, mut leaves) = pair(&simulated.peer, "group").await;
                assert_eq!(leaves.leave().await, ErrorCode::None);
                if is_over {
                    settle(&mut stays).await;
                }
                stays.connection = simulated.restart().await;
                stays.connection.coordinator_of("group").await;
                stays.rebalance_timeout_ms = 300_000;
                let began = simulated.peer.rt.now();
                assert_eq!(stays.join().await.members.len(), 1);
                let took = simulated.peer.rt.now().saturating_since(began);
                let second = Duration::from_secs(1);
                let expected =
                    if is_over { Duration::ZERO..second } else { SESSION - second..SESSION + second };
                assert!(expected.contains(&took), "{took:?}, {is_over}");
            });
        }
    }

    #[test]
    fn c63_a_heartbeat_or_a_commit_keeps_a_member_in_and_silence_does_not() {
        simulated(&[], async |simulated| {
            let (_, topic) = with_topic(&simulated.peer, &[]).await;
            let mut member = Member::new(&simulated.peer, "group").await;
            member.session_timeout_ms = 6_000;
            settle(&mut member).await;
            let five_seconds = Duration::from_secs(5);
            simulated.peer.rt.sleep(five_seconds).await;
            assert_eq!(member.heartbeat().await, ErrorCode::None);
            simulated.peer.rt.sleep(five_seconds).await;
            assert_eq!(member.commit(&topic, 1).await, ErrorCode::None);
            simulated.peer.rt.sleep(five_seconds).await;
            assert_eq!(member.heartbeat().await, ErrorCode::None);
            simulated.peer.rt.sleep(Duration::from_millis(6_100)).await;
            assert_eq!(member.heartbeat().await, ErrorCode::UnknownMemberId);
        });
    }

    #[test]
    fn c64_the_session_timeout_removes_a_static_member_too() {
        simulated(&[], async |simulated| {
            let mut member = Member::fixed(&simulated.peer, "group", "one").await;
            member.session_timeout_ms = 6_000;
            settle(&mut member).await;
            simulated.peer.rt.sleep(Duration::from_millis(6_100)).await;
            assert_eq!(member.heartbeat().await, ErrorCode::UnknownMemberId);
        });
    }

    #[test]
    fn c64_static_members_come_back_to_a_broker_that_starts_again_without_a_rebalance() {
        simulated(&[], async |simulated| {
            let mut leader = Member::fixed(&simulated.peer, "group", "one").await;
            settle(&mut leader).await;
            let mut follower = Member::fixed(&simulated.peer, "group", "two").await;
            let_in(&mut [&mut leader], &mut follower).await;
            sync_both(&mut leader, &mut follower).await;
            drop(simulated.restart().await);
            for (instance, part) in [("two", b"other half".as_slice()), ("one", b"half")] {
                let mut again = Member::fixed(&simulated.peer, "group", instance).await;
                let answer = again.join().await;
                assert_eq!((error(answer.error_code), answer.generation_id), (ErrorCode::None, 2));
                assert_eq!(&*again.sync(&[]).await.assignment, part);
                assert_eq!(again.heartbeat().await, ErrorCode::None);
            }
        });
    }
}
