//! The names of a partition's files, as Kafka gives them.

use std::path::{Path, PathBuf};

use model::Offset;

/// The leader epochs and where they started.
pub(crate) const LEADER_EPOCHS: &str = "leader-epoch-checkpoint";

/// The topic id.
pub(crate) const PARTITION_METADATA: &str = "partition.metadata";

/// The files of a segment, and the snapshot of producers that bears the same offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Log,
    OffsetIndex,
    TimeIndex,
    AbortedIndex,
    Snapshot,
}

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
