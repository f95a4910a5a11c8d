//! A run's metrics in CloudWatch's embedded metric format: one line of JSON for each window, of which CloudWatch Logs makes
//! metrics by itself.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::error::{Class, Error};
use crate::receipt::{ExportReport, Receipt};
use crate::scan::Hours;

/// The dimensions of every metric.
pub const DIMENSIONS: [&str; 2] = ["job", "outcome"];

/// The dimension that the metrics of a single source have besides.
pub const OF_SOURCE: &str = "source";

/// A metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The name.
    pub name: &'static str,
    /// CloudWatch's name of its unit.
    pub unit: &'static str,
    /// What it is, for the documentation.
    pub meaning: &'static str,
    /// Its value, if the run has one.
    value: fn(&Ended<'_>) -> Option<f64>,
}

/// Every metric, in the order of the documentation.
pub const METRICS: [Metric; 14] = [
    Metric {
        name: "Runs",
        unit: "Count",
        meaning: "1 for each window that ended",
        value: |_| Some(1.0),
    },
    Metric {
        name: "Events",
        unit: "Count",
        meaning: "the events of the window",
        value: |run| run.receipt().map(|receipt| receipt.read.events as f64),
    },
    Metric {
        name: "Objects",
        unit: "Count",
        meaning: "the exported objects that were read",
        value: |run| run.done().map(|receipt| receipt.read.objects as f64),
    },
    Metric {
        name: "CompressedBytes",
        unit: "Bytes",
        meaning: "the compressed bytes that were read",
        value: |run| run.done().map(|receipt| receipt.read.bytes as f64),
    },
    Metric {
        name: "WrittenBytes",
        unit: "Bytes",
        meaning: "the bytes of answers and charts",
        value: |run| {
            let bytes = |receipt: &Receipt| receipt.outputs.iter().map(|output| output.bytes).sum();
            run.done().map(|receipt| {
                let sum: u64 = bytes(receipt);
                sum as f64
            })
        },
    },
    Metric {
        name: "Duration",
        unit: "Seconds",
        meaning: "the time from the begin of the run to its last answer",
        value: |run| {
            let took = |receipt: &Receipt| receipt.finished_at - receipt.started_at;
            run.done().map(|receipt| took(receipt).as_seconds_f64())
        },
    },
    Metric {
        name: "ExportDuration",
        unit: "Seconds",
        meaning: "the part of it that the export took, with the wait for the export slot",
        value: |run| run.done()?.seconds.get("export").copied(),
    },
    Metric {
        name: "QueryDuration",
        unit: "Seconds",
        meaning: "the part of it that the queries took",
        value: |run| run.done()?.seconds.get("query").copied(),
    },
    Metric {
        name: "Delay",
        unit: "Seconds",
        meaning: "the time from the end of the window to its last answer",
        value: |run| {
            let behind = |receipt: &Receipt| receipt.finished_at - receipt.window.end;
            run.done()
                .map(|receipt| behind(receipt).as_seconds_f64().max(0.0))
        },
    },
    Metric {
        name: "OddEvents",
        unit: "Count",
        meaning: "events that are not UTF-8, and lines that belong to no event",
        value: |run| {
            let read = |receipt: &Receipt| {
                receipt.read.invalid_utf8_events + receipt.read.lines_before_first_timestamp
            };
            run.done().map(|receipt| read(receipt) as f64)
        },
    },
    Metric {
        name: "Provisional",
        unit: "Count",
        meaning: "1 if late events may still change the answers, else 0",
        value: |run| {
            run.receipt()
                .map(|receipt| flag(receipt.window.provisional))
        },
    },
    Metric {
        name: "NotVerified",
        unit: "Count",
        meaning: "1 if the job asks for an independent count that does not confirm the answers, else 0",
        value: |run| {
            let verification = run.receipt()?.verification.as_ref();
            let is_doubtful = verification.is_some_and(|count| count.agrees != Some(true));
            Some(flag(is_doubtful))
        },
    },
    Metric {
        name: "BrokenExpectations",
        unit: "Count",
        meaning: "the expectations that the answers break",
        value: |run| run.receipt().map(|receipt| receipt.broken().count() as f64),
    },
    Metric {
        name: "PeakMemory",
        unit: "Bytes",
        meaning: "the most memory that the process has had, where the system reports it",
        value: |run| run.peak_memory.map(|bytes| bytes as f64),
    },
];

