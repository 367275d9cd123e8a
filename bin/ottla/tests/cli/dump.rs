//! `ottla log dump`: what is in the files, and what is damaged.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests damage files of the real file system, and fail where it fails"
)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rt::Rt;
use serde_json::Value;
use sim_tests::raw::Raw;
use wire::txn_offset_commit::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic};
use wire::{
    AddOffsetsToTxnRequest, EndTxnRequest, FindCoordinatorRequest, InitProducerIdRequest,
    TxnOffsetCommitRequest,
};

use crate::support::{Broker, Folder, ottla};

/// The data folder of a broker that had ten records and a group, and was stopped.
fn written() -> (PathBuf, Folder) {
    let mut broker = Broker::start();
    broker.run("topic create t -p 1 -c compression.type=gzip").out();
    let lines: String = (0..10).map(|number| format!("k{number}:v{number}\n")).collect();
    broker.feed("produce t -k :", &lines).out();
    broker.run("consume t -g readers -o start -n 4 -f value").out();
    broker.stop();
    let data = broker.data();
    (data, broker.into_folder())
}

fn segment(data: &Path, partition: &str, extension: &str) -> PathBuf {
    data.join(partition).join(format!("{:020}.{extension}", 0))
}

/// The partition of a coordinator's topic in which something was written.
fn written_segment(data: &Path, topic: &str) -> PathBuf {
    let segments = (0..50).map(|partition| segment(data, &format!("{topic}-{partition}"), "log"));
    let mut written = segments.filter(|path| std::fs::metadata(path).is_ok_and(|file| 0 < file.len()));
    written.next().expect("a partition with records")
}

fn offsets_segment(data: &Path) -> PathBuf {
    written_segment(data, "__consumer_offsets")
}

fn dump(path: &Path, flags: &str) -> crate::support::Ran {
    ottla(format!("log dump {} {flags}", path.display()).trim_end())
}

#[test]
fn every_file_of_a_folder_is_shown() {
    let (data, _folder) = written();
    let log = segment(&data, "t-0", "log");
    let batches = dump(&log, "").json();
    assert_eq!(batches[0]["base_offset"], 0);
    assert_eq!(batches[0]["codec"], "gzip");
    assert!(batches.iter().all(|batch| batch["damage"].is_null() && batch["producer_id"].is_i64()));
    assert_eq!(batches.last().unwrap()["last_offset"], 9);

    let records = dump(&log, "--records").json();
    assert_eq!(records.len(), 10);
    assert_eq!((&records[9]["topic"], &records[9]["value"]), (&"t".into(), &"v9".into()));
    assert!(dump(&log, "-f %p/%o:%k=%s,").out().starts_with("0/0:k0=v0,0/1:k1=v1,"));

    let times = dump(&segment(&data, "t-0", "timeindex"), "").json();
    assert_eq!((times[0]["offset"].as_i64(), times[0]["timestamp"].is_i64()), (Some(9), true));
    let epochs = dump(&data.join("t-0/leader-epoch-checkpoint"), "").json();
    assert_eq!((epochs[0]["leader_epoch"].as_i64(), epochs[0]["start_offset"].as_i64()), (Some(0), Some(0)));
    let points = dump(&data.join("recovery-point-offset-checkpoint"), "").json();
    let of_t = points.iter().find(|line| line["topic"] == "t").unwrap();
    assert_eq!(of_t["offset"], 10);
    let producers = dump(&data.join("t-0").join(format!("{:020}.snapshot", 10)), "").json();
    assert_eq!(producers.last().unwrap()["last_offset"], 9);

    let folder = dump(&data.join("t-0"), "-o table");
    for heading in
        ["(segment,", "(offset index,", "(time index,", "(snapshot of producers,", "(leader epochs,"]
    {
        assert!(folder.out().contains(heading), "{heading} in {}", folder.out());
    }
    let plain = dump(&log, "-o table");
    assert!(plain.out().contains("CODEC") && !plain.out().contains("PRODUCER ID"), "{}", plain.out());
    assert!(dump(&log, "-o wide").out().contains("PRODUCER ID"));
}

