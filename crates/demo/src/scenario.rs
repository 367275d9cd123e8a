//! Which scenarios there are, and how one is played.

use std::sync::Arc;
use std::time::Duration;

use rt::Rt;

use crate::board::Board;
use crate::error::DemoError;
use crate::stage::{Plan, Stage};
use crate::summary::Summary;
use crate::{analytics, chat, delivery, orders, rides};

/// Time between two looks for a group that cannot go on.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Riders tell where they are, three services keep it.
    Rides,
    /// Couriers tell where they are, one customer follows one of them.
    Delivery,
    /// A room where everybody hears everything.
    Chat,
    /// A queue whose workers come and go.
    Orders,
    /// One stream for two purposes.
    Analytics,
}

impl Scenario {
    /// What it is, in a line.
    pub fn title(self) -> &'static str {
        match self {
            Scenario::Rides => "ride hailing: 50,000 riders, a location a second each, three services",
            Scenario::Delivery => "food delivery: 100,000 couriers on the map, one customer follows one",
            Scenario::Chat => "a chat room: 8 gateways bring every message to 5,000 users",
            Scenario::Orders => "a queue of orders: from 1 to 5 processors, and one is killed",
            Scenario::Analytics => "one stream of user activity for two groups at once",
        }
    }

    /// Messages a second that two cores carry, with everything else that the demo does on them.
    pub fn default_rate(self) -> u64 {
        match self {
            Scenario::Rides => 50_000,
            Scenario::Delivery => 50_000,
            Scenario::Chat => 200,
            Scenario::Orders => 5_000,
            Scenario::Analytics => 50_000,
        }
    }
}

/// Plays a scenario to its end; `board` shows how it goes.
///
/// # Errors
/// The cluster or the database refuses something, or it does not end in time (M2). That numbers do not agree is the
/// summary's to say.
pub async fn run(rt: &Rt, scenario: Scenario, plan: Plan, board: &Arc<Board>) -> Result<Summary, DemoError> {
    rt::select! {
        summary = play(rt, scenario, plan, board) => summary,
        failure = failure(rt, board) => Err(DemoError::Stuck(failure)),
    }
}

async fn failure(rt: &Rt, board: &Board) -> String {
    loop {
        if let Some(failure) = board.failure() {
            return failure;
        }
        rt.sleep(LOOK_EVERY).await;
    }
}

async fn play(rt: &Rt, scenario: Scenario, plan: Plan, board: &Arc<Board>) -> Result<Summary, DemoError> {
    let rate = plan.rate.unwrap_or(scenario.default_rate());
    let mut stage = Stage::open(rt, plan, rate, board.clone()).await?;
    // When the first message was written.
    let started = match scenario {
        Scenario::Rides => rides::play(&mut stage).await?,
        Scenario::Delivery => delivery::play(&mut stage).await?,
        Scenario::Chat => chat::play(&mut stage).await?,
        Scenario::Orders => orders::play(&mut stage).await?,
        Scenario::Analytics => analytics::play(&mut stage).await?,
    };
    let written = rt.now();
    stage.drain().await?;
    let drained = rt.now();
    let facts = board.facts();
    stage.clear().await;
    Ok(Summary {
        rate,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        written_for: written.saturating_since(started),
        drained_for: drained.saturating_since(written),
        topics: stage.topic_sums().await?,
        groups: stage.group_sums().await?,
        facts,
        claims: stage.claims(),
    })
}
