//! `message_json(message)`: the JSON object in a message, as text for `->>` and the functions of JSON.
//!
//! - a message that is an object: the message
//! - one in which an object stands behind a prefix, as Lambda's Node.js runtime, loggers and a container's runtime write it:
//!   the first whole object that is not empty, up to its closing brace
//! - an object with the line of a container as its text `log`, as FireLens, Fluent Bit and Docker write it, where that line
//!   has an object: the object of the line

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray};
use arrow::error::ArrowError;
use memchr::memchr_iter;

use super::super::json::Members;
use super::super::text_column::TextColumn;

/// How many braces of a message are tried, so that a message of braces takes no quadratic time.
const MOST_TRIES: usize = 32;

/// The key of a container's line.
const LINE: &str = "log";

/// The object in a message.
pub(super) fn object(message: &str) -> Option<Cow<'_, str>> {
    let object = first_object(message)?;
    let mut buffer = String::new();
    let line = Members::of(object).find(|(key, _)| key.key(&mut buffer) == LINE);
    match line.and_then(|(_, value)| value.text()) {
        Some(Cow::Borrowed(line)) => Some(Cow::Borrowed(first_object(line).unwrap_or(object))),
        Some(Cow::Owned(line)) => Some(match first_object(&line) {
            Some(inner) => Cow::Owned(inner.to_owned()),
            None => Cow::Borrowed(object),
        }),
        None => Some(Cow::Borrowed(object)),
    }
}

fn first_object(text: &str) -> Option<&str> {
    let braces = memchr_iter(b'{', text.as_bytes()).take(MOST_TRIES);
    let mut braces = braces.map(|at| &text[at..]);
    braces.find_map(|rest| {
        let mut members = Members::of(rest);
        members.next()?;
        members.whole()
    })
}

pub(super) fn objects(messages: &StringViewArray) -> Result<ArrayRef, ArrowError> {
    let mut column = TextColumn::new(messages);
    for (row, message) in messages.iter().enumerate() {
        if let Some(object) = message.and_then(object) {
            column.set(row, object);
        }
    }
    Ok(Arc::new(column.finish()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_object_behind_a_prefix() {
        for (message, expected) in [
            (r#"{"a":1}"#, Some(r#"{"a":1}"#)),
            ("  {\"a\":1}\n", Some(r#"{"a":1}"#)),
            (
                "2024-02-13T21:01:04.792Z\t8476a536-e9f4-11e8-9739-2dfe598c3fcd\tINFO\t{\"a\":{\"b\":[1]}}\n",
                Some(r#"{"a":{"b":[1]}}"#),
            ),
            (
                r#"INFO order {7} placed {"id":7} in 5 ms"#,
                Some(r#"{"id":7}"#),
            ),
            (r#"called with {} and {"id":7}"#, Some(r#"{"id":7}"#)),
            (
                r#"2026-11-21T05:35:01.123Z stdout F {"id":7}"#,
                Some(r#"{"id":7}"#),
            ),
            (
                r#"{"container_id":"x","log":"{\"id\":7,\"m\":\"a\"}","source":"stdout"}"#,
                Some(r#"{"id":7,"m":"a"}"#),
            ),
            (
                r#"{"log":"INFO plain line\n","stream":"stdout"}"#,
                Some(r#"{"log":"INFO plain line\n","stream":"stdout"}"#),
            ),
            (
                r#"{"log":{"level":"info"}}"#,
                Some(r#"{"log":{"level":"info"}}"#),
            ),
            ("plain", None),
            ("{not json}", None),
            (r#"{"cut":"#, None),
            ("[1,2]", None),
            ("", None),
        ] {
            assert_eq!(object(message).as_deref(), expected, "{message}");
        }
    }

    proptest! {
        #[test]
        fn an_object_is_found_behind_any_prefix(prefix in "[^{]{0,20}", value in any::<String>(), suffix in any::<String>()) {
            let json = serde_json::json!({ "id": 7, "text": value }).to_string();
            let message = format!("{prefix}{json}{suffix}");
            let found = object(&message);
            prop_assert_eq!(found.as_deref(), Some(json.as_str()));
        }

        #[test]
        fn any_text_is_tried(message in "[{}\":a,\\\\ 한]{0,60}") {
            object(&message);
        }
    }
}
