//! A place in bytes that moves on over what is read.

/// What is left of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self(text)
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a letter, a digit or a sign that joins them follows, so that what was read is a part of something longer.
    pub(super) fn continues(&self) -> bool {
        match self.0 {
            [b'-' | b'/' | b'+', next, ..] => next.is_ascii_alphanumeric(),
            [b'.' | b':' | b',', next, ..] => next.is_ascii_digit(),
            [next, ..] => next.is_ascii_alphanumeric() || *next == b'_',
            [] => false,
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    pub(super) fn skip(&mut self, count: usize) {
        self.0 = self.0.get(count..).unwrap_or_default();
    }

    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.skip(1);
        }
        is_next
    }

    /// Whether there were blanks.
    pub(super) fn blanks(&mut self) -> bool {
        let count = self.0.iter().take_while(|byte| **byte == b' ').count();
        self.skip(count);
        count > 0
    }

    /// How many digits follow.
    pub(super) fn count_digits(&self) -> usize {
        self.0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    }

    /// How many letters follow.
    pub(super) fn count_letters(&self) -> usize {
        self.0
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count()
    }

    /// The number of this many digits.
    pub(super) fn digits(&mut self, count: usize) -> Option<u32> {
        let digits = self.0.get(..count)?;
        let mut number = 0;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            number = number * 10 + u32::from(digit - b'0');
        }
        self.skip(count);
        Some(number)
    }

    /// The number of one or two digits, behind which no further digit is.
    pub(super) fn one_or_two(&mut self) -> Option<u32> {
        match self.count_digits() {
            count @ 1..=2 => self.digits(count),
            _ => None,
        }
    }

    /// The milliseconds of a fraction of any number of digits; further digits are cut.
    pub(super) fn fraction_ms(&mut self) -> Option<i64> {
        let count = self.count_digits();
        if count == 0 {
            return None;
        }
        let digit = |n: usize| match self.0.get(n) {
            Some(digit) if n < count => i64::from(digit - b'0'),
            _ => 0,
        };
        let ms = digit(0) * 100 + digit(1) * 10 + digit(2);
        self.skip(count);
        Some(ms)
    }

    /// Whether these letters follow, in any case.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let is_next = self
            .0
            .get(..word.len())
            .is_some_and(|next| next.eq_ignore_ascii_case(word.as_bytes()));
        if is_next {
            self.skip(word.len());
        }
        is_next
    }
}
