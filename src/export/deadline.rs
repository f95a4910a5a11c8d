//! The deadline of an export: requests are repeated, and states polled, until `give_up_after` has passed.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
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
    most: Duration::from_secs(60),
};

/// Between attempts at a request that was throttled or got a server error.
const RETRY: Backoff = Backoff {
    first: Duration::from_millis(500),
    most: Duration::from_secs(30),
};

/// Give up after this long without any response: the endpoint is wrong, or there is no route to it.
const UNREACHABLE_AFTER: TimeDelta = TimeDelta::minutes(2);

/// The time that an export may take, and what is reported while it waits.
pub struct Deadline<'a> {
    clock: &'a dyn Clock,
    /// What has the deadline, in words: `the export of /ecs/web`.
    what: String,
    began: DateTime<Utc>,
    end: DateTime<Utc>,
    give_up_after: Duration,
    report: &'a (dyn Fn(&str) + Sync),
    /// The endpoint, where the service may turn out to be unreachable.
    endpoint: Option<&'a str>,
    /// Whether the service has responded.
    is_reached: AtomicBool,
}

impl<'a> Deadline<'a> {
    /// A deadline for `what`, `give_up_after` from now. `report` receives the state while it is waited for.
    pub fn new(
        clock: &'a dyn Clock,
        what: String,
        give_up_after: Duration,
        report: &'a (dyn Fn(&str) + Sync),
    ) -> Self {
        let give_up = TimeDelta::from_std(give_up_after).unwrap_or(TimeDelta::MAX);
        let began = clock.now();
        let end = began.checked_add_signed(give_up);
        Self {
            clock,
            what,
            began,
            end: end.unwrap_or(DateTime::<Utc>::MAX_UTC),
            give_up_after,
            report,
            endpoint: None,
            is_reached: AtomicBool::new(false),
        }
    }

    /// For the first requests to the service at `endpoint`: without any response, they fail within minutes.
    pub fn of_first_contact(self, endpoint: &'a str) -> Self {
        Self {
            endpoint: Some(endpoint),
            ..self
        }
    }

    /// The present instant.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Reports the present state.
    pub fn report(&self, state: &str) {
        (self.report)(state);
    }

    /// An error (`ExportLate`) after the deadline, with what was waited for.
    pub fn check(&self, waiting_for: &str) -> Result<()> {
        if self.clock.now() >= self.end {
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

    /// Sleeps after a failed attempt, `failures` others before it. An error (`ExportLate`) after the deadline, with
    /// what was waited for.
    pub async fn wait(&self, backoff: Backoff, failures: u32, waiting_for: &str) -> Result<()> {
        self.check(waiting_for)?;
        let left = self.end - self.clock.now();
        let left = left.to_std().unwrap_or_default();
        let delay = backoff.delay(failures, fastrand::f64());
        self.clock
            .sleep(delay.min(left.max(Duration::from_millis(1))))
            .await;
        Ok(())
    }

    /// Sends a request until it has an answer that another attempt would not change. For requests that only read: one
    /// that changes something must not be sent twice.
    pub async fn retry<'q, T>(
        &self,
        send: impl Fn() -> BoxFuture<'q, Result<T, ServiceError>> + Send,
    ) -> Result<Result<T, ServiceError>> {
        for failures in 0.. {
            let error = match send().await {
                Err(error) if error.kind.passes() => error,
                answer => {
                    self.is_reached.store(true, Ordering::Relaxed);
                    return Ok(answer);
                }
            };
            self.check_reached(&error)?;
            let waiting_for = format!("CloudWatch Logs answered: {}", error.message);
            self.report(&waiting_for);
            self.wait(RETRY, failures, &waiting_for).await?;
        }
        unreachable!("the loop ends with an answer or at the deadline")
    }

    /// An error (`Source`) where the service has not responded at all for too long.
    fn check_reached(&self, error: &ServiceError) -> Result<()> {
        if error.kind != ServiceErrorKind::NoAnswer {
            self.is_reached.store(true, Ordering::Relaxed);
        }
        let tried_for = self.clock.now() - self.began;
        match self.endpoint {
            Some(endpoint)
                if !self.is_reached.load(Ordering::Relaxed) && tried_for >= UNREACHABLE_AFTER =>
            {
                Err(Error::new(
                    Class::Source,
                    format!(
                        "CloudWatch Logs could not be reached at {endpoint} in {} minutes: {}. Is the Region right, and is \
                         there a route to it (a VPC endpoint, a proxy)?",
                        UNREACHABLE_AFTER.num_minutes(),
                        error.message
                    ),
                ))
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;

    #[tokio::test]
    async fn a_page_that_comes_again_is_an_error_and_not_the_end() {
        let clock = TestClock::at(DateTime::UNIX_EPOCH);
        let deadline = Deadline::new(&clock, "a list".to_owned(), Duration::MAX, &|_| ());
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
