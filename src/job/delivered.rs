//! Vended logs that CloudWatch Logs delivers to S3, and Lambda's logs of the class Delivery.

use std::sync::Arc;
use std::time::Duration;

use super::Location;

/// The names that services give to the time of an event, the most certain one first. docs/sources.md has the sources.
pub const TIME_NAMES: [&str; 7] = [
    "event_timestamp",
    "timestamp(ms)",
    "message_timestamp_ms",
    "query_timestamp",
    "timestamp",
    "time",
    "@timestamp",
];

/// The field beside `time` that has the day, where `time` is only the time of day.
pub const DATE: &str = "date";

/// What logs were delivered to.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveredLogs {
    /// The folder or bucket, or as much of the prefix as all objects have.
    pub path: Location,
    /// How the objects have their events.
    pub shape: Arc<RecordShape>,
    /// How long before the window its events may have been delivered: events of the future.
    pub pad: Duration,
    /// How long behind the end of the window its events may have been delivered.
    pub pad_after: Duration,
}

/// How delivered objects have their events, as far as the objects do not say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordShape {
    /// The member or field with the time of an event; one of the documented names where unset.
    pub time: Option<String>,
    /// The member or field that is the message; the whole record where unset.
    pub message: Option<String>,
    /// The fields of a record, in order, where the objects have no header.
    pub fields: Vec<String>,
    /// What stands between fields; a tab or spaces where unset.
    pub delimiter: Option<String>,
    /// The value of the column `log_group` where records have none.
    pub log_group: Option<String>,
}
