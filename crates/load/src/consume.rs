//! Consuming: every partition from its oldest record to what is its end when the run starts, batch by batch.
//!
//! - C1 Each partition is read by one consumer, so each record once.
//! - C2 Batches are counted by their headers and not taken apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use client::{Client, Direct, Error, FetchBounds, OffsetQuery, TopicPartition};
use model::{Offset, PartitionIndex, TopicName};
use record::BatchHeader;
use rt::Rt;
use rt::channel::mpsc;

use crate::produce::leaders;
use crate::stock::Leaders;
use crate::{LoadError, Progress, Summary};

/// What to consume.
#[derive(Clone, Debug)]
pub struct ConsumeLoad {
    /// Where from.
    pub topic: TopicName,
    /// How many consumers share the partitions.
    pub consumers: usize,
    /// How much a fetch brings.
    pub bounds: FetchBounds,
    /// Stop after so many records, about: batches are not split.
    pub records: Option<u64>,
}

/// One partition's part of a run.
struct Reading {
    partition: PartitionIndex,
    position: Offset,
    end: Offset,
}

struct Run {
    rt: Rt,
    topic: TopicName,
    bounds: FetchBounds,
    records: u64,
    progress: Arc<Progress>,
}

/// Runs the load.
///
/// # Errors
/// The cluster fails or refuses anything; the last batch of a partition is missing.
pub async fn consume(
    client: &Client,
    load: &ConsumeLoad,
    progress: &Arc<Progress>,
) -> Result<Summary, LoadError> {
    let leaders = leaders(client, &load.topic).await?;
    let starts = offsets(client, load, &leaders, OffsetQuery::Earliest).await?;
    let ends = offsets(client, load, &leaders, OffsetQuery::Latest).await?;
    let mut readers = Vec::new();
    for (node, led) in &leaders {
        let consumers = load.consumers.clamp(1, led.len());
        for first in 0..consumers {
            let readings = led.iter().skip(first).step_by(consumers).map(|&partition| Reading {
                partition,
                position: starts[&partition],
                end: ends[&partition],
            });
            readers.push((client.direct(*node).await?, readings.collect::<Vec<_>>()));
        }
    }
    let run = Arc::new(Run {
        rt: client.rt().clone(),
        topic: load.topic.clone(),
        bounds: load.bounds,
        records: load.records.unwrap_or(u64::MAX),
        progress: progress.clone(),
    });
    let start = run.rt.now();
    let (done, mut results) = mpsc::channel(readers.len().max(1));
    for (connection, readings) in readers {
        let (run, done) = (run.clone(), done.clone());
        client.rt().spawn("load-consume", async move {
            // Nobody waits any more when another one failed.
            let _ = done.send(read(&run, &connection, readings).await).await;
        });
    }
    drop(done);
    let mut summary = Summary::default();
    while let Some(result) = results.recv().await {
        summary.add(&result?);
    }
    summary.elapsed = run.rt.now().saturating_since(start);
    Ok(summary)
}

async fn offsets(
    client: &Client,
    load: &ConsumeLoad,
    leaders: &Leaders,
    query: OffsetQuery,
) -> Result<BTreeMap<PartitionIndex, Offset>, Error> {
    let place =
        |partition: &PartitionIndex| TopicPartition { topic: load.topic.clone(), partition: *partition };
    let queries = leaders.values().flatten().map(|partition| (place(partition), query)).collect();
    let found = client.list_offsets(&queries).await?;
    Ok(found.into_iter().map(|(place, offset)| (place.partition, offset.unwrap_or(Offset::ZERO))).collect())
}

async fn read(run: &Run, connection: &Direct, mut readings: Vec<Reading>) -> Result<Summary, LoadError> {
    let mut summary = Summary::default();
    loop {
        readings.retain(|reading| reading.position < reading.end);
        if readings.is_empty() || run.records <= run.progress.records() {
            return Ok(summary);
        }
        let positions: Vec<_> = readings.iter().map(|one| (one.partition, one.position)).collect();
        let left = run.rt.now();
        let fetched = connection.fetch(&run.topic, &positions, &run.bounds).await?;
        summary.latency.record(run.rt.now().saturating_since(left));
        summary.requests += 1;
        let mut stuck = true;
        for part in fetched {
            let Some(reading) = readings.iter_mut().find(|one| one.partition == part.partition) else {
                continue;
            };
            let (records, bytes) = reading.advance(&part.records);
            stuck &= bytes == 0;
            summary.records += records;
            summary.bytes += bytes;
            run.progress.add(records, bytes);
        }
        if stuck {
            let Reading { partition, position, end } = &readings[0];
            let problem =
                format!("partition {partition} has nothing at offset {position}, before its end {end}");
            return Err(LoadError::Plan(problem));
        }
        // The broker fills an answer in the order of the request: whoever came first comes last now.
        readings.rotate_left(1);
    }
}

impl Reading {
    /// Passes the whole batches of an answer; returns their records and bytes.
    fn advance(&mut self, mut rest: &[u8]) -> (u64, u64) {
        let (mut records, mut bytes) = (0, 0);
        while let Ok(header) = BatchHeader::parse(rest) {
            let size = header.size_in_bytes();
            let Some(after) = rest.get(size..) else { break };
            rest = after;
            // A broker answers with the whole batch that an offset lies in.
            if self.position <= header.base_offset {
                records += u64::try_from(header.record_count).unwrap_or(0);
            }
            bytes += size as u64;
            self.position = header.next_offset().max(self.position);
        }
        (records, bytes)
    }
}
