//! The report of a run of one window, for people, for other programs, and for the next run.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::aws::logs::Origin;
use crate::expect::ExpectationReport;
use crate::scan::{Hours, ScanReport};
use crate::state::Attempt;
use crate::verify::Verification;

/// What a run did. It is put last: everything that it lists is there before it.
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
    /// When the first of the exports was asked for: events that came in later may be missing.
    pub as_of: Option<DateTime<Utc>>,
    /// The account and Region of the log groups, if the source knows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The sources of a job that has several, in their order; absent for a job of one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceReport>,
    /// The exports that the answers are of.
    pub exports: Vec<ExportReport>,
    /// Log groups that were made two weeks after the window or later, and so have no event in it.
    pub skipped_log_groups: Vec<String>,
    /// Notes on the exports: events that may be missing or are from an earlier export, log groups that were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What was read, once: the objects as they are, whatever the queries took of them.
    pub read: ScanReport,
    /// How the independent count compares; absent if the job asks for none.
    #[serde(default)]
    pub verification: Option<Verification>,
    /// How the answers compare with what the job expects of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<ExpectationReport>,
    /// How often the window was exported again because that count differed.
    #[serde(default, rename = "redos")]
    pub reexports: u32,
    /// How the count differs from that of the run before; absent on the first run of the window.
    #[serde(default)]
    pub change: Option<Change>,
    /// The lookup tables, as they were when the run began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<LookupReport>,
    /// The archive of the events, if the job has one. Its files are among the outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveReport>,
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

impl Receipt {
    /// Whether the attempt is one of the exports that the answers are of. Keys relative to staging are compared: a staging
    /// location that was copied, or is called by another path, has the same ones.
    pub fn lists(&self, attempt: &Attempt) -> bool {
        let mut exports = self.exports.iter();
        exports.any(|export| export.is_at(&attempt.prefix))
    }

    /// Whether there are more objects of a source, or more bytes of them, than those that the answers are of.
    pub fn lacks(&self, source: Option<usize>, objects: usize, bytes: u64) -> bool {
        let exports = || self.exports.iter().filter(|export| export.source == source);
        objects > exports().map(|export| export.objects).sum::<usize>()
            || bytes > exports().map(|export| export.bytes).sum::<u64>()
    }

    /// The log groups of the exports, as far as they are known. Of several sources, with the source, and its location where
    /// its objects have events of any group.
    pub fn log_groups(&self) -> Vec<String> {
        let named = self.exports.iter().filter_map(|export| {
            let group = export.log_group.as_ref();
            let mut sources = self.sources.iter();
            let source = sources.find(|source| Some(source.number) == export.source);
            match source {
                None => group.cloned(),
                Some(source) => {
                    let read = group.unwrap_or(&source.location);
                    Some(format!("{read} ({source})"))
                }
            }
        });
        named.collect()
    }

    /// The expectations that are broken.
    pub fn broken(&self) -> impl Iterator<Item = &ExpectationReport> {
        let all = self.expectations.iter();
        all.filter(|expectation| expectation.is_broken())
    }

    /// Whether the independent count differs.
    pub fn is_disputed(&self) -> bool {
        self.verification
            .as_ref()
            .is_some_and(|verification| verification.agrees == Some(false))
    }

    /// Whether late events may change the answers, or the independent count does not confirm them.
    pub fn is_uncertain(&self) -> bool {
        let unverified = self
            .verification
            .as_ref()
            .is_some_and(|verification| verification.agrees != Some(true));
        self.window.provisional || unverified
    }
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

/// A source of a job that has several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    /// Its number, from 1: the `source` of its exports.
    pub number: usize,
    /// Its name, if the job gives it one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where its exports are.
    pub location: String,
    /// The account and Region of its log groups, if they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

impl fmt::Display for SourceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, &self.origin) {
            (Some(name), _) => f.write_str(name),
            (None, Some(origin)) => write!(f, "{origin}"),
            (None, None) => write!(f, "source {}", self.number),
        }
    }
}

/// An export of a log group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportReport {
    /// The number of the source, where the job has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<usize>,
    /// The log group, where it is known; of a linked account by its ARN.
    pub log_group: Option<String>,
    /// The export task, if this program knows it.
    pub task_id: Option<String>,
    /// Where the objects are.
    pub prefix: String,
    /// When it was asked for: events that came in later may be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<DateTime<Utc>>,
    /// Whether an earlier run made the export.
    pub reused: bool,
    /// The windows, `2026-11-01--2026-11-07`, where one export is of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<String>,
    /// How many objects; of several windows, of all of them.
    pub objects: usize,
    /// Their compressed bytes.
    pub bytes: u64,
    /// The events by hour of the window; absent in receipts of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
}

impl ExportReport {
    /// Whether its objects are below this prefix, which is relative to the staging location.
    pub fn is_at(&self, prefix: &str) -> bool {
        let before = self.prefix.strip_suffix(prefix);
        before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
    }
}

