//! What a process is told at its start: `server.properties` or TOML, environment variables, `--set KEY=VALUE`.
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
use crate::{broker_key, names, properties_text, toml_text, topic_key};

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

/// Why the text of a configuration file is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    /// The line, counted from one.
    pub line: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a line of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The text is not in its format.
    Syntax(String),
    /// Something of TOML's that no key takes.
    NoValue {
        /// The key.
        key: String,
        /// What it was given, in TOML's words.
        found: &'static str,
    },
    /// The key or its value.
    Setting(ConfigError),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.fault {
            Fault::Syntax(message) => f.write_str(message),
            Fault::NoValue { key, found } => {
                write!(f, "{key} is given {found}; a text, a number, a boolean or an array of these expected")
            }
            Fault::Setting(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FileError {}

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
    pub fn read_properties(&mut self, text: &str) -> Result<Vec<Notice>, FileError> {
        self.set_all(properties_text::entries(text))
    }

    /// Sets from a TOML text.
    pub fn read_toml(&mut self, text: &str) -> Result<Vec<Notice>, FileError> {
        self.set_all(toml_text::entries(text)?)
    }

    fn set_all(&mut self, entries: Vec<(usize, String, String)>) -> Result<Vec<Notice>, FileError> {
        let mut notices = Vec::new();
        for (line, name, value) in entries {
            let set = self.set(&name, &value);
            notices.extend(set.map_err(|error| FileError { line, fault: Fault::Setting(error) })?);
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
