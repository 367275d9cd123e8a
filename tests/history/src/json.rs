//! The form of a history that programs write: JSON lines, one event each, named by its field `do`.
//!
//! `README.md` lists the fields. A checksum is a decimal number in a string, because JSON's numbers do not hold 64 bits
//! everywhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::event::{Commit, Ending, Event, Kind, Outcome, Place, Poll, Row, Send};

/// Writes a history.
pub fn write_lines(events: &[Event]) -> String {
    let mut lines = String::new();
    for event in events {
        writeln!(lines, "{}", value_of(event)).expect("a string takes everything");
    }
    lines
}

/// Reads a history; says which line is wrong.
pub fn read_lines(lines: &str) -> Result<Vec<Event>, String> {
    let read = |(number, line): (usize, &str)| {
        let value: Value = serde_json::from_str(line).map_err(|error| format!("line {number}: {error}"))?;
        event_of(&value).ok_or_else(|| format!("line {number} is no event: {line}"))
    };
    (1..).zip(lines.lines()).filter(|(_, line)| !line.trim().is_empty()).map(read).collect()
}

fn value_of(event: &Event) -> Value {
    let value = match event {
        Event::Send(Send { client, record, place, kind, sum }) => {
            let (kind, transaction) = match kind {
                Kind::Plain => ("plain", None),
                Kind::Idempotent => ("idempotent", None),
                Kind::InTransaction(transaction) => ("transactional", Some(transaction)),
            };
            let (place, sum) = (place.to_string(), sum.map(|sum| sum.to_string()));
            json!({"do": "send", "client": client, "record": record, "place": place, "kind": kind,
                "transaction": transaction, "sum": sum})
        }
        Event::Sent { record, outcome } => with_outcome(json!({"do": "sent", "record": record}), outcome),
        Event::Begin { client, transaction } => {
            json!({"do": "begin", "client": client, "transaction": transaction})
        }
        Event::End { transaction, ending } => {
            let ending = match ending {
                Ending::Commit => "commit",
                Ending::Abort => "abort",
            };
            json!({"do": "end", "transaction": transaction, "ending": ending})
        }
        Event::Ended { transaction, outcome } => {
            with_outcome(json!({"do": "ended", "transaction": transaction}), outcome)
        }
        Event::Assign { client, places } => {
            let places: Vec<String> = places.iter().map(Place::to_string).collect();
            json!({"do": "assign", "client": client, "places": places})
        }
        Event::Seek { client, place, offset } => {
            json!({"do": "seek", "client": client, "place": place.to_string(), "offset": offset})
        }
        Event::Subscribe { client, group } => json!({"do": "subscribe", "client": client, "group": group}),
        Event::Poll(Poll { client, place, rows, position, is_uncommitted, transaction }) => {
            json!({"do": "poll", "client": client, "place": place.to_string(), "rows": values_of(rows),
                "position": position, "uncommitted": is_uncommitted, "transaction": transaction})
        }
        Event::Commit(Commit { attempt, group, offsets, transaction }) => {
            json!({"do": "commit", "attempt": attempt, "group": group, "offsets": by_name(offsets),
                "transaction": transaction})
        }
        Event::Committed { attempt } => json!({"do": "committed", "attempt": attempt}),
        Event::Crash { client } => json!({"do": "crash", "client": client}),
        Event::Create { topic } => json!({"do": "create", "topic": topic}),
        Event::Created { topic } => json!({"do": "created", "topic": topic}),
        Event::Delete { topic } => json!({"do": "delete", "topic": topic}),
        Event::Deleted { topic } => json!({"do": "deleted", "topic": topic}),
        Event::Log { place, start, rows } => {
            json!({"do": "log", "place": place.to_string(), "start": start, "rows": values_of(rows)})
        }
        Event::Offsets { group, offsets } => {
            json!({"do": "offsets", "group": group, "offsets": by_name(offsets)})
        }
        Event::Topics { topics } => json!({"do": "topics", "topics": topics}),
    };
    without_nulls(value)
}

fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, field| !field.is_null());
    }
    value
}

fn with_outcome(mut value: Value, outcome: &Outcome) -> Value {
    let (named, offset, why) = match outcome {
        Outcome::Done(offset) => ("ok", *offset, None),
        Outcome::Failed(why) => ("fail", None, Some(why)),
        Outcome::Unknown(why) => ("unknown", None, Some(why)),
    };
    value["outcome"] = json!(named);
    value["offset"] = json!(offset);
    value["why"] = json!(why);
    value
}

