//! A record's JSON to a row of a table.
//!
//! - D1 A record is gone through once; members that nobody asked for are passed over without being built.
//! - D2 A field that does not fit its column counts only when the condition takes the record.
//! - D3 What is refused leaves no trace in the rows.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::condition::{Comparison, Condition, Operand};
use crate::rows::{NewRow, Rows, Value};
use crate::schema::{Column, ColumnType, Schema};

/// Why a record is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord(String);

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadRecord {}

/// Turns records into rows of one schema.
pub struct Decoder {
    root: Node,
    columns: Vec<Column>,
    comparisons: Vec<Comparison>,
    /// Which comparisons hold for the record at hand.
    held: Vec<bool>,
}

/// A member of interest, and those in it.
#[derive(Default)]
struct Node {
    columns: Vec<usize>,
    comparisons: Vec<usize>,
    members: Vec<(String, Node)>,
}

impl Node {
    fn at(&mut self, path: &[String]) -> &mut Node {
        let Some((name, rest)) = path.split_first() else { return self };
        let index = match self.members.iter().position(|(known, _)| known == name) {
            Some(index) => index,
            None => {
                self.members.push((name.clone(), Node::default()));
                self.members.len() - 1
            }
        };
        self.members[index].1.at(rest)
    }
}

impl Decoder {
    /// For rows of `schema` from records that `condition` takes.
    pub fn new(schema: &Schema, condition: &Condition) -> Decoder {
        let mut root = Node::default();
        for (index, column) in schema.columns.iter().enumerate() {
            root.at(&column.path).columns.push(index);
        }
        for (index, comparison) in condition.0.iter().enumerate() {
            root.at(&comparison.path).comparisons.push(index);
        }
        Decoder { root, columns: schema.columns.clone(), comparisons: condition.0.clone(), held: Vec::new() }
    }

    /// Appends the row of a record; `false` says that the condition does not take it.
    ///
    /// # Errors
    /// The record is no JSON object, or what it says does not fit the columns.
    pub fn decode(&mut self, record: &[u8], rows: &mut Rows) -> Result<bool, BadRecord> {
        self.held.clear();
        self.held.extend(self.comparisons.iter().map(|comparison| comparison.holds(&Operand::Null)));
        let mut filling = Filling {
            columns: &self.columns,
            comparisons: &self.comparisons,
            held: &mut self.held,
            row: rows.begin(),
            misfit: None,
        };
        let mut json = serde_json::Deserializer::from_slice(record);
        let walked = Members { node: &self.root, filling: &mut filling }.deserialize(&mut json);
        let misfit = match walked.and_then(|()| json.end()) {
            Err(error) => Some(format!("no JSON object: {error}")),
            Ok(()) if filling.held.contains(&false) => {
                filling.row.discard();
                return Ok(false);
            }
            Ok(()) => filling.misfit.take().or_else(|| filling.missing()),
        };
        match misfit {
            None => Ok(true),
            Some(problem) => {
                filling.row.discard();
                Err(BadRecord(problem))
            }
        }
    }
}

/// The row of the record at hand.
struct Filling<'a> {
    columns: &'a [Column],
    comparisons: &'a [Comparison],
    held: &'a mut [bool],
    row: NewRow<'a>,
    /// The first field that does not fit its column (D2).
    misfit: Option<String>,
}

impl Filling<'_> {
    /// A member's value, as it is written.
    fn put(&mut self, node: &Node, raw: &str) {
        for &index in &node.comparisons {
            self.held[index] = self.comparisons[index].holds(&operand(raw));
        }
        for &index in &node.columns {
            let column = &self.columns[index];
            if put_value(&mut self.row, index, column.kind, raw).is_none() {
                let problem = || format!("'{}' is {raw}, which is no {}", column.path.join("."), column.kind);
                self.misfit.get_or_insert_with(problem);
            }
        }
    }

    /// Says which required column has no value.
    fn missing(&self) -> Option<String> {
        let mut columns = self.columns.iter().enumerate();
        let (_, column) =
            columns.find(|(index, column)| column.required && *self.row.value(*index) == Value::Null)?;
        Some(format!("'{}' is missing, and required", column.path.join(".")))
    }
}

/// Sets a column to what is written; `None` when it does not fit.
fn put_value(row: &mut NewRow<'_>, column: usize, kind: ColumnType, raw: &str) -> Option<()> {
    let value = match (kind, raw) {
        (_, "null") => Value::Null,
        (ColumnType::Json, raw) => {
            row.set_json(column, raw);
            return Some(());
        }
        (ColumnType::Text, raw) => {
            row.set_text(column, &text_of(raw)?);
            return Some(());
        }
        (ColumnType::Boolean, "true") => Value::Boolean(true),
        (ColumnType::Boolean, "false") => Value::Boolean(false),
        (ColumnType::Boolean, _) => return None,
        (ColumnType::Bigint, raw) => Value::Bigint(raw.parse().ok()?),
        (ColumnType::Double, raw) => Value::Double(number_of(raw)?),
        (ColumnType::Timestamp, raw) => Value::Timestamp(timestamp_us(raw)?),
    };
    row.set(column, value);
    Some(())
}

/// A text as it is meant; numbers and booleans are what they look like. A zero character is no text for any database.
fn text_of(raw: &str) -> Option<Cow<'_, str>> {
    if raw.starts_with(['{', '[']) {
        return None;
    }
    let Some(quoted) = raw.strip_prefix('"') else { return Some(Cow::Borrowed(raw)) };
    let text = match quoted.strip_suffix('"')? {
        plain if !plain.contains('\\') => Cow::Borrowed(plain),
        _ => Cow::Owned(serde_json::from_str::<String>(raw).ok()?),
    };
    (!text.contains('\0')).then_some(text)
}

fn number_of(raw: &str) -> Option<f64> {
    raw.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A date and time, or milliseconds since 1970 as Kafka counts them.
fn timestamp_us(raw: &str) -> Option<i64> {
    if raw.starts_with('"') {
        return model::time::parse_date_time_us(&text_of(raw)?);
    }
    raw.parse::<i64>().ok()?.checked_mul(1_000)
}

fn operand(raw: &str) -> Operand {
    match raw {
        "true" => Operand::Boolean(true),
        "false" => Operand::Boolean(false),
        text if text.starts_with('"') => {
            text_of(text).map_or(Operand::Null, |text| Operand::Text(text.into_owned()))
        }
        // Null, arrays and objects are nothing that a comparison knows.
        other => number_of(other).map_or(Operand::Null, Operand::Number),
    }
}

/// Goes through the members of an object.
struct Members<'n, 'f, 'r> {
    node: &'n Node,
    filling: &'f mut Filling<'r>,
}

impl<'de> DeserializeSeed<'de> for Members<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Members { node, filling } = self;
        while let Some(found) = map.next_key_seed(Name(&node.members))? {
            match found {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some(member) => {
                    let raw = map.next_value::<&'de RawValue>()?.get();
                    filling.put(member, raw);
                    if !member.members.is_empty() && raw.starts_with('{') {
                        let mut inner = serde_json::Deserializer::from_str(raw);
                        let members = Members { node: member, filling: &mut *filling };
                        members.deserialize(&mut inner).map_err(serde::de::Error::custom)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Finds a member by its name, without keeping the name.
struct Name<'n>(&'n [(String, Node)]);

impl<'de, 'n> DeserializeSeed<'de> for Name<'n> {
    type Value = Option<&'n Node>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'n> Visitor<'_> for Name<'n> {
    type Value = Option<&'n Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|(known, _)| known == name).map(|(_, node)| node))
    }
}

#[cfg(test)]
mod tests;
