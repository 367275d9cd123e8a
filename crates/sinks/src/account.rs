//! What a worker's notes come to: the report on how it does.
//!
//! Knows no clock but by what it is told, and no cluster.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use client::TopicPartition;
use rt::Instant;
use sink::Note;

use crate::board::{Report, Stage, Standing, Trouble, shortened};

/// What a rate is told from, and the least that tells one.
const RATE_WINDOW: Duration = Duration::from_secs(10);
const RATE_WINDOW_MIN: Duration = Duration::from_millis(500);

/// Without commits for so long, milliseconds, the next one is news.
const QUIET_MS: i64 = 3_000;

/// The account of one worker.
#[derive(Debug)]
pub(crate) struct Account {
    host: String,
    started_at_ms: i64,
    has_joined: bool,
    is_paused: bool,
    rows: u64,
    /// How many rows there were when; the oldest is about as old as the window.
    samples: VecDeque<(Instant, u64)>,
    committed_at_ms: Option<i64>,
    trouble: Option<Trouble>,
    partitions: BTreeMap<TopicPartition, Standing>,
    /// When it last moved a partition, of those it had, too.
    commits: BTreeMap<TopicPartition, i64>,
}

impl Account {
    pub(crate) fn new(host: String, now: Instant, now_ms: i64) -> Account {
        Account {
            host,
            started_at_ms: now_ms,
            has_joined: false,
            is_paused: false,
            rows: 0,
            samples: VecDeque::from([(now, 0)]),
            committed_at_ms: None,
            trouble: None,
            partitions: BTreeMap::new(),
            commits: BTreeMap::new(),
        }
    }

    /// Takes in a note; says whether it is worth a report at once.
    pub(crate) fn hear(&mut self, note: &Note, now_ms: i64) -> bool {
        match note {
            Note::Assigned(places) => {
                self.has_joined = true;
                let commits = &self.commits;
                let standing =
                    |place| Standing { committed_at_ms: commits.get(place).copied(), ..Standing::default() };
                self.partitions = places.iter().map(|place| (place.clone(), standing(place))).collect();
            }
            Note::Revoked => self.partitions.clear(),
            Note::Begun { place, next } => {
                let standing = self.partitions.entry(place.clone()).or_default();
                (standing.next, standing.stopped) = (Some(*next), None);
            }
            Note::Committed { rows, offsets, .. } => {
                self.rows += *rows as u64;
                let before = self.committed_at_ms.replace(now_ms);
                for (place, next) in offsets {
                    self.commits.insert(place.clone(), now_ms);
                    // Those that the group took back meanwhile are for who has them to tell.
                    if let Some(standing) = self.partitions.get_mut(place) {
                        (standing.next, standing.committed_at_ms) = (Some(*next), Some(now_ms));
                    }
                }
                // The first after a while is news; of the others the next report tells soon enough.
                return before.is_none_or(|before| before + QUIET_MS < now_ms);
            }
            Note::Stopped { place, reason } => {
                let reason = shortened(reason);
                self.partitions.entry(place.clone()).or_default().stopped = Some(reason.clone());
                // The partition's trouble, not the worker's: that one goes on.
                let error = format!("{place} waits: {reason}");
                self.trouble = Some(Trouble { error, at_ms: now_ms, is_over: true });
            }
            Note::Trouble(error) => {
                self.trouble = Some(Trouble { error: shortened(error), at_ms: now_ms, is_over: false });
            }
            Note::Grown(_) => return false,
            Note::Recovered => {
                if let Some(trouble) = &mut self.trouble {
                    trouble.is_over = true;
                }
            }
            Note::Paused => self.is_paused = true,
            Note::Resumed => self.is_paused = false,
        }
        true
    }

    /// How the worker does now.
    pub(crate) fn report(&mut self, now: Instant, now_ms: i64) -> Report {
        while self.samples.get(1).is_some_and(|(at, _)| *at + RATE_WINDOW <= now) {
            self.samples.pop_front();
        }
        let (since, rows_then) = self.samples.front().copied().unwrap_or((now, self.rows));
        let time = now.saturating_since(since);
        // Paused it writes nothing, whatever it wrote lately.
        let rows_per_s = match self.is_paused || time < RATE_WINDOW_MIN {
            true => 0.0,
            false => (self.rows - rows_then) as f64 / time.as_secs_f64(),
        };
        if self.samples.back().is_none_or(|(at, _)| *at + RATE_WINDOW_MIN <= now) {
            self.samples.push_back((now, self.rows));
        }
        let stage = match (self.is_paused, self.has_joined) {
            (true, _) => Stage::Paused,
            (false, true) => Stage::Working,
            (false, false) => Stage::Starting,
        };
        Report {
            at_ms: now_ms,
            started_at_ms: self.started_at_ms,
            stage,
            host: self.host.clone(),
            pid: std::process::id(),
            rows: self.rows,
            rows_per_s,
            committed_at_ms: self.committed_at_ms,
            trouble: self.trouble.clone(),
            partitions: self.partitions.clone(),
        }
    }

