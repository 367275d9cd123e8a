//! Records captured from `__consumer_offsets` of Apache Kafka 4.3.1, read and written again.

use std::collections::BTreeMap;

use crate::record::Record;
use crate::{Coordinator, GroupConfig, GroupRecord};

use super::print;

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// The record reads as `expected` prints it and is written as it was; `-` is a tombstone.
#[track_caller]
fn check(key: &str, value: &str, expected: &str) {
    let value = (value != "-").then(|| bytes(value));
    let record = Record::decode(&bytes(key), value.as_deref()).unwrap().unwrap();
    assert_eq!(print::record(&record), expected);
    assert_eq!(record.encode(), GroupRecord { key: bytes(key), value });
}

#[test]
fn a_new_group_is_kafkas() {
    check(
        "00020006673234343336",
        "0003000000000000ffffffff000001a1fdacd3bf00000000",
        "group g24436 generation=0 since=1795257324479",
    );
}

#[test]
fn a_stable_group_is_kafkas() {
    check(
        "00020006673234343336",
        "00030008636f6e73756d657200000001000572616e67650028636c692d34353630636230362d356264612d346232632d383530612d38\
         3165303335363961346462000001a1fdacd42d000000010028636c692d34353630636230362d356264612d346232632d383530612d38\
         3165303335363961346462ffff0003636c69000a2f3132372e302e302e3100004e20000027100000000d000000000001000174ffffff\
         ff0000000141",
        "group g24436 generation=1 consumer/range leader=cli-4560cb06-5bda-4b2c-850a-81e03569a4db \
         since=1795257324589 [cli-4560cb06-5bda-4b2c-850a-81e03569a4db cli@/127.0.0.1 session=10000 rebalance=20000 \
         wants t gets A]",
    );
}

#[test]
fn a_static_member_is_kafkas() {
    check(
        "0002000773673234343336",
        "00030008636f6e73756d657200000001000572616e6765002769312d63653864393965662d616363362d346631662d396135612d3162\
         37386239616365366637000001a1fdacd54000000001002769312d63653864393965662d616363362d346631662d396135612d316237\
         386239616365366637000269310003636c69000a2f3132372e302e302e3100004e20000027100000000d000000000001000174ffffff\
         ff000000024131",
        "group sg24436 generation=1 consumer/range leader=i1-ce8d99ef-acc6-4f1f-9a5a-1b78b9ace6f7 \
         since=1795257324864 [i1-ce8d99ef-acc6-4f1f-9a5a-1b78b9ace6f7/i1 cli@/127.0.0.1 session=10000 \
         rebalance=20000 wants t gets A1]",
    );
}

#[test]
fn an_emptied_group_is_kafkas() {
    check(
        "00020006673234343336",
        "00030008636f6e73756d657200000003ffffffff000001a1fdacd52b00000000",
        "group g24436 generation=3 consumer since=1795257324843",
    );
}

#[test]
fn an_offset_with_topic_id_is_kafkas() {
    check(
        "0001000667323434333600017400000000",
        "0004000000000000000700000003026d000001a1fdacd47d0100101e74a3d4a261427b80acdeaebd4f4765",
        "offset g24436 t/0=7 epoch=3 \"m\" at=1795257324669 id=HnSj1KJhQnuArN6uvU9HZQ",
    );
}

#[test]
fn an_offset_that_expires_by_itself_is_kafkas() {
    check(
        "0001000667323434333600017400000000",
        "0001000000000000000900016d000001a1fdacd493000001a1fdadbef3",
        "offset g24436 t/0=9 \"m\" at=1795257324691 until=1795257384691",
    );
}

#[test]
fn tombstones_are_kafkas() {
    check("0001000673696d706c6500017400000000", "-", "offset simple t/0 none");
    check("0002000673696d706c65", "-", "group simple none");
}

#[test]
fn older_and_newer_values_are_read() {
    let read = |key: &str, value: &str| {
        let record = Record::decode(&bytes(key), Some(&bytes(value))).unwrap().unwrap();
        print::record(&record)
    };
    // An offset of version 0, behind the key's old number.
    let offset = "00000000000000000009 00016d 0000000000000007".replace(' ', "");
    assert_eq!(
        read("0000000167000174 00000002".replace(' ', "").as_str(), &offset),
        "offset g t/2=9 \"m\" at=7"
    );
    // Version 9, which may only add tags: here tag 5 with two bytes.
    let offset = "0009 0000000000000009 00000001 026d 0000000000000007 010502aabb".replace(' ', "");
    assert_eq!(
        read("0001000167000174 00000002".replace(' ', "").as_str(), &offset),
        "offset g t/2=9 epoch=1 \"m\" at=7"
    );
    // A group of version 0: one timeout for both, no times, no instances.
    let group =
        "0000 000163 00000005 000172 00016d 00000001 00016d 000163 000168 00002710 00000001ee 0000000141";
    assert_eq!(
        read("0002000167", &group.replace(' ', "")),
        "group g generation=5 c/r leader=m [m c@h session=10000 rebalance=10000 wants ee gets A]"
    );
}

#[test]
fn other_records_are_passed_over_and_broken_ones_change_nothing() {
    let mut coordinator = Coordinator::new(GroupConfig::default());
    // The key of a KIP-848 group.
    coordinator.replay(&bytes("0003000167"), Some(&bytes("00000000000000")), None).unwrap();
    let whole =
        bytes("0004000000000000000700000003026d000001a1fdacd47d0100101e74a3d4a261427b80acdeaebd4f4765");
    for cut in 0..whole.len() {
        coordinator.replay(&bytes("000100016700017400000000"), Some(&whole[..cut]), None).unwrap_err();
    }
    assert_eq!(
        coordinator.replay(&bytes("00010001670002 612f 00000000".replace(' ', "").as_str()), None, None),
        Err(wire::RecordError::BadTopicName("a/".to_owned()))
    );
    assert_eq!(coordinator.persistent(), BTreeMap::new());
}
