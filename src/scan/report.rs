//! What scans have read: a value that is summed over the processes that share a scan, and that the receipt holds.

use std::iter::Sum;
use std::ops::AddAssign;
use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;
use serde::{Deserialize, Serialize};

use super::object::counters;

/// What a scan has read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanReport {
    /// Objects read to their end.
    pub objects: usize,
    /// Their compressed bytes.
    pub bytes: u64,
    /// Events of the window in these objects.
    pub events: u64,
    /// Those whose message is not UTF-8, and got replacement characters.
    pub invalid_utf8_events: u64,
    /// Lines before an object's first timestamp, which belong to no event.
    pub lines_before_first_timestamp: u64,
}

impl AddAssign for ScanReport {
    fn add_assign(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.events += other.events;
        self.invalid_utf8_events += other.invalid_utf8_events;
        self.lines_before_first_timestamp += other.lines_before_first_timestamp;
    }
}

impl Sum for ScanReport {
    fn sum<I: Iterator<Item = Self>>(reports: I) -> Self {
        reports.fold(Self::default(), |mut total, report| {
            total += report;
            total
        })
    }
}

/// What each scan of a plan has read, in the plan's order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScanReports(Vec<ScanReport>);

impl ScanReports {
    /// What the scans of a plan have read in this process; it grows while the plan runs.
    pub fn of(plan: &Arc<dyn ExecutionPlan>) -> Self {
        let mut reports = Self::default();
        reports.collect(plan);
        reports
    }

    /// Adds what another process has read of the same scans.
    pub fn merge(&mut self, other: &Self) {
        let scans = self.0.len().max(other.0.len());
        self.0.resize(scans, ScanReport::default());
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            *own += *other;
        }
    }

    /// How many scans there are.
    pub fn scans(&self) -> usize {
        self.0.len()
    }

    /// What all scans have read together.
    pub fn total(&self) -> ScanReport {
        self.0.iter().copied().sum()
    }

    /// The report of a scan that has read all of `objects`, the first if there are several.
    pub fn complete(&self, objects: usize) -> Option<ScanReport> {
        let mut reports = self.0.iter().copied();
        reports.find(|report| report.objects == objects)
    }

    fn collect(&mut self, plan: &Arc<dyn ExecutionPlan>) {
        if let Some(metrics) = plan.metrics()
            && let Some(objects) = metrics.sum_by_name(counters::OBJECTS)
        {
            let count = |name| {
                metrics
                    .sum_by_name(name)
                    .map_or(0, |value| value.as_usize() as u64)
            };
            self.0.push(ScanReport {
                objects: objects.as_usize(),
                bytes: count(counters::BYTES),
                events: count(counters::EVENTS),
                invalid_utf8_events: count(counters::INVALID_UTF8),
                lines_before_first_timestamp: count(counters::STRAY_LINES),
            });
        }
        for child in plan.children() {
            self.collect(child);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(objects: usize, events: u64) -> ScanReport {
        ScanReport {
            objects,
            bytes: 10 * objects as u64,
            events,
            invalid_utf8_events: 1,
            lines_before_first_timestamp: 2,
        }
    }

    /// Two processes share the first scan, and one of them has the second.
    #[test]
    fn what_processes_have_read_is_summed_scan_by_scan() {
        let mut reports = ScanReports(vec![report(2, 20)]);
        let elsewhere = ScanReports(vec![report(3, 30), report(1, 7)]);
        let sent = serde_json::to_string(&elsewhere).unwrap();
        reports.merge(&serde_json::from_str(&sent).unwrap());
        assert_eq!(reports.scans(), 2);
        let whole = reports.complete(5).unwrap();
        assert_eq!((whole.bytes, whole.events), (50, 50));
        assert_eq!(
            (
                whole.invalid_utf8_events,
                whole.lines_before_first_timestamp
            ),
            (2, 4)
        );
        assert_eq!(reports.complete(2), None);
        assert_eq!(reports.total().events, 57);
    }
}
