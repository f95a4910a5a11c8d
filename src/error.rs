//! One error for the whole program: a class, which decides the exit code, and a message that says what to do.

use std::fmt;

use datafusion::error::DataFusionError;
use serde::{Deserialize, Serialize};

/// The kind of a failure. Each has an exit code of its own, so that a scheduler can tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A bug, or an unexpected failure.
    Unexpected,
    /// A wrong job file, wrong arguments, a missing log group, column or time zone.
    Usage,
    /// The export slot was not free in time, or the export took too long.
    ExportLate,
    /// Refused or failed where the logs come from.
    Source,
    /// The exported data is damaged.
    Damaged,
    /// The SQL failed.
    Sql,
    /// Refused or failed where the answers go.
    Output,
    /// Another run holds the window.
    Held,
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl Class {
    /// The process exit code of this class.
    pub fn exit_code(self) -> u8 {
        match self {
            Class::Unexpected => 1,
            Class::Usage => 2,
            Class::ExportLate => 3,
            Class::Source => 4,
            Class::Damaged => 5,
            Class::Sql => 6,
            Class::Output => 7,
            Class::Held => 8,
            Class::Interrupted => 130,
            Class::Terminated => 143,
        }
    }

    /// The exit code of several windows: the first of 1 2 6 7 5 4 3 8 that occurred, with an interruption before all.
    pub fn worst(classes: impl IntoIterator<Item = Class>) -> Option<Class> {
        classes.into_iter().min_by_key(|class| match class {
            Class::Interrupted | Class::Terminated => 0,
            Class::Unexpected => 1,
            Class::Usage => 2,
            Class::Sql => 3,
            Class::Output => 4,
            Class::Damaged => 5,
            Class::Source => 6,
            Class::ExportLate => 7,
            Class::Held => 8,
        })
    }
}

/// The option of `run` without which every run fails in the same way, and with which one does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Remedy {
    /// Computes again.
    #[serde(rename = "--force")]
    Force,
    /// Exports again, and takes what is there.
    #[serde(rename = "--force=export")]
    ForceExport,
}

