//! The parts of a line: words between blanks, texts in double quotes or in brackets.

/// A part of a line, without what stands around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    Word(&'a str),
    Quoted(&'a str),
    Bracketed(&'a str),
}

impl<'a> Part<'a> {
    pub(super) fn text(self) -> &'a str {
        match self {
            Self::Word(text) | Self::Quoted(text) | Self::Bracketed(text) => text,
        }
    }

    /// A word, which has no blanks.
    pub(super) fn word(self) -> Option<&'a str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }

    pub(super) fn quoted(self) -> Option<&'a str> {
        match self {
            Self::Quoted(text) => Some(text),
            _ => None,
        }
    }
}

/// The parts of a line in their order.
#[derive(Debug, Clone)]
pub(super) struct Parts<'a>(&'a str);

impl<'a> Parts<'a> {
    pub(super) fn of(line: &'a str) -> Self {
        Self(line)
    }

    /// The next part, if it is a word.
    pub(super) fn next_word(&mut self) -> Option<&'a str> {
        self.next()?.word()
    }

    /// The next part, if it is in quotes.
    pub(super) fn next_quoted(&mut self) -> Option<&'a str> {
        self.next()?.quoted()
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let rest = self.0.trim_ascii_start();
        let (part, rest) = match rest.as_bytes().first()? {
            b'"' => {
                let (text, rest) = split_quoted(&rest[1..]);
                (Part::Quoted(text), rest)
            }
            // An address with a port, `[::1]:80`, is a word.
            b'[' if !is_address(rest) => {
                let (text, rest) = rest[1..].split_once(']').unwrap_or((&rest[1..], ""));
                (Part::Bracketed(text), rest)
            }
            _ => {
                let end = memchr::memchr3(b' ', b'\t', b'\n', rest.as_bytes());
                let (word, rest) = rest.split_at(end.unwrap_or(rest.len()));
                (Part::Word(word), rest)
            }
        };
        self.0 = rest;
        Some(part)
    }
}

fn is_address(rest: &str) -> bool {
    rest.split_once(']')
        .is_some_and(|(_, behind)| behind.starts_with(':'))
}

/// What stands before the closing quote, and what behind it. A backslash keeps the byte behind it from being one.
fn split_quoted(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(length) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += length;
        if bytes[at] == b'"' {
            return (&text[..at], &text[at + 1..]);
        }
        at += 2;
    }
    (text, "")
}
