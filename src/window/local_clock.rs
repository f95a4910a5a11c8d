//! The wall clock of a time zone as spans of constant UTC offset, cheap enough to look up for each row.
//!
//! chrono-tz finds the offset at an instant by a search through the zone's history, and has no public way to find out
//! until when that offset holds. A [`LocalClock`] works out the ends of each span once and keeps the span. An instant
//! in the same span as the last one then costs a comparison. Instants may come in any order.

use std::str::FromStr;

use chrono::{DateTime, FixedOffset, Offset, TimeZone};
use chrono_tz::Tz;
use thiserror::Error;

/// A second, in milliseconds.
pub const SECOND_MS: i64 = 1_000;
/// A minute, in milliseconds.
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
/// An hour, in milliseconds.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// A day of 24 hours, in milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// Local times are worked out for instants within this distance of 1970, about 253,000 years. It is a little less than
/// chrono's own range, so that probes around an instant stay within that range.
const LIMIT_MS: i64 = 8_000_000_000_000_000;

/// The distance between two probes for a change of offset.
///
/// A step must not pass over two changes that cancel each other. The two closest changes in the tz database are 167
/// hours apart: Brazil's north-east ended summer time after a week in 2000, and Gaza and Hebron will interrupt it for
/// Ramadan. So at most one change lies between two probes, and bisection finds it.
const PROBE_STEP_MS: i64 = DAY_MS;

/// The most probes to either side of an instant, before a span is cut short. They cover about two months, which is one
/// span for most jobs, and the first look-up costs a few microseconds.
const MAX_PROBES: usize = 64;

/// The most spans that are kept, more than any real log has. Beyond it all are dropped, so that memory is bounded.
const MAX_SPANS: usize = 1024;

/// An instant too far from 1970 for local time to be worked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "timestamp {0} (milliseconds since 1970) is out of range: expected one within 253,000 years of 1970, where local time is known"
)]
pub struct OutOfRange(pub i64);

/// What a type of SQL can name as its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Zone {
    /// A zone of the tz database.
    Named(Tz),
    /// The same offset from UTC at all times.
    Fixed(FixedOffset),
}

impl From<Tz> for Zone {
    fn from(zone: Tz) -> Self {
        Zone::Named(zone)
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    /// An IANA name, or an offset: `+09:00`, `+0900`, `-03`, `+05:53:28`.
    fn from_str(text: &str) -> Result<Self, UnknownZone> {
        if let Ok(zone) = text.parse() {
            return Ok(Zone::Named(zone));
        }
        let offset = offset_of(text).ok_or_else(|| UnknownZone(text.to_owned()))?;
        Ok(Zone::Fixed(offset))
    }
}

/// A text that names no zone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "unknown time zone '{0}': expected an IANA name such as 'Asia/Seoul' or 'UTC', or an offset such as '+09:00'"
)]
pub struct UnknownZone(String);

/// The offset that a text such as `+09:00` states.
fn offset_of(text: &str) -> Option<FixedOffset> {
    let (east, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let mut seconds = 0;
    let mut rest = digits;
    for unit_seconds in [3600, 60, 1] {
        if rest.is_empty() && unit_seconds != 3600 {
            break;
        }
        let (number, after) = rest.split_at_checked(2)?;
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: i32 = number.parse().ok()?;
        if unit_seconds < 3600 && number > 59 {
            return None;
        }
        seconds += number * unit_seconds;
        rest = after.strip_prefix(':').unwrap_or(after);
    }
    match rest.is_empty() && !digits.ends_with(':') {
        true => FixedOffset::east_opt(east * seconds),
        false => None,
    }
}

/// Instants `start_ms..end_ms` (milliseconds since 1970) at which local time is UTC plus `offset_ms`.
///
/// An end is a change of the zone's offset, or the last probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetSpan {
    /// The first instant.
    pub start_ms: i64,
    /// The instant behind the last one.
    pub end_ms: i64,
    /// Local time minus UTC.
    pub offset_ms: i64,
}

impl OffsetSpan {
    fn contains(&self, instant_ms: i64) -> bool {
        self.start_ms <= instant_ms && instant_ms < self.end_ms
    }
}

/// Converts instants to the local time of one zone, and keeps the spans of constant offset that it has found.
#[derive(Debug, Clone)]
pub struct LocalClock {
    zone: Zone,
    current: OffsetSpan,
    /// Sorted, without overlap.
    spans: Vec<OffsetSpan>,
}

