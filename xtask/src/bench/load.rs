//! The load: Kafka's `producer-perf` and `consumer-perf`, the tools that everybody quotes.
//!
//! They are slower than a fast broker: what they show of one is a lower bound, its processor time per gigabyte the better measure.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

const TOPIC: &str = "bench";
const LIMIT: Duration = Duration::from_secs(900);

/// The shape of the load and where its tools are.
pub struct Load {
    /// Records that are produced, and consumed.
    pub records: u64,
    /// Bytes of each value.
    pub record_bytes: u64,
    /// Partitions of the topic.
    pub partitions: u32,
    /// Bytes of a batch.
    pub batch_bytes: u64,
    jars: PathBuf,
    log4j: PathBuf,
    logs: PathBuf,
}

/// What a tool reported.
pub struct Told {
    /// MB (2^20 bytes) per second.
    pub mb_per_second: f64,
    /// Mean latency, where there is one.
    pub latency_ms: Option<f64>,
}

impl Load {
    /// A million records of 1,000 bytes; OTTLA_BENCH_RECORDS and OTTLA_BENCH_BYTES say otherwise.
    pub fn from_environment(workspace: &Workspace) -> Self {
        let number = |variable: &str, default| {
            std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
        };
        Self {
            records: number("OTTLA_BENCH_RECORDS", 1_000_000),
            record_bytes: number("OTTLA_BENCH_BYTES", 1_000),
            partitions: 6,
            batch_bytes: 64 * 1024,
            jars: workspace.kafka_libs(),
            log4j: workspace.clients().join("reference/log4j2.yaml"),
            logs: workspace.target.join("xtask"),
        }
    }

    /// Bytes of values of one phase, in units of 10^9.
    pub fn gigabytes(&self) -> f64 {
        // Both are far below 2^52, so that nothing is rounded.
        (self.records * self.record_bytes) as f64 / 1e9
    }

    /// Creates the topic.
    pub fn create_topic(&self, bootstrap: &str) -> Result<()> {
        let partitions = self.partitions.to_string();
        let arguments =
            ["--bootstrap-server", bootstrap, "--create", "--topic", TOPIC, "--partitions", &partitions];
        self.tool("org.apache.kafka.tools.TopicCommand", &arguments).map(drop)
    }

    /// Produces every record with acks=all.
    pub fn produce(&self, bootstrap: &str) -> Result<Told> {
        let (records, bytes) = (self.records.to_string(), self.record_bytes.to_string());
        let batch = format!("batch.size={}", self.batch_bytes);
        let output = self.tool(
            "org.apache.kafka.tools.ProducerPerformance",
            &[
                "--bootstrap-server",
                bootstrap,
                "--topic",
                TOPIC,
                "--num-records",
                &records,
                "--record-size",
                &bytes,
                "--throughput",
                "-1",
                // One flag with all its values: given again, it forgets what it was given before.
                "--command-property",
                "acks=all",
                &batch,
                "linger.ms=5",
            ],
        )?;
        produced(&output, self.records).with_context(|| format!("producer-perf ended with\n{output}"))
    }

    /// Consumes every record.
    pub fn consume(&self, bootstrap: &str) -> Result<Told> {
        let records = self.records.to_string();
        let output = self.tool(
            "org.apache.kafka.tools.ConsumerPerformance",
            &[
                "--bootstrap-server",
                bootstrap,
                "--topic",
                TOPIC,
                "--num-records",
                &records,
                "--timeout",
                "60000",
            ],
        )?;
        consumed(&output, self.records).with_context(|| format!("consumer-perf ended with\n{output}"))
    }

    fn tool(&self, main: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("java");
        command.arg("-Xmx1G").arg(format!("-Dlog4j2.configurationFile={}", self.log4j.display()));
        command.arg("-cp").arg(format!("{}/*", self.jars.display())).arg(main).args(arguments);
        let ended = process::run(&mut command, &self.logs.join("bench-tool.log"), LIMIT)?;
        if !ended.success() {
            bail!("{main} failed:\n{}", ended.output);
        }
        Ok(ended.output)
    }
}

/// Reads the last line of producer-perf: `N records sent, R records/sec (M MB/sec), A ms avg latency, …`.
fn produced(output: &str, records: u64) -> Option<Told> {
    let line = output.lines().rev().find(|line| line.contains("99th"))?;
    let (sent, rest) = line.split_once(" records sent, ")?;
    let (mb, rest) = rest.split_once('(')?.1.split_once(" MB/sec), ")?;
    let (latency, _) = rest.split_once(" ms avg")?;
    (sent.parse() == Ok(records)).then_some(())?;
    Some(Told { mb_per_second: mb.parse().ok()?, latency_ms: Some(latency.parse().ok()?) })
}

/// Reads consumer-perf's line under its heading: start, end, MB, MB per second, records, …; rates over the fetching alone come last.
fn consumed(output: &str, records: u64) -> Option<Told> {
    let line = output.lines().rev().find(|line| line.matches(',').count() >= 9)?;
    let columns: Vec<&str> = line.split(',').map(str::trim).collect();
    (records <= columns.get(4)?.parse().ok()?).then_some(())?;
    // The rate without the join of the group: `fetch.MB.sec`.
    Some(Told { mb_per_second: columns.get(8)?.parse().ok()?, latency_ms: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_the_tools_are_read() {
        let perf = "500 records sent, 100.0 records/sec (0.10 MB/sec), 9.0 ms avg latency, 10.0 ms max latency.\n\
             1000 records sent, 139000.5 records/sec (132.56 MB/sec), 160.25 ms avg latency, 372.00 ms max latency, 5 ms 50th, 9 ms 95th, 20 ms 99th, 21 ms 99.9th.\n";
        let told = produced(perf, 1000).expect("the line is read");
        assert_eq!((told.mb_per_second, told.latency_ms), (132.56, Some(160.25)));
        assert!(produced(perf, 999).is_none(), "another number of records is no measurement");
        let perf = "start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n\
             2026-11-21 10:00:00:000, 2026-11-21 10:00:05:000, 953.6743, 190.7349, 1000000, 200000.0, 3100, 1900, 501.9339, 526315.7895\n";
        assert_eq!(consumed(perf, 1_000_000).expect("the line is read").mb_per_second, 501.9339);
        assert!(consumed(perf, 1_000_001).is_none(), "records are missing");
    }
}
