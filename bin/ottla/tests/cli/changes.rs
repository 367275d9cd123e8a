//! Orders and their dry runs: what is shown is what happens, and a dry run changes nothing.

use serde_json::{Value, json};

use crate::support::Broker;

/// The first offset of each partition of `t`.
fn starts(broker: &Broker) -> Vec<i64> {
    let described = &broker.run("topic describe t").json()[0];
    let partitions = described["partitions"].as_array().expect("partitions");
    partitions.iter().map(|partition| partition["start"].as_i64().expect("an offset")).collect()
}

/// The fields of each line that say what changes.
fn changes(lines: &[Value], fields: [&str; 3]) -> Vec<Value> {
    lines.iter().map(|line| json!(fields.map(|field| &line[field]))).collect()
}

#[test]
fn topics_are_created_and_deleted_only_without_a_dry_run() {
    let broker = Broker::start();
    let planned = &broker.run("topic create t --dry-run -p 3").json()[0];
    assert_eq!((&planned["result"], &planned["partitions"]), (&json!("would be created"), &json!(3)));
    broker.run("topic create t --dry-run -c retention.ms=soon").refused(1, "INVALID_CONFIG");
    broker.run("topic create t --dry-run -r 7").refused(1, "INVALID_REPLICATION_FACTOR");
    assert_eq!(broker.run("topic list").json(), [json!(null); 0]);

    broker.run("topic create t -p 3").out();
    broker.run("topic create t --dry-run").refused(1, "TOPIC_ALREADY_EXISTS");
    assert_eq!(broker.run("topic delete t --dry-run").json()[0]["result"], "would be deleted");
    broker.run("topic delete nothing --dry-run").refused(1, "the cluster has no topic 'nothing'");

    let planned = &broker.run("topic add-partitions t 5 --dry-run").json()[0];
    assert_eq!((&planned["before"], &planned["after"]), (&json!(3), &json!(5)));
    broker.run("topic add-partitions t 2 --dry-run").refused(1, "INVALID_PARTITIONS");
    assert_eq!(starts(&broker).len(), 3);
    broker.run("topic add-partitions t 5").out();
    assert_eq!(starts(&broker).len(), 5);
    broker.run("topic delete t").out();
    assert_eq!(broker.run("topic list").json().len(), 0);
}

#[test]
fn several_settings_change_at_once_or_not_at_all() {
    let broker = Broker::start();
    broker.run("topic create t -c segment.ms=60000").out();
    let set = || {
        let described = &broker.run("topic describe t").json()[0];
        let configs = described["configs"].as_array().expect("settings");
        let set = configs.iter().filter(|config| config["source"] == "topic");
        set.map(|config| format!("{}={}", config["name"], config["value"])).collect::<Vec<_>>()
    };
    let before = set();
    let fields = ["setting", "before", "after"];
    let order = "topic alter t --set retention.ms=1000 max.message.bytes=2000 --delete segment.ms";
    let planned = broker.run(&format!("{order} --dry-run")).json();
    assert_eq!(planned.len(), 3);
    assert!(planned.iter().all(|line| line["done"] == false));
    assert_eq!(set(), before);
    broker.run("topic alter t --set retention.ms=1000 max.message.bytes=-9").refused(1, "INVALID_CONFIG");
    broker.run("topic alter t --set retentio.ms=1").refused(1, "Did you mean 'retention.ms'?");
    broker.run("topic alter t --set a=1 --delete a").refused(2, "set or deleted, not both");
    assert_eq!(set(), before, "all or nothing");

    let done = changes(&broker.run(order).json(), fields);
    assert_eq!(done[1], json!(["retention.ms", "604800000", "1000"]));
    assert_eq!(done[2], json!(["segment.ms", "60000", "604800000"]));
    assert_eq!(set(), ["\"max.message.bytes\"=\"2000\"", "\"retention.ms\"=\"1000\""]);
}

