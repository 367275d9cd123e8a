//! What is measured: each scenario starts one system on an empty folder, loads it, and says what it saw.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::bare::{self, Way};
use crate::broker::{Broker, System, connect};
use crate::figure::{Figure, Run, less, more};
use crate::load::{self, Loaded, Produce};
use crate::perf_tools;
use crate::setting::Setting;
use crate::sinks;

/// One thing to measure.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What belongs beside its figures: the load.
    pub words: fn(&Setting) -> String,
    /// On which systems it is run for a reader.
    pub systems: &'static [System],
    /// On which it is run for a target, which may need a system to compare with.
    pub check_systems: &'static [System],
    /// Measures one system.
    pub measure: fn(&Setting, System) -> Result<Vec<Figure>>,
    /// Figures of Ottla that come from several systems.
    pub compare: fn(&Run) -> Vec<Figure>,
}

const OTTLA: &[System] = &[System::Ottla];
const BESIDE_HAND: &[System] = &[System::ByHand, System::Ottla];

/// What most scenarios share.
const PLAIN: Scenario = Scenario {
    name: "",
    words: |_| String::new(),
    systems: &System::ALL,
    check_systems: OTTLA,
    measure: |_, _| Ok(Vec::new()),
    compare: |_| Vec::new(),
};

/// Every scenario, in the order they are run.
pub const ALL: [Scenario; 14] = [
    Scenario { name: "start", words: |_| "an empty folder, no load".to_owned(), measure: start, ..PLAIN },
    Scenario {
        name: "connections",
        words: |_| format!("{CONNECTIONS} connections, each asked ApiVersions once, then idle"),
        systems: &[System::Ottla, System::Kafka],
        measure: connections,
        ..PLAIN
    },
    Scenario {
        name: "idle-partitions",
        words: |_| format!("{IDLE_PARTITIONS} partitions without records"),
        systems: &[System::Ottla, System::Kafka],
        measure: idle_partitions,
        ..PLAIN
    },
    Scenario {
        name: "stream",
        words: |setting| format!("{}, then read by one consumer", STREAM.of(setting).words()),
        systems: &[System::Ottla, System::Kafka, System::KafkaSynced, System::Bare, System::BareDirect],
        check_systems: &[System::Ottla, System::Bare, System::BareDirect],
        measure: |setting, system| match system {
            System::Bare => bare::stream(setting, Way::Cached, STREAM.of(setting)),
            System::BareDirect => bare::stream(setting, Way::Direct, STREAM.of(setting)),
            broker => stream(setting, broker, STREAM.of(setting)),
        },
        compare: stream_compared,
    },
    Scenario {
        name: "small",
        words: |setting| format!("{}, then read by one consumer", SMALL.of(setting).words()),
        measure: |setting, system| stream(setting, system, SMALL.of(setting)),
        ..PLAIN
    },
    Scenario {
        name: "partitions",
        words: |setting| PARTITIONS.of(setting).words().replace("1 partitions", "1, 6 and 100 partitions"),
        check_systems: &[System::Ottla, System::Kafka],
        measure: partitions,
        compare: partitions_compared,
        ..PLAIN
    },
    Scenario {
        name: "rates",
        words: |setting| {
            let load = RATES.of(setting).words();
            format!(
                "first {load}; then for {RATED_SECONDS} s each at 20, 50 and 80 % of what that came to, timed from when a request was due"
            )
        },
        check_systems: &[],
        measure: rates,
        ..PLAIN
    },
    Scenario {
        name: "latency",
        words: |setting| {
            format!(
                "{} records of 100 B, one at a time, acks=all, seen by a consumer",
                latency_records(setting)
            )
        },
        measure: latency,
        ..PLAIN
    },
    Scenario {
        name: "restart",
        words: |setting| format!("a folder of {}, until a record is read", RESTART.of(setting).words()),
        measure: restart,
        ..PLAIN
    },
    Scenario {
        name: "segments",
        words: |_| {
            let segments = SEGMENT_PARTITIONS * SEGMENTS_EACH;
            format!(
                "a folder of {segments} segments in {SEGMENT_PARTITIONS} partitions, stopped cleanly, until a record is read"
            )
        },
        systems: OTTLA,
        measure: segments,
        ..PLAIN
    },
    Scenario {
        name: "perf-tools",
        words: |setting| {
            let gigabytes = PERF_TOOLS.of(setting).gigabytes();
            format!(
                "Kafka's perf tools: {gigabytes:.2} GB in records of 1,000 B, batches of 64 KiB, linger 5 ms, 6 partitions, acks=all"
            )
        },
        check_systems: &[],
        measure: perf_tools,
        ..PLAIN
    },
    Scenario {
        name: "instructions",
        words: |_| {
            format!(
                "{COUNTED} records a step, batches of 64 KiB, 1 partition, counted by callgrind, user mode only"
            )
        },
        systems: OTTLA,
        check_systems: &[],
        measure: instructions,
        ..PLAIN
    },
    Scenario {
        name: "sink-postgres",
        words: sinks::words,
        systems: BESIDE_HAND,
        check_systems: BESIDE_HAND,
        measure: sinks::postgres,
        compare: sinks::compared,
    },
    Scenario {
        name: "sink-sqlite",
        words: sinks::words,
        systems: BESIDE_HAND,
        check_systems: BESIDE_HAND,
        measure: sinks::sqlite,
        compare: sinks::compared,
    },
];

