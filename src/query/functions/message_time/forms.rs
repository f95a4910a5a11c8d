//! The forms in which programs write times, each read from the start of a text:
//!
//! | form | written by |
//! |---|---|
//! | `2026-11-21T05:35:01.123+09:00`, `2026/11/21 05:35:01`, `20261121T053501Z`, `2026-W47-6`, `2026-325` | ISO 8601, Go, Python, Java, .NET |
//! | `21/Nov/2026:05:35:01 +0900`, `21-Nov-2026 05:35:01` | Apache, nginx, Tomcat, PHP |
//! | `Sat, 21 Nov 2026 05:35:01 +0900`, `Sat Nov 21 05:35:01 KST 2026` | RFC 5322, C, Unix `date`, Apache's errors |
//! | `Nov 21, 2026 5:35:01 AM`, `11/21/2026 5:35:01 AM`, `21.11.2026 05:35:01` | Java, .NET |
//! | `Nov 21 05:35:01`, `I1121 05:35:01.123456` | syslog, glog: without a year |
//! | `26/11/21 05:35:01` | Hadoop, Spark |
//! | `1795206901`, `1795206901.123`, `1795206901123` | since 1970 |

use chrono::{NaiveDate, Weekday};

use super::cursor::Cursor;
use super::zones::zone;
use super::{Date, WrittenInstant, days_of};
use crate::window::local_clock::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS};

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// A time in any form but a number since 1970; `alone` where it is all of a text, so that a date is one too.
pub(super) fn time(cursor: &mut Cursor<'_>, alone: bool) -> Option<WrittenInstant> {
    match cursor.peek()? {
        b'0'..=b'9' => match cursor.count_digits() {
            4 | 8 | 14 => year_first(cursor, alone),
            1 | 2 => day_first(cursor, alone),
            _ => None,
        },
        b'I' | b'W' | b'E' | b'F' if cursor.rest().get(1).is_some_and(u8::is_ascii_digit) => {
            glog(cursor)
        }
        first if first.is_ascii_alphabetic() => month_first(cursor, alone),
        _ => None,
    }
}

/// `2026-11-21T05:35:01.123Z` and its like.
pub(super) fn year_first(cursor: &mut Cursor<'_>, alone: bool) -> Option<WrittenInstant> {
    let is_compact = cursor.count_digits() > 4;
    let year = cursor.digits(4)?;
    let date = match cursor.peek() {
        _ if is_compact => {
            let date = date(year, cursor.digits(2)?, cursor.digits(2)?)?;
            if (1..=6).contains(&cursor.count_digits()) {
                return finish(date, compact_time(cursor)?, cursor);
            }
            date
        }
        Some(separator @ (b'-' | b'/' | b'.')) => {
            cursor.skip(1);
            if cursor.take(b'W') {
                week_date(year, cursor)?
            } else if separator == b'-' && cursor.count_digits() == 3 {
                ordinal_date(year, cursor)?
            } else {
                let month = cursor.one_or_two()?;
                cursor.take(separator).then_some(())?;
                let day = match cursor.count_digits() {
                    // 2026-11-2105:35 is none.
                    count @ 1..=2 => cursor.digits(count)?,
                    _ => return None,
                };
                date(year, month, day)?
            }
        }
        _ => return None,
    };
    let mut ahead = *cursor;
    let is_separated = match ahead.peek() {
        Some(b'T' | b't' | b'_' | b'-' | b':' | b'\t') => {
            ahead.skip(1);
            true
        }
        Some(b' ') => ahead.blanks(),
        _ => false,
    };
    let ms = match is_separated {
        true => time_of_day(&mut ahead, alone).or_else(|| {
            let is_compact_time = is_compact && ahead.count_digits() >= 4;
            is_compact_time.then(|| compact_time(&mut ahead)).flatten()
        }),
        false => None,
    };
    match ms {
        Some(ms) => {
            *cursor = ahead;
            finish(date, ms, cursor)
        }
        None if alone => finish(date, 0, cursor),
        None => None,
    }
}

/// `053501`, `053501.123`, `0535`
fn compact_time(cursor: &mut Cursor<'_>) -> Option<i64> {
    let digits = cursor.count_digits();
    let hour = cursor.digits(2)?;
    let minute = if digits >= 4 { cursor.digits(2)? } else { 0 };
    let second = if digits >= 6 { cursor.digits(2)? } else { 0 };
    let fraction = fraction(cursor);
    of_day(hour, minute, second, fraction).filter(|_| digits.is_multiple_of(2) && digits <= 6)
}

