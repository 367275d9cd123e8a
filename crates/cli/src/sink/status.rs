//! `ottla sink list` and `ottla sink status`: how sinks do, whether or not their databases answer.

use client::Client;
use sinks::{Entry, PartitionStatus, Report, Stage, State};

use crate::cell::{Cell, Tone};
use crate::failure::Failure;
use crate::number::grouped;
use crate::output::{Column, Output, column, object, wide};
use crate::sink::Chosen;

const LIST_COLUMNS: [Column; 10] = [
    column("sink"),
    column("state"),
    column("workers"),
    column("rows_per_s"),
    column("lag"),
    column("table"),
    wide("topics"),
    wide("database"),
    wide("group"),
    wide("error"),
];

const PARTITION_COLUMNS: [Column; 9] = [
    column("topic"),
    column("partition"),
    column("owner"),
    column("next"),
    column("end"),
    column("lag"),
    column("lag_s"),
    column("last_commit"),
    wide("stopped"),
];

const WORKER_COLUMNS: [Column; 12] = [
    column("worker"),
    column("state"),
    column("partitions"),
    column("rows"),
    column("rows_per_s"),
    column("last_commit"),
    column("host"),
    column("pid"),
    wide("started"),
    wide("seen"),
    wide("last_error_at"),
    wide("last_error"),
];

/// Every sink of the cluster.
pub(super) async fn list(client: &Client, output: &mut Output) -> Result<(), Failure> {
    let board = sinks::board(client).await?;
    if board.sinks().is_empty() && !output.is_json() {
        output.line("There are no sinks. `ottla sink run FILE` starts one; its --help shows the file.");
        return Ok(());
    }
    let mut rows = Vec::new();
    for (name, entry) in board.sinks() {
        let partitions = sinks::partitions(client, entry).await?;
        let now_ms = client.rt().wall_clock_ms();
        let identity = entry.identity.as_ref();
        let topics =
            |identity: &sinks::Identity| Cell::List(identity.topics.iter().map(Cell::text).collect());
        rows.push(vec![
            Cell::text(name),
            state(entry.state(now_ms)),
            Cell::count(entry.live(now_ms).count()),
            rate(entry.rows_per_s(now_ms)),
            lag_in_all(&partitions).map_or(Cell::None, Cell::Int),
            Cell::maybe(identity.map(|identity| &identity.table)),
            identity.map_or(Cell::None, topics),
            Cell::maybe(identity.map(|identity| &identity.database)),
            Cell::maybe(identity.map(|identity| &identity.group)),
            Cell::maybe(error_in_force(entry)),
        ]);
    }
    output.rows(&LIST_COLUMNS, rows);
    Ok(())
}

/// One sink: its partitions and its workers.
pub(super) async fn run(chosen: &Chosen, output: &mut Output) -> Result<(), Failure> {
    let Chosen { client, name, .. } = chosen;
    let board = sinks::board(client).await?;
    let entry = board.sinks().get(name).ok_or_else(|| chosen.unknown(&board))?;
    let mut partitions = sinks::partitions(client, entry).await?;
    sinks::tell_ages(client, &mut partitions).await?;
    let now_ms = client.rt().wall_clock_ms();
    let worker_rows: Vec<_> =
        entry.workers.iter().map(|(id, report)| worker_row(id, report, now_ms)).collect();
    let partition_rows: Vec<_> = partitions.iter().map(partition_row).collect();
    if output.is_json() {
        output.json(&as_json(name, entry, &partitions, now_ms, partition_rows, worker_rows));
        return Ok(());
    }
    let lag = lag_in_all(&partitions).map_or("-".to_owned(), |lag| grouped(lag.unsigned_abs()));
    let live = entry.live(now_ms).count();
    let workers = if live == 1 { "1 worker".to_owned() } else { format!("{live} workers") };
    output.heading(&format!(
        "Sink {name}  ({}, {workers}, {} rows/s, lag {lag})",
        entry.state(now_ms).name(),
        grouped(entry.rows_per_s(now_ms).round() as u64),
    ));
    if let Some(identity) = &entry.identity {
        let topics: Vec<_> = identity.topics.iter().map(ToString::to_string).collect();
        output.line(&format!(
            "{} into table {} ({}), as group {}",
            topics.join(", "),
            identity.table,
            identity.database,
            identity.group
        ));
    }
    if partition_rows.is_empty() {
        output.line("Its topics are not there.");
    } else {
        output.table(&PARTITION_COLUMNS, &partition_rows);
    }
    if worker_rows.is_empty() {
        output.line("It has no workers: `ottla sink run FILE` starts one.");
    } else {
        output.heading("Workers");
        output.table(&WORKER_COLUMNS, &worker_rows);
    }
    tell_troubles(entry, &partitions, now_ms, output);
    Ok(())
}

