//! `ottla topic describe`: partitions, what they hold, settings.

use std::collections::{BTreeMap, BTreeSet};

use client::{Admin, Client, Config, ConfigSource, OffsetQuery, Partition, Topic, TopicPartition};
use model::{Offset, PartitionIndex, TopicName};

use crate::cell::{Cell, Tone};
use crate::failure::Failure;
use crate::number;
use crate::output::{Column, Output, column, object, wide};
use crate::topic::done;

/// Runs the command for one topic.
pub(super) async fn run(client: &Client, name: &TopicName, output: &mut Output) -> Result<(), Failure> {
    let topic = done(client, name, client.topic(name).await).await?;
    let admin = Admin::new(client);
    let configs = done(client, name, admin.topic_configs(name).await).await?;
    let held = Held { ends: ends(client, name, &topic).await?, sizes: sizes(&admin, name, &topic).await? };
    if output.is_json() {
        output.json(&Cell::Object(vec![
            ("topic", Cell::text(name)),
            ("id", Cell::text(topic.id)),
            ("internal", Cell::Bool(topic.is_internal)),
            ("partitions", Cell::List(topic_rows(&topic, &held).into_iter().map(partition_object).collect())),
            ("configs", Cell::List(configs.iter().map(config_object).collect())),
        ]));
        return Ok(());
    }
    output.heading(&format!("Topic {name}  (id {}, {})", topic.id, number::bytes(held.sizes.values().sum())));
    output.table(&PARTITION_COLUMNS, &topic_rows(&topic, &held));
    let is_set = |config: &&Config| output.is_wide() || config.source == ConfigSource::Topic;
    let shown: Vec<&Config> = configs.iter().filter(is_set).collect();
    if !shown.is_empty() {
        output.heading(if output.is_wide() { "Settings" } else { "Set for this topic" });
        let row = |config: &&Config| {
            vec![
                Cell::text(&config.name),
                Cell::maybe(config.value.as_ref()),
                source(config.source),
                Cell::Bool(config.is_read_only),
            ]
        };
        let columns = [column("setting"), column("value"), wide("source"), wide("read_only")];
        output.table(&columns, &shown.iter().map(row).collect::<Vec<_>>());
    }
    Ok(())
}

const PARTITION_COLUMNS: [Column; 10] = [
    column("partition"),
    column("leader"),
    column("replicas"),
    column("isr"),
    column("start"),
    column("end"),
    column("records"),
    wide("size"),
    wide("leader_epoch"),
    wide("offline"),
];

/// What partitions hold.
struct Held {
    ends: Ends,
    sizes: BTreeMap<PartitionIndex, u64>,
}

type Ends = BTreeMap<TopicPartition, (Option<Offset>, Option<Offset>)>;

/// First offset and end of every partition that has a leader.
async fn ends(client: &Client, name: &TopicName, topic: &Topic) -> Result<Ends, Failure> {
    let led = topic.partitions.iter().filter(|(_, partition)| partition.leader.is_some());
    let places: BTreeSet<TopicPartition> =
        led.map(|(index, _)| TopicPartition { topic: name.clone(), partition: *index }).collect();
    let all = |query: OffsetQuery| places.iter().map(move |place| (place.clone(), query)).collect();
    let first = client.list_offsets(&all(OffsetQuery::Earliest)).await?;
    let end = client.list_offsets(&all(OffsetQuery::Latest)).await?;
    let of = |offsets: &client::Offsets, place| offsets.get(place).copied().flatten();
    Ok(places.iter().map(|place| (place.clone(), (of(&first, place), of(&end, place)))).collect())
}

/// Bytes of every partition, where its leader keeps it.
async fn sizes(
    admin: &Admin,
    name: &TopicName,
    topic: &Topic,
) -> Result<BTreeMap<PartitionIndex, u64>, Failure> {
    let mut sizes = BTreeMap::new();
    for dir in admin.log_dirs(Some(std::slice::from_ref(name))).await? {
        let led = dir.partitions.into_iter().filter(|(place, _)| {
            topic.partitions.get(&place.partition).is_some_and(|partition| partition.leader == Some(dir.node))
        });
        sizes.extend(led.map(|(place, size)| (place.partition, size)));
    }
    Ok(sizes)
}

fn topic_rows(topic: &Topic, held: &Held) -> Vec<Vec<Cell>> {
    let ends: BTreeMap<_, _> = held.ends.iter().map(|(place, ends)| (place.partition, *ends)).collect();
    topic
        .partitions
        .iter()
        .map(|(index, partition)| {
            let (first, end) = ends.get(index).copied().unwrap_or((None, None));
            let offset = |offset: Option<Offset>| offset.map_or(Cell::None, |offset| Cell::Int(offset.0));
            let between = first.zip(end).map(|(first, end)| end.0 - first.0);
            vec![
                Cell::Int(index.0.into()),
                leader(partition),
                brokers(&partition.replicas),
                in_sync(partition),
                offset(first),
                offset(end),
                between.map_or(Cell::None, Cell::Int),
                Cell::bytes(held.sizes.get(index).copied()),
                Cell::Int(partition.leader_epoch.0.into()),
                brokers(&partition.offline),
            ]
        })
        .collect()
}

fn leader(partition: &Partition) -> Cell {
    match partition.leader {
        Some(leader) => Cell::Int(leader.0.into()),
        None => Cell::Toned(Tone::Bad, "none".to_owned()),
    }
}

fn in_sync(partition: &Partition) -> Cell {
    let isr = brokers(&partition.isr);
    if partition.isr.len() < partition.replicas.len() { Cell::Toned(Tone::Warning, isr.plain()) } else { isr }
}

fn brokers(ids: &[model::BrokerId]) -> Cell {
    Cell::List(ids.iter().map(|id| Cell::Int(id.0.into())).collect())
}

/// In JSON a leader that is not there is null, and ids stay numbers.
fn partition_object(row: Vec<Cell>) -> Cell {
    let plain = |cell: Cell| match cell {
        Cell::Toned(Tone::Bad, _) => Cell::None,
        Cell::Toned(_, ids) => {
            Cell::List(ids.split(',').filter_map(|id| id.parse().ok()).map(Cell::Int).collect())
        }
        other => other,
    };
    object(&PARTITION_COLUMNS, row.into_iter().map(plain).collect())
}

fn config_object(config: &Config) -> Cell {
    Cell::Object(vec![
        ("name", Cell::text(&config.name)),
        ("value", Cell::maybe(config.value.as_ref())),
        ("source", source(config.source)),
        ("read_only", Cell::Bool(config.is_read_only)),
    ])
}

fn source(source: ConfigSource) -> Cell {
    match source {
        ConfigSource::Topic => Cell::text("topic"),
        ConfigSource::Broker => Cell::text("broker"),
        ConfigSource::Cluster => Cell::text("cluster"),
        ConfigSource::File => Cell::text("file"),
        ConfigSource::Default => Cell::text("default"),
        ConfigSource::Other(code) => Cell::Int(code.into()),
    }
}
