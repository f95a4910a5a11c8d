//! `level(message)`: the level that a message states.
//!
//! Messages come from any logger, so this is a grammar and not a list of formats:
//! - [`head`]: a line of text states its level in its head, among times, ids, names and brackets.
//! - [`object`]: an object states it under one of the keys that loggers use, or has a message within that does.
//! - [`names`]: the words and the numbers for it; [`shapes`]: formats that have a letter or a phrase instead.
//!
//! What stands in quotes, in URLs or in prose is never a level. It runs over every message of a night, so it looks at
//! no more of one than it must, and allocates only for escapes and colours.

mod head;
mod names;
mod object;
mod shapes;
mod times;

use std::borrow::Cow;

use super::message::beginning;

/// How much a message matters to its writer, after the names that most loggers share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

/// A message may hold another, as the line in what a log router wrapped it in: followed this many times.
const DEPTH: u8 = 3;

impl Level {
    /// In the order of the variants.
    pub const NAMES: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

    /// The level that a message states. Lambda's own lines state none, but those that report a failure are errors.
    #[inline]
    pub fn of(message: &str) -> Option<Self> {
        Self::within(message, DEPTH)
    }

    fn within(message: &str, depth: u8) -> Option<Self> {
        let message = beginning(message);
        match message.as_bytes().first()? {
            b'{' if object::begins(message) => object::level(message, depth),
            _ => head::level(message, depth),
        }
    }
}

/// A text without the escape sequences by which terminals colour it (ECMA-48).
fn without_colours(text: &str) -> Cow<'_, str> {
    const ESCAPE: char = '\u{1b}';
    if !text.contains(ESCAPE) {
        return Cow::Borrowed(text);
    }
    let mut pieces = text.split(ESCAPE);
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let sequence = match piece.as_bytes().first() {
            Some(b'[') => match piece[1..].find(|byte: char| ('@'..='~').contains(&byte)) {
                Some(end) => 1 + end + 1,
                None => piece.len(),
            },
            Some(b'(' | b')') => piece.char_indices().nth(2).map_or(piece.len(), |(end, _)| end),
            Some(b']') => piece.find('\u{7}').map_or(piece.len(), |end| end + 1),
            _ => 0,
        };
        plain += &piece[sequence..];
    }
    Cow::Owned(plain)
}
