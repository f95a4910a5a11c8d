//! What the functions of messages promise of any text, for the property test below and for the targets in `fuzz/`.

use arrow::array::{Array, StringViewArray};
use chrono_tz::Asia::Seoul;

use super::invocation::LambdaEvent;
use super::message_time::WrittenInstant;
use super::{Level, LogType, Report, exception_class, parse, request_id, trace_id};
use crate::job::FormatKind;
use crate::mask::masked;
use crate::pattern::PatternWriter;
use crate::window::local_clock::LocalClock;

/// Calls each function of messages with a text.
///
/// # Panics
/// If a function breaks its promise.
pub fn hold_for(message: &str) {
    let _ = Level::of(message);
    let _ = LogType::of(message);
    let _ = Report::parse(message);
    let _ = LambdaEvent::parse(message);

    if let Some(id) = request_id(message) {
        assert!(!id.is_empty(), "an empty request id");
    }
    if let Some(id) = trace_id(message) {
        assert!(id.len() == 35 && id.starts_with("1-"), "trace id {id}");
    }
    if let Some(class) = exception_class(message) {
        assert!(!class.is_empty(), "an empty class of an exception");
    }

    let mut without_values = Vec::new();
    PatternWriter::default().write(message, &mut without_values);
    assert!(without_values.len() <= 5 * message.len());
    assert!(std::str::from_utf8(&without_values).is_ok());

    let once = masked(message);
    assert_eq!(masked(&once), once, "masked twice");

    if let Some(time) = WrittenInstant::find(message) {
        let _ = time.instant_ms(&mut LocalClock::new(Seoul), Some(0));
    }
    parse::hold_for(message);
}

/// Takes a text apart by a pattern of each kind.
///
/// # Panics
/// If the members are not one struct for the message.
pub fn hold_for_pattern(pattern: &str, message: &str) {
    let messages = StringViewArray::from(vec![message]);
    for kind in [FormatKind::Glob, FormatKind::Regex, FormatKind::Grok] {
        let names = ["a", "b", "c"];
        for names in [&names[..0], &names[..1], &names[..]] {
            if let Ok(pattern) = parse::Pattern::parse(kind, pattern, names) {
                let structs = pattern.structs(&messages).expect("a struct");
                assert_eq!(structs.len(), 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    /// Lines as loggers write them.
    static LINES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let files = [
            include_str!("../../../tests/messages/lines.ndjson"),
            include_str!("../../../tests/messages/patterns.ndjson"),
        ];
        let messages = files.into_iter().flat_map(str::lines).map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
            line["message"].as_str().expect("a message").to_owned()
        });
        messages.collect()
    });

    /// A line that is cut anywhere, at both ends.
    fn cut() -> impl Strategy<Value = String> {
        (any::<Index>(), any::<Index>(), any::<Index>()).prop_map(|(line, from, to)| {
            let places: Vec<char> = line.get(&LINES).chars().collect();
            let (from, to) = (from.index(places.len() + 1), to.index(places.len() + 1));
            places[from.min(to)..from.max(to)].iter().collect()
        })
    }

    fn sign() -> impl Strategy<Value = String> {
        "(REPORT RequestId: |Duration: |\\{\"|\":|ERROR|<\\PC>|=\"|1-|[0-9a-f-]{1,9}|\\PC|[\\t\\n \"'\\\\]){0,20}"
    }

    /// What a scan, a match or a parser could begin anew at each of its repetitions.
    const BEGINNINGS: &str = "{¦[¦(¦<¦\"¦'¦\\¦{\"¦{\"a\":¦[{\"a\":[¦\"a\":\"¦a=¦a=\"¦a=[¦a{¦=¦:¦::¦.¦/¦//¦-¦1-¦1.¦0¦0x¦f¦é¦한¦\u{301}¦@¦\
        a@¦a@b.¦%¦%{¦#¦ ¦\t¦\n¦\r\n¦\u{1b}[¦\u{1b}[31m¦ERROR ¦ERROR¦level=¦<13>¦[INFO] [¦2025-01-01T00:00:00Z ¦\
        12/Mar/2025:¦\tat a.b(C.java:1)\n¦Caused by: a.B: c\n¦Traceback (most recent call last):\n  File ¦\
        REPORT RequestId: ¦\tDuration: 1 ms¦password=¦pwd=$¦pwd=\"\"¦pwd=\\\"<¦authorization: a ¦1-5e34a614-10bd7a3f¦a1-¦[a=¦Bearer ¦eyJ¦AKIA¦010-1234-¦4111 1111 ";

    #[test]
    fn objects_in_objects_do_not_end_the_stack() {
        for key in [
            "message",
            "msg",
            "log",
            "record",
            "error",
            "exception",
            "body",
            "span",
            "request",
            "a",
        ] {
            let levels = 4_000;
            hold_for(&(format!("{{\"{key}\":").repeat(levels) + "1" + &"}".repeat(levels)));
        }
        hold_for(&("[".repeat(20_000) + &"]".repeat(20_000)));
    }

    /// In quadratic time, these take minutes.
    #[test]
    fn a_long_message_of_beginnings_ends() {
        for beginning in BEGINNINGS.split('¦') {
            hold_for(&beginning.repeat((64 << 10) / beginning.len()));
        }
    }

    #[test]
    fn the_promises_hold_for_every_line_that_is_cut_off() {
        for line in &*LINES {
            for (place, _) in line.char_indices() {
                hold_for(&line[..place]);
                hold_for(&line[place..]);
            }
        }
    }

    proptest! {
        #[test]
        fn the_promises_hold(
            pieces in prop::collection::vec(prop_oneof![cut(), sign()], 1..4),
            bytes in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            hold_for(&pieces.concat());
            hold_for(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn any_pattern_takes_any_text_apart(
            pattern in "([a-z*%{}:.()?<>\\[\\]|+]|%\\{IP:a\\}|\\(\\?<n>){0,12}",
            message in prop_oneof![cut(), Just(String::new()), "\\PC{0,20}"],
        ) {
            hold_for_pattern(&pattern, &message);
        }
    }
}
