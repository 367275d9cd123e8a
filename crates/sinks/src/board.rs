//! What a cluster's sinks say of themselves and are told, as it stands in the topic `ottla-sinks`.
//!
//! - B1 The newest record of a key is what holds; a record without a value, or one that cannot be read, says that nothing does.
//! - B2 Nothing grows with the dead: a worker that ends takes its record back, and one that fell silent is forgotten.
//!
//! | key | value |
//! |---|---|
//! | `sink/SINK` | what it reads and writes, by the worker that started last |
//! | `control/SINK` | whether it is to pause |
//! | `worker/SINK/ID` | how a worker does, every few seconds |
//!
//! Knows no cluster and no clock.

use std::collections::BTreeMap;
use std::time::Duration;

use client::TopicPartition;
use model::{Offset, TopicName};
use serde_json::{Map, Value, json};

/// Time between two reports of a worker.
pub(crate) const REPORT_INTERVAL: Duration = Duration::from_secs(3);

/// Without a report for so long a worker counts as silent.
const SILENCE: Duration = Duration::from_secs(15);

/// Without a report for so long a worker is forgotten, and a sink after the longer time.
const WORKER_MEMORY: Duration = Duration::from_secs(60 * 60);
const SINK_MEMORY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Partitions that one report has room for; of more the group's offsets have to do.
const PARTITIONS_MAX: usize = 2_000;

/// Characters of an error that a report has room for.
const ERROR_CHARACTERS_MAX: usize = 1_000;

/// What a record of the topic is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Sink(String),
    Control(String),
    Worker { sink: String, id: String },
}

impl Key {
    pub(crate) fn text(&self) -> String {
        match self {
            Key::Sink(sink) => format!("sink/{sink}"),
            Key::Control(sink) => format!("control/{sink}"),
            Key::Worker { sink, id } => format!("worker/{sink}/{id}"),
        }
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Key> {
        let (kind, name) = std::str::from_utf8(bytes).ok()?.split_once('/')?;
        match kind {
            "sink" => Some(Key::Sink(name.to_owned())),
            "control" => Some(Key::Control(name.to_owned())),
            "worker" => {
                // A sink's name may hold anything, an id does not.
                let (sink, id) = name.rsplit_once('/')?;
                Some(Key::Worker { sink: sink.to_owned(), id: id.to_owned() })
            }
            _ => None,
        }
    }
}

/// What a sink is, as far as others need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The topics it reads.
    pub topics: Vec<TopicName>,
    /// Its consumer group.
    pub group: String,
    /// The table it writes to.
    pub table: String,
    /// The kind of its database: the scheme of its url.
    pub database: String,
    /// Whether it begins at the oldest record of a partition.
    pub begins_at_start: bool,
    /// When its newest worker started.
    pub at_ms: i64,
}

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It looks for its table, or waits for its first record.
    Starting,
    /// It is a member of its group.
    Working,
    /// It was told to pause.
    Paused,
    /// It ended with an error.
    Failed,
}

impl Stage {
    const ALL: [Stage; 4] = [Stage::Starting, Stage::Working, Stage::Paused, Stage::Failed];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Starting => "starting",
            Stage::Working => "working",
            Stage::Paused => "paused",
            Stage::Failed => "failed",
        }
    }
}

/// How far a worker brought a partition that it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The first offset that is not in the table.
    pub next: Option<Offset>,
    /// When it last moved that.
    pub committed_at_ms: Option<i64>,
    /// Why it is not read on, where it is not.
    pub stopped: Option<String>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In whose words ever.
    pub error: String,
    /// When.
    pub at_ms: i64,
    /// Whether it is over.
    pub is_over: bool,
}

/// How a worker does.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// When it said so.
    pub at_ms: i64,
    /// When it started.
    pub started_at_ms: i64,
    /// What it is doing.
    pub stage: Stage,
    /// The machine it runs on, where that says its name.
    pub host: String,
    /// Its process there.
    pub pid: u32,
    /// Rows that it wrote.
    pub rows: u64,
    /// The same by the second, lately.
    pub rows_per_s: f64,
    /// When it last wrote.
    pub committed_at_ms: Option<i64>,
    /// What went wrong last.
    pub trouble: Option<Trouble>,
    /// The partitions it has.
    pub partitions: BTreeMap<TopicPartition, Standing>,
}

/// The start of an error that is too long to be shown.
pub(crate) fn shortened(error: &str) -> String {
    match error.char_indices().nth(ERROR_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &error[..end]),
        None => error.to_owned(),
    }
}

impl Identity {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "topics": self.topics.iter().map(TopicName::as_str).collect::<Vec<_>>(),
            "group": self.group,
            "table": self.table,
            "database": self.database,
            "begins_at_start": self.begins_at_start,
            "at": self.at_ms,
        })
    }

    fn from_json(value: &Value) -> Option<Identity> {
        let topics = value.get("topics")?.as_array()?.iter();
        Some(Identity {
            topics: topics.map(|topic| TopicName::parse(topic.as_str()?).ok()).collect::<Option<_>>()?,
            group: text(value, "group")?,
            table: text(value, "table")?,
            database: text(value, "database")?,
            begins_at_start: value.get("begins_at_start")?.as_bool()?,
            at_ms: value.get("at")?.as_i64()?,
        })
    }
}