const CONNECTIONS: usize = 5_000;
const IDLE_PARTITIONS: u32 = 1_000;
/// 40,000 segments in all.
const SEGMENT_PARTITIONS: u32 = 400;
const SEGMENTS_EACH: u32 = 100;
/// Records of each step that is counted: few, since counting is slow.
const COUNTED: u64 = 20_000;
/// How long each rate is kept up.
const RATED_SECONDS: u64 = 10;
/// What runs in a broker that was started has come to rest by then.
const SETTLE: Duration = Duration::from_secs(1);
const TOPIC: &str = "bench";
const WARM_UP_TOPIC: &str = "warm-up";

/// A load as a share of the largest.
struct Share {
    of_largest: f64,
    gigabytes_max: f64,
    record_bytes: u32,
    partitions: u32,
}

const STREAM: Share = Share { of_largest: 1.0, gigabytes_max: f64::MAX, record_bytes: 1_000, partitions: 6 };
const SMALL: Share = Share { of_largest: 0.2, gigabytes_max: f64::MAX, record_bytes: 100, partitions: 6 };
const PARTITIONS: Share =
    Share { of_largest: 0.2, gigabytes_max: f64::MAX, record_bytes: 1_000, partitions: 1 };
const RATES: Share = Share { of_largest: 0.1, gigabytes_max: f64::MAX, record_bytes: 1_000, partitions: 6 };
/// The target is about a folder of this size.
const RESTART: Share = Share { of_largest: 1.0, gigabytes_max: 1.0, record_bytes: 1_000, partitions: 6 };
const PERF_TOOLS: Share =
    Share { of_largest: 0.2, gigabytes_max: f64::MAX, record_bytes: 1_000, partitions: 6 };

impl Share {
    fn of(&self, setting: &Setting) -> Produce {
        let gigabytes = (setting.gigabytes * self.of_largest).min(self.gigabytes_max);
        // Far below 2^52 records: nothing worth mentioning is rounded.
        let records = (gigabytes * 1e9 / f64::from(self.record_bytes)).max(1_000.0) as u64;
        Produce { partitions: self.partitions, record_bytes: self.record_bytes, records, rate: None }
    }
}

fn start(setting: &Setting, system: System) -> Result<Vec<Figure>> {
    let broker = system.start_fresh(setting)?;
    let cpu = broker.cpu_seconds()?;
    thread::sleep(SETTLE);
    let mut figures = Vec::new();
    if let Some(ready) = broker.ready() {
        figures.push(less("ready", millis(ready), "ms"));
    }
    figures.push(less("first_answer", millis(broker.answered()), "ms"));
    figures.push(less("cpu", cpu, "CPU-s"));
    figures.push(less("rss", broker.rss_bytes()? / 1e6, "MB"));
    broker.stop()?;
    Ok(figures)
}

fn connections(setting: &Setting, system: System) -> Result<Vec<Figure>> {
    let broker = system.start_fresh(setting)?;
    thread::sleep(SETTLE);
    let (before, since) = (broker.rss_bytes()?, broker.age());
    let mut open = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        open.push(connect(broker.bootstrap()).with_context(|| format!("opening connection {number}"))?);
    }
    let took = broker.age() - since;
    thread::sleep(SETTLE);
    let each = (broker.rss_bytes()? - before) / CONNECTIONS as f64;
    drop(open);
    broker.stop()?;
    Ok(vec![less("rss_each", each / 1024.0, "KiB"), less("opened", took.as_secs_f64(), "s")])
}

