//! How the scanner reads a line of text.

use super::bytes::{DIGIT, SIGNAL, WORD, class, is_border, is_word, word};
use super::quotes::Quote;
use super::scanner::{Scanner, Written};
use super::{Mark, names, numbers};

impl Scanner<'_> {
    /// Reads text up to the end or the end of the line.
    pub(super) fn line(&mut self) {
        let text = &self.text[..self.end];
        while let Some(byte) = text.get(self.at) {
            match class(*byte) {
                class if class & (WORD | SIGNAL) == 0 => match text.get(self.at + 1) {
                    Some(b' ') if *byte == b' ' => self.blanks(),
                    _ => self.at += 1,
                },
                class if class & SIGNAL != 0 => match *byte {
                    b'\n' => return,
                    byte => self.signal(byte),
                },
                _ if self.at >= self.email.0 => self.take_email(),
                DIGIT => self.digit(),
                _ => self.word(text),
            }
        }
    }

    /// Several blanks, of which one stays: loggers pad numbers to a width.
    fn blanks(&mut self) {
        let blanks = self.rest().iter().take_while(|byte| **byte == b' ').count();
        self.leave_out(self.at + 1, self.at + blanks);
    }

    fn signal(&mut self, byte: u8) {
        match byte {
            b'"' | b'\'' | b'`' | b'\\' => self.quote(),
            b'{' => self.object(b'}'),
            b'(' => self.arguments(),
            b'<' => self.written_mark(),
            b'?' => self.url_query(),
            _ => self.colon(),
        }
    }

    /// A mark that the message has already, as every pattern does.
    fn written_mark(&mut self) {
        match Mark::at_start_of(self.rest()) {
            Some(mark) => self.mark(mark, self.at, self.at + mark.text().len()),
            None => self.at += 1,
        }
    }

    /// A backslash: an escape of JSON is no word, as the `n` of `\n`.
    fn escape(&mut self) {
        match self.rest() {
            [_, b'u', code @ ..]
                if code.len() >= 4 && code[..4].iter().all(u8::is_ascii_hexdigit) =>
            {
                self.at += 6;
            }
            [_, b'n' | b't' | b'r' | b'b' | b'f' | b'/' | b'\\', ..] => self.at += 2,
            _ => self.at += 1,
        }
    }

    /// The query of a URL: `?level=error&page=2`.
    fn url_query(&mut self) {
        let key =
            |byte: &u8| is_word(*byte) || matches!(byte, b'.' | b'-' | b'%' | b'[' | b']' | b'~');
        let start = self.at + 1;
        let name = self.rest()[1..].iter().take_while(|byte| key(byte)).count();
        let is_in_url = self
            .before(self.at)
            .is_some_and(|before| !before.is_ascii_whitespace());
        if !is_in_url || name == 0 || self.text[..self.end].get(start + name) != Some(&b'=') {
            self.at = start;
            return;
        }
        let ends = |byte: &u8| {
            byte.is_ascii_whitespace()
                || matches!(
                    byte,
                    b'"' | b'\'' | b'`' | b'\\' | b')' | b'>' | b'}' | b']'
                )
        };
        let length = self
            .rest()
            .iter()
            .position(ends)
            .unwrap_or(self.rest().len());
        self.mark(Mark::Value, start, self.at + length);
    }

    /// `::1`
    fn colon(&mut self) {
        let is_address = self.rest().starts_with(b"::") && is_border(self.before(self.at));
        match is_address.then(|| numbers::colons(self.rest())).flatten() {
            Some((mark, length)) => self.mark(mark, self.at, self.at + length),
            None => self.at += 1,
        }
    }

    fn quote(&mut self) {
        let rest = self.rest();
        let Some(quote) = Quote::at_start_of(rest) else {
            self.escape();
            return;
        };
        let start = self.at + quote.len();
        let is_apostrophe = quote.sign == b'\''
            && (self.follows_mark(self.at)
                || self
                    .before(self.at)
                    .is_some_and(|before| is_word(*before) || !before.is_ascii()));
        let close = match is_apostrophe {
            true => None,
            false => self.unclosed.close(self.text, quote, start, self.end),
        };
        let Some(close) = close else {
            self.at = start;
            return;
        };
        let behind = close + quote.len();
        if self.is_request(start, close) {
            self.at = start;
            self.within(close);
            self.at = behind;
            return;
        }
        let written = Written {
            mark: Mark::Value,
            is_quoted: true,
        };
        let mut text = [0; 24];
        let length = 2 * quote.len() + 3;
        text[..quote.len()].copy_from_slice(&rest[..quote.len()]);
        text[quote.len()..quote.len() + 3].copy_from_slice(b"<*>");
        text[quote.len() + 3..length].copy_from_slice(&rest[..quote.len()]);
        self.write(written, self.at, behind, &text[..length]);
    }

    /// Whether a quoted text is the request of an access log, as in `"GET /orders/7 HTTP/1.1"` and `GET "/orders/7"`.
    fn is_request(&self, start: usize, close: usize) -> bool {
        let content = &self.text[start..close];
        let method = word(&content[..content.len().min(8)]);
        let is_path = |text: &[u8]| text.starts_with(b"/") || text.starts_with(b"http");
        if names::is_method(&content[..method]) {
            return content.get(method) == Some(&b' ') && is_path(&content[method + 1..]);
        }
        let before = self.text[..self.at].trim_ascii_end();
        let name = before
            .iter()
            .rev()
            .take(8)
            .take_while(|byte| is_word(**byte))
            .count();
        is_path(content) && names::is_method(&before[before.len() - name..])
    }
}