/// `21/Nov/2026:05:35:01 +0900`
pub(super) fn http(cursor: &mut Cursor<'_>) -> Option<WrittenInstant> {
    let day = cursor.one_or_two()?;
    cursor.take(b'/').then_some(())?;
    let month = name_of_month(cursor)?;
    cursor.take(b'/').then_some(())?;
    let year = cursor.digits(4)?;
    cursor.take(b':').then_some(())?;
    let ms = time_of_day(cursor, false)?;
    finish(date(year, month, day)?, ms, cursor)
}

/// `21/Nov/2026:…`, `21 Nov 2026 …`, `21.11.2026 …`, `11/21/2026 …`, `26/11/21 …`
fn day_first(cursor: &mut Cursor<'_>, alone: bool) -> Option<WrittenInstant> {
    let first = cursor.one_or_two()?;
    let separator = cursor.peek().filter(|byte| b"/-. ".contains(byte))?;
    cursor.skip(1);
    let date = match cursor.peek()? {
        b'0'..=b'9' if separator != b' ' => {
            let second = cursor.one_or_two()?;
            cursor.take(separator).then_some(())?;
            match cursor.count_digits() {
                4 => in_order(separator, first, second, cursor.digits(4)?)?,
                2 => {
                    let third = cursor.digits(2)?;
                    date(2000 + first, second, third)
                        .or_else(|| in_order(separator, first, second, 2000 + third))?
                }
                _ => return None,
            }
        }
        _ => {
            let month = name_of_month(cursor)?;
            let is_separated = cursor.take(separator) || cursor.take(b',') && cursor.blanks();
            is_separated.then_some(())?;
            match cursor.count_digits() {
                4 => date(cursor.digits(4)?, month, first)?,
                2 if alone || separator != b' ' => date(2000 + cursor.digits(2)?, month, first)?,
                _ => return None,
            }
        }
    };
    let mut ahead = *cursor;
    ahead.take(b',');
    let is_separated = ahead.take(b':') || ahead.take(b'T') || ahead.blanks();
    match time_of_day(&mut ahead, alone).filter(|_| is_separated) {
        Some(ms) => {
            *cursor = ahead;
            finish(date, ms, cursor)
        }
        None if alone => finish(date, 0, cursor),
        None => None,
    }
}

/// The order of day and month: with points, the day is first; else the month is, as in America, where it can be one.
fn in_order(separator: u8, first: u32, second: u32, year: u32) -> Option<Date> {
    match separator == b'.' || first > 12 {
        true => date(year, second, first),
        false => date(year, first, second),
    }
}

/// `Sat, 21 Nov 2026 …`, `Sat Nov 21 05:35:01 2026`, `Nov 21, 2026 5:35:01 AM`, `Nov 21 05:35:01`
fn month_first(cursor: &mut Cursor<'_>, alone: bool) -> Option<WrittenInstant> {
    if name_of_weekday(cursor).is_some() {
        cursor.take(b',');
        cursor.blanks().then_some(())?;
        if cursor.peek()?.is_ascii_digit() {
            return time(cursor, alone);
        }
    }
    let month = name_of_month(cursor)?;
    cursor.take(b'.');
    cursor.blanks().then_some(())?;
    let day = cursor.one_or_two()?;
    cursor.take(b',');
    cursor.blanks().then_some(())?;
    if cursor.count_digits() == 4 {
        let date = date(cursor.digits(4)?, month, day)?;
        let mut ahead = *cursor;
        ahead.take(b',');
        let is_separated = ahead.blanks();
        ahead.take_word("at ");
        return match time_of_day(&mut ahead, alone).filter(|_| is_separated) {
            Some(ms) => {
                *cursor = ahead;
                finish(date, ms, cursor)
            }
            None if alone => finish(date, 0, cursor),
            None => None,
        };
    }
    let ms = time_of_day(cursor, false)?;
    let written_zone = zone(cursor);
    let mut ahead = *cursor;
    let follows = ahead.blanks() && ahead.count_digits() == 4;
    if let Some(year) = ahead.digits(4).filter(|_| follows)
        && !ahead.continues()
    {
        *cursor = ahead;
        let written_zone = written_zone.or_else(|| zone(cursor));
        return Some(WrittenInstant {
            date: date(year, month, day)?,
            ms,
            zone: written_zone,
        });
    }
    Some(WrittenInstant {
        date: without_year(month, day)?,
        ms,
        zone: written_zone,
    })
}

