//! The form of a history that people write and read: one event a line, words between blanks.
//!
//! Names hold no blanks. `#` begins a line that is for people only.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use crate::event::{Commit, Ending, Event, Kind, Outcome, Place, Poll, Row, Send};

/// Reads a history; says which line is wrong.
pub fn parse(text: &str) -> Result<Vec<Event>, String> {
    let mut events = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            let event = event_of(line).ok_or_else(|| format!("line {number} is no event: {line}"))?;
            events.push(event);
        }
    }
    Ok(events)
}

fn event_of(line: &str) -> Option<Event> {
    let mut words = Words::of(line);
    let event = match words.next()?.as_str() {
        "send" => Event::Send(Send {
            sum: words.named("sum").map(|sum| sum.parse().ok()).unwrap_or_default(),
            kind: match words.named("in") {
                Some(transaction) => Kind::InTransaction(transaction),
                None if words.has("plain") => Kind::Plain,
                None => Kind::Idempotent,
            },
            client: words.next()?,
            record: words.next()?,
            place: Place::parse(&words.next()?)?,
        }),
        "ok" => Event::Sent { record: words.next()?, outcome: Outcome::Done(words.optional_number()?) },
        "fail" => Event::Sent { record: words.next()?, outcome: Outcome::Failed(words.rest()) },
        "unknown" => Event::Sent { record: words.next()?, outcome: Outcome::Unknown(words.rest()) },
        "begin" => Event::Begin { client: words.next()?, transaction: words.next()? },
        "end" => Event::End { transaction: words.next()?, ending: ending_of(&words.next()?)? },
        "ended" => Event::Ended { transaction: words.next()?, outcome: outcome_of(&mut words)? },
        "assign" => Event::Assign {
            client: words.next()?,
            places: words.all().iter().map(|word| Place::parse(word)).collect::<Option<_>>()?,
        },
        "seek" => Event::Seek {
            client: words.next()?,
            place: Place::parse(&words.next()?)?,
            offset: words.next()?.parse().ok()?,
        },
        "subscribe" => Event::Subscribe { client: words.next()?, group: words.next()? },
        "poll" => Event::Poll(Poll {
            position: words.named("position").map(|position| position.parse().ok()).unwrap_or_default(),
            transaction: words.named("in"),
            is_uncommitted: words.has("uncommitted"),
            client: words.next()?,
            place: Place::parse(&words.next()?)?,
            rows: rows_of(&words.all())?,
        }),
        "commit" => Event::Commit(Commit {
            transaction: words.named("in"),
            attempt: words.next()?,
            group: words.next()?,
            offsets: offsets_of(&words.all())?,
        }),
        "committed" => Event::Committed { attempt: words.next()? },
        "crash" => Event::Crash { client: words.next()? },
        "create" => Event::Create { topic: words.next()? },
        "created" => Event::Created { topic: words.next()? },
        "delete" => Event::Delete { topic: words.next()? },
        "deleted" => Event::Deleted { topic: words.next()? },
        "log" => Event::Log {
            start: words.named("start").map_or(Some(0), |start| start.parse().ok())?,
            place: Place::parse(&words.next()?)?,
            rows: rows_of(&words.all())?,
        },
        "offsets" => Event::Offsets { group: words.next()?, offsets: offsets_of(&words.all())? },
        "topics" => Event::Topics { topics: words.all() },
        _ => return None,
    };
    words.is_empty().then_some(event)
}

/// The words of a line that nobody took yet.
struct Words(std::collections::VecDeque<String>);

impl Words {
    fn of(line: &str) -> Words {
        Words(line.split_whitespace().map(str::to_owned).collect())
    }

    fn next(&mut self) -> Option<String> {
        self.0.pop_front()
    }

    /// Takes `name=VALUE` from wherever it stands.
    fn named(&mut self, name: &str) -> Option<String> {
        let value_of = |word: &String| word.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
        let (index, value) =
            self.0.iter().enumerate().find_map(|(index, word)| Some((index, value_of(word)?)))?;
        self.0.remove(index);
        Some(value)
    }

    /// Takes the word from wherever it stands.
    fn has(&mut self, word: &str) -> bool {
        let index = self.0.iter().position(|known| known == word);
        index.is_some_and(|index| self.0.remove(index).is_some())
    }

    fn optional_number(&mut self) -> Option<Option<i64>> {
        self.next().map(|word| word.parse().ok()).map_or(Some(None), |number| number.map(Some))
    }

    fn all(&mut self) -> Vec<String> {
        self.0.drain(..).collect()
    }

