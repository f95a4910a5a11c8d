//! The time of a delivered event, in the forms that AWS writes: a count since 1970, or a date and a time of day. Pure.
//!
//! The documentation of one service has counts of seconds and of milliseconds (AWS PCS, "Example scheduler log records"), so the
//! unit of a count is taken from its size.

use std::ops::Range;

use chrono::NaiveDate;

/// Times of events are from 2000 to 9999, in milliseconds. Anything else is no time.
const TIMES: Range<i64> = 946_684_800_000..253_402_300_800_000;

/// A unit of counts since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Nanoseconds.
    Nanoseconds,
}

impl Unit {
    /// The unit in which a count is a time of this century or so.
    pub fn of(count: i64) -> Self {
        const SECONDS: i64 = 100_000_000_000;
        const MILLISECONDS: i64 = 1000 * SECONDS;
        const MICROSECONDS: i64 = 1000 * MILLISECONDS;
        if count < SECONDS {
            Self::Seconds
        } else if count < MILLISECONDS {
            Self::Milliseconds
        } else if count < MICROSECONDS {
            Self::Microseconds
        } else {
            Self::Nanoseconds
        }
    }
}

/// The milliseconds since 1970 that a count is; `None` where it is no time.
pub fn of_count(count: i64) -> Option<i64> {
    let ms = match Unit::of(count) {
        Unit::Seconds => count.checked_mul(1000)?,
        Unit::Milliseconds => count,
        Unit::Microseconds => count / 1000,
        Unit::Nanoseconds => count / 1_000_000,
    };
    TIMES.contains(&ms).then_some(ms)
}

/// The milliseconds since 1970 that a text is; a time without a zone is in UTC. `None` where it is no time.
pub fn of_text(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii();
    let digits = leading_digits(text);
    let ms = match text.get(digits) {
        None => return of_count(number(text)?),
        Some(b'.') if digits >= 9 => of_seconds(&text[..digits], &text[digits + 1..])?,
        _ => {
            let (day, rest) = date(text)?;
            let rest = rest
                .strip_prefix(b"T")
                .or_else(|| rest.strip_prefix(b" "))?;
            let (of_day, rest) = time_of_day(rest)?;
            day + of_day - offset(rest)?
        }
    };
    TIMES.contains(&ms).then_some(ms)
}

/// The same for a date and a time of day that stand in two fields.
pub fn of_date_and_time(day: &[u8], of_day: &[u8]) -> Option<i64> {
    let (day, behind) = date(day.trim_ascii())?;
    let (of_day, zone) = time_of_day(of_day.trim_ascii())?;
    let ms = day + of_day - offset(zone)?;
    (behind.is_empty() && TIMES.contains(&ms)).then_some(ms)
}

/// The instants of a day, `2026-11-21`, from its first millisecond on.
pub fn day_of(text: &[u8]) -> Option<crate::window::Range> {
    const DAY_MS: i64 = 24 * 3_600_000;
    let (start_ms, behind) = date(text)?;
    let end_ms = start_ms + DAY_MS;
    behind
        .is_empty()
        .then_some(crate::window::Range { start_ms, end_ms })
}

fn leading_digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// A whole number of at most 19 digits.
fn number(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 19 || leading_digits(digits) < digits.len() {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, digit| {
        value.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
    })
}

/// Seconds with a fraction.
fn of_seconds(seconds: &[u8], fraction: &[u8]) -> Option<i64> {
    if fraction.is_empty() || leading_digits(fraction) < fraction.len() {
        return None;
    }
    number(seconds)?
        .checked_mul(1000)?
        .checked_add(thousandths(fraction))
}

/// The first three digits of a fraction.
fn thousandths(fraction: &[u8]) -> i64 {
    let digit = |at: usize| fraction.get(at).map_or(0, |digit| i64::from(digit - b'0'));
    digit(0) * 100 + digit(1) * 10 + digit(2)
}

/// The first milliseconds of a date, and what is behind it.
fn date(text: &[u8]) -> Option<(i64, &[u8])> {
    let (date, rest) = text.split_at_checked(10)?;
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let [year, month, day] = [&date[..4], &date[5..7], &date[8..]].map(number);
    let (month, day) = (u32::try_from(month?).ok()?, u32::try_from(day?).ok()?);
    let day = NaiveDate::from_ymd_opt(i32::try_from(year?).ok()?, month, day)?;
    Some((day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis(), rest))
}

