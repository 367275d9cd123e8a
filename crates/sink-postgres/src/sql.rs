//! The statements, as text.

use sink::{Column, ColumnType, Schema};

/// Makes the table of offsets. `epoch` begins with 1, and each owner of a partition raises it.
pub(crate) const CREATE_OFFSETS: &str = "\
CREATE TABLE IF NOT EXISTS ottla_offsets (
  sink text NOT NULL,
  topic text NOT NULL,
  \"partition\" integer NOT NULL,
  next_offset bigint NOT NULL,
  epoch bigint NOT NULL,
  cluster_id text NOT NULL,
  topic_id text NOT NULL,
  committed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (sink, topic, \"partition\")
)";

/// Takes partitions that somebody or nobody has: sink, topics, partitions, begins, cluster ids, topic ids.
pub(crate) const CLAIM: &str = "\
INSERT INTO ottla_offsets AS o (sink, topic, \"partition\", next_offset, epoch, cluster_id, topic_id)
SELECT $1, c.topic, c.part, c.begin_at, 1, c.cluster_id, c.topic_id
FROM unnest($2::text[], $3::int[], $4::bigint[], $5::text[], $6::text[])
  AS c(topic, part, begin_at, cluster_id, topic_id)
ON CONFLICT (sink, topic, \"partition\") DO UPDATE SET epoch = o.epoch + 1
RETURNING topic, \"partition\", epoch, next_offset, cluster_id, topic_id";

/// Takes partitions again that nobody took since: sink, topics, partitions, epochs.
pub(crate) const RECLAIM: &str = "\
UPDATE ottla_offsets AS o SET epoch = o.epoch + 1
FROM unnest($2::text[], $3::int[], $4::bigint[]) AS c(topic, part, epoch)
WHERE o.sink = $1 AND o.topic = c.topic AND o.\"partition\" = c.part AND o.epoch = c.epoch
RETURNING o.topic, o.\"partition\", o.epoch, o.next_offset, o.cluster_id, o.topic_id";

/// Moves offsets, each from where it is expected by who holds it: sink, topics, partitions, epochs, expected, next.
pub(crate) const MOVE: &str = "\
UPDATE ottla_offsets AS o SET next_offset = m.next, committed_at = now()
FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[])
  AS m(topic, part, epoch, expected, next)
WHERE o.sink = $1 AND o.topic = m.topic AND o.\"partition\" = m.part
  AND o.epoch = m.epoch AND o.next_offset = m.expected";

/// The columns of a table and their types: its name, quoted.
pub(crate) const COLUMNS: &str = "\
SELECT a.attname::text, t.typname::text FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass($1) AND 0 < a.attnum AND NOT a.attisdropped";

/// Makes the table.
pub(crate) fn create_table(schema: &Schema) -> String {
    let column = |column: &Column| {
        let not_null = if column.required { " NOT NULL" } else { "" };
        format!("  {} {}{not_null}", quoted(&column.name), type_name(column.kind))
    };
    let columns: Vec<_> = schema.columns.iter().map(column).collect();
    format!("CREATE TABLE IF NOT EXISTS {} (\n{}\n)", quoted_table(&schema.table), columns.join(",\n"))
}

/// Takes rows.
pub(crate) fn copy(schema: &Schema) -> String {
    let columns: Vec<_> = schema.columns.iter().map(|column| quoted(&column.name)).collect();
    format!("COPY {} ({}) FROM STDIN (FORMAT binary)", quoted_table(&schema.table), columns.join(", "))
}

/// A table's name, which may have its schema's before it.
pub(crate) fn quoted_table(table: &str) -> String {
    table.split('.').map(quoted).collect::<Vec<_>>().join(".")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn type_name(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Bigint => "bigint",
        ColumnType::Double => "double precision",
        ColumnType::Text => "text",
        ColumnType::Boolean => "boolean",
        ColumnType::Timestamp => "timestamptz",
        ColumnType::Json => "jsonb",
    }
}

/// Whether a column of PostgreSQL's internal type takes what we write for ours.
pub(crate) fn fits(kind: ColumnType, internal: &str) -> bool {
    match kind {
        ColumnType::Bigint => internal == "int8",
        ColumnType::Double => internal == "float8",
        ColumnType::Text => ["text", "varchar"].contains(&internal),
        ColumnType::Boolean => internal == "bool",
        ColumnType::Timestamp => internal == "timestamptz",
        ColumnType::Json => internal == "jsonb",
    }
}

/// What is wrong with the columns that a table has.
pub(crate) fn misfit(schema: &Schema, found: &[(String, String)]) -> Option<String> {
    schema.columns.iter().find_map(|column| {
        let table = &schema.table;
        match found.iter().find(|(name, _)| *name == column.name) {
            None => Some(format!("table '{table}' has no column '{}': add it, or leave it out of the sink", column.name)),
            Some((_, internal)) if !fits(column.kind, internal) => Some(format!(
                "column '{}' of table '{table}' is {internal}, and the sink writes {}: give one of them the other's type",
                column.name,
                type_name(column.kind)
            )),
            Some(_) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use sink::Source;

    use super::*;

    #[test]
    fn names_are_quoted() {
        let column = |name: &str, required| Column {
            name: name.to_owned(),
            source: Source::Field(vec![name.to_owned()]),
            kind: ColumnType::Double,
            required,
        };
        let columns = vec![column("a\"b", false), column("c", true)];
        let schema = Schema::new("s.t", columns, &[], false).expect("a table");
        assert_eq!(
            create_table(&schema),
            "CREATE TABLE IF NOT EXISTS \"s\".\"t\" (\n  \"a\"\"b\" double precision,\n  \"c\" double precision NOT NULL\n)"
        );
        assert_eq!(copy(&schema), "COPY \"s\".\"t\" (\"a\"\"b\", \"c\") FROM STDIN (FORMAT binary)");
    }
}
