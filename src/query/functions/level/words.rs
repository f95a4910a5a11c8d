//! The words of a head, and what they are made of.

use memchr::{memchr, memchr2, memrchr};

use super::names::{self, Weight, lookup};
use super::{Level, object};

/// Bytes of a group in brackets.
const LONGEST_GROUP: usize = 240;

pub(super) fn letters(text: &[u8]) -> usize {
    text.iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count()
}

pub(super) fn is_capital(name: &[u8]) -> bool {
    name.iter().all(u8::is_ascii_uppercase)
}

/// What a byte is in a head: looked up, as it is asked of every byte.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < classes.len() {
        classes[byte] = match byte as u8 {
            b' ' | b'\t' | b'\r' | b'\n' | b'|' | b'"' | b',' | b';' => ENDS_WORD,
            b'[' | b']' | b'(' | b')' | b'{' | b'}' | b'<' | b'>' => ENDS_WORD,
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'.' | b'@' | b'-' => OF_KEY,
            _ => 0,
        };
        byte += 1;
    }
    classes
};
const ENDS_WORD: u8 = 1;
const OF_KEY: u8 = 2;

/// The length of the word that a text begins with; one at least.
pub(super) fn word_length(text: &[u8]) -> usize {
    let ends = |byte: &u8| CLASSES[usize::from(*byte)] == ENDS_WORD;
    text.iter().position(ends).unwrap_or(text.len()).max(1)
}

/// The length of the key of a `key=value` that a text may begin with.
pub(super) fn key_length(text: &[u8]) -> usize {
    text.iter()
        .take_while(|byte| CLASSES[usize::from(**byte)] == OF_KEY)
        .count()
}

