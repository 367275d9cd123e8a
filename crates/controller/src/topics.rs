//! Making and deleting topics.
//!
//! The order of the checks is Kafka's, so that a request with two faults hears of the same one.

use std::collections::{BTreeMap, BTreeSet};

use config::{BrokerConfig, Overrides, check_topic};
use meta::{ConfigResource, Image, MetadataRecord, Partition, ReplicationFactor};
use model::{BrokerId, PartitionIndex, TopicId, TopicName, limits};

use crate::error::ControllerError;
use crate::placement::{Brokers, first_turn};
use crate::{Decision, decided};

/// The folder of this topic's only partition would be the metadata log's.
const METADATA_TOPIC: &str = "__cluster_metadata";

/// A topic somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name, not checked yet.
    pub name: String,
    /// Its partitions; -1 takes the default.
    pub partitions: i32,
    /// Copies of each; -1 takes the default.
    pub replication_factor: i16,
    /// Brokers by partition, the preferred leader first; empty lets the controller place.
    pub assignments: Vec<(i32, Vec<BrokerId>)>,
    /// Its own configuration.
    pub configs: Vec<(String, Option<String>)>,
}

/// What a topic gets that does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicDefaults {
    /// `num.partitions`.
    pub partitions: i32,
    /// `default.replication.factor`; `None` takes as many as there are brokers, up to three.
    pub replication_factor: Option<i16>,
}

impl From<&BrokerConfig> for TopicDefaults {
    fn from(config: &BrokerConfig) -> TopicDefaults {
        TopicDefaults {
            partitions: config.num_partitions,
            replication_factor: config.default_replication_factor,
        }
    }
}

/// A topic that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its identity.
    pub id: TopicId,
    /// Its partitions.
    pub partitions: i32,
    /// Copies of the first of them.
    pub replication_factor: i16,
    /// Its own configuration.
    pub configs: Overrides,
}

/// Decides about new topics; `draw_id` gives a random id each time it is asked.
///
/// Each name is answered once; a name given twice is refused and nothing is made for it.
pub fn create_topics(
    image: &Image,
    defaults: TopicDefaults,
    topics: &[NewTopic],
    mut draw_id: impl FnMut() -> TopicId,
) -> Decision<(String, Result<CreatedTopic, ControllerError>)> {
    let mut image = image.clone();
    let mut decision = Decision { records: Vec::new(), answers: Vec::new() };
    let mut partitions_left = limits::TOPIC_PARTITIONS_MAX;
    let given = count(topics.iter().map(|topic| topic.name.as_str()));
    let mut answered = BTreeSet::new();
    for topic in topics.iter().filter(|topic| answered.insert(topic.name.as_str())) {
        let is_duplicate = given.get(topic.name.as_str()).is_some_and(|&times| 1 < times);
        let answer = if is_duplicate {
            Err(ControllerError::DuplicateTopicName)
        } else {
            create_topic(&image, defaults, topic, draw_id(), partitions_left)
        };
        let answer = answer.map(|(created, records)| {
            decided(&mut image, &records);
            decision.records.extend(records);
            partitions_left = partitions_left.saturating_sub(created.partitions);
            created
        });
        decision.answers.push((topic.name.clone(), answer));
    }
    decision
}

