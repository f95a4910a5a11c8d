//! The level that a JSON object states: under a key that loggers use, or in a message that it holds.

use std::borrow::Cow;

use memchr::memchr;

use super::super::json::{Members, Value};
use super::names::folded;
use super::{Level, head, names, platform};

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
        // a walk over all members, so all but the usual is out of line
        let level = match Key::of(key) {
            None => continue,
            Some(Key::Level) => seen.level(key, value),
            Some(Key::Type) => match platform::event(value) {
                Some(event) => return platform::of_event(event, text),
                None => continue,
            },
            Some(Key::Message) => {
                seen.message(key, value);
                continue;
            }
            Some(key_of) => seen.other(key_of, key, value),
        };
        if level.is_some() {
            return level;
        }
    }
    seen.otherwise(text, depth)
}

/// What a key says of its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    /// A level, by name or number.
    Level,
    /// A level, by the numbers of OpenTelemetry, syslog, or Python.
    OpenTelemetry,
    Syslog,
    Python,
    /// What kind of event of Lambda's platform it is.
    Type,
    /// A message, as text or as an object.
    Message,
    /// Something that tells one format from others.
    Sign,
}

/// The keys that say something, in any case, the shorter ones first. Those of a level are most loggers', Python's (`levelname`), .NET's
/// (`LogLevel`), those of Compact Log Event Format (`@l`), hclog (`@level`), the Elastic Common Schema (`log.level`),
/// OpenTelemetry (`severityText`), journald (`PRIORITY`), Monolog (`level_name`), Logstash (`severity_label`), Sidekiq
/// (`lvl`), tslog (`logLevelName`), AWS Managed Flink (`messageType`), Falco (`priority`) and Google Cloud.
const KEYS: [(&str, Key); 55] = [
    ("t", Key::Sign),
    ("s", Key::Sign),
    ("@l", Key::Level),
    ("@t", Key::Sign),
    ("lvl", Key::Level),
    ("sev", Key::Level),
    ("msg", Key::Message),
    ("log", Key::Message),
    ("type", Key::Type),
    ("body", Key::Message),
    ("line", Key::Message),
    ("level", Key::Level),
    ("_meta", Key::Message),
    ("@level", Key::Level),
    ("record", Key::Message),
    ("stream", Key::Sign),
    ("logtag", Key::Sign),
    ("docker", Key::Sign),
    ("levelno", Key::Python),
    ("message", Key::Message),
    ("@fields", Key::Message),
    ("severity", Key::Level),
    ("loglevel", Key::Level),
    ("priority", Key::Level),
    ("logEvent", Key::Message),
    ("facility", Key::Sign),
    ("log_level", Key::Level),
    ("log.level", Key::Level),
    ("log-level", Key::Level),
    ("levelname", Key::Level),
    ("level_name", Key::Level),
    ("level.name", Key::Level),
    ("level_text", Key::Level),
    ("kubernetes", Key::Sign),
    ("messageType", Key::Level),
    ("logSeverity", Key::Level),
    ("ecs_cluster", Key::Sign),
    ("log_severity", Key::Level),
    ("logLevelName", Key::Level),
    ("severityText", Key::Level),
    ("container_id", Key::Sign),
    ("ecs_task_arn", Key::Sign),
    ("severity_text", Key::Level),
    ("severityLabel", Key::Level),
    ("log_processed", Key::Message),
    ("short_message", Key::Sign),
    ("log_level_name", Key::Level),
    ("severity_label", Key::Level),
    ("severityNumber", Key::OpenTelemetry),
    ("container_name", Key::Sign),
    ("severity_number", Key::OpenTelemetry),
    ("syslog_severity", Key::Syslog),
    ("syslog.severity", Key::Syslog),
    ("log.syslog.severity.code", Key::Syslog),
    ("logging.googleapis.com/severity", Key::Level),
];

/// The keys of each length, up to the longest; a short key stands by its number (see [`folded`]), a long one by that of
/// its first eight bytes.
const BY_LENGTH: [(usize, usize); 32] = {
    let mut ranges = [(0, 0); 32];
    let mut at = 0;
    while at < KEYS.len() {
        let length = KEYS[at].0.len();
        if ranges[length].1 == 0 {
            ranges[length].0 = at;
        }
        at += 1;
        ranges[length].1 = at;
    }
    ranges
};

/// For each byte that a key may begin with, the lengths of such keys, as bits: of most members of a message, this is all
/// that is looked at.
const LENGTHS: [u32; 256] = {
    let mut lengths = [0; 256];
    let mut at = 0;
    while at < KEYS.len() {
        let key = KEYS[at].0.as_bytes();
        lengths[key[0].to_ascii_lowercase() as usize] |= 1 << key.len();
        lengths[key[0].to_ascii_uppercase() as usize] |= 1 << key.len();
        at += 1;
    }
    lengths
};

