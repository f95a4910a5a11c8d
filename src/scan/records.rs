//! Text of a subscription to its records: JSON objects that follow one another, with or without anything between them.
//! Pure: no Arrow, no I/O.
//!
//! A record is what CloudWatch Logs sends to a subscription's destination: `messageType`, `owner`, `logGroup`,
//! `logStream` and `logEvents`, in any order, with other members beside them. Nothing is copied: a record holds places
//! in the text, and a message with escapes is decoded once, where it becomes a row.
//!
//! A consumer may have kept the event of Lambda or Kinesis that has records in base64: `{"awslogs":{"data":"H4sI…"}}`.
//! Such an object is a record without events, and with the places of these texts.

use std::ops::Range;

use super::digits;
use super::escapes::end_of_text;
pub use super::unescape::unescape;

/// CloudWatch sends records of at most a mebibyte, compressed, and logs are not compressed to less than a 64th. A text with a longer
/// one is no subscription.
pub const LONGEST_RECORD: usize = 64 << 20;

/// The times of events, in milliseconds: from 2000 to 9999. A number outside is of another unit, such as seconds.
const TIMES: Range<i64> = 946_684_800_000..253_402_300_800_000;

/// A longer record may be read in pieces of this length in bytes.
const BLOCK: usize = super::object::BLOCK;

/// Values in values. Deeper ones are no part of a record, and reading them must not end the stack.
const DEEPEST: usize = 64;

/// A text of JSON, without its quotes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonText {
    /// Its place.
    pub at: Range<usize>,
    /// Whether it has escapes.
    pub escaped: bool,
}

/// An event of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordEvent {
    /// Its id; `None` where a program that wrote the record again left it out.
    pub id: Option<JsonText>,
    /// Milliseconds since 1970-01-01T00:00Z.
    pub timestamp_ms: i64,
    /// Its message.
    pub message: JsonText,
}

/// A record of a subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Its place.
    pub at: Range<usize>,
    /// The account of the log group.
    pub owner: Option<JsonText>,
    /// The log group.
    pub log_group: Option<JsonText>,
    /// The log stream.
    pub log_stream: Option<JsonText>,
    /// Its events; none of a control message, by which CloudWatch tests the destination.
    pub events: Vec<RecordEvent>,
    /// Where it has gzip data in base64 in place of events.
    pub encoded: Vec<JsonText>,
}

/// How gzip data begins in base64.
pub const GZIP_IN_BASE64: &[u8] = b"H4sI";

/// What [`Records::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A record: it is in [`Records::record`].
    Record,
    /// The text ends, or the record that begins there does not end in it.
    NeedsText,
    /// This place can't be a part of a record.
    Wrong {
        /// The place.
        at: usize,
        /// What was expected there.
        expected: &'static str,
    },
}

/// Finds records in a text that comes in pieces.
///
/// The caller keeps the text from [`keep_from`](Self::keep_from) on, appends the next piece, reports with
/// [`dropped`](Self::dropped) how much it dropped in front, and calls [`next`](Self::next) again.
#[derive(Debug, Default)]
pub struct Records {
    record: Record,
    /// Behind the last record.
    at: usize,
    /// A text that is not longer than this has no other record: it was looked at.
    seen: usize,
    count: u64,
}

impl Records {
    /// The record that was found last.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// How many were found.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first byte that is still needed.
    pub fn keep_from(&self) -> usize {
        self.at
    }

    /// Reports that `bytes` were dropped in front, at most [`keep_from`](Self::keep_from).
    pub fn dropped(&mut self, bytes: usize) {
        self.at -= bytes;
        self.seen = self.seen.saturating_sub(bytes);
    }

