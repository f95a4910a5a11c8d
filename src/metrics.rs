//! A run's metrics in CloudWatch's embedded metric format: one line of JSON for each window, of which CloudWatch Logs makes
//! metrics by itself.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::error::{Class, Error};
use crate::receipt::Receipt;

/// The dimensions of every metric.
pub const DIMENSIONS: [&str; 2] = ["job", "outcome"];

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
        let mut metrics = Vec::new();
        let mut values = Map::new();
        for metric in METRICS {
            if let Some(value) = (metric.value)(self) {
                metrics.push(json!({"Name": metric.name, "Unit": metric.unit}));
                values.insert(metric.name.to_owned(), number(value));
            }
        }
        let mut document = json!({
            "_aws": {
                "Timestamp": now.timestamp_millis(),
                "CloudWatchMetrics": [{
                    "Namespace": namespace,
                    "Dimensions": [DIMENSIONS],
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

    #[test]
    fn names_are_the_formats_own() {
        let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len(), "a name is there twice");
        for metric in METRICS {
            assert!(!DIMENSIONS.contains(&metric.name));
            assert!(
                ["Count", "Bytes", "Seconds"].contains(&metric.unit),
                "{metric:?}"
            );
        }
    }
}
