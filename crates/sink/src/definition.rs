//! A sink as its file says it.
//!
//! - F1 What is not understood is refused with its line: a key that does nothing would be one that is believed to.

mod file;

use std::fmt;
use std::time::Duration;

use model::TopicName;

use crate::condition::Condition;
use crate::flush::Flush;
use crate::schema::{Column, Schema, Source};

/// A sink.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Its name, under which the database keeps how far it came.
    pub name: String,
    /// The topics it reads; never none.
    pub topics: Vec<TopicName>,
    /// Addresses to find the cluster at, where the file names them.
    pub bootstrap: Option<Vec<String>>,
    /// The group its workers share the partitions in.
    pub group: String,
    /// Where it begins in a partition that it never read.
    pub begin: Begin,
    /// The table it writes to.
    pub table: String,
    /// The columns that the file states. Where none of them comes from a field, the first records say which do.
    pub columns: Vec<Column>,
    /// The names of the columns that a row is known by; none where rows are only appended.
    pub key: Vec<String>,
    /// What a record without a value means.
    pub tombstones: Tombstones,
    /// The topic for records that are refused; without one their partition waits.
    pub dead_letters: Option<TopicName>,
    /// Which records it takes.
    pub condition: Condition,
    /// When rows are written.
    pub flush: Flush,
    /// How long after a worker's last sign of life others are to be writing what it had, from 7 s on; a shorter one is how
    /// long its group waits for a sign of life.
    pub session_timeout: Duration,
    /// Where the database is.
    pub database: Database,
}

/// A little above the shortest that works with a broker as it comes: rows of a killed worker should not wait for long.
const SESSION_TIMEOUT: Duration = Duration::from_secs(8);

/// Where to begin in a partition that was never read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At the oldest record.
    Earliest,
    /// After the newest one.
    Latest,
}

/// What a record without a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tombstones {
    /// It is refused, as any record that is no row.
    Refuse,
    /// Nothing.
    Skip,
    /// The row of its key is to go.
    Delete,
}

/// Where a database is, and where its password is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Its address, without a password.
    pub url: String,
    /// The password.
    pub password: Option<Password>,
}

/// Where a password is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// In the environment, under this name.
    Variable(String),
    /// In a file, whose last line may end.
    File(String),
}

/// A sink in a list of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Listed {
    /// All of it.
    Here(Box<Definition>),
    /// The file that it is in.
    File(String),
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there, and what to do.
    pub problem: String,
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for DefinitionError {}

/// The line of a byte, counted from 1.
fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count()
}

/// Behind the name of a sink whose letters are driven in again: what the database knows that by.
const RETRY: &str = "/retry";

/// A path as it is written: names with dots between.
pub(crate) fn path(text: &str) -> Option<Vec<String>> {
    let path: Vec<String> = text.split('.').map(str::to_owned).collect();
    (!path.iter().any(String::is_empty)).then_some(path)
}

