//! Lines that state a level in a way of their own: by a phrase, a single letter or a sign.

use super::super::message::words;
use super::Level;
use super::names::{Weight, letter, localized, lookup};
use super::times::time;
use super::words::{is_capital, letters};

/// What a line begins with where that decides.
pub(super) fn of_phrase(line: &[u8]) -> Option<Level> {
    let phrases: &[(&str, Level)] = match line.first()? {
        // Erlang's reports
        b'=' => &[
            ("=ERROR REPORT==", Level::Error),
            ("=CRASH REPORT==", Level::Error),
            ("=SUPERVISOR REPORT==", Level::Error),
            ("=WARNING REPORT==", Level::Warn),
            ("=INFO REPORT==", Level::Info),
            ("=PROGRESS REPORT==", Level::Info),
        ],
        // Go's runtime; PHP on a terminal
        b'f' => &[("fatal error: ", Level::Fatal)],
        b'F' => &[("Fatal error: ", Level::Fatal)],
        b'n' => &[
            ("npm ERR! ", Level::Error),
            ("npm error ", Level::Error),
            ("npm WARN ", Level::Warn),
            ("npm warn ", Level::Warn),
        ],
        b'l' => &[("log4j:ERROR ", Level::Error), ("log4j:WARN ", Level::Warn)],
        // Lambda's runtimes; the Java virtual machine
        b'L' => &[("LAMBDA_WARNING: ", Level::Warn)],
        b'O' => &[("OpenJDK 64-Bit Server VM warning: ", Level::Warn)],
        _ => return None,
    };
    phrases
        .iter()
        .find(|(phrase, _)| line.starts_with(phrase.as_bytes()))
        .map(|(_, level)| *level)
}

/// PHP's kinds of errors, as they follow `PHP `, with the levels that Monolog's error handler gives them.
pub(super) fn of_php(text: &[u8]) -> Option<Level> {
    const KINDS: [(&str, Level); 10] = [
        ("Fatal error:", Level::Fatal),
        ("Parse error:", Level::Fatal),
        ("Core error:", Level::Fatal),
        ("Compile error:", Level::Fatal),
        ("Recoverable fatal error:", Level::Error),
        ("Warning:", Level::Warn),
        ("Core warning:", Level::Warn),
        ("Notice:", Level::Info),
        ("Deprecated:", Level::Info),
        ("Strict Standards:", Level::Info),
    ];
    let begins_with = |kind: &str| {
        let text = text.get(..kind.len());
        text.is_some_and(|text| text.eq_ignore_ascii_case(kind.as_bytes()))
    };
    KINDS
        .iter()
        .find(|(kind, _)| begins_with(kind))
        .map(|(_, level)| *level)
}

/// The two lines of java.util.logging: the first has time and method, the second level and message.
pub(super) fn of_second_line(message: &str, end: usize) -> Option<Level> {
    /// `Feb 13, 2024 9:01:04 PM org.apache.catalina.core.StandardService startInternal`
    const MOST_WORDS: usize = 9;
    let second = message.as_bytes().get(end + 1..)?;
    let name = letters(second);
    let (level, length) = match lookup(&second[..name]) {
        Some((level, Weight::Plain | Weight::Capitals)) if is_capital(&second[..name]) => {
            (level, name)
        }
        _ => localized(second)?,
    };
    if second.get(length) != Some(&b':') {
        return None;
    }
    let first = &message[..end];
    let is_clock = |word: &str| word.contains(':') && time(word.as_bytes()).is_some();
    (words(first).any(is_clock) && words(first).count() <= MOST_WORDS).then_some(level)
}

/// A letter that a line begins with: `E0505 17:59:40.692994` of klog and glog (the date may have the year), `E, [2024-…`
/// of Ruby, `E [04/Nov/2010:…` of CUPS.
pub(super) fn of_first_letter(line: &[u8]) -> Option<Level> {
    let (first, rest) = line.split_first()?;
    let is_digit = |at: usize| rest.get(at).is_some_and(u8::is_ascii_digit);
    let states = match rest.first()? {
        b'0'..=b'9' => {
            let date = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let clock = rest[date..].strip_prefix(b" ");
            matches!(date, 4 | 6 | 8) && clock.is_some_and(is_precise_clock)
        }
        b',' => rest.starts_with(b", [") && is_digit(3),
        b' ' => rest.starts_with(b" [") && rest.get(4) == Some(&b'/') && is_digit(2),
        _ => false,
    };
    states.then(|| letter(*first)).flatten()
}

