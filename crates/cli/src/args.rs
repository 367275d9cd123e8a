//! The table of commands and flags.
//!
//! Each text here is what `--help` prints, so it speaks to users.

mod bench;
mod demo;
mod group;
mod sink;
mod topic;
mod txn;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use model::TopicName;

use crate::output::OutputFormat;
use crate::record_format::RecordFormat;
use crate::span::Span;

pub use bench::BenchArgs;
pub(crate) use bench::{BenchCommand, BenchConsumeArgs, BenchLatencyArgs, BenchProduceArgs};
pub use demo::DemoArgs;
pub(crate) use demo::DemoScenario;
pub(crate) use group::{GroupArgs, GroupCommand};
pub use sink::SinkArgs;
pub(crate) use sink::{SinkCommand, SinkRetryArgs};
pub(crate) use topic::{TopicArgs, TopicCommand};
pub(crate) use txn::{TxnArgs, TxnCommand};

/// Where a cluster is that nobody says anything about.
pub(crate) const DEFAULT_BOOTSTRAP: &str = "127.0.0.1:9092";

/// An event-streaming platform that speaks Kafka.
#[derive(Debug, Parser)]
#[command(name = "ottla", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What a command line asks for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a broker
    Serve(ServeArgs),
    /// Run a broker on a temporary folder, which is removed at the end
    Dev(DevArgs),
    /// Show a scenario live: streams into a database, each message once
    Demo(DemoArgs),
    /// Anything else.
    #[command(flatten)]
    Client(ClientCommand),
}

/// How to run a broker.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Folder for topics and metadata; created when there is none [default: ./ottla-data]
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Address to listen on; may be given several times [default: 127.0.0.1:9092 and [::1]:9092]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Vec<String>,
    /// Address that clients are told to connect to, where it differs from the one they see
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// Configuration file: TOML if its name ends in .toml, else in the form of Kafka's server.properties
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one configuration key; wins over file and environment
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
}

/// How to run a broker for a while.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Port to listen on, on 127.0.0.1 and [::1]; 0 takes a free one
    #[arg(long, default_value_t = 9092)]
    pub port: u16,
    /// Print the addresses as JSON when ready
    #[arg(long)]
    pub json: bool,
    /// Set one configuration key
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
}

/// A command that is not a broker.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Create, list, describe, alter and delete topics
    Topic(TopicArgs),
    /// Write lines to a topic, a record each
    Produce(ProduceArgs),
    /// Read records from a topic, and go on as more arrive
    Consume(ConsumeArgs),
    /// List, describe, reset and delete consumer groups
    Group(GroupArgs),
    /// List, describe and abort transactions
    Txn(TxnArgs),
    /// Carry records into databases, and look after the sinks that do
    Sink(SinkArgs),
    /// Describe the cluster
    Cluster(ClusterArgs),
    /// Look up configuration keys; needs no broker
    Config(ConfigArgs),
    /// Look at the files of a data folder
    Log(LogArgs),
    /// Measure a cluster under load
    Bench(BenchArgs),
    /// Print what a shell needs to complete command lines
    Completions(CompletionsArgs),
    /// Print the manual as man pages
    Man(ManArgs),
}

/// Completions.
#[derive(Debug, Args)]
#[command(after_help = "\
HOW TO USE IT
  bash  ottla completions bash > ~/.local/share/bash-completion/completions/ottla
  zsh   ottla completions zsh > \"${fpath[1]}/_ottla\"
  fish  ottla completions fish > ~/.config/fish/completions/ottla.fish")]
pub struct CompletionsArgs {
    /// Which shell
    pub(crate) shell: clap_complete::Shell,
}

/// Man pages.
#[derive(Debug, Args)]
#[command(after_help = "\
HOW TO USE IT
  ottla man topic create | man -l -
  ottla man --folder ~/.local/share/man/man1")]
