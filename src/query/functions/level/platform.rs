//! What Lambda's platform writes of failures, which are errors: that the time was over, which since 2026 only the report
//! says, and that the process of the runtime ended. Other failures have a line of their own, by the runtime.

use std::sync::LazyLock;

use memchr::memmem;

use super::super::json::{Members, Value};
use super::super::message::{LogType, platform_event};
use super::Level;

/// The level of one of the platform's lines.
pub(super) fn of_line(line: LogType, message: &str) -> Option<Level> {
    static TIMEOUT: LazyLock<memmem::Finder> =
        LazyLock::new(|| memmem::Finder::new("Status: timeout"));
    let is_timeout = line == LogType::Report && TIMEOUT.find(message.as_bytes()).is_some();
    is_timeout.then_some(Level::Error)
}

/// The event of the platform that a member's value names.
#[inline(never)]
pub(super) fn event(value: Value) -> Option<LogType> {
    platform_event(&value.text()?)
}

/// The level of one of the platform's events in JSON.
#[inline(never)]
pub(super) fn of_event(event: LogType, object: &str) -> Option<Level> {
    let (_, record) = Members::of(object).find(|(key, _)| key.raw() == "record")?;
    let is_timeout =
        |(key, value): (_, Value)| key == "status" && value.text().as_deref() == Some("timeout");
    let failed = match record {
        Value::Text(record) => is_end_of_process(&record.decoded()?),
        _ => {
            event == LogType::Report
                && record
                    .members()
                    .any(|(key, value)| is_timeout((key.raw(), value)))
        }
    };
    failed.then_some(Level::Error)
}

/// `RequestId: … Error: Runtime exited with error: signal: killed`, `RequestId: … Process exited before completing request`.
pub(in super::super) fn is_end_of_process(message: &str) -> bool {
    let Some(rest) = message.strip_prefix("RequestId: ") else {
        return false;
    };
    let reason = rest.split_once(' ').map_or("", |(_, reason)| reason);
    reason.starts_with("Error: ") || reason.starts_with("Process exited before completing")
}

/// What follows time and request id: `Task timed out after 3.00 seconds`, `Process exited before completing request`.
pub(in super::super) fn is_end_of_task(text: &[u8]) -> bool {
    text.starts_with(b"Task timed out after ")
        || text.starts_with(b"Process exited before completing")
}
