//! `pattern(message)`: a message without what changes from event to event, so that GROUP BY finds the kinds of messages.
//!
//! A scanner reads the message once from left to right, and replaces each value that it recognises by a mark. It looks at
//! this message only: the same message has the same pattern in every query, window and release. The grammar is the one in
//! `docs/sql.md`; `tests/messages/kinds.txt` has lines and their patterns.
//!
//! One mark, `<*>`, stands for numbers, ids and quoted values alike, since a hexadecimal id of eight digits is a number
//! once in forty times, and would then have two patterns. CloudWatch's `pattern` command and Drain write the same mark.

mod bytes;
mod coded;
mod colours;
mod digits;
mod emails;
mod fields;
mod keys;
mod lines;
mod names;
mod numbers;
mod pairs;
mod quotes;
mod scanner;
mod seen;
mod text;
mod times;
mod words;

use scanner::Scanner;
use seen::Seen;

pub use coded::{PatternCoder, Patterns};

/// The number of this grammar. It goes up with a change of any message's pattern, so that patterns which are kept on a disk are
/// made anew.
pub const GRAMMAR: u32 = 1;

/// What stands in a pattern for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// A number, an id, a quoted text, or a value of a key.
    Value,
    Time,
    Uuid,
    Ip,
    Email,
    Duration,
    Size,
}

impl Mark {
    const ALL: [Mark; 7] = [
        Mark::Value,
        Mark::Time,
        Mark::Uuid,
        Mark::Ip,
        Mark::Email,
        Mark::Duration,
        Mark::Size,
    ];

    fn text(self) -> &'static str {
        match self {
            Mark::Value => "<*>",
            Mark::Time => "<time>",
            Mark::Uuid => "<uuid>",
            Mark::Ip => "<ip>",
            Mark::Email => "<email>",
            Mark::Duration => "<duration>",
            Mark::Size => "<size>",
        }
    }

    /// The mark that a text begins with.
    fn at_start_of(text: &[u8]) -> Option<Mark> {
        Mark::ALL
            .into_iter()
            .find(|mark| text.starts_with(mark.text().as_bytes()))
    }
}

/// Writes the patterns of messages, one by one, which are faster if the messages are alike.
#[derive(Debug, Default)]
pub struct PatternWriter {
    seen: Seen,
}

impl PatternWriter {
    /// Appends the pattern of a message, which is at most five times as long, and is its own pattern.
    pub fn write(&mut self, message: &str, pattern: &mut Vec<u8>) {
        match colours::without_colours(message.as_bytes()) {
            None => Scanner::new(message.as_bytes(), pattern, &mut self.seen).message(),
            Some(message) => Scanner::new(&message, pattern, &mut self.seen).message(),
        }
    }
}

#[cfg(test)]
mod tests;
