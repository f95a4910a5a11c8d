//! The class of an exception in a JSON message: under a name of its own, in the object of an error, or in its stack trace.

use std::borrow::Cow;

use super::super::json::{Members, Value};
use super::text;

/// How many objects are looked at that are messages of each other. A message could have a hundred thousand of them, and each is a
/// part of the stack and a walk over the rest of the message.
const DEEPEST: u8 = 8;

/// The class that an object states, from what is most certain to what is least: a type, an error's object or stack trace,
/// the message.
pub(super) fn class(object: &str) -> Option<Cow<'_, str>> {
    class_at(object, 1)
}

fn class_at(object: &str, depth: u8) -> Option<Cow<'_, str>> {
    let mut of_error = None;
    let mut of_message = None;
    let mut buffer = String::new();
    for (key, value) in Members::of(object) {
        let key = key.key(&mut buffer);
        if is_type(key) {
            if let Some(class) = value.text().and_then(named) {
                return Some(class);
            }
        } else if is_error(key) {
            of_error = of_error.or_else(|| of_value(value));
        } else if is_message(key) {
            of_message = of_message.or_else(|| within(value, depth));
        }
    }
    of_error.or(of_message)
}

/// The names of a class: of Lambda's runtimes, Powertools, OpenTelemetry, the Elastic Common Schema and Datadog.
fn is_type(key: &str) -> bool {
    matches!(
        key,
        "errorType"
            | "error_type"
            | "errorName"
            | "error.type"
            | "error.kind"
            | "error_class"
            | "exception_name"
            | "exceptionName"
            | "exception_type"
            | "exceptionType"
            | "exception.type"
            | "exception_class"
            | "exceptionClass"
            | "exc_type"
    )
}

/// The names of an error as an object or a stack trace.
fn is_error(key: &str) -> bool {
    matches!(
        key,
        "error"
            | "err"
            | "exception"
            | "thrown"
            | "exc_info"
            | "stack"
            | "stack_trace"
            | "stackTrace"
            | "stacktrace"
            | "error.stack"
            | "error.stack_trace"
            | "exception.stacktrace"
            | "traceback"
            | "@x"
    )
}

fn is_message(key: &str) -> bool {
    matches!(key, "message" | "msg" | "log" | "record" | "context")
}

/// The class of an error's object, or of its stack trace.
fn of_value(value: Value<'_>) -> Option<Cow<'_, str>> {
    if let Value::Text(_) = value {
        return of_text(value.text()?);
    }
    let mut of_stack = None;
    let mut buffer = String::new();
    for (key, value) in value.members() {
        match key.key(&mut buffer) {
            "type" | "class" | "className" | "name" | "kind" | "exception_class" | "@type" => {
                if let Some(class) = value.text().and_then(named) {
                    return Some(class);
                }
            }
            "stack" | "stack_trace" | "stackTrace" | "stacktrace" => {
                of_stack = of_stack.or_else(|| of_text(value.text()?));
            }
            key if is_type(key) => return value.text().and_then(named),
            _ => {}
        }
    }
    of_stack
}

/// The class within a message: an object of its own, or a text with a stack trace.
fn within(value: Value<'_>, depth: u8) -> Option<Cow<'_, str>> {
    match value {
        Value::Object(object) if depth < DEEPEST => class_at(object, depth + 1),
        Value::Text(_) => {
            let text = value.text()?;
            let has_lines = text.contains('\n');
            has_lines.then(|| of_text(text)).flatten()
        }
        _ => None,
    }
}

fn of_text(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    match text {
        Cow::Borrowed(text) => text::class(text).map(Cow::Borrowed),
        Cow::Owned(text) => text::class(&text).map(|class| Cow::Owned(class.to_owned())),
    }
}

/// A name of a class: one word. Ruby's runtime writes `Function<KeyError>`.
fn named(class: Cow<'_, str>) -> Option<Cow<'_, str>> {
    if class.contains(char::is_whitespace) {
        return None;
    }
    let inner = class
        .strip_prefix("Function<")
        .and_then(|class| class.strip_suffix('>'));
    match inner {
        Some(inner) => Some(Cow::Owned(inner.to_owned())),
        None => Some(class),
    }
}
