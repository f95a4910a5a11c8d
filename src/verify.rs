//! An independent count of a window's events, which the exported ones are held against.
//!
//! Two things count that have nothing to do with exports: CloudWatch's metric of incoming events, nearly free, but by
//! the time at which events came in, and an Insights query, exact, which costs money. Neither can fail a run: where a
//! count can't be had, the reason is noted.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::aws::Aws;
use crate::aws::logs::{LogsClient, ServiceError, ServiceErrorKind};
use crate::aws::metrics::MetricsClient;
use crate::clock::Clock;
use crate::error::Result;
use crate::export::deadline::Backoff;
use crate::job::Verify;
use crate::numbers::counted;
use crate::window::Range;

pub use crate::aws::logs::InsightsState;
pub use crate::aws::metrics::Sample;

#[cfg(any(test, feature = "testing"))]
pub mod fake;

/// Agents send events within minutes: what came in so soon after an edge of the window may belong to either side of it.
const LAG: TimeDelta = TimeDelta::minutes(5);

/// Metrics of the last minutes are not whole yet.
const METRICS_WHOLE_AFTER: TimeDelta = TimeDelta::minutes(15);

/// How long CloudWatch keeps a metric, a day less than it says, and in which periods (seconds).
const KEPT: [(TimeDelta, i32); 3] = [
    (TimeDelta::days(14), 60),
    (TimeDelta::days(62), 300),
    (COUNTED_FOR, 3600),
];

/// The longest of these.
const COUNTED_FOR: TimeDelta = TimeDelta::days(454);

/// One Insights query takes so many log groups.
const GROUPS_IN_A_QUERY: usize = 50;

/// How long to wait for each Insights query, which seldom takes a minute.
const INSIGHTS_PATIENCE: TimeDelta = TimeDelta::minutes(15);

/// A note names so many hours that differ.
const NAMED_HOURS: usize = 5;

/// Between looks at an Insights query.
const LOOK: Backoff = Backoff {
    first: Duration::from_secs(1),
    most: Duration::from_secs(10),
};

/// How an independent count compares with what was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// What counted.
    pub method: Verify,
    /// How many events it counted; `None` where no count could be had.
    pub expected: Option<u64>,
    /// How many events of the window were exported.
    pub counted: u64,
    /// By how much the two may differ.
    pub tolerance: u64,
    /// Whether they agree; `None` where no count could be had, or it can't be compared.
    pub agrees: Option<bool>,
    /// The independent count by hour of event time, in order, hours without events left out; empty where not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_hour: Vec<HourCount>,
    /// Why they disagree or can't be compared.
    pub note: Option<String>,
}

/// The events of one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourCount {
    /// The start of the hour; hours are UTC's.
    pub hour_utc: DateTime<Utc>,
    /// How many events.
    pub events: u64,
}

/// What is to be counted independently.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What is to count.
    pub method: Verify,
    /// The log groups that were exported.
    pub log_groups: &'a [String],
    /// Only streams whose name begins so.
    pub log_stream_prefix: Option<&'a str>,
    /// The window.
    pub range: Range,
    /// How many events of the window were exported.
    pub counted: u64,
    /// The same by hour of event time, in any order, hours without events left out; empty where not known.
    pub counted_by_hour: &'a [HourCount],
}

/// Who counts: CloudWatch, or a fake.
#[async_trait]
pub trait IndependentCount: Send + Sync {
    /// How many events came into the log groups, by periods of `period_s` seconds that begin in `range`. A period
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

    /// Where an Insights query stands.
    async fn query_state(&self, id: &str) -> Result<InsightsState, ServiceError>;

    /// Stops an Insights query.
    async fn stop_query(&self, id: &str) -> Result<(), ServiceError>;
}

/// CloudWatch as it counts.
pub struct CloudWatchCount {
    metrics: MetricsClient,
    logs: LogsClient,
}