/// The topic that holds committed offsets, as Kafka configures it.
pub fn offsets_topic(config: &BrokerConfig) -> NewTopic {
    let configs = [
        ("cleanup.policy", "compact".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("segment.bytes", config.offsets_topic_segment_bytes.to_string()),
    ];
    NewTopic {
        name: TopicName::consumer_offsets().as_str().to_owned(),
        partitions: config.offsets_topic_partitions,
        replication_factor: config.offsets_topic_replication_factor.unwrap_or(-1),
        assignments: Vec::new(),
        configs: configs.into_iter().map(|(key, value)| (key.to_owned(), Some(value))).collect(),
    }
}

/// The topic that holds what is known of transactions, as Kafka configures it.
pub fn transactions_topic(config: &BrokerConfig) -> NewTopic {
    let configs = [
        ("cleanup.policy", "compact".to_owned()),
        ("compression.type", "uncompressed".to_owned()),
        ("min.insync.replicas", config.transactions_topic_min_insync_replicas.to_string()),
        ("segment.bytes", config.transactions_topic_segment_bytes.to_string()),
        ("unclean.leader.election.enable", "false".to_owned()),
    ];
    NewTopic {
        name: TopicName::transaction_state().as_str().to_owned(),
        partitions: config.transactions_topic_partitions,
        replication_factor: config.transactions_topic_replication_factor.unwrap_or(-1),
        assignments: Vec::new(),
        configs: configs.into_iter().map(|(key, value)| (key.to_owned(), Some(value))).collect(),
    }
}

fn create_topic(
    image: &Image,
    defaults: TopicDefaults,
    topic: &NewTopic,
    id: TopicId,
    partitions_max: i32,
) -> Result<(CreatedTopic, Vec<MetadataRecord>), ControllerError> {
    let name = new_name(image, &topic.name)?;
    let configs = new_configs(&topic.configs)?;
    let (partitions, replication_factor) = if topic.assignments.is_empty() {
        place(image, defaults, topic, id, partitions_max)?
    } else {
        (assign(image, topic, partitions_max)?, ReplicationFactor::Stated)
    };
    let created = CreatedTopic {
        id,
        partitions: i32::try_from(partitions.len()).map_err(|_| ControllerError::TooManyPartitions)?,
        replication_factor: partitions.first().map_or(0, copies),
        configs,
    };
    let resource = ConfigResource::topic(&name);
    let mut records = vec![MetadataRecord::TopicCreated { topic_id: id, name, replication_factor }];
    for (partition, state) in (0..).zip(partitions) {
        records.push(MetadataRecord::PartitionCreated {
            topic_id: id,
            partition: PartitionIndex(partition),
            state,
        });
    }
    records.extend(created.configs.iter().map(|(key, value)| MetadataRecord::ConfigSet {
        resource: resource.clone(),
        key: key.clone(),
        value: value.clone(),
    }));
    Ok((created, records))
}

fn new_name(image: &Image, text: &str) -> Result<TopicName, ControllerError> {
    let name = TopicName::parse(text)?;
    if name.as_str() == METADATA_TOPIC {
        return Err(ControllerError::ReservedTopicName(name));
    }
    match image.topic_colliding_with(text) {
        None => Ok(name),
        Some(existing) if existing.name == name => Err(ControllerError::TopicExists(name)),
        Some(existing) => Err(ControllerError::TopicNameCollides { name, existing: existing.name.clone() }),
    }
}

fn new_configs(configs: &[(String, Option<String>)]) -> Result<Overrides, ControllerError> {
    let mut own = Overrides::new();
    for (key, value) in configs {
        let value = value.as_ref().ok_or_else(|| ControllerError::NullTopicConfig(key.clone()))?;
        own.insert(key.clone(), value.clone());
    }
    check_topic(&own).map_err(ControllerError::InvalidConfig)?;
    Ok(own)
}

fn place(
    image: &Image,
    defaults: TopicDefaults,
    topic: &NewTopic,
    id: TopicId,
    partitions_max: i32,
) -> Result<(Vec<Partition>, ReplicationFactor), ControllerError> {
    let brokers = Brokers::of(image);
    let (copies, stated) = match (topic.replication_factor, defaults.replication_factor) {
        (-1, None) => (brokers.automatic_replication_factor(), ReplicationFactor::Automatic),
        (-1, Some(default)) => (default, ReplicationFactor::Stated),
        (asked, _) if 0 < asked => (asked, ReplicationFactor::Stated),
        _ => return Err(ControllerError::NonPositiveReplicationFactor),
    };
    let count = match topic.partitions {
        -1 => defaults.partitions,
        asked if 0 < asked => asked,
        _ => return Err(ControllerError::NonPositivePartitions),
    };
    if partitions_max < count {
        return Err(ControllerError::TooManyPartitions);
    }
    let count = usize::try_from(count).map_err(|_| ControllerError::NonPositivePartitions)?;
    let first = first_turn(id);
    let placed: Result<_, _> = (first..first + count).map(|turn| brokers.place(copies, turn)).collect();
    Ok((placed?, stated))
}

fn assign(image: &Image, topic: &NewTopic, partitions_max: i32) -> Result<Vec<Partition>, ControllerError> {
    if topic.replication_factor != -1 {
        return Err(ControllerError::AssignmentAndReplicationFactor);
    }
    if topic.partitions != -1 {
        return Err(ControllerError::AssignmentAndPartitions);
    }
    if usize::try_from(partitions_max).map_or(true, |max| max < topic.assignments.len()) {
        return Err(ControllerError::TooManyPartitions);
    }
    let mut by_partition = BTreeMap::new();
    for (partition, brokers) in &topic.assignments {
        if by_partition.insert(*partition, brokers).is_some() {
            return Err(ControllerError::AssignedTwice(*partition));
        }
    }
    let brokers = Brokers::of(image);
    let mut partitions: Vec<Partition> = Vec::new();
    for (turn, (partition, assigned)) in by_partition.into_iter().enumerate() {
        let state = brokers.assign(assigned, turn)?;
        if usize::try_from(partition) != Ok(turn) {
            return Err(ControllerError::AssignmentHasGaps);
        }
        if let Some(first) = partitions.first() {
            check_even(first, &state)?;
        }
        partitions.push(state);
    }
    Ok(partitions)
}

/// Partitions of one topic have equally many copies.
pub(crate) fn check_even(first: &Partition, next: &Partition) -> Result<(), ControllerError> {
    let (expected, got) = (first.replicas.len(), next.replicas.len());
    if expected == got { Ok(()) } else { Err(ControllerError::AssignmentUneven { got, expected }) }
}

/// How many copies a partition has.
pub(crate) fn copies(partition: &Partition) -> i16 {
    i16::try_from(partition.replicas.len()).unwrap_or(i16::MAX)
}

/// How often each text is given.
pub(crate) fn count<'t>(texts: impl Iterator<Item = &'t str>) -> BTreeMap<&'t str, usize> {
    let mut counts = BTreeMap::new();
    for text in texts {
        *counts.entry(text).or_insert(0) += 1;
    }
    counts
}

