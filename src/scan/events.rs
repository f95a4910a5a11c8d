//! Text of exported objects to events. Pure: no Arrow, no I/O.
//!
//! An event begins at a line that begins with a timestamp of CloudWatch's own form, `2024-02-13T21:01:04.792Z `, and
//! ends at the next such line: continuation lines of multi-line events have no prefix. A continuation line that begins
//! with such a timestamp itself is read as an event.

use std::ops::Range;

use chrono::NaiveDate;

/// CloudWatch's events have at most 1 MiB. A file with an event of sixteen times that is not an export.
pub const LONGEST_EVENT: usize = 16 << 20;

/// The bytes of a `2024-02-13T21:01:04.792Z `, with which an event's first line begins.
pub const PREFIX: usize = 25;

const DAY_MS: i64 = 86_400_000;

/// An event in a text: its instant, and the place of its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Milliseconds since 1970-01-01T00:00Z.
    pub timestamp_ms: i64,
    /// The bytes of the message, without the newlines at its end.
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
#[derive(Debug, Default)]
pub struct Splitter {
    current: Option<Start>,
    /// Where the search for the next newline begins.
    search: usize,
    begun: bool,
    timestamps: TimestampReader,
    /// Lines before the object's first timestamp.
    stray_lines: u64,
}

#[derive(Debug, Clone, Copy)]
struct Start {
    at: usize,
    timestamp_ms: i64,
}

