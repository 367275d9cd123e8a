//! How `consume` shows a record: as JSON, or as a text with fields in it, whose letters are those of kcat.
//!
//! - F1 Whatever a record holds, JSON keeps all of it, and one record is one line.

use client::Record;

use crate::cell::write_json_text;

/// How a record looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecordFormat {
    /// One JSON object a line.
    Json,
    /// What `--format` says.
    Text(Vec<Piece>),
}

/// A part of a text format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A field of the record.
    Field(Field),
}

/// A field of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// `%t`
    Topic,
    /// `%p`
    Partition,
    /// `%o`
    Offset,
    /// `%k`
    Key,
    /// `%s`, `%v`
    Value,
    /// `%h`
    Headers,
    /// `%T`
    Timestamp,
    /// `%D`
    Date,
    /// `%K`
    KeyLength,
    /// `%S`, `%V`
    ValueLength,
    /// `%R`
    ValueLengthBytes,
}

/// One of the formats that have a name, or a text with fields and escapes.
pub(crate) fn parse(text: &str) -> Result<RecordFormat, String> {
    match text {
        "json" => Ok(RecordFormat::Json),
        "value" => parse_text("%s\\n"),
        "key:value" => parse_text("%k:%s\\n"),
        text => parse_text(text),
    }
}

fn parse_text(text: &str) -> Result<RecordFormat, String> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            plain.push(character);
            continue;
        }
        let field = match characters.next() {
            Some('%') => {
                plain.push('%');
                continue;
            }
            Some('t') => Field::Topic,
            Some('p') => Field::Partition,
            Some('o') => Field::Offset,
            Some('k') => Field::Key,
            Some('s' | 'v') => Field::Value,
            Some('h') => Field::Headers,
            Some('T') => Field::Timestamp,
            Some('D') => Field::Date,
            Some('K') => Field::KeyLength,
            Some('S' | 'V') => Field::ValueLength,
            Some('R') => Field::ValueLengthBytes,
            Some(other) => {
                return Err(format!("%{other} is no field: %t %p %o %k %s %h %T %D %K %S %R or %% expected"));
            }
            None => return Err("a field expected after the last %; %% is a percent sign".to_owned()),
        };
        push_plain(&mut pieces, &mut plain)?;
        pieces.push(Piece::Field(field));
    }
    push_plain(&mut pieces, &mut plain)?;
    if !pieces.iter().any(|piece| matches!(piece, Piece::Field(_))) {
        return Err(format!(
            "'{text}' shows nothing of a record: json, value, key:value or a text with fields such as %s expected"
        ));
    }
    Ok(RecordFormat::Text(pieces))
}

fn push_plain(pieces: &mut Vec<Piece>, plain: &mut String) -> Result<(), String> {
    if !plain.is_empty() {
        pieces.push(Piece::Bytes(unescape(plain)?));
        plain.clear();
    }
    Ok(())
}

/// Text with `\n`, `\t`, `\r`, `\0`, `\\` and `\xHH` as the bytes they mean.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let mut after = rest[at + 1..].chars();
        let byte = match after.next() {
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('r') => b'\r',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('x') => {
                let hex: String = after.by_ref().take(2).collect();
                let byte = if hex.len() == 2 { u8::from_str_radix(&hex, 16).ok() } else { None };
                byte.ok_or_else(|| format!("\\x{hex} is no byte: two hexadecimal digits expected"))?
            }
            Some(other) => {
                return Err(format!("\\{other} means nothing: \\n \\t \\r \\0 \\\\ or \\xHH expected"));
            }
            None => return Err("a letter expected after the last \\; \\\\ is a backslash".to_owned()),
        };
        bytes.push(byte);
        rest = after.as_str();
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

impl RecordFormat {
    /// Appends a record to `out`.
    pub(crate) fn write(&self, record: &Record, out: &mut Vec<u8>) {
        match self {
            RecordFormat::Json => write_json(record, out),
            RecordFormat::Text(pieces) => pieces.iter().for_each(|piece| write_piece(piece, record, out)),
        }
    }
}

