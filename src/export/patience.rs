//! Waiting for a service until a deadline: how long between two tries is arithmetic, apart from the waiting itself.

use std::ops::ControlFlow;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;

use super::service::{Page, ServiceError, ServiceErrorKind};
use crate::clock::Clock;
use crate::error::{Class, Error, Result};

/// Waits that double from `first` up to `most`.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first wait.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
}

/// Between looks at a task. DescribeExportTasks allows five requests a second for the whole account.
pub const POLL: Backoff = Backoff {
    first: Duration::from_secs(1),
    most: Duration::from_secs(30),
};

/// Between tries at the slot, which others hold for minutes to hours.
pub const SLOT: Backoff = Backoff {
    first: Duration::from_secs(5),
    most: Duration::from_secs(60),
};

/// Between tries at a question that was throttled, or that the service was not well enough to answer.
pub const AGAIN: Backoff = Backoff {
    first: Duration::from_millis(500),
    most: Duration::from_secs(30),
};

impl Backoff {
    /// The wait after `attempt` tries (0 first), `jitter` in [0, 1) taking up to half of it away, so that several
    /// waiting programs don't ask in step.
    pub fn delay(self, attempt: u32, jitter: f64) -> Duration {
        let doubled = self
            .first
            .saturating_mul(1u32.checked_shl(attempt).unwrap_or(u32::MAX));
        doubled
            .min(self.most)
            .mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
    }
}

/// How long something may take.
pub struct Patience<'a> {
    clock: &'a dyn Clock,
    /// What is waited for, in words: `the export of /ecs/web`.
    what: String,
    deadline: DateTime<Utc>,
    give_up_after: Duration,
    tell: &'a (dyn Fn(&str) + Sync),
}

impl<'a> Patience<'a> {
    /// Waits for `what` from now on until `give_up_after` has passed. `tell` hears what is waited for.
    pub fn new(
        clock: &'a dyn Clock,
        what: String,
        give_up_after: Duration,
        tell: &'a (dyn Fn(&str) + Sync),
    ) -> Self {
        let give_up = TimeDelta::from_std(give_up_after).unwrap_or(TimeDelta::MAX);
        let deadline = clock.now().checked_add_signed(give_up);
        Self {
            clock,
            what,
            deadline: deadline.unwrap_or(DateTime::<Utc>::MAX_UTC),
            give_up_after,
            tell,
        }
    }

    /// The present instant.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Says how it stands.
    pub fn tell(&self, state: &str) {
        (self.tell)(state);
    }

    /// An error (`ExportLate`) where the time is up, with what it was spent on.
    pub fn check(&self, waiting_for: &str) -> Result<()> {
        if self.clock.now() >= self.deadline {
            return Err(Error::new(
                Class::ExportLate,
                format!(
                    "{} did not come in {} (give_up_after): {waiting_for}",
                    self.what,
                    humantime::format_duration(self.give_up_after)
                ),
            ));
        }
        Ok(())
    }

    /// Sleeps after `attempt` tries (0 first). An error (`ExportLate`) where the time is up, with what it was spent on.
    pub async fn wait(&self, backoff: Backoff, attempt: u32, waiting_for: &str) -> Result<()> {
        self.check(waiting_for)?;
        let left = self.deadline - self.clock.now();
        let left = left.to_std().unwrap_or_default();
        let delay = backoff.delay(attempt, fastrand::f64());
        self.clock
            .sleep(delay.min(left.max(Duration::from_millis(1))))
            .await;
        Ok(())
    }

    /// Asks until there is an answer that asking again would not change. For questions only: what changes something
    /// must not be asked for twice.
    pub async fn answer<'q, T>(
        &self,
        ask: impl Fn() -> BoxFuture<'q, Result<T, ServiceError>> + Send,
    ) -> Result<Result<T, ServiceError>> {
        for attempt in 0.. {
            let error = match ask().await {
                Err(error) if error.passes() => error,
                answer => return Ok(answer),
            };
            let waiting_for = format!("CloudWatch Logs answered: {}", error.message);
            self.tell(&waiting_for);
            self.wait(AGAIN, attempt, &waiting_for).await?;
        }
        unreachable!("the loop ends with an answer or at the deadline")
    }

    /// Asks for page after page until `take` has what it wants or they end.
    pub async fn pages<'q, T: Send>(
        &self,
        ask: impl Fn(Option<String>) -> BoxFuture<'q, Result<Page<T>, ServiceError>> + Send + Sync,
        mut take: impl FnMut(Vec<T>) -> ControlFlow<()> + Send,
    ) -> Result<Result<(), ServiceError>> {
        let mut token: Option<String> = None;
        loop {
            let page = match self.answer(|| ask(token.clone())).await? {
                Ok(page) => page,
                Err(error) => return Ok(Err(error)),
            };
            let ended = take(page.items).is_break();
            // A service that gives the same token again would be asked for ever.
            if ended || page.next.is_none() || page.next == token {
                return Ok(Ok(()));
            }
            token = page.next;
        }
    }
}

impl ServiceError {
    /// Whether asking again later may help.
    pub fn passes(&self) -> bool {
        matches!(
            self.kind,
            ServiceErrorKind::Throttled | ServiceErrorKind::Transient
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let seconds: Vec<u64> = (0..8).map(|n| POLL.delay(n, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(POLL.delay(u32::MAX, 0.0), POLL.most);
        assert!(SLOT.delay(0, 0.999) > SLOT.first / 2);
    }
}
