//! The statements of a table.

use sink::Source;

use super::*;
use crate::table::Table;

fn schema(key: &[&str]) -> Schema {
    let column = |name: &str, kind, required| Column {
        name: name.to_owned(),
        source: Source::Field(vec![name.to_owned()]),
        kind,
        required,
    };
    let columns = vec![
        column("a\"b", ColumnType::Bigint, false),
        column("c", ColumnType::Json, true),
        column("d", ColumnType::Text, false),
    ];
    let key: Vec<_> = key.iter().map(|&name| name.to_owned()).collect();
    Schema::new("s.t", columns, &key, false).expect("a table")
}

fn statements(schema: &Schema) -> Statements {
    Statements::new(schema, Table::default().grown(schema).puts(schema).expect("a table of ours"))
}

#[test]
fn names_are_quoted() {
    let schema = schema(&["a\"b"]);
    assert_eq!(
        create_table(&schema),
        "CREATE TABLE IF NOT EXISTS \"s\".\"t\" (\n  \"a\"\"b\" bigint NOT NULL,\n  \"c\" jsonb NOT NULL,\n  \"d\" text,\n  \
         PRIMARY KEY (\"a\"\"b\")\n)"
    );
    let added = add_columns(&schema, &[&schema.columns[2], &schema.columns[1]]);
    let expected = "ALTER TABLE \"s\".\"t\" ADD COLUMN IF NOT EXISTS \"d\" text, ADD COLUMN IF NOT EXISTS \"c\" jsonb NOT NULL";
    assert_eq!(added, expected);
}

#[test]
fn rows_of_a_table_without_a_key_go_straight_into_it() {
    let statements = statements(&schema(&[]));
    assert!(statements.is_plain(&[0, 1, 2]));
    assert_eq!(statements.copy(&[0, 2]), "COPY \"s\".\"t\" (\"a\"\"b\", \"d\") FROM STDIN (FORMAT binary)");
    assert_eq!(
        statements.insert(&[2, 0], From::Arrays),
        "INSERT INTO \"s\".\"t\" (\"d\", \"a\"\"b\") SELECT s.\"d\", s.\"a\"\"b\" FROM unnest($1::text[], $2::bigint[]) AS \
         s(\"d\", \"a\"\"b\")"
    );
}

#[test]
fn rows_of_a_table_with_a_key_go_over_those_that_are_there() {
    let statements = statements(&schema(&["a\"b"]));
    assert!(statements.has_key());
    assert_eq!(
        statements.create_stage(),
        "CREATE TEMPORARY TABLE ottla_rows (\"a\"\"b\" bigint, \"c\" jsonb, \"d\" text) ON COMMIT DELETE ROWS"
    );
    assert_eq!(
        statements.insert(&[0, 1], From::Stage),
        "INSERT INTO \"s\".\"t\" (\"a\"\"b\", \"c\") SELECT s.\"a\"\"b\", s.\"c\" FROM pg_temp.ottla_rows AS s \
         ON CONFLICT (\"a\"\"b\") DO UPDATE SET \"c\" = excluded.\"c\", \"d\" = excluded.\"d\""
    );
    assert_eq!(
        statements.delete(),
        "DELETE FROM \"s\".\"t\" AS t USING unnest($1::bigint[]) AS s(\"a\"\"b\") WHERE t.\"a\"\"b\" = s.\"a\"\"b\""
    );
}
