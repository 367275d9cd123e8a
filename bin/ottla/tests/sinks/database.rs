//! The databases, as tests see them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use servers::{MariaDb, Postgres};

use super::PATIENCE;

/// A database that can be asked, and killed.
pub trait Database {
    /// Where it is, for a user who may do anything.
    fn url(&self) -> String;

    /// What a statement answers, | between columns and a line for each row, or why it does not.
    fn try_ask(&self, statement: &str) -> Result<String, String>;

    /// The port of its server; a file has none.
    fn port(&self) -> Option<u16>;

    /// Kills its server (`kill -9`), and starts it again on what that left.
    fn kill_and_start_again(&self);

    /// What a statement answers.
    #[track_caller]
    fn ask(&self, statement: &str) -> String {
        self.try_ask(statement).unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// Waits until a statement answers this; until then it may be refused, as nothing is there yet or nobody answers.
    #[track_caller]
    fn wait_for(&self, statement: &str, expected: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.try_ask(statement);
            match answer {
                Ok(answer) if expected(&answer) => return answer,
                other => assert!(Instant::now() < deadline, "{statement}: {other:?}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn told(command: &mut std::process::Command) -> Result<String, String> {
    let output = command.output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

impl Database for Postgres {
    fn url(&self) -> String {
        Postgres::url(self)
    }

    fn try_ask(&self, statement: &str) -> Result<String, String> {
        told(self.psql().args(["-c", statement]))
    }

    fn port(&self) -> Option<u16> {
        Some(Postgres::port(self))
    }

    fn kill_and_start_again(&self) {
        Postgres::kill_and_start_again(self);
    }
}

impl Database for MariaDb {
    fn url(&self) -> String {
        MariaDb::url(self)
    }

    fn try_ask(&self, statement: &str) -> Result<String, String> {
        told(self.client().args(["-e", statement])).map(|answer| answer.replace('\t', "|"))
    }

    fn port(&self) -> Option<u16> {
        Some(MariaDb::port(self))
    }

    fn kill_and_start_again(&self) {
        MariaDb::kill_and_start_again(self);
    }
}

/// A file of SQLite's.
pub struct SqliteFile(pub PathBuf);

impl Database for SqliteFile {
    fn url(&self) -> String {
        format!("sqlite:{}", self.0.display())
    }

    fn try_ask(&self, statement: &str) -> Result<String, String> {
        self.answer(statement).map_err(|error| error.to_string())
    }

    fn port(&self) -> Option<u16> {
        None
    }

    fn kill_and_start_again(&self) {
        unreachable!("whoever has it open is killed instead");
    }
}

impl SqliteFile {
    fn answer(&self, statement: &str) -> rusqlite::Result<String> {
        let connection = rusqlite::Connection::open(&self.0)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        let mut statement = connection.prepare(statement)?;
        let width = statement.column_count();
        let line = |row: &rusqlite::Row<'_>| {
            let values = (0..width).map(|index| {
                Ok(match row.get(index)? {
                    Value::Null => String::new(),
                    Value::Integer(value) => value.to_string(),
                    Value::Real(value) => value.to_string(),
                    Value::Text(value) => value,
                    Value::Blob(_) => unreachable!("sinks write none"),
                })
            });
            Ok(values.collect::<rusqlite::Result<Vec<_>>>()?.join("|"))
        };
        let lines = statement.query_map([], line)?;
        Ok(lines.collect::<rusqlite::Result<Vec<_>>>()?.join("\n"))
    }
}
