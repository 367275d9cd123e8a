//! `ottla log check`: what a start would do about a folder.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests damage files of the real file system, and fail where it fails"
)]

use std::path::Path;

use crate::support::{Broker, ottla};

fn check(data: &Path) -> crate::support::Ran {
    ottla(&format!("log check {}", data.display()))
}

fn flip(path: &Path, position: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[position] ^= 4;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_folder_is_checked_and_each_damaged_file_named_with_what_a_start_does() {
    let mut broker = Broker::start();
    broker.run("topic create t -p 1").out();
    broker.feed("produce t -k :", "a:1\nb:2\n").out();
    let data = broker.data();
    check(&data).refused(1, "a broker runs on");
    broker.stop();
    let _folder = broker.into_folder();
    assert_eq!(check(&data).json().len(), 0, "nothing is wrong");

    let log = data.join("t-0").join(format!("{:020}.log", 0));
    let epochs = data.join("t-0/leader-epoch-checkpoint");
    flip(&log, 70);
    flip(&epochs, 0);
    flip(&data.join("t-0/partition.metadata"), 0);
    flip(&data.join("recovery-point-offset-checkpoint"), 6);
    let before = std::fs::read(&log).unwrap();
    let ran = check(&data);
    ran.refused(1, "4 things are wrong");
    let found: Vec<serde_json::Value> =
        ran.printed().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let action = |name: &str| {
        let row = found.iter().find(|row| row["file"].as_str().unwrap().ends_with(name)).unwrap();
        row["at_a_start"].as_str().unwrap().to_owned()
    };
    assert_eq!(action("0.log"), "leaves the partition closed");
    assert_eq!(action("leader-epoch-checkpoint"), "builds it anew, or does without");
    assert_eq!(action("partition.metadata"), "builds it anew, or does without");
    assert_eq!(action("recovery-point-offset-checkpoint"), "builds it anew, or does without");
    assert_eq!(std::fs::read(&log).unwrap(), before, "nothing is changed");
    check(&data.join("t-0")).refused(2, "is no data folder");
}

#[test]
fn a_start_does_without_damaged_files_that_can_be_made_anew() {
    let mut broker = Broker::start();
    broker.run("topic create t -p 1").out();
    broker.feed("produce t -k :", "a:1\nb:2\n").out();
    let data = broker.data();
    broker.stop();
    let folder = broker.into_folder();
    std::fs::remove_file(data.join(".kafka_cleanshutdown")).unwrap();
    // In the topic id, in an epoch's first offset, and in a recovery point.
    flip(&data.join("t-0/partition.metadata"), 25);
    flip(&data.join("t-0/leader-epoch-checkpoint"), 6);
    flip(&data.join("recovery-point-offset-checkpoint"), 6);
    let mut broker = Broker::start_on(folder, &[]);
    assert_eq!(broker.run("consume t -o start:end").json().len(), 2, "nothing is lost");
    broker.stop();
    let _folder = broker.into_folder();
    assert_eq!(check(&data).json().len(), 0, "all is whole again");
}
