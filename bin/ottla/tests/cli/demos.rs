//! Demos, each small and to its end: the summary's numbers agree, counted here from what was printed.

#![allow(clippy::unwrap_used, reason = "this test fails where what it runs fails")]

use std::process::Command;

use serde_json::Value;
use servers::{MariaDb, Postgres};
use sim_tests::process::{Folder, Process};

/// Of each demo: messages a second, topics, and groups.
const DEMOS: [(&str, u64, usize, &[&str]); 5] = [
    ("rides", 300, 1, &["fare", "analytics", "customer"]),
    ("delivery", 400, 2, &["storage", "kitchens", "customer"]),
    ("chat", 5, 1, CHAT_GROUPS),
    ("orders", 300, 1, &["OrderProcessors"]),
    ("analytics", 300, 1, &["Analytics", "Storage"]),
];

const CHAT_GROUPS: &[&str] = &[
    "gateway-1",
    "gateway-2",
    "gateway-3",
    "gateway-4",
    "gateway-5",
    "gateway-6",
    "gateway-7",
    "gateway-8",
    "storage",
    "notifications",
];

/// Plays a demo: messages in = messages in each group, and groups with tables have as many rows. Returns what it printed for
/// its end, and how many messages there were.
#[track_caller]
fn play(name: &str, more: &[&str]) -> (Value, u64) {
    let (_, rate, topics, groups) = DEMOS.into_iter().find(|demo| demo.0 == name).unwrap();
    let summary = summary(name, rate, more);
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
    let messages = number(&of_topics[0]["in_log"]);
    (summary, messages)
}

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

#[test]
fn rides_are_in_each_services_table_and_beside_it_row_by_row() {
    let (summary, messages) = play("rides", &[]);
    let (rows, lag) =
        (summary["row_by_row_rows"].as_u64().unwrap(), summary["row_by_row_lag"].as_u64().unwrap());
    assert!(0 < rows && messages <= rows + lag, "{summary}");
}

#[test]
fn couriers_are_stored_and_one_of_them_is_followed() {
    play("delivery", &[]);
}

#[test]
fn everybody_in_the_room_hears_everything() {
    let (summary, messages) = play("chat", &[]);
    assert_eq!(summary["deliveries"].as_u64().unwrap(), messages * 5_000);
    assert!(summary["delivery_p50_ms"].as_f64().unwrap() <= summary["delivery_p99_ms"].as_f64().unwrap());
}

#[test]
fn each_order_counts_once_though_a_processor_is_killed() {
    let (summary, _) = play("orders", &[]);
    assert!(0.0 < summary["takeover_ms"].as_f64().unwrap());
}

#[test]
fn activity_goes_to_two_groups_at_once() {
    play("analytics", &[]);
}

#[test]
fn all_of_them_run_on_a_cluster_and_in_servers_that_are_there() {
    let (Some(postgres), Some(mariadb)) = (Postgres::shared("demos"), MariaDb::shared("demos")) else {
        return;
    };
    let data = Folder::new(env!("CARGO_TARGET_TMPDIR"), "demos");
    let mut serve = Command::new(env!("CARGO_BIN_EXE_ottla"));
    let broker =
        Process::start(serve.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data.path()));
    let (address, urls) = (broker.address().to_string(), [postgres.url(), mariadb.url()]);
    std::thread::scope(|scope| {
        for ((name, ..), url) in DEMOS.into_iter().zip(urls.iter().cycle()) {
            let address = &address;
            scope.spawn(move || play(name, &["--bootstrap", address, "--database", url]));
        }
    });
    assert_ne!(postgres.ask("SELECT count(DISTINCT id) FROM user_activity"), "0");
    assert_ne!(mariadb.ask("SELECT count(DISTINCT id) FROM orders"), "0");
}
