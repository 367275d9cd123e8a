//! Finds how much a database takes at once, and the record that it refuses.
//!
//! - B1 A batch that is refused comes again in halves, until one has a single record: that one is condemned, and refused
//!   when it is read again. So nothing is taken out of a batch that the database did not refuse by itself.
//! - B2 A batch that takes longer than it may comes again in halves, too, and nothing is held against its records.
//! - B3 What passes lets batches grow again.

use std::collections::BTreeMap;

use client::TopicPartition;
use model::Offset;

use crate::target::TargetError;

/// How large batches may be, and what was found.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// Most records of a batch, while a record is looked for or the database is slow.
    limit: Option<usize>,
    /// Refusals since something passed.
    attempts: u32,
    condemned: BTreeMap<TopicPartition, Condemned>,
}

/// A record that the database refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condemned {
    pub(crate) offset: Offset,
    pub(crate) error: TargetError,
    /// How often it was tried.
    pub(crate) attempts: u32,
}

impl Search {
    /// Most records of a batch.
    pub(crate) fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }

    /// A batch of so many records, of which `last` was the last, was refused.
    pub(crate) fn on_refused(
        &mut self,
        records: usize,
        last: Option<(TopicPartition, Offset)>,
        error: TargetError,
    ) {
        self.attempts = self.attempts.saturating_add(1);
        self.halve(records);
        if let (1, Some((place, offset))) = (records, last) {
            let attempts = std::mem::take(&mut self.attempts);
            self.condemned.insert(place, Condemned { offset, error, attempts });
        }
    }

    /// A batch of so many records took longer than it may.
    pub(crate) fn on_slow(&mut self, records: usize) {
        self.halve(records);
    }

    /// The next batch has half as many.
    fn halve(&mut self, records: usize) {
        self.limit = Some((records / 2).max(1));
    }

    /// A batch of so many records passed, up to these offsets.
    pub(crate) fn on_passed<'a>(
        &mut self,
        records: usize,
        offsets: impl IntoIterator<Item = &'a (TopicPartition, Offset)>,
    ) {
        self.attempts = 0;
        for (place, next) in offsets {
            if self.condemned.get(place).is_some_and(|condemned| condemned.offset < *next) {
                self.condemned.remove(place);
            }
        }
        // One that was not full says nothing of larger ones.
        self.limit = self.limit.map(|limit| if limit <= records { limit.saturating_mul(2) } else { limit });
    }

    /// What is known against a record.
    pub(crate) fn condemned(&self, place: &TopicPartition, offset: Offset) -> Option<&Condemned> {
        self.condemned.get(place).filter(|condemned| condemned.offset == offset)
    }

    /// Whether nothing is known against any.
    pub(crate) fn is_idle(&self) -> bool {
        self.condemned.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use model::TopicName;

    use super::*;

    #[test]
    fn batches_become_as_small_as_they_have_to_and_large_again() {
        let place = TopicPartition::new(TopicName::parse("t").expect("a name"), 0);
        let (mut search, mut next, mut tried) = (Search::default(), 0, Vec::new());
        // It takes 100 records at once, and from record 500 on any number.
        while next < 2_000 {
            let records = search.limit().min(400);
            tried.push(records);
            if 100 < records && next < 500 {
                search.on_slow(records);
            } else {
                next += records;
                search
                    .on_passed(records, [&(place.clone(), Offset(i64::try_from(next).expect("an offset")))]);
            }
        }
        assert!(search.is_idle(), "nothing is held against anyone");
        assert_eq!(tried[..6], [400, 200, 100, 200, 100, 200]);
        assert_eq!(tried[tried.len() - 3..], [400; 3]);
    }

    #[test]
    fn every_poison_is_found_and_nothing_else() {
        let place = TopicPartition::new(TopicName::parse("t").expect("a name"), 0);
        let error = TargetError::refused("no");
        let poison = [0, 1, 500, 777, 999];
        let (mut search, mut next, mut batches, mut found) = (Search::default(), 0, 0, Vec::new());
        while next < 1_000 {
            let end = 1_000.min(next + i64::try_from(search.limit().min(400)).expect("a batch"));
            let is_bad =
                |offset: &i64| poison.contains(offset) && search.condemned(&place, Offset(*offset)).is_none();
            let records = usize::try_from(end - next).expect("a batch");
            batches += 1;
            if (next..end).any(|offset| is_bad(&offset)) {
                search.on_refused(records, Some((place.clone(), Offset(end - 1))), error.clone());
            } else {
                found
                    .extend((next..end).filter(|offset| search.condemned(&place, Offset(*offset)).is_some()));
                search.on_passed(records, [&(place.clone(), Offset(end))]);
                next = end;
            }
        }
        assert_eq!(found, poison);
        assert!(search.is_idle());
        assert!(batches < 120, "{batches} batches");
    }
}
