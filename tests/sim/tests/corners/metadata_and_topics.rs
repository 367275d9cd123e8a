//! Metadata, topics and their configuration: cases 13 to 21.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use client::{
    Consumer, ConsumerConfig, Event, NewRecord, Producer, ProducerConfig, Reset, Start, TopicPartition,
};
use model::{ErrorCode, TopicName};
use sim_tests::server::connect;
use wire::alter_configs::{AlterConfigsResource, AlterableConfig as PlainConfig};
use wire::create_partitions::CreatePartitionsTopic;
use wire::create_topics::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicResult};
use wire::delete_topics::DeleteTopicState;
use wire::describe_configs::DescribeConfigsResource;
use wire::incremental_alter_configs::AlterableConfig;
use wire::metadata::MetadataRequestTopic;
use wire::{
    AlterConfigsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    DescribeConfigsRequest, MetadataRequest, MetadataResponse, Uuid,
};

use crate::connection::{Connection, error};
use crate::peer::check;
use crate::topic::{
    CREATE_TOPICS, METADATA, SET, TOPIC, batch, creatable, fetch_request, with_partitions, with_topic,
};

const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn by_name(name: &str) -> MetadataRequestTopic<'static> {
    MetadataRequestTopic { name: Some(name.to_owned().into()), ..MetadataRequestTopic::default() }
}

fn about(topics: Option<Vec<MetadataRequestTopic<'static>>>, creates: bool) -> MetadataRequest<'static> {
    MetadataRequest { topics, allow_auto_topic_creation: creates, ..MetadataRequest::default() }
}

fn names(answer: &MetadataResponse<'_>) -> Vec<String> {
    answer.topics.iter().map(|topic| topic.name.as_deref().unwrap_or_default().to_owned()).collect()
}

async fn create(
    connection: &mut Connection,
    topics: Vec<CreatableTopic<'static>>,
) -> Vec<CreatableTopicResult<'static>> {
    let request = CreateTopicsRequest { topics, timeout_ms: 30_000, ..CreateTopicsRequest::default() };
    connection.ask(&request, CREATE_TOPICS).await.topics
}

fn errors(results: &[CreatableTopicResult<'_>]) -> Vec<ErrorCode> {
    results.iter().map(|result| error(result.error_code)).collect()
}

#[test]
fn c13_no_topics_means_all_of_them_in_version_0_and_none_after_it() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let nothing = about(Some(Vec::new()), true);
        assert!(names(&connection.ask(&nothing, 0).await).contains(&topic));
        for version in [1, 9, METADATA] {
            assert_eq!(names(&connection.ask(&nothing, version).await), [""; 0], "version {version}");
            let all = names(&connection.ask(&about(None, true), version).await);
            assert!(all.contains(&topic), "version {version}");
        }
    });
}

/// The error stands at the topic, for there was no other place in those versions.
#[test]
fn c13_versions_10_and_11_know_ids_and_may_not_be_asked_by_them() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let topic_id = connection.metadata(&topic).await.topic_id;
        for version in [10, 11] {
            for asked in [
                MetadataRequestTopic { topic_id, name: None },
                MetadataRequestTopic { topic_id, name: Some(topic.clone().into()) },
            ] {
                let answer = connection.ask(&about(Some(vec![asked]), false), version).await;
                let errors: Vec<_> = answer.topics.iter().map(|topic| error(topic.error_code)).collect();
                assert_eq!(errors, [ErrorCode::InvalidRequest], "version {version}");
            }
        }
        let by_id = MetadataRequestTopic { topic_id, name: None };
        let answer = connection.ask(&about(Some(vec![by_id]), false), 12).await;
        assert_eq!(
            (error(answer.topics[0].error_code), names(&answer)),
            (ErrorCode::None, vec![topic.clone()])
        );
    });
}

