//! A line of a delivered object to its event. Pure: an event holds places in the line.
//!
//! What a line is shows at the first one of an object, or the job says it:
//!
//! - a JSON object, as of the output format `json`, and of Lambda's logs of the class Delivery, which have the log group and the
//!   log stream beside the message;
//! - fields in the order of a header, `#Fields: date time …`, as of `w3c`, or in the order of `fields` of the job, as of `plain`;
//! - text that begins with a time, as of `raw`.

use std::ops::Range;

use super::members::{Value, Wrong, members};
use super::time;
use super::usual::UsualLines;
use crate::job::{DATE, RecordShape, TIME_NAMES};
use crate::scan::records::JsonText;

/// The header that names the fields of the W3C extended log file format.
const FIELDS: &[u8] = b"#Fields:";

/// As much of a value is shown in an error.
const SHOWN: usize = 64;

/// An event, by places in its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Milliseconds since 1970-01-01T00:00Z.
    pub timestamp_ms: i64,
    /// Its message.
    pub message: JsonText,
    /// Its id, which Lambda's records have.
    pub id: Option<JsonText>,
    /// Where it comes from.
    pub origin: LineOrigin,
}

/// What a line says of where its event comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineOrigin {
    /// Nothing.
    Unsaid,
    /// What Lambda's records have beside the message.
    Said(Box<EventOrigin>),
    /// The same as the line of the event before.
    AsBefore,
}

/// What a record of Lambda says of its event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventOrigin {
    /// The account of the log group.
    pub account: Option<JsonText>,
    /// The log group.
    pub log_group: Option<JsonText>,
    /// The log stream.
    pub log_stream: Option<JsonText>,
}

/// Finds the events in the lines of an object, which are given in their order.
#[derive(Debug)]
pub struct Lines {
    shape: RecordShape,
    kind: Option<Kind>,
    usual: UsualLines,
}

#[derive(Debug)]
enum Kind {
    Json,
    Fields {
        fields: Fields,
        /// Whether the object has named them.
        has_header: bool,
    },
    /// Text that begins with a time.
    Text,
}

/// Where the parts of an event are among the fields of a line.
#[derive(Debug)]
struct Fields {
    names: Vec<String>,
    time: TimeField,
    message: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
enum TimeField {
    One(usize),
    DateAndTime(usize, usize),
}

/// What is found of a record while its members are passed.
#[derive(Default)]
struct Found {
    /// The most certain time, and which of the names it has.
    time: Option<(usize, Value)>,
    date: Option<Value>,
    message: Option<Value>,
    /// The member `message`, which is that of a record of Lambda.
    own_message: Option<Value>,
    id: Option<JsonText>,
    origin: EventOrigin,
}

impl Lines {
    /// For the lines of an object of this shape.
    pub fn new(shape: &RecordShape) -> Self {
        Self {
            shape: shape.clone(),
            kind: None,
            usual: UsualLines::default(),
        }
    }

    /// Whether the lines say by themselves what their parts are: they are JSON, or fields with a header.
    pub fn say_what_they_are(&self) -> bool {
        match self.kind {
            Some(Kind::Json) => true,
            Some(Kind::Fields { has_header, .. }) => has_header,
            Some(Kind::Text) | None => false,
        }
    }

    /// The event of the next line, which is without its line end; `None` of a line that has none: it is empty, or a header.
    ///
    /// # Errors
    /// What is wrong with the line, in words that go on after "the line at byte …".
    pub fn event(&mut self, line: &[u8]) -> Result<Option<Event>, String> {
        if line.trim_ascii().is_empty() {
            return Ok(None);
        }
        if self.kind.is_none() || is_directive(line) {
            match self.begin(line)? {
                true => {}
                false => return Ok(None),
            }
        }
        match &self.kind {
            Some(Kind::Json) => {
                let names_parts = self.shape.time.is_some() || self.shape.message.is_some();
                if !names_parts && let Some(event) = self.usual.event(line) {
                    return Ok(Some(event));
                }
                // The next line is not behind a usual one.
                self.usual = UsualLines::default();
                self.of_json(line).map(Some)
            }
            Some(Kind::Fields { fields, .. }) => self.of_fields(line, fields).map(Some),
            Some(Kind::Text) | None => self.of_text(line).map(Some),
        }
    }

    /// Finds out what the lines are. Whether this one may have an event.
    fn begin(&mut self, line: &[u8]) -> Result<bool, String> {
        if is_directive(line) {
            let may_have_header = match self.kind {
                None => true,
                Some(Kind::Fields { has_header, .. }) => has_header,
                Some(Kind::Json | Kind::Text) => return Ok(true),
            };
            if let Some(names) = line.strip_prefix(FIELDS)
                && may_have_header
            {
                let names = String::from_utf8_lossy(names);
                let names = names.split_whitespace().map(str::to_owned).collect();
                let fields = self.fields(names)?;
                let has_header = true;
                self.kind = Some(Kind::Fields { fields, has_header });
            }
            return Ok(!may_have_header);
        }
        self.kind = Some(if line.trim_ascii_start().starts_with(b"{") {
            Kind::Json
        } else if self.shape.fields.is_empty() {
            Kind::Text
        } else {
            let fields = self.fields(self.shape.fields.clone())?;
            // Some services write the names of the fields above them.
            let is_header = self.time_texts(line, &fields).is_some_and(|(texts, _)| {
                texts
                    .iter()
                    .all(|text| fields.names.iter().any(|name| name.as_bytes() == *text))
            });
            let has_header = false;
            self.kind = Some(Kind::Fields { fields, has_header });
            return Ok(!is_header);
        });
        Ok(true)
    }

