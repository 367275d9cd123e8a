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

/// `FROM` or `FROM:TO`.
pub(crate) fn parse(text: &str) -> Result<Span, String> {
    let whole = match parse_from(text) {
        Ok(from) => return Ok(Span { from, to: None }),
        Err(wrong) => wrong,
    };
    let mut wrong = None;
    for (at, _) in text.match_indices(':') {
        let (before, after) = (&text[..at], &text[at + 1..]);
        let from = match parse_from(before) {
            Ok(from) => from,
            // The end is plain, so it is the start that is wrong; unless this colon belongs to a time.
            Err(wrong_from) => {
                if parse_to(after, false).is_ok() {
                    wrong.get_or_insert(wrong_from);
                }
                continue;
            }
        };
        match parse_to(after, is_time(from)) {
            Ok(to) => return in_order(text, Span { from, to: Some(to) }),
            Err(wrong_to) => {
                wrong.get_or_insert(wrong_to);
            }
        }
    }
    Err(wrong.unwrap_or(whole))
}

/// A start alone, for resetting a group.
pub(crate) fn parse_begin(text: &str) -> Result<Begin, String> {
    parse_from(text)
}

/// The span, unless its end is known to lie before its start.
fn in_order(text: &str, span: Span) -> Result<Span, String> {
    let is_backwards = match (span.from, span.to) {
        (Begin::Place(Start::At(from)), Some(Finish::At(to))) => to < from,
        (Begin::Place(Start::Timestamp(from)), Some(Finish::Timestamp(to))) => to < from,
        (Begin::Ago(from_ms), Some(Finish::Ago(to_ms))) => from_ms < to_ms,
        _ => false,
    };
    if is_backwards { Err(format!("'{text}' ends before it starts")) } else { Ok(span) }
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

fn parse_from(text: &str) -> Result<Begin, String> {
    let place = match text {
        "start" | "beginning" | "earliest" => Start::Earliest,
        "end" | "latest" => Start::Latest,
        _ => match text.split_at_checked(1) {
            Some(("@", time)) => return parse_time(time),
            Some(("+", records)) => Start::AfterEarliest(count(records).ok_or_else(|| no_count(text))?),
            Some(("-", records)) => Start::BeforeLatest(count(records).ok_or_else(|| no_count(text))?),
            Some(_) | None => Start::At(offset(text).ok_or_else(|| {
                format!("'{text}' is no start: start, end, an offset, +N, -N or @TIME expected")
            })?),
        },
    };
    Ok(Begin::Place(place))
}

fn no_count(text: &str) -> String {
    format!("'{text}' is no number of records: +N or -N expected; an age is a time, as in @-2h")
}

fn parse_time(text: &str) -> Result<Begin, String> {
    match text.strip_prefix('-') {
        Some(age) => model::time::parse_duration_ms(age).map(Begin::Ago).ok_or_else(|| {
            format!("'{text}' is no age: numbers in ms, s, m, h or d expected, as in @-2h or @-1h30m")
        }),
        None => model::time::parse(text).map(|ms| Begin::Place(Start::Timestamp(TimestampMs(ms)))).ok_or_else(
            || {
                format!(
                    "'{text}' is no time: 2026-01-31, 2026-01-31T12:00, seconds or milliseconds since 1970, or an age \
                     such as -2h expected"
                )
            },
        ),
    }
}

fn parse_to(text: &str, after_time: bool) -> Result<Finish, String> {
    if text == "end" {
        return Ok(Finish::End);
    }
    if let Some(records) = text.strip_prefix('+') {
        return count(records).map(Finish::After).ok_or_else(|| no_count(text));
    }
    // After a time a bare number is a time as well.
    let time = text.strip_prefix('@').or(after_time.then_some(text).filter(|text| !text.is_empty()));
    match time {
        Some(time) => Ok(match parse_time(time)? {
            Begin::Ago(age_ms) => Finish::Ago(age_ms),
            Begin::Place(Start::Timestamp(timestamp)) => Finish::Timestamp(timestamp),
            Begin::Place(_) => return Err(no_end(text)),
        }),
        None => offset(text).map(Finish::At).ok_or_else(|| no_end(text)),
    }
}

fn no_end(text: &str) -> String {
    format!("'{text}' is no end: end, an offset, +N or a time expected after FROM:")
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
    use proptest::prelude::*;

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

    /// What is wrong with `text`, up to the colon.
    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        let wrong = parse(text).expect_err(text);
        assert!(wrong.starts_with(expected), "{text}: {wrong}");
    }

    #[test]
    fn each_wrong_form_is_told_what_is_wrong() {
        check_refused("", "'' is no start");
        check_refused("sideways", "'sideways' is no start");
        check_refused("1e3", "'1e3' is no start");
        check_refused("-1h", "'-1h' is no number of records");
        check_refused("--5", "'--5' is no number of records");
        check_refused("+", "'+' is no number of records");
        check_refused("@", "'' is no time");
        check_refused("@noon", "'noon' is no time");
        check_refused("@noon:end", "'noon' is no time");
        check_refused("@2026-02-30", "'2026-02-30' is no time");
        check_refused("@-2", "'-2' is no age");
        check_refused("@-2h:-", "'-' is no age");
        check_refused("5:", "'' is no end");
        check_refused("@-2h:", "'' is no end");
        check_refused(":end", "'' is no start");
        check_refused("start:stop", "'stop' is no end");
        check_refused("start:-5", "'-5' is no end");
        check_refused("5:4:3", "'4:3' is no end");
        check_refused("5:4", "'5:4' ends before it starts");
        check_refused("@-5m:-15m", "'@-5m:-15m' ends before it starts");
        check_refused("@2026-02-01:2026-01-31", "'@2026-02-01:2026-01-31' ends before it starts");
        check_refused("99999999999999999999", "'99999999999999999999' is no start");
    }

    /// A start and how it is written.
    fn begins() -> impl Strategy<Value = (Begin, String)> {
        prop_oneof![
            Just((Begin::Place(Start::Earliest), "start".to_owned())),
            Just((Begin::Place(Start::Latest), "end".to_owned())),
            (0..=i64::MAX).prop_map(|at| (Begin::Place(Start::At(Offset(at))), at.to_string())),
            any::<u64>().prop_map(|n| (Begin::Place(Start::AfterEarliest(n)), format!("+{n}"))),
            any::<u64>().prop_map(|n| (Begin::Place(Start::BeforeLatest(n)), format!("-{n}"))),
            (0..253_402_300_800_000i64).prop_map(|ms| (at(ms), format!("@{}", model::time::show(ms)))),
            (0..1_000_000i64).prop_map(|s| (Begin::Ago(s * 1000), format!("@-{s}s"))),
        ]
    }

    /// An end and how it is written.
    fn finishes() -> impl Strategy<Value = (Finish, String)> {
        prop_oneof![
            Just((Finish::End, "end".to_owned())),
            (0..=i64::MAX).prop_map(|at| (Finish::At(Offset(at)), at.to_string())),
            any::<u64>().prop_map(|n| (Finish::After(n), format!("+{n}"))),
            (0..253_402_300_800_000i64)
                .prop_map(|ms| (Finish::Timestamp(TimestampMs(ms)), format!("@{}", model::time::show(ms)))),
            (0..1_000_000i64).prop_map(|s| (Finish::Ago(s * 1000), format!("@-{s}s"))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back((from, before) in begins(), (to, after) in finishes()) {
            prop_assert_eq!(parse(&before), Ok(Span { from, to: None }));
            let text = format!("{before}:{after}");
            // After a time a bare number is a time as well, and ends before starts are refused.
            let bare = matches!((is_time(from), to), (true, Finish::At(_)));
            if !bare {
                prop_assert_eq!(parse(&text), in_order(&text, Span { from, to: Some(to) }));
            }
        }

        #[test]
        fn whatever_is_written_is_read_or_refused(text in "[-+@:0-9a-zTZé. ]{0,24}|.{0,40}") {
            let _ = parse(&text);
            let _ = parse_begin(&text);
        }
    }
}
