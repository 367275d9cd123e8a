//! A table for people: aligned columns, or one field a line where the terminal is too narrow for them.
//!
//! - T1 Nothing is cut off: an id that is shown can be copied.

use crate::cell::Cell;
use crate::output::Column;

/// Between columns.
const GAP: &str = "  ";

/// A title, dim.
const TITLE: &str = "2";

/// What is to be drawn.
pub(crate) struct Table<'a> {
    rows: &'a [Vec<Cell>],
    /// The columns that are shown.
    shown: Vec<usize>,
    titles: Vec<String>,
    texts: Vec<Vec<String>>,
    widths: Vec<usize>,
}

impl<'a> Table<'a> {
    pub(crate) fn new(columns: &[Column], rows: &'a [Vec<Cell>], shown: Vec<usize>) -> Table<'a> {
        let titles: Vec<String> =
            columns.iter().map(|column| column.name.to_uppercase().replace('_', " ")).collect();
        let texts: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(Cell::plain).collect()).collect();
        let widths = (0..columns.len())
            .map(|at| {
                let cells = texts.iter().filter_map(|row| row.get(at)).map(|text| width(text));
                cells.chain([width(&titles[at])]).max().unwrap_or(0)
            })
            .collect();
        Table { rows, shown, titles, texts, widths }
    }

    /// The lines for a terminal of `width` characters, if it is one; `paint` takes a colour and a text.
    pub(crate) fn lines(&self, width: Option<usize>, paint: impl Fn(&str, &str) -> String) -> Vec<String> {
        let gaps = GAP.len() * self.shown.len().saturating_sub(1);
        let needed = self.shown.iter().map(|&at| self.widths[at]).sum::<usize>() + gaps;
        if width.is_some_and(|width| width < needed) { self.fields(paint) } else { self.columns(paint) }
    }

    fn columns(&self, paint: impl Fn(&str, &str) -> String) -> Vec<String> {
        let to_the_right: Vec<bool> = (0..self.titles.len()).map(|at| self.is_number(at)).collect();
        let padded = |at: usize, text: &str, painted: String| {
            let room = " ".repeat(self.widths[at].saturating_sub(width(text)));
            if to_the_right[at] { room + &painted } else { painted + &room }
        };
        let line = |cells: Vec<String>| cells.join(GAP).trim_end().to_owned();
        let title = |&at: &usize| padded(at, &self.titles[at], paint(TITLE, &self.titles[at]));
        let mut lines = vec![line(self.shown.iter().map(title).collect())];
        for (row, texts) in self.rows.iter().zip(&self.texts) {
            let cell = |&at: &usize| padded(at, &texts[at], toned(&row[at], &texts[at], &paint));
            lines.push(line(self.shown.iter().map(cell).collect()));
        }
        lines
    }

    /// Each row as a block of lines.
    fn fields(&self, paint: impl Fn(&str, &str) -> String) -> Vec<String> {
        let longest = self.shown.iter().map(|&at| width(&self.titles[at])).max().unwrap_or(0);
        let mut lines = Vec::new();
        for (index, (row, texts)) in self.rows.iter().zip(&self.texts).enumerate() {
            if 0 < index {
                lines.push(String::new());
            }
            for &at in &self.shown {
                let room = " ".repeat(longest - width(&self.titles[at]));
                let title = paint(TITLE, &self.titles[at]);
                lines.push(format!("{title}{room}{GAP}{}", toned(&row[at], &texts[at], &paint)));
            }
        }
        lines
    }

    fn is_number(&self, at: usize) -> bool {
        let mut cells =
            self.rows.iter().filter_map(|row| row.get(at)).filter(|cell| **cell != Cell::None).peekable();
        cells.peek().is_some()
            && cells.all(|cell| matches!(cell, Cell::Int(_) | Cell::Real(_) | Cell::Bytes(_)))
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn toned(cell: &Cell, text: &str, paint: &impl Fn(&str, &str) -> String) -> String {
    match cell {
        Cell::Toned(tone, _) => paint(tone.code(), text),
        Cell::None
        | Cell::Bool(_)
        | Cell::Int(_)
        | Cell::Real(_)
        | Cell::Text(_)
        | Cell::Time(_)
        | Cell::Bytes(_)
        | Cell::List(_)
        | Cell::Object(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::column;

    #[track_caller]
    fn check(width: Option<usize>, expected: &[&str]) {
        let columns = [column("name"), column("log_end")];
        let rows = vec![vec![Cell::text("flights"), Cell::Int(7)], vec![Cell::text("a"), Cell::None]];
        let lines = Table::new(&columns, &rows, vec![0, 1]).lines(width, |_, text| text.to_owned());
        assert_eq!(lines, expected, "{width:?}");
    }

    #[test]
    fn what_does_not_fit_is_shown_line_by_line() {
        let columns = ["NAME     LOG END", "flights        7", "a              -"];
        check(None, &columns);
        check(Some(16), &columns);
        check(Some(15), &["NAME     flights", "LOG END  7", "", "NAME     a", "LOG END  -"]);
    }
}
