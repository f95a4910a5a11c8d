//! Where each answer goes, and in what form: Parquet for Athena, charts for people, bars for the terminal.

pub mod athena;
pub mod columns;
pub mod parquet;
pub mod partitioned;
