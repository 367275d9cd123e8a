//! The same stream without Ottla: each message a row of its own, straight into the database.
//!
//! - D1 A row is a transaction, and on the disk before the next one: what a service does that must not lose what it
//!   confirmed, and what a topic does for each of its messages. SQLite is told so, the others do it as they come.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rt::Rt;
use sink::Definition;
use sinks::Database;

use crate::error::DemoError;
use crate::feed::Pace;
use crate::member::Member;
use crate::stage::Stage;

/// The writer beside a demo.
pub(crate) struct Direct {
    database: Database,
    written: Arc<AtomicU64>,
}

impl Direct {
    /// With its table, in a database of its own where that is a file, else beside the others'.
    pub(crate) async fn open(stage: &Stage, table: &str, columns: &str) -> Result<Direct, DemoError> {
        let mut place = stage.plan.database.clone();
        let is_file = place.url.starts_with("sqlite:");
        if is_file {
            let path = Path::new(&place.url).with_extension("row-by-row.db");
            place.url = path.display().to_string();
        }
        let definition = Definition::new("direct", Vec::new(), table, Vec::new(), place);
        let mut database = sinks::open(&stage.rt, &definition).await?;
        if is_file {
            database.ask("PRAGMA synchronous = FULL").await?;
        }
        database.ask(&format!("CREATE TABLE IF NOT EXISTS {table} ({columns})")).await?;
        Ok(Direct { database, written: Arc::new(AtomicU64::new(0)) })
    }

    /// Rows that are in the table.
    pub(crate) fn written(&self) -> Arc<AtomicU64> {
        self.written.clone()
    }

    /// Writes what `insert` makes of each number, none before it is due, until time is up.
    pub(crate) fn start(
        self,
        rt: &Rt,
        pace: Pace,
        insert: impl Fn(u64) -> String + Send + 'static,
        mut on_failure: impl FnMut(String) + Send + 'static,
    ) -> Member {
        let Direct { mut database, written } = self;
        let own = rt.clone();
        Member::start(rt, |_| async move {
            let started = own.now();
            for number in 0.. {
                let due = started + pace.when(number);
                if pace.time <= pace.when(number) || started + pace.time <= own.now() {
                    return;
                }
                if own.now() < due {
                    own.sleep_until(due).await;
                }
                if let Err(error) = database.ask(&insert(number)).await {
                    return on_failure(error.message);
                }
                written.fetch_add(1, Ordering::Relaxed);
            }
        })
    }
}
