//! What a log message is: the kinds of lines that Lambda writes itself, and the parts that questions about messages
//! share.

use super::json::Members;
use memchr::memchr;

/// What kind of line a message is, of those that Lambda writes itself, or else how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
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
            message.trim_start_matches(BYTE_ORDER_MARK).trim_ascii_start()
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
    use proptest::prelude::*;

    const ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

    fn level(message: &str) -> Option<&'static str> {
        Level::of(message).map(|level| Level::NAMES[level as usize])
    }

    fn log_type(message: &str) -> &'static str {
        LogType::NAMES[LogType::of(message) as usize]
    }

    #[test]
    fn levels_of_json() {
        for (message, expected) in [
            (r#"{"level":"ERROR"}"#, Some("ERROR")),
            (r#"{"timestamp":"t","level" : "info"}"#, Some("INFO")),
            (" \n{\n  \"Level\": \"Warning\"\n}", Some("WARN")),
            (r#"{"log_level":"CRITICAL"}"#, Some("FATAL")),
            (r#"{"severity":"err"}"#, Some("ERROR")),
            (r#"{"log.level":"debug"}"#, Some("DEBUG")),
            (r#"{"levelname":"WARNING"}"#, Some("WARN")),
            (r#"{"LogLevel":"Information"}"#, Some("INFO")),
            (r#"{"level":10}"#, Some("TRACE")),
            (r#"{"level":60,"time":1}"#, Some("FATAL")),
            (r#"{"level":35}"#, None),
            (r#"{"level":"high","severity":"info"}"#, Some("INFO")),
            (r#"{"level":"\u0065rror"}"#, Some("ERROR")),
            (r#"{"l\u0065vel":"error"}"#, Some("ERROR")),
            (r#"{"a":{"level":"error"}}"#, None),
            (r#"{"a":[{"level":"error"}],"level":"info"}"#, Some("INFO")),
            (r#"{"message":"\"level\":\"error\""}"#, None),
            (r#"{"message":"level=error"}"#, None),
            (r#"{"level":null}"#, None),
            (r#"{"level":["error"]}"#, None),
            (r#"{"message":"cut, "level":"error"#, None),
            (r#"{"level":"error","message":"cut "#, Some("ERROR")),
            ("{", None),
        ] {
            assert_eq!(level(message), expected, "{message}");
        }
    }

    #[test]
    fn levels_of_text() {
        let id = ID;
        for (message, expected) in [
            (
                format!("[ERROR]\t2026-11-21T00:00:00.000Z\t{id}\tunhandled\nTraceback"),
                Some("ERROR"),
            ),
            (
                format!("2026-11-21T00:00:00.000Z\t{id}\tWARN\tslow"),
                Some("WARN"),
            ),
            (
                "2026-11-21T00:00:00.000Z\tundefined\tERROR\tUncaught Exception".into(),
                Some("ERROR"),
            ),
            (
                format!("2026-11-21 00:00:00 {id} INFO  Handler:12 - done"),
                Some("INFO"),
            ),
            (
                "2026-11-21 00:00:00,123 - app.orders - CRITICAL - down".into(),
                Some("FATAL"),
            ),
            (
                "00:00:00.123 [main] DEBUG com.acme.Orders - hello".into(),
                Some("DEBUG"),
            ),
            ("[2026-11-21 00:00:00] [warning] hello".into(), Some("WARN")),
            (
                "2026-11-21T00:00:00.123Z  INFO handler: hello".into(),
                Some("INFO"),
            ),
            ("2026-11-21 00:00:00 [INFO ] hello".into(), Some("INFO")),
            ("ERROR boom".into(), Some("ERROR")),
            ("ERROR".into(), Some("ERROR")),
            ("INFO:root:hello".into(), Some("INFO")),
            ("error: boom".into(), Some("ERROR")),
            ("[error] boom".into(), Some("ERROR")),
            ("panic: runtime error".into(), Some("FATAL")),
            (
                "time=2026-11-21T00:00:00Z level=error msg=\"boom\"".into(),
                Some("ERROR"),
            ),
            ("level=\"warning\" msg=x".into(), Some("WARN")),
            ("ts=1 log_level=debug".into(), Some("DEBUG")),
            ("at=info severity=notice".into(), Some("INFO")),
            ("level=5 severity=error".into(), Some("ERROR")),
            ("GET /x?level=error 200".into(), None),
            ("sea_level=error".into(), None),
            ("level=errors".into(), None),
            ("Information about your order".into(), None),
            ("error in the message".into(), None),
            ("hello ERROR".into(), None),
            ("hello\nERROR boom".into(), None),
            (
                format!("2026-11-21T00:00:00.000Z {id} Task timed out after 30.02 seconds"),
                None,
            ),
            (format!("START RequestId: {id} Version: $LATEST\n"), None),
            (format!("END RequestId: {id}\n"), None),
            (
                format!(
                    "REPORT RequestId: {id}\tDuration: 1.00 ms\tStatus: error\tError Type: X level=error"
                ),
                None,
            ),
            ("INIT_START Runtime Version: python:3.12.v1".into(), None),
            (String::new(), None),
            ("\n".into(), None),
        ] {
            assert_eq!(level(&message), expected, "{message}");
        }
    }

    #[test]
    fn levels_are_named_in_their_order() {
        assert_eq!(Level::NAMES[Level::Trace as usize], "TRACE");
        assert_eq!(Level::NAMES[Level::Fatal as usize], "FATAL");
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

    #[test]
    fn request_ids() {
        let id = ID;
        for message in [
            format!("START RequestId: {id} Version: $LATEST\n"),
            format!("END RequestId: {id}\n"),
            format!("REPORT RequestId: {id}\tDuration: 1.00 ms"),
            format!("RequestId: {id} Error: Runtime exited with error: signal: killed"),
            format!("[INFO]\t2026-11-21T00:00:00.000Z\t{id}\thello"),
            format!("2026-11-21T00:00:00.000Z\t{id}\tINFO\thello"),
            format!("2026-11-21T00:00:00.000Z {id} Task timed out after 30.02 seconds"),
            format!("2026-11-21 00:00:00 {id} INFO  Handler:12 - done"),
            format!(r#"{{"level":"INFO","requestId":"{id}"}}"#),
            format!(r#"{{"request_id":"of the API","function_request_id":"{id}"}}"#),
            format!(r#"{{"AWSRequestId":"{id}","request_id":"of the API"}}"#),
            format!(r#"{{"request_id":"{id}"}}"#),
            format!(r#"{{"type":"platform.start","record":{{"version":"1","requestId":"{id}"}}}}"#),
        ] {
            assert_eq!(request_id(&message).as_deref(), Some(id), "{message}");
        }
        for message in [
            "",
            "START RequestId: ",
            "2026-11-21T00:00:00.000Z\tundefined\tINFO\thello",
            "order 8476a536-e9f4-11e8-9739-2dfe598c3fcd done",
            r#"{"requestId":""}"#,
            r#"{"requestId":5}"#,
            r#"{"a":{"requestId":"x"}}"#,
            r#"{"record":"x"}"#,
        ] {
            assert_eq!(request_id(message), None, "{message}");
        }
    }

    #[test]
    fn trace_ids() {
        let id = "1-5e34a614-10bd7a3f2c2b4d5e6f708192";
        for message in [
            format!(
                "REPORT RequestId: 1\tDuration: 1.00 ms\t\nXRAY TraceId: {id}\tSegmentId: 07f0\tSampled: true"
            ),
            format!(r#"{{"level":"INFO","xray_trace_id":"{id}"}}"#),
            format!(r#"{{"traceId":"{id}"}}"#),
            format!(r#"{{"trace_id":"Root={id};Sampled=1"}}"#),
            format!(
                r#"{{"type":"platform.report","record":{{"tracing":{{"value":"Root={id}"}}}}}}"#
            ),
        ] {
            assert_eq!(trace_id(&message).as_deref(), Some(id), "{message}");
        }
        for message in [
            "",
            "XRAY TraceId: ",
            "hello",
            r#"{"trace_id":""}"#,
            r#"{"trace_id":"Root="}"#,
            r#"{"record":{"tracing":1}}"#,
        ] {
            assert_eq!(trace_id(message), None, "{message}");
        }
    }

    proptest! {
        #[test]
        fn any_message_is_looked_at_without_harm(message in ".*", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let damaged = String::from_utf8_lossy(&bytes).into_owned();
            for message in [&message, &damaged, &format!("{{\"{message}"), &format!("[{damaged}"), &format!("2026-{message}")] {
                let _ = Level::of(message);
                let _ = LogType::of(message);
                let _ = request_id(message);
                let _ = trace_id(message);
            }
        }

        #[test]
        fn a_level_is_found_wherever_it_stands_among_json_members(
            before in prop::collection::btree_map("[a-k]{1,6}", any::<String>(), 0..5),
            level in prop::sample::select(Level::NAMES.to_vec()),
        ) {
            let mut object: serde_json::Map<_, _> = before.into_iter().map(|(key, value)| (key, value.into())).collect();
            prop_assert_eq!(Level::of(&serde_json::Value::Object(object.clone()).to_string()), None);
            object.insert("level".into(), level.to_lowercase().into());
            object.insert("zone".into(), "after".into());
            let message = serde_json::Value::Object(object).to_string();
            prop_assert_eq!(Level::of(&message).map(|level| Level::NAMES[level as usize]), Some(level));
        }
    }
}
