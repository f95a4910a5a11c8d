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
//! | `percentile_cont(x, 0.95)` | the exact percentile |
//! | `lambda_report(message)` | the values of a REPORT line as a struct, else NULL |
//!
//! All return NULL for NULL. A message in an unknown format never fails a query. The kernels are plain functions of
//! `&str` and integers; `time` and `of_message` wrap them as SQL functions.

mod bounded;
mod ids;
mod json;
mod lambda;
mod level;
mod message;
mod of_message;
mod percentile;
mod report_filter;
mod text_column;
pub(super) mod time;

pub use bounded::bound_all;
pub use ids::{request_id, trace_id};
pub use lambda::Report;
pub use level::Level;
pub use message::LogType;
pub use percentile::ExactPercentile;
pub use report_filter::ReportFilter;
pub use time::session_zone;

use arrow::array::ArrayRef;
use chrono_tz::Tz;
use datafusion::common::{Result, ScalarValue};
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
    ];
    functions.extend(time::WallClock::all(&zone).map(ScalarUDF::from));
    functions.extend(of_message::OfMessage::all().map(ScalarUDF::from));
    functions.into_iter().map(Arc::new).collect()
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
