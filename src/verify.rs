//! An independent count of a window's events, to compare the exported ones with.
//!
//! Two counts do not depend on exports: CloudWatch's metric of incoming events, nearly free, but by
//! ingestion time; and an Insights query, exact, which costs money. Neither can fail a run: where there is
//! no count, the verification says why.

mod insights;
mod metrics;
mod verifier;

#[cfg(any(test, feature = "testing"))]
pub mod fake;

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::aws::logs::{LogsClient, ServiceError, ServiceErrorKind};
use crate::aws::metrics::MetricsClient;
use crate::aws::{Account, Aws};
use crate::clock::Clock;
use crate::error::Result;
use crate::job::Verify;
use crate::numbers::counted;
use crate::window::Range;

pub use self::verifier::Verifier;
pub use crate::aws::logs::InsightsState;
pub use crate::aws::metrics::Sample;

/// The most hours with different counts that a note names.
const NAMED_HOURS: usize = 5;

/// How an independent count compares with what was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The method of the independent count.
    pub method: Verify,
    /// The independent count; `None` without one.
    pub expected: Option<u64>,
    /// How many events of the window were exported.
    pub counted: u64,
    /// By how much the two may differ.
    pub tolerance: u64,
    /// Whether the two agree; `None` where there is no independent count.
    pub agrees: Option<bool>,
    /// The independent count by hour of event time, in order, without empty hours; empty where the method has no hours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_hour: Vec<HourCount>,
    /// Why they disagree, or why there is no count.
    pub note: Option<String>,
}

impl Verification {
    /// The same of exports that have events which CloudWatch has deleted since: that an Insights query counts fewer does
    /// not speak against them, nor for them.
    #[must_use]
    pub fn of_deleted_events(self, counted_by_hour: &[HourCount]) -> Self {
        let has_all = |hour: &HourCount| {
            let mut counted = counted_by_hour.iter();
            counted
                .any(|counted| counted.hour_utc == hour.hour_utc && hour.events <= counted.events)
        };
        let is_fewer = self.method == Verify::Insights
            && self.agrees == Some(false)
            && self.by_hour.iter().all(has_all);
        if !is_fewer {
            return self;
        }
        let note = "CloudWatch has deleted some of these events since they were exported";
        Self {
            agrees: None,
            note: Some(
                self.note
                    .map_or(note.to_owned(), |why| format!("{why}: {note}")),
            ),
            ..self
        }
    }
}

/// The events of one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourCount {
    /// The start of the hour; hours are UTC's.
    pub hour_utc: DateTime<Utc>,
    /// How many events.
    pub events: u64,
}

/// What to count, and the exported counts to compare with.
#[derive(Debug, Clone, Copy)]
pub struct VerifyRequest<'a> {
    /// The method.
    pub method: Verify,
    /// The log groups that were exported.
    pub log_groups: &'a [String],
    /// Only the streams whose name begins with this prefix.
    pub log_stream_prefix: Option<&'a str>,
    /// The window.
    pub range: Range,
    /// How many events of the window were exported.
    pub counted: u64,
    /// The same by hour of event time, in any order, without empty hours; empty where not known.
    pub counted_by_hour: &'a [HourCount],
}

/// A service that counts: CloudWatch, or a fake.
#[async_trait]
pub trait IndependentCount: Send + Sync {
    /// The events that came into the log groups, by periods of `period_s` seconds that begin in `range`. A period
    /// without events has no sample.
    async fn incoming(
        &self,
        log_groups: &[String],
        range: Range,
        period_s: i32,
    ) -> Result<Vec<Sample>, ServiceError>;

    /// Starts an Insights query over whole seconds since 1970, both ends included, and returns its id.
    async fn start_query(
        &self,
        log_groups: &[String],
        from_s: i64,
        to_s: i64,
        query: &str,
    ) -> Result<String, ServiceError>;

    /// The state of an Insights query.
    async fn query_state(&self, id: &str) -> Result<InsightsState, ServiceError>;

    /// Stops an Insights query.
    async fn stop_query(&self, id: &str) -> Result<(), ServiceError>;
}

/// The counts of CloudWatch.
pub struct CloudWatchCount {
    metrics: MetricsClient,
    logs: LogsClient,
}

impl CloudWatchCount {
    /// With the credentials for the logs of an account.
    pub async fn new(aws: &Aws, account: Account) -> Result<Self> {
        Ok(Self {
            metrics: MetricsClient::new(aws, account).await?,
            logs: LogsClient::new(aws, account).await?,
        })
    }
}