impl LocalClock {
    /// A clock of `zone`, with no span yet.
    pub fn new(zone: impl Into<Zone>) -> Self {
        let empty = OffsetSpan {
            start_ms: 0,
            end_ms: 0,
            offset_ms: 0,
        };
        LocalClock {
            zone: zone.into(),
            current: empty,
            spans: Vec::new(),
        }
    }

    /// The clock's zone.
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// The local time at an instant, in milliseconds since 1970-01-01T00:00 on the wall clock.
    ///
    /// # Errors
    /// [`OutOfRange`] for an instant more than 253,000 years from 1970.
    #[inline]
    pub fn local_ms(&mut self, instant_ms: i64) -> Result<i64, OutOfRange> {
        Ok(instant_ms + self.span(instant_ms)?.offset_ms)
    }

    /// A span of constant offset that contains the instant.
    ///
    /// # Errors
    /// [`OutOfRange`] for an instant more than 253,000 years from 1970.
    #[inline]
    pub fn span(&mut self, instant_ms: i64) -> Result<OffsetSpan, OutOfRange> {
        if !self.current.contains(instant_ms) {
            self.seek(instant_ms)?;
        }
        Ok(self.current)
    }

    /// The instant at which the wall clock shows `local_ms`, as PostgreSQL decides it where the clocks change. A local
    /// time that is repeated is the later instant. One that is skipped has the offset from before the change, so it
    /// moves forward by what is skipped.
    ///
    /// # Errors
    /// [`OutOfRange`] for a time more than 253,000 years from 1970.
    #[inline]
    pub fn instant_ms(&mut self, local_ms: i64) -> Result<i64, OutOfRange> {
        let span = self.current;
        let instant_ms = local_ms.saturating_sub(span.offset_ms);
        // Offsets differ by two days at the most, so that far from the ends no other span can have this local time.
        let (first, last) = (span.start_ms + 2 * DAY_MS, span.end_ms - 2 * DAY_MS);
        if first <= instant_ms && instant_ms < last {
            return Ok(instant_ms);
        }
        self.instant_near_change(local_ms)
    }

    #[cold]
    fn instant_near_change(&mut self, local_ms: i64) -> Result<i64, OutOfRange> {
        if !(-LIMIT_MS..=LIMIT_MS).contains(&local_ms) {
            return Err(OutOfRange(local_ms));
        }
        let mut span = self.span(local_ms - DAY_MS)?;
        // With the offset that holds a day earlier, it is the instant of a skipped time too.
        let mut found = local_ms - span.offset_ms;
        let mut shown = span.contains(found);
        while span.end_ms <= local_ms + DAY_MS {
            let before = span;
            span = self.span(before.end_ms)?;
            let instant_ms = local_ms - span.offset_ms;
            if span.contains(instant_ms) {
                (found, shown) = (instant_ms, true);
            } else if !shown && instant_ms < span.start_ms {
                // Skipped between the two.
                return Ok(local_ms - before.offset_ms);
            }
        }
        // The next time is probably in the same span.
        self.span(found)?;
        Ok(found)
    }

    /// The first instant whose local time is `local_ms` or later. So a day without a midnight begins at its first instant.
    ///
    /// # Errors
    /// [`OutOfRange`] for a time more than 253,000 years from 1970.
    pub fn first_instant(&mut self, local_ms: i64) -> Result<i64, OutOfRange> {
        // Offsets are less than a day, so all earlier instants have an earlier local time.
        let mut from = local_ms - DAY_MS;
        loop {
            let span = self.span(from)?;
            let reached = from.max(local_ms - span.offset_ms);
            if reached < span.end_ms {
                return Ok(reached);
            }
            from = span.end_ms;
        }
    }

    /// The later of `floor_ms` and the start of the offset that holds at `instant_ms`.
    pub(super) fn not_before_change(
        &mut self,
        instant_ms: i64,
        floor_ms: i64,
    ) -> Result<i64, OutOfRange> {
        let mut span = self.span(instant_ms)?;
        while floor_ms < span.start_ms {
            let before = self.span(span.start_ms - 1)?;
            if before.offset_ms != span.offset_ms {
                return Ok(span.start_ms);
            }
            span = before;
        }
        Ok(floor_ms)
    }

