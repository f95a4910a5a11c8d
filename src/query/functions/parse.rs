//! Functions that take messages apart.
//!
//! | function | answers |
//! |---|---|
//! | `parse(message, 'user * took * ms', 'user', 'ms')` | what the wildcards of a pattern stand for, as a struct |
//! | `parse_regex(message, '(?<name>…)')` | the groups of a regular expression |
//! | `parse_grok(message, '%{IP:client} …')` | the members of a grok pattern |
//! | `parse_as(message, 'app')` | those of a format that the job declares |
//! | `parse_logfmt(message)` | the pairs of logfmt, as a map |
//! | `parse_access_log(message)` | a line of an access log, as a struct |
//! | `message_json(message)` | the JSON in a message |
//!
//! A pattern is read when the query is planned, since its members are the columns of the struct.

mod access_log;
mod documented;
mod glob;
mod grok;
mod logfmt;
mod message_json;
mod of_message;
mod pattern;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::{over_array, text_type};
use crate::error::{Class, Error};
use crate::job::{Format, FormatKind};

pub(super) use documented::of as documentation;
pub use of_message::LogfmtMembers;
#[cfg(feature = "cluster")]
pub use of_message::logfmt_value;
use pattern::BadPattern;
pub(super) use pattern::Pattern;

/// Patterns that have been read, by what they are written as; all of them are forgotten when there are too many.
const MOST_PATTERNS: usize = 256;

/// The functions of this module for a session in a zone, without `parse_as`.
pub(super) fn all(zone: &Arc<str>) -> Vec<ScalarUDF> {
    let by_pattern = [FormatKind::Glob, FormatKind::Regex, FormatKind::Grok];
    let by_pattern = by_pattern.map(|kind| ScalarUDF::from(ByPattern::new(Source::Query(kind))));
    let mut functions = Vec::from(by_pattern);
    functions.extend(of_message::Parse::all(zone).map(ScalarUDF::from));
    functions
}

/// Takes any text apart by the functions without a pattern; none of them panics.
#[cfg(any(test, feature = "testing"))]
pub(super) fn hold_for(message: &str) {
    let _ = access_log::AccessLine::parse(message);
    let _ = message_json::object(message);
    if let Some(pairs) = logfmt::Pairs::of(message) {
        assert!(pairs.count() > 0, "logfmt without a pair");
    }
}

/// `parse_as(message, 'app')` over the formats of a job.
pub fn parse_as(formats: &[Format]) -> ScalarUDF {
    ByPattern::new(Source::Job(formats.into())).into()
}

/// Checks the pattern of a format of a job.
///
/// # Errors
/// What is wrong with it.
pub fn check_format(format: &Format) -> std::result::Result<(), String> {
    let read = read(format.kind, &format.pattern, &[]);
    read.map(drop).map_err(|error| error.to_string())
}

/// Where a pattern is from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Source {
    /// The arguments of the call.
    Query(FormatKind),
    /// The formats of the job, by their names.
    Job(Arc<[Format]>),
}

/// A function whose pattern decides the members of its answer.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ByPattern {
    source: Source,
    signature: Signature,
}

