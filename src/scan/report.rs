//! What scans have read: values that are merged over the processes that share a scan. The receipt holds one of them.

use std::iter::Sum;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::physical_plan::ExecutionPlan;
use serde::{Deserialize, Serialize};

use super::object::counters;
use crate::numbers::counted;

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
    /// Events of any time that are more than two weeks older than the event before them in their object.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub backdated_events: u64,
    /// Further copies of events of the window, which a subscription delivered more than once. They are not in `events`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub duplicate_events: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl ScanReport {
    /// Warns once of what is odd, with the counts.
    pub fn warn(&self, window: Option<&str>, oddities: &[String]) {
        // A field without a value is left out.
        let count = |number: u64| (number > 0).then_some(number);
        if !oddities.is_empty() {
            tracing::warn!(
                window,
                invalid_utf8_events = count(self.invalid_utf8_events),
                lines_before_first_timestamp = count(self.lines_before_first_timestamp),
                backdated_events = count(self.backdated_events),
                "{}",
                oddities.join("; ")
            );
        }
    }

    /// What is odd about it, each as a sentence without a stop.
    pub fn oddities(&self) -> Vec<String> {
        let mut odd = Vec::new();
        if self.invalid_utf8_events > 0 {
            odd.push(format!(
                "{} not UTF-8, and shown with replacement characters",
                match self.invalid_utf8_events {
                    1 => "1 event is".to_owned(),
                    events => format!("{} are", counted(events, "event")),
                }
            ));
        }
        if self.lines_before_first_timestamp > 0 {
            odd.push(format!(
                "{} before the first timestamp of an object, which belong to no event",
                counted(self.lines_before_first_timestamp, "line")
            ));
        }
        if self.backdated_events > 0 {
            let which = match self.backdated_events {
                1 => "1 event is more than two weeks older than the one before it".to_owned(),
                events => format!(
                    "{} are more than two weeks older than those before them",
                    counted(events, "event")
                ),
            };
            odd.push(format!(
                "{which}: in the log of a program that logs the output of another one, lines that begin like an event"
            ));
        }
        odd
    }
}

impl AddAssign for ScanReport {
    fn add_assign(&mut self, other: Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.events += other.events;
        self.invalid_utf8_events += other.invalid_utf8_events;
        self.lines_before_first_timestamp += other.lines_before_first_timestamp;
        self.backdated_events += other.backdated_events;
        self.duplicate_events += other.duplicate_events;
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
                backdated_events: count(counters::BACKDATED),
                duplicate_events: count(counters::DUPLICATES),
            });
        }
        for child in plan.children() {
            self.collect(child);
        }
    }
}

/// What was read of one object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectReport {
    /// Its compressed bytes.
    pub bytes: u64,
    /// Its events of the window.
    pub events: u64,
    /// Those whose message is not UTF-8.
    pub invalid_utf8_events: u32,
    /// Lines before its first timestamp.
    pub lines_before_first_timestamp: u32,
    /// Events that are more than two weeks older than the one before them.
    pub backdated_events: u32,
    /// Further copies of events of the window.
    #[serde(default)]
    pub duplicate_events: u32,
}

impl From<ObjectReport> for ScanReport {
    fn from(report: ObjectReport) -> Self {
        Self {
            objects: 1,
            bytes: report.bytes,
            events: report.events,
            invalid_utf8_events: report.invalid_utf8_events.into(),
            lines_before_first_timestamp: report.lines_before_first_timestamp.into(),
            backdated_events: report.backdated_events.into(),
            duplicate_events: report.duplicate_events.into(),
        }
    }
}

/// Which objects of a table were read to their end, each by its place in the table's list.
///
/// A number of objects would not do: a query that reads three objects twelve times has read as many as one that reads
/// 36, and a damaged object among the other 33 would not be seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReadObjects(Vec<Option<ObjectReport>>);

impl ReadObjects {
    /// Notes an object. It counts once, however often it is read: every scan of a table finds the same events in it.
    pub fn add(&mut self, number: usize, report: ObjectReport) {
        if self.0.len() <= number {
            self.0.resize(number + 1, None);
        }
        self.0[number] = Some(report);
    }

    /// Adds what another process has read of the same table.
    pub fn merge(&mut self, other: &Self) {
        for (number, report) in other.0.iter().enumerate() {
            if let Some(report) = report {
                self.add(number, *report);
            }
        }
    }

    /// What was read of all `objects` of the table; `None` where one of them was not read to its end.
    pub fn complete(&self, objects: usize) -> Option<ScanReport> {
        let read = self.0.get(..objects)?;
        read.iter().map(|report| report.map(ScanReport::from)).sum()
    }

    /// What was read of the objects that were read to their end.
    pub fn total(&self) -> ScanReport {
        self.0.iter().flatten().copied().map(ScanReport::from).sum()
    }

    /// Whether the object was read.
    pub fn has(&self, number: usize) -> bool {
        self.0.get(number).is_some_and(Option::is_some)
    }

    /// How many different objects were read.
    pub fn count(&self) -> usize {
        self.0.iter().flatten().count()
    }
}

/// What all scans of a table have read in this process, while they run.
#[derive(Debug, Clone, Default)]
pub struct ReadLog(Arc<Mutex<ReadObjects>>);

impl ReadLog {
    /// Notes an object that was read to its end.
    pub(super) fn add(&self, number: usize, report: ObjectReport) {
        self.lock().add(number, report);
    }

    /// What was read of all `objects` of the table; `None` where one of them was not read to its end.
    pub fn complete(&self, objects: usize) -> Option<ScanReport> {
        self.lock().complete(objects)
    }

    /// What was read so far.
    pub fn read(&self) -> ReadObjects {
        self.lock().clone()
    }

    fn lock(&self) -> impl std::ops::DerefMut<Target = ReadObjects> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
            backdated_events: 1,
            duplicate_events: 1,
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
        let total = reports.total();
        assert_eq!((total.objects, total.bytes, total.events), (6, 60, 57));
        assert_eq!(
            (
                total.invalid_utf8_events,
                total.lines_before_first_timestamp
            ),
            (3, 6)
        );
    }

    #[test]
    fn an_object_counts_once_however_often_and_wherever_it_is_read() {
        let object = |events| ObjectReport {
            bytes: 10,
            events,
            invalid_utf8_events: 1,
            lines_before_first_timestamp: 2,
            backdated_events: 1,
            duplicate_events: 1,
        };
        let mut read = ReadObjects::default();
        for _ in 0..12 {
            read.add(0, object(5));
            read.add(2, object(7));
        }
        assert_eq!(read.count(), 2);
        assert_eq!(read.complete(3), None);
        let mut elsewhere = ReadObjects::default();
        elsewhere.add(1, object(1));
        elsewhere.add(2, object(7));
        let sent = serde_json::to_string(&elsewhere).unwrap();
        read.merge(&serde_json::from_str(&sent).unwrap());
        let whole = ScanReport {
            objects: 3,
            bytes: 30,
            events: 13,
            invalid_utf8_events: 3,
            lines_before_first_timestamp: 6,
            backdated_events: 3,
            duplicate_events: 3,
        };
        assert_eq!(read.complete(3), Some(whole));
        assert_eq!(read.complete(4), None);
        assert_eq!(
            ReadObjects::default().complete(0),
            Some(ScanReport::default())
        );
    }
}
