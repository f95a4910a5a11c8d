//! A file of events, read line by line: `{"timestamp": <milliseconds since 1970>, "message": "…"}`, plain or with gzip.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path as FilePath, PathBuf};

use flate2::bufread::MultiGzDecoder;
use serde::de::{Deserialize, Deserializer, Visitor};

use crate::error::{Class, Error, Result};

/// How the names of files of events end.
const ENDINGS: [&str; 4] = [".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz"];

/// The same for messages.
pub const EXPECTED_ENDINGS: &str = ".ndjson, .jsonl, .ndjson.gz or .jsonl.gz";

/// What editors on Windows write at the start of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A byte that no UTF-8 has. The scan shows it as � and counts the event.
const NO_CHARACTER: u8 = 0xff;

/// The seconds since 1970 of the years 2000 and 2100: a timestamp between them is no number of milliseconds.
const SECONDS: std::ops::Range<i64> = 946_684_800..4_102_444_800;

/// The name of a file of events without its ending; `None` for another file.
pub fn stem(name: &str) -> Option<&str> {
    ENDINGS.iter().find_map(|ending| name.strip_suffix(ending))
}

/// An event of a file.
#[derive(Debug, PartialEq, Eq)]
pub struct FileEvent {
    /// Milliseconds since 1970-01-01T00:00Z.
    pub timestamp_ms: i64,
    /// The message; what is no character in it is not UTF-8.
    pub message: Vec<u8>,
}

/// A file of events that is being read.
pub struct EventFile {
    path: PathBuf,
    lines: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    number: u64,
}

impl EventFile {
    /// Opens a file.
    pub fn open(path: &FilePath) -> Result<Self> {
        let failed = |error| read_error(path, error);
        let file = BufReader::new(File::open(path).map_err(failed)?);
        let is_gzip = path.extension().is_some_and(|ending| ending == "gz");
        Ok(match is_gzip {
            true => Self::new(path, BufReader::new(MultiGzDecoder::new(file))),
            false => Self::new(path, file),
        })
    }

    /// The lines of a reader, as those of the file `path`.
    pub fn new(path: &FilePath, lines: impl BufRead + Send + 'static) -> Self {
        Self {
            path: path.to_owned(),
            lines: Box::new(lines),
            line: Vec::new(),
            number: 0,
        }
    }

    /// Reads the next line. Its bytes; `None` at the end.
    pub fn read_line(&mut self) -> Result<Option<usize>> {
        self.line.clear();
        let read = self.lines.read_until(b'\n', &mut self.line);
        let bytes = read.map_err(|error| read_error(&self.path, error))?;
        self.number += 1;
        if self.number == 1 {
            if self.line.starts_with(b"\xff\xfe") || self.line.starts_with(b"\xfe\xff") {
                let file = self.path.display();
                return Err(Error::damaged(format!("{file} is UTF-16: expected UTF-8")));
            }
            if self.line.starts_with(BYTE_ORDER_MARK) {
                self.line.drain(..BYTE_ORDER_MARK.len());
            }
        }
        Ok((bytes > 0).then_some(bytes))
    }

    /// The event of the line that was read last; `None` for a blank line.
    pub fn event(&self) -> Result<Option<FileEvent>> {
        if self.line.trim_ascii().is_empty() {
            return Ok(None);
        }
        let Line { timestamp, message } = serde_json::from_slice(&self.line).map_err(|error| {
            Error::damaged(format!(
                "{}: expected {{\"timestamp\": <milliseconds>, \"message\": \"…\"}}",
                self.place()
            ))
            .caused_by(error)
        })?;
        if let Some((unit, milliseconds)) = other_unit(timestamp) {
            return Err(Error::damaged(format!(
                "{}: the timestamp {timestamp} is in {unit}: expected milliseconds since 1970, {milliseconds}",
                self.place()
            )));
        }
        Ok(Some(FileEvent {
            timestamp_ms: timestamp,
            message: message.0,
        }))
    }

    /// The file and the line that was read last.
    pub fn place(&self) -> String {
        format!("{}:{}", self.path.display(), self.number)
    }
}

#[derive(serde::Deserialize)]
struct Line {
    timestamp: i64,
    message: Message,
}

/// A text of JSON that may have an escape of half a character, `\ud83d`, as languages with UTF-16 write it of a text that
/// was cut.
struct Message(Vec<u8>);

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Message;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Message, E> {
                Ok(Message(text.as_bytes().to_vec()))
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Message, E> {
                Ok(Message(match simdutf8::basic::from_utf8(bytes) {
                    Ok(text) => text.as_bytes().to_vec(),
                    Err(_) => without_halves(bytes),
                }))
            }
        }

        // As bytes, which serde_json does not refuse for what is no character.
        deserializer.deserialize_bytes(Bytes)
    }
}

/// The text with one byte for each half of a character, which serde_json gives as the three bytes of its code.
fn without_halves(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, behind)) = rest.split_first() {
        rest = match rest {
            [0xed, 0xa0..=0xbf, 0x80..=0xbf, behind @ ..] => {
                out.push(NO_CHARACTER);
                behind
            }
            _ => {
                out.push(first);
                behind
            }
        };
    }
    out
}

