//! Kafka's `producer-perf` and `consumer-perf`, the tools that everybody quotes, as a second load.
//!
//! They are slower than a fast broker: what they show of one is a lower bound, its processor time per gigabyte the better
//! measure.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::broker::Broker;
use crate::process;
use crate::setting::Setting;

const LIMIT: Duration = Duration::from_secs(1800);

/// What a tool reported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    /// MB (2^20 bytes) per second.
    pub mib_per_second: f64,
    /// Mean latency, where there is one.
    pub latency_ms: Option<f64>,
}

/// Produces `records` of 1,000 B with acks=all.
pub fn produce(setting: &Setting, broker: &Broker, topic: &str, records: u64) -> Result<Told> {
    let number = records.to_string();
    let mut arguments = vec!["--num-records", &number, "--record-size", "1000", "--throughput", "-1"];
    // One flag with all its values: given again, it forgets what it was given before.
    arguments.extend(["--command-property", "acks=all", "batch.size=65536", "linger.ms=5"]);
    let output = tool(setting, broker, topic, "org.apache.kafka.tools.ProducerPerformance", &arguments)?;
    produced(&output, records).with_context(|| format!("producer-perf ended with\n{output}"))
}

/// Consumes `records`.
pub fn consume(setting: &Setting, broker: &Broker, topic: &str, records: u64) -> Result<Told> {
    let number = records.to_string();
    let arguments = ["--num-records", &number, "--timeout", "60000"];
    let output = tool(setting, broker, topic, "org.apache.kafka.tools.ConsumerPerformance", &arguments)?;
    consumed(&output, records).with_context(|| format!("consumer-perf ended with\n{output}"))
}

fn tool(setting: &Setting, broker: &Broker, topic: &str, main: &str, arguments: &[&str]) -> Result<String> {
    let kafka = setting.kafka.as_ref().context("Kafka's jars, or Java, are not here")?;
    let mut command = setting.load("java".as_ref());
    command.arg("-Xmx1G").arg(format!("-Dlog4j2.configurationFile={}", kafka.log4j.display()));
    command.arg("-cp").arg(format!("{}/*", kafka.jars.display())).arg(main);
    command.args(["--bootstrap-server", broker.bootstrap(), "--topic", topic]).args(arguments);
    process::output(&mut command, Some(&setting.log("perf-tool")), LIMIT)
}

/// Reads the last line of producer-perf: `N records sent, R records/sec (M MB/sec), A ms avg latency, …`.
fn produced(output: &str, records: u64) -> Option<Told> {
    let line = output.lines().rev().find(|line| line.contains("99th"))?;
    let (sent, rest) = line.split_once(" records sent, ")?;
    let (mb, rest) = rest.split_once('(')?.1.split_once(" MB/sec), ")?;
    let (latency, _) = rest.split_once(" ms avg")?;
    (sent.parse() == Ok(records)).then_some(())?;
    Some(Told { mib_per_second: mb.parse().ok()?, latency_ms: Some(latency.parse().ok()?) })
}

/// Reads consumer-perf's line under its heading: start, end, MB, MB per second, records, …; rates over the fetching alone
/// come last.
fn consumed(output: &str, records: u64) -> Option<Told> {
    let line = output.lines().rev().find(|line| line.matches(',').count() >= 9)?;
    let columns: Vec<&str> = line.split(',').map(str::trim).collect();
    (records <= columns.get(4)?.parse().ok()?).then_some(())?;
    // The rate without the join of the group: `fetch.MB.sec`.
    Some(Told { mib_per_second: columns.get(8)?.parse().ok()?, latency_ms: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_the_tools_are_read() {
        let perf = "500 records sent, 100.0 records/sec (0.10 MB/sec), 9.0 ms avg latency, 10.0 ms max latency.\n\
             1000 records sent, 139000.5 records/sec (132.56 MB/sec), 160.25 ms avg latency, 372.00 ms max latency, 5 ms 50th, 9 ms 95th, 20 ms 99th, 21 ms 99.9th.\n";
        let told = produced(perf, 1000).expect("the line is read");
        assert_eq!((told.mib_per_second, told.latency_ms), (132.56, Some(160.25)));
        assert!(produced(perf, 999).is_none(), "another number of records is no measurement");
        let perf = "start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n\
             2026-11-21 10:00:00:000, 2026-11-21 10:00:05:000, 953.6743, 190.7349, 1000000, 200000.0, 3100, 1900, 501.9339, 526315.7895\n";
        assert_eq!(consumed(perf, 1_000_000).expect("the line is read").mib_per_second, 501.9339);
        assert!(consumed(perf, 1_000_001).is_none(), "records are missing");
    }
}
