//! What the scans of a plan have read, from the plan's metrics.

use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;

use super::object::counters;

/// What a scan has read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// Objects read to their end.
    pub objects: usize,
    /// Their compressed bytes.
    pub bytes: u64,
    /// Events of the window in these objects.
    pub events: u64,
    /// Those whose message is not UTF-8.
    pub invalid_utf8_events: u64,
    /// Lines before an object's first timestamp.
    pub lines_before_first_timestamp: u64,
}

impl ScanReport {
    /// What each scan of a plan has read so far.
    pub fn of_each(plan: &Arc<dyn ExecutionPlan>) -> Vec<Self> {
        let mut reports = Vec::new();
        collect(plan, &mut reports);
        reports
    }
}

fn collect(plan: &Arc<dyn ExecutionPlan>, reports: &mut Vec<ScanReport>) {
    if let Some(metrics) = plan.metrics()
        && let Some(objects) = metrics.sum_by_name(counters::OBJECTS)
    {
        let count = |name| {
            metrics
                .sum_by_name(name)
                .map_or(0, |value| value.as_usize() as u64)
        };
        reports.push(ScanReport {
            objects: objects.as_usize(),
            bytes: count(counters::BYTES),
            events: count(counters::EVENTS),
            invalid_utf8_events: count(counters::INVALID_UTF8),
            lines_before_first_timestamp: count(counters::STRAY_LINES),
        });
    }
    for child in plan.children() {
        collect(child, reports);
    }
}
