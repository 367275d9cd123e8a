//! One value of a result: what a table's cell and a JSON field have in common.
//!
//! Objects keep the order their fields were given in, so that lines read the same every time.

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// Not known, not there.
    None,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Real(f64),
    /// Text.
    Text(String),
    /// Milliseconds since 1970: a date for people.
    Time(i64),
    /// A number of bytes: in the largest fitting unit for people.
    Bytes(u64),
    /// Text with a meaning that tables show in colour.
    Toned(Tone, String),
    /// Values.
    List(Vec<Cell>),
    /// Named values.
    Object(Vec<(&'static str, Cell)>),
}

/// What a text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Worth a look.
    Warning,
    /// Not as it should be.
    Bad,
}

impl Tone {
    /// The colour's number in a terminal's language.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
        }
    }
}

impl Cell {
    /// Text.
    pub(crate) fn text(text: impl ToString) -> Cell {
        Cell::Text(text.to_string())
    }

    /// Text if there is any.
    pub(crate) fn maybe(text: Option<impl ToString>) -> Cell {
        text.map_or(Cell::None, Cell::text)
    }

    /// A number of bytes, where it is known.
    pub(crate) fn bytes(bytes: Option<u64>) -> Cell {
        bytes.map_or(Cell::None, Cell::Bytes)
    }

    /// A count.
    pub(crate) fn count(count: usize) -> Cell {
        Cell::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// As a table shows it: one line.
    pub(crate) fn plain(&self) -> String {
        match self {
            Cell::None => "-".to_owned(),
            Cell::Bool(true) => "yes".to_owned(),
            Cell::Bool(false) => "no".to_owned(),
            Cell::Int(number) => number.to_string(),
            Cell::Real(number) => format!("{number:.3}"),
            Cell::Text(text) | Cell::Toned(_, text) => one_line(text),
            Cell::Time(ms) => model::time::show(*ms),
            Cell::Bytes(bytes) => crate::number::bytes(*bytes),
            Cell::List(cells) if cells.is_empty() => "-".to_owned(),
            Cell::List(cells) => cells.iter().map(Cell::item).collect::<Vec<_>>().join(","),
            Cell::Object(fields) => {
                let fields: Vec<_> =
                    fields.iter().map(|(name, cell)| format!("{name}={}", cell.plain())).collect();
                fields.join(" ")
            }
        }
    }

    /// As a table shows it within a list.
    fn item(&self) -> String {
        match self {
            Cell::Object(_) => format!("{{{}}}", self.plain()),
            other => other.plain(),
        }
    }

    /// As JSON, appended to `out`.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Cell::None => out.extend_from_slice(b"null"),
            Cell::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Cell::Int(number) | Cell::Time(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Cell::Bytes(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Cell::Real(number) => out.extend_from_slice(format!("{number:.3}").as_bytes()),
            Cell::Text(text) | Cell::Toned(_, text) => write_json_text(text, out),
            Cell::List(cells) => {
                out.push(b'[');
                for (index, cell) in cells.iter().enumerate() {
                    if 0 < index {
                        out.push(b',');
                    }
                    cell.write_json(out);
                }
                out.push(b']');
            }
            Cell::Object(fields) => {
                out.push(b'{');
                for (index, (name, cell)) in fields.iter().enumerate() {
                    if 0 < index {
                        out.push(b',');
                    }
                    write_json_text(name, out);
                    out.push(b':');
                    cell.write_json(out);
                }
                out.push(b'}');
            }
        }
    }
}

/// A JSON string, appended to `out`.
pub(crate) fn write_json_text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("text is JSON, and a vector takes everything");
}

/// Control characters would break a table's lines, or a terminal.
fn one_line(text: &str) -> String {
    if text.chars().any(char::is_control) { text.escape_debug().to_string() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_json_and_plain() {
        for (cell, json, plain) in [
            (Cell::None, "null", "-"),
            (Cell::Bool(true), "true", "yes"),
            (Cell::Int(-5), "-5", "-5"),
            (Cell::Real(1.25), "1.250", "1.250"),
            (Cell::text("a\n\"b\""), r#""a\n\"b\"""#, r#"a\n\"b\""#),
            (Cell::Toned(Tone::Bad, "x".into()), r#""x""#, "x"),
            (Cell::Time(1_769_860_800_123), "1769860800123", "2026-01-31T12:00:00.123Z"),
            (Cell::Bytes(1536), "1536", "1.5 KiB"),
            (Cell::List(vec![Cell::Int(1), Cell::Int(2)]), "[1,2]", "1,2"),
            (Cell::List(vec![]), "[]", "-"),
            (Cell::List(vec![Cell::Object(vec![("a", Cell::Int(1))])]), r#"[{"a":1}]"#, "{a=1}"),
            (Cell::Object(vec![("b", Cell::Int(1)), ("a", Cell::None)]), r#"{"b":1,"a":null}"#, "b=1 a=-"),
        ] {
            let mut written = Vec::new();
            cell.write_json(&mut written);
            assert_eq!(String::from_utf8(written).unwrap(), json);
            assert_eq!(cell.plain(), plain);
        }
    }
}
