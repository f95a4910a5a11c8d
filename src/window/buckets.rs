//! Buckets of local time: which hour, day or month of a zone's wall clock an instant falls in.
//!
//! Whatever a government does to its clocks, buckets follow each other without gap or overlap, and each is named by
//! its first instant:
//! - Up to an hour wide, a bucket ends early where the clocks change. So the hour that is repeated in autumn stays
//!   two buckets, and no bucket is ever longer than its width.
//! - Wider ones begin at the first instant whose local time has reached the bucket's. So a day has 23 to 25 hours
//!   when it must, and one whose midnight does not exist begins when its clocks do.

use super::local_clock::{DAY_MS, HOUR_MS, LocalClock, MINUTE_MS, OutOfRange, SECOND_MS};
use chrono::{DateTime, Datelike, NaiveDate};
use chrono_tz::Tz;
use std::ops::Range;
use thiserror::Error;

const WEEK_MS: i64 = 7 * DAY_MS;

/// 1970-01-05, a Monday, where ISO weeks can be counted from.
const FIRST_MONDAY_MS: i64 = 4 * DAY_MS;

/// The widest bucket: a thousand years, so that looking for its edges stays within what calendars can do.
const MOST_MONTHS: i64 = 12_000;

/// Longer than any change of the clocks (those that moved a land over the date line: 24 hours). This long after a
/// change, no earlier instant can have shown the same local time.
const SETTLED_MS: i64 = 2 * DAY_MS;

/// A width that buckets of local time can't have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "time_bucket: width '{0}': expected a length that divides a day evenly, such as '15 minutes', '1 hour' or '6 hours', \
     or '1 day', '1 week', '1 month', '3 months', '1 year'"
)]
pub struct BadWidth(String);

/// How wide a bucket is, on the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Milliseconds that divide an hour evenly, or a day and are less than an hour.
    WithinHour(i64),
    /// Milliseconds, more than an hour, that divide a day evenly; also a whole day.
    WithinDay(i64),
    /// From Monday on, as in ISO 8601.
    Week,
    /// Calendar months, counted from January of year 0: 3 are a quarter, 12 a year.
    Months(i64),
}

impl Width {
    /// One hour.
    pub const HOUR: Width = Width::WithinHour(HOUR_MS);

    /// Reads a width as people write it: `15 minutes`, `1 hour`, `day`, `2h`.
    ///
    /// # Errors
    /// Text that is not a number and a unit, or a width that does not divide the next larger unit of the calendar.
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

    /// The width of an SQL interval, which counts months, days and nanoseconds apart.
    ///
    /// # Errors
    /// More than one of the parts, or a width that does not divide the next larger unit of the calendar.
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
            (1..=MOST_MONTHS, 0, 0) if 12 % months == 0 || months % 12 == 0 => {
                Some(Width::Months(months))
            }
            _ => None,
        }
    }

    /// The local time at which the bucket of a local time begins.
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

    /// The local time at which the next bucket begins, from that at which this one does.
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

/// Finds the bucket of instant after instant, in any order, cheapest where neighbours share one.
#[derive(Debug, Clone)]
pub struct Buckets {
    clock: LocalClock,
    width: Width,
    /// Instants known to lie in the bucket that begins with them; perhaps not all of it.
    current: Range<i64>,
}

impl Buckets {
    /// Buckets of a width on the wall clock of a zone.
    pub fn new(zone: Tz, width: Width) -> Self {
        Buckets {
            clock: LocalClock::new(zone),
            width,
            current: 0..0,
        }
    }

    /// Whether they are of this width in this zone.
    pub fn are_of(&self, zone: Tz, width: Width) -> bool {
        self.clock.zone() == zone && self.width == width
    }

    /// The first instant of the bucket of an instant, both in milliseconds since 1970.
    ///
    /// # Errors
    /// An instant more than 253,000 years from 1970.
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
        } else if start - SETTLED_MS >= span.start_ms {
            Ok(start..end.min(span.end_ms))
        } else {
            self.locate_near_change(instant_ms, floor, next)
        }
    }

    /// Where the clocks changed shortly before, a local time can have been shown twice: St. John's used to go back
    /// from 00:01 to 23:01 of the day before. Then the later bucket, once begun, is not left again.
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