    #[cold]
    fn seek(&mut self, instant_ms: i64) -> Result<(), OutOfRange> {
        if !(-LIMIT_MS..=LIMIT_MS).contains(&instant_ms) {
            return Err(OutOfRange(instant_ms));
        }
        let next = self.spans.partition_point(|span| span.end_ms <= instant_ms);
        if let Some(span) = self.spans.get(next).filter(|s| s.contains(instant_ms)) {
            self.current = *span;
            return Ok(());
        }
        let mut span = self.explore(instant_ms)?;
        if self.spans.len() == MAX_SPANS {
            self.spans = vec![span];
        } else {
            if let Some(before) = next.checked_sub(1).map(|i| self.spans[i]) {
                span.start_ms = span.start_ms.max(before.end_ms);
            }
            if let Some(after) = self.spans.get(next) {
                span.end_ms = span.end_ms.min(after.start_ms);
            }
            self.spans.insert(next, span);
        }
        self.current = span;
        Ok(())
    }

    fn explore(&self, instant_ms: i64) -> Result<OffsetSpan, OutOfRange> {
        let offset_ms = self.offset_at(instant_ms)?;
        let mut start_ms = instant_ms;
        for _ in 0..MAX_PROBES {
            let probe = start_ms - PROBE_STEP_MS;
            if self.offset_at(probe)? != offset_ms {
                start_ms = self.change_between(probe, start_ms)?;
                break;
            }
            start_ms = probe;
        }
        let mut end_ms = instant_ms;
        for _ in 0..MAX_PROBES {
            let probe = end_ms + PROBE_STEP_MS;
            if self.offset_at(probe)? != offset_ms {
                end_ms = self.change_between(end_ms, probe)?;
                break;
            }
            end_ms = probe;
        }
        Ok(OffsetSpan {
            start_ms,
            end_ms,
            offset_ms,
        })
    }

