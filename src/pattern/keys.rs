//! Keys whose texts tell one kind of message from another, in JSON, logfmt and what languages print of objects.

use super::bytes::letters;

/// How much of a value stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    /// Nothing: the value is data.
    Nothing,
    /// The text, without the values in it.
    Text,
    /// The level, which is a number for some loggers.
    Level,
}

/// Keys in small letters, without `_`, `-`, `.` and `@`.
const OF_TEXT: [&str; 80] = [
    "action",
    "activity",
    "body",
    "caller",
    "category",
    "cause",
    "channel",
    "class",
    "classname",
    "code",
    "component",
    "description",
    "detail",
    "details",
    "endpoint",
    "err",
    "error",
    "errorcode",
    "errormessage",
    "errormsg",
    "errorname",
    "errortype",
    "event",
    "eventname",
    "eventsource",
    "eventtype",
    "exception",
    "exceptiontype",
    "facility",
    "fullmessage",
    "function",
    "httpmethod",
    "job",
    "kind",
    "log",
    "logger",
    "loggername",
    "logname",
    "logtype",
    "m",
    "message",
    "messagetemplate",
    "method",
    "module",
    "msg",
    "mt",
    "op",
    "operation",
    "operationname",
    "outcome",
    "path",
    "phase",
    "reason",
    "record",
    "requestmethod",
    "resource",
    "resourcepath",
    "result",
    "route",
    "routekey",
    "service",
    "servicename",
    "shortmessage",
    "signal",
    "source",
    "stage",
    "state",
    "status",
    "step",
    "subsystem",
    "summary",
    "target",
    "task",
    "template",
    "text",
    "title",
    "type",
    "uri",
    "url",
    "warning",
];

/// Keys of levels, spelled likewise.
const OF_LEVEL: [&str; 11] = [
    "l",
    "level",
    "levelname",
    "loglevel",
    "logseverity",
    "lvl",
    "priority",
    "severity",
    "severitynumber",
    "severitytext",
    "verbosity",
];

/// The bytes of the longest key that is listed.
const LONGEST: usize = 16;

/// All keys as numbers, each at the place that its hash gives it or at the next free one.
static KEYS: [(u128, Keeps); PLACES] = {
    let mut keys = [(0, Keeps::Nothing); PLACES];
    let mut at = 0;
    while at < OF_TEXT.len() + OF_LEVEL.len() {
        let (name, keeps) = match at < OF_TEXT.len() {
            true => (OF_TEXT[at].as_bytes(), Keeps::Text),
            false => (OF_LEVEL[at - OF_TEXT.len()].as_bytes(), Keeps::Level),
        };
        let mut key = [0; LONGEST];
        let mut byte = 0;
        while byte < name.len() {
            key[byte] = name[byte];
            byte += 1;
        }
        let key = u128::from_le_bytes(key);
        let mut place = first_place(key);
        while keys[place].0 != 0 {
            place = (place + 1) % PLACES;
        }
        keys[place] = (key, keeps);
        at += 1;
    }
    keys
};
const PLACES: usize = 512;

const fn first_place(key: u128) -> usize {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let folded = (key as u64) ^ ((key >> 64) as u64).rotate_left(23);
    (folded.wrapping_mul(ODD) >> 32) as usize % PLACES
}

/// The last two letters of all keys, as bits of the last one: most keys of data end otherwise, as `_id` and `_ms`.
static ENDS: [u32; 26] = {
    let mut ends = [0; 26];
    let mut at = 0;
    while at < OF_TEXT.len() + OF_LEVEL.len() {
        let name = match at < OF_TEXT.len() {
            true => OF_TEXT[at].as_bytes(),
            false => OF_LEVEL[at - OF_TEXT.len()].as_bytes(),
        };
        if let [.., before, last] = name {
            ends[(*before - b'a') as usize] |= 1 << (*last - b'a');
        }
        at += 1;
    }
    ends
};

/// Whether no key that is listed has the end of this one.
#[inline]
fn ends_otherwise(key: &[u8]) -> bool {
    let letter = |byte: u8| usize::from((byte | 0x20).wrapping_sub(b'a'));
    match key {
        [.., before, last] if before.is_ascii_alphabetic() && last.is_ascii_alphabetic() => {
            ENDS[letter(*before)] >> letter(*last) & 1 == 0
        }
        _ => false,
    }
}

/// How much of the value of a key stays. Of a key in parts, as `dd.service`, the last one decides too.
pub(super) fn keeps(key: &[u8]) -> Keeps {
    if ends_otherwise(key) {
        return Keeps::Nothing;
    }
    let last = || memchr::memrchr(b'.', key).map_or(Keeps::Nothing, |dot| keeps(&key[dot + 1..]));
    if letters(key) == key.len() {
        return match key.len() {
            0..=LONGEST => listed(key).unwrap_or(Keeps::Nothing),
            _ => Keeps::Nothing,
        };
    }
    let mut joined = [0; LONGEST];
    let mut length = 0;
    for byte in key {
        if matches!(byte, b'_' | b'-' | b'.' | b'@') {
            continue;
        }
        let Some(place) = joined.get_mut(length) else {
            return last();
        };
        *place = *byte;
        length += 1;
    }
    listed(&joined[..length]).unwrap_or_else(last)
}

/// What the list says of a key without separators, in any case.
#[inline]
fn listed(key: &[u8]) -> Option<Keeps> {
    const SMALL: u128 = u128::from_ne_bytes([0x20; LONGEST]);
    let mut bytes = [0; LONGEST];
    bytes[..key.len()].copy_from_slice(key);
    let all = u128::MAX
        .checked_shr(8 * (LONGEST - key.len()) as u32)
        .unwrap_or(0);
    let key = (u128::from_le_bytes(bytes) | SMALL) & all;
    let mut place = first_place(key);
    loop {
        match KEYS[place] {
            (0, _) => return None,
            (listed, keeps) if listed == key => return Some(keeps),
            _ => place = (place + 1) % PLACES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_any_spelling() {
        for key in [
            "message",
            "@message",
            "errorMessage",
            "error_message",
            "error.message",
            "dd.service",
            "@mt",
            "Status",
        ] {
            assert_eq!(keeps(key.as_bytes()), Keeps::Text, "{key}");
        }
        for key in ["level", "@l", "log.level", "severity_text", "logLevel"] {
            assert_eq!(keeps(key.as_bytes()), Keeps::Level, "{key}");
        }
        for key in [
            "",
            "user",
            "user_id",
            "requestId",
            "duration",
            "a.b",
            "messages_of_the_last_twenty_days",
        ] {
            assert_eq!(keeps(key.as_bytes()), Keeps::Nothing, "{key}");
        }
    }
}
