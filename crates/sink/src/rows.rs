//! Rows on their way from records into a table.
//!
//! - W1 Values lie row after row, as many to a row as there are columns; texts lie behind each other in one buffer. So a
//!   row costs no allocation of its own.

use std::ops::Range;

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// None.
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
    Text(Range<usize>),
    /// JSON as text, to be had from [`Rows::text`].
    Json(Range<usize>),
}

/// Rows of one width.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    width: usize,
    values: Vec<Value>,
    texts: String,
}

impl Rows {
    /// None yet, of so many columns.
    ///
    /// # Panics
    /// A row has at least one column.
    pub fn new(width: usize) -> Rows {
        assert!(0 < width, "a table has columns");
        Rows { width, values: Vec::new(), texts: String::new() }
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
    pub fn text(&self, at: &Range<usize>) -> &str {
        &self.texts[at.clone()]
    }

    /// Appends a row of nulls and returns what takes it back or fills it.
    pub fn begin(&mut self) -> NewRow<'_> {
        let (first, texts) = (self.values.len(), self.texts.len());
        self.values.resize(first + self.width, Value::Null);
        NewRow { rows: self, first, texts }
    }
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

    /// Takes the row back.
    pub fn discard(self) {
        self.rows.values.truncate(self.first);
        self.rows.texts.truncate(self.texts);
    }

    fn keep(&mut self, text: &str) -> Range<usize> {
        let start = self.rows.texts.len();
        self.rows.texts.push_str(text);
        start..self.rows.texts.len()
    }
}
