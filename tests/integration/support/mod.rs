//! The helpers of the integration tests: the program in a folder of its own, a server with AWS's interfaces, other readers
//! of Parquet, and exports in unusual shapes.

pub mod cloud;
pub mod engines;
pub mod events;
pub mod export;
pub mod faults;
pub mod gate;
pub mod in_place;
pub mod job;
pub mod moto;
pub mod on_s3;
pub mod parquet;
pub mod program;
pub mod python;
#[cfg(feature = "lambda")]
pub mod runtime_api;
pub mod server;
#[cfg(target_os = "linux")]
pub mod watch;
pub mod webhook;
