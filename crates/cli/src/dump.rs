//! `ottla log dump`: what is in the files of a data folder, and what is damaged.
//!
//! - D1 Nothing is changed or locked: a broker may be running on the folder.
//! - D2 Whatever the bytes are, every file is looked at, and each damaged place is named.

mod beside;
mod metadata;
mod offsets;
mod segment;
mod transactions;

use std::path::{Path, PathBuf};

use log::inspect::batches::StoredBatch;
use log::inspect::{FileKind, Flaw};
use model::TransactionResult;
use quorum::{Snapshot, VOTE_FILE};
use record::EndTransaction;
use rt::{Fs, Rt};

use crate::args::{LogArgs, LogCommand};
use crate::cell::{Cell, Tone};
use crate::failure::Failure;
use crate::number;
use crate::output::{Column, Output, Reader};
use crate::record_format::RecordFormat;

/// Runs one of the commands.
pub(crate) async fn run(rt: &Rt, args: LogArgs) -> Result<(), Failure> {
    let output = Output::new(args.output.output);
    let (files, records, format) = match args.command {
        LogCommand::Check { folder } => return crate::check::run(rt, &folder, output).await,
        LogCommand::Dump { files, records, format } => (files, records, format),
    };
    let records = records || format.is_some();
    let mut dump = Dump { rt: rt.clone(), output, format, records, flaws: 0, has_reader: true };
    for path in &files {
        for path in dump.expanded(path).await? {
            dump.file(&path).await?;
            if !dump.has_reader {
                return Ok(());
            }
        }
    }
    dump.output.finish(rt).await?;
    match dump.flaws {
        0 => Ok(()),
        1 => Err(damaged("one place is damaged")),
        many => Err(damaged(&format!("{many} places are damaged"))),
    }
}

fn damaged(what: &str) -> Failure {
    Failure::refused(what).next(
        "At the very end of a log that was not closed, a broker cuts it off when it starts; anywhere else it stops that \
         partition, and a copy of the file is needed.",
    )
}

/// What is under way.
struct Dump {
    rt: Rt,
    output: Output,
    format: Option<RecordFormat>,
    records: bool,
    flaws: u64,
    has_reader: bool,
}

/// What a file is: of a log, or of the metadata log beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Log(FileKind),
    MetadataImage,
    Vote,
}

impl Kind {
    fn of(path: &Path) -> Option<Kind> {
        let name = path.file_name()?.to_str()?;
        match name {
            VOTE_FILE => Some(Kind::Vote),
            name if Snapshot::is_name(name) => Some(Kind::MetadataImage),
            name => FileKind::of(name).map(Kind::Log),
        }
    }
}

impl Dump {
    /// The file, or all files of a folder that are known by their names.
    async fn expanded(&self, path: &Path) -> Result<Vec<PathBuf>, Failure> {
        let (fs, folder) = (self.rt.fs().clone(), path.to_owned());
        match self.rt.blocking(move || fs.read_dir(&folder)).await {
            Ok(entries) => {
                let paths =
                    entries.into_iter().filter(|entry| !entry.is_dir).map(|entry| path.join(entry.name));
                let mut known: Vec<PathBuf> = paths.filter(|path| Kind::of(path).is_some()).collect();
                known.sort();
                if known.is_empty() {
                    return Err(Failure::input(format!("{} holds no files of a log", path.display()))
                        .next("`ottla log dump --help` lists the files that are known."));
                }
                Ok(known)
            }
            // No folder; whether it is a file shows when it is read.
            Err(_) => Ok(vec![path.to_owned()]),
        }
    }

    async fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let Some(kind) = Kind::of(path) else {
            return Err(Failure::input(format!("the name of {} does not say what is in it", path.display()))
                .next("`ottla log dump --help` lists the files that are known."));
        };
        match kind {
            Kind::Log(FileKind::Log(base)) => return self.segment(path, base).await,
            Kind::Log(kind) => self.beside(path, kind).await?,
            Kind::MetadataImage => self.image(path).await?,
            Kind::Vote => self.vote(path).await?,
        }
        self.flush().await
    }

    /// Runs something that blocks on the file system.
    async fn blocking<T: Send + 'static>(
        &self,
        path: &Path,
        work: impl FnOnce(&Fs, &Path) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let (fs, owned) = (self.rt.fs().clone(), path.to_owned());
        let done = self.rt.blocking(move || work(&fs, &owned)).await;
        done.map_err(|error| Failure::input(error.to_string()))
    }

    fn heading(&mut self, path: &Path, what: &str, bytes: u64) {
        if !self.output.is_json() {
            self.output.heading(&format!("{}  ({what}, {})", path.display(), number::bytes(bytes)));
        }
    }

    /// Rows of cells: a table, or JSON with the file in front of each row.
    fn rows(&mut self, path: &Path, columns: &[Column], rows: Vec<Vec<Cell>>) {
        if self.output.is_json() {
            for row in rows {
                let fields = columns.iter().map(|column| column.name).zip(row);
                let file = ("file", Cell::text(path.display()));
                self.output.json(&Cell::Object([file].into_iter().chain(fields).collect()));
            }
        } else if !rows.is_empty() {
            self.output.table(columns, &rows);
        }
    }

    /// What is wrong, and where.
    fn flaws(&mut self, path: &Path, flaws: &[(u64, Flaw)]) {
        for (position, flaw) in flaws {
            self.flaw(path, *position, flaw);
        }
    }

    fn flaw(&mut self, path: &Path, position: u64, what: &dyn std::fmt::Display) {
        self.flaws += 1;
        if self.output.is_json() {
            self.output.json(&Cell::Object(vec![
                ("file", Cell::text(path.display())),
                ("position", Cell::Int(i64::try_from(position).unwrap_or(i64::MAX))),
                ("damage", Cell::text(what)),
            ]));
        } else {
            self.output.toned_line(Tone::Bad, &format!("damaged at byte {position}: {what}"));
        }
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        self.has_reader &= self.output.flush(&self.rt).await? == Reader::Listens;
        Ok(())
    }
}

/// A control batch in a log of a coordinator: what it ends.
fn marker(batch: &StoredBatch) -> Result<Option<&'static str>, String> {
    if !batch.header.is_some_and(|header| header.is_control()) {
        return Ok(None);
    }
    let read = EndTransaction::read(&batch.bytes).map_err(|error| error.to_string())?;
    Ok(Some(match read.map(|end| end.result) {
        Some(TransactionResult::Commit) => "commit_marker",
        Some(TransactionResult::Abort) => "abort_marker",
        None => "other",
    }))
}

/// What a record without a value says.
fn deleted() -> Cell {
    Cell::Object(vec![("deleted", Cell::Bool(true))])
}

/// A size or a place as a cell.
fn natural(number: u64) -> Cell {
    Cell::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// A time as a cell: a date for people, milliseconds for programs.
fn time(timestamp: model::TimestampMs) -> Cell {
    if timestamp.0 < 0 { Cell::None } else { Cell::Time(timestamp.0) }
}
