//! `exception_class(message)`: the class of the exception that a message reports, in its language's own spelling.
//!
//! | language | a message | its class |
//! |---|---|---|
//! | Java, Kotlin | `java.lang.IllegalStateException: …⏎⇥at …⏎Caused by: …` | `java.lang.IllegalStateException` |
//! | Python | `Traceback (most recent call last):⏎ … ⏎dbpool.PoolTimeout: …` | `dbpool.PoolTimeout` |
//! | Node.js | `TypeError: …⏎    at …`, `{"errorType":"TypeError", …}` | `TypeError` |
//! | .NET | `System.InvalidOperationException: …⏎ ---> …⏎   at …` | `System.InvalidOperationException` |
//! | Go | `panic: runtime error: …⏎⏎goroutine 1 [running]:` | `runtime.Error`; of other values `panic` |
//! | Rust | `thread 'main' panicked at …` | `panic` |
//! | Ruby | `app.rb:3:in 'pay': … (KeyError)` | `KeyError` |
//! | PHP | `PHP Fatal error:  Uncaught RuntimeException: …` | `RuntimeException` |
//! | Lambda | `… Task timed out after 3.00 seconds` | `Sandbox.Timedout`, as Lambda's own error says |
//!
//! Of a chain of causes it is the outermost exception, the one that was thrown last: in Java and .NET the first of the
//! text, in Python the last. That is the one which tracing tools record as `exception.type`.

mod object;
mod text;

use std::borrow::Cow;

use super::lambda::Report;
use super::level::platform::{is_end_of_process, is_end_of_task};
use super::message::{beginning, first_line, platform_line, words};

/// What Lambda calls the error of an invocation that took too long.
pub(super) const TIMED_OUT: &str = "Sandbox.Timedout";

/// What Lambda calls the error of a process that ended before the request did.
const EXITED: &str = "Runtime.ExitError";

/// The class of the exception that a message reports; `None` if it reports none.
pub fn exception_class(message: &str) -> Option<Cow<'_, str>> {
    let message = beginning(message);
    if message.starts_with('{') {
        return of_platform_object(message).or_else(|| object::class(message));
    }
    if platform_line(message).is_some() {
        return of_report(message);
    }
    if let Some(class) = of_platform(message) {
        return Some(Cow::Borrowed(class));
    }
    match json_behind(message) {
        Some(json) => object::class(json),
        None => text::class(message).map(Cow::Borrowed),
    }
}

/// What Lambda says of a process that it ended or that ended by itself.
pub(super) fn of_platform(message: &str) -> Option<&str> {
    if is_end_of_process(message) {
        let last = message.trim_ascii_end().lines().next_back()?.trim();
        let names_class = last.contains('.') && !last.contains(' ');
        return Some(if names_class { last } else { EXITED });
    }
    // Behind the time and the request id.
    let line = first_line(message);
    let id = words(line).nth(1)?;
    let rest = line[id.as_ptr().addr() - line.as_ptr().addr() + id.len()..].trim_ascii_start();
    match is_end_of_task(rest.as_bytes()) {
        true if rest.starts_with("Task timed out") => Some(TIMED_OUT),
        true => Some(EXITED),
        false => None,
    }
}

/// What a report says of its invocation's failure.
pub(super) fn of_report(message: &str) -> Option<Cow<'_, str>> {
    let report = Report::parse(message)?;
    of_status(report.status?, report.error_type)
}

/// The error of an invocation that ended with a status. A success has none.
pub(super) fn of_status<'a>(
    status: Cow<'a, str>,
    error_type: Option<Cow<'a, str>>,
) -> Option<Cow<'a, str>> {
    match (&*status, error_type) {
        ("success", _) => None,
        ("timeout", None) => Some(Cow::Borrowed(TIMED_OUT)),
        (_, Some(error_type)) => Some(error_type),
        (_, None) => Some(status),
    }
}

fn of_platform_object(message: &str) -> Option<Cow<'_, str>> {
    match message.contains("platform.report") {
        true => of_report(message),
        false => None,
    }
}

/// The object behind `Invoke Error ⇥`, `Uncaught Exception ⇥`, `Error raised from handler method⏎` and a logger's head.
fn json_behind(message: &str) -> Option<&str> {
    const TYPE: &str = "\"errorType\"";
    let before = &message[..message.find(TYPE)?];
    let open = before.find('{')?;
    before[..open]
        .ends_with(['\t', '\n', ' '])
        .then(|| &message[open..])
}

#[cfg(test)]
mod tests;
