//! Why writing an answer ends early.

use std::io;

use arrow::error::ArrowError;

use crate::error::{Class, Error};
use crate::query::in_words_of_sql;

/// Why writing an answer ends early.
pub enum Stop {
    /// The reader has closed the pipe, which is no error (`| head`).
    Done,
    /// It failed.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Failed(error)
    }
}

/// A failure to write to `name`.
pub fn write_error(name: &str, error: io::Error) -> Stop {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Stop::Done,
        _ => {
            Stop::Failed(Error::new(Class::Output, format!("can't write {name}")).caused_by(error))
        }
    }
}

impl From<ArrowError> for Stop {
    /// A value that a format can't hold.
    fn from(error: ArrowError) -> Self {
        let what = in_words_of_sql(&error.to_string());
        let error = Error::new(
            Class::Sql,
            format!("the answer can't be written in this format: {what}"),
        );
        Stop::Failed(error.with_hint("cast the column, such as to text with ::text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_format_can_not_hold_is_said_in_words_of_sql() {
        let error = ArrowError::CsvError("no values of the type List(Utf8View)".to_owned());
        let Stop::Failed(error) = Stop::from(error) else {
            panic!("the reader has not gone away");
        };
        assert_eq!(
            error.message(),
            "the answer can't be written in this format: no values of the type text[]"
        );
        assert!(error.hint().is_some_and(|hint| hint.contains("::text")));
    }
}
