//! What a worker says, as lines on standard error.

use std::io::Write as _;
use std::time::Duration;

use rt::{Instant, Rt};
use sink::Note;

/// Time between two lines about rows.
const RATE_INTERVAL: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Notes {
    rt: Rt,
    sink: String,
    rows: usize,
    since: Option<Instant>,
    last: Option<Note>,
}

impl Notes {
    pub(super) fn new(rt: &Rt, sink: &str) -> Notes {
        Notes { rt: rt.clone(), sink: sink.to_owned(), rows: 0, since: None, last: None }
    }

    pub(super) fn take(&mut self, note: Note) {
        if let Note::Committed { rows, .. } = note {
            return self.count(rows);
        }
        if self.last.as_ref() == Some(&note) {
            return;
        }
        match &note {
            Note::Assigned(places) => self.say(&format!("{} partitions are this worker's", places.len())),
            Note::Stopped { place, reason } => self.say(&format!("{place} waits: {reason}")),
            Note::Trouble(trouble) => self.say(&format!("{trouble}; trying again")),
            Note::Recovered => self.say("all is well again"),
            Note::Paused => self.say("paused"),
            Note::Resumed => self.say("goes on"),
            Note::Committed { .. } | Note::Begun { .. } | Note::Revoked => {}
        }
        self.last = Some(note);
    }

    /// The first rows are worth a line at once, the others one now and then.
    fn count(&mut self, rows: usize) {
        self.rows += rows;
        let now = self.rt.now();
        if self.since.is_none_or(|since| since + RATE_INTERVAL <= now) && 0 < self.rows {
            self.since = Some(now);
            self.say(&format!("{} rows written by this worker", self.rows));
        }
    }

    fn say(&self, line: &str) {
        // Nobody may be listening any more, which is no reason to stop.
        drop(writeln!(std::io::stderr(), "sink {}: {line}", self.sink));
    }
}
