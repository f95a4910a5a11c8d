//! The members of a JSON object on a line, at its outermost level. Pure: places in the line, and nothing is copied.

use crate::scan::escapes::end_of_text;
use crate::scan::records::JsonText;

/// The value of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Its place; without the quotes of a text.
    pub text: JsonText,
    /// Whether it is a text.
    pub is_text: bool,
}

impl Value {
    /// Whether it is a number that is not negative.
    pub fn is_number(&self, line: &[u8]) -> bool {
        !self.is_text && line.get(self.text.at.start).is_some_and(u8::is_ascii_digit)
    }

    /// Whether it is no value, but null.
    pub fn is_null(&self, line: &[u8]) -> bool {
        !self.is_text && line.get(self.text.at.clone()) == Some(b"null")
    }
}

/// A line that is no JSON object: what was expected at a place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrong {
    /// The place.
    pub at: usize,
    /// What was expected there.
    pub expected: &'static str,
}

/// Gives each member of the object that a line is to `member`: its name, without escapes taken away, and its value.
///
/// # Errors
/// The line is no object of JSON, or something is behind it. What is within a value of a member is not looked at closer than
/// to find its end.
pub fn members(line: &[u8], mut member: impl FnMut(&[u8], Value)) -> Result<(), Wrong> {
    let mut cursor = Cursor { line, at: 0 };
    cursor.take(b'{', "an object of JSON, { … }")?;
    if cursor.peek() == Some(b'}') {
        cursor.at += 1;
        return cursor.end();
    }
    loop {
        let name = cursor.text("the name of a member in quotes")?;
        cursor.take(b':', "a colon behind the name of a member")?;
        let value = cursor.value()?;
        member(&line[name.at], value);
        match cursor.peek() {
            Some(b',') => cursor.at += 1,
            Some(b'}') => {
                cursor.at += 1;
                return cursor.end();
            }
            _ => return Err(cursor.wrong("a comma or the end of the object")),
        }
    }
}

struct Cursor<'l> {
    line: &'l [u8],
    at: usize,
}

impl Cursor<'_> {
    fn wrong(&self, expected: &'static str) -> Wrong {
        let at = self.at.min(self.line.len());
        Wrong { at, expected }
    }

    /// The next byte that is no white space.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.line.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                byte => return Some(*byte),
            }
        }
        None
    }

    #[inline]
    fn take(&mut self, byte: u8, expected: &'static str) -> Result<(), Wrong> {
        if self.peek() != Some(byte) {
            return Err(self.wrong(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn end(&mut self) -> Result<(), Wrong> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.wrong("nothing behind the object: each line is an event")),
        }
    }

    #[inline]
    fn text(&mut self, expected: &'static str) -> Result<JsonText, Wrong> {
        self.take(b'"', expected)?;
        let start = self.at;
        let Some((end, escaped)) = end_of_text(self.line, start) else {
            self.at = self.line.len();
            return Err(self.wrong("the end of a text, a quote"));
        };
        self.at = end + 1;
        let at = start..end;
        Ok(JsonText { at, escaped })
    }

    fn value(&mut self) -> Result<Value, Wrong> {
        const EXPECTED: &str = "a value of JSON";
        let first = self.peek().ok_or(self.wrong(EXPECTED))?;
        let start = self.at;
        match first {
            b'"' => {
                return Ok(Value {
                    text: self.text(EXPECTED)?,
                    is_text: true,
                });
            }
            b'{' | b'[' => self.nested()?,
            _ => {
                let rest = &self.line[start..];
                let word = rest.iter().take_while(|byte| is_of_word(**byte)).count();
                if !is_value(&rest[..word]) {
                    return Err(self.wrong(EXPECTED));
                }
                self.at += word;
            }
        }
        let at = start..self.at;
        Ok(Value {
            text: JsonText { at, escaped: false },
            is_text: false,
        })
    }

    /// Passes over a list or an object, to the bracket that closes it.
    fn nested(&mut self) -> Result<(), Wrong> {
        let mut open = 0_usize;
        loop {
            let rest = self.line.get(self.at..).unwrap_or_default();
            let Some(found) = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']'))
            else {
                self.at = self.line.len();
                return Err(self.wrong("the bracket that closes a value"));
            };
            self.at += found;
            match rest[found] {
                b'"' => {
                    self.text("a text in quotes")?;
                    continue;
                }
                b'{' | b'[' => open += 1,
                _ => open -= 1,
            }
            self.at += 1;
            if open == 0 {
                return Ok(());
            }
        }
    }
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
}

