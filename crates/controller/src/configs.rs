//! Altering configuration: key by key (IncrementalAlterConfigs), or all at once (AlterConfigs).
//!
//! - A1 What would be set is checked whole: keys of one resource may contradict each other.
//! - A2 Deleting what is not set, or not known, is granted and changes nothing.

use std::collections::BTreeSet;

use config::{
    BrokerConfig, Kind, Layers, Overrides, Update, broker_key, check_broker, check_group, check_topic, list,
    topic_key,
};
use meta::{ConfigResource, ConfigResourceKind, Image, MetadataRecord};

use crate::error::ControllerError;

/// What to do to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlterationKind {
    /// Give it a value.
    Set,
    /// Back to its default.
    Delete,
    /// Add entries to a list.
    Append,
    /// Take entries from a list.
    Subtract,
}

impl AlterationKind {
    /// The kind of a number on the wire.
    pub fn from_number(number: i8) -> Option<AlterationKind> {
        match number {
            0 => Some(AlterationKind::Set),
            1 => Some(AlterationKind::Delete),
            2 => Some(AlterationKind::Append),
            3 => Some(AlterationKind::Subtract),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            AlterationKind::Set => "SET",
            AlterationKind::Delete => "DELETE",
            AlterationKind::Append => "APPEND",
            AlterationKind::Subtract => "SUBTRACT",
        }
    }
}

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alteration {
    /// The key.
    pub key: String,
    /// What to do to it.
    pub kind: AlterationKind,
    /// What to set, append or subtract.
    pub value: Option<String>,
}

/// Decides about changes of some keys of a resource.
pub fn alter_configs(
    image: &Image,
    layers: &Layers<'_>,
    resource: &ConfigResource,
    alterations: &[Alteration],
) -> Result<Vec<MetadataRecord>, ControllerError> {
    check_resource(image, resource)?;
    let keys: BTreeSet<_> = alterations.iter().map(|alteration| &alteration.key).collect();
    if keys.len() < alterations.len() {
        return Err(ControllerError::DuplicateConfigKeys);
    }
    let current = current(image, resource);
    let mut next = current.clone();
    for alteration in alterations {
        let key = alteration.key.clone();
        if alteration.kind != AlterationKind::Delete {
            check_changeable(resource, &key)?;
        }
        let value = || alteration.value.as_deref().ok_or_else(|| ControllerError::NullConfig(key.clone()));
        match alteration.kind {
            AlterationKind::Set => {
                next.insert(key.clone(), value()?.to_owned());
            }
            AlterationKind::Delete => {
                next.remove(&key);
            }
            AlterationKind::Append => {
                let before = current_list(layers, resource, &current, alteration)?;
                grow(&mut next, &key, &before, value()?);
            }
            AlterationKind::Subtract => {
                let before = current_list(layers, resource, &current, alteration)?;
                shrink(&mut next, &key, &before, value()?);
            }
        }
    }
    changes(layers, resource, &current, next)
}

/// Decides about a resource's whole configuration: what is not given goes back to its default.
pub fn replace_configs(
    image: &Image,
    layers: &Layers<'_>,
    resource: &ConfigResource,
    configs: &[(String, Option<String>)],
) -> Result<Vec<MetadataRecord>, ControllerError> {
    check_resource(image, resource)?;
    let mut next = Overrides::new();
    for (key, value) in configs {
        check_changeable(resource, key)?;
        let value = value.as_ref().ok_or_else(|| ControllerError::NullConfig(key.clone()))?;
        if next.insert(key.clone(), value.clone()).is_some() {
            return Err(ControllerError::DuplicateConfigKeys);
        }
    }
    changes(layers, resource, &current(image, resource), next)
}

fn check_resource(image: &Image, resource: &ConfigResource) -> Result<(), ControllerError> {
    match resource.kind {
        ConfigResourceKind::Topic if resource.name.is_empty() => Err(ControllerError::NoDefaultTopic),
        ConfigResourceKind::Topic if image.topic_named(&resource.name).is_none() => {
            Err(ControllerError::UnknownTopicToConfigure(resource.name.clone()))
        }
        ConfigResourceKind::Broker if !names_brokers(&resource.name) => {
            Err(ControllerError::BadBrokerName(resource.name.clone()))
        }
        ConfigResourceKind::ClientMetrics if resource.name.is_empty() => {
            Err(ControllerError::NamelessClientMetrics)
        }
        ConfigResourceKind::Group if resource.name.is_empty() => Err(ControllerError::NoDefaultGroup),
        ConfigResourceKind::Topic
        | ConfigResourceKind::Broker
        | ConfigResourceKind::ClientMetrics
        | ConfigResourceKind::Group => Ok(()),
    }
}

