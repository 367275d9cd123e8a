//! A sink as its file says it.
//!
//! - F1 What is not understood is refused with its line: a key that does nothing would be one that is believed to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use model::TopicName;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::condition::Condition;
use crate::flush::Flush;
use crate::schema::{Column, ColumnType};

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
    /// The columns, where the file states them; else the first records say.
    pub columns: Vec<Column>,
    /// Which records it takes.
    pub condition: Condition,
    /// When rows are written.
    pub flush: Flush,
    /// Where the database is.
    pub database: Database,
}

/// Where to begin in a partition that was never read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At the oldest record.
    Earliest,
    /// After the newest one.
    Latest,
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

/// A path as it is written: names with dots between.
pub(crate) fn path(text: &str) -> Option<Vec<String>> {
    let path: Vec<String> = text.split('.').map(str::to_owned).collect();
    (!path.iter().any(String::is_empty)).then_some(path)
}

impl Definition {
    /// Reads a file's text.
    ///
    /// # Errors
    /// It is no TOML, says too little, or something that is not understood (F1).
    pub fn parse(text: &str) -> Result<Definition, DefinitionError> {
        read(text).map_err(|fault| {
            let line = 1 + text.bytes().take(fault.at).filter(|&byte| byte == b'\n').count();
            DefinitionError { line, problem: fault.problem }
        })
    }
}

/// What is wrong, and the byte where it is.
struct Fault {
    at: usize,
    problem: String,
}

fn fault<T>(at: usize, problem: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { at, problem: problem.into() })
}

fn read(text: &str) -> Result<Definition, Fault> {
    let document = DeTable::parse(text).map_err(|error| Fault {
        at: error.span().map_or(0, |span| span.start),
        problem: error.message().to_owned(),
    })?;
    let mut keys = Keys::new("", 0, document.get_ref());
    let name = keys.required("name")?.text()?;
    let definition = Definition {
        topics: keys.required("topics")?.topics()?,
        bootstrap: keys.optional("bootstrap").map(|entry| entry.addresses()).transpose()?,
        group: keys.optional("group").map_or_else(|| Ok(format!("sink-{name}")), |entry| entry.text())?,
        begin: keys.optional("begin").map_or(Ok(Begin::Earliest), |entry| entry.begin())?,
        table: keys.required("table")?.text()?,
        columns: keys.optional("columns").map_or_else(|| Ok(Vec::new()), |entry| entry.columns())?,
        condition: keys
            .optional("where")
            .map_or_else(|| Ok(Condition::default()), |entry| entry.condition())?,
        flush: keys.optional("flush").map_or_else(|| Ok(Flush::default()), |entry| entry.flush())?,
        database: keys.required("database")?.database()?,
        name,
    };
    keys.end()?;
    Ok(definition)
}

/// The keys of one table that were not asked for yet.
struct Keys<'a> {
    prefix: String,
    at: usize,
    left: BTreeMap<&'a str, Entry<'a>>,
}

impl<'a> Keys<'a> {
    fn new(prefix: &str, at: usize, table: &'a DeTable<'a>) -> Keys<'a> {
        let entry = |(name, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let name: &str = AsRef::<str>::as_ref(name.get_ref() as &std::borrow::Cow<'a, str>);
            (name, Entry { key: format!("{prefix}{name}"), value })
        };
        Keys { prefix: prefix.to_owned(), at, left: table.iter().map(entry).collect() }
    }

    fn optional(&mut self, name: &str) -> Option<Entry<'a>> {
        self.left.remove(name)
    }

    fn required(&mut self, name: &str) -> Result<Entry<'a>, Fault> {
        match self.left.remove(name) {
            Some(entry) => Ok(entry),
            None => fault(self.at, format!("'{}{name}' is missing", self.prefix)),
        }
    }

    fn end(self) -> Result<(), Fault> {
        match self.left.into_values().min_by_key(Entry::at) {
            None => Ok(()),
            Some(entry) => fault(entry.at(), format!("'{}' is no key of a sink", entry.key)),
        }
    }
}