impl Splitter {
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
            match self.start_at(text, 0, last) {
                LineStart::Short => return Split::NeedsText,
                LineStart::Event(start) => self.current = Some(start),
                LineStart::Other => {
                    let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
                    self.stray_lines += u64::from(end > 0);
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
                }
                LineStart::Other => {
                    self.search = line;
                    if self.current.is_none() {
                        let end = memchr::memchr(b'\n', &text[line..]).unwrap_or(text.len() - line);
                        self.stray_lines += u64::from(end > 0);
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
        while end > begin && text[end - 1] == b'\n' {
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
                Some(timestamp_ms) => LineStart::Event(Start { at, timestamp_ms }),
                None => LineStart::Other,
            },
            None if last => LineStart::Other,
            None => LineStart::Short,
        }
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
mod tests {
    use super::*;
    use chrono::NaiveDateTime;
    use proptest::prelude::*;

    type Events = Vec<(i64, String)>;

    fn split_at(text: &[u8], mut cuts: Vec<usize>) -> (Events, u64) {
        cuts.push(text.len());
        let mut splitter = Splitter::default();
        let mut buffer: Vec<u8> = Vec::new();
        let mut found = Vec::new();
        let mut fed = 0;
        for cut in cuts {
            let cut = cut.clamp(fed, text.len());
            buffer.extend_from_slice(&text[fed..cut]);
            fed = cut;
            let last = fed == text.len();
            while let Split::Event(event) = splitter.next(&buffer, last) {
                let message = String::from_utf8_lossy(&buffer[event.message]).into_owned();
                found.push((event.timestamp_ms, message));
            }
            let keep = splitter.keep_from();
            buffer.drain(..keep);
            splitter.dropped(keep);
            if last {
                break;
            }
        }
        (found, splitter.stray_lines())
    }

    fn split(text: &str) -> (Events, u64) {
        split_at(text.as_bytes(), Vec::new())
    }

    fn messages(text: &str) -> Vec<String> {
        split(text)
            .0
            .into_iter()
            .map(|(_, message)| message)
            .collect()
    }

    #[test]
    fn an_event_goes_on_to_the_next_timestamp() {
        let text = "2024-02-13T21:01:04.792Z START RequestId: 1\n\n\
                    2024-02-13T21:01:04.936Z 2024-02-13T21:01:04.936Z\tid\tERROR\tboom\n    at x\n\n    at y\n\
                    2024-02-13T21:01:05.000Z last";
        assert_eq!(
            split(text).0,
            [
                (1_707_858_064_792, "START RequestId: 1".to_owned()),
                (
                    1_707_858_064_936,
                    "2024-02-13T21:01:04.936Z\tid\tERROR\tboom\n    at x\n\n    at y".to_owned()
                ),
                (1_707_858_065_000, "last".to_owned()),
            ]
        );
    }

    #[test]
    fn what_only_looks_like_a_timestamp_continues_the_event() {
        let first = "2024-02-13T21:01:04.792Z a";
        for line in [
            "2024-02-13T21:01:04Z b",
            "2024-02-13T21:01:04.79Z b",
            "2024-02-13 21:01:04.792Z b",
            "2024-02-30T21:01:04.792Z b",
            "2024-13-01T21:01:04.792Z b",
            "2024-02-13T24:01:04.792Z b",
            "2024-02-13T21:60:04.792Z b",
            "2024-02-13T21:01:60.792Z b",
            "2024-02-13T21:01:04.792Zb",
            " 2024-02-13T21:01:04.792Z b",
            "2024-02-13T2\u{0661}:01:04.792Z b",
            "2024-02-13T21:01:04.792Z",
            "\0\0\0\0\0\0\0\0\0\0T21:01:04.792Z b",
        ] {
            assert_eq!(
                messages(&format!("{first}\n{line}\n")),
                [format!("a\n{line}")],
                "{line}"
            );
        }
    }

    #[test]
    fn empty_messages_and_newlines_at_the_end() {
        assert_eq!(
            messages("2024-02-13T21:01:04.792Z \n\n2024-02-13T21:01:04.792Z x\n\n\n"),
            ["", "x"]
        );
        assert_eq!(messages("2024-02-13T21:01:04.792Z "), [""]);
        assert_eq!(messages(""), Vec::<String>::new());
        assert_eq!(messages("\n\n"), Vec::<String>::new());
    }

    #[test]
    fn text_before_the_first_timestamp_is_counted() {
        let (found, stray) = split("lost\n\nlost too\n2024-02-13T21:01:04.792Z kept\n");
        assert_eq!((found.len(), stray), (1, 2));
        assert_eq!(split("never a timestamp").1, 1);
        assert_eq!(split("2024-02-13T21:01:04.792Z kept\nmore").1, 0);
        assert_eq!(
            split("\0\0\0\0\0\0\0\0\0\0T00:00:00.000Z no event of 1970").0,
            []
        );
    }

    #[test]
    fn an_event_without_end_is_too_long() {
        let mut text = b"2024-02-13T21:01:04.792Z ".to_vec();
        text.resize(LONGEST_EVENT + 1, b'x');
        assert_eq!(Splitter::default().next(&text, false), Split::TooLong(0));
        assert_eq!(Splitter::default().next(&text, true), Split::TooLong(0));
        text.truncate(LONGEST_EVENT);
        assert!(matches!(
            Splitter::default().next(&text, true),
            Split::Event(_)
        ));
    }

    #[test]
    fn every_byte_of_a_timestamp_counts() {
        let good = b"2024-02-13T21:01:04.792Z ";
        for at in 0..PREFIX {
            for byte in 0..=u8::MAX {
                let mut prefix = *good;
                prefix[at] = byte;
                let expected = std::str::from_utf8(&prefix)
                    .ok()
                    .and_then(|text| text.strip_suffix(' '))
                    // chrono also takes signs and spaces.
                    .filter(|text| text.starts_with(|c: char| c.is_ascii_digit()))
                    .filter(|text| !text.contains([' ', '\t', '\n', '\x0b', '\x0c', '\r', '+']))
                    .and_then(|text| {
                        NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.3fZ").ok()
                    })
                    .map(|time| time.and_utc().timestamp_millis());
                // As the first timestamp that is read, and as one like those before.
                let mut reader = TimestampReader::default();
                assert_eq!(reader.read(&prefix), expected, "{prefix:?}");
                let known = reader.read(good);
                assert_eq!(known, Some(1_707_858_064_792));
                assert_eq!(reader.read(&prefix), expected, "{prefix:?}");
            }
        }
    }

    fn any_event() -> impl Strategy<Value = (i64, String)> {
        // Any millisecond of the years 0 to 9999, mostly on few days; messages with lines, also almost timestamps.
        let ms = prop_oneof![
            1_700_000_000_000i64..1_700_200_000_000,
            -62_167_219_200_000i64..253_402_300_800_000,
        ];
        let line = prop_oneof![
            "[a-z0-9 \t{}\":가-힣]{0,30}",
            Just("2024-02-13T21:01:04.792".to_owned()),
            Just("2024-02-13T21:01:04.79".to_owned()),
        ];
        (
            ms,
            proptest::collection::vec(line, 1..4).prop_map(|lines| lines.join("\n")),
        )
    }

    proptest! {
        #[test]
        fn what_the_layout_writes_is_found_again_however_it_is_cut(
            events in proptest::collection::vec(any_event(), 0..20),
            mut cuts in proptest::collection::vec(0usize..2000, 0..20),
        ) {
            let mut text = Vec::new();
            for (ms, message) in &events {
                crate::layout::cloudwatch::write_line(&mut text, *ms, message).unwrap();
            }
            cuts.sort_unstable();
            let (found, stray) = split_at(&text, cuts);
            let expected: Events = events
                .into_iter()
                .map(|(ms, message)| (ms, message.trim_end_matches('\n').to_owned()))
                .collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(stray, 0);
        }

        #[test]
        fn cutting_never_changes_what_is_found(
            text in "(2024-02-13T21:01:04\\.792Z |[a-zZ0-9:. -]{0,12}|\n){0,30}",
            mut cuts in proptest::collection::vec(0usize..400, 0..30),
        ) {
            cuts.sort_unstable();
            prop_assert_eq!(split_at(text.as_bytes(), cuts), split_at(text.as_bytes(), Vec::new()));
        }

        #[test]
        fn no_bytes_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = split_at(&text, (0..text.len()).collect());
        }
    }
}
