//! Tokens, AWS access keys, and the values of keys that are secret.

use std::ops::Range;

use super::{Found, is_word};

/// A value that is replaced.
pub(super) struct Value {
    pub(super) found: Found,
    pub(super) range: Range<usize>,
    /// Quotes that the mark gets, where the value has none and its key does.
    pub(super) quote: Vec<u8>,
}

/// Longer keys and beginnings of addresses are not looked at.
const LONGEST: usize = 256;

/// The token that begins with, or behind, the word of `length` at `start`.
pub(super) fn token(text: &[u8], start: usize, length: usize) -> Option<(Found, Range<usize>)> {
    let word = &text[start..start + length];
    match word[0] {
        b'A' if length == 20 && is_access_key(word) => Some((Found::AwsKey, start..start + length)),
        b'e' if word.starts_with(b"eyJ") => jwt(text, start).map(|end| (Found::Token, start..end)),
        b'B' | b'b' => {
            let value = start + length + 1;
            if text.get(value - 1) != Some(&b' ') {
                return None;
            }
            let length = token_length(&text[value..]);
            let token = &text[value..value + length];
            let is_token = match length {
                _ if word.eq_ignore_ascii_case(b"bearer") => {
                    length >= 8 && (length >= 20 || token.iter().any(u8::is_ascii_digit))
                }
                _ => word.eq_ignore_ascii_case(b"basic") && is_credentials(token),
            };
            is_token.then_some((Found::Token, value..value + length))
        }
        _ => None,
    }
}

/// The id of an access key, long-lived or temporary.
fn is_access_key(word: &[u8]) -> bool {
    (word.starts_with(b"AKIA") || word.starts_with(b"ASIA"))
        && word
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Where a [JWT](https://www.rfc-editor.org/rfc/rfc7519) ends: two or three parts in base64url.
fn jwt(text: &[u8], start: usize) -> Option<usize> {
    let part = |text: &[u8]| {
        text.iter()
            .take_while(|byte| is_word(**byte) || **byte == b'-')
            .count()
    };
    let header = start + part(&text[start..]);
    let payload = match text.get(header) {
        Some(b'.') => part(&text[header + 1..]),
        _ => 0,
    };
    if payload < 5 {
        return None;
    }
    let end = header + 1 + payload;
    let signature = match text.get(end) {
        Some(b'.') => part(&text[end + 1..]),
        _ => 0,
    };
    Some(match signature {
        0 => end,
        length => end + 1 + length,
    })
}

/// The characters of a token ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)), which has no blank.
fn token_length(text: &[u8]) -> usize {
    let is_part =
        |byte: &u8| is_word(*byte) || matches!(byte, b'-' | b'.' | b'~' | b'+' | b'/' | b'=');
    text.iter().take_while(|byte| is_part(byte)).count()
}

/// Whether a token of Basic authentication is a name, a colon and a password in base64, and no word.
fn is_credentials(token: &[u8]) -> bool {
    let mut bits = 0u32;
    let mut count = 0;
    let mut has_colon = false;
    for byte in token {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => break,
            _ => return false,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            let decoded = (bits >> count & 0xff) as u8;
            if decoded < b' ' {
                return false;
            }
            has_colon |= decoded == b':';
        }
    }
    has_colon && token.len() >= 4
}

/// What a key's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A secret, whatever it looks like.
    Secret,
    /// A secret if it is long and no word: `token` has other meanings too.
    Token,
    /// A scheme, then credentials.
    Authorization,
}

/// The secret value behind the `=` or `:` at `sign`; nothing before `from` is looked at.
pub(super) fn value(text: &[u8], from: usize, sign: usize) -> Option<Value> {
    if text[sign..].starts_with(b"://") {
        return user_of_url(text, sign + 3);
    }
    let (kind, key_quote) = key(&text[from.max(sign.saturating_sub(LONGEST))..sign])?;
    let blank = text[sign + 1..]
        .iter()
        .take_while(|byte| **byte == b' ')
        .count();
    let start = sign + 1 + blank;
    let quote = quote(&text[start..]);
    let content = start + quote.len();
    // Before its end is looked for, which can be that of the message for each of its values.
    if begins_no_secret(text.get(content)) {
        return None;
    }
    let is_line = kind == Kind::Authorization && quote.is_empty();
    let length = match quote {
        // Credentials are its first words: where it ends is not looked for.
        _ if is_line => text.len() - content,
        [] => bare(&text[content..]),
        quote => quoted(&text[content..], quote),
    };
    let value = &text[content..content + length];
    let is_none = match is_line {
        true => is_no_secret_line(value),
        false => is_no_secret(value),
    };
    if is_none {
        return None;
    }
    let is_text = !quote.is_empty();
    let range = match kind {
        Kind::Authorization => {
            credentials(value).map(|range| content + range.start..content + range.end)?
        }
        Kind::Token
            if value.len() < 8 || !(value.len() >= 16 || value.iter().any(u8::is_ascii_digit)) =>
        {
            return None;
        }
        // Prose: `password: must have eight letters`.
        _ if !is_text && blank > 0 && value.iter().all(u8::is_ascii_alphabetic) => return None,
        _ => content..content + length,
    };
    let found = match kind {
        Kind::Authorization => Found::Token,
        _ => Found::Secret,
    };
    let quote = if is_text || kind == Kind::Authorization {
        Vec::new()
    } else {
        key_quote.to_vec()
    };
    Some(Value {
        found,
        range,
        quote,
    })
}

