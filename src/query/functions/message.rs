//! What a log message says about itself: `level`, `log_type`, `request_id`, `trace_id`.
//!
//! Messages come from any logger, so these functions know the usual forms and answer NULL for the rest. They run over
//! every message of a night, so they look at no more of it than they must and allocate nothing for a row.

use super::json::{Members, Value};
use memchr::{memchr, memmem};
use std::borrow::Cow;
use std::sync::LazyLock;

/// How much a message matters to whoever wrote it, after the names that most loggers share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "each level is its own name in small letters")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Level {
    /// In the order of the variants.
    pub const NAMES: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

    /// The level that a message states: in JSON as a member of the outermost object, in text before the message proper
    /// or as `level=…`. Lambda's own lines have none.
    #[inline]
    pub fn of(message: &str) -> Option<Self> {
        let message = message.trim_ascii_start();
        match message.as_bytes().first()? {
            b'{' => Self::of_json(message),
            _ if platform_line(message).is_some() => None,
            _ => Self::of_text(message),
        }
    }

    /// The first member with a level's key and a level's value: `"level":"high"` is not one, and does not hide a
    /// `severity` after it.
    fn of_json(message: &str) -> Option<Self> {
        let mut buffer = String::new();
        Members::of(message).find_map(|(key, value)| {
            is_level_key(key.key(&mut buffer))
                .then(|| Self::of_value(value))
                .flatten()
        })
    }

    fn of_value(value: Value) -> Option<Self> {
        match value {
            Value::Text(text) => Self::named(text.decoded()?.trim_ascii().as_bytes()),
            Value::Number(number) => Self::numbered(number),
            _ => None,
        }
    }

    /// The numbers of pino and bunyan.
    fn numbered(number: &str) -> Option<Self> {
        Some(match number {
            "10" => Level::Trace,
            "20" => Level::Debug,
            "30" => Level::Info,
            "40" => Level::Warn,
            "50" => Level::Error,
            "60" => Level::Fatal,
            _ => return None,
        })
    }

    /// A level by one of its names in any case, among them those of syslog, Python, Java, .NET and Go's loggers.
    fn named(name: &[u8]) -> Option<Self> {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        let level = match name.len() {
            3 if is("err") => Level::Error,
            4 if is("info") => Level::Info,
            4 if is("warn") => Level::Warn,
            4 if is("crit") => Level::Fatal,
            5 if is("error") => Level::Error,
            5 if is("debug") => Level::Debug,
            5 if is("trace") => Level::Trace,
            5 if is("fatal") => Level::Fatal,
            5 if is("panic") => Level::Fatal,
            6 if is("notice") => Level::Info,
            6 if is("severe") => Level::Error,
            7 if is("warning") => Level::Warn,
            7 if is("verbose") => Level::Trace,
            8 if is("critical") => Level::Fatal,
            9 if is("emergency") => Level::Fatal,
            11 if is("information") => Level::Info,
            13 if is("informational") => Level::Info,
            _ => return None,
        };
        Some(level)
    }

    fn of_text(message: &str) -> Option<Self> {
        let line = first_line(message);
        Self::before_message(line).or_else(|| Self::of_logfmt(line))
    }

    /// `[ERROR]⇥…` of Python, `<time>Z⇥<request id>⇥ERROR⇥…` of Node.js, `ERROR …`, `error: …`, and
    /// `<time> <thread or name> ERROR …` of log4j and its kin.
    fn before_message(line: &str) -> Option<Self> {
        // What stands between the time and the level: a request id, a thread, a name.
        const MOST_NAMES: usize = 2;
        let mut timed = false;
        let mut names = 0;
        for word in words(line) {
            if let Some(level) = Self::of_word(word) {
                return Some(level);
            }
            if is_time(word) {
                timed = true;
            } else if !is_punctuation(word) {
                names += 1;
                // Without a time before it, a word further on is as likely prose.
                if !timed || names > MOST_NAMES {
                    return None;
                }
            }
        }
        None
    }

    /// A word that states a level and is not prose: in capitals, or in any case between brackets or before a colon.
    fn of_word(word: &str) -> Option<Self> {
        let bytes = word.as_bytes();
        let (opening, rest) = match bytes {
            [opening @ (b'[' | b'(' | b'<'), rest @ ..] => (Some(opening), rest),
            _ => (None, bytes),
        };
        let length = rest.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        let (name, after) = rest.split_at(length);
        let stated = match (opening, after.first()) {
            (Some(b'['), Some(b']')) | (Some(b'('), Some(b')')) | (Some(b'<'), Some(b'>')) => true,
            (None, Some(b':')) => true,
            (_, None | Some(b'|' | b',' | b']')) => !name.iter().any(u8::is_ascii_lowercase),
            _ => false,
        };
        stated.then(|| Self::named(name)).flatten()
    }

    /// `level=error` or `severity="warning"` among other pairs.
    fn of_logfmt(line: &str) -> Option<Self> {
        static KEYS: LazyLock<[memmem::Finder; 2]> =
            LazyLock::new(|| ["level=", "severity="].map(memmem::Finder::new));
        let bytes = line.as_bytes();
        KEYS.iter().find_map(|key| {
            key.find_iter(bytes).find_map(|at| {
                let before = &bytes[..at];
                let before = before.strip_suffix(b"log_").unwrap_or(before);
                if before
                    .last()
                    .is_some_and(|byte| !byte.is_ascii_whitespace())
                {
                    return None;
                }
                let value = &bytes[at + key.needle().len()..];
                let value = value.strip_prefix(b"\"").unwrap_or(value);
                let length = value.iter().take_while(|b| b.is_ascii_alphabetic()).count();
                let (name, after) = value.split_at(length);
                match after.first() {
                    None | Some(b'"' | b',' | b' ' | b'\t' | b'\r') => Self::named(name),
                    Some(_) => None,
                }
            })
        })
    }
}

