//! The members of a JSON object, found by scanning and not by parsing.
//!
//! A question about a log message asks for one or two of its keys. So this walks over the top level of an object,
//! steps over values that are not asked for, and allocates nothing. It is as strict as that needs: what is a string,
//! where it ends and what is nested is decided exactly, but `tru` or `01` as a value goes unnoticed.

use memchr::memchr2;
use std::borrow::Cow;

/// A JSON string as it stands between its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Text<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> Text<'a> {
    /// What the string means, or nothing where an escape is malformed.
    pub(super) fn decoded(self) -> Option<Cow<'a, str>> {
        if !self.escaped {
            return Some(Cow::Borrowed(self.raw));
        }
        let quoted = format!("\"{}\"", self.raw);
        serde_json::from_str(&quoted).ok().map(Cow::Owned)
    }

    /// As it stands between its quotes: what it means, where it has no escapes.
    pub(super) fn raw(self) -> &'a str {
        self.raw
    }

    /// As a key to match on: one with escapes, which no logger writes, is decoded into `buffer`.
    #[inline]
    pub(super) fn key<'b>(self, buffer: &'b mut String) -> &'b str
    where
        'a: 'b,
    {
        if self.escaped {
            *buffer = self.decoded().unwrap_or_default().into_owned();
            return buffer;
        }
        self.raw
    }
}

/// A JSON value, as far as questions about log messages need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Text(Text<'a>),
    Number(&'a str),
    /// An object with its braces.
    Object(&'a str),
    /// An array with its brackets.
    Array(&'a str),
    /// `true`, `false` or `null`; also `NaN` and `Infinity`, which JSON has not and Python writes.
    Other,
}

impl<'a> Value<'a> {
    /// The text of a string that is not empty.
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Value::Text(text) => text.decoded().filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    /// The members of an object; of anything else there are none.
    pub(super) fn members(self) -> Members<'a> {
        match self {
            Value::Object(object) => Members::of(object),
            _ => Members::of(""),
        }
    }

    /// The objects that an array begins with.
    pub(super) fn objects(self) -> impl Iterator<Item = Value<'a>> {
        let mut rest = match self {
            Value::Array(array) => array[1..].trim_ascii_start(),
            _ => "",
        };
        std::iter::from_fn(move || {
            let mut walk = Members {
                source: rest.starts_with('{').then_some(rest)?,
                position: 0,
                state: State::Start,
            };
            walk.skip_nested()?;
            let (object, behind) = rest.split_at(walk.position);
            rest = behind.trim_ascii_start();
            rest = rest.strip_prefix(',').unwrap_or("").trim_ascii_start();
            Some(Value::Object(object))
        })
    }
}

/// The members of an object in their order, up to its end or to where it stops being JSON.
#[derive(Debug, Clone)]
pub(super) struct Members<'a> {
    source: &'a str,
    position: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first member.
    Start,
    /// After a member.
    Between,
    /// The closing brace has been read.
    Closed,
    Malformed,
}

impl<'a> Members<'a> {
    /// The members of the object that `source` starts with; none if it does not start with one.
    pub(super) fn of(source: &'a str) -> Self {
        let opens = source.starts_with('{');
        Members {
            source,
            position: usize::from(opens),
            state: if opens {
                State::Start
            } else {
                State::Malformed
            },
        }
    }

    /// Whether the rest of the object is well formed and nothing but white space follows it.
    pub(super) fn ends_well(mut self) -> bool {
        while self.next().is_some() {}
        self.skip_white_space();
        self.state == State::Closed && self.position == self.source.len()
    }

