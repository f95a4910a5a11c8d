//! The SQL functions for logs that the engine lacks: local time, and the contents of messages.
//!
//! | function | answers |
//! |---|---|
//! | `time_bucket('1 hour', timestamp)` | the first instant of the bucket of local time, Timestamp(ms, zone) |
//! | `local_time(timestamp)` | the local time, Timestamp(ms) |
//! | `hour_of_day(timestamp)` | the local hour, 0 to 23, Int32 |
//! | `utc_offset(timestamp)` | the offset from UTC, `+09:00` |
//! | `now()` | the start of the query, Timestamp(ms, zone) |
//! | `from_unixtime(seconds)` | an instant, Timestamp(s, zone) |
//! | `to_char(timestamp, 'YYYY-MM-DD')` | the local time as text, by a template |
//! | `level(message)` | TRACE, DEBUG, INFO, WARN, ERROR, FATAL or NULL |
//! | `log_type(message)` | start, end, report, … for Lambda's own lines, else json or text |
//! | `request_id(message)` | the id of the Lambda invocation |
//! | `trace_id(message)` | the id of the X-Ray trace, `1-5e34a614-10bd7a3f2c2b4d5e6f708192` |
//! | `exception_class(message)` | the class of the exception that a message reports |
//! | `percentile_cont(x, 0.95)`, `p50(x)`, `p90(x)`, `p95(x)`, `p99(x)` | the exact percentile |
//! | `pattern(message)` | the message with marks in place of its values |
//! | `pattern_id(message)` | a short id of the pattern |
//! | `mask(message)` | the message with marks in place of personal data and secrets |
//! | `lambda_report(message)` | the values of a REPORT line as a struct, else NULL |
//! | `parse(message, 'user * took * ms', 'user', 'ms')` and its like | the members of a message by a pattern: see `parse` |
//! | `parse_time(text)` | the instant of the time that a text has in itself, Timestamp(ms, zone) |
//! | `window_buckets('5 minutes', a, b)` | the buckets between two instants, a list; `buckets('5 minutes')` as rows |
//! | `lambda_event(message)` | what a line of Lambda says of an invocation as a struct, else NULL |
//! | `invocation_number(step, request_id)` | a window function: which of these are of the same invocation |
//!
//! All return NULL for NULL. A message in an unknown format never fails a query. The kernels are plain functions of
//! `&str` and integers; `time`, `of_message` and `rewritten` wrap them as SQL functions.

#[cfg(any(test, feature = "testing"))]
pub mod any_text;
mod bounded;
mod coalesce;
mod described;
mod exception;
mod ids;
mod invocation;
mod json;
mod lambda;
mod level;
mod message;
mod message_time;
mod number_column;
mod of_message;
mod parse;
mod parse_time;
mod percentile;
mod report_filter;
mod rewritten;
mod text_column;
pub(super) mod time;

pub use bounded::bound_all;
#[cfg(feature = "cluster")]
pub use bounded::joined;
pub use coalesce::register_coalesce;
#[cfg(feature = "cluster")]
pub use described::undescribed;
pub use described::{WithoutDescription, describe_others, of as description_of};
pub use exception::exception_class;
pub use ids::{request_id, trace_id};
pub use invocation::InvocationNumber;
pub use lambda::Report;
pub use level::Level;
pub use message::LogType;
#[cfg(feature = "cluster")]
pub use of_message::is_lambda_report;
#[cfg(feature = "cluster")]
pub use parse::logfmt_value;
pub use parse::{LogfmtMembers, check_format, parse_as};
pub use percentile::percentiles;
pub use report_filter::ReportFilter;
pub use time::{register_series, session_zone};

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use chrono_tz::Tz;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF};
use std::sync::Arc;

/// All functions of this module, for a session in a zone.
pub fn all(zone: Tz) -> Vec<Arc<ScalarUDF>> {
    let zone = zone.name().into();
    let mut functions = vec![
        ScalarUDF::from(time::TimeBucket::new(&zone)),
        ScalarUDF::from(time::Now::new(&zone)),
        ScalarUDF::from(time::FromUnixtime::new(&zone)),
        ScalarUDF::from(time::ToChar::new(&zone)),
        ScalarUDF::from(time::WindowBuckets::new(&zone)),
        ScalarUDF::from(parse_time::ParseTime::new(&zone)),
        parse_as(&[]),
    ];
    functions.extend(parse::all(&zone));
    functions.extend(time::WallClock::all(&zone).map(ScalarUDF::from));
    functions.extend(of_message::OfMessage::all().map(ScalarUDF::from));
    functions.extend(rewritten::Rewritten::all().map(ScalarUDF::from));
    #[cfg(debug_assertions)]
    functions.extend(panic_for_tests());
    functions.into_iter().map(Arc::new).collect()
}

/// `panic(text)`, with which tests of the real program see that a bug in any thread ends it as it should: only without
/// optimisation, and only where a variable of the environment asks for it.
#[cfg(debug_assertions)]
fn panic_for_tests() -> Option<ScalarUDF> {
    use arrow::datatypes::DataType::Utf8View;
    use datafusion::logical_expr::{Volatility, create_udf};
    std::env::var_os("LOGTALLY_TEST_PANIC").map(|_| {
        let kernel = Arc::new(|_: &[ColumnarValue]| -> Result<ColumnarValue> {
            panic!("a bug, as asked for")
        });
        create_udf(
            "panic",
            vec![Utf8View],
            Utf8View,
            Volatility::Immutable,
            kernel,
        )
    })
}

/// The type that a message of some type of text is cast to, which costs no copy.
fn text_type(function: &str, given: &DataType) -> Result<DataType> {
    match given {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
            Ok(DataType::Utf8View)
        }
        DataType::Dictionary(_, values) => text_type(function, values),
        other => plan_err!("{function} of type {other}: expected a text such as message"),
    }
}

/// The types that the arguments of a function of one text are cast to.
fn one_text(function: &str, given: &[DataType]) -> Result<Vec<DataType>> {
    match given {
        [message] => Ok(vec![text_type(function, message)?]),
        _ => plan_err!(
            "{function} has {} arguments: expected one text, such as message",
            given.len()
        ),
    }
}

/// Applies a kernel over arrays to an argument that may be a scalar.
fn over_array(
    argument: &ColumnarValue,
    kernel: impl FnOnce(&ArrayRef) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    match argument {
        ColumnarValue::Array(array) => Ok(ColumnarValue::Array(kernel(array)?)),
        ColumnarValue::Scalar(value) => {
            let array = kernel(&value.to_array()?)?;
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &array, 0,
            )?))
        }
    }
}

#[cfg(test)]
mod tests;
