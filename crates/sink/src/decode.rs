//! A record's JSON to a row of a table.
//!
//! - D1 A record is gone through once; members that nobody asked for are passed over without being built.
//! - D2 A field that does not fit its column counts only when the condition takes the record.
//! - D3 What a record that is no row left in its row is the caller's to take back.
//! - D4 Of members of one name the last one counts, with all that is in it.
//! - D5 A member at the top that is no column is remembered as one to be, where the schema grows.

use std::borrow::Cow;
use std::fmt;

use crate::condition::{Comparison, Condition, Operand};
use crate::infer;
use crate::json::{Cursor, Malformed, Written};
use crate::rows::{NewRow, Value};
use crate::schema::{Column, ColumnType, MAX_COLUMNS, Schema, Source};

/// Why a record is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord(String);

impl BadRecord {
    pub(crate) fn new(problem: impl Into<String>) -> BadRecord {
        BadRecord(problem.into())
    }
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadRecord {}

/// Turns records into rows of one schema: what its columns have of the records' fields.
pub struct Decoder {
    root: Node,
    columns: Vec<Column>,
    /// Those that it fills, by their index.
    filled: Vec<usize>,
    comparisons: Vec<Comparison>,
    /// Which comparisons hold for the record at hand.
    held: Vec<bool>,
    /// Members of records that are no column, where they are to become one.
    unknown: Option<Vec<Column>>,
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
    /// Fills columns from the values of records that `condition` takes.
    pub fn new(schema: &Schema, condition: &Condition) -> Decoder {
        let mut decoder = Decoder::of(schema, |source| match source {
            Source::Field(path) => Some(path),
            _ => None,
        });
        for (index, comparison) in condition.0.iter().enumerate() {
            decoder.root.at(&comparison.path).comparisons.push(index);
        }
        decoder.comparisons.clone_from(&condition.0);
        decoder.unknown = schema.is_inferred.then(Vec::new);
        decoder
    }

    /// Fills columns from keys of records that are JSON objects.
    pub fn of_keys(schema: &Schema) -> Decoder {
        Decoder::of(schema, |source| match source {
            Source::Key(path) if !path.is_empty() => Some(path),
            _ => None,
        })
    }

    fn of(schema: &Schema, path: impl Fn(&Source) -> Option<&Vec<String>>) -> Decoder {
        let (mut root, mut filled) = (Node::default(), Vec::new());
        for (index, column) in schema.columns.iter().enumerate() {
            if let Some(path) = path(&column.source) {
                root.at(path).columns.push(index);
                filled.push(index);
            }
        }
        let columns = schema.columns.clone();
        Decoder { root, columns, filled, comparisons: Vec::new(), held: Vec::new(), unknown: None }
    }

    /// Columns for the members that were met since this was asked last and are no column of a schema that grows.
    pub fn new_columns(&mut self) -> Vec<Column> {
        self.unknown.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Fills the row of a record; `false` says that the condition does not take it.
    ///
    /// # Errors
    /// The record is no JSON object, or what it says does not fit the columns.
    pub fn decode(&mut self, record: &[u8], row: &mut NewRow<'_>) -> Result<bool, BadRecord> {
        self.held.clear();
        self.held.extend(self.comparisons.iter().map(|comparison| comparison.holds(&Operand::Null)));
        let known = self.unknown.as_ref().map_or(0, Vec::len);
        let mut filling = Filling {
            columns: &self.columns,
            filled: &self.filled,
            comparisons: &self.comparisons,
            held: &mut self.held,
            unknown: self.unknown.as_mut(),
            row,
            misfits: Vec::new(),
        };
        let result = match filling.fill(&self.root, record) {
            Err(problem) => Err(BadRecord(format!("no JSON object: {problem}"))),
            Ok(()) if filling.held.contains(&false) => Ok(false),
            Ok(()) => filling.problem().map_or(Ok(true), |problem| Err(BadRecord(problem))),
        };
        if let Some(unknown) = self.unknown.as_mut().filter(|_| result != Ok(true)) {
            unknown.truncate(known);
        }
        result
    }
}

/// The row of the record at hand.
struct Filling<'a, 'r> {
    columns: &'a [Column],
    filled: &'a [usize],
    comparisons: &'a [Comparison],
    held: &'a mut [bool],
    unknown: Option<&'a mut Vec<Column>>,
    row: &'a mut NewRow<'r>,
    /// The columns whose fields do not fit, and what these say (D2).
    misfits: Vec<(usize, String)>,
}

impl Filling<'_, '_> {
    fn fill(&mut self, root: &Node, record: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(record).map_err(|error| error.to_string())?;
        let mut cursor = Cursor::new(text);
        let read = self.members(root, self.unknown.is_some(), &mut cursor).and_then(|()| cursor.end());
        read.map_err(|malformed| malformed.to_string())
    }

