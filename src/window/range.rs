//! Half-open intervals of instants.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A half-open interval of instants, `[start_ms, end_ms)`, in milliseconds since 1970-01-01T00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range {
    /// The first instant.
    pub start_ms: i64,
    /// The end: the first instant after the interval.
    pub end_ms: i64,
}

impl Range {
    /// All of time.
    pub const ALL: Range = Range {
        start_ms: i64::MIN,
        end_ms: i64::MAX,
    };

    /// Whether the instant is in the interval.
    #[inline]
    pub fn contains(&self, ms: i64) -> bool {
        self.start_ms <= ms && ms < self.end_ms
    }

    /// The instants that are in both; an empty interval where they do not overlap.
    pub fn intersect(self, other: Range) -> Range {
        Range {
            start_ms: self.start_ms.max(other.start_ms),
            end_ms: self.end_ms.min(other.end_ms),
        }
    }

    /// The instants that are not in `other`: no interval, one or two.
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

    /// Whether it contains no instant.
    pub fn is_empty(&self) -> bool {
        self.start_ms >= self.end_ms
    }

    /// The interval widened at both ends.
    pub fn padded(self, before: Duration, after: Duration) -> Range {
        let ms = |pad: Duration| i64::try_from(pad.as_millis()).unwrap_or(i64::MAX);
        Range {
            start_ms: self.start_ms.saturating_sub(ms(before)),
            end_ms: self.end_ms.saturating_add(ms(after)),
        }
    }
}
