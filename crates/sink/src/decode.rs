//! A record's JSON to a row of a table.
//!
//! - D1 A record is gone through once; members that nobody asked for are passed over without being built.
//! - D2 A field that does not fit its column counts only when the condition takes the record.
//! - D3 What is refused leaves no trace in the rows.
//! - D4 Of members of one name the last one counts, with all that is in it.

use std::borrow::Cow;
use std::fmt;

use crate::condition::{Comparison, Condition, Operand};
use crate::json::{Cursor, Malformed, Written};
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

    /// The member of that name. Records mostly have theirs in one order, so the one behind the last is tried first.
    fn find(&self, name: Written<'_>, behind: usize) -> Option<usize> {
        let is_it = |index: &usize| self.members.get(*index).is_some_and(|(known, _)| name.is_text(known));
        Some(behind).filter(is_it).or_else(|| (0..self.members.len()).find(is_it))
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
            misfits: Vec::new(),
        };
        let problem = match filling.fill(&self.root, record) {
            Err(problem) => Some(format!("no JSON object: {problem}")),
            Ok(()) if filling.held.contains(&false) => {
                filling.row.discard();
                return Ok(false);
            }
            Ok(()) => filling.problem(),
        };
        match problem {
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
    /// The columns whose fields do not fit, and what these say (D2).
    misfits: Vec<(usize, String)>,
}

impl Filling<'_> {
    fn fill(&mut self, root: &Node, record: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(record).map_err(|error| error.to_string())?;
        let mut cursor = Cursor::new(text);
        let read = self.members(root, &mut cursor).and_then(|()| cursor.end());
        read.map_err(|malformed| malformed.to_string())
    }

    /// Goes through the members of an object.
    fn members(&mut self, node: &Node, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        let mut behind = 0;
        let mut has_more = cursor.open_object()?;
        while has_more {
            let name = cursor.name()?;
            match node.find(name, behind) {
                None => drop(cursor.value()?),
                Some(index) => {
                    self.member(&node.members[index].1, cursor)?;
                    behind = index + 1;
                }
            }
            has_more = cursor.next_member()?;
        }
        Ok(())
    }

    fn member(&mut self, node: &Node, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        node.members.iter().for_each(|(_, inner)| self.put(inner, Written::NULL));
        let written = if !node.members.is_empty() && cursor.is_at_object() {
            cursor.around(|cursor| self.members(node, cursor))?
        } else {
            cursor.value()?
        };
        self.put_own(node, written);
        Ok(())
    }

    /// Puts one value to a member and everything in it.
    fn put(&mut self, node: &Node, written: Written<'_>) {
        self.put_own(node, written);
        node.members.iter().for_each(|(_, inner)| self.put(inner, written));
    }

    /// Puts a value to the columns and comparisons of the member itself.
    fn put_own(&mut self, node: &Node, written: Written<'_>) {
        for &index in &node.comparisons {
            self.held[index] = self.comparisons[index].holds(&operand(written));
        }
        for &index in &node.columns {
            if !self.misfits.is_empty() {
                self.misfits.retain(|(column, _)| *column != index);
            }
            if put_value(&mut self.row, index, self.columns[index].kind, written).is_none() {
                self.misfits.push((index, written.json.to_owned()));
            }
        }
    }

    /// What is wrong with the row.
    fn problem(&self) -> Option<String> {
        let Some((index, json)) = self.misfits.first() else { return self.missing() };
        let column = &self.columns[*index];
        Some(format!("'{}' is {json}, which is no {}", column.path.join("."), column.kind))
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
fn put_value(row: &mut NewRow<'_>, column: usize, kind: ColumnType, written: Written<'_>) -> Option<()> {
    let value = match (kind, written.json) {
        (_, "null") => Value::Null,
        (ColumnType::Json, json) => {
            row.set_json(column, json);
            return Some(());
        }
        (ColumnType::Text, _) => {
            row.set_text(column, &text_of(written)?);
            return Some(());
        }
        (ColumnType::Boolean, "true") => Value::Boolean(true),
        (ColumnType::Boolean, "false") => Value::Boolean(false),
        (ColumnType::Boolean, _) => return None,
        (ColumnType::Bigint, json) => Value::Bigint(json.parse().ok()?),
        (ColumnType::Double, json) => Value::Double(number_of(json)?),
        (ColumnType::Timestamp, _) => Value::Timestamp(timestamp_us(written)?),
    };
    row.set(column, value);
    Some(())
}

/// A text as it is meant; numbers and booleans are what they look like. A zero character is no text for any database.
fn text_of(written: Written<'_>) -> Option<Cow<'_, str>> {
    match written.json.as_bytes().first()? {
        b'{' | b'[' => None,
        // Only an escape can say zero.
        b'"' => written.text().filter(|text| matches!(text, Cow::Borrowed(_)) || !text.contains('\0')),
        _ => Some(Cow::Borrowed(written.json)),
    }
}

fn number_of(json: &str) -> Option<f64> {
    json.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A date and time, or milliseconds since 1970 as Kafka counts them.
fn timestamp_us(written: Written<'_>) -> Option<i64> {
    if written.json.starts_with('"') {
        return model::time::parse_date_time_us(&written.text()?);
    }
    written.json.parse::<i64>().ok()?.checked_mul(1_000)
}

fn operand(written: Written<'_>) -> Operand {
    match written.json {
        "true" => Operand::Boolean(true),
        "false" => Operand::Boolean(false),
        json if json.starts_with('"') => {
            text_of(written).map_or(Operand::Null, |text| Operand::Text(text.into_owned()))
        }
        // Null, arrays and objects are nothing that a comparison knows.
        json => number_of(json).map_or(Operand::Null, Operand::Number),
    }
}

#[cfg(test)]
mod tests;
