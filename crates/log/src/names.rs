//! The names of a partition's files, as Kafka gives them.

use std::path::{Path, PathBuf};

use model::Offset;

/// The leader epochs and where they started.
pub(crate) const LEADER_EPOCHS: &str = "leader-epoch-checkpoint";

/// The topic id.
pub(crate) const PARTITION_METADATA: &str = "partition.metadata";

/// What ends the name of a file that compaction is writing.
pub(crate) const CLEANED: &str = ".cleaned";

/// What ends the name of a file that compaction wrote and that takes the place of others.
pub(crate) const SWAP: &str = ".swap";

/// The files of a segment, and the snapshot of producers that bears the same offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Log,
    OffsetIndex,
    TimeIndex,
    AbortedIndex,
    Snapshot,
}

/// What a segment consists of, in the order in which it is put away: batches last, which make it one.
pub(crate) const SEGMENT_KINDS: [Kind; 4] =
    [Kind::OffsetIndex, Kind::TimeIndex, Kind::AbortedIndex, Kind::Log];

impl Kind {
    fn extension(self) -> &'static str {
        match self {
            Kind::Log => "log",
            Kind::OffsetIndex => "index",
            Kind::TimeIndex => "timeindex",
            Kind::AbortedIndex => "txnindex",
            Kind::Snapshot => "snapshot",
        }
    }
}

/// `dir/00000000000000000042.log`.
pub(crate) fn path(dir: &Path, offset: Offset, kind: Kind) -> PathBuf {
    dir.join(format!("{:020}.{}", offset.0, kind.extension()))
}

/// The name of such a file once its segment is put away: `dir/00000000000000000042.log.deleted`.
pub(crate) fn deleted_path(dir: &Path, offset: Offset, kind: Kind) -> PathBuf {
    dir.join(format!("{:020}.{}.deleted", offset.0, kind.extension()))
}

/// The name of such a file while compaction writes it: `dir/00000000000000000042.log.cleaned`.
pub(crate) fn cleaned_path(dir: &Path, offset: Offset, kind: Kind) -> PathBuf {
    dir.join(format!("{:020}.{}{CLEANED}", offset.0, kind.extension()))
}

/// The name of such a file once it is to take another's place: `dir/00000000000000000042.log.swap`.
pub(crate) fn swap_path(dir: &Path, offset: Offset, kind: Kind) -> PathBuf {
    dir.join(format!("{:020}.{}{SWAP}", offset.0, kind.extension()))
}

/// What a file name says it is; `None` for names that are not of this shape.
pub(crate) fn parse(name: &str) -> Option<(Offset, Kind)> {
    let (digits, extension) = name.split_once('.')?;
    let kinds = [Kind::Log, Kind::OffsetIndex, Kind::TimeIndex, Kind::AbortedIndex, Kind::Snapshot];
    let kind = kinds.into_iter().find(|kind| kind.extension() == extension)?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let offset = digits.parse().ok().filter(|_| all_digits)?;
    Some((Offset(offset), kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_not_taken_for_ours() {
        for kind in [Kind::Log, Kind::OffsetIndex, Kind::TimeIndex, Kind::AbortedIndex, Kind::Snapshot] {
            let path = path(Path::new("t-0"), Offset(42), kind);
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            assert_eq!(parse(name), Some((Offset(42), kind)));
        }
        for other in [
            "42.log",
            "0000000000000000004x.log",
            "00000000000000000042.log.deleted",
            "log",
            "+0000000000000000042.log",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
