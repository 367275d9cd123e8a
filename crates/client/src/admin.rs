//! Questions and orders about topics, groups and the cluster itself.
//!
//! Each call is one question, asked again while that may help. An order that was carried out although its answer got
//! lost is reported as whatever the second asking says: creating a topic then says that it exists.

mod cluster;
mod records;
mod transactions;

use std::collections::BTreeMap;

use model::{BrokerId, ErrorCode, Offset, TimestampMs, TopicName, Uuid};
use wire::create_partitions::CreatePartitionsTopic;
use wire::create_topics::{CreatableTopic, CreatableTopicConfig};
use wire::delete_topics::DeleteTopicState;
use wire::describe_configs::{DescribeConfigsResource, DescribeConfigsResourceResult};
use wire::incremental_alter_configs::{AlterConfigsResource, AlterableConfig};
use wire::{
    ApiKey, CreatePartitionsRequest, CreateTopicsRequest, DeleteGroupsRequest, DeleteTopicsRequest,
    DescribeConfigsRequest, DescribeGroupsRequest, IncrementalAlterConfigsRequest, ListGroupsRequest,
    VersionRange,
};

use crate::client::{ANY, Client};
use crate::consumer::Coordinator;
use crate::error::Error;
use crate::metadata::{Snapshot, TopicPartition};
use crate::offsets::{OffsetQuery, Offsets};
use crate::pool::Lane;

pub use cluster::{DescribedCluster, Feature, LogDir, Offered};
pub use transactions::{ActiveProducer, DescribedTransaction, ListedTransaction, TransactionFilter};

/// Topics by name or id in one form: Kafka 2.8 on.
const DELETE_TOPICS_VERSIONS: VersionRange = VersionRange { first: 6, last: i16::MAX };

/// The resource type of topics in configuration requests.
const TOPIC_RESOURCE: i8 = 2;

/// `SET` and `DELETE` in IncrementalAlterConfigs.
const SET: i8 = 0;
const UNSET: i8 = 1;

/// A topic to be created; `None` leaves a number to the cluster.
#[derive(Clone, Debug)]
pub struct NewTopic {
    /// Its name.
    pub name: TopicName,
    /// How many partitions.
    pub partitions: Option<i32>,
    /// How many copies of each.
    pub replication_factor: Option<i16>,
    /// Settings that differ from the cluster's.
    pub configs: BTreeMap<String, String>,
}

/// One setting of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// Its value; `None` when the cluster does not tell.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether it cannot be changed.
    pub is_read_only: bool,
}

/// Where a setting's value comes from (`ConfigSource` in Kafka's DescribeConfigs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    /// Set for this topic.
    Topic,
    /// Set for one broker while it runs.
    Broker,
    /// Set for all brokers while they run.
    Cluster,
    /// From a broker's configuration file.
    File,
    /// Nobody set it.
    Default,
    /// A source this client does not know, by its number.
    Other(i8),
}

impl ConfigSource {
    fn from_code(code: i8) -> ConfigSource {
        match code {
            1 => ConfigSource::Topic,
            2 => ConfigSource::Broker,
            3 => ConfigSource::Cluster,
            4 => ConfigSource::File,
            5 => ConfigSource::Default,
            other => ConfigSource::Other(other),
        }
    }
}

/// A group, as the list of groups has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// Its name.
    pub group: String,
    /// `consumer` for consumers.
    pub protocol_type: String,
    /// Its state, in Kafka's words.
    pub state: String,
    /// `classic` or `consumer`; empty from brokers that do not say.
    pub kind: String,
    /// The broker that keeps it.
    pub coordinator: BrokerId,
}

/// A group in detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGroup {
    /// Its name.
    pub group: String,
    /// Its state, in Kafka's words.
    pub state: String,
    /// `consumer` for consumers.
    pub protocol_type: String,
    /// The assignor in use.
    pub assignor: String,
    /// Who is in it.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// Its id.
    pub member_id: String,
    /// Its static name, if it has one.
    pub instance_id: Option<String>,
    /// What its client calls itself.
    pub client_id: String,
    /// Where it comes from.
    pub host: String,
    /// What it reads; empty also where its protocol is not Kafka's consumers'.
    pub assigned: Vec<TopicPartition>,
}

/// Orders and questions; clones share the client.
#[derive(Clone)]
pub struct Admin {
    client: Client,
}

impl Admin {
    /// For the cluster of `client`.
    pub fn new(client: &Client) -> Admin {
        Admin { client: client.clone() }
    }

    fn timeout_ms(&self) -> i32 {
        i32::try_from(self.client.config().request_timeout.as_millis()).unwrap_or(i32::MAX)
    }