    /// The last report of a worker that ended with `error`.
    pub(crate) fn failed(&mut self, error: &str, now: Instant, now_ms: i64) -> Report {
        let trouble = Trouble { error: shortened(error), at_ms: now_ms, is_over: false };
        let partitions = BTreeMap::new();
        let trouble = Some(trouble);
        Report { stage: Stage::Failed, rows_per_s: 0.0, trouble, partitions, ..self.report(now, now_ms) }
    }
}

#[cfg(test)]
mod tests {
    use model::{Offset, TopicName};

    use super::*;

    fn place(partition: i32) -> TopicPartition {
        TopicPartition::new(TopicName::parse("t").expect("a name"), partition)
    }

    fn at(seconds: u64) -> Instant {
        Instant::START + Duration::from_secs(seconds)
    }

    fn started() -> Account {
        Account::new("h".to_owned(), at(0), 0)
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let mut account = started();
        let mut rates = Vec::new();
        for second in 1..=60 {
            if second <= 30 {
                account.hear(&Note::Committed { rows: 100, letters: 0, offsets: vec![] }, 0);
            }
            rates.push(account.report(at(second), 0).rows_per_s);
        }
        assert_eq!((rates[0], rates[29], rates[59]), (100.0, 100.0, 0.0));
        assert!(account.samples.len() < 20, "bounded");
    }

    #[test]
    fn partitions_are_told_of_as_long_as_the_worker_has_them() {
        let mut account = started();
        account.hear(&Note::Assigned(vec![place(0), place(1)]), 1);
        account.hear(&Note::Begun { place: place(0), next: Offset(5) }, 2);
        let offsets = vec![(place(0), Offset(9)), (place(7), Offset(1))];
        assert!(
            account.hear(&Note::Committed { rows: 3, letters: 0, offsets: vec![] }, 3),
            "the first one is news"
        );
        assert!(
            !account.hear(&Note::Committed { rows: 1, letters: 0, offsets }, 3),
            "the next report comes soon enough"
        );
        account.hear(&Note::Stopped { place: place(1), reason: "no number".to_owned() }, 4);
        let report = account.report(at(1), 5);
        let standing = Standing { next: Some(Offset(9)), committed_at_ms: Some(3), stopped: None };
        let stopped = Standing { stopped: Some("no number".to_owned()), ..Standing::default() };
        assert_eq!(report.partitions, BTreeMap::from([(place(0), standing), (place(1), stopped)]));
        assert_eq!((report.stage, report.rows, report.committed_at_ms), (Stage::Working, 4, Some(3)));
        let trouble = report.trouble.expect("it waits");
        assert_eq!((trouble.error.as_str(), trouble.is_over), ("t-1 waits: no number", true));
        account.hear(&Note::Revoked, 6);
        assert_eq!(account.report(at(2), 7).partitions, BTreeMap::new());
        account.hear(&Note::Assigned(vec![place(0)]), 8);
        let again = Standing { committed_at_ms: Some(3), ..Standing::default() };
        assert_eq!(account.report(at(3), 9).partitions, BTreeMap::from([(place(0), again)]));
    }

    #[test]
    fn trouble_is_told_of_when_it_is_over_too() {
        let mut account = started();
        assert_eq!(account.report(at(0), 0).stage, Stage::Starting);
        account.hear(&Note::Trouble("away".to_owned()), 5);
        let trouble = |is_over| Some(Trouble { error: "away".to_owned(), at_ms: 5, is_over });
        assert_eq!(account.report(at(1), 6).trouble, trouble(false));
        account.hear(&Note::Recovered, 7);
        assert_eq!(account.report(at(2), 8).trouble, trouble(true));
        account.hear(&Note::Paused, 9);
        assert_eq!(account.report(at(3), 9).stage, Stage::Paused);
        let failed = account.failed("gone", at(4), 10);
        assert_eq!((failed.stage, failed.trouble.map(|trouble| trouble.at_ms)), (Stage::Failed, Some(10)));
    }
}
