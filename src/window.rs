//! Calendar windows in a time zone, as half-open intervals of UTC instants: ids, daylight saving, lists for a backfill.
//!
//! A window is named by its local calendar unit (`2026-11-21`, `2026-11-21T05`, `2026-W47`, `2026-11`), begins at the
//! first instant whose local time is in that unit, and ends where the next one begins. So a day of a daylight saving
//! change has 23 or 25 hours, an hour that is repeated is one window of two hours, and a day whose midnight does not
//! exist begins with its first instant.

pub mod buckets;
pub mod local_clock;

use std::fmt;
use std::str::FromStr;

use chrono::{
    DateTime, Datelike, Days, MappedLocalTime, Months, NaiveDate, NaiveDateTime, TimeDelta,
    TimeZone, Timelike, Utc, Weekday,
};
use chrono_tz::{GapInfo, Tz};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The calendar unit of a job's windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// A local clock hour.
    Hour,
    /// A local calendar day.
    #[default]
    Day,
    /// An ISO 8601 week, from Monday.
    Week,
    /// A calendar month.
    Month,
}

impl Size {
    /// What an id of this size looks like.
    fn example(self) -> &'static str {
        match self {
            Size::Hour => "2026-11-21T05",
            Size::Day => "2026-11-21",
            Size::Week => "2026-W47",
            Size::Month => "2026-11",
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Size::Hour => "hour",
            Size::Day => "day",
            Size::Week => "week",
            Size::Month => "month",
        })
    }
}

/// A calendar unit without a zone: the local time at which it begins, always the unit's first second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit {
    local_start: NaiveDateTime,
}

impl Unit {
    /// The unit of `size` that holds the local time.
    pub fn holding(size: Size, local: NaiveDateTime) -> Self {
        let date = local.date();
        let midnight = |date: NaiveDate| date.and_time(chrono::NaiveTime::MIN);
        let local_start = match size {
            Size::Hour => midnight(date) + TimeDelta::hours(i64::from(local.hour())),
            Size::Day => midnight(date),
            Size::Week => midnight(date.week(Weekday::Mon).first_day()),
            Size::Month => midnight(date - Days::new(u64::from(date.day0()))),
        };
        Self { local_start }
    }

    /// Reads an id of `size`, such as `2026-11-21` for a day.
    pub fn parse(size: Size, id: &str) -> Option<Self> {
        let at = |date: Option<NaiveDate>, hour: u32| date?.and_hms_opt(hour, 0, 0);
        let number = |text: &str, digits: usize| {
            (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit()))
                .then(|| text.parse::<u32>().ok())
                .flatten()
        };
        let date = |text: &str| {
            let mut parts = text.splitn(3, '-');
            let year = number(parts.next()?, 4)?;
            let month = number(parts.next()?, 2)?;
            let day = number(parts.next()?, 2)?;
            NaiveDate::from_ymd_opt(year as i32, month, day)
        };
        let local_start = match size {
            Size::Hour => {
                let (day, hour) = id.split_once('T')?;
                at(date(day), number(hour, 2)?)
            }
            Size::Day => at(date(id), 0),
            Size::Week => {
                let (year, week) = id.split_once("-W")?;
                let year = number(year, 4)? as i32;
                at(
                    NaiveDate::from_isoywd_opt(year, number(week, 2)?, Weekday::Mon),
                    0,
                )
            }
            Size::Month => {
                let (year, month) = id.split_once('-')?;
                let year = number(year, 4)? as i32;
                at(NaiveDate::from_ymd_opt(year, number(month, 2)?, 1), 0)
            }
        }?;
        Some(Self { local_start })
    }

    /// The unit `count` units later, or earlier where it is negative; `None` at the end of the calendar.
    pub fn step(self, size: Size, count: i32) -> Option<Self> {
        let start = self.local_start;
        let local_start = match size {
            Size::Hour => start.checked_add_signed(TimeDelta::hours(count.into()))?,
            Size::Day => start.checked_add_signed(TimeDelta::days(count.into()))?,
            Size::Week => start.checked_add_signed(TimeDelta::weeks(count.into()))?,
            Size::Month if count >= 0 => {
                start.checked_add_months(Months::new(count.unsigned_abs()))?
            }
            Size::Month => start.checked_sub_months(Months::new(count.unsigned_abs()))?,
        };
        Some(Self { local_start })
    }

    /// The local date on which it begins.
    pub fn local_date(self) -> NaiveDate {
        self.local_start.date()
    }

    /// The id, as in keys and on the command line.
    pub fn id(self, size: Size) -> String {
        let format = match size {
            Size::Hour => "%Y-%m-%dT%H",
            Size::Day => "%Y-%m-%d",
            Size::Week => "%G-W%V",
            Size::Month => "%Y-%m",
        };
        self.local_start.format(format).to_string()
    }
}

