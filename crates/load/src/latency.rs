//! One record at a time, end to end: written by an ordinary producer, seen by an ordinary consumer.
//!
//! - E1 The next record leaves when the last one was acknowledged and seen; with a rate, not before it is due.

use std::collections::BTreeMap;
use std::time::Duration;

use client::{
    Acks, Client, Consumer, ConsumerConfig, Error, Event, NewRecord, Producer, ProducerConfig, Record, Start,
    TopicPartition,
};
use model::Offset;
use rt::{Instant, Rt};

use crate::histogram::Histogram;
use crate::pace::Pace;
use crate::{LoadError, Progress};

/// How long one record may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to send.
#[derive(Clone, Debug)]
pub struct LatencyLoad {
    /// The partition written and read.
    pub place: TopicPartition,
    /// How many records count.
    pub records: u64,
    /// Records sent before those that count: connections, caches and branch predictors get to know the way.
    pub warm_up: u64,
    /// Bytes of each value.
    pub record_bytes: usize,
    /// Who must have a record.
    pub acks: Acks,
    /// Records a second; the next at once without it.
    pub rate: Option<u64>,
}

/// Times of one record each.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    /// From when it was due, or left, until it was acknowledged.
    pub acknowledged: Histogram,
    /// From when it was due, or left, until the consumer had it.
    pub end_to_end: Histogram,
    /// From the first to the last, warm-up included.
    pub elapsed: Duration,
}

/// Runs the load.
///
/// # Errors
/// The cluster fails, or a record other than the one written comes out.
pub async fn latency(
    client: &Client,
    load: &LatencyLoad,
    progress: &Progress,
) -> Result<Latencies, LoadError> {
    let rt = client.rt().clone();
    let config = ConsumerConfig { fetch_wait: Duration::from_secs(5), ..ConsumerConfig::default() };
    let starts = BTreeMap::from([(load.place.clone(), Start::Latest)]);
    let mut consumer = Consumer::assigned(client, config, &starts).await?;
    let config = ProducerConfig { acks: load.acks, linger: Duration::ZERO, ..ProducerConfig::default() };
    let producer = Producer::new(client, config);
    let mut value = vec![b'x'; load.record_bytes.max(size_of::<u64>())];
    let interval = load.rate.map(|rate| Duration::from_nanos(1_000_000_000 / rate.max(1)));
    let start = rt.now();
    let pace = Pace::new(start, Some(load.warm_up + load.records), None, interval);
    let mut latencies = Latencies::default();
    while let Some((turn, due)) = pace.take(rt.now()) {
        if let Some(due) = due {
            rt.sleep_until(due).await;
        }
        value[..size_of::<u64>()].copy_from_slice(&turn.to_be_bytes());
        let since = due.unwrap_or_else(|| rt.now());
        let (acknowledged, seen) = send_and_see(&rt, &producer, &mut consumer, &load.place, &value).await?;
        if load.warm_up <= turn {
            latencies.acknowledged.record(acknowledged.saturating_since(since));
            latencies.end_to_end.record(seen.saturating_since(since));
            progress.add(1, load.record_bytes as u64);
        }
    }
    latencies.elapsed = rt.now().saturating_since(start);
    Ok(latencies)
}

/// Writes one record and waits for it; returns when it was acknowledged and when it was seen.
async fn send_and_see(
    rt: &Rt,
    producer: &Producer,
    consumer: &mut Consumer,
    place: &TopicPartition,
    value: &[u8],
) -> Result<(Instant, Instant), LoadError> {
    let mut written = std::pin::pin!(write(producer, place, value));
    let mut seen = std::pin::pin!(see(consumer));
    let (mut acknowledged, mut come) = (None, None);
    loop {
        // The consumer first, so that its fetch waits at the broker before the record does.
        rt::select! {
            record = &mut seen, if come.is_none() => come = Some((record?, rt.now())),
            offset = &mut written, if acknowledged.is_none() => acknowledged = Some((offset?, rt.now())),
        }
        let (Some((offset, acknowledged)), Some((record, come))) = (&acknowledged, &come) else { continue };
        if record.value.as_deref() != Some(value) || offset.is_some_and(|offset| offset != record.offset) {
            let problem = format!(
                "a record was written to {place} at {offset:?}, and another came, at {}",
                record.offset
            );
            return Err(LoadError::Plan(problem));
        }
        return Ok((*acknowledged, *come));
    }
}

async fn write(producer: &Producer, place: &TopicPartition, value: &[u8]) -> Result<Option<Offset>, Error> {
    let record = NewRecord { partition: Some(place.partition), value: Some(value), ..NewRecord::default() };
    let written = producer.send(&place.topic, record).await?.await?;
    Ok(written.offset)
}

async fn see(consumer: &mut Consumer) -> Result<Record, LoadError> {
    match consumer.poll(PATIENCE).await? {
        Event::Records(mut records) if records.len() == 1 => Ok(records.remove(0)),
        Event::Records(records) => {
            Err(LoadError::Plan(format!("{} records came at once: somebody else writes", records.len())))
        }
        other => Err(LoadError::Plan(format!("no record came within {} s: {other:?}", PATIENCE.as_secs()))),
    }
}
