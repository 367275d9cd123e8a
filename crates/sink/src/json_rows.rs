//! Records of JSON to rows: fields by the decoder, and what else a record has.
//!
//! - R1 A record is one row, one deletion or none; what is refused leaves none.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use client::Record;

use crate::condition::Condition;
use crate::decode::{self, BadRecord, Decoder};
use crate::definition::{Definition, Tombstones};
use crate::json::Written;
use crate::rows::{NewRow, Rows, Value};
use crate::schema::{Column, ColumnType, Schema, Source};
use crate::transform::{Refused, Transform};

/// The transform of a sink that is a file.
pub struct JsonRows {
    condition: Condition,
    tombstones: Tombstones,
    fields: Decoder,
    /// Fields of the key, where a column is one.
    key_fields: Option<Decoder>,
    /// The columns that are no field of anything, by their index.
    others: Vec<(usize, Column)>,
    /// The columns that a tombstone says.
    key: Vec<usize>,
}

impl JsonRows {
    /// For rows of `schema`.
    pub fn new(definition: &Definition, schema: &Schema) -> JsonRows {
        let is_field_of_key =
            |column: &Column| matches!(&column.source, Source::Key(path) if !path.is_empty());
        let key_fields = schema.columns.iter().any(is_field_of_key).then(|| Decoder::of_keys(schema));
        let others = schema.columns.iter().enumerate().filter(|(_, column)| match &column.source {
            Source::Field(_) => false,
            Source::Key(path) => path.is_empty(),
            Source::Topic | Source::Partition | Source::Offset | Source::Timestamp | Source::Headers => true,
        });
        JsonRows {
            condition: definition.condition.clone(),
            tombstones: definition.tombstones,
            fields: Decoder::new(schema, &definition.condition),
            key_fields,
            others: others.map(|(index, column)| (index, column.clone())).collect(),
            key: schema.key.clone(),
        }
    }

    /// Appends the row of a record, if it is one.
    fn take(&mut self, record: &Record, rows: &mut Rows) -> Result<(), BadRecord> {
        let value = match (&record.value, self.tombstones) {
            (Some(value), _) => Some(value),
            (None, Tombstones::Skip) => return Ok(()),
            (None, Tombstones::Delete) => None,
            (None, Tombstones::Refuse) => return Err(BadRecord::new("it has no value")),
        };
        let mut row = rows.begin();
        match self.fill(record, value, &mut row) {
            Ok(true) if value.is_none() => row.delete(),
            Ok(true) => {}
            Ok(false) => row.discard(),
            Err(problem) => {
                row.discard();
                return Err(problem);
            }
        }
        Ok(())
    }

    /// Fills a record's row; `false` says that the condition does not take it.
    fn fill(
        &mut self,
        record: &Record,
        value: Option<&Bytes>,
        row: &mut NewRow<'_>,
    ) -> Result<bool, BadRecord> {
        if let Some(value) = value
            && !self.fields.decode(value, row)?
        {
            return Ok(false);
        }
        if let Some(decoder) = &mut self.key_fields {
            let key = record.key.as_ref().ok_or_else(|| BadRecord::new("it has no key"))?;
            decoder.decode(key, row).map_err(|error| BadRecord::new(format!("its key: {error}")))?;
        }
        for (index, column) in &self.others {
            // Of a tombstone only the key counts.
            if value.is_none() && !self.key.contains(index) {
                continue;
            }
            put(row, *index, column, record)?;
            if column.required && matches!(row.value(*index), Value::Null | Value::Absent) {
                return Err(BadRecord::new(format!("it has no {}", column.source)));
            }
        }
        Ok(true)
    }
}

impl Transform for JsonRows {
    fn apply(&mut self, records: &[Record], rows: &mut Rows) -> Vec<Refused> {
        let mut refused = Vec::new();
        for (index, record) in records.iter().enumerate() {
            if let Err(problem) = self.take(record, rows) {
                refused.push(Refused { index, problem: problem.to_string() });
            }
        }
        refused
    }

