//! What messages say, in SQL: `level`, `log_type`, `request_id`, `trace_id`, `exception_class`, `lambda_report`,
//! `lambda_event`.
//!
//! Text of any type is taken, as Utf8View: Arrow casts to that without copying, and the parts of a message that these
//! functions return are views into the same buffers.

use super::described;
use super::exception::exception_class;
use super::ids::{request_id, trace_id};
use super::invocation;
use super::lambda;
use super::level::Level;
use super::message::LogType;
use super::text_column::TextColumn;
use super::{one_text, over_array};
use arrow::array::{ArrayRef, AsArray, StringViewArray, UInt8Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

/// The functions of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Question {
    Level,
    LogType,
    RequestId,
    TraceId,
    ExceptionClass,
    LambdaReport,
    IsLambdaReport,
    LambdaEvent,
}

/// `level(message)`, `log_type(message)`, `request_id(message)`, `trace_id(message)` as Utf8View, and
/// `lambda_report(message)` as a struct.
///
/// Utf8View, and not a dictionary, for the handful of level names too: DataFusion groups views of up to 12 bytes by
/// their inline value, alone or beside other columns, but sends a GROUP BY with a dictionary in it through the slow
/// path over encoded rows (`GroupValuesRows`).
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct OfMessage {
    question: Question,
    signature: Signature,
}

impl OfMessage {
    pub(super) fn all() -> [Self; 7] {
        [
            Question::Level,
            Question::LogType,
            Question::RequestId,
            Question::TraceId,
            Question::ExceptionClass,
            Question::LambdaReport,
            Question::LambdaEvent,
        ]
        .map(Self::new)
    }

    fn new(question: Question) -> Self {
        OfMessage {
            question,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    /// The function that only tells whether this one has an answer, where that is cheaper to find out.
    pub(super) fn whether_there(&self) -> Option<ScalarUDF> {
        match self.question {
            Question::LambdaReport => Some(Self::new(Question::IsLambdaReport).into()),
            _ => None,
        }
    }
}

/// The function that a rule puts in place of `lambda_report(message) IS NOT NULL`.
#[cfg(feature = "cluster")]
pub fn is_lambda_report() -> Arc<ScalarUDF> {
    Arc::new(OfMessage::new(Question::IsLambdaReport).into())
}

impl ScalarUDFImpl for OfMessage {
    fn name(&self) -> &str {
        match self.question {
            Question::Level => "level",
            Question::LogType => "log_type",
            Question::RequestId => "request_id",
            Question::TraceId => "trace_id",
            Question::LambdaReport => "lambda_report",
            Question::IsLambdaReport => "is_lambda_report",
            Question::LambdaEvent => "lambda_event",
            Question::ExceptionClass => "exception_class",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        one_text(self.name(), types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.question {
            Question::LambdaReport => lambda::report_type(),
            Question::IsLambdaReport => DataType::Boolean,
            Question::LambdaEvent => invocation::event_type(),
            _ => DataType::Utf8View,
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        described::of(self.name())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [messages] = args.args.as_slice() else {
            return exec_err!("{}: expected one text", self.name());
        };
        over_array(messages, |array| {
            let messages = array.as_string_view();
            let answers = match self.question {
                Question::Level => levels(messages),
                Question::LogType => log_types(messages),
                Question::RequestId => parts(messages, request_id),
                Question::TraceId => parts(messages, trace_id),
                Question::LambdaReport => lambda::reports(messages),
                Question::IsLambdaReport => Ok(lambda::are_reports(messages)),
                Question::LambdaEvent => invocation::events(messages),
                Question::ExceptionClass => parts(messages, exception_class),
            };
            Ok(answers?)
        })
    }
}

fn levels(messages: &StringViewArray) -> Result<ArrayRef, ArrowError> {
    static NAMES: LazyLock<StringViewArray> =
        LazyLock::new(|| StringViewArray::from_iter_values(Level::NAMES));
    let levels = messages.iter().map(|message| Level::of(message?));
    let indices: UInt8Array = levels.map(|level| level.map(|level| level as u8)).collect();
    take(&*NAMES, &indices, None)
}

fn log_types(messages: &StringViewArray) -> Result<ArrayRef, ArrowError> {
    static NAMES: LazyLock<StringViewArray> =
        LazyLock::new(|| StringViewArray::from_iter_values(LogType::NAMES));
    let types = messages.iter().map(|message| message.map(LogType::of));
    let indices: UInt8Array = types
        .map(|log_type| log_type.map(|log_type| log_type as u8))
        .collect();
    take(&*NAMES, &indices, None)
}

fn parts(
    messages: &StringViewArray,
    part: fn(&str) -> Option<Cow<'_, str>>,
) -> Result<ArrayRef, ArrowError> {
    let mut column = TextColumn::new(messages);
    for (row, message) in messages.iter().enumerate() {
        if let Some(part) = message.and_then(part) {
            column.set(row, part);
        }
    }
    Ok(Arc::new(column.finish()?))
}
