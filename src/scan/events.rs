//! Text of exported objects to events. Pure: no Arrow, no I/O.
//!
//! An event begins at a line that begins with a timestamp of CloudWatch's own form, `2024-02-13T21:01:04.792Z `, and
//! goes on to the next such line: continuation lines of multi-line events have no prefix. A continuation line that
//! itself begins just so can't be told from an event.

use std::ops::Range;

use chrono::NaiveDate;

/// An event may be 1 MiB in CloudWatch; sixteen times that is a file that is not what it seems.
pub const LONGEST_EVENT: usize = 16 << 20;

/// `2024-02-13T21:01:04.792Z ` without the message.
const PREFIX: usize = 25;

const DAY_MS: i64 = 86_400_000;

/// An event in a text: its instant, and where its message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Milliseconds since 1970-01-01T00:00Z.
    pub timestamp_ms: i64,
    /// The bytes of the message, without the newlines at its end.
    pub message: Range<usize>,
}

/// What a look at the text brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// A whole event.
    Event(Event),
    /// The text ends before the current event surely does.
    NeedsText,
    /// The event that begins here is longer than [`LONGEST_EVENT`].
    TooLong(usize),
}

/// Finds events in a text that comes in pieces.
///
/// The caller keeps the text from [`keep_from`](Self::keep_from) on, appends what comes next, tells with
/// [`dropped`](Self::dropped) how much it dropped in front, and calls [`next`](Self::next) again.
#[derive(Debug, Default)]
pub struct Splitter {
    current: Option<Start>,
    /// The next place that may begin a line of interest: no newline before it is still to be looked at.
    search: usize,
    begun: bool,
    days: DayCache,
    /// Lines before the object's first timestamp.
    stray_lines: u64,
}

#[derive(Debug, Clone, Copy)]
struct Start {
    at: usize,
    timestamp_ms: i64,
}

impl Splitter {
    /// Lines with text that came before the first timestamp, and so belong to no event.
    pub fn stray_lines(&self) -> u64 {
        self.stray_lines
    }

    /// The first byte that is still needed.
    pub fn keep_from(&self) -> usize {
        self.current.map_or(self.search, |start| start.at)
    }

    /// Tells that the text now begins `bytes` later. Never more than [`keep_from`](Self::keep_from).
    pub fn dropped(&mut self, bytes: usize) {
        self.search -= bytes;
        if let Some(start) = &mut self.current {
            start.at -= bytes;
        }
    }

