//! What goes to stderr: words on a terminal, JSON lines in a log.

use std::borrow::Cow;
use std::io::{IsTerminal, Write, stderr};
use std::sync::{Mutex, PoisonError};

use chrono::{SecondsFormat, Utc};
use serde::Serialize;
use serde_json::Value;
use tracing::Level;
use tracing_subscriber::EnvFilter;

use crate::chart::text::{printable, printable_json};
use crate::error::Error;

/// What stderr is, and how much goes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Show {
    /// stderr is a terminal.
    pub terminal: bool,
    /// Only failures.
    pub quiet: bool,
}

/// Takes the place of `-q` and `-v`: a filter such as `info,logtally=debug`.
const VARIABLE: &str = "LOGTALLY_LOG";

/// The id of the invocation that this process carries out, which is in each line of its log.
static REQUEST: Mutex<Option<String>> = Mutex::new(None);

/// Starts logging, with failures only if `quiet`, and with more the higher `verbose` is.
pub fn start(quiet: bool, verbose: u8) -> Show {
    let terminal = stderr().is_terminal();
    // A terminal shows progress; a log has lines of what was done.
    let level = match (quiet, verbose, terminal) {
        (true, ..) => "error",
        // What dependencies warn of is said in the errors of this program, and without their internals.
        (false, 0, true) => "error,logtally=warn",
        (false, 0, false) => "error,logtally=info",
        (false, 1, true) => "warn,logtally=info",
        (false, 1, false) => "warn,logtally=debug",
        (false, 2.., _) => "debug",
    };
    subscribe(level, terminal);
    Show { terminal, quiet }
}

/// Starts logging as a Lambda function: JSON lines, from the level that the function's logging settings say.
#[cfg(feature = "lambda")]
pub fn start_as_function() -> Show {
    // What its runtime reports of a failed invocation is reported already, and in better words.
    let level = match std::env::var("AWS_LAMBDA_LOG_LEVEL").as_deref() {
        Ok("TRACE" | "DEBUG") => "debug",
        Ok("WARN") => "error,lambda_runtime::layers::panic=off,logtally=warn",
        Ok("ERROR" | "FATAL") => "error,lambda_runtime::layers::panic=off",
        _ => "error,lambda_runtime::layers::panic=off,logtally=info",
    };
    subscribe(level, false);
    Show {
        terminal: false,
        quiet: false,
    }
}

/// Gives each further line the id of an invocation, or none.
#[cfg(feature = "lambda")]
pub fn set_request(id: Option<&str>) {
    *REQUEST.lock().unwrap_or_else(PoisonError::into_inner) = id.map(str::to_owned);
}

fn subscribe(level: &str, terminal: bool) {
    let wanted = std::env::var_os(VARIABLE).map(|filter| filter.to_string_lossy().into_owned());
    let parsed = wanted.as_deref().map(EnvFilter::try_new).transpose();
    let (filter, refused) = match parsed {
        Ok(filter) => (filter, None),
        Err(error) => (None, Some(error)),
    };
    let filter = filter.unwrap_or_else(|| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt()
        // An attempt to report that stderr can't be written panics.
        .log_internal_errors(false)
        .with_env_filter(filter);
    if terminal {
        subscriber
            .with_target(false)
            .without_time()
            .compact()
            .with_writer(|| TerminalLines)
            .init();
    } else {
        subscriber
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_writer(|| RequestLines)
            .init();
    }
    if let Some(error) = refused {
        let wanted = wanted.unwrap_or_default();
        tracing::warn!(
            "{VARIABLE} is {wanted:?} and is ignored ({error}): expected a filter such as info,logtally=debug"
        );
    }
}

/// Writes lines with colours to stderr. What they have of an escape sequence is the colours: the formatter shows the escape
/// character of a text by its code, and leaves other characters that act on a terminal.
struct TerminalLines;

impl Write for TerminalLines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.write_all(line).map(|()| line.len())
    }

    /// A whole line comes at once.
    fn write_all(&mut self, line: &[u8]) -> std::io::Result<()> {
        stderr().write_all(with_colours(&String::from_utf8_lossy(line)).as_bytes())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        stderr().flush()
    }
}

/// The line as a terminal may get it, with its colours.
fn with_colours(line: &str) -> String {
    let parts = line.split(ESCAPE).map(printable);
    parts.collect::<Vec<Cow<'_, str>>>().join(ESCAPE)
}

/// Begins the colours of a line.
const ESCAPE: &str = "\u{1b}";

/// Writes JSON lines to stderr, with the id of the invocation as their first key.
struct RequestLines;

impl Write for RequestLines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.write_all(line).map(|()| line.len())
    }

    /// A whole line comes at once.
    fn write_all(&mut self, line: &[u8]) -> std::io::Result<()> {
        // A log is read on a terminal too.
        let line = String::from_utf8_lossy(line);
        let line = printable_json(&line);
        let line = line.as_bytes();
        let request = REQUEST.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*request, line.split_first()) {
            (Some(id), Some((b'{', rest))) => {
                let head = format!("{{\"requestId\":{},", Value::from(id.as_str()));
                stderr().write_all(&[head.as_bytes(), rest].concat())
            }
            _ => stderr().write_all(line),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        stderr().flush()
    }
}

/// Writes a line to stderr; a reader that has gone away is no error. Names of files and messages of services can have any
/// character: those that would act on a terminal are shown by their code.
pub fn say(line: &str) {
    let _ = writeln!(stderr(), "{}", printable(line));
}

/// Writes a document to stderr, in one line; a reader that has gone away is no error.
pub fn say_json(document: &Value) {
    let _ = writeln!(stderr(), "{}", printable_json(&document.to_string()));
}

/// Writes a line of a log, with more keys than every line has. Their values may be nested.
pub fn line(level: Level, message: &str, more: &Value) {
    #[derive(Serialize)]
    struct Line<'a> {
        timestamp: String,
        level: &'a str,
        message: &'a str,
        #[serde(flatten)]
        more: &'a Value,
    }
    // A filter may leave it out.
    let is_wanted = match level {
        Level::ERROR => tracing::enabled!(Level::ERROR),
        Level::WARN => tracing::enabled!(Level::WARN),
        _ => tracing::enabled!(Level::INFO),
    };
    let line = Line {
        timestamp: Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
        level: level.as_str(),
        message,
        more,
    };
    if let Ok(line) = serde_json::to_string(&line)
        && is_wanted
    {
        let _ = RequestLines.write_all((line + "\n").as_bytes());
    }
}

/// Reports why the program ends.
pub fn error(show: Show, error: &Error) {
    if show.terminal {
        say(&format!("error: {}", error.in_full()));
    } else {
        tracing::error!(
            exit_code = error.class().exit_code(),
            excerpt = error.excerpt(),
            "{error}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_colours_of_a_line_reach_the_terminal() {
        assert_eq!(
            with_colours("\u{1b}[33m WARN\u{1b}[0m a\rb\u{202e}c\n"),
            "\u{1b}[33m WARN\u{1b}[0m a\\u{d}b\\u{202e}c\n"
        );
    }
}
