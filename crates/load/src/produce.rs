//! Producing: as many requests under way as allowed, or as many a second.
//!
//! - D1 A producer is one connection to every leader, one task that sends and one that takes the answers.
//! - D2 The first failure ends the run: what failed once is no measurement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::{Acks, Client, Direct, Error, Produced};
use model::{BrokerId, TimestampMs, TopicName};
use record::Compression;
use rt::channel::{OwnedSemaphorePermit, Semaphore, mpsc};
use rt::{Instant, Rt};

use crate::pace::Pace;
use crate::stock::{Leaders, Stock};
use crate::{Limit, LoadError, Progress, Summary};

/// What to produce.
#[derive(Clone, Debug)]
pub struct ProduceLoad {
    /// Where to.
    pub topic: TopicName,
    /// How many producers.
    pub producers: usize,
    /// Requests that each may have under way.
    pub in_flight: usize,
    /// Bytes of each value; there is no key.
    pub record_bytes: usize,
    /// Bytes of a batch at the most, before compression.
    pub batch_bytes: usize,
    /// Batches of a request, each for another partition.
    pub batches_per_request: usize,
    /// Who must have a record.
    pub acks: Acks,
    /// How batches are compressed.
    pub compression: Compression,
    /// How much.
    pub limit: Limit,
    /// Records a second; as many as possible without it.
    pub rate: Option<u64>,
}

struct Run {
    rt: Rt,
    stock: Stock,
    pace: Pace,
    in_flight: usize,
    progress: Arc<Progress>,
}

/// A request whose answer is awaited.
struct UnderWay {
    turn: u64,
    /// When it was due, or left.
    since: Instant,
    left: Instant,
    produced: Produced,
    _room: OwnedSemaphorePermit,
}

/// Runs the load.
///
/// # Errors
/// The cluster fails or refuses anything; the load cannot be built.
pub async fn produce(
    client: &Client,
    load: &ProduceLoad,
    progress: &Arc<Progress>,
) -> Result<Summary, LoadError> {
    let leaders = leaders(client, &load.topic).await?;
    let mut producers = Vec::new();
    for _ in 0..load.producers.max(1) {
        producers.push(connect(client, &leaders).await?);
    }
    let rt = client.rt().clone();
    let stock = Stock::build(load, &leaders, &producers[0], TimestampMs(rt.wall_clock_ms()))?;
    let time = match load.limit {
        Limit::Time(time) => Some(time),
        Limit::Records(_) => None,
    };
    let interval = load.rate.map(|rate| {
        let ns = u128::from(stock.records_each()) * 1_000_000_000 / u128::from(rate.max(1));
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    });
    let pace = Pace::new(rt.now(), stock.turns(), time, interval);
    let in_flight = load.in_flight.max(1);
    let run = Arc::new(Run { rt: rt.clone(), stock, pace, in_flight, progress: progress.clone() });
    let (done, mut results) = mpsc::channel(producers.len());
    for connections in producers {
        let (run, done) = (run.clone(), done.clone());
        rt.spawn("load-produce", async move {
            let result = producer(&run, connections).await;
            if result.is_err() {
                run.pace.stop();
            }
            // Nobody waits any more when another one failed.
            let _ = done.send(result).await;
        });
    }
    drop(done);
    let mut summary = Summary::default();
    while let Some(result) = results.recv().await {
        summary.add(&result?);
    }
    summary.elapsed = rt.now().saturating_since(run.pace.start());
    match load.limit {
        Limit::Records(asked) if asked != summary.records => {
            Err(LoadError::Plan(format!("{} records were written, {asked} were asked for", summary.records)))
        }
        Limit::Records(_) | Limit::Time(_) => Ok(summary),
    }
}

/// Who leads the partitions of `topic`.
pub(crate) async fn leaders(client: &Client, topic: &TopicName) -> Result<Leaders, Error> {
    let mut leaders = Leaders::new();
    for (index, partition) in client.topic(topic).await?.partitions {
        let leader =
            partition.leader.ok_or_else(|| Error::NoLeader { topic: topic.clone(), partition: index })?;
        leaders.entry(leader).or_default().push(index);
    }
    Ok(leaders)
}

async fn connect(client: &Client, leaders: &Leaders) -> Result<BTreeMap<BrokerId, Direct>, Error> {
    let mut connections = BTreeMap::new();
    for &node in leaders.keys() {
        connections.insert(node, client.direct(node).await?);
    }
    Ok(connections)
}

async fn producer(run: &Arc<Run>, connections: BTreeMap<BrokerId, Direct>) -> Result<Summary, Error> {
    let (under_way, answers) = mpsc::channel(run.in_flight);
    let (told, hear) = rt::channel::oneshot::channel();
    let collecting = run.clone();
    run.rt.spawn("load-acks", async move {
        // The sender that does not listen has failed itself.
        let _ = told.send(collect(&collecting, answers).await);
    });
    let sent = send(run, &connections, under_way).await;
    let collected = hear.await.map_err(|_| Error::Closed).flatten();
    // Why an answer failed says more than that nothing could be sent after it.
    let summary = collected?;
    sent.map(|()| summary)
}

async fn send(
    run: &Run,
    connections: &BTreeMap<BrokerId, Direct>,
    under_way: mpsc::Sender<UnderWay>,
) -> Result<(), Error> {
    let room = Arc::new(Semaphore::new(run.in_flight));
    while let Some((turn, due)) = run.pace.take(run.rt.now()) {
        let permit = room.clone().acquire_owned().await.map_err(|_| Error::Closed)?;
        if let Some(due) = due {
            run.rt.sleep_until(due).await;
        }
        let item = run.stock.item(turn);
        let left = run.rt.now();
        let produced = connections[&item.node].produce(&item.prepared).await?;
        let since = due.unwrap_or(left);
        if under_way.send(UnderWay { turn, since, left, produced, _room: permit }).await.is_err() {
            // Whoever collects has failed, and tells why.
            break;
        }
    }
    Ok(())
}

async fn collect(run: &Run, mut answers: mpsc::Receiver<UnderWay>) -> Result<Summary, Error> {
    let mut summary = Summary::default();
    while let Some(UnderWay { turn, since, left, produced, _room }) = answers.recv().await {
        produced.receive().await?;
        let item = run.stock.item(turn);
        summary.records += item.records;
        summary.bytes += item.bytes;
        summary.requests += 1;
        summary.latency.record(run.rt.now().saturating_since(since));
        if since != left {
            summary.delay.record(left.saturating_since(since));
        }
        run.progress.add(item.records, item.bytes);
    }
    Ok(summary)
}
