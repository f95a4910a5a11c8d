//! What begins with a digit, in the text around it.

use super::bytes::{digits, is_word, word};
use super::scanner::Scanner;
use super::{Mark, names, numbers, times};

impl Scanner<'_> {
    /// What begins with a digit that no letter stands before.
    pub(super) fn digit(&mut self) {
        let start = self.at;
        let text = &self.text[start..self.end];
        let follows_colon = matches!(self.before(start), Some(b':' | b'.'));
        if !follows_colon {
            let time = times::time(text);
            if time > 0 {
                self.time(start, start + time);
                return;
            }
        }
        let number = numbers::number(text);
        match text.get(number) {
            Some(b'-') if number == 8 && self.uuid(start) => return,
            Some(b':') if number <= 4 && self.address(start) => return,
            Some(next) if is_word(*next) => {
                if let Some((mark, length)) = numbers::with_unit(text) {
                    return self.mark(mark, self.sign(start), start + length);
                }
                // A point may stand in the middle of `1.5abc`.
                let leading = digits(text);
                let length = word(&text[leading..]);
                if length > 0 || leading == number {
                    return self.word_with_digits(start, start + leading + length);
                }
            }
            Some(b'\xc2' | b'\xce') => {
                if let Some((mark, length)) = numbers::with_unit(text) {
                    return self.mark(mark, self.sign(start), start + length);
                }
            }
            _ => {}
        }
        if !self.is_version_of_product(start) && self.before(start) != Some(&b'.') {
            let address = numbers::ipv4(text);
            if address > 0 {
                return self.mark(Mark::Ip, start, start + address);
            }
        }
        if self.is_version_of_protocol(start) {
            self.at = start + number;
            return;
        }
        let sign = self.sign(start);
        match numbers::unit_behind(&text[number..]) {
            Some((mark, length)) => self.mark(mark, sign, start + number + length),
            None => self.mark(Mark::Value, sign, start + number),
        }
    }

    /// A time, with the weekday before it.
    pub(super) fn time(&mut self, start: usize, end: usize) -> bool {
        self.user_of_access_log(start);
        let start = start - times::weekday_before(&self.text[self.copied.min(start)..start]);
        self.mark(Mark::Time, start, end);
        true
    }

    /// The names between an address and a time, as in `10.0.0.1 - kim [11/Feb/2013:06:43:36 +0000]`, are values.
    fn user_of_access_log(&mut self, time: usize) {
        let follows_address = self
            .last
            .is_some_and(|(last, end)| last.mark == Mark::Ip && end == self.out.len());
        if !follows_address || self.copied >= time {
            return;
        }
        let between = &self.text[self.copied..time];
        if let Some(names) = between
            .strip_prefix(b" ")
            .and_then(|rest| rest.strip_suffix(b" ["))
            && !names.is_empty()
            && names.iter().filter(|byte| **byte == b' ').count() == 1
        {
            let start = self.copied + 1;
            self.mark(Mark::Value, start, start + names.len());
        }
    }

    /// The place of the sign of a number that begins at `start`.
    fn sign(&self, start: usize) -> usize {
        let has_sign = matches!(self.before(start), Some(b'-' | b'+'))
            && start > self.copied
            && start >= 1
            && self.before(start - 1).is_none_or(|before| {
                before.is_ascii_whitespace()
                    || matches!(
                        before,
                        b'(' | b'[' | b'{' | b':' | b'=' | b',' | b'|' | b'"'
                    )
            });
        start - usize::from(has_sign)
    }

    /// `Chrome/120.0.0.0`
    fn is_version_of_product(&self, start: usize) -> bool {
        self.before(start) == Some(&b'/')
            && start >= 2
            && self.before(start - 1).is_some_and(u8::is_ascii_alphabetic)
    }

    /// `HTTP/1.1`, `TLSv1.3`
    fn is_version_of_protocol(&self, start: usize) -> bool {
        let Some(name) = self.text[..start].strip_suffix(b"/") else {
            return false;
        };
        let length = name
            .iter()
            .rev()
            .take(8)
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        names::is_protocol(&name[name.len() - length..])
    }
}
