//! What a demo came to, and whether its numbers agree.

use std::time::Duration;

use crate::board::Fact;

/// See the module.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Messages a second that were asked for.
    pub rate: u64,
    /// Cores of the machine.
    pub cores: usize,
    /// How long messages were written.
    pub written_for: Duration,
    /// How long after the last one the last group was done.
    pub drained_for: Duration,
    /// The topics.
    pub topics: Vec<TopicSum>,
    /// The groups.
    pub groups: Vec<GroupSum>,
    /// What the scenario shows of its own.
    pub facts: Vec<Fact>,
    /// What else was to be true.
    pub claims: Vec<Claim>,
}

/// A topic at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSum {
    /// Its name.
    pub name: String,
    /// Messages that producers had acknowledged.
    pub messages: u64,
    /// Messages that lie in it.
    pub in_log: u64,
}

/// A group at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSum {
    /// Its name.
    pub name: String,
    /// The table it writes.
    pub table: Option<&'static str>,
    /// Messages acknowledged of what it reads.
    pub messages_in: u64,
    /// Messages it is done with.
    pub messages: u64,
    /// Rows that the database counts.
    pub rows: Option<u64>,
    /// Different messages among them.
    pub distinct: Option<u64>,
}

/// Something that was to be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What.
    pub what: String,
    /// Whether it is.
    pub is_true: bool,
}

impl Summary {
    /// Whether all numbers agree, and everything is true that was to be.
    pub fn agrees(&self) -> bool {
        self.topics.iter().all(|topic| topic.messages == topic.in_log)
            && self.groups.iter().all(GroupSum::agrees)
            && self.claims.iter().all(|claim| claim.is_true)
    }
}

impl GroupSum {
    /// Whether each message was done once, and is a row once.
    pub fn agrees(&self) -> bool {
        let is_all = |count: u64| count == self.messages_in;
        is_all(self.messages) && self.rows.is_none_or(is_all) && self.distinct.is_none_or(is_all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_twice_or_never_is_no_agreement() {
        let sum = |messages, rows, distinct| GroupSum {
            name: "g".to_owned(),
            table: Some("t"),
            messages_in: 3,
            messages,
            rows: Some(rows),
            distinct: Some(distinct),
        };
        let agrees = [(3, 3, 3), (2, 3, 3), (3, 4, 3), (3, 3, 2)];
        assert_eq!(
            agrees.map(|(messages, rows, distinct)| sum(messages, rows, distinct).agrees()),
            [true, false, false, false]
        );
    }
}
