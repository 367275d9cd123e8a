//! `ottla topic …`

use std::collections::{BTreeMap, BTreeSet};

use client::{
    Admin, Client, Config, ConfigSource, Error, NewTopic, OffsetQuery, Partition, Topic, TopicPartition,
};
use model::{ErrorCode, Offset, TopicName};
use rt::Rt;

use crate::args::{TopicArgs, TopicCommand};
use crate::cell::{Cell, Tone};
use crate::failure::{Failure, about_topic, meant};
use crate::output::{Output, column, wide};

/// Runs one of the commands.
pub(crate) async fn run(rt: &Rt, args: TopicArgs) -> Result<(), Failure> {
    let client = crate::connect(rt, &args.connect).await?;
    let mut output = Output::new(args.output.output);
    match args.command {
        TopicCommand::Create { names, partitions, replication_factor, config, if_not_exists } => {
            let configs: BTreeMap<String, String> = config.into_iter().collect();
            let topics = names.into_iter().map(|name| {
                let configs = configs.clone();
                NewTopic { name, partitions, replication_factor, configs }
            });
            create(&client, topics.collect(), if_not_exists, &mut output).await?;
        }
        TopicCommand::List { internal } => list(&client, internal, &mut output).await?,
        TopicCommand::Describe { names } => {
            for name in names {
                describe(&client, &name, &mut output).await?;
            }
        }
        TopicCommand::Alter { name, set, unset } => {
            alter(&client, &name, set.into_iter().collect(), &unset, &mut output).await?;
        }
        TopicCommand::Delete { names, if_exists } => delete(&client, names, if_exists, &mut output).await?,
        TopicCommand::AddPartitions { name, count } => {
            let added = Admin::new(&client).create_partitions(&name, count).await;
            done(&client, &name, added).await?;
            say(&mut output, &name, "changed", &format!("Topic '{name}' has {count} partitions now."));
        }
    }
    output.finish(rt).await
}

/// Turns what a call about a topic came back with into the command's result.
async fn done<T>(client: &Client, name: &TopicName, result: Result<T, Error>) -> Result<T, Failure> {
    match result {
        Ok(value) => Ok(value),
        Err(error) => Err(about_topic(client, name, error).await),
    }
}

/// What became of a topic: a sentence, or an object.
fn say(output: &mut Output, name: &TopicName, what: &str, sentence: &str) {
    if output.is_json() {
        output.json(&Cell::Object(vec![("topic", Cell::text(name)), ("result", Cell::text(what))]));
    } else {
        output.line(sentence);
    }
}