    fn rest(&mut self) -> String {
        self.all().join(" ")
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn ending_of(word: &str) -> Option<Ending> {
    match word {
        "commit" => Some(Ending::Commit),
        "abort" => Some(Ending::Abort),
        _ => None,
    }
}

fn outcome_of(words: &mut Words) -> Option<Outcome> {
    match words.next()?.as_str() {
        "ok" => Some(Outcome::Done(None)),
        "fail" => Some(Outcome::Failed(words.rest())),
        "unknown" => Some(Outcome::Unknown(words.rest())),
        _ => None,
    }
}

fn rows_of(words: &[String]) -> Option<Vec<Row>> {
    let row_of = |word: &String| {
        let (offset, record) = word.split_once(':')?;
        let (record, sum) = match record.split_once('=') {
            Some((record, sum)) => (record, Some(sum.parse().ok()?)),
            None => (record, None),
        };
        Some(Row { offset: offset.parse().ok()?, record: record.to_owned(), sum })
    };
    words.iter().map(row_of).collect()
}

fn offsets_of(words: &[String]) -> Option<BTreeMap<Place, i64>> {
    let offset_of = |word: &String| {
        let (place, offset) = word.split_once('=')?;
        Some((Place::parse(place)?, offset.parse().ok()?))
    };
    words.iter().map(offset_of).collect()
}

impl Display for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Event::Send(Send { client, record, place, kind, sum }) => {
                write!(f, "send {client} {record} {place}")?;
                match kind {
                    Kind::Plain => f.write_str(" plain")?,
                    Kind::Idempotent => {}
                    Kind::InTransaction(transaction) => write!(f, " in={transaction}")?,
                }
                named(f, "sum", sum.as_ref())
            }
            Event::Sent { record, outcome: Outcome::Done(offset) } => {
                write!(f, "ok {record}")?;
                offset.map_or(Ok(()), |offset| write!(f, " {offset}"))
            }
            Event::Sent { record, outcome: Outcome::Failed(why) } => write!(f, "fail {record} {why}"),
            Event::Sent { record, outcome: Outcome::Unknown(why) } => write!(f, "unknown {record} {why}"),
            Event::Begin { client, transaction } => write!(f, "begin {client} {transaction}"),
            Event::End { transaction, ending: Ending::Commit } => write!(f, "end {transaction} commit"),
            Event::End { transaction, ending: Ending::Abort } => write!(f, "end {transaction} abort"),
            Event::Ended { transaction, outcome: Outcome::Done(_) } => write!(f, "ended {transaction} ok"),
            Event::Ended { transaction, outcome: Outcome::Failed(why) } => {
                write!(f, "ended {transaction} fail {why}")
            }
            Event::Ended { transaction, outcome: Outcome::Unknown(why) } => {
                write!(f, "ended {transaction} unknown {why}")
            }
            Event::Assign { client, places } => {
                write!(f, "assign {client}")?;
                places.iter().try_for_each(|place| write!(f, " {place}"))
            }
            Event::Seek { client, place, offset } => write!(f, "seek {client} {place} {offset}"),
            Event::Subscribe { client, group } => write!(f, "subscribe {client} {group}"),
            Event::Poll(Poll { client, place, rows, position, is_uncommitted, transaction }) => {
                write!(f, "poll {client} {place}")?;
                rows.iter().try_for_each(|row| write!(f, " {row}"))?;
                named(f, "position", position.as_ref())?;
                named(f, "in", transaction.as_ref())?;
                f.write_str(if *is_uncommitted { " uncommitted" } else { "" })
            }
            Event::Commit(Commit { attempt, group, offsets, transaction }) => {
                write!(f, "commit {attempt} {group}")?;
                offsets.iter().try_for_each(|(place, offset)| write!(f, " {place}={offset}"))?;
                named(f, "in", transaction.as_ref())
            }
            Event::Committed { attempt } => write!(f, "committed {attempt}"),
            Event::Crash { client } => write!(f, "crash {client}"),
            Event::Create { topic } => write!(f, "create {topic}"),
            Event::Created { topic } => write!(f, "created {topic}"),
            Event::Delete { topic } => write!(f, "delete {topic}"),
            Event::Deleted { topic } => write!(f, "deleted {topic}"),
            Event::Log { place, start, rows } => {
                write!(f, "log {place} start={start}")?;
                rows.iter().try_for_each(|row| write!(f, " {row}"))
            }
            Event::Offsets { group, offsets } => {
                write!(f, "offsets {group}")?;
                offsets.iter().try_for_each(|(place, offset)| write!(f, " {place}={offset}"))
            }
            Event::Topics { topics } => write!(f, "topics {}", topics.join(" ")),
        }
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.offset, self.record)?;
        self.sum.map_or(Ok(()), |sum| write!(f, "={sum}"))
    }
}

fn named(f: &mut Formatter<'_>, name: &str, value: Option<&impl Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {name}={value}"))
}
