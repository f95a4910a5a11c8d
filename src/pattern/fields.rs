//! Objects in any notation: JSON, also escaped, and what Python, JavaScript, Ruby and Java print of an object.

use std::ops::Range;

use memchr::memchr;

use super::Mark;
use super::bytes::{is_word, unescaped};
use super::keys::Keeps;
use super::quotes::{Quote, balanced};
use super::scanner::Scanner;
use super::seen::{Known, Seen};

/// Objects in objects in objects are values from this depth on.
const DEEPEST: usize = 32;

/// A key of more bytes is none.
const LONGEST_KEY: usize = 128;

/// A key with its place, and where its value begins.
struct Key {
    start: usize,
    end: usize,
    /// Whether quotes stand around it.
    is_quoted: bool,
    value: usize,
}

impl Scanner<'_> {
    /// What begins with `{`: an object if a key and a value follow.
    pub(super) fn object(&mut self, close: u8) {
        self.members(close, 0);
    }

    /// What begins with `(`: `Order(id=7, name=Kim)` if a name stands before it.
    pub(super) fn arguments(&mut self) {
        let follows_name = self.at > 0 && is_word(self.text[self.at - 1]);
        let key = self
            .key(self.at + 1)
            .filter(|key| !key.is_quoted && self.text[key.end] == b'=');
        match follows_name && key.is_some() {
            true => self.members(b')', 0),
            false => self.at += 1,
        }
    }

    /// Reads the members of an object whose opening bracket the scanner stands at, up to its end or to where it stops being
    /// an object.
    fn members(&mut self, close: u8, depth: usize) {
        self.at += 1;
        let mut member = None;
        let mut place = Seen::FIRST;
        loop {
            let blank = self.blank(self.at);
            let Some((key, known)) = self.key_as_before(blank, place) else {
                return;
            };
            place = known.next;
            self.leave_out_lines(self.at, blank);
            if known.has_digit {
                member = self.member_of_map(&key, known.keeps, close, depth, member);
            } else {
                self.at = key.value;
                self.value(&key, known.keeps, close, depth);
            }
            let blank = self.blank(self.at);
            match self.text[..self.end].get(blank) {
                Some(b',') => {
                    self.leave_out_lines(self.at, blank);
                    self.at = blank + 1;
                }
                Some(byte) if *byte == close => {
                    self.leave_out_lines(self.at, blank);
                    self.at = blank + 1;
                    return;
                }
                _ => return,
            }
        }
    }

    /// Reads a member whose key has digits. Members of a map from ids, which all look alike, are there once: `before` is the
    /// place of the last one.
    fn member_of_map(
        &mut self,
        key: &Key,
        keeps: Keeps,
        close: u8,
        depth: usize,
        before: Option<Range<usize>>,
    ) -> Option<Range<usize>> {
        let start = self.out_position(key.start);
        self.at = key.start;
        self.within(key.end);
        let is_marked = self.out.len() > start;
        self.at = key.value;
        self.value(key, keeps, close, depth);
        let end = self.out_position(self.at);
        match before {
            Some(before) if is_marked && self.out[before.clone()] == self.out[start..end] => {
                self.out.truncate(before.end);
                self.end_of_row();
                Some(before)
            }
            _ => is_marked.then_some(start..end),
        }
    }

    /// Copies up to a place, and returns how much is written then.
    fn out_position(&mut self, to: usize) -> usize {
        self.copy(to);
        self.out.len()
    }

    /// Where white space from a place on ends.
    #[inline]
    fn blank(&self, from: usize) -> usize {
        if self.text[..self.end]
            .get(from)
            .is_some_and(u8::is_ascii_graphic)
        {
            return from;
        }
        let rest = &self.text[from..self.end];
        let blank = rest
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        from + blank
    }

    /// White space with a line's end in it is left out: an object may be printed over several lines, or in one.
    #[inline]
    fn leave_out_lines(&mut self, from: usize, to: usize) {
        match from < to && self.text[from..to].contains(&b'\n') {
            true => self.leave_out(from, to),
            false => self.at = to,
        }
    }

    /// The key at a place, and what is known of it. Mostly it is the one that stood behind the same key before.
    #[inline]
    fn key_as_before(&mut self, start: usize, place: u8) -> Option<(Key, Known)> {
        if let Some((length, known)) = self.seen.key(place, &self.text[start..self.end]) {
            let value = start + length;
            let key = Key {
                start: start + 1,
                end: value - 2,
                is_quoted: true,
                value,
            };
            return Some((key, known));
        }
        let key = self.key(start)?;
        let written = &self.text[start..key.value];
        let name = &self.text[key.start..key.end];
        let known = self.seen.put_key(place, written, name);
        Some((key, known))
    }

    /// The key at a place, with what separates it from its value.
    #[inline]
    fn key(&self, start: usize) -> Option<Key> {
        let rest = &self.text[start..self.end];
        if let Some(length) = plain_key(rest) {
            return Some(Key {
                start: start + 1,
                end: start + 1 + length,
                is_quoted: true,
                value: start + length + 3,
            });
        }
        let quote = Quote::at_start_of(rest).filter(|quote| quote.sign != b'`');
        let (length, quotes) = match quote {
            Some(quote) => {
                let name = &rest[quote.len()..];
                let sign = memchr(quote.sign, &name[..name.len().min(LONGEST_KEY)])?;
                let length = sign.checked_sub(quote.backslashes)?;
                let is_end = name[length..sign].iter().all(|byte| *byte == b'\\');
                if !is_end || (length > 0 && name[length - 1] == b'\\') {
                    return None;
                }
                (length, quote.len())
            }
            None => (bare_key(rest), 0),
        };
        if length == 0 && quotes == 0 {
            return None;
        }
        let end = start + length + 2 * quotes;
        let separator = self.blank(end);
        let behind = match &self.text[separator..self.end] {
            [b'=', b'>', ..] => separator + 2,
            [b':' | b'=', next, ..] if !matches!(next, b'=' | b':' | b'/') => separator + 1,
            _ => return None,
        };
        Some(Key {
            start: start + quotes,
            end: start + quotes + length,
            is_quoted: quotes > 0,
            value: behind,
        })
    }

    fn value(&mut self, key: &Key, keeps: Keeps, close: u8, depth: usize) {
        let start = self.blank(key.value);
        self.leave_out_lines(key.value, start);
        let rest = self.rest();
        match rest.first() {
            Some(b'{') if depth < DEEPEST && (self.key(self.blank(start + 1)).is_some()) => {
                self.members(b'}', depth + 1);
            }
            Some(b'{') if rest.get(1) == Some(&b'}') => self.at += 2,
            Some(b'[' | b'{') => self.list(),
            Some(b'"') if keeps != Keeps::Nothing && self.text_as_before(start + 1) => {}
            Some(_) => match Quote::at_start_of(rest) {
                Some(quote) => {
                    let content = start + quote.len();
                    match self.unclosed.close(self.text, quote, content, self.end) {
                        Some(end) => {
                            let copied = self.copied;
                            self.quoted_value(keeps, start, quote, end);
                            if self.copied == copied && rest[0] == b'"' {
                                let text = &self.text[content..self.end];
                                self.seen.put_text(text, end + 1 - content);
                            }
                        }
                        None => self.cut_value(keeps, start, quote),
                    }
                }
                None => self.bare_value(keeps, key, close, depth),
            },
            None => {}
        }
    }

    /// Goes on behind a text in quotes that begins at `start`, if it has stayed as it is before.
    #[inline]
    fn text_as_before(&mut self, start: usize) -> bool {
        let seen = self.seen.text(&self.text[start..self.end]);
        self.at += seen.map_or(0, |length| 1 + length);
        seen.is_some()
    }

    /// A quoted value without its end: the message was cut.
    fn cut_value(&mut self, keeps: Keeps, start: usize, quote: Quote) {
        let line = memchr(b'\n', self.rest()).map_or(self.end, |line| start + line);
        match keeps {
            Keeps::Nothing => self.mark(Mark::Value, start, line),
            Keeps::Text | Keeps::Level => self.at += quote.len(),
        }
    }

    /// A list, or an object that is none, with all in it.
    fn list(&mut self) {
        let start = self.at;
        let end = balanced(self.rest()).map_or(self.end, |length| start + length);
        self.copy(start);
        let brackets: &[u8] = match self.text[start] {
            b'[' => b"[<*>]",
            _ => b"{<*>}",
        };
        self.out.extend_from_slice(brackets);
        self.leave_out(start, end);
    }

    /// A value without quotes: a number, a word, or all up to the next comma where keys have no quotes either.
    fn bare_value(&mut self, keeps: Keeps, key: &Key, close: u8, depth: usize) {
        let start = self.at;
        let ends = |byte: u8| match key.is_quoted {
            true => byte.is_ascii_whitespace() || matches!(byte, b',' | b'}' | b']' | b'\\' | b'"'),
            false => matches!(byte, b',' | b'\n' | b'}' | b']' | b')') || byte == close,
        };
        let rest = self.rest();
        if let Some(mark) = Mark::at_start_of(rest) {
            return self.mark(mark, start, start + mark.text().len());
        }
        let length = rest
            .iter()
            .position(|byte| ends(*byte))
            .unwrap_or(rest.len());
        let length = before_next_pair(&rest[..length]);
        // `address=Address(city=Seoul)`, `at: Order { id: 7 }`
        let nested = rest[..length]
            .iter()
            .position(|byte| matches!(byte, b'(' | b'{' | b'['));
        if let Some(nested) = nested.filter(|_| !key.is_quoted && depth < DEEPEST) {
            self.at = start + nested;
            match self.text[self.at] {
                b'[' => self.list(),
                _ if self.key(self.blank(self.at + 1)).is_none() => {
                    self.mark(Mark::Value, start, start + length);
                }
                b'(' => self.members(b')', depth + 1),
                _ => self.members(b'}', depth + 1),
            }
            return;
        }
        let length = rest[..length].trim_ascii_end().len();
        match keeps {
            Keeps::Nothing if length > 0 => self.mark(Mark::Value, start, start + length),
            Keeps::Text => {
                self.within(start + length);
                self.at = start + length;
            }
            _ => self.at = start + length,
        }
    }
}