    /// The object from its opening to its closing brace, if all of it is well formed.
    pub(super) fn whole(mut self) -> Option<&'a str> {
        while self.next().is_some() {}
        (self.state == State::Closed).then(|| &self.source[..self.position])
    }

    #[inline]
    fn member(&mut self) -> Option<(Text<'a>, Value<'a>)> {
        self.skip_white_space();
        match (self.peek()?, self.state) {
            (b'}', _) => {
                self.position += 1;
                self.state = State::Closed;
                return None;
            }
            (b',', State::Between) => {
                self.position += 1;
                self.skip_white_space();
            }
            (b'"', State::Start) => {}
            _ => return None,
        }
        let key = self.text()?;
        self.skip_white_space();
        if self.peek()? != b':' {
            return None;
        }
        self.position += 1;
        self.skip_white_space();
        let value = self.value()?;
        self.state = State::Between;
        Some((key, value))
    }

    #[inline]
    fn value(&mut self) -> Option<Value<'a>> {
        let start = self.position;
        match self.peek()? {
            b'"' => Some(Value::Text(self.text()?)),
            first @ (b'{' | b'[') => {
                self.skip_nested()?;
                let nested = &self.source[start..self.position];
                Some(if first == b'{' {
                    Value::Object(nested)
                } else {
                    Value::Array(nested)
                })
            }
            first => {
                let rest = &self.source.as_bytes()[start..];
                let length = rest
                    .iter()
                    .take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
                    .count();
                self.position += length;
                match first {
                    b'-' | b'0'..=b'9' => Some(Value::Number(&self.source[start..self.position])),
                    b't' | b'f' | b'n' | b'N' | b'I' => Some(Value::Other),
                    _ => None,
                }
            }
        }
    }

    /// Reads a string, from its opening quote.
    #[inline]
    fn text(&mut self) -> Option<Text<'a>> {
        if self.peek()? != b'"' {
            return None;
        }
        let bytes = self.source.as_bytes();
        let start = self.position + 1;
        let mut end = start;
        let mut escaped = false;
        loop {
            end += memchr2(b'"', b'\\', bytes.get(end..)?)?;
            if bytes[end] == b'"' {
                break;
            }
            escaped = true;
            end += 2;
        }
        self.position = end + 1;
        Some(Text {
            raw: &self.source[start..end],
            escaped,
        })
    }

    /// Steps over an object or an array, from its opening bracket.
    ///
    /// Counting the depth rather than recursing: a message of a million brackets is no reason to overflow the stack.
    fn skip_nested(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.text()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.position += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.position += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.position).copied()
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Text<'a>, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if let State::Closed | State::Malformed = self.state {
            return None;
        }
        let member = self.member();
        if member.is_none() && self.state != State::Closed {
            self.state = State::Malformed;
        }
        member
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Key and value of each member, with strings decoded.
    fn members(source: &str) -> Vec<(String, String)> {
        let shown = |value| match value {
            Value::Text(text) => text.decoded().unwrap().into_owned(),
            Value::Number(text) | Value::Object(text) | Value::Array(text) => text.to_owned(),
            Value::Other => "other".to_owned(),
        };
        Members::of(source)
            .map(|(key, value)| (key.decoded().unwrap().into_owned(), shown(value)))
            .collect()
    }

    #[test]
    fn only_the_top_level_is_walked_over() {
        let source = r#" {"a" : {"level":"x","b":[{"}":"{"}]} , "c":[1,"]",{"d":2}],"e":"f","g":-1.5e3,"h":null}"#;
        let found = members(source.trim_start());
        let expected = [
            ("a", r#"{"level":"x","b":[{"}":"{"}]}"#),
            ("c", r#"[1,"]",{"d":2}]"#),
            ("e", "f"),
            ("g", "-1.5e3"),
            ("h", "other"),
        ];
        assert_eq!(
            found,
            expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn escapes_do_not_end_strings() {
        let source = r#"{"a\"b":"\\","c":"\"level\":\"x\"","\u0064":"\ud55c\n"}"#;
        let expected = [("a\"b", "\\"), ("c", "\"level\":\"x\""), ("d", "한\n")];
        assert_eq!(
            members(source),
            expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn what_ends_well_is_an_object_and_nothing_else() {
        for (source, well) in [
            ("{}", true),
            ("{ } \n", true),
            (r#"{"a":1}"#, true),
            ("", false),
            ("{", false),
            ("[1]", false),
            (r#"{"a":1"#, false),
            (r#"{"a":1}}"#, false),
            (r#"{"a":1,}"#, false),
            (r#"{,"a":1}"#, false),
            (r#"{"a" 1}"#, false),
            (r#"{"a":}"#, false),
            (r#"{"a":1 "b":2}"#, false),
            (r#"{a:1}"#, false),
            (r#"{"a":"\"#, false),
        ] {
            assert_eq!(Members::of(source).ends_well(), well, "{source}");
        }
    }

    #[test]
    fn depth_does_not_overflow_the_stack() {
        let deep = format!(
            "{{\"a\":{}1{}}}",
            "[".repeat(1_000_000),
            "]".repeat(1_000_000)
        );
        assert!(Members::of(&deep).ends_well());
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<i32>().prop_map(|eighths| (f64::from(eighths) / 8.0).into()),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_a_parser(
            object in prop::collection::btree_map(any::<String>(), json(), 0..6),
            pretty in any::<bool>(),
        ) {
            let object = serde_json::Value::Object(object.into_iter().collect());
            let source = if pretty { format!("{object:#}") } else { object.to_string() };
            prop_assert!(Members::of(&source).ends_well());
            let mut found = 0;
            for ((key, value), (expected_key, expected)) in Members::of(&source).zip(object.as_object().unwrap()) {
                found += 1;
                prop_assert_eq!(&*key.decoded().unwrap(), expected_key);
                match value {
                    Value::Text(text) => prop_assert_eq!(&*text.decoded().unwrap(), expected.as_str().unwrap()),
                    Value::Number(text) => prop_assert_eq!(text.parse::<f64>().unwrap(), expected.as_f64().unwrap()),
                    Value::Object(text) => prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(text).unwrap(), expected),
                    Value::Array(text) => prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(text).unwrap(), expected),
                    Value::Other => prop_assert!(expected.is_null() || expected.is_boolean()),
                }
            }
            prop_assert_eq!(found, object.as_object().unwrap().len());
            // an object that was cut is never taken for a whole one
            for (cut, _) in source.char_indices() {
                prop_assert!(!Members::of(&source[..cut]).ends_well());
            }
        }

        #[test]
        fn anything_can_be_walked_over(source in "[{}\\[\\]\",:\\\\ a1é한]{0,40}") {
            let source = format!("{{{source}");
            for (key, value) in Members::of(&source) {
                key.decoded();
                value.text();
                value.members().for_each(drop);
            }
        }
    }
}