    /// The next record. `last` means that no text follows.
    pub fn next(&mut self, text: &[u8], last: bool) -> Found {
        // A record that comes in many pieces is read again only when there is twice as much of it.
        let grown = text.len() - self.at;
        let wanted = (2 * self.seen.saturating_sub(self.at)).min(LONGEST_RECORD - BLOCK);
        if !last && self.seen > 0 && grown < wanted {
            return Found::NeedsText;
        }
        let mut cursor = Cursor {
            text,
            at: self.at,
            last,
            encoded: std::mem::take(&mut self.record.encoded),
        };
        cursor.encoded.clear();
        let skipped = cursor.between();
        self.at = cursor.at;
        self.seen = 0;
        if !skipped {
            return Found::NeedsText;
        }
        self.record.events.clear();
        match cursor.record(&mut self.record) {
            Ok(()) => {
                self.record.at = self.at..cursor.at;
                self.at = cursor.at;
                self.count += 1;
                Found::Record
            }
            Err(Stop::Short) => {
                self.record.events.clear();
                self.seen = text.len();
                Found::NeedsText
            }
            Err(Stop::Wrong(expected)) => Found::Wrong {
                at: cursor.at,
                expected,
            },
        }
    }
}

/// Why a value can't be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// The text ends within it.
    Short,
    /// It is no JSON, or not what is expected.
    Wrong(&'static str),
}

type Read<T> = Result<T, Stop>;

struct Cursor<'t> {
    text: &'t [u8],
    at: usize,
    last: bool,
    /// The texts that were passed over and begin as gzip data in base64.
    encoded: Vec<JsonText>,
}

