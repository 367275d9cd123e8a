//! The table of `ottla topic`.

use clap::{Args, Subcommand};
use model::TopicName;

use crate::args::{ConnectArgs, DryRunArgs, OutputArgs, key_value, topic_name};
use crate::span::Begin;

/// Topics.
#[derive(Debug, Args)]
pub struct TopicArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: TopicCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Create topics
    Create {
        /// Names
        #[arg(value_name = "NAME", required = true, value_parser = topic_name)]
        names: Vec<TopicName>,
        /// Partitions of each [default: what the cluster is configured for]
        #[arg(long, short = 'p', value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        partitions: Option<i32>,
        /// Copies of each partition [default: what the cluster is configured for]
        #[arg(long, short = 'r', value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
        replication_factor: Option<i16>,
        /// A setting of the topic, such as retention.ms=3600000
        #[arg(long, short = 'c', value_name = "KEY=VALUE", value_parser = key_value)]
        config: Vec<(String, String)>,
        /// Be content when the topic is there already
        #[arg(long)]
        if_not_exists: bool,
        #[command(flatten)]
        dry: DryRunArgs,
    },
    /// List topics
    List {
        /// Also those the brokers keep their own state in
        #[arg(long)]
        internal: bool,
    },
    /// Show partitions, offsets and settings of topics; -o wide also sizes, epochs and every setting
    #[command(after_help = "\
JSON, an object for each topic
  topic, id, internal, partitions [{partition, leader, replicas, isr, start, end, records, size, leader_epoch, offline}],
  configs [{name, value, source, read_only}]; what is not known is null")]
    Describe {
        /// Names
        #[arg(value_name = "NAME", required = true, value_parser = topic_name)]
        names: Vec<TopicName>,
    },
    /// Change settings of a topic, all of them or none
    Alter {
        /// Its name
        #[arg(value_parser = topic_name)]
        name: TopicName,
        /// Set settings
        #[arg(long, value_name = "KEY=VALUE", num_args = 1.., value_parser = key_value, required_unless_present = "delete")]
        set: Vec<(String, String)>,
        /// Put settings back to their defaults
        #[arg(long, value_name = "KEY", num_args = 1.., visible_alias = "unset")]
        delete: Vec<String>,
        #[command(flatten)]
        dry: DryRunArgs,
    },
    /// Delete topics and everything in them
    Delete {
        /// Names
        #[arg(value_name = "NAME", required = true, value_parser = topic_name)]
        names: Vec<TopicName>,
        /// Be content when a topic is not there
        #[arg(long)]
        if_exists: bool,
        #[command(flatten)]
        dry: DryRunArgs,
    },
    /// Delete the oldest records of a topic, for good
    DeleteRecords {
        /// Its name
        #[arg(value_parser = topic_name)]
        name: TopicName,
        /// Where it begins then: end for nothing left, an offset, +N, -N to keep the last N, or a time such as @-7d
        #[arg(long, value_name = "PLACE", allow_hyphen_values = true, value_parser = crate::span::parse_begin)]
        before: Begin,
        /// Only in this partition; may be given several times
        #[arg(long, short = 'p', value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
        partition: Vec<i32>,
        #[command(flatten)]
        dry: DryRunArgs,
    },
    /// Give a topic more partitions
    AddPartitions {
        /// Its name
        #[arg(value_parser = topic_name)]
        name: TopicName,
        /// How many it shall have in all
        #[arg(value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        count: i32,
        #[command(flatten)]
        dry: DryRunArgs,
    },
}
