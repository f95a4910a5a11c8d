//! What a text of JSON means without its escapes. Pure.
//!
//! A message that is JSON itself has an escape in front of each of its quotes. What stands between two escapes is copied in steps of
//! a fixed length, and bounds are checked once for each block of 64 bytes: this took 40 % less time than a copy of the
//! very length behind each escape.

use super::escapes::{BLOCK, Escapes, Marks};

/// Text between two escapes is copied in steps of this many bytes, of which the last ones are mostly too many.
const STEP: usize = 32;

/// The bytes that can be read from any byte of a block on.
const WINDOW: usize = BLOCK + STEP;

/// The bytes that can be written from any place on to which the text of a block leads.
const ROOM: usize = 2 * BLOCK + 2 * STEP;

/// What stands for the character behind a backslash, if it is a single byte; else zero.
const SIMPLE: [u8; 256] = {
    let mut simple = [0; 256];
    let pairs = *b"\"\"\\\\//n\nt\tr\rb\x08f\x0c";
    let mut at = 0;
    while at < pairs.len() {
        simple[pairs[at] as usize] = pairs[at + 1];
        at += 2;
    }
    simple
};

/// Appends the text that an escaped text of JSON means. A half of a surrogate pair becomes a replacement character, and
/// so does an escape that JSON does not have.
pub fn append_unescaped(escaped: &str, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + escaped.len() + ROOM, 0);
    match unescaped_into(escaped, &mut out[start..]) {
        Some(length) => out.truncate(start + length),
        None => {
            out.truncate(start);
            let mut text = String::new();
            unescape(escaped, &mut text);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// Writes the text that an escaped text means, which is not longer; its length. `None` where there is an escape that JSON does not
/// have. `out` is longer by [`ROOM`].
fn unescaped_into(escaped: &str, out: &mut [u8]) -> Option<usize> {
    let text = escaped.as_bytes();
    let mut escapes = Escapes::default();
    let mut written = 0;
    // The bytes of a block that belong to an escape in the one before.
    let mut taken = 0;
    for start in (0..text.len()).step_by(BLOCK) {
        let rest = &text[start..];
        let padded;
        let window = match rest.first_chunk() {
            Some(window) => window,
            None => {
                padded = padded_window(rest);
                &padded
            }
        };
        let out = out.get_mut(written..)?.first_chunk_mut()?;
        let block = Block {
            window,
            length: rest.len().min(BLOCK),
            behind: |at| escaped.get(start + at..),
        };
        let (made, used) = block.unescaped_into(taken, &mut escapes, out)?;
        written += made;
        taken = used - block.length.min(used);
    }
    Some(written)
}

/// The last bytes of a text, with zeros behind them.
#[inline]
fn padded_window(rest: &[u8]) -> [u8; WINDOW] {
    let mut window = [0; WINDOW];
    window[..rest.len()].copy_from_slice(rest);
    window
}

/// A block of an escaped text, and what is behind it.
struct Block<'t, F: Fn(usize) -> Option<&'t str>> {
    window: &'t [u8; WINDOW],
    /// Shorter at the end of the text.
    length: usize,
    /// The text from a place in the block on.
    behind: F,
}

impl<'t, F: Fn(usize) -> Option<&'t str>> Block<'t, F> {
    /// Writes the text of the block from a byte on; how many bytes were written, and how many were used.
    #[inline]
    fn unescaped_into(
        &self,
        from: usize,
        escapes: &mut Escapes,
        out: &mut [u8; ROOM],
    ) -> Option<(usize, usize)> {
        let (block, _) = self.window.split_first_chunk()?;
        let backslashes = Marks::of(block).backslashes;
        let mut begins = backslashes & !escapes.escaped(backslashes);
        let (mut written, mut done) = (0, from);
        while begins != 0 {
            let at = begins.trailing_zeros() as usize;
            begins &= begins - 1;
            if at < done {
                // The second of a surrogate pair.
                continue;
            }
            self.copy(done, at, out, written);
            written += at - done;
            let behind = self.window[at + 1];
            done = match SIMPLE[usize::from(behind)] {
                0 if behind != b'u' => return None,
                0 => {
                    let (character, used) = unicode((self.behind)(at + 1)?);
                    if used == 1 {
                        return None;
                    }
                    written += character.encode_utf8(&mut out[written..]).len();
                    at + 1 + used
                }
                simple => {
                    out[written] = simple;
                    written += 1;
                    at + 2
                }
            };
        }
        if done < self.length {
            self.copy(done, self.length, out, written);
            written += self.length - done;
            done = self.length;
        }
        Some((written, done))
    }

    /// Copies bytes of the block. The bounds are the same for all, so that they are not checked for each.
    #[inline]
    fn copy(&self, from: usize, to: usize, out: &mut [u8; ROOM], written: usize) {
        let (from, at) = (from % BLOCK, written % (2 * BLOCK));
        out[at..at + STEP].copy_from_slice(&self.window[from..from + STEP]);
        if to > from + STEP {
            let from = from % STEP + STEP;
            out[at + STEP..at + 2 * STEP].copy_from_slice(&self.window[from..from + STEP]);
        }
    }
}

/// Appends the text that an escaped text of JSON means. A half of a surrogate pair becomes a replacement character, and
/// so does an escape that JSON does not have.
pub fn unescape(escaped: &str, out: &mut String) {
    let mut rest = escaped;
    while let Some(found) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..found]);
        let behind = &rest[found + 1..];
        let (character, used) = match behind.as_bytes().first() {
            Some(b'n') => ('\n', 1),
            Some(b't') => ('\t', 1),
            Some(b'r') => ('\r', 1),
            Some(b'b') => ('\u{8}', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(same @ (b'"' | b'\\' | b'/')) => (char::from(*same), 1),
            Some(b'u') => unicode(behind),
            _ => (char::REPLACEMENT_CHARACTER, 0),
        };
        out.push(character);
        rest = &behind[used..];
    }
    out.push_str(rest);
}

