//! `docs/kafka-compat.md`: which APIs of Kafka 4.3 are served, in which versions, and what is missing.
//!
//! Served is what is registered; the rest is this table. `OTTLA_BLESS=1` writes the document.

use std::fmt::Write;
use std::path::Path;

use crate::registry::{SERVED, api_versions};

/// What a broker of Kafka 4.3.1 lists: key, name, versions; and what an API lacks here, or what it belongs to that
/// is missing here.
const KAFKA: &[(i16, &str, i16, i16, &str)] = &[
    (0, "Produce", 0, 13, ""),
    (1, "Fetch", 4, 18, "Followers and Raft's own fetches."),
    (2, "ListOffsets", 1, 11, ""),
    (3, "Metadata", 0, 13, ""),
    (8, "OffsetCommit", 2, 10, ""),
    (9, "OffsetFetch", 1, 10, ""),
    (10, "FindCoordinator", 0, 6, "Coordinators of share groups: refused with a sentence."),
    (11, "JoinGroup", 0, 9, ""),
    (12, "Heartbeat", 0, 4, ""),
    (13, "LeaveGroup", 0, 5, ""),
    (14, "SyncGroup", 0, 5, ""),
    (15, "DescribeGroups", 0, 6, ""),
    (16, "ListGroups", 0, 5, ""),
    (17, "SaslHandshake", 0, 1, "TLS and SASL"),
    (18, "ApiVersions", 0, 4, ""),
    (19, "CreateTopics", 2, 7, ""),
    (20, "DeleteTopics", 1, 6, ""),
    (21, "DeleteRecords", 0, 2, ""),
    (22, "InitProducerId", 0, 5, ""),
    (23, "OffsetForLeaderEpoch", 2, 4, ""),
    (24, "AddPartitionsToTxn", 0, 5, ""),
    (25, "AddOffsetsToTxn", 0, 4, ""),
    (26, "EndTxn", 0, 5, ""),
    (27, "WriteTxnMarkers", 1, 2, ""),
    (28, "TxnOffsetCommit", 0, 5, ""),
    (29, "DescribeAcls", 1, 3, "No authorizer: answered as by a Kafka broker without one."),
    (30, "CreateAcls", 1, 3, "No authorizer: answered as by a Kafka broker without one."),
    (31, "DeleteAcls", 1, 3, "No authorizer: answered as by a Kafka broker without one."),
    (32, "DescribeConfigs", 1, 4, "Groups and client metrics have no keys yet; a broker has one logger."),
    (33, "AlterConfigs", 0, 2, "Groups and client metrics have no keys yet."),
    (34, "AlterReplicaLogDirs", 1, 2, "One data folder: what lies in it stays, another one is not found."),
    (35, "DescribeLogDirs", 1, 5, "One data folder."),
    (36, "SaslAuthenticate", 0, 2, "TLS and SASL"),
    (37, "CreatePartitions", 0, 3, ""),
    (38, "CreateDelegationToken", 1, 3, "Plaintext only: refused as on every plaintext listener."),
    (39, "RenewDelegationToken", 1, 2, "Plaintext only: refused as on every plaintext listener."),
    (40, "ExpireDelegationToken", 1, 2, "Plaintext only: refused as on every plaintext listener."),
    (41, "DescribeDelegationToken", 1, 3, "Plaintext only: refused as on every plaintext listener."),
    (42, "DeleteGroups", 0, 2, ""),
    (43, "ElectLeaders", 0, 2, "One node: no election is needed."),
    (
        44,
        "IncrementalAlterConfigs",
        0,
        1,
        "Groups and client metrics have no keys yet; the log's level changes at a restart only.",
    ),
    (
        45,
        "AlterPartitionReassignments",
        0,
        1,
        "One node: granted where it changes nothing, refused elsewhere.",
    ),
    (46, "ListPartitionReassignments", 0, 0, "One node: none is ever under way."),
    (47, "OffsetDelete", 0, 0, ""),
    (48, "DescribeClientQuotas", 0, 1, "No quotas: none is there."),
    (49, "AlterClientQuotas", 0, 1, "No quotas: refused with a sentence, since nothing would be enforced."),
    (50, "DescribeUserScramCredentials", 0, 0, "No SASL: there are no credentials."),
    (51, "AlterUserScramCredentials", 0, 0, "No SASL: setting one is refused with a sentence."),
    (55, "DescribeQuorum", 0, 2, "One node: it leads, and is the only voter."),
    (57, "UpdateFeatures", 0, 2, "One feature, transaction.version."),
    (60, "DescribeCluster", 0, 2, ""),
    (61, "DescribeProducers", 0, 0, ""),
    (64, "UnregisterBroker", 0, 0, "more than one node: the only broker cannot leave"),
    (65, "DescribeTransactions", 0, 0, ""),
    (66, "ListTransactions", 0, 2, ""),
    (68, "ConsumerGroupHeartbeat", 0, 1, "the consumer protocol of KIP-848"),
    (69, "ConsumerGroupDescribe", 0, 1, "the consumer protocol of KIP-848; tools ask DescribeGroups instead"),
    (
        71,
        "GetTelemetrySubscriptions",
        0,
        0,
        "client metrics; Kafka itself lists it only with a plugin that takes them",
    ),
    (72, "PushTelemetry", 0, 0, "client metrics; Kafka itself lists it only with a plugin that takes them"),
    (74, "ListConfigResources", 0, 1, ""),
    (75, "DescribeTopicPartitions", 0, 0, ""),
    (76, "ShareGroupHeartbeat", 1, 1, "share groups"),
    (77, "ShareGroupDescribe", 1, 1, "share groups"),
    (78, "ShareFetch", 1, 2, "share groups"),
    (79, "ShareAcknowledge", 1, 2, "share groups"),
    (80, "AddRaftVoter", 0, 1, "more than one node"),
    (81, "RemoveRaftVoter", 0, 0, "more than one node"),
    (83, "InitializeShareGroupState", 0, 0, "share groups"),
    (84, "ReadShareGroupState", 0, 0, "share groups"),
    (85, "WriteShareGroupState", 0, 1, "share groups"),
    (86, "DeleteShareGroupState", 0, 0, "share groups"),
    (87, "ReadShareGroupStateSummary", 0, 1, "share groups"),
    (88, "StreamsGroupHeartbeat", 0, 0, "streams groups"),
    (89, "StreamsGroupDescribe", 0, 0, "streams groups"),
    (90, "DescribeShareGroupOffsets", 0, 1, "share groups"),
    (91, "AlterShareGroupOffsets", 0, 0, "share groups"),
    (92, "DeleteShareGroupOffsets", 0, 0, "share groups"),
];

