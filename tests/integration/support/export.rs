//! Writes exports in CloudWatch's layout, whole, in unusual shapes, or damaged.
//!
//! ```text
//! <prefix>/aws-logs-write-test
//! <prefix>/<task id>/<stream with / as ->/000000.gz
//! ```

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat};
use flate2::Compression;
use flate2::write::GzEncoder;

/// The largest event that a scan accepts, in bytes.
pub const LARGEST_EVENT: usize = 16 << 20;

/// The default task id of an [`Export`].
pub const TASK_ID: &str = "e37ac5c7-5d9a-4b1c-8f6e-0c1b8a2d4f60";

/// A folder as the destination prefix of an export.
pub struct Export {
    prefix: PathBuf,
    task_id: String,
}

impl Export {
    /// Writes the file with which the service tests its permission. It is neither gzip nor log data.
    pub fn new(prefix: impl Into<PathBuf>) -> Self {
        let prefix = prefix.into();
        write(
            &prefix.join("aws-logs-write-test"),
            b"Permission Check Successful",
        );
        Self {
            prefix,
            task_id: TASK_ID.to_owned(),
        }
    }

    /// The export of another task below the same prefix.
    pub fn task(&self, task_id: &str) -> Self {
        Self {
            prefix: self.prefix.clone(),
            task_id: task_id.to_owned(),
        }
    }

    /// Writes the events of a stream, in the given order, as its only object; returns the object's path.
    pub fn stream<M: AsRef<str>>(&self, stream: &str, events: &[(i64, M)]) -> PathBuf {
        self.object(stream, 0, &Object::new(events))
    }

    /// Writes one of the numbered objects of a stream; returns its path.
    pub fn object(&self, stream: &str, number: u32, object: &Object) -> PathBuf {
        let folder = self
            .prefix
            .join(&self.task_id)
            .join(stream.replace('/', "-"));
        let path = folder.join(format!("{number:06}.gz"));
        write(&path, &object.gzip());
        path
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("an object has a folder"))
        .expect("the test's folder is writable");
    fs::write(path, bytes).expect("the test's folder is writable");
}

/// The line of an event as the service writes it: `2026-11-21T05:35:00.123Z message`. Further lines of a message have no
/// timestamp. A message with a trailing newline is followed by a blank line.
///
/// Panics for times outside the years 0–9999, which CloudWatch does not have.
pub fn line(epoch_ms: i64, message: &str) -> String {
    let time = DateTime::from_timestamp_millis(epoch_ms).expect("a time of four-digit years");
    format!(
        "{} {message}\n",
        time.to_rfc3339_opts(SecondsFormat::Millis, true)
    )
}

/// An exported object: its text, where it is cut into gzip members, and the damage to its bytes.
#[derive(Clone, Default)]
pub struct Object {
    text: Vec<u8>,
    cuts: Vec<usize>,
    damage: Vec<Damage>,
}

#[derive(Clone)]
enum Damage {
    Truncated(usize),
    Flipped(usize),
    Checksum,
    Trailing(Vec<u8>),
}

impl Object {
    /// An object of events (epoch milliseconds, message), in any order of time.
    pub fn new<M: AsRef<str>>(events: &[(i64, M)]) -> Self {
        let text: String = events
            .iter()
            .map(|(time, message)| line(*time, message.as_ref()))
            .collect();
        Self::of_text(text)
    }

