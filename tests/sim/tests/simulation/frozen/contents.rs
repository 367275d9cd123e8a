//! Everything that clients find in a cluster, as text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use client::{
    Admin, Client, ConfigSource, Consumer, ConsumerConfig, Event, OffsetQuery, Record, Start, TopicPartition,
};
use model::Offset;
use rt::sim::Sim;
use sim_tests::server::Server;
use wire::describe_producers::TopicRequest;
use wire::{DescribeProducersRequest, DescribeProducersResponse};

use crate::support::ask;

/// Longer values are shown by their beginning, length and checksum.
const SHOWN_BYTES: usize = 32;

/// Topics with what is set on them, partitions with their bounds, producers and records, groups with members and offsets.
pub async fn contents(sim: &Sim, server: &Server<'_>) -> String {
    let client = server.client(&sim.node("reader")).await;
    let admin = Admin::new(&client);
    let mut text = String::new();
    let snapshot = admin.topics().await.unwrap();
    writeln!(text, "cluster {}", admin.describe_cluster().await.unwrap().cluster_id).unwrap();
    for (name, topic) in snapshot.topics.iter().filter(|(_, topic)| !topic.is_internal) {
        writeln!(text, "\ntopic {name} {:02x?}", topic.id.0).unwrap();
        for config in admin.topic_configs(name).await.unwrap() {
            if config.source != ConfigSource::Default && config.source != ConfigSource::File {
                let value = config.value.unwrap_or_default();
                writeln!(text, "  {}={value} ({:?})", config.name, config.source).unwrap();
            }
        }
        for &partition in topic.partitions.keys() {
            let place = TopicPartition::new(name.clone(), partition.0);
            describe_partition(&client, &place, &mut text).await;
            describe_producers(sim, server, &place, &mut text).await;
        }
    }
    for group in admin.groups().await.unwrap() {
        let described = admin.describe_group(&group.group).await.unwrap();
        writeln!(text, "\ngroup {} {} {}", group.group, described.state, described.protocol_type).unwrap();
        for member in described.members {
            let assigned: Vec<String> = member.assigned.iter().map(place_name).collect();
            let instance = member.instance_id.unwrap_or_default();
            writeln!(text, "  member {instance} {} {}", member.member_id, assigned.join(" ")).unwrap();
        }
        for (place, offset) in admin.committed(&group.group).await.unwrap() {
            writeln!(text, "  committed {} {}", place_name(&place), offset.0).unwrap();
        }
    }
    text
}

fn place_name(place: &TopicPartition) -> String {
    format!("{}-{}", place.topic, place.partition.0)
}

async fn describe_partition(client: &Client, place: &TopicPartition, text: &mut String) {
    let bound = async |query| {
        let found = client.list_offsets(&BTreeMap::from([(place.clone(), query)])).await.unwrap();
        found[place].unwrap()
    };
    let (start, end) = (bound(OffsetQuery::Earliest).await, bound(OffsetQuery::Latest).await);
    writeln!(text, "  partition {} from {} to {}", place.partition.0, start.0, end.0).unwrap();
    for record in records(client, place, start, end).await {
        write!(text, "    {} at={} epoch={}", record.offset.0, record.timestamp.0, record.leader_epoch.0)
            .unwrap();
        write!(text, " {}={}", shown(record.key.as_deref()), shown(record.value.as_deref())).unwrap();
        for (name, value) in &record.headers {
            write!(text, " [{}={}]", shown(Some(name)), shown(value.as_deref())).unwrap();
        }
        text.push('\n');
    }
}

async fn records(client: &Client, place: &TopicPartition, start: Offset, end: Offset) -> Vec<Record> {
    let mut found: Vec<Record> = Vec::new();
    if start == end {
        return found;
    }
    let starts = BTreeMap::from([(place.clone(), Start::Earliest)]);
    let mut consumer = Consumer::assigned(client, ConsumerConfig::default(), &starts).await.unwrap();
    while found.last().is_none_or(|record| record.offset.0 + 1 < end.0) {
        match consumer.poll(Duration::from_secs(10)).await.unwrap() {
            Event::Records(records) => found.extend(records),
            other => panic!("{} stops before {}: {other:?}", place_name(place), end.0),
        }
    }
    found
}

async fn describe_producers(sim: &Sim, server: &Server<'_>, place: &TopicPartition, text: &mut String) {
    let topic =
        TopicRequest { name: place.topic.as_str().into(), partition_indexes: vec![place.partition.0] };
    let request = DescribeProducersRequest { topics: vec![topic] };
    let answer = ask(&sim.node("reader"), server.address(), &request, 0).await;
    let (_, answer) = wire::decode_response::<DescribeProducersResponse<'_>>(&answer, 0).unwrap();
    let mut lines: Vec<String> = (answer.topics[0].partitions[0].active_producers.iter())
        .map(|producer| {
            let (id, epoch) = (producer.producer_id, producer.producer_epoch);
            format!("    producer {id} epoch={epoch} to={}\n", producer.last_sequence)
        })
        .collect();
    lines.sort();
    text.extend(lines);
}

fn shown(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "null".to_owned(),
        Some(bytes) if bytes.len() <= SHOWN_BYTES => String::from_utf8_lossy(bytes).into_owned(),
        Some(bytes) => {
            let begin = String::from_utf8_lossy(&bytes[..SHOWN_BYTES]);
            format!("{begin}... {} bytes {:016x}", bytes.len(), fingerprint(bytes))
        }
    }
}

/// FNV-1a.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
