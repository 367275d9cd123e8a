//! A sink's file, key by key.

use std::collections::BTreeMap;
use std::time::Duration;

use model::TopicName;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Begin, Database, Definition, DefinitionError, Listed, Password, Tombstones, line_of, path};
use crate::condition::Condition;
use crate::flush::Flush;
use crate::schema::{Column, ColumnType, Source};

/// What is wrong, and the byte where it is.
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) problem: String,
}

impl Fault {
    pub(super) fn in_text(self, text: &str) -> DefinitionError {
        DefinitionError { line: line_of(text, self.at), problem: self.problem }
    }
}

fn fault<T>(at: usize, problem: impl Into<String>) -> Result<T, Fault> {
    Err(Fault { at, problem: problem.into() })
}

/// Reads a file's text.
pub(super) fn read(text: &str) -> Result<Definition, Fault> {
    definition(Keys::new("", 0, document(text)?.get_ref()))
}

/// Reads the tables `[[sink]]` of a file's text, of which other keys are somebody else's; each with the byte where it is.
pub(super) fn read_listed(text: &str) -> Result<Vec<(usize, Listed)>, Fault> {
    let document = document(text)?;
    let Some(entry) = Keys::new("", 0, document.get_ref()).optional("sink") else { return Ok(Vec::new()) };
    let DeValue::Array(tables) = entry.value.get_ref() else { return entry.refused("tables: [[sink]]") };
    let listed = |value| {
        let entry = Entry { key: entry.key.clone(), value };
        let mut keys = entry.table()?;
        let listed = match keys.optional("file") {
            None => Listed::Here(Box::new(definition(keys)?)),
            Some(file) => {
                keys.end()?;
                Listed::File(file.text()?)
            }
        };
        Ok((entry.at(), listed))
    };
    tables.iter().map(listed).collect()
}

fn document(text: &str) -> Result<Spanned<DeTable<'_>>, Fault> {
    DeTable::parse(text).map_err(|error| Fault {
        at: error.span().map_or(0, |span| span.start),
        problem: error.message().to_owned(),
    })
}

fn definition(mut keys: Keys<'_>) -> Result<Definition, Fault> {
    let name = keys.required("name")?.text()?;
    let (mode, key) = (keys.optional("mode"), keys.optional("key"));
    let tombstones = keys.optional("tombstones");
    let (topics, table) = (keys.required("topics")?.topics()?, keys.required("table")?.text()?);
    let columns = keys.optional("columns").map_or_else(|| Ok(Vec::new()), |entry| entry.columns())?;
    let database = keys.required("database")?.database()?;
    let mut definition = Definition::new(&name, topics, &table, columns, database);
    definition.bootstrap = keys.optional("bootstrap").map(|entry| entry.addresses()).transpose()?;
    if let Some(entry) = keys.optional("group") {
        definition.group = entry.text()?;
    }
    if let Some(entry) = keys.optional("begin") {
        definition.begin = entry.begin()?;
    }
    definition.key = names_of_key(mode.as_ref(), key.as_ref())?;
    if let Some(entry) = &tombstones {
        definition.tombstones = entry.tombstones()?;
    }
    definition.dead_letters = keys.optional("dead_letters").map(|entry| entry.topic()).transpose()?;
    if let Some(entry) = keys.optional("where") {
        definition.condition = entry.condition()?;
    }
    if let Some(entry) = keys.optional("flush") {
        definition.flush = entry.flush()?;
    }
    if let Some(entry) = keys.optional("session_timeout_ms") {
        definition.session_timeout = entry.millis()?;
    }
    keys.end()?;
    if !definition.is_inferred() {
        definition.schema(Vec::new()).or_else(|problem| fault(key.as_ref().map_or(0, Entry::at), problem))?;
    }
    let has_key_of_record = |name: &String| {
        let column = definition.columns.iter().find(|column| column.name == *name);
        column.is_some_and(|column| matches!(column.source, Source::Key(_)))
    };
    if definition.tombstones == Tombstones::Delete
        && (definition.key.is_empty() || !definition.key.iter().all(has_key_of_record))
    {
        return fault(
            tombstones.as_ref().map_or(0, Entry::at),
            "a record without a value has nothing but its key: 'delete' needs mode 'upsert', and a key of columns that \
             state from = \"key\"",
        );
    }
    Ok(definition)
}

