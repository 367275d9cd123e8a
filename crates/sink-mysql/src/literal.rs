//! Values as a statement has them.

use std::io::Write as _;

use sink::{Rows, Value};

use crate::table::Room;

/// Appends a value, or says why it cannot be written as it is (M5).
pub(crate) fn put(sql: &mut Vec<u8>, rows: &Rows, value: &Value, room: Room) -> Result<(), String> {
    match value {
        Value::Absent => sql.extend(b"DEFAULT"),
        Value::Null => sql.extend(b"NULL"),
        Value::Boolean(value) => sql.push(if *value { b'1' } else { b'0' }),
        Value::Bigint(value) => write(sql, format_args!("{value}")),
        Value::Double(value) => return put_double(sql, *value, room),
        Value::Timestamp(us) => return put_timestamp(sql, *us, room),
        Value::Text(at) => return put_text(sql, rows.text(at), room),
        Value::Json(at) => put_quoted(sql, rows.text(at)),
    }
    Ok(())
}

fn write(sql: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    sql.write_fmt(text).expect("memory takes everything");
}

/// With an exponent, a literal is a double; without one, a decimal.
fn put_double(sql: &mut Vec<u8>, value: f64, room: Room) -> Result<(), String> {
    if !value.is_finite() {
        return Err(format!("{value} is no number of MySQL's"));
    }
    let Room::Digits(digits) = room else {
        write(sql, format_args!("{value:e}"));
        return Ok(());
    };
    let start = sql.len();
    write(sql, format_args!("{value}"));
    let fraction = sql[start..].iter().rev().position(|&byte| byte == b'.').unwrap_or_default();
    if digits < fraction {
        return Err(format!("{value} has more than the column's {digits} digits behind the point"));
    }
    Ok(())
}

fn put_timestamp(sql: &mut Vec<u8>, us: i64, room: Room) -> Result<(), String> {
    let text = model::time::DateTime::from_us(us);
    let text = text.ok_or_else(|| format!("{us} us since 1970 is no time of the years 0 to 9999"))?;
    let (text, _utc) = text.as_str().split_at(26);
    let Room::Digits(digits) = room else {
        write(sql, format_args!("'{text}'"));
        return Ok(());
    };
    // 19 characters and a point stand before the digits.
    let (text, more) = text.split_at((20 + digits).min(text.len()));
    if more.bytes().any(|digit| digit != b'0') {
        return Err(format!("{text}{more} has more than the column's {digits} digits of a second"));
    }
    write(sql, format_args!("'{}'", text.trim_end_matches('.')));
    Ok(())
}

fn put_text(sql: &mut Vec<u8>, text: &str, room: Room) -> Result<(), String> {
    if room == Room::Padded && text.ends_with(' ') {
        return Err(format!("'{text}' ends in a space, which the column does not tell from none"));
    }
    put_quoted(sql, text);
    Ok(())
}

/// A text in quotes. Sessions take a backslash for what makes the next character plain.
fn put_quoted(sql: &mut Vec<u8>, text: &str) {
    sql.push(b'\'');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\'' | b'\\')) {
        sql.extend(&rest[..at]);
        sql.extend([b'\\', rest[at]]);
        rest = &rest[at + 1..];
    }
    sql.extend(rest);
    sql.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a value, or of a text, in a column.
    fn literal(value: Value, text: &str, room: Room) -> Result<String, String> {
        let mut rows = Rows::new(1);
        let mut row = rows.begin();
        if value == Value::Absent {
            row.set_text(0, text);
        } else {
            row.set(0, value);
        }
        let mut sql = Vec::new();
        put(&mut sql, &rows, &rows.iter().next().expect("a row")[0], room)?;
        Ok(String::from_utf8(sql).expect("a text"))
    }

    #[track_caller]
    fn check(value: Value, room: Room, expected: Option<&str>) {
        assert_eq!(literal(value, "", room).ok().as_deref(), expected);
    }

    #[test]
    fn numbers_and_times_are_written_as_they_are_or_not_at_all() {
        check(Value::Bigint(i64::MIN), Room::Any, Some("-9223372036854775808"));
        check(Value::Double(0.1), Room::Any, Some("1e-1"));
        check(Value::Double(f64::NAN), Room::Any, None);
        check(Value::Double(12.25), Room::Digits(2), Some("12.25"));
        check(Value::Double(12.0), Room::Digits(0), Some("12"));
        check(Value::Double(12.255), Room::Digits(2), None);
        check(Value::Timestamp(1_500_000), Room::Any, Some("'1970-01-01T00:00:01.500000'"));
        check(Value::Timestamp(1_500_000), Room::Digits(3), Some("'1970-01-01T00:00:01.500'"));
        check(Value::Timestamp(1_000_000), Room::Digits(0), Some("'1970-01-01T00:00:01'"));
        check(Value::Timestamp(1_500_000), Room::Digits(0), None);
    }

    #[test]
    fn texts_cannot_end_their_literal() {
        assert_eq!(literal(Value::Absent, r"a'b\c", Room::Any).expect("a literal"), r"'a\'b\\c'");
        assert_eq!(literal(Value::Absent, "ä ", Room::Any).expect("a literal"), "'ä '");
        assert!(literal(Value::Absent, "ä ", Room::Padded).is_err());
    }
}