pub struct ManArgs {
    /// The command whose page to print, such as topic create [default: all of it]
    #[arg(value_name = "COMMAND", conflicts_with = "folder")]
    pub(crate) command: Vec<String>,
    /// Write all pages into this folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
}

/// Where the cluster is.
#[derive(Debug, Args)]
pub struct ConnectArgs {
    /// Addresses to find the cluster at
    #[arg(
        long,
        short = 'b',
        value_name = "HOST:PORT",
        env = "OTTLA_BOOTSTRAP",
        default_value = DEFAULT_BOOTSTRAP,
        value_delimiter = ',',
        value_parser = address,
        global = true,
        display_order = 900
    )]
    pub(crate) bootstrap: Vec<String>,
}

/// How results look.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// How results look [default: table on a terminal, json in a pipe]
    #[arg(long, short = 'o', value_name = "FORMAT", global = true, display_order = 901)]
    pub(crate) output: Option<OutputFormat>,
}

/// Whether anything changes.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct DryRunArgs {
    /// Only check, and show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What to write, and how.
#[derive(Debug, Args)]
pub struct ProduceArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Topic to write to
    #[arg(value_parser = topic_name)]
    pub(crate) topic: TopicName,
    /// Read lines from a file instead of standard input
    #[arg(long, short = 'f', value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// A line is a key and a value with this between them; \t is a tab
    #[arg(long, short = 'k', value_name = "SEPARATOR", value_parser = separator)]
    pub(crate) key_separator: Option<String>,
    /// Write to this partition instead of spreading records over all
    #[arg(long, short = 'p', value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partition: Option<i32>,
    /// A header for every record
    #[arg(long, short = 'H', value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) header: Vec<(String, String)>,
    /// Who must have a record before it counts as written
    #[arg(long, default_value = "all")]
    pub(crate) acks: AcksArg,
    /// How batches are compressed
    #[arg(long, short = 'z', value_name = "CODEC", default_value = "none")]
    pub(crate) compression: CompressionArg,
}

/// Who must have a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AcksArg {
    /// Nobody: not even an answer is waited for
    #[value(name = "0")]
    None,
    /// The partition's leader
    #[value(name = "1")]
    Leader,
    /// Every replica that is in sync
    All,
}

/// A codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompressionArg {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// What to read, and how to show it.
#[derive(Debug, Args)]
#[command(after_help = "\
WHERE TO START AND END (-o FROM or -o FROM:TO)
  start  end         the oldest record, the next one to come
  1234               this offset
  +100  -100         100 records after the oldest, 100 before the end, in each partition
  @1700000000000     the first record of that time or later, in milliseconds or seconds
  @2026-01-31T12:00  likewise; a date alone will do; UTC unless it says otherwise
  @-2h               the first record of that age or younger, in ms, s, m, h, d
  FROM:end           stop at what is the end now; TO may also be an offset, +N or a time
  Such as: -o -5   -o @-1h:end   -o @-15m:-5m   -o 100:+10

HOW RECORDS LOOK (-f json, -f value, -f key:value or -f TEXT)
  %t topic   %p partition  %o offset        %T timestamp in ms  %D timestamp as a date
  %k key     %s value      %K %S lengths    %h headers          %R length in 4 bytes
  %% percent sign; \\n \\t \\r \\0 \\\\ \\xHH as usual

JSON, a line for each record
  topic, partition, offset, timestamp (ms), key, value, headers [{key, value}]
  Null is null; what is not UTF-8 is {\"base64\": \"…\"}.")]
