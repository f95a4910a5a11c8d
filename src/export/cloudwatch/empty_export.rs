//! Whether an export without events can be right.
//!
//! A task is COMPLETED also where it wrote nothing because retention deleted the events, or because no stream has the
//! prefix. What the service reports of a group's streams is late, so only this counts as proof: a requested stream has
//! its first or its last event in the window, and received its last event so long before the export that all of its
//! events were exportable. A stream with its first event before and its last event behind the window may have been
//! silent in it.

use chrono::{DateTime, TimeDelta, Utc};

use crate::export::service::LogStream;
use crate::window::Range;

/// The time after which an event can be exported.
pub const EXPORTABLE_AFTER: TimeDelta = TimeDelta::hours(12);

/// What the streams of a log group show about an export without events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It can be right.
    Plausible,
    /// A stream may have had events in the window.
    Doubtful {
        /// The stream.
        stream: String,
    },
    /// A stream had an event in the window.
    Wrong {
        /// The stream.
        stream: String,
        /// The time of the event, in milliseconds since 1970.
        event_ms: i64,
    },
    /// Streams had events in the window, but the name of none of the group's streams begins with the requested prefix.
    NoSuchPrefix {
        /// One of those that had events.
        stream: String,
    },
}

/// Inspects the streams of a log group, one after the other.
#[derive(Debug)]
pub struct Inspection<'a> {
    window: Range,
    asked_at: DateTime<Utc>,
    prefix: Option<&'a str>,
    prefix_seen: bool,
    /// A stream without the prefix that had events in the window.
    elsewhere: Option<String>,
    verdict: Verdict,
}

impl<'a> Inspection<'a> {
    /// For an export of the streams with `prefix` that was requested at `asked_at`.
    pub fn new(window: Range, asked_at: DateTime<Utc>, prefix: Option<&'a str>) -> Self {
        Self {
            window,
            asked_at,
            prefix,
            prefix_seen: false,
            elsewhere: None,
            verdict: Verdict::Plausible,
        }
    }

    /// Adds the next stream, in the order of their last events, the latest first. True where the streams behind it
    /// can't change the verdict.
    pub fn add(&mut self, stream: LogStream) -> bool {
        let judged = self.judge(&stream);
        let wrong = matches!(judged, Verdict::Wrong { .. });
        let is_requested = self
            .prefix
            .is_none_or(|prefix| stream.name.starts_with(prefix));
        let before_window = stream
            .last_event_ms
            .is_some_and(|last| last < self.window.start_ms);
        if is_requested {
            self.prefix_seen = true;
            if judged != Verdict::Plausible {
                self.verdict = judged;
            }
            wrong || before_window
        } else {
            if wrong {
                self.elsewhere = Some(stream.name);
            }
            before_window && self.prefix_seen
        }
    }

    /// The verdict of all streams; `complete` where every stream was added.
    pub fn verdict(self, complete: bool) -> Verdict {
        match self.elsewhere {
            Some(stream) if complete && !self.prefix_seen => Verdict::NoSuchPrefix { stream },
            _ => self.verdict,
        }
    }

    fn judge(&self, stream: &LogStream) -> Verdict {
        let (Some(first), Some(last)) = (stream.first_event_ms, stream.last_event_ms) else {
            return Verdict::Plausible;
        };
        if last < self.window.start_ms || self.window.end_ms <= first {
            return Verdict::Plausible;
        }
        let exportable_ms = (self.asked_at - EXPORTABLE_AFTER).timestamp_millis();
        let all_exportable = stream
            .last_ingestion_ms
            .is_some_and(|last| last <= exportable_ms);
        let in_window = [last, first]
            .into_iter()
            .find(|at| self.window.contains(*at));
        match in_window {
            Some(event_ms) if all_exportable => Verdict::Wrong {
                stream: stream.name.clone(),
                event_ms,
            },
            _ => Verdict::Doubtful {
                stream: stream.name.clone(),
            },
        }
    }
}