impl CloudWatchCount {
    /// With the credentials for the logs.
    pub async fn new(aws: &Aws) -> Result<Self> {
        Ok(Self {
            metrics: MetricsClient::new(aws).await?,
            logs: LogsClient::new(aws).await?,
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

/// Has a window's events counted independently. `None` where the job asks for no count. Never fails: a missing
/// permission, or a service that does not answer, leaves the window unverified, with a note.
pub async fn verify(
    service: &dyn IndependentCount,
    clock: &dyn Clock,
    question: &Question<'_>,
) -> Option<Verification> {
    let count = match question.method {
        Verify::Off => return None,
        // Nothing was exported because nothing can be there.
        _ if question.log_groups.is_empty() => Ok(Count::default()),
        Verify::Metrics => by_metrics(service, clock.now(), question).await,
        Verify::Insights => by_insights(service, clock, question).await,
    };
    Some(question.compare(count))
}

/// An independent count.
#[derive(Debug, Default)]
struct Count {
    events: u64,
    tolerance: u64,
    by_hour: Vec<HourCount>,
}

impl Question<'_> {
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
                    // What is lost of one hour and doubled in another is the same in all.
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

    /// The hours whose counts differ, as the end of a sentence; nothing where none does, or the hours are not known.
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

async fn by_metrics(
    service: &dyn IndependentCount,
    now: DateTime<Utc>,
    question: &Question<'_>,
) -> Result<Count, String> {
    if let Some(prefix) = question.log_stream_prefix {
        return Err(format!(
            "the metric counts all streams of a log group, the job only those that begin with {prefix:?}: verify = \"insights\" can tell them apart"
        ));
    }
    let window = question.range;
    let now_ms = now.timestamp_millis();
    if now_ms < window.end_ms + METRICS_WHOLE_AFTER.num_milliseconds() {
        return Err(
            "the metric is not whole before 15 minutes after the end of the window".to_owned(),
        );
    }
    let age = TimeDelta::milliseconds(now_ms - window.start_ms);
    let period_s = KEPT
        .iter()
        .find(|(kept, _)| age <= *kept)
        .map(|(_, period_s)| *period_s)
        .ok_or_else(|| {
            format!(
                "the window began {} days ago: CloudWatch keeps its metrics for 455 days, and the last {} are counted",
                age.num_days(),
                COUNTED_FOR.num_days()
            )
        })?;
    let period_ms = i64::from(period_s) * 1000;
    let lag_ms = LAG.num_milliseconds().max(period_ms);
    let whole_periods = Range {
        start_ms: window.start_ms.div_euclid(period_ms) * period_ms,
        end_ms: (window.end_ms + lag_ms + period_ms - 1).div_euclid(period_ms) * period_ms,
    };
    let samples = service
        .incoming(question.log_groups, whole_periods, period_s)
        .await
        .map_err(|error| refused(&error))?;
    if samples.is_empty() && question.counted > 0 {
        return Err(
            "CloudWatch has no metric IncomingLogEvents of these log groups in the window"
                .to_owned(),
        );
    }
    Ok(Incoming {
        samples: &samples,
        period_ms,
        lag_ms,
    }
    .count(window))
}

/// The metric of incoming events of all log groups.
struct Incoming<'a> {
    samples: &'a [Sample],
    period_ms: i64,
    lag_ms: i64,
}

impl Incoming<'_> {
    /// How many events came in, of a period that is partly in the range the same part.
    fn during(&self, range: Range) -> f64 {
        let part = |sample: &Sample| {
            let period = Range {
                start_ms: sample.start_ms,
                end_ms: sample.start_ms + self.period_ms,
            };
            let common = period.intersect(range);
            match common.is_empty() {
                true => 0.0,
                false => {
                    sample.events * (common.end_ms - common.start_ms) as f64 / self.period_ms as f64
                }
            }
        };
        self.samples.iter().map(part).sum()
    }

    /// The window's events as far as the metric tells them. What came in within the lag after an edge of the window may
    /// have happened before that edge, so the larger of the two is the tolerance; a thousandth of all more may have
    /// come later still.
    fn count(&self, window: Range) -> Count {
        let events = self.during(window);
        let after = |edge_ms: i64| {
            self.during(Range {
                start_ms: edge_ms,
                end_ms: edge_ms + self.lag_ms,
            })
        };
        let mut tolerance = after(window.start_ms).max(after(window.end_ms)) + events / 1000.0;
        // Where in such a period the events were, nobody knows.
        for edge_ms in [window.start_ms, window.end_ms] {
            let period = edge_ms.div_euclid(self.period_ms) * self.period_ms;
            if period != edge_ms {
                tolerance += self.during(Range {
                    start_ms: period,
                    end_ms: period + self.period_ms,
                });
            }
        }
        Count {
            events: events.round() as u64,
            tolerance: tolerance.ceil() as u64,
            by_hour: Vec::new(),
        }
    }
}

async fn by_insights(
    service: &dyn IndependentCount,
    clock: &dyn Clock,
    question: &Question<'_>,
) -> Result<Count, String> {
    let query = insights_query(question.range, question.log_stream_prefix);
    let (from_s, to_s) = (
        question.range.start_ms.div_euclid(1000),
        question.range.end_ms.div_euclid(1000) + 1,
    );
    let mut hours: BTreeMap<DateTime<Utc>, u64> = BTreeMap::new();
    for log_groups in question.log_groups.chunks(GROUPS_IN_A_QUERY) {
        let deadline = clock.now() + INSIGHTS_PATIENCE;
        let id = patiently(clock, deadline, async || {
            service
                .start_query(log_groups, from_s, to_s, &query)
                .await
                .map(Some)
        })
        .await?;
        let state = patiently(clock, deadline, async || {
            let state = service.query_state(&id).await?;
            Ok((state != InsightsState::Running).then_some(state))
        })
        .await;
        let state = match state {
            Ok(state) => state,
            Err(reason) => {
                // It would go on scanning, which is what it costs.
                if let Err(error) = service.stop_query(&id).await {
                    tracing::warn!(
                        query = id,
                        error = error.message,
                        "could not stop an Insights query"
                    );
                }
                return Err(reason);
            }
        };
        let rows = match state {
            InsightsState::Complete(rows) => rows,
            InsightsState::Failed(state) => {
                return Err(format!("the Insights query ended as {state}"));
            }
            InsightsState::Running => Vec::new(),
        };
        for row in rows {
            let (hour, events) = hour_of(&row).ok_or_else(|| {
                format!("an Insights query answered a row without a count: {row:?}")
            })?;
            *hours.entry(hour).or_default() += events;
        }
    }
    Ok(Count {
        events: hours.values().sum(),
        tolerance: 0,
        by_hour: hours
            .into_iter()
            .map(|(hour_utc, events)| HourCount { hour_utc, events })
            .collect(),
    })
}

/// Asks until there is an answer, or the time is up.
async fn patiently<T>(
    clock: &dyn Clock,
    deadline: DateTime<Utc>,
    mut ask: impl AsyncFnMut() -> Result<Option<T>, ServiceError>,
) -> Result<T, String> {
    for attempt in 0.. {
        let waiting_for = match ask().await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => "the Insights query did not end in 15 minutes".to_owned(),
            // Too many queries at once are a limit too.
            Err(error) if error.kind.passes() || error.kind == ServiceErrorKind::SlotBusy => {
                refused(&error)
            }
            Err(error) => return Err(refused(&error)),
        };
        if clock.now() >= deadline {
            return Err(waiting_for);
        }
        clock.sleep(LOOK.delay(attempt, fastrand::f64())).await;
    }
    unreachable!("the loop ends with an answer or at the deadline")
}

/// Counts by hour. The interval is said once more in the query: that of the request is in whole seconds, and includes
/// its end.
fn insights_query(range: Range, log_stream_prefix: Option<&str>) -> String {
    let mut query = format!(
        "filter toMillis(@timestamp) >= {} and toMillis(@timestamp) < {}",
        range.start_ms, range.end_ms
    );
    if let Some(prefix) = log_stream_prefix {
        query += &format!(" | filter @logStream like /^{}/", literal(prefix));
    }
    query + " | stats count(*) as events by bin(1h)"
}

/// A text as a regular expression that matches just it.
fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.^$|()[]{}*+?/".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// The hour and the count of a row such as `bin(1h) = 2026-11-21 05:00:00.000, events = 12`.
fn hour_of(row: &[(String, String)]) -> Option<(DateTime<Utc>, u64)> {
    let (_, events) = row.iter().find(|(name, _)| name == "events")?;
    let (_, hour) = row.iter().find(|(name, _)| name.starts_with("bin("))?;
    let hour = NaiveDateTime::parse_from_str(hour, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    Some((hour.and_utc(), events.parse().ok()?))
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
mod tests {
    use super::fake::FakeCount;
    use super::*;
    use crate::clock::TestClock;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;

    fn ms(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().unwrap().timestamp_millis()
    }

    fn day() -> Range {
        let start_ms = ms("2026-11-21T00:00:00Z");
        Range {
            start_ms,
            end_ms: start_ms + DAY,
        }
    }

    static GROUPS: LazyLock<[String; 1]> = LazyLock::new(|| ["/ecs/web".to_owned()]);

    async fn ask<'a>(
        count: &FakeCount,
        method: Verify,
        now: &str,
        change: impl FnOnce(&mut Question<'a>),
    ) -> Verification {
        let clock = TestClock::at(now.parse().unwrap());
        let mut question = Question {
            method,
            log_groups: &*GROUPS,
            log_stream_prefix: None,
            range: day(),
            counted: 24 * 600,
            counted_by_hour: &[],
        };
        change(&mut question);
        verify(count, &clock, &question).await.unwrap()
    }

    /// Ten events a minute, from an hour before the day to an hour after it.
    fn steady() -> FakeCount {
        let count = FakeCount::default();
        for start_ms in (day().start_ms - HOUR..day().end_ms + HOUR).step_by(60_000) {
            count.came_in(start_ms, 10.0);
        }
        count
    }

    #[tokio::test]
    async fn the_metric_agrees_within_what_the_edges_leave_open() {
        let count = steady();
        let now = "2026-11-22T03:00:00Z";
        let found = ask(&count, Verify::Metrics, now, |_| ()).await;
        assert_eq!(found.expected, Some(14_400));
        // Five minutes of an edge, and a thousandth.
        assert_eq!(found.tolerance, 50 + 15);
        assert_eq!((found.agrees, found.note), (Some(true), None));
        let asked = Range {
            end_ms: day().end_ms + 5 * MINUTE,
            ..day()
        };
        assert_eq!(count.periods(), [(asked, 60)]);

        let lost = ask(&count, Verify::Metrics, now, |q| q.counted -= 600).await;
        assert_eq!(lost.agrees, Some(false));
        assert!(lost.note.unwrap().starts_with("600 events fewer"));
        let doubled = ask(&count, Verify::Metrics, now, |q| q.counted += 600).await;
        assert_eq!(doubled.agrees, Some(false));
        assert!(doubled.note.unwrap().starts_with("600 events more"));
    }

    #[tokio::test]
    async fn old_metrics_come_in_longer_periods_and_edges_between_them_stay_open() {
        let count = FakeCount::default();
        for start_ms in (day().start_ms - DAY..day().end_ms + DAY).step_by(3_600_000) {
            count.came_in(start_ms, 600.0);
        }
        // A day of Asia/Kolkata: its edges are in the middle of an hour of UTC.
        let range = Range {
            start_ms: day().start_ms - 5 * HOUR - HOUR / 2,
            end_ms: day().end_ms - 5 * HOUR - HOUR / 2,
        };
        let found = ask(&count, Verify::Metrics, "2027-03-01T00:00:00Z", |q| {
            q.range = range;
        });
        let found = found.await;
        assert_eq!(found.expected, Some(14_400));
        assert_eq!(found.tolerance, 600 + 600 + 600 + 15);
        let (asked, period) = count.periods()[0];
        assert_eq!(period, 3600);
        assert_eq!((asked.start_ms % HOUR, asked.end_ms % HOUR), (0, 0));
        let found = ask(&count, Verify::Metrics, "2026-12-20T00:00:00Z", |_| ());
        found.await;
        assert_eq!(count.periods()[1].1, 300);
    }

    #[tokio::test]
    async fn what_can_not_be_counted_is_unverified_with_the_reason() {
        let now = "2026-11-22T03:00:00Z";
        let count = steady();
        let unverified = |found: Verification, expected: &str| {
            let note = found.note.unwrap();
            assert!(note.contains(expected), "{note}");
            assert_eq!((found.agrees, found.expected), (None, None));
        };
        let found = ask(&count, Verify::Metrics, now, |q| {
            q.log_stream_prefix = Some("web/");
        });
        unverified(found.await, "web/");
        let found = ask(&count, Verify::Metrics, "2026-11-22T00:10:00Z", |_| ());
        unverified(found.await, "15 minutes");
        let found = ask(&count, Verify::Metrics, "2028-11-22T00:10:00Z", |_| ());
        unverified(found.await, "the window began 732 days ago");
        let found = ask(&count, Verify::Metrics, "2028-02-18T00:10:00Z", |_| ());
        unverified(found.await, "the window began 454 days ago");
        let silent = FakeCount::default();
        let found = ask(&silent, Verify::Metrics, now, |_| ());
        unverified(found.await, "no metric IncomingLogEvents");
        for method in [Verify::Metrics, Verify::Insights] {
            let denied = "is not authorized to perform (AccessDeniedException)";
            count.fail(1, ServiceErrorKind::Refused, denied);
            unverified(ask(&count, method, now, |_| ()).await, denied);
        }
        count.answers([InsightsState::Failed("Timeout".to_owned())]);
        unverified(ask(&count, Verify::Insights, now, |_| ()).await, "Timeout");
        // A query that never ends is stopped.
        assert!(count.stopped().is_empty());
        let found = ask(&count, Verify::Insights, now, |_| ()).await;
        unverified(found, "did not end in 15 minutes");
        assert_eq!(
            count.stopped(),
            [format!("query-{}", count.queries().len())]
        );
        count.fail(1_000, ServiceErrorKind::SlotBusy, "too many queries");
        unverified(
            ask(&count, Verify::Insights, now, |_| ()).await,
            "too many queries",
        );
    }

    #[tokio::test]
    async fn no_events_are_a_count_too() {
        let silent = FakeCount::default();
        let now = "2026-11-22T03:00:00Z";
        let found = ask(&silent, Verify::Metrics, now, |q| q.counted = 0).await;
        assert_eq!((found.expected, found.agrees), (Some(0), Some(true)));
        let found = ask(&silent, Verify::Insights, now, |q| {
            q.log_groups = &[];
            q.counted = 1;
        });
        assert_eq!(found.await.agrees, Some(false));
    }

    fn row(hour: &str, events: &str) -> Vec<(String, String)> {
        vec![
            ("bin(1h)".to_owned(), format!("2026-11-21 {hour}:00:00.000")),
            ("events".to_owned(), events.to_owned()),
        ]
    }

    #[tokio::test]
    async fn insights_counts_exactly_by_hour_and_over_any_number_of_groups() {
        let count = FakeCount::default();
        count.fail(3, ServiceErrorKind::Transient, "Rate exceeded");
        count.answers([
            InsightsState::Running,
            InsightsState::Complete(vec![row("05", "7"), row("00", "2")]),
            InsightsState::Complete(vec![row("05", "1")]),
        ]);
        let groups: Vec<String> = (0..60).map(|n| format!("/ecs/{n}")).collect();
        let found = ask(&count, Verify::Insights, "2026-11-22T03:00:00Z", |q| {
            q.log_groups = &groups;
            q.log_stream_prefix = Some("web/a.b[");
            q.counted = 10;
        });
        let found = found.await;
        assert_eq!((found.expected, found.tolerance), (Some(10), 0));
        assert_eq!(found.agrees, Some(true));
        let by_hour: Vec<(String, u64)> = found
            .by_hour
            .iter()
            .map(|hour| (hour.hour_utc.to_rfc3339(), hour.events))
            .collect();
        assert_eq!(
            by_hour,
            [
                ("2026-11-21T00:00:00+00:00".to_owned(), 2),
                ("2026-11-21T05:00:00+00:00".to_owned(), 8)
            ]
        );
        let queries = count.queries();
        assert_eq!(queries.len(), 2);
        let (groups, from_s, to_s, query) = &queries[0];
        assert_eq!(groups.len(), 50);
        assert_eq!(
            (*from_s, *to_s),
            (day().start_ms / 1000, day().end_ms / 1000 + 1)
        );
        assert_eq!(
            query,
            "filter toMillis(@timestamp) >= 1795219200000 and toMillis(@timestamp) < 1795305600000 \
             | filter @logStream like /^web\\/a\\.b\\[/ | stats count(*) as events by bin(1h)"
        );
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!(json["method"], "insights");
        assert_eq!(json["by_hour"][0]["hour_utc"], "2026-11-21T00:00:00Z");
        assert_eq!(serde_json::from_value::<Verification>(json).unwrap(), found);
    }

    fn hours(counts: impl IntoIterator<Item = (i64, u64)>) -> Vec<HourCount> {
        counts
            .into_iter()
            .map(|(hour, events)| HourCount {
                hour_utc: DateTime::from_timestamp_millis(day().start_ms + hour * HOUR).unwrap(),
                events,
            })
            .collect()
    }

    #[tokio::test]
    async fn what_one_hour_lacks_is_not_made_up_for_by_another() {
        let count = FakeCount::default();
        let rows = || InsightsState::Complete(vec![row("03", "600"), row("04", "600")]);
        let now = "2026-11-22T03:00:00Z";
        let ask = async |counted: u64, by_hour: Vec<HourCount>| {
            count.answers([rows()]);
            ask(&count, Verify::Insights, now, |q| {
                q.counted = counted;
                q.counted_by_hour = by_hour.leak();
            })
            .await
        };
        let same = ask(1200, hours([(4, 600), (3, 600)])).await;
        assert_eq!((same.agrees, same.note), (Some(true), None));
        let moved = ask(1200, hours([(3, 500), (4, 700)])).await;
        assert_eq!(moved.agrees, Some(false));
        assert_eq!(
            moved.note.unwrap(),
            "the sum is the same; hours that differ: 2026-11-21T03Z (500, not 600), 2026-11-21T04Z (700, not 600)"
        );
        let lost = ask(1100, hours([(3, 500), (4, 600)])).await;
        let note = lost.note.unwrap();
        assert!(note.starts_with("100 events fewer"), "{note}");
        assert!(note.ends_with("2026-11-21T03Z (500, not 600)"), "{note}");
        let elsewhere = ask(1200, hours((5..17).map(|hour| (hour, 100)))).await;
        assert!(elsewhere.note.unwrap().ends_with("and 9 more"));
    }

    #[tokio::test]
    async fn each_query_has_its_own_time() {
        let count = FakeCount::default();
        let running = || std::iter::repeat_n(InsightsState::Running, 70);
        let done = || InsightsState::Complete(vec![row("05", "1")]);
        // Ten minutes each.
        count.answers(running().chain([done()]).chain(running()).chain([done()]));
        let groups: Vec<String> = (0..60).map(|n| format!("/ecs/{n}")).collect();
        let found = ask(&count, Verify::Insights, "2026-11-22T03:00:00Z", |q| {
            q.log_groups = &groups;
            q.counted = 2;
        });
        assert_eq!(found.await.agrees, Some(true));
        assert!(count.stopped().is_empty());
    }

    proptest! {
        #[test]
        fn events_that_come_in_within_minutes_always_agree(
            events in proptest::collection::vec((-HOUR..DAY + HOUR, 0..5 * MINUTE), 0..200),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let count = FakeCount::default();
            count.came_in(day().start_ms, 0.0);
            let mut counted = 0;
            for (time, delay) in &events {
                let came_in = day().start_ms + time + delay;
                count.came_in(came_in.div_euclid(MINUTE) * MINUTE, 1.0);
                counted += u64::from((0..DAY).contains(time));
            }
            let now = "2026-11-22T03:00:00Z";
            let found = runtime.block_on(ask(&count, Verify::Metrics, now, |q| q.counted = counted));
            prop_assert_eq!(found.agrees, Some(true), "{:?}", found);
        }
    }
}
