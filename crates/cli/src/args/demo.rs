//! The flags of `ottla demo`.

use clap::{Args, ValueEnum};

use super::OutputArgs;

/// Which demo, and how.
#[derive(Debug, Args)]
#[command(after_help = "\
WHAT ONE SEES
  What is written, how far each group is and who in it has which partition; at the end what the database counts. Each demo
  checks itself: messages in = messages in each group = rows. It fails if they differ.
  Everything is made for the demo and removed after it, unless --bootstrap or --database name what is yours: topics and tables
  stay there.")]
pub struct DemoArgs {
    /// Which one
    #[arg(value_name = "NAME")]
    pub(crate) scenario: DemoScenario,
    /// How long messages are written; then the groups finish
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
    /// Messages a second [default: what two cores carry]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rate: Option<u64>,
    /// Where rows go, as in a sink's file [default: SQLite in a temporary file]
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// The variable that holds the database's password
    #[arg(long, value_name = "NAME", requires = "database")]
    pub(crate) password_env: Option<String>,
    /// Addresses of a cluster to use instead of one that is started for the demo
    #[arg(long, short = 'b', value_name = "HOST:PORT", value_delimiter = ',', value_parser = super::address)]
    pub bootstrap: Option<Vec<String>>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DemoScenario {
    /// Ride hailing: 50,000 riders, three services, and the same stream row by row beside them
    Rides,
    /// Food delivery: 100,000 couriers by region, one customer who follows one of them
    Delivery,
    /// A chat room: 8 gateways, 5,000 users, and how long a message takes
    Chat,
    /// A queue: from 1 to 5 processors, one is killed, and each order counts once
    Orders,
    /// One stream of activity for two groups at once
    Analytics,
}
