//! The wall clock of a time zone as spans of constant UTC offset, cheap enough to look up for each row.
//!
//! chrono-tz finds the offset at an instant by a search through the zone's history, and has no public way to find out
//! until when that offset holds. A [`LocalClock`] works out the ends of each span once and keeps the span. An instant
//! in the same span as the last one then costs a comparison. Instants may come in any order.

use chrono::{DateTime, Offset, TimeZone};
use thiserror::Error;

use super::zone::Zone;

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
mod tests;