/// What the key at the end of a text is, and the quote behind it.
fn key(before: &[u8]) -> Option<(Kind, &[u8])> {
    let before = before.trim_ascii_end();
    let unquoted = match before {
        [key @ .., b'"' | b'\''] => key,
        key => key,
    };
    let name = match unquoted.len() < before.len() {
        true => {
            let backslashes = unquoted
                .iter()
                .rev()
                .take_while(|byte| **byte == b'\\')
                .count();
            &unquoted[..unquoted.len() - backslashes]
        }
        false => unquoted,
    };
    let quote = &before[name.len()..];
    let length = name
        .iter()
        .rev()
        .take_while(|byte| is_word(**byte) || **byte == b'-')
        .count();
    let joined: Vec<u8> = name[name.len() - length..]
        .iter()
        .filter(|byte| !matches!(byte, b'_' | b'-'))
        .map(u8::to_ascii_lowercase)
        .collect();
    kind(&joined).map(|kind| (kind, quote))
}

/// By the end of the key, in small letters without `_` and `-`: `client_secret`, `aws_secret_access_key`, `X-Api-Key`.
fn kind(key: &[u8]) -> Option<Kind> {
    const SECRETS: [&[u8]; 12] = [
        b"password",
        b"passwd",
        b"passphrase",
        b"pwd",
        b"secret",
        b"secretkey",
        b"secretaccesskey",
        b"apikey",
        b"privatekey",
        b"amzsignature",
        b"amzcredential",
        b"passcode",
    ];
    if !key.last().is_some_and(|last| b"ndeytl".contains(last)) {
        return None;
    }
    match key {
        _ if key.ends_with(b"authorization") => Some(Kind::Authorization),
        _ if key.ends_with(b"token") => Some(Kind::Token),
        b"signature" => Some(Kind::Token),
        _ => SECRETS
            .iter()
            .any(|name| key.ends_with(name))
            .then_some(Kind::Secret),
    }
}

/// A quote with the backslashes before it.
fn quote(text: &[u8]) -> &[u8] {
    let backslashes = text.iter().take_while(|byte| **byte == b'\\').count();
    match text.get(backslashes) {
        Some(b'"' | b'\'') => &text[..=backslashes],
        _ => &[],
    }
}

/// The length of a value up to its quote, or to the end of the line. Nothing behind either is looked at: a line can have a value
/// for each of its words.
fn quoted(text: &[u8], quote: &[u8]) -> usize {
    let Some((sign, backslashes)) = quote.split_last() else {
        return 0;
    };
    for at in memchr::memchr2_iter(b'\n', *sign, text) {
        if text[at] == b'\n' {
            return at;
        }
        let before = text[..at]
            .iter()
            .rev()
            .take_while(|byte| **byte == b'\\')
            .count();
        let escapes = before.checked_sub(backslashes.len());
        if escapes.is_some_and(|escapes| escapes % 2 == 0) {
            return at - backslashes.len();
        }
    }
    text.len()
}

/// The length of a value without quotes.
fn bare(text: &[u8]) -> usize {
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b",;&\"'\\)}]<>".contains(byte);
    text.iter().position(ends).unwrap_or(text.len())
}

/// Whether a value that begins so is a placeholder, or something that is nested.
fn begins_no_secret(first: Option<&u8>) -> bool {
    first.is_some_and(|first| b"<[{($=:>".contains(first))
}

/// What stands in place of a value.
const NONE: [&[u8]; 7] = [
    b"null",
    b"none",
    b"nil",
    b"true",
    b"false",
    b"undefined",
    b"redacted",
];

/// Whether a value is empty, hidden already, or says that there is none.
fn is_no_secret(value: &[u8]) -> bool {
    hidden(value) == value.len() || NONE.iter().any(|none| value.eq_ignore_ascii_case(none))
}

/// The same of the value that is the first line of a text.
fn is_no_secret_line(text: &[u8]) -> bool {
    let ends = |at: usize| matches!(text.get(at), None | Some(b'\n'));
    let begins = |none: &[u8]| {
        let word = text.get(..none.len());
        word.is_some_and(|word| word.eq_ignore_ascii_case(none))
    };
    ends(hidden(text)) || NONE.iter().any(|none| begins(none) && ends(none.len()))
}

/// How many characters hide a value.
fn hidden(value: &[u8]) -> usize {
    let hides = |byte: &&u8| matches!(byte, b'*' | b'x' | b'X' | b'.');
    value.iter().take_while(hides).count()
}

/// What of an `Authorization` header is secret: what follows the scheme.
fn credentials(value: &[u8]) -> Option<Range<usize>> {
    let end = |from: usize| {
        from + value[from..]
            .iter()
            .take_while(|byte| !byte.is_ascii_whitespace() && !b",\"'\\)}]<".contains(byte))
            .count()
    };
    let first = end(0);
    let scheme = &value[..first];
    let start = match value.get(first) {
        Some(b' ')
            if scheme
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-') =>
        {
            first + 1
        }
        _ => 0,
    };
    let range = start..end(start);
    // `authorization: required for the route`
    let is_word = value[range.clone()].iter().all(u8::is_ascii_lowercase);
    (!range.is_empty() && !is_word).then_some(range)
}

/// The name and the password of `https://name:password@host`.
fn user_of_url(text: &[u8], start: usize) -> Option<Value> {
    let rest = &text[start..text.len().min(start + LONGEST)];
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"/?#\"'<>\\,".contains(byte);
    let host = &rest[..rest.iter().position(ends).unwrap_or(rest.len())];
    let sign = memchr::memrchr(b'@', host)?;
    let has_password = memchr::memchr(b':', &host[..sign]).is_some();
    has_password.then(|| Value {
        found: Found::Secret,
        range: start..start + sign,
        quote: Vec::new(),
    })
}