    /// The first instant of the new offset, between two instants with exactly one change between them.
    fn change_between(&self, mut before: i64, mut after: i64) -> Result<i64, OutOfRange> {
        let old = self.offset_at(before)?;
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if self.offset_at(middle)? == old {
                before = middle;
            } else {
                after = middle;
            }
        }
        Ok(after)
    }

    fn offset_at(&self, instant_ms: i64) -> Result<i64, OutOfRange> {
        let utc = DateTime::from_timestamp_millis(instant_ms).ok_or(OutOfRange(instant_ms))?;
        let offset = match self.zone {
            Zone::Named(zone) => zone.offset_from_utc_datetime(&utc.naive_utc()).fix(),
            Zone::Fixed(offset) => offset,
        };
        Ok(i64::from(offset.local_minus_utc()) * SECOND_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::TZ_VARIANTS;
    use proptest::prelude::*;

    fn instant(text: &str) -> i64 {
        text.parse::<DateTime<chrono::Utc>>()
            .unwrap()
            .timestamp_millis()
    }

    #[test]
    fn spans_end_where_the_clocks_change() {
        let mut clock = LocalClock::new(chrono_tz::America::New_York);
        let span = clock.span(instant("2026-03-08T12:00:00Z")).unwrap();
        assert_eq!(span.start_ms, instant("2026-03-08T07:00:00Z"));
        assert_eq!(span.offset_ms, -4 * HOUR_MS);
        let before = clock.span(span.start_ms - 1).unwrap();
        assert_eq!(
            (before.end_ms, before.offset_ms),
            (span.start_ms, -5 * HOUR_MS)
        );
    }

    #[test]
    fn the_shortest_summer_time_is_seen() {
        let mut clock = LocalClock::new(chrono_tz::America::Recife);
        let span = clock.span(instant("2000-10-10T00:00:00Z")).unwrap();
        assert_eq!(span.end_ms - span.start_ms, 167 * HOUR_MS);
    }

    #[test]
    fn a_day_without_midnight_begins_later() {
        let mut clock = LocalClock::new(chrono_tz::America::Sao_Paulo);
        let midnight = instant("2018-11-04T00:00:00Z");
        let first = clock.first_instant(midnight).unwrap();
        assert_eq!(first, instant("2018-11-04T03:00:00Z"));
        assert_eq!(clock.local_ms(first).unwrap(), midnight + HOUR_MS);
    }

    /// What PostgreSQL answers to `timestamptz '…'` in each zone.
    #[test]
    fn a_local_time_that_is_skipped_or_repeated_is_decided_as_in_postgresql() {
        for (zone, local, expected) in [
            // Forward at 02:00, by an hour.
            (
                "America/New_York",
                "2026-03-08T01:59:59Z",
                "2026-03-08T06:59:59Z",
            ),
            (
                "America/New_York",
                "2026-03-08T02:30:00Z",
                "2026-03-08T07:30:00Z",
            ),
            (
                "America/New_York",
                "2026-03-08T03:00:00Z",
                "2026-03-08T07:00:00Z",
            ),
            // Back at 02:00, by an hour.
            (
                "America/New_York",
                "2026-11-01T00:59:59Z",
                "2026-11-01T04:59:59Z",
            ),
            (
                "America/New_York",
                "2026-11-01T01:30:00Z",
                "2026-11-01T06:30:00Z",
            ),
            (
                "America/New_York",
                "2026-11-01T02:00:00Z",
                "2026-11-01T07:00:00Z",
            ),
            // By half an hour.
            (
                "Australia/Lord_Howe",
                "2026-04-05T01:45:00Z",
                "2026-04-04T15:15:00Z",
            ),
            (
                "Australia/Lord_Howe",
                "2026-10-04T02:15:00Z",
                "2026-10-03T15:45:00Z",
            ),
            // Back by two hours, on the Antarctic.
            (
                "Antarctica/Troll",
                "2026-10-25T02:30:00Z",
                "2026-10-25T02:30:00Z",
            ),
            // A day that was skipped.
            (
                "Pacific/Apia",
                "2011-12-30T12:00:00Z",
                "2011-12-30T22:00:00Z",
            ),
            (
                "Pacific/Apia",
                "2011-12-31T00:00:00Z",
                "2011-12-30T10:00:00Z",
            ),
            ("+05:30", "2026-11-21T05:30:00Z", "2026-11-21T00:00:00Z"),
        ] {
            let mut clock = LocalClock::new(zone.parse::<Zone>().unwrap());
            let found = clock.instant_ms(instant(local)).unwrap();
            assert_eq!(found, instant(expected), "{zone} {local}");
        }
    }

    #[test]
    fn a_zone_is_a_name_or_an_offset() {
        let seconds = |text: &str| match text.parse() {
            Ok(Zone::Fixed(offset)) => Some(offset.local_minus_utc()),
            _ => None,
        };
        assert_eq!(
            "Asia/Seoul".parse(),
            Ok(Zone::Named(chrono_tz::Asia::Seoul))
        );
        for (text, expected) in [
            ("+09:00", Some(9 * 3600)),
            ("+0530", Some(5 * 3600 + 1800)),
            ("-03", Some(-3 * 3600)),
            ("+05:53:28", Some(5 * 3600 + 53 * 60 + 28)),
            ("+9", None),
            ("+09:", None),
            ("+09:60", None),
            ("+25:00", None),
            ("+", None),
            ("Asia/Soul", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn instants_far_beyond_calendars_are_errors() {
        let mut clock = LocalClock::new(chrono_tz::Asia::Seoul);
        for far in [i64::MIN, -LIMIT_MS - 1, LIMIT_MS + 1, i64::MAX] {
            assert_eq!(clock.span(far), Err(OutOfRange(far)));
        }
        for edge in [-LIMIT_MS, LIMIT_MS] {
            assert!(clock.local_ms(edge).is_ok());
        }
    }

    #[test]
    fn memory_is_bounded_for_instants_all_over_the_calendar() {
        let mut clock = LocalClock::new(chrono_tz::Asia::Seoul);
        for i in 0..3 * MAX_SPANS as i64 {
            clock.span((i * 7919 % 100_000) * 365 * DAY_MS).unwrap();
            assert!(clock.spans.len() <= MAX_SPANS);
        }
    }

    proptest! {
        #[test]
        fn the_offset_is_the_one_chrono_gives_in_any_order_of_instants(
            zone in 0..TZ_VARIANTS.len(),
            // 1800 to 2130, and a cluster around one instant.
            instants in prop::collection::vec(-5_364_662_400_000i64..5_049_129_600_000, 1..20),
            steps in prop::collection::vec(-200 * DAY_MS..200 * DAY_MS, 1..40),
        ) {
            let mut clock = LocalClock::new(TZ_VARIANTS[zone]);
            let near = steps.iter().map(|step| instants[0] + step);
            for instant in instants.iter().copied().chain(near) {
                let span = clock.span(instant).unwrap();
                prop_assert!(span.contains(instant));
                for inside in [instant, span.start_ms, span.end_ms - 1, (span.start_ms + span.end_ms) / 2] {
                    prop_assert_eq!(clock.offset_at(inside).unwrap(), span.offset_ms);
                }
            }
            for instant in instants {
                let local = clock.local_ms(instant).unwrap();
                let found = clock.instant_ms(local).unwrap();
                // A repeated time is the later instant, and every instant shows its own local time.
                prop_assert!(found >= instant && found - instant <= 2 * DAY_MS);
                prop_assert_eq!(clock.local_ms(found).unwrap(), local);
            }
            prop_assert!(clock.spans.windows(2).all(|pair| pair[0].end_ms <= pair[1].start_ms));
        }
    }
}
