//! The arguments of `ottla sink`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::OutputArgs;

/// Sinks.
#[derive(Debug, Args)]
pub struct SinkArgs {
    /// Addresses to find the cluster at [default: what the sink's file says, else 127.0.0.1:9092]
    #[arg(
        long,
        short = 'b',
        value_name = "HOST:PORT",
        env = "OTTLA_BOOTSTRAP",
        value_delimiter = ',',
        value_parser = super::address,
        global = true,
        display_order = 900
    )]
    pub(crate) bootstrap: Option<Vec<String>>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(subcommand)]
    pub(crate) command: SinkCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SinkCommand {
    /// Carry records into a database table, each exactly once, until told to stop
    ///
    /// Run it as often as wanted, on as many machines: the workers share the topics' partitions, and take over from each
    /// other. The database keeps how far they came, in a table ottla_offsets that is written in the transaction of the rows.
    /// `serve` runs sinks, too: [[sink]] in its configuration file has the keys of this file.
    #[command(after_help = FILE_HELP)]
    Run {
        /// What the sink is, as TOML; see below
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the statements that would make the tables; nothing is run
    #[command(after_help = FILE_HELP)]
    Plan {
        /// What the sink is, as TOML; see below
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// List the sinks of a cluster; -o wide also what they read and write
    #[command(after_help = "\
STATES
  running   starting   paused   stopped: it has no workers
  failing   a worker is in trouble, and tries again          failed    its workers ended with errors
  waiting   a partition is not read on: see status           silent    its workers are not heard of

JSON, an object for each sink
  sink, state, workers, rows_per_s, lag, table, topics, database, group, error; what is not known is null")]
    List,
    /// Show how far a sink came, how far behind it is, and how its workers do; -o wide also since when
    #[command(after_help = "\
It asks the cluster only, so it tells while the database is away. Lag is in records, and in seconds: the age of the oldest
record that is not in the table.

JSON, one object
  sink, state, topics, table, database, group, rows_per_s, lag, lag_s, error,
  partitions [{topic, partition, owner, next, end, lag, lag_s, last_commit, stopped}],
  workers [{worker, state, partitions, rows, rows_per_s, last_commit, host, pid, started, seen, last_error_at,
  last_error}]; what is not known is null, times are milliseconds since 1970")]
    Status {
        /// Its name, or its file
        #[arg(value_name = "NAME|FILE")]
        sink: String,
    },
    /// Drive the records that were refused in again: those among the dead letters now
    ///
    /// Do it when the table was mended, or the sink's file; a record that should have said something else is mended with
    /// --mend. Each record is in the table once, however often this runs; what is refused again has a new letter.
    #[command(after_help = "JSON, one object\n  rows, refused")]
    Retry(SinkRetryArgs),
    /// Let a sink's workers keep their partitions, and neither read nor write
    Pause {
        /// Its name, or its file
        #[arg(value_name = "NAME|FILE")]
        sink: String,
    },
    /// Let a paused sink go on
    Resume {
        /// Its name, or its file
        #[arg(value_name = "NAME|FILE")]
        sink: String,
    },
}

/// What to drive in again.
#[derive(Debug, Args)]
pub(crate) struct SinkRetryArgs {
    /// What the sink is, as TOML; dead_letters names the topic
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Drive in --value in the place of this record's
    #[arg(long, value_name = "TOPIC:PARTITION:OFFSET", requires = "value")]
    pub(crate) mend: Option<String>,
    /// What the record should have said
    #[arg(long, value_name = "JSON", requires = "mend")]
    pub(crate) value: Option<String>,
}

const FILE_HELP: &str = "\
THE FILE
  name = \"rides\"                       # under which the database keeps how far it came
  topics = [\"rider-updates\"]           # their records are JSON objects
  table = \"positions\"                  # made if it is not there; \"schema.table\" is fine
  [database]
  url = \"postgres://user@127.0.0.1:5432/rides\"
  password_env = \"RIDES_PASSWORD\"      # or password_file = \"/run/secrets/rides\"

AND IF NEED BE
  bootstrap = [\"127.0.0.1:9092\"]
  group = \"sink-rides\"                 # the consumer group, for those who watch its lag
  session_timeout_ms = 8000            # so long after a worker was killed, others write what it had
  begin = \"earliest\"                   # or \"latest\", where it never read before
  where = \"kind = 'ride' and speed > 0\"
  mode = \"append\"                      # or \"upsert\", with the columns that a row is known by:
  key = [\"user\"]                       # the last record of a key counts
  tombstones = \"refuse\"                # a record without a value: or \"skip\", or \"delete\", with a key from the record's
  dead_letters = \"rides-dead\"          # topic for records that are refused; else their partition waits
  [columns]                            # else a column for each field of the first records
  speed = \"double\"                     # bigint double text boolean timestamp json
  user = { path = \"user.id\", type = \"bigint\", required = true }
  at = { from = \"timestamp\" }          # key topic partition offset timestamp headers
  [flush]                              # a transaction each time one of these is reached
  rows = 50000
  bytes = 8388608
  age_ms = 500";
