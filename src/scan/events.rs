//! Text of exported objects to events. Pure: no Arrow, no I/O.
//!
//! An event begins at a line that begins with a timestamp of CloudWatch's own form, `2024-02-13T21:01:04.792Z `, and
//! ends at the next such line: continuation lines of multi-line events have no prefix. A continuation line that begins
//! with such a timestamp itself is read as an event, unless its time is known to be none of the export.

use std::ops::Range;

use chrono::NaiveDate;

use crate::window;

/// CloudWatch's events have at most 1 MiB. A file with an event of sixteen times that is not an export.
pub const LONGEST_EVENT: usize = 16 << 20;

/// The bytes of a `2024-02-13T21:01:04.792Z `, with which an event's first line begins.
pub const PREFIX: usize = 25;

const DAY_MS: i64 = 86_400_000;

/// Editors on Windows write it at the start of a file; it is no part of the text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An event in a text: its instant, and the place of its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Milliseconds since 1970-01-01T00:00Z.
    pub timestamp_ms: i64,
    /// The bytes of the message, without the line ends at its end: `\n`, and Windows' `\r\n`.
    pub message: Range<usize>,
}

/// What [`Splitter::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Split {
    /// A whole event.
    Event(Event),
    /// The current event may continue behind the end of the text.
    NeedsText,
    /// The event that begins here is longer than [`LONGEST_EVENT`].
    TooLong(usize),
}

/// Finds events in a text that comes in pieces.
///
/// The caller keeps the text from [`keep_from`](Self::keep_from) on, appends the next piece, reports with
/// [`dropped`](Self::dropped) how much it dropped in front, and calls [`next`](Self::next) again.
#[derive(Debug)]
pub struct Splitter {
    /// The times that events can have.
    times: window::Range,
    current: Option<Start>,
    /// Where the search for the next newline begins.
    search: usize,
    begun: bool,
    has_events: bool,
    timestamps: TimestampReader,
    /// Lines before the object's first timestamp.
    stray_lines: u64,
}

#[derive(Debug, Clone, Copy)]
struct Start {
    at: usize,
    timestamp_ms: i64,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new(window::Range::ALL)
    }
}

impl Splitter {
    /// A splitter of a text whose events all have these times, as an export task was asked for them. A line with another
    /// time belongs to the event above it, if that one has such a time.
    pub fn new(times: window::Range) -> Self {
        Self {
            times,
            current: None,
            search: 0,
            begun: false,
            has_events: false,
            timestamps: TimestampReader::default(),
            stray_lines: 0,
        }
    }

    /// Whether any line so far begins an event.
    pub fn has_events(&self) -> bool {
        self.has_events
    }

    /// Lines with text before the first timestamp, which belong to no event.
    pub fn stray_lines(&self) -> u64 {
        self.stray_lines
    }

    /// The first byte that is still needed.
    pub fn keep_from(&self) -> usize {
        self.current.map_or(self.search, |start| start.at)
    }

    /// Reports that `bytes` were dropped in front, at most [`keep_from`](Self::keep_from).
    pub fn dropped(&mut self, bytes: usize) {
        self.search -= bytes;
        if let Some(start) = &mut self.current {
            start.at -= bytes;
        }
    }

    /// The next event. `last` means that no text follows.
    #[inline]
    pub fn next(&mut self, text: &[u8], last: bool) -> Split {
        if !self.begun {
            // The text itself begins a line.
            let at = match text.starts_with(BYTE_ORDER_MARK) {
                true => BYTE_ORDER_MARK.len(),
                false => 0,
            };
            match self.start_at(text, at, last) {
                LineStart::Short => return Split::NeedsText,
                LineStart::Event(start) => {
                    self.current = Some(start);
                    self.has_events = true;
                }
                LineStart::Other => {
                    self.count_stray(text);
                }
            }
            self.begun = true;
        }
        while let Some(newline) = memchr::memchr(b'\n', &text[self.search..]) {
            let newline = self.search + newline;
            let mut line = newline + 1;
            // Each of Lambda's own events is followed by a blank line.
            while text.get(line) == Some(&b'\n') {
                line += 1;
            }
            match self.start_at(text, line, last) {
                LineStart::Event(next) => {
                    self.search = line + PREFIX;
                    if let Some(start) = self.current.replace(next) {
                        return self.event(text, start, newline);
                    }
                    self.has_events = true;
                }
                LineStart::Other => {
                    self.search = line;
                    if self.current.is_none() {
                        self.count_stray(&text[line..]);
                    }
                }
                LineStart::Short => {
                    // Searched again when more of the line behind it is there.
                    self.search = newline;
                    return self.needs_text(text);
                }
            }
        }
        self.search = text.len();
        if !last {
            return self.needs_text(text);
        }
        match self.current.take() {
            Some(start) => self.event(text, start, text.len()),
            None => Split::NeedsText,
        }
    }

    fn needs_text(&self, text: &[u8]) -> Split {
        match self.current {
            Some(start) if text.len() - start.at > LONGEST_EVENT => Split::TooLong(start.at),
            _ => Split::NeedsText,
        }
    }

    #[inline]
    fn event(&self, text: &[u8], start: Start, mut end: usize) -> Split {
        let begin = start.at + PREFIX;
        if end - start.at > LONGEST_EVENT {
            return Split::TooLong(start.at);
        }
        while end > begin && matches!(text[end - 1], b'\n' | b'\r') {
            end -= 1;
        }
        Split::Event(Event {
            timestamp_ms: start.timestamp_ms,
            message: begin..end.max(begin),
        })
    }

