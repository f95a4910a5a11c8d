//! Every key and every exported line: encoded and decoded in one place.
//!
//! ```text
//! <staging>/<job>/<window>/<group>/attempt=<id>/<task-id>/<stream>/000000.gz
//! <staging>/<job>/<window>/<group>/attempt=<id>/manifest.json
//! <staging>/<job>/<first>--<last>/<group>/attempt=<id>/…                         (one task for several windows)
//! <staging>/<job>/<first>--<last>/<group>/attempt=<id>/attempt.json              (what was asked for; times.json: its events)
//! <staging>/<job>/<window>/<group>/attempt=<id>/events-<from>-<id>/piece.json    (without an export task)
//! <staging>/<job>/<window>/<group>/attempt=<id>/kept-<id>/<stream>/000000.gz     (what an earlier export had)
//! <location>/<job>/<query>/dt=2026-11-21/<query>.parquet        (hour windows: dt=…/hh=05)
//! <location>/<job>/<query>/dt=2026-11-21/<query>.txt            where the answer is in parts: lists them
//! <location>/<job>/events/dt=2026-11-21/events-00000.parquet   the archive, in numbered files
//! <location>/<job>/parts/<query>/dt=2026-11-21/<query>-<generation>-00000.parquet
//! <location>/<job>/charts/<query>/<chart>-2026-11-21.png        and <chart>-latest.png
//! <location>/<job>/runs/2026-11-21.json                         the receipt
//! <location>/<job>/runs/_state/2026-11-21.json                  the state
//! <location>/<job>/runs/_state/2026-11-21/<run>-0000.json       its pages, with more than a few log groups
//! ```
//!
//! [`StagingKeys`] makes the keys of exports, [`Keys`] all others.

pub mod cloudwatch;
pub mod delivered;
pub mod lines;
pub mod subscription;

mod answer_keys;
mod keys;
mod origin;
mod staging;

use std::borrow::Cow;
use std::path::Path as FilePath;

use object_store::path::Path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::error::{Error, Result};
use crate::numbers::counted;

pub use answer_keys::{
    AnswerKeys, DATE, HOUR, NULL_PARTITION, PartKeys, folder_values, partition_keys,
};
pub use keys::{
    Keys, parse_chart_window, parse_state_page, parse_window_id, state_page, state_pages,
};
pub use origin::Origin;
pub use staging::{
    StagingKeys, is_in_attempt, is_in_piece, is_manifest, is_piece, is_written_here,
    job_of_attempt, kept_folder, manifest, parse_stretch_id, piece, piece_folder, record,
    stretch_id, times,
};

/// Every byte of a log group's or stream's name that is not a letter, a digit or one of these is percent-encoded in a
/// key, also the slash.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// A name as one segment of a key, or as a file name. [`decode_name`] gives it back.
pub fn encode_name(name: &str) -> String {
    match name {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => utf8_percent_encode(name, NAME).to_string(),
    }
}

/// The name that [`encode_name`] encoded. An error (damaged) where it is not UTF-8.
pub fn decode_name(segment: &str) -> Result<String> {
    percent_decode_str(segment)
        .decode_utf8()
        .map(Cow::into_owned)
        .map_err(|_| Error::damaged(format!("{segment:?} is not a percent-encoded UTF-8 name")))
}

/// A key of a store as a path; `None` where no path can hold it: with an empty part (`a//b`), a part `.` or `..`, a slash
/// at either end, or a control character.
pub fn path_of_key(key: &str) -> Option<Path> {
    Path::parse(key).ok().filter(|path| path.as_ref() == key)
}

/// What was left out of a listing: objects whose keys no path can hold, and links that lead back to a folder above them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skipped {
    keys: Examples,
    loops: Examples,
}

/// How many there are, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Examples {
    count: u64,
    first: String,
}

impl Examples {
    fn add(&mut self, name: &str) {
        if self.count == 0 {
            name.clone_into(&mut self.first);
        }
        self.count += 1;
    }

    fn merge(&mut self, other: Self) {
        if self.count == 0 {
            self.first = other.first;
        }
        self.count += other.count;
    }
}

