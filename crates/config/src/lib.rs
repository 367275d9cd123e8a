//! Configuration: one table of keys, and what the layers of a cluster set on them (D11).
//!
//! - K1 A key is described once, in `topic_keys`, `broker_keys` or `kafka_keys`; parsing, checking, describing and
//!   typed access all read that table.
//! - K2 What is stored was checked on its way in. A stored value that no longer passes (a newer version wrote
//!   it) is skipped, and the next layer speaks.
//! - K3 An unknown key is an error with its nearest neighbour; a key without effect yet says so.
//!
//! Knows nothing of what the keys do, of files or of the environment: texts come in as arguments.

mod broker;
mod broker_keys;
mod error;
mod group;
mod kafka_keys;
mod key;
mod layers;
mod listener;
mod names;
mod properties_text;
mod settings;
mod toml_text;
mod topic;
mod topic_keys;

use std::sync::LazyLock;

pub use broker::{BrokerConfig, CleanerConfig, DiskFullPolicy};
pub use error::{ConfigError, Invalid};
pub use group::check_group;
pub use key::{Check, Difference, Effect, Key, Kind, Scope, Synonym, Update, list};
pub use layers::{Described, Layers, Overrides, SetAt, Source};
pub use listener::{Listener, ListenerError};
pub use settings::{Fault, FileError, Notice, Settings};
pub use topic::{
    CleanupPolicy, Compression, Durability, ProduceValidation, TimestampType, TopicConfig, check_broker,
    check_topic,
};

/// The keys a topic may set, in the order of their names.
pub fn topic_keys() -> &'static [Key] {
    topic_keys::KEYS
}

/// The keys a broker may set, in the order of their names.
pub fn broker_keys() -> &'static [Key] {
    static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
        let mut keys = [broker_keys::KEYS, kafka_keys::KEYS].concat();
        keys.sort_unstable_by_key(|key| key.name);
        keys
    });
    &KEYS
}

/// The keys a group may set, in the order of their names.
pub fn group_keys() -> &'static [Key] {
    static KEYS: LazyLock<Vec<Key>> = LazyLock::new(group::keys);
    &KEYS
}

/// A group's key by its name.
pub fn group_key(name: &str) -> Option<&'static Key> {
    find(group_keys(), name)
}

/// A topic's key by its name.
pub fn topic_key(name: &str) -> Option<&'static Key> {
    find(topic_keys::KEYS, name)
}

/// A broker's key by its name.
pub fn broker_key(name: &str) -> Option<&'static Key> {
    find(broker_keys(), name)
}

fn find(keys: &'static [Key], name: &str) -> Option<&'static Key> {
    let place = keys.binary_search_by(|key| key.name.cmp(name)).ok()?;
    keys.get(place)
}

#[cfg(test)]
mod tests;
