//! How far the categories of an axis of times are apart, and where they begin.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime};
use chrono::{Offset, TimeDelta};
use chrono_tz::Tz;

use super::TimeFrame;
use crate::window::buckets;
use crate::window::{Range, Size, first_instant};

const MINUTE_MS: i64 = 60_000;
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// Categories without rows are added only where they are not most of the chart: up to this many,
const MOST_FILLED: usize = 200;
/// of hours up to those of a month,
const MOST_FILLED_HOURS: usize = 31 * 24 + 1;
/// or this many for each row, if that is more.
const MOST_FILLED_PER_ROW: usize = 6;

/// Categories that are known to be zero may be most of the chart: up to the minutes of a day.
const MOST_KNOWN: usize = 24 * 60;

/// The distance between the starts of neighbouring categories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// Elapsed milliseconds, at most an hour.
    Elapsed(i64),
    /// Milliseconds of the wall clock, more than an hour and a part of a day.
    Clock(i64),
    Days(u32),
    Months(u32),
}

impl Spacing {
    /// The spacing of rows at these local times and, sorted and without duplicates, these instants. `None` if they are
    /// not evenly spaced.
    pub fn of(
        locals: &[(NaiveDateTime, Option<i32>)],
        instants: &[i64],
        frame: &TimeFrame,
    ) -> Option<Self> {
        let midnights = locals
            .iter()
            .all(|(local, _)| local.time() == NaiveTime::MIN);
        let mut dates: Vec<NaiveDate> = locals.iter().map(|(local, _)| local.date()).collect();
        dates.sort_unstable();
        dates.dedup();
        // A single midnight is a day where the window has several days, and else an hour.
        let are_days =
            dates.len() > 1 || frame.dates || matches!(frame.size, Some(Size::Week | Size::Month));
        if midnights && are_days {
            return Self::of_dates(&dates);
        }
        let clock = |(local, _): &(NaiveDateTime, Option<i32>)| local.and_utc().timestamp_millis();
        let first = locals.first().map(clock)?;
        let distances = locals.iter().map(|local| clock(local) - first);
        let step = distances.fold(0, gcd);
        // A single row, or the two occurrences of an hour, is an hour where it begins like one.
        let step = match step {
            0 if first % HOUR_MS == 0 && frame.size.is_some() => HOUR_MS,
            step => step,
        };
        if step > HOUR_MS && DAY_MS % step == 0 {
            return Some(Spacing::Clock(step));
        }
        match step {
            0 => None,
            // Where clocks change by half an hour (Lord Howe), hours are not evenly spaced on them.
            _ if are_hours(instants, frame.zone, locals.len()) => Some(Spacing::Elapsed(HOUR_MS)),
            MINUTE_MS..HOUR_MS if HOUR_MS % step == 0 => Some(Spacing::Elapsed(step)),
            _ => None,
        }
    }

    /// The spacing of dates, sorted and without duplicates.
    fn of_dates(dates: &[NaiveDate]) -> Option<Self> {
        if dates.len() > 1 && dates.iter().all(|date| date.day() == 1) {
            let months = dates
                .windows(2)
                .map(|pair| month_number(pair[1]) - month_number(pair[0]));
            let step = months.fold(0, |step, months| gcd(step, i64::from(months)));
            return u32::try_from(step).ok().map(Spacing::Months);
        }
        let days = dates.windows(2).map(|pair| (pair[1] - pair[0]).num_days());
        let step = days.fold(0, gcd).max(1);
        u32::try_from(step).ok().map(Spacing::Days)
    }

    /// The starts of the categories in a range, `first` being one of them for `rows` rows. `None` if there are too
    /// many.
    pub fn grid(
        self,
        frame: &TimeFrame,
        range: Range,
        first: i64,
        rows: usize,
    ) -> Option<Vec<i64>> {
        let zone = frame.zone;
        let most = match self {
            // All of them are known.
            _ if frame.absent_is_zero => MOST_KNOWN,
            Spacing::Elapsed(ms) if ms < HOUR_MS => MOST_FILLED,
            _ => MOST_FILLED_HOURS,
        };
        let most = most.max(rows * MOST_FILLED_PER_ROW);
        let most_ms = i64::try_from(most).ok()?.checked_mul(self.shortest_ms())?;
        if range.end_ms.checked_sub(range.start_ms)? > most_ms {
            return None;
        }
        if self == Spacing::Elapsed(HOUR_MS) {
            let hours = buckets::hours(zone, range.start_ms, range.end_ms);
            return Some(hours.into_iter().map(|hour| hour.start_ms).collect());
        }
        // Back to the first category of the range, then through it.
        let mut start = match self {
            Spacing::Elapsed(ms) => first - (first - range.start_ms).div_euclid(ms) * ms,
            _ => {
                let local = local_at(zone, range.start_ms)?;
                let to_first = self.back_to(local_at(zone, first)?, local)?;
                first_instant(zone, to_first)?.timestamp_millis()
            }
        };
        let mut grid = Vec::new();
        while start < range.end_ms && grid.len() < most {
            if start >= range.start_ms {
                grid.push(start);
            }
            start = self.next(zone, start)?;
        }
        Some(grid)
    }