/// 4.3 answers that it does not know the topic yet; we wait for it. Both is right: a client asks until it is there.
#[test]
fn c14_a_topic_is_made_when_broker_and_request_want_it() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        let (wanted, unwanted) = (peer.unique("wanted"), peer.unique("unwanted"));
        let answer = connection.ask(&about(Some(vec![by_name(&unwanted)]), false), METADATA).await;
        assert_eq!(error(answer.topics[0].error_code), ErrorCode::UnknownTopicOrPartition);
        let answer = connection.ask(&about(Some(vec![by_name(&wanted)]), true), METADATA).await;
        let first = error(answer.topics[0].error_code);
        assert!(first == ErrorCode::None || first.is_retriable(), "{first:?}");
        assert_eq!(connection.led(&wanted).await.partitions.len(), 1);
        connection.ask(&about(None, true), METADATA).await;
        assert_eq!(
            error(connection.metadata(&unwanted).await.error_code),
            ErrorCode::UnknownTopicOrPartition
        );
    });
}

#[test]
fn c14_versions_before_the_flag_make_topics() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        let wanted = peer.unique("wanted");
        connection.ask(&about(Some(vec![by_name(&wanted)]), true), 3).await;
        assert_eq!(connection.led(&wanted).await.partitions.len(), 1);
    });
}

#[test]
fn c14_the_topic_of_groups_is_made_when_a_coordinator_is_looked_for() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        connection.coordinator_of(&peer.unique("group")).await;
        let topic = connection.led("__consumer_offsets").await;
        assert_eq!((topic.is_internal, topic.partitions.len()), (true, 4));
    });
}

#[test]
fn c15_names_have_rules() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        let long = "x".repeat(250);
        for name in ["", ".", "..", "a b", "a/b", "ä", &long] {
            let results = create(&mut connection, vec![creatable(name, 1, &[])]).await;
            assert_eq!(errors(&results), [ErrorCode::InvalidTopicException], "{name:?}");
            let answer = connection.ask(&about(Some(vec![by_name(name)]), true), METADATA).await;
            assert_eq!(error(answer.topics[0].error_code), ErrorCode::InvalidTopicException, "{name:?}");
        }
        let longest = format!("{}{}", peer.unique("._-9Z"), "x".repeat(228));
        assert_eq!(longest.len(), 250);
        assert_eq!(
            errors(&create(&mut connection, vec![creatable(&longest[1..], 1, &[])]).await),
            [ErrorCode::None]
        );
    });
}

#[test]
fn c15_names_that_differ_in_dots_and_underscores_collide() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        let name = peer.unique("a.b_c").replace('-', ".");
        connection.create_topic(&name, 1, &[]).await;
        let other = name.replace('.', "_");
        let results = create(&mut connection, vec![creatable(&other, 1, &[])]).await;
        assert_eq!(errors(&results), [ErrorCode::InvalidTopicException]);
    });
}

#[test]
fn c16_clients_are_told_the_address_they_can_come_to() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        let answer = connection.ask(&about(Some(Vec::new()), false), METADATA).await;
        let brokers: Vec<_> =
            answer.brokers.iter().map(|broker| (broker.node_id, &*broker.host, broker.port)).collect();
        let (host, port) = (peer.address.ip().to_string(), i32::from(peer.address.port()));
        assert_eq!(brokers, [(1, host.as_str(), port)]);
        assert_eq!(answer.controller_id, 1);
    });
}

/// Our own client, which names topics by id where the broker knows ids. It goes on in the new topic as it does where topics go by
/// names: the position it had is not there, so that its rule decides.
#[test]
fn c18_a_client_that_names_topics_by_id_follows_one_that_is_made_again() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let name = TopicName::parse(&topic).unwrap();
        let client = connect(&peer.rt, peer.address).await;
        let producer = Producer::new(&client, ProducerConfig::default());
        let starts = BTreeMap::from([(TopicPartition::new(name.clone(), 0), Start::Earliest)]);
        let config = ConsumerConfig { reset: Reset::Earliest, ..ConsumerConfig::default() };
        let mut consumer = Consumer::assigned(&client, config, &starts).await.unwrap();
        let mut ids = BTreeSet::new();
        for values in [&["a", "b", "c"][..], &["d"]] {
            for value in values {
                let record = NewRecord { value: Some(value.as_bytes()), ..NewRecord::default() };
                producer.send(&name, record).await.unwrap().await.unwrap();
            }
            let mut seen = Vec::new();
            for _ in Connection::looks() {
                if let Event::Records(records) = consumer.poll(Duration::from_secs(1)).await.unwrap() {
                    seen.extend(records.into_iter().map(|record| (record.offset.0, record.value.unwrap())));
                }
                if values.len() <= seen.len() {
                    break;
                }
            }
            let written = values.iter().map(|value| bytes::Bytes::from_static(value.as_bytes()));
            assert_eq!(seen, (0..).zip(written).collect::<Vec<_>>());
            ids.insert(client.snapshot().topics[&name].id);
            connection.delete_topic(&topic).await;
            connection.until_gone(&topic).await;
            connection.create_topic(&topic, 1, &[]).await;
        }
        assert!(ids.len() == 2 && !ids.contains(&Uuid::ZERO), "{ids:?}");
    });
}

