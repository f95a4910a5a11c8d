//! The count of a whole run: which service counts, and what a run does where it does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{IndependentCount, Verification, VerifyRequest, verify};
use crate::clock::Clock;
use crate::job::Verify;

/// The time for a count that the job does not ask for. Without a route to CloudWatch's metrics, as in a private network
/// that has one to its logs only, requests would be repeated for minutes.
const UNASKED_WITHIN: Duration = Duration::from_secs(20);

/// Counts the windows of a run.
pub struct Verifier {
    service: Arc<dyn IndependentCount>,
    asked_for: Option<Verify>,
    unasked_within: Duration,
    is_away: AtomicBool,
}

impl Verifier {
    /// Counts by the job's `verify`. Where that is unset, the metric is used as far as it can be read.
    pub fn new(service: Arc<dyn IndependentCount>, asked_for: Option<Verify>) -> Self {
        Self {
            service,
            asked_for,
            unasked_within: UNASKED_WITHIN,
            is_away: AtomicBool::new(false),
        }
    }

    /// Compares a window's count with the independent one. `None` where there is none and the job asks for none.
    pub async fn verify(
        &self,
        clock: &dyn Clock,
        request: &VerifyRequest<'_>,
    ) -> Option<Verification> {
        if self.asked_for.is_some() {
            return verify(self.service.as_ref(), clock, request).await;
        }
        if self.is_away.load(Ordering::Relaxed) {
            return None;
        }
        let counting = verify(self.service.as_ref(), clock, request);
        match tokio::time::timeout(self.unasked_within, counting).await {
            Ok(found) => {
                let unknown = found.as_ref().filter(|found| found.agrees.is_none());
                if let Some(note) = unknown.and_then(|found| found.note.as_deref()) {
                    tracing::debug!("not compared with CloudWatch's metric: {note}");
                }
                found.filter(|found| found.agrees.is_some())
            }
            Err(_) => {
                self.is_away.store(true, Ordering::Relaxed);
                tracing::debug!("CloudWatch's metric did not answer");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;
    use crate::verify::{InsightsState, Sample, ServiceError};
    use crate::window::Range;
    use async_trait::async_trait;
    use std::sync::atomic::AtomicUsize;

    /// A service that never answers.
    struct Away(AtomicUsize);

    #[async_trait]
    impl IndependentCount for Away {
        async fn incoming(
            &self,
            _: &[String],
            _: Range,
            _: i32,
        ) -> Result<Vec<Sample>, ServiceError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            std::future::pending().await
        }

        async fn start_query(
            &self,
            _: &[String],
            _: i64,
            _: i64,
            _: &str,
        ) -> Result<String, ServiceError> {
            std::future::pending().await
        }

        async fn query_state(&self, _: &str) -> Result<InsightsState, ServiceError> {
            std::future::pending().await
        }

        async fn stop_query(&self, _: &str) -> Result<(), ServiceError> {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn a_metric_without_a_route_costs_a_run_seconds_and_once() {
        let clock = TestClock::at("2026-11-22T03:00:00Z".parse().unwrap());
        let service = Arc::new(Away(0.into()));
        let mut verifier = Verifier::new(service.clone(), None);
        verifier.unasked_within = Duration::from_millis(10);
        let groups = ["/ecs/web".to_owned()];
        let request = VerifyRequest {
            method: Verify::Metrics,
            log_groups: &groups,
            log_stream_prefix: None,
            range: Range {
                start_ms: 1_795_219_200_000,
                end_ms: 1_795_305_600_000,
            },
            counted: 1,
            counted_by_hour: &[],
        };
        for _ in 0..3 {
            assert_eq!(verifier.verify(&clock, &request).await, None);
        }
        assert_eq!(service.0.load(Ordering::SeqCst), 1);
    }
}
