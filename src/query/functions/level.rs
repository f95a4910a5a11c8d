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
mod place;
pub(super) mod platform;
mod shapes;
mod times;
mod words;

use std::borrow::Cow;

use super::message::beginning;

/// How much a message matters to its writer, after the names that most loggers share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "each level is its own name in small letters")]
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
            Some(b'(' | b')') => piece
                .char_indices()
                .nth(2)
                .map_or(piece.len(), |(end, _)| end),
            Some(b']') => piece.find('\u{7}').map_or(piece.len(), |end| end + 1),
            _ => 0,
        };
        plain += &piece[sequence..];
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

    fn level(message: &str) -> Option<&'static str> {
        Level::of(message).map(|level| Level::NAMES[level as usize])
    }

    #[test]
    fn levels_are_named_in_their_order() {
        assert_eq!(Level::NAMES[Level::Trace as usize], "TRACE");
        assert_eq!(Level::NAMES[Level::Fatal as usize], "FATAL");
    }

    #[test]
    fn levels_of_json() {
        for (message, expected) in [
            (r#"{"level":"ERROR"}"#, Some("ERROR")),
            (r#"{"timestamp":"t","level" : "info"}"#, Some("INFO")),
            (" \n{\n  \"Level\": \"Warning\"\n}", Some("WARN")),
            (r#"{"log_level":"CRITICAL"}"#, Some("FATAL")),
            (r#"{"severity":"err"}"#, Some("ERROR")),
            (r#"{"log.level":"debug"}"#, Some("DEBUG")),
            (r#"{"levelname":"WARNING"}"#, Some("WARN")),
            (r#"{"LogLevel":"Information"}"#, Some("INFO")),
            (r#"{"level":10}"#, Some("TRACE")),
            (r#"{"level":60,"time":1}"#, Some("FATAL")),
            (r#"{"level":35}"#, None),
            (r#"{"level":"high","severity":"info"}"#, Some("INFO")),
            (r#"{"level":"\u0065rror"}"#, Some("ERROR")),
            (r#"{"l\u0065vel":"error"}"#, Some("ERROR")),
            (r#"{"a":{"level":"error"}}"#, None),
            (r#"{"a":[{"level":"error"}],"level":"info"}"#, Some("INFO")),
            (r#"{"message":"\"level\":\"error\""}"#, None),
            (r#"{"message":"level=error"}"#, None),
            (r#"{"level":null}"#, None),
            (r#"{"level":["error"]}"#, None),
            (r#"{"message":"cut, "level":"error"#, None),
            (r#"{"level":"error","message":"cut "#, Some("ERROR")),
            ("{", None),
        ] {
            assert_eq!(level(message), expected, "{message}");
        }
    }

    #[test]
    fn levels_of_text() {
        let id = ID;
        for (message, expected) in [
            (
                format!("[ERROR]\t2026-11-21T00:00:00.000Z\t{id}\tunhandled\nTraceback"),
                Some("ERROR"),
            ),
            (
                format!("2026-11-21T00:00:00.000Z\t{id}\tWARN\tslow"),
                Some("WARN"),
            ),
            (
                "2026-11-21T00:00:00.000Z\tundefined\tERROR\tUncaught Exception".into(),
                Some("ERROR"),
            ),
            (
                format!("2026-11-21 00:00:00 {id} INFO  Handler:12 - done"),
                Some("INFO"),
            ),
            (
                "2026-11-21 00:00:00,123 - app.orders - CRITICAL - down".into(),
                Some("FATAL"),
            ),
            (
                "00:00:00.123 [main] DEBUG com.acme.Orders - hello".into(),
                Some("DEBUG"),
            ),
            ("[2026-11-21 00:00:00] [warning] hello".into(), Some("WARN")),
            (
                "2026-11-21T00:00:00.123Z  INFO handler: hello".into(),
                Some("INFO"),
            ),
            ("2026-11-21 00:00:00 [INFO ] hello".into(), Some("INFO")),
            ("ERROR boom".into(), Some("ERROR")),
            ("ERROR".into(), Some("ERROR")),
            ("INFO:root:hello".into(), Some("INFO")),
            ("error: boom".into(), Some("ERROR")),
            ("[error] boom".into(), Some("ERROR")),
            ("panic: runtime error".into(), Some("FATAL")),
            (
                "time=2026-11-21T00:00:00Z level=error msg=\"boom\"".into(),
                Some("ERROR"),
            ),
            ("level=\"warning\" msg=x".into(), Some("WARN")),
            ("ts=1 log_level=debug".into(), Some("DEBUG")),
            ("at=info severity=notice".into(), Some("INFO")),
            ("level=5 severity=error".into(), Some("ERROR")),
            ("GET /x?level=error 200".into(), None),
            ("sea_level=error".into(), None),
            ("level=errors".into(), None),
            ("Information about your order".into(), None),
            ("error in the message".into(), None),
            ("hello ERROR".into(), None),
            ("hello\nERROR boom".into(), None),
            (
                format!("2026-11-21T00:00:00.000Z {id} Task timed out after 30.02 seconds"),
                Some("ERROR"),
            ),
            (format!("START RequestId: {id} Version: $LATEST\n"), None),
            (format!("END RequestId: {id}\n"), None),
            (
                format!(
                    "REPORT RequestId: {id}\tDuration: 1.00 ms\tStatus: error\tError Type: X level=error"
                ),
                None,
            ),
            ("INIT_START Runtime Version: python:3.12.v1".into(), None),
            (String::new(), None),
            ("\n".into(), None),
        ] {
            assert_eq!(level(&message), expected, "{message}");
        }
    }

    /// Every name in every case, as a key's value and where a line has room for it.
    #[test]
    fn every_name_is_known_in_every_case() {
        for (names, expected) in [
            ("trace verbose trce trac trc verb vrb silly finest", "TRACE"),
            ("debug dbug debg debu dbg fine finer", "DEBUG"),
            (
                "info information informational notice inf noti config",
                "INFO",
            ),
            ("warn warning wrn", "WARN"),
            ("error err erro eror severe fail", "ERROR"),
            (
                "fatal critical crit emergency emerg alert panic dpanic fatl fata ftl pani pnc",
                "FATAL",
            ),
        ] {
            for name in names.split(' ') {
                for name in [name.to_uppercase(), name.to_lowercase()] {
                    for message in [
                        format!(r#"{{"level":"{name}"}}"#),
                        format!("time=2024-02-13T21:01:04Z level={name} msg=x"),
                    ] {
                        assert_eq!(level(&message), Some(expected), "{message}");
                    }
                }
                let message = format!(
                    "2024-02-13 21:01:04,792 {} shop.Orders - x",
                    name.to_uppercase()
                );
                assert_eq!(level(&message), Some(expected), "{message}");
            }
        }
    }

    /// What a logger may write before the level.
    fn prefix() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just("[main]".to_owned()),
            Just("[nio-8080-exec-1]".to_owned()),
            Just("(pool-2-thread-12)".to_owned()),
            Just("shop.Orders".to_owned()),
            Just(ID.to_owned()),
            Just("4711".to_owned()),
            Just("user=7".to_owned()),
            Just("query=\"level=trace\"".to_owned()),
        ];
        let time = prop_oneof![
            Just("2024-02-13T21:01:04.792Z"),
            Just("2024-02-13 21:01:04,792"),
            Just("[2024-02-13 21:01:04 +0000]"),
            Just("13-Feb-2024 21:01:04.792"),
            Just("21:01:04.792"),
            Just("20240213 21:01:04"),
        ];
        (
            time,
            prop::collection::vec(part, 0..4),
            prop_oneof![Just(" "), Just("\t"), Just(" - "), Just(" | ")],
        )
            .prop_map(|(time, parts, between)| {
                let mut prefix = time.to_owned();
                for part in parts {
                    prefix += between;
                    prefix += &part;
                }
                prefix + between
            })
    }

    proptest! {
        #[test]
        fn any_message_is_looked_at_without_harm(
            message in ".*",
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            signs in "[\\[\\](){}<>|:=\"'\\\\ \t\r\n\u{1b}\u{feff}0-9A-Z#*-]{0,60}",
            prefix in prefix(),
        ) {
            let damaged = String::from_utf8_lossy(&bytes).into_owned();
            for text in [&message, &damaged, &signs] {
                for message in [
                    text.clone(),
                    format!("{{\"{text}"),
                    format!("[{text}"),
                    format!("<11>1 {text}"),
                    format!("{prefix}{text}"),
                    format!("{prefix}ERROR{text}"),
                    format!("{{\"log\":{}}}", serde_json::Value::from(text.as_str())),
                ] {
                    let _ = Level::of(&message);
                }
            }
        }

        #[test]
        fn a_level_is_found_wherever_it_stands_among_json_members(
            before in prop::collection::btree_map("[a-k]{1,6}", any::<String>(), 0..5),
            level in prop::sample::select(Level::NAMES.to_vec()),
        ) {
            let mut object: serde_json::Map<_, _> = before.into_iter().map(|(key, value)| (key, value.into())).collect();
            prop_assert_eq!(Level::of(&serde_json::Value::Object(object.clone()).to_string()), None);
            object.insert("level".into(), level.to_lowercase().into());
            object.insert("zone".into(), "after".into());
            let message = serde_json::Value::Object(object).to_string();
            prop_assert_eq!(Level::of(&message).map(|level| Level::NAMES[level as usize]), Some(level));
        }

        #[test]
        fn a_level_in_capitals_is_found_behind_any_prefix(
            prefix in prefix(),
            level in prop::sample::select(Level::NAMES.to_vec()),
            behind in prop_oneof![Just(" "), Just(": "), Just("  "), Just(" - "), Just(" | "), Just("\t"), Just(" [")],
            message in "[a-z]{1,8}( [a-z]{1,8}){0,5}",
        ) {
            let line = format!("{prefix}{level}{behind}{message}");
            prop_assert_eq!(Level::of(&line).map(|level| Level::NAMES[level as usize]), Some(level), "{}", line);
        }

        #[test]
        fn colours_change_nothing(
            prefix in prefix(),
            level in prop::sample::select(Level::NAMES.to_vec()),
            colour in "[0-9]{1,2}(;[0-9]{1,3}){0,3}",
        ) {
            let plain = format!("{prefix}[{level}] x");
            let coloured = format!("\u{1b}[2m{prefix}\u{1b}[0m\u{1b}[{colour}m[{level}]\u{1b}[39m x");
            prop_assert_eq!(Level::of(&coloured), Level::of(&plain));
            prop_assert_eq!(Level::of(&coloured).map(|level| Level::NAMES[level as usize]), Some(level));
        }

        #[test]
        fn what_stands_in_quotes_is_no_level(
            prefix in prop_oneof![Just(String::new()), prefix()],
            key in prop::sample::select(vec!["", "msg=", "level=high msg=", "error="]),
            quote in prop::sample::select(vec!['"', '\'', '`']),
            before in "[a-zA-Z0-9 :=\\[\\]|-]{0,20}",
            level in prop::sample::select(vec!["ERROR", "error", "level=error", "[WARN]", "FATAL: x", "severity=info"]),
            after in "[a-zA-Z0-9 :=\\[\\]|-]{0,20}",
        ) {
            let line = format!("{prefix}{key}{quote}{before} {level} {after}{quote}");
            prop_assert_eq!(Level::of(&line), None, "{}", line);
            let line = format!("{prefix}{key}{quote}{before} {level} {after}{quote} user=7 INFO");
            prop_assert!(Level::of(&line).is_none_or(|level| level == Level::Info), "{}", line);
        }

        #[test]
        fn text_in_json_is_no_level(
            key in prop::sample::select(vec!["message", "msg", "text", "error", "query", "path", "title"]),
            level in prop::sample::select(vec!["ERROR", "ERROR: x", "level=error", "[WARN] x", "severity=info", "<3>x"]),
            after in any::<String>(),
        ) {
            let message = serde_json::json!({"id": 7, key: format!("{level} {after}").replace('{', "(")}).to_string();
            prop_assert_eq!(Level::of(&message), None, "{}", message);
        }

        #[test]
        fn prose_states_no_level(
            words in prop::collection::vec(
                prop::sample::select(vec!["no", "the", "an", "order", "was", "page", "with", "of", "found", "7", "user", "shown"]),
                2..6,
            ),
            level in prop::sample::select(vec!["ERROR", "WARNING", "INFO", "FATAL", "error", "warn"]),
            time in prop_oneof![Just(""), Just("2024/02/13 21:01:04 ")],
        ) {
            let mut sentence = vec!["the"];
            sentence.extend(&words);
            sentence.push(level);
            sentence.extend(words);
            let line = format!("{time}{}", sentence.join(" "));
            prop_assert_eq!(Level::of(&line), None, "{}", line);
        }
    }
}
