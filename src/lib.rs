//! logtally answers questions about CloudWatch Logs, every night: a **job** says which logs, which time, which
//! questions and where the answers go; a **run** takes one job and one window through the rooms of this crate, in this
//! order:
//!
//! ```text
//! job ─► window ─► export ─► scan ─► query ─► output ─► receipt
//! what   when      CloudWatch logs    SQL     Parquet,   what was done,
//!                  → S3       table           charts     for people and reruns
//! ```
//!
//! [`run`] knows all rooms; [`cli`] is what a person sees. A file imports only from those above it in the list of
//! `docs/ARCHITECTURE.md`.

pub mod aws;
pub mod backoff;
pub mod chart;
pub mod cli;
pub mod clock;
pub mod error;
pub mod export;
pub mod job;
pub mod layout;
pub mod numbers;
pub mod output;
pub mod progress;
pub mod query;
pub mod receipt;
pub mod run;
pub mod scan;
pub mod state;
pub mod store;
pub mod verify;
pub mod window;
