//! Orders in a queue: one processor, then five, then one of them is killed, and each order counts once.
//!
//! - O1 A processor that is killed says nothing to anyone: its tasks end where they are, in the middle of a transaction too.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join;
use rt::Instant;
use serde_json::Value as Json;
use sink::{ColumnType, NewRow, Value};

use crate::board::{Fact, Figure};
use crate::crew::{Crew, Role};
use crate::dice::pick;
use crate::error::DemoError;
use crate::stage::Stage;
use crate::summary::Claim;

const PROCESSORS: Role = Role {
    group: "OrderProcessors",
    table: "orders",
    columns: &[
        ("customer", ColumnType::Bigint),
        ("item", ColumnType::Text),
        ("quantity", ColumnType::Bigint),
        ("total_cents", ColumnType::Bigint),
    ],
    to_row: process,
};

const ITEMS: [(&str, u64); 5] =
    [("tea", 250), ("bread", 320), ("cheese", 780), ("soap", 145), ("candles", 999)];

/// When a processor is hired, and when one is killed, in hundredths of the demo's time.
const HIRED_AT: [u32; 4] = [10, 20, 30, 40];
const KILLED_AT: u32 = 60;
const KILLED: usize = 2;

pub(crate) async fn play(stage: &mut Stage) -> Result<Instant, DemoError> {
    let feed = stage.open_topic("OrderRequests", 6).await?;
    let mut crew = Crew::new(stage, &PROCESSORS, &feed)?;
    crew.hire(stage).await?;
    let group = crew.group().clone();
    stage.board.add_facts(move || vec![Fact::new("takeover_ms", Figure::Time(group.takeover()))]);
    let started = stage.begin().await?;
    stage.board.tell("processor 1 has all partitions");
    let pace = stage.pace(stage.rate);
    let first = stage.id(0);
    let write = feed.write(stage.client(), pace, |number, message| {
        let (item, _) = ITEMS[usize::try_from(pick(number, 1, 5)).unwrap_or(0)];
        let id = first + i64::try_from(number).unwrap_or(0);
        let (customer, quantity) = (pick(number, 2, 10_000), 1 + pick(number, 3, 5));
        // Writing into a string cannot fail.
        let _ = write!(message.key, "{customer}");
        let _ = write!(
            message.value,
            "{{\"id\":{id},\"customer\":{customer},\"item\":\"{item}\",\"quantity\":{quantity}}}"
        );
    });
    try_join(write, change_hands(stage, &mut crew, started)).await?;
    let group = Arc::clone(crew.group());
    stage.promise(move || Claim {
        what: "the partitions of the killed processor went to the others".to_owned(),
        is_true: group.takeover().is_some(),
    });
    stage.keep_crew(crew);
    Ok(started)
}

/// Hires and kills while orders come in.
async fn change_hands(stage: &Stage, crew: &mut Crew, started: Instant) -> Result<(), DemoError> {
    let at = |hundredths: u32| started + Duration::from_secs(stage.plan.seconds) * hundredths / 100;
    for hundredths in HIRED_AT {
        stage.rt.sleep_until(at(hundredths)).await;
        let number = crew.hire(stage).await?;
        stage.board.tell(format!("processor {number} joins"));
    }
    stage.rt.sleep_until(at(KILLED_AT)).await;
    crew.kill(stage, KILLED);
    stage.board.tell(format!("processor {KILLED} is killed, and says nothing"));
    Ok(())
}

/// The result of an order: what it costs.
fn process(order: &Json, row: &mut NewRow<'_>) -> Option<()> {
    let (item, quantity) = (order["item"].as_str()?, order["quantity"].as_i64()?);
    let (_, price) = ITEMS.iter().find(|(name, _)| *name == item)?;
    row.set(1, Value::Bigint(order["customer"].as_i64()?));
    row.set_text(2, item);
    row.set(3, Value::Bigint(quantity));
    row.set(4, Value::Bigint(quantity * i64::try_from(*price).ok()?));
    Some(())
}
