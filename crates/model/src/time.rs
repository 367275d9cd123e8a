//! Times as people write them, in milliseconds since 1970 UTC. No time zones but offsets, no leap seconds.

use std::fmt::Write as _;

const MILLISECOND_US: i64 = 1_000;
const SECOND_MS: i64 = 1_000;
const DAY_MS: i64 = 86_400_000;

/// Days since 1970 of a date in the Gregorian calendar (Howard Hinnant's `days_from_civil`).
fn days_from_date(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse: year, month, day.
fn date_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// `2026-01-31T12:00:00.000Z`; a negative timestamp is what it is in Kafka, none.
pub fn show(timestamp_ms: i64) -> String {
    let mut text = String::new();
    if timestamp_ms < 0 {
        return text;
    }
    let (year, month, day) = date_from_days(timestamp_ms.div_euclid(DAY_MS));
    let ms = timestamp_ms.rem_euclid(DAY_MS);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / SECOND_MS % 60);
    let written = write!(
        text,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        ms % SECOND_MS
    );
    written.expect("a string takes everything");
    text
}

/// A moment to the microsecond, as databases take it: `2026-01-31T12:00:00.000001Z`, always as long, so that texts sort as
/// moments do.
#[derive(Clone, Copy)]
pub struct DateTime([u8; 27]);

impl DateTime {
    /// The moment that is so many microseconds after 1970; none beyond the years 0 to 9999, which take no more digits.
    pub fn from_us(us: i64) -> Option<DateTime> {
        let day_us = DAY_MS * MILLISECOND_US;
        let (year, month, day) = date_from_days(us.div_euclid(day_us));
        if !(0..10_000).contains(&year) {
            return None;
        }
        let time_us = us.rem_euclid(day_us);
        let second = time_us / 1_000_000;
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let fields = [
            (0..4, year),
            (5..7, month),
            (8..10, day),
            (11..13, second / 3_600),
            (14..16, second / 60 % 60),
            (17..19, second % 60),
            (20..26, time_us % 1_000_000),
        ];
        for (place, mut number) in fields {
            for digit in text[place].iter_mut().rev() {
                *digit = b"0123456789"[usize::try_from(number % 10).unwrap_or_default()];
                number /= 10;
            }
        }
        Some(DateTime(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits")
    }
}

/// `1h30m`, `2d`, `90s`, `500ms`; a number needs its unit.
pub fn parse_duration_ms(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total: i64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let number: i64 = number.parse().ok()?;
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => SECOND_MS,
            "m" => 60 * SECOND_MS,
            "h" => 3_600 * SECOND_MS,
            "d" => DAY_MS,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit_ms)?)?;
        rest = after;
    }
    Some(total)
}

/// A time: milliseconds (12 digits and more) or seconds since 1970, a date, or a date and time with an optional offset
/// from UTC.
pub fn parse(text: &str) -> Option<i64> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: i64 = text.parse().ok()?;
        return if text.len() < 12 { number.checked_mul(SECOND_MS) } else { Some(number) };
    }
    parse_date_time_us(text).map(|us| us.div_euclid(MILLISECOND_US))
}

/// A date, or a date and time with an optional offset from UTC, in microseconds since 1970: what databases keep.
pub fn parse_date_time_us(text: &str) -> Option<i64> {
    let mut fields = Fields(text.as_bytes());
    let year = fields.number(4)?;
    fields.skip(b"-")?;
    let month = fields.number(2)?;
    fields.skip(b"-")?;
    let day = fields.number(2)?;
    let days = days_from_date(year, month, day);
    if date_from_days(days) != (year, month, day) {
        return None;
    }
    let time_us = if fields.0.is_empty() { 0 } else { fields.skip(b"T ").and_then(|_| time_us(fields))? };
    Some(days * DAY_MS * MILLISECOND_US + time_us)
}

/// `12:00`, `12:00:30`, `12:00:30.25`, each with `Z`, `+02:00`, `-0530`, `+02` or nothing behind; microseconds from
/// midnight UTC.
fn time_us(mut fields: Fields<'_>) -> Option<i64> {
    let hour = fields.number(2)?;
    fields.skip(b":")?;
    let minute = fields.number(2)?;
    let (mut second, mut fraction_us) = (0, 0);
    if fields.skip(b":").is_some() {
        second = fields.number(2)?;
        if fields.skip(b".").is_some() {
            fraction_us = fields.fraction_us();
        }
    }
    let offset_minutes = fields.offset_minutes()?;
    let sound = hour < 24 && minute < 60 && second < 60 && fields.0.is_empty();
    let seconds = (hour * 60 + minute - offset_minutes) * 60 + second;
    sound.then_some(seconds * SECOND_MS * MILLISECOND_US + fraction_us)
}