/// An hour of a zone's wall clock, which is shorter than 60 minutes where a change of the clocks cuts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hour {
    /// The first instant, in milliseconds since 1970, as `time_bucket('1 hour', …)` gives it.
    pub start_ms: i64,
    /// The local time at that instant, in milliseconds since 1970-01-01T00:00 on the wall clock.
    pub local_ms: i64,
    /// The offset from UTC throughout the hour, in seconds, east positive.
    pub utc_offset_seconds: i32,
    /// 0 to 23.
    pub hour_of_day: i32,
}

/// Every hour of a zone's wall clock that shares an instant with `start_ms..end_ms` (milliseconds since 1970), in
/// order: 23, 24 or 25 for a day.
///
/// The first one begins before `start_ms` where that is not the start of an hour. Time further than 253,000 years from
/// 1970 has no hours.
pub fn hours(zone: Tz, start_ms: i64, end_ms: i64) -> Vec<Hour> {
    let mut buckets = Buckets::new(zone, Width::HOUR);
    let mut hours: Vec<Hour> = Vec::new();
    let mut instant = start_ms;
    while instant < end_ms {
        let Ok(start_ms) = buckets.start(instant) else {
            break;
        };
        instant = buckets.current.end;
        let Ok(span) = buckets.clock.span(start_ms) else {
            break;
        };
        if hours.last().is_some_and(|hour| hour.start_ms == start_ms) {
            continue;
        }
        let local_ms = start_ms + span.offset_ms;
        hours.push(Hour {
            start_ms,
            local_ms,
            utc_offset_seconds: (span.offset_ms / SECOND_MS) as i32,
            hour_of_day: hour_of_day(local_ms),
        });
    }
    hours
}

