//! Records of the topic and what they come to.

use super::*;

const HOUR_MS: i64 = 60 * 60 * 1_000;

fn report(at_ms: i64, stage: Stage) -> Report {
    let place = |partition| TopicPartition::new(TopicName::parse("t").expect("a name"), partition);
    let standing = Standing { next: Some(Offset(7)), committed_at_ms: Some(5), stopped: None };
    Report {
        at_ms,
        started_at_ms: 1,
        stage,
        host: "h".to_owned(),
        pid: 9,
        rows: 12,
        rows_per_s: 1.5,
        committed_at_ms: Some(5),
        trouble: Some(Trouble { error: "away".to_owned(), at_ms: 4, is_over: false }),
        partitions: BTreeMap::from([(place(0), standing), (place(11), Standing::default())]),
    }
}

fn identity(at_ms: i64) -> Identity {
    let topics = vec![TopicName::parse("t").expect("a name")];
    let [group, table, database] = ["g", "s.t", "postgres"].map(str::to_owned);
    Identity { topics, group, table, database, begins_at_start: true, at_ms }
}

/// Writes a record as the topic has it.
fn put(board: &mut Board, key: &str, value: Option<Value>) {
    let bytes = value.map(|value| value.to_string().into_bytes());
    board.apply(Key::parse(key.as_bytes()).expect("a key"), bytes.as_deref());
}

#[test]
fn what_is_written_is_read_back() {
    let mut board = Board::default();
    put(&mut board, "sink/a/b", Some(identity(3).to_json()));
    put(&mut board, "control/a/b", Some(control(true, 1)));
    for (id, stage) in Stage::ALL.into_iter().enumerate() {
        put(&mut board, &format!("worker/a/b/{id}"), Some(report(2, stage).to_json()));
    }
    let entry = &board.sinks()["a/b"];
    assert_eq!(entry.identity, Some(identity(3)));
    assert!(entry.is_paused);
    for (id, stage) in Stage::ALL.into_iter().enumerate() {
        assert_eq!(entry.workers[&id.to_string()], report(2, stage));
    }
    for key in [Key::Sink("a/b".to_owned()), Key::Worker { sink: "a/b".to_owned(), id: "0".to_owned() }] {
        assert_eq!(Key::parse(key.text().as_bytes()), Some(key));
    }
}

#[test]
fn nothing_is_left_of_what_was_taken_back() {
    let mut board = Board::default();
    put(&mut board, "sink/a", Some(identity(0).to_json()));
    put(&mut board, "worker/a/1", Some(report(0, Stage::Working).to_json()));
    put(&mut board, "worker/a/1", None);
    put(&mut board, "control/a", Some(control(true, 0)));
    put(&mut board, "control/a", Some(control(false, 0)));
    put(&mut board, "sink/a", Some(json!("no sink")));
    assert_eq!(board, Board::default());
}

#[test]
fn the_silent_and_the_failed_are_forgotten_after_a_while_and_when_another_starts() {
    let mut board = Board::default();
    put(&mut board, "sink/a", Some(identity(0).to_json()));
    put(&mut board, "worker/a/silent", Some(report(0, Stage::Working).to_json()));
    put(&mut board, "worker/a/failed", Some(report(HOUR_MS, Stage::Failed).to_json()));
    let silent = &board.sinks()["a"].workers["silent"];
    assert!(!silent.is_silent(15_000) && silent.is_silent(15_001));
    assert_eq!(board.forget(Some("b"), HOUR_MS), []);
    let worker = |id: &str| Key::Worker { sink: "a".to_owned(), id: id.to_owned() };
    let mut later = board.clone();
    assert_eq!(later.forget(None, HOUR_MS + 1), [worker("silent")]);
    put(&mut board, "worker/a/alive", Some(report(HOUR_MS, Stage::Working).to_json()));
    assert_eq!(board.forget(Some("a"), HOUR_MS), [worker("failed"), worker("silent")]);
    put(&mut board, "worker/a/alive", None);
    assert!(board.sinks().contains_key("a"), "it may run again");
    let (sink, control) = (Key::Sink("a".to_owned()), Key::Control("a".to_owned()));
    assert_eq!(board.forget(None, 30 * 24 * HOUR_MS + 1), [sink, control]);
    assert_eq!(board, Board::default());
}

#[test]
fn a_report_has_a_bound() {
    let mut long = report(0, Stage::Working);
    let topic = TopicName::parse(&"t".repeat(249)).expect("a name");
    long.partitions =
        (0..10_000).map(|index| (TopicPartition::new(topic.clone(), index), Standing::default())).collect();
    assert!(long.to_json().to_string().len() < 200_000);
    assert_eq!(shortened(&"ä".repeat(2_000)).chars().count(), ERROR_CHARACTERS_MAX + 1);
}
