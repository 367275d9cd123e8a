//! What the coordinator of transactions answers: cases 66, 73 to 76 and 80 to 82.

use model::ErrorCode;
use wire::txn_offset_commit::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic};
use wire::{AddOffsetsToTxnRequest, InitProducerIdRequest, OffsetFetchRequest, TxnOffsetCommitRequest};

use crate::committed_offsets::{contains, delete_group, partition_of, stored_in};
use crate::connection::{Connection, error};
use crate::isolation::{ONE_SEGMENT, fetch_committed};
use crate::member::{OFFSET_FETCH, offset_fetch_request};
use crate::peer::{check, check_outside};
use crate::topic::{PRODUCE, with_topic};
use crate::transactional::{ABORT, COMMIT, INIT, Transactional};

/// The version of EndTxn in which each protocol ends a transaction.
const FIRST: i16 = 4;
const SECOND: i16 = 5;
/// The last version of Produce that adds no partition to a transaction.
const ADDS_NOTHING: i16 = 11;
const ADD_OFFSETS: i16 = 3;
const TXN_OFFSET_COMMIT: i16 = 3;

/// The last epoch that a producer is given: the one after it is kept to fence it with.
const LAST_EPOCH: i16 = i16::MAX - 1;

/// Writes one record in a transaction of the first protocol.
pub async fn write_first(one: &mut Transactional, connection: &mut Connection, topic: &str) {
    assert_eq!(one.add(connection, &[topic]).await, [ErrorCode::None]);
    let batch = one.batch(1, true);
    let answer = one.send(connection, topic, batch, ADDS_NOTHING).await;
    assert_eq!(error(answer.error_code), ErrorCode::None);
}

/// Waits until readers of committed records get up to `offset`, or past it: a coordinator that was killed after it wrote a marker,
/// and before it wrote that down, writes another one.
async fn stable_to(connection: &mut Connection, topic: &str, offset: i64) {
    let mut reached = -1;
    for _ in Connection::looks() {
        reached = fetch_committed(connection, topic, 0).await.last_stable_offset;
        if offset <= reached {
            return;
        }
        connection.pause().await;
    }
    panic!("the last stable offset does not get to {offset}: it is {reached}");
}

#[test]
fn c73_transactional_ids_are_not_empty_and_timeouts_have_a_bound() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        let one = Transactional::new(&peer, &mut connection).await;
        let id = one.transactional_id.clone();
        for (id, timeout_ms, expected) in [
            (Some(""), 60_000, ErrorCode::InvalidRequest),
            (Some(id.as_str()), 0, ErrorCode::InvalidTransactionTimeout),
            (Some(id.as_str()), 900_001, ErrorCode::InvalidTransactionTimeout),
            (Some(id.as_str()), 900_000, ErrorCode::None),
            (None, 900_001, ErrorCode::None),
        ] {
            let request = InitProducerIdRequest {
                transactional_id: id.map(Into::into),
                transaction_timeout_ms: timeout_ms,
                producer_id: -1,
                producer_epoch: -1,
            };
            let answer = connection.ask(&request, INIT).await;
            assert_eq!(error(answer.error_code), expected, "{id:?} and {timeout_ms} ms");
        }
    });
}

#[test]
fn c73_who_takes_an_open_transaction_over_comes_again_until_it_is_aborted() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let mut one = Transactional::new(&peer, &mut connection).await;
        one.write(&mut connection, &topic, 2).await;
        let first = connection.ask(&one.init_request(-1, -1), INIT).await;
        assert_eq!(error(first.error_code), ErrorCode::ConcurrentTransactions);
        let next = one.init(&mut connection, -1, -1).await;
        assert_eq!((error(next.error_code), next.producer_id), (ErrorCode::None, one.id));
        assert_eq!(next.producer_epoch, one.epoch + 2, "one to fence, and one to go on with");
        let data = fetch_committed(&mut connection, &topic, 0).await;
        assert_eq!(
            (data.last_stable_offset, data.aborted_transactions.map(|aborted| aborted.len())),
            (3, Some(1))
        );
        let late = one.batch(1, true);
        let late = one.send(&mut connection, &topic, late, PRODUCE).await;
        assert_eq!(error(late.error_code), ErrorCode::InvalidProducerEpoch);
        let ended = one.finish(&mut connection, SECOND, COMMIT).await;
        assert_eq!(error(ended.error_code), ErrorCode::ProducerFenced);
    });
}

