//! Ride hailing: 50,000 riders tell where they are, and three services keep what each of them needs. Beside it the same
//! stream goes row by row straight into a database, so that anyone sees the difference.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rt::Instant;
use serde_json::Value as Json;
use sink::{ColumnType, NewRow, Value};

use crate::board::{Fact, Figure};
use crate::crew::{Crew, Role};
use crate::dice::pick;
use crate::direct::Direct;
use crate::error::DemoError;
use crate::feed::Message;
use crate::stage::Stage;

const RIDERS: u64 = 50_000;

const ROLES: [Role; 3] = [
    Role {
        group: "fare",
        table: "ride_fares",
        columns: &[
            ("rider", ColumnType::Bigint),
            ("metres", ColumnType::Bigint),
            ("fare_cents", ColumnType::Bigint),
        ],
        to_row: fare,
    },
    Role {
        group: "analytics",
        table: "ride_speeds",
        columns: &[("zone", ColumnType::Text), ("speed_kmh", ColumnType::Double)],
        to_row: speed,
    },
    Role {
        group: "customer",
        table: "ride_positions",
        columns: &[("rider", ColumnType::Bigint), ("lat", ColumnType::Double), ("lon", ColumnType::Double)],
        to_row: position,
    },
];

/// Workers of each service.
const WORKERS: usize = 2;

/// Where the other way goes: types that every database knows.
const DIRECT: &str = "ride_positions_row_by_row";
const DIRECT_COLUMNS: &str =
    "id BIGINT, rider BIGINT, zone VARCHAR(16), lat DOUBLE PRECISION, lon DOUBLE PRECISION, metres BIGINT";

/// A location, told once a second.
struct Update {
    rider: u64,
    zone: &'static str,
    lat: f64,
    lon: f64,
    metres: u64,
}

impl Update {
    /// That of a message: riders take turns, so each speaks as often as the others.
    fn of(number: u64) -> Update {
        const ZONES: [&str; 4] = ["north", "east", "south", "west"];
        // Exact: these are far below 2^52.
        let degrees = |aspect| pick(number, aspect, 100_000) as f64 / 1e6;
        let rider = number % RIDERS;
        Update {
            rider,
            zone: ZONES[usize::try_from(pick(rider, 1, 4)).unwrap_or(0)],
            lat: 12.9 + degrees(2),
            lon: 77.5 + degrees(3),
            metres: pick(number, 4, 25),
        }
    }

    fn write(&self, id: i64, message: &mut Message) {
        let Update { rider, zone, lat, lon, metres } = self;
        // Writing into a string cannot fail.
        let _ = write!(message.key, "{rider}");
        let _ = write!(
            message.value,
            "{{\"id\":{id},\"rider\":{rider},\"zone\":\"{zone}\",\"lat\":{lat},\"lon\":{lon},\"metres\":{metres}}}"
        );
    }

    fn insert(&self, id: i64) -> String {
        let Update { rider, zone, lat, lon, metres } = self;
        format!("INSERT INTO {DIRECT} VALUES ({id}, {rider}, '{zone}', {lat}, {lon}, {metres})")
    }
}

pub(crate) async fn play(stage: &mut Stage) -> Result<Instant, DemoError> {
    let feed = stage.open_topic("rider-updates", 6).await?;
    for role in &ROLES {
        let mut crew = Crew::new(stage, role, &feed)?;
        for _ in 0..WORKERS {
            crew.hire(stage).await?;
        }
        stage.keep_crew(crew);
    }
    let direct = Direct::open(stage, DIRECT, DIRECT_COLUMNS).await?;
    let written = direct.written();
    let (pace, first) = (stage.pace(stage.rate), stage.id(0));
    let id = move |number: u64| first + i64::try_from(number).unwrap_or(0);
    let started = stage.begin().await?;
    show(stage, written, started);
    let board = stage.board.clone();
    let failed = move |problem: String| board.tell(format!("row by row ended: {problem}"));
    let direct = direct.start(&stage.rt, pace, move |number| Update::of(number).insert(id(number)), failed);
    feed.write(stage.client(), pace, |number, message| Update::of(number).write(id(number), message)).await?;
    direct.stop().await;
    Ok(started)
}

/// How the other way keeps up.
fn show(stage: &Stage, written: Arc<AtomicU64>, started: Instant) {
    let (rt, pace) = (stage.rt.clone(), stage.pace(stage.rate));
    stage.board.add_facts(move || {
        let written = written.load(Ordering::Relaxed);
        let due = pace.due(rt.now().saturating_since(started));
        let behind = due.saturating_sub(written);
        vec![
            Fact::new("row_by_row_rows", Figure::Count(written)),
            Fact::new("row_by_row_lag", Figure::Count(behind)),
        ]
    });
}

fn fare(update: &Json, row: &mut NewRow<'_>) -> Option<()> {
    let metres = update["metres"].as_i64()?;
    row.set(1, Value::Bigint(update["rider"].as_i64()?));
    row.set(2, Value::Bigint(metres));
    // 0.12 cents a metre, rounded up.
    row.set(3, Value::Bigint((metres * 12 + 99) / 100));
    Some(())
}

fn speed(update: &Json, row: &mut NewRow<'_>) -> Option<()> {
    row.set_text(1, update["zone"].as_str()?);
    row.set(2, Value::Double(update["metres"].as_f64()? * 3.6));
    Some(())
}

fn position(update: &Json, row: &mut NewRow<'_>) -> Option<()> {
    row.set(1, Value::Bigint(update["rider"].as_i64()?));
    row.set(2, Value::Double(update["lat"].as_f64()?));
    row.set(3, Value::Double(update["lon"].as_f64()?));
    Some(())
}