    fn new_columns(&mut self) -> Vec<Column> {
        self.fields.new_columns()
    }

    fn on_schema(&mut self, schema: &Schema) {
        self.fields = Decoder::new(schema, &self.condition);
    }
}

/// Sets a column that is no field.
fn put(row: &mut NewRow<'_>, index: usize, column: &Column, record: &Record) -> Result<(), BadRecord> {
    match &column.source {
        Source::Topic => row.set_text(index, record.topic.as_str()),
        Source::Partition => row.set(index, Value::Bigint(i64::from(record.partition.0))),
        Source::Offset => row.set(index, Value::Bigint(record.offset.0)),
        Source::Timestamp => row.set(index, Value::Timestamp(record.timestamp.0.saturating_mul(1_000))),
        Source::Headers => row.set_json(index, &headers(&record.headers)),
        Source::Key(_) => put_key(row, index, column, record.key.as_deref())?,
        Source::Field(_) => {}
    }
    Ok(())
}

/// Sets a column to the whole of a key, which is what it is: no quotes around a text, unless it is to be JSON.
fn put_key(row: &mut NewRow<'_>, index: usize, column: &Column, key: Option<&[u8]>) -> Result<(), BadRecord> {
    let Some(key) = key else {
        row.set(index, Value::Null);
        return Ok(());
    };
    let text = std::str::from_utf8(key).ok().filter(|text| !text.contains('\0'));
    let put = text.and_then(|text| match column.kind {
        ColumnType::Text => {
            row.set_text(index, text);
            Some(())
        }
        ColumnType::Timestamp if text.parse::<i64>().is_err() => {
            row.set(index, Value::Timestamp(model::time::parse_date_time_us(text)?));
            Some(())
        }
        kind => decode::put_value(row, index, kind, Written::parse(text)?),
    });
    let problem = || BadRecord::new(format!("its key is {}, which is no {}", shown(key), column.kind));
    put.ok_or_else(problem)
}

/// Bytes as text: those that are none as hexadecimal digits behind `\x`.
fn shown(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            Cow::Owned(format!("\\x{digits}"))
        }
    }
}