/// `I1121 05:35:01.123456`
fn glog(cursor: &mut Cursor<'_>) -> Option<WrittenInstant> {
    cursor.skip(1);
    let (month, day) = (cursor.digits(2)?, cursor.digits(2)?);
    cursor.blanks().then_some(())?;
    let ms = time_of_day(cursor, false)?;
    Some(WrittenInstant {
        date: without_year(month, day)?,
        ms,
        zone: None,
    })
}

/// A number since 1970 of any length, with a fraction.
pub(super) fn epoch(cursor: &mut Cursor<'_>) -> Option<WrittenInstant> {
    let sign = if cursor.take(b'-') { -1.0 } else { 1.0 };
    // Eight digits are a date, and fourteen a date with a time.
    match cursor.count_digits() {
        9..=13 | 15..=19 => {}
        _ => return None,
    }
    let number = number(cursor)?;
    match number {
        Number::Whole(number) if sign > 0.0 => whole_epoch(number),
        Number::Whole(number) => epoch_ms(-(number as f64)).map(WrittenInstant::of_ms),
        Number::WithFraction(ms) => Some(WrittenInstant::of_ms(if sign < 0.0 { -ms } else { ms })),
    }
}

/// The same with as many digits as times of our day have: 10, 13, 16 or 19.
pub(super) fn long_epoch(cursor: &mut Cursor<'_>) -> Option<WrittenInstant> {
    match cursor.count_digits() {
        10 | 13 | 16 | 19 => epoch(cursor),
        _ => None,
    }
}

enum Number {
    Whole(i64),
    /// Seconds with a fraction, in milliseconds.
    WithFraction(i64),
}

fn number(cursor: &mut Cursor<'_>) -> Option<Number> {
    let count = cursor.count_digits();
    let digits = std::str::from_utf8(&cursor.rest()[..count]).ok()?;
    let whole: i64 = digits.parse().ok()?;
    cursor.skip(count);
    let mut ahead = *cursor;
    if ahead.take(b'.')
        && let Some(ms) = ahead.fraction_ms()
    {
        *cursor = ahead;
        // Milliseconds with a fraction, as of JavaScript's `performance`, are cut.
        return match count {
            0..=11 => Some(Number::WithFraction(whole * 1000 + ms)),
            _ => Some(Number::Whole(whole)),
        };
    }
    Some(Number::Whole(whole))
}

fn whole_epoch(number: i64) -> Option<WrittenInstant> {
    Some(WrittenInstant::of_ms(match number {
        ..100_000_000_000 => number * 1000,
        100_000_000_000..100_000_000_000_000 => number,
        100_000_000_000_000..100_000_000_000_000_000 => number / 1000,
        _ => number / 1_000_000,
    }))
}

/// The milliseconds of a number of seconds (below 10^11, which is the year 5138), milliseconds (below 10^14), microseconds
/// (below 10^17) or nanoseconds since 1970.
pub(super) fn epoch_ms(number: f64) -> Option<i64> {
    let ms = match number.abs() {
        seconds if seconds < 1e11 => number * 1e3,
        milliseconds if milliseconds < 1e14 => number,
        microseconds if microseconds < 1e17 => number / 1e3,
        _ => number / 1e6,
    };
    (ms.is_finite() && ms.abs() < 1e15).then(|| ms.floor() as i64)
}

/// `05:35`, `05:35:01`, `05:35:01.123`, `5:35 AM`; where it may be an hour alone, `05`.
fn time_of_day(cursor: &mut Cursor<'_>, alone: bool) -> Option<i64> {
    let mut ahead = *cursor;
    let mut hour = ahead.one_or_two()?;
    let (mut minute, mut second, mut ms) = (0, 0, 0);
    if ahead.take(b':') {
        minute = ahead.digits(2)?;
        if ahead.take(b':') {
            second = ahead.digits(2)?;
            ms = fraction(&mut ahead);
        }
    } else if !alone {
        return None;
    }
    let mut behind = ahead;
    behind.blanks();
    if let Some(is_afternoon) = day_period(&mut behind) {
        hour = match hour {
            1..=12 => hour % 12 + if is_afternoon { 12 } else { 0 },
            _ => return None,
        };
        ahead = behind;
    }
    *cursor = ahead;
    of_day(hour, minute, second, ms)
}

