//! The figures side by side: a table for people, one JSON object per system for programs.

use std::io::{IsTerminal, stdout};

use serde_json::json;

use crate::bench::Figures;
use crate::bench::load::Load;
use crate::bench::system::System;

/// One row: its title, its figure, and whether less is better.
type Row = (&'static str, fn(&Figures) -> f64, bool);

const ROWS: [Row; 8] = [
    ("produce MB/s", |f| f.produced.mb_per_second, false),
    ("produce, mean latency ms", |f| f.produced.latency_ms.unwrap_or_default(), true),
    ("produce, broker CPU-s per GB", |f| f.produced.cpu_seconds_per_gb, true),
    ("consume MB/s", |f| f.consumed.mb_per_second, false),
    ("consume, broker CPU-s per GB", |f| f.consumed.cpu_seconds_per_gb, true),
    ("start to first answer ms", |f| f.start_ms, true),
    ("memory after start MB", |f| megabytes(f.rss_started_bytes), true),
    ("memory after load MB", |f| megabytes(f.rss_loaded_bytes), true),
];

/// Prints the figures; ratios are against Apache Kafka as it comes, and above 1 where the other is better.
pub fn print(all: &[Figures], load: &Load, file_system: &str) {
    if stdout().is_terminal() { table(all, load, file_system) } else { lines(all, load, file_system) }
}

fn table(all: &[Figures], load: &Load, file_system: &str) {
    println!(
        "\n{} records of {} B, {} partitions, batches of {} KiB, acks=all, {file_system}, {} processors\n",
        load.records,
        load.record_bytes,
        load.partitions,
        load.batch_bytes / 1024,
        std::thread::available_parallelism().map_or(1, usize::from)
    );
    let head: String = all.iter().map(|figures| format!("{:>26}", figures.system.name())).collect();
    println!("{:<32}{head}", "");
    let modes: String = all.iter().map(|figures| format!("{:>26}", figures.system.sync_mode())).collect();
    println!("{:<32}{modes}", "acknowledged is");
    let reference = all.iter().find(|figures| figures.system == System::Kafka);
    for (title, figure, less_is_better) in ROWS {
        let cells: String = all
            .iter()
            .map(|figures| {
                let value = figure(figures);
                let ratio = reference
                    .filter(|reference| reference.system != figures.system)
                    .map(|reference| ratio(value, figure(reference), less_is_better));
                let cell =
                    format!("{value:.1}{}", ratio.map_or(String::new(), |ratio| format!(" ({ratio:.2}×)")));
                format!("{cell:>26}")
            })
            .collect();
        println!("{title:<32}{cells}");
    }
}

/// How many times better than the reference.
fn ratio(value: f64, reference: f64, less_is_better: bool) -> f64 {
    if less_is_better { reference / value } else { value / reference }
}

fn lines(all: &[Figures], load: &Load, file_system: &str) {
    for figures in all {
        let line = json!({
            "system": figures.system.name(),
            "acknowledged": figures.system.sync_mode(),
            "file_system": file_system,
            "records": load.records,
            "record_bytes": load.record_bytes,
            "partitions": load.partitions,
            "batch_bytes": load.batch_bytes,
            "produce_mb_per_second": figures.produced.mb_per_second,
            "produce_latency_ms": figures.produced.latency_ms,
            "produce_cpu_seconds_per_gb": figures.produced.cpu_seconds_per_gb,
            "consume_mb_per_second": figures.consumed.mb_per_second,
            "consume_cpu_seconds_per_gb": figures.consumed.cpu_seconds_per_gb,
            "start_ms": figures.start_ms,
            "rss_started_bytes": figures.rss_started_bytes,
            "rss_loaded_bytes": figures.rss_loaded_bytes,
        });
        println!("{line}");
    }
}

fn megabytes(bytes: u64) -> f64 {
    // Memory is far below 2^52 bytes, so that nothing is rounded.
    bytes as f64 / 1e6
}