/// The milliseconds of a time of day, and what is behind it.
fn time_of_day(text: &[u8]) -> Option<(i64, &[u8])> {
    let (clock, rest) = text.split_at_checked(8)?;
    if clock[2] != b':' || clock[5] != b':' {
        return None;
    }
    let [hour, minute, second] = [&clock[..2], &clock[3..5], &clock[6..]].map(number);
    let (hour, minute, second) = (hour?, minute?, second?);
    // A leap second is the last one of its minute.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let ms = ((hour * 60 + minute) * 60 + second.min(59)) * 1000;
    let Some(fraction) = rest.strip_prefix(b".").or_else(|| rest.strip_prefix(b",")) else {
        return Some((ms, rest));
    };
    match leading_digits(fraction) {
        0 => None,
        digits => Some((ms + thousandths(&fraction[..digits]), &fraction[digits..])),
    }
}

/// The milliseconds by which a zone is ahead of UTC. Nothing may be behind it.
fn offset(zone: &[u8]) -> Option<i64> {
    let (sign, rest) = match zone.split_first() {
        None => return Some(0),
        Some((b'Z' | b'z', [])) => return Some(0),
        Some((b'+', rest)) => (1, rest),
        Some((b'-', rest)) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = match rest {
        [_, _] => (number(rest)?, 0),
        [_, _, b':', minutes @ ..] | [_, _, minutes @ ..] if minutes.len() == 2 => {
            (number(&rest[..2])?, number(minutes)?)
        }
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;

    fn utc(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().unwrap().timestamp_millis()
    }

    #[test]
    fn counts_have_the_unit_of_their_size() {
        for (count, expected) in [
            // AWS PCS: in one page of its documentation.
            (1_721_230_979, "2024-07-17T15:42:59Z"),
            (1_774_485_082_772, "2026-03-26T00:31:22.772Z"),
            (1_774_485_082_772_123, "2026-03-26T00:31:22.772Z"),
            (1_774_485_082_772_123_456, "2026-03-26T00:31:22.772Z"),
        ] {
            assert_eq!(of_count(count), Some(utc(expected)), "{count}");
            assert_eq!(of_text(count.to_string().as_bytes()), Some(utc(expected)));
        }
        for count in [0, 5, -1, 900_000_000, i64::MAX, i64::MIN] {
            assert_eq!(of_count(count).is_some(), count == i64::MAX, "{count}");
        }
    }

    #[test]
    fn texts_are_times_in_the_forms_that_aws_writes() {
        for (text, expected) in [
            ("2024-07-17T15:42:58.614+00:00", "2024-07-17T15:42:58.614Z"),
            ("2024-01-15T10:30:00Z", "2024-01-15T10:30:00Z"),
            ("2024-01-15 10:30:00", "2024-01-15T10:30:00Z"),
            ("2024-01-15T10:30:00,5", "2024-01-15T10:30:00.500Z"),
            (
                "2024-01-15T10:30:00.123456789+0900",
                "2024-01-15T01:30:00.123Z",
            ),
            ("2024-01-15T10:30:00-05:30", "2024-01-15T16:00:00Z"),
            ("2024-01-15T10:30:00+09", "2024-01-15T01:30:00Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
            (" 1731620046.814 ", "2024-11-14T21:34:06.814Z"),
            ("1731620046814", "2024-11-14T21:34:06.814Z"),
        ] {
            assert_eq!(of_text(text.as_bytes()), Some(utc(expected)), "{text}");
        }
        for text in [
            "",
            "-",
            "now",
            "2024-01-15",
            "2024-02-30T00:00:00Z",
            "2024-01-15T24:00:00Z",
            "2024-01-15T10:30:00 Z",
            "2024-01-15T10:30:00.Z",
            "2024-01-15T10:30:00+9",
            "12345678901234567890",
            "1731620046.",
            "1731620046.8x",
            "2024-01-15T10:30:00+ab:cd",
            "1999-12-31T23:59:59Z",
        ] {
            assert_eq!(of_text(text.as_bytes()), None, "{text}");
        }
        assert_eq!(
            of_date_and_time(b"2024-11-14", b"21:34:06"),
            Some(utc("2024-11-14T21:34:06Z"))
        );
        assert_eq!(of_date_and_time(b"2024-11-14T", b"21:34:06"), None);
        assert_eq!(of_date_and_time(b"2024-11-14", b"1731620046"), None);
    }

    proptest! {
        #[test]
        fn any_instant_is_read_as_chrono_writes_it(ms in TIMES) {
            let at = DateTime::from_timestamp_millis(ms).unwrap();
            prop_assert_eq!(of_text(at.to_rfc3339().as_bytes()), Some(ms));
            let text = at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
            prop_assert_eq!(of_text(text.as_bytes()), Some(ms));
        }

        #[test]
        fn any_text_is_a_time_or_none(text in "[0-9T:+. Z-]{0,32}") {
            let _ = of_text(text.as_bytes());
            let _ = of_date_and_time(text.as_bytes(), text.as_bytes());
        }
    }
}
