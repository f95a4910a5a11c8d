//! The class of an exception in text, by the form that each language gives to its stack traces.

use std::sync::LazyLock;

use memchr::memmem;

use super::super::message::first_line;

/// The class of the exception in a text: that of its stack trace, or of a line that begins with one.
pub(super) fn class(text: &str) -> Option<&str> {
    if !may_have_class(text) {
        return None;
    }
    python(text)
        .or_else(|| panic(text))
        .or_else(|| above_frames(text))
        .or_else(|| in_one_line(text))
}

/// Whether a search is worth it: nearly all messages have one line and no such word.
fn may_have_class(text: &str) -> bool {
    static WORDS: LazyLock<[memmem::Finder; 3]> =
        LazyLock::new(|| ["rror", "xception", "panic"].map(memmem::Finder::new));
    let text = text.trim_ascii_end().as_bytes();
    memchr::memchr(b'\n', text).is_some() || WORDS.iter().any(|word| word.find(text).is_some())
}

/// The last line of the last traceback; Lambda's runtime writes it above the traceback.
fn python(text: &str) -> Option<&str> {
    const TRACEBACK: &str = "Traceback (most recent call last)";
    const GROUP: &str = "Exception Group Traceback";
    if let Some(group) = text.find(GROUP) {
        let lines = text[group..].lines().skip(1);
        let of_group = lines
            .filter_map(|line| line.trim_start().strip_prefix("| "))
            .find_map(|line| Name::at_start(line).map(|name| name.0));
        if of_group.is_some() {
            return of_group;
        }
    }
    let start = text.rfind(TRACEBACK)?;
    let is_frame = |line: &&str| line.is_empty() || line.starts_with([' ', '\t', '\u{a0}']);
    let behind = text[start..].lines().skip(1).find(|line| !is_frame(line));
    let name = match behind {
        Some(line) => Name::at_start(line),
        None => {
            let line = text[..start].trim_end().lines().next_back()?;
            let line = line.strip_prefix("[ERROR] ").unwrap_or(line);
            Name::in_line(line).filter(Name::is_class)
        }
    };
    name.map(|name| name.0)
}

/// Go's and Rust's panics, which have no class but for the errors of Go's runtime and values of a type.
fn panic(text: &str) -> Option<&str> {
    let starts_line = |place: usize| place == 0 || text[..place].ends_with('\n');
    if let Some(place) = text.find("panic: ").filter(|place| starts_line(*place)) {
        let value = &text[place + "panic: ".len()..];
        if value.starts_with("runtime error: ") {
            return Some("runtime.Error");
        }
        let of_type = value.strip_prefix('(').and_then(|rest| {
            let (name, _) = first_line(rest).split_once(')')?;
            (!name.contains(' ')).then_some(name)
        });
        return Some(of_type.unwrap_or("panic"));
    }
    if text.starts_with("fatal error: ") && text.contains("\ngoroutine ") {
        return Some("fatal error");
    }
    let thread = text.find("thread '")?;
    text[thread..].contains("' panicked at ").then_some("panic")
}

/// The line above the first frame, `at …`, of Java, JavaScript and .NET; or higher, above the lines of its message and the
/// inner exceptions (`---> …`) of .NET.
fn above_frames(text: &str) -> Option<&str> {
    let is_frame = |line: &str| {
        let trimmed = line.trim_start();
        trimmed.len() < line.len() && trimmed.starts_with("at ")
    };
    let mut lines = text.lines();
    let frame = lines.find(|line| is_frame(line))?;
    let above = &text[..frame.as_ptr().addr() - text.as_ptr().addr()];
    let mut inner = None;
    for line in above.lines().rev() {
        if let Some(line) = line.trim_start().strip_prefix("---> ") {
            inner = Name::in_line(line).filter(Name::is_class).or(inner);
        } else if let Some(name) = Name::in_line(line).filter(Name::is_class) {
            return Some(name.0);
        }
    }
    inner.map(|name| name.0)
}

/// A line without a stack trace, or with one that has frames of another form: Ruby, PHP, Elixir, and a class before a colon.
fn in_one_line(text: &str) -> Option<&str> {
    let line = first_line(text).trim_ascii_end();
    let behind = |mark: &str| {
        let place = line.find(mark)?;
        Name::at_start(&line[place + mark.len()..])
    };
    let of_php = behind("Uncaught ").or_else(|| behind("[object] ("));
    let of_elixir = || behind("** (");
    let of_ruby = || {
        let open = line.strip_suffix(')')?.rfind('(')?;
        Name::at_start(&line[open + 1..line.len() - 1]).filter(Name::is_error)
    };
    of_php
        .filter(Name::is_class)
        .or_else(of_elixir)
        .or_else(of_ruby)
        .or_else(|| Name::in_line(line).filter(Name::is_qualified_error))
        .map(|name| name.0)
}

/// A name with its qualifiers: `java.sql.SQLException`, `Aws::S3::Errors::NoSuchKey`, `App\Stock\Empty`.
#[derive(Debug, Clone, Copy)]
struct Name<'a>(&'a str);

impl<'a> Name<'a> {
    /// The name that a text is, or that begins it before a colon, a bracket or a code.
    fn at_start(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut end = 0;
        while let Some(byte) = bytes.get(end) {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'$' | b'\\' | b'`' => {
                    end += 1;
                }
                b':' if bytes.get(end + 1) == Some(&b':') => end += 2,
                _ => break,
            }
        }
        let ends_there = matches!(bytes.get(end), None | Some(b':' | b'(' | b')' | b'\r'))
            || text[end..].starts_with(" [");
        let name = &text[..end];
        let is_name = !name.is_empty() && !name.ends_with('.') && !bytes[0].is_ascii_digit();
        (is_name && ends_there).then_some(Self(name))
    }

    /// The name at the start of a line, behind its last tab, or behind a logger's head: the first that is an error.
    fn in_line(line: &'a str) -> Option<Self> {
        const BEFORE: [&str; 4] = [
            "Exception in thread \"",
            "Unhandled exception. ",
            "Unhandled Exception: ",
            "Uncaught ",
        ];
        let line = line.trim_start();
        let line = line.rsplit('\t').next().unwrap_or(line).trim_start();
        let mut start = line;
        for before in BEFORE {
            if let Some(rest) = start.strip_prefix(before) {
                start = match before.ends_with('"') {
                    true => rest.split_once("\" ").map_or("", |(_, rest)| rest),
                    false => rest,
                };
            }
        }
        if let Some(name) = Self::at_start(start).filter(Self::is_class) {
            return Some(name);
        }
        line.match_indices(' ')
            .filter_map(|(place, _)| Self::at_start(&line[place + 1..]))
            .find(|name| name.is_qualified_error())
    }

    fn last(&self) -> &'a str {
        self.0
            .rsplit(['.', ':', '\\', '$'])
            .next()
            .unwrap_or(self.0)
    }

    /// Whether it is written as classes are; levels are in capitals.
    fn is_class(&self) -> bool {
        let last = self.last();
        last.starts_with(|first: char| first.is_ascii_uppercase())
            && last.contains(|letter: char| letter.is_ascii_lowercase())
    }

    fn is_error(&self) -> bool {
        const ENDS: [&str; 6] = [
            "Error",
            "Exception",
            "Exit",
            "Interrupt",
            "Throwable",
            "Timedout",
        ];
        self.is_class() && ENDS.iter().any(|end| self.last().ends_with(end))
    }

    /// Whether it is an error's name that no prose has: more than the bare word.
    fn is_qualified_error(&self) -> bool {
        self.is_error() && !matches!(self.0, "Error" | "Exception")
    }
}