#[test]
fn the_document_says_what_is_registered() {
    for key in SERVED {
        let known = KAFKA.iter().any(|(number, name, ..)| (*number, *name) == (key.as_i16(), key.name()));
        assert!(known, "{key} is served and not in the table of Kafka's APIs");
    }
    check(&document());
}

#[track_caller]
#[allow(clippy::disallowed_methods, reason = "a test's own data is nothing for the simulator")]
fn check(expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/kafka-compat.md");
    if std::env::var_os("OTTLA_BLESS").is_some() {
        std::fs::write(&path, expected).unwrap();
    } else {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(text == expected, "docs/kafka-compat.md is stale; OTTLA_BLESS=1 rewrites it:\n{expected}");
    }
}

fn document() -> String {
    let mut served = String::new();
    let mut missing = String::new();
    for &(number, name, first, last, lacks) in KAFKA {
        let kafka = versions(first, last);
        if let Some(key) = SERVED.iter().find(|key| key.as_i16() == number) {
            let ours = api_versions::advertised(key);
            let here = versions(ours.min_version, ours.max_version);
            assert!(
                first <= ours.min_version && ours.max_version <= last,
                "{name}: {here} is not in {kafka}"
            );
            writeln!(served, "| {number} | {name} | {kafka} | {here} | {lacks} |").unwrap();
        } else {
            assert!(!lacks.is_empty(), "{name} is not served: say why");
            writeln!(missing, "| {number} | {name} | {kafka} | {lacks} |").unwrap();
        }
    }
    format!(
        "{HEAD}\n## Served\n\n| Key | API | Kafka 4.3 | Ottla | What is missing |\n|---|---|---|---|---|\n{served}\n\
         ## Not served\n\n| Key | API | Kafka 4.3 | Belongs to |\n|---|---|---|---|\n{missing}"
    )
}

const HEAD: &str = "\
# Kafka's APIs

What a broker of Apache Kafka 4.3 lists in its answer to ApiVersions, and what Ottla lists. What is not served is not listed, and a request for
it ends its connection, as a request does that a Kafka broker does not know. What is served and lacks something says so in its answer: nothing is
taken and then ignored.

This table is made of what is registered (`crates/broker/src/registry.rs`); a test fails when it is stale.
";

fn versions(first: i16, last: i16) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}
