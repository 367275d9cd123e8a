//! What the database says of a table, and how values of ours get into its columns.
//!
//! - B1 A value is never changed silently: where the column's type could round it, cut it or lose a part, the statement
//!   compares what became of it with what it was, and makes the database refuse the row.

use sink::{Column, ColumnType, Schema, Source};

use crate::sql::{QUOTE, type_name};

/// A column that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) name: String,
    /// The internal name of its type; of a domain, of the type that it restricts.
    pub(crate) internal: String,
    pub(crate) is_enum: bool,
    /// Its type as it is declared.
    pub(crate) declared: String,
    pub(crate) has_default: bool,
    pub(crate) is_generated: bool,
    pub(crate) is_required: bool,
}

/// A table that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// None: there is no such table.
    pub(crate) columns: Vec<Found>,
    /// The columns of each of its unique indexes.
    pub(crate) unique: Vec<Vec<String>>,
}

/// How the values of one column get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Put {
    /// Its name, quoted.
    pub(crate) name: String,
    /// The type that our values are sent as.
    pub(crate) staged: &'static str,
    /// Its own type, where values have to be cast to it.
    cast: Option<Cast>,
    pub(crate) has_default: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Cast {
    /// The type that it is declared with.
    to: String,
    /// By which steps a value becomes one of that type, `$` being the value.
    forth: &'static str,
    /// By which steps that, `$`, becomes what the value was, where it could be another.
    back: Option<(&'static str, &'static str)>,
}

impl Table {
    pub(crate) fn column(&self, name: &str) -> Option<&Found> {
        self.columns.iter().find(|found| found.name == name)
    }

    /// The table as it is once it has all columns of a schema.
    pub(crate) fn grown(mut self, schema: &Schema) -> Table {
        let key: Vec<_> = schema.key.iter().map(|&index| schema.columns[index].name.clone()).collect();
        if self.columns.is_empty() && !key.is_empty() {
            self.unique.push(key);
        }
        for column in &schema.columns {
            if self.column(&column.name).is_none() {
                self.columns.push(Found::made(column));
            }
        }
        self
    }

    /// The schema with the types that columns of an inferred one have here.
    pub(crate) fn adopted(&self, schema: &Schema) -> Schema {
        let mut adopted = schema.clone();
        if !schema.is_inferred {
            return adopted;
        }
        for column in &mut adopted.columns {
            let found = self.column(&column.name).filter(|_| matches!(column.source, Source::Field(_)));
            if let Some(kind) = found.and_then(Found::holds) {
                column.kind = kind;
            }
        }
        adopted
    }

    /// How rows of a schema get into this table.
    ///
    /// # Errors
    /// They cannot, for this reason.
    pub(crate) fn puts(&self, schema: &Schema) -> Result<Vec<Put>, String> {
        let table = &schema.table;
        let unfilled = self.columns.iter().find(|found| {
            let is_filled = found.has_default
                || found.is_generated
                || schema.columns.iter().any(|column| column.name == found.name);
            found.is_required && !is_filled
        });
        if let Some(found) = unfilled {
            let name = &found.name;
            return Err(format!(
                "column '{name}' of table '{table}' is NOT NULL without a DEFAULT, and the sink writes nothing into it: \
                 give it a DEFAULT, or a field"
            ));
        }
        let key: Vec<&str> = schema.key.iter().map(|&index| schema.columns[index].name.as_str()).collect();
        if !key.is_empty() && !self.unique.iter().any(|unique| is_same_set(unique, &key)) {
            let columns = QUOTE.columns(schema, &schema.key);
            return Err(format!(
                "table '{table}' has no unique index on ({columns}), which the sink's rows are known by: ALTER TABLE {} \
                 ADD UNIQUE ({columns})",
                QUOTE.table(table)
            ));
        }
        schema.columns.iter().map(|column| self.put(table, column)).collect()
    }

    fn put(&self, table: &str, column: &Column) -> Result<Put, String> {
        let name = &column.name;
        let Some(found) = self.column(name) else {
            return Err(format!(
                "table '{table}' has no column '{name}': add it, or leave it out of the sink"
            ));
        };
        if found.is_generated {
            return Err(format!("column '{name}' of table '{table}' is generated: leave it out of the sink"));
        }
        found.put(column.kind).ok_or_else(|| {
            format!(
                "column '{name}' of table '{table}' is {}, which does not hold every {}: give one of them the other's type",
                found.declared,
                column.kind
            )
        })
    }
}

