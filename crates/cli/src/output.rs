//! Results on standard output: a table for people, a line of JSON for programs.
//!
//! - U1 What is printed as a table and as JSON comes from the same cells.
//! - U2 Colour only where a terminal shows it and nobody asked for none (`NO_COLOR`).
//! - U3 A reader that has seen enough (`| head`) is no error.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use rt::Rt;

use crate::cell::{Cell, Tone};
use crate::failure::Failure;
use crate::table::Table;

/// How results look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// A line of JSON for each thing
    Json,
    /// A table
    Table,
    /// A table with everything in it
    Wide,
}

/// A column of a table.
pub(crate) struct Column {
    /// Its name: in JSON as it is, above the table in capitals.
    pub(crate) name: &'static str,
    /// Whether only wide tables have it.
    pub(crate) is_wide: bool,
}

/// A column of every table.
pub(crate) const fn column(name: &'static str) -> Column {
    Column { name, is_wide: false }
}

/// A column of wide tables.
pub(crate) const fn wide(name: &'static str) -> Column {
    Column { name, is_wide: true }
}

/// A row as one value, its fields named as the columns are.
pub(crate) fn object(columns: &[Column], row: Vec<Cell>) -> Cell {
    Cell::Object(columns.iter().map(|column| column.name).zip(row).collect())
}

/// What a command has to say, gathered and printed at once.
pub(crate) struct Output {
    format: OutputFormat,
    in_colour: bool,
    /// Characters that fit a line, where a terminal says so.
    width: Option<usize>,
    has_printed: bool,
    bytes: Vec<u8>,
}

/// Whether standard output is shown by a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether colours are seen and wanted on standard output (U2).
pub(crate) fn wants_colour() -> bool {
    is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

impl Output {
    /// In the format asked for, else what fits standard output.
    pub(crate) fn new(asked: Option<OutputFormat>) -> Output {
        let fitting = if is_terminal() { OutputFormat::Table } else { OutputFormat::Json };
        Output {
            format: asked.unwrap_or(fitting),
            in_colour: wants_colour(),
            width: console::Term::stdout().size_checked().map(|(_, width)| width.into()),
            has_printed: false,
            bytes: Vec::new(),
        }
    }

    /// Whether it is JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.format == OutputFormat::Json
    }

    /// Whether tables show everything.
    pub(crate) fn is_wide(&self) -> bool {
        self.format == OutputFormat::Wide
    }

    /// One line of JSON.
    pub(crate) fn json(&mut self, cell: &Cell) {
        cell.write_json(&mut self.bytes);
        self.bytes.push(b'\n');
    }

    /// One line of text for people.
    pub(crate) fn line(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(b'\n');
    }

    /// A heading above a table.
    pub(crate) fn heading(&mut self, text: &str) {
        if self.has_printed || !self.bytes.is_empty() {
            self.bytes.push(b'\n');
        }
        let text = self.paint("1", text);
        self.line(&text);
    }

    /// Rows of cells, one for each column: a table, or a line of JSON for each row.
    pub(crate) fn rows(&mut self, columns: &[Column], rows: Vec<Vec<Cell>>) {
        if self.is_json() {
            for row in rows {
                self.json(&object(columns, row));
            }
        } else {
            self.table(columns, &rows);
        }
    }

    /// Rows of cells as a table, whatever the format.
    pub(crate) fn table(&mut self, columns: &[Column], rows: &[Vec<Cell>]) {
        let is_wide = self.format == OutputFormat::Wide;
        let shown: Vec<usize> = (0..columns.len()).filter(|&at| is_wide || !columns[at].is_wide).collect();
        let paint = |code: &str, text: &str| self.paint(code, text);
        let lines = Table::new(columns, rows, shown).lines(self.width, paint);
        lines.iter().for_each(|line| self.line(line));
    }

    /// A line of text that means something.
    pub(crate) fn toned_line(&mut self, tone: Tone, text: &str) {
        let line = self.paint(tone.code(), text);
        self.line(&line);
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.in_colour && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// The format.
    pub(crate) fn format(&self) -> OutputFormat {
        self.format
    }

    /// Where to write what is neither a table nor a cell.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Prints what there is so far; says whether anybody wants more.
    pub(crate) async fn flush(&mut self, rt: &Rt) -> Result<Reader, Failure> {
        if self.bytes.is_empty() {
            return Ok(Reader::Listens);
        }
        self.has_printed = true;
        write_out(rt, std::mem::take(&mut self.bytes)).await
    }

    /// Prints everything.
    pub(crate) async fn finish(mut self, rt: &Rt) -> Result<(), Failure> {
        self.flush(rt).await.map(drop)
    }
}

/// Whether anybody still reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    Listens,
    HasGone,
}

/// Writes to standard output, where it may block without holding up anything else (U3).
pub(crate) async fn write_out(rt: &Rt, bytes: Vec<u8>) -> Result<Reader, Failure> {
    let written = rt.blocking(move || {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&bytes).and_then(|()| stdout.flush())
    });
    match written.await {
        Ok(()) => Ok(Reader::Listens),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::HasGone),
        Err(error) => Err(Failure::input(format!("cannot write to standard output: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(format: OutputFormat, expected: &str) {
        let mut output =
            Output { format, in_colour: false, width: None, has_printed: false, bytes: Vec::new() };
        let columns = [column("name"), column("log_end"), wide("id")];
        let rows = vec![
            vec![Cell::text("flights"), Cell::Int(336_776), Cell::text("x")],
            vec![Cell::text("a"), Cell::None, Cell::None],
        ];
        output.rows(&columns, rows);
        assert_eq!(String::from_utf8(output.bytes).unwrap(), expected);
    }

    #[test]
    fn one_result_has_three_forms() {
        check(
            OutputFormat::Json,
            "{\"name\":\"flights\",\"log_end\":336776,\"id\":\"x\"}\n{\"name\":\"a\",\"log_end\":null,\"id\":null}\n",
        );
        check(OutputFormat::Table, "NAME     LOG END\nflights   336776\na              -\n");
        check(OutputFormat::Wide, "NAME     LOG END  ID\nflights   336776  x\na              -  -\n");
    }
}
