//! logfmt: `level=info msg="order placed" ms=41 retried`.
//!
//! The grammar is that of [kr/logfmt](https://pkg.go.dev/github.com/kr/logfmt), which go-logfmt shares: pairs between white
//! space, a value in double quotes with JSON's escapes, and a key without a value, which is `true`. What is no key, such as
//! brackets around a time, is passed over.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanBufferBuilder, MapArray, StringBuilder, StringViewArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields};
use arrow::error::ArrowError;

use super::super::text_column::TextColumn;

/// The value of a key without one.
const BARE: &str = "true";

/// Below this number of pairs, looking for a key is comparing it with each.
const FEW: usize = 16;

/// The pairs of a message in their order.
#[derive(Debug, Clone)]
pub(super) struct Pairs<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Pairs<'a> {
    /// The pairs of a message that is logfmt: one with a `=` behind a key, which is no JSON.
    pub(super) fn of(message: &'a str) -> Option<Self> {
        let pairs = Self {
            source: message,
            at: 0,
        };
        let is_json = message.trim_start().starts_with('{');
        (!is_json && pairs.clone().any(|(_, value)| value.is_some())).then_some(pairs)
    }

    /// What stands between quotes, from the byte behind the first.
    fn quoted(&mut self) -> Cow<'a, str> {
        let bytes = self.source.as_bytes();
        let start = self.at;
        let mut is_escaped = false;
        let mut at = start;
        while let Some(length) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
            at += length;
            if bytes[at] == b'"' {
                self.at = at + 1;
                return unescaped(&self.source[start..at], is_escaped);
            }
            is_escaped = true;
            at += 2;
        }
        // Without an end, as of a line that was cut: all of the rest.
        self.at = self.source.len();
        unescaped(&self.source[start..], is_escaped)
    }
}

fn is_of_key(byte: u8) -> bool {
    byte > b' ' && byte != b'=' && byte != b'"'
}

fn unescaped(raw: &str, is_escaped: bool) -> Cow<'_, str> {
    if !is_escaped {
        return Cow::Borrowed(raw);
    }
    match serde_json::from_str(&format!("\"{raw}\"")) {
        Ok(text) => Cow::Owned(text),
        // Escapes that JSON has not, such as \' or a Windows path, and line breaks: only \" and \\ are understood then.
        Err(_) => Cow::Owned(raw.replace("\\\"", "\"").replace("\\\\", "\\")),
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, Option<Cow<'a, str>>);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.source.as_bytes();
        loop {
            let rest = bytes.get(self.at..)?;
            self.at += rest.iter().position(|byte| is_of_key(*byte))?;
            let start = self.at;
            let rest = &bytes[start..];
            self.at += rest
                .iter()
                .position(|byte| !is_of_key(*byte))
                .unwrap_or(rest.len());
            let key = &self.source[start..self.at];
            if bytes.get(self.at) != Some(&b'=') {
                // A word before a quote is no key, and the quoted text is not read as pairs.
                if bytes.get(self.at) == Some(&b'"') {
                    self.at += 1;
                    self.quoted();
                    continue;
                }
                return Some((key, None));
            }
            self.at += 1;
            if bytes.get(self.at) == Some(&b'"') {
                self.at += 1;
                return Some((key, Some(self.quoted())));
            }
            let start = self.at;
            let rest = &bytes[start..];
            let length = rest.iter().position(|byte| *byte <= b' ');
            self.at += length.unwrap_or(rest.len());
            return Some((key, Some(Cow::Borrowed(&self.source[start..self.at]))));
        }
    }
}

/// The type of `parse_logfmt`.
pub(super) fn map_type() -> DataType {
    DataType::Map(Arc::new(entries_field()), false)
}

fn entry_fields() -> Fields {
    // Utf8, and not views: a key is looked for by a literal, which is Utf8.
    Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ])
}

fn entries_field() -> Field {
    Field::new("entries", DataType::Struct(entry_fields()), false)
}

/// A map for each message, NULL for those that are no logfmt. A key that is there twice has the last of its values.
pub(super) fn maps(messages: &StringViewArray) -> Result<ArrayRef, ArrowError> {
    let mut keys = StringBuilder::new();
    let mut values = StringBuilder::new();
    let mut offsets: Vec<i32> = Vec::with_capacity(messages.len() + 1);
    offsets.push(0);
    let mut validity = BooleanBufferBuilder::new(messages.len());
    let mut entries: i32 = 0;
    for message in messages {
        let pairs = message.and_then(Pairs::of);
        validity.append(pairs.is_some());
        for (key, value) in pairs.map(last_of_each_key).into_iter().flatten() {
            keys.append_value(key);
            values.append_value(value.as_deref().unwrap_or(BARE));
            entries += 1;
        }
        offsets.push(entries);
    }
    let columns: Vec<ArrayRef> = vec![Arc::new(keys.finish()), Arc::new(values.finish())];
    let map = MapArray::try_new(
        Arc::new(entries_field()),
        OffsetBuffer::new(offsets.into()),
        StructArray::try_new(entry_fields(), columns, None)?,
        Some(NullBuffer::new(validity.finish())),
        false,
    )?;
    Ok(Arc::new(map))
}

