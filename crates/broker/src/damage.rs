//! What of logs cannot be read, as those who run the broker hear of it.
//!
//! - T1 Each place is said once, however often it is asked for and whoever finds it.
//! - T2 At most [`PLACES_MAX`] of a partition are; then, once, that there are more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use log::ReadError;
use model::{Offset, TopicPartition};

use crate::error::PartitionError;
use crate::partition::Partition;

/// A disk that fails has more bad places than anybody reads.
const PLACES_MAX: usize = 16;

/// What was said of which partition.
#[derive(Default)]
pub struct Damage(Mutex<BTreeMap<TopicPartition, BTreeSet<String>>>);

impl Damage {
    /// What a failed read at `asked` means to who asked. What it says of the disk is said in the log, too.
    pub fn read_failed(&self, partition: &Partition, asked: Offset, error: ReadError) -> PartitionError {
        self.tell(partition, &error);
        PartitionError::reading(asked, error)
    }

    /// Says in the log what could not be read, unless it was said.
    pub fn tell(&self, partition: &Partition, error: &ReadError) {
        if let Some(news) = self.news(partition.id, error) {
            tracing::error!("{}-{}: {news}", partition.topic, partition.id.partition);
        }
    }

    /// What to say of a failed read, if it is news and says anything of the disk.
    fn news(&self, id: TopicPartition, error: &ReadError) -> Option<String> {
        let news = match error {
            ReadError::OutOfRange { .. } | ReadError::Cold | ReadError::Closed => return None,
            ReadError::Io(error) => format!("a read failed, and who asked was refused: {error}"),
            ReadError::Unreadable(unreadable) => bad(&unreadable.path, error),
            ReadError::Corrupt(corruption) => bad(&corruption.path, error),
        };
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let said = said.entry(id).or_default();
        if PLACES_MAX < said.len() || said.contains(&news) {
            return None;
        }
        said.insert(news.clone());
        let is_too_much = PLACES_MAX < said.len();
        Some(if is_too_much { "more of it is bad, which is not said any more".to_owned() } else { news })
    }
}

fn bad(path: &Path, error: &ReadError) -> String {
    let folder = path.parent().unwrap_or(path).display();
    format!(
        "{error}. Reads of it are refused, what lies around it is served: stop the broker, let `ottla log check {folder}` say what \
         else is bad, and put a copy of the file in its place; without one, consumers have to be sent behind it"
    )
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use log::Unreadable;
    use model::{PartitionIndex, TopicId, Uuid};

    use super::*;

    fn unreadable(position: u64) -> ReadError {
        let path = PathBuf::from("/data/orders-0/00000000000000000000.log");
        let error = io::Error::other(format!("cannot read {}: no such luck", path.display()));
        ReadError::Unreadable(Unreadable { path, position, error })
    }

    #[test]
    fn each_place_is_said_once_and_not_more_of_them_than_anybody_reads() {
        let damage = Damage::default();
        let of = |partition| TopicPartition {
            topic_id: TopicId(Uuid::ZERO),
            partition: PartitionIndex(partition),
        };
        let first = damage.news(of(0), &unreadable(7)).expect("news");
        let told = "cannot read /data/orders-0/00000000000000000000.log: no such luck, in the batch at byte 7. Reads of it are refused, ";
        assert!(first.starts_with(told) && first.contains("`ottla log check /data/orders-0`"), "{first}");
        assert_eq!(damage.news(of(0), &unreadable(7)), None);
        assert_eq!(damage.news(of(0), &ReadError::Closed), None, "that is nothing of the disk");
        let said: Vec<String> =
            (0..100).filter_map(|position| damage.news(of(0), &unreadable(position))).collect();
        assert_eq!(said.len(), PLACES_MAX, "{said:?}");
        assert_eq!(said.last().map(String::as_str), Some("more of it is bad, which is not said any more"));
        assert!(damage.news(of(1), &unreadable(7)).is_some(), "another partition");
    }
}