/// The hour, 0 to 23, that a wall clock shows.
#[inline]
pub fn hour_of_day(local_ms: i64) -> i32 {
    (local_ms.rem_euclid(DAY_MS) / HOUR_MS) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Utc;
    use chrono_tz::TZ_VARIANTS;
    use proptest::prelude::*;

    fn instant(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().unwrap().timestamp_millis()
    }

    fn shown(instant_ms: i64) -> String {
        let time = DateTime::from_timestamp_millis(instant_ms).unwrap();
        time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    fn bucket(zone: Tz, width: &str, time: &str) -> String {
        let width = Width::parse(width).unwrap();
        shown(Buckets::new(zone, width).start(instant(time)).unwrap())
    }

    /// The hours of a local day, as `HH:MM` on the wall clock.
    fn day(zone: Tz, date: &str) -> Vec<String> {
        let mut buckets = Buckets::new(zone, Width::WithinDay(DAY_MS));
        let midnight = instant(&format!("{date}T00:00:00Z"));
        let start = buckets.clock.first_instant(midnight).unwrap();
        let end = buckets.clock.first_instant(midnight + DAY_MS).unwrap();
        let hours = hours(zone, start, end);
        assert_eq!(hours.first().map(|h| h.start_ms).unwrap_or(start), start);
        hours
            .iter()
            .map(|hour| shown(hour.local_ms)[11..16].to_owned())
            .collect()
    }

    #[test]
    fn widths_are_read_as_people_write_them() {
        for (text, width) in [
            ("15 minutes", Width::WithinHour(15 * MINUTE_MS)),
            ("45 minutes", Width::WithinHour(45 * MINUTE_MS)),
            (" 1 HOUR ", Width::HOUR),
            ("60 minutes", Width::HOUR),
            ("hour", Width::HOUR),
            ("500ms", Width::WithinHour(500)),
            ("90 min", Width::WithinDay(90 * MINUTE_MS)),
            ("6 hours", Width::WithinDay(6 * HOUR_MS)),
            ("24 hours", Width::WithinDay(DAY_MS)),
            ("1 day", Width::WithinDay(DAY_MS)),
            ("1 week", Width::Week),
            ("7 days", Width::Week),
            ("1 month", Width::Months(1)),
            ("quarter", Width::Months(3)),
            ("10 years", Width::Months(120)),
        ] {
            assert_eq!(Width::parse(text), Ok(width), "{text}");
        }
    }

    #[test]
    fn widths_that_leave_a_rest_are_refused_by_name() {
        for text in [
            "",
            "0 hours",
            "-1 hour",
            "7 minutes",
            "5 hours",
            "48 hours",
            "2 days",
            "2 weeks",
            "5 months",
            "18 months",
            "1 fortnight",
            "1.5 hours",
            "99999999999999999999 hours",
            "9223372036854775807 years",
            "1 hour 5 minutes",
        ] {
            let error = Width::parse(text).unwrap_err().to_string();
            assert!(error.contains(&format!("'{text}'")), "{error}");
            assert!(error.contains("expected"), "{error}");
        }
    }

    #[test]
    fn intervals_are_widths_too() {
        assert_eq!(Width::of_interval(0, 0, 3_600_000_000_000), Ok(Width::HOUR));
        assert_eq!(Width::of_interval(0, 7, 0), Ok(Width::Week));
        assert_eq!(Width::of_interval(1, 0, 0), Ok(Width::Months(1)));
        for (months, days, nanoseconds) in [
            (1, 1, 0),
            (0, 1, 1),
            (0, 0, 1),
            (0, 0, 0),
            (-1, 0, 0),
            (0, 0, -3_600_000_000_000),
        ] {
            assert!(Width::of_interval(months, days, nanoseconds).is_err());
        }
    }

    #[test]
    fn the_repeated_hour_is_two_buckets() {
        let new_york = chrono_tz::America::New_York;
        assert_eq!(
            bucket(new_york, "1 hour", "2026-11-01T05:59:59Z"),
            "2026-11-01T05:00:00Z"
        );
        assert_eq!(
            bucket(new_york, "1 hour", "2026-11-01T06:00:00Z"),
            "2026-11-01T06:00:00Z"
        );
        assert_eq!(
            day(new_york, "2026-11-01")[..4],
            ["00:00", "01:00", "01:00", "02:00"]
        );
    }

    #[test]
    fn days_have_as_many_hours_as_their_clocks() {
        use chrono_tz::{Africa, America, Asia, Australia, Europe, Pacific};
        for (zone, date, hours) in [
            (America::New_York, "2026-03-08", 23),
            (America::New_York, "2026-11-01", 25),
            (Asia::Seoul, "2026-11-01", 24),
            (Europe::London, "2026-03-29", 23),
            (Australia::Lord_Howe, "2026-04-05", 25),
            (Australia::Lord_Howe, "2026-10-04", 24),
            (Asia::Kathmandu, "2026-11-01", 24),
            (Asia::Beirut, "2026-03-29", 23),
            (Asia::Beirut, "2026-10-24", 25),
            (America::Sao_Paulo, "2018-11-04", 23),
            (America::Sao_Paulo, "2018-02-17", 25),
            (Africa::Casablanca, "2026-02-15", 25),
            (Africa::Casablanca, "2026-03-22", 23),
            (Pacific::Apia, "2011-12-29", 24),
            (Pacific::Apia, "2011-12-30", 0),
            (Pacific::Apia, "2011-12-31", 24),
        ] {
            assert_eq!(day(zone, date).len(), hours, "{zone} {date}");
        }
    }

    #[test]
    fn a_half_hour_change_cuts_an_hour() {
        let lord_howe = chrono_tz::Australia::Lord_Howe;
        assert_eq!(
            day(lord_howe, "2026-04-05")[..4],
            ["00:00", "01:00", "01:30", "02:00"]
        );
        assert_eq!(
            day(lord_howe, "2026-10-04")[..4],
            ["00:00", "01:00", "02:30", "03:00"]
        );
    }

    #[test]
    fn half_hour_zones_have_hours_of_their_own() {
        assert_eq!(
            bucket(chrono_tz::Asia::Kolkata, "1 hour", "2026-11-21T10:29:00Z"),
            "2026-11-21T09:30:00Z"
        );
        assert_eq!(
            bucket(chrono_tz::Asia::Kathmandu, "1 hour", "2026-11-21T10:14:00Z"),
            "2026-11-21T09:15:00Z"
        );
        // local mean time of New York, -04:56:02
        assert_eq!(
            bucket(
                chrono_tz::America::New_York,
                "1 hour",
                "1870-01-01T10:30:00Z"
            ),
            "1870-01-01T09:56:02Z"
        );
    }

    #[test]
    fn wide_buckets_follow_the_wall_clock() {
        let new_york = chrono_tz::America::New_York;
        // 00:00 to 06:00 took five hours and then seven
        assert_eq!(
            bucket(new_york, "6 hours", "2026-03-08T09:59:59Z"),
            "2026-03-08T05:00:00Z"
        );
        assert_eq!(
            bucket(new_york, "6 hours", "2026-03-08T10:00:00Z"),
            "2026-03-08T10:00:00Z"
        );
        assert_eq!(
            bucket(new_york, "6 hours", "2026-11-01T10:59:59Z"),
            "2026-11-01T04:00:00Z"
        );
        assert_eq!(
            bucket(new_york, "6 hours", "2026-11-01T11:00:00Z"),
            "2026-11-01T11:00:00Z"
        );
        assert_eq!(
            bucket(new_york, "1 day", "2026-11-02T04:59:59Z"),
            "2026-11-01T04:00:00Z"
        );
        assert_eq!(
            bucket(chrono_tz::Asia::Seoul, "1 week", "2026-11-22T14:59:59Z"),
            "2026-11-15T15:00:00Z"
        );
        assert_eq!(
            bucket(chrono_tz::Asia::Seoul, "1 week", "2026-11-22T15:00:00Z"),
            "2026-11-22T15:00:00Z"
        );
        assert_eq!(
            bucket(chrono_tz::Asia::Seoul, "1 month", "2026-11-21T00:00:00Z"),
            "2026-10-31T15:00:00Z"
        );
        assert_eq!(
            bucket(chrono_tz::UTC, "3 months", "2026-12-21T00:00:00Z"),
            "2026-10-01T00:00:00Z"
        );
        assert_eq!(
            bucket(chrono_tz::UTC, "1 year", "2026-12-21T00:00:00Z"),
            "2026-01-01T00:00:00Z"
        );
    }

    #[test]
    fn days_that_lack_something_begin_at_their_first_instant() {
        assert_eq!(
            bucket(
                chrono_tz::America::Sao_Paulo,
                "1 day",
                "2018-11-04T12:00:00Z"
            ),
            "2018-11-04T03:00:00Z"
        );
        // the 30th of December 2011 was left out
        assert_eq!(
            bucket(chrono_tz::Pacific::Apia, "1 day", "2011-12-30T12:00:00Z"),
            "2011-12-30T10:00:00Z"
        );
        assert_eq!(
            bucket(chrono_tz::Pacific::Apia, "1 day", "2011-12-30T09:59:59Z"),
            "2011-12-29T10:00:00Z"
        );
        // from 00:01 back to 23:01: the new day had begun
        assert_eq!(
            bucket(
                chrono_tz::America::St_Johns,
                "1 day",
                "2006-10-29T02:45:00Z"
            ),
            "2006-10-29T02:30:00Z"
        );
    }

    #[test]
    fn instants_beyond_calendars_are_errors() {
        for width in ["1 hour", "6 hours", "1 week", "1 month", "1000 years"] {
            let width = Width::parse(width).unwrap();
            let mut buckets = Buckets::new(chrono_tz::Europe::Paris, width);
            for far in [i64::MIN, i64::MAX] {
                assert_eq!(buckets.start(far), Err(OutOfRange(far)));
            }
        }
        assert!(hours(chrono_tz::UTC, i64::MAX - 1, i64::MAX).is_empty());
        assert!(hours(chrono_tz::UTC, 5, 5).is_empty());
        assert!(hours(chrono_tz::UTC, 5, 4).is_empty());
    }

    /// Instants of 1840 to 2110, half of them within a day of a change of the clocks where one can be found.
    fn zone_and_instant() -> impl Strategy<Value = (Tz, i64)> {
        let any = (
            0..TZ_VARIANTS.len(),
            -4_102_444_800_000i64..4_417_977_600_000,
            any::<bool>(),
            -DAY_MS..DAY_MS,
        );
        any.prop_map(|(zone, instant, near, distance)| {
            let zone = TZ_VARIANTS[zone];
            let span = LocalClock::new(zone).span(instant).unwrap();
            (
                zone,
                if near {
                    span.end_ms + distance
                } else {
                    instant
                },
            )
        })
    }

    fn wide_width() -> impl Strategy<Value = Width> {
        width().prop_filter("wider than an hour", |width| {
            !matches!(width, Width::WithinHour(_))
        })
    }

    fn width() -> impl Strategy<Value = Width> {
        let widths = [
            "1 second",
            "1 minute",
            "15 minutes",
            "45 minutes",
            "1 hour",
            "90 minutes",
            "6 hours",
            "12 hours",
            "1 day",
            "1 week",
            "1 month",
            "3 months",
            "1 year",
        ];
        prop::sample::select(widths.map(|text| Width::parse(text).unwrap()).to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn buckets_hold_their_instants_and_follow_each_other(
            (zone, instant) in zone_and_instant(),
            width in width(),
            step in 0i64..40 * DAY_MS,
        ) {
            let mut buckets = Buckets::new(zone, width);
            let start = buckets.start(instant).unwrap();
            let known = buckets.current.clone();
            prop_assert!(start <= instant);
            if let Width::WithinHour(ms) = width {
                prop_assert!(instant < start + ms);
            }
            prop_assert_eq!(buckets.start(start).unwrap(), start);
            for same in [known.start, known.end - 1] {
                prop_assert_eq!(Buckets::new(zone, width).start(same).unwrap(), start);
            }
            // later instants are never in an earlier bucket, and where it differs it begins after this instant
            let later = buckets.start(instant + step).unwrap();
            prop_assert!(later == start || later > instant);
            // a fresh cursor agrees with one that has been elsewhere
            prop_assert_eq!(Buckets::new(zone, width).start(instant + step).unwrap(), later);
        }

        #[test]
        fn wide_buckets_begin_when_the_wall_clock_first_reaches_them((zone, instant) in zone_and_instant(), width in wide_width()) {
            let start = Buckets::new(zone, width).start(instant).unwrap();
            let mut clock = LocalClock::new(zone);
            let floor = width.floor(clock.local_ms(start).unwrap()).unwrap();
            prop_assert_eq!(clock.first_instant(floor).unwrap(), start);
            prop_assert!(clock.local_ms(start - 1).unwrap() < floor);
        }

        #[test]
        fn hours_tile_a_window((zone, instant) in zone_and_instant(), days in 1i64..100) {
            let mut clock = LocalClock::new(zone);
            let midnight = clock.local_ms(instant).unwrap().div_euclid(DAY_MS) * DAY_MS;
            let start = clock.first_instant(midnight).unwrap();
            let end = clock.first_instant(midnight + days * DAY_MS).unwrap();
            let mut buckets = Buckets::new(zone, Width::HOUR);
            let hours = hours(zone, start, end);
            prop_assert!(hours.windows(2).all(|pair| pair[0].start_ms < pair[1].start_ms));
            if let Some(first) = hours.first() {
                prop_assert!(first.start_ms <= start);
            }
            for (i, hour) in hours.iter().enumerate() {
                let next = hours.get(i + 1).map_or(end, |next| next.start_ms);
                for inside in [hour.start_ms, next - 1] {
                    prop_assert_eq!(buckets.start(inside).unwrap(), hour.start_ms);
                    let local = clock.local_ms(inside).unwrap();
                    prop_assert_eq!(local - inside, i64::from(hour.utc_offset_seconds) * SECOND_MS);
                    prop_assert_eq!(hour_of_day(local), hour.hour_of_day);
                }
                prop_assert_eq!(clock.local_ms(hour.start_ms).unwrap(), hour.local_ms);
            }
        }
    }
}
