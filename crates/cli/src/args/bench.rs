//! The flags of `ottla bench`.

use clap::{Args, Subcommand};
use model::TopicName;

use super::{AcksArg, CompressionArg, ConnectArgs, OutputArgs, count, key_value, topic_name};

/// Load.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: BenchCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Write as fast as the cluster takes it, or at a rate
    Produce(BenchProduceArgs),
    /// Read everything a topic has, as fast as the cluster gives it
    Consume(BenchConsumeArgs),
    /// Send one record at a time, and time it until a consumer has it
    Latency(BenchLatencyArgs),
}

/// The load of `bench produce`: its batches are built before it starts and sent again and again.
#[derive(Debug, Args)]
pub struct BenchProduceArgs {
    /// Topic to write to
    #[arg(value_parser = topic_name)]
    pub(crate) topic: TopicName,
    /// Create the topic with so many partitions, unless it has them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partitions: Option<i32>,
    /// A setting of the topic, if it is created
    #[arg(long, short = 'c', value_name = "KEY=VALUE", value_parser = key_value, requires = "partitions")]
    pub(crate) config: Vec<(String, String)>,
    /// Records to write
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 1_000_000)]
    pub(crate) records: u64,
    /// Write for so long instead
    #[arg(long, value_name = "S", conflicts_with = "records")]
    pub(crate) seconds: Option<u64>,
    /// Bytes of each value, which is random letters; there is no key
    #[arg(long, value_name = "BYTES", default_value_t = 1_000)]
    pub(crate) record_bytes: u32,
    /// Bytes of a batch at the most, before compression
    #[arg(long, value_name = "BYTES", default_value_t = 65_536)]
    pub(crate) batch_bytes: u32,
    /// Batches of a request, each for another partition
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) batches_per_request: u16,
    /// Producers, each with connections of its own
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) producers: u16,
    /// Requests that each producer may have under way
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) in_flight: u16,
    /// Records a second in all [default: as many as possible]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rate: Option<u64>,
    /// Who must have a record before it counts as written
    #[arg(long, default_value = "all")]
    pub(crate) acks: AcksArg,
    /// How batches are compressed
    #[arg(long, short = 'z', value_name = "CODEC", default_value = "none")]
    pub(crate) compression: CompressionArg,
}

/// The load of `bench consume`: from the oldest record to the end as it is now.
#[derive(Debug, Args)]
pub struct BenchConsumeArgs {
    /// Topic to read from
    #[arg(value_parser = topic_name)]
    pub(crate) topic: TopicName,
    /// Stop after so many records, about
    #[arg(long, short = 'n', value_name = "COUNT", value_parser = count)]
    pub(crate) records: Option<u64>,
    /// Consumers that share the partitions, each with connections of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) consumers: u16,
    /// Bytes of one answer, about
    #[arg(long, value_name = "BYTES", default_value_t = 52_428_800, value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) fetch_bytes: i32,
    /// Bytes of one partition in an answer, about
    #[arg(long, value_name = "BYTES", default_value_t = 1_048_576, value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partition_bytes: i32,
}

/// The load of `bench latency`.
#[derive(Debug, Args)]
pub struct BenchLatencyArgs {
    /// Topic to write to and read from
    #[arg(value_parser = topic_name)]
    pub(crate) topic: TopicName,
    /// Create the topic with so many partitions, unless it has them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) partitions: Option<i32>,
    /// The partition used
    #[arg(long, short = 'p', value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partition: i32,
    /// Records that count
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 10_000)]
    pub(crate) records: u64,
    /// Records sent before those that count
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub(crate) warm_up: u64,
    /// Bytes of each value; at least 8
    #[arg(long, value_name = "BYTES", default_value_t = 100, value_parser = clap::value_parser!(u32).range(8..))]
    pub(crate) record_bytes: u32,
    /// Records a second, timed from when each is due [default: the next when the last was seen]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rate: Option<u64>,
    /// Who must have a record before it counts as written
    #[arg(long, default_value = "all")]
    pub(crate) acks: AcksArg,
}