fn values_of(rows: &[Row]) -> Vec<Value> {
    let value = |row: &Row| match row.sum {
        Some(sum) => json!([row.offset, row.record, sum.to_string()]),
        None => json!([row.offset, row.record]),
    };
    rows.iter().map(value).collect()
}

fn by_name(offsets: &BTreeMap<Place, i64>) -> Map<String, Value> {
    offsets.iter().map(|(place, offset)| (place.to_string(), json!(offset))).collect()
}

fn event_of(value: &Value) -> Option<Event> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| value.get(name).and_then(Value::as_i64);
    let place = || Place::parse(value.get("place")?.as_str()?);
    let list = |name: &str| value.get(name).and_then(Value::as_array);
    let event = match value.get("do")?.as_str()? {
        "send" => Event::Send(Send {
            client: text("client")?,
            record: text("record")?,
            place: place()?,
            kind: match value.get("kind")?.as_str()? {
                "plain" => Kind::Plain,
                "idempotent" => Kind::Idempotent,
                "transactional" => Kind::InTransaction(text("transaction")?),
                _ => return None,
            },
            sum: text("sum").map(|sum| sum.parse().ok()).unwrap_or_default(),
        }),
        "sent" => Event::Sent { record: text("record")?, outcome: outcome_of(value)? },
        "begin" => Event::Begin { client: text("client")?, transaction: text("transaction")? },
        "end" => Event::End {
            transaction: text("transaction")?,
            ending: match value.get("ending")?.as_str()? {
                "commit" => Ending::Commit,
                "abort" => Ending::Abort,
                _ => return None,
            },
        },
        "ended" => Event::Ended { transaction: text("transaction")?, outcome: outcome_of(value)? },
        "assign" => Event::Assign {
            client: text("client")?,
            places: list("places")?
                .iter()
                .map(|place| Place::parse(place.as_str()?))
                .collect::<Option<_>>()?,
        },
        "seek" => Event::Seek { client: text("client")?, place: place()?, offset: number("offset")? },
        "subscribe" => Event::Subscribe { client: text("client")?, group: text("group")? },
        "poll" => Event::Poll(Poll {
            client: text("client")?,
            place: place()?,
            rows: rows_of(list("rows")?)?,
            position: number("position"),
            is_uncommitted: value.get("uncommitted").and_then(Value::as_bool).unwrap_or_default(),
            transaction: text("transaction"),
        }),
        "commit" => Event::Commit(Commit {
            attempt: text("attempt")?,
            group: text("group")?,
            offsets: offsets_of(value)?,
            transaction: text("transaction"),
        }),
        "committed" => Event::Committed { attempt: text("attempt")? },
        "crash" => Event::Crash { client: text("client")? },
        "create" => Event::Create { topic: text("topic")? },
        "created" => Event::Created { topic: text("topic")? },
        "delete" => Event::Delete { topic: text("topic")? },
        "deleted" => Event::Deleted { topic: text("topic")? },
        "log" => Event::Log {
            place: place()?,
            start: number("start").unwrap_or_default(),
            rows: rows_of(list("rows")?)?,
        },
        "offsets" => Event::Offsets { group: text("group")?, offsets: offsets_of(value)? },
        "topics" => Event::Topics {
            topics: list("topics")?
                .iter()
                .map(|topic| Some(topic.as_str()?.to_owned()))
                .collect::<Option<_>>()?,
        },
        _ => return None,
    };
    Some(event)
}

fn outcome_of(value: &Value) -> Option<Outcome> {
    let why = || value.get("why").and_then(Value::as_str).unwrap_or_default().to_owned();
    match value.get("outcome")?.as_str()? {
        "ok" => Some(Outcome::Done(value.get("offset").and_then(Value::as_i64))),
        "fail" => Some(Outcome::Failed(why())),
        "unknown" => Some(Outcome::Unknown(why())),
        _ => None,
    }
}

fn rows_of(values: &[Value]) -> Option<Vec<Row>> {
    let row_of = |value: &Value| {
        let (offset, record) = (value.get(0)?.as_i64()?, value.get(1)?.as_str()?.to_owned());
        let sum = match value.get(2) {
            Some(sum) => Some(sum.as_str()?.parse().ok()?),
            None => None,
        };
        Some(Row { offset, record, sum })
    };
    values.iter().map(row_of).collect()
}

fn offsets_of(value: &Value) -> Option<BTreeMap<Place, i64>> {
    let offset_of = |(place, offset): (&String, &Value)| Some((Place::parse(place)?, offset.as_i64()?));
    value.get("offsets")?.as_object()?.iter().map(offset_of).collect()
}