fn idle_partitions(setting: &Setting, system: System) -> Result<Vec<Figure>> {
    let broker = system.start_fresh(setting)?;
    thread::sleep(SETTLE);
    let (before, since) = (broker.rss_bytes()?, broker.age());
    load::create_topic(setting, &broker, TOPIC, IDLE_PARTITIONS)?;
    let took = broker.age() - since;
    thread::sleep(SETTLE);
    let each = (broker.rss_bytes()? - before) / f64::from(IDLE_PARTITIONS);
    broker.stop()?;
    Ok(vec![less("rss_each", each / 1024.0, "KiB"), less("created", took.as_secs_f64(), "s")])
}

fn stream(setting: &Setting, system: System, produce: Produce) -> Result<Vec<Figure>> {
    let broker = system.start_fresh(setting)?;
    setting.fill_memory()?;
    let gigabytes = produce.gigabytes();
    let first = warm_up(setting, &broker, produce)?;
    load::consume(setting, &broker, WARM_UP_TOPIC, first)?;
    let (stored, switched) = (broker.bytes_to_disk()?, broker.context_switches()?);
    let written = produce.run(setting, &broker, TOPIC)?;
    let (stored, switched) = (broker.bytes_to_disk()? - stored, broker.context_switches()? - switched);
    let read = load::consume(setting, &broker, TOPIC, produce.records)?;
    let figures = vec![
        more("produce", megabytes_per_second(&produce, &written), "MB/s"),
        less("produce_cpu", written.cpu_seconds / gigabytes, "CPU-s/GB"),
        less("produce_cpu_each", written.cpu_seconds * 1e6 / written.records as f64, "CPU-µs/record"),
        less("produce_p50", written.number("p50_us")? / 1e3, "ms"),
        less("produce_p99", written.number("p99_us")? / 1e3, "ms"),
        less("produce_stored", stored / gigabytes / 1e9, "B/B"),
        less("produce_switches", switched / gigabytes / 1e3, "switches/MB"),
        more("consume", megabytes_per_second(&produce, &read), "MB/s"),
        less("consume_cpu", read.cpu_seconds / gigabytes, "CPU-s/GB"),
        less("cpu", (written.cpu_seconds + read.cpu_seconds) / gigabytes, "CPU-s/GB"),
        less("rss_most", broker.rss_most_bytes()? / 1e6, "MB"),
        less("rss_after", broker.rss_bytes()? / 1e6, "MB"),
    ];
    broker.stop()?;
    Ok(figures)
}

fn stream_compared(run: &Run) -> Vec<Figure> {
    let [ottla, bare] = [System::Ottla, System::Bare].map(|system| run.value(system, "cpu"));
    ottla.zip(bare).map(|(ottla, bare)| less("cpu_of_bare", ottla / bare, "times")).into_iter().collect()
}

/// A tenth of a load, to another topic: what is compiled while it runs, and caches that fill, are not what is measured.
/// Returns how many records that was.
fn warm_up(setting: &Setting, broker: &Broker, produce: Produce) -> Result<u64> {
    let records = produce.records.div_ceil(10);
    Produce { records, ..produce }.run(setting, broker, WARM_UP_TOPIC)?;
    Ok(records)
}

fn partitions(setting: &Setting, system: System) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for partitions in [1, 6, 100] {
        let broker = system.start_fresh(setting)?;
        setting.fill_memory()?;
        let produce = Produce { partitions, ..PARTITIONS.of(setting) };
        warm_up(setting, &broker, produce)?;
        let written = produce.run(setting, &broker, TOPIC)?;
        broker.stop()?;
        figures.push(more(format!("{partitions}"), megabytes_per_second(&produce, &written), "MB/s"));
        figures.push(less(
            format!("{partitions}_cpu"),
            written.cpu_seconds / produce.gigabytes(),
            "CPU-s/GB",
        ));
    }
    Ok(figures)
}

fn partitions_compared(run: &Run) -> Vec<Figure> {
    let [one, hundred] = ["1", "100"].map(|name| run.value(System::Ottla, name));
    let kafka = run.value(System::Kafka, "100");
    let times = |name: &str, of: Option<f64>| Some(more(name, hundred? / of?, "times"));
    [times("100_of_best_1", one), times("100_of_unsynced_kafka", kafka)].into_iter().flatten().collect()
}

