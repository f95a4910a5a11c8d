//! `lambda_event(message)`: what a line of Lambda or of its runtime says of an invocation.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, BooleanBufferBuilder, Int32Array, StringViewArray, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use arrow::error::ArrowError;
use memchr::memmem;

use super::super::exception::{exception_class, of_platform, of_report, of_status};
use super::super::ids::request_id;
use super::super::json::{Members, Value};
use super::super::lambda::Report;
use super::super::message::{LogType, beginning, first_line, platform_event, platform_line};
use super::super::text_column::TextColumn;

/// The steps of an invocation in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Step {
    /// Lambda has sent the request.
    Start,
    /// The runtime reports an exception that the handler did not catch.
    Raised,
    /// Lambda reports that the invocation failed.
    Failed,
    /// Lambda reports what the invocation took.
    Report,
}

impl Step {
    /// The step of a number in SQL.
    pub fn of(number: i32) -> Option<Self> {
        let steps = [Self::Start, Self::Raised, Self::Failed, Self::Report];
        steps.into_iter().find(|step| *step as i32 == number)
    }
}

/// What a line says of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LambdaEvent<'a> {
    pub step: Step,
    /// Missing in the lines that some runtimes write of an exception.
    pub request_id: Option<Cow<'a, str>>,
    /// The version of the function, of a start.
    pub version: Option<Cow<'a, str>>,
    /// The class or Lambda's type of the error.
    pub error: Option<Cow<'a, str>>,
}

static FIELDS: LazyLock<Fields> = LazyLock::new(|| {
    Fields::from(vec![
        Field::new("step", DataType::Int32, true),
        Field::new("request_id", DataType::Utf8View, true),
        Field::new("version", DataType::Utf8View, true),
        Field::new("error", DataType::Utf8View, true),
    ])
});

impl<'a> LambdaEvent<'a> {
    /// Reads a message, if it is such a line.
    pub fn parse(message: &'a str) -> Option<Self> {
        let message = beginning(message);
        match message.as_bytes().first()? {
            b'{' => Self::of_object(message),
            b'S' | b'R' => Self::of_platform_line(message),
            b'0'..=b'9' => Self::of_line_with_time(message),
            b'[' => Self::of_python(message),
            b'E' => Self::of_ruby(message),
            _ => Self::of_java(message),
        }
        .or_else(|| Self::of_java(message))
    }

    fn raised(request_id: Option<Cow<'a, str>>, error: Option<Cow<'a, str>>) -> Self {
        Self {
            step: Step::Raised,
            request_id,
            version: None,
            error,
        }
    }

    fn of_platform_line(message: &'a str) -> Option<Self> {
        match platform_line(message) {
            Some(LogType::Start) => Some(Self {
                step: Step::Start,
                request_id: request_id(message),
                version: first_line(message)
                    .split_once(" Version: ")
                    .map(|(_, version)| Cow::Borrowed(version.trim()))
                    .filter(|version| !version.is_empty()),
                error: None,
            }),
            Some(LogType::Report) => Some(Self {
                step: Step::Report,
                request_id: Report::parse(message)?.request_id,
                version: None,
                error: of_report(message),
            }),
            Some(_) => None,
            None => Self::of_failure(message),
        }
    }

    /// Lambda's own words about a failure.
    fn of_failure(message: &'a str) -> Option<Self> {
        Some(Self {
            step: Step::Failed,
            error: Some(Cow::Borrowed(of_platform(message)?)),
            request_id: request_id(message),
            version: None,
        })
    }

    /// `<time> <id> Task timed out …` of Lambda, `<time>⇥<id>⇥ERROR⇥Invoke Error ⇥{…}` of the runtime for Node.js.
    fn of_line_with_time(message: &'a str) -> Option<Self> {
        match first_line(message).contains("\tERROR\tInvoke Error") {
            true => Some(Self::raised(request_id(message), exception_class(message))),
            false => Self::of_failure(message),
        }
    }

    /// `[ERROR] KeyError: 'id'⏎Traceback …` of the runtime for Python. Loggers write a tab behind the level.
    fn of_python(message: &'a str) -> Option<Self> {
        let is_runtime = message.starts_with("[ERROR] ") && message.contains("\nTraceback ");
        is_runtime.then(|| Self::raised(None, exception_class(message)))
    }