impl Report {
    pub(crate) fn to_json(&self) -> Value {
        let mut partitions: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
        for (place, standing) in self.partitions.iter().take(PARTITIONS_MAX) {
            let standing = json!({
                "next": standing.next.map(|next| next.0),
                "committed_at": standing.committed_at_ms,
                "stopped": standing.stopped,
            });
            partitions
                .entry(place.topic.as_str())
                .or_default()
                .insert(place.partition.0.to_string(), standing);
        }
        json!({
            "at": self.at_ms,
            "started_at": self.started_at_ms,
            "stage": self.stage.name(),
            "host": self.host,
            "pid": self.pid,
            "rows": self.rows,
            "rows_per_s": self.rows_per_s,
            "last_commit_at": self.committed_at_ms,
            "last_error": self.trouble.as_ref().map(|trouble| &trouble.error),
            "last_error_at": self.trouble.as_ref().map(|trouble| trouble.at_ms),
            "in_trouble": self.trouble.as_ref().is_some_and(|trouble| !trouble.is_over),
            "partitions": partitions,
        })
    }

    fn from_json(value: &Value) -> Option<Report> {
        let stage = value.get("stage")?.as_str()?;
        let mut partitions = BTreeMap::new();
        for (topic, standings) in value.get("partitions")?.as_object()? {
            let topic = TopicName::parse(topic).ok()?;
            for (partition, standing) in standings.as_object()? {
                let place = TopicPartition::new(topic.clone(), partition.parse().ok()?);
                partitions.insert(place, standing_from(standing));
            }
        }
        let trouble = |error| {
            let at_ms = number(value, "last_error_at")?;
            Some(Trouble { error, at_ms, is_over: value.get("in_trouble")?.as_bool() == Some(false) })
        };
        Some(Report {
            at_ms: number(value, "at")?,
            started_at_ms: number(value, "started_at")?,
            stage: Stage::ALL.into_iter().find(|known| known.name() == stage)?,
            host: text(value, "host")?,
            pid: value.get("pid")?.as_u64()?.try_into().ok()?,
            rows: value.get("rows")?.as_u64()?,
            rows_per_s: value.get("rows_per_s")?.as_f64()?,
            committed_at_ms: number(value, "last_commit_at"),
            trouble: text(value, "last_error").and_then(trouble),
            partitions,
        })
    }

    /// Whether nothing was heard of it for so long that it may well be dead.
    pub fn is_silent(&self, now_ms: i64) -> bool {
        self.stage != Stage::Failed && is_older(self.at_ms, SILENCE, now_ms)
    }
}

fn standing_from(value: &Value) -> Standing {
    Standing {
        next: number(value, "next").map(Offset),
        committed_at_ms: number(value, "committed_at"),
        stopped: text(value, "stopped"),
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

fn number(value: &Value, key: &str) -> Option<i64> {
    value.get(key)?.as_i64()
}

fn is_older(at_ms: i64, age: Duration, now_ms: i64) -> bool {
    at_ms.saturating_add(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)) < now_ms
}

/// What `control/SINK` says.
pub(crate) fn control(is_paused: bool, at_ms: i64) -> Value {
    json!({ "paused": is_paused, "at": at_ms })
}

/// One sink, as the board has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// What it is; unknown of one that was told to pause and never ran.
    pub identity: Option<Identity>,
    /// Whether it is to pause.
    pub is_paused: bool,
    /// Its workers by their ids.
    pub workers: BTreeMap<String, Report>,
}

impl Entry {
    fn is_empty(&self) -> bool {
        self.identity.is_none() && !self.is_paused && self.workers.is_empty()
    }
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Board {
    sinks: BTreeMap<String, Entry>,
}

impl Board {
    /// The sinks by their names.
    pub fn sinks(&self) -> &BTreeMap<String, Entry> {
        &self.sinks
    }

    /// Takes in a record (B1).
    pub(crate) fn apply(&mut self, key: Key, value: Option<&[u8]>) {
        let value: Option<Value> = value.and_then(|bytes| serde_json::from_slice(bytes).ok());
        let (Key::Sink(name) | Key::Control(name) | Key::Worker { sink: name, .. }) = &key;
        let entry = self.sinks.entry(name.clone()).or_default();
        match &key {
            Key::Sink(_) => entry.identity = value.as_ref().and_then(Identity::from_json),
            Key::Control(_) => {
                entry.is_paused = value.is_some_and(|value| value.get("paused") == Some(&Value::Bool(true)));
            }
            Key::Worker { id, .. } => match value.as_ref().and_then(Report::from_json) {
                Some(report) => drop(entry.workers.insert(id.clone(), report)),
                None => drop(entry.workers.remove(id)),
            },
        }
        if entry.is_empty() {
            self.sinks.remove(name);
        }
    }

    /// Forgets what is too old to be told of, and returns its keys. `starting` is a sink whose next worker starts now: until
    /// then its failed and silent ones are shown.
    pub(crate) fn forget(&mut self, starting: Option<&str>, now_ms: i64) -> Vec<Key> {
        let mut forgotten = Vec::new();
        for (sink, entry) in &mut self.sinks {
            entry.workers.retain(|id, report| {
                let is_gone = report.stage == Stage::Failed || report.is_silent(now_ms);
                let has_successor = is_gone && starting == Some(sink);
                let stays = !has_successor && !is_older(report.at_ms, WORKER_MEMORY, now_ms);
                if !stays {
                    forgotten.push(Key::Worker { sink: sink.clone(), id: id.clone() });
                }
                stays
            });
            let is_old =
                |identity: &Identity| is_older(identity.at_ms, SINK_MEMORY, now_ms) && !entry.is_paused;
            if entry.workers.is_empty() && entry.identity.as_ref().is_some_and(is_old) {
                entry.identity = None;
                forgotten.extend([Key::Sink(sink.clone()), Key::Control(sink.clone())]);
            }
        }
        self.sinks.retain(|_, entry| !entry.is_empty());
        forgotten
    }
}

#[cfg(test)]
mod tests;
