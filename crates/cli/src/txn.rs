//! `ottla txn …`

use std::collections::{BTreeMap, BTreeSet};

use client::{
    ActiveProducer, Admin, Client, DescribedTransaction, ListedTransaction, TopicPartition, TransactionFilter,
};
use model::{PartitionIndex, ProducerId, TopicName};
use rt::Rt;

use crate::args::{TxnArgs, TxnCommand};
use crate::cell::{Cell, Tone};
use crate::failure::{Failure, listed};
use crate::output::{Output, column, object, wide};

/// Runs one of the commands.
pub(crate) async fn run(rt: &Rt, args: TxnArgs) -> Result<(), Failure> {
    let client = crate::connect(rt, &args.connect).await?;
    let mut output = Output::new(args.output.output);
    let done = carry_out(&client, args.command, &mut output).await;
    // What was done before something failed is told all the same.
    output.finish(rt).await?;
    done
}

async fn carry_out(client: &Client, command: TxnCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        TxnCommand::List { hanging: true, topic, .. } => list_hanging(client, &topic, output).await,
        TxnCommand::List { state, longer_than, .. } => {
            let filter =
                TransactionFilter { states: state, producers: Vec::new(), longer_than_ms: longer_than };
            list(client, &filter, output).await
        }
        TxnCommand::Describe { ids } => {
            for id in ids {
                describe(client, &id, output).await?;
            }
            Ok(())
        }
        TxnCommand::Abort { id: Some(id), dry, .. } => abort(client, &id, dry.dry_run, output).await,
        TxnCommand::Abort { partition: Some(place), producer: Some(producer), dry, .. } => {
            abort_hanging(client, &place.into(), ProducerId(producer), dry.dry_run, output).await
        }
        TxnCommand::Abort { .. } => {
            unreachable!("the command line demands an id, or a partition and a producer")
        }
    }
}

/// A partition as a command line names it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    topic: TopicName,
    partition: i32,
}

impl From<Place> for TopicPartition {
    fn from(place: Place) -> TopicPartition {
        TopicPartition::new(place.topic, place.partition)
    }
}

pub(crate) fn parse_place(text: &str) -> Result<Place, String> {
    let expected = || format!("'{text}' is no partition: TOPIC:N expected");
    let (topic, partition) = text.split_once(':').ok_or_else(expected)?;
    let topic = TopicName::parse(topic).map_err(|error| error.to_string())?;
    let partition = partition.parse().ok().filter(|&partition| 0 <= partition).ok_or_else(expected)?;
    Ok(Place { topic, partition })
}

fn state(state: &str) -> Cell {
    let tone = match state {
        "Ongoing" | "PrepareCommit" | "PrepareAbort" => Tone::Warning,
        _ => Tone::Good,
    };
    Cell::Toned(tone, state.to_owned())
}

async fn list(client: &Client, filter: &TransactionFilter, output: &mut Output) -> Result<(), Failure> {
    let transactions = Admin::new(client).transactions(filter).await?;
    if transactions.is_empty() && !output.is_json() {
        output.line("There are no such transactional ids.");
        return Ok(());
    }
    let row = |transaction: ListedTransaction| {
        vec![
            Cell::text(&transaction.transactional_id),
            state(&transaction.state),
            Cell::Int(transaction.producer.0),
            Cell::Int(transaction.coordinator.0.into()),
        ]
    };
    let columns = [column("transactional_id"), column("state"), column("producer"), wide("coordinator")];
    output.rows(&columns, transactions.into_iter().map(row).collect());
    Ok(())
}

async fn list_hanging(client: &Client, topics: &[TopicName], output: &mut Output) -> Result<(), Failure> {
    let hanging = hanging(client, topics).await?;
    if hanging.is_empty() && !output.is_json() {
        output.line("No transaction hangs.");
        return Ok(());
    }
    let row = |(place, producer): (TopicPartition, ActiveProducer)| {
        vec![
            Cell::text(&place.topic),
            Cell::Int(place.partition.0.into()),
            Cell::Int(producer.producer.0),
            producer.open_since.map_or(Cell::None, |offset| Cell::Int(offset.0)),
            producer.last.map_or(Cell::None, |last| Cell::Time(last.0)),
            Cell::Int(producer.epoch.0.into()),
            Cell::Int(producer.coordinator_epoch.into()),
        ]
    };
    let columns = [
        column("topic"),
        column("partition"),
        column("producer"),
        column("start"),
        column("last"),
        wide("epoch"),
        wide("coordinator_epoch"),
    ];
    output.rows(&columns, hanging.into_iter().map(row).collect());
    Ok(())
}

/// Transactions that are open in a partition and that their coordinator does not know, or not with this partition.
async fn hanging(
    client: &Client,
    topics: &[TopicName],
) -> Result<Vec<(TopicPartition, ActiveProducer)>, Failure> {
    let admin = Admin::new(client);
    let mut open = Vec::new();
    for place in places(client, topics).await? {
        let producers = admin.producers(&place).await?;
        let producers = producers.into_iter().filter(|producer| producer.open_since.is_some());
        open.extend(producers.map(|producer| (place.clone(), producer)));
    }
    let producers: BTreeSet<ProducerId> = open.iter().map(|(_, producer)| producer.producer).collect();
    let known = known(&admin, producers).await?;
    let is_known = |place: &TopicPartition, producer: ProducerId| {
        known.get(&producer).is_some_and(|transaction| has(transaction, place))
    };
    let mut hanging = Vec::new();
    for (place, producer) in open {
        if is_known(&place, producer.producer) {
            continue;
        }
        // It may have ended between the two questions.
        if admin
            .producers(&place)
            .await?
            .iter()
            .any(|now| now.producer == producer.producer && now.open_since == producer.open_since)
        {
            hanging.push((place, producer));
        }
    }
    Ok(hanging)
}