/// What is left of a system's speed while it keeps up: saturation alone shows only how long its queues are.
fn rates(setting: &Setting, system: System) -> Result<Vec<Figure>> {
    let broker = system.start_fresh(setting)?;
    setting.fill_memory()?;
    let produce = RATES.of(setting);
    let fastest = produce.run(setting, &broker, TOPIC)?;
    let mut figures = vec![more("most", megabytes_per_second(&produce, &fastest), "MB/s")];
    for percent in [20, 50, 80] {
        let rate =
            (fastest.records as f64 / fastest.seconds.max(1e-9) * f64::from(percent) / 100.0).max(1.0) as u64;
        let produce = Produce { records: rate * RATED_SECONDS, rate: Some(rate), ..produce };
        let written = produce.run(setting, &broker, TOPIC)?;
        figures.push(less(format!("{percent}_p50"), written.number("p50_us")? / 1e3, "ms"));
        figures.push(less(format!("{percent}_p99"), written.number("p99_us")? / 1e3, "ms"));
        figures.push(less(format!("{percent}_cpu"), written.cpu_seconds / produce.gigabytes(), "CPU-s/GB"));
    }
    broker.stop()?;
    Ok(figures)
}

fn latency_records(setting: &Setting) -> u64 {
    // Ten thousand at full size; far fewer have no 99.9th percentile.
    (setting.gigabytes * 1e3).clamp(1_000.0, 10_000.0) as u64
}

fn latency(setting: &Setting, system: System) -> Result<Vec<Figure>> {
    let broker = system.start_fresh(setting)?;
    setting.fill_memory()?;
    let told = load::latency(setting, &broker, TOPIC, latency_records(setting))?;
    broker.stop()?;
    let names = ["ack_p50", "ack_p99", "e2e_p50", "e2e_p99", "e2e_p999", "e2e_max"];
    names.into_iter().map(|name| Ok(less(name, told.number(&format!("{name}_us"))? / 1e3, "ms"))).collect()
}

fn restart(setting: &Setting, system: System) -> Result<Vec<Figure>> {
    let broker = system.start_fresh(setting)?;
    let produce = RESTART.of(setting);
    produce.run(setting, &broker, TOPIC)?;
    broker.kill()?;
    let (broker, after_kill) = serving(setting, system)?;
    load::consume(setting, &broker, TOPIC, produce.records).context("after kill -9")?;
    broker.stop()?;
    let (broker, after_stop) = serving(setting, system)?;
    load::consume(setting, &broker, TOPIC, produce.records).context("after a clean stop")?;
    broker.stop()?;
    let broker = system.start_fresh(setting)?;
    produce.run(setting, &broker, TOPIC)?;
    broker.kill()?;
    setting.forget_cached()?;
    let (broker, after_kill_cold) = serving(setting, system)?;
    load::consume(setting, &broker, TOPIC, produce.records).context("after kill -9 and a cold start")?;
    broker.stop()?;
    Ok(vec![
        less("after_kill", after_kill.as_secs_f64(), "s"),
        less("after_kill_cold", after_kill_cold.as_secs_f64(), "s"),
        less("after_stop", after_stop.as_secs_f64(), "s"),
    ])
}

/// Starts on many segments that nothing is wrong with, their files in the page cache and then not.
fn segments(setting: &Setting, system: System) -> Result<Vec<Figure>> {
    if setting.kept.is_there() {
        setting.kept.take_to(&setting.data)?;
    } else {
        make_segments(setting, system)?;
    }
    // What is measured first is in memory as far as a start wants it.
    serving(setting, system)?.0.stop()?;
    let (broker, after_stop) = serving(setting, system)?;
    let rss = broker.rss_bytes()?;
    broker.stop()?;
    setting.forget_cached()?;
    let (broker, after_stop_cold) = serving(setting, system)?;
    load::consume(setting, &broker, TOPIC, (SEGMENT_PARTITIONS * SEGMENTS_EACH).into())?;
    broker.stop()?;
    setting.kept.keep(&setting.data)?;
    Ok(vec![
        less("after_stop", after_stop.as_secs_f64(), "s"),
        less("after_stop_cold", after_stop_cold.as_secs_f64(), "s"),
        less("rss", rss / 1e6, "MB"),
    ])
}

