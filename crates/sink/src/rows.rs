//! Rows on their way from records into a table.
//!
//! - W1 Values lie row after row, as many to a row as there are columns; texts lie behind each other in one buffer. So a
//!   row costs no allocation of its own.
//! - W2 [`Rows::changes`] has no key twice: a database sees of each row what the batch leaves of it.
//! - W3 Texts of one batch are less than 4 GiB, far more than a batch may have: so a value takes 16 bytes.

use std::cmp::Ordering;
use std::ops::Range;

use crate::flush::Flush;

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The record does not have it: the column's DEFAULT, or none.
    Absent,
    /// The record says that there is none.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Bigint(i64),
    /// A floating-point number; never NaN or infinite where it came from JSON.
    Double(f64),
    /// Microseconds since 1970 UTC.
    Timestamp(i64),
    /// Text, to be had from [`Rows::text`].
    Text(Range<u32>),
    /// JSON as text, to be had from [`Rows::text`].
    Json(Range<u32>),
}

/// Rows of one width.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    width: usize,
    values: Vec<Value>,
    texts: String,
    /// Which rows, in order, say that a row of their key is to go.
    deletions: Vec<usize>,
}

/// A point among rows.
pub(crate) struct Mark {
    values: usize,
    texts: usize,
    deletions: usize,
}

/// What rows come to, in the order of their keys: neighbours in an index are written one after the other, which is what a
/// database does fastest. Without a key, in the order of the records.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes<'a> {
    /// Rows that are to be there.
    pub written: Vec<&'a [Value]>,
    /// Rows of whose keys none is to be there; only the columns of the key count.
    pub deleted: Vec<&'a [Value]>,
}

impl Rows {
    /// None yet, of so many columns.
    ///
    /// # Panics
    /// A row has at least one column.
    pub fn new(width: usize) -> Rows {
        assert!(0 < width, "a table has columns");
        Rows { width, values: Vec::new(), texts: String::new(), deletions: Vec::new() }
    }

    /// None yet, of so many columns, and room for what a batch has, so that it does not move while it grows. Memory that is not
    /// written to is not taken.
    pub(crate) fn with_room(width: usize, flush: &Flush) -> Rows {
        let bytes = flush.bytes.min(Flush::default().bytes);
        let values = flush.rows.saturating_mul(width).min(bytes / size_of::<Value>());
        Rows { values: Vec::with_capacity(values), texts: String::with_capacity(bytes), ..Rows::new(width) }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Memory they take, bytes.
    pub fn size_in_bytes(&self) -> usize {
        self.values.len() * size_of::<Value>() + self.texts.len()
    }

    /// The rows, in order, each with its values in the order of the columns.
    pub fn iter(&self) -> impl Iterator<Item = &[Value]> {
        self.values.chunks_exact(self.width)
    }

    /// The text of a [`Value::Text`] or [`Value::Json`] of these rows.
    pub fn text(&self, at: &Range<u32>) -> &str {
        let [start, end] = [at.start, at.end].map(|at| usize::try_from(at).expect("a pointer has 32 bits"));
        &self.texts[start..end]
    }

    /// Takes all rows out, and keeps their memory for the next ones.
    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.texts.clear();
        self.deletions.clear();
    }

    /// How many values a row has.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Appends a row without values and returns what takes it back or fills it.
    pub fn begin(&mut self) -> NewRow<'_> {
        let (first, texts) = (self.values.len(), self.texts.len());
        self.values.resize(first + self.width, Value::Absent);
        NewRow { rows: self, first, texts }
    }

    /// A point to come back to.
    pub(crate) fn mark(&self) -> Mark {
        Mark { values: self.values.len(), texts: self.texts.len(), deletions: self.deletions.len() }
    }

    /// Takes back all rows since a mark.
    pub(crate) fn truncate(&mut self, mark: Mark) {
        self.values.truncate(mark.values);
        self.texts.truncate(mark.texts);
        self.deletions.truncate(mark.deletions);
    }

    /// What the rows come to where `key` are the columns that one is known by: the last of each key (W2), which is a row or
    /// a deletion. Without a key every row is one of its own.
    ///
    /// # Panics
    /// A deletion needs a key.
    pub fn changes(&self, key: &[usize]) -> Changes<'_> {
        if key.is_empty() {
            assert!(self.deletions.is_empty(), "a deletion needs a key");
            return Changes { written: self.iter().collect(), deleted: Vec::new() };
        }
        let compare = |one: usize, other: usize| {
            let (one, other) = (self.row(one), self.row(other));
            let pairs = key.iter().map(|&column| self.part(&one[column]).cmp(&self.part(&other[column])));
            pairs.fold(Ordering::Equal, Ordering::then)
        };
        let mut order: Vec<usize> = (0..self.len()).collect();
        // Stable, so the last of those with one key stays the last; and quick where rows came in order for a while.
        order.sort_by(|&one, &other| compare(one, other));
        let mut changes = Changes { written: Vec::with_capacity(order.len()), deleted: Vec::new() };
        for same in order.chunk_by(|&one, &other| compare(one, other).is_eq()) {
            let last = same[same.len() - 1];
            let is_deletion = self.deletions.binary_search(&last).is_ok();
            let kind = if is_deletion { &mut changes.deleted } else { &mut changes.written };
            kind.push(self.row(last));
        }
        changes
    }

    fn row(&self, index: usize) -> &[Value] {
        &self.values[index * self.width..][..self.width]
    }

    /// What a value of a key says.
    fn part(&self, value: &Value) -> Part<'_> {
        match value {
            Value::Absent | Value::Null => Part::None,
            Value::Boolean(value) => Part::Boolean(*value),
            Value::Bigint(value) | Value::Timestamp(value) => Part::Number(*value),
            Value::Double(value) => Part::Bits(value.to_bits()),
            Value::Text(at) | Value::Json(at) => Part::Text(self.text(at)),
        }
    }
}