    /// Every topic there is, with its partitions.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub async fn topics(&self) -> Result<std::sync::Arc<Snapshot>, Error> {
        let mut backoff = self.client.backoff();
        loop {
            match self.client.refresh(None).await {
                Err(error) if error.is_retriable() => backoff.wait(self.client.rt(), error).await?,
                other => return other,
            }
        }
    }

    /// Creates a topic; returns its id, partitions and copies, as far as the broker told.
    ///
    /// # Errors
    /// The cluster refuses.
    pub async fn create_topic(&self, topic: &NewTopic) -> Result<(Uuid, i32, i16), Error> {
        self.order_topic(topic, false).await
    }

    /// What [`Admin::create_topic`] would come back with; nothing is created, and the id is zero.
    ///
    /// # Errors
    /// The cluster would refuse.
    pub async fn validate_topic(&self, topic: &NewTopic) -> Result<(Uuid, i32, i16), Error> {
        self.order_topic(topic, true).await
    }

    async fn order_topic(&self, topic: &NewTopic, validate_only: bool) -> Result<(Uuid, i32, i16), Error> {
        let configs = topic.configs.iter().map(|(name, value)| CreatableTopicConfig {
            name: name.clone().into(),
            value: Some(value.clone().into()),
        });
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: topic.name.to_string().into(),
                num_partitions: topic.partitions.unwrap_or(-1),
                replication_factor: topic.replication_factor.unwrap_or(-1),
                configs: configs.collect(),
                ..CreatableTopic::default()
            }],
            timeout_ms: self.timeout_ms(),
            validate_only,
        };
        let check = |answer: &wire::CreateTopicsResponse<'static>| {
            each(ApiKey::CreateTopics, &answer.topics, |created| {
                (created.error_code, created.error_message.as_deref(), format!("topic '{}'", created.name))
            })
        };
        let answer = self.client.ask_controller(&request, ANY, check).await?;
        let created = one(ApiKey::CreateTopics, answer.topics)?;
        Ok((created.topic_id, created.num_partitions, created.replication_factor))
    }

    /// Deletes a topic and everything in it.
    ///
    /// # Errors
    /// The cluster refuses, or has no such topic.
    pub async fn delete_topic(&self, topic: &TopicName) -> Result<(), Error> {
        // A topic just created may not be everywhere yet, so brokers call this answer retriable; here it would only
        // keep the caller of a mistyped name waiting.
        self.known(topic).await?;
        let name = Some(topic.to_string().into());
        let request = DeleteTopicsRequest {
            topics: vec![DeleteTopicState { name, topic_id: Uuid::ZERO }],
            timeout_ms: self.timeout_ms(),
            ..DeleteTopicsRequest::default()
        };
        let check = |answer: &wire::DeleteTopicsResponse<'static>| {
            let checked = each(ApiKey::DeleteTopics, &answer.responses, |deleted| {
                (deleted.error_code, deleted.error_message.as_deref(), format!("topic '{topic}'"))
            });
            // It was there a moment ago: an attempt whose answer got lost may have deleted it. It will not come back.
            checked.map_err(|error| gone(error, topic))
        };
        self.client.ask_controller(&request, DELETE_TOPICS_VERSIONS, check).await.map(drop)
    }

    /// Gives a topic more partitions: `count` in all.
    ///
    /// # Errors
    /// The cluster refuses, or has no such topic.
    pub async fn create_partitions(&self, topic: &TopicName, count: i32) -> Result<(), Error> {
        self.order_partitions(topic, count, false).await
    }

    /// Whether [`Admin::create_partitions`] would do; nothing changes.
    ///
    /// # Errors
    /// The cluster would refuse.
    pub async fn validate_partitions(&self, topic: &TopicName, count: i32) -> Result<(), Error> {
        self.order_partitions(topic, count, true).await
    }

    async fn order_partitions(
        &self,
        topic: &TopicName,
        count: i32,
        validate_only: bool,
    ) -> Result<(), Error> {
        self.known(topic).await?;
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic { name: topic.to_string().into(), count, assignments: None }],
            timeout_ms: self.timeout_ms(),
            validate_only,
        };
        let check = |answer: &wire::CreatePartitionsResponse<'static>| {
            let checked = each(ApiKey::CreatePartitions, &answer.results, |result| {
                (result.error_code, result.error_message.as_deref(), format!("topic '{topic}'"))
            });
            checked.map_err(|error| gone(error, topic))
        };
        self.client.ask_controller(&request, ANY, check).await.map(drop)
    }

    /// The settings of a topic.
    ///
    /// # Errors
    /// The cluster refuses, or has no such topic.
    pub async fn topic_configs(&self, topic: &TopicName) -> Result<Vec<Config>, Error> {
        self.known(topic).await?;
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: TOPIC_RESOURCE,
                resource_name: topic.to_string().into(),
                configuration_keys: None,
            }],
            ..DescribeConfigsRequest::default()
        };
        let check = |answer: &wire::DescribeConfigsResponse<'static>| {
            each(ApiKey::DescribeConfigs, &answer.results, |result| {
                (result.error_code, result.error_message.as_deref(), format!("topic '{topic}'"))
            })
        };
        let answer = self.client.ask_any(&request, ANY, check).await?;
        let configs = answer.results.into_iter().flat_map(|result| result.configs).map(config);
        let mut configs: Vec<Config> = configs.collect();
        configs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(configs)
    }

    /// Sets settings of a topic and puts others back to their defaults; all of it or nothing.
    ///
    /// # Errors
    /// The cluster refuses, or has no such topic.
    pub async fn alter_topic_configs(
        &self,
        topic: &TopicName,
        set: &BTreeMap<String, String>,
        unset: &[String],
    ) -> Result<(), Error> {
        self.order_topic_configs(topic, set, unset, false).await
    }

    /// Whether [`Admin::alter_topic_configs`] would do; nothing changes.
    ///
    /// # Errors
    /// The cluster would refuse.
    pub async fn validate_topic_configs(
        &self,
        topic: &TopicName,
        set: &BTreeMap<String, String>,
        unset: &[String],
    ) -> Result<(), Error> {
        self.order_topic_configs(topic, set, unset, true).await
    }

    async fn order_topic_configs(
        &self,
        topic: &TopicName,
        set: &BTreeMap<String, String>,
        unset: &[String],
        validate_only: bool,
    ) -> Result<(), Error> {
        self.known(topic).await?;
        let setting = set.iter().map(|(name, value)| (name, SET, Some(value.clone().into())));
        let unsetting = unset.iter().map(|name| (name, UNSET, None));
        let configs = setting.chain(unsetting).map(|(name, config_operation, value)| AlterableConfig {
            name: name.clone().into(),
            config_operation,
            value,
        });
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: TOPIC_RESOURCE,
                resource_name: topic.to_string().into(),
                configs: configs.collect(),
            }],
            validate_only,
        };
        let check = |answer: &wire::IncrementalAlterConfigsResponse<'static>| {
            each(ApiKey::IncrementalAlterConfigs, &answer.responses, |result| {
                (result.error_code, result.error_message.as_deref(), format!("topic '{topic}'"))
            })
        };
        self.client.ask_controller(&request, ANY, check).await.map(drop)
    }

    async fn known(&self, topic: &TopicName) -> Result<(), Error> {
        let snapshot = self.client.refresh(Some(std::slice::from_ref(topic))).await?;
        let known = snapshot.topics.contains_key(topic);
        if known { Ok(()) } else { Err(Error::UnknownTopic { topic: topic.clone() }) }
    }

    /// Offsets of partitions.
    ///
    /// # Errors
    /// A partition is not there, or its leader does not answer.
    pub async fn list_offsets(
        &self,
        queries: &BTreeMap<TopicPartition, OffsetQuery>,
    ) -> Result<Offsets, Error> {
        self.client.list_offsets(queries).await
    }

    /// The first offset of each partition whose record is as new as `timestamp`, else its end.
    ///
    /// # Errors
    /// A partition is not there, or its leader does not answer.
    pub async fn offsets_at(
        &self,
        places: &[TopicPartition],
        timestamp: TimestampMs,
    ) -> Result<BTreeMap<TopicPartition, Offset>, Error> {
        let start = crate::offsets::Start::Timestamp(timestamp);
        self.client.resolve(&places.iter().map(|place| (place.clone(), start)).collect()).await
    }

    /// Every group, from every broker.
    ///
    /// # Errors
    /// A broker does not answer: a list without its groups would look complete.
    pub async fn groups(&self) -> Result<Vec<ListedGroup>, Error> {
        let snapshot = self.client.refresh(Some(&[])).await?;
        let mut groups = Vec::new();
        for &node in snapshot.nodes.keys() {
            let mut backoff = self.client.backoff();
            loop {
                match self.groups_of(node).await {
                    Ok(listed) => break groups.extend(listed),
                    Err(error) if error.is_retriable() => backoff.wait(self.client.rt(), error).await?,
                    Err(error) => return Err(error),
                }
            }
        }
        groups.sort_by(|a, b| a.group.cmp(&b.group));
        Ok(groups)
    }

    async fn groups_of(&self, node: BrokerId) -> Result<Vec<ListedGroup>, Error> {
        let connection = self.client.node(node, Lane::SHARED).await?;
        let answer = self.client.ask_on(&connection, &ListGroupsRequest::default(), ANY).await?;
        Error::check(ApiKey::ListGroups, answer.error_code, None, format_args!("the groups of node {node}"))?;
        let listed = answer.groups.into_iter().map(|group| ListedGroup {
            group: group.group_id.into_owned(),
            protocol_type: group.protocol_type.into_owned(),
            state: group.group_state.into_owned(),
            kind: group.group_type.into_owned(),
            coordinator: node,
        });
        Ok(listed.collect())
    }

    /// One group and its members. A group that is not there is answered as `Dead` or refused, as the broker likes.
    ///
    /// # Errors
    /// The cluster refuses.
    pub async fn describe_group(&self, group: &str) -> Result<DescribedGroup, Error> {
        let request = DescribeGroupsRequest {
            groups: vec![group.to_owned().into()],
            include_authorized_operations: false,
        };
        let check = |answer: &wire::DescribeGroupsResponse<'static>| {
            each(ApiKey::DescribeGroups, &answer.groups, |described| {
                (described.error_code, described.error_message.as_deref(), format!("group '{group}'"))
            })
        };
        let answer = Coordinator::new(&self.client, group).ask_until(&request, ANY, check).await?;
        let described = one(ApiKey::DescribeGroups, answer.groups)?;
        let mut members: Vec<GroupMember> = (described.members.into_iter())
            .map(|member| GroupMember {
                assigned: assigned(&member.member_assignment),
                member_id: member.member_id.into_owned(),
                instance_id: member.group_instance_id.map(std::borrow::Cow::into_owned),
                client_id: member.client_id.into_owned(),
                host: member.client_host.into_owned(),
            })
            .collect();
        members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
        Ok(DescribedGroup {
            group: described.group_id.into_owned(),
            state: described.group_state.into_owned(),
            protocol_type: described.protocol_type.into_owned(),
            assignor: described.protocol_data.into_owned(),
            members,
        })
    }

    /// Everything a group has committed.
    ///
    /// # Errors
    /// The cluster refuses.
    pub async fn committed(&self, group: &str) -> Result<BTreeMap<TopicPartition, Offset>, Error> {
        Coordinator::new(&self.client, group).all_committed().await
    }

    /// Sets what a group without members has committed.
    ///
    /// # Errors
    /// The cluster refuses: with `UNKNOWN_MEMBER_ID` while the group has members.
    pub async fn commit(&self, group: &str, offsets: &BTreeMap<TopicPartition, Offset>) -> Result<(), Error> {
        Coordinator::new(&self.client, group).commit(offsets, None).await
    }

    /// Deletes a group without members and what it committed.
    ///
    /// # Errors
    /// The cluster refuses.
    pub async fn delete_group(&self, group: &str) -> Result<(), Error> {
        let request = DeleteGroupsRequest { groups_names: vec![group.to_owned().into()] };
        let check = |answer: &wire::DeleteGroupsResponse<'static>| {
            each(ApiKey::DeleteGroups, &answer.results, |deleted| {
                (deleted.error_code, None, format!("group '{}'", deleted.group_id))
            })
        };
        Coordinator::new(&self.client, group).ask_until(&request, ANY, check).await.map(drop)
    }
}