fn is_same_set(unique: &[String], key: &[&str]) -> bool {
    unique.len() == key.len() && unique.iter().all(|name| key.contains(&name.as_str()))
}

impl Found {
    /// A column as we make it.
    fn made(column: &Column) -> Found {
        let internal = match column.kind {
            ColumnType::Bigint => "int8",
            ColumnType::Double => "float8",
            ColumnType::Text => "text",
            ColumnType::Boolean => "bool",
            ColumnType::Timestamp => "timestamptz",
            ColumnType::Json => "jsonb",
        };
        Found {
            name: column.name.clone(),
            internal: internal.to_owned(),
            is_enum: false,
            declared: type_name(column.kind).to_owned(),
            has_default: false,
            is_generated: false,
            is_required: column.required,
        }
    }

    /// The type of ours whose values are told least apart from its own; none when it is no type that we know.
    fn holds(&self) -> Option<ColumnType> {
        Some(match self.internal.as_str() {
            "int2" | "int4" | "int8" => ColumnType::Bigint,
            "float4" | "float8" => ColumnType::Double,
            "bool" => ColumnType::Boolean,
            "timestamptz" | "timestamp" => ColumnType::Timestamp,
            "json" | "jsonb" => ColumnType::Json,
            // A number as it is written has digits that a double would not.
            "numeric" | "text" | "varchar" | "bpchar" | "citext" | "uuid" | "date" | "inet" => {
                ColumnType::Text
            }
            _ if self.is_enum => ColumnType::Text,
            _ => return None,
        })
    }

    /// How values of this type of ours get there; none when they do not.
    fn put(&self, kind: ColumnType) -> Option<Put> {
        let (staged, cast) = self.way(kind)?;
        let cast = cast.map(|(forth, back)| Cast { to: self.declared.clone(), forth, back });
        Some(Put { name: QUOTE.name(&self.name), staged, cast, has_default: self.has_default })
    }

    /// What our values are sent as, and the way there and back (B1) where they are not its own.
    #[allow(clippy::type_complexity, reason = "a table of three columns, read once")]
    fn way(
        &self,
        kind: ColumnType,
    ) -> Option<(&'static str, Option<(&'static str, Option<(&'static str, &'static str)>)>)> {
        const AT_UTC: &str = "($ AT TIME ZONE 'UTC')";
        let own = type_name(kind);
        let is_rounding = self.declared.contains('(');
        Some(match (kind, self.internal.as_str()) {
            (ColumnType::Bigint, "int8")
            | (ColumnType::Double, "float8")
            | (ColumnType::Boolean, "bool")
            | (ColumnType::Json, "jsonb")
            | (ColumnType::Text, "text" | "varchar" | "bpchar" | "citext") => (own, None),
            (ColumnType::Timestamp, "timestamptz") if !is_rounding => (own, None),
            (ColumnType::Json, "json") => ("json", None),
            (ColumnType::Json, "text") => ("text", None),
            // What is out of its range it refuses by itself.
            (ColumnType::Bigint, "int2" | "int4") => (own, Some(("$", None))),
            (ColumnType::Bigint, "numeric" | "float4" | "float8") => {
                (own, Some(("$", Some(("$::bigint", "$")))))
            }
            (ColumnType::Double, "int2" | "int4" | "int8") => (own, Some(("$", Some(("$::float8", "$"))))),
            (ColumnType::Double, "numeric") => (own, Some(("$::text", Some(("$::float8", "$"))))),
            (ColumnType::Double, "float4") => (own, Some(("$", Some(("$::text", "$::text"))))),
            (ColumnType::Text, "numeric") => (own, Some(("$", Some(("$", "$::numeric"))))),
            (ColumnType::Text, "date") => (own, Some(("$", Some(("$::text", "$"))))),
            (ColumnType::Text, "uuid" | "inet") => (own, Some(("$", None))),
            (ColumnType::Text, _) if self.is_enum => (own, Some(("$", None))),
            (ColumnType::Timestamp, "timestamptz") => (own, Some(("$", Some(("$", "$"))))),
            (ColumnType::Timestamp, "timestamp") => (own, Some((AT_UTC, Some((AT_UTC, "$"))))),
            (ColumnType::Timestamp, "date") => {
                (own, Some((AT_UTC, Some(("($::timestamp AT TIME ZONE 'UTC')", "$")))))
            }
            _ => return None,
        })
    }
}

