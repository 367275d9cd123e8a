//! Names of Kafka's broker keys that have no row in the table, and yet are no mistakes: what Kafka no longer has or
//! never documented, what it hands to plugins, and what asks for protection.

/// Kept in old files and images: accepted, each with one line. Sorted by name.
const WITHOUT_MEANING: &[&str] = &[
    "allow.everyone.if.no.acl.found",
    "broker.id.generation.enable",
    "confluent.support.metrics.enable",
    "control.plane.listener.name",
    "group.coordinator.new.enable",
    "host.name",
    "inter.broker.protocol.version",
    "log.initial.task.delay.ms",
    "log.message.downconversion.enable",
    "log.message.format.version",
    "log.message.timestamp.difference.max.ms",
    "offsets.commit.required.acks",
    "port",
    "producer.id.expiration.check.interval.ms",
    "reserved.broker.max.id",
    "server.max.startup.time.ms",
    "super.users",
    "unclean.leader.election.interval.ms",
    "zookeeper.connect",
    "zookeeper.connection.timeout.ms",
    "zookeeper.session.timeout.ms",
    "zookeeper.set.acl",
];

/// Whether Kafka has a broker key of this name that Ottla needs no value for.
pub(crate) fn is_without_meaning(name: &str) -> bool {
    WITHOUT_MEANING.binary_search(&name).is_ok() || is_for_a_plugin(name)
}

/// Free names that Kafka hands to plugins of its tiered storage.
fn is_for_a_plugin(name: &str) -> bool {
    name.starts_with("rsm.config.") || name.starts_with("rlmm.config.")
}

/// Whether a key asks for encryption, authentication or authorisation. Ignoring one of these would leave a
/// server open that its owner believes closed.
pub(crate) fn asks_for_protection(name: &str) -> bool {
    let key = name
        .strip_prefix("listener.name.")
        .and_then(|rest| rest.split_once('.'))
        .map_or(name, |(_, key)| key);
    let by_prefix = ["ssl.", "sasl."].iter().any(|prefix| key.starts_with(prefix));
    by_prefix
        || matches!(key, "authorizer.class.name" | "delegation.token.secret.key" | "principal.builder.class")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_not_in_the_table() {
        assert!(WITHOUT_MEANING.windows(2).all(|pair| pair[0] < pair[1]));
        let twice: Vec<_> = WITHOUT_MEANING.iter().filter(|name| crate::broker_key(name).is_some()).collect();
        assert_eq!(twice, Vec::<&&str>::new());
    }
}