/// `17:59:40.692994`
fn is_precise_clock(text: &[u8]) -> bool {
    matches!(text, [_, _, b':', _, _, b':', _, _, b'.', ..]) && time(text).is_some()
}

/// A letter in a group: alone behind a time (`[E]`), or before a clock or a place in the source (`[E 21:01:04.792
/// ServerApp]` of Tornado and Jupyter, `[W Module.cpp:12]` of PyTorch).
pub(super) fn of_group_letter(inner: &[u8], timed: bool) -> Option<Level> {
    let (first, rest) = inner.split_first()?;
    let states = match rest {
        [] => timed,
        [b' ', b' ', ..] => false,
        [b' ', place @ ..] => place
            .windows(2)
            .any(|pair| pair[0] == b':' && pair[1].is_ascii_digit()),
        _ => false,
    };
    states.then(|| letter(*first)).flatten()
}

/// Android's logcat has ids and a letter behind the time: `05-21 15:05:52.808  1047  1116 E FMQ     : …`.
pub(super) fn of_letter_behind_ids(text: &[u8]) -> Option<Level> {
    let (first, rest) = text.split_first()?;
    let rest = rest.strip_prefix(b" ")?;
    let tag = rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(byte))
        .count();
    let is_tag = tag > 0 && rest[tag..].trim_ascii_start().starts_with(b": ");
    is_tag.then(|| letter(*first)).flatten()
}

/// VMware ESXi has two letters and a number behind the time: `2023-08-08T15:08:36.834Z Wa(180) vmkwarning: …`.
pub(super) fn of_esx(text: &[u8]) -> Option<Level> {
    let level = match text.get(..3)? {
        b"Db(" => Level::Debug,
        b"In(" | b"No(" => Level::Info,
        b"Wa(" => Level::Warn,
        b"Er(" => Level::Error,
        b"Cr(" | b"Al(" | b"Em(" => Level::Fatal,
        _ => return None,
    };
    let number = text[3..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    (number > 0 && text.get(3 + number) == Some(&b')')).then_some(level)
}

/// A letter behind a time: `E! [outputs.cloudwatch] …` of the CloudWatch agent and Telegraf, `E | etcdserver: …` of etcd,
/// `I NETWORK  [listener] …` of MongoDB before 4.4, `E tensorflow/core/….cc:12] …` of TensorFlow.
pub(super) fn of_letter_behind_time(text: &[u8]) -> Option<Level> {
    let (first, rest) = text.split_first()?;
    let states = match rest {
        [b'!', b' ', ..] | [b' ', b'|', b' ', ..] => true,
        // logcat's brief format: `V/Configuration( 1766): …`
        [b'/', rest @ ..] => {
            let tag = rest
                .iter()
                .take_while(|byte| byte.is_ascii_alphanumeric())
                .count();
            tag > 0 && rest.get(tag) == Some(&b'(')
        }
        [b' ', rest @ ..] => {
            let length = rest
                .iter()
                .take_while(|byte| !byte.is_ascii_whitespace())
                .count();
            let (word, behind) = rest.split_at(length);
            let is_component = word
                .iter()
                .all(|byte| byte.is_ascii_uppercase() || b"-_".contains(byte));
            let is_source = word.contains(&b'/') && word.ends_with(b"]");
            (length > 0 && is_component && behind.trim_ascii_start().starts_with(b"[")) || is_source
        }
        _ => false,
    };
    states.then(|| letter(*first)).flatten()
}

/// Redis and Valkey have a sign behind the time: `1:M 29 Aug 2023 13:47:38.984 * monotonic clock …`.
pub(super) fn of_redis(behind_time: &[u8]) -> Option<Level> {
    Some(match behind_time {
        [b' ', b'.', b' ', ..] => Level::Debug,
        [b' ', b'-', b' ', ..] => Level::Trace,
        [b' ', b'*', b' ', ..] => Level::Info,
        [b' ', b'#', b' ', ..] => Level::Warn,
        _ => return None,
    })
}

/// A process of Redis by its role: a sentinel, a child that writes, a replica or a master.
pub(super) fn is_redis(process: &[u8]) -> bool {
    matches!(process, [.., b'0'..=b'9', b':', b'X' | b'C' | b'S' | b'M'])
}