/// What is left of a time.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// Passes one of these characters.
    fn skip(&mut self, any: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first().filter(|(first, _)| any.contains(first))?;
        self.0 = rest;
        Some(*first)
    }

    /// A number of so many digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number
            .iter()
            .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
    }

    /// The digits of a fraction of a second. Those beyond microseconds are dropped: nothing here is finer.
    fn fraction_us(&mut self) -> i64 {
        let (mut fraction_us, mut unit_us) = (0, SECOND_MS * MILLISECOND_US);
        while let Some(digit) = self.number(1) {
            unit_us /= 10;
            fraction_us += digit * unit_us;
        }
        fraction_us
    }

    /// How far ahead of UTC the clock is.
    fn offset_minutes(&mut self) -> Option<i64> {
        let Some(sign) = self.skip(b"Z+-") else { return Some(0) };
        if sign == b'Z' {
            return Some(0);
        }
        let hours = self.number(2)?;
        self.skip(b":");
        let minutes = if self.0.is_empty() { 0 } else { self.number(2)? };
        Some(if sign == b'-' { -1 } else { 1 } * (hours * 60 + minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, ms) in [
            ("1700000000000", 1_700_000_000_000),
            ("1700000000", 1_700_000_000_000),
            ("0", 0),
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400_000),
            ("2026-01-31T12:00", 1_769_860_800_000),
            ("2026-01-31T12:00:00Z", 1_769_860_800_000),
            ("2026-01-31 14:00:00+02:00", 1_769_860_800_000),
            ("2026-01-31T06:30:00-0530", 1_769_860_800_000),
            ("2026-01-31T14:00:00+02", 1_769_860_800_000),
            ("2026-01-31T12:00:00.25", 1_769_860_800_250),
            ("2026-01-31T12:00:00.123456Z", 1_769_860_800_123),
        ] {
            assert_eq!(parse(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn moments_are_written_as_they_are_read() {
        for us in [
            0,
            1,
            -1,
            1_769_860_800_000_001,
            951_782_400_000_000,
            -62_167_219_200_000_000,
            253_402_300_799_999_999,
        ] {
            let text = DateTime::from_us(us).expect("a moment").as_str().to_owned();
            assert_eq!(parse_date_time_us(&text), Some(us), "{text}");
        }
        assert_eq!(DateTime::from_us(1_000_007).expect("a moment").as_str(), "1970-01-01T00:00:01.000007Z");
        for us in [-62_167_219_200_000_001, 253_402_300_800_000_000, i64::MAX, i64::MIN] {
            assert!(DateTime::from_us(us).is_none(), "{us}");
        }
    }

    #[test]
    fn microseconds_are_kept_where_they_are_asked_for() {
        assert_eq!(parse_date_time_us("1970-01-01T00:00:01.000007Z"), Some(1_000_007));
        assert_eq!(parse_date_time_us("1969-12-31T23:59:59.5Z"), Some(-500_000));
        assert_eq!(parse_date_time_us("7"), None);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in
            ["", "-2h", "yesterday", "2026-02-30", "2026-1-1", "2026-01-31T", "2026-01-31T25:00", "12:00"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn ages_are_read() {
        for (text, ms) in [
            ("2h", Some(7_200_000)),
            ("1h30m", Some(5_400_000)),
            ("1d", Some(86_400_000)),
            ("500ms", Some(500)),
            ("", None),
            ("2", None),
            ("2y", None),
            ("h", None),
        ] {
            assert_eq!(parse_duration_ms(text), ms, "{text}");
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for ms in [0, 1, 951_782_400_000, 1_769_860_800_123, 4_102_444_799_999, 253_402_300_799_999] {
            assert_eq!(parse(&show(ms)), Some(ms), "{}", show(ms));
        }
        assert_eq!(show(1_769_860_800_123), "2026-01-31T12:00:00.123Z");
        assert_eq!(show(-1), "");
    }
}
