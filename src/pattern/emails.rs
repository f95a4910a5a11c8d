//! E-mail addresses, found by their sign before the words of their names are read.

use memchr::memchr;

use super::Mark;
use super::bytes::is_word;
use super::scanner::Scanner;

impl Scanner<'_> {
    /// Looks for the next e-mail address behind a place.
    pub(super) fn find_email(&mut self, from: usize) {
        let is_local = |byte: &u8| is_word(*byte) || matches!(byte, b'.' | b'%' | b'+' | b'-');
        let is_domain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        let mut search = from;
        while let Some(found) = memchr(b'@', &self.text[search..]) {
            let sign = search + found;
            search = sign + 1;
            let local = &self.text[from..sign];
            let local = &local
                [local.len() - local.iter().rev().take_while(|byte| is_local(byte)).count()..];
            let local = local
                .iter()
                .position(|byte| is_word(*byte))
                .map_or(0, |first| local.len() - first);
            let domain = &self.text[sign + 1..];
            let domain = &domain[..domain.iter().take_while(|byte| is_domain(byte)).count()];
            let is_whole = self.text.get(sign + 1 + domain.len()) != Some(&b'<');
            let domain = match domain {
                [rest @ .., b'.' | b'-'] => rest,
                domain => domain,
            };
            let top = domain
                .iter()
                .rev()
                .take_while(|byte| byte.is_ascii_alphabetic())
                .count();
            let is_name =
                top >= 2 && domain.len() > top + 1 && domain[domain.len() - top - 1] == b'.';
            if local > 0 && is_name && is_whole {
                self.email = (sign - local, sign + 1 + domain.len());
                return;
            }
        }
        self.email = (usize::MAX, usize::MAX);
    }

    pub(super) fn take_email(&mut self) {
        let (start, end) = self.email;
        if self.at == start && end <= self.end {
            self.mark(Mark::Email, start, end);
        }
        self.find_email(self.at.max(start + 1));
    }
}
