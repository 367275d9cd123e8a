//! The arguments of `ottla sink`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Sinks.
#[derive(Debug, Args)]
pub struct SinkArgs {
    #[command(subcommand)]
    pub(crate) command: SinkCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SinkCommand {
    /// Carry records into a database table, each exactly once, until told to stop
    ///
    /// Run it as often as wanted, on as many machines: the workers share the topics' partitions, and take over from each
    /// other. The database keeps how far they came, in a table ottla_offsets that is written in the transaction of the rows.
    #[command(after_help = FILE_HELP)]
    Run {
        #[command(flatten)]
        sink: SinkFileArgs,
    },
    /// Print the statements that would make the tables; nothing is run
    #[command(after_help = FILE_HELP)]
    Plan {
        #[command(flatten)]
        sink: SinkFileArgs,
    },
}

/// Which sink, and where its cluster is.
#[derive(Debug, Args)]
pub(crate) struct SinkFileArgs {
    /// What the sink is, as TOML; see below
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Addresses to find the cluster at [default: what the file says, else 127.0.0.1:9092]
    #[arg(
        long,
        short = 'b',
        value_name = "HOST:PORT",
        env = "OTTLA_BOOTSTRAP",
        value_delimiter = ',',
        value_parser = super::address
    )]
    pub(crate) bootstrap: Option<Vec<String>>,
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
  begin = \"earliest\"                   # or \"latest\", where it never read before
  where = \"kind = 'ride' and speed > 0\"
  mode = \"append\"                      # or \"upsert\", with the columns that a row is known by:
  key = [\"user\"]                       # the last record of a key counts
  tombstones = \"refuse\"                # a record without a value: or \"skip\", or \"delete\", with a key from the record's
  [columns]                            # else a column for each field of the first records
  speed = \"double\"                     # bigint double text boolean timestamp json
  user = { path = \"user.id\", type = \"bigint\", required = true }
  at = { from = \"timestamp\" }          # key topic partition offset timestamp headers
  [flush]                              # a transaction each time one of these is reached
  rows = 50000
  bytes = 16777216
  age_ms = 500";