#[test]
fn c18_a_topic_that_is_made_again_has_another_id() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let before = connection.metadata(&topic).await.topic_id;
        connection.write(&topic, batch(3)).await;
        connection.delete_topic(&topic).await;
        connection.until_gone(&topic).await;
        connection.create_topic(&topic, 1, &[]).await;
        assert_ne!(connection.metadata(&topic).await.topic_id, before);
        let mut fetch = fetch_request("", 0);
        fetch.topics[0].topic_id = before;
        let answer = connection.ask(&fetch, 13).await;
        assert_eq!(error(answer.responses[0].partitions[0].error_code), ErrorCode::UnknownTopicId);
        assert_eq!(connection.fetch(&topic, 0).await.high_watermark, 0);
    });
}

#[test]
fn c19_minus_one_takes_the_brokers_defaults_and_the_answer_says_what_they_are() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        let name = peer.unique("corner");
        let topic =
            CreatableTopic { replication_factor: -1, ..creatable(&name, -1, &[("retention.ms", "77")]) };
        let created = create(&mut connection, vec![topic]).await.remove(0);
        assert_eq!((created.num_partitions, created.replication_factor), (1, 1));
        let configs = created.configs.unwrap();
        let retention = configs.iter().find(|config| config.name == "retention.ms").unwrap();
        assert_eq!(retention.value.as_deref(), Some("77"));
        assert!(configs.iter().any(|config| config.name == "cleanup.policy"), "defaults are told as well");
        assert_eq!(connection.led(&name).await.topic_id, created.topic_id);
    });
}

#[test]
fn c19_a_topic_may_be_tried_without_being_made() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        let name = peer.unique("corner");
        let request = CreateTopicsRequest {
            topics: vec![creatable(&name, 2, &[]), creatable("a b", 2, &[])],
            timeout_ms: 30_000,
            validate_only: true,
        };
        let answer = connection.ask(&request, CREATE_TOPICS).await;
        let mut found = errors(&answer.topics);
        found.sort();
        assert_eq!(found, [ErrorCode::None, ErrorCode::InvalidTopicException]);
        assert_eq!(error(connection.metadata(&name).await.error_code), ErrorCode::UnknownTopicOrPartition);
    });
}

