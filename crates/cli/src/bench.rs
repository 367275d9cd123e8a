//! `ottla bench`: load from [`load`], its figures as a table or JSON.
//!
//! - H1 What was asked for stands beside what was measured: a figure without its load means nothing.
//! - H2 MB are 10^6 bytes of batches as they lie in the log; times are in µs.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use client::{Client, FetchBounds, TopicPartition};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use load::{ConsumeLoad, Histogram, LatencyLoad, Limit, LoadError, ProduceLoad, Progress, Summary};
use model::TopicName;
use rt::Rt;

use crate::args::{BenchArgs, BenchCommand, BenchConsumeArgs, BenchLatencyArgs, BenchProduceArgs};
use crate::cell::Cell;
use crate::failure::{Failure, about_topic};
use crate::number;
use crate::output::{Column, Output, column, wide};
use crate::produce::{acks, compression};

/// Time between two looks at how far a run is.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A figure: its column and its value.
type Figure = (Column, Cell);

/// Runs the command.
pub(crate) async fn run(rt: &Rt, args: BenchArgs) -> Result<(), Failure> {
    let client = crate::connect(rt, &args.connect).await?;
    let (topic, figures) = match &args.command {
        BenchCommand::Produce(asked) => (&asked.topic, produce(&client, asked).await),
        BenchCommand::Consume(asked) => (&asked.topic, consume(&client, asked).await),
        BenchCommand::Latency(asked) => (&asked.topic, latency(&client, asked).await),
    };
    let figures = match figures {
        Ok(figures) => figures,
        Err(LoadError::Client(error)) => return Err(about_topic(&client, topic, error).await),
        Err(LoadError::Plan(problem)) => return Err(Failure::refused(problem)),
    };
    let (columns, row): (Vec<Column>, Vec<Cell>) = figures.into_iter().unzip();
    let mut output = Output::new(args.output.output);
    output.rows(&columns, vec![row]);
    output.finish(rt).await
}

async fn produce(client: &Client, args: &BenchProduceArgs) -> Result<Vec<Figure>, LoadError> {
    create(client, &args.topic, args.partitions, &args.config).await?;
    let load = ProduceLoad {
        topic: args.topic.clone(),
        producers: usize::from(args.producers),
        in_flight: usize::from(args.in_flight),
        record_bytes: bytes(args.record_bytes),
        batch_bytes: bytes(args.batch_bytes),
        batches_per_request: usize::from(args.batches_per_request),
        acks: acks(args.acks),
        compression: compression(args.compression),
        limit: match args.seconds {
            Some(seconds) => Limit::Time(Duration::from_secs(seconds)),
            None => Limit::Records(args.records),
        },
        rate: args.rate,
    };
    let progress = Arc::new(Progress::default());
    let total = args.seconds.is_none().then_some(args.records);
    let summary = watched(client.rt(), &progress, total, load::produce(client, &load, &progress)).await?;
    let mut figures = vec![
        (wide("topic"), Cell::text(&args.topic)),
        (wide("producers"), Cell::Int(args.producers.into())),
        (wide("in_flight"), Cell::Int(args.in_flight.into())),
        (wide("record_bytes"), Cell::Int(args.record_bytes.into())),
        (wide("batch_bytes"), Cell::Int(args.batch_bytes.into())),
        (wide("batches_per_request"), Cell::Int(args.batches_per_request.into())),
        (wide("acks"), name_of(args.acks)),
        (wide("compression"), name_of(args.compression)),
        (wide("rate"), args.rate.map_or(Cell::None, int)),
    ];
    figures.extend(figures_of(&summary));
    figures.push((wide("delay_p50_us"), micros(summary.delay.quantile(500_000))));
    figures.push((wide("delay_p99_us"), micros(summary.delay.quantile(990_000))));
    Ok(figures)
}

async fn consume(client: &Client, args: &BenchConsumeArgs) -> Result<Vec<Figure>, LoadError> {
    let load = ConsumeLoad {
        topic: args.topic.clone(),
        consumers: usize::from(args.consumers),
        bounds: FetchBounds {
            fetch_bytes: args.fetch_bytes,
            partition_bytes: args.partition_bytes,
            wait: Duration::from_millis(500),
        },
        records: args.records,
    };
    let progress = Arc::new(Progress::default());
    let summary =
        watched(client.rt(), &progress, args.records, load::consume(client, &load, &progress)).await?;
    let mut figures = vec![
        (wide("topic"), Cell::text(&args.topic)),
        (wide("consumers"), Cell::Int(args.consumers.into())),
        (wide("fetch_bytes"), Cell::Int(args.fetch_bytes.into())),
        (wide("partition_bytes"), Cell::Int(args.partition_bytes.into())),
    ];
    figures.extend(figures_of(&summary));
    Ok(figures)
}

