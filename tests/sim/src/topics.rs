//! Topics for tests.

use client::{Admin, Client, NewTopic};
use model::TopicName;

/// Creates a topic and returns its name.
pub async fn create_topic(client: &Client, name: &str, partitions: i32) -> TopicName {
    create_topic_with(client, name, partitions, &[]).await
}

/// Creates a topic with settings of its own and returns its name.
pub async fn create_topic_with(
    client: &Client,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> TopicName {
    let name = TopicName::parse(name).expect("a topic's name");
    let topic = NewTopic {
        name: name.clone(),
        partitions: Some(partitions),
        replication_factor: Some(1),
        configs: configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    };
    Admin::new(client).create_topic(&topic).await.expect("the topic is created");
    name
}
