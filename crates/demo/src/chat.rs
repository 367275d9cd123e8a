//! A chat room: 5,000 users behind 8 gateways. A gateway is a group of its own, so each hears every message, and brings it to
//! its users; storage and notifications go on behind.
//!
//! - T1 A delivery is timed from when the message was given to the producer until the user has it, on one clock.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::Record;
use load::Histogram;
use rt::{Instant, Rt};
use serde_json::Value as Json;
use sink::{ColumnType, NewRow, Value};

use crate::board::{Fact, Figure};
use crate::crew::{Crew, Role};
use crate::dice::pick;
use crate::error::DemoError;
use crate::feed::{Feed, Pace};
use crate::reader;
use crate::stage::Stage;
use crate::summary::Claim;

const USERS: u64 = 5_000;
const GATEWAYS: u64 = 8;

const ROLES: [Role; 2] = [
    Role {
        group: "storage",
        table: "chat_messages",
        columns: &[("author", ColumnType::Bigint), ("words", ColumnType::Text)],
        to_row: keep,
    },
    Role {
        group: "notifications",
        table: "chat_notifications",
        columns: &[("mentioned", ColumnType::Bigint)],
        to_row: notify,
    },
];

/// Users of a gateway: what each has heard, and how long it took.
struct Audience {
    rt: Rt,
    heard: Vec<u64>,
    times: Histogram,
}

impl Audience {
    /// Brings a message to every user.
    fn hear(&mut self, record: &Record) {
        let message: Option<Json> =
            record.value.as_deref().and_then(|value| serde_json::from_slice(value).ok());
        let Some(sent) = message.and_then(|message| message["sent_ns"].as_u64()) else { return };
        let sent = Instant::START + Duration::from_nanos(sent);
        for heard in &mut self.heard {
            *heard += 1;
            self.times.record(self.rt.now().saturating_since(sent));
        }
    }
}

type Audiences = Vec<Arc<Mutex<Audience>>>;

pub(crate) async fn play(stage: &mut Stage) -> Result<Instant, DemoError> {
    let feed = stage.open_topic("ChatMessages", 4).await?;
    let audiences = open_gateways(stage, &feed).await?;
    for role in &ROLES {
        let mut crew = Crew::new(stage, role, &feed)?;
        crew.hire(stage).await?;
        stage.keep_crew(crew);
    }
    promise(stage, &feed, audiences.clone());
    stage.board.add_facts(move || facts(&audiences));
    // A message is waited for, so it waits for no others.
    let pace = Pace { linger: Duration::ZERO, ..stage.pace(stage.rate) };
    let (rt, first) = (stage.rt.clone(), stage.id(0));
    let started = stage.begin().await?;
    feed.write(stage.client(), pace, |number, message| {
        let id = first + i64::try_from(number).unwrap_or(0);
        let (author, mentioned) = (pick(number, 1, USERS), pick(number, 2, USERS));
        let sent = rt.now().as_nanos();
        // Writing into a string cannot fail.
        let _ = write!(message.key, "{author}");
        let _ = write!(
            message.value,
            "{{\"id\":{id},\"author\":{author},\"mentioned\":{mentioned},\"words\":\"@{mentioned} have you seen \
             this?\",\"sent_ns\":{sent}}}"
        );
    })
    .await?;
    Ok(started)
}

async fn open_gateways(stage: &mut Stage, feed: &Arc<Feed>) -> Result<Audiences, DemoError> {
    let mut audiences = Vec::new();
    for number in 1..=GATEWAYS {
        let users = usize::try_from(USERS / GATEWAYS).unwrap_or(0);
        let (rt, times) = (stage.rt.clone(), Histogram::default());
        let audience = Arc::new(Mutex::new(Audience { rt, heard: vec![0; users], times }));
        audiences.push(audience.clone());
        let hears =
            move |record: &Record| audience.lock().unwrap_or_else(PoisonError::into_inner).hear(record);
        let gateway = reader::in_group(stage, &format!("gateway-{number}"), feed, hears).await?;
        stage.keep_reader(gateway);
    }
    Ok(audiences)
}

/// Everybody hears everything, once.
fn promise(stage: &mut Stage, feed: &Arc<Feed>, audiences: Audiences) {
    let feed = feed.clone();
    stage.promise(move || {
        let messages = feed.acknowledged();
        let has_all = |audience: &Arc<Mutex<Audience>>| {
            let audience = audience.lock().unwrap_or_else(PoisonError::into_inner);
            audience.heard.iter().all(|&heard| heard == messages)
        };
        let what = format!("each of the {USERS} users heard each of the {messages} messages once");
        Claim { what, is_true: audiences.iter().all(has_all) }
    });
}

fn facts(audiences: &Audiences) -> Vec<Fact> {
    let mut times = Histogram::default();
    for audience in audiences {
        times.add(&audience.lock().unwrap_or_else(PoisonError::into_inner).times);
    }
    let quantile = |of_a_million| Figure::Time((0 < times.count()).then(|| times.quantile(of_a_million)));
    vec![
        Fact::new("deliveries", Figure::Count(times.count())),
        Fact::new("delivery_p50_ms", quantile(500_000)),
        Fact::new("delivery_p99_ms", quantile(990_000)),
    ]
}

fn keep(message: &Json, row: &mut NewRow<'_>) -> Option<()> {
    row.set(1, Value::Bigint(message["author"].as_i64()?));
    row.set_text(2, message["words"].as_str()?);
    Some(())
}

fn notify(message: &Json, row: &mut NewRow<'_>) -> Option<()> {
    row.set(1, Value::Bigint(message["mentioned"].as_i64()?));
    Some(())
}