/// A calendar unit in a zone: `[start, end)` in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    size: Size,
    zone: Tz,
    unit: Unit,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

impl Window {
    /// The window of `unit` in `zone`. An error (usage) where the zone skipped the whole unit.
    pub fn new(size: Size, zone: Tz, unit: Unit) -> Result<Self> {
        let id = unit.id(size);
        let out_of_calendar = || Error::usage(format!("window {id:?} is outside the calendar"));
        let next = unit.step(size, 1).ok_or_else(out_of_calendar)?;
        let start = first_instant(zone, unit.local_start).ok_or_else(out_of_calendar)?;
        let end = first_instant(zone, next.local_start).ok_or_else(out_of_calendar)?;
        if start >= end {
            return Err(Error::usage(format!(
                "window {id:?} does not exist in {zone}: the zone's clocks skipped that {size}"
            )));
        }
        Ok(Self {
            size,
            zone,
            unit,
            start,
            end,
        })
    }

    /// The window with this id. An error (usage) names the id and what was expected.
    pub fn parse(size: Size, zone: Tz, id: &str) -> Result<Self> {
        let unit = Unit::parse(size, id).ok_or_else(|| {
            Error::usage(format!(
                "{id:?} is no {size} window: expected an id such as {:?}",
                size.example()
            ))
        })?;
        Self::new(size, zone, unit)
    }

    /// The window that holds the instant.
    pub fn holding(size: Size, zone: Tz, instant: DateTime<Utc>) -> Result<Self> {
        let local = instant.with_timezone(&zone).naive_local();
        Self::new(size, zone, Unit::holding(size, local))
    }

    /// The last window that ended at or before `now`.
    pub fn last_ended(size: Size, zone: Tz, now: DateTime<Utc>) -> Result<Self> {
        let mut unit = Unit::holding(size, now.with_timezone(&zone).naive_local());
        loop {
            unit = unit.step(size, -1).ok_or_else(|| {
                Error::usage(format!("no {size} window ended before {now} in {zone}"))
            })?;
            // A skipped unit is stepped over; so is one that a repeated hour makes end later than the clock suggests.
            if let Ok(window) = Self::new(size, zone, unit)
                && window.has_ended(now)
            {
                return Ok(window);
            }
        }
    }

    /// Every window from `first` to `last`, both included; units that the zone skipped are left out.
    pub fn list(size: Size, zone: Tz, first: Unit, last: Unit) -> Result<Vec<Self>> {
        let mut windows = Vec::new();
        let mut unit = first;
        while unit <= last {
            if let Ok(window) = Self::new(size, zone, unit) {
                windows.push(window);
            }
            let Some(next) = unit.step(size, 1) else {
                break;
            };
            unit = next;
        }
        Ok(windows)
    }

    /// The windows that lie wholly in the `span` before the end of the last one that ended.
    pub fn last_of(size: Size, zone: Tz, span: Span, now: DateTime<Utc>) -> Result<Vec<Self>> {
        let last = Self::last_ended(size, zone, now)?;
        let local_end = last
            .unit
            .step(size, 1)
            .map_or(last.unit.local_start, |next| next.local_start);
        let local_start = span.before(local_end).ok_or_else(|| {
            Error::usage(format!("--last {span} reaches before the calendar begins"))
        })?;
        let mut first = Unit::holding(size, local_start);
        if first.local_start < local_start {
            first = first.step(size, 1).unwrap_or(first);
        }
        let windows = Self::list(size, zone, first, last.unit)?;
        if windows.is_empty() {
            return Err(Error::usage(format!(
                "--last {span} holds no whole {size} window: expected {} or more",
                Span {
                    count: 1,
                    unit: size
                }
            )));
        }
        Ok(windows)
    }

    /// The id, as in keys and on the command line.
    pub fn id(&self) -> String {
        self.unit.id(self.size)
    }

    /// The calendar unit's size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The zone whose calendar it is.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The calendar unit.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The first instant.
    pub fn start(&self) -> DateTime<Utc> {
        self.start
    }