impl Cursor<'_> {
    /// Passes over what may stand between records: white space, and commas and brackets of a program that made a list of
    /// them. False at the end of the text.
    fn between(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let passed = rest.iter().take_while(|byte| {
            matches!(
                byte,
                b' ' | b'\n' | b'\r' | b'\t' | b',' | b'[' | b']' | 0x1e
            )
        });
        self.at += passed.count();
        self.at < self.text.len()
    }

    /// The next byte that is no white space, which is not taken.
    #[inline]
    fn peek(&mut self) -> Read<u8> {
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Ok(*byte),
            }
        }
        Err(Stop::Short)
    }

    #[inline]
    fn take(&mut self, byte: u8, expected: &'static str) -> Read<()> {
        match self.peek()? {
            found if found == byte => {
                self.at += 1;
                Ok(())
            }
            _ => Err(Stop::Wrong(expected)),
        }
    }

    /// A text, whose quote is next.
    #[inline]
    fn string(&mut self) -> Read<JsonText> {
        self.take(b'"', "a text in quotes")?;
        let start = self.at;
        let (end, escaped) = end_of_text(self.text, start).ok_or(Stop::Short)?;
        self.at = end + 1;
        Ok(JsonText {
            at: start..end,
            escaped,
        })
    }

    /// An integer. One that may go on behind the end of the text is short.
    fn integer(&mut self) -> Read<i64> {
        const EXPECTED: &str = "milliseconds since 1970 as a whole number";
        let quoted = self.peek()? == b'"';
        self.at += usize::from(quoted);
        let start = self.at;
        let sign = usize::from(self.text.get(start) == Some(&b'-'));
        let mut value = 0_i64;
        self.at += sign;
        while let Some(digit @ b'0'..=b'9') = self.text.get(self.at) {
            let digit = i64::from(digit - b'0');
            let next = value
                .checked_mul(10)
                .and_then(|value| value.checked_add(digit));
            value = next.ok_or(Stop::Wrong(EXPECTED))?;
            self.at += 1;
        }
        let has_digits = self.at > start + sign;
        match self.text.get(self.at) {
            None => return Err(Stop::Short),
            Some(b'.' | b'e' | b'E') => return Err(Stop::Wrong(EXPECTED)),
            Some(b'"') if quoted => self.at += 1,
            Some(_) if quoted => return Err(Stop::Wrong(EXPECTED)),
            Some(_) => {}
        }
        match has_digits {
            true if sign == 1 => Ok(-value),
            true => Ok(value),
            false => Err(Stop::Wrong(EXPECTED)),
        }
    }

    /// Passes over a value.
    fn skip(&mut self, depth: usize) -> Read<()> {
        if depth > DEEPEST {
            return Err(Stop::Wrong("values in at most 64 values"));
        }
        match self.peek()? {
            b'"' => {
                let text = self.string()?;
                if self.text[text.at.clone()].starts_with(GZIP_IN_BASE64) {
                    self.encoded.push(text);
                }
                Ok(())
            }
            b'{' => self.members(depth, |cursor, _| cursor.skip(depth + 1)),
            b'[' => self.items(|cursor| cursor.skip(depth + 1)),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                let rest = &self.text[self.at..];
                let word = rest
                    .iter()
                    .take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
                let length = word.count();
                if length == rest.len() && !self.last {
                    return Err(Stop::Short);
                }
                let word = &rest[..length];
                let is_value = match word {
                    b"true" | b"false" | b"null" => true,
                    number => {
                        number.iter().any(u8::is_ascii_digit)
                            && number
                                .iter()
                                .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte))
                    }
                };
                if !is_value {
                    return Err(Stop::Wrong("a value of JSON"));
                }
                self.at += length;
                Ok(())
            }
            _ => Err(Stop::Wrong("a value of JSON")),
        }
    }

    /// The members of an object, each given to `member` with its name when its value is next.
    fn members(
        &mut self,
        depth: usize,
        mut member: impl FnMut(&mut Self, &JsonText) -> Read<()>,
    ) -> Read<()> {
        debug_assert!(depth <= DEEPEST);
        self.take(b'{', "an object, { … }")?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            let name = self.string()?;
            self.take(b':', "a colon behind the name of a member")?;
            member(self, &name)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Stop::Wrong("a comma or the end of an object")),
            }
        }
    }

    /// The items of a list, each taken by `item`.
    fn items(&mut self, mut item: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        self.take(b'[', "a list, [ … ]")?;
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Stop::Wrong("a comma or the end of a list")),
            }
        }
    }

    /// A text, or null.
    fn optional_string(&mut self) -> Read<Option<JsonText>> {
        match self.peek()? {
            b'n' => self.skip(0).map(|()| None),
            _ => self.string().map(Some),
        }
    }

    /// An account or an id, which a program that wrote the record again may have made a number.
    fn optional_id(&mut self) -> Read<Option<JsonText>> {
        if !self.peek()?.is_ascii_digit() {
            return self.optional_string();
        }
        let start = self.at;
        self.skip(0)?;
        Ok(Some(JsonText {
            at: start..self.at,
            escaped: false,
        }))
    }

    /// A record, into `record`.
    fn record(&mut self, record: &mut Record) -> Read<()> {
        const EXPECTED: &str =
            "a record of a subscription, an object with messageType, logGroup and logEvents";
        if self.peek()? != b'{' {
            return Err(Stop::Wrong(EXPECTED));
        }
        let start = self.at;
        let text = self.text;
        let (mut owner, mut log_group, mut log_stream) = (None, None, None);
        let mut kind = None;
        let mut has_events = false;
        let events = &mut record.events;
        self.members(0, |cursor, name| {
            match &text[name.at.clone()] {
                b"messageType" => kind = cursor.optional_string()?,
                b"owner" => owner = cursor.optional_id()?,
                b"logGroup" => log_group = cursor.optional_string()?,
                b"logStream" => log_stream = cursor.optional_string()?,
                b"logEvents" => {
                    has_events = true;
                    cursor.items(|cursor| {
                        events.push(cursor.event()?);
                        Ok(())
                    })?;
                }
                _ => cursor.skip(1)?,
            }
            Ok(())
        })?;
        let kind = kind.map(|kind| &text[kind.at]);
        match kind {
            None if !has_events && !self.encoded.is_empty() => {
                record.encoded = std::mem::take(&mut self.encoded);
            }
            Some(b"CONTROL_MESSAGE") => record.events.clear(),
            // A program that wrote the record again may have left out members.
            Some(b"DATA_MESSAGE") if has_events => {}
            None if has_events && log_group.is_some() => {}
            _ => {
                self.at = start;
                return Err(Stop::Wrong(EXPECTED));
            }
        }
        record.owner = owner;
        record.log_group = log_group;
        record.log_stream = log_stream;
        Ok(())
    }

    /// An event of a record.
    #[inline]
    fn event(&mut self) -> Read<RecordEvent> {
        match self.usual_event() {
            Some(event) => Ok(event),
            None => self.any_event(),
        }
    }

    /// An event just as CloudWatch writes it, whose members need no search; `None` for any other, where nothing is taken.
    #[inline]
    fn usual_event(&mut self) -> Option<RecordEvent> {
        let text = self.text;
        let id = behind(text, self.at, br#"{"id":""#)?;
        let (id_end, has_escapes) = end_of_text(text, id)?;
        let time = behind(text, id_end, br#"","timestamp":"#)?;
        let time_digits = text.get(time..)?.first_chunk()?;
        let timestamp_ms = digits::thirteen(time_digits)?;
        let message = behind(text, time + time_digits.len(), br#","message":""#)?;
        let (message_end, escaped) = end_of_text(text, message)?;
        let end = behind(text, message_end, br#""}"#)?;
        if !TIMES.contains(&timestamp_ms) {
            return None;
        }
        self.at = end;
        Some(RecordEvent {
            id: Some(JsonText {
                at: id..id_end,
                escaped: has_escapes,
            }),
            timestamp_ms,
            message: JsonText {
                at: message..message_end,
                escaped,
            },
        })
    }

    /// An event with its members in any order, and others beside them.
    fn any_event(&mut self) -> Read<RecordEvent> {
        let (mut id, mut timestamp, mut message) = (None, None, None);
        self.peek()?;
        let start = self.at;
        let text = self.text;
        self.members(2, |cursor, name| {
            match &text[name.at.clone()] {
                b"id" => id = cursor.optional_id()?,
                b"timestamp" => timestamp = Some(cursor.integer()?),
                b"message" => message = Some(cursor.string()?),
                _ => cursor.skip(3)?,
            }
            Ok(())
        })?;
        match (timestamp, message) {
            (Some(timestamp_ms), Some(_)) if !TIMES.contains(&timestamp_ms) => {
                self.at = start;
                Err(Stop::Wrong(
                    "an event whose timestamp is milliseconds since 1970, in the years 2000 to 9999",
                ))
            }
            (Some(timestamp_ms), Some(message)) => Ok(RecordEvent {
                id,
                timestamp_ms,
                message,
            }),
            _ => {
                self.at = start;
                Err(Stop::Wrong("an event with timestamp and message"))
            }
        }
    }
}

/// The place behind `expected`, if the text has that at a place.
#[inline]
pub(super) fn behind<const LENGTH: usize>(
    text: &[u8],
    at: usize,
    expected: &[u8; LENGTH],
) -> Option<usize> {
    let found = text.get(at..)?.first_chunk::<LENGTH>()?;
    (found == expected).then_some(at + LENGTH)
}

/// Whether a text begins as a record of a subscription does; `head` may end within it.
pub fn begins_with_record(head: &[u8]) -> bool {
    let mut records = Records::default();
    match records.next(head, false) {
        Found::Record => true,
        Found::NeedsText => {
            // What is there of the first record.
            let head = &head[records.keep_from()..];
            let is_named = |name: &str| memchr::memmem::find(head, name.as_bytes()).is_some();
            let is_record = is_named("\"messageType\"") && is_named("\"logGroup\"");
            head.first() == Some(&b'{') && (is_record || is_named("\"H4sI"))
        }
        Found::Wrong { .. } => false,
    }
}

#[cfg(test)]
mod tests;
