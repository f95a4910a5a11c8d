//! The deadline of an export: requests are repeated, and states polled, until `give_up_after` has passed without
//! progress.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;

use super::service::{Page, ServiceError, ServiceErrorKind};
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::error::{Class, Error, Result};

/// Between requests for a task's state. DescribeExportTasks allows five requests a second in an account.
pub const POLL: Backoff = Backoff {
    first: Duration::from_secs(1),
    most: Duration::from_secs(30),
};

/// Between attempts to get the export slot, which other tasks hold for minutes to hours.
pub const SLOT: Backoff = Backoff {
    first: Duration::from_secs(5),
    most: Duration::from_secs(30),
};

/// Between attempts at a request that was throttled or got a server error.
const RETRY: Backoff = Backoff {
    first: Duration::from_millis(500),
    most: Duration::from_secs(30),
};

/// Give up after this long without any response: the endpoint is wrong, or there is no route to it.
const UNREACHABLE_AFTER: Duration = Duration::from_secs(20);

/// How long a run may wait for CloudWatch Logs without progress: `give_up_after`. All exports of a run share it, so that
/// a run gives up once and not once for each export. An export that starts, ends or receives events has progress, and the
/// time begins anew.
#[derive(Debug)]
pub struct Patience {
    give_up_after: Duration,
    left: Mutex<Duration>,
    given_up: Mutex<Option<GivenUp>>,
}

/// The end of a run's patience.
#[derive(Debug, Clone)]
struct GivenUp {
    /// When, by the clock's [`Clock::elapsed`].
    at: Duration,
    waiting_for: String,
}

impl Patience {
    /// The whole time.
    pub fn new(give_up_after: Duration) -> Self {
        Self {
            give_up_after,
            left: Mutex::new(give_up_after),
            given_up: Mutex::default(),
        }
    }

    fn left(&self) -> MutexGuard<'_, Duration> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn given_up(&self) -> MutexGuard<'_, Option<GivenUp>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time that an export may take, and what is reported while it waits. What it does not use of the run's [`Patience`]
/// is left to the next export.
pub struct Deadline<'a> {
    clock: &'a dyn Clock,
    /// What has the deadline, in words: `the export of /ecs/web`.
    what: String,
    patience: &'a Patience,
    /// By the clock's [`Clock::elapsed`], as is `end`.
    began: Duration,
    end: Mutex<Duration>,
    report: &'a (dyn Fn(&str) + Sync),
    /// The endpoint, where the service may turn out to be unreachable.
    endpoint: Option<&'a str>,
    /// Whether the service has responded.
    is_reached: AtomicBool,
}

impl<'a> Deadline<'a> {
    /// A deadline for `what`, when the rest of `patience` is over. `report` receives the state while it is waited for.
    pub fn new(
        clock: &'a dyn Clock,
        what: String,
        patience: &'a Patience,
        report: &'a (dyn Fn(&str) + Sync),
    ) -> Self {
        let began = clock.elapsed();
        Self {
            clock,
            what,
            began,
            end: Mutex::new(began.saturating_add(*patience.left())),
            patience,
            report,
            endpoint: None,
            is_reached: AtomicBool::new(false),
        }
    }

