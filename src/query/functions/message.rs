//! What a log message is: the kinds of lines that Lambda writes itself, and the parts that questions about messages
//! share.

use super::json::Members;
use memchr::memchr;

/// What kind of line a message is, of those that Lambda writes itself, or else how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(
    missing_docs,
    reason = "most types have the names of Lambda's own lines"
)]
pub enum LogType {
    Start,
    End,
    Report,
    InitStart,
    InitReport,
    RestoreStart,
    RestoreReport,
    Extension,
    Telemetry,
    Logs,
    Xray,
    /// A JSON event of the platform that has no text form, such as `platform.initRuntimeDone`.
    Platform,
    Json,
    Text,
}

impl LogType {
    /// In the order of the variants.
    pub const NAMES: [&str; 14] = [
        "start",
        "end",
        "report",
        "init_start",
        "init_report",
        "restore_start",
        "restore_report",
        "extension",
        "telemetry",
        "logs",
        "xray",
        "platform",
        "json",
        "text",
    ];

    /// The type of a message; every message has one.
    pub fn of(message: &str) -> Self {
        let message = beginning(message);
        if !message.starts_with('{') {
            return platform_line(message).unwrap_or(LogType::Text);
        }
        let mut members = Members::of(message);
        let mut buffer = String::new();
        for (key, value) in members.by_ref() {
            if key.key(&mut buffer) == "type"
                && let Some(platform) = value.text().and_then(|name| platform_event(&name))
            {
                return platform;
            }
        }
        if members.ends_well() {
            LogType::Json
        } else {
            LogType::Text
        }
    }
}

/// Lambda's own lines, by how they begin.
pub(super) fn platform_line(message: &str) -> Option<LogType> {
    // A switch on one byte first: nearly all messages begin with another.
    let candidates: &[(&str, LogType)] = match message.as_bytes().first()? {
        b'S' => &[("START RequestId: ", LogType::Start)],
        b'E' => &[
            ("END RequestId: ", LogType::End),
            ("EXTENSION\tName: ", LogType::Extension),
        ],
        b'R' => &[
            ("REPORT RequestId: ", LogType::Report),
            ("RESTORE_START ", LogType::RestoreStart),
            ("RESTORE_REPORT ", LogType::RestoreReport),
        ],
        b'I' => &[
            ("INIT_START ", LogType::InitStart),
            ("INIT_REPORT ", LogType::InitReport),
        ],
        b'T' => &[("TELEMETRY\tName: ", LogType::Telemetry)],
        b'L' => &[("LOGS\tName: ", LogType::Logs)],
        b'X' => &[("XRAY TraceId: ", LogType::Xray)],
        _ => return None,
    };
    candidates
        .iter()
        .find(|(beginning, _)| message.starts_with(beginning))
        .map(|(_, log_type)| *log_type)
}

/// Lambda's own events in JSON, by the `type` that the Telemetry API gives them; where a text line says the same, by
/// its name.
pub(super) fn platform_event(name: &str) -> Option<LogType> {
    Some(match name.strip_prefix("platform.")? {
        "start" => LogType::Start,
        "end" | "runtimeDone" => LogType::End,
        "report" => LogType::Report,
        "initStart" => LogType::InitStart,
        "initReport" => LogType::InitReport,
        "restoreStart" => LogType::RestoreStart,
        "restoreReport" => LogType::RestoreReport,
        "extension" => LogType::Extension,
        "telemetrySubscription" => LogType::Telemetry,
        "logsSubscription" => LogType::Logs,
        _ => LogType::Platform,
    })
}

/// A message from its first character on: without white space and a byte order mark before it.
#[inline]
pub(super) fn beginning(message: &str) -> &str {
    const BYTE_ORDER_MARK: &str = "\u{feff}";
    match message.as_bytes() {
        [b'!'..=b'~', ..] => message,
        _ => {
            let message = message.trim_ascii_start();
            message
                .trim_start_matches(BYTE_ORDER_MARK)
                .trim_ascii_start()
        }
    }
}

pub(super) fn first_line(message: &str) -> &str {
    match memchr(b'\n', message.as_bytes()) {
        Some(end) => &message[..end],
        None => message,
    }
}

pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '\t', '\r', '\n'])
        .filter(|word| !word.is_empty())
}

/// A UUID, with its hyphens or without.
pub(super) fn is_uuid(word: &str) -> bool {
    let bytes = word.as_bytes();
    let hyphens = [8, 13, 18, 23];
    match bytes.len() {
        32 => bytes.iter().all(u8::is_ascii_hexdigit),
        36 => bytes.iter().enumerate().all(|(place, byte)| {
            if hyphens.contains(&place) {
                *byte == b'-'
            } else {
                byte.is_ascii_hexdigit()
            }
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_type(message: &str) -> &'static str {
        LogType::NAMES[LogType::of(message) as usize]
    }

    #[test]
    fn types_are_named_in_their_order() {
        assert_eq!(LogType::NAMES[LogType::Start as usize], "start");
        assert_eq!(LogType::NAMES[LogType::Extension as usize], "extension");
        assert_eq!(LogType::NAMES[LogType::Text as usize], "text");
    }

    #[test]
    fn types_of_messages() {
        for (message, expected) in [
            ("START RequestId: 1 Version: $LATEST\n", "start"),
            ("END RequestId: 1\n", "end"),
            ("REPORT RequestId: 1\tDuration: 1.00 ms", "report"),
            (
                "INIT_START Runtime Version: python:3.12.v1\tRuntime Version ARN: arn:aws:…",
                "init_start",
            ),
            (
                "INIT_REPORT Init Duration: 10008.44 ms\tPhase: init\tStatus: timeout",
                "init_report",
            ),
            (
                "RESTORE_START Runtime Version: java:11.v15",
                "restore_start",
            ),
            ("RESTORE_REPORT Restore Duration: 1.00 ms", "restore_report"),
            (
                "EXTENSION\tName: x\tState: Ready\tEvents: [INVOKE]",
                "extension",
            ),
            (
                "TELEMETRY\tName: x\tState: Subscribed\tTypes: [Platform]",
                "telemetry",
            ),
            (
                "LOGS\tName: x\tState: Subscribed\tTypes: [Platform]",
                "logs",
            ),
            ("XRAY TraceId: 1-2-3\tSegmentId: 4", "xray"),
            (
                r#"{"time":"t","type":"platform.start","record":{}}"#,
                "start",
            ),
            (
                r#"{"time":"t","type":"platform.runtimeDone","record":{}}"#,
                "end",
            ),
            (
                r#"{"time":"t","type":"platform.report","record":{}}"#,
                "report",
            ),
            (
                r#"{"time":"t","type":"platform.initStart","record":{}}"#,
                "init_start",
            ),
            (
                r#"{"time":"t","type":"platform.telemetrySubscription","record":{}}"#,
                "telemetry",
            ),
            (
                r#"{"time":"t","type":"platform.logsDropped","record":{}}"#,
                "platform",
            ),
            (r#"{"type":"order"}"#, "json"),
            ("{}", "json"),
            (r#"{"a":1} and more"#, "text"),
            (r#"{"a":"cut"#, "text"),
            ("[1]", "text"),
            ("START the engine", "text"),
            ("REPORT", "text"),
            ("", "text"),
        ] {
            assert_eq!(log_type(message), expected, "{message}");
        }
    }
}