/// A key and its value.
struct Entry<'a> {
    key: String,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Entry<'a> {
    fn at(&self) -> usize {
        self.value.span().start
    }

    fn refused<T>(&self, expected: &str) -> Result<T, Fault> {
        fault(self.at(), format!("'{}' is to be {expected}", self.key))
    }

    fn text(&self) -> Result<String, Fault> {
        match self.value.get_ref() {
            DeValue::String(text) if !text.is_empty() => Ok(text.to_string()),
            _ => self.refused("a text"),
        }
    }

    fn boolean(&self) -> Result<bool, Fault> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Ok(*value),
            _ => self.refused("true or false"),
        }
    }

    fn positive(&self) -> Result<usize, Fault> {
        let number = match self.value.get_ref() {
            DeValue::Integer(number) => usize::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        number.filter(|number| 0 < *number).map_or_else(|| self.refused("a whole number from 1 on"), Ok)
    }

    fn table(&self) -> Result<Keys<'a>, Fault> {
        match self.value.get_ref() {
            DeValue::Table(table) => Ok(Keys::new(&format!("{}.", self.key), self.at(), table)),
            _ => self.refused("a table"),
        }
    }

    fn texts(&self) -> Result<Vec<String>, Fault> {
        let DeValue::Array(entries) = self.value.get_ref() else {
            return Ok(vec![self.text()?]);
        };
        let text = |value| Entry { key: self.key.clone(), value }.text();
        let texts = entries.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        if texts.is_empty() { self.refused("at least one text") } else { Ok(texts) }
    }

    fn topics(&self) -> Result<Vec<TopicName>, Fault> {
        let topic = |name: String| {
            TopicName::parse(&name).map_err(|error| Fault { at: self.at(), problem: error.to_string() })
        };
        self.texts()?.into_iter().map(topic).collect()
    }

    fn addresses(&self) -> Result<Vec<String>, Fault> {
        let addresses = self.texts()?;
        match addresses.iter().all(|address| client::parse_address(address).is_some()) {
            true => Ok(addresses),
            false => self.refused("HOST:PORT"),
        }
    }

    fn begin(&self) -> Result<Begin, Fault> {
        match self.text()?.as_str() {
            "earliest" => Ok(Begin::Earliest),
            "latest" => Ok(Begin::Latest),
            _ => self.refused("\"earliest\" or \"latest\""),
        }
    }

    fn condition(&self) -> Result<Condition, Fault> {
        let text = self.text()?;
        Condition::parse(&text).map_err(|error| Fault { at: self.at(), problem: error.to_string() })
    }

    /// Columns come in the order of the text.
    fn columns(&self) -> Result<Vec<Column>, Fault> {
        let mut entries: Vec<_> = self.table()?.left.into_iter().collect();
        entries.sort_by_key(|(_, entry)| entry.at());
        if entries.is_empty() {
            return self.refused("a table with a column at least");
        }
        entries.into_iter().map(|(name, entry)| entry.column(name)).collect()
    }

    /// `speed = "double"`, or `user = { path = "user.id", type = "bigint", required = true }`.
    fn column(&self, name: &str) -> Result<Column, Fault> {
        if let DeValue::String(_) = self.value.get_ref() {
            let kind = self.column_type()?;
            return Ok(Column { name: name.to_owned(), path: vec![name.to_owned()], kind, required: false });
        }
        let mut keys = self.table()?;
        let column = Column {
            name: name.to_owned(),
            path: keys.optional("path").map_or_else(|| Ok(vec![name.to_owned()]), |entry| entry.path())?,
            kind: keys.required("type")?.column_type()?,
            required: keys.optional("required").map_or(Ok(false), |entry| entry.boolean())?,
        };
        keys.end()?;
        Ok(column)
    }

    fn path(&self) -> Result<Vec<String>, Fault> {
        path(&self.text()?).map_or_else(|| self.refused("names with dots between"), Ok)
    }

    fn column_type(&self) -> Result<ColumnType, Fault> {
        let names = ColumnType::ALL.map(ColumnType::name).join(", ");
        ColumnType::named(&self.text()?).map_or_else(|| self.refused(&format!("one of {names}")), Ok)
    }

    fn flush(&self) -> Result<Flush, Fault> {
        let mut keys = self.table()?;
        let mut flush = Flush::default();
        if let Some(rows) = keys.optional("rows") {
            flush.rows = rows.positive()?;
        }
        if let Some(bytes) = keys.optional("bytes") {
            flush.bytes = bytes.positive()?;
        }
        if let Some(age) = keys.optional("age_ms") {
            flush.age = Duration::from_millis(u64::try_from(age.positive()?).unwrap_or(u64::MAX));
        }
        keys.end()?;
        Ok(flush)
    }

    fn database(&self) -> Result<Database, Fault> {
        let mut keys = self.table()?;
        let url = keys.required("url")?.text()?;
        let variable = keys.optional("password_env");
        let file = keys.optional("password_file");
        let password = match (variable, file) {
            (Some(_), Some(file)) => {
                return fault(file.at(), "one of 'password_env' and 'password_file' will do");
            }
            (Some(variable), None) => Some(Password::Variable(variable.text()?)),
            (None, Some(file)) => Some(Password::File(file.text()?)),
            (None, None) => None,
        };
        keys.end()?;
        Ok(Database { url, password })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let column =
            |name: &str, path, kind, required| Column { name: name.to_owned(), path, kind, required };
        assert_eq!(
            sink.columns,
            [column("user", user, ColumnType::Bigint, true), column("at", at, ColumnType::Timestamp, false)]
        );
        assert_eq!(sink.flush, Flush { rows: 1_000, bytes: 256, age: Duration::from_millis(20) });
        assert_eq!(sink.database.password, Some(Password::File("secret".to_owned())));
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
        check(
            "where = 'a'",
            "line 1: one of = != < <= > >= is expected behind 'a'; a condition looks like: type = 'ride' and speed >= 3.5",
        );
        let nothing = Definition::parse("").expect_err("no sink");
        assert_eq!(nothing.to_string(), "line 1: 'name' is missing");
    }
}