#[test]
fn groups_and_the_metadata_log_are_decoded() {
    let (data, _folder) = written();
    let changes = dump(&offsets_segment(&data), "-r").json();
    let committed = changes.iter().find(|line| line["kind"] == "offset_commit").expect("a commit");
    assert_eq!(committed["group"], "readers");
    assert_eq!((&committed["change"]["topic"], &committed["change"]["committed"]), (&"t".into(), &4.into()));
    let generations = changes.iter().filter(|line| line["kind"] == "group_metadata");
    let mut members = generations.filter_map(|line| line["change"]["members"].get(0));
    assert_eq!(members.next().expect("a member")["assigned"][0]["topic"], "t");

    let metadata = dump(&segment(&data, "__cluster_metadata-0", "log"), "-r").json();
    let of =
        |kind: &str| metadata.iter().find(|line| line["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    assert_eq!(of("TopicCreated")["change"]["topic"], "t");
    assert_eq!(of("ConfigSet")["change"]["value"], "gzip");
    let vote = dump(&data.join("__cluster_metadata-0/quorum-vote"), "").json();
    assert_eq!(vote[0]["committed"], true);
}

/// A transaction of the first protocol that commits an offset of `t` for the group `copiers`, and is complete.
async fn copy(rt: &Rt, address: SocketAddr) {
    let mut connection = Raw::connect(rt, address).await.unwrap();
    let id = || Some("copier".into());
    let init = InitProducerIdRequest {
        transactional_id: id(),
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    let find = FindCoordinatorRequest {
        key_type: 1,
        coordinator_keys: vec!["copier".into()],
        ..FindCoordinatorRequest::default()
    };
    connection.ask(&find, 4).await.unwrap();
    let given = connection.ask(&init, 4).await.unwrap();
    assert_eq!(given.error_code, 0);
    let (producer_id, producer_epoch) = (given.producer_id, given.producer_epoch);
    let add = AddOffsetsToTxnRequest {
        transactional_id: "copier".into(),
        producer_id,
        producer_epoch,
        group_id: "copiers".into(),
    };
    assert_eq!(connection.ask(&add, 3).await.unwrap().error_code, 0);
    let partition = TxnOffsetCommitRequestPartition { committed_offset: 7, ..Default::default() };
    let commit = TxnOffsetCommitRequest {
        transactional_id: "copier".into(),
        group_id: "copiers".into(),
        producer_id,
        producer_epoch,
        generation_id: -1,
        topics: vec![TxnOffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition] }],
        ..TxnOffsetCommitRequest::default()
    };
    assert_eq!(connection.ask(&commit, 3).await.unwrap().topics[0].partitions[0].error_code, 0);
    let end =
        EndTxnRequest { transactional_id: "copier".into(), producer_id, producer_epoch, committed: true };
    assert_eq!(connection.ask(&end, 3).await.unwrap().error_code, 0);
    // The markers are written by then: until they are, it is asked to come again.
    while connection.ask(&init, 4).await.unwrap().error_code != 0 {}
}

#[test]
fn transactions_and_their_markers_are_decoded() {
    let mut broker = Broker::start();
    broker.run("topic create t -p 1").out();
    let address = broker.address();
    rt::os::run(|rt| async move { copy(&rt, address).await }).unwrap();
    broker.stop();
    let records = dump(&written_segment(&broker.data(), "__transaction_state"), "-r").json();
    assert!(records.iter().all(|line| line["transactional_id"] == "copier"), "{records:?}");
    let states: Vec<_> = records.iter().map(|line| line["change"]["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["Empty", "Ongoing", "PrepareCommit", "CompleteCommit", "Empty"]);
    let touched = &records[1]["change"]["partitions"];
    assert_eq!((touched[0]["topic"].as_str(), &touched[1]), (Some("__consumer_offsets"), &Value::Null));
    let epochs = [&records[0], &records[4]].map(|line| line["change"]["producer_epoch"].as_i64());
    assert_eq!(epochs, [Some(0), Some(1)]);

    let records = dump(&written_segment(&broker.data(), "__consumer_offsets"), "-r").json();
    let kinds: Vec<_> = records.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["offset_commit", "commit_marker"]);
    assert_eq!((&records[0]["group"], &records[0]["change"]["committed"]), (&"copiers".into(), &7.into()));
}

#[test]
fn damage_is_named_with_its_place_and_ends_with_one() {
    let (data, _folder) = written();
    let log = segment(&data, "t-0", "log");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[65] ^= 1;
    std::fs::write(&log, &bytes).unwrap();
    let damaged = dump(&log, "");
    damaged.refused(1, "one place is damaged");
    assert!(damaged.printed().contains("stored crc"), "{}", damaged.printed());
    let told = dump(&log, "-r -o table");
    told.refused(1, "is damaged");
    assert!(told.printed().contains("damaged at byte 0: record batch is corrupt"), "{}", told.printed());

    std::fs::write(data.join("t-0/leader-epoch-checkpoint"), "0\n1\nx\n").unwrap();
    let told = dump(&data.join("t-0/leader-epoch-checkpoint"), "-o table");
    told.refused(1, "one place is damaged");
    assert!(
        told.printed().contains("damaged at byte 4: line 3: EPOCH OFFSET expected"),
        "{}",
        told.printed()
    );

    dump(&data.join("t-0/nothing.log"), "").refused(2, "does not say what is in it");
    dump(&data.join("t-0/00000000000000000099.log"), "").refused(2, "00000000000000000099.log");
}

#[test]
fn garbage_is_reported_and_nothing_panics() {
    let (data, folder) = written();
    let mut random = 88_172_645_463_325_252u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let offsets = std::fs::read(offsets_segment(&data)).unwrap();
    let metadata = std::fs::read(segment(&data, "__cluster_metadata-0", "log")).unwrap();
    let plain = std::fs::read(segment(&data, "t-0", "log")).unwrap();
    let cases = [("__consumer_offsets-0", &offsets), ("__cluster_metadata-0", &metadata), ("p-0", &plain)];
    for (partition, sound) in cases {
        let garbage = folder.path().join("garbage").join(partition);
        std::fs::create_dir_all(&garbage).unwrap();
        for number in 0..60u64 {
            let bytes: Vec<u8> = if number % 3 == 0 {
                (0..next() % 300).map(|_| next().to_be_bytes()[0]).collect()
            } else {
                let mut bytes = (*sound).clone();
                for _ in 0..=number % 4 {
                    let at = usize::try_from(next()).unwrap() % bytes.len();
                    bytes[at] ^= 1 << (next() % 8);
                }
                // With the checksum made to fit, what is inside has to be looked at.
                if number % 3 == 1 {
                    mend_checksums(&mut bytes);
                }
                bytes
            };
            let extension = ["log", "index", "timeindex", "snapshot"][usize::try_from(number % 4).unwrap()];
            std::fs::write(garbage.join(format!("{number:020}.{extension}")), bytes).unwrap();
        }
        for flags in ["-r", "-o wide", "-f %k%s%h"] {
            let ran = dump(&garbage, flags);
            ran.refused(1, "places are damaged");
        }
    }
}

/// Gives each batch that is whole the checksum of its bytes.
fn mend_checksums(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(length) = bytes.get(at + 8..at + 12) {
        let length = u32::from_be_bytes(length.try_into().unwrap());
        let end = at.saturating_add(12).saturating_add(usize::try_from(length).unwrap());
        let Some(covered) = bytes.get(at + 21..end) else { break };
        let crc = record::checksum(covered);
        bytes[at + 17..at + 21].copy_from_slice(&crc.to_be_bytes());
        at = end;
    }
}