    /// The first instant after it.
    pub fn end(&self) -> DateTime<Utc> {
        self.end
    }

    /// The interval, half open.
    pub fn range(&self) -> Range {
        Range {
            start_ms: self.start.timestamp_millis(),
            end_ms: self.end.timestamp_millis(),
        }
    }

    /// Whether it lies wholly before `now`.
    pub fn has_ended(&self, now: DateTime<Utc>) -> bool {
        self.end <= now
    }

    /// The local date on which it begins.
    pub fn local_date(&self) -> NaiveDate {
        self.unit.local_date()
    }

    /// The local clock hour with which it begins, 0 to 23.
    pub fn local_hour(&self) -> u32 {
        self.unit.local_start.hour()
    }

    /// The zone's abbreviation (`KST`), or its offset (`+0530`) where the zone has no letters for it; both in their
    /// order where the clocks change in the window (`EDT/EST`).
    pub fn zone_abbreviation(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        let mut at = self.start;
        while at < self.end {
            let name = at.with_timezone(&self.zone).format("%Z").to_string();
            if !names.contains(&name) {
                names.push(name);
            }
            at += TimeDelta::hours(1);
        }
        names.join("/")
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id(), self.zone)
    }
}

/// A half-open interval of instants, `[start_ms, end_ms)`, in milliseconds since 1970-01-01T00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range {
    /// The first instant.
    pub start_ms: i64,
    /// The first instant after it.
    pub end_ms: i64,
}

impl Range {
    /// All of time.
    pub const ALL: Range = Range {
        start_ms: i64::MIN,
        end_ms: i64::MAX,
    };

    /// Whether the instant is in it.
    #[inline]
    pub fn contains(&self, ms: i64) -> bool {
        self.start_ms <= ms && ms < self.end_ms
    }

    /// What both hold; an empty interval where they don't meet.
    pub fn intersect(self, other: Range) -> Range {
        Range {
            start_ms: self.start_ms.max(other.start_ms),
            end_ms: self.end_ms.min(other.end_ms),
        }
    }

    /// What is left of it without `other`: nothing, one interval or two.
    pub fn without(self, other: Range) -> impl Iterator<Item = Range> {
        let before = Range {
            end_ms: self.end_ms.min(other.start_ms),
            ..self
        };
        let after = Range {
            start_ms: self.start_ms.max(other.end_ms),
            ..self
        };
        [before, after]
            .into_iter()
            .filter(|range| !range.is_empty())
    }

    /// Whether it holds no instant.
    pub fn is_empty(&self) -> bool {
        self.start_ms >= self.end_ms
    }

    /// The interval with `pad` more at both edges.
    pub fn padded(self, pad: std::time::Duration) -> Range {
        let pad = i64::try_from(pad.as_millis()).unwrap_or(i64::MAX);
        Range {
            start_ms: self.start_ms.saturating_sub(pad),
            end_ms: self.end_ms.saturating_add(pad),
        }
    }
}

/// A length of calendar time, as in `--last 7d`: a count of hours, days, weeks or months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    count: u32,
    unit: Size,
}

impl Span {
    /// The local time that much earlier; `None` at the end of the calendar.
    pub fn before(self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        let count = i64::from(self.count);
        match self.unit {
            Size::Hour => local.checked_sub_signed(TimeDelta::try_hours(count)?),
            Size::Day => local.checked_sub_signed(TimeDelta::try_days(count)?),
            Size::Week => local.checked_sub_signed(TimeDelta::try_weeks(count)?),
            Size::Month => local.checked_sub_months(Months::new(self.count)),
        }
    }

    /// The same local time that much earlier; `None` also where that month has no such day.
    pub fn same_before(self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        let is_same =
            |earlier: &NaiveDateTime| self.unit != Size::Month || earlier.day() == local.day();
        self.before(local).filter(is_same)
    }