#[test]
fn c73_who_asks_again_with_the_epoch_it_had_gets_the_same_one() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        let one = Transactional::new(&peer, &mut connection).await;
        let epoch = one.epoch;
        for (what, id, with, expected) in [
            ("its own", one.id, epoch, Ok(epoch + 1)),
            ("again", one.id, epoch, Ok(epoch + 1)),
            ("the new one", one.id, epoch + 1, Ok(epoch + 2)),
            ("an older one", one.id, epoch, Err(ErrorCode::ProducerFenced)),
            ("one that nobody had", one.id, epoch + 9, Err(ErrorCode::ProducerFenced)),
            ("another's id", one.id + 1_000_000, epoch + 2, Err(ErrorCode::ProducerFenced)),
        ] {
            let answer = one.init(&mut connection, id, with).await;
            let code = error(answer.error_code);
            let got = if code == ErrorCode::None { Ok(answer.producer_epoch) } else { Err(code) };
            assert_eq!(got, expected, "{what}");
        }
    });
}

#[test]
fn c73_a_producer_that_has_used_up_its_epochs_goes_on_with_a_new_id() {
    check_outside(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let mut one = Transactional::new(&peer, &mut connection).await;
        let request = one.init_request(-1, -1);
        // Requests of one connection are carried out one after the other, a few of them under way.
        let epochs: Vec<i16> = (one.epoch + 1..=LAST_EPOCH).collect();
        for some in epochs.chunks(100) {
            for _ in some {
                connection.start(&request, INIT).await;
            }
            for &epoch in some {
                let (_, answer) = connection.finish::<InitProducerIdRequest<'_>>(INIT).await;
                assert_eq!((error(answer.error_code), answer.producer_id), (ErrorCode::None, one.id));
                assert_eq!(answer.producer_epoch, epoch);
            }
        }
        one.epoch = LAST_EPOCH;
        one.write(&mut connection, &topic, 1).await;
        let first = one.finish(&mut connection, SECOND, COMMIT).await;
        assert_eq!((error(first.error_code), first.producer_epoch), (ErrorCode::None, 0));
        assert_ne!(first.producer_id, one.id);
        let again = one.finish(&mut connection, SECOND, COMMIT).await;
        assert_eq!((error(again.error_code), again.producer_id), (ErrorCode::None, first.producer_id));
        stable_to(&mut connection, &topic, 2).await;
        let mut next = Transactional { id: first.producer_id, ..one.in_epoch(0) };
        assert_eq!(next.write(&mut connection, &topic, 1).await, 2);
        let ended = next.finish(&mut connection, SECOND, COMMIT).await;
        assert_eq!((error(ended.error_code), ended.producer_epoch), (ErrorCode::None, 1));
        let late = one.batch(1, true);
        let late = one.send(&mut connection, &topic, late, PRODUCE).await;
        assert_ne!(error(late.error_code), ErrorCode::None, "the old id is over");
    });
}

#[test]
fn c74_partitions_are_added_all_or_none() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let one = Transactional::new(&peer, &mut connection).await;
        let unknown = peer.unique("no-such-topic");
        let both = one.add(&mut connection, &[&topic, &unknown]).await;
        assert_eq!(both, [ErrorCode::OperationNotAttempted, ErrorCode::UnknownTopicOrPartition]);
        let ended = one.finish(&mut connection, FIRST, COMMIT).await;
        assert_eq!(error(ended.error_code), ErrorCode::InvalidTxnState, "nothing was begun");
        for what in ["once", "again"] {
            assert_eq!(one.add(&mut connection, &[&topic]).await, [ErrorCode::None], "{what}");
        }
        let later = one.in_epoch(one.epoch + 1);
        assert_eq!(later.add(&mut connection, &[&topic]).await, [ErrorCode::ProducerFenced]);
        let other = Transactional { id: one.id + 1_000_000, ..one.in_epoch(one.epoch) };
        assert_eq!(other.add(&mut connection, &[&topic]).await, [ErrorCode::InvalidProducerIdMapping]);
    });
}

/// What an end of the second protocol came to: the epoch to go on with.
async fn ends(one: &Transactional, connection: &mut Connection, result: bool) -> Result<i16, ErrorCode> {
    let answer = one.finish(connection, SECOND, result).await;
    let code = error(answer.error_code);
    if code == ErrorCode::None { Ok(answer.producer_epoch) } else { Err(code) }
}

