//! `ottla consume`: where it starts, where it ends, what it shows.

use crate::support::{Broker, ottla};

/// A broker with `count` records of keys `k0`… and values `v0`… in the only partition of `t`.
fn with_records(count: u32) -> Broker {
    let broker = Broker::start();
    broker.run("topic create t -p 1").out();
    let lines: String = (0..count).map(|number| format!("k{number}:v{number}\n")).collect();
    broker.feed("produce t -k :", &lines).out();
    broker
}

#[test]
fn offsets_say_where_to_start_and_end() {
    let broker = with_records(10);
    let check = |offset: &str, expected: &[u32]| {
        let shown = broker.run(&format!("consume t -f value -o {offset}"));
        let values: Vec<String> = expected.iter().map(|number| format!("v{number}")).collect();
        assert_eq!(shown.out().lines().collect::<Vec<_>>(), values, "{offset}");
    };
    check("start:end", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    check("-3:end", &[7, 8, 9]);
    check("+8:end", &[8, 9]);
    check("4:6", &[4, 5]);
    check("4:+1", &[4]);
    check("@-1h:end", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    check("@-2h:-1h", &[]);
    check("@2020-01-01:2020-01-02", &[]);
    check("end:end", &[]);
    let first = broker.run("consume t -f %o -n 2 -o 8");
    assert_eq!(first.out(), "89");
}

#[test]
fn records_are_shown_as_asked() {
    let broker = with_records(1);
    let check = |format: &str, expected: &str| {
        assert_eq!(broker.run(&format!("consume t -o start:end -f {format}")).out(), expected, "{format}");
    };
    check("%t/%p@%o:%k=%s;%K;%S%%\\n", "t/0@0:k0=v0;2;2%\n");
    check("value", "v0\n");
    check("key:value", "k0:v0\n");
    let json = &broker.run("consume t -o start:end").json()[0];
    assert_eq!((json["key"].as_str(), json["value"].as_str()), (Some("k0"), Some("v0")));
}

#[test]
fn several_partitions_can_be_named() {
    let broker = Broker::start();
    broker.run("topic create t -p 3").out();
    for partition in 0..3 {
        broker.feed(&format!("produce t -p {partition}"), "a\nb\n").out();
    }
    let shown = broker.run("consume t -p 0 -p 2 -f %p -o -1:end");
    let mut partitions: Vec<char> = shown.out().chars().collect();
    partitions.sort_unstable();
    assert_eq!(partitions, ['0', '2']);
    broker
        .run("consume t -p 3 -o -1:end")
        .refused(1, "topic 't' has no partition 3: it has 3, counted from 0");
}

#[test]
fn a_group_goes_on_where_it_stopped() {
    let broker = with_records(10);
    assert_eq!(broker.run("consume t -g g -o start -n 4 -f %o").out(), "0123");
    assert_eq!(broker.run("consume t -g g -o start --exit-at-end -f %o").out(), "456789");
    broker.run("consume t -g g -o 5").refused(2, "ottla group reset g --topic t --to");
}

#[test]
fn what_is_wrong_is_said_before_anything_is_asked() {
    ottla("consume t -o sideways").refused(2, "'sideways' is no start");
    ottla("consume t -o @-5m:-15m").refused(2, "ends before it starts");
    ottla("consume t -f table").refused(2, "shows nothing of a record");
    ottla("consume t").refused(3, "cannot reach 127.0.0.1:1");
}