async fn places(client: &Client, topics: &[TopicName]) -> Result<Vec<TopicPartition>, Failure> {
    let snapshot = client.refresh(None).await?;
    if let Some(missing) = topics.iter().find(|topic| !snapshot.topics.contains_key(*topic)) {
        return Err(Failure::refused(format!("the cluster has no topic '{missing}'")));
    }
    let wanted = snapshot.topics.iter().filter(|(name, _)| topics.is_empty() || topics.contains(name));
    let of = |(name, topic): (&TopicName, &client::Topic)| {
        topic.partitions.keys().map(|index| TopicPartition::new(name.clone(), index.0)).collect::<Vec<_>>()
    };
    Ok(wanted.flat_map(of).collect())
}

/// What the coordinators know of these producers.
async fn known(
    admin: &Admin,
    producers: BTreeSet<ProducerId>,
) -> Result<BTreeMap<ProducerId, DescribedTransaction>, Failure> {
    let mut known = BTreeMap::new();
    if producers.is_empty() {
        return Ok(known);
    }
    let filter =
        TransactionFilter { producers: producers.into_iter().collect(), ..TransactionFilter::default() };
    for transaction in admin.transactions(&filter).await? {
        if let Some(described) = admin.describe_transaction(&transaction.transactional_id).await? {
            known.insert(transaction.producer, described);
        }
    }
    Ok(known)
}

fn has(transaction: &DescribedTransaction, place: &TopicPartition) -> bool {
    let indexes: Option<&BTreeSet<PartitionIndex>> = transaction.partitions.get(place.topic.as_str());
    indexes.is_some_and(|indexes| indexes.contains(&place.partition))
}

async fn described(client: &Client, id: &str) -> Result<DescribedTransaction, Failure> {
    let admin = Admin::new(client);
    if let Some(transaction) = admin.describe_transaction(id).await? {
        return Ok(transaction);
    }
    let failure = Failure::refused(format!("the cluster has no transactional id '{id}'"));
    // Without the list there is no suggestion, which is no second failure.
    let known = admin.transactions(&TransactionFilter::default()).await.unwrap_or_default();
    let names = known.iter().map(|transaction| transaction.transactional_id.as_str());
    Err(match crate::suggest::nearest(id, names).as_slice() {
        [] => failure.next("`ottla txn list` shows those there are."),
        near => failure.next(format!("Did you mean {}?", listed(near))),
    })
}

async fn describe(client: &Client, id: &str, output: &mut Output) -> Result<(), Failure> {
    let transaction = described(client, id).await?;
    let partitions = transaction.partitions.iter().flat_map(|(topic, indexes)| {
        indexes.iter().map(move |index| vec![Cell::text(topic), Cell::Int(index.0.into())])
    });
    let partitions: Vec<Vec<Cell>> = partitions.collect();
    let columns = [column("topic"), column("partition")];
    let started = transaction.started.map_or(Cell::None, |started| Cell::Time(started.0));
    if output.is_json() {
        let partitions = partitions.into_iter().map(|row| object(&columns, row)).collect();
        output.json(&Cell::Object(vec![
            ("transactional_id", Cell::text(id)),
            ("state", Cell::text(&transaction.state)),
            ("producer", Cell::Int(transaction.producer.0)),
            ("epoch", Cell::Int(transaction.epoch.0.into())),
            ("timeout_ms", Cell::Int(transaction.timeout_ms.into())),
            ("started", started),
            ("partitions", Cell::List(partitions)),
        ]));
        return Ok(());
    }
    output.line(&format!(
        "transactional id '{id}': {}, producer {} in epoch {}, timeout {} ms, begun {}",
        transaction.state,
        transaction.producer.0,
        transaction.epoch.0,
        transaction.timeout_ms,
        started.plain()
    ));
    if !partitions.is_empty() {
        output.rows(&columns, partitions);
    }
    Ok(())
}

async fn abort(client: &Client, id: &str, dry_run: bool, output: &mut Output) -> Result<(), Failure> {
    let transaction = described(client, id).await?;
    if transaction.state != "Ongoing" {
        let problem = format!("nothing is open under '{id}': its state is {}", transaction.state);
        return Err(Failure::refused(problem));
    }
    if !dry_run {
        Admin::new(client).fence_producer(id).await?;
    }
    said(output, dry_run, ("transactional_id", Cell::text(id)), &format!("the transaction under '{id}'"));
    Ok(())
}

async fn abort_hanging(
    client: &Client,
    place: &TopicPartition,
    producer: ProducerId,
    dry_run: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    let hanging = hanging(client, std::slice::from_ref(&place.topic)).await?;
    let Some((_, found)) = hanging.into_iter().find(|(at, found)| at == place && found.producer == producer)
    else {
        let problem = format!("no transaction of producer {} hangs in {place}", producer.0);
        return Err(Failure::refused(problem).next(
            "`ottla txn list --hanging` shows those there are; others end by their transactional id.",
        ));
    };
    if !dry_run {
        Admin::new(client).abort_in_partition(place, &found).await?;
    }
    let what = format!("the transaction of producer {} in {place}", producer.0);
    said(output, dry_run, ("producer", Cell::Int(producer.0)), &what);
    Ok(())
}

fn said(output: &mut Output, dry_run: bool, subject: (&'static str, Cell), what: &str) {
    let result = if dry_run { "would be aborted" } else { "aborted" };
    if output.is_json() {
        output.json(&Cell::Object(vec![subject, ("result", Cell::text(result))]));
    } else {
        output.line(&format!("{} {what}.", if dry_run { "Would abort" } else { "Aborted" }));
    }
}