async fn latency(client: &Client, args: &BenchLatencyArgs) -> Result<Vec<Figure>, LoadError> {
    create(client, &args.topic, args.partitions, &[]).await?;
    let load = LatencyLoad {
        place: TopicPartition::new(args.topic.clone(), args.partition),
        records: args.records,
        warm_up: args.warm_up,
        record_bytes: bytes(args.record_bytes),
        acks: acks(args.acks),
        rate: args.rate,
    };
    let progress = Progress::default();
    let run = load::latency(client, &load, &progress);
    let latencies = watched(client.rt(), &progress, Some(args.records), run).await?;
    let mut figures = vec![
        (wide("topic"), Cell::text(&args.topic)),
        (wide("record_bytes"), Cell::Int(args.record_bytes.into())),
        (wide("acks"), name_of(args.acks)),
        (wide("rate"), args.rate.map_or(Cell::None, int)),
        (column("records"), int(args.records)),
        (wide("seconds"), Cell::Real(latencies.elapsed.as_secs_f64())),
    ];
    const ACKNOWLEDGED: [&str; 5] = ["ack_p50_us", "ack_p99_us", "ack_p999_us", "ack_max_us", "ack_mean_us"];
    const END_TO_END: [&str; 5] = ["e2e_p50_us", "e2e_p99_us", "e2e_p999_us", "e2e_max_us", "e2e_mean_us"];
    figures.extend(quantiles(ACKNOWLEDGED, &latencies.acknowledged));
    figures.extend(quantiles(END_TO_END, &latencies.end_to_end));
    Ok(figures)
}

async fn create(
    client: &Client,
    topic: &TopicName,
    partitions: Option<i32>,
    configs: &[(String, String)],
) -> Result<(), LoadError> {
    match partitions {
        Some(partitions) => load::create_topic(client, topic, partitions, configs).await,
        None => Ok(()),
    }
}

fn figures_of(summary: &Summary) -> Vec<Figure> {
    const LATENCY: [&str; 5] = ["p50_us", "p99_us", "p999_us", "max_us", "mean_us"];
    let seconds = summary.elapsed.as_secs_f64().max(1e-9);
    let mut figures = vec![
        (column("records"), int(summary.records)),
        (wide("bytes"), int(summary.bytes)),
        (wide("requests"), int(summary.requests)),
        (column("seconds"), Cell::Real(seconds)),
        (column("records_per_second"), int(number::rate(summary.records, summary.elapsed))),
        // Far below 2^52 bytes: nothing is rounded.
        (column("mb_per_second"), Cell::Real(summary.bytes as f64 / 1e6 / seconds)),
    ];
    figures.extend(quantiles(LATENCY, &summary.latency));
    figures
}

fn quantiles(names: [&'static str; 5], times: &Histogram) -> Vec<Figure> {
    let [p50, p99, p999, max, mean] = names;
    vec![
        (column(p50), micros(times.quantile(500_000))),
        (column(p99), micros(times.quantile(990_000))),
        (column(p999), micros(times.quantile(999_000))),
        (column(max), micros(times.max())),
        (wide(mean), micros(times.mean())),
    ]
}

fn micros(time: Duration) -> Cell {
    Cell::Real(time.as_secs_f64() * 1e6)
}

fn int(number: u64) -> Cell {
    Cell::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn bytes(asked: u32) -> usize {
    usize::try_from(asked).unwrap_or(usize::MAX)
}

fn name_of(value: impl ValueEnum) -> Cell {
    Cell::maybe(value.to_possible_value().map(|value| value.get_name().to_owned()))
}

/// Runs `run` with a bar on standard error, where a terminal shows it.
async fn watched<T>(
    rt: &Rt,
    progress: &Progress,
    total: Option<u64>,
    run: impl Future<Output = Result<T, LoadError>>,
) -> Result<T, LoadError> {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let template =
        if total.is_some() { "{bar:32.cyan/dim} {percent:>3}%  {msg}" } else { "{spinner:.cyan} {msg}" };
    // The templates are constants; a wrong one would show the plain bar.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸─"));
    }
    let started = rt.now();
    let mut run = std::pin::pin!(run);
    loop {
        rt::select! {
            result = &mut run => {
                bar.finish_and_clear();
                return result;
            }
            () = rt.sleep(LOOK_EVERY) => {}
        }
        let elapsed = rt.now().saturating_since(started);
        bar.set_position(progress.records());
        bar.set_message(format!(
            "{} records  {}  {} records/s  {}/s",
            number::grouped(progress.records()),
            number::bytes(progress.bytes()),
            number::grouped(number::rate(progress.records(), elapsed)),
            number::bytes(number::rate(progress.bytes(), elapsed)),
        ));
    }
}
