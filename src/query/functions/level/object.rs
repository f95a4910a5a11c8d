//! The level that a JSON object states: under a key that loggers use, or in a message that it holds.

use std::borrow::Cow;

use super::super::json::{Members, Value};
use super::super::message::{LogType, platform_event};
use super::{Level, head, names};

/// Whether a text begins as a JSON object with members does, and not as other things in braces.
pub(super) fn begins(text: &str) -> bool {
    let inside = text.strip_prefix('{').map(str::trim_ascii_start);
    inside.is_some_and(|inside| inside.starts_with('"'))
}

/// The level of the object that a text begins with: that of the outermost object that states one.
pub(super) fn level(text: &str, depth: u8) -> Option<Level> {
    let mut buffer = String::new();
    let mut seen = Seen::default();
    for (key, value) in Members::of(text) {
        let key = key.key(&mut buffer);
        let level = match Key::of(key) {
            Some(Key::Level) => seen.level(value),
            Some(Key::Numbered(numbering)) => number(value).and_then(|number| numbering(&number)),
            Some(Key::Type) => match value.text().and_then(|name| platform_event(&name)) {
                Some(event) => return of_platform(event, text),
                None => None,
            },
            Some(Key::Sign) => seen.sign(key, value),
            Some(Key::Message) => {
                seen.message = true;
                None
            }
            None => None,
        };
        if level.is_some() {
            return level;
        }
    }
    if seen.message && depth > 0 {
        let within = of_messages(text, seen.wrapped, depth - 1);
        if within.is_some() {
            return within;
        }
    }
    seen.otherwise()
}

/// What a key says of its value.
enum Key {
    /// A level, by name or number.
    Level,
    /// A level, by one numbering.
    Numbered(fn(&str) -> Option<Level>),
    /// What kind of event of Lambda's platform it is.
    Type,
    /// A message, as text or as an object.
    Message,
    /// Something that tells one format from others.
    Sign,
}

impl Key {
    #[inline]
    fn of(key: &str) -> Option<Self> {
        if is_level(key) {
            return Some(Key::Level);
        }
        Some(match key {
            "type" => Key::Type,
            "log" | "message" | "msg" | "MESSAGE" | "Message" | "body" | "line" | "record"
            | "log_processed" | "@fields" | "_meta" | "logEvent" => Key::Message,
            "severity_number" | "severityNumber" | "SeverityNumber" => {
                Key::Numbered(names::of_opentelemetry)
            }
            "PRIORITY" | "syslog_severity" | "syslog.severity" | "log.syslog.severity.code" => {
                Key::Numbered(names::of_syslog)
            }
            "levelno" => Key::Numbered(names::of_python),
            "short_message" | "facility" | "@t" | "t" | "s" | "stream" | "logtag" | "kubernetes"
            | "docker" | "container_id" | "container_name" | "ecs_cluster" | "ecs_task_arn" => {
                Key::Sign
            }
            _ => return None,
        })
    }
}

/// The keys under which loggers put the level, in any case: those of most loggers, Python (`levelname`), .NET
/// (`LogLevel`), Compact Log Event Format (`@l`), hclog (`@level`), the Elastic Common Schema (`log.level`),
/// OpenTelemetry (`severityText`), Monolog (`level_name`), Logstash (`severity_label`), Sidekiq (`lvl`), AWS Managed
/// Flink (`messageType`), Falco (`priority`) and Google Cloud.
pub(super) fn is_level(key: &str) -> bool {
    let is = |other: &str| key.eq_ignore_ascii_case(other);
    match key.len() {
        2 => is("@l"),
        3 => is("lvl") || is("sev"),
        5 => is("level"),
        6 => is("@level"),
        8 => is("severity") || is("loglevel") || is("priority"),
        9 => is("log_level") || is("log.level") || is("log-level") || is("levelname"),
        10 => is("level_name") || is("level.name") || is("level_text"),
        11 => is("messageType") || is("logSeverity"),
        12 => is("severityText") || is("log_severity") || is("logLevelName"),
        13 => is("severity_text") || is("severityLabel"),
        14 => is("severity_label") || is("log_level_name"),
        31 => is("logging.googleapis.com/severity"),
        _ => false,
    }
}