#[test]
fn c75_each_end_raises_the_epoch_and_may_be_repeated_in_the_one_before() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        for done in [COMMIT, ABORT] {
            let mut one = Transactional::new(&peer, &mut connection).await;
            one.write(&mut connection, &topic, 1).await;
            let (before, after) = (one.epoch, one.epoch + 1);
            let other = if done == COMMIT { ABORT } else { COMMIT };
            for (what, epoch, result, expected) in [
                ("the end", before, done, Ok(after)),
                ("the same again", before, done, Ok(after)),
                ("the other one again", before, other, Err(ErrorCode::InvalidTxnState)),
                ("a commit of nothing", after, COMMIT, Err(ErrorCode::InvalidTxnState)),
                ("an abort of nothing", after, ABORT, Ok(after + 1)),
                ("long ago", before, done, Err(ErrorCode::ProducerFenced)),
            ] {
                let ended = ends(&one.in_epoch(epoch), &mut connection, result).await;
                assert_eq!(ended, expected, "{what}, after {done}");
            }
        }
    });
}

#[test]
fn c75_without_a_transaction_only_an_abort_in_the_current_epoch_is_taken() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        let mut one = Transactional::new(&peer, &mut connection).await;
        one.epoch = one.init(&mut connection, -1, -1).await.producer_epoch;
        for (what, epoch, result, expected) in [
            ("an abort of the epoch before", one.epoch - 1, ABORT, Err(ErrorCode::ProducerFenced)),
            ("a commit", one.epoch, COMMIT, Err(ErrorCode::InvalidTxnState)),
            ("an abort", one.epoch, ABORT, Ok(one.epoch + 1)),
        ] {
            assert_eq!(ends(&one.in_epoch(epoch), &mut connection, result).await, expected, "{what}");
        }
    });
}

#[test]
fn c75_in_the_first_protocol_an_end_may_be_repeated_in_its_own_epoch() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let mut one = Transactional::new(&peer, &mut connection).await;
        write_first(&mut one, &mut connection, &topic).await;
        for (what, epoch, result, expected) in [
            ("a later epoch", one.epoch + 1, COMMIT, ErrorCode::ProducerFenced),
            ("the end", one.epoch, COMMIT, ErrorCode::None),
            ("the same again", one.epoch, COMMIT, ErrorCode::None),
            ("the other one", one.epoch, ABORT, ErrorCode::InvalidTxnState),
        ] {
            let ended = one.in_epoch(epoch).finish(&mut connection, FIRST, result).await;
            assert_eq!(error(ended.error_code), expected, "{what}");
        }
    });
}

/// It is answered when it is decided; the markers follow.
#[test]
fn c76_the_next_transaction_begins_when_the_markers_of_the_last_are_written() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let mut one = Transactional::new(&peer, &mut connection).await;
        for number in 1..=5 {
            write_first(&mut one, &mut connection, &topic).await;
            let stable = fetch_committed(&mut connection, &topic, 0).await.last_stable_offset;
            assert_eq!(stable, 2 * (number - 1), "all that was ended before");
            let ended = one.finish(&mut connection, FIRST, COMMIT).await;
            assert_eq!(error(ended.error_code), ErrorCode::None);
        }
        stable_to(&mut connection, &topic, 10).await;
    });
}

#[test]
fn c80_a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let mut one = Transactional::with_timeout(&peer, &mut connection, 1_000).await;
        one.write(&mut connection, &topic, 1).await;
        stable_to(&mut connection, &topic, 2).await;
        let data = fetch_committed(&mut connection, &topic, 0).await;
        assert_eq!(data.aborted_transactions.map(|aborted| aborted.len()), Some(1));
        let ended = one.finish(&mut connection, SECOND, COMMIT).await;
        assert_eq!(error(ended.error_code), ErrorCode::InvalidTxnState, "its epoch ended with an abort");
        let late = one.batch(1, true);
        let late = one.send(&mut connection, &topic, late, PRODUCE).await;
        assert_eq!(error(late.error_code), ErrorCode::InvalidProducerEpoch);
    });
}