    /// Where the parts are among fields of these names.
    fn fields(&self, names: Vec<String>) -> Result<Fields, String> {
        let place = |wanted: &str| names.iter().position(|name| name == wanted);
        let time = match &self.shape.time {
            Some(name) => place(name).map(|at| dated(at, name, place(DATE))),
            None => TIME_NAMES
                .iter()
                .find_map(|name| place(name).map(|at| dated(at, name, place(DATE)))),
        };
        let Some(time) = time else {
            let wanted = self.wanted_times();
            return Err(format!(
                "names the fields {}, without the time: expected {wanted} among them",
                names.join(" ")
            ));
        };
        Ok(Fields {
            time,
            message: self.shape.message.as_deref().and_then(place),
            names,
        })
    }

    /// The names that the time may have, in words.
    fn wanted_times(&self) -> String {
        match &self.shape.time {
            Some(name) => format!("{name:?}, as [source] time says,"),
            None => format!(
                "one of {}, or [source] time with the name that it has",
                TIME_NAMES.join(", ")
            ),
        }
    }

    fn of_json(&self, line: &[u8]) -> Result<Event, String> {
        let mut found = Found::default();
        let ended = members(line, |name, value| {
            if !value.is_null(line) {
                found.take(line, name, value, &self.shape);
            }
        });
        ended.map_err(|Wrong { at, expected }| {
            format!("is no JSON object: expected {expected}, at its byte {at}")
        })?;
        let Some((rank, value)) = found.time else {
            return Err(format!("has no time: expected {}", self.wanted_times()));
        };
        let text = &line[value.text.at.clone()];
        let of_date = match &found.date {
            Some(date) if self.time_name(rank) == "time" => {
                time::of_date_and_time(&line[date.text.at.clone()], text)
            }
            _ => None,
        };
        let Some(timestamp_ms) = of_date.or_else(|| time::of_text(text)) else {
            return Err(unreadable(self.time_name(rank), text));
        };
        let is_of_lambda = found.origin.log_group.is_some() && found.origin.log_stream.is_some();
        let message = match (found.message, found.own_message) {
            (Some(message), _) => message.text,
            (None, Some(message)) if is_of_lambda && self.shape.message.is_none() => message.text,
            _ => whole(line),
        };
        Ok(Event {
            timestamp_ms,
            message,
            id: found.id.filter(|_| is_of_lambda),
            origin: match is_of_lambda {
                true => LineOrigin::Said(Box::new(found.origin)),
                false => LineOrigin::Unsaid,
            },
        })
    }

    /// The name of a rank in [`Found::time`].
    fn time_name(&self, rank: usize) -> &str {
        match &self.shape.time {
            Some(name) => name,
            None => TIME_NAMES.get(rank).copied().unwrap_or_default(),
        }
    }

    fn of_fields(&self, line: &[u8], fields: &Fields) -> Result<Event, String> {
        let Some((texts, name)) = self.time_texts(line, fields) else {
            return Err(format!(
                "has fewer fields than the time needs: expected {}",
                fields.names.join(" ")
            ));
        };
        let timestamp_ms = match texts[..] {
            [text] => time::of_text(text),
            [date, of_day] => {
                time::of_date_and_time(date, of_day).or_else(|| time::of_text(of_day))
            }
            _ => None,
        };
        let Some(timestamp_ms) = timestamp_ms else {
            let shown = texts.join(&b' ');
            return Err(unreadable(name, &shown));
        };
        let message = fields.message.and_then(|at| self.field(line, at));
        Ok(Event {
            timestamp_ms,
            message: match message {
                Some(at) => JsonText { at, escaped: false },
                None => whole(line),
            },
            id: None,
            origin: LineOrigin::Unsaid,
        })
    }

    /// The texts of the time of a line, and its name.
    fn time_texts<'l>(
        &self,
        line: &'l [u8],
        fields: &'l Fields,
    ) -> Option<(Vec<&'l [u8]>, &'l str)> {
        let text = |at: usize| self.field(line, at).map(|at| &line[at]);
        let name = |at: usize| fields.names.get(at).map(String::as_str).unwrap_or_default();
        match fields.time {
            TimeField::One(at) => Some((vec![text(at)?], name(at))),
            TimeField::DateAndTime(date, of_day) => {
                Some((vec![text(date)?, text(of_day)?], name(of_day)))
            }
        }
    }