/// The unit of a timestamp that is surely not in milliseconds, and what it is in milliseconds.
fn other_unit(timestamp: i64) -> Option<(&'static str, i64)> {
    let in_seconds = |of_a_second: i64| SECONDS.contains(&(timestamp / of_a_second));
    if in_seconds(1) {
        Some(("seconds", timestamp.saturating_mul(1000)))
    } else if in_seconds(1_000_000) {
        Some(("microseconds", timestamp / 1000))
    } else if in_seconds(1_000_000_000) {
        Some(("nanoseconds", timestamp / 1_000_000))
    } else {
        None
    }
}

fn read_error(file: &FilePath, error: std::io::Error) -> Error {
    let file = file.display();
    match error.kind() {
        // What a decompressor says.
        ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
            Error::damaged(format!("{file} is no whole gzip data")).caused_by(error)
        }
        _ => Error::new(Class::Source, format!("can't read {file}")).caused_by(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Read};

    fn file(text: impl AsRef<[u8]> + Send + 'static) -> EventFile {
        EventFile::new("web.ndjson".as_ref(), Cursor::new(text))
    }

    fn events(text: impl AsRef<[u8]> + Send + 'static) -> Result<Vec<(i64, String)>> {
        let mut file = file(text);
        let mut events = Vec::new();
        while file.read_line()?.is_some() {
            if let Some(event) = file.event()? {
                let message = String::from_utf8_lossy(&event.message).into_owned();
                events.push((event.timestamp_ms, message));
            }
        }
        Ok(events)
    }

    #[test]
    fn a_byte_order_mark_and_line_ends_of_windows_are_read() {
        let text = "\u{feff}{\"timestamp\": 1, \"message\": \"a\\r\\nb\"}\r\n\r\n{\"message\": \"한글\", \"timestamp\": 2}\r\n";
        let expected = [(1, "a\r\nb".to_owned()), (2, "한글".to_owned())];
        assert_eq!(events(text).unwrap(), expected);
        let utf16 = events(b"\xff\xfe{\0").unwrap_err();
        assert_eq!(utf16.to_string(), "web.ndjson is UTF-16: expected UTF-8");
    }

    #[test]
    fn half_a_character_is_one_replacement_character() {
        for (message, expected) in [
            (r"cut \ud83d", "cut \u{fffd}"),
            (r"\ude00\ud83d\ude00\ud83d end", "\u{fffd}😀\u{fffd} end"),
            (r"no escape: \\ud83d", r"no escape: \ud83d"),
        ] {
            let text = format!("{{\"timestamp\": 1, \"message\": \"{message}\"}}");
            assert_eq!(events(text).unwrap(), [(1, expected.to_owned())]);
        }
        let raw = events(&b"{\"timestamp\": 1, \"message\": \"caf\xe9\"}"[..]).unwrap();
        assert_eq!(raw, [(1, "caf\u{fffd}".to_owned())]);
    }

    #[test]
    fn what_is_no_event_is_named_with_its_line() {
        for line in [
            "not an event",
            "{\"timestamp\": 1}",
            "{\"timestamp\": 1, \"message\": null}",
            "{\"timestamp\": 1, \"message\": [97]}",
        ] {
            let error = events(format!("\n{line}\n")).unwrap_err();
            assert_eq!(error.class(), Class::Damaged);
            assert!(
                error.to_string().starts_with("web.ndjson:2: expected {"),
                "{error}"
            );
        }
    }

    #[test]
    fn timestamps_in_other_units_are_told() {
        for (timestamp, expected) in [
            (1_795_176_000_i64, Some("seconds")),
            (1_795_176_000_000, None),
            (1_795_176_000_000_000, Some("microseconds")),
            (1_795_176_000_000_000_000, Some("nanoseconds")),
            (0, None),
            (-1, None),
            (86_400_000, None),
        ] {
            let line = format!("{{\"timestamp\": {timestamp}, \"message\": \"x\"}}");
            let told = events(line).err().map(|error| error.to_string());
            let expected = expected.map(|unit| {
                format!(
                    "web.ndjson:1: the timestamp {timestamp} is in {unit}: expected milliseconds since 1970, 1795176000000"
                )
            });
            assert_eq!(told, expected);
        }
    }

    struct Broken(ErrorKind);

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_file_that_breaks_off_is_no_damaged_line() {
        let failed = |kind| {
            let broken = BufReader::new(Broken(kind));
            let mut file = EventFile::new("web.ndjson.gz".as_ref(), broken);
            file.read_line().unwrap_err()
        };
        let broken = failed(ErrorKind::TimedOut);
        assert_eq!(broken.class(), Class::Source);
        assert!(broken.to_string().starts_with("can't read web.ndjson"));
        assert_eq!(failed(ErrorKind::InvalidInput).class(), Class::Damaged);
    }
}
