//! What a line says of a Lambda invocation, and which lines of a log stream are of the same one: the parts of the view
//! `lambda_invocations`.
//!
//! An invocation has a START line and a REPORT line with its request id, in text or JSON, and between them perhaps lines
//! about its failure. Lambda runs an asynchronous request that failed
//! [up to two more times](https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html) with the
//! [same request id](https://repost.aws/knowledge-center/lambda-function-duplicate-invocations): each time is an invocation
//! of its own, with a report and a price of its own. An execution environment has a log stream, and one request at a time;
//! on managed instances it has several, whose lines are mixed and all have their request id.

mod line;
mod number;

#[cfg(any(test, feature = "testing"))]
pub(super) use line::LambdaEvent;
pub(super) use line::{event_type, events};
pub use number::InvocationNumber;
