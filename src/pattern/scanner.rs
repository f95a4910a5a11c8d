//! The scanner: where it stands, and what it has written.

use super::Mark;
use super::quotes::Unclosed;
use super::seen::Seen;

/// Reads a message and writes its pattern. What is no value is copied in runs: each mark first copies what stands before
/// it, so that words cost no more than the look at their bytes.
pub(super) struct Scanner<'a> {
    pub(super) text: &'a [u8],
    pub(super) out: &'a mut Vec<u8>,
    /// Where the scanner stands.
    pub(super) at: usize,
    /// What is read ends here: the end of the message, or of a quoted text.
    pub(super) end: usize,
    /// Up to here the text is in `out`, as it is or as marks.
    pub(super) copied: usize,
    /// The last mark, and where it ends in `out`.
    pub(super) last: Option<(Written, usize)>,
    /// Where the next e-mail address begins and ends; behind the text if there is none.
    pub(super) email: (usize, usize),
    pub(super) unclosed: Unclosed,
    /// A run of words and hyphens that is no token, and so has none at its end: where it was looked at, where it ends, and where the
    /// scanner's text ended then.
    pub(super) no_token: (usize, usize, usize),
    pub(super) seen: &'a mut Seen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) mark: Mark,
    pub(super) is_quoted: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a [u8], out: &'a mut Vec<u8>, seen: &'a mut Seen) -> Self {
        let mut scanner = Self {
            text,
            out,
            at: 0,
            end: text.len(),
            copied: 0,
            last: None,
            email: (0, 0),
            unclosed: Unclosed::default(),
            no_token: (0, 0, 0),
            seen,
        };
        scanner.find_email(0);
        scanner
    }

    /// The rest of what is read.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.text[self.at..self.end]
    }

    #[inline]
    pub(super) fn before(&self, at: usize) -> Option<&'a u8> {
        at.checked_sub(1).map(|before| &self.text[before])
    }

    /// Copies what is not copied yet, up to `to`.
    pub(super) fn copy(&mut self, to: usize) {
        if to > self.copied {
            self.out.extend_from_slice(&self.text[self.copied..to]);
            self.copied = to;
        }
    }

    /// Leaves out what stands between the last copied byte and `to`.
    pub(super) fn leave_out(&mut self, from: usize, to: usize) {
        self.copy(from);
        self.copied = to;
        self.at = to;
    }

    /// The next mark is the first of its row.
    pub(super) fn end_of_row(&mut self) {
        self.last = None;
    }

    /// Writes a mark for what stands from `start` to `end`. Of several of one kind in a row, there is one.
    #[inline]
    pub(super) fn mark(&mut self, mark: Mark, start: usize, end: usize) {
        self.write(
            Written {
                mark,
                is_quoted: false,
            },
            start,
            end,
            mark.text().as_bytes(),
        );
    }

    pub(super) fn write(&mut self, written: Written, start: usize, end: usize, text: &[u8]) {
        self.at = end;
        if let Some((last, last_end)) = self.last {
            let (copied, ahead) = (&self.out[last_end..], &self.text[self.copied..start]);
            if copied.len() + ahead.len() <= LONGEST_JOINT {
                let mut between = [0; LONGEST_JOINT];
                between[..copied.len()].copy_from_slice(copied);
                between[copied.len()..copied.len() + ahead.len()].copy_from_slice(ahead);
                let between = &between[..copied.len() + ahead.len()];
                if last == written && joins(between, written.mark) {
                    self.out.truncate(last_end);
                    self.copied = end;
                    return;
                }
                // The hyphen of an access log, for a number that it does not have.
                if between == b" - " && last.mark == Mark::Value && !last.is_quoted {
                    self.out.truncate(last_end);
                    self.out.push(b' ');
                    self.copied = start;
                }
            }
        }
        self.copy(start);
        self.out.extend_from_slice(text);
        self.copied = end;
        self.last = Some((written, self.out.len()));
    }

    /// Whether a mark ends at a place.
    pub(super) fn follows_mark(&self, at: usize) -> bool {
        self.copied == at && self.last.is_some_and(|(_, end)| end == self.out.len())
    }

    /// Reads text up to `close`, which may be before the end.
    pub(super) fn within(&mut self, close: usize) {
        let end = std::mem::replace(&mut self.end, close);
        self.line();
        self.end = end;
    }
}

const LONGEST_JOINT: usize = 3;

/// Whether what stands between two equal marks makes them one list, range or id.
fn joins(between: &[u8], mark: Mark) -> bool {
    match between {
        b" " | b"," | b", " | b";" | b"; " => true,
        b"-" | b" - " => mark == Mark::Value,
        _ => false,
    }
}
