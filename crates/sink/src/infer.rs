//! Columns from records: one for each member of the first records' objects, in the order in which they came up.
//!
//! - N1 A column's type holds every value that was seen; a column of which only nulls were seen is text.

use std::fmt;

use client::{Client, Consumer, ConsumerConfig, Event, Start, TopicPartition};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::definition::Definition;
use crate::schema::{Column, ColumnType, Source};

/// Records that are looked at.
const SAMPLE_RECORDS: usize = 1_000;

/// Bytes of an answer and of one partition in it: more is not looked at.
const FETCH_BYTES: usize = 1024 * 1024;
const PARTITION_BYTES: usize = 256 * 1024;

/// How long nothing has to come for what came to be enough.
const SAMPLE_WAIT: std::time::Duration = std::time::Duration::from_millis(500);

/// The columns that the oldest records of a sink's topics suggest; none while there are no records.
///
/// # Errors
/// The topics cannot be read.
pub async fn sample(client: &Client, definition: &Definition) -> Result<Vec<Column>, client::Error> {
    let mut starts = std::collections::BTreeMap::new();
    for name in &definition.topics {
        let topic = client.topic(name).await?;
        let places = topic.partitions.into_keys();
        starts.extend(
            places.map(|partition| (TopicPartition { topic: name.clone(), partition }, Start::Earliest)),
        );
    }
    let config = ConsumerConfig {
        fetch_bytes: FETCH_BYTES,
        partition_bytes: PARTITION_BYTES,
        isolation: client::Isolation::ReadCommitted,
        ..ConsumerConfig::default()
    };
    let mut consumer = Consumer::assigned(client, config, &starts).await?;
    let (mut inference, mut seen) = (Inference::default(), 0);
    while seen < SAMPLE_RECORDS {
        let Event::Records(records) = consumer.poll(SAMPLE_WAIT).await? else { break };
        seen += records.len();
        records.iter().filter_map(|record| record.value.as_ref()).for_each(|value| inference.observe(value));
    }
    Ok(inference.columns())
}

/// What was seen.
#[derive(Debug, Default)]
struct Inference(Vec<(String, Option<ColumnType>)>);

impl Inference {
    /// Looks at one record; what is no object will be refused when its turn comes.
    fn observe(&mut self, record: &[u8]) {
        let Ok(members) = serde_json::Deserializer::from_slice(record).deserialize_map(Members) else {
            return;
        };
        for (name, value) in members {
            let kind = type_of(&value);
            match self.0.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = joined(*known, kind),
                None => self.0.push((name, kind)),
            }
        }
    }

    fn columns(self) -> Vec<Column> {
        let column = |(name, kind): (String, Option<ColumnType>)| Column {
            source: Source::Field(vec![name.clone()]),
            name,
            kind: kind.unwrap_or(ColumnType::Text),
            required: false,
        };
        self.0.into_iter().map(column).collect()
    }
}

/// The type that holds a value; none for null, which any does.
pub(crate) fn type_of(value: &Value) -> Option<ColumnType> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some(ColumnType::Boolean),
        Value::Number(number) if number.is_i64() => Some(ColumnType::Bigint),
        Value::Number(_) => Some(ColumnType::Double),
        Value::String(text) if model::time::parse_date_time_us(text).is_some() => Some(ColumnType::Timestamp),
        Value::String(_) => Some(ColumnType::Text),
        Value::Array(_) | Value::Object(_) => Some(ColumnType::Json),
    }
}

/// The type that holds what both hold (N1).
fn joined(one: Option<ColumnType>, other: Option<ColumnType>) -> Option<ColumnType> {
    let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
    Some(match (one, other) {
        (one, other) if one == other => one,
        (ColumnType::Json, _) | (_, ColumnType::Json) => ColumnType::Json,
        (ColumnType::Bigint, ColumnType::Double) | (ColumnType::Double, ColumnType::Bigint) => {
            ColumnType::Double
        }
        (ColumnType::Bigint | ColumnType::Double | ColumnType::Text, _)
        | (ColumnType::Boolean | ColumnType::Timestamp, _) => ColumnType::Text,
    })
}

/// An object's members in their order.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(records: &[&str], expected: &str) {
        let mut inference = Inference::default();
        records.iter().for_each(|record| inference.observe(record.as_bytes()));
        let columns = inference.columns();
        let shown: Vec<_> = columns.iter().map(|column| format!("{}:{}", column.name, column.kind)).collect();
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn types_hold_everything_that_was_seen() {
        check(&[r#"{"b":1,"a":"x"}"#, r#"{"a":null,"c":true}"#], "b:bigint a:text c:boolean");
        check(&[r#"{"a":1}"#, r#"{"a":1.5}"#], "a:double");
        check(&[r#"{"a":1}"#, r#"{"a":"x"}"#], "a:text");
        check(&[r#"{"a":true}"#, r#"{"a":1}"#], "a:text");
        check(&[r#"{"a":1}"#, r#"{"a":[]}"#], "a:json");
        check(&[r#"{"a":"2026-01-31T12:00:00Z"}"#, r#"{"a":"2026-01-31"}"#], "a:timestamp");
        check(&[r#"{"a":"2026-01-31T12:00:00Z"}"#, r#"{"a":"noon"}"#], "a:text");
        check(&[r#"{"a":"2026-01-31"}"#, r#"{"a":5}"#], "a:text");
        check(&[r#"{"a":18446744073709551615}"#], "a:double");
        check(&[r#"{"a":null}"#, "no JSON", r#"{"a":null}"#], "a:text");
    }
}