fn flag(is_set: bool) -> f64 {
    f64::from(u8::from(is_set))
}

/// How the run of a window ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// The job's name.
    pub job: &'a str,
    /// The window's id, if the run came so far.
    pub window: Option<&'a str>,
    /// The receipt, or what went wrong.
    pub result: Result<&'a Receipt, &'a Error>,
    /// Whether the window was done before.
    pub skipped: bool,
    /// The most memory that the process has had.
    pub peak_memory: Option<u64>,
}

impl<'a> Ended<'a> {
    /// The receipt, also that of an earlier run.
    fn receipt(&self) -> Option<&'a Receipt> {
        self.result.ok()
    }

    /// The receipt of this run.
    fn done(&self) -> Option<&'a Receipt> {
        self.result.ok().filter(|_| !self.skipped)
    }

    /// The value of the dimension `outcome`.
    pub fn outcome(&self) -> &'static str {
        match self.result {
            Ok(_) if self.skipped => "skipped",
            Ok(_) => "done",
            Err(error) => match error.class() {
                Class::Held => "held",
                Class::Interrupted | Class::Terminated => "stopped",
                _ => "failed",
            },
        }
    }

    /// The line of the log, as JSON.
    pub fn document(&self, namespace: &str, now: DateTime<Utc>) -> Value {
        let mut found = Vec::new();
        for metric in METRICS {
            found.extend((metric.value)(self).map(|value| (metric.name, metric.unit, value)));
        }
        self.line((namespace, now), &DIMENSIONS, &found)
    }

    /// A further line for each source, of a job that has several. CloudWatch adds up no metrics of other dimensions, so these
    /// have the names of those of the whole window.
    pub fn documents_of_sources(&self, namespace: &str, now: DateTime<Utc>) -> Vec<Value> {
        let Some(receipt) = self.receipt() else {
            return Vec::new();
        };
        let [job, outcome] = DIMENSIONS;
        let documents = receipt.sources.iter().map(|source| {
            let exports = receipt.exports.iter();
            let own: Vec<&ExportReport> = exports
                .filter(|export| export.source == Some(source.number))
                .collect();
            let hours = own.iter().filter_map(|export| export.hours.as_ref());
            let events: u64 = hours.map(Hours::events).sum();
            let mut found = vec![("Events", "Count", events as f64)];
            if self.done().is_some() {
                let objects: usize = own.iter().map(|export| export.objects).sum();
                let bytes: u64 = own.iter().map(|export| export.bytes).sum();
                found.push(("Objects", "Count", objects as f64));
                found.push(("CompressedBytes", "Bytes", bytes as f64));
            }
            let mut line = self.line((namespace, now), &[job, outcome, OF_SOURCE], &found);
            let name = source.name.clone();
            line[OF_SOURCE] = name.unwrap_or_else(|| source.number.to_string()).into();
            line
        });
        documents.collect()
    }

    /// A line with these metrics: the name, the unit and the value of each.
    fn line(
        &self,
        (namespace, now): (&str, DateTime<Utc>),
        dimensions: &[&str],
        found: &[(&str, &str, f64)],
    ) -> Value {
        let mut metrics = Vec::new();
        let mut values = Map::new();
        for (name, unit, value) in found {
            metrics.push(json!({"Name": name, "Unit": unit}));
            values.insert((*name).to_owned(), number(*value));
        }
        let mut document = json!({
            "_aws": {
                "Timestamp": now.timestamp_millis(),
                "CloudWatchMetrics": [{
                    "Namespace": namespace,
                    "Dimensions": [dimensions],
                    "Metrics": metrics,
                }],
            },
            "job": self.job,
            "outcome": self.outcome(),
        });
        if let Value::Object(root) = &mut document {
            // Properties, which CloudWatch Logs keeps and makes no metrics of.
            if let Some(window) = self.window {
                root.insert("window".to_owned(), window.into());
            }
            if let Err(error) = self.result {
                root.insert("exit_code".to_owned(), error.class().exit_code().into());
            }
            root.extend(values);
        }
        document
    }
}