/// What the members so far tell of how the others are to be read.
#[derive(Default)]
struct Seen {
    /// A member may be a message of its own.
    message: bool,
    /// It is an envelope in which a log router put a whole line.
    wrapped: bool,
    /// A level in syslog's numbers, which only an object of syslog's states by that.
    syslog: Option<Level>,
    /// The object is one of syslog's: a GELF message, or it names a facility.
    is_syslog: bool,
    /// It is a Compact Log Event, whose level may be left out: it is then informational.
    is_compact: bool,
    /// It is a MongoDB entry: `t` is an object with a date.
    is_mongodb: bool,
}

impl Seen {
    fn level(&mut self, value: Value) -> Option<Level> {
        match value {
            Value::Text(text) => {
                let text = text.decoded()?;
                names::of_value(&text).or_else(|| self.number(&text))
            }
            Value::Number(number) => self.number(number),
            Value::Object(_) => value.members().find_map(|(key, value)| match key.raw() {
                "name" | "text" | "label" | "levelStr" => names::of_value(&value.text()?),
                _ => None,
            }),
            _ => None,
        }
    }

    fn number(&mut self, number: &str) -> Option<Level> {
        self.syslog = self.syslog.or_else(|| names::of_syslog(number));
        names::of_tens(number)
    }

    fn sign(&mut self, key: &str, value: Value) -> Option<Level> {
        match key {
            "short_message" | "facility" => self.is_syslog = true,
            "@t" => self.is_compact = true,
            "t" => self.is_mongodb = matches!(value, Value::Object(_)),
            "s" if self.is_mongodb => return names::of_value(&value.text()?),
            "s" => {}
            _ => self.wrapped = true,
        }
        None
    }

    /// The level where no member states it as most loggers do.
    fn otherwise(self) -> Option<Level> {
        self.syslog
            .filter(|_| self.is_syslog)
            .or(self.is_compact.then_some(Level::Info))
    }
}

/// A number, also in quotes as journald writes it.
fn number(value: Value) -> Option<Cow<str>> {
    match value {
        Value::Number(number) => Some(Cow::Borrowed(number)),
        _ => value.text(),
    }
}

/// What Lambda's platform reports of failures: that the time was over, which only the report says, and that the process
/// ended. Other failures have a line of their own, by the runtime.
fn of_platform(event: LogType, text: &str) -> Option<Level> {
    let record = Members::of(text).find(|(key, _)| key.raw() == "record");
    let failed = match (event, record?.1) {
        (LogType::Report, record) => record
            .members()
            .any(|(key, value)| key.raw() == "status" && value.text().as_deref() == Some("timeout")),
        (_, Value::Text(record)) => head::is_failure(&record.decoded()?),
        _ => false,
    };
    failed.then_some(Level::Error)
}

/// The level of a message within. Of plain text only what a log router wrapped is a whole line, with a level in its
/// head; what else a logger calls its message is prose, unless an object is in it.
fn of_messages(text: &str, wrapped: bool, depth: u8) -> Option<Level> {
    let mut buffer = String::new();
    Members::of(text).find_map(|(key, value)| {
        let key = key.key(&mut buffer);
        if !matches!(Key::of(key), Some(Key::Message)) {
            return None;
        }
        match value {
            Value::Object(object) => level(object, depth),
            Value::Text(_) if wrapped || key == "log" => Level::within(&value.text()?, depth),
            Value::Text(text) if text.raw().contains('{') => {
                head::level_of_object(&text.decoded()?, depth)
            }
            _ => None,
        }
    })
}
