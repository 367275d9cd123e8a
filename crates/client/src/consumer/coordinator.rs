//! The broker that keeps a group or a transactional id: found, asked, found again when it moves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{BrokerId, ErrorCode, Offset};
use wire::offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use wire::offset_fetch::{OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponseGroup};
use wire::{
    ApiKey, FindCoordinatorRequest, OffsetCommitRequest, OffsetFetchRequest, OffsetFetchResponse,
    VersionRange,
};

use crate::client::Client;
use crate::error::Error;
use crate::metadata::TopicPartition;
use crate::pool::Lane;
use crate::question::Ask;

/// From Kafka 3.0 on several groups can be asked for at once, and only this form is used here.
const FIND_VERSIONS: VersionRange = VersionRange { first: 4, last: i16::MAX };

/// Likewise; from version 10 on topics go by their ids.
const OFFSET_FETCH_VERSIONS: VersionRange = VersionRange { first: 8, last: 9 };

/// From version 10 on topics go by their ids.
const OFFSET_COMMIT_VERSIONS: VersionRange = VersionRange { first: 2, last: 9 };

/// What FindCoordinator is asked about.
#[derive(Clone, Copy)]
enum Kind {
    Group,
    Transaction,
}

impl Kind {
    fn key_type(self) -> i8 {
        match self {
            Kind::Group => 0,
            Kind::Transaction => 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Group => "group",
            Kind::Transaction => "transactional id",
        }
    }
}

/// A member's place in a generation of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) generation: i32,
}

/// Where a group, or a transactional id, is kept; clones share what they learn.
#[derive(Clone)]
pub(crate) struct Coordinator {
    client: Client,
    kind: Kind,
    /// The group's name, or the transactional id.
    group: Arc<str>,
    node: Arc<Mutex<Option<BrokerId>>>,
}

impl Coordinator {
    pub(crate) fn new(client: &Client, group: &str) -> Coordinator {
        Coordinator {
            client: client.clone(),
            kind: Kind::Group,
            group: Arc::from(group),
            node: Arc::default(),
        }
    }

    pub(crate) fn of_transaction(client: &Client, id: &str) -> Coordinator {
        Coordinator { kind: Kind::Transaction, ..Coordinator::new(client, id) }
    }

    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    /// Asks once, waiting `patience` longer than for any answer. Whatever says that it is elsewhere is remembered.
    pub(crate) async fn ask<Q: Ask>(
        &self,
        lane: Lane,
        request: &Q,
        versions: VersionRange,
        patience: Duration,
        check: impl Fn(&Q::Answer) -> Result<(), Error> + Send + Sync,
    ) -> Result<Q::Answer, Error> {
        let asked = async {
            let connection = self.client.node(self.find().await?, lane).await?;
            let version = connection.version(Q::KEY, versions)?;
            let timeout = self.client.config().request_timeout + patience;
            let answer = connection.ask(request, version, timeout).await?;
            check(&answer)?;
            Ok::<_, Error>(answer)
        };
        let result = asked.await;
        if let Err(error) = &result
            && is_elsewhere(error)
        {
            *self.node.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        result
    }

    /// Asks until it is answered, refused for good, or time is up.
    pub(crate) async fn ask_until<Q: Ask>(
        &self,
        request: &Q,
        versions: VersionRange,
        check: impl Fn(&Q::Answer) -> Result<(), Error> + Send + Sync,
    ) -> Result<Q::Answer, Error> {
        let mut backoff = self.client.backoff();
        loop {
            match self.ask(Lane::SHARED, request, versions, Duration::ZERO, &check).await {
                Err(error) if error.is_retriable() => backoff.wait(self.client.rt(), error).await?,
                other => return other,
            }
        }
    }

    async fn find(&self) -> Result<BrokerId, Error> {
        if let Some(node) = *self.node.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(node);
        }
        let request = FindCoordinatorRequest {
            key_type: self.kind.key_type(),
            coordinator_keys: vec![self.group.to_string().into()],
            ..FindCoordinatorRequest::default()
        };
        let connection = self.client.any().await?;
        let answer = self.client.ask_on(&connection, &request, FIND_VERSIONS).await?;
        let Some(found) = answer.coordinators.iter().find(|found| found.key == *self.group) else {
            return Err(Error::Malformed {
                api: ApiKey::FindCoordinator,
                problem: "it names no coordinator".to_owned(),
            });
        };
        let message = found.error_message.as_deref();
        Error::check(
            ApiKey::FindCoordinator,
            found.error_code,
            message,
            format_args!("{} '{}'", self.kind.name(), self.group),
        )?;
        let node = BrokerId(found.node_id);
        if !self.client.snapshot().nodes.contains_key(&node) {
            self.client.refresh(Some(&[])).await?;
        }
        *self.node.lock().unwrap_or_else(PoisonError::into_inner) = Some(node);
        Ok(node)
    }