/// An error of an order about a topic that was there a moment ago; that it is not any more is final.
fn gone(error: Error, topic: &TopicName) -> Error {
    match error.code() {
        Some(ErrorCode::UnknownTopicOrPartition) => Error::UnknownTopic { topic: topic.clone() },
        Some(_) | None => error,
    }
}

/// Checks the code of every item of an answer.
fn each<'a, T>(
    api: ApiKey,
    items: &'a [T],
    read: impl Fn(&'a T) -> (i16, Option<&'a str>, String),
) -> Result<(), Error> {
    items.iter().try_for_each(|item| {
        let (code, message, subject) = read(item);
        Error::check(api, code, message, subject)
    })
}

/// The only item of an answer to a question about one thing.
fn one<T>(api: ApiKey, items: Vec<T>) -> Result<T, Error> {
    let missing = || crate::connection::malformed(api, "it says nothing of what was asked");
    items.into_iter().next().ok_or_else(missing)
}

fn config(config: DescribeConfigsResourceResult<'static>) -> Config {
    Config {
        name: config.name.into_owned(),
        value: config.value.map(std::borrow::Cow::into_owned),
        source: ConfigSource::from_code(config.config_source),
        is_read_only: config.read_only,
    }
}

/// An assignment as Kafka's consumers write it; whatever else it is, it names no partitions.
fn assigned(bytes: &[u8]) -> Vec<TopicPartition> {
    let Ok(assignment) = wire::decode_assignment(bytes) else { return Vec::new() };
    let mut places = Vec::new();
    for topic in &assignment.assigned_partitions {
        let Ok(name) = TopicName::parse(&topic.topic) else { continue };
        places.extend(topic.partitions.iter().map(|index| TopicPartition::new(name.clone(), *index)));
    }
    places.sort();
    places
}
