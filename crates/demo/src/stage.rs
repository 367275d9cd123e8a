//! What every scenario stands on: a cluster, a database, a board, and the groups to see through to their end.

use std::sync::Arc;
use std::time::Duration;

use client::Client;
use rt::{Instant, Rt};
use sink::Definition;
use sinks::Database;

use crate::board::{Board, GroupView};
use crate::crew::Crew;
use crate::error::DemoError;
use crate::feed::{Feed, Pace};
use crate::member::Member;
use crate::summary::{Claim, GroupSum, TopicSum};

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long a group may take to have all partitions, and to be done when nothing comes any more (M2).
const PATIENCE: Duration = Duration::from_secs(35);

/// How a demo is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Addresses of the cluster.
    pub bootstrap: Vec<String>,
    /// Where rows go.
    pub database: sink::Database,
    /// How long messages are written.
    pub seconds: u64,
    /// Messages a second; by default what two cores carry.
    pub rate: Option<u64>,
    /// Without a sign of life for so long a member's partitions go to the others; the cluster has to allow it.
    pub session_timeout: Duration,
}

/// Something that is to be true at the end.
type Promise = Box<dyn Fn() -> Claim + Send>;

/// See the module.
pub(crate) struct Stage {
    pub(crate) rt: Rt,
    pub(crate) plan: Plan,
    pub(crate) rate: u64,
    pub(crate) board: Arc<Board>,
    /// Of this run: ids count from here, so that rows of earlier runs are told from those of this one.
    first_id: i64,
    client: Client,
    feeds: Vec<Arc<Feed>>,
    crews: Vec<Crew>,
    readers: Vec<Member>,
    promises: Vec<Promise>,
}

impl Stage {
    pub(crate) async fn open(rt: &Rt, plan: Plan, rate: u64, board: Arc<Board>) -> Result<Stage, DemoError> {
        let client = sinks::connect(rt, plan.bootstrap.clone(), "demo").await?;
        // Room for a million messages each millisecond, until the year 2260.
        let first_id = rt.wall_clock_ms() * 1_000_000;
        Ok(Stage {
            rt: rt.clone(),
            plan,
            rate,
            board,
            first_id,
            client,
            feeds: Vec::new(),
            crews: Vec::new(),
            readers: Vec::new(),
            promises: Vec::new(),
        })
    }

    /// The id of a message.
    pub(crate) fn id(&self, message: u64) -> i64 {
        self.first_id + i64::try_from(message).unwrap_or(0)
    }

    /// A name that the database has no offsets for.
    pub(crate) fn sink_name(&self, group: &str) -> String {
        format!("demo-{group}-{}", self.first_id / 1_000_000)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// How fast messages are written that are so many of all.
    pub(crate) fn pace(&self, rate: u64) -> Pace {
        Pace { rate, time: Duration::from_secs(self.plan.seconds), linger: Duration::from_millis(5) }
    }

    pub(crate) async fn open_topic(&mut self, topic: &str, partitions: i32) -> Result<Arc<Feed>, DemoError> {
        let feed = Arc::new(Feed::open(&self.client, topic, partitions).await?);
        self.board.add_topic(&feed);
        self.feeds.push(feed.clone());
        Ok(feed)
    }

    /// Keeps what is to be seen through to the end.
    pub(crate) fn keep_crew(&mut self, crew: Crew) {
        self.crews.push(crew);
    }

    pub(crate) fn keep_reader(&mut self, reader: Member) {
        self.readers.push(reader);
    }

    pub(crate) fn promise(&mut self, promise: impl Fn() -> Claim + Send + 'static) {
        self.promises.push(Box::new(promise));
    }

    /// Waits until every group reads every partition, and begins.
    pub(crate) async fn begin(&self) -> Result<Instant, DemoError> {
        self.wait_for("the groups have not got all partitions", || self.board.have_begun()).await?;
        Ok(self.board.start())
    }

    /// Waits until every group is done with all messages.
    pub(crate) async fn drain(&self) -> Result<(), DemoError> {
        let is_done = || self.board.view().groups.iter().all(|group| group.lag() == 0);
        self.wait_for("the groups are behind still: a lower --rate may be what this machine carries", is_done)
            .await
    }

    async fn wait_for(&self, problem: &str, is_so: impl Fn() -> bool) -> Result<(), DemoError> {
        let deadline = self.rt.now() + PATIENCE;
        while !is_so() {
            if deadline < self.rt.now() {
                let patience = PATIENCE.as_secs();
                return Err(DemoError::Stuck(format!("after {patience} s {problem}")));
            }
            self.rt.sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Lets everybody go who is still there.
    pub(crate) async fn clear(&mut self) {
        for crew in self.crews.drain(..) {
            crew.dismiss().await;
        }
        for reader in self.readers.drain(..) {
            reader.stop().await;
        }
    }

    /// What lies in the topics.
    pub(crate) async fn topic_sums(&self) -> Result<Vec<TopicSum>, DemoError> {
        let mut sums = Vec::new();
        for feed in &self.feeds {
            sums.push(TopicSum {
                name: feed.topic().to_string(),
                messages: feed.acknowledged(),
                in_log: feed.in_log(&self.client).await?,
            });
        }
        Ok(sums)
    }

    /// What groups came to, and the database says of it.
    pub(crate) async fn group_sums(&self) -> Result<Vec<GroupSum>, DemoError> {
        let definition = Definition::new("demo", Vec::new(), "", Vec::new(), self.plan.database.clone());
        let mut database = sinks::open(&self.rt, &definition).await?;
        let mut sums = Vec::new();
        for group in self.board.view().groups {
            let counted = match group.table {
                Some(table) => Some(self.count(&mut database, table).await?),
                None => None,
            };
            let GroupView { name, table, messages, acknowledged, .. } = group;
            let (rows, distinct) = counted.unzip();
            sums.push(GroupSum { name, table, messages_in: acknowledged, messages, rows, distinct });
        }
        Ok(sums)
    }

    /// Rows of this run, and different messages among them.
    async fn count(&self, database: &mut Database, table: &str) -> Result<(u64, u64), DemoError> {
        let statement =
            format!("SELECT count(*), count(DISTINCT id) FROM {table} WHERE {} <= id", self.first_id);
        let numbers = database.ask(&statement).await?;
        let number = |index: usize| numbers.get(index).and_then(|&number| u64::try_from(number).ok());
        number(0)
            .zip(number(1))
            .ok_or_else(|| DemoError::Stuck(format!("'{statement}' was answered with no numbers")))
    }

    pub(crate) fn claims(&self) -> Vec<Claim> {
        self.promises.iter().map(|promise| promise()).collect()
    }
}