/// A whole number without a fraction.
fn number(value: f64) -> Value {
    match value.fract() == 0.0 && value.abs() < 9e15 {
        true => json!(value as i64),
        false => json!(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn failed(class: Class) -> Error {
        Error::new(class, "refused")
    }

    fn of(error: &Error) -> Value {
        let ended = Ended {
            job: "night",
            window: Some("2026-11-20"),
            result: Err(error),
            skipped: false,
            peak_memory: Some(1 << 20),
        };
        ended.document("logtally", DateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_failure_has_the_metrics_that_it_can_have() {
        let directive = json!({
            "Namespace": "logtally",
            "Dimensions": [["job", "outcome"]],
            "Metrics": [
                {"Name": "Runs", "Unit": "Count"},
                {"Name": "PeakMemory", "Unit": "Bytes"},
            ],
        });
        assert_eq!(
            of(&failed(Class::Source)),
            json!({
                "_aws": {"Timestamp": 0, "CloudWatchMetrics": [directive]},
                "job": "night",
                "outcome": "failed",
                "window": "2026-11-20",
                "exit_code": 4,
                "Runs": 1,
                "PeakMemory": 1_048_576,
            })
        );
        assert_eq!(of(&failed(Class::Held))["outcome"], "held");
        assert_eq!(of(&failed(Class::Terminated))["outcome"], "stopped");
    }

    /// The receipt of two sources, of which the second has two log groups.
    fn of_two_sources() -> Receipt {
        let export = |source: u32, hours: &str| {
            json!({
                "source": source, "log_group": "/svc/a", "task_id": null, "prefix": "", "reused": false, "objects": 2,
                "bytes": 100, "hours": hours,
            })
        };
        let day = "2026-11-20T00:00:00Z";
        let receipt = json!({
            "status": "done",
            "job": "night",
            "window": {
                "id": "2026-11-20", "timezone": "UTC", "start": day, "end": day, "start_local": "", "end_local": "",
                "provisional": false,
            },
            "started_at": day,
            "finished_at": day,
            "as_of": day,
            "sources": [
                {"number": 1, "location": "s3://acme-logs/exports"},
                {"number": 2, "name": "seoul", "location": "s3://acme-logs/exports"},
            ],
            "exports": [
                export(1, "3-00000001*24"),
                export(2, "5-00000001 0*23"),
                export(2, "7-00000001 0*23"),
            ],
            "skipped_log_groups": [],
            "read": {
                "objects": 6, "bytes": 300, "events": 84, "invalid_utf8_events": 0, "lines_before_first_timestamp": 0,
            },
            "outputs": [],
            "seconds": {},
            "job_sha256": "",
            "source_sha256": "",
            "version": "",
        });
        serde_json::from_value(receipt).unwrap()
    }

    #[test]
    fn each_of_several_sources_has_a_line_of_its_own() {
        let receipt = of_two_sources();
        let ended = |skipped: bool| Ended {
            job: "night",
            window: Some("2026-11-20"),
            result: Ok(&receipt),
            skipped,
            peak_memory: None,
        };
        let now = DateTime::UNIX_EPOCH;
        let lines = ended(false).documents_of_sources("logtally", now);
        let found: Vec<[&Value; 4]> = lines
            .iter()
            .map(|line| ["source", "Events", "Objects", "CompressedBytes"].map(|key| &line[key]))
            .collect();
        assert_eq!(
            json!(found),
            json!([["1", 72, 2, 100], ["seoul", 12, 4, 200]])
        );
        let directive = &lines[0]["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(
            directive["Dimensions"],
            json!([["job", "outcome", "source"]])
        );
        assert_eq!(directive["Metrics"].as_array().map(Vec::len), Some(3));
        // A window that was done before has read nothing.
        let lines = ended(true).documents_of_sources("logtally", now);
        assert_eq!(
            (&lines[1]["Events"], &lines[1]["Objects"]),
            (&json!(12), &Value::Null)
        );
        // A job of one source has the line of the window alone.
        let mut of_one = receipt.clone();
        of_one.sources.clear();
        let ended = Ended {
            result: Ok(&of_one),
            ..ended(false)
        };
        assert!(ended.documents_of_sources("logtally", now).is_empty());
    }

    #[test]
    fn names_are_the_formats_own() {
        let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len(), "a name is there twice");
        for metric in METRICS {
            assert!(!DIMENSIONS.contains(&metric.name) && metric.name != OF_SOURCE);
            assert!(
                ["Count", "Bytes", "Seconds"].contains(&metric.unit),
                "{metric:?}"
            );
        }
    }
}