fn write_piece(piece: &Piece, record: &Record, out: &mut Vec<u8>) {
    let field = match piece {
        Piece::Bytes(bytes) => return out.extend_from_slice(bytes),
        Piece::Field(field) => *field,
    };
    // Null is shown as nothing, and its length as -1, as Kafka's own encoding has it.
    let length = |part: &Option<bytes::Bytes>| {
        part.as_ref().map_or(-1, |part| i64::try_from(part.len()).unwrap_or(-1))
    };
    match field {
        Field::Topic => out.extend_from_slice(record.topic.as_str().as_bytes()),
        Field::Partition => push_number(record.partition.0.into(), out),
        Field::Offset => push_number(record.offset.0, out),
        Field::Key => out.extend_from_slice(record.key.as_deref().unwrap_or_default()),
        Field::Value => out.extend_from_slice(record.value.as_deref().unwrap_or_default()),
        Field::Headers => write_headers(record, out),
        Field::Timestamp => push_number(record.timestamp.0, out),
        Field::Date => out.extend_from_slice(model::time::show(record.timestamp.0).as_bytes()),
        Field::KeyLength => push_number(length(&record.key), out),
        Field::ValueLength => push_number(length(&record.value), out),
        Field::ValueLengthBytes => {
            let length = i32::try_from(length(&record.value)).unwrap_or(i32::MAX);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
}

/// `a=1,b=2`.
pub(crate) fn write_headers(record: &Record, out: &mut Vec<u8>) {
    for (index, (key, value)) in record.headers.iter().enumerate() {
        if 0 < index {
            out.push(b',');
        }
        out.extend_from_slice(key);
        out.push(b'=');
        out.extend_from_slice(value.as_deref().unwrap_or_default());
    }
}

fn write_json(record: &Record, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"topic\":");
    write_json_text(record.topic.as_str(), out);
    out.extend_from_slice(b",\"partition\":");
    push_number(record.partition.0.into(), out);
    out.extend_from_slice(b",\"offset\":");
    push_number(record.offset.0, out);
    out.extend_from_slice(b",\"timestamp\":");
    push_number(record.timestamp.0, out);
    out.extend_from_slice(b",\"key\":");
    write_json_bytes(record.key.as_deref(), out);
    out.extend_from_slice(b",\"value\":");
    write_json_bytes(record.value.as_deref(), out);
    out.extend_from_slice(b",\"headers\":[");
    for (index, (key, value)) in record.headers.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"{\"key\":" } else { b",{\"key\":" });
        write_json_bytes(Some(key), out);
        out.extend_from_slice(b",\"value\":");
        write_json_bytes(value.as_deref(), out);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}\n");
}

/// Text as text, other bytes as `{"base64":"…"}`, so that nothing is lost and nothing is mistaken.
fn write_json_bytes(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => out.extend_from_slice(b"null"),
        Some((_, Ok(text))) => write_json_text(text, out),
        Some((bytes, Err(_))) => {
            out.extend_from_slice(b"{\"base64\":\"");
            push_base64(bytes, out);
            out.extend_from_slice(b"\"}");
        }
    }
}

/// RFC 4648, padded.
fn push_base64(bytes: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| chunk.get(index).copied().unwrap_or(0);
        let sixes = [byte(0) >> 2, byte(0) << 4 | byte(1) >> 4, byte(1) << 2 | byte(2) >> 6, byte(2)];
        for (index, six) in sixes.into_iter().enumerate() {
            out.push(if index <= chunk.len() { ALPHABET[usize::from(six & 0x3f)] } else { b'=' });
        }
    }
}

fn push_number(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(number.to_string().as_bytes());
}