/// The length of a value before the next pair, where no comma stands between them: `{requestId=7 traceId=8}`.
fn before_next_pair(value: &[u8]) -> usize {
    let Some(sign) = memchr(b'=', value) else {
        return value.len();
    };
    let key = value[..sign]
        .iter()
        .rev()
        .take_while(|byte| is_word(**byte))
        .count();
    match value[..sign - key].strip_suffix(b" ") {
        Some(before) if key > 0 => before.len(),
        _ => value.len(),
    }
}

/// The length of the key that a text begins with if it is `"key":`, as nearly all keys are.
#[inline]
fn plain_key(text: &[u8]) -> Option<usize> {
    let name = text.strip_prefix(b"\"")?;
    let length = unescaped(&name[..name.len().min(LONGEST_KEY)]);
    match &name[length..] {
        [b'"', b':', next, ..] if !matches!(next, b'=' | b':' | b'/') => Some(length),
        _ => None,
    }
}

/// The length of a key without quotes, in which marks may stand.
fn bare_key(text: &[u8]) -> usize {
    let is_part =
        |byte: &u8| is_word(*byte) || matches!(byte, b'.' | b'-' | b'$' | b'@') || !byte.is_ascii();
    let mut at = usize::from(text.first() == Some(&b':'));
    loop {
        let part = text[at..]
            .iter()
            .take(LONGEST_KEY)
            .take_while(|byte| is_part(byte))
            .count();
        at += part;
        match Mark::at_start_of(&text[at..]) {
            Some(mark) if at < LONGEST_KEY => at += mark.text().len(),
            _ => return at,
        }
    }
}
