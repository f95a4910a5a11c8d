//! Times as programs write them into messages: which instant they mean, and where in a message one is.
//!
//! [`forms`] has the forms, [`by_template`] reads by a template of the query. A time without a zone is on the clock that the
//! caller gives. One without a year, as of syslog, is in the year that brings it nearest to an instant that the caller gives.

mod by_template;
mod cursor;
mod forms;
mod zones;

use chrono::{DateTime, Datelike, NaiveDate};

use crate::window::local_clock::{DAY_MS, LocalClock};
use crate::window::zone::Zone;
use cursor::Cursor;

pub(super) use by_template::Reader;

/// How far into a message a time is looked for, in bytes.
const HEAD: usize = 512;

/// The longest text that is tried as a time from end to end.
const LONGEST: usize = 80;

/// A time as it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct WrittenInstant {
    date: Date,
    /// Milliseconds since midnight.
    ms: i64,
    /// The zone that is written behind it.
    zone: Option<Zone>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Date {
    /// In days since 1970-01-01.
    Day(i64),
    /// Of any year.
    MonthAndDay(u32, u32),
}

impl Date {
    fn of(year: i32, month: u32, day: u32) -> Option<Self> {
        let date = NaiveDate::from_ymd_opt(year, month, day)?;
        Some(Self::Day(days_of(date)))
    }
}

fn days_of(date: NaiveDate) -> i64 {
    i64::from(date.to_epoch_days())
}

impl WrittenInstant {
    /// Reads a text that is a time from end to end, also a date alone, or the seconds, milliseconds, microseconds or
    /// nanoseconds since 1970.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > LONGEST {
            return None;
        }
        let mut cursor = Cursor::new(text.as_bytes());
        let time = forms::epoch(&mut cursor).filter(|_| cursor.is_at_end());
        time.or_else(|| {
            let mut cursor = Cursor::new(text.as_bytes());
            forms::time(&mut cursor, true).filter(|_| cursor.is_at_end())
        })
    }

    /// The time that a text is, or else the first in the head of a longer one.
    pub(super) fn find(text: &str) -> Option<Self> {
        Self::parse(text).or_else(|| {
            let head = &text.as_bytes()[..text.len().min(HEAD)];
            (0..head.len()).find_map(|at| time_at(head, at))
        })
    }

    /// `21/Nov/2026:05:35:01 +0900`
    pub(super) fn parse_http(text: &str) -> Option<Self> {
        let mut cursor = Cursor::new(text.as_bytes());
        forms::http(&mut cursor).filter(|_| cursor.is_at_end())
    }

    /// `2026-11-21T05:35:01.123456Z`
    pub(super) fn parse_iso(text: &str) -> Option<Self> {
        let mut cursor = Cursor::new(text.as_bytes());
        forms::year_first(&mut cursor, false).filter(|_| cursor.is_at_end())
    }

    /// The same without a zone, in UTC.
    pub(super) fn parse_utc(text: &str) -> Option<Self> {
        let zone = Some(Zone::Named(chrono_tz::UTC));
        Some(Self {
            zone,
            ..Self::parse_iso(text)?
        })
    }

    /// An instant in milliseconds since 1970.
    fn of_ms(ms: i64) -> Self {
        Self {
            date: Date::Day(ms.div_euclid(DAY_MS)),
            ms: ms.rem_euclid(DAY_MS),
            zone: Some(Zone::Named(chrono_tz::UTC)),
        }
    }

    /// The instant of a number of seconds, milliseconds, microseconds or nanoseconds since 1970, as its magnitude says.
    pub(super) fn of_epoch(number: f64) -> Option<Self> {
        forms::epoch_ms(number).map(Self::of_ms)
    }

    /// In milliseconds since 1970; a time without a zone on the clock. `near` is an instant of the right year; without one, a
    /// time without a year is none.
    pub(super) fn instant_ms(&self, clock: &mut LocalClock, near: Option<i64>) -> Option<i64> {
        match self.date {
            Date::Day(day) => self.on_day(day, clock),
            Date::MonthAndDay(month, day) => {
                let near = near?;
                let local = clock.local_ms(near).ok()?;
                let year = DateTime::from_timestamp_millis(local)?.year();
                let years = [year - 1, year, year + 1].into_iter();
                // 29 February is not in each of them.
                let dates = years.filter_map(|year| NaiveDate::from_ymd_opt(year, month, day));
                let instants = dates.filter_map(|date| self.on_day(days_of(date), clock));
                instants.min_by_key(|instant| instant.abs_diff(near))
            }
        }
    }

    fn on_day(&self, day: i64, clock: &mut LocalClock) -> Option<i64> {
        let local = day.checked_mul(DAY_MS)?.checked_add(self.ms)?;
        match self.zone {
            None => clock.instant_ms(local).ok(),
            Some(Zone::Named(chrono_tz::UTC)) => Some(local),
            Some(Zone::Fixed(offset)) => Some(local - i64::from(offset.local_minus_utc()) * 1000),
            Some(zone) => LocalClock::new(zone).instant_ms(local).ok(),
        }
    }
}

/// The time that begins at a place of a message.
fn time_at(head: &[u8], at: usize) -> Option<WrittenInstant> {
    let first = head[at];
    let before = |back: usize| at.checked_sub(back).map(|at| head[at]);
    let begins = match before(1) {
        None => true,
        // Behind a key, and not within a time or an address.
        Some(b':') => !before(2).is_some_and(|byte| byte.is_ascii_digit()),
        Some(byte) => !byte.is_ascii_alphanumeric() && !b"./-+".contains(&byte),
    };
    if !begins || !first.is_ascii_alphanumeric() {
        return None;
    }
    let mut cursor = Cursor::new(&head[at..]);
    if let Some(time) = forms::time(&mut cursor, false)
        && !cursor.continues()
    {
        return Some(time);
    }
    if !first.is_ascii_digit() || !may_be_epoch(&head[..at]) {
        return None;
    }
    let mut cursor = Cursor::new(&head[at..]);
    forms::long_epoch(&mut cursor).filter(|_| !cursor.continues())
}

/// Whether a number behind this text can be a time: at the start of a message, or behind a key that says so.
fn may_be_epoch(before: &[u8]) -> bool {
    let before = before.trim_ascii_end();
    let Some((_, key)) = before.split_last().filter(|(last, _)| b":=".contains(last)) else {
        return before.iter().all(|byte| b"[(\"'".contains(byte));
    };
    let key = key.trim_ascii_end();
    let key = key.strip_suffix(b"\"").unwrap_or(key);
    let start = key.iter().rposition(|byte| !byte.is_ascii_alphanumeric());
    let word = &key[start.map_or(0, |start| start + 1)..];
    let word = word.to_ascii_lowercase();
    word.ends_with(b"time")
        || word.ends_with(b"timestamp")
        || [
            &b"ts"[..],
            b"t",
            b"at",
            b"date",
            b"epoch",
            b"timemillis",
            b"timeepoch",
        ]
        .contains(&word.as_slice())
}

#[cfg(test)]
mod tests;