/// A line for each thing that somebody should know of.
fn tell_troubles(entry: &Entry, partitions: &[PartitionStatus], now_ms: i64, output: &mut Output) {
    let mut lines = Vec::new();
    for partition in partitions {
        if let Some(reason) = &partition.stopped {
            lines.push((Tone::Warning, format!("{} waits: {reason}", partition.place)));
        }
    }
    for (id, report) in &entry.workers {
        if report.is_silent(now_ms) {
            let seen = model::time::show(report.at_ms);
            lines.push((Tone::Warning, format!("worker {id} has not been heard of since {seen}")));
        }
        if let Some(trouble) = report.trouble.as_ref().filter(|trouble| !trouble.is_over) {
            let since = model::time::show(trouble.at_ms);
            let does = if report.stage == Stage::Failed { "ended" } else { "tries again" };
            lines.push((Tone::Bad, format!("worker {id} {does}, since {since}: {}", trouble.error)));
        }
    }
    if !lines.is_empty() {
        output.heading("Troubles");
        lines.iter().for_each(|(tone, line)| output.toned_line(*tone, line));
    }
}

fn as_json(
    name: &str,
    entry: &Entry,
    partitions: &[PartitionStatus],
    now_ms: i64,
    partition_rows: Vec<Vec<Cell>>,
    worker_rows: Vec<Vec<Cell>>,
) -> Cell {
    let identity = entry.identity.as_ref();
    let list = |columns: &[Column], rows: Vec<Vec<Cell>>| {
        Cell::List(rows.into_iter().map(|row| object(columns, row)).collect())
    };
    let topics = |identity: &sinks::Identity| Cell::List(identity.topics.iter().map(Cell::text).collect());
    let oldest_ms = partitions.iter().filter_map(|partition| partition.age_ms).max();
    Cell::Object(vec![
        ("sink", Cell::text(name)),
        ("state", state(entry.state(now_ms))),
        ("topics", identity.map_or(Cell::None, topics)),
        ("table", Cell::maybe(identity.map(|identity| &identity.table))),
        ("database", Cell::maybe(identity.map(|identity| &identity.database))),
        ("group", Cell::maybe(identity.map(|identity| &identity.group))),
        ("rows_per_s", rate(entry.rows_per_s(now_ms))),
        ("lag", lag_in_all(partitions).map_or(Cell::None, Cell::Int)),
        ("lag_s", oldest_ms.map_or(Cell::None, seconds)),
        ("error", Cell::maybe(error_in_force(entry))),
        ("partitions", list(&PARTITION_COLUMNS, partition_rows)),
        ("workers", list(&WORKER_COLUMNS, worker_rows)),
    ])
}

fn partition_row(partition: &PartitionStatus) -> Vec<Cell> {
    vec![
        Cell::text(&partition.place.topic),
        Cell::Int(partition.place.partition.0.into()),
        Cell::maybe(partition.owner.as_ref()),
        partition.next.map_or(Cell::None, |next| Cell::Int(next.0)),
        partition.end.map_or(Cell::None, |end| Cell::Int(end.0)),
        partition.lag().map_or(Cell::None, Cell::Int),
        partition.age_ms.map_or(Cell::None, seconds),
        partition.committed_at_ms.map_or(Cell::None, Cell::Time),
        Cell::maybe(partition.stopped.as_ref()),
    ]
}

fn worker_row(id: &str, report: &Report, now_ms: i64) -> Vec<Cell> {
    let trouble = report.trouble.as_ref();
    let (tone, state) = match (report.is_silent(now_ms), report.stage) {
        (true, _) => (Tone::Warning, "silent"),
        (false, Stage::Failed) => (Tone::Bad, "failed"),
        (false, _) if trouble.is_some_and(|trouble| !trouble.is_over) => (Tone::Bad, "failing"),
        (false, Stage::Working) => (Tone::Good, "working"),
        (false, stage @ (Stage::Starting | Stage::Paused)) => (Tone::Warning, stage.name()),
    };
    vec![
        Cell::text(id),
        Cell::Toned(tone, state.to_owned()),
        Cell::count(report.partitions.len()),
        Cell::Int(i64::try_from(report.rows).unwrap_or(i64::MAX)),
        rate(report.rows_per_s),
        report.committed_at_ms.map_or(Cell::None, Cell::Time),
        Cell::maybe(Some(&report.host).filter(|host| !host.is_empty())),
        Cell::Int(report.pid.into()),
        Cell::Time(report.started_at_ms),
        Cell::Time(report.at_ms),
        trouble.map_or(Cell::None, |trouble| Cell::Time(trouble.at_ms)),
        Cell::maybe(trouble.map(|trouble| &trouble.error)),
    ]
}

fn state(state: State) -> Cell {
    let tone = match state {
        State::Running => Tone::Good,
        State::Starting | State::Paused | State::Waiting | State::Silent | State::Stopped => Tone::Warning,
        State::Failing | State::Failed => Tone::Bad,
    };
    Cell::Toned(tone, state.name().to_owned())
}

fn rate(rows_per_s: f64) -> Cell {
    Cell::Int(rows_per_s.round() as i64)
}

fn seconds(ms: i64) -> Cell {
    Cell::Real(ms as f64 / 1_000.0)
}

/// The records that are not in the table, where all partitions say.
fn lag_in_all(partitions: &[PartitionStatus]) -> Option<i64> {
    let known = || partitions.iter().filter_map(PartitionStatus::lag);
    (0 < known().count()).then(|| known().sum())
}

/// What keeps a worker from its work now.
fn error_in_force(entry: &Entry) -> Option<&String> {
    let troubles = entry.workers.values().filter_map(|report| report.trouble.as_ref());
    troubles
        .filter(|trouble| !trouble.is_over)
        .max_by_key(|trouble| trouble.at_ms)
        .map(|trouble| &trouble.error)
}
