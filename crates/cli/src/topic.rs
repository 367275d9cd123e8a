//! `ottla topic …`

mod alter;
mod describe;
mod records;

use std::collections::BTreeMap;

use client::{Admin, Client, Error, NewTopic, Topic};
use model::{ErrorCode, TopicName};
use rt::Rt;

use crate::args::{TopicArgs, TopicCommand};
use crate::cell::{Cell, Tone};
use crate::failure::{Failure, about_topic, meant};
use crate::output::{Output, column, wide};

/// Runs one of the commands.
pub(crate) async fn run(rt: &Rt, args: TopicArgs) -> Result<(), Failure> {
    let client = crate::connect(rt, &args.connect).await?;
    let mut output = Output::new(args.output.output);
    let done = carry_out(rt, &client, args.command, &mut output).await;
    // What was done before something failed is told all the same.
    output.finish(rt).await?;
    done
}

async fn carry_out(
    rt: &Rt,
    client: &Client,
    command: TopicCommand,
    output: &mut Output,
) -> Result<(), Failure> {
    match command {
        TopicCommand::Create { names, partitions, replication_factor, config, if_not_exists, dry } => {
            let configs: BTreeMap<String, String> = config.into_iter().collect();
            let topics = names.into_iter().map(|name| {
                let configs = configs.clone();
                NewTopic { name, partitions, replication_factor, configs }
            });
            create(client, topics.collect(), if_not_exists, dry.dry_run, output).await?;
        }
        TopicCommand::List { internal } => list(client, internal, output).await?,
        TopicCommand::Describe { names } => {
            for name in names {
                describe::run(client, &name, output).await?;
            }
        }
        TopicCommand::Alter { name, set, delete, dry } => {
            let set = set.into_iter().collect();
            alter::run(client, &name, set, &delete, dry.dry_run, output).await?;
        }
        TopicCommand::Delete { names, if_exists, dry } => {
            delete(client, names, if_exists, dry.dry_run, output).await?;
        }
        TopicCommand::DeleteRecords { name, before, partition, dry } => {
            let before = before.at(rt.wall_clock_ms());
            records::delete(client, &name, before, &partition, dry.dry_run, output).await?;
        }
        TopicCommand::AddPartitions { name, count, dry } => {
            add_partitions(client, &name, count, dry.dry_run, output).await?;
        }
    }
    Ok(())
}

/// Turns what a call about a topic came back with into the command's result.
async fn done<T>(client: &Client, name: &TopicName, result: Result<T, Error>) -> Result<T, Failure> {
    match result {
        Ok(value) => Ok(value),
        Err(error) => Err(about_topic(client, name, error).await),
    }
}

/// What became of something, or would have.
fn result(what: &str, dry_run: bool) -> String {
    if dry_run { format!("would be {what}") } else { what.to_owned() }
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
    dry_run: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    let admin = Admin::new(client);
    for topic in topics {
        let name = &topic.name;
        let created =
            if dry_run { admin.validate_topic(&topic).await } else { admin.create_topic(&topic).await };
        match created {
            Ok((id, partitions, replication_factor)) if output.is_json() => output.json(&Cell::Object(vec![
                ("topic", Cell::text(name)),
                ("result", Cell::Text(result("created", dry_run))),
                ("id", Cell::maybe((!id.is_zero()).then_some(id))),
                ("partitions", known(partitions.into())),
                ("replication_factor", known(replication_factor.into())),
            ])),
            Ok((_, partitions, replication_factor)) => output.line(&format!(
                "{} topic '{name}' with {} and {}.",
                if dry_run { "Would create" } else { "Created" },
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

async fn add_partitions(
    client: &Client,
    name: &TopicName,
    count: i32,
    dry_run: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    let admin = Admin::new(client);
    let before = done(client, name, client.topic(name).await).await?.partitions.len();
    let added = if dry_run {
        admin.validate_partitions(name, count).await
    } else {
        admin.create_partitions(name, count).await
    };
    done(client, name, added).await?;
    if output.is_json() {
        output.json(&Cell::Object(vec![
            ("topic", Cell::text(name)),
            ("result", Cell::Text(result("changed", dry_run))),
            ("before", Cell::count(before)),
            ("after", Cell::Int(count.into())),
        ]));
    } else {
        let has = if dry_run { "would have" } else { "has" };
        let instead = if dry_run { "instead of" } else { "now, after" };
        output.line(&format!("Topic '{name}' {has} {count} partitions {instead} {before}."));
    }
    Ok(())
}

async fn delete(
    client: &Client,
    names: Vec<TopicName>,
    if_exists: bool,
    dry_run: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    for name in names {
        let deleted = if dry_run {
            // The protocol has no dry run for this order: what can be read has to do.
            client.topic(&name).await.map(|topic| topic.partitions.len())
        } else {
            Admin::new(client).delete_topic(&name).await.map(|()| 0)
        };
        match deleted {
            Ok(partitions) if dry_run => {
                let partitions = i64::try_from(partitions).unwrap_or(i64::MAX);
                let what = counted(partitions, "partition", "partitions");
                say(
                    output,
                    &name,
                    &result("deleted", dry_run),
                    &format!("Would delete topic '{name}', its {what} and everything in them."),
                );
            }
            Ok(_) => say(output, &name, "deleted", &format!("Deleted topic '{name}'.")),
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