#[test]
fn c19_every_topic_of_a_request_is_answered_for_itself() {
    check(async |peer| {
        let (mut connection, there) = with_topic(&peer, &[]).await;
        let assigned = |assignments: &[(i32, &[i32])]| CreatableTopic {
            num_partitions: -1,
            replication_factor: -1,
            assignments: assignments
                .iter()
                .map(|(partition_index, brokers)| CreatableReplicaAssignment {
                    partition_index: *partition_index,
                    broker_ids: brokers.to_vec(),
                })
                .collect(),
            ..creatable(&peer.unique("corner"), -1, &[])
        };
        for (what, topic, expected) in [
            ("what is there already", creatable(&there, 1, &[]), ErrorCode::TopicAlreadyExists),
            ("no partitions", creatable(&peer.unique("c"), 0, &[]), ErrorCode::InvalidPartitions),
            (
                "more replicas than brokers",
                CreatableTopic { replication_factor: 2, ..creatable(&peer.unique("c"), 1, &[]) },
                ErrorCode::InvalidReplicationFactor,
            ),
            (
                "no replicas",
                CreatableTopic { replication_factor: 0, ..creatable(&peer.unique("c"), 1, &[]) },
                ErrorCode::InvalidReplicationFactor,
            ),
            (
                "an unknown key",
                creatable(&peer.unique("c"), 1, &[("nonsense", "1")]),
                ErrorCode::InvalidConfig,
            ),
            (
                "a wrong value",
                creatable(&peer.unique("c"), 1, &[("retention.ms", "x")]),
                ErrorCode::InvalidConfig,
            ),
            ("an unknown broker", assigned(&[(0, &[9])]), ErrorCode::InvalidReplicaAssignment),
            ("a broker twice", assigned(&[(0, &[1, 1])]), ErrorCode::InvalidReplicaAssignment),
            ("a gap", assigned(&[(0, &[1]), (2, &[1])]), ErrorCode::InvalidReplicaAssignment),
            ("a partition twice", assigned(&[(0, &[1]), (0, &[1])]), ErrorCode::InvalidReplicaAssignment),
            ("nobody", assigned(&[(0, &[])]), ErrorCode::InvalidReplicaAssignment),
            (
                "numbers beside an assignment",
                CreatableTopic { num_partitions: 1, ..assigned(&[(0, &[1])]) },
                ErrorCode::InvalidRequest,
            ),
            ("an assignment", assigned(&[(0, &[1]), (1, &[1])]), ErrorCode::None),
        ] {
            let good = peer.unique("corner");
            let results = create(&mut connection, vec![topic, creatable(&good, 1, &[])]).await;
            let of_good = results.iter().find(|result| *result.name == *good).unwrap();
            let other = results.iter().find(|result| *result.name != *good).unwrap();
            assert_eq!(error(other.error_code), expected, "{what}");
            assert_eq!(error(of_good.error_code), ErrorCode::None, "beside {what}");
        }
    });
}

#[test]
fn c19_a_name_that_comes_twice_is_refused_once() {
    check(async |peer| {
        let mut connection = peer.connect().await;
        let (twice, once) = (peer.unique("corner"), peer.unique("corner"));
        let topics = [&twice, &once, &twice].map(|name| creatable(name, 1, &[]));
        let results = create(&mut connection, topics.into()).await;
        let mut found: Vec<_> =
            results.iter().map(|result| (*result.name == *twice, error(result.error_code))).collect();
        found.sort();
        assert_eq!(found, [(false, ErrorCode::None), (true, ErrorCode::InvalidRequest)]);
        assert_eq!(error(connection.metadata(&twice).await.error_code), ErrorCode::UnknownTopicOrPartition);
    });
}

#[test]
fn c20_partitions_are_only_added() {
    check(async |peer| {
        let (mut connection, topic) = with_partitions(&peer, 2).await;
        for (name, count, expected) in [
            (topic.as_str(), 1, ErrorCode::InvalidPartitions),
            (topic.as_str(), 2, ErrorCode::InvalidPartitions),
            (topic.as_str(), 3, ErrorCode::None),
            ("nowhere", 3, ErrorCode::UnknownTopicOrPartition),
        ] {
            let topics = vec![CreatePartitionsTopic { name: name.into(), count, assignments: None }];
            let request = CreatePartitionsRequest { topics, timeout_ms: 30_000, validate_only: false };
            let answer = connection.ask(&request, 3).await;
            assert_eq!(error(answer.results[0].error_code), expected, "{count} partitions");
        }
        for _ in Connection::looks() {
            if connection.metadata(&topic).await.partitions.len() == 3 {
                return;
            }
            connection.pause().await;
        }
        panic!("the third partition does not come");
    });
}

#[test]
fn c20_topics_are_deleted_by_name_or_by_id() {
    check(async |peer| {
        let (mut connection, by_name) = with_topic(&peer, &[]).await;
        let (_, by_id) = with_topic(&peer, &[]).await;
        let topic_id = connection.metadata(&by_id).await.topic_id;
        let nobody = Uuid([9; 16]);
        let named =
            |name: &str| DeleteTopicState { name: Some(name.to_owned().into()), ..Default::default() };
        for (topic, expected) in [
            (named(&by_name), ErrorCode::None),
            (named("nowhere"), ErrorCode::UnknownTopicOrPartition),
            (DeleteTopicState { name: None, topic_id }, ErrorCode::None),
            (DeleteTopicState { name: None, topic_id: nobody }, ErrorCode::UnknownTopicId),
        ] {
            let request = DeleteTopicsRequest {
                topics: vec![topic],
                timeout_ms: 30_000,
                ..DeleteTopicsRequest::default()
            };
            let answer = connection.ask(&request, 6).await;
            assert_eq!(error(answer.responses[0].error_code), expected);
        }
    });
}

