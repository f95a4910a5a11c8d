//! Buckets of local time: the hour, day or month of a zone's wall clock that an instant falls in.
//!
//! Buckets follow each other without gap or overlap, also where the clocks change. A bucket's value is its first
//! instant.
//! - A bucket of up to an hour ends early where the clocks change. So the hour that is repeated in autumn is two
//!   buckets, and no bucket is longer than its width.
//! - A wider bucket begins at the first instant whose local time has reached the bucket's. So a day has 23 to 25
//!   hours, and a day without a midnight begins at its first instant.

use super::local_clock::{DAY_MS, HOUR_MS, LocalClock, MINUTE_MS, OutOfRange, SECOND_MS};
use super::zone::Zone;
use chrono::{DateTime, Datelike, NaiveDate};
use chrono_tz::Tz;
use std::ops::Range;
use thiserror::Error;

const WEEK_MS: i64 = 7 * DAY_MS;

/// 1970-01-05, a Monday. ISO weeks are counted from here.
const FIRST_MONDAY_MS: i64 = 4 * DAY_MS;

/// The widest bucket: a thousand years. The search for its edges then stays within the calendar.
const MAX_MONTHS: i64 = 12_000;

/// Longer than any change of the clocks; the largest moved a country across the date line, by 24 hours. This long after
/// a change, no local time can repeat one from before it.
const REPEAT_LIMIT_MS: i64 = 2 * DAY_MS;

/// A text or interval that is not a valid width.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "time_bucket: invalid width '{0}': expected a length that divides a day evenly, such as '15 minutes', '1 hour' or '6 hours', \
     or '1 day', '1 week', '1 month', '3 months', '1 year'"
)]
pub struct BadWidth(String);

/// The width of a bucket, on the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Milliseconds, at most an hour, that divide a day evenly.
    WithinHour(i64),
    /// Milliseconds, more than an hour and at most a day, that divide a day evenly.
    WithinDay(i64),
    /// An ISO 8601 week, from Monday.
    Week,
    /// Calendar months, counted from January of year 0: 3 are a quarter, 12 a year.
    Months(i64),
}

impl Width {
    /// One hour.
    pub const HOUR: Width = Width::WithinHour(HOUR_MS);

    /// Parses a width: a count, which may be left out, and a unit, such as `15 minutes`, `1 hour`, `day`, `2h`.
    ///
    /// # Errors
    /// Any other text, or a width that does not divide the next larger unit of the calendar.
    pub fn parse(text: &str) -> Result<Self, BadWidth> {
        let bad = || BadWidth(text.to_owned());
        let trimmed = text.trim();
        let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = trimmed.split_at(digits);
        let count: i64 = match count {
            "" => 1,
            digits => digits.parse().map_err(|_| bad())?,
        };
        let (months, days, ms) = match unit.trim_start().to_ascii_lowercase().as_str() {
            "ms" | "millisecond" | "milliseconds" => (0, 0, 1),
            "s" | "sec" | "second" | "seconds" => (0, 0, SECOND_MS),
            "min" | "minute" | "minutes" => (0, 0, MINUTE_MS),
            "h" | "hour" | "hours" => (0, 0, HOUR_MS),
            "d" | "day" | "days" => (0, 1, 0),
            "w" | "week" | "weeks" => (0, 7, 0),
            "mon" | "month" | "months" => (1, 0, 0),
            "quarter" | "quarters" => (3, 0, 0),
            "y" | "year" | "years" => (12, 0, 0),
            _ => return Err(bad()),
        };
        let times = |part: i64| part.checked_mul(count).ok_or_else(bad);
        Self::of_parts(times(months)?, times(days)?, times(ms)?).ok_or_else(bad)
    }

    /// The width of an SQL interval, which has months, days and nanoseconds as separate parts.
    ///
    /// # Errors
    /// More than one part that is not zero, or a width that does not divide the next larger unit of the calendar.
    pub fn of_interval(months: i32, days: i32, nanoseconds: i64) -> Result<Self, BadWidth> {
        let whole = nanoseconds % 1_000_000 == 0;
        whole
            .then(|| Self::of_parts(months.into(), days.into(), nanoseconds / 1_000_000))
            .flatten()
            .ok_or_else(|| {
                BadWidth(format!(
                    "{months} months {days} days {nanoseconds} nanoseconds"
                ))
            })
    }

