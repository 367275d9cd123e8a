//! The keys of groups: Kafka 4.3's `GroupConfig`. They belong to the protocols of new consumers, share groups and streams groups, which
//! are still to come; their values are checked, kept and shown all the same.
//!
//! - G1 A key whose default is a broker's lies between the bounds that the broker has for it.
//!
//! Sorted by name; the test of the table says so.

use crate::error::ConfigError;
use crate::key::Check::{Any, AtLeast, OffsetReset, OneOf};
use crate::key::Kind::{Boolean, Int, String};
use crate::key::{Key, Scope, Synonym};
use crate::layers::{Layers, Overrides};
use crate::topic::check_value;
use crate::{broker_key, group_key};

const fn of_group(key: Key) -> Key {
    Key { scope: Scope::Group, ..key.not_yet() }
}

/// A number whose default is the broker's key of the same name, with `group.` before it.
macro_rules! table {
    ($($name:literal, $default:literal, $least:literal, $text:literal;)*) => {
        [$({
            const DEFAULT: &[Synonym] = &[Synonym { key: concat!("group.", $name), times: 1 }];
            of_group(Key::topic($name, Int, $default, AtLeast($least), DEFAULT, $text))
        }),*]
    };
}

const NUMBERS: [Key; 14] = table! {
    "consumer.assignment.interval.ms", "1000", 0, "The least time between two assignments of the group.";
    "consumer.heartbeat.interval.ms", "5000", 1, "How often its members send heartbeats.";
    "consumer.session.timeout.ms", "45000", 1, "How long a member may be silent before it is out.";
    "share.assignment.interval.ms", "1000", 0, "The least time between two assignments of the share group.";
    "share.delivery.count.limit", "5", 2, "How often it is given a record before that counts as undeliverable.";
    "share.heartbeat.interval.ms", "5000", 1, "How often its members send heartbeats.";
    "share.partition.max.record.locks", "2000", 100, "How many records of a partition it may have locked.";
    "share.record.lock.duration.ms", "30000", 1000, "How long a member keeps a record to itself.";
    "share.session.timeout.ms", "45000", 1, "How long a member may be silent before it is out.";
    "streams.assignment.interval.ms", "1000", 0, "The least time between two assignments of the streams group.";
    "streams.heartbeat.interval.ms", "5000", 1, "How often its members send heartbeats.";
    "streams.initial.rebalance.delay.ms", "3000", 0, "How long it waits for more members while it is empty.";
    "streams.num.standby.replicas", "0", 0, "How many members keep a copy of each state beside the one that uses it.";
    "streams.session.timeout.ms", "45000", 1, "How long a member may be silent before it is out.";
};

const OTHERS: [Key; 3] = [
    of_group(Key::topic(
        "share.auto.offset.reset",
        String,
        "latest",
        OffsetReset,
        &[],
        "Where a share group begins that has read nothing: at the latest record, the earliest, or the first of so long ago.",
    )),
    of_group(Key::topic(
        "share.isolation.level",
        String,
        "read_uncommitted",
        OneOf(&["read_committed", "read_uncommitted"]),
        &[],
        "Whether a share group is given records of transactions that are open or aborted.",
    )),
    of_group(Key::topic(
        "share.renew.acknowledge.enable",
        Boolean,
        "true",
        Any,
        &[],
        "Whether members may keep a record longer by acknowledging that they still work on it.",
    )),
];

/// All of them, in the order of their names.
pub(crate) fn keys() -> Vec<Key> {
    let mut keys = [NUMBERS.as_slice(), OTHERS.as_slice()].concat();
    keys.sort_unstable_by_key(|key| key.name);
    keys
}

/// Checks what somebody wants to set on a group, all of it.
///
/// # Errors
/// A key is unknown, or a value is out of its bounds or does not go with another.
pub fn check_group(layers: &Layers<'_>, own: &Overrides) -> Result<(), ConfigError> {
    for (name, value) in own {
        let key = group_key(name).ok_or_else(|| ConfigError::UnknownGroupKey(name.clone()))?;
        check_value(key, value)?;
        check_bounds(layers, key, value)?;
    }
    let number = |name: &str| -> Option<i64> { layers.group_value(group_key(name)?, own).parse().ok() };
    for kind in ["consumer", "share", "streams"] {
        let [session, heartbeat] =
            ["session.timeout.ms", "heartbeat.interval.ms"].map(|rest| format!("{kind}.{rest}"));
        let is_set = [&session, &heartbeat].into_iter().any(|key| own.contains_key(key));
        if is_set && number(&session) <= number(&heartbeat) {
            return Err(ConfigError::GroupValueNotAbove { key: session, other: heartbeat });
        }
    }
    Ok(())
}

/// G1: `group.KIND.min.REST` and `group.KIND.max.REST` of the broker, where it has them.
fn check_bounds(layers: &Layers<'_>, key: &Key, value: &str) -> Result<(), ConfigError> {
    let (Some((kind, rest)), Ok(value)) = (key.name.split_once('.'), value.trim().parse::<i64>()) else {
        return Ok(());
    };
    let rest = rest.trim_start_matches("num.");
    let bound = |which: &str| {
        let key = broker_key(&format!("group.{kind}.{which}.{rest}"))?;
        Some((key.name, layers.broker_value(key)?.trim().parse::<i64>().ok()?))
    };
    if let Some((bound, min)) = bound("min")
        && value < min
    {
        return Err(ConfigError::GroupValueTooSmall { key: key.name, bound });
    }
    if let Some((bound, max)) = bound("max")
        && max < value
    {
        return Err(ConfigError::GroupValueTooLarge { key: key.name, bound });
    }
    Ok(())
}
