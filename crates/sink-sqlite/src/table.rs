//! The table that rows go to: what it is made with, and what is to be known of one that is there.
//!
//! - L1 A column is taken only if what we write into it is kept as it is. A column's declared type gives it an affinity
//!   ("Datatypes In SQLite", 3.1), by which SQLite turns texts into numbers and numbers into texts.

use rusqlite::{Connection, params};
use sink::{Column, ColumnType, Quote, Schema, TargetError};

use crate::fault::Failure;
use crate::offsets;

/// How names are written.
pub(crate) const QUOTE: Quote = Quote('"');

/// What writing needs to know of the table.
#[derive(Clone, Default)]
pub(crate) struct Table {
    /// The columns of the schema that have a DEFAULT.
    pub(crate) with_default: Vec<usize>,
}

impl Table {
    pub(crate) fn read(connection: &Connection, schema: &Schema) -> Result<Table, Failure> {
        let found = columns(connection, &schema.table)?;
        let has_default =
            |column: &Column| found.iter().any(|there| there.is(&column.name) && there.has_default);
        let columns = schema.columns.iter().enumerate();
        Ok(Table {
            with_default: columns.filter(|(_, column)| has_default(column)).map(|(index, _)| index).collect(),
        })
    }
}

/// What is to be done before rows can be written, and the schema they then have.
pub(crate) struct Plan {
    pub(crate) statements: Vec<String>,
    pub(crate) schema: Schema,
}

/// Looks at what is there. Before the first batch what is not there is made (Q3).
pub(crate) fn plan(connection: &Connection, schema: &Schema, is_first: bool) -> Result<Plan, Failure> {
    let mut plan = Plan { statements: Vec::new(), schema: schema.clone() };
    for (table, create) in
        [("ottla_offsets", offsets::CREATE.to_owned()), (schema.table.as_str(), create(schema))]
    {
        if columns(connection, table)?.is_empty() {
            if !is_first {
                return Err(TargetError::lasting(format!("the table '{table}' is gone")).into());
            }
            plan.statements.push(create);
        }
    }
    let found = columns(connection, &schema.table)?;
    if found.is_empty() {
        return Ok(plan);
    }
    for (index, column) in schema.columns.iter().enumerate() {
        match found.iter().find(|there| there.is(&column.name)) {
            None => plan.statements.push(add(&schema.table, column)),
            Some(there) => plan.schema.columns[index].kind = there.fit(schema, column)?,
        }
    }
    if let Some(forgotten) = found
        .iter()
        .find(|there| there.is_needed && !schema.columns.iter().any(|column| there.is(&column.name)))
    {
        let name = &forgotten.name;
        return Err(TargetError::lasting(format!(
            "column '{name}' of table '{}' is NOT NULL without a DEFAULT, and the sink does not write it: give it a \
             DEFAULT, or name it under [columns]",
            schema.table
        ))
        .into());
    }
    if !schema.key.is_empty() && !uniques(connection, schema)?.iter().any(|unique| is_key(schema, unique)) {
        let (table, keys) = (QUOTE.table(&schema.table), QUOTE.columns(schema, &schema.key));
        return Err(TargetError::lasting(format!(
            "table '{}' has no unique index on exactly the key, by which an upsert knows its row: CREATE UNIQUE INDEX \
             \"ottla_key\" ON {table} ({keys})",
            schema.table
        ))
        .into());
    }
    Ok(plan)
}

/// A column that is there.
struct Found {
    name: String,
    declared: String,
    has_default: bool,
    /// Whether a row has to say it.
    is_needed: bool,
    is_primary: bool,
}

impl Found {
    /// Names are the same in any case.
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The type that the sink writes into it (L1).
    fn fit(&self, schema: &Schema, column: &Column) -> Result<ColumnType, Failure> {
        let affinity = Affinity::of(&self.declared);
        let kind = match schema.is_inferred {
            true => kind_of(&self.declared).unwrap_or(column.kind),
            false => column.kind,
        };
        if affinity.keeps(kind) {
            return Ok(kind);
        }
        Err(TargetError::lasting(format!(
            "column '{}' of table '{}' is {}, which does not keep {kind} as it is: give it the type {}, or state another \
             one under [columns]",
            self.name,
            schema.table,
            self.declared,
            type_name(kind)
        ))
        .into())
    }
}

/// What SQLite turns values into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Affinity {
    Integer,
    Text,
    None,
    Real,
    Numeric,
}

impl Affinity {
    /// The rules of the manual, in its order.
    fn of(declared: &str) -> Affinity {
        let declared = declared.to_ascii_uppercase();
        let names = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
        if names(&["INT"]) {
            Affinity::Integer
        } else if names(&["CHAR", "CLOB", "TEXT"]) {
            Affinity::Text
        } else if declared.is_empty() || names(&["BLOB"]) {
            Affinity::None
        } else if names(&["REAL", "FLOA", "DOUB"]) {
            Affinity::Real
        } else {
            Affinity::Numeric
        }
    }

    /// Whether it leaves what we write for a type as it is, or makes an equal number of it.
    fn keeps(self, kind: ColumnType) -> bool {
        match kind {
            ColumnType::Bigint | ColumnType::Boolean => {
                [Affinity::Integer, Affinity::Numeric, Affinity::None].contains(&self)
            }
            ColumnType::Double => [Affinity::Real, Affinity::Numeric, Affinity::None].contains(&self),
            ColumnType::Text | ColumnType::Json => [Affinity::Text, Affinity::None].contains(&self),
            // No date and time looks like a number.
            ColumnType::Timestamp => [Affinity::Text, Affinity::Numeric, Affinity::None].contains(&self),
        }
    }
}

