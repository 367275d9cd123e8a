//! Each anomaly is found in a history that was made to contain it, and nothing in one that has none.
//!
//! A script is a history, `----`, and what is found; a line that begins with `allowed` is what Kafka's contract allows.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;

/// The histories below `scripts/`, each with its test.
macro_rules! scripts {
    ($($name:ident)*) => {
        const ALL: &[&str] = &[$(include_str!(concat!("scripts/", stringify!($name), ".txt"))),*];
        $(
            #[test]
            fn $name() {
                check(include_str!(concat!("scripts/", stringify!($name), ".txt")));
            }
        )*
    };
}

scripts! {
    a_clean_history
    aborted_read
    changed_write
    duplicate
    g0
    g1c
    g1c_beside_g0
    g1c_by_the_order_of_writes
    gap
    inconsistent_offset
    int_nonmonotonic_poll
    int_poll_skip
    lost_commit
    lost_read
    lost_topic
    lost_write
    lost_write_below_what_was_read
    lost_write_of_a_transaction
    lost_write_that_was_read
    moved_write
    nonmonotonic_poll
    nonmonotonic_send
    passed_unread
    phantom
    poll_skip
    revived_topic
    torn_transaction
    unseen
}

#[track_caller]
fn check(script: &str) {
    let (history, expected) = script.split_once("----\n").expect("a script has a line of dashes");
    let findings = history::check(&history::parse(history).unwrap());
    let allowed = findings.allowed.iter().map(|anomaly| format!("allowed {anomaly}"));
    let mut found: Vec<String> = findings.anomalies.iter().map(ToString::to_string).chain(allowed).collect();
    found.sort();
    let mut expected: Vec<&str> = expected.lines().collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn both_written_forms_hold_every_history() {
    for script in ALL {
        let (history, _) = script.split_once("----\n").unwrap();
        let events = history::parse(history).unwrap();
        assert_eq!(history::read_lines(&history::write_lines(&events)).unwrap(), events);
        let text: String = events.iter().map(|event| format!("{event}\n")).collect();
        assert_eq!(history::parse(&text).unwrap(), events);
    }
}

#[test]
fn each_anomaly_has_a_script() {
    let words =
        |line: &str| line.trim_start_matches("allowed ").split(' ').next().unwrap_or_default().to_owned();
    let found = ALL.iter().flat_map(|script| script.split_once("----\n").unwrap().1.lines().map(words));
    let found: BTreeSet<String> = found.collect();
    assert_eq!(found.len(), ANOMALIES, "{found:?}");
}

/// How many there are in `Anomaly`.
const ANOMALIES: usize = 22;

#[test]
fn a_line_that_is_no_event_is_named() {
    assert_eq!(history::parse("crash w1\n\nsend w1 a").unwrap_err(), "line 3 is no event: send w1 a");
    assert_eq!(history::parse("crash w1 now").unwrap_err(), "line 1 is no event: crash w1 now");
    let error = history::read_lines("{\"do\":\"crash\",\"client\":\"w1\"}\n{\"do\":\"crash\"}").unwrap_err();
    assert_eq!(error, "line 2 is no event: {\"do\":\"crash\"}");
    assert!(history::read_lines("{").unwrap_err().starts_with("line 1: "));
}