/// A transaction that commits offsets of a group: it has begun.
async fn with_offsets(peer: &crate::peer::Peer, connection: &mut Connection) -> (Transactional, String) {
    let group = peer.unique("group");
    connection.coordinator_of(&group).await;
    let one = Transactional::new(peer, connection).await;
    let request = AddOffsetsToTxnRequest {
        transactional_id: one.transactional_id.clone().into(),
        producer_id: one.id,
        producer_epoch: one.epoch,
        group_id: group.clone().into(),
    };
    for _ in Connection::looks() {
        let answer = connection.ask(&request, ADD_OFFSETS).await;
        if !error(answer.error_code).is_retriable() {
            assert_eq!(error(answer.error_code), ErrorCode::None);
            return (one, group);
        }
        connection.pause().await;
    }
    panic!("the group's partition is not added");
}

/// Commits offset 5 of a topic's partition 0 in a transaction, as this member.
async fn commit_offset(
    one: &Transactional,
    connection: &mut Connection,
    group: &str,
    topic: &str,
    member: (&str, i32),
) -> ErrorCode {
    let partition =
        TxnOffsetCommitRequestPartition { committed_offset: 5, ..TxnOffsetCommitRequestPartition::default() };
    let topics = vec![TxnOffsetCommitRequestTopic { name: topic.into(), partitions: vec![partition] }];
    let request = TxnOffsetCommitRequest {
        transactional_id: one.transactional_id.as_str().into(),
        group_id: group.into(),
        producer_id: one.id,
        producer_epoch: one.epoch,
        member_id: member.0.into(),
        generation_id: member.1,
        topics,
        ..TxnOffsetCommitRequest::default()
    };
    error(connection.ask(&request, TXN_OFFSET_COMMIT).await.topics[0].partitions[0].error_code)
}

#[test]
fn c66_offsets_of_a_transaction_are_not_stable_until_its_end() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        for (result, expected) in [(COMMIT, 5), (ABORT, -1)] {
            let (one, group) = with_offsets(&peer, &mut connection).await;
            let written = commit_offset(&one, &mut connection, &group, &topic, ("", -1)).await;
            assert_eq!(written, ErrorCode::None);
            let before = connection.committed(&group, &topic).await;
            assert_eq!(before, (ErrorCode::None, -1), "who does not mind is told what was before");
            assert_eq!(stable(&mut connection, &group, &topic).await, (ErrorCode::UnstableOffsetCommit, -1));
            let ended = one.finish(&mut connection, FIRST, result).await;
            assert_eq!(error(ended.error_code), ErrorCode::None);
            let mut offset = (ErrorCode::UnstableOffsetCommit, -1);
            for _ in Connection::looks() {
                offset = stable(&mut connection, &group, &topic).await;
                if offset.0 != ErrorCode::UnstableOffsetCommit {
                    break;
                }
                connection.pause().await;
            }
            assert_eq!(offset, (ErrorCode::None, expected));
        }
    });
}

/// Ends a transaction, and waits until its group knows: what is committed then.
async fn settled(one: &Transactional, connection: &mut Connection, group: &str, topic: &str) -> i64 {
    let ended = one.finish(connection, FIRST, COMMIT).await;
    assert_eq!(error(ended.error_code), ErrorCode::None);
    // The next transaction begins when the markers of this one are written.
    assert_eq!(one.add(connection, &[topic]).await, [ErrorCode::None]);
    let (code, offset) = stable(connection, group, topic).await;
    assert_eq!(code, ErrorCode::None);
    offset
}

#[test]
fn c67_a_group_that_is_deleted_takes_its_undecided_offsets_with_it() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let (one, group) = with_offsets(&peer, &mut connection).await;
        let written = commit_offset(&one, &mut connection, &group, &topic, ("", -1)).await;
        assert_eq!(written, ErrorCode::None);
        let deleted = delete_group(&mut connection, &group).await;
        assert_eq!(error(deleted.error_code), ErrorCode::None);
        assert_eq!(stable(&mut connection, &group, &topic).await, (ErrorCode::None, -1));
        assert_eq!(settled(&one, &mut connection, &group, &topic).await, -1);
    });
}

/// The committed offset for who wants only what no transaction may change yet.
async fn stable(connection: &mut Connection, group: &str, topic: &str) -> (ErrorCode, i64) {
    let request = OffsetFetchRequest { require_stable: true, ..offset_fetch_request(group, topic) };
    let answer = connection.ask(&request, OFFSET_FETCH).await;
    let partition = &answer.groups[0].topics[0].partitions[0];
    (error(partition.error_code), partition.committed_offset)
}

