//! What stands in quotes, also where the quotes are escaped.

use memchr::{memchr_iter, memchr2_iter};

use super::bytes::{is_word, unescaped};

/// The most backslashes before a quote: of JSON in JSON in JSON.
const MOST_BACKSLASHES: usize = 7;

/// How a quoted text begins, and so how it ends: `"`, `'`, or a backquote, with backslashes before it in escaped text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quote {
    pub(super) sign: u8,
    pub(super) backslashes: usize,
}

impl Quote {
    const PLAIN: Self = Self {
        sign: b'"',
        backslashes: 0,
    };

    /// The quote that stands at the start of a text.
    #[inline]
    pub(super) fn at_start_of(text: &[u8]) -> Option<Quote> {
        let backslashes = match text.first()? {
            b'\\' => text
                .iter()
                .take(MOST_BACKSLASHES + 1)
                .take_while(|byte| **byte == b'\\')
                .count(),
            _ => 0,
        };
        let sign = *text.get(backslashes)?;
        let is_quote = match sign {
            b'"' => backslashes <= MOST_BACKSLASHES,
            b'\'' | b'`' => backslashes == 0,
            _ => false,
        };
        is_quote.then_some(Quote { sign, backslashes })
    }

    /// Its length.
    pub(super) fn len(self) -> usize {
        self.backslashes + 1
    }
}

/// The quotes without an end, so that a text of nothing but quotes is searched once for each kind.
#[derive(Debug, Default)]
pub(super) struct Unclosed {
    until: [usize; MOST_BACKSLASHES + 3],
}

impl Unclosed {
    fn place(quote: Quote) -> usize {
        match quote.sign {
            b'\'' => MOST_BACKSLASHES + 1,
            b'`' => MOST_BACKSLASHES + 2,
            _ => quote.backslashes,
        }
    }

    /// Where the content of a quoted text that begins at `start` ends, before `end` and in the same line.
    pub(super) fn close(
        &mut self,
        text: &[u8],
        quote: Quote,
        start: usize,
        end: usize,
    ) -> Option<usize> {
        let unclosed = &mut self.until[Self::place(quote)];
        if start < *unclosed {
            return None;
        }
        let content = &text[start..end];
        if quote == Quote::PLAIN {
            let length = unescaped(content);
            if content.get(length) == Some(&b'"') {
                return Some(start + length);
            }
        }
        for found in memchr2_iter(quote.sign, b'\n', content) {
            if content[found] == b'\n' {
                *unclosed = start + found;
                return None;
            }
            if let Some(close) = closes(text, quote, start, start + found) {
                return Some(close);
            }
        }
        *unclosed = end;
        None
    }
}

/// Where the content ends if the sign at `at` closes it.
fn closes(text: &[u8], quote: Quote, start: usize, at: usize) -> Option<usize> {
    match quote.sign {
        // Not the apostrophe of a word. A mark stands for a word.
        b'\''
            if text
                .get(at + 1)
                .is_some_and(|next| is_word(*next) || *next == b'<') =>
        {
            return None;
        }
        b'`' => return Some(at),
        _ => {}
    }
    let before = &text[start..at];
    let backslashes = before
        .iter()
        .rev()
        .take_while(|byte| **byte == b'\\')
        .count();
    // Each level of escaping doubles the backslashes of the content and adds one to those of a quote.
    (backslashes % (2 * quote.backslashes + 2) == quote.backslashes).then(|| at - quote.backslashes)
}

/// The length of an array or object with all in it, from its bracket on; `None` where it has no end.
pub(super) fn balanced(text: &[u8]) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b'"' | b'\\' => {
                if let Some(quote) = Quote::at_start_of(&text[at..]) {
                    let start = at + quote.len();
                    let close = memchr_iter(quote.sign, &text[start..])
                        .find_map(|found| closes(text, quote, start, start + found))?;
                    at = close + quote.len();
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}