fn change(name: &str, config_operation: i8, value: Option<&str>) -> AlterableConfig<'static> {
    AlterableConfig {
        name: name.to_owned().into(),
        config_operation,
        value: value.map(|value| value.to_owned().into()),
    }
}

/// The value of a topic's key, and where it comes from.
async fn value_of(connection: &mut Connection, topic: &str, name: &str) -> (String, i8) {
    let resource = DescribeConfigsResource {
        resource_type: TOPIC,
        resource_name: topic.to_owned().into(),
        configuration_keys: Some(vec![name.to_owned().into()]),
    };
    let request = DescribeConfigsRequest { resources: vec![resource], ..DescribeConfigsRequest::default() };
    let answer = connection.ask(&request, 4).await;
    assert_eq!((error(answer.results[0].error_code), answer.results[0].configs.len()), (ErrorCode::None, 1));
    let config = &answer.results[0].configs[0];
    (config.value.as_deref().unwrap_or_default().to_owned(), config.config_source)
}

/// Sources of values: the topic itself, and nobody.
const OF_THE_TOPIC: i8 = 1;
const DEFAULT: i8 = 5;

#[test]
fn c21_keys_are_set_deleted_and_lists_appended_to_and_subtracted_from() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let policy = "cleanup.policy";
        for (changes, expected, policy_then) in [
            (
                vec![change(policy, APPEND, Some("compact"))],
                ErrorCode::None,
                ("delete,compact", OF_THE_TOPIC),
            ),
            (vec![change(policy, SUBTRACT, Some("delete"))], ErrorCode::None, ("compact", OF_THE_TOPIC)),
            (vec![change(policy, SET, Some("delete"))], ErrorCode::None, ("delete", OF_THE_TOPIC)),
            (vec![change(policy, DELETE, None)], ErrorCode::None, ("delete", DEFAULT)),
            (vec![change("retention.ms", APPEND, Some("1"))], ErrorCode::InvalidConfig, ("delete", DEFAULT)),
            (vec![change("nonsense", SET, Some("1"))], ErrorCode::InvalidConfig, ("delete", DEFAULT)),
            (vec![change(policy, SET, Some("nonsense"))], ErrorCode::InvalidConfig, ("delete", DEFAULT)),
            (vec![change(policy, SET, None)], ErrorCode::InvalidRequest, ("delete", DEFAULT)),
            (
                vec![change(policy, SET, Some("compact")), change(policy, DELETE, None)],
                ErrorCode::InvalidRequest,
                ("delete", DEFAULT),
            ),
            // One wrong key, and nothing is changed.
            (
                vec![change(policy, SET, Some("compact")), change("nonsense", SET, Some("1"))],
                ErrorCode::InvalidConfig,
                ("delete", DEFAULT),
            ),
        ] {
            let what = format!("{changes:?}");
            assert_eq!(connection.alter(&topic, changes).await, expected, "{what}");
            settled(&mut connection, &topic, policy, policy_then).await;
        }
        let unknown = connection.alter("nowhere", vec![change(policy, SET, Some("compact"))]).await;
        assert_eq!(unknown, ErrorCode::UnknownTopicOrPartition);
    });
}

/// Waits until a key has a value; Kafka answers an alteration before every broker knows of it.
async fn settled(connection: &mut Connection, topic: &str, name: &str, expected: (&str, i8)) {
    let expected = (expected.0.to_owned(), expected.1);
    for _ in Connection::looks() {
        if value_of(connection, topic, name).await == expected {
            return;
        }
        connection.pause().await;
    }
    panic!("{name} is {:?}, not {expected:?}", value_of(connection, topic, name).await);
}

