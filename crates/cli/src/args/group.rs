//! The table of `ottla group`.

use clap::{Args, Subcommand};

use crate::args::{ConnectArgs, DryRunArgs, OutputArgs};
use crate::group::{Goal, Scope};

/// Groups.
#[derive(Debug, Args)]
pub struct GroupArgs {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: GroupCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List groups
    List,
    /// Show how far a group came, how far behind it is, and who is in it; -o wide also where members are
    #[command(after_help = "\
JSON, an object for each group
  group, state, protocol, assignor, lag, members [{member, client_id, host, partitions, instance_id, assigned}],
  partitions [{topic, partition, committed, end, lag, member, client_id, host, instance_id}]; what is not known is null")]
    Describe {
        /// Names
        #[arg(value_name = "GROUP", required = true)]
        groups: Vec<String>,
    },
    /// Set how far a group came; it must have no members
    #[command(after_help = "\
PLACES, in the words of kafka-consumer-groups
  --to start               --to-earliest            --to 1234         --to-offset 1234
  --to end                 --to-latest              --to current      --to-current
  --to @2026-01-31T12:00   --to-datetime …          --to @-2h         --by-duration PT2H
  --to +100, --to -100     after the oldest, before the end
  --shift-by -100          --shift-by -100
An offset beyond what a partition has becomes its nearest end.")]
    Reset {
        /// Its name
        group: String,
        /// start, end, current, an offset, +N, -N, or a time such as @2026-01-31T12:00 or @-2h
        #[arg(
            long,
            value_name = "PLACE",
            allow_hyphen_values = true,
            value_parser = crate::group::parse_goal,
            required_unless_present = "shift_by"
        )]
        to: Option<Goal>,
        /// So many records on from where it is, or back
        #[arg(long, value_name = "N", allow_hyphen_values = true, conflicts_with = "to", value_parser = shift)]
        shift_by: Option<i64>,
        /// Only in this topic, which the group need not have read yet, or some partitions of it; may be given several times
        #[arg(long, short = 't', value_name = "TOPIC[:N,N…]", value_parser = crate::group::parse_scope)]
        topic: Vec<Scope>,
        #[command(flatten)]
        dry: DryRunArgs,
    },
    /// Delete groups that have no members, and what they remember
    Delete {
        /// Names
        #[arg(value_name = "GROUP", required = true)]
        groups: Vec<String>,
        #[command(flatten)]
        dry: DryRunArgs,
    },
}

fn shift(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "a number of records expected, such as 100 or -100".to_owned())
}
