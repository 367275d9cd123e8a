//! The table that rows go to: what it is made with, and what is to be known of one that is there.
//!
//! - L1 A column is taken only if what we write into it is kept as it is or refused (M5); which values that needs a look at
//!   says its [`Room`].
//! - L2 A table has transactions, or it would keep rows whose offsets were rolled back.
//! - L3 Keys are told apart byte by byte, and by one unique index only: `ON DUPLICATE KEY UPDATE` would change the row that
//!   any other one finds.

use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use sink::{Column, ColumnType, Quote, Schema, TargetError};

use crate::fault::Failure;
use crate::offsets;

/// How names are written.
pub(crate) const QUOTE: Quote = Quote('`');

/// What writing needs to know of the table.
#[derive(Clone)]
pub(crate) struct Table {
    /// What each column has room for.
    pub(crate) rooms: Vec<Room>,
    /// Its name.
    pub(crate) names: Vec<String>,
}

/// What a column keeps, as far as a strict session would not refuse the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// All there is of the column's type.
    Any,
    /// So many digits behind the point.
    Digits(usize),
    /// Texts in which spaces at the end do not count.
    Padded,
}

/// A statement that makes something.
pub(crate) struct Statement(String);

impl Statement {
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// What is to be done before rows can be written, and what is then known.
pub(crate) struct Plan {
    pub(crate) statements: Vec<Statement>,
    pub(crate) schema: Schema,
    pub(crate) table: Table,
}

/// Looks at what is there. Before the first batch what is not there is made (M3).
pub(crate) async fn plan(conn: &mut Conn, schema: &Schema, is_first: bool) -> Result<Plan, Failure> {
    let mut plan = Plan {
        statements: Vec::new(),
        schema: schema.clone(),
        table: Table {
            rooms: vec![Room::Any; schema.columns.len()],
            names: schema.columns.iter().map(|column| column.name.clone()).collect(),
        },
    };
    for (table, create) in
        [("ottla_offsets", offsets::CREATE.to_owned()), (schema.table.as_str(), create(schema))]
    {
        match engine(conn, table).await? {
            Some(engine) if engine.eq_ignore_ascii_case("InnoDB") => {}
            Some(engine) => return Err(TargetError::lasting(no_transactions(table, &engine)).into()),
            None if is_first => plan.statements.push(Statement(create)),
            None => return Err(TargetError::lasting(format!("the table '{table}' is gone")).into()),
        }
    }
    let found = columns(conn, &schema.table).await?;
    for (index, column) in schema.columns.iter().enumerate() {
        match found.iter().find(|there| there.is(&column.name)) {
            // A column of a table that is made is as we write it, but for the spaces behind a key.
            None if found.is_empty() => {
                if schema.key.contains(&index) && column.kind == ColumnType::Text {
                    plan.table.rooms[index] = Room::Padded;
                }
            }
            None => plan.statements.push(Statement(add(schema, index))),
            Some(there) => {
                let (kind, room) = there.fit(schema, index)?;
                plan.schema.columns[index].kind = kind;
                plan.table.rooms[index] = room;
            }
        }
    }
    if let Some(problem) = forgotten(schema, &found) {
        return Err(TargetError::lasting(problem).into());
    }
    if !schema.key.is_empty() && !found.is_empty() {
        let uniques = uniques(conn, &schema.table).await?;
        check_key(schema, &uniques)?;
    }
    Ok(plan)
}

fn no_transactions(table: &str, engine: &str) -> String {
    if engine.is_empty() {
        return format!("'{table}' is no table that rows can be written into");
    }
    let quoted = QUOTE.table(table);
    format!("table '{table}' is of {engine}, which has no transactions: ALTER TABLE {quoted} ENGINE = InnoDB")
}

/// A column that every row needs and the sink does not write.
fn forgotten(schema: &Schema, found: &[Found]) -> Option<String> {
    let is_written = |there: &Found| schema.columns.iter().any(|column| there.is(&column.name));
    let there = found.iter().find(|there| there.is_needed && !is_written(there))?;
    Some(format!(
        "column '{}' of table '{}' is NOT NULL without a DEFAULT, and the sink does not write it: give it a DEFAULT, or name \
         it under [columns]",
        there.name, schema.table
    ))
}

/// Whether the key is what the table knows its rows by (L3).
fn check_key(schema: &Schema, uniques: &[Unique]) -> Result<(), TargetError> {
    let (table, keys) = (QUOTE.table(&schema.table), QUOTE.columns(schema, &schema.key));
    if !uniques.iter().any(|unique| unique.is_key(schema)) {
        return Err(TargetError::lasting(format!(
            "table '{}' has no unique index on exactly the key, by which an upsert knows its row: CREATE UNIQUE INDEX \
             `ottla_key` ON {table} ({keys})",
            schema.table
        )));
    }
    match uniques.iter().find(|unique| !unique.is_key(schema)) {
        None => Ok(()),
        Some(other) => Err(TargetError::lasting(format!(
            "table '{}' has another unique index, '{}', by which an upsert would change rows of other keys: write into a \
             table without it",
            schema.table, other.name
        ))),
    }
}

/// A column that is there.
struct Found {
    name: String,
    /// Its type, and the type as it was declared.
    kind: String,
    declared: String,
    /// Whether a row has to say it.
    is_needed: bool,
    collation: String,
    /// Digits behind the point, of a decimal or of a second.
    digits: usize,
    is_json: bool,
}

impl Found {
    /// Names are the same in any case.
    fn is(&self, name: &str) -> bool {
        self.name.to_lowercase() == name.to_lowercase()
    }

