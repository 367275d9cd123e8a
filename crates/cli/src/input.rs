//! Lines from a file or standard input, a piece at a time.
//!
//! - I1 Memory holds one piece and one unfinished line, whatever the input's size.
//! - I2 A last line needs no end. A carriage return before a line's end belongs to the end.

use std::io::{self, Read};
use std::path::Path;

use rt::{File, Open, Rt};

use crate::failure::Failure;

/// Bytes read at a time: large enough that reading is never what takes long.
const PIECE_BYTES: usize = 256 * 1024;

/// Longest line, bytes: no topic takes a record of that size, so it is no use to read on.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Where lines come from.
pub(crate) struct Input {
    source: Source,
    /// Bytes in all, where that is known.
    length: Option<u64>,
}

enum Source {
    Stdin,
    File { file: File, position: u64 },
}

impl Input {
    /// The file, or standard input without one (or with `-`).
    pub(crate) async fn open(rt: &Rt, path: Option<&Path>) -> Result<Input, Failure> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Input { source: Source::Stdin, length: None });
        };
        let (fs, owned) = (rt.fs().clone(), path.to_owned());
        let opened = rt.blocking(move || {
            let file = fs.open(&owned, Open::Read)?;
            let length = file.file_len()?;
            Ok::<_, io::Error>((file, length))
        });
        let (file, length) = opened.await.map_err(|error| Failure::input(error.to_string()))?;
        Ok(Input { source: Source::File { file, position: 0 }, length: Some(length) })
    }

    /// Bytes in all, where that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next piece; empty at the end.
    async fn read(&mut self, rt: &Rt) -> io::Result<Vec<u8>> {
        match &mut self.source {
            Source::Stdin => {
                rt.blocking(|| {
                    let mut piece = vec![0; PIECE_BYTES];
                    let read = io::stdin().lock().read(&mut piece)?;
                    piece.truncate(read);
                    Ok(piece)
                })
                .await
            }
            Source::File { file, position } => {
                let (reading, at) = (file.clone(), *position);
                let piece = rt.blocking(move || {
                    let mut piece = vec![0; PIECE_BYTES];
                    let read = reading.read_at(&mut piece, at)?;
                    piece.truncate(read);
                    Ok::<_, io::Error>(piece)
                });
                let piece = piece.await?;
                *position += u64::try_from(piece.len()).unwrap_or(u64::MAX);
                Ok(piece)
            }
        }
    }
}

/// Cuts an input into lines.
pub(crate) struct Lines {
    input: Input,
    buffer: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// How far there is no end of a line.
    scanned: usize,
    at_end: bool,
    read: u64,
}

impl Lines {
    pub(crate) fn new(input: Input) -> Lines {
        Lines { input, buffer: Vec::new(), start: 0, scanned: 0, at_end: false, read: 0 }
    }

    /// Bytes of the lines so far, ends included.
    pub(crate) fn bytes(&self) -> u64 {
        self.read.saturating_sub(u64::try_from(self.buffer.len() - self.start).unwrap_or(0))
    }

    /// The next line without its end; `None` after the last.
    pub(crate) async fn next(&mut self, rt: &Rt) -> Result<Option<&[u8]>, Failure> {
        loop {
            if let Some(line) = self.find() {
                let line = &self.buffer[line];
                return Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)));
            }
            if self.at_end {
                return Ok(None);
            }
            let piece =
                self.input.read(rt).await.map_err(|error| Failure::input(format!("cannot read: {error}")))?;
            self.take(&piece)?;
        }
    }

    /// Where the next line lies, if all of it is here.
    fn find(&mut self) -> Option<std::ops::Range<usize>> {
        let found = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n');
        let (end, next) = match found {
            Some(at) => (self.scanned + at, self.scanned + at + 1),
            None if self.at_end && self.start < self.buffer.len() => (self.buffer.len(), self.buffer.len()),
            None => {
                self.scanned = self.buffer.len();
                return None;
            }
        };
        let line = self.start..end;
        (self.start, self.scanned) = (next, next);
        Some(line)
    }

    /// Takes in what was read; nothing is the end.
    fn take(&mut self, piece: &[u8]) -> Result<(), Failure> {
        self.buffer.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        self.at_end = piece.is_empty();
        self.buffer.extend_from_slice(piece);
        self.read += u64::try_from(piece.len()).unwrap_or(0);
        if LINE_BYTES_MAX < self.buffer.len() {
            return Err(Failure::input(format!("a line is longer than {LINE_BYTES_MAX} bytes"))
                .next("Each line becomes one record: does the input have lines?"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `text` in pieces of `size` bytes; the lines, and the bytes they took.
    fn lines(text: &str, size: usize) -> (Vec<String>, u64) {
        let mut lines = Lines::new(Input { source: Source::Stdin, length: None });
        let mut read = Vec::new();
        let pieces = text.as_bytes().chunks(size).chain([&[][..]]);
        for piece in pieces {
            lines.take(piece).unwrap();
            while let Some(line) = lines.find() {
                read.push(String::from_utf8(lines.buffer[line].to_vec()).unwrap());
            }
        }
        (read, lines.bytes())
    }

    #[test]
    fn lines_do_not_depend_on_pieces() {
        for (text, expected) in [
            ("", vec![]),
            ("\n", vec![""]),
            ("a", vec!["a"]),
            ("a\n", vec!["a"]),
            ("a\n\nbc\ndef", vec!["a", "", "bc", "def"]),
            ("one\r\ntwo\n", vec!["one\r", "two"]),
        ] {
            for size in 1..6 {
                let (read, bytes) = lines(text, size);
                assert_eq!(read, expected, "{text:?} in pieces of {size}");
                assert_eq!(bytes, text.len() as u64);
            }
        }
    }

    #[test]
    fn a_line_without_end_is_refused_before_it_fills_memory() {
        let mut lines = Lines::new(Input { source: Source::Stdin, length: None });
        let piece = vec![b'x'; LINE_BYTES_MAX];
        lines.take(&piece).unwrap();
        assert_eq!(lines.find(), None);
        assert!(lines.take(b"x").is_err());
    }
}
