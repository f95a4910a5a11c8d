//! logtally
pub mod aws;
pub mod cli;
pub mod clock;
pub mod error;
pub mod export;
pub mod job;
pub mod layout;
pub mod output;
pub mod progress;
pub mod query;
pub mod receipt;
pub mod run;
pub mod scan;
pub mod store;
pub mod window;
