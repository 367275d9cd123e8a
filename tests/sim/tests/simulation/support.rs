//! What several tests need.

use std::collections::BTreeMap;

use client::{Admin, Client, NewTopic};
use model::TopicName;

/// Creates a topic and returns its name.
pub async fn create_topic(client: &Client, name: &str, partitions: i32) -> TopicName {
    let name = TopicName::parse(name).unwrap();
    let topic = NewTopic {
        name: name.clone(),
        partitions: Some(partitions),
        replication_factor: Some(1),
        configs: BTreeMap::new(),
    };
    Admin::new(client).create_topic(&topic).await.unwrap();
    name
}