    /// The type that the sink writes into it, and what that has room for (L1).
    fn fit(&self, schema: &Schema, index: usize) -> Result<(ColumnType, Room), TargetError> {
        let column = &schema.columns[index];
        let kind = match schema.is_inferred {
            true => self.kind_of(column.kind),
            false => column.kind,
        };
        let Some(mut room) = self.room(kind) else {
            return Err(TargetError::lasting(format!(
                "column '{}' of table '{}' is {}, which does not keep {kind} as it is: give it the type {}, or state another \
                 one under [columns]",
                self.name,
                schema.table,
                self.declared,
                type_name(kind)
            )));
        };
        if kind == ColumnType::Text && schema.key.contains(&index) {
            if !self.collation.ends_with("_bin") {
                return Err(TargetError::lasting(format!(
                    "column '{}' of table '{}' compares texts by {}, for which different keys are the same: ALTER TABLE {} \
                     MODIFY {} {} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL",
                    self.name,
                    schema.table,
                    self.collation,
                    QUOTE.table(&schema.table),
                    QUOTE.name(&self.name),
                    self.declared
                )));
            }
            let tells_spaces = self.collation.contains("nopad") || self.collation.contains("0900");
            room = if tells_spaces { room } else { Room::Padded };
        }
        Ok((kind, room))
    }

    /// The type that it stands for; the one that was told where it stands for that too.
    fn kind_of(&self, told: ColumnType) -> ColumnType {
        match self.kind.as_str() {
            _ if self.is_json => ColumnType::Json,
            "tinyint" if self.declared == "tinyint(1)" => ColumnType::Boolean,
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => ColumnType::Bigint,
            "decimal" if self.digits == 0 => ColumnType::Bigint,
            "decimal" | "double" | "float" => ColumnType::Double,
            "datetime" | "timestamp" | "date" | "time" => ColumnType::Timestamp,
            // Written by hand for JSON, it may be.
            "longtext" if told == ColumnType::Json => ColumnType::Json,
            _ => ColumnType::Text,
        }
    }