fn is_value(word: &[u8]) -> bool {
    match word {
        b"true" | b"false" | b"null" => true,
        number => {
            number.iter().any(u8::is_ascii_digit)
                && number
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(line: &[u8]) -> Result<Vec<(String, String, bool)>, Wrong> {
        let mut found = Vec::new();
        members(line, |name, value| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            found.push((text(name), text(&line[value.text.at]), value.is_text));
        })?;
        Ok(found)
    }

    #[test]
    fn the_members_of_a_line_are_found_in_their_order() {
        let line = br#" {"a" : "x\"}", "b":{"c":[1,"]}"]},"d":-1.5e3,"e":null, "f":[] } "#;
        let expected = [
            ("a", r#"x\"}"#, true),
            ("b", r#"{"c":[1,"]}"]}"#, false),
            ("d", "-1.5e3", false),
            ("e", "null", false),
            ("f", "[]", false),
        ];
        let expected = expected.map(|(name, text, is)| (name.to_owned(), text.to_owned(), is));
        assert_eq!(found(line).unwrap(), expected);
        assert_eq!(found(b"{}").unwrap(), []);
    }

    #[test]
    fn what_is_no_object_is_said_with_the_place() {
        for (line, at, expected) in [
            (&b"hello"[..], 0, "an object of JSON"),
            (b"", 0, "an object of JSON"),
            (br#"{"a":1"#, 6, "the end of the object"),
            (br#"{"a":1} {"b":2}"#, 8, "each line is an event"),
            (br#"{"a":"x"#, 7, "the end of a text"),
            (br#"{"a":{"b":1}"#, 12, "the end of the object"),
            (br#"{"a":[1"#, 7, "closes a value"),
            (br#"{"a":nul}"#, 5, "a value of JSON"),
            (br#"{"a"}"#, 4, "a colon"),
            (br#"{a:1}"#, 1, "the name of a member"),
            (br#"{"a":"\"#, 7, "the end of a text"),
        ] {
            let wrong = found(line).unwrap_err();
            let shown = String::from_utf8_lossy(line);
            assert_eq!(wrong.at, at, "{shown}");
            assert!(
                wrong.expected.contains(expected),
                "{shown}: {}",
                wrong.expected
            );
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Into::into),
            any::<bool>().prop_map(Into::into),
            ".{0,8}".prop_map(Into::into),
            Just(serde_json::Value::Null),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            let list = proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into);
            let object = proptest::collection::vec((".{0,4}", inner), 0..4);
            let object =
                object.prop_map(|members| serde_json::Value::Object(members.into_iter().collect()));
            prop_oneof![list, object]
        })
    }

    proptest! {
        #[test]
        fn members_are_those_of_serde(value in proptest::collection::vec((".{0,6}", json()), 0..5)) {
            let object: serde_json::Map<_, _> = value.into_iter().collect();
            let line = serde_json::Value::Object(object.clone()).to_string();
            let mut read = serde_json::Map::new();
            members(line.as_bytes(), |name, value| {
                let name = format!("\"{}\"", std::str::from_utf8(name).unwrap());
                let at = value.text.at;
                let text = &line[at];
                let text = if value.is_text { format!("\"{text}\"") } else { text.to_owned() };
                read.insert(serde_json::from_str(&name).unwrap(), serde_json::from_str(&text).unwrap());
            }).unwrap();
            prop_assert_eq!(read, object);
        }

        #[test]
        fn any_bytes_end(line in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = found(&line);
        }

        #[test]
        fn any_brackets_end(line in r#"\{["a:,\[\]{}\\ 1-]{0,32}"#) {
            let _ = found(line.as_bytes());
        }
    }
}