const FOLDED: [u64; KEYS.len()] = {
    let mut numbers = [0; KEYS.len()];
    let mut at = 0;
    while at < KEYS.len() {
        numbers[at] = folded_start(KEYS[at].0.as_bytes());
        at += 1;
    }
    numbers
};

const fn folded_start(key: &[u8]) -> u64 {
    match key.split_first_chunk::<8>() {
        Some((start, _)) => u64::from_be_bytes(*start) | 0x2020_2020_2020_2020,
        None => folded(key),
    }
}

impl Key {
    #[inline]
    fn of(key: &str) -> Option<Self> {
        // the two that most messages have
        match key {
            "level" => return Some(Key::Level),
            "message" => return Some(Key::Message),
            _ => {}
        }
        let lengths = LENGTHS[usize::from(*key.as_bytes().first()?)];
        let is_likely = lengths
            .checked_shr(key.len() as u32)
            .is_some_and(|bits| bits & 1 == 1);
        if is_likely { Self::named(key) } else { None }
    }

    fn named(key: &str) -> Option<Self> {
        let (start, end) = BY_LENGTH[key.len()];
        let wanted = folded_start(key.as_bytes());
        let at = start
            + FOLDED[start..end]
                .iter()
                .position(|number| *number == wanted)?;
        let mut keys = KEYS[at..end].iter();
        let is_same = |name: &str| key.len() <= 8 || name.eq_ignore_ascii_case(key);
        keys.find(|(name, _)| is_same(name)).map(|(_, key)| *key)
    }
}

/// Whether a key is one of a level.
pub(super) fn is_level(key: &str) -> bool {
    Key::of(key) == Some(Key::Level)
}

/// What the members so far tell of how the others are to be read.
#[derive(Default)]
struct Seen<'a> {
    /// How many members are messages, and the last of them; whether it is a line that a router put there.
    messages: usize,
    message: Option<(bool, Value<'a>)>,
    /// It is an envelope in which a log router put a whole line.
    wrapped: bool,
    /// A level in syslog's numbers, which only an object of syslog's states by that.
    syslog: Option<Level>,
    /// The object is one of syslog's: journald's, a GELF message, or one that names a facility.
    is_syslog: bool,
    /// It is a Compact Log Event, whose level may be left out: it is then informational.
    is_compact: bool,
    /// It is a MongoDB entry: `t` is an object with a date.
    is_mongodb: bool,
}

impl<'a> Seen<'a> {
    #[inline]
    fn level(&mut self, key: &str, value: Value) -> Option<Level> {
        match value {
            Value::Text(text) if let Some((level, _)) = names::lookup(text.raw().as_bytes()) => {
                Some(level)
            }
            _ => self.odd_level(key, value),
        }
    }

    /// A level that is no plain name.
    #[inline(never)]
    fn odd_level(&mut self, key: &str, value: Value) -> Option<Level> {
        self.is_syslog |= key == "PRIORITY";
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
        let number = number.strip_suffix(".0").unwrap_or(number);
        self.syslog = self.syslog.or_else(|| names::of_syslog(number));
        names::of_tens(number)
    }

    #[inline(never)]
    fn other(&mut self, key_of: Key, key: &str, value: Value) -> Option<Level> {
        match key_of {
            Key::OpenTelemetry => names::of_opentelemetry(&number(value)?),
            Key::Syslog => names::of_syslog(&number(value)?),
            Key::Python => names::of_python(&number(value)?),
            Key::Sign => self.sign(key, value),
            Key::Level | Key::Type | Key::Message => None,
        }
    }

    #[inline]
    fn message(&mut self, key: &str, value: Value<'a>) {
        self.messages += 1;
        self.message = Some((key == "log", value));
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
    #[inline(never)]
    fn otherwise(self, text: &str, depth: u8) -> Option<Level> {
        let may_state = match self.message {
            _ if self.messages > 1 => true,
            Some((is_line, Value::Text(text))) => {
                is_line || self.wrapped || memchr(b'{', text.raw().as_bytes()).is_some()
            }
            Some((_, value)) => matches!(value, Value::Object(_)),
            None => false,
        };
        let within = || of_messages(text, self.wrapped, depth.checked_sub(1)?);
        may_state
            .then(within)
            .flatten()
            .or(self.syslog.filter(|_| self.is_syslog))
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

/// The level of a message within. Of plain text only what a log router wrapped is a whole line, with a level in its
/// head; what else a logger calls its message is prose, unless an object is in it.
#[inline(never)]
fn of_messages(text: &str, wrapped: bool, depth: u8) -> Option<Level> {
    let mut buffer = String::new();
    Members::of(text).find_map(|(key, value)| {
        let key = key.key(&mut buffer);
        if Key::of(key) != Some(Key::Message) {
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