/// Whether it is the afternoon, by `AM` and `PM`, also with points.
pub(super) fn day_period(cursor: &mut Cursor<'_>) -> Option<bool> {
    let mut ahead = *cursor;
    let is_afternoon = ahead.take_word("PM") || ahead.take_word("P.M.");
    let is_morning = !is_afternoon && (ahead.take_word("AM") || ahead.take_word("A.M."));
    let continues = ahead
        .peek()
        .is_some_and(|next| next.is_ascii_alphanumeric());
    if continues || !(is_afternoon || is_morning) {
        return None;
    }
    *cursor = ahead;
    Some(is_afternoon)
}

/// The milliseconds behind a point, a comma or a colon.
fn fraction(cursor: &mut Cursor<'_>) -> i64 {
    let mut ahead = *cursor;
    let is_separated =
        ahead.take(b'.') || ahead.take(b',') || ahead.take(b':') && ahead.count_digits() == 3;
    match ahead.fraction_ms().filter(|_| is_separated) {
        Some(ms) => {
            *cursor = ahead;
            ms
        }
        None => 0,
    }
}

/// Milliseconds since midnight. 24:00 is the end of the day, and a leap second the next minute's first.
pub(super) fn of_day(hour: u32, minute: u32, second: u32, ms: i64) -> Option<i64> {
    let sum = i64::from(hour) * HOUR_MS
        + i64::from(minute) * MINUTE_MS
        + i64::from(second) * SECOND_MS
        + ms;
    let fits = minute < 60 && second <= 60 && (hour < 24 || sum == DAY_MS);
    fits.then_some(sum)
}

fn finish(date: Date, ms: i64, cursor: &mut Cursor<'_>) -> Option<WrittenInstant> {
    let zone = zone(cursor);
    Some(WrittenInstant { date, ms, zone })
}

/// A date of the years 1 to 9999.
fn date(year: u32, month: u32, day: u32) -> Option<Date> {
    let year = i32::try_from(year).ok().filter(|year| *year > 0)?;
    Date::of(year, month, day)
}

fn without_year(month: u32, day: u32) -> Option<Date> {
    // A leap year has every day.
    NaiveDate::from_ymd_opt(2000, month, day).map(|_| Date::MonthAndDay(month, day))
}

/// `W47-6`, behind the W.
fn week_date(year: u32, cursor: &mut Cursor<'_>) -> Option<Date> {
    let week = cursor.digits(2)?;
    cursor.take(b'-').then_some(())?;
    let day = cursor.digits(1)?;
    let weekday = Weekday::try_from(u8::try_from(day.checked_sub(1)?).ok()?).ok()?;
    let date = NaiveDate::from_isoywd_opt(i32::try_from(year).ok()?, week, weekday)?;
    Some(Date::Day(days_of(date)))
}

fn ordinal_date(year: u32, cursor: &mut Cursor<'_>) -> Option<Date> {
    let day = cursor.digits(3)?;
    let date = NaiveDate::from_yo_opt(i32::try_from(year).ok()?, day)?;
    Some(Date::Day(days_of(date)))
}

/// A month by the first three letters of its English name, or all of them.
pub(super) fn name_of_month(cursor: &mut Cursor<'_>) -> Option<u32> {
    name_in(cursor, &MONTHS)
}

/// A day of the week in the same way, Monday first.
pub(super) fn name_of_weekday(cursor: &mut Cursor<'_>) -> Option<u32> {
    name_in(cursor, &WEEKDAYS)
}

/// The place of a name in a list, from 1: its first three letters, or all of them.
fn name_in(cursor: &mut Cursor<'_>, names: &[&str]) -> Option<u32> {
    let length = cursor.count_letters();
    let word = cursor.rest().get(..length)?;
    let is_it = |name: &&str| {
        let is_short = length == 3 || (length == 4 && **name == *"september");
        let name = name.as_bytes();
        match is_short {
            true => name[..length].eq_ignore_ascii_case(word),
            false => name.eq_ignore_ascii_case(word),
        }
    };
    let index = names.iter().position(is_it)?;
    cursor.skip(length);
    u32::try_from(index + 1).ok()
}