/// The character of a `uXXXX`, or of a pair of them, and its length.
fn unicode(text: &str) -> (char, usize) {
    let unit = |text: &str| {
        let digits = text.strip_prefix('u')?.get(..4)?;
        let are_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        are_digits.then(|| u32::from_str_radix(digits, 16).ok())?
    };
    let Some(first) = unit(text) else {
        return (char::REPLACEMENT_CHARACTER, 1);
    };
    if let Some(character) = char::from_u32(first) {
        return (character, 5);
    }
    let second = text[5..].strip_prefix('\\').and_then(unit);
    match second {
        Some(second @ 0xdc00..=0xdfff) if first < 0xdc00 => {
            let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            (
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
                11,
            )
        }
        _ => (char::REPLACEMENT_CHARACTER, 5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unescaped(escaped: &str) -> (String, String) {
        let (mut slowly, mut out) = (String::new(), b"before".to_vec());
        unescape(escaped, &mut slowly);
        append_unescaped(escaped, &mut out);
        let text = String::from_utf8(out).unwrap();
        (text.strip_prefix("before").unwrap().to_owned(), slowly)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn a_text_is_what_serde_reads(text in any::<String>(), more in r#"["\\\n/a]{0,80}"#) {
            let text = text + &more;
            let json = serde_json::to_string(&text).unwrap();
            let (found, slowly) = unescaped(&json[1..json.len() - 1]);
            prop_assert_eq!(&found, &text);
            prop_assert_eq!(&slowly, &text);
            let ascii: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            prop_assert_eq!(unescaped(&ascii).0, text);
        }

        #[test]
        fn any_escapes_are_what_they_are_one_after_the_other(escaped in r#"([a-f0-9é한]{0,20}|\\|\\u|d83d|de00|["n/\\x]){0,40}"#) {
            let (found, slowly) = unescaped(&escaped);
            prop_assert_eq!(found, slowly);
        }
    }
}