    /// An object with any bytes as its text, such as invalid UTF-8 or no bytes.
    pub fn of_text(text: impl Into<Vec<u8>>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// An object of one event whose message is `bytes` long.
    pub fn of_one_event(epoch_ms: i64, bytes: usize) -> Self {
        Self::new(&[(epoch_ms, "x".repeat(bytes))])
    }

    /// Adds text before the first timestamp, such as the end of an event that starts in another object.
    pub fn preceded_by(mut self, text: impl AsRef<[u8]>) -> Self {
        self.text.splice(..0, text.as_ref().iter().copied());
        self
    }

    /// Adds text at the end, byte for byte.
    pub fn followed_by(mut self, text: impl AsRef<[u8]>) -> Self {
        self.text.extend_from_slice(text.as_ref());
        self
    }

    /// Begins a new gzip member at each of these bytes of the text, also within a line or a character. A repeated position,
    /// or one at either end, makes an empty member.
    pub fn cut_at(mut self, cuts: impl IntoIterator<Item = usize>) -> Self {
        self.cuts.extend(cuts);
        self.cuts.sort_unstable();
        self
    }

    /// Begins a new gzip member after every `size` bytes of the text.
    pub fn cut_every(self, size: usize) -> Self {
        let cuts: Vec<usize> = (size..self.text.len()).step_by(size).collect();
        self.cut_at(cuts)
    }

    /// Drops the last `bytes` bytes of the gzip, as a broken download does.
    pub fn truncated(self, bytes: usize) -> Self {
        self.damaged(Damage::Truncated(bytes))
    }

    /// Flips every bit of one byte of the gzip.
    pub fn flipped(self, at: usize) -> Self {
        self.damaged(Damage::Flipped(at))
    }

    /// Changes the CRC of the last member, so that only the CRC check finds the damage.
    pub fn with_wrong_checksum(self) -> Self {
        self.damaged(Damage::Checksum)
    }

    /// Adds bytes after the last member.
    pub fn trailed_by(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.damaged(Damage::Trailing(bytes.into()))
    }

    fn damaged(mut self, damage: Damage) -> Self {
        self.damage.push(damage);
        self
    }

    /// The text before compression.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The object's bytes, with the damage in the order of the calls. The same object has the same bytes.
    pub fn gzip(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let starts = std::iter::once(0).chain(self.cuts.iter().copied());
        let ends = self.cuts.iter().copied().chain([self.text.len()]);
        for (start, end) in starts.zip(ends) {
            let mut member = GzEncoder::new(&mut bytes, Compression::default());
            member
                .write_all(&self.text[start..end])
                .expect("memory takes it");
            member.finish().expect("memory takes it");
        }
        for damage in &self.damage {
            match damage {
                Damage::Truncated(count) => bytes.truncate(bytes.len() - count),
                Damage::Flipped(at) => bytes[*at] ^= 0xff,
                // RFC 1952: a member ends in the CRC-32 and the length of its text, four bytes each.
                Damage::Checksum => {
                    let crc = bytes.len() - 8;
                    bytes[crc] ^= 0xff;
                }
                Damage::Trailing(more) => bytes.extend_from_slice(more),
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use flate2::read::{GzDecoder, MultiGzDecoder};
    use tempfile::TempDir;

    use super::*;

    const TIME: i64 = 1_795_239_300_123; // 2026-11-21T05:35:00.123Z

    fn inflate(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        MultiGzDecoder::new(bytes).read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn an_export_has_the_layout_of_the_service() {
        let folder = TempDir::new().expect("a temporary folder");
        let export = Export::new(folder.path().join("exported"));
        export.stream(
            "2026/11/21/[$LATEST]0a1b",
            &[(TIME, "END RequestId: 1\n"), (TIME - 1, "둘째")],
        );
        export.object("web/app/7", 1, &Object::of_text(""));
        export.task("another").stream("web/app/7", &[(TIME, "x")]);
        let expected = [
            "exported/another/web-app-7/000000.gz".to_owned(),
            "exported/aws-logs-write-test".to_owned(),
            format!("exported/{TASK_ID}/2026-11-21-[$LATEST]0a1b/000000.gz"),
            format!("exported/{TASK_ID}/web-app-7/000001.gz"),
        ];
        assert_eq!(super::super::program::files_below(folder.path()), expected);
        let bytes = fs::read(folder.path().join(&expected[2])).expect("just written");
        let text = "2026-11-21T05:35:00.123Z END RequestId: 1\n\n2026-11-21T05:35:00.122Z 둘째\n";
        assert_eq!(inflate(&bytes).expect("whole"), text.as_bytes());
    }

    #[test]
    fn members_are_cut_where_asked_and_hold_the_same_text() {
        let whole = Object::new(&[(TIME, "재고가 부족합니다"), (TIME, "둘")])
            .preceded_by("tail\n")
            .followed_by(b"\xff\n");
        let text = whole.text().to_vec();
        for cut in 0..=text.len() {
            let cut_in_two = whole.clone().cut_at([cut]);
            assert_eq!(inflate(&cut_in_two.gzip()).expect("whole"), text);
            let mut first = Vec::new();
            GzDecoder::new(&cut_in_two.gzip()[..])
                .read_to_end(&mut first)
                .expect("whole");
            assert_eq!(first, text[..cut]);
        }
        assert_eq!(inflate(&whole.cut_every(1).gzip()).expect("whole"), text);
    }

    #[test]
    fn damage_is_found_by_inflating() {
        let whole = Object::new(&[(TIME, "message")]);
        let length = whole.gzip().len();
        for bytes in 1..length {
            inflate(&whole.clone().truncated(bytes).gzip()).expect_err("cut short");
        }
        inflate(&whole.clone().with_wrong_checksum().gzip()).expect_err("the checksum is wrong");
        inflate(&whole.clone().flipped(0).gzip()).expect_err("no gzip");
        inflate(&whole.clone().flipped(length - 1).gzip()).expect_err("the length is wrong");
        inflate(&whole.trailed_by("garbage that is no member").gzip()).expect_err("no gzip member");
    }

    #[test]
    fn one_event_has_the_size_asked_for() {
        let object = Object::of_one_event(TIME, LARGEST_EVENT + 1);
        let head = "2026-11-21T05:35:00.123Z ".len();
        assert_eq!(object.text().len(), head + LARGEST_EVENT + 1 + "\n".len());
        assert_eq!(inflate(&object.gzip()).expect("whole"), object.text());
    }
}