    /// `Error raised from handler method⏎{…}`.
    fn of_ruby(message: &'a str) -> Option<Self> {
        message
            .starts_with("Error raised from handler method")
            .then(|| Self::raised(None, exception_class(message)))
    }

    /// `<message>: <class>⏎<class>: <message>⏎⇥at …`.
    fn of_java(message: &'a str) -> Option<Self> {
        let (first, second) = message.split_once('\n')?;
        let (_, class) = first.rsplit_once(": ")?;
        let class = class.trim_ascii_end();
        let is_runtime =
            class.contains('.') && second.starts_with(class) && second.contains("\n\tat ");
        is_runtime.then(|| Self::raised(None, Some(Cow::Borrowed(class))))
    }

    fn of_object(message: &'a str) -> Option<Self> {
        static PLATFORM: LazyLock<memmem::Finder> =
            LazyLock::new(|| memmem::Finder::new("platform."));
        static ERROR_TYPE: LazyLock<memmem::Finder> =
            LazyLock::new(|| memmem::Finder::new("\"errorType\""));
        let bytes = message.as_bytes();
        let of_platform = PLATFORM.find(bytes).and_then(|_| Self::of_event(message));
        match of_platform {
            None if ERROR_TYPE.find(bytes).is_some() => Self::of_runtime(message),
            event => event,
        }
    }

    /// An event of the platform, in the schema of the
    /// [Telemetry API](https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html).
    fn of_event(message: &'a str) -> Option<Self> {
        let (mut name, mut record) = (None, None);
        for (key, value) in Members::of(message) {
            match key.raw() {
                "type" => name = value.text(),
                "record" => record = Some(value),
                _ => {}
            }
        }
        let step = match platform_event(&name?)? {
            LogType::Start => Step::Start,
            LogType::End => Step::Failed,
            LogType::Report => Step::Report,
            _ => return None,
        };
        let record = record?;
        if let Value::Text(_) = record {
            return None;
        }
        let (mut id, mut version, mut status, mut error_type) = (None, None, None, None);
        for (key, value) in record.members() {
            match key.raw() {
                "requestId" => id = value.text(),
                "version" => version = value.text(),
                "status" => status = value.text(),
                "errorType" => error_type = value.text(),
                _ => {}
            }
        }
        let error = status.and_then(|status| of_status(status, error_type));
        // The end of a success says nothing more than the report.
        let says_something = step != Step::Failed || error.is_some();
        says_something.then_some(Self {
            step,
            request_id: id,
            version: version.filter(|_| step == Step::Start),
            error,
        })
    }

    /// An exception that a runtime reports in JSON: Python's under `log_level`, which its logger never writes, Node.js's as
    /// an `Invoke Error`.
    fn of_runtime(message: &'a str) -> Option<Self> {
        let is_runtime = message.contains("\"log_level\"") || message.contains("Invoke Error");
        is_runtime.then(|| Self::raised(request_id(message), exception_class(message)))
    }
}

/// The type of what `lambda_event` returns.
pub fn event_type() -> DataType {
    DataType::Struct(FIELDS.clone())
}

/// What each message says of an invocation, NULL for those that say nothing.
pub fn events(messages: &StringViewArray) -> Result<ArrayRef, ArrowError> {
    let rows = messages.len();
    let mut steps = vec![0; rows];
    let mut ids = TextColumn::new(messages);
    let mut versions = TextColumn::new(messages);
    let mut errors = TextColumn::new(messages);
    let mut validity = BooleanBufferBuilder::new(rows);
    validity.append_n(rows, false);
    for (row, message) in messages.iter().enumerate() {
        let Some(event) = message.and_then(LambdaEvent::parse) else {
            continue;
        };
        validity.set_bit(row, true);
        steps[row] = event.step as i32;
        for (column, text) in [
            (&mut ids, event.request_id),
            (&mut versions, event.version),
            (&mut errors, event.error),
        ] {
            if let Some(text) = text {
                column.set(row, text);
            }
        }
    }
    let nulls = NullBuffer::new(validity.finish());
    let steps = Int32Array::new(steps.into(), Some(nulls.clone()));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(steps),
        Arc::new(ids.finish()?),
        Arc::new(versions.finish()?),
        Arc::new(errors.finish()?),
    ];
    let events = StructArray::try_new(FIELDS.clone(), columns, Some(nulls))?;
    Ok(Arc::new(events))
}
