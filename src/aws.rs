//! The only room that uses the AWS SDK. It turns the SDK's answers and errors into plain values of this crate.

pub mod glue;
pub mod io_runtime;
pub mod logs;
pub mod metrics;
pub mod policy;
pub mod s3;
pub mod timeouts;

mod config;

pub use config::{Account, Aws};

/// The last cause of an error, which says most: `Connection refused (os error 111)`.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
