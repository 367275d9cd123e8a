//! The segment that takes the place of a group, as it is written: under names that end in `.cleaned`.

use std::io::{self, IoSlice};
use std::sync::Arc;

use model::Offset;
use record::BatchHeader;
use rt::{File, Open};

use crate::batch_scan::bytes;
use crate::folder::Folder;
use crate::index_file::IndexFile;
use crate::names::{self, Kind, SEGMENT_KINDS};
use crate::segment::{IndexCursor, Segment};
use crate::transactions::AbortedTransaction;

pub(crate) struct Output {
    folder: Arc<Folder>,
    segment: Segment,
    files: Vec<(Kind, File)>,
    cursor: IndexCursor,
    index_interval_bytes: u64,
    buffer: Vec<u8>,
    buffer_bytes: usize,
    /// Bytes that are in the file or the buffer.
    size: u64,
}

impl Output {
    /// Begins the segment at `base`; what an earlier try left is overwritten.
    pub(crate) fn create(
        folder: &Arc<Folder>,
        base: Offset,
        index_interval_bytes: u64,
        buffer_bytes: usize,
    ) -> io::Result<Output> {
        // The last swap is over, durably: else a start that finds a name of this one would take that for a part of it.
        folder.fs.sync_dir(&folder.dir)?;
        let mut files = Vec::new();
        for kind in [Kind::OffsetIndex, Kind::TimeIndex, Kind::Log] {
            files.push((kind, create(folder, base, kind)?));
        }
        let (offsets, times, aborted) =
            (IndexFile::new(0, None), IndexFile::new(0, None), IndexFile::new(0, None));
        let segment = Segment::new(Arc::clone(folder), base, 0, offsets, times, aborted);
        segment.hold(files.clone());
        Ok(Output {
            folder: Arc::clone(folder),
            segment,
            files,
            cursor: IndexCursor::START,
            index_interval_bytes,
            buffer: Vec::new(),
            buffer_bytes,
            size: 0,
        })
    }

    /// Bytes of batches so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Adds a batch behind the others.
    pub(crate) fn push(&mut self, header: &BatchHeader, batch: &[u8]) -> io::Result<()> {
        self.segment.index(&mut self.cursor, header, self.size, self.index_interval_bytes);
        self.buffer.extend_from_slice(batch);
        self.size += bytes(batch.len());
        if self.buffer_bytes <= self.buffer.len() { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.size - bytes(self.buffer.len());
        self.segment.file(Kind::Log)?.write_all_at(&[IoSlice::new(&self.buffer)], written)?;
        self.buffer.clear();
        self.buffer.shrink_to(self.buffer_bytes);
        Ok(())
    }

    /// Puts everything on the disk but the names, together with what is still to be known of aborted transactions.
    pub(crate) fn finish(mut self, aborted: Vec<AbortedTransaction>) -> io::Result<Segment> {
        self.flush()?;
        let base = self.segment.base();
        if aborted.is_empty() {
            // An earlier try may have left one.
            self.folder.remove_if_there(&names::cleaned_path(&self.folder.dir, base, Kind::AbortedIndex))?;
        } else {
            self.files.push((Kind::AbortedIndex, create(&self.folder, base, Kind::AbortedIndex)?));
            self.segment.hold(self.files.clone());
        }
        aborted.into_iter().for_each(|aborted| self.segment.aborted.push(aborted.into()));
        self.segment.index_time(self.cursor.largest);
        self.segment.offsets.flush(|| self.segment.file(Kind::OffsetIndex))?;
        self.segment.times.flush(|| self.segment.file(Kind::TimeIndex))?;
        self.segment.aborted.flush(|| self.segment.file(Kind::AbortedIndex))?;
        self.segment.grow(self.size, self.cursor.largest);
        self.files.iter().try_for_each(|(_, file)| file.sync_all())?;
        Ok(self.segment)
    }

    /// Removes what was written so far.
    pub(crate) fn discard(self) -> io::Result<()> {
        let base = self.segment.base();
        SEGMENT_KINDS.iter().try_for_each(|&kind| {
            self.folder.remove_if_there(&names::cleaned_path(&self.folder.dir, base, kind))
        })
    }
}

fn create(folder: &Folder, base: Offset, kind: Kind) -> io::Result<File> {
    let file = folder.fs.open(&names::cleaned_path(&folder.dir, base, kind), Open::Create)?;
    file.set_len(0)?;
    Ok(file)
}