    fn of_parts(months: i64, days: i64, ms: i64) -> Option<Self> {
        match (months, days, ms) {
            (0, 0, 1..=HOUR_MS) if DAY_MS % ms == 0 => Some(Width::WithinHour(ms)),
            (0, 0, 1..=DAY_MS) if DAY_MS % ms == 0 => Some(Width::WithinDay(ms)),
            (0, 1, 0) => Some(Width::WithinDay(DAY_MS)),
            (0, 7, 0) => Some(Width::Week),
            (1..=MAX_MONTHS, 0, 0) if 12 % months == 0 || months % 12 == 0 => {
                Some(Width::Months(months))
            }
            _ => None,
        }
    }

    /// The local start of the bucket that contains a local time.
    fn floor(self, local_ms: i64) -> Result<i64, OutOfRange> {
        match self {
            Width::WithinHour(ms) | Width::WithinDay(ms) => Ok(local_ms - local_ms.rem_euclid(ms)),
            Width::Week => Ok(local_ms - (local_ms - FIRST_MONDAY_MS).rem_euclid(WEEK_MS)),
            Width::Months(months) => {
                let month = month_of(local_ms)?;
                month_start(month - month.rem_euclid(months)).ok_or(OutOfRange(local_ms))
            }
        }
    }

    /// The local start of the next bucket, from the local start of this one.
    fn next(self, floor_ms: i64) -> Result<i64, OutOfRange> {
        match self {
            Width::WithinHour(ms) | Width::WithinDay(ms) => Ok(floor_ms + ms),
            Width::Week => Ok(floor_ms + WEEK_MS),
            Width::Months(months) => {
                month_start(month_of(floor_ms)? + months).ok_or(OutOfRange(floor_ms))
            }
        }
    }
}

/// Months since January of year 0.
fn month_of(local_ms: i64) -> Result<i64, OutOfRange> {
    let date = DateTime::from_timestamp_millis(local_ms).ok_or(OutOfRange(local_ms))?;
    Ok(i64::from(date.year()) * 12 + i64::from(date.month0()))
}

fn month_start(month: i64) -> Option<i64> {
    let year = i32::try_from(month.div_euclid(12)).ok()?;
    let month0 = u32::try_from(month.rem_euclid(12)).ok()?;
    let first = NaiveDate::from_ymd_opt(year, month0 + 1, 1)?;
    Some(
        first
            .and_time(chrono::NaiveTime::MIN)
            .and_utc()
            .timestamp_millis(),
    )
}

/// Finds the buckets of instants in any order. Consecutive instants of one bucket cost a comparison each.
#[derive(Debug, Clone)]
pub struct Buckets {
    clock: LocalClock,
    width: Width,
    /// Instants from a bucket's start to its end, or to an earlier instant up to which it is known.
    current: Range<i64>,
}

impl Buckets {
    /// Buckets of `width` on the wall clock of `zone`.
    pub fn new(zone: impl Into<Zone>, width: Width) -> Self {
        Buckets {
            clock: LocalClock::new(zone),
            width,
            current: 0..0,
        }
    }

    /// Whether these are the buckets of `width` in `zone`.
    pub fn are_of(&self, zone: impl Into<Zone>, width: Width) -> bool {
        self.clock.zone() == zone.into() && self.width == width
    }

    /// The first instant of the bucket that contains an instant, both in milliseconds since 1970.
    ///
    /// # Errors
    /// [`OutOfRange`] for an instant more than 253,000 years from 1970.
    #[inline]
    pub fn start(&mut self, instant_ms: i64) -> Result<i64, OutOfRange> {
        if !self.current.contains(&instant_ms) {
            self.current = self.locate(instant_ms)?;
        }
        Ok(self.current.start)
    }