    /// The least time between two categories.
    fn shortest_ms(self) -> i64 {
        match self {
            Spacing::Elapsed(ms) | Spacing::Clock(ms) => ms,
            Spacing::Days(days) => i64::from(days) * DAY_MS,
            Spacing::Months(months) => i64::from(months) * 28 * DAY_MS,
        }
    }

    /// The local time of the category at or before `to`, in whole steps back from `from`.
    fn back_to(self, from: NaiveDateTime, to: NaiveDateTime) -> Option<NaiveDateTime> {
        match self {
            Spacing::Elapsed(_) => Some(from),
            Spacing::Clock(ms) => {
                let steps = (from - to).num_milliseconds().div_euclid(ms);
                from.checked_sub_signed(TimeDelta::milliseconds(steps * ms))
            }
            Spacing::Days(days) => {
                let steps = (from - to).num_days().div_euclid(days.into());
                from.checked_sub_days(Days::new(u64::try_from(steps).ok()? * u64::from(days)))
            }
            Spacing::Months(months) => {
                let between = month_number(from.date()) - month_number(to.date());
                let steps = between.div_euclid(months as i32).unsigned_abs();
                from.checked_sub_months(Months::new(steps * months))
            }
        }
    }

    /// The start of the next category.
    pub fn next(self, zone: Tz, start_ms: i64) -> Option<i64> {
        if let Spacing::Elapsed(ms) = self {
            return start_ms.checked_add(ms);
        }
        let local = local_at(zone, start_ms)?;
        let next = match self {
            Spacing::Elapsed(_) => None,
            Spacing::Clock(ms) => {
                // Rounded down, as a category that the clocks skip begins behind its grid.
                let clock = local.and_utc().timestamp_millis();
                let next = clock - clock.rem_euclid(ms) + ms;
                DateTime::from_timestamp_millis(next).map(|at| at.naive_utc())
            }
            Spacing::Days(days) => local
                .date()
                .checked_add_days(Days::new(days.into()))
                .map(|date| date.and_time(NaiveTime::MIN)),
            Spacing::Months(months) => local
                .date()
                .with_day(1)
                .and_then(|date| date.checked_add_months(Months::new(months)))
                .map(|date| date.and_time(NaiveTime::MIN)),
        }?;
        first_instant(zone, next).map(|at| at.timestamp_millis())
    }
}

/// Whether all instants are starts of local hours, the finest buckets that the SQL functions make by local time.
fn are_hours(instants: &[i64], zone: Tz, rows: usize) -> bool {
    // A timestamp may be of any year, and not all hours until then can be listed.
    let most_ms = HOUR_MS * MOST_FILLED_HOURS.max(rows * MOST_FILLED_PER_ROW) as i64;
    let ends = instants.first().zip(instants.last());
    ends.filter(|(first, last)| last.saturating_sub(**first) <= most_ms)
        .is_some_and(|(&first, &last)| {
            let hours = buckets::hours(zone, first, last + 1);
            let starts: Vec<i64> = hours.iter().map(|hour| hour.start_ms).collect();
            let is_start = |instant: &i64| starts.binary_search(instant).is_ok();
            instants.iter().all(is_start)
        })
}

/// The offset from UTC in seconds, positive in the east.
pub fn offset_at(zone: Tz, ms: i64) -> i32 {
    let at = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    at.with_timezone(&zone).offset().fix().local_minus_utc()
}

fn local_at(zone: Tz, ms: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_millis(ms).map(|at| at.with_timezone(&zone).naive_local())
}

fn month_number(date: NaiveDate) -> i32 {
    date.year() * 12 + date.month0() as i32
}

fn gcd(a: i64, b: i64) -> i64 {
    match b {
        0 => a.abs(),
        _ => gcd(b, a % b),
    }
}
