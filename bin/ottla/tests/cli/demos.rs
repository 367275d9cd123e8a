//! Demos, each small and to its end: the summary's numbers agree, counted here from what was printed.

#![allow(clippy::unwrap_used, reason = "this test fails where what it runs fails")]

use std::process::Command;

use serde_json::Value;
use servers::Postgres;

/// What `ottla demo NAME` prints for its end.
fn summary(name: &str, rate: u64, more: &[&str]) -> Value {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_ottla"));
    demo.args(["demo", name, "--seconds", "2", "--rate", &rate.to_string()]).args(more);
    let output = demo.output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name} failed: {said}\n{lines}");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, before) = lines.split_last().unwrap();
    assert!(2 <= before.len(), "a line a second is expected: {before:?}");
    last.clone()
}

/// Messages in = messages in each of `groups`, and those with tables have as many rows; returns how many messages.
#[track_caller]
fn check(summary: &Value, topics: usize, groups: &[&str]) -> u64 {
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("no number in {summary}"));
    let of_topics = summary["topics"].as_array().unwrap();
    assert_eq!(of_topics.len(), topics);
    for topic in of_topics {
        assert_eq!(topic["messages_in"], topic["in_log"], "{summary}");
    }
    let named: Vec<_> = summary["groups"].as_array().unwrap().iter().collect();
    assert_eq!(named.iter().map(|group| group["group"].as_str().unwrap()).collect::<Vec<_>>(), groups);
    for group in named {
        let messages = number(&group["messages_in"]);
        assert!(0 < messages && number(&group["messages"]) == messages, "{summary}");
        if !group["table"].is_null() {
            assert_eq!(
                (number(&group["rows"]), number(&group["distinct"])),
                (messages, messages),
                "{summary}"
            );
        }
    }
    assert_eq!(summary["agrees"], true);
    number(&of_topics[0]["in_log"])
}

#[test]
fn rides_are_in_each_services_table_and_beside_it_row_by_row() {
    let summary = summary("rides", 300, &[]);
    let messages = check(&summary, 1, &["fare", "analytics", "customer"]);
    let (rows, lag) =
        (summary["row_by_row_rows"].as_u64().unwrap(), summary["row_by_row_lag"].as_u64().unwrap());
    assert!(0 < rows && messages <= rows + lag, "{summary}");
}

#[test]
fn couriers_are_stored_and_one_of_them_is_followed() {
    let summary = summary("delivery", 400, &[]);
    check(&summary, 2, &["storage", "kitchens", "customer"]);
}

#[test]
fn everybody_in_the_room_hears_everything() {
    let summary = summary("chat", 5, &[]);
    let gateways: Vec<String> = (1..=8).map(|number| format!("gateway-{number}")).collect();
    let groups: Vec<&str> = gateways.iter().map(String::as_str).chain(["storage", "notifications"]).collect();
    let messages = check(&summary, 1, &groups);
    assert_eq!(summary["deliveries"].as_u64().unwrap(), messages * 5_000);
    assert!(summary["delivery_p50_ms"].as_f64().unwrap() <= summary["delivery_p99_ms"].as_f64().unwrap());
}

#[test]
fn each_order_counts_once_though_a_processor_is_killed() {
    let summary = summary("orders", 300, &[]);
    check(&summary, 1, &["OrderProcessors"]);
    assert!(0.0 < summary["takeover_ms"].as_f64().unwrap());
}

#[test]
fn activity_goes_to_two_groups_at_once_in_a_real_server_too() {
    check(&summary("analytics", 300, &[]), 1, &["Analytics", "Storage"]);
    let Some(database) = Postgres::start("demos") else { return };
    check(&summary("analytics", 300, &["--database", &database.url()]), 1, &["Analytics", "Storage"]);
    let rows = database.ask("SELECT count(DISTINCT id) FROM user_activity");
    assert_ne!(rows, "0");
}