/// A value that can be compared.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    None,
    Boolean(bool),
    Number(i64),
    Bits(u64),
    Text(&'a str),
}

/// The last row, while it is filled.
pub struct NewRow<'a> {
    rows: &'a mut Rows,
    first: usize,
    texts: usize,
}

impl NewRow<'_> {
    /// Sets a column's value; texts go through [`NewRow::set_text`] and [`NewRow::set_json`].
    pub fn set(&mut self, column: usize, value: Value) {
        self.rows.values[self.first..][column] = value;
    }

    /// Sets a column to a text.
    pub fn set_text(&mut self, column: usize, text: &str) {
        let at = self.keep(text);
        self.set(column, Value::Text(at));
    }

    /// Sets a column to a JSON text.
    pub fn set_json(&mut self, column: usize, text: &str) {
        let at = self.keep(text);
        self.set(column, Value::Json(at));
    }

    /// A column's value.
    pub fn value(&self, column: usize) -> &Value {
        &self.rows.values[self.first..][column]
    }

    /// Makes it say that the row of its key is to go.
    pub fn delete(self) {
        self.rows.deletions.push(self.first / self.rows.width);
    }

    /// Takes the row back.
    pub fn discard(self) {
        self.rows.values.truncate(self.first);
        self.rows.texts.truncate(self.texts);
    }

    fn keep(&mut self, text: &str) -> Range<u32> {
        let end = |texts: &String| u32::try_from(texts.len()).expect("less than 4 GiB (W3)");
        let start = end(&self.rows.texts);
        self.rows.texts.push_str(text);
        start..end(&self.rows.texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of `KEY=VALUE` and deletions `KEY`, and what they come to.
    #[track_caller]
    fn check(rows: &str, written: &str, deleted: &str) {
        let mut made = Rows::new(2);
        for row in rows.split_whitespace() {
            let mut new = made.begin();
            match row.split_once('=') {
                Some((key, value)) => {
                    new.set_text(0, key);
                    new.set(1, Value::Bigint(value.parse().expect("a number")));
                }
                None => {
                    new.set_text(0, row);
                    new.delete();
                }
            }
        }
        let shown = |row: &&[Value]| match &row[..] {
            [Value::Text(key), Value::Bigint(value)] => format!("{}={value}", made.text(key)),
            [Value::Text(key), _] => made.text(key).to_owned(),
            other => panic!("{other:?}"),
        };
        let changes = made.changes(&[0]);
        assert_eq!(changes.written.iter().map(shown).collect::<Vec<_>>().join(" "), written);
        assert_eq!(changes.deleted.iter().map(shown).collect::<Vec<_>>().join(" "), deleted);
    }

    #[test]
    fn the_last_of_each_key_counts() {
        check("a=1 b=2 c=3", "a=1 b=2 c=3", "");
        check("a=1 b=2 a=3", "a=3 b=2", "");
        check("a=1 b=2 a", "b=2", "a");
        check("a a=1 b b", "a=1", "b");
    }

    #[test]
    fn they_come_in_the_order_of_their_keys() {
        check("c=1 a=2 d b=3 e a=4 d", "a=4 b=3 c=1", "d e");
    }

    #[test]
    fn a_value_takes_sixteen_bytes() {
        assert_eq!(size_of::<Value>(), 16);
    }

    #[test]
    fn without_a_key_all_rows_count() {
        let mut rows = Rows::new(1);
        for _ in 0..3 {
            rows.begin().set(0, Value::Bigint(7));
        }
        assert_eq!(rows.changes(&[]).written.len(), 3);
    }
}
