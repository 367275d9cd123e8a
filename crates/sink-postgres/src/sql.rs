//! The statements, as text.

use sink::{Column, ColumnType, Quote, Schema};

use crate::table::Put;

/// How names are written.
pub(crate) const QUOTE: Quote = Quote('"');

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

/// The columns of a table: its name, quoted. Of a domain counts what it restricts.
pub(crate) const COLUMNS: &str = "\
SELECT a.attname::text, coalesce(b.typname, t.typname)::text, coalesce(b.typtype, t.typtype) = 'e',
  format_type(a.atttypid, a.atttypmod), (a.atthasdef OR a.attidentity <> '') AND a.attgenerated = '',
  a.attgenerated <> '', a.attnotnull
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
WHERE a.attrelid = to_regclass($1) AND 0 < a.attnum AND NOT a.attisdropped ORDER BY a.attnum";

/// The columns of each unique index by which an upsert finds rows: the table's name, quoted.
pub(crate) const UNIQUE: &str = "\
SELECT array(SELECT a.attname::text FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) k
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k)
FROM pg_index i
WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indpred IS NULL AND i.indexprs IS NULL";

/// Whether the table of offsets is there.
pub(crate) const HAS_OFFSETS: &str = "SELECT to_regclass('ottla_offsets') IS NOT NULL";

/// Where rows lie that go through statements of ours before they are in the table; each connection has its own.
const STAGE: &str = "ottla_rows";

/// Makes the table.
pub(crate) fn create_table(schema: &Schema) -> String {
    let mut lines: Vec<_> = schema.columns.iter().map(|column| format!("  {}", declared(column))).collect();
    if !schema.key.is_empty() {
        lines.push(format!("  PRIMARY KEY ({})", QUOTE.columns(schema, &schema.key)));
    }
    format!("CREATE TABLE IF NOT EXISTS {} (\n{}\n)", QUOTE.table(&schema.table), lines.join(",\n"))
}

/// Adds columns to the table.
pub(crate) fn add_columns(schema: &Schema, columns: &[&Column]) -> String {
    let columns: Vec<_> =
        columns.iter().map(|column| format!("ADD COLUMN IF NOT EXISTS {}", declared(column))).collect();
    format!("ALTER TABLE {} {}", QUOTE.table(&schema.table), columns.join(", "))
}

fn declared(column: &Column) -> String {
    let not_null = if column.required { " NOT NULL" } else { "" };
    format!("{} {}{not_null}", QUOTE.name(&column.name), type_name(column.kind))
}

/// The statements about one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statements {
    /// Its name, quoted.
    table: String,
    pub(crate) puts: Vec<Put>,
    key: Vec<usize>,
}

/// Where the rows of an INSERT are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// In the stage.
    Stage,
    /// In parameters, an array for each column.
    Arrays,
}

impl Statements {
    pub(crate) fn new(schema: &Schema, puts: Vec<Put>) -> Statements {
        Statements { table: QUOTE.table(&schema.table), puts, key: schema.key.clone() }
    }

    /// Whether rows can be copied into these columns as they are.
    pub(crate) fn is_plain(&self, columns: &[usize]) -> bool {
        columns.iter().all(|&column| self.puts[column].is_plain())
    }

    /// Whether rows replace what is there.
    pub(crate) fn has_key(&self) -> bool {
        !self.key.is_empty()
    }

    /// Makes the stage.
    pub(crate) fn create_stage(&self) -> String {
        let columns: Vec<_> = self.puts.iter().map(|put| format!("{} {}", put.name, put.staged)).collect();
        format!("CREATE TEMPORARY TABLE {STAGE} ({}) ON COMMIT DELETE ROWS", columns.join(", "))
    }

    pub(crate) const DROP_STAGE: &str = "DROP TABLE IF EXISTS pg_temp.ottla_rows";
    pub(crate) const CLEAR_STAGE: &str = "TRUNCATE pg_temp.ottla_rows";

    /// Takes rows into the table itself.
    pub(crate) fn copy(&self, columns: &[usize]) -> String {
        format!("COPY {} ({}) FROM STDIN (FORMAT binary)", self.table, self.names(columns))
    }

    /// Takes rows into the stage.
    pub(crate) fn copy_to_stage(&self, columns: &[usize]) -> String {
        format!("COPY pg_temp.{STAGE} ({}) FROM STDIN (FORMAT binary)", self.names(columns))
    }

    /// Brings rows into the table; where it has a key, over those that are there.
    pub(crate) fn insert(&self, columns: &[usize], from: From) -> String {
        let values: Vec<_> = columns.iter().map(|&column| self.expression(column, "s")).collect();
        let source = match from {
            From::Stage => format!("pg_temp.{STAGE} AS s"),
            From::Arrays => self.arrays(columns, "s"),
        };
        let (names, values) = (self.names(columns), values.join(", "));
        format!("INSERT INTO {} ({names}) SELECT {values} FROM {source}{}", self.table, self.on_conflict())
    }

    /// A row of nothing but defaults.
    pub(crate) fn insert_defaults(&self) -> String {
        format!("INSERT INTO {} DEFAULT VALUES", self.table)
    }

    /// Takes rows away whose keys are in parameters.
    pub(crate) fn delete(&self) -> String {
        let is_it =
            |&column: &usize| format!("t.{} = {}", self.puts[column].name, self.expression(column, "s"));
        let are_they = self.key.iter().map(is_it).collect::<Vec<_>>().join(" AND ");
        format!("DELETE FROM {} AS t USING {} WHERE {are_they}", self.table, self.arrays(&self.key, "s"))
    }

    fn expression(&self, column: usize, source: &str) -> String {
        let put = &self.puts[column];
        put.expression(&format!("{source}.{}", put.name))
    }

    /// Arrays as rows.
    fn arrays(&self, columns: &[usize], alias: &str) -> String {
        let arrays = columns.iter().enumerate();
        let arrays: Vec<_> = arrays
            .map(|(index, &column)| format!("${}::{}[]", index + 1, self.puts[column].staged))
            .collect();
        format!("unnest({}) AS {alias}({})", arrays.join(", "), self.names(columns))
    }

    /// A column that was left out of the row has its default there, too.
    fn on_conflict(&self) -> String {
        if self.key.is_empty() {
            return String::new();
        }
        let others = (0..self.puts.len()).filter(|column| !self.key.contains(column));
        let set = |column: usize| format!("{0} = excluded.{0}", self.puts[column].name);
        let sets: Vec<_> = others.map(set).collect();
        let what =
            if sets.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", sets.join(", ")) };
        format!(" ON CONFLICT ({}) DO {what}", self.names(&self.key))
    }

    fn names(&self, columns: &[usize]) -> String {
        columns.iter().map(|&column| self.puts[column].name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// The type that a column of ours is made with.
pub(crate) fn type_name(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Bigint => "bigint",
        ColumnType::Double => "double precision",
        ColumnType::Text => "text",
        ColumnType::Boolean => "boolean",
        ColumnType::Timestamp => "timestamptz",
        ColumnType::Json => "jsonb",
    }
}

#[cfg(test)]
mod tests;
