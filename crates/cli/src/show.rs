//! A record for whoever looks: in the format asked for, as a line for people, or as JSON for programs.

use client::Record;

use crate::output::{OutputFormat, is_terminal, wants_colour};
use crate::record_format::{RecordFormat, write_headers};

/// How records are shown.
pub(crate) enum Show {
    Format(RecordFormat),
    /// A line for people: date, place, key, value; headers where there is room for everything.
    Line {
        in_colour: bool,
        with_headers: bool,
    },
}

impl Show {
    /// By the format asked for, else by what fits standard output.
    pub(crate) fn new(format: Option<&RecordFormat>, output: Option<OutputFormat>) -> Show {
        let fitting = if is_terminal() { OutputFormat::Table } else { OutputFormat::Json };
        match (format, output.unwrap_or(fitting)) {
            (Some(format), _) => Show::Format(format.clone()),
            (None, OutputFormat::Json) => Show::Format(RecordFormat::Json),
            (None, OutputFormat::Table) => Show::Line { in_colour: wants_colour(), with_headers: false },
            (None, OutputFormat::Wide) => Show::Line { in_colour: wants_colour(), with_headers: true },
        }
    }

    /// Appends a record to `out`.
    pub(crate) fn write(&self, record: &Record, out: &mut Vec<u8>) {
        match self {
            Show::Format(format) => format.write(record, out),
            Show::Line { in_colour, with_headers } => write_line(record, *in_colour, *with_headers, out),
        }
    }
}

fn write_line(record: &Record, in_colour: bool, with_headers: bool, out: &mut Vec<u8>) {
    let paint = |code: &str, text: &str| {
        if in_colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    };
    let date = model::time::show(record.timestamp.0);
    let place = format!("{}:{}", record.partition, record.offset);
    let shown = |part: Option<&[u8]>| part.map_or("null".to_owned(), printable);
    let mut parts = vec![paint("2", &date), paint("36", &place)];
    if let Some(key) = record.key.as_deref() {
        parts.push(paint("33", &printable(key)));
    }
    if with_headers && !record.headers.is_empty() {
        let mut headers = Vec::new();
        write_headers(record, &mut headers);
        parts.push(paint("35", &printable(&headers)));
    }
    parts.push(shown(record.value.as_deref()));
    out.extend_from_slice(parts.join("  ").as_bytes());
    out.push(b'\n');
}

/// Bytes as one line of text that does nothing to a terminal.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() { line.extend(character.escape_default()) } else { line.push(character) }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_does_nothing_to_a_terminal() {
        assert_eq!(printable(b"a\x1b[31m\nb\xff"), "a\\u{1b}[31m\\nb\u{fffd}");
        assert_eq!(printable("Überflug".as_bytes()), "Überflug");
    }
}
