//! The table a sink writes to: its name, and its columns by the paths of the fields they come from.

use std::fmt;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// A whole number of 64 bits.
    Bigint,
    /// A floating-point number of 64 bits.
    Double,
    /// Text.
    Text,
    /// True or false.
    Boolean,
    /// A moment, to the microsecond.
    Timestamp,
    /// Any JSON, as it came.
    Json,
}

impl ColumnType {
    /// Every type, in the order in which they are listed to users.
    pub const ALL: [ColumnType; 6] = [
        ColumnType::Bigint,
        ColumnType::Double,
        ColumnType::Text,
        ColumnType::Boolean,
        ColumnType::Timestamp,
        ColumnType::Json,
    ];

    /// Its name in a sink's file.
    pub fn name(self) -> &'static str {
        match self {
            ColumnType::Bigint => "bigint",
            ColumnType::Double => "double",
            ColumnType::Text => "text",
            ColumnType::Boolean => "boolean",
            ColumnType::Timestamp => "timestamp",
            ColumnType::Json => "json",
        }
    }

    /// The type of that name.
    pub fn named(name: &str) -> Option<ColumnType> {
        ColumnType::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a column's values come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A field of the record's value: names of members, from the outermost in.
    Field(Vec<String>),
    /// The record's key, or a field of it where it is JSON and this not empty.
    Key(Vec<String>),
    /// The topic's name.
    Topic,
    /// The partition's number.
    Partition,
    /// The record's offset.
    Offset,
    /// When the record was created or appended.
    Timestamp,
    /// The record's headers, as a JSON object.
    Headers,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Field(path) => f.write_str(&path.join(".")),
            Source::Key(path) if path.is_empty() => f.write_str("key"),
            Source::Key(path) => write!(f, "key.{}", path.join(".")),
            Source::Topic => f.write_str("topic"),
            Source::Partition => f.write_str("partition"),
            Source::Offset => f.write_str("offset"),
            Source::Timestamp => f.write_str("timestamp"),
            Source::Headers => f.write_str("headers"),
        }
    }
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in the table.
    pub name: String,
    /// Where its values come from.
    pub source: Source,
    /// What it holds.
    pub kind: ColumnType,
    /// Whether every record must have it.
    pub required: bool,
}

/// The table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Its name, with its schema's name and a dot before it where it has one.
    pub table: String,
    /// Its columns, in order; never none.
    pub columns: Vec<Column>,
    /// The columns that a row is known by, as indexes; none where rows are only appended. They are required, and neither
    /// [`ColumnType::Double`] nor [`ColumnType::Json`], which are equal in different ways in different places.
    pub key: Vec<usize>,
    /// Whether the columns that come from fields were told from records, and grow with them.
    pub is_inferred: bool,
}

/// Most columns of a table: records whose fields have ever new names would make it grow for ever, and databases have
/// limits of their own (SQLite's is 2,000, PostgreSQL's 1,600, InnoDB's 1,017).
pub const MAX_COLUMNS: usize = 1_000;

impl Schema {
    /// A table of these columns. Those that `key` names become required.
    ///
    /// # Errors
    /// There are none or too many columns, two of one name, or the key names one that is not there or of a type that makes
    /// no key.
    pub fn new(
        table: &str,
        mut columns: Vec<Column>,
        key: &[String],
        is_inferred: bool,
    ) -> Result<Schema, String> {
        if columns.is_empty() || MAX_COLUMNS < columns.len() {
            return Err(format!(
                "table '{table}' would have {} columns; 1 to {MAX_COLUMNS} are possible",
                columns.len()
            ));
        }
        let mut names = std::collections::BTreeSet::new();
        if let Some(twice) = columns.iter().find(|column| !names.insert(column.name.as_str())) {
            return Err(format!("table '{table}' would have two columns '{}'", twice.name));
        }
        let mut indexes = Vec::new();
        for name in key {
            let index = columns.iter().position(|column| column.name == *name);
            let Some(index) = index else {
                return Err(format!("the key names '{name}', which is no column of table '{table}'"));
            };
            let column = &mut columns[index];
            if matches!(column.kind, ColumnType::Double | ColumnType::Json) {
                return Err(format!(
                    "the key names '{name}', which is {}: no type to know a row by",
                    column.kind
                ));
            }
            column.required = true;
            indexes.push(index);
        }
        Ok(Schema { table: table.to_owned(), columns, key: indexes, is_inferred })
    }

    /// The table with more columns.
    ///
    /// # Errors
    /// These would be too many.
    pub fn with(&self, columns: Vec<Column>) -> Result<Schema, String> {
        let key: Vec<_> = self.key.iter().map(|&index| self.columns[index].name.clone()).collect();
        let columns = self.columns.iter().cloned().chain(columns).collect();
        Schema::new(&self.table, columns, &key, self.is_inferred)
    }
}
