//! The load: `ottla bench`, the same program for every system, and what the broker took for it.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::broker::Broker;
use crate::process;
use crate::setting::Setting;

const LIMIT: Duration = Duration::from_secs(1800);

/// What one load came to.
pub struct Loaded {
    /// The load generator's own line.
    pub told: Value,
    /// Records acknowledged or read.
    pub records: u64,
    /// Seconds from the first request to the last answer.
    pub seconds: f64,
    /// Processor time that the broker took, seconds.
    pub cpu_seconds: f64,
}

impl Loaded {
    /// A number of the load generator's line.
    pub fn number(&self, name: &str) -> Result<f64> {
        self.told[name].as_f64().with_context(|| format!("no {name} in {}", self.told))
    }
}

/// A producing load.
#[derive(Clone, Copy)]
pub struct Produce {
    /// Partitions of its topic, which it creates.
    pub partitions: u32,
    /// Bytes of each value.
    pub record_bytes: u32,
    /// How many.
    pub records: u64,
    /// Records a second; as many as possible without it.
    pub rate: Option<u64>,
}

/// Bytes of a batch.
pub const BATCH_BYTES: u32 = 65_536;
/// Producers.
pub const PRODUCERS: u32 = 8;
/// Requests each has under way.
pub const IN_FLIGHT: u32 = 5;

impl Produce {
    /// Bytes of its values, in units of 10^9.
    pub fn gigabytes(&self) -> f64 {
        self.records as f64 * f64::from(self.record_bytes) / 1e9
    }

    /// What belongs beside its figures.
    pub fn words(&self) -> String {
        format!(
            "{:.2} GB in records of {} B, batches of {} KiB, {PRODUCERS} producers × {IN_FLIGHT} requests, {} partitions, acks=all",
            self.gigabytes(),
            self.record_bytes,
            BATCH_BYTES / 1024,
            self.partitions
        )
    }

    /// Runs it.
    pub fn run(&self, setting: &Setting, broker: &Broker, topic: &str) -> Result<Loaded> {
        let mut arguments: Vec<(&str, &dyn Display)> = vec![
            ("--partitions", &self.partitions),
            ("--records", &self.records),
            ("--record-bytes", &self.record_bytes),
            ("--batch-bytes", &BATCH_BYTES),
            ("--producers", &PRODUCERS),
            ("--in-flight", &IN_FLIGHT),
        ];
        arguments.extend(self.rate.as_ref().map(|rate| ("--rate", rate as &dyn Display)));
        let loaded = run(setting, broker, "produce", topic, &arguments)?;
        exactly(&loaded, self.records)?;
        Ok(loaded)
    }
}

/// Creates a topic of one partition with this many segments, which hold a record each.
pub fn create_segments(setting: &Setting, broker: &Broker, topic: &str, segments: u32) -> Result<()> {
    let arguments: [(&str, &dyn Display); 6] = [
        ("--partitions", &1),
        // The time index has room for the entry that closes a segment, so the next batch begins a new one.
        ("--config", &"segment.index.bytes=12"),
        ("--records", &segments),
        ("--record-bytes", &100),
        ("--batch-bytes", &100),
        ("--producers", &1),
    ];
    let loaded = run(setting, broker, "produce", topic, &arguments)?;
    exactly(&loaded, segments.into())
}

/// Reads all of `records` that `topic` has.
pub fn consume(setting: &Setting, broker: &Broker, topic: &str, records: u64) -> Result<Loaded> {
    let loaded = run(setting, broker, "consume", topic, &[])?;
    exactly(&loaded, records)?;
    Ok(loaded)
}

/// Reads one batch or so, as soon as the broker gives it.
pub fn consume_first(setting: &Setting, broker: &Broker, topic: &str) -> Result<()> {
    run(setting, broker, "consume", topic, &[("--records", &1)]).map(drop)
}

/// Sends `records` of 100 B one at a time.
pub fn latency(setting: &Setting, broker: &Broker, topic: &str, records: u64) -> Result<Loaded> {
    let warm_up = records / 10;
    let arguments: [(&str, &dyn Display); 4] =
        [("--partitions", &1), ("--records", &records), ("--record-bytes", &100), ("--warm-up", &warm_up)];
    run(setting, broker, "latency", topic, &arguments)
}

/// Creates a topic.
pub fn create_topic(setting: &Setting, broker: &Broker, topic: &str, partitions: u32) -> Result<()> {
    let mut command = setting.load(&setting.ottla);
    command.args(["topic", "create", topic, "--partitions", &partitions.to_string()]);
    command.args(["--bootstrap", broker.bootstrap()]);
    process::output(&mut command, None, LIMIT).map(drop)
}

/// What was acknowledged or read must be what was asked for.
fn exactly(loaded: &Loaded, asked: u64) -> Result<()> {
    if loaded.records != asked {
        bail!("{} records came instead of {asked}: {}", loaded.records, loaded.told);
    }
    Ok(())
}

fn run(
    setting: &Setting,
    broker: &Broker,
    command: &str,
    topic: &str,
    arguments: &[(&str, &dyn Display)],
) -> Result<Loaded> {
    let mut child = setting.load(&setting.ottla);
    child.args(["bench", command, topic, "-o", "json", "--bootstrap", broker.bootstrap()]);
    for (name, value) in arguments {
        child.args([*name, &value.to_string()]);
    }
    let before = broker.cpu_seconds()?;
    // Its bar is drawn on our standard error.
    let output = process::output(&mut child, None, LIMIT)?;
    let cpu_seconds = broker.cpu_seconds()? - before;
    let told: Value = serde_json::from_str(output.trim()).with_context(|| format!("reading {output:?}"))?;
    let number = |name: &str| told[name].as_f64().with_context(|| format!("no {name} in {told}"));
    let (records, seconds) = (number("records")? as u64, number("seconds")?);
    Ok(Loaded { told, records, seconds, cpu_seconds })
}
