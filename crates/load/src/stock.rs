//! The requests a producing run sends, built before it starts and sent round and round.
//!
//! - S1 Every partition is named equally often in one round.
//! - S2 A request has the same number of records as every other, but for the last one of a run.
//! - S3 Payloads are letters drawn at random: they compress as badly as those of Kafka's own perf tool.

use std::collections::BTreeMap;

use bytes::Bytes;
use client::{Direct, Prepared};
use model::{BrokerId, PartitionIndex, TimestampMs};
use record::{BatchBuilder, BatchOptions};

use crate::produce::ProduceLoad;
use crate::{Limit, LoadError};

/// Different payloads, at least so many batches of them: more than fit into a processor's second-level cache.
const BATCHES_MIN: usize = 64;

/// Bytes that the requests of one run may take.
pub const STOCK_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// One request.
pub(crate) struct Item {
    pub(crate) node: BrokerId,
    pub(crate) prepared: Prepared,
    pub(crate) records: u64,
    /// Bytes of its batches.
    pub(crate) bytes: u64,
}

/// See the module.
pub(crate) struct Stock {
    round: Vec<Item>,
    /// What is sent at the very end, for the sum's sake.
    rest: Option<Item>,
    turns: Option<u64>,
}

/// Who leads what.
pub(crate) type Leaders = BTreeMap<BrokerId, Vec<PartitionIndex>>;

impl Stock {
    /// Builds every request of `load`; `connections` has one to every leader.
    pub(crate) fn build(
        load: &ProduceLoad,
        leaders: &Leaders,
        connections: &BTreeMap<BrokerId, Direct>,
        timestamp: TimestampMs,
    ) -> Result<Stock, LoadError> {
        let mut letters = Letters(1);
        let per_batch = records_per_batch(load, &mut letters);
        let batches_each = leaders.values().map(Vec::len).min().unwrap_or(0).min(load.batches_per_request);
        let requests: usize = leaders.values().map(Vec::len).sum();
        if batches_each == 0 || requests == 0 {
            return Err(LoadError::Plan("there is no partition to write to".to_owned()));
        }
        let rounds = BATCHES_MIN.div_ceil(requests * batches_each).max(1);
        let bytes =
            (rounds * requests * batches_each).saturating_mul(load.batch_bytes.max(load.record_bytes));
        if STOCK_BYTES_MAX < bytes {
            let problem = format!(
                "the requests would take {bytes} bytes, more than {STOCK_BYTES_MAX}: use smaller batches"
            );
            return Err(LoadError::Plan(problem));
        }
        let mut batch = |records| batch(load, records, timestamp, &mut letters);
        let mut item = |node: BrokerId, partitions: &[PartitionIndex], counts: &[usize]| {
            let batches = counts.iter().map(|&count| batch(count)).collect::<Result<Vec<_>, _>>()?;
            let parts: Vec<_> =
                partitions.iter().copied().zip(batches.iter().map(|batch| batch.as_ref())).collect();
            let prepared = connections[&node].prepare(load.acks, &load.topic, &parts)?;
            let records = counts.iter().sum::<usize>() as u64;
            Ok::<_, LoadError>(Item {
                node,
                prepared,
                records,
                bytes: batches.iter().map(|b| b.len() as u64).sum(),
            })
        };
        let mut round = Vec::with_capacity(rounds * requests);
        for _ in 0..rounds {
            for (node, led) in leaders {
                for first in 0..led.len() {
                    let chosen: Vec<_> = led.iter().copied().cycle().skip(first).take(batches_each).collect();
                    round.push(item(*node, &chosen, &vec![per_batch; batches_each])?);
                }
            }
        }
        let each = (per_batch * batches_each) as u64;
        let (turns, rest) = match load.limit {
            Limit::Time(_) => (None, None),
            Limit::Records(records) => {
                let left = usize::try_from(records % each).unwrap_or(0);
                let counts = split(left, per_batch);
                let first = leaders.iter().next().filter(|_| 0 < left);
                let rest = first.map(|(node, led)| item(*node, led, &counts)).transpose()?;
                (Some(records.div_ceil(each)), rest)
            }
        };
        Ok(Stock { round, rest, turns })
    }

    /// Requests that the run takes, if their number is known.
    pub(crate) fn turns(&self) -> Option<u64> {
        self.turns
    }

    /// Records of every request but the last.
    pub(crate) fn records_each(&self) -> u64 {
        self.round[0].records
    }

    /// The request of a turn.
    pub(crate) fn item(&self, turn: u64) -> &Item {
        match &self.rest {
            Some(rest) if self.turns == Some(turn + 1) => rest,
            Some(_) | None => &self.round[usize::try_from(turn % self.round.len() as u64).unwrap_or(0)],
        }
    }
}

/// `left` in portions of `most`.
fn split(left: usize, most: usize) -> Vec<usize> {
    (0..left.div_ceil(most)).map(|portion| most.min(left - portion * most)).collect()
}

/// As many as fit into a batch, before compression; at least one.
fn records_per_batch(load: &ProduceLoad, letters: &mut Letters) -> usize {
    let value = letters.take(load.record_bytes);
    let mut builder = BatchBuilder::new();
    loop {
        builder.push(None, Some(&value), &[], TimestampMs(0));
        if load.batch_bytes < builder.uncompressed_bytes() {
            return (builder.record_count() - 1).max(1);
        }
    }
}

fn batch(
    load: &ProduceLoad,
    records: usize,
    timestamp: TimestampMs,
    letters: &mut Letters,
) -> Result<Bytes, LoadError> {
    let mut builder = BatchBuilder::new();
    for _ in 0..records {
        builder.push(None, Some(&letters.take(load.record_bytes)), &[], timestamp);
    }
    let options = BatchOptions { compression: load.compression, ..BatchOptions::default() };
    let built =
        builder.build(options).map_err(|error| LoadError::Plan(format!("no batch can be built: {error}")))?;
    Ok(Bytes::from(built.to_vec()))
}

/// Marsaglia's xorshift: the same letters in every run.
struct Letters(u64);

impl Letters {
    fn take(&mut self, count: usize) -> Vec<u8> {
        let mut letters = Vec::with_capacity(count);
        for _ in 0..count {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            letters.push(b'A' + (self.0 % 26) as u8);
        }
        letters
    }
}
