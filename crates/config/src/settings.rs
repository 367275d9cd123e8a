//! What a process is told at its start: `server.properties`, environment variables, `--set KEY=VALUE`.
//!
//! - S1 Every value kept passed its key's check.
//! - S2 Later calls win over earlier ones: files first, then variables, then flags.
//! - S3 A wrong key in a file or flag is an error; a variable nobody knows is at most a notice, since an
//!   environment is shared with others.

use std::fmt;

use crate::broker_keys;
use crate::error::{ConfigError, nearest};
use crate::key::Effect;
use crate::layers::Overrides;
use crate::topic::check_value;
use crate::{broker_key, names, topic_key};

/// One line for the operator: a setting that was taken, and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The key is known and has no effect in this version.
    NoEffectYet(String),
    /// Kafka needs this; Ottla does not.
    NotNeeded(String),
    /// No key has the name this variable spells.
    UnknownVariable {
        /// The variable.
        variable: String,
        /// The most similar key there is.
        nearest: Option<&'static str>,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::NoEffectYet(key) => write!(f, "{key} is known and has no effect in this version"),
            Notice::NotNeeded(name) => write!(f, "{name} is not needed here and was ignored"),
            Notice::UnknownVariable { variable, nearest } => {
                write!(f, "environment variable {variable} names no configuration key and was ignored")?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean {nearest}?"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// Why a `server.properties` text is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertiesError {
    /// The line, counted from one.
    pub line: usize,
    /// What is wrong there.
    pub error: ConfigError,
}

impl fmt::Display for PropertiesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.error)
    }
}

impl std::error::Error for PropertiesError {}

/// The settings of one process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    values: Overrides,
}

impl Settings {
    /// What was set, by broker key.
    pub fn values(&self) -> &Overrides {
        &self.values
    }

    /// Sets one broker key.
    pub fn set(&mut self, name: &str, value: &str) -> Result<Option<Notice>, ConfigError> {
        let name = canonical(name.trim());
        if let Some(key) = broker_key(name) {
            check_value(key, value)?;
            self.values.insert(name.to_owned(), value.trim().to_owned());
            return Ok(match key.effect {
                Effect::Now => None,
                Effect::NotYet => Some(Notice::NoEffectYet(name.to_owned())),
                Effect::NotNeeded => Some(Notice::NotNeeded(name.to_owned())),
            });
        }
        if names::asks_for_protection(name) {
            // Kafka's own defaults switch nothing on.
            let is_off = matches!(value.trim(), "" | "none");
            return if is_off {
                Ok(None)
            } else {
                Err(ConfigError::ProtectionMissing { key: name.to_owned() })
            };
        }
        if names::is_without_meaning(name) {
            return Ok(Some(Notice::NotNeeded(name.to_owned())));
        }
        match topic_key(name) {
            Some(key) => Err(ConfigError::IsATopicKey {
                key: key.name,
                for_all_topics: key.synonyms.first().map(|synonym| synonym.key),
            }),
            None => {
                let nearest = nearest(name, broker_keys());
                Err(ConfigError::UnknownBrokerKey { key: name.to_owned(), nearest })
            }
        }
    }

    /// Sets from `KEY=VALUE`, as `--set` gives it.
    pub fn set_assignment(&mut self, text: &str) -> Result<Option<Notice>, ConfigError> {
        let (name, value) =
            text.split_once('=').ok_or_else(|| ConfigError::NotAnAssignment(text.to_owned()))?;
        self.set(name, value)
    }

    /// Sets from the text of a `server.properties`.
    pub fn read_properties(&mut self, text: &str) -> Result<Vec<Notice>, PropertiesError> {
        let mut notices = Vec::new();
        for (line, name, value) in properties(text) {
            let notice = self.set(&name, &value).map_err(|error| PropertiesError { line, error })?;
            notices.extend(notice);
        }
        Ok(notices)
    }