/// A topic somebody wants gone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicTarget {
    /// By its name.
    Name(String),
    /// By its identity.
    Id(TopicId),
}

/// The answer for one topic to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedTopic {
    /// What it was named by.
    pub target: TopicTarget,
    /// What it was; or why not.
    pub result: Result<(TopicId, TopicName), ControllerError>,
}

/// Decides about topics to delete; each name and each id is answered once.
///
/// Internal topics go like any other, as in Kafka. Whether topics may be deleted at all
/// (`delete.topic.enable`) is the broker's to check.
pub fn delete_topics(image: &Image, targets: &[TopicTarget]) -> Decision<DeletedTopic> {
    let mut decision = Decision { records: Vec::new(), answers: Vec::new() };
    let mut given: BTreeMap<&TopicTarget, usize> = BTreeMap::new();
    for target in targets {
        *given.entry(target).or_insert(0) += 1;
    }
    let mut answered = BTreeSet::new();
    for target in targets.iter().filter(|target| answered.insert(*target)) {
        let is_duplicate = given.get(target).is_some_and(|&times| 1 < times);
        let topic = match target {
            TopicTarget::Name(_) if is_duplicate => Err(ControllerError::DuplicateTopicName),
            TopicTarget::Id(_) if is_duplicate => Err(ControllerError::DuplicateTopicId),
            TopicTarget::Name(name) => match image.topic_named(name) {
                Some(topic) if given.contains_key(&TopicTarget::Id(topic.id)) => {
                    Err(ControllerError::TopicNamedByIdToo)
                }
                Some(topic) => Ok(topic),
                None => Err(ControllerError::UnknownTopic),
            },
            TopicTarget::Id(id) => image.topic(*id).ok_or(ControllerError::UnknownTopicId(*id)),
        };
        let result = topic.map(|topic| {
            decision.records.push(MetadataRecord::TopicDeleted { topic_id: topic.id });
            (topic.id, topic.name.clone())
        });
        decision.answers.push(DeletedTopic { target: target.clone(), result });
    }
    decision
}