#[test]
fn the_oldest_records_are_deleted_up_to_a_place() {
    let broker = Broker::start();
    broker.run("topic create t -p 2").out();
    for partition in 0..2 {
        broker.feed(&format!("produce t -p {partition}"), "a\nb\nc\nd\n").out();
    }
    let fields = ["partition", "start_after", "deleted"];
    let planned = broker.run("topic delete-records t --before -1 --dry-run").json();
    assert_eq!(changes(&planned, fields), [json!([0, 3, 3]), json!([1, 3, 3])]);
    assert_eq!(starts(&broker), [0, 0]);
    broker.run("topic delete-records t --before 2 -p 1").out();
    assert_eq!(starts(&broker), [0, 2]);
    broker.run("topic delete-records t --before 5").refused(1, "ends at 4, before offset 5");
    broker.run("topic delete-records t --before end -p 7").refused(1, "has no partition 7");
    let planned = broker.run("topic delete-records t --before 1 --dry-run").json();
    let deleted = broker.run("topic delete-records t --before 1").json();
    assert_eq!(changes(&planned, fields), changes(&deleted, fields));
    assert_eq!(changes(&deleted, fields), [json!([0, 1, 1]), json!([1, 2, 0])], "never back");
    broker.run("topic delete-records t --before end").out();
    assert_eq!(starts(&broker), [4, 4]);
}

#[test]
fn a_group_is_reset_to_every_kind_of_place() {
    let broker = Broker::start();
    broker.run("topic create t -p 1").out();
    broker.feed("produce t", "a\nb\nc\nd\ne\nf\n").out();
    broker.run("group reset g --to start").refused(1, "has committed nothing");
    broker.run("group reset g --shift-by 1 -t t").refused(1, "has committed nothing for");
    let check = |how: &str, after: i64| {
        let planned = &broker.run(&format!("group reset g {how} --dry-run")).json()[0];
        assert_eq!((planned["after"].as_i64(), &planned["done"]), (Some(after), &json!(false)), "{how}");
        let done = &broker.run(&format!("group reset g {how}")).json()[0];
        assert_eq!((done["after"].as_i64(), &done["before"]), (Some(after), &planned["before"]), "{how}");
    };
    check("--to 2 -t t", 2);
    check("--to current", 2);
    check("--shift-by 3", 5);
    check("--shift-by -4", 1);
    check("--shift-by -4", 0);
    check("--to end", 6);
    check("--to -2", 4);
    check("--to +1", 1);
    check("--to 99", 6);
    check("--to @2020-01-01 -t t:0", 0);
    check("--to @-1h", 0);
    broker.run("group reset g --to start -t t:1").refused(1, "has no partition 1");
    broker.run("group reset g --to start -t t:x").refused(2, "'x' is no partition");
    broker.run("group reset g --to start --shift-by 1").refused(2, "cannot be used with");
    broker.run("group reset g").refused(2, "--to <PLACE>");

    let planned = broker.run("group delete g --dry-run");
    assert_eq!(planned.json()[0]["result"], "would be deleted");
    assert_eq!(broker.run("group list").json().len(), 1);
    broker.run("group delete g").out();
    broker.run("group delete g --dry-run").refused(1, "the cluster has no group 'g'");
}

#[test]
fn what_was_done_before_something_failed_is_told() {
    let broker = Broker::start();
    broker.run("topic create b").out();
    let created = broker.run("topic create a b c");
    created.refused(1, "TOPIC_ALREADY_EXISTS");
    assert!(created.printed().contains(r#""topic":"a","result":"created""#), "{}", created.printed());
    assert_eq!(broker.run("topic list").json().len(), 2);
    let deleted = broker.run("topic delete a nothing");
    deleted.refused(1, "the cluster has no topic 'nothing'");
    assert_eq!(deleted.printed(), "{\"topic\":\"a\",\"result\":\"deleted\"}\n");
}

#[test]
fn transactions_that_are_not_there_are_not_made_up() {
    let broker = Broker::start();
    broker.run("topic create t").out();
    assert_eq!(broker.run("txn list").json().len(), 0);
    assert_eq!(broker.run("txn list --hanging -t t").json().len(), 0);
    broker.run("txn list --hanging -t nothing").refused(1, "the cluster has no topic 'nothing'");
    broker.run("txn describe copier").refused(1, "the cluster has no transactional id 'copier'");
    broker.run("txn abort copier").refused(1, "the cluster has no transactional id 'copier'");
    broker
        .run("txn abort --partition t:0 --producer 7")
        .refused(1, "no transaction of producer 7 hangs in t-0");
    broker.run("txn abort --partition t --producer 7").refused(2, "'t' is no partition: TOPIC:N expected");
    broker.run("txn abort").refused(2, "ID");
}