/// The length of a quoted text with its quotes.
pub(super) fn quoted_length(text: &[u8], quote: u8) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr2(quote, b'\\', text.get(at..)?)?;
        if text[at] == quote {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The length of a group with its brackets, other groups of the kind in it included.
pub(super) fn group_length(text: &[u8]) -> Option<usize> {
    let open = *text.first()?;
    let close = match open {
        b'[' => b']',
        b'(' => b')',
        b'<' => b'>',
        _ => b'}',
    };
    let mut depth = 0;
    for (at, byte) in text.iter().take(LONGEST_GROUP).enumerate() {
        if *byte == open {
            depth += 1;
        } else if *byte == close {
            depth -= 1;
            if depth == 0 {
                return Some(at + 1);
            }
        }
    }
    None
}

/// The digit of `DEBUG1` and the distance of log/slog's `INFO+2`.
pub(super) fn numbering_length(text: &[u8]) -> usize {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match text {
        [b'+' | b'-', rest @ ..] if digits(rest) > 0 => 1 + digits(rest),
        [b'0'..=b'9', ..] if digits(text) == 1 => 1,
        _ => 0,
    }
}

/// Words of up to eight letters as numbers, which are compared faster.
pub(super) const fn folded<const N: usize>(words: [&str; N]) -> [u64; N] {
    let mut folded = [0; N];
    let mut at = 0;
    while at < N {
        folded[at] = names::folded(words[at].as_bytes());
        at += 1;
    }
    folded
}

/// Whether a word, in any case, is one of those.
pub(super) fn is_among(word: &[u8], folded: &[u64]) -> bool {
    word.len() <= 8 && folded.contains(&names::folded(word))
}

/// Words that name no logger, thread or host: behind them a level is a word of a sentence, or the value of something
/// else. Among them are the labels of the lines by which PostgreSQL continues a message.
pub(super) fn is_prose(word: &[u8]) -> bool {
    const WORDS: [u64; 68] = folded([
        "a", "an", "and", "any", "are", "as", "at", "by", "code", "context", "delete", "detail",
        "every", "expected", "first", "for", "found", "from", "get", "got", "had", "handled",
        "handling", "has", "have", "hint", "if", "ignored", "ignoring", "in", "insert", "is",
        "last", "level", "location", "message", "more", "new", "no", "not", "of", "on", "or",
        "possible", "query", "reason", "received", "response", "result", "returned", "select",
        "set", "some", "state", "status", "than", "that", "the", "this", "to", "type", "unknown",
        "update", "value", "was", "where", "with", "without",
    ]);
    is_among(word, &WORDS) || word == b"STATEMENT"
}

/// A method of HTTP: the line is one about a request.
pub(super) fn is_method(word: &[u8]) -> bool {
    matches!(
        word,
        b"GET" | b"POST" | b"PUT" | b"DELETE" | b"HEAD" | b"OPTIONS" | b"PATCH" | b"CONNECT"
    )
}

/// An address of IPv4, with which the lines of access logs begin.
pub(super) fn is_client(word: &[u8]) -> bool {
    let dots = word.iter().filter(|byte| **byte == b'.').count();
    dots == 3
        && word
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

pub(super) fn is_address(word: &[u8]) -> bool {
    memchr(b':', word).is_some_and(|colon| word[colon..].starts_with(b"://"))
}

/// A place in the source: `src/main.c:12:5:`.
pub(super) fn is_source(word: &[u8]) -> bool {
    match word {
        [name @ .., b'0'..=b'9', b':'] => memchr(b':', name).is_some(),
        _ => false,
    }
}

/// Whether what follows a colon says that there is nothing: `error: none`, `Warning: 0`.
pub(super) fn says_nothing(text: &[u8]) -> bool {
    const NOTHING: [&str; 10] = [
        "none",
        "null",
        "nil",
        "false",
        "undefined",
        "no",
        "n/a",
        "-",
        "[]",
        "{}",
    ];
    let text = text.trim_ascii();
    let is_zero = matches!(text, [b'0'] | [b'0', b' ' | b',' | b';', ..]);
    is_zero
        || NOTHING
            .iter()
            .any(|nothing| text.eq_ignore_ascii_case(nothing.as_bytes()))
}

/// A level that is joined to a name.
pub(super) fn joined(word: &[u8], timed: bool) -> Option<Level> {
    of_label(word)
        .or_else(|| of_channel(word))
        .or_else(|| of_facility(word).filter(|_| timed))
        .or_else(|| between_colons(word))
}

/// `level:error` of Labeled Tab-separated Values.
fn of_label(word: &[u8]) -> Option<Level> {
    let (label, value) = str::from_utf8(word).ok()?.split_once(':')?;
    object::is_level(label)
        .then(|| names::of_value(value))
        .flatten()
}

/// `local.ERROR:` of Monolog and Laravel.
fn of_channel(word: &[u8]) -> Option<Level> {
    let channel = word.strip_suffix(b":")?;
    in_capitals(&channel[memrchr(b'.', channel)? + 1..])
}

/// `daemon.err` of syslog.
fn of_facility(word: &[u8]) -> Option<Level> {
    const NAMES: [&[u8]; 12] = [
        b"kern",
        b"user",
        b"mail",
        b"daemon",
        b"auth",
        b"syslog",
        b"lpr",
        b"news",
        b"uucp",
        b"cron",
        b"authpriv",
        b"ftp",
    ];
    let (facility, severity) = word.split_at(memchr(b'.', word)?);
    let is_local = matches!(facility, [b'l', b'o', b'c', b'a', b'l', b'0'..=b'7']);
    let (level, _) = lookup(&severity[1..]).filter(|_| is_local || NAMES.contains(&facility))?;
    Some(level)
}

/// `orders:ERROR:failed`, `MainThread::ERROR::2011-12-05`.
fn between_colons(word: &[u8]) -> Option<Level> {
    let mut parts = word.split(|byte| *byte == b':').skip(1).peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_some()
            && let Some(level) = in_capitals(part)
        {
            return Some(level);
        }
    }
    None
}

fn in_capitals(name: &[u8]) -> Option<Level> {
    match lookup(name)? {
        (level, Weight::Plain | Weight::Marked) if is_capital(name) => Some(level),
        _ => None,
    }
}
