//! The count by Logs Insights queries: exact, by hour of event time.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};

use super::{
    Count, HourCount, IndependentCount, InsightsState, ServiceError, ServiceErrorKind,
    VerifyRequest, refused,
};
use crate::backoff::{Backoff, retry};
use crate::clock::Clock;
use crate::window::Range;

/// The most log groups of one query.
const GROUPS_IN_A_QUERY: usize = 50;

/// The time for each query, which seldom takes a minute.
const GIVE_UP_AFTER: Duration = Duration::from_secs(15 * 60);

/// Between requests for a query's state.
const POLL: Backoff = Backoff {
    first: Duration::from_secs(1),
    most: Duration::from_secs(10),
};

/// A row of an answer: its fields by name.
type Row = Vec<(String, String)>;

/// The window's events by hour. The error says why there is no count.
pub(super) async fn count(
    service: &dyn IndependentCount,
    clock: &dyn Clock,
    request: &VerifyRequest<'_>,
) -> Result<Count, String> {
    let mut hours: BTreeMap<DateTime<Utc>, u64> = BTreeMap::new();
    for log_groups in request.log_groups.chunks(GROUPS_IN_A_QUERY) {
        for row in rows(service, clock, request, log_groups).await? {
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

/// The rows of one query. A query that takes too long is stopped, since AWS charges for what it scans.
async fn rows(
    service: &dyn IndependentCount,
    clock: &dyn Clock,
    request: &VerifyRequest<'_>,
    log_groups: &[String],
) -> Result<Vec<Row>, String> {
    let text = query_text(request.range, request.log_stream_prefix);
    let (from_s, to_s) = (
        request.range.start_ms.div_euclid(1000),
        request.range.end_ms.div_euclid(1000) + 1,
    );
    let deadline = clock.elapsed() + GIVE_UP_AFTER;
    let until_deadline = || POLL.delays().take_while(|_| clock.elapsed() < deadline);
    let started = retry(
        clock,
        until_deadline(),
        Unanswered::may_change,
        async || {
            let started = service.start_query(log_groups, from_s, to_s, &text).await;
            started.map_err(Unanswered::Failed)
        },
    );
    let id = started.await.map_err(Unanswered::reason)?;
    let ended = retry(
        clock,
        until_deadline(),
        Unanswered::may_change,
        async || match service.query_state(&id).await {
            Ok(InsightsState::Running) => Err(Unanswered::Running),
            Ok(state) => Ok(state),
            Err(error) => Err(Unanswered::Failed(error)),
        },
    );
    match ended.await {
        Ok(InsightsState::Complete(rows)) => Ok(rows),
        Ok(InsightsState::Failed(state)) => Err(format!("the Insights query ended as {state}")),
        Ok(InsightsState::Running) => Err(Unanswered::Running.reason()),
        Err(unanswered) => {
            if let Err(error) = service.stop_query(&id).await {
                tracing::warn!(
                    query = id,
                    error = error.message,
                    "could not stop an Insights query"
                );
            }
            Err(unanswered.reason())
        }
    }
}

/// Why a query has no rows yet.
enum Unanswered {
    Running,
    Failed(ServiceError),
}

impl Unanswered {
    /// Whether asking again later may help. The number of queries that run at once is limited too.
    fn may_change(&self) -> bool {
        match self {
            Self::Running => true,
            Self::Failed(error) => error.kind.passes() || error.kind == ServiceErrorKind::SlotBusy,
        }
    }

    fn reason(self) -> String {
        match self {
            Self::Running => format!(
                "the Insights query did not end in {} minutes",
                GIVE_UP_AFTER.as_secs() / 60
            ),
            Self::Failed(error) => refused(&error),
        }
    }
}

/// Counts by hour. The query filters by time too, since the interval of the request is in whole seconds and includes
/// its end.
fn query_text(range: Range, log_stream_prefix: Option<&str>) -> String {
    let mut query = format!(
        "filter toMillis(@timestamp) >= {} and toMillis(@timestamp) < {}",
        range.start_ms, range.end_ms
    );
    if let Some(prefix) = log_stream_prefix {
        query += &format!(" | filter @logStream like /^{}/", literal(prefix));
    }
    query + " | stats count(*) as events by bin(1h)"
}

/// A regular expression that matches `text` only.
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