    /// What it has room for of a type; none where a strict session changes values that it takes.
    fn room(&self, kind: ColumnType) -> Option<Room> {
        let is_whole = ["tinyint", "smallint", "mediumint", "int", "bigint"].contains(&self.kind.as_str());
        let is_text = ["varchar", "tinytext", "text", "mediumtext", "longtext"].contains(&self.kind.as_str());
        match (kind, self.kind.as_str()) {
            (ColumnType::Bigint | ColumnType::Boolean, _) if is_whole => Some(Room::Any),
            (ColumnType::Boolean, "bit") => Some(Room::Any),
            (ColumnType::Bigint, "decimal") => Some(Room::Any),
            (ColumnType::Double, "double") => Some(Room::Any),
            (ColumnType::Double, "decimal") => Some(Room::Digits(self.digits)),
            (ColumnType::Text, "char") => Some(Room::Padded),
            (ColumnType::Text, _) if is_text && !self.is_json => Some(Room::Any),
            (ColumnType::Timestamp, "datetime" | "timestamp") => Some(Room::Digits(self.digits)),
            (ColumnType::Json, "json") => Some(Room::Any),
            (ColumnType::Json, _) if is_text => Some(Room::Any),
            _ => None,
        }
    }
}

/// The engine of a table, empty of a view; none when there is no such table.
async fn engine(conn: &mut Conn, table: &str) -> Result<Option<String>, Failure> {
    const ENGINE: &str = "\
SELECT COALESCE(ENGINE, '') FROM information_schema.TABLES
WHERE TABLE_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ?";
    Ok(conn.exec_first(ENGINE, place(table)).await?)
}

/// A table's columns; none when there is no such table.
async fn columns(conn: &mut Conn, table: &str) -> Result<Vec<Found>, Failure> {
    const COLUMNS: &str = "\
SELECT COLUMN_NAME, LOWER(DATA_TYPE), LOWER(COLUMN_TYPE),
  IS_NULLABLE = 'NO' AND COLUMN_DEFAULT IS NULL AND EXTRA NOT LIKE '%auto_increment%' AND EXTRA NOT LIKE '%GENERATED%',
  COALESCE(COLLATION_NAME, ''), CAST(COALESCE(DATETIME_PRECISION, NUMERIC_SCALE, 0) AS UNSIGNED)
FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ?";
    type Row = (String, String, String, bool, String, usize);
    let rows: Vec<Row> = conn.exec(COLUMNS, place(table)).await?;
    let json = checked_json(conn, table).await?;
    let found = |(name, kind, declared, is_needed, collation, digits): Row| Found {
        is_json: kind == "json" || json.contains(&name),
        name,
        kind,
        declared,
        is_needed,
        collation,
        digits,
    };
    Ok(rows.into_iter().map(found).collect())
}

/// The columns that MariaDB knows as JSON: texts with a check of the column's name.
async fn checked_json(conn: &mut Conn, table: &str) -> Result<Vec<String>, Failure> {
    const CHECKED: &str = "\
SELECT CONSTRAINT_NAME FROM information_schema.CHECK_CONSTRAINTS
WHERE CONSTRAINT_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ? AND CHECK_CLAUSE LIKE 'json_valid(%'";
    let version: Option<String> = conn.query_first("SELECT VERSION()").await?;
    if !version.is_some_and(|version| version.contains("MariaDB")) {
        return Ok(Vec::new());
    }
    Ok(conn.exec(CHECKED, place(table)).await?)
}

/// A unique index: its columns, none of them where it is about parts or expressions.
struct Unique {
    name: String,
    columns: Vec<String>,
}

impl Unique {
    fn is_key(&self, schema: &Schema) -> bool {
        let is_in = |name: &str| self.columns.iter().any(|other| other.to_lowercase() == name.to_lowercase());
        self.columns.len() == schema.key.len()
            && schema.key.iter().all(|&index| is_in(&schema.columns[index].name))
    }
}

async fn uniques(conn: &mut Conn, table: &str) -> Result<Vec<Unique>, Failure> {
    const UNIQUES: &str = "\
SELECT INDEX_NAME, COALESCE(COLUMN_NAME, ''), SUB_PART IS NULL AND COLUMN_NAME IS NOT NULL
FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ? AND NON_UNIQUE = 0
ORDER BY INDEX_NAME, SEQ_IN_INDEX";
    let rows: Vec<(String, String, bool)> = conn.exec(UNIQUES, place(table)).await?;
    let mut uniques: Vec<Unique> = Vec::new();
    for (name, column, is_whole) in rows {
        if uniques.last().is_none_or(|last| last.name != name) {
            uniques.push(Unique { name, columns: Vec::new() });
        }
        // A name that no column has.
        let column = if is_whole { column } else { String::new() };
        uniques.last_mut().expect("one was pushed").columns.push(column);
    }
    Ok(uniques)
}

/// Makes the table.
pub(crate) fn create(schema: &Schema) -> String {
    let mut parts: Vec<_> = (0..schema.columns.len()).map(|index| definition(schema, index)).collect();
    if !schema.key.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", QUOTE.columns(schema, &schema.key)));
    }
    format!(
        "CREATE TABLE {} (\n  {}\n) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4",
        QUOTE.table(&schema.table),
        parts.join(",\n  ")
    )
}