#[cfg(test)]
mod tests {
    use model::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicName};
    use proptest::prelude::*;

    use super::*;

    fn record(key: Option<&'static [u8]>, value: Option<&'static [u8]>) -> Record {
        Record {
            topic: TopicName::parse("flights").unwrap(),
            partition: PartitionIndex(2),
            offset: Offset(17),
            timestamp: TimestampMs(1_769_860_800_123),
            timestamp_type: record::TimestampType::CreateTime,
            leader_epoch: LeaderEpoch(0),
            key: key.map(Into::into),
            value: value.map(Into::into),
            headers: vec![("a".into(), Some("1".into())), ("b".into(), None)],
        }
    }

    #[track_caller]
    fn check(format: &str, record: &Record, expected: &str) {
        let mut out = Vec::new();
        parse(format).unwrap().write(record, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{format}");
    }

    #[test]
    fn fields_and_escapes_are_filled_in() {
        let full = record(Some(b"k"), Some(b"{\"n\":1}"));
        check(r"%t/%p@%o %k=%v\n", &full, "flights/2@17 k={\"n\":1}\n");
        check("%T %D", &full, "1769860800123 2026-01-31T12:00:00.123Z");
        check("%h|%K|%V|100%%", &full, "a=1,b=|1|7|100%");
        check(r"%v\t\\\x41\0", &full, "{\"n\":1}\t\\A\0");
        check("%k%v%K", &record(None, None), "-1");
        check("é%oé", &full, "é17é");
        check("%s|%S", &full, "{\"n\":1}|7");
        check("%R%s", &full, "\0\0\0\x07{\"n\":1}");
        check("value", &full, "{\"n\":1}\n");
        check("key:value", &full, "k:{\"n\":1}\n");
    }

    #[test]
    fn json_loses_nothing() {
        check(
            "json",
            &record(Some(b"k\"\n"), Some(b"\xff\xfe")),
            concat!(
                r#"{"topic":"flights","partition":2,"offset":17,"timestamp":1769860800123,"key":"k\"\n","#,
                r#""value":{"base64":"//4="},"headers":[{"key":"a","value":"1"},{"key":"b","value":null}]}"#,
                "\n"
            ),
        );
        check(
            "json",
            &Record { headers: vec![], ..record(None, Some(b"")) },
            concat!(
                r#"{"topic":"flights","partition":2,"offset":17,"timestamp":1769860800123,"key":null,"#,
                r#""value":"","headers":[]}"#,
                "\n"
            ),
        );
    }

    #[test]
    fn base64_is_rfc_4648() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            let mut out = Vec::new();
            push_base64(bytes.as_bytes(), &mut out);
            assert_eq!(out, text.as_bytes(), "{bytes}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for (format, expected) in [
            ("%q", "%q is no field"),
            ("100%", "a field expected"),
            (r"%s\q", "\\q means nothing"),
            ("%s\\", "a letter expected"),
            (r"%s\x4", "\\x4 is no byte"),
            (r"%s\xzz", "\\xzz is no byte"),
            ("table", "'table' shows nothing"),
            ("", "'' shows nothing"),
        ] {
            let wrong = parse(format).expect_err(format);
            assert!(wrong.starts_with(expected), "{format}: {wrong}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_is_a_format_or_refused(text in "([%\\\\][a-zA-Z%0\\\\é]|x[0-9a-f]{0,3}|.){0,12}") {
            if let Ok(format) = parse(&text) {
                format.write(&record(Some(b"k"), None), &mut Vec::new());
            }
        }

        #[test]
        fn a_record_is_one_line_of_json(key in any::<Vec<u8>>(), value in any::<Vec<u8>>()) {
            let record = Record { key: Some(key.into()), value: Some(value.into()), ..record(None, None) };
            let mut out = Vec::new();
            RecordFormat::Json.write(&record, &mut out);
            let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
            for (field, bytes) in [("key", &record.key), ("value", &record.value)] {
                if let Ok(text) = std::str::from_utf8(bytes.as_ref().unwrap()) {
                    prop_assert_eq!(json[field].as_str(), Some(text));
                } else {
                    prop_assert!(json[field]["base64"].is_string());
                }
            }
        }
    }
}