pub struct ConsumeArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    /// Topic to read from
    #[arg(value_parser = topic_name)]
    pub(crate) topic: TopicName,
    /// Where to start, and where to end
    #[arg(
        long,
        short = 'o',
        value_name = "FROM[:TO]",
        default_value = "start",
        allow_hyphen_values = true,
        value_parser = crate::span::parse
    )]
    pub(crate) offset: Span,
    /// Read as a member of this group, which remembers how far it came
    #[arg(long, short = 'g', value_name = "GROUP", conflicts_with = "partition")]
    pub(crate) group: Option<String>,
    /// Read only this partition; may be given several times
    #[arg(long, short = 'p', value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partition: Vec<i32>,
    /// Stop after so many records
    #[arg(long, short = 'n', value_name = "COUNT", value_parser = count)]
    pub(crate) count: Option<u64>,
    /// Stop at what is the end now, as FROM:end does
    #[arg(long)]
    pub(crate) exit_at_end: bool,
    /// Which records of transactions to read: all, or those of committed ones
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t)]
    pub(crate) isolation_level: IsolationLevel,
    /// How a record looks; see below
    #[arg(long, short = 'f', value_parser = crate::record_format::parse)]
    pub(crate) format: Option<RecordFormat>,
    /// How records look when there is no --format [default: table on a terminal, json in a pipe]
    #[arg(long, value_name = "FORMAT", conflicts_with = "format")]
    pub(crate) output: Option<OutputFormat>,
}

/// Kafka's words for which records of transactions are read.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum IsolationLevel {
    #[default]
    ReadUncommitted,
    ReadCommitted,
}

impl From<IsolationLevel> for client::Isolation {
    fn from(level: IsolationLevel) -> client::Isolation {
        match level {
            IsolationLevel::ReadUncommitted => client::Isolation::ReadUncommitted,
            IsolationLevel::ReadCommitted => client::Isolation::ReadCommitted,
        }
    }
}

/// The cluster.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: ClusterCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Show the cluster's nodes, their folders and what they hold; -o wide also what they offer
    #[command(after_help = "\
JSON, one object
  cluster_id, controller, nodes [{node, address, rack, controller, partitions, size}],
  folders [{node, folder, partitions, size, free, capacity, health}],
  features [{feature, supported_min, supported_max, finalized}], apis [{api, key, min, max}]; sizes are bytes")]
    Describe,
}

/// Configuration keys.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// List the keys of topics and brokers with their types and defaults
    List {
        /// Only keys whose names contain this
        #[arg(value_name = "TEXT")]
        text: Option<String>,
    },
    /// Say everything about keys
    Describe {
        /// Their names [default: all]
        #[arg(value_name = "KEY")]
        keys: Vec<String>,
    },
}

/// The files of a data folder.
#[derive(Debug, Args)]
pub struct LogArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: LogCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Say what a start would find in a data folder that no broker runs on, and do; nothing is changed
    #[command(after_help = "\
All of it is read: segments with their indexes, snapshots of producers, epochs and checkpoints.

Exit code 1 says that something is not as it was written: each place is named, with what a start does about it.
JSON: {file, position, offset, problem, at_a_start} for each.")]
    Check {
        /// The data folder
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Show what is in files, and whether they are sound; nothing is changed
    #[command(after_help = "\
FILES, known by their names, Kafka's own as well as ours
  *.log                        batches; with --records what is in them: records, committed offsets and groups
                               (__consumer_offsets-N), transactional ids (__transaction_state-N), entries of the
                               metadata log (__cluster_metadata-0)
  *.index  *.timeindex         entries, each compared with the .log beside it
  *.txnindex                   aborted transactions whose markers are in the .log beside it
  *.snapshot                   producers
  leader-epoch-checkpoint      epochs
  *-offset-checkpoint          an offset of each partition
  *.checkpoint  quorum-vote    the metadata log's images and votes
  meta.properties  partition.metadata

Exit code 1 says that something is damaged: each place is named.
JSON: an object for each batch, entry or record, with its file; {file, position, damage} for each damaged place.")]
    Dump {
        /// Files, or folders of them
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// Show the records of .log files
        #[arg(long, short = 'r')]
        records: bool,
        /// How a record looks, as in consume; implies --records
        #[arg(long, short = 'f', value_parser = crate::record_format::parse)]
        format: Option<RecordFormat>,
    },
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("KEY=VALUE expected".to_owned()),
    }
}