    /// Sets from environment variables; those without our or Kafka's prefix are nobody's business.
    pub fn read_environment<'v>(
        &mut self,
        variables: impl IntoIterator<Item = (&'v str, &'v str)>,
    ) -> Result<Vec<Notice>, ConfigError> {
        let mut notices = Vec::new();
        for (variable, value) in variables {
            let Some(spelled) = variable.strip_prefix("KAFKA_").or_else(|| variable.strip_prefix("OTTLA_"))
            else {
                continue;
            };
            if is_of_somebody_else(spelled) {
                continue;
            }
            if is_of_the_virtual_machine(spelled) {
                notices.push(Notice::NotNeeded(variable.to_owned()));
                continue;
            }
            // Images of other makers put `CFG_` between prefix and key.
            let spelled = spelled.strip_prefix("CFG_").unwrap_or(spelled);
            let name = key_of_variable(spelled);
            let own = format!("ottla.{name}");
            let name = if broker_key(&own).is_some() { own } else { name };
            match self.set(&name, value) {
                Ok(notice) => notices.extend(notice),
                Err(ConfigError::UnknownBrokerKey { nearest, .. }) => {
                    notices.push(Notice::UnknownVariable { variable: variable.to_owned(), nearest });
                }
                Err(ConfigError::IsATopicKey { for_all_topics, .. }) => {
                    notices.push(Notice::UnknownVariable {
                        variable: variable.to_owned(),
                        nearest: for_all_topics,
                    });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(notices)
    }
}

/// Kafka's two names for one key.
fn canonical(name: &str) -> &str {
    match name {
        "log.dir" => "log.dirs",
        "broker.id" => "node.id",
        other => other,
    }
}

/// `NUM_PARTITIONS` is `num.partitions`; `__` is `_` and `___` is `-`, as in Kafka's own image.
fn key_of_variable(spelled: &str) -> String {
    spelled
        .to_ascii_lowercase()
        .replace("___", "-")
        .replace("__", "\u{0}")
        .replace('_', ".")
        .replace('\u{0}', "_")
}

/// Variables that name a service, not a setting: what Kubernetes and Docker links inject, and what the
/// command line reads itself.
fn is_of_somebody_else(spelled: &str) -> bool {
    let is_link = |part: &str| spelled == part || spelled.starts_with(&format!("{part}_"));
    spelled == "BOOTSTRAP"
        || spelled.ends_with("_SERVICE_HOST")
        || spelled.contains("_SERVICE_PORT")
        || is_link("SERVICE_HOST")
        || is_link("SERVICE_PORT")
        || spelled == "PORT"
        || (is_link("PORT") || spelled.contains("_PORT_"))
            && (spelled.contains("_TCP") || spelled.contains("_UDP"))
}

/// Variables that tune a Java process or an image's start script.
fn is_of_the_virtual_machine(spelled: &str) -> bool {
    let names =
        ["OPTS", "HEAP_OPTS", "GC_LOG_OPTS", "HOME", "VERSION", "DEBUG", "CREATE_TOPICS", "CLUSTER_ID"];
    let prefixes = ["JVM_", "JMX_", "LOG4J", "KRAFT_", "TOOLS_LOG4J"];
    names.contains(&spelled) || prefixes.iter().any(|prefix| spelled.starts_with(prefix))
}

/// The entries of a Java properties text, each with its line: `#` and `!` comment, `=`, `:` or a blank
/// separates, `\` at the end of a line continues it, `\` before a character takes it as it is.
fn properties(text: &str) -> Vec<(usize, String, String)> {
    let mut entries = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, first)) = lines.next() {
        let mut whole = first.trim_start().to_owned();
        if whole.is_empty() || whole.starts_with(['#', '!']) {
            continue;
        }
        while ends_in_continuation(&whole) {
            whole.pop();
            let Some((_, next)) = lines.next() else { break };
            whole.push_str(next.trim_start());
        }
        let (name, value) = split_property(&whole);
        entries.push((number + 1, unescape(name), unescape(value)));
    }
    entries
}

fn ends_in_continuation(line: &str) -> bool {
    let backslashes = line.bytes().rev().take_while(|&byte| byte == b'\\').count();
    backslashes % 2 == 1
}

fn split_property(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|character: char| {
        let separates = !escaped && (matches!(character, '=' | ':') || character.is_whitespace());
        escaped = character == '\\' && !escaped;
        separates
    });
    let (name, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (name, value.trim())
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('u') => {
                let digits: String = characters.by_ref().take(4).collect();
                let number = u32::from_str_radix(&digits, 16).ok();
                plain.push(number.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}