#[async_trait]
impl IndependentCount for CloudWatchCount {
    async fn incoming(
        &self,
        log_groups: &[String],
        range: Range,
        period_s: i32,
    ) -> Result<Vec<Sample>, ServiceError> {
        let metrics = &self.metrics;
        metrics
            .incoming_log_events(log_groups, range, period_s)
            .await
    }

    async fn start_query(
        &self,
        log_groups: &[String],
        from_s: i64,
        to_s: i64,
        query: &str,
    ) -> Result<String, ServiceError> {
        self.logs
            .start_insights(log_groups, from_s, to_s, query)
            .await
    }

    async fn query_state(&self, id: &str) -> Result<InsightsState, ServiceError> {
        self.logs.insights(id).await
    }

    async fn stop_query(&self, id: &str) -> Result<(), ServiceError> {
        self.logs.stop_insights(id).await
    }
}

/// Counts a window's events independently; `None` where the job asks for no count. Never fails: after a missing
/// permission, or without an answer, the window is unverified, with a note.
pub async fn verify(
    service: &dyn IndependentCount,
    clock: &dyn Clock,
    request: &VerifyRequest<'_>,
) -> Option<Verification> {
    let count = match request.method {
        Verify::Off => return None,
        // No log group can have events of the window.
        _ if request.log_groups.is_empty() => Ok(Count::default()),
        Verify::Metrics => metrics::count(service, clock.now(), request).await,
        Verify::Insights => insights::count(service, clock, request).await,
    };
    Some(request.compare(count))
}

/// An independent count.
#[derive(Debug, Default)]
struct Count {
    events: u64,
    tolerance: u64,
    by_hour: Vec<HourCount>,
}

impl VerifyRequest<'_> {
    fn compare(&self, count: Result<Count, String>) -> Verification {
        let Self {
            method, counted, ..
        } = *self;
        match count {
            Err(reason) => Verification {
                method,
                expected: None,
                counted,
                tolerance: 0,
                agrees: None,
                by_hour: Vec::new(),
                note: Some(reason),
            },
            Ok(count) => {
                let note = if counted.abs_diff(count.events) > count.tolerance {
                    Some(self.disagreement(count.events) + &self.hours_apart(&count.by_hour))
                } else {
                    // Events lost from one hour and doubled in another leave the sum as it is.
                    match self.hours_apart(&count.by_hour) {
                        none if none.is_empty() => None,
                        hours => Some(format!("the sum is the same{hours}")),
                    }
                };
                Verification {
                    method,
                    expected: Some(count.events),
                    counted,
                    tolerance: count.tolerance,
                    agrees: Some(note.is_none()),
                    by_hour: count.by_hour,
                    note,
                }
            }
        }
    }

    /// The hours whose counts differ, as the end of a sentence; empty where none differs or the hours are not known.
    fn hours_apart(&self, expected: &[HourCount]) -> String {
        if self.method != Verify::Insights || self.counted_by_hour.is_empty() {
            return String::new();
        }
        let mut hours: BTreeMap<DateTime<Utc>, (u64, u64)> = BTreeMap::new();
        for hour in self.counted_by_hour {
            hours.entry(hour.hour_utc).or_default().0 += hour.events;
        }
        for hour in expected {
            hours.entry(hour.hour_utc).or_default().1 += hour.events;
        }
        hours.retain(|_, (counted, expected)| counted != expected);
        let named: Vec<String> = hours
            .iter()
            .take(NAMED_HOURS)
            .map(|(hour, (counted, expected))| {
                format!(
                    "{} ({counted}, not {expected})",
                    hour.format("%Y-%m-%dT%HZ")
                )
            })
            .collect();
        match (named.is_empty(), hours.len().saturating_sub(NAMED_HOURS)) {
            (true, _) => String::new(),
            (false, 0) => format!("; hours that differ: {}", named.join(", ")),
            (false, more) => format!("; hours that differ: {} and {more} more", named.join(", ")),
        }
    }

    fn disagreement(&self, expected: u64) -> String {
        let difference = counted(self.counted.abs_diff(expected), "event");
        match (self.counted < expected, self.method) {
            (true, _) => format!(
                "{difference} fewer than CloudWatch has: some were not exported yet, or have expired since"
            ),
            (false, Verify::Metrics) => format!(
                "{difference} more than came in during the window: they came in long after their time, or are counted twice"
            ),
            (false, _) => format!(
                "{difference} more than CloudWatch has now: some have expired since they were exported, or are counted twice"
            ),
        }
    }
}

fn refused(error: &ServiceError) -> String {
    match error.kind {
        ServiceErrorKind::Refused => format!(
            "CloudWatch refused to count: {}. `logtally init` prints the policy that the role needs",
            error.message
        ),
        _ => format!("CloudWatch could not count: {}", error.message),
    }
}

#[cfg(test)]
mod tests;
