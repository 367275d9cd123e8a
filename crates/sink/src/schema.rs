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

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in the table.
    pub name: String,
    /// The field it comes from: names of members, from the outermost in.
    pub path: Vec<String>,
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
}
