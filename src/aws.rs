//! The only room that uses the AWS SDK. It turns the SDK's answers and errors into plain values of this crate.

pub mod glue;
pub mod http;
pub mod identity;
pub mod logs;
pub mod metrics;
pub mod policy;
pub mod s3;
pub mod sns;
pub mod timeouts;
pub mod tried;

mod config;
mod credentials;
mod endpoints;
mod engine;
mod failure;
mod network;
mod profiles;
mod trust;

pub use config::{Account, Aws};

/// The causes of an error, itself first.
fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// The first cause of a type.
fn find_cause<'a, E: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// The last cause of an error, which says most: `Connection refused (os error 111)`. In one line.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let last = causes(error).last().unwrap_or(error).to_string();
    last.split_whitespace().collect::<Vec<_>>().join(" ")
}
