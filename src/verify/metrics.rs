//! The count by CloudWatch's metric of incoming events, which goes by ingestion time.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Count, IndependentCount, Sample, VerifyRequest, refused};
use crate::window::Range;

/// Agents send events within minutes: what came in this soon after an edge of the window may belong to either side of
/// it.
const LAG: TimeDelta = TimeDelta::minutes(5);

/// The metric of the last minutes is incomplete.
const COMPLETE_AFTER: TimeDelta = TimeDelta::minutes(15);

/// How long CloudWatch keeps a metric, a day less than it says, and in which periods (seconds).
const RETENTION: [(TimeDelta, i32); 3] = [
    (TimeDelta::days(14), 60),
    (TimeDelta::days(62), 300),
    (LONGEST_RETENTION, 3600),
];

const LONGEST_RETENTION: TimeDelta = TimeDelta::days(454);

/// The window's events by the metric. The error says why there is no count.
pub(super) async fn count(
    service: &dyn IndependentCount,
    now: DateTime<Utc>,
    request: &VerifyRequest<'_>,
) -> Result<Count, String> {
    if let Some(prefix) = request.log_stream_prefix {
        return Err(format!(
            "the metric counts all streams of a log group, the job only those that begin with {prefix:?}: verify = \"insights\" can tell them apart"
        ));
    }
    let window = request.range;
    let now_ms = now.timestamp_millis();
    if now_ms < window.end_ms + COMPLETE_AFTER.num_milliseconds() {
        return Err(
            "the metric is complete only 15 minutes after the end of the window".to_owned(),
        );
    }
    let age = TimeDelta::milliseconds(now_ms - window.start_ms);
    let period_s = RETENTION
        .iter()
        .find(|(kept, _)| age <= *kept)
        .map(|(_, period_s)| *period_s)
        .ok_or_else(|| {
            format!(
                "the window began {} days ago: CloudWatch keeps its metrics for 455 days, and the last {} are counted",
                age.num_days(),
                LONGEST_RETENTION.num_days()
            )
        })?;
    let period_ms = i64::from(period_s) * 1000;
    let lag_ms = LAG.num_milliseconds().max(period_ms);
    let whole_periods = Range {
        start_ms: window.start_ms.div_euclid(period_ms) * period_ms,
        end_ms: (window.end_ms + lag_ms + period_ms - 1).div_euclid(period_ms) * period_ms,
    };
    let samples = service
        .incoming(request.log_groups, whole_periods, period_s)
        .await
        .map_err(|error| refused(&error))?;
    if samples.is_empty() && request.counted > 0 {
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
    /// The events that came in during `range`; a period that is partly in it counts for that part.
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

    /// The window's events and the tolerance. What came in within the lag after an edge of the window may have happened
    /// before that edge, so the larger of these two counts is the tolerance. A thousandth of all events is added for
    /// those that came in later still.
    fn count(&self, window: Range) -> Count {
        let events = self.during(window);
        let after = |edge_ms: i64| {
            self.during(Range {
                start_ms: edge_ms,
                end_ms: edge_ms + self.lag_ms,
            })
        };
        let mut tolerance = after(window.start_ms).max(after(window.end_ms)) + events / 1000.0;
        // Nothing says where in such a period the events were.
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