/// The type that a declared one stands for; none where it stands for any.
fn kind_of(declared: &str) -> Option<ColumnType> {
    let upper = declared.to_ascii_uppercase();
    let names = |part: &str| upper.contains(part);
    if names("JSON") {
        return Some(ColumnType::Json);
    }
    if names("BOOL") {
        return Some(ColumnType::Boolean);
    }
    if names("TIMESTAMP") || names("DATETIME") {
        return Some(ColumnType::Timestamp);
    }
    match Affinity::of(declared) {
        Affinity::Integer => Some(ColumnType::Bigint),
        Affinity::Text => Some(ColumnType::Text),
        Affinity::Real | Affinity::Numeric => Some(ColumnType::Double),
        Affinity::None => None,
    }
}

/// The types of tables that we make: each has the affinity that keeps it, and says what it is.
fn type_name(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Bigint => "INTEGER",
        ColumnType::Double => "REAL",
        ColumnType::Text => "TEXT",
        ColumnType::Boolean => "BOOLEAN",
        // By itself it would be numeric: SQLite would look for a number in each.
        ColumnType::Timestamp => "TIMESTAMP TEXT",
        ColumnType::Json => "JSON TEXT",
    }
}

/// A table's columns; none when there is no such table.
fn columns(connection: &Connection, table: &str) -> Result<Vec<Found>, Failure> {
    let (database, table) = place(table);
    let mut statement = connection.prepare(
        "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk FROM pragma_table_info(?1, ?2)",
    )?;
    let found = statement.query_map(params![table, database], |row| {
        let (is_not_null, has_default): (bool, bool) = (row.get(2)?, row.get(3)?);
        Ok(Found {
            name: row.get(0)?,
            declared: row.get(1)?,
            has_default,
            is_needed: is_not_null && !has_default,
            is_primary: 0 < row.get::<_, i64>(4)?,
        })
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// The sets of columns that a row is known by: those of unique indexes over all rows that compare texts byte by byte, and a
/// primary key that needs no index, as it is the row's own number.
fn uniques(connection: &Connection, schema: &Schema) -> Result<Vec<Vec<String>>, Failure> {
    let (database, table) = place(&schema.table);
    let mut indexes = connection
        .prepare("SELECT name, origin = 'pk', \"unique\" AND NOT partial FROM pragma_index_list(?1, ?2)")?;
    let indexes: Vec<(String, bool, bool)> = indexes
        .query_map(params![table, database], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut parts =
        connection.prepare("SELECT name, coll = 'BINARY' FROM pragma_index_xinfo(?1, ?2) WHERE \"key\"")?;
    let mut uniques = Vec::new();
    for (index, _, _) in indexes.iter().filter(|(_, _, is_unique)| *is_unique) {
        let columns: Vec<(Option<String>, bool)> = parts
            .query_map(params![index, database], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        // Of an expression there is no name.
        let exact = columns.into_iter().map(|(name, is_binary)| name.filter(|_| is_binary));
        uniques.extend(exact.collect::<Option<Vec<_>>>());
    }
    if !indexes.iter().any(|(_, is_primary, _)| *is_primary) {
        let found = self::columns(connection, &schema.table)?;
        uniques
            .push(found.into_iter().filter(|column| column.is_primary).map(|column| column.name).collect());
    }
    Ok(uniques)
}

fn is_key(schema: &Schema, unique: &[String]) -> bool {
    let is_in = |name: &str| unique.iter().any(|other| other.eq_ignore_ascii_case(name));
    unique.len() == schema.key.len() && schema.key.iter().all(|&index| is_in(&schema.columns[index].name))
}

/// Makes the table.
pub(crate) fn create(schema: &Schema) -> String {
    let mut parts: Vec<_> = schema.columns.iter().map(definition).collect();
    if !schema.key.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", QUOTE.columns(schema, &schema.key)));
    }
    format!("CREATE TABLE {} (\n  {}\n)", QUOTE.table(&schema.table), parts.join(",\n  "))
}

fn add(table: &str, column: &Column) -> String {
    format!("ALTER TABLE {} ADD COLUMN {}", QUOTE.table(table), definition(column))
}

fn definition(column: &Column) -> String {
    let not_null = if column.required { " NOT NULL" } else { "" };
    format!("{} {}{not_null}", QUOTE.name(&column.name), type_name(column.kind))
}

/// The database of a table, and its name there.
fn place(table: &str) -> (&str, &str) {
    table.split_once('.').unwrap_or(("main", table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_of_ours_is_kept_and_known_again() {
        for kind in ColumnType::ALL {
            assert!(Affinity::of(type_name(kind)).keeps(kind), "{kind}");
            assert_eq!(kind_of(type_name(kind)), Some(kind));
        }
    }

    #[track_caller]
    fn check(declared: &str, kept: &[ColumnType]) {
        let keeps: Vec<_> =
            ColumnType::ALL.into_iter().filter(|kind| Affinity::of(declared).keeps(*kind)).collect();
        assert_eq!(keeps, kept, "{declared}");
    }

    #[test]
    fn what_a_column_would_change_is_not_written_there() {
        use ColumnType::{Bigint, Boolean, Double, Json, Text, Timestamp};
        check("", &ColumnType::ALL);
        check("bigint", &[Bigint, Boolean]);
        check("varchar(20)", &[Text, Timestamp, Json]);
        check("DOUBLE PRECISION", &[Double]);
        check("DECIMAL(10, 2)", &[Bigint, Double, Boolean, Timestamp]);
        // It would make a number of '1e999'.
        check("JSON", &[Bigint, Double, Boolean, Timestamp]);
    }
}
