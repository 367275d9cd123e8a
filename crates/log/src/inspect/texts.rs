//! The files of lines: checkpoints of epochs and offsets, and whose folder it is.

use model::{LeaderEpoch, Offset, TopicId};

use crate::data_dir::parse_offset;
use crate::inspect::{Flaw, Found};
use crate::leader_epochs::parse_epoch;
use crate::meta_properties::MetaProperties;
use crate::partition_folder::{PartitionName, parse_topic_id};
use crate::{batch_scan, checkpoint};

/// The lines of `leader-epoch-checkpoint`.
pub fn leader_epochs(bytes: &[u8]) -> Found<(LeaderEpoch, Offset)> {
    let mut found = checkpoint(bytes, "EPOCH OFFSET", parse_epoch);
    let mut last: Option<(LeaderEpoch, Offset)> = None;
    for &(at, entry) in &found.items {
        if last.is_some_and(|last| entry.0 <= last.0 || entry.1 <= last.1) {
            found.flaws.push((at, Flaw::EntryOrder));
        }
        last = Some(entry);
    }
    found
}

/// The lines of a checkpoint of offsets.
pub fn offsets(bytes: &[u8]) -> Found<(PartitionName, Offset)> {
    // Kafka leaves empty files behind before its first checkpoint.
    if bytes.is_empty() { Found::new() } else { checkpoint(bytes, "TOPIC PARTITION OFFSET", parse_offset) }
}

/// What `meta.properties` says.
pub fn meta_properties(bytes: &[u8]) -> Found<MetaProperties> {
    whole(MetaProperties::from_text(bytes), "version=1, node.id, directory.id and cluster.id")
}

/// What `partition.metadata` says.
pub fn topic_id(bytes: &[u8]) -> Found<TopicId> {
    whole(parse_topic_id(bytes), "version: 0 and topic_id")
}

fn whole<T>(item: Option<T>, expected: &'static str) -> Found<T> {
    let mut found = Found::new();
    match item {
        Some(item) => found.items.push((0, item)),
        None => found.flaws.push((0, Flaw::Line { number: 1, expected })),
    }
    found
}

/// The lines behind version and count; those that say nothing are flaws.
fn checkpoint<T>(bytes: &[u8], expected: &'static str, parse: impl Fn(&str) -> Option<T>) -> Found<T> {
    let mut found = Found::new();
    let mut count = None;
    let (mut at, mut checksum_lines) = (0, 0);
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let (here, number) = (at, index + 1);
        at += batch_scan::bytes(line.len());
        // A last line without its end may be half a line.
        let text = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
        let mut flaw = |expected| found.flaws.push((here, Flaw::Line { number, expected }));
        match (index, text) {
            (0, Some(checkpoint::VERSION)) => {}
            (0, _) => flaw("version 0"),
            (1, text) => {
                count = text.and_then(|text| text.parse::<u32>().ok());
                if count.is_none() {
                    flaw("the number of lines that follow");
                }
            }
            (_, Some(line)) if line.starts_with(checkpoint::CHECKSUM) => checksum_lines += 1,
            (_, text) => match text.and_then(&parse) {
                Some(item) => found.items.push((here, item)),
                None => flaw(expected),
            },
        }
    }
    match count {
        None if found.flaws.is_empty() => {
            found.flaws.push((at, Flaw::Line { number: 1, expected: "version 0" }));
        }
        Some(said)
            if found.flaws.is_empty() && usize::try_from(said) != Ok(found.items.len() + checksum_lines) =>
        {
            found.flaws.push((at, Flaw::Count { said: said.into(), found: found.items.len() }));
        }
        Some(_) | None => {}
    }
    found
}
