//! What begins with a letter: words, and names with numbers.

use super::bytes::{digits, is_border, letters, word};
use super::scanner::Scanner;
use super::{Mark, names, numbers, times};

impl Scanner<'_> {
    /// What begins with a letter or `_`, in `text` up to the end.
    #[inline]
    pub(super) fn word(&mut self, text: &[u8]) {
        let start = self.at;
        let end = start + letters(&text[start..]);
        self.at = end;
        match text.get(end) {
            Some(b'0'..=b'9' | b'_') => self.long_word(start),
            Some(b'=') => self.pair(start),
            Some(b' ' | b'-' | b'.') if matches!(text.get(end + 1), Some(b'0'..=b'9' | b' ')) => {
                self.month(start);
            }
            Some(b':') if end - start <= 4 => {
                self.address(start);
            }
            Some(b'-') if end - start == 8 => {
                self.uuid(start);
            }
            _ if end - start == 5
                && start > 0
                && text[start - 1] == b'-'
                && self.follows_mark(start - 1) =>
            {
                self.end_of_pod(start);
            }
            _ => {}
        }
    }

    /// The last part of a pod's name, as in `checkout-68bcf97d44-qwmkp`: without vowels, so that it spells no word.
    #[inline(never)]
    fn end_of_pod(&mut self, start: usize) {
        let is_part = self.text[start..self.at]
            .iter()
            .all(|byte| b"bcdfghjklmnpqrstvwxz".contains(byte));
        let is_last = !matches!(self.rest().first(), Some(b'-' | b'<'));
        if is_part && is_last && self.last.is_some_and(|(last, _)| last.mark == Mark::Value) {
            self.mark(Mark::Value, start, self.at);
        }
    }

    /// A word that is not of letters only.
    #[inline(never)]
    fn long_word(&mut self, start: usize) {
        let text = &self.text[start..self.end];
        let length = word(text);
        if text[..length].iter().any(u8::is_ascii_digit) {
            return self.word_with_digits(start, start + length);
        }
        self.at = start + length;
        if text.get(length) == Some(&b'=') {
            self.pair(start);
        }
    }

    /// A time that begins with the word at `start`, if that is a month.
    #[inline(never)]
    fn month(&mut self, start: usize) {
        let time = times::time_by_month(&self.text[start..self.end], self.at - start);
        if time > 0 {
            self.time(start, start + time);
        }
    }

    /// An address with colons that begins at `start`, if there is one. True if there is.
    pub(super) fn address(&mut self, start: usize) -> bool {
        if !is_border(self.before(start)) || self.before(start) == Some(&b':') {
            return false;
        }
        let address = numbers::colons(&self.text[start..self.end]);
        if let Some((mark, length)) = address {
            self.mark(mark, start, start + length);
        }
        address.is_some()
    }

    pub(super) fn uuid(&mut self, start: usize) -> bool {
        let length = numbers::uuid(&self.text[start..self.end]);
        if length > 0 {
            self.mark(Mark::Uuid, start, start + length);
        }
        length > 0
    }

    /// A word with digits: a name that keeps them, an id, or a name with a number.
    pub(super) fn word_with_digits(&mut self, start: usize, end: usize) {
        let text = &self.text[start..self.end];
        let length = end - start;
        match text.get(length) {
            Some(b'-') if length >= 8 && self.uuid_at_end_of(start, end) => return,
            Some(b':') if length <= 4 && self.address(start) => return,
            Some(b' ') if length == 5 && self.time_of_klog(start) => return,
            _ => {}
        }
        let (looked_at, run, text_end) = self.no_token;
        if !(looked_at..run).contains(&start) || text_end != self.end {
            match numbers::token(text) {
                Ok(token) => return self.mark(Mark::Value, start, start + token),
                Err(length) => self.no_token = (start, start + length, self.end),
            }
        }
        self.pieces(start, end);
        if self.at == end && self.text[..self.end].get(end) == Some(&b'=') {
            self.pair(start);
        }
    }

    /// The parts of a word between its `_`.
    fn pieces(&mut self, start: usize, end: usize) {
        self.at = start;
        while self.at < end {
            let piece = self.at;
            let length = self.text[piece..end]
                .iter()
                .take_while(|byte| **byte != b'_')
                .count();
            self.at = piece + length;
            self.piece(piece, piece + length);
            if self.at < end {
                self.at += 1;
            }
        }
    }

    /// A UUID behind a word with `_`, as in `req_8476a536-e9f4-11e8-9739-2dfe598c3fcd`.
    fn uuid_at_end_of(&mut self, start: usize, end: usize) -> bool {
        let eight = end - 8;
        let length = numbers::uuid(&self.text[eight..self.end]);
        let is_uuid = length > 0 && (eight == start || self.text[eight - 1] == b'_');
        if is_uuid {
            self.pieces(start, eight);
            self.mark(Mark::Uuid, eight, eight + length);
        }
        is_uuid
    }

    /// `E0505 17:59:40.692994`: the letter stays.
    fn time_of_klog(&mut self, start: usize) -> bool {
        let text = &self.text[start..self.end];
        if !matches!(text[0], b'I' | b'W' | b'E' | b'F' | b'D') || digits(&text[1..]) != 4 {
            return false;
        }
        let time = times::time(&text[6..]);
        if time > 0 {
            self.mark(Mark::Time, start + 1, start + 6 + time);
        }
        time > 0
    }

    /// A part of a word, between its `_`.
    fn piece(&mut self, start: usize, end: usize) {
        let piece = &self.text[start..end];
        let is_versioned = matches!(&self.text[end..self.end], [b'.', b'0'..=b'9', ..]);
        if !piece.iter().any(u8::is_ascii_digit) || (names::is_name(piece) && !is_versioned) {
            return;
        }
        match numbers::is_id(piece) {
            true => self.mark(Mark::Value, start, end),
            false => {
                let letters = piece
                    .iter()
                    .take_while(|byte| byte.is_ascii_alphabetic())
                    .count();
                let number = numbers::number(&self.text[start + letters..self.end]);
                self.mark(
                    Mark::Value,
                    start + letters,
                    end.max(start + letters + number),
                );
            }
        }
    }
}
