//! Publish and subscribe: one stream of user activity, which two groups take at once, each all of it.

use std::fmt::Write as _;

use rt::Instant;
use serde_json::Value as Json;
use sink::{ColumnType, NewRow, Value};

use crate::crew::{Crew, Role};
use crate::dice::pick;
use crate::error::DemoError;
use crate::stage::Stage;

const ROLES: [Role; 2] = [
    Role {
        group: "Analytics",
        table: "page_views",
        columns: &[
            ("page", ColumnType::Text),
            ("ms_on_page", ColumnType::Bigint),
            ("bounced", ColumnType::Boolean),
        ],
        to_row: view,
    },
    Role {
        group: "Storage",
        table: "user_activity",
        columns: &[("activity", ColumnType::Json)],
        to_row: keep,
    },
];

/// Workers of each group.
const WORKERS: usize = 2;

const PAGES: [&str; 5] = ["home", "search", "product", "cart", "checkout"];

/// Who looks at a page for less has seen nothing of it.
const BOUNCE_MS: i64 = 3_000;

pub(crate) async fn play(stage: &mut Stage) -> Result<Instant, DemoError> {
    let feed = stage.open_topic("UserActivity", 6).await?;
    for role in &ROLES {
        let mut crew = Crew::new(stage, role, &feed)?;
        for _ in 0..WORKERS {
            crew.hire(stage).await?;
        }
        stage.keep_crew(crew);
    }
    let (pace, first) = (stage.pace(stage.rate), stage.id(0));
    let started = stage.begin().await?;
    feed.write(stage.client(), pace, |number, message| {
        let id = first + i64::try_from(number).unwrap_or(0);
        let (user, ms) = (pick(number, 1, 20_000), pick(number, 2, 60_000));
        let page = PAGES[usize::try_from(pick(number, 3, 5)).unwrap_or(0)];
        // Writing into a string cannot fail.
        let _ = write!(message.key, "{user}");
        let _ =
            write!(message.value, "{{\"id\":{id},\"user\":{user},\"page\":\"{page}\",\"ms_on_page\":{ms}}}");
    })
    .await?;
    Ok(started)
}

fn view(activity: &Json, row: &mut NewRow<'_>) -> Option<()> {
    let ms = activity["ms_on_page"].as_i64()?;
    row.set_text(1, activity["page"].as_str()?);
    row.set(2, Value::Bigint(ms));
    row.set(3, Value::Boolean(ms < BOUNCE_MS));
    Some(())
}

fn keep(activity: &Json, row: &mut NewRow<'_>) -> Option<()> {
    row.set_json(1, &activity.to_string());
    Some(())
}
