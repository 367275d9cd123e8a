//! Where to start reading, and where to end: the language of `consume --offset` and `group reset --to`.
//!
//! A time may hold colons, so `FROM:TO` is cut at the first colon that leaves sense on both sides, and nowhere if the
//! whole is a place already.

use client::Start;
use model::{Offset, TimestampMs};

/// A stretch of every partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Where it starts.
    pub(crate) from: Begin,
    /// Where it ends; `None` is never.
    pub(crate) to: Option<Finish>,
}

/// A start; an age becomes a time only when the clock is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// A place.
    Place(Start),
    /// So many milliseconds ago.
    Ago(i64),
}

/// An end, which is not part of the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// What is the end when reading begins.
    End,
    /// This offset.
    At(Offset),
    /// So many offsets after the start.
    After(u64),
    /// The first record of this time or later.
    Timestamp(TimestampMs),
    /// The first record so many milliseconds old or younger.
    Ago(i64),
}

const FROM_EXPECTED: &str = "start, end, an offset, +N, -N, or a time such as @2026-01-31T12:00 or @-2h expected, then \
                             :TO if reading shall end";

/// `FROM` or `FROM:TO`.
pub(crate) fn parse(text: &str) -> Result<Span, String> {
    if let Some(from) = parse_from(text) {
        return Ok(Span { from, to: None });
    }
    for (at, _) in text.match_indices(':') {
        let (from, to) = (&text[..at], &text[at + 1..]);
        let Some(from) = parse_from(from) else { continue };
        if let Some(to) = parse_to(to, is_time(from)) {
            return Ok(Span { from, to: Some(to) });
        }
    }
    Err(FROM_EXPECTED.to_owned())
}

/// A start alone, for resetting a group.
pub(crate) fn parse_begin(text: &str) -> Result<Begin, String> {
    parse_from(text)
        .ok_or_else(|| "start, end, an offset, or a time such as @2026-01-31T12:00 expected".to_owned())
}

impl Begin {
    /// The place it means at `now_ms`.
    pub(crate) fn at(self, now_ms: i64) -> Start {
        match self {
            Begin::Place(start) => start,
            Begin::Ago(age_ms) => Start::Timestamp(TimestampMs(now_ms.saturating_sub(age_ms))),
        }
    }
}

fn is_time(from: Begin) -> bool {
    matches!(from, Begin::Ago(_) | Begin::Place(Start::Timestamp(_)))
}

fn parse_from(text: &str) -> Option<Begin> {
    let place = match text {
        "start" | "beginning" | "earliest" => Start::Earliest,
        "end" | "latest" => Start::Latest,
        _ => match text.split_at_checked(1)? {
            ("@", time) => return parse_time(time),
            ("+", records) => Start::AfterEarliest(count(records)?),
            ("-", records) => Start::BeforeLatest(count(records)?),
            _ => Start::At(offset(text)?),
        },
    };
    Some(Begin::Place(place))
}

fn parse_time(text: &str) -> Option<Begin> {
    match text.strip_prefix('-') {
        Some(age) => crate::time::parse_duration_ms(age).map(Begin::Ago),
        None => crate::time::parse(text, 0).map(|ms| Begin::Place(Start::Timestamp(TimestampMs(ms)))),
    }
}

fn parse_to(text: &str, after_time: bool) -> Option<Finish> {
    if text == "end" {
        return Some(Finish::End);
    }
    if let Some(records) = text.strip_prefix('+') {
        return count(records).map(Finish::After);
    }
    // After a time a bare number is a time as well.
    let time = text.strip_prefix('@').or(after_time.then_some(text));
    match time {
        Some(time) => match parse_time(time)? {
            Begin::Ago(age_ms) => Some(Finish::Ago(age_ms)),
            Begin::Place(Start::Timestamp(timestamp)) => Some(Finish::Timestamp(timestamp)),
            Begin::Place(_) => None,
        },
        None => offset(text).map(Finish::At),
    }
}

fn count(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn offset(text: &str) -> Option<Offset> {
    let value = count(text)?;
    i64::try_from(value).ok().map(Offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Begin {
        Begin::Place(Start::Timestamp(TimestampMs(ms)))
    }

    #[test]
    fn spans_are_read() {
        let noon = 1_769_860_800_000;
        for (text, from, to) in [
            ("start", Begin::Place(Start::Earliest), None),
            ("end", Begin::Place(Start::Latest), None),
            ("17", Begin::Place(Start::At(Offset(17))), None),
            ("+5", Begin::Place(Start::AfterEarliest(5)), None),
            ("-5", Begin::Place(Start::BeforeLatest(5)), None),
            ("start:end", Begin::Place(Start::Earliest), Some(Finish::End)),
            ("5:10", Begin::Place(Start::At(Offset(5))), Some(Finish::At(Offset(10)))),
            ("5:+10", Begin::Place(Start::At(Offset(5))), Some(Finish::After(10))),
            ("-5:end", Begin::Place(Start::BeforeLatest(5)), Some(Finish::End)),
            ("@2026-01-31T12:00", at(noon), None),
            ("@2026-01-31T12:00:00Z", at(noon), None),
            ("@2026-01-31T12:00:00Z:end", at(noon), Some(Finish::End)),
            (
                "@2026-01-31T12:00:2026-01-31T12:00:01Z",
                at(noon),
                Some(Finish::Timestamp(TimestampMs(noon + 1000))),
            ),
            ("@1769860800:@1769860801", at(noon), Some(Finish::Timestamp(TimestampMs(noon + 1000)))),
            ("@1769860800:1769860801", at(noon), Some(Finish::Timestamp(TimestampMs(noon + 1000)))),
            (
                "start:@1769860801",
                Begin::Place(Start::Earliest),
                Some(Finish::Timestamp(TimestampMs(noon + 1000))),
            ),
            ("@-2h", Begin::Ago(7_200_000), None),
            ("@-2h:-1h", Begin::Ago(7_200_000), Some(Finish::Ago(3_600_000))),
        ] {
            assert_eq!(parse(text), Ok(Span { from, to }), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["", "sideways", "@", "@noon", "+", "-", "--5", "5:", ":end", "start:stop", "5:4:3", "1e3"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