    /// The place of the field with a number; `None` where the line has fewer.
    fn field(&self, line: &[u8], number: usize) -> Option<Range<usize>> {
        let nth = |delimiter: &[u8]| {
            let mut start = 0;
            for _ in 0..number {
                start += memchr::memmem::find(&line[start..], delimiter)? + delimiter.len();
            }
            let end = memchr::memmem::find(&line[start..], delimiter);
            Some(start..end.map_or(line.len(), |end| start + end))
        };
        match &self.shape.delimiter {
            Some(delimiter) => nth(delimiter.as_bytes()),
            None if line.contains(&b'\t') => nth(b"\t"),
            None => {
                let is_space = |byte: &u8| *byte == b' ';
                let mut words = line.split(is_space).filter(|word| !word.is_empty());
                let word = words.nth(number)?;
                let start = word.as_ptr().addr() - line.as_ptr().addr();
                Some(start..start + word.len())
            }
        }
    }

    /// The event of a text that begins with a time, which may stand in brackets or quotes.
    fn of_text(&self, line: &[u8]) -> Result<Event, String> {
        let is_around = |byte: &u8| matches!(byte, b'[' | b']' | b'"' | b'(' | b')');
        let delimiter = self.shape.delimiter.as_deref().map(str::as_bytes);
        let is_end = |rest: &[u8]| {
            let is_of_job = delimiter.is_some_and(|delimiter| rest.starts_with(delimiter));
            is_of_job
                || rest
                    .first()
                    .is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'|' | b';'))
        };
        let word_of = |from: usize| {
            let length = (from..line.len())
                .take_while(|at| !is_end(&line[*at..]))
                .count();
            from..from + length
        };
        let bare = |range: Range<usize>| {
            let word = &line[range];
            let start = word
                .iter()
                .position(|byte| !is_around(byte))
                .unwrap_or(word.len());
            let end = word
                .iter()
                .rposition(|byte| !is_around(byte))
                .map_or(start, |last| last + 1);
            &word[start..end]
        };
        let first = word_of(0);
        let behind = first.end + delimiter.map_or(1, <[u8]>::len);
        let timestamp_ms = time::of_text(bare(first.clone())).or_else(|| {
            let second = bare(word_of(behind.min(line.len())));
            time::of_date_and_time(
                bare(first.clone()),
                second.strip_suffix(b",").unwrap_or(second),
            )
        });
        match timestamp_ms {
            Some(timestamp_ms) => Ok(Event {
                timestamp_ms,
                message: whole(line),
                id: None,
                origin: LineOrigin::Unsaid,
            }),
            None => Err(format!(
                "is no JSON and does not begin with a time, but with {}: expected one of them, or [source] fields with the names of the fields in their order",
                shown(&line[..line.len().min(SHOWN)])
            )),
        }
    }
}

impl Found {
    /// Takes a member of a record, if it is a part of its event.
    #[inline]
    fn take(&mut self, line: &[u8], name: &[u8], value: Value, shape: &RecordShape) {
        let text = |value: &Value| value.is_text.then(|| value.text.clone());
        // A program that wrote the line again may have made them numbers.
        let is_id = |value: &Value| value.is_text || value.is_number(line);
        let id = |value: &Value| is_id(value).then(|| value.text.clone());
        match name {
            b"id" => self.id = id(&value),
            b"accountId" => self.origin.account = id(&value),
            b"logGroup" => self.origin.log_group = text(&value),
            b"logStream" => self.origin.log_stream = text(&value),
            b"message" => self.own_message = Some(value.clone()),
            b"date" => self.date = Some(value.clone()),
            _ => {}
        }
        if shape
            .message
            .as_deref()
            .is_some_and(|wanted| wanted.as_bytes() == name)
        {
            self.message = Some(value.clone());
        }
        let rank = match &shape.time {
            Some(wanted) => (wanted.as_bytes() == name).then_some(0),
            None => TIME_NAMES.iter().position(|known| known.as_bytes() == name),
        };
        let Some(rank) = rank else {
            return;
        };
        if self.time.as_ref().is_none_or(|(known, _)| rank < *known) {
            self.time = Some((rank, value));
        }
    }
}

/// Whether a line says something of those behind it, as `#Version: 1.0` of the W3C extended log file format does. Other lines that
/// begin with `#` are events, or damage.
fn is_directive(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"#") else {
        return false;
    };
    let is_of_name = |byte: &&u8| byte.is_ascii_alphabetic() || **byte == b'-';
    let name = rest.iter().take_while(is_of_name).count();
    name > 0 && rest.get(name) == Some(&b':')
}

/// The time of a field, with the day from another where it is only a time of day.
fn dated(at: usize, name: &str, date: Option<usize>) -> TimeField {
    match date {
        Some(date) if name == "time" => TimeField::DateAndTime(date, at),
        _ => TimeField::One(at),
    }
}

/// The whole line as a message.
fn whole(line: &[u8]) -> JsonText {
    JsonText {
        at: 0..line.len(),
        escaped: false,
    }
}

fn unreadable(name: &str, text: &[u8]) -> String {
    format!(
        "has {name} = {}: expected a time, such as 1795298709123, 1795298709 or 2026-11-21T22:05:09.123Z",
        shown(&text[..text.len().min(SHOWN)])
    )
}

fn shown(text: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(text))
}

#[cfg(test)]
mod tests;
