//! The table of `ottla txn`.

use clap::{Args, Subcommand};
use model::TopicName;

use crate::args::{ConnectArgs, DryRunArgs, OutputArgs};
use crate::txn::Place;

/// Transactions.
#[derive(Debug, Args)]
pub struct TxnArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: TxnCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TxnCommand {
    /// List transactional ids, or what is left open in partitions
    List {
        /// Only those in this state, such as Ongoing; may be given several times
        #[arg(long, value_name = "STATE")]
        state: Vec<String>,
        /// Only those that began longer ago, such as 5m
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        longer_than: Option<i64>,
        /// Instead: open transactions in partitions that no coordinator will ever end
        #[arg(long, conflicts_with_all = ["state", "longer_than"])]
        hanging: bool,
        /// Only look into this topic; may be given several times [default: all]
        #[arg(long, short = 't', value_name = "TOPIC", requires = "hanging", value_parser = topic)]
        topic: Vec<TopicName>,
    },
    /// Show who produces under an id, and its transaction
    #[command(after_help = "\
JSON, an object for each id
  transactional_id, state, producer, epoch, timeout_ms, started, partitions [{topic, partition}]; what is not known is null")]
    Describe {
        /// Transactional ids
        #[arg(value_name = "ID", required = true)]
        ids: Vec<String>,
    },
    /// Abort a transaction: the one under an id, whose producer is fenced, or one that hangs in a partition
    Abort {
        /// A transactional id
        #[arg(value_name = "ID", required_unless_present = "partition", conflicts_with = "partition")]
        id: Option<String>,
        /// The partition in which one hangs: `ottla txn list --hanging` shows it
        #[arg(long, value_name = "TOPIC:N", requires = "producer", value_parser = crate::txn::parse_place)]
        partition: Option<Place>,
        /// The number of its producer
        #[arg(long, value_name = "N", requires = "partition")]
        producer: Option<i64>,
        #[command(flatten)]
        dry: DryRunArgs,
    },
}

fn duration(text: &str) -> Result<i64, String> {
    model::time::parse_duration_ms(text)
        .ok_or_else(|| "a duration expected, such as 30s, 5m or 2h".to_owned())
}

fn topic(text: &str) -> Result<TopicName, String> {
    TopicName::parse(text).map_err(|error| error.to_string())
}
