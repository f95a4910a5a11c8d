//! What a byte is for the scanner.

/// Bits of a class. A word is a run of letters, digits and `_`.
pub(super) const DIGIT: u8 = 1;
const LETTER: u8 = 2;
pub(super) const WORD: u8 = DIGIT | LETTER;
/// Where something other than a word can begin that the scanner has to look at.
pub(super) const SIGNAL: u8 = 4;

/// What ends a value that has no quotes.
const DELIMITER: u8 = 8;

/// Bytes above 127 have no class: text of any script stays as it is, and a digit beside it is a number.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < classes.len() {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => LETTER,
            b'"' | b'\'' | b'`' | b'\\' | b'\n' => SIGNAL | DELIMITER,
            b'{' | b'(' | b'<' | b'?' | b':' => SIGNAL,
            b' ' | b'\t' | b'\r' | b',' | b';' | b'&' | b'|' | b')' | b']' | b'}' | b'>' => {
                DELIMITER
            }
            _ => 0,
        };
        byte += 1;
    }
    classes
};

#[inline]
pub(super) fn class(byte: u8) -> u8 {
    CLASSES[usize::from(byte)]
}

/// The number of bytes before the next delimiter of a text.
#[inline]
pub(super) fn value(text: &[u8]) -> usize {
    text.iter()
        .take_while(|byte| class(**byte) & DELIMITER == 0)
        .count()
}

/// Whether a byte is part of a word.
#[inline]
pub(super) fn is_word(byte: u8) -> bool {
    class(byte) & WORD != 0
}

/// Whether nothing of a word stands at a place.
#[inline]
pub(super) fn is_border(byte: Option<&u8>) -> bool {
    byte.is_none_or(|byte| !is_word(*byte))
}

/// The number of digits that a text begins with.
#[inline]
pub(super) fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Whether a text has an ASCII digit.
#[inline]
pub(super) fn has_digit(text: &[u8]) -> bool {
    let is_there = |eight: [u8; 8]| digits_of(u64::from_le_bytes(eight)) & HIGH != 0;
    match (text.first_chunk(), text.last_chunk()) {
        (Some(first), Some(last)) => {
            let between = text[8..].as_chunks().0;
            is_there(*first) || is_there(*last) || between.iter().any(|eight| is_there(*eight))
        }
        _ => text.iter().any(u8::is_ascii_digit),
    }
}

/// The number of bytes of a word that a text begins with.
#[inline]
pub(super) fn word(text: &[u8]) -> usize {
    let start = while_high(text, |bytes| {
        letters_of(bytes) | digits_of(bytes) | !others_than(bytes, b'_')
    });
    start
        + text[start..]
            .iter()
            .take_while(|byte| is_word(**byte))
            .count()
}

/// The number of ASCII letters that a text begins with.
#[inline]
pub(super) fn letters(text: &[u8]) -> usize {
    let start = while_high(text, letters_of);
    start
        + text[start..]
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count()
}

/// The number of bytes before the first `"`, backslash or line's end.
#[inline]
pub(super) fn unescaped(text: &[u8]) -> usize {
    memchr::memchr3(b'"', b'\\', b'\n', text).unwrap_or(text.len())
}

const HIGH: u64 = each(0x80);

const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The number of bytes, of those that come in whole eights, for which a function of eight bytes sets the high bit.
#[inline]
fn while_high(text: &[u8], of: impl Fn(u64) -> u64) -> usize {
    let mut length = 0;
    for eight in text.as_chunks::<8>().0 {
        let others = !of(u64::from_le_bytes(*eight)) & HIGH;
        if others != 0 {
            return length + others.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    length
}

/// The high bit of each byte from `first` to `last`. The high bits of `bytes` are not set.
#[inline]
fn between(bytes: u64, first: u8, last: u8) -> u64 {
    // A sum has the high bit where the byte is at least the first, or above the last.
    (bytes + each(0x80 - first)) & !(bytes + each(0x7f - last))
}

#[inline]
fn letters_of(bytes: u64) -> u64 {
    between((bytes | each(0x20)) & !HIGH, b'a', b'z') & !bytes
}

#[inline]
fn digits_of(bytes: u64) -> u64 {
    between(bytes & !HIGH, b'0', b'9') & !bytes
}

#[inline]
fn others_than(bytes: u64, byte: u8) -> u64 {
    let difference = bytes ^ each(byte);
    ((difference & !HIGH) + each(0x7f)) | difference
}

/// The number of hexadecimal digits that a text begins with.
pub(super) fn hex_digits(text: &[u8]) -> usize {
    text.iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_where_their_bytes_end() {
        for byte in 0..=255u8 {
            for place in 0..20 {
                let mut text = [b'k'; 24];
                text[place] = byte;
                let run = |is: bool| if is { text.len() } else { place };
                assert_eq!(
                    letters(&text),
                    run(byte.is_ascii_alphabetic()),
                    "{byte} at {place}"
                );
                let is_word = byte.is_ascii_alphanumeric() || byte == b'_';
                assert_eq!(unescaped(&text), run(!b"\"\\\n".contains(&byte)));
                assert_eq!(has_digit(&text), byte.is_ascii_digit());
                assert_eq!(word(&text), run(is_word), "{byte} at {place}");
            }
        }
    }
}
