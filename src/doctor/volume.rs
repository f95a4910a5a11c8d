//! How much came in during the last days, and so how much a night reads.

use chrono::TimeDelta;

use crate::aws::logs::LogGroup;
use crate::aws::metrics::MetricsClient;
use crate::aws::tried::Tried;
use crate::job::{Source, Via};
use crate::query::available_memory;
use crate::run::{Lookups, plan_all, reads_again};
use crate::window::Range;

use super::examination::Examination;
use super::night::{self, Night, Reading, Volume};
use super::plan::next_window;

/// The days whose tasks and events are looked at.
pub(super) const LAST_DAYS: i64 = 7;

impl Examination<'_> {
    pub(super) async fn bytes_of_last_days(&self, groups: &[String]) -> Tried<f64> {
        let client =
            match MetricsClient::new(self.environment.stores.aws(), self.logs_account()).await {
                Ok(client) => client,
                Err(error) => return Tried::Failed(error.to_string()),
            };
        client.incoming_bytes(groups, self.last_days()).await.into()
    }

    async fn events_of_last_days(&self, groups: &[String]) -> Option<f64> {
        let client = MetricsClient::new(self.environment.stores.aws(), self.logs_account()).await;
        let samples = client.ok()?;
        let samples = samples.incoming_log_events(groups, self.last_days(), 3600);
        Some(samples.await.ok()?.iter().map(|sample| sample.events).sum())
    }

    fn last_days(&self) -> Range {
        let end_ms = self.environment.clock.now().timestamp_millis();
        let days_ms = TimeDelta::days(LAST_DAYS).num_milliseconds();
        Range {
            start_ms: end_ms - days_ms,
            end_ms,
        }
    }

    /// Estimates what a night takes.
    pub(super) async fn night(&mut self, groups: &[LogGroup]) -> Option<Night> {
        let Source::CloudWatch(source) = &self.source().logs else {
            return None;
        };
        let window = next_window(self.job, self.environment.clock.now()).ok()?;
        let names: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
        let bytes = match self.bytes_of_last_days(&names).await {
            Tried::Allowed(bytes) => Some(bytes),
            Tried::Refused(_) | Tried::Failed(_) => None,
        };
        let events = match bytes {
            Some(_) => self.events_of_last_days(&names).await,
            None => None,
        };
        let engine = &self.environment.engine;
        let lookups = Lookups::open(self.environment, self.job)
            .await
            .unwrap_or_default();
        let planned = plan_all(engine, self.job, window.range(), &lookups)
            .await
            .ok();
        let days = |length: TimeDelta| {
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let seconds = length.num_seconds() as f64;
            seconds / 86_400.0
        };
        let volume = Volume {
            log_groups: groups.len(),
            events,
            bytes,
            days: days(TimeDelta::days(LAST_DAYS)),
            stored_bytes: groups.iter().map(|group| group.stored_bytes).sum(),
            window_days: days(window.end() - window.start()),
        };
        let reading = Reading {
            with_tasks: source.via != Via::Events,
            queries: self.job.queries.len(),
            reads_again: planned.is_none_or(|planned| reads_again(self.job, &planned)),
            keep_days: self.source().keep.map(|keep| keep.as_secs_f64() / 86_400.0),
            memory: match self.job.limits.memory {
                Some(memory) => memory,
                None => available_memory().ok()?,
            },
        };
        let night = night::estimate(&volume, &reading, &self.region)?;
        self.room(&night);
        Some(night)
    }
}