/// All brokers, or one by its number, written as numbers are.
fn names_brokers(name: &str) -> bool {
    name.is_empty() || name.parse::<i32>().is_ok_and(|id| 0 <= id && id.to_string() == name)
}

/// Whether a running cluster may set this key on this resource at all; unknown keys are found by the check.
fn check_changeable(resource: &ConfigResource, key: &str) -> Result<(), ControllerError> {
    match resource.kind {
        ConfigResourceKind::Topic => Ok(()),
        ConfigResourceKind::Broker => match broker_key(key).map(|row| row.update) {
            Some(Update::ReadOnly) => Err(ControllerError::ReadOnlyConfig(key.to_owned())),
            Some(Update::PerBroker) if resource.name.is_empty() => {
                Err(ControllerError::PerBrokerConfig(key.to_owned()))
            }
            Some(Update::PerBroker | Update::ClusterWide) | None => Ok(()),
        },
        ConfigResourceKind::ClientMetrics => Err(ControllerError::UnknownClientMetricsConfig(key.to_owned())),
        ConfigResourceKind::Group => Ok(()),
    }
}

fn current(image: &Image, resource: &ConfigResource) -> Overrides {
    image.config(resource).map(|set| Overrides::clone(set)).unwrap_or_default()
}

/// The list to append to: what is set on the resource, else what is in force without it.
fn current_list(
    layers: &Layers<'_>,
    resource: &ConfigResource,
    current: &Overrides,
    alteration: &Alteration,
) -> Result<String, ControllerError> {
    let key = alteration.key.as_str();
    let is_topic = resource.kind == ConfigResourceKind::Topic;
    let row = if is_topic { topic_key(key) } else { broker_key(key) };
    let Some(row) = row.filter(|row| row.kind == Kind::List) else {
        return Err(ControllerError::NotAList { operation: alteration.kind.name(), key: key.to_owned() });
    };
    Ok(match current.get(key) {
        Some(own) => own.clone(),
        None if is_topic => layers.topic_value(row, None).into_owned(),
        None => row.default.unwrap_or_default().to_owned(),
    })
}

/// Sets `before` and what it lacks of `more`; a list that has it all is left to its default.
fn grow(next: &mut Overrides, key: &str, before: &str, more: &str) {
    let mut entries: Vec<&str> = list(before).collect();
    let had = entries.len();
    for entry in list(more) {
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    if had < entries.len() {
        next.insert(key.to_owned(), entries.join(","));
    }
}

/// Sets `before` without what `less` has; a list that has none of it is left to its default.
fn shrink(next: &mut Overrides, key: &str, before: &str, less: &str) {
    let gone: Vec<&str> = list(less).collect();
    let entries: Vec<&str> = list(before).filter(|entry| !gone.contains(entry)).collect();
    if entries.len() < list(before).count() {
        next.insert(key.to_owned(), entries.join(","));
    }
}

/// Checks the new whole (A1) and says what differs from the old.
fn changes(
    layers: &Layers<'_>,
    resource: &ConfigResource,
    current: &Overrides,
    next: Overrides,
) -> Result<Vec<MetadataRecord>, ControllerError> {
    match resource.kind {
        ConfigResourceKind::Topic => check_topic(&next).map_err(ControllerError::InvalidConfig)?,
        ConfigResourceKind::Broker => {
            for (key, value) in &next {
                check_broker(key, value).map_err(ControllerError::InvalidBrokerConfig)?;
            }
            let layers = if resource.name.is_empty() {
                Layers { all_brokers: Some(&next), ..*layers }
            } else {
                Layers { broker: Some(&next), ..*layers }
            };
            BrokerConfig::resolve(&layers).map_err(ControllerError::InvalidBrokerConfig)?;
        }
        ConfigResourceKind::Group => check_group(layers, &next).map_err(ControllerError::InvalidConfig)?,
        ConfigResourceKind::ClientMetrics => {}
    }
    let removed = current.keys().filter(|key| !next.contains_key(*key));
    let mut records: Vec<_> = removed
        .map(|key| MetadataRecord::ConfigRemoved { resource: resource.clone(), key: key.clone() })
        .collect();
    for (key, value) in next {
        if current.get(&key) != Some(&value) {
            records.push(MetadataRecord::ConfigSet { resource: resource.clone(), key, value });
        }
    }
    Ok(records)
}
