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
pub mod chart;
pub mod cli;
pub mod clock;
#[cfg(test)]
mod documents;
pub mod error;
pub mod export;
pub mod job;
pub mod layout;
pub mod numbers;
pub mod output;
pub mod panics;
pub mod progress;
pub mod query;
pub mod receipt;
pub mod run;
pub mod scan;
pub mod state;
pub mod store;
pub mod verify;
pub mod window;