/// Makes the folder. Every partition is a copy of one: a broker would take minutes to write them all.
fn make_segments(setting: &Setting, system: System) -> Result<()> {
    let broker = system.start_fresh(setting)?;
    load::create_topic(setting, &broker, TOPIC, SEGMENT_PARTITIONS)?;
    load::create_segments(setting, &broker, WARM_UP_TOPIC, SEGMENTS_EACH)?;
    broker.stop()?;
    let data = setting.data.join("ottla");
    let one = data.join(format!("{WARM_UP_TOPIC}-0"));
    (0..SEGMENT_PARTITIONS).try_for_each(|to| copy_log(&one, &data.join(format!("{TOPIC}-{to}"))))
}

/// Starts on what is there; the time is from the start of the process to the first record read.
fn serving(setting: &Setting, system: System) -> Result<(Broker, Duration)> {
    let broker = system.start(setting)?;
    load::consume_first(setting, &broker, TOPIC)?;
    let took = broker.age();
    Ok((broker, took))
}

/// Gives a partition the files of another one, but for the one that says whose they are.
fn copy_log(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("listing {}", from.display()))? {
        let entry = entry?;
        if entry.file_name() != "partition.metadata" {
            let copied = fs::copy(entry.path(), to.join(entry.file_name()));
            copied.with_context(|| format!("copying {} to {}", entry.path().display(), to.display()))?;
        }
    }
    Ok(())
}

fn perf_tools(setting: &Setting, system: System) -> Result<Vec<Figure>> {
    let broker = system.start_fresh(setting)?;
    setting.fill_memory()?;
    let Produce { records, partitions, .. } = PERF_TOOLS.of(setting);
    let gigabytes = PERF_TOOLS.of(setting).gigabytes();
    load::create_topic(setting, &broker, TOPIC, partitions)?;
    let start = broker.cpu_seconds()?;
    let written = perf_tools::produce(setting, &broker, TOPIC, records)?;
    let between = broker.cpu_seconds()?;
    let read = perf_tools::consume(setting, &broker, TOPIC, records)?;
    let end = broker.cpu_seconds()?;
    broker.stop()?;
    Ok(vec![
        more("produce", written.mib_per_second, "MiB/s"),
        less("produce_mean", written.latency_ms.unwrap_or_default(), "ms"),
        less("produce_cpu", (between - start) / gigabytes, "CPU-s/GB"),
        more("consume", read.mib_per_second, "MiB/s"),
        less("consume_cpu", (end - between) / gigabytes, "CPU-s/GB"),
    ])
}

/// Counts three runs, each doing what the one before did and one thing more: what they differ by is that thing's.
fn instructions(setting: &Setting, _: System) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for record_bytes in [100, 1_000] {
        let produce = |records| Produce { partitions: 1, record_bytes, records, rate: None };
        let few = counted(setting, |broker| produce(1).run(setting, broker, TOPIC).map(drop))?;
        let written = counted(setting, |broker| produce(1 + COUNTED).run(setting, broker, TOPIC).map(drop))?;
        let read = counted(setting, |broker| {
            produce(1 + COUNTED).run(setting, broker, TOPIC)?;
            load::consume(setting, broker, TOPIC, 1 + COUNTED).map(drop)
        })?;
        let each = |with: f64, without: f64| (with - without) / COUNTED as f64;
        figures.push(less(format!("produce_{record_bytes}"), each(written, few), "instructions/record"));
        figures.push(less(format!("consume_{record_bytes}"), each(read, written), "instructions/record"));
    }
    Ok(figures)
}

fn counted(setting: &Setting, run: impl FnOnce(&Broker) -> Result<()>) -> Result<f64> {
    let counts = setting.log("callgrind");
    let broker = System::start_ottla_counted(setting, &counts)?;
    run(&broker)?;
    broker.stop()?;
    read_counts(&counts)
}

/// The sum in a file of callgrind's.
fn read_counts(path: &Path) -> Result<f64> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("totals:"));
    line.and_then(|sum| sum.trim().parse().ok()).with_context(|| format!("no totals in {}", path.display()))
}

fn megabytes_per_second(produce: &Produce, loaded: &Loaded) -> f64 {
    produce.gigabytes() * 1e3 / loaded.seconds.max(1e-9)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