    /// How many windows of a size it is long; `None` where it is no whole number of them in every part of the calendar.
    pub fn windows(self, size: Size) -> Option<i32> {
        let each = match (self.unit, size) {
            (Size::Hour, Size::Hour) | (Size::Day, Size::Day) => 1,
            (Size::Week, Size::Week) | (Size::Month, Size::Month) => 1,
            (Size::Day, Size::Hour) => 24,
            (Size::Week, Size::Hour) => 7 * 24,
            (Size::Week, Size::Day) => 7,
            (Size::Day, Size::Week) if self.count.is_multiple_of(7) => {
                return i32::try_from(self.count / 7).ok();
            }
            _ => return None,
        };
        i32::try_from(self.count).ok()?.checked_mul(each)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no span of time: expected a count and a unit, such as 24h, 7d, 2w or 3mo"
            )
        };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let unit = match unit {
            "h" | " hour" | " hours" => Size::Hour,
            "d" | " day" | " days" => Size::Day,
            "w" | " week" | " weeks" => Size::Week,
            "mo" | " month" | " months" => Size::Month,
            _ => return Err(wrong()),
        };
        match count.parse() {
            Ok(0) | Err(_) => Err(wrong()),
            Ok(count) => Ok(Self { count, unit }),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Size::Hour => "h",
            Size::Day => "d",
            Size::Week => "w",
            Size::Month => "mo",
        };
        write!(f, "{}{unit}", self.count)
    }
}

/// Whether the text stands for the last window that ended, rather than being an id.
pub fn is_last_ended(text: &str) -> bool {
    matches!(text, "yesterday" | "last")
}

/// The first instant whose local time is at or after `local`; `None` at the end of the calendar.
///
/// Of a local time that occurs twice it is the earlier instant, and of one that was skipped the instant of the skip.
pub fn first_instant(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => Some(at.to_utc()),
        MappedLocalTime::None => Some(GapInfo::new(&local, &zone)?.end?.to_utc()),
    }
}