impl Skipped {
    /// Adds a key. The name of a folder, which S3's console makes as an empty object, is none.
    pub fn add(&mut self, key: &str) {
        let folder = key.strip_suffix('/');
        if folder.is_none_or(|folder| path_of_key(folder).is_none()) {
            self.keys.add(key);
        }
    }

    /// Adds a link.
    pub fn add_loop(&mut self, link: &FilePath) {
        self.loops.add(&link.to_string_lossy());
    }

    /// Adds what another part of the listing left out.
    pub fn merge(&mut self, other: Self) {
        self.keys.merge(other.keys);
        self.loops.merge(other.loops);
    }

    /// A note on what was left out; `None` for nothing.
    pub fn note(&self, location: &str) -> Option<String> {
        let Self { keys, loops } = self;
        let of_keys = match keys.count {
            0 => None,
            1 => Some(format!(
                "1 object below {location} is not read: its key {:?} has",
                keys.first
            )),
            count => Some(format!(
                "{} below {location} are not read: their keys, such as {:?}, have",
                counted(count, "object"),
                keys.first
            )),
        };
        let of_keys = of_keys.map(|which| {
            format!(
                "{which} an empty part, a part \".\" or \"..\", or a character that no name has"
            )
        });
        let of_loops = match loops.count {
            0 => None,
            1 => Some(format!(
                "1 link below {location} is not followed: {:?} leads back to a folder that it is in, or to itself",
                loops.first
            )),
            count => Some(format!(
                "{} below {location} are not followed: {:?}, for example, leads back to a folder that it is in, or to itself",
                counted(count, "link"),
                loops.first
            )),
        };
        let notes: Vec<String> = [of_keys, of_loops].into_iter().flatten().collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }
}

/// Appends `/`-separated segments to a key, as they are.
pub fn join(prefix: &Path, rest: &str) -> Path {
    // This parses, since no segment that this program makes is empty, `.` or `..`, or has control characters.
    let joined = match (prefix.as_ref(), rest) {
        ("", rest) => rest.to_owned(),
        (prefix, "") => prefix.to_owned(),
        (prefix, rest) => format!("{prefix}/{rest}"),
    };
    Path::parse(&joined).unwrap_or_else(|_| Path::from(joined))
}

/// The folder that a key is in.
pub fn parent(key: &Path) -> Path {
    let text = key.as_ref();
    join(&Path::default(), &text[..text.rfind('/').unwrap_or(0)])
}

/// A key without the prefix and the slash behind it.
pub fn relative(prefix: &Path, key: &Path) -> String {
    let rest = key
        .as_ref()
        .strip_prefix(prefix.as_ref())
        .unwrap_or(key.as_ref());
    rest.trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_that_no_path_can_hold_are_counted() {
        let mut skipped = Skipped::default();
        for key in ["a/b.gz", "a", "한글/[$LATEST] x.gz"] {
            assert_eq!(path_of_key(key).unwrap().as_ref(), key);
        }
        assert_eq!(skipped.note("s3://b"), None);
        // A folder that the console made.
        skipped.add("exports/");
        assert_eq!(skipped.note("s3://b"), None);
        for key in [
            "exports//note.txt",
            "/aws/lambda/x.gz",
            "a/../b.gz",
            "a/\u{1}.gz",
            "a//",
        ] {
            assert_eq!(path_of_key(key), None, "{key}");
            skipped.add(key);
        }
        let note = skipped.note("s3://b/exports").unwrap();
        assert!(
            note.starts_with("5 objects below s3://b/exports are not read: their keys, such as \"exports//note.txt\", have"),
            "{note}"
        );
    }

    proptest! {
        #[test]
        fn names_round_trip_through_keys(name in "\\PC{1,40}") {
            let encoded = encode_name(&name);
            prop_assert!(!encoded.contains('/'));
            let key = format!("a/{encoded}/b");
            prop_assert!(Path::parse(&key).is_ok());
            prop_assert_eq!(decode_name(&encoded).unwrap(), name);
        }
    }
}