async fn create(
    client: &Client,
    topics: Vec<NewTopic>,
    if_not_exists: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    for topic in topics {
        let name = &topic.name;
        match Admin::new(client).create_topic(&topic).await {
            Ok((id, partitions, replication_factor)) if output.is_json() => output.json(&Cell::Object(vec![
                ("topic", Cell::text(name)),
                ("result", Cell::text("created")),
                ("id", Cell::text(id)),
                ("partitions", known(partitions.into())),
                ("replication_factor", known(replication_factor.into())),
            ])),
            Ok((_, partitions, replication_factor)) => output.line(&format!(
                "Created topic '{name}' with {} and {}.",
                counted(partitions.into(), "partition", "partitions"),
                counted(replication_factor.into(), "copy of each", "copies of each"),
            )),
            Err(error) if if_not_exists && error.code() == Some(ErrorCode::TopicAlreadyExists) => {
                say(output, name, "exists", &format!("Topic '{name}' is there already."));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A number the broker may not have told.
fn known(number: i64) -> Cell {
    if number < 0 { Cell::None } else { Cell::Int(number) }
}

fn counted(number: i64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number if number < 0 => format!("the cluster's number of {many}"),
        number => format!("{number} {many}"),
    }
}

async fn list(client: &Client, internal: bool, output: &mut Output) -> Result<(), Failure> {
    let snapshot = Admin::new(client).topics().await?;
    let shown = snapshot.topics.iter().filter(|(_, topic)| internal || !topic.is_internal);
    let rows: Vec<Vec<Cell>> = shown
        .map(|(name, topic)| {
            let copies = topic.partitions.values().map(|partition| partition.replicas.len()).max();
            vec![
                Cell::text(name),
                Cell::count(topic.partitions.len()),
                copies.map_or(Cell::None, Cell::count),
                health(topic),
                Cell::text(topic.id),
                Cell::Bool(topic.is_internal),
            ]
        })
        .collect();
    if rows.is_empty() && !output.is_json() {
        output.line("There are no topics. Create one with `ottla topic create NAME`.");
        return Ok(());
    }
    let columns = [
        column("topic"),
        column("partitions"),
        column("replication_factor"),
        column("health"),
        wide("id"),
        wide("internal"),
    ];
    output.rows(&columns, rows);
    Ok(())
}

/// In a word, whether every partition is led and complete.
fn health(topic: &Topic) -> Cell {
    let leaderless = topic.partitions.values().filter(|partition| partition.leader.is_none()).count();
    let behind =
        topic.partitions.values().filter(|partition| partition.isr.len() < partition.replicas.len()).count();
    match (leaderless, behind) {
        (0, 0) => Cell::Toned(Tone::Good, "ok".to_owned()),
        (0, behind) => Cell::Toned(Tone::Warning, format!("{behind} under-replicated")),
        (leaderless, _) => Cell::Toned(Tone::Bad, format!("{leaderless} without leader")),
    }
}

async fn describe(client: &Client, name: &TopicName, output: &mut Output) -> Result<(), Failure> {
    let topic = done(client, name, client.topic(name).await).await?;
    let configs = done(client, name, Admin::new(client).topic_configs(name).await).await?;
    let ends = ends(client, name, &topic).await?;
    if output.is_json() {
        output.json(&Cell::Object(vec![
            ("topic", Cell::text(name)),
            ("id", Cell::text(topic.id)),
            ("internal", Cell::Bool(topic.is_internal)),
            ("partitions", Cell::List(topic_rows(&topic, &ends).into_iter().map(partition_object).collect())),
            ("configs", Cell::List(configs.iter().map(config_object).collect())),
        ]));
        return Ok(());
    }
    output.heading(&format!("Topic {name}  (id {})", topic.id));
    output.table(&PARTITION_COLUMNS, &topic_rows(&topic, &ends));
    let set: Vec<&Config> = configs.iter().filter(|config| config.source == ConfigSource::Topic).collect();
    if !set.is_empty() {
        output.heading("Set for this topic");
        let rows: Vec<Vec<Cell>> = set
            .iter()
            .map(|config| vec![Cell::text(&config.name), Cell::maybe(config.value.as_ref())])
            .collect();
        output.table(&[column("setting"), column("value")], &rows);
    }
    Ok(())
}

const PARTITION_COLUMNS: [crate::output::Column; 9] = [
    column("partition"),
    column("leader"),
    column("replicas"),
    column("isr"),
    column("start"),
    column("end"),
    column("records"),
    wide("leader_epoch"),
    wide("offline"),
];

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

fn topic_rows(topic: &Topic, ends: &Ends) -> Vec<Vec<Cell>> {
    let ends: BTreeMap<_, _> = ends.iter().map(|(place, ends)| (place.partition, *ends)).collect();
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
    Cell::Object(PARTITION_COLUMNS.iter().map(|column| column.name).zip(row.into_iter().map(plain)).collect())
}

fn config_object(config: &Config) -> Cell {
    let source = match config.source {
        ConfigSource::Topic => Cell::text("topic"),
        ConfigSource::Broker => Cell::text("broker"),
        ConfigSource::Cluster => Cell::text("cluster"),
        ConfigSource::File => Cell::text("file"),
        ConfigSource::Default => Cell::text("default"),
        ConfigSource::Other(code) => Cell::Int(code.into()),
    };
    Cell::Object(vec![
        ("name", Cell::text(&config.name)),
        ("value", Cell::maybe(config.value.as_ref())),
        ("source", source),
        ("read_only", Cell::Bool(config.is_read_only)),
    ])
}

async fn alter(
    client: &Client,
    name: &TopicName,
    set: BTreeMap<String, String>,
    unset: &[String],
    output: &mut Output,
) -> Result<(), Failure> {
    let admin = Admin::new(client);
    let altered = admin.alter_topic_configs(name, &set, unset).await;
    if let Err(error) = &altered
        && error.code() == Some(ErrorCode::InvalidConfig)
        && let Ok(configs) = admin.topic_configs(name).await
    {
        let names = || configs.iter().map(|config| config.name.as_str());
        let wrong = set.keys().chain(unset).find(|key| !names().any(|name| name == key.as_str()));
        if let Some(wrong) = wrong {
            let failure = Failure::refused(format!("topics have no setting '{wrong}'"));
            return Err(match crate::suggest::nearest(wrong, names()).as_slice() {
                [] => failure.next(format!("`ottla topic describe {name} -o json` shows those they have.")),
                near => failure.next(format!("Did you mean {}?", crate::failure::listed(near))),
            });
        }
    }
    done(client, name, altered).await?;
    say(output, name, "changed", &format!("Changed topic '{name}'."));
    Ok(())
}

async fn delete(
    client: &Client,
    names: Vec<TopicName>,
    if_exists: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    for name in names {
        match Admin::new(client).delete_topic(&name).await {
            Ok(()) => say(output, &name, "deleted", &format!("Deleted topic '{name}'.")),
            Err(Error::UnknownTopic { .. }) if if_exists => {
                say(output, &name, "absent", &format!("There is no topic '{name}'."));
            }
            Err(Error::UnknownTopic { .. }) => {
                // Somebody who wants it gone does not want to hear how to create it.
                let next =
                    meant(client, &name).await.unwrap_or("--if-exists makes that no error.".to_owned());
                return Err(Failure::from(Error::UnknownTopic { topic: name }).next(next));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