/// A failure with its class. The message names the thing, the value it had and what was expected.
#[derive(Debug)]
pub struct Error {
    class: Class,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    remedy: Option<Remedy>,
}

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of `class` that `message` explains.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            source: None,
            remedy: None,
        }
    }

    /// A wrong job file or wrong arguments.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Class::Usage, message)
    }

    /// Exported data that can't be read as what it should be.
    pub fn damaged(message: impl Into<String>) -> Self {
        Self::new(Class::Damaged, message)
    }

    /// Keeps the failure that led to this one.
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Marks a failure that every run without an option repeats, and a run with it does not.
    pub fn unless(mut self, remedy: Remedy) -> Self {
        self.remedy = Some(remedy);
        self
    }

    /// The option without which every run fails in this way.
    pub fn remedy(&self) -> Option<Remedy> {
        self.remedy
    }

    /// The class, which decides the exit code.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Puts what was being done in front of the message: `what: message`.
    pub fn during(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// This crate's own error inside an engine's error (from the scan, or a function), or else a failure of the SQL.
    pub fn from_engine(error: DataFusionError) -> Self {
        if let Some(own) = find_own(&error) {
            return Self::new(own.class, own.to_string());
        }
        match error.find_root() {
            DataFusionError::ObjectStore(store) => Self::new(Class::Source, store.to_string()),
            DataFusionError::ResourcesExhausted(why) => Self::new(
                Class::Sql,
                format!(
                    "the question needs more memory than [run] memory allows: raise it, or read or group less at a time ({})",
                    why.split(" with top memory consumers")
                        .next()
                        .unwrap_or(why)
                ),
            ),
            root => Self::new(Class::Sql, tidy(&root.strip_backtrace())),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.message.clone();
        let mut cause = self
            .source
            .as_deref()
            .map(|e| e as &(dyn std::error::Error + 'static));
        while let Some(error) = cause {
            // Many errors repeat the message of their cause.
            let said = error.to_string();
            if !text.contains(&said) {
                text = format!("{text}: {said}");
            }
            cause = error.source();
        }
        f.write_str(&text)
    }
}

impl std::error::Error for Error {}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

fn find_own<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(own) = error.downcast_ref::<Error>() {
            return Some(own);
        }
        // The engine boxes and shares errors; `source()` of those wrappers skips the error that they wrap.
        let wrapped = match error.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => {
                Some(inner.as_ref() as &(dyn std::error::Error + 'static))
            }
            Some(DataFusionError::Shared(inner)) => {
                Some(inner.as_ref() as &(dyn std::error::Error + 'static))
            }
            Some(DataFusionError::ArrowError(inner, _)) => match inner.as_ref() {
                arrow::error::ArrowError::ExternalError(inner) => {
                    Some(inner.as_ref() as &(dyn std::error::Error + 'static))
                }
                _ => None,
            },
            _ => None,
        };
        next = wrapped.or_else(|| error.source());
    }
    None
}

/// What the engine puts in front of its messages.
const STAGES: [&str; 12] = [
    "Error during planning: ",
    "Schema error: ",
    "SQL error: ",
    "Execution error: ",
    "Arrow error: ",
    "External error: ",
    "Compute error: ",
    "Cast error: ",
    "Parser error: ",
    "Invalid argument error: ",
    "Internal error: ",
    "This feature is not implemented: ",
];

/// Removes what the engine puts in front of its messages: the stage that failed, which does not help a user.
fn tidy(message: &str) -> String {
    let mut text = message;
    while let Some(inner) = STAGES.iter().find_map(|stage| text.strip_prefix(stage)) {
        text = inner;
    }
    // What the engine takes for a fault of its own is one of the query here.
    text = text
        .split("\nThis issue was likely caused by a bug")
        .next()
        .unwrap_or(text);
    if let Some(inner) = text
        .strip_prefix("ParserError(\"")
        .and_then(|t| t.strip_suffix("\")"))
    {
        text = inner;
    }
    if text == "The context currently only supports a single SQL statement" {
        return "several statements: expected one question".to_owned();
    }
    // The engine prints the whole syntax tree.
    if text.starts_with("Dot access not supported") {
        return "a member of what a function gives is taken with brackets, such as lambda_report(message)['duration_ms']"
            .to_owned();
    }
    // The engine's name for the one schema.
    text.replace("datafusion.public.", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_error_keeps_its_class_through_the_engine() {
        let own = Error::damaged("exports/a.gz: cut");
        let shared = DataFusionError::Shared(std::sync::Arc::new(DataFusionError::from(own)));
        let context = shared.context("while scanning");
        let back = Error::from_engine(context);
        assert_eq!(back.class(), Class::Damaged);
        assert_eq!(back.to_string(), "exports/a.gz: cut");
    }

    #[test]
    fn an_engine_error_is_a_failure_of_the_sql_without_the_stage() {
        let error = DataFusionError::Plan("No field named nope".to_owned());
        let error = Error::from_engine(error);
        assert_eq!(error.class(), Class::Sql);
        assert_eq!(error.to_string(), "No field named nope");
    }

    #[test]
    fn too_little_memory_is_said_without_a_dump_of_who_has_it() {
        let why = "Additional allocation failed for Sort[1] with top memory consumers (across reservations) as:\n  Sort[0]";
        let error = Error::from_engine(DataFusionError::ResourcesExhausted(why.to_owned()));
        let told = error.to_string();
        assert!(told.starts_with("the question needs more memory"), "{told}");
        assert!(
            told.ends_with("(Additional allocation failed for Sort[1])"),
            "{told}"
        );
    }

    #[test]
    fn the_worst_class_follows_the_order_of_the_manual() {
        let order = [
            Class::Unexpected,
            Class::Usage,
            Class::Sql,
            Class::Output,
            Class::Damaged,
            Class::Source,
            Class::ExportLate,
            Class::Held,
        ];
        for pair in order.windows(2) {
            assert_eq!(Class::worst([pair[1], pair[0]]), Some(pair[0]));
        }
        assert_eq!(Class::worst([]), None);
    }
}
