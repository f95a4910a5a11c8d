//! A fake of the independent count, for tests.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{IndependentCount, InsightsState, Sample};
use crate::aws::logs::{ServiceError, ServiceErrorKind};
use crate::window::Range;

/// Answers with what a test put in, and records the requests.
#[derive(Default)]
pub struct FakeCount(Mutex<FakeState>);

#[derive(Default)]
struct FakeState {
    samples: Vec<Sample>,
    states: Vec<InsightsState>,
    errors: Vec<ServiceError>,
    periods: Vec<(Range, i32)>,
    queries: Vec<(Vec<String>, i64, i64, String)>,
    stopped: Vec<String>,
}

impl FakeCount {
    /// Adds a sample of the metric.
    pub fn came_in(&self, start_ms: i64, events: f64) {
        self.state().samples.push(Sample { start_ms, events });
    }

    /// Adds the next states of a query, in order.
    pub fn answers(&self, states: impl IntoIterator<Item = InsightsState>) {
        self.state().states.extend(states);
    }

    /// Fails the next `count` requests.
    pub fn fail(&self, count: usize, kind: ServiceErrorKind, message: &str) {
        let message = message.to_owned();
        let error = ServiceError { kind, message };
        self.state()
            .errors
            .extend(std::iter::repeat_n(error, count));
    }

    /// The intervals and periods of the requests for the metric.
    pub fn periods(&self) -> Vec<(Range, i32)> {
        self.state().periods.clone()
    }

    /// The queries that were started: log groups, first and last second, text.
    pub fn queries(&self) -> Vec<(Vec<String>, i64, i64, String)> {
        self.state().queries.clone()
    }

    /// The ids of the queries that were stopped.
    pub fn stopped(&self) -> Vec<String> {
        self.state().stopped.clone()
    }

    fn state(&self) -> MutexGuard<'_, FakeState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self) -> Result<(), ServiceError> {
        self.state().errors.pop().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl IndependentCount for FakeCount {
    async fn incoming(
        &self,
        _: &[String],
        range: Range,
        period_s: i32,
    ) -> Result<Vec<Sample>, ServiceError> {
        self.failure()?;
        let mut state = self.state();
        state.periods.push((range, period_s));
        let samples = state.samples.iter();
        Ok(samples
            .filter(|sample| range.contains(sample.start_ms))
            .copied()
            .collect())
    }

    async fn start_query(
        &self,
        log_groups: &[String],
        from_s: i64,
        to_s: i64,
        query: &str,
    ) -> Result<String, ServiceError> {
        self.failure()?;
        let mut state = self.state();
        let query = (log_groups.to_vec(), from_s, to_s, query.to_owned());
        state.queries.push(query);
        Ok(format!("query-{}", state.queries.len()))
    }

    async fn stop_query(&self, id: &str) -> Result<(), ServiceError> {
        self.state().stopped.push(id.to_owned());
        Ok(())
    }

    async fn query_state(&self, _: &str) -> Result<InsightsState, ServiceError> {
        self.failure()?;
        let mut state = self.state();
        match state.states.is_empty() {
            true => Ok(InsightsState::Running),
            false => Ok(state.states.remove(0)),
        }
    }
}
