//! Every key and every exported line: encoded and decoded in one place.
//!
//! ```text
//! <staging>/<job>/<window>/<group>/attempt=<id>/<task-id>/<stream>/000000.gz
//! <staging>/<job>/<window>/<group>/attempt=<id>/manifest.json
//! <staging>/<job>/<window>/<group>/attempt=<id>/events-<from>-<id>/piece.json    (without an export task)
//! <staging>/<job>/<window>/<group>/attempt=<id>/kept-<id>/<stream>/000000.gz     (what an earlier export had)
//! <location>/<job>/<query>/dt=2026-11-21/<query>.parquet        (hour windows: dt=…/hh=05)
//! <location>/<job>/<query>/dt=2026-11-21/<query>.txt            where the answer is in parts: lists them
//! <location>/<job>/parts/<query>/dt=2026-11-21/<query>-<generation>-00000.parquet
//! <location>/<job>/charts/<query>/<chart>-2026-11-21.png        and <chart>-latest.png
//! <location>/<job>/runs/2026-11-21.json                         the receipt
//! <location>/<job>/runs/_state/2026-11-21.json                  the state
//! <location>/<job>/runs/_state/2026-11-21/<run>-0000.json       its pages, with more than a few log groups
//! ```
//!
//! [`StagingKeys`] makes the keys of exports, [`Keys`] all others.

pub mod cloudwatch;

mod answer_keys;
mod keys;
mod staging;

use std::borrow::Cow;

use object_store::path::Path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::error::{Error, Result};

pub use answer_keys::{AnswerKeys, DATE, HOUR, NULL_PARTITION, partition_keys};
pub use keys::{
    Keys, parse_chart_window, parse_state_page, parse_window_id, state_page, state_pages,
};
pub use staging::{
    StagingKeys, is_in_attempt, is_in_piece, is_manifest, is_piece, kept_folder, manifest, piece,
    piece_folder,
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