    /// Goes through the members of an object, which is the outermost one of a schema that grows, or not.
    fn members(&mut self, node: &Node, is_growing: bool, cursor: &mut Cursor<'_>) -> Result<(), Malformed> {
        let mut behind = 0;
        let mut has_more = cursor.open_object()?;
        while has_more {
            let name = cursor.name()?;
            match node.find(name, behind) {
                None => {
                    let written = cursor.value()?;
                    if is_growing {
                        self.meet(name, written);
                    }
                }
                Some(index) => {
                    let member = &node.members[index].1;
                    let written = self.member(member, cursor)?;
                    if is_growing && member.columns.is_empty() {
                        // Only the condition asks for it.
                        self.meet(name, written);
                    }
                    behind = index + 1;
                }
            }
            has_more = cursor.next_member()?;
        }
        Ok(())
    }

    /// Reads the value of a member; what was said of it before is forgotten (D4).
    fn member<'t>(&mut self, node: &Node, cursor: &mut Cursor<'t>) -> Result<Written<'t>, Malformed> {
        node.members.iter().for_each(|(_, inner)| self.put(inner, Written::NOTHING));
        let written = if !node.members.is_empty() && cursor.is_at_object() {
            cursor.around(|cursor| self.members(node, false, cursor))?
        } else {
            cursor.value()?
        };
        self.put_own(node, written);
        Ok(written)
    }

    /// A member that is no column, where it is to become one (D5).
    fn meet(&mut self, name: Written<'_>, written: Written<'_>) {
        let (Some(name), Some(unknown)) = (name.text(), self.unknown.as_mut()) else { return };
        // A column that is stated may have its name.
        if self.columns.iter().chain(unknown.iter()).any(|column| column.name == name) {
            return;
        }
        let Some(kind) = serde_json::from_str(written.json).ok().as_ref().and_then(infer::type_of) else {
            return;
        };
        if MAX_COLUMNS <= self.columns.len() + unknown.len() {
            self.misfits.push((usize::MAX, name.into_owned()));
            return;
        }
        let name = name.into_owned();
        unknown.push(Column { source: Source::Field(vec![name.clone()]), name, kind, required: false });
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
            if put_value(self.row, index, self.columns[index].kind, written).is_none() {
                self.misfits.push((index, written.json.to_owned()));
            }
        }
    }

    /// What is wrong with the row.
    fn problem(&self) -> Option<String> {
        let Some((index, written)) = self.misfits.first() else { return self.missing() };
        Some(match self.columns.get(*index) {
            Some(column) => format!("'{}' is {written}, which is no {}", path_of(column), column.kind),
            None => format!("'{written}' would be a column more than the {MAX_COLUMNS} that are possible"),
        })
    }

    /// Says which required column has no value.
    fn missing(&self) -> Option<String> {
        let is_missing = |index: &&usize| {
            self.columns[**index].required && matches!(self.row.value(**index), Value::Null | Value::Absent)
        };
        let index = self.filled.iter().find(is_missing)?;
        Some(format!("'{}' is missing, and required", path_of(&self.columns[*index])))
    }
}

/// The path a column's field is found by.
fn path_of(column: &Column) -> String {
    match &column.source {
        Source::Field(path) | Source::Key(path) => path.join("."),
        other => other.to_string(),
    }
}

/// Sets a column to what is written; `None` when it does not fit.
pub(crate) fn put_value(
    row: &mut NewRow<'_>,
    column: usize,
    kind: ColumnType,
    written: Written<'_>,
) -> Option<()> {
    let value = match (kind, written.json) {
        (_, "") => Value::Absent,
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