/// The names of the columns that rows are known by, which go with a mode.
fn names_of_key(mode: Option<&Entry<'_>>, key: Option<&Entry<'_>>) -> Result<Vec<String>, Fault> {
    let is_upsert = mode.map_or(Ok(false), Entry::is_upsert)?;
    match (mode, key) {
        (Some(_), Some(key)) if is_upsert => key.texts(),
        (Some(mode), None) if is_upsert => {
            fault(mode.at(), "mode 'upsert' needs a key: the columns that a row is known by")
        }
        (_, Some(key)) => fault(key.at(), "a key is for mode 'upsert'"),
        (_, None) => Ok(Vec::new()),
    }
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
        self.texts()?.iter().map(|name| self.topic_of(name)).collect()
    }

    fn topic(&self) -> Result<TopicName, Fault> {
        self.topic_of(&self.text()?)
    }

    fn topic_of(&self, name: &str) -> Result<TopicName, Fault> {
        TopicName::parse(name).map_err(|error| Fault { at: self.at(), problem: error.to_string() })
    }

    /// Of the two modes.
    fn is_upsert(&self) -> Result<bool, Fault> {
        match self.text()?.as_str() {
            "append" => Ok(false),
            "upsert" => Ok(true),
            _ => self.refused("\"append\" or \"upsert\""),
        }
    }

    fn tombstones(&self) -> Result<Tombstones, Fault> {
        match self.text()?.as_str() {
            "refuse" => Ok(Tombstones::Refuse),
            "skip" => Ok(Tombstones::Skip),
            "delete" => Ok(Tombstones::Delete),
            _ => self.refused("\"refuse\", \"skip\" or \"delete\""),
        }
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

    /// `speed = "double"`, or `user = { path = "user.id", type = "bigint", required = true }`, or `at = { from =
    /// "timestamp" }`.
    fn column(&self, name: &str) -> Result<Column, Fault> {
        if let DeValue::String(_) = self.value.get_ref() {
            let (source, kind) = (Source::Field(vec![name.to_owned()]), self.column_type()?);
            return Ok(Column { name: name.to_owned(), source, kind, required: false });
        }
        let mut keys = self.table()?;
        let path = keys.optional("path").map(|entry| entry.path()).transpose()?;
        let (source, kind) = match keys.optional("from") {
            None => {
                let path = path.unwrap_or_else(|| vec![name.to_owned()]);
                (Source::Field(path), keys.required("type")?.column_type()?)
            }
            Some(from) => {
                let (source, kind) = from.source(path)?;
                let stated =
                    keys.optional("type").map(|entry| entry.column_type_for(&source, kind)).transpose()?;
                (source, stated.unwrap_or(kind))
            }
        };
        let required = keys.optional("required").map_or(Ok(false), |entry| entry.boolean())?;
        keys.end()?;
        Ok(Column { name: name.to_owned(), source, kind, required })
    }

    /// What of a record a column is from, and the type of that.
    fn source(&self, path: Option<Vec<String>>) -> Result<(Source, ColumnType), Fault> {
        let from = self.text()?;
        if from != "key" && path.is_some() {
            return fault(self.at(), format!("'{from}' has no path in it"));
        }
        Ok(match from.as_str() {
            "key" => (Source::Key(path.unwrap_or_default()), ColumnType::Text),
            "topic" => (Source::Topic, ColumnType::Text),
            "partition" => (Source::Partition, ColumnType::Bigint),
            "offset" => (Source::Offset, ColumnType::Bigint),
            "timestamp" => (Source::Timestamp, ColumnType::Timestamp),
            "headers" => (Source::Headers, ColumnType::Json),
            _ => return self.refused("one of key, topic, partition, offset, timestamp, headers"),
        })
    }

    /// A type that is stated although the source has one; only a key can be anything.
    fn column_type_for(&self, source: &Source, natural: ColumnType) -> Result<ColumnType, Fault> {
        let kind = self.column_type()?;
        match source {
            Source::Key(_) => Ok(kind),
            _ if kind == natural => Ok(kind),
            _ => fault(self.at(), format!("{source} is {natural}")),
        }
    }

    fn path(&self) -> Result<Vec<String>, Fault> {
        path(&self.text()?).map_or_else(|| self.refused("names with dots between"), Ok)
    }

    fn column_type(&self) -> Result<ColumnType, Fault> {
        let names = ColumnType::ALL.map(ColumnType::name).join(", ");
        ColumnType::named(&self.text()?).map_or_else(|| self.refused(&format!("one of {names}")), Ok)
    }

    fn millis(&self) -> Result<Duration, Fault> {
        Ok(Duration::from_millis(u64::try_from(self.positive()?).unwrap_or(u64::MAX)))
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
            flush.age = age.millis()?;
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