    fn locate(&mut self, instant_ms: i64) -> Result<Range<i64>, OutOfRange> {
        let span = self.clock.span(instant_ms)?;
        let floor = self.width.floor(instant_ms + span.offset_ms)?;
        let next = self.width.next(floor)?;
        let (start, end) = (floor - span.offset_ms, next - span.offset_ms);
        if let Width::WithinHour(_) = self.width {
            let start = self.clock.not_before_change(instant_ms, start)?;
            Ok(start..end.min(span.end_ms))
        } else if start - REPEAT_LIMIT_MS >= span.start_ms {
            Ok(start..end.min(span.end_ms))
        } else {
            self.locate_near_change(instant_ms, floor, next)
        }
    }

    /// The bucket of an instant shortly after a change of the clocks, where a local time may be shown twice: St. John's
    /// clocks used to go back from 00:01 to 23:01 of the day before. Once the later bucket has begun, later instants
    /// stay in it.
    fn locate_near_change(
        &mut self,
        instant_ms: i64,
        floor: i64,
        mut next: i64,
    ) -> Result<Range<i64>, OutOfRange> {
        let mut start = self.clock.first_instant(floor)?;
        loop {
            let end = self.clock.first_instant(next)?;
            if instant_ms < end {
                return Ok(start..end);
            }
            start = end;
            next = self.width.next(next)?;
        }
    }
}

/// The starts of the buckets that overlap `start_ms..end_ms`, in order; `None` where there are more than `most`.
///
/// The first bucket begins before `start_ms` if that is not the start of one. Instants more than 253,000 years from 1970 have
/// no buckets.
pub fn starts(
    zone: impl Into<Zone>,
    width: Width,
    start_ms: i64,
    end_ms: i64,
    most: usize,
) -> Option<Vec<i64>> {
    let mut buckets = Buckets::new(zone, width);
    let mut starts: Vec<i64> = Vec::new();
    let mut instant = start_ms;
    while instant < end_ms {
        let Ok(start) = buckets.start(instant) else {
            break;
        };
        instant = buckets.current.end;
        // What is known of a bucket may end before it does.
        if starts.last() == Some(&start) {
            continue;
        }
        if starts.len() == most {
            return None;
        }
        starts.push(start);
    }
    Some(starts)
}

/// An hour of a zone's wall clock. It is shorter than 60 minutes where the clocks change within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hour {
    /// The first instant, in milliseconds since 1970: the value of `time_bucket('1 hour', …)`.
    pub start_ms: i64,
    /// The local time at that instant, in milliseconds since 1970-01-01T00:00 on the wall clock.
    pub local_ms: i64,
    /// The offset from UTC throughout the hour, in seconds, east positive.
    pub utc_offset_seconds: i32,
    /// 0 to 23.
    pub hour_of_day: i32,
}

/// Every hour of a zone's wall clock that overlaps `start_ms..end_ms` (milliseconds since 1970), in order: 23, 24 or 25
/// for a day.
///
/// The first hour begins before `start_ms` if that is not the start of an hour. Instants more than 253,000 years from
/// 1970 have no hours.
pub fn hours(zone: Tz, start_ms: i64, end_ms: i64) -> Vec<Hour> {
    let mut clock = LocalClock::new(zone);
    let starts = starts(zone, Width::HOUR, start_ms, end_ms, usize::MAX);
    let hours = starts.into_iter().flatten().map_while(|start_ms| {
        let span = clock.span(start_ms).ok()?;
        let local_ms = start_ms + span.offset_ms;
        Some(Hour {
            start_ms,
            local_ms,
            utc_offset_seconds: (span.offset_ms / SECOND_MS) as i32,
            hour_of_day: hour_of_day(local_ms),
        })
    });
    hours.collect()
}

/// The hour of a local time, 0 to 23.
#[inline]
pub fn hour_of_day(local_ms: i64) -> i32 {
    (local_ms.rem_euclid(DAY_MS) / HOUR_MS) as i32
}

#[cfg(test)]
mod tests;
