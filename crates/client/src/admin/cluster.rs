//! The cluster itself: its nodes, what they offer, and the folders they keep records in.

use std::collections::BTreeMap;

use model::{BrokerId, ErrorCode, TopicName};
use wire::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsResult};
use wire::{ApiKey, DescribeClusterRequest, DescribeLogDirsRequest, VersionRange};

use crate::admin::Admin;
use crate::client::ANY;
use crate::connection::introduction;
use crate::error::Error;
use crate::metadata::{Node, TopicPartition};
use crate::pool::Lane;

/// The cluster and its nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedCluster {
    /// Its id.
    pub cluster_id: String,
    /// Who takes orders, as far as it says.
    pub controller: Option<BrokerId>,
    /// Its nodes.
    pub nodes: Vec<Node>,
}

/// A folder a node keeps records in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDir {
    /// The node.
    pub node: BrokerId,
    /// Where it is there.
    pub path: String,
    /// What keeps it from being used, if anything does.
    pub error: Option<ErrorCode>,
    /// Bytes of each partition in it, as far as was asked.
    pub partitions: BTreeMap<TopicPartition, u64>,
    /// Bytes of its file system; older brokers do not say.
    pub total_bytes: Option<u64>,
    /// Bytes of those that are free.
    pub usable_bytes: Option<u64>,
}

/// A feature of the cluster (KIP-584).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// Its versions that the node knows, the first and the last.
    pub supported: (i16, i16),
    /// The version the cluster has agreed on; `None` before that.
    pub finalized: Option<i16>,
}

/// What a node offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// The versions of each API, by its number.
    pub apis: BTreeMap<i16, VersionRange>,
    /// Features, by name.
    pub features: Vec<Feature>,
}

impl Admin {
    /// The cluster and its nodes.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub async fn describe_cluster(&self) -> Result<DescribedCluster, Error> {
        let check = |answer: &wire::DescribeClusterResponse<'static>| {
            let message = answer.error_message.as_deref();
            Error::check(ApiKey::DescribeCluster, answer.error_code, message, "the cluster")
        };
        let answer = self.client.ask_any(&DescribeClusterRequest::default(), ANY, check).await?;
        let mut nodes = Vec::new();
        for broker in answer.brokers {
            let id = BrokerId(broker.broker_id);
            let port = u16::try_from(broker.port).map_err(|_| {
                crate::connection::malformed(
                    ApiKey::DescribeCluster,
                    format_args!("node {id} has port {}", broker.port),
                )
            })?;
            let rack = broker.rack.map(std::borrow::Cow::into_owned);
            nodes.push(Node { id, host: broker.host.into_owned(), port, rack });
        }
        nodes.sort_by_key(|node| node.id);
        Ok(DescribedCluster {
            cluster_id: answer.cluster_id.into_owned(),
            controller: Some(BrokerId(answer.controller_id)).filter(|id| *id != BrokerId::NONE),
            nodes,
        })
    }

    /// The folders of every node, with what they hold of these topics, or of all.
    ///
    /// # Errors
    /// A node does not answer: a list without its folders would look complete.
    pub async fn log_dirs(&self, topics: Option<&[TopicName]>) -> Result<Vec<LogDir>, Error> {
        let snapshot = self.client.refresh(Some(topics.unwrap_or_default())).await?;
        let wanted = topics.map(|names| {
            let known = names.iter().filter_map(|name| Some((name, snapshot.topics.get(name)?)));
            let topic = known.map(|(name, topic)| DescribableLogDirTopic {
                topic: name.to_string().into(),
                partitions: topic.partitions.keys().map(|index| index.0).collect(),
            });
            topic.collect()
        });
        let request = DescribeLogDirsRequest { topics: wanted };
        let mut dirs = Vec::new();
        for &node in snapshot.nodes.keys() {
            let mut backoff = self.client.backoff();
            loop {
                match self.log_dirs_of(node, &request).await {
                    Ok(of_node) => break dirs.extend(of_node),
                    Err(error) if error.is_retriable() => backoff.wait(self.client.rt(), error).await?,
                    Err(error) => return Err(error),
                }
            }
        }
        dirs.sort_by(|a: &LogDir, b| (a.node, &a.path).cmp(&(b.node, &b.path)));
        Ok(dirs)
    }

    async fn log_dirs_of(
        &self,
        node: BrokerId,
        request: &DescribeLogDirsRequest<'static>,
    ) -> Result<Vec<LogDir>, Error> {
        let connection = self.client.node(node, Lane::SHARED).await?;
        let answer = self.client.ask_on(&connection, request, ANY).await?;
        let subject = format_args!("the folders of node {node}");
        Error::check(ApiKey::DescribeLogDirs, answer.error_code, None, subject)?;
        Ok(answer.results.into_iter().map(|dir| log_dir(node, dir)).collect())
    }

    /// What a node offers: versions of APIs, and features.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn offered(&self, node: BrokerId) -> Result<Offered, Error> {
        let connection = self.client.node(node, Lane::SHARED).await?;
        let answer = self.client.ask_on(&connection, &introduction(), ANY).await?;
        Error::check(ApiKey::ApiVersions, answer.error_code, None, format_args!("node {node}"))?;
        let finalized: BTreeMap<_, _> = answer
            .finalized_features
            .iter()
            .map(|feature| (&feature.name, feature.max_version_level))
            .collect();
        let features = answer.supported_features.iter().map(|feature| Feature {
            name: feature.name.to_string(),
            supported: (feature.min_version, feature.max_version),
            finalized: finalized.get(&feature.name).copied(),
        });
        let mut features: Vec<Feature> = features.collect();
        features.sort_by(|a, b| a.name.cmp(&b.name));
        let range = |first, last| VersionRange { first, last };
        let apis = answer.api_keys.iter().map(|api| (api.api_key, range(api.min_version, api.max_version)));
        Ok(Offered { apis: apis.collect(), features })
    }
}

fn log_dir(node: BrokerId, dir: DescribeLogDirsResult<'_>) -> LogDir {
    let mut partitions = BTreeMap::new();
    for topic in &dir.topics {
        // What is no topic name is none of ours.
        let Ok(name) = TopicName::parse(&topic.name) else { continue };
        for partition in &topic.partitions {
            let place = TopicPartition::new(name.clone(), partition.partition_index);
            partitions.insert(place, u64::try_from(partition.partition_size).unwrap_or(0));
        }
    }
    LogDir {
        node,
        path: dir.log_dir.into_owned(),
        error: Some(ErrorCode::from_code(dir.error_code)).filter(|code| *code != ErrorCode::None),
        partitions,
        total_bytes: u64::try_from(dir.total_bytes).ok(),
        usable_bytes: u64::try_from(dir.usable_bytes).ok(),
    }
}
