//! `key=value`, and the values of keys.

use memchr::memchr_iter;

use super::Mark;
use super::bytes;
use super::keys::{Keeps, keeps};
use super::quotes::Quote;
use super::scanner::Scanner;

impl Scanner<'_> {
    /// `key=value`, whose key begins at `start` and ends where the scanner stands.
    pub(super) fn pair(&mut self, start: usize) {
        let key = &self.text[start..self.at];
        let value = self.at + 1;
        let rest = &self.text[value..self.end];
        if matches!(
            rest.first(),
            None | Some(b'=' | b'>' | b'~' | b'{' | b'[' | b'(' | b' ' | b'\t' | b'\n')
        ) {
            return;
        }
        self.at = value;
        if Mark::at_start_of(rest).is_some() {
            return;
        }
        let keeps = keeps(key);
        if let Some(quote) = Quote::at_start_of(rest)
            && let Some(close) =
                self.unclosed
                    .close(self.text, quote, value + quote.len(), self.end)
        {
            return self.quoted_value(keeps, value, quote, close);
        }
        // The end of a value that is left as it is may be that of the message, for each of its pairs.
        match keeps {
            Keeps::Nothing => match bytes::value(rest) {
                0 => {}
                length => self.mark(Mark::Value, value, value + length),
            },
            Keeps::Level if rest[0].is_ascii_digit() => self.at = value + bytes::value(rest),
            _ => {}
        }
    }

    /// A value in quotes that begins at `start`: its text without values, or a mark for all of it.
    pub(super) fn quoted_value(&mut self, keeps: Keeps, start: usize, quote: Quote, close: usize) {
        let behind = close + quote.len();
        match keeps {
            Keeps::Nothing => self.mark(Mark::Value, start, behind),
            Keeps::Text | Keeps::Level => {
                self.at = start + quote.len();
                let line = self.text_of_value(close);
                self.within(line);
                if line < close {
                    self.leave_out(line, close);
                }
                self.at = behind;
            }
        }
    }

    /// Where the first line of a quoted text ends.
    fn text_of_value(&self, close: usize) -> usize {
        let content = &self.text[self.at..close];
        let line = memchr_iter(b'\\', content).find(|at| content.get(at + 1) == Some(&b'n'));
        line.map_or(close, |line| self.at + line)
    }
}
