//! logtally runs SQL queries over CloudWatch Logs, every night. A **job** says which logs, which windows, which queries,
//! and where the answers go. A **run** takes one window of a job through the modules of this crate, in this order:
//!
//! ```text
//! job ─► window ─► export ─► scan ─► query ─► output ─► receipt
//! what   when      CloudWatch logs    SQL     Parquet,   what was done,
//!                  → S3       table           charts     for users and reruns
//! ```
//!
//! [`run`] connects these modules; [`cli`] is the command line. A file imports only from the modules above its own in
//! the list of `docs/ARCHITECTURE.md`.

pub mod aws;
pub mod backoff;
mod batch_bytes;
pub mod chart;
pub mod cli;
pub mod clock;
pub mod disk;
pub mod doctor;
#[cfg(test)]
mod documents;
pub mod error;
pub mod expect;
pub mod export;
pub mod job;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod layout;
pub mod logging;
pub mod mask;
pub mod metrics;
pub mod notify;
pub mod numbers;
#[cfg(feature = "otel")]
pub mod otel;
pub mod output;
pub mod panics;
mod parquet_footer;
mod pattern;
pub mod progress;
pub mod query;
pub mod receipt;
pub mod run;
pub mod runtimes;
pub mod scan;
#[cfg(feature = "serve")]
pub mod serve;
pub mod state;
pub mod store;
pub mod temporary;
pub mod values;
pub mod verify;
pub mod window;