fn last_of_each_key<'a>(pairs: Pairs<'a>) -> Vec<(&'a str, Option<Cow<'a, str>>)> {
    let mut last: Vec<(&str, Option<Cow<'_, str>>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (key, value) in pairs {
        let before = match last.len() {
            0..FEW => last.iter().position(|(other, _)| *other == key),
            count => {
                if places.is_empty() {
                    places.extend(last.iter().map(|(key, _)| *key).zip(0..count));
                }
                places.get(key).copied()
            }
        };
        match before {
            Some(index) => last[index].1 = value,
            None => {
                if !places.is_empty() {
                    places.insert(key, last.len());
                }
                last.push((key, value));
            }
        }
    }
    last
}

/// The value of one key for each message, without maps of all.
pub(super) fn values(messages: &StringViewArray, wanted: &str) -> Result<ArrayRef, ArrowError> {
    let mut column = TextColumn::new(messages);
    for (row, message) in messages.iter().enumerate() {
        let Some(pairs) = message.and_then(Pairs::of) else {
            continue;
        };
        if let Some((_, value)) = pairs.filter(|(key, _)| *key == wanted).last() {
            // "true" fits a view, which then needs no buffer.
            column.set(row, value.unwrap_or(Cow::Borrowed(BARE)));
        }
    }
    Ok(Arc::new(column.finish()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(message: &str) -> Option<Vec<(String, Option<String>)>> {
        let pairs = Pairs::of(message)?;
        Some(
            pairs
                .map(|(key, value)| (key.to_owned(), value.map(Cow::into_owned)))
                .collect(),
        )
    }

    fn some(expected: &[(&str, Option<&str>)]) -> Option<Vec<(String, Option<String>)>> {
        let owned = expected.iter();
        Some(
            owned
                .map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned)))
                .collect(),
        )
    }

    #[test]
    fn pairs_of_public_loggers() {
        for (message, expected) in [
            // logrus
            (
                r#"time="2026-11-21T05:35:01Z" level=info msg="A group of \"walrus\" emerges" size=10"#,
                some(&[
                    ("time", Some("2026-11-21T05:35:01Z")),
                    ("level", Some("info")),
                    ("msg", Some("A group of \"walrus\" emerges")),
                    ("size", Some("10")),
                ]),
            ),
            // Heroku's router
            (
                "at=info method=GET path=\"/a?b=c\" fwd=\"10.0.0.1\" connect=1ms service=18ms status=200 protocol=https sync",
                some(&[
                    ("at", Some("info")),
                    ("method", Some("GET")),
                    ("path", Some("/a?b=c")),
                    ("fwd", Some("10.0.0.1")),
                    ("connect", Some("1ms")),
                    ("service", Some("18ms")),
                    ("status", Some("200")),
                    ("protocol", Some("https")),
                    ("sync", None),
                ]),
            ),
            (
                "a= b=\"\" c=x=y",
                some(&[("a", Some("")), ("b", Some("")), ("c", Some("x=y"))]),
            ),
            (
                "INFO order placed id=7",
                some(&[
                    ("INFO", None),
                    ("order", None),
                    ("placed", None),
                    ("id", Some("7")),
                ]),
            ),
            (
                r#"path="C:\temp\x" a="cut off"#,
                some(&[("path", Some(r"C:\temp\x")), ("a", Some("cut off"))]),
            ),
            ("m=\"한\\n글\"", some(&[("m", Some("한\n글"))])),
            ("no pairs here", None),
            ("", None),
            (r#"{"a":"b=c"}"#, None),
            ("= = =", None),
        ] {
            assert_eq!(pairs(message), expected, "{message}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_has_its_last_value() {
        let many: String = (0..40).map(|n| format!("k{}={n} ", n % 20)).collect();
        let found = last_of_each_key(Pairs::of(&many).unwrap());
        assert_eq!(found.len(), 20);
        assert_eq!(found[3], ("k3", Some(Cow::Borrowed("23"))));
        let messages = StringViewArray::from_iter_values([many.as_str(), "a=1 b", "plain"]);
        let of_key = values(&messages, "k3").unwrap();
        let of_key = arrow::array::AsArray::as_string_view(&of_key);
        assert_eq!(of_key.iter().collect::<Vec<_>>(), [Some("23"), None, None]);
    }

    fn written(value: &str) -> String {
        let is_plain =
            !value.is_empty() && value.bytes().all(|b| b > b' ' && b != b'"' && b != b'\\');
        match is_plain {
            true => value.to_owned(),
            false => serde_json::to_string(value).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            written_pairs in prop::collection::vec(("[a-z_.한]{1,8}", any::<String>()), 1..8)
        ) {
            let line: Vec<String> = written_pairs
                .iter()
                .map(|(key, value)| format!("{key}={}", written(value)))
                .collect();
            let expected = written_pairs
                .into_iter()
                .map(|(key, value)| (key, Some(value)))
                .collect::<Vec<_>>();
            prop_assert_eq!(pairs(&line.join(" ")), Some(expected));
        }

        #[test]
        fn any_text_is_read(message in "[a=\"\\\\ \\n한b]{0,40}") {
            if let Some(pairs) = Pairs::of(&message) {
                for (key, _) in last_of_each_key(pairs) {
                    prop_assert!(!key.is_empty());
                }
            }
        }
    }
}