fn count(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "a number of records expected".to_owned())
}

fn address(text: &str) -> Result<String, String> {
    client::parse_address(text).map(|_| text.to_owned()).ok_or_else(|| "HOST:PORT expected".to_owned())
}

fn topic_name(text: &str) -> Result<TopicName, model::TopicNameError> {
    TopicName::parse(text)
}

fn separator(text: &str) -> Result<String, String> {
    let bytes = crate::record_format::unescape(text)?;
    if bytes.is_empty() {
        return Err("at least one character expected".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "text expected".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_table_agrees_with_itself() {
        Arguments::command().debug_assert();
    }

    #[track_caller]
    fn check(line: &str, ends_well: bool) {
        let words = std::iter::once("ottla").chain(line.split_whitespace());
        let parsed = Arguments::try_parse_from(words);
        assert_eq!(parsed.is_ok(), ends_well, "{line}: {parsed:?}");
    }

    #[test]
    fn lines_from_the_design_are_understood() {
        check("serve", true);
        check("serve --data-dir d --listen 127.0.0.1:1 --listen [::1]:1 --set a=b --advertise h:1", true);
        check("dev --port 0 --json", true);
        check("demo rides --seconds 3 --rate 100 --database sqlite:x -b h:1 -o json", true);
        check("topic create t --partitions 3 --replication-factor 1 --config a=b --config c=d", true);
        check("topic alter t --set a=b --unset c", true);
        check("topic add-partitions t 5", true);
        check("topic list -o json --bootstrap h:1,i:2", true);
        check("topic -o json list", true);
        check(
            "produce t -f file --key-separator \\t --partition 0 --header a=b --acks 1 --compression zstd",
            true,
        );
        check("consume t -o -5 -n 3 -f %v\\n", true);
        check("consume t -o @2026-01-31T12:00:end -g g", true);
        check("consume t --offset start --output wide", true);
        check("consume t --isolation-level read_committed", true);
        check("consume t --isolation-level serializable", false);
        check("group reset g --to @-2h --topic t --dry-run", true);
        check("group reset g --to 0", true);
        check("cluster describe", true);
        check("sink run rides.toml -b h:1", true);
        check("sink plan rides.toml", true);
        check("sink list -b h:1,i:2 -o wide", true);
        check("sink status rides -o json", true);
        check("sink pause rides", true);
        check("sink resume rides.toml", true);
        check("config list retention -o json", true);
        check("config describe retention.ms", true);
        check("bench produce t -b h:1 -n 5 --partitions 6 --config a=b --acks 1 -z lz4 --rate 7", true);
        check("bench produce t --seconds 9 --producers 2 --in-flight 1 --batches-per-request 4", true);
        check("bench consume t --consumers 3 --fetch-bytes 1 --partition-bytes 1 -n 5 -o json", true);
        check("bench latency t --partitions 1 -p 0 -n 5 --warm-up 0 --record-bytes 8 --rate 5", true);
    }

    #[test]
    fn wrong_lines_are_refused() {
        check("", false);
        check("topic create", false);
        check("demo", false);
        check("demo rides --seconds 0", false);
        check("topic create a/b", false);
        check("topic create t --partitions 0", false);
        check("topic create t --config a", false);
        check("topic list -b host:port", false);
        check("topic alter t", false);
        check("produce t --acks 2", false);
        check("produce t --partition -1", false);
        check("consume t -o sideways", false);
        check("consume t -g g -p 0", false);
        check("consume t -f %q", false);
        check("group reset g", false);
        check("serve --set a", false);
        check("bench produce t --seconds 1 --records 1", false);
        check("bench produce t --config a=b", false);
        check("bench produce t --producers 0", false);
        check("bench latency t --record-bytes 7", false);
    }
}
