//! Colours of a terminal, which are no part of a message.

use memchr::memchr2_iter;

/// The escape character as JSON writes it.
const ESCAPED: &[u8] = br"\u001b";

/// The message without its escape sequences, if it has some: `ESC [ 31 m`, raw or as JSON writes it.
pub(super) fn without_colours(message: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut copied = 0;
    for at in memchr2_iter(0x1b, b'\\', message) {
        let length = match message[at..].starts_with(ESCAPED) {
            true => ESCAPED.len(),
            false => usize::from(message[at] == 0x1b),
        };
        if length > 0 && at >= copied {
            text.extend_from_slice(&message[copied..at]);
            copied = at + length + parameters(&message[at + length..]);
        }
    }
    if copied == 0 {
        return None;
    }
    text.extend_from_slice(&message[copied..]);
    Some(text)
}

/// The length of what follows an escape character: `[`, numbers, a letter.
fn parameters(text: &[u8]) -> usize {
    let Some(rest) = text.strip_prefix(b"[") else {
        return 0;
    };
    let numbers = rest
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || **byte == b';')
        .count();
    match rest.get(numbers) {
        Some(letter) if letter.is_ascii_alphabetic() => 2 + numbers,
        _ => 0,
    }
}
