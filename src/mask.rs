//! Personal data and secrets in a text, replaced by marks.
//!
//! A pass over the bytes finds what has a form of its own: telephone numbers, e-mail addresses, the numbers of cards and
//! of Korean residents, tokens, AWS access keys, and the values of keys such as `password`. Each is replaced whole, since
//! the last four digits of a number are personal data too. `docs/sql.md` has the forms, and what has none.

mod numbers;
mod secrets;

use std::borrow::Cow;

/// What is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Phone,
    Email,
    Card,
    ResidentNumber,
    /// A bearer token, a JWT, or what an `Authorization` header has.
    Token,
    AwsKey,
    /// A password, or another value that a key names as secret.
    Secret,
}

impl Found {
    fn mark(self) -> &'static str {
        match self {
            Found::Phone => "<phone>",
            Found::Email => "<email>",
            Found::Card => "<card>",
            Found::ResidentNumber => "<resident_number>",
            Found::Token => "<token>",
            Found::AwsKey => "<aws_key>",
            Found::Secret => "<secret>",
        }
    }
}

/// How often a text is gone over: a number that a hyphen joined to a key stands alone once the key is a mark.
const MOST_PASSES: usize = 8;

/// The text with a mark in place of each personal datum and each secret; the text itself if it has none.
pub fn masked(text: &str) -> Cow<'_, str> {
    let Some(mut masked) = masked_once(text) else {
        return Cow::Borrowed(text);
    };
    for _ in 1..MOST_PASSES {
        match masked_once(&masked) {
            Some(more) => masked = more,
            None => break,
        }
    }
    Cow::Owned(masked)
}

/// The text with marks; `None` if it has nothing to mask.
fn masked_once(text: &str) -> Option<String> {
    let mut masking = Masking {
        text: text.as_bytes(),
        out: Vec::new(),
        copied: 0,
    };
    masking.run();
    if masking.copied == 0 {
        return None;
    }
    let Masking {
        mut out, copied, ..
    } = masking;
    out.extend_from_slice(&text.as_bytes()[copied..]);
    // Marks stand between ASCII characters, so no character is cut.
    Some(match String::from_utf8(out) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

struct Masking<'a> {
    text: &'a [u8],
    out: Vec<u8>,
    /// Up to here the text is in `out`, as it is or as marks.
    copied: usize,
}

impl Masking<'_> {
    fn run(&mut self) {
        let mut at = 0;
        while let Some(byte) = self.text.get(at) {
            let behind = match byte {
                b'0'..=b'9' => self.digits(at),
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(at),
                b'+' | b'(' => self.phone(at),
                b'@' => self.email(at, at + 1),
                b'%' if self.text[at..].starts_with(b"%40") => self.email(at, at + 3),
                b'=' | b':' => self.value(at),
                _ => at + 1,
            };
            at = behind;
        }
    }

    /// Replaces what stands from `start` to `end`, and returns the end.
    fn replace(&mut self, found: Found, start: usize, end: usize) -> usize {
        self.replace_quoted(found, start, end, b"")
    }

    /// The same, with quotes around the mark: a number of JSON becomes a text.
    fn replace_quoted(&mut self, found: Found, start: usize, end: usize, quote: &[u8]) -> usize {
        self.out.extend_from_slice(&self.text[self.copied..start]);
        self.out.extend_from_slice(quote);
        self.out.extend_from_slice(found.mark().as_bytes());
        self.out.extend_from_slice(quote);
        self.copied = end;
        end
    }

    fn digits(&mut self, start: usize) -> usize {
        match numbers::number(self.text, self.copied, start) {
            Some((found, end)) => {
                let quote = self.quote_of_json(start);
                self.replace_quoted(found, start, end, &quote)
            }
            None => start + word(&self.text[start..]),
        }
    }

    fn phone(&mut self, start: usize) -> usize {
        match numbers::phone(self.text, self.copied, start) {
            Some(end) => self.replace(Found::Phone, start, end),
            None => start + 1,
        }
    }

    /// The quote of the key before a value at `start` that is a number of JSON; empty for all else.
    fn quote_of_json(&self, start: usize) -> Vec<u8> {
        let before = self.text[self.copied.min(start)..start].trim_ascii_end();
        let key = before.strip_suffix(b":").map(<[u8]>::trim_ascii_end);
        match key {
            Some(key) if key.ends_with(b"\"") => {
                let backslashes = key[..key.len() - 1]
                    .iter()
                    .rev()
                    .take_while(|byte| **byte == b'\\')
                    .count();
                key[key.len() - 1 - backslashes..].to_vec()
            }
            _ => Vec::new(),
        }
    }

    fn word(&mut self, start: usize) -> usize {
        let length = word(&self.text[start..]);
        if start > self.copied && is_word(self.text[start - 1]) {
            return start + length;
        }
        match secrets::token(self.text, start, length) {
            Some((found, range)) => self.replace(found, range.start, range.end),
            None => start + length,
        }
    }

    /// The value behind the `=` or `:` at `sign`.
    fn value(&mut self, sign: usize) -> usize {
        let Some(value) = secrets::value(self.text, self.copied, sign) else {
            return sign + 1;
        };
        self.replace_quoted(
            value.found,
            value.range.start,
            value.range.end,
            &value.quote,
        )
    }

    /// An e-mail address around a sign that begins at `sign` and ends at `domain`.
    fn email(&mut self, sign: usize, domain: usize) -> usize {
        const LONGEST_LOCAL: usize = 64;
        const LONGEST_DOMAIN: usize = 253;
        let is_local = |byte: &u8| is_word(*byte) || matches!(byte, b'.' | b'+' | b'-');
        let is_domain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        let before = &self.text[self.copied..sign];
        let local = before
            .iter()
            .rev()
            .take(LONGEST_LOCAL)
            .take_while(|byte| is_local(byte))
            .count();
        let local = &before[before.len() - local..];
        let Some(first) = local.iter().position(|byte| is_word(*byte)) else {
            return sign + 1;
        };
        let rest = &self.text[domain..];
        let length = rest
            .iter()
            .take(LONGEST_DOMAIN)
            .take_while(|byte| is_domain(byte))
            .count();
        let name = rest[..length].trim_ascii_end();
        let name = match name {
            [name @ .., b'.' | b'-'] => name,
            name => name,
        };
        let top = name
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        let is_name = top >= 2
            && name.len() > top + 1
            && name[name.len() - top - 1] == b'.'
            && !is_image(name);
        match is_name {
            true => self.replace(
                Found::Email,
                sign - (local.len() - first),
                domain + name.len(),
            ),
            false => sign + 1,
        }
    }
}

/// `icon@2x.png` is the file of a picture.
fn is_image(domain: &[u8]) -> bool {
    matches!(domain, [b'1'..=b'9', b'x', b'.', ..])
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The number of letters, digits and `_` that a text begins with.
fn word(text: &[u8]) -> usize {
    text.iter().take_while(|byte| is_word(**byte)).count()
}

#[cfg(test)]
mod tests;