/// The keys under which loggers put the level, in any case: also `levelname` of Python, `LogLevel` of .NET and
/// `log.level` of the Elastic Common Schema.
fn is_level_key(key: &str) -> bool {
    let is = |other: &str| key.eq_ignore_ascii_case(other);
    match key.len() {
        5 => is("level"),
        8 => is("severity") || is("loglevel"),
        9 => is("log_level") || is("log.level") || is("levelname"),
        10 => is("level_name"),
        _ => false,
    }
}

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
        let message = message.trim_ascii_start();
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
fn platform_line(message: &str) -> Option<LogType> {
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
fn platform_event(name: &str) -> Option<LogType> {
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

/// The id of the Lambda invocation that a message belongs to.
///
/// In JSON a name that only Lambda's id has (`requestId`, `function_request_id`, `AWSRequestId`) goes before
/// `request_id`, which may as well be that of an API; in text it is the UUID that Lambda's runtimes put before the
/// message.
pub fn request_id(message: &str) -> Option<Cow<'_, str>> {
    // Of the words of a line: `[INFO]⇥<time>⇥<id>⇥…`, `<time>⇥<id>⇥INFO⇥…`, `<date> <time> <id> INFO …`.
    const LAST_PLACE: usize = 3;
    let message = message.trim_ascii_start();
    if message.starts_with('{') {
        return json_request_id(message);
    }
    let line = first_line(message);
    for beginning in ["START ", "END ", "REPORT ", ""] {
        // `RequestId: … Error: Runtime exited …` is the platform's too.
        if let Some(rest) = line.strip_prefix(beginning)
            && let Some(rest) = rest.strip_prefix("RequestId: ")
        {
            return words(rest).next().map(Cow::Borrowed);
        }
    }
    let first = line.as_bytes().first()?;
    (*first == b'[' || first.is_ascii_digit())
        .then(|| words(line).take(LAST_PLACE).find(|word| is_uuid(word)))
        .flatten()
        .map(Cow::Borrowed)
}

fn json_request_id(message: &str) -> Option<Cow<'_, str>> {
    let mut other = None;
    let mut buffer = String::new();
    for (key, value) in Members::of(message) {
        let id = match key.key(&mut buffer) {
            "requestId" | "function_request_id" | "AWSRequestId" | "awsRequestId" => value.text(),
            "record" => member(value, "requestId").and_then(Value::text),
            "request_id" => {
                other = other.or_else(|| value.text());
                None
            }
            _ => None,
        };
        if id.is_some() {
            return id;
        }
    }
    other
}

/// The id of the X-Ray trace that a message belongs to.
pub fn trace_id(message: &str) -> Option<Cow<'_, str>> {
    static XRAY: LazyLock<memmem::Finder> = LazyLock::new(|| memmem::Finder::new("XRAY TraceId: "));
    let message = message.trim_ascii_start();
    if !message.starts_with('{') {
        let at = XRAY.find(message.as_bytes())?;
        return words(&message[at + XRAY.needle().len()..])
            .next()
            .map(Cow::Borrowed);
    }
    let mut buffer = String::new();
    Members::of(message).find_map(|(key, value)| match key.key(&mut buffer) {
        "xray_trace_id" | "traceId" | "trace_id" => value.text().and_then(root),
        "record" => trace_root(member(value, "tracing")?),
        _ => None,
    })
}

/// The trace id of a `tracing` object of the Telemetry API: `{"value":"Root=1-…;Parent=…;Sampled=1", …}`.
pub(super) fn trace_root(tracing: Value<'_>) -> Option<Cow<'_, str>> {
    member(tracing, "value")?.text().and_then(root)
}

/// The trace id of an X-Ray header, or a bare one as it is.
fn root(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    const ROOT: &str = "Root=";
    let of_header = |header: &str| {
        let start = header.find(ROOT)? + ROOT.len();
        let length = header[start..].find(';').unwrap_or(header.len() - start);
        Some(start..start + length)
    };
    let root = match (of_header(&text), text) {
        (None, text) => text,
        (Some(range), Cow::Borrowed(text)) => Cow::Borrowed(&text[range]),
        (Some(range), Cow::Owned(text)) => Cow::Owned(text[range].to_owned()),
    };
    (!root.is_empty()).then_some(root)
}

fn member<'a>(object: Value<'a>, name: &str) -> Option<Value<'a>> {
    let mut buffer = String::new();
    object
        .members()
        .find(|(key, _)| key.key(&mut buffer) == name)
        .map(|(_, value)| value)
}

fn first_line(message: &str) -> &str {
    match memchr(b'\n', message.as_bytes()) {
        Some(end) => &message[..end],
        None => message,
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '\t', '\r', '\n'])
        .filter(|word| !word.is_empty())
}

/// A date, a time or both, of digits and what stands between them.
fn is_time(word: &str) -> bool {
    let word = word.trim_start_matches('[').as_bytes();
    word.first().is_some_and(u8::is_ascii_digit)
        && word.iter().any(|byte| b":-/".contains(byte))
        && word
            .iter()
            .all(|byte| byte.is_ascii_digit() || b"-:/.,+TZ]".contains(byte))
}

fn is_punctuation(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_punctuation())
}

/// A UUID, with its hyphens or without.
fn is_uuid(word: &str) -> bool {
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