/// That two ids are in the wrong order.
pub fn reversed(from: &str, to: &str) -> Error {
    Error::usage(format!(
        "--from {from} is after --to {to}: expected the earlier window first"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(size: Size, zone: &str, id: &str) -> Result<Window> {
        Window::parse(size, zone.parse().unwrap(), id)
    }

    fn hours(size: Size, zone: &str, id: &str) -> f64 {
        let window = window(size, zone, id).unwrap();
        (window.end - window.start).as_seconds_f64() / 3600.0
    }

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_names_the_zone_by_what_its_clocks_say() {
        let name = |size, zone, id| window(size, zone, id).unwrap().zone_abbreviation();
        assert_eq!(name(Size::Day, "Asia/Seoul", "2026-11-21"), "KST");
        let new_york = "America/New_York";
        assert_eq!(name(Size::Month, new_york, "2026-11"), "EDT/EST");
        assert_eq!(name(Size::Day, new_york, "2026-03-08"), "EST/EDT");
        assert_eq!(name(Size::Day, new_york, "2026-11-02"), "EST");
        assert_eq!(name(Size::Day, "Asia/Kolkata", "2026-11-21"), "IST");
    }

    #[test]
    fn days_have_the_hours_that_the_zone_gives_them() {
        let cases = [
            ("Asia/Seoul", "2026-11-21", 24.0),
            ("America/New_York", "2026-03-08", 23.0),
            ("America/New_York", "2026-11-01", 25.0),
            ("Australia/Lord_Howe", "2026-04-05", 24.5),
            ("Australia/Lord_Howe", "2026-10-04", 23.5),
            ("Asia/Kolkata", "2026-11-21", 24.0),
            // Midnight does not exist on these days.
            ("America/Sao_Paulo", "2018-11-04", 23.0),
            ("Asia/Beirut", "2022-03-27", 23.0),
            ("Africa/Cairo", "2024-04-26", 23.0),
        ];
        for (zone, id, expected) in cases {
            assert_eq!(hours(Size::Day, zone, id), expected, "{zone} {id}");
        }
    }

    #[test]
    fn a_day_without_midnight_begins_with_its_first_instant() {
        let day = window(Size::Day, "America/Sao_Paulo", "2018-11-04").unwrap();
        assert_eq!(day.start(), utc("2018-11-04T03:00:00Z"));
    }

    #[test]
    fn a_repeated_hour_is_one_window_of_two_hours_and_a_skipped_one_is_none() {
        assert_eq!(hours(Size::Hour, "America/New_York", "2026-11-01T01"), 2.0);
        assert_eq!(
            hours(Size::Hour, "Australia/Lord_Howe", "2026-04-05T01"),
            1.5
        );
        let error = window(Size::Hour, "America/New_York", "2026-03-08T02").unwrap_err();
        assert!(error.to_string().contains("skipped that hour"), "{error}");
        let error = window(Size::Day, "Pacific/Apia", "2011-12-30").unwrap_err();
        assert!(error.to_string().contains("skipped that day"), "{error}");
    }

    #[test]
    fn ids_that_are_none_say_what_was_expected() {
        for (size, id) in [
            (Size::Day, "2026-11"),
            (Size::Day, "2026-11-31"),
            (Size::Day, "2026-11-1"),
            (Size::Day, "+026-11-01"),
            (Size::Day, "21.11.2026"),
            (Size::Hour, "2026-11-21"),
            (Size::Hour, "2026-11-21T24"),
            (Size::Week, "2026-W54"),
            (Size::Week, "2026-47"),
            (Size::Month, "2026-13"),
            (Size::Month, ""),
        ] {
            let error = window(size, "UTC", id).unwrap_err().to_string();
            assert!(error.contains(size.example()), "{size} {id}: {error}");
        }
    }

    #[test]
    fn the_last_window_that_ended_is_not_the_one_that_runs() {
        let zone: Tz = "Asia/Seoul".parse().unwrap();
        let last = |now| Window::last_ended(Size::Day, zone, utc(now)).unwrap().id();
        assert_eq!(last("2026-11-21T14:59:59.999Z"), "2026-11-20");
        assert_eq!(last("2026-11-21T15:00:00Z"), "2026-11-21");
        let new_york: Tz = "America/New_York".parse().unwrap();
        // 01:30 for the second time: the hour 01 still runs.
        let hour = Window::last_ended(Size::Hour, new_york, utc("2026-11-01T06:30:00Z")).unwrap();
        assert_eq!(hour.id(), "2026-11-01T00");
    }

    #[test]
    fn spans_reach_back_from_the_last_window_that_ended() {
        let now = utc("2026-11-23T08:00:00Z");
        let list = |size, span: &str| {
            Window::last_of(size, Tz::UTC, span.parse().unwrap(), now)
                .map(|windows| windows.iter().map(Window::id).collect::<Vec<_>>())
        };
        assert_eq!(list(Size::Day, "2d").unwrap(), ["2026-11-21", "2026-11-22"]);
        assert_eq!(list(Size::Day, "7d").unwrap().len(), 7);
        assert_eq!(list(Size::Week, "2w").unwrap(), ["2026-W46", "2026-W47"]);
        assert_eq!(list(Size::Month, "1mo").unwrap(), ["2026-10"]);
        assert_eq!(list(Size::Hour, "1d").unwrap().len(), 24);
        let error = list(Size::Month, "7d").unwrap_err().to_string();
        assert!(error.contains("expected 1mo or more"), "{error}");
        for wrong in ["", "7", "d", "0d", "7 d", "-7d", "7y", "99999999999d"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
    }

    fn any_zone() -> impl Strategy<Value = Tz> {
        proptest::sample::select(&chrono_tz::TZ_VARIANTS[..])
    }

    fn any_size() -> impl Strategy<Value = Size> {
        proptest::sample::select(&[Size::Hour, Size::Day, Size::Week, Size::Month][..])
    }

    proptest! {
        #[test]
        fn windows_tile_time(zone in any_zone(), size in any_size(), ms in 0i64..4_102_444_800_000) {
            let instant = DateTime::from_timestamp_millis(ms).unwrap();
            let window = Window::holding(size, zone, instant).unwrap();
            // A clock that is set back over a unit's edge lets a late instant show the earlier unit's time; such an
            // instant belongs to the window that contains it, which is the next one.
            let mut at = window.clone();
            while !at.range().contains(ms) {
                prop_assert!(at.end() <= instant);
                let next = at.unit().step(size, 1).unwrap();
                at = Window::new(size, zone, next).unwrap();
            }
            let mut next = at.unit().step(size, 1).unwrap();
            let after = loop {
                match Window::new(size, zone, next) {
                    Ok(window) => break window,
                    Err(_) => next = next.step(size, 1).unwrap(),
                }
            };
            prop_assert_eq!(at.end(), after.start());
        }

        #[test]
        fn ids_round_trip(zone in any_zone(), size in any_size(), ms in 0i64..4_102_444_800_000) {
            let instant = DateTime::from_timestamp_millis(ms).unwrap();
            let window = Window::holding(size, zone, instant).unwrap();
            prop_assert_eq!(Window::parse(size, zone, &window.id()).unwrap(), window);
        }

        #[test]
        fn no_text_panics(size in any_size(), id in ".{0,12}") {
            let _ = Unit::parse(size, &id);
            let _ = id.parse::<Span>();
        }
    }
}