    #[inline]
    fn start_at(&mut self, text: &[u8], at: usize, last: bool) -> LineStart {
        match text[at..].first_chunk::<PREFIX>() {
            Some(prefix) => match self.timestamps.read(prefix) {
                Some(timestamp_ms) if self.can_begin(timestamp_ms) => {
                    LineStart::Event(Start { at, timestamp_ms })
                }
                _ => LineStart::Other,
            },
            None if last => LineStart::Other,
            None => LineStart::Short,
        }
    }
}

impl Splitter {
    /// Counts the line that begins here, if it has text.
    #[cold]
    fn count_stray(&mut self, line: &[u8]) {
        let has_text = !matches!(
            line,
            [] | [b'\n' | b'\r'] | [b'\n', ..] | [b'\r', b'\n', ..]
        );
        self.stray_lines += u64::from(has_text);
    }

    /// Whether a line with this time can begin an event: its time can be that of an event, or that of the event above it
    /// can't either. So late events count as they do anywhere else, whichever times CloudWatch means.
    #[inline]
    fn can_begin(&self, timestamp_ms: i64) -> bool {
        self.times.contains(timestamp_ms)
            || !self
                .current
                .is_some_and(|start| self.times.contains(start.timestamp_ms))
    }
}

/// How a line begins.
enum LineStart {
    /// As an event does.
    Event(Start),
    Other,
    /// Too little of the line is there.
    Short,
}

/// Reads timestamps. The minute and the day of the last one are cached, as neighbours mostly share them.
#[derive(Debug, Default)]
pub struct TimestampReader {
    /// `2024-02-13T21:01`
    minute: Option<[u8; 16]>,
    minute_ms: i64,
    /// `2024-02-13`
    date: Option<[u8; 10]>,
    date_ms: i64,
}

impl TimestampReader {
    /// The milliseconds since 1970-01-01T00:00Z of a `2024-02-13T21:01:04.792Z `; `None` for any other beginning of a
    /// line.
    #[inline]
    pub fn read(&mut self, prefix: &[u8; PREFIX]) -> Option<i64> {
        let (minute, rest) = prefix.split_first_chunk::<16>()?;
        let (seconds, space) = rest.split_first_chunk::<8>()?;
        // Most other lines differ here already.
        let of_minute = ms_of_minute(*seconds)?;
        if space != b" " {
            return None;
        }
        if self.minute != Some(*minute) {
            self.minute_ms = self.minute_ms(minute)?;
            self.minute = Some(*minute);
        }
        Some(self.minute_ms + of_minute)
    }

    /// The first millisecond of a `2024-02-13T21:01`.
    fn minute_ms(&mut self, minute: &[u8; 16]) -> Option<i64> {
        let (date, time) = minute.split_first_chunk::<10>()?;
        let &[b'T', h1, h2, b':', m1, m2] = time else {
            return None;
        };
        let (hour, minute) = (number([h1, h2])?, number([m1, m2])?);
        if hour > 23 || minute > 59 {
            return None;
        }
        if self.date != Some(*date) {
            self.date_ms = date_ms(date)?;
            self.date = Some(*date);
        }
        Some(self.date_ms + i64::from((hour * 60 + minute) * 60_000))
    }
}

/// The milliseconds of a `:04.792Z`.
///
/// All eight bytes are read as one number: in `bytes XOR ":00.000Z"`, digits have their values, and the characters
/// between them are zero.
#[inline]
fn ms_of_minute(text: [u8; 8]) -> Option<i64> {
    const FORM: u64 = u64::from_le_bytes(*b":00.000Z");
    // The bits that no digit has, and all bits of the characters between digits.
    const OTHER: u64 = u64::from_le_bytes([0xff, 0xf0, 0xf0, 0xff, 0xf0, 0xf0, 0xf0, 0xff]);
    const SIXES: u64 = u64::from_le_bytes([0, 6, 6, 0, 6, 6, 6, 0]);
    let values = u64::from_le_bytes(text) ^ FORM;
    // 10 to 15 and six more sets the fifth bit.
    if (values | ((values & !OTHER) + SIXES)) & OTHER != 0 {
        return None;
    }
    let [_, s1, s2, _, m1, m2, m3, _] = values.to_le_bytes().map(i64::from);
    (s1 <= 5).then_some(s1 * 10_000 + s2 * 1_000 + m1 * 100 + m2 * 10 + m3)
}

/// The value of decimal digits.
fn number<const DIGITS: usize>(digits: [u8; DIGITS]) -> Option<i32> {
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Some(number * 10 + i32::from(digit - b'0')),
        _ => None,
    })
}

/// The first millisecond of a `2024-02-13`; `None` for no date.
#[cold]
fn date_ms(date: &[u8; 10]) -> Option<i64> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else {
        return None;
    };
    let year = number([y1, y2, y3, y4])?;
    let (month, day) = (number([m1, m2])?, number([d1, d2])?);
    let date = NaiveDate::from_ymd_opt(year, month.cast_unsigned(), day.cast_unsigned())?;
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    Some((date - epoch).num_days() * DAY_MS)
}

#[cfg(test)]
mod tests;