#[test]
fn c80_offsets_are_committed_in_a_transaction_by_members_in_their_generation_only() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let (one, group) = with_offsets(&peer, &mut connection).await;
        for (member, expected) in [
            (("nobody", 5), ErrorCode::IllegalGeneration),
            (("", 5), ErrorCode::IllegalGeneration),
            (("", -1), ErrorCode::None),
            (("nobody", 5), ErrorCode::UnknownMemberId),
        ] {
            let written = commit_offset(&one, &mut connection, &group, &topic, member).await;
            assert_eq!(written, expected, "{member:?}");
        }
    });
}

#[test]
fn c81_a_transactional_id_is_stored_where_javas_hash_of_it_says() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        for _ in 0..5 {
            let id = Transactional::new(&peer, &mut connection).await.transactional_id;
            let stored = stored_in(&mut connection, "__transaction_state", partition_of(&id)).await;
            assert!(contains(&stored, id.as_bytes()), "{id}");
        }
    });
}

/// The first protocol cannot tell an end that was late from one that is meant (Jepsen, 2024).
#[test]
fn c82_a_late_end_ends_the_next_transaction_of_the_first_protocol_only() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, ONE_SEGMENT).await;
        let mut one = Transactional::new(&peer, &mut connection).await;
        write_first(&mut one, &mut connection, &topic).await;
        one.finish(&mut connection, FIRST, COMMIT).await;
        write_first(&mut one, &mut connection, &topic).await;
        let late = one.finish(&mut connection, FIRST, COMMIT).await;
        assert_eq!(error(late.error_code), ErrorCode::None);
        stable_to(&mut connection, &topic, 4).await;

        let mut two = Transactional::new(&peer, &mut connection).await;
        two.write(&mut connection, &topic, 1).await;
        let ended = ends(&two, &mut connection, COMMIT).await.unwrap();
        let mut next = two.in_epoch(ended);
        next.write(&mut connection, &topic, 1).await;
        assert_eq!(ends(&two, &mut connection, COMMIT).await, Err(ErrorCode::ProducerFenced));
        assert_eq!(fetch_committed(&mut connection, &topic, 0).await.last_stable_offset, 6);
        assert_eq!(ends(&next, &mut connection, COMMIT).await, Ok(ended + 1));
        stable_to(&mut connection, &topic, 8).await;
    });
}

mod simulated {
    use std::time::Duration;

    use super::*;
    use crate::member::{OFFSET_COMMIT, commit_request, committed};
    use crate::peer::simulated;

    #[test]
    fn c67_offsets_that_a_transaction_has_not_decided_do_not_expire() {
        let settings = [("offsets.retention.minutes", "1"), ("offsets.retention.check.interval.ms", "1000")];
        simulated(&settings, async |simulated| {
            let (mut connection, topic) = with_topic(&simulated.peer, ONE_SEGMENT).await;
            let (one, group) = with_offsets(&simulated.peer, &mut connection).await;
            let before = connection.ask(&commit_request(&group, &topic, 3), OFFSET_COMMIT).await;
            assert_eq!(committed(&before), ErrorCode::None);
            let written = commit_offset(&one, &mut connection, &group, &topic, ("", -1)).await;
            assert_eq!(written, ErrorCode::None);
            // Less than its transaction may take.
            simulated.peer.rt.sleep(Duration::from_secs(5 * 60)).await;
            let mut connection = simulated.peer.connect().await;
            assert_eq!(connection.committed(&group, &topic).await, (ErrorCode::None, 3));
            assert_eq!(settled(&one, &mut connection, &group, &topic).await, 5);
        });
    }

    #[test]
    fn c81_a_coordinator_that_starts_again_ends_what_was_to_be_ended() {
        simulated(&[], async |simulated| {
            let (mut connection, topic) = with_topic(&simulated.peer, ONE_SEGMENT).await;
            let mut one = Transactional::new(&simulated.peer, &mut connection).await;
            write_first(&mut one, &mut connection, &topic).await;
            let ended = one.finish(&mut connection, FIRST, COMMIT).await;
            assert_eq!(error(ended.error_code), ErrorCode::None);
            let mut connection = simulated.restart().await;
            stable_to(&mut connection, &topic, 2).await;
            let next = Transactional::new(&simulated.peer, &mut connection).await;
            assert_ne!(next.id, one.id);
            let again = one.init(&mut connection, -1, -1).await;
            assert_eq!((again.producer_id, again.producer_epoch), (one.id, one.epoch + 1));
        });
    }
}