impl Put {
    /// Whether values can be sent into the table as they are.
    pub(crate) fn is_plain(&self) -> bool {
        self.cast.is_none()
    }

    /// What is to be written for a value.
    pub(crate) fn expression(&self, value: &str) -> String {
        let Some(Cast { to, forth, back }) = &self.cast else { return value.to_owned() };
        let cast = format!("{}::{to}", forth.replace('$', value));
        let Some((back, was)) = back else { return cast };
        let (back, was) = (back.replace('$', &cast), was.replace('$', value));
        // No other expression makes PostgreSQL refuse a value and show it.
        let refused = format!("({value}::text || ' would be changed')::{to}");
        format!("CASE WHEN {back} = {was} THEN {cast} ELSE {refused} END")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(internal: &str, declared: &str) -> Found {
        Found {
            name: "a".to_owned(),
            internal: internal.to_owned(),
            is_enum: false,
            declared: declared.to_owned(),
            has_default: false,
            is_generated: false,
            is_required: false,
        }
    }

    #[track_caller]
    fn check(kind: ColumnType, found: Found, expected: Option<&str>) {
        let put = found.put(kind);
        assert_eq!(put.map(|put| put.expression("s.a")).as_deref(), expected);
    }

    #[test]
    fn what_could_be_changed_is_compared() {
        check(ColumnType::Bigint, found("int8", "bigint"), Some("s.a"));
        check(ColumnType::Bigint, found("int4", "integer"), Some("s.a::integer"));
        check(
            ColumnType::Double,
            found("numeric", "numeric(10,2)"),
            Some(
                "CASE WHEN s.a::text::numeric(10,2)::float8 = s.a THEN s.a::text::numeric(10,2) \
                 ELSE (s.a::text || ' would be changed')::numeric(10,2) END",
            ),
        );
        check(ColumnType::Timestamp, found("timestamptz", "timestamp with time zone"), Some("s.a"));
        check(ColumnType::Boolean, found("int4", "integer"), None);
        check(ColumnType::Text, found("int4", "integer"), None);
    }

    fn schema(column: &str, kind: ColumnType, is_key: bool) -> Schema {
        let name = column.to_owned();
        let column = Column { source: Source::Field(vec![name.clone()]), name, kind, required: false };
        let key = [column.name.clone()];
        Schema::new("t", vec![column], if is_key { &key } else { &[] }, true).expect("a table")
    }

    #[test]
    fn what_cannot_work_is_said() {
        let refused = |table: &Table, schema: &Schema| table.puts(schema).expect_err("an error");
        let mut table = Table { columns: vec![found("int4", "integer")], unique: Vec::new() };
        let said = refused(&table, &schema("a", ColumnType::Text, false));
        assert!(said.contains("'a' of table 't' is integer, which does not hold every text"), "{said}");
        let said = refused(&table, &schema("a", ColumnType::Bigint, true));
        assert!(said.ends_with("ALTER TABLE \"t\" ADD UNIQUE (\"a\")"), "{said}");
        table.unique.push(vec!["a".to_owned()]);
        assert!(table.puts(&schema("a", ColumnType::Bigint, true)).is_ok());
        table.columns[0].is_required = true;
        let said = refused(&table, &schema("b", ColumnType::Bigint, false));
        assert!(said.starts_with("column 'a' of table 't' is NOT NULL without a DEFAULT"), "{said}");
    }

    #[test]
    fn an_inferred_column_takes_the_type_of_the_one_that_is_there() {
        let kind = |internal: &str| {
            let table = Table { columns: vec![found(internal, internal)], unique: Vec::new() };
            table.adopted(&schema("a", ColumnType::Double, false)).columns[0].kind
        };
        assert_eq!(kind("int2"), ColumnType::Bigint);
        assert_eq!(kind("numeric"), ColumnType::Text);
        assert_eq!(kind("timestamp"), ColumnType::Timestamp);
        assert_eq!(kind("point"), ColumnType::Double);
    }
}
