//! The only room that knows the AWS SDK. It turns its requests and errors into plain values of this crate.

pub mod logs;
pub mod s3;

mod config;

pub use config::{Account, Aws};