#[test]
fn c21_the_old_alteration_replaces_everything() {
    check(async |peer| {
        let configs = [("retention.ms", "77"), ("segment.ms", "88")];
        let (mut connection, topic) = with_topic(&peer, &configs).await;
        let configs = vec![PlainConfig { name: "retention.ms".into(), value: Some("99".into()) }];
        let resource =
            AlterConfigsResource { resource_type: TOPIC, resource_name: topic.as_str().into(), configs };
        let request = AlterConfigsRequest { resources: vec![resource], validate_only: false };
        assert_eq!(error(connection.ask(&request, 2).await.responses[0].error_code), ErrorCode::None);
        settled(&mut connection, &topic, "retention.ms", ("99", OF_THE_TOPIC)).await;
        settled(&mut connection, &topic, "segment.ms", ("604800000", DEFAULT)).await;
    });
}

#[test]
fn c21_null_describes_every_key_and_a_list_those_it_names() {
    check(async |peer| {
        let (mut connection, topic) = with_topic(&peer, &[]).await;
        let asked = |keys: Option<Vec<&'static str>>| DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: TOPIC,
                resource_name: topic.clone().into(),
                configuration_keys: keys.map(|keys| keys.into_iter().map(Into::into).collect()),
            }],
            ..DescribeConfigsRequest::default()
        };
        let all = connection.ask(&asked(None), 4).await.results.remove(0).configs;
        assert!(25 < all.len(), "{}", all.len());
        let two = connection.ask(&asked(Some(vec!["segment.ms", "nonsense", "retention.ms"])), 4).await;
        let mut names: Vec<_> = two.results[0].configs.iter().map(|config| &*config.name).collect();
        names.sort_unstable();
        assert_eq!(names, ["retention.ms", "segment.ms"]);
        // 4.3 takes an empty list for all of them.
        let none = connection.ask(&asked(Some(Vec::new())), 4).await.results.remove(0).configs;
        assert_eq!(none.len(), all.len());
    });
}

mod simulated {
    use std::path::Path;
    use std::time::Duration;

    use sim_tests::server::NODE;

    use super::*;
    use crate::peer::simulated;

    #[test]
    fn c14_a_broker_that_does_not_want_to_makes_no_topics() {
        simulated(&[("auto.create.topics.enable", "false")], async |simulated| {
            let mut connection = simulated.peer.connect().await;
            for _ in 0..2 {
                let answer = connection.ask(&about(Some(vec![by_name("wanted")]), true), METADATA).await;
                assert_eq!(error(answer.topics[0].error_code), ErrorCode::UnknownTopicOrPartition);
            }
        });
    }

    #[test]
    fn c17_the_leader_epoch_only_grows() {
        simulated(&[], async |simulated| {
            let (mut connection, topic) = with_topic(&simulated.peer, &[]).await;
            let mut last = -1;
            for _ in 0..3 {
                let epoch = connection.metadata(&topic).await.partitions[0].leader_epoch;
                assert!(last < epoch, "{epoch} after {last}");
                last = epoch;
                connection = simulated.restart().await;
            }
        });
    }

    #[test]
    fn c20_deletion_can_be_turned_off() {
        simulated(&[("delete.topic.enable", "false")], async |simulated| {
            let (mut connection, topic) = with_topic(&simulated.peer, &[]).await;
            let request =
                DeleteTopicsRequest { topic_names: vec![topic.into()], ..DeleteTopicsRequest::default() };
            let answer = connection.ask(&request, 5).await;
            assert_eq!(error(answer.responses[0].error_code), ErrorCode::TopicDeletionDisabled);
        });
    }

    #[test]
    fn c20_the_folder_of_a_deleted_topic_is_renamed_and_goes_later() {
        simulated(&[], async |simulated| {
            let (mut connection, topic) =
                with_topic(&simulated.peer, &[("file.delete.delay.ms", "60000")]).await;
            connection.delete_topic(&topic).await;
            let folders = || {
                let entries = simulated.sim.node(NODE).fs().read_dir(Path::new("/data")).unwrap();
                let names = entries.into_iter().map(|entry| entry.name);
                names.filter(|name| name.starts_with(&topic)).collect::<Vec<_>>()
            };
            simulated.peer.rt.sleep(Duration::from_secs(50)).await;
            let left = folders();
            assert!(left.len() == 1 && left[0].ends_with("-delete"), "{left:?}");
            simulated.peer.rt.sleep(Duration::from_secs(20)).await;
            assert_eq!(folders(), [""; 0]);
        });
    }
}