/// Headers as a JSON object; a name that comes more than once has an array of its values.
fn headers(headers: &[(Bytes, Option<Bytes>)]) -> String {
    let mut object: BTreeMap<Cow<'_, str>, Vec<Option<Cow<'_, str>>>> = BTreeMap::new();
    for (name, value) in headers {
        object.entry(shown(name)).or_default().push(value.as_deref().map(shown));
    }
    let value = |mut values: Vec<Option<Cow<'_, str>>>| match values.len() {
        1 => serde_json::to_value(values.remove(0)),
        _ => serde_json::to_value(values),
    };
    let object: Result<serde_json::Map<_, _>, _> = object
        .into_iter()
        .map(|(name, values)| Ok::<_, serde_json::Error>((name.into_owned(), value(values)?)))
        .collect();
    serde_json::Value::Object(object.expect("texts are JSON")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "name = 'x'\ntopics = 'a'\ntable = 't'\ndatabase.url = 'x'\n";

    /// What becomes of a record.
    #[track_caller]
    fn check(file: &str, key: Option<&'static str>, value: Option<&'static str>, expected: &str) {
        let definition = Definition::parse(&format!("{file}\n{FILE}")).expect("a sink");
        let schema = definition.schema(Vec::new()).expect("a table");
        let record = Record {
            topic: model::TopicName::parse("a").expect("a name"),
            partition: model::PartitionIndex(3),
            offset: model::Offset(7),
            timestamp: model::TimestampMs(1_000),
            timestamp_type: record::TimestampType::CreateTime,
            leader_epoch: model::LeaderEpoch(0),
            key: key.map(|key| Bytes::from_static(key.as_bytes())),
            value: value.map(|value| Bytes::from_static(value.as_bytes())),
            headers: vec![
                (Bytes::from_static(b"a"), Some(Bytes::from_static(b"1"))),
                (Bytes::from_static(b"b"), None),
                (Bytes::from_static(b"a"), Some(Bytes::from_static(b"\xff\x01"))),
            ],
        };
        let mut rows = Rows::new(schema.columns.len());
        let refused = JsonRows::new(&definition, &schema).apply(&[record], &mut rows);
        let value = |value: &Value| match value {
            Value::Text(at) | Value::Json(at) => rows.text(at).to_owned(),
            other => format!("{other:?}"),
        };
        let row = |row: &&[Value]| row.iter().map(value).collect::<Vec<_>>().join(" ");
        let changes = rows.changes(&schema.key);
        let mut shown: Vec<_> = changes.written.iter().map(row).collect();
        shown.extend(changes.deleted.iter().map(|deleted| format!("delete {}", row(deleted))));
        shown.extend(refused.into_iter().map(|refused| refused.problem));
        assert_eq!(shown.join("; "), expected);
    }

    #[test]
    fn a_row_says_where_it_is_from() {
        let file = "columns.v = 'bigint'\ncolumns.t = { from = 'topic' }\ncolumns.p = { from = 'partition' }\n\
                    columns.o = { from = 'offset' }\ncolumns.w = { from = 'timestamp' }\ncolumns.k = { from = 'key' }\n\
                    columns.h = { from = 'headers' }";
        let headers = r#"{"a":["1","\\xff01"],"b":null}"#;
        let expected = format!("Bigint(5) a Bigint(3) Bigint(7) Timestamp(1000000) key {headers}");
        check(file, Some("key"), Some(r#"{"v":5}"#), &expected);
        let expected = format!("Absent a Bigint(3) Bigint(7) Timestamp(1000000) Null {headers}");
        check(file, None, Some("{}"), &expected);
        check(file, None, None, "it has no value");
    }

    #[test]
    fn a_row_is_known_by_its_key_and_goes_with_its_tombstone() {
        let file = "mode = 'upsert'\nkey = ['id', 'n']\ntombstones = 'delete'\ncolumns.v = 'bigint'\n\
                    columns.id = { from = 'key', path = 'a.id', type = 'bigint' }\n\
                    columns.n = { from = 'key', path = 'n', type = 'text' }\ncolumns.t = { from = 'topic' }";
        check(file, Some(r#"{"a":{"id":7},"n":"x"}"#), Some(r#"{"v":5}"#), "Bigint(5) Bigint(7) x a");
        check(file, Some(r#"{"n":"x","a":{"id":7}}"#), None, "delete Absent Bigint(7) x Absent");
        check(file, Some(r#"{"n":"x"}"#), None, "its key: 'a.id' is missing, and required");
        check(file, None, None, "it has no key");
    }

    #[test]
    fn a_whole_key_is_what_it_looks_like() {
        let file = |kind| {
            format!(
                "mode = 'upsert'\nkey = 'k'\ntombstones = 'skip'\ncolumns.v = 'bigint'\ncolumns.k = {{ from = 'key', type = '{kind}' }}"
            )
        };
        let value = Some("{}");
        check(&file("bigint"), Some("12"), value, "Absent Bigint(12)");
        check(&file("bigint"), Some("x"), value, "its key is x, which is no bigint");
        check(&file("text"), Some("\"x\""), value, "Absent \"x\"");
        check(&file("text"), None, value, "it has no key");
        check(&file("bigint"), Some("null"), value, "it has no key");
        check(&file("timestamp"), Some("1970-01-01T00:00:01Z"), value, "Absent Timestamp(1000000)");
        check(&file("timestamp"), Some("5"), value, "Absent Timestamp(5000)");
        check(&file("text"), Some("x"), None, "");
    }
}
