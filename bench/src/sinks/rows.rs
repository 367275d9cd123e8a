//! The rows that sinks carry: positions of riders, each 112 bytes as JSON.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

/// Bytes of a row's JSON.
pub const JSON_BYTES: usize = 112;

/// Users, of whom each row is about one.
pub const USERS: u64 = 50_000;

/// The first row's id; up to nine million rows have ids of as many digits.
pub const FIRST_ID: u64 = 1_000_000;

/// One row.
struct Row(u64);

impl Row {
    fn id(&self) -> u64 {
        FIRST_ID + self.0
    }

    fn user(&self) -> u64 {
        10_000 + self.0.wrapping_mul(7) % USERS
    }

    fn lat(&self) -> f64 {
        48.0 + (self.0.wrapping_mul(31) % 99_991) as f64 / 1e5
    }

    fn lon(&self) -> f64 {
        16.0 + (self.0.wrapping_mul(17) % 99_991) as f64 / 1e5
    }

    fn speed(&self) -> f64 {
        (10 + self.0 % 80) as f64 + 0.5
    }

    fn kind(&self) -> &'static str {
        ["ride", "stop", "idle"][(self.0 % 3) as usize]
    }

    fn at(&self) -> String {
        let (hour, minute, second) = (self.0 / 3_600 % 24, self.0 / 60 % 60, self.0 % 60);
        format!("2026-01-31T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// Its values in order, each by what it is named.
    fn each(&self, mut put: impl FnMut(&str, Value<'_>) -> io::Result<()>) -> io::Result<()> {
        put("id", Value::Number(&self.id()))?;
        put("user", Value::Number(&self.user()))?;
        put("lat", Value::Number(&format_args!("{:.5}", self.lat())))?;
        put("lon", Value::Number(&format_args!("{:.5}", self.lon())))?;
        put("speed", Value::Number(&self.speed()))?;
        put("kind", Value::Text(&self.kind()))?;
        put("at", Value::Text(&self.at()))
    }

    fn put_json(&self, text: &mut impl Write) -> io::Result<()> {
        let mut before = '{';
        self.each(|name, value| {
            match value {
                Value::Number(number) => write!(text, "{before}\"{name}\":{number}")?,
                Value::Text(said) => write!(text, "{before}\"{name}\":\"{said}\"")?,
            }
            before = ',';
            Ok(())
        })?;
        write!(text, "}}")
    }

    /// Its values with this between.
    fn put_separated(&self, text: &mut impl Write, separator: &str) -> io::Result<()> {
        let mut before = "";
        self.each(|_, value| {
            let (Value::Number(value) | Value::Text(value)) = value;
            write!(text, "{before}{value}")?;
            before = separator;
            Ok(())
        })
    }
}

enum Value<'a> {
    Number(&'a dyn Display),
    Text(&'a dyn Display),
}

/// The values of a row as programs have them.
pub fn typed(number: u64) -> (i64, i64, f64, f64, f64, &'static str, String) {
    let row = Row(number);
    (
        row.id().cast_signed(),
        row.user().cast_signed(),
        row.lat(),
        row.lon(),
        row.speed(),
        row.kind(),
        row.at(),
    )
}

/// Writes `ID|JSON` lines of `count` rows from `first` on: records by key.
pub fn write_records(path: &Path, first: u64, count: u64) -> Result<()> {
    write(path, first, count, |row, text| {
        write!(text, "{}|", row.id())?;
        row.put_json(text)
    })
}

/// Writes the lines of `count` rows from the first on that databases load.
pub fn write_tabbed(path: &Path, count: u64) -> Result<()> {
    write(path, 0, count, |row, text| row.put_separated(text, "\t"))
}

/// Writes a statement of its own for each of `count` rows from the first on.
pub fn write_inserts(path: &Path, table: &str, count: u64) -> Result<()> {
    write(path, 0, count, |row, text| {
        write!(text, "INSERT INTO {table} VALUES ('")?;
        row.put_separated(text, "','")?;
        write!(text, "');")
    })
}

fn write(
    path: &Path,
    first: u64,
    count: u64,
    put: impl Fn(&Row, &mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    let write = || {
        let mut text = BufWriter::new(File::create(path)?);
        for number in first..first + count {
            put(&Row(number), &mut text)?;
            writeln!(text)?;
        }
        text.flush()
    };
    write().with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_as_long_as_is_said() {
        for number in [0, 1, 77_777, 2_999_999] {
            let (mut json, mut tabbed) = (Vec::new(), Vec::new());
            Row(number).put_json(&mut json).unwrap();
            Row(number).put_separated(&mut tabbed, "\t").unwrap();
            assert_eq!(json.len(), JSON_BYTES, "{}", String::from_utf8_lossy(&json));
            let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
            let tabbed = String::from_utf8(tabbed).unwrap();
            assert_eq!(tabbed.split('\t').next(), Some(json["id"].to_string().as_str()));
            assert_eq!(tabbed.split('\t').count(), 7);
        }
    }
}
