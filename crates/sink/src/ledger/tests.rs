//! Partitions that are given, claimed, doubted and stopped.

use super::*;
use model::TopicName;

const SOON: Instant = Instant::START;

fn place(partition: i32) -> TopicPartition {
    TopicPartition::new(TopicName::parse("t").expect("a name"), partition)
}

fn later(seconds: u64) -> Instant {
    SOON + Duration::from_secs(seconds)
}

/// Topic `id`, that begins at `log_start`.
fn origin(id: &str, log_start: i64) -> Origin {
    Origin {
        cluster_id: "c".to_owned(),
        topic_id: id.to_owned(),
        begin: Offset(log_start),
        log_start: Offset(log_start),
    }
}

/// What the database says of a claim: offset `next` of topic `id`.
fn grant(partition: i32, epoch: i64, next: i64, id: &str) -> Granted {
    Granted {
        place: place(partition),
        epoch,
        next_offset: Offset(next),
        cluster_id: "c".to_owned(),
        topic_id: id.to_owned(),
    }
}

fn claim(ledger: &mut Ledger, now: Instant) -> Vec<Claim> {
    let due = ledger.unclaimed(now);
    ledger.claim(due.into_iter().map(|place| (place, origin("a", 5))).collect(), now)
}

/// A ledger with one partition, read from offset 10 on in epoch 3.
fn reading() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.assign([place(0)], SOON);
    let claims = claim(&mut ledger, SOON);
    let verdicts = ledger.on_granted(&claims, vec![grant(0, 3, 10, "a")], SOON);
    assert_eq!(verdicts, [(place(0), Verdict::Begin(Offset(10)))]);
    ledger
}

/// What is sent when everything before `position` was read: `epoch expected..next`.
fn sent(ledger: &mut Ledger, position: i64) -> Vec<String> {
    let positions = BTreeMap::from([(place(0), Offset(position))]);
    let moves = ledger.send(&positions);
    moves.iter().map(|moved| format!("{} {}..{}", moved.epoch, moved.expected.0, moved.next.0)).collect()
}

#[test]
fn batches_follow_each_other_from_where_the_database_stood() {
    let mut ledger = reading();
    assert_eq!(sent(&mut ledger, 10), [""; 0], "nothing moved");
    assert_eq!(sent(&mut ledger, 15), ["3 10..15"]);
    assert_eq!(sent(&mut ledger, 16), ["3 15..16"]);
}

#[test]
fn after_a_doubt_nothing_moves_until_the_partition_is_claimed_again() {
    let mut ledger = reading();
    sent(&mut ledger, 15);
    ledger.on_doubt(later(1));
    assert_eq!(sent(&mut ledger, 20), [""; 0]);
    assert_eq!(ledger.unclaimed(SOON), []);
    let claims = claim(&mut ledger, later(1));
    assert_eq!(claims[0].held, Some(3), "only if nobody else took it");
    let verdicts = ledger.on_granted(&claims, vec![grant(0, 4, 15, "a")], later(1));
    assert_eq!(verdicts, [(place(0), Verdict::Begin(Offset(15)))], "the commit had come through");
    assert_eq!(sent(&mut ledger, 20), ["4 15..20"]);
}

#[test]
fn a_partition_that_another_worker_took_is_left_to_it_for_a_while() {
    let mut ledger = reading();
    ledger.on_doubt(SOON);
    let claims = claim(&mut ledger, SOON);
    assert_eq!(ledger.on_granted(&claims, vec![], SOON), [(place(0), Verdict::Fenced)]);
    assert_eq!(ledger.unclaimed(later(4)), []);
    let claims = claim(&mut ledger, later(5));
    assert_eq!(claims[0].held, None, "the group still says that it is ours");
}

#[test]
fn an_offset_of_another_topic_or_before_the_log_stops_its_partition() {
    let mut ledger = Ledger::default();
    ledger.assign([place(0), place(1), place(2)], SOON);
    let claims = claim(&mut ledger, SOON);
    let granted = vec![grant(0, 1, 5, "b"), grant(1, 1, 4, "a"), grant(2, 1, 5, "a")];
    let verdicts = ledger.on_granted(&claims, granted, SOON);
    let forget = "if that is meant, delete its row from ottla_offsets, and it begins anew";
    assert_eq!(
        verdicts,
        [
            (
                place(0),
                Verdict::Stopped(format!(
                    "t-0 is of topic a in cluster 'c' now, and its offset of topic b in cluster 'c': {forget}"
                ))
            ),
            (
                place(1),
                Verdict::Stopped(format!(
                    "t-1 is to be read from offset 4, but begins at 5: the records between are gone; {forget}"
                ))
            ),
            (place(2), Verdict::Begin(Offset(5))),
        ]
    );
    assert_eq!((ledger.unclaimed(later(60)), ledger.next_claim_at()), (vec![], None), "X4");
    ledger.on_doubt(later(60));
    assert_eq!(ledger.unclaimed(later(60)), [place(2)], "X4");
}

#[test]
fn what_came_before_the_record_that_stopped_it_still_leaves() {
    let mut ledger = reading();
    ledger.stop(&place(0));
    assert_eq!(sent(&mut ledger, 12), ["3 10..12"]);
    assert_eq!(sent(&mut ledger, 12), [""; 0]);
}

#[test]
fn an_answer_that_comes_after_the_group_took_the_partition_back_changes_nothing() {
    let mut ledger = Ledger::default();
    ledger.assign([place(0)], SOON);
    let claims = claim(&mut ledger, SOON);
    ledger.clear();
    ledger.assign([place(0)], SOON);
    assert_eq!(ledger.on_granted(&claims, vec![grant(0, 1, 5, "a")], SOON), []);
    assert_eq!(ledger.unclaimed(SOON), [place(0)]);
}

#[test]
fn a_partition_that_is_not_there_is_looked_for_again() {
    let mut ledger = Ledger::default();
    ledger.assign([place(0)], SOON);
    assert_eq!(ledger.claim(BTreeMap::new(), SOON), []);
    assert_eq!((ledger.unclaimed(SOON), ledger.next_claim_at()), (vec![], Some(later(5))));
}

#[test]
fn a_topic_with_another_id_is_noticed() {
    let ledger = reading();
    assert!(!ledger.is_recreated(|_| Some("a".to_owned())));
    assert!(ledger.is_recreated(|_| Some("b".to_owned())));
    assert!(ledger.is_recreated(|_| None));
}