/// How the answer of a window changed since the run before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// `as_of` of the run before.
    pub since: Option<DateTime<Utc>>,
    /// Whether that answer was provisional.
    pub was_provisional: bool,
    /// Its events in the window.
    pub events_before: u64,
    /// How many more there are now; negative if there are fewer.
    pub events: i64,
}

impl Change {
    /// From an earlier receipt to a count of events.
    pub fn since(last: &Receipt, events: u64) -> Self {
        Self {
            since: last.as_of,
            was_provisional: last.window.provisional,
            events_before: last.read.events,
            events: events
                .cast_signed()
                .wrapping_sub(last.read.events.cast_signed()),
        }
    }
}

/// A lookup table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupReport {
    /// Its name.
    pub name: String,
    /// Where its file or folder is.
    pub location: String,
    /// The bytes of its files.
    pub bytes: u64,
    /// A hash of what stands in a text; of Parquet, of the names and tags of its files.
    pub sha256: String,
}

/// The archive of a window's events: what its files have, of the exports of the receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveReport {
    /// A hash of everything in the job that decides the archive.
    pub sha256: String,
    /// The expressions that columns stand for, by the names of the columns.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// Whether it has the messages.
    pub message: bool,
    /// Whether they are without personal data and secrets, and the columns are made of such messages.
    #[serde(default)]
    pub mask: bool,
    /// A hash of the formats that the expressions can name; absent where the job has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub formats_sha256: Option<String>,
    /// The columns whose values are folders.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition_by: Vec<String>,
    /// Whether its files are those of the whole day that the window, an hour, was compacted into.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub day: bool,
    /// Whether its rows are in the order in which the export is read: those of each log stream were in the order of time.
    pub in_reading_order: bool,
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
    /// What a chart says at its head: its title and the line below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// The size.
    pub bytes: u64,
}

/// What an output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputKind {
    /// An answer, or a part of one, as Parquet.
    Parquet,
    /// The list of an answer's parts.
    Parts,
    /// A chart.
    Chart,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Later runs, and other programs, read the receipts of every version.
    #[test]
    fn the_keys_of_a_receipt_stay_what_they_are() {
        let written = json!({
            "status": "done",
            "job": "night",
            "window": {
                "id": "2026-11-20",
                "timezone": "UTC",
                "start": "2026-11-20T00:00:00Z",
                "end": "2026-11-21T00:00:00Z",
                "start_local": "2026-11-20T00:00:00+00:00",
                "end_local": "2026-11-21T00:00:00+00:00",
                "provisional": false,
            },
            "started_at": "2026-11-21T12:30:00Z",
            "finished_at": "2026-11-21T12:31:00Z",
            "as_of": "2026-11-21T12:30:01Z",
            "exports": [{
                "log_group": "/svc/a",
                "task_id": "0",
                "prefix": "s3://acme-logs/exports/night/2026-11-20/%2Fsvc%2Fa/attempt=0",
                "reused": false,
                "objects": 1,
                "bytes": 10,
            }],
            "skipped_log_groups": [],
            "read": {
                "objects": 1,
                "bytes": 10,
                "events": 2,
                "invalid_utf8_events": 0,
                "lines_before_first_timestamp": 0,
            },
            "verification": null,
            "redos": 1,
            "change": { "since": null, "was_provisional": true, "events_before": 3, "events": -1 },
            "outputs": [{
                "kind": "parquet",
                "query": "total",
                "location": "s3://acme-answers/night/total/dt=2026-11-20/total.parquet",
                "key": "night/total/dt=2026-11-20/total.parquet",
                "etag": "\"0\"",
                "rows": 1,
                "bytes": 100,
            }],
            "seconds": { "export": 1.5 },
            "job_sha256": "0",
            "source_sha256": "0",
            "version": "0.1.0",
        });
        let receipt: Receipt = serde_json::from_value(written.clone()).unwrap();
        assert_eq!((receipt.reexports, receipt.read.events), (1, 2));
        assert_eq!(json!(receipt), written);
        // Keys of later versions.
        let mut newer = written.clone();
        newer["exports"][0]["as_of"] = json!("2026-11-21T12:30:01Z");
        newer["exports"][0]["hours"] = json!("2-0000abcd 0*23");
        let receipt: Receipt = serde_json::from_value(newer.clone()).unwrap();
        assert_eq!(json!(receipt), newer);
        // One of before these keys were there.
        let mut old = written;
        for key in ["verification", "redos", "change"] {
            old.as_object_mut().and_then(|old| old.remove(key));
        }
        let receipt: Receipt = serde_json::from_value::<Receipt>(old).unwrap();
        assert_eq!(receipt.reexports, 0);
        assert_eq!(json!(receipt)["verification"], Value::Null);
    }
}