fn add(schema: &Schema, index: usize) -> String {
    format!("ALTER TABLE {} ADD COLUMN {}", QUOTE.table(&schema.table), definition(schema, index))
}

fn definition(schema: &Schema, index: usize) -> String {
    let Column { name, kind, required, .. } = &schema.columns[index];
    let kind = match kind {
        // An index needs a length, and keys are told apart byte by byte (L3).
        ColumnType::Text if schema.key.contains(&index) => {
            "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        }
        kind => type_name(*kind),
    };
    let not_null = if *required { " NOT NULL" } else { "" };
    format!("{} {kind}{not_null}", QUOTE.name(name))
}

fn type_name(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Bigint => "BIGINT",
        ColumnType::Double => "DOUBLE",
        ColumnType::Text => "LONGTEXT CHARACTER SET utf8mb4",
        ColumnType::Boolean => "BOOLEAN",
        ColumnType::Timestamp => "DATETIME(6)",
        ColumnType::Json => "JSON",
    }
}

/// The database of a table, where its name says one, and its name there.
fn place(table: &str) -> (Option<&str>, &str) {
    table.split_once('.').map_or((None, table), |(database, table)| (Some(database), table))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(declared: &str, digits: usize) -> Found {
        let kind = declared.split('(').next().unwrap_or_default().to_owned();
        Found {
            name: "a".to_owned(),
            is_json: kind == "json",
            kind,
            declared: declared.to_owned(),
            is_needed: false,
            collation: "utf8mb4_general_ci".to_owned(),
            digits,
        }
    }

    #[track_caller]
    fn check(declared: &str, digits: usize, expected: &[(ColumnType, Room)]) {
        let found = found(declared, digits);
        let rooms = ColumnType::ALL.into_iter().filter_map(|kind| Some((kind, found.room(kind)?)));
        assert_eq!(rooms.collect::<Vec<_>>(), expected, "{declared}");
    }

    #[test]
    fn what_a_column_would_change_is_not_written_there() {
        use ColumnType::{Bigint, Boolean, Double, Json, Text, Timestamp};
        check("int(11)", 0, &[(Bigint, Room::Any), (Boolean, Room::Any)]);
        check("decimal(10,2)", 2, &[(Bigint, Room::Any), (Double, Room::Digits(2))]);
        check("float", 0, &[]);
        check("char(36)", 0, &[(Text, Room::Padded)]);
        check("varchar(20)", 0, &[(Text, Room::Any), (Json, Room::Any)]);
        check("enum('a')", 0, &[]);
        check("datetime(3)", 3, &[(Timestamp, Room::Digits(3))]);
        check("date", 0, &[]);
        check("json", 0, &[(Json, Room::Any)]);
    }

    #[test]
    fn types_are_known_again() {
        for (declared, digits, kind) in [
            ("tinyint(1)", 0, ColumnType::Boolean),
            ("tinyint(4)", 0, ColumnType::Bigint),
            ("decimal(20,0)", 0, ColumnType::Bigint),
            ("decimal(20,1)", 1, ColumnType::Double),
            ("datetime(6)", 6, ColumnType::Timestamp),
            ("json", 0, ColumnType::Json),
            ("longtext", 0, ColumnType::Text),
        ] {
            assert_eq!(found(declared, digits).kind_of(ColumnType::Text), kind, "{declared}");
        }
        assert_eq!(found("longtext", 0).kind_of(ColumnType::Json), ColumnType::Json);
    }
}