impl ByPattern {
    fn new(source: Source) -> Self {
        Self {
            source,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    /// The pattern of a call, from its arguments behind the message.
    fn pattern(&self, arguments: &[Option<&ScalarValue>]) -> Result<Arc<Pattern>> {
        let texts = arguments
            .iter()
            .map(|argument| argument.and_then(|it| it.try_as_str()?));
        let Some(texts) = texts.collect::<Option<Vec<&str>>>() else {
            return Err(self.refused(self.expected()));
        };
        let [first, names @ ..] = texts.as_slice() else {
            return Err(self.refused(self.expected()));
        };
        let (kind, pattern) = match &self.source {
            Source::Query(kind) => (*kind, *first),
            Source::Job(formats) => {
                let format = formats.iter().find(|format| format.name.as_str() == *first);
                let format = format.ok_or_else(|| self.refused(&unknown_format(first, formats)))?;
                (format.kind, format.pattern.as_str())
            }
        };
        read(kind, pattern, names).map_err(|error| self.refused(&error.to_string()))
    }

    fn refused(&self, what: &str) -> DataFusionError {
        Error::new(Class::Sql, format!("{}: {what}", self.name())).into()
    }

    fn expected(&self) -> &'static str {
        match &self.source {
            Source::Query(FormatKind::Glob) => {
                "expected a message, a pattern that is written as a text, and a name for each of its *, as in parse(message, 'user * took * ms', 'user', 'ms')"
            }
            Source::Query(FormatKind::Regex) => {
                "expected a message and a regular expression that is written as a text, as in parse_regex(message, 'took (?<ms>[0-9.]+) ms')"
            }
            Source::Query(FormatKind::Grok) => {
                "expected a message and a pattern that is written as a text, as in parse_grok(message, '%{IP:client} %{NUMBER:ms:float}')"
            }
            Source::Job(_) => {
                "expected a message and the name of a format that the job declares, as in parse_as(message, 'app')"
            }
        }
    }

    fn takes(&self, arguments: usize) -> bool {
        match &self.source {
            Source::Query(FormatKind::Glob) => arguments >= 2,
            _ => arguments == 2,
        }
    }
}

fn unknown_format(name: &str, formats: &[Format]) -> String {
    let names: Vec<&str> = formats.iter().map(|format| format.name.as_str()).collect();
    match names.as_slice() {
        [] => format!(
            "no format '{name}' is declared: expected [formats.{name}] in the job, with grok, regex or glob"
        ),
        names => format!(
            "no format '{name}' is declared: expected one of {}",
            names.join(", ")
        ),
    }
}

type Key = (FormatKind, Vec<String>);

/// A pattern, which is read once for all batches and threads.
fn read(
    kind: FormatKind,
    pattern: &str,
    names: &[&str],
) -> std::result::Result<Arc<Pattern>, BadPattern> {
    static KNOWN: LazyLock<Mutex<HashMap<Key, Arc<Pattern>>>> = LazyLock::new(Mutex::default);
    let texts = std::iter::once(&pattern).chain(names);
    let key = (kind, texts.map(|text| (*text).to_owned()).collect());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pattern) = known.get(&key) {
        return Ok(Arc::clone(pattern));
    }
    let read = Arc::new(Pattern::parse(kind, pattern, names)?);
    if known.len() >= MOST_PATTERNS {
        known.clear();
    }
    known.insert(key, Arc::clone(&read));
    Ok(read)
}

impl ScalarUDFImpl for ByPattern {
    fn name(&self) -> &str {
        match &self.source {
            Source::Query(FormatKind::Glob) => "parse",
            Source::Query(FormatKind::Regex) => "parse_regex",
            Source::Query(FormatKind::Grok) => "parse_grok",
            Source::Job(_) => "parse_as",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [message, rest @ ..] = types else {
            return plan_err!("{}: {}", self.name(), self.expected());
        };
        if !self.takes(types.len()) {
            return plan_err!(
                "{} has {} arguments: {}",
                self.name(),
                types.len(),
                self.expected()
            );
        }
        // The type of a constant stays as it is: a cast would hide it.
        let message = text_type(self.name(), message)?;
        Ok(std::iter::once(message)
            .chain(rest.iter().cloned())
            .collect())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("{}: {}", self.name(), self.expected())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let pattern = self.pattern(args.scalar_arguments.get(1..).unwrap_or_default())?;
        let data_type = DataType::Struct(pattern.fields().clone());
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [messages, rest @ ..] = args.args.as_slice() else {
            return Err(self.refused(self.expected()));
        };
        let arguments = rest.iter().map(|argument| match argument {
            ColumnarValue::Scalar(value) => Some(value),
            ColumnarValue::Array(_) => None,
        });
        let pattern = self.pattern(&arguments.collect::<Vec<_>>())?;
        over_array(messages, |array: &ArrayRef| {
            Ok(pattern.structs(array.as_string_view())?)
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        documented::of(self.name())
    }
}

#[cfg(test)]
mod tests;