impl Definition {
    /// The sink that a file with no more than this describes; the columns may be none.
    pub fn new(
        name: &str,
        topics: Vec<TopicName>,
        table: &str,
        columns: Vec<Column>,
        database: Database,
    ) -> Definition {
        Definition {
            name: name.to_owned(),
            topics,
            bootstrap: None,
            group: format!("sink-{name}"),
            begin: Begin::Earliest,
            table: table.to_owned(),
            columns,
            key: Vec::new(),
            tombstones: Tombstones::Refuse,
            dead_letters: None,
            condition: Condition::default(),
            flush: Flush::default(),
            session_timeout: SESSION_TIMEOUT,
            database,
        }
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// It is no TOML, says too little, or something that is not understood (F1).
    pub fn parse(text: &str) -> Result<Definition, DefinitionError> {
        file::read(text).map_err(|fault| fault.in_text(text))
    }

    /// Reads the tables `[[sink]]` of a text in which there is more, each with its line.
    ///
    /// # Errors
    /// As [`Definition::parse`], for the first that is none.
    pub fn parse_listed(text: &str) -> Result<Vec<(usize, Listed)>, DefinitionError> {
        let listed = file::read_listed(text).map_err(|fault| fault.in_text(text))?;
        Ok(listed.into_iter().map(|(at, listed)| (line_of(text, at), listed)).collect())
    }

    /// The sink whose letters are written and driven in again.
    pub(crate) fn name_in_letters(&self) -> &str {
        self.name.strip_suffix(RETRY).unwrap_or(&self.name)
    }

    /// The same sink, reading the letters it wrote.
    pub(crate) fn of_retry(&self, letters: TopicName) -> Definition {
        Definition {
            name: format!("{}{RETRY}", self.name),
            topics: vec![letters],
            group: format!("{}{RETRY}", self.group),
            begin: Begin::Earliest,
            ..self.clone()
        }
    }

    /// Whether records say which columns come from their fields.
    pub fn is_inferred(&self) -> bool {
        !self.columns.iter().any(|column| matches!(column.source, Source::Field(_)))
    }

    /// The table, where the stated columns are all it has, or with these more from fields; a stated name is the stated
    /// column's.
    ///
    /// # Errors
    /// It would be none: see [`Schema::new`].
    pub fn schema(&self, fields: Vec<Column>) -> Result<Schema, String> {
        let mut columns = fields;
        columns.retain(|field| !self.columns.iter().any(|stated| stated.name == field.name));
        columns.extend(self.columns.iter().cloned());
        Schema::new(&self.table, columns, &self.key, self.is_inferred())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::ColumnType;

    const LEAST: &str = "name = 'rides'\ntopics = 'a'\ntable = 't'\n[database]\nurl = 'postgres://h/d'\n";

    #[test]
    fn little_is_enough() {
        let sink = Definition::parse(LEAST).expect("a sink");
        assert_eq!((sink.group.as_str(), sink.begin), ("sink-rides", Begin::Earliest));
        assert_eq!(
            (sink.columns, sink.condition, sink.flush),
            (vec![], Condition::default(), Flush::default())
        );
        assert_eq!(sink.database, Database { url: "postgres://h/d".to_owned(), password: None });
    }

    #[test]
    fn everything_can_be_said() {
        let text = r#"
            name = "rides"
            topics = ["a", "b"]
            bootstrap = ["h:1", "i:2"]
            group = "g"
            begin = "latest"
            table = "s.t"
            where = "speed > 1"
            session_timeout_ms = 6_000
            [columns]
            user = { path = "user.id", type = "bigint", required = true }
            at = "timestamp"
            [flush]
            rows = 1_000
            bytes = 0x100
            age_ms = 20
            [database]
            url = "postgres://h/d"
            password_file = "secret""#;
        let sink = Definition::parse(text).expect("a sink");
        assert_eq!(sink.topics.len(), 2);
        assert_eq!(sink.bootstrap, Some(vec!["h:1".to_owned(), "i:2".to_owned()]));
        assert_eq!((sink.group.as_str(), sink.begin, sink.table.as_str()), ("g", Begin::Latest, "s.t"));
        let (user, at) = (vec!["user".to_owned(), "id".to_owned()], vec!["at".to_owned()]);
        let column = |name: &str, path, kind, required| Column {
            name: name.to_owned(),
            source: Source::Field(path),
            kind,
            required,
        };
        assert_eq!(
            sink.columns,
            [column("user", user, ColumnType::Bigint, true), column("at", at, ColumnType::Timestamp, false)]
        );
        assert_eq!(sink.session_timeout, Duration::from_secs(6));
        assert_eq!(sink.flush, Flush { rows: 1_000, bytes: 256, age: Duration::from_millis(20) });
        assert_eq!(sink.database.password, Some(Password::File("secret".to_owned())));
    }

    #[test]
    fn a_row_is_known_by_its_key_and_says_where_it_is_from() {
        let text = "mode = 'upsert'\nkey = ['id', 'n']\ntombstones = 'delete'\ndead_letters = 'd'\n\
                    columns.id = { from = 'key', path = 'id', type = 'bigint' }\ncolumns.n = { from = 'key' }\n\
                    columns.at = { from = 'timestamp' }\ncolumns.h = { from = 'headers' }\n";
        let sink = Definition::parse(&format!("{text}{LEAST}")).expect("a sink");
        assert!(sink.is_inferred());
        let field = Column {
            name: "x".to_owned(),
            source: Source::Field(vec!["x".to_owned()]),
            kind: ColumnType::Double,
            required: false,
        };
        let stated = Column { name: "at".to_owned(), ..field.clone() };
        let schema = sink.schema(vec![field, stated]).expect("a table");
        let shown = |column: &Column| {
            format!(
                "{}={}:{}{}",
                column.name,
                column.source,
                column.kind,
                if column.required { "!" } else { "" }
            )
        };
        assert_eq!(
            schema.columns.iter().map(shown).collect::<Vec<_>>(),
            ["x=x:double", "id=key.id:bigint!", "n=key:text!", "at=timestamp:timestamp", "h=headers:json"]
        );
        assert_eq!((schema.key, sink.tombstones), (vec![1, 2], Tombstones::Delete));
    }

    #[track_caller]
    fn check(more: &str, expected: &str) {
        let text = format!("{more}\n{LEAST}");
        let error = Definition::parse(&text).expect_err("no sink");
        assert_eq!(error.to_string(), expected, "{text}");
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_line() {
        check("grupe = 'x'", "line 1: 'grupe' is no key of a sink");
        check("\nbegin = 'middle'", "line 2: 'begin' is to be \"earliest\" or \"latest\"");
        check("flush.rows = 0", "line 1: 'flush.rows' is to be a whole number from 1 on");
        check("flush.row = 1", "line 1: 'flush.row' is no key of a sink");
        check("bootstrap = 'h:x'", "line 1: 'bootstrap' is to be HOST:PORT");
        check(
            "columns.a = 'int'",
            "line 1: 'columns.a' is to be one of bigint, double, text, boolean, timestamp, json",
        );
        check("columns.a.path = 'b'", "line 1: 'columns.a.type' is missing");
        check("mode = 'upsert'", "line 1: mode 'upsert' needs a key: the columns that a row is known by");
        check("key = 'a'", "line 1: a key is for mode 'upsert'");
        check(
            "mode = 'upsert'\nkey = 'a'\ncolumns.b = 'text'",
            "line 2: the key names 'a', which is no column of table 't'",
        );
        check(
            "mode = 'upsert'\nkey = 'a'\ncolumns.a = 'json'",
            "line 2: the key names 'a', which is json: no type to know a row by",
        );
        check(
            "mode = 'upsert'\nkey = 'a'\ncolumns.a = 'text'\ntombstones = 'delete'",
            "line 4: a record without a value has nothing but its key: 'delete' needs mode 'upsert', and a key of columns \
             that state from = \"key\"",
        );
        check("columns.a = { from = 'offset', type = 'text' }", "line 1: offset is bigint");
        check(
            "columns.a = { from = 'nowhere' }",
            "line 1: 'columns.a.from' is to be one of key, topic, partition, offset, timestamp, headers",
        );
        check(
            "where = 'a'",
            "line 1: one of = != < <= > >= is expected behind 'a'; a condition looks like: type = 'ride' and speed >= 3.5",
        );
        let nothing = Definition::parse("").expect_err("no sink");
        assert_eq!(nothing.to_string(), "line 1: 'name' is missing");
    }
}
