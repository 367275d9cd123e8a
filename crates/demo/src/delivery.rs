//! Food delivery: 100,000 couriers on the map, in partitions by region. One customer follows one courier, and reads that
//! region only; behind them storage keeps where everybody was, and what kitchens say.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use client::Record;
use futures_util::future::try_join;
use model::PartitionIndex;
use rt::Instant;
use serde_json::Value as Json;
use sink::{ColumnType, NewRow, Value};

use crate::board::{Fact, Figure};
use crate::crew::{Crew, Role};
use crate::dice::pick;
use crate::error::DemoError;
use crate::reader;
use crate::stage::Stage;

const COURIERS: u64 = 100_000;

/// A region is a partition.
const REGIONS: i32 = 8;

/// Whom the customer waits for, and where that one is.
const COURIER: u64 = 4_711;

/// One message of kitchens for so many of couriers.
const COURIERS_A_KITCHEN: u64 = 20;

const STORAGE: Role = Role {
    group: "storage",
    table: "courier_positions",
    columns: &[
        ("courier", ColumnType::Bigint),
        ("region", ColumnType::Bigint),
        ("lat", ColumnType::Double),
        ("lon", ColumnType::Double),
    ],
    to_row: position,
};

const KITCHENS: Role = Role {
    group: "kitchens",
    table: "kitchen_updates",
    columns: &[("kitchen", ColumnType::Bigint), ("status", ColumnType::Text)],
    to_row: status,
};

pub(crate) async fn play(stage: &mut Stage) -> Result<Instant, DemoError> {
    let positions = stage.open_topic("delivery-location-updates", REGIONS).await?;
    let kitchens = stage.open_topic("hotel-updates", 2).await?;
    let mut storage = Crew::new(stage, &STORAGE, &positions)?;
    for _ in 0..2 {
        storage.hire(stage).await?;
    }
    stage.keep_crew(storage);
    let mut keepers = Crew::new(stage, &KITCHENS, &kitchens)?;
    keepers.hire(stage).await?;
    stage.keep_crew(keepers);
    let followed = usize::try_from(region(COURIER)).unwrap_or(0);
    let seen = Arc::new(Mutex::new(None));
    let sees = {
        let seen = seen.clone();
        move |record: &Record| look(record, &seen)
    };
    let customer = reader::of_partition(stage, "customer", &positions, followed, sees).await?;
    stage.keep_reader(customer);
    show(stage, seen);

    let (first, rate) = (stage.id(0), stage.rate);
    let id = |number: u64| first + i64::try_from(number).unwrap_or(0);
    let started = stage.begin().await?;
    let moving = positions.write(stage.client(), stage.pace(rate), |number, message| {
        let courier = number % COURIERS;
        let region = region(courier);
        // Exact: these are far below 2^52.
        let degrees = |aspect| pick(number, aspect, 100_000) as f64 / 1e6;
        let (lat, lon) = (12.9 + degrees(1), 77.5 + degrees(2));
        message.partition = Some(PartitionIndex(region));
        // Writing into a string cannot fail.
        let _ = write!(message.key, "{courier}");
        let _ = write!(
            message.value,
            "{{\"id\":{},\"courier\":{courier},\"region\":{region},\"lat\":{lat},\"lon\":{lon}}}",
            id(number)
        );
    });
    let pace = stage.pace((rate / COURIERS_A_KITCHEN).max(1));
    let cooking = kitchens.write(stage.client(), pace, |number, message| {
        const STATUS: [&str; 3] = ["accepted", "cooking", "ready"];
        let kitchen = pick(number, 3, 2_000);
        let status = STATUS[usize::try_from(pick(number, 4, 3)).unwrap_or(0)];
        let _ = write!(message.key, "{kitchen}");
        let _ =
            write!(message.value, "{{\"id\":{},\"kitchen\":{kitchen},\"status\":\"{status}\"}}", id(number));
    });
    try_join(moving, cooking).await?;
    Ok(started)
}

fn region(courier: u64) -> i32 {
    i32::try_from(courier % u64::from(REGIONS.unsigned_abs())).unwrap_or(0)
}

/// The customer's eyes: of all couriers in the region, one.
fn look(record: &Record, seen: &Mutex<Option<(f64, f64)>>) {
    let is_ours = record.key.as_deref() == Some(COURIER.to_string().as_bytes());
    let message = record.value.as_deref().filter(|_| is_ours);
    let Some(message) = message.and_then(|value| serde_json::from_slice::<Json>(value).ok()) else { return };
    let place = message["lat"].as_f64().zip(message["lon"].as_f64());
    *seen.lock().unwrap_or_else(PoisonError::into_inner) = place;
}

fn show(stage: &Stage, seen: Arc<Mutex<Option<(f64, f64)>>>) {
    stage.board.add_facts(move || {
        let place = *seen.lock().unwrap_or_else(PoisonError::into_inner);
        let words = match place {
            Some((lat, lon)) => format!("{lat:.4} N {lon:.4} E"),
            None => "not seen yet".to_owned(),
        };
        vec![
            Fact::new(
                "customer_follows",
                Figure::Text(format!("courier {COURIER} in region {}", region(COURIER))),
            ),
            Fact::new("who_is_at", Figure::Text(words)),
        ]
    });
}

fn position(update: &Json, row: &mut NewRow<'_>) -> Option<()> {
    row.set(1, Value::Bigint(update["courier"].as_i64()?));
    row.set(2, Value::Bigint(update["region"].as_i64()?));
    row.set(3, Value::Double(update["lat"].as_f64()?));
    row.set(4, Value::Double(update["lon"].as_f64()?));
    Some(())
}

fn status(update: &Json, row: &mut NewRow<'_>) -> Option<()> {
    row.set(1, Value::Bigint(update["kitchen"].as_i64()?));
    row.set_text(2, update["status"].as_str()?);
    Some(())
}
