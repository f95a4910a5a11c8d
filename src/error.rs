//! One error for the whole program: a class, which decides the exit code, and a message that says what to do.

use std::fmt;
use std::sync::Arc;

use datafusion::error::DataFusionError;
use serde::{Deserialize, Serialize};
use tokio::task::JoinError;

/// The longest message, in bytes. One that quotes a value of a log could have megabytes, which no log and no receipt should have.
const LONGEST: usize = 16 << 10;

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
    /// The workers can't be reached, refuse, or were lost.
    Workers,
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
            Class::Workers => 10,
            Class::Interrupted => 130,
            Class::Terminated => 143,
        }
    }

    /// The class of an exit code.
    pub fn of_exit_code(code: u8) -> Option<Class> {
        let all = [
            Class::Unexpected,
            Class::Usage,
            Class::ExportLate,
            Class::Source,
            Class::Damaged,
            Class::Sql,
            Class::Output,
            Class::Held,
            Class::Workers,
            Class::Interrupted,
            Class::Terminated,
        ];
        all.into_iter().find(|class| class.exit_code() == code)
    }

    /// The exit code of several windows: the first of 1 2 6 7 10 5 4 3 8 that occurred, with an interruption before all.
    pub fn worst(classes: impl IntoIterator<Item = Class>) -> Option<Class> {
        classes.into_iter().min_by_key(|class| match class {
            Class::Interrupted | Class::Terminated => 0,
            Class::Unexpected => 1,
            Class::Usage => 2,
            Class::Sql => 3,
            Class::Output => 4,
            Class::Workers => 5,
            Class::Damaged => 6,
            Class::Source => 7,
            Class::ExportLate => 8,
            Class::Held => 9,
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
    hint: Option<String>,
    excerpt: Option<String>,
    is_explained: bool,
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
            hint: None,
            excerpt: None,
            is_explained: false,
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

    /// Adds what to write instead.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Marks an error that names its place in the SQL, with the lines that show it.
    pub fn explained(mut self, excerpt: Option<String>) -> Self {
        self.excerpt = excerpt;
        self.is_explained = true;
        self
    }

    /// Whether the place in the SQL is named.
    pub fn is_explained(&self) -> bool {
        self.is_explained
    }

    /// What to write instead.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The line of SQL that the error is about, and a caret under the place.
    pub fn excerpt(&self) -> Option<&str> {
        self.excerpt.as_deref()
    }

    /// The message with its causes, without the hint.
    pub fn message(&self) -> String {
        let mut text = self.whole_message();
        if text.len() > LONGEST {
            text.truncate(text.floor_char_boundary(LONGEST));
            text.push('…');
        }
        text
    }

    fn whole_message(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = self
            .source
            .as_deref()
            .map(|e| e as &(dyn std::error::Error + 'static));
        // An error of this crate inside a client's error says all that the client's does.
        if let Some(own) = cause.and_then(find_own) {
            return format!("{text}: {own}");
        }
        while let Some(error) = cause {
            // Many errors repeat the message of their cause.
            let said = error.to_string();
            if !text.contains(&said) {
                text = format!("{text}: {said}");
            }
            cause = error.source();
        }
        text
    }

    /// The error in several lines, for a person: the message, the line of SQL with its caret, the hint.
    pub fn in_full(&self) -> String {
        let mut text = self.message();
        for line in self.excerpt().unwrap_or_default().lines() {
            text += &format!("\n    {line}");
        }
        if let Some(hint) = &self.hint {
            text += &format!("\nhint: {hint}");
        }
        text
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

    /// Failures of the same time as one: that of the worst class, with the messages of the others behind its own.
    pub fn of_several(mut failures: Vec<Self>) -> Option<Self> {
        let worst = Class::worst(failures.iter().map(Self::class))?;
        let place = failures.iter().position(|error| error.class == worst)?;
        let mut worst = failures.remove(place);
        if !failures.is_empty() {
            // Its causes are put before the others, and not behind them.
            worst.message = worst.message();
            worst.source = None;
        }
        for other in failures {
            worst.message = format!("{}; {}", worst.message, other.message());
        }
        Some(worst)
    }

    /// The same failure once more, with its causes in its message: each window that it keeps from being done has it.
    pub fn again(&self) -> Self {
        Self {
            class: self.class,
            message: self.message(),
            source: None,
            remedy: self.remedy,
            hint: self.hint.clone(),
            excerpt: self.excerpt.clone(),
            is_explained: self.is_explained,
        }
    }

    /// The same about one of several sources, which its message calls `[source]`, or by its number already.
    pub fn about(mut self, section: &str) -> Self {
        if !self.message.contains("[source]") {
            return self.during(section);
        }
        self.message = said_of(section, &self.message);
        self
    }

    /// This crate's own error inside an engine's error: from the scan, from a function, from the statement.
    pub fn own_within(error: &DataFusionError) -> Option<Self> {
        find_own(error).map(Self::again)
    }

    /// This crate's own error inside an engine's error, or else a failure of the store or of the SQL. What the engine says
    /// of the SQL is put into other words where the SQL is known, in [`query`](crate::query).
    pub fn from_engine(error: DataFusionError) -> Self {
        if let Some(own) = Self::own_within(&error) {
            return own;
        }
        match error.find_root() {
            DataFusionError::ObjectStore(store) => Self::new(Class::Source, store.to_string()),
            DataFusionError::ResourcesExhausted(_) => {
                Self::new(Class::Sql, "the query needs more memory than it may take")
                    .with_hint("raise [run] memory")
            }
            root => match find_panic(&error) {
                Some(panic) => {
                    Self::new(Class::Unexpected, format!("a bug in this program: {panic}"))
                }
                None => {
                    let message = root.strip_backtrace();
                    Self::new(Class::Sql, without_stages(&message).trim_end_matches('.'))
                }
            },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())?;
        match &self.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

/// The panic of one of the engine's tasks, which arrives as an error of the task that waits for it.
pub fn find_panic<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a JoinError> {
    let mut next = Some(error);
    while let Some(error) = next {
        let shared = error.downcast_ref::<Arc<JoinError>>();
        let join = shared
            .map(AsRef::as_ref)
            .or_else(|| error.downcast_ref::<JoinError>());
        if let Some(join) = join {
            return join.is_panic().then_some(join);
        }
        next = wrapped(error).or_else(|| error.source());
    }
    None
}

/// An error and what led to it, through the engine's wrappers and this crate's own errors.
pub fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        if let Some(own) = error.downcast_ref::<Error>() {
            return own.source.as_deref().map(|cause| cause as _);
        }
        wrapped(*error).or_else(|| error.source())
    })
}

/// This crate's own error in a chain of causes.
pub fn find_own<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(own) = error.downcast_ref::<Error>() {
            return Some(own);
        }
        next = wrapped(error).or_else(|| error.source());
    }
    None
}

/// The error in one of the engine's wrappers, which box and share errors; their `source()` skips the error that they wrap.
fn wrapped<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a (dyn std::error::Error + 'static)> {
    match error.downcast_ref::<DataFusionError>()? {
        DataFusionError::External(inner) => Some(inner.as_ref()),
        DataFusionError::Shared(inner) => Some(inner.as_ref()),
        DataFusionError::Context(_, inner) => Some(inner.as_ref()),
        DataFusionError::ExecutionJoin(inner) => Some(inner.as_ref()),
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            arrow::error::ArrowError::ExternalError(inner) => Some(inner.as_ref()),
            _ => None,
        },
        _ => None,
    }
}

/// What the engine puts in front of its messages: the stage that failed.
pub const STAGES: [&str; 17] = [
    "Error during planning: ",
    "Schema error: ",
    "SQL error: ",
    "Execution error: ",
    "Arrow error: ",
    "Csv error: ",
    "Json error: ",
    "External error: ",
    "Compute error: ",
    "Cast error: ",
    "Parser error: ",
    "Invalid argument error: ",
    "Internal error: ",
    "This feature is not implemented: ",
    "Not yet implemented: ",
    "Arithmetic overflow: ",
    "Invalid or Unsupported Configuration: ",
];

/// A message without the stage that failed, and without the request to report a bug.
pub fn without_stages(message: &str) -> &str {
    let mut text = message;
    while let Some(inner) = STAGES.iter().find_map(|stage| text.strip_prefix(stage)) {
        text = inner;
    }
    let text = text.split("\nThis issue was likely caused by").next();
    let text = text.unwrap_or_default();
    text.split("\n\nbacktrace: ").next().unwrap_or(text).trim()
}

/// A message about a job of one source, whose section it calls `[source]`, said of one of several.
pub fn said_of(section: &str, message: &str) -> String {
    let mut said = String::with_capacity(message.len() + section.len());
    let mut rest = message;
    while let Some(at) = rest.find("[source]") {
        let is_of_several = rest[..at].ends_with('[');
        said.push_str(&rest[..at]);
        said.push_str(if is_of_several { "[source]" } else { section });
        rest = &rest[at + "[source]".len()..];
    }
    said + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_quotes_a_long_value_is_cut() {
        let cause = std::io::Error::other("é".repeat(1 << 20));
        let error = Error::damaged("exports/a.gz").caused_by(cause);
        let text = error.during("window 2026-11-21").to_string();
        assert!(text.starts_with("window 2026-11-21: exports/a.gz: éé"));
        assert!(text.ends_with("é…"));
        assert!(text.len() < LONGEST + 10, "{}", text.len());
    }

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
    fn several_failures_have_the_worst_class_and_all_messages() {
        assert!(Error::of_several(Vec::new()).is_none());
        let late = Error::new(Class::ExportLate, "late");
        let refused = Error::new(Class::Source, "refused").caused_by("no permission");
        let error = Error::of_several(vec![late, refused]).unwrap();
        assert_eq!(error.class(), Class::Source);
        assert_eq!(error.to_string(), "refused: no permission; late");
        let again = error.again();
        assert_eq!(
            (again.class(), again.to_string()),
            (error.class(), error.to_string())
        );
    }

    #[tokio::test]
    async fn a_panic_of_a_task_is_a_bug() {
        let task = tokio::spawn(async { assert!("".len() > 1, "no text") });
        let join = Arc::new(task.await.unwrap_err());
        let joins = DataFusionError::External(Box::new(Arc::clone(&join)));
        let error = Error::from_engine(joins.context("Join Error"));
        assert_eq!(error.class(), Class::Unexpected);
        let said = error.to_string();
        assert!(
            said.starts_with("a bug in this program: ") && said.contains("no text"),
            "{said}"
        );
    }

    #[test]
    fn an_own_error_is_said_without_the_client_around_it() {
        let client = object_store::Error::Generic {
            store: "S3",
            source: Box::new(Error::new(Class::Source, "no answer from https://s3")),
        };
        let error = Error::new(Class::Source, "could not read s3://b/k").caused_by(client);
        assert_eq!(
            error.to_string(),
            "could not read s3://b/k: no answer from https://s3"
        );
    }

    #[test]
    fn a_person_gets_the_place_and_the_hint_in_lines_and_a_log_one_line() {
        let error = Error::new(Class::Sql, "SQL:1:8: column \"nope\" does not exist")
            .with_hint("write message")
            .explained(Some("SELECT nope\n       ^".to_owned()));
        assert_eq!(
            error.in_full(),
            "SQL:1:8: column \"nope\" does not exist\n    SELECT nope\n           ^\nhint: write message"
        );
        assert_eq!(
            error.to_string(),
            "SQL:1:8: column \"nope\" does not exist (hint: write message)"
        );
        let back = Error::from_engine(DataFusionError::from(error));
        assert!(back.is_explained());
        assert_eq!(back.hint(), Some("write message"));
        assert_eq!(back.excerpt(), Some("SELECT nope\n       ^"));
    }

    #[test]
    fn an_engine_error_has_neither_its_stage_nor_what_held_the_memory() {
        let error = DataFusionError::Internal("no plan".to_owned());
        assert_eq!(Error::from_engine(error).to_string(), "no plan");
        let why = "Failed to allocate additional 1 MB for ExternalSorterMerge[0]";
        let error = Error::from_engine(DataFusionError::ResourcesExhausted(why.to_owned()));
        assert_eq!(error.class(), Class::Sql);
        assert_eq!(
            error.to_string(),
            "the query needs more memory than it may take (hint: raise [run] memory)"
        );
    }

    #[test]
    fn the_worst_class_follows_the_order_of_the_manual() {
        let order = [
            Class::Unexpected,
            Class::Usage,
            Class::Sql,
            Class::Output,
            Class::Workers,
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

    #[test]
    fn an_exit_code_has_its_class() {
        let codes: Vec<u8> = (0..=u8::MAX)
            .filter(|code| Class::of_exit_code(*code).is_some())
            .collect();
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8, 10, 130, 143]);
    }

    #[test]
    fn only_the_section_of_one_source_is_replaced() {
        for (message, expected) in [
            ("[source] mask is true", "[[source]] 2 mask is true"),
            (
                "[[source]] 3 (b) staging: as of [source] staging",
                "[[source]] 3 (b) staging: as of [[source]] 2 staging",
            ),
            ("the first [[source]]", "the first [[source]]"),
        ] {
            assert_eq!(said_of("[[source]] 2", message), expected);
        }
    }
}
