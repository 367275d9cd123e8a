//! A worker's notes in words, for a terminal or a log: each once, and rows now and then.

use std::time::Duration;

use rt::Instant;
use sink::Note;

/// Time between two lines about rows.
const RATE_INTERVAL: Duration = Duration::from_secs(10);

/// What is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// In words.
    pub text: String,
    /// Whether somebody should look.
    pub is_trouble: bool,
}

/// Remembers what was said.
#[derive(Debug, Default)]
pub struct Teller {
    rows: usize,
    told_rows_at: Option<Instant>,
    last: Option<Note>,
}

impl Teller {
    /// What a note is worth saying.
    pub fn line(&mut self, note: Note, now: Instant) -> Option<Line> {
        if let Note::Committed { rows, letters, .. } = note {
            let counted = self.count(rows, now);
            let refused = || troubled(format!("{letters} records are refused, and among the dead letters"));
            return if letters == 0 { counted } else { Some(refused()) };
        }
        if self.last.as_ref() == Some(&note) {
            return None;
        }
        let line = match &note {
            Note::Assigned(places) => calm(format!("{} partitions are this worker's", places.len())),
            Note::Stopped { place, reason } => troubled(format!("{place} waits: {reason}")),
            Note::Grown(columns) => calm(format!("the table has new columns: {}", columns.join(", "))),
            Note::Trouble(trouble) => troubled(format!("{trouble}; trying again")),
            Note::Recovered => calm("all is well again".to_owned()),
            Note::Paused => calm("paused".to_owned()),
            Note::Resumed => calm("goes on".to_owned()),
            Note::Committed { .. } | Note::Begun { .. } | Note::Revoked => return None,
        };
        self.last = Some(note);
        Some(line)
    }

    /// The first rows are worth a line at once, the others one now and then.
    fn count(&mut self, rows: usize, now: Instant) -> Option<Line> {
        self.rows += rows;
        let is_due = self.told_rows_at.is_none_or(|at| at + RATE_INTERVAL <= now);
        if self.rows == 0 || !is_due {
            return None;
        }
        self.told_rows_at = Some(now);
        Some(calm(format!("{} rows written by this worker", self.rows)))
    }
}

fn calm(text: String) -> Line {
    Line { text, is_trouble: false }
}

fn troubled(text: String) -> Line {
    Line { text, is_trouble: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_said_once_until_another_happens() {
        let mut teller = Teller::default();
        let mut told = |note, second| {
            let line = teller.line(note, Instant::START + Duration::from_secs(second))?;
            Some(format!("{}{}", if line.is_trouble { "! " } else { "" }, line.text))
        };
        let rows = |rows| Note::Committed { rows, letters: 0, offsets: vec![] };
        let away = || Note::Trouble("away".to_owned());
        assert_eq!(told(rows(5), 0).as_deref(), Some("5 rows written by this worker"));
        assert_eq!((told(rows(5), 1), told(rows(5), 9)), (None, None));
        assert_eq!(told(rows(5), 10).as_deref(), Some("20 rows written by this worker"));
        assert_eq!(told(away(), 10).as_deref(), Some("! away; trying again"));
        assert_eq!(told(away(), 11), None);
        assert_eq!(told(Note::Recovered, 12).as_deref(), Some("all is well again"));
        assert_eq!(told(away(), 13).as_deref(), Some("! away; trying again"));
    }
}
