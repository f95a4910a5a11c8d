//! Where each answer goes, and in what form: Parquet for Athena, charts for people, bars for the terminal.

pub mod chart;
pub mod parquet;
pub mod picture;
pub mod terminal;
