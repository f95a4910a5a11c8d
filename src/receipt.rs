//! The report of a run of one window, for people, for other programs, and for the next run.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What a run did. It is put last, so where it is, everything that it lists is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// `done`: the run ended well.
    pub status: Status,
    /// The job's name.
    pub job: String,
    /// The window.
    pub window: WindowReport,
    /// When the run began.
    pub started_at: DateTime<Utc>,
    /// When everything but the receipt was put.
    pub finished_at: DateTime<Utc>,
    /// When the events were taken out of their source.
    pub as_of: Option<DateTime<Utc>>,
    /// The exports that the answers are of.
    pub exports: Vec<ExportReport>,
    /// Log groups that were made after the window, and so have no event in it.
    pub skipped_log_groups: Vec<String>,
    /// What was read, once: the objects as they are, whatever the queries took of them.
    pub read: ReadReport,
    /// What was put.
    pub outputs: Vec<OutputReport>,
    /// Seconds that each step took, by its name.
    pub seconds: BTreeMap<String, f64>,
    /// A hash of everything in the job that decides the answers.
    pub job_sha256: String,
    /// A hash of what in the job decides the events.
    pub source_sha256: String,
    /// The version of this program.
    pub version: String,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Everything was put.
    Done,
}

/// A window, as instants and as local times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowReport {
    /// The id.
    pub id: String,
    /// The IANA zone.
    pub timezone: String,
    /// The first instant.
    pub start: DateTime<Utc>,
    /// The first instant after it.
    pub end: DateTime<Utc>,
    /// The local time at the start, with its offset.
    pub start_local: String,
    /// The local time at the end, with its offset.
    pub end_local: String,
    /// Whether late events may still come.
    pub provisional: bool,
}

/// An export of a log group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportReport {
    /// The log group, where it is known.
    pub log_group: Option<String>,
    /// The export task, where it is known.
    pub task_id: Option<String>,
    /// Where the objects are.
    pub prefix: String,
    /// Whether an earlier run made the export.
    pub reused: bool,
    /// How many objects.
    pub objects: usize,
    /// Their compressed bytes.
    pub bytes: u64,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReadReport {
    /// How many objects.
    pub objects: usize,
    /// Their compressed bytes.
    pub bytes: u64,
    /// Events in the window.
    pub events: u64,
    /// Events in the window whose message is no UTF-8, and got replacement characters.
    pub invalid_utf8_events: u64,
    /// Lines before an object's first timestamp, which belong to no event.
    pub lines_before_first_timestamp: u64,
}

/// An object that was put.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputReport {
    /// What it is.
    pub kind: OutputKind,
    /// The query that it answers.
    pub query: String,
    /// Where it is.
    pub location: String,
    /// Its key, relative to the output location.
    pub key: String,
    /// The store's tag of its content.
    pub etag: Option<String>,
    /// The rows of an answer.
    pub rows: Option<u64>,
    /// The size.
    pub bytes: u64,
}

/// What an output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputKind {
    /// An answer, as Parquet.
    Parquet,
    /// A chart.
    Chart,
}
