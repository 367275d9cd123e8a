//! What is to be seen of a demo while it runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rt::{Instant, Rt};

use crate::feed::Feed;
use crate::group::Group;

/// Whatever a scenario shows of its own; asked whenever somebody looks.
type Facts = Box<dyn Fn() -> Vec<Fact> + Send>;

/// The board: a scenario puts on it what it has, whoever draws takes a [`View`].
pub struct Board(Mutex<State>);

struct State {
    rt: Rt,
    started: Option<Instant>,
    topics: Vec<Arc<Feed>>,
    groups: Vec<Posted>,
    facts: Vec<Facts>,
    events: Vec<(Duration, String)>,
}

/// A group on the board.
struct Posted {
    name: String,
    table: Option<&'static str>,
    feed: Arc<Feed>,
    /// The one partition it reads, where it does not read all.
    partition: Option<usize>,
    group: Arc<Group>,
}

/// A look at the board.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Since the first message; none before it.
    pub elapsed: Option<Duration>,
    /// Topics, and what was acknowledged.
    pub topics: Vec<TopicView>,
    /// Groups, and how far they are.
    pub groups: Vec<GroupView>,
    /// What the scenario shows of its own.
    pub facts: Vec<Fact>,
    /// What happened, and when.
    pub events: Vec<(Duration, String)>,
}

/// A topic.
#[derive(Clone, Debug)]
pub struct TopicView {
    /// Its name.
    pub name: String,
    /// Messages acknowledged.
    pub messages: u64,
}

/// A group.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// The table it writes, if it does: a message is a row then.
    pub table: Option<&'static str>,
    /// Messages it is done with.
    pub messages: u64,
    /// Messages acknowledged of what it reads.
    pub acknowledged: u64,
    /// Its members' numbers, and the partitions of each.
    pub members: Vec<(usize, Vec<i32>)>,
}

impl GroupView {
    /// Messages acknowledged that it is not done with.
    pub fn lag(&self) -> u64 {
        self.acknowledged.saturating_sub(self.messages)
    }
}

/// Something a scenario shows of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// What it is.
    pub name: &'static str,
    /// How much.
    pub figure: Figure,
}

/// How much something is.
#[derive(Clone, Debug, PartialEq)]
pub enum Figure {
    /// So many.
    Count(u64),
    /// So long; none while it is not known.
    Time(Option<Duration>),
    /// In words.
    Text(String),
}

impl Fact {
    pub(crate) fn new(name: &'static str, figure: Figure) -> Fact {
        Fact { name, figure }
    }
}

impl Board {
    /// An empty one.
    pub fn new(rt: &Rt) -> Board {
        let state = State {
            rt: rt.clone(),
            started: None,
            topics: Vec::new(),
            groups: Vec::new(),
            facts: Vec::new(),
            events: Vec::new(),
        };
        Board(Mutex::new(state))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first message is about to be written.
    pub(crate) fn start(&self) -> Instant {
        let mut state = self.state();
        let now = state.rt.now();
        state.started = Some(now);
        now
    }

    /// Whether every group reads every partition it is to read.
    pub(crate) fn have_begun(&self) -> bool {
        let has_begun = |posted: &Posted| {
            let partitions = posted.partition.map_or_else(|| posted.feed.partitions(), |_| 1);
            partitions <= posted.group.begun()
        };
        self.state().groups.iter().all(has_begun)
    }

    pub(crate) fn add_topic(&self, feed: &Arc<Feed>) {
        self.state().topics.push(feed.clone());
    }

    pub(crate) fn add_group(
        &self,
        name: &str,
        table: Option<&'static str>,
        feed: &Arc<Feed>,
        group: &Arc<Group>,
    ) {
        let posted = Posted {
            name: name.to_owned(),
            table,
            feed: feed.clone(),
            partition: None,
            group: group.clone(),
        };
        self.state().groups.push(posted);
    }

    /// A group of one member that reads one partition.
    pub(crate) fn add_reader(&self, name: &str, feed: &Arc<Feed>, partition: usize, group: &Arc<Group>) {
        let partition = Some(partition);
        let posted = Posted {
            name: name.to_owned(),
            table: None,
            feed: feed.clone(),
            partition,
            group: group.clone(),
        };
        self.state().groups.push(posted);
    }

    pub(crate) fn add_facts(&self, facts: impl Fn() -> Vec<Fact> + Send + 'static) {
        self.state().facts.push(Box::new(facts));
    }

    pub(crate) fn tell(&self, event: impl Into<String>) {
        let mut state = self.state();
        let at = state.started.map_or(Duration::ZERO, |started| state.rt.now().saturating_since(started));
        state.events.push((at, event.into()));
    }

    pub(crate) fn facts(&self) -> Vec<Fact> {
        self.state().facts.iter().flat_map(|facts| facts()).collect()
    }

    /// Why one of the groups cannot go on.
    pub(crate) fn failure(&self) -> Option<String> {
        let failed = |posted: &Posted| Some(format!("group {}: {}", posted.name, posted.group.failure()?));
        self.state().groups.iter().find_map(failed)
    }

    /// What there is to be seen now.
    pub fn view(&self) -> View {
        let state = self.state();
        // Before the messages of topics, which they cannot be ahead of then.
        let groups = state.groups.iter().map(Posted::view).collect();
        let topic =
            |feed: &Arc<Feed>| TopicView { name: feed.topic().to_string(), messages: feed.acknowledged() };
        View {
            elapsed: state.started.map(|started| state.rt.now().saturating_since(started)),
            topics: state.topics.iter().map(topic).collect(),
            groups,
            facts: state.facts.iter().flat_map(|facts| facts()).collect(),
            events: state.events.clone(),
        }
    }
}

impl Posted {
    fn view(&self) -> GroupView {
        let messages = self.group.messages();
        let acknowledged = match self.partition {
            Some(partition) => self.feed.acknowledged_in(partition),
            None => self.feed.acknowledged(),
        };
        GroupView {
            name: self.name.clone(),
            table: self.table,
            messages,
            acknowledged,
            members: self.group.members(),
        }
    }
}
