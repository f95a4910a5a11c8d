//! Errors of a job file that toml and serde find, with the file, the line and the nearest known key.

use std::path::Path;

use super::checked::nearest;
use crate::error::Error;

/// `jobs/night.toml:3: unknown key "timezon"; did you mean "timezone"?`, with the line itself below.
pub(super) fn syntax_error(file: &Path, text: &str, error: &toml::de::Error) -> Error {
    let message = match unknown_field(error.message()) {
        Some((field, known)) => match nearest(field, known.iter().copied()) {
            Some(near) => format!("unknown key {field:?}; did you mean {near:?}?"),
            None => format!(
                "unknown key {field:?}: expected one of {}",
                known.join(", ")
            ),
        },
        None => reword(error.message()),
    };
    let Some(span) = error.span() else {
        return Error::usage(format!("{}: {message}", file.display()));
    };
    let before = &text[..span.start.min(text.len())];
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    Error::usage(format!(
        "{}:{number}: {message}\n  | {}",
        file.display(),
        line.trim_end()
    ))
}

/// Rewords serde's other messages.
fn reword(message: &str) -> String {
    if let Some(field) = message.strip_prefix("missing field `") {
        return format!("the key {:?} is missing", field.trim_end_matches('`'));
    }
    match message
        .strip_prefix("unknown variant `")
        .and_then(|rest| rest.split_once("`, "))
    {
        Some((value, expected)) => {
            format!("unknown value {value:?}: {}", expected.replace('`', "\""))
        }
        None => message.trim_end().replace('\n', ", "),
    }
}

/// The unknown field and the known ones from serde's "unknown field `a`, expected one of `b`, `c`".
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    let mut quoted = message
        .strip_prefix("unknown field ")?
        .split('`')
        .skip(1)
        .step_by(2);
    Some((quoted.next()?, quoted.collect()))
}
