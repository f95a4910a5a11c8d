//! Messages of several lines: the first line decides, and the exceptions that are named behind it.

use memchr::memchr;

use super::scanner::Scanner;

/// The causes of an exception, and so the lines behind the first that are part of a pattern.
const MOST_EXCEPTIONS: usize = 4;

impl Scanner<'_> {
    /// Reads the whole message.
    pub(super) fn message(&mut self) {
        let blank = self
            .rest()
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        self.leave_out(0, blank);
        let takes_second = is_head(self.rest());
        self.line();
        self.end_line();
        if takes_second && self.at < self.text.len() {
            self.next_line();
        }
        let mut exceptions = 0;
        while self.at < self.text.len() && exceptions < MOST_EXCEPTIONS {
            let line = &self.text[self.at..];
            match is_exception(line) {
                true => {
                    exceptions += 1;
                    self.next_line();
                }
                false => self.skip_line(),
            }
        }
    }

    /// Writes the line that the scanner stands at, behind a line's end.
    fn next_line(&mut self) {
        let blank = self
            .rest()
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        self.leave_out(self.at, self.at + blank);
        self.out.push(b'\n');
        self.line();
        self.end_line();
    }

    /// Copies what was read of a line without the white space at its end, and goes on to the next.
    fn end_line(&mut self) {
        let at = self.at;
        self.copy(at);
        self.out.truncate(self.out.trim_ascii_end().len());
        self.end_of_row();
        self.skip_line();
    }

    fn skip_line(&mut self) {
        let end = memchr(b'\n', self.rest()).map_or(self.end, |end| self.at + end + 1);
        self.leave_out(self.at, end);
    }
}

/// Whether a first line is only the head of the second, as of ASP.NET's console and of java.util.logging.
fn is_head(message: &[u8]) -> bool {
    const OF_ASPNET: [&[u8]; 6] = [
        b"trce: ", b"dbug: ", b"info: ", b"warn: ", b"fail: ", b"crit: ",
    ];
    const OF_JAVA: [&str; 7] = [
        "SEVERE: ",
        "WARNING: ",
        "INFO: ",
        "CONFIG: ",
        "심각: ",
        "경고: ",
        "정보: ",
    ];
    let Some(end) = memchr(b'\n', message) else {
        return false;
    };
    let second = &message[end + 1..];
    OF_ASPNET.iter().any(|head| message.starts_with(head))
        || OF_JAVA
            .iter()
            .any(|head| second.starts_with(head.as_bytes()))
}

/// Whether a line begins with the class of an exception: `ValueError: bad order`, `Caused by: java.io.IOException: …`.
fn is_exception(line: &[u8]) -> bool {
    const ENDS: [&[u8]; 7] = [
        b"Error",
        b"Exception",
        b"Exit",
        b"Interrupt",
        b"Fault",
        b"Failure",
        b"Throwable",
    ];
    let line = line.strip_prefix(b"Caused by: ").unwrap_or(line);
    let is_part = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.' | b'$');
    let class = &line[..line.iter().take_while(|byte| is_part(byte)).count()];
    ENDS.iter().any(|end| class.ends_with(end))
        && matches!(
            line.get(class.len()),
            None | Some(b':' | b'\n' | b'\r' | b' ')
        )
}