    /// The next event. `last` says that nothing will follow the text.
    #[inline]
    pub fn next(&mut self, text: &[u8], last: bool) -> Step {
        if !self.begun {
            // The text itself begins a line.
            match self.start_at(text, 0, last) {
                Look::Short => return Step::NeedsText,
                Look::Start(start) => self.current = Some(start),
                Look::Other => {
                    let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
                    self.stray_lines += u64::from(end > 0);
                }
            }
            self.begun = true;
        }
        while let Some(newline) = memchr::memchr(b'\n', &text[self.search..]) {
            let newline = self.search + newline;
            let line = newline + 1;
            match self.start_at(text, line, last) {
                Look::Start(next) => {
                    self.search = line + PREFIX;
                    if let Some(start) = self.current.replace(next) {
                        return self.event(text, start, newline);
                    }
                }
                Look::Other => {
                    self.search = line;
                    if self.current.is_none() {
                        let end = memchr::memchr(b'\n', &text[line..]).unwrap_or(text.len() - line);
                        self.stray_lines += u64::from(end > 0);
                    }
                }
                Look::Short => {
                    // Come back to this newline when the line behind it is there.
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
            None => Step::NeedsText,
        }
    }

    fn needs_text(&self, text: &[u8]) -> Step {
        match self.current {
            Some(start) if text.len() - start.at > LONGEST_EVENT => Step::TooLong(start.at),
            _ => Step::NeedsText,
        }
    }

    #[inline]
    fn event(&self, text: &[u8], start: Start, mut end: usize) -> Step {
        let begin = start.at + PREFIX;
        if end - start.at > LONGEST_EVENT {
            return Step::TooLong(start.at);
        }
        while end > begin && text[end - 1] == b'\n' {
            end -= 1;
        }
        Step::Event(Event {
            timestamp_ms: start.timestamp_ms,
            message: begin..end.max(begin),
        })
    }

    #[inline]
    fn start_at(&mut self, text: &[u8], at: usize, last: bool) -> Look {
        match text[at..].first_chunk::<PREFIX>() {
            Some(prefix) => match self.days.timestamp(prefix) {
                Some(timestamp_ms) => Look::Start(Start { at, timestamp_ms }),
                None => Look::Other,
            },
            None if last => Look::Other,
            None => Look::Short,
        }
    }
}

enum Look {
    Start(Start),
    Other,
    /// Too little text to tell.
    Short,
}

/// Reads timestamps; the day of the last one is remembered, as neighbours mostly share it.
#[derive(Debug, Default)]
struct DayCache {
    date: Option<[u8; 10]>,
    day_ms: i64,
}

impl DayCache {
    #[inline]
    fn timestamp(&mut self, prefix: &[u8; PREFIX]) -> Option<i64> {
        let p = prefix;
        let separated = p[10] == b'T'
            && p[13] == b':'
            && p[16] == b':'
            && p[19] == b'.'
            && p[23] == b'Z'
            && p[24] == b' ';
        if !separated {
            return None;
        }
        let mut date = [0; 10];
        date.copy_from_slice(&p[..10]);
        if self.date != Some(date) {
            self.day_ms = day_ms(&date)?;
            self.date = Some(date);
        }
        let digit = |at: usize| u32::from(p[at].wrapping_sub(b'0'));
        let digits = [11, 12, 14, 15, 17, 18, 20, 21, 22];
        if digits.iter().any(|at| digit(*at) > 9) {
            return None;
        }
        let hour = digit(11) * 10 + digit(12);
        let minute = digit(14) * 10 + digit(15);
        let second = digit(17) * 10 + digit(18);
        let milli = digit(20) * 100 + digit(21) * 10 + digit(22);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let of_day = ((hour * 60 + minute) * 60 + second) * 1000 + milli;
        Some(self.day_ms + i64::from(of_day))
    }
}

/// The first millisecond of a `2024-02-13`; `None` where it is no date.
#[cold]
fn day_ms(date: &[u8; 10]) -> Option<i64> {
    let digit = |at: usize| match date[at] {
        byte @ b'0'..=b'9' => Some(i32::from(byte - b'0')),
        _ => None,
    };
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let year = digit(0)? * 1000 + digit(1)? * 100 + digit(2)? * 10 + digit(3)?;
    let month = digit(5)? * 10 + digit(6)?;
    let day = digit(8)? * 10 + digit(9)?;
    let date = NaiveDate::from_ymd_opt(year, month.cast_unsigned(), day.cast_unsigned())?;
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    Some((date - epoch).num_days() * DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Found = Vec<(i64, String)>;

    fn split_at(text: &[u8], mut cuts: Vec<usize>) -> (Found, u64) {
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
            while let Step::Event(event) = splitter.next(&buffer, last) {
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

    fn split(text: &str) -> (Found, u64) {
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
        assert_eq!(Splitter::default().next(&text, false), Step::TooLong(0));
        assert_eq!(Splitter::default().next(&text, true), Step::TooLong(0));
        text.truncate(LONGEST_EVENT);
        assert!(matches!(
            Splitter::default().next(&text, true),
            Step::Event(_)
        ));
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
                crate::layout::write_line(&mut text, *ms, message).unwrap();
            }
            cuts.sort_unstable();
            let (found, stray) = split_at(&text, cuts);
            let expected: Found = events
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