    /// For the first requests to the service at `endpoint`: without any response, they fail within half a minute.
    pub fn of_first_contact(mut self, endpoint: &'a str) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// The present instant.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The clock's [`Clock::elapsed`].
    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Begins the time anew: the export has progress.
    pub fn progress(&self) {
        *self.end() = self
            .clock
            .elapsed()
            .saturating_add(self.patience.give_up_after);
    }

    fn end(&self) -> MutexGuard<'_, Duration> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time that is left.
    pub fn left(&self) -> Duration {
        self.end().saturating_sub(self.clock.elapsed())
    }

    /// Reports the present state.
    pub fn report(&self, state: &str) {
        (self.report)(state);
    }

    /// An error (`ExportLate`) after the deadline, with what was waited for.
    pub fn check(&self, waiting_for: &str) -> Result<()> {
        if !self.left().is_zero() {
            return Ok(());
        }
        let mut given_up = self.patience.given_up();
        let waiting_for = match &*given_up {
            // This export has not waited: what it would say is what another one has waited for.
            Some(earlier) if self.began_late() => earlier.waiting_for.clone(),
            _ => waiting_for.to_owned(),
        };
        let late = self.late(&waiting_for);
        let at = self.clock.elapsed();
        *given_up = Some(GivenUp { at, waiting_for });
        Err(late)
    }

    /// An error (`ExportLate`) where an export of this run has just waited until no time was left: the next one need not
    /// ask for what did not come. From time to time, it may.
    pub fn check_not_given_up(&self) -> Result<()> {
        match &*self.patience.given_up() {
            Some(earlier)
                if self.began_late()
                    && self.clock.elapsed().saturating_sub(earlier.at) < SLOT.most =>
            {
                Err(self.late(&earlier.waiting_for))
            }
            _ => Ok(()),
        }
    }

    /// Whether no time was left when this deadline was set, and there was no progress since.
    fn began_late(&self) -> bool {
        *self.end() <= self.began
    }

    fn late(&self, waiting_for: &str) -> Error {
        let give_up_after = humantime::format_duration(self.patience.give_up_after);
        Error::new(
            Class::ExportLate,
            format!(
                "{} did not come in {give_up_after} (give_up_after): {waiting_for}",
                self.what
            ),
        )
    }

    /// Sleeps after a failed attempt, `failures` others before it. An error (`ExportLate`) after the deadline, with
    /// what was waited for.
    pub async fn wait(&self, backoff: Backoff, failures: u32, waiting_for: &str) -> Result<()> {
        self.check(waiting_for)?;
        let delay = backoff.delay(failures, fastrand::f64());
        let left = self.left().min(self.left_to_be_reached());
        self.clock
            .sleep(delay.min(left.max(Duration::from_millis(1))))
            .await;
        Ok(())
    }

    /// The time until a service without any response is given up: a long pause must not end far behind it.
    fn left_to_be_reached(&self) -> Duration {
        if self.endpoint.is_none() || self.is_reached.load(Ordering::Relaxed) {
            return Duration::MAX;
        }
        UNREACHABLE_AFTER.saturating_sub(self.tried_for())
    }

    fn tried_for(&self) -> Duration {
        self.elapsed().saturating_sub(self.began)
    }

    /// Sends a request until it has an answer that another attempt would not change. For requests that only read: one
    /// that changes something must not be sent twice.
    pub async fn retry<'q, T>(
        &self,
        send: impl Fn() -> BoxFuture<'q, Result<T, ServiceError>> + Send,
    ) -> Result<Result<T, ServiceError>> {
        let mut reported = None;
        for failures in 0.. {
            let error = match send().await {
                Err(error) if error.kind.passes() => error,
                answer => {
                    self.is_reached.store(true, Ordering::Relaxed);
                    return Ok(answer);
                }
            };
            self.check_reached(&error)?;
            let waiting_for = error.as_state();
            if reported.as_ref() != Some(&waiting_for) {
                self.report(&waiting_for);
                reported = Some(waiting_for.clone());
            }
            self.wait(RETRY, failures, &waiting_for).await?;
        }
        unreachable!("the loop ends with an answer or at the deadline")
    }

    /// An error (`Source`) where the service has not responded at all for too long.
    fn check_reached(&self, error: &ServiceError) -> Result<()> {
        if error.kind != ServiceErrorKind::NoAnswer {
            self.is_reached.store(true, Ordering::Relaxed);
        }
        match self.endpoint {
            Some(endpoint) if self.left_to_be_reached().is_zero() => Err(Error::new(
                Class::Source,
                format!(
                    "CloudWatch Logs could not be reached at {endpoint} in {} seconds: {}. Is the Region right, and is \
                         there a route to it (a VPC endpoint, a proxy)?",
                    UNREACHABLE_AFTER.as_secs(),
                    error.message
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Requests page after page until `take` breaks or the pages end.
    pub async fn pages<'q, T: Send>(
        &self,
        send: impl Fn(Option<String>) -> BoxFuture<'q, Result<Page<T>, ServiceError>> + Send + Sync,
        mut take: impl FnMut(Vec<T>) -> ControlFlow<()> + Send,
    ) -> Result<Result<(), ServiceError>> {
        let mut token: Option<String> = None;
        loop {
            let page = match self.retry(|| send(token.clone())).await? {
                Ok(page) => page,
                Err(error) => return Ok(Err(error)),
            };
            if take(page.items).is_break() || page.next.is_none() {
                return Ok(Ok(()));
            }
            // The pages would never end, and what is missing is unknown.
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

impl Drop for Deadline<'_> {
    fn drop(&mut self) {
        *self.patience.left() = self.left();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;

    #[tokio::test]
    async fn a_page_that_comes_again_is_an_error_and_not_the_end() {
        let clock = TestClock::at(DateTime::UNIX_EPOCH);
        let patience = Patience::new(Duration::MAX);
        let deadline = Deadline::new(&clock, "a list".to_owned(), &patience, &|_| ());
        let mut taken = Vec::new();
        let listed = deadline.pages(
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