    /// Commits offsets: for a member, or, without a standing, for a group that has no members.
    pub(crate) async fn commit(
        &self,
        offsets: &BTreeMap<TopicPartition, Offset>,
        standing: Option<&Standing>,
    ) -> Result<(), Error> {
        if offsets.is_empty() {
            return Ok(());
        }
        let mut request = OffsetCommitRequest {
            group_id: self.group.to_string().into(),
            generation_id_or_member_epoch: standing.map_or(-1, |standing| standing.generation),
            member_id: standing.map_or_else(String::new, |standing| standing.member_id.clone()).into(),
            group_instance_id: standing.and_then(|standing| standing.instance_id.clone()).map(Into::into),
            ..OffsetCommitRequest::default()
        };
        for (place, offset) in offsets {
            let partition = OffsetCommitRequestPartition {
                partition_index: place.partition.0,
                committed_offset: offset.0,
                committed_metadata: Some("".into()),
                ..OffsetCommitRequestPartition::default()
            };
            match request.topics.last_mut() {
                Some(topic) if topic.name == place.topic.as_str() => topic.partitions.push(partition),
                Some(_) | None => request.topics.push(OffsetCommitRequestTopic {
                    name: place.topic.to_string().into(),
                    partitions: vec![partition],
                    ..OffsetCommitRequestTopic::default()
                }),
            }
        }
        let check = |answer: &wire::OffsetCommitResponse<'static>| {
            for topic in &answer.topics {
                for partition in &topic.partitions {
                    let subject = format_args!(
                        "group '{}' in {}-{}",
                        self.group, topic.name, partition.partition_index
                    );
                    Error::check(ApiKey::OffsetCommit, partition.error_code, None, subject)?;
                }
            }
            Ok(())
        };
        self.ask_until(&request, OFFSET_COMMIT_VERSIONS, check).await.map(drop)
    }

    /// The committed offsets of these partitions; those without one are left out.
    pub(crate) async fn committed(
        &self,
        places: &[TopicPartition],
    ) -> Result<BTreeMap<TopicPartition, Offset>, Error> {
        let mut topics: Vec<OffsetFetchRequestTopics<'static>> = Vec::new();
        for place in places {
            match topics.iter_mut().find(|topic| topic.name == place.topic.as_str()) {
                Some(topic) => topic.partition_indexes.push(place.partition.0),
                None => topics.push(OffsetFetchRequestTopics {
                    name: place.topic.to_string().into(),
                    partition_indexes: vec![place.partition.0],
                    ..OffsetFetchRequestTopics::default()
                }),
            }
        }
        self.fetch_committed(Some(topics)).await
    }

    /// Every offset the group has committed.
    pub(crate) async fn all_committed(&self) -> Result<BTreeMap<TopicPartition, Offset>, Error> {
        self.fetch_committed(None).await
    }

    async fn fetch_committed(
        &self,
        topics: Option<Vec<OffsetFetchRequestTopics<'static>>>,
    ) -> Result<BTreeMap<TopicPartition, Offset>, Error> {
        let group_id = self.group.to_string().into();
        let request = OffsetFetchRequest {
            groups: vec![OffsetFetchRequestGroup { group_id, topics, ..OffsetFetchRequestGroup::default() }],
            require_stable: true,
            ..OffsetFetchRequest::default()
        };
        let check = |answer: &OffsetFetchResponse<'static>| self.read_committed(answer).map(drop);
        let answer = self.ask_until(&request, OFFSET_FETCH_VERSIONS, check).await?;
        self.read_committed(&answer)
    }

    fn read_committed(
        &self,
        answer: &OffsetFetchResponse<'_>,
    ) -> Result<BTreeMap<TopicPartition, Offset>, Error> {
        let mut committed = BTreeMap::new();
        let is_ours = |group: &&OffsetFetchResponseGroup<'_>| group.group_id == *self.group;
        for group in answer.groups.iter().filter(is_ours) {
            Error::check(
                ApiKey::OffsetFetch,
                group.error_code,
                None,
                format_args!("group '{}'", self.group),
            )?;
            for topic in &group.topics {
                let malformed = |error: model::TopicNameError| Error::Malformed {
                    api: ApiKey::OffsetFetch,
                    problem: error.to_string(),
                };
                let name = model::TopicName::parse(&topic.name).map_err(malformed)?;
                for partition in &topic.partitions {
                    let place = TopicPartition::new(name.clone(), partition.partition_index);
                    let subject = format_args!("group '{}' in {place}", self.group);
                    Error::check(ApiKey::OffsetFetch, partition.error_code, None, subject)?;
                    if 0 <= partition.committed_offset {
                        committed.insert(place, Offset(partition.committed_offset));
                    }
                }
            }
        }
        Ok(committed)
    }
}

/// Whether the coordinator must be looked for anew.
fn is_elsewhere(error: &Error) -> bool {
    error.is_unreachable()
        || matches!(error.code(), Some(ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable))
}
