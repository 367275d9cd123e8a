//! Rows as PostgreSQL's binary COPY wants them ("COPY", Binary Format, in its manual).

use bytes::{BufMut, Bytes, BytesMut};
use sink::{Rows, Value};

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// Microseconds from 1970, where ours count from, to 2000, where PostgreSQL's do.
pub(crate) const EPOCH_US: i64 = 946_684_800_000_000;

/// Version of the format of a jsonb value.
pub(crate) const JSONB_VERSION: u8 = 1;

/// About how many bytes are handed over at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// A column that rows are copied into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Which value of a row it takes.
    pub(crate) column: usize,
    /// Whether its JSON is of the type jsonb.
    pub(crate) is_jsonb: bool,
}

/// The chunks of a COPY of these rows, made as they are asked for.
pub(crate) fn chunks<'a>(
    rows: &'a Rows,
    taken: &[&'a [Value]],
    targets: &[Target],
) -> impl Iterator<Item = Bytes> {
    let mut left = Some(taken.iter());
    let mut chunk = BytesMut::new();
    chunk.put_slice(SIGNATURE);
    chunk.put_i32(0); // No flags
    chunk.put_i32(0); // and no extension of the header.
    std::iter::from_fn(move || {
        let mut values = left.take()?;
        chunk.reserve(CHUNK_BYTES);
        while chunk.len() < CHUNK_BYTES {
            let Some(row) = values.next() else {
                chunk.put_i16(-1);
                return Some(chunk.split().freeze());
            };
            put_row(&mut chunk, rows, row, targets);
        }
        left = Some(values);
        Some(chunk.split().freeze())
    })
}

fn put_row(chunk: &mut BytesMut, rows: &Rows, row: &[Value], targets: &[Target]) {
    chunk.put_i16(i16::try_from(targets.len()).expect("a table has at most 1,600 columns"));
    for target in targets {
        match &row[target.column] {
            Value::Absent | Value::Null => chunk.put_i32(-1),
            Value::Boolean(value) => {
                chunk.put_i32(1);
                chunk.put_u8(u8::from(*value));
            }
            Value::Bigint(value) => {
                chunk.put_i32(8);
                chunk.put_i64(*value);
            }
            Value::Double(value) => {
                chunk.put_i32(8);
                chunk.put_f64(*value);
            }
            Value::Timestamp(value) => {
                chunk.put_i32(8);
                chunk.put_i64(value.saturating_sub(EPOCH_US));
            }
            Value::Text(at) => {
                put_length(chunk, at.len());
                chunk.put_slice(rows.text(at).as_bytes());
            }
            Value::Json(at) => {
                put_length(chunk, at.len() + usize::from(target.is_jsonb));
                if target.is_jsonb {
                    chunk.put_u8(JSONB_VERSION);
                }
                chunk.put_slice(rows.text(at).as_bytes());
            }
        }
    }
}

fn put_length(chunk: &mut BytesMut, length: usize) {
    // A record, and so any text in it, is far smaller.
    chunk.put_i32(i32::try_from(length).expect("a field of less than 2 GiB"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(rows: &Rows, width: usize) -> Vec<Bytes> {
        let targets: Vec<_> = (0..width).map(|column| Target { column, is_jsonb: column == 3 }).collect();
        chunks(rows, &rows.iter().collect::<Vec<_>>(), &targets).collect()
    }

    #[test]
    fn rows_look_as_the_manual_says() {
        let mut rows = Rows::new(7);
        let mut row = rows.begin();
        row.set(0, Value::Bigint(-2));
        row.set(1, Value::Boolean(true));
        row.set_text(2, "ö");
        row.set_json(3, "{}");
        row.set(4, Value::Timestamp(EPOCH_US + 5));
        row.set_json(6, "[]");
        let mut expected = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        expected.extend(b"\0\x07");
        expected.extend(b"\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xfe");
        expected.extend(b"\0\0\0\x01\x01");
        expected.extend(b"\0\0\0\x02\xc3\xb6");
        expected.extend(b"\0\0\0\x03\x01{}");
        expected.extend(b"\0\0\0\x08\0\0\0\0\0\0\0\x05");
        expected.extend(b"\xff\xff\xff\xff");
        expected.extend(b"\0\0\0\x02[]");
        expected.extend(b"\xff\xff");
        assert_eq!(all(&rows, 7).concat(), expected);
    }

    #[test]
    fn many_rows_come_in_chunks() {
        let mut rows = Rows::new(1);
        for number in 0..100_000 {
            rows.begin().set(0, Value::Bigint(number));
        }
        let chunks = all(&rows, 1);
        assert_eq!(chunks.iter().map(Bytes::len).sum::<usize>(), 19 + 100_000 * 14 + 2);
        assert!(chunks.iter().all(|chunk| chunk.len() < CHUNK_BYTES + 14), "bounded");
    }
}
