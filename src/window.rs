//! Calendar windows in a time zone, as half-open intervals of UTC instants.
//!
//! A window's id is its local calendar unit: `2026-11-21`, `2026-11-21T05`, `2026-W47`, `2026-11`. It begins at the
//! first instant whose local time is in that unit, and ends where the next window begins. So a day on which the clocks
//! change has 23 or 25 hours. A repeated hour is one window of two hours. A day without a midnight begins at its first
//! instant.

pub mod buckets;
pub mod local_clock;
pub mod written_time;
pub mod zone;

mod range;
mod span;
mod unit;

pub use range::Range;
pub use span::Span;
pub use unit::{Size, Unit};

use std::fmt;

use chrono::{
    DateTime, MappedLocalTime, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc,
};
use chrono_tz::{GapInfo, Tz};

use crate::error::{Error, Result};

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
    /// The window of `unit` in `zone`.
    ///
    /// # Errors
    /// `Usage` where the zone's clocks skipped the whole unit, or where the calendar ends.
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

    /// The window with this id.
    ///
    /// # Errors
    /// `Usage`, with the id and the expected form.
    pub fn parse(size: Size, zone: Tz, id: &str) -> Result<Self> {
        let unit = Unit::parse(size, id).ok_or_else(|| {
            Error::usage(format!(
                "{id:?} is not a valid id of a {size} window: expected one such as {:?}, or \"last\" (or \"yesterday\") for the last that ended",
                size.example()
            ))
        })?;
        Self::new(size, zone, unit)
    }

    /// The window with this id, whatever its size; `None` where the text is no id, or there is no such window.
    pub fn of_any_size(zone: Tz, id: &str) -> Option<Self> {
        let sizes = [Size::Hour, Size::Day, Size::Week, Size::Month];
        let mut windows = sizes.into_iter().map(|size| Self::parse(size, zone, id));
        windows.find_map(Result::ok)
    }

    /// The window of the unit that the local clock shows at `instant`.
    pub fn holding(size: Size, zone: Tz, instant: DateTime<Utc>) -> Result<Self> {
        let local = instant.with_timezone(&zone).naive_local();
        Self::new(size, zone, Unit::holding(size, local))
    }

    /// The last window that ended at or before `now`.
    pub fn last_ended(size: Size, zone: Tz, now: DateTime<Utc>) -> Result<Self> {
        let mut unit = Unit::holding(size, now.with_timezone(&zone).naive_local());
        loop {
            unit = unit.step(size, -1).ok_or_else(|| {
                Error::usage(format!("no {size} window in {zone} ended before {now}"))
            })?;
            // A unit may have been skipped by the clocks, or may end later than its name says where an hour repeats.
            if let Ok(window) = Self::new(size, zone, unit)
                && window.has_ended(now)
            {
                return Ok(window);
            }
        }
    }

    /// Every window from `first` to `last`, both included. Units that the zone skipped are left out.
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

    /// The windows that have an instant of `range`.
    pub fn meeting(size: Size, zone: Tz, range: Range) -> Result<Vec<Self>> {
        let unit = |ms: i64| {
            let instant = DateTime::from_timestamp_millis(ms).unwrap_or_default();
            Unit::holding(size, instant.with_timezone(&zone).naive_local())
        };
        let windows = Self::list(size, zone, unit(range.start_ms), unit(range.end_ms - 1))?;
        let meets = |window: &Self| !window.range().intersect(range).is_empty();
        Ok(windows.into_iter().filter(meets).collect())
    }

    /// The windows of `span`, counted back from the end of the last window that ended.
    ///
    /// # Errors
    /// `Usage` if the span is not a whole number of windows.
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
            let whole = Self::list(size, zone, first, last.unit)?.len();
            let span_of = |count: usize| Span {
                count: u32::try_from(count).unwrap_or(u32::MAX),
                unit: size,
            };
            let expected = match whole {
                0 => format!("{}, one window", span_of(1)),
                _ => format!("{} or {}", span_of(whole), span_of(whole + 1)),
            };
            return Err(Error::usage(format!(
                "--last {span} is not a whole number of {size} windows: expected {expected}"
            )));
        }
        Self::list(size, zone, first, last.unit)
    }

    /// The id, as in keys and on the command line.
    pub fn id(&self) -> String {
        self.unit.id(self.size)
    }

    /// The calendar unit's size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The zone of its calendar.
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

    /// The end: the first instant after the window.
    pub fn end(&self) -> DateTime<Utc> {
        self.end
    }

    /// The half-open interval from `start` to `end`.
    pub fn range(&self) -> Range {
        Range {
            start_ms: self.start.timestamp_millis(),
            end_ms: self.end.timestamp_millis(),
        }
    }

    /// Whether its end is at or before `now`.
    pub fn has_ended(&self, now: DateTime<Utc>) -> bool {
        self.end <= now
    }

    /// The local date of its start.
    pub fn local_date(&self) -> NaiveDate {
        self.unit.local_date()
    }

    /// The local hour of its start, 0 to 23.
    pub fn local_hour(&self) -> u32 {
        self.unit.local_start.hour()
    }

    /// The zone's abbreviation, such as `KST`, or its offset, such as `+0530`, where it has no abbreviation. Where the
    /// clocks change within the window, both in the order of time: `EDT/EST`.
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

/// The word for the window that the present is in.
pub const TODAY: &str = "today";

/// Whether the text is a name of the last window that ended rather than an id.
pub fn is_last_ended(text: &str) -> bool {
    matches!(text, "yesterday" | "last")
}

/// The first instant whose local time is at or after `local`; `None` at the end of the calendar.
///
/// A local time that occurs twice gives the earlier instant. A skipped local time gives the instant of the change.
pub fn first_instant(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => Some(at.to_utc()),
        MappedLocalTime::None => Some(GapInfo::new(&local, &zone)?.end?.to_utc()),
    }
}

/// The error for a `--from` that is after its `--to`.
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
            // These days have no midnight.
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
        // 01:30 for the second time: the hour 01 has not ended.
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
        assert!(error.ends_with("expected 1mo, one window"), "{error}");
        let error = list(Size::Day, "36h").unwrap_err().to_string();
        assert!(error.ends_with("expected 1d or 2d"), "{error}");
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
            // Clocks that are set back over a unit's edge show the earlier unit's time again. Such an instant belongs
            // to the later window.
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
