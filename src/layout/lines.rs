//! How this program's own exports keep an event whole.
//!
//! In an export, an event ends where a line begins with a timestamp. So of a message with such a line CloudWatch's export
//! makes two events, and no reader can tell. An export that this program writes itself is written from whole events: there
//! such a line has a [`MARK`] in front, which the scan takes away again. A line that has marks before a timestamp already
//! gets one more. Exports without marks, as earlier versions wrote them, are read as before.

use std::borrow::Cow;
use std::io::Write;

use super::cloudwatch::write_line;
use crate::error::Result;

/// The character before a line that begins like an event and is none: ASCII's "data link escape".
pub const MARK: u8 = 0x10;

/// The beginning of an event, with a `0` for each digit.
const EVENT: &[u8; 25] = b"0000-00-00T00:00:00.000Z ";

/// Writes one event in an export of this program's own, so that it stays one event.
pub fn write_event(
    out: &mut impl Write,
    timestamp_ms: i64,
    message: impl AsRef<[u8]>,
) -> Result<()> {
    write_line(out, timestamp_ms, marked(message.as_ref()))
}

/// The message with a mark before each further line that begins like an event.
fn marked(message: &[u8]) -> Cow<'_, [u8]> {
    edited(message, |line, out| {
        if begins_like_event(line) {
            out.push(MARK);
        }
        out.extend_from_slice(line);
    })
}

/// The message of an event of this program's own export, as it was before it was marked.
pub fn unmarked(message: &[u8]) -> Cow<'_, [u8]> {
    edited(message, |line, out| {
        out.extend_from_slice(match line.split_first() {
            Some((&MARK, rest)) if begins_like_event(rest) => rest,
            _ => line,
        });
    })
}

/// The message with each of its lines but the first as `edit` writes it, where one of them begins like an event.
fn edited(message: &[u8], edit: impl Fn(&[u8], &mut Vec<u8>)) -> Cow<'_, [u8]> {
    let further = || message.split(|byte| *byte == b'\n').skip(1);
    if !further().any(begins_like_event) {
        return Cow::Borrowed(message);
    }
    let first = message.split(|byte| *byte == b'\n').next();
    let mut out = first.unwrap_or_default().to_vec();
    for line in further() {
        out.push(b'\n');
        edit(line, &mut out);
    }
    Cow::Owned(out)
}

/// Whether the line has the form of an event's first line, behind any number of marks.
fn begins_like_event(line: &[u8]) -> bool {
    let marks = line.iter().take_while(|byte| **byte == MARK).count();
    has_form_of_event(&line[marks..])
}

/// Whether the line has the form of an event's first line. Its digits may make no date.
pub fn has_form_of_event(line: &[u8]) -> bool {
    let head = line.first_chunk::<{ EVENT.len() }>();
    head.is_some_and(|head| {
        EVENT.iter().zip(head).all(|(form, byte)| match form {
            b'0' => byte.is_ascii_digit(),
            form => form == byte,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_further_lines_that_begin_like_an_event_are_marked() {
        let event = "2024-02-13T21:01:04.792Z ";
        for (message, expected) in [
            (format!("{event}a\nb"), format!("{event}a\nb")),
            (format!("a\n{event}b"), format!("a\n\x10{event}b")),
            (format!("a\n\x10{event}"), format!("a\n\x10\x10{event}")),
            (format!("a\n\x10b\n {event}"), format!("a\n\x10b\n {event}")),
        ] {
            assert_eq!(marked(message.as_bytes()), expected.as_bytes());
            assert_eq!(unmarked(expected.as_bytes()), message.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn a_message_comes_back_as_it_was(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("\n".to_owned()),
                    Just("\x10".to_owned()),
                    Just("2024-02-13T21:01:04.792Z ".to_owned()),
                    "[a-z\u{10}\r 가]{0,4}",
                ],
                0..12,
            ),
        ) {
            let message = parts.concat();
            let written = marked(message.as_bytes());
            let mut further = written.split(|byte| *byte == b'\n').skip(1);
            prop_assert!(!further.any(has_form_of_event));
            prop_assert_eq!(unmarked(&written), message.as_bytes());
        }
    }
}
