//! The same rows loaded by hand: what a database takes from its own tools.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use servers::Postgres;

use crate::figure::{Figure, more};
use crate::process;
use crate::setting::Setting;
use crate::sinks::{LIMIT, rows};

/// Rows that are inserted one by one: few, as it takes long.
const SINGLE_ROWS: u64 = 10_000;

/// The table that a sink makes of these rows.
const COLUMNS: &str = "id bigint, \"user\" bigint, lat double precision, lon double precision, \
                       speed double precision, kind text, at timestamptz";

/// PostgreSQL by `psql`: `\copy`, the same in its binary format, row by row, and by way of a temporary table for upserts.
pub fn postgres(setting: &Setting, server: &Postgres, count: u64) -> Result<Vec<Figure>> {
    let [tabbed, inserts, binary] = ["tabbed", "inserts", "binary"].map(|name| setting.data.join(name));
    rows::write_tabbed(&tabbed, count)?;
    rows::write_inserts(&inserts, "single", SINGLE_ROWS)?;
    let rate = |rows: u64, arguments: &[&str]| -> Result<f64> {
        server.ask("CHECKPOINT");
        let begun = Instant::now();
        psql(server.psql().args(arguments))?;
        Ok(rows as f64 / begun.elapsed().as_secs_f64())
    };
    for table in ["rides", "bare", "single"] {
        server.ask(&format!("CREATE TABLE {table} ({COLUMNS})"));
    }
    server.ask(&format!("CREATE TABLE latest ({COLUMNS}, PRIMARY KEY (id))"));
    let copied = rate(count, &["-c", &copy("rides", "FROM", &tabbed, "text")])?;
    psql(server.psql().args(["-c", &copy("rides", "TO", &binary, "binary")]))?;
    let copied_binary = rate(count, &["-c", &copy("bare", "FROM", &binary, "binary")])?;
    let single = rate(SINGLE_ROWS, &["-f", &inserts.display().to_string()])?;
    let sets =
        ["\"user\"", "lat", "lon", "speed", "kind", "at"].map(|name| format!("{name} = excluded.{name}"));
    let upserted = rate(
        count,
        &[
            "-c",
            "CREATE TEMPORARY TABLE staged (LIKE latest)",
            "-c",
            &copy("staged", "FROM", &tabbed, "text"),
            "-c",
            &format!(
                "INSERT INTO latest SELECT * FROM staged ON CONFLICT (id) DO UPDATE SET {}",
                sets.join(", ")
            ),
        ],
    )?;
    Ok(vec![
        more("append", copied, "rows/s"),
        more("append_binary", copied_binary, "rows/s"),
        more("append_single", single, "rows/s"),
        more("upsert", upserted, "rows/s"),
    ])
}

/// SQLite by one prepared statement in one transaction, and row by row.
pub fn sqlite(setting: &Setting, count: u64) -> Result<Vec<Figure>> {
    let file = rusqlite::Connection::open(setting.data.join("by-hand.db"))?;
    file.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    let rate = |table: &str, rows: u64, is_one: bool| -> Result<f64> {
        file.execute_batch(&format!(
            "CREATE TABLE {table} (id INTEGER, user INTEGER, lat REAL, lon REAL, speed REAL, kind TEXT, at TEXT)"
        ))?;
        rustix::fs::sync();
        let begun = Instant::now();
        if is_one {
            file.execute_batch("BEGIN")?;
        }
        let mut insert = file.prepare(&format!("INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?, ?)"))?;
        for number in 0..rows {
            insert.execute(rows::typed(number))?;
        }
        if is_one {
            file.execute_batch("COMMIT")?;
        }
        Ok(rows as f64 / begun.elapsed().as_secs_f64())
    };
    Ok(vec![
        more("append", rate("rides", count, true)?, "rows/s"),
        more("append_single", rate("single", SINGLE_ROWS, false)?, "rows/s"),
    ])
}

fn copy(table: &str, direction: &str, file: &Path, format: &str) -> String {
    format!("\\copy {table} {direction} '{}' (FORMAT {format})", file.display())
}

fn psql(command: &mut Command) -> Result<()> {
    process::output(command, None, LIMIT).map(drop)
}
