//! Waiting for a service until a deadline: how long between two tries is arithmetic, apart from the waiting itself.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// A service from which nothing ever came is given up after so long: its address is wrong, or no way leads there.
const UNREACHABLE_AFTER: TimeDelta = TimeDelta::minutes(2);

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
    began: DateTime<Utc>,
    deadline: DateTime<Utc>,
    give_up_after: Duration,
    tell: &'a (dyn Fn(&str) + Sync),
    /// Where the service is, until it has answered for the first time.
    unreached: Option<&'a str>,
    answered: AtomicBool,
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
        let began = clock.now();
        let deadline = began.checked_add_signed(give_up);
        Self {
            clock,
            what,
            began,
            deadline: deadline.unwrap_or(DateTime::<Utc>::MAX_UTC),
            give_up_after,
            tell,
            unreached: None,
            answered: AtomicBool::new(false),
        }
    }

    /// For the first questions to the service at `endpoint`: where no answer of any kind comes, they fail in minutes.
    pub fn of_first_contact(self, endpoint: &'a str) -> Self {
        Self {
            unreached: Some(endpoint),
            ..self
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
                Err(error) if error.kind.passes() => error,
                answer => {
                    self.answered.store(true, Ordering::Relaxed);
                    return Ok(answer);
                }
            };
            self.check_reached(&error)?;
            let waiting_for = format!("CloudWatch Logs answered: {}", error.message);
            self.tell(&waiting_for);
            self.wait(AGAIN, attempt, &waiting_for).await?;
        }
        unreachable!("the loop ends with an answer or at the deadline")
    }

    /// An error (`Source`) where nothing has come of the service at all for too long.
    fn check_reached(&self, error: &ServiceError) -> Result<()> {
        if error.kind != ServiceErrorKind::NoAnswer {
            self.answered.store(true, Ordering::Relaxed);
        }
        let tried_for = self.clock.now() - self.began;
        match self.unreached {
            Some(endpoint)
                if !self.answered.load(Ordering::Relaxed) && tried_for >= UNREACHABLE_AFTER =>
            {
                Err(Error::new(
                    Class::Source,
                    format!(
                        "CloudWatch Logs could not be reached at {endpoint} in {} minutes: {}. Is the Region right, and is \
                         there a way to it (a route, a VPC endpoint, a proxy)?",
                        UNREACHABLE_AFTER.num_minutes(),
                        error.message
                    ),
                ))
            }
            _ => Ok(()),
        }
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
            if take(page.items).is_break() || page.next.is_none() {
                return Ok(Ok(()));
            }
            // It would be asked for ever, and nobody knows what is missing.
            if page.next == token {
                return Ok(Err(ServiceError {
                    kind: ServiceErrorKind::Other,
                    message: "CloudWatch Logs answers one page of the list over and over"
                        .to_owned(),
                }));
            }
            token = page.next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;

    #[test]
    fn waits_double_up_to_the_longest() {
        let seconds: Vec<u64> = (0..8).map(|n| POLL.delay(n, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(POLL.delay(u32::MAX, 0.0), POLL.most);
        assert!(SLOT.delay(0, 0.999) > SLOT.first / 2);
    }

    #[tokio::test]
    async fn a_page_that_comes_again_is_an_error_and_not_the_end() {
        let clock = TestClock::at(DateTime::UNIX_EPOCH);
        let patience = Patience::new(&clock, "a list".to_owned(), Duration::MAX, &|_| ());
        let mut taken = Vec::new();
        let listed = patience.pages(
            |page| {
                Box::pin(async {
                    Ok(Page {
                        items: vec![page],
                        next: Some("next".to_owned()),
                    })
                })
            },
            |items| {
                taken.extend(items);
                ControlFlow::Continue(())
            },
        );
        let error = listed.await.unwrap().unwrap_err();
        assert!(error.message.contains("over and over"), "{error:?}");
        assert_eq!(taken, [None, Some("next".to_owned())]);
    }
}
